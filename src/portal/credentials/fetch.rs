//! What identity and credentials need of the web: one request, one bounded answer.

use std::fmt;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::form;
use crate::portal::outbound::Guarded;
use crate::portal::principal::Secret;
use crate::portal::{Task, wire};

/// Arrays and objects inside of each other in documents of authorization servers.
const MAX_DEPTH: u32 = 32;

/// Kind of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// One request.
#[derive(Clone)]
pub struct Ask {
    /// GET or POST.
    pub method: Method,
    /// Absolute.
    pub url: String,
    /// May hold secrets: not printed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// May hold secrets: not printed.
    pub body: Bytes,
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method, self.url, self.body.len())
    }
}

/// Its answer, whatever the status.
#[derive(Clone)]
pub struct Reply {
    /// As it came.
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
    /// Whole; bounded by who fetches.
    pub body: Bytes,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

/// Sends requests to addresses that others name. Who implements it checks where they lead (no
/// private addresses unless allowed, the name resolved once), follows no redirect, and bounds time
/// and size.
pub trait Fetch: Send + Sync + fmt::Debug {
    /// The answer, or why there is none.
    fn send(&self, ask: Ask) -> Task<'_, Result<Reply, String>>;
}

/// Why a document could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No answer.
    NoAnswer(String),
    /// Another status than 200.
    Status(u16),
    /// Not strict JSON, or not of the form wanted.
    Garbled(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(why) => write!(f, "no answer: {why}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Garbled(why) => write!(f, "not the document that it should be: {why}"),
        }
    }
}

/// A JSON document.
///
/// # Errors
/// When it is not there, or is none.
pub async fn get_json<T: DeserializeOwned>(fetch: &dyn Fetch, url: &str) -> Result<T, Trouble> {
    let headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
    let ask = Ask { method: Method::GET, url: url.to_owned(), headers, body: Bytes::new() };
    let reply = fetch.send(ask).await.map_err(Trouble::NoAnswer)?;
    if reply.status != StatusCode::OK {
        return Err(Trouble::Status(reply.status.as_u16()));
    }
    json(&reply.body)
}

/// Strict JSON of some form.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    let text = wire::check(body, MAX_DEPTH).map_err(|error| Trouble::Garbled(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| Trouble::Garbled(error.to_string()))
}

/// Posts a form, with an `Authorization` where one is given.
///
/// # Errors
/// When no answer comes.
pub async fn post_form(
    fetch: &dyn Fetch,
    url: &str,
    authorization: Option<HeaderValue>,
    fields: &[(&str, &str)],
) -> Result<Reply, Trouble> {
    let mut headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static(FORM)),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ];
    headers.extend(authorization.map(|value| (hyper::header::AUTHORIZATION, value)));
    let body = Bytes::from(form::encode(fields));
    let ask = Ask { method: Method::POST, url: url.to_owned(), headers, body };
    fetch.send(ask).await.map_err(Trouble::NoAnswer)
}

/// Posts JSON.
///
/// # Errors
/// When no answer comes.
pub async fn post_json(
    fetch: &dyn Fetch,
    url: &str,
    body: &impl serde::Serialize,
) -> Result<Reply, Trouble> {
    let headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ACCEPT, HeaderValue::from_static("application/json")),
    ];
    let body = serde_json::to_vec(body).map_err(|error| Trouble::Garbled(error.to_string()))?;
    let ask = Ask { method: Method::POST, url: url.to_owned(), headers, body: body.into() };
    fetch.send(ask).await.map_err(Trouble::NoAnswer)
}

/// The guarded client of the portal: addresses are checked and names resolved once.
impl Fetch for Guarded {
    fn send(&self, ask: Ask) -> Task<'_, Result<Reply, String>> {
        Box::pin(async move {
            let secrets = |(name, value): &(HeaderName, HeaderValue)| {
                Some((name.clone(), Secret::new(value.to_str().ok()?)))
            };
            let is_own = |name: &HeaderName| *name == ACCEPT || *name == CONTENT_TYPE;
            let others = ask.headers.iter().filter(|(name, _)| !is_own(name));
            let headers: Vec<_> = others.filter_map(secrets).collect();
            let is_json = ask.headers.iter().any(|(_, value)| value == "application/json")
                && !ask.headers.iter().any(|(_, value)| value == FORM);
            let text = || String::from_utf8_lossy(&ask.body).into_owned();
            let reply = if ask.method == Method::GET {
                self.get_json(&ask.url, &headers).await
            } else if is_json {
                self.post_json(&ask.url, text(), &headers).await
            } else {
                let fields = form::fields(&text());
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| (&**name, &**value)).collect();
                self.post_form(&ask.url, &fields, &headers).await
            };
            let reply = reply.map_err(|trouble| trouble.to_string())?;
            let status = StatusCode::from_u16(reply.status).map_err(|error| error.to_string())?;
            Ok(Reply { status, headers: reply.headers, body: reply.body })
        })
    }
}
