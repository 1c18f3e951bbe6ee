//! Compressed captures: gzip (RFC 1952, several members) and zstd (RFC 8878, several frames),
//! told apart by their first bytes, never by a name. Streaming, in bounded memory: 64 KiB of
//! input, and the window (32 KiB for gzip, [`Limits::max_zstd_window_bytes`] at most for zstd).
//!
//! Both readers hand out every byte that was decompressed before they report an error, and tell
//! by its kind what happened: `UnexpectedEof` for a stream cut short, `InvalidData` for a corrupt
//! one, anything else from the system.

use std::io::{self, BufRead, BufReader, Read};

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::Limits;

/// Compressed bytes read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// The compressions that are undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// By the first bytes of a file.
    pub(super) fn of(magic: [u8; 4]) -> Option<Self> {
        match magic {
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            [0x28, 0xB5, 0x2F, 0xFD] => Some(Self::Zstd),
            // A skippable frame, such as the seek table that some writers put in front.
            [0x50..=0x5F, 0x2A, 0x4D, 0x18] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What `input` holds.
    pub(super) fn undo(
        self,
        input: Box<dyn Read + Send>,
        limits: &Limits,
    ) -> io::Result<Box<dyn Read + Send>> {
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Ok(match self {
            Self::Gzip => Box::new(Gzip::new(input)),
            Self::Zstd => Box::new(Zstd::new(input, limits.max_zstd_window_bytes)?),
        })
    }
}

/// The plain bytes of an input that may be compressed.
///
/// # Errors
/// Those of the first bytes.
pub fn plain(mut input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut head)?;
    let compression = head.first_chunk().copied().and_then(Compression::of);
    let whole: Box<dyn Read + Send> = Box::new(io::Cursor::new(head).chain(input));
    match compression {
        Some(compression) => compression.undo(whole, &Limits::default()),
        None => Ok(whole),
    }
}

/// What [`BufRead::fill_buf`] gives, through interruptions.
fn fill(input: &mut impl BufRead) -> io::Result<usize> {
    loop {
        match input.fill_buf() {
            Ok(bytes) => return Ok(bytes.len()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn cut_short(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("the {what} stream ends early"))
}

fn corrupt(what: &str, detail: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the {what} stream is corrupt: {detail}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Inside a gzip member.
    Member,
    /// After one.
    Between,
    /// In the zero bytes with which some writers fill the last block of a tape or disk.
    Padding,
}

struct Gzip<R> {
    input: BufReader<R>,
    inflate: Decompress,
    place: Place,
    /// Comes after the bytes that were inflated with it.
    pending: Option<io::Error>,
}

impl<R: Read> Gzip<R> {
    fn new(input: BufReader<R>) -> Self {
        Self { input, inflate: Decompress::new_gzip(15), place: Place::Member, pending: None }
    }

    /// Inflates once; gives the bytes produced.
    fn step(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.fill_buf()?;
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let result = self.inflate.decompress(bytes, out, FlushDecompress::None);
        let consumed = usize::try_from(self.inflate.total_in() - read).unwrap_or(usize::MAX);
        let produced = usize::try_from(self.inflate.total_out() - written).unwrap_or(usize::MAX);
        self.input.consume(consumed);
        match result {
            Ok(Status::StreamEnd) => {
                self.inflate.reset(true);
                self.place = Place::Between;
            }
            Ok(_) if consumed == 0 && produced == 0 => {
                self.pending = Some(corrupt("gzip", &"it makes no progress"));
            }
            Ok(_) => {}
            Err(error) => self.pending = Some(corrupt("gzip", &error)),
        }
        Ok(produced)
    }

    /// Between members: passes padding; false at the end of the input.
    fn another_member(&mut self) -> io::Result<bool> {
        while fill(&mut self.input)? > 0 {
            let bytes = self.input.buffer();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            match (bytes.first(), self.place) {
                (Some(0x1F), Place::Between) => {
                    self.place = Place::Member;
                    return Ok(true);
                }
                _ if zeros > 0 => {
                    self.input.consume(zeros);
                    self.place = Place::Padding;
                }
                _ => return Err(corrupt("gzip", &"other bytes follow it")),
            }
        }
        Ok(false)
    }
}

impl<R: Read> Read for Gzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(error) = self.pending.take() {
                // Stays an error, whoever reads again.
                self.pending = Some(io::Error::new(error.kind(), error.to_string()));
                return Err(error);
            }
            if self.place != Place::Member {
                match self.another_member() {
                    Ok(true) => {}
                    Ok(false) => return Ok(0),
                    Err(error) => self.pending = Some(error),
                }
                continue;
            }
            if fill(&mut self.input)? == 0 {
                return Err(cut_short("gzip"));
            }
            let produced = self.step(out)?;
            if produced > 0 || out.is_empty() {
                return Ok(produced);
            }
        }
    }
}

struct Zstd<R> {
    input: BufReader<R>,
    decoder: Decoder<'static>,
    /// Bytes that the decoder asked for: one block and the next one's header. It gets no more at
    /// once, because an error throws away what the same call has produced.
    wanted: usize,
    within_frame: bool,
    /// The decoder may hold output that did not fit.
    full: bool,
    pending: Option<io::Error>,
}

/// Bytes that tell the sort of a zstd frame.
const FRAME_START_BYTES: usize = 5;

impl<R: Read> Zstd<R> {
    fn new(input: BufReader<R>, max_window_bytes: u64) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        // The library knows windows of 2^10 to 2^31 bytes.
        let log = max_window_bytes.max(1).ilog2().clamp(10, 31);
        decoder.set_parameter(DParameter::WindowLogMax(log))?;
        Ok(Self {
            input,
            decoder,
            wanted: FRAME_START_BYTES,
            within_frame: false,
            full: false,
            pending: None,
        })
    }

    fn step(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.fill_buf()?;
        let (offered, _) = bytes.split_at(self.wanted.min(bytes.len()));
        match self.decoder.run_on_buffers(offered, out) {
            Ok(status) => {
                self.full = status.bytes_written == out.len();
                // Between frames an empty input is answered with the size of a frame's start.
                if status.remaining == 0 || !offered.is_empty() {
                    self.within_frame = status.remaining > 0;
                }
                self.wanted = match status.remaining {
                    0 => FRAME_START_BYTES,
                    bytes => bytes,
                };
                self.input.consume(status.bytes_read);
                Ok(status.bytes_written)
            }
            Err(error) => {
                self.pending = Some(corrupt("zstd", &error));
                Ok(0)
            }
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(error) = self.pending.take() {
                self.pending = Some(io::Error::new(error.kind(), error.to_string()));
                return Err(error);
            }
            let there = fill(&mut self.input)?;
            if there == 0 && !self.full {
                return if self.within_frame { Err(cut_short("zstd")) } else { Ok(0) };
            }
            let produced = self.step(out)?;
            if produced > 0 {
                return Ok(produced);
            }
            if there == 0 {
                self.full = false;
            }
        }
    }
}
