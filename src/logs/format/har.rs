//! HTTP archives (HAR 1.2): of browsers, and of mitmproxy's export. Whole exchanges, bodies too;
//! `content` is free of content coding. Messages of WebSockets (Chrome's `_webSocketMessages`) are
//! left.

use super::json::{Keys, Lines, Notes, Side, base64};
use crate::logs::{Format, Framing, Likelihood, Line, Meaning, Record, Spec, Stance, Text};

pub(super) static SPEC: Spec = Spec {
    name: "har",
    title: "HTTP archive (HAR), of browsers and mitmproxy",
    stance: Stance::Observer,
    framing: Framing::Elements(&["log", "entries"]),
    sniff,
    open,
};

const TABLE: &[(&str, Meaning)] = &[
    ("startedDateTime", Meaning::Time),
    ("serverIPAddress", Meaning::Server),
    ("request.method", Meaning::Method),
    ("request.url", Meaning::Url),
    ("request.httpVersion", Meaning::Version),
    ("request.postData.text", Meaning::RequestBody),
    ("response.status", Meaning::Status),
    ("response.content.text", Meaning::ResponseBody),
];

const ENCODING: usize = 0;
const REQUEST_BYTES: usize = 1;
const RESPONSE_BYTES: usize = 2;

fn open() -> Box<dyn Format> {
    let keys = Keys::of(TABLE)
        .headers(Side::Request, "request.headers")
        .headers(Side::Response, "response.headers")
        .note("request.bodySize", REQUEST_BYTES)
        .note("response.content.size", RESPONSE_BYTES)
        .note("response.content.encoding", ENCODING);
    Lines::open(keys, settle)
}

fn settle(record: &mut Record<'_>, notes: &mut Notes<'_>) -> Line {
    if let (Some("base64"), Some(body)) = (notes.text(ENCODING), &record.response_body) {
        let decoded = base64(body);
        record.response_cut |= decoded.is_none();
        record.response_body = decoded.map(Into::into);
    }
    // Sizes are -1 where they are not known.
    let was_sent = |size: usize| notes.number(size).is_some_and(|size| size > 0);
    record.request_cut |= record.request_body.is_none() && was_sent(REQUEST_BYTES);
    record.response_cut |= record.response_body.is_none()
        && (was_sent(RESPONSE_BYTES) || is_stream(&record.response_fields));
    record.has_all_fields = true;
    record.has_bodies = true;
    record.bodies_are_plain = true;
    // Of WebSockets the URL has a scheme of its own (RFC 6455 section 3).
    match record.scheme.as_deref() {
        Some("wss") => record.scheme = Some("https".into()),
        Some("ws") => record.scheme = Some("http".into()),
        _ => {}
    }
    Line::Record
}

/// A stream of events has some, as a rule; those that pass them on at once do not keep them.
fn is_stream(fields: &[(Text<'_>, Text<'_>)]) -> bool {
    let mut fields = fields.iter();
    fields.any(|(name, value)| {
        name.eq_ignore_ascii_case("content-type") && value.starts_with("text/event-stream")
    })
}

fn sniff(bytes: &[u8]) -> Likelihood {
    let bytes = bytes.get(..4096).unwrap_or(bytes);
    let mut head = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
    let has = |name: &[u8]| memchr::memmem::find(bytes, name).is_some();
    let is_log = b"{\"log\":{".iter().all(|byte| head.next() == Some(*byte));
    match (is_log, has(b"\"creator\"") || has(b"\"entries\"")) {
        (true, true) => Likelihood::Certain,
        _ => Likelihood::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, record};

    fn entry(content: &str, headers: &str) -> String {
        format!(
            r#"{{"startedDateTime":"2026-11-22T08:00:00.000Z","request":{{"method":"POST",
            "url":"wss://mcp.example/mcp?a=1#b","httpVersion":"h2","bodySize":3,
            "headers":[{{"name":":authority","value":"mcp.example"}},{{"name":"Accept","value":"*/*"}}]}},
            "response":{{"status":200,"headers":[{headers}],"content":{content}}}}}"#
        )
    }

    #[test]
    fn what_was_not_kept_of_bodies_is_said() {
        for (content, body, cut) in [
            (r#"{"size":3,"text":"abc"}"#, Some("abc"), false),
            (r#"{"size":3,"text":"YWJj","encoding":"base64"}"#, Some("abc"), false),
            (r#"{"size":3,"text":"%","encoding":"base64"}"#, None, true),
            (r#"{"size":3}"#, None, true),
            (r#"{"size":0,"text":""}"#, None, false),
            (r#"{"size":-1}"#, None, false),
        ] {
            let text = entry(content, "");
            let record = record(&SPEC, &text);
            assert_eq!(record.response_body.as_deref(), body.map(str::as_bytes), "{content}");
            assert_eq!(record.response_cut, cut, "{content}");
            assert!(record.request_cut && record.bodies_are_plain);
        }
        let stream = r#"{"name":"Content-Type","value":"text/event-stream; charset=utf-8"}"#;
        assert!(record(&SPEC, &entry(r#"{"size":0,"text":""}"#, stream)).response_cut);
    }

    #[test]
    fn heads_come_whole() {
        let text = entry("{}", "");
        let record = record(&SPEC, &text);
        assert_eq!(record.request_fields, [("Accept".into(), "*/*".into())]);
        assert_eq!(record.scheme.as_deref(), Some("https"));
        assert_eq!(record.target.as_deref(), Some("/mcp?a=1"));
    }

    #[test]
    fn its_fixtures_are_read() {
        check(&SPEC, "har.har");
        check(&SPEC, "har-browser.har");
    }
}
