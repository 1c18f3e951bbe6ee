//! One packet in, one answer out.

use std::slice::IterMut;
use std::time::Duration;

use etherparse::ip_number;

use super::fragment::{Completed, Fragment, Key, Reassembler};
use super::ip::{self, Datagram, Place};
use super::path::{Paths, TunnelPath};
use super::skip::{Header, Skip};
use super::trail::Trail;
use super::tunnel::udp;
use super::view::View;
use super::{Counters, Segment, Tunnel, link, transport};
use crate::capture::Packet;
use crate::net::Scope;

/// Bounds of a [`Decoder`]. Worst-case memory is `max_fragment_bytes`, plus about 300 bytes and 16
/// per hole for each of `max_fragmented_datagrams` (3 MiB by default), plus 384 KiB for the
/// datagrams completed last, plus 60 bytes for each layer of each of `max_paths` (4 MiB by default,
/// where real networks need some 100 KiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// VLAN tags read per packet, in all its frames; with more the packet is skipped.
    pub max_vlan_tags: usize,
    /// Tunnels (and other headers of [`Tunnel`] but VLAN tags) opened within each
    /// other; with more the packet is skipped.
    pub max_tunnels: usize,
    /// Combinations of VLANs and tunnels whose [path](Decoder::path) is kept; flows in further ones
    /// are told apart all the same, but nobody can say by what.
    pub max_paths: usize,
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
            max_tunnels: 8,
            max_paths: 4096,
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

/// Fragmented datagrams that one packet can complete, each inside the one before.
const MAX_NESTED_FRAGMENTS: usize = 3;

/// Packets into TCP segments and UDP datagrams. Keeps fragments, and the paths of scopes; allocates
/// nothing for other packets.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    trail: Trail,
    paths: Paths,
    fragments: Reassembler,
    completed: [Completed; MAX_NESTED_FRAGMENTS],
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Decoder {
    /// A decoder that tells VLANs and tunnels apart.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            trail: Trail::new(&limits),
            paths: Paths::new(limits.max_paths),
            fragments: Reassembler::new(limits),
            completed: Default::default(),
        }
    }

    /// Whether the same five-tuple in two VLANs or tunnels is two flows (the default). Off for
    /// mirror ports that tag the two directions differently: then every scope is 0, and there are
    /// no paths.
    #[must_use]
    pub const fn with_vlan_scope(mut self, vlan_scope: bool) -> Self {
        self.trail.scoped = vlan_scope;
        self
    }

    /// Reads a packet. Its time also expires fragments.
    pub fn push<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        self.fragments.expire(packet.time);
        self.trail.begin();
        let datagram = match self.open(packet) {
            Ok(datagram) => datagram,
            Err(skip) => return Decoded::Skipped(skip),
        };
        if datagram.protocol == ip_number::TCP && datagram.place.is_none() {
            return transport::tcp(&datagram, packet, self.paths.note(&self.trail));
        }
        let Self { limits, trail, paths, fragments, completed } = self;
        let mut depths = Depths { limits, trail, fragments, completed: completed.iter_mut() };
        match depths.explore(datagram, packet) {
            Ok(Found::Tcp(datagram)) => transport::tcp(&datagram, packet, paths.note(trail)),
            Ok(Found::Udp(datagram, ports, payload)) => {
                let scope = paths.note(trail);
                Decoded::Datagram(transport::plain(&datagram, ports, payload, packet, scope))
            }
            Ok(Found::Fragment) => Decoded::Fragment,
            Err(skip) => Decoded::Skipped(skip),
        }
    }

    /// What happened to fragments so far, and to paths.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        Counters { paths_unnamed: self.paths.unnamed, ..self.fragments.counters }
    }

    /// How often each kind of tunnel was opened, those of packets that led to nothing included.
    pub fn opened(&self) -> impl Iterator<Item = (Tunnel, u64)> {
        self.trail.opened()
    }

    /// The VLANs and tunnels that a scope stands for, as its first packet showed them; `None` for
    /// scope 0 and at [`Limits::max_paths`].
    #[must_use]
    pub fn path(&self, scope: Scope) -> Option<&TunnelPath> {
        self.paths.get(scope)
    }

    /// All paths, in no order.
    pub fn paths(&self) -> impl Iterator<Item = (Scope, &TunnelPath)> {
        self.paths.iter()
    }

    /// The capture ends: what is still incomplete counts as expired.
    pub fn finish(&mut self) {
        self.fragments.expire_all();
    }

    #[inline]
    fn open<'a>(&mut self, packet: &Packet<'a>) -> Result<Datagram<'a>, Skip> {
        let inner = link::open(packet, &mut self.trail)?;
        let datagram = ip::open(inner.announced, inner.view, self.limits.max_extension_headers)?;
        self.fragments.counters.fragments_atomic += u64::from(datagram.atomic);
        Ok(datagram)
    }
}

