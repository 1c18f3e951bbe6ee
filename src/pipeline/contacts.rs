//! What the inventory and the approvals say of one client's use of one server, and the subjects
//! for rules that come of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use super::analysis::Policy;
use super::lookalikes::Lookalikes;
use super::lore::{Judged, Lore};
use super::place::Place;
use crate::finding;
use crate::finding::severity::Outcome;
use crate::flow::At;
use crate::mcp::inventory::{
    Client, Inventory, Occasion, Reply, Resolved, Server, ServerId, ServerKey, disagreements,
    is_mcp_call,
};
use crate::mcp::{Contact, Evidence, Facts};
use crate::memory::Memory;
use crate::net::Direction;
use crate::observation::{Event, Kind, Message, Observation, RequestInfo, Software};
use crate::rules::advisory::Advisories;
use crate::rules::catalog::is_named_for_mcp;
use crate::rules::{Content, MessageFacts, Severity, Subject};
use crate::verdict::{HostUse, Judgement, KeyParts, Pin, Use, Verdict};

/// Gives what rules may be asked about of something resolved to `with`: a message, and what the list
/// that it carries changed; or an exchange, or a contact.
pub(super) fn with_subjects(
    policy: &Policy,
    inventory: &Inventory,
    contacts: &mut Contacts,
    lore: &mut Lore,
    resolved: &Resolved,
    mut with: impl FnMut(&Subject<'_>, &Place<'_>, &Memory),
) {
    let (server, request, at) = resolved.about();
    let Some(known) = contacts.get(policy, inventory, server, request, at) else { return };
    let Known { contact, methods, .. } = known;
    match resolved {
        Resolved::Message { .. } => {
            with_message(policy, inventory, known, lore, resolved, &mut with);
        }
        Resolved::Exchange { response, document, .. } => {
            let subject = Subject::exchange(request, response.as_deref(), contact.evidence);
            let status = response.as_deref().map(|response| response.status);
            let subject = subject.with_document(document.as_deref());
            let place = Place::of(request, at, contact).ended(outcome_of_status(status));
            with(&subject.with_contact(contact, methods), &place, lore.memory());
        }
        Resolved::SseEndpoint { response, path, .. } => {
            let subject = Subject::exchange(request, response.as_deref(), contact.evidence);
            let subject = subject.with_sse_endpoint(path).with_contact(contact, methods);
            with(&subject, &Place::of(request, at, contact), lore.memory());
        }
        Resolved::Contact { occasion, .. } => {
            let refused = *occasion == Occasion::Refused;
            if refused && contact.evidence >= Evidence::Parsed {
                return; // It is an MCP server: turning a request down is its right.
            }
            let attempt = refused.then(|| Contact { evidence: Evidence::Hint, ..contact.clone() });
            let contact = attempt.as_ref().unwrap_or(contact);
            let place = Place::of(request, at, contact);
            with(&Subject::server(contact, methods), &place, lore.memory());
        }
    }
}

/// The same for a message: first the message itself, then what its list changed.
fn with_message(
    policy: &Policy,
    inventory: &Inventory,
    known: &Known,
    lore: &mut Lore,
    resolved: &Resolved,
    with: &mut impl FnMut(&Subject<'_>, &Place<'_>, &Memory),
) {
    let Resolved::Message {
        server,
        request,
        direction,
        channel,
        message,
        reply,
        asked,
        disagreements,
        ambiguous,
        at,
    } = resolved
    else {
        return;
    };
    let Known { contact, methods, .. } = known;
    let (server, direction, at) = (*server, *direction, *at);
    let judged = Judged { server, contact, request, direction, message, at };
    lore.note_abilities(&judged);
    let facts = MessageFacts {
        direction,
        channel: *channel,
        message,
        reply: *reply,
        asked: asked.as_deref(),
        undeclared: lore.undeclared(&judged),
        disagreements,
        ambiguous: *ambiguous,
    };
    let content = Content::default();
    let subject = Subject::message(request, facts, contact.evidence);
    let subject = subject.with_contact(contact, methods).with_content(&content);
    let place = Place::of(request, at, contact).ended(outcome_of(message, *reply));
    let (called, copied) = (lore.called(&judged), lore.copied(&judged, &subject));
    with(&subject.with_call(called.as_ref(), &copied), &place, lore.memory());
    lore.remember(&judged, &subject);
    let pin = pin(policy, inventory, &judged);
    for tool in lore.learn(&judged, asked.as_deref(), pin) {
        let content = Content::default();
        let subject = Subject::tool(request, &tool, &content, contact.evidence);
        with(&subject.with_contact(contact, methods), &place, lore.memory());
    }
}

