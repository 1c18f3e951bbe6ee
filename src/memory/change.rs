//! What a list says that was not said before.

use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use crate::observation::{DefinitionKind, Software};
use crate::time::Timestamp;

/// How a definition stands to what is remembered. Ordered by how much it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The definition that was remembered. Of resources, also one that differs in nothing but
    /// `size` and `lastModified`.
    #[default]
    Same,
    /// New, on a list that had never been seen whole from this side: nothing to compare with.
    First,
    /// Nothing can be said: the definition passed a size limit, is the second of its name in one
    /// list, or memory has no room for it. With [`Change::earlier`], it did change.
    Unknown,
    /// Part of a change of form that many definitions of the list share, with the same texts: a
    /// new version of the server's SDK.
    Upgrade,
    /// An earlier definition, or a name that had gone, is back.
    Returned,
    /// A new name on a list that was seen whole before.
    Added,
    /// Texts changed (titles, descriptions, any prose), the form did not.
    Wording,
    /// The form changed (schemas, annotations, anything but texts), the texts did not.
    Shape,
    /// It means something else: `readOnlyHint` was lost, `destructiveHint` gained (with their
    /// defaults, MCP 2025-03-26 server/tools), a parameter is newly required, or texts and form
    /// changed at once.
    Meaning,
}

impl ChangeKind {
    /// Every kind, in order.
    pub const ALL: [Self; 9] = [
        Self::Same,
        Self::First,
        Self::Unknown,
        Self::Upgrade,
        Self::Returned,
        Self::Added,
        Self::Wording,
        Self::Shape,
        Self::Meaning,
    ];

    /// Its name, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::First => "first",
            Self::Unknown => "unknown",
            Self::Upgrade => "upgrade",
            Self::Returned => "returned",
            Self::Added => "added",
            Self::Wording => "wording",
            Self::Shape => "shape",
            Self::Meaning => "meaning",
        }
    }
}

/// Another client was shown another definition at about the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// The other client.
    pub client: IpAddr,
    /// The two definitions took turns (this, the other, this): one change in time does not
    /// explain it. Replicas of a server that run different versions do.
    pub alternates: bool,
}

/// How one definition of a list stands to what is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Kind of the change.
    pub kind: ChangeKind,
    /// What changed: `description`, `title` (of a resource also `name`), `schema` (input schema,
    /// or the arguments of a prompt), `output_schema`, `annotations`, `other`.
    pub parts: Vec<&'static str>,
    /// Sentences, short strings and parameter names that the definition did not hold anywhere
    /// before. Where the earlier text was not kept: all strings of the parts that changed.
    /// Bounded by [`Limits::max_change_text_bytes`](super::Limits::max_change_text_bytes). Not
    /// masked: a server may list secrets.
    pub added_text: Vec<String>,
    /// The same the other way round; empty where the earlier text was not kept.
    pub removed_text: Vec<String>,
    /// Parameters that are required now and were not. Only where the earlier text was kept.
    pub added_required: Vec<String>,
    /// `readOnlyHint` of a tool, earlier and now, where it differs; false when absent.
    pub read_only: Option<(bool, bool)>,
    /// Whether a tool may destroy, earlier and now, where it differs: `destructiveHint`, true
    /// when absent, of a tool that is not read-only.
    pub destructive: Option<(bool, bool)>,
    /// How long the earlier definition had stood.
    pub age: Duration,
    /// Digest of the earlier definition, when it was another; 64 hex digits.
    pub earlier: Option<String>,
    /// Another client saw something else under the same credential.
    pub divergent: Option<Divergence>,
    /// The earlier definition was shown on this side (same credential, or same client) too. If
    /// not, another viewer may be all that changed.
    pub same_view: bool,
    /// How many different definitions there have been under this name, this one included.
    pub versions: u64,
}

impl Change {
    /// Whether the definition is one that rules have not been asked about: anything but
    /// [`ChangeKind::Same`].
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.kind != ChangeKind::Same
    }
}

/// A name that the list no longer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// What it defined.
    pub kind: DefinitionKind,
    /// Its name.
    pub name: String,
    /// When any client was last shown it.
    pub last: Timestamp,
    /// Its last digest.
    pub digest: Option<String>,
}

/// A change of form that many definitions of one list share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upgrade {
    /// How many definitions.
    pub definitions: usize,
    /// Keys that came, went or changed, sorted, at most 16: `$schema`, `additionalProperties`.
    pub keys: Vec<String>,
    /// What the server calls itself, earlier and now, where that differs.
    pub software: Option<(Software, Software)>,
}

/// What one list taught.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lesson {
    /// One for each definition, in their order.
    pub changes: Vec<Change>,
    /// Names that went. Only when the list is now seen whole, as it was before on this side.
    pub removed: Vec<Removed>,
    /// The one change behind all changes of kind [`ChangeKind::Upgrade`].
    pub upgrade: Option<Upgrade>,
}
