//! `shadowtap portal` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Said at the end of `portal --help`.
pub const PORTAL_HELP: &str = "\
Signals:
  SIGHUP            read the file and the certificates again; if they have problems, those before
                    stay (a changed file is read by itself, too)
  SIGTERM, SIGINT   take no more connections, let calls finish, stop; a second one ends at once

Exit codes: 0 when stopped, 2 when the portal cannot begin.";

/// `shadowtap portal`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Portal {
    /// What else is done with the portal.
    #[command(subcommand)]
    pub command: Option<PortalCommand>,
    /// The portal's file.
    #[arg(long, value_name = "FILE", default_value = "portal.yaml")]
    pub config: PathBuf,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum PortalCommand {
    /// Validate the portal's file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the JSON Schema of the portal's file.
    Schema,
}
