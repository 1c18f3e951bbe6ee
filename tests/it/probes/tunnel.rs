//! Tunnels: encapsulations of every kind, the same addresses in several, towers, cuts, fragments.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::builder::{Client, File, Link, Talk, Timed, fragments, ipv4, ipv6};
use super::seen::{Seen, look, replay};
use super::text::{call, calls, say_calls};

const OUTER: [&str; 2] = ["192.0.2.8", "192.0.2.9"];
const OUTER6: [&str; 2] = ["2001:db8::8", "2001:db8::9"];

/// Something in IPv4 between the outer addresses, there or back.
fn outer(protocol: u8, payload: &[u8], back: bool) -> Vec<u8> {
    let [from, to] = ends(OUTER, back);
    ipv4(from, to, protocol, payload)
}

fn ends(addresses: [&str; 2], back: bool) -> [IpAddr; 2] {
    let mut ends = addresses.map(|address| address.parse().unwrap());
    if back {
        ends.reverse();
    }
    ends
}

fn outer6(protocol: u8, payload: &[u8], back: bool) -> Vec<u8> {
    let [from, to] = ends(OUTER6, back);
    let mut ip = ipv6(from, to, &[], payload);
    ip[6] = protocol;
    ip
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 8).unwrap();
    [&49_999_u16.to_be_bytes(), &port.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

fn vxlan(vni: u8, frame: &[u8], back: bool) -> Vec<u8> {
    outer(17, &udp(4789, &[&[8, 0, 0, 0, 0, 0, vni, 0], frame].concat()), back)
}

fn gre(header: &[u8], payload: &[u8], back: bool) -> Vec<u8> {
    outer(47, &[header, payload].concat(), back)
}

/// An Ethernet frame around an IP packet.
fn frame(ip: &[u8]) -> Vec<u8> {
    Link::Ethernet(Vec::new()).frame(ip, false)
}

/// A frame of another ethertype.
fn typed(kind: u16, bytes: &[&[u8]]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 4][..], &kind.to_be_bytes(), &bytes.concat()].concat()
}

/// Packets of a talk, each put into something, there and back. `put` makes a frame.
fn wrapped(talk: &Talk, put: impl Fn(&[u8], bool) -> Vec<u8>) -> File {
    let frames = talk.packets().into_iter().zip(&talk.segments).map(|(packet, segment)| {
        let bytes = put(&packet.bytes, segment.side != Client);
        Timed { bytes, ..packet }
    });
    File { frames: frames.collect(), ..talk.file() }
}

type Put = fn(&[u8], bool) -> Vec<u8>;

/// Name, the layer that findings tell of it (without outer addresses), and how it is made.
fn encapsulations() -> Vec<(&'static str, Value, Put)> {
    let mut all: Vec<(&'static str, Value, Put)> = vec![
        ("vlan", json!({"kind": "vlan", "id": 7}), |ip, _| {
            Link::Ethernet(vec![(0x8100, 7)]).frame(ip, false)
        }),
        ("mpls", Value::Null, |ip, _| typed(0x8847, &[&[0, 1, 0, 64, 0, 2, 1, 64], ip])),
        ("mpls pseudowire", Value::Null, |ip, _| typed(0x8847, &[&[0, 2, 1, 64], &frame(ip)])),
        ("mpls control word", Value::Null, |ip, _| {
            typed(0x8847, &[&[0, 2, 1, 64, 0, 0, 0, 0], &frame(ip)])
        }),
        ("pppoe", json!({"kind": "pppoe", "id": 9}), |ip, _| {
            let len = u16::try_from(ip.len() + 2).unwrap().to_be_bytes();
            typed(0x8864, &[&[0x11, 0, 0, 9], &len, &[0, 0x21], ip])
        }),
        ("pbb", json!({"kind": "pbb", "id": 5}), |ip, _| {
            typed(0x88e7, &[&[0, 0, 0, 5], &frame(ip)])
        }),
        ("vn-tag", Value::Null, |ip, _| typed(0x8926, &[&[0, 1, 0, 2], &frame(ip)[12..]])),
        ("e-tag", Value::Null, |ip, _| typed(0x893f, &[&[0, 1, 0, 2, 0, 0], &frame(ip)[12..]])),
        ("cisco metadata", Value::Null, |ip, _| {
            typed(0x8909, &[&[1, 1, 0, 1, 0, 2], &frame(ip)[12..]])
        }),
        ("nsh", Value::Null, |ip, _| {
            typed(0x894f, &[&[0x0f, 0xc6, 1, 1, 0, 0, 1, 255], &[0; 16], ip])
        }),
    ];
    all.extend(in_ip());
    all.extend(in_udp());
    all
}

