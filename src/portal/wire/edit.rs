//! Single members of objects, read and set; everything else keeps its bytes and its place.

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;

use super::Raw;

/// The members of an object, in their order, as they came.
#[derive(Clone, Debug, Default)]
pub struct Members(Vec<(Box<str>, Raw)>);

impl Members {
    /// Of an object; `None` if it is none.
    #[must_use]
    pub fn of(object: &RawValue) -> Option<Self> {
        serde_json::from_str(object.get()).ok()
    }

    /// Those of an object, or none where there is no object.
    #[must_use]
    pub fn of_any(object: Option<&RawValue>) -> Self {
        object.and_then(Self::of).unwrap_or_default()
    }

    /// The member of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(own, _)| &**own == name).map(|(_, value)| &**value)
    }

    /// Sets a member where it is, or behind the others.
    pub fn set(&mut self, name: &str, value: Raw) {
        match self.0.iter_mut().find(|(own, _)| &**own == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<Raw> {
        let at = self.0.iter().position(|(own, _)| &**own == name)?;
        Some(self.0.remove(at).1)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As an object again.
    #[must_use]
    pub fn to_raw(&self) -> Raw {
        raw(self)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = from.next_entry::<Box<str>, Raw>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Object)
    }
}

/// Something as a JSON value. What serde cannot say as JSON (a map whose keys are no strings) is
/// `null`.
#[must_use]
pub fn raw(value: &impl Serialize) -> Raw {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Whether a key is this name.
struct Named<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Named<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Named<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// Finds the first member of a name, and copies nothing.
struct Find<'n>(&'n str);

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = from.next_key_seed(Named(self.0))? {
            if is_it && found.is_none() {
                found = Some(from.next_value()?);
            } else {
                from.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The member of an object by its name, where it stands.
#[must_use]
pub fn held<'o>(object: Option<&'o RawValue>, name: &str) -> Option<&'o RawValue> {
    serde_json::Deserializer::from_str(object?.get()).deserialize_map(Find(name)).ok()?
}

/// The member of an object by its name, read as something.
#[must_use]
pub fn member<T: DeserializeOwned>(object: Option<&RawValue>, name: &str) -> Option<T> {
    serde_json::from_str(held(object, name)?.get()).ok()
}

/// A member that is a string.
#[must_use]
pub fn text(object: Option<&RawValue>, name: &str) -> Option<Box<str>> {
    member(object, name)
}

/// An object with members changed: `Some` sets, `None` removes. What is no object is taken for an
/// empty one.
#[must_use]
pub fn object(of: Option<&RawValue>, changes: Vec<(&str, Option<Raw>)>) -> Raw {
    let mut members = Members::of_any(of);
    for (name, value) in changes {
        match value {
            Some(value) => members.set(name, value),
            None => drop(members.take(name)),
        }
    }
    members.to_raw()
}
