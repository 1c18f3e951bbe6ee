//! Which protocol a side speaks, from its first bytes.
//!
//! [`probe`] is monotone: once it has decided on some bytes, more bytes never change its mind, so
//! every cut of a message leads to the same answer.

use memchr::memchr;

use super::http1::start_line;
use super::lines::{Sign, sign};
use crate::exchange::Application;

/// What a flow carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// TLS.
    Tls,
    /// HTTP/2.
    Http2,
    /// WebSocket.
    WebSocket,
    /// JSON-RPC lines without HTTP.
    Lines,
    /// DNS over TCP.
    Dns,
    /// None of these.
    Other,
}

impl Protocol {
    /// As it is told of a flow.
    pub(in crate::app) const fn application(self) -> Option<Application> {
        Some(match self {
            Self::Http1 => Application::Http1,
            Self::Tls => Application::Tls,
            Self::Http2 => Application::Http2,
            Self::WebSocket => Application::WebSocket,
            Self::Lines => Application::Lines,
            Self::Dns | Self::Other => return None,
        })
    }
}

/// What the first bytes of a side tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// Not enough bytes yet.
    More,
    /// An HTTP/1 request: this side is the client.
    Request,
    /// An HTTP/1 response: this side is the server.
    Response,
    /// A TLS record.
    Tls,
    /// The HTTP/2 connection preface of either end (RFC 9113 section 3.4).
    Http2,
    /// A line of JSON-RPC without any protocol around it.
    Lines,
    /// None of these.
    Other,
}

/// Longest method, in bytes; registered ones have at most 17.
const MAX_METHOD_BYTES: usize = 32;

/// Looks at the first bytes of a side. At `max` bytes it decides in any case.
#[must_use]
pub fn probe(bytes: &[u8], max: usize) -> Guess {
    match bytes.first() {
        None => return Guess::More,
        Some(0x14..=0x18) => return tls(bytes),
        Some(0) => return settings(bytes),
        Some(_) => {}
    }
    match sign(bytes, max) {
        Sign::Lines => return Guess::Lines,
        Sign::More => return Guess::More,
        Sign::Other => {}
    }
    // RFC 9112 section 2.2: empty lines before a request are ignored.
    let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let line = bytes.get(skipped..).unwrap_or_default();
    let last = bytes.len() >= max;
    match line {
        [] => undecided(last),
        [b'H', ..] if line.len() < 5 && b"HTTP/".starts_with(line) => undecided(last),
        [b'H', b'T', b'T', b'P', b'/', rest @ ..] => match rest.first() {
            None => undecided(last),
            Some(b'0'..=b'9') => Guess::Response,
            Some(_) => Guess::Other,
        },
        _ => request(line, last),
    }
}

const fn undecided(last: bool) -> Guess {
    if last { Guess::Other } else { Guess::More }
}

/// RFC 8446 section 5.1: type, version 3.x, length of at most 2^14 + 2048 bytes.
fn tls(bytes: &[u8]) -> Guess {
    let fits = |index: usize, test: fn(u8) -> bool| bytes.get(index).is_none_or(|b| test(*b));
    if !fits(1, |major| major == 3) || !fits(2, |minor| minor <= 4) || !fits(3, |high| high <= 0x48)
    {
        return Guess::Other;
    }
    match bytes.get(3..5) {
        None => Guess::More,
        Some([0, 0]) => Guess::Other,
        Some(_) => Guess::Tls,
    }
}

/// The server's preface is a SETTINGS frame on stream 0 (RFC 9113 sections 3.4 and 6.5).
fn settings(bytes: &[u8]) -> Guess {
    let head = bytes.get(..9).unwrap_or(bytes);
    let fits = head.iter().enumerate().all(|(index, byte)| match index {
        2 => byte % 6 == 0,
        3 => *byte == 4,
        _ => *byte == 0,
    });
    match (fits, head.len()) {
        (false, _) => Guess::Other,
        (true, 9) => Guess::Http2,
        (true, _) => Guess::More,
    }
}

