//! What encrypted flows and DNS messages hint at. Sans-IO.
//!
//! A handshake is judged a little after its ClientHello, once the server's part had time to
//! arrive. Until then it may turn out that the flow is read after all, and then what is read
//! counts, not the name; or that it is the other leg of a flow in a `CONNECT` tunnel, and then its
//! client is a proxy and no user of the server.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::analysis::Policy;
use super::flows::Ended;
use super::host_names::{self, HostNames};
use super::interest::{Interest, Interests};
use super::recent::Recent;
use crate::exchange::{DnsMessage, Ech, Provenance, Scheme, TlsAnswer, TlsHello};
use crate::flow::At;
use crate::mcp::inventory::ServerKey;
use crate::net::{Endpoint, Scope};
use crate::rules::{Encrypted, HostFrom, LookUp, Standing};
use crate::time::Timestamp;
use crate::verdict::HostUse;

/// How long a handshake waits to be judged, in packet time.
const DELAY: Duration = Duration::from_secs(2);
/// Handshakes that wait at most; at the bound the oldest is judged early. Each holds a few
/// hundred bytes: 16 MB in all as a rule.
const MAX_WAITING: usize = 16_384;
/// How long the ClientHello in a tunnel is looked for on the proxy's own leg.
const LEG_WINDOW: Duration = Duration::from_secs(60);
/// ClientHellos in tunnels that are looked for at most, the latest.
const MAX_FRONTS: usize = 16_384;

/// A handshake that waits.
#[derive(Debug)]
struct Waiting {
    at: At,
    client: Endpoint,
    server: Endpoint,
    scope: Scope,
    tunnel: Option<String>,
    hello: Option<Arc<TlsHello>>,
    answer: Option<Arc<TlsAnswer>>,
    provenance: Option<Arc<Provenance>>,
    /// The flow, if it is over already.
    ended: Option<Box<Ended>>,
}

/// A handshake that was judged.
#[derive(Debug)]
pub(super) struct Judged {
    /// The flow's id.
    pub(super) flow: u64,
    /// The packet of the ClientHello.
    pub(super) at: At,
    /// VLANs and tunnels around the flow.
    pub(super) scope: Scope,
    /// What rules see of it.
    pub(super) tls: Encrypted,
    /// What a source other than packets knows beside.
    pub(super) provenance: Option<Arc<Provenance>>,
    /// Whether the host is worth a record in the inventory.
    pub(super) is_hint: bool,
    /// The flow, if it is over already.
    pub(super) ended: Option<Box<Ended>>,
}

/// One handshake as it was observed.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) flow: u64,
    pub(super) at: At,
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    pub(super) scope: Scope,
    pub(super) tunnel: Option<String>,
    pub(super) hello: Option<Arc<TlsHello>>,
    pub(super) answer: Option<Arc<TlsAnswer>>,
    pub(super) provenance: Option<Arc<Provenance>>,
}

/// The proxy's own leg of a flow in a tunnel: where the proxy went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relayed {
    /// Key of the server.
    pub(super) key: ServerKey,
    /// Where it is.
    pub(super) server: Endpoint,
    /// The packet.
    pub(super) at: At,
}

/// A ClientHello seen in a tunnel.
#[derive(Debug)]
struct Front {
    flow: u64,
    time: Timestamp,
    key: ServerKey,
}

/// Hints in the making.
#[derive(Debug)]
pub(super) struct Hints {
    names: HostNames,
    interests: Interests,
    waiting: HashMap<u64, Waiting>,
    turns: VecDeque<(Timestamp, u64)>,
    /// Flows outside tunnels that wait, by the random of their ClientHello.
    by_random: HashMap<[u8; 32], u64>,
    fronts: Recent<[u8; 32], Front, MAX_FRONTS>,
    delay: Duration,
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            names: HostNames::new(host_names::Limits::default()),
            interests: Interests::default(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            by_random: HashMap::new(),
            fronts: Recent::default(),
            delay: DELAY,
        }
    }
}

impl Hints {
    /// There is another policy: what hosts are to it is looked up anew.
    pub(super) fn forget_interests(&mut self) {
        self.interests = Interests::default();
    }

    /// Names that DNS gave for addresses.
    pub(super) const fn names(&self) -> &HostNames {
        &self.names
    }

