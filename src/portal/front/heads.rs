//! Headers: who may send from where, and what mirrors the body (MCP 2026-07-28, Streamable HTTP,
//! "Server Validation").

use hyper::header::{self, HeaderMap, HeaderValue};
use serde_json::value::RawValue;

use crate::mcp::methods::Revision;
use crate::portal::hub::declared;
use crate::portal::radix::from_base64;
use crate::portal::wire::{Raw, RpcError, code, held, member, text};

pub(super) const SESSION: &str = "mcp-session-id";
pub(super) const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";
const PARAM: &str = "mcp-param-";

/// From which names the portal may be called.
#[derive(Clone, Debug, Default)]
pub(super) struct Doors {
    /// Origins of pages that may call, as `https://app.example.com`.
    pub(super) origins: Vec<Box<str>>,
    /// Names for the `Host` header, with or without port. Empty: any.
    pub(super) hosts: Vec<Box<str>>,
    /// Listening on loopback only: pages of this machine may call, and nobody by another name.
    pub(super) is_loopback: bool,
}

impl Doors {
    /// Whether a request may come in; what is wrong with it otherwise.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        authority: Option<&str>,
    ) -> Result<(), &'static str> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        if let Some(origin) = origins.next() {
            let origin = origin.to_str().unwrap_or_default();
            let is_good = self.origins.iter().any(|good| good.eq_ignore_ascii_case(origin))
                || (self.is_loopback
                    && is_local(origin.split_once("://").map_or("", |(_, of)| of)));
            if !is_good || origins.next().is_some() {
                return Err("this Origin may not call the portal");
            }
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(authority);
        let host = host.unwrap_or_default();
        if headers.get_all(header::HOST).iter().count() > 1 {
            return Err("more than one Host");
        }
        let is_listed = self.hosts.iter().any(|good| {
            good.eq_ignore_ascii_case(host) || good.eq_ignore_ascii_case(without_port(host))
        });
        let is_good = match (self.is_loopback, self.hosts.is_empty()) {
            (true, _) => is_listed || is_local(host),
            (false, true) => true,
            (false, false) => is_listed,
        };
        if is_good { Ok(()) } else { Err("the portal is not known by this Host") }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_local(host: &str) -> bool {
    matches!(without_port(host), "localhost" | "127.0.0.1" | "[::1]")
}

/// What a header says; `None` if it is not there.
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// Headers that may come once only, and came twice.
pub(super) fn repeated(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let is_ours = name.as_str().starts_with("mcp-");
        is_ours && headers.get_all(name).iter().nth(1).is_some()
    })
}

/// Without the form that values take which are not plain ASCII; `None` if the form is broken.
fn decode(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?.trim();
    match text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        None => Some(text.to_owned()),
        Some(encoded) => String::from_utf8(from_base64(encoded)?).ok(),
    }
}

/// Names and values of headers.
type Params = Vec<(Box<str>, Box<str>)>;

/// `Mcp-Param-*`, decoded.
pub(super) fn params(headers: &HeaderMap) -> Result<Params, RpcError> {
    let mut params = Vec::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(PARAM) else { continue };
        let value = decode(value).ok_or_else(|| differs("Mcp-Param is not readable"))?;
        params.push((name.into(), value.into()));
    }
    Ok(params)
}

fn differs(what: &str) -> RpcError {
    RpcError::new(code::HEADER_MISMATCH, what)
}

/// Which revision a request is of, by its header and its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Up to 2025-11-25.
    Session,
    /// From 2026-07-28 on.
    Stateless,
}

/// Looks at both: either of them makes it a request of the new kind.
pub(super) fn era(headers: &HeaderMap, params: Option<&RawValue>) -> Era {
    let is_old = |text: &str| {
        let of = Revision::ALL.into_iter().find(|of| of.as_str() == text);
        of.is_some_and(|of| of < Revision::V2026_07_28)
    };
    match (value(headers, VERSION), declared(params)) {
        (_, Some(said)) if !is_old(&said) => Era::Stateless,
        (Some(said), _) if !is_old(said) => Era::Stateless,
        _ => Era::Session,
    }
}

/// What a client of 2026-07-28 says of itself with each request.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) info: Option<Raw>,
    pub(super) capabilities: Raw,
}

/// Checks that headers and body say the same, and that the body says what it must.
pub(super) fn mirror(
    headers: &HeaderMap,
    method: &str,
    params: Option<&RawValue>,
) -> Result<Envelope, RpcError> {
    let missing = |what: &str| RpcError::new(code::INVALID_PARAMS, what);
    let meta = held(params, "_meta");
    let version = text(meta, "io.modelcontextprotocol/protocolVersion")
        .ok_or_else(|| missing("`_meta` has no io.modelcontextprotocol/protocolVersion"))?;
    let capabilities: Option<Raw> = member(meta, "io.modelcontextprotocol/clientCapabilities");
    let capabilities = capabilities
        .filter(|of| of.get().trim_start().starts_with('{'))
        .ok_or_else(|| missing("`_meta` has no io.modelcontextprotocol/clientCapabilities"))?;
    match value(headers, VERSION) {
        Some(said) if said == &*version => {}
        Some(_) => return Err(differs("MCP-Protocol-Version and `_meta` name two revisions")),
        None => return Err(differs("MCP-Protocol-Version is missing")),
    }
    match value(headers, METHOD) {
        Some(said) if said == method => {}
        Some(_) => return Err(differs("Mcp-Method is not the method of the body")),
        None => return Err(differs("Mcp-Method is missing")),
    }
    let key = match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    };
    if let Some(named) = key.and_then(|key| text(params, key)) {
        match headers.get(NAME) {
            Some(said) if decode(said).as_deref() == Some(&*named) => {}
            Some(_) => return Err(differs("Mcp-Name is not what the body names")),
            None if method.starts_with("tasks/") => {}
            None => return Err(differs("Mcp-Name is missing")),
        }
    }
    if &*version != Revision::V2026_07_28.as_str() {
        return Err(unsupported(&version));
    }
    Ok(Envelope { info: member(meta, "io.modelcontextprotocol/clientInfo"), capabilities })
}

