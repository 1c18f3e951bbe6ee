//! How much, how often, how many at once.
//!
//! Rates are kept for people, by issuer and subject, whatever client acts for them: another client
//! is no other budget. Memory is bounded by `max_tracked` for each table (some 200 bytes an entry)
//! and by the calls under way.

pub mod config;
mod gcra;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::guard::fits;
use super::principal::{Owner, Principal};
use super::wire::{RpcError, code};
pub use config::{Checked, Spec};
use table::Table;

/// Bounds on single messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Longest request body, in bytes.
    pub max_body_bytes: usize,
    /// Most arrays and objects inside of each other.
    pub max_depth: u32,
    /// Longest answer to one request, all its events together, in bytes.
    pub max_response_bytes: u64,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// Rate of a person.
    SubjectRate,
    /// Rate of a person at a tool.
    ToolRate,
    /// Rate of a server.
    ServerRate,
    /// Calls of a person under way.
    SubjectConcurrency,
    /// Calls to a server under way.
    ServerConcurrency,
    /// All calls under way.
    Concurrency,
    /// Length of the answer.
    ResponseBytes,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SubjectRate,
        Self::ToolRate,
        Self::ServerRate,
        Self::SubjectConcurrency,
        Self::ServerConcurrency,
        Self::Concurrency,
        Self::ResponseBytes,
    ];

    /// As in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SubjectRate => "subject-rate",
            Self::ToolRate => "tool-rate",
            Self::ServerRate => "server-rate",
            Self::SubjectConcurrency => "subject-concurrency",
            Self::ServerConcurrency => "server-concurrency",
            Self::Concurrency => "concurrency",
            Self::ResponseBytes => "response-bytes",
        }
    }
}

/// A call that may not begin, or an answer that may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub limit: Limit,
    /// When it is worth trying again; of concurrency, a guess.
    pub retry_after: Duration,
}

impl Refused {
    /// The error that the client gets.
    #[must_use]
    pub fn error(&self) -> RpcError {
        let kind = self.limit.as_str();
        let seconds = self.retry_after_seconds();
        let text = match self.limit {
            Limit::ResponseBytes => "refused: the answer is longer than it may be".to_owned(),
            _ => format!("refused: too many calls ({kind}); try again in {seconds} s"),
        };
        let data = serde_json::json!({"kind": kind, "retry_after_seconds": seconds});
        RpcError::with_data(code::REFUSED, &text, &data)
    }

    /// For `Retry-After` (RFC 9110 section 10.2.3): whole seconds, at least one.
    #[must_use]
    pub fn retry_after_seconds(&self) -> u64 {
        self.retry_after
            .as_secs()
            .saturating_add(u64::from(self.retry_after.subsec_nanos() > 0))
            .max(1)
    }
}

/// What is under way, and where everybody stands.
#[derive(Debug)]
struct State {
    checked: Arc<Checked>,
    subjects: Table<Owner>,
    servers: Table<Arc<str>>,
    tools: Table<(Owner, Arc<str>, Arc<str>)>,
    busy_subjects: HashMap<Owner, u32>,
    busy_servers: HashMap<Arc<str>, u32>,
    busy: u32,
}

/// The limits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limits {
    state: Arc<Mutex<State>>,
    begun: Instant,
}

/// A call under way; dropped when it ends.
#[derive(Debug)]
pub struct Permit {
    state: Arc<Mutex<State>>,
    subject: Owner,
    server: Arc<str>,
}

#[expect(clippy::disallowed_methods, reason = "rates are of the clock of the machine")]
fn now() -> Instant {
    Instant::now()
}

