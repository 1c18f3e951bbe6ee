//! What workers saw, back in the order of the packets.

use std::time::Duration;

use super::super::shard::Caused;
use super::super::stats::ShardCounters;

/// Observations held back at most; then all are let go, in the order they have.
const MAX_HELD: usize = 65_536;
/// So long they wait for a worker that is behind.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// What a worker made of a parcel.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) worker: usize,
    /// The reader of the parcel; `None` for the last one.
    pub(super) reader: Option<usize>,
    /// Packets of that reader with smaller indices have all been worked on.
    pub(super) upto: u64,
    pub(super) caused: Vec<Caused>,
    /// Counters of the worker's shards, now and then.
    pub(super) counters: Option<Box<ShardCounters>>,
}

/// Holds observations until no earlier ones can come.
#[derive(Debug)]
pub(super) struct Order {
    workers: usize,
    /// For each reader and worker how far they are.
    marks: Vec<u64>,
    held: Vec<Caused>,
    /// The smallest mark, and since when.
    mark: (u64, Duration),
    /// Observations let go too early.
    out_of_order: u64,
}

impl Order {
    pub(super) fn new(readers: usize, workers: usize) -> Self {
        Self {
            workers,
            marks: vec![0; readers * workers],
            held: Vec::new(),
            mark: (0, Duration::ZERO),
            out_of_order: 0,
        }
    }

    /// Takes what a worker saw.
    pub(super) fn push(&mut self, done: &mut Done) {
        self.held.append(&mut done.caused);
        for (number, mark) in self.marks.iter_mut().enumerate() {
            let (reader, worker) = (number / self.workers, number % self.workers);
            if worker == done.worker && done.reader.is_none_or(|of| of == reader) {
                *mark = done.upto.max(*mark);
            }
        }
    }

    /// Gives what can be given now, in packet order.
    pub(super) fn release(&mut self, now: Duration, out: &mut Vec<Caused>) {
        let mark = self.marks.iter().min().copied().unwrap_or(u64::MAX);
        let (last, since) = self.mark;
        if mark > last {
            self.mark = (mark, now);
        }
        if self.held.is_empty() {
            return;
        }
        let waited = if mark > last { Duration::ZERO } else { now.saturating_sub(since) };
        let all = self.held.len() > MAX_HELD || waited > MAX_WAIT;
        if mark == last && !all {
            return;
        }
        // Stable: what one packet caused stays in its order.
        self.held.sort_by_key(|caused| caused.by);
        let ready = self.held.partition_point(|caused| caused.by.0 < mark);
        if all {
            self.out_of_order += (self.held.len() - ready) as u64;
            out.append(&mut self.held);
        } else {
            out.extend(self.held.drain(..ready));
        }
    }

    /// Gives everything: the run is over.
    pub(super) fn finish(&mut self, out: &mut Vec<Caused>) {
        self.held.sort_by_key(|caused| caused.by);
        out.append(&mut self.held);
    }

    pub(super) const fn out_of_order(&self) -> u64 {
        self.out_of_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::{Anomaly, Layer};
    use crate::flow::At;
    use crate::net::Endpoint;
    use crate::observation::{Event, Observation};
    use crate::time::Timestamp;

    fn done(reader: usize, worker: usize, upto: u64, packets: &[u64]) -> Done {
        let caused = packets.iter().map(|packet| Caused {
            by: (*packet, u8::MAX),
            observation: Observation {
                flow: 0,
                at: At { packet: *packet, time: Timestamp::EPOCH },
                event: Event::Anomaly {
                    client: Endpoint::UNKNOWN,
                    server: Endpoint::UNKNOWN,
                    anomaly: Anomaly::new(Layer::Flow, "test"),
                },
            },
        });
        let caused = caused.collect();
        Done { worker, reader: Some(reader), upto, caused, counters: None }
    }

    fn release(order: &mut Order, millis: u64) -> Vec<u64> {
        let mut out = Vec::new();
        order.release(Duration::from_millis(millis), &mut out);
        out.iter().map(|caused| caused.by.0).collect()
    }

    #[test]
    fn nothing_comes_before_all_readers_and_workers_are_past_it() {
        let mut order = Order::new(2, 2);
        order.push(&mut done(0, 0, 10, &[3, 8]));
        order.push(&mut done(0, 1, 10, &[1]));
        order.push(&mut done(1, 0, 6, &[5]));
        assert!(release(&mut order, 0).is_empty());
        order.push(&mut done(1, 1, 20, &[2]));
        assert_eq!(release(&mut order, 1), [1, 2, 3, 5]);
        order.push(&mut done(1, 0, 20, &[]));
        assert_eq!(release(&mut order, 2), [8]);
        assert_eq!(order.out_of_order(), 0);
    }

    #[test]
    fn a_worker_that_is_far_behind_holds_the_others_up_for_a_while_only() {
        let mut order = Order::new(1, 2);
        order.push(&mut done(0, 0, 10, &[4, 2]));
        assert!(release(&mut order, 2_000).is_empty());
        assert_eq!(release(&mut order, 2_001), [2, 4]);
        assert_eq!(order.out_of_order(), 2);
        order.push(&mut done(0, 1, 5, &[3]));
        assert_eq!(release(&mut order, 2_002), [3]);
        assert_eq!(order.out_of_order(), 2);
    }

    #[test]
    fn too_many_are_not_held() {
        let mut order = Order::new(1, 2);
        let many: Vec<u64> = (0..=MAX_HELD as u64).rev().collect();
        order.push(&mut done(0, 0, 10, &many));
        assert!(release(&mut order, 0).is_sorted());
        assert!(order.held.is_empty());
        assert_eq!(order.out_of_order(), many.len() as u64);
    }
}
