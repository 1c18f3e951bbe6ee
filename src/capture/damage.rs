//! Where a capture can no longer be read, and why.

use std::fmt;
use std::io;

/// How a capture ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DamageKind {
    /// The file stops inside a record, or a compressed file inside its stream.
    Truncated,
    /// A record, or the compressed stream, says something that cannot be.
    Corrupt,
    /// The operating system failed to read the file.
    Unreadable,
}

/// The end of what can be read. Every packet before it has been delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Byte offset of the first record that cannot be read, in the decompressed capture.
    pub offset: u64,
    /// Packets delivered before it.
    pub packets_before: u64,
    /// What is wrong, in words.
    pub reason: String,
    /// What sort of damage it is.
    pub kind: DamageKind,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, packets_before, reason, kind } = self;
        let what = match kind {
            DamageKind::Truncated => "cut short",
            DamageKind::Corrupt => "corrupt",
            DamageKind::Unreadable => "unreadable",
        };
        write!(f, "{what} at byte {offset}, after {packets_before} packets: {reason}")
    }
}

/// What framing finds wrong: a [`Damage`] before the packets are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: u64,
    pub(super) kind: DamageKind,
    pub(super) reason: String,
}

impl Fault {
    pub(super) fn corrupt(offset: u64, reason: impl Into<String>) -> Self {
        Self { offset, kind: DamageKind::Corrupt, reason: reason.into() }
    }

    /// The file ends inside `what`, which should have `expected` bytes.
    pub(super) fn truncated(offset: u64, what: &str, expected: u64, got: u64) -> Self {
        let reason = format!("the file ends inside {what}: {expected} bytes expected, {got} there");
        Self { offset, kind: DamageKind::Truncated, reason }
    }

    /// A read failed, of the file or of its decompression, inside the record at `offset`.
    pub(super) fn read(offset: u64, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::UnexpectedEof => DamageKind::Truncated,
            io::ErrorKind::InvalidData => DamageKind::Corrupt,
            _ => DamageKind::Unreadable,
        };
        Self { offset, kind, reason: error.to_string() }
    }

    pub(super) fn after(self, packets_before: u64) -> Damage {
        let Self { offset, kind, reason } = self;
        Damage { offset, packets_before, reason, kind }
    }
}
