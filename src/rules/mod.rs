//! Rules: YAML into a compiled set; observations into matches. Sans-IO but for loading files.
//!
//! ```text
//!   load, builtin ─ Source ─▶ syntax ─▶ compile ─▶ RuleSet ─▶ Match
//!                                  └ Problem, Report   ▲
//!                                                      └ Subject (field, prefilter, condition)
//! ```
//!
//! - [`load`] reads files; `builtin` has those that ship with the program.
//! - `syntax` is what the files say, `compile` turns it into what is evaluated, and everything
//!   that is wrong becomes a [`Problem`] with its place in the file.
//! - `field` is the catalogue of what rules can read from a [`Subject`].
//! - `prefilter` looks for literals first, so that few rules are evaluated on any one subject.
//! - `testing` runs the examples that every rule brings along.
//! - [`tuning`] is what stands outside of rules: exceptions, thresholds, correlations.
//! - [`catalog`] knows the hosts of public MCP services, [`advisory`] vulnerable software.

pub mod advisory;
mod builtin;
pub mod catalog;
mod check;
mod columns;
mod compile;
mod condition;
mod content;
mod context;
mod cost;
mod cover;
mod diff;
mod explain;
pub mod export;
mod field;
mod format;
mod fresh;
mod glimpse;
pub mod import;
mod list;
mod literal;
pub mod load;
mod prefilter;
mod problem;
mod schema;
mod set;
mod subject;
pub mod syntax;
mod tally;
mod template;
mod testing;
#[cfg(test)]
mod tests;
mod trial;
pub mod tuning;
mod why;

use serde::{Deserialize, Serialize};

pub use builtin::{sources as builtin, sources_without_tests as builtin_without_tests};
pub use check::{beside_builtin, check, compile};
pub use content::Content;
pub use context::Dimension;
pub use cost::{Clock, Cost, Costs, cost, costs};
pub use cover::{Coverage, Row, RuleRow, Standard, cover};
pub use diff::{Change, Difference, diff};
pub use explain::{explain, table};
pub(crate) use field::tls_version_name;
pub use field::{CATALOGUE, Field, On, Phase, Shape, Spec, Value};
pub use format::format;
pub use fresh::{Fresh, fresh};
pub use glimpse::Glimpse;
pub use list::List;
pub use problem::{Level, Located, Place, Problem, Report, Source};
pub use schema::{correlation_schema, exceptions_schema, list_schema, schema, thresholds_schema};
pub use set::{Choice, Compiled, Group, Match, Matched, RuleSet, Scratch, Teller};
pub use subject::{
    Copied, Encrypted, HostFrom, LookUp, MessageFacts, OwnedMessage, OwnedSubject, Standing,
    Subject, Tool,
};
pub(crate) use syntax::read as read_yaml;
pub use syntax::{
    Exchange as GivenExchange, Given, GivenAnswer, GivenContact, GivenDns, GivenHello, ListKind,
    Request as GivenRequest, Response as GivenResponse, Taxonomy, Test, Want, example,
};
pub use tally::Tally;
pub use testing::Recognise;
pub use trial::{Trial, Trials, test};
pub use why::{Mask, why, why_event};

/// Bounds on rule files. Operators write them, but others may have written what they load.
///
/// Worst-case memory of a set: `max_files` × `max_file_bytes` of text while compiling, and
/// afterwards `max_pattern_bytes` per regular expression.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest file; longer ones are refused.
    pub max_file_bytes: usize,
    /// Most files in one set; more are refused.
    pub max_files: usize,
    /// Memory of one compiled regular expression; larger ones are refused.
    pub max_pattern_bytes: usize,
    /// Longest regular expression as written; longer ones are refused.
    pub max_pattern_chars: usize,
    /// Most items in a list; longer lists are refused.
    pub max_list_items: usize,
    /// Most active rules on exchanges and messages that no literal filters; more are refused.
    pub max_unfiltered_rules: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 1024 * 1024,
            max_files: 10_000,
            max_pattern_bytes: 1024 * 1024,
            max_pattern_chars: 2_000,
            max_list_items: 50_000,
            max_unfiltered_rules: 16,
        }
    }
}

/// Compiles arbitrary text as a file of any kind, beside a rule that it can refer to, and runs its
/// examples, for fuzzing.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    const BESIDE: &str = "{schema: shadowtap/rule@1, id: SMCP-9001, rev: 1, title: t, \
        status: experimental, lane: hunt, severity: info, confidence: 1, why: w, \
        refs: ['https://example.com'], on: message, when: {mcp.method: tools/call}, \
        report: {text: x}, tests: [{name: a, give: {}, want: hit}, \
        {name: b, give: {}, want: none}]}";
    struct Nothing;
    impl Recognise for Nothing {
        fn subjects(&self, _: &Given) -> Result<Vec<OwnedSubject>, String> {
            Ok(Vec::new())
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let beside = Source::new("beside.yaml", BESIDE);
        let sources = [beside, Source::new("fuzz.yaml", text)];
        match compile(&sources, &Limits::default()) {
            Ok((set, report)) => {
                let _: String = set.rules().iter().map(|rule| explain(rule)).collect();
                let _: String = report.to_string();
                let _ = set.tuning().warnings(crate::time::Timestamp::EPOCH);
            }
            Err(report) => {
                let _: String = report.to_string();
            }
        }
        let (_, report) = check(&sources, &Limits::default(), &Nothing);
        let _: String = report.to_string();
    }
}

/// How bad it is. Ordered.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look when there is time.
    Low,
    /// Somebody should act on it.
    Medium,
    /// Somebody should act on it today.
    High,
    /// Somebody should act on it now.
    Critical,
}

impl Severity {
    /// Its name in files and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Maturity of a rule.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Being written; never loaded by default.
    Draft,
    /// Loaded; may change.
    Experimental,
    /// Loaded; tested on real traffic.
    Stable,
    /// Kept for its id only.
    Deprecated,
}

/// What a rule may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// For hunters: findings that nobody is woken up for.
    Hunt,
    /// Findings to act on.
    Alert,
    /// Sure enough to refuse traffic inline.
    Enforce,
}

/// What a finding repeats of its rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// Stable id, `SMCP-` and four digits; never reused.
    pub id: String,
    /// Revision, from 1.
    pub rev: u32,
    /// One line.
    pub title: String,
    /// Maturity.
    pub status: Status,
    /// What it may do.
    pub lane: Lane,
    /// Severity unless raised.
    pub severity: Severity,
    /// 0 to 100.
    pub confidence: u8,
    /// Why it matters.
    pub why: String,
    /// What to do about it.
    pub todo: Vec<String>,
    /// Where to read more.
    pub refs: Vec<String>,
}
