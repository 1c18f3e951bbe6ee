//! Netskope's transaction events as JSON: the names of the columns as keys, all values text.

use super::json::{Keys, Lines, Notes, Probe};
use crate::logs::{Framing, Likelihood, Line, Meaning, Record, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "netskope-json",
    title: "Netskope, transaction events as JSON",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff,
    open: || Lines::open(keys(), settle),
};

const TABLE: &[(&str, Meaning)] = &[
    ("x-cs-src-port", Meaning::ClientPort),
    ("cs-username", Meaning::User),
    ("x-c-device", Meaning::Device),
    ("cs-method", Meaning::Method),
    ("cs-uri-scheme", Meaning::Scheme),
    ("cs-host", Meaning::Host),
    ("cs-uri-port", Meaning::Port),
    ("x-cs-http-version", Meaning::Version),
    ("x-cs-sni", Meaning::Sni),
    ("x-cs-ssl-version", Meaning::TlsVersion),
    ("cs-user-agent", Meaning::UserAgent),
    ("cs-referer", Meaning::Referer),
    ("cs-content-type", Meaning::RequestType),
    ("sc-content-type", Meaning::ResponseType),
    ("sc-status", Meaning::Status),
    ("cs-bytes", Meaning::RequestBytes),
    ("sc-bytes", Meaning::ResponseBytes),
    ("x-policy-action", Meaning::Action),
    ("x-transaction-id", Meaning::RequestId),
];

const OTHERWISE: &[(&str, Meaning)] = &[
    ("x-cs-timestamp", Meaning::Time),
    ("x-cs-userip", Meaning::Client),
    ("x-cs-src-ip", Meaning::Client),
    ("c-ip", Meaning::Client),
    ("cs-uri", Meaning::Target),
    ("x-cs-url", Meaning::Url),
    ("x-cs-uri-path", Meaning::Path),
    ("cs-uri-path", Meaning::Path),
];

const DATE: usize = 0;
const TIME: usize = 1;
const QUERY: usize = 2;
const BYPASS: usize = 3;

fn keys() -> Keys {
    Keys::of(TABLE)
        .otherwise(OTHERWISE)
        .note("date", DATE)
        .note("time", TIME)
        .note("cs-uri-query", QUERY)
        .note("x-ssl-bypass", BYPASS)
        .absent(["NotChecked", "NotAvailable", "None", "unknown"])
}

fn settle<'a>(record: &mut Record<'a>, notes: &mut Notes<'a>) -> Line {
    if let (None, Some(date), Some(time)) = (record.time, notes.text(DATE), notes.text(TIME)) {
        record.time = crate::logs::timestamp(&format!("{date}T{time}"));
    }
    if record.target.as_deref().is_some_and(|target| !target.contains('?')) {
        let query = notes.take_text(QUERY).filter(|query| !query.is_empty() && query != "-");
        record.query = query;
    }
    // What was not decrypted shows a name; and HTTP/2 that was not understood, its preface
    // (RFC 9113 section 3.4).
    let is_bypassed = notes.text(BYPASS).is_some_and(|text| text.eq_ignore_ascii_case("yes"));
    if is_bypassed || record.method.as_deref() == Some("PRI") {
        record.scheme = Some("tls".into());
    }
    Line::Record
}

fn sniff(bytes: &[u8]) -> Likelihood {
    let probe = Probe::of(bytes);
    let count =
        ["x-cs-", "x-sc-", "x-s-", "cs-", "sc-"].iter().map(|p| probe.count_prefix(p)).sum();
    let is_own = probe.has_any(&["x-transaction-id", "x-cs-timestamp", "x-policy-action"]);
    match (count, is_own) {
        (3_usize.., true) => Likelihood::Certain,
        (3.., false) => Likelihood::Likely,
        _ => Likelihood::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::tests::{check, record};
    use crate::time::Timestamp;

    #[test]
    fn times_come_whole_or_in_halves() {
        for line in [
            r#"{"date":"2026-11-22","time":"08:00:00"}"#,
            r#"{"x-cs-timestamp":"1795334400"}"#,
            r#"{"date":"2026-11-22","x-cs-timestamp":"1795334400","time":"08:00:00"}"#,
        ] {
            let expected = Some(Timestamp::from_parts(1_795_334_400, 0));
            assert_eq!(record(&SPEC, line).time, expected, "{line}");
        }
    }

    #[test]
    fn what_was_not_decrypted_is_a_tunnel() {
        for line in [
            r#"{"cs-host":"h","cs-method":"GET","x-ssl-bypass":"Yes"}"#,
            r#"{"cs-host":"h","cs-method":"PRI","x-error":"http-malformed"}"#,
        ] {
            assert_eq!(record(&SPEC, line).scheme.as_deref(), Some("tls"), "{line}");
        }
    }

    #[test]
    fn words_for_nothing_say_nothing() {
        let record = record(&SPEC, r#"{"cs-host":"h","x-cs-sni":"-","sc-status":"NotChecked"}"#);
        assert_eq!((record.sni, record.status), (None, None));
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "netskope-json.json");
    }
}
