//! JSON-RPC 2.0 messages out of JSON text that arrives in pieces.
//!
//! The text is one plain UTF-8 body or one server-sent event: an object, a batch array, or
//! several of these one after the other. No document is built: the [`json`](super::json) scanner
//! enters only what [`Message`] has a place for, so that a body of any size takes constant memory,
//! and a message is handed out at the very byte that completes it. Only objects whose own
//! `jsonrpc` is `"2.0"` become messages: text that quotes MCP does not.

mod draft;
mod extract;
mod session;
mod slot;

#[cfg(any(test, fuzzing))]
mod reference;
#[cfg(test)]
mod tests;

use super::json::{Progress, Scanner};
use crate::observation::Message;

use extract::Extractor;
use session::Session;

/// What a [`Reader`] hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A message, complete or marked partial.
    Message(Box<Message>),
    /// An oddity (kinds below), of the message that comes next or of the text around messages.
    Anomaly(&'static str),
}

/// Anomaly: the text stops being JSON inside an object that had `"jsonrpc": "2.0"`. No message.
pub const MALFORMED: &str = "json-malformed";
/// Anomaly: a value of the text follows another one on the same line.
pub const MULTIPLE_VALUES: &str = "json-multiple-values";
/// Anomaly: something that is no value follows a message. The rest of the text is not read.
pub const TRAILING_BYTES: &str = "json-trailing-bytes";
/// Anomaly: more than one of a method, a result and an error.
pub const MIXED: &str = "jsonrpc-mixed";
/// Anomaly: `method` occurs twice with different values.
pub const DUPLICATE_METHOD: &str = "jsonrpc-duplicate-method";
/// Anomaly: the id is no string, number or null.
pub const INVALID_ID: &str = "jsonrpc-invalid-id";
/// Anomaly: `params.arguments` passed [`Limits::max_arguments_bytes`]; only its beginning is kept.
pub const ARGUMENTS_TOO_LARGE: &str = "jsonrpc-arguments-too-large";
/// Anomaly: a definition passed [`Limits::max_definition_bytes`] and has no digest.
pub const DEFINITION_TOO_LARGE: &str = "jsonrpc-definition-too-large";
/// Anomaly: a definition is no strict JSON (or too deep) and has no digest.
pub const DEFINITION_UNREADABLE: &str = "jsonrpc-definition-unreadable";
/// Anomaly: a list has more than [`Limits::max_definitions`]; the others are not reported.
pub const TOO_MANY_DEFINITIONS: &str = "jsonrpc-too-many-definitions";
/// Anomaly: a batch has more than [`Limits::max_batch_messages`]; the rest is not read.
pub const BATCH_TOO_LONG: &str = "jsonrpc-batch-too-long";

/// Bounds of a [`Reader`]. Worst case while one message is read: `max_arguments_bytes`,
/// fifteen times `max_part_bytes`, `max_definition_bytes`, `max_canonical_bytes`, and for each of `max_definitions` its name (at
/// most 2 KiB) and digest; with the defaults 5 MiB and 9 MiB. An ordinary message takes a few
/// hundred bytes, a body that is no JSON-RPC none that grow. Short texts have fixed bounds: method
/// 256 bytes, URIs 2 KiB, other strings 1 KiB, keys 128, ids 256; 32 body keys of 64 bytes,
/// 32 `_meta` keys, 32 embedded requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So much of `params.arguments` is kept. Beyond: [`ARGUMENTS_TOO_LARGE`].
    pub max_arguments_bytes: usize,
    /// So much of each other part of a message is kept, at most fifteen of them.
    pub max_part_bytes: usize,
    /// Longest definition that is canonicalised. Beyond: no digest, [`DEFINITION_TOO_LARGE`].
    pub max_definition_bytes: usize,
    /// Definitions per message. Beyond: dropped, [`TOO_MANY_DEFINITIONS`].
    pub max_definitions: usize,
    /// Canonical definitions kept per message, in bytes. Beyond: digests only.
    pub max_canonical_bytes: usize,
    /// Messages per batch. Beyond: the text is given up, [`BATCH_TOO_LONG`].
    pub max_batch_messages: u32,
    /// Values or batch elements in a row that are no messages. Beyond: the text is given up.
    pub max_barren_values: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_arguments_bytes: 64 << 10,
            max_part_bytes: 64 << 10,
            max_definition_bytes: 64 << 10,
            max_definitions: 4096,
            max_canonical_bytes: 4 << 20,
            max_batch_messages: 4096,
            max_barren_values: 1024,
        }
    }
}

