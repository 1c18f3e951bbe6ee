//! Content codings: gzip, deflate, br and zstd, stacked if need be, decoded as they arrive.
//!
//! A [`Decoder`] never fails: what it cannot decode becomes an [`Anomaly`], and from then on it is
//! opaque: it swallows the rest of the body and counts it.
//!
//! # Bombs
//!
//! There is no cap on the size of a body: an event stream may go on for weeks. What is capped is
//! the ratio of output to input, with room for a burst: see [`Limits::max_ratio`].
//!
//! # Memory
//!
//! Nothing is allocated for identity, and nothing for other codings before the first byte. Each
//! layer then has an output buffer ([`Limits::output_buffer_bytes`]) and its window:
//!
//! | Coding | At most |
//! |---|---|
//! | gzip, deflate | 48 KiB |
//! | br | 16 MiB window plus half of it while it grows, 4 MiB of tables; grows with the output |
//! | zstd | [`Limits::max_zstd_window_bytes`] plus 512 KiB; resident only as far as it is filled |
//!
//! All of it is freed when the decoder finishes, turns opaque, or is told to stop.

mod brotli;
mod budget;
mod coding;
mod deflate;
mod gzip;
mod message;
mod stack;
#[cfg(test)]
mod tests;
mod zstd;

use std::ops::ControlFlow;

pub use self::message::MessageDecoder;

use self::coding::{Codings, Guess};
use self::stack::Stack;
use crate::anomaly::{Anomaly, Layer};

/// Bounds of one [`Decoder`]. For worst-case memory see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Content codings stacked on one body. More: `content-coding-too-many`, opaque.
    pub max_layers: usize,
    /// Output buffer of each layer, and so the longest piece handed on.
    pub output_buffer_bytes: usize,
    /// Bytes of output, of all layers together, that one byte of input pays for. The account
    /// starts with `burst_bytes` and never holds more: a body of less than that is always decoded
    /// whole, a longer one as long as no stretch of it exceeds the ratio by more than that.
    /// Overdrawn: `decompression-bomb`, opaque.
    pub max_ratio: u32,
    /// Output that needs no input to pay for it: see `max_ratio`.
    pub burst_bytes: u32,
    /// Largest zstd window, rounded down to a power of two (RFC 9659 section 3 allows 8 MiB).
    /// Larger: `content-coding-corrupt`, opaque.
    pub max_zstd_window_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_layers: 4,
            output_buffer_bytes: 16 << 10,
            max_ratio: 250,
            burst_bytes: 1 << 20,
            max_zstd_window_bytes: 8 << 20,
        }
    }
}

/// What can be said against a coded body. Each is reported once per body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Oddity {
    Unknown,
    TooMany,
    Mislabelled,
    Corrupt,
    Checksum,
    Trailing,
    Gap,
    Truncated,
    Bomb,
}

impl Oddity {
    const ALL: [Self; 9] = [
        Self::Unknown,
        Self::TooMany,
        Self::Mislabelled,
        Self::Corrupt,
        Self::Checksum,
        Self::Trailing,
        Self::Gap,
        Self::Truncated,
        Self::Bomb,
    ];

    const fn bit(self) -> u16 {
        1 << self as u8
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Unknown => "content-coding-unknown",
            Self::TooMany => "content-coding-too-many",
            Self::Mislabelled => "content-coding-mislabelled",
            Self::Corrupt => "content-coding-corrupt",
            Self::Checksum => "content-coding-checksum",
            Self::Trailing => "content-coding-trailing-bytes",
            Self::Gap => "content-coding-gap",
            Self::Truncated => "content-coding-truncated",
            Self::Bomb => "decompression-bomb",
        }
    }
}

/// Decoder of one body's content coding.
///
/// A body whose first byte shows that it is plain text in spite of its `Content-Encoding` is
/// passed through (`content-coding-mislabelled`, or `content-coding-unknown` alone for a coding
/// that is not known): several HTTP stacks do not look at the field and would read it, so a sensor
/// that trusts the label could be blinded with it.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    limits: Limits,
    undecodable: u64,
    reported: u16,
    pending: u16,
}

#[derive(Debug)]
enum State {
    Identity,
    /// No byte has come yet.
    Waiting(Codings),
    Running(Box<Stack>),
    /// Complete, or told to stop: nothing more is wanted.
    Stopped,
    Opaque,
}

impl Decoder {
    /// A decoder that passes everything through.
    #[must_use]
    pub fn identity() -> Self {
        Self::with_state(State::Identity, Limits::default())
    }

