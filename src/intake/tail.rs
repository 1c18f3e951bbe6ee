//! Log files that are followed while they are written, and across rotation and restarts.
//!
//! - **A path** names a file now, and another one after a rotation. Files are known by device,
//!   inode and the SHA-256 of their first (1 KiB) and last (256) bytes that were taken, not by
//!   their names. A file that lost its name (by renaming, or a link that moved) is read to its end
//!   before the next one begins, and is left ten seconds after its last line, or when nine of them are
//!   open. One that came and went between two looks is found among the rotated names beside
//!   it (`a.log.1`, `a.log-20261123`, `a-2026-11-23.log`, `a.log.1.gz`).
//! - **A file that was emptied** after it had been copied (logrotate's `copytruncate`) has its rest
//!   in the copy, which is known by its bytes. Without a copy reading begins at its start. Emptied
//!   and filled again with the same bytes at both places, it is taken for grown.
//! - **Compressed files** are read where a rotated file is found again only as one.
//! - **A folder or a pattern** stands for paths; each is followed by itself. New ones are looked for
//!   every second. Files that have the name of another one with a number or date are its rotated
//!   ones, and not followed by themselves; so are compressed ones.
//! - **A line** counts once its end is there. What has no end waits (1 MiB at most; longer lines
//!   are passed over, and counted as bad), until the file is left.
//! - **Where it is** is said to the [`Ledger`], which knows what was taken by the run; see
//!   [`checkpoint`](super::checkpoint) for what is made of that.
//! - **A run that has no room** makes the tail wait: files are its buffer.
//!
//! Looked at every 100 ms, and every second when nothing comes. No more than 1,024 paths; each
//! holds at most eight files, and each file a line (1 MiB).

mod candidate;
mod desk;
mod dialect;
mod follower;
mod ledger;
mod reading;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use dialect::{Dialect, Dialects, Formats, Open};
pub use ledger::Ledger;

use super::Outlet;
use super::checkpoint::{Checkpoint, Position};
use crate::capture::glob;
use crate::mcp::Tap;
use candidate::{is_packed_name, rank};
use desk::{Desk, Halt, Stopped};
use follower::Follower;

/// Between two looks while lines come, and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// New files of folders and patterns are looked for so often.
const LIST: Duration = Duration::from_secs(1);
/// Paths that are followed at once.
const MAX_PATHS: usize = 1_024;
/// Read of one path before the others have their turn, in bytes.
const TURN_BYTES: u64 = 4 << 20;
/// A path of a folder or pattern that has had no file for so long is forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// Adds a source to the run, by path and format; answers with its number.
pub type AddSource = Box<dyn FnMut(&str, &str) -> u16 + Send>;
/// Is told what somebody should know, in words.
pub type Told = Box<dyn FnMut(&str) + Send>;

/// Where a file begins that is there when it is followed for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At its first line.
    #[default]
    Beginning,
    /// Behind its last one.
    End,
}

/// Something to follow.
#[derive(Clone, Debug)]
pub struct Target {
    /// A file that need not exist yet, a folder, or a pattern.
    pub path: PathBuf,
    /// Its format, if it is not to be recognised.
    pub dialect: Option<Dialect>,
}

/// What a tail works with.
pub struct Parts {
    /// The run.
    pub outlet: Arc<dyn Outlet>,
    /// Recognises MCP.
    pub tap: Tap,
    /// Formats.
    pub dialects: Arc<dyn Dialects>,
    /// Names sources.
    pub add_source: AddSource,
    /// Hears of troubles.
    pub told: Told,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("dialects", &self.dialects).finish_non_exhaustive()
    }
}

/// A folder or pattern.
#[derive(Debug)]
struct Group {
    argument: String,
    pattern: PathBuf,
    dialect: Option<Dialect>,
    has_listed: bool,
}

/// Follows files.
#[derive(Debug)]
pub struct Tail {
    desk: Desk,
    followers: Vec<Follower>,
    groups: Vec<Group>,
    start_at: StartAt,
    listed_at: Option<Duration>,
    /// The last look did not read everything.
    is_behind: bool,
}

impl Tail {
    /// A tail that goes on where the checkpoint is; paths that it does not have begin at
    /// `start_at`.
    #[must_use]
    pub fn new(
        targets: &[Target],
        start_at: StartAt,
        checkpoint: Option<&Checkpoint>,
        parts: Parts,
    ) -> Self {
        let mut tail = Self {
            desk: Desk::new(parts),
            followers: Vec::new(),
            groups: Vec::new(),
            start_at,
            listed_at: None,
            is_behind: false,
        };
        let empty = Checkpoint::default();
        let known = &checkpoint.unwrap_or(&empty).files;
        for Target { path, dialect } in targets {
            let argument = path.to_string_lossy().into_owned();
            let own = known.iter().filter(|position| position.argument == argument);
            let is_group = path.is_dir() || (glob::is_pattern(path) && !path.exists());
            if is_group {
                let pattern = if path.is_dir() { path.join("*") } else { path.clone() };
                for position in own.clone() {
                    let path = Path::new(&position.followed);
                    if !tail.followers.iter().any(|follower| follower.path() == path) {
                        tail.follow(&argument, path, dialect.as_ref(), StartAt::Beginning);
                    }
                }
                let (dialect, has_listed) = (dialect.clone(), own.clone().next().is_some());
                let argument = argument.clone();
                tail.groups.push(Group { argument, pattern, dialect, has_listed });
            } else if !tail.followers.iter().any(|follower| follower.path() == path) {
                tail.follow(&argument, path, dialect.as_ref(), start_at);
            }
            tail.restore(own);
        }
        tail
    }

