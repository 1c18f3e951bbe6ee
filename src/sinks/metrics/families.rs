//! Which metric shows which counter.

use std::collections::BTreeMap;

use super::exposition::Exposition;
use super::{Format, Interface, Snapshot};
use crate::sinks::outbox;

/// The page `/metrics`.
#[must_use]
pub fn render(snapshot: &Snapshot, format: Format) -> String {
    let mut page = Exposition::new(format);
    process(&mut page, snapshot);
    capture(&mut page, snapshot);
    shed(&mut page, snapshot);
    decode(&mut page, snapshot);
    flows(&mut page, snapshot);
    for (name, counter, help) in PLAIN {
        page.counter(name, help).number(&[], snapshot.counter(counter));
    }
    protocols(&mut page, snapshot);
    coverage(&mut page, snapshot);
    logs(&mut page, snapshot);
    icap(&mut page, snapshot);
    findings(&mut page, snapshot);
    outputs(&mut page, snapshot);
    packets(&mut page, snapshot);
    page.finish()
}

/// Counters that are shown as they are: metric, counter of the statistics, help.
pub(super) const PLAIN: [(&str, &str, &str); 19] = [
    ("flows_opened", "flow.opened", "TCP flows begun."),
    ("flows_midstream", "flow.midstream", "TCP flows whose beginning was not seen."),
    ("reassembly_segments", "flow.segments", "TCP segments taken in."),
    (
        "reassembly_payload_bytes",
        "flow.payload_bytes",
        "TCP payload captured, repeated bytes included.",
    ),
    (
        "reassembly_delivered_bytes",
        "flow.delivered_bytes",
        "TCP payload handed to the parsers, each byte once.",
    ),
    ("reassembly_gaps", "flow.gaps", "Holes in TCP streams."),
    ("reassembly_gap_bytes", "flow.gap_bytes", "Bytes in those holes."),
    (
        "reassembly_truncated_bytes",
        "flow.snaplen_truncated_bytes",
        "TCP payload that the snapshot length cut off.",
    ),
    (
        "reassembly_duplicate_segments",
        "flow.duplicate_segments",
        "TCP segments that brought nothing new.",
    ),
    (
        "reassembly_out_of_order_segments",
        "flow.out_of_order_segments",
        "TCP segments that came before what precedes them.",
    ),
    (
        "reassembly_overlap_conflicts",
        "flow.overlap_conflicts",
        "TCP segments whose bytes differ from an earlier copy.",
    ),
    (
        "reassembly_bad_checksums",
        "flow.bad_checksums",
        "TCP segments dropped for a wrong checksum.",
    ),
    ("app_gap_bytes", "app.gap_bytes", "Bytes missing in flows that were being read."),
    ("exchanges", "app.exchanges", "HTTP exchanges begun."),
    ("mcp_messages", "mcp.messages", "JSON-RPC messages read."),
    ("mcp_undecodable_bytes", "mcp.undecodable_bytes", "Body bytes that could not be decoded."),
    ("mcp_exchanges_given_up", "mcp.given_up", "Exchanges given up at a bound."),
    ("matches_excepted", "rules.excepted", "Matches of rules that exceptions took."),
    ("matches_held_back", "rules.held_back", "Matches of rules that thresholds held back."),
];

/// Counters that are one metric with a label: metric, label, help, and for each value its counter.
type Labelled = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

pub(super) const LABELLED: [Labelled; 3] = [
    (
        "flows_closed",
        "reason",
        "TCP flows that ended by themselves.",
        &[
            ("fin", "flow.closed_by_fin"),
            ("reset", "flow.closed_by_reset"),
            ("one_sided", "flow.closed_one_sided"),
            ("reuse", "flow.closed_by_reuse"),
        ],
    ),
    (
        "flows_expired",
        "kind",
        "TCP flows idle for too long, by kind.",
        &[
            ("half_open", "flow.expired_half_open"),
            ("quiet", "flow.expired_quiet"),
            ("unknown", "flow.expired_unknown"),
            ("mcp", "flow.expired_mcp"),
        ],
    ),
    (
        "flows_evicted",
        "reason",
        "TCP flows pushed out by the bound on flows, by what they were.",
        &[
            ("half_open", "flow.evicted_half_open"),
            ("quiet", "flow.evicted_quiet"),
            ("unknown", "flow.evicted_unknown"),
            ("candidate", "flow.evicted_candidate"),
            ("mcp", "flow.evicted_mcp"),
        ],
    ),
];

