//! Tunnels in UDP. They are told by the port that they are sent to, and their headers have to be
//! right; else it is somebody's datagram that got the port by chance.

use super::shim::can_be_labelled;
use super::{Payload, Tunnel, gre, next_protocol, typed};
use crate::decode::link::Announced;
use crate::decode::skip::{Header, Skip};
use crate::decode::trail::{Ends, Trail};
use crate::decode::view::View;

/// What a tunnel header told: its number, and what is behind it. `None` when it is none.
type Told<'a> = Result<Option<(Option<u32>, Payload, View<'a>)>, Skip>;

const TEREDO: u16 = 3544;

/// Opens the tunnel in a UDP payload; `None` when there is none.
pub(in crate::decode) fn open<'a>(
    [from, to]: [u16; 2],
    view: View<'a>,
    ends: impl FnOnce() -> Ends,
    trail: &mut Trail,
) -> Result<Option<(Payload, View<'a>)>, Skip> {
    let (kind, told) = match to {
        1701 => return closed(Tunnel::L2tp, is_l2tp_data(view)),
        4500 => return closed(Tunnel::Esp, is_esp(view)),
        51820 => return closed(Tunnel::Wireguard, is_wireguard(view)),
        4754 if is_gre(view)? => {
            return gre::open(Tunnel::GreInUdp, view, ends(), trail).map(Some);
        }
        2152 => (Tunnel::Gtp, gtp(view)?),
        // 8472 was Linux's default before the port was assigned.
        4789 | 8472 => (Tunnel::Vxlan, vxlan(view)?),
        4790 => (Tunnel::VxlanGpe, vxlan_gpe(view)?),
        6081 => (Tunnel::Geneve, geneve(view)?),
        6635 => (Tunnel::MplsInUdp, mpls(view)?),
        // Servers and relays send from it.
        _ if to == TEREDO || from == TEREDO => (Tunnel::Teredo, teredo(view)?),
        _ => return Ok(None),
    };
    let Some((id, payload, rest)) = told else { return Ok(None) };
    trail.enter(kind, id, Some(ends()))?;
    Ok(Some((payload, rest)))
}

/// A tunnel that is not opened.
const fn closed<'a>(kind: Tunnel, is_one: bool) -> Result<Option<(Payload, View<'a>)>, Skip> {
    if is_one { Err(Skip::Tunnel(kind)) } else { Ok(None) }
}

/// The first bytes of a header, or `None` when so many were never sent.
fn fixed<const N: usize>(
    view: View<'_>,
    kind: Tunnel,
) -> Result<Option<(&[u8; N], View<'_>)>, Skip> {
    if view.wire < N { Ok(None) } else { view.split(Header::Tunnel(kind)).map(Some) }
}

