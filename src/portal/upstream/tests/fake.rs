//! Servers of the tests: they read whole requests and answer with bytes, true to HTTP or not.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) verb: String,
    /// Names in lower case.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Value,
    /// Of connections, in the order that they came.
    pub(super) connection: usize,
}

impl Asked {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| &**value)
    }

    pub(super) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub(super) fn tool(&self) -> &str {
        self.body["params"]["name"].as_str().unwrap_or_default()
    }
}

/// What happens to a connection.
#[derive(Clone, Debug)]
pub(super) enum Does {
    /// These bytes, and the next request.
    Says(String),
    /// These bytes, and no more.
    SaysAndCloses(String),
    /// These bytes, and then nothing.
    SaysAndHangs(String),
}

pub(super) type Log = Arc<Mutex<Vec<Asked>>>;

/// Serves, and keeps what was asked.
pub(super) async fn serve(
    answer: impl Fn(&Asked) -> Does + Send + Sync + 'static,
) -> (String, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (log, answer) = (Log::default(), Arc::new(answer));
    let kept = Arc::clone(&log);
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (log, answer) = (Arc::clone(&kept), Arc::clone(&answer));
            tokio::spawn(async move { speak(stream, connection, &log, &*answer).await });
        }
    });
    (url, log)
}

async fn speak(
    stream: TcpStream,
    connection: usize,
    log: &Log,
    answer: &(impl Fn(&Asked) -> Does + Send + Sync),
) {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = read(&mut stream, connection).await {
        log.lock().unwrap().push(asked.clone());
        let (bytes, is_end, is_hang) = match answer(&asked) {
            Does::Says(bytes) => (bytes, false, false),
            Does::SaysAndCloses(bytes) => (bytes, true, false),
            Does::SaysAndHangs(bytes) => (bytes, true, true),
        };
        if stream.write_all(bytes.as_bytes()).await.is_err() {
            return;
        }
        if is_hang {
            // Until the other side closes.
            let _end = stream.read(&mut [0; 1]).await;
        }
        if is_end {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut first = lines[0].split(' ').map(str::to_owned);
    let verb = first.next()?;
    let fields: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = fields.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Asked { verb, fields, body, connection })
}

/// An answer of a status.
pub(super) fn status(line: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
}

/// An answer of JSON.
pub(super) fn json(more: &str, body: &Value) -> String {
    status("200 OK", &format!("content-type: application/json\r\n{more}"), &body.to_string())
}

/// A result to what was asked.
pub(super) fn result(asked: &Asked, result: Value) -> Value {
    serde_json::json!({"jsonrpc": "2.0", "id": asked.body["id"], "result": result})
}

/// The head of a stream.
pub(super) const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Bytes as one chunk.
pub(super) fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// A message as one event.
pub(super) fn event(message: &Value) -> String {
    chunk(&format!("data: {message}\n\n"))
}

/// What a server of MCP 2025-11-25 says to everything but calls.
pub(super) fn legacy(asked: &Asked, session: &str) -> Option<Does> {
    let has_session = asked.field("mcp-session-id").is_some();
    Some(Does::Says(match (&*asked.verb, asked.method()) {
        ("DELETE", _) => status("200 OK", "", ""),
        ("GET", _) => status("405 Method Not Allowed", "", ""),
        (_, "initialize") => json(
            &format!("mcp-session-id: {session}\r\n"),
            &result(
                asked,
                serde_json::json!({
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "fake", "version": "1"},
                }),
            ),
        ),
        (_, "server/discover") => {
            let error = serde_json::json!({
                "jsonrpc": "2.0", "id": null,
                "error": {"code": -32000, "message": "Bad Request: no session"},
            });
            let kind = "content-type: application/json\r\n";
            status("400 Bad Request", kind, &error.to_string())
        }
        (_, method) if method.starts_with("notifications/") => status("202 Accepted", "", ""),
        _ if !has_session => status("400 Bad Request", "", "no session"),
        _ => return None,
    }))
}

/// What a server of MCP 2026-07-28 says to everything but calls.
pub(super) fn modern(asked: &Asked) -> Option<Does> {
    Some(Does::Says(match (&*asked.verb, asked.method()) {
        ("POST", "server/discover") => json(
            "",
            &result(
                asked,
                serde_json::json!({
                    "resultType": "complete",
                    "supportedVersions": ["2026-07-28"],
                    "capabilities": {"tools": {}},
                    "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "new", "version": "2"}},
                }),
            ),
        ),
        ("POST", "initialize") => status("404 Not Found", "", ""),
        ("POST", _) => return None,
        _ => status("405 Method Not Allowed", "", ""),
    }))
}
