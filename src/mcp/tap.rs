//! Exchanges into observations: which bodies are worth reading, and what they say. Sans-IO.
//!
//! Most HTTP traffic is not MCP and has to cost next to nothing. A request body is read only if
//! it can be JSON (its first byte tells), a response body only if the request spoke JSON-RPC, was
//! not seen, or asked for an event stream, or if the head already hints at MCP.

use std::sync::Arc;

use super::body::{Body, Found};
use super::head::{self, RequestCopy};
use super::inventory::is_mcp_path;
use super::jsonrpc::Item;
use super::methods::{self, Class};
use crate::anomaly::{Anomaly, Layer};
use crate::exchange::{
    BodyInterest, Context, End, ExchangeEvent, ExchangeSink, RequestHead, ResponseHead,
};
use crate::net::Direction;
use crate::observation::{Channel, Event, Kind, Message, Observation, RequestInfo, ResponseInfo};
use crate::secret::SecretHasher;

/// Bounds of recognition per flow.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Exchanges of one flow that are read at the same time; the oldest is given up for a new
    /// one. Each holds a copy of its request head and the state of two bodies.
    pub max_exchanges_per_flow: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_exchanges_per_flow: 128 }
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
    /// Oddities from before the flow was known to carry MCP, each once.
    early: Vec<Anomaly>,
}

/// One exchange.
#[derive(Debug)]
struct Exchange {
    head: RequestCopy,
    request: Option<Arc<RequestInfo>>,
    response: Option<Arc<ResponseInfo>>,
    /// The head of the exchange hints at MCP, or a message was read.
    matters: bool,
    /// The response head was reported.
    answered: bool,
    /// A GET that asks for an event stream.
    asks_for_events: bool,
    /// The request body carried JSON-RPC, or might have: it was cut or could not be decoded.
    may_have_spoken: bool,
    bodies: [Body; 2],
    body_bytes: [u64; 2],
    channel: Channel,
    ambiguous: bool,
}

impl Exchange {
    fn new(context: &Context<'_>, number: u32) -> Box<Self> {
        Box::new(Self {
            head: RequestCopy::new(context, number),
            request: None,
            response: None,
            matters: false,
            answered: false,
            asks_for_events: false,
            may_have_spoken: false,
            bodies: [Body::none(), Body::none()],
            body_bytes: [0; 2],
            channel: Channel::ResponseBody,
            ambiguous: false,
        })
    }

    /// A copy that reads on for itself in one direction, if that body can be copied.
    fn fork(&self, direction: Direction) -> Option<Box<Self>> {
        let [to_server, to_client] = &self.bodies;
        let bodies = match direction {
            Direction::ToServer => [to_server.fork()?, Body::none()],
            Direction::ToClient => [Body::none(), to_client.fork()?],
        };
        Some(Box::new(Self {
            head: self.head.renumbered(AMBIGUOUS),
            request: None,
            response: self.response.clone(),
            matters: self.matters,
            answered: true,
            asks_for_events: self.asks_for_events,
            may_have_spoken: self.may_have_spoken,
            bodies,
            body_bytes: [0; 2],
            channel: self.channel,
            ambiguous: true,
        }))
    }

    fn body(&mut self, direction: Direction) -> &mut Body {
        let [to_server, to_client] = &mut self.bodies;
        if direction == Direction::ToServer { to_server } else { to_client }
    }

