//! What Cloudflare's ten patterns for DLP find in the labelled captures, beside what the program
//! finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use regex::bytes::RegexSet;
use serde_json::Value;
use shadowtap::anomaly::Anomaly;
use shadowtap::app::{self, Keyring, Layer};
use shadowtap::capture::{self, Input, Next, Packet, Source};
use shadowtap::decode::{Decoded, Decoder};
use shadowtap::exchange::{BodyInterest, Context, ExchangeEvent, ExchangeSink};
use shadowtap::flow::{self, Table};

use super::gate::{Group, OUTCOMES, made_up};
use super::generated;
use crate::run::root;

/// The patterns as published.
const TEN: [&str; 10] = [
    r#""method"\s{0,5}:\s{0,5}"initialize""#,
    r#""method"\s{0,5}:\s{0,5}"tools/call""#,
    r#""method"\s{0,5}:\s{0,5}"tools/list""#,
    r#""method"\s{0,5}:\s{0,5}"resources/read""#,
    r#""method"\s{0,5}:\s{0,5}"resources/list""#,
    r#""method"\s{0,5}:\s{0,5}"prompts/(list|get)""#,
    r#""method"\s{0,5}:\s{0,5}"sampling/createMessage""#,
    r#""protocolVersion"\s{0,5}:\s{0,5}"202[4-9]"#,
    r#""method"\s{0,5}:\s{0,5}"notifications/initialized""#,
    r#""method"\s{0,5}:\s{0,5}"roots/list""#,
];

/// So many bytes of a body are looked at.
const DEPTH: usize = 1_024;

/// The beginnings of `POST` bodies, and who they go to.
#[derive(Debug, Default)]
struct Posts(Vec<(SocketAddr, Vec<u8>)>);

impl ExchangeSink for Posts {
    /// From the number of an exchange to its place in the list.
    type State = BTreeMap<u32, usize>;

    fn event(
        &mut self,
        context: &Context<'_>,
        state: &mut Self::State,
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        match event {
            ExchangeEvent::RequestHead(head) if head.method == b"POST" => {
                let server = SocketAddr::new(context.server.ip, context.server.port);
                state.insert(number, self.0.len());
                self.0.push((server, Vec::new()));
            }
            ExchangeEvent::RequestBody(bytes) => {
                let place = state.get(&number).and_then(|place| self.0.get_mut(*place));
                let Some((_, body)) = place else { return BodyInterest::Unwanted };
                let room = DEPTH - body.len();
                body.extend(&bytes[..bytes.len().min(room)]);
            }
            ExchangeEvent::ResponseHead(_) => return BodyInterest::Unwanted,
            _ => {}
        }
        BodyInterest::Wanted
    }

    fn ambiguous(
        &mut self,
        _: &Context<'_>,
        _: &mut Self::State,
        _: ExchangeEvent<'_>,
    ) -> BodyInterest {
        BodyInterest::Unwanted
    }

