use super::*;

/// Cuts a transport payload into fragments of `size` bytes, a multiple of 8.
pub(super) fn fragments(v6: bool, id: u16, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size);
    let pieces = payload.chunks(size).enumerate();
    pieces.map(|(at, piece)| fragment(v6, id, at * size, at + 1 < count, piece)).collect()
}

pub(super) fn fragment(v6: bool, id: u16, offset: usize, more: bool, piece: &[u8]) -> Vec<u8> {
    let place = u16::try_from(offset).unwrap();
    if v6 {
        let mut header = [6, 0, 0, 0, 0, 0, 0, 0];
        header[2..4].copy_from_slice(&(place | u16::from(more)).to_be_bytes());
        header[6..8].copy_from_slice(&id.to_be_bytes());
        return ipv6(44, &[&header[..], piece].concat());
    }
    let mut bytes = ipv4(6, piece);
    bytes[4..6].copy_from_slice(&id.to_be_bytes());
    bytes[6..8].copy_from_slice(&((place / 8) | (u16::from(more) << 13)).to_be_bytes());
    bytes[10..12].fill(0);
    bytes
}

/// Pushes frames a second apart; the answers' names, or the payload of a segment.
fn push_all(decoder: &mut Decoder, frames: &[Vec<u8>]) -> Vec<String> {
    let mut answers = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        answers.push(push(decoder, i64::try_from(index).unwrap(), frame));
    }
    answers
}

fn push(decoder: &mut Decoder, seconds: i64, frame: &[u8]) -> String {
    let time = Timestamp::from_parts(seconds, 0);
    match decoder.push(&Packet { time, ..packet(LinkType::RAW, frame) }) {
        Decoded::Segment(segment) => {
            assert_eq!(segment.checksum(), Checksum::Good);
            String::from_utf8_lossy(segment.payload).into_owned()
        }
        Decoded::Datagram(_) => "udp".into(),
        Decoded::Fragment => "-".into(),
        Decoded::Skipped(skip) => skip.name().into(),
    }
}

const TEXT: &[u8] = b"the quick brown fox jumps over the lazy dog";

#[test]
fn any_order_of_three_gives_the_datagram_at_the_last_one() {
    for v6 in [false, true] {
        let parts = fragments(v6, 1, &tcp(v6, &[], TEXT), 24);
        assert_eq!(parts.len(), 3);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut decoder = Decoder::default();
            let frames = order.map(|at| parts[at].clone());
            let text = String::from_utf8_lossy(TEXT);
            assert_eq!(push_all(&mut decoder, &frames), ["-", "-", &text], "{v6} {order:?}");
            let counters = decoder.counters();
            assert_eq!((counters.fragments_stored, counters.datagrams_completed), (3, 1));
            assert!(counters.anomalies().iter().all(|(_, count)| *count == 0));
        }
    }
}

#[test]
fn header_of_a_datagram_comes_from_the_packet_that_completes_it() {
    let parts = fragments(false, 1, &tcp(false, &[], TEXT), 32);
    let mut decoder = Decoder::default();
    for (index, part) in parts.iter().enumerate() {
        let index = u64::try_from(index).unwrap();
        let decoded = decoder.push(&Packet { index, ..packet(LinkType::RAW, part) });
        if let Decoded::Segment(segment) = decoded {
            assert_eq!(segment.header.packet, 1);
            assert_eq!(segment.header.payload_len as usize, TEXT.len());
            assert_eq!((segment.header.src.port, segment.header.dst.port), (40_000, 80));
        }
    }
    assert_eq!(decoder.counters().datagrams_completed, 1);
}

