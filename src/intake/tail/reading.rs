//! One file under way: its bytes into lines, and how far they were given.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::Duration;

use super::candidate::{Candidate, HEAD_BYTES, LAST_BYTES, has_prints, modified, skip};
use super::desk::{CHUNK_BYTES, Desk, Halt, Origin, Stopped};
use super::dialect::{Dialect, Noted};
use crate::intake::Counts;
use crate::intake::checkpoint::{Position, Print};
use crate::logs::{Counters, Likelihood, MAX_SNIFFED_BYTES, Reader, Record, Splitter};
use crate::time::Timestamp;

/// Header lines that are looked for before the place where reading begins.
const MAX_HEADER_LINES: usize = 1_024;
/// Bad lines of a file that are told with their reason; of the rest only the number is.
const MAX_TOLD: usize = 5;
/// What may be many formats is taken for the likeliest after so long without more lines.
const UNSURE: Duration = Duration::from_secs(2);

/// Where bytes come from.
enum Content {
    /// A file that may grow.
    Plain(File),
    /// A compressed one, which does not.
    Packed(Box<dyn Read + Send>),
}

/// How lines become records.
struct Reads {
    dialect: Dialect,
    source: u16,
    reader: Reader,
    /// What was counted when it was told last.
    counted: Counters,
    /// The offset of then.
    told_offset: u64,
}

/// How a file is that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has what was read of it, at the least.
    Intact,
    /// It was empty, and was written to since: it may have been emptied again.
    Unknown,
    /// It lacks what was read of it.
    Cut,
}

/// An open file.
pub(super) struct Reading {
    content: Content,
    pub(super) position: Position,
    /// Bytes read so far: those behind the position are a line that has no end yet.
    read: u64,
    reads: Option<Reads>,
    noted: Noted,
    time: Timestamp,
    /// The first bytes, as many as a file is known by.
    head: Vec<u8>,
    /// The last bytes that were read.
    last: Vec<u8>,
    /// Size and time when it was found to be intact.
    seen: (u64, i64),
    /// When it was seen to grow.
    pub(super) grew_at: Duration,
    /// All that is there was read in this run.
    has_ended: bool,
    told: usize,
    is_over: bool,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("position", &self.position).finish_non_exhaustive()
    }
}

