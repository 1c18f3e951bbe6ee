//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, with the extension headers between them and what they carry.

use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, ip_number,
};

use super::checksum::{fold, header_sum};
use super::link::Announced;
use super::skip::{Header, Skip};
use super::view::View;

/// An IP packet: a whole datagram, or a fragment of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) addresses: Addresses<'a>,
    /// Protocol of the first byte in `view`.
    pub(super) protocol: IpNumber,
    /// The payload, without link-layer padding.
    pub(super) view: View<'a>,
    /// Where a fragment belongs; `None` for a whole datagram.
    pub(super) place: Option<Place>,
    /// There was a fragment header and yet it is whole (RFC 6946).
    pub(super) atomic: bool,
}

/// Source and destination, where they stand in the packet: turned into `IpAddr`s only once the
/// segment is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Addresses<'a> {
    V4(Ipv4HeaderSlice<'a>),
    V6 {
        header: Ipv6HeaderSlice<'a>,
        /// The destination, when a routing header names more stops than the one in `header`.
        last_stop: Option<&'a [u8; 16]>,
    },
}

impl Addresses<'_> {
    pub(super) const fn is_v6(&self) -> bool {
        matches!(self, Self::V6 { .. })
    }

    /// Source and destination.
    pub(super) fn ends(&self) -> (IpAddr, IpAddr) {
        (self.src(), self.dst())
    }

    pub(super) fn src(&self) -> IpAddr {
        match self {
            Self::V4(header) => IpAddr::from(header.source()),
            Self::V6 { header, .. } => IpAddr::from(header.source()),
        }
    }

    pub(super) fn dst(&self) -> IpAddr {
        match self {
            Self::V4(header) => IpAddr::from(header.destination()),
            Self::V6 { last_stop: Some(dst), .. } => IpAddr::from(**dst),
            Self::V6 { header, .. } => IpAddr::from(header.destination()),
        }
    }
}

/// Where a fragment belongs in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Identification field.
    pub(super) id: u32,
    /// Offset of its first byte, in bytes.
    pub(super) offset: usize,
    /// It is not the last one.
    pub(super) more: bool,
}

/// Reads an IP packet up to its payload. Extension headers over `max_extensions` are a skip.
pub(super) fn open(
    announced: Announced,
    view: View<'_>,
    max_extensions: usize,
) -> Result<Datagram<'_>, Skip> {
    let version = view.bytes.first().map(|byte| byte >> 4);
    match (announced, version) {
        (Announced::V4 | Announced::Either, Some(4)) => open_v4(view, max_extensions),
        (Announced::V6 | Announced::Either, Some(6)) => open_v6(view, max_extensions),
        (Announced::V6, None) => Err(view.short(1, Header::Ipv6)),
        (Announced::V6, Some(_)) => Err(Skip::Malformed(Header::Ipv6)),
        (_, None) => Err(view.short(1, Header::Ipv4)),
        (_, Some(_)) => Err(Skip::Malformed(Header::Ipv4)),
    }
}

