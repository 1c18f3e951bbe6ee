//! Which packets belong to which findings: several at a time, in one pass over the ring.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::Limits;
use super::cut::Job;
use super::pcap::RECORD_BYTES;
use crate::capture::{LinkType, Packet};
use crate::decode::{self, Decoded, Decoder};
use crate::finding::FlowTuple;
use crate::net::Endpoint;
use crate::time::Timestamp;

/// Fragments kept until their datagram is complete, in bytes and in number; beyond, the oldest
/// are forgotten.
const MAX_FRAGMENT_BYTES: usize = 4 << 20;
const MAX_FRAGMENTS: usize = 4096;

/// Fragments that are kept with a datagram when its own cannot be told from others.
const MAX_STRANGERS: usize = 64;
const STRANGER_AGE: Duration = Duration::from_secs(1);

/// A packet in memory.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Its place among all packets of the pass.
    pub(super) order: u64,
    pub(super) time: Timestamp,
    pub(super) link: LinkType,
    pub(super) wire_len: u32,
    pub(super) bytes: Vec<u8>,
}

impl Kept {
    fn of(packet: &Packet<'_>) -> Self {
        Self {
            order: packet.index,
            time: packet.time,
            link: packet.link,
            wire_len: packet.wire_len,
            bytes: packet.bytes.to_vec(),
        }
    }

    const fn cost(&self) -> u64 {
        (self.bytes.len() + RECORD_BYTES) as u64
    }
}

/// A client's address, a server's address and port, and the protocol.
type Pair = (IpAddr, Endpoint, u8);

/// Packets around a moment: of those before, the last are kept, in half of the bound at most; of
/// those from there on, the first.
#[derive(Debug, Default)]
struct Around {
    max_bytes: u64,
    lead: VecDeque<Kept>,
    lead_bytes: u64,
    rest: Vec<Kept>,
    rest_bytes: u64,
    truncated: bool,
}

impl Around {
    fn keep(&mut self, packet: Kept, hit: Timestamp) {
        let cost = packet.cost();
        if packet.time >= hit {
            if self.lead_bytes + self.rest_bytes + cost > self.max_bytes {
                self.truncated = true;
                return;
            }
            self.rest_bytes += cost;
            self.rest.push(packet);
            return;
        }
        self.lead_bytes += cost;
        self.lead.push_back(packet);
        let left = self.max_bytes.saturating_sub(self.rest_bytes);
        while self.lead_bytes > left.min(self.max_bytes / 2) && self.drop_first() {}
    }

    const fn bytes(&self) -> u64 {
        self.lead_bytes + self.rest_bytes
    }

    fn drop_first(&mut self) -> bool {
        let Some(first) = self.lead.pop_front() else { return false };
        self.lead_bytes -= first.cost();
        self.truncated = true;
        true
    }

    fn drop_last(&mut self) -> bool {
        let Some(last) = self.rest.pop() else { return false };
        self.rest_bytes -= last.cost();
        self.truncated = true;
        true
    }
}

/// The packets of one finding: of its own flows, and of others between the same client and server,
/// as what is known of a server is learnt from all of them. The own ones come first where
/// there is too much.
#[derive(Debug)]
pub(super) struct Gathered {
    from: Timestamp,
    hit: Timestamp,
    to: Timestamp,
    own: Around,
    others: Around,
}

impl Gathered {
    fn new(job: &Job, limits: &Limits) -> Self {
        let (from, to) = job.span(limits);
        let around = |max_bytes| Around { max_bytes, ..Around::default() };
        Self {
            from,
            hit: job.first_seen,
            to,
            own: around(limits.max_cut_bytes),
            others: around(limits.max_cut_bytes / 2),
        }
    }

    fn keep(&mut self, packet: Kept, is_own: bool) {
        if packet.time >= self.from && packet.time <= self.to {
            let around = if is_own { &mut self.own } else { &mut self.others };
            around.keep(packet, self.hit);
        }
    }

