//! Where the reading of followed logs stands, kept across restarts: so that every line of a log
//! has its events in the NDJSON files exactly once, whenever the program was killed.
//!
//! # Protocol
//!
//! A [`Checkpoint`] is a pair: how far each log was taken in, and how long the file of events was
//! when all events of that and none of anything later were in it.
//!
//! 1. The tail gives parcels, each with a [`Mark`](super::Mark). The run takes parcels in one
//!    after the other, and a parcel whole: its messages are written to the output while it is, and
//!    [`Mark`](super::Mark) is told back behind the last of them. Between two parcels (where the
//!    run is steered) the output therefore holds all lines up to the last mark and no other.
//! 2. There, once a second: the output is handed to the system, its length is taken, and both
//!    go to the [`Keeper`], which syncs the events to the disk and only then replaces the
//!    checkpoint (a new file, synced, moved over the old one, the folder synced). The file of
//!    events is thus never shorter than the checkpoint says, after a loss of power too.
//! 3. At a start [`Events::cut`] shortens the file of the checkpoint to that length: what is behind
//!    it came from lines that the checkpoint does not have, and they are read again.
//! 4. A file of events is finished (synced and given its final name) only between two parcels, after
//!    a checkpoint with its whole length is on the disk; and the next one gets its first line after a
//!    checkpoint that names it with the length 0 is. So what may have to be cut is always one
//!    file, the one that the checkpoint names, and never one that has its final name: who takes
//!    finished files only never sees a line twice.
//!
//! The file of events is known by device and inode, not by name. If it is not there any more, or
//! shorter than it should be, that is told, and reading goes on all the same.
//!
//! # What holds for other outputs
//!
//! - Standard output (`--json`) cannot be cut: lines of the last second before a kill come again.
//! - The spools of outputs over a network have lines in memory for a tenth of a second, and what
//!   is in a spool is delivered, whatever the checkpoint says. A checkpoint waits until all lines
//!   before it are in the spools, so that none is lost; those behind it may be delivered twice, as
//!   rows of their own: at least once.
//! - Events of packets that were written behind the checkpoint are cut too, and do not come again:
//!   those of the last second before a kill, in a run that has interfaces beside logs.
//! - A finding whose window was open is begun anew by the lines that follow, as after any kill.
//!
//! # Bounds
//!
//! A checkpoint holds [`MAX_FILES`] positions of at most 70 KiB each; most have 400 bytes.

mod events;
mod keeper;
mod store;

use serde::{Deserialize, Serialize};

pub use events::{Cut, Events};
pub use keeper::Keeper;
pub use store::{CheckpointStore, Problem};

/// What the file says of itself.
const SCHEMA: &str = "shadowtap-logs/1";
/// Positions kept at most; the oldest of files that are read to their end go first.
pub const MAX_FILES: usize = 8_192;

/// The first or last bytes of what was taken of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Print {
    /// How many.
    pub bytes: u64,
    /// Their SHA-256, hexadecimal; empty for none.
    pub sha256: String,
}

impl Print {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        let sha256 = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: bytes.len() as u64, sha256 }
    }
}

/// How far a file was taken in, and how to know it again under another name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// What was named on the command line: a path, a folder or a pattern.
    pub argument: String,
    /// The path that is followed for it.
    pub followed: String,
    /// Where the file was when it was opened; links resolved.
    pub path: String,
    /// Device.
    pub device: u64,
    /// Inode; another file may get it once this one is gone.
    pub inode: u64,
    /// The first bytes, 1 KiB at most.
    pub head: Print,
    /// The last bytes before `offset`, 256 at most.
    pub last: Print,
    /// Behind the last line taken in, line end included, in bytes.
    pub offset: u64,
    /// Lines up to there.
    pub lines: u64,
    /// When the file was last written to, in nanoseconds since 1970.
    pub modified: i64,
    /// Name of the format; empty while it is not known.
    pub format: String,
    /// Lines that say how later ones are to be read.
    pub header: Vec<String>,
    /// It was read to its end, and has a successor or is gone.
    pub is_done: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Format of this file.
    schema: String,
    /// Files of logs, each followed path's in the order of reading.
    pub files: Vec<Position>,
    /// The file of events that belongs to it.
    pub events: Option<Events>,
}

impl Checkpoint {
    /// Of these positions.
    #[must_use]
    pub fn new(files: Vec<Position>, events: Option<Events>) -> Self {
        Self { schema: SCHEMA.to_owned(), files, events }
    }
}

#[cfg(test)]
mod tests;
