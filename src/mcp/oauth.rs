//! OAuth documents that MCP clients read before they log in, and what endpoints they name.
//!
//! A client opens the authorization endpoint in a browser. One that hands it to a shell runs what
//! a malicious server wrote there (CVE-2025-6514 of mcp-remote).

use serde_json::{Map, Value};

use super::head::{is_this_machine, split_uri_authority};
use crate::observation::OauthDocument;

/// Endpoints kept of a document; more are dropped.
const MAX_ENDPOINTS: usize = 32;
/// Longest endpoint kept, in bytes; the rest is cut.
const MAX_ENDPOINT_BYTES: usize = 2_048;

/// Where a response comes from, as far as it may be an OAuth document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// It is none.
    #[default]
    Nowhere,
    /// Metadata of an authorization server or a resource, at a well-known path.
    WellKnown,
    /// The answer to a registration, at a path by convention.
    Registration,
}

impl Place {
    /// The place of the response to a request. OpenID configurations are read by many programs
    /// that have nothing to do with MCP: only `is_mcp` requests for one count.
    pub(super) fn of(method: &[u8], target: &[u8], is_mcp: bool) -> Self {
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let has = |part: &[u8]| memchr::memmem::find(path, part).is_some();
        match method {
            b"GET" if has(b"/.well-known/oauth-") => Self::WellKnown,
            b"GET" if is_mcp && has(b"/.well-known/openid-configuration") => Self::WellKnown,
            b"POST" if path.ends_with(b"/register") => Self::Registration,
            _ => Self::Nowhere,
        }
    }
}

/// Reads a document (JSON, UTF-8); `None` if it is none of that place, or names no endpoint.
pub(super) fn read(text: &[u8], place: Place) -> Option<OauthDocument> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let Value::Object(members) = serde_json::from_slice(text).ok()? else { return None };
    if !is_document(&members, place) {
        return None;
    }
    let mut document = OauthDocument::default();
    for (_, value) in members.iter().filter(|(name, _)| is_endpoint(name)) {
        let several = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let urls = value.as_str().into_iter().chain(several.iter().filter_map(Value::as_str));
        urls.for_each(|url| document.add(url));
    }
    (!document.endpoints.is_empty()).then_some(document)
}

/// Whether it has what a document of its kind must have (RFC 8414 section 2, RFC 9728 section 2,
/// RFC 7591 section 3.2.1).
fn is_document(members: &Map<String, Value>, place: Place) -> bool {
    let has = |name: &str| members.contains_key(name);
    match place {
        Place::Nowhere => false,
        Place::WellKnown => {
            has("issuer") || has("resource") || members.keys().any(|name| is_endpoint(name))
        }
        Place::Registration => has("client_id") && (has("redirect_uris") || has("client_name")),
    }
}

/// Members whose URLs a client goes to, or opens.
fn is_endpoint(name: &str) -> bool {
    name.ends_with("_endpoint")
        || matches!(name, "issuer" | "authorization_servers" | "jwks_uri")
        || matches!(name, "registration_client_uri" | "client_uri" | "logo_uri")
        || matches!(name, "tos_uri" | "policy_uri" | "op_policy_uri" | "op_tos_uri")
        || matches!(name, "service_documentation" | "resource_documentation")
}

impl OauthDocument {
    fn add(&mut self, url: &str) {
        if self.endpoints.len() >= MAX_ENDPOINTS {
            return;
        }
        let scheme = scheme(url);
        if !self.schemes.contains(&scheme) {
            self.schemes.push(scheme);
        }
        let cut = url.as_bytes().get(..MAX_ENDPOINT_BYTES).unwrap_or(url.as_bytes());
        self.endpoints.push(percent_decoded(cut));
    }
}

/// The kind of scheme of a URL (RFC 3986 section 3.1), however malformed the rest of it is.
fn scheme(url: &str) -> &'static str {
    let Some((scheme, rest)) = url.split_once(':') else { return "relative" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if scheme.is_empty() || !scheme.bytes().all(plain) {
        return "relative";
    }
    if scheme.eq_ignore_ascii_case("https") {
        return "https";
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return "other";
    }
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if is_this_machine(&split_uri_authority(authority).0) { "loopback" } else { "http" }
}

