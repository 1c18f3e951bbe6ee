//! MCP: which exchanges carry it, what they say, and what that proves about a server.
//!
//! In: [`ExchangeEvent`](crate::exchange::ExchangeEvent)s. Out:
//! [`Observation`](crate::observation::Observation)s, and from those the inventory of servers.

mod body;
pub mod facts;
mod head;
pub mod inventory;
pub mod jcs;
pub mod json;
pub mod jsonrpc;
pub mod methods;
mod oauth;
#[cfg(test)]
pub(crate) mod samples;
mod sensitive;
pub(crate) mod site;
mod tap;

use std::net::IpAddr;

pub use facts::Facts;
pub use tap::{Counters as TapCounters, FlowState, Limits as TapLimits, Tap};

use serde::{Deserialize, Serialize};

use crate::exchange::Scheme;
use crate::verdict::Verdict;

/// How sure the sensor is that a server speaks MCP. Ordered: only `Parsed` and above may accuse.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// A host name, a path, a client that tried: inventory only.
    #[default]
    Hint,
    /// Header fields or discovery documents that only MCP uses.
    Header,
    /// A JSON-RPC message that only MCP has, parsed, and not refused.
    Parsed,
    /// And the matching answer.
    Confirmed,
}

/// What the inventory knows of one server as one client met it: what a rule `on: server` sees.
#[derive(Clone, Debug)]
pub struct Contact {
    /// `scheme://host:port/path`.
    pub key: String,
    /// Host of the key; an address literal when no name was seen.
    pub host: String,
    /// Port of the key.
    pub port: u16,
    /// Path of the key.
    pub path: String,
    /// Clear or TLS.
    pub scheme: Scheme,
    /// Address that answered (a proxy's, behind an explicit proxy).
    pub server: IpAddr,
    /// Client address.
    pub client: IpAddr,
    /// Best evidence so far.
    pub evidence: Evidence,
    /// The verdict on this client's use of this server.
    pub verdict: Verdict,
    /// Revisions in force.
    pub protocol_versions: Vec<String>,
    /// Authentication schemes seen from this client: `bearer`, `cookie`, `x-api-key`, `query`…
    pub auth: Vec<String>,
    /// A `tools/list` or `tools/call` without any credential was answered with a result.
    pub unauthenticated_result: bool,
    /// The host is on the catalog of public MCP services.
    pub catalogued: Option<String>,
    /// A label of the host says MCP by convention (`mcp.example.com`).
    pub named_for_mcp: bool,
    /// An approval that holds for this client covers host and port, whatever the path: hints of
    /// it are of no interest.
    pub approved: bool,
    /// Through an explicit proxy.
    pub via_proxy: bool,
    /// Address of that proxy, on either of its legs.
    pub proxy: Option<IpAddr>,
    /// Name of the approval that decided the verdict, also when it no longer holds.
    pub approval: Option<String>,
    /// The ground of the verdict, one sentence.
    pub reason: String,
    /// Names and versions that client and server gave of themselves: `client agent 0.9`.
    pub software: Vec<String>,
    /// What other exchanges, other servers and the approvals add to it.
    pub facts: Facts,
}
