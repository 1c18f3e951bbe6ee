//! Wires the stages of the sensor together: captures in, inventory, findings and counters out.
//!
//! ```text
//!   capture ─ decode ─┬─ shard: flow ─ app ─ mcp ─┬─ analysis: inventory, rules, verdicts, findings
//!                     ├─ shard …                  │
//!                     └─ … 16 of them, on 1 to 16 threads, merged in packet order
//! ```

mod analysis;
mod contacts;
mod events;
mod flows;
mod gate;
mod hints;
mod host_names;
mod interest;
mod joins;
mod legs;
mod logs;
mod lookalikes;
mod lore;
mod place;
mod read;
mod recent;
mod recognise;
mod sample;
#[cfg(test)]
mod samples;
mod shard;
mod stats;
#[cfg(test)]
mod tests;
mod tuned;
pub mod watch;
mod workers;

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;

pub use analysis::{Analysis, Policy};
use analysis::{Listener, Tell, Told};
pub(crate) use contacts::shown_key;
pub use events::{server as server_event, shown_servers};
pub use logs::{LogInput, LogSummary};
pub use read::{Progress, Trouble};
pub use recognise::Recogniser;
pub use sample::{Sample, sample};
pub use shard::{Limits as ShardLimits, SHARDS};
pub use workers::WorkerPanicked;

use crate::app::Keyring;
use crate::capture::{self, Input};
use crate::decode::{self, Decoder};
use crate::finding::{self, Finding, Findings, PacketNames};
use crate::flow::At;
use crate::mcp::inventory::{self, Inventory};
use crate::memory::Memory;
use crate::secret::SecretHasher;
use crate::sinks::event::{FlowEvent, MessageEvent, StatsEvent};
use logs::Logs;
#[cfg(test)]
use read::Names;
use read::Reader;
use shard::Caused;
use workers::Workers;

/// How a run is done: bounds and choices, all with defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Threads for flows and recognition; 1 means the caller's own.
    pub threads: usize,
    /// The same five-tuple in two VLANs or tunnels is two flows.
    pub vlan_scope: bool,
    /// Hashes session ids.
    pub hasher: SecretHasher,
    /// Secrets of connections in TLS. Those that captures hold are added to it.
    pub keyring: Arc<Keyring>,
    /// Bounds of capture files.
    pub capture: capture::Limits,
    /// Bounds of decoding.
    pub decode: decode::Limits,
    /// Bounds of flows, HTTP and recognition.
    pub shards: ShardLimits,
    /// Bounds of the inventory.
    pub inventory: inventory::Limits,
    /// Bounds of findings.
    pub findings: finding::Limits,
    /// What lists taught in earlier runs.
    pub memory: Memory,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, NonZero::get).min(8),
            vlan_scope: true,
            hasher: SecretHasher::default(),
            keyring: Arc::default(),
            capture: capture::Limits::default(),
            decode: decode::Limits::default(),
            shards: ShardLimits::default(),
            inventory: inventory::Limits::default(),
            findings: finding::Limits::default(),
            memory: Memory::default(),
        }
    }
}

/// Who watches a run.
pub trait Observer {
    /// A message was seen. In packet order.
    fn message(&mut self, event: &MessageEvent);
    /// A flow is over that led to a server which speaks MCP, or to a hint of one. In packet order,
    /// but for those that have to wait until that is known.
    fn flow(&mut self, event: &FlowEvent) {
        let _ = event;
    }
    /// How far the run is.
    fn progress(&mut self, progress: Progress, findings: usize);
    /// Whether messages and flows are wanted at all.
    fn wants_messages(&self) -> bool;
}

/// Nobody watches.
impl Observer for () {
    fn message(&mut self, _: &MessageEvent) {}
    fn progress(&mut self, _: Progress, _: usize) {}
    fn wants_messages(&self) -> bool {
        false
    }
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// The servers.
    pub inventory: Inventory,
    /// The findings, in order of their first packets.
    pub findings: Vec<Finding>,
    /// What was read, and what could not be seen.
    pub stats: StatsEvent,
    /// Inputs that could not be read, or not to their end.
    pub troubles: Vec<Trouble>,
    /// What lists taught, for the next run.
    pub memory: Memory,
    /// What exceptions and thresholds took, in words.
    pub remarks: Vec<String>,
    /// The logs.
    pub logs: Vec<LogSummary>,
}

/// Why a run could not be done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system gave no thread.
    Thread(std::io::Error),
    /// A bug in a worker.
    Worker(WorkerPanicked),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thread(error) => write!(f, "cannot start a thread: {error}; try --threads 1"),
            Self::Worker(panicked) => panicked.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// Replays captures: the same inputs give the same outcome, whatever the number of threads.
///
/// # Errors
/// When threads cannot be had, or one has panicked. Bad captures are no error of the run but
/// [`Outcome::troubles`].
pub fn replay(
    config: &Config,
    policy: &Policy,
    inputs: Vec<Input>,
    observer: &mut impl Observer,
) -> Result<Outcome, Error> {
    replay_sampling(config, policy, inputs, Vec::new(), observer, &mut None)
}

