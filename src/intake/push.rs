//! Logs that are pushed over HTTP: `POST /v1/logs/SOURCE`, as Cloudflare Logpush and log shippers
//! do.
//!
//! A request is taken in whole or not at all, so that whoever pushes may push it again after any
//! answer but 200: 429 when the run has no room (nothing of it is taken in then), 401 without the
//! source's token, 413 beyond a bound, 415 for an unknown coding, 400 for a damaged body or one that
//! is mostly of another format (that it looks like is named). A request whose answer was lost is
//! taken in twice.

mod source;
#[cfg(test)]
mod tests;

pub use source::{Source, Sources};

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use super::lines::{self, Feed};
use super::listen::{self, Place, Running, Service};
use super::stream::Stream;
use super::tls::Identity;
use super::{Counts, NotTaken, Outlet, Parcel};
use crate::content::decompress::{Decoder, Limits as DecoderLimits};
use crate::logs::{MAX_SNIFFED_BYTES, Reader, Spec};
use crate::mcp::TapLimits;
use crate::secret::SecretHasher;

/// All there is to set. Worst-case memory: `max_bodies` × (`max_body_bytes` + `max_plain_bytes` and
/// the observations of that), and 64 KiB for each connection.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// HTTPS.
    pub tls: Option<Identity>,
    /// Who may push.
    pub sources: Sources,
    /// Formats that are recognised where a source names none.
    pub formats: &'static [&'static Spec],
    /// Connections at a time; more are told 503.
    pub max_connections: usize,
    /// Bodies at a time; more are told 429.
    pub max_bodies: usize,
    /// Of a body as it is sent; longer ones are told 413.
    pub max_body_bytes: usize,
    /// Of a body without its coding; longer ones are told 413.
    pub max_plain_bytes: usize,
    /// A request takes so long at most.
    pub timeout: Duration,
    /// Of recognition.
    pub tap: TapLimits,
    /// Hashes session ids.
    pub hasher: SecretHasher,
}

impl Settings {
    /// With bounds for ordinary batches.
    #[must_use]
    pub fn new(address: SocketAddr, sources: Sources) -> Self {
        Self {
            address,
            tls: None,
            sources,
            formats: crate::logs::format::ALL,
            max_connections: 256,
            max_bodies: 4,
            max_body_bytes: 16 << 20,
            max_plain_bytes: 64 << 20,
            timeout: Duration::from_secs(120),
            tap: TapLimits::default(),
            hasher: SecretHasher::default(),
        }
    }
}

/// The server.
#[derive(Debug)]
pub struct Server(Running);

impl Server {
    /// Listens, and hands what it recognises to `outlet`.
    ///
    /// # Errors
    /// When the address cannot be listened on or the certificate not be used, in words that say
    /// what to do.
    pub fn start(settings: Settings, outlet: Arc<dyn Outlet>) -> io::Result<Self> {
        let tls = settings.tls.as_ref().map(Identity::acceptor).transpose();
        let place = Place {
            address: settings.address,
            tls: tls.map_err(io::Error::other)?,
            max_connections: settings.max_connections,
        };
        let states = settings.sources.iter().map(|source| {
            let feed = Feed::new(source.number, settings.tap, settings.hasher.clone());
            Mutex::new(State { feed, lines: 0, turned_away: 0 })
        });
        let states = states.collect();
        let bodies = Semaphore::new(settings.max_bodies);
        let shared = Arc::new(Shared { settings, outlet, states, bodies });
        listen::start(place, shared).map(Self)
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    /// Ends.
    pub fn stop(self) {
        self.0.stop();
    }
}

/// Of one source.
#[derive(Debug)]
struct State {
    feed: Feed,
    /// Lines taken in so far.
    lines: u64,
    /// Requests turned away since this was told.
    turned_away: u64,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    outlet: Arc<dyn Outlet>,
    /// One per source, in their order.
    states: Vec<Mutex<State>>,
    bodies: Semaphore,
}

/// Another answer than 200, and why.
struct Trouble(StatusCode, String);

impl Trouble {
    fn new(status: StatusCode, why: impl fmt::Display) -> Self {
        Self(status, why.to_string())
    }
}

impl Service for Shared {
    const NAME: &'static str = "push";
    const NO_ROOM: &'static [u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
        Content-Length: 0\r\nConnection: close\r\n\r\n";

