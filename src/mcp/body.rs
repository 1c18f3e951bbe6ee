//! A body on its way from the wire to JSON-RPC: content coding, charset, SSE, scanner.

use std::ops::ControlFlow;

use super::jsonrpc::{Item, Reader};
use crate::anomaly::{Anomaly, Layer};
use crate::content::decompress::{self, Decoder};
use crate::content::sse;
use crate::content::text::Transcoder;
use crate::exchange::End;
use crate::observation::Message;

/// Longest data of an `endpoint` event that is kept, in bytes.
const MAX_ENDPOINT_BYTES: usize = 2_048;

/// Longest document that is kept, in bytes; of a longer one nothing is kept. One per open
/// exchange with a path where such documents are.
const MAX_DOCUMENT_BYTES: usize = 16 << 10;

/// Longest start of a body that is kept for rules, in bytes after content coding. One per open
/// exchange, and only where a rule reads it.
const MAX_HEAD_BYTES: usize = 1_024;

/// What a body gave.
#[derive(Debug)]
pub(super) enum Found {
    /// A message.
    Message(Box<Message>),
    /// An oddity, of the message that comes next or of the body.
    Anomaly(Anomaly),
    /// The data of an event of type `endpoint` (HTTP+SSE, MCP 2024-11-05).
    Endpoint(String),
    /// The whole of a document.
    Document(Vec<u8>),
}

/// How a body is read.
#[derive(Clone, Debug)]
enum Form {
    /// Perhaps JSON: the first byte will tell. Most bodies end here, and have cost nothing.
    Fresh(Transcoder),
    /// One JSON text (or several, one after the other).
    Json(Box<Json>),
    /// Server-sent events.
    Events(Box<Stream>),
    /// A document, so far.
    Document(Vec<u8>),
    /// It cannot carry JSON-RPC, or is over.
    Done,
}

/// A JSON text, and then another one.
#[derive(Clone, Debug)]
pub(super) struct Json {
    text: Transcoder,
    reader: Reader,
}

/// One body.
#[derive(Debug)]
pub(super) struct Body {
    decoder: Decoder,
    form: Form,
    start: Start,
}

/// The first bytes of a body, if they are kept.
#[derive(Clone, Debug, Default)]
struct Start {
    bytes: Vec<u8>,
    /// How many more are kept.
    room: usize,
}

impl Start {
    fn push(&mut self, plain: &[u8]) {
        let taken = plain.get(..self.room).unwrap_or(plain);
        self.bytes.extend_from_slice(taken);
        self.room -= taken.len();
    }

    const fn is_open(&self) -> bool {
        self.room > 0
    }

    /// What comes does not follow on what is kept.
    const fn close(&mut self) {
        self.room = 0;
    }
}

