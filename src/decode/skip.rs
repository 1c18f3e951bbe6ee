//! Why a packet gave no TCP segment and no UDP datagram.

use super::Tunnel;

/// What a skipped packet means for coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Cannot carry MCP: nothing was missed.
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
    /// UDP.
    Udp,
    /// A header of an encapsulation, VLAN tags among them.
    Tunnel(Tunnel),
}

impl Header {
    /// Names when cut by the capture, and when malformed.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ethernet => ("truncated-ethernet", "malformed-ethernet"),
            Self::Llc => ("truncated-llc", "malformed-llc"),
            Self::Cooked => ("truncated-cooked", "malformed-cooked"),
            Self::Loopback => ("truncated-loopback", "malformed-loopback"),
            Self::Ipv4 => ("truncated-ipv4", "malformed-ipv4"),
            Self::Ipv6 => ("truncated-ipv6", "malformed-ipv6"),
            Self::Extension => ("truncated-extension", "malformed-extension"),
            Self::Fragment => ("truncated-fragment", "malformed-fragment"),
            Self::Tcp => ("truncated-tcp", "malformed-tcp"),
            Self::Udp => ("truncated-udp", "malformed-udp"),
            Self::Tunnel(tunnel) => {
                let [_, truncated, malformed] = tunnel.names();
                (truncated, malformed)
            }
        }
    }
}

/// Why a packet gave no TCP segment and no UDP datagram: to be counted by [`name`](Self::name) and
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
    /// Another protocol of the link or tunnel itself, by ethertype or PPP protocol: LLDP, LACP,
    /// EAPOL, PTP, LCP and so on.
    LinkControl(u16),
    /// IEEE 802.2 LLC without SNAP, by destination SAP: spanning tree, IS-IS and so on.
    Llc(u8),
    /// IEEE 802.2 SNAP of a vendor, by protocol number: CDP, VTP, per-VLAN spanning tree.
    Snap(u16),
    /// ICMP or ICMPv6.
    Icmp,
    /// Another control protocol on IP, by protocol: IGMP, OSPF, PIM, VRRP and so on.
    IpControl(u8),
    /// IPv6 "no next header" (RFC 8200 section 4.7).
    NoNextHeader,
    /// A known encapsulation that is not opened.
    Tunnel(Tunnel),
    /// More tunnels within each other than [`Limits::max_tunnels`](super::Limits::max_tunnels).
    TunnelBound,
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
            Self::Icmp => "icmp",
            Self::IpControl(_) => "ip-control",
            Self::NoNextHeader => "no-next-header",
            Self::Tunnel(tunnel) => tunnel.name(),
            Self::TunnelBound => "tunnel-bound",
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
            | Self::Icmp
            | Self::IpControl(_)
            | Self::NoNextHeader => Class::Benign,
            Self::LinkType(_)
            | Self::EtherType(_)
            | Self::IpProtocol(_)
            | Self::AddressFamily(_)
            | Self::CookedHardware(_)
            | Self::Tunnel(_)
            | Self::TunnelBound
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
            (Skip::Tunnel(Tunnel::Esp), "esp", None, Class::Unsupported),
            (Skip::TunnelBound, "tunnel-bound", None, Class::Unsupported),
            (
                Skip::Truncated(Header::Tunnel(Tunnel::VxlanGpe)),
                "truncated-vxlan-gpe",
                None,
                Class::Truncated,
            ),
            (
                Skip::Malformed(Header::Tunnel(Tunnel::Vlan)),
                "malformed-vlan",
                None,
                Class::Malformed,
            ),
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
