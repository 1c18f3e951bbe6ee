use super::*;
use std::net::IpAddr;

/// Puts a valid header checksum on an IPv4 packet after a change.
fn fix(mut packet: Vec<u8>) -> Vec<u8> {
    let len = usize::from(packet[0] & 0x0f) * 4;
    packet[10..12].fill(0);
    let sum = !checksum::sum(&packet[..len]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn raw(bytes: &[u8]) -> Result<(SegmentHeader, Vec<u8>), Skip> {
    decode_one(&packet(LinkType::RAW, bytes))
}

fn checksum_of(bytes: &[u8]) -> Checksum {
    match Decoder::default().push(&packet(LinkType::RAW, bytes)) {
        Decoded::Segment(segment) => segment.checksum(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_header_fields() {
    for (frame, src, dst) in [
        (ipv4_frame(b"hello"), IpAddr::from(SRC4), IpAddr::from(DST4)),
        (ipv6_frame(b"hello"), IpAddr::from(SRC6), IpAddr::from(DST6)),
    ] {
        let mut packet = packet(LinkType::ETHERNET, &frame);
        (packet.index, packet.time) = (77, Timestamp::from_nanos(5));
        let (header, payload) = decode_one(&packet).unwrap();
        assert_eq!((header.packet, header.time), (77, Timestamp::from_nanos(5)));
        assert_eq!((header.src, header.dst), (Endpoint::new(src, 40_000), Endpoint::new(dst, 80)));
        assert_eq!((header.seq, header.ack), (0x0102_0304, 0x0506_0708));
        assert_eq!(header.flags, TcpFlags(TcpFlags::ACK | TcpFlags::PSH));
        assert_eq!((header.window, header.payload_len), (0x1122, 5));
        assert_eq!((header.scope, &payload[..]), (Scope(0), &b"hello"[..]));
    }
}

#[test]
fn every_link_type_leads_to_the_same_segment() {
    let (v4, v6) = (ipv4(6, &tcp(false, &[], b"x")), ipv6(6, &tcp(true, &[], b"x")));
    let sll = |kind: [u8; 2]| [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0][..], &kind].concat();
    let sll2 = |kind: [u8; 2]| {
        [&kind[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]].concat()
    };
    let snap = [&[2; 12][..], &[0, 60, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    for (link, head, inner) in [
        (LinkType::ETHERNET, ethernet(0x0800, &[]), &v4),
        (LinkType::ETHERNET, ethernet(0x86dd, &[]), &v6),
        (LinkType::ETHERNET, snap, &v4),
        (LinkType::LINUX_SLL, sll([8, 0]), &v4),
        (LinkType::LINUX_SLL, sll([0x86, 0xdd]), &v6),
        (LinkType::LINUX_SLL2, sll2([8, 0]), &v4),
        (LinkType::LINUX_SLL2, sll2([0x86, 0xdd]), &v6),
        (LinkType::NULL, vec![2, 0, 0, 0], &v4),
        (LinkType::NULL, vec![30, 0, 0, 0], &v6),
        (LinkType::LOOP, vec![0, 0, 0, 24], &v6),
        (LinkType::RAW, vec![], &v4),
        (LinkType::RAW_BSD, vec![], &v6),
        (LinkType(14), vec![], &v4),
        (LinkType::IPV4, vec![], &v4),
        (LinkType::IPV6, vec![], &v6),
    ] {
        let frame = [&head[..], inner].concat();
        let (header, payload) = decode_one(&packet(link, &frame)).unwrap();
        assert_eq!((header.dst.port, &payload[..]), (80, &b"x"[..]), "{link:?}");
    }
}

#[test]
fn announced_version_must_be_there() {
    let (v4, v6) = (ipv4(6, &tcp(false, &[], b"")), ipv6(6, &tcp(true, &[], b"")));
    for (link, bytes, skip) in [
        (LinkType::IPV4, &v6, Skip::Malformed(Header::Ipv4)),
        (LinkType::IPV6, &v4, Skip::Malformed(Header::Ipv6)),
        (LinkType::RAW, &vec![0x50; 40], Skip::Malformed(Header::Ipv4)),
        (LinkType::RAW, &vec![], Skip::Malformed(Header::Ipv4)),
        (LinkType::IPV6, &vec![], Skip::Malformed(Header::Ipv6)),
    ] {
        assert_eq!(decode_one(&packet(link, bytes)).unwrap_err(), skip);
    }
}

#[test]
fn padding_is_off_and_a_short_wire_length_does_no_harm() {
    for mut frame in [ipv4_frame(b"ab"), ipv6_frame(b"ab")] {
        frame.extend_from_slice(&[0xee; 9]);
        for wire_len in [0, 20, 1_000] {
            let packet = Packet { wire_len, ..packet(LinkType::ETHERNET, &frame) };
            let (header, payload) = decode_one(&packet).unwrap();
            assert_eq!((header.payload_len, &payload[..]), (2, &b"ab"[..]));
        }
    }
}

#[test]
fn length_zero_means_to_the_end_of_the_frame() {
    let body = vec![7; 70_000];
    let short = tcp(false, &[], b"");
    let mut v4 = ipv4(6, &short);
    v4[2..4].fill(0);
    let mut v6 = ipv6(6, &short);
    v6[4..6].fill(0);
    for head in [fix(v4), v6] {
        let frame = [&head[..], &body].concat();
        let (header, payload) = raw(&frame).unwrap();
        assert_eq!((header.payload_len, payload.len()), (70_000, 70_000));
        let cut = Packet { wire_len: 70_100, ..packet(LinkType::RAW, &frame[..100]) };
        let (header, payload) = decode_one(&cut).unwrap();
        let headers = head.len();
        assert_eq!(header.payload_len as usize + headers, 70_100);
        assert_eq!(payload.len() + headers, 100);
        assert!(!header.checksum.complete);
    }
}

#[test]
fn a_frame_cut_at_any_length_gives_a_prefix_or_a_reason() {
    let options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    for (v6, ip) in [
        (false, ipv4(6, &tcp(false, &options, b"payload"))),
        (
            true,
            ipv6(60, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(true, &options, b"payload")].concat()),
        ),
    ] {
        let kind = if v6 { [0x86, 0xdd] } else { [8, 0] };
        let frame = ethernet(0x8100, &[&[0, 5][..], &kind, &ip].concat());
        let fixed_end = frame.len() - 7 - 12;
        for cut in 0..=frame.len() {
            let whole = packet(LinkType::ETHERNET, &frame);
            match decode_one(&Packet { bytes: &frame[..cut], ..whole }) {
                Ok((header, payload)) => {
                    assert!(cut >= fixed_end);
                    assert_eq!(header.payload_len, 7);
                    assert_eq!(payload, b"payload"[..(cut + 7).saturating_sub(frame.len())]);
                    assert_eq!(header.checksum.complete, cut == frame.len());
                }
                Err(skip) => {
                    assert!(cut < fixed_end, "{cut}: {skip:?}");
                    assert_eq!(skip.class(), Class::Truncated, "{cut}: {skip:?}");
                }
            }
            // The same bytes in a file without the original length: the IP header knows better,
            // once it is there.
            let bare = packet(LinkType::ETHERNET, &frame[..cut]);
            match decode_one(&bare) {
                Ok((header, _)) => assert_eq!(header.payload_len, 7),
                Err(skip) => assert_ne!(skip.class(), Class::Benign, "{cut}: {skip:?}"),
            }
        }
    }
}

#[test]
fn cut_segments_cannot_be_verified() {
    let bytes = ipv4(6, &tcp(false, &[], b"payload"));
    for (captured, expected) in [(bytes.len(), Checksum::Good), (44, Checksum::Unverifiable)] {
        assert_eq!(checksum_of(&bytes[..captured]), expected);
    }
}

#[test]
fn ipv4_header_checks() {
    let good = ipv4(6, &tcp(false, &[], b"data"));
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(raw(&with(8, 63)).unwrap_err(), Skip::BadIpChecksum);
    assert_eq!(raw(&fix(with(0, 0x44))).unwrap_err(), Skip::Malformed(Header::Ipv4));
    assert_eq!(raw(&fix(with(3, 19))).unwrap_err(), Skip::Malformed(Header::Ipv4));
    assert_eq!(raw(&fix(with(3, 39))).unwrap_err(), Skip::Malformed(Header::Tcp));
    let mut zero = with(8, 63);
    zero[10..12].fill(0);
    assert!(raw(&zero).is_ok());
    let mut options = good.clone();
    options[0] = 0x46;
    options[3] += 4;
    options.splice(20..20, [1, 1, 1, 0]);
    assert_eq!(raw(&fix(options)).unwrap().1, b"data");
}

#[test]
fn tcp_data_offset_checks() {
    for (offset, expected) in [(0x40, None), (0x50, Some(4)), (0x60, Some(0)), (0x70, None)] {
        let mut bytes = ipv4(6, &tcp(false, &[], b"data"));
        bytes[32] = offset;
        match (raw(&bytes), expected) {
            (Ok((header, payload)), Some(len)) => {
                assert_eq!((header.payload_len as usize, payload.len()), (len, len));
            }
            (Err(skip), None) => assert_eq!(skip, Skip::Malformed(Header::Tcp)),
            (outcome, _) => panic!("{offset:#x}: {outcome:?}"),
        }
    }
}

#[test]
fn ipv6_extension_headers_in_any_order() {
    let options = |next: u8, len: u8| {
        let mut header = vec![next, len, 1, 4];
        header.resize(8 + usize::from(len) * 8, 0);
        header
    };
    let authentication = [vec![6, 4, 0, 0], vec![9; 20]].concat();
    let segment = tcp(true, &[], b"deep");
    let chain = [options(60, 0), options(43, 2), options(51, 0), authentication, segment].concat();
    let (_, payload) = raw(&ipv6(0, &chain)).unwrap();
    assert_eq!(payload, b"deep");
    for (count, expected) in [(16, None), (17, Some(Skip::ExtensionBound))] {
        let mut chain = options(60, 0).repeat(count - 1);
        chain.extend(options(6, 0));
        chain.extend(tcp(true, &[], b""));
        assert_eq!(raw(&ipv6(60, &chain)).err(), expected);
    }
    let beyond = raw(&ipv6(0, &[6, 9, 0, 0, 0, 0, 0, 0])).unwrap_err();
    assert_eq!(beyond, Skip::Malformed(Header::Extension));
    assert_eq!(raw(&ipv6(59, &[])).unwrap_err(), Skip::NoNextHeader);
}

#[test]
fn ipv4_knows_no_extension_but_authentication() {
    let authenticated = [vec![6, 1, 0, 0], vec![9; 8], tcp(false, &[], b"ah")].concat();
    assert_eq!(raw(&ipv4(51, &authenticated)).unwrap().1, b"ah");
    for protocol in [0, 43, 44, 60] {
        let skip = raw(&ipv4(protocol, &[6, 0, 0, 0, 0, 0, 0, 0])).unwrap_err();
        assert_eq!(skip, Skip::IpProtocol(protocol));
    }
}

#[test]
fn routing_headers_name_the_last_stop() {
    let stops = [[0x11; 16], DST6];
    for (kind, left, list, expected) in [
        (0, 2, [stops[0], stops[1]], DST6),
        (4, 1, [stops[1], stops[0]], DST6),
        (4, 0, [stops[1], stops[0]], [0x33; 16]),
        (253, 1, [stops[0], stops[1]], [0x33; 16]),
    ] {
        let routing = [&[6, 4, kind, left, 1, 0, 0, 0][..], &list.concat()].concat();
        let mut bytes = ipv6(43, &[routing, tcp(true, &[], b"srv6")].concat());
        bytes[24..40].fill(0x33);
        assert_eq!(raw(&bytes).unwrap().0.dst.ip, IpAddr::from(expected));
        let valid = if expected == DST6 { Checksum::Good } else { Checksum::Bad };
        assert_eq!(checksum_of(&bytes), valid);
    }
}

#[test]
fn atomic_fragments_are_whole_datagrams() {
    let body = [vec![6, 0, 0, 0, 0, 0, 0, 9], tcp(true, &[], b"atom")].concat();
    let bytes = ipv6(44, &body);
    let mut decoder = Decoder::default();
    let Decoded::Segment(segment) = decoder.push(&packet(LinkType::RAW, &bytes)) else {
        panic!("no segment");
    };
    assert_eq!((segment.payload, segment.checksum()), (&b"atom"[..], Checksum::Good));
    assert_eq!(decoder.counters().fragments_atomic, 1);
}

#[test]
fn other_protocols_are_named() {
    let gre = |flags: u8, kind: u16| [&[flags, 0][..], &kind.to_be_bytes()].concat();
    for (protocol, body, v4, v6) in [
        (1, vec![], "icmp", "icmp"),
        (2, vec![], "ip-control", "ip-control"),
        (4, vec![], "malformed-ipv4", "malformed-ipv4"),
        (17, vec![], "malformed-udp", "malformed-udp"),
        (41, vec![], "malformed-ipv6", "malformed-ipv6"),
        (47, vec![0], "malformed-gre", "malformed-gre"),
        (47, gre(0x40, 0x0800), "gre", "gre"),
        (47, gre(0, 0), "link-control", "link-control"),
        (47, gre(0, 0x1234), "unknown-ethertype", "unknown-ethertype"),
        (47, gre(0, 0x0123), "unknown-ethertype", "unknown-ethertype"),
        (47, gre(0, 0x0806), "arp", "arp"),
        (50, vec![], "esp", "esp"),
        (89, vec![], "ip-control", "ip-control"),
        (115, vec![], "l2tp", "l2tp"),
        (132, vec![], "unknown-ip-protocol", "unknown-ip-protocol"),
        (137, vec![0], "malformed-mpls", "malformed-mpls"),
        (97, vec![0x20, 0, 1], "malformed-etherip", "malformed-etherip"),
    ] {
        assert_eq!(raw(&ipv4(protocol, &body)).unwrap_err().name(), v4);
        if !body.is_empty() {
            assert_eq!(raw(&ipv6(protocol, &body)).unwrap_err().name(), v6);
        }
    }
    assert_eq!(raw(&ipv6(132, b"x")).unwrap_err(), Skip::IpProtocol(132));
    assert_eq!(raw(&ipv6(108, b"x")).unwrap_err(), Skip::Tunnel(Tunnel::Ipcomp));
}

#[test]
fn checksums_by_payload_length_and_family() {
    for len in (0..70).chain([1_447, 1_448, 60_000]) {
        let payload: Vec<u8> = (0..len).map(|at| (at * 31 % 251) as u8).collect();
        for v6 in [false, true] {
            let segment = tcp(v6, &[], &payload);
            let good = if v6 { ipv6(6, &segment) } else { ipv4(6, &segment) };
            assert_eq!(checksum_of(&good), Checksum::Good, "{len}");
            for flipped in [good.len() - segment.len(), good.len() - 1] {
                let mut bad = good.clone();
                bad[flipped] ^= 0x10;
                assert_eq!(checksum_of(&bad), Checksum::Bad, "{len} {flipped}");
            }
        }
    }
}

#[test]
fn checksums_left_to_the_card_are_recognised() {
    for v6 in [false, true] {
        let segment = tcp(v6, &[], b"offloaded");
        let (mut bytes, addresses) = if v6 {
            (ipv6(6, &segment), [SRC6, DST6].concat())
        } else {
            (ipv4(6, &segment), [SRC4, DST4].concat())
        };
        let sum = |len: usize| {
            let tail = [0, 6, 0, u8::try_from(len).unwrap()];
            checksum::sum(&[&addresses[..], &tail].concat())
        };
        let at = bytes.len() - segment.len() + 16;
        let full = sum(segment.len());
        for (field, expected) in [
            (full, Checksum::Good),
            (!full, Checksum::Good),
            (sum(0), Checksum::Good),
            (0, Checksum::Good),
            (full ^ 1, Checksum::Bad),
        ] {
            bytes[at..at + 2].copy_from_slice(&field.to_be_bytes());
            assert_eq!(checksum_of(&bytes), expected, "{field:#x}");
            let seed = raw(&bytes).unwrap().0.checksum;
            assert_eq!(seed.offloaded, expected == Checksum::Good);
        }
    }
}

#[test]
fn vlans_are_told_apart_unless_switched_off() {
    let tagged = |vlan: u8| {
        let ip = ipv4(6, &tcp(false, &[], b"x"));
        ethernet(0x8100, &[&[0, vlan, 8, 0][..], &ip].concat())
    };
    for (vlan_scope, expected) in [(true, [1, 2]), (false, [0, 0])] {
        let mut decoder = Decoder::default().with_vlan_scope(vlan_scope);
        let scopes =
            [1, 2].map(|vlan| match decoder.push(&packet(LinkType::ETHERNET, &tagged(vlan))) {
                Decoded::Segment(segment) => segment.header.scope.0,
                other => panic!("{other:?}"),
            });
        assert_eq!(scopes, expected);
    }
}
