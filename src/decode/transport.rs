//! What IP carries: TCP headers (RFC 9293 section 3.1) into segments, UDP into datagrams, tunnels, and
//! the names of everything else.

use std::net::IpAddr;

use etherparse::{IpNumber, TcpHeader, TcpHeaderSlice, ip_number};

use super::checksum::{fold, header_sum};
use super::ip::{Addresses, Datagram};
use super::link::Announced;
use super::skip::{Header, Skip};
use super::trail::Trail;
use super::tunnel::{Payload, gre};
use super::view::View;
use super::{ChecksumSeed, DatagramHeader, Decoded, Segment, SegmentHeader, TcpFlags, Tunnel};
use crate::capture::Packet;
use crate::net::{Endpoint, Scope};

/// Reads the TCP segment that a whole datagram carries.
pub(super) fn tcp<'a>(datagram: &Datagram<'a>, packet: &Packet<'_>, scope: Scope) -> Decoded<'a> {
    let view = datagram.view;
    match TcpHeaderSlice::from_slice(view.bytes) {
        Ok(header) => Decoded::Segment(segment(&header, datagram, packet, scope)),
        Err(error) => cut(view.refused(error, Header::Tcp), datagram, packet, scope),
    }
}

/// What UDP (RFC 768) carries: source and destination port, and the payload.
///
/// The checksum is not looked at: what is read of UDP (names, handshakes) proves itself, and
/// tunnels leave it out.
pub(super) fn udp<'a>(datagram: &Datagram<'a>) -> Result<([u16; 2], View<'a>), Skip> {
    let view = datagram.view;
    let (&[s0, s1, d0, d1, l0, l1, _, _], rest) = view.split(Header::Udp)?;
    let payload = match usize::from(u16::from_be_bytes([l0, l1])) {
        // A jumbogram (RFC 2675 section 4).
        0 if datagram.addresses.is_v6() => rest,
        len if len >= 8 && len <= view.wire => rest.limit(len - 8),
        _ => return Err(Skip::Malformed(Header::Udp)),
    };
    Ok(([u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])], payload))
}

/// A UDP datagram that is no tunnel.
pub(super) fn plain<'a>(
    datagram: &Datagram<'_>,
    [from, to]: [u16; 2],
    payload: View<'a>,
    packet: &Packet<'_>,
    scope: Scope,
) -> super::Datagram<'a> {
    let (src, dst) = datagram.addresses.ends();
    super::Datagram {
        header: DatagramHeader {
            packet: packet.index,
            time: packet.time,
            src: Endpoint::new(src, from),
            dst: Endpoint::new(dst, to),
            scope,
            payload_len: u32::try_from(payload.wire).unwrap_or(u32::MAX),
        },
        payload: payload.bytes,
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

/// Whether what a protocol carries is looked into: only its fragments need be stored.
pub(super) const fn is_read(protocol: IpNumber) -> bool {
    matches!(
        protocol,
        ip_number::TCP
            | ip_number::UDP
            | ip_number::AUTH
            | ip_number::IPV4
            | ip_number::IPIP
            | ip_number::IPV6
            | ip_number::GRE
            | ip_number::ETHER_IP
            | ETHERNET
            | ip_number::MPLS_IN_IP
    )
}

/// "Ethernet", which IANA assigned for segment routing (RFC 8986).
const ETHERNET: IpNumber = IpNumber(143);

/// Opens the tunnel that a datagram is, or says why one that is neither TCP nor UDP is skipped.
pub(super) fn tunnel<'a>(
    datagram: &Datagram<'a>,
    trail: &mut Trail,
) -> Result<(Payload, View<'a>), Skip> {
    let (view, v6) = (datagram.view, datagram.addresses.is_v6());
    let (kind, payload) = match datagram.protocol {
        ip_number::GRE => {
            return gre::open(Tunnel::Gre, view, datagram.addresses.ends(), trail);
        }
        ip_number::ETHER_IP => return ether_ip(datagram, trail),
        ip_number::IPV4 | ip_number::IPIP => {
            (if v6 { Tunnel::FourInSix } else { Tunnel::Ipip }, Payload::Ip(Announced::V4))
        }
        ip_number::IPV6 => {
            (if v6 { Tunnel::SixInSix } else { Tunnel::SixInFour }, Payload::Ip(Announced::V6))
        }
        ETHERNET => (Tunnel::EtherIp, Payload::Ethernet),
        ip_number::MPLS_IN_IP => (Tunnel::MplsInIp, Payload::Mpls),
        _ => return Err(unread(datagram)),
    };
    trail.enter(kind, None, Some(datagram.addresses.ends()))?;
    Ok((payload, view))
}

/// RFC 3378 section 3: version 3 and zeros.
fn ether_ip<'a>(datagram: &Datagram<'a>, trail: &mut Trail) -> Result<(Payload, View<'a>), Skip> {
    let header = Header::Tunnel(Tunnel::EtherIp);
    let (fixed, rest) = datagram.view.split(header)?;
    if *fixed != [0x30, 0] {
        return Err(Skip::Malformed(header));
    }
    trail.enter(Tunnel::EtherIp, None, Some(datagram.addresses.ends()))?;
    Ok((Payload::Ethernet, rest))
}

/// Why a datagram that is not [read](is_read) is skipped.
pub(super) const fn unread(datagram: &Datagram<'_>) -> Skip {
    match datagram.protocol {
        ip_number::ICMP | ip_number::IPV6_ICMP => Skip::Icmp,
        ip_number::IPV6_NO_NEXT_HEADER if datagram.addresses.is_v6() => Skip::NoNextHeader,
        ip_number::ENCAP_SEC => Skip::Tunnel(Tunnel::Esp),
        ip_number::IP_COMP => Skip::Tunnel(Tunnel::Ipcomp),
        ip_number::LAYER2_TUNNELING_PROTOCOL => Skip::Tunnel(Tunnel::L2tp),
        protocol if is_control(protocol) => Skip::IpControl(protocol.0),
        protocol => Skip::IpProtocol(protocol.0),
    }
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
