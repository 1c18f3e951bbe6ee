//! How two definitions of one name differ, and how much that matters.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};

use super::file::Version;
use crate::inspect::address::urls;
use crate::inspect::hidden::hidden;
use crate::mcp::jcs;
use crate::memory::{Change, ChangeKind, Limits, Memory, Page, Sighting};
use crate::observation::{Definition, DefinitionKind};
use crate::time::Timestamp;

/// Names of tools that are looked for in texts have at least so many bytes.
const MIN_REFERENCE_BYTES: usize = 5;

/// How much a change matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Not at all: what changes with the contents of a resource.
    Nothing,
    /// Titles and descriptions say the same kind of things in other words.
    Wording,
    /// A text that is new has an address, an instruction, the name of another tool, or something
    /// that is not shown.
    Introduces,
    /// Schemas or annotations changed, or more than that.
    Form,
}

impl Class {
    /// As in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Wording => "wording",
            Self::Introduces => "introduces",
            Self::Form => "form",
        }
    }
}

/// How a definition differs from the one that was approved last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// How much it matters.
    pub class: Class,
    /// What changed: parts of the definition (`description`, `schema`), and what is introduced
    /// (`url`, `instruction`, `tool-reference`, `hidden`).
    pub what: Vec<String>,
    /// Digest of the definition that was approved.
    pub from: String,
}

/// Texts that tell a model what to do, in lower case.
const INSTRUCTIONS: [&str; 28] = [
    "ignore ",
    "disregard",
    "instead of",
    "do not tell",
    "don't tell",
    "do not mention",
    "don't mention",
    "without telling",
    "without asking",
    "do not ask",
    "you must",
    "always ",
    "never ",
    "before using",
    "before calling",
    "after calling",
    "call this tool",
    "use this tool",
    "first call",
    "<important",
    "<system",
    "system prompt",
    "secret",
    "password",
    "credential",
    "api key",
    "~/.ssh",
    "important:",
];

/// `None` would be a mistake in the list, which a test excludes; then every text has one.
static INSTRUCTION: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(INSTRUCTIONS).ok());

impl Difference {
    /// Between what was approved and what came; texts that are not kept differ in everything.
    pub(super) fn between(
        kind: DefinitionKind,
        name: &str,
        old: &Version,
        new: Option<&str>,
        others: &[&str],
    ) -> Self {
        let from = old.digest.clone();
        let (Some(old), Some(new)) = (&old.text, new) else {
            return Self { class: Class::Form, what: vec!["unknown".to_owned()], from };
        };
        let change = change(kind, name, old, new);
        let mut what: Vec<String> = change.parts.iter().map(|part| (*part).to_owned()).collect();
        let introduced = introduced(&change.added_text, others);
        let class = match change.kind {
            ChangeKind::Same => Class::Nothing,
            ChangeKind::Wording if introduced.is_empty() => Class::Wording,
            ChangeKind::Wording => Class::Introduces,
            _ => Class::Form,
        };
        what.extend(introduced.into_iter().map(str::to_owned));
        Self { class, what, from }
    }
}

/// What the sensor says of it.
fn change(kind: DefinitionKind, name: &str, old: &str, new: &str) -> Change {
    let bytes = super::MAX_TEXT_BYTES;
    let limits = Limits {
        max_text_bytes: bytes,
        // Whatever is added is looked at.
        max_change_text_bytes: 2 * bytes,
        ..Limits::default()
    };
    let mut memory = Memory::new(limits);
    let definition = |text: &str| Definition {
        kind,
        name: name.to_owned(),
        digest: Some(jcs::digest(text)),
        canonical: Some(text.to_owned()),
    };
    let sighting = Sighting {
        at: Timestamp::EPOCH,
        kind,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        credential: None,
        scope_private: false,
        page: Page::WHOLE,
        software: None,
    };
    drop(memory.learn_list("server", &[definition(old)], &sighting));
    let lesson = memory.learn_list("server", &[definition(new)], &sighting);
    let unknown = || Change { kind: ChangeKind::Unknown, ..Change::default() };
    lesson.changes.into_iter().next().unwrap_or_else(unknown)
}

/// What texts have that needs a look.
fn introduced(texts: &[String], others: &[&str]) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut add = |what| {
        if !found.contains(&what) {
            found.push(what);
        }
    };
    for text in texts {
        urls(text, &mut |_| add("url"));
        hidden(text, &mut |_| add("hidden"));
        if INSTRUCTION.as_ref().is_none_or(|list| list.is_match(text)) {
            add("instruction");
        }
        if others.iter().any(|name| refers(text, name)) {
            add("tool-reference");
        }
    }
    found
}

/// Whether a text has the name of a tool, as a word of its own. Short names, and those that are
/// plain words, are everywhere.
fn refers(text: &str, name: &str) -> bool {
    let is_name = name.bytes().any(|byte| !byte.is_ascii_lowercase());
    if name.len() < MIN_REFERENCE_BYTES || !is_name {
        return false;
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}
