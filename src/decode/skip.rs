//! Why a packet gave no TCP segment.

/// What a skipped packet means for coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Cannot carry MCP over TCP: nothing was missed.
    Benign,
    /// This release cannot read it, and it may hide MCP.
    Unsupported,
    /// No honest sender would have sent it, or it was damaged on the way.
    Malformed,
    /// The capture does not have enough of it.
    Truncated,
}

/// The header that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Header {
    /// Ethernet addresses and type.
    Ethernet,
    /// IEEE 802.1Q or 802.1ad tag.
    Vlan,
    /// IEEE 802.2 LLC, with or without SNAP.
    Llc,
    /// Linux cooked capture, v1 or v2.
    Cooked,
    /// BSD loopback.
    Loopback,
    /// IPv4 with its options.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// IPv6 extension header, or an authentication header in either family.
    Extension,
    /// A fragment's place or length; cut: the fragment's data.
    Fragment,
    /// TCP with its options.
    Tcp,
}

impl Header {
    /// Names when cut by the capture, and when malformed.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ethernet => ("truncated-ethernet", "malformed-ethernet"),
            Self::Vlan => ("truncated-vlan", "malformed-vlan"),
            Self::Llc => ("truncated-llc", "malformed-llc"),
            Self::Cooked => ("truncated-cooked", "malformed-cooked"),
            Self::Loopback => ("truncated-loopback", "malformed-loopback"),
            Self::Ipv4 => ("truncated-ipv4", "malformed-ipv4"),
            Self::Ipv6 => ("truncated-ipv6", "malformed-ipv6"),
            Self::Extension => ("truncated-extension", "malformed-extension"),
            Self::Fragment => ("truncated-fragment", "malformed-fragment"),
            Self::Tcp => ("truncated-tcp", "malformed-tcp"),
        }
    }
}

/// An encapsulation that this release recognises and does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// MPLS, by ethertype (RFC 3032) or in IP (RFC 4023).
    Mpls,
    /// MPLS in UDP (RFC 7510).
    MplsInUdp,
    /// PPP over Ethernet session (RFC 2516).
    Pppoe,
    /// Provider backbone bridging, IEEE 802.1ah.
    Pbb,
    /// MACsec, IEEE 802.1AE.
    Macsec,
    /// Cisco VN-Tag.
    VnTag,
    /// IEEE 802.1BR E-Tag.
    ETag,
    /// Cisco metadata (security group tags).
    CiscoMetadata,
    /// Network service header (RFC 8300).
    Nsh,
    /// TRILL (RFC 6325).
    Trill,
    /// GRE (RFC 2784), bridged Ethernet over GRE included.
    Gre,
    /// GRE in UDP (RFC 8086).
    GreInUdp,
    /// ERSPAN type I, II or III in GRE.
    Erspan,
    /// IPv4 in IPv4 (RFC 2003).
    Ipip,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// IPv4 in IPv6 (RFC 2473).
    FourInSix,
    /// IPv6 in IPv6 (RFC 2473).
    SixInSix,
    /// Ethernet in IP (RFC 3378).
    EtherIp,
    /// L2TP, version 2 in UDP (RFC 2661) or version 3 in IP (RFC 3931).
    L2tp,
    /// IPsec ESP, in IP (RFC 4303) or in UDP (RFC 3948).
    Esp,
    /// IP payload compression (RFC 3173).
    Ipcomp,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// VXLAN with the generic protocol extension.
    VxlanGpe,
    /// Geneve (RFC 8926).
    Geneve,
    /// GTP user plane (3GPP TS 29.281).
    Gtp,
    /// Teredo (RFC 4380).
    Teredo,
    /// WireGuard on its usual port.
    Wireguard,
}

impl Tunnel {
    /// Stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mpls => "mpls",
            Self::MplsInUdp => "mpls-in-udp",
            Self::Pppoe => "pppoe",
            Self::Pbb => "pbb",
            Self::Macsec => "macsec",
            Self::VnTag => "vn-tag",
            Self::ETag => "e-tag",
            Self::CiscoMetadata => "cisco-metadata",
            Self::Nsh => "nsh",
            Self::Trill => "trill",
            Self::Gre => "gre",
            Self::GreInUdp => "gre-in-udp",
            Self::Erspan => "erspan",
            Self::Ipip => "ipip",
            Self::SixInFour => "6in4",
            Self::FourInSix => "4in6",
            Self::SixInSix => "6in6",
            Self::EtherIp => "etherip",
            Self::L2tp => "l2tp",
            Self::Esp => "esp",
            Self::Ipcomp => "ipcomp",
            Self::Vxlan => "vxlan",
            Self::VxlanGpe => "vxlan-gpe",
            Self::Geneve => "geneve",
            Self::Gtp => "gtp",
            Self::Teredo => "teredo",
            Self::Wireguard => "wireguard",
        }
    }
}

