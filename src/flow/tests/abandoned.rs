//! Flows that are opened by the hundred thousand and then abandoned.

use super::*;

const FLOWS: u32 = 120_000;

/// Counts the calls, and answers with one interest.
#[derive(Debug)]
struct Census {
    interest: Interest,
    states: usize,
    closed: usize,
}

impl Handler for Census {
    type State = Invariants;

    fn chunk(&mut self, _: &FlowInfo, state: &mut Invariants, chunk: Chunk<'_>) -> Interest {
        self.states += usize::from(state.next == [0, 0]);
        state.advance(chunk.side, chunk.offset, chunk.bytes.len() as u64);
        self.interest
    }

    fn alternate(&mut self, _: &FlowInfo, _: &mut Invariants, _: Chunk<'_>) {}

    fn gap(&mut self, _: &FlowInfo, state: &mut Invariants, gap: Gap) -> Interest {
        state.advance(gap.side, gap.offset, gap.len);
        self.interest
    }

    fn finish(&mut self, _: &FlowInfo, state: &mut Invariants, side: Side, _: At, _: Finish) {
        state.finish(side);
    }

    fn closed(&mut self, _: &FlowInfo, state: Invariants, _: At, _: Finish) {
        state.closed();
        self.closed += 1;
    }

    fn anomaly(&mut self, _: &FlowInfo, _: At, _: Anomaly) {}
}

/// What is sent before the silence.
struct Abandoned {
    name: &'static str,
    /// From the client or not, flags, sequence number, acknowledged number, payload.
    segments: &'static [(bool, u8, u32, u32, &'static [u8])],
    interest: Interest,
    idle_seconds: fn(&Limits) -> u32,
}

const SYN: u8 = TcpFlags::SYN;
const ACK: u8 = TcpFlags::ACK;
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

const KINDS: [Abandoned; 4] = [
    Abandoned {
        name: "SYN",
        segments: &[(true, SYN, 99, 0, b"")],
        interest: Interest::Unknown,
        idle_seconds: |limits| limits.half_open_idle_seconds,
    },
    Abandoned {
        name: "handshake and data",
        segments: &[
            (true, SYN, 99, 0, b""),
            (false, SYN | ACK, 499, 100, b""),
            (true, ACK, 100, 500, b"POST /mcp HTT"),
        ],
        interest: Interest::Unknown,
        idle_seconds: |limits| limits.unknown_idle_seconds,
    },
    Abandoned {
        name: "ClientHello",
        segments: &[
            (true, SYN, 99, 0, b""),
            (false, SYN | ACK, 499, 100, b""),
            (true, ACK, 100, 500, HELLO),
        ],
        interest: Interest::Candidate,
        idle_seconds: |limits| limits.candidate_idle_seconds,
    },
    Abandoned {
        name: "midstream",
        segments: &[(true, ACK, 7000, 500, b"\"id\":7}")],
        interest: Interest::Unknown,
        idle_seconds: |limits| limits.unknown_idle_seconds,
    },
];

/// Opens all flows, so many in a second of packet time; the most that were live at once.
fn abandon(
    table: &mut Table<Invariants>,
    census: &mut Census,
    kind: &Abandoned,
    flows_per_second: u32,
) -> u64 {
    let server = header(CLIENT, SERVER).dst;
    let (mut packet, mut most) = (0, 0);
    for flow in 0..FLOWS {
        let [_, high, middle, low] = flow.to_be_bytes();
        let client = Endpoint::from(SocketAddr::from(([10, high, middle, low], 40_000)));
        let nanos = 1_000_000_000 * i64::from(flow) / i64::from(flows_per_second);
        for &(from_client, flags, seq, ack, payload) in kind.segments {
            let (src, dst) = if from_client { (client, server) } else { (server, client) };
            let time = Timestamp::from_nanos(1_000_000_000_000 + nanos);
            let payload_len = u32::try_from(payload.len()).unwrap();
            let flags = TcpFlags(flags);
            let blank = header(CLIENT, SERVER);
            let header =
                SegmentHeader { packet, time, src, dst, seq, ack, flags, payload_len, ..blank };
            table.push(&Segment { header, payload }, census);
            packet += 1;
        }
        most = most.max(table.counters().active);
    }
    most
}

fn expired(counters: &Counters) -> u64 {
    counters.expired_half_open
        + counters.expired_quiet
        + counters.expired_unknown
        + counters.expired_mcp
}

#[test]
fn abandoned_flows_expire_as_fast_as_they_come() {
    const PER_SECOND: u32 = 200;
    for kind in &KINDS {
        let limits = Limits::default();
        let idle_seconds = (kind.idle_seconds)(&limits);
        let mut table = Table::new(limits);
        let mut census = Census { interest: kind.interest, states: 0, closed: 0 };
        let most = abandon(&mut table, &mut census, kind, PER_SECOND);
        // The clock of expiry ticks in coarser steps than packets come.
        let bound = u64::from(PER_SECOND * (idle_seconds + 2));
        assert!(most <= bound, "{}: {most} live flows, at most {bound}", kind.name);
        assert_eq!(table.counters().opened, u64::from(FLOWS), "{}", kind.name);
        assert_eq!(table.counters().evicted(), 0, "{}", kind.name);
        let end =
            1_000_000_000_000 + 1_000_000_000 * i64::from(FLOWS / PER_SECOND + idle_seconds + 1);
        // Each call takes away a bounded number.
        for _ in 0..FLOWS / 4096 + 1 {
            table.advance(Timestamp::from_nanos(end), &mut census);
        }
        let counters = table.counters();
        let left = (counters.active, expired(counters));
        assert_eq!(left, (0, u64::from(FLOWS)), "{}", kind.name);
        assert_eq!(census.states, census.closed, "{}: every state is handed back", kind.name);
    }
}

#[test]
fn abandoned_flows_that_come_faster_are_evicted_at_the_bound() {
    for kind in &KINDS {
        let limits = Limits { max_flows: 20_000, ..Limits::default() };
        let mut table = Table::new(limits);
        let mut census = Census { interest: kind.interest, states: 0, closed: 0 };
        let most = abandon(&mut table, &mut census, kind, FLOWS);
        assert_eq!(most, 20_000, "{}", kind.name);
        let counters = table.counters();
        assert_eq!(counters.opened, u64::from(FLOWS), "{}", kind.name);
        assert_eq!(counters.evicted(), u64::from(FLOWS) - 20_000, "{}", kind.name);
        table.finish(&mut census);
        assert_eq!(table.counters().active, 0, "{}", kind.name);
        assert_eq!(census.states, census.closed, "{}: every state is handed back", kind.name);
    }
}