#[test]
fn packets_captured_twice_leave_nothing_behind() {
    for v6 in [false, true] {
        let [a, b] = fragments(v6, 1, &tcp(v6, &[], TEXT), 32).try_into().unwrap();
        let text = &*String::from_utf8_lossy(TEXT);
        for (frames, answers) in
            [([&a, &a, &b, &b], ["-", "-", text, "-"]), ([&a, &b, &a, &b], ["-", text, "-", "-"])]
        {
            let mut decoder = Decoder::default();
            assert_eq!(push_all(&mut decoder, &frames.map(Vec::clone)), answers);
            decoder.finish();
            let counters = decoder.counters();
            assert_eq!((counters.fragments_duplicate, counters.datagrams_expired), (2, 0));
        }
    }
}

#[test]
fn ipv4_overlap_keeps_the_first_copy_and_counts_a_difference() {
    let segment = tcp(false, &[], TEXT);
    let parts = fragments(false, 1, &segment, 32);
    // Bytes 16 to 48, the first half right and the other half not.
    let mut other = segment[16..48].to_vec();
    other[16..].fill(b'?');
    let overlap = fragment(false, 1, 16, true, &other);
    let text = &*String::from_utf8_lossy(TEXT);

    let mut decoder = Decoder::default();
    let frames = [parts[1].clone(), overlap.clone(), parts[0].clone()];
    assert_eq!(push_all(&mut decoder, &frames), ["-", "-", text]);
    assert_eq!(decoder.counters().fragments_conflicting, 1);

    let consistent = fragment(false, 1, 16, true, &segment[16..48]);
    let mut decoder = Decoder::default();
    let frames = [parts[1].clone(), consistent, parts[0].clone()];
    assert_eq!(push_all(&mut decoder, &frames), ["-", "-", text]);
    assert_eq!(decoder.counters().fragments_conflicting, 0);
}

#[test]
fn an_ipv4_fragment_covering_smaller_ones_fills_the_holes_between() {
    let segment = tcp(false, &[], TEXT);
    let frames = [
        fragment(false, 1, 8, true, &segment[8..16]),
        fragment(false, 1, 24, true, &segment[24..32]),
        fragment(false, 1, 48, false, &segment[48..]),
        fragment(false, 1, 0, true, &segment[..48]),
    ];
    let mut decoder = Decoder::default();
    assert_eq!(push_all(&mut decoder, &frames)[3], String::from_utf8_lossy(TEXT));
}

#[test]
fn ipv6_overlap_drops_the_datagram_and_what_follows_of_it() {
    let segment = tcp(true, &[], TEXT);
    let parts = fragments(true, 1, &segment, 32);
    let overlap = fragment(true, 1, 16, true, &segment[16..48]);
    let frames = [parts[0].clone(), overlap, parts[1].clone()];
    let mut decoder = Decoder::default();
    let answers = push_all(&mut decoder, &frames);
    assert_eq!(answers, ["-", "fragment-overlap", "fragment-overlap"]);
    decoder.finish();
    let counters = decoder.counters();
    assert_eq!((counters.datagrams_overlapping, counters.datagrams_expired), (1, 0));
}

#[test]
fn fragments_beyond_the_end_conflict() {
    for (v6, answer) in [(false, "fragment-conflict"), (true, "fragment-overlap")] {
        let segment = tcp(v6, &[], TEXT);
        let end = segment.len();
        for (offset, more, len) in [(64, true, 8), (64, false, 3), (32, false, 8)] {
            let last = fragment(v6, 1, 32, false, &segment[32..end]);
            let frames = [last, fragment(v6, 1, offset, more, &vec![0; len])];
            let mut decoder = Decoder::default();
            assert_eq!(push_all(&mut decoder, &frames), ["-", answer], "{offset} {len}");
            assert_eq!(decoder.counters().fragments_conflicting, 1);
        }
        let early = [fragment(v6, 1, 32, true, &[0; 8]), fragment(v6, 1, 16, false, &[0; 8])];
        assert_eq!(push_all(&mut Decoder::default(), &early), ["-", answer]);
    }
}

