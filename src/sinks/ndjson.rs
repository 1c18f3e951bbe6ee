//! Newline-delimited JSON, to any writer or to rotated files.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::event::Event;

/// Files rotate at this size unless told otherwise.
pub const DEFAULT_MAX_BYTES: u64 = 64 << 20;
/// Ending of the names of files that are not finished.
pub const PARTIAL: &str = ".partial";
/// So many numbers are tried for a free file name.
const MAX_FILES: u32 = 1_000_000;

/// Writes an event as one line.
///
/// # Errors
/// Those of the writer.
pub fn write_event<W: Write + ?Sized>(out: &mut W, event: &Event<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// What could not be done with which file, and what to do about it.
#[derive(Debug)]
pub struct FileError {
    what: &'static str,
    path: PathBuf,
    hint: &'static str,
    source: io::Error,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, path, hint, source } = self;
        write!(f, "cannot {what} {}: {source}", path.display())?;
        if hint.is_empty() { Ok(()) } else { write!(f, "; {hint}") }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// What to do when files of an earlier run are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Take their place: a replay of the same capture gives the same lines. A finished file stays
    /// until its successor is complete; what a crash left half done is removed at once.
    Replace,
    /// Go on with the number after the highest there is, as a service does.
    Continue,
}

/// Lines into `DIR/STEM.ndjson`, then `DIR/STEM.1.ndjson`, `DIR/STEM.2.ndjson` and so on.
///
/// A file is written as `….ndjson.partial` and gets its name when it is full or finished, after
/// its bytes are on the disk: a reader that takes only `*.ndjson` never sees half a file.
/// Dropping it without [`finish`](Self::finish) leaves the partial file, as a crash does. A file
/// passes `max_bytes` by less than one line.
#[derive(Debug)]
pub struct RotatingFile {
    directory: PathBuf,
    stem: String,
    max_bytes: u64,
    /// Bytes of all files together, where there is a bound.
    keep_bytes: Option<u64>,
    existing: Existing,
    /// A full file is finished by whoever writes, and not between two lines of its own accord.
    is_by_hand: bool,
    number: u32,
    current: Option<Current>,
    /// Files that got their names; not kept when continuing, which has no end.
    finished: Vec<PathBuf>,
}

/// A file of this stem.
#[derive(Debug)]
struct Present {
    number: u32,
    path: PathBuf,
    bytes: u64,
}

#[derive(Debug)]
struct Current {
    file: BufWriter<File>,
    partial: PathBuf,
    done: PathBuf,
    bytes: u64,
}

impl RotatingFile {
    /// Makes the directory if need be, and the first file.
    ///
    /// # Errors
    /// When the directory cannot be made or written.
    pub fn create(
        directory: &Path,
        stem: &str,
        max_bytes: u64,
        existing: Existing,
    ) -> Result<Self, FileError> {
        fs::create_dir_all(directory).map_err(|source| FileError {
            what: "make directory",
            path: directory.to_owned(),
            hint: "choose a directory that you may write to",
            source,
        })?;
        let mut files = Self {
            directory: directory.to_owned(),
            stem: stem.to_owned(),
            max_bytes: max_bytes.max(1),
            keep_bytes: None,
            existing,
            is_by_hand: false,
            number: 0,
            current: None,
            finished: Vec::new(),
        };
        if existing == Existing::Continue {
            let numbers = files.present().into_iter().map(|file| file.number);
            files.number = numbers.max().map_or(0, |last| last.saturating_add(1));
        }
        files.current = Some(files.open()?);
        Ok(files)
    }

    /// Bounds the bytes of all files of this stem, those of earlier runs and of crashes included:
    /// each time a file is finished, the oldest go until the rest has room, one full file more
    /// included. The one being written is never removed.
    #[must_use]
    pub const fn keeping(mut self, bytes: u64) -> Self {
        self.keep_bytes = Some(bytes);
        self
    }