    /// The packets in their order (of arrival, or of time where link types differ, as these are
    /// in files of their own), and whether some did not fit.
    pub(super) fn into_packets(self) -> (Vec<Kept>, bool) {
        let Self { own, mut others, .. } = self;
        let left = own.max_bytes.saturating_sub(own.bytes());
        while others.bytes() > left && (others.drop_last() || others.drop_first()) {}
        let truncated = own.truncated || others.truncated;
        let parts = [own.lead.into(), own.rest, others.lead.into(), others.rest];
        let mut packets = parts.concat();
        let link = packets.first().map(|packet| packet.link);
        if packets.iter().all(|packet| Some(packet.link) == link) {
            packets.sort_by_key(|packet| packet.order);
        } else {
            packets.sort_by_key(|packet| (packet.time, packet.order));
        }
        // A fragment may have been kept as its own and as a stranger.
        packets.dedup_by_key(|packet| packet.order);
        (packets, truncated)
    }
}

/// One pass over packets for several findings.
#[derive(Debug)]
pub(super) struct Pass {
    decoder: Decoder,
    /// Findings by the pairs they want.
    wanted: HashMap<Pair, Vec<usize>>,
    /// Their flows.
    flows: Vec<Vec<FlowTuple>>,
    gathered: Vec<Gathered>,
    fragments: VecDeque<Kept>,
    fragment_bytes: usize,
    /// Packets seen.
    count: u64,
    /// The only finding that gets packets now.
    only: Option<usize>,
}

impl Pass {
    pub(super) fn new(jobs: &[Job], limits: &Limits) -> Self {
        let mut wanted: HashMap<Pair, Vec<usize>> = HashMap::new();
        for (number, job) in jobs.iter().enumerate() {
            for FlowTuple { client, server, protocol } in &job.flows {
                let jobs = wanted.entry((client.ip, *server, *protocol)).or_default();
                if jobs.last() != Some(&number) {
                    jobs.push(number);
                }
            }
        }
        Self {
            decoder: Decoder::new(decode::Limits::default()),
            wanted,
            flows: jobs.iter().map(|job| job.flows.clone()).collect(),
            gathered: jobs.iter().map(|job| Gathered::new(job, limits)).collect(),
            fragments: VecDeque::new(),
            fragment_bytes: 0,
            count: 0,
            only: None,
        }
    }

    /// Another source begins, whose packets are for one finding only, or for all.
    pub(super) fn begin(&mut self, only: Option<usize>) {
        self.decoder = Decoder::new(decode::Limits::default());
        self.fragments.clear();
        self.fragment_bytes = 0;
        self.only = only;
    }

    /// Looks at a packet; its index is not used.
    pub(super) fn push(&mut self, packet: &Packet<'_>) {
        let packet = Packet { index: self.count, ..*packet };
        self.count += 1;
        let completed = self.decoder.counters().datagrams_completed;
        let (src, dst, protocol) = match self.decoder.push(&packet) {
            Decoded::Segment(segment) => (segment.header.src, segment.header.dst, 6),
            Decoded::Datagram(datagram) => (datagram.header.src, datagram.header.dst, 17),
            Decoded::Fragment => return self.remember(&packet),
            Decoded::Skipped(_) => return,
        };
        let was_whole = self.decoder.counters().datagrams_completed == completed;
        for (client, server) in [(src, dst), (dst, src)] {
            let Some(jobs) = self.wanted.get(&(client.ip, server, protocol)) else { continue };
            let fragments = if was_whole {
                Vec::new()
            } else {
                earlier_fragments(&self.fragments, &packet, src, dst)
            };
            let flow = FlowTuple { client, server, protocol };
            for &job in jobs {
                let Some(gathered) = self.gathered.get_mut(job) else { continue };
                if self.only.is_some_and(|only| only != job) {
                    continue;
                }
                let is_own = self.flows.get(job).is_some_and(|flows| flows.contains(&flow));
                for fragment in &fragments {
                    gathered.keep((*fragment).clone(), is_own);
                }
                gathered.keep(Kept::of(&packet), is_own);
            }
        }
    }

    fn remember(&mut self, packet: &Packet<'_>) {
        self.fragment_bytes += packet.bytes.len();
        self.fragments.push_back(Kept::of(packet));
        while self.fragment_bytes > MAX_FRAGMENT_BYTES || self.fragments.len() > MAX_FRAGMENTS {
            let Some(oldest) = self.fragments.pop_front() else { return };
            self.fragment_bytes -= oldest.bytes.len();
        }
    }

    pub(super) fn finish(self) -> Vec<Gathered> {
        self.gathered
    }
}

