//! Definitions that servers list: what rules read of them, and what memory says of them.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::Judged;
use crate::memory::{Change, ChangeKind, Memory, Page, Sighting, tools_digest};
use crate::observation::{Definition, DefinitionKind, Message, PartName};
use crate::pipeline::recent::Recent;
use crate::rules::Tool;
use crate::verdict::Pin;

/// Names of arguments kept of one definition.
const MAX_IDENTIFIERS: usize = 256;

/// The hints of a tool as it was last listed.
pub(super) fn hints(
    memory: &Memory,
    server: &str,
    name: &str,
) -> Option<(Option<bool>, Option<bool>)> {
    let text = memory.definition(server, DefinitionKind::Tool, name)?;
    let Annotated { annotations } = serde_json::from_str(text).ok()?;
    let hint = |name: &str| annotations.get(name)?.as_bool();
    Some((hint("readOnlyHint"), hint("destructiveHint")))
}

/// Of a definition only this, each time that it is called.
#[derive(serde::Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: Value,
}

fn hint(definition: &Value, name: &str) -> Option<bool> {
    definition.get("annotations")?.get(name)?.as_bool()
}

/// Takes in a list; answers with the definitions that rules have not been asked about in this run.
pub(super) fn learn(
    memory: &mut Memory,
    asked_about: &mut AskedAbout,
    judged: &Judged<'_>,
    asked: Option<&Message>,
    pin: Option<&Pin>,
) -> Vec<Tool> {
    let (message, key) = (judged.message, judged.contact.key.as_str());
    let Some(kind) = kind_of(message, asked) else { return Vec::new() };
    let has = |message: &Message, name: &str| message.body_keys.iter().any(|key| key == name);
    let sighting = Sighting {
        at: judged.at.time,
        kind,
        client: judged.contact.client,
        credential: judged.request.token,
        scope_private: message.part(PartName::CacheScope) == Some("\"private\""),
        page: Page {
            first: !asked.is_some_and(|asked| has(asked, "cursor")),
            last: !has(message, "nextCursor"),
            complete: !message.partial,
        },
        software: message.server.as_ref(),
    };
    let breaks_pin = pin.and_then(|pin| breaks(pin, message, &sighting));
    // All of them: which one is at fault, nobody can tell.
    let ask_all = breaks_pin == Some(true) && asked_about.is_new_list(key, message);
    let lesson = memory.learn_list(key, &message.definitions, &sighting);
    let mut tools: Vec<Tool> = Vec::new();
    for (definition, change) in message.definitions.iter().zip(&lesson.changes) {
        let is_new_here = asked_about.is_new(key, definition);
        let is_news = change.kind != ChangeKind::Same || change.divergent.is_some();
        if is_news || is_new_here || ask_all {
            tools.push(tool(definition, change));
        }
    }
    for tool in tools.iter_mut().filter(|tool| tool.kind == "tool") {
        let others = memory.same_tool(sighting.client, key, &tool.name, sighting.at);
        // Two paths of one origin are one program with two transports, as a rule.
        let others = others.filter(|other| origin(other) != origin(key));
        tool.shadows = others.map(str::to_owned).collect();
    }
    tools.extend(lesson.removed.into_iter().map(|removed| Tool {
        kind: kind_name(removed.kind),
        name: removed.name,
        change: "removed",
        ..Tool::default()
    }));
    tools.iter_mut().for_each(|tool| tool.breaks_pin = breaks_pin);
    tools
}

/// Whether a list of tools is not the one that the approval of its server pins. Only a list that
/// was seen whole tells.
fn breaks(pin: &Pin, message: &Message, sighting: &Sighting<'_>) -> Option<bool> {
    let Page { first, last, complete } = sighting.page;
    let is_whole = sighting.kind == DefinitionKind::Tool && first && last && complete;
    is_whole.then(|| !pin.accepts(&tools_digest(&message.definitions), sighting.at))
}

