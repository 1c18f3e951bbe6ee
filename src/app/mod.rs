//! In-order bytes into exchanges: protocol probe, TLS, HTTP, WebSocket, lines, DNS; datagrams into
//! what DNS and the handshakes of QUIC tell. Sans-IO.
//!
//! In: calls from `flow`, to [`Layer`]. Out: [`ExchangeEvent`](crate::exchange::ExchangeEvent)s
//! into an [`ExchangeSink`](crate::exchange::ExchangeSink). [`probe`] says which protocol a side
//! speaks from its first bytes; who is the client follows from what is said, never from ports.
//! A side in TLS is read through a session, which decrypts if it has the keys; what comes out is
//! probed in turn. A protocol is a variant of [`Protocol`] and of `Talk`; everything else is
//! counted and shed.
//!
//! Framing follows RFC 9112, read leniently: an oddity is reported as an
//! [`Anomaly`](crate::anomaly::Anomaly) and the analysis goes on. After a gap the parser looks
//! for the next message, and it never waits for the other direction.

mod alternate;
mod datagram;
mod dns;
mod embedded;
#[cfg(fuzzing)]
mod fuzzing;
mod http1;
mod http2;
mod layer;
mod lines;
pub mod probe;
mod quic;
mod state;
mod talk;
mod tls;
mod turn;
mod websocket;

#[cfg(test)]
mod tests;

pub use embedded::{BodyFacts, HeadReader};
pub use http2::Limits as Http2Limits;
pub use layer::Layer;
pub use probe::Protocol;
pub use state::State;
pub use tls::decrypt::{Added, BadLine, Keyring, KeyringLimits, Limits as TlsLimits};

#[cfg(fuzzing)]
pub use fuzzing::{
    fuzz, fuzz_dns, fuzz_lines, fuzz_quic_initial, fuzz_tls_handshake, fuzz_websocket,
};
#[cfg(fuzzing)]
pub use http2::fuzzing as http2_fuzz;
#[cfg(fuzzing)]
pub use tls::decrypt::fuzz as fuzz_tls_records;

/// Bounds of the layer. Worst case per flow: two heads of `max_head_bytes`, two alternates of the
/// same size again, `max_outstanding` entries of 12 bytes; about 270 KiB, and a few hundred bytes
/// in ordinary traffic. A flow of HTTP/2 has the bounds of [`Http2Limits`] instead.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Start line and header fields of one message, in bytes, and the trailer section alike. At
    /// the bound the head is reported as far as it goes, truncated, and the next one looked for.
    pub max_head_bytes: usize,
    /// Header fields per message; the rest is not reported.
    pub max_headers: usize,
    /// Requests of one flow that wait for a response; at the bound the oldest is aborted.
    pub max_outstanding: usize,
    /// Nested `CONNECT` tunnels; a deeper one is shed.
    pub max_tunnels: usize,
    /// Bytes of a side within which its protocol must show.
    pub max_probe_bytes: usize,
    /// Bytes of a side, in a flow met midstream, within which a message must start.
    pub max_search_bytes: u64,
    /// Bytes that the parser of a losing overlap copy may read.
    pub max_alternate_bytes: u64,
    /// One chunk-size line with its extensions, in bytes.
    pub max_chunk_line_bytes: usize,
    /// HTTP/2.
    pub http2: Http2Limits,
    /// Of connections in TLS, beside the rest.
    pub tls: TlsLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_bytes: 64 << 10,
            max_headers: 256,
            max_outstanding: 1024,
            max_tunnels: 4,
            max_probe_bytes: 4 << 10,
            max_search_bytes: 1 << 20,
            max_alternate_bytes: 64 << 10,
            max_chunk_line_bytes: 16 << 10,
            http2: Http2Limits::default(),
            tls: TlsLimits::default(),
        }
    }
}

/// Flows and bytes of one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Flows that ended as this protocol.
    pub flows: u64,
    /// Payload bytes in them; of a flow that was shed, repeated ones included.
    pub bytes: u64,
}

/// What the layer has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Exchanges begun.
    pub exchanges: u64,
    /// HTTP/1 flows, tunnels' contents included.
    pub http1: Tally,
    /// HTTP/2.
    pub http2: Tally,
    /// WebSocket.
    pub websocket: Tally,
    /// JSON-RPC lines on bare connections.
    pub lines: Tally,
    /// DNS over TCP.
    pub dns: Tally,
    /// TLS that could not be decrypted: unreadable.
    pub tls: Tally,
    /// TLS that could; these flows also count as what is inside.
    pub tls_decrypted: Tally,
    /// Everything else, flows that never showed what they are included.
    pub other: Tally,
    /// UDP datagrams, each counted as a flow.
    pub udp: Tally,
    /// QUIC, of which nothing but ClientHellos is readable: flows, and payload bytes of their
    /// datagrams on port 443 or with a long header. Also counted in `udp`.
    pub quic: Tally,
    /// ClientHellos read out of QUIC.
    pub quic_hellos: u64,
    /// DNS messages, on UDP or TCP.
    pub dns_messages: u64,
    /// Bytes missing in flows that were being read.
    pub gap_bytes: u64,
    /// Anomalies reported, the flow layer's not among them.
    pub anomalies: u64,
}

impl std::ops::AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.flows += other.flows;
        self.bytes += other.bytes;
    }
}

impl std::ops::AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        self.exchanges += other.exchanges;
        self.http1 += &other.http1;
        self.http2 += &other.http2;
        self.websocket += &other.websocket;
        self.lines += &other.lines;
        self.dns += &other.dns;
        self.tls += &other.tls;
        self.tls_decrypted += &other.tls_decrypted;
        self.other += &other.other;
        self.udp += &other.udp;
        self.quic += &other.quic;
        self.quic_hellos += other.quic_hellos;
        self.dns_messages += other.dns_messages;
        self.gap_bytes += other.gap_bytes;
        self.anomalies += other.anomalies;
    }
}

impl Counters {
    /// The tally of a protocol.
    #[must_use]
    pub const fn of(&self, protocol: Protocol) -> Tally {
        match protocol {
            Protocol::Http1 => self.http1,
            Protocol::Http2 => self.http2,
            Protocol::WebSocket => self.websocket,
            Protocol::Lines => self.lines,
            Protocol::Dns => self.dns,
            Protocol::Tls => self.tls,
            Protocol::Other => self.other,
        }
    }

    pub(in crate::app) const fn of_mut(&mut self, protocol: Protocol) -> &mut Tally {
        match protocol {
            Protocol::Http1 => &mut self.http1,
            Protocol::Http2 => &mut self.http2,
            Protocol::WebSocket => &mut self.websocket,
            Protocol::Lines => &mut self.lines,
            Protocol::Dns => &mut self.dns,
            Protocol::Tls => &mut self.tls,
            Protocol::Other => &mut self.other,
        }
    }
}
