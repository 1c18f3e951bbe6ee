//! Events as they leave: one JSON object per line, fields in fixed order, ECS names where ECS has
//! one, our own under `mcp`, `server`, `rule` and `finding`.
//!
//! Nothing here decides anything; the pipeline fills these structs. Optional fields and empty
//! lists are left out of the JSON, fields that every line of its type has are always there.

mod call;
mod finding;
mod flow;
mod message;
mod server;
mod stats;

pub use call::{
    CallArguments, CallClient, CallDecision, CallError, CallEvent, CallFinding, CallHold, CallMcp,
    CallOutcome, CallPin, CallRequest, CallResponse, CallServer, CallTrace, CallUser, PortalInfo,
};
pub use finding::{
    Excerpt, FindingDetails, FindingEvent, FlowRef, MatchedText, Named, Network, RuleRef, TunnelRef,
};
pub use flow::{FlowEvent, FlowGaps, FlowNetwork, FlowServer, FlowSide, FlowTls};
pub use message::{McpMessage, MessageClient, MessageEvent};
pub use server::{
    ApprovalRef, Client, DefinitionRef, Definitions, Directions, Outcomes, Period, Responses,
    ServerEvent, ServerInfo, TlsInfo,
};
pub use stats::{
    CaptureFile, Coverage, Grown, InterfaceStats, LiveStats, LogFile, ShedStats, StatsEvent,
};

use std::net::IpAddr;

use serde::Serialize;

use crate::net::Endpoint;

/// One line of output.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "event_type", rename_all = "snake_case")]
pub enum Event<'a> {
    /// An MCP server, or a hint of one.
    Server(&'a ServerEvent),
    /// A finding.
    Finding(&'a FindingEvent),
    /// A JSON-RPC message.
    Message(&'a MessageEvent),
    /// A flow that is over.
    Flow(&'a FlowEvent),
    /// What was read and what was not.
    Stats(&'a StatsEvent),
    /// A call through the portal.
    Call(&'a CallEvent),
}

/// An address and a port, as ECS spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Address {
    /// `ip`; absent where it is not known, as a log need not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// `port`; absent where only the address is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl From<Endpoint> for Address {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            ip: Some(endpoint.ip).filter(|ip| !ip.is_unspecified()),
            port: Some(endpoint.port).filter(|port| *port > 0),
        }
    }
}

/// A packet as Wireshark names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Packet {
    /// Capture file.
    pub file: String,
    /// Number in the file, from 1.
    pub number: u64,
    /// It is a line of a log.
    #[serde(rename = "line", skip_serializing_if = "std::ops::Not::not")]
    pub is_line: bool,
}

/// The key of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerKey {
    /// `scheme://host:port/path`.
    pub key: String,
}

#[cfg(test)]
pub(in crate::sinks) mod tests;
