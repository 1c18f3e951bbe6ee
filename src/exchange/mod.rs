//! The seam: HTTP exchanges as a stream of events, whoever read them.
//!
//! Packets (`app`), proxy logs (`logs`) and the portal (`portal`) all arrive here; what follows
//! (`content`, `mcp`, `rules`) cannot tell them apart but by [`Visibility`]. Events, not finished
//! pairs: an SSE response stays open for hours, and a refusal has to be decided on the request.
//! Bodies are free of transfer coding but still content-coded.

mod dns;
mod flow;
mod provenance;
mod tls;

pub use dns::{DnsAddress, DnsMessage};
pub use flow::{Application, FlowEnd};
pub use provenance::Provenance;
pub use tls::{Carrier, Ech, TlsAnswer, TlsEvent, TlsHello};

use crate::anomaly::Anomaly;
use crate::flow::At;
use crate::net::{Direction, Endpoint, Scope};
use serde::Serialize;
use std::sync::Arc;

/// URI scheme of an exchange; `tcp` and `tls` for JSON-RPC lines without HTTP, as in a tunnelled
/// stdio server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Inside TLS.
    Https,
    /// No HTTP: lines on a bare TCP connection.
    Tcp,
    /// The same inside TLS.
    Tls,
}

impl Scheme {
    /// As in a URI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The port that a URI of this scheme has when it names none (RFC 9110 section 4.2); 0 where
    /// there is no such port.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Tcp | Self::Tls => 0,
        }
    }
}

/// How much of the exchange the source could show; travels with every observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Names and fingerprints of an encrypted flow.
    Tls,
    /// As a log tells it: the request, the status, and some header fields. What is not there may
    /// have been sent all the same.
    Log,
    /// Request line and all header fields.
    Head,
    /// Everything, bodies too.
    Body,
}

/// HTTP version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Version {
    /// HTTP/1.0 (and, leniently, HTTP/0.9).
    #[serde(rename = "1.0")]
    Http10,
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    Http11,
    /// HTTP/2.
    #[serde(rename = "2")]
    Http2,
}

/// Where a field lies in [`Headers::bytes`].
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderSpan {
    /// Start of the name.
    pub name_start: u32,
    /// End of the name.
    pub name_end: u32,
    /// Start of the value, white space trimmed.
    pub value_start: u32,
    /// End of the value, white space trimmed.
    pub value_end: u32,
}

/// Header fields in wire order, borrowed from the head as it was received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// What the spans point into.
    pub bytes: &'a [u8],
    /// One span per field line.
    pub spans: &'a [HeaderSpan],
}

impl<'a> Headers<'a> {
    /// Every field as (name, value), in wire order, names as spelled.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        let slice = move |start: u32, end: u32| bytes.get(start as usize..end as usize);
        self.spans.iter().filter_map(move |span| {
            Some((slice(span.name_start, span.name_end)?, slice(span.value_start, span.value_end)?))
        })
    }

    /// The first value of a field; `name` in lower case (RFC 9110 section 5.1: any case matches).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    /// All values of a field, in wire order.
    pub fn get_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

/// A request line and its header fields.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Method, as spelled.
    pub method: &'a [u8],
    /// Request target, as sent: origin, absolute, authority or asterisk form (RFC 9112 3.2).
    pub target: &'a [u8],
    /// Protocol version.
    pub version: Version,
    /// Header fields.
    pub headers: Headers<'a>,
}

/// A status line and its header fields. Interim (1xx) responses are not reported, save 101.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// Status code, 101 or 200 to 999.
    pub status: u16,
    /// Protocol version.
    pub version: Version,
    /// Header fields.
    pub headers: Headers<'a>,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// As its framing says.
    Complete,
    /// The capture, a gap or the connection ended it early.
    Truncated,
}

/// How the bytes of a [`MessagePiece`] are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageCoding {
    /// As they are.
    Plain,
    /// DEFLATE (RFC 7692), the final empty block left out as on the wire. `fresh`: each message
    /// of this direction begins with an empty window (`..._no_context_takeover`).
    Deflate {
        /// See above.
        fresh: bool,
    },
}

/// Bytes of one message on a stream of messages: WebSocket (RFC 6455), or one line of
/// newline-delimited JSON.
#[derive(Clone, Copy, Debug)]
pub struct MessagePiece<'a> {
    /// Who sends it.
    pub direction: Direction,
    /// Their coding; the same for all pieces of a message.
    pub coding: MessageCoding,
    /// The next bytes, unmasked; may be empty at the end, and at the beginning before a gap.
    pub bytes: &'a [u8],
    /// The message is over.
    pub end: Option<End>,
}

