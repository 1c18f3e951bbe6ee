//! `Authorization: Bearer` (RFC 6750 section 2.1).

use hyper::header::{AUTHORIZATION, HeaderMap};

use crate::portal::credentials::form::unescape;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Why a request has no token that could be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Two headers: which one is meant is for nobody to guess.
    Twice,
    /// Another scheme.
    Scheme,
    /// No `b64token`, or too long.
    Token,
}

/// The token of a request, if it has an `Authorization`.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<&str>, Malformed> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(Malformed::Twice);
    }
    token(value.as_bytes()).map(Some)
}

/// `"Bearer" 1*SP b64token`, the scheme in any case.
fn token(value: &[u8]) -> Result<&str, Malformed> {
    let value = std::str::from_utf8(value).map_err(|_| Malformed::Token)?;
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Malformed::Scheme);
    }
    let token = rest.trim_matches(' ');
    let body = token.trim_end_matches('=');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || token.len() > MAX_TOKEN_BYTES || !body.bytes().all(fits) {
        return Err(Malformed::Token);
    }
    Ok(token)
}

/// Whether a query holds a token, which is written to logs and histories and is not taken (OAuth
/// 2.1 section 5.1.1).
pub(super) fn is_in_query(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        unescape(name).is_some_and(|name| name.trim().eq_ignore_ascii_case("access_token"))
    })
}

/// For fuzzing: reads bytes as header and query.
pub(super) fn fuzz(data: &[u8]) {
    if let Ok(token) = token(data) {
        assert!(!token.is_empty() && token.is_ascii());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        is_in_query(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn one_bearer_token_is_read() {
        for (value, want) in [
            ("Bearer abc", Ok("abc")),
            ("bEARER  a.b-c_d~e+f/g==", Ok("a.b-c_d~e+f/g==")),
            ("Bearer", Err(Malformed::Token)),
            ("Bearer ", Err(Malformed::Token)),
            ("Bearer =", Err(Malformed::Token)),
            ("Bearer a b", Err(Malformed::Token)),
            ("Bearer a,b", Err(Malformed::Token)),
            ("Bearer a=b", Err(Malformed::Token)),
            ("Bearer \u{e9}", Err(Malformed::Token)),
            ("Basic abc", Err(Malformed::Scheme)),
            ("Bearerabc", Err(Malformed::Scheme)),
            ("", Err(Malformed::Scheme)),
        ] {
            assert_eq!(token(value.as_bytes()), want, "{value}");
        }
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        assert_eq!(token(long.as_bytes()), Err(Malformed::Token));
    }

    #[test]
    fn two_headers_are_refused_even_if_equal() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&headers), Ok(None));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(of(&headers), Ok(Some("a")));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(of(&headers), Err(Malformed::Twice));
    }

    #[test]
    fn tokens_in_queries_are_seen_however_written() {
        for query in ["access_token=x", "a=1&access_token=x", "access%5Ftoken=x", "Access_Token"] {
            assert!(is_in_query(query), "{query}");
        }
        for query in ["", "a=access_token", "access_tokens=1", "x_access_token=1"] {
            assert!(!is_in_query(query), "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(data: Vec<u8>, text in "(?i)bearer .*") {
            fuzz(&data);
            fuzz(text.as_bytes());
        }
    }
}