/// RFC 7348 section 5, and the group policy extension: with flag G, two flags more and a group.
fn vxlan(view: View<'_>) -> Told<'_> {
    let Some((&[flags, policy, g0, g1, v0, v1, v2, reserved], rest)) = fixed(view, Tunnel::Vxlan)?
    else {
        return Ok(None);
    };
    let valid = match flags {
        0x08 => [policy, g0, g1] == [0; 3],
        0x88 => policy & !0x48 == 0,
        _ => false,
    };
    let id = u32::from_be_bytes([0, v0, v1, v2]);
    Ok((valid && reserved == 0).then_some((Some(id), Payload::Ethernet, rest)))
}

/// draft-ietf-nvo3-vxlan-gpe section 3: version 0 with a network; flag P tells the protocol, flag
/// O marks operations, which carry nothing.
fn vxlan_gpe(view: View<'_>) -> Told<'_> {
    let Some((&[flags, r0, r1, next, v0, v1, v2, reserved], rest)) = fixed(view, Tunnel::VxlanGpe)?
    else {
        return Ok(None);
    };
    if flags & 0xf8 != 0x08 || [r0, r1, reserved] != [0; 3] {
        return Ok(None);
    }
    let payload = match flags & 0x05 {
        0x00 if next == 0 => Some(Payload::Ethernet),
        0x04 => next_protocol(next),
        _ => None,
    };
    let payload = payload.ok_or(Skip::Tunnel(Tunnel::VxlanGpe))?;
    Ok(Some((Some(u32::from_be_bytes([0, v0, v1, v2])), payload, rest)))
}

/// RFC 8926 section 3.4.
fn geneve(view: View<'_>) -> Told<'_> {
    let Some((&[len, flags, high, low, v0, v1, v2, reserved], _)) = fixed(view, Tunnel::Geneve)?
    else {
        return Ok(None);
    };
    let kind = u16::from_be_bytes([high, low]);
    // The two high bits of the first byte are the version.
    let header_len = 8 + usize::from(len) * 4;
    if len >= 0x40 || flags & 0x3f != 0 || reserved != 0 || kind < 0x0600 || view.wire < header_len
    {
        return Ok(None);
    }
    let rest = view.skip(header_len, Header::Tunnel(Tunnel::Geneve))?;
    Ok(Some((Some(u32::from_be_bytes([0, v0, v1, v2])), typed(kind)?, rest)))
}

/// 3GPP TS 29.281 section 5: version 1, and of its messages only those that carry a packet.
fn gtp(view: View<'_>) -> Told<'_> {
    const TPDU: u8 = 255;
    let header = Header::Tunnel(Tunnel::Gtp);
    let Some((&[flags, message, high, low, t0, t1, t2, t3], rest)) = fixed(view, Tunnel::Gtp)?
    else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if flags >> 4 != 3 || message != TPDU || len > rest.wire {
        return Ok(None);
    }
    let mut rest = rest.limit(len);
    if flags & 0x07 != 0 {
        // Sequence number and N-PDU number, which count only with their flags, as does the next.
        let (&[.., next], behind) = rest.split::<4>(header)?;
        rest = behind;
        if flags & 0x04 != 0 {
            rest = gtp_extensions(next, rest)?;
        }
    }
    let id = u32::from_be_bytes([t0, t1, t2, t3]);
    match rest.bytes.first().map(|byte| byte >> 4) {
        Some(4) => Ok(Some((Some(id), Payload::Ip(Announced::V4), rest))),
        Some(6) => Ok(Some((Some(id), Payload::Ip(Announced::V6), rest))),
        // A session of Ethernet or of nothing in particular: the header does not tell.
        Some(_) => Err(Skip::Tunnel(Tunnel::Gtp)),
        None => Err(rest.short(1, header)),
    }
}

/// Skips extension headers: each begins with its length in words of four bytes, and ends with the
/// type of the next. Each takes bytes, so that their number needs no bound.
fn gtp_extensions(mut next: u8, mut view: View<'_>) -> Result<View<'_>, Skip> {
    let header = Header::Tunnel(Tunnel::Gtp);
    while next != 0 {
        let (&[words], _) = view.split::<1>(header)?;
        let len = usize::from(words) * 4;
        let rest = view.skip(len, header)?;
        let last = len.checked_sub(1).and_then(|last| view.bytes.get(last));
        next = *last.ok_or(Skip::Malformed(header))?;
        view = rest;
    }
    Ok(view)
}

/// RFC 4380 section 5.1.1: authentication, origin, then an IPv6 packet that fills the rest.
fn teredo(view: View<'_>) -> Told<'_> {
    let header = Header::Tunnel(Tunnel::Teredo);
    let mut rest = view;
    if let [0, 1, client, key, ..] = *rest.bytes {
        let len = 13 + usize::from(client) + usize::from(key);
        if rest.wire < len {
            return Ok(None);
        }
        rest = rest.skip(len, header)?;
    }
    if let [0, 0, ..] = *rest.bytes {
        if rest.wire < 8 {
            return Ok(None);
        }
        rest = rest.skip(8, header)?;
    }
    let Some((&[version, _, _, _, high, low], _)) = fixed(rest, Tunnel::Teredo)? else {
        return Ok(None);
    };
    let len = usize::from(u16::from_be_bytes([high, low])) + 40;
    let valid = version >> 4 == 6 && len == rest.wire;
    Ok(valid.then_some((None, Payload::Ip(Announced::V6), rest)))
}

/// RFC 7510. Labels have no mark of their own: there has to be an end to them, and something that
/// they can carry.
fn mpls(view: View<'_>) -> Told<'_> {
    const MAX_LABELS: usize = 16;
    let mut rest = view;
    for _ in 0..MAX_LABELS {
        let Some((&[_, _, bottom, _], behind)) = fixed(rest, Tunnel::MplsInUdp)? else { break };
        rest = behind;
        if bottom & 1 != 0 {
            return Ok(can_be_labelled(rest).then_some((None, Payload::Mpls, view)));
        }
    }
    Ok(None)
}

/// RFC 8086 section 3.1: version 0, no reserved bits, an ethertype.
fn is_gre(view: View<'_>) -> Result<bool, Skip> {
    let Some((&[flags, version, high, low], _)) = fixed(view, Tunnel::GreInUdp)? else {
        return Ok(false);
    };
    let kind = u16::from_be_bytes([high, low]);
    Ok(flags & 0x4f == 0 && version == 0 && kind >= 0x0600)
}

/// RFC 2661 section 3.1 and RFC 3931 section 4.1.2: control messages carry nobody's data.
fn is_l2tp_data(view: View<'_>) -> bool {
    matches!(view.bytes, [flags, 2 | 3, ..] if flags & 0x80 == 0)
}

/// RFC 3948 section 2: zero stands for IKE, and single bytes keep the mapping alive. Indices below
/// 256 are reserved (RFC 4303 section 2.1).
const fn is_esp(view: View<'_>) -> bool {
    matches!(view.bytes, [a, b, c, _, ..] if *a != 0 || *b != 0 || *c != 0) && view.wire >= 16
}

/// All four messages begin with a type and three zero bytes.
const fn is_wireguard(view: View<'_>) -> bool {
    matches!(view.bytes, [1..=4, 0, 0, 0, ..]) && view.wire >= 32
}
