//! Counters of all stages as one event, and what the sensor could not see.

use std::collections::BTreeMap;

use super::analysis::Analysis;
use super::read::{self, Names, Trouble};
use super::shard::Shard;
use crate::anomaly::Anomaly;
use crate::decode::{Class, Decoder, Tunnel};
use crate::flow;
use crate::sinks::event::{CaptureFile, Coverage, StatsEvent};
use crate::time::Timestamp;

/// Counters of several shards.
#[derive(Clone, Debug, Default)]
pub(super) struct ShardCounters {
    flow: flow::Counters,
    app: crate::app::Counters,
    mcp: crate::mcp::TapCounters,
}

impl ShardCounters {
    /// The sums over some shards.
    #[must_use]
    pub(super) fn of(shards: &[Shard]) -> Self {
        let mut sum = Self::default();
        for shard in shards {
            sum.flow += shard.flow();
            sum.app += shard.app();
            sum.mcp += shard.mcp();
        }
        sum
    }

    /// Adds what recognition counted elsewhere.
    pub(super) fn add_tap(&mut self, counters: &crate::mcp::TapCounters) {
        self.mcp += counters;
    }

    /// Adds those of other shards.
    pub(super) fn add(&mut self, other: &Self) {
        self.flow += &other.flow;
        self.app += &other.app;
        self.mcp += &other.mcp;
    }
}

/// What decoders count, summed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoding {
    lost_fragments: u64,
    anomalies: BTreeMap<Anomaly, u64>,
    /// Headers of tunnels that were opened, by kind.
    opened: BTreeMap<Tunnel, u64>,
}

impl Decoding {
    /// Adds the counters of a decoder.
    pub(super) fn add(&mut self, decoder: &Decoder) {
        let counters = decoder.counters();
        for (tunnel, opened) in decoder.opened().filter(|(_, opened)| *opened > 0) {
            *self.opened.entry(tunnel).or_default() += opened;
        }
        self.lost_fragments += counters.datagrams_expired + counters.datagrams_evicted;
        for (anomaly, count) in counters.anomalies() {
            *self.anomalies.entry(anomaly).or_default() += count;
        }
    }
}

impl Decoding {
    /// Adds those of other decoders.
    pub(super) fn merge(&mut self, other: &Self) {
        self.lost_fragments += other.lost_fragments;
        for (anomaly, count) in &other.anomalies {
            *self.anomalies.entry(*anomaly).or_default() += count;
        }
        for (tunnel, opened) in &other.opened {
            *self.opened.entry(*tunnel).or_default() += opened;
        }
    }
}

/// Puts the counters of a run together.
pub(super) fn gather(
    read: &read::Counters,
    decoding: &Decoding,
    shards: &ShardCounters,
    analysis: &Analysis<'_>,
    captures: Vec<CaptureFile>,
) -> StatsEvent {
    let ShardCounters { flow, app, mcp } = shards;
    let (inventory, findings) = (analysis.inventory(), analysis.findings());
    let mut counters = BTreeMap::new();
    add(&mut counters, "capture", read_counters(read));
    add(&mut counters, "flow", serialised(flow));
    add(&mut counters, "app", serialised(app));
    add(&mut counters, "mcp", serialised(mcp));
    for (skip, skipped) in &read.skipped {
        let number = skip.number().map_or_else(String::new, |number| format!("-{number}"));
        counters.insert(format!("decode.skipped.{}{number}", skip.name()), skipped.packets);
    }
    for (link, packets) in &read.links {
        counters.insert(format!("decode.link_type.{}", link.0), *packets);
    }
    for (tunnel, opened) in &decoding.opened {
        counters.insert(format!("decode.opened.{}", tunnel.name()), *opened);
    }
    add(&mut counters, "rules", serialised(&analysis.tuning_counts().taken()));
    let anomalies = decoding.anomalies.iter().filter(|(_, count)| **count > 0);
    let evictions = flow.evicted() + mcp.given_up + inventory.dropped();
    StatsEvent {
        timestamp: read.times.map_or(Timestamp::EPOCH, |(_, last)| last),
        sensor_version: env!("CARGO_PKG_VERSION").to_owned(),
        captures,
        logs: Vec::new(),
        coverage: coverage(
            read,
            flow,
            app,
            mcp.undecodable_bytes,
            decoding.lost_fragments,
            evictions,
            findings.dropped(),
        ),
        counters,
        anomalies: anomalies.map(|(anomaly, count)| (anomaly.to_string(), *count)).collect(),
        live: None,
    }
}

