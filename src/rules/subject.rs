//! What rules are evaluated on.

use std::sync::Arc;

use super::content::Content;
use super::field::On;
use crate::exchange::{DnsMessage, TlsAnswer, TlsHello, Visibility};
use crate::mcp::inventory::Reply;
use crate::mcp::{Contact, Evidence};
use crate::net::{Direction, Endpoint};
use crate::observation::{Channel, Message, OauthDocument, RequestInfo, ResponseInfo};

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
    /// What it answers, if it is an answer and that was seen.
    pub asked: Option<&'a Message>,
    /// A server asks for what the client declared no capability for; `None` when that is not
    /// known.
    pub undeclared: Option<bool>,
    /// What header fields and body disagree on: `method`, `name`, `version`.
    pub disagreements: &'a [&'static str],
    /// Only one of two disagreeing overlap copies contains it.
    pub ambiguous: bool,
}

/// Where the host of an encrypted flow is known from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostFrom {
    /// The ClientHello names it.
    #[default]
    Sni,
    /// The `CONNECT` tunnel leads there.
    Tunnel,
    /// DNS gave it as a name of the address.
    Dns,
}

impl HostFrom {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sni => "sni",
            Self::Tunnel => "tunnel",
            Self::Dns => "dns",
        }
    }
}

/// What the catalog and the approvals say of a host of which only the name was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `scheme://host:port`, or `dns:host` where a look-up is all there is: what findings are
    /// told apart by.
    pub key: String,
    /// The host; for a hidden one, the hidden one.
    pub host: Option<Arc<str>>,
    /// Vendor on the catalog of public MCP services.
    pub vendor: Option<Arc<str>>,
    /// A label of the host says MCP by convention.
    pub named_for_mcp: bool,
    /// An approval that holds for this client covers host and port.
    pub approved: bool,
}

/// A flow in TLS or QUIC whose content is not seen: the subject of rules `on: tls`.
#[derive(Clone, Debug)]
pub struct Encrypted {
    /// Client.
    pub client: Endpoint,
    /// Server; a proxy's, for a flow in a `CONNECT` tunnel.
    pub server: Endpoint,
    /// Port of the server itself.
    pub port: u16,
    /// Authority of the `CONNECT` tunnel.
    pub tunnel: Option<String>,
    /// The ClientHello.
    pub hello: Option<Arc<TlsHello>>,
    /// What the server answered.
    pub answer: Option<Arc<TlsAnswer>>,
    /// Host: of the SNI, the tunnel, or DNS.
    pub host: Option<Arc<str>>,
    /// Which of them.
    pub host_from: HostFrom,
    /// See the field `tls.hidden_host`.
    pub hidden_host: Option<Arc<str>>,
    /// Names that DNS gave for the server's address, newest first.
    pub dns_names: Vec<Arc<str>>,
    /// What is known of the host.
    pub standing: Standing,
}

/// A DNS message: the subject of rules `on: dns`.
#[derive(Clone, Debug)]
pub struct LookUp {
    /// Who asked.
    pub client: Endpoint,
    /// Who was asked.
    pub server: Endpoint,
    /// The message.
    pub message: DnsMessage,
    /// What is known of the host asked for.
    pub standing: Standing,
}

/// A definition that a server listed (or its instructions), and how it came about: the subject of
/// rules `on: tool`. For a call, what is remembered of the tool that is called.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    /// `tool`, `prompt`, `resource`, `resource_template` or `instructions`.
    pub kind: &'static str,
    /// Name or URI.
    pub name: String,
    /// The definition, JSON text.
    pub json: String,
    /// `description`.
    pub description: Option<String>,
    /// Name, and the names of the arguments.
    pub identifiers: Vec<String>,
    /// `annotations.readOnlyHint`.
    pub read_only: Option<bool>,
    /// `annotations.destructiveHint`.
    pub destructive: Option<bool>,
    /// How it differs from what the server listed before; see `memory::ChangeKind`.
    pub change: &'static str,
    /// What of it changed.
    pub changed_parts: Vec<&'static str>,
    /// Text that was not in it before.
    pub added_text: Vec<String>,
    /// How long the definition before had stood, in seconds.
    pub stood_seconds: Option<i64>,
    /// Another client was given a different definition at the same time.
    pub divergent: bool,
    /// Keys of other servers that this client uses with an equal or confusable tool.
    pub shadows: Vec<String>,
    /// The approval pins the tools, and this list is not what it pins.
    pub breaks_pin: Option<bool>,
    /// The client calls it for the first time.
    pub first_use: Option<bool>,
}