    fn restore<'a>(&mut self, positions: impl Iterator<Item = &'a Position>) {
        for position in positions {
            let path = Path::new(&position.followed);
            let mut followers = self.followers.iter_mut();
            if let Some(follower) = followers.find(|follower| follower.path() == path) {
                follower.restore(position.clone(), &mut self.desk);
            }
        }
    }

    fn follow(&mut self, argument: &str, path: &Path, dialect: Option<&Dialect>, from: StartAt) {
        if self.followers.len() >= MAX_PATHS {
            let path = path.display();
            self.desk.say(format!("warning: {path} is not followed: {MAX_PATHS} files at most"));
            return;
        }
        self.followers.push(Follower::new(argument, path.to_owned(), dialect.cloned(), from));
    }

    /// What was given and taken.
    #[must_use]
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.desk.ledger)
    }

    /// Looks at all files once, and reads what is there. `now` is the time since the start. Answers
    /// with whether there was anything; `None` when the run is over.
    pub fn poll(&mut self, now: Duration) -> Option<bool> {
        if self.listed_at.is_none_or(|listed| now.saturating_sub(listed) >= LIST) {
            self.listed_at = Some(now);
            self.list();
            self.forget(now).ok()?;
        }
        let mut is_busy = false;
        let Self { followers, desk, is_behind, .. } = self;
        *is_behind = false;
        for follower in followers {
            let mut budget = TURN_BYTES;
            match follower.poll(now, &mut budget, desk) {
                Ok(()) => {}
                Err(Halt::Stopped) => return None,
                Err(Halt::Io(error)) => {
                    desk.say(format!("warning: --logs {}: {error}", follower.path().display()));
                }
            }
            is_busy |= budget < TURN_BYTES;
            *is_behind |= budget == 0;
        }
        Some(is_busy)
    }

    /// Finds new files of folders and patterns.
    fn list(&mut self) {
        for index in 0..self.groups.len() {
            let Some(group) = self.groups.get_mut(index) else { continue };
            let found = match glob::expand(&group.pattern) {
                Ok(found) => found,
                Err(error) => {
                    self.desk.say(format!("warning: --logs {}: {error}", group.argument));
                    continue;
                }
            };
            // What comes later was written later.
            let is_first = !std::mem::replace(&mut group.has_listed, true);
            let from = if is_first { self.start_at } else { StartAt::Beginning };
            let (argument, dialect) = (group.argument.clone(), group.dialect.clone());
            for path in &found {
                if self.is_new(path, &found) {
                    self.follow(&argument, path, dialect.as_ref(), from);
                }
            }
        }
    }

    /// Whether a file is to be followed by itself and is not.
    fn is_new(&self, path: &Path, all: &[PathBuf]) -> bool {
        if is_packed_name(path) || !path.is_file() {
            return false;
        }
        let is_rotated = |of: &Path| {
            let names = (of.file_name().and_then(|of| of.to_str()), path.file_name());
            let (Some(of_name), Some(Some(name))) = (names.0, names.1.map(|name| name.to_str()))
            else {
                return false;
            };
            of.parent() == path.parent() && rank(of_name, name).is_some()
        };
        let known = |follower: &Follower| {
            follower.path() == path
                || is_rotated(follower.path())
                || fs::metadata(path).is_ok_and(|metadata| follower.has(&metadata))
        };
        !self.followers.iter().any(known) && !all.iter().any(|other| is_rotated(other))
    }

    /// Forgets paths of folders and patterns that are gone.
    fn forget(&mut self, now: Duration) -> Result<(), Stopped> {
        let mut index = 0;
        while let Some(follower) = self.followers.get(index) {
            let is_found = self.groups.iter().any(|group| group.argument == follower.argument());
            if is_found && follower.is_idle_for(FORGET, now) {
                self.followers.remove(index).forget(&mut self.desk)?;
            } else {
                index += 1;
            }
        }
        Ok(())
    }

    /// Follows on a thread of its own.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(self) -> io::Result<Tailing> {
        let (stop, ledger) = (Arc::clone(&self.desk.stop), self.ledger());
        let thread = std::thread::Builder::new().name("logs".to_owned());
        let thread = thread.spawn(move || self.run())?;
        Ok(Tailing { stop, ledger, thread: Some(thread) })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "files are looked at by the clock of the machine"
    )]
    fn run(mut self) {
        let begun = Instant::now();
        let mut pause = LOOK.0;
        while !self.desk.stop.load(Relaxed) {
            let Some(is_busy) = self.poll(begun.elapsed()) else { return };
            if self.is_behind {
                continue;
            }
            pause = if is_busy { LOOK.0 } else { (pause * 5 / 4).min(LOOK.1) };
            let until = begun.elapsed() + pause;
            // Told to stop, it does not sleep on.
            while begun.elapsed() < until && !self.desk.stop.load(Relaxed) {
                std::thread::sleep(LOOK.0.min(until.saturating_sub(begun.elapsed())));
            }
        }
    }
}

/// A tail at work.
#[derive(Debug)]
pub struct Tailing {
    stop: Arc<AtomicBool>,
    ledger: Arc<Ledger>,
    thread: Option<JoinHandle<()>>,
}

impl Tailing {
    /// What was given and taken.
    #[must_use]
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Reads no further, and waits until it does not.
    pub fn stop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been told.
            let _told = thread.join();
        }
    }
}

impl Drop for Tailing {
    fn drop(&mut self) {
        self.stop();
    }
}
