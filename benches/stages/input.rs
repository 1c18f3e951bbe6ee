//! Inputs, built in code: the same in every run.

use etherparse::PacketBuilder;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::{aead, hkdf};
use shadowtap::app::{Keyring, Layer};
use shadowtap::capture::{LinkType, Packet};
use shadowtap::decode::{Decoded, Decoder, Segment};
use shadowtap::flow::{At, Chunk, FlowInfo, Handler as _, Traffic};
use shadowtap::mcp::{Tap, TapLimits};
use shadowtap::net::{Endpoint, Scope, Side};
use shadowtap::observation::Observation;
use shadowtap::secret::SecretHasher;
use shadowtap::time::Timestamp;
use std::io::Write as _;

/// Payload of a full segment, in bytes.
pub(crate) const SEGMENT_BYTES: usize = 1400;
const FLOWS: usize = 64;
const SEGMENTS_PER_FLOW: usize = 64;
/// 2026-11-16T08:00:00Z.
const START_SECONDS: i64 = 1_794_816_000;

/// xorshift64*.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// When packet `index` was captured.
pub(crate) fn at(index: u64) -> At {
    let time = Timestamp::from_nanos(START_SECONDS * 1_000_000_000 + index as i64 * 10_000);
    At { packet: index, time }
}

/// Ethernet frames of data segments, IPv4: interleaved flows. In `late_percent` of a hundred cases
/// a segment comes after the one that follows it in its flow.
pub(crate) fn frames(late_percent: usize) -> Vec<Vec<u8>> {
    let mut random = Random(20_261_122);
    let payload: Vec<u8> = (0..SEGMENT_BYTES).map(|_| random.below(256) as u8).collect();
    let mut orders = Vec::new();
    for _ in 0..FLOWS {
        let mut order: Vec<usize> = (0..SEGMENTS_PER_FLOW).collect();
        for at in 1..order.len() {
            if random.below(100) < late_percent {
                order.swap(at - 1, at);
            }
        }
        orders.push(order);
    }
    let places = (0..SEGMENTS_PER_FLOW).flat_map(|at| (0..FLOWS).map(move |flow| (flow, at)));
    places.map(|(flow, at)| frame(flow as u8, orders[flow][at], &payload)).collect()
}

fn frame(flow: u8, number: usize, payload: &[u8]) -> Vec<u8> {
    let seq = (1 + number * SEGMENT_BYTES) as u32;
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, flow], [192, 0, 2, 80], 64)
        .tcp(40_000, 80, seq, 0xffff)
        .ack(1);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).unwrap();
    frame
}

/// A frame as the capture hands it on.
pub(crate) fn packet(index: usize, bytes: &[u8]) -> Packet<'_> {
    let At { packet: index, time } = at(index as u64);
    Packet { index, time, link: LinkType::ETHERNET, bytes, wire_len: bytes.len() as u32 }
}

/// The segments of [`frames`].
pub(crate) fn segments(late_percent: usize) -> Vec<Segment<'static>> {
    let frames: &'static [Vec<u8>] = frames(late_percent).leak();
    // None of them borrows the decoder, but only a leaked one shows that.
    let read =
        |(index, frame): (usize, &'static Vec<u8>)| match Box::leak(Box::<Decoder>::default())
            .push(&packet(index, frame))
        {
            Decoded::Segment(segment) => segment,
            other => panic!("{other:?}"),
        };
    frames.iter().enumerate().map(read).collect()
}

/// A flow from a client to a web server.
pub(crate) fn flow() -> FlowInfo {
    FlowInfo {
        id: 0,
        originator: Endpoint::new([10, 0, 0, 1].into(), 40_000),
        responder: Endpoint::new([192, 0, 2, 80].into(), 80),
        scope: Scope(0),
        opened: at(0).time,
        midstream: false,
        shed_bytes: 0,
        traffic: Traffic::NONE,
    }
}

/// Who sends what, in turn.
pub(crate) type Dialogue = Vec<(Side, Vec<u8>)>;

