//! Headers between the link layer and IP, by ethertype.

use super::{NSH, Payload, Tunnel, next_protocol};
use crate::decode::checksum::{fold, header_sum};
use crate::decode::link::{Announced, ethertype, not_ip};
use crate::decode::skip::{Header, Skip};
use crate::decode::trail::Trail;
use crate::decode::view::View;

type Opened<'a> = Result<(Payload, View<'a>), Skip>;

/// Opens what an ethertype that is no IP announces.
pub(in crate::decode) fn open<'a>(kind: u16, view: View<'a>, trail: &mut Trail) -> Opened<'a> {
    match kind {
        0x8847 | 0x8848 => Ok((Payload::Mpls, view)),
        0x8864 => pppoe(view, trail),
        0x88e7 => {
            let header = Header::Tunnel(Tunnel::Pbb);
            // Priority and flags, then 24 bits of service instance.
            let ([_, a, b, c], rest) = view.split(header)?;
            trail.enter(Tunnel::Pbb, Some(u32::from_be_bytes([0, *a, *b, *c])), None)?;
            Ok((Payload::Ethernet, rest))
        }
        0x8926 => {
            // Interfaces of both ends, then the next ethertype.
            let ([_, _, _, _, high, low], rest) = view.split(Header::Tunnel(Tunnel::VnTag))?;
            trail.enter(Tunnel::VnTag, None, None)?;
            Ok((Payload::Typed(u16::from_be_bytes([*high, *low])), rest))
        }
        0x893f => {
            let (tag, rest) = view.split::<8>(Header::Tunnel(Tunnel::ETag))?;
            let channel = u16::from_be_bytes([tag[2], tag[3]]) & 0x0fff;
            trail.enter(Tunnel::ETag, Some(channel.into()), None)?;
            Ok((Payload::Typed(u16::from_be_bytes([tag[6], tag[7]])), rest))
        }
        0x8909 => cisco_metadata(view, trail),
        NSH => nsh(view, trail),
        other => Err(not_ip(other)),
    }
}

/// Version 1 with one option, the security group: the only form that is known.
fn cisco_metadata<'a>(view: View<'a>, trail: &mut Trail) -> Opened<'a> {
    let (tag, rest) = view.split::<8>(Header::Tunnel(Tunnel::CiscoMetadata))?;
    if [tag[0], tag[1]] != [1, 1] {
        return Err(Skip::Tunnel(Tunnel::CiscoMetadata));
    }
    let group = u16::from_be_bytes([tag[4], tag[5]]);
    trail.enter(Tunnel::CiscoMetadata, Some(group.into()), None)?;
    Ok((Payload::Typed(u16::from_be_bytes([tag[6], tag[7]])), rest))
}

/// RFC 8300 section 2: the length counts words of four bytes, the fixed two included.
fn nsh<'a>(view: View<'a>, trail: &mut Trail) -> Opened<'a> {
    let header = Header::Tunnel(Tunnel::Nsh);
    let (fixed, _) = view.split::<8>(header)?;
    let len = usize::from(fixed[1] & 0x3f) * 4;
    if fixed[0] >> 6 != 0 || len < 8 {
        return Err(Skip::Malformed(header));
    }
    let rest = view.skip(len, header)?;
    let payload = next_protocol(fixed[3]).ok_or(Skip::Tunnel(Tunnel::Nsh))?;
    let path = u32::from_be_bytes([0, fixed[4], fixed[5], fixed[6]]);
    trail.enter(Tunnel::Nsh, Some(path), None)?;
    Ok((payload, rest))
}

/// RFC 2516 section 4.
fn pppoe<'a>(view: View<'a>, trail: &mut Trail) -> Opened<'a> {
    let header = Header::Tunnel(Tunnel::Pppoe);
    let ([version, code, id_high, id_low, len_high, len_low], rest) = view.split(header)?;
    if [*version, *code] != [0x11, 0] {
        return Err(Skip::Malformed(header));
    }
    let session = u16::from_be_bytes([*id_high, *id_low]);
    let len = u16::from_be_bytes([*len_high, *len_low]);
    trail.enter(Tunnel::Pppoe, Some(session.into()), None)?;
    Ok((Payload::Ppp(Tunnel::Pppoe), rest.limit(len.into())))
}

