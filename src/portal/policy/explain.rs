//! Decisions and policies in words.

use std::fmt::{self, Write as _};

use cedar_policy::PolicySet;
use serde_json::value::RawValue;

use super::compile::Entry;
use super::config::{Condition, Plain, Scalar};
use super::decide::Asking;
use super::{Basis, Circumstances, Decision, Item, Phase, Policy, Ruling, Tier, literal};
use crate::portal::principal::Principal;

/// A decision and all that led to it, for operators: clients learn the kind only.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Whether it is listed.
    pub list: Decision,
    /// Whether it is called.
    pub call: Decision,
    /// Policies that hold, in words.
    pub holds: Vec<String>,
    /// Policies for this server, name and group that do not hold, or cannot be evaluated.
    pub others: Vec<String>,
}

impl Policy {
    /// Why somebody may or may not list and call something.
    #[must_use]
    pub fn explain(
        &self,
        principal: &Principal,
        item: &Item<'_>,
        arguments: Option<&RawValue>,
        circumstances: &Circumstances,
    ) -> Explanation {
        let list = self.list(principal, item, circumstances);
        let call = self.call(principal, item, arguments, circumstances);
        let groups = self.groups_of(principal);
        let tier = self.tier(item);
        let (mut holds, mut others) = (Vec::new(), Vec::new());
        for phase in [Phase::List, Phase::Call] {
            let asking = Asking { principal, item: *item, tier, phase, circumstances };
            let slice = self.slice(&asking, &groups);
            for entry in slice.entries.iter().filter_map(|index| self.entries.get(*index)) {
                let mut one = PolicySet::new();
                // As it is in the slice: with its scope, or without where that is known to hold.
                let policy = slice.whole.policy(entry.policy.id());
                policy.into_iter().for_each(|policy| drop(one.add(policy.clone())));
                let answer = self.evaluate(&asking, &groups, &slice, &one, Some(arguments));
                let words = format!("{}: {}", phase.as_str(), self.words(entry));
                match answer.kind {
                    Basis::Policy => holds.push(words),
                    Basis::Default => others.push(format!("{words} (its conditions do not hold)")),
                    _ => {
                        let note = answer.note.unwrap_or_default();
                        others.push(format!("{words} (cannot be evaluated: {note})"));
                    }
                }
            }
        }
        Explanation { list, call, holds, others }
    }

    /// What a policy says.
    pub(super) fn words(&self, entry: &Entry) -> String {
        let rule = entry.rule.and_then(|index| self.rules.get(index));
        let Some(rule) = rule else {
            let text = entry.text.split_whitespace().collect::<Vec<_>>().join(" ");
            return format!("`{}` (Cedar) {text}", entry.id);
        };
        let file = self.source.as_ref().map_or("policy", |source| &source.name);
        let mut out = format!("`{}` ({file}:{}) ", entry.id, rule.place.line);
        out.push_str(match entry.ruling {
            Ruling::Allow => "allows ",
            Ruling::Hold => "allows, once it is approved, ",
            Ruling::Deny => "denies ",
        });
        match &entry.scope.group {
            // Writing to a string cannot fail.
            Some(group) => _ = write!(out, "group {}", literal(group)),
            None => out.push_str("everybody"),
        }
        let phases: Vec<_> = entry.scope.phases.iter().map(|phase| phase.as_str()).collect();
        _ = write!(out, " to {} ", phases.join(" and "));
        let kind = entry.scope.kind.map_or("anything", super::Kind::as_str);
        out.push_str(kind);
        if let Some(names) = &entry.scope.names {
            let names: Vec<_> = names.iter().map(|name| format!("`{}`", name.as_str())).collect();
            _ = write!(out, " {}", names.join(" or "));
        }
        match &entry.scope.server {
            Some(server) => _ = write!(out, " of server `{}`", server.as_str()),
            None => out.push_str(" of any server"),
        }
        if let Some(tiers) = &entry.scope.tiers {
            let tiers: Vec<_> = tiers.iter().map(|tier| tier.as_str()).collect();
            _ = write!(out, ", if its tier is {}", tiers.join(" or "));
        }
        if entry.needs_arguments {
            _ = write!(out, ", where {}", conditions(rule));
        }
        out
    }
}

fn conditions(rule: &Plain) -> String {
    let all = rule.arguments.iter().map(|(path, it)| format!("{path} {}", condition(it)));
    all.collect::<Vec<_>>().join(" and ")
}

fn condition(it: &Condition) -> String {
    let mut parts = Vec::new();
    parts.extend(it.eq.as_ref().map(|value| format!("is {}", scalar(value))));
    parts.extend(it.one_of.as_ref().map(|values| {
        let values: Vec<_> = values.iter().map(scalar).collect();
        format!("is one of {}", values.join(", "))
    }));
    parts.extend(it.glob.as_ref().map(|glob| format!("fits {}", literal(glob))));
    parts.extend(it.prefix.as_ref().map(|prefix| format!("begins with {}", literal(prefix))));
    parts.extend(it.min.as_ref().map(|least| format!("is at least {}", scalar(least))));
    parts.extend(it.max.as_ref().map(|most| format!("is at most {}", scalar(most))));
    parts.extend(it.absent.map(|absent| if absent { "is absent" } else { "is there" }.to_owned()));
    parts.join(", ")
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Flag(value) => value.to_string(),
        Scalar::Integer(value) => value.to_string(),
        Scalar::Decimal(value) => value.to_string(),
        Scalar::Text(text) => literal(text),
    }
}

fn said(decision: &Decision) -> String {
    let mut out = format!("{} (", decision.ruling.as_str());
    match (&decision.policy, decision.kind) {
        (Some(policy), Basis::Policy) => _ = write!(out, "policy `{policy}`"),
        (_, Basis::Default) => out.push_str("no policy allows it"),
        (_, Basis::Tier) => out.push_str("`hold_tiers` has its tier"),
        (_, Basis::Quarantine) => {
            out.push_str("its definition is new or changed, and nobody approved it");
        }
        (policy, kind) => {
            _ = write!(out, "{} {}", kind.as_str(), policy.as_deref().unwrap_or_default());
        }
    }
    if let Some(note) = &decision.note {
        _ = write!(out, "; {note}");
    }
    out.push(')');
    out
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tier: Tier = self.call.tier;
        writeln!(f, "tier: {}", tier.as_str())?;
        writeln!(f, "list: {}", said(&self.list))?;
        writeln!(f, "call: {}", said(&self.call))?;
        for (title, lines) in [("policies that hold", &self.holds), ("others", &self.others)] {
            if !lines.is_empty() {
                writeln!(f, "{title}:")?;
            }
            for line in lines {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}
