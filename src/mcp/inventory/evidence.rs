//! What a message, a head or an answer proves (the evidence ladder).

use crate::exchange::Scheme;
use crate::mcp::Evidence;
use crate::mcp::head::decode_sentinel;
use crate::mcp::methods::{self, Class, Revision, Senders};
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
#[must_use]
pub fn is_mcp_call(message: &Message) -> bool {
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
pub(super) fn is_answer_by_shape(message: &Message) -> bool {
    match message.kind {
        Kind::Result => {
            is_initialize_result(message)
                || !message.meta_keys.is_empty()
                || message.definitions.iter().any(|definition| {
                    definition.canonical.as_deref().is_some_and(|text| text.contains("inputSchema"))
                })
        }
        Kind::Error => message.error_code.is_some_and(is_mcp_error),
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
    Takes,
    /// It hands out a session, as only the legacy transport does.
    Session,
    /// It names the metadata of a protected resource (RFC 9728).
    Names,
    /// It depends on the body: JSON-RPC or something else.
    Open,
    /// To be sent again elsewhere.
    Redirects,
}

/// Judges the head of an answer. `is_known`: the server has proved itself before, or named a
/// message endpoint.
pub(super) fn judge(request: &RequestInfo, response: &ResponseInfo, is_known: bool) -> Answer {
    let events = response.content_type.as_deref() == Some("text/event-stream");
    let says_so = is_known || is_mcp_client(request);
    match response.status {
        301 | 302 | 307 | 308 => Answer::Redirects,
        // Only an MCP server has reason to, after an MCP request.
        401 | 403 if response.resource_metadata => Answer::Names,
        // What takes anything (a collector of logs) answers 202 too, and does not look at what
        // it takes: the request has to be more than a message that could be a record of one.
        202 | 204 if says_so => Answer::Takes,
        200..=299 if is_known => Answer::Takes,
        200..=299 if events && (says_so || request.accepts_sse || !request.seen) => Answer::Takes,
        _ if response.session.is_some() => Answer::Session,
        _ => Answer::Open,
    }
}

/// Whether the head of a request is one that an MCP client sends: a field or a session of MCP,
/// or both media types accepted, as Streamable HTTP demands.
fn is_mcp_client(request: &RequestInfo) -> bool {
    is_mcp_head(request)
        || request.session.is_some()
        || (request.accepts_json && request.accepts_sse)
}

/// What the answer to a request that can only be MCP proves. An error by which any JSON-RPC
/// server turns down what it does not know proves nothing.
pub(super) fn answer_proves(asked: &Message, answer: &Message) -> Option<Evidence> {
    if !is_mcp_call(asked) {
        return None;
    }
    if answer.kind == Kind::Result {
        return Some(if fits(asked, answer) { Evidence::Confirmed } else { Evidence::Parsed });
    }
    let method = asked.method.as_deref();
    match answer.error_code? {
        code if is_mcp_error(code) || code == URL_ELICITATION => Some(Evidence::Confirmed),
        NO_RESOURCE if method.is_some_and(|method| method.starts_with("resources/")) => {
            Some(Evidence::Parsed)
        }
        code if turns_down(code) => None,
        _ => Some(Evidence::Parsed),
    }
}

/// Whether an error is one of those by which a server that is not MCP's turns down a request of
/// MCP: what JSON-RPC says of texts and methods, and what servers define for themselves (a
/// missing key, a quota).
pub(super) fn turns_down(code: i64) -> bool {
    matches!(code, -32700 | -32601 | -32600 | -32099..=-32000)
        && !is_mcp_error(code)
        && code != URL_ELICITATION
}

/// Error codes of 2026-07-28: header mismatch, missing client capability, unsupported version.
const fn is_mcp_error(code: i64) -> bool {
    matches!(code, -32022..=-32020)
}

/// URL elicitation required; 2025-11-25 only.
const URL_ELICITATION: i64 = -32042;
/// Resource not found, until 2025-11-25; others use the code too.
const NO_RESOURCE: i64 = -32002;

/// Whether a result has the shape that the method's result has. One that asks for more input or
/// hands out a task fits any.
fn fits(asked: &Message, answer: &Message) -> bool {
    let keys: &[&str] = match asked.method.as_deref() {
        Some("initialize") => &["protocolVersion"],
        Some("server/discover") => &["capabilities", "supportedVersions", "protocolVersions"],
        Some("tools/list") => &["tools"],
        Some("tools/call") => &["content", "structuredContent", "toolResult", "task"],
        Some("prompts/list") => &["prompts"],
        Some("prompts/get") => &["messages"],
        Some("resources/list") => &["resources"],
        Some("resources/templates/list") => &["resourceTemplates"],
        Some("resources/read") => &["contents"],
        Some("completion/complete") => &["completion"],
        _ => return true,
    };
    answer.partial || answer.result_type.is_some() || keys.iter().any(|key| has_key(answer, key))
}

/// A client cannot have got as far as sending this without a server that plays along: what an
/// unanswered request (a capture of one direction) proves. The openers prove nothing, nor does
/// the first call of a client without a handshake (MCP 2026-07-28).
pub(super) fn implies_server(message: &Message, is_first_call: bool) -> bool {
    let opens = matches!(message.method.as_deref(), Some("initialize" | "server/discover"));
    !(opens || message.modern_envelope && is_first_call)
}

/// A JSON-RPC message inside a plain response to a GET is a file about MCP, not MCP.
pub(super) fn is_download(request: &RequestInfo, channel: Channel, message: &Message) -> bool {
    channel == Channel::ResponseBody
        && request.method == "GET"
        && matches!(message.kind, Kind::Request | Kind::Notification | Kind::Result)
}

/// Whether a message on a stream may be taken for one of an MCP server by its shape alone. Pages
/// that show logs of MCP get them by GET as events, or on a WebSocket, too.
pub(super) fn is_plausible_stream(request: &RequestInfo, is_known: bool) -> bool {
    !request.seen
        || request.method != "GET"
        || is_known
        || is_mcp_head(request)
        || values(request, "sec-websocket-protocol")
            .any(|value| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("mcp")))
}

/// Whether there is no HTTP around the messages.
pub(super) const fn is_bare(request: &RequestInfo) -> bool {
    matches!(request.scheme, Scheme::Tcp | Scheme::Tls)
}

/// Whether no server sends this method in any revision.
pub(super) fn is_clients_own(method: &str) -> bool {
    methods::lookup(method).is_some_and(|known| {
        !Revision::ALL.iter().any(|revision| known.senders(*revision).contains(Senders::SERVER))
    })
}

/// Where the message and the header fields that mirror it disagree (MCP 2026-07-28): a portal or
/// filter that trusts the fields would be fooled. A field that is absent is not in disagreement;
/// of one that occurs several times, each line has to agree, for peers differ in which they read.
#[must_use]
pub fn disagreements(request: &RequestInfo, message: &Message) -> Vec<&'static str> {
    let mut found = Vec::new();
    if !matches!(message.kind, Kind::Request | Kind::Notification) {
        return found;
    }
    let method = message.method.as_deref();
    if values(request, "mcp-method").any(|value| method.is_some_and(|method| value != method)) {
        found.push("method");
    }
    if message.batched {
        return found;
    }
    let named = match method {
        Some("tools/call" | "prompts/get") => Some(message.name.as_deref()),
        Some("resources/read") => Some(message.uri.as_deref()),
        _ => None,
    };
    // What the capture lost may have named it.
    let named = named.filter(|named| named.is_some() || !message.partial);
    let differs = |value: &str, named: Option<&str>| match named {
        Some(named) => !agree(&decode_sentinel(value), named),
        None => true,
    };
    if named.is_some_and(|named| values(request, "mcp-name").any(|value| differs(value, named))) {
        found.push("name");
    }
    let version = message.protocol_version.as_deref().filter(|_| message.modern_envelope);
    if version.is_some_and(|version| {
        values(request, "mcp-protocol-version").any(|value| value != version)
    }) {
        found.push("version");
    }
    found
}

fn values<'a>(request: &'a RequestInfo, name: &'a str) -> impl Iterator<Item = &'a str> {
    let fields = request.headers.iter().filter(move |field| field.name == name);
    fields.map(|field| field.value.as_str())
}

/// Equal, as far as both were kept: long values are cut.
fn agree(a: &str, b: &str) -> bool {
    let whole = a == b;
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    // Cutting may have cost the last character.
    let kept = short.trim_end_matches('\u{fffd}');
    whole || (short.len() + 4 > MAX_KEPT_BYTES && long.starts_with(kept))
}

/// The least that is kept of a name, in the header field or the message.
const MAX_KEPT_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
