//! What of the circumstances of a match bears on its severity.

use serde::{Deserialize, Serialize};

/// A column of the severity table (`finding::severity`). A rule names those that apply to it in
/// `context`; none apply unless named.
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
pub enum Dimension {
    /// What the approvals say of this client's use of the server.
    Approval,
    /// Whether the traffic stays inside.
    Direction,
    /// Whether what was tried worked.
    Outcome,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Approval, Self::Direction, Self::Outcome];

    /// Its name in rule files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Direction => "direction",
            Self::Outcome => "outcome",
        }
    }
}
