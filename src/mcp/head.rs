//! Request and response heads into what the inventory and rules may know of them.
//!
//! Heads are kept as raw copies until an exchange turns out to matter; most never do, and cost
//! one copy of a few hundred bytes into a buffer that is used again.

use crate::exchange::{Context, HeaderSpan, Headers, RequestHead, ResponseHead, Scheme, Version};
use crate::flow::At;
use crate::net::Endpoint;
use crate::observation::{Auth, ExchangeId, Field, RequestInfo, ResponseInfo, SecretHash};
use crate::secret::SecretHasher;

/// Header fields kept per message for rules; more are dropped.
const MAX_FIELDS: usize = 64;
/// Longest value kept, in bytes.
const MAX_VALUE_BYTES: usize = 512;
/// Longest path kept, in bytes.
const MAX_PATH_BYTES: usize = 1024;

/// A request head copied out of the capture buffer, and who sent it to whom.
#[derive(Clone, Debug)]
pub(super) struct RequestCopy {
    bytes: Vec<u8>,
    spans: Vec<HeaderSpan>,
    method_len: usize,
    target_len: usize,
    version: Version,
    id: ExchangeId,
    client: Endpoint,
    server: Endpoint,
    scheme: Scheme,
    visibility: crate::exchange::Visibility,
    tunnel: Option<String>,
    at: At,
    seen: bool,
}

impl RequestCopy {
    /// The same head in another exchange of the flow.
    pub(super) fn renumbered(&self, number: u32) -> Self {
        Self { id: ExchangeId { number, ..self.id }, ..self.clone() }
    }

    pub(super) fn new(context: &Context<'_>, number: u32) -> Self {
        Self {
            bytes: Vec::new(),
            spans: Vec::new(),
            method_len: 0,
            target_len: 0,
            version: Version::Http11,
            id: ExchangeId { flow: context.flow, number },
            client: context.client,
            server: context.server,
            scheme: context.scheme,
            visibility: context.visibility,
            tunnel: context.tunnel.map(str::to_owned),
            at: context.at,
            seen: false,
        }
    }

    /// Takes a copy of the head: method, target, then the fields as they were received.
    pub(super) fn fill(&mut self, head: &RequestHead<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(head.method);
        self.bytes.extend_from_slice(head.target);
        (self.method_len, self.target_len) = (head.method.len(), head.target.len());
        self.version = head.version;
        self.seen = true;
        self.spans.clear();
        for (name, value) in head.headers.iter() {
            let span = HeaderSpan {
                name_start: self.append(name),
                name_end: self.end(),
                value_start: self.append(value),
                value_end: self.end(),
            };
            self.spans.push(span);
        }
    }

    fn append(&mut self, bytes: &[u8]) -> u32 {
        let start = self.end();
        self.bytes.extend_from_slice(bytes);
        start
    }

    fn end(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn headers(&self) -> Headers<'_> {
        Headers { bytes: &self.bytes, spans: &self.spans }
    }

    pub(super) fn method(&self) -> &[u8] {
        self.bytes.get(..self.method_len).unwrap_or_default()
    }

    fn target(&self) -> &[u8] {
        self.bytes.get(self.method_len..self.method_len + self.target_len).unwrap_or_default()
    }

    /// Whether the capture has the request.
    pub(super) const fn is_seen(&self) -> bool {
        self.seen
    }

    /// Path and session of the message URI that an `endpoint` event names: relative, or of the
    /// origin of this request (MCP 2024-11-05, HTTP with SSE). `None` for anything else.
    pub(super) fn message_uri(
        &self,
        uri: &str,
        hasher: &SecretHasher,
    ) -> Option<(String, Option<SecretHash>)> {
        let target = Target::parse(uri.as_bytes());
        let same_origin = match target.authority {
            None => uri.starts_with('/'),
            Some(authority) => {
                let (host, port) = split_authority(authority);
                let own = self.materialise(hasher);
                let scheme = target.scheme.unwrap_or(own.scheme);
                own.host.is_none_or(|own| own == host)
                    && port.unwrap_or(scheme.default_port()) == own.port
            }
        };
        let session = Query::parse(target.query).session;
        let plausible = same_origin && !uri.contains(['{', ' ', '\n', '<']);
        plausible.then(|| {
            (bounded_to(target.path, MAX_PATH_BYTES), session.map(|secret| hasher.hash(secret)))
        })
    }

