//! Values into a tree of JSON, by path.

use serde_json::{Map, Value};

use super::table::{Fixed, Format, Mapping};

/// The record of a row: what is the same in all of them, and what the table says.
pub(super) fn record<R>(
    row: &R,
    table: &[Mapping<R>],
    format: Format,
    fixed: &[(&'static str, Fixed)],
) -> Map<String, Value> {
    let mut root = Map::new();
    for (path, value) in fixed {
        let value = match *value {
            Fixed::Text(text) => text.into(),
            Fixed::Texts(texts) => texts.to_vec().into(),
            Fixed::Number(number) => number.into(),
        };
        put(&mut root, path, value);
    }
    for mapping in table {
        let places = mapping.places(format);
        if places.is_empty() {
            continue;
        }
        let cell = (mapping.cell)(row);
        for (path, form) in places {
            if let Some(value) = form.apply(cell) {
                put(&mut root, path, value);
            }
        }
    }
    root
}

/// Puts a value where the path says (see [`super::table::To`]). What is there already stays
/// when the path goes through it: the table has no such paths, and a test says so.
pub(super) fn put(root: &mut Map<String, Value>, path: &str, value: Value) {
    let mut here = root;
    let mut rest = path;
    while let Some((key, tail)) = rest.split_once('.') {
        rest = tail;
        let next = match key.strip_suffix("[]") {
            Some(key) => {
                let list = here.entry(key).or_insert_with(|| Value::Array(vec![empty()]));
                list.get_mut(0)
            }
            None => Some(here.entry(key).or_insert_with(empty)),
        };
        match next.and_then(Value::as_object_mut) {
            Some(object) => here = object,
            None => return,
        }
    }
    match rest.strip_suffix("[]") {
        Some(key) => {
            let list = here.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list
                && !list.contains(&value)
            {
                list.push(value);
            }
        }
        None => {
            here.insert(rest.to_owned(), value);
        }
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_make_objects_and_lists() {
        let mut root = Map::new();
        for (path, value) in [
            ("a", "1"),
            ("b.c.d", "2"),
            ("b.c.e", "3"),
            ("f[].g.h", "4"),
            ("f[].g.i", "5"),
            ("j.k[]", "6"),
            ("j.k[]", "7"),
            ("j.k[]", "6"),
            ("a.z", "lost"),
        ] {
            put(&mut root, path, value.into());
        }
        let want = serde_json::json!({
            "a": "1",
            "b": {"c": {"d": "2", "e": "3"}},
            "f": [{"g": {"h": "4", "i": "5"}}],
            "j": {"k": ["6", "7"]},
        });
        assert_eq!(Value::Object(root), want);
    }
}
