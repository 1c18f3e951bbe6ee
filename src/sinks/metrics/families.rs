//! Which metric shows which counter.

use std::collections::BTreeMap;

use super::exposition::Exposition;
use super::{Format, Snapshot};
use crate::decode::Class;

/// The page `/metrics`.
#[must_use]
pub fn render(snapshot: &Snapshot, format: Format) -> String {
    let mut page = Exposition::new(format);
    process(&mut page, snapshot);
    capture(&mut page, snapshot);
    decode(&mut page, snapshot);
    flows(&mut page, snapshot);
    reassembly(&mut page, snapshot);
    protocols(&mut page, snapshot);
    recognition(&mut page, snapshot);
    output(&mut page, snapshot);
    packets(&mut page, snapshot);
    page.finish()
}

fn process(page: &mut Exposition, snapshot: &Snapshot) {
    page.gauge("build_info", "Version of the sensor; always 1.")
        .number(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.gauge("uptime_seconds", "Time since the sensor started.").seconds(&[], snapshot.uptime);
    page.gauge("ready", "Whether the sensor captures.").number(&[], snapshot.ready.into());
    let mut reloads = page.counter("reloads", "Times that rules and approvals were read again.");
    reloads.number(&[("result", "ok")], snapshot.reloads.succeeded);
    reloads.number(&[("result", "failed")], snapshot.reloads.failed);
    page.gauge("reload_last_failed", "Whether the last reload was refused.")
        .number(&[], snapshot.reloads.last_failed.into());
    let mut lag = page.gauge("worker_lag_seconds", "How far a worker is behind the capture.");
    for (number, worker) in snapshot.workers.iter().enumerate() {
        lag.seconds(&[("worker", &number.to_string())], worker.lag);
    }
    let mut queued = page.gauge("worker_queued_packets", "Packets that wait for a worker.");
    for (number, worker) in snapshot.workers.iter().enumerate() {
        queued.number(&[("worker", &number.to_string())], worker.queued_packets);
    }
}

fn capture(page: &mut Exposition, snapshot: &Snapshot) {
    let interfaces = &snapshot.interfaces;
    let mut packets = page.counter("capture_packets", "Packets captured.");
    for interface in interfaces {
        packets.number(&[("interface", &interface.name)], interface.packets);
    }
    let mut bytes = page.counter("capture_bytes", "Bytes on the wire of the packets captured.");
    for interface in interfaces {
        bytes.number(&[("interface", &interface.name)], interface.bytes);
    }
    let mut cut = page.counter(
        "capture_truncated_packets",
        "Packets of which the snapshot length cut a part off.",
    );
    for interface in interfaces {
        cut.number(&[("interface", &interface.name)], interface.truncated_packets);
    }
    let mut dropped = page.counter("capture_dropped", "Packets that the sensor never looked at.");
    for interface in interfaces {
        let places = [
            ("kernel", interface.dropped_by_kernel),
            ("interface", interface.dropped_by_interface),
            ("queue", interface.dropped_in_queue),
        ];
        for (place, count) in places {
            dropped.number(&[("interface", &interface.name), ("where", place)], count);
        }
    }
    let mut up = page.gauge("capture_up", "Whether the interface is open and read from.");
    for interface in interfaces {
        up.number(&[("interface", &interface.name)], interface.up.into());
    }
    let mut last =
        page.gauge("capture_last_packet_timestamp_seconds", "Time of the last packet captured.");
    for interface in interfaces {
        if let Some(time) = interface.last_packet {
            let since = time.since(crate::time::Timestamp::EPOCH);
            last.seconds(&[("interface", &interface.name)], since);
        }
    }
}

fn decode(page: &mut Exposition, snapshot: &Snapshot) {
    // Some reasons differ only in a number that comes from the packet: that would be a label
    // without bound.
    let mut skipped: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (skip, count) in &snapshot.skipped {
        let class = match skip.class() {
            Class::Benign => "benign",
            Class::Unsupported => "unsupported",
            Class::Malformed => "malformed",
            Class::Truncated => "truncated",
        };
        *skipped.entry((class, skip.name())).or_default() += count;
    }
    let mut family =
        page.counter("decode_skipped_packets", "Packets that gave no TCP segment, by reason.");
    for ((class, reason), count) in skipped {
        family.number(&[("class", class), ("reason", reason)], count);
    }
    let fragments = &snapshot.fragments;
    let mut family = page.counter("decode_fragmented_datagrams", "IP datagrams in fragments.");
    for (result, count) in [
        ("completed", fragments.datagrams_completed),
        ("expired", fragments.datagrams_expired),
        ("evicted", fragments.datagrams_evicted),
        ("overlapping", fragments.datagrams_overlapping),
    ] {
        family.number(&[("result", result)], count);
    }
    let mut family = page.counter("parse_errors", "Oddities of the traffic.");
    for (anomaly, count) in &snapshot.anomalies {
        let labels = [("protocol", anomaly.layer.name()), ("kind", anomaly.kind)];
        family.number(&labels, *count);
    }
    let mut family =
        page.counter("decode_bytes", "Bytes that came out of decoding bodies, by coding.");
    for (encoding, bytes) in &snapshot.decoded_bytes {
        family.number(&[("encoding", encoding)], *bytes);
    }
}

fn flows(page: &mut Exposition, snapshot: &Snapshot) {
    let flow = &snapshot.flow;
    page.gauge("flows_active", "TCP flows in the tables.").number(&[], flow.active);
    page.counter("flows_opened", "TCP flows begun.").number(&[], flow.opened);
    page.counter("flows_midstream", "TCP flows whose beginning was not seen.")
        .number(&[], flow.midstream);
    let mut closed = page.counter("flows_closed", "TCP flows that ended by themselves.");
    for (reason, count) in [
        ("fin", flow.closed_by_fin),
        ("reset", flow.closed_by_reset),
        ("one_sided", flow.closed_one_sided),
        ("reuse", flow.closed_by_reuse),
        ("end", flow.closed_by_end),
    ] {
        closed.number(&[("reason", reason)], count);
    }
    let mut expired = page.counter("flows_expired", "TCP flows idle for too long, by kind.");
    for (kind, count) in [
        ("half_open", flow.expired_half_open),
        ("quiet", flow.expired_quiet),
        ("unknown", flow.expired_unknown),
        ("mcp", flow.expired_mcp),
    ] {
        expired.number(&[("kind", kind)], count);
    }
    let mut evicted =
        page.counter("flows_evicted", "TCP flows pushed out by the bound on flows, by kind.");
    for (reason, count) in [
        ("half_open", flow.evicted_half_open),
        ("quiet", flow.evicted_quiet),
        ("unknown", flow.evicted_unknown),
        ("candidate", flow.evicted_candidate),
        ("mcp", flow.evicted_mcp),
    ] {
        evicted.number(&[("reason", reason)], count);
    }
    page.counter("flows_decrypted", "Flows whose encryption was opened.")
        .number(&[], snapshot.decrypted_flows);
    let mut shed = page.counter("shed", "Flows and packets let go to keep up, by reason.");
    for (reason, count) in &snapshot.shed {
        shed.number(&[("reason", reason)], *count);
    }
}

fn reassembly(page: &mut Exposition, snapshot: &Snapshot) {
    let flow = &snapshot.flow;
    for (name, help, count) in [
        ("reassembly_segments", "TCP segments taken in.", flow.segments),
        (
            "reassembly_payload_bytes",
            "TCP payload captured, repeated bytes included.",
            flow.payload_bytes,
        ),
        (
            "reassembly_delivered_bytes",
            "TCP payload handed to the parsers, each byte once.",
            flow.delivered_bytes,
        ),
        ("reassembly_gaps", "Holes in TCP streams.", flow.gaps),
        ("reassembly_gap_bytes", "Bytes in those holes.", flow.gap_bytes),
        (
            "reassembly_truncated_bytes",
            "TCP payload that the snapshot length cut off.",
            flow.snaplen_truncated_bytes,
        ),
        (
            "reassembly_duplicate_segments",
            "TCP segments that brought nothing new.",
            flow.duplicate_segments,
        ),
        (
            "reassembly_out_of_order_segments",
            "TCP segments that came before what precedes them.",
            flow.out_of_order_segments,
        ),
        (
            "reassembly_overlap_conflicts",
            "TCP segments whose bytes differ from an earlier copy.",
            flow.overlap_conflicts,
        ),
        (
            "reassembly_bad_checksums",
            "TCP segments dropped for a wrong checksum.",
            flow.bad_checksums,
        ),
    ] {
        page.counter(name, help).number(&[], count);
    }
    page.gauge("reassembly_buffered_bytes_max", "Most bytes ever buffered at once.")
        .number(&[], flow.max_buffered_bytes);
}

/// Flows by protocol, of every tally that the application layer keeps.
fn protocols(page: &mut Exposition, snapshot: &Snapshot) {
    let tallies = match serde_json::to_value(snapshot.app) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    for (name, help, field) in [
        ("protocol_flows", "Flows that ended as a protocol.", "flows"),
        ("protocol_bytes", "Payload bytes of a protocol.", "bytes"),
    ] {
        let mut family = page.counter(name, help);
        for (protocol, tally) in &tallies {
            if let Some(count) = tally.get(field).and_then(serde_json::Value::as_u64) {
                family.number(&[("protocol", protocol)], count);
            }
        }
    }
    page.counter("exchanges", "HTTP exchanges begun.").number(&[], snapshot.app.exchanges);
}

fn recognition(page: &mut Exposition, snapshot: &Snapshot) {
    let mcp = &snapshot.mcp;
    page.counter("mcp_messages", "JSON-RPC messages read.").number(&[], mcp.messages);
    page.counter("mcp_undecodable_bytes", "Body bytes that could not be decoded.")
        .number(&[], mcp.undecodable_bytes);
    page.counter("mcp_exchanges_given_up", "Exchanges given up at a bound.")
        .number(&[], mcp.given_up);
    let mut servers = page.gauge("mcp_servers", "Servers in the inventory, by verdict.");
    for (verdict, count) in &snapshot.servers {
        servers.number(&[("verdict", verdict)], *count);
    }
    let mut findings = page.counter("findings", "Findings, by rule and severity.");
    for ((rule, severity), count) in &snapshot.findings {
        findings.number(&[("rule", rule), ("severity", severity.as_str())], *count);
    }
    page.counter("findings_dropped", "Hits that found no room for a finding of their own.")
        .number(&[], snapshot.dropped_findings);
}

fn output(page: &mut Exposition, snapshot: &Snapshot) {
    let mut rows = page.counter("sink_rows", "Rows given to an output.");
    for sink in &snapshot.sinks {
        for (result, count) in [("ok", sink.written), ("failed", sink.failed)] {
            let labels = [("sink", sink.sink), ("table", sink.table), ("result", result)];
            rows.number(&labels, count);
        }
    }
}

fn packets(page: &mut Exposition, snapshot: &Snapshot) {
    let Some(kept) = &snapshot.packets else { return };
    page.gauge("packet_ring_bytes", "Size of the packet ring on disk.")
        .number(&[], kept.ring_bytes);
    page.gauge("packet_ring_max_bytes", "The bound on it.").number(&[], kept.max_ring_bytes);
    let mut packets = page.counter("packet_ring_packets", "Packets given to the ring.");
    for (result, count) in [
        ("written", kept.written_packets),
        ("dropped_queue", kept.dropped_in_queue),
        ("dropped_disk", kept.dropped_at_disk),
    ] {
        packets.number(&[("result", result)], count);
    }
    page.counter("packet_ring_errors", "Writes to the ring that failed.")
        .number(&[], kept.write_errors);
    let mut cuts = page.counter("packet_cuts", "Captures cut out of the ring for findings.");
    for (result, count) in [
        ("written", kept.cuts_written),
        ("empty", kept.cuts_empty),
        ("failed", kept.cuts_failed),
        ("dropped", kept.cuts_dropped),
    ] {
        cuts.number(&[("result", result)], count);
    }
    page.counter("packet_cuts_truncated", "Cuts that a bound left incomplete.")
        .number(&[], kept.cuts_truncated);
}
