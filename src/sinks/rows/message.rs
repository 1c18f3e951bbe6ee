//! A row of `mcp_messages`.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::Micros;

/// A JSON-RPC message, without its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clickhouse::Row)]
#[serde(default)]
pub struct MessageRow {
    /// When it was complete.
    pub ts: Micros,
    /// Name of the sensor.
    pub sensor: String,
    /// The client, also of messages that the server sent; IPv4 is stored mapped.
    pub client_ip: Ipv6Addr,
    /// Its port.
    pub client_port: u16,
    /// Server.
    pub server_ip: Ipv6Addr,
    /// Its port.
    pub server_port: u16,
    /// `scheme://host:port/path`.
    pub server_key: String,
    /// Host of the key.
    pub server_host: String,
    /// Verdict on the use, as it stood then.
    pub verdict: String,
    /// What the client says that it is: `name version`.
    pub client_software: String,
    /// Who sent it: `client_to_server`, `server_to_client`.
    pub direction: String,
    /// Request, notification, result or error.
    pub kind: String,
    /// Method, of requests and notifications.
    pub method: String,
    /// Tool or prompt.
    pub name: String,
    /// Resource, masked.
    pub uri: String,
    /// Id, as JSON text.
    pub rpc_id: String,
    /// Revision that the message or its header names.
    pub protocol_version: String,
    /// Keyed hash of the session.
    pub session: String,
    /// JSON-RPC error code.
    pub error_code: Option<i64>,
    /// Status of the HTTP response; 0 when not known.
    pub http_status: u16,
    /// What carried it.
    pub channel: String,
    /// Length of the JSON text.
    pub size_bytes: u64,
    /// It is cut.
    pub partial: bool,
    /// Only one of two disagreeing copies contains it.
    pub ambiguous: bool,
    /// Capture file or interface.
    pub capture_file: String,
    /// Number of the packet in it, from 1; 0 when not known.
    pub packet_number: u64,
}

impl Default for MessageRow {
    fn default() -> Self {
        Self {
            ts: Default::default(),
            sensor: Default::default(),
            client_ip: Ipv6Addr::UNSPECIFIED,
            client_port: Default::default(),
            server_ip: Ipv6Addr::UNSPECIFIED,
            server_port: Default::default(),
            server_key: Default::default(),
            server_host: Default::default(),
            verdict: Default::default(),
            client_software: Default::default(),
            direction: Default::default(),
            kind: Default::default(),
            method: Default::default(),
            name: Default::default(),
            uri: Default::default(),
            rpc_id: Default::default(),
            protocol_version: Default::default(),
            session: Default::default(),
            error_code: Default::default(),
            http_status: Default::default(),
            channel: Default::default(),
            size_bytes: Default::default(),
            partial: Default::default(),
            ambiguous: Default::default(),
            capture_file: Default::default(),
            packet_number: Default::default(),
        }
    }
}
