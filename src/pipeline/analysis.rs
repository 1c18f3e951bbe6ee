//! Observations into the inventory, rule matches, verdicts and findings. One for the whole run, fed
//! in packet order.

use std::collections::{HashMap, HashSet};
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;

use super::hints::{Handshake, Hints, Judged, Relayed};
use super::legs::{Admitted, Legs};
use crate::exchange::{Carrier, Visibility};
use crate::finding::{self, Draft, Findings, FlowTuple, Hit};
use crate::flow::At;
use crate::mcp::inventory::{
    EncryptedUse, Inventory, Occasion, Resolved, Server, ServerId, ServerKey,
};
use crate::mcp::{Contact, Evidence, inventory};
use crate::net::{Endpoint, Scope};
use crate::observation::{Event, Observation, RequestInfo};
use crate::rules::catalog::{Catalog, is_named_for_mcp};
use crate::rules::{Match, MessageFacts, RuleSet, Scratch, Standing, Subject};
use crate::time::Timestamp;
use crate::verdict::{Approvals, HostUse, Judgement, KeyParts, Use, Verdict};

/// What a run is judged by.
#[derive(Debug)]
pub struct Policy {
    /// The rules.
    pub rules: RuleSet,
    /// The approvals.
    pub approvals: Approvals,
    /// The catalog of public MCP hosts.
    pub catalog: Catalog,
}

/// Where a subject was seen: what findings say of it, whatever the rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    at: At,
    /// Key of the server.
    key: &'a str,
    server: Endpoint,
    client: IpAddr,
    /// The packets' own ends.
    flow: FlowTuple,
    scope: Scope,
    evidence: Evidence,
    verdict: Verdict,
    visibility: Visibility,
    /// The explicit proxy in between.
    proxy: Option<IpAddr>,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

impl<'a> Place<'a> {
    fn of(request: &RequestInfo, at: At, contact: &'a Contact) -> Self {
        let client = request.via.unwrap_or(request.client);
        Self {
            at,
            key: &contact.key,
            server: request.server,
            client: request.client.ip,
            flow: FlowTuple { client, server: request.server, protocol: TCP },
            scope: request.scope,
            evidence: contact.evidence,
            verdict: contact.verdict,
            visibility: request.visibility,
            proxy: contact.proxy,
        }
    }

    /// Of a subject of which only names were seen.
    const fn of_names(
        [client, server]: [Endpoint; 2],
        protocol: u8,
        standing: &'a Standing,
        at: At,
    ) -> Self {
        Self {
            at,
            key: standing.key.as_str(),
            server,
            client: client.ip,
            flow: FlowTuple { client, server, protocol },
            scope: Scope(0),
            evidence: Evidence::Hint,
            verdict: if standing.approved { Verdict::Approved } else { Verdict::Undetermined },
            visibility: Visibility::Tls,
            proxy: None,
        }
    }
}

/// Who is told of what was taken in.
pub(super) struct Listener<'t> {
    /// Messages are wanted, and copied for it.
    pub(super) messages: bool,
    /// Gets the server that something was about, and the message, if it was one.
    pub(super) each: &'t mut dyn FnMut(Option<&Observation>, ServerId, &Server),
}

/// Perhaps somebody is told.
pub(super) type Tell<'t> = Option<Listener<'t>>;

/// What an analysis knows, whatever the policy.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) inventory: Inventory,
    pub(super) findings: Findings,
    hints: Hints,
    legs: Legs,
    named: HashSet<ServerId>,
}

impl Known {
    /// Nothing yet; findings are those of a live run.
    #[must_use]
    pub(super) fn live(inventory: inventory::Limits, findings: finding::Limits) -> Self {
        Self {
            inventory: Inventory::new(inventory),
            findings: Findings::live(findings),
            hints: Hints::default(),
            legs: Legs::default(),
            named: HashSet::new(),
        }
    }
}

/// The analysis of a run.
#[derive(Debug)]
pub struct Analysis<'p> {
    policy: &'p Policy,
    inventory: Inventory,
    findings: Findings,
    scratch: Scratch,
    contacts: Contacts,
    resolved: Vec<Resolved>,
    hints: Hints,
    legs: Legs,
    admitted: Vec<Admitted>,
    /// Servers whose addresses were looked up in what DNS gave.
    named: HashSet<ServerId>,
}

