//! The event of the statistics: what was read, and what could not be.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::capture::live::LinkState;
use crate::time::Timestamp;

/// Statistics of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StatsEvent {
    /// Time of the last packet.
    #[serde(rename = "@timestamp")]
    pub timestamp: Timestamp,
    /// Version of the sensor.
    pub sensor_version: String,
    /// What was read.
    pub captures: Vec<CaptureFile>,
    /// Logs that were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogFile>,
    /// What could be seen.
    pub coverage: Coverage,
    /// Counters of the stages, `stage.name`.
    pub counters: BTreeMap<String, u64>,
    /// Oddities by `layer/kind`.
    pub anomalies: BTreeMap<String, u64>,
    /// What only a live run has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveStats>,
}

/// A count, over the whole run and since the last statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grown {
    /// Since the run began.
    pub total: u64,
    /// Since the last statistics of the same kind.
    pub interval: u64,
}

/// Statistics of a run on interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LiveStats {
    /// Seconds since the run began.
    pub uptime_seconds: u64,
    /// Milliseconds since the last statistics.
    pub interval_millis: u64,
    /// The interfaces, in the order of the command line.
    pub interfaces: Vec<InterfaceStats>,
    /// What the sensor chose not to look at because it was too slow.
    pub shed: ShedStats,
    /// Batches of segments that wait for workers.
    pub queued_batches: u64,
    /// So many find room.
    pub queue_capacity: u64,
    /// Observations judged out of order, because a worker was far behind.
    pub out_of_order: Grown,
    /// Events that no output could take, a full disk for example.
    pub lost_events: Grown,
    /// Rules, approvals and catalog were taken over anew.
    pub reloads: u64,
    /// They had problems, and those before stayed in force.
    pub failed_reloads: u64,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InterfaceStats {
    /// Its name.
    pub name: String,
    /// `up`, `down` or `gone`.
    pub state: LinkState,
    /// Packets read.
    pub packets: Grown,
    /// Their bytes on the wire.
    pub bytes: Grown,
    /// Packets that libpcap received, dropped ones included.
    pub received: Grown,
    /// Packets that found no room in the kernel's ring.
    pub dropped: Grown,
    /// Packets that the interface dropped, as libpcap tells.
    pub if_dropped: Grown,
    /// The kernel's `rx_dropped`.
    pub rx_dropped: Grown,
    /// The kernel's `rx_missed_errors`.
    pub rx_missed: Grown,
    /// Times at which the interface could not be read any more and was opened again.
    pub outages: u64,
    /// Seconds of those, together.
    pub outage_seconds: u64,
}

/// What was shed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShedStats {
    /// Sixteenths of all flows that are being shed, by the worker that sheds most: 0 to 16.
    pub sixteenths: u8,
    /// TCP connections whose beginning was shed.
    pub flows: Grown,
    /// Packets.
    pub packets: Grown,
    /// Their bytes of payload.
    pub bytes: Grown,
    /// Packets dropped although their flow is never shed: not even those found room.
    pub overflow_packets: Grown,
}

/// One capture file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CaptureFile {
    /// Its name, as given.
    pub file: String,
    /// Packets read.
    pub packets: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Why reading stopped before the end of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// One log, or one server that proxies send to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogFile {
    /// Its name, as given.
    pub file: String,
    /// Its format.
    pub format: String,
    /// Lines (or entries, or requests) that were not empty.
    pub lines: u64,
    /// Those that said something of traffic.
    pub records: u64,
    /// Those that could not be read.
    pub bad_lines: u64,
    /// Those that were turned away because the run could not keep up; the source has them still.
    pub turned_away: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Why reading stopped before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

/// What the sensor saw and what it could not see. The second half is printed in every report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Packets read.
    pub packets: u64,
    /// TCP flows.
    pub flows: u64,
    /// Bytes of TCP and QUIC payload that the captures should hold: seen or missing.
    pub payload_bytes: u64,
    /// Of these, bytes of protocols that were read in full, MCP or not.
    pub readable_bytes: u64,
    /// Packets that the capture cut (snap length).
    pub truncated_packets: u64,
    /// Packets of link types or network protocols that cannot be decoded.
    pub undecodable_packets: u64,
    /// Packets that are damaged.
    pub malformed_packets: u64,
    /// IP fragments that never became whole.
    pub lost_fragments: u64,
    /// Holes in TCP streams.
    pub gaps: u64,
    /// Bytes in those holes.
    pub gap_bytes: u64,
    /// Flows of TLS without keys, and of QUIC.
    pub encrypted_flows: u64,
    /// Bytes of those.
    pub encrypted_bytes: u64,
    /// Flows that began before the capture did.
    pub midstream_flows: u64,
    /// Flows, messages and servers pushed out by bounds on memory.
    pub evictions: u64,
    /// Findings dropped at their bound.
    pub dropped_findings: u64,
}

impl Coverage {
    /// Readable bytes in percent of all. Without any TCP payload it is 100 when nothing can have
    /// been missed, and 0 when there were packets that could not be decoded.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.payload_bytes == 0 {
            let lost = self.undecodable_packets + self.malformed_packets + self.lost_fragments;
            return if lost == 0 { 100.0 } else { 0.0 };
        }
        #[expect(clippy::cast_precision_loss, reason = "a share, shown with one digit")]
        let share = self.readable_bytes as f64 / self.payload_bytes as f64;
        100.0 * share.min(1.0)
    }

    /// Readable bytes in tenths of a percent of all, rounded down so that 100 % means all; `None`
    /// when there was nothing to read.
    #[must_use]
    pub fn permille(&self) -> Option<u64> {
        let readable = u128::from(self.readable_bytes.min(self.payload_bytes));
        let share = (readable * 1000).checked_div(u128::from(self.payload_bytes))?;
        u64::try_from(share).ok()
    }
}
