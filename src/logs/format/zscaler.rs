//! Zscaler NSS feeds of web logs: tab-separated `key=value`, or CSV.
//!
//! Feeds are templates of the tenant. Keys may be the names of the feed's fields or those of the
//! template for Splunk. CSV has a header line, or the order of the template that we recommend
//! ([`ORDER`]). Times are taken for UTC: the feed's time zone has to be GMT. URLs come without
//! their scheme, which the field `proto` has.

use std::borrow::Cow;

use super::super::{
    Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance, Value,
};
use super::delimited::{Delimited, Dialect};
use super::fields::{Escape, Field, Fields, Layout, text};
use super::key_value::{KeyValues, Lookup, Table};
use super::sniff;

/// Web logs.
pub(super) static SPEC: Spec = Spec {
    name: "zscaler-nss",
    title: "Zscaler NSS web feed, key=value or CSV",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff: judge,
    open: || Box::new(Nss::new()),
};

fn judge(bytes: &[u8]) -> Likelihood {
    const NAMES: [&[u8]; 3] = [b"vendor=Zscaler", b"product=NSS", b"\"NSS\",\"Zscaler\""];
    let Some(first) = sniff::lines(bytes).next() else { return Likelihood::No };
    if NAMES.iter().any(|name| memchr::memmem::find(first, name).is_some()) {
        return Likelihood::Certain;
    }
    // A header of CSV: names that other sources do not have.
    let has = |name: &str| {
        Fields::new(first, Layout::CSV).flatten().any(|field| field.raw == name.as_bytes())
    };
    if has("reqmethod") && has("respcode") {
        return Likelihood::Certain;
    }
    match sniff::try_lines(bytes, Nss::new(), Likelihood::Likely) {
        // CSV without names says nothing of what it is.
        Likelihood::Likely if memchr::memchr(b'\t', first).is_some() => Likelihood::Likely,
        _ => Likelihood::No,
    }
}

/// Values that say nothing.
const ABSENT: &[&str] = &["None", "NA", "N/A", "n/a", "Unknown", "Other"];

#[derive(Debug)]
struct Nss {
    lookup: Lookup,
    csv: Delimited,
}

impl Nss {
    const fn new() -> Self {
        Self { lookup: Lookup::new(KEYS), csv: Delimited::new(&DIALECT) }
    }

    fn pairs<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let mut known = 0;
        for (index, pair) in KeyValues::new(line, b'\t', Escape::None).enumerate() {
            let (key, value) = pair?;
            let Some(value) = value else {
                // The template begins with the time, without a key. A syslog header may precede.
                if index == 0 {
                    time(key, record)?;
                    continue;
                }
                return Err(Reason::of("a field of the line has no ="));
            };
            let meaning = self.lookup.meaning(index, key);
            known += usize::from(meaning != Meaning::Unused);
            put(meaning, unquoted(value), record)?;
        }
        if known < 4 {
            return Err(Reason::of("the line has hardly any key of Zscaler's web feed"));
        }
        Ok(finish(record))
    }
}

impl Format for Nss {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let is_pairs = memchr::memchr(b'\t', line).is_some();
        if is_pairs { self.pairs(line, record) } else { self.csv.line(line, record) }
    }
}

/// The time at the end of the first field.
fn time(field: &[u8], record: &mut Record<'_>) -> Result<(), Reason> {
    // `2026-11-22 08:00:00`, behind whatever syslog wrote in front of it.
    const ISO: usize = 19;
    // `Sun Nov 22 08:00:00 2026`
    const CTIME: usize = 24;
    let tail = |len: usize| field.get(field.len().checked_sub(len)?..);
    let is_iso = tail(ISO).is_some_and(|tail| tail.get(4) == Some(&b'-'));
    let time = tail(if is_iso { ISO } else { CTIME }).unwrap_or(field);
    let time = String::from_utf8_lossy(time).into_owned();
    record.put(Meaning::Time, Value::Text(Cow::Owned(time)))
}

