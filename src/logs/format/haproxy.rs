//! HAProxy: `option httplog` and `option httpslog`, with or without a syslog header in front.
//!
//! ```text
//! client:port [time] frontend backend/server timers status bytes … {request} {response} "request"
//! ```
//!
//! Captured header fields have no names in the log: they are read only from blocks that have as
//! many entries as the configuration that we recommend, in its order ([`REQUEST`], [`RESPONSE`]).
//! The time is the host's local time without an offset; it is taken for UTC.

use memchr::{memchr, memmem};

use super::super::{
    Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance, Value,
};
use super::fields::{Enclosure, Escape, Fields, Layout, text};
use super::nginx::is_request;
use super::sniff;

/// httplog and httpslog.
pub(super) static SPEC: Spec = Spec {
    name: "haproxy",
    title: "HAProxy, option httplog or httpslog",
    stance: Stance::Reverse,
    framing: Framing::Lines,
    sniff: |bytes| sniff::try_lines(bytes, Httplog, Likelihood::Certain),
    open: || Box::new(Httplog),
};

/// What the request's captures are, in the order in which we recommend to declare them. The last
/// two are samples of the body and may be left out, both.
const REQUEST: [Meaning; 12] = [
    Meaning::Host,
    Meaning::UserAgent,
    Meaning::RequestType,
    Meaning::Accept,
    Meaning::OriginHeader,
    Meaning::McpSession,
    Meaning::McpVersion,
    Meaning::McpMethod,
    Meaning::McpName,
    Meaning::RequestId,
    Meaning::RpcMethod,
    Meaning::RpcName,
];

/// The same of the response's.
const RESPONSE: [Meaning; 4] = [
    Meaning::ResponseType,
    Meaning::ResponseMcpSession,
    Meaning::WwwAuthenticate,
    Meaning::Location,
];

const BLANKS: Layout = Layout { brackets: true, escape: Escape::Hash, ..Layout::EXTENDED };

/// Fields from the timers to the queues, the status apart: timers, status, bytes, two cookies,
/// state, connections, queues.
const AFTER_STATUS: usize = 6;

#[derive(Debug)]
struct Httplog;

impl Format for Httplog {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let Some((client, from)) = start(line) else {
            // The program's own messages: servers that come and go, and the like.
            return match memmem::find(line, b"haproxy[") {
                Some(_) => Ok(Line::Nothing),
                None => Err(Reason::of("no client and time of HAProxy's httplog")),
            };
        };
        let mut fields = Fields::new(from, BLANKS);
        let mut put = |meaning, raw| record.put(meaning, Value::Text(text(raw, Escape::Hash)));
        put(Meaning::Client, client)?;
        put(Meaning::Time, fields.need()?.raw)?;
        let frontend = fields.need()?;
        if frontend.raw.ends_with(b"~") {
            // So HAProxy marks that TLS ended here.
            put(Meaning::Scheme, b"https")?;
        }
        fields.skip_some(2)?;
        put(Meaning::Status, fields.need()?.raw).map_err(|_| {
            Reason::of("no status follows the timers: this is not HAProxy's httplog")
        })?;
        fields.skip_some(AFTER_STATUS)?;
        let rest = fields.rest().trim_ascii_start();
        let rest = captures(rest, record)?;
        let mut fields = Fields::new(rest, BLANKS);
        let request = fields.need()?;
        if request.enclosure != Enclosure::Quotes {
            return Err(Reason::of("no request in quotes ends the line"));
        }
        tls(&mut fields, record)?;
        if !is_request(request.raw) {
            return Ok(Line::Nothing);
        }
        record.put(Meaning::RequestLine, Value::Text(request.text()))?;
        Ok(Line::Record)
    }
}

/// The client, and the line from its time on. A syslog header may stand in front.
fn start(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memmem::find_iter(line, b" [").find(|at| is_date(line.get(at + 2..)))?;
    let (before, from) = line.split_at_checked(at)?;
    let client = memchr::memrchr(b' ', before)
        .map_or(before, |blank| before.get(blank + 1..).unwrap_or_default());
    Some((client, from))
}

/// `22/Nov/2026:08:00:00`
fn is_date(text: Option<&[u8]>) -> bool {
    let Some([d1, d2, b'/', _, _, _, b'/', ..]) = text else { return false };
    d1.is_ascii_digit() && d2.is_ascii_digit()
}

/// Reads the blocks of captures at the beginning; gives what follows them.
fn captures<'a>(rest: &'a [u8], record: &mut Record<'a>) -> Result<&'a [u8], Reason> {
    let (first, rest) = block(rest)?;
    let (second, rest) = block(rest)?;
    match (first, second) {
        (Some(request), Some(response)) => {
            put_block(request, &REQUEST, record)?;
            put_block(response, &RESPONSE, record)?;
        }
        // One of them: its length says which.
        (Some(only), None) => {
            put_block(only, &REQUEST, record)?;
            put_block(only, &RESPONSE, record)?;
        }
        _ => {}
    }
    Ok(rest)
}