/// Gives what rules may be asked about of a request whose answer has not come: the message, and the
/// client's use of the server. The place is that of a request that was refused.
pub(super) fn with_request(
    policy: &Policy,
    inventory: &Inventory,
    contacts: &mut Contacts,
    server: ServerId,
    observation: &Observation,
    mut with: impl FnMut(&Subject<'_>, &Place<'_>),
) {
    let Event::Message { request, direction, channel, message, ambiguous } = &observation.event
    else {
        return;
    };
    let known = contacts.get(policy, inventory, server, request, observation.at);
    let Some(Known { contact, methods, .. }) = known else { return };
    let asked = asking(policy, inventory, server, contact, message, observation.at);
    let contact = asked.as_ref().unwrap_or(contact);
    let disagreements = disagreements(request, message);
    let facts = MessageFacts {
        direction: *direction,
        channel: *channel,
        message,
        reply: None,
        asked: None,
        undeclared: None,
        disagreements: &disagreements,
        ambiguous: *ambiguous,
    };
    let content = Content::default();
    let subject = Subject::message(request, facts, contact.evidence);
    let place = Place::of(request, observation.at, contact).ended(Outcome::Refused);
    with(&subject.with_contact(contact, methods).with_content(&content), &place);
    with(&Subject::server(contact, methods), &place);
}

/// The contact as it is if the server answers: a request that can only be MCP is not to be let
/// through because nobody has answered one yet.
fn asking(
    policy: &Policy,
    inventory: &Inventory,
    id: ServerId,
    contact: &Contact,
    message: &Message,
    at: At,
) -> Option<Contact> {
    let server = inventory.server(id)?;
    (contact.evidence < Evidence::Parsed && is_mcp_call(message)).then_some(())?;
    let Contact { client, server: address, .. } = *contact;
    let judgement = judge_as(policy, server, Evidence::Parsed, client, address, at);
    Some(Contact {
        evidence: Evidence::Parsed,
        verdict: judgement.verdict,
        approval: judgement.approval.map(|approval| approval.name.clone()),
        reason: judgement.reason,
        ..contact.clone()
    })
}

/// What the approval of a server pins, if the message may be a list of its tools.
fn pin<'p>(policy: &'p Policy, inventory: &Inventory, judged: &Judged<'_>) -> Option<&'p Pin> {
    let may_list = judged.message.kind == Kind::Result && judged.direction == Direction::ToClient;
    let server = inventory.server(judged.server).filter(|_| may_list)?;
    policy.approvals.has_pins().then_some(())?;
    let Judged { contact, request, at, .. } = judged;
    judge(policy, server, contact.client, request.server.ip, *at).approval?.pin()
}

/// How a message ended: a request by its reply, an answer by what it says.
fn outcome_of(message: &Message, reply: Option<Reply>) -> Outcome {
    let kind = match message.kind {
        Kind::Result | Kind::Error => Some(message.kind),
        Kind::Request | Kind::Notification => reply.and_then(|reply| reply.kind),
    };
    match kind {
        Some(Kind::Result) if message.is_error == Some(true) => Outcome::Refused,
        Some(Kind::Result) => Outcome::Succeeded,
        Some(Kind::Error) => Outcome::Refused,
        _ => match outcome_of_status(reply.and_then(|reply| reply.status)) {
            Outcome::Refused => Outcome::Refused,
            // A notification is accepted, which says nothing of what it did.
            Outcome::Unknown | Outcome::Succeeded => Outcome::Unknown,
        },
    }
}

/// How an HTTP exchange ended, as far as its status tells.
const fn outcome_of_status(status: Option<u16>) -> Outcome {
    match status {
        Some(400..) => Outcome::Refused,
        Some(200..300) => Outcome::Succeeded,
        _ => Outcome::Unknown,
    }
}

