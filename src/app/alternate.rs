//! The losing copy of an overlap that disagrees: what a receiver would have read that preferred
//! the other copy. It is scanned by a parser of its own, whose messages are marked ambiguous.
//!
//! One parser per side, bounded in bytes, gone when its message ends. It begins afresh when the
//! copy begins with a start line; else it is a copy of the side's parser when that is at the same
//! offset; and when the winner was read already, the bytes are given as a piece of a body.

use super::http1::feed::AmbiguousFeed;
use super::http1::half::{Env, Half};
use super::probe::{Guess, probe};
use super::state::{self, Lane};
use super::turn::{Turn, line};
use crate::exchange::{End, ExchangeSink};
use crate::flow::Chunk;
use crate::net::{Direction, Side};

/// The parser of a losing copy.
#[derive(Debug)]
pub(in crate::app) struct Alternate {
    half: Half,
    direction: Direction,
    /// Offset from where the winning bytes belong to it again.
    resume_at: u64,
    /// Bytes that it may still read.
    left: u64,
    begun: bool,
    ended: bool,
}

/// Where the parser of a losing copy begins.
enum Beginning {
    /// At a message start.
    Message(Half),
    /// Where the side's parser is.
    Here(Half),
    /// Somewhere in what was read already.
    Behind { events: bool },
}

impl<S: ExchangeSink> Turn<'_, S> {
    pub(in crate::app) fn alternate(&mut self, chunk: Chunk<'_>) {
        let opaque = *state::at(&mut self.state.in_tls, chunk.side);
        if self.state.shed.is_some() || opaque || chunk.bytes.is_empty() {
            return;
        }
        let next = *state::at(&mut self.state.next, chunk.side);
        // A side whose first bytes did not tell its protocol: the copy goes on from them.
        let mut joined = Vec::new();
        let (mut offset, mut bytes) = (chunk.offset, chunk.bytes);
        if let Lane::Probe(begun) = self.state.lane(chunk.side)
            && chunk.offset == next
            && !begun.is_empty()
        {
            joined.extend_from_slice(begun);
            joined.extend_from_slice(chunk.bytes);
            offset -= begun.len() as u64;
            bytes = &joined;
        }
        let guess = probe(bytes, self.limits.max_probe_bytes);
        let known = self.state.direction(chunk.side);
        let direction = match (known, guess) {
            (Some(direction), _) => direction,
            (None, Guess::Request) => Direction::ToServer,
            (None, Guess::Response) => Direction::ToClient,
            _ => return,
        };
        let starts = matches!(
            (guess, direction),
            (Guess::Request, Direction::ToServer) | (Guess::Response, Direction::ToClient)
        );
        let Some(beginning) = self.beginning(chunk.side, direction, starts, offset, next) else {
            return;
        };
        self.close_alternate(chunk.side);
        let (half, events, number) = match beginning {
            Beginning::Message(half) => (half, None, None),
            Beginning::Here(half) => {
                let events = half.in_body().then(|| half.carries_events());
                (half, events, self.open_number(direction))
            }
            Beginning::Behind { events } => {
                (Half::in_unknown_body(direction, events), Some(events), None)
            }
        };
        let mut alternate = Box::new(Alternate {
            half,
            direction,
            resume_at: offset,
            left: self.limits.max_alternate_bytes,
            begun: false,
            ended: false,
        });
        self.with_alternate(chunk.side, &mut alternate, |alternate, _, feed| {
            if let Some(events) = events {
                alternate.set_interest(feed.continue_body(number, events));
            }
        });
        *state::at(&mut self.state.alternates, chunk.side) = Some(alternate);
        self.feed_alternate(chunk.side, offset, bytes);
        if events.is_some() && offset < next {
            // What follows in order is far from here.
            self.close_alternate(chunk.side);
        }
    }

    fn beginning(
        &mut self,
        side: Side,
        direction: Direction,
        starts: bool,
        offset: u64,
        next: u64,
    ) -> Option<Beginning> {
        if starts {
            return Some(Beginning::Message(Half::new(direction)));
        }
        if !matches!(self.state.lane(side), Lane::Talk) {
            return None;
        }
        let half = self.state.http1_mut()?.half(direction);
        if offset < next {
            return Some(Beginning::Behind { events: half.carries_events() });
        }
        let usable = offset == next && (half.in_body() || half.before_body());
        usable.then(|| Beginning::Here(half.clone()))
    }

    /// The exchange whose message is being read.
    fn open_number(&self, direction: Direction) -> Option<u32> {
        let pairing = &self.state.http1()?.pairing;
        let open = match direction {
            Direction::ToServer => pairing.request,
            Direction::ToClient => pairing.response,
        };
        open.map(|open| open.number)
    }

    /// Bytes of a side, in order: an alternate parser that waits for them reads on.
    pub(in crate::app) fn feed_alternate(&mut self, side: Side, offset: u64, bytes: &[u8]) {
        let slot = state::at(&mut self.state.alternates, side);
        let Some(mut alternate) = slot.take() else { return };
        let end = offset + bytes.len() as u64;
        if end > alternate.resume_at {
            let skip = usize::try_from(alternate.resume_at.saturating_sub(offset)).unwrap_or(0);
            let missing = offset.saturating_sub(alternate.resume_at);
            let bytes = bytes.get(skip..).unwrap_or_default();
            let room = usize::try_from(alternate.left).unwrap_or(usize::MAX).min(bytes.len());
            let bytes = bytes.get(..room).unwrap_or(bytes);
            alternate.resume_at = end;
            alternate.left -= bytes.len() as u64;
            let exhausted = alternate.left == 0;
            self.with_alternate(side, &mut alternate, |half, env, feed| {
                if missing > 0 {
                    half.gap(missing, env, feed);
                }
                half.feed(bytes, env, feed);
                if exhausted {
                    feed.close(End::Truncated);
                }
            });
        }
        if !alternate.ended {
            *state::at(&mut self.state.alternates, side) = Some(alternate);
        }
    }

    /// Ends the alternate parser of a side.
    pub(in crate::app) fn close_alternate(&mut self, side: Side) {
        let Some(mut alternate) = state::at(&mut self.state.alternates, side).take() else {
            return;
        };
        self.with_alternate(side, &mut alternate, |_, _, feed| feed.close(End::Truncated));
    }

    fn with_alternate(
        &mut self,
        side: Side,
        alternate: &mut Alternate,
        f: impl FnOnce(&mut Half, &mut Env<'_>, &mut AmbiguousFeed<'_, S>),
    ) {
        let (flow, at) = (self.flow, self.at);
        let (mut env, sink, state) = self.parts();
        let direction = alternate.direction;
        let client = if direction == Direction::ToServer { side } else { side.other() };
        let depth = state.http1().map_or(0, |connection| {
            let [request, response] = connection.pairing.tunnels;
            if direction == Direction::ToServer { request } else { response }
        });
        let scheme = state.scheme();
        let mut feed = AmbiguousFeed {
            direction,
            sink,
            user: &mut state.user,
            context: line(flow, Some(client), scheme, at, &state.tunnels).context(depth),
            begun: &mut alternate.begun,
            ended: &mut alternate.ended,
        };
        f(&mut alternate.half, &mut env, &mut feed);
    }
}
