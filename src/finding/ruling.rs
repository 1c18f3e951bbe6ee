//! What people said of findings, and how often each rule was right.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// What a person says of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// A true positive: somebody had to act.
    Tp,
    /// A false positive: what the rule says did not happen.
    Fp,
    /// It happened, and it is allowed: nobody has to act.
    Benign,
}

impl Ruling {
    /// Its name, as typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tp => "tp",
            Self::Fp => "fp",
            Self::Benign => "benign",
        }
    }
}

/// A ruling on one finding, as it is kept: one JSON object per line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// When it was said, RFC 3339.
    #[serde(rename = "@timestamp")]
    pub at: String,
    /// Id of the finding.
    pub finding: String,
    /// Id of its rule.
    pub rule: String,
    /// Revision of the rule.
    #[serde(default)]
    pub version: String,
    /// What was said.
    pub verdict: Ruling,
    /// Key of the server.
    #[serde(default)]
    pub server: String,
    /// Address of the client.
    #[serde(default)]
    pub client: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Rulings on the findings of one rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// True positives.
    pub tp: u64,
    /// False positives.
    pub fp: u64,
    /// Allowed all the same.
    pub benign: u64,
}

impl Tally {
    /// Share of the findings in which what the rule says did happen, benign ones included: percent,
    /// rounded down. `None` without rulings.
    #[must_use]
    pub fn precision(&self) -> Option<u64> {
        let Self { tp, fp, benign } = *self;
        let right = tp.saturating_add(benign);
        right.saturating_mul(100).checked_div(right.saturating_add(fp))
    }
}

/// Counts rulings by rule. Of several on one finding the last one counts.
pub fn tally<'r>(rulings: impl IntoIterator<Item = &'r Ruled>) -> BTreeMap<String, Tally> {
    let mut last: BTreeMap<&str, &Ruled> = BTreeMap::new();
    for ruled in rulings {
        last.insert(&ruled.finding, ruled);
    }
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for ruled in last.values() {
        let tally = tallies.entry(ruled.rule.clone()).or_default();
        match ruled.verdict {
            Ruling::Tp => tally.tp += 1,
            Ruling::Fp => tally.fp += 1,
            Ruling::Benign => tally.benign += 1,
        }
    }
    tallies
}

/// The tallies as a table, the least precise rule first.
#[must_use]
pub fn precision_table(tallies: &BTreeMap<String, Tally>) -> String {
    let mut rows: Vec<(&String, &Tally)> = tallies.iter().collect();
    rows.sort_by_key(|(rule, tally)| (tally.precision(), *rule));
    let mut text = format!("{:<10} {:>6} {:>6} {:>6}  PRECISION\n", "RULE", "TP", "FP", "BENIGN");
    for (rule, tally) in rows {
        let Tally { tp, fp, benign } = tally;
        let precision = tally.precision().unwrap_or(0);
        _ = writeln!(text, "{rule:<10} {tp:>6} {fp:>6} {benign:>6}  {precision} %");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruled(finding: &str, rule: &str, verdict: Ruling) -> Ruled {
        Ruled {
            at: "2026-11-22T08:00:00Z".to_owned(),
            finding: finding.to_owned(),
            rule: rule.to_owned(),
            version: "1".to_owned(),
            verdict,
            server: "http://a/".to_owned(),
            client: "10.0.0.1".to_owned(),
            note: None,
        }
    }

    #[test]
    fn the_last_ruling_on_a_finding_counts() {
        let all = [
            ruled("a", "SMCP-3001", Ruling::Fp),
            ruled("b", "SMCP-3001", Ruling::Tp),
            ruled("a", "SMCP-3001", Ruling::Benign),
            ruled("c", "SMCP-3001", Ruling::Fp),
            ruled("d", "SMCP-6003", Ruling::Fp),
        ];
        let tallies = tally(&all);
        assert_eq!(tallies["SMCP-3001"], Tally { tp: 1, fp: 1, benign: 1 });
        assert_eq!(tallies["SMCP-3001"].precision(), Some(66));
        assert_eq!(tallies["SMCP-6003"].precision(), Some(0));
        assert_eq!(Tally::default().precision(), None);
        let want = "\
RULE           TP     FP BENIGN  PRECISION
SMCP-6003       0      1      0  0 %
SMCP-3001       1      1      1  66 %
";
        assert_eq!(precision_table(&tallies), want);
    }

    #[test]
    fn a_ruling_is_one_line_of_json() {
        let ruled = Ruled { note: Some("two\nlines".into()), ..ruled("a", "r", Ruling::Benign) };
        let line = serde_json::to_string(&ruled).unwrap();
        assert!(!line.contains('\n') && line.contains(r#""verdict":"benign""#), "{line}");
        assert_eq!(serde_json::from_str::<Ruled>(&line).unwrap(), ruled);
    }
}
