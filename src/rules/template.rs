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
    /// The first value of a field, nothing when there is none.
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

    /// The sentence for a subject. A placeholder without a value leaves nothing: brackets around
    /// it, doubled spaces and separators left at the end go too.
    pub(super) fn render(&self, subject: &Subject<'_>) -> String {
        self.fill(|field| field.first(subject))
    }

    fn fill<V: AsRef<str>>(&self, mut first: impl FnMut(&Field) -> Option<V>) -> String {
        let mut text = String::new();
        // What comes before is a value, which is never touched.
        let mut fixed = 0;
        let mut gap = false;
        for part in &self.parts {
            match part {
                Part::Text(plain) if gap => push_after_gap(&mut text, fixed, plain),
                Part::Text(plain) => text.push_str(plain),
                Part::Field(field) => match first(field) {
                    Some(value) => {
                        push_value(&mut text, value.as_ref());
                        fixed = text.len();
                    }
                    None => {
                        gap = true;
                        continue;
                    }
                },
            }
            gap = false;
        }
        if gap {
            trim_end(&mut text, fixed, &[' ', ':', ',', ';', '(']);
        }
        text
    }
}

/// Adds plain text after a placeholder that had no value.
fn push_after_gap(text: &mut String, fixed: usize, plain: &str) {
    let mut plain = plain;
    if let Some(rest) = plain.strip_prefix(')')
        && text.len() > fixed
        && text.ends_with('(')
    {
        text.pop();
        plain = rest;
    }
    let closes = plain.starts_with([' ', ',', '.', ';', ':', ')']) || plain.is_empty();
    if closes {
        trim_end(text, fixed, &[' ']);
    }
    if text.is_empty() {
        plain = plain.trim_start();
    }
    text.push_str(plain);
}

/// Takes characters off the end, down to `fixed` bytes.
fn trim_end(text: &mut String, fixed: usize, what: &[char]) {
    let end = text.trim_end_matches(what).len();
    text.truncate(end.max(fixed));
}

/// What stands around a place in a text: so much that people see what it is.
pub(super) fn around(text: &str, span: std::ops::Range<usize>) -> String {
    /// Bytes before and after.
    const MARGIN: usize = 60;
    let down = |from: usize| (0..=from).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = down(span.start.saturating_sub(MARGIN));
    let end = down(span.end.saturating_add(MARGIN).min(text.len()));
    let mut shown = String::new();
    if start > 0 {
        shown.push('…');
    }
    push_value(&mut shown, text.get(start..end).unwrap_or_default());
    shown
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
    fn placeholders_without_a_value_leave_no_trace() {
        let none: &[&str] = &[];
        for (sentence, missing, want) in [
            (
                "{client.ip} sent {mcp.method} {mcp.name}",
                none,
                "<client.ip> sent <mcp.method> <mcp.name>",
            ),
            (
                "{client.ip} sent {mcp.method} {mcp.name}",
                &["mcp.name"],
                "<client.ip> sent <mcp.method>",
            ),
            ("{client.ip}: {mcp.method} {mcp.name}", &["mcp.name", "mcp.method"], "<client.ip>"),
            ("{client.ip} ({mcp.name}) opens", &["mcp.name"], "<client.ip> opens"),
            ("{client.ip} ({mcp.name})", &["mcp.name"], "<client.ip>"),
            ("{client.ip} ({mcp.name}", &["mcp.name"], "<client.ip>"),
            ("one {mcp.name} to {server.key}", &["mcp.name"], "one to <server.key>"),
            ("one {mcp.name}, two", &["mcp.name"], "one, two"),
            ("{mcp.name} was called", &["mcp.name"], "was called"),
            ("{http.host}{http.path} asks", &["http.path"], "<http.host> asks"),
            (
                "{mcp.method} {mcp.name} to {client.ip}",
                &["mcp.method"],
                "<mcp.name> to <client.ip>",
            ),
            ("{mcp.name}", &["mcp.name"], ""),
        ] {
            let template = Template::parse(sentence).unwrap();
            let filled = template.fill(|field| {
                let value = format!("<{field}>");
                let name = value.trim_matches(['<', '>']);
                (!missing.contains(&name)).then_some(value)
            });
            assert_eq!(filled, want, "{sentence} without {missing:?}");
        }
    }

    #[test]
    fn tidying_leaves_values_alone() {
        let template = Template::parse("{mcp.method} {mcp.name}").unwrap();
        let fill = |value: &'static str| {
            template.fill(|field| (field.to_string() == "mcp.method").then_some(value))
        };
        assert_eq!(fill("a: ("), "a: (");
        assert_eq!(fill("a  "), "a  ");
        let template = Template::parse("{mcp.method}{mcp.name}) x").unwrap();
        let filled = template.fill(|field| (field.to_string() == "mcp.method").then_some("("));
        assert_eq!(filled, "() x");
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
