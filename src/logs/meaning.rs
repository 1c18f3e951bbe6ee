//! What fields of logs can mean: the words that all formats have in common.

use std::borrow::Cow;

use serde::Deserialize;

/// What a field of a log says. The names are those of the generic reader's mapping files.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Time of the line: RFC 3339, seconds, milliseconds, microseconds or nanoseconds since the
    /// epoch (by size), `22/Nov/2026:08:00:00 +0000` and its like (see [`timestamp`](super::timestamp)).
    Time,
    /// Date of a line whose time of day has a field of its own.
    Date,
    /// That time of day, UTC.
    TimeOfDay,
    /// Address of the client, perhaps with a port behind a colon.
    Client,
    /// Port of the client.
    ClientPort,
    /// Address that the client talked to, perhaps with a port.
    Server,
    /// Port that the client talked to.
    ServerPort,
    /// Address of the proxy that the client talked to, perhaps with a port.
    Proxy,
    /// HTTP method.
    Method,
    /// URL; the scheme may be left out (`mcp.example.com/mcp`), of `CONNECT` it is an authority.
    Url,
    /// URI scheme: `http`, `https`; `ssl`, `tls`, `tunnel` and `tcp` stand for a tunnel.
    Scheme,
    /// Host, perhaps with a port.
    Host,
    /// Port of the URL.
    Port,
    /// Request target as sent, or path and query.
    Target,
    /// Path, without query.
    Path,
    /// Query, with or without `?`.
    Query,
    /// `METHOD target HTTP/1.1`.
    RequestLine,
    /// `HTTP/1.1`, `1.1`, `h2`, `HTTP/2.0`.
    Version,
    /// Status code; 0 where there was no answer.
    Status,
    /// `User-Agent`.
    UserAgent,
    /// `Referer`.
    Referer,
    /// `Origin`.
    OriginHeader,
    /// `Accept`.
    Accept,
    /// `Content-Type` of the request.
    RequestType,
    /// `Content-Type` of the response.
    ResponseType,
    /// `Mcp-Session-Id` of the request.
    McpSession,
    /// `Mcp-Session-Id` of the response.
    ResponseMcpSession,
    /// `MCP-Protocol-Version`.
    McpVersion,
    /// `Mcp-Method`.
    McpMethod,
    /// `Mcp-Name`.
    McpName,
    /// `WWW-Authenticate`.
    WwwAuthenticate,
    /// `Location` of the response.
    Location,
    /// Body of the request, as sent and whole unless the format says that it was cut.
    RequestBody,
    /// Body of the response, likewise.
    ResponseBody,
    /// Bytes of the request, as the source counts them.
    RequestBytes,
    /// Bytes of the response, likewise.
    ResponseBytes,
    /// Method of the JSON-RPC message in the request.
    RpcMethod,
    /// `params.name` of it: the tool or prompt.
    RpcName,
    /// `params.uri` of it.
    RpcUri,
    /// Who was at the client.
    User,
    /// The client's machine.
    Device,
    /// A group of that user; several may come.
    Group,
    /// Host of `server_name`.
    Sni,
    /// ALPN protocol chosen.
    Alpn,
    /// TLS version chosen: `TLSv1.3`, `TLSv13`, `TLS 1.2`.
    TlsVersion,
    /// JA4 fingerprint of the client.
    Ja4,
    /// DNS name of the server's certificate; several may come.
    CertificateName,
    /// Name that was asked of DNS.
    DnsName,
    /// Type of that question: `A`, `HTTPS`, `65`.
    DnsType,
    /// Response code of DNS: number or name.
    DnsCode,
    /// Address in an answer of DNS; several may come.
    DnsAddress,
    /// Community id of the flow.
    CommunityId,
    /// The request's id.
    RequestId,
    /// What the source did: `blocked`, `deny`, `TCP_DENIED` and their like mean that the request
    /// was not let through.
    Action,
    /// Transport: `tcp`, `udp`, `quic`.
    Transport,
    /// Nothing that is used. For tables that are to be complete.
    Unused,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text, escapes undone.
    Text(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// True or false.
    Bool(bool),
}

impl<'a> Value<'a> {
    /// Borrowed text.
    #[must_use]
    pub const fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}
