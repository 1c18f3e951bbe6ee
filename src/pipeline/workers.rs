//! The shards, on this thread or spread over others, with the same results.
//!
//! With one thread, segments go straight from the capture buffer to their shard. With more, they
//! are copied into one batch per thread and round; a round's observations are merged by the packet
//! that caused them, so what comes out is in packet order either way.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::shard::{Caused, Limits, SHARDS, Shard};
use crate::decode::{Segment, SegmentHeader};
use crate::flow::{self, At};
use crate::secret::SecretHasher;

/// Payload bytes that one round copies at most, over all threads (4 MiB).
const ROUND_BYTES: usize = 4 << 20;
/// Segments in one round at most.
const ROUND_SEGMENTS: usize = 8_192;
/// So often, in segments, all shards are told the time: a number that does not depend on rounds.
const TICK_SEGMENTS: u64 = 4_096;
/// Rounds that may be under way: memory is bounded by rounds times their bytes.
const ROUNDS_AHEAD: usize = 3;

/// One step of a batch.
#[derive(Debug)]
enum Work {
    /// A segment for one of the thread's shards; its payload lies in the batch's bytes.
    Segment { shard: usize, header: SegmentHeader, start: usize, end: usize },
    /// Time passes for all of the thread's shards.
    Tick(At),
}

/// Segments of one round for one thread.
#[derive(Debug, Default)]
struct Batch {
    work: Vec<Work>,
    bytes: Vec<u8>,
    /// Close all flows after the segments.
    finish: bool,
}

impl Batch {
    fn clear(&mut self) {
        self.work.clear();
        self.bytes.clear();
        self.finish = false;
    }
}

/// What a thread hands back: the observations of a round, and the batch to use again.
#[derive(Debug)]
struct Done {
    caused: Vec<Caused>,
    batch: Batch,
}

#[derive(Debug)]
struct Worker {
    input: SyncSender<Batch>,
    output: Receiver<Done>,
    thread: JoinHandle<Vec<Shard>>,
    filling: Batch,
    spare: Vec<Batch>,
}

/// A worker thread has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerPanicked;

impl std::fmt::Display for WorkerPanicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("internal error: a worker thread panicked, so part of the traffic was not seen")
    }
}

impl std::error::Error for WorkerPanicked {}

/// All shards.
#[derive(Debug)]
pub(super) struct Workers {
    seed: u64,
    inline: Vec<Shard>,
    threads: Vec<Worker>,
    /// Segments in all.
    total: u64,
    segments: usize,
    bytes: usize,
    under_way: usize,
    caused: Vec<Caused>,
}

