//! Exchanges that are under way and carry messages, hints or header evidence.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::resolve::Seen;
use super::waiting::Token;
use super::{Inventory, Resolved, Server, ServerKey, Transport, evidence};
use crate::flow::At;
use crate::observation::{ExchangeId, RequestInfo, ResponseInfo, SecretHash};

/// Tokens that an exchange gathers before those of answered requests are dropped.
pub(super) const MANY_TOKENS: usize = 64;

/// One exchange.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) server: usize,
    pub(super) request: Arc<RequestInfo>,
    pub(super) response: Option<Arc<ResponseInfo>>,
    /// Session of the exchange: of the request, of the response, or of the SSE endpoint event.
    pub(super) session: Option<SecretHash>,
    /// A message of the client can only be MCP.
    pub(super) call: bool,
    /// One that no client sends before the server has played along.
    pub(super) implied: bool,
    /// The head has fields that only MCP uses.
    pub(super) head: bool,
    /// The server takes part.
    pub(super) accepted: bool,
    /// The server said something in JSON-RPC.
    pub(super) spoken: bool,
    /// Revision of the envelope of 2026-07-28 that the request claims.
    pub(super) claims: Option<String>,
    /// The contact was reported.
    pub(super) reported: bool,
    /// What the response brings may be an OAuth document: the exchange is reported with it.
    pub(super) awaits_document: bool,
    /// It is a stream that carries messages both ways.
    pub(super) stream: Option<Transport>,
    /// One side of the stream says what both sides of a session would: it shows one, and is none.
    pub(super) transcript: bool,
    /// Requests that wait for answers, and some that got theirs.
    pub(super) tokens: Vec<Token>,
    /// So many tokens are worth a look at which of them still wait.
    pub(super) many_tokens: usize,
    /// Notifications of the client, judged once the answer's head is known.
    pub(super) held: Vec<Seen>,
    used: u64,
}

impl Open {
    fn new(server: usize, request: &Arc<RequestInfo>) -> Self {
        Self {
            server,
            request: Arc::clone(request),
            response: None,
            session: request.session,
            call: false,
            implied: false,
            head: evidence::is_mcp_head(request),
            accepted: false,
            spoken: false,
            claims: None,
            reported: false,
            awaits_document: false,
            stream: None,
            transcript: false,
            tokens: Vec::new(),
            many_tokens: MANY_TOKENS,
            held: Vec::new(),
            used: 0,
        }
    }

    /// Status of the answer; that of a switch to a stream says nothing of the messages on it.
    pub(super) fn status(&self) -> Option<u16> {
        let response = self.response.as_ref().filter(|_| self.stream.is_none());
        response.map(|response| response.status)
    }
}

/// All of them, and in which order they were used: at the bound the one that was silent longest
/// is given up, not the oldest, which may be a stream that everything depends on.
#[derive(Debug, Default)]
pub(super) struct OpenExchanges {
    exchanges: HashMap<ExchangeId, Open>,
    by_use: BTreeMap<u64, ExchangeId>,
    clock: u64,
}

impl OpenExchanges {
    pub(super) fn len(&self) -> usize {
        self.exchanges.len()
    }

    pub(super) fn get(&self, id: ExchangeId) -> Option<&Open> {
        self.exchanges.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ExchangeId) -> Option<&mut Open> {
        self.exchanges.get_mut(&id)
    }

    /// Marks an exchange as used just now; answers with its server.
    fn touch(&mut self, id: ExchangeId) -> Option<usize> {
        let open = self.exchanges.get_mut(&id)?;
        self.clock += 1;
        self.by_use.remove(&open.used);
        open.used = self.clock;
        self.by_use.insert(self.clock, id);
        Some(open.server)
    }

    fn insert(&mut self, open: Open) {
        let id = open.request.id;
        self.exchanges.insert(id, open);
        self.touch(id);
    }

    pub(super) fn remove(&mut self, id: ExchangeId) -> Option<Open> {
        let open = self.exchanges.remove(&id)?;
        self.by_use.remove(&open.used);
        Some(open)
    }

    /// The exchange that was silent longest.
    pub(super) fn stalest(&self) -> Option<ExchangeId> {
        self.by_use.first_key_value().map(|(_, id)| *id)
    }
}

impl Inventory {
    /// The server of an exchange, which is opened at its first observation. `None` at the bound
    /// of servers.
    pub(super) fn enter(
        &mut self,
        request: &Arc<RequestInfo>,
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<usize> {
        if let Some(server) = self.open.touch(request.id) {
            // A record that was given up meanwhile takes the rest of its exchanges with it.
            return self.records.current(server);
        }
        let index = match self.known_at(request) {
            Some(index) => index,
            None => self.records.find_or_make(&resource_key(request), at)?,
        };
        if self.open.len() >= self.limits.max_open_exchanges
            && let Some(stalest) = self.open.stalest()
        {
            self.dropped += 1;
            self.settle(stalest, [0; 2], at, out);
        }
        let limits = self.limits;
        if self.by_endpoint.len() >= limits.max_servers
            && !self.by_endpoint.contains_key(&request.server)
        {
            // Those that are still in use come back with their next exchange.
            self.by_endpoint.clear();
        }
        self.by_endpoint.insert(request.server, index);
        let early = self.early.remove(&request.server).unwrap_or_default();
        let server = self.records.get_mut(index)?;
        for anomaly in early {
            server.note(anomaly, &limits);
        }
        server.touch(at);
        server.exchanges += 1;
        server.place(request.server, false, &limits);
        server.via_proxy |= request.via_proxy;
        server.visibility = server.visibility.max(request.visibility);
        server.note_proxy(request, &limits);
        if let Some(client) = server.client(request.client.ip, at, &limits) {
            client.enter(request, &limits);
        }
        self.expose(index, request);
        self.remember_session(index, request.session);
        self.open.insert(Open::new(index, request));
        Some(index)
    }

    /// A response whose request the capture does not have names no host and no path: it counts
    /// for the server that was last asked something at its address, if there is one. Bare lines
    /// never have a request, and a server of their own.
    fn known_at(&mut self, request: &RequestInfo) -> Option<usize> {
        if request.seen || evidence::is_bare(request) {
            return None;
        }
        let index = self.records.current(*self.by_endpoint.get(&request.server)?)?;
        let was_asked = |server: &Server| {
            server.is_mcp() || server.methods.first().is_some_and(|methods| !methods.is_empty())
        };
        self.records.get(index).is_some_and(was_asked).then_some(index)
    }

    pub(super) fn remember_session(&mut self, index: usize, session: Option<SecretHash>) {
        let max = self.limits.max_sessions_per_server;
        if let (Some(session), Some(server)) = (session, self.records.get_mut(index))
            && !super::server::insert_within(&mut server.sessions, session, max)
            && !server.sessions.contains(&session)
        {
            server.dropped += 1;
        }
    }
}

/// Where the metadata of protected resources is (RFC 9728 section 3.1).
pub(super) const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// The key of the server that an exchange is about: for the metadata of a protected resource that
/// is the resource, whose path follows the well-known prefix.
fn resource_key(request: &RequestInfo) -> ServerKey {
    let key = ServerKey::of(request);
    match key.path.strip_prefix(RESOURCE_METADATA) {
        Some(resource) if resource.starts_with('/') => key.with_path(resource),
        _ => key,
    }
}
