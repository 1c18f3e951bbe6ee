//! The heart of the portal: routes, names, lists, sessions, and the bridge between clients and
//! servers of different revisions.
//!
//! [`Hub::request`], [`Hub::notification`] and [`Hub::reply`] take what a client sends; what comes
//! back is one response, or a stream of events that ends with it.

mod bridge;
mod catalogue;
pub(in crate::portal) mod clock;
pub mod names;
pub mod parts;
pub(in crate::portal) mod seal;
mod session;
mod state;
mod stream;
#[cfg(test)]
pub(in crate::portal) mod testing;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub(in crate::portal) use bridge::{client_side, declared};
pub use seal::KeyRing;
pub use session::Session;
pub use stream::{EventId, Stream};

use super::Body;
use super::principal::Principal;
use super::upstream::{ClientSide, Failure, Outgoing, Peer};
use super::wire::{Id, Raw, Request, Response};
use crate::mcp::methods::Revision;
use catalogue::Catalogue;
use parts::{Origin, Parts};
use session::Sessions;

/// What clients see of one tool or prompt in place of what its server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// In place of the name.
    pub alias: Option<Box<str>>,
    /// In place of the description.
    pub description: Option<Box<str>>,
}

/// A server of the portal.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its id.
    pub id: Arc<str>,
    /// Begins the names of what it offers; see [`names::prefix`].
    pub prefix: Arc<str>,
    /// By own names of tools and prompts.
    pub overrides: HashMap<Box<str>, Override>,
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Route {
    /// Last part of its path; empty for `/mcp` itself.
    pub name: Arc<str>,
    /// Servers behind it, in their order.
    pub servers: Vec<Server>,
    /// One server, whose names stay as they are.
    pub is_transparent: bool,
}

/// All there is to set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As `serverInfo` says.
    pub title: Box<str>,
    /// By name.
    pub routes: HashMap<Arc<str>, Arc<Route>>,
    /// How long lists of servers are kept, unless they say that it is shorter.
    pub list_ttl: Duration,
    /// A server that takes longer for a list, or to be met, is left out of it.
    pub list_timeout: Duration,
    /// Things on one page of a list.
    pub page_items: usize,
    /// Things taken from a list of one server; the rest is left out, and that is said.
    pub max_items: usize,
    /// A call that takes longer is answered by a stream.
    pub stream_after: Duration,
    /// Nothing heard for so long, and a call is given up.
    pub call_idle: Duration,
    /// A call takes so long at most.
    pub call_total: Duration,
    /// Longest answer to a call, all its messages together, in bytes.
    pub max_answer_bytes: usize,
    /// How long a call waits for input that the client was asked for: 10 minutes at most.
    pub input_life: Duration,
    /// Calls that wait so.
    pub max_waiting: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            title: "shadowtap portal".into(),
            routes: HashMap::new(),
            list_ttl: Duration::from_secs(60),
            list_timeout: Duration::from_secs(10),
            page_items: 500,
            max_items: 5_000,
            stream_after: Duration::from_millis(250),
            call_idle: Duration::from_secs(120),
            call_total: Duration::from_secs(3_600),
            max_answer_bytes: 64 << 20,
            input_life: Duration::from_secs(600),
            max_waiting: 4_096,
        }
    }
}

/// What is in force: a request keeps the view that it began with.
#[derive(Debug)]
pub struct View {
    /// Settings.
    pub settings: Settings,
    /// The other parts.
    pub parts: Parts,
}

/// Bounds of what outlives a reload.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From its beginning on, a session lasts so long at most.
    pub session_life: Duration,
    /// Unused for so long, a session leaves memory.
    pub session_idle: Duration,
    /// Sessions in memory.
    pub max_sessions: usize,
    /// Lists of servers kept: one for each person, server and kind.
    pub max_lists: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            session_life: Duration::from_secs(24 * 3600),
            session_idle: Duration::from_secs(30 * 60),
            max_sessions: 100_000,
            max_lists: 50_000,
        }
    }
}

/// The heart.
#[derive(Debug)]
pub struct Hub {
    view: RwLock<Arc<View>>,
    ring: KeyRing,
    sessions: Sessions,
    catalogue: Catalogue,
    waiting: state::Waiting,
    ids: AtomicI64,
    /// Log levels set at conversations that several calls share.
    levels: std::sync::Mutex<HashMap<Arc<str>, Box<str>>>,
}

