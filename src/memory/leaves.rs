//! The scalars of a canonical JSON text, each with the way to it.

use memchr::memchr2;

use crate::fnv;
use crate::mcp::json::MAX_DEPTH;

const MAX_FRAMES: usize = MAX_DEPTH as usize;

/// A scalar, or an empty object or array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf<'a> {
    /// Key of the top-level member that it is in; keys are JSON text without the quotes.
    pub(super) top: &'a str,
    /// Nearest key on the way.
    pub(super) key: &'a str,
    /// The key before that one.
    pub(super) owner: &'a str,
    /// 1 for a top-level member.
    pub(super) depth: usize,
    /// Hash of the way, indices included. Kept on disk. Who makes two ways collide hides where a
    /// definition changed, never that it did.
    pub(super) path: u64,
    /// Hash of the way to what holds it.
    pub(super) parent: u64,
    /// JSON text.
    pub(super) value: &'a str,
}

impl Leaf<'_> {
    pub(super) fn is_string(&self) -> bool {
        self.value.starts_with('"')
    }

    /// The text of a string, the JSON text of anything else.
    pub(super) fn text(&self) -> String {
        decode(self.value)
    }
}

/// A key of an object that is called `properties`: a parameter, in a JSON Schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Property<'a> {
    pub(super) top: &'a str,
    pub(super) name: &'a str,
    pub(super) path: u64,
}

/// Strings without their escapes; what is no string, or holds a lone surrogate, as it is.
pub(super) fn decode(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.trim_matches('"').to_owned())
}

/// Where the next value goes.
#[derive(Clone, Copy, Default)]
struct Slot<'a> {
    top: &'a str,
    key: &'a str,
    owner: &'a str,
    path: u64,
    parent: u64,
}

struct Frame<'a> {
    slot: Slot<'a>,
    is_object: bool,
    next_index: u64,
}

/// Walks a canonical text.
pub(super) struct Walk<'a> {
    text: &'a str,
    at: usize,
    stack: Vec<Frame<'a>>,
    max_leaves: usize,
    pub(super) leaves: Vec<Leaf<'a>>,
    pub(super) properties: Vec<Property<'a>>,
}

impl<'a> Walk<'a> {
    /// `None` when the text is not canonical JSON, has more than `max_leaves` leaves, or is too
    /// deep. Memory: about 120 bytes per leaf.
    pub(super) fn run(text: &'a str, max_leaves: usize) -> Option<Self> {
        let (stack, leaves, properties) = (Vec::new(), Vec::new(), Vec::new());
        let mut walk = Self { text, at: 0, stack, max_leaves, leaves, properties };
        let mut slot = Slot { path: fnv::BASIS, parent: fnv::BASIS, ..Slot::default() };
        loop {
            if walk.value(slot)? {
                while matches!(walk.byte(), Some(b'}' | b']')) {
                    walk.stack.pop()?;
                    walk.at += 1;
                }
                if walk.stack.is_empty() {
                    return (walk.at == text.len()).then_some(walk);
                }
                walk.expect(b',')?;
            }
            slot = walk.next_slot()?;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        let is_there = self.byte() == Some(byte);
        self.at += usize::from(is_there);
        is_there.then_some(())
    }

    /// Reads a value, or enters it. Answers whether it is over.
    fn value(&mut self, slot: Slot<'a>) -> Option<bool> {
        let rest = self.text.get(self.at..)?;
        let len = match rest.as_bytes() {
            [b'{', b'}', ..] | [b'[', b']', ..] => 2,
            [open @ (b'{' | b'['), ..] => {
                if self.stack.len() >= MAX_FRAMES {
                    return None;
                }
                self.stack.push(Frame { slot, is_object: *open == b'{', next_index: 0 });
                self.at += 1;
                return Some(false);
            }
            [b'"', ..] => string_len(rest)?,
            bytes => {
                bytes.iter().position(|b| matches!(b, b',' | b'}' | b']')).unwrap_or(bytes.len())
            }
        };
        if len == 0 || self.leaves.len() >= self.max_leaves {
            return None;
        }
        self.at += len;
        let Slot { top, key, owner, path, parent } = slot;
        let depth = self.stack.len();
        self.leaves.push(Leaf { top, key, owner, depth, path, parent, value: rest.get(..len)? });
        Some(true)
    }

    fn next_slot(&mut self) -> Option<Slot<'a>> {
        let depth = self.stack.len();
        let Frame { slot: Slot { top, key, owner, path: parent, .. }, is_object, next_index } =
            *self.stack.last()?;
        if !is_object {
            self.stack.last_mut()?.next_index += 1;
            let path = fnv::add(fnv::add(parent, b"#"), &next_index.to_le_bytes());
            return Some(Slot { top, key, owner, path, parent });
        }
        let rest = self.text.get(self.at..)?;
        let len = rest.starts_with('"').then(|| string_len(rest)).flatten()?;
        let name = rest.get(1..len - 1)?;
        self.at += len;
        self.expect(b':')?;
        let path = fnv::add(fnv::add(parent, b"/"), name.as_bytes());
        let top = if depth == 1 { name } else { top };
        if key == "properties" {
            self.properties.push(Property { top, name, path });
        }
        Some(Slot { top, key: name, owner: key, path, parent })
    }
}

