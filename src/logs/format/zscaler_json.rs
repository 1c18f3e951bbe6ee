//! Zscaler's web log as JSON (Cloud NSS, or a feed of that shape). The names of its keys are the
//! template's: those of Zscaler's own fields and of the templates that are common are read, at the
//! top or under `event`.

use super::json::{Keys, Lines, Notes, Probe};
use crate::logs::{Framing, Likelihood, Line, Meaning, Record, Spec, Stance};

pub(super) static SPEC: Spec = Spec {
    name: "zscaler-json",
    title: "Zscaler, web log as JSON",
    stance: Stance::Forward,
    framing: Framing::Lines,
    sniff,
    open: || Lines::open(keys(), settle),
};

/// Of one fact under several names the last holds; templates have one of them.
const NAMES: &[(&str, Meaning)] = &[
    ("datetime", Meaning::Time),
    ("login", Meaning::User),
    ("user", Meaning::User),
    ("devicehostname", Meaning::Device),
    ("devicename", Meaning::Device),
    ("dept", Meaning::Group),
    ("department", Meaning::Group),
    ("reqmethod", Meaning::Method),
    ("requestmethod", Meaning::Method),
    ("proto", Meaning::Scheme),
    ("protocol", Meaning::Scheme),
    ("url", Meaning::Url),
    ("eurl", Meaning::Url),
    ("reqversion", Meaning::Version),
    ("respcode", Meaning::Status),
    ("status", Meaning::Status),
    ("ua", Meaning::UserAgent),
    ("useragent", Meaning::UserAgent),
    ("referer", Meaning::Referer),
    ("refererURL", Meaning::Referer),
    ("action", Meaning::Action),
    ("recordid", Meaning::RequestId),
    ("sport", Meaning::ServerPort),
    ("clt_sport", Meaning::ClientPort),
    ("requestsize", Meaning::RequestBytes),
    ("responsesize", Meaning::ResponseBytes),
];

const OTHERWISE: &[(&str, Meaning)] = &[
    ("time", Meaning::Time),
    ("epochtime", Meaning::Time),
    // The client's own address comes before that of its site.
    ("cintip", Meaning::Client),
    ("ClientIP", Meaning::Client),
    ("clientIP", Meaning::Client),
    ("cip", Meaning::Client),
    ("clientpublicIP", Meaning::Client),
    ("host", Meaning::Host),
    ("ehost", Meaning::Host),
    ("hostname", Meaning::Host),
    ("deviceowner", Meaning::User),
];

/// Type of the response, or a word for it.
const TYPE: usize = 0;
const ESCAPED_USER_AGENT: usize = 1;

fn keys() -> Keys {
    let prefixed = |table: &[(&str, Meaning)]| -> Vec<(String, Meaning)> {
        table.iter().map(|(name, meaning)| (format!("event.{name}"), *meaning)).collect()
    };
    let (names, otherwise) = (prefixed(NAMES), prefixed(OTHERWISE));
    let borrowed = |table: &'static [(&str, Meaning)]| Vec::from(table);
    Keys::of(&borrowed(NAMES))
        .fields(&names.iter().map(|(name, m)| (name.as_str(), *m)).collect::<Vec<_>>())
        .otherwise(OTHERWISE)
        .otherwise(&otherwise.iter().map(|(name, m)| (name.as_str(), *m)).collect::<Vec<_>>())
        .note("contenttype", TYPE)
        .note("event.contenttype", TYPE)
        .note("eua", ESCAPED_USER_AGENT)
        .note("event.eua", ESCAPED_USER_AGENT)
        .absent(["None", "NA", "N/A", "Other"])
}

fn settle<'a>(record: &mut Record<'a>, notes: &mut Notes<'a>) -> Line {
    if let Some(text) = notes.take_text(TYPE).filter(|text| text.contains('/')) {
        record.response_field("content-type", text);
    }
    if let Some(text) = notes.text(ESCAPED_USER_AGENT) {
        record.request_field("user-agent", unescape(text));
    }
    Line::Record
}

/// Undoes `%HH`.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digit = |index: usize| char::from(*after.get(index)?).to_digit(16);
        match (digit(0), digit(1)) {
            (Some(high), Some(low)) if *byte == b'%' => {
                out.extend(u8::try_from(high << 4 | low));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn sniff(bytes: &[u8]) -> Likelihood {
    const OWN: &[&str] = &[
        "reqmethod",
        "requestmethod",
        "respcode",
        "eurl",
        "urlcategory",
        "urlcat",
        "urlsupercategory",
        "clientpublicIP",
        "refererURL",
        "recordid",
        "cintip",
        "dlpengine",
        "keyprotectiontype",
        "unscannabletype",
        "pagerisk",
        "appclass",
    ];
    let probe = Probe::of(bytes);
    let inside: Vec<_> = OWN.iter().map(|name| format!("event.{name}")).collect();
    let inside: Vec<_> = inside.iter().map(String::as_str).collect();
    let count = probe.count(OWN) + probe.count(&inside);
    match count {
        _ if probe.is("sourcetype", "zscalernss-web") => Likelihood::Certain,
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
    fn words_for_nothing_say_nothing() {
        let line = r#"{"sourcetype":"zscalernss-web","event":{"datetime":"2026-11-22 08:00:00",
            "ClientIP":"192.0.2.1","clientpublicIP":"203.0.113.9","user":"ana@corp.example",
            "url":"mcp.example/mcp","protocol":"HTTPS","requestmethod":"POST","status":"NA",
            "useragent":"None","contenttype":"Other","refererURL":"None","action":"Blocked"}}"#;
        let record = record(&SPEC, line);
        assert_eq!(record.client, Some("192.0.2.1".parse().unwrap()));
        assert_eq!((record.status, record.blocked), (None, true));
        assert_eq!((record.request_fields, record.response_fields), (vec![], vec![]));
        assert_eq!(record.host.as_deref(), Some("mcp.example"));
    }

    #[test]
    fn an_escaped_user_agent_is_read() {
        let record = record(&SPEC, r#"{"eua":"Claude%2FCode%20(ä%)"}"#);
        assert_eq!(record.request_fields, [("user-agent".into(), "Claude/Code (ä%)".into())]);
    }

    #[test]
    fn its_fixture_is_read() {
        check(&SPEC, "zscaler-json.json");
    }
}
