//! What a client usually asks of a tool in a day, and when a day is out of the ordinary.
//!
//! The median and the median absolute deviation (MAD) over days, not mean and standard deviation:
//! one day of copying everything must not raise the bar for the next one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Days with traffic that are looked at.
pub const WINDOW_DAYS: usize = 14;
/// Complete days with traffic before anything is said.
pub const WARM_UP_DAYS: usize = 7;

const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// Bounds of [`Baselines`]. Worst case with the defaults about 40 MiB: some 600 bytes per series,
/// names of usual length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series (client, server, tool). Beyond: those unused for longest go, a sixteenth at a time,
    /// counted.
    pub max_series: usize,
    /// Longest name of a server or tool. Longer ones have no baseline.
    pub max_name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_series: 65_536, max_name_bytes: 512 }
    }
}

/// Whose calls of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// Who calls.
    pub client: IpAddr,
    /// Key of the server, as shown.
    pub server: &'a str,
    /// Name of the tool.
    pub tool: &'a str,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Calls.
    Calls,
    /// Bytes of the calls as JSON.
    Bytes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Day {
    /// UTC days since the Unix epoch.
    day: i64,
    calls: u64,
    bytes: u64,
}

impl Day {
    const fn get(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Calls => self.calls,
            Measure::Bytes => self.bytes,
        }
    }
}

/// Days with traffic, in order.
type Series = Vec<Day>;

/// Daily sums per client, server and tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baselines {
    /// By server, tool and client.
    series: BTreeMap<String, BTreeMap<String, BTreeMap<IpAddr, Series>>>,
    dropped: u64,
    #[serde(skip)]
    count: usize,
    #[serde(skip)]
    limits: Limits,
}

impl Baselines {
    /// Without any history.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds calls and their bytes to the UTC day of `at`. A day before the
    /// oldest that is kept is passed over.
    pub fn add(&mut self, key: Key<'_>, at: Timestamp, calls: u64, bytes: u64) {
        let max = self.limits.max_name_bytes;
        if key.server.len() > max || key.tool.len() > max {
            return;
        }
        if self.get_mut(key).is_none() {
            let tools = self.series.entry(key.server.to_owned()).or_default();
            tools.entry(key.tool.to_owned()).or_default().insert(key.client, Vec::new());
            self.count += 1;
        }
        if let Some(series) = self.get_mut(key) {
            add_to(series, day_of(at), calls, bytes);
        }
        if self.count > self.limits.max_series {
            self.shed(key);
        }
    }

    /// The sum of the UTC day of `at` so far.
    #[must_use]
    pub fn today(&self, key: Key<'_>, at: Timestamp, measure: Measure) -> u64 {
        let day = self.get(key).and_then(|days| days.iter().find(|day| day.day == day_of(at)));
        day.map_or(0, |day| day.get(measure))
    }

    /// More than this on the day of `at` is out of the ordinary: the median of the complete days
    /// before it (at most [`WINDOW_DAYS`] that had traffic) plus `factor` times their MAD, and
    /// never less than `floor`. `None` before [`WARM_UP_DAYS`] of them.
    #[must_use]
    pub fn limit(
        &self,
        key: Key<'_>,
        at: Timestamp,
        measure: Measure,
        floor: u64,
        factor: u32,
    ) -> Option<u64> {
        let today = day_of(at);
        let before = self.get(key)?.iter().filter(|day| day.day < today).rev().take(WINDOW_DAYS);
        let values: Vec<u64> = before.map(|day| day.get(measure)).collect();
        if values.len() < WARM_UP_DAYS {
            return None;
        }
        let middle = median(&values);
        let deviations: Vec<u64> = values.iter().map(|value| value.abs_diff(middle)).collect();
        let spread = median(&deviations).saturating_mul(factor.into());
        Some(floor.max(middle.saturating_add(spread)))
    }

