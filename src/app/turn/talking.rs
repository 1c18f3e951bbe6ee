//! What is talked, and its parser.

use super::super::http1::connection::Connection;
use super::super::http1::feed::Feed;
use super::super::http1::half::{Env, Half};
use super::super::http1::resync::{LineStart, Search};
use super::super::state::Lane;
use super::super::talk::Talk;
use super::super::{dns, http2, websocket};
use super::{Turn, line};
use crate::exchange::{BodyInterest, ExchangeSink, Scheme};
use crate::flow::Finish;
use crate::net::{Direction, Side};

/// One step of what is talked.
#[derive(Clone, Copy, Debug)]
enum Step<'b> {
    Bytes(&'b [u8]),
    Gap(u64),
    Finish(Finish),
}

impl<S: ExchangeSink> Turn<'_, S> {
    /// Reads on; what is left over belongs to the side's next lane.
    pub(super) fn talk<'b>(&mut self, side: Side, bytes: &'b [u8]) -> &'b [u8] {
        let Some(direction) = self.state.direction(side) else { return &[] };
        if self.state.http1().is_none() {
            self.step(direction, Step::Bytes(bytes));
            return &[];
        }
        let rest = self.with_http1(direction, |half, env, feed| half.feed(bytes, env, feed));
        self.follow_up();
        // A half that stopped leaves bytes to the next lane, and there is one after a CONNECT or
        // a switch. Else nothing reads them.
        let rest = rest.unwrap_or_default();
        let still_http1 = self.state.http1().is_some();
        let stuck =
            matches!(self.state.lane(side), Lane::Talk) && still_http1 && rest.len() == bytes.len();
        if stuck { &[] } else { rest }
    }

    pub(super) fn talk_gap(&mut self, side: Side, len: u64) {
        let Some(direction) = self.state.direction(side) else { return };
        if self.state.http1().is_some() {
            self.with_http1(direction, |half, env, feed| half.gap(len, env, feed));
            self.follow_up();
        } else {
            self.step(direction, Step::Gap(len));
        }
    }

    pub(super) fn talk_finish(&mut self, side: Side, why: Finish) {
        let Some(direction) = self.state.direction(side) else { return };
        if self.state.http1().is_some() {
            self.with_http1(direction, |half, env, feed| half.finish(why, env, feed));
            self.follow_up();
        } else {
            self.step(direction, Step::Finish(why));
        }
    }

    /// Everything open ends, and nothing is talked any more.
    pub(super) fn end_talk(&mut self) {
        if self.state.http1().is_some() {
            // The request first: the end of its response may wait for it.
            self.with_http1(Direction::ToServer, |half, env, feed| {
                half.finish(Finish::EndOfCapture, env, feed);
            });
            self.with_http1(Direction::ToClient, |half, env, feed| {
                half.finish(Finish::EndOfCapture, env, feed);
                feed.abort_all();
            });
        }
        let scheme = self.state.scheme();
        let Some(talk) = self.state.talk.take() else { return };
        match *talk {
            Talk::Http1(_) | Talk::Dns(_) => {}
            Talk::Http2(mut connection) => self.with_http2(|feed| connection.conclude(feed)),
            Talk::WebSocket(mut connection) => {
                self.with_stream(scheme, |feed| connection.conclude(feed));
            }
            Talk::Lines(mut connection) => {
                self.with_stream(scheme, |feed| connection.conclude(feed));
            }
        }
    }

    /// A step of anything but HTTP/1.
    fn step(&mut self, direction: Direction, step: Step<'_>) {
        let scheme = self.state.scheme();
        let Some(mut talk) = self.state.talk.take() else { return };
        let interest = match &mut *talk {
            Talk::Http1(_) => BodyInterest::Wanted,
            Talk::Http2(connection) => self.with_http2(|feed| {
                match step {
                    Step::Bytes(bytes) => connection.feed(direction, bytes, feed),
                    Step::Gap(len) => connection.gap(direction, len, feed),
                    Step::Finish(_) => connection.finish(direction, feed),
                }
                BodyInterest::Wanted
            }),
            Talk::WebSocket(connection) => self.with_stream(scheme, |feed| match step {
                Step::Bytes(bytes) => connection.feed(direction, bytes, feed),
                Step::Gap(len) => connection.gap(direction, len, feed),
                Step::Finish(why) => {
                    connection.finish(direction, why, feed);
                    BodyInterest::Wanted
                }
            }),
            Talk::Lines(connection) => self.with_stream(scheme, |feed| match step {
                Step::Bytes(bytes) => connection.feed(direction, bytes, feed),
                Step::Gap(len) => connection.gap(direction, len, feed),
                Step::Finish(why) => {
                    connection.finish(direction, why, feed);
                    BodyInterest::Wanted
                }
            }),
            Talk::Dns([queries, responses]) => {
                let stream = match direction {
                    Direction::ToServer => queries,
                    Direction::ToClient => responses,
                };
                self.dns(stream, step)
            }
        };
        let protocol = talk.protocol();
        self.state.talk = Some(talk);
        if interest == BodyInterest::Unwanted {
            self.shed(protocol);
        }
    }

    fn dns(&mut self, stream: &mut dns::Stream, step: Step<'_>) -> BodyInterest {
        let context = self.line_context();
        match step {
            Step::Bytes(bytes) => stream.push(bytes, |message| {
                self.counters.dns_messages += 1;
                self.sink.dns(&context, &mut self.state.user, message);
            }),
            // Lengths cannot be found again.
            Step::Gap(_) => stream.lose(),
            Step::Finish(_) => {}
        }
        if stream.is_lost() { BodyInterest::Unwanted } else { BodyInterest::Wanted }
    }

    /// Runs `f` on one direction of an HTTP/1 connection.
    pub(super) fn with_http1<T>(
        &mut self,
        direction: Direction,
        f: impl FnOnce(&mut Half, &mut Env<'_>, &mut Feed<'_, S>) -> T,
    ) -> Option<T> {
        let scheme = self.state.scheme();
        let Some(Talk::Http1(connection)) = self.state.talk.as_deref_mut() else { return None };
        let Connection { requests, responses, pairing } = connection;
        let mut env = Env { scratch: self.scratch, limits: self.limits };
        let mut feed = Feed {
            direction,
            pairing,
            next: &mut self.state.next_exchange,
            sink: self.sink,
            user: &mut self.state.user,
            counters: self.counters,
            line: line(self.flow, self.state.client, scheme, self.at, &self.state.tunnels),
            max_outstanding: self.limits.max_outstanding,
        };
        let half = match direction {
            Direction::ToServer => requests,
            Direction::ToClient => responses,
        };
        Some(f(half, &mut env, &mut feed))
    }

    fn with_http2<T>(&mut self, f: impl FnOnce(&mut http2::Feed<'_, S>) -> T) -> T {
        let scheme = self.state.scheme();
        f(&mut http2::Feed {
            limits: &self.limits.http2,
            sink: self.sink,
            user: &mut self.state.user,
            counters: self.counters,
            line: line(self.flow, self.state.client, scheme, self.at, &self.state.tunnels),
            tunnel: u8::try_from(self.state.tunnels.len()).unwrap_or(u8::MAX),
            next: &mut self.state.next_exchange,
        })
    }

    fn with_stream<T>(
        &mut self,
        scheme: Scheme,
        f: impl FnOnce(&mut websocket::Feed<'_, S>) -> T,
    ) -> T {
        f(&mut websocket::Feed {
            limits: self.limits,
            sink: self.sink,
            user: &mut self.state.user,
            counters: self.counters,
            line: line(self.flow, self.state.client, scheme, self.at, &self.state.tunnels),
        })
    }

    /// A side sends HTTP/1 messages of this direction. The other side then must be its peer,
    /// whatever its bytes looked like; only in a tunnel each side is judged by its own.
    pub(super) fn become_http1(&mut self, side: Side, direction: Direction) {
        *self.state.lane(side) = Lane::Talk;
        if let Some(connection) = self.state.http1_mut() {
            connection.half(direction).restart();
            return;
        }
        let client = if direction == Direction::ToServer { side } else { side.other() };
        self.state.client = Some(client);
        let midstream = self.flow.midstream && !self.state.is_in_tls();
        let mut connection = Connection::new(midstream);
        let half = connection.half(direction.other());
        let peer = side.other();
        let mut begun = Vec::new();
        match std::mem::take(self.state.lane(peer)) {
            Lane::Unseen => {}
            Lane::Probe(buffer) => {
                begun = buffer;
                *self.state.lane(peer) = Lane::Talk;
            }
            Lane::Search(search) => {
                half.search(search);
                *self.state.lane(peer) = Lane::Talk;
            }
            Lane::Talk | Lane::Off => {
                half.search(Box::new(Search::new(None, LineStart::No)));
                *self.state.lane(peer) = Lane::Talk;
            }
        }
        self.state.talk = Some(Box::new(Talk::Http1(connection)));
        self.deliver(peer, &begun);
    }
}
