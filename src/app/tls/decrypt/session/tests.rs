//! Recorded connections, cut, reordered and damaged in all ways.

use std::collections::BTreeMap;

use super::super::keyring::{Keyring, Limits as KeyringLimits};
use super::super::record::Header;
use super::super::samples::{Connection, connections, file, unhex};
use super::*;

/// What was told, pieces of data that follow each other put together.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Hello(Side, Option<String>),
    Answer(u16, u16, Option<String>, Vec<String>),
    Plain(Vec<u8>),
    Gap(u64),
    End,
    Anomaly(&'static str),
}

/// By side (`None`: of the connection), because sides interleave in any way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record(BTreeMap<Option<Side>, Vec<Told>>);

impl Record {
    fn of(&mut self, side: Option<Side>) -> &mut Vec<Told> {
        self.0.entry(side).or_default()
    }

    fn plain(&self, side: Side) -> String {
        let told = self.0.get(&Some(side)).into_iter().flatten();
        let text = told.map(|told| match told {
            Told::Plain(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Told::Gap(len) => format!("<{len}>"),
            Told::End => "<end>".to_owned(),
            other => format!("{other:?}"),
        });
        text.collect()
    }

    fn anomalies(&self) -> Vec<&'static str> {
        let told = self.0.get(&None).into_iter().flatten();
        told.filter_map(|told| if let Told::Anomaly(kind) = told { Some(*kind) } else { None })
            .collect()
    }

    fn answers(&self) -> Vec<&Told> {
        let told = self.0.get(&None).into_iter().flatten();
        told.filter(|told| matches!(told, Told::Answer(..))).collect()
    }
}

impl Receiver for Record {
    fn hello(&mut self, client: Side, hello: &TlsHello) {
        self.of(None).push(Told::Hello(client, hello.sni.clone()));
    }

    fn answer(&mut self, answer: &TlsAnswer) {
        let TlsAnswer { version, cipher_suite, alpn, names } = answer.clone();
        self.of(None).push(Told::Answer(version, cipher_suite, alpn, names));
    }

    fn plain(&mut self, side: Side, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        let told = self.of(Some(side));
        if let Some(Told::Plain(before)) = told.last_mut() {
            before.extend_from_slice(bytes);
        } else {
            told.push(Told::Plain(bytes.to_vec()));
        }
    }

    fn plain_gap(&mut self, side: Side, len: u64) {
        assert!(len > 0);
        self.of(Some(side)).push(Told::Gap(len));
    }

    fn plain_end(&mut self, side: Side) {
        self.of(Some(side)).push(Told::End);
    }

    fn anomaly(&mut self, kind: &'static str) {
        self.of(None).push(Told::Anomaly(kind));
    }
}

/// A session under test.
struct Run {
    session: Session,
    keys: Keyring,
    limits: Limits,
    scratch: Scratch,
    record: Record,
    outlook: Outlook,
}

impl Run {
    fn new(keylog: &[u8]) -> Self {
        let keys = Keyring::default();
        keys.add_text(keylog);
        Self {
            session: Session::new(),
            keys,
            limits: Limits::default(),
            scratch: Scratch::default(),
            record: Record::default(),
            outlook: Outlook::Open,
        }
    }

    fn env(&mut self) -> (&mut Session, Env<'_>, &mut Record) {
        let Self { session, keys, limits, scratch, record, .. } = self;
        (session, Env { keys, limits, scratch }, record)
    }

    fn push(&mut self, side: Side, bytes: &[u8]) {
        let (session, mut env, record) = self.env();
        self.outlook = session.push(side, bytes, &mut env, record);
    }

    fn gap(&mut self, side: Side, len: usize) {
        let (session, mut env, record) = self.env();
        self.outlook = session.gap(side, len as u64, &mut env, record);
    }

    fn finish(mut self) -> Self {
        for side in [Side::Originator, Side::Responder] {
            let (session, mut env, record) = self.env();
            self.outlook = session.finish(side, &mut env, record);
        }
        self
    }

    fn all(mut self, connection: &Connection) -> Self {
        for (side, bytes) in connection {
            self.push(*side, bytes);
        }
        self.finish()
    }
}

struct Sample {
    name: &'static str,
    keylog: Vec<u8>,
    connections: Vec<Connection>,
}