fn open_v4(view: View<'_>, max_extensions: usize) -> Result<Datagram<'_>, Skip> {
    let header = Ipv4HeaderSlice::from_slice(view.bytes)
        .map_err(|error| view.refused(error, Header::Ipv4))?;
    // A zero field was left to the network card, as captures on the sending host show it.
    if fold(header_sum(header.slice())) != 0xffff && header.header_checksum() != 0 {
        return Err(Skip::BadIpChecksum);
    }
    let rest = view.behind(header.slice());
    let payload = match header.payload_len() {
        Ok(len) => rest.limit(usize::from(len)),
        // Segmentation offload of more than 64 KiB: to the end of the frame.
        Err(_) if header.total_len() == 0 => rest,
        Err(_) => return Err(Skip::Malformed(Header::Ipv4)),
    };
    let place = Place {
        id: u32::from(header.identification()),
        offset: usize::from(header.fragments_offset().byte_offset()),
        more: header.more_fragments(),
    };
    let mut datagram = Datagram {
        addresses: Addresses::V4(header),
        protocol: header.protocol(),
        view: payload,
        place: header.is_fragmenting_payload().then_some(place),
        atomic: false,
    };
    if datagram.place.is_none() && datagram.protocol == ip_number::AUTH {
        walk(&mut datagram, max_extensions)?;
    }
    Ok(datagram)
}

fn open_v6(view: View<'_>, max_extensions: usize) -> Result<Datagram<'_>, Skip> {
    let header = Ipv6HeaderSlice::from_slice(view.bytes)
        .map_err(|error| view.refused(error, Header::Ipv6))?;
    let rest = view.behind(header.slice());
    let payload = match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675) or segmentation offload: to the end of the frame.
        0 => rest,
        len => rest.limit(len),
    };
    let mut datagram = Datagram {
        addresses: Addresses::V6 { header, last_stop: None },
        protocol: header.next_header(),
        view: payload,
        place: None,
        atomic: false,
    };
    walk(&mut datagram, max_extensions)?;
    Ok(datagram)
}

/// Walks over extension headers, up to the transport header or the data of a fragment. IPv4 knows
/// one of them, the authentication header (RFC 4302).
///
/// One by one, and not by etherparse's iterator: that takes only the order that RFC 8200
/// recommends, and stops at a fragment header even if the packet is whole.
pub(super) fn walk(datagram: &mut Datagram<'_>, max_extensions: usize) -> Result<(), Skip> {
    let v6 = datagram.addresses.is_v6();
    for _ in 0..=max_extensions {
        let view = datagram.view;
        let (next, header) = match datagram.protocol {
            ip_number::IPV6_FRAG if v6 => {
                let header = Ipv6FragmentHeaderSlice::from_slice(view.bytes)
                    .map_err(|error| view.refused(error, Header::Fragment))?;
                datagram.place = header.is_fragmenting_payload().then(|| Place {
                    id: header.identification(),
                    offset: usize::from(header.fragment_offset().byte_offset()),
                    more: header.more_fragments(),
                });
                datagram.atomic |= datagram.place.is_none();
                (header.next_header(), header.slice())
            }
            ip_number::AUTH => {
                let header = IpAuthHeaderSlice::from_slice(view.bytes)
                    .map_err(|error| view.refused(error, Header::Extension))?;
                (header.next_header(), header.slice())
            }
            kind if v6 && Ipv6RawExtHeaderSlice::header_type_supported(kind) => {
                let header = Ipv6RawExtHeaderSlice::from_slice(view.bytes)
                    .map_err(|error| view.refused(error, Header::Extension))?;
                if let Addresses::V6 { last_stop: stop, .. } = &mut datagram.addresses
                    && kind == ip_number::IPV6_ROUTE
                {
                    *stop = last_stop(header.slice()).or(*stop);
                }
                (header.next_header(), header.slice())
            }
            _ => return Ok(()),
        };
        (datagram.protocol, datagram.view) = (next, view.behind(header));
        if datagram.place.is_some() {
            return Ok(());
        }
    }
    Err(Skip::ExtensionBound)
}

/// Where a routing header sends the packet in the end; `None` when it is there already. The
/// checksum covers that address (RFC 8200 section 8.1), and replies come from it.
fn last_stop(routing: &[u8]) -> Option<&[u8; 16]> {
    let (fixed, stops) = routing.split_first_chunk::<8>()?;
    match (fixed[2], fixed[3]) {
        (_, 0) => None,
        // Source route (RFC 5095 deprecates it): the last address.
        (0, _) => stops.last_chunk::<16>(),
        // Mobile IPv6 (RFC 6275 section 6.4) has one address; segment routing (RFC 8754
        // section 2) lists them backwards.
        (2 | 4, _) => stops.first_chunk::<16>(),
        _ => None,
    }
}
