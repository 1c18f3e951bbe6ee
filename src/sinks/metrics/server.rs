//! The pages over HTTP, for a scraper on the same machine or network.
//!
//! One thread of its own, whatever the number of readers. Each connection serves one request and
//! is closed: readers come a few times a minute. So nothing has to be decided about idle ones, and
//! a slow one is gone after ten seconds; at most [`MAX_CONNECTIONS`] are open, others
//! wait in the kernel's queue. Request bodies are not read. Worst-case memory: 64 × (8 KiB of
//! request head and one page of some ten KiB).

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::health::{Health, Recent};
use super::{Format, Snapshot, render};

/// Where it listens unless told otherwise: loopback only.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";

/// Connections at a time; more wait until one is done.
const MAX_CONNECTIONS: u32 = 64;

/// How long readers may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For a request head.
    pub(super) head: Duration,
    /// For a whole request and its answer.
    pub(super) connection: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { head: Duration::from_secs(5), connection: Duration::from_secs(10) }
    }
}

/// The longest request head, in bytes.
const MAX_HEAD_BYTES: usize = 8 << 10;

/// How often counters are noted for the intervals of `/health`.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long [`Server::stop`] waits for answers under way.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// After the system gave no connection (it is out of descriptors), before asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the pages until it is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct State<F> {
    snapshot: F,
    recent: Mutex<Recent>,
    timeouts: Timeouts,
}

/// Listens on `address` and answers with what `snapshot` gives: it is called for every request and
/// every ten seconds, on the server's thread, and should be quick.
///
/// # Errors
/// When the address cannot be listened on, in words that say what to do, or when there is no
/// thread.
pub fn serve<F>(address: SocketAddr, snapshot: F) -> io::Result<Server>
where
    F: Fn() -> Snapshot + Send + Sync + 'static,
{
    serve_within(address, snapshot, Timeouts::default())
}

pub(super) fn serve_within<F>(
    address: SocketAddr,
    snapshot: F,
    timeouts: Timeouts,
) -> io::Result<Server>
where
    F: Fn() -> Snapshot + Send + Sync + 'static,
{
    let listener = TcpListener::bind(address).map_err(|error| explain(address, &error))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let state = Arc::new(State { snapshot, recent: Mutex::default(), timeouts });
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        runtime.block_on(run(listener, state, stopped));
        // What is left is a reader that takes no bytes.
        runtime.shutdown_background();
    })?;
    Ok(Server { address, stop: Some(stop), thread: Some(thread) })
}

impl Server {
    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, waits up to a second for answers under way, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that the thread has ended already.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn explain(address: SocketAddr, error: &io::Error) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there (a second sensor?): stop it or choose another port"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one",
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: use 127.0.0.1, or 0.0.0.0 for all of its addresses"
        }
        _ => "choose another address",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}; {advice}"))
}

async fn run<F>(listener: TcpListener, state: Arc<State<F>>, stopped: oneshot::Receiver<()>)
where
    F: Fn() -> Snapshot + Send + Sync + 'static,
{
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let ticking = tokio::spawn(tick(Arc::clone(&state)));
    let accepting = tokio::spawn(accept(listener, Arc::clone(&slots), state));
    // An error means that the server was dropped, which is as good.
    drop(stopped.await);
    accepting.abort();
    ticking.abort();
    drop(tokio::time::timeout(STOP_GRACE, slots.acquire_many(MAX_CONNECTIONS)).await);
}

async fn tick<F: Fn() -> Snapshot>(state: Arc<State<F>>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let snapshot = (state.snapshot)();
        state.recent.lock().unwrap_or_else(PoisonError::into_inner).tick(&snapshot);
    }
}

async fn accept<F>(listener: tokio::net::TcpListener, slots: Arc<Semaphore>, state: Arc<State<F>>)
where
    F: Fn() -> Snapshot + Send + Sync + 'static,
{
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(answer(stream, slot, Arc::clone(&state)))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn answer<F>(stream: TcpStream, slot: OwnedSemaphorePermit, state: Arc<State<F>>)
where
    F: Fn() -> Snapshot,
{
    let timeouts = state.timeouts;
    let service = service_fn(move |request: Request<Incoming>| {
        let response = page(&request, &state);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.head)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong here is the reader's business.
    drop(tokio::time::timeout(timeouts.connection, connection).await);
    drop(slot);
}

const TEXT: &str = "text/plain; charset=utf-8";

const INDEX: &str = "shadowtap\n\n\
    /metrics  counters, for Prometheus\n\
    /health   whether the sensor is well: 200 or 503, JSON\n";

fn page<F: Fn() -> Snapshot>(
    request: &Request<Incoming>,
    state: &State<F>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/" | "/metrics" | "/health") {
        return response(StatusCode::NOT_FOUND, TEXT, "not found\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal =
            response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n".to_owned());
        refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        "/metrics" => {
            let accept = request.headers().get_all(header::ACCEPT).iter();
            let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
            let format = Format::accepted(&accept.join(","));
            let text = render(&(state.snapshot)(), format);
            response(StatusCode::OK, format.content_type(), text)
        }
        "/health" => {
            let recent = *state.recent.lock().unwrap_or_else(PoisonError::into_inner);
            health(&Health::of(&(state.snapshot)(), &recent))
        }
        _ => response(StatusCode::OK, TEXT, INDEX.to_owned()),
    }
}

fn health(health: &Health) -> Response<Full<Bytes>> {
    let success = health.status.is_success();
    let status = if success { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut text = serde_json::to_string_pretty(health).unwrap_or_default();
    text.push('\n');
    response(status, "application/json", text)
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    response
}
