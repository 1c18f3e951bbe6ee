//! What happened within a while that slides along: how much, how many different, in what order.
//!
//! A window is half-open: what lies back exactly its length is no longer in it. Where a clock
//! steps back by less than the length, time stands still until it has caught up; a step by more
//! begins everything anew.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::time::Timestamp;

/// When and where something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) time: Timestamp,
    /// Index of the packet over the whole run.
    pub(super) packet: u64,
}

/// Most packets that are named as the grounds of a firing.
pub(super) const MAX_PACKETS: usize = 16;

/// So many parts of a sum are kept apart; later ones that follow closely are taken together.
const EXACT_PARTS: usize = 64;

/// So many different values are told apart; of more the oldest are forgotten.
pub(super) const MAX_DISTINCT: usize = 1_000;

/// The time at which something counts, after `last`; `None` when the clock stepped back so far
/// that everything begins anew.
pub(super) fn forward(last: Timestamp, now: Timestamp, within: Duration) -> Option<Timestamp> {
    (last.since(now) < within).then(|| last.max(now))
}

/// Amounts of the last while, added up. Exact for 64 of them; of more, those that follow each
/// other within a 64th of the window are taken together and leave it together, so that the sum
/// may fall short for so long, but is never too high.
///
/// Memory: at most 129 parts of 32 bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    parts: VecDeque<(Mark, u64)>,
    total: u128,
}

impl Sum {
    /// Adds an amount; the sum of the window.
    pub(super) fn add(&mut self, mark: Mark, amount: u64, within: Duration) -> u64 {
        while let Some((oldest, gone)) = self.parts.front()
            && mark.time.since(oldest.time) >= within
        {
            self.total = self.total.saturating_sub((*gone).into());
            self.parts.pop_front();
        }
        let close = within / 64;
        let room = self.parts.len() < EXACT_PARTS;
        match self.parts.back_mut() {
            Some((last, sum)) if !room && mark.time.since(last.time) < close => {
                let before = *sum;
                *sum = sum.saturating_add(amount);
                self.total = self.total.saturating_add((*sum - before).into());
            }
            _ => {
                self.parts.push_back((mark, amount));
                self.total = self.total.saturating_add(amount.into());
            }
        }
        u64::try_from(self.total).unwrap_or(u64::MAX)
    }

    pub(super) fn packets(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().map(|(mark, _)| mark.packet)
    }

    pub(super) fn weight(&self) -> usize {
        self.parts.len()
    }
}

/// Different values of the last while, by their hashes. Exact up to [`MAX_DISTINCT`].
///
/// Memory: at most some 100 bytes per value.
#[derive(Clone, Debug, Default)]
pub(super) struct Distinct {
    last: BTreeMap<u64, Mark>,
    /// Values by when they were seen; those seen again since are passed over.
    order: VecDeque<(Timestamp, u64)>,
}

impl Distinct {
    /// Adds a value; the number of different ones in the window.
    pub(super) fn add(&mut self, mark: Mark, value: u64, within: Duration) -> usize {
        while let Some(&(time, _)) = self.order.front()
            && mark.time.since(time) >= within
        {
            self.forget_oldest();
        }
        match self.last.insert(value, mark) {
            Some(known) if known.time == mark.time => {}
            _ => self.order.push_back((mark.time, value)),
        }
        while self.last.len() > MAX_DISTINCT {
            self.forget_oldest();
        }
        if self.order.len() > 2 * self.last.len() + 16 {
            let mut order: Vec<_> =
                self.last.iter().map(|(value, mark)| (mark.time, *value)).collect();
            order.sort_unstable();
            self.order = order.into();
        }
        self.last.len()
    }

    fn forget_oldest(&mut self) {
        if let Some((time, value)) = self.order.pop_front()
            && self.last.get(&value).is_some_and(|mark| mark.time == time)
        {
            self.last.remove(&value);
        }
    }

    pub(super) fn packets(&self) -> impl Iterator<Item = u64> {
        self.last.values().map(|mark| mark.packet)
    }