impl<'p> Analysis<'p> {
    /// An analysis by a policy.
    #[must_use]
    pub fn new(
        policy: &'p Policy,
        inventory: inventory::Limits,
        findings: finding::Limits,
    ) -> Self {
        Self {
            policy,
            inventory: Inventory::new(inventory),
            findings: Findings::new(findings),
            scratch: Scratch::default(),
            contacts: Contacts::default(),
            resolved: Vec::new(),
            hints: Hints::default(),
            legs: Legs::default(),
            admitted: Vec::new(),
            named: HashSet::new(),
        }
    }

    /// Takes in one observation. A request that may be a proxy's own is held back for a moment.
    pub fn observe(&mut self, observation: Observation) {
        self.observe_telling(observation, &mut None);
    }

    /// The same; `tell` is told of messages as they are taken in.
    pub(super) fn observe_telling(&mut self, observation: Observation, tell: &mut Tell<'_>) {
        let now = observation.at.time;
        match observation.event {
            Event::Tls { .. } | Event::Dns { .. } => self.names(observation),
            Event::Anomaly { .. } => self.take_in(observation, tell),
            _ => {
                self.hints.is_read(observation.flow);
                self.legs.admit(observation, &mut self.admitted);
                self.take_in_admitted(tell);
            }
        }
        self.judge_hints(now, false);
    }

    /// Lets go what was held back: nothing more will come that bears on it.
    pub(super) fn settle(&mut self, tell: &mut Tell<'_>) {
        self.legs.finish(&mut self.admitted);
        self.take_in_admitted(tell);
    }

    /// Goes on under another policy with what is known already.
    #[must_use]
    pub(super) fn resume(policy: &'p Policy, known: Known) -> Self {
        let Known { inventory, findings, mut hints, legs, named } = known;
        hints.forget_interests();
        Self {
            policy,
            inventory,
            findings,
            scratch: Scratch::default(),
            contacts: Contacts::default(),
            resolved: Vec::new(),
            hints,
            legs,
            admitted: Vec::new(),
            named,
        }
    }

    /// What is known, whatever the policy.
    #[must_use]
    pub(super) fn into_known(self) -> Known {
        let Self { inventory, findings, hints, legs, named, .. } = self;
        Known { inventory, findings, hints, legs, named }
    }

    /// Time passes without observations: judges what was kept back for a while.
    pub(super) fn advance(&mut self, now: Timestamp, tell: &mut Tell<'_>) {
        self.legs.advance(now, &mut self.admitted);
        self.take_in_admitted(tell);
        self.judge_hints(now, false);
        self.inventory.advance(now, &mut self.resolved);
        self.judge_resolved();
    }

    /// Findings so far, to be told and closed.
    pub(super) const fn findings_mut(&mut self) -> &mut Findings {
        &mut self.findings
    }

    /// The capture is over.
    pub fn finish(&mut self, at: At) {
        self.settle(&mut None);
        self.judge_hints(at.time, true);
        self.inventory.finish(at, &mut self.resolved);
        self.judge_resolved();
        self.name_all();
    }

    fn take_in_admitted(&mut self, tell: &mut Tell<'_>) {
        let mut admitted = std::mem::take(&mut self.admitted);
        for one in admitted.drain(..) {
            match one {
                Admitted::Observation(observation) => self.take_in(observation, tell),
                Admitted::Reassigned { old, new } => self.inventory.reassign(&old, &new),
            }
        }
        self.admitted = admitted;
    }

    fn take_in(&mut self, observation: Observation, tell: &mut Tell<'_>) {
        let now = observation.at.time;
        let is_message = matches!(observation.event, Event::Message { .. });
        let wanted = tell.as_ref().is_some_and(|listener| listener.messages);
        let copy = (wanted && is_message).then(|| observation.clone());
        let server = self.inventory.observe(observation, &mut self.resolved);
        if let Some(server) = server {
            self.name(server, now);
        }
        self.judge_resolved();
        if let (Some(listener), Some(id)) = (tell, server)
            && let Some(server) = self.inventory.server(id)
        {
            (listener.each)(copy.as_ref(), id, server);
        }
    }

    /// Takes in a handshake or a DNS message.
    fn names(&mut self, observation: Observation) {
        let Observation { flow, at, event } = observation;
        match event {
            Event::Tls { client, server, tunnel, hello, answer, .. } => {
                let step = Handshake { flow, at, client, server, tunnel, hello, answer };
                if let Some(Relayed { key, server, at }) = self.hints.handshake(step) {
                    self.inventory.relayed(&key, server, at);
                }
            }
            Event::Dns { client, server, message } => {
                let ends = [client, server];
                let found = self.hints.look_up(self.policy, ends, message, at);
                let place = Place::of_names(ends, UDP, &found.standing, at);
                self.evaluate(&Subject::dns(&found), &place);
            }
            _ => {}
        }
    }