/// What all tunnels lead to.
enum Found<'a> {
    Tcp(Datagram<'a>),
    /// No tunnel: ports and payload.
    Udp(Datagram<'a>, [u16; 2], View<'a>),
    /// A fragment, stored.
    Fragment,
}

/// What it takes to look into fragments and tunnels.
struct Depths<'d, 'a> {
    limits: &'d Limits,
    trail: &'d mut Trail,
    fragments: &'d mut Reassembler,
    /// Where completed datagrams go, outermost first.
    completed: IterMut<'a, Completed>,
}

impl<'a> Depths<'_, 'a> {
    /// Opens tunnel after tunnel: each counts against [`Limits::max_tunnels`], so there is an end.
    fn explore(&mut self, outer: Datagram<'a>, packet: &Packet<'a>) -> Result<Found<'a>, Skip> {
        let mut datagram = outer;
        loop {
            if let Some(place) = datagram.place {
                match self.reassemble(&datagram, place, packet)? {
                    Some(whole) => datagram = whole,
                    None => return Ok(Found::Fragment),
                }
            }
            let (payload, view) = match datagram.protocol {
                ip_number::TCP => return Ok(Found::Tcp(datagram)),
                ip_number::UDP => {
                    let (ports, payload) = transport::udp(&datagram)?;
                    let ends = || datagram.addresses.ends();
                    match udp::open(ports, payload, ends, self.trail)? {
                        Some(inside) => inside,
                        None => return Ok(Found::Udp(datagram, ports, payload)),
                    }
                }
                _ => transport::tunnel(&datagram, self.trail)?,
            };
            let inner = link::descend(payload, view, self.trail)?;
            datagram = ip::open(inner.announced, inner.view, self.limits.max_extension_headers)?;
            self.fragments.counters.fragments_atomic += u64::from(datagram.atomic);
        }
    }

    /// Stores a fragment; the whole datagram if that completes it.
    fn reassemble(
        &mut self,
        datagram: &Datagram<'a>,
        place: Place,
        packet: &Packet<'_>,
    ) -> Result<Option<Datagram<'a>>, Skip> {
        let v6 = datagram.addresses.is_v6();
        // IPv4 tells each fragment's protocol, so that not all need be stored.
        if !v6 && !transport::is_read(datagram.protocol) {
            return Err(transport::unread(datagram));
        }
        if !datagram.view.is_complete() {
            return Err(Skip::Truncated(Header::Fragment));
        }
        let Some(completed) = self.completed.next() else { return Err(Skip::FragmentBound) };
        let fragment = Fragment {
            key: Key {
                src: datagram.addresses.src(),
                dst: datagram.addresses.dst(),
                id: place.id,
                protocol: if v6 { 0 } else { datagram.protocol.0 },
                scope: self.trail.scope(),
            },
            place,
            protocol: datagram.protocol,
            bytes: datagram.view.bytes,
            time: packet.time,
        };
        if !self.fragments.push(&fragment, completed)? {
            return Ok(None);
        }
        let completed: &'a Completed = completed;
        let Some((protocol, bytes)) = completed.get() else { return Ok(None) };
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
