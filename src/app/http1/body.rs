//! Message bodies (RFC 9112 sections 6 and 7): where the data is, piece by piece.
//!
//! A [`Body`] keeps a few integers and no bytes. What it is shown it either names as data, in
//! place, or consumes as framing.

use memchr::memchr;

use super::oddity::Oddity;

/// A body that is being read.
#[derive(Clone, Debug)]
pub(in crate::app) enum Body {
    /// So many bytes are left.
    Length(u64),
    /// Chunked coding.
    Chunked(Chunk),
    /// All that comes.
    UntilClose,
    /// An event stream whose framing was lost: see [`EventTail`].
    Events(EventTail),
}

/// Where in the chunked coding (RFC 9112 section 7.1).
#[derive(Clone, Debug)]
pub(in crate::app) enum Chunk {
    /// In a chunk-size line.
    Size(SizeLine),
    /// So many bytes of data are left in this chunk.
    Data(u64),
    /// Right after the data.
    DataEnd,
    /// After the CR that follows the data.
    DataEndLf,
}

/// A chunk-size line, as far as it was read.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct SizeLine {
    size: u64,
    digits: bool,
    /// The number is over: a blank, a CR or an extension came.
    over: bool,
    extension: bool,
    bytes: usize,
}

/// What happened at the end of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Status {
    /// Go on.
    More,
    /// The body is over.
    Done,
    /// The last chunk was read: the trailer section follows.
    LastChunk,
    /// The framing makes no sense from here.
    Broken(Oddity),
    /// The bytes `HTTP/1.` were read where only a next message can have them.
    NextMessage,
}

/// One piece of a body.
#[derive(Debug)]
pub(in crate::app) struct Step<'a> {
    /// Data that was held back earlier, before `data`.
    pub(in crate::app) held: Held,
    /// Data, in place.
    pub(in crate::app) data: &'a [u8],
    /// Bytes consumed, data and framing.
    pub(in crate::app) used: usize,
    pub(in crate::app) status: Status,
    pub(in crate::app) oddity: Option<Oddity>,
}

impl<'a> Step<'a> {
    const fn new(data: &'a [u8], used: usize, status: Status) -> Self {
        Self { held: Held::EMPTY, data, used, status, oddity: None }
    }
}

/// What a gap did to a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum AfterGap {
    /// It took this many bytes of it; the body goes on.
    Inside(u64),
    /// It took this many bytes, and the body is exactly over.
    Done(u64),
    /// It took the end of the body (after this many bytes) and what follows.
    Lost(u64),
}

impl Body {
    /// A chunked body from its start.
    pub(in crate::app) fn chunked() -> Self {
        Self::Chunked(Chunk::Size(SizeLine::default()))
    }

    /// Reads one piece; `bytes` is not empty. A step consumes something or has a status.
    pub(in crate::app) fn step<'a>(&mut self, bytes: &'a [u8], max_line: usize) -> Step<'a> {
        match self {
            Self::Length(left) => {
                let data = take(bytes, left);
                let status = if *left == 0 { Status::Done } else { Status::More };
                Step::new(data, data.len(), status)
            }
            Self::UntilClose => Step::new(bytes, bytes.len(), Status::More),
            Self::Chunked(chunk) => chunk.step(bytes, max_line),
            Self::Events(tail) => {
                let (step, chunk) = tail.step(bytes);
                if let Some(size) = chunk {
                    *self = Self::Chunked(Chunk::Data(size));
                }
                step
            }
        }
    }

    /// Bytes are missing. `events`: the body is an event stream, which can be picked up again.
    pub(in crate::app) fn gap(&mut self, len: u64, events: bool) -> AfterGap {
        match self {
            Self::Length(left) if len > *left => AfterGap::Lost(*left),
            Self::Length(left) => {
                *left -= len;
                if *left == 0 { AfterGap::Done(len) } else { AfterGap::Inside(len) }
            }
            Self::UntilClose => AfterGap::Inside(len),
            Self::Chunked(Chunk::Data(left)) if len <= *left => {
                *left -= len;
                if *left == 0 {
                    *self = Self::Chunked(Chunk::DataEnd);
                }
                AfterGap::Inside(len)
            }
            Self::Chunked(_) | Self::Events(_) if events => {
                // Where the next bytes fall is not known: perhaps a chunk-size line.
                *self = Self::Events(EventTail::default());
                AfterGap::Inside(len)
            }
            Self::Chunked(Chunk::Data(left)) => AfterGap::Lost(*left),
            Self::Chunked(_) | Self::Events(_) => AfterGap::Lost(0),
        }
    }
}

