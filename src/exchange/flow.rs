//! What is told of a flow as a whole, once it is over.

use serde::Serialize;

use crate::flow::Finish;
use crate::time::Timestamp;

/// What a flow talks, as far as it was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Application {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// WebSocket.
    WebSocket,
    /// JSON-RPC lines without HTTP.
    Lines,
    /// TLS of which nothing inside could be read.
    Tls,
    /// QUIC, likewise.
    Quic,
}

impl Application {
    /// Whether only its handshake can be read.
    #[must_use]
    pub const fn is_sealed(self) -> bool {
        matches!(self, Self::Tls | Self::Quic)
    }
}

/// A flow that is over. Arrays are by [`Direction::index`](crate::net::Direction::index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd {
    /// What it talked.
    pub application: Option<Application>,
    /// Time of its first packet.
    pub opened: Timestamp,
    /// Time of its last packet.
    pub last: Timestamp,
    /// Packets; see [`Traffic`](crate::flow::Traffic) for those that do not count.
    pub packets: [u64; 2],
    /// Payload bytes on the wire, repeated ones included.
    pub bytes: [u64; 2],
    /// Holes in what was read.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// The capture began inside it.
    pub midstream: bool,
    /// Why it is over.
    pub finish: Finish,
}
