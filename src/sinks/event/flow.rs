//! The event of a flow.

use std::net::IpAddr;

use serde::Serialize;

use super::{Period, TunnelRef};
use crate::exchange::Application;
use crate::flow::Finish;
use crate::mcp::Evidence;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// A flow of a server that speaks MCP, or of a hint of one, told when it is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowEvent {
    /// Time of its first packet.
    #[serde(rename = "@timestamp")]
    pub timestamp: Timestamp,
    /// First and last packet.
    pub event: Period,
    /// ECS `network`.
    pub network: FlowNetwork,
    /// The client: who sent requests, else who opened it.
    pub source: FlowSide,
    /// The server.
    pub destination: FlowSide,
    /// The server that it led to.
    pub server: FlowServer,
    /// What its ClientHello shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<FlowTls>,
    /// Verdict on the use, as it stood at the end.
    pub verdict: Verdict,
    /// Best evidence that the server speaks MCP.
    pub evidence: Evidence,
    /// Holes in what was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gaps: Option<FlowGaps>,
    /// The capture began inside it.
    pub midstream: bool,
    /// Why it is over: `fin`, `reset`, `expired` (idle for too long), `evicted` (by a bound),
    /// `reused` (its ports began another one), `end_of_capture`.
    pub finish: Finish,
    /// VLANs and tunnels around it, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tunnels: Vec<TunnelRef>,
}

/// ECS `network` of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowNetwork {
    /// `tcp`, or `udp` for QUIC.
    pub transport: &'static str,
    /// Community ID v1.
    pub community_id: String,
    /// What it talked: `http1`, `http2`, `websocket`, `lines`; `tls` and `quic` where only the
    /// handshake could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<Application>,
}

/// One end of a flow and what it sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowSide {
    /// Address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
    /// Payload bytes on the wire, repeated ones included.
    pub bytes: u64,
    /// Packets, up to the second FIN.
    pub packets: u64,
}

/// The server of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowServer {
    /// `scheme://host:port/path`.
    pub key: String,
    /// Host of the key.
    pub address: String,
}

/// What the ClientHello of a flow shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlowTls {
    /// Name in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Application protocols offered, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// JA4 fingerprint of the client.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ja4: String,
}

/// Holes in the streams of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FlowGaps {
    /// How many.
    pub count: u64,
    /// Bytes in them.
    pub bytes: u64,
}
