//! The files of the ring: names, order, sizes, and which times they cover.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::capture::LinkType;
use crate::time::Timestamp;

/// One file of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Place in the ring: the lowest is the oldest.
    pub(super) number: u64,
    pub(super) link: LinkType,
    pub(super) bytes: u64,
    /// First and last packet time; `None` for a file of an earlier run that nobody read yet.
    pub(super) times: Option<(Timestamp, Timestamp)>,
}

impl Segment {
    fn file_name(&self) -> String {
        format!("ring-{:012}-{}.pcap", self.number, self.link.0)
    }

    fn parse(name: &str) -> Option<(u64, LinkType)> {
        let (number, link) = name.strip_prefix("ring-")?.strip_suffix(".pcap")?.split_once('-')?;
        let parsed = (number.parse().ok()?, LinkType(link.parse().ok()?));
        let (number, link) = parsed;
        // Only names that this sensor gives: anything else in the folder is not its to delete.
        let canonical = Self { number, link, bytes: 0, times: None }.file_name();
        (canonical == name).then_some(parsed)
    }

    /// Whether it may hold packets of a span of time.
    pub(super) fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        self.times.is_none_or(|(first, last)| first <= to && last >= from)
    }
}

/// The files of a folder, shared by the writer and the cutter.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    list: Mutex<VecDeque<Segment>>,
}

impl Segments {
    /// Adopts what an earlier run left in the folder.
    pub(super) fn adopt(folder: &Path) -> io::Result<Self> {
        let mut list = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((number, link)) = name.to_str().and_then(Segment::parse) else { continue };
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                list.push(Segment { number, link, bytes: metadata.len(), times: None });
            }
        }
        list.sort_by_key(|segment| segment.number);
        Ok(Self { folder: folder.to_owned(), list: Mutex::new(list.into()) })
    }

    pub(super) fn path(&self, segment: &Segment) -> PathBuf {
        self.folder.join(segment.file_name())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Size of all files.
    pub(super) fn total_bytes(&self) -> u64 {
        self.lock().iter().map(|segment| segment.bytes).sum()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn oldest(&self) -> Option<Segment> {
        self.lock().front().cloned()
    }

    pub(super) fn overlapping(&self, from: Timestamp, to: Timestamp) -> Vec<Segment> {
        self.lock().iter().filter(|segment| segment.overlaps(from, to)).cloned().collect()
    }

    /// A new file, not yet there, at the end of the ring.
    pub(super) fn next(&self, link: LinkType) -> Segment {
        let number = self.lock().back().map_or(1, |last| last.number.saturating_add(1));
        Segment { number, link, bytes: 0, times: None }
    }

    pub(super) fn push(&self, segment: Segment) {
        self.lock().push_back(segment);
    }

    /// A file grew by packets of these times.
    pub(super) fn grown(&self, number: u64, bytes: u64, first: Timestamp, last: Timestamp) {
        let mut list = self.lock();
        let segment = list.iter_mut().rev().find(|segment| segment.number == number);
        if let Some(segment) = segment {
            segment.bytes = bytes;
            segment.times = Some(match segment.times {
                Some((from, to)) => (from.min(first), to.max(last)),
                None => (first, last),
            });
        }
    }

    /// A file of an earlier run was read.
    pub(super) fn learn(&self, number: u64, first: Timestamp, last: Timestamp) {
        let mut list = self.lock();
        let segment = list.iter_mut().find(|segment| segment.number == number);
        if let Some(segment) = segment.filter(|segment| segment.times.is_none()) {
            segment.times = Some((first, last));
        }
    }

    /// Deletes the oldest file; answers which.
    pub(super) fn delete_oldest(&self) -> io::Result<Option<u64>> {
        let Some(segment) = self.oldest() else { return Ok(None) };
        match fs::remove_file(self.path(&segment)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.lock().retain(|other| other.number != segment.number);
        Ok(Some(segment.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_segments() {
        let cases = [
            ("ring-000000000001-1.pcap", Some((1, LinkType(1)))),
            ("ring-000000000042-276.pcap", Some((42, LinkType(276)))),
            ("ring-9999999999999-1.pcap", Some((9_999_999_999_999, LinkType(1)))),
            ("ring-1-1.pcap", None),
            ("ring-+00000000001-1.pcap", None),
            ("ring-000000000001-01.pcap", None),
            ("ring-000000000001-65536.pcap", None),
            ("ring-000000000001-1.pcapng", None),
            ("ring-000000000001.pcap", None),
            ("other.pcap", None),
        ];
        for (name, parsed) in cases {
            assert_eq!(Segment::parse(name), parsed, "{name}");
        }
    }

    #[test]
    fn unknown_times_may_overlap_anything() {
        let at = Timestamp::from_nanos;
        let mut segment = Segment { number: 1, link: LinkType(1), bytes: 0, times: None };
        assert!(segment.overlaps(at(0), at(0)));
        segment.times = Some((at(10), at(20)));
        for (from, to, expected) in
            [(0, 9, false), (0, 10, true), (12, 13, true), (20, 30, true), (21, 30, false)]
        {
            assert_eq!(segment.overlaps(at(from), at(to)), expected, "{from}..{to}");
        }
    }
}
