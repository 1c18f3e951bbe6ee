//! A buffered reader that knows where it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// Bytes read from the system, or from a decompressor, at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Moves on by so many bytes.
type Seek<R> = fn(&mut BufReader<R>, i64) -> io::Result<()>;

/// Reads in order and counts; never reads ahead more than its buffer of 256 KiB.
#[derive(Debug)]
pub(super) struct ByteStream<R> {
    input: BufReader<R>,
    offset: u64,
    /// Moves on in what can be moved in.
    seek: Option<Seek<R>>,
}

impl ByteStream<File> {
    /// A file in which skipping is seeking. It may so pass the end, which the next read tells.
    pub(super) fn seeking(file: File) -> Self {
        Self { seek: Some(BufReader::seek_relative), ..Self::new(file) }
    }
}

impl<R: Read> ByteStream<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(BUFFER_BYTES, input), offset: 0, seek: None }
    }

    /// Bytes taken so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that can be taken without a read that may block.
    pub(super) fn buffered(&self) -> usize {
        self.input.buffer().len()
    }

    /// Fills `out` as far as the stream goes; gives the bytes filled.
    pub(super) fn take(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let wanted = out.len();
        let mut rest = out;
        self.pull(wanted as u64, |piece| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(piece.len());
            now.copy_from_slice(piece);
            rest = later;
        })?;
        Ok(wanted - rest.len())
    }

    /// Appends up to `count` bytes to `out`, which grows as they come; gives the bytes appended.
    pub(super) fn append(&mut self, count: u64, out: &mut Vec<u8>) -> io::Result<u64> {
        self.pull(count, |piece| out.extend_from_slice(piece))
    }

    /// Passes over up to `count` bytes; gives the bytes passed.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<u64> {
        if let (Some(seek), Ok(distance)) = (self.seek, i64::try_from(count)) {
            seek(&mut self.input, distance)?;
            self.offset += count;
            return Ok(count);
        }
        self.pull(count, |_| ())
    }

    /// Up to `count` bytes, piece by piece.
    fn pull(&mut self, count: u64, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
        let mut done = 0;
        while done < count {
            let chunk = match self.input.fill_buf() {
                Ok([]) => break,
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let wanted = usize::try_from(count - done).unwrap_or(usize::MAX);
            let (piece, _) = chunk.split_at(wanted.min(chunk.len()));
            let taken = piece.len();
            each(piece);
            self.input.consume(taken);
            self.offset += taken as u64;
            done += taken as u64;
        }
        Ok(done)
    }
}

/// Fills `out` from `input` as far as it goes, through short reads; gives the bytes filled.
pub(super) fn read_full(input: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    let mut rest = out;
    let wanted = rest.len();
    while !rest.is_empty() {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => rest = std::mem::take(&mut rest).split_at_mut(read).1,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(wanted - rest.len())
}
