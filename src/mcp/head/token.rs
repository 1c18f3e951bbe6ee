//! What a credential can tell without being told: a hash of it, and whom it is for.

use super::credentials::is_api_key_header;
use super::sentinel::decode_base64;
use super::target::{Target, split_uri_authority};
use super::{bounded, lossy};
use crate::exchange::Headers;
use crate::observation::Audience;

/// Longest payload of a JSON Web Token that is read, in base64 digits; of a longer one nothing is
/// said. It is decoded into as much memory, and dropped at once.
const MAX_PAYLOAD_DIGITS: usize = 16 << 10;
/// Audiences that are looked at; of a token with more, nothing is said.
const MAX_AUDIENCES: usize = 16;

/// The secret that opens the server: the bearer token, else the value of an API-key field.
/// Cookies and passwords are not: many servers get the same ones for good reasons.
pub(super) fn credential<'a>(headers: &Headers<'a>) -> Option<&'a [u8]> {
    let is_key = |name: &[u8]| is_api_key_header(&lossy(name).to_ascii_lowercase());
    let key = || headers.iter().find(|(name, _)| is_key(name)).map(|(_, value)| value);
    let secret = bearer(headers).or_else(key)?.trim_ascii();
    // Some clients put the scheme in front of an API key too.
    let secret = strip_scheme(secret).unwrap_or(secret);
    (!secret.is_empty()).then_some(secret)
}

fn bearer<'a>(headers: &Headers<'a>) -> Option<&'a [u8]> {
    strip_scheme(headers.get("authorization")?.trim_ascii())
}

fn strip_scheme(value: &[u8]) -> Option<&[u8]> {
    let scheme = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    scheme.and_then(|_| value.get(7..)).map(<[u8]>::trim_ascii)
}

/// Whom the bearer token is for; `None` if it is no JSON Web Token (RFC 7519) or does not say.
pub(super) fn audience(headers: &Headers<'_>) -> Option<Audience> {
    let token = bearer(headers)?;
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    if payload.len() > MAX_PAYLOAD_DIGITS {
        return None;
    }
    let payload = decode_base64(payload, *b"-_", MAX_PAYLOAD_DIGITS)?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let named: Vec<&str> = match claims.get("aud")? {
        serde_json::Value::String(one) => vec![one],
        serde_json::Value::Array(many) if many.len() <= MAX_AUDIENCES => {
            many.iter().map(|one| one.as_str().unwrap_or_default()).collect()
        }
        _ => return None,
    };
    let hosts: Vec<_> = named.iter().filter_map(|url| host_of(url)).collect();
    let only_urls = !named.is_empty() && hosts.len() == named.len();
    Some(Audience { hosts, only_urls })
}

/// Host of a URL. An audience of another form (`api://…`, a number, a word) is a name that only
/// the issuer understands.
fn host_of(url: &str) -> Option<String> {
    let target = Target::parse(url.as_bytes());
    let authority = target.scheme.and(target.authority)?;
    let (host, _) = split_uri_authority(authority);
    (!host.is_empty()).then(|| bounded(host.as_bytes()))
}

#[cfg(test)]
pub(in crate::mcp) mod tests {
    use super::super::super::samples::Head;
    use super::*;

    /// A token with these claims, unsigned.
    pub(in crate::mcp) fn token(claims: &str) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let encode = |text: &str| -> String {
            let bits = text.bytes().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
            let bits: Vec<u8> = bits.collect();
            let digit = |six: &[u8]| {
                let value = six.iter().fold(0, |sum, bit| sum << 1 | usize::from(*bit));
                char::from(DIGITS[value << (6 - six.len())])
            };
            bits.chunks(6).map(digit).collect()
        };
        format!("{}.{}.sig", encode(r#"{"alg":"none"}"#), encode(claims))
    }

    fn of(authorization: &str) -> Option<Audience> {
        let head = Head::new(&format!("POST /mcp | authorization: {authorization}"));
        audience(&head.headers())
    }

    #[test]
    fn audiences_of_tokens_are_told_by_host() {
        for (claims, hosts, only_urls) in [
            (r#"{"aud":"https://MCP.test/mcp"}"#, &["mcp.test"][..], true),
            (r#"{"aud":["https://a.test:8443","http://[::1]/"]}"#, &["a.test", "::1"], true),
            (r#"{"sub":"x","aud":["https://a.test","api://b"]}"#, &["a.test"], false),
            (r#"{"aud":"00000003-0000"}"#, &[], false),
            (r#"{"aud":["https://a.test",1]}"#, &["a.test"], false),
            (r#"{"aud":[]}"#, &[], false),
        ] {
            let hosts = hosts.iter().map(ToString::to_string).collect();
            let found = of(&format!("Bearer {}", token(claims)));
            assert_eq!(found, Some(Audience { hosts, only_urls }), "{claims}");
        }
    }

    #[test]
    fn what_is_no_such_token_says_nothing() {
        let many = format!(r#"{{"aud":[{}]}}"#, vec![r#""https://a.test""#; 17].join(","));
        for value in [
            "Bearer opaque".to_owned(),
            "Bearer a.b.c".to_owned(),
            "Bearer a.b.c.d.e".to_owned(),
            "Bearer ".to_owned(),
            format!("Basic {}", token(r#"{"aud":"https://a.test"}"#)),
            format!("Bearer {}", token(r#"{"sub":"a"}"#)),
            format!("Bearer {}", token(r#"{"aud":7}"#)),
            format!("Bearer {}", token("no json")),
            format!("Bearer {}", token(&many)),
            format!("Bearer a.{}.c", "A".repeat(MAX_PAYLOAD_DIGITS + 1)),
        ] {
            assert_eq!(of(&value), None, "{value}");
        }
    }

    #[test]
    fn the_credential_is_the_token_or_the_key() {
        for (fields, want) in [
            ("authorization: Bearer  abc ", Some(&b"abc"[..])),
            ("authorization: BEARER abc | x-api-key: k", Some(b"abc")),
            ("authorization: Basic abc | x-api-key: k", Some(b"k")),
            ("x-api-key: Bearer k", Some(b"k")),
            ("x-mcp-proxy-auth: Bearer k", Some(b"k")),
            ("authorization: Basic abc | cookie: a=b", None),
            ("authorization: Bearer ", None),
            ("x-api-key: ", None),
        ] {
            let head = Head::new(&format!("POST /mcp | {fields}"));
            assert_eq!(credential(&head.headers()), want, "{fields}");
        }
    }
}
