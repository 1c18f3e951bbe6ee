//! Which files there are, and their bytes.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::Counters;
use super::files::Files;
use super::format::{Kind, Name};

/// A file at rest.
#[derive(Debug)]
struct Kept {
    name: Name,
    bytes: u64,
    /// Time of the spool's clock when it was new, and how old it was then.
    born: Duration,
    aged: Duration,
}

/// Sealed segments, and those put aside.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    sealed: BTreeMap<u64, Kept>,
    handed_out: Option<u64>,
    aside: BTreeMap<u64, Kept>,
    /// Files that could not be removed.
    doomed: Vec<(String, u64)>,
    /// Bytes of all files of the spool, open ones included.
    pub(super) bytes: u64,
    /// When losses were told.
    pub(super) told_at: Duration,
}

impl Shelf {
    pub(super) fn put(&mut self, name: &Name, bytes: u64, born: Duration) {
        let name = name.clone();
        self.sealed.insert(name.number, Kept { name, bytes, born, aged: Duration::ZERO });
    }

    /// Of an earlier run.
    pub(super) fn put_old(&mut self, name: &Name, bytes: u64, aged: Duration) {
        let name = name.clone();
        self.sealed.insert(name.number, Kept { name, bytes, born: Duration::ZERO, aged });
    }

    /// A segment was this old when the spool's clock began.
    pub(super) fn is_old(&mut self, number: u64, aged: Duration) {
        if let Some(kept) = self.sealed.get_mut(&number) {
            kept.aged = aged;
        }
    }

    pub(super) fn put_aside(&mut self, name: &Name, bytes: u64) {
        let kept = Kept { name: name.clone(), bytes, born: Duration::ZERO, aged: Duration::ZERO };
        self.aside.insert(name.number, kept);
    }

    pub(super) fn first(&self) -> Option<Name> {
        self.sealed.values().next().map(|kept| kept.name.clone())
    }

    pub(super) const fn hand_out(&mut self, number: u64) {
        self.handed_out = Some(number);
    }

    /// Takes a segment off the shelf: its file and its bytes are up to the caller.
    pub(super) fn take(&mut self, number: u64) -> Option<(Name, u64)> {
        if self.handed_out == Some(number) {
            self.handed_out = None;
        }
        self.sealed.remove(&number).map(|kept| (kept.name, kept.bytes))
    }

    /// Removes the file of a segment that was taken. When that fails it is tried again.
    pub(super) fn remove(&mut self, files: &mut impl Files, name: &Name, bytes: u64) {
        self.remove_file(files, name.text(), bytes);
    }

    fn remove_file(&mut self, files: &mut impl Files, name: String, bytes: u64) {
        match files.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.doomed.push((name, bytes));
            }
            _ => self.bytes = self.bytes.saturating_sub(bytes),
        }
    }

    pub(super) fn remove_doomed(&mut self, files: &mut impl Files) {
        for (name, bytes) in std::mem::take(&mut self.doomed) {
            self.remove_file(files, name, bytes);
        }
    }

    pub(super) fn remove_aside(&mut self, files: &mut impl Files, name: &Name) {
        let Some(kept) = self.aside.remove(&name.number) else { return };
        // Only those that were refused have a reason beside them.
        if name.kind == Kind::Refused {
            let _gone = files.remove(&format!("{}.txt", name.text()));
        }
        self.remove_file(files, name.text(), kept.bytes);
    }

    /// One that is too many of its kind: the oldest.
    pub(super) fn excess_aside(&self, kind: Kind, most: usize) -> Option<Name> {
        let mut of_kind = self.aside.values().filter(|kept| kept.name.kind == kind);
        let count = of_kind.clone().count();
        of_kind.next().filter(|_| count > most).map(|kept| kept.name.clone())
    }

    pub(super) fn oldest_aside(&self) -> Option<Name> {
        self.aside.values().next().map(|kept| kept.name.clone())
    }

    /// The oldest segment that nobody delivers at the moment.
    pub(super) fn oldest_at_rest(&self) -> Option<u64> {
        self.sealed.keys().copied().find(|number| Some(*number) != self.handed_out)
    }

    pub(super) fn count(&self, counters: &mut Counters, now: Duration) {
        counters.bytes = self.bytes;
        counters.segments = self.sealed.len() as u64;
        counters.records = self.sealed.values().map(|kept| kept.name.records).sum();
        let age = |kept: &Kept| now.saturating_sub(kept.born).saturating_add(kept.aged);
        counters.oldest = self.sealed.values().map(age).max();
    }
}
