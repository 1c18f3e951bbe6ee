//! `shadowtap store load`: events of earlier runs into the store, each once.
//!
//! Lines become batches by their place in the file, so that the same file always gives the same
//! batches, and the token of a batch follows from its bytes: killed and started again, nothing is
//! there twice. Rows that the table has are left out before, also those that came another way, while
//! the file was written for example. A batch is on disk before it is sent, and sent again before
//! anything else when the program was killed in between.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use tokio::runtime::Runtime;

use crate::capture;
use crate::cli::args::Load;
use crate::cli::{Exit, Failure, complain, outputs, store};
use crate::sinks::outbox::spool::{self, Directory, Spool};
use crate::sinks::outbox::{Deliver as _, Segment, Trouble};
use crate::sinks::rows::line::{MAX_LINE_BYTES, Source, rows};
use crate::sinks::rows::{Micros, Row, SCHEMA, Table};
use crate::sinks::store::client::Address;
use crate::sinks::store::deliver::Warehouse;
use crate::sinks::store::identity;

/// Rows of a batch.
const MAX_BATCH_ROWS: u64 = 50_000;
/// Bytes of a batch (8 MiB), which the last row may pass.
const MAX_BATCH_BYTES: usize = 8 << 20;
/// Ids that are asked for at once: some 200 KiB of text.
const MAX_ASKED: usize = 5_000;
/// Lines that could not be read and are told, of each run.
const MAX_TOLD: u64 = 5;
/// A store that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pauses between tries grow up to this.
const MAX_PAUSE: Duration = Duration::from_secs(5);

pub(in crate::cli) fn run(args: &Load) -> Result<Exit, Failure> {
    let address = store::address(&args.address)?;
    let mut loader = Loader::new(args, &address)?;
    let files = files(&args.files)?;
    // What a run before had prepared comes first: only then is known what the table has.
    loader.drain()?;
    for file in &files {
        loader.file(file)?;
    }
    let Totals { lines, unreadable, rows, known, refused } = loader.totals;
    let mut text = format!("loaded {rows} rows from {lines} lines of {} files", files.len());
    if known > 0 {
        text += &format!("; {known} were there already");
    }
    complain(&text);
    if unreadable > 0 {
        complain(&format!("warning: {unreadable} lines are none of ours and were left out"));
    }
    if refused > 0 {
        return Err(Failure::new(format!(
            "{refused} rows were refused by the store; they are in {}",
            args.spool.display()
        )));
    }
    Ok(Exit::Clean)
}

/// Rows of one table that go together.
#[derive(Debug, Default)]
struct Batch {
    body: Vec<u8>,
    rows: u64,
    /// Of rows that can be recognised: id and version of findings, identity and its occurrence in
    /// the batch of others; and where the row ends in the body.
    ids: Vec<(String, u64, usize)>,
    /// How often each identity occurs.
    occurrences: HashMap<String, u64>,
    /// The first and the last time of rows with identities.
    span: Option<[Micros; 2]>,
}

#[derive(Debug, Default)]
struct Totals {
    lines: u64,
    unreadable: u64,
    rows: u64,
    known: u64,
    refused: u64,
}

struct Loader {
    runtime: Runtime,
    warehouse: Warehouse,
    spool: Spool<Directory>,
    sensor: String,
    totals: Totals,
}

