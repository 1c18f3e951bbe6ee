//! The command line as typed.

mod ask;
mod intake;
mod logs;
mod outputs;
mod outputs_file;
mod portal;
mod portal_policy;
mod rules;
mod store;

use std::path::PathBuf;
use std::time::Duration;

pub use ask::{ASK_HELP, Ask};
use clap::{Args, Parser, Subcommand};
pub use intake::{BodiesKind, Servers};
pub use logs::{Beginning, Followed, LOGS_HELP, Logs, LogsCommand};
pub use outputs::{Load, Outputs};
pub use outputs_file::OutputsCommand;
pub use portal::{PORTAL_HELP, Portal, PortalApprovals, PortalCommand, PortalRun, PortalToken};
pub use portal_policy::{
    PortalDefinition, PortalExplain, PortalHold, PortalHolds, PortalPins, PortalPolicy, PortalState,
};
pub use rules::{Export, Import, New, Rules};
pub use store::{ClusterArgs, EngineArgs, Migrate, Sql, Status, Store, StoreAddress, Up};

use crate::finding::ruling::Ruling;
use crate::rules::{Lane, Severity};
use crate::time;

/// Finds Shadow MCP: Model Context Protocol servers in use without approval.
#[derive(Debug, Parser)]
#[command(name = "shadowtap", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Said at the end of `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  clean
  1  findings at or above --fail-on
  2  usage, configuration, a path that is not there, or output that cannot be written
  3  input that is damaged or no capture (what could be read of it is still reported)
  4  coverage below --min-coverage
Where several hold, 2 comes before 3, 3 before 4, and 4 before 1.";

/// Said at the end of `watch --help`.
pub const WATCH_HELP: &str = "\
Capturing needs the capability CAP_NET_RAW and nothing else: the systemd unit gives it, root has it,
and so has the program after `setcap cap_net_raw=ep PROGRAM`. All others are given up at the start.

Signals:
  SIGHUP            read rules, approvals and catalog again; if they have problems, those before stay
  SIGUSR1           print statistics
  SIGTERM, SIGINT   stop: look at what is under way, print the report; a second one ends at once

Exit codes: 0, or 1 with --fail-on, 2 when watching cannot begin or go on.";

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read captures and name every MCP server in them.
    #[command(after_help = EXIT_CODES)]
    Replay(Replay),
    /// Read logs of proxies and sensors and name every MCP server in them.
    #[command(after_help = LOGS_HELP)]
    Logs(Logs),
    /// Watch interfaces and tell of MCP servers as they are used, until stopped.
    #[command(after_help = WATCH_HELP)]
    Watch(Box<Watch>),
    /// Listen for proxies that speak ICAP: `watch --icap`, at 127.0.0.1:1344 unless told otherwise.
    #[command(after_help = WATCH_HELP)]
    Icap(Box<Watch>),
    /// Check, test, explain, write and convert rules.
    #[command(subcommand)]
    Rules(Rules),
    /// Check, draft and review approvals.
    #[command(subcommand)]
    Approvals(Approvals),
    /// List findings, say which were right, and see how often each rule is.
    #[command(subcommand)]
    Findings(Findings),
    /// Make, look at and run the store: ClickHouse with findings and what they rest on.
    #[command(subcommand)]
    Store(Store),
    /// Ask named questions of the store, or of NDJSON files.
    #[command(after_help = ASK_HELP)]
    Ask(Ask),
    /// Check and explain a file of outputs: where events go beside files.
    #[command(subcommand)]
    Outputs(OutputsCommand),
    /// Put approved servers behind one endpoint, with policy, inspection and a record of each call.
    #[command(after_help = PORTAL_HELP)]
    Portal(Portal),
}

