//! Captures made up for a test: HTTP over TCP over IPv4, without a link layer.

/// A capture in the making. Times begin at 2026-11-16T08:00:00Z, one millisecond a packet.
#[derive(Debug)]
pub(super) struct Capture {
    bytes: Vec<u8>,
    packets: u32,
    first_second: u32,
}

type Address = ([u8; 4], u16);

const SYN: u8 = 0x02;
const FIN: u8 = 0x01;
const PUSH: u8 = 0x08;
const ACK: u8 = 0x10;
const SEGMENT: usize = 1400;

impl Capture {
    pub(super) fn new() -> Self {
        Self::at(1_794_816_000)
    }

    /// A capture that begins at so many seconds after the epoch.
    pub(super) fn at(first_second: u32) -> Self {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(262_144_u32.to_le_bytes());
        bytes.extend(101_u32.to_le_bytes()); // LINKTYPE_RAW
        Self { bytes, packets: 0, first_second }
    }

    /// A connection on which requests are answered one after the other.
    pub(super) fn exchanges(&mut self, client: Address, server: Address, texts: &[(&str, &str)]) {
        let (mut ours, mut theirs) = (1000_u32, 5000_u32);
        self.segment(client, server, ours, 0, SYN, b"");
        self.segment(server, client, theirs, ours + 1, SYN | ACK, b"");
        (ours, theirs) = (ours + 1, theirs + 1);
        self.segment(client, server, ours, theirs, ACK, b"");
        for (request, response) in texts {
            for piece in request.as_bytes().chunks(SEGMENT) {
                self.segment(client, server, ours, theirs, PUSH | ACK, piece);
                ours += u32::try_from(piece.len()).unwrap();
            }
            for piece in response.as_bytes().chunks(SEGMENT) {
                self.segment(server, client, theirs, ours, PUSH | ACK, piece);
                theirs += u32::try_from(piece.len()).unwrap();
            }
        }
        self.segment(client, server, ours, theirs, FIN | ACK, b"");
        self.segment(server, client, theirs, ours + 1, FIN | ACK, b"");
        self.segment(client, server, ours + 1, theirs + 1, ACK, b"");
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn segment(&mut self, from: Address, to: Address, seq: u32, ack: u32, flags: u8, data: &[u8]) {
        let mut tcp = Vec::new();
        tcp.extend(from.1.to_be_bytes());
        tcp.extend(to.1.to_be_bytes());
        tcp.extend(seq.to_be_bytes());
        tcp.extend(ack.to_be_bytes());
        tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(data);
        let length = u16::try_from(tcp.len()).unwrap().to_be_bytes();
        let pseudo = [&from.0[..], &to.0[..], &[0, 6], &length[..], &tcp[..]].concat();
        let sum = checksum(&pseudo);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        let total = u16::try_from(20 + tcp.len()).unwrap().to_be_bytes();
        let mut ip = vec![0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 64, 6, 0, 0];
        ip.extend(from.0);
        ip.extend(to.0);
        let sum = checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend(tcp);
        self.packet(&ip);
    }

    fn packet(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let second = self.first_second + self.packets / 1000;
        self.bytes.extend(second.to_le_bytes());
        self.bytes.extend((self.packets % 1000 * 1000).to_le_bytes());
        self.bytes.extend(length);
        self.bytes.extend(length);
        self.bytes.extend(bytes);
        self.packets += 1;
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = bytes.chunks(2).fold(0_u32, |sum, pair| {
        sum + u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
    });
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// A POST with a JSON body.
pub(super) fn post(host: &str, target: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A response with a JSON body.
pub(super) fn json(headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n\
         {body}",
        body.len()
    )
}

/// `initialize`, `tools/list` and a call of `add`, to a host and target.
pub(super) fn session(host: &str, target: &str) -> Vec<(String, String)> {
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    let initialized = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let listed = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"add","inputSchema":{"type":"object"}}]}}"#;
    let call = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"add","arguments":{"a":1}}}"#;
    let called = r#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"1"}]}}"#;
    [(initialize, initialized), (list, listed), (call, called)]
        .map(|(request, response)| (post(host, target, "", request), json("", response)))
        .to_vec()
}

/// A capture of one session of one client with `host` at 10.1.1.2:8000.
pub(super) fn capture_of(host: &str) -> Vec<u8> {
    let mut capture = Capture::new();
    let session = session(host, "/mcp");
    let texts: Vec<(&str, &str)> = session.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    capture.exchanges(([10, 1, 1, 9], 40_000), ([10, 1, 1, 2], 8000), &texts);
    capture.finish()
}
