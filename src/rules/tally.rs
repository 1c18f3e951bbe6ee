//! Findings of a run counted by rule.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::columns::{Side, columns};
use super::problem::plural;
use super::set::RuleSet;
use super::tuning::CEILING_ID;

/// Most findings whose ids are remembered; of more, each line counts as one.
const MAX_FINDINGS: usize = 1_000_000;

/// Counts of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Count {
    findings: u64,
    hits: u64,
    title: String,
    servers: BTreeSet<String>,
}

/// Most servers told apart for one rule.
const MAX_SERVERS: usize = 10_000;

/// Findings by rule. A live run tells a finding several times; its last line counts. Memory: the
/// ids of at most a million findings, and ten thousand servers per rule.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    rules: BTreeMap<String, Count>,
    /// Hits of each finding so far.
    seen: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a line of NDJSON output. What is no finding is passed over.
    ///
    /// # Errors
    ///
    /// When it is no JSON.
    pub fn line(&mut self, line: &str) -> Result<(), String> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let event: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if event.get("event_type").and_then(Value::as_str) == Some("finding") {
            self.finding(&event);
        }
        Ok(())
    }

    fn finding(&mut self, event: &Value) {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let hits = event.pointer("/event/count").and_then(Value::as_u64).unwrap_or(1);
        let count = self.rules.entry(text("/rule/id").unwrap_or_default().to_owned()).or_default();
        text("/rule/name").unwrap_or_default().clone_into(&mut count.title);
        if count.servers.len() < MAX_SERVERS {
            count.servers.extend(text("/server/key").map(str::to_owned));
        }
        let id = text("/event/id").unwrap_or_default();
        let before = match self.seen.get_mut(id) {
            Some(before) => std::mem::replace(before, hits),
            None => {
                count.findings += 1;
                if self.seen.len() < MAX_FINDINGS && !id.is_empty() {
                    self.seen.insert(id.to_owned(), hits);
                }
                0
            }
        };
        count.hits += hits.saturating_sub(before);
    }

    /// A table, the rule with the most hits first, and the rules of a set that never fired.
    #[must_use]
    pub fn table(&self, set: &RuleSet) -> String {
        let mut rules: Vec<_> = self.rules.iter().collect();
        rules.sort_by_key(|(id, count)| (std::cmp::Reverse(count.hits), (*id).clone()));
        let header = ["ID", "HITS", "FINDINGS", "SERVERS", "TITLE"].map(str::to_owned);
        let row = |(id, count): (&String, &Count)| {
            let number = |count: u64| count.to_string();
            let servers = count.servers.len().to_string();
            let (hits, findings) = (number(count.hits), number(count.findings));
            [id.clone(), hits, findings, servers, count.title.clone()]
        };
        let rows: Vec<_> = std::iter::once(header).chain(rules.into_iter().map(row)).collect();
        let (left, right) = (Side::Left, Side::Right);
        let mut out = columns([left, right, right, right, left], &rows);
        let tellers = set.tellers();
        let idle = tellers.iter().filter(|teller| teller.is_active());
        let idle: Vec<_> = idle.filter(|rule| !self.rules.contains_key(&rule.info.id)).collect();
        out.push_str(&format!("\n{} never fired\n", plural(idle.len(), "rule")));
        for rule in idle {
            out.push_str(&format!("  {} {}\n", rule.info.id, rule.info.title));
        }
        let loaded =
            |id: &&String| *id == CEILING_ID || tellers.iter().any(|teller| teller.info.id == **id);
        let unknown: Vec<_> =
            self.rules.keys().filter(|id| !loaded(id)).map(String::as_str).collect();
        if !unknown.is_empty() {
            out.push_str(&format!("not among the rules here: {}\n", unknown.join(", ")));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, builtin, compile};
    use super::*;

    fn line(rule: &str, id: &str, count: u64, server: &str) -> String {
        serde_json::json!({
            "event_type": "finding", "rule": {"id": rule, "name": "T"},
            "event": {"id": id, "count": count}, "server": {"key": server},
        })
        .to_string()
    }

    #[test]
    fn the_last_line_of_a_finding_counts() {
        let set = compile(&builtin(), &Limits::default()).unwrap().0;
        let mut tally = Tally::default();
        for text in [
            line("SMCP-3001", "a", 1, "s1"),
            line("SMCP-3001", "a", 5, "s1"),
            line("SMCP-3001", "b", 2, "s2"),
            line("SMCP-9001", "c", 9, "s1"),
            "{\"event_type\": \"server\"}".into(),
            String::new(),
        ] {
            tally.line(&text).unwrap();
        }
        assert!(tally.line("{").is_err());
        let table = tally.table(&set);
        let rows: Vec<_> = table.lines().skip(1).take(2).collect();
        assert_eq!(
            rows,
            ["SMCP-9001     9         1        1  T", "SMCP-3001     7         2        2  T"]
        );
        assert!(
            table.contains(&format!("{} rules never fired\n", set.tellers().len() - 1)),
            "{table}"
        );
        assert!(table.ends_with("not among the rules here: SMCP-9001\n"), "{table}");
    }
}
