//! Community ID v1: one short name for a five-tuple, the same in every tool that knows it.

use std::net::IpAddr;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::FlowTuple;

/// The seed that every tool uses unless told otherwise.
const SEED: u16 = 0;

/// The Community ID v1 of a five-tuple, seed 0: `1:` and the base64 of a SHA-1 over the seed, the
/// addresses, the protocol, a zero byte and the ports, the smaller end first. Both directions
/// have the same id.
#[must_use]
pub fn community_id(flow: &FlowTuple) -> String {
    let (a, b) = (flow.client, flow.server);
    // Ends of one packet are of one family; the comparison is by address bytes, then by port.
    let (first, second) = if (a.ip, a.port) <= (b.ip, b.port) { (a, b) } else { (b, a) };
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(&SEED.to_be_bytes());
    for end in [first, second] {
        match end.ip {
            IpAddr::V4(ip) => hash.update(&ip.octets()),
            IpAddr::V6(ip) => hash.update(&ip.octets()),
        }
    }
    hash.update(&[flow.protocol, 0]);
    hash.update(&first.port.to_be_bytes());
    hash.update(&second.port.to_be_bytes());
    format!("1:{}", base64(hash.finish().as_ref()))
}

/// Base64 with padding (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for position in 0..4 {
            let sextet = (group >> (18 - 6 * position)) & 0x3f;
            let digit = ALPHABET.get(sextet as usize).copied().unwrap_or(b'A');
            out.push(if position > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Endpoint;

    fn flow(client: &str, server: &str, protocol: u8) -> FlowTuple {
        let end = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap());
        FlowTuple { client: end(client), server: end(server), protocol }
    }

    #[test]
    fn ids_equal_the_published_vectors_in_both_directions() {
        let table = [
            ("128.232.110.120:34855", "66.35.250.204:80", 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
            ("192.168.1.52:54585", "8.8.8.8:53", 17, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
            (
                "[2001:470:e5bf:dead:4957:2174:e82c:4887]:63943",
                "[2607:f8b0:400c:c03::1a]:25",
                6,
                "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
            ),
        ];
        for (a, b, protocol, want) in table {
            assert_eq!(community_id(&flow(a, b, protocol)), want);
            assert_eq!(community_id(&flow(b, a, protocol)), want);
        }
    }

    #[test]
    fn base64_pads_as_rfc_4648_shows() {
        for (plain, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), want);
        }
    }
}