    fn anomaly(&mut self, _: &Context<'_>, _: &mut Self::State, _: Anomaly) {}

    fn is_mcp(&self, _: &Self::State) -> bool {
        false
    }
}

fn posts(path: &Path) -> Vec<(SocketAddr, Vec<u8>)> {
    let keys = Keyring::default();
    if let Ok(text) = std::fs::read(path.with_extension("keylog")) {
        keys.add_text(&text);
    }
    let input = Input::file(path);
    capture::secrets(&input, &capture::Limits::default(), |block| {
        keys.add_text(block);
    });
    let mut layer = Layer::new(app::Limits::default(), Arc::new(keys), Posts::default());
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

/// What a capture gave, or several of them.
#[derive(Debug, Default)]
struct Count {
    files: usize,
    /// MCP servers by the labels.
    servers: usize,
    /// Of these, who got a body that a pattern hits.
    by_ten: usize,
    /// Of these, who the program names.
    by_us: usize,
    posts: usize,
    posts_hit: usize,
    /// Others that got a body that a pattern hits.
    false_by_ten: usize,
    /// Others that the program names.
    false_by_us: usize,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.servers += other.servers;
        self.by_ten += other.by_ten;
        self.by_us += other.by_us;
        self.posts += other.posts;
        self.posts_hit += other.posts_hit;
        self.false_by_ten += other.false_by_ten;
        self.false_by_us += other.false_by_us;
    }
}

fn addresses(label: &Value) -> BTreeSet<SocketAddr> {
    let endpoints = label["endpoints"].as_array().unwrap().iter();
    let address = |endpoint: &Value| {
        let port = u16::try_from(endpoint["port"].as_u64().unwrap()).unwrap();
        SocketAddr::new(endpoint["ip"].as_str().unwrap().parse().unwrap(), port)
    };
    endpoints.filter(|endpoint| endpoint["mcp"] == true).map(address).collect()
}

fn look(patterns: &RegexSet, path: &Path, name: &str, servers: &BTreeSet<SocketAddr>) -> Count {
    let posts = posts(path);
    let hits = || posts.iter().filter(|(_, body)| patterns.is_match(body));
    let ten: BTreeSet<SocketAddr> = hits().map(|(server, _)| *server).collect();
    let outcome = OUTCOMES.iter().find(|outcome| outcome.shipped && outcome.name == name);
    let us: BTreeSet<SocketAddr> =
        outcome.unwrap().endpoints.iter().map(|address| address.parse().unwrap()).collect();
    Count {
        files: 1,
        servers: servers.len(),
        by_ten: servers.intersection(&ten).count(),
        by_us: servers.intersection(&us).count(),
        posts: posts.len(),
        posts_hit: hits().count(),
        false_by_ten: ten.difference(servers).count(),
        false_by_us: us.difference(servers).count(),
    }
}

/// Transport, revision and how it is packed.
fn group(label: &Value) -> String {
    let words = |value: &Value| -> Vec<String> {
        let all = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        all.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    };
    let mut parts = vec![label["transport"].as_str().unwrap().to_owned()];
    let versions = words(&label["protocol_version"]);
    if versions.len() == 1 {
        parts.extend(versions);
    } else if !versions.is_empty() {
        parts.push("several revisions".to_owned());
    }
    if label["encrypted"] == true {
        let has_keys = label["decodable"] != "none";
        parts.push(if has_keys { "TLS, keys at hand" } else { "TLS, no keys" }.to_owned());
    }
    if words(&label["http_version"]).contains(&"2".to_owned()) {
        parts.push("HTTP/2".to_owned());
    }
    parts.extend(words(&label["content_encodings"]));
    if label["category"] == "impaired" {
        parts.push("packets missing or mangled".to_owned());
    }
    parts.join(", ")
}

fn text() -> String {
    let patterns = RegexSet::new(TEN).unwrap();
    let mut groups: BTreeMap<(bool, String), Count> = BTreeMap::new();
    let (mut mcp, mut other) = (Count::default(), Count::default());
    for entry in std::fs::read_dir(root().join("captures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let label: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name = label["file"].as_str().unwrap();
        let count = look(&patterns, &path.with_file_name(name), name, &addresses(&label));
        let is_other = label["mcp"] != true;
        let name =
            if is_other { label["scenario"].as_str().unwrap().to_owned() } else { group(&label) };
        if is_other { &mut other } else { &mut mcp }.add(&count);
        groups.entry((is_other, name)).or_default().add(&count);
    }
    for (name, group, bytes, parts) in made_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let network = |n: usize| SocketAddr::from(([10, 62, 0, n as u8], 443));
        let is_other = group != Group::Honest;
        let servers = if is_other { 0 } else { parts.len() };
        let count = look(&patterns, &path, name, &(1..=servers).map(network).collect());
        let title = format!("{}, {} servers", group.title(), parts.len());
        if is_other { &mut other } else { &mut mcp }.add(&count);
        groups.entry((is_other, title)).or_default().add(&count);
    }
    let mut text =
        "| MCP | files | servers | found by the ten | found by shadowtap | `POST`s that \
                    the ten hit |\n|---|---|---|---|---|---|\n"
            .to_owned();
    let row = |name: &str, c: &Count| {
        let (servers, ten, us) = (c.servers, c.by_ten, c.by_us);
        format!(
            "| {name} | {} | {servers} | {ten} | {us} | {} of {} |\n",
            c.files, c.posts_hit, c.posts
        )
    };
    for ((_, name), count) in groups.iter().filter(|((is_other, _), _)| !is_other) {
        text += &row(name, count);
    }
    text += &row("all", &mcp);
    text += "\n| not MCP | files | servers accused by the ten | accused by shadowtap |\n|---|---|---|---|\n";
    let row = |name: &str, c: &Count| {
        format!("| {name} | {} | {} | {} |\n", c.files, c.false_by_ten, c.false_by_us)
    };
    for ((_, name), count) in groups.iter().filter(|((is_other, _), _)| *is_other) {
        text += &row(name, count);
    }
    text += &row("all", &other);
    _ = write!(
        text,
        "\nBeside MCP servers, in the files of the first table, the ten accuse {} others and shadowtap \
         {}.\n",
        mcp.false_by_ten, mcp.false_by_us
    );
    text
}

#[test]
fn the_comparison_in_the_documentation_is_that_of_these_captures() {
    generated::section("cloudflare", &text());
}
