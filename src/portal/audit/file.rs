//! The thread that puts records on the disk: many at once, one flush to the disk for all of them.
//!
//! What cannot be written waits in memory, up to a bound, and is tried again; a record is written
//! once, unless the disk failed between taking it and saying so.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::sinks::ndjson::{Existing, RotatingFile};
use crate::sinks::outbox::Notice;

/// The disk is asked to keep the first line that waits after so long, and all that came meanwhile
/// with it: one flush, which costs as much as several calls, for many of them.
pub(super) const GATHER: Duration = Duration::from_millis(50);
/// What failed is tried again so often.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// Who is told what somebody should know; called from the thread.
pub type Told = Arc<dyn Fn(&Notice) + Send + Sync>;

/// Lines that wait.
#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Since when the first of them waits.
    since: Option<Instant>,
    is_ending: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    more: Condvar,
    /// Lines that are being written are in memory too, since then.
    writing: Mutex<Option<(Instant, usize)>>,
    has_failed: AtomicBool,
    written: AtomicU64,
    lost: AtomicU64,
    flushes: AtomicU64,
}

/// Where and how.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) directory: PathBuf,
    pub(super) rotate_bytes: u64,
    pub(super) keep_bytes: Option<u64>,
    pub(super) max_waiting_bytes: usize,
    /// [`GATHER`], or less.
    pub(super) gather: Duration,
}

/// The files, at work.
#[derive(Debug)]
pub(super) struct Files {
    shared: Arc<Shared>,
    max_waiting_bytes: usize,
    thread: Option<JoinHandle<()>>,
}

#[expect(clippy::disallowed_methods, reason = "records are late by the clock of the machine")]
fn now() -> Instant {
    Instant::now()
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    /// Opens the first file and starts.
    ///
    /// # Errors
    /// When nothing can be written there, and what to do.
    pub(super) fn start(options: Options, told: Told) -> Result<Self, String> {
        let files = open(&options)?;
        let shared = Arc::new(Shared::default());
        let max_waiting_bytes = options.max_waiting_bytes;
        let thread = thread::Builder::new().name("audit".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared, &options, files, &told)
        });
        let thread = thread.map_err(|error| format!("cannot start the audit: {error}"))?;
        Ok(Self { shared, max_waiting_bytes, thread: Some(thread) })
    }

    /// Takes a line that ends with its newline; false if there is no room for it. Never waits for
    /// the disk.
    pub(super) fn put(&self, line: &[u8]) -> bool {
        let writing = lock(&self.shared.writing).map_or(0, |(_, bytes)| bytes);
        let mut waiting = lock(&self.shared.waiting);
        if writing + waiting.lines.len() + line.len() > self.max_waiting_bytes {
            self.shared.lost.fetch_add(1, Relaxed);
            return false;
        }
        waiting.lines.extend_from_slice(line);
        // With others before it the thread is awake, or will be.
        let is_first = waiting.since.is_none();
        if is_first {
            waiting.since = Some(now());
        }
        drop(waiting);
        if is_first {
            self.shared.more.notify_one();
        }
        true
    }

    /// Why the next record might not be stored.
    pub(super) fn trouble(&self, max_delay: Duration) -> Option<Trouble> {
        if self.shared.has_failed.load(Relaxed) {
            return Some(Trouble::Failed);
        }
        let writing = *lock(&self.shared.writing);
        let waiting = lock(&self.shared.waiting);
        let bytes = waiting.lines.len() + writing.map_or(0, |(_, bytes)| bytes);
        if bytes + MAX_LINE_BYTES > self.max_waiting_bytes {
            return Some(Trouble::Full);
        }
        let oldest = writing.map(|(since, _)| since).or(waiting.since);
        let is_late = oldest.is_some_and(|since| since.elapsed() > max_delay);
        is_late.then_some(Trouble::Late)
    }

    /// Lines on the disk, lines lost, and flushes to the disk.
    pub(super) fn counts(&self) -> [u64; 3] {
        let Shared { written, lost, flushes, .. } = &*self.shared;
        [written, lost, flushes].map(|count| count.load(Relaxed))
    }

    /// Writes what waits and gives the last file its name.
    pub(super) fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        lock(&self.shared.waiting).is_ending = true;
        self.shared.more.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told of it.
            let _ended = thread.join();
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.end();
    }
}