impl Body {
    /// A body that may be JSON.
    pub(super) fn json<'a>(
        codings: impl Iterator<Item = &'a [u8]>,
        charset: Option<&[u8]>,
    ) -> Self {
        Self::of(decoder(codings), Form::Fresh(Transcoder::new(charset)))
    }

    /// An event stream.
    pub(super) fn events<'a>(codings: impl Iterator<Item = &'a [u8]>) -> Self {
        Self::of(decoder(codings), Form::Events(Box::default()))
    }

    /// A document that is kept whole.
    pub(super) fn document<'a>(codings: impl Iterator<Item = &'a [u8]>) -> Self {
        Self::of(decoder(codings), Form::Document(Vec::new()))
    }

    /// A body that nobody wants.
    pub(super) fn none() -> Self {
        Self::of(Decoder::identity(), Form::Done)
    }

    fn of(decoder: Decoder, form: Form) -> Self {
        Self { decoder, form, start: Start::default() }
    }

    /// The same, with its first bytes kept whatever they are.
    pub(super) fn keeping_start(mut self) -> Self {
        self.start.room = MAX_HEAD_BYTES;
        self
    }

    /// The first bytes so far, content coding undone; empty unless they are kept.
    pub(super) fn start(&self) -> &[u8] {
        &self.start.bytes
    }

    /// The same, taken.
    pub(super) fn take_start(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.start.bytes)
    }

    /// A copy that reads on by itself; none of a body in a content coding.
    pub(super) fn fork(&self) -> Option<Self> {
        self.decoder.is_identity().then(|| Self {
            decoder: Decoder::identity(),
            form: self.form.clone(),
            start: self.start.clone(),
        })
    }

    /// Whether the rest of it can matter.
    pub(super) fn is_wanted(&self) -> bool {
        self.may_speak() || self.start.is_open()
    }

    /// Whether the rest of it can say anything.
    pub(super) fn may_speak(&self) -> bool {
        !matches!(self.form, Form::Done)
    }

    /// The next bytes, as on the wire without transfer coding.
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut Vec<Found>) {
        let Self { decoder, form, start } = self;
        let flow = decoder.push(bytes, &mut |plain| {
            start.push(plain);
            let flow = form.push(plain, found);
            if flow.is_break() && start.is_open() {
                *form = Form::Done;
                return ControlFlow::Continue(());
            }
            flow
        });
        self.take_anomalies(found);
        if self.decoder.is_opaque() {
            self.finish(End::Truncated, found);
        } else if flow.is_break() {
            self.form = Form::Done;
        }
    }

    /// `len` bytes are missing.
    pub(super) fn gap(&mut self, len: u64, found: &mut Vec<Found>) {
        self.start.close();
        self.decoder.gap(len);
        self.take_anomalies(found);
        if self.decoder.is_opaque() {
            self.finish(End::Truncated, found);
            return;
        }
        match &mut self.form {
            // Whatever comes is not the beginning of a message, nor is it a whole document.
            Form::Fresh(_) | Form::Document(_) => self.form = Form::Done,
            Form::Json(json) => json.gap(len, found),
            Form::Events(stream) => {
                let Stream { parser, events } = &mut **stream;
                parser.gap(len, &mut events.sink(found));
            }
            Form::Done => {}
        }
    }

    /// The body is over.
    pub(super) fn finish(&mut self, end: End, found: &mut Vec<Found>) {
        self.start.close();
        self.decoder.finish();
        if end == End::Complete {
            self.take_anomalies(found);
        }
        match &mut self.form {
            Form::Json(json) => json.finish(end, found),
            Form::Events(stream) => {
                let Stream { parser, events } = &mut **stream;
                parser.finish(&mut events.sink(found));
            }
            Form::Document(text) if end == End::Complete => {
                found.push(Found::Document(std::mem::take(text)));
            }
            Form::Fresh(_) | Form::Document(_) | Form::Done => {}
        }
        self.form = Form::Done;
    }

    /// Bytes that could not be decoded.
    pub(super) fn undecodable_bytes(&self) -> u64 {
        self.decoder.undecodable_bytes()
    }

    fn take_anomalies(&mut self, found: &mut Vec<Found>) {
        found.extend(std::iter::from_fn(|| self.decoder.take_anomaly()).map(Found::Anomaly));
    }
}

fn decoder<'a>(codings: impl Iterator<Item = &'a [u8]>) -> Decoder {
    Decoder::from_content_encoding(codings, decompress::Limits::default())
}

impl Form {
    fn push(&mut self, plain: &[u8], found: &mut Vec<Found>) -> ControlFlow<()> {
        if let Self::Fresh(text) = self {
            if !plain.first().is_some_and(|first| may_begin_json(*first)) {
                return ControlFlow::Break(());
            }
            let text = text.clone();
            *self = Self::Json(Box::new(Json { text, reader: Reader::default() }));
        }
        match self {
            Self::Json(json) => {
                json.push(plain, found);
                if json.reader.is_dead() {
                    return ControlFlow::Break(());
                }
            }
            Self::Events(stream) => {
                let Stream { parser, events } = &mut **stream;
                parser.push(plain, &mut events.sink(found));
            }
            Self::Document(text) => {
                if text.len() + plain.len() > MAX_DOCUMENT_BYTES {
                    return ControlFlow::Break(());
                }
                text.extend_from_slice(plain);
            }
            Self::Fresh(_) | Self::Done => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }
}

/// Whether a body that begins with this byte can be a JSON object or array: after blanks or a
/// byte order mark, and in UTF-16 or UTF-32 too.
pub(super) const fn may_begin_json(first: u8) -> bool {
    Reader::wants(first) || matches!(first, b' ' | b'\t' | b'\r' | b'\n' | 0 | 0xef | 0xfe | 0xff)
}

impl From<Item> for Found {
    fn from(item: Item) -> Self {
        match item {
            Item::Message(message) => Self::Message(message),
            Item::Anomaly(kind) => Self::Anomaly(Anomaly::new(Layer::JsonRpc, kind)),
        }
    }
}

impl Default for Json {
    fn default() -> Self {
        Self { text: Transcoder::new(None), reader: Reader::default() }
    }
}

impl Json {
    /// Whether nothing more can come of this text.
    pub(super) fn is_dead(&self) -> bool {
        self.reader.is_dead()
    }

