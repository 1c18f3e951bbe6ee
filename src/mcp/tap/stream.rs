//! Streams of messages: WebSocket, and lines without HTTP.
//!
//! Most of them are chats, tickers and the like. A message costs next to nothing once its first
//! byte shows that it is no JSON, and a stream that keeps saying nothing of interest is given up.

use std::ops::ControlFlow;

use super::super::body::{Found, Json, may_begin_json};
use super::exchange::{Exchange, is_telling};
use super::{FlowState, Tap};
use crate::content::decompress::{self, MessageDecoder};
use crate::exchange::{BodyInterest, Context, End, MessageCoding, MessagePiece, Scheme};
use crate::net::Direction;
use crate::observation::{Channel, Message};

/// A stream. Per direction: a reader of JSON-RPC (see its limits), and for compressed messages
/// 64 KiB.
#[derive(Debug, Default)]
pub(super) struct Stream {
    halves: [Half; 2],
    /// Messages begun.
    messages: u32,
    /// JSON-RPC was read.
    speaks: bool,
    /// So was something that MCP has.
    tells: bool,
}

#[derive(Debug, Default)]
struct Half {
    text: Text,
    /// The open message is compressed.
    compressed: bool,
    /// Kept from message to message.
    json: Option<Box<Json>>,
    decoder: Option<Box<MessageDecoder>>,
    /// Bytes were missing before the first compressed message.
    gap: bool,
    undecodable: u64,
}

/// The message of a direction that is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Text {
    /// None.
    #[default]
    Between,
    /// No byte but blanks has come.
    Fresh,
    /// It may be JSON-RPC.
    Reading,
    /// It is not, or its rest cannot be read.
    Skipping,
}

impl Stream {
    const fn half(&mut self, direction: Direction) -> &mut Half {
        let [to_server, to_client] = &mut self.halves;
        match direction {
            Direction::ToServer => to_server,
            Direction::ToClient => to_client,
        }
    }

    pub(super) fn hear(&mut self, message: &Message) {
        self.speaks = true;
        self.tells |= is_telling(message);
    }
}

impl Half {
    fn push(&mut self, coding: MessageCoding, bytes: &[u8], found: &mut Vec<Found>) {
        self.compressed = coding != MessageCoding::Plain;
        let MessageCoding::Deflate { fresh } = coding else {
            _ = Plain { text: &mut self.text, json: &mut self.json }.push(bytes, found);
            return;
        };
        let gap = self.gap;
        let decoder = self.decoder.get_or_insert_with(|| {
            let mut decoder = MessageDecoder::new(fresh, decompress::Limits::default());
            decoder.gap(u64::from(gap && !fresh));
            Box::new(decoder)
        });
        let mut plain = Plain { text: &mut self.text, json: &mut self.json };
        decoder.push(bytes, &mut |bytes: &[u8]| plain.push(bytes, found));
        self.follow_decoder(found);
    }

    /// What the decoder says of the message besides its text.
    fn follow_decoder(&mut self, found: &mut Vec<Found>) {
        let Some(decoder) = &mut self.decoder else { return };
        let damaged = decoder.is_damaged();
        found.extend(std::iter::from_fn(|| decoder.take_anomaly()).map(Found::Anomaly));
        self.undecodable = decoder.undecodable_bytes();
        if damaged {
            self.lose(found);
        }
    }

    /// The rest of the open message will not be read.
    fn lose(&mut self, found: &mut Vec<Found>) {
        if self.text == Text::Reading
            && let Some(json) = &mut self.json
        {
            json.finish(End::Truncated, found);
        }
        if self.text != Text::Between {
            self.text = Text::Skipping;
        }
    }

    fn gap(&mut self, len: u64, found: &mut Vec<Found>) {
        // In an open message the bytes are its own; else they may be compressed ones.
        if self.compressed || self.text == Text::Between {
            self.gap = true;
            if let Some(decoder) = &mut self.decoder {
                decoder.gap(len);
            }
            self.follow_decoder(found);
        }
        self.lose(found);
    }