fn request(line: &[u8], last: bool) -> Guess {
    let start = line.get(..=MAX_METHOD_BYTES).unwrap_or(line);
    let Some(space) = memchr(b' ', start) else {
        let long = line.len() > MAX_METHOD_BYTES;
        let token = start.iter().all(|byte| start_line::is_token_byte(*byte));
        return if long || !token { Guess::Other } else { undecided(last) };
    };
    let (method, rest) = line.split_at(space);
    if !start_line::is_token(method) || rest.get(1).is_some_and(|byte| *byte <= b' ') {
        return Guess::Other;
    }
    let Some(end) = memchr(b'\n', line) else {
        // A target longer than the bound: let its look decide.
        let target = rest.get(1..).unwrap_or_default();
        let plausible = start_line::is_known_method(method)
            && (target.starts_with(b"/") || target.starts_with(b"http"));
        return match (last, plausible) {
            (false, _) => Guess::More,
            (true, true) => Guess::Request,
            (true, false) => Guess::Other,
        };
    };
    let line = start_line::trim_end(line.get(..end).unwrap_or(line));
    if line == b"PRI * HTTP/2.0" {
        Guess::Http2
    } else if start_line::request(line).is_some() {
        Guess::Request
    } else {
        Guess::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input, and what every prefix must lead to.
    const TABLE: &[(&[u8], Guess)] = &[
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", Guess::Request),
        (b"\r\n\r\nPOST /mcp HTTP/1.0\n", Guess::Request),
        (b"BREW pot HTTP/1.1\r\n", Guess::Request),
        (b"HEARTBEAT /x HTTP/1.1\r\n", Guess::Request),
        (b"HTTPS /x HTTP/1.1\r\n", Guess::Request),
        (b"CONNECT a:1 HTTP/1.1\r\n", Guess::Request),
        (b"GET /x HTTP-not09\r\n", Guess::Request),
        (b"V http-not09\r\n", Guess::Other),
        (b"GET /\r\n", Guess::Other),
        (b"OPTIONS rtsp://a RTSP/1.0\r\n", Guess::Other),
        (b"HTTP/1.1 200 OK\r\n", Guess::Response),
        (b"HTTP/1.0 404\r\n", Guess::Response),
        (b"HTTP/x", Guess::Other),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Guess::Http2),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", Guess::Http2),
        (b"\x00\x00\x12\x05\x00\x00\x00\x00\x00", Guess::Other),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", Guess::Tls),
        (b"\x17\x03\x03\x00\x20aaaa", Guess::Tls),
        (b"\x15\x03\x03\x00\x02\x02\x28", Guess::Tls),
        (b"\x16\x03\x01\x00\x00", Guess::Other),
        (b"\x16\x02\x01\x02\x00", Guess::Other),
        (b"\x16\x03\x01\x7f\x00", Guess::Other),
        (b"SSH-2.0-x\r\n", Guess::Other),
        (b"220 mail ready\r\n", Guess::Other),
        (b"\x80abc", Guess::Other),
        (b" GET / HTTP/1.1\r\n", Guess::Other),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"}\n", Guess::Lines),
        (b"\r\n\xef\xbb\xbf{\"jsonrpc\":\"2.0\"}\n", Guess::Other),
        (b"\xef\xbb\xbf\r\n{\"jsonrpc\":\"2.0\"}\n", Guess::Lines),
        (b"[{\"result\":{},\"jsonrpc\":\"2.0\"}]\n", Guess::Lines),
        (b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n", Guess::Other),
        (b"{\"message\":\"\\\"jsonrpc\\\":\\\"2.0\\\"\"}\n", Guess::Other),
        (b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnop / HTTP/1.1\r\n", Guess::Other),
    ];

    #[test]
    fn every_prefix_needs_more_and_then_keeps_its_answer() {
        for (bytes, expected) in TABLE {
            let mut decided = false;
            for cut in 0..=bytes.len() {
                let guess = probe(&bytes[..cut], 4096);
                assert!(
                    if decided {
                        guess == *expected
                    } else {
                        guess == Guess::More || guess == *expected
                    },
                    "{:?} at {cut}: {guess:?}",
                    bytes.escape_ascii().to_string()
                );
                decided |= guess != Guess::More;
            }
            assert!(decided, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_line_without_end_is_decided_at_the_bound() {
        let long = [b"POST /".as_slice(), &[b'a'; 5000]].concat();
        assert_eq!(probe(&long[..4095], 4096), Guess::More);
        assert_eq!(probe(&long[..4096], 4096), Guess::Request);
        let junk = [b"WORD word".as_slice(), &[b'a'; 5000]].concat();
        assert_eq!(probe(&junk[..4096], 4096), Guess::Other);
        assert_eq!(probe(&[b'\n'; 4096], 4096), Guess::Other);
    }
}
