//! The shards, on this thread or spread over others, with the same results.
//!
//! With one thread, segments go straight from the capture buffer to their shard. With more, they
//! are copied into one batch per thread and round; a round's observations are merged by the packet
//! that caused them, so what comes out is in packet order either way.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::shard::{Caused, Limits, SHARDS, Shard};
use crate::app::Keyring;
use crate::decode::{Datagram, DatagramHeader, Segment, SegmentHeader};
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
pub(super) enum Work {
    /// A segment for one of the thread's shards; its payload lies in the batch's bytes.
    Segment { shard: usize, header: SegmentHeader, start: usize, end: usize },
    /// A UDP datagram, likewise.
    Datagram { shard: usize, header: DatagramHeader, start: usize, end: usize },
    /// Time passes for all of the thread's shards.
    Tick(At),
}

/// Segments of one round for one thread.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) work: Vec<Work>,
    pub(super) bytes: Vec<u8>,
    /// Close all flows after the segments.
    pub(super) finish: bool,
}

impl Batch {
    pub(super) fn clear(&mut self) {
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
    /// Segments and datagrams in all.
    total: u64,
    segments: usize,
    bytes: usize,
    /// [`ROUND_SEGMENTS`]; less in tests.
    max_segments: usize,
    under_way: usize,
    caused: Vec<Caused>,
}

/// What a thread does with a batch.
pub(super) type Process = fn(&mut [Shard], &Batch) -> Vec<Caused>;

impl Workers {
    /// Shards on `threads` threads; 1 means on the caller's.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn new(
        limits: &Limits,
        hasher: &SecretHasher,
        keyring: &Arc<Keyring>,
        threads: usize,
    ) -> std::io::Result<Self> {
        Self::with_process(limits, hasher, keyring, threads, process)
    }

    fn with_process(
        limits: &Limits,
        hasher: &SecretHasher,
        keyring: &Arc<Keyring>,
        threads: usize,
        process: Process,
    ) -> std::io::Result<Self> {
        let mut spread = spread(limits, hasher, keyring, threads);
        let (mut inline, mut workers) = (Vec::new(), Vec::new());
        if spread.len() == 1 {
            inline.extend(spread.pop().into_iter().flatten());
        } else {
            for (number, own) in spread.into_iter().enumerate() {
                workers.push(Worker::spawn(own, number, process)?);
            }
        }
        Ok(Self {
            seed: limits.flow.hash_seed,
            inline,
            threads: workers,
            total: 0,
            segments: 0,
            bytes: 0,
            max_segments: ROUND_SEGMENTS,
            under_way: 0,
            caused: Vec::new(),
        })
    }

    /// Takes in one segment; observations go to `out` in packet order, perhaps some rounds later.
    pub(super) fn push(&mut self, segment: &Segment<'_>, out: &mut Vec<Caused>) {
        let SegmentHeader { packet, time, src, dst, scope, .. } = segment.header;
        self.count(At { packet, time }, out);
        let shard = flow::shard_of(src, dst, scope, self.seed, SHARDS);
        if self.threads.is_empty() {
            if let Some(shard) = self.inline.get_mut(shard) {
                shard.push(segment, out);
            }
            return;
        }
        let header = segment.header;
        self.hand_out(shard, segment.payload, out, |shard, start, end| Work::Segment {
            shard,
            header,
            start,
            end,
        });
    }

    /// Takes in one UDP datagram, likewise.
    pub(super) fn push_datagram(&mut self, datagram: &Datagram<'_>, out: &mut Vec<Caused>) {
        let DatagramHeader { packet, time, src, dst, scope, .. } = datagram.header;
        self.count(At { packet, time }, out);
        let shard = flow::shard_of(src, dst, scope, self.seed, SHARDS);
        if self.threads.is_empty() {
            if let Some(shard) = self.inline.get_mut(shard) {
                shard.push_datagram(datagram, out);
            }
            return;
        }
        let header = datagram.header;
        self.hand_out(shard, datagram.payload, out, |shard, start, end| Work::Datagram {
            shard,
            header,
            start,
            end,
        });
    }

    fn count(&mut self, at: At, out: &mut Vec<Caused>) {
        self.total += 1;
        if self.total.is_multiple_of(TICK_SEGMENTS) {
            self.tick(at, out);
        }
    }

