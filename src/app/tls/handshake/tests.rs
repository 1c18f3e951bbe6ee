use proptest::prelude::*;

use super::*;
use crate::exchange::{Carrier, Ech};

/// A sample by its name.
fn sample(name: &str) -> Vec<u8> {
    let mut lines = include_str!("tests/samples.txt").lines();
    assert!(lines.any(|line| line.strip_prefix("= ") == Some(name)), "{name}");
    let hex: String = lines.take_while(|line| !line.is_empty()).collect();
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(byte).collect()
}

/// Every message with its type.
fn messages(pieces: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
    let mut reader = Messages::default();
    let mut found = Vec::new();
    for piece in pieces {
        reader.push(piece, |kind, body, whole| {
            assert_eq!(&whole[4..], body);
            assert_eq!(whole[0], kind);
            found.push((kind, body.to_vec()));
        });
    }
    found
}

fn body(sample_name: &str, kind: u8) -> Vec<u8> {
    let found = messages(&[&sample(sample_name)]);
    found.into_iter().find(|(found, _)| *found == kind).unwrap().1
}

fn u8_vector(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).unwrap()], content].concat()
}

fn u16_vector(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

fn u24_vector(content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len()).unwrap().to_be_bytes()[1..], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [kind.to_be_bytes().to_vec(), u16_vector(content)].concat()
}

fn hello_of(extensions: &[Vec<u8>]) -> Vec<u8> {
    let fixed = [&[3, 3][..], &[7; 32], &u8_vector(&[]), &u16_vector(&[0x13, 1]), &[1, 0]].concat();
    [fixed, u16_vector(&extensions.concat())].concat()
}

#[test]
fn client_hellos_of_real_clients_are_read() {
    let table: &[(&str, &str, &[&str], &str, bool)] = &[
        (
            "client-node-tls12",
            "tools.corp.test",
            &["http/1.1"],
            "t13d5911h1_a33745022dd6_1f22a2ca17c4",
            false,
        ),
        (
            "client-python",
            "mcp.corp.test",
            &["h2", "http/1.1"],
            "t13d1812h2_85036bcba153_d41ae481755e",
            false,
        ),
        (
            "client-resumption",
            "mcp.corp.test",
            &["http/1.1"],
            "t13d5912h1_a33745022dd6_dbd39dd1d406",
            true,
        ),
    ];
    for (name, sni, alpn, ja4, psk) in table {
        let hello = client_hello(&body(name, kind::CLIENT_HELLO)).unwrap();
        let summary = hello.summary(Carrier::Tcp);
        assert_eq!(summary.sni.as_deref(), Some(*sni));
        assert_eq!(summary.alpn, *alpn);
        assert_eq!(summary.versions, [0x0304, 0x0303]);
        assert_eq!(summary.ja4, *ja4);
        assert_eq!(summary.ech, Ech::Absent);
        assert_eq!((hello.psk, hello.early_data), (*psk, false));
        assert_eq!(hello.session_id.len(), 32);
    }
}

#[test]
fn server_hellos_of_real_servers_are_read() {
    let old = server_hello(&body("server-tls12", kind::SERVER_HELLO)).unwrap();
    assert_eq!((old.version, old.cipher_suite), (0x0303, 0xc02b));
    assert_eq!(old.alpn.as_deref(), Some("http/1.1"));
    assert!(old.extended_master_secret && !old.encrypt_then_mac && !old.hello_retry && !old.psk);
    let new = server_hello(&body("server-resumption", kind::SERVER_HELLO)).unwrap();
    assert_eq!((new.legacy_version, new.version, new.cipher_suite), (0x0303, 0x0304, 0x1302));
    assert_eq!(new.alpn, None);
    assert!(new.psk && !new.hello_retry);
}

#[test]
fn a_retry_request_is_told_by_its_random() {
    use ring::digest::{SHA256, digest};
    let random = digest(&SHA256, b"HelloRetryRequest");
    let bytes = [&[3, 3][..], random.as_ref(), &[0, 0x13, 1, 0, 0, 0]].concat();
    let hello = server_hello(&bytes).unwrap();
    assert!(hello.hello_retry);
    assert_eq!(hello.cipher_suite, 0x1301);
}

#[test]
fn certificates_name_what_they_are_for() {
    let certificate = body("server-tls12", kind::CERTIFICATE);
    let expected = ["*.corp.test", "localhost", "10.77.1.3", "10.77.2.3"];
    assert_eq!(certificate_names(&certificate, false), expected);
    assert_eq!(certificate_names(&certificate, true), Vec::<String>::new());
    // The same leaf in a message of TLS 1.3.
    let leaf = &certificate[3..];
    let entry = [leaf, &[0, 0]].concat();
    let modern = [u8_vector(b"context"), u24_vector(&entry)].concat();
    assert_eq!(certificate_names(&modern, true), expected);
    let named = u24_vector(&u24_vector(&sample("certificate-common-name")));
    assert_eq!(certificate_names(&named, false), ["old.corp.test"]);
}

#[test]
fn broken_certificates_have_no_names_and_do_no_harm() {
    let whole = body("server-tls12", kind::CERTIFICATE);
    for cut in 0..whole.len() {
        assert!(certificate_names(&whole[..cut], false).is_empty(), "{cut}");
        let mut changed = whole.clone();
        changed[cut] ^= 0x81;
        assert!(certificate_names(&changed, false).len() <= 8);
    }
}

#[test]
fn alpn_of_tls13_is_in_the_encrypted_extensions() {
    let body = u16_vector(
        &[extension(10, &[0, 2, 0, 29]), extension(16, &u16_vector(&u8_vector(b"h2")))].concat(),
    );
    assert_eq!(encrypted_extensions_alpn(&body).as_deref(), Some("h2"));
    assert_eq!(encrypted_extensions_alpn(&[0, 0]), None);
    assert_eq!(encrypted_extensions_alpn(&[]), None);
}

