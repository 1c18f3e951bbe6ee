//! Files that may be what is looked for: their identity, and their names.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{DirEntryExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture::plain;
use crate::intake::checkpoint::{Position, Print};

/// Bytes of a file's beginning that it is known by.
pub(super) const HEAD_BYTES: u64 = 1 << 10;
/// And of what was taken last.
pub(super) const LAST_BYTES: u64 = 256;
/// Endings of compressed files.
const PACKED: [&str; 2] = [".gz", ".zst"];

/// A file that is there.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Links resolved.
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) metadata: Metadata,
    pub(super) is_packed: bool,
}

impl Candidate {
    /// Opens a regular file; `None` for anything else.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let path = fs::canonicalize(path)?;
        // A named pipe would wait for a writer.
        if !fs::metadata(&path)?.is_file() {
            return Ok(None);
        }
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        let mut magic = [0; 4];
        let is_packed = file.read_exact_at(&mut magic, 0).is_ok() && is_packed(magic);
        Ok(Some(Self { path, file, metadata, is_packed }))
    }

    pub(super) fn inode(&self) -> (u64, u64) {
        (self.metadata.dev(), self.metadata.ino())
    }

    pub(super) fn modified(&self) -> i64 {
        modified(&self.metadata)
    }

    /// The same file, as far as it was taken in.
    pub(super) fn is(&self, position: &Position) -> bool {
        self.inode() == (position.device, position.inode) && self.has_prints(position)
    }

    /// Another file with the same bytes, as far as they were taken in. An empty one is no copy.
    pub(super) fn is_copy_of(&self, position: &Position) -> bool {
        position.offset > 0 && self.has_prints(position)
    }

    fn has_prints(&self, position: &Position) -> bool {
        if !self.is_packed {
            return has_prints(&self.file, position).unwrap_or(false);
        }
        let check = || -> io::Result<bool> {
            let mut bytes = self.unpacked()?;
            let mut head = Vec::new();
            bytes.by_ref().take(position.head.bytes).read_to_end(&mut head)?;
            if Print::of(&head) != position.head {
                return Ok(false);
            }
            let mut bytes = self.unpacked()?;
            skip(&mut bytes, position.offset.saturating_sub(position.last.bytes))?;
            let mut last = Vec::new();
            bytes.take(position.last.bytes).read_to_end(&mut last)?;
            Ok(Print::of(&last) == position.last)
        };
        check().unwrap_or(false)
    }

    /// Its bytes from the beginning, decompressed.
    pub(super) fn unpacked(&self) -> io::Result<Box<dyn Read + Send>> {
        // By its handle: its name may be another file's by now.
        plain(Box::new(FromStart { file: self.file.try_clone()?, at: 0 }))
    }
}

