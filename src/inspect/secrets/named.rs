//! Values of fields whose names say that they are secret: assignments, JSON members, forms, flags
//! of command lines, header fields.

use super::super::randomness;
use super::checksum;
use super::kind::Kind;
use super::placeholder::{has_placeholder_word, is_placeholder};
use super::text::{Alphabet, Text};
use super::{Certainty, Found, url};

/// Longest name, before and behind the literal in it, in bytes each.
const MAX_NAME_BYTES: usize = 40;
/// Longest value, in bytes; longer ones are no passwords.
const MAX_VALUE_BYTES: usize = 256;
const MIN_PASSWORD_BYTES: usize = 8;
const MIN_KEY_BYTES: usize = 16;
/// Bits that a value needs to look random.
const MIN_PASSWORD_BITS: u32 = 40;
const MIN_KEY_BITS: u32 = 64;
const MIN_BEARER_BITS: u32 = 80;

const NAME: Alphabet = Alphabet::BASE64URL;
/// What values without quotes are made of.
const BARE: Alphabet = Alphabet::WORD.and(Alphabet::of(b"+/=-.~!@#^*%$:?"));
/// What values in quotes may have besides.
const QUOTED: Alphabet = BARE.and(Alphabet::of(b"&,;()[]{}<>|"));

/// Parts of names whose values are no secrets, though the name has a word for one in it: pages,
/// counts, and where a secret is kept or what it is called.
const HARMLESS_BEFORE: [&[u8]; 18] = [
    b"page",
    b"next",
    b"prev",
    b"continu",
    b"progress",
    b"cursor",
    b"csrf",
    b"xsrf",
    b"sync",
    b"public",
    b"publish",
    b"cancel",
    b"design",
    b"max",
    b"num",
    b"idempot",
    b"total",
    b"blurhash",
];
const HARMLESS_BEHIND: [&[u8]; 31] = [
    b"name",
    b"id",
    b"url",
    b"uri",
    b"path",
    b"file",
    b"type",
    b"count",
    b"limit",
    b"expir",
    b"ttl",
    b"length",
    b"hint",
    b"policy",
    b"version",
    b"arn",
    b"usage",
    b"budget",
    b"format",
    b"prefix",
    b"field",
    b"hash",
    b"ref",
    b"status",
    b"created",
    b"updated",
    b"endpoint",
    b"scope",
    b"label",
    b"digest",
    b"symbol",
];

/// A value, and whether quotes enclose it.
struct Value {
    start: usize,
    end: usize,
    is_quoted: bool,
}

/// Value of a name with `password` or the like: random, and of three classes of characters.
pub(super) fn password(text: Text<'_>, start: usize, end: usize) -> Option<Found> {
    let value = value_of(text, start, end)?;
    let bytes = text.slice(value.start, value.end);
    let any = |test: fn(&u8) -> bool| usize::from(bytes.iter().any(test));
    let classes = any(u8::is_ascii_lowercase)
        + any(u8::is_ascii_uppercase)
        + any(u8::is_ascii_digit)
        + any(u8::is_ascii_punctuation);
    let is_random = randomness::bits(bytes) >= MIN_PASSWORD_BITS && classes >= 3;
    let is_hex = bytes.len() >= 32 && Alphabet::HEX.has_all(bytes) && !is_placeholder(bytes);
    let is_long = bytes.len() >= MIN_PASSWORD_BYTES && (is_random || is_hex);
    if is_long && !is_code(&value, bytes) {
        return guessed(Kind::PasswordAssignment, &value);
    }
    None
}

/// Value of a name with `secret`, `token` or `key`: random, and longer than a password.
pub(super) fn key(text: Text<'_>, start: usize, end: usize) -> Option<Found> {
    let value = value_of(text, start, end)?;
    let bytes = text.slice(value.start, value.end);
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    let has_letter = bytes.iter().any(u8::is_ascii_alphabetic);
    let is_random = bytes.len() >= MIN_KEY_BYTES
        && has_digit
        && has_letter
        && randomness::bits(bytes) >= MIN_KEY_BITS
        && !is_placeholder(bytes);
    let is_key = is_random && !is_code(&value, bytes) && !is_digest(bytes);
    if is_key { guessed(Kind::PasswordAssignment, &value) } else { None }
}

