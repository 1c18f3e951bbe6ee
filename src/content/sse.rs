//! Server-sent events (WHATWG HTML section 9.2), cut anywhere and without waiting for an event's
//! end: data is handed on as it arrives, for one event may be megabytes long.
//!
//! State is a few integers; the only memory is for the values of `event` and `id`, see [`Limits`].

use memchr::memchr2;

/// Bounds of one [`Parser`]. At most three times `max_value_bytes` of memory, none before the
/// first `event`, `id` or `retry` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest value of an `event` or `id` field that is kept; of a longer one, its start is.
    pub max_value_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_value_bytes: 256 }
    }
}

/// An event as a whole, known at its end: only there is its type certain, since an `event` line
/// may come after the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The type; empty for the default, `message`.
    pub event_type: &'a [u8],
    /// Value of the event's own `id` field, if it had one. Ids with NUL are ignored.
    pub id: Option<&'a [u8]>,
    /// Reconnection time in milliseconds, if the event had a valid `retry` field.
    pub retry_millis: Option<u64>,
    /// Length of its data, the line feeds between lines included. Zero for the priming event of
    /// MCP's resumable streams (an `id` and an empty `data`).
    pub data_len: u64,
    /// A gap came just before or inside what was read of it: its start may be missing.
    pub after_gap: bool,
}

/// The consumer of events. Calls for one event: `data` any number of times, then either
/// `dispatch` or `abandon`.
pub trait Sink {
    /// More data of the current event; never empty. Lines are joined by LF, which comes as a
    /// piece of its own.
    fn data(&mut self, piece: &[u8]);

    /// The current event is complete. Not called for blocks without a `data` field.
    fn dispatch(&mut self, event: &Event<'_>);

    /// The current event will never be complete, because of a gap or the end of the stream: an
    /// honest client never sees it. Called only if it had a `data` field.
    fn abandon(&mut self, event: &Event<'_>);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Id,
    Retry,
    /// Comments and fields that the standard does not know.
    Ignored,
}

impl Field {
    fn from_name(name: &[u8]) -> Self {
        match name {
            b"data" => Self::Data,
            b"event" => Self::Event,
            b"id" => Self::Id,
            b"retry" => Self::Retry,
            _ => Self::Ignored,
        }
    }
}

/// Where in a line the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the byte order mark that a stream may begin with; so many of its bytes were seen.
    Mark(usize),
    /// In the field name, whose bytes so far are in `name`.
    Name,
    /// Right after the colon: one space belongs to it.
    Colon(Field),
    Value(Field),
}

const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// One more than the longest field name, so that a longer one is known to be none of them.
const NAME_BYTES: usize = 6;

/// Incremental parser of one event stream.
#[derive(Clone, Debug)]
pub struct Parser {
    limits: Limits,
    place: Place,
    /// The last byte was a CR: a LF now belongs to it.
    after_cr: bool,
    /// A gap came just before this line: if it is empty, it may be the end of another one.
    line_cut: bool,
    name: [u8; NAME_BYTES],
    name_len: usize,
    /// Value of the current line, unless it is data.
    value: Vec<u8>,
    /// The current value did not fit, or has a NUL.
    value_cut: bool,
    value_nul: bool,
    event_type: Vec<u8>,
    id: Vec<u8>,
    has_id: bool,
    retry_millis: Option<u64>,
    has_data: bool,
    data_len: u64,
    after_gap: bool,
    comments: u64,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Parser {
    /// A parser at the start of a stream.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            place: Place::Mark(0),
            after_cr: false,
            line_cut: false,
            name: [0; NAME_BYTES],
            name_len: 0,
            value: Vec::new(),
            value_cut: false,
            value_nul: false,
            event_type: Vec::new(),
            id: Vec::new(),
            has_id: false,
            retry_millis: None,
            has_data: false,
            data_len: 0,
            after_gap: false,
            comments: 0,
        }
    }

    /// Comment lines so far: servers send them to keep a connection alive.
    #[must_use]
    pub const fn comments(&self) -> u64 {
        self.comments
    }

