//! Looks for the next frame where framing was lost: after a gap, or midstream.
//!
//! A frame is believed when its header is plausible and the two that follow it, each where the
//! one before says, are plausible too; at the end of the bytes an exact end suffices. What is
//! found does not depend on how the bytes are cut. Linear in the bytes, with at most
//! [`MAX_CHAINS`] looks at each.

use super::frame::{Frame, HEADER_BYTES};

/// Bytes kept; of a chain of longer frames only the last ones are then read.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// Bytes taken in at once.
const PIECE_BYTES: usize = 16 << 10;
/// Chains followed at a time; further ones are not begun.
const MAX_CHAINS: usize = 32;
/// Headers in a row that are believed.
const ENOUGH: u8 = 3;

/// Frames that follow each other, as positions from where the search began.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// The first frame that is still in the buffer.
    start: u64,
    last: u64,
    next: u64,
    links: u8,
}

/// Frames that were found.
#[derive(Debug)]
pub(in crate::app) struct Found {
    /// From the first of them up to the last byte used.
    pub(in crate::app) bytes: Vec<u8>,
    /// Bytes before them that are not read.
    pub(in crate::app) missing: u64,
    /// They begin the connection.
    pub(in crate::app) fresh: bool,
}

/// A search in one direction.
#[derive(Debug)]
pub(in crate::app) struct Search {
    buffer: Vec<u8>,
    /// Position of `buffer[0]`.
    base: u64,
    /// Where the next header may begin.
    at: u64,
    chains: Vec<Chain>,
    /// Bytes that were missing before the search began, or in it.
    missing: u64,
    /// The first byte may be the first of the connection.
    may_be_fresh: bool,
}

impl Search {
    pub(in crate::app) const fn new(missing: u64, may_be_fresh: bool) -> Self {
        Self { buffer: Vec::new(), base: 0, at: 0, chains: Vec::new(), missing, may_be_fresh }
    }

    /// Bytes searched.
    pub(in crate::app) const fn seen(&self) -> u64 {
        self.at
    }

    fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// Reads on; how many bytes were used, and what was found.
    pub(in crate::app) fn feed(&mut self, bytes: &[u8]) -> (usize, Option<Found>) {
        let mut used = 0;
        for piece in bytes.chunks(PIECE_BYTES) {
            used += piece.len();
            self.buffer.extend_from_slice(piece);
            if let Some((start, fresh)) = self.scan() {
                return (used, Some(self.found(start, fresh)));
            }
            self.trim();
        }
        (used, None)
    }

    /// No more bytes come, or some are missing: frames that end exactly here are believed.
    pub(in crate::app) fn settle(&mut self) -> Option<Found> {
        let end = self.end();
        let chains = self.chains.iter().filter(|chain| chain.next == end && chain.start < end);
        let start = chains.map(|chain| chain.start).min()?;
        Some(self.found(start, false))
    }

    /// Bytes are missing.
    pub(in crate::app) fn gap(&mut self, len: u64) {
        let missing = self.missing.saturating_add(self.end()).saturating_add(len);
        *self = Self::new(missing, false);
    }

    fn found(&mut self, start: u64, fresh: bool) -> Found {
        let mut bytes = std::mem::take(&mut self.buffer);
        let skip = usize::try_from(start.saturating_sub(self.base)).unwrap_or(usize::MAX);
        bytes.drain(..skip.min(bytes.len()));
        Found { bytes, missing: self.missing.saturating_add(start), fresh }
    }

    /// Where believed frames begin, and whether they begin the connection.
    fn scan(&mut self) -> Option<(u64, bool)> {
        loop {
            let skip = usize::try_from(self.at - self.base).unwrap_or(usize::MAX);
            let header = self.buffer.get(skip..)?.first_chunk::<HEADER_BYTES>()?;
            let at = self.at;
            let frame = Frame::parse(header);
            self.at += 1;
            if !frame.is_plausible() {
                if !self.chains.is_empty() {
                    self.chains.retain(|chain| chain.next != at);
                }
                continue;
            }
            if at == 0 && self.may_be_fresh && frame.is_preface() {
                return Some((0, true));
            }
            if let Some(start) = self.link(at, frame) {
                return Some((start, false));
            }
        }
    }

    /// A plausible header: it goes on with a chain, or begins one.
    fn link(&mut self, at: u64, frame: Frame) -> Option<u64> {
        let next = at + HEADER_BYTES as u64 + u64::from(frame.len);
        let mut best: Option<Chain> = None;
        for chain in self.chains.iter().filter(|chain| chain.next == at) {
            if best.is_none_or(|best| chain.links > best.links) {
                best = Some(*chain);
            }
        }
        self.chains.retain(|chain| chain.next != at);
        let chain = match best {
            Some(chain) => Chain { last: at, next, links: chain.links + 1, ..chain },
            None => Chain { start: at, last: at, next, links: 1 },
        };
        if chain.links >= ENOUGH {
            return Some(chain.start);
        }
        if self.chains.len() < MAX_CHAINS {
            self.chains.push(chain);
        }
        None
    }

    /// Drops what no chain needs, and what is beyond the bound.
    fn trim(&mut self) {
        let end = self.end();
        let oldest = end.saturating_sub(MAX_BUFFER_BYTES as u64);
        for chain in &mut self.chains {
            if chain.start < oldest {
                chain.start = if chain.last < oldest { chain.next } else { chain.last };
            }
        }
        let needed = self.chains.iter().map(|chain| chain.start).min().unwrap_or(self.at);
        let keep = needed.min(self.at);
        let dead = usize::try_from(keep - self.base).unwrap_or(usize::MAX).min(self.buffer.len());
        if dead >= PIECE_BYTES || dead + HEADER_BYTES > self.buffer.len() {
            self.buffer.drain(..dead);
            self.base = keep;
        }
    }
}
