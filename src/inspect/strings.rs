//! The strings of a JSON text, with where they stand.
//!
//! Lenient on purpose: a text that is cut anywhere gives all strings before the cut and the
//! beginning of the last one, and what is no JSON gives the strings that it seems to have. Who
//! wants to know whether a text is JSON has to ask a parser.

use memchr::memchr2;

/// Longest part of a key that goes into a path, in bytes; the rest is left out.
const MAX_SEGMENT_BYTES: usize = 128;

/// Bounds on one text. Memory: the path ([`max_depth`](Self::max_depth) times 129 bytes), one
/// decoded string ([`max_text_bytes`](Self::max_text_bytes)) and a bit for each open bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers whose keys are in the path. Strings further down are reported under the path of
    /// the container at this depth.
    pub max_depth: usize,
    /// Strings and keys. Reading stops there.
    pub max_leaves: usize,
    /// Bytes of decoded strings and keys together. The string that passes the bound is cut, and
    /// reading stops there.
    pub max_text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_depth: 32, max_leaves: 64 * 1024, max_text_bytes: 4 * 1024 * 1024 }
    }
}

/// A string of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// Where it stands: keys with dots between them, and `[]` for any element of an array
    /// (`items[].name`); empty for the outermost value. Of a key, the object that it is in. Keys
    /// with dots of their own are not told apart, and their first 128 bytes count.
    pub path: &'a str,
    /// Its characters, escapes decoded (RFC 8259 section 7). Half a surrogate pair is U+FFFD, and
    /// escapes that do not exist stay as they are.
    pub text: &'a str,
    /// It is a key, not a value.
    pub is_key: bool,
}

/// Hands each string of `json` to `each`, in the order of the text; answers whether that was all,
/// and no bound was met.
pub fn strings(json: &str, limits: &Limits, each: &mut dyn FnMut(Leaf<'_>)) -> bool {
    let mut reader = Reader {
        rest: json,
        path: String::new(),
        kinds: Kinds::default(),
        segments: Vec::new(),
        after_colon: false,
        scratch: String::new(),
        leaves: limits.max_leaves,
        text_bytes: limits.max_text_bytes,
        max_depth: limits.max_depth,
    };
    reader.run(each)
}

/// The string values of a JSON text, kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    /// Path and text of each value, in the order of the text.
    pub values: Vec<(Box<str>, Box<str>)>,
    /// Path and text of each key.
    pub keys: Vec<(Box<str>, Box<str>)>,
    /// A bound was met, and some are missing.
    pub truncated: bool,
}

impl Strings {
    /// Those of `json`.
    #[must_use]
    pub fn of(json: &str, limits: &Limits) -> Self {
        let mut found = Self::default();
        let whole = strings(json, limits, &mut |leaf| {
            let list = if leaf.is_key { &mut found.keys } else { &mut found.values };
            list.push((leaf.path.into(), leaf.text.into()));
        });
        found.truncated = !whole;
        found
    }
}

/// The open containers, innermost last: a bit each, set for objects.
#[derive(Debug, Default)]
struct Kinds {
    words: Vec<u64>,
    depth: usize,
}

