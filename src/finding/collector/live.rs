//! Findings of a run that has no end: told when they begin, again when they get worse, and a last
//! time when their window closes, after which nothing of them is kept.

use std::time::Duration;

use super::{Finding, Findings, IdentityRef, Limits, Open};
use crate::finding::PacketNames;
use crate::mcp::Evidence;
use crate::rules::Severity;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// A finding is kept so long beyond its window: packets and ticks come a little out of order.
const GRACE: Duration = Duration::from_secs(5);

/// Why a finding of a live run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// Its first hit.
    Began,
    /// Severity, evidence or verdict got worse; the rest is brought up to date with it.
    Rose,
    /// No more hits will be counted.
    Closed,
}

/// What was told of a finding.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    last: Option<(Severity, Evidence, Verdict, u64)>,
    /// It is on the list of news.
    waits: bool,
}

impl Findings {
    /// An empty collection for a live run. [`Limits::max_findings`] bounds those whose window is
    /// open.
    #[must_use]
    pub fn live(limits: Limits) -> Self {
        Self { news: Some(Vec::new()), ..Self::new(limits) }
    }

    /// Puts a finding on the list of news if there is any.
    pub(super) fn note(&mut self, index: usize) {
        let (Some(news), Some(open)) = (&mut self.news, self.open.get_mut(index)) else { return };
        let Finding { severity, evidence, verdict, .. } = open.finding;
        let is_news = open.told.last.is_none_or(|told| {
            severity > told.0 || evidence > told.1 || (verdict > told.2 && evidence == told.1)
        });
        if is_news && !open.told.waits {
            open.told.waits = true;
            news.push(index);
        }
    }

    /// Whether [`tell`](Self::tell) has anything to tell.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news.as_ref().is_some_and(|news| !news.is_empty())
    }

    /// Tells the findings that began or got worse, in the order in which they did.
    pub fn tell(&mut self, names: &dyn PacketNames, each: &mut dyn FnMut(&Finding, News)) {
        let Some(news) = &mut self.news else { return };
        for index in news.drain(..) {
            let Some(open) = self.open.get_mut(index) else { continue };
            let why = if open.told.last.is_none() { News::Began } else { News::Rose };
            open.tell(names, why, each);
        }
    }

    /// Tells the findings whose windows are over at `now`, in the order of their windows, and
    /// forgets them. One that never changed since it was told is told again all the same: its
    /// count is final now.
    pub fn close(
        &mut self,
        now: Timestamp,
        names: &dyn PacketNames,
        each: &mut dyn FnMut(&Finding, News),
    ) {
        self.take_closed(names, each, |open| {
            now.since(open.window_start) >= open.window.saturating_add(GRACE)
        });
    }

    /// The run is over: closes all findings.
    pub fn close_all(&mut self, names: &dyn PacketNames, each: &mut dyn FnMut(&Finding, News)) {
        self.take_closed(names, each, |_| true);
    }

    fn take_closed(
        &mut self,
        names: &dyn PacketNames,
        each: &mut dyn FnMut(&Finding, News),
        is_closed: impl Fn(&Open) -> bool,
    ) {
        // Indices on the list of news are about to change.
        self.tell(names, each);
        let mut closed = Vec::new();
        for index in (0..self.open.len()).rev() {
            if self.open.get(index).is_some_and(&is_closed) {
                closed.push(self.remove(index));
            }
        }
        closed.sort_by_key(|open| (open.window_start, open.finding.first_packet));
        for mut open in closed {
            open.tell(names, News::Closed, each);
        }
    }

    /// Removes a finding; the last one takes its place.
    fn remove(&mut self, index: usize) -> Open {
        let open = self.open.swap_remove(index);
        let moved_from = self.open.len();
        self.moved(&open.finding.flows, index, None);
        if let Some(flows) = self.open.get(index).map(|moved| moved.finding.flows.clone()) {
            self.moved(&flows, moved_from, Some(index));
        }
        if self.latest.get(&open.identity()) == Some(&index) {
            self.latest.remove(&open.identity());
        }
        if let Some(moved) = self.open.get(index)
            && let Some(known) = self.latest.get_mut(&moved.identity())
            && *known == moved_from
        {
            *known = index;
        }
        // A burst must not hold its memory for weeks.
        if self.open.len() < self.open.capacity() / 4 {
            self.open.shrink_to(self.open.len() * 2);
            self.latest.shrink_to(self.latest.len() * 2);
        }
        open
    }
}

