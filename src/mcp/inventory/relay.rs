//! What explicit proxies do on their own legs, put down to the clients that they act for.

use std::net::IpAddr;
use std::sync::Arc;

use super::client::Client;
use super::server::insert_within;
use super::{Inventory, Limits, Server, ServerId, ServerKey};
use crate::flow::At;
use crate::net::Endpoint;
use crate::observation::RequestInfo;

impl Server {
    /// Remembers the proxy of a request, on either of its legs.
    pub(super) fn note_proxy(&mut self, request: &RequestInfo, limits: &Limits) {
        let front = request.via_proxy.then_some(request.server.ip);
        for proxy in front.into_iter().chain(request.via.map(|via| via.ip)) {
            self.via_proxy = true;
            self.reached_through(proxy, limits);
        }
    }
}

impl Inventory {
    /// Names that DNS gave for the address of a server whose host is an address.
    pub fn name(&mut self, id: ServerId, names: impl Iterator<Item = String>) {
        let max = self.limits.max_handshake_values_per_server;
        if let Some(server) = self.records.get_mut(id.0) {
            for name in names {
                insert_within(&mut server.names, name, max);
            }
        }
    }

    /// Where a proxy went for a flow in its tunnel: an address of the server, if that has a
    /// record.
    pub fn relayed(&mut self, key: &ServerKey, server: Endpoint, at: At) {
        let limits = self.limits;
        if let Some(record) = self.records.find(key).and_then(|id| self.records.get_mut(id)) {
            record.touch(at);
            record.place(server, false, &limits);
        }
    }

    /// An exchange that was taken in as its proxy's turns out to be a client's. Nothing was
    /// reported of it yet, save rules that look at heads only: the server had not answered.
    pub fn reassign(&mut self, old: &Arc<RequestInfo>, new: &Arc<RequestInfo>) {
        let limits = self.limits;
        let Some(open) = self.open.get_mut(old.id) else { return };
        open.request = Arc::clone(new);
        for held in &mut open.held {
            held.request = Arc::clone(new);
        }
        let (index, tokens) = (open.server, std::mem::take(&mut open.tokens));
        let mut renewed = Vec::with_capacity(tokens.len());
        for token in tokens {
            if let Some(mut waiting) = self.waiting.take(token) {
                waiting.seen.request = Arc::clone(new);
                // One has just left, so none is given up.
                renewed.extend(self.waiting.add(waiting).0);
            }
        }
        if let Some(open) = self.open.get_mut(old.id) {
            open.tokens = renewed;
        }
        let Some(server) = self.records.get_mut(index) else { return };
        server.note_proxy(new, &limits);
        if let Some(client) = server.take_exchange(old.client.ip) {
            let mine = server.client(new.client.ip, client.last, &limits);
            let dropped = mine.map_or(1, |mine| mine.absorb(client, &limits));
            server.dropped += dropped;
            server.recount();
        } else if let Some(mine) = server.client(new.client.ip, new.at, &limits) {
            mine.enter(new, &limits);
        }
    }
}

impl Server {
    /// Takes an exchange off a client; the whole client, if it had no other.
    fn take_exchange(&mut self, ip: IpAddr) -> Option<Client> {
        let client = self.clients.get_mut(&ip)?;
        if client.exchanges > 1 {
            client.exchanges -= 1;
            return None;
        }
        self.clients.remove(&ip)
    }
}
