//! Keys of Initial packets and the removal of their protection (RFC 9001 sections 5.2 to 5.4).

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use super::packet::Version;

const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
];
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb,
    0xf9, 0xbd, 0x2e, 0xd9,
];

const SAMPLE_BYTES: usize = 16;
const IV_BYTES: usize = 12;

/// Keys of one direction. About 700 bytes.
pub(super) struct Keys {
    header: quic::HeaderProtectionKey,
    payload: LessSafeKey,
    iv: [u8; IV_BYTES],
    /// The number that is expected next: what a truncated one is completed with.
    next: u64,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys that the client protects its Initial packets with.
    pub(super) fn of_client(version: Version, id: &[u8]) -> Option<Self> {
        Self::derive(version, id, b"client in")
    }

    #[cfg(any(fuzzing, test))]
    pub(super) fn of_server(version: Version, id: &[u8]) -> Option<Self> {
        Self::derive(version, id, b"server in")
    }

    fn derive(version: Version, id: &[u8], role: &[u8]) -> Option<Self> {
        let (salt, key, iv, header) = match version {
            Version::V1 => (&SALT_V1, &b"quic key"[..], &b"quic iv"[..], &b"quic hp"[..]),
            Version::V2 => (&SALT_V2, &b"quicv2 key"[..], &b"quicv2 iv"[..], &b"quicv2 hp"[..]),
        };
        let initial = Salt::new(HKDF_SHA256, salt).extract(id);
        let secret = Prk::new_less_safe(HKDF_SHA256, &expand::<32>(&initial, role)?);
        let payload = UnboundKey::new(&AES_128_GCM, &expand::<16>(&secret, key)?).ok()?;
        Some(Self {
            header: quic::HeaderProtectionKey::new(&quic::AES_128, &expand::<16>(&secret, header)?)
                .ok()?,
            payload: LessSafeKey::new(payload),
            iv: expand(&secret, iv)?,
            next: 0,
        })
    }

    /// Removes the protection of a packet, in `scratch`, and gives its frames. `None` if it was
    /// not made with these keys.
    pub(super) fn open<'s>(
        &mut self,
        packet: &[u8],
        number_at: usize,
        scratch: &'s mut Vec<u8>,
    ) -> Option<&'s [u8]> {
        let sample = packet.get(number_at.checked_add(4)?..)?.get(..SAMPLE_BYTES)?;
        let [first_mask, number_mask @ ..] = self.header.new_mask(sample).ok()?;
        scratch.clear();
        scratch.extend_from_slice(packet);
        let first = scratch.first_mut()?;
        *first ^= first_mask & 0x0f;
        let number_len = usize::from(*first & 3) + 1;
        let (header, payload) = scratch.split_at_mut_checked(number_at + number_len)?;
        let mut truncated = 0;
        for (byte, mask) in header.get_mut(number_at..)?.iter_mut().zip(number_mask) {
            *byte ^= mask;
            truncated = truncated << 8 | u64::from(*byte);
        }
        let number = complete(truncated, number_len, self.next);
        let opened =
            self.payload.open_in_place(self.nonce(number), Aad::from(&*header), payload).ok()?;
        self.next = self.next.max(number.saturating_add(1));
        Some(opened)
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, part) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *byte ^= part;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Protects a packet that ends with its unprotected frames; the header's length field must
    /// count the 16 bytes that this adds.
    #[cfg(any(test, fuzzing))]
    pub(super) fn seal(&self, mut packet: Vec<u8>, number_at: usize, number: u64) -> Vec<u8> {
        let number_len = usize::from(packet.first().copied().unwrap_or(0) & 3) + 1;
        let mut payload = packet.split_off(number_at + number_len);
        let aad = Aad::from(&packet);
        let sealed = self.payload.seal_in_place_append_tag(self.nonce(number), aad, &mut payload);
        assert!(sealed.is_ok());
        packet.extend_from_slice(&payload);
        let sample = packet.get(number_at + 4..number_at + 4 + SAMPLE_BYTES);
        let mask = self.header.new_mask(sample.unwrap_or_default()).unwrap_or_default();
        let [first_mask, number_mask @ ..] = mask;
        if let Some(first) = packet.first_mut() {
            *first ^= first_mask & 0x0f;
        }
        for (byte, mask) in packet.iter_mut().skip(number_at).take(number_len).zip(number_mask) {
            *byte ^= mask;
        }
        packet
    }
}

/// The packet number nearest to the expected one (RFC 9000 appendix A.3).
const fn complete(truncated: u64, len: usize, expected: u64) -> u64 {
    let window = 1_u64 << (8 * len);
    let candidate = (expected & !(window - 1)) | truncated;
    if candidate + window / 2 <= expected && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

/// Output of so many bytes.
#[derive(Clone, Copy, Debug)]
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label without context (RFC 8446 section 7.1). Labels are under 20 bytes.
fn expand<const N: usize>(secret: &Prk, label: &[u8]) -> Option<[u8; N]> {
    let len = u16::try_from(N).ok()?.to_be_bytes();
    let label_len = [u8::try_from(label.len() + 6).ok()?];
    let info: [&[u8]; 5] = [&len, &label_len, b"tls13 ", label, &[0]];
    let mut output = [0; N];
    secret.expand(&info, Length(N)).ok()?.fill(&mut output).ok()?;
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_completed_near_the_expected_one() {
        for (truncated, len, expected, number) in [
            (2, 1, 0, 2),
            (0xff, 1, 0, 0xff),
            (0x9b32, 2, 0xa82f_30eb, 0xa82f_9b32),
            (0x01, 1, 0x1ff, 0x201),
            (0xfe, 1, 0x200, 0x1fe),
        ] {
            assert_eq!(complete(truncated, len, expected), number);
        }
    }
}
