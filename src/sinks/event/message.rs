//! The event of a message.

use serde::Serialize;

use super::{Address, Packet, ServerKey};
use crate::net::Direction;
use crate::observation::{Channel, Kind, MessageId};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// One JSON-RPC message, without its content.
#[derive(Clone, Debug, Serialize)]
pub struct MessageEvent {
    /// When it was complete.
    #[serde(rename = "@timestamp")]
    pub timestamp: Timestamp,
    /// The packet that completed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<Packet>,
    /// The client, also of messages that the server sent.
    pub source: Address,
    /// The server.
    pub destination: Address,
    /// What the client says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<MessageClient>,
    /// The server's key.
    pub server: ServerKey,
    /// Verdict on the use, as it stood then.
    pub verdict: Verdict,
    /// The message.
    pub mcp: McpMessage,
}

/// The client of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MessageClient {
    /// Name and version that it gave of itself, in this message or before: `agent 0.9`.
    pub software: String,
}

/// What is said of a message.
#[derive(Clone, Debug, Serialize)]
pub struct McpMessage {
    /// Who sent it.
    pub direction: Direction,
    /// Request, notification, result or error.
    pub kind: Kind,
    /// Method, of requests and notifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Id, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// Tool or prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Revision that the message or its header names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// Keyed hash of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// JSON-RPC error code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i64>,
    /// Status of the HTTP response, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What carried it.
    pub channel: Channel,
    /// Length of the JSON text in bytes.
    pub size: u64,
    /// It is cut.
    pub partial: bool,
    /// Only one of two disagreeing copies contains it.
    pub ambiguous: bool,
}