fn request(head: &str, body: &str) -> (Side, Vec<u8>) {
    let length = body.len();
    let text = format!(
        "{head} HTTP/1.1\r\nHost: api.example.test:8000\r\nUser-Agent: bench/1.0\r\n\
         Accept: application/json, text/event-stream\r\nAccept-Language: en\r\n\
         Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    (Side::Originator, text.into_bytes())
}

fn response(fields: &str, body: &[u8]) -> (Side, Vec<u8>) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 16 Nov 2026 08:00:00 GMT\r\n\
         Content-Type: application/json\r\nCache-Control: no-store\r\n{fields}\r\n"
    );
    (Side::Responder, [head.as_bytes(), body].concat())
}

/// Exchanges on one connection, whose response bodies have `body_bytes` bytes.
pub(crate) fn exchanges(count: usize, body_bytes: usize, chunked: bool) -> Dialogue {
    let mut dialogue = Vec::new();
    let body: Vec<u8> = json_records(body_bytes).into_bytes();
    for _ in 0..count {
        dialogue.push(request("POST /api/v2/items/search", "{\"from\":0,\"size\":50}"));
        dialogue.push(if chunked {
            let mut coded = Vec::new();
            for piece in body.chunks(4096) {
                write!(coded, "{:x}\r\n", piece.len()).unwrap();
                coded.extend_from_slice(piece);
                coded.extend_from_slice(b"\r\n");
            }
            coded.extend_from_slice(b"0\r\n\r\n");
            response("Transfer-Encoding: chunked\r\n", &coded)
        } else {
            response(&format!("Content-Length: {}\r\n", body.len()), &body)
        });
    }
    dialogue
}

/// Exchanges on one HTTP/2 connection (RFC 9113), whose response bodies have `body_bytes` bytes:
/// fields are indexed in the first exchange and referred to in the others, as real clients do.
pub(crate) fn http2_exchanges(count: usize, body_bytes: usize) -> Dialogue {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    // Literal with incremental indexing (RFC 7541 section 6.2.1), name in the static table or new.
    let literal =
        |name: u8, value: &str| [&[0x40 | name, value.len() as u8], value.as_bytes()].concat();
    let named = |name: &str, value: &str| {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        [&[0x40, name.len() as u8], name, &[value.len() as u8], value].concat()
    };
    let first_request = [
        vec![0x83, 0x86],
        literal(4, "/api/v2/items/search"),
        literal(1, "api.example.test:8000"),
        named("accept", "application/json, text/event-stream"),
        named("user-agent", "bench/1.0"),
        named("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
    ]
    .concat();
    let next_request = [0x83, 0x86, 66, 65, 64, 63, 62];
    let first_response = [
        vec![0x88],
        named("content-type", "application/json"),
        named("server", "bench"),
        named("date", "Mon, 16 Nov 2026 08:00:00 GMT"),
    ]
    .concat();
    let next_response = [0x88, 64, 63, 62];
    let body: Vec<u8> = json_records(body_bytes).into_bytes();
    let mut client = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    client.extend(frame(4, 0, 0, &[]));
    let mut dialogue = vec![(Side::Originator, client), (Side::Responder, frame(4, 0, 0, &[]))];
    for number in 0..count as u32 {
        let stream = 2 * number + 1;
        let (request, response) = match number {
            0 => (&first_request[..], &first_response[..]),
            _ => (&next_request[..], &next_response[..]),
        };
        let mut asked = frame(HEADERS, END_HEADERS, stream, request);
        asked.extend(frame(DATA, END_STREAM, stream, b"{\"from\":0,\"size\":50}"));
        let mut answer = frame(HEADERS, END_HEADERS, stream, response);
        for piece in body.chunks(16_384) {
            answer.extend(frame(DATA, 0, stream, piece));
        }
        answer.extend(frame(DATA, END_STREAM, stream, &[]));
        dialogue.push((Side::Originator, asked));
        dialogue.push((Side::Responder, answer));
    }
    dialogue
}

/// An MCP session: a handshake, a list of tools, and calls.
pub(crate) fn session(calls: usize) -> Dialogue {
    let result = |id: usize, result: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        response(&format!("Content-Length: {}\r\n", body.len()), body.as_bytes())
    };
    let handshake = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    let answer = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#;
    let mut dialogue = vec![
        request("POST /mcp", handshake),
        result(0, answer),
        request("POST /mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
    ];
    let list = tools_list(20);
    dialogue.push(response(&format!("Content-Length: {}\r\n", list.len()), list.as_bytes()));
    for id in 2..calls + 2 {
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"tool_{}","arguments":{{"query":"shadow","limit":10}}}}}}"#,
            id % 20
        );
        dialogue.push(request("POST /mcp", &call));
        dialogue.push(result(id, r#"{"content":[{"type":"text","text":"done"}],"isError":false}"#));
    }
    dialogue
}

