//! An MCP server that begins every session well, lists its tools well, and then answers calls in one
//! of many wrong ways. Threads and sockets only: it writes bytes that no library would.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What it does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers as it should.
    None,
    /// Takes the call and says nothing.
    Hang,
    /// Begins an answer, and says no more.
    HangInside,
    /// The connection is closed before the answer.
    Close,
    /// It is reset before the answer.
    Reset,
    /// It is closed in the middle of a body.
    CloseInside,
    /// `Content-Length` is more than the body has.
    LongLength,
    /// `Content-Length` is less than the body has.
    ShortLength,
    /// Two different lengths.
    TwoLengths,
    /// A chunk whose size is no number.
    BadChunk,
    /// No HTTP at all.
    NoHttp,
    /// A body that is no JSON.
    NoJson,
    /// A result for a request that nobody sent.
    WrongId,
    /// Two results in one object.
    TwoResults,
    /// A stream that ends without the result.
    EmptyStream,
    /// A stream with an event that is no message, then the result.
    BadEvent,
    /// Success without content.
    EmptyResult,
    /// A page of a proxy in between.
    Page,
    /// Arrays inside of arrays.
    Deep,
    /// More than anyone wants.
    Endless,
}

pub const FAULTS: [Fault; 19] = [
    Fault::Hang,
    Fault::HangInside,
    Fault::Close,
    Fault::Reset,
    Fault::CloseInside,
    Fault::LongLength,
    Fault::ShortLength,
    Fault::TwoLengths,
    Fault::BadChunk,
    Fault::NoHttp,
    Fault::NoJson,
    Fault::WrongId,
    Fault::TwoResults,
    Fault::EmptyStream,
    Fault::BadEvent,
    Fault::EmptyResult,
    Fault::Page,
    Fault::Deep,
    Fault::Endless,
];

struct State {
    fault: Mutex<Fault>,
    /// Sessions that it knows end when this changes.
    epoch: AtomicU64,
    calls: AtomicU64,
    over: AtomicBool,
}

/// The server; it ends with this.
pub struct Faulty {
    pub port: u16,
    state: Arc<State>,
}