/// Whoever panicked left numbers, which are as good as before.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Limits {
    /// Begins.
    #[must_use]
    pub fn new(checked: Checked) -> Self {
        let max = checked.max_tracked;
        let state = State {
            checked: Arc::new(checked),
            subjects: Table::new(max),
            servers: Table::new(max),
            tools: Table::new(max),
            busy_subjects: HashMap::new(),
            busy_servers: HashMap::new(),
            busy: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), begun: now() }
    }

    /// Goes by something else from the next call on; whoever is at a limit stays there.
    pub fn replace(&self, checked: Checked) {
        lock(&self.state).checked = Arc::new(checked);
    }

    /// Bounds on single messages.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        lock(&self.state).checked.sizes
    }

    /// Calls under way.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        lock(&self.state).busy
    }

    /// How many people, servers, and pairs of person and tool are remembered.
    #[must_use]
    pub fn tracked(&self) -> [usize; 3] {
        let state = lock(&self.state);
        [state.subjects.len(), state.servers.len(), state.tools.len()]
    }

    /// Lets a call begin. `tool` is the server's own name of a tool or prompt, or a URI.
    ///
    /// # Errors
    /// Which limit was met; nothing is taken into account then.
    pub fn admit(
        &self,
        who: &Principal,
        server: &Arc<str>,
        tool: Option<&str>,
    ) -> Result<Permit, Refused> {
        self.admit_at(who, server, tool, now().saturating_duration_since(self.begun))
    }

    fn admit_at(
        &self,
        who: &Principal,
        server: &Arc<str>,
        tool: Option<&str>,
        now: Duration,
    ) -> Result<Permit, Refused> {
        let Owner { issuer, subject, .. } = &who.owner;
        let subject = Owner {
            issuer: Arc::clone(issuer),
            subject: Arc::clone(subject),
            // Whatever client acts for them.
            client: Arc::from(""),
        };
        let mut state = lock(&self.state);
        state.has_room(&subject, server)?;
        state.rates(&subject, server, tool, now)?;
        state.busy = state.busy.saturating_add(1);
        *state.busy_subjects.entry(subject.clone()).or_default() += 1;
        *state.busy_servers.entry(Arc::clone(server)).or_default() += 1;
        drop(state);
        Ok(Permit { state: Arc::clone(&self.state), subject, server: Arc::clone(server) })
    }
}

impl State {
    fn has_room(&self, subject: &Owner, server: &Arc<str>) -> Result<(), Refused> {
        let most = self.checked.concurrency;
        let of = |count: Option<&u32>| count.copied().unwrap_or(0);
        let limit = if self.busy >= most.all {
            Limit::Concurrency
        } else if of(self.busy_subjects.get(subject)) >= most.subject {
            Limit::SubjectConcurrency
        } else if of(self.busy_servers.get(server)) >= most.server {
            Limit::ServerConcurrency
        } else {
            return Ok(());
        };
        Err(Refused { limit, retry_after: Duration::from_secs(1) })
    }

    /// All rates, and only then any is taken into account.
    fn rates(
        &mut self,
        subject: &Owner,
        server: &Arc<str>,
        tool: Option<&str>,
        now: Duration,
    ) -> Result<(), Refused> {
        let checked = Arc::clone(&self.checked);
        let refused = |limit| move |retry_after| Refused { limit, retry_after };
        let of_tool = tool.and_then(|tool| {
            let fits_any = |patterns: &[String], name: &str| {
                patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, name))
            };
            let mut rates = checked.per_tool.iter();
            let found = rates
                .find(|rate| fits_any(&rate.servers, server) && fits_any(&rate.tools, tool))?;
            Some((found.rate, Arc::<str>::from(tool)))
        });
        let subject_taken = checked
            .per_subject
            .map(|rate| self.subjects.ask(subject.clone(), rate, now))
            .transpose()
            .map_err(refused(Limit::SubjectRate))?;
        let tool_taken = of_tool
            .map(|(rate, tool)| {
                let key = (subject.clone(), Arc::clone(server), tool);
                self.tools.ask(key, rate, now)
            })
            .transpose()
            .map_err(refused(Limit::ToolRate))?;
        let server_taken = checked
            .per_server
            .map(|rate| self.servers.ask(Arc::clone(server), rate, now))
            .transpose()
            .map_err(refused(Limit::ServerRate))?;
        subject_taken.into_iter().for_each(|taken| self.subjects.keep(taken));
        tool_taken.into_iter().for_each(|taken| self.tools.keep(taken));
        server_taken.into_iter().for_each(|taken| self.servers.keep(taken));
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.busy = state.busy.saturating_sub(1);
        if let Some(count) = state.busy_subjects.get_mut(&self.subject) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.busy_subjects.remove(&self.subject);
            }
        }
        if let Some(count) = state.busy_servers.get_mut(&self.server) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.busy_servers.remove(&self.server);
            }
        }
    }
}

/// Counts the bytes of one answer.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    left: u64,
}

impl Meter {
    /// For one answer.
    #[must_use]
    pub const fn new(sizes: Sizes) -> Self {
        Self { left: sizes.max_response_bytes }
    }

    /// So many bytes more.
    ///
    /// # Errors
    /// When the answer is longer than it may be.
    pub fn take(&mut self, bytes: u64) -> Result<(), Refused> {
        let refused = Refused { limit: Limit::ResponseBytes, retry_after: Duration::ZERO };
        self.left = self.left.checked_sub(bytes).ok_or(refused)?;
        Ok(())
    }
}
