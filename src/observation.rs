//! What recognition hands on: the only thing that the inventory, rules and verdicts can see.
//!
//! Owned, plain data. Secrets never get here: session ids and credentials are keyed hashes or
//! bare facts ("a bearer token was sent"), made where the bytes are.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::anomaly::Anomaly;
use crate::exchange::{
    DnsMessage, End, FlowEnd, Provenance, Scheme, TlsAnswer, TlsHello, Version, Visibility,
};
use crate::flow::At;
use crate::net::{Direction, Endpoint, Scope};

/// A secret reduced to a keyed hash (HMAC-SHA-256, first 8 bytes): equal for equal secrets under
/// one key, and good for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash(pub [u8; 8]);

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for SecretHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Identity of an exchange over the whole run: the flow's id and the exchange's number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    /// The flow's id.
    pub flow: u64,
    /// Number of the exchange in its flow, from 0.
    pub number: u32,
}

/// How the client authenticates, as far as the wire shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Auth {
    /// Scheme of `Authorization`, in lower case (`bearer`, `basic`); `other` if it is not one of
    /// those in use, for then it may be the credential itself.
    pub scheme: Option<String>,
    /// Name of an API-key header that was sent (`x-api-key`), in lower case.
    pub api_key_header: Option<String>,
    /// A `Cookie` header was sent.
    pub cookie: bool,
    /// Names of credential-like query parameters (`access_token`), in lower case.
    pub in_query: Vec<String>,
}

impl Auth {
    /// Whether no credential of any kind was seen.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.scheme.is_none()
            && self.api_key_header.is_none()
            && !self.cookie
            && self.in_query.is_empty()
    }
}

/// One header field as rules see it: name in lower case, value masked where it may be secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Field name, lower case.
    pub name: String,
    /// Value, lossy UTF-8, bounded; credentials and session ids are replaced by `<masked>`.
    pub value: String,
}

/// The request side of an exchange. One per exchange, shared by all that is said of it.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Which exchange.
    pub id: ExchangeId,
    /// Client address.
    pub client: Endpoint,
    /// Server address (a proxy's, for a request to an explicit proxy).
    pub server: Endpoint,
    /// The proxy whose own leg this is: the packets are between it and the server, and `client`
    /// is whom it acts for, known from the other leg. Recognition leaves it empty.
    pub via: Option<Endpoint>,
    /// VLANs and tunnels around the flow.
    pub scope: Scope,
    /// Clear or TLS.
    pub scheme: Scheme,
    /// What the source shows.
    pub visibility: Visibility,
    /// When the exchange began.
    pub at: At,
    /// What a source other than packets knows beside.
    pub provenance: Option<Arc<Provenance>>,
    /// Whether the request itself was seen; false for a response without one, and then the
    /// fields below are empty.
    pub seen: bool,
    /// HTTP version.
    pub version: Version,
    /// Host, lower case, without port: from the absolute form or the tunnel, else `Host`.
    pub host: Option<String>,
    /// Port of the server key: as named with the host, else the scheme's default (absolute form,
    /// tunnel) or the flow's server port.
    pub port: u16,
    /// Path of the target, without query.
    pub path: String,
    /// HTTP method.
    pub method: String,
    /// The request was made through an explicit proxy (absolute form or `CONNECT`).
    pub via_proxy: bool,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// Media type of the body, lower case, without parameters.
    pub content_type: Option<String>,
    /// `Accept` names `application/json`.
    pub accepts_json: bool,
    /// `Accept` names `text/event-stream`.
    pub accepts_sse: bool,
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<String>,
    /// `Mcp-Method`.
    pub mcp_method: Option<String>,
    /// `Mcp-Name`, base64 sentinel decoded (MCP 2026-07-28).
    pub mcp_name: Option<String>,
    /// Keyed hash of `Mcp-Session-Id`, or of the session parameter of an HTTP+SSE message URI.
    pub session: Option<SecretHash>,
    /// How the client authenticates.
    pub auth: Auth,
    /// All header fields, for rules.
    pub headers: Vec<Field>,
    /// Names of the query parameters, lower case.
    pub query_keys: Vec<String>,
    /// Host that `Origin` names, lower case, without port; `null` for an opaque origin.
    pub origin_host: Option<String>,
    /// A page of another host sent it: `Origin` names another host than the request (ports do not
    /// count, and all names of a machine for itself are one); without it, `Sec-Fetch-Site` says
    /// so.
    pub cross_origin: bool,
    /// The query names a session.
    pub session_in_query: bool,
    /// `transportType` of the query, by which the proxy of MCP Inspector is told what to do;
    /// bounded, and only if it is a plain word.
    pub transport_type: Option<String>,
    /// The query has a `command` that is not empty.
    pub has_command: bool,
    /// Keyed hash of the bearer token, else of the API key.
    pub token: Option<SecretHash>,
    /// Whom the bearer token is for, if it is a JSON Web Token that says so.
    pub audience: Option<Audience>,
    /// The first 1,024 bytes of the body of a `POST`, content coding undone, lossy UTF-8; as far
    /// as it was seen, and only if recognition was told to keep it. May hold secrets.
    pub body_head: Option<Box<str>>,
}

