mod kinds;
mod lists;
mod states;

use std::net::{IpAddr, Ipv4Addr};

use super::*;

pub(super) const SERVER: &str = "https://mcp.test:443/mcp";
pub(super) const HOUR: i64 = 3600;

pub(super) fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

/// A definition as recognition makes it.
pub(super) fn define(kind: DefinitionKind, text: &str) -> Definition {
    let canonical = jcs::canonical(text.as_bytes()).unwrap();
    let value: Value = serde_json::from_str(&canonical).unwrap();
    let name = value.get("uri").or_else(|| value.get("name")).unwrap().as_str().unwrap().to_owned();
    Definition { kind, name, digest: Some(jcs::digest(&canonical)), canonical: Some(canonical) }
}

pub(super) fn tool(text: &str) -> Definition {
    define(DefinitionKind::Tool, text)
}

/// A tool with a name, whose other members are given.
pub(super) fn named(name: &str, members: &str) -> Definition {
    let comma = if members.is_empty() { "" } else { "," };
    tool(&format!(r#"{{"name":"{name}"{comma}{members}}}"#))
}

/// A whole list of tools for client 1, `seconds` after the epoch.
pub(super) fn look(seconds: i64) -> Sighting<'static> {
    Sighting {
        at: Timestamp::from_parts(seconds, 0),
        kind: DefinitionKind::Tool,
        client: ip(1),
        credential: None,
        scope_private: false,
        page: Page::WHOLE,
        software: None,
    }
}

pub(super) fn kinds(lesson: &Lesson) -> Vec<ChangeKind> {
    lesson.changes.iter().map(|change| change.kind).collect()
}

pub(super) fn credential(number: u8) -> Option<SecretHash> {
    Some(SecretHash([number; 8]))
}
