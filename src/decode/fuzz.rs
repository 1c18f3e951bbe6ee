//! Entry point for fuzzers.

use super::{Decoded, Decoder, Limits};
use crate::capture::{LinkType, Packet};
use crate::time::Timestamp;

/// Feeds `data` as frames: each begins with a byte that picks the link type, one of seconds since
/// the frame before, one of bytes cut off by the capture, and two of length.
///
/// # Panics
///
/// When a payload is longer than its length on the wire.
pub fn fuzz(data: &[u8]) {
    const LINKS: [u16; 10] = [1, 1, 1, 0, 12, 101, 108, 113, 229, 276];
    let mut decoder = Decoder::new(Limits { max_fragmented_datagrams: 4, ..Limits::default() });
    let (mut rest, mut index, mut seconds) = (data, 0, 0);
    while let Some(([link, pause, cut, high, low], tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        rest = tail;
        seconds += i64::from(*pause);
        let packet = Packet {
            index,
            time: Timestamp::from_parts(seconds, 0),
            link: LinkType(LINKS.get(usize::from(*link) % LINKS.len()).copied().unwrap_or(1)),
            bytes,
            wire_len: u32::try_from(len).unwrap_or(u32::MAX) + u32::from(*cut),
        };
        index += 1;
        if let Decoded::Segment(segment) = decoder.push(&packet) {
            let on_wire = usize::try_from(segment.header.payload_len).unwrap_or(usize::MAX);
            assert!(segment.payload.len() <= on_wire, "payload longer than on the wire");
            std::hint::black_box(segment.checksum());
        }
    }
    decoder.finish();
}