    pub(super) fn push(&mut self, plain: &[u8], found: &mut Vec<Found>) {
        let Self { text, reader } = self;
        text.push(plain, &mut |utf8: &[u8]| {
            reader.push(utf8, &mut |item| found.push(item.into()));
        });
    }

    fn gap(&mut self, len: u64, found: &mut Vec<Found>) {
        let Self { text, reader } = self;
        let mut push = |item: Item| found.push(item.into());
        text.gap(len, &mut |utf8: &[u8]| reader.push(utf8, &mut push));
        reader.gap(len, &mut push);
    }

    /// The text is over; what comes is the next one.
    pub(super) fn finish(&mut self, end: End, found: &mut Vec<Found>) {
        let Self { text, reader } = self;
        let mut push = |item| found.push(at_end(item, end == End::Complete).into());
        text.finish(&mut |utf8: &[u8]| reader.push(utf8, &mut push));
        reader.finish(&mut push);
        *text = Transcoder::new(None);
    }
}

/// A message that is cut off where its text ends as it should was never a message: the sender
/// made a mistake, and the receiver refuses it. Only what the capture lost may be partial.
fn at_end(item: Item, is_whole: bool) -> Item {
    match item {
        Item::Message(message) if is_whole && message.partial => Item::Anomaly("json-incomplete"),
        other => other,
    }
}

/// An event stream.
#[derive(Clone, Debug, Default)]
struct Stream {
    parser: sse::Parser,
    events: Events,
}

/// The data of one event at a time goes through the scanner as it comes. The start of the first
/// event's data is kept too, as only the event's end tells whether it was an `endpoint`.
#[derive(Clone, Debug, Default)]
struct Events {
    reader: Reader,
    start: Vec<u8>,
    has_begun: bool,
}

struct EventSink<'e, 'f> {
    events: &'e mut Events,
    found: &'f mut Vec<Found>,
}

impl Events {
    fn sink<'e, 'f>(&'e mut self, found: &'f mut Vec<Found>) -> EventSink<'e, 'f> {
        EventSink { events: self, found }
    }

    /// An event is over; answers with the kept start of the first.
    fn end(&mut self) -> Option<Vec<u8>> {
        let start = std::mem::take(&mut self.start);
        (!std::mem::replace(&mut self.has_begun, true)).then_some(start)
    }
}

impl sse::Sink for EventSink<'_, '_> {
    fn data(&mut self, piece: &[u8]) {
        let Self { events, found } = self;
        if !events.has_begun {
            let room = MAX_ENDPOINT_BYTES.saturating_sub(events.start.len());
            events.start.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
        events.reader.push(piece, &mut |item| found.push(item.into()));
    }

    fn dispatch(&mut self, event: &sse::Event<'_>) {
        let Self { events, found } = self;
        let is_whole = !event.after_gap;
        events.reader.finish(&mut |item| found.push(at_end(item, is_whole).into()));
        let first = events.end().filter(|_| event.event_type == b"endpoint" && is_whole);
        // The event has to come first (MCP 2024-11-05, HTTP with SSE).
        if let Some(uri) = first {
            found.push(Found::Endpoint(String::from_utf8_lossy(&uri).into_owned()));
        }
    }

    fn abandon(&mut self, _event: &sse::Event<'_>) {
        let Self { events, found } = self;
        events.reader.finish(&mut |item| found.push(item.into()));
        events.end();
    }
}
