//! Random operations on a table, for fuzzers and property tests.

use super::{At, Chunk, Finish, FlowInfo, Gap, Handler, Interest, Limits, Table};
use crate::anomaly::Anomaly;
use crate::decode::{ChecksumSeed, Segment, SegmentHeader, TcpFlags};
use crate::net::{Endpoint, Scope, Side};
use crate::time::Timestamp;

/// Per-flow state: what has been told so far.
#[derive(Debug, Default)]
struct Told {
    next: [u64; 2],
    finished: [bool; 2],
}

/// Asserts what every handler relies on.
#[derive(Debug)]
struct Checker {
    interest: Interest,
    delivered: u64,
}

impl Checker {
    fn advance(told: &mut Told, side: Side, offset: u64, len: u64) {
        let (next, finished) = match (side, &mut told.next, &told.finished) {
            (Side::Originator, [next, _], [finished, _])
            | (Side::Responder, [_, next], [_, finished]) => (next, *finished),
        };
        assert!(!finished, "bytes after finish");
        assert!(len > 0, "empty piece");
        assert!(*next == offset, "pieces follow each other");
        *next += len;
    }
}

impl Handler for Checker {
    type State = Told;

    fn chunk(&mut self, _: &FlowInfo, told: &mut Told, chunk: Chunk<'_>) -> Interest {
        Self::advance(told, chunk.side, chunk.offset, chunk.bytes.len() as u64);
        self.delivered += chunk.bytes.len() as u64;
        self.interest
    }

    fn alternate(&mut self, _: &FlowInfo, _: &mut Told, chunk: Chunk<'_>) {
        assert!(!chunk.bytes.is_empty(), "empty copy");
    }

    fn gap(&mut self, _: &FlowInfo, told: &mut Told, gap: Gap) -> Interest {
        Self::advance(told, gap.side, gap.offset, gap.len);
        self.interest
    }

    fn finish(&mut self, _: &FlowInfo, told: &mut Told, side: Side, _: At, _: Finish) {
        let finished = match side {
            Side::Originator => &mut told.finished[0],
            Side::Responder => &mut told.finished[1],
        };
        assert!(!std::mem::replace(finished, true), "finished twice");
    }

    fn closed(&mut self, _: &FlowInfo, told: Told, _: At, _: Finish) {
        assert!(told.finished == [true, true], "closed before both sides finished");
    }

    fn anomaly(&mut self, _: &FlowInfo, _: At, _: Anomaly) {}
}

/// Reads `data` as a sequence of operations, eight bytes each, on a small table, and checks what
/// every handler relies on: pieces of a side follow each other, nothing comes after its finish,
/// both sides finish before the flow closes, and memory stays within the bounds.
///
/// # Panics
///
/// When the table breaks one of these promises.
pub fn fuzz(data: &[u8]) {
    let limits = Limits {
        max_flows: 6,
        max_buffered_bytes: 4096,
        max_stream_buffered_bytes: 2048,
        max_ahead_bytes: 1 << 16,
        ..Limits::default()
    };
    let max_buffered = limits.max_buffered_bytes as u64;
    let max_flows = limits.max_flows as u64;
    let mut table: Table<Told> = Table::new(limits);
    let mut checker = Checker { interest: Interest::Unknown, delivered: 0 };
    let mut millis: i64 = 0;
    let (operations, _) = data.as_chunks::<8>();
    for (packet, operation) in operations.iter().enumerate() {
        step(&mut table, &mut checker, &mut millis, packet as u64, *operation);
        let counters = table.counters();
        assert!(counters.active <= max_flows, "too many flows");
        assert!(counters.max_buffered_bytes <= max_buffered + 4096, "too much is buffered");
    }
    table.finish(&mut checker);
    let counters = table.counters();
    assert!(counters.active == 0, "flows left over");
    assert!(counters.delivered_bytes == checker.delivered, "bytes miscounted");
}

fn step(
    table: &mut Table<Told>,
    checker: &mut Checker,
    millis: &mut i64,
    packet: u64,
    [tuple, flags, seq, seq_high, ack, time, len, extra]: [u8; 8],
) {
    *millis += match time {
        0..=199 => i64::from(time % 16),
        200..=239 => i64::from(time) * 20,
        240..=249 => i64::from(time) * 1_000,
        250..=252 => i64::from(time) * 100_000_000,
        _ => -i64::from(time) * 1_000_000,
    };
    let time = Timestamp::from_nanos(millis.saturating_mul(1_000_000));
    checker.interest = match extra >> 5 {
        0 => Interest::None,
        1 => Interest::Candidate,
        2 => Interest::Mcp,
        _ => Interest::Unknown,
    };
    if extra & 0x1f == 0x1f {
        return table.advance(time, checker);
    }
    let near = Endpoint::new([10, 0, 0, tuple & 3].into(), u16::from(tuple >> 2 & 3));
    let far = Endpoint::new([10, 0, 0, 9].into(), 80);
    let from_near = tuple & 0x80 == 0;
    let seq_high = if seq_high < 200 { 0 } else { u32::from(seq_high) << 24 };
    let payload: Vec<u8> = (0..len).filter(|_| flags & 0x40 == 0).collect();
    let header = SegmentHeader {
        packet,
        time,
        src: if from_near { near } else { far },
        dst: if from_near { far } else { near },
        scope: Scope(0),
        seq: u32::from(seq).wrapping_sub(60).wrapping_add(seq_high),
        ack: u32::from(ack).wrapping_sub(60).wrapping_add(seq_high),
        flags: TcpFlags(flags & 0x3f | if extra & 1 == 0 { TcpFlags::ACK } else { 0 }),
        window: 100,
        payload_len: u32::from(len) + u32::from(extra & 6),
        checksum: ChecksumSeed {
            header_sum: if extra & 8 == 0 { 0 } else { 0xffff },
            offloaded: false,
            complete: extra & 0x10 != 0,
        },
    };
    table.push(&Segment { header, payload: &payload }, checker);
}

#[cfg(test)]
mod tests {
    use super::fuzz;

    /// Inputs that once broke a promise, eight bytes an operation.
    #[test]
    fn inputs_that_once_broke_a_promise() {
        let inputs: [(&str, &[[u8; 8]]); 1] = [(
            "a late SYN in front of an end that was told",
            &[
                [0xaa, 0x51, 0xf8, 0, 0, 0, 0, 0xe9],
                [0x5b, 0, 0xe9, 0xaa, 0xaa, 0x7a, 0xa8, 0x09],
                [0, 0, 0, 0xaa, 0x0b, 0x7a, 0xaa, 0xaa],
                [0xaa, 0x51, 0xa4, 0xaa, 0xaa, 0x7a, 0xa8, 0xaa],
                [0xaa, 0xaa, 0xaa, 0xaa, 0x0b, 0x7a, 0xaa, 0xaa],
            ],
        )];
        for (name, operations) in inputs {
            println!("{name}");
            fuzz(operations.as_flattened());
        }
    }
}
