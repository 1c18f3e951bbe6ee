//! The rows of the field catalogue.

use super::{On, Phase, Shape};

/// One row of the catalogue.
#[derive(Debug)]
pub struct Spec {
    pub(in crate::rules) key: Key,
    /// Dotted name; families of header fields end in `<name>`.
    pub name: &'static str,
    /// What its values look like.
    pub shape: Shape,
    /// When it is known.
    pub phase: Phase,
    /// Which subjects have it.
    pub on: &'static [On],
    /// All values it can take; empty when it is open.
    pub values: &'static [&'static str],
    /// Its values may hold secrets: rendered only when a rule keeps them.
    pub secret: bool,
    /// It can be looked at in decoded views too.
    pub views: bool,
    /// What it is, in a sentence or two.
    pub doc: &'static str,
}

impl Spec {
    /// Whether the row stands for one field per header name.
    #[must_use]
    pub fn is_family(&self) -> bool {
        self.name.ends_with("<name>")
    }

    /// The name without `<name>`.
    #[must_use]
    pub fn stem(&self) -> &'static str {
        self.name.strip_suffix("<name>").unwrap_or(self.name)
    }

    const fn values(mut self, values: &'static [&'static str]) -> Self {
        self.values = values;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn views(mut self) -> Self {
        self.views = true;
        self
    }
}

/// What to read: one per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::rules) enum Key {
    HttpMethod,
    HttpPath,
    HttpHost,
    HttpPort,
    HttpScheme,
    HttpVersion,
    HttpVisibility,
    HttpSource,
    HttpUser,
    HttpDevice,
    HttpGroups,
    HttpViaProxy,
    HttpUserAgent,
    HttpOrigin,
    HttpContentType,
    HttpAcceptsJson,
    HttpAcceptsSse,
    HttpProtocolVersion,
    HttpMcpMethod,
    HttpMcpName,
    HttpSession,
    HttpAuth,
    HttpQueryKeys,
    RequestHeaderNames,
    RequestHeader,
    ResponseStatus,
    ResponseContentType,
    ResponseResourceMetadata,
    ResponseSession,
    ResponseLocationHost,
    ResponseSseEndpoint,
    ResponseHeaderNames,
    ResponseHeader,
    HttpOriginHost,
    HttpCrossOrigin,
    HttpHostIsIp,
    HttpQuerySecretKeys,
    HttpSessionInQuery,
    HttpQueryTransportType,
    HttpQueryCommand,
    HttpTokenAudience,
    HttpTokenAudienceMismatch,
    HttpTokenAudienceForeign,
    BodyHead,
    OauthEndpoints,
    OauthEndpointSchemes,
    McpMethod,
    McpKind,
    McpDirection,
    McpChannel,
    McpName,
    McpUri,
    McpArguments,
    McpProtocolVersion,
    McpModernEnvelope,
    McpMetaKeys,
    McpBodyKeys,
    McpResultType,
    McpInputRequests,
    McpIsError,
    McpErrorCode,
    McpDisagreement,
    McpBatched,
    McpDuplicateKeys,
    McpPartial,
    McpAmbiguous,
    McpSize,
    McpToolNames,
    McpPromptNames,
    McpResourceUris,
    McpClientName,
    McpClientVersion,
    McpServerName,
    McpServerVersion,
    ReplyKind,
    ReplyStatus,
    ReplyErrorCode,
    ReplyIsError,
    AskedMethod,
    AskedName,
    ArgsText,
    ArgsKeys,
    ArgsValue,
    ArgsNames,
    ArgsUrlHost,
    ArgsUrlIp,
    ArgsUrlScheme,
    ArgsClimbs,
    ArgsDigest,
    ResultText,
    ErrorText,
    AskText,
    AskFields,
    AskUrlHost,
    AskUndeclared,
    SecretKinds,
    SecretForeign,
    SecretCertain,
    PersonalKinds,
    PersonalCount,
    CopiedFrom,
    CopiedKinds,
    ToolName,
    ToolKind,
    ToolText,
    ToolDescription,
    ToolIdentifiers,
    ToolReadOnly,
    ToolDestructive,
    ToolHidden,
    ToolChange,
    ToolChangedParts,
    ToolAddedText,
    ToolStoodSeconds,
    ToolDivergent,
    ToolShadows,
    ToolBreaksPin,
    ToolFirstUse,
    TlsSni,
    TlsHost,
    TlsHostFrom,
    TlsHiddenHost,
    TlsDnsNames,
    TlsTunnel,
    TlsAlpn,
    TlsProtocol,
    TlsVersions,
    TlsVersion,
    TlsJa4,
    TlsEch,
    TlsCarrier,
    TlsCertificateNames,
    DnsQuestion,
    DnsType,
    DnsAnswers,
    DnsResponse,
    DnsCode,
    DnsEch,
    DnsServer,
    ServerUrl,
    ServerHost,
    ServerPort,
    ServerPath,
    ServerScheme,
    ServerIp,
    ServerVerdict,
    ServerEvidence,
    ServerAuth,
    ServerUnauthenticatedResult,
    ServerCatalogued,
    ServerNamedForMcp,
    ServerApproved,
    ServerViaProxy,
    ServerProxy,
    ServerProtocolVersions,
    ServerMethods,
    ClientIp,
    ServerUnauthenticatedClients,
    ServerSessionBits,
    ServerSessionClients,
    ServerTokenSharedWith,
    ServerSoftware,
    ServerSameSoftwarePorts,
    ServerImpersonates,
    ServerLikeness,
    ServerApproval,
    ServerOwner,
    ServerFirstContact,
    ServerSameHost,
    ServerProgramStarts,
    ServerAdvisories,
    ServerAdvisorySeverity,
    ClientSoftware,
    ClientUserAgent,
    ClientAdvisories,
    ClientAdvisorySeverity,
}

