//! What the hub wants of the other parts of the portal, as small as it goes.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde_json::value::RawValue;

use crate::mcp::methods::Revision;
use crate::portal::audit::Trace;
use crate::portal::guard::{Found, Part};
use crate::portal::policy::Hints;
use crate::portal::principal::Principal;
use crate::portal::upstream::{ClientSide, Failure, Peer, Ticket};
use crate::portal::wire::{Raw, Response, RpcError, code};
use crate::portal::{Answer, Task};

/// What a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `tools/…`
    Tool,
    /// `prompts/…`
    Prompt,
    /// `resources/…`; its name is its URI.
    Resource,
    /// `resources/templates/list`; its name is its URI template.
    Template,
    /// Any other method of a server; its name is that of the method.
    Method,
}

impl Kind {
    /// As in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Template => "template",
            Self::Method => "method",
        }
    }
}

/// Who and what a call is; what all parts decide on.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub principal: Arc<Principal>,
    /// The client, not verified.
    pub client: Arc<ClientSide>,
    /// Where it comes from.
    pub from: Arc<Origin>,
    /// Of the client's session, as it may be logged; `None` for clients without sessions.
    pub session: Option<Arc<str>>,
    /// Spoken with the client.
    pub revision: Revision,
    /// Id of the server.
    pub server: Arc<str>,
    /// What is called.
    pub kind: Kind,
    /// Of the request.
    pub method: Box<str>,
    /// The server's own name for it.
    pub name: Box<str>,
    /// The name that the client knows.
    pub public: Box<str>,
    /// Of the list that it is on; `None` if it is on none.
    pub mark: Option<Mark>,
    /// `params`, as the client sent them.
    pub params: Option<Raw>,
    /// `params.arguments`, as the client sent them.
    pub arguments: Option<Raw>,
    /// `Mcp-Param-*` headers, decoded.
    pub param_headers: Vec<(Box<str>, Box<str>)>,
    /// Bytes of the request's body.
    pub request_bytes: usize,
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// `User-Agent`.
    pub user_agent: Option<Box<str>>,
    /// `traceparent` (W3C Trace Context), for calls whose `_meta` has none.
    pub traceparent: Option<Box<str>>,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// Why something is not done, as much as the client is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In a word: `policy`, `tool-rate`, `aws-access-key`.
    pub kind: Arc<str>,
    /// In words: "refused by policy".
    pub message: Arc<str>,
    /// Of the policy or rule, to be quoted to whoever is asked about it.
    pub id: Option<Arc<str>>,
    /// Where to ask.
    pub contact: Option<Arc<str>>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The same answer as for a name that is not there.
    pub is_hidden: bool,
}

impl Refusal {
    /// With a kind and words only.
    #[must_use]
    pub fn new(kind: &str, message: &str) -> Self {
        Self {
            kind: kind.into(),
            message: message.into(),
            id: None,
            contact: None,
            retry_after: None,
            is_hidden: false,
        }
    }

    /// As the client is told.
    #[must_use]
    pub fn to_error(&self) -> RpcError {
        let retry_after_ms =
            self.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        let mut data = serde_json::Map::new();
        data.insert("kind".to_owned(), (&*self.kind).into());
        let texts = [("id", &self.id), ("contact", &self.contact)];
        for (name, text) in
            texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)))
        {
            data.insert(name.to_owned(), (&**text).into());
        }
        if let Some(after) = retry_after_ms {
            data.insert("retryAfterMs".to_owned(), after.into());
        }
        RpcError::with_data(code::REFUSED, &self.message, &data)
    }
}

/// Identity: headers and certificates into principals.
pub trait Gate: Send + Sync + fmt::Debug {
    /// Who sends this request; or the answer that it gets instead (401, 403).
    fn authenticate<'a>(
        &'a self,
        head: &'a hyper::http::request::Parts,
        certificates: Option<&'a [CertificateDer<'static>]>,
    ) -> Task<'a, Result<Arc<Principal>, Box<Answer>>>;
}

