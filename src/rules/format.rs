//! Rule files in their usual form: keys in order, comments kept, blanks and quotes tidied.
//!
//! This works on the text, line by line, so that comments and the way values are written stay.
//! Only blocks of the top level move, each with the comments above it:
//!
//! ```text
//!   # yaml-language-server: ...     header: stays at the top
//!   # why this lane                 ┐
//!   lane: alert                     ┘ a block: its leading comments and its lines
//!   why: >-                         ┐
//!     Text, left as it is.          ┘ a block with a block scalar
//!   # the end                       footer: stays at the end
//! ```
//!
//! What a file says before and after is compared as parsed; when it differs, nothing is changed.

mod lines;

use serde_json::Value;

use super::Limits;
use super::problem::{Place, Problem, Source};
use super::syntax::{self, File};
use lines::{Line, lines};

/// Keys of a rule file, in the order that people read them in.
const RULE_KEYS: [&str; 24] = [
    "schema",
    "id",
    "rev",
    "title",
    "status",
    "lane",
    "severity",
    "confidence",
    "engine",
    "building_block",
    "context",
    "why",
    "todo",
    "map",
    "refs",
    "on",
    "evidence",
    "prefilter",
    "when",
    "raise",
    "report",
    "group",
    "noise",
    "tests",
];

/// Keys of a list file.
const LIST_KEYS: [&str; 5] = ["schema", "name", "kind", "items", "source"];

/// Keys of a correlation file.
const CORRELATION_KEYS: [&str; 17] = [
    "schema",
    "id",
    "rev",
    "title",
    "status",
    "lane",
    "severity",
    "confidence",
    "why",
    "todo",
    "map",
    "refs",
    "correlate",
    "report",
    "group",
    "noise",
    "tests",
];

/// Keys of a file of exceptions or thresholds.
const ITEM_KEYS: [&str; 2] = ["schema", "items"];

/// Formats a file. The text is the same when it is formatted already.
///
/// # Errors
///
/// What is wrong with the file; or the first key that would read differently afterwards, which
/// takes YAML that this does not understand.
pub fn format(source: &Source, limits: &Limits) -> Result<String, Box<Problem>> {
    let keys: &[&str] = match syntax::parse(source, limits)? {
        File::Rule(_) => &RULE_KEYS,
        File::List(_) => &LIST_KEYS,
        File::Correlation(_) => &CORRELATION_KEYS,
        File::Exceptions(_) | File::Thresholds(_) => &ITEM_KEYS,
    };
    let before = syntax::any(source)?;
    let mut wrong = None;
    // Where quotes are not what they seem, the rest can still be tidied.
    for quotes in [true, false] {
        let text = Document::read(&source.text, quotes).write(keys);
        let after = Source::new(source.name.clone(), text);
        match syntax::any(&after) {
            Ok(value) if value == before => return Ok(after.text),
            Ok(value) => wrong = difference(&before, &value),
            Err(_) => {}
        }
    }
    let message = "formatting would change what the file says, so it is left as it is";
    let place = wrong.map_or_else(Place::default, |key| place_of(&source.text, &key));
    Err(Box::new(
        Problem::error(source, place, "not-formatted", message)
            .hint("write this key in a simpler way: a value on one line, or a block below it"),
    ))
}

/// The first key whose value differs.
fn difference(before: &Value, after: &Value) -> Option<String> {
    let (before, after) = (before.as_object()?, after.as_object()?);
    let mut keys = before.keys().chain(after.keys());
    keys.find(|key| before.get(*key) != after.get(*key)).cloned()
}

fn place_of(text: &str, key: &str) -> Place {
    let line = text.lines().position(|line| lines::key(line) == Some(key));
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    line.map_or_else(Place::default, |line| Place {
        line: number(line + 1),
        column: 1,
        len: number(key.chars().count()),
    })
}

