//! Squid: its native access.log, and lines of `key=value` in the logformat that we recommend.
//!
//! The native log has the type of the response and nothing else of the header fields. Ours:
//!
//! ```text
//! logformat shadowtap log=squid time=%ts.%03tu client=%>a method=%#rm url=%#ru …
//! ```
//!
//! Squid writes what `%#` stands for with `%HH` for blanks, quotes, controls and `%` itself, so
//! blanks separate and nothing is ambiguous. (`\t` in a `logformat` of Squid 5 is no tab.)

use std::borrow::Cow;

use super::super::{
    Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance, Value,
};
use super::fields::{Enclosure, Escape, Fields, Layout, text};
use super::key_value::{KeyValues, Lookup, Table};
use super::sniff;

/// Native access.log.
pub(super) static NATIVE: Spec = Spec {
    name: "squid",
    title: "Squid, native access.log",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff: |bytes| sniff::try_lines(bytes, Native, Likelihood::Certain),
    open: || Box::new(Native),
};

/// The logformat of `deploy/proxies/squid`.
pub(super) static KEYED: Spec = Spec {
    name: "squid-keyed",
    title: "Squid, our logformat of key=value",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff: |bytes| match sniff::lines(bytes).next() {
        Some(line) if line.starts_with(MARKER) => Likelihood::Certain,
        _ => Likelihood::No,
    },
    open: || Box::new(Keyed { lookup: Lookup::new(KEYS) }),
};

const NATIVE_LAYOUT: Layout = Layout { quotes: false, escape: Escape::None, ..Layout::EXTENDED };

/// `epoch.ms elapsed client ACTION/status bytes METHOD url user HIERARCHY/peer type`
#[derive(Debug)]
struct Native;

impl Format for Native {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let mut fields = Fields::new(line, NATIVE_LAYOUT);
        let mut put = |meaning, text: Cow<'a, str>| record.put(meaning, Value::Text(text));
        put(Meaning::Time, fields.need()?.text())?;
        fields.skip_some(1)?;
        put(Meaning::Client, fields.need()?.text())?;
        let result = fields.need()?;
        let slash = memchr::memchr(b'/', result.raw);
        let (action, status) = slash
            .and_then(|at| Some((result.raw.get(..at)?, result.raw.get(at + 1..)?)))
            .ok_or(Reason::of("the fourth field is not Squid's result and status"))?;
        put(Meaning::Action, String::from_utf8_lossy(action))?;
        put(Meaning::Status, String::from_utf8_lossy(status))?;
        fields.skip_some(1)?;
        put(Meaning::Method, fields.need()?.text())?;
        let url = fields.need()?;
        put(Meaning::User, text(fields.need()?.raw, Escape::Percent))?;
        // Whom Squid asked is not whom the client talked to.
        fields.skip_some(1)?;
        put(Meaning::ResponseType, fields.need()?.text())?;
        if asks_nothing(url.raw) {
            return Ok(Line::Nothing);
        }
        put(Meaning::Url, url.text())?;
        Ok(Line::Record)
    }
}

/// Squid's words in place of a URL, for connections that asked nothing.
fn asks_nothing(url: &[u8]) -> bool {
    url == b"-" || url.starts_with(b"error:")
}

const MARKER: &[u8] = b"log=squid";

/// The keys that our logformat may have. They are those of `squid-json`.
const KEYS: &Table = &[
    ("log", Meaning::Unused),
    ("time", Meaning::Time),
    ("client", Meaning::Client),
    ("client_port", Meaning::ClientPort),
    ("proxy", Meaning::Proxy),
    // Whom Squid connected to; the client talked to Squid.
    ("server", Meaning::Unused),
    ("server_port", Meaning::Unused),
    ("action", Meaning::Action),
    ("status", Meaning::Status),
    ("method", Meaning::Method),
    ("url", Meaning::Url),
    ("version", Meaning::Version),
    ("user", Meaning::User),
    ("device", Meaning::Device),
    ("groups", Meaning::Group),
    ("user_agent", Meaning::UserAgent),
    ("referer", Meaning::Referer),
    ("origin", Meaning::OriginHeader),
    ("accept", Meaning::Accept),
    ("request_type", Meaning::RequestType),
    ("response_type", Meaning::ResponseType),
    ("mcp_session", Meaning::McpSession),
    ("response_mcp_session", Meaning::ResponseMcpSession),
    ("mcp_version", Meaning::McpVersion),
    ("mcp_method", Meaning::McpMethod),
    ("mcp_name", Meaning::McpName),
    ("www_authenticate", Meaning::WwwAuthenticate),
    ("location", Meaning::Location),
    ("request_id", Meaning::RequestId),
    ("request_bytes", Meaning::RequestBytes),
    ("response_bytes", Meaning::ResponseBytes),
    ("sni", Meaning::Sni),
    ("tls_version", Meaning::TlsVersion),
    ("alpn", Meaning::Alpn),
    ("ja4", Meaning::Ja4),
    ("community_id", Meaning::CommunityId),
];

