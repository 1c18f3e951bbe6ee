use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::exchange::{DnsAddress, DnsMessage};

/// Flags, and the four counts.
fn header(flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    bytes
}

/// A name without compression; `""` is the root.
fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn question(name: &str, kind: u16) -> Vec<u8> {
    [wire(name), kind.to_be_bytes().to_vec(), vec![0, 1]].concat()
}

fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [owner, &kind.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &len.to_be_bytes(), data].concat()
}

fn address(name: &str, address: &str, ttl: u32) -> DnsAddress {
    DnsAddress { name: name.to_owned(), address: address.parse().unwrap(), ttl }
}

fn response(questions: &[(&str, u16)], records: &[Vec<u8>]) -> Vec<u8> {
    let count = |len: usize| u16::try_from(len).unwrap();
    let mut bytes = header(0x8180, [count(questions.len()), count(records.len()), 0, 0]);
    questions.iter().for_each(|(name, kind)| bytes.extend(question(name, *kind)));
    records.iter().for_each(|record| bytes.extend(record));
    bytes
}

/// A pointer to the first question's name.
const ASKED: &[u8] = &[0xc0, 12];

/// `MCP.Example.com` is an alias of an alias; its answers are compressed as servers do it.
fn chained() -> Vec<u8> {
    let mut bytes = response(
        &[("MCP.Example.com", 1)],
        &[record(ASKED, 5, 300, &[wire("edge")[..5].to_vec(), vec![0xc0, 16]].concat())],
    );
    // Owner of the next record: the target of the first, whose data starts after 12 bytes.
    let target = 12 + 21 + 12;
    bytes.extend(record(&[0xc0, target], 5, 60, &wire("node.cdn.test")));
    bytes.extend(record(&wire("node.CDN.test"), 1, 120, &[192, 0, 2, 7]));
    bytes.extend(record(&wire("node.cdn.test"), 1, 20, &[192, 0, 2, 8]));
    bytes.extend(record(&wire("other.test"), 1, 20, &[192, 0, 2, 9]));
    bytes[7] = 5;
    bytes
}

#[test]
fn a_query_has_questions_only() {
    let bytes = [header(0x0100, [1, 0, 0, 1]), question("Api.Example.com", 65)].concat();
    let bytes = [bytes, record(&[0], 41, 0, &[])].concat();
    let expected =
        DnsMessage { questions: vec![("api.example.com".to_owned(), 65)], ..DnsMessage::default() };
    assert_eq!(parse(&bytes), Some(expected));
}

#[test]
fn addresses_come_under_the_name_that_was_asked_for() {
    let parsed = parse(&chained()).unwrap();
    assert!(parsed.response);
    assert_eq!(parsed.questions, [("mcp.example.com".to_owned(), 1)]);
    let name = "mcp.example.com";
    assert_eq!(parsed.addresses, [address(name, "192.0.2.7", 60), address(name, "192.0.2.8", 20)]);
}

#[test]
fn every_cut_gives_a_part_of_the_whole() {
    let bytes = chained();
    let whole = parse(&bytes).unwrap();
    let asked = 12 + question("MCP.Example.com", 1).len();
    for cut in 0..bytes.len() {
        match parse(&bytes[..cut]) {
            None => assert!(cut < asked, "{cut}"),
            Some(part) => {
                assert!(cut >= asked, "{cut}");
                assert_eq!(part.questions, whole.questions);
                assert!(whole.addresses.starts_with(&part.addresses), "{cut}");
            }
        }
    }
}

#[test]
fn records_of_both_families_are_read() {
    let six: IpAddr = "2001:db8::5".parse().unwrap();
    let IpAddr::V6(octets) = six else { unreachable!() };
    let bytes = response(
        &[("a.test", 28)],
        &[
            record(ASKED, 28, 9, &octets.octets()),
            record(ASKED, 1, 9, &[192, 0, 2, 1]),
            // Wrong length, wrong class, unknown type.
            record(ASKED, 1, 9, &[192, 0, 2]),
            record(ASKED, 16, 9, b"\x03abc"),
        ],
    );
    let expected = [address("a.test", "2001:db8::5", 9), address("a.test", "192.0.2.1", 9)];
    assert_eq!(parse(&bytes).unwrap().addresses, expected);
}