    /// Judges handshakes that have waited long enough; all of them at the end.
    fn judge_hints(&mut self, now: Timestamp, all: bool) {
        while let Some(Judged { at, tls, is_hint }) = self.hints.next(self.policy, now, all) {
            let is_quic = tls.hello.as_ref().is_some_and(|h| h.carrier == Carrier::Quic);
            let ends = [tls.client, tls.server];
            let protocol = if is_quic { UDP } else { TCP };
            let proxy = tls.tunnel.as_ref().map(|_| tls.server.ip);
            let place = Place { proxy, ..Place::of_names(ends, protocol, &tls.standing, at) };
            self.evaluate(&Subject::tls(&tls), &place);
            if is_hint && let Some(host) = tls.standing.host.as_deref() {
                self.inventory.encrypted(&EncryptedUse {
                    host,
                    port: tls.port,
                    client: tls.client,
                    server: tls.server,
                    via_proxy: tls.tunnel.is_some(),
                    hello: tls.hello.as_deref(),
                    answer: tls.answer.as_deref(),
                    at,
                });
            }
        }
    }

    fn evaluate(&mut self, subject: &Subject<'_>, place: &Place<'_>) {
        let Self { policy, findings, scratch, .. } = self;
        policy.rules.evaluate(subject, scratch, |found| {
            if !findings.repeat(&hit(&found, place)) {
                findings.record(draft(&found, place));
            }
        });
    }

    /// Gives a server without a name those that DNS gave for its address, when it is first met.
    fn name(&mut self, id: ServerId, now: Timestamp) {
        /// Servers remembered as named; more are all named again.
        const MAX_NAMED: usize = 65_536;
        if self.named.contains(&id) {
            return;
        }
        if self.named.len() >= MAX_NAMED {
            self.named.clear();
        }
        self.named.insert(id);
        if let Some(address) = self.inventory.server(id).and_then(literal) {
            let names = self.hints.names().of(address, now);
            self.inventory.name(id, names.map(ToString::to_string));
        }
    }

    /// The same for all of them, with names that were learnt later.
    fn name_all(&mut self) {
        let servers = self.inventory.servers().into_iter();
        let literals: Vec<_> =
            servers.filter_map(|(id, server)| Some((id, literal(server)?))).collect();
        for (id, address) in literals {
            let names = self.hints.names().ever(address);
            self.inventory.name(id, names.map(ToString::to_string));
        }
    }

    /// The inventory.
    #[must_use]
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Findings so far.
    #[must_use]
    pub const fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Ends the analysis.
    #[must_use]
    pub fn into_parts(self) -> (Inventory, Findings) {
        (self.inventory, self.findings)
    }

    fn judge_resolved(&mut self) {
        let mut resolved = std::mem::take(&mut self.resolved);
        for resolved in resolved.drain(..) {
            let Self { policy, inventory, findings, scratch, contacts, .. } = self;
            // More is known of something that was counted when it happened.
            let is_news = matches!(resolved, Resolved::Contact { occasion: Occasion::Changed, .. });
            with_subject(policy, inventory, contacts, &resolved, |subject, place| {
                policy.rules.evaluate(subject, scratch, |found| {
                    if is_news {
                        findings.revise(&hit(&found, place), || draft(&found, place));
                    } else if !findings.repeat(&hit(&found, place)) {
                        findings.record(draft(&found, place));
                    }
                });
            });
        }
        self.resolved = resolved;
    }
}

