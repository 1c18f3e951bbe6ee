//! Which page a request comes from, if it comes from one.

use std::net::IpAddr;

use super::target::split_uri_authority;
use super::{bounded, lossy};
use crate::exchange::Headers;

/// What `Origin` (RFC 6454 section 7) and `Sec-Fetch-Site` (W3C Fetch Metadata) say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Host, lower case, without port; `null` for an opaque origin.
    pub(super) host: Option<String>,
    /// It is another host than the one that the request is for.
    pub(super) cross: bool,
}

impl Origin {
    /// Reads the fields of a request for `host`. Where the request names no host, nothing is said
    /// of it being another.
    pub(super) fn read(headers: &Headers<'_>, host: Option<&str>) -> Self {
        let named = headers.get("origin").map(|value| host_of(&lossy(value)));
        let named = named.filter(|host| !host.is_empty());
        // A field that scripts cannot set. Requests that need no `Origin` (a GET for an image or
        // a script) carry it too.
        let site = headers.get("sec-fetch-site");
        let is_cross_site = site.is_some_and(|site| site.eq_ignore_ascii_case(b"cross-site"));
        let cross = match &named {
            // For a browser `localhost` and `127.0.0.1` are two sites.
            Some(named) => host.is_some_and(|host| !is_same(named, host)),
            None => is_cross_site,
        };
        Self { host: named, cross }
    }
}

/// Host of a serialised origin, whatever its scheme: pages of applications and extensions have
/// schemes of their own.
fn host_of(origin: &str) -> String {
    let origin = origin.trim();
    if origin.eq_ignore_ascii_case("null") {
        return "null".to_owned();
    }
    let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    let authority = authority.split(['/', ' ']).next().unwrap_or_default();
    bounded(split_uri_authority(authority).0.as_bytes())
}

fn is_same(a: &str, b: &str) -> bool {
    a == b || (is_this_machine(a) && is_this_machine(b))
}

/// Names and addresses by which a machine calls itself (RFC 6761 section 6.3, RFC 1122 section
/// 3.2.1.3). The unspecified address leads to it too.
pub(in crate::mcp) fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| {
            let ip = ip.to_canonical();
            ip.is_loopback() || ip.is_unspecified()
        })
}

#[cfg(test)]
mod tests {
    use super::super::super::samples::Head;
    use super::*;

    fn read(fields: &str, host: &str) -> (Option<String>, bool) {
        let head = Head::new(&format!("POST /mcp{fields}"));
        let origin = Origin::read(&head.headers(), Some(host).filter(|host| !host.is_empty()));
        (origin.host, origin.cross)
    }

    #[test]
    fn origins_are_compared_by_host() {
        for (fields, host, named, cross) in [
            ("", "mcp.test", None, false),
            (" | origin: https://mcp.test", "mcp.test", Some("mcp.test"), false),
            (" | origin: HTTPS://MCP.test:8443", "mcp.test", Some("mcp.test"), false),
            (" | origin: https://evil.test", "mcp.test", Some("evil.test"), true),
            (" | origin: http://localhost:6274", "127.0.0.1", Some("localhost"), false),
            (" | origin: http://[::1]:6274", "localhost", Some("::1"), false),
            (" | origin: http://evil.test", "localhost", Some("evil.test"), true),
            (" | origin: http://10.0.0.9", "10.0.0.8", Some("10.0.0.9"), true),
            (" | origin: null", "mcp.test", Some("null"), true),
            (" | origin: vscode-webview://0abc", "localhost", Some("0abc"), true),
            (" | origin: evil.test", "mcp.test", Some("evil.test"), true),
            (" | origin: ", "mcp.test", None, false),
            (" | origin: https://evil.test", "", Some("evil.test"), false),
            (" | sec-fetch-site: cross-site", "localhost", None, true),
            (
                " | origin: http://localhost:6274 | sec-fetch-site: cross-site",
                "127.0.0.1",
                Some("localhost"),
                false,
            ),
            (" | sec-fetch-site: same-site", "localhost", None, false),
        ] {
            let want = (named.map(str::to_owned), cross);
            assert_eq!(read(fields, host), want, "{fields} {host}");
        }
    }
}
