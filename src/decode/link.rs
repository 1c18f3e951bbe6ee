//! Link layers: from the first byte of a frame to the IP header.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::Tunnel;
use super::skip::{Header, Skip};
use super::trail::Trail;
use super::tunnel::{Payload, shim};
use super::view::View;
use crate::capture::{LinkType, Packet};

/// Which IP the link layer announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    V4,
    V6,
    /// Nothing: the version nibble decides.
    Either,
}

/// An IP packet inside its frame; link-layer padding may follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inner<'a> {
    pub(super) announced: Announced,
    pub(super) view: View<'a>,
}

/// `LINKTYPE_RAW` as OpenBSD numbers it.
const RAW_OPENBSD: LinkType = LinkType(14);

/// As plain numbers: below 0x0600 they are none, and ranges are told by that.
pub(super) mod ethertype {
    use etherparse::ether_type as known;

    pub(in crate::decode) const IPV4: u16 = known::IPV4.0;
    pub(in crate::decode) const ARP: u16 = known::ARP.0;
    pub(in crate::decode) const RARP: u16 = 0x8035;
    pub(in crate::decode) const VLAN: u16 = known::VLAN_TAGGED_FRAME.0;
    pub(in crate::decode) const IPV6: u16 = known::IPV6.0;
    /// LLC in frames longer than 1500 bytes.
    pub(in crate::decode) const LLC_JUMBO: u16 = 0x8870;
    pub(in crate::decode) const QINQ: u16 = known::PROVIDER_BRIDGING.0;
    pub(in crate::decode) const QINQ_OLD: u16 = known::VLAN_DOUBLE_TAGGED_FRAME.0;
    pub(in crate::decode) const QINQ_OLDER: u16 = 0x9200;
    /// Smaller values are an IEEE 802.3 length.
    pub(in crate::decode) const FIRST: u16 = 0x0600;
    /// IEEE 802.2 LLC, as Linux cooked captures number it.
    pub(in crate::decode) const COOKED_LLC: u16 = 0x0004;
}

/// Opens the link layer of a packet.
pub(super) fn open<'a>(packet: &Packet<'a>, trail: &mut Trail) -> Result<Inner<'a>, Skip> {
    let wire = usize::try_from(packet.wire_len).unwrap_or(usize::MAX);
    let view = View::new(packet.bytes, wire);
    match packet.link {
        LinkType::ETHERNET => ethernet(view, trail),
        LinkType::LINUX_SLL => cooked_v1(view, trail),
        LinkType::LINUX_SLL2 => cooked_v2(view, trail),
        LinkType::RAW | LinkType::RAW_BSD | RAW_OPENBSD => Ok(bare(Announced::Either, view)),
        LinkType::IPV4 => Ok(bare(Announced::V4, view)),
        LinkType::IPV6 => Ok(bare(Announced::V6, view)),
        LinkType::NULL | LinkType::LOOP => loopback(view),
        LinkType(other) => Err(Skip::LinkType(other)),
    }
}

const fn bare(announced: Announced, view: View<'_>) -> Inner<'_> {
    Inner { announced, view }
}

fn ethernet<'a>(view: View<'a>, trail: &mut Trail) -> Result<Inner<'a>, Skip> {
    let (kind, rest) = frame(view)?;
    // What most frames carry leads straight on.
    match kind {
        ethertype::IPV4 => Ok(bare(Announced::V4, rest)),
        ethertype::IPV6 => Ok(bare(Announced::V6, rest)),
        kind => descend(Payload::Typed(kind), rest, trail),
    }
}

/// Addresses off: the ethertype, and what it announces.
fn frame(view: View<'_>) -> Result<(u16, View<'_>), Skip> {
    let header = Ethernet2HeaderSlice::from_slice(view.bytes)
        .map_err(|error| view.refused(error, Header::Ethernet))?;
    Ok((header.ether_type().0, view.behind(header.slice())))
}

/// By hand, as etherparse refuses packet types and hardware that it does not know, and does not
/// know version 2.
fn cooked_v1<'a>(view: View<'a>, trail: &mut Trail) -> Result<Inner<'a>, Skip> {
    let (header, rest) = view.split::<16>(Header::Cooked)?;
    let hardware = u16::from_be_bytes([header[2], header[3]]);
    cooked(hardware, u16::from_be_bytes([header[14], header[15]]), rest, trail)
}

fn cooked_v2<'a>(view: View<'a>, trail: &mut Trail) -> Result<Inner<'a>, Skip> {
    let (header, rest) = view.split::<20>(Header::Cooked)?;
    let hardware = u16::from_be_bytes([header[8], header[9]]);
    cooked(hardware, u16::from_be_bytes([header[0], header[1]]), rest, trail)
}

