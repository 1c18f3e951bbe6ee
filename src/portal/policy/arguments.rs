//! Arguments of a call as Cedar sees them.
//!
//! Cedar's records have fixed members, and arguments have not: each value stands under its JSON
//! pointer (RFC 6901) as a tag of the entity for its type, where the schema can check its use.
//! `context.kinds` has the type of every value, so that a policy can tell one that is missing from
//! one that is something else.

use std::collections::{BTreeSet, HashSet};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use serde_json::Value;
use serde_json::value::RawValue;

use super::config::{MAX_DEPTH, MAX_PATH_BYTES};
use crate::portal::wire;

/// Bounds of arguments that policies look at. Worst case: some 4 MiB while a call is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Arguments whose JSON is longer are not looked at: the call is refused, if a policy asks.
    pub max_bytes: usize,
    /// The same for arguments with more values, within four keys of the top.
    pub max_values: usize,
    /// Longer texts have a type and no value: a policy that allows by it does not hold, and one
    /// that denies by it does.
    pub max_text_bytes: usize,
    /// The same for lists with more elements.
    pub max_elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 20,
            max_values: 2_048,
            max_text_bytes: 64 << 10,
            max_elements: 1_024,
        }
    }
}

/// Types that a value can have: the member of the context, and the type of its entity.
pub(super) const FAMILIES: [(&str, &str); 6] = [
    ("strings", "Strings"),
    ("longs", "Longs"),
    ("decimals", "Decimals"),
    ("booleans", "Booleans"),
    ("lists", "Lists"),
    ("kinds", "Kinds"),
];

/// Which values are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// All that there are.
    All,
    /// Those at these pointers.
    At(&'a BTreeSet<String>),
}

/// Arguments, as entities.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    tags: [Vec<(String, RestrictedExpression)>; 5],
    kinds: Vec<(String, &'static str)>,
}

/// Why arguments cannot be decided on.
pub(super) type Refused = &'static str;

impl Arguments {
    /// Of a call; none is an empty object.
    ///
    /// # Errors
    /// When they are no strict object, or too large.
    pub(super) fn read(
        raw: Option<&RawValue>,
        wanted: Wanted<'_>,
        limits: &Limits,
    ) -> Result<Self, Refused> {
        let mut this = Self::default();
        let Some(raw) = raw else { return Ok(this) };
        if raw.get().len() > limits.max_bytes {
            return Err("arguments are too large for the policies that look at them");
        }
        if wire::check(raw.get().as_bytes(), 127).is_err() {
            return Err("arguments are no strict JSON");
        }
        let Ok(Value::Object(object)) = serde_json::from_str(raw.get()) else {
            return Err("arguments are no object");
        };
        match wanted {
            Wanted::At(pointers) => {
                let object = Value::Object(object);
                for pointer in pointers {
                    if let Some(value) =
                        object.pointer(pointer).filter(|_| is_keys(&object, pointer))
                    {
                        this.add(pointer, value, limits);
                    }
                }
            }
            Wanted::All => this.walk(&object, limits)?,
        }
        Ok(this)
    }

    fn walk(
        &mut self,
        object: &serde_json::Map<String, Value>,
        limits: &Limits,
    ) -> Result<(), Refused> {
        let mut next = vec![(String::new(), object, 1)];
        let mut values = 0_usize;
        while let Some((path, object, depth)) = next.pop() {
            for (key, value) in object {
                values += 1;
                let room = MAX_PATH_BYTES.saturating_sub(path.len());
                if values > limits.max_values || key.len() > room {
                    return Err("arguments are too many for the policies that look at them");
                }
                let pointer = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                self.add(&pointer, value, limits);
                if let Value::Object(inner) = value
                    && depth < MAX_DEPTH
                {
                    next.push((pointer, inner, depth + 1));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, pointer: &str, value: &Value, limits: &Limits) {
        use RestrictedExpression as Is;
        let (kind, family) = match value {
            Value::Null => ("null", None),
            Value::Bool(value) => ("boolean", Some((3, Is::new_bool(*value)))),
            Value::Number(number) => match number.as_i64().or_else(|| integral(number.as_f64()?)) {
                Some(long) => ("long", Some((1, Is::new_long(long)))),
                None => match number.as_f64().and_then(decimal) {
                    Some(text) => ("decimal", Some((2, Is::new_decimal(text)))),
                    None => ("number", None),
                },
            },
            Value::String(text) => {
                let fits = text.len() <= limits.max_text_bytes;
                ("string", fits.then(|| (0, Is::new_string(text.clone()))))
            }
            Value::Array(elements) => match texts(elements, limits) {
                Some(texts) => ("list", Some((4, Is::new_set(texts)))),
                None => ("array", None),
            },
            Value::Object(_) => ("object", None),
        };
        if let Some((family, value)) = family
            && let Some(tags) = self.tags.get_mut::<usize>(family)
        {
            tags.push((pointer.to_owned(), value));
        }
        self.kinds.push((pointer.to_owned(), kind));
    }

    /// The records, one for each of [`FAMILIES`] that is used, by the member of the context.
    pub(super) fn records(
        self,
        used: [bool; 6],
    ) -> Result<Vec<(String, RestrictedExpression)>, String> {
        let record = |((member, _), values): (&(&str, &str), _)| {
            let record = RestrictedExpression::new_record(values);
            Ok(((*member).to_owned(), record.map_err(|error| error.to_string())?))
        };
        self.used(&FAMILIES, used).map(record).collect()
    }

    /// Values by their pointers, with what stands for the family in an array of all.
    fn used<T>(
        self,
        families: &[T; 6],
        used: [bool; 6],
    ) -> impl Iterator<Item = (&T, Vec<(String, RestrictedExpression)>)> {
        let Self { tags, kinds } = self;
        let text = |kind: &str| RestrictedExpression::new_string(kind.to_owned());
        let kinds = kinds.into_iter().map(|(pointer, kind)| (pointer, text(kind))).collect();
        let all = families.iter().zip(tags.into_iter().chain([kinds])).zip(used);
        all.filter_map(|(family, is_used)| is_used.then_some(family))
    }

    /// The entities, one for each of [`FAMILIES`] that is used.
    pub(super) fn entities(
        self,
        types: &[EntityTypeName; 6],
        used: [bool; 6],
    ) -> Result<Vec<Entity>, String> {
        let tagged = self.used(types, used).map(|(name, tags)| {
            let entity = Entity::new_with_tags(uid(name), [], HashSet::new(), tags);
            entity.map_err(|error| error.to_string())
        });
        tagged.collect()
    }
}

/// The entity of a type that has the tags.
pub(super) fn uid(name: &EntityTypeName) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new("call"))
}

/// Whether a pointer goes by keys only: positions in lists are nobody's to rely on.
fn is_keys(object: &Value, pointer: &str) -> bool {
    let slashes = memchr::memchr_iter(b'/', pointer.as_bytes()).skip(1);
    let mut parents = slashes.filter_map(|end| pointer.get(..end));
    parents.all(|parent| object.pointer(parent).is_some_and(Value::is_object))
}

fn texts(elements: &[Value], limits: &Limits) -> Option<Vec<RestrictedExpression>> {
    if elements.len() > limits.max_elements {
        return None;
    }
    let text = |value: &Value| {
        let text = value.as_str().filter(|text| text.len() <= limits.max_text_bytes)?;
        Some(RestrictedExpression::new_string(text.to_owned()))
    };
    elements.iter().map(text).collect()
}

/// The integer that a number is, where a double tells it for certain: `2.0`, `1e3`.
fn integral(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() < EXACT).then(|| format!("{value:.0}").parse().ok())?
}

