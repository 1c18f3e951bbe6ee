//! The pages, read by an independent parser and over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::families::{GAUGES, LABELLED, PLAIN};
use super::server::{Timeouts, serve_within};
use super::*;
use crate::sinks::event::StatsEvent;

/// Every counter set, labels with everything that has to be escaped.
fn full() -> Snapshot {
    let interface = |name: &str| Interface {
        name: name.to_owned(),
        packets: 5,
        bytes: 600,
        dropped_by_kernel: 2,
        dropped_by_interface: 3,
        outages: 1,
        last_packet: Some(Timestamp::from_parts(1_795_334_400, 500_000_000)),
        up: true,
    };
    let count = |pairs: &[(&str, u64)]| {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    let stats = StatsEvent {
        counters: count(&[
            ("flow.active", 9),
            ("flow.gap_bytes", 10),
            ("flow.evicted_mcp", 1),
            ("app.tls.flows", 11),
            ("app.tls.bytes", 12),
            ("decode.skipped.arp", 1),
            ("decode.skipped.unknown-ethertype-4660", 2),
            ("decode.skipped.unknown-ethertype-4661", 3),
            ("decode.skipped.truncated-ipv4", 4),
        ]),
        anomalies: count(&[("flow/overlap-conflict", 1), ("http1/overlap-conflict", 2)]),
        coverage: Coverage { encrypted_flows: 11, dropped_findings: 2, ..Coverage::default() },
        ..StatsEvent::default()
    };
    let mut snapshot = Snapshot {
        uptime: Duration::from_millis(12_500),
        now: Timestamp::from_parts(1_795_334_401, 0),
        ready: true,
        interfaces: vec![interface("eth0"), interface("we\"ird\\na\nme")],
        decoded_bytes: BTreeMap::from([("gzip", 7)]),
        decrypted_flows: Some(3),
        shed: Shed { sixteenths: 2, flows: 3, packets: 4, bytes: 5, overflow_packets: 6 },
        queue: Queue { batches: 1, capacity: 2, lag: Some(Duration::from_millis(20)) },
        findings: BTreeMap::from([
            (("SMCP-1001".to_owned(), Severity::High), 2),
            (("SMCP-1001".to_owned(), Severity::Low), 1),
        ]),
        servers: 4,
        sinks: vec![SinkRows { sink: "ndjson", table: "findings", written: 3, failed: 1 }],
        reloads: Reloads { succeeded: 1, failed: 2, last_failed: true },
        packets: Some(crate::sinks::packets::Counters { ring_bytes: 77, ..Default::default() }),
        ..Snapshot::default()
    };
    snapshot.take_stats(&stats);
    snapshot
}

/// A metric of a counter that is called otherwise by now would be zero for ever.
#[test]
fn every_counter_shown_is_one_that_is_kept() {
    let keys = |stage: &str, counters: serde_json::Value| -> Vec<String> {
        let fields = counters.as_object().unwrap();
        fields.keys().map(|name| format!("{stage}.{name}")).collect()
    };
    let kept: BTreeSet<String> = [
        keys("flow", serde_json::to_value(crate::flow::Counters::default()).unwrap()),
        keys("app", serde_json::to_value(crate::app::Counters::default()).unwrap()),
        keys("mcp", serde_json::to_value(crate::mcp::TapCounters::default()).unwrap()),
        keys("rules", serde_json::to_value(crate::rules::tuning::Taken::default()).unwrap()),
    ]
    .concat()
    .into_iter()
    .collect();
    let labelled = LABELLED.iter().flat_map(|(.., values)| values.iter().map(|value| value.1));
    let shown = PLAIN.iter().chain(&GAUGES).map(|(_, counter, _)| *counter).chain(labelled);
    for counter in shown {
        assert!(kept.contains(counter), "{counter}");
    }
}

/// The samples of a page by name and labels as written. Written from the formats' own texts, with
/// what they forbid: samples outside their family, families twice, bad names, bad escapes.
fn parse(page: &str, format: Format) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families: BTreeSet<&str> = BTreeSet::new();
    let (mut family, mut kind, mut helped) = ("", "", "");
    let mut lines: Vec<&str> = page.split('\n').collect();
    assert_eq!(lines.pop(), Some(""), "the last line ends too");
    if format == Format::OpenMetrics {
        assert_eq!(lines.pop(), Some("# EOF"));
    }
    for line in lines {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, text) = rest.split_once(' ').unwrap();
            assert!(!text.is_empty() && text.ends_with('.'), "{line}");
            helped = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            (family, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(family), "{family} twice");
            assert_eq!(helped, family, "help comes with its type");
            let total = family.ends_with("_total");
            assert_eq!(total, kind == "counter" && format == Format::Prometheus, "{line}");
        } else {
            let (name, value) = sample(line);
            let bare = name.split('{').next().unwrap();
            let expected = match (kind, format) {
                ("counter", Format::OpenMetrics) => format!("{family}_total"),
                ("counter" | "gauge", _) => family.to_owned(),
                _ => panic!("{kind}"),
            };
            assert_eq!(bare, expected, "sample outside its family");
            assert!(samples.insert(name, value).is_none(), "sample twice: {line}");
        }
    }
    samples
}

