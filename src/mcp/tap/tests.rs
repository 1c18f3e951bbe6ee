use proptest::prelude::*;

use super::super::samples::{Head, Stage, context};
use super::*;
use crate::exchange::{MessageCoding, MessagePiece};
use crate::flow::At;
use crate::observation::{RequestInfo, ResponseInfo};
use crate::time::Timestamp;

/// One line for an observation: the letter of its exchange, and what happened.
fn line(seen: &Observation) -> String {
    let name = char::from_u32(u32::try_from(seen.flow).unwrap()).unwrap();
    let what = match &seen.event {
        Event::Message { direction, channel, message, ambiguous, .. } => {
            let method = message.method.as_deref().unwrap_or("-");
            let id = message.id.as_ref().map_or("-", |id| id.0.as_str());
            let marks = [(message.partial, " partial"), (*ambiguous, " ambiguous")];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            let arrow = if *direction == Direction::ToServer { ">" } else { "<" };
            format!("{arrow} {channel:?} {:?} {method} {id}{marks}", message.kind)
        }
        Event::SseEndpoint { path, session, .. } => {
            format!("endpoint {path} session={}", session.is_some())
        }
        Event::Answered { response, .. } => format!("answered {}", response.status),
        Event::Document { document, .. } => format!("document {}", document.schemes.join(",")),
        Event::Ended { response, .. } => format!("ended {response:?}"),
        Event::Tls { .. } => "tls".to_owned(),
        Event::Dns { .. } => "dns".to_owned(),
        Event::Flow { .. } => "flow".to_owned(),
        Event::Anomaly { anomaly, .. } => anomaly.to_string(),
    };
    format!("{name} {what}")
}

fn lines(dialogue: &str) -> Vec<String> {
    Stage::default().play(dialogue).iter().map(line).collect()
}

