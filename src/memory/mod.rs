//! What the lists of servers taught, remembered across runs: which tools, resources and prompts a
//! server lists, since when, and how each new definition differs from the one before.
//!
//! Sans-IO but for [`store`], which keeps the memory in a directory. A list goes into
//! [`Memory::learn_list`]; out comes one [`Change`] for each definition, the names that went, and
//! whether all of it is no more than an upgrade of the server's SDK.
//!
//! What a side is: servers list different tools to different users, so that a list is only
//! compared with what the same credential was shown (or anybody, for servers that ask for none).
//! A definition that changed is reported once for the server, not once for each client.

mod anatomy;
pub mod baseline;
mod change;
mod delta;
mod document;
mod known;
mod leaves;
mod lists;
mod look;
mod pin;
pub mod store;
#[cfg(test)]
mod tests;
mod upgrade;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use baseline::Baselines;
pub use change::{Change, ChangeKind, Divergence, Lesson, Removed, Upgrade};
pub use document::{STATE_SCHEMA, Unreadable};
pub use pin::tools_digest;

use crate::mcp::jcs;
use crate::observation::{Definition, DefinitionKind, SecretHash, Software};
use crate::time::Timestamp;
use known::{Listing, Server};
use lists::Learner;

/// Definitions that two clients were shown within this time are held against each other.
pub const DIVERGENCE_WINDOW: Duration = Duration::from_secs(600);
/// Lists that a client got within this time belong together: their tools can shadow each other.
pub const SHADOW_WINDOW: Duration = Duration::from_secs(3600);
/// Servers remembered per client, for shadowing.
const MAX_SERVERS_PER_CLIENT: usize = 32;

/// Bounds of a [`Memory`]. Worst case: `max_bytes`, one server over it, `max_clients` times some
/// 4 KiB, and the baselines; with the defaults some 64 + 4 + 64 + 40 MiB. A server with 20 tools
/// takes about 50 KiB. Taking two definitions apart needs some 240 bytes per leaf for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Servers. Beyond: those whose lists were seen longest ago go, a sixteenth at a time,
    /// counted.
    pub max_servers: usize,
    /// Estimated size of all that is remembered of servers. Beyond: as for `max_servers`.
    pub max_bytes: usize,
    /// Estimated size of one server. Beyond: texts are not kept, then new names are not
    /// remembered ([`ChangeKind::Unknown`]), counted.
    pub max_server_bytes: usize,
    /// Definitions of one kind per server. Beyond: those not listed for longest go, a sixteenth at
    /// a time, counted; when all are on the current list, new ones are not remembered.
    pub max_definitions: usize,
    /// Longest canonical text that is kept to compare with. Beyond: digests only.
    pub max_text_bytes: usize,
    /// Longest key of a server, and longest name. Beyond: not remembered, counted.
    pub max_name_bytes: usize,
    /// Scalars of a definition that are held against each other. Beyond: that it changed is all
    /// that is told ([`ChangeKind::Unknown`]).
    pub max_leaves: usize,
    /// Text in each of [`Change::added_text`] and [`Change::removed_text`]. Beyond: cut.
    pub max_change_text_bytes: usize,
    /// Sides of one list. Beyond: the one unused for longest goes.
    pub max_views: usize,
    /// Lists of several pages being read, per list of a server. Beyond: the oldest is given up.
    pub max_readings: usize,
    /// Clients whose last lists are remembered, for shadowing. Beyond: the oldest go, a sixteenth
    /// at a time.
    pub max_clients: usize,
    /// Bounds of the baselines.
    pub baselines: baseline::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_servers: 4096,
            max_bytes: 64 << 20,
            max_server_bytes: 4 << 20,
            max_definitions: 4096,
            max_text_bytes: 16 << 10,
            max_name_bytes: 1024,
            max_leaves: 8192,
            max_change_text_bytes: 16 << 10,
            max_views: 16,
            max_readings: 4,
            max_clients: 16_384,
            baselines: baseline::Limits::default(),
        }
    }
}

