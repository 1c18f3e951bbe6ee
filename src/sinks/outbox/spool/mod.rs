//! Segments on disk: appended to as records come, sealed, read in order, removed when taken.
//!
//! - An appended record is in the file once [`Spool::flush`] wrote it: it outlives the process.
//! - A sealed segment is on the disk: it outlives a loss of power too. Only sealed ones are
//!   handed out, so that their bytes and token are the same on every try.
//! - Bytes on disk are bounded: the oldest sealed segments go first, counted and told.
//! - A disk that is full or broken makes records wait in memory, which is bounded too; what finds
//!   no room there is counted and told. Writing is tried again at each [`Spool::tend`].

mod bounds;
mod files;
mod format;
mod recover;
mod shelf;
mod writing;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

pub use bounds::{Counters, Limits, Tally};
pub use files::{Directory, Files, Listed};
use ring::digest::{SHA256, digest};

use super::{Notice, Segment, Stream};
use format::{Content, END, Head, Kind, MAX_END_BYTES, Name, end_line};
use shelf::Shelf;
use writing::{Sealing, Writing};

/// The spool of one output.
#[derive(Debug)]
pub struct Spool<F> {
    files: F,
    limits: Limits,
    schema: u32,
    seed: [u8; 32],
    next_number: u64,
    now: Duration,
    writing: Vec<Writing>,
    sealing: Vec<Sealing>,
    shelf: Shelf,
    /// The disk takes nothing; it is not tried before the next [`Spool::tend`].
    is_stuck: bool,
    /// The same, as it was told.
    was_stuck: bool,
    lost_told: u64,
    tallies: BTreeMap<String, Tally>,
    counters: Counters,
    notices: Vec<Notice>,
}

/// Notices that wait to be told; more are dropped.
const MAX_NOTICES: usize = 64;

