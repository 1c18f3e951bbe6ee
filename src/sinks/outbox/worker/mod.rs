//! An output at work: lines in, segments out.
//!
//! [`Outbox::offer`] copies a line into a queue of bounded bytes and returns. One thread makes
//! records of lines and appends them to the spool; another delivers sealed segments in their
//! order, and tries again as long as it takes. Neither the disk nor the network makes `offer` wait.

mod delivery;
mod queue;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;

use super::spool::{self, Counters, Directory, Spool, Tally};
use super::{Deliver, Encode, Notice};
use queue::Queue;

/// Bounds and times of an output. At worst it takes `max_queue_bytes` of memory, one segment three
/// times (as read, as sent, compressed), and what the spool takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of lines that wait for the spool; more are lost, and counted.
    pub max_queue_bytes: usize,
    /// Of the spool.
    pub spool: spool::Limits,
    /// Longest pause after the first failed try; it doubles with each, and its length is random.
    pub first_pause: Duration,
    /// Longest pause between tries.
    pub max_pause: Duration,
    /// Pause between tries while somebody has to do something.
    pub stopped_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_queue_bytes: 32 << 20,
            spool: spool::Limits::default(),
            first_pause: Duration::from_millis(200),
            max_pause: Duration::from_secs(60),
            stopped_pause: Duration::from_secs(60),
        }
    }
}

/// What happens to lines when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// Lines are lost, and segments dropped: capture must not wait.
    Lose,
    /// [`Outbox::offer`] waits. A spool that stays full for a minute drops its oldest segments
    /// all the same.
    Wait,
}

/// Who is told what somebody should know; called from the threads of the output.
pub type Told = Arc<dyn Fn(&Notice) + Send + Sync>;

/// An output.
#[derive(Clone)]
pub struct Options {
    /// Its name, for notices and metrics.
    pub name: String,
    /// Its spool. No other output or process may use it.
    pub directory: PathBuf,
    /// Version of the tables that its records are written for.
    pub schema: u32,
    /// When there is no room.
    pub full: Full,
    /// Bounds.
    pub limits: Limits,
    /// Who is told.
    pub told: Told,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, directory, schema, full, limits, told: _ } = self;
        let mut shown = f.debug_struct("Options");
        shown.field("name", name).field("directory", directory).field("schema", schema);
        shown.field("full", full).field("limits", limits).finish_non_exhaustive()
    }
}

/// What an output did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Its name.
    pub name: String,
    /// Lines that wait for the spool.
    pub queued_lines: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Lines that found no room.
    pub lost_lines: u64,
    /// Lines that gave no records although they should have.
    pub unreadable_lines: u64,
    /// Segments taken by the other side.
    pub batches: u64,
    /// Time that it took for them.
    pub batch_time: Duration,
    /// Tries that failed.
    pub retries: u64,
    /// The spool.
    pub spool: Counters,
    /// Why the last try failed, as long as none succeeded since.
    pub last_error: Option<String>,
    /// Nothing will be taken until somebody does something.
    pub is_stopped: bool,
}

impl Stats {
    /// All records by what became of them.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        for tally in self.spool.streams.values() {
            total.given += tally.given;
            total.sealed += tally.sealed;
            total.taken += tally.taken;
            total.refused += tally.refused;
            total.dropped += tally.dropped;
            total.lost += tally.lost;
        }
        total
    }
}

/// How long the end may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// So long without anything being taken.
    pub idle: Duration,
    /// In all.
    pub total: Duration,
}

/// What was not delivered when an output ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// The output.
    pub name: String,
    /// Where it stays for the next run.
    pub directory: PathBuf,
    /// Records that stay.
    pub records: u64,
    /// Lines and records that are lost or were refused.
    pub lost: u64,
    /// Why.
    pub last_error: Option<String>,
}

