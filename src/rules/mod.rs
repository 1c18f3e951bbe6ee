//! Rules: YAML into a compiled set; observations into matches. Sans-IO but for loading files.

use serde::{Deserialize, Serialize};

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