/// Length of the string literal at the start of a text, quotes included.
fn string_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mcp::jcs;

    fn leaves(text: &str) -> Vec<(usize, String, String)> {
        let walk = Walk::run(text, 100).unwrap();
        let show = |leaf: &Leaf<'_>| {
            let way = format!("{}.{}.{}", leaf.top, leaf.owner, leaf.key);
            (leaf.depth, way, leaf.value.to_owned())
        };
        walk.leaves.iter().map(show).collect()
    }

    #[test]
    fn leaves_know_the_way_to_them() {
        let text = r#"{"a":{"b":["x,]}","\"",{"c":1}],"d":{}},"e":[]}"#;
        let expected = [
            (3, "a.a.b", r#""x,]}""#),
            (3, "a.a.b", r#""\"""#),
            (4, "a.b.c", "1"),
            (2, "a.a.d", "{}"),
            (1, "e..e", "[]"),
        ];
        let expected: Vec<_> =
            expected.map(|(depth, way, value)| (depth, way.to_owned(), value.to_owned())).into();
        assert_eq!(leaves(text), expected);
    }

    #[test]
    fn ways_differ_by_key_and_index() {
        let walk = Walk::run(r#"{"a":[1,2],"b":[1,2],"c":{"0":1}}"#, 100).unwrap();
        let mut paths: Vec<_> = walk.leaves.iter().map(|leaf| leaf.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), 5);
    }

    #[test]
    fn properties_are_the_keys_of_objects_called_so() {
        let walk = Walk::run(r#"{"s":{"properties":{"p":{"properties":{"q":{}}}}}}"#, 9).unwrap();
        let names: Vec<_> = walk.properties.iter().map(|one| (one.top, one.name)).collect();
        assert_eq!(names, [("s", "p"), ("s", "q")]);
    }

    #[test]
    fn what_is_cut_or_too_large_has_none() {
        let text = r#"{"a":{"b":["x"]},"c":1}"#;
        for end in 0..text.len() {
            assert!(Walk::run(text.get(..end).unwrap(), 100).is_none(), "{end}");
        }
        assert!(Walk::run(text, 1).is_none());
        assert!(Walk::run("{}x", 9).is_none());
        let deep = format!("{}1{}", "[".repeat(MAX_FRAMES + 1), "]".repeat(MAX_FRAMES + 1));
        assert!(Walk::run(&deep, 9).is_none());
    }

    #[test]
    fn lone_surrogates_stay_as_they_are_spelled() {
        assert_eq!(decode(r#""a\ud83d""#), r"a\ud83d");
        assert_eq!(decode(r#""a\"b""#), "a\"b");
    }

    proptest! {
        #[test]
        fn every_canonical_text_can_be_walked_and_no_other_text_panics(
            bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\u0d8e1-.a".to_vec()), 0..60)
        ) {
            if let Ok(text) = std::str::from_utf8(&bytes) {
                let _ = Walk::run(text, 1000);
            }
            if let Some(text) = jcs::canonical(&bytes) {
                prop_assert!(Walk::run(&text, 1000).is_some(), "{}", text);
            }
        }
    }
}
