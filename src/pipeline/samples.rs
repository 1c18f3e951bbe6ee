//! Captures for tests: conversations over TCP on raw IPv4.

use crate::capture::{LinkType, Packet};
use crate::decode::{self, Decoded, Decoder, Segment};
use crate::time::Timestamp;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Packets, each with its time in nanoseconds.
#[derive(Clone, Default)]
pub(super) struct Capture {
    frames: Vec<(i64, Vec<u8>)>,
}

/// One step of a conversation: the client or the server says something.
#[derive(Clone, Copy)]
pub(super) enum Say<'a> {
    Client(&'a str),
    Server(&'a str),
}

pub(super) const MILLISECOND: i64 = 1_000_000;
pub(super) const SECOND: i64 = 1_000 * MILLISECOND;

/// A `tools/list` and its result, as HTTP.
pub(super) fn call(id: usize) -> [String; 2] {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#);
    let result = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[]}}}}"#);
    [
        format!(
            "POST /mcp HTTP/1.1\r\nhost: mcp.test\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{result}",
            result.len()
        ),
    ]
}

impl Capture {
    /// So many clients that call one server, all at the same time.
    pub(super) fn of_calls(count: u16) -> Self {
        let mut all = Self::default();
        for number in 0..count {
            let [request, response] = call(usize::from(number));
            let start = i64::from(number) * MILLISECOND / 10;
            all.converse(
                number,
                start,
                MILLISECOND,
                &[Say::Client(&request), Say::Server(&response)],
            );
        }
        all.frames.sort_by_key(|(time, _)| *time);
        all
    }

    /// Adds a conversation from handshake to end, a packet every `step` nanoseconds.
    pub(super) fn converse(&mut self, client: u16, start: i64, step: i64, says: &[Say<'_>]) {
        let mut seq = [1_000_u32, 9_000_u32];
        let mut time = start;
        let mut send = |to_server: bool, flags: u8, payload: &str| {
            let [up, down] = &mut seq;
            let (mine, theirs) = if to_server { (up, *down) } else { (down, *up) };
            let frame = packet(client, to_server, [*mine, theirs], flags, payload.as_bytes());
            let len = payload.len() + usize::from(flags & (SYN | FIN) != 0);
            *mine = mine.wrapping_add(u32::try_from(len).unwrap());
            self.frames.push((time, frame));
            time += step;
        };
        send(true, SYN, "");
        send(false, SYN | ACK, "");
        send(true, ACK, "");
        for say in says {
            match say {
                Say::Client(text) => send(true, PSH | ACK, text),
                Say::Server(text) => send(false, PSH | ACK, text),
            }
        }
        send(true, FIN | ACK, "");
        send(false, FIN | ACK, "");
        send(true, ACK, "");
    }

    pub(super) fn packets(&self) -> usize {
        self.frames.len()
    }

    /// Time and bytes of each packet.
    pub(super) fn frames(&self) -> &[(i64, Vec<u8>)] {
        &self.frames
    }

    /// The packets from and to an index, all times moved by `shift` nanoseconds.
    pub(super) fn part(&self, packets: std::ops::Range<usize>, shift: i64) -> Self {
        let moved = |(time, frame): &(i64, Vec<u8>)| (time + shift, frame.clone());
        Self { frames: self.frames[packets].iter().map(moved).collect() }
    }

    /// As a capture file with times in nanoseconds.
    pub(super) fn pcap(&self) -> Vec<u8> {
        let link = u32::from(LinkType::RAW.0);
        let head = [0xa1b2_3c4d, 0x0004_0002, 0, 0, 0x0004_0000, link];
        let mut file: Vec<u8> = head.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        for (time, frame) in &self.frames {
            let len = u32::try_from(frame.len()).unwrap();
            let seconds = u32::try_from(time / SECOND).unwrap();
            let nanos = u32::try_from(time % SECOND).unwrap();
            file.extend([seconds, nanos, len, len].iter().flat_map(|word| word.to_le_bytes()));
            file.extend_from_slice(frame);
        }
        file
    }
}

/// Gives the segments of a capture to `each`.
pub(super) fn decoded(capture: &Capture, mut each: impl FnMut(&Segment<'_>)) {
    let mut decoder = Decoder::new(decode::Limits::default());
    for (index, (time, bytes)) in (0..).zip(&capture.frames) {
        let time = Timestamp::from_nanos(*time);
        let wire_len = u32::try_from(bytes.len()).unwrap();
        match decoder.push(&Packet { index, time, link: LinkType::RAW, bytes, wire_len }) {
            Decoded::Segment(segment) => each(&segment),
            other => panic!("{other:?}"),
        }
    }
}

/// A TCP packet on IPv4 between a client, which its port and address tell, and 10.9.9.9:8000.
fn packet(client: u16, to_server: bool, numbers: [u32; 2], flags: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = client.to_be_bytes();
    let ends = [([10, 0, high, low], 20_000 + client), ([10, 9, 9, 9], 8_000)];
    let [(src, sport), (dst, dport)] = if to_server { ends } else { [ends[1], ends[0]] };
    let mut tcp = Vec::new();
    tcp.extend_from_slice(&sport.to_be_bytes());
    tcp.extend_from_slice(&dport.to_be_bytes());
    tcp.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    tcp.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend_from_slice(payload);
    let len = u16::try_from(tcp.len()).unwrap();
    let mut pseudo = [src, dst].concat();
    pseudo.extend_from_slice(&[0, 6]);
    pseudo.extend_from_slice(&len.to_be_bytes());
    pseudo.extend_from_slice(&tcp);
    tcp[16..18].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&(20 + len).to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    ip.extend_from_slice(&[src, dst].concat());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend_from_slice(&tcp);
    ip
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
