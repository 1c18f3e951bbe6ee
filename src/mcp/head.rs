//! Request and response heads into what the inventory and rules may know of them.
//!
//! Heads are kept as raw copies until an exchange turns out to matter; most never do, and cost
//! one copy of a few hundred bytes into a buffer that is used again.

mod credentials;
mod origin;
mod sentinel;
mod target;
mod token;

use std::net::IpAddr;
use std::sync::Arc;

use crate::exchange::{
    Context, HeaderSpan, Headers, Provenance, RequestHead, ResponseHead, Scheme, Version,
    Visibility,
};
use crate::flow::At;
use crate::inspect::randomness::bits;
use crate::net::{Endpoint, Scope};
use crate::observation::{ExchangeId, RequestInfo, ResponseInfo, SecretHash};
use crate::secret::SecretHasher;
use crate::time::Timestamp;
use credentials::{auth, fields};
use origin::Origin;
pub(super) use origin::is_this_machine;
pub(super) use sentinel::decode_sentinel;
pub(super) use target::split_uri_authority;
use target::{Query, Target, location, split_authority};

/// Header fields kept per message for rules; more are dropped.
const MAX_FIELDS: usize = 64;
/// Longest value kept, in bytes.
const MAX_VALUE_BYTES: usize = 512;
/// Longest path kept, in bytes.
const MAX_PATH_BYTES: usize = 1024;
/// Longest value of a field that mirrors a part of the body, in bytes.
const MAX_MIRROR_BYTES: usize = 4096;

/// A request head copied out of the capture buffer, and who sent it to whom.
#[derive(Clone, Debug)]
pub(super) struct RequestCopy {
    bytes: Vec<u8>,
    spans: Vec<HeaderSpan>,
    method_len: usize,
    target_len: usize,
    version: Version,
    id: ExchangeId,
    client: Endpoint,
    server: Endpoint,
    scope: Scope,
    scheme: Scheme,
    visibility: Visibility,
    tunnel: Option<String>,
    at: At,
    provenance: Option<Arc<Provenance>>,
    seen: bool,
}

impl Default for RequestCopy {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            spans: Vec::new(),
            method_len: 0,
            target_len: 0,
            version: Version::Http11,
            id: ExchangeId { flow: 0, number: 0 },
            client: Endpoint::UNKNOWN,
            server: Endpoint::UNKNOWN,
            scope: Scope::default(),
            scheme: Scheme::Http,
            visibility: Visibility::Body,
            tunnel: None,
            at: At { packet: 0, time: Timestamp::EPOCH },
            provenance: None,
            seen: false,
        }
    }
}

impl RequestCopy {
    /// Begins a copy, in the buffers of an older one.
    pub(super) fn begin(&mut self, context: &Context<'_>, number: u32) {
        self.bytes.clear();
        self.spans.clear();
        (self.method_len, self.target_len) = (0, 0);
        self.version = Version::Http11;
        self.id = ExchangeId { flow: context.flow, number };
        (self.client, self.server) = (context.client, context.server);
        self.scope = context.scope;
        (self.scheme, self.visibility) = (context.scheme, context.visibility);
        self.tunnel = context.tunnel.map(str::to_owned);
        self.at = context.at;
        self.provenance = context.provenance.cloned();
        self.seen = false;
    }

    /// The same head in another exchange of the flow.
    pub(super) fn renumbered(&self, number: u32) -> Self {
        Self { id: ExchangeId { number, ..self.id }, ..self.clone() }
    }

