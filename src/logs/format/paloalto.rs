//! Palo Alto firewalls: THREAT logs of subtype `url`, the default CSV of syslog forwarding.
//!
//! Fields have positions, not names. PAN-OS 8.1 to 11 add fields at the end only, so that one table
//! fits all of them: a field that a version does not have yet is not there. Times without an
//! offset are the firewall's local time and taken for UTC; the high-resolution timestamp of PAN-OS
//! 10 and later has its offset and is preferred.
//!
//! The URL has no scheme. Without decryption it is the name alone, and no method is there: then
//! only names are taken.

use std::borrow::Cow;

use super::super::{
    Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance, Value,
};
use super::fields::{Field, Fields, Layout};
use super::sniff;

/// THREAT logs, subtype `url`.
pub(super) static SPEC: Spec = Spec {
    name: "paloalto-url",
    title: "Palo Alto PAN-OS 8.1 to 11, THREAT logs of subtype url",
    stance: Stance::Observer,
    framing: Framing::Lines,
    sniff: |bytes| sniff::try_lines(bytes, Threat, Likelihood::Certain),
    open: || Box::new(Threat),
};

/// Position of the log's type, and of its subtype.
const TYPE: usize = 3;
const SUBTYPE: usize = 4;
const APPLICATION: usize = 14;

/// Fields by position, from 0, and the first PAN-OS that has them.
const FIELDS: [(usize, Meaning); 16] = [
    // 8.1
    (6, Meaning::Time),
    (7, Meaning::Client),
    (8, Meaning::Server),
    (12, Meaning::User),
    (24, Meaning::ClientPort),
    (25, Meaning::ServerPort),
    (29, Meaning::Transport),
    (30, Meaning::Action),
    (31, Meaning::Url),
    (41, Meaning::ResponseType),
    (46, Meaning::UserAgent),
    (49, Meaning::Referer),
    (63, Meaning::Method),
    // 9.0 adds the rule's UUID and the HTTP/2 connection (76, 77), 9.1 the dynamic user group (78).
    (78, Meaning::Group),
    // 10.0
    (86, Meaning::Device),
    // 10.0, 10.1 and 11 have it at slightly different places, see HIGH_RESOLUTION.
    (usize::MAX, Meaning::Unused),
];

/// Where a time with an offset may stand.
const HIGH_RESOLUTION: std::ops::RangeInclusive<usize> = 104..=110;

#[derive(Debug)]
struct Threat;

impl Format for Threat {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let mut wanted = FIELDS.iter().peekable();
        let mut application: &[u8] = &[];
        let mut count = 0;
        for (index, field) in Fields::new(line, Layout::CSV).enumerate() {
            let field = field?;
            count = index + 1;
            match index {
                TYPE if !is_type(field.raw) => {
                    return Err(Reason::of("the fourth field is no type of PAN-OS log"));
                }
                TYPE if field.raw != b"THREAT" => return Ok(Line::Nothing),
                SUBTYPE if field.raw != b"url" => return Ok(Line::Nothing),
                APPLICATION => application = field.raw,
                _ if HIGH_RESOLUTION.contains(&index) => high_resolution(field, record),
                _ => {}
            }
            if let Some((_, meaning)) = wanted.next_if(|(at, _)| *at == index) {
                record.put(*meaning, Value::Text(field.text()))?;
            }
        }
        if count <= MIN_FIELDS {
            return Err(Reason::of("a THREAT line has fewer fields than PAN-OS 8.1 writes"));
        }
        finish(record, application);
        Ok(Line::Record)
    }
}

/// The fields up to the user agent's, which all versions have.
const MIN_FIELDS: usize = 46;

fn is_type(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
}

/// `2026-11-22T09:00:00.250+01:00`
fn high_resolution(field: Field<'_>, record: &mut Record<'_>) {
    let is_time = field.raw.get(10) == Some(&b'T') && field.raw.len() > 19;
    if is_time && let Some(time) = super::super::timestamp(&field.text()) {
        record.time = Some(time);
    }
}

