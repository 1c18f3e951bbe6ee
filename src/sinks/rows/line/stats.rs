//! A line of statistics.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parts::{Text, cut, listed, stored};
use super::{LineError, MAX_COUNTERS, Source, parse};
use crate::sinks::rows::{Micros, StatsRow};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: Micros,
    #[serde(borrow)]
    sensor_version: Text<'a>,
    captures: Vec<Capture>,
    coverage: Coverage,
    counters: BTreeMap<String, u64>,
    anomalies: BTreeMap<String, u64>,
    #[serde(borrow)]
    live: Option<Live<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capture {
    bytes: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Coverage {
    packets: u64,
    flows: u64,
    payload_bytes: u64,
    readable_bytes: u64,
    truncated_packets: u64,
    undecodable_packets: u64,
    malformed_packets: u64,
    lost_fragments: u64,
    gaps: u64,
    gap_bytes: u64,
    encrypted_flows: u64,
    encrypted_bytes: u64,
    midstream_flows: u64,
    evictions: u64,
    dropped_findings: u64,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Grown {
    total: u64,
    interval: u64,
}

impl Grown {
    const fn plus(self, other: Self) -> Self {
        Self {
            total: self.total.saturating_add(other.total),
            interval: self.interval.saturating_add(other.interval),
        }
    }

    fn max(self, other: Self) -> Self {
        Self { total: self.total.max(other.total), interval: self.interval.max(other.interval) }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Live<'a> {
    uptime_seconds: u64,
    interval_millis: u64,
    #[serde(borrow)]
    interfaces: Vec<Interface<'a>>,
    shed: Shed,
    queued_batches: u64,
    queue_capacity: u64,
    out_of_order: Grown,
    lost_events: Grown,
    reloads: u64,
    failed_reloads: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Interface<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    state: Text<'a>,
    packets: Grown,
    bytes: Grown,
    dropped: Grown,
    if_dropped: Grown,
    rx_missed: Grown,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Shed {
    sixteenths: u8,
    flows: Grown,
    packets: Grown,
    bytes: Grown,
    overflow_packets: Grown,
}

/// What all interfaces counted together.
fn sum(interfaces: &[Interface<'_>], of: impl Fn(&Interface<'_>) -> Grown) -> Grown {
    interfaces.iter().fold(Grown::default(), |sum, interface| sum.plus(of(interface)))
}

fn bounded(counters: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let stored = |(name, count): (String, u64)| (cut(&name).to_owned(), count);
    counters.into_iter().take(MAX_COUNTERS).map(stored).collect()
}

pub(super) fn row(text: &str, source: &Source<'_>) -> Result<StatsRow, LineError> {
    let line: Line<'_> = parse(text)?;
    let run = match (source.run, &line.live) {
        ("", Some(_)) => "watch",
        ("", None) => "replay",
        (run, _) => run,
    };
    let coverage = line.coverage;
    let row = StatsRow {
        ts: stored(line.timestamp),
        sensor: source.sensor.to_owned(),
        sensor_version: line.sensor_version.stored(),
        run: run.to_owned(),
        packets: coverage.packets,
        bytes: line.captures.iter().fold(0, |sum, one| sum.saturating_add(one.bytes)),
        flows: coverage.flows,
        payload_bytes: coverage.payload_bytes,
        readable_bytes: coverage.readable_bytes,
        truncated_packets: coverage.truncated_packets,
        undecodable_packets: coverage.undecodable_packets,
        malformed_packets: coverage.malformed_packets,
        lost_fragments: coverage.lost_fragments,
        gaps: coverage.gaps,
        gap_bytes: coverage.gap_bytes,
        encrypted_flows: coverage.encrypted_flows,
        encrypted_bytes: coverage.encrypted_bytes,
        midstream_flows: coverage.midstream_flows,
        evictions: coverage.evictions,
        dropped_findings: coverage.dropped_findings,
        counters: bounded(line.counters),
        anomalies: bounded(line.anomalies),
        ..StatsRow::default()
    };
    Ok(with_live(row, &line.live.unwrap_or_default()))
}

/// Adds what only a live run has.
fn with_live(row: StatsRow, live: &Live<'_>) -> StatsRow {
    let Live { interfaces, shed, .. } = live;
    let down: Vec<&Interface<'_>> =
        interfaces.iter().filter(|interface| interface.state.0 != "up").collect();
    let kernel = sum(interfaces, |interface| interface.dropped);
    // libpcap and the kernel tell of the same drops, not each of all; the larger count is nearer.
    let card = sum(interfaces, |interface| interface.if_dropped.max(interface.rx_missed));
    StatsRow {
        uptime_seconds: live.uptime_seconds,
        interval_millis: live.interval_millis,
        packets_interval: sum(interfaces, |interface| interface.packets).interval,
        bytes_interval: sum(interfaces, |interface| interface.bytes).interval,
        kernel_dropped: kernel.total,
        kernel_dropped_interval: kernel.interval,
        interface_dropped: card.total,
        interface_dropped_interval: card.interval,
        shed_sixteenths: shed.sixteenths,
        shed_flows: shed.flows.total,
        shed_packets: shed.packets.total,
        shed_packets_interval: shed.packets.interval,
        shed_bytes: shed.bytes.total,
        overflow_packets: shed.overflow_packets.total,
        queued_batches: live.queued_batches,
        queue_capacity: live.queue_capacity,
        lost_events: live.lost_events.total,
        lost_events_interval: live.lost_events.interval,
        out_of_order: live.out_of_order.total,
        reloads: live.reloads,
        failed_reloads: live.failed_reloads,
        interfaces_down: listed(&down, |interface| interface.name.stored()),
        ..row
    }
}
