//! Encrypted flows to hosts of interest: hints in the inventory, never more.

use std::collections::BTreeSet;

use super::server::insert_within;
use super::{Inventory, Server, ServerId, ServerKey};
use crate::exchange::{Carrier, Ech, Scheme, TlsAnswer, TlsHello};
use crate::flow::At;
use crate::net::Endpoint;

/// What the handshakes of a server's encrypted flows show. Sets are bounded by
/// [`Limits::max_handshake_values_per_server`](super::Limits), the first values are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// Flows.
    pub flows: u64,
    /// Flows whose ClientHello has an Encrypted Client Hello.
    pub ech_flows: u64,
    /// Names in the clear.
    pub sni: BTreeSet<String>,
    /// Application protocols offered.
    pub alpn: BTreeSet<String>,
    /// JA4 fingerprints of clients.
    pub ja4: BTreeSet<String>,
    /// Versions chosen, or the best offered where the server's part is not in the clear.
    pub versions: BTreeSet<u16>,
    /// TCP, QUIC.
    pub carriers: BTreeSet<Carrier>,
    /// DNS names of certificates.
    pub certificate_names: BTreeSet<String>,
}

impl Handshakes {
    fn add(&mut self, hello: Option<&TlsHello>, answer: Option<&TlsAnswer>, max: usize) {
        self.flows += 1;
        if let Some(hello) = hello {
            self.ech_flows += u64::from(hello.ech == Ech::Offered);
            keep(&mut self.sni, hello.sni.iter(), max);
            keep(&mut self.alpn, hello.alpn.iter(), max);
            keep(&mut self.ja4, Some(&hello.ja4).into_iter().filter(|ja4| !ja4.is_empty()), max);
            self.carriers.insert(hello.carrier);
        }
        let chosen = answer.map(|answer| answer.version).filter(|version| *version != 0);
        let offered = || hello.and_then(|hello| hello.versions.first().copied());
        if let Some(version) = chosen.or_else(offered) {
            insert_within(&mut self.versions, version, max);
        }
        if let Some(answer) = answer {
            keep(&mut self.certificate_names, answer.names.iter(), max);
        }
    }

    pub(super) fn absorb(&mut self, other: &Self, max: usize) {
        self.flows += other.flows;
        self.ech_flows += other.ech_flows;
        keep(&mut self.sni, other.sni.iter(), max);
        keep(&mut self.alpn, other.alpn.iter(), max);
        keep(&mut self.ja4, other.ja4.iter(), max);
        keep(&mut self.certificate_names, other.certificate_names.iter(), max);
        for version in &other.versions {
            insert_within(&mut self.versions, *version, max);
        }
        self.carriers.extend(&other.carriers);
    }
}

/// Copies values that are new into a set that is not full.
fn keep<'a>(set: &mut BTreeSet<String>, values: impl Iterator<Item = &'a String>, max: usize) {
    for value in values {
        if set.len() < max && !set.contains(value) {
            set.insert(value.clone());
        }
    }
}

/// A client's encrypted flow to a host of interest.
#[derive(Clone, Copy, Debug)]
pub struct EncryptedUse<'a> {
    /// Host: of the SNI, the tunnel or DNS; else the address.
    pub host: &'a str,
    /// Port of the server.
    pub port: u16,
    /// Client.
    pub client: Endpoint,
    /// Server; a proxy's, when `via_proxy`.
    pub server: Endpoint,
    /// In a `CONNECT` tunnel.
    pub via_proxy: bool,
    /// The ClientHello.
    pub hello: Option<&'a TlsHello>,
    /// What the server answered.
    pub answer: Option<&'a TlsAnswer>,
    /// The packet of the ClientHello.
    pub at: At,
}

/// The key of a server of which no path is known.
fn key(host: &str, port: u16) -> ServerKey {
    ServerKey { scheme: Scheme::Https, host: host.to_owned(), port, path: String::new() }
}

impl Inventory {
    /// Takes in an encrypted flow to a host of interest: a record without a path, and with no
    /// better evidence than a hint. `None` at the bound of servers.
    pub fn encrypted(&mut self, seen: &EncryptedUse<'_>) -> Option<ServerId> {
        let limits = self.limits;
        let index = self.records.find_or_make(&key(seen.host, seen.port), seen.at)?;
        let server = self.records.get_mut(index)?;
        server.touch(seen.at);
        server.place(seen.server, false, &limits);
        server.via_proxy |= seen.via_proxy;
        if seen.via_proxy {
            server.reached_through(seen.server.ip, &limits);
        }
        // Made when it is new, and last seen now.
        _ = server.client(seen.client.ip, seen.at, &limits);
        let max = limits.max_handshake_values_per_server;
        server.handshakes.get_or_insert_default().add(seen.hello, seen.answer, max);
        self.records.current(index).map(ServerId)
    }

    /// At the end: what the handshakes with an origin show is told with each of its servers.
    pub(super) fn share_handshakes(&mut self) {
        let max = self.limits.max_handshake_values_per_server;
        let records = self.records.sorted();
        let seen: Vec<(ServerKey, Handshakes)> = records
            .iter()
            .filter(|(_, server)| server.key.path.is_empty())
            .filter_map(|(_, server)| {
                Some((server.key.clone(), server.handshakes.as_deref()?.clone()))
            })
            .collect();
        if seen.is_empty() {
            return;
        }
        let by_origin: std::collections::HashMap<_, _> = seen
            .iter()
            .map(|(key, handshakes)| ((key.scheme, key.host.as_str(), key.port), handshakes))
            .collect();
        let of = |server: &Server| {
            let key = &server.key;
            let is_bare = key.path.is_empty();
            let found = by_origin.get(&(key.scheme, key.host.as_str(), key.port));
            found.filter(|_| !is_bare && server.handshakes.is_none()).copied()
        };
        let shared: Vec<_> = records
            .iter()
            .filter_map(|(index, server)| Some((*index, of(server)?.clone())))
            .collect();
        for (index, handshakes) in shared {
            if let Some(server) = self.records.get_mut(index).filter(|server| server.is_mcp()) {
                server.handshakes.get_or_insert_default().absorb(&handshakes, max);
            }
        }
    }
}