/// Gauges of the statistics: metric, counter, help.
pub(super) const GAUGES: [(&str, &str, &str); 2] = [
    ("flows_active", "flow.active", "TCP flows in the tables."),
    (
        "reassembly_buffered_bytes_max",
        "flow.max_buffered_bytes",
        "Most bytes ever buffered at once.",
    ),
];

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
    let queue = snapshot.queue;
    page.gauge("worker_queued_batches", "Batches of packets that wait for the workers.")
        .number(&[], queue.batches);
    page.gauge("worker_queue_capacity_batches", "Batches that find room.")
        .number(&[], queue.capacity);
    if let Some(lag) = queue.lag {
        page.gauge("worker_lag_seconds", "How far the slowest worker is behind the capture.")
            .seconds(&[], lag);
    }
}

/// A counter of each interface: metric, help, and the counter.
type Total = (&'static str, &'static str, fn(&Interface) -> u64);

fn capture(page: &mut Exposition, snapshot: &Snapshot) {
    let interfaces = &snapshot.interfaces;
    let totals: [Total; 3] = [
        ("capture_packets", "Packets captured.", |interface| interface.packets),
        ("capture_bytes", "Bytes on the wire of the packets captured.", |interface| {
            interface.bytes
        }),
        ("capture_outages", "Times at which an interface had to be opened again.", |interface| {
            interface.outages
        }),
    ];
    for (name, help, value) in totals {
        let mut family = page.counter(name, help);
        for interface in interfaces {
            family.number(&[("interface", &interface.name)], value(interface));
        }
    }
    let mut dropped = page.counter("capture_dropped", "Packets that the sensor never looked at.");
    for interface in interfaces {
        let places = [
            ("kernel", interface.dropped_by_kernel),
            ("interface", interface.dropped_by_interface),
        ];
        for (place, count) in places {
            dropped.number(&[("interface", &interface.name), ("where", place)], count);
        }
    }
    if !interfaces.is_empty() {
        dropped.number(&[("where", "queue")], snapshot.shed.overflow_packets);
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

fn shed(page: &mut Exposition, snapshot: &Snapshot) {
    let shed = snapshot.shed;
    page.gauge("shed_sixteenths", "Sixteenths of all flows that are let go now, to keep up.")
        .number(&[], shed.sixteenths.into());
    for (name, help, count) in [
        ("shed_flows", "TCP connections let go to keep up.", shed.flows),
        ("shed_packets", "Packets of those.", shed.packets),
        ("shed_bytes", "Payload of those.", shed.bytes),
    ] {
        page.counter(name, help).number(&[], count);
    }
}

fn decode(page: &mut Exposition, snapshot: &Snapshot) {
    // Some reasons end in a number that comes from the packet: that would be a label without bound.
    let mut skipped: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, count) in &snapshot.counters {
        let Some(reason) = name.strip_prefix("decode.skipped.") else { continue };
        let is_number = |end: &str| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit());
        let reason = match reason.rsplit_once('-') {
            Some((reason, number)) if is_number(number) => reason,
            _ => reason,
        };
        *skipped.entry(reason).or_default() += count;
    }
    let mut family =
        page.counter("decode_skipped_packets", "Packets that gave no TCP segment, by reason.");
    for (reason, count) in skipped {
        family.number(&[("reason", reason)], count);
    }
    let mut family = page.counter("parse_errors", "Oddities of the traffic.");
    for (anomaly, count) in &snapshot.anomalies {
        let (layer, kind) = anomaly.split_once('/').unwrap_or(("", anomaly));
        family.number(&[("protocol", layer), ("kind", kind)], *count);
    }
    let mut family =
        page.counter("decode_bytes", "Bytes that came out of decoding bodies, by coding.");
    for (encoding, bytes) in &snapshot.decoded_bytes {
        family.number(&[("encoding", encoding)], *bytes);
    }
}

