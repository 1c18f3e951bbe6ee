//! Observations into an inventory of servers, and into subjects for rules. Sans-IO.
//!
//! In: [`Observation`]s in packet order. Out: [`Server`] records, and [`Resolved`] subjects: a
//! request is judged when its answer is known (or will not come), so that a client that merely
//! tries MCP on some web server accuses nobody.

mod client;
mod crossing;
mod encrypted;
mod evidence;
mod exchanges;
mod exposure;
mod key;
mod messages;
mod open;
mod records;
mod relay;
mod resolve;
mod server;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use client::{Client, ProgramStart};
pub use encrypted::{EncryptedUse, Handshakes};
pub(in crate::mcp) use evidence::is_mcp_path;
pub use evidence::{disagreements, is_mcp_call};
pub use exposure::Exposure;
pub use key::{ServerKey, Transport};
pub use resolve::{Occasion, Reply, Resolved};
pub use server::{Listed, Outcomes, Server};

use crate::anomaly::Anomaly;
use crate::flow::At;
use crate::net::Endpoint;
use crate::observation::{Event, Observation};
use crate::time::Timestamp;
use crossing::Crossing;
use open::OpenExchanges;
use records::Records;
use resolve::Seen;
use waiting::WaitingRoom;

/// Bounds of the inventory. What is past a bound is counted and dropped.
///
/// Worst case about `max_servers * (max_clients_per_server + 4 * max_names_per_server) * 200`
/// bytes in theory; a capture that gets there names millions of servers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Server records, hints included; at the bound the oldest mere hint makes room.
    pub max_servers: usize,
    /// Clients remembered per server.
    pub max_clients_per_server: usize,
    /// Names of one kind (methods, tools, resources) remembered per server.
    pub max_names_per_server: usize,
    /// Digests remembered per definition.
    pub max_digests_per_definition: usize,
    /// Sessions remembered per server.
    pub max_sessions_per_server: usize,
    /// Addresses remembered per server.
    pub max_endpoints_per_server: usize,
    /// Other paths remembered per server.
    pub max_aliases_per_server: usize,
    /// Values of one kind (names, fingerprints) remembered of a server's handshakes.
    pub max_handshake_values_per_server: usize,
    /// Open exchanges that carry messages; at the bound the one that was silent longest is judged
    /// as if it were over.
    pub max_open_exchanges: usize,
    /// Requests that wait for an answer; at the bound the oldest counts as not answered.
    pub max_waiting_requests: usize,
    /// Addresses without a record whose oddities are remembered; at the bound all are forgotten.
    pub max_early_endpoints: usize,
    /// Refusals kept back; at the bound the oldest is judged early.
    pub max_deferred: usize,
    /// How long, in packet time, refusals by what has not proved to be an MCP server are kept
    /// back: until then it may.
    pub refusal_delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_servers: 16_384,
            max_clients_per_server: 4_096,
            max_names_per_server: 2_048,
            max_digests_per_definition: 16,
            max_sessions_per_server: 1_024,
            max_endpoints_per_server: 1_024,
            max_aliases_per_server: 256,
            max_handshake_values_per_server: 16,
            max_open_exchanges: 65_536,
            max_waiting_requests: 65_536,
            max_early_endpoints: 4_096,
            max_deferred: 16_384,
            refusal_delay: Duration::from_secs(30),
        }
    }
}

/// Index of a server record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(usize);

/// The inventory.
#[derive(Debug)]
pub struct Inventory {
    limits: Limits,
    records: Records,
    /// The record that was last used at an address: whose flows' oddities are noted there.
    by_endpoint: HashMap<Endpoint, usize>,
    /// Oddities of flows to addresses that have no record yet, each kind once.
    early: HashMap<Endpoint, Vec<Anomaly>>,
    open: OpenExchanges,
    waiting: WaitingRoom,
    /// What servers of which nothing is proved yet have refused, oldest first.
    deferred: VecDeque<(Timestamp, Resolved)>,
    /// What several servers have in common.
    crossing: Crossing,
    /// Exchanges and requests given up at their bounds.
    dropped: u64,
}

