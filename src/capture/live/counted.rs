//! Counters of the kernel, which wrap, start again and are too narrow, as totals.

use std::ops::AddAssign;

/// What came and what was lost on the way, since the source was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Packets that the filter let through (libpcap's `ps_recv`), those dropped afterwards included.
    pub received: u64,
    /// Packets that found no room in the kernel's ring (`ps_drop`): the sensor was too slow.
    pub dropped: u64,
    /// Packets that the interface dropped, as libpcap tells (`ps_ifdrop`).
    pub if_dropped: u64,
    /// The kernel's `rx_dropped` of the interface.
    pub rx_dropped: u64,
    /// The kernel's `rx_missed_errors`: the network card ran out of room.
    pub rx_missed: u64,
}

impl Drops {
    /// Packets lost, as far as anybody knows: libpcap's count of the interface and the kernel's are
    /// of the same packets, so that the larger counts.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.saturating_add(self.if_dropped.max(self.rx_missed))
    }
}

impl AddAssign for Drops {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.dropped += other.dropped;
        self.if_dropped += other.if_dropped;
        self.rx_dropped += other.rx_dropped;
        self.rx_missed += other.rx_missed;
    }
}

/// A total made of readings of a counter of 32 bits that begins at zero and wraps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wrapping {
    last: u32,
    total: u64,
}

impl Wrapping {
    /// Takes a reading. More than 2^32 between two readings cannot be told.
    pub(super) fn read(&mut self, now: u32) -> u64 {
        self.total += u64::from(now.wrapping_sub(self.last));
        self.last = now;
        self.total
    }

    /// The sum of all readings.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// The counter was made anew and begins at zero again.
    pub(super) fn restart(&mut self) {
        self.last = 0;
    }
}

/// A total made of readings of a counter that was running before anybody looked, and may start
/// again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running {
    last: Option<u64>,
    total: u64,
}

impl Running {
    /// Takes a reading; `None` (no such counter now) changes nothing.
    pub(super) fn read(&mut self, now: Option<u64>) -> u64 {
        if let Some(now) = now {
            self.total += match self.last {
                Some(last) if now >= last => now - last,
                Some(_) => now,
                None => 0,
            };
            self.last = Some(now);
        }
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_of_32_bits_goes_on_past_its_end_and_a_reopening() {
        let mut counter = Wrapping::default();
        let mut total = 0;
        for (reading, more) in [(10, 10), (10, 0), (u32::MAX, u64::from(u32::MAX) - 10), (4, 5)] {
            total += more;
            assert_eq!(counter.read(reading), total, "{reading}");
        }
        counter.restart();
        assert_eq!(counter.read(7), total + 7);
    }

    #[test]
    fn a_running_counter_counts_from_the_first_reading_and_survives_a_new_interface() {
        let mut counter = Running::default();
        for (reading, total) in
            [(Some(1_000), 0), (Some(1_005), 5), (None, 5), (Some(1_006), 6), (Some(2), 8)]
        {
            assert_eq!(counter.read(reading), total, "{reading:?}");
        }
    }

    #[test]
    fn what_two_counters_tell_of_one_loss_counts_once() {
        let drops = Drops { dropped: 5, if_dropped: 3, rx_missed: 4, ..Drops::default() };
        assert_eq!(drops.lost(), 9);
    }
}
