//! MCP on streams of messages: WebSocket, and JSON lines on a bare connection.

use super::builder::{Client, Server, Side, Talk};
use super::seen::{Seen, watch};
use super::text::{INITIALIZE, INITIALIZED, LIST, LISTED, READY, call_text, http, result_text};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame; the client's are masked.
fn frame(side: Side, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mask = if side == Client { 0x80 } else { 0 };
    let mut out = vec![first];
    match u16::try_from(payload.len()).unwrap() {
        len @ ..126 => out.push(mask | u8::try_from(len).unwrap()),
        len => {
            out.push(mask | 126);
            out.extend(len.to_be_bytes());
        }
    }
    if side == Client {
        out.extend(KEY);
        out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        out.extend(payload);
    }
    out
}

fn text(side: Side, text: impl AsRef<[u8]>) -> Vec<u8> {
    frame(side, 0x81, text)
}

/// A connection that was switched; `fields` are of both heads.
fn switched_to(path: &str, fields: &str) -> Talk {
    let mut talk = Talk::open();
    let common = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let ask = format!(
        "Host: mcp.test:8080\r\n{common}Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}"
    );
    let accept = format!("{common}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{fields}");
    talk.exchange(
        http(&format!("GET {path} HTTP/1.1"), &ask, ""),
        http("HTTP/1.1 101 Switching Protocols", &accept, ""),
    );
    talk
}

fn switched(fields: &str) -> Talk {
    switched_to("/ws", fields)
}

const WS_SERVER: &str = "http://mcp.test:8080/ws";
const TCP_SERVER: &str = "tcp://10.0.0.3:8080";

fn assert_calls(seen: &Seen, what: &str, server: &str, calls: usize) {
    assert_eq!(seen.count("> tools/call"), calls, "{what}: {:?}", seen.said());
    assert_eq!(seen.count("< result"), calls, "{what}: {:?}", seen.said());
    assert_eq!(seen.servers(), [server], "{what}");
    assert_eq!(seen.server()["evidence"], "confirmed", "{what}");
    assert_eq!(seen.run.code, 1, "{what}");
}

/// p38: calls in masked frames, whole, in fragments, in one-byte segments and with a ping between.
#[test]
fn websocket() {
    for (name, mss, fragments) in
        [("whole", 1460, 1), ("fragments", 1460, 3), ("bytes", 1, 1), ("both", 7, 2)]
    {
        let mut talk = switched("Sec-WebSocket-Protocol: mcp\r\n");
        talk.mss = mss;
        for id in 1..=3 {
            let call = call_text(id);
            let size = call.len().div_ceil(fragments);
            for (index, piece) in call.as_bytes().chunks(size).enumerate() {
                let opcode = u8::from(index == 0);
                let fin = u8::from((index + 1) * size >= call.len()) << 7;
                talk.client(frame(Client, fin | opcode, piece));
                talk.client(frame(Client, 0x89, "ping"));
            }
            talk.server(text(Server, result_text(id)));
        }
        talk.client(frame(Client, 0x88, b"\x03\xe8"));
        talk.close();
        let seen = watch(&talk);
        assert_calls(&seen, name, WS_SERVER, 3);
        assert_eq!(seen.server()["transports"][0], "websocket", "{name}");
        assert!(seen.anomalies().is_empty(), "{name}: {:?}", seen.anomalies());
    }
}

