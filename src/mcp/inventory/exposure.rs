//! How open a server is: who gets in without a credential, and what its sessions are worth.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use super::server::insert_within;
use super::{Inventory, Limits, Server};
use crate::observation::{RequestInfo, ResponseInfo, SecretHash};

/// Sessions of a server whose users are remembered; those of further ones are not.
const MAX_SESSIONS: usize = 256;
/// Users remembered of a session; further ones change nothing.
const MAX_USERS: usize = 8;
/// Credentials remembered of a server; further ones are not.
const MAX_TOKENS: usize = 256;
/// Values of the `Server` field remembered, and the longest of them, in bytes.
const MAX_PRODUCTS: usize = 8;
const MAX_PRODUCT_BYTES: usize = 128;

/// What the exchanges with one server show of its openness. At most some 100 KB, with every
/// session used from eight addresses.
#[derive(Clone, Debug, Default)]
pub struct Exposure {
    /// Clients that got a result without any credential.
    pub unauthenticated_clients: usize,
    /// Least estimated randomness of the session ids that it handed out, in bits.
    pub session_bits: Option<u32>,
    /// Most client addresses that used one session. Networks of /64 count as one address, and
    /// IPv4 and IPv6 apart: a machine has one of each, and changes the lower half of the latter.
    pub session_clients: usize,
    /// Values of its `Server` field.
    pub products: BTreeSet<String>,
    /// Credentials sent to it, as keyed hashes.
    pub(super) tokens: BTreeSet<SecretHash>,
    users: BTreeMap<SecretHash, Vec<IpAddr>>,
}

impl Exposure {
    /// A client named a session. Answers whether more clients share one than before.
    fn session_used(&mut self, session: SecretHash, client: IpAddr) -> bool {
        if !self.users.contains_key(&session) && self.users.len() >= MAX_SESSIONS {
            return false;
        }
        let users = self.users.entry(session).or_default();
        let user = user(client);
        if users.contains(&user) || users.len() >= MAX_USERS {
            return false;
        }
        users.push(user);
        let fours = users.iter().filter(|ip| ip.is_ipv4()).count();
        let most = fours.max(users.len() - fours);
        let is_news = most > self.session_clients;
        self.session_clients = self.session_clients.max(most);
        is_news
    }

    /// What a response head shows.
    pub(super) fn answered(&mut self, response: &ResponseInfo) {
        if self.products.len() >= MAX_PRODUCTS {
            return;
        }
        let field = response.headers.iter().find(|field| field.name == "server");
        if let Some(value) = field.map(|field| field.value.as_str())
            && value.len() <= MAX_PRODUCT_BYTES
            && !self.products.contains(value)
        {
            self.products.insert(value.to_owned());
        }
    }

    /// Takes over what another record of the same server holds, but for the clients, which are
    /// counted anew.
    pub(super) fn absorb(&mut self, other: Self) {
        let bits = [self.session_bits, other.session_bits];
        self.session_bits = bits.into_iter().flatten().min();
        for (session, users) in other.users {
            users.into_iter().for_each(|user| _ = self.session_used(session, user));
        }
        self.session_clients = self.session_clients.max(other.session_clients);
        for product in other.products {
            insert_within(&mut self.products, product, MAX_PRODUCTS);
        }
        for token in other.tokens {
            insert_within(&mut self.tokens, token, MAX_TOKENS);
        }
    }
}

/// The address that stands for a client machine.
fn user(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        four => four,
    }
}

/// Whether something in between says that it acts for others: many clients then have one
/// address, and credentials are passed on.
fn is_forwarded(request: &RequestInfo) -> bool {
    request.headers.iter().any(|field| {
        matches!(field.name.as_str(), "x-forwarded-for" | "forwarded" | "via" | "x-real-ip")
            || field.name == "cf-connecting-ip"
    })
}

impl Server {
    /// Counts the clients that got in without a credential, when clients came or went in bulk.
    pub(super) fn recount(&mut self) {
        let open = self.clients.values().filter(|client| client.unauthenticated_result);
        self.exposure.unauthenticated_clients = open.count();
    }
}

