//! Capture files (and, later, interfaces) into packets. An I/O edge.
//!
//! In: paths. Out: [`Packet`]s that borrow libpcap's buffer, and [`Damage`] when a file ends badly.

use crate::time::Timestamp;

/// Link-layer header type, as in the tcpdump.org registry (`LINKTYPE_` values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback, address family in host byte order of the writer.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// Raw IP as some systems number it.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IPv4 or IPv6.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback, address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture v1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// One captured frame. Borrows the capture buffer: valid until the next read.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Number of the packet over the whole run, from 0, across all input files.
    pub index: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// Link-layer type of `bytes`.
    pub link: LinkType,
    /// The captured bytes; shorter than `wire_len` when the snapshot length cut the frame.
    pub bytes: &'a [u8],
    /// Length of the frame on the wire, in bytes.
    pub wire_len: u32,
}
