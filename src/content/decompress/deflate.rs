//! The `deflate` coding: zlib-wrapped (RFC 1950) as the standard says, or raw (RFC 1951) as some
//! senders do.

use flate2::{Decompress, FlushDecompress, Status};

use super::Oddity;
use super::stack::Step;

/// Raw inflate with its progress counted per call.
#[derive(Debug)]
pub(super) struct Inflate(Decompress);

impl Inflate {
    pub(super) fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// Begins a new deflate stream in the same memory.
    pub(super) fn reset(&mut self) {
        self.0.reset(false);
    }

    /// One step, and whether the deflate stream ended with it.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> (Step, bool) {
        let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, output, FlushDecompress::None);
        let since = |total: u64, before| usize::try_from(total - before).unwrap_or(usize::MAX);
        let step = Step {
            consumed: since(self.0.total_in(), before_in),
            produced: since(self.0.total_out(), before_out),
            fault: status.is_err().then_some(Oddity::Corrupt),
            note: None,
        };
        (step, matches!(status, Ok(Status::StreamEnd)))
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    /// Too few bytes to tell zlib from raw.
    Start,
    /// So is the first byte of the body alone.
    Second(u8),
    Raw,
    Zlib,
    /// So many bytes of the Adler-32 are still to come. It is not checked: hiding data behind a
    /// bad checksum works only if it is checked.
    Adler(u8),
    End,
}

#[derive(Debug)]
pub(super) struct Deflate {
    part: Part,
    inflate: Inflate,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Self { part: Part::Start, inflate: Inflate::new() }
    }

    pub(super) const fn is_complete(&self) -> bool {
        matches!(self.part, Part::Adler(_) | Part::End)
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        match (self.part, input.first()) {
            (Part::Raw, _) => self.body(input, output, Part::End),
            (Part::Zlib, _) => self.body(input, output, Part::Adler(4)),
            (_, None) => Step::default(),
            (Part::Start, Some(&first)) => self.to(Part::Second(first)),
            (Part::Second(first), Some(&second)) => self.head([first, second], output),
            (Part::Adler(left), Some(_)) if left > 1 => self.to(Part::Adler(left - 1)),
            (Part::Adler(_), Some(_)) => self.to(Part::End),
            (Part::End, Some(_)) => Step::fault(Oddity::Trailing),
        }
    }

    fn body(&mut self, input: &[u8], output: &mut [u8], next: Part) -> Step {
        let (step, ended) = self.inflate.step(input, output);
        if ended {
            self.part = next;
        }
        step
    }

    /// One byte of input moves on to another part.
    fn to(&mut self, part: Part) -> Step {
        self.part = part;
        Step { consumed: 1, ..Step::default() }
    }

    /// The second byte is here. Two bytes of raw data make one byte of output at most, so that
    /// they always go in whole.
    fn head(&mut self, head: [u8; 2], output: &mut [u8]) -> Step {
        if is_zlib_header(head) {
            return self.to(Part::Zlib);
        }
        self.part = Part::Raw;
        Step { consumed: 1, ..self.body(&head, output, Part::End) }
    }
}

/// RFC 1950 section 2.2: method 8, window of at most 32 KiB, check bits, no preset dictionary.
fn is_zlib_header(head: [u8; 2]) -> bool {
    let [cmf, flg] = head;
    cmf & 0x0f == 8
        && cmf >> 4 <= 7
        && flg & 0x20 == 0
        && u16::from_be_bytes(head).is_multiple_of(31)
}
