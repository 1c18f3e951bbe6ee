//! The Internet checksum (RFC 1071).

/// One's complement sum of big-endian 16-bit words, folded; an odd last byte is padded with zero.
///
/// Sums native 32-bit words into 64-bit lanes, which compilers turn into vector code; byte order
/// is put right once at the end (RFC 1071 section 2).
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let mut total = if blocks.is_empty() { 0 } else { sum_blocks(blocks) };
    let (words, last) = rest.as_chunks::<4>();
    for word in words {
        total = add(total, u64::from(u32::from_ne_bytes(*word)));
    }
    let padded = match *last {
        [a, b, c] => [a, b, c, 0],
        [a, b] => [a, b, 0, 0],
        [a] => [a, 0, 0, 0],
        _ => [0; 4],
    };
    u16::from_be(fold(add(total, u64::from(u32::from_ne_bytes(padded)))))
}

fn sum_blocks(blocks: &[[u8; 32]]) -> u64 {
    let mut lanes = [0_u64; 8];
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    lanes.into_iter().fold(0, add)
}

/// One's complement addition of 64-bit numbers.
const fn add(left: u64, right: u64) -> u64 {
    let (sum, carry) = left.overflowing_add(right);
    sum + carry as u64
}

/// One's complement sum of a header, whose length is a multiple of 4 bytes: not folded. 32-bit words
/// serve as well as 16-bit ones, and those of a header do not overflow 64 bits.
#[inline]
pub(super) fn header_sum(header: &[u8]) -> u64 {
    let words = |bytes: &[u8]| -> u64 {
        let words = bytes.as_chunks().0.iter();
        words.map(|word| u64::from(u32::from_be_bytes(*word))).sum()
    };
    // Hardly any header is longer: a fixed length makes a loop of no branches.
    match header.split_first_chunk::<20>() {
        Some((fixed, options)) => words(fixed) + words(options),
        None => words(header),
    }
}

/// Folds carries down to 16 bits.
pub(super) const fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let [.., high, low] = ((sum >> 16) + sum).to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Straight from the definition.
    fn plain(bytes: &[u8]) -> u16 {
        let mut total = 0_u64;
        for pair in bytes.chunks(2) {
            total += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
        }
        fold(total)
    }

    #[test]
    fn example_of_rfc_1071_section_3() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn all_lengths_and_alignments_agree_with_the_definition() {
        let bytes: Vec<u8> = (0..200_u8).map(|byte| byte.wrapping_mul(167) | 0x80).collect();
        for start in 0..9 {
            for end in start..bytes.len() {
                assert_eq!(sum(&bytes[start..end]), plain(&bytes[start..end]), "{start}..{end}");
            }
        }
    }

    #[test]
    fn all_ones_do_not_overflow() {
        assert_eq!(sum(&[0xff; 1 << 20]), 0xffff);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_agree_with_the_definition(bytes: Vec<u8>) {
            prop_assert_eq!(sum(&bytes), plain(&bytes));
        }
    }
}
