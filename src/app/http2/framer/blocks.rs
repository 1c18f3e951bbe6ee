//! Header blocks: put together, and what stands around them taken off.

use super::super::frame::{self, Frame};
use super::super::oddity::Oddity;
use super::{Block, Cut, Framer, Phase, Purpose, Step};

/// A header block that is not over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// The stream of its frames.
    pub(super) carrier: u32,
    /// The stream that it is about.
    stream: u32,
    purpose: Purpose,
    /// Where it begins in the buffer.
    start: usize,
    /// Its first frame is over, and what stands before the block there is known.
    stripped: bool,
    pub(super) cut: Cut,
}

impl Open {
    pub(super) const fn cut_off(self, cut: Cut) -> Self {
        Self { cut, ..self }
    }
}

impl Framer {
    pub(super) const fn open(&mut self, purpose: Purpose) -> Phase {
        let carrier = self.frame.stream;
        let cut = Cut::Whole;
        self.open =
            Some(Open { carrier, stream: carrier, purpose, start: 0, stripped: false, cut });
        Phase::Block
    }

    pub(super) fn block<'a>(&'a mut self, bytes: &'a [u8], max_bytes: usize) -> (usize, Step<'a>) {
        let Some(open) = self.open else { return (self.skip(bytes), Step::More) };
        let frame = self.frame;
        let left = self.left as usize;
        let ends = frame.has(frame::END_HEADERS);
        let untouched = !open.stripped && self.buffer.is_empty() && open.cut == Cut::Whole;
        if untouched
            && ends
            && left <= max_bytes
            && let Some(payload) = bytes.get(..left)
        {
            self.open = None;
            self.skip(payload);
            return (left, in_place(open, frame, payload));
        }
        let piece = bytes.get(..left).unwrap_or(bytes);
        let room = max_bytes.saturating_sub(self.buffer.len());
        if open.cut == Cut::Whole {
            self.buffer.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if piece.len() > room {
                self.open = Some(Open { cut: Cut::TooLong, ..open });
            }
        }
        self.skip(piece);
        let step = if self.left == 0 { self.end_block_frame(ends) } else { Step::More };
        (piece.len(), step)
    }

    /// A frame of a header block is over.
    pub(super) fn end_block_frame(&mut self, ends: bool) -> Step<'_> {
        let Some(mut open) = self.open.take() else { return Step::More };
        if !open.stripped {
            let Some(prefix) = Prefix::read(self.frame, &self.buffer) else {
                self.spent = true;
                let known = open.cut == Cut::Whole;
                return Step::BlockLost(known.then_some(Oddity::FrameMalformed));
            };
            let end = (self.frame.len as usize).saturating_sub(prefix.padding);
            if end < prefix.len {
                self.spent = true;
                return Step::BlockLost(Some(Oddity::FrameMalformed));
            }
            self.buffer.truncate(end);
            (open.start, open.stripped) = (prefix.len, true);
            open.stream = prefix.promised.unwrap_or(open.stream);
        }
        if ends {
            return self.give(open);
        }
        self.open = Some(open);
        Step::More
    }

    /// Hands out the buffered block.
    pub(super) fn give(&mut self, open: Open) -> Step<'_> {
        self.spent = true;
        let mut open = open;
        if !open.stripped {
            let Some(prefix) = Prefix::read(self.frame, &self.buffer) else {
                return Step::BlockLost(None);
            };
            open.start = prefix.len;
            open.stream = prefix.promised.unwrap_or(open.stream);
        }
        let bytes = self.buffer.get(open.start..).unwrap_or_default();
        Step::Block(Block { stream: open.stream, purpose: open.purpose, bytes, cut: open.cut })
    }
}

/// What stands before a header block in its first frame (RFC 9113 sections 6.2 and 6.6).
#[derive(Clone, Copy, Debug)]
struct Prefix {
    len: usize,
    padding: usize,
    promised: Option<u32>,
}

impl Prefix {
    fn read(frame: Frame, payload: &[u8]) -> Option<Self> {
        let mut prefix = Self { len: 0, padding: 0, promised: None };
        let mut rest = payload;
        if frame.has(frame::PADDED) {
            let (padding, after) = rest.split_first()?;
            prefix.padding = usize::from(*padding);
            prefix.len += 1;
            rest = after;
        }
        if frame.kind == frame::PUSH_PROMISE {
            let promised = rest.first_chunk::<4>()?;
            prefix.promised = Some(u32::from_be_bytes(*promised) & 0x7fff_ffff);
            prefix.len += 4;
        } else if frame.has(frame::PRIORITISED) {
            rest.first_chunk::<5>()?;
            prefix.len += 5;
        }
        Some(prefix)
    }
}

/// A header block that is whole in one frame in one chunk.
fn in_place<'a>(open: Open, frame: Frame, payload: &'a [u8]) -> Step<'a> {
    let block = Prefix::read(frame, payload).and_then(|prefix| {
        let end = payload.len().checked_sub(prefix.padding)?;
        Some((prefix.promised.unwrap_or(open.stream), payload.get(prefix.len..end)?))
    });
    match block {
        Some((stream, bytes)) => {
            Step::Block(Block { stream, purpose: open.purpose, bytes, cut: Cut::Whole })
        }
        None => Step::BlockLost(Some(Oddity::FrameMalformed)),
    }
}