/// Where a message stands in its list (pagination, MCP server/utilities/pagination).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The request had no `cursor`.
    pub first: bool,
    /// The result has no `nextCursor`.
    pub last: bool,
    /// The message was seen whole: neither cut, nor with definitions dropped at a limit.
    pub complete: bool,
}

impl Page {
    /// The whole list.
    pub const WHOLE: Self = Self { first: true, last: true, complete: true };
}

/// Circumstances of a list.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// When the list was complete.
    pub at: Timestamp,
    /// What kind of list: a result without definitions cannot tell.
    pub kind: DefinitionKind,
    /// Who got it.
    pub client: IpAddr,
    /// Keyed hash of the client's credential; `None` when there was none, or it is not known.
    pub credential: Option<SecretHash>,
    /// The list says `cacheScope: private` (MCP 2026-07-28): it is made for this user.
    pub scope_private: bool,
    /// Which part of the list.
    pub page: Page,
    /// What the server calls itself.
    pub software: Option<&'a Software>,
}

/// What was given up at bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// Servers that were forgotten.
    pub servers: u64,
    /// Definitions that were forgotten, or not remembered.
    pub definitions: u64,
}

/// A list that a client got.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Visit {
    server: String,
    began: Timestamp,
    last: Timestamp,
}

/// What the lists of servers taught. Deterministic: the same lists give the same memory.
#[derive(Clone)]
pub struct Memory {
    limits: Limits,
    fold: fn(&str) -> String,
    holds_secret: fn(&str) -> bool,
    servers: BTreeMap<String, Server>,
    /// Sum of the servers' weights.
    bytes: usize,
    dropped: Dropped,
    /// Lists of tools that clients got within [`SHADOW_WINDOW`]. Never saved.
    clients: BTreeMap<IpAddr, Vec<Visit>>,
    /// Daily sums of calls.
    pub baselines: Baselines,
    /// What others keep in the same file, by name. Survives unchanged; numbers beyond 2^64 or
    /// with fractions may lose their last digit, so use integers and strings.
    pub sections: BTreeMap<String, Value>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limits, bytes, dropped, .. } = self;
        let (servers, clients) = (self.servers.len(), self.clients.len());
        f.debug_struct("Memory")
            .field("limits", limits)
            .field("servers", &servers)
            .field("bytes", bytes)
            .field("dropped", dropped)
            .field("clients", &clients)
            .finish_non_exhaustive()
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Memory {
    /// Empty.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            fold: plain_fold,
            holds_secret: |_| false,
            servers: BTreeMap::new(),
            bytes: 0,
            dropped: Dropped::default(),
            clients: BTreeMap::new(),
            baselines: Baselines::new(limits.baselines),
            sections: BTreeMap::new(),
        }
    }

    /// Names are confusable when `fold` gives the same for both. Without it: lower case in ASCII,
    /// without `-`, `_`, `.` and blanks.
    #[must_use]
    pub fn with_fold(mut self, fold: fn(&str) -> String) -> Self {
        self.fold = fold;
        self.restore();
        self
    }

    /// Definitions in whose canonical text `holds_secret` sees a secret are remembered without
    /// their text. Without it: none.
    #[must_use]
    pub fn with_secret_check(mut self, holds_secret: fn(&str) -> bool) -> Self {
        self.holds_secret = holds_secret;
        self
    }

    /// Learns from one list, or from one page of it, and says what is new. `server` is the
    /// server's key as shown. Definitions of another kind than the list's are not remembered.
    pub fn learn_list(
        &mut self,
        server: &str,
        definitions: &[Definition],
        sighting: &Sighting<'_>,
    ) -> Lesson {
        let mut learner = Learner {
            limits: &self.limits,
            fold: self.fold,
            holds_secret: self.holds_secret,
            sighting,
            dropped: 0,
            grew: false,
        };
        if server.len() > self.limits.max_name_bytes {
            self.dropped.definitions += definitions.len() as u64;
            return lists::nothing_known(definitions);
        }
        let is_new = !self.servers.contains_key(server);
        if is_new {
            let record = Server { first: sighting.at, last: sighting.at, ..Server::default() };
            self.servers.insert(server.to_owned(), record);
        }
        let Some(record) = self.servers.get_mut(server) else { return Lesson::default() };
        let lesson = learner.learn(record, definitions);
        self.dropped.definitions += learner.dropped;
        if is_new || learner.grew {
            let before = record.weight;
            record.weigh(server);
            self.bytes = self.bytes.saturating_sub(before).saturating_add(record.weight);
            self.shed(Some(server));
        }
        if sighting.kind == DefinitionKind::Tool {
            self.visit(server, sighting);
        }
        lesson
    }

    /// Other servers that this client got a list of tools from within [`SHADOW_WINDOW`] before
    /// `at`, and that list an equal or confusable name; in the order of the last lists. Two keys
    /// of one host count as two servers.
    pub fn same_tool(
        &self,
        client: IpAddr,
        server: &str,
        name: &str,
        at: Timestamp,
    ) -> impl Iterator<Item = &str> {
        let folded = (self.fold)(name);
        let visits = self.clients.get(&client).map_or(&[][..], Vec::as_slice);
        let others = visits
            .iter()
            .filter(move |visit| visit.server != server && at.since(visit.last) <= SHADOW_WINDOW);
        others.filter_map(move |visit| {
            let other = self.servers.get(&visit.server)?;
            let [tools, ..] = &other.listings;
            let names = other.folded.get(&folded)?;
            let is_listed = |name: &String| {
                tools.definitions.get(name).is_some_and(|known| known.last >= visit.began)
            };
            names.iter().any(is_listed).then_some(visit.server.as_str())
        })
    }

    /// Other servers that call themselves by an equal or confusable name. Self-reported, and
    /// often the name of an SDK or a product: a cue for impersonation at most. Looks at every
    /// server.
    pub fn same_software(&self, server: &str, name: &str) -> impl Iterator<Item = &str> {
        let (fold, folded) = (self.fold, (self.fold)(name));
        let others = self.servers.iter().filter(move |(key, _)| key.as_str() != server);
        others.filter_map(move |(key, other)| {
            let (theirs, _) = other.software.as_ref()?;
            (fold(theirs) == folded).then_some(key.as_str())
        })
    }

    /// When a server's lists were first and last seen; `None` when they never were.
    #[must_use]
    pub fn seen(&self, server: &str) -> Option<(Timestamp, Timestamp)> {
        self.servers.get(server).map(|record| (record.first, record.last))
    }

    /// Servers that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether no server is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// What was given up at bounds, in all runs.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn visit(&mut self, server: &str, sighting: &Sighting<'_>) {
        let Sighting { at, client, page, .. } = *sighting;
        let visits = self.clients.entry(client).or_default();
        visits.retain(|visit| at.since(visit.last) <= SHADOW_WINDOW);
        let known = visits.iter().position(|visit| visit.server == server);
        let mut visit = known.map_or_else(
            || Visit { server: server.to_owned(), began: at, last: at },
            |index| visits.remove(index),
        );
        visit.last = visit.last.max(at);
        if page.first {
            visit.began = at;
        }
        if visits.len() >= MAX_SERVERS_PER_CLIENT {
            visits.remove(0);
        }
        visits.push(visit);
        let max = self.limits.max_clients;
        if self.clients.len() > max {
            let last = |visits: &[Visit]| visits.last().map(|visit| visit.last);
            let mut lasts: Vec<_> = self.clients.iter().map(|(ip, it)| (last(it), *ip)).collect();
            lasts.sort_unstable();
            let excess = self.clients.len() - (max - max / 16);
            for (_, ip) in lasts.into_iter().filter(|(_, ip)| *ip != client).take(excess) {
                self.clients.remove(&ip);
            }
        }
    }

    /// Forgets servers until the bounds hold, with a sixteenth to spare.
    fn shed(&mut self, keep: Option<&str>) {
        let Limits { max_servers, max_bytes, .. } = self.limits;
        if self.servers.len() <= max_servers && self.bytes <= max_bytes {
            return;
        }
        let mut oldest: Vec<_> =
            self.servers.iter().map(|(key, record)| (record.last, key.clone())).collect();
        oldest.sort_unstable();
        for (_, key) in oldest {
            let has_room = self.servers.len() <= max_servers - max_servers / 16
                && self.bytes <= max_bytes - max_bytes / 16;
            if has_room {
                break;
            }
            if keep != Some(key.as_str())
                && let Some(record) = self.servers.remove(&key)
            {
                self.bytes = self.bytes.saturating_sub(record.weight);
                self.dropped.servers += 1;
            }
        }
    }

    /// Makes again what is not saved, and drops what does not fit together.
    fn restore(&mut self) {
        self.bytes = 0;
        for (key, record) in &mut self.servers {
            record.listings.iter_mut().for_each(repair);
            record.folded.clear();
            let [tools, ..] = &record.listings;
            for name in tools.definitions.keys() {
                let folded = (self.fold)(name);
                record.folded.entry(folded).or_default().insert(name.clone());
            }
            record.weigh(key);
            self.bytes = self.bytes.saturating_add(record.weight);
        }
        self.baselines.restore(self.limits.baselines);
        self.shed(None);
    }
}

