//! A segment as a file: a line that says what it is, the records, a line with their checksum.
//!
//! ```text
//! {"shadowtap_segment":1,"stream":"findings","token":"5f..","schema":1}
//! {"ts":"2026-11-16 08:00:00.000000",...}
//! {"shadowtap_end":1,"records":1,"crc32":"89abcdef"}
//! ```
//!
//! A file without the last line is open: what it holds up to its last newline counts. The name
//! says the number, the stream and, of a sealed file, how many records it has.

use std::fmt::Write as _;

use memchr::{memchr, memrchr};
use serde::{Deserialize, Serialize};

/// What a file of the spool is, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Being written.
    Open,
    /// Sealed: whole, and waiting to be delivered.
    Segment,
    /// Half made.
    Part,
    /// Its checksum is wrong.
    Corrupt,
    /// The other side will never take it.
    Refused,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Open, Self::Segment, Self::Part, Self::Corrupt, Self::Refused];

    const fn ending(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Segment => "segment",
            Self::Part => "part",
            Self::Corrupt => "corrupt",
            Self::Refused => "refused",
        }
    }
}

/// The name of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) number: u64,
    pub(super) stream: String,
    pub(super) records: u64,
    pub(super) kind: Kind,
}

impl Name {
    /// `0000000000000042-findings-50000.segment`
    pub(super) fn text(&self) -> String {
        let Self { number, stream, records, kind } = self;
        let stream: String = stream.chars().take(64).map(plain).collect();
        format!("{number:016}-{stream}-{records}.{}", kind.ending())
    }

    /// `None` when it is no file of a spool.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (stem, ending) = text.rsplit_once('.')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.ending() == ending)?;
        let (number, rest) = stem.split_once('-')?;
        let (stream, records) = rest.rsplit_once('-')?;
        let number = number.parse().ok()?;
        Some(Self { number, stream: stream.to_owned(), records: records.parse().ok()?, kind })
    }

    /// The same file as another kind.
    pub(super) fn turned(&self, kind: Kind) -> Self {
        Self { kind, ..self.clone() }
    }
}

const fn plain(c: char) -> char {
    if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    shadowtap_segment: u32,
    pub(super) stream: String,
    pub(super) token: String,
    pub(super) schema: u32,
}

/// Version of the format of files.
const FORMAT: u32 = 1;
/// What the last line begins with; no record may.
pub(super) const END: &[u8] = b"{\"shadowtap_end\":";

/// Room for the last line.
pub(super) const MAX_END_BYTES: u64 = 80;

impl Head {
    pub(super) const fn new(stream: String, token: String, schema: u32) -> Self {
        Self { shadowtap_segment: FORMAT, stream, token, schema }
    }