fn sample(name: &'static str) -> Sample {
    let folder =
        if file(&format!("tests/tls/{name}.pcap")).exists() { "tests/tls" } else { "captures" };
    Sample {
        name,
        keylog: std::fs::read(file(&format!("{folder}/{name}.keylog"))).unwrap(),
        connections: connections(&file(&format!("{folder}/{name}.pcap"))),
    }
}

impl Sample {
    fn read(&self, connection: usize) -> Record {
        let run = Run::new(&self.keylog).all(&self.connections[connection]);
        run.record
    }
}

const SAID: &str = "first line of the client\na second one, longer than the first\nlast\n<end>";
const ANSWERED: &str = "tneilc eht fo enil tsrif\ntsrif eht naht regnol ,eno dnoces a\ntsal\n";

/// Client and server in plain, of connections that `record.sh` makes with its usual lines.
fn is_usual(record: &Record) -> bool {
    record.plain(Side::Originator) == SAID
        && record.plain(Side::Responder).starts_with(ANSWERED)
        && record.anomalies().is_empty()
}

#[test]
fn every_suite_is_read() {
    for (name, version, suite) in [
        ("tls13-TLS_AES_128_GCM_SHA256", 0x0304, 0x1301),
        ("tls13-TLS_AES_256_GCM_SHA384", 0x0304, 0x1302),
        ("tls13-TLS_CHACHA20_POLY1305_SHA256", 0x0304, 0x1303),
        ("tls12-ECDHE-ECDSA-AES128-GCM-SHA256", 0x0303, 0xC02B),
        ("tls12-ECDHE-ECDSA-AES256-GCM-SHA384", 0x0303, 0xC02C),
        ("tls12-ECDHE-ECDSA-CHACHA20-POLY1305", 0x0303, 0xCCA9),
        ("tls12-ECDHE-ECDSA-AES128-SHA", 0x0303, 0xC009),
        ("tls12-ECDHE-ECDSA-AES256-SHA", 0x0303, 0xC00A),
        ("tls12-ECDHE-ECDSA-AES128-SHA256", 0x0303, 0xC023),
        ("tls12-ECDHE-ECDSA-AES256-SHA384", 0x0303, 0xC024),
        ("tls12-AES128-SHA", 0x0303, 0x002F),
        ("tls12-AES256-SHA256", 0x0303, 0x003D),
    ] {
        let sample = sample(name);
        let record = sample.read(0);
        assert!(is_usual(&record), "{name}: {record:?}");
        let names = match name {
            "tls12-AES128-SHA" | "tls12-AES256-SHA256" => vec!["lab.test".to_owned()],
            _ => vec!["lab.test".to_owned(), "other.lab.test".to_owned()],
        };
        let hello = Told::Hello(Side::Originator, Some("lab.test".to_owned()));
        let answer = Told::Answer(version, suite, None, names);
        assert_eq!(record.0[&None], [hello, answer], "{name}");
    }
}

#[test]
fn resumed_connections_are_read_too() {
    for name in ["tls12-resumption", "tls12-session-id", "tls13-resumption"] {
        let sample = sample(name);
        assert_eq!(sample.connections.len(), 2, "{name}");
        for connection in 0..2 {
            let record = sample.read(connection);
            assert!(is_usual(&record), "{name} {connection}: {record:?}");
            let Some(Told::Answer(_, _, _, names)) = record.answers().pop() else { panic!() };
            assert_eq!(names.is_empty(), connection == 1, "{name}");
        }
    }
}

#[test]
fn a_hello_retry_is_followed() {
    let record = sample("tls13-hello-retry").read(0);
    assert!(is_usual(&record), "{record:?}");
}

#[test]
fn key_updates_of_both_sides_are_followed() {
    let record = sample("tls13-key-update").read(0);
    assert_eq!(record.plain(Side::Originator), "one\ntwo\nthree\nfour\n<end>");
    assert!(record.plain(Side::Responder).starts_with("eno\nowt\neerht\nruof\n"), "{record:?}");
}

#[test]
fn early_data_is_read_or_its_absence_told() {
    let sample = sample("tls13-early-data");
    let early = "early words of the client\n";
    let record = sample.read(1);
    assert_eq!(record.plain(Side::Originator), format!("{early}{SAID}"));
    let keylog: Vec<u8> = sample
        .keylog
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"CLIENT_EARLY"))
        .flatten()
        .copied()
        .collect();
    let record = Run::new(&keylog).all(&sample.connections[1]).record;
    assert_eq!(record.plain(Side::Originator), format!("<{}>{SAID}", early.len()));
    assert!(record.anomalies().is_empty());
}

