//! JSON-RPC as lines on a bare connection: a stdio server of MCP behind a tunnel.
//!
//! The messages of a connection are events of one exchange without heads, which begins with the
//! first of them. A line is a message if its first byte can begin one; others are passed over.
//! Nothing is held and nothing is copied: state is a few bytes per direction, and lines may be of
//! any length.

#[cfg(any(test, fuzzing))]
pub(in crate::app) mod fuzz;
mod half;
mod role;
#[cfg(test)]
mod tests;
mod top;

pub(in crate::app) use role::{Sign, are_whole, role, sign};

use crate::app::websocket::Feed;
use crate::exchange::{BodyInterest, End, ExchangeEvent, ExchangeSink};
use crate::flow::Finish;
use crate::net::Direction;
use half::{Half, Stream};

/// A connection that carries lines.
#[derive(Debug)]
pub(in crate::app) struct Connection {
    to_server: Half,
    to_client: Half,
    stream: Stream,
    /// Sides that closed their half as they should.
    fins: u8,
    concluded: bool,
}

impl Connection {
    /// A connection whose messages belong to exchange `number`, which is begun (and counted) with
    /// the first of them.
    pub(in crate::app) const fn new(number: u32) -> Self {
        Self {
            to_server: Half::new(Direction::ToServer),
            to_client: Half::new(Direction::ToClient),
            stream: Stream { number, begun: false, unwanted: false },
            fins: 0,
            concluded: false,
        }
    }

    const fn half(&mut self, direction: Direction) -> (&mut Half, &mut Stream) {
        match direction {
            Direction::ToServer => (&mut self.to_server, &mut self.stream),
            Direction::ToClient => (&mut self.to_client, &mut self.stream),
        }
    }

    /// The next bytes of a direction may be the middle of a line: the capture (or the reading)
    /// began there.
    pub(in crate::app) fn join(&mut self, direction: Direction) {
        self.half(direction).0.join();
    }

    /// The next bytes of a direction. `Unwanted`: nobody wants the rest of the connection.
    pub(in crate::app) fn feed<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        out: &mut Feed<'_, S>,
    ) -> BodyInterest {
        let (half, stream) = self.half(direction);
        half.feed(bytes, stream, out);
        stream.interest()
    }

    /// So many bytes of a direction are missing.
    pub(in crate::app) fn gap<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        len: u64,
        out: &mut Feed<'_, S>,
    ) -> BodyInterest {
        let (half, stream) = self.half(direction);
        half.gap(len, stream, out);
        stream.interest()
    }

    /// No more bytes of a direction come.
    pub(in crate::app) fn finish<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        why: Finish,
        out: &mut Feed<'_, S>,
    ) {
        self.fins += u8::from(why == Finish::Fin);
        let (half, stream) = self.half(direction);
        half.finish(stream, out);
    }

    /// Ends the exchange, once, if it was begun.
    pub(in crate::app) fn conclude<S: ExchangeSink>(&mut self, out: &mut Feed<'_, S>) {
        if std::mem::replace(&mut self.concluded, true) {
            return;
        }
        let Self { to_server, to_client, stream, fins, .. } = self;
        to_server.finish(stream, out);
        to_client.finish(stream, out);
        let end = if *fins >= 2 { End::Complete } else { End::Truncated };
        if stream.begun {
            let (BodyInterest::Wanted | BodyInterest::Unwanted) =
                out.event(stream.number, ExchangeEvent::ResponseEnd(end));
        }
    }
}