/// Room that is kept free for the next record: 32 KiB. Hardly any is longer.
pub(super) const MAX_LINE_BYTES: usize = 32 << 10;

/// Why the next record might not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The last try to write failed.
    Failed,
    /// Too many wait.
    Full,
    /// The oldest waits too long.
    Late,
}

fn open(options: &Options) -> Result<RotatingFile, String> {
    use std::os::unix::fs::DirBuilderExt as _;
    let Options { directory, rotate_bytes, keep_bytes, .. } = options;
    // Who called what is for nobody else to read.
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    let files = RotatingFile::create(directory, "calls", *rotate_bytes, Existing::Continue)
        .map_err(|error| error.to_string())?;
    Ok(match keep_bytes {
        Some(bytes) => files.keeping(*bytes),
        None => files,
    })
}

fn run(shared: &Shared, options: &Options, files: RotatingFile, told: &Told) {
    let mut files = Some(files);
    let mut batch: Vec<u8> = Vec::new();
    loop {
        let is_ending = take(shared, options.gather, &mut batch);
        if !batch.is_empty() {
            let written = write(options, &mut files, &batch);
            match written {
                Ok(()) => {
                    let lines = memchr::memchr_iter(b'\n', &batch).count() as u64;
                    shared.written.fetch_add(lines, Relaxed);
                    shared.flushes.fetch_add(1, Relaxed);
                    batch.clear();
                    *lock(&shared.writing) = None;
                    if shared.has_failed.swap(false, Relaxed) {
                        told(&Notice::Note("records of calls can be stored again".to_owned()));
                    }
                }
                Err(error) => {
                    files = None;
                    if !shared.has_failed.swap(true, Relaxed) {
                        told(&Notice::Error(format!("records of calls cannot be stored: {error}")));
                    }
                    if is_ending {
                        let lines = memchr::memchr_iter(b'\n', &batch).count() as u64;
                        shared.lost.fetch_add(lines, Relaxed);
                        return;
                    }
                    thread::sleep(RETRY_EVERY);
                    continue;
                }
            }
        }
        if is_ending {
            if let Some(files) = files
                && let Err(error) = files.finish()
            {
                told(&Notice::Warning(error.to_string()));
            }
            return;
        }
    }
}

/// Waits for lines, unless some are left from before; true at the end.
fn take(shared: &Shared, gather: Duration, batch: &mut Vec<u8>) -> bool {
    let mut waiting = lock(&shared.waiting);
    while batch.is_empty() && waiting.lines.is_empty() && !waiting.is_ending {
        waiting = shared.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
    }
    if batch.is_empty() {
        let gathers = |waiting: &mut Waiting| !waiting.is_ending;
        let gathered = shared.more.wait_timeout_while(waiting, gather, gathers);
        (waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(batch, &mut waiting.lines);
        let since = waiting.since.take();
        *lock(&shared.writing) = since.map(|since| (since, batch.len()));
    }
    waiting.is_ending
}

fn write(options: &Options, files: &mut Option<RotatingFile>, batch: &[u8]) -> Result<(), String> {
    if files.is_none() {
        *files = Some(open(options)?);
    }
    let Some(file) = files.as_mut() else { return Ok(()) };
    for line in batch.split_inclusive(|byte| *byte == b'\n') {
        file.write_line(line).map_err(|error| error.to_string())?;
    }
    file.flush().map_err(|error| error.to_string())?;
    match file.current() {
        Some((file, path, _)) => {
            file.sync_data().map_err(|error| format!("cannot write {}: {error}", path.display()))
        }
        None => Ok(()),
    }
}