#[test]
fn renegotiation_ends_the_reading() {
    let run = sample("tls12-renegotiation");
    let run = Run::new(&run.keylog).all(&run.connections[0]);
    assert_eq!(run.record.plain(Side::Originator), "before\n");
    assert_eq!(run.record.anomalies(), ["tls-renegotiation"]);
    assert_eq!(run.outlook, Outlook::Hopeless);
}

#[test]
fn what_is_not_decrypted_is_told_with_its_answer() {
    for (name, anomaly) in [
        ("tls13-TLS_AES_128_CCM_SHA256", "tls-unsupported-suite"),
        ("tls11", "tls-unsupported-version"),
    ] {
        let sample = sample(name);
        let run = Run::new(&sample.keylog).all(&sample.connections[0]);
        assert_eq!(run.record.anomalies(), [anomaly], "{name}");
        assert_eq!(run.record.answers().len(), 1, "{name}");
        assert_eq!(run.outlook, Outlook::Hopeless);
        assert_eq!(run.record.plain(Side::Originator), "");
    }
}

/// Short captures for tests that go through every offset.
const SHORT: [&str; 6] = [
    "tls13-TLS_AES_128_GCM_SHA256",
    "tls13-key-update",
    "tls13-hello-retry",
    "tls12-ECDHE-ECDSA-AES128-GCM-SHA256",
    "tls12-ECDHE-ECDSA-AES128-SHA",
    "tls12-AES128-SHA",
];

#[test]
fn every_cut_gives_the_same() {
    for name in SHORT.into_iter().chain(["tls13-2026-py2-keylog", "tls12-node-keylog"]) {
        let sample = sample(name);
        for (number, connection) in sample.connections.iter().enumerate() {
            let whole = sample.read(number);
            assert!(whole.0.len() == 3, "{name}");
            let mut bytewise = Run::new(&sample.keylog);
            for (side, bytes) in connection {
                bytes.iter().for_each(|byte| bytewise.push(*side, &[*byte]));
            }
            assert_eq!(bytewise.finish().record, whole, "{name} {number} by bytes");
            let last = connection.iter().map(|(_, bytes)| bytes.len()).max().unwrap();
            for cut in 1..last {
                let mut run = Run::new(&sample.keylog);
                for (side, bytes) in connection {
                    let (first, second) = bytes.split_at(cut.min(bytes.len()));
                    run.push(*side, first);
                    run.push(*side, second);
                }
                assert_eq!(run.finish().record, whole, "{name} {number} at {cut}");
            }
        }
    }
}

fn side_of(connection: &Connection, side: Side) -> Vec<u8> {
    let of_side = connection.iter().filter(|(of, _)| *of == side);
    of_side.flat_map(|(_, bytes)| bytes.iter().copied()).collect()
}

#[test]
fn the_order_of_the_sides_does_not_matter() {
    let names = ["tls12-resumption", "tls13-early-data", "tls13-resumption"];
    for name in SHORT.into_iter().chain(names) {
        let sample = sample(name);
        for (number, connection) in sample.connections.iter().enumerate() {
            let whole = sample.read(number);
            for order in [[Side::Originator, Side::Responder], [Side::Responder, Side::Originator]]
            {
                let mut run = Run::new(&sample.keylog);
                for side in order {
                    run.push(side, &side_of(connection, side));
                }
                assert_eq!(run.finish().record, whole, "{name} {number} {order:?}");
            }
        }
    }
}

#[test]
fn secrets_that_come_late_open_what_was_held() {
    for name in SHORT.into_iter().chain(["tls13-early-data", "tls12-resumption"]) {
        let sample = sample(name);
        let lines: Vec<_> = sample.keylog.split_inclusive(|byte| *byte == b'\n').collect();
        for (number, connection) in sample.connections.iter().enumerate() {
            let whole = sample.read(number);
            // All after so many chunks, or one line with each chunk from there on.
            for start in 0..=connection.len() {
                for at_once in [true, false] {
                    let mut run = Run::new(b"");
                    run.keys.expect_more(true);
                    let mut left = lines.iter();
                    for (index, (side, bytes)) in connection.iter().enumerate() {
                        if index >= start {
                            let count = if at_once { lines.len() } else { 1 };
                            left.by_ref().take(count).for_each(|line| {
                                run.keys.add_text(line);
                            });
                        }
                        run.push(*side, bytes);
                        assert_eq!(run.outlook, Outlook::Open);
                    }
                    left.for_each(|line| {
                        run.keys.add_text(line);
                    });
                    run.push(Side::Originator, &[]);
                    let mut record = run.finish().record;
                    // Where early data turned out not to be awaited, it is told as missing.
                    if name == "tls13-early-data" && record != whole {
                        assert!(record.plain(Side::Originator).ends_with(SAID));
                        record = whole.clone();
                    }
                    assert_eq!(record, whole, "{name} {number} {start} {at_once}");
                }
            }
        }
    }
}

