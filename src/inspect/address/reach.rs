//! How far an address reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::embedded_v4;

/// What is at an address, as far as its number tells (IANA's special-purpose address registries,
/// RFC 6890).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// The machine itself: `127.0.0.0/8`, `::1`.
    Loopback,
    /// The link: `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// A network of somebody's own: RFC 1918, RFC 4193, shared address space (RFC 6598) and
    /// site-local addresses (RFC 3879).
    Private,
    /// A service that hands out what a machine in a cloud is and may do.
    Metadata,
    /// `0.0.0.0` and `::`: the machine itself to many systems.
    Unspecified,
    /// Many machines at once.
    Multicast,
    /// Nobody: documentation, benchmarks, broadcast, not assigned.
    Reserved,
    /// Everything else.
    Public,
}

impl Reach {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Loopback,
        Self::LinkLocal,
        Self::Private,
        Self::Metadata,
        Self::Unspecified,
        Self::Multicast,
        Self::Reserved,
        Self::Public,
    ];

    /// Its name in rules and findings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Metadata => "metadata",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::Public => "public",
        }
    }
}

/// How far `ip` reaches, or the IPv4 address that is in it.
#[must_use]
pub fn reach(ip: IpAddr) -> Reach {
    match ip {
        IpAddr::V4(ip) => reach_v4(ip),
        IpAddr::V6(ip) => embedded_v4(ip).map_or_else(|| reach_v6(ip), reach_v4),
    }
}

fn reach_v4(ip: Ipv4Addr) -> Reach {
    match ip.octets() {
        // The metadata service of most clouds; tasks and pods of AWS; Tencent, Scaleway, Alibaba,
        // Oracle's old one, and Azure's agent.
        [169, 254, 169, 254]
        | [169, 254, 170, 2 | 23]
        | [169, 254, 0, 23]
        | [169, 254, 42, 42]
        | [100, 100, 100, 200]
        | [192, 0, 0, 192]
        | [168, 63, 129, 16] => Reach::Metadata,
        [0, 0, 0, 0] => Reach::Unspecified,
        [127, ..] => Reach::Loopback,
        [169, 254, ..] => Reach::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        [224..=239, ..] => Reach::Multicast,
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Reserved,
        _ => Reach::Public,
    }
}

fn reach_v6(ip: Ipv6Addr) -> Reach {
    match ip.segments() {
        // AWS (instances, pods) and Google.
        [0xFD00, 0xEC2, 0, 0, 0, 0, 0, 0x254 | 0x23] | [0xFD20, 0xCE, 0, 0, 0, 0, 0, 0x254] => {
            Reach::Metadata
        }
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0xFE80..=0xFEBF, ..] => Reach::LinkLocal,
        [0xFC00..=0xFDFF | 0xFEC0..=0xFEFF, ..] => Reach::Private,
        [0xFF00..=0xFFFF, ..] => Reach::Multicast,
        [0x2001, 0xDB8, ..] | [0x3FFF, 0..=0xFFF, ..] | [0x100, 0, 0, 0, ..] => Reach::Reserved,
        _ => Reach::Public,
    }
}
