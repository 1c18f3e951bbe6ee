//! Texts with holes: `{"text": "{{rule.name}}: {{message|chat}}"}`, filled in with the fields of a
//! record.
//!
//! A template is JSON, and so is what comes out, whatever the fields hold: values are escaped as
//! the inside of a JSON string. `|chat` also disarms `&`, `<` and `>`, with which chat programs
//! make links and call everybody; text of strangers should go through it.

use serde_json::Value;

/// Longest template, in bytes: 64 KiB.
const MAX_TEMPLATE_BYTES: usize = 64 << 10;
/// Longest value that is filled in, in bytes; longer ones are cut, and `…` follows. Chat programs
/// refuse long messages.
const MAX_VALUE_BYTES: usize = 4 << 10;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field { path: Vec<String>, chat: bool },
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(format!("a template has {MAX_TEMPLATE_BYTES} bytes at most"));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (field, after) = after
                .split_once("}}")
                .ok_or_else(|| "`{{` without `}}` in the template".to_owned())?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::field(field)?);
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let template = Self { pieces };
        let filled = template.fill(&Value::Null);
        serde_json::from_str::<Value>(&filled).map_err(|error| {
            format!("the template is not JSON: {error}; a field stands inside of quotes, as \"{{{{message}}}}\"")
        })?;
        Ok(template)
    }

    /// The text for a record.
    #[must_use]
    pub fn fill(&self, record: &Value) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field { path, chat } => {
                    if let Some(value) = find(record, path) {
                        escape(&shown(value), *chat, &mut out);
                    }
                }
            }
        }
        out
    }
}

impl Piece {
    fn field(text: &str) -> Result<Self, String> {
        let (path, filter) = text.split_once('|').unwrap_or((text, ""));
        let chat = match filter.trim() {
            "" => false,
            "chat" => true,
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(format!("`{other}` is no filter of templates; there is `chat`"));
            }
        };
        let path: Vec<String> = path.trim().split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            let text: String = text.chars().take(40).collect();
            return Err(format!("`{{{{{text}}}}}` names no field, as {{{{rule.name}}}} does"));
        }
        Ok(Self::Field { path, chat })
    }
}

fn find<'v>(record: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(record, |value, key| match value {
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        value => value.get(key),
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// Appends a text as the inside of a JSON string.
fn escape(text: &str, chat: bool, out: &mut String) {
    let short = crate::sinks::encode::cut(text, MAX_VALUE_BYTES);
    // What deceives the eye or moves a cursor has no business in a chat.
    let short = crate::sinks::printable(short);
    let quoted = Value::String(short.into_owned()).to_string();
    for c in quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or_default().chars()
    {
        match c {
            '&' if chat => out.push_str("&amp;"),
            '<' if chat => out.push_str("&lt;"),
            '>' if chat => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    if text.len() > MAX_VALUE_BYTES {
        out.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(template: &str, record: &Value) -> Value {
        serde_json::from_str(&Template::parse(template).unwrap().fill(record)).unwrap()
    }

    #[test]
    fn fields_are_filled_in() {
        let record = serde_json::json!({
            "rule": {"name": "Say \"hi\"\\"}, "event": {"count": 3}, "todo": ["a", "b"],
            "flows": [{"id": "x"}], "ok": true, "none": null,
            "text": "<!channel> & <https://evil.example|click>\n\u{202e}",
        });
        for (template, want) in [
            (r#"{"t": "{{rule.name}}"}"#, "Say \"hi\"\\"),
            (r#"{"t": "{{ event.count }} {{ok}}"}"#, "3 true"),
            (r#"{"t": "{{todo}}"}"#, "a; b"),
            (r#"{"t": "{{flows.0.id}}"}"#, "x"),
            (r#"{"t": "{{none}}{{missing.deep}}{{flows.9.id}}"}"#, ""),
            (r#"{"t": "{{flows.0}}"}"#, r#"{"id":"x"}"#),
            (
                r#"{"t": "{{text|chat}}"}"#,
                "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;\\u{a}\\u{202e}",
            ),
        ] {
            assert_eq!(fill(template, &record)["t"], want, "{template}");
        }
    }

    #[test]
    fn long_values_are_cut() {
        let record = serde_json::json!({"message": "ä".repeat(9000)});
        let text = fill(r#""{{message}}""#, &record);
        assert_eq!(text.as_str().unwrap().chars().count(), 2048 + 1);
    }

    #[test]
    fn wrong_templates_say_why() {
        for (template, want) in [
            (r#"{"t": "{{a"}"#, "without `}}`"),
            (r#"{"t": "{{}}"}"#, "names no field"),
            (r#"{"t": "{{a..b}}"}"#, "names no field"),
            (r#"{"t": "{{a|shout}}"}"#, "`shout` is no filter"),
            (r#"{"t": {{a}}}"#, "inside of quotes"),
            ("plain {{a}}", "not JSON"),
        ] {
            let error = Template::parse(template).unwrap_err();
            assert!(error.contains(want), "{template}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_is_json_with_the_same_shape(text in any::<String>(), other in any::<i64>()) {
            let record = serde_json::json!({"a": {"b": text}, "c": other});
            for template in [r#"{"t": "{{a.b}} {{c}}"}"#, r#"{"t": "{{a.b|chat}}{{a}}"}"#] {
                let value = fill(template, &record);
                prop_assert_eq!(value.as_object().unwrap().len(), 1);
                prop_assert!(value["t"].is_string());
            }
        }
    }
}
