//! Encapsulations, byte by byte.

use super::*;

/// What is put into a tunnel, and what comes of that.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Inner {
    Ip(Vec<u8>),
    Frame(Vec<u8>),
}

impl Inner {
    /// As an Ethernet frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        match self {
            Self::Frame(bytes) => bytes.clone(),
            Self::Ip(bytes) => ethernet(ip_type(bytes), bytes),
        }
    }

    /// As an IP packet: a frame of anything else goes into an EtherIP tunnel.
    pub(super) fn ip(&self, back: bool) -> Vec<u8> {
        match self {
            Self::Ip(bytes) => bytes.clone(),
            Self::Frame(bytes) if matches!(bytes[12..14], [0x08, 0x00] | [0x86, 0xdd]) => {
                bytes[14..].to_vec()
            }
            Self::Frame(bytes) => outer(97, &[&[0x30, 0], &bytes[..]].concat(), back),
        }
    }
}

fn ip_type(ip: &[u8]) -> u16 {
    if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd }
}

/// An IPv4 packet; `back` from the receiver of the others. The checksum is the same both ways.
pub(super) fn outer(protocol: u8, payload: &[u8], back: bool) -> Vec<u8> {
    let mut ip = ipv4(protocol, payload);
    if back {
        ip[12..20].rotate_left(4);
    }
    ip
}

pub(super) fn outer6(protocol: u8, payload: &[u8], back: bool) -> Vec<u8> {
    let mut ip = ipv6(protocol, payload);
    if back {
        ip[8..40].rotate_left(16);
    }
    ip
}

