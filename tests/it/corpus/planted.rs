//! Secrets are planted in every field of every input; no output may hold one.
//!
//! Each is built at run time, stands in one place only, and is looked for whole and in halves. So a
//! leak names the place that it came from.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use super::kit::{
    Capture, Connection, Random, SECOND, Side, base64, base64_url, http, names, quoted, tls,
};
use crate::run::{Run, run_in};

/// Kinds of secrets, as their issuers make them.
const KINDS: usize = 12;

/// A secret of a kind; `number` makes it one of its own.
fn secret(kind: usize, number: u64) -> String {
    let mut random = Random::new(0x5ec_4e7 ^ number << 8);
    match kind % KINDS {
        0 => ["gh", "p_", &random.word(36)].concat(),
        1 => ["xo", "xb-", "123456789012-", &random.word(24)].concat(),
        2 => ["AK", "IA", &random.word(16).to_uppercase()].concat(),
        3 => ["s", "k-", "proj-", &random.word(44)].concat(),
        4 => ["gl", "pat-", &random.word(20)].concat(),
        5 => ["h", "f_", &random.word(34)].concat(),
        6 => [
            base64_url(br#"{"alg":"HS256","typ":"JWT"}"#),
            base64_url(format!(r#"{{"sub":"{}"}}"#, random.word(12)).as_bytes()),
            random.word(43),
        ]
        .join("."),
        7 => ["np", "m_", &random.word(36)].concat(),
        8 => ["s", "k_live_", &random.word(24)].concat(),
        9 => ["AI", "za", &random.word(35)].concat(),
        10 => random.hex(40),
        _ => random.uuid(),
    }
}

/// Hands secrets out and remembers where each was put.
#[derive(Debug, Default)]
struct Planter {
    planted: Vec<(String, String)>,
    /// What is added to the kind: so that every place gets every kind in some round.
    round: usize,
}

impl Planter {
    fn at(&mut self, place: &str) -> String {
        let number = self.planted.len() as u64 + 1_000 * self.round as u64;
        let secret = secret(self.planted.len() + self.round, number);
        self.planted.push((place.to_owned(), secret.clone()));
        secret
    }

    /// One that fits into a host name.
    fn label(&mut self, place: &str) -> String {
        let number = self.planted.len() as u64 + 1_000 * self.round as u64;
        let secret = Random::new(0x1abe1 ^ number).hex(40);
        self.planted.push((place.to_owned(), secret.clone()));
        secret
    }
}

const HOST: &str = "mcp.corp.test:8000";

/// Places whose contents are shown on purpose, and why. Others leak.
const SHOWN: &[(&str, &str)] = &[
    ("SNI", "a server is known by the name of its host"),
    ("Host", "a server is known by the name of its host"),
    ("name of the capture", "whoever runs the program gave it"),
    ("ticket of an approval", "whoever approved the server wrote it"),
];

/// A session with a secret in each of its fields.
fn session(p: &mut Planter, talk: &mut Connection) {
    let fields = headers(p);
    let post = |p: &mut Planter, body: &str| {
        let target = format!(
            "POST /mcp/{}?api_key={}&{}=1&session={}",
            p.at("path"),
            p.at("query value"),
            p.at("query key"),
            p.at("query session")
        );
        http::request(&target, HOST, &fields, body)
    };
    let reply = |p: &mut Planter, body: &str| {
        let fields = format!(
            "Content-Type: application/json\r\nSet-Cookie: sid={}; HttpOnly\r\nMcp-Session-Id: {}\r\n\
             Server: x {}\r\nLocation: /a?token={}\r\nX-Trace: {}\r\nETag: \"{}\"\r\n",
            p.at("Set-Cookie"),
            p.at("Mcp-Session-Id of a response"),
            p.at("Server"),
            p.at("Location"),
            p.at("X-Trace of a response"),
            p.at("ETag")
        );
        http::response("200 OK", &fields, body)
    };
    for (request, response) in messages(p) {
        let (ask, answer) = (post(p, &request), reply(p, &response));
        talk.exchange(ask, answer);
    }
    let challenge = format!(
        "WWW-Authenticate: Bearer resource_metadata=\"https://{HOST}/.well-known/oauth-protected-resource?k={}\", error_description=\"{}\"\r\nContent-Length: 0\r\n",
        p.at("WWW-Authenticate URL"),
        p.at("WWW-Authenticate text")
    );
    let last = post(p, r#"{"jsonrpc":"2.0","id":99,"method":"tools/list"}"#);
    talk.exchange(last, http::response("401 Unauthorized", &challenge, ""));
}

fn headers(p: &mut Planter) -> String {
    let basic = base64(format!("user:{}", p.at("password of Basic")).as_bytes());
    let mut fields = format!(
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Authorization: Bearer {}\r\nProxy-Authorization: Basic {basic}\r\nCookie: sid={}; {}=1\r\n\
         MCP-Protocol-Version: 2025-06-18\r\n",
        p.at("Authorization"),
        p.at("Cookie"),
        p.at("name of a cookie")
    );
    for name in [
        "X-Api-Key",
        "Mcp-Session-Id",
        "User-Agent",
        "Referer",
        "Origin",
        "Mcp-Name",
        "Mcp-Method",
        "Mcp-Param-Token",
        "Last-Event-ID",
        "X-Forwarded-For",
        "Via",
        "Traceparent",
        "X-Custom",
        "If-None-Match",
    ] {
        fields += &format!("{name}: {}\r\n", p.at(name));
    }
    fields
}

/// Requests and answers with a secret in each member.
fn messages(p: &mut Planter) -> Vec<(String, String)> {
    let mut q = |place: &str| quoted(&p.at(place));
    let initialize = format!(
        r#"{{"jsonrpc":"2.0","id":{},"method":"initialize","params":{{"protocolVersion":"2025-06-18","capabilities":{{{}:{{}}}},"clientInfo":{{"name":{},"version":{},"title":{}}}}}}}"#,
        q("JSON-RPC id"),
        q("name of a capability"),
        q("clientInfo.name"),
        q("clientInfo.version"),
        q("clientInfo.title")
    );
    let id = p.planted.iter().rfind(|(place, _)| place == "JSON-RPC id").unwrap().1.clone();
    let mut q = |place: &str| quoted(&p.at(place));
    let initialized = format!(
        r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"protocolVersion":"2025-06-18","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":{},"version":{},"title":{}}},"instructions":{}}}}}"#,
        q("serverInfo.name"),
        q("serverInfo.version"),
        q("serverInfo.title"),
        q("instructions")
    );
    let listed = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{{"name":{},"title":{},"description":{},"inputSchema":{{"type":"object","properties":{{{}:{{"type":"string","description":{},"default":{},"enum":[{}]}}}}}},"annotations":{{"title":{}}},{}:1}}],"nextCursor":{}}}}}"#,
        q("tool name"),
        q("tool title"),
        q("tool description"),
        q("parameter name"),
        q("parameter description"),
        q("default"),
        q("enum"),
        q("annotation"),
        q("key of a tool"),
        q("nextCursor")
    );
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":{},"arguments":{{"token":{},"note":{},{}:1,"deep":{{"list":[{}]}}}},"_meta":{{"progressToken":{},{}:{}}}}}}}"#,
        q("params.name"),
        q("argument token"),
        q("argument note"),
        q("key of an argument"),
        q("nested argument"),
        q("progressToken"),
        q("key of _meta"),
        q("value of _meta")
    );
    let called = format!(
        r#"{{"jsonrpc":"2.0","id":2,"result":{{"content":[{{"type":"text","text":{}}},{{"type":"resource_link","uri":{},"name":{}}}],"structuredContent":{{"a":{}}},"isError":false}}}}"#,
        q("result text"),
        q("result link"),
        q("result link name"),
        q("structuredContent")
    );
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned();
    let mut all = vec![(initialize, initialized), (list, listed), (call, called)];
    all.extend(further_messages(p));
    all
}