    /// The head in the form that observations carry.
    pub(super) fn materialise(&self, hasher: &SecretHasher) -> RequestInfo {
        let headers = self.headers();
        let target = Target::parse(self.target());
        let authority = target.authority.or(self.tunnel.as_deref()).map(split_authority);
        let via_proxy = authority.is_some();
        let (host, port) = match authority {
            Some((host, port)) => {
                let scheme = target.scheme.unwrap_or(self.scheme);
                (Some(host), port.unwrap_or(scheme.default_port()))
            }
            None => {
                let named = headers.get("host").map(lossy).map(|host| split_authority(&host));
                let port = named.as_ref().and_then(|(_, port)| *port);
                (named.map(|(host, _)| host), port.unwrap_or(self.server.port))
            }
        };
        let query = Query::parse(target.query);
        let text = |name: &str| headers.get(name).map(bounded);
        let accept = |media: &str| {
            headers.get_all("accept").any(|value| lossy(value).to_ascii_lowercase().contains(media))
        };
        RequestInfo {
            id: self.id,
            client: self.client,
            server: self.server,
            scheme: target.scheme.unwrap_or(self.scheme),
            visibility: self.visibility,
            at: self.at,
            seen: self.seen,
            version: self.version,
            host: host.filter(|host| !host.is_empty()),
            port,
            path: bounded_to(target.path, MAX_PATH_BYTES),
            method: bounded(self.method()),
            via_proxy,
            user_agent: text("user-agent"),
            origin: text("origin"),
            content_type: headers.get("content-type").map(media_type),
            accepts_json: accept("application/json"),
            accepts_sse: accept("text/event-stream"),
            protocol_version: text("mcp-protocol-version"),
            mcp_method: text("mcp-method"),
            mcp_name: headers.get("mcp-name").map(|value| decode_sentinel(&lossy(value))),
            session: headers
                .get("mcp-session-id")
                .or(query.session)
                .map(|secret| hasher.hash(secret)),
            auth: auth(&headers, &query),
            headers: fields(&headers),
            query_keys: query.keys,
        }
    }
}

/// A response head in the form that observations carry.
pub(super) fn response(head: &ResponseHead<'_>, hasher: &SecretHasher) -> ResponseInfo {
    let headers = &head.headers;
    let contains = |value: &[u8], needle: &[u8]| memchr::memmem::find(value, needle).is_some();
    ResponseInfo {
        status: head.status,
        version: head.version,
        content_type: headers.get("content-type").map(media_type),
        session: headers.get("mcp-session-id").map(|secret| hasher.hash(secret)),
        resource_metadata: headers
            .get_all("www-authenticate")
            .any(|value| contains(&value.to_ascii_lowercase(), b"resource_metadata=")),
        location: headers.get("location").and_then(location),
        headers: fields(headers),
    }
}

/// The parts of a request target (RFC 9112 section 3.2).
#[derive(Debug, Default, PartialEq, Eq)]
struct Target<'a> {
    scheme: Option<Scheme>,
    authority: Option<&'a str>,
    path: &'a [u8],
    query: &'a [u8],
}

impl<'a> Target<'a> {
    fn parse(target: &'a [u8]) -> Self {
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
struct Query<'a> {
    keys: Vec<String>,
    session: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    fn parse(query: &'a [u8]) -> Self {
        let mut found = Self::default();
        for pair in query.split(|byte| *byte == b'&').take(MAX_FIELDS) {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let key = bounded(parts.next().unwrap_or_default()).to_ascii_lowercase();
            let value = parts.next().unwrap_or_default();
            if is_session_key(&key) && !value.is_empty() {
                found.session = Some(value);
            }
            if !key.is_empty() && !found.keys.contains(&key) {
                found.keys.push(key);
            }
        }
        found
    }
}

fn is_session_key(key: &str) -> bool {
    matches!(key, "sessionid" | "session_id" | "session-id" | "session" | "transportid")
}

fn is_credential_key(key: &str) -> bool {
    matches!(
        key,
        "access_token"
            | "token"
            | "api_key"
            | "apikey"
            | "api-key"
            | "key"
            | "auth"
            | "authorization"
            | "secret"
            | "password"
            | "client_secret"
            | "id_token"
            | "bearer"
    )
}

/// Splits `host[:port]`, lower-cases the host and drops a trailing dot and user information.
/// Brackets around IPv6 literals are dropped.
fn split_authority(authority: &str) -> (String, Option<u16>) {
    let authority = authority.rsplit('@').next().unwrap_or_default().trim();
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').and_then(|port| port.parse().ok())),
        None => match authority.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, port.parse().ok()),
            _ => (authority, None),
        },
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    (bounded(host.as_bytes()).to_ascii_lowercase(), port)
}

/// Host, port and path of an absolute `Location`; a relative one has an empty host and port 0.
fn location(value: &[u8]) -> Option<(String, u16, String)> {
    let target = Target::parse(value);
    let path = bounded_to(target.path, MAX_PATH_BYTES);
    match (target.scheme, target.authority) {
        (Some(scheme), Some(authority)) => {
            let (host, port) = split_authority(authority);
            Some((host, port.unwrap_or(scheme.default_port()), path))
        }
        _ if value.starts_with(b"/") => Some((String::new(), 0, path)),
        _ => None,
    }
}