/// Splits off as much as is left.
fn take<'a>(bytes: &'a [u8], left: &mut u64) -> &'a [u8] {
    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= len as u64;
    bytes.get(..len).unwrap_or(bytes)
}

impl Chunk {
    fn step<'a>(&mut self, bytes: &'a [u8], max_line: usize) -> Step<'a> {
        match self {
            Self::Size(line) => {
                let (used, result, oddity) = line.read(bytes, max_line);
                let status = match result {
                    Ok(None) => Status::More,
                    Ok(Some(0)) => Status::LastChunk,
                    Ok(Some(size)) => {
                        *self = Self::Data(size);
                        Status::More
                    }
                    Err(oddity) => Status::Broken(oddity),
                };
                Step { oddity, ..Step::new(&[], used, status) }
            }
            Self::Data(left) => {
                let data = take(bytes, left);
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                Step::new(data, data.len(), Status::More)
            }
            Self::DataEnd if bytes.first() == Some(&b'\r') => {
                *self = Self::DataEndLf;
                Step::new(&[], 1, Status::More)
            }
            Self::DataEnd | Self::DataEndLf => {
                let next = bytes.first().copied().unwrap_or_default();
                *self = Self::Size(SizeLine::default());
                if next == b'\n' {
                    return Step::new(&[], 1, Status::More);
                }
                let oddity = Some(Oddity::ChunkUnterminated);
                // Perhaps only the line end was left out.
                if next.is_ascii_hexdigit() {
                    return Step { oddity, ..Step::new(&[], 0, Status::More) };
                }
                Step::new(&[], 0, Status::Broken(Oddity::ChunkUnterminated))
            }
        }
    }
}

type SizeResult = Result<Option<u64>, Oddity>;

impl SizeLine {
    /// Reads on; the size when the line is over.
    fn read(&mut self, bytes: &[u8], max_line: usize) -> (usize, SizeResult, Option<Oddity>) {
        let mut oddity = None;
        let mut used = 0;
        while let Some(byte) = bytes.get(used).copied() {
            if self.bytes >= max_line {
                return (used, Err(Oddity::ChunkLineTooLong), oddity);
            }
            used += 1;
            self.bytes += 1;
            match byte {
                b'\n' if self.digits => return (used, Ok(Some(self.size)), oddity),
                _ if self.extension => {
                    // Up to the line end in one go.
                    let rest = bytes.get(used..).unwrap_or_default();
                    let skip = memchr(b'\n', rest).unwrap_or(rest.len());
                    let skip = skip.min(max_line.saturating_sub(self.bytes));
                    used += skip;
                    self.bytes += skip;
                }
                b';' if self.digits => self.extension = true,
                b'\r' if self.digits => self.over = true,
                b' ' | b'\t' => {
                    oddity = Some(Oddity::ChunkSizeSpace);
                    self.over = self.digits;
                }
                _ => {
                    let Some(digit) = (byte as char).to_digit(16).filter(|_| !self.over) else {
                        return (used, Err(Oddity::ChunkSizeInvalid), oddity);
                    };
                    if self.size >> 60 != 0 {
                        return (used, Err(Oddity::ChunkSizeOverflow), oddity);
                    }
                    self.digits = true;
                    self.size = self.size << 4 | u64::from(digit);
                }
            }
        }
        (used, Ok(None), oddity)
    }
}

