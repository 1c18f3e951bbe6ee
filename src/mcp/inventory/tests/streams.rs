//! Streams that carry messages both ways: WebSocket, and lines without HTTP.

use super::*;
use crate::exchange::Scheme;

const UPGRADE: &str = "a> GET /ws | host: h:81 | upgrade: websocket\na< 101 | upgrade: websocket\n";
const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn says(arrow: &str, text: &str) -> String {
    format!("a{arrow}= {text}\n")
}

fn up(text: &str) -> String {
    says(">", text)
}

fn down(text: &str) -> String {
    says("<", text)
}

fn result(id: u32, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

fn error(id: &str, code: i64) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"no"}}}}"#)
}

fn handshake() -> String {
    [up(&initialize("2025-11-25")), down(&initialized("2025-11-25")), up(READY)].concat()
}

#[test]
fn a_session_on_websocket_is_confirmed_under_the_key_of_its_upgrade() {
    let outcome = play(&[UPGRADE, &handshake(), &up(&ask(1, "tools/list")), &down(TOOLS)].concat());
    let server = outcome.only();
    assert_eq!(server.key.to_string(), "http://h:81/ws");
    assert_eq!(server.evidence, Evidence::Confirmed);
    assert_eq!(transports(server), ["websocket"]);
    assert_eq!(versions(server), ["2025-11-25"]);
    assert_eq!(server.exchanges, 1);
    assert_eq!(
        outcome.resolved,
        [
            "a Used Confirmed",
            "a initialize Result",
            "a Result",
            "a notifications/initialized",
            "a Changed Confirmed",
            "a Changed Confirmed",
            "a Changed Confirmed",
            "a tools/list Result",
            "a Result",
        ]
    );
}

#[test]
fn lines_without_http_are_a_server_of_their_own() {
    for (scheme, key) in [("tcp", "tcp://10.0.0.2:80"), ("tls", "tls://10.0.0.2:80")] {
        let call = up(&ask(1, "tools/list"));
        let outcome = play(&format!("a= {scheme}\n{call}{}a.", down(TOOLS)));
        let server = outcome.only();
        assert_eq!(server.key.to_string(), key);
        assert_eq!(server.key.path, "");
        assert_eq!(server.evidence, Evidence::Confirmed);
        assert_eq!(transports(server), ["json-lines"]);
        let client = server.clients.values().next().unwrap();
        assert!(client.unauthenticated_result);
    }
    // Not even if an HTTP server was seen at the address before.
    let http = pair('b', "POST /mcp", &ask(1, "tools/list"), JSON, TOOLS);
    let outcome = play(&format!("{http}a= tcp\n{}{}a.", up(&ask(1, "tools/list")), down(TOOLS)));
    let servers = outcome.inventory.servers();
    let schemes: Vec<_> = servers.iter().map(|(_, server)| server.key.scheme).collect();
    assert_eq!(schemes, [Scheme::Http, Scheme::Tcp]);
}

