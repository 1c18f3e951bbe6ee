//! Encapsulations: their names, what of them is the same in both directions, and their headers.

pub(super) mod gre;
pub(super) mod shim;
pub(super) mod udp;

use super::link::Announced;
use super::skip::Skip;

/// An encapsulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tunnel {
    /// VLAN tag, IEEE 802.1Q or 802.1ad.
    Vlan,
    /// MPLS label stack (RFC 3032).
    Mpls,
    /// MPLS in IP (RFC 4023).
    MplsInIp,
    /// MPLS in UDP (RFC 7510).
    MplsInUdp,
    /// PPP over Ethernet session (RFC 2516).
    Pppoe,
    /// Provider backbone bridging, IEEE 802.1ah.
    Pbb,
    /// MACsec, IEEE 802.1AE. Not opened.
    Macsec,
    /// Cisco VN-Tag.
    VnTag,
    /// IEEE 802.1BR E-Tag.
    ETag,
    /// Cisco metadata (security group tags).
    CiscoMetadata,
    /// Network service header (RFC 8300).
    Nsh,
    /// TRILL (RFC 6325). Not opened.
    Trill,
    /// GRE (RFC 2784, RFC 2890), bridged Ethernet over GRE included. Not opened with source routes
    /// (RFC 1701).
    Gre,
    /// GRE in UDP (RFC 8086).
    GreInUdp,
    /// NVGRE (RFC 7637).
    Nvgre,
    /// PPP in GRE version 1, as PPTP has it (RFC 2637).
    Pptp,
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
    /// Ethernet in IP: `EtherIP` (RFC 3378), or protocol 143 of segment routing (RFC 8986).
    EtherIp,
    /// L2TP, in UDP (RFC 2661) or version 3 in IP (RFC 3931). Not opened.
    L2tp,
    /// IPsec ESP, in IP (RFC 4303) or in UDP (RFC 3948). Not opened.
    Esp,
    /// IP payload compression (RFC 3173). Not opened.
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
    /// WireGuard on its usual port. Not opened.
    Wireguard,
}

/// Name, and names of a header cut by the capture and of a malformed one.
macro_rules! names {
    ($name:literal) => {
        [$name, concat!("truncated-", $name), concat!("malformed-", $name)]
    };
}

impl Tunnel {
    /// All of them, in order.
    pub(super) const ALL: [Self; 31] = [
        Self::Vlan,
        Self::Mpls,
        Self::MplsInIp,
        Self::MplsInUdp,
        Self::Pppoe,
        Self::Pbb,
        Self::Macsec,
        Self::VnTag,
        Self::ETag,
        Self::CiscoMetadata,
        Self::Nsh,
        Self::Trill,
        Self::Gre,
        Self::GreInUdp,
        Self::Nvgre,
        Self::Pptp,
        Self::Erspan,
        Self::Ipip,
        Self::SixInFour,
        Self::FourInSix,
        Self::SixInSix,
        Self::EtherIp,
        Self::L2tp,
        Self::Esp,
        Self::Ipcomp,
        Self::Vxlan,
        Self::VxlanGpe,
        Self::Geneve,
        Self::Gtp,
        Self::Teredo,
        Self::Wireguard,
    ];

