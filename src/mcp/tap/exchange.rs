//! One exchange while it is read, and what its heads say.

use std::sync::Arc;

use super::super::body::Body;
use super::super::head::RequestCopy;
use super::super::inventory::is_mcp_path;
use super::super::methods::{self, Class};
use super::super::oauth::Place;
use super::stream::Stream;
use crate::exchange::{Context, RequestHead};
use crate::net::Direction;
use crate::observation::{Channel, Kind, Message, RequestInfo, ResponseInfo};
use crate::secret::SecretHasher;

/// One exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) head: RequestCopy,
    pub(super) request: Option<Arc<RequestInfo>>,
    pub(super) response: Option<Arc<ResponseInfo>>,
    /// The head of the exchange hints at MCP, or a message was read.
    pub(super) matters: bool,
    /// The response head was reported.
    pub(super) answered: bool,
    /// A GET that asks for an event stream.
    pub(super) asks_for_events: bool,
    /// The request body carried JSON-RPC, or might have: it was cut or could not be decoded.
    pub(super) may_have_spoken: bool,
    pub(super) bodies: [Body; 2],
    /// The first bytes of the request body, once it is over, if they are kept.
    pub(super) start: Vec<u8>,
    /// How many of them `request` has.
    start_told: usize,
    pub(super) body_bytes: [u64; 2],
    pub(super) channel: Channel,
    /// What the exchange became, if messages came.
    pub(super) stream: Option<Box<Stream>>,
    pub(super) ambiguous: bool,
    /// A message was read.
    pub(super) spoke: bool,
    /// What OAuth document the response may be.
    pub(super) document: Place,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            head: RequestCopy::default(),
            request: None,
            response: None,
            matters: false,
            answered: false,
            asks_for_events: false,
            may_have_spoken: false,
            bodies: [Body::none(), Body::none()],
            start: Vec::new(),
            start_told: 0,
            body_bytes: [0; 2],
            channel: Channel::ResponseBody,
            stream: None,
            ambiguous: false,
            spoke: false,
            document: Place::Nowhere,
        }
    }
}

impl Exchange {
    /// Begins an exchange in the buffers of an older one.
    pub(super) fn begin(&mut self, context: &Context<'_>, number: u32) {
        let head = std::mem::take(&mut self.head);
        *self = Self { head, ..Self::default() };
        self.head.begin(context, number);
    }

    /// A copy under another number that reads on for itself in one direction, if that body can
    /// be copied.
    pub(super) fn fork(&self, number: u32, direction: Direction) -> Option<Box<Self>> {
        let [to_server, to_client] = &self.bodies;
        let bodies = match direction {
            Direction::ToServer => [to_server.fork()?, Body::none()],
            Direction::ToClient => [Body::none(), to_client.fork()?],
        };
        Some(Box::new(Self {
            head: self.head.renumbered(number),
            response: self.response.clone(),
            matters: self.matters,
            answered: true,
            asks_for_events: self.asks_for_events,
            may_have_spoken: self.may_have_spoken,
            bodies,
            start: match direction {
                Direction::ToServer => Vec::new(),
                Direction::ToClient => self.start_so_far().to_vec(),
            },
            channel: self.channel,
            ambiguous: true,
            ..Self::default()
        }))
    }

    pub(super) fn body(&mut self, direction: Direction) -> &mut Body {
        let [to_server, to_client] = &mut self.bodies;
        if direction == Direction::ToServer { to_server } else { to_client }
    }

    pub(super) fn count(&mut self, direction: Direction, bytes: usize) {
        let [to_server, to_client] = &mut self.body_bytes;
        let count = if direction == Direction::ToServer { to_server } else { to_client };
        *count = count.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn start_so_far(&self) -> &[u8] {
        let [to_server, _] = &self.bodies;
        if self.start.is_empty() { to_server.start() } else { &self.start }
    }

    /// What is known of the request: its head, and as much of the start of its body as was seen,
    /// if that is kept. Made when first needed, and again when more of the body has come.
    pub(super) fn request(&mut self, hasher: &SecretHasher) -> Arc<RequestInfo> {
        let start = self.start_so_far();
        let len = start.len();
        match &self.request {
            Some(request) if self.start_told == len => return Arc::clone(request),
            _ => {}
        }
        let body_head = (len > 0).then(|| String::from_utf8_lossy(start).into());
        let info = match self.request.take() {
            Some(known) => Arc::unwrap_or_clone(known),
            None => self.head.materialise(hasher),
        };
        let request = Arc::new(RequestInfo { body_head, ..info });
        self.request = Some(Arc::clone(&request));
        self.start_told = len;
        request
    }
}

/// Whether a head is worth an observation whatever the bodies say: fields that only MCP uses, a
/// path by convention, or the discovery document of RFC 9728.
pub(super) fn hints_at_mcp(head: &RequestHead<'_>) -> bool {
    let field = |(name, _): (&[u8], &[u8])| starts_ignoring_case(name, b"mcp-");
    let subprotocol = |value| is_mcp_subprotocol(value);
    let mut parts = head.target.splitn(2, |byte| *byte == b'?');
    let path = parts.next().unwrap_or_default();
    // By this MCP Inspector's proxy is told what to start.
    let starts = |query| memchr::memmem::find(query, b"transportType=").is_some();
    head.headers.iter().any(field)
        || head.headers.get_all(SUBPROTOCOL).any(subprotocol)
        || memchr::memmem::find(path, b"/.well-known/oauth-").is_some()
        || std::str::from_utf8(path).is_ok_and(is_mcp_path)
        || parts.next().is_some_and(starts)
}

/// The field that names the protocol on a WebSocket (RFC 6455 section 11.3.4).
pub(super) const SUBPROTOCOL: &str = "sec-websocket-protocol";

/// Whether a list of subprotocols has the one by which the SDKs call MCP on WebSocket.
pub(super) fn is_mcp_subprotocol(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(b"mcp"))
}

pub(super) fn starts_ignoring_case(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Enough to keep the flow when memory runs short.
pub(super) fn is_surely_mcp(message: &Message) -> bool {
    let class = message.method.as_deref().and_then(methods::lookup).map(|known| known.class);
    class == Some(Class::Exclusive)
        || message.modern_envelope
        || (message.kind == Kind::Result && message.server.is_some())
}

/// Whether a stream that carries this message is worth reading on.
pub(super) fn is_telling(message: &Message) -> bool {
    let class = message.method.as_deref().and_then(methods::lookup).map(|known| known.class);
    let is_handshake = message.protocol_version.is_some()
        && (message.client.is_some() || message.server.is_some());
    matches!(class, Some(Class::Exclusive | Class::Weak)) || message.modern_envelope || is_handshake
}

/// The `charset` parameter of a media type (RFC 9110 section 8.3.2).
pub(super) fn charset(media: &[u8]) -> Option<&[u8]> {
    let mut parameters = media.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii);
    let value = parameters.find(|text| starts_ignoring_case(text, b"charset="))?.get(8..)?;
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
}
