//! Outputs of a run over a network. Each takes the lines that files get, through a spool of its own.

use std::sync::Arc;
use std::time::Duration;

use super::{Failure, args, complain, outputs_file, store};
use crate::sinks::outbox::{Farewell, Full, Limits, Notice, Options, Outbox, Stats, Unsent};
use crate::sinks::outputs::config::Output;
use crate::sinks::outputs::{Built, Files, build};
use crate::sinks::rows::line::Source;
use crate::sinks::rows::{RowEncoder, SCHEMA};
use crate::sinks::store::deliver::Warehouse;

/// Name of the store as an output, and of its folder in the spool.
const STORE: &str = "clickhouse";

/// A live run ends within the time that a service manager allows.
pub(super) const SHORT: Farewell =
    Farewell { idle: Duration::from_secs(5), total: Duration::from_secs(20) };
/// A replay waits as long as anything is taken.
pub(super) const PATIENT: Farewell =
    Farewell { idle: Duration::from_secs(30), total: Duration::from_secs(24 * 3_600) };

/// Files of outputs can be followed after so long at most.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// And are finished after this time, for those who only take finished files.
const MAX_FILE_AGE: Duration = Duration::from_secs(3_600);

/// After a failure files are tried again so often.
const RETRY_EVERY: Duration = Duration::from_secs(10);

/// What kind of run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// It must never wait.
    Watch,
    /// It can.
    Replay,
    /// It must never wait.
    Portal,
}

impl Run {
    const fn name(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Replay => "replay",
            Self::Portal => "portal",
        }
    }
}

/// The outputs of a run; none, most of the time.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    boxes: Vec<Outbox>,
    /// Outputs into files.
    files: Vec<FilesOutput>,
    sensor: String,
    run: &'static str,
    tended_at: Duration,
    rotated_at: Duration,
    retry_at: Duration,
}

/// An output into files.
#[derive(Debug)]
struct FilesOutput {
    output: Output,
    /// `None` while they cannot be written, a full disk for example.
    files: Option<Box<Files>>,
    lost: u64,
}

impl FilesOutput {
    /// Does something with the files. When it fails it is told, and they are opened again later.
    fn with<E: std::fmt::Display>(&mut self, act: impl FnOnce(&mut Files) -> Result<(), E>) {
        let Some(files) = &mut self.files else { return };
        if let Err(error) = act(files) {
            self.files = None;
            let (name, seconds) = (&self.output.name, RETRY_EVERY.as_secs());
            complain(&format!("error: output {name}: {error}; trying again every {seconds} s"));
        }
    }

    fn line(&mut self, line: &[u8]) {
        self.with(|files| files.line(line));
        if self.files.is_none() {
            self.lost += 1;
        }
    }

    fn try_again(&mut self, source: &Source<'_>) {
        if self.files.is_none()
            && let Ok(Built::Files(files)) = build(&self.output, source)
        {
            self.files = Some(files);
            let lost = std::mem::take(&mut self.lost);
            let name = &self.output.name;
            complain(&format!("notice: output {name} is written again; it missed {lost} events"));
        }
    }
}

impl Outputs {
    /// Starts the outputs that were named.
    ///
    /// # Errors
    /// What cannot be used, and what to do.
    pub(super) fn open(args: &args::Outputs, run: Run) -> Result<Self, Failure> {
        let sensor = args.sensor.clone().unwrap_or_else(host_name);
        let mut outputs = Self { sensor: sensor.clone(), run: run.name(), ..Self::default() };
        let source = Source { sensor: &sensor, run: run.name() };
        if let Some(typed) = args.address() {
            let address = store::address(&typed)?;
            let settings = args.store_setting.iter().cloned().collect();
            let warehouse = Warehouse::new(&address, &settings).map_err(Failure::new)?;
            let encoder = RowEncoder::new(source.sensor, source.run);
            let mut options = options(args, run, STORE);
            options.limits.spool.max_spool_bytes = args.spool_size;
            outputs.boxes.push(Outbox::start(options, encoder, warehouse).map_err(Failure::new)?);
        }
        let file = args.outputs.as_deref().map(outputs_file::read).transpose()?;
        for output in file.into_iter().flat_map(|(outputs, _)| outputs) {
            if output.name == STORE && args.store.is_some() {
                let text = "an output cannot be called clickhouse beside --store; rename it";
                return Err(Failure::new(text));
            }
            outputs.start(&output, &source, options(args, run, &output.name))?;
        }
        Ok(outputs)
    }