fn further_messages(p: &mut Planter) -> [(String, String); 4] {
    let read = format!(
        r#"{{"jsonrpc":"2.0","id":3,"method":"resources/read","params":{{"uri":"https://u:{}@files.test/{}?token={}"}}}}"#,
        p.at("password in a URI"),
        p.at("path of a URI"),
        p.at("query of a URI")
    );
    let mut q = |place: &str| quoted(&p.at(place));
    let contents = format!(
        r#"{{"jsonrpc":"2.0","id":3,"result":{{"contents":[{{"uri":{},"text":{}}}]}}}}"#,
        q("uri of contents"),
        q("text of contents")
    );
    let failed = format!(
        r#"{{"jsonrpc":"2.0","id":4,"error":{{"code":-32000,"message":{},"data":{{"a":{}}}}}}}"#,
        q("error message"),
        q("error data")
    );
    let prompt = format!(
        r#"{{"jsonrpc":"2.0","id":4,"method":"prompts/get","params":{{"name":{},"arguments":{{"a":{}}}}}}}"#,
        q("prompt name"),
        q("prompt argument")
    );
    let odd = format!(
        r#"{{"jsonrpc":"2.0","id":5,"method":{},"params":{{{}:{}}}}}"#,
        q("method"),
        q("key of params"),
        q("value of params")
    );
    let cancelled = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{},"reason":{}}}}}"#,
        q("requestId"),
        q("reason")
    );
    let none = r#"{"jsonrpc":"2.0","id":5,"error":{"code":-32601,"message":"no"}}"#.to_owned();
    [(read, contents), (prompt, failed), (odd, none), (cancelled, String::new())]
}

