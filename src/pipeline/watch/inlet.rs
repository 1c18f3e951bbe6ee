//! The way of intakes into a live run.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::order::Done;
use crate::intake::{Counts, NotTaken, Outlet, Parcel, Reply};
use crate::observation::ExchangeId;
use crate::sinks::event::LogFile;

/// Arrivals that wait for the engine at most, parcels and what workers saw together.
const MAX_WAITING: usize = 256;
/// Marks flows that no packet has.
const NO_PACKETS: u64 = 1 << 63;
/// So long lines wait behind packets: what packets show of the same exchange is to be known then.
const BEHIND: Duration = Duration::from_secs(3);
/// Observations that wait so at most; then the oldest parcel goes first.
const MAX_HELD: usize = 65_536;

/// What the engine waits for.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A worker is done with a parcel of packets.
    Done(Done),
    /// An intake has something.
    Given(Parcel),
    /// The same, and it wants to know whether it is to be let through.
    Asked(Question),
}

/// A question of an intake.
pub(super) struct Question {
    pub(super) parcel: Parcel,
    pub(super) exchange: ExchangeId,
    pub(super) reply: Reply,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("exchange", &self.exchange).finish_non_exhaustive()
    }
}

/// A source of an intake, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceName {
    /// Name: a path, or an address that is listened at.
    pub name: Arc<str>,
    /// Its format or protocol.
    pub format: Arc<str>,
}

/// The way into a run: made before it, given to intakes, and then to
/// [`watch_with`](super::watch_with). Once the run is over, nothing is taken any more.
#[derive(Debug)]
pub struct Inlet {
    sender: RwLock<Option<SyncSender<Arrival>>>,
    receiver: Mutex<Option<Receiver<Arrival>>>,
    flows: AtomicU64,
    names: RwLock<Vec<SourceName>>,
}

impl Default for Inlet {
    fn default() -> Self {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        Self {
            sender: RwLock::new(Some(sender)),
            receiver: Mutex::new(Some(receiver)),
            flows: AtomicU64::new(NO_PACKETS),
            names: RwLock::default(),
        }
    }
}

impl Inlet {
    /// Adds a source; answers with its number, which sources of logs may be added at any time.
    /// Behind 65,535 sources all others share the last number.
    pub fn add_source(&self, source: SourceName) -> u16 {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() <= usize::from(u16::MAX) {
            names.push(source);
        }
        u16::try_from(names.len().saturating_sub(1)).unwrap_or(u16::MAX)
    }

    /// Whether there is any source.
    pub(super) fn is_used(&self) -> bool {
        !self.names.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// How many sources there are: the number of the next one.
    #[must_use]
    pub fn sources(&self) -> u16 {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        u16::try_from(names.len()).unwrap_or(u16::MAX)
    }

    /// The source of a number.
    pub(super) fn source(&self, number: u16) -> Option<SourceName> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::from(number)).cloned()
    }

    /// Both ends, for the run; `None` if another run has them.
    pub(super) fn ends(&self) -> Option<(SyncSender<Arrival>, Receiver<Arrival>)> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner).clone();
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        sender.zip(receiver)
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        *self.sender.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn send(&self, arrival: Arrival) -> Result<(), TrySendError<Arrival>> {
        match &*self.sender.read().unwrap_or_else(PoisonError::into_inner) {
            Some(sender) => sender.try_send(arrival),
            None => Err(TrySendError::Disconnected(arrival)),
        }
    }
}

impl Outlet for Inlet {
    fn flow(&self) -> u64 {
        self.flows.fetch_add(1, Relaxed)
    }

    fn offer(&self, parcel: Parcel) -> Result<(), NotTaken> {
        self.send(Arrival::Given(parcel)).map_err(not_taken)
    }

    fn ask(&self, parcel: Parcel, exchange: ExchangeId, reply: Reply) -> Result<(), NotTaken> {
        let question = Question { parcel, exchange, reply };
        self.send(Arrival::Asked(question)).map_err(not_taken)
    }
}

fn not_taken(error: TrySendError<Arrival>) -> NotTaken {
    match error {
        TrySendError::Full(Arrival::Given(parcel) | Arrival::Asked(Question { parcel, .. })) => {
            NotTaken::Full(parcel)
        }
        TrySendError::Full(Arrival::Done(_)) | TrySendError::Disconnected(_) => NotTaken::Closed,
    }
}

/// Parcels that wait until packets of their time are known.
#[derive(Debug)]
pub(super) struct Held {
    /// So long each waits.
    behind: Duration,
    parcels: VecDeque<(Duration, Parcel)>,
    observations: usize,
}

impl Held {
    /// Nothing waits where there are no packets.
    pub(super) fn new(has_packets: bool) -> Self {
        let behind = if has_packets { BEHIND } else { Duration::ZERO };
        Self { behind, parcels: VecDeque::new(), observations: 0 }
    }

    pub(super) fn push(&mut self, parcel: Parcel, now: Duration) {
        self.observations += parcel.observations.len();
        self.parcels.push_back((now, parcel));
    }

    /// The next parcel that has waited long enough; with `all`, the next one.
    pub(super) fn next(&mut self, now: Duration, all: bool) -> Option<Parcel> {
        let since = self.parcels.front()?.0;
        let is_due = now.saturating_sub(since) >= self.behind || self.observations > MAX_HELD;
        if !(is_due || all) {
            return None;
        }
        let (_, parcel) = self.parcels.pop_front()?;
        self.observations -= parcel.observations.len();
        Some(parcel)
    }
}

/// What came in by each source.
#[derive(Debug, Default)]
pub(super) struct Totals(Vec<Counts>);

impl Totals {
    pub(super) fn add(&mut self, counts: &Counts) {
        let at = usize::from(counts.source);
        if self.0.len() <= at {
            self.0.resize_with(at + 1, Counts::default);
        }
        if let Some(sum) = self.0.get_mut(at) {
            sum.lines += counts.lines;
            sum.records += counts.records;
            sum.bad += counts.bad;
            sum.bytes += counts.bytes;
            sum.turned_away += counts.turned_away;
        }
    }

    /// For the statistics.
    pub(super) fn files(&self, inlet: &Inlet) -> Vec<LogFile> {
        let named = (0..=u16::MAX).zip(&self.0).filter_map(|(number, counts)| {
            let SourceName { name, format } = inlet.source(number)?;
            Some(LogFile {
                file: name.to_string(),
                format: format.to_string(),
                lines: counts.lines,
                records: counts.records,
                bad_lines: counts.bad,
                turned_away: counts.turned_away,
                bytes: counts.bytes,
                stopped: None,
            })
        });
        named.collect()
    }
}