/// Whom a bearer token says it is for (`aud`, RFC 7519 section 4.1.3). Never the token itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Hosts of the audiences that are `http` or `https` URLs, lower case, bounded.
    pub hosts: Vec<String>,
    /// Every audience is such a URL.
    pub only_urls: bool,
}

/// The endpoints that an OAuth document names: authorization server metadata (RFC 8414), OpenID
/// configuration, protected resource metadata (RFC 9728), or the answer to a registration
/// (RFC 7591). Both lists are bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OauthDocument {
    /// URLs, percent-decoded once.
    pub endpoints: Vec<String>,
    /// Kinds of their schemes, each once: `https`, `http`, `loopback` for `http` to the own
    /// machine, `relative` where there is none, `other`.
    pub schemes: Vec<&'static str>,
}

/// The response head of an exchange.
#[derive(Clone, Debug)]
pub struct ResponseInfo {
    /// Status code.
    pub status: u16,
    /// HTTP version.
    pub version: Version,
    /// Media type, lower case, without parameters.
    pub content_type: Option<String>,
    /// Keyed hash of `Mcp-Session-Id`.
    pub session: Option<SecretHash>,
    /// Estimated randomness of that session id, in bits.
    pub session_bits: Option<u32>,
    /// Its body is kept, for it may be an OAuth document: [`Event::Document`] follows if it is.
    pub may_be_document: bool,
    /// `WWW-Authenticate` carries `resource_metadata=` (RFC 9728 section 5.1).
    pub resource_metadata: bool,
    /// Host, port and path that a redirect points at.
    pub location: Option<(String, u16, String)>,
    /// All header fields, for rules.
    pub headers: Vec<Field>,
}

/// What carried a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A request body.
    RequestBody,
    /// A response body that is one JSON text.
    ResponseBody,
    /// An event of an SSE response.
    Sse,
    /// A WebSocket message.
    WebSocket,
    /// A line on a bare connection.
    Line,
}

/// A JSON-RPC id (JSON-RPC 2.0 section 4), kept as its JSON text so that `1` and `"1"` differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MessageId(pub String);

/// The four kinds of JSON-RPC messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A method with an id.
    Request,
    /// A method without an id.
    Notification,
    /// A result with an id.
    Result,
    /// An error.
    Error,
}

/// A name and a version that a peer gave of itself. Self-reported: never proof.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Software {
    /// `name` of `clientInfo` or `serverInfo`.
    pub name: String,
    /// `version`, empty when not given.
    pub version: String,
}

/// What a definition defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DefinitionKind {
    /// An element of `tools`.
    Tool,
    /// An element of `resources`.
    Resource,
    /// An element of `resourceTemplates`.
    ResourceTemplate,
    /// An element of `prompts`.
    Prompt,
}

/// One tool, resource or prompt that a server listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Definition {
    /// What it defines.
    pub kind: DefinitionKind,
    /// `name`, or `uri`/`uriTemplate` for resources.
    pub name: String,
    /// SHA-256 over the canonical JSON (RFC 8785) of the whole definition, as 64 hex digits;
    /// absent when the definition passed the size limit.
    pub digest: Option<String>,
    /// The definition itself, canonical JSON, bounded; absent when it passed the limit.
    #[serde(skip)]
    pub canonical: Option<String>,
}

/// A secret in a message, without the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSecret {
    /// Its kind: `aws-access-key`, `private-key`.
    pub kind: &'static str,
    /// A checksum or a structure was verified, or the shape names the issuer.
    pub certain: bool,
    /// Host suffixes of the issuer.
    pub issuers: &'static [&'static str],
    /// Keyed hash: equal for equal secrets.
    pub hash: SecretHash,
    /// Its last four characters, when it is long enough to spare them.
    pub last_four: String,
}

