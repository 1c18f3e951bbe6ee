use super::*;
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use proptest::prelude::*;

const LINKS: [u16; 13] = [0, 1, 12, 14, 101, 105, 108, 113, 127, 228, 229, 276, 65_535];

/// Ethertypes and protocols that lead deep, in front of arbitrary bytes.
fn seeded_frame() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(ethernet(0x0800, &[])),
        Just(ethernet(0x86dd, &[])),
        Just(ethernet(0x8100, &[0, 1, 8, 0])),
        Just(ethernet(0x0800, &ipv4(6, &[])[..9])),
        Just(ethernet(0x86dd, &ipv6(6, &[])[..7])),
        Just(ethernet(0x86dd, &ipv6(44, &[])[..7])),
        Just(ethernet(0x86dd, &ipv6(43, &[])[..7])),
        Just(ipv4_frame(b"data")),
        Just(ipv6_frame(b"data")),
        Just(vec![]),
    ];
    (head, proptest::collection::vec(any::<u8>(), 0..120), any::<Option<(u8, u8)>>()).prop_map(
        |(mut head, tail, change)| {
            head.extend(tail);
            if let Some((at, value)) = change
                && let Some(byte) = head.get_mut(usize::from(at))
            {
                *byte = value;
            }
            head
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(
        frames in proptest::collection::vec(
            (0..LINKS.len(), seeded_frame(), any::<u32>(), any::<i64>()), 1..6),
    ) {
        let mut decoder = Decoder::default();
        for (link, bytes, wire_len, nanos) in &frames {
            let decoded = decoder.push(&Packet {
                index: 0,
                time: Timestamp::from_nanos(*nanos),
                link: LinkType(LINKS[*link]),
                bytes,
                wire_len: *wire_len,
            });
            if let Decoded::Segment(segment) = decoded {
                prop_assert!(segment.payload.len() <= segment.header.payload_len as usize);
                let complete = segment.payload.len() == segment.header.payload_len as usize;
                prop_assert!(complete || !segment.header.checksum.complete);
            }
        }
    }

    #[test]
    fn fuzz_entry_point_never_panics(data: Vec<u8>) {
        fuzz(&data);
    }

    #[test]
    fn built_packets_are_read_as_etherparse_reads_them(
        (v6, vlan) in any::<(bool, Option<u8>)>(),
        payload: Vec<u8>,
        (seq, window) in any::<(u32, u16)>(),
    ) {
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let tag = |vlan: u8| etherparse::VlanId::try_new(u16::from(vlan)).unwrap();
        let step = match (vlan, v6) {
            (None, false) => link.ipv4(SRC4, DST4, 9),
            (None, true) => link.ipv6(SRC6, DST6, 9),
            (Some(vlan), false) => link.single_vlan(tag(vlan)).ipv4(SRC4, DST4, 9),
            (Some(vlan), true) => link.single_vlan(tag(vlan)).ipv6(SRC6, DST6, 9),
        };
        let mut frame = Vec::new();
        step.tcp(1, 2, seq, window).write(&mut frame, &payload).unwrap();
        let mut decoder = Decoder::default();
        let Decoded::Segment(segment) = decoder.push(&packet(LinkType::ETHERNET, &frame)) else {
            panic!("no segment")
        };
        let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("no TCP") };
        prop_assert_eq!(segment.header.seq, tcp.sequence_number());
        prop_assert_eq!(segment.header.window, tcp.window_size());
        prop_assert_eq!(segment.payload, tcp.payload());
        prop_assert_eq!(segment.header.scope, Scope(vlan.unwrap_or(0).into()));
        prop_assert_eq!(segment.checksum(), Checksum::Good);
    }

    #[test]
    fn what_etherparse_reads_of_arbitrary_frames_is_read_alike(frame in seeded_frame()) {
        let mut decoder = Decoder::default();
        let decoded = decoder.push(&packet(LinkType::ETHERNET, &frame));
        if let Ok(sliced) = SlicedPacket::from_ethernet(&frame)
            && let Some(TransportSlice::Tcp(tcp)) = sliced.transport
        {
            match decoded {
                Decoded::Segment(segment) => {
                    prop_assert_eq!(segment.payload, tcp.payload());
                    prop_assert_eq!(segment.header.src.port, tcp.source_port());
                }
                decoded => prop_assert!(
                    matches!(decoded, Decoded::Skipped(Skip::BadIpChecksum)), "{:?}", decoded),
            }
        }
    }

    /// The oracle is the datagram itself.
    #[test]
    fn permuted_and_repeated_fragments_give_the_plain_datagram(
        v6: bool,
        payload in proptest::collection::vec(any::<u8>(), 1..600),
        size in 1_usize..10,
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..200),
    ) {
        let segment = tcp(v6, &[], &payload);
        let parts = fragments::fragments(v6, 7, &segment, size * 8);
        prop_assume!(parts.len() > 1);
        let mut order: Vec<usize> = picks.iter().map(|pick| pick.index(parts.len())).collect();
        order.extend(0..parts.len());
        let (mut decoder, mut seen) = (Decoder::default(), vec![false; parts.len()]);
        for at in order {
            let was_complete = seen.iter().all(|&seen| seen);
            seen[at] = true;
            let complete = !was_complete && seen.iter().all(|&seen| seen);
            match decoder.push(&packet(LinkType::RAW, &parts[at])) {
                Decoded::Segment(segment) => {
                    prop_assert!(complete);
                    prop_assert_eq!(segment.payload, &payload[..]);
                    prop_assert_eq!(segment.checksum(), Checksum::Good);
                }
                Decoded::Datagram(_) => prop_assert!(false, "UDP"),
                Decoded::Fragment => prop_assert!(!complete),
                Decoded::Skipped(skip) => prop_assert!(false, "{}", skip.name()),
            }
        }
        prop_assert_eq!(decoder.counters().datagrams_completed, 1);
        prop_assert_eq!(decoder.counters().fragments_stored, parts.len() as u64);
    }

    /// Overlapping IPv4 fragments with different bytes: each byte is the first copy's.
    #[test]
    fn of_overlapping_ipv4_fragments_the_first_copy_wins(
        pieces in proptest::collection::vec((0_usize..12, 1_usize..6, any::<u8>()), 1..20),
    ) {
        let len = 20 + 108;
        let mut expected = vec![None; len];
        let mut frames: Vec<(usize, bool, Vec<u8>)> = pieces.iter().map(|&(at, size, fill)| {
            (24 + at * 8, true, vec![fill; size * 8])
        }).filter(|(at, _, bytes)| at + bytes.len() <= len).collect();
        frames.push((0, true, tcp(false, &[], &[0xee; 4])));
        frames.push((24, false, vec![0x55; len - 24]));
        let mut decoder = Decoder::default();
        for (at, more, bytes) in frames {
            for (slot, byte) in expected[at..].iter_mut().zip(&bytes) {
                slot.get_or_insert(*byte);
            }
            let frame = fragments::fragment(false, 1, at, more, &bytes);
            if let Decoded::Segment(segment) = decoder.push(&packet(LinkType::RAW, &frame)) {
                let expected: Vec<u8> = expected[20..].iter().map(|slot| slot.unwrap()).collect();
                prop_assert_eq!(segment.payload, &expected[..]);
            }
        }
        prop_assert_eq!(decoder.counters().datagrams_completed, 1);
    }
}
