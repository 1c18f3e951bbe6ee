//! Passive reading of TLS 1.2 and 1.3 on TCP, with secrets from a key log. Sans-IO.
//!
//! In: the bytes of both sides of a connection, to [`Session`], and secrets, to [`Keyring`]. Out:
//! calls of a [`Receiver`]. Hellos and answers are told without any key; with the secrets of a
//! connection its application data too, wherever in time the secrets come.
//!
//! Read are TLS 1.3 (RFC 8446) with AES-GCM and ChaCha20-Poly1305, and TLS 1.2 (RFC 5246) with
//! AES-GCM (RFC 5288), ChaCha20-Poly1305 (RFC 7905) and AES-CBC with HMAC (also encrypt-then-MAC,
//! RFC 7366). Every record is authenticated, so wrong secrets give nothing rather than rubbish.

mod cbc;
mod cipher;
mod keylog;
mod keyring;
mod record;
mod schedule;
mod secret;
mod session;
mod suite;

#[cfg(any(test, fuzzing))]
#[cfg_attr(test, allow(unreachable_pub, reason = "public for fuzzers only"))]
mod fuzz;
#[cfg(test)]
mod samples;

#[cfg(fuzzing)]
pub use fuzz::fuzz;

pub use keylog::BadLine;
pub use keyring::{Added, Keyring, Limits as KeyringLimits};
pub(in crate::app) use session::{Env, Outlook, Receiver, Scratch, Session};

/// Bounds of one TLS connection. Worst case per flow: two begun records of 18 KiB, two handshake
/// messages of 128 KiB and `max_held_bytes`; about 600 KiB, and while data flows under 40 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Ciphertext of both sides that may wait for secrets, in bytes. At the bound the connection
    /// is given up.
    pub max_held_bytes: usize,
    /// Ciphertext that may be passed over where its secret is missing, in bytes: early data, or
    /// an encrypted handshake of which only the traffic secrets are known. Then decryption has
    /// failed.
    pub max_passed_bytes: usize,
    /// Bytes of a side after a gap within which a record must be found; then the side is given up.
    pub max_search_bytes: usize,
    /// Sequence numbers tried for one record after a gap.
    pub max_trials: u64,
    /// Ciphertext decrypted in vain after gaps, in bytes, over the life of a connection: bounds
    /// the work. Then the side is given up.
    pub max_trial_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_held_bytes: 256 << 10,
            max_passed_bytes: 1 << 20,
            max_search_bytes: 256 << 10,
            max_trials: 256,
            max_trial_bytes: 64 << 20,
        }
    }
}
