//! A run on interfaces, for weeks.
//!
//! ```text
//!   interface ─ reader: decode ─┐      ┌─ worker: shards ─┐
//!   interface ─ reader: decode ─┴─ lanes ─ worker: shards ─┴─ order ─ engine: analysis ─ observer
//! ```
//!
//! - **Interfaces** are one space of flows: two taps that each see one direction of a link belong
//!   together, and what is seen twice counts once, as retransmissions do. With
//!   [`Settings::separate_interfaces`] each is a world of its own.
//! - **Readers** never wait for workers. What they cannot hand on they shed by whole flows, and
//!   count (the text of `lanes` has the rule).
//! - **Workers** have the same shards as a replay; both directions of a flow, also under VLANs,
//!   are always on the same one. Nothing is shared but queues.
//! - **Order.** Observations are judged in packet order as long as no worker is more than two
//!   seconds behind, so that a live run finds what a replay of the same packets finds.
//! - **Time** is packet time. On an idle interface it follows the wall clock, half a second behind:
//!   flows expire and findings close although nothing comes.
//! - **Memory** is bounded everywhere: flows, inventory and open findings by their limits, queues by
//!   theirs, closed findings and old servers leave.
//! - **The observer** is told on the engine's thread and steers it: rules, approvals and catalog
//!   change between two observations, all at once.

mod clock;
mod crew;
mod engine;
mod inlet;
mod lanes;
mod names;
mod notice;
mod order;
mod reader;
mod tally;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use inlet::{Inlet, SourceName};
pub use names::MAX_INTERFACES;
pub use notice::Notice;

use super::analysis::Known;
use super::{Analysis, Config, Error, Policy};
use crate::capture::live::{LiveSource, PacketTap};
use crate::finding::{Finding, News};
use crate::intake::Mark;
use crate::mcp::inventory::Inventory;
use crate::memory::Memory;
use crate::rules::Severity;
use crate::sinks::event::{FlowEvent, MessageEvent, ServerEvent, StatsEvent};
use crate::time::Timestamp;
use crew::Crew;
use engine::{End, Engine, State};
use names::InterfaceNames;

/// How a live run is done, beside what any run has in [`Config`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between two statistics events; a second at least.
    pub stats_interval: Duration,
    /// The same five-tuple on two interfaces is two flows.
    pub separate_interfaces: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { stats_interval: Duration::from_secs(60), separate_interfaces: false }
    }
}

/// An interface to read, and who else sees its packets.
pub struct Feed<S> {
    /// The interface.
    pub source: S,
    /// Sees every packet, on the reader's thread.
    pub tap: Option<Box<dyn PacketTap>>,
}

impl<S: LiveSource> std::fmt::Debug for Feed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("source", &self.source.name())
            .field("tap", &self.tap.is_some())
            .finish()
    }
}

/// Why statistics are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A second has passed: for metrics.
    Second,
    /// An interval has passed: for the outputs.
    Interval,
    /// Somebody asked.
    Asked,
    /// The run is over.
    Last,
}

/// How the threads are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Since the run began.
    pub elapsed: Duration,
    /// Workers that have not done anything for ten seconds.
    pub stalled_workers: usize,
    /// Readers that have not.
    pub stalled_readers: usize,
    /// Servers that speak MCP.
    pub servers: usize,
    /// Findings whose window is open.
    pub findings: usize,
}

impl Health {
    /// Every thread makes progress.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.stalled_workers == 0 && self.stalled_readers == 0
    }
}

/// What the engine is to do next.
#[derive(Debug)]
pub enum Command {
    /// Go on.
    Go,
    /// Tell the statistics now.
    Report,
    /// Follow another policy from now on. What is known of servers and open findings stays.
    Reload(Box<Policy>),
    /// A new policy was wanted, but has problems: the old one stays. Counted.
    ReloadFailed,
    /// Stop capturing, look at what is under way, and end.
    Stop,
}

