//! Messages: counted, paired with their answers, and weighed.

use std::sync::Arc;

use super::open::MANY_TOKENS;
use super::resolve::{Reply, Seen};
use super::server::count;
use super::waiting::{Answered, Token, Waiting};
use super::{Inventory, Outcomes, Resolved, Server, ServerId, ServerKey, Transport, evidence};
use crate::exchange::Visibility;
use crate::mcp::{Evidence, methods};
use crate::net::Direction;
use crate::observation::{Channel, Kind, Message, RequestInfo};

/// Messages of one exchange that are kept until its end; more are judged as they come.
const MAX_KEPT_PER_EXCHANGE: usize = 4_096;
/// Notifications kept of a stream until its server has shown that it takes part.
const MAX_KEPT_PER_STREAM: usize = 64;

impl Inventory {
    pub(super) fn message(&mut self, seen: Seen, out: &mut Vec<Resolved>) -> Option<ServerId> {
        if seen.ambiguous {
            return self.ambiguous(seen, out);
        }
        let index = self.enter(&seen.request, seen.at, out)?;
        self.tally(index, &seen);
        self.mark_stream(&seen);
        match (seen.direction, seen.message.kind) {
            (Direction::ToServer, Kind::Request | Kind::Notification) => {
                self.asked_by_client(index, seen, out);
            }
            (_, Kind::Result | Kind::Error) => {
                let asked = self.reply(index, &seen, out);
                out.push(seen.answering(index, asked));
            }
            (Direction::ToClient, Kind::Request | Kind::Notification) => {
                self.asked_by_server(index, &seen, out);
                out.push(seen.resolved(index, None));
            }
        }
        self.records.current(index).map(ServerId)
    }

    /// Notes that an exchange is a stream, and whether it only shows what others said.
    fn mark_stream(&mut self, seen: &Seen) {
        let Some(transport) = Transport::of_stream(seen.channel) else { return };
        let Some(open) = self.open.get_mut(seen.request.id) else { return };
        open.stream = Some(transport);
        let Message { kind, method, id, .. } = &*seen.message;
        open.transcript |= match (kind, id) {
            (Kind::Request | Kind::Notification, _) => {
                seen.direction == Direction::ToClient
                    && method.as_deref().is_some_and(evidence::is_clients_own)
            }
            (Kind::Result | Kind::Error, Some(id)) => {
                let waits = |asker| self.waiting.has(seen.request.id, asker, id);
                waits(seen.direction) && !waits(seen.direction.other())
            }
            (Kind::Result | Kind::Error, None) => false,
        };
    }

    /// A message that only a losing copy of overlapping segments holds may have reached nobody:
    /// it is counted, and rules are asked about it, but it is paired with nothing and proves
    /// nothing. Its exchange may be made up, so the address tells which server it is about.
    fn ambiguous(&mut self, seen: Seen, out: &mut Vec<Resolved>) -> Option<ServerId> {
        let known = self.by_endpoint.get(&seen.request.server).copied();
        let known = known.and_then(|index| self.records.current(index));
        let index = match known {
            Some(index) => index,
            None => self.records.find_or_make(&ServerKey::of(&seen.request), seen.at)?,
        };
        self.tally(index, &seen);
        let at = seen.at;
        self.defer(seen.resolved(index, None), at, out);
        Some(ServerId(index))
    }

    /// Counts a message in its server's record.
    fn tally(&mut self, index: usize, seen: &Seen) {
        let limits = self.limits;
        let Some(server) = self.records.get_mut(index) else { return };
        let message = &*seen.message;
        server.touch(seen.at);
        let mut is_new_method = false;
        match (message.kind, &message.method) {
            (Kind::Request | Kind::Notification, Some(method)) => {
                let [to_server, to_client] = &mut server.methods;
                let up = seen.direction == Direction::ToServer;
                let counts = if up { to_server } else { to_client };
                let known = counts.len();
                count(counts, &mut server.dropped, method, &limits);
                is_new_method = up && counts.len() > known;
            }
            (Kind::Result, _) => {
                let outcomes = outcomes(&mut server.responses, seen.direction);
                outcomes.result += 1;
                let asks = message.result_type.as_deref() == Some("input_required");
                outcomes.input_required += u64::from(asks);
            }
            _ => outcomes(&mut server.responses, seen.direction).error += 1,
        }
        tally_names(server, message, &limits);
        server.list(&message.definitions, seen.at, &limits);
        let mut is_new_software = false;
        if let Some(software) = &message.server
            && !server.software.contains(software)
            && server.software.len() < limits.max_digests_per_definition
        {
            is_new_software = server.software.insert(software.clone());
            // Behind a proxy the address is the proxy's.
            if !seen.request.via_proxy {
                self.crossing.software_told(seen.request.server, software);
            }
        }
        if let Some(client) = server.client(seen.request.client.ip, seen.at, &limits) {
            client.has_news |= is_new_method || is_new_software;
            let dropped = client.tally(message, &limits);
            server.dropped += dropped;
        }
    }

