//! Logs into records, as bytes and lines per second: `cargo bench --bench logs`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "inputs are known")]

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use shadowtap::logs::format::{ALL, by_name};
use shadowtap::logs::{Framing, Reader, Record, detect};

fn main() {
    divan::main();
}

/// The fixture of each format, by the name of its file.
const FIXTURES: &[&str] = &[
    "aws-alb.log",
    "bluecoat.log",
    "cloudflare-gateway-dns.json",
    "cloudflare-gateway-http.json",
    "cloudflare-gateway-network.json",
    "cloudflare-mcp-portal.json",
    "envoy-json.json",
    "envoy-tap.json",
    "haproxy-json.json",
    "haproxy.log",
    "har.har",
    "mitmproxy-json.json",
    "netskope-json.json",
    "netskope.log",
    "nginx-json.json",
    "nginx.log",
    "paloalto-url.log",
    "squid-json.json",
    "squid-keyed.log",
    "squid.log",
    "suricata-eve.json",
    "zeek-http.log",
    "zeek-json.json",
    "zscaler-json.json",
    "zscaler-nss.log",
];

/// The fixture again and again, to a megabyte; a document with one array only once.
fn input(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/logs");
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let (spec, _) = detect(&bytes)[0];
    match spec.framing {
        Framing::Elements(_) => bytes,
        _ => bytes.repeat((1 << 20) / bytes.len() + 1),
    }
}

/// Lines (or documents) into records; items are lines.
#[divan::bench(args = FIXTURES)]
fn read(bencher: Bencher<'_, '_>, name: &str) {
    let bytes = input(name);
    let (spec, _) = detect(&bytes)[0];
    run(bencher, spec.name, &bytes);
}

/// Head-only lines of 400 bytes, as Cloudflare's Gateway and as nginx write them.
#[divan::bench(args = ["cloudflare-gateway-http", "nginx-json"])]
fn read_short(bencher: Bencher<'_, '_>, name: &str) {
    let line = match name {
        "nginx-json" => {
            r#"{"log":"nginx","time":"1795334400.123","client":"192.0.2.11","client_port":"50123","server":"198.51.100.20","server_port":"443","method":"POST","scheme":"https","host":"mcp.corp.example","target":"/mcp","version":"HTTP/2.0","status":"200","user_agent":"python-httpx/0.28.1","accept":"text/event-stream","request_type":"application/json","response_type":"text/event-stream","request_id":"49ddd601"}"#
        }
        _ => {
            r#"{"Datetime":"2026-11-22T08:00:00Z","Action":"allow","DeviceName":"LAPTOP-7","Email":"ana@corp.example","SourceIP":"203.0.113.9","SourceInternalIP":"192.0.2.11","SourcePort":50123,"DestinationIP":"198.51.100.20","DestinationPort":443,"HTTPHost":"mcp.vendor.example","HTTPMethod":"POST","HTTPStatusCode":200,"HTTPVersion":"HTTP/2","URL":"https://mcp.vendor.example/mcp","UserAgent":"Claude/1.0","RequestID":"17a5"}"#
        }
    };
    let bytes = format!("{line}\n").repeat(2_500).into_bytes();
    run(bencher, name, &bytes);
}

fn run(bencher: Bencher<'_, '_>, name: &str, bytes: &[u8]) {
    let spec = by_name(name).unwrap();
    let mut once = Reader::new(spec);
    once.push(bytes, &mut |_, _| {});
    once.finish(&mut |_, _| {});
    let lines = once.counters().lines;
    bencher.counter(BytesCount::new(bytes.len())).counter(ItemsCount::new(lines)).bench_local(
        || {
            let mut reader = Reader::new(spec);
            let mut each = |number: u64, record: &Record<'_>| {
                black_box((number, record));
            };
            // As files are read.
            for piece in bytes.chunks(64 << 10) {
                reader.push(piece, &mut each);
            }
            reader.finish(&mut each);
        },
    );
}

/// What a file is, of all formats; items are files.
#[divan::bench]
fn what_it_is(bencher: Bencher<'_, '_>) {
    let bytes = input("nginx-json.json");
    assert!(ALL.len() > 20);
    bencher.counter(ItemsCount::new(1_usize)).bench(|| black_box(detect(black_box(&bytes)).len()));
}