/// Reads a file from its start, whoever else reads it.
struct FromStart {
    file: File,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// gzip, zstd, or zstd behind a skippable frame.
const fn is_packed(magic: [u8; 4]) -> bool {
    matches!(magic, [0x1F, 0x8B, ..] | [0x28, 0xB5, 0x2F, 0xFD] | [0x50..=0x5F, 0x2A, 0x4D, 0x18])
}

/// When a file was written to, in nanoseconds since 1970.
pub(super) fn modified(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// Whether a file has, where they were, the bytes by which it is known.
pub(super) fn has_prints(file: &File, position: &Position) -> io::Result<bool> {
    let Position { head, last, offset, .. } = position;
    let is_there = |print: &Print, at: u64| -> io::Result<bool> {
        let mut bytes = vec![0; usize::try_from(print.bytes).unwrap_or(0)];
        match file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(Print::of(&bytes) == *print),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    };
    Ok(is_there(last, offset.saturating_sub(last.bytes))? && is_there(head, 0)?)
}

/// Passes so many bytes.
pub(super) fn skip(from: &mut dyn Read, bytes: u64) -> io::Result<()> {
    let passed = io::copy(&mut from.take(bytes), &mut io::sink())?;
    if passed == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Whether a file is the beginning of another one, as far as its own first and last bytes tell: it
/// is being copied, and not all of it is there yet.
pub(super) fn is_part_of(part: &Candidate, whole: &Candidate) -> bool {
    let len = part.metadata.size();
    let bytes = |of: &Candidate, at: u64, bytes: u64| -> io::Result<Vec<u8>> {
        let mut read = vec![0; usize::try_from(bytes).unwrap_or(0)];
        of.file.read_exact_at(&mut read, at)?;
        Ok(read)
    };
    let is_same = |at: u64, count: u64| match (bytes(part, at, count), bytes(whole, at, count)) {
        (Ok(part), Ok(whole)) => part == whole,
        _ => false,
    };
    let last = len.min(LAST_BYTES);
    len > 0 && is_same(0, len.min(HEAD_BYTES)) && is_same(len - last, last)
}

/// Listings of a folder that are compared, until two are the same: while files are renamed one
/// after the other, each listing may miss one.
const MAX_LISTINGS: usize = 50;
/// Between two listings.
const SETTLE: Duration = Duration::from_millis(2);

/// Files beside `path` whose names say that they were it once: `a.log.1`, `a.log-20261123`,
/// `a.log.1.gz`, `a-2026-11-23.log`. In the order in which they were written.
pub(super) fn rotated(path: &Path) -> Vec<Candidate> {
    let mut before = list(path);
    let mut found = open_all(&before);
    for _ in 0..MAX_LISTINGS {
        let after = list(path);
        if after == before {
            break;
        }
        std::thread::sleep(SETTLE);
        before = list(path);
        found = open_all(&before);
    }
    // Of files of the same tick of the clock the one with the higher number is older.
    found.sort_by_key(|(rank, candidate)| (candidate.modified(), u64::MAX - rank));
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Path, inode and rank of each.
type Listing = BTreeMap<PathBuf, (u64, u64)>;

fn open_all(listing: &Listing) -> Vec<(u64, Candidate)> {
    let open = |(path, (_, rank)): (&PathBuf, &(u64, u64))| {
        // What is there plain and compressed is being compressed.
        let is_begun = is_packed_name(path) && listing.contains_key(&path.with_extension(""));
        let candidate = if is_begun { None } else { Candidate::open(path).ok().flatten() };
        candidate.map(|candidate| (*rank, candidate))
    };
    listing.iter().filter_map(open).collect()
}

fn list(path: &Path) -> Listing {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Listing::new();
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ranked = entries.filter_map(|entry| {
        let rank = rank(name, entry.file_name().to_str()?)?;
        Some((entry.path(), (entry.ino(), rank)))
    });
    ranked.collect()
}

/// The number by which `other` is a rotated `name`, or 0 if it has none or a date; `None` if it is
/// not.
pub(super) fn rank(name: &str, other: &str) -> Option<u64> {
    let plain = PACKED.iter().find_map(|ending| other.strip_suffix(ending)).unwrap_or(other);
    if plain == name {
        return (plain != other).then_some(0);
    }
    let middle = plain.strip_prefix(name).or_else(|| {
        let (stem, ending) = name.rsplit_once('.')?;
        plain.strip_prefix(stem)?.strip_suffix(ending)?.strip_suffix('.')
    })?;
    let number = middle.strip_prefix(['.', '-', '_'])?;
    let is_number = |c: char| c.is_ascii_digit();
    let is_stamp = |c: char| is_number(c) || matches!(c, '.' | '-' | '_' | ':' | 'T' | 'Z' | '+');
    if matches!(number, "old" | "bak") {
        return Some(0);
    }
    if !number.starts_with(is_number) || !number.chars().all(is_stamp) {
        return None;
    }
    // Longer ones are dates, which their times order.
    Some(number.parse().ok().filter(|_| number.len() < 6).unwrap_or(0))
}

/// Whether a name is that of a compressed file, which nobody appends to.
pub(super) fn is_packed_name(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| matches!(ending, "gz" | "zst" | "xz" | "bz2" | "lz4" | "zip"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rotated_files() {
        for (name, other, expected) in [
            ("a.log", "a.log", None),
            ("a.log", "a.log.1", Some(1)),
            ("a.log", "a.log.12.gz", Some(12)),
            ("a.log", "a.log.gz", Some(0)),
            ("a.log", "a.log-20261123", Some(0)),
            ("a.log", "a.log-20261123.zst", Some(0)),
            ("a.log", "a-2026-11-23T10.log", Some(0)),
            ("a.log", "a.3.log", Some(3)),
            ("0.log", "0.log.20261123-101500", Some(0)),
            ("a.log", "a.log.old", Some(0)),
            ("a.log", "a.log.swp", None),
            ("a.log", "ab.log", None),
            ("a.log", "a-error.log", None),
            ("a.log", "b.log.1", None),
            ("access", "access.1", Some(1)),
            ("access", "access_log", None),
        ] {
            assert_eq!(rank(name, other), expected, "{name} {other}");
        }
    }

    #[test]
    fn rotated_files_come_in_the_order_in_which_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        for (name, later) in [("a.log.1", 0), ("a.log.2", 0), ("a.log.3", 5), ("b.log.1", 0)] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(time + Duration::from_secs(later)).unwrap();
        }
        let found = rotated(&folder.path().join("a.log"));
        let names: Vec<_> = found.iter().map(|file| file.path.file_name().unwrap()).collect();
        assert_eq!(names, ["a.log.2", "a.log.1", "a.log.3"]);
    }
}
