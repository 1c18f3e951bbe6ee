//! Patterns of an approval: which server keys it is about, and which tools.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::exchange::Scheme;

/// Longest server key, in bytes.
const MAX_KEY_BYTES: usize = 2048;
/// Longest tool glob, in bytes.
const MAX_GLOB_BYTES: usize = 256;
/// Longest host name and label (RFC 1035 section 2.3.4), in bytes.
const MAX_HOST_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// A server key as recognition saw it, in parts.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// Clear or TLS, HTTP or bare lines.
    pub scheme: Scheme,
    /// Host name or address literal (with or without brackets); any case, one trailing dot is
    /// ignored.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// Path, without query.
    pub path: &'a str,
}

/// A host name in the form that patterns compare: lower case, no trailing dot, IPv6 literals
/// without brackets and in canonical form (RFC 5952).
pub(super) fn normal_host(host: &str) -> String {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return address.to_string();
    }
    bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase()
}

/// Which server keys an approval covers: `scheme://host[:port][/path]`.
///
/// - The scheme is `http` or `https` (WebSocket too), or `tcp` or `tls` for JSON-RPC lines without
///   HTTP, which have no default port and no path.
/// - Scheme and host in any case, host without trailing dot; a missing port is the scheme's
///   default.
/// - Names stay as they are on the wire: an internationalised name has to be given in punycode.
/// - A host may begin with `*.` (exactly one label) or `**.` (one or more labels), followed by
///   two or more literal labels. Nothing else in a host is a wildcard, so nothing is ever matched
///   by substring.
/// - No path covers every path of the origin; `/` is the root only; a path that ends in `/**`
///   covers what is before `/**` and all below it; any other path is exact, to the byte. A path
///   with dot segments (`..`, also percent-encoded) is never "below" anything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyPattern {
    pub(super) scheme: Scheme,
    pub(super) host: HostPattern,
    pub(super) port: u16,
    path: PathPattern,
}

/// How the host is compared; wildcards keep the literal rest after the dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostPattern {
    Exact(String),
    OneLabel(String),
    Labels(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum PathPattern {
    Any,
    Below(String),
    Exact(String),
}

/// What is wrong with a pattern, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

fn bad<T>(message: impl Into<String>, hint: &str) -> Result<T, BadPattern> {
    Err(BadPattern { message: message.into(), hint: Some(hint.to_owned()) })
}

impl KeyPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, when it is not of the form above.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.len() > MAX_KEY_BYTES {
            return bad(format!("key is longer than {MAX_KEY_BYTES} bytes"), "shorten it");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return bad("key contains white space or control characters", "percent-encode them");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return bad(
                format!("key `{text}` has no scheme"),
                "write `scheme://host[:port][/path]`, as `https://mcp.corp.example/mcp`",
            );
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "tcp" => Scheme::Tcp,
            "tls" => Scheme::Tls,
            "ws" => return bad("unknown scheme `ws`", "use `http`, which covers WebSocket"),
            "wss" => return bad("unknown scheme `wss`", "use `https`, which covers WebSocket"),
            other => {
                return bad(
                    format!("unknown scheme `{other}`"),
                    "use `http`, `https`, `tcp` or `tls`",
                );
            }
        };
        if rest.contains(['?', '#']) {
            return bad("key has a query or a fragment", "end the key with the path");
        }
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(format!("/{path}"))),
            None => (rest, None),
        };
        if authority.contains('@') {
            return bad("key has user information", "leave out `user:password@`");
        }
        let (host, port) = split_port(authority, scheme)?;
        let path = match scheme {
            Scheme::Http | Scheme::Https => PathPattern::parse(path)?,
            Scheme::Tcp | Scheme::Tls if path.is_none() => PathPattern::Exact(String::new()),
            Scheme::Tcp | Scheme::Tls => {
                return bad("a path without HTTP", "end the key with the port");
            }
        };
        Ok(Self { scheme, host: HostPattern::parse(host)?, port, path })
    }

    /// Whether the pattern covers a key.
    #[must_use]
    pub fn matches(&self, key: &KeyParts<'_>) -> bool {
        self.scheme == key.scheme
            && self.port == key.port
            && self.host.matches(&normal_host(key.host))
            && self.path.matches(key.path)
    }

    /// Whether it covers a path of an origin that is known to match.
    pub(super) fn matches_path(&self, path: &str) -> bool {
        self.path.matches(path)
    }

    /// Whether it covers one key only.
    pub(super) const fn is_exact(&self) -> bool {
        matches!((&self.host, &self.path), (HostPattern::Exact(_), PathPattern::Exact(_)))
    }

    /// Orders patterns that match the same key: an exact host before `*` before `**`, a longer
    /// literal rest before a shorter one, then an exact path before `/**` (deeper first) before
    /// any path. Two different patterns that match one key never compare equal.
    pub(super) fn specificity(&self) -> (u8, usize, u8, usize) {
        let (host, rest) = match &self.host {
            HostPattern::Exact(name) => (2, name.len()),
            HostPattern::OneLabel(rest) => (1, rest.len()),
            HostPattern::Labels(rest) => (0, rest.len()),
        };
        let (path, depth) = match &self.path {
            PathPattern::Exact(path) => (2, path.len()),
            PathPattern::Below(base) => (1, base.len()),
            PathPattern::Any => (0, 0),
        };
        (host, rest, path, depth)
    }
}