/// Contacts kept between subjects at most; then all are made anew.
const MAX_CONTACTS: usize = 8_192;

/// Contacts as they were last made: most subjects are about a client and a server of which
/// nothing new has been learnt since.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: HashMap<(ServerId, IpAddr), Known>,
    lookalikes: Lookalikes,
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
    sizes: [usize; 7],
    path_len: usize,
    unauthenticated_result: bool,
    via_proxy: bool,
    proxy: Option<IpAddr>,
    facts: FactsStamp,
}

/// The same for [`Facts`]. `shared` grows whenever anything that servers have
/// in common changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FactsStamp {
    shared: [u64; 2],
    clients: [usize; 2],
    session_bits: Option<u32>,
    names: [usize; 5],
    is_first: bool,
}

impl FactsStamp {
    fn of(server: &Server, client: Option<&Client>, shared: [u64; 2]) -> Self {
        let exposure = &server.exposure;
        Self {
            shared,
            clients: [exposure.unauthenticated_clients, exposure.session_clients],
            session_bits: exposure.session_bits,
            names: [
                server.software.len(),
                exposure.products.len(),
                client.map_or(0, |client| client.software.len()),
                client.map_or(0, |client| client.user_agents.len()),
                client.map_or(0, |client| client.program_starts.len()),
            ],
            is_first: client.is_some_and(is_first),
        }
    }
}

impl Stamp {
    fn of(server: &Server, request: &RequestInfo, at: At, shared: [u64; 2]) -> Self {
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
                known.map_or(0, |client| client.software.len()),
                known.map_or(0, |client| client.user_agents.len()),
                server.software.len(),
            ],
            path_len: server.key.path.len() + (server.aliases.len() << 16),
            unauthenticated_result: known.is_some_and(|client| client.unauthenticated_result),
            via_proxy: server.via_proxy,
            proxy,
            facts: FactsStamp::of(server, known, shared),
        }
    }
}

/// The explicit proxy that a request came through, on either of its legs.
fn proxy_of(request: &RequestInfo) -> Option<IpAddr> {
    let proxy = request.via.map(|via| via.ip);
    // A proxy's log need not tell the proxy's own address.
    let told = request.via_proxy.then_some(request.server.ip).filter(|ip| !ip.is_unspecified());
    proxy.or(told)
}
impl Contacts {
    /// What the inventory and the approvals say of a client's use of a server.
    #[cfg(test)]
    pub(super) fn contact(
        &mut self,
        policy: &Policy,
        inventory: &Inventory,
        id: ServerId,
        request: &RequestInfo,
        at: At,
    ) -> Option<Contact> {
        self.get(policy, inventory, id, request, at).map(|known| known.contact.clone())
    }

    fn get(
        &mut self,
        policy: &Policy,
        inventory: &Inventory,
        id: ServerId,
        request: &RequestInfo,
        at: At,
    ) -> Option<&Known> {
        let server = inventory.server(id)?;
        let client = request.client.ip;
        self.lookalikes.prepare(policy);
        let shared = [inventory.generation(), self.lookalikes.generation()];
        let stamp = Stamp::of(server, request, at, shared);
        if self.known.len() >= MAX_CONTACTS && !self.known.contains_key(&(id, client)) {
            self.known.clear();
        }
        let Self { known, lookalikes } = self;
        let mut make = || {
            let judgement = judge(policy, server, client, request.server.ip, at);
            if judgement.verdict == Verdict::Approved && server.is_mcp() {
                lookalikes.learn(server);
            }
            let facts = facts(policy, inventory, lookalikes, id, request, &judgement);
            let methods = server.methods.first();
            Known {
                stamp,
                contact: contact(policy, server, request, at, judgement, facts),
                methods: methods.into_iter().flat_map(|m| m.keys().cloned()).collect(),
            }
        };
        match known.entry((id, client)) {
            Entry::Vacant(vacant) => Some(vacant.insert(make())),
            Entry::Occupied(occupied) => {
                let known = occupied.into_mut();
                if known.stamp != stamp {
                    *known = make();
                }
                Some(known)
            }
        }
    }
}

