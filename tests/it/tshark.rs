//! What the layers read of each capture, held against tshark's dissectors: HTTP/1 and HTTP/2
//! requests, hosts, paths and status codes, server names and ALPN of TLS.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shadowtap::anomaly::Anomaly;
use shadowtap::app::{self, Keyring, Layer};
use shadowtap::capture::{self, Input, Next, Packet, Source};
use shadowtap::decode::{Decoded, Decoder};
use shadowtap::exchange::{BodyInterest, Context, ExchangeEvent, ExchangeSink, TlsEvent, Version};
use shadowtap::flow::{self, Table};

use serde_json::Value;

use crate::run::{replay_json, root};

/// How often each thing was seen.
type Census = BTreeMap<String, i64>;

/// Files whose two censuses differ: (file, the lines that do, why).
const EXPLAINED: &[(&str, &[&str], &str)] = &[
    (
        "h2c-curl-upgrade.pcap",
        &[
            "http2 host mcp.corp.test:8000",
            "http2 method POST",
            "http2 path /mcp",
            "http2 status 200",
        ],
        "two connections speak HTTP/2 from the start on a port where others speak HTTP/1; tshark \
         sees that only where it is told the port",
    ),
    (
        "imp-corrupt-bytes-a.pcap",
        &[
            "http1 host mcp.corp.test:8000",
            "http1 method GET",
            "http1 method POST",
            "http1 path /mcp",
            "http1 path /\u{fffd}cp",
            "http1 status 200",
        ],
        "segments with a wrong checksum are dropped here, as their receiver would drop them, and \
         with them the heads of four requests; tshark takes them as they are. Of the responses \
         that lost their heads, event streams are found again",
    ),
    (
        "imp-gap-a.pcap",
        &["http1 status 200"],
        "tshark passes on nothing of a connection after a gap, here the answer to DELETE",
    ),
    (
        "imp-midstream-sse-a.pcap",
        &["http1 status 200"],
        "the head of the event stream was before the capture; here the stream counts all the same",
    ),
    (
        "ll-snaplen256-a.pcap",
        &["http1 status 200"],
        "the head of a response is cut off; the event stream it begins is found again in the next \
         packet and counts as one more",
    ),
    (
        "ll-snaplen96-a.pcap",
        &["http1 host mc", "http1 host mcp.", "http1 host mcp.c"],
        "a field line without its end is none here; tshark takes it as far as the packet goes",
    ),
    (
        "st-2026-07-listen.pcap",
        &["http1 status 200"],
        "an event stream without end after whole messages on the same connection: tshark shows \
         either these or that",
    ),
];

#[derive(Debug, Default)]
struct Recorder(Census);

impl Recorder {
    fn note(&mut self, what: String) {
        *self.0.entry(what).or_default() += 1;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const fn name(version: Version) -> &'static str {
    match version {
        Version::Http10 | Version::Http11 => "http1",
        Version::Http2 => "http2",
    }
}

impl ExchangeSink for Recorder {
    type State = ();

    fn event(
        &mut self,
        _: &Context<'_>,
        (): &mut (),
        _: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        match event {
            ExchangeEvent::RequestHead(head) => {
                let version = name(head.version);
                self.note(format!("{version} method {}", text(head.method)));
                self.note(format!("{version} path {}", text(head.target)));
                if let Some(host) = head.headers.get("host") {
                    self.note(format!("{version} host {}", text(host)));
                }
            }
            ExchangeEvent::ResponseHead(head) => {
                self.note(format!("{} status {}", name(head.version), head.status));
            }
            _ => {}
        }
        BodyInterest::Unwanted
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        BodyInterest::Unwanted
    }