/// The normalised form, always with a port.
impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.as_str())?;
        match &self.host {
            HostPattern::Exact(host) if host.contains(':') => write!(f, "[{host}]")?,
            HostPattern::Exact(host) => write!(f, "{host}")?,
            HostPattern::OneLabel(rest) => write!(f, "*.{rest}")?,
            HostPattern::Labels(rest) => write!(f, "**.{rest}")?,
        }
        write!(f, ":{}", self.port)?;
        match &self.path {
            PathPattern::Any => Ok(()),
            PathPattern::Below(base) => write!(f, "{base}/**"),
            PathPattern::Exact(path) => write!(f, "{path}"),
        }
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_port(authority: &str, scheme: Scheme) -> Result<(&str, u16), BadPattern> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return bad("text after the IPv6 address", "write `[address]:port`"),
        },
        None if authority.matches(':').count() > 1 => {
            return bad(
                format!("`{authority}` is ambiguous"),
                "put an IPv6 address in brackets, as `[2001:db8::1]:8080`",
            );
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if authority.starts_with('[') && host.parse::<Ipv6Addr>().is_err() {
        return bad(format!("`{authority}` is not an IPv6 address"), "write `[2001:db8::1]`");
    }
    let Some(port) = port else {
        return match scheme.default_port() {
            0 => bad("key has no port", "write `tcp://host:port`: there is no default"),
            port => Ok((host, port)),
        };
    };
    match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => Ok((host, number)),
        _ => bad(format!("`{port}` is not a port"), "use 1 to 65535"),
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self, BadPattern> {
        if host.is_empty() {
            return bad("key has no host", "write `scheme://host[:port][/path]`");
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Self::Exact(address.to_string()));
        }
        let host = normal_host(host);
        if let Some(rest) = host.strip_prefix("**.") {
            return wildcard_rest(rest).map(Self::Labels);
        }
        if let Some(rest) = host.strip_prefix("*.") {
            return wildcard_rest(rest).map(Self::OneLabel);
        }
        check_labels(&host)?;
        Ok(Self::Exact(host))
    }

    /// `host` in normal form.
    pub(super) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::OneLabel(rest) => leading_labels(host, rest).is_some_and(|l| !l.contains('.')),
            Self::Labels(rest) => leading_labels(host, rest).is_some(),
        }
    }
}

/// What stands before `.rest`: one or more labels, none of them empty.
fn leading_labels<'h>(host: &'h str, rest: &str) -> Option<&'h str> {
    let labels = host.strip_suffix(rest)?.strip_suffix('.')?;
    labels.split('.').all(|label| !label.is_empty()).then_some(labels)
}