    fn hand_out(
        &mut self,
        shard: usize,
        payload: &[u8],
        out: &mut Vec<Caused>,
        work: impl FnOnce(usize, usize, usize) -> Work,
    ) {
        let count = self.threads.len();
        if let Some(worker) = self.threads.get_mut(shard % count) {
            let batch = &mut worker.filling;
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(payload);
            batch.work.push(work(shard / count, start, batch.bytes.len()));
        }
        self.segments += 1;
        self.bytes += payload.len();
        if self.segments >= self.max_segments || self.bytes >= ROUND_BYTES {
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

    /// Waits until everything that was pushed is taken in: what all shards share may then change,
    /// with the same outcome for any number of threads.
    pub(super) fn settle(&mut self, out: &mut Vec<Caused>) {
        if self.threads.is_empty() {
            return;
        }
        self.dispatch(false, out);
        while self.under_way > 0 {
            self.collect(out);
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
    fn spawn(mut shards: Vec<Shard>, number: usize, process: Process) -> std::io::Result<Self> {
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

/// All shards, dealt out to so many threads: shard `n` is number `n / threads` of thread
/// `n % threads`.
pub(super) fn spread(
    limits: &Limits,
    hasher: &SecretHasher,
    keyring: &Arc<Keyring>,
    threads: usize,
) -> Vec<Vec<Shard>> {
    let count = threads.clamp(1, SHARDS);
    let mut own: Vec<_> = (0..count).map(|_| Vec::new()).collect();
    for (number, at) in (0_u8..).zip(0..SHARDS) {
        if let Some(own) = own.get_mut(at % count) {
            own.push(Shard::new(number, limits, hasher.clone(), Arc::clone(keyring)));
        }
    }
    own
}

pub(super) fn process(shards: &mut [Shard], batch: &Batch) -> Vec<Caused> {
    let mut caused = Vec::new();
    for work in &batch.work {
        match work {
            Work::Segment { shard, header, start, end } => {
                let payload = batch.bytes.get(*start..*end).unwrap_or_default();
                if let Some(shard) = shards.get_mut(*shard) {
                    shard.push(&Segment { header: *header, payload }, &mut caused);
                }
            }
            Work::Datagram { shard, header, start, end } => {
                let payload = batch.bytes.get(*start..*end).unwrap_or_default();
                if let Some(shard) = shards.get_mut(*shard) {
                    shard.push_datagram(&Datagram { header: *header, payload }, &mut caused);
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

#[cfg(test)]
mod tests {
    use super::super::samples::{Capture, decoded};
    use super::*;

    fn workers(threads: usize) -> Workers {
        let (limits, hasher) = (Limits::default(), SecretHasher::default());
        Workers::new(&limits, &hasher, &Arc::default(), threads).unwrap()
    }

    /// Everything that comes out, in order, and the segments that all shards counted.
    fn run(capture: &Capture, threads: usize, max_segments: usize) -> (Vec<String>, u64) {
        let mut workers = workers(threads);
        workers.max_segments = max_segments;
        let mut out = Vec::new();
        decoded(capture, |segment| workers.push(segment, &mut out));
        workers.finish(&mut out);
        let shards = workers.into_shards().unwrap();
        assert_eq!(shards.len(), SHARDS);
        let segments = shards.iter().map(|shard| shard.flow().segments).sum();
        (out.iter().map(|caused| format!("{caused:?}")).collect(), segments)
    }

    #[test]
    fn any_number_of_threads_and_rounds_gives_the_same_in_the_same_order() {
        let capture = Capture::of_calls(120);
        let (alone, segments) = run(&capture, 1, ROUND_SEGMENTS);
        assert_eq!(segments, capture.packets() as u64);
        // Two messages, the response's head and its end, the flow's end.
        assert_eq!(alone.len(), 120 * 5);
        for threads in 2..=SHARDS + 1 {
            for max_segments in [1, 97, ROUND_SEGMENTS] {
                let together = run(&capture, threads, max_segments);
                assert_eq!(together, (alone.clone(), segments), "{threads} {max_segments}");
            }
        }
    }

    #[test]
    fn what_came_out_is_in_order_of_the_packets_that_caused_it() {
        let capture = Capture::of_calls(40);
        let mut workers = workers(3);
        workers.max_segments = 16;
        let mut out = Vec::new();
        decoded(&capture, |segment| workers.push(segment, &mut out));
        workers.finish(&mut out);
        assert!(out.is_sorted_by_key(|caused| caused.by));
        assert!(out.iter().all(|caused| caused.observation.at.packet <= caused.by.0));
    }

    #[test]
    fn settling_now_and_then_changes_nothing() {
        let capture = Capture::of_calls(20);
        let (expected, _) = run(&capture, 1, ROUND_SEGMENTS);
        for threads in [1, 3] {
            let (mut workers, mut out) = (workers(threads), Vec::new());
            let mut pushed = 0;
            decoded(&capture, |segment| {
                workers.push(segment, &mut out);
                pushed += 1;
                if pushed % 7 == 0 {
                    workers.settle(&mut out);
                    assert_eq!(workers.under_way, 0);
                }
            });
            workers.finish(&mut out);
            let found: Vec<_> = out.iter().map(|caused| format!("{caused:?}")).collect();
            assert_eq!(found, expected, "{threads}");
        }
    }

    #[test]
    fn flows_go_on_after_a_finish_in_the_middle_as_new_ones() {
        let capture = Capture::of_calls(8);
        for threads in [1, 4] {
            let mut workers = workers(threads);
            let mut out = Vec::new();
            for _ in 0..2 {
                decoded(&capture, |segment| workers.push(segment, &mut out));
                workers.finish(&mut out);
            }
            assert_eq!(out.len(), 2 * 8 * 5, "{threads}");
            let shards = workers.into_shards().unwrap();
            assert_eq!(shards.iter().map(|shard| shard.flow().opened).sum::<u64>(), 16);
        }
    }

    #[test]
    fn a_worker_that_panics_is_reported_and_holds_nobody_up() {
        fn panic_at_work(_: &mut [Shard], batch: &Batch) -> Vec<Caused> {
            assert!(batch.work.is_empty(), "a bug, for the test");
            Vec::new()
        }
        let (limits, hasher) = (Limits::default(), SecretHasher::default());
        let mut workers =
            Workers::with_process(&limits, &hasher, &Arc::default(), 2, panic_at_work).unwrap();
        workers.max_segments = 4;
        let mut out = Vec::new();
        decoded(&Capture::of_calls(20), |segment| workers.push(segment, &mut out));
        workers.finish(&mut out);
        assert!(out.is_empty());
        assert_eq!(workers.into_shards().unwrap_err(), WorkerPanicked);
    }
}