impl Faulty {
    pub fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            fault: Mutex::new(fault),
            epoch: AtomicU64::new(1),
            calls: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), state) = (stream, Arc::clone(&shared)) else { continue };
                std::thread::spawn(move || while answer(&stream, &state).is_some() {});
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    pub fn set(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = fault;
    }

    /// Ends all sessions, as a restart does: their ids get 404.
    pub fn forget_sessions(&self) {
        self.state.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// Calls of tools that reached it.
    pub fn calls(&self) -> u64 {
        self.state.calls.load(Ordering::Relaxed)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        // The listener wakes up by a connection, and is gone.
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// A request; its body is still in the socket, which resets what is closed with something unread.
struct Asked {
    head: String,
    body: Value,
    bytes: usize,
}

fn peek(stream: &TcpStream) -> Option<Asked> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = stream.peek(&mut buffer).ok().filter(|count| *count > 0)?;
        let seen = &buffer[..count];
        if let Some(end) = memchr::memmem::find(seen, b"\r\n\r\n") {
            let head = String::from_utf8(seen[..end].to_vec()).ok()?.to_lowercase();
            let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
            let bytes = end + 4 + length.map_or(0, |length| length.trim().parse().unwrap_or(0));
            if let Some(body) = seen.get(end + 4..bytes) {
                return Some(Asked { head, body: serde_json::from_slice(body).ok()?, bytes });
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Answers one request; `None` ends the connection.
fn answer(stream: &TcpStream, state: &State) -> Option<()> {
    let asked = peek(stream)?;
    respond(stream, &asked, state)?;
    (!asked.head.contains("connection: close")).then_some(())
}

fn respond(mut stream: &TcpStream, asked: &Asked, state: &State) -> Option<()> {
    let fault = *state.fault.lock().unwrap();
    let method = asked.body["method"].as_str().unwrap_or_default();
    if method == "tools/call" {
        state.calls.fetch_add(1, Ordering::Relaxed);
        if fault == Fault::Reset {
            return None;
        }
    }
    stream.read_exact(&mut vec![0; asked.bytes]).ok()?;
    let epoch = state.epoch.load(Ordering::Relaxed);
    let session = asked.head.split("\r\n").find_map(|line| line.strip_prefix("mcp-session-id:"));
    if session.is_some_and(|session| session.trim() != format!("session-{epoch}")) {
        return reply(stream, "404 Not Found", "", "{}");
    }
    let result = match method {
        "initialize" => {
            json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "faulty", "version": "1"}})
        }
        "server/discover" if asked.head.contains("2026-07-28") => {
            return reply(stream, "400 Bad Request", "", "{}");
        }
        "tools/list" => json!({"tools": [{"name": "echo", "description": "Echoes",
            "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}}]}),
        "tools/call" => {
            let text = asked.body.pointer("/params/arguments/text").cloned().unwrap_or_default();
            json!({"content": [{"type": "text", "text": text}]})
        }
        "ping" => json!({}),
        _ if asked.body.get("id").is_none() => return reply(stream, "202 Accepted", "", ""),
        _ => return reply(stream, "400 Bad Request", "", "{}"),
    };
    let id = asked.body["id"].clone();
    let body = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
    if method == "tools/call" && fault != Fault::None {
        return wrong(stream, fault, &id, &body, state);
    }
    let header = format!("mcp-session-id: session-{epoch}\r\n");
    reply(stream, "200 OK", if method == "initialize" { &header } else { "" }, &body)
}

fn reply(mut stream: &TcpStream, status: &str, more: &str, body: &str) -> Option<()> {
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).ok()
}

/// A head for a body of so many bytes, be it true or not.
fn head(bytes: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n")
}

fn stream_of(events: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
    )
}

fn wrong(
    mut stream: &TcpStream,
    fault: Fault,
    id: &Value,
    body: &str,
    state: &State,
) -> Option<()> {
    let half = &body[..body.len() / 2];
    let text = match fault {
        Fault::None | Fault::Reset | Fault::Close => String::new(),
        Fault::Hang | Fault::HangInside => {
            if fault == Fault::HangInside {
                stream.write_all(format!("{}{half}", head(body.len())).as_bytes()).ok()?;
            }
            // Until whoever waits has gone, or the test is over.
            stream.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
            while !state.over.load(Ordering::Relaxed) {
                match (&mut stream).read(&mut [0]) {
                    Ok(0) => return None,
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return None,
                    _ => {}
                }
            }
            String::new()
        }
        Fault::CloseInside => format!("{}{half}", head(body.len())),
        Fault::LongLength => format!("{}{body}", head(body.len() + 100)),
        Fault::ShortLength => format!("{}{body}", head(body.len() - 5)),
        Fault::TwoLengths => {
            let two = format!("content-length: {}\r\n\r\n", body.len() + 1);
            format!("{}{two}{body}", head(body.len()).trim_end_matches("\r\n").to_owned() + "\r\n")
        }
        Fault::BadChunk => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
             zz\r\n{body}\r\n0\r\n\r\n"
        ),
        Fault::NoHttp => format!("{body}\r\n\r\n"),
        Fault::NoJson => format!("{}{}", head(half.len()), half),
        Fault::WrongId => {
            let other = json!({"jsonrpc": "2.0", "id": "nobody's", "result": {"content": []}});
            let other = other.to_string();
            format!("{}{other}", head(other.len()))
        }
        Fault::TwoResults => {
            let two =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}},"result":{{"content":[]}}}}"#);
            format!("{}{two}", head(two.len()))
        }
        Fault::EmptyStream => stream_of(": nothing\n\n"),
        Fault::BadEvent => stream_of(&format!("data: {{\"half\n\ndata: {body}\n\n")),
        Fault::EmptyResult => {
            let empty = json!({"jsonrpc": "2.0", "id": id}).to_string();
            format!("{}{empty}", head(empty.len()))
        }
        Fault::Page => "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\
                        content-length: 20\r\n\r\n<h1>Bad gateway</h1>"
            .to_owned(),
        Fault::Deep => {
            let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
            let deep = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":{deep}}}}}"#);
            format!("{}{deep}", head(deep.len()))
        }
        Fault::Endless => return endless(stream),
    };
    stream.write_all(text.as_bytes()).ok()?;
    let _it_may_be_gone = stream.shutdown(Shutdown::Both);
    None
}

/// A body of up to 4 GB, or as much as is taken.
fn endless(mut stream: &TcpStream) -> Option<()> {
    stream.write_all(head(4 << 30).as_bytes()).ok()?;
    let piece = [b' '; 1 << 16];
    for _ in 0..(4 << 30) / piece.len() {
        stream.write_all(&piece).ok()?;
    }
    None
}
