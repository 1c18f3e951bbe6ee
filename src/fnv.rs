//! FNV-1a, 64 bits: unlike the standard library's hashers, the same in every run and release. It
//! does not resist those who want collisions; whoever uses it says why that does no harm.

use std::hash::Hasher;

/// The hash of nothing.
pub(crate) const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// `hash`, with bytes added.
pub(crate) fn add(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The same as a hasher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(BASIS)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = add(self.0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        assert_eq!(add(BASIS, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(add(BASIS, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(add(BASIS, b"foobar"), 0x8594_4171_f739_67e8);
    }
}
