//! The few things that a spool asks of a file system, so that tests can put one under it that
//! crashes.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the lock file.
const LOCK: &str = "lock";

/// A file of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Time since it was last written.
    pub age: Duration,
}

/// A directory of files. Names have no slashes.
pub trait Files: Send {
    /// Makes an empty file.
    ///
    /// # Errors
    /// When it exists, and those of the system.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Writes bytes at the end of a file.
    ///
    /// # Errors
    /// Those of the system; a part of the bytes may have been written.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file.
    ///
    /// # Errors
    /// Those of the system.
    fn truncate(&mut self, name: &str, bytes: u64) -> io::Result<()>;
    /// Returns when the bytes of a file are on the disk.
    ///
    /// # Errors
    /// Those of the system.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Gives a file another name, whose file it replaces.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// Those of the system.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// All files, in any order.
    ///
    /// # Errors
    /// Those of the system.
    fn list(&mut self) -> io::Result<Vec<Listed>>;
    /// A whole file.
    ///
    /// # Errors
    /// Those of the system.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;
    /// Returns when creations, renames and removals are on the disk.
    ///
    /// # Errors
    /// Those of the system.
    fn sync_directory(&mut self) -> io::Result<()>;
}

/// A real directory. It is locked: no other process has it open as a spool.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Files that are written.
    open: HashMap<String, File>,
    /// Holds the lock as long as it is open.
    _lock: File,
}

impl Directory {
    /// Makes it if need be, readable for nobody else, and locks it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            format!("cannot make the spool {shown}: {error}; choose a folder that you may write to")
        })?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = lock.open(path.join(LOCK)).map_err(|error| {
            format!(
                "cannot write to the spool {shown}: {error}; choose a folder that you may write to"
            )
        })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "the spool {shown} is in use by another process; give each its own"
                ));
            }
            Err(TryLockError::Error(error)) => {
                return Err(format!("cannot lock the spool {shown}: {error}"));
            }
        }
        Ok(Self { path: path.to_owned(), open: HashMap::new(), _lock: lock })
    }

    fn written(&mut self, name: &str) -> io::Result<&mut File> {
        if !self.open.contains_key(name) {
            let file = OpenOptions::new().append(true).open(self.path.join(name))?;
            self.open.insert(name.to_owned(), file);
        }
        self.open.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Files for Directory {
    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        // It neither follows links nor takes a file that somebody else writes.
        let options = options.append(true).create_new(true).mode(0o600);
        self.open.insert(name.to_owned(), options.open(self.path.join(name))?);
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.written(name)?.write_all(bytes)
    }

    fn truncate(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        self.written(name)?.set_len(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.written(name)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open.remove(from);
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open.remove(name);
        fs::remove_file(self.path.join(name))
    }

    fn list(&mut self) -> io::Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // Files of a spool have names of its own; others are left alone.
            let (Ok(name), Ok(data)) = (entry.file_name().into_string(), entry.metadata()) else {
                continue;
            };
            if data.is_file() {
                let age = data.modified().ok().and_then(|time| time.elapsed().ok());
                listed.push(Listed { name, bytes: data.len(), age: age.unwrap_or_default() });
            }
        }
        Ok(listed)
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let mut first = Directory::open(&path).unwrap();
        let error = Directory::open(&path).unwrap_err();
        assert!(error.contains("in use by another process"), "{error}");
        first.create("x").unwrap();
        first.append("x", b"12").unwrap();
        first.append("x", b"34").unwrap();
        first.truncate("x", 3).unwrap();
        first.append("x", b"5").unwrap();
        first.sync("x").unwrap();
        first.rename("x", "y").unwrap();
        first.sync_directory().unwrap();
        assert_eq!(first.read("y").unwrap(), b"1235");
        assert_eq!(first.create("y").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(first);
        let mut again = Directory::open(&path).unwrap();
        let names: Vec<_> = again.list().unwrap().into_iter().map(|file| file.name).collect();
        assert!(names.contains(&"y".to_owned()), "{names:?}");
        again.remove("y").unwrap();
        assert!(again.read("y").is_err());
    }
}
