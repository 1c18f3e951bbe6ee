//! Payloads in disguise. Every example that a rule with `views` must hit is sent again in other
//! encodings that mean the same to whoever gets it; which of them the rule still sees stands in
//! `tests/golden/corpus/evasion.txt`. New rules are taken up by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddrV4;
use std::path::PathBuf;

use serde_json::Value;

use super::documents;
use super::kit::{Capture, Connection, MILLI, base64, hex, http, tls};
use crate::run::{root, run_in};

/// What stands for rules with views as long as there are none, and for the payloads that everybody
/// disguises.
const PROBE: &str = include_str!("evasion/probe.yaml");

/// Examples of one rule at most.
const MAX_EXAMPLES: usize = 3;

/// How a payload is disguised.
#[derive(Clone, Copy)]
enum Disguise {
    /// Texts inside the message.
    Text(fn(&str) -> String),
    /// The JSON of a message, with the same meaning.
    Json(fn(&Value) -> String),
    /// How messages travel.
    Wire(Wire),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Plain,
    /// Bodies in chunks of seven bytes.
    Chunked,
    /// Responses content-coded.
    Gzip,
    /// Responses as event streams.
    Events,
    /// Responses as event streams with a line for each line of a pretty-printed message.
    Lines,
}

/// Name, disguise, and the view that sees through it: `raw` is always there.
const DISGUISES: &[(&str, Disguise, &str)] = &[
    ("plain", Disguise::Wire(Wire::Plain), "raw"),
    ("chunked", Disguise::Wire(Wire::Chunked), "raw"),
    ("gzip", Disguise::Wire(Wire::Gzip), "raw"),
    ("events", Disguise::Wire(Wire::Events), "raw"),
    ("events of many lines", Disguise::Wire(Wire::Lines), "raw"),
    ("unicode escapes", Disguise::Json(escaped), "raw"),
    ("escaped slashes", Disguise::Json(|body| body.to_string().replace('/', "\\/")), "raw"),
    ("other order of keys", Disguise::Json(reversed), "raw"),
    ("white space", Disguise::Json(|body| serde_json::to_string_pretty(body).unwrap()), "raw"),
    ("percent", Disguise::Text(|text| percent(text, u8::is_ascii_alphanumeric)), "percent"),
    ("percent of every byte", Disguise::Text(|text| percent(text, |_| false)), "percent"),
    (
        "percent twice",
        Disguise::Text(|text| percent(&percent(text, |_| false), |_| false)),
        "percent",
    ),
    ("mixed case", Disguise::Text(mixed_case), "folded"),
    ("homoglyphs", Disguise::Text(homoglyphs), "folded"),
    ("zero-width splits", Disguise::Text(|text| split_by(text, '\u{200b}')), "folded"),
    ("word joiners", Disguise::Text(|text| split_by(text, '\u{2060}')), "folded"),
    ("full width", Disguise::Text(full_width), "folded"),
    ("base64", Disguise::Text(|text| base64(text.as_bytes())), "decoded"),
    ("hex", Disguise::Text(|text| hex(text.as_bytes())), "decoded"),
];

/// Every character of every text as an escape, keys and methods too.
fn escaped(body: &Value) -> String {
    let quoted = |text: &str| {
        let escapes: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        format!("\"{escapes}\"")
    };
    written(body, &quoted, false)
}

/// Objects with their keys in the opposite order.
fn reversed(body: &Value) -> String {
    written(body, &super::kit::quoted, true)
}

