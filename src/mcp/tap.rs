//! Exchanges into observations: which bodies are worth reading, and what they say. Sans-IO.
//!
//! Most HTTP traffic is not MCP and has to cost next to nothing. A request body is read only if
//! it can be JSON (its first byte tells), a response body only if the request spoke JSON-RPC, was
//! not seen, or asked for an event stream, or if the head already hints at MCP.

mod bodies;
mod exchange;
#[cfg(test)]
mod start_tests;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::body::{Body, Found};
use super::head;
use super::oauth::Place;
use crate::anomaly::{Anomaly, Layer};
use crate::exchange::{
    Application, BodyInterest, Context, DnsMessage, End, ExchangeEvent, ExchangeSink, FlowEnd,
    RequestHead, ResponseHead, TlsEvent,
};
use crate::net::Direction;
use crate::observation::{Channel, Event, Observation, ResponseInfo};
use crate::secret::SecretHasher;
use exchange::{
    Exchange, SUBPROTOCOL, charset, hints_at_mcp, is_mcp_subprotocol, starts_ignoring_case,
};

/// Bounds of recognition per flow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Exchanges of one flow that are read at the same time; the oldest is given up for a new
    /// one. Each holds a copy of its request head and the state of two bodies.
    pub max_exchanges_per_flow: usize,
    /// Messages of a stream (WebSocket, bare lines), of both directions, within which one has to
    /// be JSON-RPC; else the stream is given up.
    pub max_barren_messages: u32,
    /// Messages of a stream of JSON-RPC within which one has to be such as MCP has; else the
    /// stream is given up.
    pub max_foreign_messages: u32,
    /// The first 1,024 bytes of the body of every `POST` are kept as text (content coding undone),
    /// for rules that read `body.head`: at most 1,024 bytes per open exchange, and three times as
    /// much, as text with replacement characters, with the request that observations share. Off
    /// by default; then nothing is kept.
    pub keep_body_head: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_exchanges_per_flow: 128,
            max_barren_messages: 256,
            max_foreign_messages: 4096,
            keep_body_head: false,
        }
    }
}

/// What recognition counts.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Counters {
    /// Exchanges begun.
    pub exchanges: u64,
    /// JSON-RPC messages read.
    pub messages: u64,
    /// Body bytes that could not be decoded (unknown or damaged content coding).
    pub undecodable_bytes: u64,
    /// Exchanges given up at the bound.
    pub given_up: u64,
}

impl std::ops::AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        self.exchanges += other.exchanges;
        self.messages += other.messages;
        self.undecodable_bytes += other.undecodable_bytes;
        self.given_up += other.given_up;
    }
}

/// Number of the exchange of a losing overlap copy.
const AMBIGUOUS: u32 = u32::MAX;

/// Kinds of oddities kept of a flow that is not known to carry MCP yet.
const MAX_EARLY: usize = 8;

/// The state of recognition in one flow.
#[derive(Debug, Default)]
pub struct FlowState {
    exchanges: Vec<(u32, Box<Exchange>)>,
    ambiguous: Option<Box<Exchange>>,
    is_mcp: bool,
    /// Something was observed of it.
    matters: bool,
    /// Oddities from before the flow was known to carry MCP, each once.
    early: Vec<Anomaly>,
}

/// The consumer of exchanges that recognises MCP.
#[derive(Debug)]
pub struct Tap {
    limits: Limits,
    hasher: SecretHasher,
    observations: Vec<Observation>,
    found: Vec<Found>,
    /// Oddities of a message that is not complete yet.
    odd: Vec<Anomaly>,
    counters: Counters,
    /// Exchanges that are over, to be used again: an exchange that does not matter allocates
    /// nothing.
    #[expect(clippy::vec_box, reason = "the boxes are what is used again")]
    spare: Vec<Box<Exchange>>,
}

/// Exchanges kept to be used again, and the largest buffers kept with one.
const MAX_SPARE: usize = 64;
const MAX_SPARE_BYTES: usize = 8 << 10;

impl Tap {
    /// A tap whose session ids are hashed by `hasher`.
    #[must_use]
    pub fn new(limits: Limits, hasher: SecretHasher) -> Self {
        Self {
            limits,
            hasher,
            observations: Vec::new(),
            found: Vec::new(),
            odd: Vec::new(),
            counters: Counters::default(),
            spare: Vec::new(),
        }
    }

    /// What was observed since it was last drained.
    pub fn observations(&mut self) -> &mut Vec<Observation> {
        &mut self.observations
    }

