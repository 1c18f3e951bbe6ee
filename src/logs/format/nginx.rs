//! nginx and Apache: common and combined log format.
//!
//! `client - user [time] "METHOD target VERSION" status bytes "referer" "user agent"`; common ends
//! after the bytes. What follows is passed over, and Apache's virtual host may stand in front. The
//! host is otherwise not in these logs, nor is any header field of MCP: a log format of JSON shows
//! much more.

use super::super::{
    Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance, Value,
};
use super::fields::{Enclosure, Field, Fields, Layout};
use super::sniff;

/// Combined and common.
pub(super) static SPEC: Spec = Spec {
    name: "nginx",
    title: "nginx or Apache, combined or common log format",
    stance: Stance::Reverse,
    framing: Framing::Lines,
    sniff: |bytes| sniff::try_lines(bytes, Combined, Likelihood::Likely),
    open: || Box::new(Combined),
};

/// Words before the time: host, client, identity and user.
const MAX_WORDS: usize = 4;

#[derive(Debug)]
struct Combined;

impl Format for Combined {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let mut fields = Fields::new(line, Layout::COMMON);
        let mut words = [None; MAX_WORDS];
        let mut count = 0;
        let time = loop {
            let field = fields.need()?;
            if field.enclosure == Enclosure::Brackets {
                break field;
            }
            let word = words.get_mut(count);
            *word.ok_or(Reason::of("no time in brackets follows the user"))? = Some(field);
            count += 1;
        };
        who(&words, count, record)?;
        record.put(Meaning::Time, Value::Text(time.text()))?;
        let request = fields.need()?;
        if request.enclosure != Enclosure::Quotes {
            return Err(Reason::of("no request in quotes follows the time"));
        }
        record.put(Meaning::Status, Value::Text(fields.need()?.text()))?;
        fields.skip_some(1)?;
        // Common log format ends here.
        for meaning in [Meaning::Referer, Meaning::UserAgent] {
            match fields.next() {
                Some(Ok(field)) if field.enclosure == Enclosure::Quotes => {
                    record.put(meaning, Value::Text(field.text()))?;
                }
                Some(Err(reason)) => return Err(reason),
                _ => break,
            }
        }
        if !is_request(request.raw) {
            return Ok(Line::Nothing);
        }
        record.put(Meaning::RequestLine, Value::Text(request.text()))?;
        Ok(Line::Record)
    }
}

/// The words before the time.
fn who<'a>(
    words: &[Option<Field<'a>>; MAX_WORDS],
    count: usize,
    record: &mut Record<'a>,
) -> Result<(), Reason> {
    let [first, second, third, fourth] = *words;
    let (host, client, user) = match count {
        3 => (None, first, third),
        4 => (first, second, fourth),
        _ => return Err(Reason::of("not client, identity and user stand before the time")),
    };
    for (meaning, field) in
        [(Meaning::Host, host), (Meaning::Client, client), (Meaning::User, user)]
    {
        if let Some(field) = field {
            record.put(meaning, Value::Text(field.text()))?;
        }
    }
    Ok(())
}

/// Whether it begins as an HTTP request does (RFC 9112 section 3): what else comes to a server's
/// port (TLS on a clear port, scans) is written in its place as it came.
pub(super) fn is_request(line: &[u8]) -> bool {
    let len = line.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'-').count();
    len > 0 && line != b"-" && line.get(len) == Some(&b' ') && line.first() != Some(&b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Line, Record<'_>), Reason> {
        let mut record = Record::default();
        Combined.line(line.as_bytes(), &mut record).map(|line| (line, record))
    }

    #[test]
    fn combined_and_common_lines_are_read() {
        let common =
            r#"192.0.2.1 - ana [22/Nov/2026:09:00:00 +0100] "POST /mcp?x=1 HTTP/1.1" 202 0"#;
        let combined = format!(r#"{common} "-" "agent/1.0 \x22x\x22""#);
        let vhost = format!("mcp.example:8443 {common}");
        let extra = format!(r#"{combined} "more" 1 2"#);
        for (line, host, agent) in [
            (common, None, None),
            (&*combined, None, Some(r#"agent/1.0 "x""#)),
            (&*vhost, Some("mcp.example"), None),
            (&*extra, None, Some(r#"agent/1.0 "x""#)),
        ] {
            let (_, record) = read(line).unwrap();
            assert_eq!(record.time, Some(crate::time::Timestamp::from_parts(1_795_334_400, 0)));
            assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()), "{line}");
            assert_eq!(record.user.as_deref(), Some("ana"));
            assert_eq!(record.method.as_deref(), Some("POST"));
            assert_eq!(record.target.as_deref(), Some("/mcp?x=1"));
            assert_eq!(record.status, Some(202));
            assert_eq!(record.host.as_deref(), host, "{line}");
            let found = record.request_fields.first().map(|(_, value)| &**value);
            assert_eq!(found, agent, "{line}");
        }
    }

    #[test]
    fn what_is_no_request_is_nothing() {
        for request in ["-", "", r"\x16\x03\x01\x02", "MGLNDD", r"- \x00"] {
            let line = format!(r#"192.0.2.1 - - [22/Nov/2026:08:00:00 +0000] "{request}" 400 0"#);
            assert_eq!(read(&line).unwrap().0, Line::Nothing, "{request}");
        }
    }

    #[test]
    fn other_lines_have_a_reason() {
        for line in [
            "",
            "a b c d e f",
            "192.0.2.1 - - [22/Nov/2026:08:00:00 +0000] GET",
            r#"192.0.2.1 - - [22/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1"#,
            r#"192.0.2.1 - - [then] "GET / HTTP/1.1" 200 1"#,
            r#"192.0.2.1 [22/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 1"#,
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
