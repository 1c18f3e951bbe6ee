//! Records into steps of exchanges.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Record, Stance};
use crate::exchange::{
    Carrier, Context, DnsAddress, DnsMessage, End, ExchangeEvent, ExchangeSink, HeaderSpan,
    Headers, Provenance, RequestHead, ResponseHead, Scheme, TlsAnswer, TlsEvent, TlsHello, Version,
    Visibility,
};
use crate::flow::At;
use crate::fnv::Fnv;
use crate::net::{Endpoint, Scope};
use crate::time::Timestamp;

/// Where a record stands.
#[derive(Clone, Debug)]
pub struct Place {
    /// A number that no other flow of the run has.
    pub flow: u64,
    /// The line, and its time.
    pub at: At,
    /// Where the source stands, unless the record shows otherwise.
    pub stance: Stance,
    /// Kind of the source: name of the format.
    pub source: Arc<str>,
}

/// Buffers that are used again, and what need not be told again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// When a client's use of a host was told last.
    told: HashMap<(Option<IpAddr>, u64), Timestamp>,
    bytes: Vec<u8>,
    spans: Vec<HeaderSpan>,
    target: Vec<u8>,
}

/// Gives what a record says to `sink`, as a flow of its own: an exchange, the names of a flow
/// whose content the source did not see, or a DNS message. False if it says nothing of them. Of
/// exchanges in TLS that a log tells in part, the name is given too, once a minute for each client
/// and host: it counts if the exchange turns out to prove nothing.
pub fn feed<S: ExchangeSink>(
    record: &Record<'_>,
    place: &Place,
    scratch: &mut Scratch,
    sink: &mut S,
) -> bool {
    let provenance = Arc::new(provenance(record, &place.source));
    if let Some(message) = dns(record) {
        let context = context(record, place, Scheme::Http, &provenance);
        sink.dns(&context, &mut S::State::default(), message);
        return true;
    }
    if is_tunnel(record) || (record.method.is_none() && record.target.is_none()) {
        return names(record, place, &provenance, sink);
    }
    // Fields that would prove something may be left out: what remains then is the name.
    let is_sealed = visibility(record) == Visibility::Log && scheme(record) == Scheme::Https;
    if is_sealed && scratch.is_news(record, place.at.time) {
        names(record, place, &provenance, sink);
    }
    exchange(record, place, scratch, &provenance, sink);
    true
}

fn provenance(record: &Record<'_>, source: &Arc<str>) -> Provenance {
    let boxed = |text: &Option<Cow<'_, str>>| text.as_deref().map(bounded);
    Provenance {
        source: Arc::clone(source),
        user: boxed(&record.user),
        device: boxed(&record.device),
        groups: record.groups.iter().map(|group| bounded(group)).collect(),
        community_id: boxed(&record.community_id),
        request_id: boxed(&record.request_id),
        blocked: record.blocked,
    }
}

/// Longest name of a user, device or group, and longest id, in bytes.
const MAX_NAME_BYTES: usize = 256;

fn bounded(text: &str) -> Box<str> {
    let mut end = text.len().min(MAX_NAME_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

/// Whether what is inside was not seen: a `CONNECT`, or no HTTP at all.
fn is_tunnel(record: &Record<'_>) -> bool {
    let scheme = record.scheme.as_deref().unwrap_or_default();
    record.method.as_deref().is_some_and(|method| method.eq_ignore_ascii_case("CONNECT"))
        || ["ssl", "tls", "tunnel", "tcp"].iter().any(|s| scheme.eq_ignore_ascii_case(s))
}

fn scheme(record: &Record<'_>) -> Scheme {
    match record.scheme.as_deref() {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        Some(_) => Scheme::Http,
        None if record.sni.is_some() || record.tls_version.is_some() => Scheme::Https,
        None => match record.port.or(record.server_port) {
            Some(443 | 8443) => Scheme::Https,
            _ => Scheme::Http,
        },
    }
}

fn context<'a>(
    record: &Record<'_>,
    place: &Place,
    scheme: Scheme,
    provenance: &'a Arc<Provenance>,
) -> Context<'a> {
    let client_port = record.client_port.unwrap_or(0);
    let client = record.client.map_or(Endpoint::UNKNOWN, |ip| Endpoint::new(ip, client_port));
    Context {
        flow: place.flow,
        client,
        server: server(record, place.stance, scheme),
        scope: Scope::default(),
        scheme,
        tunnel: None,
        visibility: visibility(record),
        at: place.at,
        provenance: Some(provenance),
    }
}

