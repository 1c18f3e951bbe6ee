//! Calls of a tool over many connections, each with a session of its own or without one.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::process::{cpu_seconds, rss_mib};

/// Before anything is measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// Connections of the open loop: more than are ever busy at once, if all is well.
const OPEN_CONNECTIONS: u32 = 64;

/// How calls are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2025-11-25.
    Session,
    /// 2026-07-28.
    Stateless,
}

impl fmt::Display for Era {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "2025-11-25",
            Self::Stateless => "2026-07-28",
        })
    }
}

/// Where calls go, and whose CPU time it is.
#[derive(Clone)]
pub struct Target {
    address: String,
    path: String,
    pid: u32,
    header: Option<(String, String)>,
}

impl Target {
    pub fn new(url: &str, pid: u32, header: Option<(String, String)>) -> Self {
        let rest = url.strip_prefix("http://").expect("a URL of plain HTTP");
        let (address, path) = rest.split_once('/').expect("a path");
        Self { address: address.to_owned(), path: format!("/{path}"), pid, header }
    }

    pub fn rss_mib(&self) -> f64 {
        rss_mib(self.pid)
    }
}

/// What a run measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Calls a second.
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// CPU time of the target for each call, microseconds.
    pub cpu_micros: f64,
    /// Its memory at the end.
    pub rss_mib: f64,
}

fn measured(mut times: Vec<Duration>, took: Duration, cpu: f64, target: &Target) -> Measured {
    assert!(!times.is_empty(), "no call was answered");
    times.sort_unstable();
    let at = |part: f64| {
        let index = ((times.len() - 1) as f64 * part).round() as usize;
        times[index].as_secs_f64() * 1e3
    };
    Measured {
        rate: times.len() as f64 / took.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        cpu_micros: cpu * 1e6 / times.len() as f64,
        rss_mib: rss_mib(target.pid),
    }
}

/// One connection, and the session that it has.
struct Caller {
    target: Target,
    send: SendRequest<Full<Bytes>>,
    session: Option<String>,
    era: Era,
    /// Of this caller, so that answers cannot be mistaken.
    name: u32,
    calls: u64,
}

impl Caller {
    async fn connect(target: &Target, era: Era, name: u32) -> Self {
        let stream = TcpStream::connect(&target.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (send, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move {
            let _ended = connection.await;
        });
        let mut caller = Self { target: target.clone(), send, session: None, era, name, calls: 0 };
        if era == Era::Session {
            caller.begin().await;
        }
        caller
    }

    async fn begin(&mut self) {
        let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#;
        let response = self.post(body.to_owned(), None).await;
        let session = response.headers().get("mcp-session-id").expect("a session");
        self.session = Some(session.to_str().unwrap().to_owned());
        drop(response.into_body().collect().await.unwrap());
        let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let response = self.post(body.to_owned(), None).await;
        drop(response.into_body().collect().await.unwrap());
    }

    async fn post(&mut self, body: String, tool: Option<&str>) -> Response<hyper::body::Incoming> {
        let mut request = Request::post(&self.target.path)
            .header("host", &self.target.address)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", self.era.to_string());
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        if let (Era::Stateless, Some(tool)) = (self.era, tool) {
            request = request.header("mcp-method", "tools/call").header("mcp-name", tool);
        }
        if let Some((name, value)) = &self.target.header {
            request = request.header(name, value);
        }
        self.send.ready().await.expect("the connection is open");
        self.send.send_request(request.body(Full::from(body)).unwrap()).await.unwrap()
    }

    /// Calls the tool; the answer has to be what was said.
    async fn call(&mut self) {
        self.calls += 1;
        let said = format!("said by {:>6} at {:>12}", self.name, self.calls);
        let meta = match self.era {
            Era::Session => "",
            Era::Stateless => {
                r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"load","version":"1"}}"#
            }
        };
        let id = self.calls;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{said}"}}{meta}}}}}"#
        );
        let response = self.post(body, Some("echo")).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        assert!(is_answer(&body, id, &said), "{}", String::from_utf8_lossy(&body));
    }
}

