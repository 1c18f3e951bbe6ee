//! What is kept of one server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Limits;
use super::client::Client;
use super::encrypted::Handshakes;
use super::exposure::Exposure;
use super::key::{ServerKey, Transport};
use crate::anomaly::Anomaly;
use crate::exchange::Visibility;
use crate::flow::At;
use crate::mcp::Evidence;
use crate::net::Endpoint;
use crate::observation::{Definition, DefinitionKind, SecretHash, Software};

/// Results and errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// JSON-RPC results.
    pub result: u64,
    /// Results among them whose `isError` is true.
    pub tool_error: u64,
    /// Results among them whose `resultType` is `input_required`.
    pub input_required: u64,
    /// JSON-RPC errors.
    pub error: u64,
}

/// One digest of a definition and when it was first listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// See [`Definition::digest`].
    pub digest: Option<String>,
    /// First listed.
    pub first: At,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its identity.
    pub key: ServerKey,
    /// Other paths that lead to it: redirects, message URIs of HTTP+SSE. Bounded.
    pub aliases: BTreeSet<String>,
    /// Best evidence so far.
    pub evidence: Evidence,
    /// Addresses at which MCP was spoken.
    pub endpoints: BTreeSet<Endpoint>,
    /// Addresses seen at all.
    pub contacted: BTreeSet<Endpoint>,
    /// Transports seen.
    pub transports: BTreeSet<Transport>,
    /// Revisions in force.
    pub versions: BTreeSet<String>,
    /// Names that it gave of itself.
    pub software: BTreeSet<Software>,
    /// Requests and notifications by method, per direction.
    pub methods: [BTreeMap<String, u64>; 2],
    /// Results and errors, per direction.
    pub responses: [Outcomes; 2],
    /// How requests by method were answered.
    pub outcomes: BTreeMap<String, Outcomes>,
    /// Tools called, resources read, prompts got: by name.
    pub tools_called: BTreeMap<String, u64>,
    /// Resources read, by URI.
    pub resources_read: BTreeMap<String, u64>,
    /// Prompts got, by name.
    pub prompts_got: BTreeMap<String, u64>,
    /// What it listed; several digests where a definition changed.
    pub listed: BTreeMap<(DefinitionKind, String), Vec<Listed>>,
    /// Sessions, as keyed hashes.
    pub sessions: BTreeSet<SecretHash>,
    /// Clients by address.
    pub clients: BTreeMap<IpAddr, Client>,
    /// Body bytes on the wire, per direction.
    pub bytes: [u64; 2],
    /// HTTP exchanges.
    pub exchanges: u64,
    /// Exchanges by status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Exchanges in which a client spoke MCP and was refused.
    pub refused: u64,
    /// Reached through an explicit proxy.
    pub via_proxy: bool,
    /// The explicit proxies: where clients reach them, and from where they reach the server.
    /// Bounded like endpoints.
    pub proxies: BTreeSet<IpAddr>,
    /// Names that DNS gave for the address that stands for its host. Never part of the key.
    pub names: BTreeSet<String>,
    /// Most that was seen of its exchanges.
    pub visibility: Visibility,
    /// What its encrypted flows show. `None` when there are none, or nobody asked.
    pub handshakes: Option<Box<Handshakes>>,
    /// First seen.
    pub first: At,
    /// Last seen.
    pub last: At,
    /// How open it is.
    pub exposure: Exposure,
    /// Oddities of its flows by `layer/kind`.
    pub anomalies: BTreeMap<String, u64>,
    /// Names, clients or definitions dropped at a bound.
    pub dropped: u64,
}

impl Server {
    pub(super) fn new(key: ServerKey, at: At) -> Self {
        Self {
            key,
            aliases: BTreeSet::new(),
            evidence: Evidence::Hint,
            endpoints: BTreeSet::new(),
            contacted: BTreeSet::new(),
            transports: BTreeSet::new(),
            versions: BTreeSet::new(),
            software: BTreeSet::new(),
            methods: Default::default(),
            responses: Default::default(),
            outcomes: BTreeMap::new(),
            tools_called: BTreeMap::new(),
            resources_read: BTreeMap::new(),
            prompts_got: BTreeMap::new(),
            listed: BTreeMap::new(),
            sessions: BTreeSet::new(),
            clients: BTreeMap::new(),
            bytes: [0; 2],
            exchanges: 0,
            statuses: BTreeMap::new(),
            refused: 0,
            via_proxy: false,
            proxies: BTreeSet::new(),
            names: BTreeSet::new(),
            visibility: Visibility::Tls,
            handshakes: None,
            first: at,
            last: at,
            exposure: Exposure::default(),
            anomalies: BTreeMap::new(),
            dropped: 0,
        }
    }

