//! Exception files as written: matches of rules that are known and not wanted, for a while.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Clause;
use crate::rules::problem::Located;

/// The value of `schema:` in a file of exceptions.
pub const EXCEPTIONS_SCHEMA: &str = "shadowtap/exceptions@1";

/// A file of exceptions: matches of rules that are known and not wanted, for a while.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "shadowtap exceptions")]
pub struct Exceptions {
    /// Format of the file: `shadowtap/exceptions@1`.
    #[schemars(extend("const" = EXCEPTIONS_SCHEMA))]
    pub schema: String,
    /// The exceptions. The first one that holds for a match takes it.
    pub items: Vec<Exception>,
}

/// Matches that make no finding.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Stable name, which no other exception has: statistics and warnings call it so.
    #[schemars(extend("pattern" = "^[a-z0-9][a-z0-9_.-]*$"))]
    pub name: Located<String>,
    /// The rules: one id, a list of them, or all that begin alike (`SMCP-5*`).
    pub rule: Located<RuleChoice>,
    /// Which of their matches: conditions on the same fields as in a rule.
    pub when: Located<Clause>,
    /// Why these matches are all right.
    pub because: Located<String>,
    /// Who answers for it.
    pub owner: Located<String>,
    /// Last day on which it holds, UTC: `2027-01-15`. Afterwards its matches are findings again.
    #[schemars(extend("format" = "date"))]
    pub expires: Located<String>,
    /// So many matches are expected: `200/day`, `10/h`, `5/m`, `1/s`. Beyond this the exception
    /// itself becomes a finding (SMCP-0001), once in the period; the matches stay excepted.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[0-9]+/(s|m|h|day)$"))]
    pub ceiling: Option<Located<String>>,
}

/// Rules by their ids: one, several, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleChoice {
    /// One id or pattern.
    One(String),
    /// Several.
    Many(Vec<Located<String>>),
}

impl Located<RuleChoice> {
    /// The ids and patterns, each with its place.
    #[must_use]
    pub fn texts(&self) -> Vec<Located<String>> {
        match &self.value {
            RuleChoice::One(value) => vec![Located { value: value.clone(), place: self.place }],
            RuleChoice::Many(texts) => texts.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for RuleChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl<'de> Visitor<'de> for Choice {
            type Value = RuleChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the id of a rule, or a list of ids")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(RuleChoice::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(RuleChoice::Many(texts))
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

impl schemars::JsonSchema for RuleChoice {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RuleChoice".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = serde_json::json!({
            "type": "string", "pattern": "^SMCP-([0-9]{4}|[0-9]{0,3}\\*)$",
        });
        schemars::json_schema!({
            "anyOf": [one, {"type": "array", "items": one, "minItems": 1}],
        })
    }
}
