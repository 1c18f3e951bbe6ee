//! `shadowtap rules` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RuleSource;
use crate::rules::On;

/// Said at the end of `rules why --help`.
const WHY_HELP: &str = "\
EVENT is one of
  - a line of the NDJSON output: a finding, a message or a server event. Such a line keeps only a
    part of what rules read; conditions on the rest are marked `?`
  - an exchange or a list of them, as under `give` of an inline test, or a whole test with `give`
    and `approvals`, in YAML or JSON: it goes through the real recognition";

/// Said at the end of `rules fmt --help`.
const FMT_HELP: &str = "\
Puts the keys of a file in their usual order, with the comments above them, and tidies blank lines,
trailing blanks and quotes. What a file means never changes: a file that would read differently
afterwards is left alone, and said.

Exit codes: 0, or 1 when --check finds files to format, 2 when a file cannot be formatted.";

/// Said at the end of `rules bench --help`.
const BENCH_HELP: &str = "\
Each rule is measured alone, on a bounded sample of what the captures gave rules to look at.
  PASS      share of the sample in which a literal of the rule occurs
  HIT       share of the sample that the rule matches
  NS        nanoseconds for one subject on average: the conditions, where a literal occurs
  NS/PASS   nanoseconds for one subject in which a literal occurs
Measure with a release build, on a quiet machine.";

/// `shadowtap rules`.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Validate rules and run their inline tests.
    Check {
        /// Rule files or folders (default: the built-in rules).
        paths: Vec<PathBuf>,
    },
    /// Run the inline tests of rules and count them.
    Test {
        /// Rule files or folders (default: the built-in rules).
        paths: Vec<PathBuf>,
        /// Only this rule; may be given several times.
        #[arg(long, value_name = "ID")]
        only: Vec<String>,
    },
    /// List rules, correlations, exceptions and thresholds.
    List {
        /// Rules to list.
        #[command(flatten)]
        source: RuleSource,
    },
    /// Show what a rule reads, how it is prefiltered, and its tests; or when a correlation fires.
    Explain {
        /// Id of a rule or correlation, as SMCP-1001.
        id: String,
        /// Also measure what it costs on these captures; may be given several times.
        #[arg(long, value_name = "CAPTURE")]
        measure: Vec<PathBuf>,
        /// Rules to look in.
        #[command(flatten)]
        source: RuleSource,
    },
    /// Show, condition by condition, why rules match an event or do not.
    #[command(after_help = WHY_HELP)]
    Why {
        /// File with the event, or - for standard input.
        event: PathBuf,
        /// Only this rule.
        #[arg(long, value_name = "ID")]
        rule: Option<String>,
        /// Rules to ask.
        #[command(flatten)]
        source: RuleSource,
    },
    /// Show which threats of public taxonomies have rules, and which have none.
    Cover {
        /// Form of the matrix.
        #[arg(long, value_name = "FORM", default_value = "md", value_parser = ["md", "json"])]
        format: String,
        /// Rules to look at.
        #[command(flatten)]
        source: RuleSource,
    },
    /// Measure what rules cost on captures.
    #[command(after_help = BENCH_HELP)]
    Bench {
        /// Capture files, folders, glob patterns, or - for standard input.
        #[arg(required = true, value_name = "CAPTURE")]
        captures: Vec<PathBuf>,
        /// Rules to measure.
        #[command(flatten)]
        source: RuleSource,
    },
    /// Format rule files in place.
    #[command(after_help = FMT_HELP)]
    Fmt {
        /// Write nothing; name the files that are not formatted.
        #[arg(long)]
        check: bool,
        /// Rule files or folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Begin a rule: a commented file to fill in.
    New(New),
    /// Turn rules of other products into rules.
    #[command(subcommand)]
    Import(Import),
    /// Turn rules into rules of other products.
    #[command(subcommand)]
    Export(Export),
    /// Show which rules two sets of files add, remove and change.
    Diff {
        /// Rule file or folder as it was, or `builtin`.
        old: PathBuf,
        /// Rule file or folder as it is, or `builtin`.
        new: PathBuf,
    },
    /// Count the findings of each rule in NDJSON output, and name the rules that never fired.
    Stats {
        /// NDJSON files, or - for standard input.
        #[arg(required = true, value_name = "FINDINGS")]
        files: Vec<PathBuf>,
        /// Rules that could have fired.
        #[command(flatten)]
        source: RuleSource,
    },
    /// Print the JSON Schema of rule files, or of another kind.
    Schema {
        /// Kind of file.
        #[arg(long, value_name = "KIND", default_value = "rule",
            value_parser = ["rule", "list", "exceptions", "thresholds", "correlation"])]
        kind: String,
    },
}

/// `shadowtap rules new`.
#[derive(Debug, Args)]
pub struct New {
    /// Id that no rule has yet; yours are SMCP-9000 to SMCP-9999.
    pub id: String,
    /// What it is evaluated on: exchange, message, server, tls, dns.
    #[arg(long, value_name = "SUBJECT", value_parser = on)]
    pub on: On,
    /// What it finds, in one line.
    #[arg(long)]
    pub title: String,
    /// Where the file goes.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Rules whose ids are taken, beside the built-in ones and those of the folder.
    #[command(flatten)]
    pub source: RuleSource,
}

/// `shadowtap rules import`.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Custom profiles of Cloudflare DLP: one rule for each pattern.
    ///
    /// Reads JSON with entries that have `pattern.regex` (the API, `terraform show -json`), lines
    /// of name, tab, expression, or a YAML map from names to expressions.
    CloudflareDlp {
        /// The file, or - for standard input.
        file: PathBuf,
        /// Folder for the rules (default: print them).
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Id of the first rule; the others follow.
        #[arg(long, value_name = "ID", default_value = "SMCP-9100")]
        first_id: String,
    },
}

/// `shadowtap rules export`.
#[derive(Debug, Subcommand)]
pub enum Export {
    /// Sigma rules on the findings of shadowtap, for a SIEM that stores them.
    Sigma {
        /// Folder for the files (default: print them).
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Say what the rules lose, rule by rule, in place of writing them.
        #[arg(long)]
        notes: bool,
        /// Rules to export.
        #[command(flatten)]
        source: RuleSource,
    },
    /// Suricata rules, for places where shadowtap does not run.
    Suricata {
        /// File for the rules (default: print them).
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Signature id of the first rule; the others follow.
        #[arg(long, value_name = "SID", default_value = "9100000",
            value_parser = clap::value_parser!(u32).range(1..=4_000_000_000))]
        first_sid: u32,
        /// Say what the rules lose, rule by rule, in place of writing them.
        #[arg(long)]
        notes: bool,
        /// Rules to export.
        #[command(flatten)]
        source: RuleSource,
    },
    /// A file for Zeek's intelligence framework: public MCP hosts that are not approved.
    ZeekIntel {
        /// Approved servers.
        #[arg(long, value_name = "FILE")]
        approvals: PathBuf,
        /// CSV file of public MCP hosts, in place of the built-in catalog.
        #[arg(long, value_name = "FILE")]
        catalog: Option<PathBuf>,
        /// The file to write (default: print it).
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Say what the file loses, in place of writing it.
        #[arg(long)]
        notes: bool,
    },
}

fn on(text: &str) -> Result<On, String> {
    let names = || On::ALL.map(On::as_str).join(", ");
    On::ALL.into_iter().find(|on| on.as_str() == text).ok_or_else(|| format!("one of {}", names()))
}