/// Whether it is a result with that text, as JSON or as the last event of a stream.
fn is_answer(body: &[u8], id: u64, said: &str) -> bool {
    let start = memchr::memmem::rfind(body, b"data: {").map_or(0, |at| at + b"data: ".len());
    let end = memchr::memchr(b'\n', &body[start..]).map_or(body.len(), |at| start + at);
    let Ok(message) = serde_json::from_slice::<Value>(&body[start..end]) else { return false };
    message["id"] == id
        && message["result"]["isError"] != true
        && message["result"]["content"][0]["text"] == said
}

/// On one thread: a machine with two cores has the other for the target.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// So many connections, each of which sends its next call when the last is answered.
pub fn closed(target: &Target, era: Era, connections: u32, lasts: Duration) -> Measured {
    block_on(async {
        let mut callers = Vec::new();
        for name in 0..connections {
            callers.push(Caller::connect(target, era, name).await);
        }
        let begins = Instant::now() + WARM_UP;
        let ends = begins + lasts;
        let tasks = callers.into_iter().map(|mut caller| async move {
            let mut times = Vec::new();
            loop {
                let sent = Instant::now();
                if sent >= ends {
                    return times;
                }
                caller.call().await;
                if sent >= begins {
                    times.push(sent.elapsed());
                }
            }
        });
        let cpu = async {
            tokio::time::sleep_until(begins.into()).await;
            cpu_seconds(target.pid)
        };
        let (times, before) = tokio::join!(all(tasks), cpu);
        measured(times, lasts, cpu_seconds(target.pid) - before, target)
    })
}

/// Calls at a fixed rate. A call that is late because those before it are not answered yet counts from
/// when it was due (coordinated omission).
pub fn open(target: &Target, era: Era, rate: u32, lasts: Duration) -> Measured {
    block_on(async {
        let mut callers = Vec::new();
        for name in 0..OPEN_CONNECTIONS {
            let mut caller = Caller::connect(target, era, name).await;
            caller.call().await;
            callers.push(caller);
        }
        let begins = Instant::now();
        let calls = (lasts.as_secs_f64() * f64::from(rate)) as u32;
        let before = cpu_seconds(target.pid);
        let tasks = callers.into_iter().map(|mut caller| async move {
            let mut times = Vec::new();
            for number in (caller.name..calls).step_by(OPEN_CONNECTIONS as usize) {
                let due = begins + Duration::from_secs(1) * number / rate;
                tokio::time::sleep_until(due.into()).await;
                // The timer is good to a millisecond only, and that is not the target's fault: a call
                // that nothing held up begins now.
                let late = due.elapsed();
                let from = if late < Duration::from_millis(2) { Instant::now() } else { due };
                caller.call().await;
                times.push(from.elapsed());
            }
            times
        });
        let times = all(tasks).await;
        measured(times, begins.elapsed(), cpu_seconds(target.pid) - before, target)
    })
}

/// All at once, and all that they say.
async fn all<F>(tasks: impl Iterator<Item = F>) -> Vec<Duration>
where
    F: Future<Output = Vec<Duration>> + Send + 'static,
{
    let running: Vec<_> = tasks.map(tokio::spawn).collect();
    let mut times = Vec::new();
    for task in running {
        times.extend(task.await.expect("every answer is right"));
    }
    times
}

/// Memory of the target before and after so many sessions that were begun, used once and left.
pub fn idle(target: &Target, sessions: usize) -> (f64, f64) {
    block_on(async {
        let mut caller = Caller::connect(target, Era::Session, 0).await;
        caller.call().await;
        let before = rss_mib(target.pid);
        for _ in 0..sessions {
            caller.session = None;
            caller.begin().await;
            caller.call().await;
        }
        (before, rss_mib(target.pid))
    })
}
