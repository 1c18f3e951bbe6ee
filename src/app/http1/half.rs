//! One direction of an HTTP/1 connection: bytes into heads, body pieces and ends.
//!
//! A [`Half`] knows nothing of the other direction; what it needs from there (has this response
//! a body?) the [`Receiver`] answers when it is given the head.

use super::body::{AfterGap, Body, EventTail, Status, Step};
use super::head::{self, Head, Scan, Scratch};
use super::oddity::{Oddities, Oddity};
use super::resync::{Found, LineStart, Search};
use super::start_line::{self, METHODS};
use crate::app::Limits;
use crate::exchange::{BodyInterest, End};
use crate::flow::Finish;
use crate::net::Direction;

/// Where a message's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Framing {
    /// An interim response: no message at all.
    Interim,
    /// No body.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunked coding.
    Chunked,
    /// The end of the connection.
    UntilClose,
}

/// What to do after a head.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Disposition {
    pub(in crate::app) framing: Framing,
    pub(in crate::app) interest: BodyInterest,
    /// The framing is a guess: a message start instead of the body disproves it.
    pub(in crate::app) doubt: bool,
    /// After this message the bytes are no longer HTTP/1 of this connection.
    pub(in crate::app) stop: bool,
}

/// Who takes what a half reads.
pub(in crate::app) trait Receiver {
    fn head(&mut self, head: &Head<'_>) -> Disposition;
    /// An event stream begins without its head.
    fn events(&mut self) -> BodyInterest;
    fn body(&mut self, bytes: &[u8]) -> BodyInterest;
    fn gap(&mut self, len: u64) -> BodyInterest;
    fn end(&mut self, end: End);
    /// Messages may have been missed.
    fn lost(&mut self);
    fn oddity(&mut self, oddity: Oddity);
}

/// What all halves share.
#[derive(Debug)]
pub(in crate::app) struct Env<'a> {
    pub(in crate::app) scratch: &'a mut Scratch,
    pub(in crate::app) limits: &'a Limits,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Before a message.
    Start,
    /// In a head that is spread over chunks; what came is in the buffer.
    Head {
        scan: Scan,
        checked: bool,
    },
    /// Before the first body byte, in doubt; what came is in the buffer.
    Doubt(Body),
    Body(Body),
    /// After the last chunk; the current line is in the buffer.
    Trailer {
        bytes: usize,
    },
    Search(Box<Search>),
    /// No longer HTTP/1.
    Stopped,
}

/// The parser of one direction.
#[derive(Clone, Debug)]
pub(in crate::app) struct Half {
    direction: Direction,
    phase: Phase,
    buffer: Vec<u8>,
    wanted: bool,
    /// The message carries an event stream.
    events: bool,
    stop: bool,
    /// No byte of the body was read.
    untouched: bool,
    reported: Oddities,
}

impl Half {
    pub(in crate::app) const fn new(direction: Direction) -> Self {
        Self {
            direction,
            phase: Phase::Start,
            buffer: Vec::new(),
            wanted: true,
            events: false,
            stop: false,
            untouched: false,
            reported: Oddities(0),
        }
    }

    /// Somewhere inside a body without a known end.
    pub(in crate::app) fn in_unknown_body(direction: Direction, events: bool) -> Self {
        let body = if events { Body::Events(EventTail::default()) } else { Body::UntilClose };
        Self { phase: Phase::Body(body), events, ..Self::new(direction) }
    }

    pub(in crate::app) const fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    /// Whether a message is being read and its head is complete.
    pub(in crate::app) const fn in_body(&self) -> bool {
        matches!(self.phase, Phase::Body(_) | Phase::Doubt(_) | Phase::Trailer { .. })
    }

    pub(in crate::app) const fn carries_events(&self) -> bool {
        self.events
    }

    /// Whether it waits for the start of a message, perhaps with a part of its head.
    pub(in crate::app) const fn before_body(&self) -> bool {
        matches!(self.phase, Phase::Start | Phase::Head { .. })
    }

    /// Reads on for another receiver, whose interest is this.
    pub(in crate::app) const fn set_interest(&mut self, interest: BodyInterest) {
        self.wanted = matches!(interest, BodyInterest::Wanted);
    }

    /// Begins anew, at a message start.
    pub(in crate::app) fn restart(&mut self) {
        self.buffer.clear();
        self.phase = Phase::Start;
    }

    /// Goes on with a search.
    pub(in crate::app) fn search(&mut self, mut search: Box<Search>) {
        search.narrow(self.direction);
        self.phase = Phase::Search(search);
    }

    /// The message was answered before its body began: perhaps the body never comes (RFC 9110
    /// section 10.1.1).
    pub(in crate::app) fn doubt_body(&mut self) {
        if self.untouched && matches!(self.phase, Phase::Body(_)) {
            let Phase::Body(body) = std::mem::replace(&mut self.phase, Phase::Start) else {
                return;
            };
            self.buffer.clear();
            self.phase = Phase::Doubt(body);
        }
    }

