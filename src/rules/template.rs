//! The sentence of a finding: text with `{field}` placeholders.

use std::fmt::Write as _;

use super::field::Field;
use super::subject::Subject;

/// Longest value put into a sentence or kept, in characters; the rest is cut and shown as `…`.
const MAX_VALUE_CHARS: usize = 200;

/// Most values of one field that are kept.
const MAX_VALUES: usize = 16;

/// A parsed sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) parts: Vec<Part>,
}

/// A piece of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it is.
    Text(String),
    /// The first value of a field, `-` when there is none.
    Field(Field),
}

/// Why a sentence cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A `{` without `}`.
    Open,
    /// What stands between braces is no field.
    Unknown(String),
}

impl Template {
    /// Splits a sentence at its placeholders.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(Fault::Open)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let field = Field::parse(name).ok_or_else(|| Fault::Unknown(name.to_owned()))?;
            parts.push(Part::Field(field));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// The fields of its placeholders.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            Part::Text(_) => None,
        })
    }

    /// The sentence for a subject.
    pub(super) fn render(&self, subject: &Subject<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(field) => match field.first(subject) {
                    Some(value) => push_value(&mut text, &value),
                    None => text.push('-'),
                },
            }
        }
        text
    }
}

/// All values of a field, one text with commas; `None` when there is none.
pub(super) fn values(field: &Field, subject: &Subject<'_>) -> Option<String> {
    let mut text = String::new();
    let mut count = 0_usize;
    field.visit(subject, &mut |value| {
        if count > 0 {
            text.push_str(", ");
        }
        count += 1;
        if count > MAX_VALUES {
            text.push('…');
            return true;
        }
        push_value(&mut text, &value.to_string());
        false
    });
    (count > 0).then_some(text)
}

/// Adds a value, cut, with control and format characters (which could forge a line or hide
/// text) written as escapes.
fn push_value(text: &mut String, value: &str) {
    for (index, c) in value.chars().enumerate() {
        if index == MAX_VALUE_CHARS {
            text.push('…');
            return;
        }
        if c.is_control() || is_hidden(c) {
            // Writing to a string does not fail.
            if write!(text, "\\u{{{:x}}}", u32::from(c)).is_err() {
                return;
            }
        } else {
            text.push(c);
        }
    }
}

/// Zero-width, bidirectional and tag characters, line and paragraph separators.
const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_split_at_placeholders() {
        let template = Template::parse("{client.ip} asked {mcp.name}.").unwrap();
        assert_eq!(template.parts.len(), 4);
        assert_eq!(template.fields().count(), 2);
        assert_eq!(Template::parse("plain").unwrap().parts, [Part::Text("plain".into())]);
        assert_eq!(Template::parse("a {client.ip"), Err(Fault::Open));
        assert_eq!(Template::parse("a {nope} b"), Err(Fault::Unknown("nope".into())));
    }

    #[test]
    fn values_are_cut_and_cannot_forge_lines() {
        let mut text = String::new();
        push_value(&mut text, "a\r\nb\u{202e}c");
        assert_eq!(text, "a\\u{d}\\u{a}b\\u{202e}c");
        text.clear();
        push_value(&mut text, &"é".repeat(300));
        assert_eq!(text.chars().count(), MAX_VALUE_CHARS + 1);
    }
}
