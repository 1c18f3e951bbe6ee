//! What MCP peers say: JSON-RPC texts, and HTTP around them.

use super::builder::Talk;

/// A call of a tool.
pub fn call_text(id: usize) -> String {
    call_of(id, "echo")
}

pub fn call_of(id: usize, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"text":"hi"}}}}}}"#
    )
}

/// Its result.
pub fn result_text(id: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"ok"}}]}}}}"#
    )
}

/// A head with one more or less field, and a body: `fields` end their lines.
pub fn http(start: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = format!("{start}\r\n{fields}\r\n").into_bytes();
    out.extend(body);
    out
}

/// A request to the MCP endpoint; its length is given by `fields`.
pub fn request(fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let common = "Host: mcp.test:8080\r\nAccept: application/json, text/event-stream\r\n";
    http("POST /mcp HTTP/1.1", &format!("{common}{fields}"), body)
}

/// A whole request with a JSON body.
pub fn post(body: impl AsRef<[u8]>) -> Vec<u8> {
    post_with("", body)
}

pub fn post_with(fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let len = body.as_ref().len();
    let own = format!("Content-Type: application/json\r\nContent-Length: {len}\r\n{fields}");
    request(&own, body)
}

/// A whole response with a JSON body.
pub fn reply(body: impl AsRef<[u8]>) -> Vec<u8> {
    reply_with("", body)
}

pub fn reply_with(fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let len = body.as_ref().len();
    let own = format!("Content-Type: application/json\r\nContent-Length: {len}\r\n{fields}");
    http("HTTP/1.1 200 OK", &own, body)
}

/// A call as a request.
pub fn call(id: usize) -> Vec<u8> {
    post(call_text(id))
}

/// Its result as a response.
pub fn answer(id: usize) -> Vec<u8> {
    reply(result_text(id))
}

/// The head of an event stream.
pub fn stream_head(fields: &str) -> Vec<u8> {
    http("HTTP/1.1 200 OK", &format!("Content-Type: text/event-stream\r\n{fields}"), "")
}

/// An event.
pub fn event(data: &str) -> String {
    format!("event: message\r\ndata: {data}\r\n\r\n")
}

/// Pieces in chunked coding, without the last chunk.
pub fn chunks(body: impl AsRef<[u8]>, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.as_ref().chunks(size) {
        out.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        out.extend(piece);
        out.extend(b"\r\n");
    }
    out
}

/// A whole body in chunked coding.
pub fn chunked(body: impl AsRef<[u8]>, size: usize) -> Vec<u8> {
    [chunks(body, size), b"0\r\n\r\n".to_vec()].concat()
}

/// An open connection with so many calls and results.
pub fn calls(count: usize) -> Talk {
    let mut talk = Talk::open();
    say_calls(&mut talk, count);
    talk
}

pub fn say_calls(talk: &mut Talk, count: usize) {
    for id in 1..=count {
        talk.exchange(call(id), answer(id));
    }
    talk.close();
}

/// What a client of 2025-11-25 says first.
pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"probe","version":"1"}}}"#;
/// And what it is told.
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"lab","version":"2"}}}"#;
pub const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
pub const LISTED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo","description":"Says it again","inputSchema":{"type":"object"}}]}}"#;
pub const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
pub const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A whole session of 2025-11-25: handshake, list, call.
pub fn session() -> Talk {
    let mut talk = Talk::open();
    let named = "Mcp-Session-Id: 1f6c-77aa\r\n";
    talk.exchange(post(INITIALIZE), reply_with(named, INITIALIZED));
    talk.exchange(post_with(named, READY), ACCEPTED);
    talk.exchange(post_with(named, LIST), reply(LISTED));
    talk.exchange(post_with(named, call_text(2)), answer(2));
    talk.close();
    talk
}