fn repair(listing: &mut Listing) {
    for known in listing.definitions.values_mut() {
        let excess = known.versions.len().saturating_sub(known::MAX_VERSIONS);
        known.versions.drain(..excess);
        let digest = known.versions.last().map(|version| version.digest.as_str());
        let text = known.text.take();
        known.text = text.filter(|text| digest == Some(jcs::digest(text).as_str()));
    }
}

fn plain_fold(name: &str) -> String {
    let is_letter = |char: &char| !matches!(char, '-' | '_' | '.' | ' ');
    name.chars().filter(is_letter).map(|char| char.to_ascii_lowercase()).collect()
}

/// Reads arbitrary text as a state file, for fuzzing: what is read is written the same way twice,
/// and can be learnt on.
///
/// # Panics
///
/// When it is not.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    let mut memory = Memory::default();
    if memory.load_state(data).is_err() {
        assert!(memory.is_empty());
        return;
    }
    let written = memory.to_state().unwrap_or_default();
    let mut again = Memory::default();
    assert_eq!(again.load_state(&written), Ok(()));
    assert_eq!(again.to_state().unwrap_or_default(), written);
    let client = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let sighting = Sighting {
        at: Timestamp::EPOCH,
        kind: DefinitionKind::Tool,
        client,
        credential: None,
        scope_private: false,
        page: Page::WHOLE,
        software: None,
    };
    let servers: Vec<_> = memory.servers.keys().cloned().collect();
    for server in servers {
        let names: Vec<_> =
            memory.servers[&server].listings[0].definitions.keys().cloned().collect();
        let definitions = names.into_iter().map(|name| {
            let canonical = String::from_utf8_lossy(data).into_owned();
            let digest = Some(jcs::digest(&canonical));
            Definition { kind: DefinitionKind::Tool, name, digest, canonical: Some(canonical) }
        });
        let definitions: Vec<_> = definitions.collect();
        _ = memory.learn_list(&server, &definitions, &sighting);
        let again = memory.learn_list(&server, &definitions, &sighting);
        let is_known = |change: &Change| {
            matches!(change.kind, ChangeKind::Same | ChangeKind::Unknown | ChangeKind::First)
        };
        assert!(again.changes.iter().all(is_known), "{again:?}");
        _ = memory.same_tool(client, "", &server, Timestamp::EPOCH).count();
    }
}