fn written(body: &Value, quoted: &dyn Fn(&str) -> String, backwards: bool) -> String {
    match body {
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                format!("{}:{}", quoted(key), written(value, quoted, backwards))
            };
            let mut members: Vec<String> = members.iter().map(member).collect();
            if backwards {
                members.reverse();
            }
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| written(item, quoted, backwards)).collect();
            format!("[{}]", items.join(","))
        }
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn percent(text: &str, stays: fn(&u8) -> bool) -> String {
    let byte = |byte: u8| {
        if stays(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

fn mixed_case(text: &str) -> String {
    let letter = |(place, letter): (usize, char)| {
        if place % 2 == 0 { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    text.chars().enumerate().map(letter).collect()
}

/// Cyrillic and Greek letters that look like Latin ones.
fn homoglyphs(text: &str) -> String {
    const LIKE: [(char, char); 12] = [
        ('a', 'а'),
        ('e', 'е'),
        ('o', 'о'),
        ('p', 'р'),
        ('c', 'с'),
        ('x', 'х'),
        ('y', 'у'),
        ('i', 'і'),
        ('s', 'ѕ'),
        ('j', 'ј'),
        ('A', 'А'),
        ('O', 'Ο'),
    ];
    let swap =
        |letter| LIKE.iter().find(|(own, _)| *own == letter).map_or(letter, |(_, like)| *like);
    text.chars().map(swap).collect()
}

/// Puts a character between any two letters or digits.
fn split_by(text: &str, with: char) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        if letter.is_alphanumeric() && out.ends_with(char::is_alphanumeric) {
            out.push(with);
        }
        out.push(letter);
    }
    out
}

fn full_width(text: &str) -> String {
    let wide = |letter: char| match letter {
        '!'..='~' => char::from_u32(u32::from(letter) + 0xfee0).unwrap(),
        other => other,
    };
    text.chars().map(wide).collect()
}

/// A rule as written.
struct Rule {
    id: String,
    views: BTreeSet<String>,
    examples: Vec<(String, Vec<Value>)>,
}

/// The values of every `views` in a condition.
fn views(condition: &Value, found: &mut BTreeSet<String>) {
    match condition {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::Array(items) if key == "views" => {
                        found.extend(items.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => views(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| views(item, found)),
        _ => {}
    }
}

/// Whether an example is traffic that can be sent again: exchanges with JSON, and nothing that is
/// only given.
fn can_be_sent(exchange: &Value) -> bool {
    let only_given = ["contact", "hello", "answer", "dns", "tunnel", "ambiguous"];
    exchange["request"]["body"].is_object()
        && only_given.iter().all(|key| exchange.get(key).is_none())
}

/// A rule whose examples are worth to be disguised, if the text is one.
fn rule(text: &str) -> Option<Rule> {
    let file: Value = serde_saphyr::from_str(text).unwrap();
    let is_rule = file["schema"] == "shadowtap/rule@1";
    if !is_rule || file["status"] == "draft" || file["status"] == "deprecated" {
        return None;
    }
    let mut found = BTreeSet::new();
    views(&file["when"], &mut found);
    views(&file["raise"], &mut found);
    let example = |test: &Value| {
        let give = match &test["give"] {
            Value::Array(many) => many.clone(),
            one => vec![one.clone()],
        };
        let fits = test["want"] == "hit"
            && test.get("approvals").is_none()
            && give.iter().all(can_be_sent);
        fits.then(|| (test["name"].as_str().unwrap().to_owned(), give))
    };
    let tests = file["tests"].as_array().into_iter().flatten();
    let id = file["id"].as_str().unwrap().to_owned();
    let is_probe = text == PROBE;
    let most = if is_probe { usize::MAX } else { MAX_EXAMPLES };
    let examples: Vec<_> = tests.filter_map(example).take(most).collect();
    (is_probe || !found.is_empty()).then_some(Rule { id, views: found, examples })
}

fn rules() -> Vec<Rule> {
    let mut paths: Vec<PathBuf> = Vec::new();
    documents::files(&root().join("rules"), &mut paths);
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    let texts = paths.into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let mut rules: Vec<Rule> =
        texts.chain([PROBE.to_owned()]).filter_map(|text| rule(&text)).collect();
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    rules
}

/// Rewrites the texts that a payload can be in: arguments, and what results and definitions say.
fn disguise(body: &Value, change: fn(&str) -> String) -> Value {
    const SAID: [&str; 5] = ["text", "description", "instructions", "default", "message"];
    fn walk(value: &Value, every: bool, change: fn(&str) -> String) -> Value {
        match value {
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| {
                    let said = SAID.contains(&key.as_str()) && value.is_string();
                    (key.clone(), walk(value, every || said || key == "arguments", change))
                };
                Value::Object(members.iter().map(member).collect())
            }
            Value::Array(items) => items.iter().map(|item| walk(item, every, change)).collect(),
            Value::String(text) if every => Value::from(change(text)),
            other => other.clone(),
        }
    }
    walk(body, false, change)
}

fn fields(message: &Value) -> String {
    let headers = message["headers"].as_object().into_iter().flatten();
    headers.map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap())).collect()
}

/// The exchanges of an example, disguised, with a server at `path`.
fn connection(give: &[Value], how: Disguise, path: &str, number: usize) -> (Connection, String) {
    let address = |value: &Value, default: &str, port: u16| -> SocketAddrV4 {
        let text = value.as_str().unwrap_or(default);
        let with_port = format!("{text}:{port}");
        text.parse().or_else(|_| with_port.parse()).unwrap()
    };
    let port = 10_000 + (number % 50_000) as u16;
    let mut client = address(&give[0]["client"], "10.77.0.10", port);
    client.set_port(port);
    let server = address(&give[0]["server"], "10.77.0.20", 8_000);
    let mut talk = Connection::new(client, server, number as i64 * 20 * MILLI);
    let wire = if let Disguise::Wire(wire) = how { wire } else { Wire::Plain };
    let shown = |body: &Value| match how {
        Disguise::Text(change) => disguise(body, change).to_string(),
        Disguise::Json(write) => write(body),
        Disguise::Wire(Wire::Lines) => serde_json::to_string_pretty(body).unwrap(),
        Disguise::Wire(_) => body.to_string(),
    };
    for exchange in give {
        let (request, response) = (&exchange["request"], &exchange["response"]);
        let has_host = request["headers"]
            .as_object()
            .is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case("host")));
        let host = if has_host { String::new() } else { format!("Host: {server}\r\n") };
        let own = format!("{host}{}Content-Type: application/json\r\n", fields(request));
        let start = format!("{} {path} HTTP/1.1", request["method"].as_str().unwrap_or("POST"));
        let body = shown(&request["body"]);
        talk.client(message(&start, &own, &body, wire == Wire::Chunked));
        if response.is_null() {
            continue;
        }
        let start = format!("HTTP/1.1 {} OK", response["status"].as_u64().unwrap_or(200));
        let text = match &response["body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            body => shown(body),
        };
        talk.server(answer(&start, &fields(response), &text, wire));
    }
    if give[0]["tls"] == true {
        return tls::wrapped(&talk, "evasion.test");
    }
    (talk, String::new())
}

