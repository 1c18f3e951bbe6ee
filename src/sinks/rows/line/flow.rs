//! A flow's line.

use serde::Deserialize;

use super::parts::{End, Network, Period, Server, Text, Tunnel, listed, stored, strings};
use super::{LineError, Source, parse};
use crate::sinks::rows::{FlowRow, Micros};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Micros,
    event: Period,
    #[serde(borrow)]
    network: Network<'a>,
    source: End,
    destination: End,
    #[serde(borrow)]
    server: Server<'a>,
    #[serde(borrow)]
    tls: Tls<'a>,
    #[serde(borrow)]
    verdict: Text<'a>,
    #[serde(borrow)]
    evidence: Text<'a>,
    gaps: Gaps,
    midstream: bool,
    #[serde(borrow)]
    finish: Text<'a>,
    #[serde(borrow)]
    tunnels: Vec<Tunnel<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tls<'a> {
    #[serde(borrow)]
    sni: Text<'a>,
    #[serde(borrow)]
    alpn: Vec<Text<'a>>,
    #[serde(borrow)]
    ja4: Text<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Gaps {
    count: u64,
    bytes: u64,
}

pub(super) fn row(text: &str, source: &Source<'_>) -> Result<FlowRow, LineError> {
    let line: Line<'_> = parse(text)?;
    let Line { network, server, tls, source: client, destination, .. } = &line;
    let mut server_host = server.host();
    if server_host.is_empty() {
        server_host = tls.sni.stored();
    }
    Ok(FlowRow {
        ts: stored(line.timestamp),
        last_seen: stored(line.event.end.unwrap_or(line.timestamp)),
        sensor: source.sensor.to_owned(),
        community_id: network.community_id.stored(),
        transport: network.transport.stored(),
        app: network.application.stored(),
        client_ip: client.ip.0,
        client_port: client.port,
        server_ip: destination.ip.0,
        server_port: destination.port,
        server_key: server.key.stored(),
        server_host,
        sni: tls.sni.stored(),
        alpn: strings(&tls.alpn),
        ja4: tls.ja4.stored(),
        verdict: line.verdict.stored(),
        evidence: line.evidence.stored(),
        bytes_to_server: client.bytes,
        bytes_to_client: destination.bytes,
        packets_to_server: client.packets,
        packets_to_client: destination.packets,
        gaps: line.gaps.count,
        gap_bytes: line.gaps.bytes,
        midstream: line.midstream,
        finish: line.finish.stored(),
        tunnels: listed(&line.tunnels, Tunnel::shown),
    })
}
