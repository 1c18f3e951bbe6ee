//! Finding URLs.

use std::borrow::Cow;
use std::net::IpAddr;

use memchr::{memchr_iter, memrchr};
use unicode_normalization::UnicodeNormalization as _;

use super::host_ip;
use crate::inspect::hidden::is_invisible;
use crate::inspect::view::{cut, percent};

/// Longest scheme, in bytes: what is longer is none.
const MAX_SCHEME_BYTES: usize = 32;

/// Longest authority that is read, in bytes: what is longer is cut. DNS names have 253 at most,
/// and user information may be longer than it should.
const MAX_AUTHORITY_BYTES: usize = 2048;

/// A URL in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url<'t> {
    /// Before the colon, as spelled.
    pub scheme: &'t str,
    /// The host as a resolver would take it: percent-decoded once, compatibility forms and
    /// ideographic full stops replaced (UTS 46 section 4), lower case, without invisible
    /// characters, brackets and a last dot. Empty where there is none (`file:///etc`).
    pub host: Cow<'t, str>,
    /// The address that the host is, or stands for: see [`host_ip`].
    pub ip: Option<IpAddr>,
    /// The port, where it is written.
    pub port: Option<u16>,
    /// Path, as spelled; empty or beginning with a slash or a backslash.
    pub path: &'t str,
    /// There is user information before the host, which readers take for the host.
    pub user_info: bool,
}

/// Hands each URL with an authority in `text` to `each`, in order: `scheme://…`, and for the
/// schemes of the web (WHATWG URL section 4.4) also with backslashes and any number of slashes but
/// none or one. URLs in the path or query of another are found too.
///
/// A URL ends at white space, at quotes, angle brackets and control characters; closing brackets
/// and punctuation at its end are not part of it.
pub fn urls<'t>(text: &'t str, each: &mut dyn FnMut(Url<'t>)) {
    let bytes = text.as_bytes();
    let mut token = Token::default();
    for colon in memchr_iter(b':', bytes) {
        let [b'/' | b'\\', b'/' | b'\\', ..] = bytes.get(colon + 1..).unwrap_or_default() else {
            continue;
        };
        let Some(scheme) = scheme(text, colon) else { continue };
        let is_web = is_web(scheme);
        if !is_web && bytes.get(colon + 1..colon + 3) != Some(b"//") {
            continue;
        }
        token.reach(bytes, colon);
        let mut start = colon + 3;
        if is_web {
            let more = bytes.get(start..).unwrap_or_default();
            start += more.iter().take_while(|byte| matches!(byte, b'/' | b'\\')).count();
        }
        if let Some(url) = read(text, scheme, start, &mut token) {
            each(url);
        }
    }
}

/// The scheme that ends at `colon` (RFC 3986 section 3.1), two letters at least: one is a drive.
fn scheme(text: &str, colon: usize) -> Option<&str> {
    let before = text.as_bytes().get(colon.saturating_sub(MAX_SCHEME_BYTES)..colon)?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let len = before.iter().rev().take_while(|byte| is_part(byte)).count();
    let name = before.get(before.len() - len..)?;
    let start = name.iter().position(u8::is_ascii_alphabetic)?;
    let scheme = text.get(colon - len + start..colon)?;
    (scheme.len() >= 2).then_some(scheme)
}

