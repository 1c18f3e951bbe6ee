//! Why, for an event of the output. It keeps only a part of what rules read.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::describe::{Facts, Known, Tree};
use crate::rules::condition::Test;
use crate::rules::field::{Field, On, Shape, Value};
use crate::rules::set::{Compiled, RuleSet};

/// Shows why the rule of a finding matched, or which rules could match a message or server event:
/// conditions with the values that the event kept. The rest is marked.
///
/// # Errors
///
/// What is wrong with the event: it is of no type that rules are asked about, or its rule is not
/// in the set.
pub fn why_event(set: &RuleSet, event: &Json, only: Option<&Compiled>) -> Result<String, String> {
    match event.get("event_type").and_then(Json::as_str) {
        Some("finding") => finding(set, event, only),
        Some("message") => Ok(partial(set, On::Message, &message(event), only)),
        Some("server") => Ok(partial(set, On::Server, &server(event), only)),
        other => {
            let name = other.unwrap_or("none");
            Err(format!(
                "rules are not asked about events of type {name}; give one of type finding, \
                         message or server"
            ))
        }
    }
}

/// What an event kept.
struct Kept {
    /// By field. An empty list says that the field had no value.
    values: BTreeMap<&'static str, Vec<String>>,
    /// What a finding kept by the names that it has: joined, cut and masked.
    excerpt: BTreeMap<String, String>,
    /// Whether the whole condition is known to hold.
    matched: bool,
}

impl Facts for Kept {
    fn test(&self, field: &Field, test: &Test) -> (Option<bool>, Known) {
        let name = field.to_string();
        if let Some(value) = self.excerpt.get(&name) {
            // A text that was cut or masked may pass, but never proves that it does not.
            let parts = std::iter::once(value.as_str()).chain(value.split(", "));
            let passes = parts.into_iter().any(|part| accepts(field, test, part));
            let holds = (passes || matches!(test, Test::Exists(true))).then_some(true);
            return (holds, Known::Value(value.clone()));
        }
        let Some(values) = self.values.get(name.as_str()) else {
            return (None, Known::NotKept);
        };
        let holds = match test {
            Test::Exists(wanted) => values.is_empty() != *wanted,
            test => values.iter().any(|value| accepts(field, test, value)),
        };
        let value = if values.is_empty() {
            Known::Absent
        } else {
            Known::Value(values.join(", ").chars().flat_map(shown).collect())
        };
        (Some(holds), value)
    }

    fn expected(&self) -> Option<bool> {
        self.matched.then_some(true)
    }
}

/// Characters that could forge a line are written as escapes.
fn shown(c: char) -> Vec<char> {
    if c.is_control() { c.escape_unicode().collect() } else { vec![c] }
}

/// Whether a test accepts a value given as text.
fn accepts(field: &Field, test: &Test, text: &str) -> bool {
    let value = match field.spec().shape {
        Shape::Text | Shape::Texts => Some(Value::Text(text)),
        Shape::Number => text.parse().ok().map(Value::Number),
        Shape::Bool => text.parse().ok().map(Value::Bool),
        Shape::Ip => text.parse().ok().map(Value::Ip),
    };
    !matches!(test, Test::Exists(_)) && value.is_some_and(|value| test.accepts(value))
}

fn finding(set: &RuleSet, event: &Json, only: Option<&Compiled>) -> Result<String, String> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
    let id = text("/rule/id");
    let Some(rule) = set.get(id) else {
        return Err(format!(
            "the finding is of rule {id}, which is not loaded; name its file with \
                            --rules"
        ));
    };
    if let Some(only) = only.filter(|only| only.info.id != id) {
        return Err(format!("the finding is of rule {id}, not of {}", only.info.id));
    }
    let excerpt = event.get("excerpt").and_then(Json::as_array).into_iter().flatten();
    let pair = |item: &Json| {
        Some((item.get("name")?.as_str()?.to_owned(), item.get("value")?.as_str()?.to_owned()))
    };
    let mut kept = Kept {
        values: BTreeMap::new(),
        excerpt: excerpt.filter_map(pair).collect(),
        matched: true,
    };
    for (field, pointer) in [
        ("client.ip", "/source/ip"),
        ("server.key", "/server/key"),
        ("server.verdict", "/verdict"),
        ("server.evidence", "/evidence"),
    ] {
        kept.keep(field, event.pointer(pointer));
    }
    let count = event.pointer("/event/count").map_or_else(|| "1".into(), ToString::to_string);
    let severity = text("/event/severity_name");
    let info = &rule.info;
    let mut out = format!(
        "{id} {}: matched {count} times, severity {severity}\n  says      {}\n  finding   {}\n",
        info.title,
        text("/message"),
        text("/event/id")
    );
    let version = text("/rule/version");
    if version != info.rev.to_string() {
        out.push_str(&format!(
            "  note      the finding is of revision {version}, the rule here is revision {}\n",
            info.rev
        ));
    }
    out.push_str("  file      ");
    out.push_str(&rule.file);
    out.push_str("\n\nIt matches when all of this holds\n");
    Tree::of(&rule.when, &kept).write(&mut out, 1);
    kept.matched = false;
    for (case, raised) in &rule.raise {
        out.push_str(&format!("\nSeverity rises to {} when\n", raised.as_str()));
        Tree::of(case, &kept).write(&mut out, 1);
    }
    if rule.keep.is_empty() {
        out.push_str("\nThe rule keeps no values; name fields under `report.keep` to see them.\n");
    }
    Ok(out)
}