    fn tls(&mut self, _: &Context<'_>, (): &mut (), event: TlsEvent<'_>) {
        if let TlsEvent::Hello(hello) = event {
            if let Some(sni) = &hello.sni {
                self.note(format!("tls sni {sni}"));
            }
            for protocol in &hello.alpn {
                self.note(format!("tls alpn {protocol}"));
            }
        }
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), _: Anomaly) {}

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

fn keylog(path: &Path) -> Option<PathBuf> {
    let beside = path.with_extension("keylog");
    beside.exists().then_some(beside)
}

fn ours(path: &Path) -> Census {
    let keys = Keyring::default();
    if let Some(file) = keylog(path) {
        keys.add_text(&std::fs::read(file).unwrap());
    }
    let input = Input::file(path);
    capture::secrets(&input, &capture::Limits::default(), |block| {
        keys.add_text(block);
    });
    let mut layer = Layer::new(app::Limits::default(), Arc::new(keys), Recorder::default());
    let mut table = Table::new(flow::Limits::default());
    let mut decoder = Decoder::default();
    let mut source = Source::open(&input, &capture::Limits::default()).unwrap();
    let mut index = 0;
    while let Next::Packet { time, link, bytes, wire_len } = source.next() {
        match decoder.push(&Packet { index, time, link, bytes, wire_len }) {
            Decoded::Segment(segment) => table.push(&segment, &mut layer),
            Decoded::Datagram(datagram) => layer.datagram(&datagram),
            Decoded::Fragment | Decoded::Skipped(_) => {}
        }
        index += 1;
    }
    table.finish(&mut layer);
    std::mem::take(&mut layer.sink_mut().0)
}

/// Fields that tshark prints, and what a value of each is called.
const FIELDS: [(&str, &str); 12] = [
    ("tcp.stream", ""),
    ("tls.handshake.type", ""),
    ("http.request.method", "http1 method"),
    ("http.request.uri", "http1 path"),
    ("http.host", "http1 host"),
    ("http.response.code", "http1 status"),
    ("http2.headers.method", "http2 method"),
    ("http2.headers.path", "http2 path"),
    ("http2.headers.authority", "http2 host"),
    ("http2.headers.status", "http2 status"),
    ("tls.handshake.extensions_server_name", "tls sni"),
    ("tls.handshake.extensions_alpn_str", "tls alpn"),
];

/// Messages as soon as their heads are there, whether their bodies end or not.
const LOOSE: &[&str] = &["-o", "http.desegment_body:FALSE"];

/// Segments in the order of the stream, HTTP whatever the port is registered for, HTTP/2 without
/// upgrade where tshark's heuristics do not see it, and HTTP inside `CONNECT`, where it goes by
/// the port alone.
const OPTIONS: [&str; 16] = [
    "-o",
    "tcp.reassemble_out_of_order:TRUE",
    "-o",
    "tcp.try_heuristic_first:TRUE",
    "--enable-heuristic",
    "http_tcp",
    "--enable-heuristic",
    "http2_tcp",
    "-d",
    "tcp.port==3001,http",
    "-d",
    "tcp.port==4013,http2",
    "-d",
    "tcp.port==8106,http2",
    "-d",
    "tcp.port==8181,http2",
];

/// What tshark reads of each connection.
fn tshark(path: &Path, options: &[&str]) -> BTreeMap<String, Census> {
    // Not `http.request`, which a head that is cut off does not have.
    const SHOWN: &str = "http.request.method or http.response.code or http2.headers \
        or tls.handshake.type == 1";
    const SEPARATOR: char = '\u{1e}';
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-Y", SHOWN, "-T", "fields"]);
    command.args(["-E", "occurrence=a", "-E", "aggregator=\u{1e}", "-E", "separator=/t"]);
    command.args(OPTIONS).args(options);
    if let Some(file) = keylog(path) {
        command.arg("-o").arg(format!("tls.keylog_file:{}", file.display()));
    }
    for (field, _) in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let mut streams = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let census: &mut Census = streams.entry(columns[0].to_owned()).or_default();
        let is_client_hello = columns[1].split(SEPARATOR).any(|kind| kind == "1");
        for (values, (field, name)) in columns.iter().zip(FIELDS).skip(2) {
            // Servers name one protocol too, in a packet without a ClientHello.
            if field.starts_with("tls") && !is_client_hello {
                continue;
            }
            for value in values.split(SEPARATOR).filter(|value| !value.is_empty()) {
                *census.entry(format!("{name} {value}")).or_default() += 1;
            }
        }
        // The seam reports no interim responses, save a switch.
        census.remove("http1 status 100");
        census.remove("http2 status 100");
    }
    streams
}

fn sum(streams: &BTreeMap<String, Census>) -> Census {
    let mut sum = Census::new();
    for (what, count) in streams.values().flatten() {
        *sum.entry(what.clone()).or_default() += count;
    }
    sum
}

/// What tshark reads, where `ours` is what the layers read.
///
/// It shows no message whose body does not end, as that of an event stream at the end of the
/// capture, unless told not to put bodies together; but then it loses messages that begin inside
/// a segment. So where the two differ it reads the file both ways, and of each connection the
/// better reading counts.
fn theirs(path: &Path, ours: &Census) -> Census {
    let mut streams = tshark(path, &[]);
    if sum(&streams) == *ours {
        return sum(&streams);
    }
    for (stream, census) in tshark(path, LOOSE) {
        let best = streams.entry(stream).or_default();
        for (what, count) in census {
            let most = best.entry(what).or_default();
            *most = count.max(*most);
        }
    }
    sum(&streams)
}