    fn count(&mut self, direction: Direction, bytes: usize) {
        let [to_server, to_client] = &mut self.body_bytes;
        let count = if direction == Direction::ToServer { to_server } else { to_client };
        *count = count.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn request(&mut self, hasher: &SecretHasher) -> Arc<RequestInfo> {
        let head = &self.head;
        Arc::clone(self.request.get_or_insert_with(|| Arc::new(head.materialise(hasher))))
    }
}

/// The consumer of exchanges that recognises MCP.
#[derive(Debug)]
pub struct Tap {
    limits: Limits,
    hasher: SecretHasher,
    observations: Vec<Observation>,
    found: Vec<Found>,
    counters: Counters,
}

impl Tap {
    /// A tap whose session ids are hashed by `hasher`.
    #[must_use]
    pub fn new(limits: Limits, hasher: SecretHasher) -> Self {
        Self {
            limits,
            hasher,
            observations: Vec::new(),
            found: Vec::new(),
            counters: Counters::default(),
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

    fn request_head(&mut self, exchange: &mut Exchange, head: &RequestHead<'_>) -> BodyInterest {
        exchange.head.fill(head);
        exchange.matters = hints_at_mcp(head);
        let is_get = head.method == b"GET";
        let accepts_events = head
            .headers
            .get_all("accept")
            .any(|value| memchr::memmem::find(value, b"event-stream").is_some());
        exchange.asks_for_events = is_get && accepts_events;
        if is_get || head.method == b"HEAD" {
            return BodyInterest::Unwanted;
        }
        let codings = head.headers.get_all("content-encoding");
        let media = head.headers.get("content-type").unwrap_or_default();
        *exchange.body(Direction::ToServer) = Body::json(codings, charset(media));
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
        });
        exchange.matters |= names_mcp;
        let unseen = !exchange.head.is_seen();
        let may_answer = exchange.matters || exchange.may_have_spoken || unseen;
        if !may_answer && !(is_events && exchange.asks_for_events) {
            return BodyInterest::Unwanted;
        }
        exchange.response = Some(Arc::new(head::response(head, &self.hasher)));
        if exchange.matters {
            self.answered(context, exchange);
        }
        let codings = head.headers.get_all("content-encoding");
        if is_events {
            exchange.channel = Channel::Sse;
            *exchange.body(Direction::ToClient) = Body::events(codings);
        } else {
            *exchange.body(Direction::ToClient) = Body::json(codings, charset(media));
        }
        BodyInterest::Wanted
    }

    fn answered(&mut self, context: &Context<'_>, exchange: &mut Exchange) {
        if exchange.answered {
            return;
        }
        if let Some(response) = exchange.response.clone() {
            exchange.answered = true;
            let request = exchange.request(&self.hasher);
            self.observe(context, Event::Answered { request, response });
        }
    }

    fn body(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        bytes: &[u8],
    ) -> BodyInterest {
        exchange.count(direction, bytes.len());
        let mut found = std::mem::take(&mut self.found);
        exchange.body(direction).push(bytes, &mut found);
        self.report(context, state, exchange, direction, &mut found);
        self.found = found;
        if exchange.body(direction).is_wanted() {
            BodyInterest::Wanted
        } else {
            self.body_is_nothing(exchange, direction);
            BodyInterest::Unwanted
        }
    }

    /// A body turned out not to be JSON: unless it could not be decoded, nothing was said in it.
    fn body_is_nothing(&mut self, exchange: &mut Exchange, direction: Direction) {
        if direction == Direction::ToServer && exchange.body(direction).undecodable_bytes() == 0 {
            exchange.may_have_spoken = false;
        }
    }

    fn gap(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        len: u64,
    ) {
        let mut found = std::mem::take(&mut self.found);
        exchange.body(direction).gap(len, &mut found);
        self.report(context, state, exchange, direction, &mut found);
        self.found = found;
    }

    fn body_end(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        end: End,
    ) {
        let mut found = std::mem::take(&mut self.found);
        let mut body = std::mem::replace(exchange.body(direction), Body::none());
        let was_wanted = body.is_wanted();
        body.finish(end, &mut found);
        self.counters.undecodable_bytes += body.undecodable_bytes();
        self.report(context, state, exchange, direction, &mut found);
        self.found = found;
        if was_wanted && end == End::Complete {
            let spoke = exchange.matters;
            exchange.may_have_spoken &= spoke;
        }
    }

    /// Turns what a body gave into observations.
    fn report(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        found: &mut Vec<Found>,
    ) {
        for found in found.drain(..) {
            match found {
                Found::Item(Item::Message(message)) => {
                    self.message(context, state, exchange, direction, message);
                }
                Found::Item(Item::Anomaly(kind)) => {
                    if exchange.matters {
                        let anomaly = Anomaly::new(Layer::JsonRpc, kind);
                        let (client, server) = (context.client, context.server);
                        self.observe(context, Event::Anomaly { client, server, anomaly });
                    }
                }
                Found::Endpoint(uri) => {
                    if direction == Direction::ToClient && !exchange.ambiguous {
                        self.endpoint(context, exchange, &uri);
                    }
                }
            }
        }
    }

