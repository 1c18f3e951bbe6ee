//! The ring: taps in the capture threads, and one thread that writes.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use super::pcap;
use super::segments::Segments;
use super::writer::{Disk, Files, Writer};
use super::{Counters, Counts, Limits, MIN_RING_BYTES, add, set};
use crate::capture::{LinkType, Packet};
use crate::time::Timestamp;

/// A batch goes to the writer at this size.
const BATCH_BYTES: usize = 256 << 10;

/// How long [`Ring::sync`] waits for the writer.
const SYNC_TIMEOUT: Duration = Duration::from_secs(10);

/// Held while a ring uses a folder.
const LOCK_FILE: &str = "ring.lock";

/// Packets of one link type, as records of a pcap file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) link: Option<LinkType>,
    pub(super) bytes: Vec<u8>,
    pub(super) packets: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
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
pub(super) enum Message {
    Batch(Batch),
    /// Write everything that was given to taps, then answer.
    Sync(SyncSender<()>),
    Stop,
}

/// What taps, ring, writer and cutter share.
#[derive(Debug)]
pub(super) struct Shared {
    sender: SyncSender<Message>,
    pub(super) taps: Mutex<Vec<Weak<Mutex<Batch>>>>,
    /// Empty buffers, to be used again.
    spare: Mutex<Vec<Vec<u8>>>,
    max_spare: usize,
    pub(super) segments: Segments,
    pub(super) counts: Counts,
    pub(super) alarm: Mutex<Option<String>>,
}

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn spare(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_else(|| Vec::with_capacity(BATCH_BYTES * 5 / 4))
    }

    pub(super) fn reuse(&self, mut bytes: Vec<u8>) {
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
            counts: Counts::default(),
            alarm: Mutex::default(),
        });
        set(&shared.counts.max_ring_bytes, limits.max_ring_bytes);
        let writer = Writer::new(Arc::clone(&shared), disk, limits.max_ring_bytes);
        let writer = writer.map_err(explain)?;
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