/// A revision that is not spoken.
pub(super) fn unsupported(requested: &str) -> RpcError {
    let supported: Vec<&str> = Revision::ALL.iter().rev().map(|of| of.as_str()).collect();
    let data = serde_json::json!({"supported": supported, "requested": requested});
    RpcError::with_data(code::UNSUPPORTED_VERSION, "Unsupported protocol version", &data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::wire::raw;
    use serde_json::json;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in of {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn p01_origins_and_hosts_are_checked() {
        let local = Doors { is_loopback: true, ..Doors::default() };
        let public = Doors { origins: vec!["https://app.example".into()], ..Doors::default() };
        let named = Doors { hosts: vec!["mcp.example".into()], ..Doors::default() };
        for (doors, origin, host, good) in [
            (&local, None, "127.0.0.1:80", true),
            (&local, None, "localhost", true),
            (&local, None, "[::1]:1", true),
            (&local, None, "evil.example", false),
            (&local, Some("http://localhost:5173"), "localhost", true),
            (&local, Some("http://evil.example"), "localhost", false),
            (&local, Some("http://evil.example"), "evil.example", false),
            (&local, Some("http://localhost.evil.example"), "localhost", false),
            (&local, Some("null"), "localhost", false),
            (&public, None, "any", true),
            (&public, Some("https://app.example"), "any", true),
            (&public, Some("https://other.example"), "other.example", false),
            (&named, None, "mcp.example:443", true),
            (&named, None, "evil.example", false),
        ] {
            let mut of = vec![("host", host)];
            of.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(doors.check(&headers(&of), None).is_ok(), good, "{origin:?} {host}");
        }
    }

    #[test]
    fn p03_headers_and_body_say_the_same() {
        let version = "2026-07-28";
        let body = |name: &str| {
            raw(&json!({"name": name, "_meta": {
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {}}}))
        };
        let all = |name: &'static str, method: &'static str, of: &'static str| {
            headers(&[(VERSION, of), (METHOD, method), (NAME, name)])
        };
        let check = |headers: &HeaderMap, name: &str| {
            mirror(headers, "tools/call", Some(&body(name))).map_err(|error| error.code).err()
        };
        assert_eq!(check(&all("a", "tools/call", version), "a"), None);
        assert_eq!(check(&all("  a ", "tools/call", version), "a"), None);
        assert_eq!(check(&all("=?base64?w6Q=?=", "tools/call", version), "ä"), None);
        let differs = Some(code::HEADER_MISMATCH);
        assert_eq!(check(&all("A", "tools/call", version), "a"), differs);
        for broken in ["!!", "SGVsbG8", "SGVsbG8==", "SGVsbG8=====", "SGVs-G8_"] {
            let name = format!("=?base64?{broken}?=");
            let headers = headers(&[(VERSION, version), (METHOD, "tools/call"), (NAME, &name)]);
            assert_eq!(check(&headers, "Hello"), differs, "{broken}");
        }
        assert_eq!(check(&all("a", "tools/list", version), "a"), differs);
        assert_eq!(check(&all("a", "tools/call", "2025-11-25"), "a"), differs);
        assert_eq!(check(&headers(&[(VERSION, version), (METHOD, "tools/call")]), "a"), differs);
        assert_eq!(check(&headers(&[(VERSION, version), (NAME, "a")]), "a"), differs);
        let bare = raw(&json!({"name": "a"}));
        let error = mirror(&all("a", "tools/call", version), "tools/call", Some(&bare));
        assert_eq!(error.unwrap_err().code, code::INVALID_PARAMS);
    }

    #[test]
    fn revisions_that_are_not_spoken_are_named() {
        let body = raw(&json!({"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2099-01-01",
            "io.modelcontextprotocol/clientCapabilities": {}}}));
        let headers = headers(&[(VERSION, "2099-01-01"), (METHOD, "tools/list")]);
        assert_eq!(era(&headers, Some(&body)), Era::Stateless);
        let error = mirror(&headers, "tools/list", Some(&body)).unwrap_err();
        assert_eq!(error.code, code::UNSUPPORTED_VERSION);
        assert!(error.data.unwrap().get().contains("\"requested\":\"2099-01-01\""));
    }

    #[test]
    fn p05_headers_that_came_twice_are_seen() {
        assert!(repeated(&headers(&[(METHOD, "a"), (METHOD, "a")])));
        assert!(repeated(&headers(&[("mcp-param-x", "a"), ("mcp-param-x", "b")])));
        assert!(!repeated(&headers(&[(METHOD, "a"), ("accept", "a"), ("accept", "b")])));
    }
}
