//! What records add up to, for metrics. Names are those of the configuration and of this program:
//! never of people, tools or addresses, so that the number of series does not grow with the traffic.

use std::sync::{Mutex, PoisonError};

use super::{Counters, Record};
use crate::sinks::metrics::Times;

/// Upper bounds of the buckets of times, in microseconds.
pub(super) const BOUNDS: [u64; 12] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000,
    10_000_000, 60_000_000,
];

/// Counted by all calls.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Counters>);

fn add(times: &mut Times, micros: u64) {
    let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
    times.buckets.resize(BOUNDS.len() + 1, 0);
    if let Some(count) = times.buckets.get_mut(bucket) {
        *count += 1;
    }
    times.sum_micros = times.sum_micros.saturating_add(micros);
}

impl Shared {
    pub(super) fn count(&self, record: &Record) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.calls.entry((record.server.id.clone(), record.event.outcome)).or_default() += 1;
        if let Some(kind) = &record.decision.kind {
            *all.refused.entry(kind.clone()).or_default() += 1;
        }
        for found in &record.findings {
            let key = (found.kind.clone(), found.direction.clone(), found.action.clone());
            *all.findings.entry(key).or_default() += u64::from(found.count);
        }
        for rule in &record.rules {
            *all.rules.entry(rule.clone()).or_default() += 1;
        }
        all.request_bytes += record.request.bytes;
        all.response_bytes += record.response.bytes;
        let upstream = record.event.upstream_us.unwrap_or(0);
        let own = record.event.duration_us.saturating_sub(upstream);
        add(&mut all.durations, record.event.duration_us);
        add(&mut all.own_durations, own);
    }

    pub(super) fn read(&self) -> Counters {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.bounds = BOUNDS.to_vec();
        all
    }
}