    fn message(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        message: Box<Message>,
    ) {
        self.counters.messages += 1;
        state.is_mcp |= is_surely_mcp(&message);
        exchange.matters = true;
        exchange.may_have_spoken = true;
        self.answered(context, exchange);
        let channel = match direction {
            Direction::ToServer => Channel::RequestBody,
            Direction::ToClient => exchange.channel,
        };
        let ambiguous = exchange.ambiguous;
        let request = exchange.request(&self.hasher);
        self.observe(context, Event::Message { request, direction, channel, message, ambiguous });
        if state.is_mcp {
            let (client, server) = (context.client, context.server);
            for anomaly in std::mem::take(&mut state.early) {
                self.observe(context, Event::Anomaly { client, server, anomaly });
            }
        }
    }

    /// The message URI of HTTP+SSE has to be relative or of the same origin; anything else in an
    /// event of that name belongs to some other protocol.
    fn endpoint(&mut self, context: &Context<'_>, exchange: &mut Exchange, uri: &str) {
        let Some((path, session)) = exchange.head.message_uri(uri, &self.hasher) else { return };
        exchange.matters = true;
        self.answered(context, exchange);
        let request = exchange.request(&self.hasher);
        self.observe(context, Event::SseEndpoint { request, path, session });
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
                self.end(context, exchange, Some(end));
            }
            ExchangeEvent::Aborted => {
                self.body_end(context, state, exchange, ToServer, End::Truncated);
                self.body_end(context, state, exchange, ToClient, End::Truncated);
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
                Exchange::new(context, number)
            }
        }
    }

    fn give_up_oldest(&mut self, context: &Context<'_>, state: &mut FlowState) {
        let oldest = state.exchanges.iter().enumerate().min_by_key(|(_, (number, _))| *number);
        let Some(position) = oldest.map(|(position, _)| position) else { return };
        let (_, mut exchange) = state.exchanges.swap_remove(position);
        self.counters.given_up += 1;
        self.step(context, state, &mut exchange, ExchangeEvent::Aborted);
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
        let mut exchange = self.take(context, state, number);
        let interest = self.step(context, state, &mut exchange, event);
        if !matches!(event, ExchangeEvent::ResponseEnd(_) | ExchangeEvent::Aborted) {
            state.exchanges.push((number, exchange));
        }
        interest
    }

    fn ambiguous(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        let mut exchange = state.ambiguous.take().unwrap_or_else(|| {
            let mut exchange = Exchange::new(context, AMBIGUOUS);
            exchange.ambiguous = true;
            exchange
        });
        let interest = self.step(context, state, &mut exchange, event);
        if !matches!(event, ExchangeEvent::ResponseEnd(_) | ExchangeEvent::Aborted) {
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
        let mut copy = open.fork(direction)?;
        let wanted = copy.body(direction).is_wanted();
        state.ambiguous = Some(copy);
        Some(if wanted { BodyInterest::Wanted } else { BodyInterest::Unwanted })
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

/// Whether a head is worth an observation whatever the bodies say: fields that only MCP uses, a
/// path by convention, or the discovery document of RFC 9728.
fn hints_at_mcp(head: &RequestHead<'_>) -> bool {
    let field = |(name, _): (&[u8], &[u8])| starts_ignoring_case(name, b"mcp-");
    let path = head.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    head.headers.iter().any(field)
        || memchr::memmem::find(path, b"/.well-known/oauth-").is_some()
        || std::str::from_utf8(path).is_ok_and(is_mcp_path)
}

fn starts_ignoring_case(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Enough to keep the flow when memory runs short.
fn is_surely_mcp(message: &Message) -> bool {
    let class = message.method.as_deref().and_then(methods::lookup).map(|known| known.class);
    class == Some(Class::Exclusive)
        || message.modern_envelope
        || (message.kind == Kind::Result && message.server.is_some())
}

/// The `charset` parameter of a media type (RFC 9110 section 8.3.2).
fn charset(media: &[u8]) -> Option<&[u8]> {
    let mut parameters = media.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii);
    let value = parameters.find(|text| starts_ignoring_case(text, b"charset="))?.get(8..)?;
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
}