/// Where the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Between values; whether a line ended since the last one (or the text began).
    Between { new_line: bool },
    /// In a value.
    Inside,
    /// Nothing more can come of this text.
    Dead,
}

/// Reads the messages of one text after the other.
#[derive(Clone, Debug)]
pub struct Reader {
    life: Life,
    scanner: Scanner,
    extractor: Extractor,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Reader {
    /// A reader at the beginning of a text.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            life: Life::Between { new_line: true },
            scanner: Scanner::default(),
            extractor: Extractor::new(limits),
        }
    }

    /// Whether a text can hold messages whose first byte after whitespace is this one.
    #[must_use]
    pub const fn wants(first: u8) -> bool {
        matches!(first, b'{' | b'[')
    }

    /// Whether nothing more can come of this text: its bytes need not be delivered. The next
    /// text, after [`finish`](Self::finish), may be another matter.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.life == Life::Dead
    }

    /// Reads the next bytes of the text.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(Item)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.life {
                Life::Dead => return,
                Life::Between { new_line } => {
                    let blank = |byte: &&u8| matches!(**byte, b' ' | b'\t' | b'\r' | b'\n');
                    let (blanks, after) =
                        rest.split_at(rest.iter().take_while(blank).count().min(rest.len()));
                    let new_line =
                        new_line || blanks.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
                    self.life = Life::Between { new_line };
                    rest = after;
                    if let Some(&first) = rest.first() {
                        self.begin(first, new_line, out);
                    }
                }
                Life::Inside => rest = self.inside(rest, out),
            }
        }
    }

    /// Bytes of the text are missing. Where the structure goes on cannot be known: the message
    /// being read is handed out as partial if enough of it was seen, and the text is dead.
    pub fn gap(&mut self, len: u64, out: &mut impl FnMut(Item)) {
        if len > 0 {
            self.interrupt(out);
            self.die();
        }
    }

    /// The text ends; a message cut short is handed out as partial if enough of it was seen. The
    /// reader then stands at the beginning of another text.
    pub fn finish(&mut self, out: &mut impl FnMut(Item)) {
        self.interrupt(out);
        self.die();
        self.life = Life::Between { new_line: true };
        self.extractor.rewind();
    }

    fn interrupt(&mut self, out: &mut impl FnMut(Item)) {
        if self.life == Life::Inside {
            let offset = self.scanner.offset();
            Session { extractor: &mut self.extractor, out }.interrupt(offset);
        }
    }

    /// Gives up the text and the memory it took.
    fn die(&mut self) {
        self.life = Life::Dead;
        self.scanner = Scanner::default();
        self.extractor.drop_draft();
    }

    /// Between values, before a byte that is not blank.
    fn begin(&mut self, first: u8, new_line: bool, out: &mut impl FnMut(Item)) {
        if !Self::wants(first) {
            if self.extractor.has_messages() {
                out(Item::Anomaly(TRAILING_BYTES));
            }
            self.die();
            return;
        }
        self.life = Life::Inside;
        if !new_line {
            Session { extractor: &mut self.extractor, out }.crowd();
        }
    }

    /// In a value; answers with what is left after it.
    fn inside<'a>(&mut self, bytes: &'a [u8], out: &mut impl FnMut(Item)) -> &'a [u8] {
        let mut session = Session { extractor: &mut self.extractor, out };
        match self.scanner.push(bytes, &mut session) {
            Progress::More => return &[],
            Progress::Done(used) => {
                self.life = Life::Between { new_line: false };
                if self.extractor.is_barren() {
                    self.die();
                }
                return bytes.get(used..).unwrap_or_default();
            }
            Progress::Malformed => session.malformed(),
            Progress::Stopped => {}
        }
        self.die();
        &[]
    }
}

/// For a fuzzer: whole and split parses agree, and so does a plain extractor on what it accepts.
///
/// # Panics
///
/// When they do not.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    let Some((&size, text)) = data.split_first() else { return };
    let whole = reference::items(text, usize::MAX);
    assert_eq!(whole, reference::items(text, usize::from(size).max(1)), "split by {size}");
    if let Some(expected) = reference::messages(text) {
        assert_eq!(reference::outlines(&whole), expected);
    }
}
