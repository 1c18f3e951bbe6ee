//! A body on its way from the wire to JSON-RPC: content coding, charset, SSE, scanner.

use std::ops::ControlFlow;

use super::jsonrpc::{Item, Reader};
use crate::anomaly::{Anomaly, Layer};
use crate::content::decompress::{self, Decoder};
use crate::content::sse;
use crate::content::text::Transcoder;
use crate::exchange::End;

/// Longest data of an `endpoint` event that is kept, in bytes.
const MAX_ENDPOINT_BYTES: usize = 2_048;

/// What a body gave.
#[derive(Debug)]
pub(super) enum Found {
    /// A message or an oddity.
    Item(Item),
    /// The data of an event of type `endpoint` (HTTP+SSE, MCP 2024-11-05).
    Endpoint(String),
}

/// How a body is read.
#[derive(Clone, Debug)]
enum Form {
    /// One JSON text (or several, one after the other).
    Json(Box<Json>),
    /// Server-sent events.
    Events { parser: sse::Parser, events: Box<Events> },
    /// It cannot carry JSON-RPC, or is over.
    Done,
}

#[derive(Clone, Debug)]
struct Json {
    text: Transcoder,
    reader: Reader,
}

/// One body.
#[derive(Debug)]
pub(super) struct Body {
    decoder: Decoder,
    form: Form,
}

impl Body {
    /// A body that may be JSON.
    pub(super) fn json<'a>(
        codings: impl Iterator<Item = &'a [u8]>,
        charset: Option<&[u8]>,
    ) -> Self {
        let text = Transcoder::new(charset);
        let form = Form::Json(Box::new(Json { text, reader: Reader::default() }));
        Self { decoder: decoder(codings), form }
    }

    /// An event stream.
    pub(super) fn events<'a>(codings: impl Iterator<Item = &'a [u8]>) -> Self {
        let form = Form::Events {
            parser: sse::Parser::new(sse::Limits::default()),
            events: Box::default(),
        };
        Self { decoder: decoder(codings), form }
    }

    /// A body that nobody wants.
    pub(super) fn none() -> Self {
        Self { decoder: Decoder::identity(), form: Form::Done }
    }

    /// A copy that reads on by itself; none of a body in a content coding.
    pub(super) fn fork(&self) -> Option<Self> {
        self.decoder
            .is_identity()
            .then(|| Self { decoder: Decoder::identity(), form: self.form.clone() })
    }

    /// Whether the rest of it can matter.
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(self.form, Form::Done)
    }

    /// The next bytes, as on the wire without transfer coding.
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut Vec<Found>) {
        let form = &mut self.form;
        let flow = self.decoder.push(bytes, &mut |plain| form.push(plain, found));
        self.take_anomalies(found);
        if flow.is_break() || self.decoder.is_opaque() {
            self.form = Form::Done;
        }
    }

    /// `len` bytes are missing.
    pub(super) fn gap(&mut self, len: u64, found: &mut Vec<Found>) {
        self.decoder.gap(len);
        self.take_anomalies(found);
        if self.decoder.is_opaque() {
            self.finish(End::Truncated, found);
            return;
        }
        match &mut self.form {
            Form::Json(json) => json.gap(len, found),
            Form::Events { parser, events } => parser.gap(len, &mut events.sink(found)),
            Form::Done => {}
        }
    }

    /// The body is over.
    pub(super) fn finish(&mut self, end: End, found: &mut Vec<Found>) {
        self.decoder.finish();
        if end == End::Complete {
            self.take_anomalies(found);
        }
        match &mut self.form {
            Form::Json(json) => json.finish(end, found),
            Form::Events { parser, events } => parser.finish(&mut events.sink(found)),
            Form::Done => {}
        }
        self.form = Form::Done;
    }

    /// Bytes that could not be decoded.
    pub(super) fn undecodable_bytes(&self) -> u64 {
        self.decoder.undecodable_bytes()
    }

    fn take_anomalies(&mut self, found: &mut Vec<Found>) {
        while let Some(Anomaly { kind, layer: Layer::Content }) = self.decoder.take_anomaly() {
            found.push(Found::Item(Item::Anomaly(kind)));
        }
    }
}

fn decoder<'a>(codings: impl Iterator<Item = &'a [u8]>) -> Decoder {
    Decoder::from_content_encoding(codings, decompress::Limits::default())
}

impl Form {
    fn push(&mut self, plain: &[u8], found: &mut Vec<Found>) -> ControlFlow<()> {
        match self {
            Self::Json(json) => {
                json.push(plain, found);
                if json.reader.is_dead() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            }
            Self::Events { parser, events } => {
                parser.push(plain, &mut events.sink(found));
                ControlFlow::Continue(())
            }
            Self::Done => ControlFlow::Break(()),
        }
    }
}

impl Json {
    fn push(&mut self, plain: &[u8], found: &mut Vec<Found>) {
        let Self { text, reader } = self;
        text.push(plain, &mut |utf8: &[u8]| {
            reader.push(utf8, &mut |item| found.push(Found::Item(item)));
        });
    }

    fn gap(&mut self, len: u64, found: &mut Vec<Found>) {
        let Self { text, reader } = self;
        let mut push = |item| found.push(Found::Item(item));
        text.gap(len, &mut |utf8: &[u8]| reader.push(utf8, &mut push));
        reader.gap(len, &mut push);
    }

    fn finish(&mut self, end: End, found: &mut Vec<Found>) {
        let Self { text, reader } = self;
        let mut push = |item| found.push(Found::Item(at_end(item, end == End::Complete)));
        text.finish(&mut |utf8: &[u8]| reader.push(utf8, &mut push));
        reader.finish(&mut push);
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

/// The data of one event at a time goes through the scanner as it comes; the start of it is kept
/// too, as only the event's end tells whether it was an `endpoint`.
#[derive(Clone, Debug, Default)]
struct Events {
    reader: Reader,
    start: Vec<u8>,
}

struct EventSink<'e, 'f> {
    events: &'e mut Events,
    found: &'f mut Vec<Found>,
}

impl Events {
    fn sink<'e, 'f>(&'e mut self, found: &'f mut Vec<Found>) -> EventSink<'e, 'f> {
        EventSink { events: self, found }
    }
}

impl sse::Sink for EventSink<'_, '_> {
    fn data(&mut self, piece: &[u8]) {
        let Self { events, found } = self;
        if events.reader.is_dead() || events.start.len() < MAX_ENDPOINT_BYTES {
            let room = MAX_ENDPOINT_BYTES.saturating_sub(events.start.len());
            events.start.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
        events.reader.push(piece, &mut |item| found.push(Found::Item(item)));
    }

    fn dispatch(&mut self, event: &sse::Event<'_>) {
        let Self { events, found } = self;
        let is_whole = !event.after_gap;
        events.reader.finish(&mut |item| found.push(Found::Item(at_end(item, is_whole))));
        if event.event_type == b"endpoint" {
            found.push(Found::Endpoint(String::from_utf8_lossy(&events.start).into_owned()));
        }
        events.start.clear();
    }

    fn abandon(&mut self, _event: &sse::Event<'_>) {
        let Self { events, found } = self;
        events.reader.finish(&mut |item| found.push(Found::Item(item)));
        events.start.clear();
    }
}
