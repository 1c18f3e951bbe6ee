//! What several sources tell of one exchange. Sans-IO.
//!
//! A proxy's log and the packets beside it, or two logs, may tell of the same exchange: it counts
//! once, by the first to tell of it, and the findings that it made name the other source too. An
//! exchange is the same when the sources differ and one of these is equal:
//!
//! - the request's id (`X-Request-Id`), host, path and method;
//! - the community id of the flow, host, path and method;
//! - address and port of the client, host, path and method, within [`CONNECTION_WINDOW`];
//! - where one of them has no port, the client's address instead, within [`CLIENT_WINDOW`].
//!
//! Different ids of requests tell exchanges apart, and lines of one format are of one source,
//! whatever files they are in. Of several exchanges that are alike, the nearest in time is taken, and each only once. What shows
//! more than the first source did is never dropped.

use std::collections::VecDeque;
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::place::{TCP, UDP};
use super::recent::Recent;
use crate::exchange::{Carrier, Provenance, Visibility};
use crate::finding::{FlowTuple, community_id};
use crate::flow::At;
use crate::fnv::Fnv;
use crate::net::Endpoint;
use crate::observation::{Event, ExchangeId, Observation, RequestInfo};
use crate::time::Timestamp;

/// A connection's port is not used again so soon; a log tells of an exchange when it is over.
const CONNECTION_WINDOW: Duration = Duration::from_secs(600);
/// Without a port, only what happens together is the same.
const CLIENT_WINDOW: Duration = Duration::from_secs(5);
/// Exchanges remembered under each kind of key, and exchanges that were joined; the oldest is
/// forgotten. A hundred bytes each.
const MAX_REMEMBERED: usize = 16_384;
/// Exchanges that are alike, remembered at most.
const MAX_ALIKE: usize = 64;

/// What is to be done with an observation.
#[derive(Debug)]
pub(super) enum Joined {
    /// It is taken in.
    Own,
    /// Another source told of the exchange before, on this flow.
    With {
        /// That flow.
        flow: FlowTuple,
        /// Who tells of it now.
        provenance: Arc<Provenance>,
        /// The line.
        at: At,
    },
}

/// Under what an exchange is found again. Hashes do not resist those who want collisions, who
/// could as well send the same request twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    RequestId(u64),
    Community(u64),
    Connection(Endpoint, u64),
    Client(IpAddr, u64),
}

#[derive(Clone, Debug)]
struct Told {
    source: Option<u16>,
    /// Kind of the source: the files that a log was rotated into are one source.
    kind: Option<Arc<str>>,
    /// Hash of the request's id.
    request_id: Option<u64>,
    flow: FlowTuple,
    visibility: Visibility,
    time: Timestamp,
    /// Tells exchanges that are found under several keys apart.
    id: ExchangeId,
}

/// Exchanges that were told of.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// Only a run with other sources than packets looks for equals.
    active: bool,
    told: Recent<Key, VecDeque<Told>, MAX_REMEMBERED>,
    /// Exchanges met before, and with what they were joined.
    met: Recent<ExchangeId, Option<FlowTuple>, MAX_REMEMBERED>,
    /// Exchanges that a line of this source was joined with.
    taken: Recent<(ExchangeId, u16), (), MAX_REMEMBERED>,
}

impl Joins {
    /// There are other sources than packets.
    pub(super) fn activate(&mut self) {
        self.active = true;
    }

    /// Looks whether another source told of it before.
    pub(super) fn admit(&mut self, seen: &Observation) -> Joined {
        if !self.active {
            return Joined::Own;
        }
        let Some(about) = About::of(seen) else { return Joined::Own };
        if let Some(known) = self.met.entries.get(&about.id) {
            return about.joined(*known);
        }
        let found = about.provenance.and_then(|_| self.find(&about));
        self.met.insert(about.id, found);
        if found.is_none() {
            self.remember(&about);
        }
        about.joined(found)
    }

    /// It is taken in whoever told of it before; other sources join it.
    pub(super) fn own(&mut self, seen: &Observation) {
        if let Some(about) = About::of(seen).filter(|_| self.active)
            && !self.met.entries.contains_key(&about.id)
        {
            self.met.insert(about.id, None);
            self.remember(&about);
        }
    }

    fn find(&mut self, about: &About<'_>) -> Option<FlowTuple> {
        let source = about.source?;
        for key in about.keys() {
            let window = match key {
                Key::Client(..) => CLIENT_WINDOW,
                _ => CONNECTION_WINDOW,
            };
            let Some(alike) = self.told.entries.get(&key) else { continue };
            let taken = &self.taken.entries;
            let fits = |told: &&Told| {
                told.source != Some(source)
                    && about.may_be_of(told)
                    && !taken.contains_key(&(told.id, source))
                    && told.visibility >= about.visibility
                    && about.may_have_port(told.flow.client.port)
                    && about.distance(told.time) <= window
            };
            let best = alike.iter().filter(fits).min_by_key(|told| about.distance(told.time));
            if let Some(best) = best {
                let (id, flow) = (best.id, best.flow);
                self.taken.insert((id, source), ());
                return Some(flow);
            }
        }
        None
    }

