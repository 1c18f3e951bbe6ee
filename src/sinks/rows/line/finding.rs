//! A finding's line.

use serde::Deserialize;

use super::parts::{End, Named, Network, Packet, Server, Text, listed, stored, strings};
use super::{LineError, MAX_DOCUMENT_BYTES, MAX_ITEMS, Source, parse};
use crate::sinks::rows::{FindingRow, Micros};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Micros,
    #[serde(borrow)]
    evidence: Text<'a>,
    #[serde(borrow)]
    event: Details<'a>,
    #[serde(borrow)]
    rule: Rule<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    verdict: Text<'a>,
    #[serde(borrow)]
    visibility: Text<'a>,
    #[serde(borrow)]
    reason: Text<'a>,
    #[serde(borrow)]
    approval: Named<'a>,
    source: End,
    #[serde(borrow)]
    user: User<'a>,
    #[serde(borrow)]
    device: Named<'a>,
    #[serde(borrow)]
    sources: Vec<Text<'a>>,
    #[serde(borrow)]
    software: Vec<Text<'a>>,
    destination: End,
    #[serde(borrow)]
    server: Server<'a>,
    #[serde(borrow)]
    network: Network<'a>,
    #[serde(borrow)]
    why: Text<'a>,
    #[serde(borrow)]
    todo: Vec<Text<'a>>,
    #[serde(borrow)]
    refs: Vec<Text<'a>>,
    #[serde(borrow)]
    matched: Vec<Matched<'a>>,
    #[serde(borrow)]
    packets: Vec<Packet<'a>>,
    #[serde(borrow)]
    flows: Vec<Network<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    groups: Vec<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    severity: u8,
    #[serde(borrow)]
    severity_name: Text<'a>,
    count: u64,
    end: Option<Micros>,
    #[serde(borrow)]
    state: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Rule<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    lane: Text<'a>,
    confidence: u8,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Matched<'a> {
    #[serde(borrow)]
    field: Text<'a>,
    #[serde(borrow)]
    view: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
}

/// Grows each time that a finding is told: hits never become fewer, and of the same number the
/// line that closes it is the last.
fn version(count: u64, state: &str) -> u64 {
    let rank = match state {
        "began" => 0,
        "rose" => 1,
        "closed" => 2,
        _ => 3,
    };
    count.saturating_mul(4).saturating_add(rank)
}

/// The line itself, or an object that says that it is too long.
fn document(text: &str, id: &str) -> String {
    if text.len() <= MAX_DOCUMENT_BYTES {
        return text.to_owned();
    }
    let bytes = text.len();
    // In the order of `deploy/clickhouse/files.sql`, which says the same of files.
    serde_json::json!({"cut": {"bytes": bytes}, "event": {"id": id}, "event_type": "finding"})
        .to_string()
}

pub(super) fn row(text: &str, source: &Source<'_>) -> Result<FindingRow, LineError> {
    let line: Line<'_> = parse(text)?;
    let Line { event, rule, network, server, .. } = &line;
    if event.id.is_empty() {
        return Err(LineError::Without("event.id"));
    }
    let finding_id = event.id.stored();
    Ok(FindingRow {
        ts: stored(line.timestamp),
        last_seen: stored(event.end.unwrap_or(line.timestamp)),
        version: version(event.count, &event.state.0),
        state: event.state.stored(),
        sensor: source.sensor.to_owned(),
        rule_id: rule.id.stored(),
        rule_name: rule.name.stored(),
        rule_version: rule.version.stored(),
        rule_status: rule.status.stored(),
        lane: rule.lane.stored(),
        severity: event.severity,
        severity_name: event.severity_name.stored(),
        confidence: rule.confidence,
        hits: event.count,
        evidence: line.evidence.stored(),
        visibility: line.visibility.stored(),
        verdict: line.verdict.stored(),
        reason: line.reason.stored(),
        approval: line.approval.name.stored(),
        client_ip: line.source.ip.0,
        client_port: line.source.port,
        server_ip: line.destination.ip.0,
        server_port: line.destination.port,
        server_key: server.key.stored(),
        server_host: server.host(),
        transport: network.transport.stored(),
        community_id: network.community_id.stored(),
        user: line.user.name.stored(),
        software: strings(&line.software),
        message: line.message.stored(),
        why: line.why.stored(),
        todo: strings(&line.todo),
        refs: strings(&line.refs),
        matched: listed(&line.matched, |matched| {
            format!("{}@{}: {}", matched.field.0, matched.view.0, matched.text.0)
        }),
        packets: listed(&line.packets, |packet| format!("{}:{}", packet.file.0, packet.number)),
        flows: line
            .flows
            .iter()
            .filter(|flow| !flow.community_id.is_empty())
            .take(MAX_ITEMS)
            .map(|flow| flow.community_id.stored())
            .collect(),
        document: document(text, &finding_id),
        device: line.device.name.stored(),
        groups: strings(&line.user.groups),
        sources: strings(&line.sources),
        finding_id,
    })
}