#[test]
fn without_secrets_hello_and_answer_are_told_and_hope_ends() {
    for name in SHORT {
        let sample = sample(name);
        let connection = &sample.connections[0];
        let other = sample_keylog_of_another();
        for keylog in [&b""[..], &other] {
            let mut run = Run::new(keylog);
            let mut until_hopeless = 0;
            for (side, bytes) in connection {
                run.push(*side, bytes);
                until_hopeless += usize::from(run.outlook == Outlook::Open);
            }
            assert!(until_hopeless <= 4, "{name}: {until_hopeless}");
            let told = &run.record.0[&None];
            assert!(matches!(told[..], [Told::Hello(..), Told::Answer(..)]), "{name} {told:?}");
            let Told::Answer(version, _, _, names) = &told[1] else { panic!() };
            assert_eq!(names.is_empty(), *version == 0x0304);
            assert_eq!(run.record.0.len(), 1);
        }
    }
}

fn sample_keylog_of_another() -> Vec<u8> {
    format!("CLIENT_RANDOM {} {}\n", "11".repeat(32), "22".repeat(48)).into_bytes()
}

#[test]
fn wrong_secrets_are_told_and_give_nothing() {
    for name in SHORT {
        let sample = sample(name);
        // The same lines, with one digit of each secret changed.
        let keylog: String = String::from_utf8(sample.keylog.clone())
            .unwrap()
            .lines()
            .map(|line| {
                let (rest, last) = line.split_at(line.len() - 1);
                format!("{rest}{}\n", if last == "0" { "1" } else { "0" })
            })
            .collect();
        let run = Run::new(keylog.as_bytes()).all(&sample.connections[0]);
        assert_eq!(run.record.anomalies(), ["tls-decrypt-failed"], "{name}");
        assert_eq!(run.outlook, Outlook::Hopeless);
        assert_eq!(run.record.answers().len(), 1, "{name}");
        assert_eq!(run.record.plain(Side::Originator), "");
        assert!(!run.session.decrypted());
    }
}

#[test]
fn traffic_secrets_alone_do() {
    let sample = sample("tls13-TLS_AES_128_GCM_SHA256");
    let keylog: Vec<u8> = sample
        .keylog
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.windows(9).any(|word| word == b"HANDSHAKE"))
        .flatten()
        .copied()
        .collect();
    let record = Run::new(&keylog).all(&sample.connections[0]).record;
    assert!(is_usual(&record), "{record:?}");
    assert!(matches!(record.answers()[..], [Told::Answer(_, _, None, names)] if names.is_empty()));
}

#[test]
fn what_waits_is_bounded() {
    let sample = sample("tls13-2026-py2-keylog");
    let connection = &sample.connections[0];
    let mut run = Run::new(b"");
    run.keys.expect_more(true);
    run.limits.max_held_bytes = 600;
    for (side, bytes) in connection {
        run.push(*side, bytes);
    }
    assert_eq!(run.outlook, Outlook::Hopeless);
    assert_eq!(run.record.answers().len(), 1);
    let mut run = Run::new(b"");
    run.keys = Keyring::new(KeyringLimits { max_held_bytes: 600, ..KeyringLimits::default() });
    run.keys.expect_more(true);
    for (side, bytes) in connection {
        run.push(*side, bytes);
    }
    assert_eq!(run.outlook, Outlook::Hopeless);
    let mut room = run.keys.room();
    assert!(room.grow(600), "room is given back");
}

#[test]
fn a_connection_met_after_its_hellos_is_given_up() {
    for name in SHORT.into_iter().filter(|name| *name != "tls13-hello-retry") {
        let sample = sample(name);
        for (side, bytes) in sample.connections[0].iter().skip(2) {
            let mut run = Run::new(&sample.keylog);
            run.push(*side, bytes);
            assert_eq!(run.outlook, Outlook::Hopeless, "{name}");
            assert!(run.record.0.is_empty(), "{name} {:?}", run.record);
        }
    }
}