/// The protocol field of a cooked header is an ethertype but for some hardware: frame relay (770),
/// IEEE 802.11 (801 to 803) and netlink (824).
fn cooked<'a>(
    hardware: u16,
    protocol: u16,
    rest: View<'a>,
    trail: &mut Trail,
) -> Result<Inner<'a>, Skip> {
    match (hardware, protocol) {
        (770 | 801..=803 | 824, _) => Err(Skip::CookedHardware(hardware)),
        (_, ethertype::COOKED_LLC | ethertype::FIRST..) => {
            descend(Payload::Typed(protocol), rest, trail)
        }
        _ => Err(Skip::EtherType(protocol)),
    }
}

/// BSD loopback: an address family in the byte order of the writer (always big-endian for
/// `LINKTYPE_LOOP`, which costs nothing not to rely on). Each system has its own number for IPv6:
/// Linux 10, Windows 23, NetBSD and OpenBSD 24, FreeBSD 28, macOS 30.
fn loopback(view: View<'_>) -> Result<Inner<'_>, Skip> {
    let (header, rest) = view.split::<4>(Header::Loopback)?;
    let little = u32::from_le_bytes(*header);
    let family = little.min(little.swap_bytes());
    match family {
        2 => Ok(bare(Announced::V4, rest)),
        10 | 23 | 24 | 28 | 30 => Ok(bare(Announced::V6, rest)),
        other => Err(Skip::AddressFamily(other)),
    }
}

/// From what a header announces to an IP packet, through VLAN tags, LLC/SNAP, frames and labels.
pub(super) fn descend<'a>(
    mut payload: Payload,
    mut view: View<'a>,
    trail: &mut Trail,
) -> Result<Inner<'a>, Skip> {
    loop {
        let kind = match payload {
            Payload::Ip(announced) => return Ok(bare(announced, view)),
            Payload::Typed(kind) => kind,
            Payload::Ethernet => {
                let (kind, rest) = frame(view)?;
                (payload, view) = (Payload::Typed(kind), rest);
                continue;
            }
            Payload::Mpls => {
                (payload, view) = shim::mpls(view, trail)?;
                continue;
            }
            Payload::Ppp(carrier) => {
                (payload, view) = shim::ppp(view, carrier)?;
                continue;
            }
        };
        (payload, view) = match kind {
            ethertype::IPV4 => return Ok(bare(Announced::V4, view)),
            ethertype::IPV6 => return Ok(bare(Announced::V6, view)),
            ethertype::VLAN | ethertype::QINQ | ethertype::QINQ_OLD | ethertype::QINQ_OLDER => {
                let tag = SingleVlanHeaderSlice::from_slice(view.bytes)
                    .map_err(|error| view.refused(error, Header::Tunnel(Tunnel::Vlan)))?;
                trail.vlan(tag.vlan_identifier().value())?;
                (Payload::Typed(tag.ether_type().0), view.behind(tag.slice()))
            }
            ..ethertype::FIRST | ethertype::LLC_JUMBO => {
                let (kind, rest) = snap(view)?;
                // A SNAP header cannot announce another one: what is below the ethertypes there
                // would otherwise be read as a length, over and over.
                if kind < ethertype::FIRST || kind == ethertype::LLC_JUMBO {
                    return Err(Skip::EtherType(kind));
                }
                (Payload::Typed(kind), rest)
            }
            other => shim::open(other, view, trail)?,
        };
    }
}

/// IEEE 802.2 LLC: only SNAP (RFC 1042) with an ethertype leads on.
fn snap(view: View<'_>) -> Result<(u16, View<'_>), Skip> {
    const SAP_SNAP: u8 = 0xaa;
    let (llc, rest) = view.split::<3>(Header::Llc)?;
    if llc[0] != SAP_SNAP {
        return Err(Skip::Llc(llc[0]));
    }
    let (header, rest) = rest.split::<5>(Header::Llc)?;
    let kind = u16::from_be_bytes([header[3], header[4]]);
    match header {
        // RFC 1042, and IEEE 802.1H for what bridges translated.
        [0, 0, 0 | 0xf8, ..] => Ok((kind, rest)),
        _ => Err(Skip::Snap(kind)),
    }
}

