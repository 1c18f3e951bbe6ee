//! The command line of shadowtap.

use std::process::ExitCode;

use clap::Parser as _;
use shadowtap::cli;

fn main() -> ExitCode {
    // Usage errors end here, with exit code 2.
    let args = cli::args::Cli::parse();
    ExitCode::from(cli::run(args).code())
}