/// The template for Splunk has quotes around some values.
fn unquoted(field: Field<'_>) -> Field<'_> {
    let inner = field.raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\""));
    Field { raw: inner.unwrap_or(field.raw), ..field }
}

fn put<'a>(meaning: Meaning, field: Field<'a>, record: &mut Record<'a>) -> Result<(), Reason> {
    if meaning == Meaning::Unused || ABSENT.iter().any(|word| word.as_bytes() == field.raw) {
        return Ok(());
    }
    // The service writes what it encodes as %HH. In a URL that is what was sent.
    let is_url = matches!(meaning, Meaning::Url | Meaning::Referer);
    let escape = if is_url { Escape::None } else { Escape::Percent };
    record.put(meaning, Value::Text(text(field.raw, escape)))
}

static DIALECT: Dialect = Dialect {
    layout: Layout::CSV,
    table: KEYS,
    otherwise: &[],
    set_separator: None,
    absent: ABSENT,
    has_bare_header: true,
    defaults: &[&ORDER],
    finish,
};

/// What the fields alone do not say.
fn finish(record: &mut Record<'_>) -> Line {
    if let Some(scheme) = record.scheme.as_deref().and_then(scheme) {
        record.scheme = Some(Cow::Borrowed(scheme));
    }
    if record.method.as_deref().is_some_and(|method| method.eq_ignore_ascii_case("invalid")) {
        record.method = None;
    }
    // A type of the service's own list is no value of the header field.
    record.response_fields.retain(|(name, value)| name != "content-type" || value.contains('/'));
    if record.host.is_some() { Line::Record } else { Line::Nothing }
}

/// URI schemes of the service's names of protocols.
fn scheme(name: &str) -> Option<&'static str> {
    const SCHEMES: [(&str, &str); 9] = [
        ("HTTP", "http"),
        ("HTTP_PROXY", "http"),
        ("WEBSOCKET", "http"),
        ("HTTPS", "https"),
        ("DNSOVERHTTPS", "https"),
        ("WEBSOCKET_SSL", "https"),
        ("SSL", "ssl"),
        ("TUNNEL", "tunnel"),
        ("TUNNEL_SSL", "ssl"),
    ];
    let known = SCHEMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    known.map(|(_, scheme)| *scheme)
}

/// Columns of CSV without a header: the fields of the template that we recommend.
const ORDER: [&str; 21] = [
    "time",
    "product",
    "vendor",
    "login",
    "dept",
    "devicehostname",
    "cip",
    "cintip",
    "sip",
    "proto",
    "reqmethod",
    "host",
    "url",
    "respcode",
    "contenttype",
    "ua",
    "referer",
    "action",
    "reqsize",
    "respsize",
    "recordid",
];

/// Names of the feed's fields, and of the template for Splunk.
const KEYS: &Table = &[
    ("time", Meaning::Time),
    ("datetime", Meaning::Time),
    ("epochtime", Meaning::Time),
    ("product", Meaning::Unused),
    ("vendor", Meaning::Unused),
    ("login", Meaning::User),
    ("elogin", Meaning::User),
    ("user", Meaning::User),
    ("dept", Meaning::Group),
    ("department", Meaning::Group),
    ("edepartment", Meaning::Group),
    ("devicehostname", Meaning::Device),
    ("cip", Meaning::Client),
    ("clientip", Meaning::Client),
    ("srcport", Meaning::ClientPort),
    // The address that the internet sees is not the client's own.
    ("cintip", Meaning::Unused),
    ("clientpublicip", Meaning::Unused),
    ("sip", Meaning::Unused),
    ("serverip", Meaning::Unused),
    ("proto", Meaning::Scheme),
    ("protocol", Meaning::Scheme),
    ("reqmethod", Meaning::Method),
    ("requestmethod", Meaning::Method),
    ("host", Meaning::Host),
    ("ehost", Meaning::Host),
    ("hostname", Meaning::Host),
    ("url", Meaning::Url),
    ("eurl", Meaning::Url),
    ("respcode", Meaning::Status),
    ("status", Meaning::Status),
    ("contenttype", Meaning::ResponseType),
    ("ua", Meaning::UserAgent),
    ("eua", Meaning::UserAgent),
    ("useragent", Meaning::UserAgent),
    ("referer", Meaning::Referer),
    ("ereferer", Meaning::Referer),
    ("refererurl", Meaning::Referer),
    ("action", Meaning::Action),
    ("reqsize", Meaning::RequestBytes),
    ("requestsize", Meaning::RequestBytes),
    ("respsize", Meaning::ResponseBytes),
    ("responsesize", Meaning::ResponseBytes),
    ("recordid", Meaning::RequestId),
    ("event_id", Meaning::RequestId),
    ("tz", Meaning::Unused),
];