/// Gives the subject of something resolved to `with`, if rules may be asked about it.
pub(super) fn with_subject(
    policy: &Policy,
    inventory: &Inventory,
    contacts: &mut Contacts,
    resolved: &Resolved,
    with: impl FnOnce(&Subject<'_>, &Place<'_>),
) {
    match resolved {
        Resolved::Message {
            server,
            request,
            direction,
            channel,
            message,
            reply,
            disagreements,
            ambiguous,
            at,
        } => {
            let Some(KnownContact { contact, methods, .. }) =
                contacts.get(policy, inventory, *server, request, *at)
            else {
                return;
            };
            let facts = MessageFacts {
                direction: *direction,
                channel: *channel,
                message,
                reply: *reply,
                disagreements,
                ambiguous: *ambiguous,
            };
            let subject = Subject::message(request, facts, contact.evidence);
            let place = Place::of(request, *at, contact);
            with(&subject.with_contact(contact, methods), &place);
        }
        Resolved::Exchange { server, request, response, at } => {
            let Some(KnownContact { contact, methods, .. }) =
                contacts.get(policy, inventory, *server, request, *at)
            else {
                return;
            };
            let subject = Subject::exchange(request, response.as_deref(), contact.evidence);
            let place = Place::of(request, *at, contact);
            with(&subject.with_contact(contact, methods), &place);
        }
        Resolved::SseEndpoint { server, request, response, path, at } => {
            let Some(KnownContact { contact, methods, .. }) =
                contacts.get(policy, inventory, *server, request, *at)
            else {
                return;
            };
            let subject = Subject::exchange(request, response.as_deref(), contact.evidence);
            let subject = subject.with_sse_endpoint(path).with_contact(contact, methods);
            with(&subject, &Place::of(request, *at, contact));
        }
        Resolved::Contact { server, request, occasion, at } => {
            let Some(KnownContact { contact, methods, .. }) =
                contacts.get(policy, inventory, *server, request, *at)
            else {
                return;
            };
            let refused = *occasion == Occasion::Refused;
            if refused && contact.evidence >= Evidence::Parsed {
                return; // It is an MCP server: turning a request down is its right.
            }
            let attempt = refused.then(|| Contact { evidence: Evidence::Hint, ..contact.clone() });
            let contact = attempt.as_ref().unwrap_or(contact);
            let place = Place::of(request, *at, contact);
            with(&Subject::server(contact, methods), &place);
        }
    }
}

/// Contacts kept between subjects at most; then all are made anew.
const MAX_CONTACTS: usize = 8_192;

/// Contacts as they were last made: most subjects are about a client and a server of which
/// nothing new has been learnt since.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: HashMap<(ServerId, IpAddr), KnownContact>,
}

#[derive(Debug)]
struct KnownContact {
    stamp: Stamp,
    contact: Contact,
    /// Methods that clients have sent to the server.
    methods: Vec<String>,
}

/// Everything a contact is made of only ever grows: sizes tell whether it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    evidence: Evidence,
    address: IpAddr,
    /// Days since the epoch: approvals expire.
    day: i64,
    sizes: [usize; 4],
    path_len: usize,
    unauthenticated_result: bool,
    via_proxy: bool,
    proxy: Option<IpAddr>,
}

impl Stamp {
    fn of(server: &Server, request: &RequestInfo, at: At) -> Self {
        let (client, address) = (request.client.ip, request.server.ip);
        let proxy = proxy_of(request);
        let known = server.clients.get(&client);
        let methods = server.methods.first().map_or(0, std::collections::BTreeMap::len);
        Self {
            evidence: server.evidence,
            address,
            day: at.time.as_nanos().div_euclid(86_400_000_000_000),
            sizes: [
                methods,
                server.versions.len(),
                known.map_or(0, |client| client.auth.len()),
                known.map_or(0, |client| client.tools_called.len()),
            ],
            path_len: server.key.path.len() + (server.aliases.len() << 16),
            unauthenticated_result: known.is_some_and(|client| client.unauthenticated_result),
            via_proxy: server.via_proxy,
            proxy,
        }
    }
}

/// The explicit proxy that a request came through, on either of its legs.
fn proxy_of(request: &RequestInfo) -> Option<IpAddr> {
    request.via.map(|via| via.ip).or_else(|| request.via_proxy.then_some(request.server.ip))
}

/// The address that stands for the host of a server's key.
fn literal(server: &Server) -> Option<IpAddr> {
    server.key.host.parse().ok()
}

impl Contacts {
    fn get(
        &mut self,
        policy: &Policy,
        inventory: &Inventory,
        id: ServerId,
        request: &RequestInfo,
        at: At,
    ) -> Option<&KnownContact> {
        let server = inventory.server(id)?;
        let client = request.client.ip;
        let stamp = Stamp::of(server, request, at);
        if self.known.len() >= MAX_CONTACTS && !self.known.contains_key(&(id, client)) {
            self.known.clear();
        }
        let make = || {
            let methods = server.methods.first();
            KnownContact {
                stamp,
                contact: contact(policy, server, request, at),
                methods: methods.into_iter().flat_map(|m| m.keys().cloned()).collect(),
            }
        };
        let known = self.known.entry((id, client)).or_insert_with(make);
        if known.stamp != stamp {
            *known = make();
        }
        Some(known)
    }
}

