//! How much harm a tool can do.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Kind;
use super::wild::Wild;
use crate::portal::wire;

/// How much harm a tool can do, by what the operator says; what nobody classified is
/// [`Tier::ContainedWrite`].
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
pub enum Tier {
    /// Changes nothing.
    Read,
    /// Changes little, and it can be undone.
    Minimal,
    /// Changes what is the caller's own.
    #[default]
    ContainedWrite,
    /// Destroys, pays, publishes, or touches what is others'.
    Critical,
}

impl Tier {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Minimal, Self::ContainedWrite, Self::Critical];

    /// As in the file, in records and in `resource.tier`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Minimal => "minimal",
            Self::ContainedWrite => "contained_write",
            Self::Critical => "critical",
        }
    }
}

/// What a server says of a tool's effects (`annotations`, MCP 2025-03-26 server/tools). Believed
/// where it makes the tool worse, and never where it makes it better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hints {
    /// `readOnlyHint`.
    pub read_only: Option<bool>,
    /// `destructiveHint`.
    pub destructive: Option<bool>,
}

impl Hints {
    /// Of a tool's definition.
    #[must_use]
    pub fn of(definition: &RawValue) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Annotations {
            #[serde(rename = "readOnlyHint")]
            read_only: Option<serde_json::Value>,
            #[serde(rename = "destructiveHint")]
            destructive: Option<serde_json::Value>,
        }
        let found: Annotations = wire::member(Some(definition), "annotations").unwrap_or_default();
        // A hint that is no boolean says nothing; it must not hide the other one.
        Self {
            read_only: found.read_only.and_then(|value| value.as_bool()),
            destructive: found.destructive.and_then(|value| value.as_bool()),
        }
    }

    /// The least tier that a tool with these hints has.
    const fn least(self) -> Tier {
        match (self.destructive, self.read_only) {
            (Some(true), _) => Tier::Critical,
            (_, Some(false)) => Tier::Minimal,
            _ => Tier::Read,
        }
    }
}

/// Tools that the operator classified.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) servers: Vec<Wild>,
    pub(super) tools: Vec<Wild>,
    pub(super) tier: Tier,
}

/// The tier of an item: of the first class that it is in, raised by its own hints.
pub(super) fn tier(classes: &[Class], server: &str, kind: Kind, name: &str, hints: Hints) -> Tier {
    if kind != Kind::Tool {
        return Tier::Read;
    }
    let fits = |any: &[Wild], text: &str| any.iter().any(|wild| wild.matches(text));
    let class =
        classes.iter().find(|class| fits(&class.servers, server) && fits(&class.tools, name));
    class.map_or_else(Tier::default, |class| class.tier).max(hints.least())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_raise_a_tier_and_never_lower_it() {
        let class = |name: &str, tier| Class {
            servers: vec![Wild::any()],
            tools: vec![Wild::parse(name).unwrap()],
            tier,
        };
        let classes = [class("get_*", Tier::Read), class("pay", Tier::Critical)];
        let hints = |read_only, destructive| Hints { read_only, destructive };
        for (name, hint, expected) in [
            ("get_x", hints(None, None), Tier::Read),
            ("get_x", hints(Some(false), None), Tier::Minimal),
            ("get_x", hints(None, Some(true)), Tier::Critical),
            ("get_x", hints(Some(true), Some(true)), Tier::Critical),
            ("other", hints(None, None), Tier::ContainedWrite),
            ("other", hints(Some(true), Some(false)), Tier::ContainedWrite),
            ("pay", hints(Some(true), Some(false)), Tier::Critical),
        ] {
            assert_eq!(tier(&classes, "s", Kind::Tool, name, hint), expected, "{name} {hint:?}");
        }
        assert_eq!(tier(&classes, "s", Kind::Prompt, "pay", hints(None, None)), Tier::Read);
    }

    #[test]
    fn hints_that_are_no_booleans_say_nothing() {
        let read = |text: &str| Hints::of(&serde_json::from_str::<wire::Raw>(text).unwrap());
        let hints = read(r#"{"annotations":{"readOnlyHint":"true","destructiveHint":true}}"#);
        assert_eq!(hints, Hints { read_only: None, destructive: Some(true) });
        for text in ["{}", "[]", r#"{"annotations":7}"#, r#"{"annotations":null}"#] {
            assert_eq!(read(text), Hints::default(), "{text}");
        }
    }
}