#[test]
fn service_records_give_hints_and_ech() {
    let param = |key: u16, value: &[u8]| {
        [&key.to_be_bytes(), &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    };
    let plain = [
        vec![0, 1],
        wire(""),
        param(1, b"\x02h3"),
        param(4, &[192, 0, 2, 1, 192, 0, 2, 2]),
        param(6, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ]
    .concat();
    let parsed = parse(&response(&[("a.test", 65)], &[record(ASKED, 65, 7, &plain)])).unwrap();
    let expected = [
        address("a.test", "192.0.2.1", 7),
        address("a.test", "192.0.2.2", 7),
        address("a.test", "2001:db8::1", 7),
    ];
    assert_eq!(parsed.addresses, expected);
    assert!(!parsed.ech);
    let hidden = [vec![0, 1], wire(""), param(5, b"keys")].concat();
    assert!(parse(&response(&[("a.test", 65)], &[record(ASKED, 65, 7, &hidden)])).unwrap().ech);
    // AliasMode: parameters mean nothing, and the target's addresses are the owner's.
    let alias = [vec![0, 0], wire("pool.test"), param(5, b"keys")].concat();
    let records = [record(ASKED, 64, 7, &alias), record(&wire("pool.test"), 1, 9, &[192, 0, 2, 3])];
    let parsed = parse(&response(&[("a.test", 64)], &records)).unwrap();
    assert_eq!(parsed.addresses, [address("a.test", "192.0.2.3", 7)]);
    assert!(!parsed.ech);
}

#[test]
fn multicast_answers_come_under_their_own_names() {
    let mut bytes = header(0x8400, [0, 1, 0, 0]);
    let mut answer = record(&wire("printer.local"), 1, 120, &[192, 0, 2, 5]);
    // The cache-flush bit.
    answer[wire("printer.local").len() + 2] = 0x80;
    bytes.extend(answer);
    let parsed = parse(&bytes).unwrap();
    assert_eq!(parsed.addresses, [address("printer.local", "192.0.2.5", 120)]);
}

#[test]
fn codes_have_twelve_bits() {
    let mut bytes = response(&[("a.test", 1)], &[]);
    bytes[3] |= 3;
    assert_eq!(parse(&bytes).unwrap().code, 3);
    bytes[11] = 1;
    bytes.extend(record(&[0], 41, 0x0100_0000, &[]));
    assert_eq!(parse(&bytes).unwrap().code, 0x13);
}

#[test]
fn what_is_not_dns_is_told() {
    let query = [header(0x0100, [1, 0, 0, 0]), question("a.test", 1)].concat();
    assert!(parse(&query).is_some());
    let mut update = query.clone();
    update[2] |= 0x28;
    let cases: &[&[u8]] = &[
        b"",
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        &query[..11],
        &query[..15],
        &update,
        &header(0x0100, [0, 1, 0, 0]),
        &header(0x8180, [0, 0, 0, 0]),
        &header(0x8400, [0, 1, 0, 0]),
    ];
    for case in cases {
        assert_eq!(parse(case), None, "{case:x?}");
    }
}

#[test]
fn names_end() {
    let message = |name: &[u8]| [&header(0x0100, [1, 0, 0, 0]), name, &[0, 1, 0, 1]].concat();
    let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
    let over = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63)].join(".");
    let table: &[(&[u8], Option<&str>)] = &[
        (&wire(""), Some("")),
        (b"\x03A.b\x00", Some("a\\.b")),
        (b"\x02\xff\xfe\x00", Some("\u{fffd}\u{fffd}")),
        (&wire(&long), Some(&long)),
        (&wire(&over), None),
        // Pointers to themselves, forwards, and back into the name they end.
        (&[0xc0, 12], None),
        (&[0xc0, 14, 1, b'a', 0], None),
        (&[1, b'a', 0xc0, 12], None),
        (&[0x40, 1], None),
        (&[0x80, 1], None),
    ];
    for (name, expected) in table {
        let asked = parse(&message(name)).map(|parsed| parsed.questions[0].0.clone());
        assert_eq!(asked.as_deref(), *expected, "{name:x?}");
    }
}

#[test]
fn counts_are_bounded() {
    let questions = vec![("a.test", 1); 40];
    assert_eq!(parse(&response(&questions, &[])).unwrap().questions.len(), 16);
    let ip = |index: u16| [192, 0, index.to_be_bytes()[0], index.to_be_bytes()[1]];
    let records: Vec<_> = (0..200).map(|index| record(ASKED, 1, 1, &ip(index))).collect();
    assert_eq!(parse(&response(&[("a.test", 1)], &records)).unwrap().addresses.len(), 64);
    // Aliases in a ring.
    let ring = [
        record(ASKED, 5, 1, &wire("b.test")),
        record(&wire("b.test"), 5, 1, &wire("a.test")),
        record(&wire("b.test"), 1, 1, &[192, 0, 2, 1]),
    ];
    let parsed = parse(&response(&[("a.test", 1)], &ring)).unwrap();
    assert_eq!(parsed.addresses, [address("a.test", "192.0.2.1", 1)]);
    let chain: Vec<_> = (0..60)
        .map(|index| {
            record(&wire(&format!("n{index}.test")), 5, 1, &wire(&format!("n{}.test", index + 1)))
        })
        .chain([record(&wire("n60.test"), 1, 1, &[192, 0, 2, 1])])
        .collect();
    assert!(parse(&response(&[("n0.test", 1)], &chain)).unwrap().addresses.is_empty());
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let framed = |message: &Vec<u8>| {
        [&u16::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat()
    };
    messages.iter().flat_map(framed).collect()
}

fn read(pieces: &[&[u8]]) -> (Vec<DnsMessage>, bool) {
    let (mut stream, mut found) = (Stream::default(), Vec::new());
    pieces.iter().for_each(|piece| stream.push(piece, |message| found.push(message)));
    (found, stream.is_lost())
}

#[test]
fn streams_are_the_same_at_every_cut() {
    let query = [header(0x0100, [1, 0, 0, 0]), question("a.test", 1)].concat();
    // In the middle an empty frame, and one that is no query.
    let bytes = framed(&[query, vec![], chained(), vec![0xff; 30], chained()]);
    let whole = read(&[&bytes]);
    assert_eq!((whole.0.len(), whole.1), (3, false));
    for cut in 0..=bytes.len() {
        let (left, right) = bytes.split_at(cut);
        assert_eq!(read(&[left, right]), whole, "{cut}");
    }
    assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), whole);
}

#[test]
fn a_stream_that_does_not_begin_like_dns_is_lost_early() {
    for bytes in [
        &b"\xff\xffGET / HTTP/1.1\r\nhost: a"[..],
        b"\x00\x05abc",
        b"\x00\x00",
        b"\x01\x00\x00\x00\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00",
    ] {
        assert_eq!(read(&[bytes]), (vec![], true), "{bytes:x?}");
        assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>()), (vec![], true), "{bytes:x?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        fuzz(&bytes);
        let mut message = chained();
        for (at, byte) in changes {
            *at.get_mut(&mut message) = byte;
        }
        fuzz(&message);
        fuzz(&[vec![5], framed(&[message])].concat());
    }
}
