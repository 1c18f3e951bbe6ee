//! Cipher suites (IANA TLS registry) that are decrypted.

use ring::{hkdf, hmac};

/// Hash of the key schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
}

impl Hash {
    pub(super) fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Sha256 => hkdf::HKDF_SHA256,
            Self::Sha384 => hkdf::HKDF_SHA384,
        }
    }

    pub(super) fn hmac(self) -> hmac::Algorithm {
        self.hkdf().hmac_algorithm()
    }

    /// Bytes of its output.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// Hash of the HMAC that authenticates records of the CBC suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mac {
    Sha1,
    Sha256,
    Sha384,
}

impl Mac {
    pub(super) fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
        }
    }

    /// Bytes of its tag, and of its key.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// What protects records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
    Aes128Cbc(Mac),
    Aes256Cbc(Mac),
}

impl Protection {
    pub(super) const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Cbc(_) => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::Aes256Cbc(_) => 32,
        }
    }
}

/// A cipher suite as far as records are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) hash: Hash,
    pub(super) protection: Protection,
}

impl Suite {
    const fn new(hash: Hash, protection: Protection) -> Self {
        Self { hash, protection }
    }

    /// A suite of TLS 1.3 (RFC 8446 appendix B.4); `None` for those with AES-CCM.
    pub(super) const fn of_tls13(number: u16) -> Option<Self> {
        Some(match number {
            0x1301 => Self::new(Hash::Sha256, Protection::Aes128Gcm),
            0x1302 => Self::new(Hash::Sha384, Protection::Aes256Gcm),
            0x1303 => Self::new(Hash::Sha256, Protection::ChaCha20Poly1305),
            _ => return None,
        })
    }

    /// A suite of TLS 1.2: any key exchange with AES-GCM, ChaCha20-Poly1305 or AES-CBC.
    pub(super) const fn of_tls12(number: u16) -> Option<Self> {
        use Hash::{Sha256, Sha384};
        Some(match number {
            0x009C | 0x009E | 0x00A0 | 0x00A2 | 0x00A4 | 0x00A6 | 0x00A8 | 0x00AA | 0x00AC
            | 0xC02B | 0xC02D | 0xC02F | 0xC031 | 0xD001 => {
                Self::new(Sha256, Protection::Aes128Gcm)
            }
            0x009D | 0x009F | 0x00A1 | 0x00A3 | 0x00A5 | 0x00A7 | 0x00A9 | 0x00AB | 0x00AD
            | 0xC02C | 0xC02E | 0xC030 | 0xC032 | 0xD002 => {
                Self::new(Sha384, Protection::Aes256Gcm)
            }
            0xCCA8..=0xCCAE => Self::new(Sha256, Protection::ChaCha20Poly1305),
            0x002F..=0x0034
            | 0x008C
            | 0x0090
            | 0x0094
            | 0xC004
            | 0xC009
            | 0xC00E
            | 0xC013
            | 0xC018
            | 0xC01D..=0xC01F
            | 0xC035 => Self::new(Sha256, Protection::Aes128Cbc(Mac::Sha1)),
            0x0035..=0x003A
            | 0x008D
            | 0x0091
            | 0x0095
            | 0xC005
            | 0xC00A
            | 0xC00F
            | 0xC014
            | 0xC019
            | 0xC020..=0xC022
            | 0xC036 => Self::new(Sha256, Protection::Aes256Cbc(Mac::Sha1)),
            0x003C
            | 0x003E..=0x0040
            | 0x0067
            | 0x006C
            | 0x00AE
            | 0x00B2
            | 0x00B6
            | 0xC023
            | 0xC025
            | 0xC027
            | 0xC029
            | 0xC037 => Self::new(Sha256, Protection::Aes128Cbc(Mac::Sha256)),
            0x003D | 0x0068..=0x006B | 0x006D => {
                Self::new(Sha256, Protection::Aes256Cbc(Mac::Sha256))
            }
            0xC024 | 0xC026 | 0xC028 | 0xC02A | 0x00AF | 0x00B3 | 0x00B7 | 0xC038 => {
                Self::new(Sha384, Protection::Aes256Cbc(Mac::Sha384))
            }
            _ => return None,
        })
    }
}
