//! Spans by OTLP over HTTP in JSON (OpenTelemetry protocol 1.x), with the names of the semantic
//! conventions for MCP and generative AI.
//!
//! Each call that is sampled gives a span of kind server, and one of kind client for what the
//! server behind the portal took. Spans wait in a queue of [`MAX_QUEUED`]; what finds no room, and
//! what the collector does not take after [`TRIES`] tries, is counted and gone: spans are no audit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::Record;
use super::config::Traces;
use crate::sinks::connector::{Connector, connector};

/// Spans that wait; two for a call.
const MAX_QUEUED: usize = 4_096;
/// Spans of one request.
const MAX_BATCH: usize = 512;
/// Spans are sent at the latest after this time.
const LINGER: Duration = Duration::from_secs(2);
/// A collector that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Tries for one request.
const TRIES: u32 = 3;
/// So much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// What became of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The collector took them.
    pub sent: u64,
    /// It did not, or they found no room.
    pub lost: u64,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    lost: AtomicU64,
}

/// Sends spans. Its task ends once it is dropped and what waits is sent.
#[derive(Debug)]
pub struct Exporter {
    queue: mpsc::Sender<Value>,
    counts: Arc<Counts>,
}

impl Exporter {
    /// Starts a task of the runtime that this is called in.
    ///
    /// # Errors
    /// An address or header that is none, and files of certificates that cannot be read.
    pub fn start(traces: &Traces) -> Result<Self, String> {
        let uri: Uri = traces.url.parse().map_err(|error| format!("{}: {error}", traces.url))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = HeaderValue::from_static(concat!("shadowtap/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        for (name, value) in &traces.headers {
            let bad = || format!("audit.traces.headers.{name}: no header field has that value");
            let field = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(field, value);
        }
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(1)
            .build(connector(traces.ca_file.as_deref())?);
        let (queue, spans) = mpsc::channel(MAX_QUEUED);
        let counts = Arc::new(Counts::default());
        let runtime = tokio::runtime::Handle::try_current();
        let runtime = runtime.map_err(|error| format!("cannot send spans: {error}"))?;
        let collector = Collector { client, uri, headers, counts: Arc::clone(&counts) };
        drop(runtime.spawn(collector.run(spans)));
        Ok(Self { queue, counts })
    }

    /// Takes the spans of a call, if it is sampled. Never waits.
    pub fn offer(&self, record: &Record) {
        if record.trace.as_ref().is_none_or(|trace| !trace.is_sampled) {
            return;
        }
        for span in spans(record) {
            if self.queue.try_send(span).is_err() {
                self.counts.lost.fetch_add(1, Relaxed);
            }
        }
    }

    /// What became of spans so far.
    #[must_use]
    pub fn sent(&self) -> Sent {
        let Counts { sent, lost } = &*self.counts;
        Sent { sent: sent.load(Relaxed), lost: lost.load(Relaxed) }
    }
}

struct Collector {
    client: Client<Connector, Full<Bytes>>,
    uri: Uri,
    headers: HeaderMap,
    counts: Arc<Counts>,
}

impl Collector {
    async fn run(self, mut spans: mpsc::Receiver<Value>) {
        let mut batch = Vec::new();
        while spans.recv_many(&mut batch, MAX_BATCH).await > 0 {
            // More may follow soon; a request for each would be many.
            let more = async {
                while batch.len() < MAX_BATCH {
                    let Some(span) = spans.recv().await else { break };
                    batch.push(span);
                }
            };
            // What came until then is sent.
            let _full = timeout(LINGER, more).await;
            let count = batch.len() as u64;
            let body = Bytes::from(request(std::mem::take(&mut batch)).to_string());
            let counter = if self.send(body).await { &self.counts.sent } else { &self.counts.lost };
            counter.fetch_add(count, Relaxed);
        }
    }

    /// Whether the collector took it.
    async fn send(&self, body: Bytes) -> bool {
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(Duration::from_millis(250 << attempt)).await;
            }
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = self.uri.clone();
            *request.headers_mut() = self.headers.clone();
            let answer = timeout(TIMEOUT, async {
                let response = self.client.request(request).await.ok()?;
                let status = response.status();
                // Read to its end, so that the connection can be used again.
                let _read = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
                Some(status)
            });
            match answer.await {
                Ok(Some(status)) if status.is_success() => return true,
                // OTLP/HTTP, "Failures": only these are worth another try.
                Ok(Some(status)) if !matches!(status.as_u16(), 429 | 502 | 503 | 504) => {
                    return false;
                }
                _ => {}
            }
        }
        false
    }
}

