//! Arbitrary bytes as a connection, and as header blocks.

use std::collections::HashSet;

use super::hpack::{Decoder, Fields, Pseudo};
use super::{Connection, Feed, Limits, recognise};
use crate::anomaly::Anomaly;
use crate::app::Counters;
use crate::app::http1::feed::Line;
use crate::exchange::{BodyInterest, Context, ExchangeEvent, ExchangeSink, Scheme};
use crate::flow::At;
use crate::net::{Direction, Endpoint, Scope};
use crate::time::Timestamp;

/// Checks that every exchange has one last event, and that each message is in order.
#[derive(Debug, Default)]
struct Checker {
    open: HashSet<u32>,
    ended: HashSet<u32>,
    requested: HashSet<u32>,
    answered: HashSet<u32>,
    request_over: HashSet<u32>,
    events: u64,
}

impl ExchangeSink for Checker {
    type State = ();

    fn event(
        &mut self,
        _: &Context<'_>,
        (): &mut (),
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        assert!(!self.ended.contains(&number), "an event after the last one");
        self.open.insert(number);
        self.events += 1;
        match event {
            ExchangeEvent::RequestHead(head) => {
                assert!(self.requested.insert(number), "two requests");
                assert!(head.headers.iter().count() == head.headers.spans.len());
            }
            ExchangeEvent::ResponseHead(head) => {
                assert!(self.answered.insert(number), "two responses");
                assert!(head.headers.iter().count() == head.headers.spans.len());
            }
            ExchangeEvent::RequestBody(_) | ExchangeEvent::RequestGap(_) => {
                assert!(self.requested.contains(&number) && !self.request_over.contains(&number));
            }
            ExchangeEvent::ResponseBody(_) | ExchangeEvent::ResponseGap(_) => {
                assert!(self.answered.contains(&number), "a body without a head");
            }
            ExchangeEvent::RequestEnd(_) => {
                assert!(self.requested.contains(&number) && self.request_over.insert(number));
            }
            ExchangeEvent::ResponseEnd(_) | ExchangeEvent::Aborted => {
                self.open.remove(&number);
                self.ended.insert(number);
            }
            ExchangeEvent::Message(_) | ExchangeEvent::MessageGap(..) => unreachable!(),
        }
        if self.events.is_multiple_of(7) { BodyInterest::Unwanted } else { BodyInterest::Wanted }
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        unreachable!("no copies here")
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), _: Anomaly) {}

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

/// Feeds `data` as a connection. The first byte says how it was met; then one byte of each piece
/// says its direction and kind, the next one its length.
///
/// # Panics
///
/// When an exchange has more or less than one last event, or its events are out of order.
pub fn connection(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else { return };
    let mut connection = match first & 3 {
        0 | 1 => Connection::new(false),
        2 => Connection::new(true),
        _ => Connection::upgraded(0),
    };
    let limits = Limits {
        max_header_block_bytes: 256,
        max_head_bytes: 512,
        max_headers: 8,
        max_table_bytes: 4096 + 64,
        max_streams: 4,
        max_search_bytes: 2048,
        ..Limits::default()
    };
    let (mut sink, mut counters, mut next) = (Checker::default(), Counters::default(), 1);
    if first & 3 == 3 {
        sink.requested.insert(0);
        sink.request_over.insert(0);
    }
    let line = Line {
        flow: 0,
        client: Endpoint::UNKNOWN,
        server: Endpoint::UNKNOWN,
        scope: Scope(0),
        scheme: Scheme::Http,
        at: At { packet: 0, time: Timestamp::EPOCH },
        tunnels: &[],
    };
    let mut feed = Feed {
        limits: &limits,
        sink: &mut sink,
        user: &mut (),
        counters: &mut counters,
        line,
        tunnel: 0,
        next: &mut next,
    };
    let mut finished = [false; 2];
    if first & 4 == 0 {
        connection.feed(Direction::ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &mut feed);
    }
    while let [kind, len, tail @ ..] = rest {
        let to_server = kind & 1 == 0;
        let direction = if to_server { Direction::ToServer } else { Direction::ToClient };
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let [client_over, server_over] = &mut finished;
        let over = if to_server { client_over } else { server_over };
        if *over || bytes.is_empty() {
            continue;
        }
        match kind >> 1 {
            0 => connection.gap(direction, bytes.len() as u64, &mut feed),
            1 => {
                *over = true;
                connection.finish(direction, &mut feed);
            }
            2 => {
                recognise(bytes, &limits);
            }
            _ => connection.feed(direction, bytes, &mut feed),
        }
    }
    connection.conclude(&mut feed);
    assert!(sink.open.is_empty(), "exchanges without an end");
}

/// What the decoder made of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Its fields, pseudo-header fields first in a fixed order, white space around values off.
    Read(Vec<(Vec<u8>, Vec<u8>)>),
    /// Something is wrong with it.
    Malformed,
    /// It is read otherwise than by a plain decoder: for a bound, or where decoders differ.
    Apart,
}

/// A decoder, for comparison with another one.
#[derive(Debug, Default)]
pub struct Hpack {
    decoder: Decoder,
    fields: Fields,
}

impl Hpack {
    /// Reads a block. After one that is not `Read` the answers mean nothing.
    pub fn decode(&mut self, block: &[u8]) -> Block {
        let (max_head_bytes, max_headers) = (usize::MAX, usize::MAX);
        let limits = Limits { max_head_bytes, max_headers, ..Limits::default() };
        self.decoder.decode(block, false, &limits, &mut self.fields);
        let findings = self.fields.findings;
        if findings.malformed {
            return Block::Malformed;
        }
        if findings.expanded || findings.late_resize {
            return Block::Apart;
        }
        assert!(!findings.too_large && !findings.unknown, "nothing was lost");
        let names = [
            (":method", Pseudo::Method),
            (":path", Pseudo::Path),
            (":scheme", Pseudo::Scheme),
            (":authority", Pseudo::Authority),
            (":status", Pseudo::Status),
            (":protocol", Pseudo::Protocol),
        ];
        let pseudo = names.into_iter().filter_map(|(name, pseudo)| {
            Some((name.as_bytes().to_vec(), self.fields.pseudo(pseudo)?.to_vec()))
        });
        let headers = self.fields.headers();
        let regular = headers.iter().map(|(name, value)| (name.to_vec(), value.to_vec()));
        Block::Read(pseudo.chain(regular).collect())
    }
}
