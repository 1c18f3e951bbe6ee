//! What a rule does, for people: one rule in full, or all of them as a table.

use std::fmt::Write as _;

use super::columns::{Side, columns};
use super::condition::Node;
use super::field::Phase;
use super::literal;
use super::problem::plural;
use super::set::{Choice, Compiled, RuleSet};
use super::syntax::{Taxonomy, Want};
use super::tuning::{Correlation, Exception, Threshold, Tuning};

/// Everything about one rule: what it reads, what is looked for first and why, when it can
/// decide, and how it is tested.
#[must_use]
pub fn explain(rule: &Compiled) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    match write_rule(&mut text, rule) {
        Ok(()) | Err(std::fmt::Error) => text,
    }
}

fn write_rule(out: &mut String, rule: &Compiled) -> std::fmt::Result {
    let info = &rule.info;
    writeln!(out, "{} rev {}: {}", info.id, info.rev, info.title)?;
    writeln!(out, "  file        {}", rule.file)?;
    writeln!(
        out,
        "  status      {}, lane {}, severity {}, confidence {}",
        word(info.status),
        word(info.lane),
        word(info.severity),
        info.confidence
    )?;
    if rule.building_block {
        writeln!(out, "  feeds       correlations only: a building block makes no findings")?;
    }
    writeln!(out, "  on          {}, evidence {} or better", word(rule.on), word(rule.evidence))?;
    writeln!(out, "  decides     with the {}: {}", rule.phase, consequence(rule.phase))?;
    writeln!(out, "  prefilter   {}", prefilter(rule))?;
    write_candidates(out, rule)?;
    for (_, severity) in &rule.raise {
        writeln!(out, "  raised to   {} in a special case", word(*severity))?;
    }
    let by: Vec<String> = rule.group.by.iter().map(ToString::to_string).collect();
    let window = rule.group.window.as_secs();
    writeln!(out, "  repeats     counted for {window} s by {}", by.join(", "))?;
    writeln!(out, "\nWhy\n  {}", info.why.replace('\n', "\n  "))?;
    section(out, "What to do", &info.todo)?;
    section(out, "What else looks like this", &rule.noise)?;
    writeln!(out, "\nReads")?;
    for (name, shape, doc) in fields(rule) {
        writeln!(out, "  {name} ({shape}): {doc}")?;
    }
    writeln!(out, "\nTests")?;
    for test in &rule.tests {
        writeln!(out, "  {:<10}  {}", wanted(test.want.value), test.name.value)?;
    }
    section(out, "References", &references(&rule.map, &rule.info.refs))
}

pub(super) const fn wanted(want: Want) -> &'static str {
    match want {
        Want::Hit => "hit",
        Want::None => "none",
        Want::KnownMiss => "known miss",
    }
}

/// What deciding at a phase allows.
const fn consequence(phase: Phase) -> &'static str {
    match phase {
        Phase::Lookup => "a hint, before any connection",
        Phase::Handshake => "a hint, before anything is read",
        Phase::RequestHead => "can refuse inline at the request head, before a body is sent",
        Phase::RequestBody => "can refuse inline at the request body, before the server acts",
        Phase::Response => "too late to refuse the request; can hold back the response",
        Phase::Server => "rests on other exchanges too; can refuse the next request inline",
    }
}

/// Most candidates shown.
const MAX_CANDIDATES: usize = 6;

/// The literals that there were to choose from, the strongest first.
fn write_candidates(out: &mut String, rule: &Compiled) -> std::fmt::Result {
    let mut candidates = Vec::new();
    match &rule.when {
        Node::All(nodes) => candidates.extend(nodes.iter().filter_map(literal::required)),
        node => candidates.extend(literal::required(node)),
    }
    // Of equals the last is taken.
    candidates.reverse();
    candidates.sort_by_key(|literals| std::cmp::Reverse(literals.strength()));
    if candidates.len() < 2 && rule.choice != Choice::Given {
        return Ok(());
    }
    for literals in candidates.iter().take(MAX_CANDIDATES) {
        let (shortest, std::cmp::Reverse(count), variety) = literals.strength();
        let taken = if rule.literals.as_ref() == Some(literals) { "taken" } else { "or" };
        writeln!(
            out,
            "    {taken:<10}{literals}: {}, shortest {shortest} bytes, {variety} different",
            plural(count, "text")
        )?;
    }
    Ok(())
}

