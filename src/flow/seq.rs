//! TCP sequence numbers: arithmetic modulo 2^32 (RFC 9293 section 3.4).

/// A sequence number. Comparisons only make sense as distances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seq(pub(super) u32);

impl Seq {
    /// The sequence number `bytes` further on.
    pub(super) const fn plus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(low_32(bytes)))
    }

    /// Signed distance from `origin` to here, the shorter way round: -2^31 to 2^31 - 1.
    pub(super) const fn minus(self, origin: Self) -> i64 {
        self.0.wrapping_sub(origin.0).cast_signed() as i64
    }

    /// Distance from `origin` to here, going forward: 0 to 2^32 - 1.
    pub(super) const fn ahead_of(self, origin: Self) -> u64 {
        self.0.wrapping_sub(origin.0) as u64
    }
}

/// The lower half of a number: sequence numbers and clock stamps wrap on purpose.
pub(super) const fn low_32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    // R3: sequence arithmetic is modulo 2^32 at every border.
    #[test]
    fn distances_wrap_both_ways() {
        let cases = [
            (0_u32, 0_u32, 0_i64),
            (1, 0, 1),
            (0, 1, -1),
            (0, u32::MAX, 1),
            (u32::MAX, 0, -1),
            (0x8000_0000, 0, -0x8000_0000),
            (0x7fff_ffff, 0, 0x7fff_ffff),
            (5, 0xffff_fff0, 21),
        ];
        for (to, from, distance) in cases {
            assert_eq!(Seq(to).minus(Seq(from)), distance, "{to:#x} - {from:#x}");
            assert_eq!(Seq(from).plus(Seq(to).ahead_of(Seq(from))), Seq(to));
        }
    }

    #[test]
    fn plus_takes_lengths_beyond_32_bits() {
        assert_eq!(Seq(7).plus(1 << 32), Seq(7));
        assert_eq!(Seq(u32::MAX).plus((1 << 32) + 2), Seq(1));
    }
}