fn sample(line: &str) -> (String, f64) {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ').unwrap();
        assert!(is_name(name), "{line}");
        return (name.to_owned(), value.parse().unwrap());
    };
    assert!(is_name(name), "{line}");
    let mut rest = rest;
    loop {
        let (label, after) = rest.split_once("=\"").unwrap();
        assert!(is_name(label), "{line}");
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap() {
                (_, '\\') => assert!(matches!(chars.next().unwrap().1, '\\' | '"' | 'n'), "{line}"),
                (at, '"') => break at,
                _ => {}
            }
        };
        rest = after.split_at(end + 1).1;
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let value = rest.strip_prefix("} ").unwrap();
    (line.rsplit_once(' ').unwrap().0.to_owned(), value.parse().unwrap())
}

#[test]
fn a_full_snapshot_is_a_valid_page_in_both_formats() {
    let [old, new] = [Format::Prometheus, Format::OpenMetrics]
        .map(|format| parse(&render(&full(), format), format));
    assert_eq!(old, new, "names of samples are the same in both");
    let version = format!("shadowtap_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        (version.as_str(), 1.0),
        ("shadowtap_uptime_seconds", 12.5),
        ("shadowtap_capture_packets_total{interface=\"eth0\"}", 5.0),
        ("shadowtap_capture_bytes_total{interface=\"we\\\"ird\\\\na\\nme\"}", 600.0),
        ("shadowtap_capture_dropped_total{interface=\"eth0\",where=\"kernel\"}", 2.0),
        ("shadowtap_capture_dropped_total{interface=\"eth0\",where=\"interface\"}", 3.0),
        ("shadowtap_capture_dropped_total{where=\"queue\"}", 6.0),
        ("shadowtap_shed_packets_total", 4.0),
        ("shadowtap_capture_last_packet_timestamp_seconds{interface=\"eth0\"}", 1_795_334_400.5),
        ("shadowtap_flows_active", 9.0),
        ("shadowtap_flows_evicted_total{reason=\"mcp\"}", 1.0),
        ("shadowtap_reassembly_gap_bytes_total", 10.0),
        ("shadowtap_parse_errors_total{protocol=\"http1\",kind=\"overlap-conflict\"}", 2.0),
        ("shadowtap_decode_bytes_total{encoding=\"gzip\"}", 7.0),
        // Numbers of packets are no labels: one series for all of a kind.
        ("shadowtap_decode_skipped_packets_total{reason=\"unknown-ethertype\"}", 5.0),
        ("shadowtap_decode_skipped_packets_total{reason=\"truncated-ipv4\"}", 4.0),
        ("shadowtap_findings_total{rule=\"SMCP-1001\",severity=\"high\"}", 2.0),
        ("shadowtap_sink_rows_total{sink=\"ndjson\",table=\"findings\",result=\"failed\"}", 1.0),
        ("shadowtap_protocol_flows_total{protocol=\"tls\"}", 11.0),
        ("shadowtap_flows_encrypted_total", 11.0),
        ("shadowtap_flows_decrypted_total", 3.0),
        ("shadowtap_findings_dropped_total", 2.0),
        ("shadowtap_worker_lag_seconds", 0.02),
        ("shadowtap_packet_ring_bytes", 77.0),
        ("shadowtap_reload_last_failed", 1.0),
    ] {
        assert_eq!(old.get(name), Some(&value), "{name}");
    }
}

#[test]
fn what_nobody_fills_is_not_shown() {
    let page = render(&Snapshot::default(), Format::Prometheus);
    let samples = parse(&page, Format::Prometheus);
    for absent in ["capture_packets", "decode_bytes", "packet_ring", "findings_total"] {
        assert!(!page.contains(&format!("shadowtap_{absent}")), "{absent}");
    }
    assert_eq!(samples["shadowtap_ready"], 0.0);
    assert_eq!(samples["shadowtap_reassembly_gap_bytes_total"], 0.0);
}

fn start(snapshot: impl Fn() -> Snapshot + Send + Sync + 'static) -> Server {
    serve("127.0.0.1:0".parse().unwrap(), snapshot).unwrap()
}

/// Sends bytes and reads until the server closes.
fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

