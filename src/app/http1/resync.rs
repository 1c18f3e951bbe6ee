//! Looks for the next message where framing was lost: after a gap, midstream, behind malformed
//! bytes. Linear in the bytes; keeps at most 8 KiB of the line that is not over.
//!
//! A line is a message start when it is a request line or a status line from its first byte, or
//! when it ends with one that is strict enough to stand behind a body without a line end. An
//! event stream is recognised by its field lines, after a chunk-size line or not.

use memchr::{memchr, memmem, memrchr};

use super::start_line;
use crate::net::Direction;

/// Bytes of a line that are kept at its end, and so the longest start line found.
const KEPT_BYTES: usize = 4 << 10;
/// Bytes of a line's start that tell an event stream.
const EVENT_PREFIX_BYTES: usize = 8;

/// How much is known of the current line's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum LineStart {
    /// A line begins here.
    Sure,
    /// Bytes before it are missing: perhaps a line begins here.
    Perhaps,
    /// The middle of a line.
    No,
}

/// What was found; it begins at the start of the taken buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Found {
    /// A request line or a status line, whole.
    Message(Direction),
    /// Lines of an event stream, and how much is left of the chunk that they lie in, if known.
    Events(Option<u64>),
}

/// A search in one direction.
#[derive(Clone, Debug)]
pub(in crate::app) struct Search {
    /// `None`: either kind of message.
    direction: Option<Direction>,
    /// Lines that may belong to what comes, then the current line.
    buffer: Vec<u8>,
    /// Where the current line begins in `buffer`.
    line_at: usize,
    line_start: LineStart,
    /// Left of the current chunk at `buffer[0]`, if chunked coding seems to be used.
    chunk_left: Option<u64>,
    /// Bytes searched.
    seen: u64,
}

enum Events {
    No,
    /// A field line that alone proves nothing.
    Keep,
    Yes,
}

impl Search {
    pub(in crate::app) const fn new(direction: Option<Direction>, line_start: LineStart) -> Self {
        Self { direction, buffer: Vec::new(), line_at: 0, line_start, chunk_left: None, seen: 0 }
    }

    /// Bytes searched so far.
    pub(in crate::app) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Looks for one kind of message only from here.
    pub(in crate::app) const fn narrow(&mut self, direction: Direction) {
        self.direction = Some(direction);
    }

    /// Bytes are missing.
    pub(in crate::app) fn gap(&mut self) {
        self.buffer.clear();
        (self.line_at, self.line_start, self.chunk_left) = (0, LineStart::Perhaps, None);
    }

