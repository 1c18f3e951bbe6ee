//! What the layer keeps of a flow.

use super::alternate::Alternate;
use super::http1::connection::Connection;
use super::http1::resync::Search;
use super::probe::Protocol;
use super::talk::Talk;
use super::tls::decrypt::Session;
use crate::exchange::Scheme;
use crate::net::{Direction, Side};

/// How far one side has got.
#[derive(Debug, Default)]
pub(in crate::app) enum Lane {
    /// No bytes yet.
    #[default]
    Unseen,
    /// The protocol is not clear; the first bytes are kept.
    Probe(Vec<u8>),
    /// The side was met in the middle of something.
    Search(Box<Search>),
    /// What both sides talk.
    Talk,
    /// Nothing that is read.
    Off,
}

/// Per-flow state of this layer and, as `T`, of the one above. Under 250 bytes until the flow
/// turns out to be something that is read.
#[derive(Debug, Default)]
pub struct State<T> {
    pub(in crate::app) user: T,
    /// By [`Side::index`]. Of a side in TLS, what is inside.
    pub(in crate::app) lanes: [Lane; 2],
    /// Who sends requests.
    pub(in crate::app) client: Option<Side>,
    /// What the flow was given up as.
    pub(in crate::app) shed: Option<Protocol>,
    pub(in crate::app) talk: Option<Box<Talk>>,
    /// What it was last tallied as, but for [`Protocol::Other`].
    pub(in crate::app) talked: Option<Protocol>,
    /// Number of the next exchange.
    pub(in crate::app) next_exchange: u32,
    /// Authorities of the `CONNECT` tunnels entered, outermost first.
    pub(in crate::app) tunnels: Vec<Box<str>>,
    /// By [`Side::index`]: the bytes of the side are TLS records.
    pub(in crate::app) in_tls: [bool; 2],
    /// Something was decrypted.
    pub(in crate::app) decrypted: bool,
    pub(in crate::app) session: Option<Box<Session>>,
    /// Offset after the last byte delivered, by [`Side::index`].
    pub(in crate::app) next: [u64; 2],
    /// Bytes delivered, by [`Side::index`].
    pub(in crate::app) bytes: [u64; 2],
    /// Bytes that no tally has yet.
    pub(in crate::app) untallied: u64,
    pub(in crate::app) tallied: bool,
    pub(in crate::app) finished: [bool; 2],
    /// Parsers of losing overlap copies, by [`Side::index`].
    pub(in crate::app) alternates: [Option<Box<Alternate>>; 2],
}

impl<T> State<T> {
    /// The state of the layer above.
    #[must_use]
    pub const fn user(&self) -> &T {
        &self.user
    }

    /// What a side sends, once the client is known.
    pub(in crate::app) fn direction(&self, side: Side) -> Option<Direction> {
        self.client.map(
            |client| {
                if side == client { Direction::ToServer } else { Direction::ToClient }
            },
        )
    }

    pub(in crate::app) const fn lane(&mut self, side: Side) -> &mut Lane {
        at(&mut self.lanes, side)
    }

    /// The connection, if HTTP/1 is what is talked.
    pub(in crate::app) fn http1(&self) -> Option<&Connection> {
        match self.talk.as_deref() {
            Some(Talk::Http1(connection)) => Some(connection),
            _ => None,
        }
    }

    /// The connection, if HTTP/1 is what is talked.
    pub(in crate::app) fn http1_mut(&mut self) -> Option<&mut Connection> {
        match self.talk.as_deref_mut() {
            Some(Talk::Http1(connection)) => Some(connection),
            _ => None,
        }
    }

    /// Whether either side is in TLS.
    pub(in crate::app) fn is_in_tls(&self) -> bool {
        self.in_tls != [false, false]
    }

    /// Scheme of what is talked.
    pub(in crate::app) fn scheme(&self) -> Scheme {
        let secure = self.is_in_tls();
        let lines = matches!(self.talk.as_deref(), Some(Talk::Lines(_)));
        match (lines, secure) {
            (false, false) => Scheme::Http,
            (false, true) => Scheme::Https,
            (true, false) => Scheme::Tcp,
            (true, true) => Scheme::Tls,
        }
    }
}

/// The element of a side.
pub(in crate::app) const fn at<T>(pair: &mut [T; 2], side: Side) -> &mut T {
    let [originator, responder] = pair;
    match side {
        Side::Originator => originator,
        Side::Responder => responder,
    }
}
