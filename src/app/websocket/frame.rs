//! Frame headers (RFC 6455 section 5.2).

/// Longest header: two bytes, eight of extended length, four of key.
pub(super) const MAX_HEADER_BYTES: usize = 14;

/// Longest payload of a control frame, in bytes (RFC 6455 section 5.5).
pub(super) const MAX_CONTROL_BYTES: u64 = 125;

pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The message's last frame.
    pub(super) fin: bool,
    /// RSV1, RSV2, RSV3 as the upper three of four bits: 4, 2, 1.
    pub(super) reserved: u8,
    pub(super) opcode: u8,
    pub(super) key: Option<[u8; 4]>,
    /// Payload length in bytes.
    pub(super) len: u64,
    /// The length could have been written in fewer bytes, which the RFC forbids.
    pub(super) overlong: bool,
}

/// RSV1, by which a message says that it is compressed (RFC 7692 section 6).
pub(super) const RSV1: u8 = 4;

impl Header {
    /// Reads a header and its length in bytes; `None` if more bytes are needed.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (len, overlong, rest) = match second & 0x7f {
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                let len = u64::from(u16::from_be_bytes(*len));
                (len, len < 126, rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk()?;
                let len = u64::from_be_bytes(*len);
                (len, len <= u64::from(u16::MAX), rest)
            }
            len => (u64::from(len), false, rest),
        };
        let (key, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(*key), rest)
        };
        let header = Self {
            fin: first & 0x80 != 0,
            reserved: first >> 4 & 7,
            opcode: first & 0x0f,
            key,
            len,
            overlong,
        };
        Some((header, bytes.len() - rest.len()))
    }

    pub(super) const fn is_control(self) -> bool {
        self.opcode >= CLOSE
    }

    /// Whether the opcode is one of those that RFC 6455 defines.
    pub(super) const fn is_known(self) -> bool {
        matches!(self.opcode, CONTINUATION..=BINARY | CLOSE..=10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(opcode: u8, len: u64) -> Header {
        Header { fin: true, reserved: 0, opcode, key: None, len, overlong: false }
    }

    #[test]
    fn headers_of_all_lengths_need_all_their_bytes() {
        let key = Some([1, 2, 3, 4]);
        let table: &[(&[u8], Header)] = &[
            (b"\x81\x05", header(TEXT, 5)),
            (b"\x01\x00", Header { fin: false, ..header(TEXT, 0) }),
            (b"\xc2\x7d", Header { reserved: RSV1, ..header(BINARY, 125) }),
            (b"\xf0\x00", Header { reserved: 7, ..header(CONTINUATION, 0) }),
            (b"\x82\x7e\x01\x00", header(BINARY, 256)),
            (b"\x82\x7e\x00\x7d", Header { overlong: true, ..header(BINARY, 125) }),
            (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", header(BINARY, 65536)),
            (
                b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
                Header { overlong: true, ..header(BINARY, 65535) },
            ),
            (b"\x88\x80\x01\x02\x03\x04", Header { key, ..header(CLOSE, 0) }),
            (b"\x81\xfe\x00\x80\x01\x02\x03\x04", Header { key, ..header(TEXT, 128) }),
            (
                b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04",
                Header { key, ..header(TEXT, u64::MAX) },
            ),
        ];
        for (bytes, expected) in table {
            for cut in 0..bytes.len() {
                assert_eq!(Header::parse(&bytes[..cut]), None, "{bytes:02x?} {cut}");
            }
            assert_eq!(Header::parse(bytes), Some((*expected, bytes.len())), "{bytes:02x?}");
            let more = [*bytes, b"more"].concat();
            assert_eq!(Header::parse(&more), Some((*expected, bytes.len())), "{bytes:02x?}");
            assert!(bytes.len() <= MAX_HEADER_BYTES);
        }
    }
}