/// Text or a secret that one server gave and another was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Key of the server that it came from.
    pub from: String,
    /// `secret`, `personal` or `text`.
    pub kind: &'static str,
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
    /// The OAuth document that the response brought.
    pub document: Option<&'a OauthDocument>,
    /// The message.
    pub message: Option<MessageFacts<'a>>,
    /// The encrypted flow.
    pub tls: Option<&'a Encrypted>,
    /// The DNS message.
    pub dns: Option<&'a LookUp>,
    /// The definition, or the tool that the message calls.
    pub tool: Option<&'a Tool>,
    /// What other servers gave that the message hands on.
    pub copied: &'a [Copied],
    /// What is made of its texts; without it they cannot be read.
    pub content: Option<&'a Content>,
}

impl<'a> Subject<'a> {
    /// A log told of it, which need not show all that there was.
    #[must_use]
    pub fn is_told_in_part(&self) -> bool {
        self.request.is_some_and(|request| request.visibility == Visibility::Log)
    }

    /// An encrypted flow.
    #[must_use]
    pub const fn tls(tls: &'a Encrypted) -> Self {
        Self { tls: Some(tls), ..Self::empty(On::Tls, Evidence::Hint) }
    }

    /// A DNS message.
    #[must_use]
    pub const fn dns(dns: &'a LookUp) -> Self {
        Self { dns: Some(dns), ..Self::empty(On::Dns, Evidence::Hint) }
    }

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

    /// A definition that a server listed.
    #[must_use]
    pub const fn tool(
        request: &'a RequestInfo,
        tool: &'a Tool,
        content: &'a Content,
        evidence: Evidence,
    ) -> Self {
        Self {
            request: Some(request),
            tool: Some(tool),
            content: Some(content),
            ..Self::empty(On::Tool, evidence)
        }
    }

    /// The same, with what is made of its texts.
    #[must_use]
    pub const fn with_content(mut self, content: &'a Content) -> Self {
        self.content = Some(content);
        self
    }

    /// The same, with the tool that the message calls, and what it hands on.
    #[must_use]
    pub const fn with_call(mut self, tool: Option<&'a Tool>, copied: &'a [Copied]) -> Self {
        self.tool = tool;
        self.copied = copied;
        self
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

    /// The same, with the OAuth document that the response brought.
    #[must_use]
    pub const fn with_document(mut self, document: Option<&'a OauthDocument>) -> Self {
        self.document = document;
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
            document: None,
            message: None,
            tls: None,
            dns: None,
            tool: None,
            copied: &[],
            content: None,
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
    /// What it answers.
    pub asked: Option<Message>,
    /// A server asks for what the client declared no capability for.
    pub undeclared: Option<bool>,
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
    /// The OAuth document that the response brought.
    pub document: Option<OauthDocument>,
    /// The message.
    pub message: Option<OwnedMessage>,
    /// The encrypted flow.
    pub tls: Option<Encrypted>,
    /// The DNS message.
    pub dns: Option<LookUp>,
    /// The definition, or the tool that the message calls.
    pub tool: Option<Tool>,
    /// What other servers gave that the message hands on.
    pub copied: Vec<Copied>,
    /// What is made of its texts.
    pub content: Content,
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
            document: self.document.as_ref(),
            message: self.message.as_ref().map(|facts| MessageFacts {
                direction: facts.direction,
                channel: facts.channel,
                message: &facts.message,
                reply: facts.reply,
                asked: facts.asked.as_ref(),
                undeclared: facts.undeclared,
                disagreements: &facts.disagreements,
                ambiguous: facts.ambiguous,
            }),
            tls: self.tls.as_ref(),
            dns: self.dns.as_ref(),
            tool: self.tool.as_ref(),
            copied: &self.copied,
            content: Some(&self.content),
        }
    }
}