/// A block in braces, if there is one, and what follows.
fn block(rest: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Reason> {
    let Some(inner) = rest.strip_prefix(b"{") else { return Ok((None, rest)) };
    // Braces in values are escaped.
    let end = memchr(b'}', inner).and_then(|end| inner.split_at_checked(end));
    let (block, after) = end.ok_or(Reason::of("a block of captures is not closed"))?;
    Ok((Some(block), after.get(1..).unwrap_or_default().trim_ascii_start()))
}

/// Takes the entries of a block, if there are as many as we recommend.
fn put_block<'a>(
    block: &'a [u8],
    meanings: &[Meaning],
    record: &mut Record<'a>,
) -> Result<(), Reason> {
    let count = memchr::memchr_iter(b'|', block).count() + 1;
    let is_ours = count == meanings.len() || (count == 10 && meanings.len() == REQUEST.len());
    if !is_ours {
        return Ok(());
    }
    for (raw, meaning) in block.split(|byte| *byte == b'|').zip(meanings) {
        record.put(*meaning, Value::Text(text(raw, Escape::Hash)))?;
    }
    Ok(())
}

/// What httpslog has behind the request: `errors sni/version/cipher`.
fn tls<'a>(fields: &mut Fields<'a>, record: &mut Record<'a>) -> Result<(), Reason> {
    let (Some(_errors), Some(Ok(names))) = (fields.next(), fields.next()) else { return Ok(()) };
    let mut parts = names.raw.split(|byte| *byte == b'/');
    let (Some(sni), Some(version), Some(_cipher), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(());
    };
    record.put(Meaning::Sni, Value::Text(text(sni, Escape::Hash)))?;
    record.put(Meaning::TlsVersion, Value::Text(text(version, Escape::None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Line, Record<'_>), Reason> {
        let mut record = Record::default();
        Httplog.line(line.as_bytes(), &mut record).map(|line| (line, record))
    }

    const HEAD: &str = "192.0.2.1:50001 [22/Nov/2026:08:00:00.250] web~ mcp/s1 0/0/1/2/3 200 536 - - \
                        ---- 1/1/0/0/0 0/0";

    #[test]
    fn a_line_is_read_with_and_without_a_syslog_header() {
        for header in [
            "",
            "<134>Nov 22 08:00:00 edge haproxy[7]: ",
            "<134>1 2026-11-22T08:00:00+00:00 edge haproxy 7 - [x y=\"1\"] ",
        ] {
            let line = format!(r#"{header}{HEAD} "GET /a#22b HTTP/1.1""#);
            let (_, record) = read(&line).unwrap();
            assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()), "{line}");
            assert_eq!(record.client_port, Some(50_001));
            let time = crate::time::Timestamp::from_parts(1_795_334_400, 250_000_000);
            assert_eq!(record.time, Some(time));
            assert_eq!(record.scheme.as_deref(), Some("https"));
            assert_eq!(record.target.as_deref(), Some("/a\"b"));
            assert_eq!(record.status, Some(200));
        }
    }

    #[test]
    fn captures_are_read_where_they_are_ours() {
        let request = "mcp.example:8443|agent/1|application/json||||2025-06-18|||id1";
        let response = "text/event-stream|s1||";
        for (blocks, host, rpc, session) in [
            (format!("{{{request}}} {{{response}}}"), Some("mcp.example"), None, true),
            (
                format!("{{{request}|tools/call|search#7C}} {{{response}}}"),
                Some("mcp.example"),
                Some("tools/call"),
                true,
            ),
            (format!("{{{request}}}"), Some("mcp.example"), None, false),
            (format!("{{{response}}}"), None, None, true),
            ("{mcp.example|agent/1}".into(), None, None, false),
            ("{mcp.example} {x}".into(), None, None, false),
        ] {
            let line = format!(r#"{HEAD} {blocks} "POST /mcp HTTP/1.1""#);
            let (_, record) = read(&line).unwrap();
            assert_eq!(record.host.as_deref(), host, "{blocks}");
            assert_eq!(record.rpc_method.as_deref(), rpc, "{blocks}");
            assert_eq!(record.rpc_name.as_deref(), rpc.map(|_| "search|"), "{blocks}");
            assert_eq!(!record.response_fields.is_empty(), session, "{blocks}");
        }
    }

    #[test]
    fn httpslog_names_the_server() {
        let line = format!(
            r#"{HEAD} "POST https://mcp.example/mcp HTTP/2.0" 0/0000000000000000/0/0/0 mcp.example/TLSv1.3/TLS_AES_128_GCM_SHA256"#
        );
        let (_, record) = read(&line).unwrap();
        assert_eq!(record.sni.as_deref(), Some("mcp.example"));
        assert_eq!(record.tls_version, Some(0x0304));
        assert_eq!(record.host.as_deref(), Some("mcp.example"));
    }

    #[test]
    fn what_is_no_request_is_nothing_and_other_lines_have_a_reason() {
        let bad = format!(r#"{HEAD} "<BADREQ>""#);
        assert_eq!(read(&bad).unwrap().0, Line::Nothing);
        let own = "<133>Nov 22 08:00:00 edge haproxy[7]: Proxy web started.";
        assert_eq!(read(own).unwrap().0, Line::Nothing);
        let tcp = "192.0.2.1:5 [22/Nov/2026:08:00:00.250] db db/s1 0/0/3 212 -- 0/0/0/0/0 0/0";
        let cut = format!("{HEAD} {{a|b");
        for line in ["", "x", tcp, HEAD, &cut] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
