//! The contract between events and whoever takes them over a network: nothing is forgotten before
//! it was taken, and nothing that takes long makes the sensor wait.
//!
//! Events become records of an output ([`Encode`]), records become segments: batches on disk, each
//! with a token that is the same on every try. A segment is removed when [`Deliver`] says that it
//! was taken, or can never be.

pub mod spool;
mod worker;

use std::fmt;
use std::future::Future;

pub use worker::{Farewell, Full, Limits, Options, Outbox, Stats, Told, Unsent};

/// Records that belong together: a table, or the only stream of an output that knows none.
pub type Stream = &'static str;

/// A batch, as it is stored and delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number within the spool; segments are delivered in this order.
    pub number: u64,
    /// Where its records go, a table for example.
    pub stream: String,
    /// The same on every try, and different from that of all other segments: hexadecimal.
    pub token: String,
    /// Version of the tables that the records were written for.
    pub schema: u32,
    /// Number of records.
    pub records: u64,
    /// The records, each ending with a newline.
    pub body: Vec<u8>,
}

/// Why a segment was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It may be taken later: the network, a server that is busy or restarting.
    Retry(String),
    /// No segment will be taken until somebody does something: a wrong password, a missing table.
    /// It is tried again, rarely; segments are kept.
    Stop(String),
    /// This segment will never be taken, others may be: it is put aside and told of.
    Drop(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Retry(text) | Self::Stop(text) | Self::Drop(text)) = self;
        f.write_str(text)
    }
}

/// Takes segments over a network. Called from one task, one segment at a time.
pub trait Deliver: Send {
    /// Returns when the other side has the segment for good. A segment may come again with the
    /// same token after an error: it may have been taken in spite of it.
    fn deliver(&mut self, segment: &Segment) -> impl Future<Output = Result<(), Trouble>> + Send;
}

/// Makes records out of lines of NDJSON, as the files have them.
pub trait Encode: Send {
    /// Calls `put` for each record that the line gives, without a newline; not at all when the
    /// output does not want it.
    ///
    /// # Errors
    /// Why the line is none of ours.
    fn encode(&mut self, line: &[u8], put: &mut dyn FnMut(Stream, &[u8])) -> Result<(), String>;
}

/// What somebody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// For completeness.
    Note(String),
    /// It may pass by itself.
    Warning(String),
    /// Something was lost, or will be unless somebody does something.
    Error(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(text) => write!(f, "notice: {text}"),
            Self::Warning(text) => write!(f, "warning: {text}"),
            Self::Error(text) => write!(f, "error: {text}"),
        }
    }
}
