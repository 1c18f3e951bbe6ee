//! One direction of an HTTP/1 connection: bytes into heads, body pieces and ends.
//!
//! A [`Half`] knows nothing of the other direction; what it needs from there (has this response
//! a body?) the [`Receiver`] answers when it is given the head.

mod heads;
mod tails;

use super::body::{AfterGap, Body, EventTail, Status, Step};
use super::head::{Head, Scan, Scratch};
use super::oddity::{Oddities, Oddity};
use super::resync::{Found, LineStart, Search};
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
