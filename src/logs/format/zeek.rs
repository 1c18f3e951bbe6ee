//! Zeek: http.log, ssl.log, quic.log and dns.log as tab-separated values.
//!
//! `#path` says which log it is, `#fields` names the columns, `#separator`, `#set_separator`,
//! `#unset_field` and `#empty_field` how they are written. MIME types in http.log are what Zeek
//! found in the bodies, not what header fields said: they are left alone. Columns that a policy
//! script adds (`mcp_session_id` and others) are read.

use std::borrow::Cow;

use super::super::{Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance};
use super::delimited::{Columns, after_prefix};
use super::fields::{Escape, Fields, Layout, text};
use super::key_value::Table;
use super::sniff;

/// Tab-separated logs.
pub(super) static SPEC: Spec = Spec {
    name: "zeek",
    title: "Zeek http.log, ssl.log, quic.log or dns.log, tab-separated",
    stance: Stance::Observer,
    framing: Framing::Lines,
    sniff: |bytes| {
        let has_separator = sniff::header_has(bytes, b"#separator");
        let is_zeek = has_separator && sniff::header_has(bytes, b"#path");
        if is_zeek { Likelihood::Certain } else { Likelihood::No }
    },
    open: || Box::new(Tsv::new()),
};

#[derive(Debug)]
struct Tsv {
    layout: Layout,
    set_separator: u8,
    /// What stands for nothing: `#unset_field` and `#empty_field`.
    unset: Box<str>,
    empty: Box<str>,
    /// Of `#path`; `None` before it, and of logs of other kinds.
    log: Option<Log>,
    columns: Option<Columns>,
}

impl Tsv {
    fn new() -> Self {
        Self {
            layout: Layout { escape: Escape::Backslash, ..Layout::TABS },
            set_separator: b',',
            unset: "-".into(),
            empty: "(empty)".into(),
            log: None,
            columns: None,
        }
    }

    fn directive(&mut self, line: &[u8]) {
        if let Some(separator) = after_prefix(line, b"#separator ") {
            // Written as an escape, since it cannot separate itself.
            let separator = text(separator, Escape::Backslash);
            self.layout.separator = separator.bytes().next().unwrap_or(b'\t');
            return;
        }
        let mut fields = Fields::new(line, self.layout);
        let Some(Ok(name)) = fields.next() else { return };
        let value = || Fields::new(fields.rest(), self.layout).next()?.ok().map(|field| field.raw);
        let word = || value().map(|raw| String::from_utf8_lossy(raw).into());
        match name.raw {
            b"#set_separator" => {
                self.set_separator = *value().and_then(<[u8]>::first).unwrap_or(&b',')
            }
            b"#unset_field" => self.unset = word().unwrap_or_default(),
            b"#empty_field" => self.empty = word().unwrap_or_default(),
            b"#path" => {
                let path = value().unwrap_or_default();
                (self.log, self.columns) = (Log::of(path), None);
            }
            b"#fields" => {
                let names = fields.map_while(Result::ok).map(|field| field.text());
                let table = self.log.map(Log::table).unwrap_or_default();
                let columns = Columns::of(names, table).with_sets(self.set_separator);
                self.columns = Some(columns);
            }
            _ => {}
        }
    }
}

impl Format for Tsv {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        if line.first() == Some(&b'#') {
            self.directive(line);
            return Ok(Line::Nothing);
        }
        let Some(columns) = &self.columns else {
            return Err(Reason::of("no #fields line has named the columns"));
        };
        // A log of another kind says nothing.
        let Some(log) = self.log else { return Ok(Line::Nothing) };
        columns.fill(Fields::new(line, self.layout), &[&self.unset, &self.empty], record)?;
        match log {
            // What Zeek reads as HTTP is in the clear.
            Log::Http => record.scheme = Some(Cow::Borrowed("http")),
            Log::Quic => record.is_udp = true,
            Log::Ssl | Log::Dns => {}
        }
        Ok(finish(record))
    }
}

/// The logs that are read.
#[derive(Clone, Copy, Debug)]
enum Log {
    Http,
    Ssl,
    Quic,
    Dns,
}

