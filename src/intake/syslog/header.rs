//! The header of a message: RFC 5424 section 6, and what there was before it (RFC 3164), of which
//! programs leave out parts.

use super::framing::first_line;
use crate::logs::timestamp;
use crate::time::Timestamp;

/// When a message says that it was sent, if it says so with a year, and the line that it carries.
pub(super) fn split(message: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let line = first_line(message);
    let Some(rest) = priority(line) else { return (None, line) };
    match rest.strip_prefix(b"1 ") {
        Some(rest) => structured(rest),
        None => traditional(rest),
    }
}

/// Behind `<0>` to `<191>`.
fn priority(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"<")?;
    let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let rest = rest.get(digits..)?.strip_prefix(b">")?;
    (digits > 0).then_some(rest)
}

/// `TIMESTAMP HOST APP PROCID MSGID SD MSG`.
fn structured(rest: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let (time, mut rest) = word(rest);
    for _ in 0..4 {
        (_, rest) = word(rest);
    }
    let rest = match rest.strip_prefix(b"-") {
        Some(rest) => rest,
        None => behind_elements(rest),
    };
    let rest = rest.trim_ascii_start();
    (time_of(time), rest.strip_prefix(b"\xef\xbb\xbf").unwrap_or(rest))
}

/// Behind `[id name="value"][...]`; in values `]`, `"` and `\` stand behind a backslash.
fn behind_elements(mut rest: &[u8]) -> &[u8] {
    while rest.first() == Some(&b'[') {
        let (mut in_value, mut is_escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            let escaped = std::mem::take(&mut is_escaped);
            match byte {
                b'\\' if in_value && !escaped => is_escaped = true,
                b'"' if !escaped => in_value = !in_value,
                b']' if !in_value => return true,
                _ => {}
            }
            false
        });
        let Some(end) = end else { return &[] };
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    rest
}

/// `Mmm dd hh:mm:ss HOST TAG: MSG`; the time may be of RFC 3339, host or tag may be missing.
fn traditional(rest: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let (first, behind) = word(rest);
    let time = time_of(first);
    let rest = if time.is_some() {
        behind
    } else if is_old_time(rest) {
        rest.get(15..).unwrap_or_default().trim_ascii_start()
    } else {
        rest
    };
    // The tag is the first or the second word.
    let (host, behind_host) = word(rest);
    if is_tag(host) {
        return (time, behind_host);
    }
    let (tag, behind_tag) = word(behind_host);
    (time, if is_tag(tag) && is_host(host) { behind_tag } else { rest })
}

/// `Nov 22 08:00:00`: no year, no zone, so only its place is known.
fn is_old_time(text: &[u8]) -> bool {
    let at = |index: usize| text.get(index).copied().unwrap_or_default();
    text.first().is_some_and(u8::is_ascii_uppercase)
        && (at(3), at(6), at(9), at(12)) == (b' ', b' ', b':', b':')
        && at(14).is_ascii_digit()
}

fn time_of(word: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(word).ok()?;
    timestamp(text).filter(|_| text.contains('T'))
}

/// `squid:`, `haproxy[123]:`; never what a log line of ours begins with.
fn is_tag(word: &[u8]) -> bool {
    let Some(name) = word.strip_suffix(b":") else { return false };
    !name.is_empty()
        && name.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'[' | b']')
        })
}

fn is_host(word: &[u8]) -> bool {
    let is_name =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    !word.is_empty() && word.iter().all(is_name)
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (word, rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_kind_go() {
        let noon = Some(Timestamp::from_parts(1_795_334_400, 0));
        for (message, time, line) in [
            ("<134>1 2026-11-22T08:00:00Z h squid 1 - - a b", noon, "a b"),
            (
                "<134>1 2026-11-22T08:00:00Z h squid - - [x y=\"a\\\"]b\"][z] {\"a\":1}",
                noon,
                "{\"a\":1}",
            ),
            ("<134>1 - - - - - - \u{feff}a", None, "a"),
            ("<134>1 - - - - - [x", None, ""),
            ("<190>Nov 22 08:00:00 web-1 nginx: {\"a\":1}", None, "{\"a\":1}"),
            ("<134>Nov  2 08:00:00 haproxy[12]: 192.0.2.1:1 [x]", None, "192.0.2.1:1 [x]"),
            ("<134>2026-11-22T08:00:00Z h squid: a", noon, "a"),
            ("<134>{\"a\": 1}", None, "{\"a\": 1}"),
            ("<134>squid: a", None, "a"),
            ("{\"a\":1}", None, "{\"a\":1}"),
            ("1795334400.000 5 192.0.2.1 TCP/200", None, "1795334400.000 5 192.0.2.1 TCP/200"),
            ("<134>1795334400.000 5 192.0.2.1", None, "1795334400.000 5 192.0.2.1"),
            ("<>a", None, "<>a"),
            ("<1234>a", None, "<1234>a"),
            ("a\nb", None, "a"),
        ] {
            let (found_time, found) = split(message.as_bytes());
            let found = String::from_utf8_lossy(found);
            assert_eq!((found_time, &*found), (time, line), "{message}");
        }
    }
}
