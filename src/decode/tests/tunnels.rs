use super::wraps::{Inner, Wrap, all, outer, udp};
use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

/// The packets inside: one each way, over IPv4 and IPv6.
fn inner(v6: bool, back: bool) -> Inner {
    let segment = tcp(v6, &[], b"payload");
    Inner::Ip(if v6 { wraps::outer6(6, &segment, back) } else { outer(6, &segment, back) })
}

fn whole<'a>(bytes: &'a [u8]) -> Packet<'a> {
    packet(LinkType::ETHERNET, bytes)
}

/// Scope and path of the segment in a frame.
fn segment(frame: &[u8]) -> (SegmentHeader, TunnelPath) {
    let mut decoder = Decoder::new(Limits { max_tunnels: 64, ..Limits::default() });
    let header = match decoder.push(&whole(frame)) {
        Decoded::Segment(segment) => {
            assert_eq!(segment.payload, b"payload");
            assert_eq!(segment.checksum(), Checksum::Good);
            segment.header
        }
        other => panic!("{other:?}"),
    };
    (header, decoder.path(header.scope).cloned().unwrap_or_default())
}

/// Whether a tunnel alone makes a scope: labels and tags of one direction do not.
fn is_scoped(wrap: &Wrap) -> bool {
    let mark = wrap.kind.mark();
    mark.id || mark.ends || wrap.name.contains("MPLS in")
}

#[test]
fn every_encapsulation_leads_to_the_same_segment_both_ways() {
    for wrap in all() {
        for v6 in [false, true] {
            let [there, back] =
                [false, true].map(|back| (wrap.put)(&inner(v6, back), back).frame());
            let (header, path) = segment(&there);
            let (answer, _) = segment(&back);
            assert_eq!((header.src.ip, header.dst.ip), (answer.dst.ip, answer.src.ip));
            let src = if v6 { IpAddr::from(SRC6) } else { IpAddr::from(SRC4) };
            assert_eq!(header.src, Endpoint::new(src, 40_000), "{}", wrap.name);
            assert_eq!(header.scope, answer.scope, "{}", wrap.name);
            assert_eq!(header.scope != Scope(0), is_scoped(&wrap), "{}", wrap.name);
            if !is_scoped(&wrap) {
                assert_eq!(path, TunnelPath::default());
                continue;
            }
            let layer = path.0.iter().find(|layer| layer.kind == wrap.kind);
            let layer = layer.unwrap_or_else(|| panic!("{}: {path:?}", wrap.name));
            assert_eq!(layer.id, wrap.id, "{}", wrap.name);
            assert_eq!(layer.outer.is_some(), wrap.has_outer, "{}", wrap.name);
        }
    }
}

#[test]
fn frames_cut_at_any_byte_are_named() {
    for wrap in all() {
        for v6 in [false, true] {
            let frame = (wrap.put)(&inner(v6, false), false).frame();
            let header_end = frame.len() - b"payload".len();
            for cut in 0..frame.len() {
                let cut_off = Packet { bytes: &frame[..cut], ..whole(&frame) };
                match decode_one(&cut_off) {
                    Ok((header, payload)) => {
                        assert!(cut >= header_end, "{} {cut}", wrap.name);
                        assert_eq!((header.payload_len, payload.len()), (7, cut - header_end));
                    }
                    Err(skip) => {
                        assert!(cut < header_end, "{} {cut}: {skip:?}", wrap.name);
                        assert_eq!(skip.class(), Class::Truncated, "{} {cut}: {skip:?}", wrap.name);
                        assert!(skip.name().starts_with("truncated-"));
                    }
                }
                // In a file without the original length.
                match Decoder::default().push(&whole(&frame[..cut])) {
                    Decoded::Segment(segment) => assert_eq!(segment.header.payload_len, 7),
                    Decoded::Skipped(skip) => assert_ne!(skip.class(), Class::Benign),
                    other => panic!("{} {cut}: {other:?}", wrap.name),
                };
            }
        }
    }
}

#[test]
fn bytes_changed_one_by_one_do_no_harm() {
    for wrap in all() {
        let frame = (wrap.put)(&inner(false, false), false).frame();
        for at in 0..frame.len() {
            for value in [0x00, 0xff, frame[at] ^ 0x01, frame[at] ^ 0x80] {
                let mut bent = frame.clone();
                bent[at] = value;
                match Decoder::default().push(&whole(&bent)) {
                    Decoded::Segment(segment) => {
                        assert!(segment.payload.len() <= segment.header.payload_len as usize);
                    }
                    Decoded::Datagram(datagram) => {
                        assert!(datagram.payload.len() <= datagram.header.payload_len as usize);
                    }
                    Decoded::Fragment | Decoded::Skipped(_) => {}
                };
            }
        }
    }
}

