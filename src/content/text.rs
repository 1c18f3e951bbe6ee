//! Text of a body into UTF-8: UTF-16 and UTF-32 are told by their byte order mark, or by where the
//! zero bytes of the first characters are (RFC 4627 section 3), as JSON parsers of several
//! languages still do.
//!
//! UTF-8 is passed through without a copy and without a check, less its byte order mark. State is
//! a few integers; nothing is allocated.

/// Encodings that can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, and everything that is not known to be something else.
    Utf8,
    /// UTF-16, little-endian.
    Utf16Le,
    /// UTF-16, big-endian.
    Utf16Be,
    /// UTF-32, little-endian.
    Utf32Le,
    /// UTF-32, big-endian.
    Utf32Be,
}

impl Encoding {
    /// The encoding that a `charset` parameter names, in any case, if it is one of these. Without
    /// a byte order it is little-endian, as in the WHATWG Encoding standard.
    #[must_use]
    pub fn from_charset(charset: &[u8]) -> Option<Self> {
        let table = [
            ("utf-8", Self::Utf8),
            ("utf8", Self::Utf8),
            ("utf-16", Self::Utf16Le),
            ("utf-16le", Self::Utf16Le),
            ("utf-16be", Self::Utf16Be),
            ("utf-32", Self::Utf32Le),
            ("utf-32le", Self::Utf32Le),
            ("utf-32be", Self::Utf32Be),
        ];
        let name = charset.trim_ascii();
        table.into_iter().find(|(n, _)| name.eq_ignore_ascii_case(n.as_bytes())).map(|(_, e)| e)
    }

    /// What the first bytes of a text say, and how long the byte order mark is. None: more bytes
    /// are needed. `end`: there are no more.
    fn detect(head: &[u8], end: bool, hint: Option<Self>) -> Option<(Self, usize)> {
        let fallback = hint.unwrap_or(Self::Utf8);
        Some(match *head {
            [0xef, 0xbb, 0xbf, ..] => (Self::Utf8, 3),
            [0xff, 0xfe, 0, 0, ..] => (Self::Utf32Le, 4),
            [0, 0, 0xfe, 0xff, ..] => (Self::Utf32Be, 4),
            [0xfe, 0xff, ..] => (Self::Utf16Be, 2),
            // The start of a mark, or of a character whose zero bytes decide.
            [] | [_] | [0xef, 0xbb] | [0xff, 0xfe] | [0xff, 0xfe, 0] if !end => return None,
            [0xff, 0xfe, ..] => (Self::Utf16Le, 2),
            [0, 0] | [0, 0, _] | [1..=0xff, 0] | [1..=0xff, 0, 0] if !end => return None,
            [0, 0, _, _, ..] => (Self::Utf32Be, 0),
            [0, 1..=0xff, ..] => (Self::Utf16Be, 0),
            [_, 0, 0, 0, ..] => (Self::Utf32Le, 0),
            [1..=0xff, 0, ..] => (Self::Utf16Le, 0),
            _ => (fallback, 0),
        })
    }

    const fn unit_len(self) -> usize {
        match self {
            Self::Utf8 => 1,
            Self::Utf16Le | Self::Utf16Be => 2,
            Self::Utf32Le | Self::Utf32Be => 4,
        }
    }

    /// A code unit of two or four bytes.
    const fn unit(self, bytes: [u8; 4]) -> u32 {
        let [a, b, ..] = bytes;
        match self {
            Self::Utf8 => a as u32,
            Self::Utf16Le => u16::from_le_bytes([a, b]) as u32,
            Self::Utf16Be => u16::from_be_bytes([a, b]) as u32,
            Self::Utf32Le => u32::from_le_bytes(bytes),
            Self::Utf32Be => u32::from_be_bytes(bytes),
        }
    }
}

/// Incremental transcoder of one body to UTF-8. What is no character becomes U+FFFD.
#[derive(Clone, Debug)]
pub struct Transcoder {
    /// None until the first bytes have told.
    encoding: Option<Encoding>,
    hint: Option<Encoding>,
    /// Bytes that are waiting for the rest of their code unit (or of the text's head).
    held: [u8; 4],
    held_len: usize,
    /// First half of a surrogate pair.
    high: Option<u32>,
    /// Bytes to skip after a gap that ended inside a code unit.
    skip: usize,
}