/// What rules of a kind make of an event that keeps only a part.
fn partial(set: &RuleSet, on: On, kept: &Kept, only: Option<&Compiled>) -> String {
    let rules: Vec<&Compiled> = match only {
        Some(rule) => vec![rule],
        None => set.rules().iter().filter(|rule| rule.on == on && rule.is_active()).collect(),
    };
    let mut out = String::new();
    let mut never = Vec::new();
    for rule in rules {
        let info = &rule.info;
        if rule.on != on {
            let kind = rule.on.as_str();
            out.push_str(&format!("{} is for on: {kind}, not for this event\n", info.id));
            continue;
        }
        let tree = Tree::of(&rule.when, kept);
        let verdict = match tree.holds {
            Some(true) => "matches, if the evidence is good enough",
            Some(false) if only.is_none() => {
                never.push(info.id.as_str());
                continue;
            }
            Some(false) => "does not match",
            None => "could match",
        };
        out.push_str(&format!("{} {}: {verdict}\n", info.id, info.title));
        tree.write(&mut out, 1);
        out.push('\n');
    }
    if !never.is_empty() {
        out.push_str(&format!("Do not match: {}\n", never.join(", ")));
    }
    out
}

impl Kept {
    const fn new() -> Self {
        Self { values: BTreeMap::new(), excerpt: BTreeMap::new(), matched: false }
    }

    /// Keeps what JSON says of a field; nothing there means no value.
    fn keep(&mut self, field: &'static str, json: Option<&Json>) {
        let texts = match json {
            None | Some(Json::Null) => Vec::new(),
            Some(Json::String(text)) => vec![text.clone()],
            Some(Json::Array(items)) => {
                items.iter().filter_map(Json::as_str).map(str::to_owned).collect()
            }
            Some(Json::Object(map)) => map.keys().cloned().collect(),
            Some(other) => vec![other.to_string()],
        };
        self.values.insert(field, texts);
    }
}

fn message(event: &Json) -> Kept {
    let mut kept = Kept::new();
    for (field, pointer) in [
        ("mcp.method", "/mcp/method"),
        ("mcp.kind", "/mcp/kind"),
        ("mcp.direction", "/mcp/direction"),
        ("mcp.channel", "/mcp/channel"),
        ("mcp.name", "/mcp/name"),
        ("mcp.uri", "/mcp/uri"),
        ("mcp.error_code", "/mcp/error_code"),
        ("mcp.size", "/mcp/size"),
        ("mcp.partial", "/mcp/partial"),
        ("mcp.ambiguous", "/mcp/ambiguous"),
        ("client.ip", "/source/ip"),
        ("server.key", "/server/key"),
    ] {
        kept.keep(field, event.pointer(pointer));
    }
    kept
}

/// A server event sums up all clients: what differs by client is known where there is one.
fn server(event: &Json) -> Kept {
    let mut kept = Kept::new();
    for (field, pointer) in [
        ("server.key", "/server/key"),
        ("server.host", "/server/address"),
        ("server.port", "/server/port"),
        ("server.path", "/server/path"),
        ("server.catalogued", "/server/catalogued"),
        ("server.via_proxy", "/server/via_proxy"),
        ("server.evidence", "/evidence"),
        ("server.methods", "/methods/client_to_server"),
        ("server.protocol_versions", "/protocol_versions"),
    ] {
        kept.keep(field, event.pointer(pointer));
    }
    let scheme = event.pointer("/server/key").and_then(Json::as_str);
    if let Some((scheme, _)) = scheme.and_then(|key| key.split_once("://")) {
        kept.values.insert("server.scheme", vec![scheme.to_owned()]);
    }
    if let Some([client]) = event.get("clients").and_then(Json::as_array).map(Vec::as_slice) {
        kept.keep("client.ip", client.get("ip"));
        kept.keep("server.verdict", event.get("verdict"));
        let mut auth = Vec::new();
        for way in event.get("auth").and_then(Json::as_array).into_iter().flatten() {
            auth.extend(way.as_str().filter(|way| *way != "none").map(str::to_owned));
        }
        kept.values.insert("server.auth", auth);
    }
    kept
}
