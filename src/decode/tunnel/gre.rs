//! GRE (RFC 2784, RFC 2890, RFC 2637, RFC 7637) and ERSPAN in it.

use super::{BRIDGED, Payload, Tunnel, typed};
use crate::decode::link::Announced;
use crate::decode::skip::{Header, Skip};
use crate::decode::trail::{Ends, Trail};
use crate::decode::view::View;

mod flag {
    pub(super) const CHECKSUM: u16 = 0x8000;
    pub(super) const ROUTING: u16 = 0x4000;
    pub(super) const KEY: u16 = 0x2000;
    pub(super) const SEQUENCE: u16 = 0x1000;
    pub(super) const STRICT_ROUTE: u16 = 0x0800;
    pub(super) const ACKNOWLEDGMENT: u16 = 0x0080;
    pub(super) const VERSION: u16 = 0x0007;
}

const PPP: u16 = 0x880b;
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;

/// Opens a GRE header of kind `kind`: in IP or in UDP.
pub(in crate::decode) fn open<'a>(
    kind: Tunnel,
    view: View<'a>,
    ends: Ends,
    trail: &mut Trail,
) -> Result<(Payload, View<'a>), Skip> {
    let header = Header::Tunnel(kind);
    let ([high, low, proto_high, proto_low], rest) = view.split(header)?;
    let flags = u16::from_be_bytes([*high, *low]);
    let proto = u16::from_be_bytes([*proto_high, *proto_low]);
    match flags & flag::VERSION {
        0 => {}
        1 if proto == PPP => return pptp(flags, rest, ends, trail),
        _ => return Err(Skip::Malformed(header)),
    }
    if flags & (flag::ROUTING | flag::STRICT_ROUTE) != 0 {
        return Err(Skip::Tunnel(kind));
    }
    let mut rest = rest;
    if flags & flag::CHECKSUM != 0 {
        rest = rest.skip(4, header)?;
    }
    let mut key = None;
    if flags & flag::KEY != 0 {
        let (field, behind) = rest.split(header)?;
        (key, rest) = (Some(u32::from_be_bytes(*field)), behind);
    }
    if flags & flag::SEQUENCE != 0 {
        rest = rest.skip(4, header)?;
    }
    match proto {
        // Type I has no header of its own.
        ERSPAN if flags & flag::SEQUENCE == 0 => {
            trail.enter(Tunnel::Erspan, None, Some(ends))?;
            Ok((Payload::Ethernet, rest))
        }
        ERSPAN => erspan_2(rest, ends, trail),
        ERSPAN_3 => erspan_3(rest, ends, trail),
        // A keepalive's answer, and next hop resolution (RFC 2332): of the tunnel itself.
        0 | 0x2001 => Err(Skip::LinkControl(proto)),
        _ => {
            match vsid(flags, proto, key) {
                Some(vsid) => trail.enter(Tunnel::Nvgre, Some(vsid), Some(ends))?,
                None => trail.enter(kind, key, Some(ends))?,
            }
            Ok((typed(proto)?, rest))
        }
    }
}

/// NVGRE is bridged Ethernet with a key of 24 bits of virtual subnet and 8 bits that spread flows
/// (RFC 7637 section 3.2). Subnets below 0x1000 are reserved: such keys are plain numbers.
const fn vsid(flags: u16, proto: u16, key: Option<u32>) -> Option<u32> {
    match key {
        Some(key) if flags == flag::KEY && proto == BRIDGED && key >= 0x0010_0000 => Some(key >> 8),
        _ => None,
    }
}

/// Enhanced GRE (RFC 2637 section 4.1): the key is the payload's length and the receiver's call.
fn pptp<'a>(
    flags: u16,
    rest: View<'a>,
    ends: Ends,
    trail: &mut Trail,
) -> Result<(Payload, View<'a>), Skip> {
    let header = Header::Tunnel(Tunnel::Pptp);
    if flags & (flag::CHECKSUM | flag::ROUTING | flag::STRICT_ROUTE) != 0 || flags & flag::KEY == 0
    {
        return Err(Skip::Malformed(header));
    }
    let ([len_high, len_low, call_high, call_low], mut rest) = rest.split(header)?;
    let len = u16::from_be_bytes([*len_high, *len_low]);
    let call = u16::from_be_bytes([*call_high, *call_low]);
    for field in [flag::SEQUENCE, flag::ACKNOWLEDGMENT] {
        if flags & field != 0 {
            rest = rest.skip(4, header)?;
        }
    }
    if len == 0 {
        // Only an acknowledgment.
        return Err(Skip::LinkControl(PPP));
    }
    trail.enter(Tunnel::Pptp, Some(call.into()), Some(ends))?;
    Ok((Payload::Ppp(Tunnel::Pptp), rest.limit(len.into())))
}

/// Type II: version 1, VLAN, flags, and ten bits of session; then an index of the port.
fn erspan_2<'a>(
    view: View<'a>,
    ends: Ends,
    trail: &mut Trail,
) -> Result<(Payload, View<'a>), Skip> {
    let header = Header::Tunnel(Tunnel::Erspan);
    let (fixed, rest) = view.split::<8>(header)?;
    if fixed[0] >> 4 != 1 {
        return Err(Skip::Malformed(header));
    }
    trail.enter(Tunnel::Erspan, Some(session(fixed)), Some(ends))?;
    Ok((Payload::Ethernet, rest))
}

/// Type III: version 2, the same, then time, security group, and what the frame is; with the last
/// bit set, eight bytes of the platform follow.
fn erspan_3<'a>(
    view: View<'a>,
    ends: Ends,
    trail: &mut Trail,
) -> Result<(Payload, View<'a>), Skip> {
    let header = Header::Tunnel(Tunnel::Erspan);
    let (fixed, mut rest) = view.split::<12>(header)?;
    if fixed[0] >> 4 != 2 {
        return Err(Skip::Malformed(header));
    }
    if fixed[11] & 1 != 0 {
        rest = rest.skip(8, header)?;
    }
    let payload = match fixed[10] >> 2 & 0x1f {
        0 => Payload::Ethernet,
        2 => Payload::Ip(Announced::Either),
        _ => return Err(Skip::Tunnel(Tunnel::Erspan)),
    };
    trail.enter(Tunnel::Erspan, Some(session(fixed)), Some(ends))?;
    Ok((payload, rest))
}

/// The low ten bits of the first four bytes.
fn session(fixed: &[u8]) -> u32 {
    match fixed {
        [_, _, high, low, ..] => u32::from(u16::from_be_bytes([*high, *low]) & 0x03ff),
        _ => 0,
    }
}
