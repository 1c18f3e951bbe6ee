//! Both legs of proxies as dialogues: `10.0.0.1` is the client, `10.0.0.2` the proxy (and, as all
//! talk goes to one address in dialogues, the server), `10.0.3.2` another address of the proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::finding;
use crate::mcp::inventory;
use crate::mcp::samples::Stage;
use crate::pipeline::{Analysis, Policy};
use crate::rules::catalog::Catalog;
use crate::rules::{self, Lane, Source};
use crate::verdict::Approvals;

const RULE: &str = "schema: shadowtap/rule@1
id: SMCP-9001
rev: 1
title: Test
status: experimental
lane: alert
severity: low
confidence: 50
why: test
refs: [https://example.com]
on: server
when: {server.scheme: http}
report: {text: \"{server.key}\"}
tests:
  - {name: a, give: {contact: {}}, want: none}
  - {name: b, give: {contact: {}}, want: hit}
";

/// What is known at the end.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Messages by client, of all servers.
    clients: BTreeMap<String, u64>,
    /// Addresses of proxies.
    proxies: Vec<String>,
    /// Clients that findings name.
    accused: BTreeSet<String>,
}

fn play(dialogue: &str) -> Outcome {
    let source = Source::new("a.yaml", RULE);
    let (rules, _) = rules::compile(&[source], &rules::Limits::default())
        .unwrap_or_else(|report| panic!("{report}"));
    let policy = Policy {
        rules,
        approvals: Approvals::default(),
        catalog: Catalog::default(),
        lane: Lane::Hunt,
    };
    let mut analysis =
        Analysis::new(&policy, inventory::Limits::default(), finding::Limits::default());
    let mut stage = Stage::default();
    for observation in stage.play(dialogue) {
        analysis.observe(observation);
    }
    analysis.finish(stage.now());
    let (inventory, findings, _) = analysis.into_parts();
    let mut outcome =
        Outcome { clients: BTreeMap::new(), proxies: Vec::new(), accused: BTreeSet::new() };
    for (_, server) in inventory.servers() {
        for (ip, client) in &server.clients {
            *outcome.clients.entry(ip.to_string()).or_default() += client.messages;
        }
        outcome.proxies.extend(server.proxies.iter().map(IpAddr::to_string));
    }
    for found in findings.finish(&crate::pipeline::Names::default()) {
        outcome.accused.insert(found.client.to_string());
    }
    outcome
}

fn outcome(clients: &[(&str, u64)], proxies: &[&str]) -> Outcome {
    Outcome {
        clients: clients.iter().map(|(ip, count)| ((*ip).to_owned(), *count)).collect(),
        proxies: proxies.iter().map(|ip| (*ip).to_owned()).collect(),
        accused: clients.iter().map(|(ip, _)| (*ip).to_owned()).collect(),
    }
}

const FRONT: &str = "a> POST http://mcp.test:80/mcp | host: mcp.test";
const BACK: &str = "POST /mcp | host: mcp.test";
const JSON: &str = "200 | content-type: application/json";

fn list(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#)
}

fn tools(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"tools":[]}}}}"#)
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"2"}}}"#;

/// A call and its answer on both legs. `back` is the head of the proxy's own request.
fn both(back_client: &str, back: &str, id: u32) -> String {
    let (call, answer) = (list(id), tools(id));
    format!(
        "b@ {back_client}\n{FRONT}\na> {call}\nb> {back}\nb> {call}\n\
         b< {JSON}\nb< {answer}\nb.\na< {JSON}\na< {answer}\na.\n"
    )
}

#[test]
fn a_proxy_on_the_address_that_clients_talk_to_is_no_client() {
    assert_eq!(play(&both("10.0.0.2", BACK, 1)), outcome(&[("10.0.0.1", 4)], &["10.0.0.2"]));
}

