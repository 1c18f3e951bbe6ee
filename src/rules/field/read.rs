//! Reading the value of a field from a subject.

use std::fmt;
use std::net::IpAddr;

use super::names::{handshake, look_up, named};
use super::texts::{of_message, of_tool};
use super::{Field, Header, Key, contact};
use crate::exchange::{Provenance, Version, Visibility};
use crate::mcp::Evidence;
use crate::net::Direction;
use crate::observation::{
    Auth, Channel, DefinitionKind, Field as HeaderField, Kind, Message, RequestInfo,
};
use crate::rules::subject::{MessageFacts, Subject};
use crate::verdict::Verdict;

/// One value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(i64),
    /// True or false.
    Bool(bool),
    /// An address.
    Ip(IpAddr),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Bool(bool) => bool.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// Called once per value; true ends the visit.
pub(super) type Each<'e, 'a> = &'e mut dyn FnMut(Value<'a>) -> bool;

impl Field {
    /// Gives each value of the field to `each` until it answers true, and returns whether it did.
    /// A field that the subject does not have gives nothing.
    pub fn visit<'a>(
        &self,
        subject: &Subject<'a>,
        each: &mut dyn FnMut(Value<'a>) -> bool,
    ) -> bool {
        // The keys are ordered as the rows of the catalogue are.
        match self.key() {
            key if key <= Key::RequestHeader => request(self, subject, each),
            key if key <= Key::ResponseHeader => response(self, subject, each),
            key if key <= Key::OauthEndpointSchemes => contact::exchange(key, subject, each),
            key if key <= Key::ReplyErrorCode => {
                subject.message.is_some_and(|facts| message(key, &facts, each))
            }
            key if key <= Key::CopiedKinds => of_message(self, subject, each),
            key if key <= Key::ToolFirstUse => of_tool(self, subject, each),
            key if key <= Key::TlsCertificateNames => {
                subject.tls.is_some_and(|tls| handshake(key, tls, each))
            }
            key if key <= Key::DnsServer => subject.dns.is_some_and(|dns| look_up(key, dns, each)),
            key if key > Key::ClientIp => contact::known(key, subject, each),
            key => match (subject.tls, subject.dns) {
                (Some(tls), _) => named(key, Some(tls), &tls.standing, subject, each),
                (_, Some(dns)) => named(key, None, &dns.standing, subject, each),
                _ => address(key, subject, each) || inventory(key, subject, each),
            },
        }
    }

    /// The first value, rendered.
    #[must_use]
    pub fn first(&self, subject: &Subject<'_>) -> Option<String> {
        let mut found = None;
        self.visit(subject, &mut |value| {
            found = Some(value.to_string());
            true
        });
        found
    }
}

fn request<'a>(field: &Field, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    let Some(request) = subject.request.filter(|request| request.seen) else {
        return false;
    };
    match field.key() {
        Key::HttpMethod => text(&request.method, each),
        Key::HttpPath => text(&request.path, each),
        Key::HttpHost => opt_text(request.host.as_deref(), each),
        Key::HttpPort => each(Value::Number(request.port.into())),
        Key::HttpScheme => text(request.scheme.as_str(), each),
        Key::HttpVersion => text(version_name(request.version), each),
        Key::HttpVisibility => text(visibility_name(request.visibility), each),
        Key::HttpSource => text(source(request), each),
        Key::HttpUser => opt_text(provenance(request, |known| known.user.as_deref()), each),
        Key::HttpDevice => opt_text(provenance(request, |known| known.device.as_deref()), each),
        Key::HttpGroups => {
            let groups = request.provenance.as_deref().map(|known| &known.groups);
            texts(groups.into_iter().flatten().map(|group| &**group), each)
        }
        Key::HttpViaProxy => each(Value::Bool(request.via_proxy)),
        Key::HttpUserAgent => opt_text(request.user_agent.as_deref(), each),
        Key::HttpOrigin => opt_text(request.origin.as_deref(), each),
        Key::HttpContentType => opt_text(request.content_type.as_deref(), each),
        Key::HttpAcceptsJson => each(Value::Bool(request.accepts_json)),
        Key::HttpAcceptsSse => each(Value::Bool(request.accepts_sse)),
        Key::HttpProtocolVersion => opt_text(request.protocol_version.as_deref(), each),
        Key::HttpMcpMethod => opt_text(request.mcp_method.as_deref(), each),
        Key::HttpMcpName => opt_text(request.mcp_name.as_deref(), each),
        Key::HttpSession => each(Value::Bool(request.session.is_some())),
        Key::HttpAuth => auth(&request.auth, each),
        Key::HttpQueryKeys => texts(request.query_keys.iter().map(String::as_str), each),
        Key::RequestHeaderNames => header_names(&request.headers, each),
        Key::RequestHeader => headers(&request.headers, field.header(), each),
        _ => false,
    }
}

