//! Key logs: read whole before a run, or followed while they grow.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Failure, complain, load};
use crate::app::{Added, BadLine, Keyring, KeyringLimits};

/// Longest key log that is read whole, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Longest line that is followed, in bytes; real ones have under 250. A longer one is bad.
const MAX_LINE_BYTES: usize = 4 << 10;
/// Bytes read at once, and of one poll at most: the rest is for the next one.
const READ_BYTES: usize = 64 << 10;
const POLL_BYTES: usize = 16 << 20;

/// A keyring with the secrets of these files. Lines that cannot be read are told on standard error.
pub(super) fn read(files: &[PathBuf]) -> Result<Keyring, Failure> {
    let keyring = Keyring::new(KeyringLimits::default());
    for file in files {
        let text = load::bytes(file, MAX_FILE_BYTES)?;
        warn(file, &keyring.add_text(&text));
    }
    Ok(keyring)
}

/// Says what is wrong with a key log.
pub(super) fn warn(file: &Path, added: &Added) {
    let Some(BadLine { number, expected }) = added.first_bad else { return };
    let more = match added.bad_lines - 1 {
        0 => String::new(),
        more => format!(" ({more} more cannot be read)"),
    };
    complain(&format!("warning: {}:{number}: {expected}{more}", file.display()));
}

/// A key log that programs write to while it is read. It need not exist yet, and may be emptied or
/// replaced: what was read then is kept, and the new content is read from its start. Emptied and
/// written again beyond its old size between two polls, it is taken for grown.
#[derive(Debug)]
pub(super) struct Follow {
    path: PathBuf,
    open: Option<Open>,
    /// A line that has no end yet.
    begun: Vec<u8>,
    /// It is too long: the rest of it is passed over.
    too_long: bool,
    /// Lines so far.
    lines: usize,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    read: u64,
}

