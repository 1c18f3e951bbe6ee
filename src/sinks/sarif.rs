//! SARIF 2.1.0 (OASIS), for code scanning and IDEs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;

use super::event::MatchedText;
use super::printable;
use crate::finding::{Finding, Matched, PacketRef, silence};
use crate::rules::{RuleInfo, Severity};

/// Ends the help of every rule.
const SILENCE: &str = "\nTo silence a finding: its property `silence` is what to add to the exceptions \
    or the approvals, with an owner and an end.";
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Writes a SARIF log: all loaded rules, and one result per finding. The location of a result is
/// its capture file; the packets and the server key are its logical locations, since a capture
/// has no lines.
///
/// # Errors
/// Those of the writer.
pub fn write_sarif<W: Write + ?Sized>(
    out: &mut W,
    sensor_version: &str,
    rules: &[Arc<RuleInfo>],
    findings: &[Finding],
) -> io::Result<()> {
    // A finding's rule is in the log even when the caller did not list it: results point at rules
    // by index.
    let mut by_id: BTreeMap<&str, &RuleInfo> = BTreeMap::new();
    let known = rules.iter().chain(findings.iter().map(|finding| &finding.rule));
    for rule in known {
        by_id.entry(&rule.id).or_insert(rule);
    }
    let index: BTreeMap<&str, usize> =
        by_id.keys().enumerate().map(|(index, id)| (*id, index)).collect();
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "shadowtap",
                    version: sensor_version,
                    rules: by_id.values().map(|rule| descriptor(rule)).collect(),
                },
            },
            column_kind: "unicodeCodePoints",
            results: findings.iter().map(|finding| result(finding, &index)).collect(),
        }],
    };
    serde_json::to_writer_pretty(&mut *out, &log).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    column_kind: &'static str,
    results: Vec<Outcome<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Serialize)]
struct Driver<'a> {
    name: &'static str,
    version: &'a str,
    rules: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    id: &'a str,
    short_description: Text,
    full_description: Text,
    help: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_uri: Option<&'a str>,
    default_configuration: Configuration,
    properties: RuleProperties,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct RuleProperties {
    precision: &'static str,
    #[serde(rename = "security-severity")]
    security_severity: &'static str,
    tags: [&'static str; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: Vec<Location<'a>>,
    partial_fingerprints: Fingerprints<'a>,
    occurrence_count: u64,
    properties: ResultProperties<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    physical_location: PhysicalLocation,
    logical_locations: Vec<LogicalLocation<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation<'a> {
    fully_qualified_name: std::borrow::Cow<'a, str>,
    kind: &'static str,
}

#[derive(Serialize)]
struct Fingerprints<'a> {
    #[serde(rename = "findingId/v1")]
    finding_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultProperties<'a> {
    severity: Severity,
    evidence: crate::mcp::Evidence,
    verdict: crate::verdict::Verdict,
    server_key: &'a str,
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    software: Vec<std::borrow::Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matched: Vec<MatchedText>,
    silence: String,
    first_seen: crate::time::Timestamp,
    last_seen: crate::time::Timestamp,
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

fn descriptor(rule: &RuleInfo) -> Descriptor<'_> {
    let mut help = rule.why.clone();
    for (number, step) in rule.todo.iter().enumerate() {
        _ = write!(help, "\n{}. {step}", number + 1);
    }
    help.push_str(SILENCE);
    Descriptor {
        id: &rule.id,
        short_description: Text { text: rule.title.clone() },
        full_description: Text { text: rule.why.clone() },
        help: Text { text: help },
        help_uri: rule.refs.first().map(String::as_str),
        default_configuration: Configuration { level: level(rule.severity) },
        properties: RuleProperties {
            precision: match rule.confidence {
                90.. => "very-high",
                70..90 => "high",
                40..70 => "medium",
                _ => "low",
            },
            // The number that code scanning sorts by, after CVSS.
            security_severity: match rule.severity {
                Severity::Critical => "9.5",
                Severity::High => "8.0",
                Severity::Medium => "5.5",
                Severity::Low => "3.0",
                Severity::Info => "0.0",
            },
            tags: ["security", "mcp"],
        },
    }
}