fn response<'a>(field: &Field, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    if field.key() == Key::ResponseSseEndpoint {
        return opt_text(subject.sse_endpoint, each);
    }
    let Some(response) = subject.response else {
        return false;
    };
    match field.key() {
        Key::ResponseStatus => each(Value::Number(response.status.into())),
        Key::ResponseContentType => opt_text(response.content_type.as_deref(), each),
        Key::ResponseResourceMetadata => each(Value::Bool(response.resource_metadata)),
        Key::ResponseSession => each(Value::Bool(response.session.is_some())),
        Key::ResponseLocationHost => {
            opt_text(response.location.as_ref().map(|(host, ..)| host.as_str()), each)
        }
        Key::ResponseHeaderNames => header_names(&response.headers, each),
        Key::ResponseHeader => headers(&response.headers, field.header(), each),
        _ => false,
    }
}

fn message<'a>(key: Key, facts: &MessageFacts<'a>, each: Each<'_, 'a>) -> bool {
    match key {
        Key::McpDirection => text(direction_name(facts.direction), each),
        Key::McpChannel => text(channel_name(facts.channel), each),
        Key::McpAmbiguous => each(Value::Bool(facts.ambiguous)),
        Key::McpDisagreement => texts(facts.disagreements.iter().copied(), each),
        Key::ReplyKind => opt_text(facts.reply.and_then(|r| r.kind).map(kind_name), each),
        Key::ReplyStatus => number(facts.reply.and_then(|r| r.status).map(i64::from), each),
        Key::ReplyErrorCode => number(facts.reply.and_then(|r| r.error_code), each),
        key => content(key, facts.message, each),
    }
}

/// What the message itself says.
fn content<'a>(key: Key, message: &'a Message, each: Each<'_, 'a>) -> bool {
    let client = message.client.as_ref();
    let server = message.server.as_ref();
    match key {
        Key::McpMethod => opt_text(message.method.as_deref(), each),
        Key::McpKind => text(kind_name(message.kind), each),
        Key::McpName => opt_text(message.name.as_deref(), each),
        Key::McpUri => opt_text(message.uri.as_deref(), each),
        Key::McpArguments => opt_text(message.arguments.as_deref(), each),
        Key::McpProtocolVersion => opt_text(message.protocol_version.as_deref(), each),
        Key::McpModernEnvelope => each(Value::Bool(message.modern_envelope)),
        Key::McpMetaKeys => texts(message.meta_keys.iter().map(String::as_str), each),
        Key::McpBodyKeys => texts(message.body_keys.iter().map(String::as_str), each),
        Key::McpResultType => opt_text(message.result_type.as_deref(), each),
        Key::McpInputRequests => texts(message.input_requests.iter().map(String::as_str), each),
        Key::McpIsError => message.is_error.is_some_and(|value| each(Value::Bool(value))),
        Key::McpErrorCode => number(message.error_code, each),
        Key::McpBatched => each(Value::Bool(message.batched)),
        Key::McpDuplicateKeys => each(Value::Bool(message.duplicate_keys)),
        Key::McpPartial => each(Value::Bool(message.partial)),
        Key::McpSize => number(i64::try_from(message.size).ok(), each),
        Key::McpToolNames => definitions(message, &[DefinitionKind::Tool], each),
        Key::McpPromptNames => definitions(message, &[DefinitionKind::Prompt], each),
        Key::McpResourceUris => {
            let kinds = [DefinitionKind::Resource, DefinitionKind::ResourceTemplate];
            definitions(message, &kinds, each)
        }
        Key::McpClientName => opt_text(client.map(|client| client.name.as_str()), each),
        Key::McpClientVersion => opt_text(client.map(|client| client.version.as_str()), each),
        Key::McpServerName => opt_text(server.map(|server| server.name.as_str()), each),
        Key::McpServerVersion => opt_text(server.map(|server| server.version.as_str()), each),
        _ => false,
    }
}

/// Where client and server are: from the inventory, else from the request.
fn address<'a>(key: Key, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    let (contact, request) = (subject.contact, subject.request);
    match key {
        Key::ServerHost => {
            let host = contact.map(|contact| contact.host.as_str());
            opt_text(host.or_else(|| request.and_then(|request| request.host.as_deref())), each)
        }
        Key::ServerPort => {
            let port = contact.map(|contact| contact.port);
            number(port.or_else(|| request.map(|request| request.port)).map(i64::from), each)
        }
        Key::ServerPath => {
            let path = contact.map(|contact| contact.path.as_str());
            opt_text(path.or_else(|| request.map(|request| request.path.as_str())), each)
        }
        Key::ServerScheme => {
            let scheme = contact.map(|contact| contact.scheme);
            let scheme = scheme.or_else(|| request.map(|request| request.scheme));
            scheme.is_some_and(|scheme| each(Value::Text(scheme.as_str())))
        }
        Key::ServerIp => {
            let server = contact.map(|contact| contact.server);
            let server = server.or_else(|| request.map(|request| request.server.ip));
            server.is_some_and(|server| known_ip(server, each))
        }
        Key::ClientIp => {
            let client = contact.map(|contact| contact.client);
            let client = client.or_else(|| request.map(|request| request.client.ip));
            client.is_some_and(|client| known_ip(client, each))
        }
        Key::ServerEvidence => text(evidence_name(subject.evidence), each),
        _ => false,
    }
}

