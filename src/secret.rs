//! Secrets reduced to keyed hashes at the place where their bytes are seen.

use ring::hmac;

use crate::observation::SecretHash;

/// Turns session ids into [`SecretHash`]es under one key.
///
/// The default key is a constant, so that the same capture gives the same output everywhere; it
/// keeps ids out of the output, but whoever can guess an id can check the guess. A key of one's
/// own (`--hash-key`) closes that.
#[derive(Clone, Debug)]
pub struct SecretHasher {
    key: hmac::Key,
}

impl SecretHasher {
    /// With a key of one's own; any length, 32 random bytes are best.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// HMAC-SHA-256, cut to 8 bytes.
    #[must_use]
    pub fn hash(&self, secret: &[u8]) -> SecretHash {
        let tag = hmac::sign(&self.key, secret);
        let mut short = [0; 8];
        for (to, from) in short.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        SecretHash(short)
    }
}

impl Default for SecretHasher {
    fn default() -> Self {
        Self::new(b"shadowtap session hash, default key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_hash_alike_only_under_one_key() {
        let (a, b) = (SecretHasher::new(b"a"), SecretHasher::new(b"b"));
        assert_eq!(a.hash(b"id"), a.hash(b"id"));
        assert_ne!(a.hash(b"id"), a.hash(b"ie"));
        assert_ne!(a.hash(b"id"), b.hash(b"id"));
    }
}
