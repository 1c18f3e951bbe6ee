//! What the servers of logs share: lines of one source into observations.

use std::sync::Arc;

use super::{Outlet, clock};
use crate::logs::{self, Likelihood, MAX_SNIFFED_BYTES, Record, Scratch, Spec};
use crate::mcp::{Tap, TapLimits};
use crate::observation::Observation;
use crate::secret::SecretHasher;
use crate::time::Timestamp;

/// The format that the beginning of a log looks like most; of equals the first.
pub(super) fn recognised(start: &[u8], among: &[&'static Spec]) -> Option<&'static Spec> {
    let start = start.get(..MAX_SNIFFED_BYTES).unwrap_or(start);
    let mut best: Option<(Likelihood, &'static Spec)> = None;
    for spec in among {
        let likelihood = (spec.sniff)(start);
        if likelihood > best.map_or(Likelihood::No, |(best, _)| best) {
            best = Some((likelihood, spec));
        }
    }
    best.map(|(_, spec)| spec)
}

/// Records of one source into observations.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) tap: Tap,
    scratch: Scratch,
    source: u16,
}

impl Feed {
    pub(super) fn new(source: u16, limits: TapLimits, hasher: SecretHasher) -> Self {
        Self { tap: Tap::new(limits, hasher), scratch: Scratch::default(), source }
    }

    /// A record, of the line with this number. Without a time of its own it happened at `time`, or
    /// now.
    pub(super) fn record(
        &mut self,
        outlet: &dyn Outlet,
        spec: &Spec,
        number: u64,
        time: Option<Timestamp>,
        record: &Record<'_>,
    ) {
        let time = record.time.or(time).unwrap_or_else(clock::now);
        let place = logs::Place {
            flow: outlet.flow(),
            at: outlet.at(self.source, number, time),
            stance: spec.stance,
            source: Arc::from(spec.name),
        };
        logs::feed(record, &place, &mut self.scratch, &mut self.tap);
    }

    pub(super) fn take(&mut self) -> Vec<Observation> {
        std::mem::take(self.tap.observations())
    }
}
