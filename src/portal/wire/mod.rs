//! JSON-RPC messages (JSON-RPC 2.0; MCP base protocol, "Messages") whose parameters and results
//! stay as they came: what the portal does not know passes through untouched.
//!
//! [`Message::parse`] is strict, for what is decided on must be what the server reads: two keys of
//! the same name anywhere, bytes behind the value, nesting over the limit, text that is not UTF-8,
//! numbers that no double can hold, and ids that are no string or integer are all refused.

mod edit;
mod strict;

pub use edit::{Members, held, member, object, raw, text};
pub use strict::{Malformed, check};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A JSON value as it came.
pub type Raw = Box<RawValue>;

/// Errors of JSON-RPC and MCP.
pub mod code {
    /// No JSON.
    pub const PARSE: i64 = -32_700;
    /// No JSON-RPC message, or not one for here.
    pub const INVALID_REQUEST: i64 = -32_600;
    /// Nobody knows the method.
    pub const METHOD_NOT_FOUND: i64 = -32_601;
    /// Parameters do not fit; also an unknown tool, prompt or resource.
    pub const INVALID_PARAMS: i64 = -32_602;
    /// The portal or the upstream is in trouble.
    pub const INTERNAL: i64 = -32_603;
    /// Headers and body say different things (MCP 2026-07-28).
    pub const HEADER_MISMATCH: i64 = -32_020;
    /// The client has not declared what the method needs (MCP 2026-07-28).
    pub const MISSING_CAPABILITY: i64 = -32_021;
    /// A revision that is not spoken here (MCP 2026-07-28).
    pub const UNSUPPORTED_VERSION: i64 = -32_022;
    /// Refused by the portal: policy, inspection, limits. In the range that JSON-RPC leaves to
    /// implementations, and used by no revision of MCP.
    pub const REFUSED: i64 = -32_080;
}

/// Identifies a request among those of its sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// An integer.
    Number(i64),
    /// A string.
    Text(Box<str>),
}

/// Wants an answer.
#[derive(Clone, Debug)]
pub struct Request {
    /// Of its sender.
    pub id: Id,
    /// What is wanted.
    pub method: Box<str>,
    /// An object, or nothing.
    pub params: Option<Raw>,
}

/// Wants none.
#[derive(Clone, Debug)]
pub struct Notification {
    /// What happened.
    pub method: Box<str>,
    /// An object, or nothing.
    pub params: Option<Raw>,
}

/// An error object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RpcError {
    /// See [`code`].
    pub code: i64,
    /// For people.
    pub message: Box<str>,
    /// For programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Raw>,
}

impl RpcError {
    /// Without data.
    #[must_use]
    pub fn new(code: i64, message: &str) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// With data, which has to be something that JSON can say.
    #[must_use]
    pub fn with_data(code: i64, message: &str, data: &impl Serialize) -> Self {
        Self { code, message: message.into(), data: Some(raw(data)) }
    }
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Response {
    /// Of the request; `None` where it could not be read.
    pub id: Option<Id>,
    /// The result, an object; or why there is none.
    pub outcome: Result<Raw, RpcError>,
}

/// One of the three.
#[derive(Clone, Debug)]
pub enum Message {
    /// See [`Request`].
    Request(Request),
    /// See [`Notification`].
    Notification(Notification),
    /// See [`Response`].
    Response(Response),
}

/// Members of any message, as they came.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow)]
    jsonrpc: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<Box<str>>,
    #[serde(default)]
    params: Option<Raw>,
    #[serde(default)]
    result: Option<Raw>,
    #[serde(default)]
    error: Option<RpcError>,
}

/// A member that is there, be it `null`.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Members of any message, as they go.
#[derive(Serialize)]
struct Line<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Option<&'a Id>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RpcError>,
}

