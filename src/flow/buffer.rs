//! Out-of-order bytes of one direction, until what precedes them has come.

use std::collections::BTreeMap;

/// Bookkeeping charged for each extent and each losing copy, on top of its bytes.
pub(super) const OVERHEAD: usize = 64;

/// Extents grow up to here by appending; longer runs are several extents.
const MAX_MERGED_BYTES: usize = 64 << 10;

/// Differing copies kept for one offset: further ones are dropped.
const MAX_COPIES: usize = 4;

/// A run of bytes, and after them some that the snapshot length cut off.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) bytes: Vec<u8>,
    pub(super) lost: u64,
    /// Milliseconds: when its first byte came.
    pub(super) arrived: i64,
}

impl Extent {
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.lost
    }
}

/// What became of an inserted segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Bytes that were not there yet.
    pub(super) fresh: u64,
    /// Some of its bytes differ from an earlier copy.
    pub(super) conflict: bool,
    /// A losing copy found no room.
    pub(super) dropped: bool,
}

/// A piece of a segment on its way in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    /// Stream offset of the first byte.
    pub(super) start: u64,
    pub(super) bytes: &'a [u8],
    /// Bytes after these that were not captured.
    pub(super) lost: u64,
}

impl<'a> Run<'a> {
    pub(super) const fn end(&self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64).saturating_add(self.lost)
    }

    /// The part between two offsets, both inside.
    pub(super) fn part(&self, from: u64, to: u64) -> Self {
        let captured = self.bytes.len();
        let first = clamp(from.saturating_sub(self.start)).min(captured);
        let last = clamp(to.saturating_sub(self.start)).clamp(first, captured);
        let bytes: &'a [u8] = self.bytes.get(first..last).unwrap_or_default();
        let lost = to.saturating_sub(from).saturating_sub(bytes.len() as u64);
        Self { start: from, bytes, lost }
    }
}

/// A length in memory; what does not fit is cut by the slice that it is used on.
pub(super) fn clamp(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Extents that do not touch what was delivered nor overlap each other: the first copy of a byte
/// wins. Losing copies that differ are kept beside them, to be shown before the winner is.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    extents: BTreeMap<u64, Extent>,
    alternates: BTreeMap<u64, Vec<Box<[u8]>>>,
    charge: usize,
}

impl Buffer {
    pub(super) fn is_empty(&self) -> bool {
        self.extents.is_empty()
    }

    /// Bytes held, overhead included.
    pub(super) const fn charge(&self) -> usize {
        self.charge
    }

    /// Start and arrival of the first extent.
    pub(super) fn first(&self) -> Option<(u64, i64)> {
        self.extents.first_key_value().map(|(&start, extent)| (start, extent.arrived))
    }

    /// End of the last extent.
    pub(super) fn end(&self) -> Option<u64> {
        self.extents.last_key_value().map(|(&start, extent)| start + extent.len())
    }

    /// Takes the first extent if it starts at `offset`.
    pub(super) fn take_at(&mut self, offset: u64) -> Option<Extent> {
        let entry = self.extents.first_entry().filter(|entry| *entry.key() == offset)?;
        let extent = entry.remove();
        self.charge = self.charge.saturating_sub(extent.bytes.len() + OVERHEAD);
        Some(extent)
    }

    /// Takes a losing copy of bytes before `end`.
    pub(super) fn take_alternate(&mut self, end: u64) -> Option<(u64, Box<[u8]>)> {
        let mut entry = self.alternates.first_entry().filter(|entry| *entry.key() < end)?;
        let start = *entry.key();
        let copy = (!entry.get().is_empty()).then(|| entry.get_mut().remove(0));
        if entry.get().is_empty() {
            entry.remove();
        }
        let copy = copy?;
        self.charge = self.charge.saturating_sub(copy.len() + OVERHEAD);
        Some((start, copy))
    }

    /// Adds the bytes that are not there yet and compares the others. Losing copies are kept as
    /// long as the buffer stays below `max_bytes`; fresh bytes are the caller's to bound.
    pub(super) fn insert(&mut self, run: Run<'_>, now: i64, max_bytes: usize) -> Inserted {
        let mut done = Inserted::default();
        let end = run.end();
        let mut cursor = run.start;
        while cursor < end {
            if let Some(covered) = self.covered_until(cursor) {
                let to = covered.min(end);
                self.compare(run.part(cursor, to), max_bytes, &mut done);
                cursor = to;
            } else {
                let next = self.extents.range(cursor..).next().map_or(end, |(&start, _)| start);
                let to = next.min(end);
                done.fresh += to - cursor;
                self.add(run.part(cursor, to), now);
                cursor = to;
            }
        }
        done
    }

    /// Whether all of the run is there already.
    pub(super) fn covers(&self, run: Run<'_>) -> bool {
        let mut cursor = run.start;
        while cursor < run.end() {
            let Some(end) = self.covered_until(cursor) else { return false };
            cursor = end;
        }
        true
    }

    /// The end of the extent that covers `offset`.
    fn covered_until(&self, offset: u64) -> Option<u64> {
        let (start, extent) = self.extents.range(..=offset).next_back()?;
        Some(start + extent.len()).filter(|&end| end > offset)
    }

    fn add(&mut self, run: Run<'_>, now: i64) {
        self.charge += run.bytes.len();
        if let Some((start, before)) = self.extents.range_mut(..run.start).next_back()
            && before.lost == 0
            && start + before.len() == run.start
            && before.bytes.len() + run.bytes.len() <= MAX_MERGED_BYTES
        {
            before.bytes.extend_from_slice(run.bytes);
            before.lost = run.lost;
            return;
        }
        self.charge += OVERHEAD;
        let extent = Extent { bytes: run.bytes.to_vec(), lost: run.lost, arrived: now };
        self.extents.insert(run.start, extent);
    }

