//! Inventory records and observations as output events.

use std::collections::{BTreeMap, BTreeSet};

use super::analysis::Policy;
use super::contacts::{judge, shown_key};
use super::flows::{Ended, Whole};
use super::place::{TCP, UDP};
use crate::exchange::{Application, TlsHello};
use crate::finding::{FlowTuple, PacketNames, community_id, mask};
use crate::flow::At;
use crate::mcp::inventory::{Handshakes, Inventory, Server, ServerId, Transport};
use crate::mcp::methods::{self, Revision};
use crate::net::{Direction, Endpoint};
use crate::observation::{
    DefinitionKind, Event, Message, MessageId, Observation, RequestInfo, Software,
};
use crate::rules::tls_version_name;
use crate::sinks::event::{
    ApprovalRef, Client, DefinitionRef, Definitions, Directions, FlowEvent, FlowGaps, FlowNetwork,
    FlowServer, FlowSide, FlowTls, McpMessage, MessageClient, MessageEvent, Outcomes, Packet,
    Period, Responses, ServerEvent, ServerInfo, ServerKey, TlsInfo, TunnelRef,
};
use crate::verdict::Verdict;

/// The event of a message, if it can belong to MCP: its server is known to speak it, or its
/// method is one of MCP's, or it answers (JSON-RPC answers carry no name of their own).
#[must_use]
pub(super) fn message(
    policy: &Policy,
    observation: &Observation,
    server: &Server,
    names: &dyn PacketNames,
) -> Option<MessageEvent> {
    let Event::Message { request, direction, channel, message, ambiguous } = &observation.event
    else {
        return None;
    };
    let method = message.method.as_deref();
    let known = method.is_some_and(|method| methods::lookup(method).is_some());
    if !server.is_mcp() && !known {
        return None;
    }
    let At { packet, time } = observation.at;
    let (client, address) = (request.client.ip, request.server.ip);
    Some(MessageEvent {
        timestamp: time,
        packet: names.name(packet).as_ref().map(Packet::from),
        source: request.client.into(),
        destination: request.server.into(),
        client: introduced(message, request, server),
        server: ServerKey { key: shown_key(&server.key) },
        verdict: judge(policy, server, client, address, observation.at).verdict,
        mcp: McpMessage {
            direction: *direction,
            kind: message.kind,
            method: message
                .method
                .as_deref()
                .map(|method| if known { method.to_owned() } else { shown(method) }),
            id: message.id.as_ref().map(masked_id),
            name: message.name.as_deref().map(shown),
            uri: message.uri.as_deref().map(mask),
            protocol_version: message
                .protocol_version
                .clone()
                .or_else(|| request.protocol_version.clone()),
            session: request.session.map(|session| session.to_string()),
            error_code: message.error_code,
            http_status: None,
            channel: *channel,
            size: message.size,
            partial: message.partial,
            ambiguous: *ambiguous,
        },
    })
}

/// What the client of a message says that it is: in the message, else what it said first before.
fn introduced(message: &Message, request: &RequestInfo, server: &Server) -> Option<MessageClient> {
    let known = || server.clients.get(&request.client.ip)?.software.first();
    let Software { name, version } = software(message.client.as_ref().or_else(known)?);
    Some(MessageClient { software: format!("{name} {version}").trim_end().to_owned() })
}

/// The event of a flow.
#[must_use]
pub(super) fn flow(policy: &Policy, flow: Whole<'_>, names: &dyn PacketNames) -> FlowEvent {
    let Whole { ended: Ended { flow: id, client, server, scope, end }, lead, server: of } = flow;
    let is_udp = end.application == Some(Application::Quic);
    let protocol = if is_udp { UDP } else { TCP };
    let tuple = FlowTuple { client: *client, server: *server, protocol };
    let side = |endpoint: &Endpoint, direction: Direction| {
        let of = |counts: &[u64; 2]| counts.get(direction.index()).copied().unwrap_or(0);
        let Endpoint { ip, port } = *endpoint;
        FlowSide { ip, port, bytes: of(&end.bytes), packets: of(&end.packets) }
    };
    let user = lead.client.unwrap_or(client.ip);
    let at = At { packet: *id, time: end.last };
    FlowEvent {
        timestamp: end.opened,
        event: Period { start: end.opened, end: end.last },
        network: FlowNetwork {
            transport: if is_udp { "udp" } else { "tcp" },
            community_id: community_id(&tuple),
            application: end.application,
        },
        source: side(client, Direction::ToServer),
        destination: side(server, Direction::ToClient),
        server: FlowServer { key: shown_key(&of.key), address: of.key.host.clone() },
        tls: lead.hello.as_deref().map(greeting),
        verdict: judge(policy, of, user, server.ip, at).verdict,
        evidence: of.evidence,
        gaps: (end.gaps > 0).then_some(FlowGaps { count: end.gaps, bytes: end.gap_bytes }),
        midstream: end.midstream,
        finish: end.finish,
        tunnels: names
            .path(*scope)
            .map(|path| path.0.iter().map(TunnelRef::from).collect())
            .unwrap_or_default(),
    }
}

