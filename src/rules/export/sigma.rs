//! Sigma rules (specification 2.1) on the findings of shadowtap, for a SIEM that stores its NDJSON
//! output: one per rule. What a rule looks at stays here; Sigma decides who is told.

use std::fmt::Write as _;

use ring::digest;

use super::{Exported, line};
use crate::rules::fresh::slug;
use crate::rules::set::{RuleSet, Teller};
use crate::rules::{Lane, Severity, Status};

/// What every rule loses.
const NOTES: &str = "\
Sigma rules select findings that shadowtap has made; they find nothing in other logs.
- Conditions, views, prefilters and inline tests stay in shadowtap.
- `level` is the severity that a rule begins with. A finding can be raised; its own severity is in
  event.severity_name and event.severity (1 to 5).
- A finding is told when it begins and again when it gets worse; the line that closes it
  (event.state: closed) is left out, so each can be told more than once.
- Exceptions and thresholds work before findings are written, so they hold here too, but are not
  exported. Findings of correlations are selected like those of rules; building blocks make none.
- Lane `hunt` gets the level of its severity; filter on rule.lane for alerts only.
- Tags of OWASP, ATLAS, CWE and SAFE-MCP use name spaces of our own (owasp-mcp, atlas, cwe,
  safe-mcp).
- Drafts and deprecated rules are not exported: they never make findings.
";

/// Fields of a finding that people want to see.
const FIELDS: [&str; 10] = [
    "message",
    "event.severity_name",
    "event.count",
    "event.id",
    "rule.id",
    "source.ip",
    "destination.ip",
    "destination.port",
    "server.key",
    "verdict",
];

/// The Sigma rules of all active rules and correlations, but building blocks: those make no
/// findings.
#[must_use]
pub fn sigma(set: &RuleSet) -> Exported {
    let mut exported = Exported { files: Vec::new(), notes: NOTES.to_owned() };
    for rule in set.tellers().iter().filter(|rule| rule.is_active()) {
        let name = format!("shadowtap_{}.yml", rule.info.id.to_ascii_lowercase().replace('-', "_"));
        let mut text = String::new();
        // Writing to a string does not fail.
        match write(&mut text, rule) {
            Ok(()) | Err(std::fmt::Error) => exported.files.push((name, text)),
        }
        let raised: Vec<_> = rule.raised.iter().map(|severity| severity.as_str()).collect();
        if !raised.is_empty() {
            exported.notes.push_str(&format!(
                "{}: level {} although findings can be raised to {}\n",
                rule.info.id,
                level(rule.info.severity),
                raised.join(", ")
            ));
        }
    }
    exported
}

fn write(out: &mut String, rule: &Teller<'_>) -> std::fmt::Result {
    let info = rule.info;
    let quoted = |text: &str| serde_json::Value::from(line(text)).to_string();
    writeln!(out, "# Exported by shadowtap {}: `rules export sigma`.", env!("CARGO_PKG_VERSION"))?;
    writeln!(
        out,
        "# Selects findings in shadowtap's NDJSON output; the detection itself is there."
    )?;
    writeln!(out, "title: {}", quoted(&info.title))?;
    writeln!(out, "id: {}", uuid(&info.id))?;
    writeln!(out, "name: shadowtap_{}", slug(&info.id).replace('-', "_"))?;
    let status = if info.status == Status::Stable { "stable" } else { "experimental" };
    writeln!(out, "status: {status}")?;
    writeln!(out, "description: {}", quoted(&info.why))?;
    list(out, "references", info.refs.iter().map(|url| quoted(url)))?;
    writeln!(out, "author: shadowtap")?;
    list(out, "tags", tags(rule).into_iter())?;
    writeln!(out, "logsource:\n  product: shadowtap\n  category: finding")?;
    writeln!(out, "detection:\n  selection:\n    event_type: finding\n    rule.id: {}", info.id)?;
    writeln!(out, "  filter_closed:\n    event.state: closed")?;
    writeln!(out, "  condition: selection and not filter_closed")?;
    list(out, "fields", FIELDS.iter().map(ToString::to_string))?;
    let unknown = ["Unknown".to_owned()];
    let noise = if rule.noise.is_empty() { &unknown[..] } else { rule.noise };
    list(out, "falsepositives", noise.iter().map(|text| quoted(text)))?;
    writeln!(out, "level: {}", level(info.severity))
}