/// Personal data in a message, without the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPersonal {
    /// Its kind: `card`, `iban`.
    pub kind: &'static str,
    /// How many different ones.
    pub count: u32,
    /// Keyed hashes of the first of them.
    pub hashes: Vec<SecretHash>,
}

/// Which part of a message a [`Part`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartName {
    /// `content` of a tool's result, or of an answer to an elicitation.
    Content,
    /// `structuredContent` of a tool's result.
    StructuredContent,
    /// `contents` of a resource.
    Contents,
    /// `messages` of a prompt, or of a sampling request.
    Messages,
    /// `instructions` of a server.
    Instructions,
    /// `systemPrompt` of a sampling request.
    SystemPrompt,
    /// `message` of an elicitation.
    Message,
    /// `requestedSchema` of an elicitation.
    RequestedSchema,
    /// `url` of an elicitation.
    Url,
    /// `inputRequests` of a result (MRTR, MCP 2026-07-28).
    InputRequests,
    /// `capabilities` of a client or server.
    Capabilities,
    /// `clientCapabilities` of `_meta` (MCP 2026-07-28).
    ClientCapabilities,
    /// `cacheScope` of a list (MCP 2026-07-28).
    CacheScope,
    /// `error.message`.
    ErrorMessage,
    /// `error.data`.
    ErrorData,
}

/// The JSON text of a part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub name: PartName,
    /// JSON text, bounded.
    pub json: String,
    /// It passed the bound: `json` is its beginning.
    pub cut: bool,
}

/// A JSON-RPC 2.0 message and what matters in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Request, notification, result or error.
    pub kind: Kind,
    /// `method`, of requests and notifications.
    pub method: Option<String>,
    /// `id`.
    pub id: Option<MessageId>,
    /// `params.name` (tools/call, prompts/get).
    pub name: Option<String>,
    /// `params.uri` (resources/read and the like).
    pub uri: Option<String>,
    /// `params.arguments`, JSON text, bounded; secrets are *not* yet masked: never print it.
    pub arguments: Option<String>,
    /// Parts that people or models read or answer, in the order they came; like `arguments` not
    /// masked: never print them.
    pub parts: Vec<Part>,
    /// Secrets in its arguments and parts, each once; bounded.
    pub secrets: Vec<FoundSecret>,
    /// Personal data in its arguments and parts, by kind.
    pub personal: Vec<FoundPersonal>,
    /// `protocolVersion` of an initialize request or result, or
    /// `_meta["io.modelcontextprotocol/protocolVersion"]`.
    pub protocol_version: Option<String>,
    /// Whether `protocol_version` came from `_meta` (the envelope of 2026-07-28).
    pub modern_envelope: bool,
    /// `clientInfo`, from params or `_meta`.
    pub client: Option<Software>,
    /// `serverInfo`, from the result or `_meta`.
    pub server: Option<Software>,
    /// Definitions that a list result carries.
    pub definitions: Vec<Definition>,
    /// Keys with the prefix `io.modelcontextprotocol/` found in `_meta`.
    pub meta_keys: Vec<String>,
    /// `result.resultType`.
    pub result_type: Option<String>,
    /// `result.isError`.
    pub is_error: Option<bool>,
    /// `error.code`.
    pub error_code: Option<i64>,
    /// Keys of the top level of `params` or `result`, bounded: shape evidence.
    pub body_keys: Vec<String>,
    /// Methods of embedded requests in `result.inputRequests` (MRTR, MCP 2026-07-28).
    pub input_requests: Vec<String>,
    /// A key of the top level occurs twice.
    pub duplicate_keys: bool,
    /// It was an element of a batch array.
    pub batched: bool,
    /// The text ended, or a gap fell, before the message was complete.
    pub partial: bool,
    /// Length of the JSON text in bytes.
    pub size: u64,
}