    /// Whether it may be called an MCP server.
    #[must_use]
    pub fn is_mcp(&self) -> bool {
        self.evidence >= Evidence::Parsed
    }

    /// Whether there is at least a hint of MCP worth showing: header evidence, a client that tried,
    /// a path by convention, or encrypted flows to a host of interest.
    #[must_use]
    pub fn is_hint(&self) -> bool {
        self.evidence >= Evidence::Header
            || self.refused > 0
            || super::is_mcp_path(&self.key.path)
            || self.handshakes.is_some()
    }

    pub(super) fn touch(&mut self, at: At) {
        self.first = self.first.min(at);
        self.last = self.last.max(at);
    }

    /// The record of a client; `None` at the bound.
    pub(super) fn client(&mut self, ip: IpAddr, at: At, limits: &Limits) -> Option<&mut Client> {
        if !self.clients.contains_key(&ip) && self.clients.len() >= limits.max_clients_per_server {
            self.dropped += 1;
            return None;
        }
        let client = self.clients.entry(ip).or_insert_with(|| Client::new(at));
        client.first = client.first.min(at);
        client.last = client.last.max(at);
        Some(client)
    }

    /// Remembers what a list result defined.
    pub(super) fn list(&mut self, definitions: &[Definition], at: At, limits: &Limits) {
        for definition in definitions {
            let key = (definition.kind, definition.name.clone());
            if !self.listed.contains_key(&key) && self.listed.len() >= limits.max_names_per_server {
                self.dropped += 1;
                continue;
            }
            let digests = self.listed.entry(key).or_default();
            let known = digests.iter().any(|listed| listed.digest == definition.digest);
            if known {
                continue;
            }
            if digests.len() < limits.max_digests_per_definition {
                digests.push(Listed { digest: definition.digest.clone(), first: at });
            } else {
                self.dropped += 1;
            }
        }
    }

    /// Counts an oddity of one of its flows.
    pub(super) fn note(&mut self, anomaly: Anomaly, limits: &Limits) {
        count(&mut self.anomalies, &mut self.dropped, &anomaly.to_string(), limits);
    }

    /// An address at which it was seen, and whether MCP was spoken there.
    pub(super) fn place(&mut self, endpoint: Endpoint, is_mcp: bool, limits: &Limits) {
        if endpoint.ip.is_unspecified() {
            return; // A log need not tell it.
        }
        let set = if is_mcp { &mut self.endpoints } else { &mut self.contacted };
        if set.len() < limits.max_endpoints_per_server {
            set.insert(endpoint);
        } else if !set.contains(&endpoint) {
            self.dropped += 1;
        }
    }

    /// A proxy that clients reach it through.
    pub(super) fn reached_through(&mut self, proxy: IpAddr, limits: &Limits) {
        if !proxy.is_unspecified() {
            insert_within(&mut self.proxies, proxy, limits.max_endpoints_per_server);
        }
    }

    pub(super) fn add_alias(&mut self, path: String, max: usize) {
        if !insert_within(&mut self.aliases, path, max) && self.aliases.len() >= max {
            self.dropped += 1;
        }
    }

    /// About how much merging moves.
    pub(super) fn weight(&self) -> usize {
        let clients: usize = self.clients.values().map(Client::weight).sum();
        let names = [&self.tools_called, &self.resources_read, &self.prompts_got];
        let names: usize = names.iter().chain(&self.methods.each_ref()).map(|map| map.len()).sum();
        clients + names + self.listed.len() + self.sessions.len() + self.aliases.len()
    }