fn in_ip() -> [(&'static str, Value, Put); 13] {
    [
        ("ipip", json!({"kind": "ipip"}), |ip, back| frame(&outer(4, ip, back))),
        ("4in6", json!({"kind": "4in6"}), |ip, back| frame(&outer6(4, ip, back))),
        ("etherip", json!({"kind": "etherip"}), |ip, back| {
            frame(&outer(97, &[&[0x30, 0], &frame(ip)[..]].concat(), back))
        }),
        ("gre", json!({"kind": "gre"}), |ip, back| frame(&gre(&[0, 0, 8, 0], ip, back))),
        ("gre key", json!({"kind": "gre", "id": 99}), |ip, back| {
            frame(&gre(&[0x20, 0, 8, 0, 0, 0, 0, 99], ip, back))
        }),
        ("gretap", json!({"kind": "gre"}), |ip, back| {
            frame(&gre(&[0, 0, 0x65, 0x58], &frame(ip), back))
        }),
        ("nvgre", json!({"kind": "nvgre", "id": 0x1234}), |ip, back| {
            frame(&gre(&[0x20, 0, 0x65, 0x58, 0, 0x12, 0x34, back.into()], &frame(ip), back))
        }),
        ("erspan 1", json!({"kind": "erspan"}), |ip, _| {
            frame(&gre(&[0, 0, 0x88, 0xbe], &frame(ip), false))
        }),
        ("erspan 2", json!({"kind": "erspan", "id": 7}), |ip, _| {
            let header = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 7, 0, 0, 0, 1];
            frame(&gre(&header, &frame(ip), false))
        }),
        ("erspan 3", json!({"kind": "erspan", "id": 7}), |ip, _| {
            let gre_header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
            let erspan = [0x20, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0];
            frame(&gre(&[&gre_header[..], &erspan].concat(), &frame(ip), false))
        }),
        ("erspan 3 with a platform header", json!({"kind": "erspan", "id": 7}), |ip, _| {
            let gre_header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
            let erspan = [0x20, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 0];
            frame(&gre(&[&gre_header[..], &erspan].concat(), &frame(ip), false))
        }),
        ("erspan 3 of IP", json!({"kind": "erspan", "id": 7}), |ip, _| {
            let gre_header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1];
            let erspan = [0x20, 0, 0, 7, 0, 0, 0, 1, 0, 0, 2 << 2, 0];
            frame(&gre(&[&gre_header[..], &erspan].concat(), ip, false))
        }),
        ("pptp", json!({"kind": "pptp", "id": 1}), |ip, back| {
            let len = u16::try_from(ip.len() + 2).unwrap().to_be_bytes();
            let call = 1 + u8::from(back);
            let header = [0x30, 1, 0x88, 0x0b, len[0], len[1], 0, call, 0, 0, 0, 1, 0, 0x21];
            frame(&gre(&header, ip, back))
        }),
    ]
}