    /// A full file is finished when [`rotate`](Self::rotate) is called, and not before.
    #[must_use]
    pub const fn by_hand(mut self) -> Self {
        self.is_by_hand = true;
        self
    }

    /// Whether the file has the size at which it should be finished.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.bytes >= self.max_bytes)
    }

    /// The file being written, the name that it will get, and its length once it is flushed.
    #[must_use]
    pub fn current(&self) -> Option<(&File, &Path, u64)> {
        let current = self.current.as_ref()?;
        Some((current.file.get_ref(), &current.done, current.bytes))
    }

    /// Begins a file, if none is being written.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(&mut self) -> Result<(), FileError> {
        if self.current.is_none() {
            self.current = Some(self.open()?);
        }
        Ok(())
    }

    /// All files of this stem, finished or not.
    fn present(&self) -> Vec<Present> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let present = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let name = name.strip_suffix(PARTIAL).unwrap_or(&name);
            let number = name.strip_prefix(&self.stem)?.strip_suffix(".ndjson")?;
            let number = match number {
                "" => 0,
                _ => number.strip_prefix('.')?.parse().ok()?,
            };
            Some(Present { number, path: entry.path(), bytes: entry.metadata().ok()?.len() })
        });
        present.collect()
    }

    /// Removes the oldest files beyond the bound.
    fn make_room(&self) -> Result<(), FileError> {
        let Some(keep) = self.keep_bytes else { return Ok(()) };
        let mut present = self.present();
        present.sort_by_key(|file| file.number);
        let mut total = present.iter().map(|file| file.bytes).sum::<u64>() + self.max_bytes;
        for file in present {
            if total <= keep {
                break;
            }
            total = total.saturating_sub(file.bytes);
            match fs::remove_file(&file.path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    let hint = "its place is needed for newer lines";
                    return Err(FileError { what: "remove", path: file.path, hint, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Hands the lines so far to the system, so that whoever follows the file sees them.
    ///
    /// # Errors
    /// When they cannot be written. The sink is not usable afterwards.
    pub fn flush(&mut self) -> Result<(), FileError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        current.file.flush().map_err(|source| FileError {
            what: "write",
            path: current.partial.clone(),
            hint: "check the space on the disk",
            source,
        })
    }

    /// Finishes the file if there is anything in it; the next line begins another.
    ///
    /// # Errors
    /// When it cannot be finished. The sink is not usable afterwards.
    pub fn rotate(&mut self) -> Result<(), FileError> {
        match &self.current {
            Some(current) if current.bytes > 0 => self.finish_current(),
            _ => Ok(()),
        }
    }

    fn path(&self, number: u32) -> PathBuf {
        let stem = &self.stem;
        self.directory.join(match number {
            0 => format!("{stem}.ndjson"),
            _ => format!("{stem}.{number}.ndjson"),
        })
    }

    /// Opens the first file from `number` on whose name is free, finished or not.
    fn open(&mut self) -> Result<Current, FileError> {
        while self.number < MAX_FILES || self.existing == Existing::Continue {
            let done = self.path(self.number);
            let partial = partial_of(&done);
            self.number = self.number.saturating_add(1);
            match self.existing {
                Existing::Continue if done.exists() => continue,
                Existing::Continue => {}
                Existing::Replace => drop(fs::remove_file(&partial)),
            }
            // `create_new` neither follows links nor takes a file that somebody else writes.
            match OpenOptions::new().write(true).create_new(true).open(&partial) {
                Ok(file) => {
                    let file = BufWriter::with_capacity(64 << 10, file);
                    return Ok(Current { file, partial, done, bytes: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => {
                    let hint = "check that the directory is writable and the disk not full";
                    return Err(FileError { what: "create", path: partial, hint, source });
                }
            }
        }
        Err(FileError {
            what: "find a free name in",
            path: self.directory.clone(),
            hint: "move finished files away",
            source: io::Error::from(io::ErrorKind::AlreadyExists),
        })
    }

    /// Writes an event, and rotates before it when the file is full.
    ///
    /// # Errors
    /// When a file cannot be written, finished or begun. The sink is not usable afterwards.
    pub fn write(&mut self, event: &Event<'_>) -> Result<(), FileError> {
        self.write_with(|out| write_event(out, event))
    }

    /// Writes a line that ends with its newline, as [`write`](Self::write) does an event.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub fn write_line(&mut self, line: &[u8]) -> Result<(), FileError> {
        self.write_with(|out| out.write_all(line))
    }

    fn write_with(
        &mut self,
        write: impl FnOnce(&mut Counted<'_, BufWriter<File>>) -> io::Result<()>,
    ) -> Result<(), FileError> {
        if self.current.is_none() || (!self.is_by_hand && self.is_full()) {
            self.finish_current()?;
            self.current = Some(self.open()?);
        }
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        let mut counted = Counted { inner: &mut current.file, bytes: 0 };
        let result = write(&mut counted);
        current.bytes = current.bytes.saturating_add(counted.bytes);
        result.map_err(|source| FileError {
            what: "write",
            path: current.partial.clone(),
            hint: "check the space on the disk",
            source,
        })
    }

    fn finish_current(&mut self) -> Result<(), FileError> {
        let Some(Current { file, partial, done, .. }) = self.current.take() else { return Ok(()) };
        let hint = "the lines written so far are in the partial file";
        let error = |what, source| FileError { what, path: partial.clone(), hint, source };
        let file = file.into_inner().map_err(|failed| error("write", failed.into_error()))?;
        file.sync_all().map_err(|source| error("sync", source))?;
        fs::rename(&partial, &done).map_err(|source| error("rename", source))?;
        // The new name has to survive a crash too; not every file system lets directories be
        // opened, and the file itself is safe.
        if let Ok(directory) = File::open(&self.directory) {
            drop(directory.sync_all());
        }
        if self.existing == Existing::Replace {
            self.finished.push(done);
        }
        self.make_room()
    }

    /// Finishes the last file; an empty one too, so that "no findings" is a file and not a doubt.
    /// Answers with all files of the run when they replace those of an earlier one.
    ///
    /// # Errors
    /// When the last bytes cannot be written or the file not renamed.
    pub fn finish(mut self) -> Result<Vec<PathBuf>, FileError> {
        self.finish_current()?;
        if self.existing == Existing::Replace {
            // An earlier run may have filled more files than this one.
            let later = (self.number..MAX_FILES).map(|number| self.path(number));
            for left in later.take_while(|path| path.exists()) {
                fs::remove_file(&left).map_err(|source| FileError {
                    what: "remove",
                    path: left.clone(),
                    hint: "it is left of an earlier run; remove it by hand",
                    source,
                })?;
            }
        }
        Ok(self.finished)
    }
}

fn partial_of(done: &Path) -> PathBuf {
    let mut name = done.as_os_str().to_owned();
    name.push(PARTIAL);
    PathBuf::from(name)
}

/// Counts what goes through.
struct Counted<'a, W> {
    inner: &'a mut W,
    bytes: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::StatsEvent;
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write_lines(files: &mut RotatingFile, count: usize) {
        let stats = StatsEvent::default();
        for _ in 0..count {
            files.write(&Event::Stats(&stats)).unwrap();
        }
    }

    #[test]
    fn rotates_at_the_bound_and_names_files_when_done() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("new/out");
        let mut line = Vec::new();
        write_event(&mut line, &Event::Stats(&StatsEvent::default())).unwrap();
        let two_lines = line.len() as u64 * 2;
        let mut files = RotatingFile::create(&at, "events", two_lines, Existing::Replace).unwrap();
        write_lines(&mut files, 5);
        assert_eq!(names(&at), ["events.1.ndjson", "events.2.ndjson.partial", "events.ndjson"]);
        files.finish().unwrap();
        assert_eq!(names(&at), ["events.1.ndjson", "events.2.ndjson", "events.ndjson"]);
        let sizes = names(&at).iter().map(|n| fs::read(at.join(n)).unwrap().len()).sum::<usize>();
        assert_eq!(sizes, line.len() * 5);
    }

    #[test]
    fn an_earlier_run_is_continued_without_overwriting() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        fs::write(at.join("events.ndjson"), "old").unwrap();
        fs::write(at.join("events.1.ndjson.partial"), "crashed").unwrap();
        let mut files = RotatingFile::create(at, "events", 1, Existing::Continue).unwrap();
        write_lines(&mut files, 2);
        files.finish().unwrap();
        let want =
            ["events.1.ndjson.partial", "events.2.ndjson", "events.3.ndjson", "events.ndjson"];
        assert_eq!(names(at), want);
        assert_eq!(fs::read_to_string(at.join("events.ndjson")).unwrap(), "old");
        assert_eq!(fs::read_to_string(at.join("events.1.ndjson.partial")).unwrap(), "crashed");
    }

    #[test]
    fn the_numbers_go_on_after_the_highest_and_the_oldest_files_make_room() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for name in
            ["events.7.ndjson", "events.9.ndjson.partial", "other.ndjson", "events.x.ndjson"]
        {
            fs::write(at.join(name), "old").unwrap();
        }
        let mut line = Vec::new();
        write_event(&mut line, &Event::Stats(&StatsEvent::default())).unwrap();
        let keep = line.len() as u64 * 3;
        let files = RotatingFile::create(at, "events", 1, Existing::Continue).unwrap();
        let mut files = files.keeping(keep);
        write_lines(&mut files, 5);
        files.rotate().unwrap();
        files.rotate().unwrap();
        let want = ["events.13.ndjson", "events.14.ndjson", "events.x.ndjson", "other.ndjson"];
        assert_eq!(names(at), want);
    }

    #[test]
    fn lines_can_be_followed_before_the_file_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let mut files = RotatingFile::create(at, "events", 1 << 20, Existing::Continue).unwrap();
        write_lines(&mut files, 1);
        files.flush().unwrap();
        assert!(fs::read_to_string(at.join("events.ndjson.partial")).unwrap().ends_with('\n'));
    }

    #[test]
    fn an_earlier_run_is_replaced_and_its_surplus_removed() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for name in ["events.ndjson", "events.1.ndjson", "events.2.ndjson", "other.ndjson"] {
            fs::write(at.join(name), "old").unwrap();
        }
        fs::write(at.join("events.ndjson.partial"), "crashed").unwrap();
        let mut files = RotatingFile::create(at, "events", 1, Existing::Replace).unwrap();
        assert_eq!(fs::read_to_string(at.join("events.ndjson")).unwrap(), "old");
        write_lines(&mut files, 2);
        let written = files.finish().unwrap();
        assert_eq!(written, [at.join("events.ndjson"), at.join("events.1.ndjson")]);
        assert_eq!(names(at), ["events.1.ndjson", "events.ndjson", "other.ndjson"]);
        assert!(fs::read_to_string(at.join("events.ndjson")).unwrap().starts_with('{'));
        assert_eq!(fs::read_to_string(at.join("other.ndjson")).unwrap(), "old");
    }

    #[test]
    fn a_run_without_events_leaves_an_empty_file() {
        let directory = tempfile::tempdir().unwrap();
        let files =
            RotatingFile::create(directory.path(), "findings", 9, Existing::Replace).unwrap();
        files.finish().unwrap();
        assert_eq!(fs::read(directory.path().join("findings.ndjson")).unwrap(), b"");
    }

    #[test]
    fn a_path_that_cannot_be_a_directory_says_what_where_and_what_to_do() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error =
            RotatingFile::create(&file.path().join("out"), "x", 1, Existing::Replace).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("cannot make directory "), "{text}");
        assert!(text.contains(file.path().to_str().unwrap()), "{text}");
        assert!(text.ends_with("choose a directory that you may write to"), "{text}");
    }
}
