//! The command line: what was typed into what is done, and how it ended into an exit code.

mod approvals;
pub mod args;
mod ask;
mod engine;
mod findings;
mod keylog;
mod learn;
mod load;
mod logs;
mod outputs;
mod outputs_file;
mod portal;
mod progress;
mod replace;
mod replay;
mod review;
mod rules;
mod state;
mod store;
mod watch;

use std::fmt;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use args::{Cli, Command};

/// How the program ended: its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: clean.
    Clean,
    /// 1: findings at or above `--fail-on`.
    Findings,
    /// 2: usage or configuration.
    Usage,
    /// 3: damaged or unreadable input.
    Damaged,
    /// 4: coverage below `--min-coverage`.
    Coverage,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// The operator's fault, or the system's: why nothing (more) was done.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where ICAP is listened for unless told otherwise; 1344 is its port (RFC 3507 section 4.2).
const ICAP_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1344);

/// Does what the command line says. What goes wrong is said on standard error.
#[must_use]
pub fn run(cli: Cli) -> Exit {
    let done = match cli.command {
        Command::Replay(args) => replay::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Icap(mut args) => {
            args.servers.icap.address.get_or_insert(ICAP_ADDRESS);
            watch::run(&args)
        }
        Command::Rules(command) => rules::run(command),
        Command::Approvals(command) => approvals::run(command),
        Command::Findings(command) => findings::run(command),
        Command::Store(command) => store::run(&command),
        Command::Ask(args) => ask::run(&args),
        Command::Outputs(command) => outputs_file::run(command),
        Command::Portal(args) => portal::run(&args),
    };
    done.unwrap_or_else(|failure| {
        complain(&format!("error: {failure}"));
        Exit::Usage
    })
}

/// Says something on standard error.
fn complain(text: &str) {
    // There is nobody left to tell when standard error is closed.
    let _closed = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

/// Prints on standard output. A reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
