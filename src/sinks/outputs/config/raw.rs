//! The file as written: what YAML gives, before anything is checked against anything.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Compression, Kind, SCHEMA, Transport};
use crate::rules::{Located, Severity};
use crate::sinks::encode::{Encoding, EventType, Facility};

/// A file of outputs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "shadowtap outputs")]
pub(super) struct File {
    /// Format of the file: `shadowtap/outputs@1`.
    #[schemars(extend("const" = SCHEMA))]
    pub(super) schema: Located<String>,
    /// The outputs.
    pub(super) outputs: Vec<Located<Output>>,
}

/// Where events go, and which. Which keys an output has depends on its kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Output {
    /// Its name: lower-case letters, digits, `-` and `_`.
    #[schemars(extend("pattern" = "^[a-z0-9][a-z0-9_-]{0,39}$"))]
    pub(super) name: Option<Located<String>>,
    /// What it is.
    pub(super) kind: Option<Located<Kind>>,
    /// How events are written. `rows` of clickhouse, `cef` of syslog, else `native` when absent.
    pub(super) encoding: Option<Located<Encoding>>,
    /// Which events. All that the encoding has for clickhouse and file, else findings when absent.
    pub(super) events: Option<Located<Vec<EventType>>>,
    /// Least severity of findings; `info` when absent. Other events have none.
    pub(super) min_severity: Option<Located<Severity>>,
    /// When a batch is full.
    pub(super) batch: Option<Located<Batch>>,
    /// Most that may wait on disk, as `256MiB`; the oldest are dropped beyond it.
    pub(super) spool_size: Option<Located<Size>>,
    /// Address of clickhouse, webhook, `splunk_hec`.
    pub(super) url: Option<Located<String>>,
    /// What a TLS client needs to know.
    pub(super) tls: Option<Located<Tls>>,
    /// Seconds that an answer may take; 30 when absent.
    #[schemars(range(min = 1, max = 600))]
    pub(super) timeout_seconds: Option<Located<u64>>,
    /// clickhouse: database of the tables; `shadowtap` when absent.
    pub(super) database: Option<Located<String>>,
    /// clickhouse: user.
    pub(super) user: Option<Located<String>>,
    /// clickhouse: where the password is.
    pub(super) password: Option<Located<Secret>>,
    /// clickhouse: how batches are compressed; `lz4` when absent.
    pub(super) compression: Option<Located<Compression>>,
    /// clickhouse: further settings of the server.
    pub(super) settings: Option<Located<BTreeMap<String, Scalar>>>,
    /// webhook: what is sent; `ndjson` when absent.
    pub(super) body: Option<Located<BodyKind>>,
    /// webhook: what a record becomes, with `{{field}}` for its fields; for `body: template`.
    pub(super) template: Option<Located<String>>,
    /// webhook: header fields; a value is text, or where a secret is.
    pub(super) headers: Option<Located<BTreeMap<String, Header>>>,
    /// webhook: where the key is with which requests are signed (HMAC-SHA256).
    pub(super) sign: Option<Located<Secret>>,
    /// `splunk_hec`: where the token is.
    pub(super) token: Option<Located<Secret>>,
    /// `splunk_hec`: index; that of the token when absent.
    pub(super) index: Option<Located<String>>,
    /// `splunk_hec`: source of the events; `shadowtap` when absent.
    pub(super) source: Option<Located<String>>,
    /// `splunk_hec`: beginning of the source type; `shadowtap` when absent.
    pub(super) sourcetype: Option<Located<String>>,
    /// syslog: `host:port`.
    pub(super) address: Option<Located<String>>,
    /// syslog: how it travels; `tls` when absent.
    pub(super) transport: Option<Located<Transport>>,
    /// syslog: facility; `local0` when absent.
    pub(super) facility: Option<Located<Facility>>,
    /// file: folder of the files, which are named after the output.
    pub(super) directory: Option<Located<PathBuf>>,
    /// file: a file rotates at this size; `64MiB` when absent.
    pub(super) rotate_size: Option<Located<Size>>,
    /// file: all files together; the oldest are removed. No bound when absent.
    pub(super) keep_size: Option<Located<Size>>,
}

/// When a batch is full: whatever comes first.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Batch {
    /// Records.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) rows: Option<Located<u64>>,
    /// Bytes, as `8MiB`.
    pub(super) bytes: Option<Located<Size>>,
    /// Seconds since its first record.
    #[schemars(range(min = 0.1, max = 3600))]
    pub(super) seconds: Option<Located<f64>>,
}

/// What a TLS client needs to know.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    /// Certificates that are trusted beside the system's, PEM.
    pub(super) ca_file: Option<PathBuf>,
}

/// Where a secret is: in a file, or a credential of systemd.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Secret {
    /// File whose first line it is.
    pub(super) file: Option<PathBuf>,
    /// Name of a credential of the service.
    pub(super) credential: Option<String>,
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum BodyKind {
    /// Records on lines.
    #[default]
    Ndjson,
    /// A JSON array of records.
    Array,
    /// A text for each record.
    Template,
}

/// A number of bytes: `1048576`, `1MiB`, `1MB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl std::str::FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "a size is wanted here, as 64MiB, 500MB or 1GB";
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits).ok_or(WANTED)?;
        let number: u64 = number.parse().map_err(|_| WANTED)?;
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(WANTED),
        };
        number.checked_mul(factor).map(Self).ok_or(WANTED)
    }
}

/// A number or text, as text.
fn scalar<'de, D: Deserializer<'de>>(
    deserializer: D,
    expecting: &'static str,
) -> Result<String, D::Error> {
    struct Any(&'static str);
    impl Visitor<'_> for Any {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_bool<E: Error>(self, flag: bool) -> Result<String, E> {
            Ok(if flag { "1" } else { "0" }.to_owned())
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    deserializer.deserialize_any(Any(expecting))
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer, "a size, as 64MiB")?.parse().map_err(Error::custom)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, as 64MiB, 500MB, 1GB or 1048576.",
            "type": ["string", "integer"],
            "pattern": "^[0-9]+ ?([KkMmGgTt]([Ii]?[Bb])?|[Bb])?$",
            "minimum": 0,
        })
    }
}

/// The value of a setting of the server, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar(deserializer, "text, a number, true or false").map(Self)
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// The value of a header field: text, or where a secret is.
#[derive(Clone, Debug)]
pub(super) enum Header {
    Plain(String),
    Secret(Secret),
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or `file` or `credential` of a secret")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Header, E> {
                Ok(Header::Plain(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Header, A::Error> {
                Secret::deserialize(MapAccessDeserializer::new(map)).map(Header::Secret)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Header {
    fn schema_name() -> Cow<'static, str> {
        "Header".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<Secret>();
        json_schema!({ "anyOf": [{ "type": "string" }, secret] })
    }
}
