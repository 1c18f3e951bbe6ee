//! The directory that keeps a [`Memory`] between runs: the only part that does I/O.
//!
//! - `state.json`: the memory. Written to `state.json.new`, synced, and moved into place, so that
//!   after a crash at any point the old one or the new one is there. Mode 0600: it holds what
//!   servers list, addresses of clients and keyed hashes of credentials, no secrets.
//! - `lock`: held by the one program that may write. The operating system frees it when the
//!   program ends, however it ends.
//! - `state.damaged-<n>.json`: a state that could not be read. It is moved there when the store is
//!   opened and an empty memory takes its place, for a sensor that does not start sees nothing;
//!   it is never deleted.
//!
//! A state of another version of the program is left alone, and the store does not open.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Memory, Unreadable};

/// Longest state file. A longer one is not opened, and not written.
pub const MAX_STATE_BYTES: u64 = 512 << 20;
/// States that were moved aside; with so many, the store does not open.
const MAX_DAMAGED: u32 = 100;

const STATE: &str = "state.json";
const FRESH: &str = "state.json.new";
const LOCK: &str = "lock";

/// Why a store cannot be opened or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Something about a file or directory failed.
    Io {
        /// What could not be done: `read`, `write`.
        action: &'static str,
        /// To which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another program has the store open.
    Locked {
        /// Its lock file.
        path: PathBuf,
    },
    /// The state is of another version of the program.
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its `schema`.
        schema: String,
    },
    /// The state is longer than [`MAX_STATE_BYTES`].
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The state is damaged, and so were too many before it.
    TooManyDamaged {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Locked { path } => write!(
                f,
                "{} is locked: another shadowtap uses this state directory; stop it, or give this \
                 one a directory of its own",
                path.display()
            ),
            Self::OtherVersion { path, schema } => write!(
                f,
                "{} is `{schema}`, which this version does not know; use the version that wrote \
                 it, or move the file away to start anew",
                path.display()
            ),
            Self::TooLong { path } => write!(
                f,
                "{} is longer than {MAX_STATE_BYTES} bytes; move the file away to start anew",
                path.display()
            ),
            Self::TooManyDamaged { path } => write!(
                f,
                "{} is damaged, as {MAX_DAMAGED} were before it; find out why, and move the \
                 state.damaged-*.json files away",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What the user should be told of a store that was opened all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The state could not be read, and the memory is empty.
    Damaged {
        /// The file that was damaged.
        path: PathBuf,
        /// Where it is now.
        moved_to: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Damaged { path, moved_to, why } = self;
        write!(
            f,
            "{} is damaged ({why}): moved to {}, and nothing is remembered",
            path.display(),
            moved_to.display()
        )
    }
}

/// An open state directory: nobody else writes to it while this lives.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// Locked.
    _lock: File,
}

/// Opens a state directory, which is made (mode 0700) if it is not there, and reads its state into
/// `memory`: an empty one, with the bounds and functions that are wanted.
///
/// # Errors
///
/// When another program has it open, or the state is there and neither readable nor damaged.
pub fn open(
    directory: &Path,
    mut memory: Memory,
) -> Result<(Store, Memory, Option<Notice>), Error> {
    let at = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(directory).map_err(at("create", directory))?;
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(&path).map_err(at("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Error::Locked { path }),
        Err(TryLockError::Error(source)) => return Err(at("lock", &path)(source)),
    }
    let store = Store { directory: directory.to_owned(), _lock: lock };
    let path = directory.join(STATE);
    let Some(text) = read(&path)? else { return Ok((store, memory, None)) };
    let notice = match memory.load_state(&text) {
        Ok(()) => None,
        Err(Unreadable::OtherVersion(schema)) => return Err(Error::OtherVersion { path, schema }),
        Err(Unreadable::Damaged(why)) => {
            let moved_to = store.move_aside(&path)?;
            Some(Notice::Damaged { path, moved_to, why })
        }
    };
    Ok((store, memory, notice))
}

/// The bytes of a file; `None` when there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let fail = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let mut text = Vec::new();
    file.take(MAX_STATE_BYTES + 1).read_to_end(&mut text).map_err(fail)?;
    if text.len() as u64 > MAX_STATE_BYTES {
        return Err(Error::TooLong { path: path.to_owned() });
    }
    Ok(Some(text))
}

impl Store {
    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Replaces the state. When it returns, the new state survives a crash of the machine.
    ///
    /// # Errors
    ///
    /// When the state cannot be written; the old one is still there then.
    pub fn save(&self, memory: &Memory) -> Result<(), Error> {
        let (fresh, state) = (self.directory.join(FRESH), self.directory.join(STATE));
        let fail = |source| Error::Io { action: "write", path: fresh.clone(), source };
        let text = memory.to_state().map_err(|error| fail(error.into()))?;
        if text.len() as u64 > MAX_STATE_BYTES {
            return Err(Error::TooLong { path: state });
        }
        self.write_fresh(&fresh, &text).map_err(fail)?;
        let moved = fs::rename(&fresh, &state).and_then(|()| self.sync());
        moved.map_err(|source| Error::Io { action: "write", path: state, source })
    }

    fn write_fresh(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        // One that a crash left behind. What else is there is not ours to write through.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text)?;
        file.sync_all()
    }

    /// Makes renames survive a crash.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn move_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        for number in 1..=MAX_DAMAGED {
            let aside = self.directory.join(format!("state.damaged-{number}.json"));
            // Nobody else makes such files: the store is locked.
            if fs::symlink_metadata(&aside).is_ok() {
                continue;
            }
            let moved = fs::rename(path, &aside).and_then(|()| self.sync());
            let fail = |source| Error::Io { action: "move aside", path: path.to_owned(), source };
            return moved.map(|()| aside).map_err(fail);
        }
        Err(Error::TooManyDamaged { path: path.to_owned() })
    }
}
