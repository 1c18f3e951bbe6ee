//! HTTP/1.1, event streams and WebSocket as text and frames.

use std::io::Write as _;

use super::Side;

/// A head, and a body with its length: `fields` end their lines.
fn message(start: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("{start}\r\n{fields}").into_bytes();
    if !body.is_empty() || start.starts_with("POST") || start.starts_with("HTTP/1.1 2") {
        out.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
    }
    out.extend(b"\r\n");
    out.extend(body);
    out
}

/// A request: `start` is method and target.
pub fn request(start: &str, host: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    message(&format!("{start} HTTP/1.1"), &format!("Host: {host}\r\n{fields}"), body.as_ref())
}

/// A response: `start` is status and reason.
pub fn response(start: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    message(&format!("HTTP/1.1 {start}"), fields, body.as_ref())
}

/// A response of 200.
pub fn ok(media: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    response("200 OK", &format!("Content-Type: {media}\r\n"), body)
}

/// A whole body in chunked coding.
pub fn chunked(body: impl AsRef<[u8]>, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in body.as_ref().chunks(size) {
        out.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        out.extend(piece);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

/// A message whose body is chunked; `start` is a whole start line.
pub fn chunked_message(start: &str, fields: &str, body: impl AsRef<[u8]>, size: usize) -> Vec<u8> {
    let mut out = format!("{start}\r\n{fields}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    out.extend(chunked(body, size));
    out
}

/// RFC 1952.
pub fn gzip(body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// An event without a name.
pub fn data(text: &str) -> String {
    format!("data: {text}\n\n")
}

/// An event of this name.
pub fn event(name: &str, text: &str) -> String {
    format!("event: {name}\r\ndata: {text}\r\n\r\n")
}

/// A whole event stream, chunked.
pub fn stream(fields: &str, events: &str) -> Vec<u8> {
    let fields = format!("Content-Type: text/event-stream\r\n{fields}");
    chunked_message("HTTP/1.1 200 OK", &fields, events, 700)
}

/// Both heads of an upgrade to WebSocket; `fields` are of both.
pub fn upgrade(target: &str, host: &str, fields: &str) -> (Vec<u8>, Vec<u8>) {
    let common = format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{fields}");
    let ask = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\n{common}Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\n{common}\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    (ask.into_bytes(), answer.into_bytes())
}

/// A text frame; the client's are masked (RFC 6455 section 5).
pub fn text_frame(side: Side, payload: impl AsRef<[u8]>) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let payload = payload.as_ref();
    let mask = if side == Side::Client { 0x80 } else { 0 };
    let mut out = vec![0x81];
    match u16::try_from(payload.len()).unwrap() {
        len @ ..126 => out.push(mask | len as u8),
        len => {
            out.push(mask | 126);
            out.extend(len.to_be_bytes());
        }
    }
    if side == Side::Client {
        out.extend(KEY);
        out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        out.extend(payload);
    }
    out
}
