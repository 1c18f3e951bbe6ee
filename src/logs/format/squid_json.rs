//! Squid with a `logformat` that writes JSON, with keys that we recommend or those of common
//! examples.

use super::json::{Keys, Lines, Notes, Probe};
use super::recommended;
use crate::logs::{Framing, Likelihood, Line, Meaning, Record, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "squid-json",
    title: "Squid, JSON logformat",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff,
    open: || Lines::open(keys(), settle),
};

const TABLE: &[(&str, Meaning)] = &[
    ("src_ip", Meaning::Client),
    ("client_ip", Meaning::Client),
    ("src_port", Meaning::ClientPort),
    ("http_method", Meaning::Method),
    ("request_method", Meaning::Method),
    ("request_url", Meaning::Url),
    ("http_code", Meaning::Status),
    ("status_code", Meaning::Status),
    ("http_user_agent", Meaning::UserAgent),
    ("http_version", Meaning::Version),
    ("mime_type", Meaning::ResponseType),
    ("result_code", Meaning::Action),
    ("squid_status", Meaning::Action),
    ("user_name", Meaning::User),
    ("username", Meaning::User),
];

const OTHERWISE: &[(&str, Meaning)] =
    &[("timestamp", Meaning::Time), ("@timestamp", Meaning::Time), ("ts", Meaning::Time)];

fn keys() -> Keys {
    recommended::keys().fields(TABLE).otherwise(OTHERWISE)
}

/// What ended before it was a request has a URL like `error:transaction-end-before-headers`.
fn settle(record: &mut Record<'_>, _: &mut Notes<'_>) -> Line {
    let is_error = record.host.as_deref().is_some_and(|host| host.starts_with("error:"));
    if is_error { Line::Nothing } else { Line::Record }
}

fn sniff(bytes: &[u8]) -> Likelihood {
    const OWN: &[&str] = &[
        "result_code",
        "squid_status",
        "hierarchy_code",
        "hierarchy_status",
        "squid_hierarchy",
        "mime_type",
        "reply_size",
        "dst_ip",
    ];
    let probe = Probe::of(bytes);
    if probe.is(recommended::MARKER, "squid") {
        return Likelihood::Certain;
    }
    match probe.count(OWN) {
        0 | 1 => Likelihood::No,
        _ => Likelihood::Likely,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, lines, record};

    #[test]
    fn a_tunnel_has_an_authority_and_no_target() {
        let line = r#"{"log":"squid","time":1795334400.123,"client":"192.0.2.1","method":"CONNECT",
            "url":"mcp.example:443","status":"200","action":"TCP_TUNNEL","user":"-"}"#;
        let record = record(&SPEC, line);
        assert_eq!((record.host.as_deref(), record.port), (Some("mcp.example"), Some(443)));
        assert_eq!((record.target, record.user), (None, None));
    }

    #[test]
    fn what_squid_denied_is_blocked() {
        let line = r#"{"method":"GET","url":"http://a.example/","action":"TCP_DENIED"}"#;
        assert!(record(&SPEC, line).blocked);
    }

    #[test]
    fn a_transaction_without_a_request_is_nothing() {
        let line = r#"{"method":"NONE","url":"error:transaction-end-before-headers"}"#;
        assert_eq!(lines(&SPEC, line.as_bytes()).1.records, 0);
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "squid-json.json");
    }
}
