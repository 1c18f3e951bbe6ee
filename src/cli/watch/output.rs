//! Where the events of a live run go. What cannot be written is counted, tried again, and never
//! stops the sensor.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::outputs::{Outputs, Run, SHORT};
use crate::cli::{Failure, args, complain};
use crate::finding::Finding;
use crate::intake::checkpoint::Events;
use crate::sinks::event::Event;
use crate::sinks::outbox::Stats;
use crate::sinks::{Existing, RotatingFile, printable, write_event};

/// Name of the files.
const STEM: &str = "watch";
/// Files are finished at this size (64 MiB), or a quarter of what may be kept.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// And after this time, for those who only take finished files.
const MAX_FILE_AGE: Duration = Duration::from_secs(3_600);
/// Lines can be followed after so long at most.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// After a failure (a full disk, say) files are tried again so often.
const RETRY_EVERY: Duration = Duration::from_secs(10);

/// Spools are looked at so often, every 10 ms.
const SPOOL_TRIES: usize = 200;

/// Files, standard output, or both.
#[derive(Debug)]
pub(super) struct Output {
    directory: Option<PathBuf>,
    keep_bytes: u64,
    /// Files are finished when it is said, and not by themselves.
    is_by_hand: bool,
    file: Option<RotatingFile>,
    stdout: Option<BufWriter<io::Stdout>>,
    /// Lines for people, on standard output.
    lines: bool,
    stdout_closed: bool,
    flushed_at: Duration,
    rotated_at: Duration,
    retry_at: Duration,
    lost: u64,
    /// Events so far.
    written_events: u64,
    /// Outputs over a network.
    outputs: Outputs,
    /// The line being written, with its newline; its room is kept.
    written: Vec<u8>,
}

