//! Suricata's EVE log: events `http`, `http2`, `tls`, `quic`, `dns`, and `fileinfo` where `http` is
//! not logged. Events of another kind are passed over.
//!
//! With `dump-all-headers` the lists of header fields are all there were; without, what stands
//! apart is all that is known.

use super::json::{Keys, Notes, Probe, Side, read};
use crate::logs::{Format, Framing, Likelihood, Line, Meaning, Reason, Record, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "suricata-eve",
    title: "Suricata, EVE",
    stance: Stance::Observer,
    framing: Framing::Lines,
    sniff,
    open: || Box::new(Eve { keys: keys(), has_http: false }),
};

const TABLE: &[(&str, Meaning)] = &[
    ("timestamp", Meaning::Time),
    ("src_ip", Meaning::Client),
    ("src_port", Meaning::ClientPort),
    ("dest_ip", Meaning::Server),
    ("dest_port", Meaning::ServerPort),
    ("proto", Meaning::Transport),
    ("community_id", Meaning::CommunityId),
    ("http.hostname", Meaning::Host),
    ("http.http_port", Meaning::Port),
    ("http.url", Meaning::Target),
    ("http.http_method", Meaning::Method),
    ("http.protocol", Meaning::Version),
    ("http.status", Meaning::Status),
    ("tls.sni", Meaning::Sni),
    ("tls.version", Meaning::TlsVersion),
    ("tls.subjectaltname", Meaning::CertificateName),
    ("tls.server_alpns", Meaning::Alpn),
    ("tls.ja4", Meaning::Ja4),
    ("quic.sni", Meaning::Sni),
    ("quic.ja4", Meaning::Ja4),
    ("dns.rrname", Meaning::DnsName),
    ("dns.rrtype", Meaning::DnsType),
    ("dns.queries.rrname", Meaning::DnsName),
    ("dns.queries.rrtype", Meaning::DnsType),
    ("dns.answers.rdata", Meaning::DnsAddress),
    ("dns.grouped.A", Meaning::DnsAddress),
    ("dns.grouped.AAAA", Meaning::DnsAddress),
];

/// Header fields that stand apart as well where the lists are.
const OTHERWISE: &[(&str, Meaning)] = &[
    ("http.http_user_agent", Meaning::UserAgent),
    ("http.http_refer", Meaning::Referer),
    ("http.accept", Meaning::Accept),
    ("http.origin", Meaning::OriginHeader),
    ("http.http_content_type", Meaning::ResponseType),
    ("http.redirect", Meaning::Location),
    ("http.location", Meaning::Location),
    ("http.version", Meaning::Version),
    ("dns.rcode", Meaning::DnsCode),
];

const EVENT: usize = 0;
const KIND_OF_DNS: usize = 1;

fn keys() -> Keys {
    Keys::of(TABLE)
        .otherwise(OTHERWISE)
        .headers(Side::Request, "http.request_headers")
        .headers(Side::Response, "http.response_headers")
        .note("event_type", EVENT)
        .note("dns.type", KIND_OF_DNS)
}

#[derive(Debug)]
struct Eve {
    keys: Keys,
    /// Exchanges are logged themselves, so those of files would be the same again.
    has_http: bool,
}

impl Format for Eve {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let Some(mut notes) = read(&self.keys, line, record)? else { return Ok(Line::Nothing) };
        match notes.text(EVENT) {
            Some("http" | "http2") => {
                self.has_http = true;
                exchange(record, &notes);
            }
            Some("fileinfo") if !self.has_http && record.method.is_some() => {
                // Told from the side that sent the file.
                turn(record, |server, client| server < client);
                exchange(record, &notes);
            }
            Some("tls") if record.sni.is_some() => {}
            Some("quic") if record.sni.is_some() => record.is_udp = true,
            Some("dns") if record.dns_name.is_some() => {
                dns(record, &notes);
            }
            _ => return Ok(Line::Nothing),
        }
        notes.check()?;
        Ok(Line::Record)
    }
}

fn exchange(record: &mut Record<'_>, notes: &Notes<'_>) {
    record.scheme.get_or_insert("http".into());
    let has_response = notes.has_response_list || record.status.is_none();
    record.has_all_fields = notes.has_request_list && has_response;
}

fn dns(record: &mut Record<'_>, notes: &Notes<'_>) {
    if matches!(notes.text(KIND_OF_DNS), Some("query" | "request")) {
        record.dns_code = None;
    }
    // Answers come one by one and in groups.
    let mut seen = std::collections::BTreeSet::new();
    record.dns_addresses.retain(|address| seen.insert(*address));
    // Older versions tell an answer from the side of the server.
    turn(record, |server, _| server == 53);
}

