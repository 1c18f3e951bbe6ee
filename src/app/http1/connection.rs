//! Both directions of an HTTP/1 connection, and which response belongs to which request.
//!
//! Request k and response k of a flow make one exchange, in order (RFC 9112 section 9.3.2). A
//! response that finds no request has an exchange of its own. Nothing waits: a response may come
//! before its request is over, and its end is then reported after the request's.

use std::collections::VecDeque;

use super::half::Half;
use crate::app::websocket;
use crate::exchange::End;
use crate::net::Direction;

/// What matters of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Method {
    Head,
    Connect,
    Other,
}

/// A request that has no response yet.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Pending {
    pub(in crate::app) number: u32,
    /// Depth of the tunnel that it was sent in.
    pub(in crate::app) tunnel: u8,
    pub(in crate::app) method: Method,
    /// It asked for an upgrade.
    pub(in crate::app) upgrade: bool,
}

/// The message that is being read.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Open {
    pub(in crate::app) number: u32,
    pub(in crate::app) tunnel: u8,
    /// The exchange ends when this message does, because the other one is over.
    pub(in crate::app) last: Option<Last>,
}

/// The last event of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Last {
    ResponseEnd(End),
    Aborted,
}

/// What a response did to the connection as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Outcome {
    /// 2xx to `CONNECT`: a tunnel begins.
    Tunnel,
    /// `CONNECT` was refused: no tunnel begins.
    Refused,
    /// 101: the connection speaks HTTP/2 now, and stream 1 answers this exchange's request.
    ToHttp2(u32),
    /// 101: this exchange is a WebSocket now.
    ToWebSocket(u32, Option<websocket::Deflate>),
    /// 101: something that is not read.
    ToOther,
}

/// Requests and responses of one flow.
#[derive(Debug, Default)]
pub(in crate::app) struct Pairing {
    pub(in crate::app) queue: VecDeque<Pending>,
    pub(in crate::app) request: Option<Open>,
    pub(in crate::app) response: Option<Open>,
    /// Set by a response; taken by the layer.
    pub(in crate::app) outcome: Option<Outcome>,
    /// Authority of the last `CONNECT`; taken by the layer.
    pub(in crate::app) connect: Option<Box<str>>,
    /// Depth of the tunnel that new requests, and unpaired responses, run in.
    pub(in crate::app) tunnels: [u8; 2],
    /// Responses that came before their requests.
    pub(in crate::app) early: u32,
    /// Responses may have been missed since the last one.
    pub(in crate::app) response_lost: bool,
    /// The client sends requests before the responses to earlier ones.
    pub(in crate::app) pipelined: bool,
    pub(in crate::app) uncertain: bool,
    pub(in crate::app) overflowed: bool,
    /// The capture began inside the flow.
    pub(in crate::app) midstream: bool,
}

/// An HTTP/1 connection.
#[derive(Debug)]
pub(in crate::app) struct Connection {
    pub(in crate::app) requests: Half,
    pub(in crate::app) responses: Half,
    pub(in crate::app) pairing: Pairing,
}

impl Connection {
    pub(in crate::app) fn new(midstream: bool) -> Self {
        Self {
            requests: Half::new(Direction::ToServer),
            responses: Half::new(Direction::ToClient),
            pairing: Pairing { midstream, ..Pairing::default() },
        }
    }

    pub(in crate::app) const fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::ToServer => &mut self.requests,
            Direction::ToClient => &mut self.responses,
        }
    }
}
