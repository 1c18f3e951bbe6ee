//! Request lines and status lines (RFC 9112 sections 3 and 4), read leniently.

use memchr::{memchr, memrchr};

use super::oddity::Oddity;
use crate::exchange::Version;

/// RFC 9110 section 5.6.2.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let bytes = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut rest: &[u8] = bytes;
    while let [byte, tail @ ..] = rest {
        #[allow(clippy::indexing_slicing, reason = "a byte always fits, and this is const")]
        {
            table[*byte as usize] = true;
        }
        rest = tail;
    }
    table
};

/// Methods that are trusted where a line alone must prove that it is a request.
pub(in crate::app) const METHODS: &[&[u8]] = &[
    b"GET ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"HEAD ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
];

pub(in crate::app) const fn is_token_byte(byte: u8) -> bool {
    #[allow(clippy::indexing_slicing, reason = "a byte always fits a table of 256")]
    TOKEN[byte as usize]
}

pub(in crate::app) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_byte(*byte))
}

pub(in crate::app) fn is_known_method(method: &[u8]) -> bool {
    METHODS.iter().any(|known| known.strip_suffix(b" ") == Some(method))
}

/// Without the CR, and any blank, at the end.
pub(in crate::app) fn trim_end(mut line: &[u8]) -> &[u8] {
    while let [head @ .., b'\r' | b' ' | b'\t'] = line {
        line = head;
    }
    line
}

/// A request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct RequestLine<'a> {
    pub(in crate::app) method: &'a [u8],
    pub(in crate::app) target: &'a [u8],
    pub(in crate::app) version: Version,
    pub(in crate::app) oddity: Option<Oddity>,
}

/// A status line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) struct StatusLine<'a> {
    pub(in crate::app) status: u16,
    pub(in crate::app) version: Version,
    pub(in crate::app) reason: &'a [u8],
    pub(in crate::app) oddity: Option<Oddity>,
}

/// Reads a request line without its line end. `None` when it is none: no token, no target, or
/// no version. A malformed version is borne with after a method that everyone knows, since
/// servers bear with it too.
pub(in crate::app) fn request(line: &[u8]) -> Option<RequestLine<'_>> {
    let line = trim_end(line);
    let (method, rest) = line.split_at(memchr(b' ', line)?);
    let rest = rest.get(1..)?;
    let (target, last) = rest.split_at(memrchr(b' ', rest)?);
    let target = target.trim_ascii();
    if !is_token(method) || method.len() > 32 || target.is_empty() {
        return None;
    }
    let mut oddity = memchr(b' ', target).map(|_| Oddity::TargetSpace);
    let version = match last.get(1..)? {
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'] => Version::Http11,
        last => {
            let name = last.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"HTTP"));
            if !name || !is_known_method(method) {
                return None;
            }
            oddity = Some(Oddity::VersionMalformed);
            Version::Http10
        }
    };
    Some(RequestLine { method, target, version, oddity })
}

/// Reads a status line without its line end; the reason phrase may be empty or missing.
pub(in crate::app) fn status(line: &[u8]) -> Option<StatusLine<'_>> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let (version, rest) = rest.split_at(memchr(b' ', rest)?);
    let (version, oddity) = match version {
        b"1.0" => (Version::Http10, None),
        [b'1', b'.', b'0'..=b'9'] => (Version::Http11, None),
        [b'0'..=b'9', ..] => (Version::Http11, Some(Oddity::VersionMalformed)),
        _ => return None,
    };
    let rest = rest.trim_ascii_start();
    let (digits, reason) = rest.split_at_checked(3)?;
    let status = digits.iter().try_fold(0_u16, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0'))
    })?;
    let ended = matches!(reason.first(), None | Some(b' ' | b'\t' | b'\r'));
    (status >= 100 && ended).then(|| StatusLine {
        status,
        version,
        reason: reason.trim_ascii(),
        oddity,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines() {
        let read = |line: &'static str| {
            request(line.as_bytes()).map(|l| {
                (str::from_utf8(l.method).unwrap(), str::from_utf8(l.target).unwrap(), l.version)
            })
        };
        assert_eq!(read("GET / HTTP/1.1"), Some(("GET", "/", Version::Http11)));
        assert_eq!(read("GET / HTTP/1.1 \r"), Some(("GET", "/", Version::Http11)));
        assert_eq!(read("X-y *  HTTP/1.0"), Some(("X-y", "*", Version::Http10)));
        assert_eq!(read("GET /a b HTTP/1.9"), Some(("GET", "/a b", Version::Http11)));
        assert_eq!(read("GET /x HTTP-not09"), Some(("GET", "/x", Version::Http10)));
        assert_eq!(read("POST /x http/1.1"), Some(("POST", "/x", Version::Http10)));
        for bad in [
            "",
            "GET",
            "GET /",
            "GET  HTTP/1.1",
            "V http-not09",
            "FOO /x HTTP/2.0",
            "G@T / HTTP/1.1",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn status_lines() {
        let read = |line: &'static str| status(line.as_bytes()).map(|l| (l.status, l.reason));
        assert_eq!(read("HTTP/1.1 200 OK"), Some((200, b"OK".as_slice())));
        assert_eq!(read("HTTP/1.1 200 \r"), Some((200, b"".as_slice())));
        assert_eq!(read("HTTP/1.0 404"), Some((404, b"".as_slice())));
        assert_eq!(read("HTTP/1.1   999 a b"), Some((999, b"a b".as_slice())));
        assert_eq!(status(b"HTTP/2.0 200 OK").unwrap().oddity, Some(Oddity::VersionMalformed));
        for bad in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 20",
            "HTTP/1.1 2000",
            "HTTP/1.1 099 x",
            "http/1.1 200",
            "ICY 200 OK",
            "HTTP/x 200",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
