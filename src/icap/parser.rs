//! Bytes of a connection into events.

use memchr::memchr;

use super::head::{self, Request, Sections};
use super::{Limits, Malformed};

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The head of a request is complete. [`Event::Http`] and [`Event::End`] follow.
    Head(&'a Request),
    /// The heads that it encapsulates are complete.
    Http(Http<'a>),
    /// The next bytes of the body; never empty.
    Body(&'a [u8]),
    /// The preview is over and the body is not: the proxy waits for an answer. Nothing more is
    /// read until [`Parser::resume`] or [`Parser::finish`].
    PreviewEnd,
    /// The request is over.
    End,
    /// It cannot be read. The last event.
    Malformed(Malformed),
}

/// Encapsulated heads, each with the empty line at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http<'a> {
    /// Of the request.
    pub request: Option<&'a [u8]>,
    /// Of the response.
    pub response: Option<&'a [u8]>,
    /// A body follows.
    pub has_body: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    /// The head was told.
    Encapsulated,
    /// The encapsulated heads were told.
    Bodies,
    Size,
    Data(u64),
    DataEnd {
        after_cr: bool,
    },
    /// After the last chunk. `whole`: nothing follows the preview.
    Trailer {
        whole: bool,
        bytes: usize,
    },
    Paused,
    Failed,
}

/// What an event will be, before it borrows.
enum Found {
    Head,
    Http,
    Body(usize),
    PreviewEnd,
    End,
    Malformed(Malformed),
}

/// Reads the requests of one connection, one after another.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    state: State,
    /// Of the head, then of the encapsulated heads, then of a chunk-size line.
    buffer: Vec<u8>,
    /// The line under way has nothing but CR so far.
    line_is_empty: bool,
    request: Request,
    in_preview: bool,
}

