use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::intake::testing::{LINES, Run, is_ended};

const TOKEN: &str = "fake-token-of-the-tests";
const LINE: &str = "https://mcp.example/mcp tools/call\n";

struct Bench {
    run: Arc<Run>,
    server: Server,
}

impl Bench {
    fn new(set: impl FnOnce(&mut Settings)) -> Self {
        let source = Source::new("edge", 3, None, TOKEN.as_bytes());
        let mut settings =
            Settings::new("127.0.0.1:0".parse().unwrap(), [source].into_iter().collect());
        settings.formats = LINES;
        set(&mut settings);
        let run = Run::new();
        let outlet: Arc<dyn Outlet> = Arc::<Run>::clone(&run);
        Self { run, server: Server::start(settings, outlet).unwrap() }
    }

    /// Status and body of the answer.
    fn push(&self, start: &str, fields: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.server.local_addr()).unwrap();
        let length = body.len();
        let head = format!(
            "{start} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server that has said no may have closed.
        drop(stream.write_all(body));
        let mut text = Vec::new();
        drop(stream.read_to_end(&mut text));
        let text = String::from_utf8(text).unwrap();
        let status = text.get(9..12).unwrap_or("0").parse().unwrap();
        (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    fn edge(&self, more: &str, body: &[u8]) -> (u16, String) {
        let fields = format!("Authorization: Bearer {TOKEN}\r\n{more}");
        self.push("POST /v1/logs/edge", &fields, body)
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn lines_come_plain_or_coded_and_become_observations() {
    let bench = Bench::new(|_| {});
    let zstd = zstd::encode_all(LINE.as_bytes(), 1).unwrap();
    for (fields, body) in [
        ("", LINE.as_bytes().to_vec()),
        ("Content-Encoding: gzip\r\n", gzip(LINE.as_bytes())),
        ("Content-Encoding: zstd\r\n", zstd),
        ("", gzip(LINE.as_bytes())),
        ("", LINE.trim_end().as_bytes().to_vec()),
    ] {
        let (status, answer) = bench.edge(fields, &body);
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let want = serde_json::json!({"bad": 0, "lines": 1, "records": 1});
        assert_eq!((status, answer), (200, want));
    }
    let seen = bench.run.wait(5, is_ended);
    assert_eq!(seen.iter().filter(|what| what.contains("mcp.example")).count(), 5, "{seen:?}");
    let parcels = bench.run.parcels.lock().unwrap();
    let lines: Vec<_> = parcels.iter().flat_map(|parcel| parcel.observations.first()).collect();
    let numbers = lines.iter().map(|o| crate::flow::At::line_of(o.at.packet).unwrap());
    assert_eq!(numbers.collect::<Vec<_>>(), [(3, 1), (3, 2), (3, 3), (3, 4), (3, 5)]);
}

#[test]
fn whatever_else_comes_is_told_why_it_is_not_taken() {
    let bench = Bench::new(|settings| {
        settings.max_body_bytes = 10_000;
        settings.max_plain_bytes = 20_000;
    });
    let own = format!("X-Shadowtap-Token: {TOKEN}\r\n");
    let bare = format!("Authorization: {TOKEN}\r\n");
    let post = "POST /v1/logs/edge";
    for (start, fields, expected) in [
        (post, own.as_str(), 200),
        (post, &bare, 200),
        (post, "", 401),
        (post, "Authorization: Bearer fake\r\n", 401),
        ("POST /v1/logs/none", own.as_str(), 401),
        ("GET /v1/logs/edge", &own, 405),
        ("POST /", &own, 404),
    ] {
        assert_eq!(bench.push(start, fields, LINE.as_bytes()).0, expected, "{start} {fields}");
    }
    let long = LINE.repeat(1_000);
    for (fields, body, expected) in [
        ("", long.as_bytes(), 413),
        ("", &gzip(long.as_bytes()), 413),
        ("Content-Encoding: x\r\n", LINE.as_bytes(), 415),
        ("Content-Encoding: gzip\r\n", &gzip(LINE.as_bytes())[..20], 400),
        ("", b"<html>", 400),
        ("", &b"http://h/ a\n".repeat(3)[..], 200),
        ("", b"http://h/\nhttp://h/\n", 400),
    ] {
        assert_eq!(bench.edge(fields, body).0, expected, "{fields} {} bytes", body.len());
    }
    assert_eq!(bench.run.records(), 5, "nothing of what was turned away was taken in");
}

#[test]
fn the_probe_of_cloudflare_is_welcome() {
    let bench = Bench::new(|_| {});
    let probe = b"{\"content\":\"test\"}\n";
    assert_eq!(bench.edge("Content-Encoding: gzip\r\n", &gzip(probe)).0, 200);
    assert_eq!(bench.edge("", br#"{"content":"tests","filename":"x"}"#).0, 200);
    assert_eq!(bench.edge("", br#"{"content":"else"}"#).0, 400);
    assert_eq!(bench.run.records(), 0);
}

#[test]
fn a_full_run_turns_requests_away_and_nothing_is_taken_in_twice() {
    let bench = Bench::new(|_| {});
    *bench.run.full.lock().unwrap() = true;
    assert_eq!(bench.edge("", LINE.as_bytes()).0, 429);
    *bench.run.full.lock().unwrap() = false;
    assert_eq!(bench.edge("", LINE.as_bytes()).0, 200);
    let parcels = bench.run.parcels.lock().unwrap();
    assert_eq!(parcels.len(), 1);
    assert_eq!((parcels[0].counts.records, parcels[0].counts.turned_away), (1, 1));
    let first = parcels[0].observations.first().unwrap();
    assert_eq!(crate::flow::At::line_of(first.at.packet), Some((3, 1)));
}