pub(super) fn section(out: &mut String, title: &str, lines: &[String]) -> std::fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(out, "  - {line}"))
}

pub(super) fn references(map: &Taxonomy, refs: &[String]) -> Vec<String> {
    let cwe = map.cwe.iter().map(|number| format!("CWE-{number}"));
    let ids = map.owasp_mcp.iter().chain(&map.atlas).chain(&map.safe_mcp).cloned();
    ids.chain(cwe).chain(refs.iter().cloned()).collect()
}

fn fields(rule: &Compiled) -> Vec<(String, String, &'static str)> {
    let mut fields = Vec::new();
    rule.when.fields(&mut |field| fields.push(field));
    rule.raise.iter().for_each(|(case, _)| case.fields(&mut |field| fields.push(field)));
    fields.sort_unstable();
    fields.dedup();
    let row = |field: &super::Field| {
        (field.to_string(), field.spec().shape.to_string(), field.spec().doc)
    };
    fields.into_iter().map(row).collect()
}

fn prefilter(rule: &Compiled) -> String {
    let Some(literals) = &rule.literals else {
        return format!("none: evaluated on every {}", rule.on.as_str());
    };
    let why = match rule.choice {
        Choice::Given => "named by the rule",
        Choice::Extracted | Choice::Unfiltered => {
            "the longest texts without one of which the conditions cannot hold"
        }
    };
    format!("{literals} ({why})")
}

/// The name that files use for a value of an enumeration.
pub(super) fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// All rules and correlations of a set: id, status, lane, severity, subject, title; and their
/// number. Then its exceptions and thresholds.
#[must_use]
pub fn table(set: &RuleSet) -> String {
    let header = ["ID", "STATUS", "LANE", "SEVERITY", "ON", "TITLE"].map(str::to_owned);
    let row = |rule: &Compiled| {
        let info = &rule.info;
        let lane = if rule.building_block { "(block)".to_owned() } else { word(info.lane) };
        let (status, severity) = (word(info.status), word(info.severity));
        [info.id.clone(), status, lane, severity, word(rule.on), info.title.clone()]
    };
    let correlations = set.tuning().correlations();
    let mut rows: Vec<_> = std::iter::once(header).chain(set.rules().iter().map(row)).collect();
    rows.extend(correlations.iter().map(|Correlation { info, .. }| {
        let (status, lane) = (word(info.status), word(info.lane));
        let (severity, title) = (word(info.severity), info.title.clone());
        [info.id.clone(), status, lane, severity, "matches".to_owned(), title]
    }));
    if let Some(rows) = rows.get_mut(1..) {
        rows.sort();
    }
    let mut text = columns([Side::Left; 6], &rows);
    let unfiltered = set.rules().iter().filter(|rule| rule.choice == Choice::Unfiltered).count();
    text.push_str(&plural(set.rules().len(), "rule"));
    text.push_str(&format!(
        ", {unfiltered} without literals, {}, {}\n",
        plural(correlations.len(), "correlation"),
        plural(set.lists().count(), "list")
    ));
    items(&mut text, set.tuning());
    text
}

/// Exceptions and thresholds, if there are any.
fn items(text: &mut String, tuning: &Tuning) {
    let exceptions = tuning.exceptions().iter();
    let exceptions = exceptions.map(|Exception { name, rules, owner, expires, .. }| {
        [name.clone(), expires.to_string(), owner.clone(), rules.join(", ")]
    });
    let header = ["EXCEPTION", "EXPIRES", "OWNER", "RULES"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(exceptions).collect();
    if rows.len() > 1 {
        text.push('\n');
        text.push_str(&columns([Side::Left; 4], &rows));
    }
    let thresholds = tuning.thresholds().iter();
    let thresholds = thresholds.map(|Threshold { rules, kind, count, within, per, .. }| {
        let within = format!("{} s", within.as_secs());
        [word(*kind), count.to_string(), within, word(*per), rules.join(", ")]
    });
    let header = ["THRESHOLD", "COUNT", "WITHIN", "PER", "RULES"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(thresholds).collect();
    if rows.len() > 1 {
        let (left, right) = (Side::Left, Side::Right);
        text.push('\n');
        text.push_str(&columns([left, right, right, left, left], &rows));
    }
}
