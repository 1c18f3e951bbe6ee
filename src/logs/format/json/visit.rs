//! A walk through an object, driven by the keys.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::super::super::meaning::{Meaning, Value};
use super::super::super::{Reason, Record};
use super::Notes;
use super::keys::{FieldOfKey, Keys, Node, Side, Target, To};
use super::take::Taker;

/// Whether text of the line can stay where it is.
pub(super) trait Keep<'de, 'a> {
    fn text(text: &'de str) -> Cow<'a, str>;
}

/// The line lives as long as the record.
#[derive(Debug)]
pub(super) struct Borrowing;

impl<'de: 'a, 'a> Keep<'de, 'a> for Borrowing {
    fn text(text: &'de str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }
}

/// The line was mended, and goes away before the record.
#[derive(Debug)]
pub(super) struct Owning;

impl<'de, 'a> Keep<'de, 'a> for Owning {
    fn text(text: &'de str) -> Cow<'a, str> {
        Cow::Owned(text.to_owned())
    }
}

/// Reads one object, and nothing behind it.
pub(super) fn read<'de, 'a, K: Keep<'de, 'a>>(
    keys: &Keys,
    text: &'de str,
    record: &mut Record<'a>,
) -> Result<Notes<'a>, Reason> {
    let mut state = Taker::new(keys, record);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object =
        Object::<K> { node: &keys.root, is_top: true, state: &mut state, keep: PhantomData };
    let read = deserializer.deserialize_map(object).and_then(|()| deserializer.end());
    // The error's own words may quote the line.
    read.map_err(|error| Reason(format!("no JSON object at column {}", error.column()).into()))?;
    Ok(state.finish())
}

/// What a key stands for.
enum Found<'k> {
    Entry(Target<'k>, Option<&'k Node>),
    /// A header field that its name names.
    Header(To),
    Unknown,
}

/// Reads a key. It is looked up where it stands, and never copied.
struct Key<'k> {
    node: &'k Node,
    /// Keys of the top may name header fields.
    field_of_key: Option<FieldOfKey>,
}

impl<'de, 'k> DeserializeSeed<'de> for Key<'k> {
    type Value = Found<'k>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'k>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'k> Visitor<'_> for Key<'k> {
    type Value = Found<'k>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Found<'k>, E> {
        if let Some(entry) = self.node.get(key) {
            return Ok(Found::Entry(entry.target(), entry.inside.as_deref()));
        }
        let field = self.field_of_key.and_then(|field| field(key));
        Ok(field
            .map_or(Found::Unknown, |(side, name)| Found::Header(To::Header(side, name.into()))))
    }
}

struct Object<'s, 'k, 'r, 'a, K> {
    node: &'k Node,
    is_top: bool,
    state: &'s mut Taker<'r, 'a>,
    keep: PhantomData<K>,
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for Object<'_, '_, '_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Object { node, is_top, state, .. } = self;
        let field_of_key = if is_top { state.keys.field_of_key } else { None };
        while let Some(found) = map.next_key_seed(Key { node, field_of_key })? {
            match found {
                Found::Entry(to, inside) => {
                    map.next_value_seed(Field::<K> { to, inside, state, keep: PhantomData })?;
                }
                Found::Header(to) => {
                    let to = Target { to: Some(&to), note: None };
                    map.next_value_seed(Field::<K> { to, inside: None, state, keep: PhantomData })?;
                }
                Found::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Reads the value of a key, or an element of it.
struct Field<'s, 't, 'r, 'a, K> {
    to: Target<'t>,
    inside: Option<&'t Node>,
    state: &'s mut Taker<'r, 'a>,
    keep: PhantomData<K>,
}

impl<'de, 'a, K: Keep<'de, 'a>> DeserializeSeed<'de> for Field<'_, '_, '_, 'a, K> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.to.to {
            Some(To::Is(Meaning::RequestBody | Meaning::ResponseBody)) => self.body(deserializer),
            Some(To::Headers(side)) => {
                let seen = match side {
                    Side::Request => &mut self.state.notes.has_request_list,
                    Side::Response => &mut self.state.notes.has_response_list,
                };
                *seen = true;
                let (side, state) = (*side, self.state);
                deserializer.deserialize_any(HeaderList::<K> { side, state, keep: PhantomData })
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'a, K> Field<'_, '_, '_, 'a, K> {
    /// A body is text, or JSON that was put into the line as it was.
    fn body<'de, D>(self, deserializer: D) -> Result<(), D::Error>
    where
        D: Deserializer<'de>,
        K: Keep<'de, 'a>,
    {
        let raw: &'de RawValue = serde::Deserialize::deserialize(deserializer)?;
        let raw = raw.get();
        let text = match raw.as_bytes().first() {
            Some(b'"') => {
                let mut inner = serde_json::Deserializer::from_str(raw);
                Text::<K>(PhantomData).deserialize(&mut inner).map_err(D::Error::custom)?
            }
            Some(b'{' | b'[') => Some(K::text(raw)),
            _ => None,
        };
        if let Some(text) = text {
            self.state.take(self.to, Value::Text(text));
        }
        Ok(())
    }

    fn take(self, value: Value<'a>) {
        self.state.take(self.to, value);
    }
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for Field<'_, '_, '_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.take(Value::Text(K::text(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.take(Value::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.take(Value::Int(number));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.take(Value::Int(i64::try_from(number).unwrap_or(i64::MAX)));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.take(Value::Float(number));
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.take(Value::Bool(value));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Field { to, inside, state, .. } = self;
        while items
            .next_element_seed(Field::<K> { to, inside, state, keep: PhantomData })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self.inside {
            Some(node) => Object::<K> { node, is_top: false, state: self.state, keep: PhantomData }
                .visit_map(map),
            None => skip_map(map),
        }
    }
}

fn skip_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Text, or a number as text; nothing of anything else.
struct Text<'a, K>(PhantomData<(&'a (), K)>);

