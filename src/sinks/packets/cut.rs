//! Cuts: the packets of a finding's flows, out of the ring, as a capture of their own.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::cutting::Worker;
use super::ring::{Ring, View};
use super::{Limits, add};
use crate::finding::{Finding, FlowTuple};
use crate::time::Timestamp;

/// What to cut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Id of the finding: the file's name. Letters, digits, `-` and `_` only.
    pub id: String,
    /// Its flows, in either direction, whatever VLAN or tunnel is around them. Other flows
    /// between the same client and the same port of the server are cut out too: an MCP session is
    /// spread over several, and what the finding says may have been learnt from those.
    pub flows: Vec<FlowTuple>,
    /// Time of its first hit.
    pub first_seen: Timestamp,
    /// Time of its last hit so far.
    pub last_seen: Timestamp,
}

impl Job {
    /// The packets of a finding.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        Self {
            id: finding.id.clone(),
            flows: finding.flows.clone(),
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
        }
    }

    /// The times that its packets may have.
    pub(super) fn span(&self, limits: &Limits) -> (Timestamp, Timestamp) {
        let before = i64::try_from(limits.before.as_nanos()).unwrap_or(i64::MAX);
        let from = self.first_seen.as_nanos().saturating_sub(before);
        (Timestamp::from_nanos(from), self.last_seen.plus(limits.after))
    }

    pub(super) fn has_good_name(&self) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        (1..=128).contains(&self.id.len()) && self.id.chars().all(plain)
    }
}

/// What became of a cut.
#[derive(Debug)]
pub struct Cut {
    /// Id of the finding.
    pub id: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a cut.
#[derive(Debug)]
pub enum Outcome {
    /// It is there, whole or as far as the bound allows.
    Written {
        /// The file: pcap, or pcapng where link types differ.
        file: PathBuf,
        /// Packets in it.
        packets: u64,
        /// Its size.
        bytes: u64,
        /// The bound on a cut was reached: packets farthest from the first hit are missing.
        truncated: bool,
    },
    /// The ring has no packets of it; an earlier cut stays as it is.
    Empty,
    /// It could not be written.
    Failed(io::Error),
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) due: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) stopping: bool,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    pub(super) changed: Condvar,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes cuts on a thread of its own, one `ID.pcap` for each finding, complete or not there.
///
/// A cut is made [`Limits::settle`] after it was asked for. One asked for again replaces the
/// earlier file; what the ring has lost meanwhile is taken over from that.
#[derive(Debug)]
pub struct Cutter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    view: View,
    limits: Limits,
}

#[expect(clippy::disallowed_methods, reason = "when to look into the ring, not what is in it")]
pub(super) fn now() -> Instant {
    Instant::now()
}

impl Cutter {
    /// Cuts from `ring` into `folder`, which is made if need be. `done` hears of each cut, on the
    /// cutter's thread.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or there is no thread.
    pub fn start(
        ring: &Ring,
        folder: &Path,
        done: impl FnMut(Cut) + Send + 'static,
    ) -> io::Result<Self> {
        let limits = *ring.limits();
        let explain = |error: io::Error| {
            let what = format!("cannot keep packets in {}: {error}", folder.display());
            io::Error::new(error.kind(), what)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(explain)?;
        remove_partial(folder).map_err(explain)?;
        let shared: Arc<Shared> = Arc::default();
        let worker = Worker {
            shared: Arc::clone(&shared),
            view: ring.view(),
            limits,
            folder: folder.to_owned(),
            done,
        };
        let thread = std::thread::Builder::new()
            .name("packet-cuts".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self { shared, thread: Some(thread), view: ring.view(), limits })
    }

    /// Asks for a cut; false, and counted, if too many wait. One for the same finding that waits
    /// already is brought up to date.
    pub fn cut(&self, job: Job) -> bool {
        let mut queue = self.shared.lock();
        if let Some(same) = queue.waiting.iter_mut().find(|other| other.job.id == job.id) {
            same.job = job;
            return true;
        }
        if queue.waiting.len() >= self.limits.max_queued_cuts {
            add(&self.view.counts().cuts_dropped, 1);
            return false;
        }
        queue.waiting.push_back(Waiting { job, due: now() + self.limits.settle });
        self.shared.changed.notify_one();
        true
    }

    /// Makes the cuts that wait, at once, and ends. To be called before [`Ring::stop`].
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.end();
    }
}

/// How names of files end that are not complete.
pub(super) const PARTIAL: &str = ".partial";

/// Removes what a crash left half done.
fn remove_partial(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_str().is_some_and(|path| path.ends_with(PARTIAL)) {
            drop(fs::remove_file(path));
        }
    }
    Ok(())
}
