//! An output at work: lines in, segments out.
//!
//! [`Outbox::offer`] copies a line into a queue of bounded bytes and returns. One thread makes
//! records of lines and appends them to the spool; another delivers sealed segments in their
//! order, and tries again as long as it takes. Neither the disk nor the network makes `offer` wait.

mod delivery;
mod intake;
mod options;
mod queue;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;

use super::spool::{Directory, Spool};
use super::{Deliver, Encode, Notice};
pub use options::{Farewell, Full, Limits, Options, Stats, Told, Unsent};
use queue::Queue;

/// What the threads share.
struct Shared {
    options: Options,
    queue: Queue,
    spool: Mutex<Spool<Directory>>,
    shown: Mutex<Stats>,
    /// There may be segments to deliver.
    sealed: Notify,
    /// The end has begun: pauses are cut short.
    hurry: Notify,
    is_ending: AtomicBool,
    /// All lines are in sealed segments.
    is_all_sealed: AtomicBool,
    /// The end may take no longer.
    give_up: Notify,
    has_given_up: AtomicBool,
    /// Threads that run.
    running: Mutex<u8>,
    ended: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A thread that panicked has told of it; what it shared is still counters and bytes.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "an output lives by the clock of the machine")]
fn now() -> Instant {
    Instant::now()
}

/// An output that runs.
#[derive(Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
}

/// A thread that runs; counted, however it ends.
struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
        self.0.ended.notify_all();
    }
}

impl Outbox {
    /// Opens the spool and starts; what earlier runs left is delivered first.
    ///
    /// # Errors
    /// When the spool cannot be used, and what to do.
    pub fn start(
        options: Options,
        encode: impl Encode + 'static,
        deliver: impl Deliver + 'static,
    ) -> Result<Self, String> {
        let spool = open_spool(&options)?;
        let stats = Stats { name: options.name.clone(), ..Stats::default() };
        let shared = Arc::new(Shared {
            queue: Queue::new(options.limits.max_queue_bytes),
            options,
            spool: Mutex::new(spool),
            shown: Mutex::new(stats),
            sealed: Notify::new(),
            hurry: Notify::new(),
            is_ending: AtomicBool::new(false),
            is_all_sealed: AtomicBool::new(false),
            give_up: Notify::new(),
            has_given_up: AtomicBool::new(false),
            running: Mutex::new(2),
            ended: Condvar::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start an output: {error}"))?;
        shared.show();
        let encoding = Running(Arc::clone(&shared));
        let delivering = Running(Arc::clone(&shared));
        let spawned = thread::Builder::new()
            .name("outbox-in".to_owned())
            .spawn(move || intake::run(&encoding.0, encode))
            .and_then(|_| {
                let thread = thread::Builder::new().name("outbox-out".to_owned());
                thread.spawn(move || runtime.block_on(delivery::run(&delivering.0, deliver)))
            });
        spawned.map_err(|error| format!("cannot start an output: {error}"))?;
        Ok(Self { shared })
    }

    /// Takes a line of NDJSON. Never waits, unless the output was started with [`Full::Wait`].
    pub fn offer(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        self.shared.queue.put(line, self.shared.options.full);
    }

    /// What it did so far. Never waits for disk or network.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = lock(&self.shared.shown).clone();
        let queued = self.shared.queue.counts();
        stats.queued_lines = queued.lines;
        stats.queued_bytes = queued.bytes as u64;
        stats.lost_lines = queued.lost;
        stats
    }

    /// Delivers what it can in the time; the rest stays in the spool.
    #[must_use]
    pub fn finish(self, farewell: Farewell) -> Unsent {
        let shared = &self.shared;
        shared.is_ending.store(true, Relaxed);
        shared.queue.close();
        shared.hurry.notify_one();
        shared.sealed.notify_one();
        let begun = now();
        let mut progress = (begun, 0);
        let mut running = lock(&shared.running);
        while *running > 0 {
            let waited = shared.ended.wait_timeout(running, Duration::from_millis(50));
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
            let (time, done) = (now(), shared.progress());
            if done > progress.1 {
                progress = (time, done);
            }
            let is_late = time - begun > farewell.total + Duration::from_secs(1);
            if time - progress.0 > farewell.idle || time - begun > farewell.total {
                shared.has_given_up.store(true, Relaxed);
                shared.give_up.notify_one();
            }
            // A disk that does not answer must not keep the program from ending.
            if is_late && shared.has_given_up.load(Relaxed) {
                break;
            }
        }
        drop(running);
        // A thread that has ended holds the spool a moment longer; the next run may begin now.
        let mut waited = 0;
        while Arc::strong_count(shared) > 1 && waited < 1_000 {
            thread::sleep(Duration::from_millis(1));
            waited += 1;
        }
        let Options { name, directory, .. } = shared.options.clone();
        let stats = self.stats();
        let total = stats.total();
        Unsent {
            name,
            directory,
            records: stats.spool.records + stats.spool.open_records,
            lost: stats.lost_lines
                + stats.queued_lines
                + total.lost
                + total.dropped
                + total.refused,
            last_error: stats.last_error,
        }
    }
}

impl Drop for Outbox {
    /// The threads end as soon as they can; what is not delivered stays in the spool.
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Relaxed);
        self.shared.has_given_up.store(true, Relaxed);
        self.shared.queue.close();
        self.shared.give_up.notify_one();
        self.shared.hurry.notify_one();
        self.shared.sealed.notify_one();
    }
}

fn open_spool(options: &Options) -> Result<Spool<Directory>, String> {
    let files = Directory::open(&options.directory)?;
    let mut seed = [0; 32];
    let random = SystemRandom::new().fill(&mut seed);
    random.map_err(|_| "the system gives no random numbers".to_owned())?;
    let shown = options.directory.display();
    let spool = Spool::open(files, options.limits.spool, options.schema, seed);
    spool.map_err(|error| format!("cannot read the spool {shown}: {error}"))
}

impl Shared {
    fn tell(&self, notice: &Notice) {
        (self.options.told)(&notice.of(&self.options.name));
    }

    /// Grows with whatever gets on.
    fn progress(&self) -> u64 {
        let shown = lock(&self.shown);
        shown.batches + shown.total().sealed
    }

    /// Takes notices and counters over from the spool, and tells of segments.
    fn show(&self) {
        let mut spool = lock(&self.spool);
        let (notices, counters) = (spool.notices(), spool.counters());
        drop(spool);
        if counters.segments > 0 {
            self.sealed.notify_one();
        }
        lock(&self.shown).spool = counters;
        notices.iter().for_each(|notice| self.tell(notice));
    }
}

impl Notice {
    /// The same, with the name of the output it is about.
    fn of(&self, name: &str) -> Self {
        match self {
            Self::Note(text) => Self::Note(format!("{name}: {text}")),
            Self::Warning(text) => Self::Warning(format!("{name}: {text}")),
            Self::Error(text) => Self::Error(format!("{name}: {text}")),
        }
    }
}