/// What the inventory and the approvals say of a client's use of a server.
#[must_use]
pub(super) fn contact(policy: &Policy, server: &Server, request: &RequestInfo, at: At) -> Contact {
    let key = &server.key;
    let (client, address) = (request.client.ip, request.server.ip);
    let known = server.clients.get(&client);
    let judgement = judge(policy, server, client, address, at);
    Contact {
        key: shown_key(key),
        host: key.host.clone(),
        port: key.port,
        path: key.path.clone(),
        scheme: key.scheme,
        server: address,
        client,
        evidence: server.evidence,
        verdict: judgement.verdict,
        protocol_versions: server.versions.iter().cloned().collect(),
        auth: known.map(|client| client.auth.iter().cloned().collect()).unwrap_or_default(),
        unauthenticated_result: known.is_some_and(|client| client.unauthenticated_result),
        catalogued: policy.catalog.vendor(&key.host),
        named_for_mcp: is_named_for_mcp(&key.host),
        approved: policy.approvals.allow_host(host_use(server, client, address, at)).is_some(),
        via_proxy: server.via_proxy,
        proxy: proxy_of(request),
    }
}

/// The verdict on a client's use of a server.
#[must_use]
pub(super) fn judge<'p>(
    policy: &'p Policy,
    server: &Server,
    client: IpAddr,
    address: IpAddr,
    at: At,
) -> Judgement<'p> {
    let key = &server.key;
    let is_bare = server.handshakes.is_some() && key.path.is_empty() && !server.is_mcp();
    if is_bare
        && let Some(approval) = policy.approvals.allow_host(host_use(server, client, address, at))
    {
        let name = &approval.name;
        let reason = format!("host and port are those of {name}; the path cannot be seen");
        return Judgement { verdict: Verdict::Approved, approval: Some(approval), reason };
    }
    let tools = server.clients.get(&client).map(|client| client.tools_called.keys());
    policy.approvals.judge(Use {
        key: KeyParts { scheme: key.scheme, host: &key.host, port: key.port, path: &key.path },
        server: address,
        client,
        tools: tools.into_iter().flatten().map(String::as_str),
        at: at.time,
        evidence: server.evidence,
    })
}

fn host_use(server: &Server, client: IpAddr, address: IpAddr, at: At) -> HostUse<'_> {
    let key = &server.key;
    let origin = Some((key.scheme, key.port));
    HostUse { host: &key.host, origin, server: Some(address), client, at: at.time }
}

fn hit<'a>(found: &'a Match<'_, '_>, place: &'a Place<'_>) -> Hit<'a> {
    Hit {
        rule: &found.rule.info.id,
        severity: found.severity,
        server_key: place.key,
        client: place.client,
        evidence: place.evidence,
        verdict: place.verdict,
        at: place.at,
        flow: place.flow,
        group: group(found),
    }
}

fn draft(found: &Match<'_, '_>, place: &Place<'_>) -> Draft {
    /// Name under which every finding keeps the proxy, whatever its rule keeps.
    const PROXY: &str = "server.proxy";
    let mut excerpt = found.excerpt();
    if let Some(proxy) = place.proxy
        && !excerpt.iter().any(|(name, _)| name == PROXY)
    {
        excerpt.push((PROXY.to_owned(), proxy.to_string()));
    }
    Draft {
        rule: Arc::clone(&found.rule.info),
        severity: found.severity,
        server_key: place.key.to_owned(),
        server: place.server,
        client: place.client,
        evidence: place.evidence,
        verdict: place.verdict,
        at: place.at,
        flow: place.flow,
        scope: place.scope,
        group: group(found),
        window: found.rule.group.window,
        text: found.text(),
        excerpt,
        visibility: place.visibility,
    }
}

/// What tells findings of a rule apart beyond server and client, as a number that is the same in
/// every run; 0 when the rule names nothing.
fn group(found: &Match<'_, '_>) -> u64 {
    if found.rule.group.by.is_empty() {
        return 0;
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    found.hash_group(&mut hash);
    hash.0.max(1)
}

/// FNV-1a, 64 bits: unlike the standard library's hashers, fixed for ever.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A server's key as it is printed: what looks like a secret in its path is masked. Verdicts are
/// made on the key itself.
#[must_use]
pub(crate) fn shown_key(key: &ServerKey) -> String {
    /// Nothing shorter is taken for a secret.
    const SHORTEST_SECRET: usize = 16;
    let text = key.to_string();
    if key.path.len() < SHORTEST_SECRET { text } else { finding::mask(&text) }
}
