//! What changed from one set of rule files to another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::Limits;
use super::problem::{Problem, Source, plural};
use super::syntax::{self, File};

/// A rule or a list that both sets have, and differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its id, or `$name` of a list.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Keys with their values before and after, as JSON.
    pub keys: Vec<(String, Option<String>, Option<String>)>,
    /// Something that matters changed, but `rev` did not.
    pub same_revision: bool,
}

/// What changed between two sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Id and title of what is new.
    pub added: Vec<(String, String)>,
    /// Id and title of what is gone.
    pub removed: Vec<(String, String)>,
    /// What is different.
    pub changed: Vec<Change>,
}

/// Compares two sets of files by the ids of their rules and the names of their lists. Order,
/// comments and file names do not count.
///
/// # Errors
///
/// The first file that is no rule and no list.
pub fn diff(old: &[Source], new: &[Source], limits: &Limits) -> Result<Difference, Box<Problem>> {
    let (old, new) = (read(old, limits)?, read(new, limits)?);
    let mut difference = Difference::default();
    let ids: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for id in ids {
        match (old.get(id), new.get(id)) {
            (None, Some(new)) => difference.added.push((id.clone(), title(new))),
            (Some(old), None) => difference.removed.push((id.clone(), title(old))),
            (Some(old), Some(new)) => difference.changed.extend(change(id, old, new)),
            (None, None) => {}
        }
    }
    Ok(difference)
}

fn read(sources: &[Source], limits: &Limits) -> Result<BTreeMap<String, Value>, Box<Problem>> {
    let mut rules = BTreeMap::new();
    for source in sources {
        let id = match syntax::parse(source, limits)? {
            File::Rule(rule) => rule.id.value.clone(),
            File::List(list) => format!("${}", list.name.value),
            File::Correlation(correlation) => correlation.id.value.clone(),
            File::Exceptions(_) | File::Thresholds(_) => source.name.clone(),
        };
        rules.insert(id, syntax::any(source)?);
    }
    Ok(rules)
}

fn title(rule: &Value) -> String {
    rule.get("title").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn change(id: &str, old: &Value, new: &Value) -> Option<Change> {
    let (before, after) = (old.as_object()?, new.as_object()?);
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differs = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let text = |value: Option<&Value>| value.map(ToString::to_string);
    let keys: Vec<_> =
        differs.map(|key| (key.clone(), text(before.get(key)), text(after.get(key)))).collect();
    let matters = keys.iter().any(|(key, ..)| !matches!(key.as_str(), "tests" | "refs" | "noise"));
    let is_rule = before.contains_key("rev");
    let same_revision = is_rule && matters && before.get("rev") == after.get("rev");
    let change = Change { id: id.to_owned(), title: title(new), keys, same_revision };
    (!change.keys.is_empty()).then_some(change)
}

/// Longest value shown, in characters.
const MAX_VALUE_CHARS: usize = 160;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, rules) in [('+', &self.added), ('-', &self.removed)] {
            for (id, title) in rules {
                writeln!(f, "{}", format!("{sign} {id} {title}").trim_end())?;
            }
        }
        for change in &self.changed {
            writeln!(f, "{}", format!("~ {} {}", change.id, change.title).trim_end())?;
            for (key, old, new) in &change.keys {
                writeln!(f, "    {key}: {} -> {}", shown(old.as_ref()), shown(new.as_ref()))?;
            }
            if change.same_revision {
                writeln!(f, "    rev is the same: raise it, so that findings can be told apart")?;
            }
        }
        let (added, removed) = (self.added.len(), self.removed.len());
        writeln!(
            f,
            "{} added, {} removed, {} changed",
            plural(added, "item"),
            plural(removed, "item"),
            plural(self.changed.len(), "item")
        )
    }
}

fn shown(value: Option<&String>) -> String {
    let Some(value) = value else { return "nothing".into() };
    let mut text: String = value.chars().take(MAX_VALUE_CHARS).collect();
    if text.len() < value.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::builtin;
    use super::*;

    #[test]
    fn added_removed_and_changed_rules_are_told_apart() {
        let old = builtin();
        let mut new = builtin();
        new.retain(|file| !file.text.contains("id: SMCP-1102"));
        for file in &mut new {
            file.text = file.text.replace("id: SMCP-1103", "id: SMCP-1199");
            if file.text.contains("id: SMCP-3001") {
                file.text = file.text.replace("severity: medium\nconf", "severity: low\nconf");
            }
            if file.text.contains("id: SMCP-3002") {
                file.text =
                    file.text.replace("rev: 1", "rev: 2").replace("lane: alert", "lane: hunt");
            }
        }
        let found = diff(&old, &new, &Limits::default()).unwrap();
        let ids =
            |rules: &[(String, String)]| rules.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&found.added), ["SMCP-1199"]);
        assert_eq!(ids(&found.removed), ["SMCP-1102", "SMCP-1103"]);
        let changed: Vec<_> =
            found.changed.iter().map(|c| (c.id.as_str(), c.same_revision)).collect();
        assert_eq!(changed, [("SMCP-3001", true), ("SMCP-3002", false)]);
        let shown = found.to_string();
        assert!(
            shown.contains("    severity: \"medium\" -> \"low\"\n    rev is the same"),
            "{shown}"
        );
        assert!(shown.ends_with("1 item added, 2 items removed, 2 items changed\n"), "{shown}");
    }

    #[test]
    fn order_and_comments_do_not_count() {
        let old = builtin();
        let mut new = builtin();
        new.reverse();
        new.iter_mut().for_each(|file| file.text.push_str("# more\n"));
        assert_eq!(diff(&old, &new, &Limits::default()).unwrap(), Difference::default());
    }
}