#[test]
fn a_repeat_that_is_marked_last_completes_the_datagram() {
    let segment = tcp(false, &[], &TEXT[..28]);
    let frames =
        [fragment(false, 1, 0, true, &segment), fragment(false, 1, 24, false, &segment[24..])];
    let answers = push_all(&mut Decoder::default(), &frames);
    assert_eq!(answers, ["-", &*String::from_utf8_lossy(&TEXT[..28])]);
}

#[test]
fn datagrams_are_told_apart_by_every_part_of_the_key() {
    let (v4, v6) = (tcp(false, &[], TEXT), tcp(true, &[], TEXT));
    let first = fragment(false, 1, 0, true, &v4[..32]);
    let mut other_source = fragment(false, 1, 32, false, &v4[32..]);
    other_source[15] = 9;
    for second in [
        fragment(false, 2, 32, false, &v4[32..]),
        fragment(true, 1, 32, false, &v6[32..]),
        other_source,
    ] {
        let mut decoder = Decoder::default();
        assert_eq!(push_all(&mut decoder, &[first.clone(), second]), ["-", "-"]);
        decoder.finish();
        assert_eq!(decoder.counters().datagrams_expired, 2);
    }
}

#[test]
fn vlans_keep_fragments_apart() {
    let parts = fragments(false, 1, &tcp(false, &[], TEXT), 32);
    let tagged = |vlan: u8, part: &[u8]| ethernet(0x8100, &[&[0, vlan, 8, 0][..], part].concat());
    for (vlan_scope, completed) in [(true, 0), (false, 1)] {
        let mut decoder = Decoder::default().with_vlan_scope(vlan_scope);
        for (vlan, part) in [(1, &parts[0]), (2, &parts[1])] {
            decoder.push(&packet(LinkType::ETHERNET, &tagged(vlan, part)));
        }
        assert_eq!(decoder.counters().datagrams_completed, completed);
    }
}

#[test]
fn incomplete_datagrams_expire_by_packet_time() {
    let parts = fragments(false, 1, &tcp(false, &[], TEXT), 32);
    for (gap, completed) in [(30, 1), (31, 0)] {
        let mut decoder = Decoder::default();
        push(&mut decoder, 100, &parts[0]);
        push(&mut decoder, 100 + gap, &parts[1]);
        let counters = decoder.counters();
        assert_eq!(
            (counters.datagrams_completed, counters.datagrams_expired),
            (completed, 1 - completed)
        );
    }
}

#[test]
fn a_datagram_from_the_future_ages_from_the_step_back_on() {
    let parts = fragments(false, 1, &tcp(false, &[], TEXT), 32);
    let later = fragment(false, 2, 0, true, &[0; 8]);
    let mut decoder = Decoder::default();
    push(&mut decoder, 1_000_000, &parts[0]);
    push(&mut decoder, 10, &later);
    assert_eq!(decoder.counters().datagrams_expired, 0);
    push(&mut decoder, 41, &later);
    assert_eq!(decoder.counters().datagrams_expired, 2);
}

#[test]
fn the_oldest_datagram_goes_at_the_bound_on_their_number() {
    let limits = Limits { max_fragmented_datagrams: 2, ..Limits::default() };
    let mut decoder = Decoder::new(limits);
    let segment = tcp(false, &[], TEXT);
    for id in 1..=3 {
        push(&mut decoder, 0, &fragment(false, id, 0, true, &segment[..32]));
    }
    assert_eq!(decoder.counters().datagrams_evicted, 1);
    let ends = [3, 2].map(|id| fragment(false, id, 32, false, &segment[32..]));
    assert!(push_all(&mut decoder, &ends).iter().all(|answer| answer.starts_with("the quick")));
    let none = Limits { max_fragmented_datagrams: 0, ..Limits::default() };
    let first = [fragment(false, 1, 0, true, &segment[..32])];
    assert_eq!(push_all(&mut Decoder::new(none), &first), ["fragment-bound"]);
}

