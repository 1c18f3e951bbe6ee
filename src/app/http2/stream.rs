//! Open streams, and the order in which the ends of an exchange are told.
//!
//! An exchange's last event is the end of its response, or `Aborted`: a response that is over
//! before its request waits for it. A response that comes without its request has an exchange of
//! its own, and a request that comes later still has another, as in HTTP/1.

use std::collections::VecDeque;

use super::feed::Feed;
use super::hpack::Fields;
use crate::exchange::{BodyInterest, End, ExchangeEvent, ExchangeSink, ResponseHead, Version};
use crate::net::Direction;

/// How far a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// No head yet.
    #[default]
    Idle,
    /// After the head.
    Body,
    Over,
}

/// One direction of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    /// The exchange it belongs to, once it is not idle.
    pub(super) number: u32,
    pub(super) phase: Phase,
    pub(super) wanted: bool,
    /// Bytes that may be missing before the next ones.
    pub(super) missed: u64,
}

impl Message {
    fn begin(&mut self, number: u32, interest: BodyInterest) {
        *self = Self {
            number,
            phase: Phase::Body,
            wanted: interest == BodyInterest::Wanted,
            missed: 0,
        };
    }
}

/// A response head that is told when the first bytes of its content have shown their type.
#[derive(Debug)]
pub(super) struct Held {
    fields: Fields,
    status: u16,
    /// The content so far, less than [`SNIFF_BYTES`].
    start: Vec<u8>,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) request: Message,
    pub(super) response: Message,
    /// The end of a response that is over before its request.
    last: Option<End>,
    held: Option<Box<Held>>,
    /// `CONNECT`: the content is not HTTP.
    pub(super) connect: bool,
}

impl Stream {
    pub(super) fn new(id: u32) -> Self {
        let (request, response) = (Message::default(), Message::default());
        Self { id, request, response, last: None, held: None, connect: false }
    }

    pub(super) const fn message(&mut self, direction: Direction) -> &mut Message {
        match direction {
            Direction::ToServer => &mut self.request,
            Direction::ToClient => &mut self.response,
        }
    }

    pub(super) const fn phase(&self, direction: Direction) -> Phase {
        match direction {
            Direction::ToServer => self.request.phase,
            Direction::ToClient => self.response.phase,
        }
    }

    /// Both directions belong to one exchange.
    fn is_pair(&self) -> bool {
        let both = self.request.phase != Phase::Idle && self.response.phase != Phase::Idle;
        both && self.request.number == self.response.number
    }

    /// Nothing more is told of this stream.
    pub(super) fn is_over(&self) -> bool {
        self.response.phase == Phase::Over
            && self.request.phase != Phase::Body
            && self.last.is_none()
    }

    pub(super) fn begin_request(&mut self, number: u32, interest: BodyInterest) {
        self.request.begin(number, interest);
    }

    /// The exchange of a response that begins now.
    pub(super) fn response_number<S: ExchangeSink>(&self, out: &mut Feed<'_, S>) -> u32 {
        if self.request.phase == Phase::Idle { out.begin() } else { self.request.number }
    }

    pub(super) fn begin_response(&mut self, number: u32, interest: BodyInterest) {
        self.response.begin(number, interest);
    }

    /// A response whose head waits for the first bytes of its content.
    pub(super) fn hold_response(&mut self, number: u32, status: u16, fields: &Fields) {
        self.response.begin(number, BodyInterest::Wanted);
        self.held = Some(Box::new(Held { fields: fields.clone(), status, start: Vec::new() }));
    }

    /// Tells the head that waits, if one does, and the content that waits with it.
    fn tell_held<S: ExchangeSink>(&mut self, out: &mut Feed<'_, S>) {
        let Some(mut held) = self.held.take() else { return };
        if let Sniff::Is(media) = sniff(&held.start) {
            held.fields.push(b"content-type", media);
        }
        let headers = held.fields.headers();
        let head = ResponseHead { status: held.status, version: Version::Http2, headers };
        let interest = out.event(self.response.number, ExchangeEvent::ResponseHead(head));
        self.response.wanted = interest == BodyInterest::Wanted;
        self.tell(Direction::ToClient, &held.start, out);
    }