impl Workers {
    /// Shards on `threads` threads; 1 means on the caller's.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn new(
        limits: &Limits,
        hasher: &SecretHasher,
        threads: usize,
    ) -> std::io::Result<Self> {
        let shards = (0_u8..).take(SHARDS);
        let shards = shards.map(|number| Shard::new(number, limits, hasher.clone()));
        let count = threads.clamp(1, SHARDS);
        let (mut inline, mut workers) = (Vec::new(), Vec::new());
        if count == 1 {
            inline.extend(shards);
        } else {
            let mut own: Vec<_> = (0..count).map(|_| Vec::new()).collect();
            for (number, shard) in shards.enumerate() {
                if let Some(own) = own.get_mut(number % count) {
                    own.push(shard);
                }
            }
            for (number, own) in own.into_iter().enumerate() {
                workers.push(Worker::spawn(own, number)?);
            }
        }
        Ok(Self {
            seed: limits.flow.hash_seed,
            inline,
            threads: workers,
            total: 0,
            segments: 0,
            bytes: 0,
            under_way: 0,
            caused: Vec::new(),
        })
    }

    /// Takes in one segment; observations go to `out` in packet order, perhaps some rounds later.
    pub(super) fn push(&mut self, segment: &Segment<'_>, out: &mut Vec<Caused>) {
        self.total += 1;
        if self.total.is_multiple_of(TICK_SEGMENTS) {
            self.tick(At { packet: segment.header.packet, time: segment.header.time }, out);
        }
        let shard = flow::shard_of(&segment.header, self.seed, SHARDS);
        if self.threads.is_empty() {
            if let Some(shard) = self.inline.get_mut(shard) {
                shard.push(segment, out);
            }
            return;
        }
        let count = self.threads.len();
        if let Some(worker) = self.threads.get_mut(shard % count) {
            let batch = &mut worker.filling;
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(segment.payload);
            let (header, end) = (segment.header, batch.bytes.len());
            batch.work.push(Work::Segment { shard: shard / count, header, start, end });
        }
        self.segments += 1;
        self.bytes += segment.payload.len();
        if self.segments >= ROUND_SEGMENTS || self.bytes >= ROUND_BYTES {
            self.dispatch(false, out);
        }
    }

    fn tick(&mut self, at: At, out: &mut Vec<Caused>) {
        for shard in &mut self.inline {
            shard.advance(at, out);
        }
        for worker in &mut self.threads {
            worker.filling.work.push(Work::Tick(at));
        }
    }

    /// Closes all flows and hands out everything that is under way.
    pub(super) fn finish(&mut self, out: &mut Vec<Caused>) {
        if self.threads.is_empty() {
            for shard in &mut self.inline {
                shard.finish(out);
            }
            return;
        }
        self.dispatch(true, out);
        while self.under_way > 0 {
            self.collect(out);
        }
    }

    /// Ends the threads and gives back the shards, in order, for their counters.
    ///
    /// # Errors
    /// When a thread has panicked: a bug, and part of the traffic was not looked at.
    pub(super) fn into_shards(self) -> Result<Vec<Shard>, WorkerPanicked> {
        if self.threads.is_empty() {
            return Ok(self.inline);
        }
        let count = self.threads.len();
        let mut lists = Vec::with_capacity(count);
        for worker in self.threads {
            drop(worker.input);
            lists.push(worker.thread.join().map_err(|_| WorkerPanicked)?.into_iter());
        }
        let order = (0..SHARDS).map(|shard| shard % count);
        Ok(order.filter_map(|worker| lists.get_mut(worker).and_then(Iterator::next)).collect())
    }

    fn dispatch(&mut self, finish: bool, out: &mut Vec<Caused>) {
        while self.under_way >= ROUNDS_AHEAD {
            self.collect(out);
        }
        for worker in &mut self.threads {
            let next = worker.spare.pop().unwrap_or_default();
            let mut batch = std::mem::replace(&mut worker.filling, next);
            batch.finish = finish;
            // A worker that is gone has panicked; its thread's result tells at the join.
            let _gone = worker.input.send(batch);
        }
        self.under_way += 1;
        (self.segments, self.bytes) = (0, 0);
    }

    /// Waits for the oldest round and merges what its threads saw.
    fn collect(&mut self, out: &mut Vec<Caused>) {
        for worker in &mut self.threads {
            if let Ok(mut done) = worker.output.recv() {
                self.caused.append(&mut done.caused);
                done.batch.clear();
                worker.spare.push(done.batch);
            }
        }
        self.under_way -= 1;
        // Stable: what one packet caused stays in its order.
        self.caused.sort_by_key(|caused| caused.by);
        out.append(&mut self.caused);
    }
}

impl Worker {
    fn spawn(mut shards: Vec<Shard>, number: usize) -> std::io::Result<Self> {
        let (input, batches) = sync_channel::<Batch>(ROUNDS_AHEAD);
        let (done, output) = sync_channel::<Done>(ROUNDS_AHEAD);
        let work = move || {
            while let Ok(batch) = batches.recv() {
                let caused = process(&mut shards, &batch);
                if done.send(Done { caused, batch }).is_err() {
                    break;
                }
            }
            shards
        };
        let thread = std::thread::Builder::new().name(format!("shards/{number}")).spawn(work)?;
        Ok(Self { input, output, thread, filling: Batch::default(), spare: Vec::new() })
    }
}

fn process(shards: &mut [Shard], batch: &Batch) -> Vec<Caused> {
    let mut caused = Vec::new();
    for work in &batch.work {
        match work {
            Work::Segment { shard, header, start, end } => {
                let payload = batch.bytes.get(*start..*end).unwrap_or_default();
                if let Some(shard) = shards.get_mut(*shard) {
                    shard.push(&Segment { header: *header, payload }, &mut caused);
                }
            }
            Work::Tick(at) => {
                for shard in shards.iter_mut() {
                    shard.advance(*at, &mut caused);
                }
            }
        }
    }
    if batch.finish {
        for shard in shards {
            shard.finish(&mut caused);
        }
    }
    caused
}
