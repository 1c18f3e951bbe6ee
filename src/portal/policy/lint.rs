//! What is odd about policies that work.

use std::collections::BTreeSet;

use super::compile::Entry;
use super::wild::Wild;
use super::{Phase, Policy, Ruling};
use crate::rules::{Place, Problem, Report};

/// Most pairs of policies that are held against each other.
const MAX_PAIRS: usize = 20_000_000;

/// What the rest of the configuration knows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Ids of servers; none where they are not known.
    pub servers: Option<BTreeSet<String>>,
    /// Groups; none where any may come with a token.
    pub groups: Option<BTreeSet<String>>,
}

impl Policy {
    /// Warnings: rules that never make a difference, servers and groups that nobody knows.
    #[must_use]
    pub fn lint(&self, known: &Known) -> Report {
        let mut report = Report::default();
        self.unknown_names(known, &mut report);
        let mut told = BTreeSet::new();
        let mut pairs = 0_usize;
        for (index, entry) in self.entries.iter().enumerate() {
            let Some(rule) = entry.rule.filter(|rule| !told.contains(rule)) else { continue };
            pairs = pairs.saturating_add(self.entries.len());
            if pairs > MAX_PAIRS {
                let message = "too many policies to hold all against each other";
                report.push(Problem::of_file("policy", "too-many", message).warning());
                break;
            }
            if let Some((code, message)) = self.useless(index, entry) {
                told.insert(rule);
                self.warn(entry, code, message, &mut report);
            }
        }
        for entry in &self.entries {
            if entry.rule.is_some() && self.is_listed_only(entry) {
                let message = format!("`{}` lists what no rule allows to call", entry.id);
                self.warn(entry, "never-callable", message, &mut report);
            }
        }
        if self.entries.iter().all(|entry| entry.ruling == Ruling::Deny) {
            let message = "no policy allows anything, so that nothing is listed";
            report.push(Problem::of_file("policy", "nothing-allowed", message).warning());
        }
        report.sort();
        report
    }

    fn place(&self, entry: &Entry) -> Place {
        let rule = entry.rule.and_then(|index| self.rules.get(index));
        rule.map_or_else(Place::default, |rule| rule.place)
    }

    fn problem(&self, place: Place, code: &'static str, message: String) -> Problem {
        match &self.source {
            Some(source) => Problem::error(source, place, code, message).warning(),
            None => Problem::of_file("policy", code, message).warning(),
        }
    }

    fn warn(&self, entry: &Entry, code: &'static str, message: String, report: &mut Report) {
        report.push(self.problem(self.place(entry), code, message));
    }

    fn unknown_names(&self, known: &Known, report: &mut Report) {
        for rule in &self.rules {
            let groups = rule.groups.iter().flatten();
            for (group, place) in groups {
                if let Some(groups) = &known.groups
                    && !groups.contains(group)
                {
                    let message = format!("nobody is in the group `{group}`");
                    let problem = self.problem(*place, "unknown-group", message);
                    report.push(problem.nearest(group, groups.iter().map(String::as_str)));
                }
            }
            for (server, place) in &rule.servers {
                if let Some(servers) = &known.servers
                    && !servers.iter().any(|id| server.matches(id))
                {
                    let server = server.as_str();
                    let message = format!("no server has the id `{server}`");
                    let problem = self.problem(*place, "unknown-server", message);
                    report.push(problem.nearest(server, servers.iter().map(String::as_str)));
                }
            }
        }
    }

    /// Why a policy makes no difference.
    fn useless(&self, index: usize, entry: &Entry) -> Option<(&'static str, String)> {
        for (at, other) in self.entries.iter().enumerate() {
            let is_other = at != index && other.rule != entry.rule;
            if !is_other
                || other.is_raw
                || other.needs_arguments
                || !other.scope.covers(&entry.scope)
            {
                continue;
            }
            match (other.ruling, entry.ruling) {
                (Ruling::Deny, Ruling::Allow | Ruling::Hold) => {
                    let message =
                        format!("`{}` never holds: `{}` denies all of it", entry.id, other.id);
                    return Some(("shadowed", message));
                }
                (Ruling::Hold, Ruling::Allow) => {
                    let message =
                        format!("`{}` never holds: `{}` holds all of it", entry.id, other.id);
                    return Some(("shadowed", message));
                }
                // Of two that say the same the second is told of.
                (one, same) if one == same && (at < index || !entry.scope.covers(&other.scope)) => {
                    let message =
                        format!("`{}` adds nothing: `{}` says all of it", entry.id, other.id);
                    return Some(("unreachable", message));
                }
                _ => {}
            }
        }
        None
    }

    /// Allowed to be listed, and nothing like it may be called.
    fn is_listed_only(&self, entry: &Entry) -> bool {
        let is_list_rule = entry.ruling != Ruling::Deny
            && entry.scope.phases == [Phase::List].into()
            && !entry.id.ends_with("/list");
        let overlaps = |other: &Entry| {
            let wild = |one: &Wild, two: &Wild| one.covers(two) || two.covers(one);
            let servers = match (&other.scope.server, &entry.scope.server) {
                (Some(one), Some(two)) => wild(one, two),
                _ => true,
            };
            servers && other.scope.phases.contains(&Phase::Call) && other.ruling != Ruling::Deny
        };
        is_list_rule && !self.entries.iter().any(overlaps)
    }
}