impl Follow {
    /// Of a file that may not exist yet.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), open: None, begun: Vec::new(), too_long: false, lines: 0 }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the lines that have come since to the keyring.
    ///
    /// # Errors
    /// Where the file is there and cannot be read; the next poll may do better.
    pub(super) fn poll(&mut self, keyring: &Keyring) -> io::Result<Added> {
        let mut added = Added::default();
        let mut budget = POLL_BYTES;
        let metadata = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.drain(keyring, &mut budget, &mut added)?;
                return Ok(added);
            }
            found => found?,
        };
        if !metadata.is_file() {
            let what = "not a regular file, which alone can be followed";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        // A file that was replaced may have got lines before that.
        self.drain(keyring, &mut budget, &mut added)?;
        if self.is_another(&metadata) && budget > 0 {
            let file = File::open(&self.path)?;
            let identity = identity(&file.metadata()?);
            self.start(Open { file, identity, read: 0 });
            self.drain(keyring, &mut budget, &mut added)?;
        }
        Ok(added)
    }

    fn is_another(&self, now: &Metadata) -> bool {
        self.open.as_ref().is_none_or(|open| open.identity != identity(now))
    }

    fn start(&mut self, open: Open) {
        self.open = Some(open);
        self.begun.clear();
        self.too_long = false;
        self.lines = 0;
    }

    /// Reads what the open file has.
    fn drain(
        &mut self,
        keyring: &Keyring,
        budget: &mut usize,
        added: &mut Added,
    ) -> io::Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let result = self.drain_file(&mut open, keyring, budget, added);
        self.open = Some(open);
        result
    }

    fn drain_file(
        &mut self,
        open: &mut Open,
        keyring: &Keyring,
        budget: &mut usize,
        added: &mut Added,
    ) -> io::Result<()> {
        if open.file.metadata()?.len() < open.read {
            open.file.seek(SeekFrom::Start(0))?;
            open.read = 0;
            (self.begun, self.too_long, self.lines) = (Vec::new(), false, 0);
        }
        let mut buffer = vec![0; READ_BYTES];
        while *budget > 0 {
            let count = match open.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            open.read += count as u64;
            *budget = budget.saturating_sub(count);
            self.take_in(buffer.get(..count).unwrap_or_default(), keyring, added);
        }
        Ok(())
    }

    /// Adds the lines that are complete, and keeps the last one if it is not.
    fn take_in(&mut self, bytes: &[u8], keyring: &Keyring, added: &mut Added) {
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            self.keep(bytes);
            return;
        };
        let (whole, rest) = bytes.split_at(end + 1);
        let mut text = std::mem::take(&mut self.begun);
        text.extend_from_slice(whole);
        let new = keyring.add_text(&text);
        added.keys += new.keys;
        added.bad_lines += new.bad_lines;
        if added.first_bad.is_none() {
            let place = |bad: BadLine| BadLine { number: self.lines + bad.number, ..bad };
            added.first_bad = new.first_bad.map(place);
        }
        self.lines += text.iter().filter(|byte| **byte == b'\n').count();
        self.too_long = false;
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.begun.len() + bytes.len() > MAX_LINE_BYTES {
            self.too_long = true;
            // Its remains are no line either.
            self.begun = b"?".to_vec();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    use super::*;

    fn line(random: u8) -> String {
        format!("CLIENT_RANDOM {} {}\n", format!("{random:02x}").repeat(32), "ab".repeat(48))
    }

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_growing_file_is_followed_from_before_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let (keyring, mut follow) = (Keyring::default(), Follow::new(&path));
        let mut poll = || follow.poll(&keyring).unwrap().keys;
        assert_eq!(poll(), 0);
        let two = format!("{}{}", line(1), line(2));
        // The second line in pieces.
        append(&path, two.get(..200).unwrap());
        assert_eq!((poll(), poll()), (1, 0));
        append(&path, two.get(200..300).unwrap());
        assert_eq!(poll(), 0);
        append(&path, two.get(300..).unwrap());
        assert_eq!((poll(), poll()), (1, 0));
        assert_eq!(keyring.len(), 2);
    }

    #[test]
    fn a_file_that_is_emptied_replaced_or_gone_is_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let (keyring, mut follow) = (Keyring::default(), Follow::new(&path));
        let mut poll = || follow.poll(&keyring).unwrap().keys;
        append(&path, &format!("{}{}CLIENT_", line(1), line(2)));
        assert_eq!(poll(), 2);
        fs::write(&path, line(3)).unwrap();
        assert_eq!(poll(), 1);
        // Written to once more before it is replaced.
        append(&path, &line(4));
        fs::rename(&path, folder.path().join("old")).unwrap();
        fs::write(&path, line(5)).unwrap();
        assert_eq!(poll(), 2);
        append(&path, &line(6));
        fs::remove_file(&path).unwrap();
        assert_eq!(poll(), 1);
        append(&path, &line(7));
        assert_eq!(poll(), 1);
        assert_eq!(keyring.len(), 7);
    }

    #[test]
    fn bad_lines_are_told_by_their_number_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let (keyring, mut follow) = (Keyring::default(), Follow::new(&path));
        append(&path, &line(1));
        follow.poll(&keyring).unwrap();
        append(&path, "# comment\nnonsense\n");
        let added = follow.poll(&keyring).unwrap();
        assert_eq!((added.bad_lines, added.first_bad.unwrap().number), (1, 3));
        // A line without an end does not fill the memory.
        append(&path, &"x".repeat(1 << 20));
        follow.poll(&keyring).unwrap();
        assert!(follow.begun.len() < 10);
        append(&path, &format!("CLIENT_RANDOM\n{}", line(2)));
        let added = follow.poll(&keyring).unwrap();
        assert_eq!((added.keys, added.bad_lines), (1, 1));
        assert!(follow.poll(&keyring).is_ok());
        let mut folder = Follow::new(folder.path());
        assert!(folder.poll(&keyring).is_err());
    }
}