    /// Takes in a step of a handshake. Answers with the proxy's leg when this or an earlier flow
    /// turns out to be one.
    pub(super) fn handshake(&mut self, step: Handshake) -> Option<Relayed> {
        let Handshake { flow, at, client, server, scope, tunnel, hello, answer, provenance } = step;
        if let Some(waiting) = self.waiting.get_mut(&flow) {
            waiting.hello = waiting.hello.take().or(hello);
            waiting.answer = waiting.answer.take().or(answer);
            return None;
        }
        let mut relayed = None;
        if let Some(random) = hello.as_ref().map(|hello| hello.random).filter(is_random) {
            match &tunnel {
                Some(authority) => relayed = self.front(random, flow, authority, at),
                None => {
                    if let Some(relayed) = self.behind(random, flow, server, at) {
                        return Some(relayed);
                    }
                    self.by_random.insert(random, flow);
                }
            }
        }
        let ended = None;
        let waiting =
            Waiting { at, client, server, scope, tunnel, hello, answer, provenance, ended };
        self.waiting.insert(flow, waiting);
        self.turns.push_back((at.time, flow));
        relayed
    }

    /// A ClientHello in a tunnel: the proxy's leg may have come before it.
    fn front(&mut self, random: [u8; 32], flow: u64, authority: &str, at: At) -> Option<Relayed> {
        let (host, port) = split_authority(authority);
        let key = ServerKey {
            scheme: Scheme::Https,
            host: host.to_ascii_lowercase(),
            port: port.unwrap_or(Scheme::Https.default_port()),
            path: String::new(),
        };
        let before = self.by_random.remove(&random).filter(|before| *before != flow);
        let before = before.and_then(|before| self.waiting.remove(&before));
        if let Some(Waiting { server, at, hello, .. }) = before {
            return Some(Relayed { key: named(key, hello.as_deref()), server, at });
        }
        self.fronts.insert(random, Front { flow, time: at.time, key });
        None
    }

    /// A ClientHello outside tunnels: it may be one that was seen in a tunnel. 32 equal random
    /// bytes are the same handshake, whoever relays it.
    fn behind(&self, random: [u8; 32], flow: u64, server: Endpoint, at: At) -> Option<Relayed> {
        let front = self.fronts.entries.get(&random)?;
        let is_near = at.time.since(front.time) <= LEG_WINDOW;
        (front.flow != flow && is_near).then(|| Relayed { key: front.key.clone(), server, at })
    }

    /// The flow is read: what is read counts. Answers with the ClientHello, if it waited.
    pub(super) fn is_read(&mut self, flow: u64) -> Option<Arc<TlsHello>> {
        if self.waiting.is_empty() {
            return None;
        }
        let read = self.waiting.remove(&flow)?;
        self.forget_random(&read, flow);
        read.hello
    }

    /// A flow is over. It is kept if its handshake waits, and else given back.
    pub(super) fn keep(&mut self, ended: Ended) -> Option<Ended> {
        match self.waiting.get_mut(&ended.flow) {
            Some(waiting) => {
                waiting.ended = Some(Box::new(ended));
                None
            }
            None => Some(ended),
        }
    }

    fn forget_random(&mut self, waiting: &Waiting, flow: u64) {
        let random = waiting.hello.as_ref().map(|hello| hello.random);
        if let Some(random) = random
            && self.by_random.get(&random) == Some(&flow)
        {
            self.by_random.remove(&random);
        }
    }

    /// The next handshake that has waited long enough; with `all`, the next one.
    pub(super) fn next(&mut self, policy: &Policy, now: Timestamp, all: bool) -> Option<Judged> {
        loop {
            let (since, flow) = *self.turns.front()?;
            let is_due = now.since(since) >= self.delay || self.turns.len() > MAX_WAITING;
            if !(is_due || all) {
                return None;
            }
            self.turns.pop_front();
            if let Some(waiting) = self.waiting.remove(&flow) {
                self.forget_random(&waiting, flow);
                return Some(self.judge(policy, flow, waiting));
            }
        }
    }

