//! JUnit XML, for continuous integration: each loaded rule is a test case that fails with its
//! findings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;

use crate::finding::{Finding, silence};
use crate::rules::{Lane, RuleInfo, Severity};

/// So many findings are written out per rule; the rest are counted.
const MAX_LISTED: usize = 50;

/// Writes one suite per lane with a case per rule. A rule with a finding at or above `threshold`
/// fails; findings below it are in the case's output.
///
/// # Errors
/// Those of the writer.
pub fn write_junit<W: Write + ?Sized>(
    out: &mut W,
    rules: &[Arc<RuleInfo>],
    findings: &[Finding],
    threshold: Severity,
) -> io::Result<()> {
    let mut cases: BTreeMap<(Lane, &str), Case<'_>> = BTreeMap::new();
    let known = rules.iter().chain(findings.iter().map(|finding| &finding.rule));
    for rule in known {
        cases.entry((rule.lane, &rule.id)).or_insert_with(|| Case::new(rule));
    }
    for finding in findings {
        if let Some(case) = cases.get_mut(&(finding.rule.lane, finding.rule.id.as_str())) {
            let failed = finding.severity >= threshold;
            if failed { &mut case.failures } else { &mut case.others }.push(finding);
        }
    }
    let failures = cases.values().filter(|case| !case.failures.is_empty()).count();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites name="shadowtap" tests="{}" failures="{failures}" errors="0">"#,
        cases.len()
    )?;
    for (lane, name) in [(Lane::Hunt, "hunt"), (Lane::Alert, "alert"), (Lane::Enforce, "enforce")] {
        let suite: Vec<&Case<'_>> =
            cases.iter().filter(|((of, _), _)| *of == lane).map(|(_, case)| case).collect();
        if !suite.is_empty() {
            write_suite(out, name, &suite)?;
        }
    }
    writeln!(out, "</testsuites>")
}

/// A rule and its findings.
struct Case<'a> {
    rule: &'a RuleInfo,
    failures: Vec<&'a Finding>,
    others: Vec<&'a Finding>,
}

impl<'a> Case<'a> {
    const fn new(rule: &'a RuleInfo) -> Self {
        Self { rule, failures: Vec::new(), others: Vec::new() }
    }
}

fn write_suite<W: Write + ?Sized>(out: &mut W, name: &str, cases: &[&Case<'_>]) -> io::Result<()> {
    let failures = cases.iter().filter(|case| !case.failures.is_empty()).count();
    let tests = cases.len();
    writeln!(
        out,
        r#"  <testsuite name="{name}" tests="{tests}" failures="{failures}" errors="0" skipped="0">"#
    )?;
    for case in cases {
        write_case(out, name, case)?;
    }
    writeln!(out, "  </testsuite>")
}

fn write_case<W: Write + ?Sized>(out: &mut W, suite: &str, case: &Case<'_>) -> io::Result<()> {
    let name = escape(&format!("{} {}", case.rule.id, case.rule.title));
    write!(out, r#"    <testcase classname="shadowtap.{suite}" name="{name}" time="0""#)?;
    if case.failures.is_empty() && case.others.is_empty() {
        return writeln!(out, "/>");
    }
    writeln!(out, ">")?;
    if let Some(first) = case.failures.first() {
        let more = case.failures.len() - 1;
        let mut message = first.text.clone();
        if more > 0 {
            _ = write!(message, " (and {more} more)");
        }
        let severity = case.failures.iter().map(|finding| finding.severity).max();
        let severity = severity.unwrap_or(first.severity);
        let mut body = listed(&case.failures);
        _ = write!(body, "{}", case.rule.why);
        for step in &case.rule.todo {
            _ = write!(body, "\n- {step}");
        }
        _ = write!(body, "\nTo silence the first of them:\n{}", silence(first));
        writeln!(
            out,
            r#"      <failure message="{}" type="{}">{}</failure>"#,
            escape(&message),
            severity_name(severity),
            escape(&body)
        )?;
    }
    if !case.others.is_empty() {
        let below = escape(&listed(&case.others));
        writeln!(out, "      <system-out>below the threshold:\n{below}</system-out>")?;
    }
    writeln!(out, "    </testcase>")
}

fn listed(findings: &[&Finding]) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(MAX_LISTED) {
        let severity = severity_name(finding.severity);
        _ = write!(text, "{severity}: {} [{}]", finding.text, finding.server_key);
        if let Some(packet) = finding.packets.first() {
            let what = if packet.is_line { "line" } else { "packet" };
            _ = write!(text, " {} {what} {}", packet.file, packet.number);
        }
        _ = write!(text, ", {} times, id {}", finding.count, finding.id);
        if !finding.software.is_empty() {
            _ = write!(text, ", {}", finding.software.join(", "));
        }
        if let Some(matched) = finding.matched.first() {
            _ = write!(text, ", matched {} ({}): {}", matched.field, matched.view, matched.text);
        }
        text.push('\n');
    }
    if findings.len() > MAX_LISTED {
        _ = writeln!(text, "and {} more", findings.len() - MAX_LISTED);
    }
    text
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

/// Text for XML 1.0: markup escaped, and what XML forbids (section 2.2), or would fold in an
/// attribute, made visible.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            _ => out.push_str(&super::printable(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::sample_finding;
    use super::*;

    fn junit(findings: &[Finding], threshold: Severity) -> String {
        let quiet = RuleInfo {
            id: "SMCP-0001".into(),
            title: "Quiet <rule>".into(),
            lane: Lane::Hunt,
            ..(*sample_finding().rule).clone()
        };
        let rules = [Arc::new(quiet), sample_finding().rule];
        let mut out = Vec::new();
        write_junit(&mut out, &rules, findings, threshold).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn findings_at_the_threshold_fail_their_rule() {
        let got = junit(&[sample_finding(), sample_finding()], Severity::High);
        let want = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="shadowtap" tests="2" failures="1" errors="0">
  <testsuite name="hunt" tests="1" failures="0" errors="0" skipped="0">
    <testcase classname="shadowtap.hunt" name="SMCP-0001 Quiet &lt;rule&gt;" time="0"/>
  </testsuite>
  <testsuite name="alert" tests="1" failures="1" errors="0" skipped="0">
    <testcase classname="shadowtap.alert" name="SMCP-1001 Unapproved &quot;server&quot;" time="0">
"#;
        assert!(got.starts_with(want), "{got}");
        assert!(
            got.contains(r#"message="10.0.0.1 called delete\u{1b}[2J (and 1 more)" type="high""#)
        );
        assert!(got.contains("day 1/a.pcap packet 17, 3 times"));
        assert!(
            got.contains(", client agent 0.9, server tracker 1.2, matched args.text (percent): ")
        );
        assert!(
            got.contains("To silence the first of them:&#10;- name: &quot;SMCP-1001 "),
            "{got}"
        );
        assert!(got.ends_with("  </testsuite>\n</testsuites>\n"));
    }

    #[test]
    fn findings_below_the_threshold_are_output_only() {
        let got = junit(&[sample_finding()], Severity::Critical);
        assert!(got.contains(r#"tests="2" failures="0""#), "{got}");
        assert!(got.contains("<system-out>below the threshold:\nhigh: "), "{got}");
        assert!(!got.contains("<failure"));
    }

    #[test]
    fn what_xml_forbids_is_made_visible() {
        assert_eq!(escape("a\0b]]>\u{fffe}\u{b}"), "a\\u{0}b]]&gt;\\u{fffe}\\u{b}");
    }
}