/// HTTP+SSE with secrets in names of events, ids and the endpoint.
fn event_stream(p: &mut Planter, talk: &mut Connection) {
    let events = [
        http::event("endpoint", &format!("/messages?sessionId={}", p.at("SSE endpoint"))),
        http::event(&p.at("name of an event"), "{}"),
        format!(": {}\n\n", p.at("comment of an event stream")),
        format!(
            "id: {}\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{{\"data\":\"{}\"}}}}\n\n",
            p.at("id of an event"),
            p.at("SSE log message")
        ),
        http::data(&format!("{{\"half\":\"{}", p.at("broken JSON in an event"))),
    ]
    .concat();
    let get = http::request(
        &format!("GET /sse/{}", p.at("SSE path")),
        HOST,
        "Accept: text/event-stream\r\n",
        "",
    );
    talk.exchange(get, http::stream("", &events));
}

fn web_socket(p: &mut Planter, talk: &mut Connection) {
    let protocol = format!("Sec-WebSocket-Protocol: mcp, {}\r\n", p.at("WebSocket subprotocol"));
    let (ask, answer) =
        http::upgrade(&format!("/ws?ticket={}", p.at("WebSocket query")), HOST, &protocol);
    talk.exchange(ask, answer);
    for (request, response) in messages(p) {
        talk.client(http::text_frame(Side::Client, request));
        if !response.is_empty() {
            talk.server(http::text_frame(Side::Server, response));
        }
    }
}

