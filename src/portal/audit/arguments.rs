//! Arguments in records: names, types and a digest instead of values.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::finding;
use crate::mcp::jcs;
use crate::sinks::event::CallArguments;

/// Longest shape, in bytes; the rest is an ellipsis.
const MAX_SHAPE_BYTES: usize = 1_024;
/// Containers inside of each other in a shape; what is further down is an ellipsis.
const MAX_DEPTH: u32 = 6;
/// Longest name in a shape, in bytes; longer ones are cut.
const MAX_NAME_BYTES: usize = 64;

/// What a record says of arguments. `with_text`: the text too, masked.
#[must_use]
pub fn arguments(json: &RawValue, with_text: bool) -> CallArguments {
    let canonical = jcs::canonical(json.get().as_bytes()).unwrap_or_default();
    CallArguments {
        shape: shape(json),
        digest: jcs::digest(&canonical),
        text: with_text.then(|| finding::mask(json.get())),
    }
}

/// Names and types: `{path:string,lines:[number],deep:{a:null}}`. Elements of an array are told by
/// the first. Names that may be secrets are masked, for a program may put anything there.
#[must_use]
pub fn shape(json: &RawValue) -> String {
    let mut text = String::new();
    match serde_json::from_str::<Shape>(json.get()) {
        Ok(shape) => shape.write(&mut text, MAX_DEPTH),
        Err(_) => text.push('…'),
    }
    if text.len() > MAX_SHAPE_BYTES {
        let mut end = MAX_SHAPE_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The shape of a value.
#[derive(Debug)]
enum Shape {
    Null,
    Boolean,
    Number,
    Text,
    Array(Option<Box<Self>>),
    Object(Vec<(String, Self)>),
}

impl Shape {
    fn write(&self, out: &mut String, room: u32) {
        if out.len() > MAX_SHAPE_BYTES {
            return;
        }
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean => out.push_str("boolean"),
            Self::Number => out.push_str("number"),
            Self::Text => out.push_str("string"),
            Self::Array(None) => out.push_str("[]"),
            Self::Array(_) | Self::Object(_) if room == 0 => out.push('…'),
            Self::Array(Some(first)) => {
                out.push('[');
                first.write(out, room - 1);
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(name);
                    out.push(':');
                    value.write(out, room - 1);
                }
                out.push('}');
            }
        }
    }
}

/// A name as it is shown: bounded, masked, without what would end it.
fn shown(name: &str) -> String {
    let cut: String = name.chars().take(MAX_NAME_BYTES).collect();
    let plain = |c: char| if c.is_control() || "{}[],:".contains(c) { '_' } else { c };
    finding::mask(&cut).chars().map(plain).collect()
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Boolean)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Number)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Shape, A::Error> {
        let first = elements.next_element::<Shape>()?;
        while elements.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Shape::Array(first.map(Box::new)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Shape, A::Error> {
        let mut all = Vec::new();
        // What does not fit is not kept either.
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            if all.len() < MAX_SHAPE_BYTES / 2 {
                all.push((shown(&name), members.next_value::<Shape>()?));
            } else {
                members.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(Shape::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn shapes_have_names_and_types_and_no_values() {
        for (text, want) in [
            ("{}", "{}"),
            (
                r#"{"path":"/etc/x","n":[1,"a"],"o":{"b":true,"c":null},"e":[]}"#,
                "{path:string,n:[number],o:{b:boolean,c:null},e:[]}",
            ),
            (r#"{"a{b:c":1}"#, "{a_b_c:number}"),
            ("[[[[[[[1]]]]]]]", "[[[[[[…]]]]]]"),
            (r#"{"AKIAQ3EGRWZ5WBL7KXPA":1}"#, "{<masked>:number}"),
        ] {
            assert_eq!(shape(&raw(text)), want, "{text}");
        }
        let many: Vec<String> = (0..5_000).map(|n| format!("\"name{n}\":1")).collect();
        let long = shape(&raw(&format!("{{{}}}", many.join(","))));
        assert!(long.len() <= MAX_SHAPE_BYTES + 3 && long.ends_with('…'));
    }

    #[test]
    fn digests_are_of_the_canonical_form() {
        let one = arguments(&raw(r#"{"b":1.0,"a":"\u0041"}"#), false);
        let other = arguments(&raw(r#"{ "a" : "A", "b" : 1 }"#), false);
        assert_eq!(one.digest, other.digest);
        assert_eq!(one.text, None);
        let text = arguments(&raw(r#"{"password":"hunter2hunter2"}"#), true).text.unwrap();
        assert!(!text.contains("hunter2"), "{text}");
    }
}