fn captures() -> Vec<PathBuf> {
    let own = root().join("captures");
    let more = std::env::var_os("SHADOWTAP_CAPTURES").map(|folder| root().join(folder));
    let mut found = BTreeMap::new();
    for folder in std::iter::once(own).chain(more) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_capture = path.extension().is_some_and(|end| end == "pcap" || end == "pcapng");
            if is_capture {
                found.insert(path.file_name().unwrap().to_owned(), path);
            }
        }
    }
    found.into_values().collect()
}

/// Lines that differ unexplained, and explanations that explain nothing.
fn difference(path: &Path) -> Option<String> {
    let file = path.file_name().unwrap().to_str().unwrap().to_owned();
    let ours = ours(path);
    let theirs = theirs(path, &ours);
    let explained = EXPLAINED.iter().filter(|(name, ..)| *name == file);
    let mut idle: BTreeSet<&str> = explained.flat_map(|(_, lines, _)| *lines).copied().collect();
    let mut lines = Vec::new();
    for what in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let count = |census: &Census| census.get(what).copied().unwrap_or(0);
        let differs = count(&ours) != count(&theirs);
        if differs && !idle.remove(what.as_str()) {
            lines.push(format!("  {what}: {} here, {} there", count(&ours), count(&theirs)));
        }
    }
    lines
        .extend(idle.iter().map(|what| format!("  {what}: explained, but there is no difference")));
    (!lines.is_empty()).then(|| format!("{file}\n{}", lines.join("\n")))
}

#[test]
fn the_layers_read_what_tshark_reads() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not installed");
        return;
    }
    let captures = captures();
    assert!(captures.len() > 40);
    let next = AtomicUsize::new(0);
    let work = || -> Vec<String> {
        let paths = std::iter::from_fn(|| captures.get(next.fetch_add(1, Ordering::Relaxed)));
        paths.filter_map(|path| difference(path)).collect()
    };
    let differences: Vec<String> = std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Packets and payload bytes that one end sent to the other.
type Sent = BTreeMap<(String, String), (u64, u64)>;

/// What tshark sees of each connection: all of it, and up to the second FIN.
fn sent(path: &Path) -> [Sent; 2] {
    const FIELDS: [&str; 7] = [
        "tcp.stream",
        "ip.src",
        "tcp.srcport",
        "ip.dst",
        "tcp.dstport",
        "tcp.len",
        "tcp.flags.fin",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-Y", "tcp", "-T", "fields", "-E", "separator=/t"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let (mut all, mut until_fin) = (Sent::new(), Sent::new());
    let mut ended = BTreeMap::<String, BTreeSet<String>>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [stream, src, sport, dst, dport, len, fin] = columns[..] else { panic!("{line}") };
        let (from, to) = (format!("{src}:{sport}"), format!("{dst}:{dport}"));
        let fins = ended.entry(stream.to_owned()).or_default();
        let over = fins.len() == 2;
        if matches!(fin, "1" | "True") {
            fins.insert(from.clone());
        }
        for sent in [Some(&mut all), Some(&mut until_fin).filter(|_| !over)].into_iter().flatten() {
            let (packets, bytes) = sent.entry((from.clone(), to.clone())).or_default();
            *packets += 1;
            *bytes += len.parse::<u64>().unwrap();
        }
    }
    [all, until_fin]
}

#[test]
fn flows_carry_what_tshark_counts() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not installed");
        return;
    }
    for (name, at_least) in
        [("office-morning.pcap", 20), ("mix-office-hour.pcap", 3), ("ll-qinq-a.pcap", 5)]
    {
        let path = root().join("captures").join(name);
        let [all, until_fin] = sent(&path);
        let flows = replay_json(&path, &[]).of_type("flow");
        let end = |side: &Value| format!("{}:{}", side["ip"].as_str().unwrap(), side["port"]);
        for flow in &flows {
            let (source, destination) = (&flow["source"], &flow["destination"]);
            // With a hole before its FIN a side has not ended yet.
            let theirs = if flow["finish"] == "fin" { &until_fin } else { &all };
            for (from, to) in [(source, destination), (destination, source)] {
                let ours = (from["packets"].as_u64().unwrap(), from["bytes"].as_u64().unwrap());
                let theirs = theirs.get(&(end(from), end(to))).copied().unwrap_or_default();
                assert_eq!(ours, theirs, "{name}: {} to {}: {flow}", end(from), end(to));
            }
        }
        assert!(flows.len() >= at_least, "{name}: {} flows", flows.len());
    }
}