fn flows(page: &mut Exposition, snapshot: &Snapshot) {
    for (name, counter, help) in GAUGES {
        page.gauge(name, help).number(&[], snapshot.counter(counter));
    }
    for (name, label, help, values) in LABELLED {
        let mut family = page.counter(name, help);
        for (value, counter) in values {
            family.number(&[(label, value)], snapshot.counter(counter));
        }
    }
    if let Some(flows) = snapshot.decrypted_flows {
        page.counter("flows_decrypted", "Flows whose encryption was opened.").number(&[], flows);
    }
}

/// Flows and bytes by protocol, of every tally that the application layer keeps.
fn protocols(page: &mut Exposition, snapshot: &Snapshot) {
    for (name, help, end) in [
        ("protocol_flows", "Flows that ended as a protocol.", ".flows"),
        ("protocol_bytes", "Payload bytes of a protocol.", ".bytes"),
    ] {
        let mut family = page.counter(name, help);
        for (counter, count) in &snapshot.counters {
            let protocol = counter.strip_prefix("app.").and_then(|rest| rest.strip_suffix(end));
            if let Some(protocol) = protocol {
                family.number(&[("protocol", protocol)], *count);
            }
        }
    }
}

fn coverage(page: &mut Exposition, snapshot: &Snapshot) {
    let coverage = &snapshot.coverage;
    for (name, help, count) in [
        (
            "coverage_payload_bytes",
            "TCP payload that was on the wire, seen or missing.",
            coverage.payload_bytes,
        ),
        (
            "coverage_readable_bytes",
            "Of it, what was read in full, MCP or not.",
            coverage.readable_bytes,
        ),
        ("flows_encrypted", "Flows that were encrypted and had no keys.", coverage.encrypted_flows),
        ("flows_encrypted_bytes", "Bytes of those.", coverage.encrypted_bytes),
        ("decode_truncated_packets", "Packets cut by the capture.", coverage.truncated_packets),
        (
            "decode_undecodable_packets",
            "Packets of protocols that are not read.",
            coverage.undecodable_packets,
        ),
        ("decode_malformed_packets", "Packets that are damaged.", coverage.malformed_packets),
        (
            "decode_lost_fragments",
            "Fragmented IP datagrams that never became whole.",
            coverage.lost_fragments,
        ),
        ("evictions", "Flows, messages and servers pushed out by bounds.", coverage.evictions),
    ] {
        page.counter(name, help).number(&[], count);
    }
}

/// What came by logs and from proxies. A source is a path or an address that somebody gave.
fn logs(page: &mut Exposition, snapshot: &Snapshot) {
    let mut lines = page.counter("log_lines", "Lines of logs, or requests of proxies.");
    for log in &snapshot.logs {
        let quiet = log.lines.saturating_sub(log.records).saturating_sub(log.bad_lines);
        for (result, count) in [
            ("record", log.records),
            ("nothing", quiet),
            ("bad", log.bad_lines),
            ("turned_away", log.turned_away),
        ] {
            lines.number(&[("source", &log.file), ("result", result)], count);
        }
    }
    let mut bytes = page.counter("log_bytes", "Bytes of logs, or of requests of proxies.");
    for log in &snapshot.logs {
        bytes.number(&[("source", &log.file)], log.bytes);
    }
}

fn icap(page: &mut Exposition, snapshot: &Snapshot) {
    let Some(counters) = &snapshot.icap else { return };
    let mut requests = page.counter("icap_requests", "Requests of proxies.");
    for (method, count) in [
        ("options", counters.options),
        ("reqmod", counters.reqmods),
        ("respmod", counters.respmods),
    ] {
        requests.number(&[("method", method)], count);
    }
    for (name, help, count) in [
        ("icap_connections", "Connections of proxies.", counters.connections),
        ("icap_body_bytes", "Bytes of bodies that were read.", counters.body_bytes),
        ("icap_cut_bodies", "Bodies of which not all was seen.", counters.cut_bodies),
        ("icap_asked", "Requests that waited for a decision.", counters.asked),
        ("icap_refused", "Requests that were refused.", counters.refused),
        ("icap_undecided", "Decisions that did not come in time.", counters.undecided),
        ("icap_malformed", "Requests that could not be read.", counters.malformed),
        ("icap_dropped_observations", "Observations without room in the run.", counters.dropped),
    ] {
        page.counter(name, help).number(&[], count);
    }
}