#[test]
fn other_bytes_are_no_records() {
    let mut run = Run::new(b"");
    run.push(Side::Originator, b"GET / HTTP/1.1\r\n");
    assert_eq!(run.record.anomalies(), ["tls-bad-record"]);
    assert_eq!(run.outlook, Outlook::Hopeless);
    run.push(Side::Originator, b"more");
    run.gap(Side::Responder, 3);
    assert_eq!(run.record.anomalies().len(), 1);
}

#[test]
fn a_refused_handshake_ends_quietly() {
    let sample = sample("tls13-TLS_AES_128_GCM_SHA256");
    let mut run = Run::new(&sample.keylog);
    run.push(Side::Originator, &sample.connections[0][0].1);
    run.push(Side::Responder, &[21, 3, 3, 0, 2, 2, 40]);
    assert_eq!(run.outlook, Outlook::Hopeless);
    assert!(run.record.anomalies().is_empty());
}

/// Whether `part` is `whole` with pieces missing, as its gaps say, each of exactly their length if
/// `exact`.
fn is_whole_with_gaps(part: &[Told], whole: &[u8], exact: bool) -> bool {
    let mut at = 0;
    let mut open = false;
    for told in part {
        match told {
            Told::Plain(bytes) => {
                let rest = whole.get(at..).unwrap_or_default();
                let found = if open {
                    rest.windows(bytes.len()).position(|window| window == bytes)
                } else {
                    rest.starts_with(bytes).then_some(0)
                };
                let Some(found) = found else { return false };
                at += found + bytes.len();
                open = false;
            }
            Told::Gap(len) if exact => at += usize::try_from(*len).unwrap(),
            Told::Gap(_) => open = true,
            _ => {}
        }
    }
    true
}

fn plain_bytes(record: &Record, side: Side) -> Vec<u8> {
    let told = record.0.get(&Some(side)).into_iter().flatten();
    told.filter_map(|told| if let Told::Plain(bytes) = told { Some(bytes.clone()) } else { None })
        .flatten()
        .collect()
}

/// Where each record begins, and the end.
fn record_starts(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut at = 0;
    while let Some(header) = Header::read(&bytes[at..]) {
        at += 5 + header.body_bytes();
        starts.push(at);
    }
    starts
}

/// Where the last record of data begins. A `close_notify` of TLS 1.3 has 19 bytes.
fn last_data(bytes: &[u8]) -> usize {
    let mut starts = record_starts(bytes);
    starts.pop();
    let is_data = |start: &usize| {
        let header = Header::read(&bytes[*start..]).unwrap();
        header.kind == 23 && header.len != 19
    };
    starts.into_iter().rfind(is_data).unwrap()
}