/// Gives a dialogue to `each` in chunks of a segment.
pub(crate) fn play(dialogue: &Dialogue, mut each: impl FnMut(Chunk<'_>)) {
    let (mut offsets, mut packet) = ([0, 0], 0);
    for (side, bytes) in dialogue {
        for bytes in bytes.chunks(SEGMENT_BYTES) {
            let offset = &mut offsets[side.index()];
            each(Chunk { side: *side, offset: *offset, bytes, at: at(packet) });
            *offset += bytes.len() as u64;
            packet += 1;
        }
    }
}

/// Plaintext of a full record, in bytes.
const RECORD_BYTES: usize = 16 << 10;

/// A dialogue inside TLS 1.3 with AES-128-GCM, and its secrets. The encrypted part of the handshake
/// is left out.
pub(crate) fn in_tls(dialogue: &Dialogue) -> (Keyring, Dialogue) {
    let random = [7; 32];
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let keyring = Keyring::default();
    for (label, secret) in [("CLIENT", [1; 32]), ("SERVER", [2; 32])] {
        let line = format!("{label}_TRAFFIC_SECRET_0 {} {}", hex(&random), hex(&secret));
        assert_eq!(keyring.add_text(line.as_bytes()).keys, 1);
    }
    let client_hello = [&[22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3][..], &random];
    let server_hello = [&[22, 3, 3, 0, 50, 2, 0, 0, 46, 3, 3][..], &[9; 32]];
    let versions = [0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4];
    let mut sealed = vec![
        (
            Side::Originator,
            [&client_hello.concat()[..], &[0, 0, 2, 0x13, 0x01, 1, 0, 0, 0]].concat(),
        ),
        (Side::Responder, [&server_hello.concat()[..], &versions].concat()),
    ];
    sealed[0].1[4] = (sealed[0].1.len() - 5) as u8;
    sealed[0].1[8] = (sealed[0].1.len() - 9) as u8;
    sealed[1].1[4] = (sealed[1].1.len() - 5) as u8;
    sealed[1].1[8] = (sealed[1].1.len() - 9) as u8;
    let mut sealers = [Sealer::new(&[1; 32]), Sealer::new(&[2; 32])];
    for (side, bytes) in dialogue {
        let sealer = &mut sealers[side.index()];
        let records = bytes.chunks(RECORD_BYTES).flat_map(|plain| sealer.seal(plain));
        sealed.push((*side, records.collect()));
    }
    (keyring, sealed)
}

/// Seals records of TLS 1.3 (RFC 8446 section 5.2).
struct Sealer {
    key: aead::LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl Sealer {
    fn new(secret: &[u8; 32]) -> Self {
        let expand = |label: &str, len: usize| {
            let head = [0, len as u8, 6 + label.len() as u8];
            let info = [&head[..], b"tls13 ", label.as_bytes(), &[0]];
            let mut out = vec![0; len];
            let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret);
            prk.expand(&info, Bytes(len)).unwrap().fill(&mut out).unwrap();
            out
        };
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &expand("key", 16)).unwrap();
        let iv = expand("iv", 12).try_into().unwrap();
        Self { key: aead::LessSafeKey::new(key), iv, sequence: 0 }
    }

    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut nonce = self.iv;
        for (byte, other) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= other;
        }
        self.sequence += 1;
        let [high, low] = (plain.len() as u16 + 17).to_be_bytes();
        let header = [23, 3, 3, high, low];
        let mut body = [plain, &[23]].concat();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, aead::Aad::from(header), &mut body).unwrap();
        [&header[..], &body].concat()
    }
}

