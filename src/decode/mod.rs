//! Packets into TCP segments and UDP datagrams: link layers, tunnels, IP, fragments. Sans-IO.
//!
//! In: [`Packet`](crate::capture::Packet). Out: [`Decoded`]: a [`Segment`], a [`Datagram`], or the
//! reason why there is neither, which the caller counts; nothing is skipped silently.
//!
//! Read: Ethernet II, IEEE 802.3 with SNAP, VLAN tags, Linux cooked captures, BSD loopback and raw
//! IP; IPv4 with options, IPv6 with extension headers, fragments of both; and through tunnels, in
//! each other up to [`Limits::max_tunnels`], with fragments inside and outside. [`Tunnel`] names
//! them, also those that are not opened. Tunnels in UDP are told by the destination port and a
//! header that has to be right: any other datagram on such a port is a plain one.
//!
//! A [`Scope`] tells the same five-tuple in two VLANs or tunnels apart. It is made of what is the
//! same in both directions (a VXLAN's number, both ends of an IP tunnel in either order), and
//! [`Decoder::path`] says what it stands for, outer addresses included.

mod checksum;
mod counters;
mod decoder;
mod fragment;
#[cfg(any(fuzzing, test))]
mod fuzz;
mod ip;
mod link;
mod path;
mod skip;
#[cfg(test)]
mod tests;
mod trail;
mod transport;
mod tunnel;
mod view;

pub use counters::Counters;
pub use decoder::{Decoded, Decoder, Limits};
#[cfg(any(fuzzing, test))]
pub use fuzz::fuzz;
pub use path::{TunnelLayer, TunnelPath};
pub use skip::{Class, Header, Skip};
pub use tunnel::Tunnel;

use crate::net::{Endpoint, Scope};
use crate::time::Timestamp;

/// TCP control bits (RFC 9293 section 3.1), as on the wire: FIN is bit 0, URG bit 5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push function.
    pub const PSH: u8 = 0x08;
    /// Acknowledgment field is significant.
    pub const ACK: u8 = 0x10;
    /// Urgent pointer field is significant.
    pub const URG: u8 = 0x20;

    /// Whether any bit of `mask` is set.
    #[must_use]
    pub const fn has(self, mask: u8) -> bool {
        self.0 & mask != 0
    }
}

/// What is needed to validate a TCP checksum later, only for flows that are still of interest:
/// everything but the payload is already summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChecksumSeed {
    /// One's complement sum of the pseudo-header and the TCP header with its checksum field,
    /// folded to 16 bits (RFC 9293 section 3.1, RFC 8200 section 8.1).
    pub header_sum: u16,
    /// The checksum field is zero or holds just the pseudo-header's sum: left to the network card
    /// by the sending host, which is also the capturing one (or its virtual neighbour). One valid
    /// checksum in about 16,000 looks like that by chance.
    pub offloaded: bool,
    /// The whole segment was captured, so that the checksum can be validated at all.
    pub complete: bool,
}

/// The outcome of validating a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It matches, or it was visibly left to the network card.
    Good,
    /// It does not match.
    Bad,
    /// Part of the segment was not captured.
    Unverifiable,
}

/// Everything of a TCP segment but its payload. Plain data, so that it can cross threads.
#[derive(Clone, Copy, Debug)]
pub struct SegmentHeader {
    /// Index of the packet (the last one, for a reassembled datagram) over the whole run.
    pub packet: u64,
    /// Capture time.
    pub time: Timestamp,
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// VLANs and tunnels around it.
    pub scope: Scope,
    /// Sequence number of the first payload byte (of the SYN, if it is one).
    pub seq: u32,
    /// Acknowledgment number; meaningful only with the ACK flag.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window field, unscaled.
    pub window: u16,
    /// Length of the payload on the wire, in bytes: more than `payload.len()` when the snapshot
    /// length cut the frame.
    pub payload_len: u32,
    /// For [`Segment::checksum`].
    pub checksum: ChecksumSeed,
}

/// A UDP datagram that is no tunnel. The payload borrows the capture buffer or a reassembled
/// datagram.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Addresses and time.
    pub header: DatagramHeader,
    /// The captured payload bytes.
    pub payload: &'a [u8],
}

/// Everything of a UDP datagram but its payload. Plain data, so that it can cross threads.
#[derive(Clone, Copy, Debug)]
pub struct DatagramHeader {
    /// Index of the packet over the whole run.
    pub packet: u64,
    /// Capture time.
    pub time: Timestamp,
    /// Sender.
    pub src: Endpoint,
    /// Receiver.
    pub dst: Endpoint,
    /// VLANs and tunnels around it.
    pub scope: Scope,
    /// Length of the payload on the wire, in bytes.
    pub payload_len: u32,
}

/// A TCP segment. The payload borrows the capture buffer or a reassembled datagram.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Addresses, numbers, flags.
    pub header: SegmentHeader,
    /// The captured payload bytes; link-layer padding is already off.
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// Validates the checksum. Sums up the payload: worth it only where the payload is of interest.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        let seed = self.header.checksum;
        if seed.offloaded {
            return Checksum::Good;
        }
        if !seed.complete {
            return Checksum::Unverifiable;
        }
        // The TCP header's length is even, so that the payload's words are aligned with it.
        let total = u64::from(seed.header_sum) + u64::from(checksum::sum(self.payload));
        if checksum::fold(total) == 0xffff { Checksum::Good } else { Checksum::Bad }
    }
}
