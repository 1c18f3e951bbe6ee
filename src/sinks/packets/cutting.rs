//! The thread that makes cuts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::cut::{Cut, Job, Outcome, PARTIAL, Shared, Waiting, now};
use super::gather::{Gathered, Kept, Pass};
use super::pcap;
use super::ring::View;
use super::{Limits, add};
use crate::capture::{self, Input, LinkType, Next, Packet, Source};
use crate::time::Timestamp;

/// Cuts made in one pass over the ring.
const MAX_TOGETHER: usize = 4;

/// Everything that cuts are made of.
pub(super) struct Worker<D> {
    pub(super) shared: Arc<Shared>,
    pub(super) view: View,
    pub(super) limits: Limits,
    pub(super) folder: PathBuf,
    pub(super) done: D,
}

impl<D: FnMut(Cut)> Worker<D> {
    pub(super) fn run(mut self) {
        while let Some(jobs) = self.wait() {
            let (good, bad): (Vec<_>, Vec<_>) = jobs.into_iter().partition(Job::has_good_name);
            for job in bad {
                let error = io::Error::new(io::ErrorKind::InvalidInput, "not a file name");
                self.tell(job.id, Outcome::Failed(error));
            }
            self.view.sync();
            let mut pass = Pass::new(&good, &self.limits);
            self.read_earlier_cuts(&good, &mut pass);
            self.read_ring(&good, &mut pass);
            for (job, gathered) in good.into_iter().zip(pass.finish()) {
                let outcome = self.write(&job.id, gathered).unwrap_or_else(Outcome::Failed);
                self.tell(job.id, outcome);
            }
        }
    }

