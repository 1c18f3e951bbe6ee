//! Capture files and interfaces into packets. An I/O edge.
//!
//! In: paths. Out: [`Packet`]s that borrow libpcap's buffer, and [`Damage`] when a file ends badly.
//!
//! libpcap reads every packet. A plain file it reads by itself. What it cannot read by itself
//! (standard input, gzip, zstd, a pcapng whose interfaces differ) a feed thread turns into a
//! stream that it can, through an OS pipe. Where libpcap stops with an error, the framing of the
//! file is walked to say where the damage is.
//!
//! Memory of one open [`Source`], whatever the size of the file: libpcap's packet buffer (256 KiB
//! for pcap, [`Limits::max_block_bytes`] for pcapng), and with a feed thread about 1 MiB more,
//! plus the window of a zstd frame ([`Limits::max_zstd_window_bytes`]) and one pcapng block. Only
//! captures of D-Bus and USBPcap may hold single records of up to 128 MiB.

mod bytes;
mod compression;
mod damage;
mod direct;
mod feed;
mod framing;
pub(crate) mod glob;
mod inputs;
pub mod live;
mod open_error;
mod pcapng;
mod piped;
mod secrets;
mod source;

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "numbers of hand-built files are small")]
mod samples;

pub use compression::plain;
pub use damage::{Damage, DamageKind};
pub use inputs::{Input, InputError, expand};
pub use open_error::{OpenError, OpenProblem};
pub use secrets::secrets;
pub use source::{Next, Source};

use crate::time::Timestamp;

/// Bounds of one open capture. See the module's text for what they cost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest pcapng block that is believed, in bytes; a longer one is damage. It bounds the
    /// buffer for one block.
    pub max_block_bytes: u32,
    /// Interfaces in one pcapng section; one more is damage. Each costs 24 bytes.
    pub max_interfaces: usize,
    /// Largest window that a zstd frame may ask for, in bytes, rounded down to a power of two. A
    /// frame that asks for more is not decompressed. It bounds the decompressor's memory.
    pub max_zstd_window_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_block_bytes: 16 << 20, max_interfaces: 65_536, max_zstd_window_bytes: 128 << 20 }
    }
}

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
