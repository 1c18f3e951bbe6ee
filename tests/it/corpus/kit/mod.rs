//! Made-up traffic: scripts of connections and datagrams into a capture file, with any addresses,
//! ports and times. What the network does to packets is the business of the probes; here they all
//! arrive, in order.

pub mod http;
pub mod mcp;
pub mod names;
pub mod tls;

use std::net::SocketAddrV4;
use std::ops::Range;

/// Microseconds.
pub const MILLI: i64 = 1_000;
pub const SECOND: i64 = 1_000 * MILLI;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;

/// Payload bytes in a segment at most.
const MSS: usize = 1_460;
/// Between two segments of one turn.
const STEP: i64 = 120;
/// The first packet's time: 2026-11-16T08:00:00Z, in microseconds.
const START: i64 = 1_794_816_000_000_000;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

#[derive(Clone, Debug)]
struct Turn {
    pause: i64,
    side: Side,
    bytes: Vec<u8>,
}

/// What the two ends of a TCP connection say, in turns.
#[derive(Clone, Debug)]
pub struct Connection {
    pub client: SocketAddrV4,
    pub server: SocketAddrV4,
    /// Microseconds from the start of the capture.
    pub start: i64,
    turns: Vec<Turn>,
    pause: i64,
}

impl Connection {
    /// A connection that opens so many microseconds after the start of the capture.
    pub fn new(client: SocketAddrV4, server: SocketAddrV4, start: i64) -> Self {
        Self { client, server, start, turns: Vec::new(), pause: MILLI }
    }

    /// Between addresses of a later choice.
    pub fn nowhere(port: u16) -> Self {
        let address = |port| SocketAddrV4::new([0, 0, 0, 0].into(), port);
        Self::new(address(40_000), address(port), 0)
    }

    pub fn say(&mut self, side: Side, bytes: impl Into<Vec<u8>>) -> &mut Self {
        let pause = std::mem::replace(&mut self.pause, MILLI);
        self.turns.push(Turn { pause, side, bytes: bytes.into() });
        self
    }

    pub fn client(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.say(Side::Client, bytes)
    }

    pub fn server(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.say(Side::Server, bytes)
    }

    pub fn exchange(
        &mut self,
        request: impl Into<Vec<u8>>,
        response: impl Into<Vec<u8>>,
    ) -> &mut Self {
        self.client(request).server(response)
    }

    /// Lets time pass, in microseconds.
    pub fn wait(&mut self, micros: i64) -> &mut Self {
        self.pause += micros;
        self
    }

    /// The turns, rewritten one by one; `first` comes before them.
    fn rewritten(
        &self,
        first: Vec<(Side, Vec<u8>)>,
        mut rewrite: impl FnMut(Side, &[u8]) -> Vec<u8>,
    ) -> Self {
        let Self { client, server, start, .. } = *self;
        let mut other = Self::new(client, server, start);
        for (side, bytes) in first {
            other.say(side, bytes);
        }
        for turn in &self.turns {
            other.pause = turn.pause;
            other.say(turn.side, rewrite(turn.side, &turn.bytes));
        }
        other
    }
}

/// A capture file in the making: Ethernet, pcapng.
#[derive(Debug, Default)]
pub struct Capture {
    data: Vec<u8>,
    /// Time in microseconds, and where the frame lies.
    packets: Vec<(i64, Range<usize>)>,
    keylog: String,
}

