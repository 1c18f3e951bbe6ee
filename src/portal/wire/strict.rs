//! JSON that every reader understands the same way (RFC 8259 section 4 leaves two keys of one name
//! to the reader; RFC 7493 section 2.3 forbids them).

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Why something is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not UTF-8, from this byte on.
    NotUtf8(usize),
    /// Not JSON, or not strict; with the reason.
    NotJson(Box<str>),
    /// JSON, but no JSON-RPC message; with the reason.
    NoMessage(Box<str>),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8(at) => write!(f, "not UTF-8 at byte {at}"),
            Self::NotJson(why) => write!(f, "not JSON: {why}"),
            Self::NoMessage(why) => write!(f, "no JSON-RPC message: {why}"),
        }
    }
}

/// Checks that bytes are one JSON value that is strict: each key once, nothing behind it, and no
/// more than `max_depth` (at most 127) arrays and objects inside of each other. Answers with its
/// text.
///
/// # Errors
/// When it is not.
pub fn check(bytes: &[u8], max_depth: u32) -> Result<&str, Malformed> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| Malformed::NotUtf8(error.valid_up_to()))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let no_json = |error: serde_json::Error| Malformed::NotJson(error.to_string().into());
    Strict { room: max_depth.min(127) }.deserialize(&mut json).map_err(no_json)?;
    json.end().map_err(no_json)?;
    Ok(text)
}

/// Passes one value.
#[derive(Clone, Copy)]
struct Strict {
    /// Arrays and objects that may still be opened.
    room: u32,
}

impl Strict {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        let room = self.room.checked_sub(1);
        room.map(|room| Self { room }).ok_or_else(|| E::custom("nested too deeply"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while elements.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        let mut keys = Keys::default();
        while let Some(key) = members.next_key_seed(Key)? {
            if !keys.add(key) {
                return Err(A::Error::custom("two members of an object have the same name"));
            }
            members.next_value_seed(inside)?;
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Cow<'de, str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// Objects with so many keys are looked through one by one.
const FEW: usize = 12;

/// The keys of one object.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    /// False if it is there.
    fn add(&mut self, key: Cow<'de, str>) -> bool {
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(key);
            return true;
        }
        self.many.insert(key)
    }
}
