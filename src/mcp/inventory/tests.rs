use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::anomaly::{Anomaly, Layer};
use crate::mcp::Evidence;
use crate::mcp::samples::Stage;
use crate::observation::{SecretHash, Software};
use crate::secret::SecretHasher;

/// What a dialogue led to.
struct Outcome {
    inventory: Inventory,
    /// Messages and contacts resolved, a line each.
    resolved: Vec<String>,
}

fn play(dialogue: &str) -> Outcome {
    play_within(Limits::default(), dialogue)
}

fn play_within(limits: Limits, dialogue: &str) -> Outcome {
    let (mut stage, mut inventory) = (Stage::default(), Inventory::new(limits));
    let (mut resolved, mut lines) = (Vec::new(), Vec::new());
    for observation in stage.play(dialogue) {
        inventory.observe(observation, &mut resolved);
        lines.extend(resolved.drain(..).filter_map(|one| line(&inventory, &one)));
    }
    inventory.finish(stage.now(), &mut resolved);
    lines.extend(resolved.drain(..).filter_map(|one| line(&inventory, &one)));
    Outcome { inventory, resolved: lines }
}

fn name(flow: u64) -> char {
    char::from_u32(u32::try_from(flow).unwrap()).unwrap()
}

fn line(inventory: &Inventory, resolved: &Resolved) -> Option<String> {
    match resolved {
        Resolved::Message { request, message, reply, .. } => {
            let what = message.method.clone().unwrap_or_else(|| format!("{:?}", message.kind));
            let reply = reply.map_or_else(String::new, |reply| {
                let kind = reply.kind.map_or_else(String::new, |kind| format!("{kind:?}"));
                let code = reply.error_code.map_or_else(String::new, |code| code.to_string());
                let status = reply.status.map_or_else(String::new, |status| status.to_string());
                format!(" {status}{kind}{code}")
            });
            Some(format!("{} {what}{reply}", name(request.id.flow)))
        }
        Resolved::Contact { request, occasion, server, .. } => {
            let evidence = inventory.server(*server).map(|server| server.evidence);
            let evidence = evidence.unwrap_or_default();
            Some(format!("{} {occasion:?} {evidence:?}", name(request.id.flow)))
        }
        _ => None,
    }
}

impl Outcome {
    /// Path and evidence of each record.
    fn found(&self) -> Vec<(&str, Evidence)> {
        let servers = self.inventory.servers();
        servers.iter().map(|(_, server)| (server.key.path.as_str(), server.evidence)).collect()
    }

    fn only(&self) -> &Server {
        let servers = self.inventory.servers();
        assert_eq!(servers.len(), 1, "{:?}", self.found());
        servers[0].1
    }

    fn server(&self, path: &str) -> &Server {
        let servers = self.inventory.servers();
        servers.iter().find(|(_, server)| server.key.path == path).unwrap().1
    }
}

fn transports(server: &Server) -> Vec<String> {
    server.transports.iter().map(ToString::to_string).collect()
}

fn versions(server: &Server) -> Vec<&str> {
    server.versions.iter().map(String::as_str).collect()
}

/// A request of a client as the line of a body.
fn ask(id: u32, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#)
}

fn modern(id: u32, method: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"name":"t","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
    )
}

fn initialize(version: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"c","version":"1"}}}}}}"#
    )
}

fn initialized(version: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"result":{{"protocolVersion":"{version}","capabilities":{{}},"serverInfo":{{"name":"s","version":"2"}}}}}}"#
    )
}

const DUAL: &str = "accept: application/json, text/event-stream";
const JSON: &str = "200 | content-type: application/json";
const SSE: &str = "200 | content-type: text/event-stream";
const TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;

/// A call and its answer by JSON.
fn pair(name: char, head: &str, call: &str, answer_head: &str, answer: &str) -> String {
    format!("{name}> {head}\n{name}> {call}\n{name}< {answer_head}\n{name}< {answer}\n{name}.\n")
}

