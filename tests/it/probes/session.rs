//! MCP above its messages: revisions, sessions, transports, headers that contradict bodies.

use super::builder::{Talk, together};
use super::seen::{SERVER, look, watch};
use super::text::{
    ACCEPTED, INITIALIZE, INITIALIZED, LIST, LISTED, READY, answer, call_text, event, http, post,
    post_with, reply, reply_with, request, result_text, session, stream_head,
};

const NAMED: &str = "Mcp-Session-Id: 1f6c-77aa\r\n";

/// A session of 2025-11-25 as a whole: one server, all that is known of it.
#[test]
fn handshake_session() {
    let seen = watch(&session());
    assert_eq!(
        seen.said(),
        [
            "> initialize",
            "< result",
            "> notifications/initialized",
            "> tools/list",
            "< result",
            "> tools/call",
            "< result"
        ]
    );
    let server = seen.server();
    assert_eq!(server["server"]["key"], SERVER);
    assert_eq!(server["evidence"], "confirmed");
    assert_eq!(server["protocol_versions"][0], "2025-11-25");
    assert_eq!(server["server"]["software"][0]["name"], "lab");
    assert_eq!(server["clients"][0]["software"][0]["name"], "probe");
    assert_eq!(server["definitions"]["tools"][0]["name"], "echo");
    assert_eq!(server["sessions"].as_array().unwrap().len(), 1);
    assert!(!seen.run.stdout.contains("1f6c-77aa"), "a session id must not be shown");
    assert_eq!(seen.severity("SMCP-3001").as_deref(), Some("medium"));
}

/// Requests of one session on two connections, answered on a stream of the other one.
#[test]
fn session_over_two_connections() {
    let mut stream = Talk::open();
    stream.exchange(post(INITIALIZE), reply_with(NAMED, INITIALIZED));
    let ask = format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.test:8080\r\nAccept: text/event-stream\r\n{NAMED}\r\n"
    );
    stream.exchange(ask, stream_head(""));
    let mut posts = Talk::between("10.0.0.2:40001", "10.0.0.3:8080");
    posts.now = stream.now;
    posts.handshake();
    posts.exchange(post_with(NAMED, READY), ACCEPTED);
    stream.now = posts.now;
    stream.server(event(r#"{"jsonrpc":"2.0","id":70,"method":"roots/list"}"#));
    posts.now = stream.now;
    posts
        .exchange(post_with(NAMED, r#"{"jsonrpc":"2.0","id":70,"result":{"roots":[]}}"#), ACCEPTED);
    posts.exchange(post_with(NAMED, LIST), reply(LISTED));
    posts.close();
    let seen = look(&together(&[stream, posts]));
    assert_eq!(
        seen.said(),
        [
            "> initialize",
            "< result",
            "> notifications/initialized",
            "< roots/list",
            "> result",
            "> tools/list",
            "< result"
        ]
    );
    let server = seen.server();
    assert_eq!(server["outcomes"]["roots/list"]["result"], 1);
    assert_eq!(server["outcomes"]["tools/list"]["result"], 1);
    assert_eq!(server["sessions"].as_array().unwrap().len(), 1);
}

/// Two clients use the same ids at the same time: each result finds its own request.
#[test]
fn same_ids_of_two_clients() {
    let mut talks = Vec::new();
    for (client, tool) in [("10.0.0.2:40000", "echo"), ("10.0.0.7:40000", "look")] {
        let mut talk = Talk::between(client, "10.0.0.3:8080");
        talk.handshake();
        talk.exchange(post(call_text(1).replace("echo", tool)), answer(1));
        talk.close();
        talks.push(talk);
    }
    let seen = look(&together(&talks));
    seen.assert_clean("two clients", 2);
    assert_eq!(seen.server()["outcomes"]["tools/call"]["result"], 2);
    assert_eq!(seen.server()["clients"].as_array().unwrap().len(), 2);
}

/// HTTP+SSE of 2024-11-05: the endpoint event names where to send; results come on the stream.
#[test]
fn http_with_sse() {
    for endpoint in
        ["/messages?sessionId=5f0e-22", "http://mcp.test:8080/messages?sessionId=5f0e-22"]
    {
        let mut stream = Talk::open();
        stream.client(
            "GET /sse HTTP/1.1\r\nHost: mcp.test:8080\r\nAccept: text/event-stream\r\n\r\n",
        );
        stream.server(stream_head(""));
        stream.server(format!("event: endpoint\r\ndata: {endpoint}\r\n\r\n"));
        let mut posts = Talk::between("10.0.0.2:40001", "10.0.0.3:8080");
        posts.now = stream.now;
        posts.handshake();
        let old = |text: &str| text.replace("2025-11-25", "2024-11-05");
        for (ask, said) in [
            (old(INITIALIZE), Some(old(INITIALIZED))),
            (READY.to_owned(), None),
            (LIST.to_owned(), Some(LISTED.to_owned())),
            (call_text(2), Some(result_text(2))),
        ] {
            let fields =
                format!("Content-Type: application/json\r\nContent-Length: {}\r\n", ask.len());
            let start = "POST /messages?sessionId=5f0e-22 HTTP/1.1";
            posts.exchange(http(start, &format!("Host: mcp.test:8080\r\n{fields}"), ask), ACCEPTED);
            stream.now = posts.now;
            if let Some(said) = said {
                stream.server(event(&said));
            }
            posts.now = stream.now;
        }
        let seen = look(&together(&[stream, posts]));
        let server = seen.server();
        assert_eq!(server["server"]["key"], "http://mcp.test:8080/sse", "{endpoint}");
        assert_eq!(server["evidence"], "confirmed");
        assert_eq!(server["protocol_versions"][0], "2024-11-05");
        for method in ["initialize", "tools/list", "tools/call"] {
            assert_eq!(server["outcomes"][method]["result"], 1, "{endpoint}: {method}");
        }
        assert_eq!(server["transports"], serde_json::json!(["http+sse"]));
        assert!(!seen.run.stdout.contains("5f0e-22"), "a session id must not be shown");
    }
}

/// A call of 2026-07-28 whose routing fields say one thing and its body another.
fn modern(method: &str, name: &str, version: &str, answer: Option<&[u8]>) -> super::seen::Seen {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let list = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{meta}}}}}"#);
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"delete","arguments":{{}},{meta}}}}}"#
    );
    let mut talk = Talk::open();
    let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n";
    talk.exchange(post_with(fields, list), reply(LISTED));
    let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    let fields = format!("MCP-Protocol-Version: {version}\r\nMcp-Method: {method}\r\n{name}");
    talk.client(post_with(&fields, text));
    if let Some(answer) = answer {
        talk.server(answer);
    }
    talk.close();
    watch(&talk)
}

