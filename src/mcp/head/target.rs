//! Request targets, queries, authorities and locations.

use std::net::Ipv6Addr;

use super::{MAX_FIELDS, MAX_PATH_BYTES, bounded, bounded_to};
use crate::exchange::Scheme;

/// The parts of a request target (RFC 9112 section 3.2).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Option<&'a str>,
    pub(super) path: &'a [u8],
    pub(super) query: &'a [u8],
}

impl<'a> Target<'a> {
    pub(super) fn parse(target: &'a [u8]) -> Self {
        let (scheme, rest) = match target {
            [b'h' | b'H', ..] if starts(target, b"http://") => {
                (Some(Scheme::Http), target.get(7..))
            }
            [b'h' | b'H', ..] if starts(target, b"https://") => {
                (Some(Scheme::Https), target.get(8..))
            }
            _ => (None, None),
        };
        let Some(rest) = rest else { return Self::origin(target) };
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        let (authority, origin) = rest.split_at(end);
        let authority = std::str::from_utf8(authority).ok();
        Self { scheme, authority, ..Self::origin(origin) }
    }

    /// The target of a `CONNECT`.
    pub(super) fn authority(target: &'a [u8]) -> Self {
        Self { authority: std::str::from_utf8(target).ok(), ..Self::default() }
    }

    fn origin(target: &'a [u8]) -> Self {
        let target = target.split(|byte| *byte == b'#').next().unwrap_or_default();
        let (path, query) = match memchr::memchr(b'?', target) {
            Some(mark) => {
                (target.get(..mark).unwrap_or_default(), target.get(mark + 1..).unwrap_or_default())
            }
            None => (target, &[][..]),
        };
        let path = if path.is_empty() { b"/" } else { path };
        Self { path, query, ..Self::default() }
    }
}

fn starts(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Names in a query string, and the value of the one that carries a session (the message URIs of
/// HTTP+SSE, MCP 2024-11-05, do by convention).
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) keys: Vec<String>,
    pub(super) session: Option<&'a [u8]>,
    /// Value of `transportType`, if it is a plain word.
    pub(super) transport_type: Option<String>,
    /// There is a `command` that is not empty.
    pub(super) has_command: bool,
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: &'a [u8]) -> Self {
        let mut found = Self::default();
        for pair in query.split(|byte| *byte == b'&').take(MAX_FIELDS) {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let key = bounded(parts.next().unwrap_or_default()).to_ascii_lowercase();
            let value = parts.next().unwrap_or_default();
            if is_session_key(&key) && !value.is_empty() {
                found.session = Some(value);
            }
            found.has_command |= key == "command" && !value.is_empty();
            if key == "transporttype" && is_plain_word(value) {
                found.transport_type = Some(bounded(value).to_ascii_lowercase());
            }
            if !key.is_empty() && !found.keys.contains(&key) {
                found.keys.push(key);
            }
        }
        found
    }
}

/// Such as a parameter takes that chooses between a few things: no secret looks like it.
fn is_plain_word(value: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    (1..=32).contains(&value.len()) && value.iter().all(plain)
}

fn is_session_key(key: &str) -> bool {
    matches!(key, "sessionid" | "session_id" | "session-id" | "session" | "transportid")
}

/// Splits `[userinfo@]host[:port]` of a URI (RFC 3986 section 3.2): drops user information.
pub(in crate::mcp) fn split_uri_authority(authority: &str) -> (String, Option<u16>) {
    split_authority(authority.rsplit('@').next().unwrap_or_default())
}

/// Splits `host[:port]`, lower-cases the host and drops a trailing dot. A `Host` field has no user
/// information (RFC 9110 section 7.2): `x@host` there is another name, not `host`.
/// Brackets around IPv6 literals are dropped, and the literal is written in its canonical form.
pub(super) fn split_authority(authority: &str) -> (String, Option<u16>) {
    let authority = authority.trim();
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').and_then(|port| port.parse().ok())),
        None => match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, port.parse().ok()),
            _ => (authority, None),
        },
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = match host.parse::<Ipv6Addr>() {
        Ok(literal) => literal.to_string(),
        Err(_) => bounded(host.as_bytes()).to_ascii_lowercase(),
    };
    (host, port)
}

/// Host, port and path of a `Location` that is absolute; of one that begins with a path, the host
/// is empty and the port 0. Others (`//host/path`, `path`) servers hardly ever send.
pub(super) fn location(value: &[u8]) -> Option<(String, u16, String)> {
    let target = Target::parse(value);
    let path = bounded_to(target.path, MAX_PATH_BYTES);
    match (target.scheme, target.authority) {
        (Some(scheme), Some(authority)) => {
            let (host, port) = split_uri_authority(authority);
            Some((host, port.unwrap_or_else(|| scheme.default_port()), path))
        }
        _ if value.starts_with(b"/") && !value.starts_with(b"//") => Some((String::new(), 0, path)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_split_into_host_and_port() {
        for (authority, host, port) in [
            ("MCP.Example:8080", "mcp.example", Some(8080)),
            ("mcp.example.", "mcp.example", None),
            ("[2001:DB8::1]:80", "2001:db8::1", Some(80)),
            ("[::1]", "::1", None),
            ("::1", "::1", None),
            ("x@mcp.corp.test", "x@mcp.corp.test", None),
            ("h:99999", "h", None),
            ("", "", None),
        ] {
            assert_eq!(split_authority(authority), (host.to_owned(), port), "{authority}");
        }
    }

    #[test]
    fn targets_split_by_form() {
        let absolute = Target::parse(b"http://h:1/p?q=1#f");
        assert_eq!(absolute.scheme, Some(Scheme::Http));
        assert_eq!(absolute.authority, Some("h:1"));
        assert_eq!((absolute.path, absolute.query), (&b"/p"[..], &b"q=1"[..]));
        let bare = Target::parse(b"HTTPS://h?x");
        assert_eq!((bare.authority, bare.path, bare.query), (Some("h"), &b"/"[..], &b"x"[..]));
        let origin = Target::parse(b"/p?a=b");
        assert_eq!((origin.authority, origin.path), (None, &b"/p"[..]));
        assert_eq!(Target::parse(b"*").path, b"*");
    }
}