/// Who sends something, by which route, and how it came.
#[derive(Clone, Debug)]
pub struct Context {
    /// In force for it.
    pub view: Arc<View>,
    /// Where to.
    pub route: Arc<Route>,
    /// Who.
    pub principal: Arc<Principal>,
    /// With what.
    pub client: Arc<ClientSide>,
    /// From where.
    pub origin: Arc<Origin>,
    /// Spoken with the client.
    pub revision: Revision,
    /// The client's, if it has one.
    pub session: Option<Arc<Session>>,
    /// `Mcp-Param-*` headers, decoded.
    pub param_headers: Vec<(Box<str>, Box<str>)>,
    /// Bytes of the body.
    pub request_bytes: usize,
    /// Where all messages go in place of the answers: clients of HTTP+SSE.
    pub link: Option<Arc<Stream>>,
}

impl Context {
    /// Whether the client speaks 2026-07-28 or later.
    #[must_use]
    pub fn is_modern(&self) -> bool {
        self.revision >= Revision::V2026_07_28
    }
}

/// What a request gets.
pub enum Reply {
    /// One response.
    Response(Response),
    /// Events.
    Events(Body),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Response(response) => f.debug_tuple("Response").field(response).finish(),
            Self::Events(_) => f.write_str("Events(…)"),
        }
    }
}

impl Hub {
    /// With what is in force first.
    #[must_use]
    pub fn new(view: View, ring: KeyRing, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            view: RwLock::new(Arc::new(view)),
            ring,
            sessions: Sessions::new(limits.session_life, limits.session_idle, limits.max_sessions),
            catalogue: Catalogue::new(limits.max_lists),
            waiting: state::Waiting::default(),
            ids: AtomicI64::new(1),
            levels: std::sync::Mutex::default(),
        })
    }

    /// What is in force now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts something else in force. What is under way goes on with what it began with.
    pub fn replace(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
        self.catalogue.clear();
    }

    /// Sessions in memory, and calls that wait for input.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.sessions.count(), self.waiting.count())
    }

    /// The session of a token, if it is theirs.
    #[must_use]
    pub fn session(&self, principal: &Principal, token: &str) -> Option<Arc<Session>> {
        self.sessions.find(&self.ring, &principal.owner, token)
    }

    /// Ends a session, at the servers too.
    pub async fn end(&self, session: &Session) {
        for peer in self.sessions.end(session) {
            peer.close().await;
        }
    }

    /// Lets go of what nobody uses; to be called every few seconds.
    pub fn tend(&self) {
        self.sessions.tend();
        self.waiting.tend();
        self.catalogue.tend();
    }

    fn next_id(&self) -> Id {
        Id::Number(self.ids.fetch_add(1, Relaxed))
    }

    /// The conversation with a server that a request goes by.
    async fn peer(&self, ctx: &Context, server: &Arc<str>) -> Result<Arc<dyn Peer>, Failure> {
        let peers = &ctx.view.parts.peers;
        let Some(session) = &ctx.session else {
            let of = conversation(&ctx.client);
            return peers.peer(&ctx.principal, server, &ctx.client, Some(&of), None).await;
        };
        if let Some(peer) = session.peer(server) {
            return Ok(peer);
        }
        let (id, ticket) = (Some(&*session.id), session.ticket(server));
        let peer = peers.peer(&ctx.principal, server, &session.client, id, ticket).await?;
        session.keep_peer(server, &peer);
        Ok(peer)
    }

    fn outgoing(&self, ctx: &Context, id: Id, method: &str, params: Option<Raw>) -> Outgoing {
        Outgoing {
            request: Request { id, method: method.into(), params },
            client: Arc::clone(&ctx.client),
            param_headers: Vec::new(),
            idle: ctx.view.settings.call_idle,
            total: ctx.view.settings.call_total,
            hears_beside: false,
        }
    }
}

/// Conversations of clients without sessions are shared by requests that declare the same.
fn conversation(client: &ClientSide) -> String {
    let hash = crate::fnv::add(crate::fnv::BASIS, client.capabilities.get().as_bytes());
    format!("shared-{hash:016x}")
}
