//! The `zstd` coding (RFC 8878), several frames one after the other, skippable ones too.

use std::fmt;

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::Oddity;
use super::stack::Step;

const MAGIC_LEN: u64 = 4;

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    /// What the library asked for: bytes of the next block with the header of the one after.
    hint: usize,
    /// Bytes taken in since the start of the frame; 0 between frames.
    frame_bytes: u64,
    /// Frames that came to their end.
    frames: u64,
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Zstd {
    /// None if the memory cannot be had.
    pub(super) fn new(max_window_bytes: u32) -> Option<Self> {
        let mut decoder = Decoder::new().ok()?;
        let window_log = max_window_bytes.checked_ilog2().unwrap_or(0).max(10);
        decoder.set_parameter(DParameter::WindowLogMax(window_log)).ok()?;
        Some(Self { decoder, hint: 0, frame_bytes: 0, frames: 0 })
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.frame_bytes == 0 && self.frames > 0
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let piece = input.get(..self.next_len().min(input.len())).unwrap_or(input);
        let mut source = InBuffer::around(piece);
        let mut target = OutBuffer::around(output);
        let result = self.decoder.run(&mut source, &mut target);
        let (consumed, produced) = (source.pos, target.pos());
        let fault = match result {
            Ok(0) => {
                self.frames += u64::from(self.frame_bytes + consumed as u64 > 0);
                self.frame_bytes = 0;
                None
            }
            Ok(hint) => {
                self.hint = hint;
                self.frame_bytes += consumed as u64;
                None
            }
            // A bad magic number after a frame.
            Err(_) if self.frames > 0 && self.frame_bytes < MAGIC_LEN => Some(Oddity::Trailing),
            Err(_) => Some(Oddity::Corrupt),
        };
        Step { consumed, produced, fault, note: None }
    }

    /// How much input to offer. At an error the library forgets what it decoded in the same call,
    /// and a frame that it gets whole it decodes in one go, so: the magic number byte by byte, and
    /// then one block per call. What comes out does not depend on how the input is cut.
    const fn next_len(&self) -> usize {
        const BLOCK_HEADER_LEN: usize = 3;
        match (self.frame_bytes, self.hint) {
            (0..MAGIC_LEN, _) | (_, 0) => 1,
            (_, hint) if hint > BLOCK_HEADER_LEN => hint - BLOCK_HEADER_LEN,
            (_, hint) => hint,
        }
    }
}