    /// Takes over what another record, which turned out to be the same server, holds; as far as
    /// the bounds allow.
    pub(super) fn absorb(&mut self, other: Self, limits: &Limits) {
        let key = &self.key;
        let aliases = other.aliases.into_iter().chain([other.key.path]);
        let aliases: Vec<_> = aliases.filter(|path| *path != key.path).collect();
        for path in aliases {
            self.add_alias(path, limits.max_aliases_per_server);
        }
        self.evidence = self.evidence.max(other.evidence);
        for endpoint in other.endpoints {
            self.place(endpoint, true, limits);
        }
        for endpoint in other.contacted {
            self.place(endpoint, false, limits);
        }
        self.transports.extend(other.transports);
        let max = limits.max_digests_per_definition;
        for version in other.versions {
            insert_within(&mut self.versions, version, max);
        }
        for software in other.software {
            insert_within(&mut self.software, software, max);
        }
        for session in other.sessions {
            insert_within(&mut self.sessions, session, limits.max_sessions_per_server);
        }
        self.absorb_counts(
            [other.tools_called, other.resources_read, other.prompts_got, other.anomalies],
            other.methods,
            limits,
        );
        for (mine, theirs) in self.responses.iter_mut().zip(other.responses) {
            mine.add(theirs);
        }
        for (method, outcomes) in other.outcomes {
            self.outcome(&method, limits, |mine| mine.add(outcomes));
        }
        self.absorb_lists(other.listed, limits);
        self.absorb_clients(other.clients, limits);
        self.exposure.absorb(other.exposure);
        self.recount();
        for (mine, theirs) in self.bytes.iter_mut().zip(other.bytes) {
            *mine += theirs;
        }
        self.exchanges += other.exchanges;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.refused += other.refused;
        self.via_proxy |= other.via_proxy;
        let max = limits.max_endpoints_per_server;
        for proxy in other.proxies {
            insert_within(&mut self.proxies, proxy, max);
        }
        self.names.extend(other.names);
        self.visibility = self.visibility.max(other.visibility);
        if let Some(theirs) = other.handshakes {
            let max = limits.max_handshake_values_per_server;
            self.handshakes.get_or_insert_default().absorb(&theirs, max);
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.dropped += other.dropped;
    }

    fn absorb_counts(&mut self, named: [Counts; 4], methods: [Counts; 2], limits: &Limits) {
        let Self { dropped, .. } = self;
        let mine = [
            &mut self.tools_called,
            &mut self.resources_read,
            &mut self.prompts_got,
            &mut self.anomalies,
        ];
        let mine = mine.into_iter().chain(&mut self.methods);
        for (mine, theirs) in mine.zip(named.into_iter().chain(methods)) {
            add_counts(mine, theirs, dropped, limits);
        }
    }

    fn absorb_lists(
        &mut self,
        other: BTreeMap<(DefinitionKind, String), Vec<Listed>>,
        limits: &Limits,
    ) {
        for (key, listed) in other {
            if !self.listed.contains_key(&key) && self.listed.len() >= limits.max_names_per_server {
                self.dropped += 1;
                continue;
            }
            let mine = self.listed.entry(key).or_default();
            for entry in listed {
                if let Some(known) = mine.iter_mut().find(|known| known.digest == entry.digest) {
                    known.first = known.first.min(entry.first);
                } else if mine.len() < limits.max_digests_per_definition {
                    mine.push(entry);
                } else {
                    self.dropped += 1;
                }
            }
            mine.sort_by_key(|entry| entry.first);
        }
    }

    fn absorb_clients(&mut self, other: BTreeMap<IpAddr, Client>, limits: &Limits) {
        for (ip, client) in other {
            if let Some(mine) = self.clients.get_mut(&ip) {
                self.dropped += mine.absorb(client, limits);
            } else if self.clients.len() < limits.max_clients_per_server {
                self.clients.insert(ip, client);
            } else {
                self.dropped += 1;
            }
        }
    }

    /// Changes how the requests of a method ended.
    pub(super) fn outcome(
        &mut self,
        method: &str,
        limits: &Limits,
        change: impl FnOnce(&mut Outcomes),
    ) {
        if let Some(outcomes) = self.outcomes.get_mut(method) {
            change(outcomes);
        } else if self.outcomes.len() < limits.max_names_per_server {
            change(self.outcomes.entry(method.to_owned()).or_default());
        } else {
            self.dropped += 1;
        }
    }
}

impl Outcomes {
    fn add(&mut self, other: Self) {
        self.result += other.result;
        self.tool_error += other.tool_error;
        self.input_required += other.input_required;
        self.error += other.error;
    }
}

/// Names and how often they occurred.
pub(super) type Counts = BTreeMap<String, u64>;

/// Counts a name, unless the map is full of others.
pub(super) fn count(counts: &mut Counts, dropped: &mut u64, name: &str, limits: &Limits) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else if counts.len() < limits.max_names_per_server {
        counts.insert(name.to_owned(), 1);
    } else {
        *dropped += 1;
    }
}

pub(super) fn add_counts(mine: &mut Counts, theirs: Counts, dropped: &mut u64, limits: &Limits) {
    for (name, count) in theirs {
        if let Some(mine) = mine.get_mut(&name) {
            *mine += count;
        } else if mine.len() < limits.max_names_per_server {
            mine.insert(name, count);
        } else {
            *dropped += 1;
        }
    }
}

/// Adds a value to a set that is not full. Answers whether it was new and found room.
pub(super) fn insert_within<T: Ord>(set: &mut BTreeSet<T>, value: T, max: usize) -> bool {
    set.len() < max && set.insert(value)
}
