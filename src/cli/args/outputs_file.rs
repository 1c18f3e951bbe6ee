//! `shadowtap outputs` as typed.

use std::path::PathBuf;

use clap::Subcommand;

/// `shadowtap outputs`.
#[derive(Debug, Subcommand)]
pub enum OutputsCommand {
    /// Validate a file of outputs, and the secrets and certificates that it names.
    Check {
        /// The file.
        file: PathBuf,
        /// Look at the file only: secrets and certificates are on another machine.
        #[arg(long)]
        offline: bool,
    },
    /// Say in words what each output does.
    Explain {
        /// The file.
        file: PathBuf,
    },
    /// Print the JSON Schema of files of outputs.
    Schema,
    /// Print what a fact is called in each encoding: a page of Markdown.
    Mapping,
}
