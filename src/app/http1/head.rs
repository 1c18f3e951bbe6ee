//! Message heads: where one ends, and what it says (RFC 9112 sections 2 to 5).
//!
//! A head that lies in one chunk is read in place; a head that is spread is put together by the
//! caller first. Only a folded field value needs a rewritten copy.

use memchr::memchr;

use super::oddity::{Oddities, Oddity};
use super::start_line::{self, is_token_byte};
use crate::exchange::{HeaderSpan, Headers, Version};
use crate::net::Direction;

/// Buffers that are used for one head after another.
#[derive(Debug, Default)]
pub(in crate::app) struct Scratch {
    /// Offset of every LF of the head.
    pub(in crate::app) lines: Vec<usize>,
    spans: Vec<HeaderSpan>,
    unfolded: Vec<u8>,
}

/// Finds the empty line that ends a head, in pieces: it keeps no bytes, only what it needs to
/// know of the line that is not over.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::app) struct Scan {
    line_bytes: usize,
    starts_with_cr: bool,
}

impl Scan {
    /// Offset after the head's last byte. Offsets of the LFs before it are added to `lines`.
    pub(in crate::app) fn find_end(
        &mut self,
        bytes: &[u8],
        lines: &mut Vec<usize>,
    ) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..)?;
            let line = memchr(b'\n', rest);
            let len = line.unwrap_or(rest.len());
            if self.line_bytes == 0 {
                self.starts_with_cr = rest.first() == Some(&b'\r');
            }
            self.line_bytes += len;
            line?;
            at += len + 1;
            if self.line_bytes == 0 || (self.line_bytes == 1 && self.starts_with_cr) {
                return Some(at);
            }
            lines.push(at - 1);
            self.line_bytes = 0;
        }
    }
}

/// `Transfer-Encoding`, all fields together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) enum Transfer {
    /// No such field, or nothing but `identity`.
    #[default]
    None,
    /// The last coding is `chunked`.
    Chunked,
    /// The last coding is another.
    Other,
}

/// What a connection switches to: the first protocol of `Upgrade` that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Upgrade {
    /// `websocket`.
    WebSocket,
    /// `h2c`.
    Http2,
    /// Any other.
    Other,
}

/// What framing and pairing need of the fields.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::app) struct Facts {
    pub(in crate::app) length: Option<u64>,
    pub(in crate::app) transfer: Transfer,
    pub(in crate::app) upgrade: Option<Upgrade>,
    pub(in crate::app) event_stream: bool,
}

/// The first line of a head.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) enum StartLine<'a> {
    Request { method: &'a [u8], target: &'a [u8] },
    Response { status: u16 },
}

/// A head, as read.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Head<'a> {
    pub(in crate::app) start: StartLine<'a>,
    pub(in crate::app) version: Version,
    pub(in crate::app) headers: Headers<'a>,
    pub(in crate::app) facts: Facts,
    pub(in crate::app) oddities: Oddities,
}

/// Reads a head whose LFs are at `scratch.lines`; the empty line may be missing. `None` when the
/// start line is none.
pub(in crate::app) fn parse<'a>(
    bytes: &'a [u8],
    direction: Direction,
    max_headers: usize,
    scratch: &'a mut Scratch,
) -> Option<Head<'a>> {
    let Scratch { lines, spans, unfolded } = scratch;
    let mut oddities = Oddities::default();
    let folded = |lf: &usize| matches!(bytes.get(lf + 1), Some(b' ' | b'\t'));
    let bytes = if lines.iter().any(folded) {
        oddities.insert(Oddity::ObsFold);
        unfold(bytes, lines, unfolded);
        unfolded.as_slice()
    } else {
        bytes
    };
    let first = bytes.get(..*lines.first()?)?;
    let (start, version, oddity) = match direction {
        Direction::ToServer => {
            let line = start_line::request(first)?;
            let start = StartLine::Request { method: line.method, target: line.target };
            (start, line.version, line.oddity)
        }
        Direction::ToClient => {
            let line = start_line::status(first)?;
            (StartLine::Response { status: line.status }, line.version, line.oddity)
        }
    };
    if let Some(oddity) = oddity {
        oddities.insert(oddity);
    }
    if !first.ends_with(b"\r") {
        oddities.insert(Oddity::BareLf);
    }
    if memchr(0, bytes).is_some() {
        oddities.insert(Oddity::NulInHead);
    }
    let mut fields = Fields { spans, facts: Facts::default(), oddities, version };
    fields.spans.clear();
    for pair in lines.windows(2) {
        let &[before, lf] = pair else { break };
        if fields.spans.len() >= max_headers {
            fields.oddities.insert(Oddity::TooManyHeaders);
            break;
        }
        fields.line(bytes, before + 1, lf);
    }
    fields.conclude(direction);
    let Fields { spans, facts, oddities, .. } = fields;
    Some(Head { start, version, headers: Headers { bytes, spans }, facts, oddities })
}