    /// What was found, and what follows of it up to the last byte used.
    pub(in crate::app) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Reads on until something is found or all bytes are used.
    pub(in crate::app) fn feed(&mut self, bytes: &[u8]) -> (usize, Option<Found>) {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let (piece, ended) = match memchr(b'\n', rest) {
                Some(lf) => (rest.get(..=lf).unwrap_or(rest), true),
                None => (rest, false),
            };
            used += piece.len();
            self.seen += piece.len() as u64;
            let found = if ended { self.line(piece) } else { self.partial(piece) };
            if found.is_some() {
                return (used, found);
            }
        }
        (used, None)
    }

    /// More of a line that is not over.
    fn partial(&mut self, piece: &[u8]) -> Option<Found> {
        let missing = EVENT_PREFIX_BYTES.saturating_sub(self.buffer.len() - self.line_at);
        if missing > 0 {
            let (first, _) = piece.split_at(missing.min(piece.len()));
            let known = self.buffer.len();
            self.buffer.extend_from_slice(first);
            if matches!(self.events(self.buffer.get(self.line_at..)?, false), Events::Yes) {
                self.buffer.extend_from_slice(piece.get(first.len()..)?);
                return Some(self.events_found());
            }
            self.buffer.truncate(known);
        }
        self.append(piece);
        None
    }

    /// Adds to the current line, keeping only its end when it is long.
    fn append(&mut self, piece: &[u8]) {
        let piece_tail = piece.get(piece.len().saturating_sub(KEPT_BYTES)..).unwrap_or(piece);
        if piece_tail.len() < piece.len() {
            self.drop_front(self.buffer.len());
            self.skip((piece.len() - piece_tail.len()) as u64);
            self.line_start = LineStart::No;
        }
        self.buffer.extend_from_slice(piece_tail);
        if self.buffer.len() > 2 * KEPT_BYTES {
            self.drop_front(self.buffer.len() - KEPT_BYTES);
            self.line_start = LineStart::No;
        }
    }

    fn drop_front(&mut self, len: usize) {
        self.buffer.drain(..len.min(self.buffer.len()));
        self.line_at = self.line_at.saturating_sub(len);
        self.skip(len as u64);
    }

    fn skip(&mut self, len: u64) {
        self.chunk_left = self.chunk_left.and_then(|left| left.checked_sub(len));
    }

    /// The rest of a line, with its LF.
    fn line(&mut self, piece: &[u8]) -> Option<Found> {
        if self.buffer.is_empty() && !self.is_interesting(piece) {
            self.skip(piece.len() as u64);
            if let Some(size) = self.chunk_size(piece) {
                self.chunk_left = Some(size);
            }
            self.line_start = LineStart::Sure;
            return None;
        }
        self.append(piece);
        let line = self.buffer.get(self.line_at..).unwrap_or_default();
        if let Some((at, direction)) = self.message_start(line) {
            let start = self.line_at + at;
            self.buffer.drain(..start);
            return Some(Found::Message(direction));
        }
        match self.events(line, true) {
            Events::Yes => return Some(self.events_found()),
            Events::Keep => self.line_at = self.buffer.len(),
            Events::No => {
                let size = self.chunk_size(line);
                self.drop_front(self.buffer.len());
                self.chunk_left = size.or(self.chunk_left);
                self.line_at = 0;
            }
        }
        self.line_start = LineStart::Sure;
        None
    }

    fn events_found(&self) -> Found {
        let len = self.buffer.len() as u64;
        Found::Events(self.chunk_left.filter(|left| *left >= len))
    }

    /// Cheap test of a whole line, before it is copied.
    fn is_interesting(&self, line: &[u8]) -> bool {
        memmem::find(line, b"HTTP/1.").is_some() || !matches!(self.events(line, true), Events::No)
    }

    /// A line that is a chunk size, as RFC 9112 section 7.1 has it without extensions.
    fn chunk_size(&self, line: &[u8]) -> Option<u64> {
        let digits = line.strip_suffix(b"\r\n").filter(|_| self.line_start != LineStart::No)?;
        if digits.is_empty() || digits.len() > 8 {
            return None;
        }
        digits
            .iter()
            .try_fold(0, |size, digit| Some(size << 4 | u64::from((*digit as char).to_digit(16)?)))
    }

    /// Whether the line belongs to an event stream (WHATWG HTML section 9.2).
    fn events(&self, line: &[u8], ended: bool) -> Events {
        if self.direction == Some(Direction::ToServer) || self.line_start == LineStart::No {
            return Events::No;
        }
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            return if matches!(value.first(), Some(b'{' | b'[')) {
                Events::Yes
            } else {
                Events::No
            };
        }
        if !ended {
            return Events::No;
        }
        let text = |value: &[u8]| {
            value.len() <= 256 && value.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        };
        let value =
            |name: &[u8]| Some(start_line::trim_end(line.strip_suffix(b"\n")?.strip_prefix(name)?));
        if let Some(value) = value(b"event:") {
            let name = value.trim_ascii();
            let named = !name.is_empty() && name.iter().all(|b| start_line::is_token_byte(*b));
            return if named { Events::Yes } else { Events::No };
        }
        let digits = |value: &[u8]| value.trim_ascii().iter().all(u8::is_ascii_digit);
        let keep = value(b"id:").is_some_and(text)
            || value(b"retry:").is_some_and(digits)
            || value(b":").is_some_and(text);
        if keep { Events::Keep } else { Events::No }
    }

    /// Where in the line a message starts, if it does.
    fn message_start(&self, line: &[u8]) -> Option<(usize, Direction)> {
        let crlf = line.ends_with(b"\r\n");
        let line = start_line::trim_end(line.strip_suffix(b"\n").unwrap_or(line));
        if self.direction != Some(Direction::ToClient)
            && let Some(at) = self.request_start(line, crlf)
        {
            return Some((at, Direction::ToServer));
        }
        if self.direction != Some(Direction::ToServer)
            && let Some(at) = self.status_start(line, crlf)
        {
            return Some((at, Direction::ToClient));
        }
        None
    }

    fn status_start(&self, line: &[u8], crlf: bool) -> Option<usize> {
        memmem::find_iter(line, b"HTTP/1.").find(|at| {
            let read = line.get(*at..).and_then(start_line::status);
            let line_start = *at == 0 && self.line_start != LineStart::No;
            read.is_some_and(|status| line_start || (crlf && is_plain(status.reason)))
        })
    }

    fn request_start(&self, line: &[u8], crlf: bool) -> Option<usize> {
        let (head, version) = line.split_at(memrchr(b' ', line)?);
        if !matches!(version, [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9']) {
            return None;
        }
        let (before, target) = head.split_at(memrchr(b' ', head)?);
        let target = target.get(1..)?;
        let first = *target.first()?;
        let plain = matches!(first, b'/' | b'*' | b'[') || first.is_ascii_alphanumeric();
        let known = start_line::METHODS
            .iter()
            .filter_map(|method| method.strip_suffix(b" "))
            .find(|method| before.ends_with(method))
            .map(|method| before.len() - method.len())
            .filter(|at| plain && (crlf || (*at == 0 && self.line_start != LineStart::No)));
        let token = || {
            let sure = self.line_start == LineStart::Sure && before.len() <= 32;
            (sure && start_line::is_token(before)).then_some(0)
        };
        known.or_else(token)
    }
}

