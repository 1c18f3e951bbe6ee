//! What tells servers apart, and how messages travel to and from them.

use std::fmt;

use crate::exchange::Scheme;
use crate::observation::{Channel, RequestInfo};

/// Identity of a server: scheme, host, port and path; the address where no host was named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey {
    /// Clear or TLS, HTTP (WebSocket too) or bare lines.
    pub scheme: Scheme,
    /// Host in lower case, or an address literal.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path; empty when there is no HTTP.
    pub path: String,
}

impl ServerKey {
    /// The key of the server that a request went to.
    #[must_use]
    pub fn of(request: &RequestInfo) -> Self {
        Self {
            scheme: request.scheme,
            host: request.host.clone().unwrap_or_else(|| request.server.ip.to_string()),
            port: request.port,
            path: request.path.clone(),
        }
    }

    /// The same origin with another path.
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }
}

/// `http://mcp.example:8080/mcp`, `tcp://192.0.2.7:9000`; IPv6 literals in brackets.
impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path } = self;
        let scheme = scheme.as_str();
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}{path}")
        } else {
            write!(f, "{scheme}://{host}:{port}{path}")
        }
    }
}

/// How messages travel to and from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// HTTP+SSE of 2024-11-05: a GET stream and a message URI.
    HttpSse,
    /// Streamable HTTP, 2025-03-26 to 2025-11-25.
    StreamableHttp,
    /// Streamable HTTP without sessions or handshake, 2026-07-28.
    Stateless,
    /// WebSocket, which the SDKs have and no revision describes.
    WebSocket,
    /// Lines on a bare connection: stdio in a tunnel.
    Lines,
}

impl Transport {
    /// That of a message on a stream that carries messages both ways; `None` for HTTP bodies.
    #[must_use]
    pub const fn of_stream(channel: Channel) -> Option<Self> {
        match channel {
            Channel::WebSocket => Some(Self::WebSocket),
            Channel::Line => Some(Self::Lines),
            Channel::RequestBody | Channel::ResponseBody | Channel::Sse => None,
        }
    }

    /// Whether the transport belongs to one era of the protocol (with a handshake or without).
    #[must_use]
    pub const fn tells_era(self) -> bool {
        matches!(self, Self::HttpSse | Self::StreamableHttp | Self::Stateless)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HttpSse => "http+sse",
            Self::StreamableHttp => "streamable-http",
            Self::Stateless => "streamable-http-stateless",
            Self::WebSocket => "websocket",
            Self::Lines => "json-lines",
        })
    }
}
