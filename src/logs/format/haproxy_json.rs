//! HAProxy with a `log-format` that writes JSON, with keys that we recommend or those of common
//! examples.

use super::json::{Keys, Lines, Notes, Probe};
use super::recommended;
use crate::logs::{Framing, Likelihood, Line, Meaning, Record, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "haproxy-json",
    title: "HAProxy, JSON log-format",
    stance: Stance::Reverse,
    framing: Framing::Lines,
    sniff,
    open: || Lines::open(keys(), settle),
};

const TABLE: &[(&str, Meaning)] = &[
    ("client_ip", Meaning::Client),
    ("src", Meaning::Client),
    ("src_port", Meaning::ClientPort),
    ("frontend_ip", Meaning::Server),
    ("frontend_port", Meaning::ServerPort),
    ("http_method", Meaning::Method),
    ("request_method", Meaning::Method),
    ("http_uri", Meaning::Target),
    ("request_uri", Meaning::Target),
    ("http_path", Meaning::Path),
    ("http_query", Meaning::Query),
    ("http_version", Meaning::Version),
    ("http_request", Meaning::RequestLine),
    ("request", Meaning::RequestLine),
    ("http_host", Meaning::Host),
    ("http_user_agent", Meaning::UserAgent),
    ("status_code", Meaning::Status),
    ("http_status", Meaning::Status),
    ("unique_id", Meaning::RequestId),
    ("ssl_version", Meaning::TlsVersion),
    ("ssl_sni", Meaning::Sni),
    ("bytes_read", Meaning::ResponseBytes),
    ("bytes_uploaded", Meaning::RequestBytes),
];

const OTHERWISE: &[(&str, Meaning)] =
    &[("timestamp", Meaning::Time), ("date", Meaning::Time), ("@timestamp", Meaning::Time)];

const STATE: usize = 0;

fn keys() -> Keys {
    recommended::keys()
        .fields(TABLE)
        .otherwise(OTHERWISE)
        .note("termination_state", STATE)
        // What HAProxy writes where there is none.
        .absent(["<BADREQ>", "<NOSRV>"])
}

fn settle(record: &mut Record<'_>, notes: &mut Notes<'_>) -> Line {
    // The proxy ended it while it read the request: with that status a rule denied it.
    let is_denied = notes.text(STATE).is_some_and(|state| state.starts_with("PR"));
    record.blocked |= is_denied && record.status == Some(403);
    Line::Record
}

fn sniff(bytes: &[u8]) -> Likelihood {
    const OWN: &[&str] = &[
        "frontend_name",
        "frontend_ip",
        "frontend_port",
        "backend_name",
        "termination_state",
        "http_request",
        "unique_id",
        "retries",
        "server_queue",
        "srv_queue",
        "haproxy_frontend_type",
    ];
    let probe = Probe::of(bytes);
    if probe.is(recommended::MARKER, "haproxy") {
        return Likelihood::Certain;
    }
    match probe.count(OWN) {
        0 | 1 => Likelihood::No,
        2 => Likelihood::Likely,
        _ => Likelihood::Certain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, record};

    #[test]
    fn a_request_that_a_rule_denied_is_blocked() {
        for (status, state, blocked) in
            [(403, "PR--", true), (403, "----", false), (400, "PR--", false)]
        {
            let line = format!(
                r#"{{"client_ip":"192.0.2.1","http_request":"POST \/mcp HTTP/1.1",
                "status_code":{status},"termination_state":"{state}"}}"#
            );
            let record = record(&SPEC, &line);
            assert_eq!(record.blocked, blocked, "{line}");
            assert_eq!(record.target.as_deref(), Some("/mcp"));
        }
    }

    #[test]
    fn what_never_became_a_request_has_no_status() {
        let record = record(&SPEC, r#"{"client":"192.0.2.1","method":"<BADREQ>","status":-1}"#);
        assert_eq!((record.method, record.status), (None, None));
    }

    #[test]
    fn a_syslog_header_may_stand_before_it() {
        let line = r#"<134>Nov 22 08:00:00 lb haproxy[7]: {"client":"192.0.2.1","host":"h"}"#;
        assert_eq!(record(&SPEC, line).host.as_deref(), Some("h"));
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "haproxy-json.json");
    }
}