/// A key without its path.
fn origin(key: &str) -> &str {
    let host = key.find("://").map_or(0, |at| at + 3);
    let path = key.get(host..).and_then(|rest| rest.find('/'));
    path.and_then(|at| key.get(..host + at)).unwrap_or(key)
}

/// What kind of list it is: by what was asked for, else by what it holds.
fn kind_of(message: &Message, asked: Option<&Message>) -> Option<DefinitionKind> {
    Some(match asked.and_then(|asked| asked.method.as_deref()) {
        Some("tools/list") => DefinitionKind::Tool,
        Some("prompts/list") => DefinitionKind::Prompt,
        Some("resources/list") => DefinitionKind::Resource,
        Some("resources/templates/list") => DefinitionKind::ResourceTemplate,
        _ => message.definitions.first()?.kind,
    })
}

/// Definitions that rules were asked about in this run: one that stood before the run is looked at
/// once, for it may be as bad as a new one.
#[derive(Debug, Default)]
pub(super) struct AskedAbout(Recent<u64, (), MAX_ASKED_ABOUT>);

/// More are asked about again.
const MAX_ASKED_ABOUT: usize = 262_144;

impl AskedAbout {
    fn is_new(&mut self, server: &str, definition: &Definition) -> bool {
        let mut hasher = DefaultHasher::new();
        (server, definition.kind, &definition.name, &definition.digest).hash(&mut hasher);
        self.note(hasher.finish())
    }

    /// The same for a list that breaks a pin, as a whole.
    fn is_new_list(&mut self, server: &str, message: &Message) -> bool {
        let mut hasher = DefaultHasher::new();
        (server, "list", tools_digest(&message.definitions)).hash(&mut hasher);
        self.note(hasher.finish())
    }

    fn note(&mut self, id: u64) -> bool {
        let is_new = !self.0.entries.contains_key(&id);
        self.0.insert(id, ());
        is_new
    }
}

/// The instructions of a server, as one more text that models read.
pub(super) fn instructions(message: &Message) -> Option<Tool> {
    let json = message.part(PartName::Instructions)?.to_owned();
    Some(Tool { kind: "instructions", json, change: ChangeKind::First.as_str(), ..Tool::default() })
}

/// What rules read of a definition.
fn tool(definition: &Definition, change: &Change) -> Tool {
    let json = definition.canonical.clone().unwrap_or_default();
    let value: Value = serde_json::from_str(&json).unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut identifiers = vec![definition.name.clone()];
    let schema = value.get("inputSchema").and_then(|schema| schema.get("properties"));
    let names = schema.and_then(Value::as_object).into_iter().flatten();
    identifiers.extend(names.map(|(name, _)| name.clone()).take(MAX_IDENTIFIERS));
    let mut changed_parts = change.parts.clone();
    let is = |pair: Option<(bool, bool)>, wanted| pair == Some(wanted);
    let moved = [
        (is(change.read_only, (true, false)), "read_only"),
        (is(change.destructive, (false, true)), "destructive"),
        (!change.added_required.is_empty(), "required"),
    ];
    changed_parts.extend(moved.iter().filter(|(is, _)| *is).map(|(_, name)| *name));
    Tool {
        kind: kind_name(definition.kind),
        name: definition.name.clone(),
        json,
        description: text("description"),
        identifiers,
        read_only: hint(&value, "readOnlyHint"),
        destructive: hint(&value, "destructiveHint"),
        change: change.kind.as_str(),
        changed_parts,
        added_text: change.added_text.clone(),
        stood_seconds: change
            .earlier
            .is_some()
            .then(|| i64::try_from(change.age.as_secs()).unwrap_or(i64::MAX)),
        divergent: change.divergent.is_some(),
        shadows: Vec::new(),
        breaks_pin: None,
        first_use: None,
    }
}

const fn kind_name(kind: DefinitionKind) -> &'static str {
    match kind {
        DefinitionKind::Tool => "tool",
        DefinitionKind::Prompt => "prompt",
        DefinitionKind::Resource => "resource",
        DefinitionKind::ResourceTemplate => "resource_template",
    }
}