    async fn serve(self: Arc<Self>, stream: Stream, _: SocketAddr) {
        let timeout = self.settings.timeout;
        let service = service_fn(move |request| {
            let shared = Arc::clone(&self);
            async move { Ok::<_, Infallible>(shared.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(timeout)
            .max_buf_size(64 << 10)
            .serve_connection(TokioIo::new(stream), service);
        // What goes wrong here is the peer's business: it will push again.
        drop(connection.await);
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let answer = tokio::time::timeout(self.settings.timeout, self.take(request)).await;
        let late = || Trouble::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
        let (status, text) = match answer.unwrap_or_else(|_| Err(late())) {
            Ok(text) => (StatusCode::OK, text),
            Err(Trouble(status, why)) => (status, serde_json::json!({"error": why}).to_string()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text + "\n")));
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::TOO_MANY_REQUESTS {
            fields.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            fields.insert(header::ALLOW, HeaderValue::from_static("POST, PUT"));
        }
        response
    }

    async fn take(&self, request: Request<Incoming>) -> Result<String, Trouble> {
        let (head, body) = request.into_parts();
        let Some(name) = head.uri.path().strip_prefix("/v1/logs/") else {
            return Err(Trouble::new(StatusCode::NOT_FOUND, "push to /v1/logs/SOURCE"));
        };
        if !matches!(head.method, Method::POST | Method::PUT) {
            return Err(Trouble::new(StatusCode::METHOD_NOT_ALLOWED, "push with POST"));
        }
        // The same answer for sources that there are not: nobody learns their names here.
        let known = self.settings.sources.find(name, token(&head.headers));
        let Some((index, source)) = known else {
            let why = "no source of this name has this token";
            return Err(Trouble::new(StatusCode::UNAUTHORIZED, why));
        };
        let Ok(_permit) = self.bodies.try_acquire() else {
            return Err(self.turn_away(index));
        };
        let body = self.read(body).await?;
        let plain = self.decode(&head.headers, &body)?;
        drop(body);
        self.lines(index, source, &plain)
    }

    async fn read(&self, mut body: Incoming) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Trouble::new(StatusCode::BAD_REQUEST, error))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > self.settings.max_body_bytes {
                return Err(too_long(self.settings.max_body_bytes));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }

    /// The body without its content coding; without a name of it, what its first bytes are.
    fn decode(&self, fields: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Trouble> {
        let named: Vec<&[u8]> =
            fields.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
        let codings = match body {
            _ if !named.is_empty() => named,
            [0x1f, 0x8b, ..] => vec![&b"gzip"[..]],
            [0x28, 0xb5, 0x2f, 0xfd, ..] => vec![&b"zstd"[..]],
            _ => Vec::new(),
        };
        let max = self.settings.max_plain_bytes;
        let burst_bytes = u32::try_from(max).unwrap_or(u32::MAX);
        let limits = DecoderLimits { burst_bytes, ..DecoderLimits::default() };
        let mut decoder = Decoder::from_content_encoding(codings.into_iter(), limits);
        let mut plain = Vec::new();
        let flow = decoder.push(body, &mut |bytes| {
            if plain.len() + bytes.len() > max {
                return ControlFlow::Break(());
            }
            plain.extend_from_slice(bytes);
            ControlFlow::Continue(())
        });
        if flow.is_break() {
            return Err(too_long(max));
        }
        decoder.finish();
        while let Some(anomaly) = decoder.take_anomaly() {
            let status = match anomaly.kind {
                "content-coding-unknown" | "content-coding-too-many" => {
                    StatusCode::UNSUPPORTED_MEDIA_TYPE
                }
                "decompression-bomb" => StatusCode::PAYLOAD_TOO_LARGE,
                // A plain body in spite of the field can be read.
                "content-coding-mislabelled" => continue,
                _ => StatusCode::BAD_REQUEST,
            };
            return Err(Trouble::new(status, anomaly.kind));
        }
        Ok(plain)
    }

    /// Takes a whole body in, or nothing of it.
    fn lines(&self, index: usize, source: &Source, plain: &[u8]) -> Result<String, Trouble> {
        if is_probe(plain) {
            return Ok(r#"{"lines":0,"records":0,"bad":0}"#.to_owned());
        }
        let start = plain.get(..MAX_SNIFFED_BYTES).unwrap_or(plain);
        let whole = memchr::memrchr(b'\n', start).map_or(start.len(), |end| end + 1);
        let start = start.get(..whole).unwrap_or(start);
        let seen = || lines::recognised(start, self.settings.formats);
        let Some(spec) = source.format.or_else(seen) else {
            let why = "the format is none that is recognised: name it in the list of sources";
            return Err(Trouble::new(StatusCode::BAD_REQUEST, why));
        };
        let Some(state) = self.states.get(index) else {
            return Err(Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, "no such source"));
        };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { feed, lines, turned_away } = &mut *state;
        let mut reader = Reader::new(spec);
        let mut each = |number: u64, record: &crate::logs::Record<'_>| {
            feed.record(&*self.outlet, spec, *lines + number, None, record);
        };
        reader.push(plain, &mut each);
        reader.finish(&mut each);
        let counters = *reader.counters();
        let observations = feed.take();
        if counters.is_mostly_bad() {
            return Err(Trouble::new(StatusCode::BAD_REQUEST, other(&mut reader, spec, seen())));
        }
        let counts = Counts {
            source: source.number,
            lines: counters.lines,
            records: counters.records,
            bad: counters.bad,
            bytes: plain.len() as u64,
            turned_away: *turned_away,
        };
        match self.outlet.offer(Parcel { observations, mark: None, counts }) {
            Ok(()) => {
                *lines += counters.lines;
                *turned_away = 0;
                let crate::logs::Counters { lines, records, bad } = counters;
                Ok(serde_json::json!({"lines": lines, "records": records, "bad": bad}).to_string())
            }
            Err(NotTaken::Full(_)) => {
                drop(state);
                Err(self.turn_away(index))
            }
            Err(NotTaken::Closed) => {
                Err(Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "the sensor is stopping"))
            }
        }
    }

    fn turn_away(&self, index: usize) -> Trouble {
        if let Some(state) = self.states.get(index) {
            state.lock().unwrap_or_else(PoisonError::into_inner).turned_away += 1;
        }
        Trouble::new(StatusCode::TOO_MANY_REQUESTS, "no room now: push it again in a second")
    }
}

fn too_long(max: usize) -> Trouble {
    let why = format!("more than {max} bytes: push smaller batches");
    Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

/// Why most lines could not be read, with the format that they look like.
fn other(reader: &mut Reader, spec: &Spec, seen: Option<&Spec>) -> String {
    let first = reader.take_samples().next();
    let why = first.map(|bad| format!("line {}: {}", bad.number, bad.reason)).unwrap_or_default();
    let hint = match seen.filter(|seen| seen.name != spec.name) {
        Some(seen) => format!("; it looks like {}", seen.name),
        None => String::new(),
    };
    format!("most lines are not of the format {}: {why}{hint}", spec.name)
}

/// The token that came: `Authorization: Bearer`, or a field for those who cannot send that.
fn token(fields: &HeaderMap) -> &[u8] {
    let bearer = fields.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let bearer = bearer.map(|value| match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => value.trim_ascii(),
    });
    let own = || fields.get("x-shadowtap-token").map(HeaderValue::as_bytes);
    bearer.or_else(own).unwrap_or_default()
}

/// What Cloudflare Logpush sends to see whether somebody is there: one object with a `content` that
/// says it is a test.
fn is_probe(plain: &[u8]) -> bool {
    let text = plain.trim_ascii();
    text.len() < 256
        && serde_json::from_slice::<Probe>(text)
            .is_ok_and(|probe| probe.content.starts_with("test"))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    content: String,
    #[serde(default, rename = "filename")]
    _filename: Option<String>,
}
