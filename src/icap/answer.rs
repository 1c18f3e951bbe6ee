//! What a server answers (RFC 3507 sections 4.3.3, 4.5, 4.6 and 4.10).

use super::head::{EXCHANGE, Method};
use std::fmt::Write as _;

/// What every answer says of the server.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `ISTag` (section 4.7), at most 32 bytes without quotes: changes when answers to the same
    /// request may.
    pub tag: &'a str,
    /// The connection ends behind the answer.
    pub closes: bool,
}

/// What `OPTIONS` tells (section 4.10.2).
#[derive(Clone, Copy, Debug)]
pub struct Service<'a> {
    /// What it is for.
    pub method: Method,
    /// Name for people.
    pub name: &'a str,
    /// Connections that the server takes.
    pub max_connections: usize,
    /// The answer holds so long, in seconds.
    pub ttl_seconds: u32,
    /// Bytes of each body that are wanted before the answer.
    pub preview_bytes: u64,
}

/// The answer to `OPTIONS`.
pub fn options(identity: Identity<'_>, service: &Service<'_>, out: &mut Vec<u8>) {
    let method = match service.method {
        Method::Respmod => "RESPMOD",
        Method::Reqmod | Method::Options => "REQMOD",
    };
    start(200, "OK", identity, out);
    let Service { name, max_connections, ttl_seconds, preview_bytes, .. } = service;
    fields(
        out,
        format_args!(
            "Methods: {method}\r\nService: {name}\r\nMax-Connections: {max_connections}\r\n\
             Options-TTL: {ttl_seconds}\r\nAllow: 204\r\nPreview: {preview_bytes}\r\n\
             Transfer-Preview: *\r\nEncapsulated: null-body=0\r\n\r\n"
        ),
    );
}

/// The rest of the body is wanted.
pub fn go_on(out: &mut Vec<u8>) {
    out.extend_from_slice(b"ICAP/1.0 100 Continue\r\n\r\n");
}

/// The message stays as it is. `exchange`: what the proxy is to say of its response again.
pub fn unchanged(identity: Identity<'_>, exchange: Option<&str>, out: &mut Vec<u8>) {
    start(204, "No Content", identity, out);
    share(exchange, out);
    out.extend_from_slice(b"\r\n");
}

/// The beginning of the same message again: its body follows in [chunks](chunk), if it has one.
/// `head` is its head with the empty line.
pub fn same(
    identity: Identity<'_>,
    exchange: Option<&str>,
    method: Method,
    head: &[u8],
    has_body: bool,
    out: &mut Vec<u8>,
) {
    let (part, body) = match method {
        Method::Respmod => ("res-hdr", "res-body"),
        Method::Reqmod | Method::Options => ("req-hdr", "req-body"),
    };
    start(200, "OK", identity, out);
    share(exchange, out);
    let body = if has_body { body } else { "null-body" };
    fields(out, format_args!("Encapsulated: {part}=0, {body}={}\r\n\r\n", head.len()));
    out.extend_from_slice(head);
}

/// A response instead of what the proxy asked about.
pub fn instead(identity: Identity<'_>, head: &str, body: &[u8], out: &mut Vec<u8>) {
    start(200, "OK", identity, out);
    fields(out, format_args!("Encapsulated: res-hdr=0, res-body={}\r\n\r\n{head}", head.len()));
    chunk(body, out);
    last_chunk(out);
}

/// One chunk of a body; nothing if there are no bytes.
pub fn chunk(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        fields(out, format_args!("{:x}\r\n", bytes.len()));
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

/// The end of a body.
pub fn last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// An answer without a body that says why there is no other.
pub fn failure(identity: Identity<'_>, status: u16, out: &mut Vec<u8>) {
    let reason = match status {
        400 => "Bad Request",
        404 => "ICAP Service not found",
        405 => "Method not allowed for service",
        408 => "Request timeout",
        501 => "Method not implemented",
        503 => "Service overloaded",
        505 => "ICAP version not supported",
        _ => "Server error",
    };
    start(status, reason, identity, out);
    out.extend_from_slice(b"Encapsulated: null-body=0\r\n\r\n");
}

fn start(status: u16, reason: &str, identity: Identity<'_>, out: &mut Vec<u8>) {
    let Identity { tag, closes } = identity;
    let connection = if closes { "Connection: close\r\n" } else { "" };
    fields(out, format_args!("ICAP/1.0 {status} {reason}\r\nISTag: \"{tag}\"\r\n{connection}"));
}

fn share(exchange: Option<&str>, out: &mut Vec<u8>) {
    if let Some(exchange) = exchange {
        fields(out, format_args!("{EXCHANGE}: {exchange}\r\n"));
    }
}

fn fields(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let mut line = String::new();
    if line.write_fmt(text).is_ok() {
        out.extend_from_slice(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Identity<'static> = Identity { tag: "t", closes: false };

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn answers_read_as_the_protocol_wants_them() {
        let service = Service {
            method: Method::Respmod,
            name: "shadowtap",
            max_connections: 9,
            ttl_seconds: 60,
            preview_bytes: 7,
        };
        assert_eq!(
            text(|out| options(OPEN, &service, out)),
            "ICAP/1.0 200 OK\r\nISTag: \"t\"\r\nMethods: RESPMOD\r\nService: shadowtap\r\n\
             Max-Connections: 9\r\nOptions-TTL: 60\r\nAllow: 204\r\nPreview: 7\r\n\
             Transfer-Preview: *\r\nEncapsulated: null-body=0\r\n\r\n"
        );
        assert_eq!(
            text(|out| unchanged(Identity { closes: true, ..OPEN }, Some("x"), out)),
            "ICAP/1.0 204 No Content\r\nISTag: \"t\"\r\nConnection: close\r\n\
             X-Shadowtap-Exchange: x\r\n\r\n"
        );
        let head = "HTTP/1.1 403 Forbidden\r\n\r\n";
        assert_eq!(
            text(|out| instead(OPEN, head, b"no", out)),
            "ICAP/1.0 200 OK\r\nISTag: \"t\"\r\nEncapsulated: res-hdr=0, res-body=26\r\n\r\n\
             HTTP/1.1 403 Forbidden\r\n\r\n2\r\nno\r\n0\r\n\r\n"
        );
        assert_eq!(
            text(|out| same(OPEN, None, Method::Reqmod, b"GET / HTTP/1.1\r\n\r\n", false, out)),
            "ICAP/1.0 200 OK\r\nISTag: \"t\"\r\nEncapsulated: req-hdr=0, null-body=18\r\n\r\n\
             GET / HTTP/1.1\r\n\r\n"
        );
        assert!(text(|out| failure(OPEN, 404, out)).starts_with("ICAP/1.0 404 ICAP Service"));
    }
}
