//! Texts that quote MCP, and its look-alikes: nothing of it may be called MCP.

use super::builder::Talk;
use super::seen::{Seen, watch};
use super::text::{call_text, event, http, result_text};

/// One exchange with some other server.
fn elsewhere(start: &str, media: &str, body: &str, answer_media: &str, answer: &str) -> Seen {
    let mut talk = Talk::between("10.0.0.2:40000", "10.0.0.4:80");
    talk.handshake();
    let typed = |media: &str, body: &str| {
        let length = format!("Content-Length: {}\r\n", body.len());
        if media.is_empty() { length } else { format!("Content-Type: {media}\r\n{length}") }
    };
    let fields = if body.is_empty() { String::new() } else { typed(media, body) };
    talk.exchange(
        http(&format!("{start} HTTP/1.1"), &format!("Host: www.test\r\n{fields}"), body),
        http("HTTP/1.1 200 OK", &typed(answer_media, answer), answer),
    );
    talk.close();
    watch(&talk)
}

const OK: &str = r#"{"ok":true}"#;

/// p06: a page about MCP is saved in a wiki.
#[test]
fn wiki_edit() {
    let text = call_text(1).replace('"', "%22").replace(' ', "+");
    let form = format!("title=MCP&text=The+client+sends+{text}+to+the+server&save=1");
    let media = "application/x-www-form-urlencoded";
    elsewhere("POST /wiki/edit", media, &form, "text/html", "<p>saved</p>").assert_no_mcp("form");
    let raw = format!("text={}", call_text(1));
    elsewhere("POST /wiki/edit", media, &raw, "application/json", OK).assert_no_mcp("raw form");
    let parts = format!(
        "--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n{}\r\n--x--\r\n",
        call_text(1)
    );
    elsewhere("POST /wiki/edit", "multipart/form-data; boundary=x", &parts, "application/json", OK)
        .assert_no_mcp("multipart");
}

/// p06: a prompt that quotes MCP, to a language model, and its answers, whole and as events.
#[test]
fn chat_prompt() {
    let quoted = serde_json::to_string(&format!("What does this do? {}", call_text(1))).unwrap();
    let prompt = format!(
        r#"{{"model":"m","stream":true,"messages":[{{"role":"user","content":{quoted}}}],"tools":[{{"type":"function","function":{{"name":"tools/call"}}}}]}}"#
    );
    let answer = format!(
        r#"{{"id":"c1","object":"chat.completion","choices":[{{"message":{{"role":"assistant","content":{quoted},"tool_calls":[{{"id":"1","function":{{"name":"tools/call","arguments":"{{}}"}}}}]}}}}]}}"#
    );
    elsewhere(
        "POST /v1/chat/completions",
        "application/json",
        &prompt,
        "application/json",
        &answer,
    )
    .assert_no_mcp("whole");
    let events = format!("{}{}data: [DONE]\n\n", event(&answer), event(&answer));
    elsewhere(
        "POST /v1/chat/completions",
        "application/json",
        &prompt,
        "text/event-stream",
        &events,
    )
    .assert_no_mcp("events");
}

