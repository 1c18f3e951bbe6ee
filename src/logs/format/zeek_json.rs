//! Zeek's `http.log`, `ssl.log`, `quic.log` and `dns.log` as JSON, told apart by their keys, so
//! that one stream may hold them all. Other logs are passed over.

use super::json::{Keys, Lines, Notes, Probe};
use crate::logs::{Framing, Likelihood, Line, Meaning, Record, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "zeek-json",
    title: "Zeek, http.log, ssl.log, quic.log and dns.log as JSON",
    stance: Stance::Observer,
    framing: Framing::Lines,
    sniff,
    open: || Lines::open(keys(), settle),
};

const TABLE: &[(&str, Meaning)] = &[
    ("ts", Meaning::Time),
    ("id.orig_h", Meaning::Client),
    ("id.orig_p", Meaning::ClientPort),
    ("id.resp_h", Meaning::Server),
    ("id.resp_p", Meaning::ServerPort),
    ("proto", Meaning::Transport),
    ("community_id", Meaning::CommunityId),
    // http.log; the MIME types there are Zeek's own judgement, not what a header field said.
    ("method", Meaning::Method),
    ("host", Meaning::Host),
    ("uri", Meaning::Target),
    ("referrer", Meaning::Referer),
    ("user_agent", Meaning::UserAgent),
    ("origin", Meaning::OriginHeader),
    ("status_code", Meaning::Status),
    ("username", Meaning::User),
    // ssl.log and quic.log
    ("server_name", Meaning::Sni),
    ("next_protocol", Meaning::Alpn),
    ("ja4", Meaning::Ja4),
    ("san.dns", Meaning::CertificateName),
    // dns.log
    ("query", Meaning::DnsName),
    ("rcode", Meaning::DnsCode),
    ("answers", Meaning::DnsAddress),
];

const OTHERWISE: &[(&str, Meaning)] =
    &[("qtype", Meaning::DnsType), ("qtype_name", Meaning::DnsType)];

/// Of HTTP, of TLS or of QUIC.
const VERSION: usize = 0;
const CIPHER: usize = 1;
const ESTABLISHED: usize = 2;
const QUIC: usize = 3;
const HISTORY: usize = 4;

fn keys() -> Keys {
    Keys::of(TABLE)
        .otherwise(OTHERWISE)
        .note("version", VERSION)
        .note("cipher", CIPHER)
        .note("established", ESTABLISHED)
        .note("client_initial_dcid", QUIC)
        .note("conn_state", HISTORY)
}

fn settle<'a>(record: &mut Record<'a>, notes: &mut Notes<'a>) -> Line {
    if record.dns_name.is_some() {
        return Line::Record;
    }
    if notes.is_set(QUIC) {
        record.is_udp = true;
        return names(record);
    }
    let version = notes.take_text(VERSION);
    let is_http = record.method.is_some() || record.target.is_some();
    if is_http {
        // What Zeek reads as HTTP is in the clear.
        record.scheme = Some("http".into());
        record.version = version;
        return Line::Record;
    }
    if notes.is_set(HISTORY) {
        return Line::Nothing;
    }
    if let Some(version) = version {
        record.is_udp |= version.starts_with("DTLS");
        let value = crate::logs::Value::Text(version);
        // A version that is none of TLS says nothing.
        if record.put(Meaning::TlsVersion, value).is_err() {
            record.tls_version = None;
        }
    }
    names(record)
}

/// A handshake without a name says nothing, and so does another log.
fn names(record: &Record<'_>) -> Line {
    if record.sni.is_some() { Line::Record } else { Line::Nothing }
}

fn sniff(bytes: &[u8]) -> Likelihood {
    let probe = Probe::of(bytes);
    let is_flow = probe.has("id.orig_h") || probe.has("uid") || probe.has("_path");
    if probe.has("ts") && is_flow { Likelihood::Certain } else { Likelihood::No }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, lines, record};

    #[test]
    fn versions_are_told_apart() {
        let http = record(&SPEC, r#"{"ts":1,"method":"GET","uri":"/","version":"1.1"}"#);
        assert_eq!((http.version.as_deref(), http.tls_version), (Some("1.1"), None));
        let tls = record(&SPEC, r#"{"ts":1,"server_name":"h","version":"TLSv13","cipher":"X"}"#);
        assert_eq!((tls.version, tls.tls_version, tls.is_udp), (None, Some(0x0304), false));
        let quic = r#"{"ts":1,"server_name":"h","version":"1","client_initial_dcid":"ab"}"#;
        let quic = record(&SPEC, quic);
        assert_eq!((quic.tls_version, quic.is_udp), (None, true));
    }

    #[test]
    fn a_request_to_a_proxy_has_its_parts() {
        let record = record(&SPEC, r#"{"method":"GET","host":"h","uri":"http://h:81/a?b"}"#);
        assert_eq!((record.port, record.target.as_deref()), (Some(81), Some("/a?b")));
    }

    #[test]
    fn other_logs_are_nothing() {
        let conn = br#"{"ts":1.5,"uid":"C1","id.orig_h":"192.0.2.1","conn_state":"SF"}"#;
        let files = br#"{"ts":1.5,"fuid":"F1","mime_type":"text/json"}"#;
        for line in [&conn[..], files] {
            let (_, counters) = lines(&SPEC, line);
            assert_eq!((counters.lines, counters.records, counters.bad), (1, 0, 0));
        }
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "zeek-json.json");
    }
}
