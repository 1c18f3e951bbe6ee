//! Addresses and authorities as logs write them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`.
pub(super) fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(ip) = text.parse() {
        return Some((ip, None));
    }
    if let Ok(whole) = text.parse::<SocketAddr>() {
        return Some((whole.ip(), Some(whole.port())));
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().ok().map(|ip| (ip.into(), None))
}

/// The parts of a URL; a scheme or an authority may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct UrlParts<'a> {
    pub(super) scheme: Option<&'a str>,
    /// With a port, if there is one; without user information.
    pub(super) authority: &'a str,
    /// Path and query, without the fragment; empty where there is none.
    pub(super) target: &'a str,
}

impl<'a> UrlParts<'a> {
    /// Splits a URL (RFC 3986 section 3). What begins with a slash is a target alone.
    pub(super) fn of(url: &'a str) -> Self {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, url),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        Self {
            scheme,
            authority: authority.rsplit('@').next().unwrap_or_default(),
            target: target.split('#').next().unwrap_or_default(),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    !text.is_empty() && text.bytes().all(plain)
}

/// Splits `host[:port]`; the host keeps its case, brackets go.
pub(super) fn split_port(authority: &str) -> (&str, Option<u16>) {
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (authority, None),
        },
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_with_and_without_ports() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (text, expected) in [
            ("192.0.2.1", Some((ip("192.0.2.1"), None))),
            ("192.0.2.1:80", Some((ip("192.0.2.1"), Some(80)))),
            ("2001:db8::1", Some((ip("2001:db8::1"), None))),
            ("[2001:db8::1]", Some((ip("2001:db8::1"), None))),
            ("[2001:db8::1]:443", Some((ip("2001:db8::1"), Some(443)))),
            ("mcp.example", None),
            ("-", None),
        ] {
            assert_eq!(address(text), expected, "{text}");
        }
    }

    #[test]
    fn urls_fall_into_parts() {
        for (url, scheme, authority, target) in [
            ("https://mcp.example:8443/mcp?a=b#c", Some("https"), "mcp.example:8443", "/mcp?a=b"),
            ("mcp.example/mcp", None, "mcp.example", "/mcp"),
            ("mcp.example:443", None, "mcp.example:443", ""),
            ("/mcp?next=https://x/y", None, "", "/mcp?next=https://x/y"),
            ("http://u:p@h?q", Some("http"), "h", "?q"),
            ("", None, "", ""),
        ] {
            assert_eq!(UrlParts::of(url), UrlParts { scheme, authority, target }, "{url}");
        }
    }

    #[test]
    fn ports_come_off() {
        for (authority, host, port) in [
            ("h", "h", None),
            ("h:1", "h", Some(1)),
            ("[::1]:2", "::1", Some(2)),
            ("::1", "::1", None),
            ("h:x", "h:x", None),
        ] {
            assert_eq!(split_port(authority), (host, port), "{authority}");
        }
    }
}
