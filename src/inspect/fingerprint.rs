//! Fingerprints: hashes of a few stretches of a text, by which two texts tell that they share one
//! without being kept (winnowing: Schleimer, Wilkerson and Aiken, SIGMOD 2003).

/// Length of the stretches that are hashed, in bytes without white space.
pub const STRETCH_BYTES: usize = 64;

/// Of so many stretches in a row, one is kept at least.
pub const WINDOW: usize = 32;

/// Least run that two texts are sure to be told by, in bytes without white space:
/// see [`fingerprints`].
pub const SURE_BYTES: usize = STRETCH_BYTES + WINDOW - 1;

/// Least different bytes in a stretch that can tell something: a decimal number has ten,
/// hexadecimal digits at random fifteen or sixteen, a sentence about twenty.
const MIN_VARIETY: u32 = 12;

/// Least letters and digits in a stretch that can tell something: there is more to it than
/// punctuation.
const MIN_WORDLY: u32 = 24;

/// The fingerprints of `text`, white space left out, in rising order: at most `max`, the smallest
/// ones.
///
/// Two texts that share a run of [`SURE_BYTES`] share a fingerprint, as long as neither has more
/// than `max`, and a stretch of the run is varied enough to tell something (twelve different
/// bytes, 24 letters and digits among its 64). Shorter runs, down to [`STRETCH_BYTES`], are found
/// by chance, one of [`WINDOW`] or more often; shorter ones never. A text of `n` bytes has `n / 16`
/// of them or thereabouts. Equal texts have equal fingerprints in all versions of this program
/// that keep the constants.
#[must_use]
pub fn fingerprints(text: &str, max: usize) -> Vec<u64> {
    let mut found = Vec::new();
    let mut roller = Roller::default();
    let mut window = Recent::default();
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        if let Some(hash) = roller.push(byte)
            && let Some(least) = window.push(hash)
            && found.last() != Some(&least)
        {
            found.push(least);
        }
        if found.len() >= COMPACT_AT.max(max.saturating_mul(2)) {
            compact(&mut found, max);
        }
    }
    found.extend(window.of_short_text());
    compact(&mut found, max);
    found
}

/// Fingerprints held before the smallest are picked, so that memory does not grow with the text.
const COMPACT_AT: usize = 4096;

fn compact(found: &mut Vec<u64>, max: usize) {
    found.sort_unstable();
    found.dedup();
    found.truncate(max);
}

/// Odd, and without pattern (2^64 divided by the golden ratio).
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// [`BASE`] to the power of [`STRETCH_BYTES`].
const LEAVING: u64 = {
    let (mut power, mut count) = (1_u64, 0);
    while count < STRETCH_BYTES {
        power = power.wrapping_mul(BASE);
        count += 1;
    }
    power
};

/// The hash of the last [`STRETCH_BYTES`] (Karp and Rabin 1987), and what they consist of.
struct Roller {
    stretch: [u8; STRETCH_BYTES],
    len: usize,
    /// Where the oldest byte is.
    at: usize,
    hash: u64,
    counts: [u8; 256],
    variety: u32,
    wordly: u32,
}

impl Default for Roller {
    fn default() -> Self {
        let (stretch, counts) = ([0; STRETCH_BYTES], [0; 256]);
        Self { stretch, len: 0, at: 0, hash: 0, counts, variety: 0, wordly: 0 }
    }
}

impl Roller {
    /// The hash of the stretch that ends with `byte`; the greatest number for one that is not
    /// varied enough; none before the first stretch is full.
    fn push(&mut self, byte: u8) -> Option<u64> {
        let slot = self.stretch.get_mut(self.at)?;
        let old = std::mem::replace(slot, byte);
        self.at = (self.at + 1) % STRETCH_BYTES;
        self.hash = self.hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1);
        if self.len == STRETCH_BYTES {
            self.hash = self.hash.wrapping_sub(LEAVING.wrapping_mul(u64::from(old) + 1));
            self.leave(old);
        } else {
            self.len += 1;
        }
        self.enter(byte);
        if self.len < STRETCH_BYTES {
            return None;
        }
        let tells = self.variety >= MIN_VARIETY && self.wordly >= MIN_WORDLY;
        Some(if tells { mix(self.hash) } else { u64::MAX })
    }

    fn enter(&mut self, byte: u8) {
        self.wordly += u32::from(is_wordly(byte));
        if let Some(count) = self.counts.get_mut(usize::from(byte)) {
            self.variety += u32::from(*count == 0);
            *count += 1;
        }
    }

    fn leave(&mut self, byte: u8) {
        self.wordly -= u32::from(is_wordly(byte));
        if let Some(count) = self.counts.get_mut(usize::from(byte)) {
            *count -= 1;
            self.variety -= u32::from(*count == 0);
        }
    }
}

const fn is_wordly(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Spreads a sum over all bits (the last steps of MurmurHash3). Never the greatest number.
const fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    let hash = hash ^ (hash >> 33);
    if hash == u64::MAX { 0 } else { hash }
}

