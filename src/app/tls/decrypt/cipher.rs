//! Protected records into their content.

use std::fmt;

use ring::aead::{self, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::cbc::{self, Cbc};
use super::record::{Header, kind};
use super::schedule::{self, MAX_KEY_BLOCK_BYTES};
use super::secret::{Secret, wipe};
use super::suite::{Protection, Suite};

/// Bytes of the tag of each AEAD here.
const TAG_BYTES: usize = 16;
/// Bytes of the nonce that AES-GCM records of TLS 1.2 carry (RFC 5288 section 3).
const EXPLICIT_BYTES: usize = 8;
/// Longest key or IV, in bytes.
const MAX_KEY_BYTES: usize = 32;

enum Kind {
    /// TLS 1.3; also ChaCha20-Poly1305 of TLS 1.2, with the same nonce.
    Counted {
        key: LessSafeKey,
        iv: [u8; NONCE_LEN],
        tls13: bool,
    },
    /// AES-GCM of TLS 1.2.
    Explicit {
        key: LessSafeKey,
        salt: [u8; 4],
    },
    Cbc(Cbc),
}

/// Opens the records of one direction under one secret.
pub(super) struct Opener(Kind);

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

/// An opened record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content<'b> {
    /// Its true type.
    pub(super) kind: u8,
    pub(super) bytes: &'b [u8],
}

/// What the keys of a TLS 1.2 connection are made of, beside the master secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tls12<'a> {
    pub(super) client_random: &'a [u8; 32],
    pub(super) server_random: &'a [u8; 32],
    pub(super) encrypt_then_mac: bool,
}

impl Opener {
    /// With keys from a traffic secret of TLS 1.3 (RFC 8446 section 7.3).
    pub(super) fn tls13(suite: Suite, secret: &Secret) -> Option<Self> {
        let (mut key_bytes, mut iv) = ([0; MAX_KEY_BYTES], [0; NONCE_LEN]);
        let key = key_bytes.get_mut(..suite.protection.key_bytes())?;
        schedule::expand_label(suite.hash, secret, "key", key)?;
        schedule::expand_label(suite.hash, secret, "iv", &mut iv)?;
        let key = aead_key(suite.protection, key);
        wipe(&mut key_bytes);
        Some(Self(Kind::Counted { key: key?, iv, tls13: true }))
    }

    /// With keys from the master secret of TLS 1.2 (RFC 5246 section 6.3), of what the client
    /// writes, or the server.
    pub(super) fn tls12(
        suite: Suite,
        master: &Secret,
        made_of: Tls12<'_>,
        client: bool,
    ) -> Option<Self> {
        let mut block = [0; MAX_KEY_BLOCK_BYTES];
        let seed = [&made_of.server_random[..], made_of.client_random];
        schedule::prf(suite.hash, master, "key expansion", seed, &mut block);
        let opener = Self::from_key_block(suite, &block, made_of.encrypt_then_mac, client);
        wipe(&mut block);
        opener
    }

    fn from_key_block(
        suite: Suite,
        block: &[u8],
        encrypt_then_mac: bool,
        client: bool,
    ) -> Option<Self> {
        let protection = suite.protection;
        let (mac_bytes, iv_bytes) = match protection {
            Protection::Aes128Gcm | Protection::Aes256Gcm => (0, 4),
            Protection::ChaCha20Poly1305 => (0, NONCE_LEN),
            Protection::Aes128Cbc(mac) | Protection::Aes256Cbc(mac) => (mac.bytes(), 0),
        };
        let mut at = 0;
        let mut pair = |len: usize| {
            let start = if client { at } else { at + len };
            at += 2 * len;
            block.get(start..start + len)
        };
        let (mac_key, key, iv) = (pair(mac_bytes)?, pair(protection.key_bytes())?, pair(iv_bytes)?);
        Some(Self(match protection {
            Protection::Aes128Gcm | Protection::Aes256Gcm => {
                Kind::Explicit { key: aead_key(protection, key)?, salt: iv.try_into().ok()? }
            }
            Protection::ChaCha20Poly1305 => Kind::Counted {
                key: aead_key(protection, key)?,
                iv: iv.try_into().ok()?,
                tls13: false,
            },
            Protection::Aes128Cbc(mac) | Protection::Aes256Cbc(mac) => {
                Kind::Cbc(Cbc::new(key, mac, mac_key, encrypt_then_mac)?)
            }
        }))
    }

