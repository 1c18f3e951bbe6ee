//! HTTP for clients of all revisions, and the portal's own pages.
//!
//! | path | what |
//! |---|---|
//! | `/mcp` | all servers |
//! | `/mcp/{name}` | one server with its own names, or a group of servers |
//! | `/sse`, `/messages` | HTTP+SSE (MCP 2024-11-05), where it is switched on |
//! | `/healthz`, `/readyz` | for whoever balances |
//! | `/metrics` | for operators: to this machine, or at an address of its own |
//! | `/` | how to set clients up |

mod answers;
mod heads;
mod home;
mod listener;
mod mcp;
mod old;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use rustls::pki_types::CertificateDer;

pub use listener::{Audience, Listening, Tls, TlsFiles};

use super::Answer;
use super::hub::Hub;
use super::hub::parts::Origin;
use super::principal::Principal;
use heads::Doors;

/// All there is to set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As clients know the portal: `https://mcp.example.com`.
    pub public_url: Option<Box<str>>,
    /// Origins of pages that may call, beside that of `public_url`.
    pub origins: Vec<Box<str>>,
    /// Names that the portal is called by, beside that of `public_url`. Empty: any, unless it
    /// listens on loopback.
    pub hosts: Vec<Box<str>>,
    /// Clients of 2025-03-26 to 2025-11-25.
    pub has_sessions: bool,
    /// Clients of 2024-11-05.
    pub has_sse: bool,
    /// Longest body of a request.
    pub max_body_bytes: usize,
    /// Arrays and objects inside of each other.
    pub max_depth: u32,
    /// A body that takes longer is not waited for.
    pub body_timeout: Duration,
    /// A head that takes longer is not waited for.
    pub header_timeout: Duration,
    /// Messages in one batch (2025-03-26).
    pub max_batch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            public_url: None,
            origins: Vec::new(),
            hosts: Vec::new(),
            has_sessions: true,
            has_sse: false,
            max_body_bytes: 4 << 20,
            max_depth: 64,
            body_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(10),
            max_batch: 50,
        }
    }
}

/// What is in force for requests.
#[derive(Debug)]
struct View {
    settings: Settings,
    doors: Doors,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its address.
    pub address: SocketAddr,
    /// Of a client that showed one.
    pub certificates: Option<Arc<[CertificateDer<'static>]>>,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// Whom the listener is for.
    pub audience: Audience,
}

impl Caller {
    fn is_operator(&self) -> bool {
        self.audience == Audience::Operators || self.address.ip().is_loopback()
    }
}

/// Takes requests.
#[derive(Debug)]
pub struct Front {
    hub: Arc<Hub>,
    view: RwLock<Arc<View>>,
    links: old::Links,
    is_loopback: bool,
    is_draining: AtomicBool,
    requests: AtomicU64,
    connections: AtomicU64,
}

impl Front {
    /// In front of a hub, listening on an address.
    #[must_use]
    pub fn new(hub: Arc<Hub>, settings: Settings, address: SocketAddr) -> Arc<Self> {
        let is_loopback = address.ip().is_loopback();
        Arc::new(Self {
            hub,
            view: RwLock::new(Arc::new(view(settings, is_loopback))),
            links: old::Links::default(),
            is_loopback,
            is_draining: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        })
    }

    /// Puts other settings in force.
    pub fn replace(&self, settings: Settings) {
        let view = Arc::new(view(settings, self.is_loopback));
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = view;
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// No more work is wanted: `/readyz` says so.
    pub fn drain(&self) {
        self.is_draining.store(true, Relaxed);
    }

    /// Answers a request.
    ///
    /// # Errors
    /// Never.
    pub async fn serve<B>(
        self: Arc<Self>,
        request: Request<B>,
        caller: Caller,
    ) -> Result<Answer, Infallible>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        self.requests.fetch_add(1, Relaxed);
        let view = self.view();
        let (head, body) = request.into_parts();
        let authority = head.uri.authority().map(|authority| authority.as_str().to_owned());
        let is_for_operators = caller.audience == Audience::Operators;
        let is_probe = matches!(head.uri.path(), "/healthz" | "/readyz") || is_for_operators;
        if !is_probe && let Err(what) = view.doors.check(&head.headers, authority.as_deref()) {
            return Ok(answers::plain(StatusCode::FORBIDDEN, what));
        }
        let answer = match (&head.method, head.uri.path()) {
            (&Method::GET, "/healthz") => answers::plain(StatusCode::OK, "ok"),
            (&Method::GET, "/readyz") => self.ready(),
            (&Method::GET, "/metrics") if caller.is_operator() => {
                let kind = "text/plain; version=0.0.4; charset=utf-8";
                answers::answer(StatusCode::OK, kind, self.metrics())
            }
            _ if is_for_operators => answers::plain(StatusCode::NOT_FOUND, "not found"),
            (&Method::GET, "/") => {
                let hub = self.hub.view();
                let gate = &hub.parts.gate;
                let who = gate.authenticate(&head, caller.certificates.as_deref()).await.ok();
                home::page(&hub, &view.settings, authority, &head, who.as_deref())
            }
            _ => match self.routed(&view, &head, body, &caller).await {
                Ok(answer) | Err(answer) => answer,
            },
        };
        Ok(answer)
    }

    fn ready(&self) -> Answer {
        if self.is_draining.load(Relaxed) {
            return answers::plain(StatusCode::SERVICE_UNAVAILABLE, "draining");
        }
        match self.hub.view().parts.record.ready() {
            Ok(()) => answers::plain(StatusCode::OK, "ready"),
            Err(refusal) => answers::plain(StatusCode::SERVICE_UNAVAILABLE, &refusal.message),
        }
    }

