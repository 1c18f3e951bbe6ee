//! A file system that crashes, in memory.
//!
//! Two kinds of crash. The process dies: what was done stays. The power fails: of what was not
//! synced, some operations happened and others did not, in their order; bytes that were not synced
//! are there, or zeros, or nothing.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::files::{Files, Listed};

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    Process,
    Power,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// What it held since the last sync, the first being what is on the disk.
    history: Vec<Vec<u8>>,
}

type Entries = BTreeMap<String, usize>;

#[derive(Debug, Default)]
pub(super) struct Disk {
    inodes: Vec<Inode>,
    entries: Entries,
    /// Entries since the last sync of the directory, the first being those on the disk.
    history: Vec<Entries>,
    /// Operations so far.
    pub(super) operations: u64,
    /// The operation that ends it.
    pub(super) crash_at: Option<u64>,
    pub(super) has_crashed: bool,
    /// Bytes that find room.
    pub(super) capacity: usize,
    pub(super) random: u64,
}

impl Disk {
    pub(super) fn new(random: u64) -> Self {
        Self { history: vec![Entries::new()], capacity: usize::MAX, random, ..Self::default() }
    }

    pub(super) fn random(&mut self, below: usize) -> usize {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below.max(1) as u64).unwrap()
    }

    /// An operation begins: `true` when it is the last, and may be half done.
    fn begin(&mut self) -> io::Result<bool> {
        if self.has_crashed {
            return Err(io::Error::other("crashed"));
        }
        let number = self.operations;
        self.operations += 1;
        self.has_crashed = self.crash_at == Some(number);
        Ok(self.has_crashed)
    }

    fn id(&self, name: &str) -> io::Result<usize> {
        self.entries.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: impl FnOnce(&mut Entries)) {
        change(&mut self.entries);
        self.history.push(self.entries.clone());
    }

    fn used(&self) -> usize {
        self.entries.values().map(|id| self.inodes[*id].bytes.len()).sum()
    }

    /// The machine is started again.
    pub(super) fn restart(&mut self, crash: Crash, crash_at: Option<u64>) {
        if crash == Crash::Power {
            let chosen = self.random(self.history.len());
            self.entries = self.history[chosen].clone();
            for index in 0..self.inodes.len() {
                let mut versions = self.inodes[index].history.clone();
                versions.push(self.inodes[index].bytes.clone());
                let chosen = self.random(versions.len());
                let mut bytes = versions[chosen].clone();
                let on_disk = versions[0].len().min(bytes.len());
                let kept = on_disk + self.random(bytes.len() - on_disk + 1);
                match self.random(3) {
                    0 => bytes.truncate(kept),
                    1 => bytes[kept..].fill(0),
                    _ => {}
                }
                self.inodes[index] = Inode { history: vec![bytes.clone()], bytes };
            }
            self.history = vec![self.entries.clone()];
        }
        self.has_crashed = false;
        self.operations = 0;
        self.crash_at = crash_at;
    }

    /// Changes a bit of a file, as a bad disk does.
    pub(super) fn damage(&mut self, ending: &str) {
        let (_, id) = self.entries.iter().find(|(name, _)| name.ends_with(ending)).unwrap();
        let bytes = &mut self.inodes[*id].bytes;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }
}

/// The disk, as one process sees it.
#[derive(Clone, Debug)]
pub(super) struct ModelFiles(pub(super) Arc<Mutex<Disk>>);

fn crashed() -> io::Error {
    io::Error::other("crashed")
}

impl Files for ModelFiles {
    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let is_last = disk.begin()?;
        if is_last && disk.random(2) == 0 {
            return Err(crashed());
        }
        if disk.entries.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        disk.inodes.push(Inode { bytes: Vec::new(), history: vec![Vec::new()] });
        let id = disk.inodes.len() - 1;
        disk.change(|entries| {
            entries.insert(name.to_owned(), id);
        });
        if is_last { Err(crashed()) } else { Ok(()) }
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let is_last = disk.begin()?;
        let id = disk.id(name)?;
        let room = disk.capacity.saturating_sub(disk.used());
        let done = if is_last { disk.random(bytes.len() + 1) } else { bytes.len() }.min(room);
        let inode = &mut disk.inodes[id];
        inode.history.push(inode.bytes.clone());
        inode.bytes.extend_from_slice(&bytes[..done]);
        if is_last {
            Err(crashed())
        } else if done < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn truncate(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let is_last = disk.begin()?;
        let id = disk.id(name)?;
        if !is_last || disk.random(2) == 0 {
            let inode = &mut disk.inodes[id];
            inode.history.push(inode.bytes.clone());
            inode.bytes.truncate(usize::try_from(bytes).unwrap());
        }
        if is_last { Err(crashed()) } else { Ok(()) }
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let is_last = disk.begin()?;
        let id = disk.id(name)?;
        if !is_last || disk.random(2) == 0 {
            let inode = &mut disk.inodes[id];
            inode.history = vec![inode.bytes.clone()];
        }
        if is_last { Err(crashed()) } else { Ok(()) }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let is_last = disk.begin()?;
        let id = disk.id(from)?;
        if !is_last || disk.random(2) == 0 {
            disk.change(|entries| {
                entries.remove(from);
                entries.insert(to.to_owned(), id);
            });
        }
        if is_last { Err(crashed()) } else { Ok(()) }
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let is_last = disk.begin()?;
        disk.id(name)?;
        if !is_last || disk.random(2) == 0 {
            disk.change(|entries| {
                entries.remove(name);
            });
        }
        if is_last { Err(crashed()) } else { Ok(()) }
    }

    fn list(&mut self) -> io::Result<Vec<Listed>> {
        let disk = self.0.lock().unwrap();
        let listed = disk.entries.iter().map(|(name, id)| Listed {
            name: name.clone(),
            bytes: disk.inodes[*id].bytes.len() as u64,
            age: Duration::from_secs(5),
        });
        Ok(listed.collect())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let disk = self.0.lock().unwrap();
        if disk.has_crashed {
            return Err(crashed());
        }
        disk.id(name).map(|id| disk.inodes[id].bytes.clone())
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        let is_last = disk.begin()?;
        if !is_last || disk.random(2) == 0 {
            disk.history = vec![disk.entries.clone()];
        }
        if is_last { Err(crashed()) } else { Ok(()) }
    }
}