#[test]
fn buffers_stay_within_the_bound_on_bytes() {
    let limits = Limits { max_fragment_bytes: 100_000, ..Limits::default() };
    let mut decoder = Decoder::new(limits);
    for id in 0..10 {
        assert_eq!(push(&mut decoder, 0, &fragment(false, id, 48_000, true, &[0; 8])), "-");
    }
    assert_eq!(decoder.counters().datagrams_evicted, 8);
    let mut decoder = Decoder::new(Limits { max_fragment_bytes: 40_000, ..Limits::default() });
    let far = fragment(false, 1, 48_000, true, &[0; 8]);
    assert_eq!(push(&mut decoder, 0, &far), "fragment-bound");
    assert_eq!(decoder.counters().datagrams_evicted, 1);
}

#[test]
fn a_datagram_with_too_many_holes_is_dropped() {
    let mut decoder = Decoder::new(Limits { max_datagram_holes: 3, ..Limits::default() });
    let frames = [1, 3, 5, 7].map(|at| fragment(false, 1, at * 16, true, &[0; 8]));
    assert_eq!(push_all(&mut decoder, &frames), ["-", "-", "-", "fragment-bound"]);
    assert_eq!(decoder.counters().datagrams_evicted, 1);
}

#[test]
fn malformed_and_cut_fragments_are_not_stored() {
    for v6 in [false, true] {
        for bytes in [
            fragment(v6, 1, 0, true, &[0; 9]),
            fragment(v6, 1, 8, true, &[]),
            fragment(v6, 1, 65_528, false, &[0; 8]),
        ] {
            let answers = push_all(&mut Decoder::default(), &[bytes]);
            assert_eq!(answers, ["malformed-fragment"]);
        }
        let whole = fragment(v6, 1, 0, true, &[0; 16]);
        let mut decoder = Decoder::default();
        let cut = push_all(&mut decoder, &[whole[..whole.len() - 1].to_vec()]);
        assert_eq!(
            (cut[0].as_str(), decoder.counters().fragments_stored),
            ("truncated-fragment", 0)
        );
    }
}

#[test]
fn tiny_first_fragments_are_counted_and_read() {
    for v6 in [false, true] {
        let parts = fragments(v6, 1, &tcp(v6, &[], TEXT), 8);
        let mut decoder = Decoder::default();
        let answers = push_all(&mut decoder, &parts);
        assert_eq!(answers.last().unwrap(), &*String::from_utf8_lossy(TEXT));
        assert_eq!(decoder.counters().fragments_tiny, 1);
    }
}

#[test]
fn fragments_of_protocols_that_are_not_read_are_not_stored() {
    for (protocol, name) in [(1, "icmp"), (50, "esp"), (132, "unknown-ip-protocol")] {
        let mut first = fragment(false, 1, 0, true, &[0; 8]);
        let mut later = fragment(false, 1, 8, false, &[0; 8]);
        (first[9], later[9]) = (protocol, protocol);
        let mut decoder = Decoder::default();
        assert_eq!(push_all(&mut decoder, &[first, later]), [name, name]);
        assert_eq!(decoder.counters().fragments_stored, 0);
    }
}

#[test]
fn ipv6_takes_the_protocol_of_the_first_fragment_and_walks_on() {
    // A destination options header inside the fragmented part, in fragments of their own.
    let body = [vec![6, 0, 1, 4, 0, 0, 0, 0], tcp(true, &[], TEXT)].concat();
    let mut parts = fragments(true, 1, &body, 24);
    parts[0][40] = 60;
    parts[1][40] = 17;
    let text = &*String::from_utf8_lossy(TEXT);
    assert_eq!(push_all(&mut Decoder::default(), &parts), ["-", "-", text]);
    // A fragment header inside.
    let inner = [vec![6, 0, 0, 1, 0, 0, 0, 0], vec![0; 16]].concat();
    let mut nested = fragments(true, 1, &inner, 16);
    nested[0][40] = 44;
    assert_eq!(push_all(&mut Decoder::default(), &nested), ["-", "malformed-fragment"]);
}