    fn judge(&mut self, policy: &Policy, flow: u64, waiting: Waiting) -> Judged {
        let Waiting { at, client, server, scope, tunnel, hello, answer, provenance, ended } =
            waiting;
        let authority = tunnel.as_deref().map(split_authority);
        let port = authority.and_then(|(_, port)| port).unwrap_or(server.port);
        // The address is the proxy's when there is a tunnel.
        let dns_names: Vec<Arc<str>> = match &tunnel {
            Some(_) => Vec::new(),
            None => self.names.of(server.ip, at.time).cloned().collect(),
        };
        let sni = hello.as_ref().and_then(|hello| hello.sni.as_deref());
        let (host, host_from) = match (sni, authority, dns_names.first()) {
            (Some(sni), ..) => (Some(Arc::from(sni)), HostFrom::Sni),
            (None, Some((host, _)), _) => {
                (Some(Arc::from(host.to_ascii_lowercase())), HostFrom::Tunnel)
            }
            (None, None, Some(name)) => (Some(Arc::clone(name)), HostFrom::Dns),
            (None, None, None) => (None, HostFrom::Dns),
        };
        let hidden_host = self.hidden(policy, hello.as_deref(), &dns_names, port);
        let shown = hidden_host.clone().or_else(|| host.clone());
        let origin = Some((Scheme::Https, port));
        let interest = self.interest(policy, shown.as_deref(), origin);
        let (ip, time) = (client.ip, at.time);
        let mut standing = standing(policy, shown, origin, Some(server.ip), ip, time, &interest);
        let key_host = standing.host.as_deref();
        standing.key = ServerKey {
            scheme: Scheme::Https,
            host: key_host.map_or_else(|| server.ip.to_string(), str::to_owned),
            port,
            path: String::new(),
        }
        .to_string();
        let tls = Encrypted {
            client,
            server,
            port,
            tunnel,
            hello,
            answer,
            host,
            host_from,
            hidden_host,
            dns_names,
            standing,
        };
        Judged { flow, at, scope, tls, provenance, is_hint: interest.is_any(), ended }
    }

    fn interest(
        &mut self,
        policy: &Policy,
        host: Option<&str>,
        origin: Option<(Scheme, u16)>,
    ) -> Interest {
        host.map(|host| self.interests.of(policy, host, origin)).unwrap_or_default()
    }

    /// The name of interest behind a front. A browser's random ECH goes with the real name, which
    /// somebody looked up to get the address; the name of a front nobody looks up.
    fn hidden(
        &mut self,
        policy: &Policy,
        hello: Option<&TlsHello>,
        dns_names: &[Arc<str>],
        port: u16,
    ) -> Option<Arc<str>> {
        let hello = hello.filter(|hello| hello.ech == Ech::Offered)?;
        let is_real = hello.sni.as_deref().is_some_and(|sni| dns_names.iter().any(|n| **n == *sni));
        if is_real {
            return None;
        }
        let origin = Some((Scheme::Https, port));
        let found = dns_names.iter().find(|name| {
            let interest = self.interests.of(policy, name, origin);
            interest.vendor.is_some() || interest.named_for_mcp
        });
        found.cloned()
    }

    /// Takes in a DNS message; answers with the subject that it is.
    pub(super) fn look_up(
        &mut self,
        policy: &Policy,
        [client, server]: [Endpoint; 2],
        message: DnsMessage,
        at: At,
    ) -> LookUp {
        self.names.learn(&message, at.time);
        let mut host = message.questions.first().map(|(name, _)| name.as_str());
        let mut interest = Interest::default();
        for (name, _) in &message.questions {
            interest = self.interests.of(policy, name, None);
            if interest.is_any() {
                host = Some(name);
                break;
            }
        }
        let host: Option<Arc<str>> = host.map(Arc::from);
        let key = host.as_deref().map_or_else(String::new, |host| format!("dns:{host}"));
        let standing = standing(policy, host, None, None, client.ip, at.time, &interest);
        LookUp { client, server, message, standing: Standing { key, ..standing } }
    }
}

/// The key by the name in the clear where there is one: a tunnel may lead to an address.
fn named(key: ServerKey, hello: Option<&TlsHello>) -> ServerKey {
    match hello.and_then(|hello| hello.sni.clone()) {
        Some(host) => ServerKey { host, ..key },
        None => key,
    }
}

fn standing(
    policy: &Policy,
    host: Option<Arc<str>>,
    origin: Option<(Scheme, u16)>,
    server: Option<IpAddr>,
    client: IpAddr,
    at: Timestamp,
    interest: &Interest,
) -> Standing {
    let approved = interest.is_approved
        && host.as_deref().is_some_and(|host| {
            policy.approvals.allow_host(HostUse { host, origin, server, client, at }).is_some()
        });
    Standing {
        key: String::new(),
        host,
        vendor: interest.vendor.clone(),
        named_for_mcp: interest.named_for_mcp,
        approved,
    }
}

/// Host and port of an authority; IPv6 literals without their brackets.
fn split_authority(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok())
        }
        _ => (authority, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

/// Not a ClientHello that a parser had to leave empty.
fn is_random(random: &[u8; 32]) -> bool {
    *random != [0; 32]
}

#[cfg(test)]
mod tests;
