//! Both directions of one connection.

use super::feed::Feed;
use super::framer::{Framer, Step};
use super::messages::Messages;
use crate::exchange::ExchangeSink;
use crate::net::Direction;

/// An HTTP/2 connection.
#[derive(Debug)]
pub(in crate::app) struct Connection {
    to_server: Framer,
    to_client: Framer,
    messages: Messages,
}

impl Connection {
    /// `midstream`: the capture may have begun inside it.
    pub(in crate::app) fn new(midstream: bool) -> Self {
        Self {
            to_server: Framer::new(true, midstream),
            to_client: Framer::new(false, midstream),
            messages: Messages::new(midstream),
        }
    }

    /// After a switch from HTTP/1 (RFC 7540 section 3.2): stream 1 continues exchange `number`,
    /// whose request is over.
    pub(in crate::app) fn upgraded(number: u32) -> Self {
        let mut connection = Self::new(false);
        connection.messages.upgrade(number);
        connection
    }

    /// The next bytes of one direction.
    pub(in crate::app) fn feed<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        out: &mut Feed<'_, S>,
    ) {
        let mut rest = bytes;
        let (max_block, max_search) =
            (out.limits.max_header_block_bytes, out.limits.max_search_bytes);
        loop {
            let framer = match direction {
                Direction::ToServer => &mut self.to_server,
                Direction::ToClient => &mut self.to_client,
            };
            if rest.is_empty() && !framer.is_ready() {
                return;
            }
            let (used, step) = framer.step(rest, max_block, max_search);
            rest = rest.get(used..).unwrap_or_default();
            let found = self.messages.apply(direction, step, out);
            if let Some(found) = found {
                // Frames that are believed do not lead to another search.
                self.feed(direction, &found, out);
            }
        }
    }

    /// Bytes of one direction are missing.
    pub(in crate::app) fn gap<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        len: u64,
        out: &mut Feed<'_, S>,
    ) {
        let mut left = len;
        while left > 0 {
            self.feed(direction, &[], out);
            let framer = match direction {
                Direction::ToServer => &mut self.to_server,
                Direction::ToClient => &mut self.to_client,
            };
            let step = framer.gap(&mut left);
            if let Some(found) = self.messages.apply(direction, step, out) {
                self.feed(direction, &found, out);
            }
        }
        self.feed(direction, &[], out);
    }

    /// No more bytes come in one direction.
    pub(in crate::app) fn finish<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        out: &mut Feed<'_, S>,
    ) {
        self.drain(direction, out);
        self.messages.finish(direction, out);
    }

    /// What the framer still has.
    fn drain<S: ExchangeSink>(&mut self, direction: Direction, out: &mut Feed<'_, S>) {
        loop {
            let step = match direction {
                Direction::ToServer => self.to_server.finish(),
                Direction::ToClient => self.to_client.finish(),
            };
            if matches!(step, Step::More) {
                return;
            }
            if let Some(found) = self.messages.apply(direction, step, out) {
                self.feed(direction, &found, out);
            }
        }
    }

    /// No more bytes come at all: every exchange ends.
    pub(in crate::app) fn conclude<S: ExchangeSink>(&mut self, out: &mut Feed<'_, S>) {
        self.drain(Direction::ToServer, out);
        self.drain(Direction::ToClient, out);
        self.messages.conclude(out);
    }
}