impl Log {
    fn of(path: &[u8]) -> Option<Self> {
        Some(match path {
            b"http" => Self::Http,
            b"ssl" => Self::Ssl,
            b"quic" => Self::Quic,
            b"dns" => Self::Dns,
            _ => return None,
        })
    }

    const fn table(self) -> &'static Table {
        match self {
            Self::Http => HTTP,
            Self::Ssl => SSL,
            Self::Quic => QUIC,
            Self::Dns => DNS,
        }
    }
}

/// What the columns alone do not say.
fn finish(record: &mut Record<'_>) -> Line {
    if let Some(target) = record.target.take() {
        // A request to a proxy has a whole URL in its place, or an authority.
        if target.starts_with('/') || target == "*" {
            record.target = Some(target);
        } else {
            let method = record.method.take().unwrap_or_default();
            let line = Cow::Owned(format!("{method} {target}"));
            if record.put(Meaning::RequestLine, super::super::Value::Text(line)).is_err() {
                return Line::Nothing;
            }
        }
    }
    for name in &mut record.certificate_names {
        *name = Cow::Owned(common_name(name).to_owned());
    }
    record.certificate_names.retain(|name| !name.is_empty());
    let says = record.method.is_some()
        || record.target.is_some()
        || record.sni.is_some()
        || record.dns_name.is_some();
    if says { Line::Record } else { Line::Nothing }
}

/// The common name of a subject (RFC 4514), if it is a name of DNS.
fn common_name(subject: &str) -> &str {
    let name = subject.split(',').find_map(|part| part.trim().strip_prefix("CN="));
    name.filter(|name| name.contains('.') && !name.contains(' ')).unwrap_or_default()
}

const HTTP: &Table = &[
    ("ts", Meaning::Time),
    ("id.orig_h", Meaning::Client),
    ("id.orig_p", Meaning::ClientPort),
    ("id.resp_h", Meaning::Server),
    ("id.resp_p", Meaning::ServerPort),
    ("method", Meaning::Method),
    ("host", Meaning::Host),
    ("uri", Meaning::Target),
    ("referrer", Meaning::Referer),
    ("version", Meaning::Version),
    ("user_agent", Meaning::UserAgent),
    ("origin", Meaning::OriginHeader),
    ("status_code", Meaning::Status),
    ("username", Meaning::User),
    ("community_id", Meaning::CommunityId),
    // Added by a policy script.
    ("accept", Meaning::Accept),
    ("content_type", Meaning::RequestType),
    ("resp_content_type", Meaning::ResponseType),
    ("mcp_session_id", Meaning::McpSession),
    ("resp_mcp_session_id", Meaning::ResponseMcpSession),
    ("mcp_protocol_version", Meaning::McpVersion),
    ("mcp_method", Meaning::McpMethod),
    ("mcp_name", Meaning::McpName),
    ("www_authenticate", Meaning::WwwAuthenticate),
    ("location", Meaning::Location),
];

const SSL: &Table = &[
    ("ts", Meaning::Time),
    ("id.orig_h", Meaning::Client),
    ("id.orig_p", Meaning::ClientPort),
    ("id.resp_h", Meaning::Server),
    ("id.resp_p", Meaning::ServerPort),
    ("version", Meaning::TlsVersion),
    ("server_name", Meaning::Sni),
    ("next_protocol", Meaning::Alpn),
    ("subject", Meaning::CertificateName),
    ("ja4", Meaning::Ja4),
    ("community_id", Meaning::CommunityId),
];

const QUIC: &Table = &[
    ("ts", Meaning::Time),
    ("id.orig_h", Meaning::Client),
    ("id.orig_p", Meaning::ClientPort),
    ("id.resp_h", Meaning::Server),
    ("id.resp_p", Meaning::ServerPort),
    ("server_name", Meaning::Sni),
    ("client_protocol", Meaning::Alpn),
    ("community_id", Meaning::CommunityId),
];

