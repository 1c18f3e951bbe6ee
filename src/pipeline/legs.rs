//! The two legs of an explicit proxy: what a client sends to it, and what it sends on. Sans-IO.
//!
//! Where both legs are captured, the proxy must not look like one more client of the server. A
//! request on the proxy's own leg is joined to one on a client's leg (absolute form or `CONNECT`)
//! when all of this holds, and is then the client's, sent `via` the proxy:
//!
//! - scheme, host, port, path, HTTP method, session, JSON-RPC id, method and length are equal;
//! - it is sent before the client has its answer, and within [`WINDOW`];
//! - it comes from the address that the client talks to, or one that has proved to be another
//!   address of that proxy; or both name the same session, which nobody can guess; or it names the
//!   client as the one it was forwarded for.
//!
//! Without a session yet, from an unknown address, it waits for the answer: if that hands out the
//! same session on both legs, they are one. When in doubt nothing is joined.

mod fingerprint;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::recent::Recent;
use crate::flow::At;
use crate::net::{Direction, Endpoint};
use crate::observation::{Channel, Event, ExchangeId, Observation, RequestInfo, SecretHash};
use crate::time::Timestamp;
use fingerprint::Fingerprint;

/// How long after the client's request the proxy's own may come, in packet time.
const WINDOW: Duration = Duration::from_secs(30);
/// How much the legs may be swapped in the capture.
const SWAP: Duration = Duration::from_secs(1);
/// How long a request waits for an answer that shows whose it is.
const HOLD: Duration = Duration::from_secs(2);
/// Observations held back of one exchange; at the bound it is let go as it is.
const MAX_HELD: usize = 64;
/// Exchanges held back; at the bound a further one is taken in as it is.
const MAX_HELD_EXCHANGES: usize = 256;
/// Exchanges, sessions and streams remembered, each; at the bound the oldest is forgotten, and
/// what belongs to it is not joined. A few hundred bytes each.
const MAX_REMEMBERED: usize = 16_384;
/// Requests remembered that may be a proxy's own although no client's was seen for them: most
/// networks have no explicit proxy, and then every request is one.
const MAX_BACKS: usize = 256;

/// What is to be taken in, in order.
#[derive(Debug)]
pub(super) enum Admitted {
    /// An observation.
    Observation(Observation),
    /// An exchange that was taken in before turns out to be a proxy's own leg.
    Reassigned {
        /// The request as it was taken in.
        old: Arc<RequestInfo>,
        /// The request as it is.
        new: Arc<RequestInfo>,
    },
}

/// A client's request that the proxy has not answered.
#[derive(Clone, Copy, Debug)]
struct Front {
    exchange: ExchangeId,
    client: Endpoint,
    proxy: IpAddr,
    time: Timestamp,
}

/// A request that may be a proxy's own, taken in as it is.
#[derive(Debug)]
struct Back {
    request: Arc<RequestInfo>,
    time: Timestamp,
}

/// A request that waits for its answer to show whose it is.
#[derive(Debug)]
struct Held {
    front: Front,
    session: Option<SecretHash>,
    observations: Vec<Observation>,
    since: Timestamp,
}

/// A proxy's own exchange.
#[derive(Debug)]
struct Joined {
    client: Endpoint,
    /// The request with the right client, made at its first observation.
    request: Option<Arc<RequestInfo>>,
}

/// Whose session goes through which proxy.
#[derive(Clone, Copy, Debug)]
struct Owner {
    client: Endpoint,
    proxy: IpAddr,
    origin: u64,
}

/// Joins legs.
#[derive(Debug, Default)]
pub(super) struct Legs {
    /// By what the proxy's own request must look like; the oldest of equals is taken first.
    fronts: Recent<Fingerprint, VecDeque<Front>, MAX_REMEMBERED>,
    open: Recent<ExchangeId, Fingerprint, MAX_REMEMBERED>,
    backs: Recent<Fingerprint, Back, MAX_BACKS>,
    /// Which proxy an address belongs to.
    aliases: Recent<IpAddr, IpAddr, MAX_REMEMBERED>,
    sessions: Recent<SecretHash, Owner, MAX_REMEMBERED>,
    /// Streams of HTTP+SSE outside proxies, by the session that they hand out.
    streams: Recent<SecretHash, Back, MAX_REMEMBERED>,
    joined: Recent<ExchangeId, Joined, MAX_REMEMBERED>,
    held: HashMap<ExchangeId, Held>,
    /// Observations before any proxy was seen.
    without_proxy: usize,
}

