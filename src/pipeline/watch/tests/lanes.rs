use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use crate::decode::{ChecksumSeed, DatagramHeader, SegmentHeader, TcpFlags};
use crate::flow::At;
use crate::net::{Endpoint, Scope};
use crate::pipeline::watch::lanes::*;
use crate::pipeline::workers::Work;
use crate::time::Timestamp;

const SEED: u64 = 7;
const AT: At = At { packet: 0, time: Timestamp::EPOCH };
const NOW: Duration = Duration::from_secs(100);

/// The lanes of one reader to one worker, which takes what the test takes.
struct Rig {
    lanes: Lanes,
    lane: Arc<Lane>,
    parcels: Receiver<Parcel>,
    protection: Arc<Protection>,
}

fn rig(batch_segments: usize, batch_bytes: usize) -> Rig {
    let limits = Limits { queue_batches: 1, batch_segments, batch_bytes, ..Limits::default() };
    let (input, parcels) = sync_channel(limits.queue_batches);
    let lane = Arc::new(Lane::default());
    let protection = Arc::new(Protection::default());
    let ends = Ends {
        limits,
        seed: SEED,
        inputs: vec![(Arc::clone(&lane), input)],
        pool: Arc::new(Pool::new(8)),
        protection: Arc::clone(&protection),
    };
    Rig { lanes: Lanes::new(ends, 0), lane, parcels, protection }
}

fn client(port: u16) -> Endpoint {
    Endpoint::new("10.0.0.1".parse().unwrap(), port)
}

fn server() -> Endpoint {
    Endpoint::new("192.0.2.1".parse().unwrap(), 80)
}

fn tuple(port: u16) -> Tuple {
    Tuple { src: client(port), dst: server(), scope: Scope::default() }
}

impl Rig {
    /// A segment of a client with so many bytes.
    fn push(&mut self, port: u16, len: usize) {
        let header = SegmentHeader {
            packet: 0,
            time: Timestamp::EPOCH,
            src: client(port),
            dst: server(),
            scope: Scope::default(),
            seq: 0,
            ack: 0,
            flags: TcpFlags(TcpFlags::SYN),
            window: 0,
            payload_len: 0,
            checksum: ChecksumSeed::default(),
        };
        let payload = vec![u8::try_from(port % 251).unwrap(); len];
        self.lanes
            .push(&tuple(port), true, &payload, |shard, start, end| Work::Segment {
                shard,
                header,
                start,
                end,
            })
            .unwrap();
    }

    fn dispatch(&mut self) -> bool {
        self.lanes.dispatch(1, AT, NOW, false).unwrap()
    }

    /// Segments by client port in the next parcel; their payloads must be whole.
    fn take(&self) -> Option<BTreeMap<u16, usize>> {
        let parcel = self.parcels.try_recv().ok()?;
        self.lane.taken();
        let mut found = BTreeMap::new();
        for work in &parcel.batch.work {
            if let Work::Segment { header, start, end, .. } = work {
                let payload = &parcel.batch.bytes[*start..*end];
                let expected = u8::try_from(header.src.port % 251).unwrap();
                assert!(payload.iter().all(|byte| *byte == expected));
                *found.entry(header.src.port).or_default() += 1;
            }
        }
        Some(found)
    }
}

#[test]
fn nothing_is_shed_while_there_is_room() {
    let mut rig = rig(4, 1 << 20);
    for port in 0..8 {
        rig.push(port, 10);
        if port == 3 {
            assert!(rig.dispatch());
            assert_eq!(rig.take().unwrap().len(), 4);
        }
    }
    assert!(rig.dispatch());
    assert_eq!(rig.take().unwrap().len(), 4);
    assert_eq!((rig.lanes.shed(), rig.lane.sixteenths()), (&Shed::default(), 0));
}

#[test]
fn one_large_transfer_goes_before_many_small_calls() {
    let mut rig = rig(1_000, 64 << 10);
    rig.push(1, 10);
    assert!(rig.dispatch(), "the queue takes one");
    // Nobody takes it. The rest waits, one flow with nearly all of the bytes.
    for round in 0..200 {
        rig.push(9, 1_000);
        rig.push(100 + round, 10);
    }
    assert_eq!(rig.lane.sixteenths(), 1);
    rig.take().unwrap();
    assert!(rig.dispatch());
    let found = rig.take().unwrap();
    assert!(!found.contains_key(&9));
    // Only those went that share its sixteenth.
    assert!(found.len() > 170, "{}", found.len());
    let shed = *rig.lanes.shed();
    assert!(shed.bytes >= 200 * 1_000 && shed.packets >= 200, "{shed:?}");
    assert_eq!(usize::try_from(shed.packets).unwrap(), 400 - found.len());
    assert_eq!(shed.flows, shed.packets, "every segment here is a SYN");
    assert_eq!(shed.overflow_packets, 0);
}

