//! The `br` coding (RFC 7932).

use std::fmt;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::Oddity;
use super::stack::Step;

pub(super) struct Brotli {
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    ended: bool,
}

impl fmt::Debug for Brotli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brotli").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Brotli {
    /// Strict: no windows above 16 MiB, which the standard does not have.
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self { state: BrotliState::new_strict(alloc(), alloc(), alloc()), ended: false }
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.ended
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        if self.ended {
            return if input.is_empty() { Step::default() } else { Step::fault(Oddity::Trailing) };
        }
        let (mut left, mut consumed) = (input.len(), 0);
        let (mut room, mut produced, mut total) = (output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut consumed,
            input,
            &mut room,
            &mut produced,
            output,
            &mut total,
            &mut self.state,
        );
        self.ended = matches!(result, BrotliResult::ResultSuccess);
        let fault = matches!(result, BrotliResult::ResultFailure).then_some(Oddity::Corrupt);
        Step { consumed, produced, fault, note: None }
    }
}