/// The fragments that may be part of the datagram which `last` completed: those with its addresses
/// next to each other, as IP headers have them. Inside a tunnel the fragments' own addresses are
/// not known; then all recent ones are taken.
fn earlier_fragments<'a>(
    fragments: &'a VecDeque<Kept>,
    last: &Packet<'_>,
    src: Endpoint,
    dst: Endpoint,
) -> Vec<&'a Kept> {
    let mut addresses = Vec::with_capacity(32);
    for ip in [src.ip, dst.ip] {
        match ip {
            IpAddr::V4(ip) => addresses.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => addresses.extend_from_slice(&ip.octets()),
        }
    }
    let finder = memchr::memmem::Finder::new(&addresses);
    let own: Vec<&Kept> =
        fragments.iter().filter(|kept| finder.find(&kept.bytes).is_some()).collect();
    if !own.is_empty() {
        return own;
    }
    let recent = |kept: &&Kept| last.time.since(kept.time) <= STRANGER_AGE;
    fragments.iter().rev().take(MAX_STRANGERS).filter(recent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(order: u64, millis: i64, len: usize) -> Kept {
        Kept {
            order,
            time: Timestamp::from_nanos(millis * 1_000_000),
            link: LinkType::RAW,
            wire_len: 0,
            bytes: vec![0; len],
        }
    }

    fn gathered(max_cut_bytes: u64) -> Gathered {
        let job = Job {
            id: "a".to_owned(),
            flows: Vec::new(),
            first_seen: Timestamp::from_parts(100, 0),
            last_seen: Timestamp::from_parts(200, 0),
        };
        Gathered::new(&job, &Limits { max_cut_bytes, ..Limits::default() })
    }

    fn orders(gathered: Gathered) -> (Vec<u64>, bool) {
        let (packets, truncated) = gathered.into_packets();
        (packets.iter().map(|packet| packet.order).collect(), truncated)
    }

    #[test]
    fn the_span_is_a_minute_before_to_five_seconds_after() {
        let mut all = gathered(1000);
        for (order, millis) in (0..).zip([39_999, 40_000, 205_000, 205_001]) {
            all.keep(packet(order, millis, 4), true);
        }
        assert_eq!(orders(all), (vec![1, 2], false));
    }

    // Each packet costs 20 bytes.
    #[test]
    fn at_the_bound_the_packets_around_the_first_hit_stay() {
        let mut all = gathered(200);
        for order in 0..20 {
            all.keep(packet(order, 90_000 + i64::try_from(order).unwrap(), 4), true);
        }
        for order in 20..40 {
            all.keep(packet(order, 100_000 + i64::try_from(order).unwrap(), 4), true);
        }
        assert_eq!(orders(all), ((15..25).collect(), true));
    }

    #[test]
    fn a_short_lead_leaves_more_to_the_rest_and_order_is_that_of_arrival() {
        let mut all = gathered(200);
        all.keep(packet(3, 101_000, 4), true);
        all.keep(packet(1, 99_000, 4), true);
        all.keep(packet(1, 99_000, 4), true);
        all.keep(packet(2, 98_000, 4), true);
        for order in 4..10 {
            all.keep(packet(order, 101_000, 4), true);
        }
        assert_eq!(orders(all), ((1..10).collect(), false));
    }

    #[test]
    fn other_flows_of_the_pair_get_what_is_left() {
        // Of the others, 2 before the hit and 3 after it fit into their half.
        let cases: [(u64, &[u64], bool); 5] = [
            (0, &[0, 1, 2, 3, 4], false),
            (5, &[0, 1, 2, 3, 4], false),
            (7, &[0, 1, 2], true),
            (9, &[1], true),
            (10, &[], true),
        ];
        for (own, kept, truncated) in cases {
            let mut all = gathered(200);
            for order in 0..5 {
                let millis = if order < 2 { 99_000 } else { 101_000 };
                all.keep(packet(order, millis, 4), false);
            }
            for order in 10..10 + own {
                all.keep(packet(order, 101_000, 4), true);
            }
            let expected = kept.iter().copied().chain(10..10 + own).collect();
            assert_eq!(orders(all), (expected, truncated), "{own}");
        }
    }

    #[test]
    fn link_types_are_merged_by_time() {
        let mut all = gathered(1000);
        let of = |link, order, millis| Kept { link, ..packet(order, millis, 4) };
        all.keep(of(LinkType::RAW, 0, 100_000), true);
        all.keep(of(LinkType::RAW, 1, 100_002), true);
        all.keep(of(LinkType::ETHERNET, 2, 100_001), true);
        assert_eq!(orders(all), (vec![0, 2, 1], false));
    }
}