/// Joins folded lines with a blank (RFC 9112 section 5.2); a fold right after the start line
/// continues nothing and is dropped.
fn unfold(bytes: &[u8], lines: &mut Vec<usize>, out: &mut Vec<u8>) {
    out.clear();
    let mut start = 0;
    let mut joined = Vec::with_capacity(lines.len());
    for lf in lines.iter().copied() {
        let line = bytes.get(start..=lf).unwrap_or_default();
        start = lf + 1;
        if joined.is_empty() || !matches!(line.first(), Some(b' ' | b'\t')) {
            out.extend_from_slice(line);
            joined.push(out.len().saturating_sub(1));
        } else if joined.len() > 1 {
            joined.pop();
            while matches!(out.last(), Some(b'\r' | b'\n' | b' ' | b'\t')) {
                out.pop();
            }
            out.push(b' ');
            out.extend_from_slice(line.trim_ascii_start());
            if out.last() != Some(&b'\n') {
                out.extend_from_slice(b"\r\n");
            }
            joined.push(out.len().saturating_sub(1));
        }
    }
    *lines = joined;
}

struct Fields<'s> {
    spans: &'s mut Vec<HeaderSpan>,
    facts: Facts,
    oddities: Oddities,
    version: Version,
}

impl Fields<'_> {
    /// One field line, `bytes[start..lf]`.
    fn line(&mut self, bytes: &[u8], start: usize, lf: usize) {
        let line = bytes.get(start..lf).unwrap_or_default();
        if !line.ends_with(b"\r") {
            self.oddities.insert(Oddity::BareLf);
        }
        let Some(colon) = memchr(b':', line) else {
            self.oddities.insert(Oddity::LineInvalid);
            return;
        };
        let (name, value) = line.split_at(colon);
        let trimmed = start_line::trim_end(name);
        if trimmed.len() < name.len() {
            self.oddities.insert(Oddity::SpaceBeforeColon);
        }
        if trimmed.is_empty() {
            self.oddities.insert(Oddity::LineInvalid);
            return;
        }
        if !trimmed.iter().all(|byte| is_token_byte(*byte)) {
            self.oddities.insert(Oddity::NameInvalid);
        }
        let value = start_line::trim_end(value.get(1..).unwrap_or_default());
        let blank = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let value_start = start + colon + 1 + blank;
        let value_end = (start + colon + 1 + value.len()).max(value_start);
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.spans.push(HeaderSpan {
            name_start: offset(start),
            name_end: offset(start + trimmed.len()),
            value_start: offset(value_start),
            value_end: offset(value_end),
        });
        self.field(trimmed, value.get(blank..).unwrap_or_default());
    }

    /// Keeps what framing needs. The length decides for almost all names.
    fn field(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade(value),
            12 if name.eq_ignore_ascii_case(b"content-type") => {
                let kind = value.get(..17).unwrap_or_default();
                self.facts.event_stream = kind.eq_ignore_ascii_case(b"text/event-stream");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer(value),
            _ => {}
        }
    }

    /// RFC 9110 section 8.6. A list of equal numbers is one number.
    fn content_length(&mut self, value: &[u8]) {
        for item in value.split(|byte| *byte == b',') {
            let Some(length) = decimal(item.trim_ascii()) else {
                self.oddities.insert(Oddity::LengthInvalid);
                continue;
            };
            match self.facts.length {
                None => self.facts.length = Some(length),
                Some(first) if first == length => {
                    self.oddities.insert(Oddity::LengthDuplicate);
                }
                Some(_) => {
                    self.oddities.insert(Oddity::LengthConflict);
                }
            }
        }
    }

    /// RFC 9112 section 6.1. The last coding of the last field counts.
    fn transfer(&mut self, value: &[u8]) {
        for item in value.split(|byte| *byte == b',') {
            let coding = item.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            if coding.eq_ignore_ascii_case(b"chunked") {
                self.facts.transfer = Transfer::Chunked;
                continue;
            }
            let known: [&[u8]; 5] = [b"gzip", b"deflate", b"compress", b"x-gzip", b"x-compress"];
            let known = known.iter().any(|name| coding.eq_ignore_ascii_case(name));
            let oddity = if known { Oddity::TransferCodingKept } else { Oddity::TransferUnknown };
            self.oddities.insert(oddity);
            self.facts.transfer = Transfer::Other;
        }
    }

    fn upgrade(&mut self, value: &[u8]) {
        for item in value.split(|byte| *byte == b',') {
            let name = item.trim_ascii();
            let upgrade = if name.eq_ignore_ascii_case(b"websocket") {
                Upgrade::WebSocket
            } else if name.eq_ignore_ascii_case(b"h2c") {
                Upgrade::Http2
            } else {
                Upgrade::Other
            };
            if self.facts.upgrade.is_none_or(|known| known == Upgrade::Other) {
                self.facts.upgrade = Some(upgrade);
            }
        }
    }

    /// What only all fields together tell.
    fn conclude(&mut self, direction: Direction) {
        if self.facts.transfer == Transfer::None {
            return;
        }
        if self.facts.length.is_some() {
            self.oddities.insert(Oddity::LengthWithTransfer);
        }
        if self.version == Version::Http10 {
            self.oddities.insert(Oddity::TransferInHttp10);
        }
        if self.facts.transfer == Transfer::Other && direction == Direction::ToServer {
            self.oddities.insert(Oddity::TransferNotChunked);
        }
    }
}