/// What the fields alone do not say.
fn finish(record: &mut Record<'_>, application: &[u8]) {
    let unknown = record.method.as_deref().is_none_or(|method| method == "unknown");
    if unknown {
        record.method = None;
    } else if let Some(method) = &mut record.method {
        // Written in lower case; methods are in upper case (RFC 9110 section 9.1).
        *method = Cow::Owned(method.to_ascii_uppercase());
    }
    let is_bare = record.target.as_deref().is_none_or(|target| target == "/");
    if application == b"ssl" || (unknown && is_bare) {
        (record.method, record.target) = (None, None);
    }
    if application == b"quic" || application == b"quic-base" {
        record.is_udp = true;
    }
    // A type of the response is only known once one came.
    record.response_fields.retain(|(_, value)| value.contains('/'));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with these fields; all others are empty.
    fn line(count: usize, fields: &[(usize, &str)]) -> String {
        let all = (0..count).map(|at| {
            let known = fields.iter().rev().find(|(index, _)| *index == at);
            known.map_or("", |(_, text)| text)
        });
        all.collect::<Vec<_>>().join(",")
    }

    const COMMON: [(usize, &str); 15] = [
        (0, "1"),
        (1, "2026/11/22 08:00:01"),
        (3, "THREAT"),
        (4, "url"),
        (6, "2026/11/22 08:00:00"),
        (7, "192.0.2.1"),
        (8, "198.51.100.1"),
        (12, r"corp\ana"),
        (14, "web-browsing"),
        (24, "50001"),
        (25, "443"),
        (29, "tcp"),
        (30, "alert"),
        (31, "\"mcp.example/mcp?a=1,2\""),
        (41, "application/json"),
    ];

    fn read(line: &str) -> Result<(Line, Record<'_>), Reason> {
        let mut record = Record::default();
        Threat.line(line.as_bytes(), &mut record).map(|line| (line, record))
    }

    #[test]
    fn versions_have_more_fields_at_the_end() {
        // Numbers of fields of PAN-OS 8.1, 9.0, 10.1 and 11.
        for (count, has_device) in [(76, false), (78, false), (108, true), (120, true)] {
            let mut fields = COMMON.to_vec();
            let more = [(46, "agent/1"), (63, "post"), (86, "pc1")];
            fields.extend(more);
            fields.push((107, "2026-11-22T09:00:00.250+01:00"));
            let line = format!("<14>Nov 22 08:00:01 fw {}", line(count, &fields));
            let (_, record) = read(&line).unwrap();
            assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()));
            assert_eq!(record.server_port, Some(443));
            assert_eq!(record.user.as_deref(), Some(r"corp\ana"));
            assert_eq!(record.method.as_deref(), Some("POST"));
            assert_eq!(record.host.as_deref(), Some("mcp.example"));
            assert_eq!(record.target.as_deref(), Some("/mcp?a=1,2"));
            assert_eq!(record.device.as_deref(), has_device.then_some("pc1"));
            let nanos = if has_device { 250_000_000 } else { 0 };
            let time = crate::time::Timestamp::from_parts(1_795_334_400, nanos);
            assert_eq!(record.time, Some(time), "{count}");
        }
    }

    #[test]
    fn without_decryption_there_is_a_name_and_no_request() {
        for (application, url) in [("ssl", "\"mcp.example/\""), ("web-browsing", "mcp.example/")] {
            let mut fields = COMMON.to_vec();
            fields.extend([(14, application), (31, url), (30, "block-url")]);
            let line = line(80, &fields);
            let (_, record) = read(&line).unwrap();
            assert_eq!((record.method, record.target), (None, None));
            assert_eq!(record.host.as_deref(), Some("mcp.example"));
            assert!(record.blocked);
        }
    }

    #[test]
    fn other_logs_are_nothing_and_other_lines_have_a_reason() {
        for (at, word) in [(3, "TRAFFIC"), (4, "vulnerability"), (3, "HIP-MATCH")] {
            let mut fields = COMMON.to_vec();
            fields.push((at, word));
            assert_eq!(read(&line(80, &fields)).unwrap().0, Line::Nothing, "{word}");
        }
        for text in ["", "a,b,c", "a,b,c,d,e", "1,2,3,THREAT,url,x", &line(20, &COMMON)] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
