//! What Envoy's tap filter writes: whole exchanges, one JSON document to a file or to a line
//! (`HttpBufferedTrace` of `envoy.data.tap.v3`).

use super::json::{Keys, Lines, Notes, Side, base64};
use std::borrow::Cow;

use crate::logs::{Format, Framing, Likelihood, Line, Meaning, Record, Spec, Stance, timestamp};
use crate::time::Timestamp;

pub(super) static SPEC: Spec = Spec {
    name: "envoy-tap",
    title: "Envoy, HTTP tap with buffered bodies",
    stance: Stance::Reverse,
    framing: Framing::Documents,
    sniff,
    open,
};

const TABLE: &[(&str, Meaning)] = &[
    ("http_buffered_trace.request.headers_received_time", Meaning::Time),
    ("http_buffered_trace.request.body.as_string", Meaning::RequestBody),
    ("http_buffered_trace.response.body.as_string", Meaning::ResponseBody),
    (
        "http_buffered_trace.downstream_connection.remote_address.socket_address.address",
        Meaning::Client,
    ),
    (
        "http_buffered_trace.downstream_connection.remote_address.socket_address.port_value",
        Meaning::ClientPort,
    ),
    (
        "http_buffered_trace.downstream_connection.local_address.socket_address.address",
        Meaning::Server,
    ),
    (
        "http_buffered_trace.downstream_connection.local_address.socket_address.port_value",
        Meaning::ServerPort,
    ),
];

const REQUEST_BYTES: usize = 0;
const RESPONSE_BYTES: usize = 1;
const REQUEST_CUT: usize = 2;
const RESPONSE_CUT: usize = 3;

fn open() -> Box<dyn Format> {
    let keys = Keys::of(TABLE)
        .headers(Side::Request, "http_buffered_trace.request.headers")
        .headers(Side::Response, "http_buffered_trace.response.headers")
        .note("http_buffered_trace.request.body.as_bytes", REQUEST_BYTES)
        .note("http_buffered_trace.response.body.as_bytes", RESPONSE_BYTES)
        .note("http_buffered_trace.request.body.truncated", REQUEST_CUT)
        .note("http_buffered_trace.response.body.truncated", RESPONSE_CUT);
    Lines::open(keys, settle)
}

/// Traces of sockets and pieces of streams say nothing that could be read as one exchange.
fn settle(record: &mut Record<'_>, notes: &mut Notes<'_>) -> Line {
    if !notes.has_request_list {
        return Line::Nothing;
    }
    let bytes = |text: Option<&str>| text.and_then(|t| base64(t.as_bytes())).map(Cow::Owned);
    record.request_body = bytes(notes.text(REQUEST_BYTES)).or(record.request_body.take());
    record.response_body = bytes(notes.text(RESPONSE_BYTES)).or(record.response_body.take());
    record.request_cut = notes.is_set(REQUEST_CUT);
    record.response_cut = notes.is_set(RESPONSE_CUT);
    (record.has_all_fields, record.has_bodies) = (true, true);
    if record.time.is_none() {
        record.time = date(record);
    }
    Line::Record
}

/// `Date` of the response (RFC 9110 section 5.6.7): versions without times of their own have it.
fn date(record: &Record<'_>) -> Option<Timestamp> {
    let mut fields = record.response_fields.iter();
    let (_, date) = fields.find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    let mut parts = date.split(' ').skip(1);
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    timestamp(&format!("{day}/{month}/{year}:{} GMT", parts.next()?))
}

fn sniff(bytes: &[u8]) -> Likelihood {
    let has = |name: &[u8]| memchr::memmem::find(bytes, name).is_some();
    if bytes.trim_ascii_start().starts_with(b"{") && has(b"\"http_buffered_trace\"") {
        Likelihood::Certain
    } else {
        Likelihood::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, record};

    const TRACE: &str = r#"{"http_buffered_trace":{"request":{"headers":[
        {"key":":authority","value":"mcp.example"},{"key":":path","value":"/mcp"},
        {"key":":method","value":"POST"},{"key":":scheme","value":"https"},
        {"key":"accept","value":"application/json"},{"key":"x-odd","raw_value":"YWI="}],
        "body":{"truncated":BODY},"trailers":[]},
        "response":{"headers":[{"key":":status","value":"200","raw_value":""},
        {"key":"date","value":"Sun, 22 Nov 2026 08:00:00 GMT"}]}}}"#;

    #[test]
    fn bodies_come_as_text_or_as_bytes() {
        for (body, expected, cut) in [
            (r#"false,"as_string":"{\"id\":1}""#, Some(r#"{"id":1}"#), false),
            (r#"true,"as_bytes":"eyJp""#, Some(r#"{"i"#), true),
            ("false", None, false),
        ] {
            let text = TRACE.replace("BODY", body);
            let record = record(&SPEC, &text);
            assert_eq!(record.request_body.as_deref(), expected.map(str::as_bytes), "{body}");
            assert_eq!(record.request_cut, cut, "{body}");
            assert!(record.has_all_fields && record.has_bodies);
            assert_eq!(record.status, Some(200));
            assert_eq!(record.time, Some(Timestamp::from_parts(1_795_334_400, 0)));
            assert_eq!(record.method.as_deref(), Some("POST"));
            assert_eq!(record.scheme.as_deref(), Some("https"));
            let expected = [("accept", "application/json"), ("x-odd", "ab")];
            assert_eq!(record.request_fields, expected.map(|(n, v)| (n.into(), v.into())));
        }
    }

    #[test]
    fn traces_of_another_kind_are_nothing() {
        let mut format = open();
        let mut record = Record::default();
        let line = br#"{"socket_buffered_trace":{"trace_id":"1"}}"#;
        assert_eq!(format.line(line, &mut record), Ok(Line::Nothing));
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "envoy-tap.json");
    }
}
