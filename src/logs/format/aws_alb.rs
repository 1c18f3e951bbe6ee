//! AWS Application Load Balancer: access logs as delivered, fields by position.
//!
//! New fields come at the end and are passed over. The target is behind the balancer: whom the
//! client talked to is in the request's URL and the SNI alone.

use super::super::{
    Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance, Value,
};
use super::fields::{Escape, Fields, Layout};
use super::sniff;

/// Access logs.
pub(super) static SPEC: Spec = Spec {
    name: "aws-alb",
    title: "AWS Application Load Balancer, access log",
    stance: Stance::Reverse,
    framing: Framing::Lines,
    sniff: |bytes| sniff::try_lines(bytes, Alb, Likelihood::Certain),
    open: || Box::new(Alb),
};

const LAYOUT: Layout = Layout { escape: Escape::Backslash, ..Layout::EXTENDED };

/// Fields by position, from 0.
const FIELDS: [(usize, Meaning); 9] = [
    // When the answer was given; when the request came (21) is preferred.
    (1, Meaning::Time),
    (3, Meaning::Client),
    (8, Meaning::Status),
    (12, Meaning::RequestLine),
    (13, Meaning::UserAgent),
    (15, Meaning::TlsVersion),
    (17, Meaning::RequestId),
    (18, Meaning::Sni),
    (21, Meaning::Time),
];

const TYPE: usize = 0;
const TARGET_STATUS: usize = 9;
const REQUEST: usize = 12;
const ACTIONS: usize = 22;
/// The first fields up to the user agent are as old as the log.
const MIN_FIELDS: usize = 14;
/// The last field that is used.
const LAST: usize = ACTIONS;

#[derive(Debug)]
struct Alb;

impl Format for Alb {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        const TYPES: [&[u8]; 6] = [b"http", b"https", b"h2", b"grpcs", b"ws", b"wss"];
        let mut wanted = FIELDS.iter().peekable();
        let (mut count, mut has_request, mut was_forwarded) = (0, true, true);
        for (index, field) in Fields::new(line, LAYOUT).take(LAST + 1).enumerate() {
            let field = field?;
            count = index + 1;
            match index {
                TYPE if !TYPES.contains(&field.raw) => {
                    return Err(Reason::of("the first field is no type of request to a balancer"));
                }
                TARGET_STATUS => was_forwarded = field.raw != b"-",
                // `- http://host:80- -` stands for what was no request.
                REQUEST if field.raw.starts_with(b"- ") => has_request = false,
                // The firewall of web requests is asked before anything else is done.
                ACTIONS => record.blocked = !was_forwarded && field.raw.starts_with(b"waf"),
                _ => {}
            }
            if let Some((_, meaning)) = wanted.next_if(|(at, _)| *at == index) {
                record.put(*meaning, Value::Text(field.text()))?;
            }
        }
        if count < MIN_FIELDS {
            return Err(Reason::of("the line has fewer fields than an access log of a balancer"));
        }
        Ok(if has_request { Line::Record } else { Line::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"h2 2026-11-22T08:00:01.500000Z app/edge/50dc6c495c0c9188 192.0.2.1:50001 10.0.0.1:80 0.001 0.100 0.000 200 200 34 366 "POST https://mcp.example:443/mcp?x=%22 HTTP/2.0" "agent/1 \x22x\x22" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/t/73e2d6bc24d8a067 "Root=1-6551a0c1-5e1b6dd95f0ba4e3c4d6b7c8" "mcp.example" "-" 1 2026-11-22T08:00:00.250000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1"#;

    fn read(line: &str) -> Result<(Line, Record<'_>), Reason> {
        let mut record = Record::default();
        Alb.line(line.as_bytes(), &mut record).map(|line| (line, record))
    }

    #[test]
    fn a_line_is_read_whatever_follows_its_known_fields() {
        for line in [LINE.to_owned(), format!("{LINE} more \"and more\"")] {
            let (_, record) = read(&line).unwrap();
            let time = crate::time::Timestamp::from_parts(1_795_334_400, 250_000_000);
            assert_eq!(record.time, Some(time));
            assert_eq!((record.client_port, record.server), (Some(50_001), None));
            assert_eq!((record.host.as_deref(), record.port), (Some("mcp.example"), Some(443)));
            assert_eq!(record.target.as_deref(), Some("/mcp?x=%22"));
            assert_eq!(record.scheme.as_deref(), Some("https"));
            assert_eq!(record.sni.as_deref(), Some("mcp.example"));
            assert_eq!(record.request_fields, [("user-agent".into(), r#"agent/1 "x""#.into())]);
            assert_eq!(record.tls_version, Some(0x0303));
            assert!(!record.blocked);
        }
    }

    #[test]
    fn refusals_by_the_firewall_are_told() {
        let line = LINE.replace("200 200 34", "403 - 34").replace("\"forward\"", "\"waf\"");
        assert!(read(&line).unwrap().1.blocked);
    }

    #[test]
    fn what_is_no_request_is_nothing_and_other_lines_have_a_reason() {
        let none =
            LINE.replace("POST https://mcp.example:443/mcp?x=%22 HTTP/2.0", "- http://h:80- -");
        assert_eq!(read(&none).unwrap().0, Line::Nothing);
        let (cut, _) = LINE.split_at(300);
        for line in ["", "x y z", cut, "http 1 2 3"] {
            assert!(read(line).is_err() == (line != cut), "{line}");
        }
    }
}
