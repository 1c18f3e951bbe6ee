//! What the two sides of a flow say.

use super::Random;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub fn other(self) -> Self {
        if self == Self::Client { Self::Server } else { Self::Client }
    }
}

/// Turns of a dialogue.
pub type Script = Vec<(Side, Vec<u8>)>;

/// Web: pages, images and REST calls on one connection.
pub fn web(random: &mut Random) -> Script {
    let mut script = Vec::new();
    for _ in 0..random.range(1, 6) {
        match random.range(0, 10) {
            0..4 => page(random, &mut script),
            4..7 => image(random, &mut script),
            _ => rest(random, &mut script),
        }
    }
    script
}

/// One small page.
pub fn short_web(random: &mut Random) -> Script {
    let mut script = Vec::new();
    let body = text(random, 400);
    get(&mut script, "/status", "text/html");
    respond(&mut script, "text/html; charset=utf-8", &body);
    script
}

fn get(script: &mut Script, path: &str, accept: &str) {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: www.example.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux \
         x86_64) bench\r\nAccept: {accept}\r\nAccept-Language: en\r\nAccept-Encoding: identity\r\n\
         Cookie: session=0123456789abcdef\r\nConnection: keep-alive\r\n\r\n"
    );
    script.push((Side::Client, head.into_bytes()));
}

fn respond(script: &mut Script, media: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 16 Nov 2026 08:00:00 GMT\r\n\
         Content-Type: {media}\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    script.push((Side::Server, [head.as_bytes(), body].concat()));
}

fn page(random: &mut Random, script: &mut Script) {
    get(script, "/article/4711", "text/html,application/xhtml+xml");
    let size = random.range(4_000, 60_000);
    let body = text(random, size);
    respond(script, "text/html; charset=utf-8", &body);
}

fn image(random: &mut Random, script: &mut Script) {
    get(script, "/img/photo.jpg", "image/*");
    let size = random.range(10_000, 150_000);
    let body = noise(random, size);
    respond(script, "image/jpeg", &body);
}

fn rest(random: &mut Random, script: &mut Script) {
    let body = format!(
        "{{\"query\":{{\"from\":{},\"size\":50}},\"fields\":[\"id\",\"name\",\"state\"]}}",
        random.range(0, 9_999)
    );
    let head = format!(
        "POST /api/v2/items/search HTTP/1.1\r\nHost: api.example.test\r\nContent-Type: \
         application/json\r\nAccept: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    script.push((Side::Client, [head.as_bytes(), body.as_bytes()].concat()));
    let size = random.range(1_000, 30_000);
    let body = records(random, size);
    respond(script, "application/json", &body);
}

/// TLS 1.3 as it looks from outside.
pub fn tls(random: &mut Random) -> Script {
    let mut script = short_tls(random);
    for _ in 0..random.range(1, 8) {
        let (up, down) = (random.range(200, 2_000), random.range(2_000, 80_000));
        script.push((Side::Client, application_data(random, up)));
        script.push((Side::Server, application_data(random, down)));
    }
    script
}

/// A TLS handshake and one small exchange.
pub fn short_tls(random: &mut Random) -> Script {
    let hello = |kind: u8, len: usize, random: &mut Random| {
        let body = noise(random, len);
        let mut bytes = vec![22, 3, 1];
        bytes.extend_from_slice(&(len as u16 + 4).to_be_bytes());
        bytes.extend_from_slice(&[kind, 0]);
        bytes.extend_from_slice(&(len as u16).to_be_bytes());
        bytes.extend_from_slice(&body);
        bytes
    };
    let client = hello(1, 512, random);
    let server = hello(2, 118, random);
    let flight = application_data(random, 2_600);
    let request = application_data(random, 400);
    let response = application_data(random, 900);
    vec![
        (Side::Client, client),
        (Side::Server, [server, flight].concat()),
        (Side::Client, request),
        (Side::Server, response),
    ]
}

fn application_data(random: &mut Random, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 64);
    let mut left = len;
    while left > 0 {
        let part = left.min(16_384);
        out.extend_from_slice(&[23, 3, 3]);
        out.extend_from_slice(&(part as u16).to_be_bytes());
        out.extend_from_slice(&noise(random, part));
        left -= part;
    }
    out
}

