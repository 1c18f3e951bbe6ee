//! Which threats of public taxonomies have rules: a matrix, with what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::set::RuleSet;
use super::syntax::Taxonomy;
use super::{Lane, Status};

/// The OWASP MCP Top 10 of 2025: id and title.
const OWASP_MCP: [(&str, &str); 10] = [
    ("MCP01:2025", "Token Mismanagement and Secret Exposure"),
    ("MCP02:2025", "Privilege Escalation via Scope Creep"),
    ("MCP03:2025", "Tool Poisoning"),
    ("MCP04:2025", "Software Supply Chain Attacks and Dependency Tampering"),
    ("MCP05:2025", "Command Injection and Execution"),
    ("MCP06:2025", "Intent Flow Subversion"),
    ("MCP07:2025", "Insufficient Authentication and Authorization"),
    ("MCP08:2025", "Lack of Audit and Telemetry"),
    ("MCP09:2025", "Shadow MCP Servers"),
    ("MCP10:2025", "Context Injection and Over-Sharing"),
];

/// Techniques of MITRE ATLAS that traffic can show.
const ATLAS: [&str; 9] = [
    "AML.T0010",
    "AML.T0034",
    "AML.T0051.001",
    "AML.T0053",
    "AML.T0055",
    "AML.T0057",
    "AML.T0068",
    "AML.T0080",
    "AML.T0086",
];

/// Weaknesses that traffic can show, by CWE number.
const CWE: [&str; 22] = [
    "CWE-22", "CWE-78", "CWE-89", "CWE-150", "CWE-200", "CWE-306", "CWE-319", "CWE-330", "CWE-346",
    "CWE-359", "CWE-384", "CWE-436", "CWE-441", "CWE-494", "CWE-523", "CWE-598", "CWE-694",
    "CWE-918", "CWE-1007", "CWE-1327", "CWE-1395", "CWE-1427",
];

/// Techniques of SAFE-MCP that traffic can show.
const SAFE_MCP: [&str; 19] = [
    "SAFE-T1001",
    "SAFE-T1003",
    "SAFE-T1004",
    "SAFE-T1005",
    "SAFE-T1008",
    "SAFE-T1102",
    "SAFE-T1105",
    "SAFE-T1106",
    "SAFE-T1109",
    "SAFE-T1112",
    "SAFE-T1201",
    "SAFE-T1402",
    "SAFE-T1502",
    "SAFE-T1504",
    "SAFE-T1601",
    "SAFE-T1703",
    "SAFE-T1706",
    "SAFE-T1801",
    "SAFE-T1911",
];

/// What no rule on traffic can find, and who could.
const OUT_OF_REACH: [(&str, &str); 1] =
    [("MCP08:2025", "an absence, which traffic does not show; running a sensor is the remedy")];

/// Which rules map to the entries of taxonomies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// One after the other.
    pub standards: Vec<Standard>,
    /// Rules that map to nothing.
    pub unmapped: Vec<String>,
}

/// A taxonomy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standard {
    /// Its name.
    pub name: &'static str,
    /// What its list of entries is.
    pub scope: &'static str,
    /// Entries, by id.
    pub rows: Vec<Row>,
}

/// An entry of a taxonomy, and its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Id.
    pub id: String,
    /// Title, where we know it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub title: &'static str,
    /// Rules by id.
    pub rules: Vec<RuleRow>,
    /// Why there is none, or too little.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
}

/// A rule in the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRow {
    /// Id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Lane.
    pub lane: Lane,
    /// Maturity.
    pub status: Status,
}

