//! What one server gave and another is given: secrets, personal data, and longer text.
//!
//! Memory: at most [`MAX_TRACES`] hashes with where they came from.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Judged;
use crate::inspect::fingerprint::fingerprints;
use crate::mcp::Evidence;
use crate::net::Direction;
use crate::observation::{Kind, Message, SecretHash};
use crate::pipeline::recent::Recent;
use crate::rules::{Copied, Subject};
use crate::time::Timestamp;

/// How long what a server gave is followed, in packet time.
const WINDOW: Duration = Duration::from_secs(30 * 60);
/// Hashes remembered over all clients; the oldest is forgotten.
const MAX_TRACES: usize = 262_144;
/// Fingerprints kept of one result: enough to know a stretch of it again.
const MAX_FINGERPRINTS: usize = 128;
/// Clients whose servers are remembered; the oldest is forgotten.
const MAX_CLIENTS: usize = 16_384;
/// Servers of a client that make it worth to follow text between them.
const MIN_SERVERS: usize = 2;

/// Where something came from.
#[derive(Clone, Debug)]
struct Trace {
    from: Arc<str>,
    kind: &'static str,
    at: Timestamp,
}

/// A client, and what it was given.
type Given = (IpAddr, u64);

/// What servers gave to clients.
#[derive(Debug, Default)]
pub(super) struct Chains {
    traces: Recent<Given, Trace, MAX_TRACES>,
    /// Keys of the first servers of a client.
    servers: Recent<IpAddr, Vec<Arc<str>>, MAX_CLIENTS>,
}

impl Chains {
    /// What other servers gave to the client that the arguments of a call hold.
    pub(super) fn follow(&self, judged: &Judged<'_>, subject: &Subject<'_>) -> Vec<Copied> {
        let message = judged.message;
        if judged.direction != Direction::ToServer || message.kind != Kind::Request {
            return Vec::new();
        }
        let mut found = BTreeSet::new();
        let mut look = |hash: u64| {
            let trace = self.traces.entries.get(&(judged.contact.client, hash));
            if let Some(trace) = trace
                && *trace.from != *judged.contact.key
                && judged.at.time.since(trace.at) < WINDOW
            {
                found.insert((trace.from.to_string(), trace.kind));
            }
        };
        hashes(message).for_each(|(_, hash)| look(hash));
        if self.follows_text(judged.contact.client) {
            marks(&mut subject.argument_texts()).into_iter().for_each(look);
        }
        found.into_iter().map(|(from, kind)| Copied { from, kind }).collect()
    }

    /// Keeps what a result gave to the client.
    pub(super) fn remember(&mut self, judged: &Judged<'_>, subject: &Subject<'_>) {
        if judged.direction != Direction::ToClient || judged.contact.evidence < Evidence::Parsed {
            return;
        }
        let client = judged.contact.client;
        let key = self.server(client, &judged.contact.key);
        if judged.message.kind != Kind::Result {
            return;
        }
        let trace = |kind| Trace { from: Arc::clone(&key), kind, at: judged.at.time };
        if self.follows_text(client) {
            for mark in marks(&mut subject.result_texts()) {
                self.traces.insert((client, mark), trace("text"));
            }
        }
        for (kind, hash) in hashes(judged.message) {
            self.traces.insert((client, hash), trace(kind));
        }
    }

    /// Most clients have one server, and nothing to hand on.
    fn follows_text(&self, client: IpAddr) -> bool {
        self.servers.entries.get(&client).is_some_and(|servers| servers.len() >= MIN_SERVERS)
    }

    fn server(&mut self, client: IpAddr, key: &str) -> Arc<str> {
        if !self.servers.entries.contains_key(&client) {
            self.servers.insert(client, Vec::new());
        }
        let Some(servers) = self.servers.entries.get_mut(&client) else { return key.into() };
        if let Some(known) = servers.iter().find(|known| ***known == *key) {
            return Arc::clone(known);
        }
        let new: Arc<str> = key.into();
        if servers.len() < 2 * MIN_SERVERS {
            servers.push(Arc::clone(&new));
        }
        new
    }
}

/// Secrets and personal data of a message.
fn hashes(message: &Message) -> impl Iterator<Item = (&'static str, u64)> {
    let number = |hash: &SecretHash| u64::from_le_bytes(hash.0);
    let secrets = message.secrets.iter().map(move |secret| ("secret", number(&secret.hash)));
    let personal = message.personal.iter().flat_map(|personal| &personal.hashes);
    secrets.chain(personal.map(move |hash| ("personal", number(hash))))
}

/// Fingerprints of texts that are long enough to be known again.
fn marks(texts: &mut dyn Iterator<Item = &str>) -> Vec<u64> {
    /// Shorter texts say nothing.
    const MIN_BYTES: usize = 64;
    let mut marks = Vec::new();
    for text in texts.filter(|text| text.len() >= MIN_BYTES) {
        marks.extend(fingerprints(text, MAX_FINGERPRINTS));
        if marks.len() >= MAX_FINGERPRINTS {
            break;
        }
    }
    marks
}
