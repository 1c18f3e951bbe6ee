//! Heads and ends of exchanges: what a server accepts, refuses or sends elsewhere.

use std::sync::Arc;

use super::evidence::{self, Answer};
use super::open::{Open, RESOURCE_METADATA};
use super::resolve::{Occasion, Reply};
use super::{Inventory, Resolved, ServerId, ServerKey, Transport};
use crate::exchange::Visibility;
use crate::flow::At;
use crate::mcp::Evidence;
use crate::observation::{ExchangeId, OauthDocument, RequestInfo, ResponseInfo, SecretHash};

impl Inventory {
    pub(super) fn sse_endpoint(
        &mut self,
        request: &Arc<RequestInfo>,
        path: String,
        (session, session_bits): (Option<SecretHash>, Option<u32>),
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<ServerId> {
        let index = self.enter(request, at, out)?;
        self.remember_session(index, session);
        self.hands_out(index, request, session_bits);
        let mut response = None;
        if let Some(open) = self.open.get_mut(request.id) {
            open.session = session.or(open.session);
            response.clone_from(&open.response);
        }
        let key = self.records.get(index)?.key.clone();
        if !path.is_empty() && path != key.path {
            self.records.alias(&key.with_path(&path), index);
        }
        self.records.get_mut(index)?.transports.insert(Transport::HttpSse);
        let server = ServerId(self.records.current(index)?);
        let request = Arc::clone(request);
        out.push(Resolved::SseEndpoint { server, request, response, path, at });
        Some(server)
    }

    pub(super) fn answered(
        &mut self,
        request: &Arc<RequestInfo>,
        response: &Arc<ResponseInfo>,
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<ServerId> {
        let index = self.enter(request, at, out)?;
        self.remember_session(index, response.session);
        self.hands_out(index, request, response.session_bits);
        if let Some(server) = self.records.get_mut(index) {
            server.touch(at);
            *server.statuses.entry(response.status).or_default() += 1;
            server.exposure.answered(response);
        }
        let is_known = self.is_known(index);
        let open = self.open.get_mut(request.id)?;
        open.response = Some(Arc::clone(response));
        open.session = response.session.or(open.session);
        open.awaits_document = response.may_be_document;
        let (call, head) = (open.call, open.head || response.session.is_some());
        let answer = evidence::judge(request, response, is_known);
        match answer {
            Answer::Takes | Answer::Session | Answer::Names => {
                open.accepted = true;
                if call {
                    self.accept(request.id, at, out);
                } else if head || response.resource_metadata {
                    self.prove(index, request, Evidence::Header, at, out);
                }
            }
            Answer::Redirects => self.redirected(index, response, call || head),
            Answer::Open => {
                // What the body would decide, a log does not show.
                let is_told = request.visibility == Visibility::Log
                    && head
                    && matches!(response.status, 200..=299);
                if is_told || is_resource_metadata(request, response) {
                    self.prove(index, request, Evidence::Header, at, out);
                }
            }
        }
        let server = ServerId(self.records.current(index)?);
        if !response.may_be_document {
            let (request, response) = (Arc::clone(request), Some(Arc::clone(response)));
            out.push(Resolved::Exchange { server, request, response, document: None, at });
        }
        Some(server)
    }

    /// The OAuth document that an exchange was not reported for yet.
    pub(super) fn document(
        &mut self,
        request: &Arc<RequestInfo>,
        document: Arc<OauthDocument>,
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<ServerId> {
        let index = self.enter(request, at, out)?;
        let server = ServerId(self.records.current(index)?);
        let open = self.open.get_mut(request.id)?;
        open.awaits_document = false;
        let (response, request) = (open.response.clone(), Arc::clone(request));
        out.push(Resolved::Exchange { server, request, response, document: Some(document), at });
        Some(server)
    }

    /// Whether a server has proved itself before, or named a message endpoint.
    pub(super) fn is_known(&self, index: usize) -> bool {
        let server = self.records.get(index);
        server.is_some_and(|server| {
            server.is_mcp() || server.transports.contains(&Transport::HttpSse)
        })
    }

    /// A request that spoke MCP was sent elsewhere on the same host (`/mcp` to `/mcp/`): one
    /// server with two paths, known by the one that answers. The old codes make a client come
    /// back with a GET and are used to send people to log in; they count for a slash only.
    fn redirected(&mut self, index: usize, response: &ResponseInfo, is_mcp: bool) {
        let Some((host, port, path)) = &response.location else { return };
        let Some(key) = self.records.get(index).map(|server| server.key.clone()) else { return };
        let same_origin = host.is_empty() || (*host == key.host && *port == key.port);
        let slash_only = path.trim_end_matches('/') == key.path.trim_end_matches('/');
        let repeats = slash_only || matches!(response.status, 307 | 308);
        if is_mcp && same_origin && repeats && *path != key.path {
            self.records.rename(index, ServerKey { path: path.clone(), ..key });
        }
    }

    /// The server took part in an exchange in which the client spoke MCP.
    pub(super) fn accept(&mut self, id: ExchangeId, at: At, out: &mut Vec<Resolved>) {
        let Some(open) = self.open.get_mut(id) else { return };
        open.accepted = true;
        let (index, request) = (open.server, Arc::clone(&open.request));
        let is_sse =
            self.records.get(index).is_some_and(|s| s.transports.contains(&Transport::HttpSse));
        let transport = transport(open, is_sse);
        let held = open.stream.map(|_| std::mem::take(&mut open.held)).unwrap_or_default();
        self.prove(index, &request, Evidence::Parsed, at, out);
        if let Some(index) = self.records.current(index) {
            out.extend(held.into_iter().map(|seen| seen.resolved(index, None)));
        }
        if let (Some(transport), Some(server)) = (transport, self.records.get_mut(index)) {
            server.transports.insert(transport);
        }
    }

    /// Raises the evidence of a server, and reports the contact.
    pub(super) fn prove(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        level: Evidence,
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        let limits = self.limits;
        let Some(server) = self.records.get_mut(index) else { return };
        let is_raised = level > server.evidence;
        let has_tokens = !server.exposure.tokens.is_empty();
        let becomes_mcp = !server.is_mcp() && level >= Evidence::Parsed;
        server.evidence = server.evidence.max(level);
        if level < Evidence::Parsed {
            return;
        }
        server.place(request.server, true, &limits);
        if let Some(client) = server.clients.get_mut(&request.client.ip) {
            client.accepted = true;
            client.has_news |= is_raised;
        }
        if becomes_mcp && has_tokens {
            self.crossings_changed();
        }
        self.tell(index, request, at, out);
    }

    /// Reports a contact: once per exchange in which the server takes part, and again whenever
    /// more is known of it.
    fn tell(&mut self, index: usize, request: &Arc<RequestInfo>, at: At, out: &mut Vec<Resolved>) {
        let Some(id) = self.records.current(index) else { return };
        let has_news = self.take_news(id, request);
        let open = self.open.get_mut(request.id);
        let reported = open.is_none_or(|open| std::mem::replace(&mut open.reported, true));
        let occasion = match (reported, has_news) {
            (false, _) => Occasion::Used,
            (true, true) => Occasion::Changed,
            (true, false) => return,
        };
        let (server, request) = (ServerId(id), Arc::clone(request));
        out.push(Resolved::Contact { server, request, occasion, at });
    }

    fn take_news(&mut self, index: usize, request: &RequestInfo) -> bool {
        let server = self.records.get_mut(index);
        let client = server.and_then(|server| server.clients.get_mut(&request.client.ip));
        client.is_some_and(|client| std::mem::take(&mut client.has_news))
    }

    pub(super) fn ended(
        &mut self,
        request: &Arc<RequestInfo>,
        bytes: [u64; 2],
        at: At,
        out: &mut Vec<Resolved>,
    ) -> Option<ServerId> {
        let index = self.enter(request, at, out);
        self.settle(request.id, bytes, at, out);
        index.and_then(|index| self.records.current(index)).map(ServerId)
    }

    /// An exchange is over: whatever waits for it is judged now.
    pub(super) fn settle(
        &mut self,
        id: ExchangeId,
        bytes: [u64; 2],
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        let Some(open) = self.open.get(id) else { return };
        let (index, request) = (open.server, Arc::clone(&open.request));
        if open.response.is_none() && !open.accepted && !open.spoken {
            // Who writes lines to a collector of logs is not answered either.
            if open.implied && open.stream.is_none() {
                self.accept(id, at, out);
            } else if open.head && request.session.is_some() {
                // Sessions are the server's to give.
                self.prove(index, &request, Evidence::Header, at, out);
            }
        }
        let Some(open) = self.open.get(id) else { return };
        let (answered, refused) = (open.response.is_some(), is_refused(open));
        let Some(index) = self.records.current(index) else {
            self.open.remove(id);
            return;
        };
        self.settle_contact(index, &request, bytes, refused, at, out);
        let Some(open) = self.open.remove(id) else { return };
        if !answered || open.awaits_document {
            let (server, request) = (ServerId(index), Arc::clone(&request));
            let response = open.response.clone();
            out.push(Resolved::Exchange { server, request, response, document: None, at });
        }
        self.settle_messages(index, open, at, out);
    }

    fn settle_contact(
        &mut self,
        index: usize,
        request: &Arc<RequestInfo>,
        bytes: [u64; 2],
        refused: bool,
        at: At,
        out: &mut Vec<Resolved>,
    ) {
        let Some(server) = self.records.get_mut(index) else { return };
        for (sum, more) in server.bytes.iter_mut().zip(bytes) {
            *sum += more;
        }
        let is_mcp = server.is_mcp();
        let spoken = self.open.get(request.id).is_some_and(|open| open.spoken);
        server.refused += u64::from(refused && !(is_mcp && spoken));
        let was_accepted = server.clients.get(&request.client.ip).is_some_and(|c| c.accepted);
        let occasion = if is_mcp && was_accepted {
            // Of an MCP server that the client has used, a refusal is no news; what the client
            // tried may be.
            self.take_news(index, request).then_some(Occasion::Changed)
        } else {
            refused.then_some(Occasion::Refused)
        };
        if let Some(occasion) = occasion {
            let (server, request) = (ServerId(index), Arc::clone(request));
            let contact = Resolved::Contact { server, request, occasion, at };
            if occasion == Occasion::Refused {
                self.defer(contact, at, out);
            } else {
                out.push(contact);
            }
        }
    }

    fn settle_messages(&mut self, index: usize, open: Open, at: At, out: &mut Vec<Resolved>) {
        let status = open.status();
        let reply = status.map(Reply::of_status);
        // With HTTP+SSE the POST is answered 202, and the result comes on the GET stream. So it
        // may when a stream that began as the response to the POST breaks off.
        let is_stream = open.response.as_ref().is_some_and(|response| {
            response.content_type.as_deref() == Some("text/event-stream") && response.status < 300
        });
        let elsewhere =
            open.stream.is_none() && open.accepted && (status == Some(202) || is_stream);
        let refused = is_refused(&open) && !self.is_known(index);
        let mut held: Vec<_> =
            open.held.into_iter().map(|seen| seen.resolved(index, reply)).collect();
        for token in open.tokens {
            if elsewhere {
                if let Some(waiting) = self.waiting.get_mut(token) {
                    waiting.status = status;
                }
            } else if let Some(mut waiting) = self.waiting.take(token) {
                waiting.status = status;
                held.push(waiting.unanswered(index));
            }
        }
        for resolved in held {
            if refused {
                self.defer(resolved, at, out);
            } else {
                out.push(resolved);
            }
        }
    }
}

/// Whether a client spoke MCP in vain.
fn is_refused(open: &Open) -> bool {
    let redirected = open.status().is_some_and(|status| (300..400).contains(&status));
    let answered = if open.stream.is_some() { open.spoken } else { open.response.is_some() };
    open.call && !open.accepted && answered && !redirected
}

fn is_resource_metadata(request: &RequestInfo, response: &ResponseInfo) -> bool {
    request.path.starts_with(RESOURCE_METADATA)
        && response.status == 200
        && response.content_type.as_deref() == Some("application/json")
}

/// How the messages of an exchange that the server takes part in travel, if that is certain. What
/// a request asks for proves nothing: the revision is negotiated.
fn transport(open: &Open, is_sse: bool) -> Option<Transport> {
    if open.stream.is_some() {
        return open.stream;
    }
    let claims = open.claims.as_deref().filter(|claims| evidence::is_revision(claims));
    let response = open.response.as_deref();
    if response.is_some_and(|response| response.session.is_some()) {
        return Some(Transport::StreamableHttp);
    }
    if response.is_some_and(|response| matches!(response.status, 401 | 403)) || is_sse {
        return None;
    }
    match (claims, response) {
        (Some(claims), _) if claims >= evidence::FIRST_STATELESS => Some(Transport::Stateless),
        // Streamable HTTP answers 202 to notifications only.
        (_, Some(response)) if response.status == 202 && !open.tokens.is_empty() => {
            Some(Transport::HttpSse)
        }
        (_, None) if !open.head => None,
        _ => Some(Transport::StreamableHttp),
    }
}
