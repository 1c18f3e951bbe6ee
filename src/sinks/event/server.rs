//! The event of a server: all that the inventory knows of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::exchange::{Carrier, Visibility};
use crate::mcp::Evidence;
use crate::net::Endpoint;
use crate::observation::Software;
use crate::time::Timestamp;
use crate::verdict::{Approval, Verdict};

/// A server that was met, at the end of the run. Counts are whole numbers of the run.
#[derive(Clone, Debug, Serialize)]
pub struct ServerEvent {
    /// First time it was met.
    #[serde(rename = "@timestamp")]
    pub timestamp: Timestamp,
    /// It speaks MCP: the evidence is `parsed` or `confirmed`.
    pub mcp: bool,
    /// Best evidence.
    pub evidence: Evidence,
    /// Most that was seen of it: `tls` (names and fingerprints of encrypted flows), `head`,
    /// `body`.
    pub visibility: Visibility,
    /// Worst verdict over its clients.
    pub verdict: Verdict,
    /// The ground of the verdict, one sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The approval that covers it, also when it no longer holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRef>,
    /// The server.
    pub server: ServerInfo,
    /// First and last time.
    pub event: Period,
    /// Revisions of the protocol in force.
    pub protocol_versions: Vec<String>,
    /// `legacy` (sessions, up to 2025-11-25), `modern` (stateless, from 2026-07-28).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub eras: Vec<String>,
    /// `http+sse`, `streamable-http`, `streamable-http-stateless`, `websocket`, `json-lines`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transports: Vec<String>,
    /// Requests and notifications by method.
    pub methods: Directions<BTreeMap<String, u64>>,
    /// Responses.
    pub responses: Directions<Responses>,
    /// How requests by method ended.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, Outcomes>,
    /// `tools/call` requests by tool.
    pub tools_called: BTreeMap<String, u64>,
    /// What it listed.
    #[serde(skip_serializing_if = "Definitions::is_empty")]
    pub definitions: Definitions,
    /// Who used it, in the order of their addresses.
    pub clients: Vec<Client>,
    /// Keyed hashes of its sessions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<String>,
    /// Ways of authentication seen: `none`, `bearer`, `basic`, `cookie`, names of fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<String>,
    /// Bytes of bodies on the wire.
    pub bytes: Directions<u64>,
    /// Responses by HTTP status.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub http_status: BTreeMap<u16, u64>,
    /// Attempts to speak MCP that were refused.
    pub refused_attempts: u64,
    /// Oddities by `layer/kind`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub anomalies: BTreeMap<String, u64>,
    /// What its encrypted flows show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsInfo>,
}

/// What the handshakes of encrypted flows show; of each kind the first few values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TlsInfo {
    /// Flows.
    pub flows: u64,
    /// Flows that offer Encrypted Client Hello: their names may be those of fronts.
    #[serde(skip_serializing_if = "is_zero")]
    pub ech_flows: u64,
    /// Names in the clear (SNI).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sni: Vec<String>,
    /// Application protocols that clients offer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// JA4 fingerprints of the clients' TLS stacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ja4: Vec<String>,
    /// Versions chosen, or the best offered where the answer is not in the clear; best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// `tcp`, `quic`.
    pub carriers: Vec<Carrier>,
    /// DNS names of certificates (TLS 1.2 and older).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificate_names: Vec<String>,
}

/// What a server is and where.
#[derive(Clone, Debug, Serialize)]
pub struct ServerInfo {
    /// `scheme://host:port/path`.
    pub key: String,
    /// Host of the key.
    pub address: String,
    /// The host, when it is a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// An address that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// Port of the key.
    pub port: u16,
    /// Path of the key.
    pub path: String,
    /// All endpoints that answered.
    pub endpoints: Vec<Endpoint>,
    /// What it calls itself.
    pub software: Vec<Software>,
    /// Names that DNS gave for its address, when the host of the key is an address. Hints: who
    /// sends an answer chooses them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Other paths of the same server: HTTP+SSE message endpoints, redirects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Reached through an explicit proxy; the endpoints are the proxy's, and the server's where
    /// the proxy's own leg was captured too.
    pub via_proxy: bool,
    /// Addresses of the explicit proxies, on both of their sides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proxies: Vec<IpAddr>,
    /// Vendor, when the host is on the catalog of public MCP services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalogued: Option<String>,
}

/// First and last time (ECS `event.start`, `event.end`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// First time.
    pub start: Timestamp,
    /// Last time.
    pub end: Timestamp,
}

/// What an event repeats of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApprovalRef {
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: String,
    /// Last day, `YYYY-MM-DD`.
    pub expires: String,
    /// Ticket of the review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

impl From<&Approval> for ApprovalRef {
    fn from(approval: &Approval) -> Self {
        Self {
            name: approval.name.clone(),
            owner: approval.owner.clone(),
            expires: approval.expires.to_string(),
            ticket: approval.approved.as_ref().and_then(|approved| approved.ticket.clone()),
        }
    }
}

/// The same for both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Directions<T> {
    /// Sent by the client.
    pub client_to_server: T,
    /// Sent by the server.
    pub server_to_client: T,
}

/// JSON-RPC responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Responses {
    /// With a result.
    pub result: u64,
    /// Results among them that ask for input before the request is sent again (`resultType`
    /// `input_required`, MCP 2026-07-28).
    #[serde(skip_serializing_if = "is_zero")]
    pub input_required: u64,
    /// With an error.
    pub error: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How the requests of a method ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// With a result.
    pub result: u64,
    /// With a result whose `isError` is true.
    pub tool_error: u64,
    /// With a JSON-RPC error.
    pub error: u64,
    /// Without an answer in the capture.
    pub unanswered: u64,
}

/// What a server listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Definitions {
    /// Tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<DefinitionRef>,
    /// Resources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<DefinitionRef>,
    /// Resource templates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_templates: Vec<DefinitionRef>,
    /// Prompts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<DefinitionRef>,
}

impl Definitions {
    /// Whether nothing was listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A name and the digest of its definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DefinitionRef {
    /// Name or URI.
    pub name: String,
    /// SHA-256 over the canonical JSON, hex; absent when the definition was too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When it was first listed with this digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
}

/// One client of a server.
#[derive(Clone, Debug, Serialize)]
pub struct Client {
    /// Address.
    pub ip: IpAddr,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub software: Vec<Software>,
    /// `User-Agent` fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_agents: Vec<String>,
    /// First and last time.
    pub event: Period,
    /// Ways of authentication.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<String>,
    /// Verdict on its use.
    pub verdict: Verdict,
    /// The ground of the verdict.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// JSON-RPC messages, both directions.
    pub messages: u64,
    /// `tools/call` requests by tool.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools_called: BTreeMap<String, u64>,
}