/// A number as Cedar's `decimal` has it: four decimals; `None` where it has more, or is too large.
pub(super) fn decimal(value: f64) -> Option<String> {
    if !value.is_finite() || value.abs() >= 9e14 {
        return None;
    }
    let text = value.to_string();
    match text.split_once('.') {
        None => Some(format!("{text}.0")),
        Some((_, decimals)) => (decimals.len() <= 4).then_some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Result<Vec<(String, String)>, Refused> {
        let raw: wire::Raw = serde_json::from_str(text).unwrap();
        let read = Arguments::read(Some(&raw), Wanted::All, &Limits::default())?;
        let mut kinds: Vec<_> =
            read.kinds.into_iter().map(|(at, kind)| (at, kind.to_owned())).collect();
        kinds.sort();
        Ok(kinds)
    }

    #[test]
    fn values_have_their_types() {
        for (value, kind) in [
            ("1", "long"),
            ("-9223372036854775808", "long"),
            ("9223372036854775808", "number"),
            ("2.0", "long"),
            ("1e3", "long"),
            ("-0.0", "long"),
            ("1.25", "decimal"),
            ("0.12345", "number"),
            ("1e300", "number"),
            ("1.5e14", "long"),
            ("true", "boolean"),
            ("null", "null"),
            ("\"a\"", "string"),
            ("[]", "list"),
            ("[\"a\"]", "list"),
            ("[1]", "array"),
            ("[[]]", "array"),
            ("{}", "object"),
        ] {
            let text = format!("{{\"a\":{value}}}");
            assert_eq!(kinds(&text), Ok(vec![("/a".into(), kind.into())]), "{value}");
        }
    }

    #[test]
    fn keys_are_escaped_and_depth_ends() {
        let text = r#"{"a/b~c":{"b":{"c":{"d":{"e":1}}}}}"#;
        let paths: Vec<_> = kinds(text).unwrap().into_iter().map(|(path, _)| path).collect();
        let top = "/a~1b~0c";
        let wanted = ["", "/b", "/b/c", "/b/c/d"].map(|rest| format!("{top}{rest}"));
        assert_eq!(paths, wanted);
    }

    #[test]
    fn what_is_no_strict_object_or_too_large_is_refused() {
        for text in ["[]", "1", "null", r#"{"a":1,"a":2}"#, r#"{"a":{"b":1,"\u0062":2}}"#] {
            assert!(kinds(text).is_err(), "{text}");
        }
        let many: Vec<_> = (0..3_000).map(|n| format!("\"k{n}\":0")).collect();
        assert!(kinds(&format!("{{{}}}", many.join(","))).is_err());
        assert!(kinds(&format!("{{\"{}\":0}}", "k".repeat(600))).is_err());
        assert!(kinds(&format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20))).is_err());
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(120), "]".repeat(120));
        assert_eq!(kinds(&deep).map(|kinds| kinds.len()), Ok(1));
    }

    #[test]
    fn pointers_do_not_reach_into_lists() {
        let object: Value = serde_json::from_str(r#"{"a":[{"b":1}],"0":{"b":1}}"#).unwrap();
        assert!(!is_keys(&object, "/a/0"));
        assert!(!is_keys(&object, "/a/0/b"));
        assert!(is_keys(&object, "/0/b"));
    }
}
