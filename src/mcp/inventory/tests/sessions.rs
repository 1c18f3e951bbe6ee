//! Sessions: revisions, transports, answers and names.

use super::*;

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
fn oddities_go_to_the_server_last_seen_at_the_address() {
    let mut outcome = play(&pair('a', "POST /mcp", &ask(1, "tools/list"), JSON, TOOLS));
    let client = Endpoint::new("10.0.0.9".parse().unwrap(), 1);
    let mut note = |address: &str| {
        let server = Endpoint::new(address.parse().unwrap(), 80);
        let anomaly = Anomaly::new(Layer::Flow, "overlap-conflict");
        let event = Event::Anomaly { client, server, anomaly };
        let at = At { packet: 99, time: Timestamp::EPOCH };
        outcome.inventory.observe(Observation { flow: 1, at, event }, &mut Vec::new())
    };
    assert!(note("10.0.0.2").is_some());
    assert!(note("10.0.0.3").is_none());
    assert_eq!(outcome.only().anomalies["flow/overlap-conflict"], 1);
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