fn findings(page: &mut Exposition, snapshot: &Snapshot) {
    page.gauge("mcp_servers", "Servers that speak MCP.").number(&[], snapshot.servers);
    let mut findings = page.counter("findings", "Findings, by rule and severity.");
    for ((rule, severity), count) in &snapshot.findings {
        findings.number(&[("rule", rule), ("severity", severity.as_str())], *count);
    }
    page.counter("findings_dropped", "Hits that found no room for a finding of their own.")
        .number(&[], snapshot.coverage.dropped_findings);
    let mut rows = page.counter("sink_rows", "Rows given to an output.");
    for sink in &snapshot.sinks {
        for (result, count) in [("ok", sink.written), ("failed", sink.failed)] {
            let labels = [("sink", sink.sink), ("table", sink.table), ("result", result)];
            rows.number(&labels, count);
        }
    }
    for output in &snapshot.outputs {
        for (table, tally) in &output.spool.streams {
            let lost = tally.lost + tally.dropped;
            let results = [("ok", tally.taken), ("refused", tally.refused), ("lost", lost)];
            for (result, count) in results {
                let labels = [("sink", output.name.as_str()), ("table", table), ("result", result)];
                rows.number(&labels, count);
            }
        }
    }
}

/// A number of each output: metric, help, and the number.
type OfOutput = (&'static str, &'static str, fn(&outbox::Stats) -> u64);

/// Outputs over a network.
fn outputs(page: &mut Exposition, snapshot: &Snapshot) {
    let counters: [OfOutput; 7] = [
        ("sink_batches", "Batches that an output took.", |stats| stats.batches),
        ("sink_retries", "Tries to deliver that failed.", |stats| stats.retries),
        ("sink_lost_events", "Events that found no room before the spool.", |stats| {
            stats.lost_lines
        }),
        ("sink_unreadable_events", "Events that gave no records.", |stats| stats.unreadable_lines),
        ("spool_dropped_segments", "Segments dropped because the spool was full.", |stats| {
            stats.spool.dropped_segments
        }),
        ("spool_corrupt_segments", "Segments found damaged.", |stats| stats.spool.corrupt_segments),
        ("spool_refused_segments", "Segments that the output refused for good.", |stats| {
            stats.spool.refused_segments
        }),
    ];
    for (name, help, value) in counters {
        let mut family = page.counter(name, help);
        for output in &snapshot.outputs {
            family.number(&[("sink", &output.name)], value(output));
        }
    }
    let gauges: [OfOutput; 5] = [
        ("sink_stopped", "Whether nothing is taken until somebody does something.", |stats| {
            stats.is_stopped.into()
        }),
        ("sink_queued_bytes", "Events that wait for the spool.", |stats| stats.queued_bytes),
        ("spool_bytes", "Size of the spool on disk.", |stats| stats.spool.bytes),
        ("spool_segments", "Segments that wait to be delivered.", |stats| stats.spool.segments),
        ("spool_rows", "Rows in them.", |stats| stats.spool.records),
    ];
    for (name, help, value) in gauges {
        let mut family = page.gauge(name, help);
        for output in &snapshot.outputs {
            family.number(&[("sink", &output.name)], value(output));
        }
    }
    let mut time = page.gauge("sink_batch_seconds", "Time that delivered batches took, in all.");
    for output in &snapshot.outputs {
        time.seconds(&[("sink", &output.name)], output.batch_time);
    }
    let mut oldest = page.gauge("spool_oldest_seconds", "Age of the oldest segment that waits.");
    for output in &snapshot.outputs {
        oldest.seconds(&[("sink", &output.name)], output.spool.oldest.unwrap_or_default());
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
