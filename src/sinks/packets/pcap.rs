//! Packets as bytes of capture files: pcap with nanoseconds, and pcapng where link types differ.

use crate::capture::{LinkType, Packet};
use crate::time::Timestamp;

/// Bytes before the first record.
pub(super) const HEADER_BYTES: u64 = 24;

/// Bytes before each record's packet.
pub(super) const RECORD_BYTES: usize = 16;

/// The longest packet that readers accept.
const SNAPLEN: u32 = 262_144;

/// The file header: nanoseconds, no other claims.
pub(super) fn header(link: LinkType) -> [u8; 24] {
    let words = [0xa1b2_3c4d, 0x0004_0002, 0, 0, SNAPLEN, u32::from(link.0)];
    let mut header = [0; 24];
    let (places, _) = header.as_chunks_mut::<4>();
    for (place, word) in places.iter_mut().zip(words) {
        *place = u32::to_le_bytes(word);
    }
    header
}

/// Appends a record. Times before 1970 and after 2106 become the nearest that fits.
pub(super) fn record(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let nanos = u64::try_from(packet.time.as_nanos()).unwrap_or(0);
    let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
    let below = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
    let captured = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX).min(SNAPLEN);
    let wire = packet.wire_len.max(captured);
    out.reserve(RECORD_BYTES + packet.bytes.len());
    for word in [seconds, below, captured, wire] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(packet.bytes.get(..captured as usize).unwrap_or(packet.bytes));
}

/// A pcapng section header and one interface for each link type, with times in nanoseconds.
pub(super) fn section(links: &[LinkType]) -> Vec<u8> {
    let mut out = Vec::new();
    let unknown_length = u64::MAX.to_le_bytes();
    let body = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &unknown_length].concat();
    block(&mut out, 0x0a0d_0d0a, &body);
    for link in links {
        let mut body = Vec::from(link.0.to_le_bytes());
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&SNAPLEN.to_le_bytes());
        // if_tsresol: 10^-9; then the end of options.
        body.extend_from_slice(&[9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        block(&mut out, 1, &body);
    }
    out
}

/// Appends an enhanced packet block of the interface with that number.
pub(super) fn enhanced(
    out: &mut Vec<u8>,
    interface: u32,
    time: Timestamp,
    bytes: &[u8],
    wire: u32,
) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(0).to_le_bytes();
    let (low, high) = nanos.split_at(4);
    let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut body = Vec::with_capacity(20 + bytes.len() + 3);
    body.extend_from_slice(&interface.to_le_bytes());
    body.extend_from_slice(high);
    body.extend_from_slice(low);
    body.extend_from_slice(&captured.to_le_bytes());
    body.extend_from_slice(&wire.max(captured).to_le_bytes());
    body.extend_from_slice(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
    block(out, 6, &body);
}

fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&length);
    out.extend_from_slice(body);
    out.extend_from_slice(&length);
}