/// Where rules come from.
#[derive(Clone, Debug, Default, Args)]
pub struct RuleSource {
    /// Rule file or folder, beside the built-in rules; may be given several times.
    #[arg(long = "rules", value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// Widest lane that makes findings: `alert` leaves out what is for hunters only.
    #[arg(long, value_name = "LANE", value_enum, default_value_t)]
    pub lane: Widest,
    /// Leave the built-in rules out.
    #[arg(long, requires = "rules")]
    pub no_builtin_rules: bool,
    /// CSV file of public MCP hosts, in place of the built-in catalog.
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
}

/// `--lane`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Widest {
    /// All rules.
    #[default]
    Hunt,
    /// Rules whose findings somebody is to act on.
    Alert,
    /// Rules that are sure enough to refuse traffic.
    Enforce,
}

impl From<Widest> for Lane {
    fn from(widest: Widest) -> Self {
        match widest {
            Widest::Hunt => Self::Hunt,
            Widest::Alert => Self::Alert,
            Widest::Enforce => Self::Enforce,
        }
    }
}

/// `shadowtap replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Capture files (pcap, pcapng, also .gz and .zst), folders, glob patterns, or - for standard
    /// input.
    #[arg(required = true, value_name = "CAPTURE")]
    pub captures: Vec<PathBuf>,
    /// Log of a proxy or sensor beside the captures (or a folder, or a quoted pattern): what both
    /// show of an exchange is one finding; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub logs: Vec<PathBuf>,
    /// What any run that ends is told.
    #[command(flatten)]
    pub run: RunOptions,
    /// What a run over packets is told.
    #[command(flatten)]
    pub packets: PacketOptions,
}

/// What a run over packets is told.
#[derive(Clone, Debug, Default, Args)]
pub struct PacketOptions {
    /// Fail with exit code 4 if less than this share of the TCP and QUIC payload could be read (99 or 99%).
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub min_coverage: Option<f64>,
    /// TLS key log (SSLKEYLOGFILE) to decrypt with; may be given several times. Secrets inside
    /// pcapng files are used by themselves.
    #[arg(long, value_name = "FILE")]
    pub keylog: Vec<PathBuf>,
    /// Treat one five-tuple in different VLANs or tunnels as one flow; findings then do not name
    /// them.
    #[arg(long)]
    pub ignore_vlan: bool,
}

/// What any run that ends is told.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Approved servers (default: approvals.yaml here, if there is one).
    #[arg(long, value_name = "FILE")]
    pub approvals: Option<PathBuf>,
    /// Count approvals without an owner (`CHANGE-ME`, as drafts have it) as well.
    #[arg(long)]
    pub accept_drafts: bool,
    /// Rules and catalog.
    #[command(flatten)]
    pub rules: RuleSource,
    /// Collect servers that nobody has decided about in OUT (made, or added to) instead of telling
    /// their findings; `approvals review OUT` goes through them. Grave findings are told.
    #[arg(long, value_name = "OUT")]
    pub learn: Option<PathBuf>,
    /// Lowest severity of a finding that makes the exit code 1, or `never`.
    #[arg(long, value_name = "SEVERITY", default_value = "medium", value_parser = fail_on)]
    pub fail_on: FailOn,
    /// Folder for the NDJSON output; files of an earlier run of the same input are replaced.
    #[arg(long, value_name = "DIR", default_value = "findings")]
    pub out: PathBuf,
    /// Write no NDJSON files.
    #[arg(long)]
    pub no_files: bool,
    /// Outputs over a network.
    #[command(flatten)]
    pub outputs: Outputs,
    /// Folder that keeps what the lists of servers said, so that the next run sees what changed.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print NDJSON events on standard output in place of the report.
    #[arg(long)]
    pub json: bool,
    /// Also write a report: sarif=FILE or junit=FILE; may be given several times.
    #[arg(long, value_name = "KIND=FILE", value_parser = report)]
    pub report: Vec<Report>,
    /// Threads that look into the traffic (default: one per processor, 8 at most). The output is
    /// the same for any number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    /// File whose bytes key the hashes of session ids.
    #[arg(long, value_name = "FILE")]
    pub hash_key: Option<PathBuf>,
    /// No progress bar.
    #[arg(long, short)]
    pub quiet: bool,
    /// Colours in the report.
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = ["auto", "always", "never"])]
    pub color: String,
}