/// One step of an exchange.
#[derive(Clone, Copy, Debug)]
pub enum ExchangeEvent<'a> {
    /// The request line and header fields are complete.
    RequestHead(RequestHead<'a>),
    /// The next bytes of the request body; never empty.
    RequestBody(&'a [u8]),
    /// So many bytes of the request body are missing.
    RequestGap(u64),
    /// The request is over.
    RequestEnd(End),
    /// The final status line and header fields are complete. Without a `RequestHead` before it
    /// when the capture has no request.
    ResponseHead(ResponseHead<'a>),
    /// The next bytes of the response body; never empty.
    ResponseBody(&'a [u8]),
    /// So many bytes of the response body are missing.
    ResponseGap(u64),
    /// The response is over, and with it the exchange.
    ResponseEnd(End),
    /// Bytes of a message on the stream that the exchange became (after a 101, or without HTTP
    /// from the start). Messages of one direction follow each other, those of both interleave.
    /// `Unwanted` ends the reading of the whole stream.
    Message(MessagePiece<'a>),
    /// So many bytes of the stream of messages are missing: of the message that is open in this
    /// direction, and perhaps of those after it, in which case its end follows; else of messages
    /// that begin or end in the gap.
    MessageGap(Direction, u64),
    /// The flow ended before the response was over (or began): the exchange's last event.
    Aborted,
}

/// Who talks to whom, and when: given with each event.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The flow's id.
    pub flow: u64,
    /// Client address of the flow that carries the exchange.
    pub client: Endpoint,
    /// Server address of it (a proxy's, when the request goes to an explicit proxy).
    pub server: Endpoint,
    /// VLANs and tunnels around the flow.
    pub scope: Scope,
    /// Clear or inside TLS.
    pub scheme: Scheme,
    /// Authority of the `CONNECT` tunnel that the exchange runs in, as the client wrote it.
    pub tunnel: Option<&'a str>,
    /// What the source shows.
    pub visibility: Visibility,
    /// The packet (or log line) at which the event became known.
    pub at: At,
    /// What a source other than packets knows beside.
    pub provenance: Option<&'a Arc<Provenance>>,
}

/// What the consumer wants of the rest of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyInterest {
    /// Deliver it.
    Wanted,
    /// Count it, do not deliver it: no `RequestBody`/`ResponseBody` or gap events for the rest of
    /// this body.
    Unwanted,
}

/// The consumer of exchanges.
pub trait ExchangeSink {
    /// Its per-flow state.
    type State: Default;

    /// One step of exchange `number` of this flow (counted from 0). Steps of several exchanges
    /// may interleave. The answer holds for the body that the event begins or continues.
    fn event(
        &mut self,
        context: &Context<'_>,
        state: &mut Self::State,
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest;

    /// A whole or partial message that only a losing overlap copy contains: fed as events of an
    /// exchange of its own whose messages must be marked ambiguous.
    fn ambiguous(
        &mut self,
        context: &Context<'_>,
        state: &mut Self::State,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest;

    /// A losing overlap copy goes on where the body of exchange `number` is now: what
    /// [`ambiguous`](Self::ambiguous) gets next continues a copy of that body. `None` if there can
    /// be no copy of it, and then a head that stands in for it follows.
    fn fork(
        &mut self,
        context: &Context<'_>,
        state: &mut Self::State,
        number: u32,
        direction: Direction,
    ) -> Option<BodyInterest> {
        let _ = (context, state, number, direction);
        None
    }

    /// A step of the handshake of a flow in TLS or QUIC.
    fn tls(&mut self, context: &Context<'_>, state: &mut Self::State, event: TlsEvent<'_>) {
        let _ = (context, state, event);
    }

    /// A DNS message. Of UDP each comes with a state of its own.
    fn dns(&mut self, context: &Context<'_>, state: &mut Self::State, message: DnsMessage) {
        let _ = (context, state, message);
    }

    /// The flow is over: its last call. Flows without payload are not told; of QUIC those are whose
    /// ClientHello was, and each call comes with a state of its own.
    fn closed(&mut self, context: &Context<'_>, state: &mut Self::State, end: &FlowEnd) {
        let _ = (context, state, end);
    }

    /// An oddity of the application layer.
    fn anomaly(&mut self, context: &Context<'_>, state: &mut Self::State, anomaly: Anomaly);

    /// Whether this flow has carried MCP (it is then the last to be evicted).
    fn is_mcp(&self, state: &Self::State) -> bool;
}