impl Legs {
    /// Takes in an observation; adds what the inventory is to take in now.
    pub(super) fn admit(&mut self, seen: Observation, out: &mut Vec<Admitted>) {
        let now = seen.at.time;
        self.let_go(Some(now), out);
        let (request, session) = match &seen.event {
            Event::Message { request, .. }
            | Event::Ended { request, .. }
            | Event::Document { request, .. } => (request, None),
            Event::SseEndpoint { request, session, .. } => (request, *session),
            Event::Answered { request, response } => (request, response.session),
            _ => return out.push(Admitted::Observation(seen)),
        };
        let request = Arc::clone(request);
        if request.via_proxy {
            self.front(&seen, &request, session, out);
        } else if request.via.is_none() {
            return self.back(seen, &request, session, out);
        }
        out.push(Admitted::Observation(seen));
    }

    /// Time passes: what was held too long goes on.
    pub(super) fn advance(&mut self, now: Timestamp, out: &mut Vec<Admitted>) {
        self.let_go(Some(now), out);
    }

    /// The end of the capture: nothing waits any longer.
    pub(super) fn finish(&mut self, out: &mut Vec<Admitted>) {
        self.let_go(None, out);
    }

    /// Lets go what was held too long; all of it without a time.
    fn let_go(&mut self, now: Option<Timestamp>, out: &mut Vec<Admitted>) {
        if self.held.is_empty() {
            return;
        }
        let is_due = |held: &Held| now.is_none_or(|now| now.since(held.since) >= HOLD);
        let mut due: Vec<_> =
            self.held.iter().filter(|(_, held)| is_due(held)).map(|(id, _)| *id).collect();
        due.sort_unstable();
        for id in due {
            if let Some(held) = self.held.remove(&id) {
                out.extend(held.observations.into_iter().map(Admitted::Observation));
            }
        }
    }

    /// A client's leg.
    fn front(
        &mut self,
        seen: &Observation,
        request: &Arc<RequestInfo>,
        session: Option<SecretHash>,
        out: &mut Vec<Admitted>,
    ) {
        let (client, proxy) = (request.client, request.server.ip);
        let front = Front { exchange: request.id, client, proxy, time: seen.at.time };
        self.aliases.insert(proxy, proxy);
        let is_first = !self.open.entries.contains_key(&request.id);
        if let Some(print) = asks(seen, request).filter(|_| is_first) {
            if let Some(back) = self.swapped(print, &front) {
                self.reassign(&back, client, out);
            } else if let Some(equals) = self.fronts.entries.get_mut(&print) {
                equals.push_back(front);
                self.open.insert(request.id, print);
            } else {
                self.fronts.insert(print, VecDeque::from([front]));
                self.open.insert(request.id, print);
            }
        }
        for session in [request.session, session].into_iter().flatten() {
            let origin = fingerprint::origin(request);
            self.sessions.insert(session, Owner { client, proxy, origin });
        }
        match &seen.event {
            Event::SseEndpoint { .. } => {
                if let Some(back) = session.and_then(|s| self.streams.entries.remove(&s))
                    && fingerprint::origin(&back.request) == fingerprint::origin(request)
                    && back.request.path == request.path
                    && front.time.since(back.time) <= WINDOW
                {
                    self.aliases.insert(back.request.client.ip, proxy);
                    self.reassign(&back, client, out);
                }
            }
            Event::Answered { .. } | Event::Ended { .. } => {
                self.close(request.id);
                self.settle(request.id, session, out);
            }
            _ => {}
        }
    }