/// PPP (RFC 1661), with address and control bytes or not, the protocol compressed or not.
pub(in crate::decode) fn ppp(view: View<'_>, carrier: Tunnel) -> Opened<'_> {
    let header = Header::Tunnel(carrier);
    let mut rest = match view.bytes {
        // No protocol has this number.
        [0xff] => return Err(view.short(2, header)),
        [0xff, 0x03, ..] => view.skip(2, header)?,
        _ => view,
    };
    let (first, behind) = rest.split::<1>(header)?;
    let mut protocol = u16::from(first[0]);
    rest = behind;
    // Protocol numbers are odd and their high bytes even, which marks the shorter form.
    if first[0] & 1 == 0 {
        let (low, behind) = rest.split::<1>(header)?;
        (protocol, rest) = (protocol << 8 | u16::from(low[0]), behind);
    }
    match protocol {
        0x0021 => Ok((Payload::Ip(Announced::V4), rest)),
        0x0057 => Ok((Payload::Ip(Announced::V6), rest)),
        0x0281 | 0x0283 => Ok((Payload::Mpls, rest)),
        // Control protocols of the link and of what it carries.
        0x8000.. => Err(Skip::LinkControl(protocol)),
        _ => Err(Skip::Tunnel(carrier)),
    }
}

/// A label stack (RFC 3032). Nothing says what is behind the last label but the bytes there.
pub(in crate::decode) fn mpls<'a>(mut view: View<'a>, trail: &mut Trail) -> Opened<'a> {
    const BOTTOM: u32 = 0x100;
    let header = Header::Tunnel(Tunnel::Mpls);
    let last = loop {
        let (entry, rest) = view.split(header)?;
        view = rest;
        let entry = u32::from_be_bytes(*entry);
        if entry & BOTTOM != 0 {
            break entry;
        }
    };
    trail.enter(Tunnel::Mpls, Some(last >> 12), None)?;
    beneath(view)
}

/// What is behind the last label.
fn beneath(view: View<'_>) -> Opened<'_> {
    let header = Header::Tunnel(Tunnel::Mpls);
    let Some(first) = view.bytes.first() else { return Err(view.short(1, header)) };
    let is_frame = is_frame(view);
    match first >> 4 {
        // By now there are Ethernet addresses that begin so, too.
        4 if !is_frame || is_ipv4(view) => Ok((Payload::Ip(Announced::V4), view)),
        6 if !is_frame || is_ipv6(view) => Ok((Payload::Ip(Announced::V6), view)),
        // Without the first, a tagged frame looks like a control word and a frame without a tag.
        0 if view.bytes.starts_with(&[0; 4]) && is_controlled(view) => {
            Ok((Payload::Ethernet, view.skip(4, header)?))
        }
        _ if is_frame => Ok((Payload::Ethernet, view)),
        0 if is_controlled(view) => Ok((Payload::Ethernet, view.skip(4, header)?)),
        // The associated channel (RFC 4385 section 5): of the network itself.
        1 => Err(Skip::LinkControl(0x8847)),
        _ if view.bytes.len() < 19 && !view.is_complete() => Err(Skip::Truncated(header)),
        _ => Err(Skip::Tunnel(Tunnel::Mpls)),
    }
}

/// Whether there is a frame behind a control word: zeros and a sequence number, mostly zero too
/// (RFC 4448 section 4.6).
fn is_controlled(view: View<'_>) -> bool {
    let inner = view.skip(4, Header::Tunnel(Tunnel::Mpls));
    view.bytes.starts_with(&[0; 2]) && inner.is_ok_and(is_frame)
}

/// Whether bytes can be what a label stack carries; those that were cut off can.
pub(super) fn can_be_labelled(view: View<'_>) -> bool {
    let is_cut = view.bytes.len() < 40 && !view.is_complete();
    match view.bytes.first().map(|byte| byte >> 4) {
        None => view.wire > 0,
        Some(4) => is_cut || is_ipv4(view) || is_frame(view),
        Some(6) => is_cut || is_ipv6(view) || is_frame(view),
        Some(0) => is_cut || is_controlled(view) || is_frame(view),
        Some(_) => is_frame(view),
    }
}

fn is_ipv4(view: View<'_>) -> bool {
    let [first, _, high, low, _, _, _, _, _, _, sum_high, sum_low, ..] = *view.bytes else {
        return false;
    };
    let len = (usize::from(first & 0x0f) * 4).max(20);
    let is_right = |header| fold(header_sum(header)) == 0xffff;
    // A zero checksum was left to the network card.
    let fits = usize::from(u16::from_be_bytes([high, low])) == view.wire;
    ([sum_high, sum_low] == [0; 2] && fits) || view.bytes.get(..len).is_some_and(is_right)
}

fn is_ipv6(view: View<'_>) -> bool {
    let len = match view.bytes {
        [_, _, _, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => return true,
    };
    len + 40 == view.wire
}

/// Whether bytes look like an Ethernet frame: the type is one that is known, and what it announces
/// begins as it should.
fn is_frame(view: View<'_>) -> bool {
    let Some(([.., high, low], rest)) = view.bytes.split_first_chunk::<14>() else { return false };
    let kind = u16::from_be_bytes([*high, *low]);
    let first = rest.first().copied().unwrap_or_default();
    match kind {
        ethertype::IPV4 => first >> 4 == 4,
        ethertype::IPV6 => first >> 4 == 6,
        ethertype::VLAN | ethertype::QINQ | ethertype::QINQ_OLD | ethertype::QINQ_OLDER => true,
        // Spanning tree, SNAP, OSI, NetBIOS.
        ..ethertype::FIRST => {
            usize::from(kind) <= rest.len() && matches!(first, 0x42 | 0xaa | 0xfe | 0xf0)
        }
        other => !matches!(not_ip(other), Skip::EtherType(_)),
    }
}