    fn remember(&mut self, about: &About<'_>) {
        let told = Told {
            source: about.source,
            kind: about.kind().cloned(),
            request_id: about.request_id_hash(),
            flow: about.flow,
            visibility: about.visibility,
            time: about.time,
            id: about.id,
        };
        for key in about.keys() {
            match self.told.entries.get_mut(&key) {
                Some(alike) => {
                    if alike.len() >= MAX_ALIKE {
                        alike.pop_front();
                    }
                    alike.push_back(told.clone());
                }
                None => self.told.insert(key, VecDeque::from([told.clone()])),
            }
        }
    }
}

/// What an observation says of its exchange.
struct About<'a> {
    id: ExchangeId,
    source: Option<u16>,
    provenance: Option<&'a Arc<Provenance>>,
    flow: FlowTuple,
    visibility: Visibility,
    time: Timestamp,
    at: At,
    /// Host, path and method, hashed.
    what: u64,
    request_id: Option<&'a str>,
}

impl<'a> About<'a> {
    fn of(seen: &'a Observation) -> Option<Self> {
        match &seen.event {
            Event::Message { ambiguous: true, .. } => None,
            Event::Message { request, .. }
            | Event::SseEndpoint { request, .. }
            | Event::Document { request, .. }
            | Event::Answered { request, .. }
            | Event::Ended { request, .. } => Some(Self::of_request(seen, request)),
            Event::Tls { client, server, hello, tunnel, provenance, .. } => {
                let hello = hello.as_ref()?;
                let is_quic = hello.carrier == Carrier::Quic;
                let protocol = if is_quic { UDP } else { TCP };
                let host = hello.sni.as_deref().or(tunnel.as_deref())?;
                let mut what = Fnv::default();
                ("tls", host).hash(&mut what);
                Some(Self {
                    // Not the exchange that a log may tell of beside the name.
                    id: ExchangeId { flow: seen.flow, number: u32::MAX },
                    source: source(seen.at),
                    provenance: provenance.as_ref(),
                    flow: FlowTuple { client: *client, server: *server, protocol },
                    visibility: Visibility::Tls,
                    time: seen.at.time,
                    at: seen.at,
                    what: what.finish(),
                    request_id: None,
                })
            }
            Event::Dns { .. } | Event::Flow { .. } | Event::Anomaly { .. } => None,
        }
    }

    fn of_request(seen: &'a Observation, request: &'a RequestInfo) -> Self {
        let provenance = request.provenance.as_ref();
        let by_header =
            request.headers.iter().find(|field| field.name == "x-request-id").map(|f| &*f.value);
        let mut what = Fnv::default();
        (request.host.as_deref(), &request.path, &request.method).hash(&mut what);
        Self {
            id: request.id,
            source: source(request.at),
            provenance,
            flow: FlowTuple { client: request.client, server: request.server, protocol: TCP },
            visibility: request.visibility,
            time: request.at.time,
            at: seen.at,
            what: what.finish(),
            request_id: provenance.and_then(|known| known.request_id.as_deref()).or(by_header),
        }
    }

    fn joined(&self, flow: Option<FlowTuple>) -> Joined {
        match (flow, self.provenance) {
            (Some(flow), Some(provenance)) => {
                Joined::With { flow, provenance: Arc::clone(provenance), at: self.at }
            }
            _ => Joined::Own,
        }
    }

    /// Keys, the surest first.
    fn keys(&self) -> impl Iterator<Item = Key> {
        let told = self.provenance.and_then(|known| known.community_id.as_deref());
        let FlowTuple { client, server, .. } = self.flow;
        let is_whole = client.port > 0 && server.port > 0 && !server.ip.is_unspecified();
        let community = match told {
            Some(id) => Some(hashed(id, self.what)),
            None => is_whole.then(|| hashed(&community_id(&self.flow), self.what)),
        };
        let is_known = !client.ip.is_unspecified();
        let connection =
            (is_known && client.port > 0).then_some(Key::Connection(client, self.what));
        let alone = is_known.then_some(Key::Client(client.ip, self.what));
        let ids = [self.request_id_hash().map(Key::RequestId), community.map(Key::Community)];
        ids.into_iter().flatten().chain(connection).chain(alone)
    }

    fn kind(&self) -> Option<&Arc<str>> {
        self.provenance.map(|known| &known.source)
    }

    fn request_id_hash(&self) -> Option<u64> {
        self.request_id.map(|id| hashed(id, self.what))
    }

    /// Another kind of source tells of it, or the same id; and no id says that it is another.
    fn may_be_of(&self, told: &Told) -> bool {
        match (self.request_id_hash(), told.request_id) {
            (Some(own), Some(other)) => own == other,
            _ => self.kind() != told.kind.as_ref(),
        }
    }

    /// Ports that are known are equal.
    const fn may_have_port(&self, port: u16) -> bool {
        let own = self.flow.client.port;
        own == 0 || port == 0 || own == port
    }

    fn distance(&self, time: Timestamp) -> Duration {
        self.time.since(time).max(time.since(self.time))
    }
}

fn hashed(text: &str, what: u64) -> u64 {
    let mut hash = Fnv::default();
    (text, what).hash(&mut hash);
    hash.finish()
}

/// The log that a line is of; none of packets.
const fn source(at: At) -> Option<u16> {
    match At::line_of(at.packet) {
        Some((log, _)) => Some(log),
        None => None,
    }
}

#[cfg(test)]
mod tests;
