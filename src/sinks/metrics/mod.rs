//! What a running sensor counts, for Prometheus, and whether it is well. An I/O edge.
//!
//! In: a [`Snapshot`], taken anew for each request from whatever the sensor shares. Out: three
//! pages over HTTP: `/metrics` in the text format of Prometheus or OpenMetrics, whichever the
//! reader asks for, `/health` as JSON with 200 or 503, and an index.
//!
//! Names are `shadowtap_SUBSYSTEM_THING_UNIT`, counters end in `_total`. Labels are names of
//! rules, reasons, protocols and the sensor's own interfaces: never an address or a host, so that
//! the number of series does not grow with the traffic. A counter that nobody fills is not shown.
//!
//! The format is written here, as every value exists already as a plain number.

mod exposition;
mod families;
mod health;
mod server;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use exposition::Format;
pub use families::render;
pub use health::{Health, Status};
pub use server::{DEFAULT_ADDRESS, Server, serve};

use crate::anomaly::Anomaly;
use crate::decode::Skip;
use crate::rules::Severity;
use crate::time::Timestamp;
use crate::{app, decode, flow, mcp};

/// Everything that the pages show: counters since the start, and the state of now. Plain numbers,
/// filled by the engine; what is left at its default is either not shown or shown as zero.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Time since the sensor started.
    pub uptime: Duration,
    /// Wall-clock time now: what [`Interface::last_packet`] is compared with.
    pub now: Timestamp,
    /// It captures: interfaces are open and the rules are loaded.
    pub ready: bool,
    /// What is broken, in plain words. Any makes `/health` answer 503.
    pub unhealthy: Vec<String>,
    /// What deserves a look but is no reason to restart anything (a full disk, drops).
    pub warnings: Vec<String>,
    /// The interfaces that are read.
    pub interfaces: Vec<Interface>,
    /// Packets that gave no TCP segment, by reason.
    pub skipped: BTreeMap<Skip, u64>,
    /// What happened to IP fragments.
    pub fragments: decode::Counters,
    /// Sum over all flow tables.
    pub flow: flow::Counters,
    /// Sum over all application layers.
    pub app: app::Counters,
    /// Sum over all recognisers.
    pub mcp: mcp::TapCounters,
    /// Oddities of the traffic, by layer and kind.
    pub anomalies: BTreeMap<Anomaly, u64>,
    /// Body bytes that came out of decoding, by content coding.
    pub decoded_bytes: BTreeMap<&'static str, u64>,
    /// Flows whose encryption was opened.
    pub decrypted_flows: u64,
    /// Flows and packets that were let go to keep up, by reason.
    pub shed: BTreeMap<&'static str, u64>,
    /// Findings by rule and severity.
    pub findings: BTreeMap<(String, Severity), u64>,
    /// Hits that found no room.
    pub dropped_findings: u64,
    /// Servers in the inventory, by verdict.
    pub servers: BTreeMap<&'static str, u64>,
    /// The workers.
    pub workers: Vec<Worker>,
    /// What went out.
    pub sinks: Vec<SinkRows>,
    /// Times the configuration was read again.
    pub reloads: Reloads,
    /// The ring of packets on disk, if one is kept.
    pub packets: Option<super::packets::Counters>,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as given on the command line.
    pub name: String,
    /// Packets that reached the sensor.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Of these, packets cut by the snapshot length.
    pub truncated_packets: u64,
    /// Packets dropped by the kernel because the sensor was slow (`ps_drop`).
    pub dropped_by_kernel: u64,
    /// Packets dropped by the interface or its driver (`ps_ifdrop`).
    pub dropped_by_interface: u64,
    /// Packets dropped by the sensor itself, between capture and workers.
    pub dropped_in_queue: u64,
    /// Time of the last packet; `None` before the first.
    pub last_packet: Option<Timestamp>,
    /// It is open and read from.
    pub up: bool,
}

impl Interface {
    const fn dropped(&self) -> u64 {
        self.dropped_by_kernel
            .saturating_add(self.dropped_by_interface)
            .saturating_add(self.dropped_in_queue)
    }
}

/// One worker thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    /// How far it is behind the capture: age of the oldest packet it has not seen.
    pub lag: Duration,
    /// Packets that wait for it.
    pub queued_packets: u64,
}

/// What one output wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkRows {
    /// The output: `ndjson`.
    pub sink: &'static str,
    /// What it writes: `findings`, `messages`, `stats`.
    pub table: &'static str,
    /// Rows written.
    pub written: u64,
    /// Rows that could not be.
    pub failed: u64,
}

/// Times that rules and approvals were read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// Taken over.
    pub succeeded: u64,
    /// Refused, and the old ones kept.
    pub failed: u64,
    /// The last one was refused.
    pub last_failed: bool,
}

impl Snapshot {
    fn packets_and_drops(&self) -> (u64, u64) {
        let sum = |of: fn(&Interface) -> u64| {
            self.interfaces.iter().fold(0, |sum: u64, each| sum.saturating_add(of(each)))
        };
        (sum(|interface| interface.packets), sum(Interface::dropped))
    }

    /// How far the slowest worker is behind.
    fn lag(&self) -> Duration {
        self.workers.iter().map(|worker| worker.lag).max().unwrap_or_default()
    }
}
