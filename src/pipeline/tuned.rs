//! Matches into findings, through what stands outside of rules: lanes, exceptions, thresholds and
//! correlations.

use std::time::Duration;

use super::analysis::Policy;
use super::place::{Place, draft, hit, raised};
use crate::finding::Findings;
use crate::memory::{Memory, baseline};
use crate::rules::tuning::{Admission, BaselineKey, Baselines, Measure, Seen, TuningState};
use crate::rules::{Match, Scratch, Subject};
use crate::time::Timestamp;

/// Where matches go.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) policy: &'a Policy,
    pub(super) findings: &'a mut Findings,
    pub(super) tuning: &'a mut TuningState,
    pub(super) scratch: &'a mut Scratch,
}

impl Desk<'_> {
    /// Asks all rules about a subject. `news`: more is known of something that was counted when it
    /// happened.
    pub(super) fn judge(
        &mut self,
        subject: &Subject<'_>,
        place: &Place<'_>,
        memory: &Memory,
        news: bool,
    ) {
        let Desk { policy, findings, tuning, scratch } = self;
        policy.rules.evaluate(subject, scratch, |found| {
            let usual = Usual { memory, at: place.at().time };
            take(policy, findings, tuning, &found, place, &usual, news);
        });
    }
}

fn take(
    policy: &Policy,
    findings: &mut Findings,
    tuning: &mut TuningState,
    found: &Match<'_, '_>,
    place: &Place<'_>,
    usual: &Usual<'_>,
    news: bool,
) {
    if found.rule.info.lane < policy.lane && !found.rule.building_block {
        return;
    }
    let seen = Seen {
        time: place.at().time,
        server_key: place.key(),
        client: place.client(),
        packet: place.at().packet,
        news,
        baselines: Some(usual),
    };
    let admission = policy.rules.tuning().admit(tuning, found, seen, &mut |fired| {
        if fired.info.lane >= policy.lane {
            findings.record(raised(fired, place));
        }
    });
    match admission {
        Admission::Report if news => findings.revise(&hit(found, place), || draft(found, place)),
        Admission::Report => {
            if !findings.repeat(&hit(found, place)) {
                findings.record(draft(found, place));
            }
        }
        Admission::Excepted(_) | Admission::HeldBack | Admission::BuildingBlock => {}
    }
}

/// What is usual, from the memory of earlier days.
#[derive(Debug)]
struct Usual<'m> {
    memory: &'m Memory,
    at: Timestamp,
}

impl Baselines for Usual<'_> {
    fn limit(
        &self,
        key: &BaselineKey<'_>,
        measure: Measure,
        _: Duration,
        floor: u64,
        factor: f64,
    ) -> Option<u64> {
        let key = baseline::Key { client: key.client, server: key.server_key, tool: key.tool };
        let measure = match measure {
            Measure::Calls => baseline::Measure::Calls,
            Measure::Bytes => baseline::Measure::Bytes,
        };
        self.memory.baselines.limit(key, self.at, measure, floor, whole(factor))
    }
}

/// Histories are compared by whole multiples.
fn whole(factor: f64) -> u32 {
    (1..=1_000).find(|whole| f64::from(*whole) >= factor).unwrap_or(1_000)
}