/// p06: a message inside another document, as a value or as a text.
#[test]
fn nested() {
    let inner = call_text(1);
    let text = serde_json::to_string(&inner).unwrap();
    for body in [
        format!(r#"{{"event":"audit","payload":{inner}}}"#),
        format!(r#"{{"event":"audit","payload":{text}}}"#),
        format!(r#"[{{"time":1,"message":{inner}}},{{"time":2,"message":{inner}}}]"#),
        text.clone(),
        r#"{"id":1,"method":"tools/call","params":{}}"#.to_owned(),
        r#"{"id":1,"method":"tools/call","params":{"name":"x"},"jsonrpc":"1.0"}"#.to_owned(),
        r#"{"id":1,"method":{"name":"tools/call"},"jsonrpc":"2.0"}"#.to_owned(),
    ] {
        elsewhere("POST /ingest", "application/json", &body, "application/json", OK)
            .assert_no_mcp(&body);
    }
}

/// A file with JSON-RPC texts in it is fetched.
#[test]
fn downloads() {
    let lines: String =
        (1..20).map(|id| format!("{}\n{}\n", call_text(id), result_text(id))).collect();
    for (name, media, body) in [
        ("one message", "application/json", call_text(1)),
        ("a log", "application/x-ndjson", lines.clone()),
        ("plain text", "text/plain", lines.clone()),
        ("no type", "application/octet-stream", lines.clone()),
        ("an array", "application/json", format!("[{},{}]", call_text(1), call_text(2))),
        ("one result", "application/json", result_text(1)),
        ("a session", "application/json", super::text::INITIALIZED.to_owned()),
    ] {
        elsewhere("GET /files/trace.jsonl", "", "", media, &body).assert_no_mcp(name);
    }
}

/// JSON-RPC lines go to a log collector, which says that it has got them.
#[test]
fn log_collector() {
    let lines: String = (1..20).map(|id| format!("{}\n", call_text(id))).collect();
    for (media, body) in [
        ("application/x-ndjson", lines.clone()),
        ("application/json", call_text(1)),
        ("text/plain", lines.clone()),
        ("application/json", format!("[{}]", call_text(1))),
    ] {
        for answer in [OK, "", r#"{"accepted":19,"id":1}"#, "ok"] {
            elsewhere("POST /ingest", media, &body, "application/json", answer)
                .assert_no_mcp(&format!("{media}, answered by {answer:?}"));
        }
    }
}

/// Pages about MCP, and paths that look like it.
#[test]
fn pages() {
    let page = format!(
        "<html><pre>POST /mcp HTTP/1.1\r\nMcp-Session-Id: 1\r\n\r\n{}</pre></html>",
        call_text(1)
    );
    for start in ["GET /docs/mcp", "GET /mcp", "GET /sse", "POST /mcp"] {
        elsewhere(start, "", "", "text/html", &page).assert_no_mcp(start);
    }
    elsewhere("POST /mcp", "application/json", r#"{"query":"tools/call"}"#, "application/json", OK)
        .assert_no_mcp("MCP's path only");
}

/// Other protocols on JSON-RPC 2.0.
#[test]
fn other_json_rpc() {
    for (name, ask, said) in [
        (
            "Ethereum",
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":"0x1b4"}"#,
        ),
        (
            "language server",
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":1,"capabilities":{},"clientInfo":{"name":"e"}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{},"serverInfo":{"name":"ls"}}}"#,
        ),
        (
            "agent client protocol",
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1,"clientCapabilities":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1,"agentCapabilities":{}}}"#,
        ),
        (
            "Agent2Agent",
            r#"{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"kind":"task"}}"#,
        ),
        (
            "ping",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        ),
        (
            "unknown method",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}"#,
        ),
    ] {
        elsewhere("POST /rpc", "application/json", ask, "application/json", said)
            .assert_no_mcp(name);
    }
}

/// A client asks where no MCP server is: an attempt, no server.
#[test]
fn nobody_there() {
    for status in
        ["404 Not Found", "405 Method Not Allowed", "500 Internal Server Error", "502 Bad Gateway"]
    {
        let mut talk = Talk::open();
        let page = "<html>no</html>";
        let fields = format!("Content-Type: text/html\r\nContent-Length: {}\r\n", page.len());
        let answer = http(&format!("HTTP/1.1 {status}"), &fields, page);
        talk.exchange(super::text::post(super::text::INITIALIZE), answer);
        talk.close();
        let seen = watch(&talk);
        assert_eq!(seen.servers(), Vec::<String>::new(), "{status}");
        assert_eq!(seen.said(), ["> initialize"], "{status}");
        assert_eq!(seen.run.code, 0, "{status}: {:?}", seen.findings());
    }
}
