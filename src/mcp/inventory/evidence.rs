//! What a message, a head or an answer proves (the evidence ladder).

use crate::mcp::methods::{self, Class};
use crate::observation::{Channel, Kind, Message, RequestInfo, ResponseInfo};

/// Whether a text is a protocol revision: `20dd-dd-dd`. Agent Client Protocol has integers here.
pub(super) fn is_revision(text: &str) -> bool {
    let shape = |(index, byte): (usize, u8)| match index {
        0 => byte == b'2',
        1 => byte == b'0',
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10 && text.bytes().enumerate().all(shape)
}

/// The first revision without sessions and handshake.
pub(super) const FIRST_STATELESS: &str = "2026-07-28";

/// Whether a message from a client can only be MCP. The method has to stand at the top level of
/// a parsed message, so that texts that quote MCP prove nothing.
pub(super) fn is_mcp_call(message: &Message) -> bool {
    if message.modern_envelope || !message.meta_keys.is_empty() {
        return true;
    }
    let Some(method) = message.method.as_deref() else { return false };
    match methods::lookup(method).map(|known| known.class) {
        Some(Class::Exclusive) => true,
        Some(Class::Ambiguous) if method == "initialize" => is_initialize(message),
        _ => false,
    }
}

/// An `initialize` of MCP names a dated revision together with `clientInfo` and `capabilities`;
/// the Language Server Protocol has no revision, Agent Client Protocol an integer.
fn is_initialize(message: &Message) -> bool {
    message.protocol_version.as_deref().is_some_and(is_revision)
        && (message.client.is_some() || message.partial)
        && (has_key(message, "capabilities") || message.partial)
}

/// Whether a message of a server can only be MCP, by its shape alone: the request was not seen.
pub(super) fn is_mcp_answer(message: &Message) -> bool {
    match message.kind {
        Kind::Result => {
            is_initialize_result(message)
                || !message.meta_keys.is_empty()
                || message.definitions.iter().any(|definition| {
                    definition.canonical.as_deref().is_some_and(|text| text.contains("inputSchema"))
                })
        }
        Kind::Error => message.error_code.is_some_and(|code| (-32022..=-32020).contains(&code)),
        Kind::Request | Kind::Notification => {
            let class = message.method.as_deref().and_then(methods::lookup);
            class.is_some_and(|known| known.class == Class::Exclusive)
        }
    }
}

/// `protocolVersion` as a date, `serverInfo` and `capabilities`: a result of `initialize`.
pub(super) fn is_initialize_result(message: &Message) -> bool {
    message.kind == Kind::Result
        && !message.modern_envelope
        && message.protocol_version.as_deref().is_some_and(is_revision)
        && has_key(message, "serverInfo")
        && has_key(message, "capabilities")
}

fn has_key(message: &Message, key: &str) -> bool {
    message.body_keys.iter().any(|known| known == key)
}

/// Whether the request head holds a field that only MCP uses.
pub(super) fn is_mcp_head(request: &RequestInfo) -> bool {
    request.mcp_method.is_some()
        || request.protocol_version.as_deref().is_some_and(is_revision)
        || request.headers.iter().any(|field| {
            field.name == "mcp-session-id"
                || field.name == "mcp-name"
                || field.name.starts_with("mcp-param-")
        })
}

/// Whether a path is one of those by convention: ranking only, never evidence.
#[must_use]
pub(in crate::mcp) fn is_mcp_path(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.ends_with("/mcp") || path.ends_with("/sse") || matches!(path, "/messages" | "/message")
}

/// What an answer's head says of a request that spoke MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The server takes part.
    Accepts,
    /// It depends on the body: JSON-RPC or something else.
    Open,
    /// To be sent again elsewhere.
    Redirects,
}

pub(super) fn judge(response: &ResponseInfo) -> Answer {
    let media = response.content_type.as_deref();
    match response.status {
        301 | 302 | 307 | 308 => Answer::Redirects,
        // RFC 9728 names the resource: only an MCP server has reason to, after an MCP request.
        401 | 403 if response.resource_metadata => Answer::Accepts,
        202 => Answer::Accepts,
        200..=299 if media == Some("text/event-stream") => Answer::Accepts,
        _ if response.session.is_some() => Answer::Accepts,
        _ => Answer::Open,
    }
}

/// A client cannot have got as far as sending this without a server that plays along: what an
/// unanswered request (a capture of one direction) proves. The openers prove nothing.
pub(super) fn implies_server(message: &Message) -> bool {
    !matches!(message.method.as_deref(), Some("initialize" | "server/discover"))
}

/// A JSON-RPC request inside a plain response to a GET is a file about MCP, not MCP.
pub(super) fn is_download(request: &RequestInfo, channel: Channel, message: &Message) -> bool {
    channel == Channel::ResponseBody
        && request.method == "GET"
        && matches!(message.kind, Kind::Request | Kind::Notification | Kind::Result)
}

/// -32601: the peer speaks JSON-RPC but does not know the method.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;

/// Where the message and the header fields that mirror it disagree (MCP 2026-07-28): a portal or
/// filter that trusts the fields would be fooled. Only requests that claim the revision count,
/// but for a method field that names another method, which is a trap in any revision.
pub(super) fn disagreements(request: &RequestInfo, message: &Message) -> Vec<&'static str> {
    let mut found = Vec::new();
    if message.batched || message.kind == Kind::Result || message.kind == Kind::Error {
        return found;
    }
    let differs = |header: &Option<String>, body: Option<&str>| match (header, body) {
        (Some(header), Some(body)) => header != body,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if differs(&request.mcp_method, message.method.as_deref()) {
        found.push("method");
    }
    let named = match message.method.as_deref() {
        Some("tools/call" | "prompts/get") => message.name.as_deref(),
        Some("resources/read") => message.uri.as_deref(),
        _ => None,
    };
    if named.is_some() && differs(&request.mcp_name, named) {
        found.push("name");
    }
    let version = message.protocol_version.as_deref().filter(|_| message.modern_envelope);
    if version.is_some() && differs(&request.protocol_version, version) {
        found.push("version");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_are_dates_of_this_century() {
        for text in ["2024-11-05", "2026-07-28"] {
            assert!(is_revision(text), "{text}");
        }
        for text in ["", "1", "2024-11-5", "1999-01-01", "2024/11/05", "2024-11-05 ", "20240-1-05"]
        {
            assert!(!is_revision(text), "{text}");
        }
    }

    #[test]
    fn paths_by_convention() {
        for path in ["/mcp", "/mcp/", "/api/mcp", "/sse", "/v1/sse", "/messages/", "/message"] {
            assert!(is_mcp_path(path), "{path}");
        }
        for path in ["/", "/mcpx", "/assets", "/mcp/status", "/tools/call"] {
            assert!(!is_mcp_path(path), "{path}");
        }
    }
}
