//! Masking of payloads (RFC 6455 section 5.3): each byte XOR one of four, in turn.

/// A key, turned to where the next byte of the payload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    key: [u8; 4],
}

impl Mask {
    pub(super) const fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// So many bytes of the payload are passed over.
    pub(super) fn skip(&mut self, bytes: u64) {
        let turn = usize::try_from(bytes % 4).unwrap_or(0);
        self.key.rotate_left(turn);
    }

    /// Unmasks as much as fits into `out`; answers with the number of bytes.
    pub(super) fn apply(&mut self, masked: &[u8], out: &mut [u8]) -> usize {
        let len = masked.len().min(out.len());
        let (masked, out) = (masked.get(..len), out.get_mut(..len));
        let (Some(masked), Some(out)) = (masked, out) else { return 0 };
        let [a, b, c, d] = self.key;
        let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, tail) = masked.as_chunks::<8>();
        let (out_words, out_tail) = out.as_chunks_mut::<8>();
        for (word, out) in words.iter().zip(out_words) {
            *out = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
        }
        for ((byte, out), key) in tail.iter().zip(out_tail).zip(self.key.iter().cycle()) {
            *out = byte ^ key;
        }
        self.skip(len as u64);
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_unmasks_like_the_definition() {
        let plain: Vec<u8> = (0..100).collect();
        let key = [0x12, 0x9a, 0x00, 0xff];
        let masked: Vec<u8> = plain.iter().enumerate().map(|(at, b)| b ^ key[at % 4]).collect();
        for cut in 0..=plain.len() {
            let (mut mask, mut out) = (Mask::new(key), vec![0; plain.len()]);
            let (head, tail) = out.split_at_mut(cut);
            assert_eq!(mask.apply(&masked[..cut], head), cut);
            assert_eq!(mask.apply(&masked[cut..], tail), plain.len() - cut);
            assert_eq!(out, plain, "{cut}");
        }
    }

    #[test]
    fn output_that_is_too_short_takes_what_fits_and_skips_go_on_from_there() {
        let masked = [1, 2, 3, 4, 5, 6, 7];
        let mut mask = Mask::new([1, 2, 3, 4]);
        let mut out = [9; 3];
        assert_eq!(mask.apply(&masked, &mut out), 3);
        assert_eq!(out, [0; 3]);
        mask.skip(2);
        let mut out = [9; 2];
        assert_eq!(mask.apply(&masked[5..], &mut out), 2);
        assert_eq!(out, [6 ^ 2, 7 ^ 3]);
    }
}