/// Dialogues and what is observed in them.
const DIALOGUES: &[(&str, &str, &[&str])] = &[
    (
        "an ordinary page",
        "a> GET /index.html | host: h\n a< 200 | content-type: text/html\n a< <p>tools/list\n a.",
        &[],
    ),
    (
        "a form",
        "a> POST /login | content-type: application/x-www-form-urlencoded\n a> user=a\n
         a< 200 | content-type: application/json\n a< {\"ok\":true}\n a.",
        &[],
    ),
    (
        "a JSON service that is not JSON-RPC",
        "a> POST /api\n a> {\"method\":\"tools/list\"}\n a< 200\n a< {\"jsonrpc\":1}\n a.",
        &[],
    ),
    (
        "a call and its answer",
        "a> POST /rpc\n a> {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n
         a< 200 | content-type: application/json\n a< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n a.",
        &[
            "a > RequestBody Request tools/list 1",
            "a answered 200",
            "a < ResponseBody Result - 1",
            "a ended Some(Complete)",
        ],
    ),
    (
        "an answer that begins before the call is complete",
        "a> POST /rpc
         a> {\"jsonrpc\":\"2.0\",\"id\":1,
         a<< 200
         a> \"method\":\"tools/list\"}
         a< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}
         a.",
        &[
            "a answered 200",
            "a > RequestBody Request tools/list 1",
            "a < ResponseBody Result - 1",
            "a ended Some(Complete)",
        ],
    ),
    (
        "the path by convention, without a body",
        "a> GET /mcp | accept: text/event-stream\n a< 405\n a.",
        &["a answered 405", "a ended Some(Complete)"],
    ),
    (
        "fields of MCP, without an answer",
        "a> DELETE / | Mcp-Session-Id: x\n a!",
        &["a ended None"],
    ),
    (
        "HTTP with SSE",
        "a> GET /sse | accept: text/event-stream\n a< 200 | content-type: text/event-stream; charset=utf-8\n
         a< event: endpoint\n a< data: /message?sessionId=5\n a< \n
         a< data: {\"jsonrpc\":\"2.0\",\n a< data: \"method\":\"ping\",\"id\":\"p\"}\n a< \n a.",
        &[
            "a answered 200",
            "a endpoint /message session=true",
            "a < Sse Request ping \"p\"",
            "a ended Some(Complete)",
        ],
    ),
    (
        "an OAuth document in pieces",
        "a> GET /.well-known/oauth-authorization-server
         a< 200 | content-type: application/json
         a< {\"issuer\":\"https://as\",
         a< \"token_endpoint\":\"http://localhost/t\"}
         a.",
        &["a answered 200", "a document https,loopback", "a ended Some(Complete)"],
    ),
    (
        "an OAuth document with a hole",
        "a> GET /.well-known/oauth-authorization-server
         a< 200 | content-type: application/json
         a< {\"issuer\":\"https://as\",
         a<~ 10
         a< \"token_endpoint\":\"http://localhost/t\"}
         a.",
        &["a answered 200", "a ended Some(Complete)"],
    ),
    (
        "an OAuth document that breaks off",
        "a> GET /.well-known/oauth-authorization-server
         a< 200 | content-type: application/json
         a< {\"issuer\":\"https://as\"}
         a!",
        &["a answered 200", "a ended Some(Truncated)"],
    ),
    (
        "a registration",
        "a> POST /register
         a> {\"client_name\":\"c\"}
         a< 201 | content-type: application/json
         a< {\"client_id\":\"i\",\"redirect_uris\":[],\"client_uri\":\"https://c\"}
         a.",
        &["a answered 201", "a document https", "a ended Some(Complete)"],
    ),
    (
        "a registration that has nothing to do with OAuth",
        "a> POST /register
         a> {\"user\":\"a\"}
         a< 201 | content-type: application/json
         a< {\"id\":7,\"client_uri\":\"https://c\"}
         a.",
        &[],
    ),
    (
        "a call at the path of registrations",
        "a> POST /register\n a> {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n
         a< 200 | content-type: application/json\n a< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n a.",
        &[
            "a > RequestBody Request tools/list 1",
            "a answered 200",
            "a < ResponseBody Result - 1",
            "a ended Some(Complete)",
        ],
    ),
    (
        "MCP Inspector's proxy",
        "a> GET /stdio?transportType=stdio&command=x\n a< 200 | content-type: text/html\n a.",
        &["a answered 200", "a ended Some(Complete)"],
    ),
    (
        "an event of that name that is not the first",
        "a> GET /events | accept: text/event-stream\n a< 200 | content-type: text/event-stream\n
         a< data: 1\n a< \n a< event: endpoint\n a< data: /message\n a< \n a.",
        &[],
    ),
    (
        "an endpoint elsewhere, and one that is a text",
        "a> GET /events | host: h | accept: text/event-stream\n a< 200 | content-type: text/event-stream\n
         a< event: endpoint\n a< data: http://other/message\n a< \n a.
         b> GET /events | host: h | accept: text/event-stream\n b< 200 | content-type: text/event-stream\n
         b< event: endpoint\n b< data: //other/message\n b< \n b.
         c> GET /events | host: h | accept: text/event-stream\n c< 200 | content-type: text/event-stream\n
         c< event: endpoint\n c< data: {\"url\":\"/message\"}\n c< \n c.",
        &[],
    ),
    (
        "an endpoint of the same origin, in full",
        "a> GET /events | host: H | accept: text/event-stream\n a< 200 | content-type: text/event-stream\n
         a< event: endpoint\n a< data: http://h:80/m?x=1\n a< \n a.",
        &["a answered 200", "a endpoint /m session=false", "a ended Some(Complete)"],
    ),
    (
        "a response without its request",
        "a< 200 | content-type: application/json\n a< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n a.
         b< 200 | content-type: text/html\n b< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n b.",
        &["a answered 200", "a < ResponseBody Result - 1", "a ended Some(Complete)"],
    ),
    (
        "a gap in a call, and one in its answer",
        "a> POST /rpc\n a> {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\n a>~ 9\n
         a< 200\n a< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\n a<~ 9\n a< }}\n a.",
        &[
            "a > RequestBody Request tools/call 1 partial",
            "a answered 200",
            "a < ResponseBody Result - 1 partial",
            "a ended Some(Complete)",
        ],
    ),
    (
        "a body that begins in a gap",
        "a> POST /rpc\n a>~ 9\n a> {\"jsonrpc\":\"2.0\",\"method\":\"tools/call\"}\n a!",
        &[],
    ),
    (
        "WebSocket, both ways",
        "a> GET /ws | upgrade: websocket\n a< 101 | upgrade: websocket\n
         a>= {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n
         a<= {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"roots/list\"}\n
         a>= {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n
         a<= {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n a.",
        &[
            "a answered 101",
            "a > WebSocket Request tools/list 1",
            "a < WebSocket Request roots/list 1",
            "a > WebSocket Result - 1",
            "a < WebSocket Result - 1",
            "a ended Some(Complete)",
        ],
    ),
    (
        "WebSocket without the request for it",
        "a< 101 | upgrade: websocket\n a<= {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n a!",
        &["a answered 101", "a < WebSocket Result - 1", "a ended Some(Truncated)"],
    ),
    (
        "WebSocket whose protocol is MCP, without a message",
        "a> GET /ws | sec-websocket-protocol: x, mcp\n a< 101 | sec-websocket-protocol: mcp\n a.",
        &["a answered 101", "a ended Some(Complete)"],
    ),
    (
        "a chat",
        "a> GET /chat | upgrade: websocket\n a< 101\n a>= hello\n a<= 42[\"tools/call\"]\n
         a>= {\"text\":\"{\\\"jsonrpc\\\":\\\"2.0\\\"}\"}\n a<=\n a<= [1]\n a.",
        &[],
    ),
    (
        "messages that break off, and one that is cut by a gap",
        "a> GET /ws\n a< 101\n
         a>=! {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\n
         a>=~ 9\n
         a>= :\"2.0\",\"id\":1,\"method\":\"tools/call\"}\n
         a>= {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\"\n
         a>= {\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\"}\n a!",
        &[
            "a answered 101",
            "a > WebSocket Request tools/call 1 partial",
            "a json_rpc/json-incomplete",
            "a > WebSocket Request tools/call 3",
            "a ended Some(Truncated)",
        ],
    ),
    (
        "lines without HTTP",
        "a= tcp\n a>= {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n
         a<= {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\r\n a.",
        &[
            "a > Line Request tools/list 1",
            "a < Line Result - 1",
            "a ended Some(Complete)",
        ],
    ),
    (
        "a batch",
        "a> POST /rpc\n a> [{\"jsonrpc\":\"2.0\",\"method\":\"a\"},{\"jsonrpc\":\"2.0\",\"method\":\"b\"}]\n a!",
        &[
            "a > RequestBody Notification a -",
            "a > RequestBody Notification b -",
            "a ended None",
        ],
    ),
    (
        "an oddity of the message that first shows that the exchange matters",
        "a> POST /rpc\n a> {\"jsonrpc\":\"2.0\",\"method\":\"a\",\"method\":\"b\",\"id\":1}\n a!",
        &[
            "a > RequestBody Request b 1",
            "a json_rpc/jsonrpc-duplicate-method",
            "a ended None",
        ],
    ),
    (
        "a content coding that is not known, where MCP is expected",
        "a> POST /mcp | content-encoding: x-own\n a> \u{1}\u{2}\n a!",
        &["a content/content-coding-unknown", "a ended None"],
    ),
    (
        "a losing overlap copy",
        "a? POST /x\n a? {\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"id\":1}",
        &["a > RequestBody Request tools/call 1 ambiguous"],
    ),
    (
        "two exchanges of one flow",
        "a> POST /rpc\n a> {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n a< 202\n a.
         a> POST /rpc\n a> plain\n a< 200\n a< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n a.",
        &[
            "a > RequestBody Notification x -",
            "a answered 202",
            "a ended Some(Complete)",
        ],
    ),
];

#[test]
fn dialogues_give_these_observations() {
    for (name, dialogue, want) in DIALOGUES {
        assert_eq!(lines(dialogue), *want, "{name}");
    }
}

#[test]
fn body_bytes_are_counted_as_they_are_on_the_wire() {
    let dialogue = "a> POST /mcp\n a> 123\n a< 200 | content-type: text/html\n a< 12345\n a.";
    let seen = Stage::default().play(dialogue);
    let Event::Ended { body_bytes, .. } = seen[1].event else { panic!("{seen:?}") };
    assert_eq!(body_bytes, [4, 6]);
}

fn request_of(head: &str) -> Arc<RequestInfo> {
    let seen = Stage::default().play(&format!("a> {head} | mcp-x: 1\n a!"));
    match &seen[0].event {
        Event::Ended { request, .. } => Arc::clone(request),
        other => panic!("{other:?}"),
    }
}

fn response_of(head: &str) -> Arc<ResponseInfo> {
    let seen = Stage::default().play(&format!("a> GET /mcp\n a< {head}\n a."));
    match &seen[0].event {
        Event::Answered { response, .. } => Arc::clone(response),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hosts_and_ports_are_those_that_the_client_named() {
    for (head, host, port, path, via_proxy) in [
        ("GET / | host: H.Example:8080", Some("h.example"), 8080, "/", false),
        ("GET / | host: h.example", Some("h.example"), 80, "/", false),
        ("GET /a?b", None, 80, "/a", false),
        ("GET / | host:", None, 80, "/", false),
        ("GET / | host: [2001:DB8:0::1]:99", Some("2001:db8::1"), 99, "/", false),
        ("GET http://u:p@o.example/x | host: h", Some("o.example"), 80, "/x", true),
        ("GET https://o.example | host: h", Some("o.example"), 443, "/", true),
        ("GET http://10.0.0.2/x | host: h", Some("10.0.0.2"), 80, "/x", false),
        ("GET http://10.0.0.2:81/x | host: h", Some("10.0.0.2"), 81, "/x", true),
        ("CONNECT o.example:443 | host: h", Some("o.example"), 443, "", true),
    ] {
        let request = request_of(head);
        let found = (request.host.as_deref(), request.port, request.path.as_str());
        assert_eq!((found, request.via_proxy), ((host, port, path), via_proxy), "{head}");
    }
}

#[test]
fn the_authority_of_a_tunnel_goes_before_the_host() {
    let mut tap = Tap::new(Limits::default(), SecretHasher::default());
    let at = At { packet: 0, time: Timestamp::EPOCH };
    let context = Context { tunnel: Some("t.example:81"), ..context(1, at) };
    let mut state = FlowState::default();
    let head = Head::new("GET /mcp | host: other");
    tap.event(&context, &mut state, 0, ExchangeEvent::RequestHead(head.request()));
    tap.event(&context, &mut state, 0, ExchangeEvent::Aborted);
    let Event::Ended { request, .. } = &tap.observations()[0].event else { panic!() };
    assert_eq!((request.host.as_deref(), request.port), (Some("t.example"), 81));
    assert!(request.via_proxy);
}

#[test]
fn facts_of_request_heads() {
    let request = request_of(
        "POST /mcp?Access_Token=s3cr3t&sessionId=5 | authorization: Bearer s3cr3t | cookie: a=s3cr3t \
         | accept: application/json, text/event-stream | mcp-name: =?base64?w6Q=?= \
         | Mcp-Method: tools/call | mcp-protocol-version: 2025-06-18 | x-api-key: s3cr3t \
         | mcp-param-token: s3cr3t | content-type: Application/JSON; charset=utf-8",
    );
    assert_eq!(request.auth.scheme.as_deref(), Some("bearer"));
    assert_eq!(request.auth.api_key_header.as_deref(), Some("x-api-key"));
    assert_eq!(request.auth.in_query, ["access_token"]);
    assert_eq!(request.query_keys, ["access_token", "sessionid"]);
    assert_eq!(request.session, Some(SecretHasher::default().hash(b"5")));
    assert_eq!(request.mcp_name.as_deref(), Some("ä"));
    assert_eq!(request.mcp_method.as_deref(), Some("tools/call"));
    assert_eq!(request.protocol_version.as_deref(), Some("2025-06-18"));
    assert_eq!(request.content_type.as_deref(), Some("application/json"));
    assert!(request.accepts_json && request.accepts_sse && request.auth.cookie);
    assert!(!format!("{request:?}").contains("s3cr3t"));
}

#[test]
fn an_authorization_without_a_scheme_tells_nothing_of_itself() {
    for (value, want) in [
        ("Basic abc", "basic"),
        ("AWS4-HMAC-SHA256 Credential=x", "aws4-hmac-sha256"),
        ("s3cr3t", "other"),
        ("s3cr3t two", "other"),
        ("bearer", "bearer"),
    ] {
        let request = request_of(&format!("GET / | authorization: {value}"));
        assert_eq!(request.auth.scheme.as_deref(), Some(want), "{value}");
    }
}

#[test]
fn facts_of_response_heads() {
    let challenge = "401 | www-authenticate: Bearer Resource_Metadata=\"http://h/x\"";
    assert!(response_of(challenge).resource_metadata);
    assert!(!response_of("401 | www-authenticate: Bearer realm=x").resource_metadata);
    let location = |text: &str| response_of(&format!("307 | location: {text}")).location.clone();
    let (host, port, path) = (String::from, 8080, String::from);
    assert_eq!(location("http://H:8080/x?y"), Some((host("h"), port, path("/x"))));
    assert_eq!(location("https://h"), Some((host("h"), 443, path("/"))));
    assert_eq!(location("/mcp/"), Some((String::new(), 0, path("/mcp/"))));
    for other in ["//h/x", "mcp/", "ftp://h/"] {
        assert_eq!(location(other), None, "{other}");
    }
    assert!(response_of("200 | mcp-session-id: x").session.is_some());
}

#[test]
fn fields_of_mcp_are_kept_behind_any_number_of_others() {
    let others: String = (0..100).map(|n| format!(" | x-{n}: {n}")).collect();
    let request = request_of(&format!("POST /{others} | mcp-method: a | Mcp-Method: b"));
    let methods = request.headers.iter().filter(|field| field.name == "mcp-method");
    assert_eq!(methods.map(|field| field.value.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(request.headers.len() < 80);
}

#[test]
fn at_the_bound_the_oldest_exchange_ends() {
    let mut tap = Tap::new(
        Limits { max_exchanges_per_flow: 2, ..Limits::default() },
        SecretHasher::default(),
    );
    let mut state = FlowState::default();
    let context = context(1, At { packet: 0, time: Timestamp::EPOCH });
    let head = Head::new("POST /mcp");
    for number in 0..5 {
        tap.event(&context, &mut state, number, ExchangeEvent::RequestHead(head.request()));
    }
    assert_eq!(tap.counters().given_up, 3);
    let ended = tap.observations().iter().filter_map(|seen| match &seen.event {
        Event::Ended { request, response: None, .. } => Some(request.id.number),
        _ => None,
    });
    assert_eq!(ended.collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn exchanges_used_again_remember_nothing() {
    let mut stage = Stage::default();
    stage.play(
        "a> POST /mcp | mcp-session-id: s\n a> {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n a< 200\n a< [\n a.",
    );
    let seen =
        stage.play("b> POST /x\n b> x\n b< 200 | content-type: application/json\n b< {}\n b.");
    assert!(seen.is_empty(), "{seen:?}");
}

/// Any step, of one of a few exchanges.
fn steps() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    prop::collection::vec((0..4_u8, 0..12_u8, 0..8_u8), 0..60)
}

const REQUESTS: [&str; 4] = [
    "POST /mcp | mcp-method: tools/call",
    "GET /sse | accept: text/event-stream",
    "POST /x | content-encoding: gzip",
    "PUT /x",
];
const RESPONSES: [&str; 4] = [
    "200 | content-type: text/event-stream",
    "200 | content-type: application/json",
    "202",
    "401 | www-authenticate: Bearer resource_metadata=x",
];
const PIECES: [&[u8]; 8] = [
    b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}",
    b"{\"jsonrpc\":\"2.0\",",
    b"\"method\":\"ping\"}",
    b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
    b"event: endpoint\ndata: /m\n\n",
    b"[",
    b"\x1f\x8b\x08",
    b"x",
];

proptest! {
    #[test]
    fn any_steps_are_survived_and_each_message_is_told_once(steps in steps(), cut in 1..20_usize) {
        let mut tap = Tap::new(Limits { max_exchanges_per_flow: 3, ..Limits::default() }, SecretHasher::default());
        let mut state = FlowState::default();
        let context = context(1, At { packet: 0, time: Timestamp::EPOCH });
        for (number, step, choice) in steps {
            let choice = usize::from(choice);
            let request = Head::new(REQUESTS[choice % 4]);
            let response = Head::new(RESPONSES[choice % 4]);
            let end = if choice % 2 == 0 { End::Complete } else { End::Truncated };
            let mut events = match step {
                0 | 1 => vec![ExchangeEvent::RequestHead(request.request())],
                2..=4 => PIECES[choice].chunks(cut).map(ExchangeEvent::RequestBody).collect(),
                5 => vec![ExchangeEvent::ResponseHead(response.response())],
                6..=8 => PIECES[choice].chunks(cut).map(ExchangeEvent::ResponseBody).collect(),
                9 => vec![ExchangeEvent::RequestGap(1), ExchangeEvent::ResponseGap(1)],
                10 => vec![ExchangeEvent::RequestEnd(end)],
                _ if choice == 7 => vec![ExchangeEvent::Aborted],
                _ => vec![ExchangeEvent::ResponseEnd(end)],
            };
            for event in events.drain(..) {
                if number == 3 {
                    tap.ambiguous(&context, &mut state, event);
                } else {
                    tap.event(&context, &mut state, u32::from(number), event);
                }
            }
        }
        let observations = std::mem::take(tap.observations());
        let messages =
            observations.iter().filter(|seen| matches!(seen.event, Event::Message { .. })).count();
        prop_assert_eq!(messages as u64, tap.counters().messages);
        for seen in &observations {
            if let Event::Message { direction: Direction::ToServer, message, .. } = &seen.event {
                prop_assert!(message.partial || message.method.is_some());
            }
        }
    }

    /// However the exchanges of a flow interleave, each message in them comes out once.
    #[test]
    fn interleaved_exchanges_give_each_message_once(turns in prop::collection::vec(0..6_u32, 0..80)) {
        let mut tap = Tap::new(Limits::default(), SecretHasher::default());
        let mut state = FlowState::default();
        let context = context(1, At { packet: 0, time: Timestamp::EPOCH });
        let (request, response) = (Head::new(REQUESTS[0]), Head::new(RESPONSES[1]));
        let mut done = [0_usize; 6];
        let rest = (0..6_u32).flat_map(|number| std::iter::repeat_n(number, 8));
        for number in turns.into_iter().chain(rest) {
            let step = &mut done[number as usize];
            let asked = format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"a\"}}");
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"result\":{{}}}}");
            let (head, tail) = asked.as_bytes().split_at(20);
            let event = match *step {
                0 => ExchangeEvent::RequestHead(request.request()),
                1 => ExchangeEvent::RequestBody(head),
                2 => ExchangeEvent::RequestBody(tail),
                3 => ExchangeEvent::RequestEnd(End::Complete),
                4 => ExchangeEvent::ResponseHead(response.response()),
                5 => ExchangeEvent::ResponseBody(answer.as_bytes()),
                6 => ExchangeEvent::ResponseEnd(End::Complete),
                _ => continue,
            };
            *step += 1;
            tap.event(&context, &mut state, number, event);
        }
        let mut told: Vec<_> = tap.observations().iter().filter_map(|seen| match &seen.event {
            Event::Message { request, direction, message, .. } => {
                Some((request.id.number, *direction, message.id.clone().unwrap().0))
            }
            _ => None,
        }).collect();
        told.sort();
        let both = [Direction::ToServer, Direction::ToClient];
        let want: Vec<_> = (0..6).flat_map(|n: u32| both.map(|way| (n, way, n.to_string()))).collect();
        prop_assert_eq!(told, want);
    }

    /// Whole and in pieces of any size, a dialogue gives the same.
    #[test]
    fn cuts_do_not_matter(cut in 1..40_usize) {
        let bodies: [&[u8]; 2] = [
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"\xc3\xa4\"}}",
            b"event: message\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata: \"id\":1,\"result\":{}}\r\n\r\n",
        ];
        let play = |cut: usize| {
            let mut tap = Tap::new(Limits::default(), SecretHasher::default());
            let mut state = FlowState::default();
            let context = context(97, At { packet: 0, time: Timestamp::EPOCH });
            let (request, response) = (Head::new(REQUESTS[3]), Head::new(RESPONSES[0]));
            let mut events = vec![ExchangeEvent::RequestHead(request.request())];
            events.extend(bodies[0].chunks(cut).map(ExchangeEvent::RequestBody));
            events.push(ExchangeEvent::RequestEnd(End::Complete));
            events.push(ExchangeEvent::ResponseHead(response.response()));
            events.extend(bodies[1].chunks(cut).map(ExchangeEvent::ResponseBody));
            events.push(ExchangeEvent::ResponseEnd(End::Complete));
            for event in events {
                tap.event(&context, &mut state, 0, event);
            }
            tap.observations().iter().map(line).collect::<Vec<_>>()
        };
        let whole = play(usize::MAX);
        prop_assert_eq!(whole.len(), 4, "{:?}", whole);
        prop_assert_eq!(play(cut), whole);
    }
}

/// A piece of a message.
fn piece(direction: Direction, coding: MessageCoding, bytes: &[u8], end: bool) -> MessagePiece<'_> {
    MessagePiece { direction, coding, bytes, end: end.then_some(End::Complete) }
}

/// A stream on which `pieces` come.
fn stream(tap: &mut Tap, pieces: &[MessagePiece<'_>]) -> (Vec<BodyInterest>, Vec<String>) {
    let at = At { packet: 0, time: Timestamp::EPOCH };
    let (context, mut state) = (context(97, at), FlowState::default());
    let mut say = |event: ExchangeEvent<'_>| tap.event(&context, &mut state, 0, event);
    say(ExchangeEvent::RequestHead(Head::new("GET /ws | upgrade: websocket").request()));
    say(ExchangeEvent::RequestEnd(End::Complete));
    say(ExchangeEvent::ResponseHead(Head::new("101").response()));
    let interests = pieces.iter().map(|piece| say(ExchangeEvent::Message(*piece))).collect();
    say(ExchangeEvent::ResponseEnd(End::Complete));
    (interests, tap.observations().drain(..).map(|seen| line(&seen)).collect())
}

#[test]
fn messages_in_pieces_of_any_size_and_coding_are_the_same() {
    let texts: [&[u8]; 4] = [
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        b" \n hello",
        br#" {"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"x"}}"#,
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}".as_bytes(),
    ];
    let mut compress = flate2::Compress::new(flate2::Compression::default(), false);
    let coded = texts.map(|text| {
        let mut out = Vec::with_capacity(1000);
        compress.compress_vec(text, &mut out, flate2::FlushCompress::Sync).unwrap();
        out.truncate(out.len() - 4);
        out
    });
    let plain = texts.map(<[u8]>::to_vec);
    for (coding, messages) in
        [(MessageCoding::Plain, &plain), (MessageCoding::Deflate { fresh: false }, &coded)]
    {
        for size in [1, 2, 3, 10, 1000] {
            let pieces: Vec<_> = messages
                .iter()
                .flat_map(|message| {
                    let all = message
                        .chunks(size)
                        .map(|bytes| piece(Direction::ToServer, coding, bytes, false));
                    all.chain([piece(Direction::ToServer, coding, b"", true)])
                })
                .collect();
            let mut tap = Tap::new(Limits::default(), SecretHasher::default());
            let (_, lines) = stream(&mut tap, &pieces);
            let expected = [
                "a answered 101",
                "a > WebSocket Request tools/list 1",
                "a > WebSocket Request tools/call 2",
                "a > WebSocket Request ping 3",
                "a ended Some(Complete)",
            ];
            assert_eq!(lines, expected, "{coding:?} {size}");
        }
    }
}

#[test]
fn damage_to_compressed_messages_is_reported_once_and_counted() {
    let coding = MessageCoding::Deflate { fresh: false };
    let call: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let pieces = [
        piece(Direction::ToClient, MessageCoding::Plain, call, true),
        piece(Direction::ToServer, coding, &[0xff; 9], true),
        piece(Direction::ToServer, coding, &[0xff; 9], true),
        piece(Direction::ToServer, MessageCoding::Plain, call, true),
    ];
    let mut tap = Tap::new(Limits::default(), SecretHasher::default());
    let (interests, lines) = stream(&mut tap, &pieces);
    assert_eq!(interests, [BodyInterest::Wanted; 4]);
    let expected = [
        "a answered 101",
        "a < WebSocket Request tools/list 1",
        "a content/content-coding-corrupt",
        "a > WebSocket Request tools/list 1",
        "a ended Some(Complete)",
    ];
    assert_eq!(lines, expected);
    assert!(tap.counters().undecodable_bytes >= 9);
}

#[test]
fn streams_that_say_nothing_of_interest_are_given_up_at_the_bounds() {
    let limits = Limits { max_barren_messages: 3, max_foreign_messages: 6, ..Limits::default() };
    let (chat, foreign): (&[u8], &[u8]) =
        (b"{\"text\":1}", br#"{"jsonrpc":"2.0","method":"eth_subscription"}"#);
    let call: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let wanted = |texts: &[&[u8]]| {
        let coding = MessageCoding::Plain;
        let pieces: Vec<_> =
            texts.iter().map(|text| piece(Direction::ToClient, coding, text, true)).collect();
        let mut tap = Tap::new(limits, SecretHasher::default());
        let (interests, _) = stream(&mut tap, &pieces);
        interests.iter().take_while(|interest| **interest == BodyInterest::Wanted).count()
    };
    assert_eq!(wanted(&[chat; 9]), 3);
    assert_eq!(wanted(&[foreign; 9]), 6);
    assert_eq!(wanted(&[&[chat; 4][..], &[call; 9][..]].concat()), 3);
    assert_eq!(wanted(&[&[chat; 2][..], &[call; 1], &[chat; 20]].concat()), 23);
    assert_eq!(wanted(&[&[foreign; 5][..], &[call; 1], &[foreign; 20]].concat()), 26);
}
