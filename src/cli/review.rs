//! `shadowtap approvals review`: what was learnt into approvals, decided by a person.

mod dialogue;

use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::args::Review;
use super::replace::replace;
use super::{Exit, Failure, approvals, complain, learn, load, print};
use crate::finding::learn::{Candidate, Decision, Learned};
use crate::mcp::Evidence;
use crate::sinks::printable;
use crate::time::Timestamp;
use crate::verdict::{DraftServer, MAX_FILE_BYTES, NO_OWNER, Terms, draft_expiry, merge};
use dialogue::{Answers, Dialogue};

pub(super) fn run(args: &Review) -> Result<Exit, Failure> {
    let mut learned = learn::read(&args.file)?;
    let text = approvals_text(&args.approvals)?;
    let now = approvals::now();
    let known = settle_known(&mut learned, &text, args)?;
    let waiting: Vec<usize> = waiting(&learned);
    let defaults = defaults(args, now)?;
    let answers = if args.yes_to.is_empty() {
        let dialogue = Dialogue {
            input: BufReader::new(io::stdin()),
            output: io::stdout(),
            defaults,
            file: args.approvals.display().to_string(),
        };
        let candidates: Vec<&Candidate> =
            waiting.iter().filter_map(|i| learned.candidates.get(*i)).collect();
        dialogue
            .run(&candidates, &hints(&learned))
            .map_err(|error| Failure::new(format!("cannot ask: {error}; nothing was written")))?
    } else {
        chosen(&learned, &waiting, &args.yes_to, defaults)?
    };
    write(args, &mut learned, &waiting, &answers, known)
}

/// The text of the approvals file; empty when there is none yet.
fn approvals_text(file: &Path) -> Result<String, Failure> {
    if file.exists() { load::text(file, MAX_FILE_BYTES as u64) } else { Ok(String::new()) }
}

/// Candidates that the approvals have an entry for by now are decided. Answers how many.
fn settle_known(learned: &mut Learned, text: &str, args: &Review) -> Result<usize, Failure> {
    let servers: Vec<DraftServer> = learned.candidates.iter().map(Candidate::as_server).collect();
    let name = args.approvals.display().to_string();
    // Nothing is added: this only finds what is there.
    let terms = Terms { owner: NO_OWNER.to_owned(), expires: Date::MAX, approved: None };
    let merged = merge(text, &name, &servers, &terms).map_err(Failure::new)?;
    let mut settled = 0;
    for candidate in &mut learned.candidates {
        let is_known = merged.known.iter().any(|known| known.key == candidate.key);
        if is_known && candidate.decision.is_none() {
            candidate.decision = Some(Decision::Approved);
            settled += 1;
        }
    }
    Ok(settled)
}

/// Servers that speak MCP and wait for a decision, as indices; the riskiest first.
fn waiting(learned: &Learned) -> Vec<usize> {
    let waits = |candidate: &Candidate| {
        candidate.decision.is_none() && candidate.evidence >= Evidence::Parsed
    };
    let mut waiting: Vec<(usize, &Candidate)> =
        learned.candidates.iter().enumerate().filter(|(_, candidate)| waits(candidate)).collect();
    waiting
        .sort_by_key(|(_, candidate)| (std::cmp::Reverse(candidate.risks().len()), &candidate.key));
    waiting.into_iter().map(|(index, _)| index).collect()
}

/// Keys of which only names were seen.
fn hints(learned: &Learned) -> Vec<&str> {
    let hints = learned.candidates.iter().filter(|candidate| candidate.evidence < Evidence::Parsed);
    hints.map(|candidate| candidate.key.as_str()).collect()
}

/// Owner, last day and approver unless something else is answered.
fn defaults(args: &Review, now: Timestamp) -> Result<Terms, Failure> {
    let user = || std::env::var("USER").ok().filter(|user| !user.trim().is_empty());
    let expires = match &args.expires {
        Some(text) => dialogue::day(text).map_err(Failure::new)?,
        None => draft_expiry(now),
    };
    let owner = args.owner.clone().or_else(user).unwrap_or_default();
    let by = args.by.clone().or_else(user).unwrap_or_else(|| owner.clone());
    let today = now.to_string().get(..10).and_then(|day| day.parse().ok());
    let approved = today.filter(|_| !by.is_empty()).map(|today| (by, today));
    Ok(Terms { owner, expires, approved })
}

/// The answers of `--yes-to`: keys, hosts or `all`.
fn chosen(
    learned: &Learned,
    waiting: &[usize],
    yes_to: &[String],
    terms: Terms,
) -> Result<Answers, Failure> {
    let mut decisions = vec![None; waiting.len()];
    for wanted in yes_to {
        let mut any = false;
        for (decision, index) in decisions.iter_mut().zip(waiting) {
            let candidate = learned.candidates.get(*index);
            let hit = |candidate: &Candidate| {
                wanted == "all" || candidate.key == *wanted || candidate.host() == *wanted
            };
            if candidate.is_some_and(hit) {
                *decision = Some(Decision::Approved);
                any = true;
            }
        }
        if !any {
            let keys = waiting.iter().filter_map(|index| learned.candidates.get(*index));
            let keys: Vec<_> = keys.map(|candidate| printable(&candidate.key)).take(20).collect();
            let text =
                format!("--yes-to {wanted}: no such server waits; there are: {}", keys.join(", "));
            return Err(Failure::new(text));
        }
    }
    Ok(Answers { decisions, terms })
}

fn write(
    args: &Review,
    learned: &mut Learned,
    waiting: &[usize],
    answers: &Answers,
    known: usize,
) -> Result<Exit, Failure> {
    let mut approved = Vec::new();
    let (mut rejected, mut open) = (0_usize, 0_usize);
    for (decision, index) in answers.decisions.iter().zip(waiting) {
        let Some(candidate) = learned.candidates.get_mut(*index) else { continue };
        match decision {
            Some(Decision::Approved) => approved.push(candidate.as_server()),
            Some(Decision::Rejected) => rejected += 1,
            None => open += 1,
        }
        candidate.decision = *decision;
    }
    let file: &PathBuf = &args.approvals;
    let name = file.display().to_string();
    let mut added = 0;
    if !approved.is_empty() {
        // Read again: the review may have taken an hour.
        let text = approvals_text(file)?;
        let merged = merge(&text, &name, &approved, &answers.terms).map_err(Failure::new)?;
        for known in &merged.known {
            let (key, line) = (printable(&known.key), known.line);
            complain(&format!("notice: {name}:{line} has {key} already; change it there"));
        }
        for key in &merged.left_out {
            let key = printable(key);
            complain(&format!("notice: {key} cannot be approved: no pattern covers only it"));
        }
        added = merged.added.len();
        if added > 0 {
            replace(file, &merged.text)?;
        }
    }
    replace(&args.file, &learned.to_text())?;
    let settled = if known > 0 { format!(", {known} were there already") } else { String::new() };
    print(&format!(
        "{name}: {added} approved{settled}; {rejected} rejected, {open} left for the next review\n"
    ))?;
    Ok(Exit::Clean)
}
