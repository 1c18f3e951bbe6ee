//! Skipping what nobody wants: only strings and bracket depth are tracked, 64 bytes at a time.
//!
//! Each block becomes bit masks, one bit per byte, as in Langdale and Lemire, "Parsing gigabytes
//! of JSON per second" (2019), on plain 64-bit words: no branch per byte, whatever the strings'
//! lengths.

use memchr::memchr2;

use super::MAX_DEPTH;

/// How far a skip came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// All bytes belong to the container.
    More,
    /// So many bytes belong to it; the last one closes it.
    Closed(usize),
    /// A backslash stands outside a string.
    Malformed,
}

/// A container being skipped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skip {
    /// Open brackets inside the container, itself included.
    depth: u64,
    /// How deep it may get before it is called too deep.
    limit: u64,
    too_deep: bool,
    in_string: bool,
    /// The next byte is escaped.
    escaped: bool,
}

const BLOCK: usize = 64;

impl Skip {
    /// Begins just after an opening bracket, `outer` containers deep.
    pub(super) fn start(&mut self, outer: u32) {
        let limit = u64::from(MAX_DEPTH.saturating_sub(outer));
        *self = Self { depth: 1, limit, ..Self::default() };
    }

    /// Whether the limit was passed; says so once.
    pub(super) fn take_too_deep(&mut self) -> bool {
        let too_deep = self.too_deep;
        if too_deep {
            (self.too_deep, self.limit) = (false, u64::MAX);
        }
        too_deep
    }

    pub(super) fn run(&mut self, bytes: &[u8]) -> Skipped {
        let mut rest = bytes;
        while let Some((block, after)) = rest.split_first_chunk::<BLOCK>() {
            let masks = Masks::of(block);
            if self.in_string && !self.escaped && masks.quotes | masks.backslashes == 0 {
                // A long string: nothing but its end matters.
                let Some(at) = memchr2(b'"', b'\\', after) else { return Skipped::More };
                rest = after.get(at..).unwrap_or_default();
                continue;
            }
            match self.block(masks, BLOCK) {
                Skipped::More => rest = after,
                Skipped::Closed(used) => return Skipped::Closed(bytes.len() - rest.len() + used),
                Skipped::Malformed => return Skipped::Malformed,
            }
        }
        if rest.is_empty() {
            return Skipped::More;
        }
        let mut block = [b' '; BLOCK];
        for (to, from) in block.iter_mut().zip(rest) {
            *to = *from;
        }
        match self.block(Masks::of(&block), rest.len()) {
            Skipped::Closed(used) => Skipped::Closed(bytes.len() - rest.len() + used),
            other => other,
        }
    }

    /// One block, of which `len` bytes are real and the rest is blank.
    fn block(&mut self, masks: Masks, len: usize) -> Skipped {
        let (escaped, carry) = escaped(masks.backslashes, self.escaped);
        let inside = prefix_xor(masks.quotes & !escaped) ^ u64::from(self.in_string).wrapping_neg();
        let (opens, closes) = (masks.opens & !inside, masks.closes & !inside);
        let stray = masks.backslashes & !inside;

        let (up, down) = (u64::from(opens.count_ones()), u64::from(closes.count_ones()));
        if self.depth > down && self.depth + up <= self.limit {
            self.depth = self.depth + up - down;
        } else if let Some(at) = self.step(opens, closes) {
            let before = (1_u64 << at) - 1;
            let malformed = stray & before != 0;
            return if malformed { Skipped::Malformed } else { Skipped::Closed(at + 1) };
        }
        if stray != 0 {
            return Skipped::Malformed;
        }
        self.in_string = inside >> 63 == 1;
        self.escaped = if len == BLOCK { carry } else { escaped >> len & 1 == 1 };
        Skipped::More
    }

    /// Follows the brackets one by one; answers with the position of the closing one.
    fn step(&mut self, opens: u64, closes: u64) -> Option<usize> {
        let mut brackets = opens | closes;
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            if closes >> at & 1 == 1 {
                self.depth -= 1;
                if self.depth == 0 {
                    return Some(at as usize);
                }
            } else {
                self.depth += 1;
                self.too_deep |= self.depth > self.limit;
            }
            brackets &= brackets - 1;
        }
        None
    }
}

/// One bit per byte of a block, first byte in the lowest bit.
#[derive(Clone, Copy)]
struct Masks {
    quotes: u64,
    backslashes: u64,
    opens: u64,
    closes: u64,
}

