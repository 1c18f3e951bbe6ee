//! Arguments that headers mirror: `x-mcp-header` of a tool's schema (MCP 2026-07-28, Streamable
//! HTTP, "Custom Headers").

use serde_json::Value;
use serde_json::value::RawValue;

/// Deepest property that is looked for.
const MAX_DEPTH: usize = 32;

/// One argument and its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::portal::hub) struct Mirror {
    /// Keys to the argument.
    path: Vec<Box<str>>,
    /// What comes behind `Mcp-Param-`, in lower case.
    header: Box<str>,
}

/// A tool must not be offered: its schema breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Those of a schema. Only what is reached by `properties` alone may have one; anywhere else it
/// makes the tool invalid.
pub(super) fn mirrors(schema: &RawValue) -> Result<Vec<Mirror>, Invalid> {
    if memchr::memmem::find(schema.get().as_bytes(), b"x-mcp-header").is_none() {
        return Ok(Vec::new());
    }
    let schema: Value = serde_json::from_str(schema.get()).map_err(|_| Invalid)?;
    let mut found = Vec::new();
    walk(&schema, &mut Vec::new(), true, &mut found)?;
    for (at, one) in found.iter().enumerate() {
        if found.iter().skip(at + 1).any(|other: &Mirror| other.header == one.header) {
            return Err(Invalid);
        }
    }
    Ok(found)
}

fn walk(
    schema: &Value,
    path: &mut Vec<Box<str>>,
    is_reachable: bool,
    found: &mut Vec<Mirror>,
) -> Result<(), Invalid> {
    if path.len() > MAX_DEPTH {
        return Err(Invalid);
    }
    match schema {
        Value::Object(members) => {
            if let Some(name) = members.get("x-mcp-header") {
                let header = name.as_str().filter(|name| is_token(name)).ok_or(Invalid)?;
                let kind = members.get("type").and_then(Value::as_str);
                let is_plain = matches!(kind, Some("string" | "integer" | "boolean"));
                if !is_reachable || path.is_empty() || !is_plain {
                    return Err(Invalid);
                }
                let header = header.to_ascii_lowercase().into();
                found.push(Mirror { path: path.clone(), header });
            }
            for (key, value) in members {
                match (&**key, value) {
                    ("x-mcp-header" | "default" | "const" | "enum" | "examples", _) => {}
                    ("properties", Value::Object(properties)) => {
                        for (name, property) in properties {
                            path.push(name.as_str().into());
                            walk(property, path, is_reachable, found)?;
                            path.pop();
                        }
                    }
                    _ => walk(value, path, false, found)?,
                }
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(|value| walk(value, path, false, found)),
        _ => Ok(()),
    }
}

/// A token (RFC 9110 section 5.6.2).
fn is_token(text: &str) -> bool {
    let is_mark = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

/// The first header that does not say what the arguments say.
pub(in crate::portal::hub) fn mismatch<'a>(
    mirrors: &'a [Mirror],
    headers: &[(Box<str>, Box<str>)],
    arguments: Option<&RawValue>,
) -> Option<&'a str> {
    if mirrors.is_empty() {
        return None;
    }
    let arguments: Value =
        arguments.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let differs = |mirror: &&Mirror| {
        let value = mirror.path.iter().try_fold(&arguments, |value, key| value.get(&**key));
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(&mirror.header));
        match (value, header) {
            (None | Some(Value::Null), None) => false,
            (Some(value), Some((_, header))) => !says(value, header),
            _ => true,
        }
    };
    mirrors.iter().find(differs).map(|mirror| &*mirror.header)
}

/// The headers that go with arguments: those of a schema as the arguments have them, whatever the
/// client sent of them (it may know of no such headers), and all others as the client sent them.
pub(in crate::portal::hub) fn mirrored(
    mirrors: &[Mirror],
    mut headers: Vec<(Box<str>, Box<str>)>,
    arguments: Option<&RawValue>,
) -> Vec<(Box<str>, Box<str>)> {
    if mirrors.is_empty() {
        return headers;
    }
    let arguments: Value =
        arguments.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    headers.retain(|(name, _)| {
        !mirrors.iter().any(|mirror| name.eq_ignore_ascii_case(&mirror.header))
    });
    for mirror in mirrors {
        let value = mirror.path.iter().try_fold(&arguments, |value, key| value.get(&**key));
        if let Some(value) = value.and_then(spelled) {
            headers.push((mirror.header.clone(), value));
        }
    }
    headers
}