    /// Compares a run with the extent that covers all of it.
    fn compare(&mut self, run: Run<'_>, max_bytes: usize, done: &mut Inserted) {
        let Some((start, extent)) = self.extents.range(..=run.start).next_back() else { return };
        let held = extent.bytes.get(clamp(run.start - start)..).unwrap_or_default();
        let common = held.len().min(run.bytes.len());
        let (Some(held), Some(copy)) = (held.get(..common), run.bytes.get(..common)) else {
            return;
        };
        if held == copy {
            return;
        }
        let charge = copy.len() + OVERHEAD;
        let fits = self.charge.saturating_add(charge) <= max_bytes;
        let copies = self.alternates.get(&run.start).map_or(&[][..], Vec::as_slice);
        if copies.iter().any(|known| **known == *copy) {
            return;
        }
        done.conflict = true;
        if !fits || copies.len() >= MAX_COPIES {
            done.dropped = true;
            return;
        }
        self.charge += charge;
        self.alternates.entry(run.start).or_default().push(copy.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: u64, bytes: &[u8]) -> Run<'_> {
        Run { start, bytes, lost: 0 }
    }

    fn contents(buffer: &Buffer) -> Vec<(u64, String, u64)> {
        let text = |extent: &Extent| String::from_utf8(extent.bytes.clone()).unwrap();
        buffer.extents.iter().map(|(&start, e)| (start, text(e), e.lost)).collect()
    }

    // R4: exact, partial, covering and inside overlaps; the first copy wins.
    #[test]
    fn first_copy_wins_in_every_kind_of_overlap() {
        type Case = (&'static str, &'static [(u64, &'static str)], &'static [(u64, &'static str)]);
        let cases: [Case; 7] = [
            ("exact", &[(10, "abcd"), (10, "wxyz")], &[(10, "abcd")]),
            ("inside", &[(10, "abcd"), (11, "xy")], &[(10, "abcd")]),
            ("covering", &[(11, "bc"), (10, "WXYZ")], &[(10, "W"), (11, "bcZ")]),
            ("left edge", &[(12, "cd"), (10, "WXYZ")], &[(10, "WX"), (12, "cd")]),
            ("right edge", &[(10, "ab"), (11, "YZ")], &[(10, "abZ")]),
            ("bridges two", &[(10, "a"), (12, "c"), (10, "WXYZ")], &[(10, "aX"), (12, "cZ")]),
            ("touches", &[(12, "cd"), (10, "ab")], &[(10, "ab"), (12, "cd")]),
        ];
        for (name, inserts, expected) in cases {
            let mut buffer = Buffer::default();
            for (start, bytes) in inserts {
                buffer.insert(run(*start, bytes.as_bytes()), 0, 4096);
            }
            let expected: Vec<_> = expected.iter().map(|&(s, b)| (s, b.to_owned(), 0)).collect();
            assert_eq!(contents(&buffer), expected, "{name}");
        }
    }

    #[test]
    fn conflicts_are_kept_once_and_bounded() {
        let mut buffer = Buffer::default();
        assert!(!buffer.insert(run(5, b"abc"), 0, 1024).conflict);
        assert!(!buffer.insert(run(5, b"abc"), 0, 1024).conflict);
        assert!(buffer.insert(run(6, b"XY"), 0, 1024).conflict);
        assert!(!buffer.insert(run(6, b"XY"), 0, 1024).conflict, "the same copy again");
        for copy in [b"12", b"34", b"56"] {
            assert!(!buffer.insert(run(6, copy), 0, 1024).dropped);
        }
        assert!(buffer.insert(run(6, b"78"), 0, 1024).dropped, "too many copies");
        assert!(buffer.insert(run(5, b"Z"), 0, buffer.charge()).dropped, "no room");
        let copies: Vec<_> = std::iter::from_fn(|| buffer.take_alternate(8)).collect();
        assert_eq!(copies.len(), 4);
        assert!(copies.iter().all(|(start, _)| *start == 6));
        buffer.take_at(5).unwrap();
        assert_eq!((buffer.charge(), buffer.is_empty()), (0, true));
    }

    #[test]
    fn bytes_cut_off_by_the_snapshot_length_count_as_covered() {
        let mut buffer = Buffer::default();
        buffer.insert(Run { start: 4, bytes: b"ab", lost: 3 }, 0, 1024);
        let inserted = buffer.insert(run(5, b"bXXXc"), 0, 1024);
        assert_eq!((inserted.fresh, inserted.conflict), (1, false));
        assert_eq!(contents(&buffer), [(4, "ab".to_owned(), 3), (9, "c".to_owned(), 0)]);
    }

    #[test]
    fn charge_is_the_sum_of_what_is_held() {
        let mut buffer = Buffer::default();
        buffer.insert(run(0, &[1; 100]), 0, 1 << 20);
        buffer.insert(run(100, &[1; 50]), 0, 1 << 20);
        assert_eq!(buffer.charge(), 150 + OVERHEAD, "merged");
        buffer.insert(run(200, &[1; 50]), 0, 1 << 20);
        assert_eq!(buffer.charge(), 200 + 2 * OVERHEAD);
        assert!(buffer.take_at(1).is_none());
        assert_eq!(buffer.take_at(0).map(|extent| extent.len()), Some(150));
        assert_eq!(buffer.charge(), 50 + OVERHEAD);
    }
}