/// `ExportTraceServiceRequest`.
fn request(spans: Vec<Value>) -> Value {
    let scope = json!({"name": "shadowtap", "version": env!("CARGO_PKG_VERSION")});
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "shadowtap-portal")]},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]})
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn number(key: &str, value: i64) -> Value {
    // Integers of 64 bits are strings in the JSON of protocol buffers.
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

/// The spans of a call.
fn spans(record: &Record) -> Vec<Value> {
    let Some(trace) = &record.trace else { return Vec::new() };
    let begin = record.timestamp.as_nanos();
    let micros = |micros: u64| i64::try_from(micros.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let end = begin.saturating_add(micros(record.event.duration_us));
    let target = record.mcp.name.as_deref().or(record.mcp.uri.as_deref());
    let name = match (record.mcp.kind, target) {
        // Names of resources are too many for the name of a span.
        ("tool" | "prompt", Some(target)) => format!("{} {target}", record.mcp.method),
        _ => record.mcp.method.clone(),
    };
    let attributes = attributes(record);
    let mut own = json!({
        "traceId": trace.id, "spanId": trace.span, "name": name, "kind": 2,
        "startTimeUnixNano": begin.to_string(), "endTimeUnixNano": end.to_string(),
        "attributes": attributes, "status": {"code": status(record)},
    });
    if !trace.parent.is_empty()
        && let Some(own) = own.as_object_mut()
    {
        own.insert("parentSpanId".to_owned(), trace.parent.clone().into());
    }
    let mut spans = vec![own];
    if let Some(upstream) = record.event.upstream_us {
        let from = end.saturating_sub(micros(upstream)).max(begin);
        let mut attributes = attributes_of_server(record);
        attributes.push(text("mcp.method.name", &record.mcp.method));
        spans.push(json!({
            "traceId": trace.id, "spanId": below(&trace.span), "parentSpanId": trace.span,
            "name": name, "kind": 3,
            "startTimeUnixNano": from.to_string(), "endTimeUnixNano": end.to_string(),
            "attributes": attributes, "status": {"code": status(record)},
        }));
    }
    spans
}

/// Id of the span for the server: that of the portal's own span with its bits turned.
fn below(span: &str) -> String {
    let id = u64::from_str_radix(span, 16).unwrap_or(1);
    format!("{:016x}", (!id).max(1))
}

/// 0 is unset, 2 an error.
fn status(record: &Record) -> u8 {
    if record.event.outcome == "success" { 0 } else { 2 }
}

/// What the conventions for MCP and generative AI name, and what they have no name for.
fn attributes(record: &Record) -> Vec<Value> {
    let mcp = &record.mcp;
    let mut all = vec![text("mcp.method.name", &mcp.method)];
    let mut maybe = |key: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            all.push(text(key, value));
        }
    };
    maybe("mcp.session.id", mcp.session.as_deref());
    maybe("mcp.protocol.version", mcp.protocol_version.as_deref());
    maybe("jsonrpc.request.id", mcp.id.as_deref());
    maybe("mcp.resource.uri", mcp.uri.as_deref());
    match mcp.kind {
        "tool" => {
            maybe("gen_ai.operation.name", Some("execute_tool"));
            maybe("gen_ai.tool.name", mcp.name.as_deref());
        }
        "prompt" => maybe("gen_ai.prompt.name", mcp.name.as_deref()),
        _ => {}
    }
    let address = record.source.ip.map(|ip| ip.to_string());
    maybe("client.address", address.as_deref());
    maybe("user_agent.original", record.client.user_agent.as_deref());
    maybe("user.id", Some(&record.user.id));
    maybe("shadowtap.portal.name", Some(&record.portal.name));
    maybe("shadowtap.server.id", Some(&record.server.id));
    maybe("shadowtap.decision", Some(&record.decision.ruling));
    maybe("shadowtap.policy.id", record.decision.policy.as_deref());
    maybe("shadowtap.call.id", Some(&record.event.id));
    let code = record.error.as_ref().and_then(|error| error.code).map(|code| code.to_string());
    maybe("rpc.response.status_code", code.as_deref());
    if record.event.outcome != "success" {
        let kind = record.decision.kind.as_deref().or(code.as_deref());
        maybe("error.type", Some(kind.unwrap_or("tool_error")));
    }
    all
}

fn attributes_of_server(record: &Record) -> Vec<Value> {
    let mut all = vec![text("shadowtap.server.id", &record.server.id)];
    if !record.server.address.is_empty() {
        all.push(text("server.address", &record.server.address));
    }
    if let Some(status) = record.response.upstream_status {
        all.push(number("http.response.status_code", i64::from(status)));
    }
    all
}
