//! The beginning of a file, for those that judge whether it is theirs.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::mend::mend;

/// Lines that are looked at.
const MAX_LINES: usize = 8;
/// Longest text that is kept of a value, in bytes: names of kinds are short.
const MAX_VALUE_BYTES: usize = 64;
/// Keys kept of one line.
const MAX_KEYS: usize = 1024;

/// The keys of the first objects of a file, and short texts that they have. Keys of objects in
/// them are paths with a dot.
#[derive(Debug, Default)]
pub(in super::super) struct Probe {
    keys: Vec<(String, Option<String>)>,
}

impl Probe {
    /// Looks at the first lines. What is no JSON has no keys; of a line that is cut, the keys
    /// before the cut count.
    pub(in super::super) fn of(bytes: &[u8]) -> Self {
        let mut probe = Self::default();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        for line in lines.take(MAX_LINES) {
            let Ok(Some(object)) = super::object(line) else { continue };
            let mut keys = Vec::new();
            let is_whole = match std::str::from_utf8(object) {
                Ok(text) => collect(text, &mut keys),
                Err(_) => false,
            };
            if !is_whole {
                keys.clear();
                collect(&mend(object), &mut keys);
            }
            probe.keys.append(&mut keys);
        }
        probe
    }

    /// Whether there is a key.
    pub(in super::super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(found, _)| found == key)
    }

    /// Whether there is any of these keys.
    pub(in super::super) fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.has(key))
    }

    /// How many of these keys there are.
    pub(in super::super) fn count(&self, keys: &[&str]) -> usize {
        keys.iter().filter(|key| self.has(key)).count()
    }

    /// How many different keys begin so.
    pub(in super::super) fn count_prefix(&self, prefix: &str) -> usize {
        let mut keys: Vec<_> = self.keys.iter().map(|(key, _)| key.as_str()).collect();
        keys.retain(|key| key.starts_with(prefix));
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    }

    /// Whether a key has that text.
    pub(in super::super) fn is(&self, key: &str, text: &str) -> bool {
        self.keys.iter().any(|(found, value)| found == key && value.as_deref() == Some(text))
    }
}

fn collect(text: &str, keys: &mut Vec<(String, Option<String>)>) -> bool {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let top = Collect { keys, path: "", depth: 0 };
    deserializer.deserialize_map(top).and_then(|_| deserializer.end()).is_ok()
}

/// Collects the keys of an object, and of objects in it.
struct Collect<'a> {
    keys: &'a mut Vec<(String, Option<String>)>,
    path: &'a str,
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self { keys, path, depth } = self;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if depth >= 2 || keys.len() >= MAX_KEYS {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let key = if path.is_empty() { key.into_owned() } else { format!("{path}.{key}") };
            // The key counts even if its value is cut.
            let index = keys.len();
            keys.push((key.clone(), None));
            let value = map.next_value_seed(Collect { keys, path: &key, depth: depth + 1 })?;
            if let Some((_, slot)) = keys.get_mut(index) {
                *slot = value;
            }
        }
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((text.len() <= MAX_VALUE_BYTES).then(|| text.to_owned()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_first_lines_are_known() {
        let probe = Probe::of(b"[\n<13>x: {\"a\":\"one\",\"b\":{\"c\":{\"d\":1}}},\n{\"e\":2}\n]");
        assert!(probe.has("a") && probe.has("b.c") && probe.has("e") && !probe.has("b.c.d"));
        assert!(probe.is("a", "one") && !probe.is("a", "on"));
        assert_eq!(probe.count(&["a", "e", "f"]), 2);
        assert_eq!(probe.count_prefix("b"), 2);
        assert!(!Probe::of(b"GET / HTTP/1.1\n").has_any(&["GET"]));
    }

    #[test]
    fn of_a_cut_line_the_keys_before_the_cut_count() {
        let probe = Probe::of(br#"{"a":1,"b":"cut he"#);
        assert!(probe.has("a") && probe.has("b"));
    }
}
