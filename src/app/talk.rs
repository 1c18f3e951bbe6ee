//! What the two sides of a flow talk, once that is clear.

use super::probe::Protocol;
use super::{dns, http1, http2, lines, websocket};

/// A protocol that is read, with both directions' parsers.
#[derive(Debug)]
pub(in crate::app) enum Talk {
    Http1(http1::connection::Connection),
    Http2(Box<http2::Connection>),
    WebSocket(websocket::Connection),
    Lines(lines::Connection),
    /// By [`Side::index`](crate::net::Side::index).
    Dns([dns::Stream; 2]),
}

impl Talk {
    pub(in crate::app) const fn protocol(&self) -> Protocol {
        match self {
            Self::Http1(_) => Protocol::Http1,
            Self::Http2(_) => Protocol::Http2,
            Self::WebSocket(_) => Protocol::WebSocket,
            Self::Lines(_) => Protocol::Lines,
            Self::Dns(_) => Protocol::Dns,
        }
    }
}