fn is_web(scheme: &str) -> bool {
    ["http", "https", "ws", "wss", "ftp"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}

/// Ends that URLs of one token share, so that each byte is looked at once.
#[derive(Debug, Default)]
struct Token {
    /// Just after the token, its last punctuation left out.
    end: usize,
    /// Where the next delimiter is.
    limit: usize,
    /// The next `?` or `#`.
    query: usize,
}

impl Token {
    /// Makes it the token around `at`.
    fn reach(&mut self, bytes: &[u8], at: usize) {
        if at < self.limit {
            return;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let len = rest.iter().position(|byte| is_delimiter(*byte)).unwrap_or(rest.len());
        self.limit = at + len;
        let token = rest.get(..len).unwrap_or_default();
        let trimmed = token.iter().rposition(|byte| !is_closing(*byte)).map_or(0, |last| last + 1);
        self.end = at + trimmed;
        self.query = at;
    }

    /// The first `?` or `#` from `at` on, or the end.
    fn query(&mut self, bytes: &[u8], at: usize) -> usize {
        let is_query = |byte: Option<&u8>| matches!(byte, Some(b'?' | b'#'));
        if self.query < at || !is_query(bytes.get(self.query)) {
            let from = at.max(self.query);
            let rest = bytes.get(from..self.end).unwrap_or_default();
            let len = memchr::memchr2(b'?', b'#', rest).unwrap_or(rest.len());
            self.query = from + len;
        }
        self.query
    }
}

const fn is_delimiter(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x7F)
}

const fn is_closing(byte: u8) -> bool {
    matches!(
        byte,
        b')' | b']' | b'}' | b'.' | b',' | b';' | b':' | b'!' | b'?' | b'\'' | b'*' | b'|'
    )
}

/// The URL whose authority begins at `start`.
fn read<'t>(text: &'t str, scheme: &'t str, start: usize, token: &mut Token) -> Option<Url<'t>> {
    let rest = cut(text.get(start..token.limit)?, MAX_AUTHORITY_BYTES);
    let len = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..len)?;
    let (user_info, mut place) = match memrchr(b'@', authority.as_bytes()) {
        Some(at) => (true, authority.get(at + 1..)?),
        None => (false, authority),
    };
    // Punctuation of the text around it; a bracket at the end may close an address, though.
    if start + len == token.limit && !place.starts_with('[') {
        place = place.trim_end_matches(|char: char| u8::try_from(char).is_ok_and(is_closing));
    }
    // Where text goes on that is no part of a host, the URL is over.
    let whole = place.len();
    place = host_and_port(place);
    let is_over = place.len() < whole;
    let (host, port) = split(place);
    if host.is_empty() && (!scheme.eq_ignore_ascii_case("file") || user_info) {
        return None;
    }
    let host = canonical(host);
    let query = token.query(text.as_bytes(), start + len);
    let path = if is_over { None } else { text.get(start + len..query) }.unwrap_or_default();
    Some(Url { scheme, ip: host_ip(&host), host, port, path, user_info })
}

/// The beginning of `place` that can be host and port.
fn host_and_port(place: &str) -> &str {
    let foreign = |char: char| matches!(char, '(' | ')' | ',' | ';' | '\'' | '!' | '|' | ']' | '*');
    let literal = if place.starts_with('[') { place.find(']').map_or(0, |at| at + 1) } else { 0 };
    let after = place.get(literal..).unwrap_or_default();
    let end = after.find(foreign).unwrap_or(after.len());
    place.get(..literal + end).unwrap_or_default()
}

fn split(place: &str) -> (&str, Option<u16>) {
    if let Some((literal, rest)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (literal, port(rest));
    }
    match place.find(':') {
        Some(colon) => {
            let (host, rest) = place.split_at_checked(colon).unwrap_or((place, ""));
            (host, port(rest))
        }
        None => (place, None),
    }
}

/// The number after a colon.
fn port(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(':')?;
    let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// The host as a resolver takes it.
fn canonical(host: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii() && byte != b'%' && !byte.is_ascii_uppercase();
    if host.bytes().all(is_plain) {
        return Cow::Borrowed(host.strip_suffix('.').unwrap_or(host));
    }
    let decoded = percent::decode(host);
    let shown = decoded.as_deref().unwrap_or(host).chars().filter(|char| !is_invisible(*char));
    let mut plain: String = shown.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    if !plain.is_ascii() {
        plain = plain.replace('\u{3002}', ".");
    }
    if plain.ends_with('.') {
        plain.pop();
    }
    Cow::Owned(plain)
}