impl Reading {
    /// Opens a file at a position of it, or of one with the same bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn open(found: Candidate, position: &Position, now: Duration) -> io::Result<Self> {
        let mut position = position.clone();
        let bytes_at = |at: u64, bytes: u64| -> io::Result<Vec<u8>> {
            let mut read = vec![0; usize::try_from(bytes).unwrap_or(0)];
            if found.is_packed {
                let mut unpacked = found.unpacked()?;
                skip(&mut unpacked, at)?;
                unpacked.read_exact(&mut read)?;
            } else {
                found.file.read_exact_at(&mut read, at)?;
            }
            Ok(read)
        };
        let head = bytes_at(0, position.offset.min(HEAD_BYTES))?;
        let last = position.offset.min(LAST_BYTES);
        let last = bytes_at(position.offset - last, last)?;
        position.path = found.path.to_string_lossy().into_owned();
        (position.device, position.inode) = found.inode();
        position.modified = found.modified();
        position.is_done = false;
        let seen = (found.metadata.size(), found.modified());
        let content = if found.is_packed {
            let mut unpacked = found.unpacked()?;
            skip(&mut unpacked, position.offset)?;
            Content::Packed(unpacked)
        } else {
            Content::Plain(found.file)
        };
        Ok(Self {
            content,
            read: position.offset,
            reads: None,
            noted: Noted::default(),
            time: Timestamp::EPOCH,
            head,
            last,
            seen,
            grew_at: now,
            has_ended: false,
            told: 0,
            is_over: false,
            position,
        })
    }

    /// Whether it still has what was read of it.
    ///
    /// # Errors
    /// When the system does not say.
    pub(super) fn state(&mut self) -> io::Result<State> {
        let Content::Plain(file) = &self.content else { return Ok(State::Intact) };
        let metadata = file.metadata()?;
        let now = (metadata.size(), modified(&metadata));
        let before = std::mem::replace(&mut self.seen, now);
        if now == before {
            return Ok(State::Intact);
        }
        if metadata.size() < self.read || !has_prints(file, &self.whole())? {
            return Ok(State::Cut);
        }
        Ok(if self.read > 0 { State::Intact } else { State::Unknown })
    }

    /// All that was read of it, a line without an end included.
    pub(super) fn whole(&self) -> Position {
        let head = self.head.get(..self.head.len().min(1 << 10)).unwrap_or_default();
        Position {
            head: Print::of(head),
            last: Print::of(&self.last),
            offset: self.read,
            ..self.position.clone()
        }
    }

    /// It is known how to read it.
    pub(super) const fn has_begun(&self) -> bool {
        self.reads.is_some()
    }

    /// Behind the last byte there is, as far as is known; nothing more will come of a compressed
    /// one.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// It was read to its end, and was last written to so long before `successor`: it need not be
    /// watched for that time again after a restart.
    pub(super) fn is_older_than(&self, successor: i64, by: Duration) -> bool {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.has_ended && successor.saturating_sub(self.seen.1) >= by
    }

    /// When it was last seen to be written to, in nanoseconds since 1970.
    pub(super) const fn modified(&self) -> i64 {
        self.seen.1
    }

    /// Reads what is there, as much as `budget` allows. Answers with the bytes read.
    ///
    /// # Errors
    /// When the file cannot be read, or the run is over.
    pub(super) fn advance(
        &mut self,
        number: u64,
        usual: &mut Usual,
        now: Duration,
        budget: &mut u64,
        desk: &mut Desk,
    ) -> Result<(), Halt> {
        let mut buffer = std::mem::take(&mut desk.buffer);
        let mut advance = || -> Result<(), Halt> {
            while *budget > 0 && (self.reads.is_some() || self.begin(usual, now, desk)?) {
                let count = self.fill(&mut buffer)?;
                self.has_ended = count == 0;
                if count == 0 {
                    self.is_over = matches!(self.content, Content::Packed(_));
                    break;
                }
                *budget = budget.saturating_sub(count as u64);
                self.grew_at = now;
                self.take_in(number, buffer.get(..count).unwrap_or_default(), desk)?;
            }
            Ok(())
        };
        let result = advance();
        desk.buffer = buffer;
        result
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &mut self.content {
                Content::Plain(file) => file.read_at(buffer, self.read),
                Content::Packed(bytes) => bytes.read(buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Finds out what the file is, and goes on behind its position. False as long as that is not
    /// known.
    fn begin(&mut self, usual: &mut Usual, now: Duration, desk: &mut Desk) -> io::Result<bool> {
        let Some(dialect) = self.dialect(usual, now, desk)? else { return Ok(false) };
        let is_new = usual.dialect.as_ref().is_none_or(|before| before.name != dialect.name);
        let source = match usual.source {
            Some(source) if !is_new => source,
            _ => (desk.add_source)(&self.position.followed, &dialect.name),
        };
        usual.source = Some(source);
        usual.dialect = Some(dialect.clone());
        let begun = self.position.offset > 0;
        let header = begun.then_some(&*self.position.header);
        let format = self.noted.open(&dialect, header);
        let reader = Reader::with(Splitter::after_lines(self.position.lines), format);
        self.position.format = dialect.name.to_string();
        let (counted, told_offset) = (Counters::default(), self.position.offset);
        self.reads = Some(Reads { dialect, source, reader, counted, told_offset });
        Ok(true)
    }

    /// As it was named, as it was before, as the file before it was, or as it looks.
    fn dialect(
        &self,
        usual: &Usual,
        now: Duration,
        desk: &mut Desk,
    ) -> io::Result<Option<Dialect>> {
        if let Some(named) = &usual.named {
            return Ok(Some(named.clone()));
        }
        let before = (!self.position.format.is_empty()).then_some(&self.position.format);
        if let Some(dialect) = before.and_then(|name| desk.dialects.named(name)) {
            return Ok(Some(dialect));
        }
        let Content::Plain(file) = &self.content else { return Ok(usual.dialect.clone()) };
        let mut beginning = vec![0; MAX_SNIFFED_BYTES];
        let count = file.read_at(&mut beginning, 0)?;
        beginning.truncate(count);
        let is_full = count == MAX_SNIFFED_BYTES;
        let Some(end) = memchr::memrchr(b'\n', &beginning) else { return Ok(None) };
        beginning.truncate(end + 1);
        let waited = now.saturating_sub(self.grew_at) >= UNSURE || is_full;
        match desk.dialects.detect(&beginning) {
            Some((found, sure)) if sure >= Likelihood::Likely || waited => {
                let is_usual = usual.dialect.as_ref().is_some_and(|usual| usual.name == found.name);
                if !is_usual {
                    let (path, name) = (&self.position.followed, &found.name);
                    desk.say(format!("notice: {path} is read as {name}"));
                }
                Ok(Some(found))
            }
            Some(_) => Ok(None),
            None if usual.dialect.is_some() => Ok(usual.dialect.clone()),
            None => {
                if waited {
                    let path = &self.position.followed;
                    desk.say(format!(
                        "warning: --logs {path}: its lines look like no format; name it, as \
                         --logs {path}=FORMAT (`shadowtap logs formats` lists them)"
                    ));
                }
                Ok(None)
            }
        }
    }

    /// Gives the lines that are whole.
    fn take_in(&mut self, number: u64, bytes: &[u8], desk: &mut Desk) -> Result<(), Stopped> {
        self.push(Some(bytes), desk);
        let start = self.read;
        self.read += bytes.len() as u64;
        let room = usize::try_from(HEAD_BYTES).unwrap_or(0).saturating_sub(self.head.len());
        self.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        let end = memchr::memrchr(b'\n', bytes).map(|at| at + 1);
        let whole = bytes.get(..end.unwrap_or(0)).unwrap_or_default();
        if end.is_some() {
            self.remember(whole);
            self.position.lines += memchr::memchr_iter(b'\n', whole).count() as u64;
            self.position.offset = start + whole.len() as u64;
            // As it was before these bytes were read, or later: whatever replaced it is newer.
            self.position.modified = self.position.modified.max(self.seen.1);
            self.set_prints();
        }
        self.remember(bytes.get(whole.len()..).unwrap_or_default());
        if end.is_none() { Ok(()) } else { self.give(number, desk) }
    }

    fn remember(&mut self, bytes: &[u8]) {
        let max = usize::try_from(LAST_BYTES).unwrap_or(0);
        let bytes = bytes.get(bytes.len().saturating_sub(max)..).unwrap_or_default();
        let surplus = (self.last.len() + bytes.len()).saturating_sub(max);
        self.last.drain(..surplus.min(self.last.len()));
        self.last.extend_from_slice(bytes);
    }

    /// `last` has to end at the position.
    fn set_prints(&mut self) {
        self.position.last = Print::of(&self.last);
        let known = self.position.offset.min(HEAD_BYTES);
        if self.position.head.bytes < known {
            let head = self.head.get(..usize::try_from(known).unwrap_or(0));
            self.position.head = Print::of(head.unwrap_or_default());
        }
    }

    /// Bytes, or the end, into the reader.
    fn push(&mut self, bytes: Option<&[u8]>, desk: &mut Desk) {
        let Some(Reads { dialect, source, reader, .. }) = &mut self.reads else { return };
        let Dialect { name, stance, .. } = dialect;
        let mut origin = Origin { source: *source, name, stance: *stance, time: &mut self.time };
        let mut each = |line: u64, record: &Record<'_>| desk.record(&mut origin, line, record);
        match bytes {
            Some(bytes) => reader.push(bytes, &mut each),
            None => reader.finish(&mut each),
        }
        self.tell_bad(desk);
    }

    fn give(&mut self, number: u64, desk: &mut Desk) -> Result<(), Stopped> {
        self.position.header = self.noted.lines();
        let counts = self.counts();
        desk.give(counts, vec![(number, Some(self.position.clone()))])
    }

    fn counts(&mut self) -> Counts {
        let Some(Reads { source, reader, counted, told_offset, .. }) = &mut self.reads else {
            return Counts::default();
        };
        let offset = self.position.offset;
        let bytes = offset - std::mem::replace(told_offset, offset);
        let before = std::mem::replace(counted, *reader.counters());
        Counts {
            source: *source,
            lines: counted.lines - before.lines,
            records: counted.records - before.records,
            bad: counted.bad - before.bad,
            bytes,
            turned_away: 0,
        }
    }

    fn tell_bad(&mut self, desk: &mut Desk) {
        let Some(Reads { dialect, reader, .. }) = &mut self.reads else { return };
        let path = &self.position.followed;
        let is_bad = reader.counters().is_mostly_bad() && reader.counters().lines >= 10;
        for bad in reader.take_samples() {
            if self.told < MAX_TOLD {
                desk.say(format!("warning: {path}:{}: {}", bad.number, bad.reason));
            }
            self.told += 1;
        }
        if is_bad {
            let name = &dialect.name;
            desk.say(format!(
                "error: most lines of {path} cannot be read as {name}; name its format, as \
                 --logs {path}=FORMAT (`shadowtap logs formats` lists them)"
            ));
        }
    }

    /// The file is left: a last line without an end counts as one.
    pub(super) fn finish(mut self, number: u64, desk: &mut Desk) -> Result<Position, Stopped> {
        if self.read > self.position.offset {
            self.push(None, desk);
            self.position.lines += 1;
            self.position.offset = self.read;
            self.set_prints();
        }
        self.position.is_done = true;
        self.give(number, desk)?;
        Ok(self.position)
    }
}

/// What the files of one path have in common.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// The format that was named.
    pub(super) named: Option<Dialect>,
    /// That of the file before.
    pub(super) dialect: Option<Dialect>,
    pub(super) source: Option<u16>,
}

/// The position behind the last whole line of a file, as if everything before had been read.
///
/// # Errors
/// When it cannot be read.
pub(super) fn end_of(found: &Candidate, begin: &Position) -> io::Result<Position> {
    let mut position = begin.clone();
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut at, mut is_first) = (0, true);
    loop {
        let count = found.file.read_at(&mut buffer, at)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        let Some(end) = memchr::memrchr(b'\n', bytes) else {
            // A line longer than the buffer, or the end.
            if count < CHUNK_BYTES {
                break;
            }
            at += count as u64;
            continue;
        };
        let whole = bytes.get(..=end).unwrap_or_default();
        for line in whole.split(|byte| *byte == b'\n') {
            let is_header = std::mem::take(&mut is_first) || line.starts_with(b"#");
            if is_header && position.header.len() < MAX_HEADER_LINES {
                position.header.push(String::from_utf8_lossy(line).into_owned());
            }
        }
        position.lines += memchr::memchr_iter(b'\n', whole).count() as u64;
        at += whole.len() as u64;
        position.offset = at;
    }
    let last = position.offset.min(LAST_BYTES);
    let mut bytes = vec![0; usize::try_from(last).unwrap_or(0)];
    found.file.read_exact_at(&mut bytes, position.offset - last)?;
    position.last = Print::of(&bytes);
    let mut bytes = vec![0; usize::try_from(position.offset.min(HEAD_BYTES)).unwrap_or(0)];
    found.file.read_exact_at(&mut bytes, 0)?;
    position.head = Print::of(&bytes);
    Ok(position)
}