    /// Stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        let [name, ..] = self.names();
        name
    }

    pub(super) const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Vlan => names!("vlan"),
            Self::Mpls => names!("mpls"),
            Self::MplsInIp => names!("mpls-in-ip"),
            Self::MplsInUdp => names!("mpls-in-udp"),
            Self::Pppoe => names!("pppoe"),
            Self::Pbb => names!("pbb"),
            Self::Macsec => names!("macsec"),
            Self::VnTag => names!("vn-tag"),
            Self::ETag => names!("e-tag"),
            Self::CiscoMetadata => names!("cisco-metadata"),
            Self::Nsh => names!("nsh"),
            Self::Trill => names!("trill"),
            Self::Gre => names!("gre"),
            Self::GreInUdp => names!("gre-in-udp"),
            Self::Nvgre => names!("nvgre"),
            Self::Pptp => names!("pptp"),
            Self::Erspan => names!("erspan"),
            Self::Ipip => names!("ipip"),
            Self::SixInFour => names!("6in4"),
            Self::FourInSix => names!("4in6"),
            Self::SixInSix => names!("6in6"),
            Self::EtherIp => names!("etherip"),
            Self::L2tp => names!("l2tp"),
            Self::Esp => names!("esp"),
            Self::Ipcomp => names!("ipcomp"),
            Self::Vxlan => names!("vxlan"),
            Self::VxlanGpe => names!("vxlan-gpe"),
            Self::Geneve => names!("geneve"),
            Self::Gtp => names!("gtp"),
            Self::Teredo => names!("teredo"),
            Self::Wireguard => names!("wireguard"),
        }
    }

    /// What tells one tunnel of the kind from another, and is the same in both directions.
    pub(super) const fn mark(self) -> Mark {
        match self {
            // Endpoints of a virtual network come and go; its number is the network.
            Self::Vlan
            | Self::Pppoe
            | Self::Pbb
            | Self::Nvgre
            | Self::Erspan
            | Self::Vxlan
            | Self::VxlanGpe
            | Self::Geneve => Mark { id: true, ends: false },
            Self::Gre | Self::GreInUdp => Mark { id: true, ends: true },
            // Each direction has its own number (TEID, call id), or there is none.
            Self::MplsInIp
            | Self::MplsInUdp
            | Self::Pptp
            | Self::Ipip
            | Self::SixInFour
            | Self::FourInSix
            | Self::SixInSix
            | Self::EtherIp
            | Self::Gtp
            | Self::Teredo => Mark { id: false, ends: true },
            // Labels and tags of one direction; the other may have none at all. And what is not
            // opened.
            Self::Mpls
            | Self::VnTag
            | Self::ETag
            | Self::CiscoMetadata
            | Self::Nsh
            | Self::Macsec
            | Self::Trill
            | Self::L2tp
            | Self::Esp
            | Self::Ipcomp
            | Self::Wireguard => Mark { id: false, ends: false },
        }
    }
}

/// See [`Tunnel::mark`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Its number.
    pub(super) id: bool,
    /// The outer addresses, in either order.
    pub(super) ends: bool,
}

/// What the bytes behind a header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// A frame, addresses first.
    Ethernet,
    /// What an ethertype announces.
    Typed(u16),
    /// An IP packet.
    Ip(Announced),
    /// A label stack.
    Mpls,
    /// A PPP protocol field and what it announces, in a tunnel of this kind.
    Ppp(Tunnel),
}

/// Transparent Ethernet bridging (RFC 1701), as an ethertype within tunnels.
const BRIDGED: u16 = 0x6558;
const NSH: u16 = 0x894f;

/// What an ethertype announces in a tunnel, where there are no IEEE 802.3 lengths.
fn typed(kind: u16) -> Result<Payload, Skip> {
    match kind {
        BRIDGED => Ok(Payload::Ethernet),
        ..0x0600 => Err(Skip::EtherType(kind)),
        _ => Ok(Payload::Typed(kind)),
    }
}

/// "Next protocol" of a network service header (RFC 8300 section 2.2), which VXLAN-GPE shares.
const fn next_protocol(number: u8) -> Option<Payload> {
    match number {
        1 => Some(Payload::Ip(Announced::V4)),
        2 => Some(Payload::Ip(Announced::V6)),
        3 => Some(Payload::Ethernet),
        4 => Some(Payload::Typed(NSH)),
        5 => Some(Payload::Mpls),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tunnels_stand_in_order_under_names_of_their_own() {
        let mut names = std::collections::BTreeSet::new();
        for (index, tunnel) in Tunnel::ALL.into_iter().enumerate() {
            assert_eq!(tunnel as usize, index);
            assert!(names.insert(tunnel.name()));
        }
        assert_eq!(Tunnel::Wireguard as usize + 1, Tunnel::ALL.len());
    }
}
