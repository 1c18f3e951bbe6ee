//! `shadowtap findings`.

mod read;
mod store;

use std::path::{Path, PathBuf};

use super::args::Findings;
use super::{Exit, Failure, approvals, complain, print};
use crate::finding::ruling::{Ruled, Ruling, precision_table, tally};
use crate::sinks::printable;
use read::Told;

/// Fewer digits of an id name no finding.
const MIN_ID_CHARS: usize = 4;

pub(super) fn run(command: Findings) -> Result<Exit, Failure> {
    match command {
        Findings::List { files } => list(&files),
        Findings::Verdict { id, verdict, files, state, note } => {
            rule(&id, verdict, &files, &state, note)
        }
        Findings::Precision { state } => {
            let rulings = store::load(&state)?;
            if rulings.is_empty() {
                let hint = "`shadowtap findings verdict ID tp|fp|benign` says what a finding was";
                return Err(Failure::new(format!("{}: no verdicts yet; {hint}", state.display())));
            }
            print(&precision_table(&tally(&rulings)))?;
            Ok(Exit::Clean)
        }
    }
}

fn list(files: &[PathBuf]) -> Result<Exit, Failure> {
    let found = read::read(files, &|_| true)?;
    let mut text = String::new();
    for told in &found.findings {
        text.push_str(&line(told));
    }
    print(&text)?;
    found.complain();
    Ok(Exit::Clean)
}

/// Id, severity, rule, count and time of a finding, and what happened.
fn line(told: &Told) -> String {
    let Told { event, rule, source, server, message, .. } = told;
    let count = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
    format!(
        "{:12} {:8} {} {} {} -> {}: {}{count}\n",
        printable(short(&event.id)),
        printable(&event.severity_name),
        printable(&rule.id),
        printable(&event.end),
        printable(&source.ip),
        printable(&server.key),
        printable(message),
    )
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn rule(
    id: &str,
    verdict: Ruling,
    files: &[PathBuf],
    state: &Path,
    note: Option<String>,
) -> Result<Exit, Failure> {
    let id = id.to_ascii_lowercase();
    if id.len() < MIN_ID_CHARS || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        let what = "is no id: at least 4 of its 32 hex digits, as reports and events have it";
        return Err(Failure::new(format!("{} {what}", printable(&id))));
    }
    let found = read::read(files, &|told| told.event.id.starts_with(&id))?;
    found.complain();
    let told = match found.findings.as_slice() {
        [told] => told,
        [] => {
            let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            let text = format!("there is no finding {id} in {}", names.join(", "));
            return Err(Failure::new(format!("{text}; --in names other files or folders")));
        }
        several => {
            let lines: String = several.iter().take(10).map(line).collect();
            let text =
                format!("{} findings begin with {id}; type more of it\n{lines}", several.len());
            return Err(Failure::new(text));
        }
    };
    let ruled = Ruled {
        at: approvals::now().to_string(),
        finding: told.event.id.clone(),
        rule: told.rule.id.clone(),
        version: told.rule.version.clone(),
        verdict,
        server: told.server.key.clone(),
        client: told.source.ip.clone(),
        note,
    };
    let file = store::append(state, &ruled)?;
    let (word, name) = (verdict.as_str(), short(&told.event.id));
    complain(&format!("{name} ({}) is {word}, says {}", ruled.rule, file.display()));
    if verdict != Ruling::Tp {
        if told.silence.is_empty() {
            return Err(Failure::new("the finding has no snippet: an older version wrote it"));
        }
        complain("review this, put an owner and a reason to it, and add it to your files:");
        let lines = told.silence.lines().map(|line| format!("{}\n", printable(line)));
        print(&lines.collect::<String>())?;
    }
    Ok(Exit::Clean)
}
