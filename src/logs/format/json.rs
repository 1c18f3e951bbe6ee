//! JSON objects, one to a line, into records: one engine for all formats of that kind.
//!
//! A format says which keys mean what ([`Keys`]), and settles what the keys alone cannot say. The
//! line is read once, from left to right; text is borrowed from it wherever it has no escapes, and
//! keys that nobody asks for are skipped unread.
//!
//! Programs write lines that are nearly JSON: bytes that are no UTF-8, escapes that JSON does not
//! have, values left out. A line that is not read as it stands is mended once (`mend`) and
//! read again.

mod base64;
mod keys;
mod mend;
mod probe;
mod take;
mod visit;

#[cfg(test)]
mod tests;

pub(super) use base64::base64;
pub(super) use keys::{Keys, Side};
pub(super) use probe::Probe;
pub(super) use take::Taker;

use std::borrow::Cow;

use super::super::meaning::{Meaning, Value};
use super::super::{Format, Line, Reason, Record};
use visit::{Borrowing, Owning};

/// Values that a format keeps for itself.
pub(super) const MAX_NOTES: usize = 8;

/// So much may stand before the object: the header of a syslog message.
const MAX_PREFIX_BYTES: usize = 256;

/// What a line said beside the record, while it is read.
#[derive(Debug, Default)]
pub(super) struct Notes<'a> {
    values: [Option<Value<'a>>; MAX_NOTES],
    /// Values that count only if nothing better came, with their ranks.
    otherwise: Vec<(usize, Meaning, Value<'a>)>,
    /// A list of all request header fields came.
    pub(super) has_request_list: bool,
    /// A list of all response header fields came.
    pub(super) has_response_list: bool,
    /// The first value that could not have its meaning.
    reason: Option<Reason>,
}

impl<'a> Notes<'a> {
    fn set(&mut self, index: usize, value: Value<'a>) {
        if let Some(slot) = self.values.get_mut(index) {
            *slot = Some(value);
        }
    }

    /// Text of a note.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        match self.values.get(index) {
            Some(Some(Value::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// Text of a note, for the record.
    pub(super) fn take_text(&mut self, index: usize) -> Option<Cow<'a, str>> {
        match self.values.get_mut(index).and_then(Option::take) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether a note came, and is not false.
    pub(super) fn is_set(&self, index: usize) -> bool {
        !matches!(self.values.get(index), None | Some(None | Some(Value::Bool(false))))
    }

    /// Number of a note.
    pub(super) fn number(&self, index: usize) -> Option<i64> {
        match self.values.get(index) {
            Some(Some(Value::Int(number))) => Some(*number),
            _ => None,
        }
    }

    /// Whether a note came that says one of these words; numbers and truths as JSON writes them.
    pub(super) fn says(&self, index: usize, words: &[String]) -> bool {
        let has = |text: &str| words.iter().any(|word| word == text);
        match self.values.get(index) {
            Some(Some(Value::Text(text))) => has(text),
            Some(Some(Value::Int(number))) => has(&number.to_string()),
            Some(Some(Value::Float(number))) => has(&number.to_string()),
            Some(Some(Value::Bool(value))) => has(if *value { "true" } else { "false" }),
            None | Some(None) => false,
        }
    }

    /// A value that could not have its meaning makes the line a bad one.
    pub(super) fn check(&mut self) -> Result<(), Reason> {
        self.reason.take().map_or(Ok(()), Err)
    }
}

/// Reads one line into the record and what goes with it.
pub(super) fn read<'a>(
    keys: &Keys,
    line: &'a [u8],
    record: &mut Record<'a>,
) -> Result<Option<Notes<'a>>, Reason> {
    let Some(object) = object(line)? else { return Ok(None) };
    if let Ok(text) = std::str::from_utf8(object)
        && let Ok(notes) = visit::read::<Borrowing>(keys, text, record)
    {
        return Ok(Some(notes));
    }
    *record = Record::default();
    let mended = mend::mend(object);
    visit::read::<Owning>(keys, &mended, record).map(Some)
}

/// The part of a line that should be an object; `None` if the line is a bracket of an array that
/// the objects stand in.
fn object(line: &[u8]) -> Result<Option<&[u8]>, Reason> {
    let line = line.trim_ascii();
    if matches!(line, b"[" | b"]" | b"],") {
        return Ok(None);
    }
    let line = line.strip_suffix(b",").unwrap_or(line);
    if line.first() == Some(&b'{') {
        return Ok(Some(line));
    }
    let head = line.get(..MAX_PREFIX_BYTES).unwrap_or(line);
    let start = memchr::memchr(b'{', head).ok_or(Reason::of("the line is no JSON object"))?;
    Ok(line.get(start..))
}

/// Settles what keys alone cannot say, after a line was read. The record has all that the line
/// says; what it changes there holds.
pub(super) type Settle = for<'a> fn(&mut Record<'a>, &mut Notes<'a>) -> Line;

/// Every line is a record as it stands.
pub(super) fn as_it_stands(_: &mut Record<'_>, _: &mut Notes<'_>) -> Line {
    Line::Record
}

/// A format that keeps nothing from line to line.
#[derive(Debug)]
pub(super) struct Lines {
    keys: Keys,
    settle: Settle,
}

impl Lines {
    pub(super) fn open(keys: Keys, settle: Settle) -> Box<dyn Format> {
        Box::new(Self { keys, settle })
    }
}

impl Format for Lines {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let Some(mut notes) = read(&self.keys, line, record)? else { return Ok(Line::Nothing) };
        let line = (self.settle)(record, &mut notes);
        if line == Line::Record {
            notes.check()?;
        }
        Ok(line)
    }
}
