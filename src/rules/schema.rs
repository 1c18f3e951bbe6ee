//! JSON Schema of the files, for editors: completion and hover text from the field catalogue.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::compile::{OPERATORS, operators as operators_of};
use super::field::{CATALOGUE, Shape, Spec};
use super::syntax::{Clause, Correlation, Exceptions, List, Prefilter, Rule, Thresholds};

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

/// JSON Schema of files of exceptions.
#[must_use]
pub fn exceptions_schema() -> Value {
    schemars::schema_for!(Exceptions).to_value()
}

/// JSON Schema of files of thresholds.
#[must_use]
pub fn thresholds_schema() -> Value {
    schemars::schema_for!(Thresholds).to_value()
}

/// JSON Schema of correlation files.
#[must_use]
pub fn correlation_schema() -> Value {
    schemars::schema_for!(Correlation).to_value()
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
        let not = json!({"description": "This does not hold.", "allOf": [this]});
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
        for shape in [Shape::Text, Shape::Number, Shape::Bool, Shape::Ip] {
            let (schema, name) = operand(shape);
            generator.definitions_mut().insert(name.into(), schema);
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

/// A field: its hover text and what can stand after its name.
fn field(spec: &Spec) -> Value {
    let subjects: Vec<_> = spec.on.iter().map(|on| on.as_str()).collect();
    let description = format!("{} ({}; on: {})", spec.doc, spec.shape, subjects.join(", "));
    let (_, operand) = operand(spec.shape);
    let mut field = json!({"description": description, "$ref": format!("#/$defs/{operand}")});
    if let (false, Some(field)) = (spec.values.is_empty(), field.as_object_mut()) {
        field.insert("examples".into(), json!(spec.values));
    }
    field
}

/// What can stand after the name of a field of a shape, and what that is called.
fn operand(shape: Shape) -> (Value, &'static str) {
    let (scalar, name) = match shape {
        Shape::Text | Shape::Texts => (json!({"type": "string"}), "TextOperand"),
        Shape::Ip => (json!({"type": "string"}), "IpOperand"),
        Shape::Number => (json!({"type": "integer"}), "NumberOperand"),
        Shape::Bool => (json!({"type": "boolean"}), "BoolOperand"),
    };
    let list = json!({"type": "array", "items": scalar, "minItems": 1});
    let either = json!({"anyOf": [scalar, list]});
    let mut operators = Map::new();
    for (operator, doc) in OPERATORS.iter().filter(|(name, _)| operators_of(shape).contains(name)) {
        let mut value = match *operator {
            "exists" | "nocase" => json!({"type": "boolean"}),
            "views" => json!({
                "type": "array",
                "items": {"enum": ["percent", "folded", "decoded"]},
                "minItems": 1,
            }),
            "in" => list.clone(),
            "in_list" => json!({"type": "string", "pattern": "^\\$[a-z][a-z0-9_]*$"}),
            "is" | "gt" | "gte" | "lt" | "lte" => scalar.clone(),
            _ => either.clone(),
        };
        if let Some(value) = value.as_object_mut() {
            value.insert("description".into(), (*doc).into());
        }
        operators.insert((*operator).into(), value);
    }
    let map = json!({
        "type": "object",
        "properties": operators,
        "additionalProperties": false,
        "minProperties": 1,
    });
    (json!({"anyOf": [scalar, list, map]}), name)
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
                        "views": {
                            "type": "array",
                            "items": {"enum": ["percent", "folded", "decoded"]},
                            "description": "Decoded views to look in besides the text itself.",
                        },
                    },
                    "required": ["field", "any"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
