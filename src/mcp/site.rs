//! Whether two hosts may belong together.

use std::net::IpAddr;

/// The domain that a host may be registered under: its last two labels; a host of one label, or
/// an address literal, is its own. Too wide where a registry (`co.uk`) or a platform
/// (`workers.dev`) hands out names one level deeper: hosts of strangers then count as related.
fn domain(host: &str) -> &str {
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    let mut dots = memchr::memrchr_iter(b'.', host.as_bytes());
    let second = dots.nth(1);
    second.and_then(|dot| host.get(dot + 1..)).unwrap_or(host)
}

/// Whether two hosts, in lower case, have the same address or domain.
#[must_use]
pub(crate) fn is_same_site(a: &str, b: &str) -> bool {
    domain(a) == domain(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_domain_are_related() {
        for (a, b, same) in [
            ("mcp.example.com", "api.example.com", true),
            ("example.com", "a.b.example.com", true),
            ("example.com", "example.org", false),
            ("localhost", "localhost", true),
            ("localhost", "mcp", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "11.0.0.1", false),
            ("2001:db8::1", "2001:db8::2", false),
            ("a.co.uk", "b.co.uk", true),
            ("", "a", false),
        ] {
            assert_eq!(is_same_site(a, b), same, "{a} {b}");
        }
    }
}