#[test]
fn both_sides_may_use_the_same_ids_at_the_same_time() {
    let dialogue = [
        UPGRADE.to_owned(),
        handshake(),
        up(&ask(1, "tools/call")),
        down(&ask(1, "sampling/createMessage")),
        up(&ask(2, "tools/list")),
        down(&result(2, r#"{"tools":[]}"#)),
        up(&error("1", -32000)),
        down(&result(1, r#"{"content":[],"isError":true}"#)),
    ];
    let outcome = play(&dialogue.concat());
    let outcomes = &outcome.only().outcomes;
    let of = |method: &str| outcomes.get(method).map(|o| (o.result, o.tool_error, o.error));
    assert_eq!(of("tools/call"), Some((1, 1, 0)));
    assert_eq!(of("tools/list"), Some((1, 0, 0)));
    assert_eq!(of("sampling/createMessage"), Some((0, 0, 1)));
}

#[test]
fn answers_stay_on_their_stream() {
    // A result on another connection of the same peers, and one on a stream for a POST.
    let other = "b> GET /sse | accept: text/event-stream\nb< 200 | content-type: text/event-stream\n\
                 b< data: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}\nb< \n";
    let post = format!("c> POST /mcp | {DUAL}\nc> {}\nc< 202\nc.\n", ask(6, "tools/call"));
    let dialogue = [
        UPGRADE,
        &handshake(),
        &up(&ask(5, "tools/call")),
        other,
        &post,
        &down(&result(6, r#"{"content":[]}"#)),
        "a.",
    ];
    let outcome = play(&dialogue.concat());
    let calls = outcome.resolved.iter().filter(|line| line.ends_with("tools/call 202"));
    assert_eq!(calls.count(), 1, "{:?}", outcome.resolved);
    assert!(outcome.resolved.contains(&"a tools/call".to_owned()), "{:?}", outcome.resolved);
}

#[test]
fn an_error_without_id_answers_the_only_one_that_waits() {
    let asked = [up(&ask(1, "tools/list")), down(TOOLS), up(&ask(2, "tools/call"))].concat();
    let refusal = down(&error("null", -32700));
    let outcome = play(&[UPGRADE, &asked, &refusal].concat());
    assert!(outcome.resolved.contains(&"a tools/call Error-32700".to_owned()));
    let outcome = play(&[UPGRADE, &asked, &up(&ask(3, "tools/call")), &refusal].concat());
    assert!(!outcome.resolved.iter().any(|line| line.contains("tools/call Error")));
}

/// What is no MCP server, however MCP its texts are.
#[test]
fn look_alikes_prove_nothing() {
    let lsp = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"processId":1,"capabilities":{},"clientInfo":{"name":"e"}}}"#;
    let lsp_said = result(0, r#"{"capabilities":{},"serverInfo":{"name":"ls"}}"#);
    let transcript = [initialize("2025-11-25"), initialized("2025-11-25"), ask(1, "tools/list")];
    let log = |say: fn(&str) -> String| transcript.iter().map(|text| say(text)).collect::<String>();
    let talks = [
        ("Ethereum", [up(&ask(1, "eth_subscribe")), down(&result(1, "{}"))].concat()),
        ("language server", [up(lsp), down(&lsp_said)].concat()),
        ("turned down", [up(&initialize("2025-11-25")), down(&error("0", -32601))].concat()),
        ("a log that is written", [log(up), up(TOOLS)].concat()),
        ("a log that is read", [log(down), down(TOOLS)].concat()),
        ("a session that nobody answers", [up(&initialize("2025-11-25")), up(READY)].concat()),
        ("calls that nobody answers", up(&ask(1, "tools/call"))),
    ];
    for start in [UPGRADE, "a= tcp\n"] {
        for (name, talk) in &talks {
            let outcome = play(&format!("{start}{talk}a.\n"));
            let found = outcome.found();
            assert!(found.iter().all(|(_, level)| *level < Evidence::Header), "{name}: {found:?}");
            let used = outcome.resolved.iter().any(|line| line.starts_with("a Used"));
            assert!(!used, "{name}: {:?}", outcome.resolved);
        }
    }
}

#[test]
fn results_by_shape_count_on_lines_and_where_the_protocol_is_named() {
    let listed =
        down(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"x","inputSchema":{}}]}}"#);
    let named = "a> GET /ws | sec-websocket-protocol: mcp\na< 101\n";
    for (start, level) in [
        ("a= tcp\n", Evidence::Parsed),
        (named, Evidence::Parsed),
        ("a< 101\n", Evidence::Parsed),
        (UPGRADE, Evidence::Hint),
    ] {
        let outcome = play(&format!("{start}{listed}a.\n"));
        assert_eq!(outcome.only().evidence, level, "{start}");
    }
}

#[test]
fn a_refused_attempt_is_noted() {
    let dialogue = [up(&initialize("2025-11-25")), down(&error("0", -32601))].concat();
    for start in [UPGRADE, "a= tcp\n"] {
        let outcome = play(&format!("{start}{dialogue}a.\n"));
        assert_eq!(outcome.only().refused, 1);
        assert!(outcome.only().is_hint());
    }
}

/// A stream that never ends keeps no more than what waits.
#[test]
fn long_streams_keep_little() {
    let (mut stage, mut inventory) = (Stage::default(), Inventory::new(Limits::default()));
    let mut resolved = Vec::new();
    let mut take = |dialogue: &str, inventory: &mut Inventory| {
        for observation in stage.play(dialogue) {
            inventory.observe(observation, &mut resolved);
        }
        resolved.drain(..).count()
    };
    take(&format!("{UPGRADE}{}", handshake()), &mut inventory);
    for id in 1..20_000 {
        let dialogue =
            [up(&ask(id, "tools/call")), down(&result(id, r#"{"content":[]}"#)), up(READY)]
                .concat();
        assert!(take(&dialogue, &mut inventory) >= 3, "{id}: resolved as they come");
    }
    let stalest = inventory.open.stalest().unwrap();
    let open = inventory.open.get(stalest).unwrap();
    assert!(open.tokens.len() <= 64 && open.held.is_empty(), "{}", open.tokens.len());
    assert_eq!(inventory.dropped(), 0);
}
