//! Link layers, IP in both versions, fragments, and capture formats.

use super::builder::{Client, File, Link, Talk, Timed, fragments, ipv6, seal_ipv4};
use super::seen::{SERVER, look};
use super::text::{answer, call, calls, say_calls};

const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const QINQ_OLD: u16 = 0x9100;

fn over_ipv6() -> Talk {
    let mut talk = Talk::between("[fd00::2]:40000", "[fd00::3]:8080");
    talk.handshake();
    say_calls(&mut talk, 3);
    talk
}

/// p36, p30: the same three calls under every link layer, in both IP versions.
#[test]
fn link_types() {
    let tags = |tags: &[(u16, u16)]| Link::Ethernet(tags.to_vec());
    for link in [
        tags(&[]),
        tags(&[(VLAN, 7)]),
        tags(&[(VLAN, 0x6007)]),
        tags(&[(QINQ, 5), (VLAN, 7)]),
        tags(&[(VLAN, 5), (VLAN, 7)]),
        tags(&[(QINQ, 4), (QINQ_OLD, 5), (VLAN, 7)]),
        Link::Sll,
        Link::Sll2,
        Link::Raw,
        Link::Null,
        Link::Loop,
    ] {
        for talk in [calls(3), over_ipv6()] {
            look(&File::of(link.clone(), talk.packets())).assert_clean(&format!("{link:?}"), 3);
        }
    }
    look(&File::of(Link::Ipv4, calls(3).packets())).assert_clean("IPv4", 3);
    look(&File::of(Link::Ipv6, over_ipv6().packets())).assert_clean("IPv6", 3);
}

/// R23: a tower of tags is not climbed, and counted.
#[test]
fn too_many_tags() {
    let seen = look(&File::of(Link::Ethernet(vec![(VLAN, 9); 60]), calls(1).packets()));
    seen.assert_no_mcp("tower");
    assert_eq!(seen.counter("decode.skipped.vlan-bound"), 9);
    assert!(seen.coverage("undecodable_packets") + seen.coverage("malformed_packets") > 0);
}

/// An unknown link layer is said, not passed over.
#[test]
fn unknown_link_type() {
    let mut bytes = calls(1).file().bytes();
    bytes[20..24].copy_from_slice(&147_u32.to_le_bytes());
    let seen = super::seen::replay(&bytes, &[]);
    seen.assert_no_mcp("user link type");
    assert_eq!(seen.coverage("undecodable_packets"), 9);
}

/// p34 and its relatives: byte orders, resolutions and both formats say the same, times included.
#[test]
fn formats() {
    let mut first: Option<Vec<String>> = None;
    for (big_endian, nanos, pcapng) in (0..8).map(|n| (n & 1 != 0, n & 2 != 0, n & 4 != 0)) {
        let what = format!("big endian {big_endian}, nanoseconds {nanos}, pcapng {pcapng}");
        for link in [Link::Ethernet(Vec::new()), Link::Null] {
            let mut file = calls(3).file();
            (file.big_endian, file.nanos, file.pcapng) = (big_endian, nanos, pcapng);
            if matches!(link, Link::Null) {
                let frame =
                    |ip: Timed| Timed { at: ip.at, bytes: link.frame(&ip.bytes, big_endian) };
                file.frames = calls(3).packets().into_iter().map(frame).collect();
                file.link = link;
            }
            let seen = look(&file);
            seen.assert_clean(&what, 3);
            let times = seen.events.iter().filter(|event| event["event_type"] == "message");
            let times =
                times.map(|event| event["@timestamp"].as_str().unwrap().to_owned()).collect();
            assert_eq!(first.get_or_insert_with(|| Vec::clone(&times)), &times, "{what}");
        }
    }
    assert!(first.unwrap()[0].starts_with("2026-11-16T08:00:00.003"));
}

/// R21: one five-tuple in two VLANs is two connections; as one, it would be a mess.
#[test]
fn one_tuple_in_two_vlans() {
    let mut frames = Vec::new();
    for vlan in [5, 6] {
        let mut talk = calls(3);
        // Not the same numbers: taken for one connection, they would contradict each other.
        for segment in &mut talk.segments {
            segment.payload = String::from_utf8(segment.payload.clone())
                .unwrap()
                .replace("echo", if vlan == 5 { "echo" } else { "look" })
                .into_bytes();
            segment.at += i64::from(vlan) * 100;
        }
        let link = Link::Ethernet(vec![(VLAN, vlan)]);
        frames.extend(File::of(link, talk.packets()).frames);
    }
    frames.sort_by_key(|frame| frame.at);
    let file = File { frames, ..calls(1).file() };
    let seen = look(&file);
    seen.assert_clean("two VLANs", 6);
    assert_eq!(seen.coverage("flows"), 2);
    let tools = &seen.server()["tools_called"];
    assert_eq!((&tools["echo"], &tools["look"]), (&3.into(), &3.into()));
}

