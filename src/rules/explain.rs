//! What a rule does, for people: one rule in full, or all of them as a table.

use std::fmt::Write as _;

use super::condition::Node;
use super::field::Phase;
use super::literal;
use super::problem::plural;
use super::set::{Choice, Compiled, RuleSet};
use super::syntax::Want;

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
        let want = match test.want.value {
            Want::Hit => "hit",
            Want::None => "none",
            Want::KnownMiss => "known miss",
        };
        writeln!(out, "  {want:<10}  {}", test.name.value)?;
    }
    section(out, "References", &references(rule))
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

fn section(out: &mut String, title: &str, lines: &[String]) -> std::fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(out, "  - {line}"))
}

fn references(rule: &Compiled) -> Vec<String> {
    let map = &rule.map;
    let cwe = map.cwe.iter().map(|number| format!("CWE-{number}"));
    let ids = map.owasp_mcp.iter().chain(&map.atlas).chain(&map.safe_mcp).cloned();
    ids.chain(cwe).chain(rule.info.refs.iter().cloned()).collect()
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

/// All rules of a set: id, status, lane, severity, subject, title; and their number.
#[must_use]
pub fn table(set: &RuleSet) -> String {
    let header = ["ID", "STATUS", "LANE", "SEVERITY", "ON", "TITLE"].map(str::to_owned);
    let row = |rule: &Compiled| {
        let info = &rule.info;
        let (status, lane) = (word(info.status), word(info.lane));
        [info.id.clone(), status, lane, word(info.severity), word(rule.on), info.title.clone()]
    };
    let rows: Vec<_> = std::iter::once(header).chain(set.rules().iter().map(row)).collect();
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let unfiltered = set.rules().iter().filter(|rule| rule.choice == Choice::Unfiltered).count();
    text.push_str(&plural(set.rules().len(), "rule"));
    text.push_str(&format!(
        ", {unfiltered} without literals, {}\n",
        plural(set.lists().count(), "list")
    ));
    text
}
