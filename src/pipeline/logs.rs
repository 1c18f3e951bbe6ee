//! Logs of a run that ends: read beside its captures, or alone.
//!
//! Lines are taken in by their times, a little behind the packets: a proxy writes of an exchange
//! when it is over, and what packets show of it is to be known by then.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use crate::flow::At;
use crate::logs::{self, BadLine, Place, Scratch, Stance};
use crate::mcp::{Tap, TapCounters, TapLimits};
use crate::observation::Observation;
use crate::secret::SecretHasher;
use crate::sinks::event::LogFile;
use crate::time::Timestamp;

/// So long lines wait behind packets of the same time.
const BEHIND: Duration = Duration::from_secs(3);
/// Read at once, in bytes; what it gives is held until its time comes.
const CHUNK_BYTES: usize = 64 << 10;
/// Marks flows that no packet has.
const NO_PACKETS: u64 = 1 << 63;

/// A log to read: its content, free of compression.
pub struct LogInput {
    /// Name for people.
    pub name: Arc<str>,
    /// Name of the format, as findings tell it.
    pub source: Arc<str>,
    /// Where the source stands.
    pub stance: Stance,
    /// Reads its lines.
    pub reader: logs::Reader,
    /// The bytes.
    pub bytes: Box<dyn Read + Send>,
}

impl std::fmt::Debug for LogInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogInput").field("name", &self.name).field("source", &self.source).finish()
    }
}

/// What became of a log.
#[derive(Debug)]
pub struct LogSummary {
    /// Its name.
    pub name: Arc<str>,
    /// Name of the format.
    pub source: Arc<str>,
    /// Its lines.
    pub counters: logs::Counters,
    /// The first lines that could not be read.
    pub bad: Vec<BadLine>,
    /// Why reading stopped before the end.
    pub stopped: Option<std::io::Error>,
    /// Bytes read.
    pub bytes: u64,
}

/// One log under way.
struct Source {
    input: LogInput,
    number: u16,
    ready: VecDeque<Observation>,
    bad: Vec<BadLine>,
    /// Time of the last line that had one.
    last: Timestamp,
    bytes: u64,
    is_over: bool,
    stopped: Option<std::io::Error>,
}

/// All logs of a run, merged by time.
pub(super) struct Logs {
    sources: Vec<Source>,
    tap: Tap,
    scratch: Scratch,
    flows: u64,
    buffer: Vec<u8>,
}

impl Logs {
    pub(super) fn new(inputs: Vec<LogInput>, limits: TapLimits, hasher: &SecretHasher) -> Self {
        let sources = (0..=u16::MAX).zip(inputs).map(|(number, input)| Source {
            input,
            number,
            ready: VecDeque::new(),
            bad: Vec::new(),
            last: Timestamp::EPOCH,
            bytes: 0,
            is_over: false,
            stopped: None,
        });
        Self {
            sources: sources.collect(),
            tap: Tap::new(limits, hasher.clone()),
            scratch: Scratch::default(),
            flows: NO_PACKETS,
            buffer: vec![0; CHUNK_BYTES],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Names of the logs, in the order of their numbers.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.sources.iter().map(|source| Arc::clone(&source.input.name)).collect()
    }

    /// The next observation, if packets of `now` are behind it; without a time, the next one.
    pub(super) fn next(&mut self, now: Option<Timestamp>) -> Option<Observation> {
        let mut best: Option<(Timestamp, usize)> = None;
        for index in 0..self.sources.len() {
            let time = self.head(index);
            best = match (time, best) {
                (Some(time), Some((before, _))) if time >= before => best,
                (Some(time), _) => Some((time, index)),
                (None, _) => best,
            };
        }
        let (time, index) = best?;
        if now.is_some_and(|now| time.plus(BEHIND) > now) {
            return None;
        }
        self.sources.get_mut(index)?.ready.pop_front()
    }

    /// Bytes read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.sources.iter().map(|source| source.bytes).sum()
    }

    /// What recognition counted.
    pub(super) const fn tap_counters(&self) -> &TapCounters {
        self.tap.counters()
    }

    /// What became of each.
    pub(super) fn into_summaries(self) -> Vec<LogSummary> {
        let summaries = self.sources.into_iter().map(|source| LogSummary {
            name: source.input.name,
            source: source.input.source,
            counters: *source.input.reader.counters(),
            bad: source.bad,
            stopped: source.stopped,
            bytes: source.bytes,
        });
        summaries.collect()
    }

    /// Time of the next observation of a log; reads on until there is one.
    fn head(&mut self, index: usize) -> Option<Timestamp> {
        let Self { sources, tap, scratch, flows, buffer } = self;
        let source = sources.get_mut(index)?;
        while source.ready.is_empty() && !source.is_over {
            source.read(tap, scratch, flows, buffer);
        }
        source.ready.front().map(|observation| observation.at.time)
    }
}

impl Source {
    /// Reads the next bytes, or the end.
    fn read(&mut self, tap: &mut Tap, scratch: &mut Scratch, flows: &mut u64, buffer: &mut [u8]) {
        let read = match self.input.bytes.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return,
            Err(error) => {
                self.stopped = Some(error);
                0
            }
        };
        self.bytes += read as u64;
        let Self { input, last, number, .. } = self;
        let LogInput { reader, source, stance, .. } = input;
        let mut each = |line: u64, record: &logs::Record<'_>| {
            *last = record.time.unwrap_or(*last);
            *flows += 1;
            let at = At::of_line(*number, line, *last);
            let place = Place { flow: *flows, at, stance: *stance, source: Arc::clone(source) };
            logs::feed(record, &place, scratch, tap);
        };
        if read == 0 {
            reader.finish(&mut each);
            self.is_over = true;
        } else {
            reader.push(buffer.get(..read).unwrap_or_default(), &mut each);
        }
        self.bad.extend(reader.take_samples());
        self.ready.extend(tap.observations().drain(..));
    }
}

/// The logs for the statistics.
pub(super) fn files(summaries: &[LogSummary]) -> Vec<LogFile> {
    let file = |summary: &LogSummary| LogFile {
        file: summary.name.to_string(),
        format: summary.source.to_string(),
        lines: summary.counters.lines,
        records: summary.counters.records,
        bad_lines: summary.counters.bad,
        turned_away: 0,
        bytes: summary.bytes,
        stopped: summary.stopped.as_ref().map(ToString::to_string),
    };
    summaries.iter().map(file).collect()
}

#[cfg(test)]
mod tests;