#[derive(Debug)]
struct Keyed {
    lookup: Lookup,
}

impl Format for Keyed {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        if !line.starts_with(MARKER) {
            return Err(Reason::of("the line does not begin with log=squid"));
        }
        // A cut line has no `=` in its last word, or a value that is too short; the first is seen.
        let mut url = None;
        for (index, pair) in KeyValues::new(line, b' ', Escape::Percent).enumerate() {
            let (key, value) = pair?;
            let value = value.ok_or(Reason::of("a word of the line has no ="))?;
            debug_assert_eq!(value.enclosure, Enclosure::None, "values do not stand in quotes");
            let meaning = self.lookup.meaning(index, key);
            match meaning {
                Meaning::Unused | Meaning::RequestBytes | Meaning::ResponseBytes => {}
                Meaning::Url => url = Some(value),
                _ => record.put(meaning, Value::Text(value.text()))?,
            }
        }
        let url = url.ok_or(Reason::of("the line has no url"))?;
        if asks_nothing(url.raw) {
            return Ok(Line::Nothing);
        }
        record.put(Meaning::Url, Value::Text(url.text()))?;
        Ok(Line::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(line: &str) -> Result<(Line, Record<'_>), Reason> {
        let mut record = Record::default();
        Native.line(line.as_bytes(), &mut record).map(|line| (line, record))
    }

    #[test]
    fn a_native_line_has_url_and_response_type() {
        let line = "1795334400.250   1001 192.0.2.1 TCP_MISS/200 663 POST \
                    https://mcp.example/mcp ana%20b HIER_DIRECT/198.51.100.1 text/event-stream";
        let (_, record) = native(line).unwrap();
        assert_eq!(
            record.time,
            Some(crate::time::Timestamp::from_parts(1_795_334_400, 250_000_000))
        );
        assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(record.server, None);
        assert_eq!(record.method.as_deref(), Some("POST"));
        assert_eq!(record.host.as_deref(), Some("mcp.example"));
        assert_eq!(record.target.as_deref(), Some("/mcp"));
        assert_eq!(record.status, Some(200));
        assert_eq!(record.user.as_deref(), Some("ana b"));
        let content_type = ("content-type".into(), "text/event-stream".into());
        assert_eq!(record.response_fields, [content_type]);
        assert!(!record.blocked);
    }

    #[test]
    fn tunnels_have_names_and_refusals_are_told() {
        let line =
            "1795334400.250 1 192.0.2.1 TCP_DENIED/403 3 CONNECT mcp.example:443 - HIER_NONE/- -";
        let (_, record) = native(line).unwrap();
        assert_eq!((record.host.as_deref(), record.port), (Some("mcp.example"), Some(443)));
        assert_eq!(record.target, None);
        assert!(record.blocked);
    }

    #[test]
    fn a_connection_that_asked_nothing_is_nothing() {
        let line = "1795334400.2 0 192.0.2.1 NONE_NONE/000 0 - \
                    error:transaction-end-before-headers - HIER_NONE/- -";
        assert_eq!(native(line).unwrap().0, Line::Nothing);
    }

    #[test]
    fn what_is_no_native_line_has_a_reason() {
        for line in
            ["", "x", "1795334400.2 0 192.0.2.1 x 0 - - - - -", "noon 1 1 A/200 1 G u - h t"]
        {
            assert!(native(line).is_err(), "{line}");
        }
    }

    #[test]
    fn keys_come_in_any_order_and_percent_is_undone() {
        let line = b"log=squid url=https://h/a%2520b user_agent=x%20y%2520z status=200 \
                     method=GET time=1795334400.5 client=192.0.2.1 proxy=192.0.2.9:3128 x=1 sni=-";
        let mut record = Record::default();
        let read = Keyed { lookup: Lookup::new(KEYS) }.line(line, &mut record);
        assert_eq!(read, Ok(Line::Record));
        assert_eq!(record.target.as_deref(), Some("/a%20b"));
        assert_eq!(record.request_fields, [("user-agent".into(), "x y%20z".into())]);
        assert_eq!(record.proxy, Some(("192.0.2.9".parse().unwrap(), Some(3128))));
        assert_eq!(record.sni, None);
    }

    #[test]
    fn cut_keyed_lines_have_a_reason() {
        for line in ["log=squid", "log=squid time=1795334400.5 use", "time=1 log=squid"] {
            let mut format = Keyed { lookup: Lookup::new(KEYS) };
            assert!(format.line(line.as_bytes(), &mut Record::default()).is_err(), "{line}");
        }
    }
}