impl Transcoder {
    /// A transcoder for a body whose media type has this `charset` parameter, if any. It is only
    /// asked when the bytes themselves say nothing, since many parsers never ask it.
    #[must_use]
    pub fn new(charset: Option<&[u8]>) -> Self {
        let hint = charset.and_then(Encoding::from_charset);
        Self { encoding: None, hint, held: [0; 4], held_len: 0, high: None, skip: 0 }
    }

    /// The encoding, once the first bytes (four at most) have told.
    #[must_use]
    pub const fn encoding(&self) -> Option<Encoding> {
        self.encoding
    }

    /// The next bytes of the body; hands UTF-8 pieces, never empty, to `out`. A piece may end
    /// inside a character if the body is UTF-8 and this input did.
    pub fn push<F: FnMut(&[u8])>(&mut self, input: &[u8], out: &mut F) {
        let mut input = input;
        if self.encoding.is_none() {
            input = self.begin(input, out);
        }
        match self.encoding {
            Some(Encoding::Utf8) if !input.is_empty() => out(input),
            None | Some(Encoding::Utf8) => {}
            Some(encoding) => self.transcode(encoding, input, out),
        }
    }

    /// `len` bytes of the body are missing: a character that was cut becomes U+FFFD, and reading
    /// goes on at the next code unit.
    pub fn gap<F: FnMut(&[u8])>(&mut self, len: u64, out: &mut F) {
        if len == 0 {
            return;
        }
        self.decide(true, out);
        let unit = self.encoding.map_or(1, Encoding::unit_len) as u64;
        let over = (self.held_len as u64).wrapping_sub(self.skip as u64).wrapping_add(len) % unit;
        self.drop_partial(out);
        self.skip = usize::try_from((unit - over) % unit).unwrap_or(0);
    }

    /// The body is over: hands on what was held back.
    pub fn finish<F: FnMut(&[u8])>(&mut self, out: &mut F) {
        self.decide(true, out);
        self.drop_partial(out);
    }

    /// Detects the encoding and gives back what is to be read in it. The first bytes are held
    /// only if this input alone does not tell.
    fn begin<'a, F: FnMut(&[u8])>(&mut self, input: &'a [u8], out: &mut F) -> &'a [u8] {
        if self.held_len == 0
            && let Some((encoding, mark_len)) = Encoding::detect(input, false, self.hint)
        {
            self.encoding = Some(encoding);
            return input.get(mark_len..).unwrap_or_default();
        }
        let rest = self.hold(input);
        self.decide(false, out);
        rest
    }

    /// Holds the first bytes until they are four, and gives back the others.
    fn hold<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let room = self.held.get_mut(self.held_len..).unwrap_or_default();
        let (head, rest) = input.split_at(room.len().min(input.len()));
        room.iter_mut().zip(head).for_each(|(slot, byte)| *slot = *byte);
        self.held_len += head.len();
        rest
    }

    fn decide<F: FnMut(&[u8])>(&mut self, end: bool, out: &mut F) {
        if self.encoding.is_some() || self.held_len == 0 {
            return;
        }
        let (held, held_len) = (self.held, self.held_len);
        let head = held.get(..held_len).unwrap_or_default();
        let Some((encoding, mark_len)) = Encoding::detect(head, end, self.hint) else { return };
        self.encoding = Some(encoding);
        self.held_len = 0;
        match head.get(mark_len..) {
            None | Some([]) => {}
            Some(rest) if encoding == Encoding::Utf8 => out(rest),
            Some(rest) => self.transcode(encoding, rest, out),
        }
    }

    fn transcode<F: FnMut(&[u8])>(&mut self, encoding: Encoding, input: &[u8], out: &mut F) {
        let skipped = self.skip.min(input.len());
        self.skip -= skipped;
        let mut output = Output { bytes: [0; OUTPUT_BYTES], len: 0, out };
        let unit_len = encoding.unit_len();
        for &byte in input.get(skipped..).unwrap_or_default() {
            if let Some(slot) = self.held.get_mut(self.held_len) {
                *slot = byte;
            }
            self.held_len += 1;
            if self.held_len == unit_len {
                self.held_len = 0;
                let unit = encoding.unit(self.held);
                if unit_len == 2 { self.utf16(unit, &mut output) } else { output.scalar(unit) }
            }
        }
        output.flush();
    }

    fn utf16<F: FnMut(&[u8])>(&mut self, unit: u32, output: &mut Output<'_, F>) {
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                output.scalar(0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
                return;
            }
            (Some(_), _) => output.char(char::REPLACEMENT_CHARACTER),
            (None, _) => {}
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => output.scalar(unit),
        }
    }

    /// U+FFFD for what will never be complete: one for a lone surrogate, one for half a unit.
    fn drop_partial<F: FnMut(&[u8])>(&mut self, out: &mut F) {
        let count = usize::from(self.high.take().is_some()) + usize::from(self.held_len > 0);
        self.held_len = 0;
        for _ in 0..count {
            out("\u{fffd}".as_bytes());
        }
    }
}

