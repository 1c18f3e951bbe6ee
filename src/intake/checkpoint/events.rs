//! The file of events that belongs to a checkpoint.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A file of events, and how much of it belongs to the lines of the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Its final name.
    pub path: String,
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// What a cut found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// There is no such file any more.
    Gone,
    /// It had this many bytes behind the checkpoint; they are gone.
    Done(u64),
    /// It lacks this many bytes that the checkpoint has.
    Short(u64),
}

impl Events {
    /// Of a file with its final name, of which so many bytes were handed to the system.
    ///
    /// # Errors
    /// When the system does not say which file it is.
    pub fn of(file: &File, path: &Path, bytes: u64) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let path = path.to_string_lossy().into_owned();
        Ok(Self { path, device: metadata.dev(), inode: metadata.ino(), bytes })
    }

    /// Shortens the file to what the checkpoint knows of it. `partial` is the ending of files that
    /// are not finished.
    ///
    /// # Errors
    /// When the file is there and cannot be cut.
    pub fn cut(&self, partial: &str) -> io::Result<Cut> {
        for path in [PathBuf::from(format!("{}{partial}", self.path)), PathBuf::from(&self.path)] {
            let file = match OpenOptions::new().write(true).open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            let metadata = file.metadata()?;
            if (metadata.dev(), metadata.ino()) != (self.device, self.inode) {
                continue;
            }
            if metadata.len() < self.bytes {
                return Ok(Cut::Short(self.bytes - metadata.len()));
            }
            if metadata.len() > self.bytes {
                file.set_len(self.bytes)?;
                file.sync_all()?;
            }
            return Ok(Cut::Done(metadata.len() - self.bytes));
        }
        Ok(Cut::Gone)
    }

    /// Gives a file that a killed run left its final name, if that is free.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn finish(&self, partial: &str) -> io::Result<()> {
        let path = PathBuf::from(format!("{}{partial}", self.path));
        let is_it = path.metadata().is_ok_and(|metadata| {
            (metadata.dev(), metadata.ino()) == (self.device, self.inode) && metadata.len() > 0
        });
        if is_it && !Path::new(&self.path).exists() {
            std::fs::rename(path, &self.path)?;
        }
        Ok(())
    }
}