/// R21: tags that differ by direction are one connection when told so.
#[test]
fn directions_in_two_vlans() {
    let talk = calls(3);
    let mut file = talk.file();
    for (segment, frame) in talk.segments.iter().zip(&mut file.frames) {
        let vlan = if segment.side == Client { 5 } else { 6 };
        let ip = frame.bytes[14..].to_vec();
        frame.bytes = Link::Ethernet(vec![(VLAN, vlan)]).frame(&ip, false);
    }
    let seen = super::seen::replay(&file.bytes(), &["--ignore-vlan"]);
    seen.assert_clean("asymmetric tags", 3);
    let apart = look(&file);
    assert_eq!(apart.count("> tools/call"), 3);
    assert_eq!(apart.servers(), [SERVER]);
}

/// p31: IPv6 extension headers of every kind that TCP may follow.
#[test]
fn ipv6_extension_headers() {
    const HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    let chains: [&[(u8, &[u8])]; 4] = [
        &[(HOP, &[1, 4, 0, 0, 0, 0])],
        &[(DESTINATION, &[1, 4, 0, 0, 0, 0])],
        &[
            (HOP, &[1, 4, 0, 0, 0, 0]),
            (DESTINATION, &[1, 12, 0, 0, 0, 0, 0, 0]),
            (ROUTING, &[4, 0, 0, 0, 0, 0]),
        ],
        &[(DESTINATION, &[1; 38])],
    ];
    for chain in chains {
        let talk = over_ipv6();
        let packets = talk.packets().into_iter().zip(&talk.segments).map(|(packet, segment)| {
            let (src, dst) = talk.both(segment);
            let bytes = ipv6(src.ip(), dst.ip(), chain, &packet.bytes[40..]);
            Timed { bytes, ..packet }
        });
        let file = File::of(Link::Ethernet(Vec::new()), packets.collect());
        look(&file).assert_clean(&format!("{} headers", chain.len()), 3);
    }
}

/// R22, p32: fragments of both families, in order, reversed, twice, and mixed with another.
#[test]
fn ip_fragments() {
    for talk in [calls(3), over_ipv6()] {
        for size in [24, 64, 128] {
            for order in ["in order", "reversed", "twice", "rotated"] {
                let mut packets = Vec::new();
                for (id, packet) in (1..).zip(talk.packets()) {
                    let mut pieces = fragments(&packet, id, size);
                    match order {
                        "reversed" => pieces.reverse(),
                        "twice" => {
                            pieces = pieces.iter().flat_map(|p| [p.clone(), p.clone()]).collect()
                        }
                        "rotated" => pieces.rotate_left(1),
                        _ => {}
                    }
                    packets.extend(pieces);
                }
                let seen = look(&File::of(Link::Raw, packets));
                seen.assert_clean(&format!("{size} bytes {order}"), 3);
                assert_eq!(seen.coverage("lost_fragments"), 0);
            }
        }
    }
}

/// R22: a datagram of which a fragment is missing is counted, and leaves a hole in the stream.
#[test]
fn a_lost_fragment() {
    let mut packets = Vec::new();
    for (id, packet) in (1..).zip(calls(3).packets()) {
        let mut pieces = fragments(&packet, id, 128);
        if id == 5 {
            pieces.remove(1);
        }
        packets.extend(pieces);
    }
    let seen = look(&File::of(Link::Raw, packets));
    assert_eq!(seen.count("> tools/call"), 3);
    assert_eq!(seen.coverage("lost_fragments"), 1);
    assert_eq!(seen.coverage("gap_bytes"), answer(1).len() as u64);
}

/// R22: fragments of different datagrams with one id but other protocols or families never pair.
#[test]
fn fragments_of_two_datagrams() {
    let talk = calls(1);
    let mut packets = Vec::new();
    for (index, packet) in talk.packets().into_iter().enumerate() {
        if index != 3 {
            packets.push(packet);
            continue;
        }
        let pieces = fragments(&packet, 77, 64);
        for piece in pieces {
            let mut udp = piece.clone();
            udp.bytes[9] = 17;
            udp.bytes[20..].fill(b'!');
            seal_ipv4(&mut udp.bytes);
            packets.extend([udp, piece]);
        }
    }
    let seen = look(&File::of(Link::Raw, packets));
    seen.assert_calls("twins", 1);
    assert_eq!(seen.coverage("gaps"), 0);
}

/// R9: a bad IPv4 header checksum is no packet; the data comes again.
#[test]
fn bad_ip_checksum() {
    let talk = calls(3);
    let mut packets = talk.packets();
    let mut junk = packets[3].clone();
    let len = junk.bytes.len();
    junk.bytes[len - 40..].fill(b'#');
    junk.bytes[10] ^= 0x55;
    packets.insert(3, junk);
    let seen = look(&File::of(Link::Raw, packets));
    seen.assert_calls("junk", 3);
    assert_eq!(seen.counter("decode.skipped.bad-ip-checksum"), 1);
}

/// Padding of short Ethernet frames is no payload.
#[test]
fn padded_frames() {
    let mut talk = Talk::new();
    talk.mss = 4;
    talk.handshake();
    talk.exchange(call(1), answer(1));
    talk.close();
    let mut file = talk.file();
    for frame in &mut file.frames {
        let len = frame.bytes.len().max(60) + 4;
        frame.bytes.resize(len, 0xee);
    }
    look(&file).assert_clean("padding", 1);
}