/// As a header spells it; nothing of what the server will refuse in any case.
fn spelled(value: &Value) -> Option<Box<str>> {
    Some(match value {
        Value::String(text) => text.as_str().into(),
        Value::Bool(_) => value.to_string().into(),
        // `3.0` is an integer to JSON Schema, and `3` to a header.
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(real) => format!("{real}").into(),
            None => number.to_string().into(),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

/// Whether a header has a value: integers compare as numbers.
fn says(value: &Value, header: &str) -> bool {
    match value {
        Value::String(text) => **text == *header,
        Value::Bool(true) => header == "true",
        Value::Bool(false) => header == "false",
        Value::Number(number) => match (number.as_i64(), header.parse::<i64>()) {
            (Some(one), Ok(other)) => one == other,
            _ => {
                let other = header.parse::<f64>().ok();
                number
                    .as_f64()
                    .zip(other)
                    .is_some_and(|(one, other)| one.to_bits() == other.to_bits())
            }
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::wire::raw;
    use serde_json::json;

    #[test]
    fn p28_schemas_that_break_the_rules_of_mirrored_headers_are_invalid() {
        for (schema, expected) in [
            (json!({"properties": {"a": {"type": "string"}}}), Ok(0)),
            (json!({"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}), Ok(1)),
            (
                json!({"properties": {"o": {"type": "object", "properties":
                    {"a": {"type": "integer", "x-mcp-header": "A"}}}}}),
                Ok(1),
            ),
            (json!({"properties": {"a": {"type": "number", "x-mcp-header": "A"}}}), Err(Invalid)),
            (json!({"properties": {"a": {"type": "string", "x-mcp-header": ""}}}), Err(Invalid)),
            (json!({"properties": {"a": {"type": "string", "x-mcp-header": "a b"}}}), Err(Invalid)),
            (json!({"properties": {"a": {"type": "string", "x-mcp-header": 1}}}), Err(Invalid)),
            (
                json!({"properties": {"a": {"type": "string", "x-mcp-header": "A"},
                    "b": {"type": "string", "x-mcp-header": "a"}}}),
                Err(Invalid),
            ),
            (
                json!({"properties": {"a": {"type": "array", "items":
                    {"type": "string", "x-mcp-header": "A"}}}}),
                Err(Invalid),
            ),
            (
                json!({"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]}),
                Err(Invalid),
            ),
        ] {
            assert_eq!(mirrors(&raw(&schema)).map(|found| found.len()), expected, "{schema}");
        }
    }

    #[test]
    fn headers_are_made_of_arguments_whatever_the_client_sent() {
        let schema = json!({"properties": {
            "s": {"type": "string", "x-mcp-header": "S"},
            "i": {"type": "integer", "x-mcp-header": "I"},
            "b": {"type": "boolean", "x-mcp-header": "B"},
        }});
        let mirrors = mirrors(&raw(&schema)).unwrap();
        for (arguments, sent, expected) in [
            (json!({"s": "ä", "i": 7, "b": false}), vec![], "s=ä i=7 b=false"),
            (json!({"i": 7.0}), vec![("S", "old")], "i=7"),
            (json!({"s": "new", "i": null}), vec![("s", "old"), ("x", "y")], "x=y s=new"),
            (json!({"s": ["a"]}), vec![], ""),
            (json!(null), vec![("x", "y")], "x=y"),
        ] {
            let sent = sent.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let made = mirrored(&mirrors, sent, Some(&raw(&arguments)));
            let made: Vec<_> = made.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(made.join(" "), expected);
        }
    }

    #[test]
    fn p03_headers_say_what_the_arguments_say() {
        let schema = json!({"properties": {
            "s": {"type": "string", "x-mcp-header": "S"},
            "i": {"type": "integer", "x-mcp-header": "I"},
            "b": {"type": "boolean", "x-mcp-header": "B"},
        }});
        let mirrors = mirrors(&raw(&schema)).unwrap();
        for (arguments, headers, good) in [
            (
                json!({"s": "x", "i": 7, "b": true}),
                vec![("s", "x"), ("I", "07"), ("b", "true")],
                true,
            ),
            (json!({}), vec![], true),
            (json!({"s": null}), vec![], true),
            (json!({"s": "x"}), vec![], false),
            (json!({"s": "x"}), vec![("s", "X")], false),
            (json!({}), vec![("s", "x")], false),
            (json!({"i": 7}), vec![("i", "8")], false),
            (json!({"b": true}), vec![("b", "True")], false),
            (json!({}), vec![("other", "x")], true),
        ] {
            let headers: Vec<(Box<str>, Box<str>)> =
                headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let arguments = raw(&arguments);
            assert_eq!(
                mismatch(&mirrors, &headers, Some(&arguments)).is_none(),
                good,
                "{arguments} {headers:?}"
            );
        }
    }
}