impl Output {
    /// Opens the first file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn open(args: &args::Watch) -> Result<Self, Failure> {
        let mut output = Self {
            directory: (!args.no_files).then(|| args.out.clone()),
            keep_bytes: args.keep_output,
            is_by_hand: !args.followed.logs.is_empty(),
            file: None,
            stdout: args.json.then(|| BufWriter::with_capacity(1 << 16, io::stdout())),
            lines: !args.json,
            stdout_closed: false,
            flushed_at: Duration::ZERO,
            rotated_at: Duration::ZERO,
            retry_at: Duration::ZERO,
            lost: 0,
            written_events: 0,
            outputs: Outputs::open(&args.outputs, Run::Watch)?,
            written: Vec::new(),
        };
        output.open_file().map_err(Failure::new)?;
        Ok(output)
    }

    fn open_file(&mut self) -> Result<(), crate::sinks::ndjson::FileError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let max_bytes = MAX_FILE_BYTES.min(self.keep_bytes / 4);
        let file = RotatingFile::create(directory, STEM, max_bytes, Existing::Continue)?;
        let file = file.keeping(self.keep_bytes);
        self.file = Some(if self.is_by_hand { file.by_hand() } else { file });
        Ok(())
    }

    /// The files, as a pattern.
    pub(super) fn files(&self) -> Option<String> {
        let directory = self.directory.as_ref()?;
        Some(directory.join(format!("{STEM}*.ndjson")).display().to_string())
    }

    pub(super) const fn wants_messages(&self) -> bool {
        self.directory.is_some() || self.stdout.is_some() || !self.outputs.is_empty()
    }

    /// Events that went nowhere.
    pub(super) const fn lost_events(&self) -> u64 {
        self.lost
    }

    /// Standard output was all there was, and nobody reads it any more.
    pub(super) const fn has_no_reader(&self) -> bool {
        self.stdout_closed && self.directory.is_none() && self.outputs.is_empty()
    }

    pub(super) fn write(&mut self, event: &Event<'_>) {
        self.written.clear();
        if let Err(error) = write_event(&mut self.written, event) {
            // Events are strings, numbers, lists and maps of them: they always become JSON.
            complain(&format!("error: an event cannot be written: {error}"));
            self.lost += 1;
            return;
        }
        self.outputs.line(&self.written);
        self.written_events += 1;
        if let Some(file) = &mut self.file {
            if let Err(error) = file.write_line(&self.written) {
                self.lost += 1;
                self.give_up_file(&error);
            }
        } else if self.directory.is_some() {
            self.lost += 1;
        }
        if let Some(out) = &mut self.stdout
            && let Err(error) = out.write_all(&self.written)
        {
            self.lose_stdout(&error);
        }
    }

    /// One line for a person.
    pub(super) fn line(&mut self, finding: &Finding) {
        if !self.lines {
            return;
        }
        let severity = finding.severity.as_str();
        let Finding { rule, client, server_key, text, last_seen, .. } = finding;
        let line = format!(
            "{last_seen} {severity:8} {} {client} -> {}: {}\n",
            rule.id,
            printable(server_key),
            printable(text),
        );
        if let Err(error) = io::stdout().lock().write_all(line.as_bytes()) {
            self.lines = false;
            self.lose_stdout(&error);
        }
    }

    /// Flushes, rotates and tries again, each when it is due.
    pub(super) fn tend(&mut self, now: Duration) {
        if now.saturating_sub(self.flushed_at) < FLUSH_EVERY {
            return;
        }
        self.flushed_at = now;
        self.outputs.tend(now);
        if let Some(Err(error)) = self.stdout.as_mut().map(Write::flush) {
            self.lose_stdout(&error);
        }
        let rotate = !self.is_by_hand && now.saturating_sub(self.rotated_at) >= MAX_FILE_AGE;
        match &mut self.file {
            Some(file) => {
                let mut tended = file.flush();
                if rotate {
                    self.rotated_at = now;
                    tended = tended.and_then(|()| file.rotate());
                }
                if let Err(error) = tended {
                    self.give_up_file(&error);
                }
            }
            None if now >= self.retry_at => {
                self.retry_at = now + RETRY_EVERY;
                if self.open_file().is_ok() && self.directory.is_some() {
                    complain("notice: events are written to files again");
                }
            }
            None => {}
        }
    }

    /// The file is full or old.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let is_old = now.saturating_sub(self.rotated_at) >= MAX_FILE_AGE;
        self.file.as_ref().is_some_and(|file| is_old || file.is_full())
    }

    /// Finishes the file and begins the next.
    pub(super) fn rotate(&mut self, now: Duration) {
        self.rotated_at = now;
        let rotated = self.file.as_mut().map(|file| file.rotate().and_then(|()| file.begin()));
        if let Some(Err(error)) = rotated {
            self.give_up_file(&error);
        }
    }

    /// Hands the lines so far to the system.
    pub(super) fn flush_file(&mut self) {
        if let Some(Err(error)) = self.file.as_mut().map(RotatingFile::flush) {
            self.give_up_file(&error);
        }
    }

    /// The file and how long it is, all of it flushed.
    pub(super) fn place(&self) -> Option<(Events, File)> {
        let (file, path, bytes) = self.file.as_ref()?.current()?;
        Some((Events::of(file, path, bytes).ok()?, file.try_clone().ok()?))
    }

    /// Events so far.
    pub(super) const fn written(&self) -> u64 {
        self.written_events
    }

    /// The most events that wait for a spool; they are the latest ones.
    pub(super) fn unspooled(&self) -> u64 {
        self.outputs.stats().iter().map(|stats| stats.queued_lines).max().unwrap_or(0)
    }

    /// Waits until all events are in the spools, which takes a tenth of a second; not for a disk
    /// that does not answer.
    pub(super) fn wait_for_spools(&self) {
        for _ in 0..SPOOL_TRIES {
            if self.unspooled() == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn give_up_file(&mut self, error: &crate::sinks::ndjson::FileError) {
        self.file = None;
        self.retry_at = self.flushed_at + RETRY_EVERY;
        let seconds = RETRY_EVERY.as_secs();
        complain(&format!("error: {error}; trying again every {seconds} s"));
    }

    /// A reader that has gone away (`| head`) is no failure.
    fn lose_stdout(&mut self, error: &io::Error) {
        self.stdout = None;
        self.stdout_closed = true;
        if error.kind() != io::ErrorKind::BrokenPipe {
            complain(&format!("error: cannot write to standard output: {error}"));
        }
    }

    /// Finishes the last file.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        if let Some(Err(error)) = self.stdout.as_mut().map(Write::flush) {
            self.lose_stdout(&error);
        }
        let finished = match self.file.take() {
            Some(file) => file.finish().map(drop).map_err(Failure::new),
            None => Ok(()),
        };
        for unsent in self.outputs.finish(SHORT) {
            complain(&format!("warning: {unsent}"));
        }
        finished
    }

    /// What each output over a network did so far.
    pub(super) fn stats(&self) -> Vec<Stats> {
        self.outputs.stats()
    }
}
