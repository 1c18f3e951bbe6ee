//! The keys that we recommend for JSON logs whose keys are the admin's to choose: the names of
//! what they mean. `deploy/proxies` has configurations that write them.

use super::json::{Keys, Side};
use crate::logs::Meaning;

/// The key that says which program wrote the line.
pub(super) const MARKER: &str = "log";

pub(super) const TABLE: &[(&str, Meaning)] = &[
    (MARKER, Meaning::Unused),
    ("time", Meaning::Time),
    ("client", Meaning::Client),
    ("client_port", Meaning::ClientPort),
    ("server", Meaning::Server),
    ("server_port", Meaning::ServerPort),
    ("proxy", Meaning::Proxy),
    ("method", Meaning::Method),
    ("url", Meaning::Url),
    ("scheme", Meaning::Scheme),
    ("host", Meaning::Host),
    ("port", Meaning::Port),
    ("target", Meaning::Target),
    ("path", Meaning::Path),
    ("query", Meaning::Query),
    ("request_line", Meaning::RequestLine),
    ("version", Meaning::Version),
    ("status", Meaning::Status),
    ("user_agent", Meaning::UserAgent),
    ("referer", Meaning::Referer),
    ("origin", Meaning::OriginHeader),
    ("accept", Meaning::Accept),
    ("request_type", Meaning::RequestType),
    ("response_type", Meaning::ResponseType),
    ("mcp_session", Meaning::McpSession),
    ("response_mcp_session", Meaning::ResponseMcpSession),
    ("mcp_version", Meaning::McpVersion),
    ("mcp_method", Meaning::McpMethod),
    ("mcp_name", Meaning::McpName),
    ("www_authenticate", Meaning::WwwAuthenticate),
    ("location", Meaning::Location),
    ("request_body", Meaning::RequestBody),
    ("response_body", Meaning::ResponseBody),
    ("request_bytes", Meaning::RequestBytes),
    ("response_bytes", Meaning::ResponseBytes),
    ("rpc_method", Meaning::RpcMethod),
    ("rpc_name", Meaning::RpcName),
    ("rpc_uri", Meaning::RpcUri),
    ("user", Meaning::User),
    ("device", Meaning::Device),
    ("groups", Meaning::Group),
    ("action", Meaning::Action),
    ("sni", Meaning::Sni),
    ("alpn", Meaning::Alpn),
    ("tls_version", Meaning::TlsVersion),
    ("ja4", Meaning::Ja4),
    ("community_id", Meaning::CommunityId),
    ("request_id", Meaning::RequestId),
];

/// Those keys, and `request_headers` and `response_headers` for further fields.
pub(super) fn keys() -> Keys {
    Keys::of(TABLE)
        .headers(Side::Request, "request_headers")
        .headers(Side::Response, "response_headers")
}
