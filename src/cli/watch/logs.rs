//! `watch --logs`: the tail, and the checkpoint of what the outputs have of it. The protocol is in
//! the text of [`checkpoint`](crate::intake::checkpoint).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::output::Output;
use crate::cli::args::{self, Beginning};
use crate::cli::logs::{mapping, unknown_format};
use crate::cli::{Failure, complain};
use crate::intake::Mark;
use crate::intake::checkpoint::{Checkpoint, CheckpointStore, Cut, Events, Keeper};
use crate::intake::tail::{Dialect, Dialects as _, Formats, Parts, StartAt, Tail, Tailing, Target};
use crate::mcp::Tap;
use crate::pipeline::Config;
use crate::pipeline::watch::{Inlet, SourceName};
use crate::sinks::ndjson::PARTIAL;

/// A checkpoint is written so often.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// What was found in the state directory, before the outputs are opened.
#[derive(Debug)]
pub(super) struct Found {
    store: CheckpointStore,
    checkpoint: Option<Checkpoint>,
    targets: Vec<Target>,
    formats: Formats,
}

impl Found {
    /// Reads the arguments and the checkpoint, and cuts the file of events to it. `None` if no
    /// logs are to be followed.
    pub(super) fn new(args: &args::Watch) -> Result<Option<Self>, Failure> {
        if args.followed.logs.is_empty() {
            return Ok(None);
        }
        let (targets, formats) = targets(&args.followed)?;
        let folder = args.state.as_deref().unwrap_or_else(|| Path::new(args::DEFAULT_STATE));
        let (store, checkpoint, damage) = CheckpointStore::open(folder).map_err(Failure::new)?;
        if let Some(damage) = damage {
            complain(&format!("error: {damage}"));
        }
        if let Some(events) = checkpoint.as_ref().and_then(|checkpoint| checkpoint.events.as_ref())
        {
            cut(events)?;
        }
        Ok(Some(Self { store, checkpoint, targets, formats }))
    }

    /// Starts to follow.
    pub(super) fn start(
        self,
        args: &args::Watch,
        config: &Config,
        inlet: &Arc<Inlet>,
        output: &mut Output,
    ) -> Result<Followed, Failure> {
        let Self { store, checkpoint, targets, formats } = self;
        let keeper = Keeper::start(store).map_err(Failure::new)?;
        let names = Arc::clone(inlet);
        let parts = Parts {
            outlet: Arc::<Inlet>::clone(inlet),
            tap: Tap::new(config.shards.mcp, config.hasher.clone()),
            dialects: Arc::new(formats),
            add_source: Box::new(move |name, format| {
                names.add_source(SourceName { name: name.into(), format: format.into() })
            }),
            told: Box::new(complain),
        };
        let start_at = match args.followed.logs_from {
            Beginning::Start => StartAt::Beginning,
            Beginning::End => StartAt::End,
        };
        let tail = Tail::new(&targets, start_at, checkpoint.as_ref(), parts);
        let mut followed = Followed {
            ledger: tail.ledger(),
            tailing: None,
            keeper,
            pending: None,
            saved_at: Duration::ZERO,
            saved_bytes: 0,
            failed: false,
        };
        // The new file of events belongs to what was taken before, from its first line on.
        followed.save_now(output);
        followed.tailing = Some(tail.start().map_err(Failure::new)?);
        Ok(followed)
    }
}

/// What is followed, as it was named.
fn targets(args: &args::Followed) -> Result<(Vec<Target>, Formats), Failure> {
    let mut formats = Formats::default();
    for file in &args.logs_mapping {
        let dialect = Dialect::mapped(&mapping(file)?).ok_or_else(|| {
            let what = "its documents are no lines, and cannot be followed; `shadowtap logs` reads";
            Failure::new(format!("{}: {what} them", file.display()))
        })?;
        formats.mappings.push(dialect);
    }
    let mut targets = Vec::new();
    for text in &args.logs {
        let target = match text.rsplit_once('=') {
            // A path may have the character too.
            Some((path, name)) if !Path::new(text).exists() => match formats.named(name) {
                Some(dialect) => Target { path: PathBuf::from(path), dialect: Some(dialect) },
                None if crate::logs::format::by_name(name).is_some() => {
                    let what = "files of this format are whole documents; `shadowtap logs` reads";
                    return Err(Failure::new(format!("--logs {text}: {what} them")));
                }
                None => return Err(unknown_format(name)),
            },
            _ => Target { path: PathBuf::from(text), dialect: None },
        };
        targets.push(target);
    }
    Ok((targets, formats))
}