impl Inventory {
    /// Takes in an exchange that begins, as far as it shows who else has this session or this
    /// credential. Requests that proxies pass on show nothing of that.
    pub(super) fn expose(&mut self, index: usize, request: &RequestInfo) {
        let Some(server) = self.records.get_mut(index) else { return };
        let is_unknown = request.client.ip.is_unspecified();
        if is_unknown || is_forwarded(request) || server.proxies.contains(&request.client.ip) {
            return;
        }
        let session = request.session;
        let mut is_news =
            session.is_some_and(|session| server.exposure.session_used(session, request.client.ip));
        if let Some(token) = request.token.filter(|_| request.via.is_none()) {
            insert_within(&mut server.exposure.tokens, token, MAX_TOKENS);
            is_news |= self.crossing.token_seen(token, index);
        }
        if let Some(client) = server.clients.get_mut(&request.client.ip) {
            client.has_news |= is_news;
        }
    }

    /// A server hands out a session id of so much randomness.
    pub(super) fn hands_out(&mut self, index: usize, request: &RequestInfo, bits: Option<u32>) {
        let Some((bits, server)) = bits.zip(self.records.get_mut(index)) else { return };
        if server.exposure.session_bits.is_none_or(|known| bits < known) {
            server.exposure.session_bits = Some(bits);
            if let Some(client) = server.clients.get_mut(&request.client.ip) {
                client.has_news = true;
            }
        }
    }
}

impl Limits {
    /// Sessions of one server whose users are remembered.
    #[cfg(test)]
    pub(super) const fn max_sessions_with_users() -> usize {
        MAX_SESSIONS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(exposure: &mut Exposure, session: u8, clients: &[&str]) -> Vec<bool> {
        let hash = SecretHash([session; 8]);
        clients.iter().map(|ip| exposure.session_used(hash, ip.parse().unwrap())).collect()
    }

    #[test]
    fn addresses_of_one_machine_count_once() {
        for (clients, most) in [
            (&["10.0.0.1", "10.0.0.1"][..], 1),
            (&["10.0.0.1", "10.0.0.2"], 2),
            (&["10.0.0.1", "::ffff:10.0.0.1"], 1),
            (&["10.0.0.1", "2001:db8::1"], 1),
            (&["2001:db8::1", "2001:db8::2"], 1),
            (&["2001:db8::1", "2001:db8:0:1::1", "10.0.0.1"], 2),
        ] {
            let mut exposure = Exposure::default();
            used(&mut exposure, 1, clients);
            assert_eq!(exposure.session_clients, most, "{clients:?}");
        }
    }

    #[test]
    fn the_most_used_session_counts_and_more_users_are_news() {
        let mut exposure = Exposure::default();
        assert_eq!(used(&mut exposure, 1, &["10.0.0.1", "10.0.0.2"]), [true, true]);
        assert_eq!(used(&mut exposure, 2, &["10.0.0.1", "10.0.0.3"]), [false, false]);
        assert_eq!(used(&mut exposure, 2, &["10.0.0.4"]), [true]);
        assert_eq!(exposure.session_clients, 3);
    }

    #[test]
    fn sessions_and_users_past_the_bounds_change_nothing() {
        let mut exposure = Exposure::default();
        for number in 0..=Limits::max_sessions_with_users() {
            let hash = SecretHash(u64::try_from(number).unwrap().to_be_bytes());
            exposure.session_used(hash, "10.0.0.1".parse().unwrap());
        }
        assert_eq!(exposure.users.len(), MAX_SESSIONS);
        for last in 0..20 {
            let first = *exposure.users.first_key_value().unwrap().0;
            exposure.session_used(first, IpAddr::from([10, 0, 1, last]));
        }
        assert_eq!(exposure.session_clients, MAX_USERS);
    }

    #[test]
    fn records_that_are_one_add_up() {
        let (mut a, mut b) = (Exposure::default(), Exposure::default());
        used(&mut a, 1, &["10.0.0.1"]);
        used(&mut b, 1, &["10.0.0.2"]);
        (a.session_bits, b.session_bits) = (Some(128), Some(16));
        b.products.insert("uvicorn".into());
        a.absorb(b);
        assert_eq!((a.session_clients, a.session_bits), (2, Some(16)));
        assert!(a.products.contains("uvicorn"));
    }
}