#[test]
fn tunnels_beyond_the_bound_are_counted() {
    for (count, expected) in [(8, None), (9, Some(Skip::TunnelBound))] {
        for wrap in all().into_iter().filter(|wrap| wrap.name == "VXLAN" || wrap.name == "PBB") {
            let tower =
                (0..count).fold(inner(false, false), |inside, _| (wrap.put)(&inside, false));
            assert_eq!(decode_one(&whole(&tower.frame())).err(), expected);
        }
    }
    let limits = Limits { max_tunnels: 0, ..Limits::default() };
    let mut decoder = Decoder::new(limits);
    for wrap in all().into_iter().filter(|wrap| wrap.kind != Tunnel::Vlan) {
        let frame = (wrap.put)(&inner(false, false), false).frame();
        let decoded = decoder.push(&whole(&frame));
        assert!(matches!(decoded, Decoded::Skipped(Skip::TunnelBound)), "{}", wrap.name);
    }
}

#[test]
fn paths_name_layers_outermost_first() {
    let by_name = |name: &str| all().into_iter().find(|wrap| wrap.name == name).unwrap();
    let mut nested = inner(false, false);
    for name in ["VLAN", "VXLAN", "MPLS, IP", "GRE with everything", "VLAN"] {
        nested = (by_name(name).put)(&nested, false);
    }
    let (header, path) = segment(&nested.frame());
    let outer = Some((IpAddr::from(SRC4), IpAddr::from(DST4)));
    let layer = |kind, id, outer| TunnelLayer { kind, id, outer };
    let expected = [
        layer(Tunnel::Vlan, Some(0x234), None),
        layer(Tunnel::Gre, Some(0x1234), outer),
        layer(Tunnel::EtherIp, None, outer),
        layer(Tunnel::Mpls, Some(0x1234), None),
        layer(Tunnel::Vxlan, Some(0x1234), outer),
        layer(Tunnel::Vlan, Some(0x234), None),
    ];
    assert_eq!(path.0, expected);
    assert_ne!(header.scope, Scope(0));
}

#[test]
fn numbers_keep_networks_apart_and_endpoints_do_not() {
    let vxlan = |vni: u8, back: bool, last: u8| {
        let frame = inner(false, false).frame();
        let datagram = udp(4789, &[&[8, 0, 0, 0, 0, 0, vni, 0], &frame[..]].concat());
        let mut ip = wraps::outer6(17, &datagram, back);
        ip[39] = last;
        segment(&Inner::Ip(ip).frame()).0.scope
    };
    assert_eq!(vxlan(1, false, 5), vxlan(1, true, 6));
    assert_ne!(vxlan(1, false, 5), vxlan(2, false, 5));
}

#[test]
fn paths_beyond_the_bound_are_not_kept_but_counted() {
    let frame = |vlan: u8| {
        let ip = ipv4(6, &tcp(false, &[], b"payload"));
        ethernet(0x8100, &[&[0, vlan, 8, 0][..], &ip].concat())
    };
    let mut decoder = Decoder::new(Limits { max_paths: 2, ..Limits::default() });
    for vlan in [1, 2, 2, 3, 3, 4, 1] {
        let frame = frame(vlan);
        let packet = whole(&frame);
        let Decoded::Segment(segment) = decoder.push(&packet) else { panic!("no segment") };
        assert_eq!(segment.header.scope, Scope(vlan.into()));
    }
    assert_eq!(decoder.counters().paths_unnamed, 3);
    assert!(decoder.path(Scope(2)).is_some());
    assert!(decoder.path(Scope(3)).is_none() && decoder.path(Scope(0)).is_none());
    let mut known: Vec<_> = decoder.paths().map(|(scope, _)| scope.0).collect();
    known.sort_unstable();
    assert_eq!(known, [1, 2]);
}

#[test]
fn without_scopes_tunnels_are_opened_all_the_same() {
    for wrap in all() {
        let frame = (wrap.put)(&inner(true, false), false).frame();
        let mut decoder = Decoder::default().with_vlan_scope(false);
        let Decoded::Segment(segment) = decoder.push(&whole(&frame)) else {
            panic!("{}", wrap.name)
        };
        assert_eq!(segment.header.scope, Scope(0));
        assert_eq!(decoder.paths().count(), 0);
    }
}

#[test]
fn opened_tunnels_are_counted() {
    let mut decoder = Decoder::default();
    for wrap in all() {
        decoder.push(&whole(&(wrap.put)(&inner(true, false), false).frame()));
    }
    let opened: std::collections::BTreeMap<Tunnel, u64> = decoder.opened().collect();
    for wrap in all().iter().filter(|wrap| wrap.kind != Tunnel::Vlan) {
        assert!(opened[&wrap.kind] > 0, "{}", wrap.name);
    }
    assert_eq!((opened[&Tunnel::Erspan], opened[&Tunnel::Esp]), (5, 0));
}

