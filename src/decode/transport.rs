//! TCP headers (RFC 9293 section 3.1) into segments; the names of everything else that IP carries.

use super::checksum::{fold, sum};
use super::ip::Datagram;
use super::skip::{Header, Skip, Tunnel};
use super::view::View;
use super::{ChecksumSeed, Decoded, Segment, SegmentHeader, TcpFlags};
use crate::capture::Packet;
use crate::net::{Endpoint, Scope};

/// IP protocol number of TCP.
pub(super) const TCP: u8 = 6;
/// IP protocol number of the authentication header, which TCP may follow.
pub(super) const AUTHENTICATION: u8 = 51;

/// Reads what a whole datagram carries.
pub(super) fn open<'a>(datagram: &Datagram<'a>, packet: &Packet<'_>, scope: Scope) -> Decoded<'a> {
    let Parts { fixed, header, payload } = match split(datagram) {
        Ok(parts) => parts,
        Err(skip) => return Decoded::Skipped(skip),
    };
    let [p0, p1, p2, p3, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, c0, c1, ..] =
        *fixed;
    let payload_len = datagram.view.wire - usize::from(offset >> 4) * 4;
    Decoded::Segment(Segment {
        header: SegmentHeader {
            packet: packet.index,
            time: packet.time,
            src: Endpoint::new(datagram.addresses.src(), u16::from_be_bytes([p0, p1])),
            dst: Endpoint::new(datagram.addresses.dst(), u16::from_be_bytes([p2, p3])),
            scope,
            seq: u32::from_be_bytes([q0, q1, q2, q3]),
            ack: u32::from_be_bytes([a0, a1, a2, a3]),
            flags: TcpFlags(flags),
            window: u16::from_be_bytes([w0, w1]),
            payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
            checksum: seed(datagram, header, u16::from_be_bytes([c0, c1])),
        },
        payload,
    })
}

/// A TCP segment cut up.
struct Parts<'a> {
    /// The header without options.
    fixed: &'a [u8; 20],
    /// The header with them, as far as captured.
    header: &'a [u8],
    payload: &'a [u8],
}

fn split<'a>(datagram: &Datagram<'a>) -> Result<Parts<'a>, Skip> {
    if datagram.protocol != TCP {
        return Err(other(datagram));
    }
    let view = datagram.view;
    let (fixed, _) = view.split::<20>(Header::Tcp)?;
    let header_len = usize::from(fixed[12] >> 4) * 4;
    if header_len < fixed.len() || header_len > view.wire {
        return Err(Skip::Malformed(Header::Tcp));
    }
    // With the options cut by the capture nothing is left for the payload, whose length is known
    // all the same.
    let (header, payload) = view.bytes.split_at_checked(header_len).unwrap_or((view.bytes, &[]));
    Ok(Parts { fixed, header, payload })
}

/// Sums up all but the payload, and recognises what sending hosts leave to the network card.
///
/// Linux (`CHECKSUM_PARTIAL`, also what GRO leaves on receipt) stores the pseudo-header's sum, not
/// complemented, over the length of the large segment. Other stacks complement it, leave the
/// length out of it (large send offload), or leave the field zero.
fn seed(datagram: &Datagram<'_>, header: &[u8], field: u16) -> ChecksumSeed {
    let sizeless = datagram.addresses.sum() + u64::from(TCP);
    let pseudo = fold(sizeless + datagram.view.wire as u64);
    ChecksumSeed {
        header_sum: fold(u64::from(pseudo) + u64::from(sum(header))),
        offloaded: field == 0 || field == pseudo || field == !pseudo || field == fold(sizeless),
        complete: datagram.view.is_complete(),
    }
}

/// Why a datagram that is not TCP is skipped.
pub(super) fn other(datagram: &Datagram<'_>) -> Skip {
    let tunnel = match (datagram.protocol, datagram.addresses.is_v6()) {
        (1 | 58, _) => return Skip::Icmp,
        (17, _) => return udp(datagram.view),
        (59, true) => return Skip::NoNextHeader,
        // IGMP, EGP, IGRP, RSVP, mobility, EIGRP, OSPF, PIM, VRRP, IS-IS over IP, HIP, shim6.
        (2 | 8 | 9 | 46 | 135 | 88 | 89 | 103 | 112 | 124 | 139 | 140, _) => {
            return Skip::IpControl(datagram.protocol);
        }
        (4 | 94, false) => Tunnel::Ipip,
        (4 | 94, true) => Tunnel::FourInSix,
        (41, false) => Tunnel::SixInFour,
        (41, true) => Tunnel::SixInSix,
        (47, _) => gre(datagram.view),
        (50, _) => Tunnel::Esp,
        (97 | 143, _) => Tunnel::EtherIp,
        (108, _) => Tunnel::Ipcomp,
        (115, _) => Tunnel::L2tp,
        (137, _) => Tunnel::Mpls,
        _ => return Skip::IpProtocol(datagram.protocol),
    };
    Skip::Tunnel(tunnel)
}

fn gre(view: View<'_>) -> Tunnel {
    match view.bytes {
        // Types I and II, type III.
        [_, _, 0x88, 0xbe, ..] | [_, _, 0x22, 0xeb, ..] => Tunnel::Erspan,
        _ => Tunnel::Gre,
    }
}

/// UDP tunnels are told by the port that they are sent to.
fn udp(view: View<'_>) -> Skip {
    let [_, _, high, low, ..] = *view.bytes else { return Skip::Udp };
    Skip::Tunnel(match u16::from_be_bytes([high, low]) {
        1701 => Tunnel::L2tp,
        2152 => Tunnel::Gtp,
        3544 => Tunnel::Teredo,
        4500 => Tunnel::Esp,
        4754 => Tunnel::GreInUdp,
        // 8472 was Linux's default before the port was assigned.
        4789 | 8472 => Tunnel::Vxlan,
        4790 => Tunnel::VxlanGpe,
        6081 => Tunnel::Geneve,
        6635 => Tunnel::MplsInUdp,
        51820 => Tunnel::Wireguard,
        _ => return Skip::Udp,
    })
}
