//! The phases of a head: in place, spread over chunks, malformed, cut off.

use super::super::body::Body;
use super::super::head::{self, Scan, Scratch};
use super::super::oddity::{Oddities, Oddity};
use super::super::resync::{LineStart, Search};
use super::super::start_line;
use super::{Env, Framing, Half, Phase, Receiver};
use crate::exchange::{BodyInterest, End};
use crate::net::Direction;

impl Half {
    /// Before a message. A head that lies here as a whole is read in place.
    pub(super) fn start<R: Receiver>(
        &mut self,
        bytes: &[u8],
        env: &mut Env<'_>,
        out: &mut R,
    ) -> usize {
        let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let bytes = bytes.get(skipped..).unwrap_or_default();
        if bytes.is_empty() {
            return skipped;
        }
        self.reported = Oddities::default();
        env.scratch.lines.clear();
        let end = Scan::default().find_end(bytes, &mut env.scratch.lines);
        match end.filter(|end| *end <= env.limits.max_head_bytes) {
            Some(end) if self.read_head(bytes.get(..end).unwrap_or(bytes), false, env, out) => {
                skipped + end
            }
            _ => {
                self.buffer.clear();
                self.phase = Phase::Head { scan: Scan::default(), checked: false };
                skipped
            }
        }
    }

    /// In a head that is put together in the buffer.
    pub(super) fn head<R: Receiver>(
        &mut self,
        bytes: &[u8],
        env: &mut Env<'_>,
        out: &mut R,
    ) -> usize {
        let Phase::Head { scan, checked } = &mut self.phase else { return 0 };
        let room = env.limits.max_head_bytes.saturating_sub(self.buffer.len());
        let mut piece = bytes.get(..room).unwrap_or(bytes);
        let mut line_over = false;
        if !*checked {
            // The start line alone, so that nothing behind a malformed one is swallowed.
            let lf = memchr::memchr(b'\n', piece);
            piece = lf.and_then(|lf| piece.get(..=lf)).unwrap_or(piece);
            line_over = lf.is_some();
        }
        env.scratch.lines.clear();
        let end = scan.find_end(piece, &mut env.scratch.lines);
        let piece = end.and_then(|end| piece.get(..end)).unwrap_or(piece);
        self.buffer.extend_from_slice(piece);
        *checked |= line_over;
        if line_over && !self.is_start_line(&self.buffer) || !self.may_be_start_line() {
            self.malformed(line_over, out);
        } else if end.is_some() {
            let head = std::mem::take(&mut self.buffer);
            find_lines(&head, env.scratch);
            if !self.read_head(&head, false, env, out) {
                self.lose(LineStart::Sure, out);
            }
            self.keep_buffer(head);
        } else if self.buffer.len() >= env.limits.max_head_bytes {
            self.odd(Oddity::HeadTooLong, out);
            self.salvage(env, out);
            self.lose(LineStart::No, out);
        }
        piece.len()
    }

    /// Gives the buffer its allocation back, unless it is needed again already.
    pub(super) fn keep_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.buffer.capacity() == 0 {
            buffer.clear();
            self.buffer = buffer;
        }
    }

    pub(super) fn is_start_line(&self, line: &[u8]) -> bool {
        let line = start_line::trim_end(line.strip_suffix(b"\n").unwrap_or(line));
        match self.direction {
            Direction::ToServer => start_line::request(line).is_some(),
            Direction::ToClient => start_line::status(line).is_some(),
        }
    }

    /// Whether what there is of the start line can still become one.
    pub(super) fn may_be_start_line(&self) -> bool {
        match self.direction {
            Direction::ToServer => {
                let method = self.buffer.iter().take(33);
                let end = method.clone().position(|byte| !start_line::is_token_byte(*byte));
                match end.and_then(|end| self.buffer.get(end)) {
                    Some(byte) => *byte == b' ' || *byte == b'\n' || *byte == b'\r',
                    None => method.len() < 33,
                }
            }
            Direction::ToClient => {
                let shown = self.buffer.get(..5).unwrap_or(&self.buffer);
                b"HTTP/".starts_with(shown)
            }
        }
    }

    /// The buffer holds something else than a start line; a message may begin inside it.
    pub(super) fn malformed<R: Receiver>(&mut self, line_over: bool, out: &mut R) {
        self.odd(
            match self.direction {
                Direction::ToServer => Oddity::RequestLineMalformed,
                Direction::ToClient => Oddity::StatusLineMalformed,
            },
            out,
        );
        out.lost();
        let begun = std::mem::take(&mut self.buffer);
        let mut search = Box::new(Search::new(Some(self.direction), LineStart::No));
        let (_, found) = search.feed(&begun);
        debug_assert!(line_over || found.is_none(), "a message start needs its line end");
        if found.is_some() {
            self.buffer = search.into_buffer();
            self.head_in_buffer();
        } else {
            self.phase = Phase::Search(search);
        }
    }

    /// Framing is lost: looks for the next message.
    pub(super) fn lose<R: Receiver>(&mut self, line_start: LineStart, out: &mut R) {
        self.buffer.clear();
        if !self.is_stopped() {
            self.phase = Phase::Search(Box::new(Search::new(Some(self.direction), line_start)));
        }
        out.lost();
    }

    /// Reads a head, whole or cut, whose lines are known. False: its start line is none.
    pub(super) fn read_head<R: Receiver>(
        &mut self,
        bytes: &[u8],
        cut: bool,
        env: &mut Env<'_>,
        out: &mut R,
    ) -> bool {
        let max_headers = env.limits.max_headers;
        let Some(head) = head::parse(bytes, self.direction, max_headers, env.scratch) else {
            return false;
        };
        if !head.oddities.is_empty() {
            for oddity in head.oddities.iter() {
                self.odd(oddity, out);
            }
        }
        let then = out.head(&head);
        self.wanted = then.interest == BodyInterest::Wanted;
        (self.events, self.stop, self.untouched) = (head.facts.event_stream, then.stop, true);
        let body = match then.framing {
            Framing::Interim => {
                self.phase = Phase::Start;
                return true;
            }
            _ if cut => {
                self.end(End::Truncated, out);
                return true;
            }
            Framing::Empty | Framing::Length(0) => {
                self.end(End::Complete, out);
                return true;
            }
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::chunked(),
            Framing::UntilClose => Body::UntilClose,
        };
        self.phase = if then.doubt { Phase::Doubt(body) } else { Phase::Body(body) };
        true
    }

    /// Reports a head that was cut off, as far as its lines are whole.
    pub(super) fn salvage<R: Receiver>(&mut self, env: &mut Env<'_>, out: &mut R) {
        let head = std::mem::take(&mut self.buffer);
        find_lines(&head, env.scratch);
        self.read_head(&head, true, env, out);
        self.keep_buffer(head);
    }
}

/// Notes the LFs of a head that is in one piece now.
fn find_lines(head: &[u8], scratch: &mut Scratch) {
    scratch.lines.clear();
    Scan::default().find_end(head, &mut scratch.lines);
}