    /// Series that went at the bound.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Series that there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no history at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Counts again, and keeps the bounds, after reading from a file.
    pub(super) fn restore(&mut self, limits: Limits) {
        self.limits = limits;
        let series = self.series.values_mut().flat_map(BTreeMap::values_mut);
        self.count = series.map(|clients| clients.len()).sum();
        for days in self.each_mut() {
            days.sort_by_key(|day| day.day);
            days.dedup_by_key(|day| day.day);
            let excess = days.len().saturating_sub(WINDOW_DAYS + 1);
            days.drain(..excess);
        }
        if self.count > self.limits.max_series {
            self.shed_to(self.limits.max_series, None);
        }
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        let tools = self.series.values_mut().flat_map(BTreeMap::values_mut);
        tools.flat_map(BTreeMap::values_mut)
    }

    fn get(&self, key: Key<'_>) -> Option<&Series> {
        self.series.get(key.server)?.get(key.tool)?.get(&key.client)
    }

    fn get_mut(&mut self, key: Key<'_>) -> Option<&mut Series> {
        self.series.get_mut(key.server)?.get_mut(key.tool)?.get_mut(&key.client)
    }

    fn shed(&mut self, keep: Key<'_>) {
        let max = self.limits.max_series;
        self.shed_to(max - max / 16, Some(keep));
    }

    /// Drops the series unused for longest until `max` are left; among those of one day, in the
    /// order of their keys.
    fn shed_to(&mut self, max: usize, keep: Option<Key<'_>>) {
        let mut lasts: Vec<i64> = self.each_mut().map(|days| last_day(days)).collect();
        let excess = lasts.len().saturating_sub(max);
        if excess == 0 {
            return;
        }
        lasts.sort_unstable();
        let Some(&oldest_kept) = lasts.get(excess).or_else(|| lasts.last()) else { return };
        // All before that day go, and of that day as many as are still too many.
        let mut spare = excess - lasts.iter().take_while(|day| **day < oldest_kept).count();
        let mut gone = 0;
        self.series.retain(|server, tools| {
            tools.retain(|tool, clients| {
                clients.retain(|client, days| {
                    let key = Key { client: *client, server, tool };
                    let last = last_day(days);
                    let is_spare = last == oldest_kept && spare > 0;
                    let goes = keep != Some(key) && (last < oldest_kept || is_spare);
                    spare -= usize::from(goes && last == oldest_kept);
                    gone += usize::from(goes);
                    !goes
                });
                !clients.is_empty()
            });
            !tools.is_empty()
        });
        self.count -= gone;
        self.dropped += gone as u64;
    }
}

fn last_day(days: &Series) -> i64 {
    days.last().map_or(i64::MIN, |day| day.day)
}

const fn day_of(at: Timestamp) -> i64 {
    at.as_nanos().div_euclid(NANOS_PER_DAY)
}

fn add_to(series: &mut Series, day: i64, calls: u64, bytes: u64) {
    let index = match series.binary_search_by_key(&day, |day| day.day) {
        Ok(index) => index,
        // One more than the window: the current day is none of the complete ones.
        Err(0) if series.len() > WINDOW_DAYS => return,
        Err(index) => {
            series.insert(index, Day { day, ..Day::default() });
            let is_over = series.len() > WINDOW_DAYS + 1;
            if is_over {
                series.remove(0);
            }
            index - usize::from(is_over)
        }
    };
    if let Some(day) = series.get_mut(index) {
        day.calls = day.calls.saturating_add(calls);
        day.bytes = day.bytes.saturating_add(bytes);
    }
}

