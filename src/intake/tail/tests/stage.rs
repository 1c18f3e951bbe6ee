//! Files, and a run that takes what a tail gives.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use crate::flow::At;
use crate::intake::checkpoint::Checkpoint;
use crate::intake::tail::{Dialect, Dialects, Ledger, Parts, StartAt, Tail, Target};
use crate::intake::{NotTaken, Outlet, Parcel, Reply};
use crate::logs::{Format, Likelihood, Line, Reason, Record, Stance};
use crate::mcp::{Tap, TapLimits};
use crate::observation::ExchangeId;
use crate::secret::SecretHasher;
use crate::time::Timestamp;

pub(super) fn numbers(range: RangeInclusive<u64>) -> Vec<u64> {
    range.collect()
}

/// Replaces a file by its gzip, as logrotate does.
pub(super) fn compress(path: &Path) {
    let status = std::process::Command::new("gzip").arg("-f").arg(path).status().unwrap();
    assert!(status.success());
}

/// Lines that are numbers.
#[derive(Debug)]
struct Numbers;

impl Format for Numbers {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        if line.starts_with(b"#") {
            return Ok(Line::Nothing);
        }
        let text = std::str::from_utf8(line).unwrap();
        let number: i64 = text.trim().parse().map_err(|_| Reason::of("no number"))?;
        record.time = Some(Timestamp::from_parts(number, 0));
        record.dns_name = Some("mcp.example".into());
        record.dns_addresses = vec![[192, 0, 2, 1].into()];
        Ok(Line::Record)
    }
}

pub(super) fn dialect() -> Dialect {
    let open = Arc::new(|| Box::new(Numbers) as Box<dyn Format>);
    Dialect { name: "numbers".into(), stance: Stance::Observer, open }
}

#[derive(Debug)]
struct Known;

impl Dialects for Known {
    fn named(&self, name: &str) -> Option<Dialect> {
        (name == "numbers").then(dialect)
    }

    fn detect(&self, beginning: &[u8]) -> Option<(Dialect, Likelihood)> {
        beginning.starts_with(b"#numbers").then(|| (dialect(), Likelihood::Certain))
    }
}

/// Keeps what it is given.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) parcels: Mutex<Vec<Parcel>>,
    flows: AtomicU64,
    closed: Mutex<bool>,
}

impl Outlet for Kept {
    fn flow(&self) -> u64 {
        self.flows.fetch_add(1, Relaxed)
    }

    fn offer(&self, parcel: Parcel) -> Result<(), NotTaken> {
        if *self.closed.lock().unwrap() {
            return Err(NotTaken::Closed);
        }
        self.parcels.lock().unwrap().push(parcel);
        Ok(())
    }

    fn ask(&self, _: Parcel, _: ExchangeId, _: Reply) -> Result<(), NotTaken> {
        Err(NotTaken::Closed)
    }
}

/// A folder, and what is followed in it.
pub(super) struct Stage {
    folder: Arc<TempDir>,
    followed: PathBuf,
    pub(super) dialect: Option<Dialect>,
}

impl Stage {
    pub(super) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let followed = folder.path().join("a.log");
        Self { folder, followed, dialect: Some(dialect()) }
    }

    pub(super) fn clone_paths(&self) -> Self {
        let (folder, followed) = (Arc::clone(&self.folder), self.followed.clone());
        Self { folder, followed, dialect: self.dialect.clone() }
    }

    pub(super) fn follow(&mut self, name: &str) {
        self.followed = self.folder.path().join(name);
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn append(&self, name: &str, text: &str) {
        let file = OpenOptions::new().append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        if self.path(from).exists() {
            fs::rename(self.path(from), self.path(to)).unwrap();
        }
    }

    pub(super) fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn empty(&self, name: &str) {
        File::options().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    pub(super) fn run(&self, start_at: StartAt) -> Run {
        self.start(start_at, None)
    }

    pub(super) fn restart(&self, start_at: StartAt, checkpoint: &Checkpoint) -> Run {
        self.start(start_at, Some(checkpoint))
    }

    fn start(&self, start_at: StartAt, checkpoint: Option<&Checkpoint>) -> Run {
        let said = Arc::new(Mutex::new(Vec::new()));
        let (told, outlet) = (Arc::clone(&said), Arc::new(Kept::default()));
        let parts = Parts {
            outlet: Arc::<Kept>::clone(&outlet),
            tap: Tap::new(TapLimits::default(), SecretHasher::default()),
            dialects: Arc::new(Known),
            add_source: Box::new(|_, _| 3),
            told: Box::new(move |text| told.lock().unwrap().push(text.to_owned())),
        };
        let target = Target { path: self.followed.clone(), dialect: self.dialect.clone() };
        let tail = Tail::new(&[target], start_at, checkpoint, parts);
        let (ledger, taken) = (tail.ledger(), Vec::new());
        Run { tail, ledger, outlet, taken, bad: 0, said, now: Duration::ZERO }
    }
}

/// A tail, and the run that takes what it gives.
pub(super) struct Run {
    pub(super) tail: Tail,
    pub(super) ledger: Arc<Ledger>,
    pub(super) outlet: Arc<Kept>,
    taken: Vec<At>,
    bad: u64,
    said: Arc<Mutex<Vec<String>>>,
    now: Duration,
}

impl Run {
    pub(super) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Looks once, and takes everything.
    pub(super) fn poll(&mut self) {
        self.look();
        self.take(usize::MAX);
    }

    pub(super) fn look(&mut self) {
        self.now += Duration::from_millis(100);
        self.tail.poll(self.now).unwrap();
    }

    /// Takes so many parcels; answers with the numbers in them.
    pub(super) fn take(&mut self, parcels: usize) -> Vec<u64> {
        let mut waiting = self.outlet.parcels.lock().unwrap();
        let count = parcels.min(waiting.len());
        let mut taken = Vec::new();
        for Parcel { observations, mark, counts } in waiting.drain(..count) {
            taken.extend(observations.iter().map(|observation| observation.at));
            self.bad += counts.bad;
            self.ledger.taken(mark.unwrap());
        }
        let numbers = taken.iter().map(|at| number(*at)).collect();
        self.taken.extend(taken);
        numbers
    }

    pub(super) fn taken(&self) -> Vec<u64> {
        self.taken.iter().map(|at| number(*at)).collect()
    }

    pub(super) fn sorted(&self) -> Vec<u64> {
        let mut taken = self.taken();
        taken.sort_unstable();
        taken
    }

    /// Numbers of the lines in their files.
    pub(super) fn lines(&self) -> Vec<u64> {
        self.taken.iter().map(|at| At::line_of(at.packet).unwrap().1).collect()
    }

    pub(super) const fn bad(&self) -> u64 {
        self.bad
    }

    pub(super) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        let text = serde_json::to_string(&self.ledger.checkpoint(None)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    pub(super) fn close(&self) {
        *self.outlet.closed.lock().unwrap() = true;
    }
}

fn number(at: At) -> u64 {
    u64::try_from(at.time.as_nanos() / 1_000_000_000).unwrap()
}
