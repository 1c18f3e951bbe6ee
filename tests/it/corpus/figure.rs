//! How much benign traffic was read, and what was found in it, with hashes of both sides.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ring::digest;

use super::gate::{Group, OUTCOMES, Outcome, TRUE, is_true, made_up};
use super::kit::hex;
use super::{documents, generated};
use crate::run::root;

/// SHA-256 over names, lengths and contents, in order of the names.
fn hashed(mut parts: Vec<(String, Vec<u8>)>) -> String {
    parts.sort();
    let mut context = digest::Context::new(&digest::SHA256);
    for (name, bytes) in parts {
        context.update(name.as_bytes());
        context.update(&[0]);
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(&bytes);
    }
    hex(context.finish().as_ref())
}

/// The files below a folder that have one of these endings, by their names from the root.
fn contents(folder: &Path, endings: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = Vec::new();
    documents::files(folder, &mut paths);
    paths.retain(|path| {
        path.extension().is_some_and(|own| endings.iter().any(|ending| own == *ending))
    });
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

fn rule_files() -> Vec<(String, Vec<u8>)> {
    contents(&root().join("rules"), &["yaml", "yml", "csv"])
}

/// All that is read, save the documents: they change by the day, and their rules are hashed.
fn corpus_files() -> Vec<(String, Vec<u8>)> {
    let endings = ["pcap", "pcapng", "keylog", "json", "yaml"];
    let mut parts = contents(&root().join("captures"), &endings);
    for (name, group, bytes, _) in made_up() {
        if group != Group::Documents {
            parts.push((format!("made up: {name}"), bytes));
        }
    }
    parts
}

fn count(outcomes: &[&Outcome], lane: &str, right: bool) -> usize {
    let of = |outcome: &&Outcome| {
        let found = outcome.findings.iter();
        found.filter(|f| f.lane == lane && is_true(outcome, f) == right).count()
    };
    outcomes.iter().map(of).sum()
}

fn row(title: &str, outcomes: &[&Outcome]) -> String {
    let flows: u64 = outcomes.iter().map(|outcome| outcome.flows).sum();
    let messages: u64 = outcomes.iter().map(|outcome| outcome.messages).sum();
    let [enforce, alert, hunt] =
        ["enforce", "alert", "hunt"].map(|lane| count(outcomes, lane, false));
    let right = ["enforce", "alert"].iter().map(|lane| count(outcomes, lane, true)).sum::<usize>();
    format!(
        "| {title} | {} | {flows} | {messages} | {enforce} | {alert} | {right} | {hunt} |\n",
        outcomes.len()
    )
}

fn text() -> String {
    let mut text =
        "| traffic | files | flows | JSON-RPC messages read | `enforce` | `alert` | true | \
                    `hunt` |\n|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    let shipped = || OUTCOMES.iter().filter(|outcome| outcome.shipped);
    for group in Group::ALL {
        let own: Vec<_> = shipped().filter(|outcome| outcome.group == group).collect();
        text += &row(group.title(), &own);
    }
    text += &row("all", &shipped().collect::<Vec<_>>());
    text += "\nThe columns of lanes count false alarms; `hunt` is for looking around and may speak. \
             What is true of the\nrecorded servers, which are those of a lab, is no false alarm:";
    for (number, (_, rule, why)) in TRUE.iter().enumerate() {
        let comma = if number == 0 { "" } else { ";" };
        _ = write!(text, "{comma}\n{why} ({rule})");
    }
    _ = write!(
        text,
        ".\n\nSHA-256 over names, lengths and contents, sorted by name:\n\n    rules   {}\n    corpus  {}\n",
        hashed(rule_files()),
        hashed(corpus_files())
    );
    text
}

#[test]
fn the_figure_in_the_documentation_is_that_of_this_corpus_and_these_rules() {
    generated::section("corpus", &text());
}

#[test]
fn made_up_traffic_is_the_same_every_time() {
    let parts = || made_up().into_iter().map(|(name, _, bytes, _)| (name.to_owned(), bytes));
    assert_eq!(hashed(parts().collect()), hashed(parts().collect()));
}