/// The end that the client talked to: the proxy's, where there is one.
fn server(record: &Record<'_>, stance: Stance, scheme: Scheme) -> Endpoint {
    let own = record.server_port.or(record.port).unwrap_or_else(|| scheme.default_port());
    match (stance, record.proxy, record.server) {
        (Stance::Forward, Some((ip, port)), _) => Endpoint::new(ip, port.unwrap_or(0)),
        // What the proxy talked to is not what the client talked to.
        (Stance::Forward, None, _) | (_, _, None) => {
            Endpoint::new(Endpoint::UNKNOWN.ip, if stance == Stance::Forward { 0 } else { own })
        }
        (_, _, Some(ip)) => Endpoint::new(ip, own),
    }
}

fn visibility(record: &Record<'_>) -> Visibility {
    match (record.has_all_fields, record.has_bodies) {
        (true, true) => Visibility::Body,
        (true, false) => Visibility::Head,
        (false, _) => Visibility::Log,
    }
}

fn exchange<S: ExchangeSink>(
    record: &Record<'_>,
    place: &Place,
    scratch: &mut Scratch,
    provenance: &Arc<Provenance>,
    sink: &mut S,
) {
    let scheme = scheme(record);
    let context = context(record, place, scheme, provenance);
    let mut state = S::State::default();
    let mut step = |event: ExchangeEvent<'_>| {
        sink.event(&context, &mut state, 0, event);
    };
    let version = version(record.version.as_deref());
    write_target(record, place.stance, scheme, &mut scratch.target);
    scratch.clear();
    if let Some(host) = record.host.as_deref()
        && !has_field(&record.request_fields, "host")
    {
        scratch.host(host, record.port);
    }
    scratch.fields(&record.request_fields, record.bodies_are_plain);
    let method = record.method.as_deref().unwrap_or_default();
    step(ExchangeEvent::RequestHead(RequestHead {
        method: method.as_bytes(),
        target: &scratch.target,
        version,
        headers: scratch.headers(),
    }));
    let said = record.rpc_method.as_deref().map(|method| call(record, method));
    let (body, cut) = match (&record.request_body, &said) {
        (Some(body), _) => (&**body, record.request_cut),
        // All that is known of the message: its text ends where the knowledge does.
        (None, Some(said)) => (said.as_bytes(), true),
        (None, None) => (&[][..], !record.has_bodies),
    };
    if !body.is_empty() {
        step(ExchangeEvent::RequestBody(body));
    }
    step(ExchangeEvent::RequestEnd(end(cut)));
    let Some(status) = record.status else { return step(ExchangeEvent::Aborted) };
    scratch.clear();
    scratch.fields(&record.response_fields, record.bodies_are_plain);
    step(ExchangeEvent::ResponseHead(ResponseHead { status, version, headers: scratch.headers() }));
    let body = record.response_body.as_deref().unwrap_or_default();
    if !body.is_empty() {
        step(ExchangeEvent::ResponseBody(body));
    }
    let cut = record.response_cut || (record.response_body.is_none() && !record.has_bodies);
    step(ExchangeEvent::ResponseEnd(end(cut)));
}

const fn end(cut: bool) -> End {
    if cut { End::Truncated } else { End::Complete }
}