const HTTP: &[On] = &[On::Exchange, On::Message];
const EXCHANGE: &[On] = &[On::Exchange];
const MESSAGE: &[On] = &[On::Message];
const INVENTORY: &[On] = &[On::Exchange, On::Message, On::Server, On::Tool];
const FLOWS: &[On] = &[On::Exchange, On::Message, On::Server, On::Tls, On::Tool];
const ANY: &[On] = &On::ALL;
const TLS: &[On] = &[On::Tls];
const DNS: &[On] = &[On::Dns];
const TOOL: &[On] = &[On::Tool];
const TOOL_AND_CALL: &[On] = &[On::Tool, On::Message];

const fn row(
    key: Key,
    name: &'static str,
    shape: Shape,
    phase: Phase,
    on: &'static [On],
    doc: &'static str,
) -> Spec {
    Spec { key, name, shape, phase, on, values: &[], secret: false, views: false, doc }
}

/// A row known with the request head.
const fn head(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::RequestHead, HTTP, doc)
}

/// A row known with the response.
const fn response(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::Response, EXCHANGE, doc)
}

/// A row known with the body that carries the message.
const fn message(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::RequestBody, MESSAGE, doc)
}

/// A row that only answers can fill.
const fn answer(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::Response, MESSAGE, doc)
}

/// A row of a definition.
const fn definition(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::Response, TOOL, doc)
}

/// A row of a handshake in TLS or QUIC.
const fn handshake(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::Handshake, TLS, doc)
}

/// A row of a DNS message.
const fn look_up(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::Lookup, DNS, doc)
}

/// A row of the address of the server or client: known with the request head.
const fn address(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::RequestHead, FLOWS, doc)
}

/// A row of what the inventory knows.
const fn known(key: Key, name: &'static str, shape: Shape, doc: &'static str) -> Spec {
    row(key, name, shape, Phase::Server, INVENTORY, doc)
}

impl Spec {
    const fn on(mut self, on: &'static [On]) -> Self {
        self.on = on;
        self
    }
}

/// Severities of advisories.
const SEVERITIES: &[&str] = &["info", "low", "medium", "high", "critical"];

/// Names of TLS versions.
const VERSIONS: &[&str] = &["1.3", "1.2", "1.1", "1.0", "ssl3", "other"];

/// Kinds of hidden text.
const HIDDEN: &[&str] = &["tags", "variation-selectors", "zero-width", "bidi", "ansi", "control"];

/// Kinds of change of a definition.
const CHANGES: &[&str] = &[
    "first", "same", "added", "removed", "returned", "upgrade", "wording", "shape", "meaning",
    "unknown",
];

