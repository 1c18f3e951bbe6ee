//! `shadowtap rules`.

mod bench;
mod compare;
mod convert;
mod format;
mod fresh;
mod why;

use std::path::{Path, PathBuf};

use super::args::{RuleSource, Rules};
use super::{Exit, Failure, load, print};
use crate::pipeline::Recogniser;
use crate::rules::{self, Compiled, RuleSet, Source};

pub(super) fn run(command: Rules) -> Result<Exit, Failure> {
    match command {
        Rules::Check { paths } => check(&paths),
        Rules::Test { paths, only } => test(&paths, &only),
        Rules::List { source } => {
            let set = load::rules(&source)?;
            print(&rules::table(&set))?;
            Ok(Exit::Clean)
        }
        Rules::Explain { id, measure, source } => explain(&id, &measure, &source),
        Rules::Why { event, rule, source } => why::run(&event, rule.as_deref(), &source),
        Rules::Cover { format, source } => cover(&format, &source),
        Rules::Bench { captures, source } => bench::run(&captures, &source),
        Rules::Fmt { check, paths } => format::run(check, &paths),
        Rules::New(new) => fresh::run(&new),
        Rules::Import(import) => convert::import(import),
        Rules::Export(export) => convert::export(export),
        Rules::Diff { old, new } => compare::diff(&old, &new),
        Rules::Stats { files, source } => compare::stats(&files, &source),
        Rules::Schema { kind } => schema(&kind),
    }
}

/// Rule files below paths, or the built-in ones.
fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    if paths.is_empty() {
        return Ok(rules::builtin());
    }
    let limits = rules::Limits::default();
    let sources = rules::load::read(paths, &limits).map_err(Failure::new)?;
    if sources.is_empty() {
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let text = format!("{}: no rules; files named .yaml or .yml are read", names.join(", "));
        return Err(Failure::new(text));
    }
    Ok(rules::beside_builtin(sources, &limits))
}

fn check(paths: &[PathBuf]) -> Result<Exit, Failure> {
    let sources = sources(paths)?;
    let (set, report) = rules::check(&sources, &rules::Limits::default(), &Recogniser);
    print(&report.to_string())?;
    if let Some(set) = set {
        let tested = set.rules().len() + set.tuning().correlations().len();
        print(&format!("files read: {}; rules tested: {tested}\n", sources.len()))?;
    }
    Ok(if report.has_errors() { Exit::Usage } else { Exit::Clean })
}

fn test(paths: &[PathBuf], only: &[String]) -> Result<Exit, Failure> {
    let sources = sources(paths)?;
    let wanted = |id: &str| only.is_empty() || only.iter().any(|o| o.eq_ignore_ascii_case(id));
    let trials = rules::test(&sources, &rules::Limits::default(), &Recogniser, &wanted);
    let tested = |id: &String| trials.rules.iter().any(|t| t.id.eq_ignore_ascii_case(id));
    if let Some(id) = only.iter().find(|id| !tested(id)) {
        let problems = &trials.refused;
        let problems = if problems.has_errors() { format!("\n{problems}") } else { String::new() };
        return Err(Failure::new(format!("there is no rule {id} to test{problems}")));
    }
    print(&trials.to_string())?;
    Ok(if trials.passed() { Exit::Clean } else { Exit::Usage })
}

/// The rule of an id, in either case.
fn rule<'s>(set: &'s RuleSet, id: &str) -> Result<&'s Compiled, Failure> {
    set.get(&id.to_ascii_uppercase()).ok_or_else(|| {
        Failure::new(format!("there is no rule {id}; `shadowtap rules list` names them all"))
    })
}

fn explain(id: &str, measure: &[PathBuf], source: &RuleSource) -> Result<Exit, Failure> {
    let set = load::rules(source)?;
    if let Some(correlation) = set.tuning().correlation(&id.to_ascii_uppercase()) {
        if !measure.is_empty() {
            let text = format!("{id} is a correlation; measure the rules that feed it");
            return Err(Failure::new(text));
        }
        print(&correlation.explain())?;
        return Ok(Exit::Clean);
    }
    let rule = rule(&set, id)?;
    let mut text = rules::explain(rule);
    if !measure.is_empty() {
        text.push_str(&format!("\nCost\n  {}\n", bench::one(rule, measure, source)?));
    }
    print(&text)?;
    Ok(Exit::Clean)
}

fn schema(kind: &str) -> Result<Exit, Failure> {
    let schema = match kind {
        "list" => rules::list_schema(),
        "exceptions" => rules::exceptions_schema(),
        "thresholds" => rules::thresholds_schema(),
        "correlation" => rules::correlation_schema(),
        _ => rules::schema(),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(Failure::new)?;
    print(&format!("{text}\n"))?;
    Ok(Exit::Clean)
}

fn cover(format: &str, source: &RuleSource) -> Result<Exit, Failure> {
    let coverage = rules::cover(&load::rules(source)?);
    let text = match format {
        "json" => serde_json::to_string_pretty(&coverage).map_err(Failure::new)? + "\n",
        _ => coverage.markdown(),
    };
    print(&text)?;
    Ok(Exit::Clean)
}

/// Longest text that is read where no other limit applies (16 MiB).
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// A file's text, or that of standard input for `-`.
fn text(file: &Path) -> Result<String, Failure> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let mut input = std::io::Read::take(std::io::stdin().lock(), MAX_TEXT_BYTES);
        std::io::Read::read_to_end(&mut input, &mut bytes)
            .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
        bytes
    } else {
        load::bytes(file, MAX_TEXT_BYTES)?
    };
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Failure::new(format!("{}: not UTF-8 from byte {offset} on", file.display()))
    })
}

/// Writes a file, making the folders above it.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(file, text))
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))
}