impl Message {
    /// The JSON text of a part.
    #[must_use]
    pub fn part(&self, name: PartName) -> Option<&str> {
        self.parts.iter().find(|part| part.name == name).map(|part| part.json.as_str())
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A JSON-RPC message is complete. Reported for every message that can belong to MCP.
    Message {
        /// The exchange that carries it.
        request: Arc<RequestInfo>,
        /// Who sent it.
        direction: Direction,
        /// What carried it.
        channel: Channel,
        /// The message.
        message: Box<Message>,
        /// Only one of two disagreeing overlap copies contains it.
        ambiguous: bool,
    },
    /// The first event of an SSE response named a message endpoint (HTTP+SSE, MCP 2024-11-05).
    SseEndpoint {
        /// The exchange of the SSE stream.
        request: Arc<RequestInfo>,
        /// Path of the endpoint, without query.
        path: String,
        /// Keyed hash of its session parameter.
        session: Option<SecretHash>,
        /// Estimated randomness of that parameter, in bits.
        session_bits: Option<u32>,
    },
    /// The body of a response is an OAuth document.
    Document {
        /// The exchange.
        request: Arc<RequestInfo>,
        /// What it names.
        document: Arc<OauthDocument>,
    },
    /// The response head of an exchange that matters arrived.
    Answered {
        /// The exchange.
        request: Arc<RequestInfo>,
        /// The response head.
        response: Arc<ResponseInfo>,
    },
    /// An exchange that matters is over.
    Ended {
        /// The exchange.
        request: Arc<RequestInfo>,
        /// Bytes of the bodies on the wire (content-coded), per direction.
        body_bytes: [u64; 2],
        /// How the response ended; `None` when there was none.
        response: Option<End>,
    },
    /// A handshake in TLS or QUIC: a hint at most, whatever the name.
    Tls {
        /// Client.
        client: Endpoint,
        /// Server.
        server: Endpoint,
        /// VLANs and tunnels around the flow.
        scope: Scope,
        /// Authority of the `CONNECT` tunnel that it runs in.
        tunnel: Option<String>,
        /// The ClientHello; `None` when the capture does not have it.
        hello: Option<Arc<TlsHello>>,
        /// What the server answered: a second observation of the flow has it.
        answer: Option<Arc<TlsAnswer>>,
        /// What a source other than packets knows beside.
        provenance: Option<Arc<Provenance>>,
    },
    /// A DNS message.
    Dns {
        /// Who asked.
        client: Endpoint,
        /// Who was asked.
        server: Endpoint,
        /// The message.
        message: DnsMessage,
        /// What a source other than packets knows beside.
        provenance: Option<Arc<Provenance>>,
    },
    /// A flow is over of which something else was observed.
    Flow {
        /// Client: who sent requests, else the originator.
        client: Endpoint,
        /// Server.
        server: Endpoint,
        /// VLANs and tunnels around the flow.
        scope: Scope,
        /// What it was.
        end: Box<FlowEnd>,
    },
    /// An oddity of a flow that matters.
    Anomaly {
        /// Client or originator.
        client: Endpoint,
        /// Server or responder.
        server: Endpoint,
        /// What it was.
        anomaly: Anomaly,
    },
}

impl Event {
    /// Whether what is known of the exchange outweighs a name: all but exchanges of which a log
    /// shows no field that only MCP has.
    #[must_use]
    pub fn shows_enough(&self) -> bool {
        match self {
            Self::SseEndpoint { request, .. }
            | Self::Document { request, .. }
            | Self::Answered { request, .. }
            | Self::Ended { request, .. } => {
                request.visibility != Visibility::Log
                    || request.headers.iter().any(|field| field.name.starts_with("mcp-"))
            }
            _ => true,
        }
    }

    /// Whom the exchange is for that this is about; `None` where it is about none, or about one
    /// that may be made up.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        match self {
            Self::Message { ambiguous: true, .. }
            | Self::Tls { .. }
            | Self::Dns { .. }
            | Self::Flow { .. }
            | Self::Anomaly { .. } => None,
            Self::Message { request, .. }
            | Self::SseEndpoint { request, .. }
            | Self::Document { request, .. }
            | Self::Answered { request, .. }
            | Self::Ended { request, .. } => Some(request.client.ip),
        }
    }
}

/// Something recognition saw, and where.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The flow's id.
    pub flow: u64,
    /// The packet at which it became known.
    pub at: At,
    /// What it is.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_credential_counts() {
        assert!(Auth::default().is_none());
        let some = |text: &str| Some(text.to_owned());
        for auth in [
            Auth { scheme: some("basic"), ..Auth::default() },
            Auth { api_key_header: some("x-api-key"), ..Auth::default() },
            Auth { cookie: true, ..Auth::default() },
            Auth { in_query: vec!["token".to_owned()], ..Auth::default() },
        ] {
            assert!(!auth.is_none(), "{auth:?}");
        }
    }

    #[test]
    fn hashes_print_as_hex() {
        let hash = SecretHash([0, 1, 0xab, 3, 4, 5, 6, 0xff]);
        assert_eq!(hash.to_string(), "0001ab03040506ff");
        assert_eq!(serde_json::to_string(&hash).unwrap(), "\"0001ab03040506ff\"");
    }
}