#[test]
fn a_legacy_session() {
    let dialogue = [
        pair(
            'a',
            &format!("POST /mcp | {DUAL} | user-agent: u"),
            &initialize("2025-11-25"),
            "200 | content-type: application/json | mcp-session-id: s",
            &initialized("2025-06-18"),
        ),
        format!("b> POST /mcp | {DUAL} | mcp-session-id: s\n"),
        r#"b> {"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
        "\nb< 202\nb.\n".to_owned(),
        pair(
            'c',
            &format!("POST /mcp | {DUAL} | mcp-session-id: s"),
            &ask(1, "tools/list"),
            JSON,
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{}}]}}"#,
        ),
    ];
    let outcome = play(&dialogue.concat());
    let server = outcome.only();
    assert_eq!(server.key.to_string(), "http://10.0.0.2:80/mcp");
    assert_eq!(server.evidence, Evidence::Confirmed);
    assert_eq!(versions(server), ["2025-06-18"]);
    assert_eq!(transports(server), ["streamable-http"]);
    assert_eq!(server.sessions, BTreeSet::from([SecretHasher::default().hash(b"s")]));
    assert_eq!(server.software.first().unwrap().name, "s");
    assert_eq!(server.endpoints.first().unwrap().to_string(), "10.0.0.2:80");
    assert_eq!(server.methods[0].values().sum::<u64>(), 3);
    assert_eq!(server.responses[1].result, 2);
    assert_eq!(server.listed.len(), 1);
    assert_eq!(
        server.statuses.iter().map(|(s, n)| (*s, *n)).collect::<Vec<_>>(),
        [(200, 2), (202, 1)]
    );
    let client = &server.clients[&"10.0.0.1".parse().unwrap()];
    assert_eq!(client.software.first(), Some(&Software { name: "c".into(), version: "1".into() }));
    assert_eq!((client.exchanges, client.messages), (3, 5));
    assert!(client.accepted && client.unauthenticated_result && client.auth.is_empty());
    assert_eq!(
        outcome.resolved,
        [
            "a Used Parsed",
            "a Changed Confirmed",
            "a initialize 200Result",
            "a Result",
            "b Used Confirmed",
            "b notifications/initialized 202",
            "c Used Confirmed",
            "c Changed Confirmed",
            "c tools/list 200Result",
            "c Result",
        ]
    );
}

#[test]
fn what_a_client_asks_for_says_nothing_of_the_revision_in_force() {
    // rmcp asks for the newest and is negotiated down; mcp-remote sends a field of a later one.
    let dialogue = pair(
        'a',
        &format!("POST /mcp | {DUAL} | mcp-method: initialize | mcp-protocol-version: 2026-07-28"),
        &initialize("2026-07-28"),
        JSON,
        &initialized("2025-06-18"),
    );
    let outcome = play(&dialogue);
    assert_eq!(versions(outcome.only()), ["2025-06-18"]);
    assert_eq!(transports(outcome.only()), ["streamable-http"]);
}

#[test]
fn a_revision_is_in_force_once_a_request_that_names_it_has_a_result() {
    let head = format!("POST /mcp | {DUAL} | mcp-protocol-version: 2025-06-18");
    let legacy = play(&pair('a', &head, &ask(1, "tools/list"), JSON, TOOLS));
    assert_eq!(versions(legacy.only()), ["2025-06-18"]);
    let refused = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":""}}"#;
    let legacy = play(&pair('a', &head, &ask(1, "tools/list"), JSON, refused));
    assert_eq!(versions(legacy.only()), [""; 0]);
    let stateless = play(&pair('a', "POST /mcp", &modern(1, "tools/list"), JSON, TOOLS));
    assert_eq!(versions(stateless.only()), ["2026-07-28"]);
    assert_eq!(transports(stateless.only()), ["streamable-http-stateless"]);
    // Without the envelope, the field of the stateless revision means nothing.
    let head = format!("POST /mcp | {DUAL} | mcp-protocol-version: 2026-07-28");
    let neither = play(&pair('a', &head, &ask(1, "tools/list"), JSON, TOOLS));
    assert_eq!(versions(neither.only()), [""; 0]);
}

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
            format!("a> GET /.well-known/oauth-protected-resource/mcp\na< 404\na."),
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