    pub(super) fn weight(&self) -> usize {
        self.last.len() * 2
    }
}

/// How far a sequence has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    /// In order: by step, the latest beginning of the sequence up to it. In any order: the last
    /// time of the step.
    reached: Vec<Option<Reached>>,
}

#[derive(Clone, Copy, Debug)]
struct Reached {
    since: Timestamp,
    packet: u64,
}

impl Steps {
    /// Takes a match that is the step of these indices, in order; true when it completes the
    /// sequence of `count` steps.
    pub(super) fn in_order(
        &mut self,
        mark: Mark,
        steps: impl DoubleEndedIterator<Item = usize>,
        count: usize,
        within: Duration,
    ) -> bool {
        self.reached.resize(count, None);
        let mut complete = false;
        // From the last step down, so that one match is never two steps.
        for step in steps.rev() {
            let since = match step.checked_sub(1) {
                None => Some(mark.time),
                Some(before) => self.reached.get(before).copied().flatten().map(|from| from.since),
            };
            let since = since.filter(|since| mark.time.since(*since) < within);
            if let (Some(since), Some(reached)) = (since, self.reached.get_mut(step)) {
                *reached = Some(Reached { since, packet: mark.packet });
                complete |= step + 1 == count;
            }
        }
        complete
    }

    /// The same in any order: a match is the first of its steps that has not been taken, or else
    /// takes the place of the one taken longest ago.
    pub(super) fn in_any_order(
        &mut self,
        mark: Mark,
        steps: impl Iterator<Item = usize>,
        count: usize,
        within: Duration,
    ) -> bool {
        self.reached.resize(count, None);
        for reached in &mut self.reached {
            *reached = reached.filter(|reached| mark.time.since(reached.since) < within);
        }
        let taken = |step: usize| self.reached.get(step).copied().flatten();
        let step = steps.min_by_key(|step| taken(*step).map(|reached| reached.since));
        if let Some(reached) = step.and_then(|step| self.reached.get_mut(step)) {
            *reached = Some(Reached { since: mark.time, packet: mark.packet });
        }
        self.reached.iter().all(Option::is_some)
    }

    pub(super) fn packets(&self) -> impl Iterator<Item = u64> {
        self.reached.iter().flatten().map(|reached| reached.packet)
    }

