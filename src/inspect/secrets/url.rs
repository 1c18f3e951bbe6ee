//! Passwords in URLs (RFC 3986 section 3.2.1).

use super::kind::Kind;
use super::placeholder::has_placeholder_word;
use super::text::{Alphabet, Text};
use super::{Certainty, Found};

/// Longest user information, in bytes; longer is not looked at.
const MAX_USERINFO_BYTES: usize = 512;
const MIN_PASSWORD_BYTES: usize = 6;
const MIN_PLAIN_BYTES: usize = 4;

/// Schemes of databases, caches and queues; `+driver` behind them does not count.
const DATABASES: [&[u8]; 18] = [
    b"postgres",
    b"postgresql",
    b"mysql",
    b"mysql2",
    b"mariadb",
    b"mongodb",
    b"redis",
    b"rediss",
    b"valkey",
    b"amqp",
    b"amqps",
    b"mssql",
    b"sqlserver",
    b"clickhouse",
    b"cockroachdb",
    b"oracle",
    b"neo4j",
    b"nats",
];

/// Passwords that documentation and fresh installations have.
const COMMON: &[&[u8]] = &[
    b"opensesame",
    b"open sesame",
    b"secret1",
    b"secret123",
    b"password",
    b"passwd",
    b"passw0rd",
    b"postgres",
    b"mysecretpassword",
    b"secret",
    b"secretpassword",
    b"mypassword",
    b"mypass",
    b"changeit",
    b"foobar",
    b"dbpass",
    b"dbpassword",
    b"db_password",
    b"dbpasswd",
    b"userpass",
    b"pass123",
    b"password123",
    b"p4ssw0rd",
    b"p%40ssword",
    b"123456",
    b"rootpassword",
];

/// `user:password@` before a host; the password is the secret.
pub(super) fn check(text: Text<'_>, colon: usize, from: usize) -> Option<Found> {
    const SCHEME: Alphabet = Alphabet::ALNUM.and(Alphabet::of(b"+.-"));
    /// Unreserved, percent-encoded, sub-delimiters, and what people forget to encode.
    const USERINFO: Alphabet = Alphabet::WORD.and(Alphabet::of(b"-.~%!$&'()*+,;=:@^|"));
    let scheme = text.slice(text.run_back(colon, SCHEME, 24), colon);
    let authority_end = text.run(from, USERINFO, MAX_USERINFO_BYTES);
    let authority = text.slice(from, authority_end);
    let at = memchr::memrchr(b'@', authority)?;
    let host = authority.get(at + 1..)?;
    let split = memchr::memchr(b':', authority.get(..at)?)?;
    let user = authority.get(..split)?;
    let password = authority.get(split + 1..at)?;
    let has_host = host.first().is_some_and(|byte| Alphabet::ALNUM.has(*byte))
        || text.byte(authority_end) == Some(b'[');
    if scheme.is_empty() || !has_host || is_stand_in(user, password) {
        return None;
    }
    let name = scheme.split(|byte| *byte == b'+').next().unwrap_or_default();
    let is_database = DATABASES.iter().any(|other| other.eq_ignore_ascii_case(name));
    let kind = if is_database { Kind::DatabaseUrl } else { Kind::BasicAuthUrl };
    let start = from + split + 1;
    Some(Found { kind, certainty: Certainty::Shaped, start, end: start + password.len() })
}

/// Whether a password is an example, a pattern, or the name of the user.
pub(super) fn is_stand_in(user: &[u8], password: &[u8]) -> bool {
    let is_pattern = password.iter().any(|byte| b"$*(".contains(byte))
        && password.iter().filter(|byte| byte.is_ascii_alphanumeric()).count() < 8;
    let is_name = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    // `$PASSWORD`, `PASSWORD`, `<password>` without its brackets.
    let is_variable = password.iter().skip_while(|byte| **byte == b'$').all(is_name);
    // An escape (`%40`) stands for one byte, and escapes alone are no password but a test of them.
    let escapes = password.iter().filter(|byte| **byte == b'%').count();
    let plain = password.len().saturating_sub(escapes * 3);
    plain + escapes < MIN_PASSWORD_BYTES
        || plain < MIN_PLAIN_BYTES
        || is_pattern
        || is_variable
        || password.starts_with(b"$")
        || password.starts_with(b"%s")
        || user.eq_ignore_ascii_case(password)
        || COMMON.iter().any(|other| other.eq_ignore_ascii_case(password))
        || password.iter().all(|byte| Some(byte) == password.first())
        || has_placeholder_word(password)
}
