//! What somebody may list and call.
//!
//! ```text
//! policy: of the file ─► config ─► compile ─► Cedar policies `name#n` ─┐
//! Cedar files beside it ─────────► read ────────────────────────────────┴► Policy ─► Decision
//! ```
//!
//! Deny wins, and nothing is allowed that no rule allows: that is how Cedar decides, and every
//! ruling is Cedar's own. Policies are chosen beforehand by group, server and name
//! ([`Policy::call`] sees a handful of a thousand); where none of those looks at arguments or at
//! the person, the ruling is the same for everybody in the same groups, and is kept.
//!
//! What somebody may not call is not listed. A rule that looks at arguments cannot be decided on
//! while listing: it counts as "maybe", the tool is listed, and the call decides.
//!
//! Decided on is (server, the server's own name): never the name that clients see.

mod arguments;
mod cases;
mod compile;
mod config;
mod decide;
mod explain;
mod lint;
mod literal;
mod raw;
mod slice;
mod tier;
mod wild;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use arguments::Limits as ArgumentLimits;
pub use cases::{Case, Cases, Outcome as CaseOutcome, Who};
pub use config::{Checked, Config};
pub use decide::Policy;
pub use explain::Explanation;
pub use lint::Known;
pub use literal::{literal, pattern};
pub use raw::SCHEMA;
pub use tier::{Hints, Tier};

use crate::observation::DefinitionKind;
use crate::time::Timestamp;

/// What kinds of things a server offers.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
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
pub enum Kind {
    /// Called.
    #[default]
    Tool,
    /// Got.
    Prompt,
    /// Read, or subscribed to; also templates.
    Resource,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tool, Self::Prompt, Self::Resource];

    /// As in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
        }
    }

    /// Its type of entity in Cedar.
    #[must_use]
    pub const fn entity(self) -> &'static str {
        match self {
            Self::Tool => "Tool",
            Self::Prompt => "Prompt",
            Self::Resource => "Resource",
        }
    }
}

impl From<DefinitionKind> for Kind {
    fn from(kind: DefinitionKind) -> Self {
        match kind {
            DefinitionKind::Tool => Self::Tool,
            DefinitionKind::Prompt => Self::Prompt,
            DefinitionKind::Resource | DefinitionKind::ResourceTemplate => Self::Resource,
        }
    }
}

/// What is listed or called.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Id of the server in the configuration.
    pub server: &'a str,
    /// What it is.
    pub kind: Kind,
    /// The server's own name for it; the URI of a resource.
    pub name: &'a str,
    /// What the server says of its effects.
    pub hints: Hints,
}

/// How a definition stands to what was approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinState {
    /// Nothing is pinned, or there is nothing to pin.
    #[default]
    Unpinned,
    /// Nobody approved it, and it may be used all the same.
    New,
    /// As approved.
    Approved,
    /// Not as approved, and it may be used all the same.
    Changed,
    /// New or changed, and waits for approval: neither listed nor called.
    Quarantined,
}

impl PinState {
    /// As in records, and in `context.pin`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unpinned => "unpinned",
            Self::New => "new",
            Self::Approved => "approved",
            Self::Changed => "changed",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Whatever else a decision may rest on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances {
    /// Of the definition.
    pub pin: PinState,
    /// The call comes out of a program that a model wrote.
    pub code: bool,
    /// When.
    pub now: Timestamp,
}

/// What is done with a call.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// It goes on.
    Allow,
    /// It waits until somebody approves it.
    Hold,
    /// It is refused.
    Deny,
}

impl Ruling {
    /// As in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

/// What a decision rests on: all that a client learns of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// A policy.
    Policy,
    /// No policy allows it.
    Default,
    /// Tools of its tier wait for approval.
    Tier,
    /// The definition waits for approval.
    Quarantine,
    /// Policies look at the arguments, which are too large, or no strict JSON object.
    Arguments,
    /// A policy could not be evaluated.
    Error,
}

impl Basis {
    /// As in records, and in `data.kind` of a refusal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Default => "default",
            Self::Tier => "tier",
            Self::Quarantine => "quarantine",
            Self::Arguments => "arguments",
            Self::Error => "error",
        }
    }
}

/// What is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is done.
    pub ruling: Ruling,
    /// Id of the policy that says so, `name#n`: the first by id where several do.
    pub policy: Option<Arc<str>>,
    /// What it rests on.
    pub kind: Basis,
    /// For records and not for clients: what went wrong.
    pub note: Option<Arc<str>>,
    /// Tier of what is called.
    pub tier: Tier,
}

impl Decision {
    /// Whether it goes on, at once or once it is approved.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.ruling, Ruling::Allow | Ruling::Hold)
    }
}

/// Which of the two is decided.
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
pub enum Phase {
    /// Whether it is shown.
    List,
    /// Whether it is done.
    Call,
}

impl Phase {
    /// The id of its action in Cedar.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Call => "call",
        }
    }
}

/// Fuzzes the section of the file: what is read compiles to Cedar that fits the schema, and
/// decides without a panic; deny wins whatever else is allowed.
///
/// # Panics
///
/// When it does not.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    use crate::rules::Source;
    let text = String::from_utf8_lossy(data).into_owned();
    let Ok(config) = serde_saphyr::from_str::<Config>(&text) else { return };
    let source = Source::new("fuzz", text);
    let Ok(checked) = config.check(&source) else { return };
    let Ok(policy) = Policy::new(checked, &[]) else { panic!("what is checked compiles") };
    cases::exercise(&policy);
}
