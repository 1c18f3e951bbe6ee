//! One call of the flow table: which protocol a side speaks, and the way to its parser.
//!
//! Who is the client follows from what is said: the side that sends requests, or the one that
//! does not send responses. In a `CONNECT` tunnel both sides are probed afresh, and the exchanges
//! in it count on.

use super::http1::connection::{Connection, Last, Outcome};
use super::http1::feed::{Feed, Line};
use super::http1::half::{Env, Half, Receiver as _};
use super::http1::head::{Scratch, Upgrade};
use super::http1::oddity::Oddity;
use super::http1::resync::{Found, LineStart, Search};
use super::probe::{Guess, Protocol, probe};
use super::state::{self, Lane, State};
use super::{Counters, Limits};
use crate::exchange::{Context, ExchangeSink, Scheme};
use crate::flow::{At, Chunk, Finish, FlowInfo, Gap};
use crate::net::{Direction, Side};

/// A call in progress.
#[derive(Debug)]
pub(in crate::app) struct Turn<'a, S: ExchangeSink> {
    pub(in crate::app) limits: &'a Limits,
    pub(in crate::app) scratch: &'a mut Scratch,
    pub(in crate::app) sink: &'a mut S,
    pub(in crate::app) counters: &'a mut Counters,
    pub(in crate::app) flow: &'a FlowInfo,
    pub(in crate::app) state: &'a mut State<S::State>,
    pub(in crate::app) at: At,
}

/// Until a role is known, the originator stands for the client.
pub(in crate::app) fn line<'l>(
    flow: &FlowInfo,
    client: Option<Side>,
    at: At,
    tunnels: &'l [Box<str>],
) -> Line<'l> {
    let (client, server) = match client {
        None | Some(Side::Originator) => (flow.originator, flow.responder),
        Some(Side::Responder) => (flow.responder, flow.originator),
    };
    Line { flow: flow.id, client, server, scope: flow.scope, scheme: Scheme::Http, at, tunnels }
}