/// Sorts the rules and correlations of a set into the taxonomies that they map to. Building blocks
/// make no findings, so they cover nothing.
#[must_use]
pub fn cover(set: &RuleSet) -> Coverage {
    let owasp: Vec<_> = OWASP_MCP.to_vec();
    let untitled = |ids: &[&'static str]| ids.iter().map(|id| (*id, "")).collect::<Vec<_>>();
    let standards = vec![
        standard(set, "OWASP MCP Top 10 (2025)", "whole list", &owasp, |map| map.owasp_mcp.clone()),
        standard(
            set,
            "MITRE ATLAS",
            "techniques that traffic can show",
            &untitled(&ATLAS),
            |map| map.atlas.clone(),
        ),
        standard(set, "CWE", "weaknesses that traffic can show", &untitled(&CWE), |map| {
            map.cwe.iter().map(|number| format!("CWE-{number}")).collect()
        }),
        standard(
            set,
            "SAFE-MCP",
            "techniques that traffic can show",
            &untitled(&SAFE_MCP),
            |map| map.safe_mcp.clone(),
        ),
    ];
    let mapped: BTreeSet<&str> = standards
        .iter()
        .flat_map(|standard| &standard.rows)
        .flat_map(|row| row.rules.iter().map(|rule| rule.id.as_str()))
        .collect();
    let tellers = set.tellers();
    let ids = tellers.iter().map(|teller| &teller.info.id);
    let unmapped = ids.filter(|id| !mapped.contains(id.as_str())).cloned().collect();
    Coverage { standards, unmapped }
}

fn standard(
    set: &RuleSet,
    name: &'static str,
    scope: &'static str,
    known: &[(&'static str, &'static str)],
    ids: fn(&Taxonomy) -> Vec<String>,
) -> Standard {
    let mut rules: BTreeMap<String, Vec<RuleRow>> =
        known.iter().map(|(id, _)| ((*id).to_owned(), Vec::new())).collect();
    for teller in set.tellers() {
        let info = teller.info;
        for id in ids(teller.map) {
            rules.entry(id).or_default().push(RuleRow {
                id: info.id.clone(),
                title: info.title.clone(),
                lane: info.lane,
                status: info.status,
            });
        }
    }
    let row = |(id, rules): (String, Vec<RuleRow>)| {
        let title = known.iter().find(|(known, _)| *known == id).map_or("", |(_, title)| *title);
        let gap = gap(&id, &rules);
        Row { id, title, rules, gap }
    };
    let mut rows: Vec<Row> = rules.into_iter().map(row).collect();
    // `CWE-22` comes before `CWE-150`.
    rows.sort_by_key(|row| (row.id.len() * usize::from(name == "CWE"), row.id.clone()));
    Standard { name, scope, rows }
}

/// What is missing where no loaded rule makes findings to act on.
fn gap(id: &str, rules: &[RuleRow]) -> Option<String> {
    if let Some((_, why)) = OUT_OF_REACH.iter().find(|(known, _)| *known == id) {
        return Some(format!("out of reach: {why}"));
    }
    let loaded = |rule: &&RuleRow| matches!(rule.status, Status::Experimental | Status::Stable);
    let loaded: Vec<_> = rules.iter().filter(loaded).collect();
    if rules.is_empty() {
        Some("no rule".into())
    } else if loaded.is_empty() {
        Some("no rule is loaded".into())
    } else if loaded.iter().all(|rule| rule.lane == Lane::Hunt) {
        Some("hunting only".into())
    } else {
        None
    }
}

impl Coverage {
    /// The matrix as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        match self.write(&mut out) {
            Ok(()) | Err(std::fmt::Error) => out,
        }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "# What the rules cover")?;
        for standard in &self.standards {
            let (all, covered) = (standard.rows.len(), standard.covered());
            writeln!(out, "\n## {}: {covered} of {all}\n", standard.name)?;
            writeln!(out, "Rows: {}.\n", standard.scope)?;
            writeln!(out, "| Id | Rules (lane, status) | Gap |\n|---|---|---|")?;
            for row in &standard.rows {
                let title = if row.title.is_empty() { "" } else { " " };
                let rules: Vec<_> = row.rules.iter().map(RuleRow::cell).collect();
                let gap = row.gap.as_deref().unwrap_or_default();
                let (id, rules) = (&row.id, rules.join("<br>"));
                writeln!(out, "| {id}{title}{} | {rules} | {gap} |", row.title)?;
            }
        }
        writeln!(out, "\n## Gaps\n")?;
        for standard in &self.standards {
            let open = standard.rows.iter().filter(|row| row.gap.is_some());
            let open: Vec<_> = open.map(|row| row.id.as_str()).collect();
            let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
            writeln!(out, "- {}: {open}", standard.name)?;
        }
        if !self.unmapped.is_empty() {
            writeln!(out, "\nRules that map to nothing: {}", self.unmapped.join(", "))?;
        }
        Ok(())
    }
}

