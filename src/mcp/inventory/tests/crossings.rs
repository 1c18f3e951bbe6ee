//! What several clients of a server, or several servers, have in common.

use super::*;

/// A call of a client, and its answer.
fn call(name: char, client: &str, fields: &str) -> String {
    let head = format!("POST /mcp | {DUAL}{fields}");
    format!("{name}@ {client}\n{}", pair(name, &head, &ask(1, "tools/list"), JSON, TOOLS))
}

fn record<'a>(inventory: &'a Inventory, host: &str) -> (ServerId, &'a Server) {
    let found = inventory.servers().into_iter().find(|(_, server)| server.key.host == host);
    found.unwrap_or_else(|| panic!("{host}"))
}

#[test]
fn clients_that_get_in_without_a_credential_are_counted() {
    let dialogue = [
        call('a', "10.0.0.7", ""),
        call('b', "10.0.0.7", ""),
        call('c', "10.0.0.8", " | authorization: Bearer x"),
        call('d', "10.0.0.9", ""),
    ];
    let outcome = play(&dialogue.concat());
    assert_eq!(outcome.only().exposure.unauthenticated_clients, 2);
}

#[test]
fn sessions_of_several_machines_are_told_from_those_that_proxies_pass_on() {
    for (second, most) in [
        (" | mcp-session-id: s", 2),
        (" | mcp-session-id: t", 1),
        (" | mcp-session-id: s | x-forwarded-for: 10.0.0.7", 1),
    ] {
        let first = call('a', "10.0.0.7", " | mcp-session-id: s");
        let outcome = play(&(first + &call('b', "10.0.0.8", second)));
        assert_eq!(outcome.only().exposure.session_clients, most, "{second}");
    }
}

#[test]
fn a_session_that_more_machines_use_is_news() {
    let dialogue = [
        call('a', "10.0.0.7", " | mcp-session-id: s"),
        call('b', "10.0.0.8", " | mcp-session-id: s"),
    ];
    let lines = play(&dialogue.concat()).resolved;
    assert!(lines.contains(&"b Used Confirmed".to_owned()), "{lines:?}");
}

#[test]
fn the_least_random_session_id_counts() {
    let hand_out = |name: char, id: &str| {
        let head = format!("POST /mcp | {DUAL}");
        let answer = format!("{JSON} | mcp-session-id: {id} | server: uvicorn");
        pair(name, &head, &initialize("2025-06-18"), &answer, &initialized("2025-06-18"))
    };
    let uuid = "6f1c0d1e-3b4a-4c2d-9e8f-0a1b2c3d4e5f";
    let one = play(&hand_out('a', uuid));
    let least = one.only().exposure.session_bits.unwrap();
    assert!(least >= 100);
    let two = play(&(hand_out('a', uuid) + &hand_out('b', "17")));
    assert!(two.only().exposure.session_bits.unwrap() < 16);
    assert!(two.only().exposure.products.contains("uvicorn"));
}

#[test]
fn a_credential_at_unrelated_servers_is_told_of_both() {
    let token = " | authorization: Bearer t";
    for (second, fields, shared) in [
        ("two.test", token, true),
        ("api.one.test", token, false),
        ("two.test", " | authorization: Bearer u", false),
        ("two.test", " | x-api-key: t", true),
        ("two.test", " | authorization: Basic t", false),
        ("two.test", " | authorization: Bearer t | via: 1.1 gate", false),
        ("10.0.0.2", token, false),
    ] {
        let first = call('a', "10.0.0.7", &format!("{token} | host: mcp.one.test"));
        let then = call('b', "10.0.0.7", &format!("{fields} | host: {second}"));
        let Outcome { inventory, .. } = play(&(first + &then));
        for (one, other) in [("mcp.one.test", second), (second, "mcp.one.test")] {
            let (id, _) = record(&inventory, one);
            let found = inventory.token_shared_with(id);
            let hosts: Vec<_> = found.iter().map(|server| server.key.host.as_str()).collect();
            assert_eq!(hosts, [other].repeat(usize::from(shared)), "{second} {fields}");
        }
    }
}

#[test]
fn what_is_no_mcp_server_shares_nothing() {
    let token = " | authorization: Bearer t";
    let first = call('a', "10.0.0.7", &format!("{token} | host: one.test"));
    let page = format!("b> GET /mcp | host: two.test{token}\nb< 404\nb.\n");
    let Outcome { inventory, .. } = play(&(first + &page));
    let (id, _) = record(&inventory, "one.test");
    assert!(inventory.token_shared_with(id).is_empty());
}

#[test]
fn an_oauth_document_comes_with_its_exchange() {
    let head = "a> GET /.well-known/oauth-authorization-server\n";
    for (answer, exchanges) in [
        ("a< 200 | content-type: application/json\na< {\"issuer\":\"https://a\"}\na.\n", [1, 1]),
        ("a< 200 | content-type: application/json\na< {\"a\":1}\na.\n", [1, 0]),
        ("a< 200 | content-type: application/json\na< {\"iss\na!\n", [1, 0]),
        ("a< 200 | content-type: application/json\n", [1, 0]),
        ("a< 404 | content-type: application/json\na< {}\na.\n", [1, 0]),
    ] {
        let (mut stage, mut inventory) = (Stage::default(), Inventory::new(Limits::default()));
        let mut resolved = Vec::new();
        for observation in stage.play(&format!("{head}{answer}")) {
            inventory.observe(observation, &mut resolved);
        }
        inventory.finish(stage.now(), &mut resolved);
        let found = resolved.iter().filter_map(|one| match one {
            Resolved::Exchange { document, response, .. } => Some((document, response)),
            _ => None,
        });
        let found: Vec<_> = found.collect();
        let documents = found.iter().filter(|(document, _)| document.is_some()).count();
        assert_eq!([found.len(), documents], exchanges, "{answer}");
        assert!(found.iter().all(|(_, response)| response.is_some()));
    }
}

#[test]
fn how_programs_are_started_is_told_of_the_client() {
    let start = "POST /mcp?transportType=stdio&command=x";
    for (fields, want) in [
        ("", &[ProgramStart::Open][..]),
        (" | origin: https://evil.test", &[ProgramStart::Open, ProgramStart::CrossOrigin]),
        (" | x-mcp-proxy-auth: Bearer x", &[ProgramStart::Guarded]),
    ] {
        let head = format!("{start} | host: h.test | {DUAL}{fields}");
        let outcome = play(&pair('a', &head, &ask(1, "tools/list"), JSON, TOOLS));
        let client = outcome.only().clients.first_key_value().unwrap().1;
        assert_eq!(client.program_starts.iter().copied().collect::<Vec<_>>(), want, "{fields}");
    }
}
