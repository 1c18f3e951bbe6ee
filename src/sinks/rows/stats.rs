//! A row of `sensor_stats`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Micros;

/// What a sensor saw and what it could not see. Counts are those of the run so far; what the name ends in `_interval` is since the row before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clickhouse::Row, Default)]
#[serde(default)]
pub struct StatsRow {
    /// Time of the last packet.
    pub ts: Micros,
    /// Name of the sensor.
    pub sensor: String,
    /// Version of the program.
    pub sensor_version: String,
    /// `watch`, `replay`.
    pub run: String,
    /// Since the run began.
    pub uptime_seconds: u64,
    /// Since the row before; 0 of a replay.
    pub interval_millis: u64,
    /// Packets read.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets read.
    pub packets_interval: u64,
    /// Their bytes.
    pub bytes_interval: u64,
    /// Packets that found no room in the kernel's ring.
    pub kernel_dropped: u64,
    /// The same.
    pub kernel_dropped_interval: u64,
    /// Packets that the interfaces dropped.
    pub interface_dropped: u64,
    /// The same.
    pub interface_dropped_interval: u64,
    /// Sixteenths of all flows that are being shed.
    pub shed_sixteenths: u8,
    /// Connections whose beginning was shed.
    pub shed_flows: u64,
    /// Packets shed.
    pub shed_packets: u64,
    /// The same.
    pub shed_packets_interval: u64,
    /// Bytes of payload shed.
    pub shed_bytes: u64,
    /// Packets dropped although their flow is never shed.
    pub overflow_packets: u64,
    /// Batches of segments that wait for workers.
    pub queued_batches: u64,
    /// So many find room.
    pub queue_capacity: u64,
    /// Events that an output could not take.
    pub lost_events: u64,
    /// The same.
    pub lost_events_interval: u64,
    /// TCP flows.
    pub flows: u64,
    /// Bytes of payload that the captures should hold: seen or missing.
    pub payload_bytes: u64,
    /// Of these, bytes of protocols that were read in full.
    pub readable_bytes: u64,
    /// Packets that the capture cut.
    pub truncated_packets: u64,
    /// Packets that cannot be decoded.
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
    /// Observations judged out of order.
    pub out_of_order: u64,
    /// Rules, approvals and catalog were taken over anew.
    pub reloads: u64,
    /// They had problems.
    pub failed_reloads: u64,
    /// Interfaces that are not up.
    pub interfaces_down: Vec<String>,
    /// Counters of the stages, `stage.name`.
    pub counters: BTreeMap<String, u64>,
    /// Oddities by `layer/kind`.
    pub anomalies: BTreeMap<String, u64>,
}
