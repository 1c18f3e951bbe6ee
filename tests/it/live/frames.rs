//! Frames inside of VLANs and tunnels, as mirrors send them.

use std::fs;
use std::path::{Path, PathBuf};

use super::lab::Lab;
use super::traffic::{closed, essence};
use crate::run::{capture, replay_json, root};

const MACS: &[u8] = &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const GRE: u8 = 47;
const UDP: u8 = 17;

fn be(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_be_bytes()
}

/// Ethernet and IPv4 around a payload.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(be(20 + payload.len()));
    header.extend([0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [MACS, &[8, 0], &header, payload].concat()
}

fn udp(port: usize, payload: &[u8]) -> Vec<u8> {
    let datagram = [&be(50_000)[..], &be(port), &be(8 + payload.len()), &[0, 0], payload].concat();
    ipv4(UDP, &datagram)
}

type Wrap = fn(&[u8]) -> Vec<u8>;

/// A frame in another; IEEE 802.1Q, RFC 7348, 2784 with 1701, 8926, and ERSPAN's two types.
const WRAPS: [(&str, Wrap); 8] = [
    ("vlan", |frame| [&frame[..12], &[0x81, 0, 0, 30], &frame[12..]].concat()),
    ("qinq", |frame| [&frame[..12], &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 30], &frame[12..]].concat()),
    ("vxlan", |frame| udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0], frame].concat())),
    ("geneve", |frame| udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0, 42, 0], frame].concat())),
    ("gre", |frame| ipv4(GRE, &[&[0, 0, 8, 0], &frame[14..]].concat())),
    ("gretap with a key", |frame| ipv4(GRE, &[&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7], frame].concat())),
    ("erspan 1", |frame| ipv4(GRE, &[&[0, 0, 0x88, 0xbe], frame].concat())),
    ("erspan 2", |frame| {
        let header = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 5, 0, 0, 0, 0];
        ipv4(GRE, &[&header[..], frame].concat())
    }),
];

/// A capture whose frames are wrapped. The original is a classic one of this byte order.
fn wrapped(original: &Path, wrap: Wrap, into: &Path) {
    let bytes = fs::read(original).unwrap();
    assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    let (mut written, mut rest) = (bytes[..24].to_vec(), &bytes[24..]);
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let frame = &rest[16..16 + len];
        // ARP and the like are no part of this.
        if frame[12..14] == [8, 0] {
            let frame = wrap(frame);
            let len = u32::try_from(frame.len()).unwrap().to_le_bytes();
            written.extend_from_slice(&rest[..8]);
            written.extend([len, len].concat());
            written.extend(frame);
        }
        rest = &rest[16 + len..];
    }
    fs::write(into, written).unwrap();
}

/// Watches a capture: the findings are those of its replay, and there are some.
fn check(lab: &Lab, name: &str, capture: &Path) -> usize {
    let replayed = replay_json(capture, &[]);
    let packets = replayed.of_type("stats")[0]["coverage"]["packets"].as_u64().unwrap();
    let mut watch = lab.watch(&[]);
    lab.send(capture);
    watch.wait_for_packets(packets);
    assert_eq!(watch.stop(), 0, "{name}: {}", watch.stderr());
    let findings = closed(watch.of_type("finding"));
    assert_eq!(essence(&findings), essence(&replayed.of_type("finding")), "{name}");
    findings.len()
}

#[test]
fn wrapped_frames_are_watched_as_they_are_replayed() {
    let original = capture("sh-2025-03-py194-py194.pcap");
    let plain = replay_json(&original, &[]).of_type("finding").len();
    for (name, wrap) in WRAPS {
        let Some(lab) = Lab::new() else { return };
        let file = lab.folder.path().join("wrapped.pcap");
        wrapped(&original, wrap, &file);
        assert_eq!(check(&lab, name, &file), plain, "{name}");
    }
}

/// `SHADOWTAP_CAPTURES` may name a folder with further captures.
#[test]
fn captures_of_mirrors_are_watched_as_they_are_replayed() {
    let own = Some(root().join("captures"));
    let more = std::env::var_os("SHADOWTAP_CAPTURES").map(|folder| root().join(folder));
    let kinds = ["qinq", "vlan", "vxlan", "gre", "geneve", "erspan", "mpls", "pppoe", "ipip"];
    for folder in [own, more].into_iter().flatten() {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_one = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_kind = |kind: &&str| name.starts_with(&format!("ll-{kind}"));
            name.ends_with(".pcap") && kinds.iter().any(is_kind)
        };
        for file in files.filter(is_one) {
            let Some(lab) = Lab::new() else { return };
            let name = file.display().to_string();
            assert!(check(&lab, &name, &file) > 0, "{name}");
        }
    }
}