    /// Opens a record in place. `None` if it is none under these keys and this sequence number;
    /// the bytes are lost then.
    pub(super) fn open<'b>(
        &self,
        sequence: u64,
        header: Header,
        body: &'b mut [u8],
    ) -> Option<Content<'b>> {
        match &self.0 {
            Kind::Counted { key, iv, tls13: true } => {
                let aad = Aad::from(header.bytes());
                let inner = key.open_in_place(counted(*iv, sequence), aad, body).ok()?;
                // RFC 8446 section 5.4: content, type, zeros.
                let end = inner.iter().rposition(|byte| *byte != 0)?;
                let (bytes, rest) = inner.split_at(end);
                Some(Content { kind: *rest.first()?, bytes })
            }
            Kind::Counted { key, iv, tls13: false } => {
                let len = body.len().checked_sub(TAG_BYTES)?;
                let aad = Aad::from(cbc::additional(sequence, header, len)?);
                let bytes = key.open_in_place(counted(*iv, sequence), aad, body).ok()?;
                Some(Content { kind: header.kind, bytes })
            }
            Kind::Explicit { key, salt } => {
                let len = body.len().checked_sub(EXPLICIT_BYTES + TAG_BYTES)?;
                let (explicit, sealed) = body.split_at_mut(EXPLICIT_BYTES);
                let mut nonce = [0; NONCE_LEN];
                let (first, second) = nonce.split_at_mut(salt.len());
                first.copy_from_slice(salt);
                second.copy_from_slice(explicit);
                let aad = Aad::from(cbc::additional(sequence, header, len)?);
                let nonce = Nonce::assume_unique_for_key(nonce);
                let bytes = key.open_in_place(nonce, aad, sealed).ok()?;
                Some(Content { kind: header.kind, bytes })
            }
            Kind::Cbc(cbc) => {
                let bytes = cbc.open(sequence, header, body)?;
                Some(Content { kind: header.kind, bytes })
            }
        }
    }

    /// The body of a record, for tests and fuzzers. Nothing for CBC suites.
    #[cfg(any(test, fuzzing))]
    pub(super) fn seal(&self, sequence: u64, kind: u8, bytes: &[u8]) -> Vec<u8> {
        let mut sealed = bytes.to_vec();
        let header = |kind, len: usize| Header {
            kind,
            version: [3, 3],
            len: u16::try_from(len).unwrap_or(u16::MAX),
        };
        let (mut body, tag) = match &self.0 {
            Kind::Counted { key, iv, tls13: true } => {
                sealed.push(kind);
                let head = header(23, sealed.len() + TAG_BYTES);
                let (nonce, aad) = (counted(*iv, sequence), Aad::from(head.bytes()));
                (Vec::new(), key.seal_in_place_separate_tag(nonce, aad, &mut sealed))
            }
            Kind::Counted { key, iv, tls13: false } => {
                let aad = cbc::additional(sequence, header(kind, 0), bytes.len());
                let aad = Aad::from(aad.unwrap_or_default());
                let nonce = counted(*iv, sequence);
                (Vec::new(), key.seal_in_place_separate_tag(nonce, aad, &mut sealed))
            }
            Kind::Explicit { key, salt } => {
                let aad = cbc::additional(sequence, header(kind, 0), bytes.len());
                let aad = Aad::from(aad.unwrap_or_default());
                let explicit = sequence.to_be_bytes();
                let mut nonce = [0; NONCE_LEN];
                nonce
                    .iter_mut()
                    .zip(salt.iter().chain(&explicit))
                    .for_each(|(to, from)| *to = *from);
                let nonce = Nonce::assume_unique_for_key(nonce);
                (explicit.to_vec(), key.seal_in_place_separate_tag(nonce, aad, &mut sealed))
            }
            Kind::Cbc(_) => return Vec::new(),
        };
        body.extend_from_slice(&sealed);
        body.extend(tag.into_iter().flat_map(|tag| tag.as_ref().to_vec()));
        body
    }

    /// The counter that a record shows, if it shows one: most programs count it up from anywhere.
    pub(super) fn explicit_nonce(&self, body: &[u8]) -> Option<u64> {
        match &self.0 {
            Kind::Explicit { .. } => body.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)),
            Kind::Counted { .. } | Kind::Cbc(_) => None,
        }
    }

    /// Least bytes that protection adds to the plaintext of a record.
    pub(super) const fn overhead(&self) -> usize {
        match &self.0 {
            Kind::Counted { tls13, .. } => TAG_BYTES + *tls13 as usize,
            Kind::Explicit { .. } => EXPLICIT_BYTES + TAG_BYTES,
            Kind::Cbc(cbc) => cbc.overhead(),
        }
    }
}

fn aead_key(protection: Protection, key: &[u8]) -> Option<LessSafeKey> {
    let algorithm = match protection {
        Protection::Aes128Gcm => &aead::AES_128_GCM,
        Protection::Aes256Gcm => &aead::AES_256_GCM,
        Protection::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        Protection::Aes128Cbc(_) | Protection::Aes256Cbc(_) => return None,
    };
    UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
}

/// The IV with the sequence number in its last eight bytes (RFC 8446 section 5.3).
fn counted(mut iv: [u8; NONCE_LEN], sequence: u64) -> Nonce {
    let (_, last) = iv.split_at_mut(NONCE_LEN - 8);
    for (byte, other) in last.iter_mut().zip(sequence.to_be_bytes()) {
        *byte ^= other;
    }
    Nonce::assume_unique_for_key(iv)
}

/// Whether a record of this type may be protected in TLS 1.2.
pub(super) const fn may_be_protected(kind_of: u8) -> bool {
    matches!(kind_of, kind::ALERT | kind::HANDSHAKE | kind::APPLICATION_DATA | kind::HEARTBEAT)
}