/// Why a packet gave no TCP segment: to be counted by [`name`](Self::name) and
/// [`number`](Self::number), never dropped silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// Link-layer type that is not read (`LINKTYPE_` value).
    LinkType(u16),
    /// Ethertype that is not known.
    EtherType(u16),
    /// IP protocol that is not known (IANA number).
    IpProtocol(u8),
    /// Address family of BSD loopback that is not known.
    AddressFamily(u32),
    /// Linux cooked capture of hardware whose frames have no ethertype (`ARPHRD_` value).
    CookedHardware(u16),
    /// ARP or RARP.
    Arp,
    /// Another protocol of the link itself, by ethertype: LLDP, LACP, EAPOL, PTP and so on.
    LinkControl(u16),
    /// IEEE 802.2 LLC without SNAP, by destination SAP: spanning tree, IS-IS and so on.
    Llc(u8),
    /// IEEE 802.2 SNAP of a vendor, by protocol number: CDP, VTP, per-VLAN spanning tree.
    Snap(u16),
    /// UDP that is no known tunnel.
    Udp,
    /// ICMP or ICMPv6.
    Icmp,
    /// Another control protocol on IP, by protocol: IGMP, OSPF, PIM, VRRP and so on.
    IpControl(u8),
    /// IPv6 "no next header" (RFC 8200 section 4.7).
    NoNextHeader,
    /// A known encapsulation that is not opened.
    Tunnel(Tunnel),
    /// More VLAN tags than [`Limits::max_vlan_tags`](super::Limits::max_vlan_tags).
    VlanBound,
    /// More extension headers than
    /// [`Limits::max_extension_headers`](super::Limits::max_extension_headers).
    ExtensionBound,
    /// A fragment that the limits on fragments leave no room for.
    FragmentBound,
    /// The capture cut the packet inside this header.
    Truncated(Header),
    /// This header contradicts itself or the frame.
    Malformed(Header),
    /// The IPv4 header checksum is wrong (and not zero): every host drops the packet.
    BadIpChecksum,
    /// An IPv4 fragment that contradicts the end of its datagram as told before.
    FragmentConflict,
    /// An IPv6 fragment of a datagram with overlapping fragments: all of it is dropped (RFC 5722).
    FragmentOverlap,
}

impl Skip {
    /// Stable name: lower case, hyphenated. A tunnel's is the tunnel's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinkType(_) => "unknown-link-type",
            Self::EtherType(_) => "unknown-ethertype",
            Self::IpProtocol(_) => "unknown-ip-protocol",
            Self::AddressFamily(_) => "unknown-address-family",
            Self::CookedHardware(_) => "unknown-cooked-hardware",
            Self::Arp => "arp",
            Self::LinkControl(_) => "link-control",
            Self::Llc(_) => "llc",
            Self::Snap(_) => "snap",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::IpControl(_) => "ip-control",
            Self::NoNextHeader => "no-next-header",
            Self::Tunnel(tunnel) => tunnel.name(),
            Self::VlanBound => "vlan-bound",
            Self::ExtensionBound => "extension-bound",
            Self::FragmentBound => "fragment-bound",
            Self::Truncated(header) => header.names().0,
            Self::Malformed(header) => header.names().1,
            Self::BadIpChecksum => "bad-ip-checksum",
            Self::FragmentConflict => "fragment-conflict",
            Self::FragmentOverlap => "fragment-overlap",
        }
    }

    /// The number that goes with the name: an ethertype, protocol, SAP and so on.
    #[must_use]
    pub const fn number(self) -> Option<u32> {
        match self {
            Self::LinkType(number)
            | Self::EtherType(number)
            | Self::CookedHardware(number)
            | Self::LinkControl(number)
            | Self::Snap(number) => Some(number as u32),
            Self::IpProtocol(number) | Self::Llc(number) | Self::IpControl(number) => {
                Some(number as u32)
            }
            Self::AddressFamily(number) => Some(number),
            _ => None,
        }
    }

    /// What it means for coverage.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Arp
            | Self::LinkControl(_)
            | Self::Llc(_)
            | Self::Snap(_)
            | Self::Udp
            | Self::Icmp
            | Self::IpControl(_)
            | Self::NoNextHeader => Class::Benign,
            Self::LinkType(_)
            | Self::EtherType(_)
            | Self::IpProtocol(_)
            | Self::AddressFamily(_)
            | Self::CookedHardware(_)
            | Self::Tunnel(_)
            | Self::VlanBound
            | Self::ExtensionBound
            | Self::FragmentBound => Class::Unsupported,
            Self::Truncated(_) => Class::Truncated,
            Self::Malformed(_)
            | Self::BadIpChecksum
            | Self::FragmentConflict
            | Self::FragmentOverlap => Class::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_number_and_class_of_each_kind() {
        let cases = [
            (Skip::LinkType(147), "unknown-link-type", Some(147), Class::Unsupported),
            (Skip::EtherType(0x1234), "unknown-ethertype", Some(0x1234), Class::Unsupported),
            (Skip::IpProtocol(132), "unknown-ip-protocol", Some(132), Class::Unsupported),
            (Skip::Arp, "arp", None, Class::Benign),
            (Skip::Llc(0x42), "llc", Some(0x42), Class::Benign),
            (Skip::Udp, "udp", None, Class::Benign),
            (Skip::Tunnel(Tunnel::SixInFour), "6in4", None, Class::Unsupported),
            (Skip::Truncated(Header::Tcp), "truncated-tcp", None, Class::Truncated),
            (Skip::Malformed(Header::Ipv4), "malformed-ipv4", None, Class::Malformed),
            (Skip::BadIpChecksum, "bad-ip-checksum", None, Class::Malformed),
            (Skip::FragmentBound, "fragment-bound", None, Class::Unsupported),
        ];
        for (skip, name, number, class) in cases {
            assert_eq!((skip.name(), skip.number(), skip.class()), (name, number, class));
        }
    }
}