impl Masks {
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self { quotes: 0, backslashes: 0, opens: 0, closes: 0 };
        let (words, _) = block.as_chunks::<8>();
        for (index, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // `[` and `{`, and `]` and `}`, differ in this bit only.
            let brackets = word | 0x2020_2020_2020_2020;
            let shift = index * 8;
            masks.quotes |= matches(word, b'"') << shift;
            masks.backslashes |= matches(word, b'\\') << shift;
            masks.opens |= matches(brackets, b'{') << shift;
            masks.closes |= matches(brackets, b'}') << shift;
        }
        masks
    }
}

/// Which of the eight bytes of `word` equal `byte`, as eight bits.
#[inline]
fn matches(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let differs = word ^ u64::from_ne_bytes([byte; 8]);
    // The top bit of each byte: set when the byte is zero. No carry leaves a byte.
    let zero = !(((differs & LOW) + LOW) | differs | LOW);
    (zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Which bytes follow an escaping backslash, and whether the byte after the block does.
#[inline]
fn escaped(backslashes: u64, carried: bool) -> (u64, bool) {
    let first = u64::from(carried);
    if backslashes == 0 {
        return (first, false);
    }
    const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
    // Subtracting makes a borrow run through each series of backslashes, which leaves every
    // second bit of it: those that escape, and the byte that the last one escapes.
    let candidates = backslashes & !first;
    let codes = ((candidates << 1 | ODD).wrapping_sub(candidates)) ^ ODD;
    let escaped = codes ^ (backslashes | first);
    (escaped, (codes & backslashes) >> 63 == 1)
}

/// Bit n of the answer is the parity of bits 0 to n: set from an opening quote to the byte before
/// the closing one.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, byte by byte and plainly.
    fn plainly(bytes: &[u8]) -> (Skipped, bool) {
        let (mut depth, mut in_string, mut escaped, mut deep) = (1_u64, false, false, false);
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if !in_string => return (Skipped::Malformed, deep),
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => {
                    depth += 1;
                    deep |= depth > u64::from(MAX_DEPTH);
                }
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return (Skipped::Closed(at + 1), deep);
                    }
                }
                _ => {}
            }
        }
        (Skipped::More, deep)
    }

    fn in_pieces(bytes: &[u8], size: usize) -> (Skipped, bool) {
        let mut skip = Skip::default();
        skip.start(0);
        let (mut used, mut deep) = (0, false);
        for piece in bytes.chunks(size) {
            let outcome = skip.run(piece);
            deep |= skip.take_too_deep();
            match outcome {
                Skipped::More => used += piece.len(),
                Skipped::Closed(last) => return (Skipped::Closed(used + last), deep),
                Skipped::Malformed => return (Skipped::Malformed, deep),
            }
        }
        (Skipped::More, deep)
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_loop(
            text in prop_oneof![
                prop::collection::vec(prop::sample::select(br#"{}[]"\ab"#.to_vec()), 0..400),
                prop::collection::vec(prop::sample::select(br#"{[[["\]x"#.to_vec()), 0..900),
                prop::collection::vec(prop::sample::select(br#"{{}}}"""\\\\\a"#.to_vec()), 0..400),
                prop::collection::vec(any::<u8>(), 0..400),
            ],
            size in 1_usize..200,
        ) {
            let expected = plainly(&text);
            for size in [size, usize::MAX] {
                let (outcome, deep) = in_pieces(&text, size);
                prop_assert_eq!(outcome, expected.0);
                // What stands before a stray backslash may be reported or not.
                prop_assert!(deep == expected.1 || outcome == Skipped::Malformed);
            }
        }
    }

    #[test]
    fn finds_the_end_after_long_strings_and_escapes() {
        for filler in [0, 1, 63, 64, 65, 200, 1000] {
            let body = format!(r#""{}\\\"]","\\"]"#, "x".repeat(filler));
            let expected = Skipped::Closed(body.len());
            let text = format!("{body}]]]");
            for size in [1, 7, 64, 5000] {
                assert_eq!(in_pieces(text.as_bytes(), size).0, expected, "{filler} by {size}");
            }
        }
    }

    #[test]
    fn too_deep_is_said_once_and_reading_goes_on() {
        let text = format!("{}{}", "[".repeat(127), "]".repeat(128));
        assert_eq!(in_pieces(text.as_bytes(), 50), (Skipped::Closed(255), false));
        let text = format!("{}{}", "[".repeat(128), "]".repeat(129));
        assert_eq!(in_pieces(text.as_bytes(), 50), (Skipped::Closed(257), true));
    }
}