impl<F: Files> Spool<F> {
    /// Takes over what earlier runs left: sealed segments are delivered first, open ones are
    /// sealed with the records that they have. Tokens of new segments follow from `seed`, which
    /// must be random.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn open(files: F, limits: Limits, schema: u32, seed: [u8; 32]) -> io::Result<Self> {
        let mut spool = Self {
            files,
            limits,
            schema,
            seed,
            next_number: 1,
            now: Duration::ZERO,
            writing: Vec::new(),
            sealing: Vec::new(),
            shelf: Shelf::default(),
            is_stuck: false,
            was_stuck: false,
            lost_told: 0,
            tallies: BTreeMap::new(),
            counters: Counters::default(),
            notices: Vec::new(),
        };
        spool.recover()?;
        Ok(spool)
    }

    /// Takes a record, without a newline.
    ///
    /// # Errors
    /// When it is no record: it holds a newline or a zero byte.
    pub fn append(&mut self, stream: Stream, record: &[u8]) -> Result<(), String> {
        if memchr::memchr2(b'\n', 0, record).is_some() || record.starts_with(END) {
            return Err(format!("a record for {stream} holds a newline or a zero byte"));
        }
        let waiting: usize = self.writing.iter().map(|writing| writing.waiting.len()).sum();
        self.count(stream, |tally| tally.given += 1);
        if waiting + record.len() > self.limits.max_waiting_bytes {
            self.count(stream, |tally| tally.lost += 1);
            return Ok(());
        }
        let index = self.writing_of(stream);
        let Some(writing) = self.writing.get_mut(index) else { return Ok(()) };
        writing.waiting.extend_from_slice(record);
        writing.waiting.push(b'\n');
        writing.records += 1;
        if self.is_stuck {
            return Ok(());
        }
        let bytes = writing.bytes + writing.waiting.len() as u64;
        let (limits, unwritten) = (self.limits, writing.waiting.len());
        if writing.records >= limits.max_segment_records || bytes >= limits.segment_bytes() {
            self.seal(index);
        } else if unwritten >= limits.max_unwritten_bytes {
            self.write(index);
        }
        Ok(())
    }

    /// The segment that a stream is appended to.
    fn writing_of(&mut self, stream: Stream) -> usize {
        if let Some(index) = self.writing.iter().position(|writing| writing.stream == stream) {
            return index;
        }
        let number = self.number();
        let head = Head::new(stream.to_owned(), self.token(number), self.schema);
        let name = Name { number, stream: stream.to_owned(), records: 0, kind: Kind::Open };
        self.writing.push(Writing {
            name,
            stream,
            is_made: false,
            bytes: 0,
            is_torn: false,
            checksum: crc32fast::Hasher::new(),
            waiting: head.line(),
            records: 0,
            born: self.now,
        });
        self.writing.len() - 1
    }

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    /// 128 bits that nobody else has, in hexadecimal.
    fn token(&self, number: u64) -> String {
        let mut text = self.seed.to_vec();
        text.extend_from_slice(&number.to_be_bytes());
        let digest = digest(&SHA256, &text);
        digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    fn count(&mut self, stream: &str, add: impl FnOnce(&mut Tally)) {
        match self.tallies.get_mut(stream) {
            Some(tally) => add(tally),
            None => add(self.tallies.entry(stream.to_owned()).or_default()),
        }
    }

    /// Writes what waits in memory: afterwards it outlives the process.
    pub fn flush(&mut self) {
        for index in 0..self.writing.len() {
            if !self.is_stuck {
                self.write(index);
            }
        }
    }

    /// Whether nothing waits in memory.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.writing.iter().all(|writing| writing.waiting.is_empty())
    }

    /// Tells the time, which begins at zero: seals what is old enough, and tries again what failed.
    pub fn tend(&mut self, now: Duration) {
        self.now = now;
        self.is_stuck = false;
        self.finish_sealing();
        let old =
            |writing: &Writing| now.saturating_sub(writing.born) >= self.limits.max_segment_age;
        let due: Vec<u64> = self
            .writing
            .iter()
            .filter(|&writing| old(writing))
            .map(|writing| writing.name.number)
            .collect();
        self.seal_all_of(&due);
        self.flush();
        self.shelf.remove_doomed(&mut self.files);
        self.tell_of_losses();
    }

    /// Seals everything.
    pub fn seal_all(&mut self) {
        self.is_stuck = false;
        self.finish_sealing();
        let all: Vec<u64> = self.writing.iter().map(|writing| writing.name.number).collect();
        self.seal_all_of(&all);
    }

    fn seal_all_of(&mut self, numbers: &[u64]) {
        for number in numbers {
            let index = self.writing.iter().position(|writing| writing.name.number == *number);
            if let Some(index) = index.filter(|_| !self.is_stuck) {
                self.seal(index);
            }
        }
    }

    /// Writes what waits of a segment. Whether all of it is in the file.
    fn write(&mut self, index: usize) -> bool {
        let Some(writing) = self.writing.get(index) else { return true };
        let need = writing.waiting.len() as u64;
        if need == 0 {
            return true;
        }
        // Each open segment will still get its last line.
        let open = (self.writing.len() + self.sealing.len()) as u64;
        if !self.make_room(need + open * MAX_END_BYTES) {
            self.stuck(&io::Error::other("the spool is full of segments under way"));
            return false;
        }
        let Some(writing) = self.writing.get_mut(index) else { return true };
        match writing.write(&mut self.files) {
            Ok(()) => {
                self.shelf.bytes += need;
                self.unstuck();
                true
            }
            Err(error) => {
                self.stuck(&error);
                false
            }
        }
    }

    /// Gives a segment its last line and its name. When that fails it stays, and is tried again.
    fn seal(&mut self, index: usize) {
        if !self.write(index) || index >= self.writing.len() {
            return;
        }
        let Writing { mut name, stream, bytes, checksum, records, born, .. } =
            self.writing.swap_remove(index);
        name.records = records;
        let end = Some(end_line(records, checksum.finalize()));
        self.count(stream, |tally| tally.sealed += records);
        // The name of an open file says no number of records.
        self.sealing.push(Sealing { name, bytes, is_torn: false, end, born });
        self.finish_sealing();
    }

    fn finish_sealing(&mut self) {
        while let Some(sealing) = self.sealing.first_mut() {
            if self.is_stuck {
                return;
            }
            let written = sealing.end.as_ref().map_or(0, |end| end.len() as u64);
            let name = sealing.name.turned(Kind::Segment);
            let (bytes, born) = (sealing.bytes + written, sealing.born);
            if let Err(error) = sealing.finish(&mut self.files) {
                // The last line may be there and the name not.
                if sealing.end.is_none() {
                    self.shelf.bytes += written;
                }
                self.stuck(&error);
                return;
            }
            self.unstuck();
            self.sealing.remove(0);
            self.shelf.bytes += written;
            self.shelf.put(&name, bytes, born);
        }
    }

    /// Stores a whole segment at once: nothing of it is there before all of it is. Returns its
    /// number.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn put(&mut self, segment: &Segment) -> io::Result<u64> {
        let number = self.number();
        let Segment { stream, token, schema, records, body, .. } = segment;
        let name = Name { number, stream: stream.clone(), records: *records, kind: Kind::Part };
        let mut bytes = Head::new(stream.clone(), token.clone(), *schema).line();
        bytes.extend_from_slice(body);
        let end = end_line(*records, crc32fast::hash(&bytes));
        bytes.extend_from_slice(&end);
        let (part, done) = (name.text(), name.turned(Kind::Segment));
        let stored = self
            .files
            .create(&part)
            .and_then(|()| self.files.append(&part, &bytes))
            .and_then(|()| self.files.sync(&part))
            .and_then(|()| self.files.rename(&part, &done.text()))
            .and_then(|()| self.files.sync_directory());
        if let Err(error) = stored {
            // What is half made is removed at the next start, at the latest.
            let _gone = self.files.remove(&part);
            return Err(error);
        }
        self.count(stream, |tally| {
            tally.given += records;
            tally.sealed += records;
        });
        self.shelf.bytes += bytes.len() as u64;
        self.shelf.put(&done, bytes.len() as u64, self.now);
        Ok(number)
    }

    /// The oldest sealed segment. It stays until [`taken`](Self::taken) or
    /// [`refused`](Self::refused), and is handed out again by the next call.
    pub fn oldest(&mut self) -> Option<Segment> {
        loop {
            let name = self.shelf.first()?;
            let flaw = match self.files.read(&name.text()) {
                Ok(mut bytes) => match format::read(&bytes) {
                    Content::Sealed { head, records, body } => {
                        bytes.truncate(body.end);
                        bytes.drain(..body.start);
                        let Head { stream, token, schema, .. } = head;
                        self.shelf.hand_out(name.number);
                        let number = name.number;
                        return Some(Segment {
                            number,
                            stream,
                            token,
                            schema,
                            records,
                            body: bytes,
                        });
                    }
                    Content::Damaged(flaw) => flaw.to_owned(),
                    Content::Nothing | Content::Open { .. } => "its end is missing".to_owned(),
                },
                Err(error) => error.to_string(),
            };
            self.shelve_corrupt(&name, &flaw);
        }
    }

    /// The other side has a segment for good.
    pub fn taken(&mut self, number: u64) {
        if let Some((name, bytes)) = self.shelf.take(number) {
            self.count(&name.stream, |tally| tally.taken += name.records);
            self.shelf.remove(&mut self.files, &name, bytes);
        }
    }

    /// The other side will never take a segment: it is put aside, the reason in a file beside it.
    pub fn refused(&mut self, number: u64, reason: &str) {
        let Some((name, bytes)) = self.shelf.take(number) else { return };
        self.counters.refused_segments += 1;
        self.count(&name.stream, |tally| tally.refused += name.records);
        let aside = name.turned(Kind::Refused);
        self.put_aside(&name, &aside, bytes);
        let why = format!("{}.txt", aside.text());
        let written = self
            .files
            .create(&why)
            .and_then(|()| self.files.append(&why, format!("{reason}\n").as_bytes()));
        // The reason is told anyway.
        drop(written);
        let (records, file) = (name.records, aside.text());
        self.tell(Notice::Error(format!(
            "{records} records for {} were refused for good: {reason}; they are in {file}",
            name.stream
        )));
    }

    /// Notices since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Whether one more segment would push the oldest out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.shelf.bytes + self.limits.segment_bytes() > self.limits.max_spool_bytes
    }

    /// What it holds and lost.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters.clone();
        self.shelf.count(&mut counters, self.now);
        let open = self.writing.iter().map(|writing| writing.records);
        let sealing = self.sealing.iter().map(|sealing| sealing.name.records);
        counters.open_records = open.chain(sealing).sum();
        counters.streams.clone_from(&self.tallies);
        counters
    }

    fn shelve_corrupt(&mut self, name: &Name, flaw: &str) {
        let Some((_, bytes)) = self.shelf.take(name.number) else { return };
        self.counters.corrupt_segments += 1;
        self.count(&name.stream, |tally| tally.dropped += name.records);
        let aside = name.turned(Kind::Corrupt);
        self.put_aside(name, &aside, bytes);
        self.tell(Notice::Error(format!("the segment {} is damaged: {flaw}", aside.text())));
    }

    /// Renames a segment that is not delivered any more, and bounds how many there are.
    fn put_aside(&mut self, from: &Name, to: &Name, bytes: u64) {
        if self.files.rename(&from.text(), &to.text()).is_err() {
            self.shelf.remove(&mut self.files, from, bytes);
            return;
        }
        self.shelf.put_aside(to, bytes);
        while let Some(name) = self.shelf.excess_aside(to.kind, self.limits.max_kept_aside) {
            self.shelf.remove_aside(&mut self.files, &name);
        }
    }

    /// Removes old segments until `need` bytes find room.
    fn make_room(&mut self, need: u64) -> bool {
        while self.shelf.bytes + need > self.limits.max_spool_bytes {
            if let Some(name) = self.shelf.oldest_aside() {
                self.shelf.remove_aside(&mut self.files, &name);
                continue;
            }
            let oldest = self.shelf.oldest_at_rest();
            let Some((name, bytes)) = oldest.and_then(|oldest| self.shelf.take(oldest)) else {
                return false;
            };
            let before = self.shelf.bytes;
            self.shelf.remove(&mut self.files, &name, bytes);
            self.counters.dropped_segments += 1;
            self.count(&name.stream, |tally| tally.dropped += name.records);
            if self.shelf.bytes == before {
                // Nothing can be removed: the others need not go as well.
                return false;
            }
        }
        true
    }

    fn stuck(&mut self, error: &io::Error) {
        self.is_stuck = true;
        if !self.was_stuck {
            self.was_stuck = true;
            self.tell(Notice::Error(format!(
                "the spool cannot be written: {error}; records wait in memory, it is tried again"
            )));
        }
    }

    fn unstuck(&mut self) {
        if self.was_stuck {
            self.was_stuck = false;
            self.tell(Notice::Note("the spool can be written again".to_owned()));
        }
    }

    fn tell_of_losses(&mut self) {
        let lost: u64 = self.tallies.values().map(|tally| tally.lost + tally.dropped).sum();
        let is_due = self.now.saturating_sub(self.shelf.told_at) >= Duration::from_secs(60);
        if lost > self.lost_told && (is_due || self.lost_told == 0) {
            self.shelf.told_at = self.now;
            let more = lost - self.lost_told;
            self.lost_told = lost;
            self.tell(Notice::Error(format!(
                "{more} records were lost: the spool has no room for them ({} MiB are allowed)",
                self.limits.max_spool_bytes >> 20
            )));
        }
    }

    fn tell(&mut self, notice: Notice) {
        if self.notices.len() < MAX_NOTICES {
            self.notices.push(notice);
        }
    }
}
