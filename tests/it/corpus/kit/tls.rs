//! TLS 1.3 around a connection, with a key log or without (RFC 8446; one suite, one key share that
//! nobody computes, no certificates: what a reader with the key log needs, and no more).

use ring::{aead, hkdf};

use super::{Connection, Random, Side, hex};

/// TLS_AES_128_GCM_SHA256.
const SUITE: [u8; 2] = [0x13, 0x01];
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
/// Plaintext in a record at most, with room for its type.
const RECORD: usize = 16_000;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label with an empty context (section 7.1).
fn expand(secret: &[u8], label: &str, length: usize) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let mut info = u16::try_from(length).unwrap().to_be_bytes().to_vec();
    info.push(u8::try_from(label.len()).unwrap());
    info.extend(label.as_bytes());
    info.push(0);
    let mut out = vec![0; length];
    let key = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, secret);
    key.expand(&[&info], Length(length)).unwrap().fill(&mut out).unwrap();
    out
}

/// One direction under one secret.
struct Sealer {
    key: aead::LessSafeKey,
    iv: Vec<u8>,
    number: u64,
}

impl Sealer {
    fn new(secret: &[u8]) -> Self {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &expand(secret, "key", 16)).unwrap();
        Self { key: aead::LessSafeKey::new(key), iv: expand(secret, "iv", 12), number: 0 }
    }

    fn record(&mut self, kind: u8, bytes: &[u8]) -> Vec<u8> {
        let mut nonce: [u8; 12] = self.iv.clone().try_into().unwrap();
        for (byte, count) in nonce[4..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= count;
        }
        self.number += 1;
        let mut inner = bytes.to_vec();
        inner.push(kind);
        let len = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let head = [DATA, 3, 3, len[0], len[1]];
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, aead::Aad::from(head), &mut inner).unwrap();
        [&head[..], &inner].concat()
    }

    fn records(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.chunks(RECORD).flat_map(|piece| self.record(DATA, piece)).collect()
    }
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&kind.to_be_bytes()[..], &len, body].concat()
}

fn counted(body: &[u8]) -> Vec<u8> {
    [&u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind][..], &len[1..], body].concat()
}

fn clear_record(body: &[u8]) -> Vec<u8> {
    [&[HANDSHAKE, 3, 1][..], &counted(body)].concat()
}

/// A ClientHello in its record.
pub fn client_hello(random: &[u8], sni: &str, alpn: &[&str]) -> Vec<u8> {
    let name = [&[0][..], &counted(sni.as_bytes())].concat();
    let protocols: Vec<u8> =
        alpn.iter().flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat()).collect();
    let share = [&[0, 29][..], &counted(&[7; 32])].concat();
    let mut extensions = extension(0, &counted(&name));
    extensions.extend(extension(10, &[0, 2, 0, 29]));
    extensions.extend(extension(13, &[0, 4, 4, 3, 8, 4]));
    if !alpn.is_empty() {
        extensions.extend(extension(16, &counted(&protocols)));
    }
    extensions.extend(extension(43, &[2, 3, 4]));
    extensions.extend(extension(51, &counted(&share)));
    let suites = [0, 4, SUITE[0], SUITE[1], 0x13, 0x02];
    let body = [&[3, 3][..], random, &[0], &suites, &[1, 0], &counted(&extensions)].concat();
    clear_record(&handshake(1, &body))
}

fn server_hello(random: &[u8]) -> Vec<u8> {
    let share = [&[0, 29][..], &counted(&[9; 32])].concat();
    let extensions = [extension(43, &[3, 4]), extension(51, &share)].concat();
    let body = [&[3, 3][..], random, &[0], &SUITE, &[0], &counted(&extensions)].concat();
    clear_record(&handshake(2, &body))
}

/// The connection inside TLS to a server of this name, and the lines of its key log.
pub fn wrapped(inner: &Connection, sni: &str) -> (Connection, String) {
    let port = u64::from(inner.client.port());
    let seed = u64::from(u32::from(*inner.client.ip())) << 16 | port;
    let mut random = Random::new(seed ^ inner.start.unsigned_abs().rotate_left(40));
    let client_random = random.bytes(32);
    let mut keylog = String::new();
    let mut sealers = [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ]
    .map(|label| {
        let secret = random.bytes(32);
        keylog += &format!("{label} {} {}\n", hex(&client_random), hex(&secret));
        Sealer::new(&secret)
    });
    let [client_hand, server_hand, client, server] = &mut sealers;
    let finished = handshake(20, &random.bytes(32));
    let encrypted = handshake(8, &[0, 0]);
    let flight = [
        server_hello(&random.bytes(32)),
        server_hand.record(HANDSHAKE, &[&encrypted[..], &finished].concat()),
    ];
    let first = vec![
        (Side::Client, client_hello(&client_random, sni, &["http/1.1"])),
        (Side::Server, flight.concat()),
        (Side::Client, client_hand.record(HANDSHAKE, &finished)),
    ];
    let outer = inner.rewritten(first, |side, bytes| match side {
        Side::Client => client.records(bytes),
        Side::Server => server.records(bytes),
    });
    (outer, keylog)
}