fn in_udp() -> [(&'static str, Value, Put); 9] {
    [
        ("vxlan", json!({"kind": "vxlan", "id": 42}), |ip, back| {
            frame(&vxlan(42, &frame(ip), back))
        }),
        ("vxlan on 8472", json!({"kind": "vxlan", "id": 42}), |ip, back| {
            let header = [8, 0, 0, 0, 0, 0, 42, 0];
            frame(&outer(17, &udp(8472, &[&header[..], &frame(ip)].concat()), back))
        }),
        ("vxlan-gpe", json!({"kind": "vxlan-gpe", "id": 42}), |ip, back| {
            let header = [0x0c, 0, 0, 1, 0, 0, 42, 0];
            frame(&outer(17, &udp(4790, &[&header[..], ip].concat()), back))
        }),
        ("geneve", json!({"kind": "geneve", "id": 42}), |ip, back| {
            let header = [1, 0, 0x65, 0x58, 0, 0, 42, 0, 1, 2, 3, 0];
            frame(&outer6(17, &udp(6081, &[&header[..], &frame(ip)].concat()), back))
        }),
        ("gtp", json!({"kind": "gtp", "id": 1}), |ip, back| {
            let len = u16::try_from(ip.len() + 8).unwrap().to_be_bytes();
            let teid = 1 + u8::from(back);
            let header = [0x34, 255, len[0], len[1], 0, 0, 0, teid, 0, 0, 0, 0x85, 1, 0x10, 9, 0];
            frame(&outer(17, &udp(2152, &[&header[..], ip].concat()), back))
        }),
        ("gre in udp", json!({"kind": "gre-in-udp", "id": 3}), |ip, back| {
            let header = [0x20, 0, 8, 0, 0, 0, 0, 3];
            frame(&outer(17, &udp(4754, &[&header[..], ip].concat()), back))
        }),
        ("mpls in udp", json!({"kind": "mpls-in-udp"}), |ip, back| {
            frame(&outer(17, &udp(6635, &[&[0, 2, 1, 64], ip].concat()), back))
        }),
        ("teredo", json!({"kind": "teredo"}), |ip, back| {
            frame(&outer(17, &udp(3544, &outer6(4, ip, back)), back))
        }),
        ("6in4", json!({"kind": "6in4"}), |ip, back| frame(&outer(41, &outer6(4, ip, back), back))),
    ]
}

/// The tunnels of all findings: they must agree.
fn tunnels(seen: &Seen) -> Vec<Value> {
    let mut findings = seen.events.iter().filter(|event| event["event_type"] == "finding");
    let of = |finding: &Value| finding["tunnels"].as_array().cloned().unwrap_or_default();
    let first = of(findings.next().unwrap());
    assert!(findings.all(|finding| of(finding) == first));
    first
}

/// p30: the same three calls in every encapsulation; findings name it, and its outer addresses.
#[test]
fn three_calls_in_every_encapsulation() {
    for (name, mut layer, put) in encapsulations() {
        let seen = look(&wrapped(&calls(3), put));
        seen.assert_clean(name, 3);
        assert_eq!(seen.coverage("flows"), 1, "{name}");
        assert_eq!(seen.coverage("undecodable_packets"), 0, "{name}");
        let found = tunnels(&seen);
        let Some(first) = found.first() else {
            assert!(layer.is_null(), "{name}");
            continue;
        };
        if let Some(src) = first["outer_src"].as_str() {
            let expected = if src.contains(':') { OUTER6 } else { OUTER };
            assert_eq!([src, first["outer_dst"].as_str().unwrap()], expected, "{name}");
            (layer["outer_src"], layer["outer_dst"]) =
                (first["outer_src"].clone(), first["outer_dst"].clone());
        }
        assert_eq!(*first, layer, "{name}");
    }
}

/// R21: one five-tuple in two VLANs inside of each of two VXLANs is four connections.
#[test]
fn one_tuple_in_two_vxlans_and_two_vlans() {
    let tools = ["echo", "look", "find", "send"];
    let mut frames = Vec::new();
    let places = [(1, 5), (1, 6), (2, 5), (2, 6)];
    for ((vni, vlan), tool) in places.into_iter().zip(tools) {
        let mut talk = calls(3);
        for segment in &mut talk.segments {
            let text = String::from_utf8(segment.payload.clone()).unwrap();
            segment.payload = text.replace("echo", tool).into_bytes();
            segment.at += i64::from(vni) * 100 + i64::from(vlan) * 10;
        }
        let put = |ip: &[u8], back: bool| {
            frame(&vxlan(vni, &Link::Ethernet(vec![(0x8100, vlan)]).frame(ip, false), back))
        };
        frames.extend(wrapped(&talk, put).frames);
    }
    frames.sort_by_key(|frame| frame.at);
    let file = File { frames, ..calls(1).file() };
    let seen = look(&file);
    seen.assert_clean("two by two", 12);
    assert_eq!(seen.coverage("flows"), 4);
    for tool in tools {
        assert_eq!(seen.server()["tools_called"][tool], 3);
    }
    assert_eq!(seen.counter("decode.opened.vxlan"), file.frames.len() as u64);
    let merged = replay(&file.bytes(), &["--ignore-vlan"]);
    assert_eq!(merged.coverage("flows"), 1);
    assert!(tunnels(&merged).is_empty());
}

/// Findings name all layers, and the addresses around each.
#[test]
fn layers_are_told_outermost_first() {
    let put = |ip: &[u8], back: bool| {
        let inside = Link::Ethernet(vec![(0x8100, 7)]).frame(ip, false);
        let vxlan = vxlan(42, &inside, back);
        typed(0x8100, &[&[0, 3, 8, 0], &gre(&[0, 0, 8, 0], &vxlan, back)])
    };
    let seen = look(&wrapped(&calls(2), put));
    seen.assert_clean("layers", 2);
    let (src, dst) = (OUTER[0], OUTER[1]);
    let expected = [
        json!({"kind": "vlan", "id": 3}),
        json!({"kind": "gre", "outer_src": src, "outer_dst": dst}),
        json!({"kind": "vxlan", "id": 42, "outer_src": src, "outer_dst": dst}),
        json!({"kind": "vlan", "id": 7}),
    ];
    assert_eq!(tunnels(&seen), expected);
}

/// R23: a tower of tunnels is climbed up to a bound, and counted.
#[test]
fn too_many_tunnels() {
    let tower = |floors: usize| {
        let put = |ip: &[u8], back: bool| {
            frame(&(0..floors).fold(ip.to_vec(), |ip, _| outer(4, &ip, back)))
        };
        look(&wrapped(&calls(1), put))
    };
    tower(8).assert_clean("eight", 1);
    let seen = tower(9);
    seen.assert_no_mcp("nine");
    assert_eq!(seen.counter("decode.skipped.tunnel-bound"), 9);
    assert_eq!(seen.coverage("undecodable_packets"), 9);
}

/// R22: fragments outside, fragments inside, and of either IP version.
#[test]
fn fragments_inside_and_outside() {
    let mut over6 = Talk::between("[fd00::2]:40000", "[fd00::3]:8080");
    over6.handshake();
    say_calls(&mut over6, 3);
    for talk in [calls(3), over6] {
        for (inside, outside) in [(Some(64), None), (None, Some(72)), (Some(96), Some(80))] {
            let mut frames = Vec::new();
            let mut id = 1;
            for (packet, segment) in talk.packets().into_iter().zip(&talk.segments) {
                let pieces = match inside {
                    Some(size) => fragments(&packet, id, size),
                    None => vec![packet],
                };
                for piece in pieces {
                    id += 1;
                    let ip = vxlan(9, &frame(&piece.bytes), segment.side != Client);
                    let carrier = Timed { bytes: ip, ..piece };
                    match outside {
                        Some(size) => frames.extend(fragments(&carrier, id, size)),
                        None => frames.push(carrier),
                    }
                }
            }
            for frame in &mut frames {
                frame.bytes = self::frame(&frame.bytes);
            }
            let seen = look(&File { frames, ..talk.file() });
            seen.assert_clean(&format!("{inside:?} in {outside:?}"), 3);
            assert_eq!(seen.coverage("lost_fragments"), 0);
        }
    }
}

/// p33: every header cut at every byte is named, and nothing is made up of what is left.
#[test]
fn headers_cut_at_every_byte() {
    let mut talk = Talk::new();
    talk.client(call(1));
    for (name, _, put) in encapsulations() {
        let whole = wrapped(&talk, put);
        let len = whole.frames[0].bytes.len();
        let header = len - call(1).len();
        // One record per length, all of the same frame.
        let mut bytes = File { frames: Vec::new(), ..whole.clone() }.bytes();
        for snaplen in 1..header {
            let cut = File { snaplen, ..whole.clone() }.bytes();
            bytes.extend(&cut[24..]);
        }
        let seen = replay(&bytes, &[]);
        let skipped = seen.events.iter().find(|event| event["event_type"] == "stats").unwrap();
        let skipped = skipped["counters"].as_object().unwrap().iter();
        let named = skipped.filter(|(name, _)| name.starts_with("decode.skipped.truncated-"));
        let named: u64 = named.map(|(_, count)| count.as_u64().unwrap()).sum();
        let segments = seen.counter("capture.segments");
        assert_eq!(named + segments, header as u64 - 1, "{name}: {}", seen.run.stdout);
        assert_eq!(segments, 0, "{name}");
    }
}

/// What stays closed is counted by name.
#[test]
fn closed_tunnels_are_named() {
    for (name, put) in [
        ("esp", (|ip, back| frame(&outer(50, ip, back))) as Put),
        ("wireguard", |ip, back| {
            frame(&outer(17, &udp(51820, &[&[4, 0, 0, 0], ip].concat()), back))
        }),
        ("l2tp", |ip, back| frame(&outer(115, ip, back))),
        ("macsec", |ip, _| typed(0x88e5, &[ip])),
        ("trill", |ip, _| typed(0x22f3, &[ip])),
        ("gre", |ip, back| frame(&gre(&[0x40, 0, 8, 0, 0, 0, 0, 0], ip, back))),
    ] {
        let seen = look(&wrapped(&calls(1), put));
        seen.assert_no_mcp(name);
        assert_eq!(seen.counter(&format!("decode.skipped.{name}")), 9);
        assert_eq!(seen.coverage("undecodable_packets"), 9);
    }
}

/// A port alone makes no tunnel, and UDP is no loss.
#[test]
fn datagrams_on_the_ports_of_tunnels() {
    let put = |_: &[u8], back: bool| frame(&outer(17, &udp(4789, b"not a tunnel at all"), back));
    let seen = look(&wrapped(&calls(1), put));
    seen.assert_no_mcp("chance");
    assert_eq!(seen.counter("capture.datagrams"), 9);
    assert_eq!(seen.coverage("undecodable_packets"), 0);
}