/// A host that has a secret in its name.
fn named_host(p: &mut Planter, talk: &mut Connection) {
    let host = format!("{}.mcp.test:8000", p.label("Host"));
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let json = "Content-Type: application/json\r\n";
    talk.exchange(
        http::request("POST /mcp", &host, json, list),
        http::ok("application/json", r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#),
    );
}

/// Approvals of the first server, with secrets in their remarks.
fn approvals(p: &mut Planter) -> String {
    format!(
        "schema: shadowtap/approvals@1\nservers:\n  - name: s\n    key: http://{HOST}\n    \
         owner: o\n    expires: 2027-01-01\n    notes: \"the token is {}\"\n    \
         approved: {{by: b, on: 2026-01-01, ticket: \"{}\"}}\n",
        p.at("notes of an approval"),
        p.at("ticket of an approval")
    )
}

/// Names that need no decryption.
fn clear_names(p: &mut Planter, capture: &mut Capture) {
    let client = SocketAddrV4::new([10, 63, 1, 1].into(), 42_100);
    let server = SocketAddrV4::new([10, 63, 0, 4].into(), 443);
    let mut talk = Connection::new(client, server, 9 * SECOND);
    let sni = format!("mcp.{}.test", p.label("SNI"));
    let protocol = p.at("ALPN");
    talk.client(tls::client_hello(
        &[3; 32],
        &sni,
        &["http/1.1", &protocol[..protocol.len().min(60)]],
    ));
    talk.server([21, 3, 3, 0, 2, 2, 40]);
    capture.add(&talk);
    let resolver = SocketAddrV4::new([10, 63, 0, 53].into(), 53);
    for (at, name) in
        [(1, format!("{}.mcp.asana.com", p.label("DNS name"))), (2, "mcp.asana.com".to_owned())]
    {
        capture.datagram(at, client, resolver, &names::ask(at as u16, &name));
        capture.datagram(
            at + 900,
            resolver,
            client,
            &names::answer(at as u16, &name, [10, 63, 0, 4].into()),
        );
    }
}

fn capture(p: &mut Planter) -> Vec<u8> {
    let mut capture = Capture::default();
    type Story = fn(&mut Planter, &mut Connection);
    let stories: [(u8, Story); 4] =
        [(1, session), (2, event_stream), (3, web_socket), (8, named_host)];
    for (number, story) in stories {
        let client = SocketAddrV4::new([10, 63, 1, 1].into(), 42_000 + u16::from(number));
        let server = SocketAddrV4::new([10, 63, 0, number].into(), 8_000);
        let mut talk = Connection::new(client, server, i64::from(number) * SECOND);
        story(p, &mut talk);
        capture.add(&talk);
    }
    // JSON lines without HTTP, and the same inside TLS.
    for number in 5..7 {
        let client = SocketAddrV4::new([10, 63, 1, 1].into(), 42_000 + number);
        let server = SocketAddrV4::new([10, 63, 0, number as u8].into(), 9_000);
        let mut talk = Connection::new(client, server, i64::from(number) * SECOND);
        for (request, response) in messages(p) {
            talk.client(format!("{request}\n"));
            talk.server(format!("{response}\n"));
        }
        if number == 6 {
            let (outer, keylog) = tls::wrapped(&talk, "lines.test");
            capture.keys(&keylog);
            talk = outer;
        }
        capture.add(&talk);
    }
    clear_names(p, &mut capture);
    capture.bytes()
}

/// A rule that quotes as much as a rule can.
const NOSY: &str = r#"schema: shadowtap/rule@1
id: SMCP-9101
rev: 1
title: Quotes everything
status: experimental
lane: hunt
severity: info
confidence: 1
why: To see what gets through.
todo: [Nothing]
refs: ["https://example.com/"]
on: message
evidence: hint
prefilter: none
when:
  mcp.kind: {exists: true}
report:
  text: "{client.ip} {server.key} {mcp.method} {mcp.name} {mcp.client_name} {mcp.server_name} {http.host}{http.path}"
  keep: [FIELDS]
group: {by: [mcp.method, mcp.name], for: 1s}
tests:
  - name: list
    give:
      request: {body: {jsonrpc: "2.0", id: 1, method: tools/list}}
      response: {body: {jsonrpc: "2.0", id: 1, result: {tools: []}}}
    want: hit
  - name: nothing
    give:
      request: {target: /x, body: nothing}
    want: none
"#;

/// Every field that a rule on messages may keep, by the program's own list; those that stand for
/// many names are tried with a name each.
fn nosy() -> String {
    let catalogue = shadowtap::rules::CATALOGUE.iter();
    let on_message = catalogue.filter(|spec| spec.on.contains(&shadowtap::rules::On::Message));
    let mut fields = Vec::new();
    for spec in on_message {
        let Some((stem, _)) = spec.name.split_once('<') else {
            fields.push(spec.name.to_owned());
            continue;
        };
        if stem.contains("header") {
            for name in [
                "x-custom",
                "referer",
                "user-agent",
                "via",
                "location",
                "server",
                "x-*",
                "set-cookie",
            ] {
                fields.push(format!("{stem}{name}"));
            }
        } else {
            fields.extend(["token", "note"].map(|name| format!("{stem}{name}")));
        }
    }
    NOSY.replace("FIELDS", &fields.join(", "))
}

fn outputs(folder: &std::path::Path, file: &str, approvals: &str) -> Vec<(&'static str, String)> {
    let run = |args: &[&str]| -> Run {
        let run = run_in(folder, args);
        assert!(matches!(run.code, 0 | 1), "{args:?}: {}", run.stderr);
        run
    };
    let report = run(&[
        "replay",
        file,
        "--report",
        "sarif=a.sarif",
        "--report",
        "junit=a.xml",
        "--out",
        "out",
    ]);
    let json = run(&["replay", file, "--json", "--no-files"]);
    let nosy = run(&["replay", file, "--json", "--no-files", "--rules", "nosy.yaml"]);
    let nosy_report = run(&["replay", file, "--no-files", "--rules", "nosy.yaml"]);
    let draft = run(&["approvals", "draft", file]);
    let approved = run(&["replay", file, "--no-files", "--approvals", approvals]);
    let approved_json = run(&["replay", file, "--no-files", "--approvals", approvals, "--json"]);
    let check = run(&["approvals", "check", approvals]);
    assert!(approved.stdout.contains("approved as s"), "{}", approved.stdout);
    assert!(report.stdout.contains("MCP servers"), "{}", report.stdout);
    assert!(nosy.of_type("finding").len() > 20, "{}", nosy.stderr);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut found = Vec::new();
    super::documents::files(&folder.join("out"), &mut found);
    assert_eq!(found.len(), 1);
    vec![
        ("report", report.stdout + &report.stderr),
        ("NDJSON", json.stdout + &json.stderr),
        ("NDJSON of a nosy rule", nosy.stdout + &nosy.stderr),
        ("report of a nosy rule", nosy_report.stdout + &nosy_report.stderr),
        ("draft", draft.stdout + &draft.stderr),
        ("report with approvals", approved.stdout + &approved.stderr),
        ("NDJSON with approvals", approved_json.stdout + &approved_json.stderr),
        ("check of approvals", check.stdout + &check.stderr),
        ("NDJSON file", std::fs::read_to_string(&found[0]).unwrap()),
        ("SARIF", read("a.sarif")),
        ("JUnit", read("a.xml")),
    ]
}

/// What the outputs of one round hold: (output, place).
fn leaks(round: usize) -> BTreeSet<(&'static str, String)> {
    let mut p = Planter { round, ..Planter::default() };
    let folder = tempfile::tempdir().unwrap();
    let file = format!("{}.pcapng", p.label("name of the capture"));
    std::fs::write(folder.path().join(&file), capture(&mut p)).unwrap();
    std::fs::write(folder.path().join("nosy.yaml"), nosy()).unwrap();
    std::fs::write(folder.path().join("remarks.yaml"), approvals(&mut p)).unwrap();
    assert!(p.planted.len() > 100);
    let mut leaks = BTreeSet::new();
    for (output, text) in outputs(folder.path(), &file, "remarks.yaml") {
        for (place, secret) in &p.planted {
            // Half a secret is too much as well; of a web token every part counts.
            let middle = secret.len() / 2;
            let halves = [&secret[..middle], &secret[middle..]];
            let parts = halves
                .into_iter()
                .filter(|part| !secret.starts_with("ey") || !part.starts_with("ey"));
            if parts.clone().any(|part| text.contains(part)) {
                leaks.insert((output, place.clone()));
            }
        }
    }
    leaks
}

#[test]
fn no_planted_secret_reaches_an_output() {
    let mut all = BTreeSet::new();
    for round in [0, 5] {
        all.extend(leaks(round));
    }
    let shown: BTreeSet<&str> = all.iter().map(|(_, place)| place.as_str()).collect();
    let idle = SHOWN.iter().filter(|(place, _)| !shown.contains(place));
    assert_eq!(idle.collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "not shown at all");
    let leaks = all.iter().filter(|(_, place)| !SHOWN.iter().any(|(shown, _)| shown == place));
    let lines: Vec<String> =
        leaks.map(|(output, place)| format!("{output} holds: {place}")).collect();
    assert!(lines.is_empty(), "{} leaks:\n{}", lines.len(), lines.join("\n"));
}