fn result<'a>(finding: &'a Finding, index: &BTreeMap<&str, usize>) -> Outcome<'a> {
    let mut message = printable(&finding.text).into_owned();
    if finding.count > 1 {
        _ = write!(message, " ({} times)", finding.count);
    }
    Outcome {
        rule_id: &finding.rule.id,
        rule_index: index.get(finding.rule.id.as_str()).copied().unwrap_or_default(),
        level: level(finding.severity),
        message: Text { text: message },
        locations: locations(finding),
        partial_fingerprints: Fingerprints { finding_id: &finding.id },
        occurrence_count: finding.count,
        properties: ResultProperties {
            severity: finding.severity,
            evidence: finding.evidence,
            verdict: finding.verdict,
            server_key: &finding.server_key,
            client: finding.client.to_string(),
            user: finding.user.as_deref(),
            approval: finding.approval.as_deref(),
            reason: printable(&finding.reason),
            software: finding.software.iter().map(|name| printable(name)).collect(),
            matched: finding.matched.iter().map(matched).collect(),
            silence: silence(finding),
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
        },
    }
}

/// A text that matched, for a reader that shows it as it is.
fn matched(matched: &Matched) -> MatchedText {
    let text = |text: &str| printable(text).into_owned();
    let Matched { field, view, text: found } = matched;
    MatchedText { field: text(field), view: text(view), text: text(found) }
}

/// One location per capture file, its packets among the logical locations.
fn locations(finding: &Finding) -> Vec<Location<'_>> {
    let mut files: BTreeMap<&str, Vec<&PacketRef>> = BTreeMap::new();
    for packet in &finding.packets {
        files.entry(&packet.file).or_default().push(packet);
    }
    let server = || LogicalLocation {
        fully_qualified_name: printable(&finding.server_key),
        kind: "resource",
    };
    let location = |(file, packets): (&str, Vec<&PacketRef>)| Location {
        physical_location: PhysicalLocation {
            artifact_location: ArtifactLocation { uri: uri(file) },
        },
        logical_locations: std::iter::once(server())
            .chain(packets.into_iter().map(|packet| LogicalLocation {
                fully_qualified_name: if packet.is_line {
                    format!("line {}", packet.number).into()
                } else {
                    format!("frame.number == {}", packet.number).into()
                },
                kind: "packet",
            }))
            .collect(),
    };
    files.into_iter().map(location).collect()
}

/// A path as a URI reference (RFC 3986): what is not unreserved or a slash is percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::sample_finding;
    use super::*;
    use serde_json::Value;

    fn log(findings: &[Finding]) -> Value {
        let mut out = Vec::new();
        let other = RuleInfo { id: "SMCP-0001".into(), ..(*sample_finding().rule).clone() };
        write_sarif(&mut out, "1.2.3", &[Arc::new(other)], findings).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn results_point_at_their_rule_file_and_packets() {
        let log = log(&[sample_finding()]);
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 2);
        let result = &run["results"][0];
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        let rule = &run["tool"]["driver"]["rules"][index];
        assert_eq!(rule["id"], result["ruleId"]);
        let help = rule["help"]["text"].as_str().unwrap();
        assert_eq!(help, format!("Nobody answers for it.\n1. Ask the owner.{SILENCE}"));
        let properties = &result["properties"];
        assert_eq!(properties["software"][1], "server tracker 1.2");
        assert_eq!(properties["matched"][0]["text"], "rm -rf /\\u{1b}[2J");
        assert!(properties["silence"].as_str().unwrap().contains("rule: SMCP-1001"));
        assert!(properties.get("user").is_none());
        assert_eq!(rule["properties"]["security-severity"], "5.5");
        assert_eq!(result["level"], "error");
        assert_eq!(result["message"]["text"], "10.0.0.1 called delete\\u{1b}[2J (3 times)");
        let location = &result["locations"][0];
        assert_eq!(location["physicalLocation"]["artifactLocation"]["uri"], "day%201/a.pcap");
        let names = location["logicalLocations"].as_array().unwrap();
        assert_eq!(names[0]["fullyQualifiedName"], "http://mcp.example:8000/mcp");
        assert_eq!(names[1]["fullyQualifiedName"], "frame.number == 17");
        assert_eq!(result["partialFingerprints"]["findingId/v1"], sample_finding().id);
    }

    #[test]
    fn levels_by_severity() {
        let levels = [Severity::Info, Severity::Low, Severity::Medium, Severity::High].map(level);
        assert_eq!(levels, ["note", "note", "warning", "error"]);
    }

    #[test]
    fn no_findings_are_an_empty_list_of_results() {
        assert_eq!(log(&[])["runs"][0]["results"], serde_json::json!([]));
    }

    #[test]
    fn paths_become_uris() {
        for (path, want) in [
            ("a.pcap", "a.pcap"),
            ("/tmp/x y.pcap", "file:///tmp/x%20y.pcap"),
            ("ü#?.pcap", "%C3%BC%23%3F.pcap"),
        ] {
            assert_eq!(uri(path), want);
        }
    }
}