/// Two streams of HTTP+SSE of one client, whose messages have the same ids.
fn two_sessions() -> String {
    let open = |name: char, session: &str| {
        format!(
            "{name}> GET /sse | accept: text/event-stream\n{name}< {SSE}\n{name}< event: endpoint\n\
             {name}< data: /message?sessionId={session}\n{name}< \n"
        )
    };
    let post = |name: char, session: &str, method: &str| {
        format!(
            "{name}> POST /message?sessionId={session}\n{name}> {}\n{name}< 202\n{name}.\n",
            ask(1, method)
        )
    };
    let answer = |name: char, body: &str| format!("{name}< data: {body}\n{name}< \n");
    [
        open('a', "1"),
        open('b', "2"),
        post('c', "1", "tools/list"),
        post('d', "2", "prompts/list"),
        answer('a', r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#),
        answer('b', r#"{"jsonrpc":"2.0","id":1,"result":{"prompts":[]}}"#),
        "a.\nb.\n".to_owned(),
    ]
    .concat()
}

#[test]
fn equal_ids_in_several_sessions_are_told_apart() {
    let outcome = play(&two_sessions());
    let server = outcome.only();
    assert_eq!(server.key.path, "/sse");
    assert_eq!(server.aliases.iter().collect::<Vec<_>>(), ["/message"]);
    assert_eq!(transports(server), ["http+sse"]);
    assert_eq!(server.evidence, Evidence::Confirmed);
    assert_eq!(server.sessions.len(), 2);
    assert!(server.outcomes.values().all(|outcomes| outcomes.result == 1), "{:?}", server.outcomes);
    assert_eq!(server.outcomes.len(), 2);
    let answered: Vec<_> = outcome.resolved.iter().filter(|line| line.contains("/list")).collect();
    assert_eq!(answered, ["c tools/list 200Result", "d prompts/list 200Result"]);
}

#[test]
fn a_result_on_a_stream_tells_more_of_the_contact_that_was_reported() {
    let outcome = play(&two_sessions());
    assert_eq!(
        outcome
            .resolved
            .iter()
            .filter(|line| line.contains("Used") || line.contains("Changed"))
            .collect::<Vec<_>>(),
        ["c Used Parsed", "d Used Parsed", "a Used Confirmed", "b Used Confirmed"],
    );
    assert!(outcome.only().clients[&"10.0.0.1".parse().unwrap()].unauthenticated_result);
}

#[test]
fn a_stream_that_is_resumed_brings_the_answer_of_another_exchange() {
    let outcome = play(&format!(
        "a> POST /mcp | {DUAL} | mcp-session-id: s\na> {}\na< {SSE}\na< id: 1\na< data: \na< \na.
         b> GET /mcp | accept: text/event-stream | mcp-session-id: s | last-event-id: 1\nb< {SSE}
         b< data: {TOOLS}\nb< \nb.",
        ask(1, "tools/list")
    ));
    let server = outcome.only();
    assert_eq!(server.outcomes["tools/list"].result, 1);
    assert_eq!(
        outcome.resolved,
        ["a Used Parsed", "b Used Confirmed", "a tools/list 200Result", "b Result"]
    );
}

#[test]
fn an_answer_by_json_answers_its_own_request_only() {
    // The call of `b` was lost in a gap; its answer has the id of the call that `a` waits for.
    let outcome = play(&format!(
        "a> POST /mcp | {DUAL}\na> {}\na< {SSE}
         b> POST /mcp | {DUAL}\nb>~ 10\nb< {JSON}\nb< {TOOLS}\nb.\na!",
        ask(1, "tools/call")
    ));
    assert!(outcome.resolved.contains(&"a tools/call 200".to_owned()), "{:?}", outcome.resolved);
    assert!(outcome.only().outcomes.is_empty());
}

#[test]
fn requests_of_the_server_are_answered_by_posts() {
    let outcome = play(&format!(
        "a> GET /mcp | {DUAL} | mcp-session-id: s\na< {SSE}\na< data: {}\na< \n
         b> POST /mcp | {DUAL} | mcp-session-id: s\nb> {}\nb< 202\nb.\na.",
        ask(7, "roots/list"),
        r#"{"jsonrpc":"2.0","id":7,"result":{"roots":[]}}"#
    ));
    let server = outcome.only();
    assert_eq!(server.outcomes["roots/list"].result, 1);
    assert_eq!(server.methods[1]["roots/list"], 1);
    assert_eq!(server.responses[0].result, 1);
    assert_eq!(outcome.resolved, ["a Used Parsed", "a roots/list", "b Result"]);
}

#[test]
fn a_batch_is_answered_one_by_one_and_judged_at_the_end() {
    let outcome = play(&format!(
        "a> POST /mcp | {DUAL}\na> [{},{}]\na< {JSON}\na< [{}]\na.",
        ask(1, "tools/list"),
        ask(2, "prompts/list"),
        r#"{"jsonrpc":"2.0","id":2,"result":{"prompts":[]}}"#
    ));
    assert_eq!(
        outcome.resolved,
        ["a Used Confirmed", "a prompts/list 200Result", "a Result", "a tools/list 200"]
    );
}

#[test]
fn redirects_are_other_names_of_one_server() {
    let list = ask(1, "tools/list");
    let there = |path: &str| pair('b', &format!("POST {path} | {DUAL}"), &list, JSON, TOOLS);
    for (head, path, names) in [
        ("307 | location: /mcp/", "/mcp/", &["/mcp"][..]),
        ("308 | location: http://10.0.0.2/v2/mcp", "/v2/mcp", &["/mcp"]),
        ("301 | location: /mcp/", "/mcp/", &["/mcp"]),
    ] {
        let first = format!("a> POST /mcp | {DUAL}\na> {list}\na< {head}\na.\n");
        let outcome = play(&(first.clone() + &there(path)));
        let server = outcome.only();
        assert_eq!(server.key.path, path, "{head}");
        assert_eq!(server.aliases.iter().collect::<Vec<_>>(), names, "{head}");
        assert_eq!((server.refused, server.exchanges), (0, 2), "{head}");
        // The other way round: both were seen before.
        let outcome = play(&(there(path) + &first));
        assert_eq!(outcome.only().key.path, path, "{head}");
        assert_eq!(outcome.only().exchanges, 2, "{head}");
    }
    for head in
        ["302 | location: /login", "307 | location: http://other/mcp/", "307 | location: //x/mcp/"]
    {
        let outcome = play(&format!("a> POST /mcp | {DUAL}\na> {list}\na< {head}\na."));
        assert_eq!(outcome.found(), [("/mcp", Evidence::Hint)], "{head}");
    }
}

#[test]
fn clients_and_servers_behind_one_proxy_are_kept_apart() {
    let call = |name: char, host: &str, method: &str| {
        format!(
            "{name}> POST http://{host}/mcp | {DUAL}\n{name}> {}\n{name}< {SSE}\n{name}.\n",
            ask(1, method)
        )
    };
    let stream = |name: char, host: &str| {
        format!(
            "{name}> GET http://{host}/mcp | {DUAL}\n{name}< {SSE}\n{name}< data: {TOOLS}\n{name}< \n{name}.\n"
        )
    };
    let outcome = play(
        &[call('a', "x", "tools/list"), call('b', "y", "tools/call"), stream('c', "x")].concat(),
    );
    let servers = outcome.inventory.servers();
    assert!(servers.iter().all(|(_, server)| server.via_proxy));
    let keys: Vec<_> = servers.iter().map(|(_, server)| server.key.to_string()).collect();
    assert_eq!(keys, ["http://x:80/mcp", "http://y:80/mcp"]);
    assert_eq!(servers[0].1.outcomes["tools/list"].result, 1);
    assert!(servers[1].1.outcomes.is_empty());
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
fn what_is_learnt_later_in_an_exchange_is_told_again() {
    // The response begins, and so the contact is reported, before the call is there.
    let outcome = play(&format!(
        "a> POST /mcp | {DUAL}\na> {}\na< {SSE}\na< data: {TOOLS}\na< \na.
         b> POST /mcp | {DUAL} | authorization: Bearer x\nb> {}\nb< 403\nb.",
        ask(1, "tools/list"),
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"drop"}}"#
    ));
    assert_eq!(
        outcome.resolved,
        [
            "a Used Parsed",
            "a Changed Confirmed",
            "a tools/list 200Result",
            "a Result",
            // A credential and a tool are known now, though the call was refused.
            "b Changed Confirmed",
            "b tools/call 403",
        ]
    );
    let server = outcome.only();
    assert_eq!(server.refused, 1);
    assert_eq!(server.tools_called["drop"], 1);
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

#[test]
fn oddities_go_to_the_server_last_seen_at_the_address() {
    let mut outcome = play(&pair('a', "POST /mcp", &ask(1, "tools/list"), JSON, TOOLS));
    let client = crate::net::Endpoint::new("10.0.0.9".parse().unwrap(), 1);
    let mut note = |address: &str| {
        let server = crate::net::Endpoint::new(address.parse().unwrap(), 80);
        let anomaly = Anomaly::new(Layer::Flow, "overlap-conflict");
        let event = Event::Anomaly { client, server, anomaly };
        let at = crate::flow::At { packet: 99, time: crate::time::Timestamp::EPOCH };
        outcome.inventory.observe(Observation { flow: 1, at, event }, &mut Vec::new())
    };
    assert!(note("10.0.0.2").is_some());
    assert!(note("10.0.0.3").is_none());
    assert_eq!(outcome.only().anomalies["flow/overlap-conflict"], 1);
}

fn tight() -> Limits {
    Limits {
        max_servers: 2,
        max_clients_per_server: 2,
        max_names_per_server: 2,
        max_digests_per_definition: 2,
        max_sessions_per_server: 2,
        max_endpoints_per_server: 2,
        max_aliases_per_server: 2,
        max_open_exchanges: 2,
        max_waiting_requests: 2,
        max_deferred: 2,
        ..Limits::default()
    }
}

#[test]
fn at_the_bound_of_servers_hints_make_room_and_servers_stay() {
    let hint = |name: char| format!("{name}> GET /{name}/mcp\n{name}< 404\n{name}.\n");
    let real =
        |name: char| pair(name, &format!("POST /{name}"), &ask(1, "tools/list"), JSON, TOOLS);
    let outcome = play_within(
        tight(),
        &[hint('a'), real('b'), hint('c'), real('d'), hint('e'), real('f')].concat(),
    );
    assert_eq!(outcome.found(), [("/b", Evidence::Confirmed), ("/d", Evidence::Confirmed)]);
    // Two hints given up; two exchanges, of several observations each, found no room.
    assert!(outcome.inventory.dropped() > 2);
}

#[test]
fn what_of_an_exchange_comes_after_its_record_was_given_up_is_ignored() {
    let outcome = play_within(
        Limits { max_servers: 1, ..tight() },
        &format!(
            "a> POST /a | mcp-method: x\na> {list}\na<< 404
             b> POST /b\nb> {list}\nb< {JSON}\nb< {TOOLS}\nb.
             a< {TOOLS}\na.",
            list = ask(1, "tools/list")
        ),
    );
    assert_eq!(outcome.found(), [("/b", Evidence::Confirmed)]);
}

#[test]
fn names_clients_and_sessions_are_bounded_and_counted() {
    let calls: String = (0_u8..5)
        .map(|n| {
            let name = char::from(b'a' + n);
            let call = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t{n}"}}}}"#
            );
            format!("{name}@ 10.0.1.{n}\n")
                + &pair(name, &format!("POST /mcp | mcp-session-id: s{n}"), &call, JSON, TOOLS)
        })
        .collect();
    let outcome = play_within(tight(), &calls);
    let server = outcome.only();
    assert_eq!(server.clients.len(), 2);
    assert_eq!(server.tools_called.values().sum::<u64>(), 2);
    assert_eq!(server.sessions.len(), 2);
    assert_eq!(server.methods[0]["tools/call"], 5);
    assert!(server.dropped >= 9, "{}", server.dropped);
}

#[test]
fn at_the_bound_of_exchanges_the_silent_one_is_judged() {
    let list = ask(1, "tools/list");
    let outcome = play_within(
        tight(),
        &format!(
            "a> GET /mcp | {DUAL} | mcp-session-id: s\na< {SSE}
             b> POST /mcp | {DUAL}\nb> {list}
             a< data: {}\na< \n
             c> POST /mcp | {DUAL}\nc> {list}\nc< {JSON}\nc< {TOOLS}\nc.\na.",
            ask(7, "roots/list")
        ),
    );
    assert_eq!(outcome.inventory.dropped(), 1);
    assert!(outcome.resolved.contains(&"b tools/list".to_owned()));
    assert_eq!(outcome.only().exchanges, 3);
}

#[test]
fn at_the_bound_of_waiting_requests_the_oldest_is_given_up() {
    let post = |name: char| {
        format!(
            "{name}> POST /mcp | {DUAL} | mcp-session-id: s\n{name}> {}\n{name}< 202\n{name}.\n",
            ask(u32::from(name), "tools/list")
        )
    };
    let outcome = play_within(tight(), &[post('a'), post('b'), post('c')].concat());
    let given_up: Vec<_> =
        outcome.resolved.iter().filter(|line| line.contains("tools/list")).collect();
    assert_eq!(given_up, ["a tools/list 202", "b tools/list 202", "c tools/list 202"]);
    assert_eq!(outcome.inventory.dropped(), 1);
}

#[test]
fn paths_that_hold_the_session_stay_bounded() {
    let streams: String = (0..8)
        .map(|n| {
            format!(
                "a> GET /sse | accept: text/event-stream\na< {SSE}\na< event: endpoint\na< data: /m/{n}\na< \na.\n"
            )
        })
        .collect();
    let outcome = play_within(tight(), &streams);
    let server = outcome.only();
    assert_eq!((server.aliases.len(), server.dropped), (2, 6));
}

#[test]
fn merging_keeps_everything_whichever_is_larger() {
    // The messages are seen before the stream that names their endpoint.
    let posts = |count: u32| -> String {
        let post = |n: u32| {
            let call = format!(
                r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t{n}"}}}}"#
            );
            format!("p> POST /message | {DUAL}\np> {call}\np< 202\np.\n")
        };
        (0..count).map(post).collect()
    };
    let listens = |count: u32| -> String {
        let open = |n: u32| {
            format!("s> GET /sse?session=x{n} | accept: text/event-stream\ns< {SSE}\ns< : x\ns.\n")
        };
        (0..count).map(open).collect()
    };
    let endpoint = format!(
        "a> GET /sse | accept: text/event-stream\na< {SSE}\na< event: endpoint\na< data: /message\na< \na< data: {}\na< \n",
        r#"{"jsonrpc":"2.0","id":0,"result":{"content":[]}}"#
    );
    for (before, streams) in [(1, 9), (9, 1)] {
        let outcome = play(&(posts(before) + &listens(streams) + &endpoint));
        let server = outcome.only();
        assert_eq!(server.key.path, "/sse");
        assert_eq!(server.aliases.iter().collect::<Vec<_>>(), ["/message"]);
        assert_eq!(server.tools_called.len(), before as usize);
        assert_eq!(server.sessions.len(), streams as usize);
        assert_eq!(server.exchanges, u64::from(before + streams + 1));
        assert_eq!(server.outcomes["tools/call"].result, 1, "paired across the records");
        assert_eq!(server.evidence, Evidence::Confirmed);
    }
}

#[test]
fn merged_records_obey_the_bounds() {
    let record = |path: &str, first: u8| -> String {
        (first..first + 2)
            .map(|n| {
                format!("{}@ 10.0.1.{n}\n", char::from(b'a' + n))
                    + &pair(
                        char::from(b'a' + n),
                        &format!("POST {path} | mcp-session-id: {n}"),
                        &ask(1, "tools/list"),
                        JSON,
                        TOOLS,
                    )
            })
            .collect()
    };
    let endpoint = format!(
        "x> GET /sse | accept: text/event-stream\nx< {SSE}\nx< event: endpoint\nx< data: /message\nx< \nx.\n"
    );
    let outcome = play_within(tight(), &(record("/message", 0) + &record("/sse", 2) + &endpoint));
    let server = outcome.only();
    assert_eq!((server.clients.len(), server.sessions.len()), (2, 2));
    assert_eq!(server.responses[1].result, 4);
    assert!(server.dropped > 0);
}

#[test]
fn a_thousand_merges_end_in_one_record() {
    // Each stream names the endpoint that the one before named: a chain of records.
    let streams: String = (0..1_000)
        .map(|n| format!("a> GET /sse{n} | accept: text/event-stream\na< {SSE}\na< event: endpoint\na< data: /m\na< \na.\n"))
        .collect();
    let outcome = play(&streams);
    assert_eq!(outcome.only().key.path, "/sse999");
    assert_eq!(outcome.only().exchanges, 1_000);
}

#[test]
fn sessions_are_kept_as_hashes() {
    let outcome = play(&pair(
        'a',
        "POST /mcp?sessionId=s3cr3t | mcp-session-id: s3cr3t",
        &ask(1, "tools/list"),
        JSON,
        TOOLS,
    ));
    assert!(!format!("{:?}", outcome.inventory).contains("s3cr3t"));
    let hash: SecretHash = SecretHasher::default().hash(b"s3cr3t");
    assert!(outcome.only().sessions.contains(&hash));
}

const HEADS: [&str; 4] = [
    "POST /mcp | accept: application/json, text/event-stream",
    "GET /sse | accept: text/event-stream",
    "POST /message?sessionId=1",
    "GET /mcp | mcp-session-id: 1",
];
const CALLS: [&str; 5] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"#,
];
const ANSWER_HEADS: [&str; 5] = [SSE, JSON, "202", "307 | location: /sse", "404"];
const ANSWERS: [&str; 5] = [
    "event: endpoint\ndata: /message?sessionId=1\n",
    "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[]}}\n",
    "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"roots/list\"}\n",
    r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601}}"#,
    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#,
];

