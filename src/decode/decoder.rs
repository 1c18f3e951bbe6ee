//! One packet in, one answer out.

use std::time::Duration;

use etherparse::ip_number;

use super::fragment::{Fragment, Key, Reassembler};
use super::ip::{self, Datagram, Place};
use super::link;
use super::skip::{Header, Skip};
use super::transport;
use super::view::View;
use super::{Counters, Segment};
use crate::capture::Packet;
use crate::net::Scope;

/// Bounds of a [`Decoder`]. Worst-case memory is `max_fragment_bytes`, plus about 300 bytes and 16
/// per hole for each of `max_fragmented_datagrams` (3 MiB by default), plus 128 KiB for the
/// datagram completed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// VLAN tags read per frame; with more the frame is skipped.
    pub max_vlan_tags: usize,
    /// Extension headers read per packet; with more the packet is skipped.
    pub max_extension_headers: usize,
    /// Incomplete datagrams kept; at the bound the oldest is evicted.
    pub max_fragmented_datagrams: usize,
    /// Buffer bytes of all incomplete datagrams together (one takes as much as its farthest
    /// fragment reaches, up to 128 KiB); at the bound the oldest are evicted.
    pub max_fragment_bytes: usize,
    /// Separate runs of bytes kept per datagram; one with more is dropped.
    pub max_datagram_holes: usize,
    /// How long a datagram may stay incomplete, in packet time from its first fragment.
    pub fragment_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_vlan_tags: 8,
            max_extension_headers: 16,
            max_fragmented_datagrams: 1024,
            max_fragment_bytes: 16 << 20,
            max_datagram_holes: 64,
            fragment_timeout: Duration::from_secs(30),
        }
    }
}

/// What a packet gave.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A UDP datagram that is no tunnel.
    Datagram(super::Datagram<'a>),
    /// A fragment, stored: its datagram is not complete yet.
    Fragment,
    /// Nothing; the packet is to be counted under this reason.
    Skipped(Skip),
}

/// Packets into TCP segments. Keeps fragments; allocates nothing for other packets.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    vlan_scope: bool,
    fragments: Reassembler,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Decoder {
    /// A decoder that tells VLANs apart.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, vlan_scope: true, fragments: Reassembler::new(limits) }
    }

    /// Whether the same five-tuple in two VLANs is two flows (the default). Off for mirror ports
    /// that tag the two directions differently.
    #[must_use]
    pub const fn with_vlan_scope(mut self, vlan_scope: bool) -> Self {
        self.vlan_scope = vlan_scope;
        self
    }

    /// Reads a packet. Its time also expires fragments.
    pub fn push<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        self.fragments.expire(packet.time);
        let (datagram, scope) = match self.open(packet) {
            Ok(opened) => opened,
            Err(skip) => return Decoded::Skipped(skip),
        };
        let Some(place) = datagram.place else {
            return transport::open(&datagram, packet, scope);
        };
        match self.reassemble(&datagram, place, packet, scope) {
            Ok(Some(whole)) => transport::open(&whole, packet, scope),
            Ok(None) => Decoded::Fragment,
            Err(skip) => Decoded::Skipped(skip),
        }
    }

    /// What happened to fragments so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.fragments.counters
    }

    /// The capture ends: what is still incomplete counts as expired.
    pub fn finish(&mut self) {
        self.fragments.expire_all();
    }

    fn open<'a>(&mut self, packet: &Packet<'a>) -> Result<(Datagram<'a>, Scope), Skip> {
        let inner = link::open(packet, &self.limits)?;
        let scope = if self.vlan_scope { inner.scope } else { Scope::default() };
        let datagram = ip::open(inner.announced, inner.view, self.limits.max_extension_headers)?;
        self.fragments.counters.fragments_atomic += u64::from(datagram.atomic);
        Ok((datagram, scope))
    }

    /// Stores a fragment; the whole datagram if that completes it.
    fn reassemble<'a>(
        &'a mut self,
        datagram: &Datagram<'a>,
        place: Place,
        packet: &Packet<'_>,
        scope: Scope,
    ) -> Result<Option<Datagram<'a>>, Skip> {
        let v6 = datagram.addresses.is_v6();
        if !v6 && !matches!(datagram.protocol, ip_number::TCP | ip_number::AUTH) {
            return Err(other_fragment(datagram, place));
        }
        if !datagram.view.is_complete() {
            return Err(Skip::Truncated(Header::Fragment));
        }
        let fragment = Fragment {
            key: Key {
                src: datagram.addresses.src(),
                dst: datagram.addresses.dst(),
                id: place.id,
                protocol: if v6 { 0 } else { datagram.protocol.0 },
                scope,
            },
            place,
            protocol: datagram.protocol,
            bytes: datagram.view.bytes,
            time: packet.time,
        };
        if !self.fragments.push(&fragment)? {
            return Ok(None);
        }
        let Some((protocol, bytes)) = self.fragments.completed() else { return Ok(None) };
        let view = View::new(bytes, bytes.len());
        let mut whole = Datagram { protocol, view, place: None, ..*datagram };
        ip::walk(&mut whole, self.limits.max_extension_headers)?;
        if whole.place.is_some() {
            // A fragment within a reassembled datagram: no sender does that.
            return Err(Skip::Malformed(Header::Fragment));
        }
        Ok(Some(whole))
    }
}

/// IPv4 tells each fragment's protocol, so that only those of TCP need be stored. The first one
/// also has the ports by which UDP tunnels are told.
fn other_fragment(datagram: &Datagram<'_>, place: Place) -> Skip {
    if place.offset == 0 {
        return transport::other(datagram);
    }
    transport::other(&Datagram { view: View::new(&[], 0), ..*datagram })
}
