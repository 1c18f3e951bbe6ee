//! nginx with a `log_format` that writes JSON.
//!
//! The keys are those that we recommend, or nginx's own names of the variables. `http_*` and
//! `sent_http_*` are header fields, whichever they are.

use super::json::{Keys, Lines, Probe, Side, as_it_stands};
use super::recommended;
use crate::logs::{Framing, Likelihood, Meaning, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "nginx-json",
    title: "nginx, JSON log_format",
    stance: Stance::Reverse,
    framing: Framing::Lines,
    sniff,
    open: || Lines::open(keys(), as_it_stands),
};

const TABLE: &[(&str, Meaning)] = &[
    ("remote_addr", Meaning::Client),
    ("remote_port", Meaning::ClientPort),
    ("server_addr", Meaning::Server),
    ("request_method", Meaning::Method),
    ("request_uri", Meaning::Target),
    ("args", Meaning::Query),
    ("query_string", Meaning::Query),
    ("http_host", Meaning::Host),
    ("request", Meaning::RequestLine),
    ("server_protocol", Meaning::Version),
    ("content_type", Meaning::RequestType),
    ("sent_http_content_type", Meaning::ResponseType),
    ("http_user_agent", Meaning::UserAgent),
    ("http_referer", Meaning::Referer),
    ("http_referrer", Meaning::Referer),
    ("remote_user", Meaning::User),
    ("ssl_server_name", Meaning::Sni),
    ("ssl_protocol", Meaning::TlsVersion),
    ("ssl_alpn_protocol", Meaning::Alpn),
    ("request_length", Meaning::RequestBytes),
    ("bytes_sent", Meaning::ResponseBytes),
    ("body_bytes_sent", Meaning::ResponseBytes),
];

const OTHERWISE: &[(&str, Meaning)] = &[
    ("msec", Meaning::Time),
    ("time_iso8601", Meaning::Time),
    ("time_local", Meaning::Time),
    ("timestamp", Meaning::Time),
    ("@timestamp", Meaning::Time),
    ("uri", Meaning::Path),
    ("server_name", Meaning::Host),
    ("http_content_type", Meaning::RequestType),
    ("upstream_http_content_type", Meaning::ResponseType),
];

fn keys() -> Keys {
    recommended::keys().fields(TABLE).otherwise(OTHERWISE).field_of_key(field)
}

/// `http_mcp_session_id` and its like.
fn field(key: &str) -> Option<(Side, String)> {
    let (side, name) = match key.strip_prefix("http_") {
        Some(name) => (Side::Request, name),
        None => (Side::Response, key.strip_prefix("sent_http_")?),
    };
    // The address of the client may have a name of that kind, and is no field.
    (!matches!(name, "status" | "code" | "method" | "version" | "path" | "uri"))
        .then(|| (side, name.replace('_', "-")))
}

fn sniff(bytes: &[u8]) -> Likelihood {
    const OWN: &[&str] = &[
        "msec",
        "time_iso8601",
        "time_local",
        "remote_addr",
        "server_addr",
        "request_uri",
        "http_host",
        "http_user_agent",
        "body_bytes_sent",
        "request_length",
        "upstream_addr",
        "sent_http_content_type",
        "ssl_server_name",
    ];
    let probe = Probe::of(bytes);
    if probe.is(recommended::MARKER, "nginx") {
        return Likelihood::Certain;
    }
    match probe.count(OWN) {
        // Keys that we recommend, of whatever program: they mean the same.
        0 | 1 if recommended(&probe) => Likelihood::Possible,
        0 | 1 => Likelihood::No,
        2 | 3 => Likelihood::Likely,
        _ => Likelihood::Certain,
    }
}

fn recommended(probe: &Probe) -> bool {
    probe.has("time")
        && probe.has_any(&["client", "method", "host", "sni"])
        && probe.has_any(&["target", "url", "request_line", "sni", "status"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, record};

    #[test]
    fn own_names_and_recommended_names_say_the_same() {
        let own = r#"{"time_iso8601":"2026-11-22T08:00:00+00:00","msec":"1795334400.123",
            "remote_addr":"192.0.2.1","remote_port":"50123","server_addr":"198.51.100.1",
            "server_port":"443","request_method":"POST","scheme":"https",
            "http_host":"mcp.example","request_uri":"/mcp?a=1","server_protocol":"HTTP/2.0",
            "status":"200","http_user_agent":"python-httpx/0.28.1","http_accept":"text/event-stream",
            "content_type":"application/json","sent_http_content_type":"text/event-stream",
            "http_mcp_session_id":"s1","sent_http_mcp_session_id":"s1","remote_user":"ana",
            "http_x_forwarded_for":"","upstream_response_time":"0.1"}"#;
        let recommended = r#"{"log":"nginx","time":1795334400.123,"client":"192.0.2.1",
            "client_port":50123,"server":"198.51.100.1","server_port":443,"method":"POST",
            "scheme":"https","host":"mcp.example","target":"/mcp?a=1","version":"HTTP/2.0",
            "status":200,"user_agent":"python-httpx/0.28.1","accept":"text/event-stream",
            "request_type":"application/json","response_type":"text/event-stream",
            "mcp_session":"s1","response_mcp_session":"s1","user":"ana"}"#;
        assert_eq!(record(&SPEC, own), record(&SPEC, recommended));
    }

    #[test]
    fn a_line_without_json_escapes_is_read() {
        let line = r#"{"remote_addr":"192.0.2.1","request":"GET /\x22a\x22 HTTP/1.1","status":-}"#;
        let record = record(&SPEC, line);
        assert_eq!(record.target.as_deref(), Some("/\"a\""));
        assert_eq!(record.status, None);
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "nginx-json.json");
    }
}