/// IPv4 packets with the payload of `ip` in pieces.
fn cut_up(ip: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let pieces = fragments::fragments(false, id, &ip[20..], size);
    let as_its_own = |mut piece: Vec<u8>| {
        piece[9] = ip[9];
        piece
    };
    pieces.into_iter().map(as_its_own).collect()
}

/// Fragments outside, inside, both, and three times.
#[test]
fn fragments_of_inner_and_outer_datagrams() {
    for wrap in all() {
        let put = |ip: Vec<u8>| (wrap.put)(&Inner::Ip(ip), false);
        let segment = ipv4(6, &tcp(false, &[], &[7; 300]));
        let inside: Vec<Inner> = cut_up(&segment, 3, 104).into_iter().map(put).collect();
        assert_eq!(inside.len(), 4);
        let mut decoder = Decoder::default();
        let mut push = |frame: &[u8]| match decoder.push(&whole(frame)) {
            Decoded::Segment(segment) => Some(segment.payload.len()),
            Decoded::Fragment => None,
            other => panic!("{}: {other:?}", wrap.name),
        };
        let answers: Vec<_> = inside.iter().map(|packet| push(&packet.frame())).collect();
        assert_eq!(answers, [None, None, None, Some(300)], "{}", wrap.name);
        let mut done = 0;
        for (id, packet) in (100..).zip(&inside) {
            let Inner::Ip(ip) = packet else { continue };
            if ip[0] >> 4 == 6 {
                continue;
            }
            for piece in cut_up(ip, id, 64) {
                done += usize::from(push(&ethernet(0x0800, &piece)) == Some(300));
            }
        }
        assert!(done <= 1);
        let is_v4 = matches!(&inside[0], Inner::Ip(ip) if ip[0] >> 4 == 4);
        assert_eq!(done == 1, is_v4, "{}", wrap.name);
        decoder.finish();
        assert_eq!(decoder.counters().datagrams_expired, 0);
    }
}

#[test]
fn fragments_nest_up_to_a_bound() {
    let mut pieces = vec![ipv4(6, &tcp(false, &[], &[7; 40]))];
    for depth in 0..4 {
        let inside: Vec<Vec<u8>> = pieces.iter().map(|ip| ipv4(4, ip)).collect();
        let inside = if depth == 0 { pieces.clone() } else { inside };
        pieces = inside
            .iter()
            .enumerate()
            .flat_map(|(at, ip)| {
                let half = (ip.len() - 20).div_ceil(16) * 8;
                cut_up(ip, u16::try_from(at).unwrap() + depth * 64, half)
            })
            .collect();
        let mut decoder = Decoder::default();
        let mut names = std::collections::BTreeSet::new();
        for piece in &pieces {
            names.insert(match decoder.push(&packet(LinkType::RAW, piece)) {
                Decoded::Segment(segment) => format!("{} bytes", segment.payload.len()),
                Decoded::Fragment => "fragment".into(),
                Decoded::Datagram(_) => "UDP".into(),
                Decoded::Skipped(skip) => skip.name().into(),
            });
        }
        let last = if depth < 3 { "40 bytes" } else { "fragment-bound" };
        assert!(names.contains(last) && names.len() == 2, "{depth}: {names:?}");
    }
}

proptest! {
    /// Any tunnels in each other, there and back.
    #[test]
    fn nested_tunnels_lead_to_the_segment(picks in proptest::collection::vec(0_usize..100, 0..5)) {
        let all = all();
        for v6 in [false, true] {
            let [there, back] = [false, true].map(|back| {
                picks.iter().fold(inner(v6, back), |inside, pick| {
                    (all[pick % all.len()].put)(&inside, back)
                })
            });
            let ((header, path), (answer, other)) = (segment(&there.frame()), segment(&back.frame()));
            prop_assert_eq!(header.scope, answer.scope);
            prop_assert_eq!(path.0.len(), other.0.len());
            let scoped = picks.iter().any(|pick| is_scoped(&all[pick % all.len()]));
            prop_assert!(!scoped || header.scope != Scope(0));
        }
    }

    #[test]
    fn arbitrary_bytes_in_any_tunnel_never_panic(
        pick in 0_usize..100,
        bytes in proptest::collection::vec(any::<u8>(), 20..200),
        wire in 0_u32..400,
        cut in 0_usize..100,
    ) {
        let all = all();
        let frame = (all[pick % all.len()].put)(&Inner::Frame(bytes.clone()), false).frame();
        let cut = frame.len().saturating_sub(cut);
        let mut decoder = Decoder::default();
        let packet = Packet { wire_len: wire, ..whole(&frame[..cut]) };
        match decoder.push(&packet) {
            Decoded::Segment(segment) =>
                prop_assert!(segment.payload.len() <= segment.header.payload_len as usize),
            Decoded::Datagram(datagram) =>
                prop_assert!(datagram.payload.len() <= datagram.header.payload_len as usize),
            Decoded::Fragment | Decoded::Skipped(_) => {}
        };
    }
}
