//! Entry point for fuzzers.

use super::{Decoded, Decoder, Limits};
use crate::capture::{LinkType, Packet};
use crate::net::Scope;
use crate::time::Timestamp;

/// Feeds `data` as frames: each begins with a byte that picks the link type and what the frame is
/// put into, one of seconds since the frame before, one of bytes cut off by the capture, and two of
/// length.
///
/// # Panics
///
/// When a payload is longer than its length on the wire, or a scope has no path.
pub fn fuzz(data: &[u8]) {
    const LINKS: [u16; 10] = [1, 1, 1, 0, 12, 101, 108, 113, 229, 276];
    let mut decoder = Decoder::new(Limits { max_fragmented_datagrams: 4, ..Limits::default() });
    let (mut rest, mut index, mut seconds) = (data, 0, 0);
    while let Some(([pick, pause, cut, high, low], tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        rest = tail;
        seconds += i64::from(*pause);
        let pick = usize::from(*pick);
        let around = AROUND.get((pick / LINKS.len()) % AROUND.len()).copied().unwrap_or_default();
        let frame = around.frame(bytes);
        let link = LINKS.get(pick % LINKS.len()).copied().unwrap_or(1);
        let packet = Packet {
            index,
            time: Timestamp::from_parts(seconds, 0),
            link: if around.header.is_empty() { LinkType(link) } else { LinkType::ETHERNET },
            wire_len: u32::try_from(frame.len()).unwrap_or(u32::MAX) + u32::from(*cut),
            bytes: &frame,
        };
        index += 1;
        let (payload, on_wire, scope) = match decoder.push(&packet) {
            Decoded::Segment(segment) => {
                std::hint::black_box(segment.checksum());
                (segment.payload.len(), segment.header.payload_len, segment.header.scope)
            }
            Decoded::Datagram(datagram) => {
                (datagram.payload.len(), datagram.header.payload_len, datagram.header.scope)
            }
            Decoded::Fragment | Decoded::Skipped(_) => continue,
        };
        let on_wire = usize::try_from(on_wire).unwrap_or(usize::MAX);
        assert!(payload <= on_wire, "payload longer than on the wire");
        assert!(scope == Scope(0) || decoder.path(scope).is_some(), "scope without a path");
    }
    decoder.finish();
}

/// Headers to put arbitrary bytes behind, so that they get into tunnels.
#[derive(Clone, Copy, Default)]
struct Around {
    /// From the ethertype on; an IPv4 header's lengths and checksum do not matter: zero.
    header: &'static [u8],
    /// Where the length of a UDP datagram stands in it; 0 for none.
    udp_length_at: usize,
}

/// IPv4 with a length and checksum of zero, as network cards complete it, and a protocol.
macro_rules! ipv4 {
    ($protocol:literal $(, $more:literal)*) => {
        &[8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, $protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 $(, $more)*]
    };
}

const fn plain(header: &'static [u8]) -> Around {
    Around { header, udp_length_at: 0 }
}

const fn udp(header: &'static [u8]) -> Around {
    Around { header, udp_length_at: 12 + 2 + 20 + 4 }
}

const AROUND: [Around; 20] = [
    plain(&[]),
    plain(&[0x88, 0x47, 0, 0, 0x11, 64]),
    plain(&[0x88, 0x64, 0x11, 0, 0, 1, 0xff, 0xff]),
    plain(&[0x88, 0xe7, 0, 0, 0, 1]),
    plain(&[0x89, 0x4f]),
    plain(ipv4!(4)),
    plain(ipv4!(41)),
    plain(ipv4!(47)),
    plain(ipv4!(47, 0, 0, 0x65, 0x58)),
    plain(ipv4!(47, 0x10, 0, 0x22, 0xeb, 0, 0, 0, 1)),
    plain(ipv4!(47, 0x30, 1, 0x88, 0x0b, 0xff, 0xff, 0, 1, 0, 0, 0, 1)),
    plain(ipv4!(97, 0x30, 0)),
    plain(ipv4!(137)),
    udp(ipv4!(17, 0, 7, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 0)),
    udp(ipv4!(17, 0, 7, 0x12, 0xb6, 0, 0, 0, 0)),
    udp(ipv4!(17, 0, 7, 0x17, 0xc1, 0, 0, 0, 0)),
    udp(ipv4!(17, 0, 7, 0x08, 0x68, 0, 0, 0, 0)),
    udp(ipv4!(17, 0, 7, 0x0d, 0xd8, 0, 0, 0, 0)),
    udp(ipv4!(17, 0, 7, 0x12, 0x92, 0, 0, 0, 0)),
    udp(ipv4!(17, 0, 7, 0x19, 0xeb, 0, 0, 0, 0)),
];

impl Around {
    fn frame(self, bytes: &[u8]) -> Vec<u8> {
        if self.header.is_empty() {
            return bytes.to_vec();
        }
        let mut frame = [&[2; 12], self.header, bytes].concat();
        let len = frame.len().saturating_sub(12 + 2 + 20);
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        if self.udp_length_at > 0
            && let Some(field) = frame.get_mut(self.udp_length_at..self.udp_length_at + 2)
        {
            field.copy_from_slice(&len.to_be_bytes());
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Tunnel;

    #[test]
    fn arbitrary_bytes_get_into_tunnels() {
        let ip = [&[0x45, 0][..], &[0; 6], &[64, 6, 0, 0, 10, 0, 0, 3, 10, 0, 0, 4]].concat();
        let ip = [&ip[..], &[0; 12], &[0x50, 0, 0, 0, 0, 0, 0, 0]].concat();
        let mut decoder = Decoder::default();
        for around in AROUND.into_iter().skip(1) {
            let inside: &[&[u8]] = &[&ip, &[&[2; 12], &[8, 0][..], &ip].concat()];
            for bytes in inside {
                let frame = around.frame(bytes);
                let wire_len = u32::try_from(frame.len()).unwrap();
                let (link, time) = (LinkType::ETHERNET, Timestamp::EPOCH);
                decoder.push(&Packet { index: 0, time, link, bytes: &frame, wire_len });
            }
        }
        use Tunnel::{EtherIp, Gre, Ipip, Mpls, MplsInIp, Pbb, Vxlan};
        let opened: Vec<_> = decoder.opened().filter(|(_, count)| *count > 0).collect();
        for kind in [EtherIp, Gre, Ipip, Mpls, MplsInIp, Pbb, Vxlan] {
            assert!(opened.iter().any(|(tunnel, _)| *tunnel == kind), "{kind:?}: {opened:?}");
        }
    }
}