/// A UDP datagram from port 50000.
pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 8).unwrap();
    [&50_000_u16.to_be_bytes(), &port.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

/// Something in UDP in IPv4.
fn in_udp(port: u16, header: &[u8], payload: &[u8], back: bool) -> Inner {
    Inner::Ip(outer(17, &udp(port, &[header, payload].concat()), back))
}

/// Something in GRE in IPv4.
fn in_gre(header: &[u8], payload: &[u8], back: bool) -> Inner {
    Inner::Ip(outer(47, &[header, payload].concat(), back))
}

/// Something behind an ethertype.
fn in_frame(kind: u16, header: &[u8], payload: &[u8]) -> Inner {
    Inner::Frame(ethernet(kind, &[header, payload].concat()))
}

/// Numbers that differ by direction.
fn one_way(back: bool) -> u8 {
    if back { 0x77 } else { 0x33 }
}

/// One encapsulation.
pub(super) struct Wrap {
    pub(super) name: &'static str,
    /// What its layer says: kind and number, and whether it has outer addresses. Number of the
    /// packets that go there.
    pub(super) kind: Tunnel,
    pub(super) id: Option<u32>,
    pub(super) has_outer: bool,
    /// Puts something in, there or back.
    pub(super) put: fn(&Inner, bool) -> Inner,
}

const fn wrap(
    name: &'static str,
    kind: Tunnel,
    id: Option<u32>,
    has_outer: bool,
    put: fn(&Inner, bool) -> Inner,
) -> Wrap {
    Wrap { name, kind, id, has_outer, put }
}

const VNI: [u8; 4] = [0, 0x12, 0x34, 0];
const NUMBER: Option<u32> = Some(0x1234);

/// Those whose last layer is that of the tunnel.
pub(super) fn all() -> Vec<Wrap> {
    let mut all = below_ip();
    all.extend(in_ip());
    all.extend(gres());
    all.extend(udps());
    all
}

fn below_ip() -> Vec<Wrap> {
    use Tunnel::{CiscoMetadata, ETag, Mpls, Nsh, Pbb, Pppoe, Vlan, VnTag};
    const LABELS: &[u8] = &[0, 1, 0x10, 64, 0x01, 0x23, 0x41, 64];
    vec![
        wrap("VLAN", Vlan, Some(0x234), false, |inner, _| {
            let frame = inner.frame();
            Inner::Frame([&frame[..12], &[0x81, 0, 0x12, 0x34], &frame[12..]].concat())
        }),
        wrap("MPLS, IP", Mpls, NUMBER, false, |inner, back| {
            in_frame(0x8847, LABELS, &inner.ip(back))
        }),
        wrap("MPLS, frame", Mpls, NUMBER, false, |inner, _| {
            in_frame(0x8847, LABELS, &inner.frame())
        }),
        wrap("MPLS, control word", Mpls, NUMBER, false, |inner, _| {
            in_frame(0x8848, &[LABELS, &[0, 0, 0, 9]].concat(), &inner.frame())
        }),
        wrap("PPPoE", Pppoe, NUMBER, false, |inner, back| put_pppoe(&inner.ip(back), false)),
        wrap("PPPoE, short", Pppoe, NUMBER, false, |inner, back| put_pppoe(&inner.ip(back), true)),
        wrap("PBB", Pbb, NUMBER, false, |inner, _| {
            in_frame(0x88e7, &[0x40, 0, 0x12, 0x34], &inner.frame())
        }),
        wrap("VN-Tag", VnTag, None, false, |inner, back| {
            in_frame(0x8926, &[0x80, one_way(back), 0, 1], &inner.frame()[12..])
        }),
        wrap("E-Tag", ETag, Some(0x233), false, |inner, back| {
            in_frame(0x893f, &[0x40, 1, 0x12, one_way(back), 0, 0], &inner.frame()[12..])
        }),
        wrap("Cisco metadata", CiscoMetadata, Some(0x33), false, |inner, back| {
            in_frame(0x8909, &[1, 1, 0, 1, 0, one_way(back)], &inner.frame()[12..])
        }),
        wrap("NSH", Nsh, Some(0x1233), false, |inner, back| {
            let nsh = [0x0f, 0xc2, 1, 3, 0, 0x12, one_way(back), 255];
            in_frame(0x894f, &nsh, &inner.frame())
        }),
        wrap("NSH with context", Nsh, Some(0x1233), false, |inner, back| {
            let ip = inner.ip(back);
            let next = if ip[0] >> 4 == 4 { 1 } else { 2 };
            let nsh = [0x0f, 0xc6, 1, next, 0, 0x12, one_way(back), 255];
            in_frame(0x894f, &[&nsh[..], &[9; 16]].concat(), &ip)
        }),
    ]
}

fn put_pppoe(ip: &[u8], is_short: bool) -> Inner {
    let low = if ip[0] >> 4 == 4 { 0x21 } else { 0x57 };
    let protocol = if is_short { vec![low] } else { vec![0, low] };
    let len = u16::try_from(protocol.len() + ip.len()).unwrap().to_be_bytes();
    in_frame(0x8864, &[&[0x11, 0, 0x12, 0x34], &len[..], &protocol].concat(), ip)
}

/// IP in IP has a name for each of four combinations; this is IPv4 outside unless `v6`.
fn in_ip() -> Vec<Wrap> {
    use Tunnel::{EtherIp, FourInSix, Ipip, SixInFour, SixInSix};
    /// IP of one version in the other: what is not of the inner one goes into EtherIP of it.
    fn put(inner: &Inner, back: bool, inside6: bool, outside6: bool) -> Inner {
        let mut ip = inner.ip(back);
        if inside6 != (ip[0] >> 4 == 6) {
            let bridged = [&[0x30, 0], &inner.frame()[..]].concat();
            ip = if inside6 { outer6(97, &bridged, back) } else { outer(97, &bridged, back) };
        }
        let protocol = if inside6 { 41 } else { 4 };
        let outer = if outside6 { outer6 } else { outer };
        Inner::Ip(outer(protocol, &ip, back))
    }
    vec![
        wrap("IPv4 in IPv4", Ipip, None, true, |inner, back| put(inner, back, false, false)),
        wrap("IPv4 in IPv6", FourInSix, None, true, |inner, back| put(inner, back, false, true)),
        wrap("IPv6 in IPv4", SixInFour, None, true, |inner, back| put(inner, back, true, false)),
        wrap("IPv6 in IPv6", SixInSix, None, true, |inner, back| put(inner, back, true, true)),
        wrap("EtherIP", EtherIp, None, true, |inner, back| {
            Inner::Ip(outer(97, &[&[0x30, 0], &inner.frame()[..]].concat(), back))
        }),
        wrap("Ethernet in IPv6", EtherIp, None, true, |inner, back| {
            Inner::Ip(outer6(143, &inner.frame(), back))
        }),
    ]
}

fn gres() -> Vec<Wrap> {
    use Tunnel::{Erspan, Gre, Nvgre, Pptp};
    vec![
        wrap("GRE", Gre, None, true, |inner, back| {
            let ip = inner.ip(back);
            in_gre(&[&[0, 0], &ip_type(&ip).to_be_bytes()[..]].concat(), &ip, back)
        }),
        wrap("GRE with everything", Gre, NUMBER, true, |inner, back| {
            let ip = inner.ip(back);
            let kind = ip_type(&ip).to_be_bytes();
            let fields = [1, 2, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 9];
            in_gre(&[&[0xb0, 0], &kind[..], &fields].concat(), &ip, back)
        }),
        wrap("GRE, bridged", Gre, None, true, |inner, back| {
            in_gre(&[0, 0, 0x65, 0x58], &inner.frame(), back)
        }),
        wrap("GRE, bridged, small key", Gre, NUMBER, true, |inner, back| {
            in_gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0x12, 0x34], &inner.frame(), back)
        }),
        wrap("NVGRE", Nvgre, NUMBER, true, |inner, back| {
            let flow = one_way(back);
            in_gre(&[0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, flow], &inner.frame(), back)
        }),
        wrap("PPTP", Pptp, Some(0x1233), true, |inner, back| {
            let ip = inner.ip(back);
            let low = if ip[0] >> 4 == 4 { 0x21 } else { 0x57 };
            let len = u16::try_from(4 + ip.len()).unwrap().to_be_bytes();
            let fixed = [0x30, 0x81, 0x88, 0x0b, len[0], len[1], 0x12, one_way(back)];
            let rest = [0, 0, 0, 1, 0, 0, 0, 2, 0xff, 3, 0, low];
            in_gre(&[&fixed[..], &rest].concat(), &ip, back)
        }),
        wrap("ERSPAN I", Erspan, None, true, |inner, _| {
            in_gre(&[0, 0, 0x88, 0xbe], &inner.frame(), false)
        }),
        wrap("ERSPAN II", Erspan, Some(0x234), true, |inner, back| {
            let gre = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1];
            let erspan = [0x10, one_way(back), 0x12, 0x34, 0, 0, 0, one_way(back)];
            in_gre(&[gre, erspan].concat(), &inner.frame(), false)
        }),
        wrap("ERSPAN III", Erspan, Some(0x234), true, |inner, _| {
            let gre = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
            let erspan = [0x20, 1, 0x12, 0x34, 9, 9, 9, 9, 0, 5, 0x83, 0xfe];
            in_gre(&[&gre[..], &erspan].concat(), &inner.frame(), false)
        }),
        wrap("ERSPAN III, platform", Erspan, Some(0x234), true, |inner, _| {
            let gre = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
            let erspan = [0x20, 1, 0x12, 0x34, 9, 9, 9, 9, 0, 5, 0x83, 0xff];
            in_gre(&[&gre[..], &erspan, &[7; 8]].concat(), &inner.frame(), false)
        }),
        wrap("ERSPAN III, IP", Erspan, Some(0x234), true, |inner, back| {
            let gre = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
            let erspan = [0x20, 1, 0x12, 0x34, 9, 9, 9, 9, 0, 5, 2 << 2, 0];
            in_gre(&[&gre[..], &erspan].concat(), &inner.ip(back), false)
        }),
    ]
}