    fn metrics(&self) -> String {
        let (sessions, waiting) = self.hub.sizes();
        let mut text = String::new();
        for (name, kind, help, value) in [
            ("requests_total", "counter", "Requests", self.requests.load(Relaxed)),
            ("connections", "gauge", "Connections open", self.connections.load(Relaxed)),
            ("sessions", "gauge", "Sessions in memory", sessions as u64),
            ("waiting_calls", "gauge", "Calls that wait for input", waiting as u64),
        ] {
            text.push_str(&format!(
                "# HELP shadowtap_portal_{name} {help}.\n# TYPE shadowtap_portal_{name} {kind}\n\
                 shadowtap_portal_{name} {value}\n"
            ));
        }
        for metered in &self.hub.view().parts.metered {
            metered.metrics(&mut text);
        }
        text
    }

    /// Requests that identity is asked for, and other parts' pages.
    async fn routed<B>(
        self: &Arc<Self>,
        view: &View,
        head: &Parts,
        body: B,
        caller: &Caller,
    ) -> Result<Answer, Answer>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        let path = head.uri.path();
        let hub = self.hub.view();
        let gate = &hub.parts.gate;
        let certificates = caller.certificates.as_deref();
        if let Some(pages) = hub.parts.pages.iter().find(|pages| pages.is_theirs(path)) {
            let body = read(view, head, body).await?;
            let who = gate.authenticate(head, certificates).await.ok();
            let answer = pages.handle(head, body, who.as_ref()).await;
            return answer.ok_or_else(|| answers::plain(StatusCode::NOT_FOUND, "not found"));
        }
        let is_old = view.settings.has_sse && matches!(path, "/sse" | "/messages");
        let name = match path.strip_prefix("/mcp") {
            Some("" | "/") => Some(""),
            Some(rest) => rest.strip_prefix('/').map(|rest| rest.trim_end_matches('/')),
            None => is_old.then_some(""),
        };
        let route = name.and_then(|name| hub.settings.routes.get(name));
        let Some(route) = route else {
            return Err(answers::plain(StatusCode::NOT_FOUND, "not found"));
        };
        let principal = gate.authenticate(head, certificates).await.map_err(|answer| *answer)?;
        let origin = Origin {
            address: caller.address,
            user_agent: heads::value(&head.headers, "user-agent").map(Into::into),
            traceparent: heads::value(&head.headers, "traceparent").map(Into::into),
            tls: caller.tls,
        };
        let arrived = Arrived {
            hub: Arc::clone(&hub),
            route: Arc::clone(route),
            principal,
            origin: Arc::new(origin),
        };
        match (&head.method, is_old) {
            (&Method::POST, false) => {
                let body = read(view, head, body).await?;
                self.post(view, head, &body, arrived).await
            }
            (&Method::POST, true) => {
                let body = read(view, head, body).await?;
                self.old_post(view, head, &body, arrived).await
            }
            (&Method::GET, true) => self.old_get(head, &arrived),
            (&Method::GET, false) => self.get(view, head, arrived),
            (&Method::DELETE, false) => self.delete(view, head, arrived).await,
            _ => Err(answers::not_allowed(if view.settings.has_sessions {
                "GET, POST, DELETE"
            } else {
                "POST"
            })),
        }
    }
}

/// A request whose sender is known.
struct Arrived {
    hub: Arc<super::hub::View>,
    route: Arc<super::hub::Route>,
    principal: Arc<Principal>,
    origin: Arc<Origin>,
}

fn view(settings: Settings, is_loopback: bool) -> View {
    let mut doors =
        Doors { origins: settings.origins.clone(), hosts: settings.hosts.clone(), is_loopback };
    if let Some(url) = &settings.public_url {
        let url = url.trim_end_matches('/');
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let host = rest.split('/').next().unwrap_or_default();
        doors.origins.push(format!("{scheme}://{host}").into());
        if is_loopback || !doors.hosts.is_empty() {
            doors.hosts.push(host.into());
        }
    }
    View { settings, doors }
}

/// A whole body, within its bounds.
async fn read<B>(view: &View, head: &Parts, body: B) -> Result<Bytes, Answer>
where
    B: hyper::body::Body<Data = Bytes>,
{
    let max = view.settings.max_body_bytes;
    let too_long = || {
        let what = format!("the body is longer than {max} bytes");
        Err(answers::plain(StatusCode::PAYLOAD_TOO_LARGE, &what))
    };
    if head.headers.contains_key(hyper::header::CONTENT_ENCODING) {
        let what = "send the body without a content coding";
        return Err(answers::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, what));
    }
    if body.size_hint().lower() > max as u64 {
        return too_long();
    }
    let mut body = std::pin::pin!(body);
    let reading = async {
        let mut first: Option<Bytes> = None;
        let mut more = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let broken = |_| answers::bad("the body broke off");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if first.as_ref().map_or(0, Bytes::len) + more.len() + data.len() > max {
                return too_long();
            }
            match &first {
                None => first = Some(data),
                Some(begin) => {
                    if more.is_empty() {
                        more.extend_from_slice(begin);
                        first = Some(Bytes::new());
                    }
                    more.extend_from_slice(&data);
                }
            }
        }
        Ok(if more.is_empty() { first.unwrap_or_default() } else { more.freeze() })
    };
    let read = tokio::time::timeout(view.settings.body_timeout, reading).await;
    let late = || answers::plain(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    read.unwrap_or_else(|_| Err(late()))
}