/// Forty characters of base64 behind a name that AWS gives to secret keys.
pub(super) fn aws_secret_key(text: Text<'_>, start: usize, end: usize) -> Option<Found> {
    let value = value_of(text, start, end)?;
    let bytes = text.slice(value.start, value.end);
    let is_base64 = bytes.len() == 40 && Alphabet::BASE64.has_all(bytes);
    let is_key = is_base64 && !Alphabet::LOWER_HEX.has_all(bytes) && !is_placeholder(bytes);
    if is_key { guessed(Kind::AwsSecretKey, &value) } else { None }
}

/// 64 bytes in base64 behind `AccountKey`, as in connection strings.
pub(super) fn azure_account_key(text: Text<'_>, start: usize, end: usize) -> Option<Found> {
    let value = value_of(text, start, end)?;
    let bytes = text.slice(value.start, value.end);
    let body = bytes.get(..88)?.strip_suffix(b"==")?;
    let is_key = bytes.len() == 88 && Alphabet::BASE64.has_all(body) && !is_placeholder(body);
    let (start, end) = (value.start, value.end);
    let found = Found { kind: Kind::AzureStorageKey, certainty: Certainty::Shaped, start, end };
    is_key.then_some(found)
}

/// Bearer credentials (RFC 6750 section 2.1).
pub(super) fn bearer(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    const TOKEN: Alphabet = Alphabet::BASE64URL.and(Alphabet::of(b".~+/="));
    let end = text.run(from, TOKEN, MAX_VALUE_BYTES);
    let bytes = text.slice(from, end);
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    let is_apart = text.starts(start, Alphabet::WORD) && text.stops(end, TOKEN);
    let is_random = bytes.len() >= MIN_KEY_BYTES
        && has_digit
        && randomness::bits(bytes) >= MIN_BEARER_BITS
        && !is_placeholder(bytes);
    let value = Value { start: from, end, is_quoted: false };
    if is_apart && is_random { guessed(Kind::BearerToken, &value) } else { None }
}

/// Basic credentials (RFC 7617 section 2): base64 of a name, a colon and a password.
pub(super) fn basic(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    let end = text.run(from, Alphabet::BASE64, MAX_VALUE_BYTES);
    let body = text.slice(from, end);
    let end = text.run(end, Alphabet::of(b"="), 2);
    let mut out = [0; MAX_VALUE_BYTES];
    let decoded = checksum::base64(body, &mut out)?;
    let colon = memchr::memchr(b':', decoded)?;
    let (user, password) = decoded.split_at_checked(colon)?;
    let password = password.get(1..)?;
    let is_text = decoded.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let is_apart = text.starts(start, Alphabet::WORD) && text.stops(end, Alphabet::BASE64URL);
    let is_real = !url::is_stand_in(user, password) && !has_placeholder_word(decoded);
    let found = Found { kind: Kind::BasicAuth, certainty: Certainty::Shaped, start: from, end };
    (is_text && is_apart && is_real).then_some(found)
}

const fn guessed(kind: Kind, value: &Value) -> Option<Found> {
    Some(Found { kind, certainty: Certainty::Guessed, start: value.start, end: value.end })
}

/// The value behind a name that holds the literal from `start` to `end`.
fn value_of(text: Text<'_>, start: usize, end: usize) -> Option<Value> {
    let name_start = text.run_back(start, NAME, MAX_NAME_BYTES);
    let name_end = text.run(end, NAME, MAX_NAME_BYTES);
    let name = text.slice(name_start, start);
    let behind = text.slice(end, name_end);
    if !text.stops(name_end, NAME)
        || HARMLESS_BEFORE.iter().any(|part| holds(name, part))
        || HARMLESS_BEHIND.iter().any(|part| holds(behind, part))
        || !continues_name(behind)
    {
        return None;
    }
    let is_flag = name.starts_with(b"--");
    let from = behind_separator(text, name_end, is_flag)?;
    read_value(text, from)
}