    fn start(
        &mut self,
        output: &Output,
        source: &Source<'_>,
        mut options: Options,
    ) -> Result<(), Failure> {
        match build(output, source).map_err(Failure::new)? {
            Built::Files(files) => {
                let output = output.clone();
                self.files.push(FilesOutput { output, files: Some(files), lost: 0 });
            }
            Built::Network { encoder, deliver } => {
                let limits = &mut options.limits.spool;
                limits.max_spool_bytes = output.spool_bytes;
                limits.max_segment_records = output.batch.rows;
                limits.max_segment_bytes = output.batch.bytes;
                limits.max_segment_age = output.batch.age;
                let started = Outbox::start(options, encoder, *deliver);
                self.boxes.push(started.map_err(Failure::new)?);
            }
        }
        Ok(())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.boxes.is_empty() && self.files.is_empty()
    }

    /// Gives a line of NDJSON to all of them.
    pub(super) fn line(&mut self, line: &[u8]) {
        self.boxes.iter().for_each(|outbox| outbox.offer(line));
        self.files.iter_mut().for_each(|files| files.line(line));
    }

    /// Flushes, finishes and opens files when it is time.
    pub(super) fn tend(&mut self, now: Duration) {
        if self.files.is_empty() || now.saturating_sub(self.tended_at) < FLUSH_EVERY {
            return;
        }
        self.tended_at = now;
        let rotate = now.saturating_sub(self.rotated_at) >= MAX_FILE_AGE;
        if rotate {
            self.rotated_at = now;
        }
        let again = now >= self.retry_at;
        if again {
            self.retry_at = now + RETRY_EVERY;
        }
        let Self { files, sensor, run, .. } = self;
        for output in files {
            if again {
                output.try_again(&Source { sensor, run });
            }
            output.with(|files| if rotate { files.rotate() } else { files.flush() });
        }
    }

    /// What each outbox did so far.
    pub(super) fn stats(&self) -> Vec<Stats> {
        self.boxes.iter().map(Outbox::stats).collect()
    }

    /// Delivers what can be in the time. Answers with the outputs that did not get everything.
    pub(super) fn finish(self, farewell: Farewell) -> Vec<Unsent> {
        for FilesOutput { output, files, .. } in self.files {
            if let Some(Err(error)) = files.map(|files| files.finish()) {
                complain(&format!("error: output {}: {error}", output.name));
            }
        }
        finish(self.boxes, farewell)
    }

    /// The outputs over a network, where others have the files.
    ///
    /// # Errors
    /// Outputs into files.
    pub(super) fn into_boxes(self) -> Result<Vec<Outbox>, Failure> {
        if let Some(FilesOutput { output, .. }) = self.files.first() {
            let name = &output.name;
            let text = format!("output {name}: records go to the files of the audit; take it out");
            return Err(Failure::new(text));
        }
        Ok(self.boxes)
    }
}

/// Delivers what can be in the time. Answers with the outputs that did not get everything.
pub(super) fn finish(boxes: Vec<Outbox>, farewell: Farewell) -> Vec<Unsent> {
    let ended = boxes.into_iter().map(|outbox| outbox.finish(farewell));
    ended.filter(|unsent| !unsent.is_nothing()).collect()
}

fn options(args: &args::Outputs, run: Run, name: &str) -> Options {
    Options {
        name: name.to_owned(),
        directory: args.spool.join(name),
        schema: SCHEMA,
        full: if run == Run::Replay { Full::Wait } else { Full::Lose },
        limits: Limits::default(),
        told: Arc::new(|notice: &Notice| complain(&notice.to_string())),
    }
}

/// What the machine calls itself.
pub(super) fn host_name() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let mut names = files.into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
    let name = names.find_map(|name| {
        let name = name.trim();
        (!name.is_empty()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| "sensor".to_owned())
}