impl Parser {
    /// At the beginning of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Head,
            buffer: Vec::new(),
            line_is_empty: true,
            request: Request::default(),
            in_preview: false,
        }
    }

    /// Takes bytes off the front of `input` until there is something to tell. `None`: they are
    /// used up, or the proxy waits for an answer.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<Event<'a>> {
        let before = *input;
        Some(match self.advance(input)? {
            Found::Head => Event::Head(&self.request),
            Found::Http => Event::Http(self.http()),
            Found::Body(len) => {
                let end = before.len().saturating_sub(input.len());
                Event::Body(before.get(end.saturating_sub(len)..end).unwrap_or_default())
            }
            Found::PreviewEnd => Event::PreviewEnd,
            Found::End => Event::End,
            Found::Malformed(malformed) => Event::Malformed(malformed),
        })
    }

    /// Whether a request is under way.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        !matches!(self.state, State::Head) || !self.buffer.is_empty()
    }

    #[cfg(test)]
    pub(super) fn buffer_len(&self) -> usize {
        self.buffer.len()
    }

    /// The rest of the body follows: the answer was `100 Continue`.
    pub fn resume(&mut self) {
        if matches!(self.state, State::Paused) {
            self.in_preview = false;
            self.state = State::Size;
        }
    }

    /// The next request follows: the answer was final.
    pub fn finish(&mut self) {
        if matches!(self.state, State::Paused) {
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.state = State::Head;
        self.buffer.clear();
        self.line_is_empty = true;
    }

    fn http(&self) -> Http<'_> {
        let Sections { request, response, has_body, .. } = self.request.sections;
        let part = |(start, end): (usize, usize)| self.buffer.get(start..end);
        Http { request: request.and_then(part), response: response.and_then(part), has_body }
    }

    fn advance(&mut self, input: &mut &[u8]) -> Option<Found> {
        loop {
            let found = match self.state {
                State::Head => self.head(input)?,
                State::Encapsulated => Some(self.encapsulated(input)?),
                State::Bodies => self.bodies(),
                State::Size => self.size(input)?,
                State::Data(left) => Some(self.data(left, input)?),
                State::DataEnd { after_cr } => self.data_end(after_cr, input)?,
                State::Trailer { whole, bytes } => self.trailer(whole, bytes, input)?,
                State::Paused | State::Failed => return None,
            };
            if found.is_some() {
                return found;
            }
        }
    }

    fn fail(&mut self, malformed: Malformed) -> Found {
        self.state = State::Failed;
        self.buffer = Vec::new();
        Found::Malformed(malformed)
    }

    /// `None`: more bytes are needed. `Some(None)`: go on.
    fn head(&mut self, input: &mut &[u8]) -> Option<Option<Found>> {
        let end = self.head_end(input);
        let taken = split_off(input, end.unwrap_or(input.len()));
        if self.buffer.len() + taken.len() > self.limits.max_head_bytes {
            return Some(Some(self.fail(Malformed::HeadTooLong)));
        }
        self.buffer.extend_from_slice(taken);
        end?;
        if self.buffer.trim_ascii().is_empty() {
            self.begin();
            return Some(None);
        }
        Some(Some(match head::read(&self.buffer) {
            Err(malformed) => self.fail(malformed),
            Ok(request) if request.sections.len > self.limits.max_encapsulated_bytes => {
                self.fail(Malformed::EncapsulatedTooLong)
            }
            Ok(request) => {
                self.in_preview = request.preview.is_some();
                self.request = request;
                self.buffer.clear();
                self.state = State::Encapsulated;
                Found::Head
            }
        }))
    }

    /// Offset behind the empty line that ends the head; empty lines before the head end it too.
    fn head_end(&mut self, input: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = input.get(at..)?;
            let lf = memchr(b'\n', rest);
            let line = rest.get(..lf.unwrap_or(rest.len())).unwrap_or_default();
            self.line_is_empty &= line.iter().all(|byte| *byte == b'\r');
            at += lf? + 1;
            if self.line_is_empty {
                return Some(at);
            }
            self.line_is_empty = true;
        }
    }

    fn encapsulated(&mut self, input: &mut &[u8]) -> Option<Found> {
        let missing = self.request.sections.len.saturating_sub(self.buffer.len());
        self.buffer.extend_from_slice(split_off(input, missing.min(input.len())));
        if self.buffer.len() < self.request.sections.len {
            return None;
        }
        self.state = State::Bodies;
        Some(Found::Http)
    }

    fn bodies(&mut self) -> Option<Found> {
        self.buffer.clear();
        if self.request.sections.has_body {
            self.state = State::Size;
            return None;
        }
        self.begin();
        Some(Found::End)
    }

    /// A chunk-size line (RFC 9112 section 7.1), with `ieof` if the body ends inside of the
    /// preview (RFC 3507 section 4.5).
    fn size(&mut self, input: &mut &[u8]) -> Option<Option<Found>> {
        let end = memchr(b'\n', input);
        let taken = split_off(input, end.map_or(input.len(), |at| at + 1));
        if self.buffer.len() + taken.len() > self.limits.max_line_bytes {
            return Some(Some(self.fail(Malformed::ChunkLineTooLong)));
        }
        self.buffer.extend_from_slice(taken);
        end?;
        let mut parts = self.buffer.trim_ascii().split(|byte| *byte == b';');
        let size = hexadecimal(parts.next().unwrap_or_default().trim_ascii());
        let ieof = parts.any(|part| part.trim_ascii().eq_ignore_ascii_case(b"ieof"));
        self.buffer.clear();
        self.state = match size {
            None => return Some(Some(self.fail(Malformed::ChunkSize))),
            Some(0) => State::Trailer { whole: ieof || !self.in_preview, bytes: 0 },
            Some(size) => State::Data(size),
        };
        self.line_is_empty = true;
        Some(None)
    }

    fn data(&mut self, left: u64, input: &mut &[u8]) -> Option<Found> {
        if input.is_empty() {
            return None;
        }
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        split_off(input, len);
        let left = left.saturating_sub(len as u64);
        self.state = if left == 0 { State::DataEnd { after_cr: false } } else { State::Data(left) };
        Some(Found::Body(len))
    }

    fn data_end(&mut self, after_cr: bool, input: &mut &[u8]) -> Option<Option<Found>> {
        let byte = input.first().copied()?;
        self.state = match byte {
            b'\r' if !after_cr => State::DataEnd { after_cr: true },
            b'\n' => State::Size,
            _ => return Some(Some(self.fail(Malformed::ChunkUnterminated))),
        };
        split_off(input, 1);
        Some(None)
    }

    /// Field lines behind the last chunk, which nobody needs, to the empty line.
    fn trailer(&mut self, whole: bool, before: usize, input: &mut &[u8]) -> Option<Option<Found>> {
        let end = self.head_end(input);
        let taken = split_off(input, end.unwrap_or(input.len()));
        let bytes = before + taken.len();
        self.state = State::Trailer { whole, bytes };
        if bytes > self.limits.max_trailer_bytes {
            return Some(Some(self.fail(Malformed::TrailerTooLong)));
        }
        end?;
        if whole {
            self.begin();
            return Some(Some(Found::End));
        }
        self.state = State::Paused;
        Some(Some(Found::PreviewEnd))
    }
}

fn split_off<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at_checked(len).unwrap_or((input, &[]));
    *input = rest;
    taken
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = (*digit as char).to_digit(16)?;
        (sum >> 60 == 0).then_some(sum << 4 | u64::from(value))
    })
}
