//! What proves that a server speaks MCP, and what does not.

use super::*;

#[test]
fn a_probe_that_a_legacy_server_turns_down_is_no_attempt_and_no_stateless_server() {
    let refusal = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":""}}"#;
    let head = format!("POST /mcp | {DUAL}");
    let dialogue = [
        pair('a', &head, &modern(1, "server/discover"), "400", refusal),
        pair('b', &head, &initialize("2025-06-18"), JSON, &initialized("2025-06-18")),
    ];
    let outcome = play(&dialogue.concat());
    assert_eq!(transports(outcome.only()), ["streamable-http"]);
    assert_eq!(outcome.only().refused, 1);
    assert_eq!(
        outcome.resolved,
        [
            "a Error",
            "b Used Confirmed",
            "b initialize 200Result",
            "b Result",
            "a server/discover 400Error-32000",
            "a Refused Confirmed",
        ]
    );
}

#[test]
fn refusals_are_kept_back_for_a_while_only() {
    let head = format!("POST /mcp | {DUAL}");
    let call = initialize("2025-06-18");
    let dialogue = format!("a> {head}\na> {call}\na< 404\na.\nwait 31\nb> GET /sse\nb< 200\nb.");
    assert_eq!(play(&dialogue).resolved, ["a Refused Hint", "a initialize 404"]);
}

#[test]
fn attempts_prove_nothing() {
    let list = ask(1, "tools/list");
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let unknown = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":""}}"#;
    for (name, dialogue) in [
        ("not found", format!("a> POST /mcp | {DUAL}\na> {list}\na< 404\na.")),
        ("a page", format!("a> POST /mcp | {DUAL}\na> {list}\na< {JSON}\na< {{\"ok\":1}}\na.")),
        ("a method that is not known", pair('a', "POST /mcp", &list, JSON, unknown)),
        ("records of a log", format!("a> POST /logs\na> {initialized}\na< 202\na.")),
        ("records of a log, answered", pair('a', "POST /logs", initialized, JSON, "{\"ok\":1}")),
        ("requests in a log", format!("a> POST /logs\na> {list}\na< 202\na.")),
        ("openers without an answer", format!("a> POST /mcp\na> {}\na!", initialize("2025-06-18"))),
        (
            "a first call without an answer",
            format!("a> POST /mcp\na> {}\na!", modern(1, "tools/list")),
        ),
        (
            "the same again",
            format!(
                "a> POST /mcp\na> {call}\na!\nb> POST /mcp\nb> {call}\nb!",
                call = modern(1, "tools/list")
            ),
        ),
        (
            "a ping that is answered",
            pair('a', "POST /x", &ask(1, "ping"), JSON, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        ),
        ("a file", format!("a> GET /tools.json\na< {JSON}\na< {TOOLS}\na.")),
        (
            "a page that shows events of MCP",
            format!(
                "a> GET /events | accept: text/event-stream\na< {SSE}\na< data: {}\na< \na.",
                ask(1, "roots/list")
            ),
        ),
        (
            "a login",
            format!("a> POST /mcp | {DUAL}\na> {list}\na< 401 | www-authenticate: Bearer\na."),
        ),
        (
            "sent to log in",
            format!("a> POST /mcp | {DUAL}\na> {list}\na< 302 | location: /login\na."),
        ),
    ] {
        let outcome = play(&dialogue);
        assert!(
            outcome.found().iter().all(|(_, found)| *found == Evidence::Hint),
            "{name}: {:?}",
            outcome.found()
        );
        assert!(!outcome.resolved.iter().any(|line| line.contains("Used")), "{name}");
        assert!(outcome.inventory.servers().iter().all(|(_, server)| server.endpoints.is_empty()));
    }
}

#[test]
fn attempts_are_counted_and_reported() {
    let outcome = play(&format!("a> POST /x | {DUAL}\na> {}\na< 404\na.", ask(1, "tools/list")));
    assert_eq!(outcome.only().refused, 1);
    assert!(outcome.only().is_hint());
    assert_eq!(outcome.resolved, ["a Refused Hint", "a tools/list 404"]);
}

#[test]
fn what_proves_that_a_server_takes_part() {
    use Evidence::{Confirmed, Header, Parsed};
    let list = ask(1, "tools/list");
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let challenge = "401 | www-authenticate: Bearer resource_metadata=\"x\"";
    let tool = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{}}]}}"#;
    for (name, dialogue, want) in [
        ("a result", pair('a', "POST /mcp", &list, JSON, TOOLS), Confirmed),
        (
            "a result of no shape",
            pair('a', "POST /mcp", &list, JSON, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
            Parsed,
        ),
        (
            "an error that knows the method",
            pair(
                'a',
                "POST /mcp",
                &list,
                JSON,
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602}}"#,
            ),
            Parsed,
        ),
        ("a stream", format!("a> POST /mcp | {DUAL}\na> {list}\na< {SSE}\na!"), Parsed),
        (
            "202 for what a client sends",
            format!("a> POST /mcp | {DUAL}\na> {initialized}\na< 202\na."),
            Parsed,
        ),
        ("a challenge", format!("a> POST /mcp\na> {list}\na< {challenge}\na."), Parsed),
        ("a challenge to a look around", format!("a> GET /mcp\na< {challenge}\na."), Header),
        (
            "metadata",
            format!("a> GET /.well-known/oauth-protected-resource/mcp\na< {JSON}\na< {{}}\na."),
            Header,
        ),
        (
            "no metadata",
            "a> GET /.well-known/oauth-protected-resource/mcp\na< 404\na.".to_owned(),
            Evidence::Hint,
        ),
        (
            "a session that is used, answered by a stream",
            format!("a> GET /mcp | {DUAL} | mcp-session-id: x\na< {SSE}\na."),
            Header,
        ),
        ("one direction: the client's", format!("a> POST /mcp\na> {list}\na!"), Parsed),
        (
            "one direction: a stream with a session",
            "a> GET /mcp | mcp-session-id: x\na!".to_owned(),
            Header,
        ),
        ("one direction: the server's", format!("a< {JSON}\na< {tool}\na."), Parsed),
        (
            "one direction: the server's stream",
            format!("a< {SSE}\na< data: {}\na< \na.", ask(1, "roots/list")),
            Parsed,
        ),
        (
            "one direction, no handshake, but a second call",
            format!(
                "a> POST /mcp\na> {}\na!\nb> POST /mcp\nb> {}\nb!",
                modern(1, "tools/list"),
                modern(2, "tools/call")
            ),
            Parsed,
        ),
    ] {
        let outcome = play(&dialogue);
        assert_eq!(outcome.only().evidence, want, "{name}");
        let used = outcome.resolved.iter().any(|line| line.contains("Used"));
        assert_eq!(used, want >= Parsed, "{name}: {:?}", outcome.resolved);
    }
}