const OUTPUT_BYTES: usize = 1024;

/// Collects characters into pieces.
struct Output<'a, F: FnMut(&[u8])> {
    bytes: [u8; OUTPUT_BYTES],
    len: usize,
    out: &'a mut F,
}

impl<F: FnMut(&[u8])> Output<'_, F> {
    fn scalar(&mut self, value: u32) {
        self.char(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER));
    }

    fn char(&mut self, char: char) {
        if self.len + 4 > self.bytes.len() {
            self.flush();
        }
        if let Some(room) = self.bytes.get_mut(self.len..) {
            self.len += char.encode_utf8(room).len();
        }
    }

    fn flush(&mut self) {
        if let Some(piece @ [_, ..]) = self.bytes.get(..self.len) {
            (self.out)(piece);
        }
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JSON: &str = r#"{"method":"tools/call","q":"Grüße, 日本 🦀"}"#;

    fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
        let utf16 = || text.encode_utf16();
        let utf32 = || text.chars().map(u32::from);
        match encoding {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Utf16Le => utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => utf16().flat_map(u16::to_be_bytes).collect(),
            Encoding::Utf32Le => utf32().flat_map(u32::to_le_bytes).collect(),
            Encoding::Utf32Be => utf32().flat_map(u32::to_be_bytes).collect(),
        }
    }

    fn run<'a>(charset: Option<&str>, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut transcoder = Transcoder::new(charset.map(str::as_bytes));
        let mut text = Vec::new();
        let mut out = |piece: &[u8]| {
            assert!(!piece.is_empty());
            text.extend_from_slice(piece);
        };
        pieces.for_each(|piece| transcoder.push(piece, &mut out));
        transcoder.finish(&mut out);
        text
    }

    fn every_cut(charset: Option<&str>, bytes: &[u8]) -> String {
        let whole = run(charset, std::iter::once(bytes));
        assert_eq!(run(charset, bytes.chunks(1)), whole, "byte by byte: {bytes:02x?}");
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(run(charset, [head, tail].into_iter()), whole, "{cut}: {bytes:02x?}");
        }
        String::from_utf8(whole).unwrap()
    }

    const ENCODINGS: [Encoding; 5] = [
        Encoding::Utf8,
        Encoding::Utf16Le,
        Encoding::Utf16Be,
        Encoding::Utf32Le,
        Encoding::Utf32Be,
    ];

    #[test]
    fn all_encodings_give_the_text_with_and_without_a_mark() {
        for encoding in ENCODINGS {
            assert_eq!(every_cut(None, &encode(JSON, encoding)), JSON, "{encoding:?}");
            let marked = encode(&format!("\u{feff}{JSON}"), encoding);
            assert_eq!(every_cut(None, &marked), JSON, "{encoding:?} with a mark");
        }
    }

    #[test]
    fn texts_of_any_length_from_nothing_on_are_told_apart() {
        for encoding in ENCODINGS {
            for text in ["", "1", "[]", "{ }", "null"] {
                let coded = encode(text, encoding);
                assert_eq!(every_cut(None, &coded), text, "{encoding:?} {text}");
            }
        }
    }

    #[test]
    fn the_charset_counts_only_when_the_bytes_say_nothing() {
        let text = "日本";
        let be = encode(text, Encoding::Utf16Be);
        assert_eq!(every_cut(Some("UTF-16BE"), &be), text);
        assert_eq!(every_cut(Some("utf-16"), &encode(text, Encoding::Utf16Le)), text);
        for wrong in ["utf-16", "utf-32be", "utf-8", "iso-8859-1"] {
            assert_eq!(every_cut(Some(wrong), &encode(JSON, Encoding::Utf32Le)), JSON);
            let marked = encode(&format!("\u{feff}{text}"), Encoding::Utf16Be);
            assert_eq!(every_cut(Some(wrong), &marked), text);
        }
    }

    #[test]
    fn utf8_is_passed_on_as_the_very_same_bytes() {
        let mut transcoder = Transcoder::new(None);
        for (piece, mark_len) in [("\u{feff}{\"a\":", 3), ("1}", 0)] {
            let mut seen = Vec::new();
            transcoder.push(piece.as_bytes(), &mut |bytes| seen.push(bytes.as_ptr_range()));
            assert_eq!(seen, [piece.as_bytes()[mark_len..].as_ptr_range()]);
        }
    }

    #[test]
    fn what_is_no_character_becomes_the_replacement_character() {
        let units = |units: &[u16]| units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let table: Vec<(Vec<u8>, &str)> = vec![
            (units(&[0x7b, 0xd800, 0x7d]), "{\u{fffd}}"),
            (units(&[0x7b, 0xdc00, 0x7d]), "{\u{fffd}}"),
            (units(&[0x7b, 0xd83e, 0xd83e, 0xdd80]), "{\u{fffd}🦀"),
            (units(&[0x7b, 0x7d, 0xd83e]), "{}\u{fffd}"),
            ([units(&[0x7b, 0x7d]), vec![0x20]].concat(), "{}\u{fffd}"),
            (vec![0x7b, 0, 0, 0, 0, 0, 0x11, 0, 0, 0xd8, 0, 0], "{\u{fffd}\u{fffd}"),
        ];
        for (bytes, expected) in table {
            assert_eq!(every_cut(None, &bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_gap_of_any_length_keeps_the_alignment() {
        let text = "{\"abcdefghijklmnopqrstuvwxyz0123456789\"}";
        for encoding in ENCODINGS {
            let coded = encode(text, encoding);
            let unit = encoding.unit_len();
            for start in 4..coded.len() - 8 {
                for len in 1..8 {
                    let mut transcoder = Transcoder::new(None);
                    let mut out = Vec::new();
                    let mut sink = |piece: &[u8]| out.extend_from_slice(piece);
                    transcoder.push(&coded[..start], &mut sink);
                    transcoder.gap(0, &mut sink);
                    transcoder.gap(len as u64, &mut sink);
                    transcoder.push(&coded[start + len..], &mut sink);
                    transcoder.finish(&mut sink);
                    let cut = if start.is_multiple_of(unit) { "" } else { "\u{fffd}" };
                    let (head, tail) = (start / unit, (start + len).div_ceil(unit));
                    let expected = [text.get(..head), Some(cut), text.get(tail..)]
                        .map(Option::unwrap)
                        .concat();
                    assert_eq!(String::from_utf8(out).unwrap(), expected, "{encoding:?}");
                }
            }
        }
    }

    #[test]
    fn two_gaps_in_a_row_keep_the_alignment() {
        let coded = encode("{\"abc\"}", Encoding::Utf32Be);
        for first in 1..8 {
            let mut transcoder = Transcoder::new(None);
            let mut out = Vec::new();
            let mut sink = |piece: &[u8]| out.extend_from_slice(piece);
            transcoder.push(&coded[..8], &mut sink);
            transcoder.gap(first, &mut sink);
            transcoder.gap(8 - first, &mut sink);
            transcoder.push(&coded[16..], &mut sink);
            assert_eq!(String::from_utf8(out).unwrap(), "{\"c\"}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,300}", which in 0usize..5, piece in 1usize..40) {
            let coded = encode(&format!("\u{feff}{text}"), ENCODINGS[which]);
            let got = run(None, coded.chunks(piece));
            prop_assert_eq!(String::from_utf8(got).unwrap(), text);
        }

        #[test]
        fn any_bytes_give_the_same_however_cut(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            piece in 1usize..40,
        ) {
            prop_assert_eq!(run(None, bytes.chunks(piece)), run(None, std::iter::once(&*bytes)));
        }
    }
}