#[test]
fn after_a_gap_in_the_data_reading_goes_on() {
    let names = [
        "tls13-TLS_CHACHA20_POLY1305_SHA256",
        "tls12-ECDHE-ECDSA-AES128-GCM-SHA256",
        "tls12-ECDHE-ECDSA-CHACHA20-POLY1305",
        "tls12-ECDHE-ECDSA-AES128-SHA",
    ];
    for name in names.into_iter().chain(["tls13-2026-py2-keylog", "tls12-node-keylog"]) {
        let sample = sample(name);
        for (number, connection) in sample.connections.iter().enumerate() {
            let whole = sample.read(number);
            for side in [Side::Originator, Side::Responder] {
                let plain = plain_bytes(&whole, side);
                let bytes = side_of(connection, side);
                // Behind the hello.
                let hello = 5 + Header::read(&bytes).unwrap().body_bytes();
                for start in (hello..bytes.len().saturating_sub(172)).step_by(37) {
                    for len in [1, 60, 171] {
                        let mut run = Run::new(&sample.keylog);
                        run.push(side.other(), &side_of(connection, side.other()));
                        run.push(side, &bytes[..start]);
                        run.gap(side, len);
                        run.push(side, bytes.get(start + len..).unwrap_or_default());
                        let record = run.finish().record;
                        let told = record.0.get(&Some(side)).cloned().unwrap_or_default();
                        let place = format!("{name} {number} {side:?} {start}+{len}");
                        assert!(is_whole_with_gaps(&told, &plain, false), "{place}");
                        assert!(record.anomalies().is_empty(), "{place} {record:?}");
                        let other = side.other();
                        assert_eq!(
                            record.0.get(&Some(other)),
                            whole.0.get(&Some(other)),
                            "{place}"
                        );
                        if start + len <= last_data(&bytes) {
                            let last = told.iter().rfind(|told| matches!(told, Told::Plain(_)));
                            let Some(Told::Plain(last)) = last else { panic!("{place}") };
                            assert!(plain.ends_with(last), "{place}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn gaps_between_records_of_data_are_told_to_the_byte() {
    let sample = sample("tls13-2026-py2-keylog");
    let connection = &sample.connections[0];
    let whole = sample.read(0);
    let side = Side::Responder;
    let bytes = side_of(connection, side);
    let plain = plain_bytes(&whole, side);
    // Starts of the last records, which hold data and a final alert.
    let starts = record_starts(&bytes);
    let data = &starts[starts.len() - 6..starts.len() - 2];
    for (index, start) in data.iter().enumerate() {
        for end in &data[index + 1..] {
            for (from, to) in [(*start, *end), (*start + 3, *end), (*start + 30, *end - 30)] {
                let mut run = Run::new(&sample.keylog);
                run.push(side.other(), &side_of(connection, side.other()));
                run.push(side, &bytes[..from]);
                run.gap(side, to - from);
                run.push(side, &bytes[to..]);
                let record = run.finish().record;
                let told = &record.0[&Some(side)];
                assert!(is_whole_with_gaps(told, &plain, true), "{from} {to} {told:?}");
                assert!(told.iter().any(|told| matches!(told, Told::Gap(_))));
            }
        }
    }
}

#[test]
fn a_gap_before_a_hello_is_over_ends_hope() {
    let sample = sample("tls13-TLS_AES_128_GCM_SHA256");
    let (side, hello) = &sample.connections[0][0];
    let mut run = Run::new(&sample.keylog);
    run.push(*side, &hello[..100]);
    run.gap(*side, 10);
    assert_eq!((run.outlook, run.record.0.len()), (Outlook::Hopeless, 0));
    let mut run = Run::new(&sample.keylog);
    run.push(*side, hello);
    run.gap(side.other(), 10);
    assert_eq!((run.outlook, run.record.0.len()), (Outlook::Hopeless, 1));
}

#[test]
fn the_search_after_a_gap_is_bounded() {
    let sample = sample("tls13-TLS_AES_128_GCM_SHA256");
    let mut run = Run::new(&sample.keylog).all(&sample.connections[0][..5].to_vec());
    run.limits.max_search_bytes = 10_000;
    run.gap(Side::Responder, 100_000);
    // Nothing but headers, each of them a candidate.
    let headers = [23, 3, 3, 0, 60].repeat(2_500);
    run.push(Side::Responder, &headers);
    assert_eq!(run.record.anomalies(), ["tls-resync-failed"]);
    assert_eq!(run.outlook, Outlook::Open, "the other side goes on");
    let mut run = Run::new(&sample.keylog).all(&sample.connections[0][..5].to_vec());
    run.limits.max_trial_bytes = 10_000;
    run.gap(Side::Responder, 100_000);
    run.push(Side::Responder, &headers[..4_000]);
    assert_eq!(run.record.anomalies(), ["tls-resync-failed"]);
}

/// RFC 8448 section 3: the server's first flight, with the secrets of the document.
#[test]
fn the_simple_handshake_of_rfc_8448() {
    let client_hello = unhex(
        "16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006
         130113031302010000910000000b0009000006736572766572ff01000100000a0014001200 1d0017001800190100
         01010102010301040023000000330026002400 1d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d
         5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604010501060102010402
         050206020202002d00020101001c00024001",
    );
    let server_hello = unhex(
        "160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e26928001301
         00002e00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00
         020304",
    );
    let data = unhex(
        "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e
         2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
    );
    let keylog = format!(
        "CLIENT_TRAFFIC_SECRET_0 {0} {1}\n",
        "cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7",
        "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
    );
    let mut run = Run::new(keylog.as_bytes());
    run.push(Side::Originator, &client_hello);
    run.push(Side::Responder, &server_hello);
    run.push(Side::Originator, &data);
    let expected: Vec<u8> = (0..50).collect();
    assert_eq!(plain_bytes(&run.record, Side::Originator), expected);
}
