//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, with the extension headers between them and TCP.

use std::net::IpAddr;

use super::checksum;
use super::link::Announced;
use super::skip::{Header, Skip};
use super::view::View;

/// An IP packet: a whole datagram, or a fragment of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) addresses: Addresses<'a>,
    /// Protocol of the first byte in `view`.
    pub(super) protocol: u8,
    /// The payload, without link-layer padding.
    pub(super) view: View<'a>,
    /// Where a fragment belongs; `None` for a whole datagram.
    pub(super) place: Option<Place>,
    /// There was a fragment header and yet it is whole (RFC 6946).
    pub(super) atomic: bool,
}

/// Source and destination, where they stand in the packet: turned into `IpAddr`s only once the
/// segment is made, as moving those about is what costs most.
#[derive(Clone, Copy, Debug)]
pub(super) enum Addresses<'a> {
    V4 {
        src: &'a [u8; 4],
        dst: &'a [u8; 4],
    },
    /// The destination is the last stop, when a routing header names more than one.
    V6 {
        src: &'a [u8; 16],
        dst: &'a [u8; 16],
    },
}

impl Addresses<'_> {
    pub(super) const fn is_v6(&self) -> bool {
        matches!(self, Self::V6 { .. })
    }

    pub(super) fn src(&self) -> IpAddr {
        match *self {
            Self::V4 { src, .. } => IpAddr::from(*src),
            Self::V6 { src, .. } => IpAddr::from(*src),
        }
    }

    pub(super) fn dst(&self) -> IpAddr {
        match *self {
            Self::V4 { dst, .. } => IpAddr::from(*dst),
            Self::V6 { dst, .. } => IpAddr::from(*dst),
        }
    }

    /// One's complement sum of both, not folded: 32-bit words serve as well as 16-bit ones.
    pub(super) fn sum(&self) -> u64 {
        let words = |bytes: &[u8]| -> u64 {
            let words = bytes.as_chunks().0.iter();
            words.map(|word| u64::from(u32::from_be_bytes(*word))).sum()
        };
        match self {
            Self::V4 { src, dst } => words(*src) + words(*dst),
            Self::V6 { src, dst } => words(*src) + words(*dst),
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

/// Protocol numbers of the headers that may stand between IP and TCP.
mod header {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
    pub(super) const HOST_IDENTITY: u8 = 139;
    pub(super) const SHIM6: u8 = 140;
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
    let (fixed, _) = view.split::<20>(Header::Ipv4)?;
    let Some((src, dst)) = last_two(fixed) else { return Err(Skip::Malformed(Header::Ipv4)) };
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    if header_len < fixed.len() {
        return Err(Skip::Malformed(Header::Ipv4));
    }
    let Some(header) = view.bytes.get(..header_len) else {
        return Err(view.short(header_len, Header::Ipv4));
    };
    // A zero field was left to the network card, as captures on the sending host show it.
    if checksum::sum(header) != 0xffff && (fixed[10], fixed[11]) != (0, 0) {
        return Err(Skip::BadIpChecksum);
    }
    let rest = view.advance(header_len, Header::Ipv4)?;
    let payload = match usize::from(u16::from_be_bytes([fixed[2], fixed[3]])) {
        // Segmentation offload of more than 64 KiB: to the end of the frame.
        0 => rest,
        total => rest.limit(total.checked_sub(header_len).ok_or(Skip::Malformed(Header::Ipv4))?),
    };
    let place = Place {
        id: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        offset: usize::from(u16::from_be_bytes([fixed[6] & 0x1f, fixed[7]])) * 8,
        more: fixed[6] & 0x20 != 0,
    };
    let mut datagram = Datagram {
        addresses: Addresses::V4 { src, dst },
        protocol: fixed[9],
        view: payload,
        place: (place.more || place.offset != 0).then_some(place),
        atomic: false,
    };
    if datagram.place.is_none() {
        walk(&mut datagram, max_extensions)?;
    }
    Ok(datagram)
}

fn open_v6(view: View<'_>, max_extensions: usize) -> Result<Datagram<'_>, Skip> {
    let (fixed, rest) = view.split::<40>(Header::Ipv6)?;
    let payload = match usize::from(u16::from_be_bytes([fixed[4], fixed[5]])) {
        // A jumbogram (RFC 2675) or segmentation offload: to the end of the frame.
        0 => rest,
        len => rest.limit(len),
    };
    let Some((src, dst)) = last_two(fixed) else { return Err(Skip::Malformed(Header::Ipv6)) };
    let mut datagram = Datagram {
        addresses: Addresses::V6 { src, dst },
        protocol: fixed[6],
        view: payload,
        place: None,
        atomic: false,
    };
    walk(&mut datagram, max_extensions)?;
    Ok(datagram)
}

/// Both addresses, which stand at the end of a fixed header.
fn last_two<const N: usize>(header: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    let (rest, dst) = header.split_last_chunk()?;
    Some((rest.last_chunk()?, dst))
}

/// Walks over extension headers, up to the transport header or the data of a fragment. IPv4 knows
/// one of them, the authentication header (RFC 4302).
pub(super) fn walk(datagram: &mut Datagram<'_>, max_extensions: usize) -> Result<(), Skip> {
    let v6 = datagram.addresses.is_v6();
    for _ in 0..=max_extensions {
        let unit = match datagram.protocol {
            header::FRAGMENT if v6 => {
                let fragment = fragment_header(datagram)?;
                if fragment.more || fragment.offset != 0 {
                    datagram.place = Some(fragment);
                    return Ok(());
                }
                datagram.atomic = true;
                continue;
            }
            header::AUTHENTICATION => 4,
            header::HOP_BY_HOP
            | header::ROUTING
            | header::DESTINATION
            | header::MOBILITY
            | header::HOST_IDENTITY
            | header::SHIM6
                if v6 =>
            {
                8
            }
            _ => return Ok(()),
        };
        let (first, _) = datagram.view.split::<4>(Header::Extension)?;
        // The length field does not count the first 8 bytes.
        let len = usize::from(first[1]) * unit + 8;
        let rest = datagram.view.advance(len, Header::Extension)?;
        if datagram.protocol == header::ROUTING
            && let Addresses::V6 { dst, .. } = &mut datagram.addresses
            && let Some(last) = last_stop(datagram.view.bytes.get(..len).unwrap_or_default())
        {
            *dst = last;
        }
        (datagram.protocol, datagram.view) = (first[0], rest);
    }
    Err(Skip::ExtensionBound)
}

/// RFC 8200 section 4.5.
fn fragment_header(datagram: &mut Datagram<'_>) -> Result<Place, Skip> {
    let (fixed, rest) = datagram.view.split::<8>(Header::Fragment)?;
    let [next, _, high, low, id @ ..] = *fixed;
    (datagram.protocol, datagram.view) = (next, rest);
    Ok(Place {
        id: u32::from_be_bytes(id),
        offset: usize::from(u16::from_be_bytes([high, low & 0xf8])),
        more: low & 1 != 0,
    })
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