    /// With its newline.
    pub(super) fn line(&self) -> Vec<u8> {
        // A struct of strings and numbers always becomes JSON.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// The last line, with its newline.
pub(super) fn end_line(records: u64, crc32: u32) -> Vec<u8> {
    let mut line = String::from_utf8_lossy(END).into_owned();
    // Writing to a string cannot fail.
    let _written = writeln!(line, "{FORMAT},\"records\":{records},\"crc32\":\"{crc32:08x}\"}}");
    line.into_bytes()
}

#[derive(Deserialize)]
struct End {
    records: u64,
    crc32: String,
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Not even a first line: it never held a record.
    Nothing,
    /// Sealed and right: `body` are the bytes of the records.
    Sealed { head: Head, records: u64, body: std::ops::Range<usize> },
    /// Not sealed: what counts ends at `good` bytes.
    Open { head: Head, records: u64, good: usize },
    /// Something else than was written.
    Damaged(&'static str),
}

/// Looks into a file.
pub(super) fn read(bytes: &[u8]) -> Content {
    let Some(head_end) = memchr(b'\n', bytes).map(|at| at + 1) else { return Content::Nothing };
    let (first, rest) = bytes.split_at(head_end);
    if first.contains(&0) {
        // The system made room for it and lost power before it wrote.
        return Content::Nothing;
    }
    let Ok(head) = serde_json::from_slice::<Head>(first) else {
        return Content::Damaged("its first line cannot be read");
    };
    if head.shadowtap_segment != FORMAT {
        return Content::Damaged("another version wrote it");
    }
    // After a loss of power, pages that were not written are zeros; records have none.
    let clean = memchr(0, rest).unwrap_or(rest.len());
    let whole = rest.get(..clean).and_then(|clean| memrchr(b'\n', clean)).map_or(0, |at| at + 1);
    let lines = rest.get(..whole).unwrap_or_default();
    let last =
        lines.strip_suffix(b"\n").and_then(|lines| memrchr(b'\n', lines)).map_or(0, |at| at + 1);
    let (body, end) = lines.split_at_checked(last).unwrap_or((lines, b""));
    if !end.starts_with(END) {
        let records = count_lines(lines);
        return Content::Open { head, records, good: head_end + whole };
    }
    let Ok(End { records, crc32 }) = serde_json::from_slice(end) else {
        return Content::Damaged("its last line cannot be read");
    };
    let sealed = bytes.get(..head_end + last).unwrap_or_default();
    if whole != rest.len() || format!("{:08x}", crc32fast::hash(sealed)) != crc32 {
        return Content::Damaged("its checksum is wrong");
    }
    if count_lines(body) != records {
        return Content::Damaged("records are missing");
    }
    Content::Sealed { head, records, body: head_end..head_end + last }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head::new("findings".to_owned(), "00ff".to_owned(), 3)
    }

    #[test]
    fn the_last_line_has_room() {
        assert!(end_line(u64::MAX, u32::MAX).len() as u64 <= MAX_END_BYTES);
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        let mut bytes = head().line();
        bytes.extend_from_slice(body);
        let end = end_line(count_lines(body), crc32fast::hash(&bytes));
        bytes.extend_from_slice(&end);
        bytes
    }

    #[test]
    fn names_say_what_a_file_is() {
        for kind in Kind::ALL {
            let name = Name { number: 42, stream: "mcp_messages".to_owned(), records: 7, kind };
            assert_eq!(Name::parse(&name.text()), Some(name));
        }
        let odd = Name { number: 1, stream: "a/b-c.d".into(), records: 0, kind: Kind::Open };
        assert_eq!(odd.text(), "0000000000000001-a_b_c_d-0.open");
        for text in ["lock", "1.segment", "x-findings-1.segment", "1-findings-1.txt", "1-a-b.open"]
        {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_holds_its_whole_records() {
        let bytes = sealed(b"{\"a\":1}\n{\"b\":2}\n");
        let Content::Sealed { head: read_head, records: 2, body } = read(&bytes) else { panic!() };
        assert_eq!((read_head, &bytes[body]), (head(), &b"{\"a\":1}\n{\"b\":2}\n"[..]));
        let head_length = head().line().len();
        for cut in 0..bytes.len() {
            let whole = match cut.checked_sub(head_length) {
                None => {
                    assert_eq!(read(&bytes[..cut]), Content::Nothing, "{cut}");
                    continue;
                }
                Some(0..8) => 0,
                Some(8..16) => 1,
                Some(_) => 2,
            };
            let good = head_length + 8 * whole;
            let content = Content::Open { head: head(), records: whole as u64, good };
            assert_eq!(read(&bytes[..cut]), content, "{cut}");
            // The rest of the file came as zeros.
            let mut zeros = bytes[..cut].to_vec();
            zeros.resize(bytes.len(), 0);
            assert_eq!(read(&zeros), content, "{cut} and zeros");
        }
    }

    #[test]
    fn a_changed_bit_of_a_sealed_file_is_seen() {
        let bytes = sealed(b"{\"a\":1}\n{\"b\":2}\n");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(!matches!(read(&changed), Content::Sealed { .. }), "byte {at}");
        }
    }
}
