//! A message's line.

use serde::Deserialize;

use super::parts::{End, Packet, Server, Text, stored};
use super::{LineError, Source, parse};
use crate::sinks::rows::{MessageRow, Micros};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Micros,
    #[serde(borrow)]
    packet: Packet<'a>,
    source: End,
    destination: End,
    #[serde(borrow)]
    server: Server<'a>,
    #[serde(borrow)]
    verdict: Text<'a>,
    #[serde(borrow)]
    client: Client<'a>,
    #[serde(borrow)]
    mcp: Message<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Client<'a> {
    #[serde(borrow)]
    software: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    direction: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    uri: Text<'a>,
    #[serde(borrow)]
    protocol_version: Text<'a>,
    #[serde(borrow)]
    session: Text<'a>,
    error_code: Option<i64>,
    http_status: u16,
    #[serde(borrow)]
    channel: Text<'a>,
    size: u64,
    partial: bool,
    ambiguous: bool,
}

/// The direction by the names that servers' events have.
fn direction(text: &Text<'_>) -> String {
    match &*text.0 {
        "to_server" => "client_to_server".to_owned(),
        "to_client" => "server_to_client".to_owned(),
        _ => text.stored(),
    }
}

pub(super) fn row(text: &str, source: &Source<'_>) -> Result<MessageRow, LineError> {
    let Line { timestamp, packet, source: client, destination, server, verdict, client: who, mcp } =
        parse(text)?;
    if mcp.kind.is_empty() {
        return Err(LineError::Without("mcp.kind"));
    }
    Ok(MessageRow {
        ts: stored(timestamp),
        sensor: source.sensor.to_owned(),
        client_ip: client.ip.0,
        client_port: client.port,
        server_ip: destination.ip.0,
        server_port: destination.port,
        server_key: server.key.stored(),
        server_host: server.host(),
        verdict: verdict.stored(),
        client_software: who.software.stored(),
        direction: direction(&mcp.direction),
        kind: mcp.kind.stored(),
        method: mcp.method.stored(),
        name: mcp.name.stored(),
        uri: mcp.uri.stored(),
        rpc_id: mcp.id.stored(),
        protocol_version: mcp.protocol_version.stored(),
        session: mcp.session.stored(),
        error_code: mcp.error_code,
        http_status: mcp.http_status,
        channel: mcp.channel.stored(),
        size_bytes: mcp.size,
        partial: mcp.partial,
        ambiguous: mcp.ambiguous,
        capture_file: packet.file.stored(),
        packet_number: packet.number,
    })
}