fn udps() -> Vec<Wrap> {
    use Tunnel::{Geneve, Gtp, Teredo, Vxlan, VxlanGpe};
    let mut udps = vec![
        wrap("VXLAN", Vxlan, NUMBER, true, |inner, back| {
            in_udp(4789, &[&[8, 0, 0, 0], &VNI[..]].concat(), &inner.frame(), back)
        }),
        wrap("VXLAN on Linux' old port, group policy", Vxlan, NUMBER, true, |inner, back| {
            let flags = [0x88, 0x08, 0, one_way(back)];
            in_udp(8472, &[flags, VNI].concat(), &inner.frame(), back)
        }),
        wrap("VXLAN-GPE, frame", VxlanGpe, NUMBER, true, |inner, back| {
            in_udp(4790, &[[0x0c, 0, 0, 3], VNI].concat(), &inner.frame(), back)
        }),
        wrap("VXLAN-GPE, no protocol", VxlanGpe, NUMBER, true, |inner, back| {
            in_udp(4790, &[[0x08, 0, 0, 0], VNI].concat(), &inner.frame(), back)
        }),
        wrap("VXLAN-GPE, IP", VxlanGpe, NUMBER, true, |inner, back| {
            let ip = inner.ip(back);
            let next = if ip[0] >> 4 == 4 { 1 } else { 2 };
            in_udp(4790, &[[0x0c, 0, 0, next], VNI].concat(), &ip, back)
        }),
        wrap("Geneve", Geneve, NUMBER, true, |inner, back| {
            in_udp(6081, &[[0, 0, 0x65, 0x58], VNI].concat(), &inner.frame(), back)
        }),
        wrap("Geneve with options, IP", Geneve, NUMBER, true, |inner, back| {
            let ip = inner.ip(back);
            let [high, low] = ip_type(&ip).to_be_bytes();
            let options = [1, 2, 3, 1, 9, 9, 9, 9, 1, 2, 4, 0];
            in_udp(6081, &[&[3, 0x40, high, low], &VNI[..], &options].concat(), &ip, back)
        }),
        wrap("GTP", Gtp, Some(0x33), true, |inner, back| put_gtp(0x30, &[], &inner.ip(back), back)),
        wrap("GTP with a sequence", Gtp, Some(0x33), true, |inner, back| {
            put_gtp(0x32, &[0, 9, 0, 0x85], &inner.ip(back), back)
        }),
        wrap("GTP with a PDU session", Gtp, Some(0x33), true, |inner, back| {
            let extensions = [0, 0, 0, 0x85, 1, 0x10, 9, 0x40, 2, 9, 9, 9, 9, 9, 9, 0];
            put_gtp(0x34, &extensions, &inner.ip(back), back)
        }),
    ];
    udps.push(wrap("Teredo", Teredo, None, true, |inner, back| {
        let six = outer6(97, &[&[0x30, 0], &inner.frame()[..]].concat(), back);
        in_udp(3544, &[], &six, back)
    }));
    udps.push(wrap("Teredo with indications", Teredo, None, true, |inner, back| {
        let six = outer6(97, &[&[0x30, 0], &inner.frame()[..]].concat(), back);
        let authentication = [0, 1, 1, 2, 9, 8, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
        let origin = [0, 0, 1, 2, 3, 4, 5, 6];
        in_udp(3544, &[&authentication[..], &origin].concat(), &six, back)
    }));
    udps.extend(gre_and_mpls());
    udps
}

fn gre_and_mpls() -> Vec<Wrap> {
    use Tunnel::{GreInUdp, Mpls};
    vec![
        wrap("GRE in UDP", GreInUdp, NUMBER, true, |inner, back| {
            let ip = inner.ip(back);
            let kind = ip_type(&ip).to_be_bytes();
            in_udp(4754, &[&[0x20, 0], &kind[..], &[0, 0, 0x12, 0x34]].concat(), &ip, back)
        }),
        wrap("GRE in UDP, bridged", GreInUdp, None, true, |inner, back| {
            in_udp(4754, &[0, 0, 0x65, 0x58], &inner.frame(), back)
        }),
        wrap("MPLS in UDP", Mpls, NUMBER, false, |inner, back| {
            in_udp(6635, &[0x01, 0x23, 0x41, 64], &inner.ip(back), back)
        }),
        wrap("MPLS in UDP, frame", Mpls, NUMBER, false, |inner, back| {
            in_udp(6635, &[0x01, 0x23, 0x41, 64, 0, 0, 0, 0], &inner.frame(), back)
        }),
        wrap("MPLS in IP", Mpls, NUMBER, false, |inner, back| {
            Inner::Ip(outer(137, &[&[0x01, 0x23, 0x41, 64], &inner.ip(back)[..]].concat(), back))
        }),
        wrap("MPLS in GRE", Mpls, NUMBER, false, |inner, back| {
            in_gre(&[0, 0, 0x88, 0x47, 0x01, 0x23, 0x41, 64], &inner.ip(back), back)
        }),
    ]
}

fn put_gtp(flags: u8, more: &[u8], ip: &[u8], back: bool) -> Inner {
    let [high, low] = u16::try_from(more.len() + ip.len()).unwrap().to_be_bytes();
    let fixed = [flags, 255, high, low, 0, 0, 0, one_way(back)];
    in_udp(2152, &[&fixed[..], more].concat(), ip, back)
}
