//! What the layers read of each capture, held against tshark's dissectors: HTTP/1 and HTTP/2
//! requests, hosts, paths and status codes, server names and ALPN of TLS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use shadowtap::anomaly::Anomaly;
use shadowtap::app::{self, Keyring, Layer};
use shadowtap::capture::{self, Input, Next, Packet, Source};
use shadowtap::decode::{Decoded, Decoder};
use shadowtap::exchange::{BodyInterest, Context, ExchangeEvent, ExchangeSink, TlsEvent, Version};
use shadowtap::flow::{self, Table};

use crate::run::root;

/// How often each thing was seen.
type Census = BTreeMap<String, i64>;

/// Files whose two censuses differ, with the reason: (file, kinds of lines that may differ, why).
const EXPLAINED: &[(&str, &[&str], &str)] = &[];

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
const FIELDS: [(&str, &str); 9] = [
    ("http.request.method", "http1 method"),
    ("http.request.uri", "http1 path"),
    ("http.host", "http1 host"),
    ("http.response.code", "http1 status"),
    ("http2.headers.method", "http2 method"),
    ("http2.headers.path", "http2 path"),
    ("http2.headers.authority", "http2 host"),
    ("http2.headers.status", "http2 status"),
    ("tls.handshake.extensions_server_name", "tls sni"),
];

fn tshark(path: &Path, filter: &str, fields: &[(&str, &str)]) -> Census {
    const SEPARATOR: char = '\u{1e}';
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-Y", filter, "-T", "fields"]);
    command.args(["-E", "occurrence=a", "-E", "aggregator=\u{1e}", "-E", "separator=/t"]);
    if let Some(file) = keylog(path) {
        command.arg("-o").arg(format!("tls.keylog_file:{}", file.display()));
    }
    for (field, _) in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let mut census = Census::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        for (values, (_, name)) in line.split('\t').zip(fields) {
            for value in values.split(SEPARATOR).filter(|value| !value.is_empty()) {
                *census.entry(format!("{name} {value}")).or_default() += 1;
            }
        }
    }
    census
}

fn theirs(path: &Path) -> Census {
    let any = "http.request or http.response or http2.headers or tls.handshake.type == 1";
    let mut census = tshark(path, any, &FIELDS);
    let alpn = [("tls.handshake.extensions_alpn_str", "tls alpn")];
    census.extend(tshark(path, "tls.handshake.type == 1", &alpn));
    // Interim responses are none: the seam does not report them, save a switch.
    census.retain(|what, _| !what.contains(" status 100"));
    census
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

fn difference(path: &Path) -> Option<String> {
    let file = path.file_name().unwrap().to_str().unwrap().to_owned();
    let (ours, theirs) = (ours(path), theirs(path));
    let explained = EXPLAINED.iter().filter(|(name, ..)| *name == file);
    let kinds: Vec<&str> = explained.flat_map(|(_, kinds, _)| kinds.iter().copied()).collect();
    let all = ours.keys().chain(theirs.keys()).collect::<std::collections::BTreeSet<_>>();
    let mut lines = Vec::new();
    for what in all {
        let count = |census: &Census| census.get(what).copied().unwrap_or(0);
        let differs = count(&ours) != count(&theirs);
        if differs && !kinds.iter().any(|kind| what.starts_with(kind)) {
            lines.push(format!("  {what}: {} here, {} there", count(&ours), count(&theirs)));
        }
    }
    (!lines.is_empty()).then(|| format!("{file}\n{}", lines.join("\n")))
}

#[test]
fn the_layers_read_what_tshark_reads() {
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: tshark is not installed");
        return;
    }
    let captures = captures();
    let half = captures.len() / 2;
    let differences: Vec<String> = std::thread::scope(|scope| {
        let parts = [&captures[..half], &captures[half..]];
        let work = |part: &[PathBuf]| part.iter().filter_map(|path| difference(path)).collect();
        let threads = parts.map(|part| scope.spawn(move || -> Vec<String> { work(part) }));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(captures.len() > 40);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