    /// Waits for cuts that are due; `None` when there will be no more.
    fn wait(&self) -> Option<Vec<Job>> {
        let mut queue = self.shared.lock();
        loop {
            let (moment, stopping) = (now(), queue.stopping);
            let ready = |waiting: &&Waiting| stopping || waiting.due <= moment;
            let count = queue.waiting.iter().take(MAX_TOGETHER).take_while(ready).count();
            if count > 0 {
                return Some(queue.waiting.drain(..count).map(|waiting| waiting.job).collect());
            }
            if stopping {
                return None;
            }
            let due = queue.waiting.front().map(|waiting| waiting.due);
            queue = match due {
                Some(due) => {
                    let left = due.saturating_duration_since(moment);
                    let woken = self.shared.changed.wait_timeout(queue, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn tell(&mut self, id: String, outcome: Outcome) {
        let counts = self.view.counts();
        match &outcome {
            Outcome::Written { truncated, .. } => {
                add(&counts.cuts_written, 1);
                add(&counts.cuts_truncated, u64::from(*truncated));
            }
            Outcome::Empty => add(&counts.cuts_empty, 1),
            Outcome::Failed(_) => add(&counts.cuts_failed, 1),
        }
        (self.done)(Cut { id, outcome });
    }

    fn read_ring(&self, jobs: &[Job], pass: &mut Pass) {
        let spans = jobs.iter().map(|job| job.span(&self.limits));
        let Some((from, to)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return };
        let segments = self.view.segments();
        for segment in segments.overlapping(from, to) {
            // It may have been deleted meanwhile.
            let times = read(&segments.path(&segment), |packet| pass.push(packet));
            if let Some((first, last)) = times {
                segments.learn(segment.number, first, last);
            }
        }
    }

    /// What earlier cuts of the same findings have from before the ring's first packet.
    fn read_earlier_cuts(&self, jobs: &[Job], pass: &mut Pass) {
        let earlier = |job: &Job| self.files(&job.id).into_iter().find(|file| file.exists());
        let files: Vec<_> = jobs.iter().map(earlier).collect();
        if files.iter().all(Option::is_none) {
            return;
        }
        let begins = self.ring_begins();
        for (number, file) in files.into_iter().enumerate() {
            let Some(file) = file else { continue };
            pass.begin(Some(number));
            read(&file, |packet| {
                if begins.is_none_or(|begins| packet.time < begins) {
                    pass.push(packet);
                }
            });
        }
        pass.begin(None);
    }

    /// Time of the first packet in the ring.
    fn ring_begins(&self) -> Option<Timestamp> {
        let segments = self.view.segments();
        let oldest = segments.oldest()?;
        match oldest.times {
            Some((first, _)) => Some(first),
            None => read(&segments.path(&oldest), |_| {}).map(|(first, _)| first),
        }
    }

    /// The names that a cut may have: of pcap, and of pcapng.
    fn files(&self, id: &str) -> [PathBuf; 2] {
        ["pcap", "pcapng"].map(|extension| self.folder.join(format!("{id}.{extension}")))
    }

    fn write(&self, id: &str, gathered: Gathered) -> io::Result<Outcome> {
        let (packets, truncated) = gathered.into_packets();
        if packets.is_empty() {
            return Ok(Outcome::Empty);
        }
        let mut links: Vec<LinkType> = packets.iter().map(|packet| packet.link).collect();
        links.sort_unstable();
        links.dedup();
        let [pcap, pcapng] = self.files(id);
        let (file, other) = if links.len() == 1 { (pcap, pcapng) } else { (pcapng, pcap) };
        self.check_room(&[&file, &other], &packets)?;
        let partial = self.folder.join(format!("{id}{PARTIAL}"));
        let bytes = write_capture(&partial, &links, &packets)
            .and_then(|bytes| fs::rename(&partial, &file).map(|()| bytes))
            .inspect_err(|_| drop(fs::remove_file(&partial)))?;
        drop(fs::remove_file(other));
        if let Ok(folder) = File::open(&self.folder) {
            // The new name has to survive a crash; not every file system lets folders be synced.
            drop(folder.sync_all());
        }
        Ok(Outcome::Written { file, packets: packets.len() as u64, bytes, truncated })
    }

    /// Refuses a cut for which the folder has no room left.
    fn check_room(&self, replaced: &[&Path], packets: &[Kept]) -> io::Result<()> {
        let mut total: u64 = packets.iter().map(|packet| packet.bytes.len() as u64 + 48).sum();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if !replaced.contains(&entry.path().as_path()) {
                total = total.saturating_add(entry.metadata().map_or(0, |metadata| metadata.len()));
            }
        }
        if total <= self.limits.max_cuts_bytes {
            return Ok(());
        }
        let what = format!(
            "the cuts in {} have reached {} MiB; move some away",
            self.folder.display(),
            self.limits.max_cuts_bytes >> 20
        );
        Err(io::Error::new(io::ErrorKind::QuotaExceeded, what))
    }
}

/// Gives the packets of a capture to `each`, as far as it can be read; first and last time, if
/// there were any.
fn read(file: &Path, mut each: impl FnMut(&Packet<'_>)) -> Option<(Timestamp, Timestamp)> {
    let mut source =
        Source::open(&Input::file(file.to_owned()), &capture::Limits::default()).ok()?;
    let mut times: Option<(Timestamp, Timestamp)> = None;
    loop {
        match source.next() {
            Next::Packet { time, link, bytes, wire_len } => {
                times = Some(times.map_or((time, time), |(a, b)| (a.min(time), b.max(time))));
                each(&Packet { index: 0, time, link, bytes, wire_len });
            }
            Next::End => return times,
            // The last record of a file being written, or of one at a crash, may be torn.
            _ => {}
        }
    }
}

/// Writes a whole capture and syncs it; answers with its size.
fn write_capture(path: &Path, links: &[LinkType], packets: &[Kept]) -> io::Result<u64> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut out = BufWriter::with_capacity(64 << 10, file);
    let mut bytes = 0;
    let mut put = |piece: &[u8]| {
        bytes += piece.len() as u64;
        out.write_all(piece)
    };
    let only = match links {
        [link] => Some(*link),
        _ => None,
    };
    match only {
        Some(link) => put(&pcap::header(link))?,
        None => put(&pcap::section(links))?,
    }
    let mut record = Vec::new();
    for Kept { time, link, wire_len, bytes, .. } in packets {
        record.clear();
        if only.is_some() {
            let packet = Packet { index: 0, time: *time, link: *link, bytes, wire_len: *wire_len };
            pcap::record(&mut record, &packet);
        } else {
            let interface = links.iter().position(|other| other == link).unwrap_or(0);
            let interface = u32::try_from(interface).unwrap_or(0);
            pcap::enhanced(&mut record, interface, *time, bytes, *wire_len);
        }
        put(&record)?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(bytes)
}
