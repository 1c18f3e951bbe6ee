//! The phases around a body: whether it comes at all, and the trailer section.

use super::super::oddity::{Oddities, Oddity};
use super::super::resync::LineStart;
use super::super::start_line::METHODS;
use super::{Env, Half, Phase, Receiver};
use crate::exchange::End;
use crate::net::Direction;

impl Half {
    /// Body, or the next message? Held back until a message start is complete or impossible.
    pub(super) fn doubt<R: Receiver>(
        &mut self,
        bytes: &[u8],
        env: &mut Env<'_>,
        out: &mut R,
    ) -> usize {
        const RESPONSE: &[&[u8]] = &[b"HTTP/1."];
        let starts = match self.direction {
            Direction::ToServer => METHODS,
            Direction::ToClient => RESPONSE,
        };
        for (used, byte) in bytes.iter().enumerate() {
            let known = self.buffer.len();
            let next =
                |start: &&&[u8]| start.starts_with(&self.buffer) && start.get(known) == Some(byte);
            let Some(start) = starts.iter().find(next) else {
                return self.believe_body(used, env, out);
            };
            self.buffer.push(*byte);
            if self.buffer.len() == start.len() {
                self.disbelieve_body(out);
                return used + 1;
            }
        }
        bytes.len()
    }

    pub(super) fn believe_body<R: Receiver>(
        &mut self,
        used: usize,
        env: &mut Env<'_>,
        out: &mut R,
    ) -> usize {
        let Phase::Doubt(body) = std::mem::replace(&mut self.phase, Phase::Start) else { return 0 };
        self.phase = Phase::Body(body);
        let held = std::mem::take(&mut self.buffer);
        // At most eight bytes, none of which starts a message.
        self.feed(&held, env, out);
        self.keep_buffer(held);
        used
    }

    pub(super) fn disbelieve_body<R: Receiver>(&mut self, out: &mut R) {
        let start = std::mem::take(&mut self.buffer);
        let (oddity, end) = match self.direction {
            Direction::ToServer => (Oddity::BodyNotSent, End::Truncated),
            Direction::ToClient => (Oddity::BodilessAssumed, End::Complete),
        };
        self.odd(oddity, out);
        self.end(end, out);
        if !self.is_stopped() {
            self.reported = Oddities::default();
            self.buffer = start;
            self.head_in_buffer();
        }
    }

    /// The trailer section (RFC 9112 section 7.1.2): skipped.
    pub(super) fn trailer<R: Receiver>(
        &mut self,
        bytes: &[u8],
        env: &Env<'_>,
        out: &mut R,
    ) -> usize {
        let Phase::Trailer { bytes: total } = &mut self.phase else { return 0 };
        let room = env.limits.max_head_bytes.saturating_sub(*total).max(1);
        let piece = bytes.get(..room).unwrap_or(bytes);
        let lf = memchr::memchr(b'\n', piece);
        let piece = lf.and_then(|lf| piece.get(..=lf)).unwrap_or(piece);
        *total += piece.len();
        let too_long = *total >= env.limits.max_head_bytes;
        self.buffer.extend_from_slice(piece);
        if lf.is_some() {
            if matches!(self.buffer.as_slice(), b"\n" | b"\r\n") {
                self.end(End::Complete, out);
                return piece.len();
            }
            if self.is_start_line(&self.buffer) {
                // The empty line was left out, and this is the next message.
                self.odd(Oddity::ChunkedEndMissing, out);
                let line = std::mem::take(&mut self.buffer);
                self.end(End::Complete, out);
                self.buffer = line;
                if !self.is_stopped() {
                    self.reported = Oddities::default();
                    self.head_in_buffer();
                }
                return piece.len();
            }
            self.buffer.clear();
        }
        if too_long {
            self.odd(Oddity::HeadTooLong, out);
            self.end(End::Truncated, out);
            self.lose(LineStart::Perhaps, out);
        }
        piece.len()
    }
}
