//! The file that holds a checkpoint.
//!
//! - `logs.json`: the checkpoint, written whole or not at all. Mode 0600.
//! - `logs.lock`: held by the one program that may write it; the system frees it.
//! - `logs.damaged.json`: one that could not be read, moved there. The last one is kept.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Checkpoint, SCHEMA};

const NAME: &str = "logs.json";
const FRESH: &str = "logs.json.new";
const DAMAGED: &str = "logs.damaged.json";
const LOCK: &str = "logs.lock";
/// A longer one is none of ours.
const MAX_BYTES: u64 = 64 << 20;

/// What is wrong with a checkpoint.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A file or folder cannot be used.
    Io {
        /// What could not be done.
        action: &'static str,
        /// With which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program follows logs with it.
    Locked(PathBuf),
    /// It cannot be understood, and was moved aside.
    Damaged {
        /// Where it was.
        path: PathBuf,
        /// Where it is.
        moved_to: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Locked(path) => write!(
                f,
                "{} is locked: another shadowtap follows logs with this state directory; stop it, \
                 or give this one another --state",
                path.display()
            ),
            Self::Damaged { path, moved_to, why } => write!(
                f,
                "{} is no checkpoint that this version can read ({why}): moved to {}; logs are \
                 read as at a first start, see --logs-from",
                path.display(),
                moved_to.display()
            ),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A folder with a checkpoint. Nobody else writes it while this lives.
#[derive(Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
    /// Locked.
    _lock: File,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Problem {
    let path = path.to_owned();
    move |source| Problem::Io { action, path, source }
}

impl CheckpointStore {
    /// Opens a folder, which is made (mode 0700) if it is not there. Answers with the checkpoint
    /// in it, if there is one, and with what was wrong with it ([`Problem::Damaged`]).
    ///
    /// # Errors
    /// When the folder or the checkpoint cannot be used, or another program uses it.
    pub fn open(folder: &Path) -> Result<(Self, Option<Checkpoint>, Option<Problem>), Problem> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed("make", folder))?;
        let path = folder.join(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(&path).map_err(failed("write", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Problem::Locked(path)),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        let store = Self { folder: folder.to_owned(), _lock: lock };
        let (checkpoint, damage) = store.read()?;
        Ok((store, checkpoint, damage))
    }

    fn read(&self) -> Result<(Option<Checkpoint>, Option<Problem>), Problem> {
        let path = self.folder.join(NAME);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, None)),
            opened => opened.map_err(failed("read", &path))?,
        };
        let mut text = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(failed("read", &path))?;
        let why = match serde_json::from_slice::<Checkpoint>(&text) {
            Ok(checkpoint) if checkpoint.schema == SCHEMA => return Ok((Some(checkpoint), None)),
            Ok(other) => format!("it is `{}`", other.schema),
            Err(error) => error.to_string(),
        };
        let moved_to = self.folder.join(DAMAGED);
        fs::rename(&path, &moved_to).map_err(failed("move", &path))?;
        Ok((None, Some(Problem::Damaged { path, moved_to, why })))
    }

    /// Replaces the checkpoint: after a crash at any point the old or the new one is there.
    ///
    /// # Errors
    /// When it cannot be written; the old one is still there.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), Problem> {
        let (path, fresh) = (self.folder.join(NAME), self.folder.join(FRESH));
        let write = || -> io::Result<()> {
            let mut text = serde_json::to_vec(checkpoint)?;
            text.push(b'\n');
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(failed("write", &path))
    }
}