#[test]
fn a_broken_extension_keeps_what_was_read_before_it() {
    let whole = body("client-python", kind::CLIENT_HELLO);
    let full = client_hello(&whole).unwrap();
    let mut found = 0;
    for cut in 0..whole.len() {
        let Some(hello) = client_hello(&whole[..cut]) else {
            assert_eq!(found, 0, "{cut}");
            continue;
        };
        assert!(full.extensions.starts_with(&hello.extensions));
        assert!(hello.extensions.len() >= found);
        found = hello.extensions.len();
        assert_eq!(hello.cipher_suites, full.cipher_suites);
    }
    assert_eq!(found, full.extensions.len() - 1);
}

#[test]
fn names_are_lower_case_and_bounded() {
    let sni = |name: &[u8]| {
        let list = u16_vector(&[&[0][..], &u16_vector(name)].concat());
        client_hello(&hello_of(&[extension(0, &list)])).unwrap().sni
    };
    assert_eq!(sni(b"MCP.Example.COM").as_deref(), Some("mcp.example.com"));
    assert_eq!(sni(b"mcp.example.com.").as_deref(), Some("mcp.example.com"));
    assert_eq!(sni(b"\xff").as_deref(), Some("\u{fffd}"));
    assert_eq!(sni(&[b'a'; 999]).unwrap().len(), 255);
    assert_eq!(sni(b""), None);
    // Another type of name first.
    let list = [&[9][..], &u16_vector(b"?"), &[0], &u16_vector(b"b")].concat();
    let hello = client_hello(&hello_of(&[extension(0, &u16_vector(&list))])).unwrap();
    assert_eq!(hello.sni.as_deref(), Some("b"));
}

#[test]
fn grease_is_left_out_and_ech_told() {
    let versions = u8_vector(&[0x1a, 0x1a, 3, 4, 3, 3]);
    let protocols = u16_vector(&[u8_vector(b"h3"), u8_vector(b"h2")].concat());
    let extensions = [
        extension(0x2a2a, &[]),
        extension(43, &versions),
        extension(65037, &[0, 1]),
        extension(16, &protocols),
        extension(42, &[]),
        extension(13, &u16_vector(&[4, 3, 8, 4])),
    ];
    let hello = client_hello(&hello_of(&extensions)).unwrap();
    assert_eq!(hello.extensions, [0x2a2a, 43, 65037, 16, 42, 13]);
    assert_eq!(hello.signature_algorithms, [0x0403, 0x0804]);
    assert!(hello.early_data);
    let summary = hello.summary(Carrier::Quic);
    assert_eq!(summary.versions, [0x0304, 0x0303]);
    assert_eq!(summary.alpn, ["h3", "h2"]);
    assert_eq!(summary.ech, Ech::Offered);
    assert!(summary.ja4.starts_with("q13i0105h3_"), "{}", summary.ja4);
}

#[test]
fn old_hellos_have_no_extensions() {
    let bytes = [&[3, 1][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let hello = client_hello(&bytes).unwrap();
    assert_eq!(hello.versions(), [0x0301]);
    assert_eq!(hello.cipher_suites, [0x2f]);
    assert_eq!(client_hello(&[&[2, 0][..], &bytes[2..]].concat()), None);
}

#[test]
fn grease_has_sixteen_values() {
    let all: Vec<u16> = (0..=u16::MAX).filter(|value| is_grease(*value)).collect();
    assert_eq!(all.len(), 16);
    assert_eq!((all[0], all[15]), (0x0a0a, 0xfafa));
}

#[test]
fn messages_are_the_same_at_every_cut() {
    let flight = sample("server-tls12");
    let whole = messages(&[&flight]);
    let kinds: Vec<u8> = whole.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [2, 11, 12, 14]);
    for cut in 0..=flight.len() {
        let (left, right) = flight.split_at(cut);
        assert_eq!(messages(&[left, right]), whole, "{cut}");
    }
    let bytes: Vec<&[u8]> = flight.chunks(1).collect();
    assert_eq!(messages(&bytes), whole);
}

#[test]
fn a_message_past_the_bound_is_skipped() {
    let long = [&[11][..], &u24_vector(&vec![0; MAX_MESSAGE_BYTES + 1]), &[14, 0, 0, 0]].concat();
    let fits = [&[11][..], &u24_vector(&vec![0; MAX_MESSAGE_BYTES]), &[14, 0, 0, 0]].concat();
    for step in [1, 3, 1000, usize::MAX] {
        let pieces: Vec<&[u8]> = long.chunks(step).collect();
        assert_eq!(messages(&pieces), [(14, vec![])]);
        let pieces: Vec<&[u8]> = fits.chunks(step).collect();
        assert_eq!(messages(&pieces).len(), 2);
    }
    let mut reader = Messages::default();
    assert!(!reader.oversized() && !reader.is_partial());
    reader.push(&long[..9], |_, _, _| unreachable!());
    assert!(reader.oversized() && reader.is_partial());
    reader.reset();
    assert!(reader.oversized() && !reader.is_partial());
    let mut found = 0;
    reader.push(&[14, 0, 0, 0], |_, _, _| found += 1);
    assert_eq!(found, 1);
}

proptest! {
    #[test]
    fn no_bytes_do_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        name in prop::sample::select(vec!["client-resumption", "server-tls12"]),
    ) {
        fuzz(&bytes);
        let mut sample = sample(name);
        for (at, byte) in changes {
            *at.get_mut(&mut sample) = byte;
        }
        fuzz(&[&[3], &*sample].concat());
    }
}