/// A reason phrase of words only.
fn is_plain(reason: &[u8]) -> bool {
    reason.len() <= 64
        && reason.iter().all(|byte| byte.is_ascii_alphanumeric() || b" '-()".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use LineStart::{No, Perhaps, Sure};

    const MESSAGE: Option<Found> = Some(Found::Message(Direction::ToClient));
    const REQUEST: Option<Found> = Some(Found::Message(Direction::ToServer));

    /// What is found and from where, fed in pieces of `size`.
    fn search(text: &str, start: LineStart, size: usize) -> (Option<Found>, String) {
        let mut search = Search::new(None, start);
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (used, found) = search.feed(&rest[..size.min(rest.len())]);
            rest = &rest[used..];
            if found.is_some() {
                let all = [&search.into_buffer(), rest].concat();
                return (found, String::from_utf8(all).unwrap());
            }
        }
        (None, String::new())
    }

    #[test]
    fn message_starts_are_found_alike_in_any_pieces() {
        let table: &[(&str, LineStart, Option<Found>, &str)] = &[
            ("HTTP/1.1 200 OK\r\nx", Perhaps, MESSAGE, "HTTP/1.1 200 OK\r\nx"),
            ("a\nHTTP/1.1 200 \"odd\"\nx", Perhaps, MESSAGE, "HTTP/1.1 200 \"odd\"\nx"),
            ("{\"a\":1}HTTP/1.1 200 OK\r\nx", No, MESSAGE, "HTTP/1.1 200 OK\r\nx"),
            ("{\"a\":\"HTTP/1.1 200 OK\"}\r\nx", Perhaps, None, ""),
            ("{}POST /mcp HTTP/1.1\r\nx", Perhaps, REQUEST, "POST /mcp HTTP/1.1\r\nx"),
            ("ab\nBREW /pot HTTP/1.1\r\nx", No, REQUEST, "BREW /pot HTTP/1.1\r\nx"),
            ("ST /mcp HTTP/1.1\r\nx", Perhaps, None, ""),
            ("say GET / HTTP/1.1 is\r\nx", Sure, None, ""),
        ];
        for (text, start, found, rest) in table {
            for size in 1..=text.len() {
                let got = search(text, *start, size);
                assert_eq!((got.0, got.1.as_str()), (*found, *rest), "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn event_streams_are_found_with_what_is_left_of_the_chunk() {
        let events = |left| Some(Found::Events(left));
        let table: &[(&str, Option<Found>, &str)] = &[
            ("f\r\nevent: message\ndata: {\"", events(Some(15)), "event: message\ndata: {\""),
            ("data: {\"a\":1}\n\n", events(None), "data: {\"a\":1}\n\n"),
            ("x\"}\n\n\r\n20\r\nid: 4\ndata: {1", events(Some(32)), "id: 4\ndata: {1"),
            (": ping\n\ndata: [1", events(None), "data: [1"),
            ("data: text\n\nid: 3\nname\n", None, ""),
        ];
        for (text, found, rest) in table {
            for size in 1..=text.len() {
                let got = search(text, Perhaps, size);
                assert_eq!((got.0, got.1.as_str()), (*found, *rest), "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn long_lines_are_kept_in_part() {
        let text = format!("{}POST /mcp HTTP/1.1\r\n", "x".repeat(100_000));
        for size in [1, 1000, 9000, 200_000] {
            assert_eq!(search(&text, Perhaps, size).0, REQUEST, "{size}");
        }
        let mut endless = Search::new(None, Perhaps);
        for _ in 0..100 {
            endless.feed(&[b'x'; 1000]);
        }
        assert!(endless.buffer.len() <= 2 * KEPT_BYTES && endless.seen() == 100_000);
    }
}
