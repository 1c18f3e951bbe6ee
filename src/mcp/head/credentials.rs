//! Which credentials a request carries, without the credentials.

use super::target::Query;
use super::{MAX_FIELDS, MAX_MIRROR_BYTES, MAX_VALUE_BYTES, bounded, bounded_to, lossy};
use crate::exchange::Headers;
use crate::observation::{Auth, Field};

pub(super) fn auth(headers: &Headers<'_>, query: &Query<'_>) -> Auth {
    let scheme = headers.get("authorization").map(auth_scheme);
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

/// The scheme of an `Authorization` field, if it is one of those in use. Whatever else stands
/// there may be the credential itself.
fn auth_scheme(value: &[u8]) -> String {
    let scheme = value.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let known = AUTH_SCHEMES.iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()));
    (*known.unwrap_or(&"other")).to_owned()
}

/// Schemes registered with IANA, and some that are not.
const AUTH_SCHEMES: [&str; 20] = [
    "basic",
    "bearer",
    "concealed",
    "digest",
    "dpop",
    "gnap",
    "hoba",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "vapid",
    "apikey",
    "api-key",
    "aws4-hmac-sha256",
    "sharedkey",
    "token",
];

pub(super) fn is_api_key_header(name: &str) -> bool {
    matches!(name, "api-key" | "apikey" | "x-auth-token" | "x-access-token" | "x-goog-api-key")
        || name.ends_with("-api-key")
        || name.ends_with("-apikey")
        || name.ends_with("-api-token")
        // MCP Inspector's proxy has a field of its own.
        || name == "x-mcp-proxy-auth"
}

fn is_secret_header(name: &str) -> bool {
    matches!(name, "authorization" | "proxy-authorization" | "cookie" | "set-cookie")
        || name == "mcp-session-id"
        || is_api_key_header(name)
        || ["token", "secret", "password", "signature"].iter().any(|word| name.contains(word))
}

pub(super) fn fields(headers: &Headers<'_>) -> Vec<Field> {
    let field = |(name, value): (&[u8], &[u8])| {
        let name = bounded(name).to_ascii_lowercase();
        let max = if name.starts_with("mcp-") { MAX_MIRROR_BYTES } else { MAX_VALUE_BYTES };
        let is_secret = is_secret_header(&name);
        let value = if is_secret { "<masked>".to_owned() } else { bounded_to(value, max) };
        Field { name, value }
    };
    // Those of MCP are kept wherever they stand.
    let is_mcp = |name: &[u8]| name.get(..4).is_some_and(|s| s.eq_ignore_ascii_case(b"mcp-"));
    let kept = headers.iter().enumerate();
    let kept = kept.filter(|(index, (name, _))| *index < MAX_FIELDS || is_mcp(name));
    kept.map(|(_, pair)| field(pair)).take(2 * MAX_FIELDS).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::HeaderSpan;

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
