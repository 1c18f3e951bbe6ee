//! Observations into an inventory of servers, and into subjects for rules. Sans-IO.
//!
//! In: [`Observation`]s in packet order. Out: [`Server`] records, and [`Resolved`] subjects: a
//! request is judged when its answer is known (or will not come), so that a client that merely
//! tries MCP on some web server accuses nobody.

mod evidence;
mod server;
mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use server::{Client, Listed, Outcomes, Server, ServerKey, Transport};
use waiting::{Asked, Token, Waiting, WaitingRoom};

use super::Evidence;
use crate::anomaly::Anomaly;
use crate::flow::At;
use crate::net::{Direction, Endpoint};
use crate::observation::{
    Channel, Event, ExchangeId, Kind, Message, Observation, RequestInfo, ResponseInfo, SecretHash,
};
pub(in crate::mcp) use evidence::is_mcp_path;

/// Bounds of the inventory. What is past a bound is counted and dropped.
///
/// Worst case about `max_servers * (max_clients_per_server + 4 * max_names_per_server) * 200`
/// bytes in theory; a capture that gets there names millions of servers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Server records, hints included.
    pub max_servers: usize,
    /// Clients remembered per server.
    pub max_clients_per_server: usize,
    /// Names of one kind (methods, tools, resources) remembered per server.
    pub max_names_per_server: usize,
    /// Digests remembered per definition.
    pub max_digests_per_definition: usize,
    /// Sessions remembered per server.
    pub max_sessions_per_server: usize,
    /// Open exchanges that carry messages.
    pub max_open_exchanges: usize,
    /// Requests that wait for an answer.
    pub max_waiting_requests: usize,
    /// Addresses without a record whose oddities are remembered.
    pub max_early_endpoints: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_servers: 16_384,
            max_clients_per_server: 4_096,
            max_names_per_server: 2_048,
            max_digests_per_definition: 16,
            max_sessions_per_server: 1_024,
            max_open_exchanges: 65_536,
            max_waiting_requests: 65_536,
            max_early_endpoints: 4_096,
        }
    }
}

/// Index of a server record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(usize);

/// How a request was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status of the exchange.
    pub status: Option<u16>,
    /// Result or error.
    pub kind: Option<Kind>,
    /// `error.code`.
    pub error_code: Option<i64>,
}

/// Something that rules can be asked about now.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// A message, with its answer if it has one.
    Message {
        /// Its server.
        server: ServerId,
        /// The exchange that carries it.
        request: Arc<RequestInfo>,
        /// Who sent it.
        direction: Direction,
        /// What carried it.
        channel: Channel,
        /// The message.
        message: Arc<Message>,
        /// How it was answered.
        reply: Option<Reply>,
        /// Header fields that disagree with the body.
        disagreements: Vec<&'static str>,
        /// Only one of two disagreeing overlap copies holds it.
        ambiguous: bool,
        /// The packet that completed it.
        at: At,
    },
    /// An exchange that shows MCP or a hint of it.
    Exchange {
        /// Its server.
        server: ServerId,
        /// The request.
        request: Arc<RequestInfo>,
        /// The response head.
        response: Option<Arc<ResponseInfo>>,
        /// The packet of the response head, or of the end.
        at: At,
    },
    /// The first event of an SSE response named a message endpoint.
    SseEndpoint {
        /// Its server.
        server: ServerId,
        /// The request for the stream.
        request: Arc<RequestInfo>,
        /// The response head.
        response: Option<Arc<ResponseInfo>>,
        /// The endpoint's path.
        path: String,
        /// The packet.
        at: At,
    },
    /// A client used a server, or tried to.
    Contact {
        /// The server.
        server: ServerId,
        /// The request of the exchange.
        request: Arc<RequestInfo>,
        /// The server refused, or is not there.
        refused: bool,
        /// The packet at which that was clear.
        at: At,
    },
}

/// A record, or where it went when two turned out to be one server.
#[derive(Debug)]
enum Slot {
    Live(Box<Server>),
    Moved(usize),
}