/// How far an exchange of the property below is.
#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    #[default]
    Idle,
    Asked,
    Answered,
}

/// The lines of a step of exchange `name`, if it is possible now.
fn step(name: char, phase: &mut Phase, step: u8, choice: usize) -> Option<String> {
    let lines = |arrow: char, text: &str| -> String {
        text.split('\n').map(|line| format!("{name}{arrow} {line}\n")).collect()
    };
    match (step, *phase) {
        (0..=3, Phase::Idle) => {
            *phase = Phase::Asked;
            Some(lines('>', HEADS[choice % 4]))
        }
        (4..=6, Phase::Asked) => Some(lines('>', CALLS[choice])),
        (7 | 8, Phase::Idle | Phase::Asked) => {
            *phase = Phase::Answered;
            Some(lines('<', ANSWER_HEADS[choice]))
        }
        (9..=12, Phase::Answered) => Some(lines('<', ANSWERS[choice])),
        (13, Phase::Asked) => Some(format!("{name}>~ 5")),
        (13, Phase::Answered) => Some(format!("{name}<~ 5")),
        (14, Phase::Asked | Phase::Answered) => {
            *phase = Phase::Idle;
            Some(format!("{name}{}", if choice == 0 { '!' } else { '.' }))
        }
        (15, _) => Some(format!("wait {}", choice * 10)),
        _ => None,
    }
}

