//! The line of a call through the portal.

use serde::Deserialize;

use super::parts::{End, Server, Text, listed, stored, strings};
use super::{LineError, Source, parse};
use crate::sinks::rows::{CallRow, Micros};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Micros,
    #[serde(borrow)]
    event: Ended<'a>,
    #[serde(borrow)]
    portal: Portal<'a>,
    source: End,
    #[serde(borrow)]
    user: User<'a>,
    #[serde(borrow)]
    client: Client<'a>,
    #[serde(borrow)]
    server: Identified<'a>,
    #[serde(borrow)]
    mcp: Mcp<'a>,
    #[serde(borrow)]
    arguments: Arguments<'a>,
    #[serde(borrow)]
    decision: Decision<'a>,
    #[serde(borrow)]
    findings: Vec<Finding<'a>>,
    #[serde(borrow)]
    rules: Vec<Text<'a>>,
    #[serde(borrow)]
    pin: Pin<'a>,
    request: Request,
    response: Response,
    #[serde(borrow)]
    error: Failed<'a>,
    #[serde(borrow)]
    trace: Trace<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ended<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    outcome: Text<'a>,
    duration_us: u64,
    upstream_us: u64,
    first_byte_us: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Portal<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    audience: Text<'a>,
    #[serde(borrow)]
    replica: Text<'a>,
    #[serde(borrow)]
    config: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User<'a> {
    #[serde(borrow)]
    issuer: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    groups: Vec<Text<'a>>,
    #[serde(borrow)]
    proof: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Client<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    unverified_name: Text<'a>,
    #[serde(borrow)]
    user_agent: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Mcp<'a> {
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    session: Text<'a>,
    #[serde(borrow)]
    protocol_version: Text<'a>,
    #[serde(borrow)]
    server_protocol_version: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Arguments<'a> {
    #[serde(borrow)]
    shape: Text<'a>,
    #[serde(borrow)]
    digest: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Decision<'a> {
    #[serde(borrow)]
    ruling: Text<'a>,
    #[serde(borrow)]
    policy: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    tier: Text<'a>,
    #[serde(borrow)]
    hold: Hold<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Hold<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    outcome: Text<'a>,
    #[serde(borrow)]
    approver: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Finding<'a> {
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    direction: Text<'a>,
    count: u32,
    #[serde(borrow)]
    action: Text<'a>,
    #[serde(borrow)]
    pointer: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pin<'a> {
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    digest: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failed<'a> {
    code: Option<i64>,
    #[serde(borrow)]
    message: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Trace<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    span: Text<'a>,
    #[serde(borrow)]
    parent: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identified<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    address: Text<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Request {
    bytes: u64,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Response {
    bytes: u64,
    upstream_status: u16,
}

/// `direction kind count action pointer`.
fn shown(found: &Finding<'_>) -> String {
    let Finding { kind, direction, count, action, pointer } = found;
    format!("{} {} {count} {} {}", direction.0, kind.0, action.0, pointer.0)
}

pub(super) fn row(text: &str, source: &Source<'_>) -> Result<CallRow, LineError> {
    let line: Line<'_> = parse(text)?;
    if line.event.id.is_empty() {
        return Err(LineError::Without("event.id"));
    }
    let Line { event, portal, user, client, server, mcp, arguments, decision, .. } = &line;
    Ok(CallRow {
        ts: stored(line.timestamp),
        call_id: event.id.stored(),
        sensor: source.sensor.to_owned(),
        portal: portal.name.stored(),
        portal_audience: portal.audience.stored(),
        replica: portal.replica.stored(),
        config_version: portal.config.stored(),
        client_ip: line.source.ip.0,
        client_port: line.source.port,
        user_issuer: user.issuer.stored(),
        user_id: user.id.stored(),
        user_name: user.name.stored(),
        user_groups: strings(&user.groups),
        proof: user.proof.stored(),
        client_id: client.id.stored(),
        client_software: client.unverified_name.stored(),
        user_agent: client.user_agent.stored(),
        server_id: server.id.stored(),
        server_key: server.key.stored(),
        server_host: Server { key: server.key.clone(), address: server.address.clone() }.host(),
        method: mcp.method.stored(),
        kind: mcp.kind.stored(),
        name: mcp.name.stored(),
        uri: mcp.uri.stored(),
        rpc_id: mcp.id.stored(),
        session: mcp.session.stored(),
        protocol_version: mcp.protocol_version.stored(),
        server_protocol_version: mcp.server_protocol_version.stored(),
        arguments_shape: arguments.shape.stored(),
        arguments_digest: arguments.digest.stored(),
        arguments_text: arguments.text.stored(),
        outcome: event.outcome.stored(),
        ruling: decision.ruling.stored(),
        policy: decision.policy.stored(),
        refused_kind: decision.kind.stored(),
        tier: decision.tier.stored(),
        hold_id: decision.hold.id.stored(),
        hold_outcome: decision.hold.outcome.stored(),
        approver: decision.hold.approver.stored(),
        findings: listed(&line.findings, shown),
        finding_kinds: listed(&line.findings, |found| found.kind.stored()),
        rules: strings(&line.rules),
        pin_state: line.pin.state.stored(),
        pin_digest: line.pin.digest.stored(),
        request_bytes: line.request.bytes,
        response_bytes: line.response.bytes,
        upstream_status: line.response.upstream_status,
        duration_us: event.duration_us,
        upstream_us: event.upstream_us,
        first_byte_us: event.first_byte_us,
        error_code: line.error.code,
        error: line.error.message.stored(),
        trace_id: line.trace.id.stored(),
        span_id: line.trace.span.stored(),
        parent_span_id: line.trace.parent.stored(),
    })
}
