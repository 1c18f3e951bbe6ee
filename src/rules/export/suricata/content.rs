//! Texts in Suricata's notation.

use std::fmt::Write as _;

/// Where a text stands in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    /// Anywhere.
    Anywhere,
    /// At its start.
    Start,
    /// At its end.
    End,
    /// It is the whole of it.
    Whole,
}

/// A text between the quotes of `content`: what is not plain is written in hexadecimal digits.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut hex = false;
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"/-_.,=()<>{}[]@*+?!&%#~^' ".contains(&byte);
        if plain == hex {
            out.push('|');
        } else if hex {
            out.push(' ');
        }
        hex = !plain;
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let Ok(()) = write!(out, "{byte:02x}") else { continue };
        }
    }
    if hex {
        out.push('|');
    }
    out
}

/// `buffer; content:"text"; modifiers`.
pub(super) fn part(buffer: &str, text: &str, at: At, nocase: bool) -> String {
    let mut part = format!("{buffer}; content:\"{}\";", escaped(text));
    if nocase {
        part.push_str(" nocase;");
    }
    part.push_str(match at {
        At::Anywhere => "",
        At::Start => " startswith;",
        At::End => " endswith;",
        At::Whole => " startswith; endswith;",
    });
    part
}

/// A text as it stands in JSON, without the quotes around it.
pub(super) fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

/// White space that JSON may have after a colon, for which room is left.
const MAX_SPACE: usize = 5;

/// `"key": "value"` in a request body, wherever it is.
pub(super) fn member(key: &str, value: &str) -> String {
    let value = format!("\"{}\"", json(value));
    format!(
        "http.request_body; content:\"{}\"; content:\"{}\"; distance:1; within:{};",
        escaped(&format!("\"{key}\"")),
        escaped(&value),
        value.len() + MAX_SPACE
    )
}

/// `"method": "value"` in a request body, in the two places where SDKs write it.
pub(super) fn method(value: &str) -> [String; 2] {
    let value = format!("\"{}\"", json(value));
    let last =
        format!("content:\"{}\"; distance:1; within:{};", escaped(&value), value.len() + MAX_SPACE);
    let key = escaped("\"method\"");
    let jsonrpc = escaped("\"jsonrpc\"");
    [
        format!("http.request_body; content:\"{key}\"; depth:16; {last}"),
        format!(
            "http.request_body; content:\"{jsonrpc}\"; depth:16; content:\"{key}\"; distance:1; \
             within:96; {last}"
        ),
    ]
}