impl Unsent {
    /// Whether everything was delivered.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.records == 0 && self.lost == 0
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, directory, records, lost, last_error } = self;
        write!(f, "{name}: ")?;
        if *records > 0 {
            let shown = directory.display();
            write!(
                f,
                "{records} records were not delivered; they stay in {shown} for the next run"
            )?;
        }
        if *lost > 0 {
            let and = if *records > 0 { "; " } else { "" };
            write!(f, "{and}{lost} records were lost or refused")?;
        }
        if self.is_nothing() {
            write!(f, "everything was delivered")?;
        }
        match last_error {
            Some(error) => write!(f, " ({error})"),
            None => Ok(()),
        }
    }
}

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
            .spawn(move || encode_lines(&encoding.0, encode))
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
        let mut progress = (begun, self.stats().batches);
        let mut running = lock(&shared.running);
        while *running > 0 {
            let waited = shared.ended.wait_timeout(running, Duration::from_millis(50));
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
            let (time, batches) = (now(), lock(&shared.shown).batches);
            if batches > progress.1 {
                progress = (time, batches);
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

/// The first thread looks at the time so often.
const TICK: Duration = Duration::from_millis(100);
/// Losses are told so often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// A full spool that nothing leaves is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes records of lines and appends them to the spool, until the end.
fn encode_lines(shared: &Shared, mut encode: impl Encode) {
    let begun = now();
    let mut lines = Vec::new();
    let mut lost_told = (0, Duration::ZERO);
    let mut tended = Duration::ZERO;
    loop {
        let is_open = shared.queue.take(&mut lines, TICK);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if shared.options.full == Full::Wait {
                wait_for_room(shared, begun);
            }
            append(shared, &mut encode, line);
            // Segments grow old while many lines wait.
            let elapsed = begun.elapsed();
            if elapsed.saturating_sub(tended) >= TICK {
                tended = elapsed;
                lock(&shared.spool).tend(elapsed);
                shared.show();
            }
        }
        tended = begun.elapsed();
        let mut spool = lock(&shared.spool);
        spool.tend(tended);
        if !is_open {
            spool.seal_all();
        }
        drop(spool);
        shared.queue.done();
        shared.show();
        let lost = shared.queue.counts().lost;
        let is_due = lost_told.0 == 0 || tended.saturating_sub(lost_told.1) >= TELL_EVERY;
        if lost > lost_told.0 && (is_due || !is_open) {
            let more = lost - lost_told.0;
            lost_told = (lost, tended);
            shared.tell(&Notice::Error(format!("{more} events found no room and are lost")));
        }
        if !is_open {
            break;
        }
    }
    shared.is_all_sealed.store(true, Relaxed);
    shared.sealed.notify_one();
}

fn append(shared: &Shared, encode: &mut impl Encode, line: &[u8]) {
    let mut spool = lock(&shared.spool);
    let mut flaw = Ok(());
    let encoded = encode.encode(line, &mut |stream, record| {
        flaw = std::mem::replace(&mut flaw, Ok(())).and(spool.append(stream, record));
    });
    drop(spool);
    if let Err(error) = encoded.and(flaw) {
        let mut shown = lock(&shared.shown);
        shown.unreadable_lines += 1;
        let is_first = shown.unreadable_lines == 1;
        drop(shown);
        if is_first {
            shared.tell(&Notice::Warning(format!("an event was left out: {error}")));
        }
    }
}

/// Waits until the other side takes something out of a full spool.
fn wait_for_room(shared: &Shared, begun: Instant) {
    let mut waited = Duration::ZERO;
    let mut batches = lock(&shared.shown).batches;
    while lock(&shared.spool).is_full() && waited < PATIENCE {
        if shared.has_given_up.load(Relaxed) {
            return;
        }
        lock(&shared.spool).tend(begun.elapsed());
        shared.show();
        thread::sleep(TICK / 5);
        waited += TICK / 5;
        let taken = lock(&shared.shown).batches;
        if taken > batches {
            (waited, batches) = (Duration::ZERO, taken);
        }
    }
}