/// A few bytes that may turn out to be framing or data.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::app) struct Held {
    bytes: [u8; 12],
    len: usize,
}

impl Held {
    const EMPTY: Self = Self { bytes: [0; 12], len: 0 };

    pub(in crate::app) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }
}

/// An event stream that was met, or met again after a gap, somewhere inside: whether it is
/// chunked is not known. No line of an event stream is a bare hexadecimal number that ends with
/// CRLF, so the first such line is a chunk-size line, and what follows is read as chunked. Until
/// then bytes pass as they are: the line ends around chunk-size lines are empty lines to an
/// event stream's reader.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct EventTail {
    mid_line: bool,
    held: Held,
}

/// How much `held` and one more byte look like framing.
enum Fit {
    No,
    Partly,
    ChunkSize(u64),
    NextMessage,
}

impl EventTail {
    /// In the middle of a line.
    pub(in crate::app) fn in_line() -> Self {
        Self { mid_line: true, ..Self::default() }
    }

    fn step<'a>(&mut self, bytes: &'a [u8]) -> (Step<'a>, Option<u64>) {
        if self.mid_line {
            let end = memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
            let data = bytes.get(..end).unwrap_or(bytes);
            self.mid_line = !data.ends_with(b"\n");
            return (Step::new(data, end, Status::More), None);
        }
        for (used, byte) in bytes.iter().enumerate() {
            match self.fit(*byte) {
                Fit::Partly => self.held.push(*byte),
                Fit::No => {
                    let held = std::mem::take(&mut self.held);
                    self.mid_line = true;
                    return (Step { held, ..Step::new(&[], used, Status::More) }, None);
                }
                Fit::ChunkSize(0) => return (Step::new(&[], used + 1, Status::LastChunk), None),
                Fit::ChunkSize(size) => {
                    return (Step::new(&[], used + 1, Status::More), Some(size));
                }
                Fit::NextMessage => {
                    return (Step::new(&[], used + 1, Status::NextMessage), None);
                }
            }
        }
        (Step::new(&[], bytes.len(), Status::More), None)
    }

    fn fit(&self, byte: u8) -> Fit {
        const NEXT: &[u8] = b"HTTP/1.";
        let held = self.held.as_slice();
        if NEXT.starts_with(held) && NEXT.get(held.len()) == Some(&byte) {
            return if held.len() + 1 == NEXT.len() { Fit::NextMessage } else { Fit::Partly };
        }
        let (digits, cr) = match held {
            [digits @ .., b'\r'] => (digits, true),
            digits => (digits, false),
        };
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Fit::No;
        }
        match byte {
            b'\n' if cr => Fit::ChunkSize(digits.iter().fold(0, |size, digit| {
                size << 4 | u64::from((*digit as char).to_digit(16).unwrap_or(0))
            })),
            b'\r' if !cr && !digits.is_empty() => Fit::Partly,
            _ if !cr && digits.len() < 8 && byte.is_ascii_hexdigit() => Fit::Partly,
            _ => Fit::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, what is left over, and the last status that is not `More`; fed in `size`s.
    fn read(
        mut body: Body,
        text: &[u8],
        size: usize,
    ) -> (String, usize, Status, Vec<&'static str>) {
        let (mut data, mut status, mut odd) = (Vec::new(), Status::More, Vec::new());
        let mut at = 0;
        while at < text.len() && status == Status::More {
            let piece = &text[at..text.len().min(at + size)];
            let step = body.step(piece, 64);
            data.extend_from_slice(step.held.as_slice());
            data.extend_from_slice(step.data);
            odd.extend(step.oddity.map(Oddity::kind));
            (at, status) = (at + step.used, step.status);
        }
        odd.dedup();
        (String::from_utf8(data).unwrap(), text.len() - at, status, odd)
    }

    #[test]
    fn chunked_bodies_read_alike_in_any_pieces() {
        let table: &[(&str, &str, usize, Status, &[&str])] = &[
            ("3\r\nabc\r\n0\r\n\r\n", "abc", 2, Status::LastChunk, &[]),
            ("3;x=\"y\"\r\nabc\r\n000\r\n", "abc", 0, Status::LastChunk, &[]),
            ("3\nabc\nA\n0123456789\n0\n", "abc0123456789", 0, Status::LastChunk, &[]),
            (" 3 \r\nabc\r\n", "abc", 0, Status::More, &["chunk-size-whitespace"]),
            ("3\r\nabc2\r\nde\r\n", "abcde", 0, Status::More, &["chunk-unterminated"]),
            ("3\r\nabcx", "abc", 1, Status::Broken(Oddity::ChunkUnterminated), &[]),
            ("x\r\n", "", 2, Status::Broken(Oddity::ChunkSizeInvalid), &[]),
            ("\r\n", "", 1, Status::Broken(Oddity::ChunkSizeInvalid), &[]),
            (
                "3 4\r\n",
                "",
                2,
                Status::Broken(Oddity::ChunkSizeInvalid),
                &["chunk-size-whitespace"],
            ),
            ("0x3\r\n", "", 3, Status::Broken(Oddity::ChunkSizeInvalid), &[]),
            ("-1\r\n", "", 3, Status::Broken(Oddity::ChunkSizeInvalid), &[]),
            ("10000000000000000\r\n", "", 2, Status::Broken(Oddity::ChunkSizeOverflow), &[]),
        ];
        for (text, data, left, status, odd) in table {
            for size in 1..=text.len() {
                let got = read(Body::chunked(), text.as_bytes(), size);
                assert_eq!(got.0, *data, "{text:?} by {size}");
                assert_eq!(
                    (got.1, got.2, got.3.as_slice()),
                    (*left, *status, *odd),
                    "{text:?} by {size}"
                );
            }
        }
    }

    #[test]
    fn a_chunk_size_line_has_a_bound() {
        let text = [b"3;".as_slice(), &[b'x'; 200]].concat();
        for size in [1, 7, 300] {
            let got = read(Body::chunked(), &text, size);
            assert_eq!((got.1, got.2), (138, Status::Broken(Oddity::ChunkLineTooLong)), "{size}");
        }
    }

    #[test]
    fn an_event_stream_finds_its_chunks_again() {
        let text = "part of a line\n\n\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n";
        for size in 1..=text.len() {
            let got = read(Body::Events(EventTail::in_line()), text.as_bytes(), size);
            assert_eq!(got.0, "part of a line\n\n\r\ndata: 1\n\n", "by {size}");
            assert_eq!((got.1, got.2), (2, Status::LastChunk), "by {size}");
        }
    }

    #[test]
    fn an_event_stream_passes_what_only_begins_like_framing() {
        for text in [
            "data: 1\n",
            "dada\n",
            "HTTP/2\n",
            "\r\n\n",
            "12345678\n",
            "123456789\r\n",
            "abc\r\r\n",
        ] {
            for size in 1..=text.len() {
                let full = format!("{text}z");
                let got = read(Body::Events(EventTail::default()), full.as_bytes(), size);
                assert_eq!((got.0, got.2), (full, Status::More), "by {size}");
            }
        }
    }

    #[test]
    fn gaps_inside_known_lengths_only() {
        let data = |left| Body::Chunked(Chunk::Data(left));
        assert_eq!(Body::Length(5).gap(4, false), AfterGap::Inside(4));
        assert_eq!(Body::Length(5).gap(5, false), AfterGap::Done(5));
        assert_eq!(Body::Length(5).gap(6, false), AfterGap::Lost(5));
        assert_eq!(data(5).gap(5, false), AfterGap::Inside(5));
        assert_eq!(data(5).gap(6, false), AfterGap::Lost(5));
        assert_eq!(data(5).gap(6, true), AfterGap::Inside(6));
        assert_eq!(Body::chunked().gap(1, false), AfterGap::Lost(0));
        assert_eq!(Body::UntilClose.gap(9, false), AfterGap::Inside(9));
    }
}
