//! Envoy's access log as JSON, with keys that we recommend or those of Envoy's and Istio's
//! own examples.

use super::json::{Keys, Lines, Probe, Side, as_it_stands};
use super::recommended;
use crate::logs::{Framing, Likelihood, Meaning, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "envoy-json",
    title: "Envoy, JSON access log",
    stance: Stance::Reverse,
    framing: Framing::Lines,
    sniff,
    open: || Lines::open(keys(), as_it_stands),
};

const TABLE: &[(&str, Meaning)] = &[
    ("start_time", Meaning::Time),
    ("authority", Meaning::Host),
    ("path", Meaning::Target),
    ("protocol", Meaning::Version),
    ("response_code", Meaning::Status),
    ("downstream_remote_address", Meaning::Client),
    ("downstream_local_address", Meaning::Server),
    ("requested_server_name", Meaning::Sni),
    ("downstream_tls_version", Meaning::TlsVersion),
    ("req_content_type", Meaning::RequestType),
    ("resp_content_type", Meaning::ResponseType),
    // `rbac_access_denied_matched_policy[...]`.
    ("response_code_details", Meaning::Action),
    ("bytes_received", Meaning::RequestBytes),
    ("bytes_sent", Meaning::ResponseBytes),
];

const OTHERWISE: &[(&str, Meaning)] = &[
    ("downstream_direct_remote_address", Meaning::Client),
    ("timestamp", Meaning::Time),
    ("@timestamp", Meaning::Time),
    ("x_request_id", Meaning::RequestId),
];

fn keys() -> Keys {
    recommended::keys().fields(TABLE).otherwise(OTHERWISE).header(
        Side::Request,
        "x_forwarded_for",
        "x-forwarded-for",
    )
}

fn sniff(bytes: &[u8]) -> Likelihood {
    const OWN: &[&str] = &[
        "start_time",
        "response_code",
        "response_flags",
        "authority",
        "upstream_host",
        "upstream_cluster",
        "downstream_remote_address",
        "downstream_local_address",
        "requested_server_name",
        "upstream_service_time",
        "response_code_details",
    ];
    let probe = Probe::of(bytes);
    if probe.is(recommended::MARKER, "envoy") {
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
    fn absent_values_are_null() {
        let line = r#"{"start_time":"2026-11-22T08:00:00.123Z","method":"GET","path":"/mcp",
            "authority":"mcp.example:8443","response_code":0,"requested_server_name":null,
            "downstream_remote_address":"192.0.2.1:50123","user_agent":null}"#;
        let record = record(&SPEC, line);
        assert_eq!((record.client_port, record.port), (Some(50123), Some(8443)));
        assert_eq!((record.status, record.sni), (None, None));
        assert_eq!(record.request_fields, []);
    }

    #[test]
    fn what_rbac_denied_is_blocked() {
        let line = r#"{"path":"/","response_code_details":"rbac_access_denied_matched_policy[p]"}"#;
        assert!(record(&SPEC, line).blocked);
        assert!(!record(&SPEC, r#"{"path":"/","response_code_details":"via_upstream"}"#).blocked);
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "envoy-json.json");
    }
}
