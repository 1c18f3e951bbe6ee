//! `pins:` of the portal's file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::observation::DefinitionKind;
use crate::portal::policy::Kind;

/// What servers may offer: definitions of tools, prompts and resources that somebody approved.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What happens to definitions that are new or changed; `enforce` when absent.
    pub mode: Mode,
    /// What happens to changes of nothing but wording that introduce no address, instruction or
    /// name of a tool; `warn` when absent.
    pub text_changes: TextChanges,
    /// Ids of servers whose first lists are approved as they come; `"*"` for all of them.
    pub trust_first: Vec<String>,
    /// What is pinned; tools and prompts when absent.
    pub kinds: Option<Vec<Kind>>,
    /// The file, relative to the portal's state directory; `pins.json` when absent.
    pub file: Option<PathBuf>,
}

/// What happens to definitions that are new or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are neither listed nor called until somebody approves them.
    #[default]
    Enforce,
    /// They are used, and told of.
    Warn,
    /// Nothing is pinned.
    Off,
}

/// What happens to changes of wording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextChanges {
    /// They are used, and told of.
    #[default]
    Warn,
    /// They wait for approval.
    Quarantine,
}

/// The section, checked.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    pub(super) mode: Mode,
    pub(super) text_changes: TextChanges,
    trust_first: Vec<String>,
    kinds: Option<Vec<Kind>>,
    /// Where definitions are kept; none: in memory.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Checks it. `state`: the directory that outlives the program; without one, nothing is kept.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, state: Option<&std::path::Path>) -> Result<Checked, String> {
        let Self { mode, text_changes, trust_first, kinds, file } = self;
        if kinds.as_ref().is_some_and(Vec::is_empty) {
            return Err("`pins.kinds` is empty: write `mode: off` to pin nothing".to_owned());
        }
        let file = file.unwrap_or_else(|| PathBuf::from("pins.json"));
        let file = state.map(|state| state.join(file));
        Ok(Checked { mode, text_changes, trust_first, kinds, file })
    }
}

impl Checked {
    pub(super) fn is_pinned(&self, kind: DefinitionKind) -> bool {
        let kinds = self.kinds.as_deref().unwrap_or(&[Kind::Tool, Kind::Prompt]);
        self.mode != Mode::Off && kinds.contains(&Kind::from(kind))
    }

    pub(super) fn trusts_first(&self, server: &str) -> bool {
        self.trust_first.iter().any(|id| id == "*" || id == server)
    }
}
