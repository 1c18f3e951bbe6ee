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
mod portal;
mod server;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use exposition::Format;
pub use families::render;
pub use health::{Health, InterfaceHealth, Interval, Status};
pub use portal::{PortalCalls, Times, render_portal};
pub use server::{DEFAULT_ADDRESS, Server, serve};

use super::event::{Coverage, LogFile, StatsEvent};
use crate::intake::icap::Counters as IcapCounters;
use crate::rules::Severity;
use crate::time::Timestamp;

/// Everything that the pages show: counters since the start, and the state of now. Plain numbers,
/// filled by the sensor; what is left at its default is either not shown or shown as zero.
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
    /// What deserves a look but is no reason to restart anything (a full disk, for example).
    pub warnings: Vec<String>,
    /// The interfaces that are read.
    pub interfaces: Vec<Interface>,
    /// Counters of the stages as `stage.name`: those of the statistics event.
    pub counters: BTreeMap<String, u64>,
    /// Oddities of the traffic as `layer/kind`: those of the statistics event.
    pub anomalies: BTreeMap<String, u64>,
    /// Logs, and servers that proxies send to.
    pub logs: Vec<LogFile>,
    /// The ICAP server, if there is one.
    pub icap: Option<IcapCounters>,
    /// What could be seen, and what not.
    pub coverage: Coverage,
    /// Body bytes that came out of decoding, by content coding.
    pub decoded_bytes: BTreeMap<&'static str, u64>,
    /// Flows whose encryption was opened, if the sensor can open any.
    pub decrypted_flows: Option<u64>,
    /// What was let go to keep up.
    pub shed: Shed,
    /// What waits for the workers.
    pub queue: Queue,
    /// Findings by rule and severity.
    pub findings: BTreeMap<(String, Severity), u64>,
    /// Servers that speak MCP.
    pub servers: u64,
    /// What went out.
    pub sinks: Vec<SinkRows>,
    /// Times the configuration was read again.
    pub reloads: Reloads,
    /// Outputs over a network.
    pub outputs: Vec<super::outbox::Stats>,
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
    /// Packets dropped by the kernel because the sensor was slow (`ps_drop`).
    pub dropped_by_kernel: u64,
    /// Packets dropped by the interface or its driver (`ps_ifdrop`, or the kernel's counters of
    /// the interface).
    pub dropped_by_interface: u64,
    /// Times at which it could not be read any more and was opened again.
    pub outages: u64,
    /// Time of the last packet; `None` before the first, or where nobody notes it.
    pub last_packet: Option<Timestamp>,
    /// It is open and read from.
    pub up: bool,
}

/// What the sensor chose not to look at, to keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed {
    /// Sixteenths of all flows that are being shed now: 0 to 16.
    pub sixteenths: u8,
    /// TCP connections whose beginning was shed.
    pub flows: u64,
    /// Packets.
    pub packets: u64,
    /// Their bytes of payload.
    pub bytes: u64,
    /// Packets dropped between capture and workers although their flow is never shed.
    pub overflow_packets: u64,
}

/// What waits for the workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Batches that wait.
    pub batches: u64,
    /// So many find room.
    pub capacity: u64,
    /// Age of the oldest packet that waits, if it is measured.
    pub lag: Option<Duration>,
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
    /// Takes over what a statistics event has: counters, oddities and coverage.
    pub fn take_stats(&mut self, stats: &StatsEvent) {
        self.counters.clone_from(&stats.counters);
        self.anomalies.clone_from(&stats.anomalies);
        self.coverage = stats.coverage;
        self.logs.clone_from(&stats.logs);
    }

    /// Packets that came, and packets that were lost, wherever.
    fn packets_and_drops(&self) -> (u64, u64) {
        let lost = self.shed.overflow_packets.saturating_add(self.shed.packets);
        self.interfaces.iter().fold((0, lost), |(packets, lost), interface| {
            let more = interface.dropped_by_kernel.saturating_add(interface.dropped_by_interface);
            (packets.saturating_add(interface.packets), lost.saturating_add(more))
        })
    }

    /// A counter of the statistics; zero if there is none of that name.
    fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}
