//! Packets kept on disk: a ring of the recent ones, and a capture cut out of it for each finding.
//! An I/O edge.
//!
//! ```text
//!   capture threads ─ Tap ─┬─ batches ─ writer thread ─ ring-….pcap (oldest deleted)
//!                     Tap ─┘                               │
//!   findings ─ Job ─ queue ─ cutter thread ────────────────┴─ FINDING.pcap
//! ```
//!
//! A [`Tap`] copies a packet into a buffer and never waits: when the writer does not keep up,
//! whole buffers are dropped and counted. Every file is readable by whatever reads pcap; packets
//! are other people's data, so files are readable by their owner only.

mod cut;
mod cutting;
mod gather;
mod pcap;
mod ring;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use cut::{Cut, Cutter, Job, Outcome};
pub use ring::{Ring, Tap};

/// Bounds, on disk and in memory.
///
/// Worst-case memory: `max_queued_batches` + the number of taps, × 0.5 MiB; and while cuts are
/// made 4 × (1.5 × `max_cut_bytes` + 100 bytes a packet) + 4 MiB of fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the ring on disk, at least 16 MiB; beyond them the oldest sixteenth is deleted.
    pub max_ring_bytes: u64,
    /// Batches of 256 KiB that may wait for the disk; at the bound batches are dropped.
    pub max_queued_batches: usize,
    /// Bytes of one cut. At the bound the packets around the first hit are kept.
    pub max_cut_bytes: u64,
    /// Bytes of all cuts in their folder; at the bound no more are made until some are moved away.
    pub max_cuts_bytes: u64,
    /// Cuts that may wait; at the bound more are dropped.
    pub max_queued_cuts: usize,
    /// How long before its first hit a cut begins.
    pub before: Duration,
    /// How long after its last hit a cut ends.
    pub after: Duration,
    /// How long a cut is put off, so that what follows the hit is in the ring too.
    pub settle: Duration,
}

/// The smallest ring, in bytes.
pub const MIN_RING_BYTES: u64 = 16 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_ring_bytes: 2_000_000_000,
            max_queued_batches: 32,
            max_cut_bytes: 16 << 20,
            max_cuts_bytes: 4 << 30,
            max_queued_cuts: 1024,
            before: Duration::from_secs(60),
            after: Duration::from_secs(5),
            settle: Duration::from_secs(5),
        }
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What the ring and the cutter did since they were started.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The same, shared by threads.
        #[derive(Debug, Default)]
        struct Counts {
            $($name: AtomicU64,)*
        }

        impl Counts {
            fn read(&self) -> Counters {
                Counters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Size of the ring on disk now (gauge).
    ring_bytes,
    /// The bound on it (gauge).
    max_ring_bytes,
    /// Packets written to the ring.
    written_packets,
    /// Packets dropped because the disk was slower than the network.
    dropped_in_queue,
    /// Packets dropped because the disk was full or failed.
    dropped_at_disk,
    /// Writes that failed.
    write_errors,
    /// Cuts written, those that replace an earlier one of the same finding included.
    cuts_written,
    /// Cuts for which the ring had no packet.
    cuts_empty,
    /// Cuts that could not be written.
    cuts_failed,
    /// Cuts dropped at the bound on waiting ones.
    cuts_dropped,
    /// Cuts that a bound left incomplete.
    cuts_truncated,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}
