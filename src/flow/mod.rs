//! Segments into in-order bytes per flow: flow table, TCP reassembly, expiry. Sans-IO.
//!
//! In: [`Segment`](crate::decode::Segment)s. Out: calls on a [`Handler`], which owns the state of
//! the layers above for each flow and answers with its [`Interest`] in the rest of it.

mod buffer;
mod checksum;
mod clock;
mod connection;
mod connections;
mod counters;
mod entry;
mod expiry;
#[cfg(any(test, fuzzing))]
#[cfg_attr(test, allow(unreachable_pub, reason = "public for fuzzers only"))]
mod fuzz;
mod history;
mod key;
mod limits;
mod lru;
mod pair;
mod seq;
mod stream;
mod table;

pub use counters::Counters;
#[cfg(fuzzing)]
pub use fuzz::fuzz;
pub use key::shard_of;
pub use limits::Limits;
pub use table::Table;

use crate::anomaly::Anomaly;
use crate::net::{Endpoint, Scope, Side};
use crate::time::Timestamp;

/// What is known of a flow: one TCP connection, both directions.
#[derive(Clone, Copy, Debug)]
pub struct FlowInfo {
    /// Index of its first packet over the whole run: unique and the same in every run.
    pub id: u64,
    /// The end that opened it, or that sent the first packet seen.
    pub originator: Endpoint,
    /// The other end.
    pub responder: Endpoint,
    /// VLANs and tunnels around it.
    pub scope: Scope,
    /// Time of its first packet.
    pub opened: Timestamp,
    /// No SYN was seen: the capture starts inside the connection.
    pub midstream: bool,
    /// Payload bytes captured since the layers above lost interest, repeated ones included.
    pub shed_bytes: u64,
}

/// The packet at which something became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Index of the packet over the whole run.
    pub packet: u64,
    /// Its capture time.
    pub time: Timestamp,
}

/// Bytes of one side, in order, each byte once.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The sender.
    pub side: Side,
    /// Offset of the first byte from the start of this side's stream (or from the first byte
    /// seen, midstream). Gaps count.
    pub offset: u64,
    /// The bytes; never empty.
    pub bytes: &'a [u8],
    /// The packet that made these bytes deliverable (not always the one that carried them).
    pub at: At,
}

/// Bytes of one side that the capture does not have and no longer will.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// The sender of the missing bytes.
    pub side: Side,
    /// Offset of the first missing byte.
    pub offset: u64,
    /// How many are missing.
    pub len: u64,
    /// When the gap was given up.
    pub at: At,
}

/// Why no more bytes come from a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// FIN, all bytes before it delivered or given up.
    Fin,
    /// RST with an acceptable sequence number.
    Reset,
    /// Idle for longer than the limit.
    Expired,
    /// Pushed out by a bound on memory.
    Evicted,
    /// The same five-tuple began a new connection.
    Reused,
    /// The capture ended.
    EndOfCapture,
}

/// What the layers above want of the rest of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interest {
    /// Nothing: keep the tuple and counters only, buffer and deliver no more bytes.
    None,
    /// Not known yet.
    #[default]
    Unknown,
    /// A protocol that can carry MCP.
    Candidate,
    /// It carries MCP: the last to be evicted.
    Mcp,
}

/// The layers above, as the flow table sees them. `State` is theirs, one per flow, kept in the
/// table and created when the first payload arrives.
pub trait Handler {
    /// Per-flow state of the layers above.
    type State: Default;

    /// The next bytes of a side.
    fn chunk(&mut self, flow: &FlowInfo, state: &mut Self::State, chunk: Chunk<'_>) -> Interest;

    /// The losing copy of an overlap whose two copies differ (the first copy wins). Called just
    /// before the winning bytes at the same offset are delivered, or afterwards when the winner
    /// was delivered already.
    fn alternate(&mut self, flow: &FlowInfo, state: &mut Self::State, chunk: Chunk<'_>);

    /// Bytes are missing for good; what follows comes after them.
    fn gap(&mut self, flow: &FlowInfo, state: &mut Self::State, gap: Gap) -> Interest;

    /// A side has ended. Called at most once per side.
    fn finish(&mut self, flow: &FlowInfo, state: &mut Self::State, side: Side, at: At, why: Finish);

    /// The flow leaves the table: the last call, after both sides finished.
    fn closed(&mut self, flow: &FlowInfo, state: Self::State, at: At);

    /// An oddity of the flow layer.
    fn anomaly(&mut self, flow: &FlowInfo, at: At, anomaly: Anomaly);
}

#[cfg(test)]
mod tests;
