//! Events of a server's stream, whole and bounded.

use std::collections::VecDeque;
use std::time::Duration;

use super::Failure;
use super::pool::Incomplete;
use crate::content::sse::{self, Parser};

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Empty for `message`.
    pub(super) kind: String,
    /// Where the stream can be resumed behind it.
    pub(super) id: Option<String>,
    /// How long to wait before that.
    pub(super) retry: Option<Duration>,
    /// Empty in a priming event.
    pub(super) data: Vec<u8>,
}

/// Memory: one event of at most `max_message_bytes`, and those that came in one piece with it.
#[derive(Debug)]
struct Gathered {
    max_message_bytes: usize,
    data: Vec<u8>,
    is_too_large: bool,
    ready: VecDeque<Event>,
}

impl sse::Sink for Gathered {
    fn data(&mut self, piece: &[u8]) {
        if self.is_too_large || piece.len() > self.max_message_bytes - self.data.len() {
            self.is_too_large = true;
            return;
        }
        self.data.extend_from_slice(piece);
    }

    fn dispatch(&mut self, event: &sse::Event<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.ready.push_back(Event {
            kind: text(event.event_type),
            id: event.id.map(text),
            retry: event.retry_millis.map(Duration::from_millis),
            data: std::mem::take(&mut self.data),
        });
    }

    fn abandon(&mut self, _: &sse::Event<'_>) {
        self.data.clear();
    }
}

/// The events of one answer.
#[derive(Debug)]
pub(super) struct Events {
    answer: Incomplete,
    parser: Parser,
    gathered: Gathered,
}

impl Events {
    pub(super) fn new(answer: Incomplete, max_message_bytes: usize) -> Self {
        let gathered = Gathered {
            max_message_bytes,
            data: Vec::new(),
            is_too_large: false,
            ready: VecDeque::new(),
        };
        let limits = sse::Limits { max_value_bytes: 1024 };
        Self { answer, parser: Parser::new(limits), gathered }
    }

    /// The next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.gathered.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.gathered.is_too_large {
                let most = self.gathered.max_message_bytes;
                return Err(Failure::Garbled(format!("an event of over {most} bytes").into()));
            }
            match self.answer.piece().await {
                None => return Ok(None),
                Some(piece) => {
                    self.parser.push(&piece.map_err(super::failure)?, &mut self.gathered)
                }
            }
        }
    }

    /// Behind the last event that is wanted.
    pub(super) async fn finish(self) {
        self.answer.finish().await;
    }
}