    /// Reads on. What is left over is not HTTP/1 of this connection.
    pub(in crate::app) fn feed<'b, R: Receiver>(
        &mut self,
        mut bytes: &'b [u8],
        env: &mut Env<'_>,
        out: &mut R,
    ) -> &'b [u8] {
        while !bytes.is_empty() {
            let used = match &mut self.phase {
                Phase::Start => self.start(bytes, env, out),
                Phase::Head { .. } => self.head(bytes, env, out),
                Phase::Doubt(_) => self.doubt(bytes, env, out),
                Phase::Body(_) => self.body(bytes, env, out),
                Phase::Trailer { .. } => self.trailer(bytes, env, out),
                Phase::Search(search) => {
                    let (used, found) = search.feed(bytes);
                    if let Some(found) = found {
                        self.found(found, env, out);
                    }
                    used
                }
                Phase::Stopped => break,
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
        bytes
    }

    /// Something was found where framing had been lost.
    fn found<R: Receiver>(&mut self, found: Found, env: &mut Env<'_>, out: &mut R) {
        let Phase::Search(search) = std::mem::replace(&mut self.phase, Phase::Start) else {
            return;
        };
        self.adopt(found, search.into_buffer(), env, out);
    }

    /// Takes over from a search: `buffer` is what was found.
    pub(in crate::app) fn adopt<R: Receiver>(
        &mut self,
        found: Found,
        buffer: Vec<u8>,
        env: &mut Env<'_>,
        out: &mut R,
    ) {
        self.buffer = buffer;
        let Found::Events(chunk_left) = found else {
            self.head_in_buffer();
            return;
        };
        self.reported = Oddities::default();
        self.odd(Oddity::MidstreamSse, out);
        self.wanted = out.events() == BodyInterest::Wanted;
        (self.events, self.stop, self.untouched) = (true, false, false);
        self.phase = Phase::Body(chunk_left.map_or_else(
            || Body::Events(EventTail::default()),
            |left| Body::Chunked(super::body::Chunk::Data(left)),
        ));
        let begun = std::mem::take(&mut self.buffer);
        // Whole lines of the stream, within the chunk: nothing can be left over.
        self.feed(&begun, env, out);
    }

    /// Goes on with a head that begins in the buffer.
    fn head_in_buffer(&mut self) {
        let mut scan = Scan::default();
        let mut lines = Vec::new();
        // A start line has no empty line in it, so this never finds the end.
        scan.find_end(&self.buffer, &mut lines);
        self.phase = Phase::Head { scan, checked: !lines.is_empty() };
    }

    fn odd<R: Receiver>(&mut self, oddity: Oddity, out: &mut R) {
        if self.reported.insert(oddity) {
            out.oddity(oddity);
        }
    }

    /// Before a message. A head that lies here as a whole is read in place.
    fn start<R: Receiver>(&mut self, bytes: &[u8], env: &mut Env<'_>, out: &mut R) -> usize {
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
    fn head<R: Receiver>(&mut self, bytes: &[u8], env: &mut Env<'_>, out: &mut R) -> usize {
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
    fn keep_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.buffer.capacity() == 0 {
            buffer.clear();
            self.buffer = buffer;
        }
    }

    fn is_start_line(&self, line: &[u8]) -> bool {
        let line = start_line::trim_end(line.strip_suffix(b"\n").unwrap_or(line));
        match self.direction {
            Direction::ToServer => start_line::request(line).is_some(),
            Direction::ToClient => start_line::status(line).is_some(),
        }
    }

    /// Whether what there is of the start line can still become one.
    fn may_be_start_line(&self) -> bool {
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
    fn malformed<R: Receiver>(&mut self, line_over: bool, out: &mut R) {
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
    fn lose<R: Receiver>(&mut self, line_start: LineStart, out: &mut R) {
        self.buffer.clear();
        if !self.is_stopped() {
            self.phase = Phase::Search(Box::new(Search::new(Some(self.direction), line_start)));
        }
        out.lost();
    }

    /// Reads a head, whole or cut, whose lines are known. False: its start line is none.
    fn read_head<R: Receiver>(
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
    fn salvage<R: Receiver>(&mut self, env: &mut Env<'_>, out: &mut R) {
        let head = std::mem::take(&mut self.buffer);
        find_lines(&head, env.scratch);
        self.read_head(&head, true, env, out);
        self.keep_buffer(head);
    }

    fn end<R: Receiver>(&mut self, end: End, out: &mut R) {
        self.buffer.clear();
        self.phase = if self.stop { Phase::Stopped } else { Phase::Start };
        out.end(end);
    }

    fn deliver<R: Receiver>(&mut self, bytes: &[u8], out: &mut R) {
        if self.wanted && !bytes.is_empty() {
            self.wanted = out.body(bytes) == BodyInterest::Wanted;
        }
    }

    fn deliver_gap<R: Receiver>(&mut self, len: u64, out: &mut R) {
        if self.wanted && len > 0 {
            self.wanted = out.gap(len) == BodyInterest::Wanted;
        }
    }

    fn body<R: Receiver>(&mut self, bytes: &[u8], env: &Env<'_>, out: &mut R) -> usize {
        let Phase::Body(body) = &mut self.phase else { return 0 };
        self.untouched = false;
        let Step { held, data, used, status, oddity } =
            body.step(bytes, env.limits.max_chunk_line_bytes);
        self.deliver(held.as_slice(), out);
        self.deliver(data, out);
        if let Some(oddity) = oddity {
            self.odd(oddity, out);
        }
        match status {
            Status::More => {}
            Status::Done => self.end(End::Complete, out),
            Status::LastChunk => {
                self.buffer.clear();
                self.phase = Phase::Trailer { bytes: 0 };
            }
            Status::Broken(oddity) if self.events => {
                // A chunk size read from the wrong place: the events go on all the same.
                self.odd(oddity, out);
                self.phase = Phase::Body(Body::Events(EventTail::in_line()));
            }
            Status::Broken(oddity) => {
                self.odd(oddity, out);
                self.end(End::Truncated, out);
                self.lose(LineStart::Perhaps, out);
            }
            Status::NextMessage => {
                self.end(End::Truncated, out);
                self.buffer.extend_from_slice(b"HTTP/1.");
                self.head_in_buffer();
            }
        }
        used
    }

    /// Body, or the next message? Held back until a message start is complete or impossible.
    fn doubt<R: Receiver>(&mut self, bytes: &[u8], env: &mut Env<'_>, out: &mut R) -> usize {
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

    fn believe_body<R: Receiver>(&mut self, used: usize, env: &mut Env<'_>, out: &mut R) -> usize {
        let Phase::Doubt(body) = std::mem::replace(&mut self.phase, Phase::Start) else { return 0 };
        self.phase = Phase::Body(body);
        let held = std::mem::take(&mut self.buffer);
        // At most eight bytes, none of which starts a message.
        self.feed(&held, env, out);
        self.keep_buffer(held);
        used
    }

    fn disbelieve_body<R: Receiver>(&mut self, out: &mut R) {
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
    fn trailer<R: Receiver>(&mut self, bytes: &[u8], env: &Env<'_>, out: &mut R) -> usize {
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

    /// Bytes are missing.
    pub(in crate::app) fn gap<R: Receiver>(&mut self, len: u64, env: &mut Env<'_>, out: &mut R) {
        if let Phase::Doubt(_) = &self.phase {
            self.believe_body(0, env, out);
        }
        match &mut self.phase {
            Phase::Stopped => {}
            Phase::Search(search) => search.gap(),
            Phase::Start => self.lose(LineStart::Perhaps, out),
            Phase::Head { .. } => {
                self.salvage(env, out);
                self.lose(LineStart::Perhaps, out);
            }
            Phase::Trailer { .. } => {
                self.end(End::Truncated, out);
                self.lose(LineStart::Perhaps, out);
            }
            Phase::Doubt(body) | Phase::Body(body) => {
                self.untouched = false;
                match body.gap(len, self.events) {
                    AfterGap::Inside(len) => self.deliver_gap(len, out),
                    AfterGap::Done(len) => {
                        self.deliver_gap(len, out);
                        self.end(End::Complete, out);
                    }
                    AfterGap::Lost(len) => {
                        self.deliver_gap(len, out);
                        self.end(End::Truncated, out);
                        self.lose(LineStart::Perhaps, out);
                    }
                }
            }
        }
    }

    /// No more bytes come.
    pub(in crate::app) fn finish<R: Receiver>(
        &mut self,
        why: Finish,
        env: &mut Env<'_>,
        out: &mut R,
    ) {
        if let Phase::Doubt(_) = &self.phase {
            self.believe_body(0, env, out);
        }
        let closed = why == Finish::Fin;
        match &self.phase {
            Phase::Head { .. } => self.salvage(env, out),
            Phase::Body(Body::UntilClose | Body::Events(_)) if closed => {
                self.end(End::Complete, out);
            }
            Phase::Trailer { .. } if closed => {
                self.odd(Oddity::ChunkedEndMissing, out);
                self.end(End::Complete, out);
            }
            Phase::Body(_) | Phase::Trailer { .. } => self.end(End::Truncated, out),
            Phase::Start | Phase::Doubt(_) | Phase::Search(_) | Phase::Stopped => {}
        }
        self.buffer = Vec::new();
        self.phase = Phase::Stopped;
    }
}

/// Notes the LFs of a head that is in one piece now.
fn find_lines(head: &[u8], scratch: &mut Scratch) {
    scratch.lines.clear();
    Scan::default().find_end(head, &mut scratch.lines);
}
