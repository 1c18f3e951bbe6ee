//! Mappings as written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::by_name;
use super::super::json::MAX_NOTES;
use super::{MAX_MAPPING_BYTES, Problem};
use crate::logs::{self, Meaning};

/// What a mapping says that it is.
const SCHEMA: &str = "shadowtap/log-format@1";
/// Keys of a mapping, all together.
const MAX_KEYS: usize = 1000;
/// The value of a key is all header fields of a message.
pub(super) const ALL_FIELDS: &str = "*";

/// What the fields of a log mean. Keys of JSON are paths: `http.request.method`; an array on the
/// way gives the values of all its elements.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "log-format")]
pub(super) struct Document {
    /// Always `shadowtap/log-format@1`.
    #[schemars(regex(pattern = r"^shadowtap/log-format@1$"))]
    pub(super) schema: String,
    /// A name for the source, as findings tell it: lower case, digits and hyphens.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,63}$"))]
    pub(super) name: String,
    /// For people.
    #[serde(default)]
    pub(super) title: Option<String>,
    /// Where what is logged stands between clients and servers.
    pub(super) stance: Stance,
    /// How a line is written.
    pub(super) kind: Kind,
    /// Of `csv`: the character between two values; a comma if it is not said.
    #[serde(default)]
    pub(super) delimiter: Option<String>,
    /// Of `csv`: the first line has the names of the columns. Not said, it has them unless
    /// `columns` does; if both are said, the first line is passed over.
    #[serde(default)]
    pub(super) header: Option<bool>,
    /// Of `csv`: names of the columns, in their order.
    #[serde(default)]
    pub(super) columns: Vec<String>,
    /// What the value of a key means.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Meaning>,
    /// Keys of request header fields, and their names. `*`: an object or a list of all of them.
    #[serde(default)]
    pub(super) request_headers: BTreeMap<String, String>,
    /// Keys of response header fields, likewise.
    #[serde(default)]
    pub(super) response_headers: BTreeMap<String, String>,
    /// The header fields are all that there were, on both sides.
    #[serde(default)]
    pub(super) complete: bool,
    /// Only lines count in which each of these keys has one of its values.
    #[serde(default)]
    pub(super) only_when: BTreeMap<String, Vec<String>>,
    /// Values that say that there is nothing, beside `-`, an empty text and null.
    #[serde(default)]
    pub(super) absent: Vec<String>,
}

/// Where what is logged stands between client and server.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stance {
    /// A proxy: clients come to it for any server.
    Forward,
    /// A gateway or load balancer: it is the server, as far as clients know.
    Reverse,
    /// A sensor: it only looks on.
    Observer,
}

impl From<Stance> for logs::Stance {
    fn from(stance: Stance) -> Self {
        match stance {
            Stance::Forward => Self::Forward,
            Stance::Reverse => Self::Reverse,
            Stance::Observer => Self::Observer,
        }
    }
}

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A JSON object.
    Json,
    /// Values with a character between them.
    Csv,
    /// Pairs: `key=value other="with blanks"`.
    Logfmt,
}

impl Document {
    /// The byte between two values.
    pub(super) fn separator(&self) -> u8 {
        self.delimiter.as_ref().and_then(|text| text.bytes().next()).unwrap_or(b',')
    }

    /// Whether the first line is a header.
    pub(super) fn has_header(&self) -> bool {
        self.header.unwrap_or(self.columns.is_empty())
    }

    fn headers(&self) -> impl Iterator<Item = (&String, &String)> {
        self.request_headers.iter().chain(&self.response_headers)
    }
}

/// One mapping. Depth, nodes and aliases are bounded.
pub(super) fn parse(text: &str) -> Result<Document, Problem> {
    if text.len() > MAX_MAPPING_BYTES {
        let message = format!("the file is longer than {MAX_MAPPING_BYTES} bytes");
        return Err(Problem { line: 0, column: 0, message, hint: None });
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 8,
            flow_nesting_limit: 8,
            max_events: 20_000,
            max_nodes: 10_000,
            max_aliases: 16,
            max_anchors: 16,
            max_merge_keys: 16,
            max_total_scalar_bytes: MAX_MAPPING_BYTES,
        },
    };
    let document = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Problem::of_yaml(&error))?;
    check(&document, text)?;
    Ok(document)
}