    fn end(&mut self, end: End, found: &mut Vec<Found>) {
        if self.compressed
            && let Some(decoder) = &mut self.decoder
        {
            let mut plain = Plain { text: &mut self.text, json: &mut self.json };
            if end == End::Truncated {
                decoder.abandon();
            }
            decoder.end(&mut |bytes: &[u8]| plain.push(bytes, found));
            self.follow_decoder(found);
        }
        if self.text == Text::Reading
            && let Some(json) = &mut self.json
        {
            json.finish(end, found);
        }
        self.text = Text::Between;
    }
}

/// The plain text of a message on its way to the reader.
struct Plain<'a> {
    text: &'a mut Text,
    json: &'a mut Option<Box<Json>>,
}

impl Plain<'_> {
    fn push(&mut self, bytes: &[u8], found: &mut Vec<Found>) -> ControlFlow<()> {
        if *self.text == Text::Fresh {
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            *self.text = match first {
                None => return ControlFlow::Continue(()),
                Some(first) if may_begin_json(*first) => Text::Reading,
                Some(_) => Text::Skipping,
            };
        }
        if *self.text != Text::Reading {
            return ControlFlow::Break(());
        }
        let json = self.json.get_or_insert_default();
        json.push(bytes, found);
        if json.is_dead() {
            json.finish(End::Truncated, found);
            *self.text = Text::Skipping;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

impl Tap {
    /// Bytes of a message.
    pub(super) fn message_piece(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        piece: MessagePiece<'_>,
    ) -> BodyInterest {
        let MessagePiece { direction, coding, bytes, end } = piece;
        exchange.count(direction, bytes.len());
        exchange.stream_channel(context);
        let mut found = std::mem::take(&mut self.found);
        let stream = exchange.stream.get_or_insert_default();
        if stream.half(direction).text == Text::Between {
            stream.half(direction).text = Text::Fresh;
            stream.messages = stream.messages.saturating_add(1);
        }
        let half = stream.half(direction);
        half.push(coding, bytes, &mut found);
        if let Some(end) = end {
            half.end(end, &mut found);
        }
        self.report(context, state, exchange, direction, &mut found);
        self.found = found;
        self.stream_interest(exchange)
    }

    pub(super) fn message_gap(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
        direction: Direction,
        len: u64,
    ) -> BodyInterest {
        exchange.stream_channel(context);
        let mut found = std::mem::take(&mut self.found);
        exchange.stream.get_or_insert_default().half(direction).gap(len, &mut found);
        self.report(context, state, exchange, direction, &mut found);
        self.found = found;
        self.stream_interest(exchange)
    }

    /// The stream is over.
    pub(super) fn stream_end(
        &mut self,
        context: &Context<'_>,
        state: &mut FlowState,
        exchange: &mut Exchange,
    ) {
        let Some(mut stream) = exchange.stream.take() else { return };
        let mut found = std::mem::take(&mut self.found);
        for direction in [Direction::ToServer, Direction::ToClient] {
            let half = stream.half(direction);
            half.lose(&mut found);
            self.counters.undecodable_bytes += half.undecodable;
            self.report(context, state, exchange, direction, &mut found);
        }
        self.found = found;
    }

    fn stream_interest(&self, exchange: &Exchange) -> BodyInterest {
        let Some(stream) = &exchange.stream else { return BodyInterest::Wanted };
        let max = if stream.speaks {
            self.limits.max_foreign_messages
        } else {
            self.limits.max_barren_messages
        };
        if stream.tells || stream.messages <= max {
            BodyInterest::Wanted
        } else {
            BodyInterest::Unwanted
        }
    }
}

impl Exchange {
    /// Messages of a stream are told from those of bodies.
    fn stream_channel(&mut self, context: &Context<'_>) {
        if self.stream.is_none() {
            self.channel = match context.scheme {
                Scheme::Http | Scheme::Https => Channel::WebSocket,
                Scheme::Tcp | Scheme::Tls => Channel::Line,
            };
        }
    }
}