/// Of an even number of values, the mean of the two in the middle, rounded down.
fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = (sorted.len() / 2).checked_sub(1).and_then(|at| sorted.get(at)).copied();
    lower.map_or(upper, |lower| lower.midpoint(upper))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const KEY: Key<'_> = Key { client: CLIENT, server: "https://a:443/mcp", tool: "echo" };

    fn at(day: i64) -> Timestamp {
        Timestamp::from_nanos(day * NANOS_PER_DAY + 5)
    }

    fn of(daily: &[u64]) -> Baselines {
        let mut baselines = Baselines::default();
        for (day, calls) in daily.iter().enumerate() {
            baselines.add(KEY, at(i64::try_from(day).unwrap()), *calls, calls.saturating_mul(10));
        }
        baselines
    }

    #[test]
    fn limits_over_complete_days() {
        for (daily, day, floor, factor, expected) in [
            // Warm-up: seven complete days, and today is none.
            (&[5; 6][..], 6, 0, 8, None),
            (&[5; 7][..], 6, 0, 8, None),
            (&[5; 7][..], 7, 0, 8, Some(5)),
            (&[5; 7][..], 7, 100, 8, Some(100)),
            // Median 4, deviations 3 2 1 0 1 2 3: MAD 2.
            (&[1, 2, 3, 4, 5, 6, 7][..], 7, 0, 8, Some(20)),
            // One wild day does not raise the bar.
            (&[5, 5, 5, 5, 5, 5, 100_000][..], 7, 0, 8, Some(5)),
            // Even count: median 4 (of 4 and 5), deviations 3 2 1 0 1 2 3 4, MAD 2.
            (&[1, 2, 3, 4, 5, 6, 7, 8][..], 8, 0, 1, Some(6)),
            // Today's own traffic does not count.
            (&[5, 5, 5, 5, 5, 5, 5, 9_999][..], 7, 0, 8, Some(5)),
        ] {
            let baselines = of(daily);
            let got = baselines.limit(KEY, at(day), Measure::Calls, floor, factor);
            assert_eq!(got, expected, "{daily:?} on day {day}");
        }
    }

    #[test]
    fn bytes_and_calls_are_apart_and_today_grows() {
        let mut baselines = of(&[3; 8]);
        baselines.add(KEY, at(7), 2, 1);
        assert_eq!(baselines.today(KEY, at(7), Measure::Calls), 5);
        assert_eq!(baselines.today(KEY, at(7), Measure::Bytes), 31);
        assert_eq!(baselines.today(KEY, at(8), Measure::Bytes), 0);
        assert_eq!(baselines.limit(KEY, at(7), Measure::Bytes, 0, 8), Some(30));
        let other = Key { tool: "other", ..KEY };
        assert_eq!(baselines.limit(other, at(7), Measure::Bytes, 0, 8), None);
    }

    #[test]
    fn days_without_traffic_are_no_days_and_old_ones_leave() {
        let mut baselines = Baselines::default();
        for day in 0..40 {
            baselines.add(KEY, at(7 * day), u64::try_from(day).unwrap(), 0);
        }
        let days = baselines.get(KEY).unwrap();
        assert_eq!(days.len(), WINDOW_DAYS + 1);
        // Of the last 14 complete ones, 25 to 38: median 31, MAD 3.
        assert_eq!(baselines.limit(KEY, at(7 * 39), Measure::Calls, 0, 0), Some(31));
        baselines.add(KEY, at(0), 1, 1);
        assert_eq!(baselines.today(KEY, at(0), Measure::Calls), 0);
        baselines.add(KEY, at(7 * 39 - 1), 6, 1);
        assert_eq!(baselines.today(KEY, at(7 * 39 - 1), Measure::Calls), 6);
        assert_eq!(baselines.get(KEY).unwrap().len(), WINDOW_DAYS + 1);
    }

    #[test]
    fn series_unused_for_longest_go_first() {
        let limits = Limits { max_series: 32, max_name_bytes: 8 };
        let mut baselines = Baselines::new(limits);
        let name = |number: i64| format!("t{number}");
        let key = |tool: &'static str| Key { tool, server: "s", ..KEY };
        for number in 0..32 {
            baselines.add(Key { tool: &name(number), server: "s", ..KEY }, at(number), 1, 1);
        }
        baselines.add(key("t0"), at(50), 1, 1);
        assert_eq!((baselines.len(), baselines.dropped()), (32, 0));
        baselines.add(key("new"), at(3), 1, 1);
        assert_eq!((baselines.len(), baselines.dropped()), (30, 3));
        for (tool, is_there) in [("t0", true), ("t1", false), ("t3", false), ("new", true)] {
            assert_eq!(baselines.get(key(tool)).is_some(), is_there, "{tool}");
        }
        baselines.add(key("too long a name"), at(3), 1, 1);
        assert_eq!(baselines.len(), 30);
    }

    #[test]
    fn sums_saturate() {
        let mut baselines = of(&[u64::MAX; 7]);
        baselines.add(KEY, at(6), 1, u64::MAX);
        assert_eq!(baselines.limit(KEY, at(7), Measure::Calls, 0, 8), Some(u64::MAX));
    }
}
