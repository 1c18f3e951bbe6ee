//! Tests of the table through its public face: segments in, calls on a recording handler out.
//!
//! A script is one command a line (or separated by `;`):
//!
//! ```text
//! C S 100            the client sends flags, seq, ack, data; `-` for no data
//! S SA 500 101
//! C A 101 501 hello
//! C A 101 501 hello cut=5   five more bytes on the wire than captured
//! C A 101 501 hello bad     wrong checksum; `good`: right; else not validated
//! C A 101 501 fill=3000     that many bytes
//! wait 600           milliseconds before the next segment
//! advance 600        the same, and tell the table
//! end                the capture ends
//! ```

mod abandoned;
mod handshake;
mod holes;
mod lifecycle;
mod model;
mod overlap;

use std::net::SocketAddr;

use super::*;
use crate::decode::{ChecksumSeed, Segment, SegmentHeader, TcpFlags};
use crate::net::{Endpoint, Scope, Side};
use crate::time::Timestamp;

pub(super) const CLIENT: &str = "10.0.0.1:40000";
pub(super) const SERVER: &str = "10.0.0.2:80";

/// Checks what every handler may rely on.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    next: [u64; 2],
    finished: [bool; 2],
}

impl Invariants {
    pub(super) fn advance(&mut self, side: Side, offset: u64, len: u64) {
        assert!(len > 0, "empty piece");
        assert!(!self.finished[side.index()], "bytes after finish");
        assert_eq!(self.next[side.index()], offset, "each byte once and in order");
        self.next[side.index()] += len;
    }

    pub(super) fn finish(&mut self, side: Side) {
        assert!(!std::mem::replace(&mut self.finished[side.index()], true), "finished twice");
    }

    pub(super) fn closed(&self) {
        assert_eq!(self.finished, [true; 2], "closed before both sides finished");
    }
}

/// Writes down the calls. Adjacent chunks are written separately.
#[derive(Debug)]
pub(super) struct Recorder {
    pub(super) log: Vec<String>,
    pub(super) times: Vec<(String, At)>,
    /// Why each flow closed, and what it carried.
    pub(super) ended: Vec<(Finish, Traffic)>,
    pub(super) interest: fn(&[u8]) -> Interest,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            log: Vec::new(),
            times: Vec::new(),
            ended: Vec::new(),
            interest: |_| Interest::Unknown,
        }
    }
}

fn letter(side: Side) -> char {
    match side {
        Side::Originator => 'C',
        Side::Responder => 'S',
    }
}

fn show(bytes: &[u8]) -> String {
    if bytes.len() > 40 {
        format!("<{}>", bytes.len())
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    }
}

impl Recorder {
    fn note(&mut self, at: At, line: String) {
        self.times.push((line.clone(), at));
        self.log.push(line);
    }
}

impl Handler for Recorder {
    type State = Invariants;

    fn chunk(&mut self, _: &FlowInfo, state: &mut Invariants, chunk: Chunk<'_>) -> Interest {
        state.advance(chunk.side, chunk.offset, chunk.bytes.len() as u64);
        let (side, bytes) = (letter(chunk.side), show(chunk.bytes));
        self.note(chunk.at, format!("{side} {} {bytes}", chunk.offset));
        (self.interest)(chunk.bytes)
    }

    fn alternate(&mut self, _: &FlowInfo, _: &mut Invariants, chunk: Chunk<'_>) {
        let (side, bytes) = (letter(chunk.side), show(chunk.bytes));
        self.note(chunk.at, format!("{side} {} or {bytes}", chunk.offset));
    }

    fn gap(&mut self, _: &FlowInfo, state: &mut Invariants, gap: Gap) -> Interest {
        state.advance(gap.side, gap.offset, gap.len);
        self.note(gap.at, format!("{} {} gap {}", letter(gap.side), gap.offset, gap.len));
        (self.interest)(b"")
    }

    fn finish(&mut self, _: &FlowInfo, state: &mut Invariants, side: Side, at: At, why: Finish) {
        state.finish(side);
        self.note(at, format!("{} {why:?}", letter(side)));
    }

    fn closed(&mut self, flow: &FlowInfo, state: Invariants, at: At, why: Finish) {
        state.closed();
        self.ended.push((why, flow.traffic));
        let midstream = if flow.midstream { " midstream" } else { "" };
        self.note(at, format!("closed {}{midstream}", flow.id));
    }

    fn anomaly(&mut self, _: &FlowInfo, at: At, anomaly: Anomaly) {
        self.note(at, format!("!{}", anomaly.kind));
    }
}

/// A table under test, its recorder, and the time and number of the next packet.
pub(super) struct Bench {
    pub(super) table: Table<Invariants>,
    pub(super) recorder: Recorder,
    pub(super) millis: i64,
    pub(super) packet: u64,
}

