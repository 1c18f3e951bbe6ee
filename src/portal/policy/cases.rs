//! Files of test cases for policies.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decide::principal;
use super::{Circumstances, Decision, Hints, Item, Kind, Phase, PinState, Policy, Ruling};
use crate::portal::principal::Principal;
use crate::portal::wire::{self, Raw};
use crate::rules::{Located, Place};

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// The cases.
    pub tests: Vec<Located<Case>>,
}

/// Somebody asks for something.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    #[serde(default)]
    pub name: Option<String>,
    /// Who asks; somebody in no group when absent.
    #[serde(default)]
    pub who: Who,
    /// Id of the server.
    pub server: String,
    /// Name of the tool; or
    #[serde(default)]
    pub tool: Option<String>,
    /// name of the prompt; or
    #[serde(default)]
    pub prompt: Option<String>,
    /// URI of the resource.
    #[serde(default)]
    pub resource: Option<String>,
    /// `list` or `call`; `call` when absent.
    #[serde(default)]
    pub phase: Option<Phase>,
    /// Arguments of the call.
    #[serde(default)]
    pub arguments: Option<serde_json::Map<String, serde_json::Value>>,
    /// `readOnlyHint` of the tool.
    #[serde(default)]
    pub read_only_hint: Option<bool>,
    /// `destructiveHint` of the tool.
    #[serde(default)]
    pub destructive_hint: Option<bool>,
    /// State of its definition; `unpinned` when absent.
    #[serde(default)]
    pub pin: PinState,
    /// What is to come out.
    pub expect: Ruling,
    /// Id of the policy that is to decide.
    #[serde(default)]
    pub policy: Option<String>,
}

/// Somebody.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Who {
    /// Groups.
    pub groups: Vec<String>,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// OAuth client.
    pub client: String,
    /// Scopes of the token.
    pub scopes: Vec<String>,
}

impl Who {
    /// As a principal.
    #[must_use]
    pub fn principal(&self) -> Principal {
        principal(&self.issuer, &self.subject, &self.client, &self.groups, &self.scopes)
    }
}

/// What came out of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its name, or what it asks for.
    pub name: String,
    /// Where it is in its file.
    pub place: Place,
    /// What was decided.
    pub decision: Decision,
    /// What is not as expected; none where all is.
    pub wrong: Option<String>,
}

impl Case {
    /// What it asks for.
    #[must_use]
    pub fn item(&self) -> Item<'_> {
        let (kind, name) = match (&self.tool, &self.prompt, &self.resource) {
            (Some(name), ..) => (Kind::Tool, name.as_str()),
            (_, Some(name), _) => (Kind::Prompt, name.as_str()),
            (_, _, Some(name)) => (Kind::Resource, name.as_str()),
            _ => (Kind::Tool, ""),
        };
        let hints = Hints { read_only: self.read_only_hint, destructive: self.destructive_hint };
        Item { server: &self.server, kind, name, hints }
    }

    /// Its arguments, as they would come.
    #[must_use]
    pub fn raw(&self) -> Option<Raw> {
        self.arguments.as_ref().map(wire::raw)
    }
}

impl Policy {
    /// Decides all cases. Policies see the time as 0.
    #[must_use]
    pub fn test(&self, cases: &Cases) -> Vec<Outcome> {
        cases.tests.iter().map(|case| self.try_case(&case.value, case.place)).collect()
    }

    fn try_case(&self, case: &Case, place: Place) -> Outcome {
        let (who, item, raw) = (case.who.principal(), case.item(), case.raw());
        let circumstances = Circumstances { pin: case.pin, ..Circumstances::default() };
        let phase = case.phase.unwrap_or(Phase::Call);
        let decision = match phase {
            Phase::List => self.list(&who, &item, &circumstances),
            Phase::Call => {
                let raw: Option<&RawValue> = raw.as_deref();
                self.call(&who, &item, raw, &circumstances)
            }
        };
        let got = decision.ruling.as_str();
        let by = decision.policy.as_deref().unwrap_or("no policy");
        let names = [&case.tool, &case.prompt, &case.resource].into_iter().flatten().count();
        let wrong = if names != 1 {
            Some("one of `tool`, `prompt` and `resource` is wanted".to_owned())
        } else if decision.ruling != case.expect {
            Some(format!("{} expected, {got} by {by}", case.expect.as_str()))
        } else if case.policy.as_deref().is_some_and(|policy| policy != by) {
            let expected = case.policy.as_deref().unwrap_or_default();
            Some(format!("{got} as expected, by {by} instead of {expected}"))
        } else {
            None
        };
        let name = case
            .name
            .clone()
            .unwrap_or_else(|| format!("{} {}/{}", phase.as_str(), case.server, item.name));
        Outcome { name, place, decision, wrong }
    }
}

/// Asks for odd things: nothing panics, and what is denied without arguments is denied with them.
#[cfg(any(test, fuzzing))]
pub(super) fn exercise(policy: &Policy) {
    let texts =
        ["{}", r#"{"a":"x","b":{"c":[1,"x"]}}"#, r#"{"a":1,"a":2}"#, "[]", r#"{"a":1e300}"#];
    let groups: Vec<String> = policy
        .rules
        .iter()
        .flat_map(|rule| rule.groups.iter().flatten().map(|(group, _)| group.clone()))
        .take(4)
        .collect();
    let who = principal("i", "s", "c", &groups, &[]);
    let circumstances = Circumstances::default();
    for kind in Kind::ALL {
        for name in ["", "a", "\"); permit(principal, action, resource); //", "a*\\\u{202e}"] {
            let item = Item { server: name, kind, name, hints: Hints::default() };
            let listed = policy.list(&who, &item, &circumstances);
            for text in texts {
                let raw: Option<Raw> = serde_json::from_str(text).ok();
                let called = policy.call(&who, &item, raw.as_deref(), &circumstances);
                assert!(
                    listed.is_open() || !called.is_open() || is_hidden(policy),
                    "{name:?} is not listed and called"
                );
            }
        }
    }
}

/// Whether some rule is about one phase only, so that what may be called need not be listed.
#[cfg(any(test, fuzzing))]
fn is_hidden(policy: &Policy) -> bool {
    policy.rules.iter().any(|rule| rule.phases.len() == 1)
}