/// What policy and pins make of a thing when its list comes. It is shown to them again with each
/// use of the thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Canonical digest of the definition, where such things are pinned.
    pub digest: Option<Arc<str>>,
    /// What the server says of its effects.
    pub hints: Hints,
}

/// One thing of a list that a server gave.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// The server's own name for it.
    pub name: &'a str,
    /// What was made of it.
    pub mark: &'a Mark,
}

/// Said of a call that may go on.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Policy that allowed it.
    pub policy: Option<Arc<str>>,
    /// Who released it, where it was held.
    pub approver: Option<Arc<str>>,
    /// Risk tier.
    pub tier: Option<Arc<str>>,
    /// State of the pin: "approved", "new", "changed".
    pub pin: Option<&'static str>,
    /// Digest of what is pinned.
    pub digest: Option<Arc<str>>,
}

/// What policy, pins and holds say of a call.
pub enum Ruling<'a> {
    /// It goes on.
    Allow(Allowed),
    /// It does not.
    Deny(Refusal),
    /// It waits for somebody's approval.
    Hold(Task<'a, Result<Allowed, Refusal>>),
}

impl fmt::Debug for Ruling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow(allowed) => f.debug_tuple("Allow").field(allowed).finish(),
            Self::Deny(refusal) => f.debug_tuple("Deny").field(refusal).finish(),
            Self::Hold(_) => f.write_str("Hold(…)"),
        }
    }
}

/// Policy, pins and holds.
pub trait Rulings: Send + Sync + fmt::Debug {
    /// Whether this server is there at all for somebody.
    fn sees(&self, principal: &Principal, server: &str) -> bool;

    /// Takes in the whole list of a server, as it came: what is made of each, in their order.
    fn fetched(&self, server: &str, kind: Kind, items: &[&RawValue]) -> Vec<Mark>;

    /// Which of a server's whole list somebody may see; as many as `items`, in their order.
    fn list(
        &self,
        principal: &Principal,
        server: &Arc<str>,
        kind: Kind,
        items: &[Listed<'_>],
    ) -> Vec<bool>;

    /// Whether a call may be made.
    fn call<'a>(&'a self, call: &'a Call) -> Ruling<'a>;
}

/// What inspection does to a message.
#[derive(Clone, Debug, Default)]
pub enum Verdict {
    /// Nothing.
    #[default]
    Pass,
    /// Goes on with this in the place of its parameters, its result or its error's data.
    Changed(Raw),
    /// Does not go on.
    Blocked(Refusal),
}

/// What inspection says of a message.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// What becomes of it.
    pub verdict: Verdict,
    /// The `Mcp-Param-*` headers to be sent, where one had to be edited.
    pub param_headers: Option<Vec<(Box<str>, Box<str>)>>,
    /// For the record.
    pub found: Vec<Found>,
    /// Ids of rules that refused it, or took something out of it.
    pub rules: Vec<Box<str>>,
}

/// Guard: data-loss prevention and rules.
pub trait Inspect: Send + Sync + fmt::Debug {
    /// Of the request, with its arguments and headers.
    fn request(&self, call: &Call) -> Inspected;

