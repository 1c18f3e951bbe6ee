//! What the bodies of an exchange say.

use std::sync::Arc;

use super::super::body::{Body, Found};
use super::super::head::MessageUri;
use super::super::oauth;
use super::super::sensitive;
use super::exchange::{Exchange, is_surely_mcp};
use super::{FlowState, Tap};
use crate::anomaly::Anomaly;
use crate::exchange::{BodyInterest, Context, End};
use crate::net::Direction;
use crate::observation::{Channel, Event, Message};

impl Tap {
    pub(super) fn body(
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
        if !exchange.body(direction).may_speak() {
            Self::body_is_nothing(exchange, direction);
        }
        let wanted = exchange.body(direction).is_wanted();
        if wanted { BodyInterest::Wanted } else { BodyInterest::Unwanted }
    }

    /// A body turned out not to be JSON: unless it could not be decoded, nothing was said in it.
    fn body_is_nothing(exchange: &mut Exchange, direction: Direction) {
        if direction == Direction::ToServer && exchange.body(direction).undecodable_bytes() == 0 {
            exchange.may_have_spoken = false;
        }
    }

    pub(super) fn gap(
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

    pub(super) fn body_end(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        end: End,
    ) {
        let mut found = std::mem::take(&mut self.found);
        let mut body = std::mem::replace(exchange.body(direction), Body::none());
        let may_speak = body.may_speak();
        body.finish(end, &mut found);
        if direction == Direction::ToServer && !body.start().is_empty() {
            exchange.start = body.take_start();
        }
        self.counters.undecodable_bytes += body.undecodable_bytes();
        self.report(context, state, exchange, direction, &mut found);
        self.found = found;
        if may_speak && end == End::Complete {
            let spoke = exchange.matters;
            exchange.may_have_spoken &= spoke;
        }
    }

    /// Turns what a body or a stream gave into observations.
    pub(super) fn report(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        found: &mut Vec<Found>,
    ) {
        for found in found.drain(..) {
            match found {
                Found::Message(message) => {
                    self.message(context, state, exchange, direction, message);
                    let mut odd = std::mem::take(&mut self.odd);
                    odd.drain(..).for_each(|anomaly| self.oddity(context, exchange, anomaly));
                    self.odd = odd;
                }
                // Whether it is one of MCP is clear once the message is there.
                Found::Anomaly(anomaly) if !exchange.matters => self.odd.push(anomaly),
                Found::Anomaly(anomaly) => self.oddity(context, exchange, anomaly),
                Found::Endpoint(uri) => {
                    if direction == Direction::ToClient && !exchange.ambiguous {
                        self.endpoint(context, exchange, &uri);
                    }
                }
                Found::Document(text) => {
                    if direction == Direction::ToClient && !exchange.ambiguous {
                        self.document(context, exchange, &text);
                    }
                }
            }
        }
        self.odd.clear();
    }

    fn oddity(&mut self, context: &Context<'_>, exchange: &Exchange, anomaly: Anomaly) {
        if !exchange.ambiguous {
            let (client, server) = (context.client, context.server);
            self.observe(context, Event::Anomaly { client, server, anomaly });
        }
    }

    fn message(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        mut message: Box<Message>,
    ) {
        self.counters.messages += 1;
        sensitive::note(&mut message, &self.hasher);
        state.is_mcp |= is_surely_mcp(&message);
        exchange.matters = true;
        (exchange.may_have_spoken, exchange.spoke) = (true, true);
        self.answered(context, exchange);
        if let Some(stream) = &mut exchange.stream {
            stream.hear(&message);
        }
        let channel = match (direction, exchange.channel) {
            (_, stream @ (Channel::WebSocket | Channel::Line)) => stream,
            (Direction::ToServer, _) => Channel::RequestBody,
            (Direction::ToClient, channel) => channel,
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
        let Some(uri) = exchange.head.message_uri(uri, &self.hasher) else { return };
        let MessageUri { path, session, session_bits } = uri;
        exchange.matters = true;
        self.answered(context, exchange);
        let request = exchange.request(&self.hasher);
        self.observe(context, Event::SseEndpoint { request, path, session, session_bits });
    }

    /// The body of a response where OAuth documents are.
    fn document(&mut self, context: &Context<'_>, exchange: &mut Exchange, text: &[u8]) {
        let Some(document) = oauth::read(text, exchange.document) else { return };
        exchange.matters = true;
        self.answered(context, exchange);
        let (request, document) = (exchange.request(&self.hasher), Arc::new(document));
        self.observe(context, Event::Document { request, document });
    }
}
