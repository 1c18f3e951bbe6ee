//! Looking at a text by byte offsets.

/// A set of ASCII characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alphabet(u128);

impl Alphabet {
    pub(super) const DIGITS: Self = Self::of(b"0123456789");
    pub(super) const LOWER_HEX: Self = Self::of(b"0123456789abcdef");
    pub(super) const HEX: Self = Self::of(b"0123456789abcdefABCDEF");
    pub(super) const LOWER: Self = Self::of(b"abcdefghijklmnopqrstuvwxyz");
    pub(super) const UPPER: Self = Self::of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    pub(super) const UPPER_ALNUM: Self = Self::UPPER.and(Self::DIGITS);
    pub(super) const ALNUM: Self = Self::UPPER_ALNUM.and(Self::LOWER);
    pub(super) const WORD: Self = Self::ALNUM.and(Self::of(b"_"));
    pub(super) const BASE64URL: Self = Self::WORD.and(Self::of(b"-"));
    pub(super) const BASE64: Self = Self::ALNUM.and(Self::of(b"+/"));
    /// RFC 4648 section 6.
    pub(super) const BASE32: Self = Self::UPPER.and(Self::of(b"234567"));

    pub(super) const fn of(bytes: &[u8]) -> Self {
        let mut set = 0;
        let mut rest = bytes;
        while let [first, tail @ ..] = rest {
            set |= 1 << *first;
            rest = tail;
        }
        Self(set)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn has(self, byte: u8) -> bool {
        byte < 128 && self.0 >> byte & 1 == 1
    }

    pub(super) fn has_all(self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.has(*byte))
    }
}

/// A text, looked at by offsets; every look is in bounds or gives nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'t> {
    bytes: &'t [u8],
}

impl<'t> Text<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { bytes: text.as_bytes() }
    }

    pub(super) fn len(self) -> usize {
        self.bytes.len()
    }

    pub(super) fn byte(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    pub(super) fn before(self, at: usize) -> Option<u8> {
        self.byte(at.checked_sub(1)?)
    }

    /// Empty when out of bounds.
    pub(super) fn slice(self, start: usize, end: usize) -> &'t [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub(super) fn has(self, at: usize, literal: &str) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(literal.as_bytes()))
    }

    /// Where the run of an alphabet from `start` ends, after `max` bytes at the latest.
    pub(super) fn run(self, start: usize, alphabet: Alphabet, max: usize) -> usize {
        let rest = self.bytes.get(start..).unwrap_or_default();
        start + rest.iter().take(max).take_while(|byte| alphabet.has(**byte)).count()
    }

    /// Where the run of an alphabet that ends at `end` starts, `max` bytes before at the earliest.
    pub(super) fn run_back(self, end: usize, alphabet: Alphabet, max: usize) -> usize {
        let head = self.bytes.get(..end).unwrap_or_default();
        end - head.iter().rev().take(max).take_while(|byte| alphabet.has(**byte)).count()
    }

    /// Whether no byte of an alphabet stands before `at`, except as the end of an escape.
    pub(super) fn starts(self, at: usize, alphabet: Alphabet) -> bool {
        match self.before(at) {
            Some(byte) if alphabet.has(byte) => self.follows_escape(at),
            _ => true,
        }
    }

    /// Whether no byte of an alphabet stands at `at`.
    pub(super) fn stops(self, at: usize, alphabet: Alphabet) -> bool {
        self.byte(at).is_none_or(|byte| !alphabet.has(byte))
    }

    /// Whether an escape ends at `at`: `\n` and the like, `\u0022`, `%22`.
    fn follows_escape(self, at: usize) -> bool {
        let back = |distance: usize| at.checked_sub(distance).and_then(|from| self.byte(from));
        let is_hex = |from: usize| Alphabet::HEX.has_all(self.slice(at.saturating_sub(from), at));
        match (back(6), back(3), back(2)) {
            (_, _, Some(b'\\')) => back(1).is_some_and(|byte| b"nrtbf".contains(&byte)),
            (_, Some(b'%'), _) => is_hex(2),
            (Some(b'\\'), ..) => back(5) == Some(b'u') && is_hex(4),
            _ => false,
        }
    }
}
