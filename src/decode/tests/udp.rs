use super::wraps::udp;
use super::*;

/// Name of a skip, or `udp` and the payload's lengths.
fn answer(frame: &Packet<'_>) -> String {
    match Decoder::default().push(frame) {
        Decoded::Datagram(datagram) => {
            format!("udp {} of {}", datagram.payload.len(), datagram.header.payload_len)
        }
        Decoded::Segment(_) => "tcp".into(),
        Decoded::Fragment => "fragment".into(),
        Decoded::Skipped(skip) => skip.name().into(),
    }
}

#[test]
fn all_header_fields() {
    for v6 in [false, true] {
        let datagram = udp(53, b"question");
        let ip = if v6 { ipv6(17, &datagram) } else { ipv4(17, &datagram) };
        let mut decoder = Decoder::default();
        let packet =
            Packet { index: 4, time: Timestamp::from_nanos(5), ..packet(LinkType::RAW, &ip) };
        let Decoded::Datagram(datagram) = decoder.push(&packet) else { panic!("no datagram") };
        let (src, dst) = if v6 { (SRC6.into(), DST6.into()) } else { (SRC4.into(), DST4.into()) };
        let header = datagram.header;
        assert_eq!((header.packet, header.time), (4, Timestamp::from_nanos(5)));
        assert_eq!(header.src, Endpoint::new(src, 50_000));
        assert_eq!(header.dst, Endpoint::new(dst, 53));
        assert_eq!((header.scope, header.payload_len), (Scope(0), 8));
        assert_eq!(datagram.payload, b"question");
    }
}

#[test]
fn lengths() {
    for (v6, len, expected) in [
        (false, 12, "udp 4 of 4"),
        (false, 8, "udp 0 of 0"),
        (false, 10, "udp 2 of 2"),
        (false, 13, "malformed-udp"),
        (false, 7, "malformed-udp"),
        (false, 0, "malformed-udp"),
        (true, 12, "udp 4 of 4"),
        (true, 0, "udp 4 of 4"),
        (true, 13, "malformed-udp"),
    ] {
        let mut datagram = udp(53, b"abcd");
        datagram[5] = len;
        let ip = if v6 { ipv6(17, &datagram) } else { ipv4(17, &datagram) };
        let padded = [&ip[..], &[0; 20]].concat();
        for bytes in [&ip, &padded] {
            assert_eq!(answer(&packet(LinkType::RAW, bytes)), expected, "{v6} {len}");
        }
    }
    let short = ipv4(17, &udp(53, b"")[..7]);
    assert_eq!(answer(&packet(LinkType::RAW, &short)), "malformed-udp");
}

#[test]
fn cut_datagrams() {
    let ip = ipv4(17, &udp(53, b"abcd"));
    let whole = packet(LinkType::RAW, &ip);
    for (cut, expected) in
        [(27, "truncated-udp"), (28, "udp 0 of 4"), (30, "udp 2 of 4"), (32, "udp 4 of 4")]
    {
        assert_eq!(answer(&Packet { bytes: &ip[..cut], ..whole }), expected);
    }
}

