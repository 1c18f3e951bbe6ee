//! Requests that wait for their answers, paired by id across the connections of a session.
//!
//! The answer to a request may come in the response to its POST, or on a GET stream on another
//! connection, and several sessions of one client may use the same ids at the same time. An answer
//! is given to the request of the same exchange if there is one, else of the same session, else to
//! the newest with that id of which it is not known that it belongs to another session.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;

use super::Transport;
use super::resolve::Seen;
use crate::net::{Direction, Endpoint};
use crate::observation::{ExchangeId, MessageId, RequestInfo, SecretHash};

/// Identity of a waiting request; grows with time.
pub(super) type Token = u64;

/// Requests with one id between the same peers that can be answered from elsewhere; the oldest
/// is then answered by its own exchange only.
const MAX_ALIKE: usize = 64;

/// Between whom an id means the same: two addresses, and the origin behind a proxy. Paths do not
/// count, for the streams and the messages of HTTP+SSE have different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Peers {
    client: IpAddr,
    server: Endpoint,
    behind: Option<u64>,
}

impl Peers {
    fn of(request: &RequestInfo) -> Self {
        let behind = request.via_proxy.then(|| {
            let mut hasher = DefaultHasher::new();
            (request.host.as_deref(), request.port).hash(&mut hasher);
            hasher.finish()
        });
        Self { client: request.client.ip, server: request.server, behind }
    }
}

/// An id, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    peers: Peers,
    /// Who asked.
    direction: Direction,
    id: MessageId,
}

/// A request without an answer so far.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) server: usize,
    pub(super) seen: Seen,
    pub(super) session: Option<SecretHash>,
    /// Status of its exchange, if that is over.
    pub(super) status: Option<u16>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered<'a> {
    /// The exchange that carries it.
    pub(super) request: &'a RequestInfo,
    /// Who asked.
    pub(super) asker: Direction,
    pub(super) id: &'a MessageId,
    pub(super) session: Option<SecretHash>,
    /// It can answer requests of its own exchange only.
    pub(super) own_only: bool,
}

/// All waiting requests: at most `max`, the oldest is given up first.
#[derive(Debug)]
pub(super) struct WaitingRoom {
    max: usize,
    next: Token,
    requests: BTreeMap<Token, Waiting>,
    /// The newest of an id in an exchange.
    own: HashMap<(ExchangeId, Direction, MessageId), Token>,
    /// Those of an id between two peers, oldest first.
    alike: HashMap<Asked, VecDeque<Token>>,
}

impl WaitingRoom {
    pub(super) fn new(max: usize) -> Self {
        let (requests, own, alike) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        Self { max: max.max(1), next: 0, requests, own, alike }
    }

    /// Adds a request; returns its token, and the request that was given up for it, if any. A
    /// message without an id does not wait.
    pub(super) fn add(&mut self, waiting: Waiting) -> (Option<Token>, Option<Waiting>) {
        let Some(id) = waiting.seen.message.id.clone() else { return (None, None) };
        let oldest = self.requests.first_key_value().map(|(token, _)| *token);
        let given_up = match oldest {
            Some(token) if self.requests.len() >= self.max => self.take(token),
            _ => None,
        };
        let token = self.next;
        self.next += 1;
        let Seen { request, direction, .. } = &waiting.seen;
        self.own.insert((request.id, *direction, id.clone()), token);
        // What is asked on a stream that carries messages both ways is answered there.
        if Transport::of_stream(waiting.seen.channel).is_none() {
            let asked = Asked { peers: Peers::of(request), direction: *direction, id };
            let alike = self.alike.entry(asked).or_default();
            if alike.len() >= MAX_ALIKE {
                alike.pop_front();
            }
            alike.push_back(token);
        }
        self.requests.insert(token, waiting);
        (Some(token), given_up)
    }

    pub(super) fn contains(&self, token: Token) -> bool {
        self.requests.contains_key(&token)
    }

    /// Whether a request with this id, of this side, waits in its exchange.
    pub(super) fn has(&self, request: ExchangeId, asker: Direction, id: &MessageId) -> bool {
        self.own.contains_key(&(request, asker, id.clone()))
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut Waiting> {
        self.requests.get_mut(&token)
    }

    pub(super) fn take(&mut self, token: Token) -> Option<Waiting> {
        let waiting = self.requests.remove(&token)?;
        let Seen { request, direction, message, .. } = &waiting.seen;
        let id = message.id.clone()?;
        if let Entry::Occupied(own) = self.own.entry((request.id, *direction, id.clone()))
            && *own.get() == token
        {
            own.remove();
        }
        let asked = Asked { peers: Peers::of(request), direction: *direction, id };
        if let Entry::Occupied(mut alike) = self.alike.entry(asked) {
            alike.get_mut().retain(|known| *known != token);
            if alike.get().is_empty() {
                alike.remove();
            }
        }
        Some(waiting)
    }

    /// The request that an answer belongs to.
    pub(super) fn answer(&mut self, answered: &Answered<'_>) -> Option<Waiting> {
        let Answered { request, asker, id, session, own_only } = *answered;
        if let Some(token) = self.own.get(&(request.id, asker, id.clone())) {
            return self.take(*token);
        }
        if own_only {
            return None;
        }
        let asked = Asked { peers: Peers::of(request), direction: asker, id: id.clone() };
        let alike = self.alike.get(&asked)?;
        let newest = |fits: &dyn Fn(&Waiting) -> bool| {
            alike.iter().rev().copied().find(|token| self.requests.get(token).is_some_and(fits))
        };
        let same = session.and_then(|_| newest(&|waiting| waiting.session == session));
        let token =
            same.or_else(|| newest(&|waiting| waiting.session.is_none() || session.is_none()))?;
        self.take(token)
    }

    /// Everything that is left, oldest first.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waiting> + use<> {
        self.own.clear();
        self.alike.clear();
        std::mem::take(&mut self.requests).into_values()
    }
}
