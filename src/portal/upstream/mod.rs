//! Servers behind the portal: one [`Peer`] for each conversation, whatever revision and transport
//! the server speaks.

pub mod config;
pub mod counters;
mod envelope;
mod http;
mod mux;
mod muxed;
mod old;
mod pool;
mod site;
mod sse;
mod stdio;
mod upstreams;

pub use config::{Problem, Server, Spec};
pub use counters::{Counters, Counts, Health, KINDS};
pub use site::Told;
pub use upstreams::Upstreams;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Task;
use super::outbound::Trouble;
use super::principal::{Principal, Scope, Secret};
use super::wire::{Notification, Raw, Request, Response, RpcError};
use crate::mcp::methods::Revision;

/// What a server said of itself, by `initialize` or `server/discover`.
#[derive(Clone, Debug)]
pub struct About {
    /// Spoken with it.
    pub revision: Revision,
    /// `serverInfo`, as it came.
    pub info: Option<Raw>,
    /// `capabilities`, as they came.
    pub capabilities: Option<Raw>,
    /// `instructions`.
    pub instructions: Option<Box<str>>,
}

/// The client that a conversation is for.
#[derive(Clone, Debug)]
pub struct ClientSide {
    /// `clientInfo`, as it came; not verified.
    pub info: Option<Raw>,
    /// `capabilities` that it declared.
    pub capabilities: Raw,
}

/// A request on its way to a server.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// With the server's own names, and an id that the portal chose: unique in the conversation.
    pub request: Request,
    /// Who it is for, where the server is told by each request (MCP 2026-07-28).
    pub client: Arc<ClientSide>,
    /// `Mcp-Param-*` headers, decoded: forwarded as they came unless the body changed.
    pub param_headers: Vec<(Box<str>, Box<str>)>,
    /// Nothing for so long, not even a progress notification, and the call is given up.
    pub idle: Duration,
    /// And after so long in any case.
    pub total: Duration,
    /// Its client has nothing but the call to be asked by: what a session's server asks beside it,
    /// by the GET stream, is heard with it.
    pub hears_beside: bool,
}

/// What is heard while a request is under way.
#[derive(Clone, Debug)]
pub enum Heard {
    /// About the request, or about nothing in particular.
    Notification(Notification),
    /// The server wants something of the client (revisions before 2026-07-28).
    Request(Request),
    /// The last that is heard; its id is that of the request.
    Response(Response),
    /// Nothing more will be heard.
    Failed(Failure),
}

/// The answer to a request, or the stream that it comes by. Dropped before its end, the request is
/// cancelled as the revision has it.
#[derive(Debug)]
pub enum Conversation {
    /// At once.
    Answer(Response),
    /// Bounded: a server that is faster than its client waits.
    Stream(mpsc::Receiver<Heard>),
}

/// Why an upstream did not do it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Not connected, name not found, TLS: nothing was sent.
    Unreachable(Box<str>),
    /// It may have been done: the connection broke, or the child died, behind the request.
    Broken(Box<str>),
    /// It took too long; the request was cancelled.
    TimedOut(Duration),
    /// What came is no HTTP, no SSE, no message, too large, or of a length that does not hold.
    Garbled(Box<str>),
    /// An HTTP status that is no answer, with what the body said (not for clients).
    Status(u16, Box<str>),
    /// 401 or 403: the credential is not (or no longer) good.
    Refused(u16, Box<str>),
    /// The person has to agree first, there.
    NeedsConsent(Box<str>),
    /// Its session is over, and a new one could not be had, or the request must not be sent twice.
    SessionLost(Box<str>),
    /// As many as may be are under way.
    Busy,
}

impl Failure {
    /// Whether surely nothing was done: the request may be sent again whatever it does.
    #[must_use]
    pub const fn is_before(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Refused(..) | Self::NeedsConsent(_) | Self::Busy
        )
    }
}

/// What trouble on the way to a server means for a call.
fn failure(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Forbidden(_) | Trouble::Unreachable(_) | Trouble::TimedOut(_) => {
            Failure::Unreachable(trouble.to_string().into())
        }
        Trouble::Broken(why) => Failure::Broken(why),
        Trouble::TooLarge(_) => Failure::Garbled(trouble.to_string().into()),
        Trouble::Garbled(why) => Failure::Garbled(why),
    }
}

/// One conversation with a server, for one scope. Cheap to keep while it is idle.
pub trait Peer: Send + Sync + fmt::Debug {
    /// What it said of itself.
    fn about(&self) -> Arc<About>;

    /// Sends a request. A session that has ended is begun anew once; the request goes again only if
    /// the server cannot have done it, or `is_idempotent` says that it may be done twice.
    fn call(&self, call: Outgoing, is_idempotent: bool) -> Task<'_, Result<Conversation, Failure>>;

    /// Sends a notification.
    fn tell(&self, notification: Notification) -> Task<'_, Result<(), Failure>>;

    /// Answers a request of the server.
    fn reply(&self, response: Response) -> Task<'_, Result<(), Failure>>;

    /// What the server says unasked: by the GET stream, `subscriptions/listen` with these
    /// parameters (MCP 2026-07-28), or a child's standard output. `Ok(None)` where it has none.
    fn listen(
        &self,
        params: Option<Raw>,
    ) -> Task<'_, Result<Option<mpsc::Receiver<Heard>>, Failure>>;

    /// What another replica needs to go on with this conversation; `None` if it cannot.
    fn ticket(&self) -> Option<Ticket>;

    /// Ends the session at the server, or the child.
    fn close(&self) -> Task<'_, ()>;
}

/// A conversation, to be gone on with elsewhere. Goes into sealed session tokens: small.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ticket {
    /// Spoken with it.
    pub revision: String,
    /// `Mcp-Session-Id` of the server, if it has sessions.
    pub session: Option<String>,
}

/// Headers that prove to a server who calls; a new set may be had after a refusal.
pub trait Credentials: Send + Sync + fmt::Debug {
    /// For this principal at this server. `refused`: what was given before is not good any more,
    /// with the `WWW-Authenticate` of the refusal.
    fn headers<'a>(
        &'a self,
        principal: &'a Principal,
        scope: &'a Scope,
        refused: Option<&'a str>,
    ) -> Task<'a, Result<Vec<(hyper::header::HeaderName, Secret)>, Failure>>;
}

/// An error for a client that tells the kind of trouble and nothing of the upstream's inside.
#[must_use]
pub fn told(failure: &Failure, server: &str) -> RpcError {
    use super::wire::code::INTERNAL;
    let text = match failure {
        Failure::Unreachable(_) => format!("{server} cannot be reached; the call was not sent"),
        Failure::Broken(_) => {
            format!("{server} broke off; whether the call was carried out is not known")
        }
        Failure::TimedOut(after) => {
            format!("{server} did not answer within {} s; the call was cancelled", after.as_secs())
        }
        Failure::Garbled(_) => format!("{server} sent something that is no answer"),
        Failure::Status(status, _) => format!("{server} answered with status {status}"),
        Failure::Refused(..) => format!("{server} refused the portal's credentials"),
        Failure::NeedsConsent(url) => format!("{server} needs your consent first: {url}"),
        Failure::SessionLost(_) => {
            format!("{server} ended its session; whether the call was carried out is not known")
        }
        Failure::Busy => format!("{server} has as many calls as it may have; try again"),
    };
    RpcError::new(INTERNAL, &text)
}

#[cfg(test)]
mod tests;
