//! What a portal counts.

use std::collections::BTreeMap;

use super::Format;
use super::exposition::Exposition;

/// Times, counted by how long they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many were at most each of the bounds; at last, how many were longer.
    pub buckets: Vec<u64>,
    /// All of them together, in microseconds.
    pub sum_micros: u64,
}

/// What went through a portal. Labels are names of the configuration and of this program: never of
/// people, tools or addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortalCalls {
    /// Calls by server and outcome.
    pub calls: BTreeMap<(String, &'static str), u64>,
    /// Calls that were refused, by kind of refusal.
    pub refused: BTreeMap<String, u64>,
    /// What inspection found, by kind, direction and action.
    pub findings: BTreeMap<(String, String, String), u64>,
    /// What rules refused or took out, by rule.
    pub rules: BTreeMap<String, u64>,
    /// Bytes of request bodies.
    pub request_bytes: u64,
    /// Bytes of answers.
    pub response_bytes: u64,
    /// Upper bounds of the buckets of times, in microseconds.
    pub bounds: Vec<u64>,
    /// How long calls took.
    pub durations: Times,
    /// How long they took without the time of the servers.
    pub own_durations: Times,
    /// Records that are on the disk.
    pub records_written: u64,
    /// Records that found no room.
    pub records_lost: u64,
    /// Flushes of records to the disk.
    pub record_flushes: u64,
    /// Whether the next record can be stored.
    pub is_audit_ready: bool,
    /// Spans that the collector took.
    pub spans_sent: u64,
    /// Spans that it did not take, or that found no room.
    pub spans_lost: u64,
    /// Calls under way.
    pub under_way: u64,
}

/// The page `/metrics` of a portal, as far as calls go.
#[must_use]
pub fn render_portal(calls: &PortalCalls, format: Format) -> String {
    let mut page = Exposition::new(format);
    let mut family = page.counter("portal_calls", "Calls through the portal, by how they ended.");
    for ((server, outcome), count) in &calls.calls {
        family.number(&[("server", server), ("outcome", outcome)], *count);
    }
    let mut family = page.counter("portal_refused_calls", "Calls refused, by kind of refusal.");
    for (kind, count) in &calls.refused {
        family.number(&[("kind", kind)], *count);
    }
    let mut family = page.counter("portal_findings", "What inspection found in messages.");
    for ((kind, direction, action), count) in &calls.findings {
        let labels = [("kind", &**kind), ("direction", direction), ("action", action)];
        family.number(&labels, *count);
    }
    let mut family = page.counter("portal_rule_matches", "What rules refused or took out.");
    for (rule, count) in &calls.rules {
        family.number(&[("rule", rule)], *count);
    }
    for (name, help, value) in [
        ("portal_request_bytes", "Bytes of request bodies.", calls.request_bytes),
        ("portal_response_bytes", "Bytes of answers.", calls.response_bytes),
        ("portal_records_written", "Records of calls on the disk.", calls.records_written),
        ("portal_records_lost", "Records of calls that found no room.", calls.records_lost),
        ("portal_record_flushes", "Flushes of records to the disk.", calls.record_flushes),
        ("portal_spans_sent", "Spans that the collector took.", calls.spans_sent),
        ("portal_spans_lost", "Spans that were dropped.", calls.spans_lost),
    ] {
        page.counter(name, help).number(&[], value);
    }
    for (name, help, value) in [
        ("portal_calls_under_way", "Calls under way.", calls.under_way),
        (
            "portal_audit_ready",
            "1 while records of calls can be stored.",
            u64::from(calls.is_audit_ready),
        ),
    ] {
        page.gauge(name, help).number(&[], value);
    }
    for (name, help, times) in [
        ("portal_call_duration_seconds", "How long calls took.", &calls.durations),
        (
            "portal_own_duration_seconds",
            "How long calls took without the time of the servers.",
            &calls.own_durations,
        ),
    ] {
        if !times.buckets.is_empty() {
            page.histogram(name, help).buckets(&calls.bounds, &times.buckets, times.sum_micros);
        }
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_findings_and_times_are_shown() {
        let calls = PortalCalls {
            calls: [(("wiki".to_owned(), "success"), 3)].into(),
            findings: [(("card".to_owned(), "request".to_owned(), "redact".to_owned()), 2)].into(),
            bounds: vec![1_000, 2_500],
            durations: Times { buckets: vec![1, 0, 2], sum_micros: 9_001_500 },
            is_audit_ready: true,
            ..PortalCalls::default()
        };
        let page = render_portal(&calls, Format::Prometheus);
        for line in [
            "# TYPE shadowtap_portal_call_duration_seconds histogram",
            "shadowtap_portal_calls_total{server=\"wiki\",outcome=\"success\"} 3",
            "shadowtap_portal_findings_total{kind=\"card\",direction=\"request\",action=\"redact\"} 2",
            "shadowtap_portal_call_duration_seconds_bucket{le=\"0.001\"} 1",
            "shadowtap_portal_call_duration_seconds_bucket{le=\"0.0025\"} 1",
            "shadowtap_portal_call_duration_seconds_bucket{le=\"+Inf\"} 3",
            "shadowtap_portal_call_duration_seconds_sum 9.0015",
            "shadowtap_portal_call_duration_seconds_count 3",
            "shadowtap_portal_audit_ready 1",
        ] {
            assert!(page.lines().any(|own| own == line), "{line} in\n{page}");
        }
        assert!(!page.contains("own_duration"));
    }
}
