//! Credentials in the traffic never reach an output.

use super::synthetic::{Capture, json, post};
use super::{folder, run_in};

/// Tokens made at run time from parts, so that no file of the repository holds one.
struct Secrets {
    all: Vec<(&'static str, String)>,
}

impl Secrets {
    fn make() -> Self {
        let word = |seed: u64, length: usize| -> String {
            let alphabet = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                char::from(alphabet[usize::try_from(state % alphabet.len() as u64).unwrap()])
            };
            (0..length).map(|_| next()).collect()
        };
        let all = vec![
            ("bearer", word(1, 40)),
            ("basic", word(2, 28)),
            ("cookie", word(3, 32)),
            ("x-api-key", word(4, 32)),
            ("session", word(5, 36)),
            ("query", word(6, 32)),
            ("github", ["gh", "p_", &word(7, 36)].concat()),
            ("slack", ["xo", "xb-", "123456789012-", &word(8, 24)].concat()),
            ("aws", ["AK", "IA", &word(9, 16).to_uppercase()].concat()),
            ("openai", ["s", "k-", "proj-", &word(10, 40)].concat()),
            (
                "jwt",
                format!(
                    "{}{}.{}.{}",
                    "ey",
                    word(11, 30),
                    ["ey", &word(12, 40)].concat(),
                    word(13, 43)
                ),
            ),
            ("password", word(14, 20)),
            ("uri", word(15, 24)),
            ("result", ["gh", "o_", &word(16, 36)].concat()),
            ("set-cookie", word(17, 32)),
            ("tool", ["gh", "s_", &word(20, 36)].concat()),
            ("client name", ["s", "k-", &word(21, 40)].concat()),
            ("user agent", ["gl", "pat-", &word(22, 20)].concat()),
            ("error", ["hf", "_", &word(23, 34)].concat()),
            ("method", word(24, 40)),
        ];
        Self { all }
    }

    fn get(&self, name: &str) -> &str {
        &self.all.iter().find(|(known, _)| *known == name).unwrap().1
    }
}

fn capture(secrets: &Secrets) -> Vec<u8> {
    let s = |name: &str| secrets.get(name);
    let headers = format!(
        "Authorization: Bearer {}\r\nCookie: sid={}\r\nX-Api-Key: {}\r\nMcp-Session-Id: {}\r\n",
        s("bearer"),
        s("cookie"),
        s("x-api-key"),
        s("session")
    );
    let answer = format!(
        "Mcp-Session-Id: {}\r\nSet-Cookie: sid={}; HttpOnly\r\n",
        s("session"),
        s("set-cookie")
    );
    let target = format!("/mcp?api_key={}", s("query"));
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"CLIENT","version":"1"}}}"#
        .replace("CLIENT", s("client name"));
    let initialized = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"login","arguments":{{"token":"{}","note":"use {} and {} or {}","jwt":"{}","password":"{}"}}}}}}"#,
        s("github"),
        s("slack"),
        s("aws"),
        s("openai"),
        s("jwt"),
        s("password")
    );
    let called = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"your token is {}"}}]}}}}"#,
        s("result")
    );
    let read = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{{"uri":"https://u:{}@files.example/a?token={}"}}}}"#,
        s("password"),
        s("uri")
    );
    let done = r#"{"jsonrpc":"2.0","id":2,"result":{"contents":[]}}"#;
    let basic =
        format!("Authorization: Basic {}\r\nUser-Agent: x {}\r\n", s("basic"), s("user agent"));
    let tool = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{}"}}}}"#,
        s("tool")
    );
    let failed = format!(
        r#"{{"jsonrpc":"2.0","id":7,"error":{{"code":-32000,"message":"no {}"}}}}"#,
        s("error")
    );
    let odd = format!(r#"{{"jsonrpc":"2.0","method":"{}","params":{{}}}}"#, s("method"));
    let texts = [
        (post("mcp.corp.test:8000", &target, &headers, &initialize), json(&answer, initialized)),
        (post("mcp.corp.test:8000", &target, &headers, &call), json("", &called)),
        (post("mcp.corp.test:8000", &target, &basic, &read), json("", done)),
        (post("mcp.corp.test:8000", &target, &headers, &tool), json("", &failed)),
        (post("mcp.corp.test:8000", &target, &headers, &odd), json("", "")),
    ];
    let texts: Vec<(&str, &str)> = texts.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let mut capture = Capture::new();
    capture.exchanges(([10, 1, 1, 9], 40_000), ([10, 1, 1, 2], 8000), &texts);
    capture.finish()
}

/// A rule that quotes as much as a rule can.
const NOSY: &str = r#"schema: shadowtap/rule@1
id: SMCP-9100
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
evidence: parsed
prefilter: none
when:
  mcp.kind: {exists: true}
report:
  text: "{client.ip} {mcp.method} {mcp.name}"
  keep: [mcp.arguments, mcp.uri, mcp.name, mcp.method, http.path, http.query_keys, http.session, http.auth, http.user_agent, http.request.header.authorization, http.request.header.cookie, http.request.header.x-api-key, http.request.header.mcp-session-id]
tests:
  - name: list
    give:
      request: {body: {jsonrpc: "2.0", id: 1, method: tools/list}}
      response: {body: {jsonrpc: "2.0", id: 1, result: {tools: []}}}
    want: hit
  - name: language server
    give:
      request: {target: /lsp, body: {jsonrpc: "2.0", id: 1, method: textDocument/hover}}
      response: {body: {jsonrpc: "2.0", id: 1, result: null}}
    want: none
"#;

#[test]
fn no_credential_reaches_an_output() {
    let secrets = Secrets::make();
    let folder = folder(&[]);
    std::fs::write(folder.path().join("a.pcap"), capture(&secrets)).unwrap();
    std::fs::write(folder.path().join("nosy.yaml"), NOSY).unwrap();
    let report = run_in(
        folder.path(),
        &["replay", "a.pcap", "--report", "sarif=a.sarif", "--report", "junit=a.xml"],
    );
    assert_eq!(report.code, 1, "{}", report.stderr);
    assert!(report.stdout.contains("sends credentials"), "{}", report.stdout);
    let json = run_in(folder.path(), &["replay", "a.pcap", "--json", "--fail-on", "never"]);
    let servers = json.of_type("server");
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0]["tools_called"]["login"], 1);
    let nosy = run_in(folder.path(), &["replay", "a.pcap", "--json", "--rules", "nosy.yaml"]);
    assert!(super::count(&nosy, "SMCP-9100") > 0, "{}", nosy.stderr);
    let draft = run_in(folder.path(), &["approvals", "draft", "a.pcap"]);
    let file = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let outputs = [
        ("the report", report.stdout),
        ("its standard error", report.stderr),
        ("NDJSON", json.stdout),
        ("NDJSON of a nosy rule", nosy.stdout),
        ("errors of a nosy rule", nosy.stderr),
        ("a draft", draft.stdout),
        ("the file", file("findings/a.ndjson")),
        ("SARIF", file("a.sarif")),
        ("JUnit", file("a.xml")),
    ];
    let mut leaks = Vec::new();
    for (output, text) in &outputs {
        for (name, secret) in &secrets.all {
            // Half a secret is too much as well.
            let halves = [&secret[..secret.len() / 2], &secret[secret.len() / 2..]];
            if halves.iter().any(|half| text.contains(half)) {
                leaks.push(format!("{output} holds {name}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
