//! Lines of NDJSON, as the files have them, into rows.
//!
//! Fields that a line does not have are empty or zero, those that are not known are passed over:
//! files of older and newer versions are read too. `store::files` says the same in SQL, for files
//! that are asked in place; a test holds both against each other.
//!
//! Bounds, all cut without an error: strings [`MAX_STRING_BYTES`], lists [`MAX_ITEMS`], maps
//! [`MAX_COUNTERS`], definitions of a kind [`MAX_DEFINITIONS`]. A finding's document is replaced by
//! a short one that says so when it is longer than [`MAX_DOCUMENT_BYTES`]. A line longer than
//! [`MAX_LINE_BYTES`] is an error. All rows of a line together hold at most some times the bytes
//! of the line; they are handed over one after the other.

mod call;
mod finding;
mod flow;
mod message;
mod parts;
mod server;
mod stats;

use std::fmt;

use serde::Deserialize;

use super::Row;
use parts::Text;

/// Longer lines are not read: 16 MiB.
pub const MAX_LINE_BYTES: usize = 16 << 20;
/// Longer strings are cut at the character before: 16 KiB.
pub const MAX_STRING_BYTES: usize = 16 << 10;
/// Of longer lists the first items are taken.
pub const MAX_ITEMS: usize = 256;
/// Of larger maps the first entries are taken, in the order of their names.
pub const MAX_COUNTERS: usize = 1_024;
/// Of more definitions of one kind the first are taken.
pub const MAX_DEFINITIONS: usize = 10_000;
/// Longest finding that is stored as it is: 256 KiB.
pub const MAX_DOCUMENT_BYTES: usize = 256 << 10;

/// Where lines come from: what they do not say themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    /// Name of the sensor.
    pub sensor: &'a str,
    /// `watch` or `replay`; empty when only the lines can tell (statistics of live runs do).
    pub run: &'a str,
}

/// Why a line gives no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineError {
    /// It has so many bytes.
    TooLong(usize),
    /// From this byte on it is no UTF-8.
    NotUtf8(usize),
    /// It is no JSON object, or a field has another type than ours: what, and where.
    NotJson(String),
    /// An `event_type` that is none of ours, or none at all.
    Unknown(String),
    /// An event without the field that names it.
    Without(&'static str),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "{bytes} bytes are too long for a line"),
            Self::NotUtf8(at) => write!(f, "byte {at} is no UTF-8"),
            Self::NotJson(what) => f.write_str(what),
            Self::Unknown(found) if found.is_empty() => f.write_str("it has no event_type"),
            Self::Unknown(found) => write!(f, "the event_type {found:?} is none of ours"),
            Self::Without(field) => write!(f, "it has no {field}"),
        }
    }
}

impl std::error::Error for LineError {}

/// Longest part of a message of the JSON reader that is repeated: it may quote the line.
const MAX_QUOTED_CHARS: usize = 200;

impl LineError {
    fn not_json(error: &serde_json::Error) -> Self {
        Self::NotJson(error.to_string().chars().take(MAX_QUOTED_CHARS).collect())
    }

    fn unknown(event_type: &str) -> Self {
        Self::Unknown(event_type.chars().take(40).collect())
    }
}

/// Calls `put` for each row that a line gives. A blank line gives none.
///
/// # Errors
/// Why the line is none of ours; no row was put then.
pub fn rows(line: &[u8], source: &Source<'_>, put: &mut dyn FnMut(Row)) -> Result<(), LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::TooLong(line.len()));
    }
    let text =
        std::str::from_utf8(line).map_err(|error| LineError::NotUtf8(error.valid_up_to()))?;
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(());
    }
    match &*event_type(text)?.0 {
        "finding" => put(Row::Finding(Box::new(finding::row(text, source)?))),
        "message" => put(Row::Message(Box::new(message::row(text, source)?))),
        "flow" => put(Row::Flow(Box::new(flow::row(text, source)?))),
        "call" => put(Row::Call(Box::new(call::row(text, source)?))),
        "server" => server::rows(text, source, put)?,
        "stats" => put(Row::Stats(Box::new(stats::row(text, source)?))),
        other => return Err(LineError::unknown(other)),
    }
    Ok(())
}

/// The type of an event. It is the first field of our own lines; elsewhere it may be any.
fn event_type(text: &str) -> Result<Text<'_>, LineError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Tag<'a> {
        #[serde(borrow)]
        event_type: Text<'a>,
    }
    let first = text.strip_prefix(r#"{"event_type":""#).and_then(|rest| rest.split_once('"'));
    if let Some((found, _)) = first
        && found.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    {
        return Ok(Text(found.into()));
    }
    Ok(parse::<Tag<'_>>(text)?.event_type)
}

/// A JSON object. (The reader would take a list as well, item by item.)
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, LineError> {
    if !text.starts_with('{') {
        return Err(LineError::NotJson("it is no JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| LineError::not_json(&error))
}

/// Fuzzes the reader: any bytes are refused or give rows that can be written as JSON.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    for line in data.split(|b| *b == b'\n') {
        let mut rows_put = 0;
        let read = rows(line, &Source { sensor: "fuzz", run: "" }, &mut |row| {
            rows_put += 1;
            assert!(serde_json::to_vec(&row).is_ok(), "{row:?}");
        });
        assert!(read.is_ok() || rows_put == 0, "rows of a refused line");
    }
}

#[cfg(test)]
mod tests;