#[test]
fn fragments_become_one_datagram() {
    let datagram = udp(443, &[7; 3_000]);
    for v6 in [false, true] {
        let mut parts = fragments::fragments(v6, 9, &datagram, 1_024);
        for part in &mut parts {
            part[if v6 { 40 } else { 9 }] = 17;
        }
        let mut decoder = Decoder::default();
        for (at, part) in parts.iter().rev().enumerate() {
            match decoder.push(&packet(LinkType::RAW, part)) {
                Decoded::Datagram(datagram) => {
                    assert_eq!((at, datagram.payload), (2, &[7; 3_000][..]));
                    assert_eq!(datagram.header.dst.port, 443);
                }
                Decoded::Fragment => assert!(at < 2),
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(decoder.counters().datagrams_completed, 1);
        assert_eq!(decoder.counters().fragments_tiny, 0);
    }
}

/// A port makes no tunnel.
#[test]
fn what_is_on_the_port_of_a_tunnel_by_chance_is_a_datagram() {
    let inner = ethernet(0x0800, &ipv4(6, &tcp(false, &[], b"x")));
    let with = |header: &[u8]| [header, &inner].concat();
    let ip = |header: &[u8]| [header, &inner[14..]].concat();
    let cases: &[(u16, Vec<u8>)] = &[
        (4789, vec![]),
        (4789, vec![8, 0, 0, 0, 0, 0, 1]),
        (4789, with(&[0x00, 0, 0, 0, 0, 0, 1, 0])),
        (4789, with(&[0x08, 1, 0, 0, 0, 0, 1, 0])),
        (4789, with(&[0x08, 0, 0, 0, 0, 0, 1, 7])),
        (4789, with(&[0x48, 0, 0, 0, 0, 0, 1, 0])),
        (4789, with(&[0x88, 0x80, 0, 0, 0, 0, 1, 0])),
        (4790, with(&[0x04, 0, 0, 3, 0, 0, 1, 0])),
        (4790, with(&[0x1c, 0, 0, 3, 0, 0, 1, 0])),
        (6081, with(&[0x40, 0, 0x65, 0x58, 0, 0, 1, 0])),
        (6081, with(&[0, 1, 0x65, 0x58, 0, 0, 1, 0])),
        (6081, with(&[0, 0, 0x05, 0xdc, 0, 0, 1, 0])),
        (6081, with(&[0x3f, 0, 0x65, 0x58, 0, 0, 1, 0])),
        (2152, ip(&[0x30, 255, 0xff, 0xff, 0, 0, 0, 1])),
        (2152, ip(&[0x30, 254, 0, 0, 0, 0, 0, 1])),
        (2152, ip(&[0x20, 255, 0, 41, 0, 0, 0, 1])),
        (2152, ip(&[0x48, 255, 0, 41, 0, 0, 0, 1])),
        (3544, ip(&[])),
        (3544, vec![0x60; 60]),
        (3544, vec![0, 1, 255, 255, 0]),
        (3544, vec![0, 0, 1]),
        (4754, ip(&[0x40, 0, 8, 0])),
        (4754, ip(&[0, 1, 8, 0])),
        (4754, ip(&[0, 0, 1, 0])),
        (6635, ip(&[0, 0, 0, 64])),
        (6635, vec![0, 0, 1, 64, 0x45, 0, 0, 0]),
        (6635, vec![0, 0, 1, 64]),
        (6635, vec![0xff; 100]),
        (4500, [&[0; 4][..], &[9; 40]].concat()),
        (4500, vec![0xff]),
        (51820, vec![5; 64]),
        (1701, vec![0xc8, 2, 0, 12, 0, 1]),
        (53, with(&[8, 0, 0, 0, 0, 0, 1, 0])),
    ];
    for (port, payload) in cases {
        let len = payload.len();
        let frame = ipv4(17, &udp(*port, payload));
        let answer = answer(&packet(LinkType::RAW, &frame));
        assert_eq!(answer, format!("udp {len} of {len}"), "{port} {payload:02x?}");
    }
}

#[test]
fn tunnels_that_are_not_opened_keep_their_names() {
    let ip = ipv4(6, &tcp(false, &[], b"x"));
    let cases: &[(u16, Vec<u8>, &str)] = &[
        (1701, vec![0, 2, 0, 1, 0, 1, 0xff, 3], "l2tp"),
        (4500, vec![9; 40], "esp"),
        (51820, [&[4, 0, 0, 0][..], &[9; 60]].concat(), "wireguard"),
        // Nothing tells what is inside.
        (2152, [&[0x30, 255, 0, 14, 0, 0, 0, 1][..], &[2; 14]].concat(), "gtp"),
        (2152, vec![0x34, 255, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 0, 0, 0, 0], "malformed-gtp"),
        (4790, [&[0x0d, 0, 0, 1, 0, 0, 1, 0][..], &ip].concat(), "vxlan-gpe"),
        (4790, [&[0x0c, 0, 0, 9, 0, 0, 1, 0][..], &ip].concat(), "vxlan-gpe"),
        (4754, [&[0x00, 0, 0x12, 0x34][..], &ip].concat(), "unknown-ethertype"),
        (6081, [&[0, 0x80, 0x08, 0x06, 0, 0, 1, 0][..], &ip].concat(), "arp"),
    ];
    for (port, payload, name) in cases {
        let frame = ipv4(17, &udp(*port, payload));
        assert_eq!(&answer(&packet(LinkType::RAW, &frame)), name, "{payload:02x?}");
    }
    for (gre, name) in [
        (&[0x40, 0, 8, 0, 0, 0, 0, 0][..], "gre"),
        (&[0x08, 0, 8, 0, 0, 0, 0, 0][..], "gre"),
        (&[0, 2, 8, 0][..], "malformed-gre"),
        (&[0, 1, 8, 0][..], "malformed-gre"),
        (&[0x10, 1, 0x88, 0x0b, 0, 0, 0, 0][..], "malformed-pptp"),
        (&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1][..], "link-control"),
        (&[0x20, 1, 0x88, 0x0b, 0, 5, 0, 1, 0xff, 3, 0, 0xfd, 1][..], "pptp"),
        (&[0x20, 1, 0x88, 0x0b, 0, 5, 0, 1, 0xff, 3, 0xc0, 0x21, 1][..], "link-control"),
        (&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0][..], "malformed-erspan"),
        (
            &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            "malformed-erspan",
        ),
        (&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0][..], "erspan"),
    ] {
        assert_eq!(answer(&packet(LinkType::RAW, &ipv4(47, gre))), name, "{gre:02x?}");
    }
}