    /// A decoder for the values of all `Content-Encoding` fields, in wire order (RFC 9110 section
    /// 8.4): lists, in any case, with `identity`, `x-gzip` and empty elements.
    #[must_use]
    pub fn from_content_encoding<'a>(
        values: impl Iterator<Item = &'a [u8]>,
        limits: Limits,
    ) -> Self {
        let codings = Codings::parse(values, limits.max_layers);
        if codings.is_identity() {
            return Self::with_state(State::Identity, limits);
        }
        let (unknown, too_many) = (codings.has_unknown(), codings.too_many());
        let mut decoder = Self::with_state(State::Waiting(codings), limits);
        if unknown {
            decoder.report(Oddity::Unknown);
        }
        if too_many {
            decoder.fail(Oddity::TooMany);
        }
        decoder
    }

    const fn with_state(state: State, limits: Limits) -> Self {
        Self { state, limits, undecodable: 0, reported: 0, pending: 0 }
    }

    /// Whether bytes are passed through as they are, without a copy.
    #[must_use]
    pub const fn is_identity(&self) -> bool {
        matches!(self.state, State::Identity)
    }

    /// Whether the rest of the body cannot be decoded.
    #[must_use]
    pub const fn is_opaque(&self) -> bool {
        matches!(self.state, State::Opaque)
    }

    /// Bytes of the body that arrived but could not be decoded. Bytes that the decoder had taken
    /// in already when it found out are not counted.
    #[must_use]
    pub const fn undecodable_bytes(&self) -> u64 {
        self.undecodable
    }

    /// The next anomaly that has not been taken yet. Each kind comes at most once per body.
    pub fn take_anomaly(&mut self) -> Option<Anomaly> {
        let next = Oddity::ALL.into_iter().find(|oddity| self.pending & oddity.bit() != 0)?;
        self.pending &= !next.bit();
        Some(Anomaly::new(Layer::Content, next.kind()))
    }

    /// The next bytes of the body: hands each plain piece, never empty, to `out` as soon as it is
    /// decoded. When `out` breaks, the decoder frees its memory, ignores everything that follows,
    /// and answers `Break` from then on.
    pub fn push<F>(&mut self, input: &[u8], out: &mut F) -> ControlFlow<()>
    where
        F: FnMut(&[u8]) -> ControlFlow<()>,
    {
        let Some(&first) = input.first() else { return ControlFlow::Continue(()) };
        if let State::Waiting(codings) = &self.state {
            let guess = codings.guess(first);
            self.start(&guess);
        }
        let flow = match &mut self.state {
            State::Identity => out(input),
            State::Running(stack) => match stack.push(input, out) {
                Ok(flow) => {
                    let notes = stack.take_notes();
                    self.report_all(notes);
                    flow
                }
                Err(fault) => {
                    let notes = stack.take_notes();
                    self.undecodable = self.undecodable.saturating_add(fault.unread_bytes);
                    self.report_all(notes);
                    self.fail(fault.oddity);
                    ControlFlow::Continue(())
                }
            },
            State::Stopped => ControlFlow::Break(()),
            State::Waiting(_) | State::Opaque => {
                self.undecodable = self.undecodable.saturating_add(input.len() as u64);
                ControlFlow::Continue(())
            }
        };
        if flow.is_break() {
            self.state = State::Stopped;
        }
        flow
    }

    /// `len` bytes of the body are missing. Identity does not mind (its consumer must know by
    /// itself); a coded body cannot be read after a gap: `content-coding-gap`, opaque.
    pub fn gap(&mut self, len: u64) {
        if len > 0 && matches!(self.state, State::Waiting(_) | State::Running(_)) {
            self.fail(Oddity::Gap);
        }
    }

    /// The body is over: frees all memory. `content-coding-truncated` if the coded data is not
    /// complete, which is no news when the message itself was truncated.
    pub fn finish(&mut self) {
        if let State::Running(stack) = &self.state
            && !stack.is_complete()
        {
            self.report(Oddity::Truncated);
        }
        if !self.is_opaque() {
            self.state = State::Stopped;
        }
    }

    fn start(&mut self, guess: &Guess) {
        match (guess, &self.state) {
            (Guess::Plain { labelled }, _) => {
                self.state = State::Identity;
                if *labelled {
                    self.report(Oddity::Mislabelled);
                }
            }
            (Guess::Coded, State::Waiting(codings)) => {
                self.state = match Stack::new(codings.decode_order(), &self.limits) {
                    Some(stack) => State::Running(Box::new(stack)),
                    None => State::Opaque,
                };
            }
            _ => self.state = State::Opaque,
        }
    }

    fn fail(&mut self, oddity: Oddity) {
        self.report(oddity);
        self.state = State::Opaque;
    }

    fn report(&mut self, oddity: Oddity) {
        self.report_all(oddity.bit());
    }

    const fn report_all(&mut self, bits: u16) {
        self.pending |= bits & !self.reported;
        self.reported |= bits;
    }
}
