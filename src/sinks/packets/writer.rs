//! The thread that writes the ring's files.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::ring::{Batch, Message, Shared, lock};
use super::{add, pcap, set};
use crate::capture::LinkType;

/// Packets reach the disk after this time at most, also when there are few.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// The ring consists of so many files.
const FILES: u64 = 16;

/// The disk is full: so many old files are given up to keep one batch.
const MAX_GIVEN_UP: usize = 2;

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
pub(super) struct Writer<D: Disk> {
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
    /// A writer; what is there already is brought within the bound.
    pub(super) fn new(shared: Arc<Shared>, disk: D, max_bytes: u64) -> io::Result<Self> {
        let mut writer = Self { shared, disk, open: Vec::new(), max_bytes };
        writer.make_room(0)?;
        writer.measure();
        Ok(writer)
    }

    pub(super) fn run(mut self, receiver: &Receiver<Message>) {
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