/// Who watches a live run. All calls come on the thread that called [`watch`]; the longer they
/// take, the longer everything else waits.
pub trait LiveObserver {
    /// Whether messages and flows are wanted at all.
    fn wants_messages(&self) -> bool;
    /// A message was seen.
    fn message(&mut self, event: &MessageEvent);
    /// A flow is over that led to a server which speaks MCP, or to a hint of one.
    fn flow(&mut self, event: &FlowEvent) {
        let _ = event;
    }
    /// A server has proved to speak MCP, or something is new of it since the last statistics. At
    /// the end all are told of which something is new.
    fn server(&mut self, event: &ServerEvent);
    /// A finding began, got worse, or will not change any more.
    fn finding(&mut self, finding: &Finding, news: News);
    /// The counters of all stages.
    fn stats(&mut self, stats: &StatsEvent, occasion: Occasion);
    /// What lists taught so far: every minute or so, to be kept for the next run.
    fn memory(&mut self, memory: &Memory) {
        let _ = memory;
    }
    /// Something happened to the sensor.
    fn notice(&mut self, notice: &Notice);
    /// Everything that an intake gave up to this mark is taken in, and its messages were told.
    fn taken(&mut self, mark: Mark) {
        let _ = mark;
    }
    /// Events that could not be put out, so far.
    fn lost_events(&self) -> u64 {
        0
    }
    /// Comes at least every 50 ms or so, and is where the run is steered. Files that are followed
    /// can be looked at here.
    fn turn(&mut self, now: Timestamp, health: &Health) -> Command;
}

/// What a live run gave.
#[derive(Debug)]
pub struct Watched {
    /// The servers.
    pub inventory: Inventory,
    /// The latest findings, a thousand at most, in the order in which they closed.
    pub findings: Vec<Finding>,
    /// Findings before those; they were told, and are not kept.
    pub earlier_findings: u64,
    /// The highest severity of all findings.
    pub worst: Option<Severity>,
    /// The last statistics.
    pub stats: StatsEvent,
    /// What lists taught, for the next run.
    pub memory: Memory,
    /// What exceptions and thresholds took, in words.
    pub remarks: Vec<String>,
    /// The policy that was in force at the end.
    pub policy: Policy,
}

/// Reads interfaces until the observer says [`Command::Stop`].
///
/// # Errors
/// When threads cannot be had, or one has panicked. Interfaces that come and go are no error.
pub fn watch<S: LiveSource + 'static>(
    config: &Config,
    settings: &Settings,
    policy: Policy,
    feeds: Vec<Feed<S>>,
    observer: &mut impl LiveObserver,
) -> Result<Watched, Error> {
    watch_with(config, settings, policy, feeds, Arc::default(), observer)
}

/// The same, and takes in what comes by an inlet. There may be no interface at all then.
///
/// # Errors
/// Likewise.
pub fn watch_with<S: LiveSource + 'static>(
    config: &Config,
    settings: &Settings,
    policy: Policy,
    feeds: Vec<Feed<S>>,
    inlet: Arc<Inlet>,
    observer: &mut impl LiveObserver,
) -> Result<Watched, Error> {
    let interfaces = feeds.iter().map(|feed| feed.source.name());
    let names = InterfaceNames::new(interfaces, Arc::clone(&inlet));
    let crew = Crew::start(config, settings, feeds, inlet)?;
    run(config, settings, policy, crew, names, observer)
}

fn run(
    config: &Config,
    settings: &Settings,
    mut policy: Policy,
    mut crew: Crew,
    names: InterfaceNames,
    observer: &mut impl LiveObserver,
) -> Result<Watched, Error> {
    let mut state = State::new(&crew, names, settings);
    let known = Known::live(config.inventory, config.findings);
    let mut known = known.with_memory(config.memory.clone());
    let (stats, remarks) = loop {
        let mut engine = Engine {
            policy: &policy,
            analysis: Analysis::resume(&policy, known),
            state: &mut state,
            crew: &mut crew,
            observer: &mut *observer,
        };
        if engine.crew.inlet.is_used() {
            engine.analysis.expect_other_sources();
        }
        let end = engine.run()?;
        let last = matches!(end, End::Stopped).then(|| {
            let stats = engine.finish();
            (stats, engine.analysis.remarks())
        });
        known = engine.analysis.into_known();
        match (end, last) {
            (End::Reload(next), _) => policy = *next,
            (End::Stopped, last) => break last.unwrap_or_default(),
        }
    };
    crew.join()?;
    let State { closed, forgotten, worst, .. } = state;
    let (inventory, memory) = known.into_parts();
    Ok(Watched {
        inventory,
        memory,
        remarks,
        findings: closed.into(),
        earlier_findings: forgotten,
        worst,
        stats,
        policy,
    })
}
