//! The section `guard` of the portal's file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kinds::{Kinds, Own};
use super::{Checked, rules};

/// What is done about a find.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is in the record of the call, and nothing else happens.
    #[default]
    Allow,
    /// `[redacted:KIND]` stands in its place.
    Redact,
    /// The message does not go on.
    Block,
}

impl Action {
    /// As in files and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Redact => "redact",
            Self::Block => "block",
        }
    }
}

/// Actions by direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Actions {
    /// The same in both directions.
    Both(Action),
    /// One for each; what is left out is `allow`.
    Each(Each),
}

/// One action for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Each {
    /// Of what clients send to servers. Default `allow`.
    pub request: Action,
    /// Of what servers send to clients. Default `allow`.
    pub response: Action,
}

impl Actions {
    /// By direction.
    #[must_use]
    pub const fn each(self) -> Each {
        match self {
            Self::Both(action) => Each { request: action, response: action },
            Self::Each(each) => each,
        }
    }
}

/// Actions for classes of kinds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Classes {
    /// Secrets whose shape or checksum says what they are. Default: requests `block`, responses
    /// `redact`.
    pub secrets: Actions,
    /// Secrets that only the name of a field gives away. Default: `allow`.
    pub guessed: Actions,
    /// Payment and personal data. Default: `allow`.
    pub personal: Actions,
}

impl Default for Classes {
    fn default() -> Self {
        let secrets = Each { request: Action::Block, response: Action::Redact };
        Self {
            secrets: Actions::Each(secrets),
            guessed: Actions::Both(Action::Allow),
            personal: Actions::Both(Action::Allow),
        }
    }
}

/// A kind of one's own: a regular expression, or words.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomSpec {
    /// Its name: lower-case letters, digits and hyphens, at most 64. It is shown to clients.
    pub name: String,
    /// A regular expression (Rust's syntax); looked for in each string by itself, escapes undone.
    #[serde(default)]
    pub regex: Option<String>,
    /// Words or phrases, found in any ASCII case where no letter or digit touches them.
    #[serde(default)]
    pub words: Vec<String>,
    /// A file with such words, one a line; empty lines and lines that begin with `#` are passed
    /// over. Relative to the portal's file.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// What is done about it. Default: `redact` in both directions.
    #[serde(default = "redact")]
    pub action: Actions,
}

const fn redact() -> Actions {
    Actions::Both(Action::Redact)
}

/// Direction of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From clients to servers.
    Request,
    /// From servers to clients.
    Response,
}

/// Another action for some calls. The first exception that fits a find decides.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionSpec {
    /// Kinds that it is about; `*` stands for any characters. Default: all.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Servers, by their ids; `*` as above. Default: all.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Tools, prompts or URIs of resources, by the server's own names; `*` as above. Default: all.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Groups of whoever calls. Default: everybody.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Direction. Default: both.
    #[serde(default)]
    pub direction: Option<Way>,
    /// What is done instead.
    pub action: Action,
    /// Why, for those who come later.
    #[serde(default)]
    pub why: Option<String>,
}

/// The rules of the enforce lane.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RulesSpec {
    /// Whether rules refuse. Default `true`.
    pub enforce: bool,
    /// Whether the rules that come with the program count. Default `true`.
    pub builtin: bool,
    /// Files and folders with further rules and exceptions. Relative to the portal's file.
    pub files: Vec<PathBuf>,
}

impl Default for RulesSpec {
    fn default() -> Self {
        Self { enforce: true, builtin: true, files: Vec::new() }
    }
}

/// Data-loss prevention and rules, in both directions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// What is done about classes of kinds, where `kinds` says nothing.
    pub defaults: Classes,
    /// What is done about single kinds: `github-token`, `card` and so on.
    pub kinds: BTreeMap<String, Actions>,
    /// Whether a provider's own key may be sent to the provider's own host (a GitHub token to
    /// `api.githubcopilot.com`). Default `true`.
    pub own_keys: bool,
    /// Kinds of one's own.
    pub custom: Vec<CustomSpec>,
    /// Other actions for some calls; the first that fits decides.
    pub exceptions: Vec<ExceptionSpec>,
    /// The rules of the enforce lane.
    pub rules: RulesSpec,
    /// Where people can ask when something was refused: an address or a URL. Default: nothing.
    pub contact: Option<String>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            defaults: Classes::default(),
            kinds: BTreeMap::new(),
            own_keys: true,
            custom: Vec::new(),
            exceptions: Vec::new(),
            rules: RulesSpec::default(),
            contact: None,
        }
    }
}

impl Spec {
    /// Reads the files that it names and compiles it. Paths are relative to `base`.
    ///
    /// # Errors
    /// All that is wrong, each with its place in the section and what to do.
    pub fn check(self, base: &Path) -> Result<Checked, Vec<String>> {
        let mut problems = Vec::new();
        let own = own_kinds(&self.custom, base, &mut problems);
        let mut kinds = Kinds::new(&self.defaults, own);
        for (id, actions) in &self.kinds {
            if !kinds.set(id, actions.each()) {
                problems.push(format!("guard.kinds.{id}: no such kind; {}", kinds.nearest(id)));
            }
        }
        for (index, exception) in self.exceptions.iter().enumerate() {
            let unknown = exception.kinds.iter().filter(|kind| !kinds.any_is(kind));
            problems.extend(unknown.map(|kind| {
                let near = kinds.nearest(kind);
                format!("guard.exceptions[{index}].kinds: no kind is named {kind}; {near}")
            }));
        }
        let rules = match rules::Rules::load(&self.rules, base) {
            Ok(rules) => rules,
            Err(problem) => {
                problems.push(format!("guard.rules: {problem}"));
                rules::Rules::default()
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let Self { exceptions, contact, own_keys, .. } = self;
        let contact = contact.map(Into::into);
        Ok(Checked { kinds, exceptions, own_keys, rules, contact })
    }
}

fn own_kinds(custom: &[CustomSpec], base: &Path, problems: &mut Vec<String>) -> Vec<Own> {
    let mut own: Vec<Own> = Vec::new();
    for (index, spec) in custom.iter().enumerate() {
        if own.iter().any(|other| *other.name == *spec.name) || super::kinds::is_known(&spec.name) {
            problems.push(format!(
                "guard.custom[{index}].name: {} is the name of another kind; choose another",
                spec.name
            ));
            continue;
        }
        match Own::compile(spec, base) {
            Ok(kind) => own.push(kind),
            Err(problem) => problems.push(format!("guard.custom[{index}].{problem}")),
        }
    }
    own
}
