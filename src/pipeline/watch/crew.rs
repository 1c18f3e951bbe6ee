//! The threads: one for each interface, some for the shards. The engine runs on the caller's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::shard::Shard;
use super::super::stats::ShardCounters;
use super::super::workers::{Process, process, spread};
use super::super::{Config, Error, WorkerPanicked};
use super::clock::Clock;
use super::inlet::{Arrival, Inlet};
use super::lanes::{Ends, Lane, Lanes, Limits, Parcel, Pool, Protection, WorkerGone};
use super::order::Done;
use super::reader::{Board, Parts, Reader, Turn};
use super::{Feed, Settings};
use crate::capture::live::LiveSource;
use crate::decode::Decoder;

/// A reader without packets sleeps so long at first, and twice as long each time up to the
/// second number.
const NAP: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));
/// After the order to stop, a reader goes on until the kernel has nothing left, but not longer.
const LAST_PACKETS: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(1));

/// All threads.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) limits: Limits,
    pub(super) lanes: Vec<Arc<Lane>>,
    pub(super) boards: Vec<Arc<Mutex<Board>>>,
    pub(super) protection: Arc<Protection>,
    pub(super) outputs: Receiver<Arrival>,
    pub(super) inlet: Arc<Inlet>,
    pub(super) clock: Clock,
    stop: Arc<AtomicBool>,
    readers: Vec<JoinHandle<Result<(), WorkerGone>>>,
    workers: Vec<JoinHandle<()>>,
    /// For the last parcel of each worker.
    inputs: Vec<Option<SyncSender<Parcel>>>,
}

impl Crew {
    /// Starts all threads.
    ///
    /// # Errors
    /// When the system gives no more of them.
    pub(super) fn start<S: LiveSource + 'static>(
        config: &Config,
        settings: &Settings,
        feeds: Vec<Feed<S>>,
        inlet: Arc<Inlet>,
    ) -> Result<Self, Error> {
        Self::with(config, settings, feeds, inlet, Limits::default(), process)
    }

    pub(super) fn with<S: LiveSource + 'static>(
        config: &Config,
        settings: &Settings,
        feeds: Vec<Feed<S>>,
        inlet: Arc<Inlet>,
        limits: Limits,
        process: Process,
    ) -> Result<Self, Error> {
        let shards = spread(&config.shards, &config.hasher, &config.keyring, config.threads);
        let count = shards.len();
        let on_their_way = count * (limits.queue_batches + feeds.len() + 1);
        let pool = Arc::new(Pool::new(on_their_way));
        let protection = Arc::new(Protection::default());
        // An inlet that was used before takes nothing in; the run goes on without.
        let (output, outputs) = inlet.ends().unwrap_or_else(|| sync_channel(count * 4));
        let mut crew = Self {
            limits,
            lanes: Vec::new(),
            boards: Vec::new(),
            protection: Arc::clone(&protection),
            outputs,
            inlet,
            clock: Clock::start(),
            stop: Arc::default(),
            readers: Vec::new(),
            workers: Vec::new(),
            inputs: Vec::new(),
        };
        let mut inputs = Vec::new();
        for (number, shards) in shards.into_iter().enumerate() {
            let (input, parcels) = sync_channel(limits.queue_batches);
            let lane = Arc::new(Lane::default());
            let worker = Worker {
                number,
                shards,
                parcels,
                output: output.clone(),
                lane: Arc::clone(&lane),
                pool: Arc::clone(&pool),
                process,
            };
            let name = format!("shards/{number}");
            crew.workers.push(spawn(name, move || worker.run())?);
            crew.lanes.push(Arc::clone(&lane));
            crew.inputs.push(Some(input.clone()));
            inputs.push((lane, input));
        }
        let ends = Ends { limits, seed: config.shards.flow.hash_seed, inputs, pool, protection };
        let packets = Arc::new(AtomicU64::new(0));
        for (interface, feed) in feeds.into_iter().enumerate() {
            let board = Arc::new(Mutex::new(Board::default()));
            crew.boards.push(Arc::clone(&board));
            let name = format!("read/{}", feed.source.name());
            let reader = Reader::new(Parts {
                source: feed.source,
                tap: feed.tap,
                interface,
                decoder: Decoder::new(config.decode).with_vlan_scope(config.vlan_scope),
                lanes: Lanes::new(ends.clone(), interface),
                count: Arc::clone(&packets),
                separate: settings.separate_interfaces,
                board,
            });
            let (stop, clock) = (Arc::clone(&crew.stop), crew.clock);
            crew.readers.push(spawn(name, move || read(reader, &stop, clock))?);
        }
        Ok(crew)
    }

    /// Tells the readers to stop.
    pub(super) fn stop(&self) {
        self.stop.store(true, Relaxed);
        self.inlet.close();
    }

    /// Whether all readers have stopped and handed on everything.
    ///
    /// # Errors
    /// When one found that a worker, or it itself, has panicked.
    pub(super) fn readers_are_done(&mut self) -> Result<bool, Error> {
        let (done, running) =
            std::mem::take(&mut self.readers).into_iter().partition(JoinHandle::is_finished);
        self.readers = running;
        let done: Vec<JoinHandle<_>> = done;
        for reader in done {
            if !matches!(reader.join(), Ok(Ok(()))) {
                return Err(Error::Worker(WorkerPanicked));
            }
        }
        Ok(self.readers.is_empty())
    }

    /// Asks the workers for the rest, now that no reader is left. To be called until it answers
    /// true; each worker then ends.
    pub(super) fn ask_for_the_rest(&mut self) -> bool {
        for input in &mut self.inputs {
            let Some(sender) = input else { continue };
            let mut parcel = Parcel { upto: u64::MAX, report: true, ..Parcel::default() };
            parcel.batch.finish = true;
            match sender.try_send(parcel) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => *input = None,
                Err(TrySendError::Full(_)) => return false,
            }
        }
        true
    }

    /// Whether a worker ended that was not asked to.
    pub(super) fn has_lost_a_worker(&self) -> bool {
        let asked = self.inputs.iter().map(Option::is_none);
        self.workers.iter().zip(asked).any(|(worker, asked)| worker.is_finished() && !asked)
    }

    /// Waits for the workers.
    ///
    /// # Errors
    /// When one has panicked.
    pub(super) fn join(mut self) -> Result<(), Error> {
        for worker in std::mem::take(&mut self.workers) {
            worker.join().map_err(|_| Error::Worker(WorkerPanicked))?;
        }
        Ok(())
    }
}