    /// The proxy's own request came before the client's: packets of two interfaces, swapped.
    fn swapped(&mut self, print: Fingerprint, front: &Front) -> Option<Back> {
        let back = self.backs.entries.get(&print)?;
        let is_near = front.time.since(back.time) <= SWAP;
        let is_own = self.is_own_leg(front, &back.request);
        (is_near && is_own).then(|| self.backs.entries.remove(&print)).flatten()
    }

    /// The client has its answer: what the proxy sends from now on belongs to something else.
    fn close(&mut self, exchange: ExchangeId) {
        let Some(print) = self.open.entries.remove(&exchange) else { return };
        if let Some(equals) = self.fronts.entries.get_mut(&print) {
            equals.retain(|front| front.exchange != exchange);
            if equals.is_empty() {
                self.fronts.entries.remove(&print);
            }
        }
    }

    /// The client's answer says whose the requests are that were held for it.
    fn settle(&mut self, front: ExchangeId, session: Option<SecretHash>, out: &mut Vec<Admitted>) {
        if self.held.is_empty() {
            return;
        }
        let waiting = self.held.iter().filter(|(_, held)| held.front.exchange == front);
        let mut waiting: Vec<_> = waiting.map(|(id, _)| *id).collect();
        waiting.sort_unstable();
        for id in waiting {
            let Some(Held { front, session: own, observations, .. }) = self.held.remove(&id) else {
                continue;
            };
            let is_one = session.is_some() && own == session;
            for mut seen in observations {
                if is_one {
                    self.attribute(&mut seen, front);
                }
                out.push(Admitted::Observation(seen));
            }
        }
    }

    /// A leg that is no client's to a proxy: it may be a proxy's own.
    fn back(
        &mut self,
        mut seen: Observation,
        request: &Arc<RequestInfo>,
        session: Option<SecretHash>,
        out: &mut Vec<Admitted>,
    ) {
        if let Some(joined) = self.joined.entries.get(&request.id) {
            let client = joined.client;
            self.rewrite(&mut seen, request, client);
            return out.push(Admitted::Observation(seen));
        }
        if let Some(held) = self.held.get_mut(&request.id) {
            held.session = session.or(held.session);
            held.observations.push(seen);
            if held.observations.len() >= MAX_HELD
                && let Some(held) = self.held.remove(&request.id)
            {
                out.extend(held.observations.into_iter().map(Admitted::Observation));
            }
            return;
        }
        // Most networks have no explicit proxy. Once that seems so, nothing is remembered until
        // there is one: only a first pair of legs that is swapped would have needed it.
        if self.aliases.entries.is_empty() {
            if self.without_proxy >= MAX_BACKS {
                self.by_session(&mut seen, request, session);
                return out.push(Admitted::Observation(seen));
            }
            self.without_proxy += 1;
        }
        match asks(&seen, request) {
            Some(print) => match self.match_front(print, request, seen.at) {
                Some((front, true)) => self.attribute(&mut seen, front),
                Some((front, false)) if self.held.len() < MAX_HELD_EXCHANGES => {
                    let (since, observations) = (seen.at.time, vec![seen]);
                    let held = Held { front, session: None, observations, since };
                    self.held.insert(request.id, held);
                    return;
                }
                _ => {
                    let back = Back { request: Arc::clone(request), time: seen.at.time };
                    self.backs.insert(print, back);
                }
            },
            None => self.by_session(&mut seen, request, session),
        }
        out.push(Admitted::Observation(seen));
    }

    /// The client's request that a request looks like, and whether it is certain that a proxy
    /// sent this one for it.
    fn match_front(
        &mut self,
        print: Fingerprint,
        request: &RequestInfo,
        at: At,
    ) -> Option<(Front, bool)> {
        let equals = self.fronts.entries.get(&print)?;
        let near = |front: &&Front| at.time.since(front.time) <= WINDOW;
        let sure = equals.iter().filter(near).find(|front| self.is_own_leg(front, request));
        let found = sure.or_else(|| equals.iter().find(near)).copied()?;
        let is_sure = sure.is_some();
        if is_sure {
            self.close(found.exchange);
        }
        Some((found, is_sure))
    }

