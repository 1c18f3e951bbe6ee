//! Logs that we have no format for: a mapping, written in YAML, says what their fields mean.
//!
//! ```
//! # fn main() -> Result<(), shadowtap::logs::format::generic::Problem> {
//! let mapping = shadowtap::logs::format::generic::Mapping::parse(
//!     "schema: shadowtap/log-format@1
//! name: acme-gateway
//! stance: reverse
//! kind: json
//! fields: {when: time, peer.ip: client, http.verb: method, http.uri: target}
//! request_headers: {http.agent: user-agent}
//! ")?;
//! assert_eq!(mapping.name(), "acme-gateway");
//! let format = mapping.open();
//! # Ok(())
//! # }
//! ```

mod problem;
mod syntax;

#[cfg(test)]
mod tests;

pub use problem::Problem;

use std::sync::Arc;

use super::fields::{Fields, Layout};
use super::json::{Keys, Notes, Side, Taker, read};
use super::key_value::KeyValues;
use crate::logs::{Format, Framing, Line, Meaning, Reason, Record, Stance, Value};
use syntax::{Document, Kind};

/// Longest mapping, in bytes.
pub const MAX_MAPPING_BYTES: usize = 256 << 10;

/// What the fields of a log mean.
#[derive(Clone, Debug)]
pub struct Mapping {
    document: Arc<Document>,
}

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// What is wrong with it, where, and what to do.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        Ok(Self { document: Arc::new(syntax::parse(text)?) })
    }

    /// Its name, as findings tell the source.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.document.name
    }

    /// For people; its name if it has no title.
    #[must_use]
    pub fn title(&self) -> &str {
        self.document.title.as_deref().unwrap_or(&self.document.name)
    }

    /// Where the source stands.
    #[must_use]
    pub fn stance(&self) -> Stance {
        self.document.stance.into()
    }

    /// How a file falls into what is read.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        Framing::Lines
    }

    /// A reader for a file from its beginning.
    #[must_use]
    pub fn open(&self) -> Box<dyn Format> {
        let document = &*self.document;
        Box::new(Generic {
            keys: keys(document),
            only_when: document.only_when.values().cloned().collect(),
            is_complete: document.complete,
            shape: match document.kind {
                Kind::Json => Shape::Json,
                Kind::Logfmt => Shape::Logfmt,
                Kind::Csv => Shape::Csv(Columns::of(document)),
            },
        })
    }

    /// JSON Schema of mappings, for editors.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Document).to_value()
    }
}

fn keys(document: &Document) -> Keys {
    let fields: Vec<(&str, Meaning)> =
        document.fields.iter().map(|(path, meaning)| (path.as_str(), *meaning)).collect();
    let mut keys = Keys::of(&fields).absent(document.absent.iter().map(String::as_str));
    let sides =
        [(Side::Request, &document.request_headers), (Side::Response, &document.response_headers)];
    for (side, headers) in sides {
        for (path, name) in headers {
            keys = match name.as_str() {
                syntax::ALL_FIELDS => keys.headers(side, path),
                name => keys.header(side, path, name),
            };
        }
    }
    document.only_when.keys().enumerate().fold(keys, |keys, (index, path)| keys.note(path, index))
}

#[derive(Debug)]
struct Generic {
    keys: Keys,
    /// The words that each note must have one of.
    only_when: Vec<Vec<String>>,
    is_complete: bool,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Json,
    Logfmt,
    Csv(Columns),
}

/// The columns of a file of separated values.
#[derive(Debug)]
struct Columns {
    layout: Layout,
    /// For each column, the place of its key, if it has one that is asked for.
    places: Vec<Option<usize>>,
    /// Whether the first line has the names, or they are given.
    has_header: bool,
    /// The names come from the first line, and no line was read yet.
    is_open: bool,
    /// The header; it may come again, where files were joined.
    header: Vec<u8>,
}

impl Columns {
    fn of(document: &Document) -> Self {
        let places = {
            let keys = keys(document);
            document.columns.iter().map(|name| keys.find(name)).collect()
        };
        let separator = document.separator();
        let layout =
            if separator == b' ' { Layout::EXTENDED } else { Layout { separator, ..Layout::CSV } };
        let has_header = document.has_header();
        let is_open = has_header && document.columns.is_empty();
        Self { layout, places, has_header, is_open, header: Vec::new() }
    }

    /// Whether a line is the header. The first is, if there is one.
    fn take_header(&mut self, line: &[u8], keys: &Keys) -> Result<bool, Reason> {
        if !self.has_header {
            return Ok(false);
        }
        if !self.header.is_empty() {
            return Ok(self.header == line);
        }
        self.header = line.to_vec();
        if !self.is_open {
            return Ok(true);
        }
        self.is_open = false;
        self.places.clear();
        for name in Fields::new(line, self.layout) {
            self.places.push(keys.find(name?.text().trim()));
        }
        if self.places.iter().all(Option::is_none) {
            return Err(Reason::of("the header has none of the mapping's keys"));
        }
        Ok(true)
    }

    fn take<'a>(
        &self,
        line: &'a [u8],
        keys: &Keys,
        taker: &mut Taker<'_, 'a>,
    ) -> Result<(), Reason> {
        let mut fields = Fields::new(line, self.layout);
        let mut places = self.places.iter();
        loop {
            match (fields.next(), places.next()) {
                (Some(field), Some(place)) => {
                    let field = field?;
                    if let Some(target) = place.and_then(|place| keys.target(place)) {
                        taker.take(target, Value::Text(field.text()));
                    }
                }
                // Columns that are not named may follow.
                (_, None) => return Ok(()),
                (None, Some(_)) => {
                    return Err(Reason::of("the line has fewer columns than it should"));
                }
            }
        }
    }
}

impl Format for Generic {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let Self { keys, only_when, is_complete, shape } = self;
        let mut notes = match shape {
            Shape::Json => match read(keys, line, record)? {
                Some(notes) => notes,
                None => return Ok(Line::Nothing),
            },
            Shape::Logfmt => pairs(keys, line, record)?,
            Shape::Csv(columns) => {
                if columns.take_header(line, keys)? {
                    return Ok(Line::Nothing);
                }
                let mut taker = Taker::new(keys, record);
                columns.take(line, keys, &mut taker)?;
                taker.finish()
            }
        };
        let wanted = only_when.iter().enumerate().all(|(index, words)| notes.says(index, words));
        if !wanted {
            return Ok(Line::Nothing);
        }
        notes.check()?;
        record.has_all_fields = *is_complete;
        Ok(Line::Record)
    }
}

fn pairs<'a>(keys: &Keys, line: &'a [u8], record: &mut Record<'a>) -> Result<Notes<'a>, Reason> {
    let mut taker = Taker::new(keys, record);
    let mut is_any = false;
    for pair in KeyValues::logfmt(line) {
        let (key, value) = pair?;
        let Some(value) = value else { continue };
        is_any = true;
        let key = std::str::from_utf8(key).unwrap_or_default();
        if let Some(target) = keys.find(key).and_then(|place| keys.target(place)) {
            taker.take(target, Value::Text(value.text()));
        }
    }
    if is_any { Ok(taker.finish()) } else { Err(Reason::of("the line has no key=value pair")) }
}