pub(super) fn header(src: &str, dst: &str) -> SegmentHeader {
    let endpoint = |text: &str| Endpoint::from(text.parse::<SocketAddr>().unwrap());
    SegmentHeader {
        packet: 0,
        time: Timestamp::EPOCH,
        src: endpoint(src),
        dst: endpoint(dst),
        scope: Scope(0),
        seq: 0,
        ack: 0,
        flags: TcpFlags(0),
        window: 1000,
        payload_len: 0,
        checksum: ChecksumSeed::default(),
    }
}

fn flags(letters: &str) -> TcpFlags {
    let bits = letters.chars().map(|letter| match letter {
        'F' => TcpFlags::FIN,
        'S' => TcpFlags::SYN,
        'R' => TcpFlags::RST,
        'P' => TcpFlags::PSH,
        'A' => TcpFlags::ACK,
        'U' => TcpFlags::URG,
        '.' => 0,
        other => panic!("flag {other}"),
    });
    TcpFlags(bits.fold(0, |all, bit| all | bit))
}

/// The header sum that makes the checksum of a payload right.
fn header_sum(payload: &[u8]) -> u16 {
    let words = payload.chunks(2);
    let sum: u64 = words.map(|w| u64::from(w[0]) << 8 | u64::from(*w.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()
}

impl Bench {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            table: Table::new(limits),
            recorder: Recorder::default(),
            millis: 1_000_000,
            packet: 0,
        }
    }

    pub(super) fn push(&mut self, header: SegmentHeader, payload: &[u8]) {
        let time = Timestamp::from_nanos(self.millis * 1_000_000);
        let header = SegmentHeader { packet: self.packet, time, ..header };
        self.packet += 1;
        self.table.push(&Segment { header, payload }, &mut self.recorder);
    }

    fn segment(&mut self, words: &[&str]) {
        let (src, dst) = if words[0] == "C" { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let mut head = header(src, dst);
        head.flags = flags(words[1]);
        head.seq = words.get(2).map_or(0, |word| word.parse().unwrap());
        let mut payload = Vec::new();
        let mut rest = words.get(3..).unwrap_or_default();
        if let Some(ack) = rest.first().and_then(|word| word.parse().ok()) {
            (head.ack, rest) = (ack, &rest[1..]);
        }
        let (mut cut, mut sum) = (0, None);
        for word in rest {
            match word.split_once('=') {
                Some(("cut", bytes)) => cut = bytes.parse().unwrap(),
                Some(("fill", bytes)) => payload = vec![b'x'; bytes.parse().unwrap()],
                _ if *word == "good" || *word == "bad" => sum = Some(*word == "good"),
                _ if *word == "-" => {}
                _ => payload = word.as_bytes().to_vec(),
            }
        }
        head.payload_len = u32::try_from(payload.len()).unwrap() + cut;
        if let Some(good) = sum {
            let right = header_sum(&payload);
            let header_sum = if good { right } else { right ^ 0x0100 };
            head.checksum = ChecksumSeed { header_sum, offloaded: false, complete: true };
        }
        self.push(head, &payload);
    }

    /// Runs a script.
    pub(super) fn run(&mut self, script: &str) -> &mut Self {
        for line in script.split([';', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[0] {
                "wait" | "advance" => {
                    self.millis += words[1].parse::<i64>().unwrap();
                    if words[0] == "advance" {
                        let now = Timestamp::from_nanos(self.millis * 1_000_000);
                        self.table.advance(now, &mut self.recorder);
                    }
                }
                "end" => self.table.finish(&mut self.recorder),
                _ => self.segment(&words),
            }
        }
        self
    }

    /// The calls since the last look.
    pub(super) fn calls(&mut self) -> String {
        std::mem::take(&mut self.recorder.log).join("; ")
    }
}

/// Client ISN 100, server ISN 500: data starts at 101 and 501.
pub(super) const HANDSHAKE: &str = "C S 100; S SA 500 101; C A 101 501;";

/// Runs scripts after a handshake and compares the calls.
pub(super) fn check_after_handshake(cases: &[(&str, &str, &str)]) {
    run_cases(HANDSHAKE, cases);
}

/// Runs scripts from nothing and compares the calls.
pub(super) fn check(cases: &[(&str, &str, &str)]) {
    run_cases("", cases);
}

fn run_cases(before: &str, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (name, script, expected) in cases {
        let mut bench = Bench::new(Limits::default());
        let calls = bench.run(before).run(script).calls();
        if calls != *expected {
            wrong.push(format!("{name}:\n  is        {calls}\n  should be {expected}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
