use super::*;
use crate::mcp::jsonrpc::{Item, Reader};
use crate::mcp::samples::Stage;
use crate::observation::{Event, Field};

/// The only message of a text.
fn message(text: &str) -> Message {
    let (mut reader, mut found) = (Reader::default(), Vec::new());
    reader.push(text.as_bytes(), &mut |item| found.push(item));
    reader.finish(&mut |item| found.push(item));
    let mut messages = found.into_iter().filter_map(|item| match item {
        Item::Message(message) => Some(*message),
        Item::Anomaly(_) => None,
    });
    messages.next_back().unwrap_or_else(|| panic!("no message in {text}"))
}

/// A message that asks: method and members of `params`.
fn asks(method: &str, params: &str) -> Message {
    message(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#))
}

fn answers(rest: &str) -> Message {
    message(&format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#))
}

fn error(code: i64) -> Message {
    answers(&format!(r#""error":{{"code":{code},"message":"m"}}"#))
}

fn request(head: &str) -> RequestInfo {
    let seen = Stage::default()
        .play(&format!("a> {head} | x: 1\n a> [] \n a< 200 | mcp-session-id: x\n a."));
    match &seen[0].event {
        Event::Answered { request, .. } => (**request).clone(),
        other => panic!("{other:?}"),
    }
}

fn response(head: &str) -> ResponseInfo {
    let seen = Stage::default().play(&format!("a> GET /mcp\n a< {head}\n a."));
    match &seen[0].event {
        Event::Answered { response, .. } => (**response).clone(),
        other => panic!("{other:?}"),
    }
}

const MODERN: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
const INITIALIZE: &str =
    r#""protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}"#;

#[test]
fn revisions_are_dates_of_this_century() {
    for text in ["2024-11-05", "2026-07-28"] {
        assert!(is_revision(text), "{text}");
    }
    for text in ["", "1", "2024-11-5", "1999-01-01", "2024/11/05", "2024-11-05 ", "20240-1-05"] {
        assert!(!is_revision(text), "{text}");
    }
}

#[test]
fn paths_by_convention() {
    for path in ["/mcp", "/mcp/", "/api/mcp", "/sse", "/v1/sse", "/messages/", "/message"] {
        assert!(is_mcp_path(path), "{path}");
    }
    for path in ["/", "/mcpx", "/assets", "/mcp/status", "/tools/call"] {
        assert!(!is_mcp_path(path), "{path}");
    }
}

#[test]
fn calls_that_can_only_be_of_mcp() {
    for (is_mcp, method, params) in [
        (true, "tools/list", ""),
        (true, "tools/call", ""),
        (true, "notifications/initialized", ""),
        (true, "server/discover", ""),
        (true, "initialize", INITIALIZE),
        (true, "ping", MODERN),
        (true, "acme/own", MODERN),
        (false, "initialize", ""),
        // The Language Server Protocol.
        (
            false,
            "initialize",
            r#""processId":1,"rootUri":null,"capabilities":{},"clientInfo":{"name":"c"}"#,
        ),
        // The Agent Client Protocol.
        (false, "initialize", r#""protocolVersion":1,"capabilities":{},"clientInfo":{"name":"c"}"#),
        (false, "initialize", r#""protocolVersion":"2025-06-18""#),
        (false, "ping", ""),
        (false, "logging/setLevel", ""),
        (false, "notifications/message", ""),
        // Agent2Agent has them too.
        (false, "tasks/get", ""),
        (false, "message/send", ""),
        (false, "eth_call", ""),
        (false, "Tools/List", ""),
    ] {
        assert_eq!(is_mcp_call(&asks(method, params)), is_mcp, "{method} {params}");
    }
    let cut = message(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","#,
    );
    assert!(cut.partial && is_mcp_call(&cut));
}

#[test]
fn answers_that_can_only_be_of_mcp_by_their_shape() {
    let tool = r#""result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}"#;
    for (is_mcp, rest) in [
        (
            true,
            r#""result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":""}}"#,
        ),
        (true, tool),
        (true, r#""result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#),
        (true, r#""error":{"code":-32020,"message":""}"#),
        (true, r#""method":"roots/list""#),
        (false, r#""method":"ping""#),
        (false, r#""method":"notifications/message""#),
        (false, r#""result":{}"#),
        (false, r#""result":{"tools":[{"name":"t"}]}"#),
        (false, r#""result":{"capabilities":{},"serverInfo":{"name":"lsp"}}"#),
        (false, r#""result":{"protocolVersion":1,"capabilities":{},"serverInfo":{}}"#),
        (false, r#""error":{"code":-32601,"message":""}"#),
        (false, r#""error":{"code":-32000,"message":""}"#),
    ] {
        assert_eq!(is_answer_by_shape(&answers(rest)), is_mcp, "{rest}");
    }
}

#[test]
fn what_an_answer_proves_by_what_it_answers() {
    use Evidence::{Confirmed, Parsed};
    let list = asks("tools/list", "");
    let read = asks("resources/read", r#""uri":"a:b""#);
    let result = |members: &str| answers(&format!(r#""result":{{{members}}}"#));
    for (asked, answer, want) in [
        (&list, result(r#""tools":[]"#), Some(Confirmed)),
        (&list, result(r#""resultType":"complete""#), Some(Confirmed)),
        (&list, result(""), Some(Parsed)),
        (&list, answers(r#""result":null"#), Some(Parsed)),
        (&read, result(r#""contents":[]"#), Some(Confirmed)),
        (&asks("resources/subscribe", MODERN), result(""), Some(Confirmed)),
        (
            &asks("initialize", INITIALIZE),
            result(r#""protocolVersion":"2025-06-18""#),
            Some(Confirmed),
        ),
        (&asks("ping", ""), result(""), None),
        (&asks("eth_call", ""), result(r#""tools":[]"#), None),
        // Turned down as any JSON-RPC server would.
        (&list, error(-32601), None),
        (&list, error(-32600), None),
        (&list, error(-32700), None),
        (&list, error(-32000), None),
        (&list, error(-32002), None),
        (&asks("server/discover", MODERN), error(-32000), None),
        // Looked at.
        (&list, error(-32602), Some(Parsed)),
        (&list, error(-32603), Some(Parsed)),
        (&list, error(7), Some(Parsed)),
        (&read, error(-32002), Some(Parsed)),
        (&list, error(-32020), Some(Confirmed)),
        (&list, error(-32022), Some(Confirmed)),
        (&list, error(-32042), Some(Confirmed)),
    ] {
        let found = answer_proves(asked, &answer);
        assert_eq!(
            found, want,
            "{:?} {:?} {:?}",
            asked.method, answer.body_keys, answer.error_code
        );
    }
}

#[test]
fn what_the_head_of_an_answer_says() {
    use Answer::{Names, Open, Redirects, Session, Takes};
    let plain = "POST /mcp | accept: */*";
    let dual = "POST /mcp | accept: application/json, text/event-stream";
    let with_field = "POST /mcp | mcp-protocol-version: 2025-06-18";
    let with_session = "POST /message?sessionId=1";
    for (head, answer, known, want) in [
        (plain, "202", false, Open),
        (plain, "202", true, Takes),
        (dual, "202", false, Takes),
        (with_field, "202", false, Takes),
        (with_session, "202", false, Takes),
        ("POST /mcp | accept: application/json", "202", false, Open),
        ("POST /mcp | mcp-protocol-version: 1", "202", false, Open),
        (plain, "200 | content-type: application/json", false, Open),
        (dual, "200 | content-type: application/json", false, Open),
        (plain, "200 | content-type: text/event-stream", false, Open),
        (dual, "200 | content-type: text/event-stream", false, Takes),
        (dual, "204", false, Takes),
        (dual, "200 | mcp-session-id: x", false, Session),
        (plain, "400 | mcp-session-id: x", false, Session),
        (plain, "401 | www-authenticate: Bearer resource_metadata=x", false, Names),
        (dual, "401 | www-authenticate: Bearer", false, Open),
        (dual, "404", true, Open),
        (dual, "500", true, Open),
        (dual, "307 | location: /mcp/", false, Redirects),
        (dual, "303 | location: /mcp/", false, Open),
    ] {
        let found = judge(&request(head), &response(answer), known);
        assert_eq!(found, want, "{head}: {answer} {known}");
    }
}

#[test]
fn what_nobody_sends_to_a_server_that_is_not_there() {
    for (implied, method, params, first) in [
        (true, "tools/list", "", false),
        (true, "notifications/initialized", "", false),
        (false, "initialize", INITIALIZE, false),
        (false, "server/discover", MODERN, false),
        // Without a handshake, the first call is an attempt.
        (false, "tools/list", MODERN, true),
        (true, "tools/call", MODERN, false),
    ] {
        assert_eq!(implies_server(&asks(method, params), first), implied, "{method}");
    }
}

#[test]
fn files_about_mcp_are_downloads() {
    let (get, post) = (request("GET /x.json"), request("POST /x"));
    let (result, refusal) = (answers(r#""result":{}"#), error(-32000));
    assert!(is_download(&get, Channel::ResponseBody, &result));
    assert!(is_download(&get, Channel::ResponseBody, &asks("tools/list", "")));
    assert!(!is_download(&get, Channel::ResponseBody, &refusal));
    assert!(!is_download(&get, Channel::Sse, &result));
    assert!(!is_download(&post, Channel::ResponseBody, &result));
}

#[test]
fn streams_that_only_show_mcp_prove_nothing() {
    let page = request("GET /events | accept: text/event-stream");
    assert!(!is_plausible_stream(&page, false));
    assert!(is_plausible_stream(&page, true));
    assert!(is_plausible_stream(&request("POST /mcp"), false));
    assert!(is_plausible_stream(&request("GET /mcp | mcp-session-id: x"), false));
    assert!(is_plausible_stream(&RequestInfo { seen: false, ..page }, false));
}

#[test]
fn where_fields_and_body_disagree() {
    let call = asks("tools/call", r#""name":"add""#);
    let modern = asks("tools/call", &format!(r#""name":"add",{MODERN}"#));
    let read = asks("resources/read", r#""uri":"file:///ä""#);
    let unnamed = asks("tools/call", "");
    let list = asks("tools/list", "");
    let long_uri = format!("x:{}", "y".repeat(5_000));
    let long = asks("resources/read", &format!(r#""uri":"{long_uri}""#));
    let cut = message(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"#);
    let mut batched = list.clone();
    batched.batched = true;
    for (head, message, want) in [
        ("", &call, &[][..]),
        (" | mcp-method: tools/call | mcp-name: add", &call, &[]),
        (" | Mcp-Method:  tools/call  ", &call, &[]),
        (" | mcp-method: Tools/Call", &call, &["method"]),
        (" | mcp-method: tools/list", &call, &["method"]),
        (" | mcp-name: sub", &call, &["name"]),
        (" | mcp-name: ADD", &call, &["name"]),
        (" | mcp-name: =?base64?YWRk?=", &call, &[]),
        (" | mcp-name: =?base64?c3Vi?=", &call, &["name"]),
        (" | mcp-name: =?base64?ZmlsZTovLy/DpA==?=", &read, &[]),
        (" | mcp-name: file:///a", &read, &["name"]),
        // There, but not in the body.
        (" | mcp-name: add", &unnamed, &["name"]),
        (" | mcp-name: add", &cut, &[]),
        (" | mcp-name: add", &list, &[]),
        // Several lines: any that disagrees.
        (" | mcp-method: tools/call | mcp-method: tools/call", &call, &[]),
        (" | mcp-method: tools/call | mcp-method: tools/list", &call, &["method"]),
        (" | mcp-name: add | mcp-name: sub", &call, &["name"]),
        (" | mcp-method: tools/call, tools/list", &call, &["method"]),
        // The revision has to be in the body to be compared.
        (" | mcp-protocol-version: 2025-06-18", &call, &[]),
        (" | mcp-protocol-version: 2025-06-18", &modern, &["version"]),
        (" | mcp-protocol-version: 2026-07-28", &modern, &[]),
        ("", &modern, &[]),
        (
            " | mcp-method: a | mcp-name: b | mcp-protocol-version: c",
            &modern,
            &["method", "name", "version"],
        ),
        // One field cannot name what all messages of a batch ask.
        (" | mcp-method: tools/call", &batched, &["method"]),
        (" | mcp-method: tools/list | mcp-name: x", &batched, &[]),
        (" | mcp-method: tools/list", &error(-32601), &[]),
    ] {
        let head = format!("POST /mcp{head}");
        assert_eq!(disagreements(&request(&head), message), want, "{head}");
    }
    let same = request(&format!("POST /mcp | mcp-name: {long_uri}"));
    assert_eq!(disagreements(&same, &long), [""; 0]);
    let other = request(&format!("POST /mcp | mcp-name: z{long_uri}"));
    assert_eq!(disagreements(&other, &long), ["name"]);
}

#[test]
fn heads_that_only_mcp_has() {
    for (is_mcp, head) in [
        (true, "POST / | mcp-session-id: x"),
        (true, "POST / | mcp-method: x"),
        (true, "POST / | mcp-name: x"),
        (true, "POST / | mcp-param-a: x"),
        (true, "GET / | mcp-protocol-version: 2025-06-18"),
        (false, "GET / | mcp-protocol-version: 5"),
        (false, "GET / | mcp-server: x"),
        (false, "OPTIONS / | access-control-request-headers: mcp-session-id"),
    ] {
        assert_eq!(is_mcp_head(&request(head)), is_mcp, "{head}");
    }
    let mut other = request("GET / | mcp-x: 1");
    other.headers.push(Field { name: "mcp-name".into(), value: "x".into() });
    assert!(is_mcp_head(&other));
}
