//! `shadowtap portal` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::Outputs;
use super::portal_policy::{PortalHolds, PortalPins, PortalPolicy};

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
    /// How it is run.
    #[command(flatten)]
    pub run: PortalRun,
}

/// How the portal is run.
#[derive(Debug, Args)]
pub struct PortalRun {
    /// The portal's file.
    #[arg(long, value_name = "FILE", default_value = "portal.yaml")]
    pub config: PathBuf,
    /// Name of this replica in records (default: that of the machine); given, the files of the
    /// audit are in a folder of this name.
    #[arg(long, value_name = "NAME")]
    pub replica: Option<String>,
    /// Where records go, beside the files of the audit.
    #[command(flatten)]
    pub outputs: Outputs,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum PortalCommand {
    /// Validate the portal's file, and the files that it names.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the JSON Schema of the portal's file.
    Schema,
    /// Check, test and explain what people may list and call.
    #[command(subcommand)]
    Policy(PortalPolicy),
    /// Show and approve what servers may offer.
    #[command(subcommand)]
    Pins(PortalPins),
    /// Show and decide on calls that wait for approval.
    #[command(subcommand)]
    Holds(PortalHolds),
    /// Tokens for programs.
    #[command(subcommand)]
    Token(PortalToken),
    /// Print the approvals file by which a sensor knows the portal: its flows to the servers behind
    /// it are approved, and flows of others to them go around it.
    Approvals(PortalApprovals),
}

/// `shadowtap portal token`.
#[derive(Debug, Subcommand)]
pub enum PortalToken {
    /// Make a token, and print it once, with the lines for the portal's file.
    New {
        /// Name of the program, for policies and records.
        name: String,
        /// Group that it is in; may be given several times.
        #[arg(long = "group", value_name = "NAME")]
        groups: Vec<String>,
        /// When it ends, as 2027-01-31T00:00:00Z (default: never).
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
}

/// `shadowtap portal approvals`.
#[derive(Debug, Args)]
pub struct PortalApprovals {
    /// The portal's file.
    pub file: PathBuf,
    /// Address or network that the portal connects to servers from; may be given several times.
    #[arg(long = "address", value_name = "NET", required = true, value_parser = network)]
    pub addresses: Vec<IpNet>,
    /// Who answers for the portal.
    #[arg(long, value_name = "NAME")]
    pub owner: String,
    /// Last day on which the approvals hold, as 2027-03-31.
    #[arg(long, value_name = "DATE")]
    pub expires: jiff::civil::Date,
}

fn network(text: &str) -> Result<IpNet, String> {
    let one = text.parse::<std::net::IpAddr>().map(IpNet::from);
    one.or_else(|_| text.parse::<IpNet>())
        .map_err(|_| "an address or a network, as 10.0.9.1 or 10.0.9.0/28".to_owned())
}
