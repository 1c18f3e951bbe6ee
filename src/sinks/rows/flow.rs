//! A row of `flows`.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::Micros;

/// A flow of an MCP server or of a hint of one, told when it is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clickhouse::Row)]
#[serde(default)]
pub struct FlowRow {
    /// First packet.
    pub ts: Micros,
    /// Last packet.
    pub last_seen: Micros,
    /// Name of the sensor.
    pub sensor: String,
    /// Community ID v1.
    pub community_id: String,
    /// `tcp`, `udp`.
    pub transport: String,
    /// What it talks: `http1`, `http2`, `tls`, `quic`, `websocket`, `lines`.
    pub app: String,
    /// Client; IPv4 is stored mapped.
    pub client_ip: Ipv6Addr,
    /// Its port.
    pub client_port: u16,
    /// Server.
    pub server_ip: Ipv6Addr,
    /// Its port.
    pub server_port: u16,
    /// Key of the first server that it led to; empty when none is known.
    pub server_key: String,
    /// Host of the key, or the name in the handshake.
    pub server_host: String,
    /// Name in the ClientHello.
    pub sni: String,
    /// Application protocols offered.
    pub alpn: Vec<String>,
    /// JA4 of the ClientHello.
    pub ja4: String,
    /// Verdict on the use.
    pub verdict: String,
    /// Best evidence that the server speaks MCP.
    pub evidence: String,
    /// Payload bytes that the client sent, repeated ones included.
    pub bytes_to_server: u64,
    /// Payload bytes that the server sent.
    pub bytes_to_client: u64,
    /// Packets that the client sent.
    pub packets_to_server: u64,
    /// Packets that the server sent.
    pub packets_to_client: u64,
    /// Holes in the streams.
    pub gaps: u64,
    /// Bytes in those holes.
    pub gap_bytes: u64,
    /// It began before the capture did.
    pub midstream: bool,
    /// Why it ended: `fin`, `reset`, `expired`, `evicted`, `reused`, `end_of_capture`.
    pub finish: String,
    /// VLANs and tunnels around it, outermost first.
    pub tunnels: Vec<String>,
}

impl Default for FlowRow {
    fn default() -> Self {
        Self {
            ts: Default::default(),
            last_seen: Default::default(),
            sensor: Default::default(),
            community_id: Default::default(),
            transport: Default::default(),
            app: Default::default(),
            client_ip: Ipv6Addr::UNSPECIFIED,
            client_port: Default::default(),
            server_ip: Ipv6Addr::UNSPECIFIED,
            server_port: Default::default(),
            server_key: Default::default(),
            server_host: Default::default(),
            sni: Default::default(),
            alpn: Default::default(),
            ja4: Default::default(),
            verdict: Default::default(),
            evidence: Default::default(),
            bytes_to_server: Default::default(),
            bytes_to_client: Default::default(),
            packets_to_server: Default::default(),
            packets_to_client: Default::default(),
            gaps: Default::default(),
            gap_bytes: Default::default(),
            midstream: Default::default(),
            finish: Default::default(),
            tunnels: Default::default(),
        }
    }
}