/// An exchange that carries messages, hints or header evidence.
#[derive(Debug)]
struct Open {
    server: usize,
    request: Arc<RequestInfo>,
    response: Option<Arc<ResponseInfo>>,
    /// Session of the exchange: of the request, of the response, or of the SSE endpoint event.
    session: Option<SecretHash>,
    /// A message of the client can only be MCP.
    call: bool,
    /// One that no client sends before the server has played along.
    implied: bool,
    /// The head has fields that only MCP uses.
    head: bool,
    /// The server takes part.
    accepted: bool,
    /// The server said that it knows no such method.
    unknown_method: bool,
    /// Revision of the envelope of 2026-07-28 that the request claims.
    claims: Option<String>,
    /// Contact was reported.
    reported: bool,
    /// Tokens of requests that wait for answers.
    tokens: Vec<Token>,
    /// Messages of the client that are judged once the answer's head is known.
    held: Vec<(Channel, Arc<Message>, bool, At)>,
}

/// The inventory.
#[derive(Debug)]
pub struct Inventory {
    limits: Limits,
    slots: Vec<Slot>,
    index: HashMap<ServerKey, usize>,
    /// The record that was last used at an address: whose flows' oddities are noted there.
    by_endpoint: HashMap<Endpoint, usize>,
    /// Oddities of flows to addresses that have no record yet, each kind once.
    early: HashMap<Endpoint, Vec<Anomaly>>,
    open: BTreeMap<ExchangeId, Open>,
    waiting: WaitingRoom,
    /// Observations about servers past the bound, and exchanges given up at theirs.
    dropped: u64,
    overflow: bool,
}

