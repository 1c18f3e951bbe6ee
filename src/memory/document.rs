//! The text of a state file, and back.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::baseline::Baselines;
use super::known::Server;
use super::{Dropped, Memory};

/// Value of `schema` in a state file.
pub const STATE_SCHEMA: &str = "shadowtap/state@1";
/// What all versions of the schema begin with.
const ANY_SCHEMA: &str = "shadowtap/state@";

/// Why a text is not the state that this program keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// Written by another version of the program: its `schema`.
    OtherVersion(String),
    /// Not a state file, or one that lost bytes: what the reader says.
    Damaged(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVersion(schema) => {
                write!(f, "its schema is `{schema}`, this program knows `{STATE_SCHEMA}`")
            }
            Self::Damaged(why) => f.write_str(why),
        }
    }
}

#[derive(Deserialize)]
struct Head {
    schema: String,
}

#[derive(Serialize)]
struct Written<'m> {
    schema: &'static str,
    dropped: Dropped,
    servers: &'m BTreeMap<String, Server>,
    baselines: &'m Baselines,
    sections: &'m BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "schema")]
    _schema: String,
    dropped: Dropped,
    servers: BTreeMap<String, Server>,
    baselines: Baselines,
    sections: BTreeMap<String, Value>,
}

impl Memory {
    /// The text of a state file: JSON in one line, keys of maps sorted, the same bytes for the
    /// same memory. Leaves out what lasts for an hour at most.
    ///
    /// # Errors
    ///
    /// When a section cannot be written as JSON, which no [`Value`] is known to cause.
    pub fn to_state(&self) -> Result<Vec<u8>, serde_json::Error> {
        let written = Written {
            schema: STATE_SCHEMA,
            dropped: self.dropped,
            servers: &self.servers,
            baselines: &self.baselines,
            sections: &self.sections,
        };
        let mut text = serde_json::to_vec(&written)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Takes over what a state file holds, in place of what is remembered, as far as the bounds
    /// allow.
    ///
    /// # Errors
    ///
    /// When the text is no state file of this version; nothing changes then.
    pub fn load_state(&mut self, text: &[u8]) -> Result<(), Unreadable> {
        let damaged = |error: serde_json::Error| Unreadable::Damaged(error.to_string());
        let Head { schema } = serde_json::from_slice(text).map_err(damaged)?;
        if schema != STATE_SCHEMA {
            return Err(if schema.starts_with(ANY_SCHEMA) {
                Unreadable::OtherVersion(schema.chars().take(64).collect())
            } else {
                Unreadable::Damaged("it is not a state file".to_owned())
            });
        }
        let read: Read = serde_json::from_slice(text).map_err(damaged)?;
        self.dropped = read.dropped;
        self.servers = read.servers;
        self.baselines = read.baselines;
        self.sections = read.sections;
        self.clients.clear();
        self.restore();
        Ok(())
    }
}

fn parse_hex<E: serde::de::Error>(text: &str) -> Result<u64, E> {
    let is_plain = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u64::from_str_radix(text, 16).ok().filter(|_| is_plain);
    value.ok_or_else(|| E::custom("expected 16 hex digits"))
}

/// A number as 16 hex digits.
pub(super) mod hex {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(in super::super) fn serialize<S: Serializer>(
        value: &u64,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{value:016x}"))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<u64, D::Error> {
        super::parse_hex(&Cow::<'de, str>::deserialize(from)?)
    }
}

/// Numbers as 16 hex digits each.
pub(super) mod hexes {
    use serde::de::Error as _;
    use serde::ser::SerializeSeq as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        values: &[u64; 6],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(values.len()))?;
        for value in values {
            list.serialize_element(&format!("{value:016x}"))?;
        }
        list.end()
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[u64; 6], D::Error> {
        let texts = <[String; 6]>::deserialize(from)?;
        let mut values = [0; 6];
        for (value, text) in values.iter_mut().zip(&texts) {
            *value = super::parse_hex(text).map_err(D::Error::custom::<D::Error>)?;
        }
        Ok(values)
    }
}

/// A time as nanoseconds since the Unix epoch.
pub(super) mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(in super::super) fn serialize<S: Serializer>(
        at: &Timestamp,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_nanos())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_nanos)
    }
}

/// A keyed hash as 16 hex digits, or null.
pub(super) mod secret {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use crate::observation::SecretHash;

    #[expect(clippy::ref_option, reason = "serde gives a reference")]
    pub(in super::super) fn serialize<S: Serializer>(
        hash: &Option<SecretHash>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        hash.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<SecretHash>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let hash = text.map(|text| super::parse_hex(&text)).transpose()?;
        Ok(hash.map(|hash: u64| SecretHash(hash.to_be_bytes())))
    }
}
