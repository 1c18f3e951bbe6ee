//! Counters of all threads as one event.

use std::time::Duration;

use super::super::stats::{Decoding, ShardCounters, gather};
use super::super::{Analysis, read};
use super::crew::Crew;
use super::lanes::Shed;
use super::names::InterfaceNames;
use super::reader::Board;
use crate::capture::live::{Drops, LinkState};
use crate::sinks::event::{CaptureFile, Grown, InterfaceStats, LiveStats, ShedStats, StatsEvent};
use crate::time::Timestamp;

/// Adds the counters of another reader. Fields are named one by one, so that none is forgotten.
fn add(sum: &mut read::Counters, more: &read::Counters) {
    let read::Counters {
        captures,
        packets,
        bytes,
        truncated_packets,
        truncated_bytes,
        links,
        skipped,
        fragments,
        segments,
        datagrams,
        times,
    } = more;
    sum.captures += captures;
    sum.packets += packets;
    sum.bytes += bytes;
    sum.truncated_packets += truncated_packets;
    sum.truncated_bytes += truncated_bytes;
    for (link, count) in links {
        *sum.links.entry(*link).or_default() += count;
    }
    for (skip, more) in skipped {
        let known = sum.skipped.entry(*skip).or_default();
        known.packets += more.packets;
        known.bytes += more.bytes;
    }
    sum.fragments += fragments;
    sum.segments += segments;
    sum.datagrams += datagrams;
    sum.times = match (sum.times, *times) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (one, other) => one.or(other),
    };
}

/// Counts that the engine keeps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own {
    pub(super) reloads: u64,
    pub(super) failed_reloads: u64,
    pub(super) lost_events: u64,
    pub(super) out_of_order: u64,
}

/// What the statistics before these said, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    live: LiveStats,
    at: Duration,
}

impl Baseline {
    /// The next statistics count from these on.
    pub(super) fn set(&mut self, stats: &StatsEvent, at: Duration) {
        self.live = stats.live.clone().unwrap_or_default();
        self.at = at;
    }
}

/// When statistics are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) time: Timestamp,
    pub(super) elapsed: Duration,
}

/// Puts together what all threads have told.
pub(super) fn stats(
    crew: &Crew,
    names: &InterfaceNames,
    workers: &[ShardCounters],
    analysis: &Analysis<'_>,
    own: Own,
    before: &Baseline,
    when: When,
) -> StatsEvent {
    let (mut read, mut decoding) = (read::Counters::default(), Decoding::default());
    let mut shed = Shed::default();
    let mut interfaces = Vec::new();
    let mut captures = Vec::new();
    for (number, (board, name)) in crew.boards.iter().zip(names.iter()).enumerate() {
        let Ok(board) = board.lock() else { continue };
        add(&mut read, &board.counters);
        decoding.merge(&board.decoding);
        shed += board.shed;
        captures.push(CaptureFile {
            file: name.to_string(),
            packets: board.counters.packets,
            bytes: board.counters.bytes,
            stopped: (board.state == LinkState::Gone).then(|| "cannot be read now".to_owned()),
        });
        let before = before.live.interfaces.get(number);
        interfaces.push(interface(name, &board, before));
    }
    read.captures = captures.len() as u64;
    let mut shards = ShardCounters::default();
    for worker in workers {
        shards.add(worker);
    }
    let mut stats = gather(&read, &decoding, &shards, analysis, captures);
    stats.timestamp = when.time;
    let queued = crew.lanes.iter().map(|lane| lane.queued()).sum::<usize>();
    let since = when.elapsed.saturating_sub(before.at);
    stats.live = Some(LiveStats {
        uptime_seconds: when.elapsed.as_secs(),
        interval_millis: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        interfaces,
        shed: ShedStats {
            sixteenths: crew.lanes.iter().map(|lane| lane.sixteenths()).max().unwrap_or(0),
            flows: grown(shed.flows, before.live.shed.flows),
            packets: grown(shed.packets, before.live.shed.packets),
            bytes: grown(shed.bytes, before.live.shed.bytes),
            overflow_packets: grown(shed.overflow_packets, before.live.shed.overflow_packets),
        },
        queued_batches: queued as u64,
        queue_capacity: (crew.lanes.len() * crew.limits.queue_batches) as u64,
        out_of_order: grown(own.out_of_order, before.live.out_of_order),
        lost_events: grown(own.lost_events, before.live.lost_events),
        reloads: own.reloads,
        failed_reloads: own.failed_reloads,
    });
    stats
}

const fn grown(total: u64, before: Grown) -> Grown {
    Grown { total, interval: total.saturating_sub(before.total) }
}

fn interface(name: &str, board: &Board, before: Option<&InterfaceStats>) -> InterfaceStats {
    let before = before.cloned().unwrap_or_default();
    let Drops { received, dropped, if_dropped, rx_dropped, rx_missed } = board.drops;
    InterfaceStats {
        name: name.to_owned(),
        state: board.state,
        packets: grown(board.counters.packets, before.packets),
        bytes: grown(board.counters.bytes, before.bytes),
        received: grown(received, before.received),
        dropped: grown(dropped, before.dropped),
        if_dropped: grown(if_dropped, before.if_dropped),
        rx_dropped: grown(rx_dropped, before.rx_dropped),
        rx_missed: grown(rx_missed, before.rx_missed),
        outages: board.outages,
        outage_seconds: board.outage.as_secs(),
    }
}