/// A whole session on a WebSocket, with requests of the server that have the client's ids.
#[test]
fn websocket_session() {
    let mut talk = switched("");
    talk.client(text(Client, INITIALIZE));
    talk.server(text(Server, INITIALIZED));
    talk.client(text(Client, READY));
    talk.client(text(Client, LIST));
    talk.server(text(Server, r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#));
    talk.client(text(Client, r#"{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}"#));
    talk.server(frame(Server, 0x82, LISTED));
    talk.close();
    let seen = watch(&talk);
    assert_eq!(
        seen.said(),
        [
            "> initialize",
            "< result",
            "> notifications/initialized",
            "> tools/list",
            "< roots/list",
            "> result",
            "< result"
        ]
    );
    let server = seen.server();
    assert_eq!(server["server"]["key"], WS_SERVER);
    assert_eq!(server["protocol_versions"][0], "2025-11-25");
    assert_eq!(server["eras"], serde_json::json!(["legacy"]));
    assert_eq!(server["definitions"]["tools"][0]["name"], "echo");
}

/// A hole inside a long message, and one over whole messages.
#[test]
fn websocket_with_holes() {
    let mut talk = switched("");
    talk.client(text(Client, call_text(1)));
    let long = text(Server, result_text(1).replace("ok", &"ok".repeat(2000)));
    let (before, rest) = long.split_at(1460);
    let (lost, after) = rest.split_at(1460);
    talk.server(before);
    talk.lose(Server, lost);
    talk.server(after);
    talk.exchange(text(Client, call_text(2)), text(Server, result_text(2)));
    talk.lose(Client, text(Client, call_text(3)));
    talk.lose(Server, text(Server, result_text(3)));
    talk.exchange(text(Client, call_text(4)), text(Server, result_text(4)));
    talk.close();
    let seen = watch(&talk);
    assert_eq!(seen.count("> tools/call"), 3, "{:?}", seen.said());
    assert_eq!(seen.count("< result"), 2, "{:?}", seen.said());
    assert_eq!(seen.count("< result partial"), 1, "{:?}", seen.said());
    assert!(seen.has_anomaly("websocket/websocket-resync"));
}

/// Chats, chains and language servers on a WebSocket are none of it.
#[test]
fn websocket_look_alikes() {
    let quoted = serde_json::to_string(&call_text(1)).unwrap();
    for (name, ask, said) in [
        ("chat", format!("{{\"text\":{quoted}}}"), "{\"ok\":true}".to_owned()),
        ("plain chat", call_text(1).replace("jsonrpc", "json"), "hi".to_owned()),
        (
            "Ethereum",
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#.to_owned(),
        ),
        (
            "language server",
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":1,"capabilities":{},"clientInfo":{"name":"e"}}}"#.to_owned(),
            r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{},"serverInfo":{"name":"ls"}}}"#.to_owned(),
        ),
        ("a log viewer", "{\"follow\":true}".to_owned(), call_text(1)),
        ("a log viewer's results", "{\"follow\":true}".to_owned(), LISTED.to_owned()),
    ] {
        let mut talk = switched_to("/socket", "");
        for _ in 0..3 {
            talk.client(text(Client, &ask));
            talk.server(text(Server, &said));
        }
        talk.close();
        watch(&talk).assert_no_mcp(name);
    }
}

/// p39: a stdio server behind a bare TCP connection.
#[test]
fn json_lines() {
    for (name, mss, end) in [("lf", 1460, "\n"), ("crlf", 1460, "\r\n"), ("bytes", 1, "\n")] {
        let mut talk = Talk::open();
        talk.mss = mss;
        for id in 1..=3 {
            talk.exchange(format!("{}{end}", call_text(id)), format!("{}{end}", result_text(id)));
        }
        talk.close();
        let seen = watch(&talk);
        assert_calls(&seen, name, TCP_SERVER, 3);
        assert_eq!(seen.server()["transports"][0], "json-lines", "{name}");
        assert!(seen.anomalies().is_empty(), "{name}: {:?}", seen.anomalies());
    }
}

/// Several messages in a segment, a server that prints to its output, and a hole.
#[test]
fn json_lines_with_noise() {
    let mut talk = Talk::open();
    talk.client(format!("{INITIALIZE}\n"));
    talk.server(format!("Server starting...\n{INITIALIZED}\n"));
    talk.client(format!("{READY}\n{LIST}\n\n{}\n", call_text(2)));
    talk.server(format!("{LISTED}\nwarning: slow\n{}\n", result_text(2)));
    talk.lose(Client, format!("{}\n", call_text(3)));
    talk.lose(Server, format!("{}\n", result_text(3)));
    talk.exchange(format!("{}\n", call_text(4)), format!("{}\n", result_text(4)));
    talk.close();
    let seen = watch(&talk);
    assert_eq!(seen.count("> tools/call"), 2, "{:?}", seen.said());
    assert_eq!(seen.count("< result"), 4, "{:?}", seen.said());
    assert_eq!(seen.server()["server"]["key"], TCP_SERVER);
    assert!(seen.has_anomaly("lines/line-not-json"));
    assert!(seen.has_anomaly("lines/line-broken"));
}

/// The server of a reverse tunnel opens the connection.
#[test]
fn json_lines_to_the_originator() {
    let mut talk = Talk::open();
    talk.server(format!("{INITIALIZE}\n"));
    talk.client(format!("{INITIALIZED}\n"));
    talk.server(format!("{}\n", call_text(1)));
    talk.client(format!("{}\n", result_text(1)));
    talk.close();
    let seen = watch(&talk);
    assert_eq!(seen.servers(), ["tcp://10.0.0.2:40000"]);
    assert_eq!(seen.count("> tools/call"), 1, "{:?}", seen.said());
}

/// Lines of JSON that are no session of MCP.
#[test]
fn json_line_look_alikes() {
    let log: String = [INITIALIZE, INITIALIZED, LIST, LISTED, &call_text(2), &result_text(2)]
        .map(|text| format!("{text}\n"))
        .concat();
    let collector = [(log.clone(), String::new()), (String::new(), log)];
    let others = [
        (
            "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n".to_owned(),
            "{\"id\":1,\"result\":[],\"error\":null}\n".to_owned(),
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.version\"}\n".to_owned(),
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[\"1\"]}\n".to_owned(),
        ),
        (format!("Content-Length: {}\r\n\r\n{INITIALIZE}", INITIALIZE.len()), String::new()),
    ];
    for (up, down) in collector.into_iter().chain(others) {
        let mut talk = Talk::open();
        talk.client(&up);
        talk.server(&down);
        talk.close();
        watch(&talk).assert_no_mcp(&format!("{up} and {down}"));
    }
}