impl Loader {
    fn new(args: &Load, address: &Address) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::new)?;
        let warehouse = Warehouse::new(address, &args.settings.iter().cloned().collect())
            .map_err(Failure::new)?;
        let files = Directory::open(&args.spool).map_err(Failure::new)?;
        // Tokens follow from what is in a batch: nothing here is random.
        let spool = Spool::open(files, spool::Limits::default(), SCHEMA, [0; 32]);
        let spool = spool.map_err(|error| {
            Failure::new(format!("cannot read the spool {}: {error}", args.spool.display()))
        })?;
        let sensor = args.sensor.clone().unwrap_or_else(outputs::host_name);
        Ok(Self { runtime, warehouse, spool, sensor, totals: Totals::default() })
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let opened = File::open(path).map(|file| Box::new(file) as Box<dyn std::io::Read + Send>);
        let plain = opened.and_then(capture::plain).map_err(|error| cannot_read(path, &error))?;
        let mut reader = BufReader::with_capacity(256 << 10, plain);
        let mut batches: [Batch; Table::ALL.len()] = Default::default();
        let (mut line, mut number) = (Vec::new(), 0_u64);
        loop {
            line.clear();
            let most = MAX_LINE_BYTES as u64 + 1;
            let read = reader.by_ref().take(most).read_until(b'\n', &mut line);
            if read.map_err(|error| cannot_read(path, &error))? == 0 {
                break;
            }
            number += 1;
            if line.last() != Some(&b'\n') && line.len() > MAX_LINE_BYTES {
                reader.skip_until(b'\n').map_err(|error| cannot_read(path, &error))?;
            }
            self.line(path, number, &line, &mut batches);
            for (table, batch) in Table::ALL.into_iter().zip(&mut batches) {
                if batch.rows >= MAX_BATCH_ROWS || batch.body.len() >= MAX_BATCH_BYTES {
                    self.send(table, std::mem::take(batch))?;
                }
            }
        }
        for (table, batch) in Table::ALL.into_iter().zip(batches) {
            self.send(table, batch)?;
        }
        Ok(())
    }

    fn line(&mut self, path: &Path, number: u64, line: &[u8], batches: &mut [Batch]) {
        self.totals.lines += 1;
        let source = Source { sensor: &self.sensor, run: "" };
        let read = rows(line, &source, &mut |row| {
            let place = Table::ALL.iter().position(|table| *table == row.table());
            if let Some(batch) = place.and_then(|place| batches.get_mut(place)) {
                batch.push(&row);
            }
        });
        if let Err(error) = read {
            self.totals.unreadable += 1;
            if self.totals.unreadable <= MAX_TOLD {
                complain(&format!("warning: {}:{number}: {error}", path.display()));
            }
        }
    }

    /// Leaves out what is there, and sends the rest until it is.
    fn send(&mut self, table: Table, mut batch: Batch) -> Result<(), Failure> {
        if !batch.ids.is_empty() {
            let known = self.known(table, &batch)?;
            self.totals.known += batch.leave_out(&known);
        }
        if batch.rows == 0 {
            return Ok(());
        }
        let segment = Segment {
            number: 0,
            stream: table.name().to_owned(),
            token: token(table, &batch.body),
            schema: SCHEMA,
            records: batch.rows,
            body: batch.body,
        };
        let put = self.spool.put(&segment);
        put.map_err(|error| Failure::new(format!("cannot write to the spool: {error}")))?;
        self.drain()
    }

    /// What the table has of a batch: versions of findings, numbers of other rows.
    fn known(&mut self, table: Table, batch: &Batch) -> Result<HashMap<String, u64>, Failure> {
        let mut known = HashMap::new();
        if let Some(span) = batch.span {
            let Self { runtime, warehouse, sensor, .. } = self;
            let copies = || runtime.block_on(warehouse.copies(table, sensor, span));
            return Ok(keep_trying(copies)?.into_iter().collect());
        }
        for asked in batch.ids.chunks(MAX_ASKED) {
            let ids: Vec<String> = asked.iter().map(|(id, ..)| id.clone()).collect();
            let Self { runtime, warehouse, .. } = self;
            known.extend(keep_trying(|| runtime.block_on(warehouse.versions(&ids)))?);
        }
        Ok(known)
    }

    /// Delivers everything that is in the spool.
    fn drain(&mut self) -> Result<(), Failure> {
        while let Some(segment) = self.spool.oldest() {
            let Self { runtime, warehouse, .. } = self;
            let mut refused = None;
            keep_trying(|| match runtime.block_on(warehouse.deliver(&segment)) {
                Err(Trouble::Drop(reason)) => {
                    refused = Some(reason);
                    Ok(())
                }
                done => done,
            })?;
            if let Some(reason) = refused {
                self.spool.refused(segment.number, &reason);
                self.totals.refused += segment.records;
            } else {
                self.spool.taken(segment.number);
                self.totals.rows += segment.records;
            }
            self.spool.notices().iter().for_each(|notice| complain(&notice.to_string()));
        }
        Ok(())
    }
}

