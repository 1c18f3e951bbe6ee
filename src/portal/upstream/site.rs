//! What is known of a server, whoever calls it. Nothing of any person is kept here.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::config::Server;
use super::counters::Counters;
use super::{Conversation, Failure, Outgoing};

/// What a server spoke last is believed so long.
const ERA_HOLDS: Duration = Duration::from_secs(3_600);
/// Questions that find out what it speaks are answered within this.
pub(super) const PROBE: Duration = Duration::from_secs(10);

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Without sessions (MCP 2026-07-28).
    Modern,
    /// Beginning with `initialize`.
    Legacy,
    /// The same, by HTTP with SSE (MCP 2024-11-05).
    Sse,
}

/// Told to the operator: one line.
pub type Told = Arc<dyn Fn(&str) + Send + Sync>;

struct Teller(Told);

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Teller")
    }
}

/// One server.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) server: Server,
    pub(super) counters: Counters,
    pub(super) permits: Arc<Semaphore>,
    era: Mutex<Option<(Era, Instant)>>,
    numbers: AtomicI64,
    teller: Teller,
}

impl Site {
    pub(super) fn new(server: Server, told: Told) -> Arc<Self> {
        let permits = server.max_concurrent.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(permits)),
            server,
            counters: Counters::default(),
            era: Mutex::default(),
            numbers: AtomicI64::new(1),
            teller: Teller(told),
        })
    }

    pub(super) fn era(&self) -> Option<Era> {
        let era = *self.era.lock().unwrap_or_else(PoisonError::into_inner);
        era.filter(|(_, since)| since.elapsed() < ERA_HOLDS).map(|(era, _)| era)
    }

    pub(super) fn set_era(&self, era: Era) {
        let mut kept = self.era.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none_or(|(old, since)| old != era || since.elapsed() >= ERA_HOLDS) {
            *kept = Some((era, Instant::now()));
        }
    }

    pub(super) fn forget_era(&self) {
        *self.era.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// A call with the server's own patience, where that ends sooner.
    pub(super) fn bounded(&self, call: Outgoing) -> Outgoing {
        let Server { idle, total, .. } = self.server;
        Outgoing { idle: call.idle.min(idle), total: call.total.min(total), ..call }
    }

    /// Tells the operator what happens to the server.
    pub(super) fn tell(&self, what: &str) {
        (self.teller.0)(&format!("server {}: {what}", self.server.id));
    }

    /// Never the same twice.
    pub(super) fn number(&self) -> i64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    /// Counts what became of a call.
    pub(super) fn count(&self, done: &Result<Conversation, Failure>) {
        match done {
            Ok(_) => self.counters.answered(),
            Err(failure) => self.counters.failed(failure),
        }
    }
}