/// A key of the top level, with what belongs to it.
#[derive(Debug, Default)]
struct Block {
    key: String,
    /// A blank line stood above it.
    apart: bool,
    comments: Vec<Line>,
    lines: Vec<Line>,
}

/// A file in parts.
#[derive(Debug, Default)]
struct Document {
    header: Vec<Line>,
    blocks: Vec<Block>,
    footer: Vec<Line>,
}

impl Document {
    fn read(text: &str, quotes: bool) -> Self {
        let mut document = Self::default();
        // Comments and blanks whose block is still to come.
        let mut pending: Vec<Line> = Vec::new();
        for line in lines(text, quotes) {
            let is_comment = line.text.starts_with('#') && !line.raw;
            if (line.text.is_empty() && !line.raw) || is_comment {
                pending.push(line);
            } else if let Some(key) = lines::key(&line.text).filter(|_| !line.raw) {
                let key = key.to_owned();
                if document.blocks.is_empty() {
                    document.header = split_header(&mut pending);
                }
                let apart = pending.iter().any(|line| line.text.is_empty());
                let comments = std::mem::take(&mut pending);
                document.blocks.push(Block { key, apart, comments, lines: vec![line] });
            } else if let Some(block) = document.blocks.last_mut() {
                block.lines.append(&mut pending);
                block.lines.push(line);
            } else {
                pending.push(line);
            }
        }
        document.footer = pending;
        document
    }

    fn write(mut self, keys: &[&str]) -> String {
        let mut rank = 0;
        let mut ranked: Vec<(usize, Block)> = Vec::new();
        for block in self.blocks.drain(..) {
            // What is not in the list stays behind what it stood behind.
            rank = keys.iter().position(|key| *key == block.key).unwrap_or(rank);
            ranked.push((rank, block));
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        let mut out = Output::default();
        out.lines(&self.header);
        let blank = self.header.iter().any(|line| !line.text.starts_with(MODELINE));
        for (index, (_, block)) in ranked.iter().enumerate() {
            if (index > 0 && block.apart) || (index == 0 && blank) {
                out.blank();
            }
            out.lines(&block.comments);
            out.lines(&block.lines);
        }
        if self.footer.iter().any(|line| !line.text.is_empty()) {
            if self.footer.first().is_some_and(|line| line.text.is_empty()) {
                out.blank();
            }
            out.lines(&self.footer);
        }
        out.text
    }
}

/// Tells editors which schema describes the file.
const MODELINE: &str = "# yaml-language-server:";

/// What stays at the top: the modeline, and comments that a blank line keeps apart from the
/// first key.
fn split_header(pending: &mut Vec<Line>) -> Vec<Line> {
    let blank = pending.iter().rposition(|line| line.text.is_empty());
    let modeline = pending.iter().rposition(|line| line.text.starts_with(MODELINE));
    let end = blank.max(modeline).map_or(0, |last| last + 1);
    let first = pending.split_off(end);
    let mut header = std::mem::replace(pending, first);
    // The modeline is looked for on the first lines.
    header.sort_by_key(|line| !line.text.starts_with(MODELINE));
    header
}

/// Lines put together, with no two blank ones in a row outside scalars.
#[derive(Debug, Default)]
struct Output {
    text: String,
    ends_blank: bool,
}

impl Output {
    fn blank(&mut self) {
        if !self.text.is_empty() && !self.ends_blank {
            self.text.push('\n');
            self.ends_blank = true;
        }
    }

    /// Adds lines without blank ones at the start and at the end.
    fn lines(&mut self, lines: &[Line]) {
        let solid = |line: &Line| line.raw || !line.text.is_empty();
        let first = lines.iter().position(solid).unwrap_or(lines.len());
        let end = lines.iter().rposition(solid).map_or(0, |last| last + 1);
        for line in lines.get(first..end).unwrap_or_default() {
            if solid(line) {
                self.text.push_str(&line.text);
                self.text.push('\n');
                self.ends_blank = false;
            } else {
                self.blank();
            }
        }
    }
}

#[cfg(test)]
mod tests;