fn greeting(hello: &TlsHello) -> FlowTls {
    FlowTls {
        sni: hello.sni.as_deref().map(shown),
        alpn: hello.alpn.iter().map(|protocol| shown(protocol)).collect(),
        ja4: hello.ja4.clone(),
    }
}

/// The servers worth a line: those that speak MCP, and hints of others on origins that have none.
#[must_use]
pub fn shown_servers<'a>(policy: &Policy, inventory: &'a Inventory) -> Vec<(ServerId, &'a Server)> {
    let mut all = inventory.servers();
    let origin = |server: &Server| (server.key.scheme, server.key.host.clone(), server.key.port);
    let proven: BTreeSet<_> = all
        .iter()
        .filter(|(_, server)| server.is_mcp())
        .map(|(_, server)| origin(server))
        .collect();
    all.retain(|(_, server)| {
        server.is_mcp()
            || ((server.is_hint() || policy.catalog.vendor(&server.key.host).is_some())
                && !proven.contains(&origin(server)))
    });
    all
}

/// The event of a server.
#[must_use]
pub fn server(policy: &Policy, server: &Server) -> ServerEvent {
    let clients: Vec<_> = clients(policy, server);
    let worst = clients.iter().max_by_key(|client| client.verdict);
    let verdict = worst.map_or(Verdict::Undetermined, |client| client.verdict);
    let reason = worst.map(|client| client.reason.clone()).unwrap_or_default();
    let key = &server.key;
    let is_name = key.host.parse::<std::net::IpAddr>().is_err();
    let endpoints = if server.is_mcp() { &server.endpoints } else { &server.contacted };
    let first = endpoints.iter().next().copied();
    let approval = first.and_then(|endpoint: Endpoint| {
        let (ip, _) = server.clients.first_key_value()?;
        judge(policy, server, *ip, endpoint.ip, server.last).approval
    });
    // WebSocket and bare lines are of either era: there the revision tells.
    let untold = server.transports.iter().any(|transport| !transport.tells_era());
    let of_stream = |modern: bool| {
        let is_modern = |version: &String| version.as_str() >= Revision::V2026_07_28.as_str();
        untold && server.versions.iter().any(|version| is_modern(version) == modern)
    };
    let stateless = server.transports.contains(&Transport::Stateless) || of_stream(true);
    let legacy = of_stream(false)
        || server
            .transports
            .iter()
            .any(|transport| transport.tells_era() && *transport != Transport::Stateless);
    let eras = [(legacy, "legacy"), (stateless, "modern")];
    let auth = server.clients.values().flat_map(|client| client.auth.iter().cloned());
    let auth: BTreeSet<String> = auth.collect();
    let [to_server, to_client] = &server.methods;
    ServerEvent {
        timestamp: server.first.time,
        mcp: server.is_mcp(),
        evidence: server.evidence,
        visibility: server.visibility,
        verdict,
        reason,
        approval: approval.map(ApprovalRef::from),
        server: ServerInfo {
            key: shown_key(key),
            address: key.host.clone(),
            domain: is_name.then(|| key.host.clone()),
            ip: first.map(|endpoint| endpoint.ip),
            port: key.port,
            path: mask(&key.path),
            endpoints: endpoints.iter().copied().collect(),
            software: server.software.iter().map(software).collect(),
            names: server.names.iter().map(|name| shown(name)).collect(),
            aliases: server.aliases.iter().map(|path| mask(path)).collect(),
            via_proxy: server.via_proxy,
            proxies: server.proxies.iter().copied().collect(),
            catalogued: policy.catalog.vendor(&key.host),
        },
        event: Period { start: server.first.time, end: server.last.time },
        protocol_versions: server.versions.iter().cloned().collect(),
        eras: eras.iter().filter(|(is, _)| *is).map(|(_, era)| (*era).to_owned()).collect(),
        transports: server.transports.iter().map(|transport| transport.to_string()).collect(),
        methods: Directions {
            client_to_server: counted(to_server),
            server_to_client: counted(to_client),
        },
        responses: responses(server),
        outcomes: outcomes(server),
        tools_called: counted(&server.tools_called),
        definitions: definitions(server),
        clients,
        sessions: server.sessions.iter().map(ToString::to_string).collect(),
        auth: auth.into_iter().collect(),
        bytes: Directions { client_to_server: server.bytes[0], server_to_client: server.bytes[1] },
        http_status: server.statuses.clone(),
        refused_attempts: server.refused,
        anomalies: server.anomalies.clone(),
        tls: server.handshakes.as_deref().map(handshakes),
    }
}

