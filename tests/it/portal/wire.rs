//! MCP over HTTP/1.1 by hand: what SDKs hide, and as fast as a load needs it.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    /// The response in it, be it JSON or the last event of a stream.
    pub fn message(&self) -> Option<Value> {
        if let Ok(value) = serde_json::from_str(&self.body) {
            return Some(value);
        }
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
        let mut messages = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        messages.rfind(|value| value.get("id").is_some())
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Sends a POST on a connection of its own and reads the answer to its end.
pub fn post(port: u16, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Reply> {
    send("POST", port, path, headers, body)
}

/// Asks for a page.
pub fn get(port: u16, path: &str) -> io::Result<Reply> {
    send("GET", port, path, &[], "")
}

fn send(
    method: &str,
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         content-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    text += body;
    stream.write_all(text.as_bytes())?;
    let mut whole = Vec::new();
    stream.read_to_end(&mut whole)?;
    parse(&whole)
}

fn parse(whole: &[u8]) -> io::Result<Reply> {
    let end = memchr::memmem::find(whole, b"\r\n\r\n").ok_or_else(|| broken("no head"))?;
    let head = std::str::from_utf8(&whole[..end]).map_err(|_| broken("the head is no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| broken("no status"))?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body: String::new() };
    let rest = &whole[end + 4..];
    let body = if reply.header("transfer-encoding") == Some("chunked") {
        unchunked(rest)?
    } else {
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or(rest.len());
        rest.get(..length).ok_or_else(|| broken("the body is short"))?.to_vec()
    };
    reply.body = String::from_utf8(body).map_err(|_| broken("the body is no text"))?;
    Ok(reply)
}

fn unchunked(mut rest: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = memchr::memmem::find(rest, b"\r\n").ok_or_else(|| broken("no chunk"))?;
        let line = std::str::from_utf8(&rest[..end]).map_err(|_| broken("no size"))?;
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| broken("no size"))?;
        if size == 0 {
            return Ok(body);
        }
        let start = end + 2;
        body.extend(rest.get(start..start + size).ok_or_else(|| broken("the chunk is short"))?);
        rest = rest.get(start + size + 2..).ok_or_else(|| broken("the chunk is short"))?;
    }
}

/// A session of 2025-11-25, begun: its id.
pub fn begin(port: u16, path: &str) -> io::Result<String> {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "by-hand", "version": "1"}});
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let reply = post(port, path, &[], &body.to_string())?;
    let session = reply.header("mcp-session-id").ok_or_else(|| broken("no session"))?.to_owned();
    let body = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    post(port, path, &[("mcp-session-id", &session)], &body)?;
    Ok(session)
}

/// Calls a tool in a session of 2025-11-25.
pub fn call_in(
    session: &str,
    port: u16,
    path: &str,
    tool: &str,
    args: &Value,
) -> io::Result<Reply> {
    let params = json!({"name": tool, "arguments": args});
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let headers = [("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")];
    post(port, path, &headers, &body.to_string())
}

/// Calls a tool as 2026-07-28 has it.
pub fn call(port: u16, path: &str, tool: &str, args: &Value) -> io::Result<Reply> {
    let prefix = "io.modelcontextprotocol";
    let meta = json!({format!("{prefix}/protocolVersion"): "2026-07-28",
        format!("{prefix}/clientCapabilities"): {},
        format!("{prefix}/clientInfo"): {"name": "by-hand", "version": "1"}});
    let params = json!({"name": tool, "arguments": args, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let headers =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)];
    post(port, path, &headers, &body.to_string())
}

/// The text of a result that is one.
pub fn text(reply: &Reply) -> Option<String> {
    let message = reply.message()?;
    let result = message.get("result")?;
    if result["isError"] == true {
        return None;
    }
    result.pointer("/content/0/text")?.as_str().map(str::to_owned)
}

#[test]
fn answers_are_read_whole_or_refused() {
    let reply = |text: &str| parse(text.as_bytes());
    let whole = reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
    assert_eq!((whole.status, &*whole.body), (200, "{}"));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n0\r\n\r\n";
    assert_eq!(reply(chunked).unwrap().body, "data:");
    for short in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndat",
        "HTTP/1.1 200 OK\r\n",
        "",
    ] {
        reply(short).unwrap_err();
    }
    let stream = "HTTP/1.1 200 OK\r\n\r\ndata: {\"method\":\"m\"}\n\ndata: {\"id\":7,\"result\":\
                  {\"content\":[{\"text\":\"x\"}]}}\n\n";
    assert_eq!(text(&reply(stream).unwrap()).as_deref(), Some("x"));
}