#[cfg(test)]
mod tests {
    use super::super::key_value::find;
    use super::*;

    fn read(line: &str) -> Result<(Line, Record<'_>), Reason> {
        let mut record = Record::default();
        Nss::new().line(line.as_bytes(), &mut record).map(|line| (line, record))
    }

    #[test]
    fn both_templates_of_pairs_are_read() {
        let ours = "2026-11-22 08:00:00\tproduct=NSS\tvendor=Zscaler\tlogin=ana%40corp.example\t\
                    cip=192.0.2.1\tproto=HTTPS\treqmethod=POST\thost=mcp.example\t\
                    url=mcp.example/mcp%20x\trespcode=200\tua=agent/1%20x\tcontenttype=text/plain\t\
                    referer=None\taction=Allowed\trecordid=7\ttz=GMT";
        let splunk = "<134>Nov 22 08:00:01 nss 2026-11-22 08:00:00\treason=Allowed\tevent_id=7\t\
                      protocol=HTTPS\taction=Allowed\trequestmethod=POST\turl=\"mcp.example/mcp%20x\"\t\
                      useragent=\"agent/1 x\"\tClientIP=192.0.2.1\tstatus=200\tuser=ana@corp.example\t\
                      hostname=mcp.example\tcontenttype=text/plain\tpagerisk=0";
        for line in [ours, splunk] {
            let (_, record) = read(line).unwrap();
            assert_eq!(record.time, Some(crate::time::Timestamp::from_parts(1_795_334_400, 0)));
            assert_eq!(record.user.as_deref(), Some("ana@corp.example"));
            assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()));
            assert_eq!(record.scheme.as_deref(), Some("https"));
            assert_eq!(record.target.as_deref(), Some("/mcp%20x"));
            assert_eq!(record.request_fields, [("user-agent".into(), "agent/1 x".into())]);
            assert_eq!(record.response_fields.len(), 1);
            assert_eq!(record.request_id.as_deref(), Some("7"));
            assert!(!record.blocked);
        }
    }

    #[test]
    fn csv_has_a_header_or_our_order() {
        let line = r#""Sun Nov 22 08:00:00 2026","NSS","Zscaler","ana","Sales","pc1","192.0.2.1","203.0.113.1","198.51.100.1","SSL","NA","mcp.example","mcp.example:443","NA","Other","None","None","Blocked","1","2","7""#;
        let (_, record) = read(line).unwrap();
        assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(record.scheme.as_deref(), Some("ssl"));
        assert_eq!((record.method.as_deref(), record.status), (None, None));
        assert!(record.blocked && record.response_fields.is_empty());
        let mut format = Nss::new();
        let header = format.line(b"reqmethod,host,action", &mut Record::default());
        assert_eq!(header, Ok(Line::Nothing));
        let mut record = Record::default();
        assert_eq!(format.line(b"GET,\"mcp.example\",Allowed", &mut record), Ok(Line::Record));
        assert_eq!(record.method.as_deref(), Some("GET"));
    }

    #[test]
    fn other_lines_have_a_reason() {
        for line in ["", "x,y", "a\tb", "2026-11-22 08:00:00\tx=1\ty=2", "noon\thost=a\tcip=1"] {
            assert!(read(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn the_default_order_has_only_known_names() {
        for name in ORDER {
            assert!(find(KEYS, name.as_bytes()).is_some(), "{name}");
        }
    }
}