impl Kinds {
    fn push(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if self.words.len() == word {
            self.words.push(0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word = *word & !(1 << bit) | u64::from(is_object) << bit;
        }
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn in_object(&self) -> bool {
        let Some(at) = self.depth.checked_sub(1) else { return false };
        self.words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

struct Reader<'t> {
    rest: &'t str,
    path: String,
    kinds: Kinds,
    /// Length of the path up to each of the outermost containers.
    segments: Vec<usize>,
    /// A colon was read after the last key.
    after_colon: bool,
    scratch: String,
    leaves: usize,
    text_bytes: usize,
    max_depth: usize,
}

impl Reader<'_> {
    fn run(&mut self, each: &mut dyn FnMut(Leaf<'_>)) -> bool {
        let is_mark = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':');
        while let Some(at) = self.rest.as_bytes().iter().position(is_mark) {
            let mark = self.rest.as_bytes().get(at).copied();
            self.rest = self.rest.get(at + 1..).unwrap_or_default();
            match mark {
                Some(b'"') => {
                    if !self.string(each) {
                        return false;
                    }
                }
                Some(b'{') => self.open(true),
                Some(b'[') => self.open(false),
                Some(b'}' | b']') => self.close(),
                Some(b':') => self.after_colon = true,
                _ => self.after_colon = false,
            }
        }
        true
    }

    fn open(&mut self, is_object: bool) {
        if self.kinds.depth < self.max_depth {
            if !is_object {
                self.path.push_str("[]");
            }
            self.segments.push(self.path.len());
        }
        self.kinds.push(is_object);
        self.after_colon = false;
    }

    fn close(&mut self) {
        if self.kinds.depth == self.segments.len() {
            self.segments.pop();
        }
        self.kinds.pop();
        self.after_colon = false;
        // The key that named it, or its brackets, went with it.
        if self.kinds.depth == self.segments.len() {
            self.path.truncate(self.segments.last().copied().unwrap_or(0));
        }
    }

    /// Reads a string whose opening quote is gone; `false` when a bound is met.
    fn string(&mut self, each: &mut dyn FnMut(Leaf<'_>)) -> bool {
        if self.leaves == 0 || self.text_bytes == 0 {
            return false;
        }
        self.leaves -= 1;
        let is_key = self.kinds.in_object() && !self.after_colon;
        let (plain, ended) = self.decode();
        let text = plain.unwrap_or(&self.scratch);
        let kept = super::view::cut(text, self.text_bytes);
        let is_cut = kept.len() < text.len();
        self.text_bytes -= kept.len();
        if is_key && self.kinds.depth <= self.max_depth {
            self.path.truncate(self.segments.last().copied().unwrap_or(0));
        }
        each(Leaf { path: &self.path, text: kept, is_key });
        if is_key && ended && self.kinds.depth <= self.max_depth {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(super::view::cut(kept, MAX_SEGMENT_BYTES));
        }
        !is_cut
    }
}

impl<'t> Reader<'t> {
    /// The string at the beginning of `rest`: a piece of the text when it has no escapes, `None`
    /// when it is in `scratch`; and whether its closing quote is there.
    fn decode(&mut self) -> (Option<&'t str>, bool) {
        self.scratch.clear();
        let mut is_plain = true;
        loop {
            let Some(at) = memchr2(b'"', b'\\', self.rest.as_bytes()) else {
                let rest = std::mem::take(&mut self.rest);
                if is_plain {
                    return (Some(rest), false);
                }
                self.scratch.push_str(rest);
                return (None, false);
            };
            let (piece, after) = self.rest.split_at_checked(at).unwrap_or_default();
            if after.starts_with('"') {
                self.rest = after.get(1..).unwrap_or_default();
                if is_plain {
                    return (Some(piece), true);
                }
                self.scratch.push_str(piece);
                return (None, true);
            }
            is_plain = false;
            // More than the bound allows is read over, but not kept.
            if self.scratch.len() <= self.text_bytes {
                self.scratch.push_str(super::view::cut(piece, self.text_bytes + 4));
            }
            self.rest = after;
            self.escape();
        }
    }

    /// Reads the escape at the beginning of `rest`; one that is cut gives nothing.
    fn escape(&mut self) {
        let bytes = self.rest.as_bytes();
        let (char, len) = match bytes.get(1) {
            None => return self.rest = "",
            Some(b'"' | b'\\' | b'/') => (char::from(bytes.get(1).copied().unwrap_or(b'/')), 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => match code_point(bytes) {
                CodePoint::Is(char, len) => (char, len),
                CodePoint::Cut => return self.rest = "",
                CodePoint::Not => ('\\', 1),
            },
            Some(_) => ('\\', 1),
        };
        if self.scratch.len() <= self.text_bytes {
            self.scratch.push(char);
        }
        self.rest = self.rest.get(len..).unwrap_or_default();
    }
}

enum CodePoint {
    Is(char, usize),
    /// The text ends inside it.
    Cut,
    Not,
}

/// The character of `\uXXXX`, or of two of them that are a surrogate pair.
fn code_point(bytes: &[u8]) -> CodePoint {
    let high = match unit(bytes) {
        Ok(unit) => unit,
        Err(cut) => return cut,
    };
    if !(0xD800..0xDC00).contains(&high) {
        let char = char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER);
        return CodePoint::Is(char, 6);
    }
    let lone = CodePoint::Is(char::REPLACEMENT_CHARACTER, 6);
    match unit(bytes.get(6..).unwrap_or_default()) {
        Ok(low @ 0xDC00..=0xDFFF) => {
            let code = 0x1_0000 + (high - 0xD800) * 0x400 + (low - 0xDC00);
            CodePoint::Is(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        Err(CodePoint::Cut) => CodePoint::Cut,
        _ => lone,
    }
}

/// The value of `\uXXXX` at the beginning of `bytes`.
fn unit(bytes: &[u8]) -> Result<u32, CodePoint> {
    let mut value = 0;
    for (at, want) in [(0, b'\\'), (1, b'u')] {
        match bytes.get(at) {
            None => return Err(CodePoint::Cut),
            Some(byte) if *byte != want => return Err(CodePoint::Not),
            Some(_) => {}
        }
    }
    for at in 2..6 {
        let Some(byte) = bytes.get(at) else { return Err(CodePoint::Cut) };
        let Some(digit) = char::from(*byte).to_digit(16) else { return Err(CodePoint::Not) };
        value = value << 4 | digit;
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