fn wildcard_rest(rest: &str) -> Result<String, BadPattern> {
    check_labels(rest)?;
    if rest.parse::<Ipv4Addr>().is_ok() {
        return bad("a wildcard before an address", "addresses have no subdomains");
    }
    if !rest.contains('.') {
        return bad(
            format!("wildcard over `{rest}` covers too much"),
            "keep at least two literal labels, as `*.corp.example`",
        );
    }
    Ok(rest.to_owned())
}

/// Host labels: letters, digits, `-` and `_`.
fn check_labels(host: &str) -> Result<(), BadPattern> {
    if host.contains('*') {
        return bad(
            format!("`*` inside `{host}`"),
            "a wildcard stands for whole labels at the left: `*.corp.example` or `**.corp.example`",
        );
    }
    if !host.is_ascii() {
        return bad(format!("host `{host}` is not ASCII"), "write it in punycode, as `xn--…`");
    }
    let legal = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() > MAX_HOST_BYTES || !host.split('.').all(legal) {
        return bad(format!("`{host}` is not a host name"), "letters, digits, `-` and `.` only");
    }
    // WHATWG URL "ends in a number": browsers read such a name as an IPv4 address.
    let numeric_end =
        host.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    if numeric_end && host.parse::<Ipv4Addr>().is_err() {
        return bad(format!("`{host}` is not an IPv4 address"), "write four decimal numbers");
    }
    Ok(())
}

impl PathPattern {
    fn parse(path: Option<String>) -> Result<Self, BadPattern> {
        let Some(path) = path else { return Ok(Self::Any) };
        let parsed = match path.strip_suffix("/**") {
            Some(base) => Self::Below(base.to_owned()),
            None => Self::Exact(path),
        };
        let (Self::Exact(literal) | Self::Below(literal)) = &parsed else { return Ok(parsed) };
        if literal.contains('*') {
            return bad("`*` inside the path", "a path is exact, or ends in `/**`");
        }
        if matches!(parsed, Self::Below(_)) && has_dot_segments(literal) {
            return bad("dot segments in the path", "write the path without `.` and `..`");
        }
        Ok(parsed)
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == path,
            Self::Below(base) => {
                path.strip_prefix(base.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    && !has_dot_segments(path)
            }
        }
    }
}

/// Whether some server may read the path as climbing out: `.` or `..` between slashes, plain or
/// percent-encoded, backslashes and encoded slashes counting as slashes.
fn has_dot_segments(path: &str) -> bool {
    let decoded = path
        .to_ascii_lowercase()
        .replace("%25", "%")
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/")
        .replace('\\', "/");
    // A path parameter hides the dots from a plain comparison: `..;x`.
    decoded.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

/// A tool name with `*` (any run of characters) and `?` (any one): the whole name has to match,
/// case counts (MCP tool names are case-sensitive).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob(String);

impl Glob {
    /// Reads a glob.
    ///
    /// # Errors
    /// When it is empty, longer than 256 bytes, or contains control characters.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() || text.len() > MAX_GLOB_BYTES || text.chars().any(char::is_control) {
            return bad(
                "not a tool name",
                "write a tool name of at most 256 bytes; `*` stands for any characters",
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name matches. At most `glob × name` steps, with no allocation.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let (mut glob, mut rest) = (self.0.chars(), name.chars());
        let mut last_star = None;
        loop {
            let before = rest.clone();
            let fits = match (glob.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    rest = before.clone();
                    last_star = Some((glob.clone(), before));
                    continue;
                }
                (Some(wanted), Some(found)) => wanted == '?' || wanted == found,
                _ => false,
            };
            if fits {
                continue;
            }
            // The last star has to take one character more.
            let Some((after, mut from)) = last_star else { return false };
            if from.next().is_none() {
                return false;
            }
            (glob, rest) = (after.clone(), from.clone());
            last_star = Some((after, from));
        }
    }
}

#[cfg(test)]
mod tests;
