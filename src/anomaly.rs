//! Oddities of the traffic, as data: bytes from the network are never an error that travels.
//!
//! Every stage reports what it could not read, or what no honest peer would send, as an
//! [`Anomaly`]: counted in the statistics, matchable by rules, and never the end of the analysis.

use serde::Serialize;

/// The stage that saw the oddity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Link and network headers, fragments.
    Decode,
    /// TCP reassembly and the flow table.
    Flow,
    /// TLS and QUIC handshakes, records.
    Tls,
    /// HTTP/1 framing.
    Http1,
    /// HTTP/2 framing and header compression.
    Http2,
    /// WebSocket framing.
    #[serde(rename = "websocket")]
    WebSocket,
    /// Lines on a bare connection.
    Lines,
    /// Content coding and server-sent events.
    Content,
    /// JSON and JSON-RPC.
    JsonRpc,
    /// MCP above JSON-RPC.
    Mcp,
}

/// One oddity. `kind` is a stable, lower-case, hyphenated name such as `overlap-conflict`: rules
/// and statistics name it, so it never changes once released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Anomaly {
    /// Where it was seen.
    pub layer: Layer,
    /// Its stable name, unique within the layer.
    pub kind: &'static str,
}

impl Anomaly {
    /// An anomaly of a layer.
    #[must_use]
    pub const fn new(layer: Layer, kind: &'static str) -> Self {
        Self { layer, kind }
    }
}

impl Layer {
    /// Its name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Flow => "flow",
            Self::Tls => "tls",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::WebSocket => "websocket",
            Self::Lines => "lines",
            Self::Content => "content",
            Self::JsonRpc => "json_rpc",
            Self::Mcp => "mcp",
        }
    }
}

/// `flow/overlap-conflict`.
impl std::fmt::Display for Anomaly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.layer.name(), self.kind)
    }
}
