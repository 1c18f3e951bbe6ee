//! The ring: taps in the capture threads, and one thread that writes.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::pcap;
use super::segments::Segments;
use super::{Counters, Counts, Limits, MIN_RING_BYTES, add, set};
use crate::capture::{LinkType, Packet};
use crate::time::Timestamp;

/// A batch goes to the writer at this size.
const BATCH_BYTES: usize = 256 << 10;

/// Packets reach the disk after this time at most, also when there are few.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// The ring consists of so many files.
const FILES: u64 = 16;

/// How long [`Ring::sync`] waits for the writer.
const SYNC_TIMEOUT: Duration = Duration::from_secs(10);

/// The disk is full: so many old files are given up to keep one batch.
const MAX_GIVEN_UP: usize = 2;

/// Held while a ring uses a folder.
const LOCK_FILE: &str = "ring.lock";

/// Packets of one link type, as records of a pcap file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    link: Option<LinkType>,
    bytes: Vec<u8>,
    packets: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Batch {
    fn push(&mut self, packet: &Packet<'_>) {
        if self.packets == 0 {
            (self.link, self.first, self.last) = (Some(packet.link), packet.time, packet.time);
        }
        self.first = self.first.min(packet.time);
        self.last = self.last.max(packet.time);
        self.packets += 1;
        pcap::record(&mut self.bytes, packet);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.packets = 0;
    }
}

#[derive(Debug)]
enum Message {
    Batch(Batch),
    /// Write everything that was given to taps, then answer.
    Sync(SyncSender<()>),
    Stop,
}

/// What taps, ring, writer and cutter share.
#[derive(Debug)]
struct Shared {
    sender: SyncSender<Message>,
    taps: Mutex<Vec<Weak<Mutex<Batch>>>>,
    /// Empty buffers, to be used again.
    spare: Mutex<Vec<Vec<u8>>>,
    max_spare: usize,
    segments: Segments,
    counts: Arc<Counts>,
    alarm: Mutex<Option<String>>,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn spare(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_else(|| Vec::with_capacity(BATCH_BYTES * 5 / 4))
    }

    fn reuse(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut spare = lock(&self.spare);
        if spare.len() < self.max_spare {
            spare.push(bytes);
        }
    }
}

/// Where a capture thread puts its packets. One for each thread.
#[derive(Debug)]
pub struct Tap {
    /// Shared with the writer, which fetches what has waited for too long.
    batch: Arc<Mutex<Batch>>,
    shared: Arc<Shared>,
}

impl Tap {
    /// Keeps a packet. Copies it and returns: it waits for neither disk nor writer. Where the
    /// writer does not keep up, 256 KiB of packets are dropped at a time, and counted.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let mut batch = lock(&self.batch);
        if batch.packets > 0 && batch.link != Some(packet.link) {
            self.hand_over(&mut batch);
        }
        batch.push(packet);
        if batch.bytes.len() >= BATCH_BYTES {
            self.hand_over(&mut batch);
        }
    }

    fn hand_over(&self, batch: &mut Batch) {
        match self.shared.sender.try_send(Message::Batch(std::mem::take(batch))) {
            Ok(()) => batch.bytes = self.shared.spare(),
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                let Message::Batch(mut refused) = message else { return };
                add(&self.shared.counts.dropped_in_queue, refused.packets);
                refused.clear();
                *batch = refused;
            }
        }
    }
}

/// Hands over what it still has; where the writer does not keep up that is dropped and counted.
impl Drop for Tap {
    fn drop(&mut self) {
        let mut batch = lock(&self.batch);
        if batch.packets > 0 {
            self.hand_over(&mut batch);
        }
    }
}

/// The recent packets, in pcap files of one folder whose sizes together stay within a bound.
///
/// Files are `ring-NUMBER-LINKTYPE.pcap`, numbered in the order of writing; packets of several
/// interfaces with one link type are in one file, in the order of arrival. Those of an earlier
/// run stay and count; their last record may be torn.
#[derive(Debug)]
pub struct Ring {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    limits: Limits,
    /// Holds the lock on the folder.
    _lock: File,
}

/// A reader's view of a ring.
#[derive(Clone, Debug)]
pub(super) struct View {
    shared: Arc<Shared>,
}

impl View {
    /// Waits until everything given to taps before is in the files, or gives up after some
    /// seconds.
    pub(super) fn sync(&self) {
        let (done, wait) = sync_channel(1);
        if self.shared.sender.send(Message::Sync(done)).is_ok() {
            // A writer that is stuck at the disk must not stop the reader for good.
            wait.recv_timeout(SYNC_TIMEOUT).ok();
        }
    }