fn get(address: SocketAddr, path: &str, more: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    let response = exchange(address, &request);
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn pages_have_their_types_and_everything_else_is_refused() {
    let server = start(full);
    let at = server.local_addr();
    let (head, body) = get(at, "/metrics", "");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(!parse(&body, Format::Prometheus).is_empty());

    let accept = "Accept: application/openmetrics-text;version=1.0.0\r\n";
    let (head, body) = get(at, "/metrics?name=x", accept);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(!parse(&body, Format::OpenMetrics).is_empty());

    let (head, body) = get(at, "/", "");
    assert!(head.starts_with("http/1.1 200 ") && body.contains("/metrics"), "{head}");
    for path in ["/metrics/", "/Health", "/../etc/passwd", "/favicon.ico", "*"] {
        let (head, _) = get(at, path, "");
        assert!(head.starts_with("http/1.1 40"), "{path}: {head}");
    }
    for method in ["POST", "DELETE", "PUT", "TRACE", "FOO"] {
        let request = format!("{method} /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let response = exchange(at, &request);
        assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
        assert!(response.to_ascii_lowercase().contains("allow: get, head"), "{response}");
    }
    let head = exchange(at, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(exchange(at, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let mut stream = TcpStream::connect(at).unwrap();
    // The server may close before it has read all of it.
    stream.write_all(long.as_bytes()).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{answer:?}");
    server.stop();
}

#[test]
fn health_is_200_or_503_with_reasons() {
    let shared = Arc::new(Mutex::new(Snapshot::default()));
    let server = start({
        let shared = Arc::clone(&shared);
        move || shared.lock().unwrap().clone()
    });
    let at = server.local_addr();
    let ask = || {
        let (head, body) = get(at, "/health", "");
        assert!(head.contains("content-type: application/json"), "{head}");
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        (head.split(' ').nth(1).unwrap().to_owned(), value)
    };
    let (code, health) = ask();
    assert_eq!((code.as_str(), health["status"].as_str()), ("503", Some("starting")));
    shared.lock().unwrap().ready = true;
    let (code, health) = ask();
    assert_eq!((code.as_str(), health["status"].as_str()), ("200", Some("ok")));
    *shared.lock().unwrap() = Snapshot { unhealthy: vec!["worker 3 has died".into()], ..full() };
    let (code, health) = ask();
    assert_eq!((code.as_str(), health["status"].as_str()), ("503", Some("unhealthy")));
    assert_eq!(health["reasons"][0], "worker 3 has died");
    assert_eq!(health["interfaces"][0]["name"], "eth0");
    assert_eq!(health["interfaces"][0]["idle_seconds"], 0.5);
    assert_eq!(health["lag_seconds"], 0.02);
    for key in ["seconds", "packets", "dropped"] {
        assert!(health["interval"][key].is_number(), "{key}");
    }
}

/// Readers that send a byte now and then are cut off, and others are served once they are.
#[test]
fn slow_readers_hold_the_page_back_for_a_while_only() {
    let quick = Timeouts { head: Duration::from_millis(300), connection: Duration::from_secs(5) };
    let server = serve_within("127.0.0.1:0".parse().unwrap(), Snapshot::default, quick).unwrap();
    let at = server.local_addr();
    let mut slow: Vec<TcpStream> = (0..80).map(|_| TcpStream::connect(at).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /metrics HT").unwrap();
    }
    // More than may be open at a time: waits until the first are given up.
    let (head, _) = get(at, "/health", "");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    let mut first = slow.remove(0);
    first.write_all(b"T").ok();
    let mut answer = Vec::new();
    match first.read_to_end(&mut answer) {
        Ok(_) => assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    server.stop();
}

#[test]
fn many_readers_are_all_served() {
    let taken = Arc::new(AtomicU64::new(0));
    let server = start({
        let taken = Arc::clone(&taken);
        move || {
            taken.fetch_add(1, Ordering::Relaxed);
            Snapshot::default()
        }
    });
    let at = server.local_addr();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(move || {
                for _ in 0..5 {
                    assert!(get(at, "/metrics", "").0.starts_with("http/1.1 200 "));
                }
            });
        }
    });
    assert!(taken.load(Ordering::Relaxed) >= 200);
}

#[test]
fn stops_with_connections_open_and_frees_its_port() {
    let server = start(Snapshot::default);
    let at = server.local_addr();
    let mut idle = TcpStream::connect(at).unwrap();
    idle.write_all(b"GET /").unwrap();
    get(at, "/", "");
    server.stop();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).ok();
    assert!(rest.is_empty());
    let refused = TcpStream::connect(at).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn an_address_in_use_is_explained() {
    let server = start(Snapshot::default);
    let error = serve(server.local_addr(), Snapshot::default).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains(&server.local_addr().to_string()), "{text}");
    assert!(text.contains("another program listens there"), "{text}");
    let error = serve("192.0.2.1:0".parse().unwrap(), Snapshot::default).unwrap_err();
    assert!(error.to_string().contains("no such address"), "{error}");
    assert!(DEFAULT_ADDRESS.parse::<SocketAddr>().unwrap().ip().is_loopback());
}
