//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692): a connection that a 101 switched,
//! into messages of both directions.
//!
//! The messages are events of the exchange that asked for the switch. Payloads are streamed:
//! worst case per direction is a header in pieces, and after a gap 8 KiB to find the next frame
//! in. An oddity is reported and the reading goes on as receivers do that are not strict.

mod extension;
mod feed;
mod frame;
#[cfg(any(test, fuzzing))]
pub(in crate::app) mod fuzz;
mod half;
mod mask;
mod oddity;
#[cfg(any(test, fuzzing))]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "only tests and fuzzers use it"
)]
pub(in crate::app) mod record;
mod search;
#[cfg(test)]
mod tests;

pub(in crate::app) use extension::{Deflate, deflate};
pub(in crate::app) use feed::Feed;

use crate::exchange::{BodyInterest, End, ExchangeEvent, ExchangeSink};
use crate::flow::Finish;
use crate::net::Direction;
use half::Half;

/// A WebSocket connection.
#[derive(Debug)]
pub(in crate::app) struct Connection {
    number: u32,
    to_server: Half,
    to_client: Half,
    /// Sides that closed their half as they should.
    fins: u8,
    concluded: bool,
}

impl Connection {
    /// The connection that exchange `number` became, by what the 101 says of compression.
    pub(in crate::app) fn new(number: u32, deflate: Option<Deflate>) -> Self {
        let to_server = deflate.map(|deflate| deflate.to_server_fresh);
        let to_client = deflate.map(|deflate| deflate.to_client_fresh);
        Self {
            number,
            to_server: Half::new(number, Direction::ToServer, to_server),
            to_client: Half::new(number, Direction::ToClient, to_client),
            fins: 0,
            concluded: false,
        }
    }

    const fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    /// The next bytes of a direction. `Unwanted`: nobody wants the rest of the connection.
    pub(in crate::app) fn feed<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        out: &mut Feed<'_, S>,
    ) -> BodyInterest {
        let interest = self.half(direction).feed(bytes, out);
        self.heed(interest)
    }

    /// So many bytes of a direction are missing.
    pub(in crate::app) fn gap<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        len: u64,
        out: &mut Feed<'_, S>,
    ) -> BodyInterest {
        let interest = self.half(direction).gap(len, out);
        self.heed(interest)
    }

    /// What is not wanted of one direction is not wanted of the other.
    const fn heed(&mut self, interest: BodyInterest) -> BodyInterest {
        if matches!(interest, BodyInterest::Unwanted) {
            self.to_server.stop();
            self.to_client.stop();
        }
        interest
    }

    /// No more bytes of a direction come.
    pub(in crate::app) fn finish<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        why: Finish,
        out: &mut Feed<'_, S>,
    ) {
        self.fins += u8::from(why == Finish::Fin);
        self.half(direction).finish(out);
    }

    /// Ends the exchange, once.
    pub(in crate::app) fn conclude<S: ExchangeSink>(&mut self, out: &mut Feed<'_, S>) {
        if std::mem::replace(&mut self.concluded, true) {
            return;
        }
        self.to_server.finish(out);
        self.to_client.finish(out);
        let closed = self.to_server.is_closed() || self.to_client.is_closed();
        let end = if closed || self.fins >= 2 { End::Complete } else { End::Truncated };
        let (BodyInterest::Wanted | BodyInterest::Unwanted) =
            out.event(self.number, ExchangeEvent::ResponseEnd(end));
    }
}