    fn asked_by_client(&mut self, index: usize, seen: Seen, out: &mut Vec<Resolved>) {
        let is_first = self.is_first_call(index, &seen);
        let Some(open) = self.open.get_mut(seen.request.id) else { return };
        let message = &*seen.message;
        let is_known = |method: &str| methods::lookup(method).is_some();
        let call = evidence::is_mcp_call(message)
            || (open.head && message.method.as_deref().is_some_and(is_known));
        open.call |= call;
        open.implied |= call && evidence::implies_server(message, is_first);
        if message.modern_envelope {
            open.claims.clone_from(&message.protocol_version);
        }
        let (accepted, id, at) = (open.accepted, seen.request.id, seen.at);
        let room = match open.stream {
            Some(_) if accepted => 0,
            Some(_) => MAX_KEPT_PER_STREAM,
            None => MAX_KEPT_PER_EXCHANGE,
        };
        if message.kind == Kind::Request && message.id.is_some() {
            self.wait(index, seen, out);
        } else if open.held.len() < room {
            open.held.push(seen);
        } else {
            let reply = open.status().map(Reply::of_status);
            out.push(seen.resolved(index, reply));
        }
        if accepted && call {
            // The answer's head came before the request was complete.
            self.accept(id, at, out);
        }
    }

    /// Whether a call is the first of its client that needs no handshake before it, or a
    /// repetition of that.
    fn is_first_call(&mut self, index: usize, seen: &Seen) -> bool {
        let message = &*seen.message;
        let Some(method) = message.method.as_ref().filter(|_| message.modern_envelope) else {
            return false;
        };
        let client = self.records.get_mut(index);
        let client = client.and_then(|server| server.clients.get_mut(&seen.request.client.ip));
        let Some(client) = client else { return true };
        if evidence::implies_server(message, false) && client.first_call.is_none() {
            client.first_call = Some(method.clone());
        }
        client.first_call.as_ref().is_none_or(|first| first == method)
    }

    /// Lets a request wait for its answer.
    fn wait(&mut self, index: usize, seen: Seen, out: &mut Vec<Resolved>) {
        let direction = seen.direction;
        let Some(open) = self.open.get_mut(seen.request.id) else { return };
        let session = open.session;
        let waiting = Waiting { server: index, seen, session, status: None };
        let (token, given_up) = self.waiting.add(waiting);
        if let Some(token) = token.filter(|_| direction == Direction::ToServer) {
            if open.tokens.len() >= open.many_tokens && open.stream.is_some() {
                open.tokens.retain(|token| self.waiting.contains(*token));
                open.many_tokens = MANY_TOKENS.max(2 * open.tokens.len());
            }
            if open.tokens.len() < MAX_KEPT_PER_EXCHANGE {
                open.tokens.push(token);
            }
        }
        if let Some(waiting) = given_up {
            self.dropped += 1;
            self.give_up(waiting, out);
        }
    }

    fn asked_by_server(&mut self, index: usize, seen: &Seen, out: &mut Vec<Resolved>) {
        if seen.channel == Channel::Sse || Transport::of_stream(seen.channel).is_some() {
            self.weigh_shape(index, seen, out);
        }
        if seen.message.kind == Kind::Request {
            self.wait(index, seen.clone(), out);
        }
    }