    /// Counters.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    fn observe(&mut self, context: &Context<'_>, event: Event) {
        self.observations.push(Observation { flow: context.flow, at: context.at, event });
    }

    fn request_head(&self, exchange: &mut Exchange, head: &RequestHead<'_>) -> BodyInterest {
        exchange.head.fill(head);
        exchange.matters = hints_at_mcp(head);
        let is_get = head.method == b"GET";
        let accepts_events = head
            .headers
            .get_all("accept")
            .any(|value| memchr::memmem::find(value, b"event-stream").is_some());
        exchange.asks_for_events = is_get && accepts_events;
        exchange.document = Place::of(head.method, head.target, exchange.matters);
        if is_get || head.method == b"HEAD" {
            return BodyInterest::Unwanted;
        }
        let codings = head.headers.get_all("content-encoding");
        let media = head.headers.get("content-type").unwrap_or_default();
        let body = Body::json(codings, charset(media));
        let keeps_start = self.limits.keep_body_head && head.method == b"POST";
        *exchange.body(Direction::ToServer) = if keeps_start { body.keeping_start() } else { body };
        // Until the body shows what it is: a response may come before it does.
        exchange.may_have_spoken = true;
        BodyInterest::Wanted
    }

    fn response_head(
        &mut self,
        context: &Context<'_>,
        exchange: &mut Exchange,
        head: &ResponseHead<'_>,
    ) -> BodyInterest {
        let media = head.headers.get("content-type").unwrap_or_default();
        let is_events = starts_ignoring_case(media, b"text/event-stream");
        let names_mcp = head.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case(b"mcp-session-id")
                || (name.eq_ignore_ascii_case(b"www-authenticate")
                    && memchr::memmem::find(value, b"resource_metadata").is_some())
                || (name.eq_ignore_ascii_case(SUBPROTOCOL.as_bytes()) && is_mcp_subprotocol(value))
        });
        exchange.matters |= names_mcp;
        if head.status == 101 {
            // Whether the stream matters, its messages will tell.
            exchange.response = Some(Arc::new(head::response(head, &self.hasher)));
            if exchange.matters {
                self.answered(context, exchange);
            }
            return BodyInterest::Wanted;
        }
        // Of a response whose request was not seen, only the media type tells.
        let may_be_json = media.is_empty() || memchr::memmem::find(media, b"json").is_some();
        let answers_unseen = !exchange.head.is_seen() && (is_events || may_be_json);
        let may_answer = exchange.matters || exchange.may_have_spoken || answers_unseen;
        let may_stream = is_events && exchange.asks_for_events;
        let may_be_document = exchange.document != Place::Nowhere
            && !exchange.spoke
            && matches!(head.status, 200 | 201)
            && memchr::memmem::find(media, b"json").is_some();
        if !(may_answer || may_stream || may_be_document) {
            return BodyInterest::Unwanted;
        }
        let response = head::response(head, &self.hasher);
        exchange.response = Some(Arc::new(ResponseInfo { may_be_document, ..response }));
        if exchange.matters {
            self.answered(context, exchange);
        }
        let codings = head.headers.get_all("content-encoding");
        if may_be_document {
            *exchange.body(Direction::ToClient) = Body::document(codings);
        } else if is_events {
            exchange.channel = Channel::Sse;
            *exchange.body(Direction::ToClient) = Body::events(codings);
        } else {
            *exchange.body(Direction::ToClient) = Body::json(codings, charset(media));
        }
        BodyInterest::Wanted
    }

    fn answered(&mut self, context: &Context<'_>, exchange: &mut Exchange) {
        if exchange.answered || exchange.ambiguous {
            return;
        }
        if let Some(response) = exchange.response.clone() {
            exchange.answered = true;
            let request = exchange.request(&self.hasher);
            self.observe(context, Event::Answered { request, response });
        }
    }

    fn end(&mut self, context: &Context<'_>, exchange: &mut Exchange, response: Option<End>) {
        if exchange.matters && !exchange.ambiguous {
            let request = exchange.request(&self.hasher);
            let body_bytes = exchange.body_bytes;
            self.observe(context, Event::Ended { request, body_bytes, response });
        }
    }

    fn step(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        use Direction::{ToClient, ToServer};
        match event {
            ExchangeEvent::RequestHead(head) => return self.request_head(exchange, &head),
            ExchangeEvent::ResponseHead(head) => {
                return self.response_head(context, exchange, &head);
            }
            ExchangeEvent::RequestBody(bytes) => {
                return self.body(context, state, exchange, ToServer, bytes);
            }
            ExchangeEvent::ResponseBody(bytes) => {
                return self.body(context, state, exchange, ToClient, bytes);
            }
            ExchangeEvent::RequestGap(len) => self.gap(context, state, exchange, ToServer, len),
            ExchangeEvent::ResponseGap(len) => self.gap(context, state, exchange, ToClient, len),
            ExchangeEvent::RequestEnd(end) => {
                self.body_end(context, state, exchange, ToServer, end);
            }
            ExchangeEvent::ResponseEnd(end) => {
                self.body_end(context, state, exchange, ToServer, End::Truncated);
                self.body_end(context, state, exchange, ToClient, end);
                self.stream_end(context, state, exchange);
                self.end(context, exchange, Some(end));
            }
            ExchangeEvent::Message(piece) => {
                return self.message_piece(context, state, exchange, piece);
            }
            ExchangeEvent::MessageGap(direction, len) => {
                return self.message_gap(context, state, exchange, direction, len);
            }
            ExchangeEvent::Aborted => {
                self.body_end(context, state, exchange, ToServer, End::Truncated);
                self.body_end(context, state, exchange, ToClient, End::Truncated);
                self.stream_end(context, state, exchange);
                let response = exchange.response.is_some().then_some(End::Truncated);
                self.end(context, exchange, response);
            }
        }
        BodyInterest::Wanted
    }

    /// Takes the exchange out of the flow's state for one step.
    fn take(&mut self, context: &Context<'_>, state: &mut FlowState, number: u32) -> Box<Exchange> {
        let known = state.exchanges.iter().position(|(open, _)| *open == number);
        match known {
            Some(position) => state.exchanges.swap_remove(position).1,
            None => {
                self.counters.exchanges += 1;
                if state.exchanges.len() >= self.limits.max_exchanges_per_flow {
                    self.give_up_oldest(context, state);
                }
                self.begin(context, number)
            }
        }
    }

    fn begin(&mut self, context: &Context<'_>, number: u32) -> Box<Exchange> {
        let mut exchange = self.spare.pop().unwrap_or_default();
        exchange.begin(context, number);
        exchange
    }

    fn recycle(&mut self, exchange: Box<Exchange>) {
        if self.spare.len() < MAX_SPARE && exchange.head.capacity() <= MAX_SPARE_BYTES {
            self.spare.push(exchange);
        }
    }

    fn give_up_oldest(&mut self, context: &Context<'_>, state: &mut FlowState) {
        let oldest = state.exchanges.iter().enumerate().min_by_key(|(_, (number, _))| *number);
        let Some(position) = oldest.map(|(position, _)| position) else { return };
        let (_, mut exchange) = state.exchanges.swap_remove(position);
        self.counters.given_up += 1;
        self.step(context, state, &mut exchange, ExchangeEvent::Aborted);
        self.recycle(exchange);
    }
}