fn inventory<'a>(key: Key, subject: &Subject<'a>, each: Each<'_, 'a>) -> bool {
    if key == Key::ServerMethods {
        return texts(subject.methods.iter().map(String::as_str), each);
    }
    let Some(contact) = subject.contact else {
        return false;
    };
    match key {
        Key::ServerUrl => text(&contact.key, each),
        Key::ServerVerdict => text(verdict_name(contact.verdict), each),
        Key::ServerAuth => texts(contact.auth.iter().map(String::as_str), each),
        Key::ServerUnauthenticatedResult => each(Value::Bool(contact.unauthenticated_result)),
        Key::ServerCatalogued => opt_text(contact.catalogued.as_deref(), each),
        Key::ServerNamedForMcp => each(Value::Bool(contact.named_for_mcp)),
        Key::ServerApproved => each(Value::Bool(contact.approved)),
        Key::ServerProxy => contact.proxy.is_some_and(|proxy| each(Value::Ip(proxy))),
        Key::ServerViaProxy => each(Value::Bool(contact.via_proxy)),
        Key::ServerProtocolVersions => {
            texts(contact.protocol_versions.iter().map(String::as_str), each)
        }
        _ => false,
    }
}

pub(super) fn text<'a>(value: &'a str, each: Each<'_, 'a>) -> bool {
    each(Value::Text(value))
}

pub(super) fn opt_text<'a>(value: Option<&'a str>, each: Each<'_, 'a>) -> bool {
    value.is_some_and(|value| each(Value::Text(value)))
}

pub(super) fn number<'a>(value: Option<i64>, each: Each<'_, 'a>) -> bool {
    value.is_some_and(|value| each(Value::Number(value)))
}

pub(super) fn texts<'a>(mut values: impl Iterator<Item = &'a str>, each: Each<'_, 'a>) -> bool {
    values.any(|value| each(Value::Text(value)))
}

fn header_names<'a>(fields: &'a [HeaderField], each: Each<'_, 'a>) -> bool {
    texts(fields.iter().map(|field| field.name.as_str()), each)
}

fn headers<'a>(fields: &'a [HeaderField], wanted: Option<&Header>, each: Each<'_, 'a>) -> bool {
    let Some(wanted) = wanted else {
        return false;
    };
    let named = |name: &str| {
        if wanted.prefix { name.starts_with(&*wanted.name) } else { name == &*wanted.name }
    };
    texts(fields.iter().filter(|field| named(&field.name)).map(|field| field.value.as_str()), each)
}

fn auth<'a>(auth: &'a Auth, each: Each<'_, 'a>) -> bool {
    opt_text(auth.scheme.as_deref(), each)
        || opt_text(auth.api_key_header.as_deref(), each)
        || (auth.cookie && text("cookie", each))
        || (!auth.in_query.is_empty() && text("query", each))
}

fn definitions<'a>(message: &'a Message, kinds: &[DefinitionKind], each: Each<'_, 'a>) -> bool {
    let listed = message.definitions.iter().filter(|listed| kinds.contains(&listed.kind));
    texts(listed.map(|listed| listed.name.as_str()), each)
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "request",
        Kind::Notification => "notification",
        Kind::Result => "result",
        Kind::Error => "error",
    }
}

const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "to_server",
        Direction::ToClient => "to_client",
    }
}

const fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::RequestBody => "request_body",
        Channel::ResponseBody => "response_body",
        Channel::Sse => "sse",
        Channel::WebSocket => "web_socket",
        Channel::Line => "line",
    }
}

const fn version_name(version: Version) -> &'static str {
    match version {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
        Version::Http2 => "2",
    }
}

fn source(request: &RequestInfo) -> &str {
    request.provenance.as_deref().map_or("packets", |known| &*known.source)
}

fn provenance<'a>(
    request: &'a RequestInfo,
    of: impl FnOnce(&'a Provenance) -> Option<&'a str>,
) -> Option<&'a str> {
    request.provenance.as_deref().and_then(of)
}

/// An address that is not known is none.
pub(super) fn known_ip(ip: IpAddr, each: Each<'_, '_>) -> bool {
    !ip.is_unspecified() && each(Value::Ip(ip))
}

const fn visibility_name(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Tls => "tls",
        Visibility::Log => "log",
        Visibility::Head => "head",
        Visibility::Body => "body",
    }
}

pub(in crate::rules) const fn evidence_name(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Hint => "hint",
        Evidence::Header => "header",
        Evidence::Parsed => "parsed",
        Evidence::Confirmed => "confirmed",
    }
}

const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approved",
        Verdict::Undetermined => "undetermined",
        Verdict::ToolNotAllowed => "tool_not_allowed",
        Verdict::ClientNotAllowed => "client_not_allowed",
        Verdict::Expired => "expired",
        Verdict::PortalBypass => "portal_bypass",
        Verdict::Unapproved => "unapproved",
    }
}