/// Headers and body disagree: how bad it is depends on what the server did.
#[test]
fn headers_against_body() {
    let refusal = r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32020,"message":"Header mismatch"}}"#;
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", refusal.len());
    let refused = http("HTTP/1.1 400 Bad Request", &fields, refusal);
    let answered = answer(2);
    for (method, name, version) in [
        ("tools/call", "read", "2026-07-28"),
        ("tools/list", "delete", "2026-07-28"),
        ("tools/call", "delete", "2025-11-25"),
    ] {
        for (answer, severity) in
            [(Some(&answered[..]), "high"), (Some(&refused[..]), "info"), (None, "low")]
        {
            let seen = modern(method, name, version, answer);
            let what = format!("{method} {name} {version} {severity}");
            assert_eq!(
                seen.severity("SMCP-7001").as_deref(),
                Some(severity),
                "{what}: {:?}",
                seen.findings()
            );
            assert_eq!(seen.servers(), [SERVER], "{what}");
        }
    }
}

/// In agreement, also in the base64 form of names.
#[test]
fn headers_with_body() {
    for name in ["delete", "=?base64?ZGVsZXRl?="] {
        let answered = answer(2);
        let seen = modern("tools/call", name, "2026-07-28", Some(&answered));
        assert_eq!(seen.severity("SMCP-7001"), None, "{name}: {:?}", seen.findings());
        assert_eq!(seen.server()["protocol_versions"][0], "2026-07-28");
        assert_eq!(seen.server()["eras"], serde_json::json!(["modern"]));
    }
}

/// Headers alone, of a request whose body the capture does not have.
#[test]
fn headers_without_body() {
    let mut talk = Talk::open();
    let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: delete\r\nContent-Type: application/json\r\nContent-Length: 400\r\n";
    talk.client(request(fields, ""));
    talk.lose(super::builder::Client, [b'x'; 400]);
    talk.server(answer(2));
    talk.close();
    let seen = watch(&talk);
    let servers: Vec<_> =
        seen.events.iter().filter(|event| event["event_type"] == "server").collect();
    assert_eq!(servers.len(), 1, "{}", seen.run.stdout);
    assert_eq!(servers[0]["server"]["key"], SERVER);
    assert_eq!(seen.coverage("gap_bytes"), 400);
}
