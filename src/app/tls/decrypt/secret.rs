//! A secret: never printed, and zeroed when it goes.

use std::fmt;

/// Longest secret, in bytes: a master secret, or what SHA-384 gives.
pub(super) const MAX_SECRET_BYTES: usize = 48;

/// Up to 48 bytes.
#[derive(Clone)]
pub(super) struct Secret {
    bytes: [u8; MAX_SECRET_BYTES],
    len: usize,
}

impl Secret {
    /// `None` for more than 48 bytes.
    pub(super) fn new(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_SECRET_BYTES];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self { bytes, len: from.len() })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Zeroes bytes, also where nobody reads them any more.
pub(super) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new(b"abcdefgh").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.bytes(), b"abcdefgh");
        assert_eq!(Secret::new(&[1; 49]), None);
    }
}