/// The hashes of the last [`WINDOW`] stretches.
struct Recent {
    hashes: [u64; WINDOW],
    count: usize,
    least: u64,
    /// How many stretches ago the least was.
    age: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { hashes: [u64::MAX; WINDOW], count: 0, least: u64::MAX, age: 0 }
    }
}

impl Recent {
    /// The least of the window that ends with `hash`, if there is a whole one and it tells.
    fn push(&mut self, hash: u64) -> Option<u64> {
        if let Some(slot) = self.hashes.get_mut(self.count % WINDOW) {
            *slot = hash;
        }
        self.count += 1;
        self.age += 1;
        if hash <= self.least {
            (self.least, self.age) = (hash, 0);
        } else if self.age >= WINDOW {
            self.look_again();
        }
        (self.count >= WINDOW && self.least != u64::MAX).then_some(self.least)
    }

    /// The last one to be the least left the window.
    fn look_again(&mut self) {
        (self.least, self.age) = (u64::MAX, 0);
        for age in 0..WINDOW {
            let at = (self.count + WINDOW - 1 - age) % WINDOW;
            let hash = self.hashes.get(at).copied().unwrap_or(u64::MAX);
            if hash < self.least {
                (self.least, self.age) = (hash, age);
            }
        }
    }

    /// The least of a text that has no whole window.
    fn of_short_text(&self) -> Option<u64> {
        (self.count < WINDOW && self.least != u64::MAX).then_some(self.least)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROSE: &str = "The quarterly report lists every customer with its address, the amount \
        that is still open, and the person who last spoke with them; it is not to leave the house \
        before the auditors have signed it, on 2026-11-30 at the latest.";

    fn share(one: &str, other: &str) -> bool {
        let (one, other) = (fingerprints(one, 1000), fingerprints(other, 1000));
        one.iter().any(|print| other.binary_search(print).is_ok())
    }

    #[test]
    fn white_space_does_not_matter() {
        let spread: String = PROSE.chars().flat_map(|char| [char, '\n', ' ']).collect();
        assert_eq!(fingerprints(PROSE, 1000), fingerprints(&spread, 1000));
        assert!(!fingerprints(PROSE, 1000).is_empty());
    }

    #[test]
    fn texts_without_variety_have_none() {
        for text in [
            "A".repeat(5000),
            "0123456789".repeat(500),
            "[[],[],{}],".repeat(500),
            "{\"\":[-],()}!?%&/".repeat(500),
            "ACGT".repeat(999),
        ] {
            assert_eq!(fingerprints(&text, 1000), Vec::<u64>::new(), "{text:.12}");
        }
    }

    #[test]
    fn texts_shorter_than_a_stretch_have_none() {
        let text: String = PROSE.split_whitespace().collect();
        assert_eq!(fingerprints(text.get(..STRETCH_BYTES - 1).unwrap(), 9), Vec::<u64>::new());
        assert_eq!(fingerprints(text.get(..STRETCH_BYTES).unwrap(), 9).len(), 1);
    }

    #[test]
    fn a_text_without_a_common_run_shares_none() {
        assert!(!share(PROSE, &PROSE.to_ascii_uppercase()));
    }

    #[test]
    fn the_smallest_are_kept() {
        let long: String = (0..20_000).map(|number| format!("word{number:x}, ")).collect();
        let all = fingerprints(&long, usize::MAX);
        assert!(all.len() > 5000);
        assert_eq!(fingerprints(&long, 100), all[..100]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_common_run_is_found(
            before in "[a-zA-Z0-9 ,.]{0,300}",
            run in "[a-zA-Z0-9]{95}",
            after in "[a-zA-Z0-9 ,.]{0,300}",
            other_before in "[a-z ]{0,200}",
            other_after in "[A-Z ]{0,200}",
        ) {
            prop_assert_eq!(run.len(), SURE_BYTES);
            let one = format!("{before}{run}{after}");
            let other = format!("{other_before}{run}{other_after}");
            prop_assert!(share(&one, &other));
        }

        #[test]
        fn agrees_with_the_least_of_each_window(text in "[a-zA-Z0-9 ]{0,400}") {
            let plain: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
            let hashes: Vec<u64> = plain.windows(STRETCH_BYTES).filter_map(|stretch| {
                let mut roller = Roller::default();
                stretch.iter().filter_map(|byte| roller.push(*byte)).last()
            }).collect();
            let mut want: Vec<u64> = if hashes.len() < WINDOW {
                hashes.iter().copied().min().into_iter().collect()
            } else {
                hashes.windows(WINDOW).filter_map(|window| window.iter().copied().min()).collect()
            };
            want.retain(|hash| *hash != u64::MAX);
            want.sort_unstable();
            want.dedup();
            prop_assert_eq!(fingerprints(&text, 1000), want);
        }

        #[test]
        fn never_panics(text in "\\PC{0,200}", max in 0..20_usize) {
            prop_assert!(fingerprints(&text, max).len() <= max);
        }
    }
}