/// Percent-decoded once (RFC 3986 section 2.1); what is no pair of digits stays as it is.
fn percent_decoded(text: &[u8]) -> String {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let pair = (digit(after.first()), digit(after.get(1)));
        match (first, pair) {
            (b'%', (Some(high), Some(low))) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or_default());
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_from_method_and_path() {
        for (method, target, is_mcp, place) in [
            ("GET", "/.well-known/oauth-authorization-server", false, Place::WellKnown),
            ("GET", "/.well-known/oauth-authorization-server/t?x=1", false, Place::WellKnown),
            ("GET", "/.well-known/oauth-protected-resource/mcp", false, Place::WellKnown),
            ("GET", "/t/.well-known/openid-configuration", true, Place::WellKnown),
            ("GET", "/.well-known/openid-configuration", false, Place::Nowhere),
            ("GET", "/x?/.well-known/oauth-authorization-server", false, Place::Nowhere),
            ("POST", "/oauth/register", false, Place::Registration),
            ("POST", "/register/users", false, Place::Nowhere),
            ("GET", "/register", false, Place::Nowhere),
        ] {
            assert_eq!(Place::of(method.as_bytes(), target.as_bytes(), is_mcp), place, "{target}");
        }
    }

    #[test]
    fn endpoints_are_decoded_and_told_by_scheme() {
        let text = r#"{"issuer":"https://as.test","authorization_endpoint":"a:$(calc%2Eexe)?x",
            "token_endpoint":"http://localhost:9000/t","jwks_uri":"HTTP://as.test/j%zz",
            "introspection_endpoint":"/i","scopes_supported":["a"],"revocation_endpoint":7}"#;
        let mut found = read(text.as_bytes(), Place::WellKnown).unwrap();
        found.endpoints.sort();
        found.schemes.sort();
        let endpoints = [
            "/i",
            "HTTP://as.test/j%zz",
            "a:$(calc.exe)?x",
            "http://localhost:9000/t",
            "https://as.test",
        ];
        assert_eq!(found.endpoints, endpoints);
        assert_eq!(found.schemes, ["http", "https", "loopback", "other", "relative"]);
    }

    #[test]
    fn documents_have_to_look_like_one() {
        for (text, place, is_one) in [
            (r#"{"resource":"x","authorization_servers":["https://a"]}"#, Place::WellKnown, true),
            (r#"{"authorization_endpoint":"x"}"#, Place::WellKnown, true),
            (r#"{"authorization_endpoint":"x"}"#, Place::Nowhere, false),
            (r#"{"authorization_endpoint":"x"}"#, Place::Registration, false),
            (
                r#"{"client_id":"c","redirect_uris":[],"client_uri":"https://a"}"#,
                Place::Registration,
                true,
            ),
            (r#"{"id":1,"client_uri":"https://a"}"#, Place::Registration, false),
            (r#"{"client_id":"c","client_name":"n"}"#, Place::Registration, false),
            (r#"{"error":"not found"}"#, Place::WellKnown, false),
            ("\u{feff}{\"issuer\":\"https://a\"}", Place::WellKnown, true),
            (r#"["issuer"]"#, Place::WellKnown, false),
            (r#"{"issuer":"#, Place::WellKnown, false),
        ] {
            assert_eq!(read(text.as_bytes(), place).is_some(), is_one, "{text}");
        }
    }

    #[test]
    fn long_documents_are_cut() {
        let urls = vec![format!("\"https://{}\"", "a".repeat(3_000)); 40].join(",");
        let text = format!(r#"{{"authorization_servers":[{urls}]}}"#);
        let found = read(text.as_bytes(), Place::WellKnown).unwrap();
        assert_eq!(found.endpoints.len(), MAX_ENDPOINTS);
        assert!(found.endpoints.iter().all(|url| url.len() == MAX_ENDPOINT_BYTES));
    }
}
