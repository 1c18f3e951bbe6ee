//! Threshold files as written: how many matches of a rule become findings.

use serde::Deserialize;

use super::RuleChoice;
use crate::rules::problem::Located;

/// The value of `schema:` in a file of thresholds.
pub const THRESHOLDS_SCHEMA: &str = "shadowtap/thresholds@1";

/// A file of thresholds: how many matches of a rule become findings.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "shadowtap thresholds")]
pub struct Thresholds {
    /// Format of the file: `shadowtap/thresholds@1`.
    #[schemars(extend("const" = THRESHOLDS_SCHEMA))]
    pub schema: String,
    /// The thresholds. A match must pass all that its rule has, in the order of the files.
    pub items: Vec<Threshold>,
}

/// How many matches become findings. Those held back are counted. Every rule has counters of its
/// own, also when an item names several.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The rules: one id, a list of them, or all that begin alike (`SMCP-5*`).
    pub rule: Located<RuleChoice>,
    /// Which matches pass.
    #[serde(rename = "type")]
    pub kind: ThresholdKind,
    /// N: how many matches.
    #[schemars(extend("minimum" = 1))]
    pub count: Located<u64>,
    /// Length of the window, in packet time: `60s`, `10m`, `1h`, `1d`. It begins with a match and
    /// ends just before this time has passed.
    #[schemars(extend("pattern" = "^[0-9]+[smhd]$"))]
    pub within: Located<String>,
    /// What has a counter of its own.
    pub per: Per,
}

/// Which matches pass a threshold (as in Suricata's `threshold.config`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdKind {
    /// The first N of a window.
    Limit,
    /// Every N-th: the N-th of a window passes, and the next window begins with it (Suricata's
    /// `threshold`).
    Rate,
    /// The N-th of a window, and no other.
    Both,
}

/// What has a counter of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each client.
    Source,
    /// Each server.
    Server,
    /// Each client with each server.
    Pair,
    /// The rule as a whole.
    Rule,
}
