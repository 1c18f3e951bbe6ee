//! What the answer to a POST is.

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::http::response::Parts;
use serde_json::value::RawValue;

use super::State;
use crate::portal::upstream::config::Server;
use crate::portal::upstream::pool::Incomplete;
use crate::portal::upstream::sse::Events;
use crate::portal::upstream::{Failure, failure};
use crate::portal::wire::{Malformed, Message, check, code, member};

/// Arrays and objects inside of each other.
pub(in crate::portal::upstream) const MAX_DEPTH: u32 = 100;
/// So much of an error's body is read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// An answer, or the beginning of it.
#[derive(Debug)]
pub(super) enum Answer {
    Whole(Vec<Message>),
    Stream(Box<Events>),
}

/// Why there is no answer; of all but failures, the request was surely not looked at.
#[derive(Debug)]
pub(in crate::portal::upstream) enum Fault {
    Failure(Failure),
    /// The session is over.
    NoSession(Box<str>),
    /// It speaks another revision or transport than it did.
    OtherEra(Box<str>),
    /// It refuses the revision, and names the same one among those that it takes.
    SameEra(Box<str>),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Fault {
    pub(in crate::portal::upstream) fn into_failure(self) -> Failure {
        match self {
            Self::Failure(failure) => failure,
            Self::NoSession(why) | Self::OtherEra(why) | Self::SameEra(why) => {
                Failure::SessionLost(why)
            }
        }
    }
}

/// Reads the head of an answer, and its body unless that is a stream.
pub(super) async fn read(
    server: &Server,
    state: Option<&State>,
    parts: &Parts,
    body: Incomplete,
) -> Result<Answer, Fault> {
    if !parts.status.is_success() {
        return refusal(state, parts.status, body).await;
    }
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("text/event-stream") {
        return Ok(Answer::Stream(Box::new(Events::new(body, server.max_message_bytes))));
    }
    let bytes = body.whole(server.max_response_bytes).await.map_err(failure)?;
    if bytes.is_empty() {
        // Never taken for a success: nothing was said.
        let why = format!("status {} and nothing else", parts.status.as_u16());
        return Err(Failure::Garbled(why.into()).into());
    }
    Ok(Answer::Whole(messages(&bytes)?))
}

/// One message, or a batch (MCP 2025-03-26).
pub(in crate::portal::upstream) fn messages(bytes: &[u8]) -> Result<Vec<Message>, Failure> {
    let garbled = |error: Malformed| Failure::Garbled(error.to_string().into());
    if bytes.trim_ascii_start().first() != Some(&b'[') {
        return Ok(vec![Message::parse(bytes, MAX_DEPTH).map_err(garbled)?]);
    }
    let text = check(bytes, MAX_DEPTH).map_err(garbled)?;
    let parts: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| Failure::Garbled(error.to_string().into()))?;
    if parts.is_empty() {
        return Err(Failure::Garbled("an empty batch".into()));
    }
    parts.into_iter().map(|part| Message::of_checked(part.get()).map_err(garbled)).collect()
}

async fn refusal(
    state: Option<&State>,
    status: StatusCode,
    body: Incomplete,
) -> Result<Answer, Fault> {
    let bytes = body.whole(MAX_ERROR_BYTES).await.unwrap_or_default();
    let text: Box<str> = String::from_utf8_lossy(&bytes).chars().take(300).collect();
    let error = match Message::parse(&bytes, MAX_DEPTH) {
        Ok(Message::Response(response)) if response.outcome.is_err() => Some(response),
        _ => None,
    };
    let code = error.as_ref().and_then(|response| Some(response.outcome.as_ref().err()?.code));
    if code == Some(code::UNSUPPORTED_VERSION) {
        let outcome = error.and_then(|response| response.outcome.err());
        let data = outcome.and_then(|error| error.data);
        let supported: Option<Vec<String>> = member(data.as_deref(), "supported");
        let takes_ours = state.is_some_and(|state| {
            let own = state.about.revision.as_str();
            supported.iter().flatten().any(|revision| revision == own)
        });
        return Err(if takes_ours { Fault::SameEra(text) } else { Fault::OtherEra(text) });
    }
    let has_session = state.is_some_and(|state| state.session.is_some());
    let of_session = status == 400 && text.to_ascii_lowercase().contains("session");
    if has_session && (status == 404 || of_session) {
        return Err(Fault::NoSession(text));
    }
    match error {
        Some(response) if status.is_client_error() && state.is_some() => {
            let is_legacy_said =
                state.is_some_and(State::is_modern) && status != 404 && code == Some(-32_000);
            if is_legacy_said {
                return Err(Fault::OtherEra(text));
            }
            Ok(Answer::Whole(vec![Message::Response(response)]))
        }
        _ if state.is_some_and(State::is_modern)
            && matches!(status.as_u16(), 400 | 404 | 405 | 406 | 415) =>
        {
            Err(Fault::OtherEra(text))
        }
        _ => Err(Failure::Status(status.as_u16(), text).into()),
    }
}
