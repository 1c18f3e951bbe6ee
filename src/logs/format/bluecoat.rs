//! Blue Coat and Symantec proxies (Edge SWG): W3C extended log format, columns named by `#Fields:`.
//!
//! Any header field can be logged as `cs(Name)` or `rs(Name)`: those of MCP too, if the
//! administrator adds them. Times are GMT, as the format says.

use super::super::{Framing, Likelihood, Line, Meaning, Record, Spec, Stance};
use super::delimited::{Delimited, Dialect};
use super::fields::Layout;
use super::key_value::Table;
use super::sniff;

/// Extended log format of a proxy.
pub(super) static SPEC: Spec = Spec {
    name: "bluecoat",
    title: "Blue Coat / Symantec Edge SWG, W3C extended log format",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff: judge,
    open: || Box::new(Delimited::new(&DIALECT)),
};

fn judge(bytes: &[u8]) -> Likelihood {
    let has = |text: &[u8]| sniff::header_has(bytes, text);
    if has(b"Microsoft") || has(b"x-cs-timestamp") || !has(b"#Fields:") {
        // Web servers of Microsoft and others write this format too.
        return Likelihood::No;
    }
    if has(b"SGOS") || has(b"x-bluecoat") { Likelihood::Certain } else { Likelihood::Likely }
}

static DIALECT: Dialect = Dialect {
    layout: Layout::EXTENDED,
    table: FIELDS,
    otherwise: &[],
    set_separator: None,
    absent: &[],
    has_bare_header: false,
    defaults: &[&MAIN],
    finish: |record| if says_something(record) { Line::Record } else { Line::Nothing },
};

fn says_something(record: &Record<'_>) -> bool {
    record.host.is_some() || record.target.is_some()
}

/// The order of the format `bcreportermain_v1`, which the appliance comes with.
const MAIN: [&str; 25] = [
    "date",
    "time",
    "time-taken",
    "c-ip",
    "cs-username",
    "cs-auth-group",
    "x-exception-id",
    "sc-filter-result",
    "cs-categories",
    "cs(Referer)",
    "sc-status",
    "s-action",
    "cs-method",
    "rs(Content-Type)",
    "cs-uri-scheme",
    "cs-host",
    "cs-uri-port",
    "cs-uri-path",
    "cs-uri-query",
    "cs-uri-extension",
    "cs(User-Agent)",
    "s-ip",
    "sc-bytes",
    "cs-bytes",
    "x-virus-id",
];

const FIELDS: &Table = &[
    ("date", Meaning::Date),
    ("time", Meaning::TimeOfDay),
    ("timestamp", Meaning::Time),
    ("gmttime", Meaning::Time),
    ("c-ip", Meaning::Client),
    ("c-port", Meaning::ClientPort),
    // Where clients come to; what the proxy talks to (`r-ip`) is not what they talked to.
    ("s-ip", Meaning::Proxy),
    ("cs-username", Meaning::User),
    ("cs-userdn", Meaning::User),
    ("cs-auth-group", Meaning::Group),
    ("cs-auth-groups", Meaning::Group),
    ("x-exception-id", Meaning::Action),
    ("sc-filter-result", Meaning::Action),
    ("s-action", Meaning::Action),
    ("sc-status", Meaning::Status),
    ("cs-method", Meaning::Method),
    ("cs-uri", Meaning::Url),
    ("cs-uri-stem", Meaning::Url),
    ("cs-uri-scheme", Meaning::Scheme),
    ("cs-host", Meaning::Host),
    ("cs-uri-host", Meaning::Host),
    ("cs-uri-port", Meaning::Port),
    ("cs-uri-path", Meaning::Path),
    ("cs-uri-query", Meaning::Query),
    ("cs-version", Meaning::Version),
    ("cs(user-agent)", Meaning::UserAgent),
    ("cs(referer)", Meaning::Referer),
    ("cs(origin)", Meaning::OriginHeader),
    ("cs(accept)", Meaning::Accept),
    ("cs(content-type)", Meaning::RequestType),
    ("rs(content-type)", Meaning::ResponseType),
    ("cs(mcp-session-id)", Meaning::McpSession),
    ("rs(mcp-session-id)", Meaning::ResponseMcpSession),
    ("cs(mcp-protocol-version)", Meaning::McpVersion),
    ("cs(mcp-method)", Meaning::McpMethod),
    ("cs(mcp-name)", Meaning::McpName),
    ("rs(www-authenticate)", Meaning::WwwAuthenticate),
    ("rs(location)", Meaning::Location),
    ("cs-bytes", Meaning::RequestBytes),
    ("sc-bytes", Meaning::ResponseBytes),
    ("x-cs-connection-negotiated-ssl-version", Meaning::TlsVersion),
    ("x-rs-certificate-hostname", Meaning::CertificateName),
    ("x-bluecoat-transaction-uuid", Meaning::RequestId),
];
