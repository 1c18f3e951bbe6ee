//! What rules are evaluated on.

use std::sync::Arc;

use super::field::On;
use crate::mcp::inventory::Reply;
use crate::mcp::{Contact, Evidence};
use crate::net::Direction;
use crate::observation::{Channel, Message, RequestInfo, ResponseInfo};

/// A JSON-RPC message and what is known around it.
#[derive(Clone, Copy, Debug)]
pub struct MessageFacts<'a> {
    /// Who sent it.
    pub direction: Direction,
    /// What carried it.
    pub channel: Channel,
    /// The message.
    pub message: &'a Message,
    /// How it was answered, once that is known.
    pub reply: Option<Reply>,
    /// What header fields and body disagree on: `method`, `name`, `version`.
    pub disagreements: &'a [&'static str],
    /// Only one of two disagreeing overlap copies contains it.
    pub ambiguous: bool,
}

/// What a rule is evaluated on: borrowed facts, absent ones `None` or empty.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Which rules apply.
    pub on: On,
    /// Best evidence for the server; rules that demand more are skipped.
    pub evidence: Evidence,
    /// What the inventory knows of the client's use of the server.
    pub contact: Option<&'a Contact>,
    /// Methods that the client has sent to the server.
    pub methods: &'a [String],
    /// The request side of the exchange.
    pub request: Option<&'a RequestInfo>,
    /// The response head of the exchange.
    pub response: Option<&'a ResponseInfo>,
    /// Path of the message endpoint that the first SSE event of the response names.
    pub sse_endpoint: Option<&'a str>,
    /// The message.
    pub message: Option<MessageFacts<'a>>,
}

impl<'a> Subject<'a> {
    /// An HTTP exchange.
    #[must_use]
    pub const fn exchange(
        request: &'a RequestInfo,
        response: Option<&'a ResponseInfo>,
        evidence: Evidence,
    ) -> Self {
        Self { request: Some(request), response, ..Self::empty(On::Exchange, evidence) }
    }

    /// A JSON-RPC message.
    #[must_use]
    pub const fn message(
        request: &'a RequestInfo,
        message: MessageFacts<'a>,
        evidence: Evidence,
    ) -> Self {
        Self {
            request: Some(request),
            message: Some(message),
            ..Self::empty(On::Message, evidence)
        }
    }

    /// One client's use of one server.
    #[must_use]
    pub const fn server(contact: &'a Contact, methods: &'a [String]) -> Self {
        Self { contact: Some(contact), methods, ..Self::empty(On::Server, contact.evidence) }
    }

    /// The same, with what the inventory knows.
    #[must_use]
    pub const fn with_contact(mut self, contact: &'a Contact, methods: &'a [String]) -> Self {
        self.contact = Some(contact);
        self.methods = methods;
        self
    }

    /// The same, with the message endpoint that an SSE response named.
    #[must_use]
    pub const fn with_sse_endpoint(mut self, path: &'a str) -> Self {
        self.sse_endpoint = Some(path);
        self
    }

    const fn empty(on: On, evidence: Evidence) -> Self {
        Self {
            on,
            evidence,
            contact: None,
            methods: &[],
            request: None,
            response: None,
            sse_endpoint: None,
            message: None,
        }
    }
}

/// [`MessageFacts`], owned.
#[derive(Clone, Debug)]
pub struct OwnedMessage {
    /// Who sent it.
    pub direction: Direction,
    /// What carried it.
    pub channel: Channel,
    /// The message.
    pub message: Message,
    /// How it was answered, once that is known.
    pub reply: Option<Reply>,
    /// What header fields and body disagree on.
    pub disagreements: Vec<&'static str>,
    /// Only one of two disagreeing overlap copies contains it.
    pub ambiguous: bool,
}

/// [`Subject`], owned: what inline tests are recognised into.
#[derive(Clone, Debug)]
pub struct OwnedSubject {
    /// Which rules apply.
    pub on: On,
    /// Best evidence for the server.
    pub evidence: Evidence,
    /// What the inventory knows.
    pub contact: Option<Contact>,
    /// Methods that the client has sent to the server.
    pub methods: Vec<String>,
    /// The request side of the exchange.
    pub request: Option<Arc<RequestInfo>>,
    /// The response head of the exchange.
    pub response: Option<Arc<ResponseInfo>>,
    /// Path of the message endpoint that the first SSE event of the response names.
    pub sse_endpoint: Option<String>,
    /// The message.
    pub message: Option<OwnedMessage>,
}

impl OwnedSubject {
    /// Borrows it for evaluation.
    #[must_use]
    pub fn as_subject(&self) -> Subject<'_> {
        Subject {
            on: self.on,
            evidence: self.evidence,
            contact: self.contact.as_ref(),
            methods: &self.methods,
            request: self.request.as_deref(),
            response: self.response.as_deref(),
            sse_endpoint: self.sse_endpoint.as_deref(),
            message: self.message.as_ref().map(|facts| MessageFacts {
                direction: facts.direction,
                channel: facts.channel,
                message: &facts.message,
                reply: facts.reply,
                disagreements: &facts.disagreements,
                ambiguous: facts.ambiguous,
            }),
        }
    }
}
