//! What rules are asked about: messages as agents and servers send them, and rules in any number.

use std::fmt::Write as _;

use serde_json::{Value, json};
use shadowtap::observation::Kind;
use shadowtap::pipeline::Recogniser;
use shadowtap::rules::{Given, On, OwnedSubject, Recognise as _, Source};

use crate::input;

/// Rules that no two share a literal of, for each field in turn: the same for a number in every
/// run. None holds for the messages below.
pub(crate) fn rules(count: usize) -> Vec<Source> {
    (0..count).map(rule).collect()
}

fn rule(number: usize) -> Source {
    let mut words = input::Random(0x5eed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9));
    let (one, other) = (word(&mut words), word(&mut words));
    let (on, when) = match number % 10 {
        0 => ("message", format!("mcp.method: tools/call, mcp.name: {one}_{other}")),
        1 => ("message", format!("mcp.name: {{starts_with: {one}_}}, mcp.kind: request")),
        2 => ("message", format!("mcp.method: {one}/{other}")),
        3 => {
            ("message", format!("mcp.method: tools/call, args.text: {{contains: [{one} {other}]}}"))
        }
        4 => (
            "message",
            format!("args.text: {{contains: [{one}, {other}], views: [percent, folded]}}"),
        ),
        5 => ("message", format!("result.text: {{contains: [{one}, {other}]}}")),
        6 => (
            "message",
            format!(
                "result.text: {{matches: '{one} (?:the|your) {other}', nocase: true, views: [folded, decoded]}}"
            ),
        ),
        7 => {
            ("message", format!("http.user_agent: {{contains: [{one}/]}}, mcp.method: tools/call"))
        }
        8 => ("message", format!("http.path: {{starts_with: [/{one}/{other}]}}")),
        _ => ("message", format!("http.request.header.x-{one}: {{contains: [{other}]}}")),
    };
    let text = format!(
        "{{schema: shadowtap/rule@1, id: SMCP-{:04}, rev: 1, title: {one} {other}, status: \
         experimental, lane: hunt, severity: info, confidence: 50, why: bench, refs: \
         ['https://example.com'], on: {on}, when: {{{when}}}, report: {{text: bench}}, tests: \
         [{{name: a, give: {{}}, want: hit}}, {{name: b, give: {{}}, want: none}}]}}",
        number + 1_000
    );
    Source::new(format!("rule-{number}.yaml"), text)
}

/// Three to five syllables, ending in a way that no word of the messages does.
fn word(random: &mut input::Random) -> String {
    const SYLLABLES: [&str; 32] = [
        "re", "to", "con", "in", "de", "pro", "an", "ma", "ti", "er", "se", "lo", "ca", "mi", "ro",
        "ne", "su", "per", "da", "ver", "ex", "li", "po", "ter", "un", "co", "al", "fi", "en",
        "wa", "be", "gu",
    ];
    let count = 3 + random.below(3);
    let mut word: String = (0..count).map(|_| SYLLABLES[random.below(SYLLABLES.len())]).collect();
    word.push('q');
    word
}

/// A message that rules are asked about: `call` has arguments of 300 bytes, `list` answers with
/// 20 tools, `result` with text of 10 kB.
pub(crate) fn message(what: &str) -> OwnedSubject {
    let (method, params, result) = match what {
        "list" => ("tools/list", json!({}), input::tools_list(20)),
        "result" => {
            let text = ordinary_text(10_000);
            let result = json!({"result": {"content": [{"type": "text", "text": text}]}});
            ("tools/call", json!({"name": "read_page", "arguments": {}}), result.to_string())
        }
        _ => {
            let query = &ordinary_text(200)[..200];
            let arguments = json!({"query": query, "path": "/srv/reports/2026/q3.md",
                "options": {"limit": 10, "order": "newest", "fields": ["title", "owner"]}});
            let params = json!({"name": "search_reports", "arguments": arguments});
            ("tools/call", params, r#"{"result": {"content": []}}"#.to_owned())
        }
    };
    let mut result: Value = serde_json::from_str(&result).unwrap();
    result["jsonrpc"] = json!("2.0");
    result["id"] = json!(7);
    let exchange = json!({
        "request": {
            "headers": {
                "accept": "application/json, text/event-stream",
                "authorization": "Bearer 0123456789abcdef",
                "mcp-protocol-version": "2025-06-18",
                "user-agent": "bench/1.0",
            },
            "body": {"jsonrpc": "2.0", "id": 7, "method": method, "params": params},
        },
        "response": {"body": result},
    });
    let exchanges = vec![serde_json::from_value(exchange).unwrap()];
    let subjects = Recogniser.subjects(&Given { exchanges, approvals: None }).unwrap();
    let kind = if what == "call" { Kind::Request } else { Kind::Result };
    let is_it = |subject: &OwnedSubject| {
        let message = subject.message.as_ref().map(|facts| facts.message.kind);
        subject.on == On::Message && message == Some(kind)
    };
    subjects.into_iter().find(is_it).unwrap()
}

/// Text as tools return it, of about `len` bytes: sentences, names, numbers, addresses.
pub(crate) fn ordinary_text(len: usize) -> String {
    const WORDS: [&str; 24] = [
        "the",
        "report",
        "of",
        "customers",
        "and",
        "their",
        "open",
        "invoices",
        "was",
        "sent",
        "to",
        "Berlin",
        "on",
        "Monday",
        "with",
        "an",
        "index",
        "that",
        "names",
        "every",
        "server",
        "in",
        "the",
        "network",
    ];
    let mut random = input::Random(13);
    let mut text = String::new();
    while text.len() < len {
        match random.below(40) {
            0 => text.push_str("See https://docs.example.com/reports/index.html. "),
            1 => writeln!(text, "Item {}: {}.50 EUR.", random.below(9_999), random.below(999))
                .unwrap(),
            2 => text.push_str("It was approved. "),
            _ => {
                text.push_str(WORDS[random.below(WORDS.len())]);
                text.push(' ');
            }
        }
    }
    text
}