#[test]
fn a_proxy_that_names_its_client_is_joined_from_any_address() {
    let back = format!("{BACK} | via: 1.1 proxy | x-forwarded-for: 192.0.2.9, 10.0.0.1");
    let want = outcome(&[("10.0.0.1", 4)], &["10.0.0.2", "10.0.3.2"]);
    assert_eq!(play(&both("10.0.3.2", &back, 1)), want);
    // From then on the address is known.
    let more = both("10.0.3.2", &back, 1) + &both("10.0.3.2", BACK, 2);
    assert_eq!(play(&more), outcome(&[("10.0.0.1", 8)], &["10.0.0.2", "10.0.3.2"]));
    // Another client is named: this is the leg of something else.
    let other = format!("{BACK} | x-forwarded-for: 10.0.0.9");
    let apart = outcome(&[("10.0.0.1", 2), ("10.0.3.2", 2)], &["10.0.0.2"]);
    assert_eq!(play(&both("10.0.3.2", &other, 1)), apart);
}

#[test]
fn what_only_looks_alike_stays_apart() {
    let (call, answer) = (list(1), tools(1));
    let apart = outcome(&[("10.0.0.1", 2), ("10.0.3.2", 2)], &["10.0.0.2"]);
    // Nothing but the same call at the same time.
    assert_eq!(play(&both("10.0.3.2", BACK, 1)), apart);
    let apart = outcome(&[("10.0.0.1", 2), ("10.0.0.2", 2)], &["10.0.0.2"]);
    let differs = [
        ("POST /mcp | host: other.test", call.clone()),
        ("POST /other | host: mcp.test", call.clone()),
        ("POST /mcp | host: mcp.test | mcp-session-id: s", call.clone()),
        (BACK, list(2)),
        (BACK, format!("{} ", call.replace(":1,", ": 1,"))),
    ];
    for (back, its_call) in differs {
        let its_answer = tools(if its_call == list(2) { 2 } else { 1 });
        let dialogue = format!(
            "b@ 10.0.0.2\n{FRONT}\na> {call}\nb> {back}\nb> {its_call}\n\
             b< {JSON}\nb< {its_answer}\nb.\na< {JSON}\na< {answer}\na.\n"
        );
        assert_eq!(play(&dialogue), apart, "{back} {its_call}");
    }
    // The client has its answer, or has waited too long.
    let answered = format!("a< {JSON}\na< {answer}\na.\n");
    for between in [answered.as_str(), "wait 31\n"] {
        let dialogue = format!(
            "b@ 10.0.0.2\n{FRONT}\na> {call}\n{between}b> {BACK}\nb> {call}\n\
             b< {JSON}\nb< {answer}\nb.\n"
        );
        let dialogue = if between.starts_with('a') { dialogue } else { dialogue + &answered };
        assert_eq!(play(&dialogue), apart, "{between}");
    }
}

#[test]
fn of_two_alike_at_the_proxy_only_one_is_the_clients() {
    let (call, answer) = (list(1), tools(1));
    // The proxy's machine runs a client of its own.
    let dialogue = format!(
        "b@ 10.0.0.2\nc@ 10.0.0.2\n{FRONT}\na> {call}\nb> {BACK}\nb> {call}\nc> {BACK}\nc> {call}\n\
         b< {JSON}\nb< {answer}\nb.\nc< {JSON}\nc< {answer}\nc.\na< {JSON}\na< {answer}\na.\n"
    );
    assert_eq!(play(&dialogue), outcome(&[("10.0.0.1", 4), ("10.0.0.2", 2)], &["10.0.0.2"]));
}