const DNS: &Table = &[
    ("ts", Meaning::Time),
    ("id.orig_h", Meaning::Client),
    ("id.orig_p", Meaning::ClientPort),
    ("id.resp_h", Meaning::Server),
    ("id.resp_p", Meaning::ServerPort),
    ("proto", Meaning::Transport),
    ("query", Meaning::DnsName),
    ("qtype", Meaning::DnsType),
    ("rcode", Meaning::DnsCode),
    ("answers", Meaning::DnsAddress),
    ("community_id", Meaning::CommunityId),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lines: &[&str]) -> Vec<Result<(Line, Record<'static>), Reason>> {
        let mut format = Tsv::new();
        let lines = lines.iter().map(|line| {
            let line: &'static str = Box::leak((*line).to_owned().into_boxed_str());
            let mut record = Record::default();
            format.line(line.as_bytes(), &mut record).map(|line| (line, record))
        });
        lines.collect()
    }

    fn last(lines: &[&str]) -> Record<'static> {
        let (line, record) = run(lines).pop().unwrap().unwrap();
        assert_eq!(line, Line::Record);
        record
    }

    #[test]
    fn http_lines_are_read_by_their_columns() {
        let record = last(&[
            "#separator \\x09",
            "#unset_field\t-",
            "#path\thttp",
            "#fields\tts\tid.orig_h\tid.resp_h\tid.resp_p\tmethod\thost\turi\tuser_agent\tmcp_session_id\tresp_mime_types",
            "#types\ttime\taddr\taddr\tport\tstring\tstring\tstring\tstring\tstring\tvector[string]",
            "1795334400.25\t192.0.2.1\t198.51.100.1\t8080\tPOST\tmcp.example:8080\t/mcp?a=\\x09b\tagent/1\ts1\ttext/json",
        ]);
        assert_eq!(record.server, Some("198.51.100.1".parse().unwrap()));
        assert_eq!((record.host.as_deref(), record.port), (Some("mcp.example"), Some(8080)));
        assert_eq!(record.target.as_deref(), Some("/mcp?a=\tb"));
        assert_eq!(record.request_fields.len(), 2);
        assert_eq!(record.response_fields, []);
    }

    #[test]
    fn requests_to_a_proxy_have_their_url() {
        let head = ["#path\thttp", "#fields\tts\tmethod\thost\turi"];
        for (line, target) in [
            ("1795334400\tGET\tproxy.example:3128\thttp://mcp.example:8000/mcp", Some("/mcp")),
            ("1795334400\tCONNECT\t-\tmcp.example:8000", None),
        ] {
            let record = last(&[head[0], head[1], line]);
            assert_eq!((record.host.as_deref(), record.port), (Some("mcp.example"), Some(8000)));
            assert_eq!(record.target.as_deref(), target);
        }
    }

    #[test]
    fn names_come_from_tls_and_quic() {
        let record = last(&[
            "#path\tssl",
            "#fields\tts\tversion\tserver_name\tnext_protocol\tsubject",
            "1795334400\tTLSv13\tmcp.example\th2\tCN=mcp.example,O=X Inc.,C=US",
        ]);
        assert_eq!(record.sni.as_deref(), Some("mcp.example"));
        assert_eq!(record.tls_version, Some(0x0304));
        assert_eq!(record.certificate_names, ["mcp.example"]);
        let record = last(&[
            "#path\tquic",
            "#fields\tts\tversion\tserver_name",
            "1795334400\t1\tmcp.example",
        ]);
        assert_eq!(record.sni.as_deref(), Some("mcp.example"));
    }

    #[test]
    fn answers_of_dns_are_a_set() {
        let record = last(&[
            "#set_separator\t,",
            "#path\tdns",
            "#fields\tts\tproto\tquery\tqtype\trcode\tanswers",
            "1795334400\tudp\tmcp.example\t1\t0\talias.example,192.0.2.7,192.0.2.8",
        ]);
        assert_eq!(record.dns_name.as_deref(), Some("mcp.example"));
        assert_eq!((record.dns_type, record.dns_code), (Some(1), Some(0)));
        assert_eq!(record.dns_addresses.len(), 2);
    }

    #[test]
    fn lines_without_names_of_columns_have_a_reason_and_other_logs_are_nothing() {
        assert!(run(&["1795334400\tx"]).pop().unwrap().is_err());
        let other = run(&["#path\tconn", "#fields\tts\tuid", "1795334400\tx"]).pop().unwrap();
        assert_eq!(other.unwrap().0, Line::Nothing);
        let cut = run(&["#path\tssl", "#fields\tts\tserver_name", "1795334400"]).pop().unwrap();
        assert!(cut.is_err());
    }
}
