//! JSON Schema of the files, for editors: completion and hover text from the field catalogue.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::field::{CATALOGUE, Shape, Spec};
use super::syntax::{Clause, List, Prefilter, Rule};

/// JSON Schema of rule files.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(Rule).to_value()
}

/// JSON Schema of list files.
#[must_use]
pub fn list_schema() -> Value {
    schemars::schema_for!(List).to_value()
}

impl JsonSchema for Clause {
    fn schema_name() -> Cow<'static, str> {
        "Clause".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let this = generator.subschema_for::<Self>().to_value();
        let many = |doc: &str| json!({"type": "array", "items": this, "description": doc});
        let mut properties = Map::new();
        properties.insert("all".into(), many("Every one of these holds."));
        properties.insert("any".into(), many("At least one of these holds."));
        properties.insert("none".into(), many("None of these holds."));
        let mut not = json!({"description": "This does not hold."});
        not["allOf"] = json!([this]);
        properties.insert("not".into(), not);
        let mut patterns = Map::new();
        for spec in CATALOGUE {
            if spec.is_family() {
                let stem = spec.stem().replace('.', "\\.");
                patterns.insert(format!("^{stem}[^A-Z ]+$"), field(spec));
            } else {
                properties.insert(spec.name.into(), field(spec));
            }
        }
        json_schema!({
            "type": "object",
            "description": "Conditions, all of which must hold.",
            "properties": properties,
            "patternProperties": patterns,
            "additionalProperties": false,
        })
    }
}

/// What can stand after the name of a field.
fn field(spec: &Spec) -> Value {
    let subjects: Vec<_> = spec.on.iter().map(|on| on.as_str()).collect();
    let description = format!("{} ({}; on: {})", spec.doc, spec.shape, subjects.join(", "));
    let scalar = match spec.shape {
        Shape::Text | Shape::Texts if !spec.values.is_empty() => json!({"enum": spec.values}),
        Shape::Text | Shape::Texts | Shape::Ip => json!({"type": "string"}),
        Shape::Number => json!({"type": "integer"}),
        Shape::Bool => json!({"type": "boolean"}),
    };
    let list = json!({"type": "array", "items": scalar, "minItems": 1});
    let text =
        json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
    let named = json!({"type": "string", "pattern": "^\\$[a-z][a-z0-9_]*$"});
    let operators = match spec.shape {
        Shape::Text | Shape::Texts => json!({
            "is": scalar, "in": list, "contains": text, "starts_with": text, "ends_with": text,
            "matches": text, "in_list": named, "nocase": {"type": "boolean"},
            "exists": {"type": "boolean"},
        }),
        Shape::Number => json!({
            "is": scalar, "in": list, "gt": scalar, "gte": scalar, "lt": scalar, "lte": scalar,
            "exists": {"type": "boolean"},
        }),
        Shape::Bool => json!({"is": scalar, "exists": {"type": "boolean"}}),
        Shape::Ip => json!({
            "is": scalar, "in": list, "in_net": text, "exists": {"type": "boolean"},
        }),
    };
    json!({
        "description": description,
        "anyOf": [
            scalar,
            list,
            {
                "type": "object",
                "properties": operators,
                "additionalProperties": false,
                "minProperties": 1,
            },
        ],
    })
}

impl JsonSchema for Prefilter {
    fn schema_name() -> Cow<'static, str> {
        "Prefilter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Literals, one of which occurs in a field whenever the rule matches; \
                `none` when there are none.",
            "anyOf": [
                {"const": "none"},
                {
                    "type": "object",
                    "properties": {
                        "field": {"type": "string", "description": "Name of a text field."},
                        "any": {
                            "type": "array",
                            "items": {"type": "string", "minLength": 3},
                            "minItems": 1,
                            "description": "Literals; letters match in either case.",
                        },
                    },
                    "required": ["field", "any"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
