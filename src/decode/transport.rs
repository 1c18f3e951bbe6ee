//! TCP headers (RFC 9293 section 3.1) into segments; the names of everything else that IP carries.

use std::net::IpAddr;

use etherparse::{IpNumber, TcpHeader, TcpHeaderSlice, ip_number};

use super::checksum::{fold, header_sum};
use super::ip::{Addresses, Datagram};
use super::skip::{Header, Skip, Tunnel};
use super::view::View;
use super::{ChecksumSeed, Decoded, Segment, SegmentHeader, TcpFlags};
use crate::capture::Packet;
use crate::net::{Endpoint, Scope};

/// Reads what a whole datagram carries.
pub(super) fn open<'a>(datagram: &Datagram<'a>, packet: &Packet<'_>, scope: Scope) -> Decoded<'a> {
    if datagram.protocol != ip_number::TCP {
        return Decoded::Skipped(other(datagram));
    }
    let view = datagram.view;
    match TcpHeaderSlice::from_slice(view.bytes) {
        Ok(header) => Decoded::Segment(segment(&header, datagram, packet, scope)),
        Err(error) => cut(view.refused(error, Header::Tcp), datagram, packet, scope),
    }
}

/// A header that etherparse refuses. With only options cut by the capture the segment is of use:
/// nothing is left of the payload, but its length is known. The options are not read.
#[cold]
fn cut<'a>(skip: Skip, datagram: &Datagram<'a>, packet: &Packet<'_>, scope: Scope) -> Decoded<'a> {
    let captured = datagram.view.bytes;
    let mut padded = [0; TcpHeader::MAX_LEN];
    if skip == Skip::Truncated(Header::Tcp)
        && captured.len() >= TcpHeader::MIN_LEN
        && let Some(start) = padded.get_mut(..captured.len())
    {
        start.copy_from_slice(captured);
        if let Ok(header) = TcpHeaderSlice::from_slice(&padded) {
            return Decoded::Segment(segment(&header, datagram, packet, scope));
        }
    }
    Decoded::Skipped(skip)
}

fn segment<'a>(
    header: &TcpHeaderSlice<'_>,
    datagram: &Datagram<'a>,
    packet: &Packet<'_>,
    scope: Scope,
) -> Segment<'a> {
    match datagram.addresses {
        Addresses::V4(ip) => {
            let (src, dst) = (ip.source_addr().into(), ip.destination_addr().into());
            between(src, dst, header, datagram, packet, scope)
        }
        Addresses::V6 { header: ip, last_stop } => {
            let dst = last_stop.map_or_else(|| ip.destination(), |last| *last);
            between(ip.source_addr().into(), dst.into(), header, datagram, packet, scope)
        }
    }
}

/// Inlined into code for each family: moving addresses of unknown family about is what would cost
/// most.
#[inline(always)]
fn between<'a>(
    src: IpAddr,
    dst: IpAddr,
    header: &TcpHeaderSlice<'_>,
    datagram: &Datagram<'a>,
    packet: &Packet<'_>,
    scope: Scope,
) -> Segment<'a> {
    let payload = datagram.view.behind(header.slice());
    Segment {
        header: SegmentHeader {
            packet: packet.index,
            time: packet.time,
            src: Endpoint::new(src, header.source_port()),
            dst: Endpoint::new(dst, header.destination_port()),
            scope,
            seq: header.sequence_number(),
            ack: header.acknowledgment_number(),
            // etherparse has no name for the whole byte.
            flags: TcpFlags(header.slice().get(13).copied().unwrap_or_default()),
            window: header.window_size(),
            payload_len: u32::try_from(payload.wire).unwrap_or(u32::MAX),
            checksum: seed(address_sum(src) + address_sum(dst), header, datagram.view),
        },
        payload: payload.bytes,
    }
}

/// Sums up all but the payload, and recognises what sending hosts leave to the network card.
///
/// Linux (`CHECKSUM_PARTIAL`, also what GRO leaves on receipt) stores the pseudo-header's sum, not
/// complemented, over the length of the large segment. Other stacks complement it, leave the
/// length out of it (large send offload), or leave the field zero.
#[inline(always)]
fn seed(addresses: u64, header: &TcpHeaderSlice<'_>, view: View<'_>) -> ChecksumSeed {
    let field = header.checksum();
    let sizeless = addresses + u64::from(ip_number::TCP.0);
    let sized = sizeless + view.wire as u64;
    let pseudo = fold(sized);
    ChecksumSeed {
        header_sum: fold(sized + header_sum(header.slice())),
        offloaded: field == 0 || field == pseudo || field == !pseudo || field == fold(sizeless),
        complete: view.is_complete(),
    }
}

fn address_sum(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => header_sum(&address.octets()),
        IpAddr::V6(address) => header_sum(&address.octets()),
    }
}

/// Why a datagram that is not TCP is skipped.
pub(super) fn other(datagram: &Datagram<'_>) -> Skip {
    let tunnel = match (datagram.protocol, datagram.addresses.is_v6()) {
        (ip_number::ICMP | ip_number::IPV6_ICMP, _) => return Skip::Icmp,
        (ip_number::UDP, _) => return udp(datagram.view),
        (ip_number::IPV6_NO_NEXT_HEADER, true) => return Skip::NoNextHeader,
        (protocol, _) if is_control(protocol) => return Skip::IpControl(protocol.0),
        (ip_number::IPV4 | ip_number::IPIP, false) => Tunnel::Ipip,
        (ip_number::IPV4 | ip_number::IPIP, true) => Tunnel::FourInSix,
        (ip_number::IPV6, false) => Tunnel::SixInFour,
        (ip_number::IPV6, true) => Tunnel::SixInSix,
        (ip_number::GRE, _) => gre(datagram.view),
        (ip_number::ENCAP_SEC, _) => Tunnel::Esp,
        // "Ethernet", which IANA assigned for segment routing (RFC 8986).
        (ip_number::ETHER_IP | IpNumber(143), _) => Tunnel::EtherIp,
        (ip_number::IP_COMP, _) => Tunnel::Ipcomp,
        (ip_number::LAYER2_TUNNELING_PROTOCOL, _) => Tunnel::L2tp,
        (ip_number::MPLS_IN_IP, _) => Tunnel::Mpls,
        (protocol, _) => return Skip::IpProtocol(protocol.0),
    };
    Skip::Tunnel(tunnel)
}

/// Protocols that run networks and carry nobody's data. The mobility, host identity and shim6
/// headers, which IPv6 counts among its extension headers, are payload in IPv4.
const fn is_control(protocol: IpNumber) -> bool {
    matches!(
        protocol,
        ip_number::IGMP
            | ip_number::EGP
            | ip_number::IGP
            | ip_number::RSVP
            | ip_number::EIGRP
            | ip_number::OSPFIGP
            | ip_number::PIM
            | ip_number::VRRP
            | ip_number::ISIS_OVER_IPV4
            | ip_number::MOBILITY
            | ip_number::HIP
            | ip_number::SHIM6
    )
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
