//! Words that may be numbers, and digits in groups.

/// Most groups of one number: the NIR of France has seven.
const MAX_GROUPS: usize = 7;
/// Most digits of one number: bank cards have up to nineteen.
const MAX_DIGITS: usize = 19;

/// Start of the next word at or after `from` that holds a digit or starts with two capitals; a word
/// is letters and digits that nothing joins to what is before.
pub(super) fn next_word(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = text.get(at..)?;
        at += rest.iter().position(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())?;
        let second = text.get(at + 1).copied().unwrap_or(0);
        let is_number = text.get(at).is_some_and(u8::is_ascii_digit);
        let may_be = is_number || second.is_ascii_uppercase() || second.is_ascii_digit();
        if may_be && !is_joined_before(text, at) {
            return Some(at);
        }
        at = word_end(text, at);
    }
}

/// End of the word at `at`; past `at` in any case.
pub(super) fn word_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count().max(1)
}

/// Fewest digits of a number that begins with one: those of Spain, which a letter ends.
const MIN_DIGITS: usize = 8;

/// Whether digits enough for any kind follow, in groups or not. Of those from Corsica six do, and
/// a letter.
pub(super) fn may_be_whole(text: &[u8], start: usize) -> bool {
    let mut digits = 0;
    for byte in text.get(start..).unwrap_or_default() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b' ' | b'-' | b'.' | b'/' => {}
            b'A' | b'B' => return digits == 6,
            _ => return false,
        }
        if digits == MIN_DIGITS {
            return true;
        }
    }
    false
}

/// Whether the byte before `at` makes it part of something longer: a word, a fraction, a path, a
/// name with dots or underscores, an address. A letter that ends an escape (`\n`) does not.
fn is_joined_before(text: &[u8], at: usize) -> bool {
    let back = |distance: usize| at.checked_sub(distance).and_then(|from| text.get(from)).copied();
    match (back(2), back(1)) {
        (_, None) => false,
        (Some(b'\\'), Some(b'n' | b'r' | b't')) => false,
        (_, Some(byte)) if byte.is_ascii_alphanumeric() || byte >= 0x80 => true,
        (Some(before), Some(b'.')) => before.is_ascii_alphanumeric(),
        // A piece of a date or of a UUID; a word with a hyphen is none.
        (Some(before), Some(b'-')) => {
            let is_hex = back(3).is_some_and(|byte| byte.is_ascii_hexdigit());
            before.is_ascii_digit() || (before.is_ascii_hexdigit() && is_hex)
        }
        (_, Some(byte)) => b"_/@#$%&+.".contains(&byte),
    }
}

/// Whether the bytes at `at` make what ends there part of something longer.
pub(super) fn is_joined_behind(text: &[u8], at: usize) -> bool {
    match (text.get(at), text.get(at + 1)) {
        (None, _) => false,
        (Some(byte), _) if byte.is_ascii_alphanumeric() || *byte >= 0x80 => true,
        (Some(b'-' | b'.'), Some(next)) => next.is_ascii_alphanumeric(),
        (Some(byte), _) => b"_/@%".contains(byte),
    }
}

/// Whether a group of four before `start`, with the separator between, may belong to it.
fn follows_group(text: &[u8], start: usize, separator: u8) -> bool {
    let Some(from) = start.checked_sub(5) else { return false };
    let Some([group @ .., last]) = text.get(from..start) else { return false };
    let digits = group.iter().filter(|byte| byte.is_ascii_digit()).count();
    *last == separator && digits >= 2 && group.iter().all(u8::is_ascii_alphanumeric)
}

/// Digits in groups, as written, from one place of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Groups {
    digits: [u8; MAX_DIGITS],
    /// Digits in all groups.
    len: usize,
    /// Digits of each group; zero behind the last.
    pub(super) lengths: [usize; MAX_GROUPS],
    /// Offsets of the ends of the groups.
    ends: [usize; MAX_GROUPS],
    /// Between each two groups.
    pub(super) separators: [u8; MAX_GROUPS],
    pub(super) start: usize,
}

impl Groups {
    /// Reads groups until something else than one separator and a digit comes, or there is no room.
    pub(super) fn read(text: &[u8], start: usize) -> Self {
        let mut groups = Self { start, ..Self::default() };
        let mut at = start;
        for index in 0..MAX_GROUPS {
            let rest = text.get(at..).unwrap_or_default();
            let len = rest.iter().take(MAX_DIGITS + 1).take_while(|b| b.is_ascii_digit()).count();
            let Some(room) = groups.digits.get_mut(groups.len..groups.len + len) else { break };
            if len == 0 {
                break;
            }
            for (slot, byte) in room.iter_mut().zip(rest) {
                *slot = byte - b'0';
            }
            groups.len += len;
            at += len;
            groups.put(index, len, at, text.get(at).copied().unwrap_or(0));
            if !text.get(at).is_some_and(|byte| b" -./".contains(byte)) {
                break;
            }
            at += 1;
        }
        groups
    }

    fn put(&mut self, index: usize, len: usize, end: usize, separator: u8) {
        let slots = self.lengths.get_mut(index).zip(self.ends.get_mut(index));
        if let Some(((length, place), between)) = slots.zip(self.separators.get_mut(index)) {
            (*length, *place, *between) = (len, end, separator);
        }
    }

    /// The digits and the end when the first groups have these lengths, with the same separator out
    /// of `separators` between all, and nothing is joined behind them.
    pub(super) fn are(
        &self,
        text: &[u8],
        lengths: &[usize],
        separators: &[u8],
    ) -> Option<(&[u8], usize)> {
        if self.lengths.get(..lengths.len())? != lengths {
            return None;
        }
        let last = lengths.len().checked_sub(1)?;
        let between = self.separators.get(..last)?;
        let is_same = between.iter().all(|other| Some(other) == between.first());
        let is_known = between.iter().all(|other| separators.contains(other));
        let end = *self.ends.get(last)?;
        // Another group of four or more behind: a longer list of digits.
        let separator = between.first().copied();
        let next = self.lengths.get(lengths.len()).copied().unwrap_or(0);
        let goes_on = separator.is_some() && text.get(end).copied() == separator && next >= 4;
        let comes_on = separator.is_some_and(|byte| follows_group(text, self.start, byte));
        let is_whole = is_same && is_known && !goes_on && !comes_on && !is_joined_behind(text, end);
        let total = lengths.iter().sum();
        is_whole.then_some((self.digits.get(..total)?, end))
    }

    /// The digits and the end of the first `count` groups, whatever is between them.
    pub(super) fn mixed(&self, text: &[u8], count: usize) -> Option<(&[u8], usize)> {
        let end = *self.ends.get(count.checked_sub(1)?)?;
        let total = self.lengths.get(..count)?.iter().sum();
        (!is_joined_behind(text, end)).then_some((self.digits.get(..total)?, end))
    }

    /// The digits and the end of the first group, when nothing is joined behind it.
    pub(super) fn alone(&self, text: &[u8]) -> Option<(&[u8], usize)> {
        self.are(text, &[*self.lengths.first()?], b"")
    }
}