/// Takes away what came from lines that will be read again.
fn cut(events: &Events) -> Result<(), Failure> {
    let path = &events.path;
    let failed = |error| Failure::new(format!("cannot cut {path} to its checkpoint: {error}"));
    match events.cut(PARTIAL).map_err(failed)? {
        Cut::Gone if events.bytes > 0 => {
            complain(&format!("warning: {path}, which has the events of earlier lines, is gone"));
        }
        Cut::Short(bytes) => {
            complain(&format!("warning: {path} lacks {bytes} bytes of events that it had"));
        }
        Cut::Gone | Cut::Done(_) => {}
    }
    events.finish(PARTIAL).map_err(failed)
}

/// A checkpoint that is written once the outputs over a network have its lines in their spools.
#[derive(Debug)]
struct Pending {
    checkpoint: Checkpoint,
    events: Option<File>,
    /// Events written until then.
    written: u64,
}

/// Logs that are followed.
#[derive(Debug)]
pub(super) struct Followed {
    ledger: Arc<crate::intake::tail::Ledger>,
    tailing: Option<Tailing>,
    keeper: Keeper,
    pending: Option<Pending>,
    saved_at: Duration,
    /// Length of the file of events in the last checkpoint.
    saved_bytes: u64,
    /// Said once, until it passes.
    failed: bool,
}

impl Followed {
    /// Everything up to a mark is written.
    pub(super) fn taken(&self, mark: Mark) {
        self.ledger.taken(mark);
    }

    /// Writes a checkpoint when it is due, and finishes the file of events when that is.
    pub(super) fn tend(&mut self, now: Duration, output: &mut Output) {
        if output.is_due(now) {
            self.save_now(output);
            output.rotate(now);
            self.save_now(output);
        }
        if self.pending.is_none() && now.saturating_sub(self.saved_at) >= SAVE_EVERY {
            self.saved_at = now;
            self.pending = self.next(output);
        }
        let written = output.written();
        if let Some(pending) = self.pending.take_if(|pending| {
            // Lines that wait for a spool are the latest ones.
            output.unspooled() <= written - pending.written
        }) {
            self.keeper.save(pending.checkpoint, pending.events);
        }
        if let Some(problem) = self.keeper.trouble() {
            self.complain_once(&problem);
        }
    }

    /// What is to be written, if anything is new.
    fn next(&mut self, output: &mut Output) -> Option<Pending> {
        output.flush_file();
        let (events, file) = output.place().unzip();
        let bytes = events.as_ref().map_or(0, |events| events.bytes);
        if !self.ledger.is_fresh() && bytes == self.saved_bytes {
            return None;
        }
        self.saved_bytes = bytes;
        let checkpoint = self.ledger.checkpoint(events);
        Some(Pending { checkpoint, events: file, written: output.written() })
    }

    /// Writes a checkpoint and waits until it is on the disk.
    fn save_now(&mut self, output: &mut Output) {
        self.pending = None;
        output.flush_file();
        output.wait_for_spools();
        let (events, file) = output.place().unzip();
        self.saved_bytes = events.as_ref().map_or(0, |events| events.bytes);
        self.keeper.save(self.ledger.checkpoint(events), file);
        if let Err(problem) = self.keeper.settle() {
            self.complain_once(&problem);
        }
    }

    fn complain_once(&mut self, problem: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.failed, true) {
            complain(&format!("error: {problem}; after a kill lines would come twice"));
        }
    }

    /// The run is over, and has taken everything that it will.
    pub(super) fn finish(mut self, output: &mut Output) {
        if let Some(mut tailing) = self.tailing.take() {
            tailing.stop();
        }
        self.save_now(output);
    }
}