impl Inventory {
    /// An empty inventory.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            records: Records::new(limits),
            by_endpoint: HashMap::new(),
            early: HashMap::new(),
            open: OpenExchanges::default(),
            waiting: WaitingRoom::new(limits.max_waiting_requests),
            deferred: VecDeque::new(),
            crossing: Crossing::default(),
            dropped: 0,
        }
    }

    /// Takes in one observation; answers with the server it is about.
    pub fn observe(&mut self, seen: Observation, out: &mut Vec<Resolved>) -> Option<ServerId> {
        let (at, limits) = (seen.at, self.limits);
        self.release(at.time, out);
        match seen.event {
            Event::Message { request, direction, channel, message, ambiguous } => {
                if evidence::is_download(&request, channel, &message) {
                    return None;
                }
                let message = Arc::from(message);
                self.message(Seen { request, direction, channel, message, ambiguous, at }, out)
            }
            Event::SseEndpoint { request, path, session, session_bits } => {
                self.sse_endpoint(&request, path, (session, session_bits), at, out)
            }
            Event::Document { request, document } => self.document(&request, document, at, out),
            Event::Answered { request, response } => self.answered(&request, &response, at, out),
            Event::Ended { request, body_bytes, .. } => self.ended(&request, body_bytes, at, out),
            // Names are hints, whatever they say: no record comes of them here, but by `encrypted`
            // for the few that are of interest.
            Event::Tls { .. } | Event::Dns { .. } | Event::Flow { .. } => None,
            Event::Anomaly { server, anomaly, .. } => {
                let Some(index) = self.by_endpoint.get(&server).copied() else {
                    self.note_early(server, anomaly);
                    return None;
                };
                self.records.get_mut(index)?.note(anomaly, &limits);
                self.records.current(index).map(ServerId)
            }
        }
    }

    /// An oddity comes before what it is to hide: it waits until its address turns out to be of
    /// interest.
    fn note_early(&mut self, server: Endpoint, anomaly: Anomaly) {
        let is_full = self.early.len() >= self.limits.max_early_endpoints;
        if is_full && !self.early.contains_key(&server) {
            // A sensor that runs for weeks gets here: what is old bears on nothing any more.
            self.early.clear();
        }
        let known = self.early.entry(server).or_default();
        if !known.contains(&anomaly) {
            known.push(anomaly);
        }
    }

    /// Time passes without observations: judges what was kept back for long enough.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Resolved>) {
        self.release(now, out);
    }

    /// The capture is over: judges what still waits.
    pub fn finish(&mut self, at: At, out: &mut Vec<Resolved>) {
        while let Some(stalest) = self.open.stalest() {
            self.settle(stalest, [0; 2], at, out);
        }
        for waiting in self.waiting.drain() {
            self.give_up(waiting, out);
        }
        out.extend(self.deferred.drain(..).map(|(_, resolved)| resolved));
        self.share_handshakes();
    }

    /// Keeps a refusal back for a while: clients probe what revisions and transports a server
    /// has, and its refusals look different once it has proved to be one.
    fn defer(&mut self, resolved: Resolved, at: At, out: &mut Vec<Resolved>) {
        if self.deferred.len() >= self.limits.max_deferred
            && let Some((_, oldest)) = self.deferred.pop_front()
        {
            out.push(oldest);
        }
        self.deferred.push_back((at.time, resolved));
    }

    fn release(&mut self, now: Timestamp, out: &mut Vec<Resolved>) {
        while let Some((since, _)) = self.deferred.front()
            && now.since(*since) >= self.limits.refusal_delay
            && let Some((_, resolved)) = self.deferred.pop_front()
        {
            out.push(resolved);
        }
    }

    /// A server's record.
    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.records.get(id.0)
    }

    /// All servers, in order of their keys.
    #[must_use]
    pub fn servers(&self) -> Vec<(ServerId, &Server)> {
        let all = self.records.sorted().into_iter();
        all.map(|(index, server)| (ServerId(index), server)).collect()
    }

    /// Records, exchanges, requests and observations that a bound made the inventory give up.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped + self.records.dropped()
    }
}
