//! Captures that are cut, broken or empty: what is there is read, and the exit code tells.

use super::seen::{Seen, look, replay};
use super::text::{calls, session};

/// Exit codes, as `--help` names them.
const CLEAN: i32 = 0;
const FINDINGS: i32 = 1;
const DAMAGED: i32 = 3;
const COVERAGE: i32 = 4;

fn stopped(seen: &Seen) -> bool {
    seen.run.stderr.contains("warning:")
}

/// p35: cut inside the last record, at every byte of it: what came before is found, and said.
#[test]
fn cut_tail() {
    for pcapng in [false, true] {
        let mut file = calls(3).file();
        file.pcapng = pcapng;
        let bytes = file.bytes();
        let last = if pcapng { 32 + 56 } else { 16 + 54 };
        for cut in [1, 2, 20, 40, last - 1] {
            let seen = replay(&bytes[..bytes.len() - cut], &[]);
            let what = format!("cut by {cut}, pcapng {pcapng}: {}", seen.run.stderr);
            assert_eq!(seen.count("> tools/call"), 3, "{what}");
            assert_eq!(seen.run.code, DAMAGED, "{what}");
            assert_eq!(seen.coverage("packets"), 14, "{what}");
            assert!(stopped(&seen), "{what}");
        }
        let seen = replay(&bytes[..bytes.len() - last], &[]);
        assert_eq!(seen.run.code, FINDINGS, "whole records are no damage: {}", seen.run.stderr);
    }
}

/// p35: garbage between records.
#[test]
fn garbage_in_the_middle() {
    let file = calls(3).file();
    let bytes = file.bytes();
    // After the handshake and the first call with its answer.
    let at = 24 + file.frames[..5].iter().map(|frame| 16 + frame.bytes.len()).sum::<usize>();
    for garbage in [vec![0xff; 500], b"not a packet record at all, just text ".repeat(9)] {
        let bytes = [&bytes[..at], &garbage, &bytes[at..]].concat();
        let seen = replay(&bytes, &[]);
        assert_eq!(seen.count("> tools/call"), 1, "{:?}", seen.said());
        assert_eq!(seen.run.code, DAMAGED, "{}", seen.run.stderr);
        assert!(stopped(&seen));
    }
}

/// p35: valid captures without packets are clean.
#[test]
fn empty_captures() {
    for pcapng in [false, true] {
        let mut file = calls(1).file();
        file.pcapng = pcapng;
        file.frames.clear();
        let seen = look(&file);
        seen.assert_no_mcp("empty");
        assert_eq!(seen.coverage("packets"), 0);
        assert_eq!(seen.run.code, CLEAN);
        assert_eq!(seen.run.stderr, "");
    }
}

/// p35: what is no capture, or not even a header of one.
#[test]
fn no_capture() {
    let bytes = calls(1).file().bytes();
    for (what, bytes) in [
        ("zero bytes", &b""[..]),
        ("half a magic number", &bytes[..2]),
        ("half a header", &bytes[..20]),
        ("text", b"tools/call tools/call tools/call tools/call"),
        ("JSON", br#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#),
    ] {
        let seen = replay(bytes, &[]);
        assert_eq!(seen.run.code, DAMAGED, "{what}: {}", seen.run.stderr);
        assert!(seen.run.stderr.contains("probe.pcap"), "{what}: {}", seen.run.stderr);
        assert_eq!(seen.servers(), Vec::<String>::new(), "{what}");
    }
}

/// A record that claims to be larger than any packet.
#[test]
fn absurd_lengths() {
    let file = calls(3).file();
    for value in [0x7fff_ffff_u32, 0xffff_ffff, 0x1000_0000] {
        let mut bytes = file.bytes();
        let at = 24 + file.frames[..5].iter().map(|frame| 16 + frame.bytes.len()).sum::<usize>();
        bytes[at + 8..at + 12].copy_from_slice(&value.to_le_bytes());
        let seen = replay(&bytes, &[]);
        assert_eq!(seen.run.code, DAMAGED, "{value:x}: {}", seen.run.stderr);
        assert_eq!(seen.count("> tools/call"), 1);
    }
}

/// p33: a snapshot length that cuts all bodies: nothing is claimed that was not seen.
#[test]
fn snapshot_length_96() {
    let mut file = session().file();
    file.snaplen = 96;
    let seen = look(&file);
    assert_eq!(seen.messages(), Vec::<String>::new());
    seen.assert_no_mcp("snaplen 96");
    assert_eq!(seen.coverage("truncated_packets"), 8);
    assert!(seen.coverage("readable_bytes") < seen.coverage("payload_bytes"));
    let strict = replay(&file.bytes(), &["--min-coverage", "90%"]);
    assert_eq!(strict.run.code, COVERAGE);
}

/// Heads survive a longer snapshot length, and what they prove is found.
#[test]
fn snapshot_length_keeps_heads() {
    let mut file = session().file();
    file.snaplen = 54 + 175;
    let seen = look(&file);
    assert!(seen.coverage("truncated_packets") > 3);
    let hints = seen.events.iter().filter(|event| event["event_type"] == "server");
    let keys: Vec<_> = hints.map(|event| event["server"]["key"].as_str().unwrap()).collect();
    assert_eq!(keys, [super::seen::SERVER]);
}

/// What is cut is never made up: with every snapshot length, only what was said is said.
#[test]
fn any_snapshot_length() {
    let whole = session();
    let allowed = super::seen::watch(&whole).tally();
    for snaplen in (40..500).step_by(31) {
        let mut file = whole.file();
        file.snaplen = snaplen;
        for (said, count) in look(&file).tally() {
            let plain = said.trim_end_matches(" partial");
            let most = allowed.get(plain).copied().unwrap_or(0);
            assert!(count <= most, "snaplen {snaplen}: {count} of {said}");
        }
    }
}
