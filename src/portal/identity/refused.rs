//! Why somebody is not let in, as clients are told (RFC 6750 section 3; RFC 9728 section 5.1; MCP
//! authorization, "Error Handling").

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use super::token::Wrong;
use crate::portal::{Answer, Body};

/// The kinds of refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// Nothing was shown.
    Nothing,
    /// A token in the query.
    InQuery,
    /// More than one `Authorization`, or asserted header.
    Twice,
    /// `Authorization` of another scheme, or no token in it.
    Unreadable,
    /// A token that does not hold.
    Token(Wrong),
    /// A good token that lacks some of these scopes.
    Scope(Arc<[Arc<str>]>),
    /// A certificate of nobody who is known.
    Certificate,
}

/// Somebody is not let in.
#[derive(Clone, Debug)]
pub struct Refused {
    why: Why,
    /// Where the metadata of RFC 9728 is.
    metadata: Arc<str>,
    /// What clients are told to ask for.
    scopes: Arc<[Arc<str>]>,
}

impl Refused {
    pub(super) fn new(why: Why, metadata: &Arc<str>, scopes: &Arc<[Arc<str>]>) -> Self {
        Self { why, metadata: Arc::clone(metadata), scopes: Arc::clone(scopes) }
    }

    /// Why.
    #[must_use]
    pub const fn why(&self) -> &Why {
        &self.why
    }

    /// The kind, as in records.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.why {
            Why::Nothing => "no-credentials",
            Why::InQuery => "token-in-query",
            Why::Twice => "credentials-twice",
            Why::Unreadable => "credentials-unreadable",
            Why::Token(wrong) => wrong.as_str(),
            Why::Scope(_) => "scope-missing",
            Why::Certificate => "certificate-unknown",
        }
    }

    /// Of the answer: 400 for what is no request, 401 for who could ask again with something
    /// better, 403 for who has to be allowed more, and 503 where nobody can tell.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.why {
            Why::InQuery | Why::Twice => StatusCode::BAD_REQUEST,
            Why::Nothing | Why::Unreadable => StatusCode::UNAUTHORIZED,
            Why::Token(Wrong::KeysDown) => StatusCode::SERVICE_UNAVAILABLE,
            Why::Token(_) => StatusCode::UNAUTHORIZED,
            Why::Scope(_) | Why::Certificate => StatusCode::FORBIDDEN,
        }
    }

    /// `WWW-Authenticate`. What is wrong with a token is told by its kind alone.
    #[must_use]
    pub fn challenge(&self) -> String {
        let mut out = format!("Bearer resource_metadata=\"{}\"", self.metadata);
        let (error, text) = match &self.why {
            // RFC 6750 section 3.1: no error for who has shown nothing.
            Why::Nothing => (None, ""),
            Why::InQuery => (Some("invalid_request"), "a token in the query is not taken"),
            Why::Twice => (Some("invalid_request"), "more than one token"),
            Why::Unreadable => (Some("invalid_request"), "no bearer token"),
            Why::Token(Wrong::Expired) => (Some("invalid_token"), "the token has expired"),
            Why::Token(Wrong::Audience) => (Some("invalid_token"), "the token is for another"),
            Why::Token(_) => (Some("invalid_token"), "the token is not taken"),
            Why::Scope(_) => (Some("insufficient_scope"), "the token needs more scopes"),
            Why::Certificate => (Some("access_denied"), "the certificate is not known"),
        };
        if let Some(error) = error {
            out.push_str(&format!(", error=\"{error}\", error_description=\"{text}\""));
        }
        let scopes = if let Why::Scope(scopes) = &self.why { scopes } else { &self.scopes };
        if !scopes.is_empty() {
            out.push_str(&format!(", scope=\"{}\"", scopes.join(" ")));
        }
        out
    }

    /// The answer.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let text = format!("{{\"error\":\"{}\"}}", self.kind());
        let mut answer = Answer::new(body(text));
        *answer.status_mut() = self.status();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
        } else if let Ok(challenge) = HeaderValue::from_str(&self.challenge()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

/// A body that is there at once.
pub(in crate::portal) fn body(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}
