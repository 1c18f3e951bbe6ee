//! Inline tests of rules run through the real recognition: synthetic exchanges enter at the seam
//! where packets, logs and the portal do.

use super::analysis::Policy;
use super::contacts::{Contacts, with_subjects};
use super::hints::{Handshake, Hints};
use super::lore::Lore;
use super::place::Place;
use crate::exchange::{
    Context, End, ExchangeEvent, ExchangeSink as _, HeaderSpan, Headers, RequestHead, ResponseHead,
    Scheme, Version, Visibility,
};
use crate::flow::At;
use crate::mcp::inventory::{self, Inventory};
use crate::mcp::{Tap, TapLimits};
use crate::memory::Memory;
use crate::net::Endpoint;
use crate::rules::Content;
use crate::rules::catalog::Catalog;
use crate::rules::{Given, GivenExchange, OwnedMessage, OwnedSubject, Recognise, RuleSet, Subject};
use crate::secret::SecretHasher;
use crate::time::Timestamp;
use crate::verdict::Approvals;

/// Recognition for inline tests.
#[derive(Clone, Copy, Debug)]
pub struct Recogniser;

impl Recognise for Recogniser {
    fn subjects(&self, given: &Given) -> Result<Vec<OwnedSubject>, String> {
        let approvals = match &given.approvals {
            Some(text) => Approvals::parse(text, "approvals").map_err(|problems| {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            })?,
            None => Approvals::default(),
        };
        let (catalog, lane) = (Catalog::builtin(), crate::rules::Lane::Hunt);
        let policy = Policy { rules: RuleSet::default(), approvals, catalog, lane };
        let limits = TapLimits { keep_body_head: true, ..TapLimits::default() };
        let mut tap = Tap::new(limits, SecretHasher::default());
        let mut inventory = Inventory::new(inventory::Limits::default());
        let (mut subjects, mut contacts) = (Vec::new(), Contacts::default());
        let (mut hints, mut lore) = (Hints::default(), Lore::default());
        let mut seconds = 0;
        for (number, exchange) in (0_u64..).zip(&given.exchanges) {
            let exchange = &exchange.expanded();
            let after = exchange.seconds_after().ok_or("`after` is a time, as 30s or 25h")?;
            seconds += if number > 0 { after } else { 0 };
            let at = at(number, seconds);
            subjects.extend(names(exchange, number, at, &policy, &mut hints)?);
            play(exchange, at, &mut tap)?;
            let mut resolved = Vec::new();
            for observation in tap.observations().drain(..) {
                inventory.observe(observation, &mut resolved);
            }
            if number + 1 == given.exchanges.len() as u64 {
                inventory.finish(at, &mut resolved);
            }
            for resolved in &resolved {
                let mut with = |subject: &Subject<'_>, _: &Place<'_>, _: &Memory| {
                    subjects.push(owned(subject, exchange));
                };
                with_subjects(&policy, &inventory, &mut contacts, &mut lore, resolved, &mut with);
            }
            let shows_names = exchange.hello.is_some() || exchange.answer.is_some();
            if exchange.request.is_none() && !shows_names && exchange.dns.is_none() {
                subjects.extend(bare(exchange));
            }
        }
        let last = at(u64::MAX, seconds + 1).time;
        while let Some(judged) = hints.next(&policy, last, true) {
            subjects.push(OwnedSubject::from(&Subject::tls(&judged.tls)));
        }
        Ok(subjects)
    }
}

/// The first exchange is at 2026-11-16T08:00:00Z.
fn at(number: u64, seconds: u64) -> At {
    let seconds = 1_794_816_000_i64.saturating_add(i64::try_from(seconds).unwrap_or(0));
    At { packet: number, time: Timestamp::from_parts(seconds, 0) }
}

/// Gives the handshake or the DNS message of an example to `hints`; answers with what rules can
/// be asked about at once.
fn names(
    exchange: &GivenExchange,
    number: u64,
    at: At,
    policy: &Policy,
    hints: &mut Hints,
) -> Result<Option<OwnedSubject>, String> {
    let (client, server) = endpoints(exchange)?;
    if let Some(dns) = &exchange.dns {
        let found = hints.look_up(policy, [client, server], dns.message(), at);
        return Ok(Some(OwnedSubject::from(&Subject::dns(&found))));
    }
    let (hello, answer) = (&exchange.hello, &exchange.answer);
    if hello.is_some() || answer.is_some() {
        hints.handshake(Handshake {
            flow: number,
            at,
            client,
            server,
            scope: crate::net::Scope::default(),
            tunnel: exchange.tunnel.clone(),
            hello: hello.as_ref().map(|hello| hello.hello().into()),
            answer: answer.as_ref().map(|answer| answer.answer().into()),
            provenance: None,
        });
    }
    Ok(None)
}

fn endpoints(exchange: &GivenExchange) -> Result<(Endpoint, Endpoint), String> {
    exchange
        .client()
        .zip(exchange.server())
        .ok_or_else(|| "client and server take an address, with a port if it matters".to_owned())
}