impl Message {
    /// Reads one message. `max_depth` counts arrays and objects inside of each other; members that
    /// JSON-RPC does not know are dropped.
    ///
    /// # Errors
    /// When it is no JSON, not strict, or no message.
    pub fn parse(bytes: &[u8], max_depth: u32) -> Result<Self, Malformed> {
        let text = check(bytes, max_depth)?;
        Self::of_checked(text)
    }

    /// Reads a message whose text was checked already, as an element of a batch is.
    ///
    /// # Errors
    /// When it is no message.
    pub fn of_checked(text: &str) -> Result<Self, Malformed> {
        let envelope: Envelope<'_> = serde_json::from_str(text)
            .map_err(|error| Malformed::NoMessage(error.to_string().into()))?;
        envelope.message()
    }

    /// As it goes, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let line = Line {
            jsonrpc: "2.0",
            id: None,
            method: None,
            params: None,
            result: None,
            error: None,
        };
        let line = match self {
            Self::Request(Request { id, method, params }) => {
                Line { id: Some(Some(id)), method: Some(method), params: params.as_deref(), ..line }
            }
            Self::Notification(Notification { method, params }) => {
                Line { method: Some(method), params: params.as_deref(), ..line }
            }
            Self::Response(Response { id, outcome }) => Line {
                id: Some(id.as_ref()),
                result: outcome.as_deref().ok(),
                error: outcome.as_ref().err(),
                ..line
            },
        };
        // Strings, integers and raw values only: nothing in it can fail.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

impl Envelope<'_> {
    fn message(self) -> Result<Message, Malformed> {
        let no = |what: &str| Err(Malformed::NoMessage(what.into()));
        if self.jsonrpc.as_deref() != Some("2.0") {
            return no("`jsonrpc` is not \"2.0\"");
        }
        let id = match self.id.map(RawValue::get) {
            None => None,
            Some("null") => Some(None),
            Some(text) => match serde_json::from_str::<Id>(text) {
                Ok(id) => Some(Some(id)),
                Err(_) => return no("`id` is neither a string nor an integer"),
            },
        };
        let is_object = |value: &Option<Raw>| {
            value.as_ref().is_none_or(|value| value.get().trim_start().starts_with('{'))
        };
        match (self.method, self.result, self.error) {
            (Some(method), None, None) => {
                if !is_object(&self.params) {
                    return no("`params` is no object");
                }
                let params = self.params;
                match id {
                    Some(Some(id)) => Ok(Message::Request(Request { id, method, params })),
                    Some(None) => no("`id` of a request is null"),
                    None => Ok(Message::Notification(Notification { method, params })),
                }
            }
            (None, Some(result), None) => match id {
                Some(Some(id)) => {
                    Ok(Message::Response(Response { id: Some(id), outcome: Ok(result) }))
                }
                _ => no("a result without an `id`"),
            },
            (None, None, Some(error)) => {
                Ok(Message::Response(Response { id: id.flatten(), outcome: Err(error) }))
            }
            (None, None, None) => no("neither `method`, `result` nor `error`"),
            _ => no("more than one of `method`, `result` and `error`"),
        }
    }
}

/// Fuzzes requests: what is parsed is written as JSON that parses to the same, and an edit of one
/// member leaves JSON that has it, and keeps the others.
///
/// # Panics
///
/// When it does not.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    let Ok(message) = Message::parse(data, 64) else { return };
    let text = message.to_json();
    let Ok(again) = Message::parse(text.as_bytes(), 64) else { panic!("{text}") };
    assert_eq!(again.to_json(), text);
    let Message::Request(Request { params: Some(params), .. }) = message else { return };
    let Some(before) = Members::of(&params) else { return };
    let edited = object(Some(&params), vec![("name", Some(raw(&"own")))]);
    assert_eq!(self::text(Some(&edited), "name").as_deref(), Some("own"));
    let Some(after) = Members::of(&edited) else { panic!("{edited}") };
    for (name, value) in before.iter().filter(|(name, _)| *name != "name") {
        assert_eq!(after.get(name).map(|it| it.get()), Some(value.get()));
    }
}

#[cfg(test)]
mod tests;
