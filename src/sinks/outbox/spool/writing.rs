//! Segments that are not whole yet, and the steps that make them whole. Each step may fail, and is
//! tried again from where it failed.

use std::io;
use std::time::Duration;

use super::Stream;
use super::files::Files;
use super::format::{Kind, Name};

/// A segment that records are appended to.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) name: Name,
    pub(super) stream: Stream,
    /// Whether the file exists.
    pub(super) is_made: bool,
    /// Bytes of the file that count.
    pub(super) bytes: u64,
    /// There may be others behind them.
    pub(super) is_torn: bool,
    pub(super) checksum: crc32fast::Hasher,
    /// Bytes that are not in the file.
    pub(super) waiting: Vec<u8>,
    pub(super) records: u64,
    pub(super) born: Duration,
}

/// A segment that has all its records, and lacks its last line or its name.
#[derive(Debug)]
pub(super) struct Sealing {
    pub(super) name: Name,
    /// Bytes of the file that count.
    pub(super) bytes: u64,
    pub(super) is_torn: bool,
    /// The last line, if it is not written.
    pub(super) end: Option<Vec<u8>>,
    pub(super) born: Duration,
}

impl Writing {
    pub(super) fn write(&mut self, files: &mut impl Files) -> io::Result<()> {
        let name = self.name.text();
        if !self.is_made {
            files.create(&name)?;
            self.is_made = true;
        }
        if self.is_torn {
            files.truncate(&name, self.bytes)?;
            self.is_torn = false;
        }
        if let Err(error) = files.append(&name, &self.waiting) {
            self.is_torn = true;
            return Err(error);
        }
        self.checksum.update(&self.waiting);
        self.bytes += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

impl Sealing {
    pub(super) fn finish(&mut self, files: &mut impl Files) -> io::Result<()> {
        let open = Name { records: 0, ..self.name.turned(Kind::Open) }.text();
        if let Some(end) = &self.end {
            if self.is_torn {
                files.truncate(&open, self.bytes)?;
                self.is_torn = false;
            }
            if let Err(error) = files.append(&open, end) {
                self.is_torn = true;
                return Err(error);
            }
            self.bytes += end.len() as u64;
            self.end = None;
        }
        files.sync(&open)?;
        files.rename(&open, &self.name.turned(Kind::Segment).text())?;
        // The segment is whole under either name: it may go out although this fails.
        files.sync_directory().or(Ok(()))
    }
}