impl Standard {
    /// Entries with a loaded rule beyond lane `hunt`.
    #[must_use]
    pub fn covered(&self) -> usize {
        self.rows.iter().filter(|row| row.gap.is_none()).count()
    }
}

impl RuleRow {
    /// Id, title, lane and status. A bar would end a cell.
    fn cell(&self) -> String {
        let word = |value: serde_json::Result<serde_json::Value>| match value {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        };
        let (lane, status) = (serde_json::to_value(self.lane), serde_json::to_value(self.status));
        let title = self.title.replace('|', "\\|");
        format!("{} {title} ({}, {})", self.id, word(lane), word(status))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, builtin, compile};
    use super::*;

    #[test]
    fn every_mapping_of_the_shipped_rules_is_in_the_matrix() {
        let set = compile(&builtin(), &Limits::default()).unwrap().0;
        let coverage = cover(&set);
        let text = coverage.markdown();
        assert!(text.contains("SMCP-8011 ") && !text.contains("SMCP-8900"));
        let owasp = &coverage.standards[0];
        assert_eq!(owasp.rows.len(), 10);
        let shadow = owasp.rows.iter().find(|row| row.id == "MCP09:2025").unwrap();
        assert!(shadow.rules.iter().any(|rule| rule.id == "SMCP-3001") && shadow.gap.is_none());
        let audit = owasp.rows.iter().find(|row| row.id == "MCP08:2025").unwrap();
        assert!(audit.gap.as_ref().unwrap().starts_with("out of reach"));
        for rule in set.tellers() {
            let times = |rows: &[Row]| {
                let of_row = |row: &Row| row.rules.iter().filter(|r| r.id == rule.info.id).count();
                rows.iter().map(of_row).sum::<usize>()
            };
            let map = &rule.map;
            let mapped = [map.owasp_mcp.len(), map.atlas.len(), map.cwe.len(), map.safe_mcp.len()];
            let shown: Vec<_> = coverage.standards.iter().map(|s| times(&s.rows)).collect();
            assert_eq!(shown, mapped, "{}", rule.info.id);
            let none = mapped.iter().sum::<usize>() == 0;
            assert_eq!(coverage.unmapped.contains(&rule.info.id), none, "{}", rule.info.id);
        }
    }

    #[test]
    fn a_rule_for_hunters_or_a_draft_leaves_a_gap() {
        let rule = |lane, status| RuleRow { id: "x".into(), title: "a|b".into(), lane, status };
        for (rules, gap_is) in [
            (vec![], Some("no rule")),
            (vec![rule(Lane::Alert, Status::Draft)], Some("no rule is loaded")),
            (vec![rule(Lane::Hunt, Status::Stable)], Some("hunting only")),
            (vec![rule(Lane::Alert, Status::Stable)], None),
        ] {
            assert_eq!(gap("MCP01:2025", &rules).as_deref(), gap_is);
        }
        assert_eq!(rule(Lane::Alert, Status::Draft).cell(), "x a\\|b (alert, draft)");
    }

    #[test]
    fn weaknesses_are_in_the_order_of_their_numbers() {
        let coverage = cover(&RuleSet::default());
        let ids: Vec<_> = coverage.standards[2].rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, CWE);
        assert!(coverage.markdown().contains("## CWE: 0 of 22"));
    }
}