/// `shadowtap watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Interface to read, or `any`; may be given several times, for the two directions of a link
    /// for example: all of them are one network.
    #[arg(long = "interface", short = 'i', value_name = "NAME")]
    pub interfaces: Vec<String>,
    /// Logs that are followed.
    #[command(flatten)]
    pub followed: Followed,
    /// Servers that proxies send to.
    #[command(flatten)]
    pub servers: Servers,
    /// Look only at packets that this pcap-filter(7) expression lets through. Frames with VLAN tags
    /// need `vlan and ...`.
    #[arg(long, value_name = "EXPRESSION")]
    pub filter: Option<String>,
    /// Bytes of each packet to capture.
    #[arg(long, value_name = "BYTES", default_value = "262144",
        value_parser = clap::value_parser!(u32).range(68..=262_144))]
    pub snaplen: u32,
    /// Buffer in the kernel for each interface, as 64MiB; raise it when packets are dropped.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = buffer_size)]
    pub buffer: u32,
    /// See only what the interface accepts anyway.
    #[arg(long)]
    pub no_promiscuous: bool,
    /// Start although an interface is not there or down, and read it once it is up.
    #[arg(long)]
    pub wait_for_interface: bool,
    /// The same addresses and ports on two interfaces are two flows.
    #[arg(long)]
    pub separate_interfaces: bool,
    /// Approved servers (default: approvals.yaml here, if there is one).
    #[arg(long, value_name = "FILE")]
    pub approvals: Option<PathBuf>,
    /// Count approvals without an owner (`CHANGE-ME`, as drafts have it) as well.
    #[arg(long)]
    pub accept_drafts: bool,
    /// Rules and catalog.
    #[command(flatten)]
    pub rules: RuleSource,
    /// For so long from the first start on, as 7d, collect servers that nobody has decided about in
    /// learned.json of --state instead of telling their findings; `approvals review` goes through
    /// them. Grave findings are told.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub learn: Option<Duration>,
    /// Folder for what the sensor remembers: what the lists of servers said (kept, with this
    /// option, across restarts) and what --learn collected (`state` when absent).
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Lowest severity of a finding that makes the exit code 1, or `never`.
    #[arg(long, value_name = "SEVERITY", default_value = "never", value_parser = fail_on)]
    pub fail_on: FailOn,
    /// Folder for the NDJSON output: watch.ndjson, watch.1.ndjson and so on, each finished at 64
    /// MiB or after an hour.
    #[arg(long, value_name = "DIR", default_value = "findings")]
    pub out: PathBuf,
    /// Room for all of it, as 1GB: the oldest files are removed.
    #[arg(long, value_name = "SIZE", default_value = "1GB", value_parser = kept_size)]
    pub keep_output: u64,
    /// Write no NDJSON files.
    #[arg(long)]
    pub no_files: bool,
    /// Outputs over a network.
    #[command(flatten)]
    pub outputs: Outputs,
    /// Print NDJSON events on standard output, in place of a line for each finding and a report at
    /// the end.
    #[arg(long)]
    pub json: bool,
    /// Between two statistics events, as 60s, 5m or 1h; a line on standard error says when packets
    /// were lost.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub stats_interval: Duration,
    /// Keep the last packets, so many as fit into SIZE (16MiB at least), in DIR/ring of --out, and
    /// those of each finding as DIR/packets/ID.pcap.
    #[arg(long, value_name = "SIZE", value_parser = ring_size)]
    pub keep_packets: Option<u64>,
    /// Show metrics for Prometheus and a health page on this address; with no ADDRESS, on loopback.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1,
        default_missing_value = crate::sinks::metrics::DEFAULT_ADDRESS)]
    pub metrics: Option<std::net::SocketAddr>,
    /// TLS key log (SSLKEYLOGFILE) to decrypt with, followed while programs write to it; may be
    /// given several times.
    #[arg(long, value_name = "FILE")]
    pub keylog: Vec<PathBuf>,
    /// Threads that look into the traffic (default: one per processor, 16 at most).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub threads: Option<u16>,
    /// File whose bytes key the hashes of session ids.
    #[arg(long, value_name = "FILE")]
    pub hash_key: Option<PathBuf>,
    /// Treat one five-tuple in different VLANs as one flow.
    #[arg(long)]
    pub ignore_vlan: bool,
    /// No line for each finding, and none at the start.
    #[arg(long, short)]
    pub quiet: bool,
    /// Colours in the report.
    #[arg(long, value_name = "WHEN", default_value = "auto", value_parser = ["auto", "always", "never"])]
    pub color: String,
}

