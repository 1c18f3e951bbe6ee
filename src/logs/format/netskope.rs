//! Netskope transaction events: extended log format or CSV, columns named by a header line, which
//! may begin with `#Fields:` or with the names themselves.
//!
//! What its engine could not read of HTTP/2 has the method `PRI`; what it was told not to decrypt
//! has no method. Of both, the names are taken.

use super::super::{Framing, Likelihood, Line, Meaning, Record, Spec, Stance};
use super::delimited::{Delimited, Dialect};
use super::fields::Layout;
use super::key_value::Table;
use super::sniff;

/// Transaction events as exported to buckets and streams.
pub(super) static SPEC: Spec = Spec {
    name: "netskope",
    title: "Netskope transaction events, extended log format or CSV",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff: judge,
    open: || Box::new(Delimited::new(&DIALECT)),
};

fn judge(bytes: &[u8]) -> Likelihood {
    const NAMES: [&[u8]; 4] =
        [b"x-cs-timestamp", b"x-policy-action", b"x-transaction-id", b"x-cs-app"];
    let header = sniff::lines(bytes).find(|line| {
        line.first() != Some(&b'#') || super::delimited::after_prefix(line, b"#fields:").is_some()
    });
    match header {
        Some(line) if NAMES.iter().any(|name| memchr::memmem::find(line, name).is_some()) => {
            Likelihood::Certain
        }
        _ => Likelihood::No,
    }
}

static DIALECT: Dialect = Dialect {
    layout: Layout::EXTENDED,
    table: FIELDS,
    otherwise: &[],
    set_separator: None,
    absent: &["NotChecked", "NotAvailable", "N/A", "UNKNOWN"],
    has_bare_header: true,
    defaults: &[],
    finish,
};

fn finish(record: &mut Record<'_>) -> Line {
    let method = record.method.as_deref();
    if method.is_none() || method == Some("PRI") {
        (record.method, record.target, record.query) = (None, None, None);
    }
    match (&record.host, &record.sni, record.method.is_some()) {
        (None, None, false) => Line::Nothing,
        _ => Line::Record,
    }
}

const FIELDS: &Table = &[
    ("date", Meaning::Date),
    ("time", Meaning::TimeOfDay),
    ("x-cs-timestamp", Meaning::Time),
    ("c-ip", Meaning::Client),
    ("x-cs-userip", Meaning::Client),
    ("x-cs-src-port", Meaning::ClientPort),
    // Addresses on the other side of the proxy are not whom the client talked to.
    ("cs-username", Meaning::User),
    ("x-c-device-name", Meaning::Device),
    ("x-c-hostname", Meaning::Device),
    ("cs-method", Meaning::Method),
    ("cs-uri-scheme", Meaning::Scheme),
    ("cs-host", Meaning::Host),
    ("cs-uri-port", Meaning::Port),
    ("x-cs-url", Meaning::Url),
    ("cs-url", Meaning::Url),
    ("cs-uri", Meaning::Target),
    ("x-cs-uri-path", Meaning::Path),
    ("cs-uri-path", Meaning::Path),
    ("cs-uri-query", Meaning::Query),
    ("x-cs-http-version", Meaning::Version),
    ("x-cs-sni", Meaning::Sni),
    ("x-cs-ssl-version", Meaning::TlsVersion),
    ("x-r-cert-subject-cn", Meaning::CertificateName),
    ("cs-user-agent", Meaning::UserAgent),
    ("cs-referer", Meaning::Referer),
    ("cs-content-type", Meaning::RequestType),
    ("sc-content-type", Meaning::ResponseType),
    ("sc-status", Meaning::Status),
    ("cs-bytes", Meaning::RequestBytes),
    ("sc-bytes", Meaning::ResponseBytes),
    ("x-policy-action", Meaning::Action),
    ("x-ssl-policy-action", Meaning::Unused),
    ("x-transaction-id", Meaning::RequestId),
];