/// An MCP session: handshake, a list, `calls` calls; JSON and SSE answers in turn.
pub fn mcp(random: &mut Random, calls: usize) -> Script {
    let session = format!("{:016x}{:016x}", random.next(), random.next());
    let mut script = Vec::new();
    post(&mut script, None, INITIALIZE);
    answer(&mut script, Some(&session), INITIALIZE_RESULT, false);
    post(&mut script, Some(&session), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let accepted = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec();
    script.push((Side::Server, accepted));
    post(&mut script, Some(&session), r#"{"method":"tools/list","jsonrpc":"2.0","id":1}"#);
    answer(&mut script, Some(&session), TOOLS, true);
    for call in 0..calls {
        let argument = random.range(20, 1_500);
        let argument = String::from_utf8(text(random, argument)).unwrap_or_default();
        let id = call + 2;
        let request = format!(
            r#"{{"method":"tools/call","params":{{"name":"search_items","arguments":{{"query":"{argument}"}}}},"jsonrpc":"2.0","id":{id}}}"#
        );
        post(&mut script, Some(&session), &request);
        let size = random.range(200, 16_000);
        let body = String::from_utf8(text(random, size)).unwrap_or_default();
        let result = format!(
            r#"{{"result":{{"content":[{{"type":"text","text":"{body}"}}],"isError":false}},"jsonrpc":"2.0","id":{id}}}"#
        );
        answer(&mut script, Some(&session), &result, call % 2 == 0);
    }
    script
}

const INITIALIZE: &str = r#"{"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench-agent","version":"1.0.0"}},"jsonrpc":"2.0","id":0}"#;
const INITIALIZE_RESULT: &str = r#"{"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"bench-server","version":"2.1.0"}},"jsonrpc":"2.0","id":0}"#;
const TOOLS: &str = r#"{"result":{"tools":[{"name":"search_items","description":"Searches the items of the store by free text and returns the best twenty of them.","inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"What to look for"}},"required":["query"]}},{"name":"get_item","description":"Returns one item by its number.","inputSchema":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}}]},"jsonrpc":"2.0","id":1}"#;

fn post(script: &mut Script, session: Option<&str>, body: &str) {
    let session = session.map_or(String::new(), |id| {
        format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n")
    });
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: tools.example.test:8000\r\nconnection: keep-alive\r\n\
         {session}content-type: application/json\r\naccept: application/json, \
         text/event-stream\r\nuser-agent: node\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    script.push((Side::Client, [head.as_bytes(), body.as_bytes()].concat()));
}

fn answer(script: &mut Script, session: Option<&str>, body: &str, events: bool) {
    let session = session.map_or(String::new(), |id| format!("mcp-session-id: {id}\r\n"));
    let bytes = if events {
        let event = format!("event: message\r\ndata: {body}\r\n\r\n");
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
             {session}transfer-encoding: chunked\r\n\r\n{:x}\r\n{event}\r\n0\r\n\r\n",
            event.len()
        )
    } else {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{session}content-length: \
             {}\r\n\r\n{body}",
            body.len()
        )
    };
    script.push((Side::Server, bytes.into_bytes()));
}

fn noise(random: &mut Random, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    out.truncate(len);
    out
}

/// Words without quotes or escapes.
fn text(random: &mut Random, len: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "the ", "network ", "of ", "tools ", "and ", "servers ", "that ", "agents ", "reach ",
        "every ", "morning ", "quietly ",
    ];
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(WORDS[random.range(0, WORDS.len())].as_bytes());
    }
    out.truncate(len);
    out
}

fn records(random: &mut Random, len: usize) -> Vec<u8> {
    let mut out = b"{\"items\":[".to_vec();
    while out.len() < len {
        let record = format!(
            "{{\"id\":{},\"name\":\"item {}\",\"state\":\"open\",\"tags\":[\"a\",\"b\"],\"price\":{}.5}},",
            random.range(0, 99_999),
            random.range(0, 999),
            random.range(0, 999)
        );
        out.extend_from_slice(record.as_bytes());
    }
    out.extend_from_slice(b"null]}");
    out
}
