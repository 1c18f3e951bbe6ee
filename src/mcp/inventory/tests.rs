//! Dialogues in, records and subjects for rules out.

mod bounds;
mod crossings;
mod proof;
mod property;
mod sessions;
mod streams;

use std::collections::BTreeSet;

use super::*;
use crate::anomaly::{Anomaly, Layer};
use crate::mcp::Evidence;
use crate::mcp::samples::Stage;
use crate::observation::{SecretHash, Software};
use crate::secret::SecretHasher;

/// What a dialogue led to.
struct Outcome {
    inventory: Inventory,
    /// Messages and contacts resolved, a line each.
    resolved: Vec<String>,
}

fn play(dialogue: &str) -> Outcome {
    play_within(Limits::default(), dialogue)
}

fn play_within(limits: Limits, dialogue: &str) -> Outcome {
    let (mut stage, mut inventory) = (Stage::default(), Inventory::new(limits));
    let (mut resolved, mut lines) = (Vec::new(), Vec::new());
    for observation in stage.play(dialogue) {
        inventory.observe(observation, &mut resolved);
        lines.extend(resolved.drain(..).filter_map(|one| line(&inventory, &one)));
    }
    inventory.finish(stage.now(), &mut resolved);
    lines.extend(resolved.drain(..).filter_map(|one| line(&inventory, &one)));
    Outcome { inventory, resolved: lines }
}

fn name(flow: u64) -> char {
    char::from_u32(u32::try_from(flow).unwrap()).unwrap()
}

fn line(inventory: &Inventory, resolved: &Resolved) -> Option<String> {
    match resolved {
        Resolved::Message { request, message, reply, .. } => {
            let what = message.method.clone().unwrap_or_else(|| format!("{:?}", message.kind));
            let reply = reply.map_or_else(String::new, |reply| {
                let kind = reply.kind.map_or_else(String::new, |kind| format!("{kind:?}"));
                let code = reply.error_code.map_or_else(String::new, |code| code.to_string());
                let status = reply.status.map_or_else(String::new, |status| status.to_string());
                format!(" {status}{kind}{code}")
            });
            Some(format!("{} {what}{reply}", name(request.id.flow)))
        }
        Resolved::Contact { request, occasion, server, .. } => {
            let evidence = inventory.server(*server).map(|server| server.evidence);
            let evidence = evidence.unwrap_or_default();
            Some(format!("{} {occasion:?} {evidence:?}", name(request.id.flow)))
        }
        _ => None,
    }
}

impl Outcome {
    /// Path and evidence of each record.
    fn found(&self) -> Vec<(&str, Evidence)> {
        let servers = self.inventory.servers();
        servers.iter().map(|(_, server)| (server.key.path.as_str(), server.evidence)).collect()
    }

    fn only(&self) -> &Server {
        let servers = self.inventory.servers();
        assert_eq!(servers.len(), 1, "{:?}", self.found());
        servers[0].1
    }
}

fn transports(server: &Server) -> Vec<String> {
    server.transports.iter().map(ToString::to_string).collect()
}

fn versions(server: &Server) -> Vec<&str> {
    server.versions.iter().map(String::as_str).collect()
}

/// A request of a client as the line of a body.
fn ask(id: u32, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#)
}

fn modern(id: u32, method: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"name":"t","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
    )
}

fn initialize(version: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
    )
}

fn initialized(version: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"result":{{"protocolVersion":"{version}","capabilities":{{}},"serverInfo":{{"name":"s","version":"2"}}}}}}"#
    )
}

const DUAL: &str = "accept: application/json, text/event-stream";
const JSON: &str = "200 | content-type: application/json";
const SSE: &str = "200 | content-type: text/event-stream";
const TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;

/// A call and its answer by JSON.
fn pair(name: char, head: &str, call: &str, answer_head: &str, answer: &str) -> String {
    format!("{name}> {head}\n{name}> {call}\n{name}< {answer_head}\n{name}< {answer}\n{name}.\n")
}
