//! Files into a rule set, and everything that is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::list::{self, List, Lists};
use super::problem::{Problem, Report, Source};
use super::set::{Choice, Compiled, RuleSet};
use super::syntax::{self, File};
use super::testing::{self, Recognise};
use super::tuning::{self, Tuning};
use super::{Limits, builtin, compile as compiler};

/// Compiles files into a rule set, without running examples. The report holds warnings.
///
/// # Errors
///
/// Everything that is wrong, when anything is: a set is used whole or not at all.
pub fn compile(sources: &[Source], limits: &Limits) -> Result<(RuleSet, Report), Report> {
    let (rules, lists, tuning, mut report) = assemble(sources, limits);
    report.sort();
    if report.has_errors() {
        return Err(report);
    }
    match RuleSet::new(rules, lists) {
        Ok(set) => Ok((set.with_tuning(tuning), report)),
        Err(error) => {
            let message = format!("the literals of all rules are too many: {error}");
            report.push(Problem::of_file("(all rules)", "too-many-literals", message));
            Err(report)
        }
    }
}

/// Compiles files and runs the examples of every rule that compiles. The set is absent when
/// there are errors.
pub fn check(
    sources: &[Source],
    limits: &Limits,
    recognise: &dyn Recognise,
) -> (Option<RuleSet>, Report) {
    let (rules, lists, tuning, mut report) = assemble(sources, limits);
    let texts: BTreeMap<&str, &Source> =
        sources.iter().map(|source| (source.name.as_str(), source)).collect();
    for rule in &rules {
        if let Some(source) = texts.get(rule.file.as_str()) {
            testing::run(source, rule, recognise, &mut report);
        }
    }
    for correlation in tuning.correlations() {
        if let Some(source) = texts.get(correlation.file.as_str()) {
            tuning::run(source, correlation, &mut report);
        }
    }
    report.sort();
    let set = if report.has_errors() { None } else { RuleSet::new(rules, lists).ok() };
    (set.map(|set| set.with_tuning(tuning)), report)
}

/// The files, and where some of them refer to rules that others have (exceptions, thresholds,
/// correlations), the built-in files too, but for those whose ids and names the files have
/// themselves: so that an exception for a built-in rule can be checked alone.
#[must_use]
pub fn beside_builtin(mut sources: Vec<Source>, limits: &Limits) -> Vec<Source> {
    let name = |file: File| match file {
        File::Rule(rule) => Some(rule.id.value),
        File::Correlation(correlation) => Some(correlation.id.value),
        File::List(list) => Some(list.name.value),
        File::Exceptions(_) | File::Thresholds(_) => None,
    };
    let files: Vec<File> =
        sources.iter().filter_map(|source| syntax::parse(source, limits).ok()).collect();
    let refers = |file: &File| !matches!(file, File::Rule(_) | File::List(_));
    if !files.iter().any(refers) {
        return sources;
    }
    let names: BTreeSet<String> = files.into_iter().filter_map(name).collect();
    sources.extend(builtin().into_iter().filter(|source| {
        let own = syntax::parse(source, limits).ok().and_then(name);
        own.is_none_or(|own| !names.contains(&own))
    }));
    sources
}

/// Parses and compiles every file, and checks them against each other.
pub(super) fn assemble(
    sources: &[Source],
    limits: &Limits,
) -> (Vec<Compiled>, Lists, Tuning, Report) {
    let mut report = Report::default();
    if sources.len() > limits.max_files {
        let message = format!("{} files; at most {} are read", sources.len(), limits.max_files);
        report.push(Problem::of_file("(all rules)", "too-many-files", message));
    }
    let mut files = Vec::new();
    for source in sources.iter().take(limits.max_files) {
        match syntax::parse(source, limits) {
            Ok(file) => files.push((source, file)),
            Err(problem) => report.push(*problem),
        }
    }
    let lists = lists(&files, limits, &mut report);
    let mut rules: Vec<Compiled> = Vec::new();
    let mut ids: BTreeMap<&str, &Source> = BTreeMap::new();
    for (source, file) in &files {
        let File::Rule(rule) = file else {
            continue;
        };
        if let Some(first) = ids.insert(&rule.id.value, source) {
            let message = format!("`{}` is the id of two rules", rule.id.value);
            let problem = Problem::error(source, rule.id.place, "duplicate-id", message);
            report.push(problem.hint(format!("the other one is in {}", first.name)));
            continue;
        }
        rules.extend(compiler::rule(source, rule, &lists, limits, &mut report));
    }
    rules.sort_by(|a, b| a.info.id.cmp(&b.info.id));
    budget(&rules, limits, &mut report);
    let tuning = tuning::compile(
        tuning::Files {
            files: &files,
            rules: &rules,
            lists: &lists,
            limits,
            // No rule is one until rules have the key `building_block`.
            is_building_block: &|rule| rule.building_block,
        },
        &mut report,
    );
    unused(&lists, &mut report);
    (rules, lists, tuning, report)
}

fn lists(files: &[(&Source, File)], limits: &Limits, report: &mut Report) -> Lists {
    let mut lists: Lists = BTreeMap::new();
    for (source, file) in files {
        let File::List(written) = file else {
            continue;
        };
        if let Some(first) = lists.get(&written.name.value) {
            let message = format!("`{}` is the name of two lists", written.name.value);
            let problem = Problem::error(source, written.name.place, "duplicate-list", message);
            report.push(problem.hint(format!("the other one is in {}", first.file)));
            continue;
        }
        let list = list::compile(source, written, limits, report);
        lists.insert(list.name.clone(), Arc::new(list));
    }
    lists
}

/// Rules on exchanges and messages that nothing filters cost time on every one of them.
fn budget(rules: &[Compiled], limits: &Limits, report: &mut Report) {
    let unfiltered: Vec<&Compiled> = rules
        .iter()
        .filter(|rule| rule.is_active() && rule.on.is_frequent())
        .filter(|rule| rule.choice == Choice::Unfiltered)
        .collect();
    if unfiltered.len() > limits.max_unfiltered_rules {
        let ids: Vec<_> = unfiltered.iter().map(|rule| rule.info.id.as_str()).collect();
        let message = format!(
            "{} rules with `prefilter: none`; at most {} are allowed",
            unfiltered.len(),
            limits.max_unfiltered_rules
        );
        let problem = Problem::of_file("(all rules)", "too-many-unfiltered", message);
        report.push(problem.hint(ids.join(", ")));
    }
}

fn unused(lists: &Lists, report: &mut Report) {
    if report.has_errors() {
        return;
    }
    let unused = |list: &&Arc<List>| Arc::strong_count(list) == 1;
    for list in lists.values().filter(unused) {
        let message = format!("no rule uses the list `{}`", list.name);
        report.push(Problem::of_file(&list.file, "unused-list", message).warning());
    }
}