    /// A request that will not be answered. Those of servers were judged when they came: they
    /// waited only to be counted as answered.
    pub(super) fn give_up(&mut self, waiting: Waiting, out: &mut Vec<Resolved>) {
        if waiting.seen.direction == Direction::ToServer
            && let Some(server) = self.records.current(waiting.server)
        {
            out.push(waiting.unanswered(server));
        }
    }

    /// A result or an error: finds its request, weighs what the pair proves, and answers with the
    /// request.
    fn reply(
        &mut self,
        index: usize,
        seen: &Seen,
        out: &mut Vec<Resolved>,
    ) -> Option<Arc<Message>> {
        let message = &*seen.message;
        let open = self.open.get_mut(seen.request.id);
        let (session, status) = open.map_or((None, None), |open| {
            open.spoken |= seen.direction == Direction::ToClient;
            (open.session, open.status())
        });
        let waiting = match &message.id {
            Some(id) if id.0 != "null" => self.waiting.answer(&Answered {
                request: &seen.request,
                asker: seen.direction.other(),
                id,
                session,
                // One JSON text answers the request that it is the response to, and a stream
                // those that came on it.
                own_only: (seen.channel == Channel::ResponseBody && seen.request.seen)
                    || Transport::of_stream(seen.channel).is_some(),
            }),
            _ => self.only_one_waiting(seen),
        };
        let limits = self.limits;
        if let Some(waiting) = &waiting
            && let Some(method) = &waiting.seen.message.method
            && let Some(server) = self.records.get_mut(waiting.server)
        {
            server.outcome(method, &limits, |outcome| match message.kind {
                Kind::Result => {
                    outcome.result += 1;
                    outcome.tool_error += u64::from(message.is_error == Some(true));
                }
                _ => outcome.error += 1,
            });
        }
        let asked = waiting.as_ref().map(|waiting| Arc::clone(&waiting.seen.message));
        if seen.direction == Direction::ToClient {
            self.weigh(index, seen, waiting.as_ref(), out);
            if let Some(waiting) = waiting
                && let Some(server) = self.records.current(waiting.server)
            {
                let (kind, error_code) = (Some(message.kind), message.error_code);
                let is_tool_error = message.is_error == Some(true);
                let reply = Some(Reply { status, kind, error_code, is_tool_error });
                let resolved = waiting.seen.resolved(server, reply);
                if self.is_known(server) {
                    out.push(resolved);
                } else {
                    self.defer(resolved, seen.at, out);
                }
            }
        }
        asked
    }

    /// A server that turns a request down before it has read the id answers without one (JSON-RPC
    /// 2.0 section 5): what it means is clear if the exchange asked one thing only.
    fn only_one_waiting(&mut self, seen: &Seen) -> Option<Waiting> {
        let open = self.open.get(seen.request.id)?;
        let is_answer = seen.direction == Direction::ToClient && seen.channel != Channel::Sse;
        let asked = |token: &&Token| open.stream.is_none() || self.waiting.contains(**token);
        let mut tokens = open.tokens.iter().filter(asked);
        match (tokens.next(), tokens.next()) {
            (Some(token), None) if is_answer => self.waiting.take(*token),
            _ => None,
        }
    }

    fn weigh(
        &mut self,
        index: usize,
        seen: &Seen,
        waiting: Option<&Waiting>,
        out: &mut Vec<Resolved>,
    ) {
        let message = &*seen.message;
        let asker = waiting.and_then(|waiting| self.records.current(waiting.server));
        // What is learnt here has to be known when the contact is reported.
        self.note_unauthenticated(asker.unwrap_or(index), seen, waiting);
        self.note_version(asker.unwrap_or(index), message, waiting);
        let proved =
            waiting.and_then(|waiting| evidence::answer_proves(&waiting.seen.message, message));
        match proved {
            Some(level) => {
                if let Some((asker, waiting)) = asker.zip(waiting)
                    && asker != index
                {
                    self.prove(asker, &waiting.seen.request, level, seen.at, out);
                }
                self.prove(index, &seen.request, level, seen.at, out);
            }
            None => self.weigh_shape(index, seen, out),
        }
        let turned_down = message.error_code.is_some_and(evidence::turns_down);
        let asker = waiting.map_or(seen.request.id, |waiting| waiting.seen.request.id);
        if !turned_down && self.open.get(asker).is_some_and(|open| open.call) {
            self.accept(asker, seen.at, out);
        }
    }