fn handshakes(seen: &Handshakes) -> TlsInfo {
    let texts = |set: &BTreeSet<String>| set.iter().map(|v| shown(v)).collect();
    TlsInfo {
        flows: seen.flows,
        ech_flows: seen.ech_flows,
        sni: texts(&seen.sni),
        alpn: texts(&seen.alpn),
        ja4: seen.ja4.iter().cloned().collect(),
        versions: seen.versions.iter().rev().map(|v| tls_version_name(*v).to_owned()).collect(),
        carriers: seen.carriers.iter().copied().collect(),
        certificate_names: texts(&seen.certificate_names),
    }
}

/// Ids are chosen by the peers, so they can be anything.
fn masked_id(id: &MessageId) -> MessageId {
    MessageId(shown(&id.0))
}

/// Shorter names hold no credential that masking knows.
const MIN_SECRET_BYTES: usize = 12;

/// A name that a peer chose, without the credentials that it may hold.
fn shown(name: &str) -> String {
    if name.len() < MIN_SECRET_BYTES { name.to_owned() } else { mask(name) }
}

fn software(of: &Software) -> Software {
    Software { name: shown(&of.name), version: shown(&of.version) }
}

fn counted(names: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (name, count) in names {
        *counts.entry(shown(name)).or_default() += count;
    }
    counts
}

fn clients(policy: &Policy, server: &Server) -> Vec<Client> {
    let address = server.endpoints.first().or_else(|| server.contacted.first()).copied();
    let address = address.unwrap_or(Endpoint::UNKNOWN).ip;
    let client = |(ip, client): (&std::net::IpAddr, &crate::mcp::inventory::Client)| {
        let judgement = judge(policy, server, *ip, address, client.last);
        Client {
            ip: *ip,
            software: client.software.iter().map(software).collect(),
            user_agents: client.user_agents.iter().map(|agent| shown(agent)).collect(),
            event: Period { start: client.first.time, end: client.last.time },
            auth: client.auth.iter().cloned().collect(),
            verdict: judgement.verdict,
            reason: shown(&judgement.reason),
            messages: client.messages,
            tools_called: counted(&client.tools_called),
        }
    };
    server.clients.iter().map(client).collect()
}

fn responses(server: &Server) -> Directions<Responses> {
    let [from_client, from_server] = server.responses;
    let of = |outcomes: crate::mcp::inventory::Outcomes| Responses {
        result: outcomes.result,
        input_required: outcomes.input_required,
        error: outcomes.error,
    };
    Directions { client_to_server: of(from_client), server_to_client: of(from_server) }
}

/// How the requests of each method ended; those without an answer are what is left of the count.
fn outcomes(server: &Server) -> BTreeMap<String, Outcomes> {
    let mut found = BTreeMap::new();
    for (method, count) in server.methods.iter().flatten() {
        if method.starts_with("notifications/") {
            continue;
        }
        let known = server.outcomes.get(method).copied().unwrap_or_default();
        let outcomes: &mut Outcomes = found.entry(shown(method)).or_default();
        outcomes.result = known.result - known.tool_error.min(known.result);
        outcomes.tool_error = known.tool_error;
        outcomes.error = known.error;
        outcomes.unanswered += count;
    }
    for outcomes in found.values_mut() {
        let answered = outcomes.result + outcomes.tool_error + outcomes.error;
        outcomes.unanswered = outcomes.unanswered.saturating_sub(answered);
    }
    found
}

fn definitions(server: &Server) -> Definitions {
    let of_kind = |kind| {
        let listed = server.listed.iter().filter(move |((of, _), _)| *of == kind);
        listed
            .flat_map(|((_, name), digests)| {
                digests.iter().map(|listed| DefinitionRef {
                    name: shown(name),
                    digest: listed.digest.clone(),
                    first: Some(listed.first.time),
                })
            })
            .collect()
    };
    Definitions {
        tools: of_kind(DefinitionKind::Tool),
        resources: of_kind(DefinitionKind::Resource),
        resource_templates: of_kind(DefinitionKind::ResourceTemplate),
        prompts: of_kind(DefinitionKind::Prompt),
    }
}
