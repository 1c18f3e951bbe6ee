//! Schemas of tools (JSON Schema 2020-12; MCP base protocol, "JSON Schema Usage"). The portal follows
//! no reference and runs no schema; clients do, so a tool whose schemas would lead them out or wear
//! them out is not offered.

use std::collections::HashMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::mirror::Invalid;

/// Arrays and objects inside of each other.
const MAX_DEPTH: usize = 48;
/// Objects in one schema.
const MAX_OBJECTS: usize = 4_096;
/// Objects in it once every reference is written out where it stands.
const MAX_WRITTEN_OUT: u64 = 100_000;
/// Keywords whose value is a reference.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// The language itself, which whoever reads schemas has: tools that take schemas refer to it.
const LANGUAGE: [&str; 2] = ["https://json-schema.org/", "http://json-schema.org/"];

/// Checks a schema: not too deep, not too large, and without references to elsewhere.
pub(super) fn check(schema: &RawValue) -> Result<(), Invalid> {
    let bytes = schema.get().as_bytes();
    let (mut depth, mut objects) = (0_usize, 0_usize);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = behind_text(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                objects += usize::from(*byte == b'{');
                if depth > MAX_DEPTH || objects > MAX_OBJECTS {
                    return Err(Invalid);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    // Keys may be written with escapes.
    let may_refer = memchr::memmem::find(bytes, b"Ref").is_some()
        || memchr::memmem::find(bytes, b"ref").is_some()
        || memchr::memmem::find(bytes, b"\\u").is_some();
    if !may_refer {
        return Ok(());
    }
    let schema: Value = serde_json::from_str(schema.get()).map_err(|_| Invalid)?;
    let mut names = Vec::new();
    named(&schema, &mut names);
    stays(&schema, &names)?;
    let size = written_out(&schema, &schema, &mut HashMap::new());
    if size > MAX_WRITTEN_OUT { Err(Invalid) } else { Ok(()) }
}

/// The closing quote of a text that begins at a place. The JSON is known to be well formed.
fn behind_text(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at,
            _ => at += 1,
        }
    }
    at
}

/// Names that parts of the schema have themselves.
fn named<'a>(schema: &'a Value, names: &mut Vec<&'a str>) {
    match schema {
        Value::Object(members) => {
            names.extend(members.get("$id").and_then(Value::as_str));
            members.values().for_each(|value| named(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| named(value, names)),
        _ => {}
    }
}

/// Whether every reference is to something in the same schema.
fn stays(schema: &Value, names: &[&str]) -> Result<(), Invalid> {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                let reference = value.as_str().filter(|_| REFERENCES.contains(&&**key));
                if let Some(reference) = reference {
                    let to = reference.split('#').next().unwrap_or_default();
                    let is_known = LANGUAGE.iter().any(|language| to.starts_with(language));
                    let is_own =
                        names.iter().any(|name| name.split('#').next().unwrap_or_default() == to);
                    if !to.is_empty() && !is_own && !is_known {
                        return Err(Invalid);
                    }
                }
                stays(value, names)?;
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(|value| stays(value, names)),
        _ => Ok(()),
    }
}

/// How many objects there are once references are written out. One that is met inside of itself
/// counts as one: those who read schemas know of recursion.
fn written_out<'a>(root: &'a Value, part: &'a Value, known: &mut HashMap<&'a str, u64>) -> u64 {
    match part {
        Value::Object(members) => {
            let mut size = 1_u64;
            for (key, value) in members {
                let more = match value.as_str().filter(|_| key == "$ref") {
                    Some(reference) => target(root, reference, known),
                    None => written_out(root, value, known),
                };
                size = size.saturating_add(more);
            }
            size
        }
        Value::Array(values) => {
            values.iter().map(|value| written_out(root, value, known)).fold(0, u64::saturating_add)
        }
        _ => 0,
    }
}

fn target<'a>(root: &'a Value, reference: &'a str, known: &mut HashMap<&'a str, u64>) -> u64 {
    if let Some(size) = known.get(reference) {
        return *size;
    }
    let Some(part) = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else {
        return 1;
    };
    // While it is written out itself.
    known.insert(reference, 1);
    let size = written_out(root, part, known);
    known.insert(reference, size);
    size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::wire::raw;
    use serde_json::json;

    fn nested(times: usize) -> Value {
        (0..times).fold(json!({}), |inner, _| json!({ "not": inner }))
    }

    fn doubling(times: usize) -> Value {
        let mut parts = serde_json::Map::new();
        for at in 0..times {
            let next = json!({"$ref": format!("#/$defs/a{}", at + 1)});
            parts.insert(format!("a{at}"), json!({"properties": {"l": next, "r": next}}));
        }
        parts.insert(format!("a{times}"), json!({"type": "string"}));
        json!({"$ref": "#/$defs/a0", "$defs": parts})
    }

    #[test]
    fn p29_schemas_that_lead_out_or_wear_out_are_refused() {
        let tree = "https://example.com/tree";
        let many = |count: usize| -> Value { (0..count).map(|_| json!({})).collect() };
        for (schema, is_good) in [
            (json!({"type": "object", "properties": {"ref": {"type": "string"}}}), true),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}), true),
            (json!({"$id": tree, "properties": {"left": {"$ref": tree}}}), true),
            (json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}), true),
            (json!({"$ref": "http://json-schema.org/draft-07/schema#"}), true),
            (json!({"$ref": "https://evil.example/x.json"}), false),
            (json!({"$ref": "http://169.254.169.254/latest#/a"}), false),
            (json!({"$ref": "https://json-schema.org.evil.example/"}), false),
            (json!({"$ref": "//evil.example/x"}), false),
            (json!({"$ref": "file:///etc/passwd"}), false),
            (json!({"$ref": "other.json#/a"}), false),
            (json!({"anyOf": [{"items": {"$dynamicRef": "https://evil.example/#m"}}]}), false),
            (json!({"$ref": format!("{tree}/other"), "$id": tree}), false),
            (nested(MAX_DEPTH - 1), true),
            (nested(MAX_DEPTH), false),
            (json!({"anyOf": many(MAX_OBJECTS - 1)}), true),
            (json!({"anyOf": many(MAX_OBJECTS)}), false),
            (json!({"description": "{{{{[[[[".repeat(100)}), true),
            (json!({"description": "\"\\{\"".repeat(100)}), true),
            (doubling(10), true),
            (doubling(40), false),
        ] {
            let text = raw(&schema);
            let shown: String = text.get().chars().take(80).collect();
            assert_eq!(check(&text).is_ok(), is_good, "{shown}");
        }
        let escaped = r#"{"\u0024ref": "https://evil.example/"}"#;
        assert!(check(&RawValue::from_string(escaped.to_owned()).unwrap()).is_err());
    }
}
