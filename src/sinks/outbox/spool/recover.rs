//! What a run finds that ended in whatever way.

use std::io;
use std::time::Duration;

use super::files::{Files, Listed};
use super::format::{self, Content, Kind, Name, end_line};
use super::{Notice, Sealing, Spool};

impl<F: Files> Spool<F> {
    pub(super) fn recover(&mut self) -> io::Result<()> {
        let mut found: Vec<(Name, Listed)> = self
            .files
            .list()?
            .into_iter()
            .filter_map(|file| Name::parse(&file.name).map(|name| (name, file)))
            .collect();
        found.sort_by_key(|(name, _)| name.number);
        for (name, file) in &found {
            self.next_number = self.next_number.max(name.number.saturating_add(1));
            // The name may be written in another way than ours: it is not touched.
            if name.text() != file.name {
                continue;
            }
            match name.kind {
                Kind::Part => {
                    self.files.remove(&file.name)?;
                    continue;
                }
                Kind::Open => {
                    self.recover_open(name, file.age)?;
                    continue;
                }
                Kind::Segment => self.shelf.put_old(name, file.bytes, file.age),
                Kind::Corrupt | Kind::Refused => self.shelf.put_aside(name, file.bytes),
            }
            self.shelf.bytes += file.bytes;
        }
        // What was removed before stays removed, so that numbers are not used twice.
        self.files.sync_directory().or(Ok(()))
    }

    /// Cuts an open file behind its last whole record, and seals it under its token.
    fn recover_open(&mut self, name: &Name, age: Duration) -> io::Result<()> {
        let text = name.text();
        let bytes = self.files.read(&text)?;
        let length = bytes.len() as u64;
        let (records, good, end) = match format::read(&bytes) {
            Content::Nothing | Content::Open { records: 0, .. } => return self.files.remove(&text),
            Content::Open { records, good, .. } => {
                let sealed = bytes.get(..good).unwrap_or_default();
                (records, good as u64, Some(end_line(records, crc32fast::hash(sealed))))
            }
            // It got its last line, and not its name.
            Content::Sealed { records, .. } => (records, length, None),
            Content::Damaged(flaw) => {
                let aside = name.turned(Kind::Corrupt);
                self.files.rename(&text, &aside.text())?;
                self.shelf.bytes += length;
                self.shelf.put_aside(&aside, length);
                self.counters.corrupt_segments += 1;
                let file = aside.text();
                self.tell(Notice::Error(format!("the segment {file} is damaged: {flaw}")));
                return Ok(());
            }
        };
        let name = Name { records, ..name.clone() };
        let sealing = Sealing {
            name: name.clone(),
            bytes: good,
            is_torn: good < length,
            end,
            born: Duration::ZERO,
        };
        self.shelf.bytes += good;
        self.count(&name.stream, |tally| tally.sealed += records);
        self.sealing.push(sealing);
        self.finish_sealing();
        self.shelf.is_old(name.number, age);
        Ok(())
    }
}
