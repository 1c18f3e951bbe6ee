//! Learning, at the edge: servers of the inventory into candidates, candidates into a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::replace::{replace, state_folder};
use super::{Failure, complain, load};
use crate::finding::learn::{Candidate, Decision, Learned, Learning, Limits, MAX_LEARNED_BYTES};
use crate::finding::{Finding, News};
use crate::observation::Software;
use crate::sinks::event::ServerEvent;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// Name of the file in the state directory.
pub(super) const FILE: &str = "learned.json";
/// What was learnt is written so often at most.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// What an event says of a server that nobody has decided about; `None` for any other.
pub(super) fn candidate(event: &ServerEvent) -> Option<Candidate> {
    if !matches!(event.verdict, Verdict::Unapproved | Verdict::Undetermined) {
        return None;
    }
    let server = &event.server;
    let mut candidate = Candidate::new(server.key.clone(), event.evidence, event.event.start);
    candidate.last_seen = event.event.end;
    candidate.name = server.software.iter().map(|of| of.name.clone()).find(|n| !n.is_empty());
    candidate.addresses = server.endpoints.iter().map(|endpoint| endpoint.ip).collect();
    candidate.via_proxy = server.via_proxy;
    candidate.software = server.software.iter().map(named).collect();
    for client in &event.clients {
        let mut names: BTreeSet<String> = client.software.iter().map(named).collect();
        if names.is_empty() {
            names.extend(client.user_agents.iter().cloned());
        }
        candidate.clients.insert(client.ip, names);
    }
    candidate.tools = event.tools_called.keys().cloned().collect();
    candidate.auth = event.auth.iter().cloned().collect();
    Some(candidate)
}

fn named(software: &Software) -> String {
    format!("{} {}", software.name, software.version).trim().to_owned()
}

/// Reads a file of candidates.
pub(super) fn read(file: &Path) -> Result<Learned, Failure> {
    let bytes = load::bytes(file, MAX_LEARNED_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    Learned::parse(&text).map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

/// Learns from a whole replay: takes what waits for the review out of the findings, and writes the
/// candidates, those of an earlier run in the same file included. Answers with a sentence for the
/// report.
pub(super) fn replayed(
    file: &Path,
    servers: &[ServerEvent],
    findings: &mut Vec<Finding>,
) -> Result<String, Failure> {
    let mut learning = Learning::new(Limits::default());
    if file.exists() {
        learning = learning.resume(read(file)?);
    }
    servers.iter().filter_map(candidate).for_each(|candidate| learning.see(candidate));
    findings.retain(|finding| learning.take(finding, true));
    replace(file, &learning.learned().to_text())?;
    Ok(review_notice(&learning, file))
}

fn review_notice(learning: &Learning, file: &Path) -> String {
    let (held, waiting) = (learning.held(), learning.waiting());
    let file = file.display();
    format!(
        "learning: {held} findings about servers that nobody has decided about are not told; \
         `shadowtap approvals review {file}` goes through the {waiting} servers at once"
    )
}

/// Learning of a live run.
#[derive(Debug)]
pub(super) struct Learner {
    learning: Learning,
    file: PathBuf,
    saved_at: Duration,
    changed: bool,
    over: bool,
}

impl Learner {
    /// Begins to learn for a time, or goes on with what the state directory has. When that time is
    /// over already, nothing is held back; to learn anew, the file has to go.
    pub(super) fn begin(state: &Path, time: Duration, now: Timestamp) -> Result<Self, Failure> {
        state_folder(state)?;
        let file = state.join(FILE);
        let mut learning = Learning::between(Limits::default(), now, now.plus(time));
        if file.exists() {
            learning = learning.resume(read(&file)?);
        }
        // Finds out now, not in a week, that the file cannot be written.
        replace(&file, &learning.learned().to_text())?;
        let over = learning.is_over(now);
        let until = learning.until().unwrap_or(now);
        let name = file.display();
        complain(&if over {
            format!("notice: learning was over at {until}; remove {name} to learn anew")
        } else {
            format!("notice: learning until {until}, into {name}")
        });
        Ok(Self { learning, file, saved_at: Duration::ZERO, changed: false, over })
    }

    /// Whether a finding is told; it is remembered.
    pub(super) fn tells(&mut self, finding: &Finding, news: News) -> bool {
        if self.over {
            return true;
        }
        self.changed = true;
        self.learning.take(finding, news == News::Began)
    }

    /// Whether the report shows a finding that was taken before.
    pub(super) fn shows(&self, finding: &Finding) -> bool {
        self.over || self.learning.admits(finding)
    }

    /// A server is known better.
    pub(super) fn server(&mut self, event: &ServerEvent) {
        if !self.over
            && let Some(candidate) = candidate(event)
        {
            self.learning.see(candidate);
            self.changed = true;
        }
    }

    /// Saves and ends when it is time; `elapsed` counts from the beginning of the run.
    pub(super) fn tend(&mut self, now: Timestamp, elapsed: Duration) {
        if self.over {
            return;
        }
        self.over = self.learning.is_over(now);
        if self.over {
            self.save();
            complain(&format!("notice: {}", review_notice(&self.learning, &self.file)));
        } else if self.changed && elapsed.saturating_sub(self.saved_at) >= SAVE_EVERY {
            self.saved_at = elapsed;
            self.save();
        }
    }

    /// The run ends: saves, and answers with a sentence for the report while learning is not over.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.over {
            return None;
        }
        self.save();
        Some(review_notice(&self.learning, &self.file))
    }

    /// A failure is told and tried again the next time.
    fn save(&mut self) {
        self.keep_decisions();
        match replace(&self.file, &self.learning.learned().to_text()) {
            Ok(()) => self.changed = false,
            Err(failure) => complain(&format!("error: {failure}")),
        }
    }

    /// A review may have written decisions into the file since.
    fn keep_decisions(&mut self) {
        let Ok(learned) = read(&self.file) else { return };
        let decided: Vec<(String, Decision)> = learned
            .candidates
            .into_iter()
            .filter_map(|candidate| Some((candidate.key, candidate.decision?)))
            .collect();
        for (key, decision) in decided {
            self.learning.decide(&key, decision);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Evidence;

    #[test]
    fn decisions_of_a_review_survive_the_next_save() {
        let folder = tempfile::tempdir().unwrap();
        let (start, week) = (Timestamp::from_parts(1_000, 0), Duration::from_secs(604_800));
        let mut learner = Learner::begin(folder.path(), week, start).unwrap();
        let key = "http://192.0.2.1:8000/mcp".to_owned();
        learner.learning.see(Candidate::new(key, Evidence::Parsed, start));
        learner.save();
        let file = folder.path().join(FILE);
        let mut learned = read(&file).unwrap();
        learned.candidates[0].decision = Some(Decision::Rejected);
        replace(&file, &learned.to_text()).unwrap();
        learner.tend(start.plus(week), week);
        assert!(learner.over);
        assert_eq!(read(&file).unwrap().candidates[0].decision, Some(Decision::Rejected));
        let again = Learner::begin(folder.path(), week, start.plus(week)).unwrap();
        assert!(again.over && again.finish().is_none());
    }
}