#[test]
fn headers_below_ip_that_are_not_right() {
    let ip = ipv4(6, &tcp(false, &[], b"x"));
    for (kind, header, name) in [
        (0x8864, &[0x12, 0, 0, 1, 0, 2, 0, 0x21][..], "malformed-pppoe"),
        (0x8864, &[0x11, 9, 0, 1, 0, 2, 0, 0x21][..], "malformed-pppoe"),
        (0x8864, &[0x11, 0, 0, 1, 0, 6, 0xc0, 0x21, 9, 1, 0, 4][..], "link-control"),
        (0x8864, &[0x11, 0, 0, 1, 0, 9, 0x00, 0xfd][..], "pppoe"),
        (0x8847, &[0, 0, 0x10, 0][..], "malformed-mpls"),
        (0x8847, &[0, 0, 0x11, 0, 0x10, 0, 0, 7, 1, 2, 3, 4][..], "link-control"),
        (0x8847, &[0, 0, 0x11, 0, 0x90, 0, 0, 7, 1, 2, 3, 4][..], "mpls"),
        (0x8847, &[0, 0, 0x11, 0, 0, 0, 0, 7, 1, 2, 3, 4][..], "mpls"),
        (0x894f, &[0x40, 2, 1, 3, 0, 0, 1, 0][..], "malformed-nsh"),
        (0x894f, &[0, 1, 1, 3, 0, 0, 1, 0][..], "malformed-nsh"),
        (0x894f, &[0, 2, 1, 9, 0, 0, 1, 0][..], "nsh"),
        (0x8909, &[1, 2, 0, 1, 0, 1, 8, 0][..], "cisco-metadata"),
    ] {
        let is_ip = name == "pppoe" || name == "nsh" || name == "cisco-metadata";
        let tail = if is_ip { &ip[..] } else { &[] };
        let frame = ethernet(kind, &[header, tail].concat());
        assert_eq!(answer(&packet(LinkType::ETHERNET, &frame)), name, "{header:02x?}");
    }
}

/// Frames behind labels whose first address begins as an IP packet or a control word does.
#[test]
fn labels_before_frames_of_any_address() {
    for v6 in [false, true] {
        let ip = if v6 { ipv6_frame(b"x") } else { ipv4_frame(b"x") };
        for first in [0x00, 0x02, 0x10, 0x45, 0x60, 0x98, 0xf0] {
            for word in [&[][..], &[0; 4]] {
                let mut inner = ip.clone();
                inner[0] = first;
                let frame = ethernet(0x8847, &[&[0, 1, 0x11, 64][..], word, &inner].concat());
                assert_eq!(answer(&packet(LinkType::ETHERNET, &frame)), "tcp", "{first:02x}");
            }
        }
    }
}
