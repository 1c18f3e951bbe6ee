//! `--metrics`: what the sensor counts, for Prometheus.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::Failure;
use super::packets::Kept;
use crate::capture::live::LinkState;
use crate::finding::{Finding, News};
use crate::intake::icap::Counters as IcapCounters;
use crate::pipeline::watch::Health;
use crate::rules::Severity;
use crate::sinks::event::{LiveStats, StatsEvent};
use crate::sinks::metrics::{Interface, Queue, Reloads, Server, Shed, Snapshot, serve};
use crate::sinks::outbox;
use crate::time::Timestamp;

/// The pages, and what they show.
#[derive(Debug)]
pub(super) struct Metrics {
    shown: Arc<Mutex<Snapshot>>,
    server: Server,
    findings: BTreeMap<(String, Severity), u64>,
    servers: u64,
    now: Timestamp,
    unhealthy: Vec<String>,
    failed_reloads: u64,
    last_failed: bool,
}

impl Metrics {
    /// Listens on an address.
    pub(super) fn serve(address: SocketAddr) -> Result<Self, Failure> {
        let shown = Arc::new(Mutex::new(Snapshot::default()));
        let shared = Arc::clone(&shown);
        let snapshot = move || shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let server = serve(address, snapshot)
            .map_err(|error| Failure::new(format!("--metrics {address}: {error}")))?;
        Ok(Self {
            shown,
            server,
            findings: BTreeMap::new(),
            servers: 0,
            now: Timestamp::EPOCH,
            unhealthy: Vec::new(),
            failed_reloads: 0,
            last_failed: false,
        })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub(super) fn finding(&mut self, finding: &Finding, news: News) {
        if news == News::Began {
            let key = (finding.rule.id.clone(), finding.severity);
            *self.findings.entry(key).or_default() += 1;
        }
    }

    /// How the run is, at each turn.
    pub(super) fn turn(&mut self, now: Timestamp, health: &Health) {
        self.now = now;
        self.servers = health.servers as u64;
        let stalled = [(health.stalled_workers, "workers"), (health.stalled_readers, "readers")];
        self.unhealthy = stalled
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what} make no progress"))
            .collect();
    }

    /// Takes over the statistics of a second.
    pub(super) fn stats(
        &mut self,
        stats: &StatsEvent,
        kept: Option<&Kept>,
        outputs: Vec<outbox::Stats>,
        icap: Option<IcapCounters>,
    ) {
        let Some(live) = &stats.live else { return };
        if live.failed_reloads != self.failed_reloads {
            (self.failed_reloads, self.last_failed) = (live.failed_reloads, true);
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.take_stats(stats);
        shown.uptime = Duration::from_secs(live.uptime_seconds);
        (shown.now, shown.ready) = (self.now, true);
        shown.unhealthy.clone_from(&self.unhealthy);
        shown.warnings = kept.and_then(Kept::alarm).into_iter().collect();
        shown.warnings.extend(outputs.iter().filter_map(alarm));
        shown.outputs = outputs;
        shown.interfaces = interfaces(live);
        shown.shed = Shed {
            sixteenths: live.shed.sixteenths,
            flows: live.shed.flows.total,
            packets: live.shed.packets.total,
            bytes: live.shed.bytes.total,
            overflow_packets: live.shed.overflow_packets.total,
        };
        shown.queue =
            Queue { batches: live.queued_batches, capacity: live.queue_capacity, lag: None };
        shown.findings.clone_from(&self.findings);
        shown.servers = self.servers;
        shown.decrypted_flows = stats.counters.get("app.tls_decrypted.flows").copied();
        shown.reloads = Reloads {
            succeeded: live.reloads,
            failed: live.failed_reloads,
            last_failed: self.last_failed,
        };
        shown.packets = kept.map(Kept::counters);
        shown.icap = icap;
    }

    /// Rules were taken over.
    pub(super) const fn reloaded(&mut self) {
        self.last_failed = false;
    }

    pub(super) fn stop(self) {
        self.server.stop();
    }
}

/// What is wrong with an output.
fn alarm(stats: &outbox::Stats) -> Option<String> {
    let error = stats.last_error.as_ref()?;
    Some(format!("{}: {error}", stats.name))
}

fn interfaces(live: &LiveStats) -> Vec<Interface> {
    let each = live.interfaces.iter().map(|interface| Interface {
        name: interface.name.clone(),
        packets: interface.packets.total,
        bytes: interface.bytes.total,
        dropped_by_kernel: interface.dropped.total,
        dropped_by_interface: interface.if_dropped.total.max(interface.rx_missed.total),
        outages: interface.outages,
        last_packet: None,
        up: interface.state == LinkState::Up,
    });
    each.collect()
}
