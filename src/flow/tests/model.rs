//! Random traffic against what a byte stream is.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Rebuilds both streams: what was delivered, with gaps as None.
#[derive(Debug, Default)]
struct Rebuilt {
    streams: [Vec<Option<u8>>; 2],
    alternates: usize,
    finished: Vec<(Side, Finish)>,
    closed: usize,
}

impl Handler for Rebuilt {
    type State = Invariants;

    fn chunk(&mut self, _: &FlowInfo, state: &mut Invariants, chunk: Chunk<'_>) -> Interest {
        state.advance(chunk.side, chunk.offset, chunk.bytes.len() as u64);
        self.streams[chunk.side.index()].extend(chunk.bytes.iter().copied().map(Some));
        Interest::Unknown
    }

    fn alternate(&mut self, _: &FlowInfo, _: &mut Invariants, _: Chunk<'_>) {
        self.alternates += 1;
    }

    fn gap(&mut self, _: &FlowInfo, state: &mut Invariants, gap: Gap) -> Interest {
        state.advance(gap.side, gap.offset, gap.len);
        let stream = &mut self.streams[gap.side.index()];
        stream.resize(stream.len() + usize::try_from(gap.len).unwrap(), None);
        Interest::Unknown
    }

    fn finish(&mut self, _: &FlowInfo, state: &mut Invariants, side: Side, _: At, why: Finish) {
        state.finish(side);
        self.finished.push((side, why));
    }

    fn closed(&mut self, _: &FlowInfo, state: Invariants, _: At, _: Finish) {
        state.closed();
        self.closed += 1;
    }

    fn anomaly(&mut self, _: &FlowInfo, _: At, anomaly: Anomaly) {
        panic!("{}", anomaly.kind);
    }
}

/// One segment of the plan: side, range of the stream.
#[derive(Clone, Debug)]
struct Planned {
    side: Side,
    from: usize,
    to: usize,
}

/// A stream's byte at an offset, the same for every copy.
fn byte(side: Side, offset: usize) -> u8 {
    u8::try_from((offset * 31 + offset / 7 + side.index() * 101) % 251).unwrap()
}

fn plan(side: Side, cuts: &[usize], overlaps: &[(Index, usize, usize)]) -> (usize, Vec<Planned>) {
    let mut segments = Vec::new();
    let mut from = 0;
    for cut in cuts {
        segments.push(Planned { side, from, to: from + cut });
        from += cut;
    }
    for (at, before, len) in overlaps {
        let start = at.index(from).saturating_sub(*before);
        segments.push(Planned { side, from: start, to: (start + len).min(from) });
    }
    (from, segments)
}

/// Shuffles: each segment moves by less than `window` places.
fn shuffle(segments: &mut Vec<Planned>, keys: &[usize], window: usize) {
    let mut keyed: Vec<(usize, Planned)> = std::mem::take(segments)
        .into_iter()
        .enumerate()
        .map(|(place, segment)| (place + keys[place % keys.len()] % window, segment))
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    *segments = keyed.into_iter().map(|(_, segment)| segment).collect();
}

struct Wire {
    table: Table<Invariants>,
    rebuilt: Rebuilt,
    isn: [u32; 2],
    packet: u64,
}