/// What recognition says of an MCP session.
pub(crate) fn observations(calls: usize) -> Vec<Observation> {
    let tap = Tap::new(TapLimits::default(), SecretHasher::default());
    let mut layer = Layer::new(shadowtap::app::Limits::default(), std::sync::Arc::default(), tap);
    let (flow, mut state) = (flow(), Default::default());
    play(&session(calls), |chunk| {
        layer.chunk(&flow, &mut state, chunk);
    });
    std::mem::take(layer.sink_mut().observations())
}

/// JSON as a REST service sends it, of about `len` bytes.
pub(crate) fn json_records(len: usize) -> String {
    let mut random = Random(7);
    let mut text = String::from(r#"{"total":50,"items":["#);
    while text.len() < len {
        let (id, size) = (random.below(1_000_000), random.below(100_000));
        let word = ["open", "closed", "waiting", "in review"][random.below(4)];
        text.push_str(&format!(
            r#"{{"id":{id},"name":"item {id}","state":"{word}","size":{size}.5,"tags":["a","b"],"owner":{{"id":{size},"active":true}}}},"#
        ));
    }
    text.push_str("null]}");
    text
}

/// Prose, of about `len` bytes, with nothing to escape.
pub(crate) fn prose(len: usize) -> String {
    let mut random = Random(11);
    let words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "again."];
    let mut text = String::new();
    while text.len() < len {
        text.push_str(words[random.below(words.len())]);
        text.push(' ');
    }
    text
}

/// The answer to `tools/list`.
pub(crate) fn tools_list(count: usize) -> String {
    let tools: Vec<String> = (0..count)
        .map(|number| {
            format!(
                r#"{{"name":"tool_{number}","description":"{}","inputSchema":{{"type":"object","properties":{{"query":{{"type":"string","description":"What to look for"}},"limit":{{"type":"integer","minimum":1,"maximum":100}}}},"required":["query"]}}}}"#,
                prose(200)
            )
        })
        .collect();
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{}]}}}}"#, tools.join(","))
}

/// A stream of events, of about `len` bytes.
pub(crate) fn event_stream(len: usize) -> Vec<u8> {
    let mut text = String::new();
    let data = json_records(250);
    let mut id = 0;
    while text.len() < len {
        text.push_str(&format!("event: message\nid: {id}\ndata: {data}\n\n"));
        id += 1;
    }
    text.into_bytes()
}

/// A body in a content coding, and its length when decoded.
pub(crate) fn coded(coding: &str) -> (Vec<u8>, usize) {
    // There is no brotli encoder here: `{"jsonrpc":"2.0","id":1,"method":"tools/call",...}`.
    const BROTLI: &str = "1b6300808dd315f3a284758f887644bedcbca825d9a3973a2c7d8e71e03eae5fd7c283e0\
                          c831fc1e5330fef4fcbb306b97b319852004a09196414b70061e518678a8593f";
    let plain = json_records(1 << 20).into_bytes();
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&plain).unwrap();
            (encoder.finish().unwrap(), plain.len())
        }
        "zstd" => (zstd::encode_all(&plain[..], 3).unwrap(), plain.len()),
        _ => {
            let pair = |at: usize| u8::from_str_radix(&BROTLI[at..at + 2], 16).unwrap();
            ((0..BROTLI.len()).step_by(2).map(pair).collect(), 100)
        }
    }
}