    pub(super) fn segments(&self) -> &Segments {
        &self.shared.segments
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}

impl Ring {
    /// Opens a ring in `folder`, which is made if need be. What an earlier run left there is
    /// taken over.
    ///
    /// # Errors
    /// When the bound is below 16 MiB, the folder cannot be made or read, or another sensor uses
    /// it; in words that say what to do.
    pub fn open(folder: &Path, limits: &Limits) -> io::Result<Self> {
        Self::open_on(folder, limits, Files)
    }

    pub(super) fn open_on(
        folder: &Path,
        limits: &Limits,
        disk: impl Disk + 'static,
    ) -> io::Result<Self> {
        if limits.max_ring_bytes < MIN_RING_BYTES {
            let what = format!("a packet ring needs at least {} MiB", MIN_RING_BYTES >> 20);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let explain = |error: io::Error| {
            let what = format!("cannot keep packets in {}: {error}", folder.display());
            io::Error::new(error.kind(), what)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(explain)?;
        let lock = exclusive(folder).map_err(explain)?;
        let segments = Segments::adopt(folder).map_err(explain)?;
        let (sender, receiver) = sync_channel(limits.max_queued_batches);
        let shared = Arc::new(Shared {
            sender,
            taps: Mutex::default(),
            spare: Mutex::default(),
            max_spare: limits.max_queued_batches,
            segments,
            counts: Arc::default(),
            alarm: Mutex::default(),
        });
        set(&shared.counts.max_ring_bytes, limits.max_ring_bytes);
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            disk,
            open: Vec::new(),
            max_bytes: limits.max_ring_bytes,
        };
        writer.make_room(0).map_err(explain)?;
        writer.measure();
        let thread = std::thread::Builder::new()
            .name("packet-ring".to_owned())
            .spawn(move || writer.run(&receiver))?;
        Ok(Self { shared, thread: Some(thread), limits: *limits, _lock: lock })
    }

    /// A tap for one more capture thread.
    #[must_use]
    pub fn tap(&self) -> Tap {
        let batch = Arc::new(Mutex::new(Batch { bytes: self.shared.spare(), ..Batch::default() }));
        let mut taps = lock(&self.shared.taps);
        taps.retain(|tap| tap.strong_count() > 0);
        taps.push(Arc::downgrade(&batch));
        Tap { batch, shared: Arc::clone(&self.shared) }
    }

    /// Waits until everything given to taps before is in the files, or gives up after some
    /// seconds.
    pub fn sync(&self) {
        self.view().sync();
    }

    pub(super) fn view(&self) -> View {
        View { shared: Arc::clone(&self.shared) }
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the ring, and the cutter that reads from it, did so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counts.read()
    }

    /// What is wrong with the disk right now, if anything.
    #[must_use]
    pub fn alarm(&self) -> Option<String> {
        lock(&self.shared.alarm).clone()
    }

    /// Writes what is left and ends. Taps that are still there drop what they get.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Both errors mean that the writer has ended already.
            drop(self.shared.sender.send(Message::Stop));
            drop(thread.join());
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.end();
    }
}

fn exclusive(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(folder.join(LOCK_FILE))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another sensor uses this folder; choose one for each",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Where files come from: so that tests can fill the disk.
pub(super) trait Disk: Send {
    /// An open file that only grows.
    type File: Growing + Send;
    /// Makes a file that must not be there yet.
    fn create(&mut self, path: &Path) -> io::Result<Self::File>;
}

/// A file that only grows.
pub(super) trait Growing {
    /// Appends all the bytes, or some of them and an error.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it back to a length.
    fn cut_back(&mut self, bytes: u64) -> io::Result<()>;
}

/// The disk itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files;

impl Disk for Files {
    type File = File;

    fn create(&mut self, path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
    }
}

impl Growing for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut_back(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

/// The file that packets of one link type are written to.
struct Open<F> {
    link: LinkType,
    number: u64,
    bytes: u64,
    file: F,
}

/// The thread that writes.
struct Writer<D: Disk> {
    shared: Arc<Shared>,
    disk: D,
    open: Vec<Open<D::File>>,
    max_bytes: u64,
}

impl<D: Disk> fmt::Debug for Writer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the writer's own pace; packets have their times")]
fn now() -> Instant {
    Instant::now()
}

impl<D: Disk> Writer<D> {
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut collected = now();
        loop {
            match receiver.recv_timeout(FLUSH_EVERY) {
                Ok(Message::Batch(batch)) => self.keep(batch),
                Ok(Message::Sync(done)) => {
                    let stop = self.collect(receiver);
                    // Whoever asked may have given up.
                    done.send(()).ok();
                    if stop {
                        return;
                    }
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.collect(receiver);
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if collected.elapsed() >= FLUSH_EVERY {
                if self.collect(receiver) {
                    return;
                }
                collected = now();
            }
        }
    }

    /// Fetches what taps have not handed over yet. A tap's earlier batches are still in the queue
    /// and come first: while the tap is locked, no more are added. Answers whether to stop.
    fn collect(&mut self, receiver: &Receiver<Message>) -> bool {
        let taps: Vec<_> = lock(&self.shared.taps).iter().filter_map(Weak::upgrade).collect();
        let mut batches = Vec::new();
        let mut waiting = Vec::new();
        let mut stop = false;
        for tap in taps {
            let mut tap = lock(&tap);
            while let Ok(message) = receiver.try_recv() {
                match message {
                    Message::Batch(batch) => batches.push(batch),
                    Message::Sync(done) => waiting.push(done),
                    Message::Stop => stop = true,
                }
            }
            if tap.packets > 0 {
                let bytes = self.shared.spare();
                batches.push(std::mem::replace(&mut tap, Batch { bytes, ..Batch::default() }));
            }
        }
        for batch in batches {
            self.keep(batch);
        }
        for done in waiting {
            done.send(()).ok();
        }
        stop
    }

    /// Writes a batch, or counts it as lost and raises the alarm.
    fn keep(&mut self, batch: Batch) {
        let Some(link) = batch.link.filter(|_| batch.packets > 0) else { return };
        let shared = Arc::clone(&self.shared);
        let mut result = self.write(link, &batch);
        for _ in 0..MAX_GIVEN_UP {
            let full = result.as_ref().is_err_and(|error| is_full(error.kind()));
            // The newest packets matter more than the oldest.
            let can = full && shared.segments.len() > 1;
            if !can || !matches!(self.delete_oldest(), Ok(true)) {
                break;
            }
            add(&shared.counts.write_errors, 1);
            result = self.write(link, &batch);
        }
        *lock(&shared.alarm) = match result {
            Ok(()) => {
                add(&shared.counts.written_packets, batch.packets);
                None
            }
            Err(error) => {
                add(&shared.counts.write_errors, 1);
                add(&shared.counts.dropped_at_disk, batch.packets);
                Some(format!("packets cannot be kept: {error}; make room on the disk"))
            }
        };
        self.measure();
        shared.reuse(batch.bytes);
    }

    fn measure(&self) {
        set(&self.shared.counts.ring_bytes, self.shared.segments.total_bytes());
    }

    fn write(&mut self, link: LinkType, batch: &Batch) -> io::Result<()> {
        let len = batch.bytes.len() as u64;
        let max_file = self.max_bytes / FILES;
        self.open.retain(|open| open.link != link || open.bytes + len <= max_file);
        self.make_room(len + pcap::HEADER_BYTES)?;
        let place = match self.open.iter().position(|open| open.link == link) {
            Some(place) => place,
            None => self.begin(link)?,
        };
        let Some(open) = self.open.get_mut(place) else { return Ok(()) };
        if let Err(error) = open.file.append(&batch.bytes) {
            // Half a record in the middle would hide all that follow.
            if open.file.cut_back(open.bytes).is_err() {
                self.open.remove(place);
            }
            return Err(error);
        }
        open.bytes += len;
        self.shared.segments.grown(open.number, open.bytes, batch.first, batch.last);
        Ok(())
    }

    /// Begins a file for a link type.
    fn begin(&mut self, link: LinkType) -> io::Result<usize> {
        let mut segment = self.shared.segments.next(link);
        let path = self.shared.segments.path(&segment);
        let mut file = self.disk.create(&path)?;
        if let Err(error) = file.append(&pcap::header(link)) {
            drop(fs::remove_file(&path));
            return Err(error);
        }
        segment.bytes = pcap::HEADER_BYTES;
        let open = Open { link, number: segment.number, bytes: segment.bytes, file };
        self.shared.segments.push(segment);
        self.open.push(open);
        Ok(self.open.len() - 1)
    }

    /// Deletes old files until so many more bytes fit.
    fn make_room(&mut self, more: u64) -> io::Result<()> {
        while self.shared.segments.total_bytes().saturating_add(more) > self.max_bytes {
            if !self.delete_oldest()? {
                break;
            }
        }
        Ok(())
    }

    /// Deletes the oldest file; false if there is none.
    fn delete_oldest(&mut self) -> io::Result<bool> {
        let deleted = self.shared.segments.delete_oldest()?;
        self.open.retain(|open| Some(open.number) != deleted);
        Ok(deleted.is_some())
    }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