    /// The next bytes of a message that has a head.
    pub(super) fn content<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        out: &mut Feed<'_, S>,
    ) {
        let mut rest = bytes;
        if direction == Direction::ToClient
            && let Some(held) = &mut self.held
        {
            let missed = self.response.missed > 0;
            let room = if missed { 0 } else { SNIFF_BYTES - held.start.len() };
            let (first, after) = bytes.split_at(room.min(bytes.len()));
            held.start.extend_from_slice(first);
            rest = after;
            let undecided = matches!(sniff(&held.start), Sniff::More);
            if undecided && !missed && held.start.len() < SNIFF_BYTES {
                return;
            }
            self.tell_held(out);
        }
        self.tell_missed(direction, out);
        self.tell(direction, rest, out);
    }

    fn tell<S: ExchangeSink>(&mut self, direction: Direction, bytes: &[u8], out: &mut Feed<'_, S>) {
        let message = self.message(direction);
        if message.wanted && !bytes.is_empty() {
            let event = match direction {
                Direction::ToServer => ExchangeEvent::RequestBody(bytes),
                Direction::ToClient => ExchangeEvent::ResponseBody(bytes),
            };
            message.wanted = out.event(message.number, event) == BodyInterest::Wanted;
        }
    }

    /// Bytes of a message's content are missing.
    pub(super) fn gap<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        len: u64,
        out: &mut Feed<'_, S>,
    ) {
        if direction == Direction::ToClient {
            self.tell_held(out);
        }
        let message = self.message(direction);
        message.missed = message.missed.saturating_add(len);
        self.tell_missed(direction, out);
    }

    fn tell_missed<S: ExchangeSink>(&mut self, direction: Direction, out: &mut Feed<'_, S>) {
        let message = self.message(direction);
        let missed = std::mem::take(&mut message.missed);
        if missed > 0 && message.wanted {
            let event = match direction {
                Direction::ToServer => ExchangeEvent::RequestGap(missed),
                Direction::ToClient => ExchangeEvent::ResponseGap(missed),
            };
            message.wanted = out.event(message.number, event) == BodyInterest::Wanted;
        }
    }

    pub(super) fn end_request<S: ExchangeSink>(&mut self, end: End, out: &mut Feed<'_, S>) {
        if self.request.phase != Phase::Body {
            return;
        }
        self.tell_missed(Direction::ToServer, out);
        self.request.phase = Phase::Over;
        let number = self.request.number;
        out.tell(number, ExchangeEvent::RequestEnd(end));
        if let Some(end) = self.last.take() {
            out.tell(number, ExchangeEvent::ResponseEnd(end));
        } else if self.response.phase != Phase::Idle && !self.is_pair() {
            // Its response was reported without it.
            out.tell(number, ExchangeEvent::Aborted);
        }
    }

    pub(super) fn end_response<S: ExchangeSink>(&mut self, end: End, out: &mut Feed<'_, S>) {
        if self.response.phase != Phase::Body {
            return;
        }
        self.tell_held(out);
        self.tell_missed(Direction::ToClient, out);
        self.response.phase = Phase::Over;
        if self.request.phase == Phase::Body && self.is_pair() {
            self.last = Some(end);
        } else {
            out.tell(self.response.number, ExchangeEvent::ResponseEnd(end));
        }
    }

    pub(super) fn end<S: ExchangeSink>(
        &mut self,
        direction: Direction,
        end: End,
        out: &mut Feed<'_, S>,
    ) {
        match direction {
            Direction::ToServer => self.end_request(end, out),
            Direction::ToClient => self.end_response(end, out),
        }
    }

    /// Nothing more comes: every exchange of it ends.
    pub(super) fn abort<S: ExchangeSink>(mut self, out: &mut Feed<'_, S>) {
        self.end_request(End::Truncated, out);
        self.end_response(End::Truncated, out);
        if self.response.phase == Phase::Idle && self.request.phase == Phase::Over {
            out.tell(self.request.number, ExchangeEvent::Aborted);
        }
    }
}

