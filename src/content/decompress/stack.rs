//! A running stack of decoders: each layer's output is the next one's input.

use std::ops::ControlFlow;

use super::brotli::Brotli;
use super::budget::Budget;
use super::coding::Coding;
use super::deflate::Deflate;
use super::gzip::Gzip;
use super::zstd::Zstd;
use super::{Limits, Oddity};

/// What one call of a layer did. With `fault`, the layer must not be called again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    /// Bytes of input used up.
    pub(super) consumed: usize,
    /// Bytes of output written, valid even with a fault.
    pub(super) produced: usize,
    /// The end of decoding.
    pub(super) fault: Option<Oddity>,
    /// An oddity that does not end decoding.
    pub(super) note: Option<Oddity>,
}

impl Step {
    pub(super) fn fault(oddity: Oddity) -> Self {
        Self { fault: Some(oddity), ..Self::default() }
    }
}

/// Why a stack is of no more use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) oddity: Oddity,
    /// Bytes of the last push that the outermost layer had not taken in.
    pub(super) unread_bytes: u64,
}

#[derive(Debug)]
enum Kernel {
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Box<Brotli>),
    Zstd(Zstd),
}

impl Kernel {
    fn new(coding: Coding, limits: &Limits) -> Option<Self> {
        Some(match coding {
            Coding::Gzip => Self::Gzip(Gzip::new()),
            Coding::Deflate => Self::Deflate(Deflate::new()),
            Coding::Brotli => Self::Brotli(Box::new(Brotli::new())),
            Coding::Zstd => Self::Zstd(Zstd::new(limits.max_zstd_window_bytes)?),
        })
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        match self {
            Self::Gzip(kernel) => kernel.step(input, output),
            Self::Deflate(kernel) => kernel.step(input, output),
            Self::Brotli(kernel) => kernel.step(input, output),
            Self::Zstd(kernel) => kernel.step(input, output),
        }
    }

    const fn is_complete(&self) -> bool {
        match self {
            Self::Gzip(kernel) => kernel.is_complete(),
            Self::Deflate(kernel) => kernel.is_complete(),
            Self::Brotli(kernel) => kernel.is_complete(),
            Self::Zstd(kernel) => kernel.is_complete(),
        }
    }
}

#[derive(Debug)]
struct Stage {
    kernel: Kernel,
    buffer: Box<[u8]>,
    fed: bool,
}

#[derive(Debug)]
pub(super) struct Stack {
    /// Outermost coding first.
    stages: Vec<Stage>,
    budget: Budget,
    notes: u16,
}

impl Stack {
    /// A stack of decoders; none if the memory for one cannot be had.
    pub(super) fn new(codings: impl Iterator<Item = Coding>, limits: &Limits) -> Option<Self> {
        let buffer = || vec![0; limits.output_buffer_bytes.max(1)].into_boxed_slice();
        let stages = codings
            .map(|coding| {
                let kernel = Kernel::new(coding, limits)?;
                Some(Stage { kernel, buffer: buffer(), fed: false })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { stages, budget: Budget::new(limits), notes: 0 })
    }

    pub(super) fn push<F>(&mut self, input: &[u8], out: &mut F) -> Result<ControlFlow<()>, Fault>
    where
        F: FnMut(&[u8]) -> ControlFlow<()>,
    {
        // In slices, since a decoder may take in much before it gives out anything (brotli fills
        // a whole window first), and by then the input would no longer pay for it.
        let mut rest = input;
        while !rest.is_empty() {
            let at = rest.len().min(self.budget.max_input_bytes());
            let (mut slice, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.budget.pay(slice.len());
            let mut run = Run { budget: &mut self.budget, notes: &mut self.notes, out };
            match run.through(&mut self.stages, &mut slice) {
                Ok(ControlFlow::Continue(())) => rest = after,
                Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                Err(oddity) => {
                    let unread_bytes = (slice.len() + after.len()) as u64;
                    return Err(Fault { oddity, unread_bytes });
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Bits of the oddities that were noted since the last call.
    pub(super) const fn take_notes(&mut self) -> u16 {
        let notes = self.notes;
        self.notes = 0;
        notes
    }

    /// Whether every layer that got any input came to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.stages.iter().all(|stage| !stage.fed || stage.kernel.is_complete())
    }
}

struct Run<'a, F> {
    budget: &'a mut Budget,
    notes: &'a mut u16,
    out: &'a mut F,
}

impl<F: FnMut(&[u8]) -> ControlFlow<()>> Run<'_, F> {
    /// Drives `input` through the first stage and what comes out through the others; leaves in
    /// `input` what a fault kept from being taken in.
    fn through(
        &mut self,
        stages: &mut [Stage],
        input: &mut &[u8],
    ) -> Result<ControlFlow<()>, Oddity> {
        let Some((stage, inner)) = stages.split_first_mut() else {
            return Ok((self.out)(input));
        };
        stage.fed = true;
        loop {
            let step = stage.kernel.step(input, &mut stage.buffer);
            *input = input.get(step.consumed..).unwrap_or_default();
            *self.notes |= step.note.map_or(0, Oddity::bit);
            if !self.budget.draw(step.produced) {
                return Err(Oddity::Bomb);
            }
            if let Some(mut piece @ [_, ..]) = stage.buffer.get(..step.produced)
                && self.through(inner, &mut piece)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
            if let Some(oddity) = step.fault {
                return Err(oddity);
            }
            let full = step.produced == stage.buffer.len();
            if input.is_empty() && !full {
                return Ok(ControlFlow::Continue(()));
            }
            if step.consumed == 0 && step.produced == 0 {
                return if input.is_empty() {
                    Ok(ControlFlow::Continue(()))
                } else {
                    // No decoder should do this; it must not become an endless loop.
                    Err(Oddity::Corrupt)
                };
            }
        }
    }
}