impl<'de, 'a, K: Keep<'de, 'a>> DeserializeSeed<'de> for Text<'a, K> {
    type Value = Option<Cow<'a, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for Text<'a, K> {
    type Value = Option<Cow<'a, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(K::text(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        skip_map(map)?;
        Ok(None)
    }
}

/// All header fields of a message: an object of names and values, or an array of pairs.
struct HeaderList<'s, 'r, 'a, K> {
    side: Side,
    state: &'s mut Taker<'r, 'a>,
    keep: PhantomData<K>,
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for HeaderList<'_, '_, 'a, K> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("header fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let HeaderList { side, state, .. } = self;
        while let Some(name) = map.next_key_seed(Text::<K>(PhantomData))? {
            let values = map.next_value_seed(HeaderValues::<K>(PhantomData))?;
            let Some(name) = name else { continue };
            for value in values {
                state.field(side, name.clone(), value);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let HeaderList { side, state, .. } = self;
        while let Some((name, value)) = items.next_element_seed(Pair::<K>(PhantomData))? {
            if let (Some(name), Some(value)) = (name, value) {
                state.field(side, name, value);
            }
        }
        Ok(())
    }

    // Where there were none, programs write something else.

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
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

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// The value of a header field, or an array of several.
struct HeaderValues<'a, K>(PhantomData<(&'a (), K)>);

impl<'de, 'a, K: Keep<'de, 'a>> DeserializeSeed<'de> for HeaderValues<'a, K> {
    type Value = Vec<Cow<'a, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let raw: &'de RawValue = serde::Deserialize::deserialize(deserializer)?;
        let mut inner = serde_json::Deserializer::from_str(raw.get());
        let values = if raw.get().starts_with('[') {
            inner.deserialize_seq(self)
        } else {
            Text::<K>(PhantomData).deserialize(&mut inner).map(|text| Vec::from_iter(text))
        };
        values.map_err(D::Error::custom)
    }
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for HeaderValues<'a, K> {
    type Value = Vec<Cow<'a, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values of a header field")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Text::<K>(PhantomData))? {
            values.extend(value);
        }
        Ok(values)
    }
}

/// One header field of an array.
struct Pair<'a, K>(PhantomData<(&'a (), K)>);

type NameAndValue<'a> = (Option<Cow<'a, str>>, Option<Cow<'a, str>>);

impl<'de, 'a, K: Keep<'de, 'a>> DeserializeSeed<'de> for Pair<'a, K> {
    type Value = NameAndValue<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'a, K: Keep<'de, 'a>> Visitor<'de> for Pair<'a, K> {
    type Value = NameAndValue<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name and a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut name, mut value) = (None, None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "name" | "key" => name = map.next_value_seed(Text::<K>(PhantomData))?,
                "value" => value = map.next_value_seed(Text::<K>(PhantomData))?,
                // Envoy's form of a value that is no UTF-8.
                "raw_value" => {
                    let raw = map.next_value_seed(Text::<K>(PhantomData))?;
                    let raw = raw.filter(|text| !text.is_empty());
                    let bytes = raw.and_then(|text| super::base64(text.as_bytes()));
                    let text = bytes.map(|b| Cow::Owned(String::from_utf8_lossy(&b).into_owned()));
                    value = text.or(value);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((name, value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let name = items.next_element_seed(Text::<K>(PhantomData))?.flatten();
        let value = items.next_element_seed(Text::<K>(PhantomData))?.flatten();
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok((name, value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok((None, None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok((None, None))
    }
}
