//! Observations into the inventory, rule matches, verdicts and findings. One for the whole run, fed
//! in packet order.

use std::collections::HashMap;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;

use crate::finding::{self, Draft, Findings, FlowTuple, Hit};
use crate::flow::At;
use crate::mcp::inventory::{Inventory, Occasion, Resolved, Server, ServerId, ServerKey};
use crate::mcp::{Contact, Evidence, inventory};
use crate::net::Endpoint;
use crate::observation::{Observation, RequestInfo};
use crate::rules::catalog::Catalog;
use crate::rules::{Match, MessageFacts, RuleSet, Scratch, Subject};
use crate::time::Timestamp;
use crate::verdict::{Approvals, Judgement, KeyParts, Use};

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

/// Where a subject was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The exchange's request.
    pub(super) request: &'a RequestInfo,
    /// The packet.
    pub(super) at: At,
    /// What the inventory knows.
    pub(super) contact: &'a Contact,
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
        }
    }

    /// Goes on under another policy with what is known already.
    #[must_use]
    pub(super) fn resume(policy: &'p Policy, inventory: Inventory, findings: Findings) -> Self {
        Self {
            policy,
            inventory,
            findings,
            scratch: Scratch::default(),
            contacts: Contacts::default(),
            resolved: Vec::new(),
        }
    }

    /// Time passes without observations: judges what was kept back for a while.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.inventory.advance(now, &mut self.resolved);
        self.judge_resolved();
    }

    /// Findings so far, to be told and closed.
    pub(super) const fn findings_mut(&mut self) -> &mut Findings {
        &mut self.findings
    }

    /// Takes in one observation; answers with the server it is about.
    pub fn observe(&mut self, observation: Observation) -> Option<ServerId> {
        let server = self.inventory.observe(observation, &mut self.resolved);
        self.judge_resolved();
        server
    }

    /// The capture is over.
    pub fn finish(&mut self, at: At) {
        self.inventory.finish(at, &mut self.resolved);
        self.judge_resolved();
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
            let Some(Known { contact, methods, .. }) =
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
            let place = Place { request, at: *at, contact };
            with(&subject.with_contact(contact, methods), &place);
        }
        Resolved::Exchange { server, request, response, at } => {
            let Some(Known { contact, methods, .. }) =
                contacts.get(policy, inventory, *server, request, *at)
            else {
                return;
            };
            let subject = Subject::exchange(request, response.as_deref(), contact.evidence);
            let place = Place { request, at: *at, contact };
            with(&subject.with_contact(contact, methods), &place);
        }
        Resolved::SseEndpoint { server, request, response, path, at } => {
            let Some(Known { contact, methods, .. }) =
                contacts.get(policy, inventory, *server, request, *at)
            else {
                return;
            };
            let subject = Subject::exchange(request, response.as_deref(), contact.evidence);
            let subject = subject.with_sse_endpoint(path).with_contact(contact, methods);
            with(&subject, &Place { request, at: *at, contact });
        }
        Resolved::Contact { server, request, occasion, at } => {
            let Some(Known { contact, methods, .. }) =
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
            with(&Subject::server(contact, methods), &Place { request, at: *at, contact });
        }
    }
}

/// Contacts kept between subjects at most; then all are made anew.
const MAX_CONTACTS: usize = 8_192;

/// Contacts as they were last made: most subjects are about a client and a server of which
/// nothing new has been learnt since.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: HashMap<(ServerId, IpAddr), Known>,
}

#[derive(Debug)]
struct Known {
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
}

impl Stamp {
    fn of(server: &Server, client: IpAddr, address: IpAddr, at: At) -> Self {
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
        }
    }
}

impl Contacts {
    fn get(
        &mut self,
        policy: &Policy,
        inventory: &Inventory,
        id: ServerId,
        request: &RequestInfo,
        at: At,
    ) -> Option<&Known> {
        let server = inventory.server(id)?;
        let (client, address) = (request.client.ip, request.server);
        let stamp = Stamp::of(server, client, address.ip, at);
        if self.known.len() >= MAX_CONTACTS && !self.known.contains_key(&(id, client)) {
            self.known.clear();
        }
        let make = || {
            let methods = server.methods.first();
            Known {
                stamp,
                contact: contact(policy, server, client, address, at),
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
pub(super) fn contact(
    policy: &Policy,
    server: &Server,
    client: IpAddr,
    address: Endpoint,
    at: At,
) -> Contact {
    let key = &server.key;
    let known = server.clients.get(&client);
    let judgement = judge(policy, server, client, address.ip, at);
    Contact {
        key: shown_key(key),
        host: key.host.clone(),
        port: key.port,
        path: key.path.clone(),
        scheme: key.scheme,
        server: address.ip,
        client,
        evidence: server.evidence,
        verdict: judgement.verdict,
        protocol_versions: server.versions.iter().cloned().collect(),
        auth: known.map(|client| client.auth.iter().cloned().collect()).unwrap_or_default(),
        unauthenticated_result: known.is_some_and(|client| client.unauthenticated_result),
        catalogued: policy.catalog.vendor(&key.host),
        via_proxy: server.via_proxy,
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

fn hit<'a>(found: &'a Match<'_, '_>, place: &'a Place<'_>) -> Hit<'a> {
    let Place { request, at, contact } = place;
    Hit {
        rule: &found.rule.info.id,
        severity: found.severity,
        server_key: &contact.key,
        client: request.client.ip,
        evidence: contact.evidence,
        verdict: contact.verdict,
        at: *at,
        flow: FlowTuple { client: request.client, server: request.server, protocol: 6 },
        group: group(found),
    }
}

fn draft(found: &Match<'_, '_>, place: &Place<'_>) -> Draft {
    let Place { request, at, contact } = place;
    Draft {
        rule: Arc::clone(&found.rule.info),
        severity: found.severity,
        server_key: contact.key.clone(),
        server: request.server,
        client: request.client.ip,
        evidence: contact.evidence,
        verdict: contact.verdict,
        at: *at,
        flow: FlowTuple { client: request.client, server: request.server, protocol: 6 },
        group: group(found),
        window: found.rule.group.window,
        text: found.text(),
        excerpt: found.excerpt(),
        visibility: request.visibility,
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