/// Why a frame of another ethertype is skipped.
pub(super) const fn not_ip(kind: u16) -> Skip {
    match kind {
        ethertype::ARP | ethertype::RARP => Skip::Arp,
        0x8847 | 0x8848 => Skip::Tunnel(Tunnel::Mpls),
        0x8864 => Skip::Tunnel(Tunnel::Pppoe),
        0x88e7 => Skip::Tunnel(Tunnel::Pbb),
        0x88e5 => Skip::Tunnel(Tunnel::Macsec),
        0x8926 => Skip::Tunnel(Tunnel::VnTag),
        0x893f => Skip::Tunnel(Tunnel::ETag),
        0x8909 => Skip::Tunnel(Tunnel::CiscoMetadata),
        0x894f => Skip::Tunnel(Tunnel::Nsh),
        0x22f3 => Skip::Tunnel(Tunnel::Trill),
        // Wake-on-LAN, AVTP, DEC, AppleTalk (2), IPX, flow control, LACP, PPPoE discovery.
        0x0842 | 0x22f0 | 0x6000..=0x6009 | 0x809b | 0x80f3 | 0x8137 | 0x8808 | 0x8809 | 0x8863
        // HomePlug (3), EAPOL, PROFINET, Realtek loop detection, ATA over Ethernet, EtherCAT.
        | 0x887b | 0x88e1 | 0x8912 | 0x888e | 0x8892 | 0x8899 | 0x88a2 | 0x88a4
        // GOOSE and sampled values, 802.11 preauthentication, LLDP, link discovery (LLTD).
        | 0x88b8..=0x88ba | 0x88c7 | 0x88cc | 0x88d9
        // MRP, MVRP, MMRP, PTP, CFM, FCoE (2), RoCE, loopback test.
        | 0x88e3 | 0x88f5 | 0x88f6 | 0x88f7 | 0x8902 | 0x8906 | 0x8914 | 0x8915 | 0x9000 => {
            Skip::LinkControl(kind)
        }
        other => Skip::EtherType(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use crate::time::Timestamp;

    /// An IPv4 header's first byte stands for the packet inside.
    const IP: u8 = 0x45;

    /// What was announced, the offset of the IP packet, and the scope.
    type Opened = Result<(Announced, usize, u64), Skip>;

    fn opened(link: u16, bytes: &[u8]) -> Opened {
        let packet = Packet {
            index: 0,
            time: Timestamp::EPOCH,
            link: LinkType(link),
            bytes,
            wire_len: u32::try_from(bytes.len()).unwrap(),
        };
        let mut trail = Trail::new(&Limits::default());
        open(&packet, &mut trail)
            .map(|inner| (inner.announced, bytes.len() - inner.view.bytes.len(), trail.scope().0))
    }

    fn ethernet_frame(tail: &[u8]) -> Vec<u8> {
        [&[0x02; 12], tail, &[IP]].concat()
    }

    #[test]
    fn ethernet_types_lengths_and_tags() {
        let snap = |oui: [u8; 3], kind: [u8; 2]| {
            [&[0x00, 0x28, 0xaa, 0xaa, 0x03], &oui[..], &kind[..]].concat()
        };
        let cases: &[(Vec<u8>, Opened)] = &[
            (vec![0x08, 0x00], Ok((Announced::V4, 14, 0))),
            (vec![0x86, 0xdd], Ok((Announced::V6, 14, 0))),
            (vec![0x81, 0x00, 0xe0, 0x05, 0x08, 0x00], Ok((Announced::V4, 18, 5))),
            (
                vec![0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0xc8, 0x86, 0xdd],
                Ok((Announced::V6, 22, 100 << 12 | 200)),
            ),
            (vec![0x91, 0x00, 0, 7, 0x92, 0x00, 0, 8, 0x08, 0x00], Ok((Announced::V4, 22, 0x7008))),
            (vec![0x81, 0x00, 0x20, 0x00, 0x08, 0x00], Ok((Announced::V4, 18, 0))),
            (snap([0, 0, 0], [0x08, 0x00]), Ok((Announced::V4, 22, 0))),
            (snap([0, 0, 0xf8], [0x86, 0xdd]), Ok((Announced::V6, 22, 0))),
            (snap([0, 0, 0], [0x00, 0x10]), Err(Skip::EtherType(0x10))),
            (snap([0, 0, 0x0c], [0x20, 0x00]), Err(Skip::Snap(0x2000))),
            (
                [&[0x81, 0x00, 0x00, 0x09][..], &snap([0, 0, 0], [0x08, 0x00])].concat(),
                Ok((Announced::V4, 26, 9)),
            ),
            (vec![0x00, 0x26, 0x42, 0x42, 0x03], Err(Skip::Llc(0x42))),
            (vec![0x00, 0x26, 0xaa], Err(Skip::Malformed(Header::Llc))),
            (vec![0x08, 0x06], Err(Skip::Arp)),
            (vec![0x88, 0xcc], Err(Skip::LinkControl(0x88cc))),
            (vec![0x88, 0x47], Err(Skip::Malformed(Header::Tunnel(Tunnel::Mpls)))),
            (vec![0x88, 0xe5], Err(Skip::Tunnel(Tunnel::Macsec))),
            (vec![0x22, 0xf3], Err(Skip::Tunnel(Tunnel::Trill))),
            (vec![0x81, 0x00, 0x00, 0x05, 0x88, 0xb5], Err(Skip::EtherType(0x88b5))),
            (vec![0x81, 0x00, 0x00], Err(Skip::Malformed(Header::Tunnel(Tunnel::Vlan)))),
        ];
        for (tail, expected) in cases {
            assert_eq!(opened(1, &ethernet_frame(tail)), *expected, "{tail:02x?}");
        }
        assert_eq!(opened(1, &[0; 13]), Err(Skip::Malformed(Header::Ethernet)));
    }

    #[test]
    fn cooked_headers() {
        let v1 = |hardware: u16, protocol: u16, tail: &[u8]| {
            let mut bytes = vec![0, 0, 0, 0, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0];
            bytes[2..4].copy_from_slice(&hardware.to_be_bytes());
            bytes[14..16].copy_from_slice(&protocol.to_be_bytes());
            bytes.extend_from_slice(tail);
            opened(113, &bytes)
        };
        let v2 = |hardware: u16, protocol: u16, tail: &[u8]| {
            let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0];
            bytes[..2].copy_from_slice(&protocol.to_be_bytes());
            bytes[8..10].copy_from_slice(&hardware.to_be_bytes());
            bytes.extend_from_slice(tail);
            opened(276, &bytes)
        };
        assert_eq!(v1(1, 0x0800, &[IP]), Ok((Announced::V4, 16, 0)));
        assert_eq!(v2(1, 0x86dd, &[IP]), Ok((Announced::V6, 20, 0)));
        assert_eq!(v1(65534, 0x0800, &[IP]), Ok((Announced::V4, 16, 0)));
        assert_eq!(v1(1, 0x8100, &[0, 4, 8, 0, IP]), Ok((Announced::V4, 20, 4)));
        assert_eq!(v2(1, 0x8100, &[0, 4, 0x86, 0xdd, IP]), Ok((Announced::V6, 24, 4)));
        assert_eq!(v1(1, 4, &[0x42, 0x42, 3]), Err(Skip::Llc(0x42)));
        assert_eq!(v2(1, 4, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0, IP]), Ok((Announced::V4, 28, 0)));
        assert_eq!(v1(1, 1, &[IP]), Err(Skip::EtherType(1)));
        assert_eq!(v1(824, 0x0800, &[IP]), Err(Skip::CookedHardware(824)));
        assert_eq!(v2(803, 0x0800, &[IP]), Err(Skip::CookedHardware(803)));
        assert_eq!(v2(1, 0x0806, &[]), Err(Skip::Arp));
    }

    #[test]
    fn loopback_families_in_both_orders() {
        for link in [0, 108] {
            for (family, announced) in [
                (2_u32, Announced::V4),
                (10, Announced::V6),
                (23, Announced::V6),
                (24, Announced::V6),
                (28, Announced::V6),
                (30, Announced::V6),
            ] {
                for bytes in [family.to_be_bytes(), family.to_le_bytes()] {
                    assert_eq!(opened(link, &bytes), Ok((announced, 4, 0)), "{link} {family}");
                }
            }
            assert_eq!(opened(link, &[7, 0, 0, 0]), Err(Skip::AddressFamily(7)));
            assert_eq!(opened(link, &[0, 0, 2]), Err(Skip::Malformed(Header::Loopback)));
        }
    }

    #[test]
    fn raw_ip_and_unknown_link_types() {
        for (link, announced) in [
            (12, Announced::Either),
            (14, Announced::Either),
            (101, Announced::Either),
            (228, Announced::V4),
            (229, Announced::V6),
        ] {
            assert_eq!(opened(link, &[IP]), Ok((announced, 0, 0)));
        }
        assert_eq!(opened(127, &[IP]), Err(Skip::LinkType(127)));
    }

    #[test]
    fn tags_beyond_the_bound_are_counted() {
        let stack = |count: usize| {
            let mut tail = [0x81, 0x00, 0x00, 0x01].repeat(count);
            tail.extend_from_slice(&[0x08, 0x00]);
            opened(1, &ethernet_frame(&tail))
        };
        assert!(stack(8).is_ok());
        assert_eq!(stack(9), Err(Skip::VlanBound));
    }
}