fn auth(headers: &Headers<'_>, query: &Query<'_>) -> Auth {
    let scheme = headers.get("authorization").map(|value| {
        let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
        bounded_to(scheme, 32).to_ascii_lowercase()
    });
    let api_key_header = headers
        .iter()
        .map(|(name, _)| lossy(name).to_ascii_lowercase())
        .find(|name| is_api_key_header(name));
    Auth {
        scheme,
        api_key_header,
        cookie: headers.get("cookie").is_some(),
        in_query: query.keys.iter().filter(|key| is_credential_key(key)).cloned().collect(),
    }
}

fn is_api_key_header(name: &str) -> bool {
    matches!(name, "api-key" | "apikey" | "x-auth-token" | "x-access-token" | "x-goog-api-key")
        || name.ends_with("-api-key")
        || name.ends_with("-apikey")
        || name.ends_with("-api-token")
}

fn is_secret_header(name: &str) -> bool {
    matches!(name, "authorization" | "proxy-authorization" | "cookie" | "set-cookie")
        || name == "mcp-session-id"
        || is_api_key_header(name)
        || ["token", "secret", "password", "signature"].iter().any(|word| name.contains(word))
}

fn fields(headers: &Headers<'_>) -> Vec<Field> {
    let field = |(name, value): (&[u8], &[u8])| {
        let name = bounded(name).to_ascii_lowercase();
        let value = if is_secret_header(&name) { "<masked>".to_owned() } else { bounded(value) };
        Field { name, value }
    };
    headers.iter().take(MAX_FIELDS).map(field).collect()
}

/// Media type without parameters, lower case.
fn media_type(value: &[u8]) -> String {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    bounded_to(essence, 128).trim().to_ascii_lowercase()
}

/// Decodes `=?base64?…?=`, the form that `Mcp-Name` and `Mcp-Param-*` take for values that are
/// not plain ASCII (MCP 2026-07-28, Streamable HTTP). Anything else is returned as it is.
pub(super) fn decode_sentinel(value: &str) -> String {
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    encoded
        .and_then(|text| decode_base64(text.as_bytes()))
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| bounded(value.as_bytes()))
}

/// Standard base64 (RFC 4648 section 4), padding optional; `None` for anything else.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.iter().take(4 * MAX_PATH_BYTES) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).unwrap_or_default());
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(out)
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn bounded(bytes: &[u8]) -> String {
    bounded_to(bytes, MAX_VALUE_BYTES)
}

fn bounded_to(bytes: &[u8], max: usize) -> String {
    lossy(bytes.get(..max).unwrap_or(bytes)).into_owned()
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
            ("user:pw@h:1", "h", Some(1)),
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

    #[test]
    fn sentinel_values_are_decoded() {
        for (value, want) in [
            ("plain", "plain"),
            ("=?base64?SGVsbG8=?=", "Hello"),
            ("=?base64?SGVsbG8?=", "Hello"),
            ("=?base64?w6TDtsO8?=", "äöü"),
            ("=?base64?@@?=", "=?base64?@@?="),
            ("=?base64?/w==?=", "=?base64?/w==?="),
        ] {
            assert_eq!(decode_sentinel(value), want);
        }
    }

    #[test]
    fn credentials_leave_no_value_behind() {
        let head = "authorization: Bearer s3cr3t\r\nx-api-key: s3cr3t\r\ncookie: a=s3cr3t";
        let mut spans = Vec::new();
        let mut start = 0;
        for line in head.split("\r\n") {
            let colon = line.find(": ").unwrap();
            let at = |offset: usize| u32::try_from(start + offset).unwrap();
            spans.push(HeaderSpan {
                name_start: at(0),
                name_end: at(colon),
                value_start: at(colon + 2),
                value_end: at(line.len()),
            });
            start += line.len() + 2;
        }
        let headers = Headers { bytes: head.as_bytes(), spans: &spans };
        let query = Query::parse(b"access_token=s3cr3t&sessionId=s3cr3t");
        let auth = auth(&headers, &query);
        assert_eq!(auth.scheme.as_deref(), Some("bearer"));
        assert_eq!(auth.api_key_header.as_deref(), Some("x-api-key"));
        assert!(auth.cookie);
        assert_eq!(auth.in_query, ["access_token"]);
        assert_eq!(query.session, Some(&b"s3cr3t"[..]));
        assert!(fields(&headers).iter().all(|field| field.value == "<masked>"));
    }
}
