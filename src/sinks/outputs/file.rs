//! Files of an output, in any encoding: for a shipper that follows files.

use super::config::FileTarget;
use crate::sinks::encode::EventEncoder;
use crate::sinks::ndjson::{Existing, FileError, RotatingFile};
use crate::sinks::outbox::Encode as _;

/// Records on lines of rotated files, `NAME.ndjson` and so on (see [`RotatingFile`]).
///
/// Files take no spool: what cannot be written is told, as with the program's own files.
#[derive(Debug)]
pub struct Files {
    encoder: EventEncoder,
    files: RotatingFile,
    /// Room for a record and its newline.
    text: Vec<u8>,
}

impl Files {
    /// Opens the first file, after those of earlier runs.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn create(
        name: &str,
        target: &FileTarget,
        encoder: EventEncoder,
    ) -> Result<Self, FileError> {
        let (directory, bytes) = (&target.directory, target.rotate_bytes);
        let mut files = RotatingFile::create(directory, name, bytes, Existing::Continue)?;
        if let Some(bytes) = target.keep_bytes {
            files = files.keeping(bytes);
        }
        Ok(Self { encoder, files, text: Vec::new() })
    }

    /// Writes the records of an event line.
    ///
    /// # Errors
    /// When a line is none of ours, or a file cannot be written; after the latter the output is
    /// not usable any more.
    pub fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let Self { encoder, files, text } = self;
        let mut failed = None;
        encoder.encode(line, &mut |_, record| {
            if failed.is_none() {
                text.clear();
                text.extend_from_slice(record);
                text.push(b'\n');
                failed = files.write_line(text).err();
            }
        })?;
        failed.map_or(Ok(()), |error| Err(error.to_string()))
    }

    /// Hands the lines so far to the system.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn flush(&mut self) -> Result<(), FileError> {
        self.files.flush()
    }

    /// Finishes the file if there is anything in it; call it now and then, so that shippers that
    /// wait for whole files see them.
    ///
    /// # Errors
    /// When it cannot be finished.
    pub fn rotate(&mut self) -> Result<(), FileError> {
        self.files.rotate()
    }

    /// Finishes the last file.
    ///
    /// # Errors
    /// When it cannot be finished.
    pub fn finish(self) -> Result<(), FileError> {
        self.files.finish().map(drop)
    }
}