/// `shadowtap approvals`.
#[derive(Debug, Subcommand)]
pub enum Approvals {
    /// Validate an approvals file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Turn what captures show into an approvals file to review, on standard output.
    Draft {
        /// Capture files, folders, glob patterns, or - for standard input.
        #[arg(required = true, value_name = "CAPTURE")]
        captures: Vec<PathBuf>,
    },
    /// Go through the servers that --learn collected, and approve or reject each.
    Review(Review),
    /// Print the JSON Schema of approvals files.
    Schema,
}

/// `shadowtap approvals review`.
#[derive(Debug, Args)]
pub struct Review {
    /// What was learnt: OUT of `replay --learn`, or learned.json in the state directory of `watch
    /// --learn`.
    pub file: PathBuf,
    /// Approvals file that entries are added to; it is made if it is not there.
    #[arg(long, value_name = "FILE", default_value = "approvals.yaml")]
    pub approvals: PathBuf,
    /// Approve these without asking: keys, hosts, or `all`; the others are left.
    #[arg(long, value_name = "SERVERS", value_delimiter = ',', requires = "owner")]
    pub yes_to: Vec<String>,
    /// Who answers for what is approved (default: asked).
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub owner: Option<String>,
    /// Last day of what is approved, as 2027-03-31 (default: 90 days from now).
    #[arg(long, value_name = "DAY")]
    pub expires: Option<String>,
    /// Who approves (default: $USER).
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// `shadowtap findings`.
#[derive(Debug, Subcommand)]
pub enum Findings {
    /// List the findings of NDJSON files, one line each.
    List {
        /// NDJSON files, or folders of them.
        #[arg(value_name = "FILE", default_value = "findings")]
        files: Vec<PathBuf>,
    },
    /// Say what a finding was: tp (somebody had to act), fp (it did not happen), benign (it is
    /// allowed). For the last two, print what to write so that it is not told again.
    Verdict {
        /// Id of the finding, or the beginning of it.
        id: String,
        /// tp, fp or benign.
        #[arg(value_parser = ruling)]
        verdict: Ruling,
        /// NDJSON file or folder that has the finding; may be given several times.
        #[arg(long = "in", value_name = "PATH", default_value = "findings")]
        files: Vec<PathBuf>,
        /// State directory that keeps the verdict.
        #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
        state: PathBuf,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Print how often each rule was right, by the verdicts so far.
    Precision {
        /// State directory that keeps the verdicts.
        #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE)]
        state: PathBuf,
    },
}

/// Where the program remembers things between runs, unless told otherwise.
pub const DEFAULT_STATE: &str = "state";

fn ruling(text: &str) -> Result<Ruling, String> {
    let all = [Ruling::Tp, Ruling::Fp, Ruling::Benign];
    let found = all.into_iter().find(|ruling| ruling.as_str() == text);
    found.ok_or_else(|| "one of tp, fp, benign".to_owned())
}

/// `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// Findings never fail the run.
    Never,
    /// Findings of this severity and above do.
    At(Severity),
}

impl FailOn {
    /// Whether a finding of `severity` fails the run.
    #[must_use]
    pub fn fails(self, severity: Severity) -> bool {
        matches!(self, Self::At(least) if severity >= least)
    }
}

/// A kind of report and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// SARIF 2.1.0.
    Sarif(PathBuf),
    /// JUnit XML.
    Junit(PathBuf),
}