impl Capture {
    pub fn of<'c>(connections: impl IntoIterator<Item = &'c Connection>) -> Self {
        let mut capture = Self::default();
        for connection in connections {
            capture.add(connection);
        }
        capture
    }

    pub fn add(&mut self, connection: &Connection) {
        let ends = [connection.client, connection.server];
        let seed = u32::from(connection.client.port()).wrapping_mul(2_654_435_761);
        let mut flow = Flow { ends, next: [seed, !seed], at: connection.start };
        flow.segment(self, Side::Client, SYN, &[]);
        flow.segment(self, Side::Server, SYN | ACK, &[]);
        flow.segment(self, Side::Client, ACK, &[]);
        for turn in &connection.turns {
            flow.at += turn.pause;
            for piece in turn.bytes.chunks(MSS) {
                flow.segment(self, turn.side, PSH | ACK, piece);
            }
            let other = if turn.side == Side::Client { Side::Server } else { Side::Client };
            flow.segment(self, other, ACK, &[]);
        }
        flow.segment(self, Side::Client, FIN | ACK, &[]);
        flow.segment(self, Side::Server, FIN | ACK, &[]);
        flow.segment(self, Side::Client, ACK, &[]);
    }

    pub fn datagram(&mut self, at: i64, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        let mut udp = Vec::with_capacity(8 + payload.len());
        udp.extend(from.port().to_be_bytes());
        udp.extend(to.port().to_be_bytes());
        udp.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(payload);
        let sum = transport_sum(from, to, 17, &udp);
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
        self.frame(at, from, to, 17, &udp);
    }

    /// Lines of a key log that travel with the capture.
    pub fn keys(&mut self, keylog: &str) {
        self.keylog.push_str(keylog);
    }

    fn frame(&mut self, at: i64, from: SocketAddrV4, to: SocketAddrV4, kind: u8, body: &[u8]) {
        let start = self.data.len();
        self.data.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
        let total = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
        let mut ip = [0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 64, kind, 0, 0].to_vec();
        ip.extend(from.ip().octets());
        ip.extend(to.ip().octets());
        let sum = !folded(ones_sum(&ip));
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        self.data.extend(ip);
        self.data.extend(body);
        self.packets.push((at, start..self.data.len()));
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut packets: Vec<_> = self.packets.iter().collect();
        packets.sort_by_key(|(at, _)| *at);
        let mut out = Vec::with_capacity(self.data.len() + packets.len() * 40 + 256);
        let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        section.extend([1, 0, 0, 0]);
        section.extend([0xff; 8]);
        block(&mut out, 0x0a0d_0d0a, &[&section]);
        block(&mut out, 1, &[&[1, 0, 0, 0], &262_144_u32.to_le_bytes()]);
        if !self.keylog.is_empty() {
            let len = u32::try_from(self.keylog.len()).unwrap().to_le_bytes();
            block(&mut out, 10, &[&0x544c_534b_u32.to_le_bytes(), &len, self.keylog.as_bytes()]);
        }
        for (at, range) in packets {
            let time = u64::try_from(START + at).unwrap();
            let len = u32::try_from(range.len()).unwrap().to_le_bytes();
            let high = ((time >> 32) as u32).to_le_bytes();
            let low = (time as u32).to_le_bytes();
            block(&mut out, 6, &[&[0; 4], &high, &low, &len, &len, &self.data[range.clone()]]);
        }
        out
    }
}

/// Appends a pcapng block.
fn block(out: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let padded = len.next_multiple_of(4);
    let total = u32::try_from(padded + 12).unwrap().to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(total);
    for part in parts {
        out.extend_from_slice(part);
    }
    out.resize(out.len() + padded - len, 0);
    out.extend(total);
}

/// Where a connection stands on the wire.
struct Flow {
    ends: [SocketAddrV4; 2],
    next: [u32; 2],
    at: i64,
}

impl Flow {
    fn segment(&mut self, capture: &mut Capture, side: Side, flags: u8, payload: &[u8]) {
        let (own, other) = if side == Side::Client { (0, 1) } else { (1, 0) };
        let (from, to) = (self.ends[own], self.ends[other]);
        let ack = if flags & ACK == 0 { 0 } else { self.next[other] };
        let mut tcp = Vec::with_capacity(20 + payload.len());
        tcp.extend(from.port().to_be_bytes());
        tcp.extend(to.port().to_be_bytes());
        tcp.extend(self.next[own].to_be_bytes());
        tcp.extend(ack.to_be_bytes());
        tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend_from_slice(payload);
        let sum = transport_sum(from, to, 6, &tcp);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        let ends = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let len = u32::try_from(payload.len()).unwrap();
        self.next[own] = self.next[own].wrapping_add(len + ends);
        capture.frame(self.at, from, to, 6, &tcp);
        self.at += STEP;
    }
}

fn transport_sum(from: SocketAddrV4, to: SocketAddrV4, kind: u8, body: &[u8]) -> u16 {
    let pseudo = ones_sum(&from.ip().octets()) + ones_sum(&to.ip().octets());
    !folded(pseudo + u64::from(kind) + body.len() as u64 + ones_sum(body))
}

/// RFC 1071, not yet folded.
fn ones_sum(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    sum + rest.first().map_or(0, |byte| u64::from(*byte) << 8)
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// xorshift64*: the same numbers everywhere.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }

    /// Letters and digits, without those that look alike.
    pub fn word(&mut self, length: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
        (0..length).map(|_| char::from(ALPHABET[self.below(ALPHABET.len())])).collect()
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.next() >> 24) as u8).collect()
    }

    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> String {
        let digits = self.hex(32);
        let (a, b, c, d, e) =
            (&digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..]);
        format!("{a}-{b}-4{c}-a{d}-{e}")
    }
}

/// Standard base64 (RFC 4648 section 4).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) as usize & 63;
            out.push(if place > group.len() { '=' } else { char::from(ALPHABET[index]) });
        }
    }
    out
}

/// The alphabet for URLs, without padding (RFC 4648 section 5).
pub fn base64_url(bytes: &[u8]) -> String {
    base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

/// Lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON string, quoted.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn base64_of_rfc_4648() {
    for (text, want) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(text.as_bytes()), want);
    }
}