/// Every field that a rule can read.
#[rustfmt::skip]
pub static CATALOGUE: &[Spec] = &[
    head(Key::HttpMethod, "http.method", Shape::Text, "HTTP method of the request, as sent."),
    head(Key::HttpPath, "http.path", Shape::Text, "Path of the request target, without the query."),
    head(Key::HttpHost, "http.host", Shape::Text, "Host that the request is for, lower case, without port."),
    head(Key::HttpPort, "http.port", Shape::Number, "Port that the request is for."),
    head(Key::HttpScheme, "http.scheme", Shape::Text, "`http` in the clear, `https` inside TLS; `tcp` and `tls` without HTTP.").values(&["http", "https", "tcp", "tls"]),
    head(Key::HttpVersion, "http.version", Shape::Text, "HTTP version of the request.").values(&["1.0", "1.1", "2"]),
    head(Key::HttpVisibility, "http.visibility", Shape::Text, "How much the source shows: names only, what a log has (some header fields), all header fields, or bodies too.").values(&["tls", "log", "head", "body"]),
    head(Key::HttpSource, "http.source", Shape::Text, "Who tells of it: `packets`, or the format of a log (`squid`, `icap`)."),
    head(Key::HttpUser, "http.user", Shape::Text, "Who is at the client, where the source tells."),
    head(Key::HttpDevice, "http.device", Shape::Text, "The client's machine, where the source tells."),
    head(Key::HttpGroups, "http.groups", Shape::Texts, "Groups of that user, where the source tells."),
    head(Key::HttpViaProxy, "http.via_proxy", Shape::Bool, "The request was made through an explicit proxy."),
    head(Key::HttpUserAgent, "http.user_agent", Shape::Text, "`User-Agent` of the request."),
    head(Key::HttpOrigin, "http.origin", Shape::Text, "`Origin` of the request."),
    head(Key::HttpContentType, "http.content_type", Shape::Text, "Media type of the request body, lower case, without parameters."),
    head(Key::HttpAcceptsJson, "http.accepts_json", Shape::Bool, "`Accept` names `application/json`."),
    head(Key::HttpAcceptsSse, "http.accepts_sse", Shape::Bool, "`Accept` names `text/event-stream`."),
    head(Key::HttpProtocolVersion, "http.protocol_version", Shape::Text, "`MCP-Protocol-Version` of the request."),
    head(Key::HttpMcpMethod, "http.mcp_method", Shape::Text, "`Mcp-Method` of the request."),
    head(Key::HttpMcpName, "http.mcp_name", Shape::Text, "`Mcp-Name` of the request, base64 form decoded."),
    head(Key::HttpSession, "http.session", Shape::Bool, "The request names an MCP session (never which one)."),
    head(Key::HttpAuth, "http.auth", Shape::Texts, "How the request authenticates: the scheme of `Authorization` (`bearer`), the name of an API-key header, `cookie`, `query`."),
    head(Key::HttpQueryKeys, "http.query_keys", Shape::Texts, "Names of the query parameters, lower case."),
    head(Key::RequestHeaderNames, "http.request.header_names", Shape::Texts, "Names of the request header fields, lower case."),
    head(Key::RequestHeader, "http.request.header.<name>", Shape::Texts, "Values of one request header field (name in lower case; a trailing `*` stands for every name that begins so). Credentials and session ids read `<masked>`."),
    response(Key::ResponseStatus, "http.response.status", Shape::Number, "Status code of the response."),
    response(Key::ResponseContentType, "http.response.content_type", Shape::Text, "Media type of the response body, lower case, without parameters."),
    response(Key::ResponseResourceMetadata, "http.response.resource_metadata", Shape::Bool, "`WWW-Authenticate` of the response points at protected resource metadata (RFC 9728)."),
    response(Key::ResponseSession, "http.response.session", Shape::Bool, "The response hands out an MCP session id."),
    response(Key::ResponseLocationHost, "http.response.location_host", Shape::Text, "Host that a redirect points at."),
    response(Key::ResponseSseEndpoint, "http.response.sse_endpoint", Shape::Text, "Path that the first event of an SSE response names as message endpoint (HTTP+SSE transport)."),
    response(Key::ResponseHeaderNames, "http.response.header_names", Shape::Texts, "Names of the response header fields, lower case."),
    response(Key::ResponseHeader, "http.response.header.<name>", Shape::Texts, "Values of one response header field (name in lower case; a trailing `*` stands for every name that begins so). Credentials and session ids read `<masked>`."),
    head(Key::HttpOriginHost, "http.origin_host", Shape::Text, "Host that `Origin` names, lower case, without port; `null` for an opaque origin."),
    head(Key::HttpCrossOrigin, "http.cross_origin", Shape::Bool, "A page of another host sent the request: `Origin` names another host (ports do not count, and all names of the own machine are one; `null` is another); without `Origin`, `Sec-Fetch-Site` is `cross-site`."),
    head(Key::HttpHostIsIp, "http.host_is_ip", Shape::Bool, "`http.host` is an address literal."),
    head(Key::HttpQuerySecretKeys, "http.query.secret_keys", Shape::Texts, "Names of the query parameters that carry a credential by their name: `access_token`, `api_key`, `key`, ..."),
    head(Key::HttpSessionInQuery, "http.session_in_query", Shape::Bool, "The query names a session, as the message URIs of HTTP+SSE do."),
    head(Key::HttpQueryTransportType, "http.query.transport_type", Shape::Text, "`transportType` of the query, by which MCP Inspector's proxy is told what to connect to; in lower case, and only if it is a plain word."),
    head(Key::HttpQueryCommand, "http.query.command", Shape::Bool, "The query has a `command` that is not empty (never which one)."),
    head(Key::HttpTokenAudience, "http.token_audience", Shape::Texts, "Hosts that the bearer token is for, if it is a JSON Web Token whose audience (`aud`) is a URL. Never the token."),
    head(Key::HttpTokenAudienceMismatch, "http.token_audience_mismatch", Shape::Bool, "All audiences of the bearer token are URLs, and none has the host of the request."),
    head(Key::HttpTokenAudienceForeign, "http.token_audience_foreign", Shape::Bool, "And none is of its domain either (the last two labels)."),
    row(Key::BodyHead, "body.head", Shape::Text, Phase::RequestBody, HTTP, "The first 1,024 bytes of the body of a `POST` request, content coding undone, as text. Kept only while a rule reads it. May hold secrets: shown only by rules that keep it.").secret(),
    response(Key::OauthEndpoints, "oauth.endpoints", Shape::Texts, "URLs that an OAuth document (server metadata, resource metadata, registration) names, percent-decoded once."),
    response(Key::OauthEndpointSchemes, "oauth.endpoint_schemes", Shape::Texts, "Kinds of schemes of `oauth.endpoints`, each once; `loopback` for `http` to the own machine, `relative` where there is none.").values(&["https", "http", "loopback", "relative", "other"]),
    message(Key::McpMethod, "mcp.method", Shape::Text, "`method` of a request or notification."),
    message(Key::McpKind, "mcp.kind", Shape::Text, "Kind of the message.").values(&["request", "notification", "result", "error"]),
    message(Key::McpDirection, "mcp.direction", Shape::Text, "Which way the message goes.").values(&["to_server", "to_client"]),
    message(Key::McpChannel, "mcp.channel", Shape::Text, "What carried the message.").values(&["request_body", "response_body", "sse", "web_socket", "line"]),
    message(Key::McpName, "mcp.name", Shape::Text, "`params.name`: the tool called or the prompt asked for."),
    message(Key::McpUri, "mcp.uri", Shape::Text, "`params.uri`: the resource asked for."),
    message(Key::McpArguments, "mcp.arguments", Shape::Text, "`params.arguments` as JSON text, bounded. May hold secrets: shown only by rules that keep it.").secret(),
    message(Key::McpProtocolVersion, "mcp.protocol_version", Shape::Text, "`protocolVersion` of an initialize request or result, or of the `_meta` envelope of 2026-07-28."),
    message(Key::McpModernEnvelope, "mcp.modern_envelope", Shape::Bool, "`mcp.protocol_version` came from `_meta` (2026-07-28 and later)."),
    message(Key::McpMetaKeys, "mcp.meta_keys", Shape::Texts, "Keys of `_meta` that begin with `io.modelcontextprotocol/`."),
    message(Key::McpBodyKeys, "mcp.body_keys", Shape::Texts, "Keys of the top level of `params` or `result`, bounded."),
    message(Key::McpResultType, "mcp.result_type", Shape::Text, "`result.resultType`."),
    message(Key::McpInputRequests, "mcp.input_requests", Shape::Texts, "Methods that a result asks the client to carry out (`inputRequests`, 2026-07-28)."),
    message(Key::McpIsError, "mcp.is_error", Shape::Bool, "`result.isError`."),
    message(Key::McpErrorCode, "mcp.error_code", Shape::Number, "`error.code` of an error message."),
    message(Key::McpDisagreement, "mcp.disagreement", Shape::Texts, "What the header fields and the body of a request disagree on (2026-07-28).").values(&["method", "name", "version"]),
    message(Key::McpBatched, "mcp.batched", Shape::Bool, "The message was an element of a batch array."),
    message(Key::McpDuplicateKeys, "mcp.duplicate_keys", Shape::Bool, "A key of the top level occurs twice: parsers differ on what such a message says."),
    message(Key::McpPartial, "mcp.partial", Shape::Bool, "The text ended, or a gap fell, before the message was complete."),
    message(Key::McpAmbiguous, "mcp.ambiguous", Shape::Bool, "Only one of two disagreeing copies of overlapping TCP segments holds the message."),
    message(Key::McpSize, "mcp.size", Shape::Number, "Length of the JSON text, in bytes."),
    message(Key::McpToolNames, "mcp.tool_names", Shape::Texts, "Names of the tools that a result lists."),
    message(Key::McpPromptNames, "mcp.prompt_names", Shape::Texts, "Names of the prompts that a result lists."),
    message(Key::McpResourceUris, "mcp.resource_uris", Shape::Texts, "URIs and URI templates of the resources that a result lists."),
    message(Key::McpClientName, "mcp.client_name", Shape::Text, "`clientInfo.name`, self-reported."),
    message(Key::McpClientVersion, "mcp.client_version", Shape::Text, "`clientInfo.version`, self-reported."),
    message(Key::McpServerName, "mcp.server_name", Shape::Text, "`serverInfo.name`, self-reported."),
    message(Key::McpServerVersion, "mcp.server_version", Shape::Text, "`serverInfo.version`, self-reported; often just the version of an SDK."),
    answer(Key::ReplyKind, "reply.kind", Shape::Text, "Kind of the message that answered this request.").values(&["result", "error"]),
    answer(Key::ReplyStatus, "reply.status", Shape::Number, "HTTP status of the answer to this request."),
    answer(Key::ReplyErrorCode, "reply.error_code", Shape::Number, "`error.code` of the message that answered this request."),
    answer(Key::ReplyIsError, "reply.is_error", Shape::Bool, "The result that answered this call says `isError`: the tool failed or refused."),
    answer(Key::AskedMethod, "asked.method", Shape::Text, "`method` of the request that this result or error answers."),
    answer(Key::AskedName, "asked.name", Shape::Text, "`params.name` of the request that this result or error answers: the tool called."),
    message(Key::ArgsText, "args.text", Shape::Texts, "Every string in `params.arguments`, and `params.uri`; decoded, bounded. May hold secrets: shown only by rules that keep it.").secret().views(),
    message(Key::ArgsKeys, "args.keys", Shape::Texts, "Every key in `params.arguments`, at any depth."),
    message(Key::ArgsValue, "args.value.<name>", Shape::Texts, "Strings in `params.arguments` under one key, at any depth (name in lower case, compared without case). May hold secrets.").secret().views(),
    message(Key::ArgsNames, "args.names", Shape::Texts, "Last segments of the paths among the strings of `params.arguments`, and of `params.uri`: file names."),
    message(Key::ArgsUrlHost, "args.url_host", Shape::Texts, "Hosts of the URLs in `params.arguments` and `params.uri`, lower case."),
    message(Key::ArgsUrlIp, "args.url_ip", Shape::Ip, "Addresses that those hosts stand for in any notation: decimal, octal, hexadecimal, IPv6 with IPv4 inside, names that encode an address; a test holds when it holds for at least one."),
    message(Key::ArgsUrlScheme, "args.url_scheme", Shape::Texts, "Schemes of the URLs in `params.arguments` and `params.uri`, lower case."),
    message(Key::ArgsClimbs, "args.climbs", Shape::Bool, "A path among the strings of `params.arguments`, or `params.uri`, leaves the folder that it starts in by `..`, percent-encoded or not."),
    message(Key::ArgsDigest, "args.digest", Shape::Text, "SHA-256 of `params.arguments` in canonical form (RFC 8785): equal for equal arguments."),
    message(Key::ResultText, "result.text", Shape::Texts, "Every string in the content of a result: `content`, `structuredContent`, `contents`, `messages`; images left out. May hold secrets: shown only by rules that keep it.").secret().views(),
    message(Key::ErrorText, "error.text", Shape::Texts, "Every string in `error.message` and `error.data`.").secret().views(),
    message(Key::AskText, "ask.text", Shape::Texts, "Every string in what a server asks a client for: sampling, elicitation, `inputRequests`.").secret().views(),
    message(Key::AskFields, "ask.fields", Shape::Texts, "Names of the fields that an elicitation asks for."),
    message(Key::AskUrlHost, "ask.url_host", Shape::Texts, "Hosts of the URLs in what a server asks a client for."),
    message(Key::AskUndeclared, "ask.undeclared", Shape::Bool, "The server asks for something (sampling, elicitation, roots) that the client did not declare a capability for; absent when the client's capabilities were not seen."),
    message(Key::SecretKinds, "secret.kinds", Shape::Texts, "Kinds of secrets in the arguments, result, error or question: `aws-access-key`, `private-key` and so on."),
    message(Key::SecretForeign, "secret.foreign", Shape::Texts, "The same without those whose issuer is the server's own host: a provider's key sent to the provider is no leak."),
    message(Key::SecretCertain, "secret.certain", Shape::Bool, "At least one of them is certain: a checksum or a structure was verified, or the shape names its issuer."),
    message(Key::PersonalKinds, "pii.kinds", Shape::Texts, "Kinds of personal data in the arguments, result, error or question: `card`, `iban`, `us-ssn` and so on."),
    message(Key::PersonalCount, "pii.count", Shape::Number, "How many different ones."),
    message(Key::CopiedFrom, "copied.from", Shape::Texts, "Keys of other servers that gave this client, within half an hour, what the arguments now hold."),
    message(Key::CopiedKinds, "copied.kinds", Shape::Texts, "What was handed on.").values(&["secret", "personal", "text"]),
    definition(Key::ToolName, "tool.name", Shape::Text, "Name of the tool or prompt, URI of the resource."),
    definition(Key::ToolKind, "tool.kind", Shape::Text, "What is defined; `instructions` are those of the server.").values(&["tool", "prompt", "resource", "resource_template", "instructions"]),
    definition(Key::ToolText, "tool.text", Shape::Texts, "Every string of the definition: description, titles, defaults, examples, enumerations, names of arguments.").views(),
    definition(Key::ToolDescription, "tool.description", Shape::Text, "`description` of the definition."),
    definition(Key::ToolIdentifiers, "tool.identifiers", Shape::Texts, "Name of the definition, and names of its arguments."),
    row(Key::ToolReadOnly, "tool.read_only", Shape::Bool, Phase::Server, TOOL_AND_CALL, "`readOnlyHint` of the definition, or of the tool that the message calls, when it is given."),
    row(Key::ToolDestructive, "tool.destructive", Shape::Bool, Phase::Server, TOOL_AND_CALL, "`destructiveHint` of the definition, or of the tool that the message calls, when it is given."),
    definition(Key::ToolHidden, "tool.hidden", Shape::Texts, "Kinds of text in the definition that people do not see.").values(HIDDEN),
    definition(Key::ToolChange, "tool.change", Shape::Text, "How it differs from what the server listed before, in this run or an earlier one with the same state directory.").values(CHANGES),
    definition(Key::ToolChangedParts, "tool.changed_parts", Shape::Texts, "Which parts of it changed.").values(&["description", "title", "schema", "output_schema", "annotations", "read_only", "destructive", "required", "other"]),
    definition(Key::ToolAddedText, "tool.added_text", Shape::Texts, "Strings that were not in the definition before.").views(),
    definition(Key::ToolStoodSeconds, "tool.stood_seconds", Shape::Number, "How long the definition before had stood, in seconds."),
    definition(Key::ToolDivergent, "tool.divergent", Shape::Bool, "Another client was given a different definition within ten minutes, with the same credential or none."),
    definition(Key::ToolShadows, "tool.shadows", Shape::Texts, "Keys of other servers that this client got an equal or confusable tool name from within the hour."),
    definition(Key::ToolBreaksPin, "tool.breaks_pin", Shape::Bool, "The approval pins the tools of the server, and they are not what it pins."),
    row(Key::ToolFirstUse, "tool.first_use", Shape::Bool, Phase::Server, MESSAGE, "The client calls this tool of the server for the first time in this run."),
    handshake(Key::TlsSni, "tls.sni", Shape::Text, "Host name that the ClientHello names in the clear (SNI), lower case. With `tls.ech` it may be that of a front."),
    handshake(Key::TlsHost, "tls.host", Shape::Text, "Host of the flow: the SNI, else the host of the `CONNECT` tunnel, else a name that DNS gave for the address."),
    handshake(Key::TlsHostFrom, "tls.host_from", Shape::Text, "Where `tls.host` comes from.").values(&["sni", "tunnel", "dns"]),
    handshake(Key::TlsHiddenHost, "tls.hidden_host", Shape::Text, "With Encrypted Client Hello, and an SNI that nobody looked up for this address: the name on the catalog, or named for MCP, that DNS gave for the address."),
    handshake(Key::TlsDnsNames, "tls.dns_names", Shape::Texts, "Names that DNS gave for the address of the server, newest first."),
    handshake(Key::TlsTunnel, "tls.tunnel", Shape::Text, "Authority of the `CONNECT` tunnel that the flow runs in, as the client wrote it."),
    handshake(Key::TlsAlpn, "tls.alpn", Shape::Texts, "Application protocols that the client offers (ALPN): `h2`, `http/1.1`, `h3`."),
    handshake(Key::TlsProtocol, "tls.protocol", Shape::Text, "Application protocol that the server chose; in the clear up to TLS 1.2 only."),
    handshake(Key::TlsVersions, "tls.versions", Shape::Texts, "TLS versions that the client offers, best first: `1.3`, `1.2`.").values(VERSIONS),
    handshake(Key::TlsVersion, "tls.version", Shape::Text, "TLS version that the server chose.").values(VERSIONS),
    handshake(Key::TlsJa4, "tls.ja4", Shape::Text, "JA4 fingerprint of the client's TLS stack. Many programs share one."),
    handshake(Key::TlsEch, "tls.ech", Shape::Text, "Whether the ClientHello has an Encrypted Client Hello. Browsers send a random one too, so `offered` does not mean hidden.").values(&["absent", "offered"]),
    handshake(Key::TlsCarrier, "tls.carrier", Shape::Text, "What carries the handshake: TLS on TCP, or QUIC (HTTP/3).").values(&["tcp", "quic"]),
    handshake(Key::TlsCertificateNames, "tls.certificate_names", Shape::Texts, "DNS names of the server's certificate; in the clear up to TLS 1.2 only."),
    look_up(Key::DnsQuestion, "dns.question", Shape::Texts, "Names asked for, lower case, without the final dot."),
    look_up(Key::DnsType, "dns.type", Shape::Texts, "Record types asked for: `A`, `AAAA`, `HTTPS`, ...; `other` for rare ones."),
    look_up(Key::DnsAnswers, "dns.answers", Shape::Ip, "Addresses in the answers; a test holds when it holds for at least one."),
    look_up(Key::DnsResponse, "dns.response", Shape::Bool, "The message is a response."),
    look_up(Key::DnsCode, "dns.code", Shape::Number, "Response code: 0 no error, 3 no such name."),
    look_up(Key::DnsEch, "dns.ech", Shape::Bool, "The answer carries keys for Encrypted Client Hello."),
    look_up(Key::DnsServer, "dns.server", Shape::Ip, "Address of the resolver that was asked."),
    known(Key::ServerUrl, "server.key", Shape::Text, "`scheme://host:port/path` of the server; without path where only its name was seen.").on(FLOWS),
    address(Key::ServerHost, "server.host", Shape::Text, "Host of the server; an address literal when no name was seen. For DNS, the name asked for.").on(ANY),
    address(Key::ServerPort, "server.port", Shape::Number, "Port of the server."),
    address(Key::ServerPath, "server.path", Shape::Text, "Path of the server.").on(INVENTORY),
    address(Key::ServerScheme, "server.scheme", Shape::Text, "`http` in the clear, `https` inside TLS; `tcp` and `tls` for lines without HTTP.").values(&["http", "https", "tcp", "tls"]),
    address(Key::ServerIp, "server.ip", Shape::Ip, "Address that answers for the server (a proxy's, behind an explicit proxy)."),
    known(Key::ServerVerdict, "server.verdict", Shape::Text, "What the approvals say of this client's use of the server.").values(&["approved", "undetermined", "tool_not_allowed", "client_not_allowed", "expired", "portal_bypass", "unapproved"]),
    known(Key::ServerEvidence, "server.evidence", Shape::Text, "How sure it is that the server speaks MCP.").values(&["hint", "header", "parsed", "confirmed"]),
    known(Key::ServerAuth, "server.auth", Shape::Texts, "How this client authenticates to the server: `bearer`, `basic`, `cookie`, `x-api-key`, `query`."),
    known(Key::ServerUnauthenticatedResult, "server.unauthenticated_result", Shape::Bool, "A `tools/list` or `tools/call` without any credential was answered with a result."),
    known(Key::ServerCatalogued, "server.catalogued", Shape::Text, "Vendor of the public MCP service that the host is known for.").on(ANY),
    known(Key::ServerNamedForMcp, "server.named_for_mcp", Shape::Bool, "A label of the host says MCP by convention: `mcp`, `mcp-*`, `*-mcp`.").on(ANY),
    known(Key::ServerApproved, "server.approved", Shape::Bool, "An approval that holds for this client covers the host and port, whatever the path (for DNS: the host). For hints; `server.verdict` is exact.").on(ANY),
    known(Key::ServerViaProxy, "server.via_proxy", Shape::Bool, "The client reaches the server through an explicit proxy.").on(FLOWS),
    known(Key::ServerProxy, "server.proxy", Shape::Ip, "Address of that proxy.").on(FLOWS),
    known(Key::ServerProtocolVersions, "server.protocol_versions", Shape::Texts, "MCP revisions in force between client and server."),
    known(Key::ServerMethods, "server.methods", Shape::Texts, "Methods that this client has sent to the server."),
    address(Key::ClientIp, "client.ip", Shape::Ip, "Address of the client.").on(ANY),
    known(Key::ServerUnauthenticatedClients, "server.unauthenticated_clients", Shape::Number, "Client addresses that got a result from the server without any credential."),
    known(Key::ServerSessionBits, "server.session_bits", Shape::Number, "Least estimated randomness of the session ids that the server handed out, in bits."),
    known(Key::ServerSessionClients, "server.session_clients", Shape::Number, "Most client addresses that used one session of the server. IPv6 networks of /64 count as one, IPv4 and IPv6 apart, and what proxies pass on does not count."),
    known(Key::ServerTokenSharedWith, "server.token_shared_with", Shape::Texts, "Keys of MCP servers of other domains that got a bearer token or API key which this one got too."),
    known(Key::ServerSoftware, "server.software", Shape::Texts, "What the server says it is (`serverInfo`): `name/version`, or the name alone. Self-reported."),
    known(Key::ServerSameSoftwarePorts, "server.same_software_ports", Shape::Number, "Ports of the server's address on which the same `serverInfo` answers."),
    known(Key::ServerImpersonates, "server.impersonates", Shape::Text, "Name of an approved server, or of its approval, that this server, which is not approved, goes by."),
    known(Key::ServerLikeness, "server.likeness", Shape::Text, "How like the names are: the same, or one that looks the same or differs in one character.").values(&["same", "near"]),
    known(Key::ServerApproval, "server.approval", Shape::Text, "Name of the approval that decided on the verdict, also when it does not hold."),
    known(Key::ServerOwner, "server.owner", Shape::Text, "Owner that the approval names."),
    known(Key::ServerFirstContact, "server.first_contact", Shape::Bool, "It is the first exchange that the client had with the server in this run."),
    known(Key::ServerSameHost, "server.same_host", Shape::Bool, "Client and server have the same address."),
    known(Key::ServerProgramStarts, "server.program_starts", Shape::Texts, "How this client asked the server to start a program, as the proxy of MCP Inspector does: with its credential, without, or without and from a page of another host.").values(&["guarded", "open", "cross_origin"]),
    known(Key::ServerAdvisories, "server.advisories", Shape::Texts, "Advisories that the software of the server falls under by its self-reported name and version."),
    known(Key::ServerAdvisorySeverity, "server.advisory_severity", Shape::Text, "The highest severity among `server.advisories`.").values(SEVERITIES),
    known(Key::ClientSoftware, "client.software", Shape::Texts, "What the client says it is (`clientInfo`): `name/version`, or the name alone. Self-reported."),
    known(Key::ClientUserAgent, "client.user_agent", Shape::Texts, "`User-Agent` values of the client at this server."),
    known(Key::ClientAdvisories, "client.advisories", Shape::Texts, "Advisories that the software of the client falls under by its self-reported name and version."),
    known(Key::ClientAdvisorySeverity, "client.advisory_severity", Shape::Text, "The highest severity among `client.advisories`.").values(SEVERITIES),
];
