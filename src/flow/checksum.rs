//! Stand-in for the checksum validation of the decode layer.

use crate::decode::{Checksum, Segment};

/// Validates a segment's checksum (RFC 1071): header sum and payload must fold to all ones.
pub(super) fn checksum(segment: &Segment<'_>) -> Checksum {
    let seed = segment.header.checksum;
    if seed.offloaded {
        return Checksum::Good;
    }
    if !seed.complete {
        return Checksum::Unverifiable;
    }
    let (words, tail) = segment.payload.as_chunks::<4>();
    let mut sum: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let mut last = [0_u8; 4];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    sum += u64::from(u32::from_ne_bytes(last));
    let payload = u16::from_be(fold_16(sum));
    let total = fold_16(u64::from(payload) + u64::from(seed.header_sum));
    if total == 0xffff { Checksum::Good } else { Checksum::Bad }
}

fn fold_16(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_like_the_definition() {
        let cases: [&[u8]; 6] =
            [b"", b"a", b"ab", b"abc", b"abcdefg", &[0xff, 0xff, 0xff, 0xff, 1, 2, 3]];
        for bytes in cases {
            let plain = bytes.chunks(2).map(|pair| {
                u64::from(pair[0]) * 256 + u64::from(pair.get(1).copied().unwrap_or(0))
            });
            let sum = fold_16(plain.sum());
            let (words, tail) = bytes.as_chunks::<4>();
            let mut fast: u64 = words.iter().map(|w| u64::from(u32::from_ne_bytes(*w))).sum();
            let mut last = [0; 4];
            last[..tail.len()].copy_from_slice(tail);
            fast += u64::from(u32::from_ne_bytes(last));
            assert_eq!(u16::from_be(fold_16(fast)), sum, "{bytes:?}");
        }
    }
}