#[test]
fn a_flow_is_looked_at_wholly_or_not_at_all() {
    let mut rig = rig(160, 1 << 20);
    rig.push(1, 10);
    rig.dispatch();
    for _ in 0..50 {
        for port in 0..32 {
            rig.push(port, 10);
        }
    }
    assert!(rig.lane.sixteenths() > 0);
    rig.take().unwrap();
    rig.dispatch();
    rig.take().unwrap();
    // From here on the choice stands.
    let before = rig.lane.sixteenths();
    for _ in 0..4 {
        for port in 0..32 {
            rig.push(port, 10);
        }
    }
    rig.dispatch();
    let found = rig.take().unwrap();
    assert_eq!(rig.lane.sixteenths(), before);
    assert!(found.values().all(|count| *count == 4), "{found:?}");
    assert!(!found.is_empty() && found.len() < 32);
}

#[test]
fn known_servers_are_never_shed_but_can_find_no_room() {
    let mut rig = rig(16, 1 << 20);
    assert!(rig.protection.add(server(), 1));
    assert!(!rig.protection.add(client(1), 1), "at the bound");
    rig.push(1, 10);
    rig.dispatch();
    for port in 0..40 {
        rig.push(port, 10);
    }
    assert_eq!(rig.lane.sixteenths(), 0);
    assert_eq!(rig.lanes.shed(), &Shed { overflow_packets: 24, ..Shed::default() });
    rig.take().unwrap();
    rig.dispatch();
    assert_eq!(rig.take().unwrap().len(), 16);
}

#[test]
fn sixteenths_come_back_one_by_one_in_turn() {
    let calm = Limits::default().calm;
    let mut rig = rig(1, 1 << 20);
    rig.push(1, 10);
    rig.dispatch();
    for port in 0..64 {
        rig.push(port, 10);
    }
    let most = rig.lane.sixteenths();
    assert!(most > 2, "{most}");
    rig.lane.relax(NOW, calm);
    assert_eq!(rig.lane.sixteenths(), most, "too early");
    for step in 1..=most {
        rig.lane.relax(NOW + calm * u32::from(step), calm);
        assert_eq!(rig.lane.sixteenths(), most - step);
        rig.lane.relax(NOW + calm * u32::from(step), calm);
        assert_eq!(rig.lane.sixteenths(), most - step, "one at a time");
    }
}

#[test]
fn a_full_queue_keeps_what_waits_and_its_ticks() {
    let mut rig = rig(100, 1 << 20);
    rig.push(1, 10);
    assert!(rig.dispatch());
    rig.push(2, 10);
    for _ in 0..500 {
        assert!(!rig.dispatch());
    }
    rig.take().unwrap();
    assert!(rig.dispatch());
    let parcel = rig.parcels.try_recv().unwrap();
    assert_eq!(parcel.batch.work.len(), 2, "the segment and one tick");
    assert_eq!(parcel.upto, 1);
}

#[test]
fn datagrams_are_shed_like_segments() {
    let mut rig = rig(4, 1 << 20);
    rig.push(1, 10);
    rig.dispatch();
    for port in 0..64 {
        let header = DatagramHeader {
            packet: 0,
            time: Timestamp::EPOCH,
            src: client(port),
            dst: server(),
            scope: Scope::default(),
            payload_len: 5,
        };
        let work = |shard, start, end| Work::Datagram { shard, header, start, end };
        rig.lanes.push(&tuple(port), false, b"12345", work).unwrap();
    }
    let shed = rig.lanes.shed();
    assert_eq!(shed.flows, 0);
    assert!(shed.packets >= 60 && shed.bytes == shed.packets * 5, "{shed:?}");
}

#[test]
fn a_worker_that_is_gone_is_an_error() {
    let Rig { mut lanes, parcels, .. } = rig(4, 100);
    drop(parcels);
    assert_eq!(lanes.dispatch(1, AT, NOW, false), Err(WorkerGone));
}
