//! Correlation files as written: rules made of matches of other rules.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Group, Report, RuleChoice, Scalar, Taxonomy, Want};
use crate::rules::problem::Located;
use crate::rules::{Lane, Severity, Status};

/// The value of `schema:` in a correlation file.
pub const CORRELATION_SCHEMA: &str = "shadowtap/correlation@1";

/// A correlation file: one rule made of matches of other rules.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "shadowtap correlation")]
pub struct Correlation {
    /// Format of the file: `shadowtap/correlation@1`.
    #[schemars(extend("const" = CORRELATION_SCHEMA))]
    pub schema: String,
    /// Stable id, `SMCP-` and four digits; never reused, and no rule has it.
    #[schemars(extend("pattern" = "^SMCP-[0-9]{4}$"))]
    pub id: Located<String>,
    /// Revision, from 1.
    pub rev: Located<u32>,
    /// What it finds, in one line.
    pub title: Located<String>,
    /// Maturity.
    pub status: Status,
    /// What it may do. `alert` and `enforce` need rules with `evidence: parsed` or better: all of
    /// them, but for a sequence those of one step. A `distinct_count` of `server` says something of
    /// the client, so there rules on messages will do.
    pub lane: Located<Lane>,
    /// Severity of its findings.
    pub severity: Severity,
    /// How often it is right, 0 to 100.
    #[schemars(extend("maximum" = 100))]
    pub confidence: Located<u8>,
    /// Why it matters, for whoever reads the finding.
    pub why: Located<String>,
    /// What to do about a finding, step by step.
    #[serde(default)]
    pub todo: Vec<String>,
    /// Where it stands in public taxonomies.
    #[serde(default)]
    pub map: Taxonomy,
    /// Where to read more: URLs.
    #[serde(default)]
    pub refs: Vec<Located<String>>,
    /// Which matches together make it fire.
    pub correlate: Correlate,
    /// What a finding says and keeps, of the match that made it fire. `{count}` stands for how
    /// many there were.
    pub report: Report,
    /// `for`: how long further firing of the same group is counted instead of reported. The
    /// groups themselves are `correlate.by`.
    #[serde(default)]
    pub group: Group,
    /// What else can look like this.
    #[serde(default)]
    pub noise: Vec<String>,
    /// Examples: what makes it fire and what does not.
    #[serde(default)]
    pub tests: Vec<CorrelationTest>,
}

/// Which matches together make a correlation fire. It fires once per window and group.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correlate {
    /// Ids of the rules; all that begin alike as `SMCP-5*`, but not in a sequence. A step of a
    /// sequence can be any of several: `SMCP-4001 or SMCP-4002`.
    #[schemars(with = "Vec<String>")]
    pub rules: Located<RuleChoice>,
    /// What is looked at.
    #[serde(rename = "type")]
    pub kind: Located<CorrelationKind>,
    /// What is counted or added up. `distinct_count`: a field of any kind, `client` or `server`;
    /// `sum`: a field that is a number.
    #[serde(default)]
    pub of: Option<Located<String>>,
    /// What makes a group: `client`, `server`, `pair` (both), and fields. Nothing: one group for
    /// everything.
    #[serde(default)]
    pub by: Vec<Located<String>>,
    /// The window that slides along, in packet time: `60s`, `10m`, `1h`, `1d`. Matches that are
    /// so far apart or farther do not belong together.
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    pub within: Located<String>,
    /// `count`, `distinct_count`, `sum`: fires at this number.
    #[serde(default)]
    pub at_least: Option<Located<u64>>,
    /// `sequence`: whether the rules must match in the order of `rules` (`strict`, when absent)
    /// or in any. Matches of one message come in the order of their ids.
    #[serde(default)]
    pub order: Option<Located<Order>>,
    /// `sequence`: a field of which one value must be the same in all matches; or a list with one
    /// field per rule, of which a value of each must meet.
    #[serde(default)]
    #[schemars(with = "Option<OneOrManyFields>")]
    pub join: Option<Located<RuleChoice>>,
    /// `baseline`: what is compared with the history of the client, server and tool.
    #[serde(default)]
    pub measure: Option<Located<Measure>>,
    /// `baseline`: fires at nothing below this, whatever the history.
    #[serde(default)]
    pub floor: Option<Located<u64>>,
    /// `baseline`: fires beyond so many times what the history knows: `3`, `2.5`.
    #[serde(default)]
    pub factor: Option<Located<f64>>,
}

/// One field, or one per rule, for the schema.
#[derive(schemars::JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "describes `join` to the JSON Schema only")]
enum OneOrManyFields {
    /// The same for all rules.
    One(String),
    /// One per rule.
    Many(Vec<String>),
}

/// What a correlation looks at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CorrelationKind {
    /// How many matches.
    Count,
    /// How many different values of a field.
    DistinctCount,
    /// What the values of a field add up to.
    Sum,
    /// Whether every one of the rules has matched.
    Sequence,
    /// Whether a client calls a tool, or moves bytes, far more than it used to. Never fires
    /// before there is enough history.
    Baseline,
}

/// The order of a sequence.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The order of `rules`.
    #[default]
    Strict,
    /// Any.
    Any,
}

/// What a baseline measures.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Matches.
    #[default]
    Calls,
    /// Sizes of the messages (`mcp.size`), added up.
    Bytes,
}

/// An example of what a correlation does.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrelationTest {
    /// What the example shows.
    pub name: Located<String>,
    /// The matches, in the order in which they come.
    pub give: Vec<GivenMatch>,
    /// `baseline`: the limit that the history gives; absent: not enough history yet.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Whether it fires.
    pub want: Located<Want>,
}

/// A match of a rule.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenMatch {
    /// The rule: one of `correlate.rules`.
    #[schemars(extend("pattern" = "^SMCP-[0-9]{4}$"))]
    pub rule: Located<String>,
    /// Client address; `10.77.0.10` when absent.
    #[serde(default)]
    pub client: Option<Located<String>>,
    /// Key of the server; `http://10.77.0.20:8000/mcp` when absent.
    #[serde(default)]
    pub server: Option<String>,
    /// When, from the start of the example: `3s`; `0s` when absent.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    pub at: Option<Located<String>>,
    /// So many such matches, at the same time; 1 when absent.
    #[serde(default)]
    #[schemars(extend("minimum" = 1, "maximum" = 1000))]
    pub times: Option<Located<u32>>,
    /// Values of fields: one value or a list of them.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub fields: BTreeMap<String, Located<Scalar>>,
}
