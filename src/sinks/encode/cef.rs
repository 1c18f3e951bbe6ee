//! Common Event Format, version 0: `CEF:0|vendor|product|version|id|name|severity|extension`.

use serde_json::Value;

use super::table::{Format, Mapping};

/// Vendor and product in the header.
pub(super) const PRODUCT: &str = "shadowtap";

/// Longest value, in bytes: what the dictionary allows `msg`, `reason` and `request`.
const MAX_VALUE_BYTES: usize = 1023;
/// Longest custom string, in bytes: what the dictionary allows `cs1` to `cs6`.
const MAX_CUSTOM_BYTES: usize = 4000;
/// Longest field of the header, in bytes.
const MAX_HEADER_BYTES: usize = 512;

/// Header fields of records whose rows have none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) severity: &'static str,
}

/// Of a message: its kind and method, and the lowest severity.
pub(super) const MESSAGE: Defaults = Defaults { id: "message", name: "MCP message", severity: "0" };
/// Of a finding; rows have all three.
pub(super) const FINDING: Defaults = Defaults { id: "finding", name: "Finding", severity: "1" };

/// Appends the record of a row.
pub(super) fn write<R>(row: &R, table: &[Mapping<R>], defaults: Defaults, out: &mut String) {
    let (mut id, mut name, mut severity) = (None, None, None);
    let mut extension = String::new();
    for mapping in table {
        let cell = (mapping.cell)(row);
        for (place, form) in mapping.places(Format::Cef) {
            let Some(text) = form.apply(cell).map(text) else { continue };
            match *place {
                "$id" => id = Some(text),
                "$name" => name = Some(text),
                "$severity" => severity = Some(text),
                place => field(place, &text, &mut extension),
            }
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    out.push_str("CEF:0");
    for (text, default) in [
        (None, PRODUCT),
        (None, PRODUCT),
        (None, version),
        (id, defaults.id),
        (name, defaults.name),
        (severity, defaults.severity),
    ] {
        out.push('|');
        header(text.as_deref().unwrap_or(default), out);
    }
    out.push('|');
    out.push_str(extension.trim_end());
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(items) => items.into_iter().map(text).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// A field of the extension, with its label where it has one.
fn field(place: &str, value: &str, out: &mut String) {
    let (key, label) = place.split_once(':').unwrap_or((place, ""));
    if !label.is_empty() {
        out.push_str(key);
        out.push_str("Label=");
        out.push_str(label);
        out.push(' ');
    }
    let max = if key.starts_with("cs") { MAX_CUSTOM_BYTES } else { MAX_VALUE_BYTES };
    out.push_str(key);
    out.push('=');
    for c in cut(value, max).chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '=' => out.push_str("\\="),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push(' ');
}

/// A field of the header: no line breaks there, so they become blanks.
fn header(value: &str, out: &mut String) {
    for c in cut(value, MAX_HEADER_BYTES).chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '|' => out.push_str("\\|"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
}

/// The beginning of a text, at most so many bytes.
pub(in crate::sinks) fn cut(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Extension into fields, as a strict reader does: a key is what stands before a bare `=`, back
    /// to the blank before it.
    fn parse(extension: &str) -> Vec<(String, String)> {
        let mut starts = Vec::new();
        let bytes = extension.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            match bytes[index] {
                b'\\' => index += 1,
                b'=' => {
                    let key =
                        extension.get(..index).unwrap().rfind(' ').map_or(0, |blank| blank + 1);
                    starts.push((key, index));
                }
                _ => {}
            }
            index += 1;
        }
        let ends = starts.iter().skip(1).map(|(key, _)| key.saturating_sub(1));
        let ends: Vec<usize> = ends.chain([extension.len()]).collect();
        let value = |(&(key, equals), &end): (&(usize, usize), &usize)| {
            let value = extension
                .get(equals + 1..end)
                .unwrap()
                .replace("\\\\", "\u{1}")
                .replace("\\=", "=")
                .replace("\\n", "\n")
                .replace("\\r", "\r")
                .replace('\u{1}', "\\");
            (extension.get(key..equals).unwrap().to_owned(), value)
        };
        starts.iter().zip(&ends).map(value).collect()
    }

    #[test]
    fn fields_are_escaped_as_the_format_says() {
        let mut out = String::new();
        field("msg", "a=b\\c\nd\te|f", &mut out);
        assert_eq!(out, "msg=a\\=b\\\\c\\nd e|f ");
        out.clear();
        field("cs1:Verdict", "x", &mut out);
        assert_eq!(out, "cs1Label=Verdict cs1=x ");
        out.clear();
        header("a|b\\c=d\ne", &mut out);
        assert_eq!(out, "a\\|b\\\\c=d e");
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let long = "ä".repeat(3000);
        let mut out = String::new();
        field("msg", &long, &mut out);
        assert_eq!(out.len(), "msg=".len() + 1022 + 1);
    }

    proptest! {
        #[test]
        fn a_reader_gets_every_value_back(values in prop::collection::vec("[ -~\\n\\r]{1,40}", 1..5)) {
            let keys = ["msg", "reason", "request", "suser", "act"];
            let mut out = String::new();
            for (key, value) in keys.iter().zip(&values) {
                field(key, value, &mut out);
            }
            let got = parse(out.strip_suffix(' ').unwrap());
            let want: Vec<_> = keys
                .iter()
                .zip(&values)
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect();
            prop_assert_eq!(got, want);
        }
    }
}