impl Report {
    /// Where it goes.
    #[must_use]
    pub const fn file(&self) -> &PathBuf {
        match self {
            Self::Sarif(file) | Self::Junit(file) => file,
        }
    }
}

fn fail_on(text: &str) -> Result<FailOn, String> {
    let severity = match text {
        "never" => return Ok(FailOn::Never),
        "info" => Severity::Info,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        "critical" => Severity::Critical,
        _ => return Err("one of info, low, medium, high, critical, never".to_owned()),
    };
    Ok(FailOn::At(severity))
}

/// A number of bytes: `1048576`, `1MiB`, `1M` (which is the same) or `1MB` (which is 1000000).
fn size(text: &str) -> Result<u64, String> {
    let unknown = || "a size, as 64MiB, 500MB or 1GB".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(unknown)?;
    let number: u64 = number.parse().map_err(|_| unknown())?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(unknown()),
    };
    number.checked_mul(factor).ok_or_else(unknown)
}

fn kept_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes >= 1 << 20 => Ok(bytes),
        _ => Err("1MiB at least".to_owned()),
    }
}

fn ring_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        bytes if bytes >= crate::sinks::packets::MIN_RING_BYTES => Ok(bytes),
        _ => Err("16MiB at least".to_owned()),
    }
}

fn buffer_size(text: &str) -> Result<u32, String> {
    match u32::try_from(size(text)?) {
        Ok(bytes) if (1 << 20..1 << 31).contains(&bytes) => Ok(bytes),
        _ => Err("from 1MiB to below 2GiB".to_owned()),
    }
}

/// A length of time: `60`, `60s`, `5m`, `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = || text.parse().ok().map(Duration::from_secs);
    let span = time::span(text).or_else(seconds).filter(|span| !span.is_zero());
    span.ok_or_else(|| "a time of a second at least, as 60s, 5m or 1h".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("a percentage from 0 to 100, as 99%".to_owned()),
    }
}

fn report(text: &str) -> Result<Report, String> {
    match text.split_once('=') {
        Some(("sarif", file)) if !file.is_empty() => Ok(Report::Sarif(file.into())),
        Some(("junit", file)) if !file.is_empty() => Ok(Report::Junit(file.into())),
        _ => Err("sarif=FILE or junit=FILE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn percentages_with_and_without_sign() {
        assert_eq!(percent("99%"), Ok(99.0));
        assert_eq!(percent("99.5"), Ok(99.5));
        assert!(percent("101").is_err());
        assert!(percent("x").is_err());
    }

    #[test]
    fn sizes_and_times_with_units() {
        for (text, bytes) in [
            ("0", 0),
            ("64MiB", 64 << 20),
            ("64M", 64 << 20),
            ("1GB", 1_000_000_000),
            ("1 kb", 1_000),
            ("2t", 2 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5G", "1X", "18446744073709551615k"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(buffer_size("2GiB").is_err() && buffer_size("1k").is_err());
        assert_eq!(buffer_size("1GiB"), Ok(1 << 30));
        for (text, seconds) in [("60", 60), ("90s", 90), ("5m", 300), ("1h", 3_600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "0s", "s", "1y", "-1s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fail_on_compares_severities() {
        let medium = fail_on("medium").unwrap();
        assert!(medium.fails(Severity::High) && medium.fails(Severity::Medium));
        assert!(!medium.fails(Severity::Low));
        assert!(!fail_on("never").unwrap().fails(Severity::Critical));
    }
}
