//! A server's line: a row for each definition that it listed.

use serde::Deserialize;

use super::parts::{Period, Server, Software, Text, listed, stored};
use super::{LineError, MAX_DEFINITIONS, Source, parse};
use crate::sinks::rows::{Micros, Row, ToolRow};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Micros,
    event: Option<Period>,
    #[serde(borrow)]
    verdict: Text<'a>,
    #[serde(borrow)]
    server: Listing<'a>,
    #[serde(borrow)]
    definitions: Definitions<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Listing<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    address: Text<'a>,
    #[serde(borrow)]
    software: Vec<Software<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Definitions<'a> {
    #[serde(borrow)]
    tools: Vec<Definition<'a>>,
    #[serde(borrow)]
    resources: Vec<Definition<'a>>,
    #[serde(borrow)]
    resource_templates: Vec<Definition<'a>>,
    #[serde(borrow)]
    prompts: Vec<Definition<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Definition<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    digest: Text<'a>,
    first: Option<Micros>,
}

pub(super) fn rows(
    text: &str,
    source: &Source<'_>,
    put: &mut dyn FnMut(Row),
) -> Result<(), LineError> {
    let Line { timestamp, event, verdict, server, definitions } = parse(text)?;
    let Listing { key, address, software } = server;
    let server = Server { key, address };
    if server.key.is_empty() {
        return Err(LineError::Without("server.key"));
    }
    let Period { start, end } = event.unwrap_or(Period { start: timestamp, end: None });
    let like = ToolRow {
        first_seen: stored(start),
        last_seen: stored(end.unwrap_or(timestamp)),
        sensor: source.sensor.to_owned(),
        server_key: server.key.stored(),
        server_host: server.host(),
        verdict: verdict.stored(),
        software: listed(&software, Software::shown),
        ..ToolRow::default()
    };
    let kinds = [
        ("tool", definitions.tools),
        ("resource", definitions.resources),
        ("resource_template", definitions.resource_templates),
        ("prompt", definitions.prompts),
    ];
    for (kind, definitions) in kinds {
        for definition in definitions.iter().take(MAX_DEFINITIONS) {
            put(Row::Tool(Box::new(ToolRow {
                first_seen: definition.first.map_or(like.first_seen, stored),
                kind: kind.to_owned(),
                name: definition.name.stored(),
                digest: definition.digest.stored(),
                ..like.clone()
            })));
        }
    }
    Ok(())
}
