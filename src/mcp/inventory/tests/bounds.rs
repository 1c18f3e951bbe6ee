//! Bounds, and records that turn out to be one.

use super::*;

pub(super) fn tight() -> Limits {
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
fn of_many_requests_with_one_id_the_newest_can_be_answered_elsewhere() {
    let post = |n: u32| {
        let head = format!("POST /mcp | {DUAL} | mcp-session-id: s");
        format!("p> {head}\np> {}\np< 202\np.\n", ask(1, &format!("tools/x{n}")))
    };
    let posts: String = (0..100).map(post).collect();
    let answers = format!("a< data: {TOOLS}\na< \n").repeat(100);
    let stream = format!("a> GET /mcp | {DUAL} | mcp-session-id: s\na< {SSE}\n{answers}a.\n");
    let outcome = play(&(posts + &stream));
    let answered: u64 = outcome.only().outcomes.values().map(|found| found.result).sum();
    assert_eq!(answered, 64);
    assert!(outcome.only().outcomes.contains_key("tools/x99"));
    assert!(!outcome.only().outcomes.contains_key("tools/x0"));
}