/// What the inventory and the approvals say of a client's use of a server.
fn contact(
    policy: &Policy,
    server: &Server,
    request: &RequestInfo,
    at: At,
    judgement: Judgement<'_>,
    facts: Facts,
) -> Contact {
    let key = &server.key;
    let (client, address) = (request.client.ip, request.server.ip);
    let known = server.clients.get(&client);
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
        approval: judgement.approval.map(|approval| approval.name.clone()),
        reason: judgement.reason,
        software: software(server, client),
        facts,
    }
}

/// What client and server say that they are; of a client that does not say, its user agents.
fn software(server: &Server, client: IpAddr) -> Vec<String> {
    /// So many names of each.
    const MAX_NAMES: usize = 4;
    let named = |whose: &str, of: &Software| {
        format!("{whose} {} {}", of.name, of.version).trim_end().to_owned()
    };
    let mut names = Vec::new();
    if let Some(client) = server.clients.get(&client) {
        let own = client.software.iter().take(MAX_NAMES);
        names.extend(own.map(|software| named("client", software)));
        if names.is_empty() {
            let agents = client.user_agents.iter().take(MAX_NAMES);
            names.extend(agents.map(|agent| format!("client {agent}")));
        }
    }
    let own = server.software.iter().take(MAX_NAMES);
    names.extend(own.map(|software| named("server", software)));
    names
}

/// What other exchanges, other servers and the approvals add to a contact.
fn facts(
    policy: &Policy,
    inventory: &Inventory,
    lookalikes: &Lookalikes,
    id: ServerId,
    request: &RequestInfo,
    judgement: &Judgement<'_>,
) -> Facts {
    let Some(server) = inventory.server(id) else { return Facts::default() };
    let client = server.clients.get(&request.client.ip);
    let exposure = &server.exposure;
    let is_approved = judgement.verdict == Verdict::Approved;
    let alike = if is_approved { None } else { lookalikes.find(policy, server) };
    let (impersonates, likeness) = alike.unzip();
    let (no_software, no_agents) = Default::default();
    let client_software = client.map_or(&no_software, |client| &client.software);
    let user_agents = client.map_or(&no_agents, |client| &client.user_agents);
    let known = Advisories::builtin();
    let of_server = known.of_server(&server.software, &exposure.products);
    let of_client = known.of_client(client_software, user_agents);
    let shared = inventory.token_shared_with(id);
    Facts {
        unauthenticated_clients: exposure.unauthenticated_clients,
        session_bits: exposure.session_bits,
        session_clients: exposure.session_clients,
        token_shared_with: shared.into_iter().map(|other| shown_key(&other.key)).collect(),
        software: server.software.iter().map(named).collect(),
        client_software: client_software.iter().map(named).collect(),
        user_agents: user_agents.iter().cloned().collect(),
        same_software_ports: inventory.same_software_ports(id, request.server.ip),
        impersonates,
        likeness,
        approval: judgement.approval.map(|approval| approval.name.clone()),
        owner: judgement.approval.map(|approval| approval.owner.clone()),
        is_first: client.is_some_and(is_first),
        program_starts: client
            .map(|client| client.program_starts.iter().copied().collect())
            .unwrap_or_default(),
        advisories: of_server.ids,
        advisory_severity: of_server.severity.map(Severity::as_str),
        client_advisories: of_client.ids,
        client_advisory_severity: of_client.severity.map(Severity::as_str),
    }
}

/// Whether a client is in its first exchange with a server.
const fn is_first(client: &Client) -> bool {
    client.exchanges <= 1
}

/// `name/version`, or the name alone.
fn named(software: &Software) -> String {
    let Software { name, version } = software;
    if version.is_empty() { name.clone() } else { format!("{name}/{version}") }
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
    judge_as(policy, server, server.evidence, client, address, at)
}

/// The same as if the evidence were so.
fn judge_as<'p>(
    policy: &'p Policy,
    server: &Server,
    evidence: Evidence,
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
        evidence,
    })
}

fn host_use(server: &Server, client: IpAddr, address: IpAddr, at: At) -> HostUse<'_> {
    let key = &server.key;
    let origin = Some((key.scheme, key.port));
    HostUse { host: &key.host, origin, server: Some(address), client, at: at.time }
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
