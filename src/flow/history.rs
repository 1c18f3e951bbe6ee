//! What was delivered lately: enough to tell a retransmission from a second, different copy.

use super::key::digest;
use super::seq::Seq;

/// Segments remembered for one direction. 512 bytes when full.
const SEGMENTS: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Seen {
    seq: Seq,
    len: u32,
    digest: u64,
}

/// Digests of the last [`SEGMENTS`] segments of one direction. Only a segment with the very
/// borders of a remembered one can be compared; a stream cut anew cannot.
#[derive(Debug, Default)]
pub(super) struct History {
    seen: Vec<Seen>,
    oldest: usize,
}

/// How a repeated segment compares with what was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recall {
    /// The same bytes, or a differing copy that was reported already.
    Same,
    /// Other bytes than those delivered.
    Differs,
    /// Not remembered with these borders.
    Unknown,
}

impl History {
    pub(super) fn remember(&mut self, seq: Seq, bytes: &[u8], seed: u64) {
        let Ok(len) = u32::try_from(bytes.len()) else { return };
        self.store(Seen { seq, len, digest: digest(bytes, seed) });
    }

    /// Compares a copy; one that differs is remembered too, so that it is reported once.
    pub(super) fn recall(&mut self, seq: Seq, bytes: &[u8], seed: u64) -> Recall {
        let Ok(len) = u32::try_from(bytes.len()) else { return Recall::Unknown };
        let mut same_borders = self.seen.iter().filter(|s| s.seq == seq && s.len == len).peekable();
        if same_borders.peek().is_none() {
            return Recall::Unknown;
        }
        let digest = digest(bytes, seed);
        if same_borders.any(|seen| seen.digest == digest) {
            return Recall::Same;
        }
        self.store(Seen { seq, len, digest });
        Recall::Differs
    }

    fn store(&mut self, seen: Seen) {
        if self.seen.len() < SEGMENTS {
            self.seen.push(seen);
            return;
        }
        if let Some(slot) = self.seen.get_mut(self.oldest) {
            *slot = seen;
        }
        self.oldest = (self.oldest + 1) % SEGMENTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_copies_from_repeats_and_reports_each_once() {
        let mut history = History::default();
        history.remember(Seq(10), b"abc", 1);
        assert_eq!(history.recall(Seq(10), b"abc", 1), Recall::Same);
        assert_eq!(history.recall(Seq(10), b"abd", 1), Recall::Differs);
        assert_eq!(history.recall(Seq(10), b"abd", 1), Recall::Same);
        assert_eq!(history.recall(Seq(10), b"abe", 1), Recall::Differs);
        assert_eq!(history.recall(Seq(10), b"ab", 1), Recall::Unknown);
        assert_eq!(history.recall(Seq(11), b"bc", 1), Recall::Unknown);
    }

    #[test]
    fn forgets_the_oldest() {
        let mut history = History::default();
        for seq in 0..=32 {
            history.remember(Seq(seq), b"x", 1);
        }
        assert_eq!(history.recall(Seq(0), b"x", 1), Recall::Unknown);
        assert_eq!(history.recall(Seq(1), b"x", 1), Recall::Same);
        assert_eq!(history.recall(Seq(32), b"y", 1), Recall::Differs);
    }
}
