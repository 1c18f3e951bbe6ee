//! AES-CBC with HMAC (RFC 5246 section 6.2.3.2, RFC 7366).
//!
//! The MAC is checked like the tag of an AEAD: it tells wrong secrets, and after a gap the
//! sequence number. Nobody can time this side of the wire, so it is checked plainly.

use aes::{Aes128, Aes256};
use cbc::Decryptor;
use cbc::cipher::{Array, BlockModeDecrypt as _, InnerIvInit as _, KeyInit as _};
use ring::hmac;

use super::record::{HEADER_BYTES, Header};
use super::suite::Mac;

/// Bytes of a block, and of the IV before each record.
const BLOCK_BYTES: usize = 16;

enum Key {
    Aes128(Box<Aes128>),
    Aes256(Box<Aes256>),
}

/// Keys of one direction.
pub(super) struct Cbc {
    key: Key,
    mac_key: hmac::Key,
    mac_bytes: usize,
    encrypt_then_mac: bool,
}

impl Cbc {
    /// `None` if `key` has neither 16 nor 32 bytes.
    pub(super) fn new(
        key: &[u8],
        mac: Mac,
        mac_key: &[u8],
        encrypt_then_mac: bool,
    ) -> Option<Self> {
        let key = match key.len() {
            16 => Key::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)),
            32 => Key::Aes256(Box::new(Aes256::new_from_slice(key).ok()?)),
            _ => return None,
        };
        let mac_key = hmac::Key::new(mac.hmac(), mac_key);
        Some(Self { key, mac_key, mac_bytes: mac.bytes(), encrypt_then_mac })
    }

    /// Decrypts a record in place and answers with its plaintext.
    pub(super) fn open<'b>(
        &self,
        sequence: u64,
        header: Header,
        body: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        if self.encrypt_then_mac {
            let (sealed, tag) =
                body.split_at_mut_checked(body.len().checked_sub(self.mac_bytes)?)?;
            self.verify(sequence, header, sealed, tag)?;
            return self.decrypt(sealed);
        }
        let mac_bytes = self.mac_bytes;
        let plain = self.decrypt(body)?;
        let (plain, tag) = plain.split_at_checked(plain.len().checked_sub(mac_bytes)?)?;
        self.verify(sequence, header, plain, tag)?;
        Some(plain)
    }

    /// Least bytes that protection adds: IV, MAC and one byte of padding.
    pub(super) const fn overhead(&self) -> usize {
        BLOCK_BYTES + self.mac_bytes + 1
    }

    /// IV and blocks into what they hold, padding removed.
    fn decrypt<'b>(&self, sealed: &'b mut [u8]) -> Option<&'b [u8]> {
        let (iv, blocks) = sealed.split_first_chunk_mut::<BLOCK_BYTES>()?;
        let iv = Array::from(*iv);
        let (whole, []) = Array::slice_as_chunks_mut(blocks) else { return None };
        match &self.key {
            Key::Aes128(key) => {
                Decryptor::inner_iv_init((**key).clone(), &iv).decrypt_blocks(whole)
            }
            Key::Aes256(key) => {
                Decryptor::inner_iv_init((**key).clone(), &iv).decrypt_blocks(whole)
            }
        }
        let blocks = &*blocks;
        let padding = *blocks.last()?;
        let (plain, padded) =
            blocks.split_at_checked(blocks.len().checked_sub(usize::from(padding) + 1)?)?;
        padded.iter().all(|byte| *byte == padding).then_some(plain)
    }

    fn verify(&self, sequence: u64, header: Header, bytes: &[u8], tag: &[u8]) -> Option<()> {
        let mut context = hmac::Context::with_key(&self.mac_key);
        context.update(&additional(sequence, header, bytes.len())?);
        context.update(bytes);
        (context.sign().as_ref() == tag).then_some(())
    }
}

/// Sequence number, type, version and length: what TLS 1.2 authenticates beside the content.
pub(super) fn additional(
    sequence: u64,
    header: Header,
    len: usize,
) -> Option<[u8; 8 + HEADER_BYTES]> {
    let mut bytes = [0; 8 + HEADER_BYTES];
    let (first, rest) = bytes.split_at_mut(8);
    first.copy_from_slice(&sequence.to_be_bytes());
    let len = u16::try_from(len).ok()?;
    rest.copy_from_slice(&Header { len, ..header }.bytes());
    Some(bytes)
}