/// As many bytes tell a media type, if any do.
const SNIFF_BYTES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sniff {
    Is(&'static [u8]),
    Nothing,
    More,
}

/// The media type of content that is likely to matter.
fn sniff(content: &[u8]) -> Sniff {
    const EVENT_FIELDS: &[&[u8]] = &[b"data:", b"event:", b"id:", b"retry:", b":"];
    let text = content.trim_ascii_start();
    if matches!(text.first(), Some(b'{' | b'[')) {
        Sniff::Is(b"application/json")
    } else if EVENT_FIELDS.iter().any(|field| text.starts_with(field)) {
        Sniff::Is(b"text/event-stream")
    } else if EVENT_FIELDS.iter().any(|field| field.starts_with(text)) {
        Sniff::More
    } else {
        Sniff::Nothing
    }
}

/// Stream ids of which the end is remembered.
const REMEMBERED: usize = 64;

/// The open streams of a connection, by id.
#[derive(Debug)]
pub(super) struct Streams {
    open: VecDeque<Stream>,
    /// Streams that ended, for the frames that were under way then.
    closed: [u32; REMEMBERED],
    next_closed: usize,
}

impl Default for Streams {
    fn default() -> Self {
        Self { open: VecDeque::new(), closed: [0; REMEMBERED], next_closed: 0 }
    }
}

impl Streams {
    fn place(&self, id: u32) -> Result<usize, usize> {
        self.open.binary_search_by_key(&id, |stream| stream.id)
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Stream> {
        // Most often it is the newest one, or the only one.
        if self.open.back().is_some_and(|stream| stream.id == id) {
            return self.open.back_mut();
        }
        let at = self.place(id).ok()?;
        self.open.get_mut(at)
    }

    /// Whether it ended not long ago.
    pub(super) fn is_closed(&self, id: u32) -> bool {
        self.closed.contains(&id)
    }

    /// Adds a stream; the oldest one when there are too many.
    pub(super) fn insert(&mut self, stream: Stream, max: usize) -> Option<Stream> {
        let oldest = if self.open.len() >= max { self.open.pop_front() } else { None };
        if let Some(oldest) = &oldest {
            self.remember(oldest);
        }
        match self.place(stream.id) {
            Ok(at) | Err(at) => self.open.insert(at, stream),
        }
        oldest
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Stream> {
        let at = self.place(id).ok()?;
        let stream = self.open.remove(at)?;
        self.remember(&stream);
        Some(stream)
    }

    /// Of a response without a request, the request may still come.
    fn remember(&mut self, stream: &Stream) {
        if stream.request.phase == Phase::Idle {
            return;
        }
        if let Some(slot) = self.closed.get_mut(self.next_closed) {
            *slot = stream.id;
        }
        self.next_closed = (self.next_closed + 1) % REMEMBERED;
    }

    pub(super) fn pop(&mut self) -> Option<Stream> {
        self.open.pop_front()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.open.iter_mut()
    }

    /// Drops those that are over.
    pub(super) fn sweep(&mut self) {
        self.open.retain(|stream| !stream.is_over());
    }

    /// The oldest open stream beyond an id that one side opened.
    pub(super) fn take_beyond(&mut self, id: u32, odd: bool) -> Option<Stream> {
        let from = self.open.partition_point(|stream| stream.id <= id);
        let found = self.open.range(from..).find(|stream| (stream.id % 2 == 1) == odd)?.id;
        self.remove(found)
    }
}
