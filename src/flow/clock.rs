//! The clock of a flow table: milliseconds of packet time, never running backwards.

use super::seq::low_32;
use crate::time::Timestamp;

/// A step back by more than this rebases the clock instead of stopping it.
const MAX_STEP_BACK_MILLIS: i64 = 60_000;

/// Packet time, smoothed.
///
/// - A step back of up to a minute (packets slightly out of order) leaves the clock where it is
///   until packet time has caught up.
/// - A longer step back, or a step forward beyond `max_step_millis`, moves the base: the clock
///   stands still for that packet and runs on from there. So neither a clock set wrong, nor a
///   year between two files of a run, expires anything.
///
/// Milliseconds count from the epoch and not from the first packet, so that tables which see
/// different parts of the same traffic round alike.
#[derive(Debug)]
pub(super) struct Clock {
    now: i64,
    skew: i64,
    started: bool,
    max_step_millis: i64,
}

impl Clock {
    pub(super) const fn new(max_step_millis: i64) -> Self {
        Self { now: 0, skew: 0, started: false, max_step_millis }
    }

    /// Takes the time of a packet and answers whether the clock moved.
    pub(super) fn observe(&mut self, time: Timestamp) -> bool {
        let raw = time.as_nanos().div_euclid(1_000_000);
        if !self.started {
            self.started = true;
            self.now = raw;
            return true;
        }
        let step = raw.saturating_add(self.skew).saturating_sub(self.now);
        if step > self.max_step_millis || step < -MAX_STEP_BACK_MILLIS {
            self.skew = self.now.saturating_sub(raw);
            return false;
        }
        if step <= 0 {
            return false;
        }
        self.now = self.now.saturating_add(step);
        true
    }

    /// Milliseconds, monotonic.
    pub(super) const fn now(&self) -> i64 {
        self.now
    }

    /// The lower half of [`now`](Self::now), for storing: ages are wrapping differences.
    pub(super) const fn stamp(&self) -> u32 {
        low_32(self.now.cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    // R30: clock steps back or jumps a year.
    #[test]
    fn only_plausible_steps_move_the_clock() {
        let start = 1_795_334_400_000;
        let year = 365 * 24 * HOUR;
        let cases: [(&str, &[i64], i64); 6] = [
            ("runs", &[0, 5, 1_000], 1_000),
            ("small step back waits", &[0, 1_000, 500, 1_001], 1_001),
            ("long step back rebases", &[0, HOUR, 0, 10], HOUR + 10),
            ("a year ahead rebases", &[0, year, year + 10], 10),
            ("a year ahead and back", &[0, year, 10, 20], 10),
            ("an hour ahead counts", &[0, HOUR], HOUR),
        ];
        for (name, times, expected) in cases {
            let mut clock = Clock::new(HOUR);
            for time in times {
                clock.observe(Timestamp::from_nanos((start + time) * 1_000_000));
            }
            assert_eq!(clock.now() - start, expected, "{name}");
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let mut clock = Clock::new(HOUR);
        for nanos in [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN, 1] {
            clock.observe(Timestamp::from_nanos(nanos));
        }
        assert_eq!(clock.now(), i64::MIN.div_euclid(1_000_000));
    }
}
