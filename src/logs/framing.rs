//! Streams into lines, and JSON documents into the elements of one of their arrays.

use super::{Framing, MAX_LINE_BYTES};

/// Longest element of a document, in bytes: one has the bodies of an exchange.
const MAX_ELEMENT_BYTES: usize = 64 << 20;

/// What a stream falls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line or an element, whole.
    Whole(&'a [u8]),
    /// One that passed the bound, and was skipped.
    TooLong,
    /// The document is not what it should be from here on.
    Broken(&'static str),
}

/// Splits a stream. Holds one piece at most: [`MAX_LINE_BYTES`], or 64 MiB of a document.
#[derive(Debug)]
pub struct Splitter {
    partial: Vec<u8>,
    /// The piece under way passed the bound.
    skipping: bool,
    number: u64,
    elements: Option<Elements>,
}

impl Splitter {
    /// A splitter at the beginning of a stream.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let elements = match framing {
            Framing::Lines => None,
            Framing::Elements(path) => Some(Elements::new(path)),
            Framing::Documents => Some(Elements::without_array()),
        };
        Self { partial: Vec::new(), skipping: false, number: 0, elements }
    }

    /// A splitter of lines after so many lines.
    #[must_use]
    pub fn after_lines(number: u64) -> Self {
        Self { number, ..Self::new(Framing::Lines) }
    }

    /// Lines begun so far.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Bytes of the piece under way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.partial.len()
    }

    /// Takes the next bytes; gives each piece that is not empty with its number, from 1. Empty
    /// lines count.
    pub fn push(&mut self, bytes: &[u8], each: &mut impl FnMut(u64, Piece<'_>)) {
        if let Some(mut elements) = self.elements.take() {
            elements.push(self, bytes, each);
            self.elements = Some(elements);
            return;
        }
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = after.get(1..).unwrap_or_default();
            self.number += 1;
            if self.partial.is_empty() && !self.skipping {
                give_line(self.number, line, each);
            } else {
                self.append(line, MAX_LINE_BYTES);
                self.end_line(each);
            }
        }
        self.append(rest, MAX_LINE_BYTES);
    }

    /// The stream is over.
    pub fn finish(&mut self, each: &mut impl FnMut(u64, Piece<'_>)) {
        if let Some(elements) = &self.elements {
            if let Some(why) = elements.what_is_missing() {
                self.number += 1;
                each(self.number, Piece::Broken(why));
            }
        } else if !self.partial.is_empty() || self.skipping {
            self.number += 1;
            self.end_line(each);
        }
    }

    fn end_line(&mut self, each: &mut impl FnMut(u64, Piece<'_>)) {
        if std::mem::take(&mut self.skipping) {
            each(self.number, Piece::TooLong);
        } else {
            give_line(self.number, &self.partial, each);
        }
        self.partial.clear();
    }

    fn append(&mut self, bytes: &[u8], max: usize) {
        if self.skipping || self.partial.len() + bytes.len() > max {
            self.skipping = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

fn give_line(number: u64, line: &[u8], each: &mut impl FnMut(u64, Piece<'_>)) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Nothing but blanks says nothing; a byte order mark is no part of a line.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.len() > MAX_LINE_BYTES {
        each(number, Piece::TooLong);
    } else if !line.trim_ascii().is_empty() {
        each(number, Piece::Whole(line));
    }
}

/// Where in the document reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the array.
    Outside,
    /// In the array, between elements.
    Between,
    /// In an element; so many brackets deep.
    Element(u32),
    /// Behind the array, or the document is broken.
    Over,
}

/// Finds an array by its path and splits it.
#[derive(Debug)]
struct Elements {
    path: &'static [&'static str],
    /// For each open bracket outside the array: the last key in it, if it is an object on the path.
    depth: usize,
    matched: usize,
    key: Vec<u8>,
    last_key: Option<Vec<u8>>,
    in_string: bool,
    escaped: bool,
    state: State,
    /// There is no array around the elements.
    is_bare: bool,
}

impl Elements {
    fn new(path: &'static [&'static str]) -> Self {
        Self {
            path,
            depth: 0,
            matched: 0,
            key: Vec::new(),
            last_key: None,
            in_string: false,
            escaped: false,
            state: State::Outside,
            is_bare: false,
        }
    }

    /// The whole stream is elements.
    fn without_array() -> Self {
        Self { state: State::Between, is_bare: true, ..Self::new(&[]) }
    }

    /// What should have come before the stream ended.
    fn what_is_missing(&self) -> Option<&'static str> {
        match self.state {
            State::Over => None,
            State::Between if self.is_bare => None,
            _ if self.is_bare => Some("the document ends before its last bracket"),
            _ => Some("the document ends before its array does"),
        }
    }

    fn push(&mut self, out: &mut Splitter, bytes: &[u8], each: &mut impl FnMut(u64, Piece<'_>)) {
        let mut start = matches!(self.state, State::Element(_)).then_some(0);
        for (at, byte) in bytes.iter().enumerate() {
            match self.state {
                State::Outside => self.outside(*byte),
                State::Between => match byte {
                    b'{' | b'[' => {
                        self.state = State::Element(1);
                        start = Some(at);
                    }
                    b']' if !self.is_bare => self.state = State::Over,
                    _ => {}
                },
                State::Element(depth) => {
                    if let Some(depth) = self.inside(depth, *byte) {
                        self.state = State::Element(depth);
                        continue;
                    }
                    out.append(
                        bytes.get(start.unwrap_or(at)..=at).unwrap_or_default(),
                        MAX_ELEMENT_BYTES,
                    );
                    start = None;
                    self.state = State::Between;
                    out.number += 1;
                    let piece = if std::mem::take(&mut out.skipping) {
                        Piece::TooLong
                    } else {
                        Piece::Whole(&out.partial)
                    };
                    each(out.number, piece);
                    out.partial.clear();
                }
                State::Over => return,
            }
        }
        if let Some(start) = start {
            out.append(bytes.get(start..).unwrap_or_default(), MAX_ELEMENT_BYTES);
        }
    }

    /// The depth after a byte of an element; `None` when it is its last.
    const fn inside(&mut self, depth: u32, byte: u8) -> Option<u32> {
        if self.in_string {
            self.string(byte);
            return Some(depth);
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => return Some(depth.saturating_add(1)),
            b'}' | b']' if depth <= 1 => return None,
            b'}' | b']' => return Some(depth - 1),
            _ => {}
        }
        Some(depth)
    }

    const fn string(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.in_string = false;
        }
    }

    /// Follows keys until the array of the path begins.
    fn outside(&mut self, byte: u8) {
        /// Keys longer than any that is looked for are not kept.
        const MAX_KEY: usize = 64;
        if self.in_string {
            self.string(byte);
            if self.in_string && self.key.len() < MAX_KEY {
                self.key.push(byte);
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.key.clear();
            }
            b':' => self.last_key = Some(std::mem::take(&mut self.key)),
            b'{' | b'[' => {
                let wanted = self.path.get(self.matched);
                let is_next = self.depth == self.matched + 1
                    && wanted.is_some_and(|w| self.last_key.as_deref() == Some(w.as_bytes()));
                self.matched += usize::from(is_next);
                self.depth += 1;
                if byte == b'[' && is_next && self.matched == self.path.len() {
                    self.state = State::Between;
                }
                self.last_key = None;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.matched = self.matched.min(self.depth.saturating_sub(1));
            }
            b',' => self.last_key = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(framing: Framing, text: &[u8], at: &[usize]) -> Vec<(u64, String)> {
        let (mut splitter, mut out) = (Splitter::new(framing), Vec::new());
        let mut each = |number, piece: Piece<'_>| {
            let piece = match piece {
                Piece::Whole(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                other => format!("{other:?}"),
            };
            out.push((number, piece));
        };
        let mut from = 0;
        for to in at.iter().copied().chain([text.len()]) {
            splitter.push(&text[from..to], &mut each);
            from = to;
        }
        splitter.finish(&mut each);
        out
    }

    fn every_cut_gives(framing: Framing, text: &[u8], expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(n, t)| (*n, (*t).to_owned())).collect();
        for at in 0..=text.len() {
            assert_eq!(cut(framing, text, &[at]), expected, "cut at {at}");
        }
        let all: Vec<usize> = (0..text.len()).collect();
        assert_eq!(cut(framing, text, &all), expected, "byte by byte");
    }

    #[test]
    fn lines_come_whole_however_the_stream_is_cut() {
        let text = b"\xef\xbb\xbfone\r\n\ntwo\n  \nthree";
        every_cut_gives(Framing::Lines, text, &[(1, "one"), (3, "two"), (5, "three")]);
    }

    #[test]
    fn elements_of_the_array_of_a_path_come_whole() {
        const HAR: Framing = Framing::Elements(&["log", "entries"]);
        let text = br#"{"x":{"entries":[1]},"log":{"v":"\"[","pages":[{"entries":[{}]}],
            "entries": [ {"a":"}]\"","b":[1,{}]} , {"c":2} ], "rest":[{}]}}"#;
        every_cut_gives(HAR, text, &[(1, r#"{"a":"}]\"","b":[1,{}]}"#), (2, r#"{"c":2}"#)]);
    }

    #[test]
    fn documents_come_one_after_the_other() {
        let text = b"\xef\xbb\xbf{\"a\":\"}\"}{\n \"b\": [\n{}]\n}\n\n{}";
        let expected = [(1, r#"{"a":"}"}"#), (2, "{\n \"b\": [\n{}]\n}"), (3, "{}")];
        every_cut_gives(Framing::Documents, text, &expected);
        let found = cut(Framing::Documents, b"{}{\"a\":", &[]);
        assert_eq!(found.len(), 2);
        assert!(found[1].1.starts_with("Broken"), "{found:?}");
        assert_eq!(cut(Framing::Documents, b" \n", &[]), []);
    }

    #[test]
    fn a_document_that_ends_early_says_so() {
        const HAR: Framing = Framing::Elements(&["log", "entries"]);
        let found = cut(HAR, br#"{"log":{"entries":[{"a":1},{"b""#, &[]);
        assert_eq!(found.len(), 2);
        assert!(found[1].1.starts_with("Broken"), "{found:?}");
    }

    #[test]
    fn a_line_past_the_bound_is_skipped_and_the_next_is_read() {
        let mut text = vec![b'x'; MAX_LINE_BYTES + 1];
        text.extend_from_slice(b"\nnext\n");
        for at in [&[][..], &[10], &[MAX_LINE_BYTES], &[MAX_LINE_BYTES + 1]] {
            let found = cut(Framing::Lines, &text, at);
            assert_eq!(found, [(1, "TooLong".to_owned()), (2, "next".to_owned())]);
        }
    }
}