/// Threads that nobody waits for any more end by themselves.
impl Drop for Crew {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    std::thread::Builder::new().name(name).spawn(work).map_err(Error::Thread)
}

fn read<S: LiveSource>(
    mut reader: Reader<S>,
    stop: &AtomicBool,
    clock: Clock,
) -> Result<(), WorkerGone> {
    let mut nap = NAP.0;
    let mut stopped_at = None;
    loop {
        let now = clock.now();
        let turn = reader.turn(now)?;
        if stop.load(Relaxed) {
            let waited = now.elapsed.saturating_sub(*stopped_at.get_or_insert(now.elapsed));
            if waited >= LAST_PACKETS.1 || (turn == Turn::Idle && waited >= LAST_PACKETS.0) {
                break;
            }
        }
        match turn {
            Turn::Busy => nap = NAP.0,
            Turn::Idle => {
                std::thread::sleep(nap);
                nap = (nap * 2).min(NAP.1);
            }
        }
    }
    reader.finish(clock.now());
    while !reader.dispatch(clock.now(), false)? {
        std::thread::sleep(NAP.0);
    }
    Ok(())
}

/// What a worker thread has.
struct Worker {
    number: usize,
    shards: Vec<Shard>,
    parcels: Receiver<Parcel>,
    output: SyncSender<Arrival>,
    lane: Arc<Lane>,
    pool: Arc<Pool>,
    process: Process,
}

impl Worker {
    fn run(mut self) {
        while let Ok(Parcel { batch, reader, upto, report }) = self.parcels.recv() {
            let last = batch.finish;
            if !last {
                self.lane.taken();
            }
            let caused = (self.process)(&mut self.shards, &batch);
            self.pool.give(batch);
            let counters = report.then(|| Box::new(ShardCounters::of(&self.shards)));
            let reader = (!last).then_some(reader);
            let done = Done { worker: self.number, reader, upto, caused, counters };
            if self.output.send(Arrival::Done(done)).is_err() || last {
                break;
            }
        }
    }
}