impl Inventory {
    /// An empty inventory.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            index: HashMap::new(),
            by_endpoint: HashMap::new(),
            early: HashMap::new(),
            open: BTreeMap::new(),
            waiting: WaitingRoom::new(limits.max_waiting_requests),
            dropped: 0,
            overflow: false,
        }
    }

    /// Takes in one observation; answers with the server it is about.
    pub fn observe(&mut self, seen: Observation, out: &mut Vec<Resolved>) -> Option<ServerId> {
        let (at, limits) = (seen.at, self.limits);
        match seen.event {
            Event::Message { request, direction, channel, message, ambiguous } => {
                if evidence::is_download(&request, channel, &message) {
                    return None;
                }
                let message = Arc::from(message);
                self.message(&request, direction, channel, &message, ambiguous, at, out)
            }
            Event::SseEndpoint { request, path, session } => {
                self.sse_endpoint(&request, path, session, at, out)
            }
            Event::Answered { request, response } => self.answered(&request, &response, at, out),
            Event::Ended { request, body_bytes, .. } => self.ended(&request, body_bytes, at, out),
            Event::Anomaly { server, anomaly, .. } => {
                let Some(index) = self.by_endpoint.get(&server).copied() else {
                    self.note_early(server, anomaly);
                    return None;
                };
                self.live(index)?.note(anomaly, &limits);
                Some(ServerId(resolve(&self.slots, index)))
            }
        }
    }

    /// An oddity comes before what it is to hide: it waits until its address turns out to be of
    /// interest.
    fn note_early(&mut self, server: Endpoint, anomaly: Anomaly) {
        if self.early.len() >= self.limits.max_early_endpoints && !self.early.contains_key(&server)
        {
            return;
        }
        let known = self.early.entry(server).or_default();
        if !known.contains(&anomaly) {
            known.push(anomaly);
        }
    }

    /// The capture is over: judges what still waits.
    pub fn finish(&mut self, at: At, out: &mut Vec<Resolved>) {
        while let Some((_, open)) = self.open.pop_first() {
            self.settle(open, [0; 2], at, out);
        }
        for waiting in self.waiting.drain() {
            self.give_up(waiting, out);
        }
    }

    /// A server's record.
    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        match self.slots.get(resolve(&self.slots, id.0)) {
            Some(Slot::Live(server)) => Some(server),
            _ => None,
        }
    }

    /// All servers, in order of their keys. Records of mere hints on an origin that also has an
    /// MCP server are left out: they are that server's discovery.
    #[must_use]
    pub fn servers(&self) -> Vec<(ServerId, &Server)> {
        let live = |(index, slot)| match slot {
            &Slot::Live(ref server) => Some((ServerId(index), &**server)),
            Slot::Moved(_) => None,
        };
        let mut all: Vec<_> = self.slots.iter().enumerate().filter_map(live).collect();
        all.sort_by(|a, b| a.1.key.cmp(&b.1.key));
        all
    }

    /// Observations that a bound made the inventory drop.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn slot(&mut self, key: &ServerKey, at: At) -> Option<usize> {
        if let Some(index) = self.index.get(key) {
            return Some(resolve(&self.slots, *index));
        }
        if self.slots.len() >= self.limits.max_servers {
            self.dropped += 1;
            return None;
        }
        let index = self.slots.len();
        self.slots.push(Slot::Live(Box::new(Server::new(key.clone(), at))));
        self.index.insert(key.clone(), index);
        Some(index)
    }

    fn live(&mut self, index: usize) -> Option<&mut Server> {
        let index = resolve(&self.slots, index);
        match self.slots.get_mut(index) {
            Some(Slot::Live(server)) => Some(server),
            _ => None,
        }
    }

    /// The open exchange of a request, begun at its first observation.
    fn enter(
        &mut self,
        request: &Arc<RequestInfo>,
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<usize> {
        if let Some(open) = self.open.get(&request.id) {
            return Some(resolve(&self.slots, open.server));
        }
        let index = match self.known_at(request) {
            Some(index) => index,
            None => self.slot(&resource_key(request), at)?,
        };
        if self.open.len() >= self.limits.max_open_exchanges {
            self.overflow = true;
            if let Some((_, oldest)) = self.open.pop_first() {
                self.dropped += 1;
                self.settle(oldest, [0; 2], at, out);
            }
        }
        let limits = self.limits;
        if self.by_endpoint.len() < limits.max_servers
            || self.by_endpoint.contains_key(&request.server)
        {
            self.by_endpoint.insert(request.server, index);
        }
        let early = self.early.remove(&request.server).unwrap_or_default();
        let server = self.live(index)?;
        for anomaly in early {
            server.note(anomaly, &limits);
        }
        server.touch(at);
        server.exchanges += 1;
        server.contacted.insert(request.server);
        server.via_proxy |= request.via_proxy;
        if let Some(client) = server.client(request.client.ip, at, &limits) {
            client.exchanges += 1;
            client.auth.extend(auth_kinds(request));
            if let Some(agent) = &request.user_agent
                && client.user_agents.len() < limits.max_digests_per_definition
            {
                client.user_agents.insert(agent.clone());
            }
        }
        self.remember_session(index, request.session);
        let open = Open {
            server: index,
            request: Arc::clone(request),
            response: None,
            session: request.session,
            call: false,
            implied: false,
            head: evidence::is_mcp_head(request),
            accepted: false,
            unknown_method: false,
            claims: None,
            reported: false,
            tokens: Vec::new(),
            held: Vec::new(),
        };
        self.open.insert(request.id, open);
        Some(index)
    }

    /// A response whose request the capture does not have names no host and no path: it counts
    /// for the MCP server that was last used at its address, if there is one.
    fn known_at(&self, request: &RequestInfo) -> Option<usize> {
        if request.seen {
            return None;
        }
        let index = resolve(&self.slots, *self.by_endpoint.get(&request.server)?);
        match self.slots.get(index) {
            Some(Slot::Live(server)) if server.is_mcp() => Some(index),
            _ => None,
        }
    }

    fn remember_session(&mut self, index: usize, session: Option<SecretHash>) {
        let max = self.limits.max_sessions_per_server;
        if let (Some(session), Some(server)) = (session, self.live(index))
            && server.sessions.len() < max
        {
            server.sessions.insert(session);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event, taken apart once")]
    fn message(
        &mut self,
        request: &Arc<RequestInfo>,
        direction: Direction,
        channel: Channel,
        message: &Arc<Message>,
        ambiguous: bool,
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<ServerId> {
        let index = self.enter(request, at, out)?;
        self.tally(index, request, direction, message, at);
        match (direction, message.kind) {
            (Direction::ToServer, Kind::Request | Kind::Notification) => {
                self.asked_by_client(index, request, channel, message, ambiguous, at, out);
            }
            (_, Kind::Result | Kind::Error) => {
                self.reply(index, request, direction, message, at, out);
                self.resolve_now(index, request, direction, channel, message, ambiguous, at, out);
            }
            (Direction::ToClient, Kind::Request | Kind::Notification) => {
                self.asked_by_server(index, request, channel, message, at, out);
                self.resolve_now(index, request, direction, channel, message, ambiguous, at, out);
            }
        }
        Some(ServerId(resolve(&self.slots, index)))
    }

    /// Counts a message in its server's record.
    fn tally(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        direction: Direction,
        message: &Message,
        at: At,
    ) {
        let limits = self.limits;
        let Some(server) = self.live(index) else { return };
        server.touch(at);
        match (message.kind, &message.method) {
            (Kind::Request | Kind::Notification, Some(method)) => {
                let [to_server, to_client] = &mut server.methods;
                let counts = if direction == Direction::ToServer { to_server } else { to_client };
                Server::count(counts, &mut server.dropped, method, &limits);
            }
            (Kind::Result, _) => {
                let outcomes = outcomes(&mut server.responses, direction);
                outcomes.result += 1;
                let asks = message.result_type.as_deref() == Some("input_required");
                outcomes.input_required += u64::from(asks);
            }
            _ => outcomes(&mut server.responses, direction).error += 1,
        }
        let named = match message.method.as_deref() {
            Some("tools/call") => {
                message.name.as_ref().map(|name| (&mut server.tools_called, name))
            }
            Some("prompts/get") => {
                message.name.as_ref().map(|name| (&mut server.prompts_got, name))
            }
            Some("resources/read") => {
                message.uri.as_ref().map(|uri| (&mut server.resources_read, uri))
            }
            _ => None,
        };
        if let Some((counts, name)) = named {
            Server::count(counts, &mut server.dropped, name, &limits);
        }
        server.list(&message.definitions, at, &limits);
        let max = limits.max_digests_per_definition;
        if let Some(software) = &message.server
            && server.software.len() < max
        {
            server.software.insert(software.clone());
        }
        let mut dropped = 0;
        if let Some(client) = server.client(request.client.ip, at, &limits) {
            client.messages += 1;
            if let Some(software) = &message.client
                && client.software.len() < max
            {
                client.software.insert(software.clone());
            }
            if let (Some("tools/call"), Some(name)) = (message.method.as_deref(), &message.name) {
                Server::count(&mut client.tools_called, &mut dropped, name, &limits);
            }
        }
        server.dropped += dropped;
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event, taken apart once")]
    fn asked_by_client(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        channel: Channel,
        message: &Arc<Message>,
        ambiguous: bool,
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        let mut token = None;
        if let (Kind::Request, Some(id)) = (message.kind, &message.id) {
            let asked = Asked {
                server: index,
                client: request.client.ip,
                direction: Direction::ToServer,
                id: id.clone(),
            };
            let waiting = Waiting {
                asked,
                session: request.session,
                request: Arc::clone(request),
                channel,
                message: Arc::clone(message),
                ambiguous,
                at,
            };
            let (new, given_up) = self.waiting.add(waiting);
            token = Some(new);
            if let Some(waiting) = given_up {
                self.give_up(waiting, out);
            }
        }
        let Some(open) = self.open.get_mut(&request.id) else { return };
        let call = evidence::is_mcp_call(message)
            || (open.head
                && message.method.as_deref().is_some_and(|m| super::methods::lookup(m).is_some()));
        open.call |= call;
        open.implied |= call && evidence::implies_server(message);
        if message.modern_envelope {
            open.claims.clone_from(&message.protocol_version);
        }
        match token {
            Some(token) => open.tokens.push(token),
            None => open.held.push((channel, Arc::clone(message), ambiguous, at)),
        }
        let accepted = open.accepted;
        if accepted && call {
            // The answer's head came before the request was complete.
            self.accept(request.id, at, out);
        }
    }

    fn asked_by_server(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        channel: Channel,
        message: &Arc<Message>,
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        if channel == Channel::Sse && evidence::is_mcp_answer(message) {
            self.prove(index, request, Evidence::Parsed, at, out);
        }
        if let (Kind::Request, Some(id)) = (message.kind, &message.id) {
            let asked = Asked {
                server: index,
                client: request.client.ip,
                direction: Direction::ToClient,
                id: id.clone(),
            };
            let session = self.open.get(&request.id).and_then(|open| open.session);
            let waiting = Waiting {
                asked,
                session,
                request: Arc::clone(request),
                channel,
                message: Arc::clone(message),
                ambiguous: false,
                at,
            };
            if let (_, Some(given_up)) = self.waiting.add(waiting) {
                self.give_up(given_up, out);
            }
        }
    }

    /// A request that will not be answered. Those of servers were judged when they came: they
    /// waited only to be counted as answered.
    fn give_up(&self, waiting: Waiting, out: &mut Vec<Resolved>) {
        if waiting.asked.direction == Direction::ToServer {
            let server = resolve(&self.slots, waiting.asked.server);
            out.push(resolved(server, waiting, None));
        }
    }

    /// A result or an error: finds its request, and weighs what the pair proves.
    fn reply(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        direction: Direction,
        message: &Arc<Message>,
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        let open = self.open.get(&request.id);
        let session = open.and_then(|open| open.session);
        let status = open.and_then(|open| open.response.as_ref()).map(|answer| answer.status);
        let asked = message.id.as_ref().map(|id| Asked {
            server: index,
            client: request.client.ip,
            direction: direction.other(),
            id: id.clone(),
        });
        let waiting = asked.and_then(|asked| self.waiting.answer(&asked, request.id, session));
        if let Some(waiting) = &waiting
            && let Some(method) = &waiting.message.method
            && let Some(server) = self.live(index)
        {
            let outcome = server.outcomes.entry(method.clone()).or_default();
            match message.kind {
                Kind::Result => {
                    outcome.result += 1;
                    outcome.tool_error += u64::from(message.is_error == Some(true));
                }
                _ => outcome.error += 1,
            }
        }
        if direction == Direction::ToClient {
            self.weigh(index, request, message, waiting.as_ref(), at, out);
        }
        if let Some(waiting) = waiting
            && direction == Direction::ToClient
        {
            let reply = Reply { status, kind: Some(message.kind), error_code: message.error_code };
            out.push(resolved(resolve(&self.slots, index), waiting, Some(reply)));
        }
    }

    fn weigh(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        message: &Arc<Message>,
        waiting: Option<&Waiting>,
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        let unknown = message.error_code == Some(evidence::METHOD_NOT_FOUND);
        let asker = waiting.map_or(request.id, |waiting| waiting.request.id);
        if unknown && let Some(open) = self.open.get_mut(&asker) {
            open.unknown_method = true;
        }
        let asked_mcp = waiting.is_some_and(|waiting| evidence::is_mcp_call(&waiting.message));
        if asked_mcp && !unknown {
            let confirms = message.kind == Kind::Result || evidence::is_mcp_answer(message);
            let level = if confirms { Evidence::Confirmed } else { Evidence::Parsed };
            self.note_unauthenticated(index, waiting, message);
            self.prove(index, request, level, at, out);
        } else if evidence::is_mcp_answer(message) {
            self.prove(index, request, Evidence::Parsed, at, out);
        }
        if !unknown && self.open.get(&asker).is_some_and(|open| open.call) {
            self.accept(asker, at, out);
        }
        self.note_version(index, message, waiting);
    }

    /// Revisions in force: what an initialize result says, or a stateless request that was not
    /// turned down.
    fn note_version(&mut self, index: usize, message: &Message, waiting: Option<&Waiting>) {
        let version = if evidence::is_initialize_result(message) {
            message.protocol_version.clone()
        } else if message.kind == Kind::Result {
            let asked = waiting.map(|waiting| &waiting.message);
            asked
                .filter(|asked| asked.modern_envelope)
                .and_then(|m| m.protocol_version.clone())
                .or_else(|| {
                    let stateless = message.result_type.is_some() && !message.meta_keys.is_empty();
                    (waiting.is_none() && stateless).then(|| evidence::FIRST_STATELESS.to_owned())
                })
        } else {
            None
        };
        let max = self.limits.max_digests_per_definition;
        if let (Some(version), Some(server)) = (version, self.live(index))
            && evidence::is_revision(&version)
            && server.versions.len() < max
        {
            server.versions.insert(version);
        }
    }

    fn note_unauthenticated(&mut self, index: usize, waiting: Option<&Waiting>, message: &Message) {
        let Some(waiting) = waiting else { return };
        let listed_or_called =
            matches!(waiting.message.method.as_deref(), Some("tools/list" | "tools/call"));
        if message.kind == Kind::Result && listed_or_called && waiting.request.auth.is_none() {
            let ip = waiting.request.client.ip;
            if let Some(client) = self.live(index).and_then(|server| server.clients.get_mut(&ip)) {
                client.unauthenticated_result = true;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event, taken apart once")]
    fn resolve_now(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        direction: Direction,
        channel: Channel,
        message: &Arc<Message>,
        ambiguous: bool,
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        out.push(Resolved::Message {
            server: ServerId(resolve(&self.slots, index)),
            request: Arc::clone(request),
            direction,
            channel,
            message: Arc::clone(message),
            reply: None,
            disagreements: Vec::new(),
            ambiguous,
            at,
        });
    }

    fn sse_endpoint(
        &mut self,
        request: &Arc<RequestInfo>,
        path: String,
        session: Option<SecretHash>,
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<ServerId> {
        let index = self.enter(request, at, out)?;
        self.remember_session(index, session);
        if let Some(open) = self.open.get_mut(&request.id) {
            open.session = session.or(open.session);
        }
        let key = self.live(index)?.key.clone();
        if !path.is_empty() && path != key.path {
            self.alias(&key.with_path(&path), index);
        }
        self.live(index)?.transports.insert(Transport::HttpSse);
        let server = ServerId(resolve(&self.slots, index));
        let response = self.open.get(&request.id).and_then(|open| open.response.clone());
        let request = Arc::clone(request);
        out.push(Resolved::SseEndpoint { server, request, response, path, at });
        Some(server)
    }

    /// Makes `key` lead to the record `to`; merges the record that `key` had.
    fn alias(&mut self, key: &ServerKey, to: usize) {
        let to = resolve(&self.slots, to);
        let from = self.index.insert(key.clone(), to).map(|from| resolve(&self.slots, from));
        match from {
            Some(from) if from != to => {
                let old =
                    self.slots.get_mut(from).map(|slot| std::mem::replace(slot, Slot::Moved(to)));
                if let (Some(Slot::Live(old)), Some(server)) = (old, self.live(to)) {
                    server.absorb(*old);
                }
                self.waiting.rename(from, to);
            }
            _ => {
                if let Some(server) = self.live(to)
                    && server.key.path != key.path
                {
                    server.aliases.insert(key.path.clone());
                }
            }
        }
    }

    fn answered(
        &mut self,
        request: &Arc<RequestInfo>,
        response: &Arc<ResponseInfo>,
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<ServerId> {
        let index = self.enter(request, at, out)?;
        self.remember_session(index, response.session);
        if let Some(server) = self.live(index) {
            server.touch(at);
            *server.statuses.entry(response.status).or_default() += 1;
        }
        let open = self.open.get_mut(&request.id)?;
        open.response = Some(Arc::clone(response));
        open.session = response.session.or(open.session);
        let (call, head) = (open.call, open.head || response.session.is_some());
        match evidence::judge(response) {
            evidence::Answer::Accepts => {
                if let Some(open) = self.open.get_mut(&request.id) {
                    open.accepted = true;
                }
                if call {
                    self.accept(request.id, at, out);
                } else if head || response.resource_metadata {
                    self.prove(index, request, Evidence::Header, at, out);
                }
            }
            evidence::Answer::Redirects => self.redirected(index, response, call || head),
            evidence::Answer::Open => {}
        }
        let index = resolve(&self.slots, index);
        out.push(Resolved::Exchange {
            server: ServerId(index),
            request: Arc::clone(request),
            response: Some(Arc::clone(response)),
            at,
        });
        Some(ServerId(index))
    }

    /// A request that spoke MCP was sent elsewhere on the same host (`/mcp` to `/mcp/`): one
    /// server with two paths, known by the one that answers.
    fn redirected(&mut self, index: usize, response: &ResponseInfo, is_mcp: bool) {
        let Some((host, port, path)) = &response.location else { return };
        let Some(server) = self.live(index) else { return };
        let key = server.key.clone();
        let same_origin = host.is_empty() || (*host == key.host && *port == key.port);
        if !is_mcp || !same_origin || *path == key.path {
            return;
        }
        let target = key.with_path(path);
        match self.index.get(&target).map(|known| resolve(&self.slots, *known)) {
            Some(known) if known != resolve(&self.slots, index) => self.alias(&key, known),
            Some(_) => {}
            None => {
                self.index.insert(target.clone(), index);
                if let Some(server) = self.live(index) {
                    server.aliases.insert(key.path);
                    server.aliases.remove(&target.path);
                    server.key = target;
                }
            }
        }
    }

    /// The server took part in an exchange in which the client spoke MCP.
    fn accept(&mut self, id: ExchangeId, at: At, out: &mut Vec<Resolved>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.accepted = true;
        let (index, request) = (open.server, Arc::clone(&open.request));
        let claims = open.claims.clone();
        self.prove(index, &request, Evidence::Parsed, at, out);
        let Some(server) = self.live(index) else { return };
        let transport = match claims {
            Some(version) if version.as_str() >= evidence::FIRST_STATELESS => Transport::Stateless,
            _ if server.transports.contains(&Transport::HttpSse) => return,
            _ => Transport::StreamableHttp,
        };
        server.transports.insert(transport);
    }

    /// Raises the evidence of a server, and reports the contact once per exchange.
    fn prove(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        level: Evidence,
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        let index = resolve(&self.slots, index);
        let Some(server) = self.live(index) else { return };
        server.evidence = server.evidence.max(level);
        if level >= Evidence::Parsed {
            server.endpoints.insert(request.server);
            if let Some(client) = server.clients.get_mut(&request.client.ip) {
                client.accepted = true;
            }
            let confirmed = server.evidence;
            let Some(open) = self.open.get_mut(&request.id) else { return };
            if !open.reported && confirmed >= Evidence::Parsed {
                open.reported = true;
                let (server, request) = (ServerId(index), Arc::clone(request));
                out.push(Resolved::Contact { server, request, refused: false, at });
            }
        }
    }

    fn ended(
        &mut self,
        request: &Arc<RequestInfo>,
        bytes: [u64; 2],
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<ServerId> {
        let index = self.enter(request, at, out)?;
        let open = self.open.remove(&request.id)?;
        self.settle(open, bytes, at, out);
        Some(ServerId(resolve(&self.slots, index)))
    }

    /// An exchange is over: whatever waits for it is judged now.
    fn settle(&mut self, open: Open, bytes: [u64; 2], at: At, out: &mut Vec<Resolved>) {
        let index = resolve(&self.slots, open.server);
        let id = open.request.id;
        let (call, accepted, answered) = (open.call, open.accepted, open.response.is_some());
        let unanswered_but_implied = open.implied && !answered;
        let request = Arc::clone(&open.request);
        let status = open.response.as_ref().map(|response| response.status);
        let redirected = status.is_some_and(|status| (300..400).contains(&status));
        self.open.insert(id, open);
        if call && !accepted && unanswered_but_implied {
            self.accept(id, at, out);
        }
        let Some(open) = self.open.remove(&id) else { return };
        if let Some(server) = self.live(index) {
            for (sum, more) in server.bytes.iter_mut().zip(bytes) {
                *sum += more;
            }
            if call && !open.accepted && answered && !redirected {
                server.refused += 1;
                let (server, request) = (ServerId(index), Arc::clone(&request));
                out.push(Resolved::Contact { server, request, refused: true, at });
            }
        }
        if !answered {
            let (server, request) = (ServerId(index), Arc::clone(&request));
            out.push(Resolved::Exchange { server, request, response: None, at });
        }
        let reply =
            status.map(|status| Reply { status: Some(status), kind: None, error_code: None });
        for (channel, message, ambiguous, at) in open.held {
            let disagreements = evidence::disagreements(&request, &message);
            let (server, request) = (ServerId(index), Arc::clone(&request));
            let direction = Direction::ToServer;
            out.push(Resolved::Message {
                server,
                request,
                direction,
                channel,
                message,
                reply,
                disagreements,
                ambiguous,
                at,
            });
        }
        // With HTTP+SSE the POST is answered 202, and the result comes on the GET stream.
        let elsewhere = status == Some(202);
        for token in open.tokens {
            if elsewhere {
                continue;
            }
            if let Some(waiting) = self.waiting.take(token) {
                out.push(resolved(index, waiting, reply));
            }
        }
    }
}

fn outcomes(responses: &mut [Outcomes; 2], direction: Direction) -> &mut Outcomes {
    let [to_server, to_client] = responses;
    if direction == Direction::ToServer { to_server } else { to_client }
}

/// Follows records that were merged into others.
fn resolve(slots: &[Slot], mut index: usize) -> usize {
    while let Some(Slot::Moved(to)) = slots.get(index) {
        index = *to;
    }
    index
}

fn resolved(server: usize, waiting: Waiting, reply: Option<Reply>) -> Resolved {
    let disagreements = match waiting.asked.direction {
        Direction::ToServer => evidence::disagreements(&waiting.request, &waiting.message),
        Direction::ToClient => Vec::new(),
    };
    Resolved::Message {
        server: ServerId(server),
        direction: waiting.asked.direction,
        channel: waiting.channel,
        message: waiting.message,
        reply,
        disagreements,
        ambiguous: waiting.ambiguous,
        at: waiting.at,
        request: waiting.request,
    }
}

/// The key of the server that an exchange is about: for protected-resource metadata (RFC 9728
/// section 3.1) that is the resource whose path follows the well-known prefix.
fn resource_key(request: &RequestInfo) -> ServerKey {
    let key = ServerKey::of(request);
    match key.path.strip_prefix("/.well-known/oauth-protected-resource") {
        Some(resource) if resource.starts_with('/') => key.with_path(resource),
        _ => key,
    }
}

fn auth_kinds(request: &RequestInfo) -> impl Iterator<Item = String> {
    let auth = &request.auth;
    let cookie = auth.cookie.then(|| "cookie".to_owned());
    let query = auth.in_query.iter().map(|key| format!("query:{key}"));
    auth.scheme.clone().into_iter().chain(auth.api_key_header.clone()).chain(cookie).chain(query)
}