proptest! {
    /// Whatever is played, and however tight the bounds: nothing panics, each message is
    /// resolved exactly once, and only servers that took part have addresses.
    #[test]
    fn each_message_is_resolved_once(
        steps in prop::collection::vec((0..3_u8, 0..16_u8, 0..5_usize), 0..120),
        is_tight: bool,
    ) {
        let limits = if is_tight { Limits { max_servers: 64, ..tight() } } else { Limits::default() };
        let (mut stage, mut inventory) = (Stage::default(), Inventory::new(limits));
        let (mut resolved, mut messages) = (Vec::new(), 0);
        let mut phases = [Phase::default(); 3];
        for (name, kind, choice) in steps {
            let phase = &mut phases[usize::from(name)];
            let Some(lines) = step(char::from(b'a' + name), phase, kind, choice) else { continue };
            for observation in stage.play(&lines) {
                if let Event::Message { request, channel, message, .. } = &observation.event {
                    messages += usize::from(!evidence::is_download(request, *channel, message));
                }
                inventory.observe(observation, &mut resolved);
            }
        }
        inventory.finish(stage.now(), &mut resolved);
        let told = resolved.iter().filter(|one| matches!(one, Resolved::Message { .. })).count();
        prop_assert_eq!(told, messages);
        for (_, server) in inventory.servers() {
            prop_assert_eq!(server.is_mcp(), !server.endpoints.is_empty());
        }
    }
}