/// What could be read, in bytes of payload. Packets that gave neither segment nor datagram
/// count with all their bytes, as nobody knows how much payload is in them.
fn coverage(
    read: &read::Counters,
    flow: &flow::Counters,
    app: &crate::app::Counters,
    undecodable: u64,
    lost_fragments: u64,
    evictions: u64,
    dropped_findings: u64,
) -> Coverage {
    let unsupported = read.skipped_of(Class::Unsupported);
    let malformed = read.skipped_of(Class::Malformed);
    let cut = read.skipped_of(Class::Truncated);
    // HTTP/3 could carry MCP as well as TLS could.
    let opaque = app.tls.bytes + app.quic.bytes;
    let unseen_packets = unsupported.bytes + malformed.bytes + cut.bytes;
    let missing = flow.gap_bytes + flow.snaplen_truncated_bytes + unseen_packets;
    let payload = flow.unique_bytes() + app.quic.bytes + missing;
    let unread = opaque + undecodable + missing;
    Coverage {
        packets: read.packets,
        flows: flow.opened,
        payload_bytes: payload,
        readable_bytes: payload.saturating_sub(unread),
        truncated_packets: read.truncated_packets,
        undecodable_packets: unsupported.packets,
        malformed_packets: malformed.packets,
        lost_fragments,
        gaps: flow.gaps,
        gap_bytes: flow.gap_bytes,
        encrypted_flows: app.tls.flows + app.quic.flows,
        encrypted_bytes: opaque,
        midstream_flows: flow.midstream,
        evictions,
        dropped_findings,
    }
}

/// The files that were read.
pub(super) fn captures(
    read: &read::Counters,
    names: &Names,
    troubles: &[Trouble],
) -> Vec<CaptureFile> {
    let stopped = |file: &str| {
        troubles.iter().find_map(|trouble| match trouble {
            Trouble::Damaged { input, damage } if input == file => Some(damage.to_string()),
            _ => None,
        })
    };
    let files = names.files(read.packets);
    files
        .map(|(file, packets, bytes)| CaptureFile {
            file: file.to_string(),
            packets,
            bytes,
            stopped: stopped(file),
        })
        .collect()
}

fn read_counters(read: &read::Counters) -> BTreeMap<String, u64> {
    let pairs = [
        ("captures", read.captures),
        ("packets", read.packets),
        ("bytes", read.bytes),
        ("truncated_packets", read.truncated_packets),
        ("truncated_bytes", read.truncated_bytes),
        ("fragments", read.fragments),
        ("segments", read.segments),
        ("datagrams", read.datagrams),
    ];
    pairs.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

/// The fields of a struct of counters, nested ones as `outer.inner`.
fn serialised(counters: &impl serde::Serialize) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(counters) {
        for (name, value) in fields {
            match value {
                serde_json::Value::Object(inner) => {
                    let inner = inner.into_iter().filter_map(|(k, v)| Some((k, v.as_u64()?)));
                    found.extend(inner.map(|(inner, count)| (format!("{name}.{inner}"), count)));
                }
                other => found.extend(other.as_u64().map(|count| (name, count))),
            }
        }
    }
    found
}

fn add(counters: &mut BTreeMap<String, u64>, stage: &str, more: BTreeMap<String, u64>) {
    counters.extend(more.into_iter().map(|(name, count)| (format!("{stage}.{name}"), count)));
}

#[cfg(test)]
mod tests {
    use super::super::read::Skipped;
    use super::*;
    use crate::decode::{Header, Skip};

    #[test]
    fn what_could_not_be_read_adds_up() {
        let mut read = read::Counters { packets: 10, truncated_packets: 1, ..Default::default() };
        let cut = Skipped { packets: 2, bytes: 40 };
        read.skipped.insert(Skip::Truncated(Header::Tcp), cut);
        read.skipped.insert(Skip::Malformed(Header::Tcp), Skipped { packets: 1, bytes: 7 });
        read.skipped.insert(Skip::LinkType(250), Skipped { packets: 3, bytes: 100 });
        // Not for us, but nothing that was missed either.
        read.skipped.insert(Skip::Arp, Skipped { packets: 1, bytes: 60 });
        let flow = flow::Counters {
            opened: 4,
            payload_bytes: 1_000,
            duplicate_bytes: 100,
            gaps: 1,
            gap_bytes: 50,
            ..flow::Counters::default()
        };
        let mut app = crate::app::Counters::default();
        app.tls.flows = 1;
        app.tls.bytes = 200;
        let found = coverage(&read, &flow, &app, 3, 5, 6, 7);
        assert_eq!(found.payload_bytes, 900 + 50 + 147);
        assert_eq!(found.readable_bytes, 900 - 200 - 3);
        assert_eq!((found.undecodable_packets, found.malformed_packets), (3, 1));
        assert_eq!((found.encrypted_flows, found.encrypted_bytes), (1, 200));
        assert_eq!((found.lost_fragments, found.evictions, found.dropped_findings), (5, 6, 7));
        assert_eq!((found.packets, found.flows, found.truncated_packets), (10, 4, 1));
    }

    #[test]
    fn nothing_read_is_nothing_missed() {
        let found = coverage(
            &read::Counters::default(),
            &flow::Counters::default(),
            &crate::app::Counters::default(),
            0,
            0,
            0,
            0,
        );
        assert_eq!((found.payload_bytes, found.readable_bytes), (0, 0));
    }

    #[test]
    fn nested_counters_are_named_by_their_paths() {
        let mut app = crate::app::Counters { exchanges: 2, ..Default::default() };
        app.http1.bytes = 9;
        let found = serialised(&app);
        assert_eq!(found["exchanges"], 2);
        assert_eq!(found["http1.bytes"], 9);
    }
}