    /// Weighs a message of a server without looking at what it answers.
    fn weigh_shape(&mut self, index: usize, seen: &Seen, out: &mut Vec<Resolved>) {
        let is_known = self.is_known(index);
        let on_stream = matches!(seen.channel, Channel::Sse | Channel::WebSocket);
        let is_transcript = self.open.get(seen.request.id).is_some_and(|open| open.transcript);
        if evidence::is_answer_by_shape(&seen.message)
            && !is_transcript
            && (!on_stream || evidence::is_plausible_stream(&seen.request, is_known))
        {
            self.prove(index, &seen.request, Evidence::Parsed, seen.at, out);
        }
    }

    /// Revisions in force: what an initialize result says, or a request that was not turned down.
    fn note_version(&mut self, index: usize, message: &Message, waiting: Option<&Waiting>) {
        let Some(version) = version_in_force(message, waiting) else { return };
        let max = self.limits.max_digests_per_definition;
        let Some(server) = self.records.get_mut(index) else { return };
        if evidence::is_revision(&version)
            && super::server::insert_within(&mut server.versions, version, max)
            && let Some(waiting) = waiting
            && let Some(client) = server.clients.get_mut(&waiting.seen.request.client.ip)
        {
            client.has_news = true;
        }
    }

    fn note_unauthenticated(&mut self, index: usize, seen: &Seen, waiting: Option<&Waiting>) {
        let Some(Waiting { seen: asked, .. }) = waiting else { return };
        let method = asked.message.method.as_deref();
        // The stream that carries the answer may have been opened with a credential.
        let is_open = asked.request.auth.is_none() && seen.request.auth.is_none();
        // A log need not have the field that a credential is in.
        let shows_all = |request: &RequestInfo| request.visibility != Visibility::Log;
        if seen.message.kind == Kind::Result
            && is_open
            && shows_all(&asked.request)
            && shows_all(&seen.request)
            && (asked.request.seen || evidence::is_bare(&asked.request))
            && matches!(method, Some("tools/list" | "tools/call"))
            && let Some(server) = self.records.get_mut(index)
            && let Some(client) = server.clients.get_mut(&asked.request.client.ip)
        {
            let is_news = !std::mem::replace(&mut client.unauthenticated_result, true);
            client.has_news |= is_news;
            server.exposure.unauthenticated_clients += usize::from(is_news);
        }
    }
}

fn version_in_force(message: &Message, waiting: Option<&Waiting>) -> Option<String> {
    if evidence::is_initialize_result(message) {
        return message.protocol_version.clone();
    }
    if message.kind != Kind::Result {
        return None;
    }
    let Some(Waiting { seen: asked, .. }) = waiting else {
        let stateless = message.result_type.is_some() && !message.meta_keys.is_empty();
        return stateless.then(|| evidence::FIRST_STATELESS.to_owned());
    };
    if asked.message.modern_envelope {
        return asked.message.protocol_version.clone();
    }
    // After the handshake, which a capture may have missed, the field says what was agreed on.
    // Before 2026-07-28, that is: with it the body has to say the same.
    let agreed = asked.request.protocol_version.clone();
    agreed.filter(|version| {
        asked.message.method.as_deref() != Some("initialize")
            && evidence::is_mcp_call(&asked.message)
            && version.as_str() < evidence::FIRST_STATELESS
    })
}

fn tally_names(server: &mut Server, message: &Message, limits: &super::Limits) {
    let (counts, name) = match message.method.as_deref() {
        Some("tools/call") => (&mut server.tools_called, &message.name),
        Some("prompts/get") => (&mut server.prompts_got, &message.name),
        Some("resources/read") => (&mut server.resources_read, &message.uri),
        _ => return,
    };
    if let Some(name) = name {
        count(counts, &mut server.dropped, name, limits);
    }
}

fn outcomes(responses: &mut [Outcomes; 2], direction: Direction) -> &mut Outcomes {
    let [to_server, to_client] = responses;
    if direction == Direction::ToServer { to_server } else { to_client }
}