fn list(out: &mut String, key: &str, items: impl Iterator<Item = String>) -> std::fmt::Result {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        return Ok(());
    }
    writeln!(out, "{key}:")?;
    items.iter().try_for_each(|item| writeln!(out, "  - {item}"))
}

/// `name_space.value`, lower case: letters, digits, `-`, `_` and `.`.
fn tags(rule: &Teller<'_>) -> Vec<String> {
    let map = rule.map;
    let lane = match rule.info.lane {
        Lane::Hunt => "detection.threat-hunting",
        Lane::Alert | Lane::Enforce => "detection.emerging-threats",
    };
    let year = |id: &str| id.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let owasp = map.owasp_mcp.iter().map(|id| format!("owasp-mcp.{}", year(id)));
    let atlas = map.atlas.iter().map(|id| format!("atlas.{}", id.to_ascii_lowercase()));
    let cwe = map.cwe.iter().map(|number| format!("cwe.{number}"));
    let safe = map.safe_mcp.iter().map(|id| format!("safe-mcp.{}", id.to_ascii_lowercase()));
    let all = std::iter::once(lane.to_owned()).chain(owasp).chain(atlas).chain(cwe).chain(safe);
    let valid = |tag: &String| {
        tag.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    };
    all.filter(valid).collect()
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "informational",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

/// A UUID that is always the same for a rule (RFC 9562 section 5.5, version 5, name space for
/// URLs).
fn uuid(id: &str) -> String {
    const URLS: u128 = 0x6ba7_b811_9dad_11d1_80b4_00c0_4fd4_30c8;
    let mut named = URLS.to_be_bytes().to_vec();
    named.extend_from_slice(format!("urn:shadowtap:rule:{id}").as_bytes());
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &named);
    let bytes = hash.as_ref().iter().take(16);
    let number = bytes.fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
    let versioned = (number & !(0xf << 76)) | (5 << 76);
    let marked = (versioned & !(0b11 << 62)) | (0b10 << 62);
    let hex = format!("{marked:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Limits, Source, builtin, compile, syntax};

    #[test]
    fn every_active_rule_has_a_sigma_rule_of_the_right_form() {
        let set = compile(&builtin(), &Limits::default()).unwrap().0;
        let exported = sigma(&set);
        let tellers = set.tellers();
        let active = tellers.iter().filter(|rule| rule.is_active());
        assert!(active.clone().any(|rule| rule.info.id == "SMCP-8011"));
        assert!(!active.clone().any(|rule| rule.info.id == "SMCP-8900"));
        let mut ids = std::collections::BTreeSet::new();
        for (rule, (name, text)) in active.clone().zip(&exported.files) {
            let source = Source::new(name.clone(), text.clone());
            let yaml = syntax::any(&source).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
            assert_eq!(yaml["title"].as_str(), Some(rule.info.title.as_str()));
            assert_eq!(yaml["detection"]["selection"]["rule.id"], rule.info.id.as_str());
            assert_eq!(yaml["logsource"]["product"], "shadowtap");
            assert!(yaml["tags"].as_array().unwrap().iter().all(|tag| {
                tag.as_str().unwrap().split_once('.').is_some_and(|(_, rest)| !rest.is_empty())
            }));
            let levels = ["informational", "low", "medium", "high", "critical"];
            assert!(levels.contains(&yaml["level"].as_str().unwrap()));
            assert!(ids.insert(yaml["id"].as_str().unwrap().to_owned()));
        }
        assert_eq!(exported.files.len(), active.count());
        assert!(exported.notes.contains("SMCP-3001: level medium although findings can be raised"));
    }

    #[test]
    fn uuids_are_of_version_five_and_stay_the_same() {
        let id = uuid("SMCP-3001");
        assert_eq!(id, uuid("SMCP-3001"));
        assert_ne!(id, uuid("SMCP-3002"));
        assert_eq!((id.len(), id.as_bytes()[14], id.matches('-').count()), (36, b'5', 4));
        assert!(b"89ab".contains(&id.as_bytes()[19]));
    }
}