    /// Whether a request that looks like a client's is certainly its proxy's.
    fn is_own_leg(&self, front: &Front, request: &RequestInfo) -> bool {
        self.aliases.entries.get(&request.client.ip) == Some(&front.proxy)
            // Part of what is equal already.
            || request.session.is_some()
            || forwarded_for(request) == Some(front.client.ip)
    }

    /// Requests without a message (a GET for a stream, a DELETE) of a session that goes through
    /// the proxy.
    fn by_session(
        &mut self,
        seen: &mut Observation,
        request: &Arc<RequestInfo>,
        session: Option<SecretHash>,
    ) {
        let owner = request.session.and_then(|session| self.sessions.entries.get(&session));
        if let Some(owner) = owner.copied()
            && owner.origin == fingerprint::origin(request)
            && self.aliases.entries.get(&request.client.ip) == Some(&owner.proxy)
        {
            self.join(request, owner.client);
            return self.rewrite(seen, request, owner.client);
        }
        if let (Event::SseEndpoint { .. }, Some(session)) = (&seen.event, session) {
            let back = Back { request: Arc::clone(request), time: seen.at.time };
            self.streams.insert(session, back);
        }
    }

    /// Makes an exchange the client's.
    fn attribute(&mut self, seen: &mut Observation, front: Front) {
        let (Event::Message { request, .. }
        | Event::SseEndpoint { request, .. }
        | Event::Answered { request, .. }
        | Event::Document { request, .. }
        | Event::Ended { request, .. }) = &seen.event
        else {
            return;
        };
        let request = Arc::clone(request);
        self.aliases.insert(request.client.ip, front.proxy);
        self.join(&request, front.client);
        self.rewrite(seen, &request, front.client);
    }

    fn join(&mut self, request: &RequestInfo, client: Endpoint) {
        if !self.joined.entries.contains_key(&request.id) {
            self.joined.insert(request.id, Joined { client, request: None });
        }
    }

    fn reassign(&mut self, back: &Back, client: Endpoint, out: &mut Vec<Admitted>) {
        self.join(&back.request, client);
        let new = self.rewritten(&back.request, client);
        out.push(Admitted::Reassigned { old: Arc::clone(&back.request), new });
    }

    /// The request of a joined exchange, with the client whose it is.
    fn rewritten(&mut self, request: &Arc<RequestInfo>, client: Endpoint) -> Arc<RequestInfo> {
        let make =
            || Arc::new(RequestInfo { client, via: Some(request.client), ..(**request).clone() });
        match self.joined.entries.get_mut(&request.id) {
            Some(joined) => Arc::clone(joined.request.get_or_insert_with(make)),
            None => make(),
        }
    }

    fn rewrite(&mut self, seen: &mut Observation, request: &Arc<RequestInfo>, client: Endpoint) {
        let new = self.rewritten(request, client);
        match &mut seen.event {
            Event::Message { request, .. }
            | Event::SseEndpoint { request, .. }
            | Event::Document { request, .. }
            | Event::Answered { request, .. } => *request = new,
            Event::Ended { request, .. } => {
                self.joined.entries.remove(&request.id);
                *request = new;
            }
            _ => {}
        }
    }
}

/// What a request of a client asks, if this is one.
fn asks(seen: &Observation, request: &RequestInfo) -> Option<Fingerprint> {
    match &seen.event {
        Event::Message { direction: Direction::ToServer, channel, message, ambiguous, .. }
            if *channel == Channel::RequestBody && request.seen && !ambiguous =>
        {
            Some(Fingerprint::of(request, message))
        }
        _ => None,
    }
}

/// Whom a proxy says it acts for (`X-Forwarded-For`: the last address is the one it was asked by).
fn forwarded_for(request: &RequestInfo) -> Option<IpAddr> {
    let fields = request.headers.iter().rev();
    let field = fields.into_iter().find(|field| field.name == "x-forwarded-for")?;
    field.value.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
