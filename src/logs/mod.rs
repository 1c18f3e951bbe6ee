//! Logs of proxies and of other sensors into exchanges. Sans-IO: bytes in, steps of exchanges out.
//!
//! ```text
//!   bytes ─ lines ─ format: a table of fields ─ Record ─ feed ─ exchange events (the seam)
//! ```
//!
//! - [`Format`] is how one kind of log is read; each has a file in [`mod@format`] with the table of
//!   what its fields mean ([`Meaning`]).
//! - A [`Record`] is what one line says, whatever the format, and nothing else: what a line does
//!   not say stays open, and [`Visibility::Log`](crate::exchange::Visibility::Log) tells everyone
//!   after it so.
//! - [`feed()`] gives a record's steps to an [`ExchangeSink`](crate::exchange::ExchangeSink).
//! - A line that cannot be read is a [`Reason`], counted and sampled by [`Reader`]; it never stops
//!   the reading.

mod clock;
mod detect;
mod endpoint;
mod feed;
pub mod format;
mod framing;
mod meaning;
mod reader;
mod record;

pub use clock::timestamp;
pub use detect::detect;
pub use feed::{Place, Scratch, feed};
pub use framing::{Piece, Splitter};
pub use meaning::{Meaning, Value};
pub use reader::{BadLine, Counters, Reader};
pub use record::{Record, Text};

use std::borrow::Cow;
use std::fmt;

/// Where what is logged stands between client and server, which says whose the address is that
/// the client talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// An explicit or intercepting proxy: clients come to it for any server.
    Forward,
    /// It is the server, as far as clients know (reverse proxies, gateways, load balancers).
    Reverse,
    /// It only looks on (sensors, browsers' own records): addresses are those of the flow.
    Observer,
}

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A record.
    Record,
    /// Nothing that says something of traffic: a comment, a header, an event of another kind.
    Nothing,
}

/// Why a line could not be read: short, without the line itself (which may hold secrets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(pub Cow<'static, str>);

impl Reason {
    /// A reason that is always the same.
    #[must_use]
    pub const fn of(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the lines of one file or stream, in order. May keep what header lines say.
pub trait Format: Send + fmt::Debug {
    /// Takes one line, without its line end; never empty. `record` is empty.
    ///
    /// # Errors
    /// When the line is not of this format. What was put into the record is then not used.
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason>;
}

/// How a file falls into what [`Format::line`] is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Lines that end in LF or CR LF.
    Lines,
    /// One JSON document, of which the elements of the array at this path are given one by one.
    Elements(&'static [&'static str]),
    /// JSON documents one after the other, each on a line or on many.
    Documents,
}

/// How sure it is that the beginning of a file is of a format. The best one wins; of equals the one
/// listed first in [`format::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likelihood {
    /// It is not.
    #[default]
    No,
    /// It can be read as it, as much else can.
    Possible,
    /// It looks like it.
    Likely,
    /// Names or a header that nothing else has.
    Certain,
}

/// One format.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Name on the command line, lower case with hyphens: `squid`, `cloudflare-gateway-http`.
    pub name: &'static str,
    /// For people: `Squid, native access.log`.
    pub title: &'static str,
    /// Where it stands.
    pub stance: Stance,
    /// What is given to [`Format::line`].
    pub framing: Framing,
    /// Judges the beginning of a file: whole lines, the first of them the first of the file, at
    /// most [`MAX_SNIFFED_BYTES`].
    pub sniff: fn(&[u8]) -> Likelihood,
    /// A reader for a file from its beginning, or from anywhere if it has no header lines.
    pub open: fn() -> Box<dyn Format>,
}

/// So much of a file's beginning is looked at to see what it is.
pub const MAX_SNIFFED_BYTES: usize = 64 << 10;
/// Longest line that is read, in bytes; a longer one is a bad line, and reading goes on after it.
pub const MAX_LINE_BYTES: usize = 1 << 20;