impl Batch {
    fn push(&mut self, row: &Row) {
        let begun = self.body.len();
        if serde_json::to_writer(&mut self.body, row).is_err() {
            // Rows are strings, numbers, lists and maps of them: they always become JSON.
            self.body.truncate(begun);
            return;
        }
        self.body.push(b'\n');
        self.rows += 1;
        if let Row::Finding(finding) = row {
            self.ids.push((finding.finding_id.clone(), finding.version, self.body.len()));
        } else if let Some((time, identity)) = identity::of(row) {
            let [first, last] = self.span.unwrap_or([time; 2]);
            self.span = Some([first.min(time), last.max(time)]);
            let occurrence = self.occurrences.entry(identity.clone()).or_default();
            *occurrence += 1;
            self.ids.push((identity, *occurrence, self.body.len()));
        }
    }

    /// Removes findings of which the table has the same version or a higher one, and of rows with
    /// identities as many as it has. Returns how many.
    fn leave_out(&mut self, known: &HashMap<String, u64>) -> u64 {
        let is_known =
            |id: &str, version: u64| known.get(id).is_some_and(|known| *known >= version);
        let count =
            self.ids.iter().filter(|(id, version, _)| is_known(id, *version)).count() as u64;
        if count > 0 {
            let mut kept = Vec::with_capacity(self.body.len());
            let mut begun = 0;
            for (id, version, end) in &self.ids {
                if !is_known(id, *version) {
                    kept.extend_from_slice(self.body.get(begun..*end).unwrap_or_default());
                }
                begun = *end;
            }
            self.body = kept;
            self.rows -= count;
        }
        count
    }
}

/// 128 bits that follow from what is in a batch.
fn token(table: Table, body: &[u8]) -> String {
    let mut text = ring::digest::Context::new(&SHA256);
    text.update(table.name().as_bytes());
    text.update(b"\n");
    text.update(digest(&SHA256, body).as_ref());
    text.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Tries again what may pass, for a while.
fn keep_trying<T>(mut attempt: impl FnMut() -> Result<T, Trouble>) -> Result<T, Failure> {
    let begun = now();
    let mut pause = Duration::from_millis(100);
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(Trouble::Retry(_)) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(MAX_PAUSE);
            }
            Err(trouble) => {
                return Err(Failure::new(format!(
                    "{trouble}; what is loaded so far stays, run the same again afterwards"
                )));
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a store is waited for by the clock")]
fn now() -> Instant {
    Instant::now()
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let hint = "name NDJSON files that `replay` or `watch` wrote, or a folder of them";
    Failure::new(format!("cannot read {}: {error}; {hint}", path.display()))
}

/// The files of paths, those of a folder in the order of their names. Files that are still written
/// (`.partial`) are left for later: their batches are not the same when they have grown.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).map_err(|error| cannot_read(path, &error))?;
        let ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            [".ndjson", ".ndjson.gz", ".ndjson.zst"].iter().any(|end| name.ends_with(end))
        };
        let mut found: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(ours).collect();
        if found.is_empty() {
            return Err(Failure::new(format!("there are no .ndjson files in {}", path.display())));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::rows::FindingRow;

    fn finding(id: &str, version: u64) -> Row {
        Row::Finding(Box::new(FindingRow {
            finding_id: id.to_owned(),
            version,
            ..FindingRow::default()
        }))
    }

    #[test]
    fn findings_that_are_there_are_left_out_and_newer_versions_are_not() {
        let mut batch = Batch::default();
        for (id, version) in [("a", 4), ("b", 4), ("a", 9), ("c", 0)] {
            batch.push(&finding(id, version));
        }
        let known = [("a".to_owned(), 4), ("c".to_owned(), 7)].into_iter().collect();
        assert_eq!(batch.leave_out(&known), 2);
        let mut expected = Batch::default();
        expected.push(&finding("b", 4));
        expected.push(&finding("a", 9));
        assert_eq!((batch.rows, batch.body), (2, expected.body));
    }

    #[test]
    fn tokens_follow_from_table_and_bytes() {
        let of = |table, body: &[u8]| token(table, body);
        assert_eq!(of(Table::Flows, b"x\n"), of(Table::Flows, b"x\n"));
        assert_ne!(of(Table::Flows, b"x\n"), of(Table::Messages, b"x\n"));
        assert_ne!(of(Table::Flows, b"x\n"), of(Table::Flows, b"y\n"));
        assert_eq!(of(Table::Flows, b"").len(), 32);
    }
}