impl Open {
    fn identity(&self) -> IdentityRef<'_> {
        IdentityRef {
            rule: &self.finding.rule.id,
            server_key: &self.finding.server_key,
            client: self.finding.client,
            group: self.group,
        }
    }

    fn tell(&mut self, names: &dyn PacketNames, why: News, each: &mut dyn FnMut(&Finding, News)) {
        self.name_packets(names);
        let Finding { severity, evidence, verdict, count, .. } = self.finding;
        self.told = Told { last: Some((severity, evidence, verdict, count)), waits: false };
        each(&self.finding, why);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TwoFiles, draft};
    use super::super::{Draft, Recorded};
    use super::*;

    type Line = (News, i64, Severity, u64);

    /// News as they come: why, when the finding began, severity and count.
    fn told(findings: &mut Findings) -> Vec<Line> {
        let mut lines = Vec::new();
        findings.tell(&TwoFiles, &mut |finding, why| lines.push(line(finding, why)));
        lines
    }

    fn closed(findings: &mut Findings, seconds: i64) -> Vec<Line> {
        let mut lines = Vec::new();
        let now = Timestamp::from_parts(seconds, 0);
        findings.close(now, &TwoFiles, &mut |finding, why| lines.push(line(finding, why)));
        lines
    }

    fn line(finding: &Finding, why: News) -> Line {
        assert!(!finding.packets.is_empty());
        (why, finding.first_seen.as_nanos() / 1_000_000_000, finding.severity, finding.count)
    }

    #[test]
    fn a_finding_is_told_when_it_begins_gets_worse_and_closes() {
        let mut findings = Findings::live(Limits::default());
        findings.record(draft(0, 0));
        assert!(findings.has_news());
        assert_eq!(told(&mut findings), [(News::Began, 0, Severity::Medium, 1)]);
        findings.record(draft(1, 1));
        assert_eq!(told(&mut findings), []);
        findings.record(Draft { severity: Severity::High, ..draft(2, 2) });
        findings.record(draft(3, 3));
        assert_eq!(told(&mut findings), [(News::Rose, 0, Severity::High, 4)]);
        findings.record(Draft { evidence: Evidence::Confirmed, ..draft(4, 4) });
        assert_eq!(told(&mut findings), [(News::Rose, 0, Severity::High, 5)]);
        assert_eq!(closed(&mut findings, 3604), []);
        assert_eq!(closed(&mut findings, 3605), [(News::Closed, 0, Severity::High, 5)]);
        assert!(findings.is_empty() && findings.latest.is_empty());
        assert_eq!(findings.record(draft(9, 3606)), Recorded::New);
    }

    #[test]
    fn only_what_is_closed_leaves_and_the_rest_is_found_again() {
        let key = |number: i64| format!("http://server-{number}/mcp");
        let mut findings = Findings::live(Limits::default());
        for number in 0..10 {
            // Every second one began an hour earlier.
            let at = if number % 2 == 0 { 0 } else { 3600 };
            findings.record(Draft { server_key: key(number), ..draft(number as u64, at) });
        }
        told(&mut findings);
        let lines = closed(&mut findings, 3700);
        assert_eq!(lines, vec![(News::Closed, 0, Severity::Medium, 1); 5]);
        assert_eq!((findings.len(), findings.latest.len()), (5, 5));
        for number in 0..10 {
            let draft = Draft { server_key: key(number), ..draft(20, 3800) };
            let want = if number % 2 == 0 { Recorded::New } else { Recorded::Repeated };
            assert_eq!(findings.record(draft), want, "{number}");
        }
    }

    #[test]
    fn a_successor_is_not_taken_for_the_finding_that_closes() {
        let mut findings = Findings::live(Limits::default());
        findings.record(draft(0, 0));
        findings.record(draft(1, 3600));
        assert_eq!(closed(&mut findings, 3606).len(), 3);
        assert_eq!(findings.record(draft(2, 3700)), Recorded::Repeated);
        assert_eq!(closed(&mut findings, 9_000), [(News::Closed, 3600, Severity::Medium, 2)]);
    }

    #[test]
    fn room_is_for_open_findings_only() {
        let mut findings = Findings::live(Limits { max_findings: 1, ..Limits::default() });
        assert_eq!(findings.record(draft(0, 0)), Recorded::New);
        assert_eq!(findings.record(draft(1, 4_000)), Recorded::Dropped);
        closed(&mut findings, 4_000);
        assert_eq!(findings.record(draft(1, 4_000)), Recorded::New);
        assert_eq!(findings.dropped(), 1);
    }

    #[test]
    fn the_end_of_the_run_closes_all() {
        let mut findings = Findings::live(Limits::default());
        findings.record(draft(0, 0));
        let mut lines = Vec::new();
        findings.close_all(&TwoFiles, &mut |finding, why| lines.push(line(finding, why)));
        assert_eq!(
            lines,
            [(News::Began, 0, Severity::Medium, 1), (News::Closed, 0, Severity::Medium, 1)]
        );
    }

    #[test]
    fn a_replay_keeps_no_news() {
        let mut findings = Findings::default();
        findings.record(draft(0, 0));
        assert!(!findings.has_news());
        assert_eq!(told(&mut findings), []);
    }
}
