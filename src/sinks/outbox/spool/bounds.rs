//! How much a spool may take, and what it took.

use std::collections::BTreeMap;
use std::time::Duration;

/// Bounds of a spool. At worst it takes `max_waiting_bytes` of memory while the disk is full, and
/// 64 KiB for each stream otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes on disk; beyond, the oldest segments are dropped.
    pub max_spool_bytes: u64,
    /// Records of a segment.
    pub max_segment_records: u64,
    /// Bytes of a segment, which the last record may pass; an eighth of the spool at most.
    pub max_segment_bytes: u64,
    /// A segment is sealed at this age.
    pub max_segment_age: Duration,
    /// Bytes of records that wait in memory for a disk that takes nothing; more are lost.
    pub max_waiting_bytes: usize,
    /// Records are written at once when so many bytes of a stream wait.
    pub max_unwritten_bytes: usize,
    /// Damaged and refused segments that are kept, of each kind; the oldest go.
    pub max_kept_aside: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_spool_bytes: 1 << 30,
            max_segment_records: 50_000,
            max_segment_bytes: 8 << 20,
            max_segment_age: Duration::from_secs(1),
            max_waiting_bytes: 16 << 20,
            max_unwritten_bytes: 64 << 10,
            max_kept_aside: 16,
        }
    }
}

impl Limits {
    pub(super) fn segment_bytes(&self) -> u64 {
        self.max_segment_bytes.min(self.max_spool_bytes / 8).max(1)
    }
}

/// Records of a stream since the start, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Given to the spool.
    pub given: u64,
    /// Sealed.
    pub sealed: u64,
    /// Taken by the other side, those of earlier runs included.
    pub taken: u64,
    /// Refused by the other side for good.
    pub refused: u64,
    /// Dropped because the spool was full, or in a damaged segment.
    pub dropped: u64,
    /// Lost because the disk took nothing and memory was full.
    pub lost: u64,
}

/// What a spool holds and lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes on disk.
    pub bytes: u64,
    /// Sealed segments.
    pub segments: u64,
    /// Their records.
    pub records: u64,
    /// Records that are not sealed.
    pub open_records: u64,
    /// Age of the oldest sealed segment.
    pub oldest: Option<Duration>,
    /// Segments dropped because the spool was full.
    pub dropped_segments: u64,
    /// Segments found damaged.
    pub corrupt_segments: u64,
    /// Segments that the other side refused.
    pub refused_segments: u64,
    /// By stream.
    pub streams: BTreeMap<String, Tally>,
}