/// The contact of an example without a request.
fn bare(exchange: &GivenExchange) -> Option<OwnedSubject> {
    let (contact, methods) = exchange.bare_contact()?;
    Some(OwnedSubject::from(&Subject::server(&contact, &methods)))
}

/// What was recognised, with what the example says in place of it.
fn owned(subject: &Subject<'_>, exchange: &GivenExchange) -> OwnedSubject {
    let mut owned = OwnedSubject::from(subject);
    if let Some(contact) = &mut owned.contact {
        exchange.contact.apply(contact, &mut owned.methods);
        owned.evidence = contact.evidence;
    }
    owned
}

/// A head's fields, laid out as a parser would.
#[derive(Default)]
struct Fields {
    bytes: Vec<u8>,
    spans: Vec<HeaderSpan>,
}

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        let at = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let name_start = at(self.bytes.len());
        self.bytes.extend_from_slice(name.as_bytes());
        let value_start = at(self.bytes.len());
        self.bytes.extend_from_slice(value.as_bytes());
        let value_end = at(self.bytes.len());
        self.spans.push(HeaderSpan { name_start, name_end: value_start, value_start, value_end });
    }

    fn headers(&self) -> Headers<'_> {
        Headers { bytes: &self.bytes, spans: &self.spans }
    }

    fn of(
        given: &std::collections::BTreeMap<String, String>,
        host: Option<String>,
        body: Option<&str>,
    ) -> Self {
        let mut fields = Self::default();
        let has = |name: &str| given.keys().any(|given| given.eq_ignore_ascii_case(name));
        if let Some(host) = host.filter(|_| !has("host")) {
            fields.add("host", &host);
        }
        for (name, value) in given {
            fields.add(name, value);
        }
        if let Some(body) = body {
            if !has("content-type") {
                fields.add("content-type", "application/json");
            }
            fields.add("content-length", &body.len().to_string());
        }
        fields
    }
}

fn play(exchange: &GivenExchange, at: At, tap: &mut Tap) -> Result<(), String> {
    let (client, server) = endpoints(exchange)?;
    let Some(request) = &exchange.request else { return Ok(()) };
    let context = Context {
        flow: at.packet,
        client,
        server,
        scope: crate::net::Scope::default(),
        scheme: if exchange.tls { Scheme::Https } else { Scheme::Http },
        tunnel: None,
        visibility: Visibility::Body,
        at,
        provenance: None,
    };
    let mut state = crate::mcp::FlowState::default();
    let mut step = |event: ExchangeEvent<'_>| {
        if exchange.ambiguous {
            tap.ambiguous(&context, &mut state, event);
        } else {
            tap.event(&context, &mut state, 0, event);
        }
    };
    let body = request.body_text();
    let fields = Fields::of(&request.headers, Some(server.to_string()), body.as_deref());
    step(ExchangeEvent::RequestHead(RequestHead {
        method: request.method.as_bytes(),
        target: request.target.as_bytes(),
        version: Version::Http11,
        headers: fields.headers(),
    }));
    if let Some(body) = body.as_deref().filter(|body| !body.is_empty()) {
        step(ExchangeEvent::RequestBody(body.as_bytes()));
    }
    step(ExchangeEvent::RequestEnd(End::Complete));
    let Some(response) = &exchange.response else {
        step(ExchangeEvent::Aborted);
        return Ok(());
    };
    let body = response.body_text();
    let fields = Fields::of(&response.headers, None, body.as_deref());
    step(ExchangeEvent::ResponseHead(ResponseHead {
        status: response.status,
        version: Version::Http11,
        headers: fields.headers(),
    }));
    if let Some(body) = body.as_deref().filter(|body| !body.is_empty()) {
        step(ExchangeEvent::ResponseBody(body.as_bytes()));
    }
    step(ExchangeEvent::ResponseEnd(End::Complete));
    Ok(())
}

impl From<&Subject<'_>> for OwnedSubject {
    fn from(subject: &Subject<'_>) -> Self {
        Self {
            on: subject.on,
            evidence: subject.evidence,
            contact: subject.contact.cloned(),
            methods: subject.methods.to_vec(),
            request: subject.request.cloned().map(std::sync::Arc::new),
            response: subject.response.cloned().map(std::sync::Arc::new),
            sse_endpoint: subject.sse_endpoint.map(str::to_owned),
            document: subject.document.cloned(),
            message: subject.message.map(|facts| OwnedMessage {
                direction: facts.direction,
                channel: facts.channel,
                message: facts.message.clone(),
                reply: facts.reply,
                asked: facts.asked.cloned(),
                undeclared: facts.undeclared,
                disagreements: facts.disagreements.to_vec(),
                ambiguous: facts.ambiguous,
            }),
            tls: subject.tls.cloned(),
            dns: subject.dns.cloned(),
            tool: subject.tool.cloned(),
            copied: subject.copied.to_vec(),
            content: Content::default(),
        }
    }
}
