//! JA4, the fingerprint of a TLS client.
//!
//! Written after the description of JA4 (TLS client fingerprinting) that FoxIO, LLC publishes at
//! <https://github.com/FoxIO-LLC/ja4> under the BSD 3-Clause licence. The other methods of that
//! family (JA4S, JA4H and so on) have another licence and are not here.
//!
//! `t13d1516h2_8daaf6152771_e5627efa2ab1`: TCP, TLS 1.3, with server name, 15 cipher suites, 16
//! extensions, first and last letter of the first ALPN protocol; then two hashes, the first 12 hex
//! digits of a SHA-256 each: of the sorted cipher suites, and of the sorted extensions (but server
//! name and ALPN) with the signature algorithms in their order. GREASE never counts.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};

use super::handshake::{ClientHello, extension, is_grease};
use crate::exchange::Carrier;

/// The fingerprint of a ClientHello.
pub(in crate::app) fn fingerprint(hello: &ClientHello, carrier: Carrier) -> String {
    let mut ciphers = without_grease(&hello.cipher_suites);
    let mut extensions = without_grease(&hello.extensions);
    let alpn = alpn(hello.alpn_ends);
    let mut text = format!(
        "{}{}{}{:02}{:02}{}{}",
        match carrier {
            Carrier::Tcp => 't',
            Carrier::Quic => 'q',
        },
        version(hello),
        if extensions.contains(&extension::SERVER_NAME) { 'd' } else { 'i' },
        ciphers.len().min(99),
        extensions.len().min(99),
        alpn[0],
        alpn[1],
    );
    ciphers.sort_unstable();
    text.push('_');
    push_hash(&mut text, &list(&ciphers));
    extensions.retain(|kind| !matches!(*kind, extension::SERVER_NAME | extension::ALPN));
    extensions.sort_unstable();
    let mut hashed = list(&extensions);
    let algorithms = without_grease(&hello.signature_algorithms);
    if !algorithms.is_empty() {
        hashed.push('_');
        hashed.push_str(&list(&algorithms));
    }
    text.push('_');
    push_hash(&mut text, if extensions.is_empty() { "" } else { &hashed });
    text
}

fn without_grease(values: &[u16]) -> Vec<u16> {
    values.iter().copied().filter(|value| !is_grease(*value)).collect()
}

/// The highest version offered.
fn version(hello: &ClientHello) -> &'static str {
    match hello.versions().into_iter().max() {
        Some(0x0304) => "13",
        Some(0x0303) => "12",
        Some(0x0302) => "11",
        Some(0x0301) => "10",
        Some(0x0300) => "s3",
        Some(0x0002) => "s2",
        _ => "00",
    }
}

/// The two ends of the first protocol's name; where one of them is no letter or digit, the two
/// ends of the name in hex.
fn alpn(ends: Option<[u8; 2]>) -> [char; 2] {
    let Some([first, last]) = ends else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 0x0f)]
}

/// Four hex digits each, with commas between them.
fn list(values: &[u16]) -> String {
    let mut text = String::with_capacity(values.len() * 5);
    for value in values {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing into a string cannot fail.
        let _written = write!(text, "{comma}{value:04x}");
    }
    text
}

fn push_hash(text: &mut String, hashed: &str) {
    if hashed.is_empty() {
        text.push_str("000000000000");
        return;
    }
    for byte in digest(&SHA256, hashed.as_bytes()).as_ref().iter().take(6) {
        let _written = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(list: &str) -> Vec<u16> {
        list.split(',').map(|value| u16::from_str_radix(value, 16).unwrap()).collect()
    }

    /// The example of the published description.
    fn example() -> ClientHello {
        ClientHello {
            legacy_version: 0x0303,
            cipher_suites: hex(
                "aaaa,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035",
            ),
            extensions: hex(
                "0a0a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,\
                 0015",
            ),
            alpn_ends: Some(*b"h2"),
            supported_versions: hex("3a3a,0304,0303"),
            signature_algorithms: hex("0403,0804,0401,0503,0805,0501,0806,0601"),
            ..ClientHello::default()
        }
    }

    #[test]
    fn the_published_example_comes_out() {
        let hello = example();
        assert_eq!(fingerprint(&hello, Carrier::Tcp), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(fingerprint(&hello, Carrier::Quic), "q13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn without_signature_algorithms_the_list_ends_without_underscore() {
        let hello = ClientHello { signature_algorithms: Vec::new(), ..example() };
        // Also published.
        assert_eq!(fingerprint(&hello, Carrier::Tcp), "t13d1516h2_8daaf6152771_6d807ffa2a79");
    }

    #[test]
    fn empty_lists_hash_to_zeros() {
        let hello = ClientHello { legacy_version: 0x0301, ..ClientHello::default() };
        assert_eq!(fingerprint(&hello, Carrier::Tcp), "t10i000000_000000000000_000000000000");
    }

    #[test]
    fn counts_stop_at_99() {
        let hello = ClientHello {
            legacy_version: 0x0302,
            cipher_suites: (0..200).collect(),
            extensions: (1..300).collect(),
            ..ClientHello::default()
        };
        assert!(fingerprint(&hello, Carrier::Tcp).starts_with("t11i999900_"));
    }

    #[test]
    fn alpn_that_is_not_alphanumeric_is_told_in_hex() {
        let cases: &[(&[u8], &str)] = &[
            (b"h2", "h2"),
            (b"http/1.1", "h1"),
            (b"x", "xx"),
            (b"\xab", "ab"),
            (b"\xab\xcd", "ad"),
            (b"\x30\xab", "3b"),
            (b"\x30\x31\xab\xcd", "3d"),
            (b"\x30\xab\xcd\x31", "01"),
        ];
        for (name, expected) in cases {
            let ends = [*name.first().unwrap(), *name.last().unwrap()];
            let [first, last] = alpn(Some(ends));
            assert_eq!(format!("{first}{last}"), *expected, "{name:x?}");
        }
        assert_eq!(alpn(None), ['0', '0']);
    }

    #[test]
    fn versions_have_names() {
        for (number, name) in [(0x0304, "13"), (0x0303, "12"), (0x0300, "s3"), (0x7f1c, "00")] {
            let hello = ClientHello { supported_versions: vec![number], ..ClientHello::default() };
            assert_eq!(version(&hello), name);
        }
    }
}
