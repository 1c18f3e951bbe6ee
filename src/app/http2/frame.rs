//! Frame headers (RFC 9113 section 4.1).

/// Bytes of a frame header.
pub(in crate::app) const HEADER_BYTES: usize = 9;

pub(in crate::app) const DATA: u8 = 0;
pub(in crate::app) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(in crate::app) const RST_STREAM: u8 = 3;
pub(in crate::app) const SETTINGS: u8 = 4;
pub(in crate::app) const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
pub(in crate::app) const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(in crate::app) const CONTINUATION: u8 = 9;
/// RFC 7838.
const ALTSVC: u8 = 0xa;
/// RFC 8336.
const ORIGIN: u8 = 0xc;
/// RFC 9218.
const PRIORITY_UPDATE: u8 = 0x10;

/// END_STREAM; ACK of SETTINGS and PING.
pub(in crate::app) const END_STREAM: u8 = 1;
pub(in crate::app) const ACK: u8 = 1;
pub(in crate::app) const END_HEADERS: u8 = 4;
pub(in crate::app) const PADDED: u8 = 8;
pub(in crate::app) const PRIORITISED: u8 = 0x20;

/// Largest frame that a search for frames believes in, in bytes, and the largest one without data.
const MAX_PLAUSIBLE_BYTES: u32 = 1 << 20;
const MAX_PLAUSIBLE_HEADER_BYTES: u32 = 1 << 16;

/// A frame header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Frame {
    /// Payload, in bytes.
    pub(in crate::app) len: u32,
    pub(in crate::app) kind: u8,
    pub(in crate::app) flags: u8,
    pub(in crate::app) stream: u32,
    reserved: bool,
}

impl Frame {
    pub(in crate::app) const fn parse(header: &[u8; HEADER_BYTES]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = *header;
        let stream = u32::from_be_bytes(stream);
        Self {
            len: u32::from_be_bytes([0, high, middle, low]),
            kind,
            flags,
            stream: stream & 0x7fff_ffff,
            reserved: stream >> 31 != 0,
        }
    }

    pub(in crate::app) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Size and stream are such as the type allows; types that are not known may have any.
    pub(in crate::app) const fn is_well_formed(self) -> bool {
        let (len, on_stream) = (self.len, self.stream != 0);
        let padding = self.has(PADDED) as u32;
        match self.kind {
            DATA => on_stream && len >= padding,
            HEADERS => on_stream && len >= padding + if self.has(PRIORITISED) { 5 } else { 0 },
            PRIORITY => on_stream && len == 5,
            RST_STREAM => on_stream && len == 4,
            SETTINGS => !on_stream && len.is_multiple_of(6) && (len == 0 || !self.has(ACK)),
            PUSH_PROMISE => on_stream && len >= padding + 4,
            PING => !on_stream && len == 8,
            GOAWAY => !on_stream && len >= 8,
            WINDOW_UPDATE => len == 4,
            CONTINUATION => on_stream,
            ORIGIN => !on_stream,
            PRIORITY_UPDATE => !on_stream && len >= 4,
            _ => true,
        }
    }

    /// Well-formed, of a known type, with no flag that is not defined for it, and not too large:
    /// what a search takes for a frame header.
    pub(in crate::app) const fn is_plausible(self) -> bool {
        let (flags, max) = match self.kind {
            DATA => (END_STREAM | PADDED, MAX_PLAUSIBLE_BYTES),
            HEADERS => {
                (END_STREAM | END_HEADERS | PADDED | PRIORITISED, MAX_PLAUSIBLE_HEADER_BYTES)
            }
            PUSH_PROMISE => (END_HEADERS | PADDED, MAX_PLAUSIBLE_HEADER_BYTES),
            CONTINUATION => (END_HEADERS, MAX_PLAUSIBLE_HEADER_BYTES),
            SETTINGS | PING => (ACK, 6 * 64),
            PRIORITY | RST_STREAM | GOAWAY | WINDOW_UPDATE | ALTSVC | ORIGIN | PRIORITY_UPDATE => {
                (0, MAX_PLAUSIBLE_HEADER_BYTES)
            }
            _ => return false,
        };
        !self.reserved && self.flags & !flags == 0 && self.len <= max && self.is_well_formed()
    }

    /// The first frame of either side (RFC 9113 section 3.4).
    pub(in crate::app) const fn is_preface(self) -> bool {
        self.kind == SETTINGS && self.flags == 0 && self.is_plausible()
    }

    /// So far off that the length is not to be believed either.
    pub(in crate::app) const fn is_absurd(self) -> bool {
        let known = self.kind <= CONTINUATION;
        !self.is_well_formed() && self.len > MAX_PLAUSIBLE_HEADER_BYTES
            || !known && self.len > MAX_PLAUSIBLE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_judged_by_type_size_stream_and_flags() {
        // Header, well-formed, plausible.
        let table: &[([u8; 9], bool, bool)] = &[
            ([0, 0, 5, DATA, 0, 0, 0, 0, 1], true, true),
            ([0, 0, 5, DATA, 0, 0, 0, 0, 0], false, false),
            ([0, 0, 0, DATA, 8, 0, 0, 0, 1], false, false),
            ([0, 0, 5, DATA, 2, 0, 0, 0, 1], true, false),
            ([0, 0, 5, DATA, 0, 0x80, 0, 0, 1], true, false),
            ([0x20, 0, 5, DATA, 0, 0, 0, 0, 1], true, false),
            ([0, 0, 5, HEADERS, 0x25, 0, 0, 0, 1], true, true),
            ([0, 0, 5, HEADERS, 0x2d, 0, 0, 0, 1], false, false),
            ([0, 0, 4, PRIORITY, 0, 0, 0, 0, 1], false, false),
            ([0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1], true, true),
            ([0, 0, 12, SETTINGS, 0, 0, 0, 0, 0], true, true),
            ([0, 0, 12, SETTINGS, 1, 0, 0, 0, 0], false, false),
            ([0, 0, 7, SETTINGS, 0, 0, 0, 0, 0], false, false),
            ([0, 0, 0, SETTINGS, 1, 0, 0, 0, 0], true, true),
            ([0, 0, 3, PUSH_PROMISE, 4, 0, 0, 0, 1], false, false),
            ([0, 0, 8, PING, 1, 0, 0, 0, 0], true, true),
            ([0, 0, 8, PING, 1, 0, 0, 0, 1], false, false),
            ([0, 0, 8, GOAWAY, 0, 0, 0, 0, 0], true, true),
            ([0, 0, 4, WINDOW_UPDATE, 0, 0, 0, 0, 0], true, true),
            ([0, 0, 0, CONTINUATION, 4, 0, 0, 0, 0], false, false),
            ([0, 0, 9, ALTSVC, 0, 0, 0, 0, 0], true, true),
            ([0, 0, 9, ORIGIN, 0, 0, 0, 0, 3], false, false),
            ([0, 0, 9, PRIORITY_UPDATE, 0, 0, 0, 0, 0], true, true),
            ([0, 0, 9, 0x42, 0xff, 0, 0, 0, 0], true, false),
        ];
        for (header, well_formed, plausible) in table {
            let frame = Frame::parse(header);
            let got = (frame.is_well_formed(), frame.is_plausible());
            assert_eq!(got, (*well_formed, *plausible), "{header:?}");
        }
        let text = Frame::parse(b"HTTP/1.1 ");
        assert!(text.is_absurd());
    }
}