/// Whether the literal ends a word of the name: not `tokenizer`, not `secretary`.
fn continues_name(behind: &[u8]) -> bool {
    let word = behind.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let word = behind.get(..word).unwrap_or_default();
    // `passw` goes on in several ways.
    [&b""[..], b"s", b"ord", b"ords", b"wd", b"d", b"key", b"value"].contains(&word)
}

/// Where a value may start: behind closing quotes, white space, and `=`, `:`, `=>`, `:=` or `%3D`.
fn behind_separator(text: Text<'_>, from: usize, is_flag: bool) -> Option<usize> {
    const CLOSING: Alphabet = Alphabet::of(b"\\\"'`]");
    const SPACE: Alphabet = Alphabet::of(b" \t");
    let closed = text.run(from, CLOSING, 8);
    let at = text.run(closed, SPACE, 8);
    let signs = text.run(at, Alphabet::of(b":=>"), 2);
    if signs > at && text.byte(at) != Some(b'>') {
        return Some(text.run(signs, SPACE, 8));
    }
    if text.has(at, "%3D") || text.has(at, "%3d") {
        return Some(at + 3);
    }
    (is_flag && at > from).then_some(at)
}

/// A value in quotes up to the same quote, or one without up to white space or a delimiter. In
/// JSON inside JSON the quotes have backslashes.
fn read_value(text: Text<'_>, from: usize) -> Option<Value> {
    let opening = text.run(from, Alphabet::of(b"\\"), 4);
    let quote = text.byte(opening).filter(|byte| b"\"'`".contains(byte));
    let Some(quote) = quote else {
        let end = text.run(from, BARE, MAX_VALUE_BYTES + 1);
        let is_call = text.byte(end).is_some_and(|byte| b"([{<".contains(&byte));
        let fits = end - from <= MAX_VALUE_BYTES && !is_call;
        return fits.then_some(Value { start: from, end, is_quoted: false });
    };
    let start = opening + 1;
    let end = text.run(start, QUOTED, MAX_VALUE_BYTES + 1);
    let closing = text.run(end, Alphabet::of(b"\\"), 4);
    let fits = end - start <= MAX_VALUE_BYTES && text.byte(closing) == Some(quote);
    fits.then_some(Value { start, end, is_quoted: true })
}

/// Whether bytes hold a part, in any case.
fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// Whether a value is a pattern, a variable, a path or an expression of a program.
fn is_code(value: &Value, bytes: &[u8]) -> bool {
    let first = bytes.first().copied().unwrap_or(b'$');
    let is_pattern =
        b"$%<{[(*/@#".contains(&first) || bytes.ends_with(b"}") || holds(bytes, b"://");
    let is_expression =
        [&b"${"[..], b"{{", b"env.", b"environ", b"getenv", b"secrets.", b"()", b"arn:"]
            .iter()
            .any(|part| holds(bytes, part));
    // `config.auth.token`; a random value has no three dots, nor is a word before one.
    let is_member = !value.is_quoted
        && bytes.split(|byte| *byte == b'.').filter(|part| randomness::is_name(part)).count() > 0
        && bytes.contains(&b'.');
    is_pattern || is_expression || is_member || is_camel(bytes) || has_placeholder_word(bytes)
}

/// Whether most of a value is words with a capital each: the name of a type. Of random letters and
/// digits a sixth looks so.
fn is_camel(bytes: &[u8]) -> bool {
    let words = bytes.split_inclusive(|byte| !byte.is_ascii_lowercase());
    let mut covered = 0;
    let mut has_capital = false;
    for word in words {
        // Lower case, then the first byte of the next word.
        let lower = word.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        covered += if has_capital && lower >= 2 { lower + 1 } else { 0 };
        has_capital = word.last().is_some_and(u8::is_ascii_uppercase);
    }
    covered * 10 >= bytes.len() * 6
}

/// Digests and identifiers with their algorithm or scheme before them.
fn is_digest(bytes: &[u8]) -> bool {
    [&b"sha1"[..], b"sha256", b"sha384", b"sha512", b"md5", b"urn:"]
        .iter()
        .any(|prefix| bytes.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix)))
}
