//! What several servers have in common: a credential, or software on ports of one address.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use super::{Inventory, Server, ServerId};
use crate::mcp::site::is_same_site;
use crate::net::Endpoint;
use crate::observation::{SecretHash, Software};

/// Credentials remembered, and addresses with software: at the bound all are forgotten, so that
/// a sensor that runs for weeks goes on learning. Some 100 bytes each, and 16 per server.
const MAX_TOKENS: usize = 16_384;
const MAX_ADDRESSES: usize = 16_384;
/// Servers remembered of one credential; further ones are not.
const MAX_SERVERS_PER_TOKEN: usize = 16;
/// Kinds of software remembered of one address, and ports of one kind; further ones are not.
const MAX_SOFTWARE_PER_ADDRESS: usize = 64;
const MAX_PORTS: usize = 64;

/// What servers share.
#[derive(Debug, Default)]
pub(super) struct Crossing {
    tokens: HashMap<SecretHash, Vec<usize>>,
    software: HashMap<IpAddr, HashMap<Software, BTreeSet<u16>>>,
    generation: u64,
}

impl Crossing {
    /// A credential was sent to a server. Answers whether others had it before, which is news.
    pub(super) fn token_seen(&mut self, token: SecretHash, server: usize) -> bool {
        if self.tokens.len() >= MAX_TOKENS && !self.tokens.contains_key(&token) {
            self.tokens.clear();
        }
        let servers = self.tokens.entry(token).or_default();
        if servers.contains(&server) || servers.len() >= MAX_SERVERS_PER_TOKEN {
            return false;
        }
        servers.push(server);
        let is_news = servers.len() > 1;
        self.generation += u64::from(is_news);
        is_news
    }

    /// A server at an address told its software.
    pub(super) fn software_told(&mut self, server: Endpoint, software: &Software) {
        if self.software.len() >= MAX_ADDRESSES && !self.software.contains_key(&server.ip) {
            self.software.clear();
        }
        let kinds = self.software.entry(server.ip).or_default();
        if kinds.len() >= MAX_SOFTWARE_PER_ADDRESS && !kinds.contains_key(software) {
            return;
        }
        let ports = kinds.entry(software.clone()).or_default();
        if ports.len() < MAX_PORTS && ports.insert(server.port) && ports.len() > 1 {
            self.generation += 1;
        }
    }
}

impl Inventory {
    /// Grows whenever servers turn out to share something: what was concluded from
    /// [`token_shared_with`](Self::token_shared_with) and
    /// [`same_software_ports`](Self::same_software_ports) may not hold any more.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.crossing.generation
    }

    /// A server turned out to be one of MCP: what it shares counts from now on.
    pub(super) const fn crossings_changed(&mut self) {
        self.crossing.generation += 1;
    }

    /// MCP servers that got a credential which this one got too, and that have nothing else to do
    /// with it: other domains, other addresses. At most 16, in order of their keys.
    #[must_use]
    pub fn token_shared_with(&self, id: ServerId) -> Vec<&Server> {
        let Some(server) = self.server(id) else { return Vec::new() };
        let tokens = server.exposure.tokens.iter();
        let ids = tokens.filter_map(|token| self.crossing.tokens.get(token)).flatten();
        let ids: BTreeSet<usize> = ids.copied().collect();
        let others = ids.into_iter().filter_map(|id| self.records.get(id));
        let mut found: Vec<&Server> = others
            .filter(|other| other.is_mcp() && server.is_mcp() && !is_related(server, other))
            .collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found.dedup_by(|a, b| a.key == b.key);
        found.truncate(MAX_SERVERS_PER_TOKEN);
        found
    }

    /// How many ports of an address the software answers on that this server names as its own.
    #[must_use]
    pub fn same_software_ports(&self, id: ServerId, address: IpAddr) -> usize {
        let (Some(server), Some(kinds)) = (self.server(id), self.crossing.software.get(&address))
        else {
            return 0;
        };
        let ports = server.software.iter().filter_map(|software| kinds.get(software));
        ports.map(BTreeSet::len).max().unwrap_or(0)
    }
}

/// Whether two servers may be one operator's: hosts of one domain; or one of them is only known
/// by an address, which the other has too.
fn is_related(a: &Server, b: &Server) -> bool {
    let is_literal = |server: &Server| server.key.host.parse::<IpAddr>().is_ok();
    let addresses = |server: &Server| -> BTreeSet<IpAddr> {
        let own = server.endpoints.iter().chain(&server.contacted).map(|endpoint| endpoint.ip);
        own.filter(|ip| !server.proxies.contains(ip)).collect()
    };
    is_same_site(&a.key.host, &b.key.host)
        || ((is_literal(a) || is_literal(b)) && !addresses(a).is_disjoint(&addresses(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_at_a_second_server_is_news_once() {
        let mut crossing = Crossing::default();
        let token = SecretHash([1; 8]);
        assert_eq!(
            [1, 1, 2, 2, 3].map(|server| crossing.token_seen(token, server)),
            [false, false, true, false, true]
        );
        assert_eq!(crossing.generation, 2);
        (4..100).for_each(|server| _ = crossing.token_seen(token, server));
        assert_eq!(crossing.tokens[&token].len(), MAX_SERVERS_PER_TOKEN);
    }

    #[test]
    fn all_tokens_are_forgotten_at_the_bound() {
        let mut crossing = Crossing::default();
        for number in 0..=MAX_TOKENS {
            crossing.token_seen(SecretHash(u64::try_from(number).unwrap().to_be_bytes()), 1);
        }
        assert_eq!(crossing.tokens.len(), 1);
    }

    #[test]
    fn ports_of_software_are_counted_by_address() {
        let mut crossing = Crossing::default();
        let software = Software { name: "s".into(), version: "1".into() };
        for (ip, port) in [([10, 0, 0, 1], 1), ([10, 0, 0, 1], 2), ([10, 0, 0, 2], 3)] {
            crossing.software_told(Endpoint::new(IpAddr::from(ip), port), &software);
        }
        assert_eq!(crossing.software[&IpAddr::from([10, 0, 0, 1])][&software].len(), 2);
        assert_eq!(crossing.generation, 1);
    }
}
