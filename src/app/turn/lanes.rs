//! The way of a side's bytes to the parser of what is talked.

use super::super::http1::resync::{Found, LineStart, Search};
use super::super::probe::{Guess, Protocol, probe};
use super::super::state::{self, Lane};
use super::super::talk::Talk;
use super::super::{dns, http2, lines};
use super::Turn;
use crate::exchange::ExchangeSink;
use crate::net::{Direction, Side};

/// The port of DNS over TCP (RFC 7766), which no first bytes tell.
const DNS_PORT: u16 = 53;

impl<S: ExchangeSink> Turn<'_, S> {
    /// Every turn consumes bytes, moves the lane on, or ends.
    pub(super) fn deliver(&mut self, side: Side, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.state.shed.is_none() {
            bytes = match self.state.lane(side) {
                Lane::Unseen => {
                    self.open(side);
                    bytes
                }
                Lane::Probe(_) => self.probe(side, bytes),
                Lane::Search(_) => self.search(side, bytes),
                Lane::Talk => self.talk(side, bytes),
                Lane::Off => return,
            };
        }
    }

    /// Bytes of what a side says are missing.
    pub(super) fn lane_gap(&mut self, side: Side, len: u64) {
        if matches!(self.state.lane(side), Lane::Unseen) && self.state.talk.is_some() {
            *self.state.lane(side) = Lane::Talk;
        }
        let direction = self.state.direction(side);
        match self.state.lane(side) {
            Lane::Off => {}
            Lane::Search(search) => search.gap(),
            lane @ (Lane::Unseen | Lane::Probe(_)) => {
                *lane = Lane::Search(Box::new(Search::new(direction, LineStart::Perhaps)));
            }
            Lane::Talk => self.talk_gap(side, len),
        }
    }

    /// The first bytes of a side.
    fn open(&mut self, side: Side) {
        let direction = self.state.direction(side);
        let search = || Box::new(Search::new(direction, LineStart::Perhaps));
        let midstream = self.flow.midstream;
        let (originator, responder) = (self.flow.originator.port, self.flow.responder.port);
        if self.state.talk.is_none()
            && !midstream
            && responder == DNS_PORT
            && originator != DNS_PORT
        {
            self.begin(
                Side::Originator,
                Talk::Dns([dns::Stream::default(), dns::Stream::default()]),
            );
        }
        let talks = self.state.talk.is_some();
        let lane = match (self.state.http1_mut(), direction) {
            (Some(connection), Some(direction)) => {
                if midstream {
                    connection.half(direction).search(search());
                }
                Lane::Talk
            }
            _ if talks => Lane::Talk,
            _ if midstream => Lane::Search(search()),
            _ => Lane::Probe(Vec::new()),
        };
        *self.state.lane(side) = lane;
    }

    fn probe<'b>(&mut self, side: Side, bytes: &'b [u8]) -> &'b [u8] {
        let max = self.limits.max_probe_bytes;
        let Lane::Probe(buffer) = self.state.lane(side) else { return bytes };
        let mut begun = std::mem::take(buffer);
        if begun.is_empty() {
            let guess = probe(bytes, max);
            if guess == Guess::More {
                *buffer = bytes.to_vec();
                return &[];
            }
            return self.settle(side, guess, bytes);
        }
        let (piece, rest) = bytes.split_at(max.saturating_sub(begun.len()).min(bytes.len()));
        begun.extend_from_slice(piece);
        let guess = probe(&begun, max);
        if guess == Guess::More {
            *buffer = begun;
            return rest;
        }
        // All of it together, as it may belong to a session now and not to the lane.
        begun.extend_from_slice(rest);
        let left = self.settle(side, guess, &begun);
        self.deliver(side, left);
        &[]
    }

    /// The protocol of a side is clear from `bytes`; those that are left over go on in its lane.
    fn settle<'b>(&mut self, side: Side, guess: Guess, bytes: &'b [u8]) -> &'b [u8] {
        match guess {
            Guess::Request => self.settle_http1(side, Direction::ToServer),
            Guess::Response => self.settle_http1(side, Direction::ToClient),
            // TLS inside TLS (a `CONNECT` to a proxy that is itself reached by TLS) is not opened.
            Guess::Tls if !self.is_in_tls(side) => {
                self.enter_tls(side);
                self.records(side, bytes);
                return &[];
            }
            Guess::Tls => self.shed(Protocol::Tls),
            Guess::Http2 => self.settle_http2(side, bytes),
            Guess::Lines => {
                let direction = lines::role(bytes).unwrap_or_else(|| usual(side));
                let number = self.next_exchange();
                let mut connection = lines::Connection::new(number);
                if matches!(self.state.lane(side.other()), Lane::Search(_) | Lane::Off) {
                    connection.join(direction.other());
                }
                self.begin(client(side, direction), Talk::Lines(connection));
            }
            Guess::Other | Guess::More => *self.state.lane(side) = Lane::Off,
        }
        bytes
    }

    fn settle_http1(&mut self, side: Side, direction: Direction) {
        if self.state.direction(side).is_some_and(|known| known != direction) {
            *self.state.lane(side) = Lane::Off;
        } else {
            self.become_http1(side, direction);
        }
    }

    /// The client's preface is a text, the server's a SETTINGS frame.
    fn settle_http2(&mut self, side: Side, bytes: &[u8]) {
        let direction =
            if bytes.first() == Some(&0) { Direction::ToClient } else { Direction::ToServer };
        if self.state.direction(side).is_some_and(|known| known != direction) {
            *self.state.lane(side) = Lane::Off;
        } else {
            self.begin(
                client(side, direction),
                Talk::Http2(Box::new(http2::Connection::new(false))),
            );
        }
    }

    /// In a side that was met in the middle of something.
    fn search<'b>(&mut self, side: Side, bytes: &'b [u8]) -> &'b [u8] {
        if let guess @ (Guess::Tls | Guess::Http2) = probe(bytes, usize::MAX) {
            return self.settle(side, guess, bytes);
        }
        if let Some(sender) = http2::recognise(bytes, &self.limits.http2) {
            let direction = self.state.direction(side).or(sender).unwrap_or_else(|| usual(side));
            self.begin(
                client(side, direction),
                Talk::Http2(Box::new(http2::Connection::new(true))),
            );
            return bytes;
        }
        if lines::are_whole(bytes) {
            let direction = lines::role(bytes).unwrap_or_else(|| usual(side));
            let number = self.next_exchange();
            let mut connection = lines::Connection::new(number);
            connection.join(direction.other());
            self.begin(client(side, direction), Talk::Lines(connection));
            return bytes;
        }
        let max = self.limits.max_search_bytes;
        let known = self.state.direction(side);
        let Lane::Search(search) = self.state.lane(side) else { return bytes };
        let (used, found) = search.feed(bytes);
        let rest = bytes.get(used..).unwrap_or_default();
        let Some(found) = found else {
            if search.seen() >= max {
                *self.state.lane(side) = Lane::Off;
            }
            return rest;
        };
        let direction = match found {
            Found::Message(direction) => direction,
            Found::Events(_) => Direction::ToClient,
        };
        let Lane::Search(search) = std::mem::take(self.state.lane(side)) else { return rest };
        if known.is_some_and(|known| known != direction) {
            *self.state.lane(side) = Lane::Off;
            return rest;
        }
        self.become_http1(side, direction);
        let buffer = search.into_buffer();
        self.with_http1(direction, |half, env, feed| half.adopt(found, buffer, env, feed));
        rest
    }

    /// Both sides talk this from now on. Bytes of the other side that waited for it are read.
    pub(super) fn begin(&mut self, client: Side, talk: Talk) {
        self.end_talk();
        self.state.client = Some(client);
        self.state.talk = Some(Box::new(talk));
        let mut waiting = [Vec::new(), Vec::new()];
        for side in [Side::Originator, Side::Responder] {
            if let Lane::Probe(begun) = std::mem::replace(self.state.lane(side), Lane::Talk) {
                *state::at(&mut waiting, side) = begun;
            }
        }
        for side in [Side::Originator, Side::Responder] {
            let begun = std::mem::take(state::at(&mut waiting, side));
            self.deliver(side, &begun);
        }
    }

    pub(super) const fn next_exchange(&mut self) -> u32 {
        let number = self.state.next_exchange;
        self.state.next_exchange = number.wrapping_add(1);
        number
    }
}

const fn client(side: Side, direction: Direction) -> Side {
    match direction {
        Direction::ToServer => side,
        Direction::ToClient => side.other(),
    }
}

/// Who opens a connection is the client, as a rule.
const fn usual(side: Side) -> Direction {
    match side {
        Side::Originator => Direction::ToServer,
        Side::Responder => Direction::ToClient,
    }
}
