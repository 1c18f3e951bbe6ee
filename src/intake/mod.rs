//! Where a live run takes in what comes by other ways than packets: followed log files, and servers
//! that proxies talk to.
//!
//! An intake has threads (or a runtime) of its own, recognises what it reads with a
//! [`Tap`](crate::mcp::Tap) of its own, and hands [`Parcel`]s of observations to the run through an
//! [`Outlet`].

pub mod checkpoint;
mod clock;
pub mod icap;
mod lines;
mod listen;
pub mod push;
mod stream;
pub mod syslog;
pub mod tail;
#[cfg(test)]
mod testing;
pub mod tls;

use std::fmt;

pub use listen::Running;

use crate::flow::At;
use crate::observation::{ExchangeId, Observation};
use crate::rules::{RuleInfo, Severity};
use std::sync::Arc;

/// What an intake hands over at once.
#[derive(Debug, Default)]
pub struct Parcel {
    /// In the order they happened.
    pub observations: Vec<Observation>,
    /// How far the intake is with this parcel; told back once it is taken in and its events are
    /// with the outputs.
    pub mark: Option<Mark>,
    /// What was counted since the parcel before.
    pub counts: Counts,
}

/// A place in a source, which the source can begin at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Number of the source in the run, as in [`At::of_line`].
    pub source: u16,
    /// A number that only grows; the source knows what it stands for.
    pub sequence: u64,
}

/// What came in, since it was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of the source in the run.
    pub source: u16,
    /// Lines, or requests of a proxy.
    pub lines: u64,
    /// Those that said something of traffic.
    pub records: u64,
    /// Those that could not be read.
    pub bad: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that the source had to turn away, because the run could not keep up.
    pub turned_away: u64,
}

/// Something that was refused, and why.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The rule that decided.
    pub rule: Arc<RuleInfo>,
    /// Severity of the match.
    pub severity: Severity,
    /// What happened, one line, masked.
    pub text: String,
}

/// The answer to a question: `None` lets it through.
pub type Verdict = Option<Refusal>;

/// Takes the answer, on the run's thread: must not wait for anything.
pub type Reply = Box<dyn FnOnce(Verdict) + Send>;

/// The run has no room, or has ended.
#[derive(Debug)]
pub enum NotTaken {
    /// No room now: to be tried again later, or turned away.
    Full(Parcel),
    /// The run is over.
    Closed,
}

/// The way into a run. Cheap to clone behind an [`Arc`]; none of its calls waits.
pub trait Outlet: Send + Sync + fmt::Debug {
    /// A number that no other flow of the run has.
    fn flow(&self) -> u64;

    /// The line with this number of a source, at a time.
    fn at(&self, source: u16, number: u64, time: crate::time::Timestamp) -> At {
        At::of_line(source, number, time)
    }

    /// Hands over observations.
    ///
    /// # Errors
    /// When there is no room, or nobody takes them any more.
    fn offer(&self, parcel: Parcel) -> Result<(), NotTaken>;

    /// The same, and asks whether a rule of the enforce lane decides on the exchange. `reply` is
    /// called once, or dropped if the run ends before.
    ///
    /// # Errors
    /// Likewise; `reply` is then dropped.
    fn ask(&self, parcel: Parcel, exchange: ExchangeId, reply: Reply) -> Result<(), NotTaken>;
}