/// Exchanges the ends if `is_server` says so of the ports of what stands as client and server.
fn turn(record: &mut Record<'_>, is_server: fn(u16, u16) -> bool) {
    if let (Some(client), Some(server)) = (record.client_port, record.server_port)
        && is_server(client, server)
    {
        std::mem::swap(&mut record.client, &mut record.server);
        std::mem::swap(&mut record.client_port, &mut record.server_port);
    }
}

fn sniff(bytes: &[u8]) -> Likelihood {
    let probe = Probe::of(bytes);
    match (
        probe.has("event_type"),
        probe.has_any(&["flow_id", "src_ip", "in_iface", "stats.uptime"]),
    ) {
        (true, true) => Likelihood::Certain,
        (true, false) if probe.has("timestamp") => Likelihood::Possible,
        _ => Likelihood::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, lines, record};

    #[test]
    fn lists_of_fields_take_the_place_of_those_apart() {
        let line = r#"{"event_type":"http","http":{"http_method":"POST","url":"/mcp","status":200,
            "http_user_agent":"a/1","http_content_type":"application/json",
            "request_headers":[{"name":"User-Agent","value":"a/1"},{"name":"Accept","value":"*/*"}],
            "response_headers":[{"name":"Content-Type","value":"application/json"}]}}"#;
        let record = record(&SPEC, line);
        assert_eq!((record.request_fields.len(), record.response_fields.len()), (2, 1));
        assert!(record.has_all_fields);
    }

    #[test]
    fn fields_apart_are_not_all_there_were() {
        let line = r#"{"event_type":"http","http":{"http_method":"POST","url":"/mcp","status":200,
            "http_user_agent":"a/1","request_headers":[{"name":"Accept","value":"*/*"}]}}"#;
        let record = record(&SPEC, line);
        assert_eq!(record.request_fields.len(), 2);
        assert!(!record.has_all_fields);
    }

    #[test]
    fn files_count_only_where_exchanges_are_not_logged() {
        let file = r#"{"event_type":"fileinfo","src_ip":"198.51.100.1","src_port":80,
            "dest_ip":"192.0.2.1","dest_port":50123,"http":{"http_method":"POST","url":"/mcp"}}"#
            .replace('\n', " ");
        let http = r#"{"event_type":"http","http":{"http_method":"POST","url":"/mcp"}}"#;
        let alone = record(&SPEC, &file);
        assert_eq!(alone.client, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(alone.server_port, Some(80));
        let both = lines(&SPEC, format!("{http}\n{file}\n").as_bytes()).1;
        assert_eq!((both.lines, both.records, both.bad), (2, 1, 0));
    }

    #[test]
    fn answers_of_dns_have_addresses_in_every_version() {
        let answers = [
            r#"{"version":2,"type":"answer","rrname":"h","rrtype":"A","rcode":"NOERROR",
                "answers":[{"rrname":"h","rrtype":"CNAME","rdata":"c"},
                {"rrname":"c","rrtype":"A","rdata":"192.0.2.7"}],"grouped":{"A":["192.0.2.7"]}}"#,
            r#"{"version":2,"type":"answer","rrname":"h","rrtype":"A","rcode":"NOERROR",
                "grouped":{"A":["192.0.2.7"],"CNAME":["c"]}}"#,
            r#"{"version":3,"type":"response","rcode":"NOERROR",
                "queries":[{"rrname":"h","rrtype":"A"}],"answers":[{"rdata":"192.0.2.7"}]}"#,
        ];
        for dns in answers {
            let line =
                format!(r#"{{"event_type":"dns","src_port":53,"dest_port":4000,"dns":{dns}}}"#);
            let record = record(&SPEC, &line);
            assert_eq!(record.dns_name.as_deref(), Some("h"), "{dns}");
            assert_eq!((record.dns_type, record.dns_code), (Some(1), Some(0)), "{dns}");
            assert_eq!(record.dns_addresses, ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]);
            assert_eq!(record.server_port, Some(53), "{dns}");
        }
    }

    #[test]
    fn events_of_another_kind_are_nothing_however_odd() {
        let line = br#"{"event_type":"flow","src_port":"x","src_ip":"192.0.2.1"}"#;
        let (_, counters) = lines(&SPEC, line);
        assert_eq!((counters.lines, counters.records, counters.bad), (1, 0, 0));
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "suricata-eve.json");
    }
}