fn check(document: &Document, text: &str) -> Result<(), Problem> {
    let at = |key: &str, message: String| Problem::at_key(text, key, message);
    if document.schema != SCHEMA {
        return Err(at("schema", format!("`{}` is no schema of mappings", document.schema))
            .hint(format!("write `schema: {SCHEMA}`")));
    }
    let name = document.name.as_str();
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.bytes().all(is_plain)
        || !name.starts_with(|c: char| c.is_ascii_lowercase())
        || name.len() > 64
    {
        return Err(at("name", format!("`{name}` is no name"))
            .hint("use up to 64 lower-case letters, digits and hyphens, a letter first"));
    }
    if by_name(name).is_some() {
        return Err(at("name", format!("`{name}` is a format of its own already"))
            .hint("choose another name, or use that format without a mapping"));
    }
    check_keys(document, text)?;
    check_columns(document, text)
}

fn check_keys(document: &Document, text: &str) -> Result<(), Problem> {
    let at = |key: &str, message: String| Problem::at_key(text, key, message);
    let count = document.fields.len() + document.headers().count();
    if count == 0 {
        return Err(at("fields", "the mapping has no fields".into())
            .hint("say what keys mean: `fields: {client_ip: client}`"));
    }
    if count > MAX_KEYS {
        return Err(at("fields", format!("the mapping has more than {MAX_KEYS} keys")));
    }
    if document.only_when.len() > MAX_NOTES {
        return Err(at("only_when", format!("more than {MAX_NOTES} keys decide")));
    }
    for (key, name) in document.headers() {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name != ALL_FIELDS && (name.is_empty() || !name.bytes().all(is_token)) {
            return Err(at(key, format!("`{name}` is no name of a header field"))
                .hint("names are like `user-agent`; `*` stands for a list of all fields"));
        }
        if name == ALL_FIELDS && document.kind != Kind::Json {
            return Err(at(key, "only JSON can have all header fields under one key".into())
                .hint("name each field with its own key"));
        }
        let is_twice = document.fields.contains_key(key)
            || (document.request_headers.contains_key(key)
                && document.response_headers.contains_key(key));
        if is_twice {
            return Err(
                at(key, format!("the key `{key}` has two meanings")).hint("leave it in one place")
            );
        }
    }
    Ok(())
}

fn check_columns(document: &Document, text: &str) -> Result<(), Problem> {
    let at = |key: &str, message: String| Problem::at_key(text, key, message);
    if document.kind != Kind::Csv {
        let set = [
            ("delimiter", document.delimiter.is_some()),
            ("header", document.header.is_some()),
            ("columns", !document.columns.is_empty()),
        ];
        return match set.iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => Err(at(key, format!("`{key}` says something of csv only"))
                .hint("remove it, or write `kind: csv`")),
            None => Ok(()),
        };
    }
    if let Some(delimiter) = &document.delimiter
        && (delimiter.len() != 1 || matches!(delimiter.as_bytes(), [b'"' | b'\n' | b'\r']))
    {
        return Err(at("delimiter", "the delimiter is not one ASCII character".into())
            .hint(r#"write `delimiter: ";"` or `delimiter: "\t"`"#));
    }
    if document.columns.is_empty() && document.header == Some(false) {
        return Err(at("header", "nothing names the columns".into())
            .hint("name them in `columns`, or write `header: true`"));
    }
    if !document.columns.is_empty() {
        let keys = document.fields.keys().chain(document.headers().map(|(key, _)| key));
        for key in keys.chain(document.only_when.keys()) {
            if !document.columns.contains(key) {
                return Err(at(key, format!("no column has the name `{key}`"))
                    .hint("use a name of `columns`"));
            }
        }
    }
    Ok(())
}