/// The beginning of a JSON-RPC request, as far as it is known.
fn call(record: &Record<'_>, method: &str) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut said = format!(r#"{{"jsonrpc":"2.0","id":null,"method":{},"params":{{"#, text(method));
    let name = record.rpc_name.as_deref().map(|name| format!(r#""name":{}"#, text(name)));
    let uri = record.rpc_uri.as_deref().map(|uri| format!(r#""uri":{}"#, text(uri)));
    let params: Vec<_> = [name, uri].into_iter().flatten().collect();
    said.push_str(&params.join(","));
    said
}

/// The target as the client sent it: in absolute form where it went to a proxy (RFC 9112 section
/// 3.2.2).
fn write_target(record: &Record<'_>, stance: Stance, scheme: Scheme, target: &mut Vec<u8>) {
    target.clear();
    if let (Stance::Forward, Some(host)) = (stance, record.host.as_deref()) {
        target.extend_from_slice(scheme.as_str().as_bytes());
        target.extend_from_slice(b"://");
        write_authority(host, record.port, target);
    }
    let path = record.target.as_deref().unwrap_or_default();
    if !path.starts_with('/') && path != "*" {
        target.push(b'/');
    }
    target.extend_from_slice(path.as_bytes());
    if let Some(query) = record.query.as_deref()
        && !path.contains('?')
    {
        target.push(b'?');
        target.extend_from_slice(query.as_bytes());
    }
}

fn write_authority(host: &str, port: Option<u16>, out: &mut Vec<u8>) {
    let is_literal = host.contains(':');
    if is_literal {
        out.push(b'[');
    }
    out.extend_from_slice(host.as_bytes());
    if is_literal {
        out.push(b']');
    }
    if let Some(port) = port {
        out.push(b':');
        out.extend_from_slice(port.to_string().as_bytes());
    }
}

fn has_field(fields: &[(Cow<'_, str>, Cow<'_, str>)], name: &str) -> bool {
    fields.iter().any(|(field, _)| field.eq_ignore_ascii_case(name))
}

fn version(text: Option<&str>) -> Version {
    let text = text.unwrap_or_default();
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    match digits.as_bytes().first() {
        Some(b'2' | b'3') => Version::Http2,
        _ if digits == "1.0" => Version::Http10,
        _ => Version::Http11,
    }
}

impl Scratch {
    /// Whether the use of a host by a client was not told for a while.
    fn is_news(&mut self, record: &Record<'_>, now: Timestamp) -> bool {
        /// Uses within this time are one hint.
        const AGAIN: Duration = Duration::from_secs(60);
        /// Remembered at most; then all are told anew. 40 bytes each.
        const MAX_TOLD: usize = 65_536;
        let Some(host) = record.host.as_deref().or(record.sni.as_deref()) else { return false };
        let mut hash = Fnv::default();
        host.hash(&mut hash);
        if self.told.len() >= MAX_TOLD {
            self.told.clear();
        }
        match self.told.entry((record.client, hash.finish())) {
            Entry::Occupied(mut last) if now.since(*last.get()) >= AGAIN => {
                last.insert(now);
                true
            }
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(now);
                true
            }
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    fn host(&mut self, host: &str, port: Option<u16>) {
        let mut authority = Vec::new();
        write_authority(host, port, &mut authority);
        self.field(b"host", &authority);
    }

    fn fields(&mut self, fields: &[(Cow<'_, str>, Cow<'_, str>)], plain: bool) {
        for (name, value) in fields {
            if plain && name.eq_ignore_ascii_case("content-encoding") {
                continue;
            }
            self.field(name.as_bytes(), value.trim().as_bytes());
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let at = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let name_start = at(self.bytes.len());
        self.bytes.extend_from_slice(name);
        let name_end = at(self.bytes.len());
        self.bytes.extend_from_slice(value);
        let value_end = at(self.bytes.len());
        self.spans.push(HeaderSpan { name_start, name_end, value_start: name_end, value_end });
    }

    fn headers(&self) -> Headers<'_> {
        Headers { bytes: &self.bytes, spans: &self.spans }
    }
}

/// Names of a flow whose content was not seen.
fn names<S: ExchangeSink>(
    record: &Record<'_>,
    place: &Place,
    provenance: &Arc<Provenance>,
    sink: &mut S,
) -> bool {
    let host = record.sni.as_deref().or(record.host.as_deref()).filter(|host| !host.is_empty());
    let Some(host) = host else { return false };
    let lower = host.to_ascii_lowercase();
    let hello = TlsHello {
        carrier: if record.is_udp { Carrier::Quic } else { Carrier::Tcp },
        sni: Some(lower.strip_suffix('.').unwrap_or(&lower).to_owned()),
        ja4: record.ja4.as_deref().unwrap_or_default().to_owned(),
        ..TlsHello::default()
    };
    let mut tunnel = Vec::new();
    write_authority(host, Some(record.port.unwrap_or(443)), &mut tunnel);
    let tunnel = String::from_utf8(tunnel).unwrap_or_default();
    let is_forward = place.stance == Stance::Forward;
    let context = Context {
        tunnel: is_forward.then_some(tunnel.as_str()),
        visibility: Visibility::Tls,
        ..context(record, place, Scheme::Tls, provenance)
    };
    let mut state = S::State::default();
    sink.tls(&context, &mut state, TlsEvent::Hello(&hello));
    if record.tls_version.is_some() || !record.certificate_names.is_empty() {
        let answer = TlsAnswer {
            version: record.tls_version.unwrap_or(0),
            cipher_suite: 0,
            alpn: record.alpn.as_deref().map(str::to_owned),
            names: record.certificate_names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        };
        sink.tls(&context, &mut state, TlsEvent::Answer(&answer));
    }
    true
}

fn dns(record: &Record<'_>) -> Option<DnsMessage> {
    let name = record.dns_name.as_deref()?.to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name).to_owned();
    let addresses = record.dns_addresses.iter();
    let addresses = addresses.map(|ip| DnsAddress { name: name.clone(), address: *ip, ttl: 0 });
    Some(DnsMessage {
        response: record.dns_code.is_some() || !record.dns_addresses.is_empty(),
        code: record.dns_code.unwrap_or(0),
        questions: vec![(name.clone(), record.dns_type.unwrap_or(0))],
        addresses: addresses.collect(),
        ech: false,
    })
}