/// The same, with logs beside the captures: what both show is one.
///
/// # Errors
/// Likewise. What is wrong with logs is in [`Outcome::logs`].
pub fn replay_with_logs(
    config: &Config,
    policy: &Policy,
    inputs: Vec<Input>,
    logs: Vec<LogInput>,
    observer: &mut impl Observer,
) -> Result<Outcome, Error> {
    replay_sampling(config, policy, inputs, logs, observer, &mut None)
}

/// The same; subjects are offered to a sample.
fn replay_sampling(
    config: &Config,
    policy: &Policy,
    inputs: Vec<Input>,
    logs: Vec<LogInput>,
    observer: &mut impl Observer,
    sample: &mut Option<Sample>,
) -> Result<Outcome, Error> {
    let keyring = &config.keyring;
    let workers = Workers::new(&config.shards, &config.hasher, keyring, config.threads)
        .map_err(Error::Thread)?;
    let decoder = Decoder::new(config.decode).with_vlan_scope(config.vlan_scope);
    for input in &inputs {
        capture::secrets(input, &config.capture, |secrets| {
            keyring.add_text(secrets);
        });
    }
    let mut reader = Reader::new(config.capture, decoder, workers, Arc::clone(keyring));
    let mut logs = Logs::new(logs, config.shards.mcp, &config.hasher);
    reader.name_logs(logs.names());
    let analysis = Analysis::new(policy, config.inventory, config.findings);
    let mut analysis = analysis.with_memory(config.memory.clone());
    analysis.sample = sample.take();
    if !logs.is_empty() {
        analysis.expect_other_sources();
    }
    for input in read::in_order(inputs, &config.capture) {
        reader.read(&input, &mut |names, progress, caused| {
            take_in(&mut analysis, policy, names, caused, &mut logs, observer);
            if progress.bytes > 0 {
                observer.progress(progress, analysis.findings().len());
            }
        });
    }
    let mut caused = Vec::new();
    let last = reader.finish(&mut caused);
    let (counters, decoder, troubles, names, workers) = reader.into_parts();
    take_in(&mut analysis, policy, &names, &mut caused, &mut logs, observer);
    if !logs.is_empty() {
        telling(policy, &names, observer, |tell| analysis.packets_are_over(tell));
    }
    let last_line = take_in_logs(&mut analysis, policy, &names, &mut logs, observer);
    let last = last_line.filter(|line| line.time > last.time).unwrap_or(last);
    telling(policy, &names, observer, |tell| analysis.finish_telling(last, tell));
    *sample = analysis.sample.take();
    let shards = workers.into_shards().map_err(Error::Worker)?;
    let remarks = analysis.remarks();
    let mut decoding = stats::Decoding::default();
    decoding.add(&decoder);
    let mut shards = stats::ShardCounters::of(&shards);
    shards.add_tap(logs.tap_counters());
    let captures = stats::captures(&counters, &names, &troubles);
    let mut stats = stats::gather(&counters, &decoding, &shards, &analysis, captures);
    let logs = logs.into_summaries();
    stats.logs = logs::files(&logs);
    stats.timestamp = stats.timestamp.max(last.time);
    let (inventory, findings, memory) = analysis.into_parts();
    let findings = Findings::finish(findings, &names);
    Ok(Outcome { inventory, findings, stats, troubles, memory, remarks, logs })
}

fn take_in(
    analysis: &mut Analysis<'_>,
    policy: &Policy,
    names: &dyn PacketNames,
    caused: &mut Vec<Caused>,
    logs: &mut Logs,
    observer: &mut impl Observer,
) {
    telling(policy, names, observer, |tell| {
        for Caused { observation, .. } in caused.drain(..) {
            if !logs.is_empty() {
                while let Some(line) = logs.next(Some(observation.at.time)) {
                    analysis.observe_telling(line, tell);
                }
            }
            analysis.observe_telling(observation, tell);
        }
    });
}

/// Takes in what is left of the logs. Answers with the last line.
fn take_in_logs(
    analysis: &mut Analysis<'_>,
    policy: &Policy,
    names: &dyn PacketNames,
    logs: &mut Logs,
    observer: &mut impl Observer,
) -> Option<At> {
    /// Lines between two reports of progress.
    const PROGRESS_LINES: usize = 4_096;
    let mut last = None;
    loop {
        let mut taken = 0;
        telling(policy, names, observer, |tell| {
            while taken < PROGRESS_LINES
                && let Some(line) = logs.next(None)
            {
                taken += 1;
                last = Some(line.at);
                analysis.observe_telling(line, tell);
            }
        });
        if taken == 0 {
            return last;
        }
        let progress = Progress { bytes: logs.bytes(), packets: 0 };
        observer.progress(progress, analysis.findings().len());
    }
}

/// Lets `work` tell of messages and flows, if the observer wants to know.
fn telling(
    policy: &Policy,
    names: &dyn PacketNames,
    observer: &mut impl Observer,
    work: impl FnOnce(&mut Tell<'_>),
) {
    if !observer.wants_messages() {
        return work(&mut None);
    }
    let mut each = |told: Told<'_>| match told {
        Told::TakenIn(message, _, server) => {
            let message = message.and_then(|seen| events::message(policy, seen, server, names));
            if let Some(event) = message {
                observer.message(&event);
            }
        }
        Told::Flow(whole) => observer.flow(&events::flow(policy, whole, names)),
    };
    work(&mut Some(Listener { messages: true, each: &mut each }));
}
