//! What is known well enough for rules to be asked about it.

use std::sync::Arc;

use super::waiting::Waiting;
use super::{ServerId, evidence};
use crate::flow::At;
use crate::net::Direction;
use crate::observation::{Channel, Kind, Message, OauthDocument, RequestInfo, ResponseInfo};

/// How a request was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status of the exchange.
    pub status: Option<u16>,
    /// Result or error.
    pub kind: Option<Kind>,
    /// `error.code`.
    pub error_code: Option<i64>,
    /// The result says `isError`: the tool failed or refused.
    pub is_tool_error: bool,
}

/// Why a contact is worth a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The server took part in an exchange: once per exchange.
    Used,
    /// More is known of a contact that was reported before: nothing happened that was not
    /// counted then.
    Changed,
    /// The server refused, or is not there.
    Refused,
}

/// Something that rules can be asked about now.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// A message, with its answer if it has one.
    Message {
        /// Its server.
        server: ServerId,
        /// The exchange that carries it.
        request: Arc<RequestInfo>,
        /// Who sent it.
        direction: Direction,
        /// What carried it.
        channel: Channel,
        /// The message.
        message: Arc<Message>,
        /// How it was answered.
        reply: Option<Reply>,
        /// What it answers, if it is an answer and that was seen.
        asked: Option<Arc<Message>>,
        /// Header fields that disagree with the body.
        disagreements: Vec<&'static str>,
        /// Only one of two disagreeing overlap copies holds it.
        ambiguous: bool,
        /// The packet that completed it.
        at: At,
    },
    /// An exchange that shows MCP or a hint of it.
    Exchange {
        /// Its server.
        server: ServerId,
        /// The request.
        request: Arc<RequestInfo>,
        /// The response head.
        response: Option<Arc<ResponseInfo>>,
        /// The OAuth document that the response brought.
        document: Option<Arc<OauthDocument>>,
        /// The packet of the response head, of the end, or of the document.
        at: At,
    },
    /// The first event of an SSE response named a message endpoint.
    SseEndpoint {
        /// Its server.
        server: ServerId,
        /// The request for the stream.
        request: Arc<RequestInfo>,
        /// The response head.
        response: Option<Arc<ResponseInfo>>,
        /// The endpoint's path.
        path: String,
        /// The packet.
        at: At,
    },
    /// A client used a server, or tried to.
    Contact {
        /// The server.
        server: ServerId,
        /// The request of the exchange.
        request: Arc<RequestInfo>,
        /// Why it is reported.
        occasion: Occasion,
        /// The packet at which that was clear.
        at: At,
    },
}

impl Resolved {
    /// The server, the request of the exchange, and when it was clear.
    #[must_use]
    pub const fn about(&self) -> (ServerId, &Arc<RequestInfo>, At) {
        match self {
            Self::Message { server, request, at, .. }
            | Self::Exchange { server, request, at, .. }
            | Self::SseEndpoint { server, request, at, .. }
            | Self::Contact { server, request, at, .. } => (*server, request, *at),
        }
    }
}

/// A message as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) request: Arc<RequestInfo>,
    pub(super) direction: Direction,
    pub(super) channel: Channel,
    pub(super) message: Arc<Message>,
    pub(super) ambiguous: bool,
    pub(super) at: At,
}

impl Seen {
    pub(super) fn resolved(self, server: usize, reply: Option<Reply>) -> Resolved {
        self.into_resolved(server, reply, None)
    }

    /// An answer, and the request.
    pub(super) fn answering(self, server: usize, asked: Option<Arc<Message>>) -> Resolved {
        self.into_resolved(server, None, asked)
    }

    fn into_resolved(
        self,
        server: usize,
        reply: Option<Reply>,
        asked: Option<Arc<Message>>,
    ) -> Resolved {
        let disagreements = match self.direction {
            Direction::ToServer => evidence::disagreements(&self.request, &self.message),
            Direction::ToClient => Vec::new(),
        };
        Resolved::Message {
            server: ServerId(server),
            direction: self.direction,
            channel: self.channel,
            message: self.message,
            reply,
            asked,
            disagreements,
            ambiguous: self.ambiguous,
            at: self.at,
            request: self.request,
        }
    }
}

impl Waiting {
    /// It was not answered.
    pub(super) fn unanswered(self, server: usize) -> Resolved {
        let reply = self.status.map(Reply::of_status);
        self.seen.resolved(server, reply)
    }
}

impl Reply {
    /// The exchange had an answer, the message none.
    pub(super) const fn of_status(status: u16) -> Self {
        Self { status: Some(status), kind: None, error_code: None, is_tool_error: false }
    }
}