fn message(start: &str, fields: &str, body: impl AsRef<[u8]>, chunked: bool) -> Vec<u8> {
    let body = body.as_ref();
    if chunked {
        return http::chunked_message(start, fields, body, 7);
    }
    let head = format!("{start}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn answer(start: &str, fields: &str, body: &str, wire: Wire) -> Vec<u8> {
    let json = format!("{fields}Content-Type: application/json\r\n");
    let events = format!("{fields}Content-Type: text/event-stream\r\n");
    match wire {
        Wire::Plain => message(start, &json, body, false),
        Wire::Chunked => message(start, &json, body, true),
        Wire::Gzip => {
            message(start, &format!("{json}Content-Encoding: gzip\r\n"), http::gzip(body), false)
        }
        Wire::Events => message(start, &events, http::event("message", body), true),
        Wire::Lines => {
            let lines: String = body.lines().map(|line| format!("data: {line}\n")).collect();
            message(start, &events, format!("{lines}\n"), true)
        }
    }
}

/// One line of the table for each example of each rule.
fn table() -> String {
    let rules = rules();
    let mut capture = Capture::default();
    let mut cases = BTreeMap::new();
    for rule in &rules {
        for (name, give) in &rule.examples {
            for (disguise_name, how, _) in DISGUISES {
                let changes = |exchange: &Value| match how {
                    Disguise::Text(change) => ["request", "response"].iter().any(|side| {
                        disguise(&exchange[side]["body"], *change) != exchange[side]["body"]
                    }),
                    _ => true,
                };
                if !give.iter().any(changes) {
                    continue;
                }
                let path = format!("/e{}", cases.len());
                let (talk, keylog) = connection(give, *how, &path, cases.len());
                capture.add(&talk);
                capture.keys(&keylog);
                cases.insert((rule.id.as_str(), name.as_str(), *disguise_name), path);
            }
        }
    }
    let caught = caught(&capture.bytes());
    let mut text = String::new();
    for rule in &rules {
        let views: Vec<&str> = rule.views.iter().map(String::as_str).collect();
        _ = writeln!(text, "{} (views: raw {})", rule.id, views.join(" "));
        for (name, _) in &rule.examples {
            let of = |want: bool, seen: bool| -> Vec<&str> {
                let rows = DISGUISES.iter().filter(|(disguise, _, view)| {
                    let expected = *view == "raw" || rule.views.contains(*view);
                    let case = cases.get(&(rule.id.as_str(), name.as_str(), *disguise));
                    let hit = |path: &String| caught.contains(&(rule.id.clone(), path.clone()));
                    expected == want && case.is_some_and(|path| hit(path) == seen)
                });
                rows.map(|(disguise, ..)| *disguise).collect()
            };
            _ = writeln!(text, "  {name}");
            for (what, want, seen) in [
                ("caught", true, true),
                ("caught without a view for it", false, true),
                ("missed", false, false),
                ("MISSED IN SPITE OF ITS VIEWS", true, false),
            ] {
                let list = of(want, seen);
                if !list.is_empty() {
                    _ = writeln!(text, "    {what}: {}", list.join(", "));
                }
            }
        }
    }
    text
}

/// Rule and path of each server that something was found of.
fn caught(capture: &[u8]) -> BTreeSet<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("evasion.pcapng"), capture).unwrap();
    std::fs::write(folder.path().join("probe.yaml"), PROBE).unwrap();
    let args = ["replay", "evasion.pcapng", "--json", "--no-files", "--rules", "probe.yaml"];
    let run = run_in(folder.path(), &args);
    assert!(matches!(run.code, 0 | 1), "{}", run.stderr);
    let pair = |event: &Value| {
        let key = event["server"]["key"].as_str().unwrap();
        let path = key.rsplit_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
        (event["rule"]["id"].as_str().unwrap().to_owned(), path)
    };
    run.of_type("finding").iter().map(pair).collect()
}

#[test]
fn disguised_payloads_are_caught_as_the_table_says() {
    let got = table();
    let path = root().join("tests/golden/corpus/evasion.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(want == got, "corpus/evasion.txt differs; BLESS=1 rewrites it. Got:\n{got}");
    assert!(got.contains("    caught: plain, chunked, gzip, events"), "{got}");
}

#[test]
fn disguises_mean_the_same() {
    let body = serde_json::json!({"a": "b/\"c\\ d", "e": [1, {"f": "x.y"}], "g": null});
    for (name, how, _) in DISGUISES {
        if let Disguise::Json(write) = how {
            let again: Value = serde_json::from_str(&write(&body)).unwrap();
            assert_eq!(again, body, "{name}");
        }
    }
    assert_eq!(percent("a/b", u8::is_ascii_alphanumeric), "a%2Fb");
    assert_eq!(homoglyphs("system").chars().filter(char::is_ascii).count(), 2);
    assert_eq!(split_by("ab c", '\u{200b}'), "a\u{200b}b c");
    assert_eq!(full_width("a b"), "\u{ff41} \u{ff42}");
}
