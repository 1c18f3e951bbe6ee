//! The findings of the report: by severity, then by rule, with what to do and where to look.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::super::printable;
use super::layout::{DIM, Page, RED, YELLOW, counted, listed};
use super::servers::known;
use crate::finding::Finding;
use crate::rules::Severity;

/// So many findings of one rule and severity are printed; the rest are counted.
const MAX_PER_RULE: usize = 10;

/// So many names of software are printed of a finding.
const MAX_SOFTWARE: usize = 4;
/// So much of a text that matched is printed.
const MAX_MATCHED_CHARS: usize = 120;

pub(super) fn write<W: Write>(page: &mut Page<'_, W>, findings: &[Finding]) -> io::Result<()> {
    let mut rules: BTreeMap<(Reverse<Severity>, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        let severity = Reverse(finding.severity);
        rules.entry((severity, finding.rule.id.as_str())).or_default().push(finding);
    }
    if rules.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.heading("Findings")?;
    for ((Reverse(severity), _), findings) in &rules {
        if *severity != Severity::Info {
            rule(page, *severity, findings)?;
        }
    }
    let infos = rules.iter().filter(|((severity, _), _)| severity.0 == Severity::Info);
    let infos: Vec<(&str, usize)> = infos.map(|((_, id), list)| (*id, list.len())).collect();
    if infos.is_empty() {
        return Ok(());
    }
    let total: usize = infos.iter().map(|(_, count)| count).sum();
    let ids = listed(infos.iter().map(|(id, count)| format!("{id} ×{count}")), 8);
    page.styled(DIM, "  info")?;
    page.plain("      ")?;
    page.rest(&format!("{} not shown: {ids}", counted(total, "finding")), 12)
}

fn rule<W: Write>(
    page: &mut Page<'_, W>,
    severity: Severity,
    findings: &[&Finding],
) -> io::Result<()> {
    let Some(first) = findings.first() else { return Ok(()) };
    let colour = match severity {
        Severity::Critical | Severity::High => RED,
        Severity::Medium => YELLOW,
        Severity::Low | Severity::Info => DIM,
    };
    page.styled(colour, &format!("  {:<9}", severity.as_str().to_uppercase()))?;
    page.plain(" ")?;
    let title = format!("{} {}", printable(&first.rule.id), printable(&first.rule.title));
    page.long_heading(&title, 12, 14)?;
    for finding in findings.iter().take(MAX_PER_RULE) {
        page.paragraph(&line(finding), 12, 14)?;
        let place = place(finding);
        if !place.is_empty() {
            page.paragraph(&place, 14, 16)?;
        }
        if std::ptr::eq(*finding, *first) {
            details(page, finding)?;
        }
    }
    if findings.len() > MAX_PER_RULE {
        page.paragraph(&format!("and {} more", findings.len() - MAX_PER_RULE), 12, 14)?;
    }
    for step in &first.rule.todo {
        page.paragraph(&format!("→ {}", printable(step)), 12, 14)?;
    }
    Ok(())
}

/// What the first finding of a rule answers beside: with what software, what text matched, and
/// how to silence it.
fn details<W: Write>(page: &mut Page<'_, W>, finding: &Finding) -> io::Result<()> {
    let software = finding.software.iter().map(|name| printable(name).into_owned());
    let software = listed(software, MAX_SOFTWARE);
    if !software.is_empty() {
        page.paragraph(&format!("software: {software}"), 14, 16)?;
    }
    let names = [("user", &finding.user), ("device", &finding.device)];
    for (what, name) in names {
        if let Some(name) = name {
            page.paragraph(&format!("{what}: {}", printable(name)), 14, 16)?;
        }
    }
    if finding.sources.len() > 1 {
        let sources = finding.sources.iter().map(|source| printable(source).into_owned());
        page.paragraph(&format!("told by: {}", listed(sources, 4)), 14, 16)?;
    }
    if let Some(matched) = finding.matched.first() {
        let text: String = matched.text.chars().take(MAX_MATCHED_CHARS).collect();
        let cut = if text.len() < matched.text.len() { "…" } else { "" };
        let (field, view) = (printable(&matched.field), printable(matched.view));
        let line = format!("matched: {field} ({view}): {}{cut}", printable(&text));
        page.paragraph(&line, 14, 16)?;
    }
    let id = printable(finding.short_id());
    page.paragraph(&format!("to silence it: shadowtap findings verdict {id} benign"), 14, 16)
}

/// What happened and how often; first by whom and where, if the sentence leaves that out.
fn line(finding: &Finding) -> String {
    let Finding { client, server_key, text, count, .. } = finding;
    let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
    let text = printable(text);
    if text.contains(&client.to_string()) && text.contains(&**server_key) {
        return format!("{text}{times}");
    }
    let client = known(*client);
    format!("{client} → {}: {text}{times}", printable(server_key))
}

/// File and packet, ready for Wireshark, and the tunnels that the packet is in.
fn place(finding: &Finding) -> String {
    finding.packets.first().map_or_else(String::new, |packet| {
        let file = printable(&packet.file);
        if packet.is_line {
            return format!("look: {file}, line {}", packet.number);
        }
        format!("look: {file}, frame.number == {}{}", packet.number, inside(finding))
    })
}

/// `, inside vlan 7, vxlan 42 (10.0.0.8 → 10.0.0.9)`: outermost first.
fn inside(finding: &Finding) -> String {
    let layers = finding.tunnels.0.iter().map(|layer| {
        let id = layer.id.map_or_else(String::new, |id| format!(" {id}"));
        let outer = layer.outer.map(|(src, dst)| format!(" ({src} → {dst})"));
        format!("{}{id}{}", layer.kind.name(), outer.unwrap_or_default())
    });
    let layers = listed(layers, 4);
    if layers.is_empty() { layers } else { format!(", inside {layers}") }
}