    pub(super) fn weight(&self) -> usize {
        self.reached.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Mark {
        Mark { time: Timestamp::from_parts(seconds, 0), packet: u64::try_from(seconds).unwrap() }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn sums_lose_what_lies_back_a_whole_window() {
        let mut sum = Sum::default();
        for (seconds, amount, want) in
            [(0, 5, 5), (59, 1, 6), (60, 1, 2), (118, 1, 3), (119, 9, 11)]
        {
            assert_eq!(sum.add(at(seconds), amount, MINUTE), want, "{seconds}");
        }
        assert_eq!(sum.packets().collect::<Vec<_>>(), [60, 118, 119]);
    }

    #[test]
    fn sums_of_many_parts_stay_small_and_never_too_high() {
        let mut sum = Sum::default();
        for n in 0..100_000_u64 {
            let time = Timestamp::from_nanos(i64::try_from(n).unwrap() * 1_000_000);
            let total = sum.add(Mark { time, packet: n }, 1, MINUTE);
            let exact = (n + 1).min(60_000);
            assert!(total <= exact && total + 60_000 / 64 + 1 >= exact, "{n}: {total}");
            assert!(sum.weight() <= 129);
        }
        assert_eq!(sum.add(at(1_000), u64::MAX, MINUTE), u64::MAX);
        assert_eq!(sum.add(at(1_000), u64::MAX, MINUTE), u64::MAX);
        assert_eq!(sum.add(at(2_000), 1, MINUTE), 1);
    }

    #[test]
    fn values_seen_again_stay() {
        let mut distinct = Distinct::default();
        for (seconds, value, want) in
            [(0, 1, 1), (1, 2, 2), (30, 1, 2), (60, 3, 3), (61, 3, 2), (89, 4, 3), (90, 4, 2)]
        {
            assert_eq!(distinct.add(at(seconds), value, MINUTE), want, "{seconds}");
        }
    }

    #[test]
    fn values_beyond_the_bound_push_out_the_oldest() {
        let mut distinct = Distinct::default();
        for value in 0..5_000_u64 {
            distinct.add(at(0), value, MINUTE);
        }
        assert_eq!(distinct.add(at(0), 4_999, MINUTE), MAX_DISTINCT);
        for _ in 0..10_000 {
            distinct.add(at(1), 4_999, MINUTE);
            distinct.add(at(1), 4_998, MINUTE);
        }
        assert!(distinct.order.len() <= 2 * distinct.last.len() + 16);
    }

    #[test]
    fn steps_in_order_keep_the_latest_beginning() {
        for (steps, want) in [
            (vec![(0, 0), (1, 1), (2, 2)], true),
            (vec![(0, 0), (2, 1), (1, 2)], false),
            (vec![(0, 0), (1, 1), (2, 60)], false),
            (vec![(0, 0), (1, 1), (2, 59)], true),
            // A later beginning takes the place of the first, but not of what follows it.
            (vec![(0, 0), (0, 30), (1, 50), (2, 89)], true),
            (vec![(0, 0), (1, 20), (0, 30), (2, 61)], false),
            (vec![(1, 0), (0, 1), (2, 2)], false),
        ] {
            let mut state = Steps::default();
            let mut complete = false;
            for (step, seconds) in &steps {
                complete |= state.in_order(at(*seconds), std::iter::once(*step), 3, MINUTE);
            }
            assert_eq!(complete, want, "{steps:?}");
        }
    }

    #[test]
    fn one_match_is_one_step_even_when_it_could_be_two() {
        for any_order in [false, true] {
            let mut state = Steps::default();
            let mut take = |seconds| {
                if any_order {
                    state.in_any_order(at(seconds), 0..2, 2, MINUTE)
                } else {
                    state.in_order(at(seconds), 0..2, 2, MINUTE)
                }
            };
            assert!(!take(0));
            assert!(take(1));
        }
    }

    #[test]
    fn steps_in_any_order_hold_while_all_lie_in_one_window() {
        for (steps, want) in [
            (vec![(2, 0), (1, 1), (0, 59)], true),
            (vec![(2, 0), (1, 1), (0, 60)], false),
            (vec![(2, 0), (1, 1), (2, 50), (0, 60)], true),
            (vec![(1, 0), (1, 1), (1, 2)], false),
        ] {
            let mut state = Steps::default();
            let mut complete = false;
            for (step, seconds) in &steps {
                complete |= state.in_any_order(at(*seconds), std::iter::once(*step), 3, MINUTE);
            }
            assert_eq!(complete, want, "{steps:?}");
        }
    }

    #[test]
    fn small_steps_back_stand_still_and_large_ones_begin_anew() {
        let time = |seconds| Timestamp::from_parts(seconds, 0);
        for (last, now, want) in
            [(100, 101, Some(101)), (100, 100, Some(100)), (100, 41, Some(100)), (100, 40, None)]
        {
            assert_eq!(forward(time(last), time(now), MINUTE), want.map(time), "{now}");
        }
    }

    proptest! {
        #[test]
        fn windows_agree_with_counting_by_hand(
            steps in prop::collection::vec((0_i64..40, 0_u64..6), 1..60),
        ) {
            let (mut sum, mut distinct) = (Sum::default(), Distinct::default());
            let mut all: Vec<(i64, u64)> = Vec::new();
            let mut now = 0;
            for (step, value) in steps {
                now += step;
                all.push((now, value));
                let inside = all.iter().filter(|(time, _)| now - time < 60);
                let total: u64 = inside.clone().map(|(_, value)| value).sum();
                let different: std::collections::BTreeSet<u64> =
                    inside.map(|(_, value)| *value).collect();
                prop_assert_eq!(sum.add(at(now), value, MINUTE), total);
                prop_assert_eq!(distinct.add(at(now), value, MINUTE), different.len());
            }
        }
    }
}