/// Digits only: no sign, no blank, no overflow.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_head<T>(text: &str, direction: Direction, look: impl Fn(&Head<'_>) -> T) -> Option<T> {
        let mut scratch = Scratch::default();
        let end = Scan::default().find_end(text.as_bytes(), &mut scratch.lines)?;
        let head = parse(&text.as_bytes()[..end], direction, 4, &mut scratch)?;
        Some(look(&head))
    }

    fn facts(text: &str) -> (Facts, Vec<&'static str>) {
        let text = format!("POST / HTTP/1.1\r\n{text}\r\n\r\n");
        with_head(&text, Direction::ToServer, |head| {
            (head.facts, head.oddities.iter().map(Oddity::kind).collect())
        })
        .unwrap()
    }

    fn fields(text: &str) -> Vec<(String, String)> {
        let text = format!("POST / HTTP/1.1\r\n{text}");
        let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        with_head(&text, Direction::ToServer, |head| {
            head.headers.iter().map(|(name, value)| (owned(name), owned(value))).collect()
        })
        .unwrap()
    }

    #[test]
    fn the_end_of_a_head_is_the_same_at_every_cut() {
        for (text, end) in
            [("a\r\n\r\nx", 5), ("a\n\nx", 3), ("a\n\r\nx", 4), ("a\r\n\rb\r\n\r\n", 9)]
        {
            for cut in 0..text.len() {
                let (mut scan, mut lines) = (Scan::default(), Vec::new());
                let (left, right) = text.as_bytes().split_at(cut);
                let found = scan
                    .find_end(left, &mut lines)
                    .or_else(|| scan.find_end(right, &mut lines).map(|at| at + cut));
                assert_eq!(found, Some(end), "{text:?} at {cut}");
            }
        }
    }

    #[test]
    fn values_are_trimmed_and_folds_joined() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(fields("A:  b c \t\r\nd:\r\n\r\n"), [pair("A", "b c"), pair("d", "")]);
        assert_eq!(fields("a : b\nc:d\n\n"), [pair("a", "b"), pair("c", "d")]);
        assert_eq!(
            fields("a: b \r\n \t c\r\n  d\r\ne: f\r\n\r\n"),
            [pair("a", "b c d"), pair("e", "f")]
        );
        assert_eq!(fields(" x: y\r\na: b\r\n\r\n"), [pair("a", "b")]);
        assert_eq!(fields(":x\r\nnone\r\na:b\r\n\r\n"), [pair("a", "b")]);
        assert_eq!(fields("a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\n\r\n").len(), 4);
    }

    #[test]
    fn framing_fields() {
        let table: &[(&str, Option<u64>, Transfer, &[&str])] = &[
            ("content-length: 5", Some(5), Transfer::None, &[]),
            ("Content-Length: 5, 5", Some(5), Transfer::None, &["content-length-duplicate"]),
            (
                "content-length: 5\r\nContent-Length: 6",
                Some(5),
                Transfer::None,
                &["content-length-conflict"],
            ),
            ("content-length: +5", None, Transfer::None, &["content-length-invalid"]),
            (
                "content-length: 99999999999999999999",
                None,
                Transfer::None,
                &["content-length-invalid"],
            ),
            ("transfer-encoding: Chunked", None, Transfer::Chunked, &[]),
            (
                "transfer-encoding: gzip, chunked",
                None,
                Transfer::Chunked,
                &["transfer-coding-not-removed"],
            ),
            (
                "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
                None,
                Transfer::Chunked,
                &["transfer-coding-not-removed"],
            ),
            (
                "transfer-encoding: chunked, gzip",
                None,
                Transfer::Other,
                &["transfer-encoding-not-chunked", "transfer-coding-not-removed"],
            ),
            (
                "transfer-encoding: xchunked",
                None,
                Transfer::Other,
                &["transfer-encoding-not-chunked", "transfer-encoding-unknown"],
            ),
            ("transfer-encoding: identity\r\ncontent-length: 1", Some(1), Transfer::None, &[]),
            (
                "content-length: 3\r\ntransfer-encoding: chunked",
                Some(3),
                Transfer::Chunked,
                &["content-length-with-transfer-encoding"],
            ),
            ("x\x01: 3", None, Transfer::None, &["header-name-invalid"]),
            ("x: \0", None, Transfer::None, &["nul-in-head"]),
        ];
        for (text, length, transfer, kinds) in table {
            let (facts, oddities) = facts(text);
            assert_eq!((facts.length, facts.transfer), (*length, *transfer), "{text}");
            assert_eq!(oddities, *kinds, "{text}");
        }
    }

    #[test]
    fn upgrade_prefers_a_protocol_it_knows() {
        assert_eq!(facts("upgrade: h2c").0.upgrade, Some(Upgrade::Http2));
        assert_eq!(facts("upgrade: foo/1, WebSocket").0.upgrade, Some(Upgrade::WebSocket));
        assert_eq!(facts("upgrade: foo").0.upgrade, Some(Upgrade::Other));
    }
}