impl<S: ExchangeSink> Turn<'_, S> {
    /// The context of what belongs to no exchange.
    pub(in crate::app) fn line_context(&self) -> Context<'static> {
        line(self.flow, self.state.client, self.at, &[]).context(0)
    }

    pub(in crate::app) fn chunk(&mut self, chunk: Chunk<'_>) {
        let len = chunk.bytes.len() as u64;
        if let Some(protocol) = self.state.shed {
            self.counters.of_mut(protocol).bytes += len;
            return;
        }
        self.state.untallied += len;
        *state::at(&mut self.state.bytes, chunk.side) += len;
        self.feed_alternate(chunk.side, chunk.offset, chunk.bytes);
        *state::at(&mut self.state.next, chunk.side) = chunk.offset + len;
        self.deliver(chunk.side, chunk.bytes);
        self.give_up_if_silent();
    }

    pub(in crate::app) fn gap(&mut self, gap: Gap) {
        if self.state.shed.is_some() {
            return;
        }
        self.counters.gap_bytes += gap.len;
        *state::at(&mut self.state.next, gap.side) = gap.offset.saturating_add(gap.len);
        self.close_alternate(gap.side);
        if matches!(self.state.lane(gap.side), Lane::Unseen) && self.state.http.is_some() {
            *self.state.lane(gap.side) = Lane::Http;
        }
        let direction = self.state.direction(gap.side);
        match self.state.lane(gap.side) {
            Lane::Off => {}
            Lane::Search(search) => search.gap(),
            lane @ (Lane::Unseen | Lane::Probe(_)) => {
                *lane = Lane::Search(Box::new(Search::new(direction, LineStart::Perhaps)));
            }
            Lane::Http => {
                if let Some(direction) = direction {
                    self.with(direction, |half, env, feed| half.gap(gap.len, env, feed));
                    self.follow_up();
                }
            }
        }
    }

    pub(in crate::app) fn finish(&mut self, side: Side, why: Finish) {
        let finished = std::mem::replace(state::at(&mut self.state.finished, side), true);
        if finished || self.state.shed.is_some() {
            return;
        }
        self.close_alternate(side);
        let direction = self.state.direction(side);
        if let (Lane::Http, Some(direction)) = (self.state.lane(side), direction) {
            self.with(direction, |half, env, feed| half.finish(why, env, feed));
            self.follow_up();
        }
        if self.state.finished == [true, true] {
            self.conclude();
        }
    }

    /// No more bytes come from either side: everything open ends.
    pub(in crate::app) fn conclude(&mut self) {
        self.close_alternate(Side::Originator);
        self.close_alternate(Side::Responder);
        if self.state.http.is_none() {
            return;
        }
        // The request first: the end of its response may wait for it.
        self.with(Direction::ToServer, |half, env, feed| {
            half.finish(Finish::EndOfCapture, env, feed);
        });
        self.with(Direction::ToClient, |half, env, feed| {
            half.finish(Finish::EndOfCapture, env, feed);
            feed.abort_all();
        });
        self.state.http = None;
        self.state.lanes = [Lane::Off, Lane::Off];
        self.tally(Protocol::Http1);
    }

    fn tally(&mut self, protocol: Protocol) {
        let tally = self.counters.of_mut(protocol);
        tally.flows += 1;
        tally.bytes += std::mem::take(&mut self.state.untallied);
        self.state.tallied = true;
    }

    /// Nothing more of this flow is read.
    fn shed(&mut self, protocol: Protocol) {
        self.conclude();
        self.tally(protocol);
        self.state.shed = Some(protocol);
        self.state.lanes = [Lane::Off, Lane::Off];
    }

    /// Both sides speak something else, or one does and the other says nothing.
    fn give_up_if_silent(&mut self) {
        if self.state.shed.is_some() {
            return;
        }
        let [bytes, other_bytes] = self.state.bytes;
        let patience = self.limits.max_probe_bytes as u64;
        let over = match &self.state.lanes {
            [Lane::Off, Lane::Off] => true,
            [Lane::Off, Lane::Unseen] => bytes >= patience,
            [Lane::Unseen, Lane::Off] => other_bytes >= patience,
            _ => false,
        };
        if over {
            self.shed(Protocol::Other);
        }
    }

    /// Runs `f` on one direction of the connection.
    fn with<T>(
        &mut self,
        direction: Direction,
        f: impl FnOnce(&mut Half, &mut Env<'_>, &mut Feed<'_, S>) -> T,
    ) -> Option<T> {
        let client = self.state.client;
        let connection = self.state.http.as_deref_mut()?;
        let Connection { requests, responses, pairing, tunnels } = connection;
        let mut env = Env { scratch: self.scratch, limits: self.limits };
        let mut feed = Feed {
            direction,
            pairing,
            sink: self.sink,
            user: &mut self.state.user,
            counters: self.counters,
            line: line(self.flow, client, self.at, tunnels),
            max_outstanding: self.limits.max_outstanding,
        };
        let half = match direction {
            Direction::ToServer => requests,
            Direction::ToClient => responses,
        };
        Some(f(half, &mut env, &mut feed))
    }

    /// Every turn consumes bytes, moves the lane on, or ends.
    fn deliver(&mut self, side: Side, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.state.shed.is_none() {
            bytes = match self.state.lane(side) {
                Lane::Unseen => {
                    self.open(side);
                    bytes
                }
                Lane::Probe(_) => self.probe(side, bytes),
                Lane::Search(_) => self.search(side, bytes),
                Lane::Http => self.http(side, bytes),
                Lane::Off => return,
            };
        }
    }

    /// The first bytes of a side.
    fn open(&mut self, side: Side) {
        let direction = self.state.direction(side);
        let search = || Box::new(Search::new(direction, LineStart::Perhaps));
        let midstream = self.flow.midstream;
        let lane = match (&mut self.state.http, direction) {
            (Some(connection), Some(direction)) => {
                if midstream {
                    connection.half(direction).search(search());
                }
                Lane::Http
            }
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
            self.settle(side, guess);
            return bytes;
        }
        let (piece, rest) = bytes.split_at(max.saturating_sub(begun.len()).min(bytes.len()));
        begun.extend_from_slice(piece);
        let guess = probe(&begun, max);
        if guess == Guess::More {
            *buffer = begun;
        } else {
            self.settle(side, guess);
            self.deliver(side, &begun);
        }
        rest
    }

    /// The protocol of a side is clear.
    fn settle(&mut self, side: Side, guess: Guess) {
        let direction = match guess {
            Guess::Request => Direction::ToServer,
            Guess::Response => Direction::ToClient,
            Guess::Tls => return self.shed(Protocol::Tls),
            Guess::Http2 => return self.shed(Protocol::Http2),
            Guess::Lines | Guess::Other | Guess::More => {
                *self.state.lane(side) = Lane::Off;
                return;
            }
        };
        if self.state.direction(side).is_some_and(|known| known != direction) {
            *self.state.lane(side) = Lane::Off;
            return;
        }
        self.become_http(side, direction);
    }

    /// A side sends HTTP/1 messages of this direction. The other side then must be its peer,
    /// whatever its bytes looked like; only in a tunnel each side is judged by its own.
    fn become_http(&mut self, side: Side, direction: Direction) {
        *self.state.lane(side) = Lane::Http;
        if let Some(connection) = &mut self.state.http {
            connection.half(direction).restart();
            return;
        }
        let client = if direction == Direction::ToServer { side } else { side.other() };
        self.state.client = Some(client);
        let mut connection = Box::new(Connection::new(self.flow.midstream));
        let half = connection.half(direction.other());
        let peer = side.other();
        let mut begun = Vec::new();
        match std::mem::take(self.state.lane(peer)) {
            Lane::Unseen => {}
            Lane::Probe(buffer) => {
                begun = buffer;
                *self.state.lane(peer) = Lane::Http;
            }
            Lane::Search(search) => {
                half.search(search);
                *self.state.lane(peer) = Lane::Http;
            }
            Lane::Http | Lane::Off => {
                half.search(Box::new(Search::new(None, LineStart::No)));
                *self.state.lane(peer) = Lane::Http;
            }
        }
        self.state.http = Some(connection);
        self.deliver(peer, &begun);
    }

    /// In a side that was met in the middle of something.
    fn search<'b>(&mut self, side: Side, bytes: &'b [u8]) -> &'b [u8] {
        if let guess @ (Guess::Tls | Guess::Http2) = probe(bytes, usize::MAX) {
            self.settle(side, guess);
            return &[];
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
        self.become_http(side, direction);
        let buffer = search.into_buffer();
        self.with(direction, |half, env, feed| half.adopt(found, buffer, env, feed));
        rest
    }

    fn http<'b>(&mut self, side: Side, bytes: &'b [u8]) -> &'b [u8] {
        let Some(direction) = self.state.direction(side) else { return &[] };
        let rest = self.with(direction, |half, env, feed| half.feed(bytes, env, feed));
        self.follow_up();
        // A half that stopped leaves bytes to the next lane, and there is one after a CONNECT or
        // a switch. Else nothing reads them.
        let rest = rest.unwrap_or_default();
        let stuck = matches!(self.state.lane(side), Lane::Http) && rest.len() == bytes.len();
        if stuck { &[] } else { rest }
    }

    /// What a message means for the other direction and for the flow.
    fn follow_up(&mut self) {
        let Some(connection) = self.state.http.as_deref_mut() else { return };
        let pairing = &mut connection.pairing;
        if let Some(request) = &pairing.request {
            let answered = matches!(request.last, Some(Last::ResponseEnd(_)))
                || pairing.response.is_some_and(|response| response.number == request.number);
            if answered {
                connection.requests.doubt_body();
            }
        }
        let outcome = pairing.outcome.take();
        if let Some(authority) = pairing.connect.take() {
            self.enter_tunnel(authority);
        }
        match outcome {
            None => {}
            Some(Outcome::Tunnel) => self.open_tunnel(),
            Some(Outcome::Refused) => self.refuse_tunnel(),
            Some(Outcome::Switched(Upgrade::WebSocket)) => self.shed(Protocol::WebSocket),
            Some(Outcome::Switched(Upgrade::Http2)) => self.shed(Protocol::Http2),
            Some(Outcome::Switched(Upgrade::Other)) => self.shed(Protocol::Other),
        }
    }

    /// A `CONNECT` was read. What the client sends next is taken to be for the tunnel: it seldom
    /// sends before the answer, and the answer may never be captured.
    fn enter_tunnel(&mut self, authority: Box<str>) {
        let (Some(client), Some(connection)) = (self.state.client, self.state.http.as_deref_mut())
        else {
            return;
        };
        let [depth, _] = &mut connection.pairing.tunnels;
        let outer = usize::from(*depth);
        if outer >= self.limits.max_tunnels {
            self.with(Direction::ToServer, |_, _, feed| feed.oddity(Oddity::TunnelTooDeep));
            self.shed(Protocol::Other);
            return;
        }
        *depth = depth.saturating_add(1);
        connection.tunnels.truncate(outer);
        connection.tunnels.push(authority);
        *self.state.lane(client) = Lane::Probe(Vec::new());
    }

    /// The `CONNECT` was granted.
    fn open_tunnel(&mut self) {
        let (Some(client), Some(connection)) = (self.state.client, self.state.http.as_deref_mut())
        else {
            return;
        };
        let [_, depth] = &mut connection.pairing.tunnels;
        *depth = depth.saturating_add(1);
        *self.state.lane(client.other()) = Lane::Probe(Vec::new());
    }

    /// The `CONNECT` was refused: HTTP goes on.
    fn refuse_tunnel(&mut self) {
        let (Some(client), Some(connection)) = (self.state.client, self.state.http.as_deref_mut())
        else {
            return;
        };
        let [requests, responses] = &mut connection.pairing.tunnels;
        *requests = *responses;
        let half = connection.half(Direction::ToServer);
        match std::mem::replace(state::at(&mut self.state.lanes, client), Lane::Http) {
            Lane::Probe(begun) => {
                half.restart();
                self.deliver(client, &begun);
            }
            Lane::Search(search) => half.search(search),
            Lane::Off => half.search(Box::new(Search::new(None, LineStart::No))),
            Lane::Http | Lane::Unseen => {}
        }
    }

    pub(in crate::app) fn parts(&mut self) -> (Env<'_>, &mut S, &mut State<S::State>) {
        (Env { scratch: self.scratch, limits: self.limits }, self.sink, self.state)
    }
}