#[test]
fn metadata_is_noted_for_the_resource_it_is_about() {
    let outcome = play(&format!(
        "a> GET /.well-known/oauth-protected-resource/mcp\na< {JSON}\na.
         b> GET /.well-known/oauth-protected-resource\nb< {JSON}\nb."
    ));
    let paths: Vec<_> = outcome.found().iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, ["/.well-known/oauth-protected-resource", "/mcp"]);
}

#[test]
fn credentials_on_the_request_or_on_the_stream_count() {
    let list = ask(1, "tools/list");
    let open = |head: &str| {
        let outcome = play(&pair('a', &format!("POST /mcp | {head}"), &list, JSON, TOOLS));
        let client = &outcome.only().clients[&"10.0.0.1".parse().unwrap()];
        (client.unauthenticated_result, client.auth.iter().cloned().collect::<Vec<_>>())
    };
    assert_eq!(open("x: y"), (true, vec![]));
    assert_eq!(open("authorization: Bearer x"), (false, vec!["bearer".to_owned()]));
    assert_eq!(
        open("cookie: a=b | x-api-key: c"),
        (false, vec!["cookie".to_owned(), "x-api-key".to_owned()])
    );
    let outcome = play(&format!(
        "a> GET /mcp | {DUAL} | mcp-session-id: s | authorization: Bearer x\na< {SSE}
         b> POST /mcp | {DUAL} | mcp-session-id: s\nb> {list}\nb< 202\nb.\na< data: {TOOLS}\na< \na."
    ));
    assert!(!outcome.only().clients[&"10.0.0.1".parse().unwrap()].unauthenticated_result);
}

#[test]
fn losing_copies_count_for_the_server_at_the_address_and_prove_nothing() {
    let copy = format!("z? POST /\nz? {}\n", ask(9, "tools/call"));
    let alone = play(&copy);
    assert_eq!(alone.only().evidence, Evidence::Hint);
    assert_eq!(alone.resolved, ["z tools/call"]);
    let outcome = play(&(pair('a', "POST /mcp", &ask(1, "tools/list"), JSON, TOOLS) + &copy));
    assert_eq!(outcome.only().methods[0]["tools/call"], 1);
    assert_eq!(outcome.resolved.last().unwrap(), "z tools/call");
}
