//! A row of `portal_calls`.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::Micros;

/// A call through the portal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clickhouse::Row)]
#[serde(default)]
pub struct CallRow {
    /// When the request was read.
    pub ts: Micros,
    /// Id of the record.
    pub call_id: String,
    /// Name of the sensor: the portal's host.
    pub sensor: String,
    /// Name of the portal.
    pub portal: String,
    /// Its own URI.
    pub portal_audience: String,
    /// Which of its replicas.
    pub replica: String,
    /// Version of its configuration.
    pub config_version: String,
    /// Client; IPv4 is stored mapped.
    pub client_ip: Ipv6Addr,
    /// Its port.
    pub client_port: u16,
    /// Who vouches for whoever calls.
    pub user_issuer: String,
    /// Who calls: subject of the token.
    pub user_id: String,
    /// Name or address that the issuer vouches for.
    pub user_name: String,
    /// Groups.
    pub user_groups: Vec<String>,
    /// How it was proved.
    pub proof: String,
    /// OAuth client id.
    pub client_id: String,
    /// What the client says that it is; not verified.
    pub client_software: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// Server, by its id in the configuration.
    pub server_id: String,
    /// `scheme://host:port/path`, or `stdio:ID`.
    pub server_key: String,
    /// Host of the key.
    pub server_host: String,
    /// Method.
    pub method: String,
    /// `tool`, `prompt` or `resource`.
    pub kind: String,
    /// Tool or prompt, by the server's own name.
    pub name: String,
    /// Resource, masked.
    pub uri: String,
    /// Id of the request, as JSON text.
    pub rpc_id: String,
    /// Keyed hash of the session.
    pub session: String,
    /// Revision that the client speaks.
    pub protocol_version: String,
    /// Revision that the server speaks.
    pub server_protocol_version: String,
    /// Names and types of the arguments.
    pub arguments_shape: String,
    /// SHA-256 of the canonical arguments.
    pub arguments_digest: String,
    /// The arguments, masked, where the configuration asks for them.
    pub arguments_text: String,
    /// `success`, `failure` or `refused`.
    pub outcome: String,
    /// `allow`, `deny`, `hold` or `none`.
    pub ruling: String,
    /// Id of the policy that decided.
    pub policy: String,
    /// Why it was refused, by kind.
    pub refused_kind: String,
    /// Risk tier of the tool.
    pub tier: String,
    /// Id of the hold.
    pub hold_id: String,
    /// `released`, `denied` or `expired`.
    pub hold_outcome: String,
    /// Who decided on the hold.
    pub approver: String,
    /// What inspection found: `direction kind count action pointer`.
    pub findings: Vec<String>,
    /// Kinds of what it found.
    pub finding_kinds: Vec<String>,
    /// Rules that refused it, or took something out of its answer.
    pub rules: Vec<String>,
    /// How the tool stands to what was approved.
    pub pin_state: String,
    /// Canonical digest of its definition.
    pub pin_digest: String,
    /// Length of the request body.
    pub request_bytes: u64,
    /// Length of all that was sent to the client.
    pub response_bytes: u64,
    /// HTTP status of the server; 0 when there is none.
    pub upstream_status: u16,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// Of that the server.
    pub upstream_us: u64,
    /// Of that to the server's first byte.
    pub first_byte_us: u64,
    /// JSON-RPC error code.
    pub error_code: Option<i64>,
    /// What the error says, masked.
    pub error: String,
    /// Trace that it belongs to.
    pub trace_id: String,
    /// The portal's span.
    pub span_id: String,
    /// The span that it is in.
    pub parent_span_id: String,
}

impl Default for CallRow {
    fn default() -> Self {
        Self {
            ts: Default::default(),
            call_id: Default::default(),
            sensor: Default::default(),
            portal: Default::default(),
            portal_audience: Default::default(),
            replica: Default::default(),
            config_version: Default::default(),
            client_ip: Ipv6Addr::UNSPECIFIED,
            client_port: Default::default(),
            user_issuer: Default::default(),
            user_id: Default::default(),
            user_name: Default::default(),
            user_groups: Default::default(),
            proof: Default::default(),
            client_id: Default::default(),
            client_software: Default::default(),
            user_agent: Default::default(),
            server_id: Default::default(),
            server_key: Default::default(),
            server_host: Default::default(),
            method: Default::default(),
            kind: Default::default(),
            name: Default::default(),
            uri: Default::default(),
            rpc_id: Default::default(),
            session: Default::default(),
            protocol_version: Default::default(),
            server_protocol_version: Default::default(),
            arguments_shape: Default::default(),
            arguments_digest: Default::default(),
            arguments_text: Default::default(),
            outcome: Default::default(),
            ruling: Default::default(),
            policy: Default::default(),
            refused_kind: Default::default(),
            tier: Default::default(),
            hold_id: Default::default(),
            hold_outcome: Default::default(),
            approver: Default::default(),
            findings: Default::default(),
            finding_kinds: Default::default(),
            rules: Default::default(),
            pin_state: Default::default(),
            pin_digest: Default::default(),
            request_bytes: Default::default(),
            response_bytes: Default::default(),
            upstream_status: Default::default(),
            duration_us: Default::default(),
            upstream_us: Default::default(),
            first_byte_us: Default::default(),
            error_code: Default::default(),
            error: Default::default(),
            trace_id: Default::default(),
            span_id: Default::default(),
            parent_span_id: Default::default(),
        }
    }
}