impl ExchangeSink for Tap {
    type State = FlowState;

    fn event(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        let before = self.observations.len();
        let mut exchange = self.take(context, state, number);
        let interest = self.step(context, state, &mut exchange, event);
        if is_last(event) {
            self.recycle(exchange);
        } else {
            state.exchanges.push((number, exchange));
        }
        state.matters |= self.observations.len() > before;
        interest
    }

    fn ambiguous(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        let mut exchange = state.ambiguous.take().unwrap_or_else(|| {
            let mut exchange = self.begin(context, AMBIGUOUS);
            exchange.ambiguous = true;
            exchange
        });
        let interest = self.step(context, state, &mut exchange, event);
        if is_last(event) {
            self.recycle(exchange);
        } else {
            state.ambiguous = Some(exchange);
        }
        interest
    }

    fn fork(
        &mut self,
        _context: &Context<'_>,
        state: &mut FlowState,
        number: u32,
        direction: Direction,
    ) -> Option<BodyInterest> {
        let (_, open) = state.exchanges.iter().find(|(open, _)| *open == number)?;
        let mut copy = open.fork(AMBIGUOUS, direction)?;
        let wanted = copy.body(direction).is_wanted();
        state.ambiguous = Some(copy);
        Some(if wanted { BodyInterest::Wanted } else { BodyInterest::Unwanted })
    }

    fn tls(&mut self, context: &Context<'_>, state: &mut FlowState, event: TlsEvent<'_>) {
        state.matters = true;
        let (hello, answer) = match event {
            TlsEvent::Hello(hello) => (Some(Arc::new(hello.clone())), None),
            TlsEvent::Answer(answer) => (None, Some(Arc::new(answer.clone()))),
        };
        let Context { client, server, scope, tunnel, .. } = *context;
        let tunnel = tunnel.map(str::to_owned);
        let provenance = context.provenance.cloned();
        let event = Event::Tls { client, server, scope, tunnel, hello, answer, provenance };
        self.observe(context, event);
    }

    fn dns(&mut self, context: &Context<'_>, _: &mut FlowState, message: DnsMessage) {
        let Context { client, server, .. } = *context;
        let provenance = context.provenance.cloned();
        self.observe(context, Event::Dns { client, server, message, provenance });
    }

    fn closed(&mut self, context: &Context<'_>, state: &mut FlowState, end: &FlowEnd) {
        if state.matters || end.application == Some(Application::Quic) {
            let Context { client, server, scope, .. } = *context;
            let end = Box::new(*end);
            self.observe(context, Event::Flow { client, server, scope, end });
        }
    }

    fn anomaly(&mut self, context: &Context<'_>, state: &mut FlowState, anomaly: Anomaly) {
        // Oddities of a flow as a whole come without its state, and are rare.
        if state.is_mcp || anomaly.layer == Layer::Flow {
            let (client, server) = (context.client, context.server);
            self.observe(context, Event::Anomaly { client, server, anomaly });
        } else if state.early.len() < MAX_EARLY && !state.early.contains(&anomaly) {
            state.early.push(anomaly);
        }
    }

    fn is_mcp(&self, state: &FlowState) -> bool {
        state.is_mcp
    }
}

const fn is_last(event: ExchangeEvent<'_>) -> bool {
    matches!(event, ExchangeEvent::ResponseEnd(_) | ExchangeEvent::Aborted)
}
