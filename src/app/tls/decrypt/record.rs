//! Records (RFC 8446 section 5.1, RFC 5246 section 6.2).

/// Type, version and length.
pub(super) const HEADER_BYTES: usize = 5;
/// Longest body, in bytes: 2^14 of plaintext and what TLS 1.2 allows for protection.
pub(super) const MAX_BODY_BYTES: usize = (1 << 14) + 2048;

/// `ContentType` values (IANA).
pub(super) mod kind {
    pub(in super::super) const CHANGE_CIPHER_SPEC: u8 = 20;
    pub(in super::super) const ALERT: u8 = 21;
    pub(in super::super) const HANDSHAKE: u8 = 22;
    pub(in super::super) const APPLICATION_DATA: u8 = 23;
    pub(in super::super) const HEARTBEAT: u8 = 24;
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u8,
    pub(super) version: [u8; 2],
    pub(super) len: u16,
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [kind, major, minor, high, low] = *bytes.first_chunk()?;
        Some(Self { kind, version: [major, minor], len: u16::from_be_bytes([high, low]) })
    }

    pub(super) const fn bytes(self) -> [u8; HEADER_BYTES] {
        let ([major, minor], [high, low]) = (self.version, self.len.to_be_bytes());
        [self.kind, major, minor, high, low]
    }

    /// Whether it can be the header of a record. Empty ones are allowed for application data, and
    /// some old implementations sent them before each record of a CBC suite.
    pub(super) fn is_sound(self) -> bool {
        let [major, minor] = self.version;
        matches!(self.kind, kind::CHANGE_CIPHER_SPEC..=kind::HEARTBEAT)
            && major == 3
            && minor <= 4
            && self.body_bytes() <= MAX_BODY_BYTES
            && (self.len > 0 || self.kind == kind::APPLICATION_DATA)
    }

    /// Bytes that follow it.
    pub(super) fn body_bytes(self) -> usize {
        usize::from(self.len)
    }
}