#[test]
fn the_first_answer_shows_whose_session_it_is() {
    let dialogue = |front: &str, back: &str| {
        format!(
            "b@ 10.0.3.2\n{FRONT}\na> {INITIALIZE}\nb> {BACK}\nb> {INITIALIZE}\n\
             b< {JSON} | mcp-session-id: {back}\nb< {INITIALIZED}\nb.\n\
             a< {JSON} | mcp-session-id: {front}\na< {INITIALIZED}\na.\n"
        )
    };
    let joined = outcome(&[("10.0.0.1", 4)], &["10.0.0.2", "10.0.3.2"]);
    assert_eq!(play(&dialogue("s1", "s1")), joined);
    let apart = outcome(&[("10.0.0.1", 2), ("10.0.3.2", 2)], &["10.0.0.2"]);
    assert_eq!(play(&dialogue("s1", "s2")), apart);
}

#[test]
fn a_stream_and_the_end_of_a_session_go_with_the_session() {
    let session = "mcp-session-id: s";
    let dialogue = format!(
        "b@ 10.0.3.2\nd@ 10.0.3.2\n{FRONT}\na> {INITIALIZE}\nb> {BACK}\nb> {INITIALIZE}\n\
         b< {JSON} | {session}\nb< {INITIALIZED}\nb.\n\
         a< {JSON} | {session}\na< {INITIALIZED}\na.\n\
         c> GET http://mcp.test:80/mcp | accept: text/event-stream | {session}\n\
         d> GET /mcp | host: mcp.test | accept: text/event-stream | {session}\n\
         d< 200 | content-type: text/event-stream\n\
         c< 200 | content-type: text/event-stream\n\
         d.\nc.\n\
         a> DELETE http://mcp.test:80/mcp | {session}\n\
         b> DELETE /mcp | host: mcp.test | {session}\n\
         b< 200\nb.\na< 200\na.\n"
    );
    let joined = outcome(&[("10.0.0.1", 4)], &["10.0.0.2", "10.0.3.2"]);
    assert_eq!(play(&dialogue), joined);
}

#[test]
fn legs_swapped_in_the_capture_are_joined() {
    let (call, answer) = (list(1), tools(1));
    let dialogue = format!(
        "b@ 10.0.0.2\nb> {BACK}\nb> {call}\n{FRONT}\na> {call}\n\
         b< {JSON}\nb< {answer}\nb.\na< {JSON}\na< {answer}\na.\n"
    );
    assert_eq!(play(&dialogue), outcome(&[("10.0.0.1", 4)], &["10.0.0.2"]));
}

#[test]
fn a_stream_of_http_sse_is_joined_once_both_legs_name_its_session() {
    let endpoint = "event: endpoint\nX< data: /messages?sessionId=s1\nX< ";
    let (ep_a, ep_b) = (endpoint.replace('X', "a"), endpoint.replace('X', "b"));
    let (call, answer) = (list(1), tools(1));
    let sse = "200 | content-type: text/event-stream";
    let dialogue = format!(
        "b@ 10.0.3.2\nd@ 10.0.3.2\n\
         a> GET http://mcp.test:80/sse | accept: text/event-stream\n\
         b> GET /sse | host: mcp.test | accept: text/event-stream\n\
         b< {sse}\nb< {ep_b}\na< {sse}\na< {ep_a}\n\
         c> POST http://mcp.test:80/messages?sessionId=s1\nc> {call}\n\
         d> POST /messages?sessionId=s1 | host: mcp.test\nd> {call}\n\
         d< 202\nd.\nc< 202\nc.\n\
         b< data: {answer}\nb< \na< data: {answer}\na< \nb.\na.\n"
    );
    let joined = outcome(&[("10.0.0.1", 4)], &["10.0.0.2", "10.0.3.2"]);
    assert_eq!(play(&dialogue), joined);
}

#[test]
fn what_is_held_back_comes_out_at_the_end_of_the_capture() {
    let dialogue = format!("b@ 10.0.3.2\n{FRONT}\na> {}\nb> {BACK}\nb> {}\n", list(1), list(1));
    let found = play(&(dialogue + &format!("b< {JSON}\nb< {}\nb.\n", tools(1))));
    assert_eq!(found.clients.get("10.0.3.2"), Some(&2));
}