    /// The next bytes of the stream.
    pub fn push(&mut self, input: &[u8], sink: &mut impl Sink) {
        let mut rest = input;
        while let Some(&first) = rest.first() {
            let used = if std::mem::take(&mut self.after_cr) && first == b'\n' {
                1
            } else {
                match self.place {
                    Place::Mark(seen) => self.mark(seen, first),
                    Place::Name => self.name(rest, sink),
                    Place::Colon(field) => {
                        self.place = Place::Value(field);
                        usize::from(first == b' ')
                    }
                    Place::Value(field) => self.value(field, rest, sink),
                }
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// `len` bytes of the stream are missing. The current event is abandoned. What follows is
    /// read as if it began a line: a lost segment most often held whole events, and the tail of a
    /// cut line looks like a field that does not exist.
    pub fn gap(&mut self, len: u64, sink: &mut impl Sink) {
        if len == 0 {
            return;
        }
        self.give_up(sink);
        self.place = Place::Name;
        self.name_len = 0;
        self.after_cr = false;
        self.line_cut = true;
        self.after_gap = true;
    }

    /// The stream is over. An event without the blank line after it is abandoned.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        self.give_up(sink);
        *self = Self { comments: self.comments, ..Self::new(self.limits) };
    }

    fn mark(&mut self, seen: usize, first: u8) -> usize {
        match (MARK.get(seen), seen) {
            (Some(&byte), _) if byte == first => {
                self.place = Place::Mark(seen + 1);
                1
            }
            (None, _) | (Some(_), 0) => {
                self.place = Place::Name;
                0
            }
            // A part of a mark is the start of a name, and of none that is known.
            (Some(_), _) => {
                self.place = Place::Value(Field::Ignored);
                0
            }
        }
    }

    /// At the start of a line, or in its field name.
    fn name(&mut self, rest: &[u8], sink: &mut impl Sink) -> usize {
        if self.name_len == 0 && rest.starts_with(b"data:") {
            self.begin_value(Field::Data, sink);
            return 5;
        }
        let window = rest.get(..NAME_BYTES - self.name_len).unwrap_or(rest);
        let end = window.iter().position(|byte| matches!(byte, b':' | b'\r' | b'\n'));
        let part = end.and_then(|end| window.get(..end)).unwrap_or(window);
        let room = self.name.get_mut(self.name_len..).unwrap_or_default();
        room.iter_mut().zip(part).for_each(|(slot, byte)| *slot = *byte);
        self.name_len += part.len();
        let Some(end) = end else {
            if self.name_len == NAME_BYTES {
                self.place = Place::Value(Field::Ignored);
            }
            return part.len();
        };
        let field = Field::from_name(self.name.get(..self.name_len).unwrap_or_default());
        match (window.get(end), self.name_len) {
            (Some(b':'), 0) => {
                self.comments += 1;
                self.place = Place::Value(Field::Ignored);
            }
            (Some(b':'), _) => self.begin_value(field, sink),
            (ending, 0) => {
                if !self.line_cut {
                    self.blank_line(sink);
                }
                self.end_line(ending);
            }
            (ending, _) => {
                self.begin_value(field, sink);
                self.commit(field);
                self.end_line(ending);
            }
        }
        end + 1
    }

    fn begin_value(&mut self, field: Field, sink: &mut impl Sink) {
        self.place = Place::Colon(field);
        if field != Field::Data {
            self.value.clear();
            self.value_cut = false;
            self.value_nul = false;
        } else if self.has_data {
            self.data_len += 1;
            sink.data(b"\n");
        } else {
            self.has_data = true;
        }
    }

    fn value(&mut self, field: Field, rest: &[u8], sink: &mut impl Sink) -> usize {
        let end = memchr2(b'\r', b'\n', rest);
        let piece = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        match field {
            Field::Ignored => {}
            Field::Data if piece.is_empty() => {}
            Field::Data => {
                self.data_len += piece.len() as u64;
                sink.data(piece);
            }
            Field::Event | Field::Id | Field::Retry => self.keep(piece),
        }
        let Some(end) = end else { return rest.len() };
        self.commit(field);
        self.end_line(rest.get(end));
        end + 1
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = self.limits.max_value_bytes.saturating_sub(self.value.len());
        self.value_cut |= piece.len() > room;
        self.value_nul |= memchr::memchr(0, piece).is_some();
        self.value.extend_from_slice(piece.get(..room).unwrap_or(piece));
    }

    /// The value of a line is complete.
    fn commit(&mut self, field: Field) {
        match field {
            Field::Data | Field::Ignored => {}
            Field::Event => std::mem::swap(&mut self.event_type, &mut self.value),
            Field::Id if self.value_nul => {}
            Field::Id => {
                std::mem::swap(&mut self.id, &mut self.value);
                self.has_id = true;
            }
            Field::Retry => {
                let digits = self.value.iter().all(u8::is_ascii_digit);
                if digits && !self.value.is_empty() && !self.value_cut {
                    let add = |sum: u64, digit: &u8| {
                        sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
                    };
                    self.retry_millis = Some(self.value.iter().fold(0, add));
                }
            }
        }
    }

    fn end_line(&mut self, ending: Option<&u8>) {
        self.after_cr = ending == Some(&b'\r');
        self.line_cut = false;
        self.place = Place::Name;
        self.name_len = 0;
    }

    fn blank_line(&mut self, sink: &mut impl Sink) {
        if self.has_data {
            sink.dispatch(&self.event());
        }
        self.reset_event();
    }

    fn give_up(&mut self, sink: &mut impl Sink) {
        if self.has_data {
            sink.abandon(&self.event());
        }
        self.reset_event();
    }

    fn event(&self) -> Event<'_> {
        Event {
            event_type: &self.event_type,
            id: self.has_id.then_some(&self.id),
            retry_millis: self.retry_millis,
            data_len: self.data_len,
            after_gap: self.after_gap,
        }
    }

    fn reset_event(&mut self) {
        self.event_type.clear();
        self.has_id = false;
        self.retry_millis = None;
        self.has_data = false;
        self.data_len = 0;
        self.after_gap = false;
    }
}

#[cfg(test)]
mod tests;