    /// Capacity of the buffers, in bytes.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<HeaderSpan>()
    }

    /// Takes a copy of the head: method, target, then the fields as they were received.
    pub(super) fn fill(&mut self, head: &RequestHead<'_>) {
        self.bytes.clear();
        self.bytes.extend_from_slice(head.method);
        self.bytes.extend_from_slice(head.target);
        (self.method_len, self.target_len) = (head.method.len(), head.target.len());
        self.version = head.version;
        self.seen = true;
        self.spans.clear();
        for (name, value) in head.headers.iter() {
            let span = HeaderSpan {
                name_start: self.append(name),
                name_end: self.end(),
                value_start: self.append(value),
                value_end: self.end(),
            };
            self.spans.push(span);
        }
    }

    fn append(&mut self, bytes: &[u8]) -> u32 {
        let start = self.end();
        self.bytes.extend_from_slice(bytes);
        start
    }

    fn end(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn headers(&self) -> Headers<'_> {
        Headers { bytes: &self.bytes, spans: &self.spans }
    }

    pub(super) fn method(&self) -> &[u8] {
        self.bytes.get(..self.method_len).unwrap_or_default()
    }

    fn target(&self) -> &[u8] {
        self.bytes.get(self.method_len..self.method_len + self.target_len).unwrap_or_default()
    }

    /// Whether the capture has the request.
    pub(super) const fn is_seen(&self) -> bool {
        self.seen
    }

    /// Path and session of the message URI that an `endpoint` event names: relative, or of the
    /// origin of this request (MCP 2024-11-05, HTTP with SSE). `None` for anything else.
    pub(super) fn message_uri(&self, uri: &str, hasher: &SecretHasher) -> Option<MessageUri> {
        let target = Target::parse(uri.as_bytes());
        let same_origin = match target.authority {
            None => uri.starts_with('/') && !uri.starts_with("//"),
            Some(authority) => {
                let (host, port) = split_uri_authority(authority);
                let own = self.materialise(hasher);
                let scheme = target.scheme.unwrap_or(own.scheme);
                own.host.is_none_or(|own| own == host)
                    && port.unwrap_or_else(|| scheme.default_port()) == own.port
            }
        };
        let session = Query::parse(target.query).session;
        let plausible = same_origin && !uri.contains(['{', ' ', '\n', '<']);
        plausible.then(|| MessageUri {
            path: bounded_to(target.path, MAX_PATH_BYTES),
            session: session.map(|secret| hasher.hash(secret)),
            session_bits: session.map(bits),
        })
    }

    /// The head in the form that observations carry.
    pub(super) fn materialise(&self, hasher: &SecretHasher) -> RequestInfo {
        let headers = self.headers();
        let target = if self.method() == b"CONNECT" {
            Target::authority(self.target())
        } else {
            Target::parse(self.target())
        };
        let scheme = target.scheme.unwrap_or(self.scheme);
        let (host, port, via_proxy) = self.origin(&target, scheme);
        let query = Query::parse(target.query);
        let text = |name: &str| headers.get(name).map(bounded);
        let Origin { host: origin_host, cross: cross_origin } =
            Origin::read(&headers, host.as_deref());
        let accept = |media: &str| {
            headers.get_all("accept").any(|value| lossy(value).to_ascii_lowercase().contains(media))
        };
        RequestInfo {
            id: self.id,
            client: self.client,
            server: self.server,
            via: None,
            scope: self.scope,
            scheme,
            visibility: self.visibility,
            at: self.at,
            provenance: self.provenance.clone(),
            seen: self.seen,
            version: self.version,
            host: host.filter(|host| !host.is_empty()),
            port,
            path: match scheme {
                Scheme::Http | Scheme::Https => bounded_to(target.path, MAX_PATH_BYTES),
                Scheme::Tcp | Scheme::Tls => String::new(),
            },
            method: bounded(self.method()),
            via_proxy,
            user_agent: text("user-agent"),
            origin: text("origin"),
            content_type: headers.get("content-type").map(media_type),
            accepts_json: accept("application/json"),
            accepts_sse: accept("text/event-stream"),
            protocol_version: text("mcp-protocol-version"),
            mcp_method: text("mcp-method"),
            mcp_name: headers
                .get("mcp-name")
                .map(|value| decode_sentinel(&bounded_to(value, MAX_MIRROR_BYTES))),
            session: headers
                .get("mcp-session-id")
                .or(query.session)
                .map(|secret| hasher.hash(secret)),
            auth: auth(&headers, &query),
            headers: fields(&headers),
            query_keys: query.keys,
            origin_host,
            cross_origin,
            session_in_query: query.session.is_some(),
            transport_type: query.transport_type,
            has_command: query.has_command,
            token: token::credential(&headers).map(|secret| hasher.hash(secret)),
            audience: token::audience(&headers),
            body_head: None,
        }
    }
}

/// What the message URI of HTTP+SSE says.
#[derive(Debug)]
pub(super) struct MessageUri {
    pub(super) path: String,
    pub(super) session: Option<SecretHash>,
    pub(super) session_bits: Option<u32>,
}

impl RequestCopy {
    /// Host and port of the server key, and whether a proxy is in between. A target in absolute
    /// form goes to a proxy, unless it names the very address that it was sent to. A `Host`
    /// without a port is taken to mean the port of the connection: behind a port that is mapped
    /// or forwarded, clients leave it out, and two servers on one host must stay two.
    fn origin(&self, target: &Target<'_>, scheme: Scheme) -> (Option<String>, u16, bool) {
        let Some(authority) = target.authority.or(self.tunnel.as_deref()) else {
            let named = self.headers().get("host").map(|host| split_authority(&lossy(host)));
            let (host, port) = named.unzip();
            return (host, port.flatten().unwrap_or(self.server.port), false);
        };
        let (host, port) = split_uri_authority(authority);
        let port = port.unwrap_or_else(|| scheme.default_port());
        let is_direct = self.tunnel.is_none()
            && port == self.server.port
            && host.parse::<IpAddr>().is_ok_and(|ip| ip == self.server.ip);
        (Some(host), port, !is_direct)
    }
}

/// A response head in the form that observations carry.
pub(super) fn response(head: &ResponseHead<'_>, hasher: &SecretHasher) -> ResponseInfo {
    let headers = &head.headers;
    let contains = |value: &[u8], needle: &[u8]| memchr::memmem::find(value, needle).is_some();
    ResponseInfo {
        status: head.status,
        version: head.version,
        content_type: headers.get("content-type").map(media_type),
        session: headers.get("mcp-session-id").map(|secret| hasher.hash(secret)),
        session_bits: headers.get("mcp-session-id").map(bits),
        may_be_document: false,
        resource_metadata: headers
            .get_all("www-authenticate")
            .any(|value| contains(&value.to_ascii_lowercase(), b"resource_metadata=")),
        location: headers.get("location").and_then(location),
        headers: fields(headers),
    }
}

/// Media type without parameters, lower case.
fn media_type(value: &[u8]) -> String {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    bounded_to(essence, 128).trim().to_ascii_lowercase()
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn bounded(bytes: &[u8]) -> String {
    bounded_to(bytes, MAX_VALUE_BYTES)
}

fn bounded_to(bytes: &[u8], max: usize) -> String {
    lossy(bytes.get(..max).unwrap_or(bytes)).into_owned()
}
