//! Segments into in-order bytes per flow: flow table, TCP reassembly, expiry. Sans-IO.
//!
//! In: [`Segment`](crate::decode::Segment)s. Out: calls on a [`Handler`], which owns the state of
//! the layers above for each flow and answers with its [`Interest`] in the rest of it.
//!
//! # Rules
//!
//! - **Copies.** The first copy of a byte wins. Equal copies are invisible. A differing one is the
//!   anomaly `overlap-conflict`, and goes to [`Handler::alternate`]. Against bytes that are still
//!   buffered every overlap is compared; of delivered bytes only digests of the last 32 segments
//!   of a direction are kept, so only a copy with the borders of one of these is.
//! - **Holes.** Missing bytes become a [`Gap`] when the peer has acknowledged them and a grace has
//!   passed, when data behind them has waited too long, when a buffer is full, and when the flow
//!   ends. A FIN counts once everything before it is delivered or given up; data after it is
//!   dropped (`data-after-fin`).
//! - **Resets.** A RST inside the window starts a short wait. Data beyond it from the same side
//!   proves it forged (`data-after-rst`) and the flow goes on; else both sides finish with
//!   [`Finish::Reset`] when the wait is over. One outside is ignored (`rst-out-of-window`).
//! - **Distant segments**, further than [`Limits::max_ahead_bytes`] either way, are ignored
//!   (`out-of-window`), until three in a row agree and the peer acknowledges them or was never
//!   seen (`capture-outage`: a gap, then their bytes).
//! - **New connections.** A SYN with another number begins a new flow, unless it falls into the
//!   receive window of an open connection (`syn-in-window`: ignored). After a close the tuple is
//!   remembered for a short time, so that late packets open nothing.
//! - **Midstream.** Any segment but a RST opens a flow. Where a direction starts is taken from its
//!   SYN, else guessed from the numbers of either side until the first delivery. If nothing at all
//!   was known, the first data is held back for some packets or milliseconds, or until the peer
//!   acknowledges anything: earlier data that comes late is then still in time.
//! - **Checksums.** A wrong one drops the segment (`bad-checksum`) once its direction has shown a
//!   right one; before, it is taken for offload to the network card.
//! - **Ignored**: segments with neither ACK, SYN nor RST, as every host drops them; keep-alive and
//!   window probes. Urgent data is in line.
//! - Flows that never carry payload make no calls; they only count.
//! - Time is packet time. Graces and idle limits end at their own time, whenever the table gets
//!   round to it; a step of the clock beyond an hour is no time passed.

mod buffer;
mod clock;
mod connection;
mod connections;
mod counters;
mod delivery;
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
    /// What it carried so far.
    pub traffic: Traffic,
}

/// What a flow carried so far: every packet that the table took for its own, wrong checksums and
/// repeated bytes included. Packets after both FINs are not: the flow is over by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Packets that each side sent, by [`Side::index`]. Those before the first payload count up to
    /// 32,767 of each side.
    pub packets: [u64; 2],
    /// Payload bytes on the wire that each side sent, by [`Side::index`].
    pub bytes: [u64; 2],
    /// Holes given up while somebody was interested; what the snapshot length cut off is none.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// The latest time of its packets.
    pub last: Timestamp,
}

impl Traffic {
    /// Nothing yet.
    pub const NONE: Self =
        Self { packets: [0; 2], bytes: [0; 2], gaps: 0, gap_bytes: 0, last: Timestamp::EPOCH };

    /// Takes in a packet.
    #[inline]
    fn count(&mut self, side: Side, bytes: u64, time: Timestamp) {
        let [originator, responder] = &mut self.packets;
        let [from_originator, from_responder] = &mut self.bytes;
        let (packets, sum) = match side {
            Side::Originator => (originator, from_originator),
            Side::Responder => (responder, from_responder),
        };
        *packets += 1;
        *sum += bytes;
        self.last = self.last.max(time);
    }
}

/// The packet at which something became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Index of the packet over the whole run, or [of a line](Self::of_line).
    pub packet: u64,
    /// Its capture time.
    pub time: Timestamp,
}

impl At {
    /// Marks lines of logs; packets of a run never get so far.
    const LINE: u64 = 1 << 63;
    /// Bits of the number of a line.
    const NUMBER_BITS: u32 = 47;
    /// Logs (and servers of other protocols) of one run at most.
    pub const MAX_LOGS: usize = 1 << 16;

    /// A line of a log: which log, and its number in it. Lines sort behind all packets.
    #[must_use]
    pub const fn of_line(log: u16, number: u64, time: Timestamp) -> Self {
        let number = number & ((1 << Self::NUMBER_BITS) - 1);
        Self { packet: Self::LINE | ((log as u64) << Self::NUMBER_BITS) | number, time }
    }

    /// Log and number, if the index is that of a line.
    #[must_use]
    pub const fn line_of(index: u64) -> Option<(u16, u64)> {
        if index & Self::LINE == 0 || index == u64::MAX {
            return None;
        }
        let log = ((index & !Self::LINE) >> Self::NUMBER_BITS) as u16;
        Some((log, index & ((1 << Self::NUMBER_BITS) - 1)))
    }
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

    /// The flow leaves the table: the last call, after both sides finished; and why.
    fn closed(&mut self, flow: &FlowInfo, state: Self::State, at: At, why: Finish);

    /// An oddity of the flow layer.
    fn anomaly(&mut self, flow: &FlowInfo, at: At, anomaly: Anomaly);
}

#[cfg(test)]
mod tests;