impl Wire {
    fn send(&mut self, side: Side, flags: u8, offset: u32, payload: &[u8]) {
        let (src, dst) = if side == Side::Originator { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let header = SegmentHeader {
            packet: self.packet,
            time: Timestamp::from_nanos(i64::try_from(self.packet).unwrap() * 1_000_000),
            seq: self.isn[side.index()].wrapping_add(offset),
            ack: self.isn[side.other().index()].wrapping_add(1),
            flags: TcpFlags(flags),
            payload_len: u32::try_from(payload.len()).unwrap(),
            ..header(src, dst)
        };
        self.packet += 1;
        self.table.push(&Segment { header, payload }, &mut self.rebuilt);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    // R1 to R6, R16: shuffled, doubled, overlapping, lost and wrapped segments give each byte
    // once, and gaps exactly where every copy is lost.
    #[test]
    fn every_byte_once_and_gaps_where_bytes_are_lost(
        isn in (any::<u32>(), prop_oneof![any::<u32>(), u32::MAX - 40..=u32::MAX]),
        cuts in (vec(1_usize..12, 1..40), vec(1_usize..12, 1..40)),
        overlaps in (
            vec((any::<Index>(), 0_usize..9, 1_usize..20), 0..10),
            vec((any::<Index>(), 0_usize..9, 1_usize..20), 0..10),
        ),
        keys in vec(0_usize..64, 1..64),
        window in 1_usize..12,
        doubled in vec(any::<bool>(), 1..16),
        lost in vec(prop::bool::weighted(0.1), 1..64),
        fin in any::<bool>(),
    ) {
        let (client_len, mut segments) = plan(Side::Originator, &cuts.0, &overlaps.0);
        let (server_len, others) = plan(Side::Responder, &cuts.1, &overlaps.1);
        segments.extend(others);
        let far = window.max(segments.len() / 4);
        shuffle(&mut segments, &keys, far);
        shuffle(&mut segments, &keys, window);

        let mut wire = Wire {
            table: Table::new(Limits::default()),
            rebuilt: Rebuilt::default(),
            isn: [isn.0, isn.1],
            packet: 0,
        };
        wire.send(Side::Originator, TcpFlags::SYN, 0, b"");
        wire.send(Side::Responder, TcpFlags::SYN | TcpFlags::ACK, 0, b"");
        let lengths = [client_len, server_len];
        let mut present = [vec![false; client_len], vec![false; server_len]];
        for (index, segment) in segments.iter().enumerate() {
            if lost[index % lost.len()] {
                continue;
            }
            let side = segment.side;
            let payload: Vec<u8> = (segment.from..segment.to).map(|at| byte(side, at)).collect();
            present[side.index()][segment.from..segment.to].fill(true);
            let offset = u32::try_from(segment.from).unwrap() + 1;
            for _ in 0..1 + usize::from(doubled[index % doubled.len()]) {
                wire.send(side, TcpFlags::ACK, offset, &payload);
            }
        }
        for side in [Side::Originator, Side::Responder] {
            if fin {
                let end = u32::try_from(lengths[side.index()]).unwrap() + 1;
                wire.send(side, TcpFlags::ACK | TcpFlags::FIN, end, b"");
            }
        }
        wire.table.finish(&mut wire.rebuilt);

        for side in [Side::Originator, Side::Responder] {
            let mut expected: Vec<Option<u8>> = present[side.index()]
                .iter()
                .enumerate()
                .map(|(at, &there)| there.then(|| byte(side, at)))
                .collect();
            if !fin {
                let last = expected.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
                expected.truncate(last);
            }
            prop_assert_eq!(&wire.rebuilt.streams[side.index()], &expected);
        }
        prop_assert_eq!(wire.rebuilt.alternates, 0);
        let counters = wire.table.counters();
        prop_assert_eq!((counters.opened, counters.active, counters.overlap_conflicts), (1, 0, 0));
        let any = present.iter().flatten().any(|&there| there) || (fin && wire.rebuilt.closed > 0);
        prop_assert_eq!(wire.rebuilt.closed, usize::from(any));
        if any {
            let why = if fin { Finish::Fin } else { Finish::EndOfCapture };
            let mut finished = wire.rebuilt.finished.clone();
            finished.sort_by_key(|(side, _)| *side);
            prop_assert_eq!(finished, vec![(Side::Originator, why), (Side::Responder, why)]);
        }
    }

    // Whatever comes: no panic, bytes in order, bounded.
    #[test]
    fn any_operations_keep_the_invariants(data in vec(any::<u8>(), 0..2000)) {
        fuzz::fuzz(&data);
    }
}