    /// Of all that belongs to it and comes later.
    fn heard(&self, call: &Call, part: Part<'_>) -> Inspected;
}

/// Held until a call has ended.
pub type Permit = Box<dyn Any + Send + Sync>;

/// Limits: rates and concurrency.
pub trait Throttle: Send + Sync + fmt::Debug {
    /// Lets a call in, or not.
    ///
    /// # Errors
    /// When there were too many.
    fn admit(
        &self,
        principal: &Principal,
        server: &Arc<str>,
        name: &str,
    ) -> Result<Permit, Refusal>;
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A result; `true` if it says of itself that it is an error.
    Result(bool),
    /// Input is asked for first (MCP 2026-07-28, "Multi Round-Trip Requests").
    InputRequired,
    /// An error of the server.
    Error(i64),
    /// Not let through.
    Refused(Refusal),
    /// The server did not do it.
    Failed(Box<str>),
    /// The client did not want it any more.
    Cancelled,
}

/// One call, for the record.
#[derive(Debug)]
pub struct Entry {
    /// Who and what.
    pub call: Arc<Call>,
    /// What policy said.
    pub allowed: Allowed,
    /// What inspection found, both ways.
    pub found: Vec<Found>,
    /// Ids of rules that refused it, or took something out of its answer.
    pub rules: Vec<Box<str>>,
    /// Of the request, as JSON.
    pub id: Box<str>,
    /// Revision that the server speaks, where it was reached.
    pub server_revision: Option<Revision>,
    /// Where it stands in a trace.
    pub trace: Option<Trace>,
    /// How it ended.
    pub ending: Ending,
    /// From the request to its end.
    pub total: Duration,
    /// From when it was sent to the server until that had answered; `None` if it was not sent.
    pub upstream: Option<Duration>,
    /// Until the server's first sign.
    pub first_byte: Option<Duration>,
    /// Bytes of the result.
    pub response_bytes: usize,
}

/// Audit.
pub trait Record: Send + Sync + fmt::Debug {
    /// Whether calls can be recorded now.
    ///
    /// # Errors
    /// When they cannot, and calls are to be refused then.
    fn ready(&self) -> Result<(), Refusal>;

    /// Where a call stands in a trace: the one that it names, or one that begins here. The parameters
    /// that go on to the server name the portal's own span then, if spans are sent anywhere.
    fn trace(&self, call: &Call) -> Option<(Trace, Option<Raw>)>;

    /// Takes a call in.
    fn record(&self, entry: Entry);
}

/// Servers.
pub trait Peers: Send + Sync + fmt::Debug {
    /// The conversation with a server for somebody. `conversation`: id of the client's session,
    /// where the server is to have a session of its own for that.
    fn peer<'a>(
        &'a self,
        principal: &'a Arc<Principal>,
        server: &'a Arc<str>,
        client: &'a Arc<ClientSide>,
        conversation: Option<&'a str>,
        ticket: Option<&'a Ticket>,
    ) -> Task<'a, Result<Arc<dyn Peer>, Failure>>;

    /// Canonical URI of a server (RFC 8707), or its command line.
    fn resource(&self, server: &str) -> Arc<str>;
}

/// Pages of other parts: metadata, consent, approvals.
pub trait Pages: Send + Sync + fmt::Debug {
    /// The answer to a request, if it is theirs; asked before identity is.
    fn handle<'a>(
        &'a self,
        head: &'a hyper::http::request::Parts,
        body: bytes::Bytes,
        principal: Option<&'a Arc<Principal>>,
    ) -> Task<'a, Option<Answer>>;

    /// Whether a path is theirs.
    fn is_theirs(&self, path: &str) -> bool;
}

/// Lines for `/metrics` of other parts, in the Prometheus text format.
pub trait Metered: Send + Sync + fmt::Debug {
    /// Adds them.
    fn metrics(&self, to: &mut String);
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Identity.
    pub gate: Arc<dyn Gate>,
    /// Policy, pins, holds.
    pub rulings: Arc<dyn Rulings>,
    /// Guard.
    pub inspect: Arc<dyn Inspect>,
    /// Limits.
    pub throttle: Arc<dyn Throttle>,
    /// Audit.
    pub record: Arc<dyn Record>,
    /// Upstream.
    pub peers: Arc<dyn Peers>,
    /// Pages.
    pub pages: Vec<Arc<dyn Pages>>,
    /// Metrics.
    pub metered: Vec<Arc<dyn Metered>>,
}

/// An error as a response.
pub(super) fn failed(id: &crate::portal::wire::Id, error: RpcError) -> Response {
    Response { id: Some(id.clone()), outcome: Err(error) }
}
