//! Requests that wait for their answers, paired by id across the connections of a session.
//!
//! The answer to a request may come in the response to its POST, or on a GET stream on another
//! connection, and several sessions of one client may use the same ids at the same time. An answer
//! is given to the request of the same exchange if there is one, else of the same session, else to
//! the newest with that id.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::flow::At;
use crate::net::Direction;
use crate::observation::{Channel, ExchangeId, Message, MessageId, RequestInfo, SecretHash};

/// Identity of a waiting request; grows with time.
pub(super) type Token = u64;

/// Whose ids they are: a server, a client, and who asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) server: usize,
    pub(super) client: IpAddr,
    pub(super) direction: Direction,
    pub(super) id: MessageId,
}

/// A request without an answer so far.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) asked: Asked,
    pub(super) session: Option<SecretHash>,
    pub(super) request: Arc<RequestInfo>,
    pub(super) channel: Channel,
    pub(super) message: Arc<Message>,
    pub(super) ambiguous: bool,
    pub(super) at: At,
}

/// All waiting requests: at most `max`, the oldest is given up first.
#[derive(Debug)]
pub(super) struct WaitingRoom {
    max: usize,
    next: Token,
    requests: BTreeMap<Token, Waiting>,
    by_id: HashMap<Asked, Vec<Token>>,
}

impl WaitingRoom {
    pub(super) fn new(max: usize) -> Self {
        Self { max, next: 0, requests: BTreeMap::new(), by_id: HashMap::new() }
    }

    /// Adds a request; returns its token, and the request that was given up for it, if any.
    pub(super) fn add(&mut self, waiting: Waiting) -> (Token, Option<Waiting>) {
        let oldest = self.requests.keys().next().copied();
        let given_up = match oldest {
            Some(token) if self.requests.len() >= self.max => self.take(token),
            _ => None,
        };
        let token = self.next;
        self.next += 1;
        self.by_id.entry(waiting.asked.clone()).or_default().push(token);
        self.requests.insert(token, waiting);
        (token, given_up)
    }

    pub(super) fn take(&mut self, token: Token) -> Option<Waiting> {
        let waiting = self.requests.remove(&token)?;
        if let Some(tokens) = self.by_id.get_mut(&waiting.asked) {
            tokens.retain(|known| *known != token);
            if tokens.is_empty() {
                self.by_id.remove(&waiting.asked);
            }
        }
        Some(waiting)
    }

    /// The request that an answer belongs to.
    pub(super) fn answer(
        &mut self,
        asked: &Asked,
        exchange: ExchangeId,
        session: Option<SecretHash>,
    ) -> Option<Waiting> {
        let tokens = self.by_id.get(asked)?;
        let find = |fits: &dyn Fn(&Waiting) -> bool| {
            tokens.iter().rev().copied().find(|token| self.requests.get(token).is_some_and(fits))
        };
        let token = find(&|waiting| waiting.request.id == exchange)
            .or_else(|| session.and_then(|_| find(&|waiting| waiting.session == session)))
            .or_else(|| find(&|waiting| waiting.session.is_none() || session.is_none()))?;
        self.take(token)
    }

    /// Everything that is left, oldest first.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Waiting> + use<> {
        self.by_id.clear();
        std::mem::take(&mut self.requests).into_values()
    }

    /// Requests to `from` now belong to `to`: the two turned out to be one server.
    pub(super) fn rename(&mut self, from: usize, to: usize) {
        for (token, waiting) in &mut self.requests {
            if waiting.asked.server == from {
                if let Some(tokens) = self.by_id.get_mut(&waiting.asked) {
                    tokens.retain(|known| known != token);
                }
                waiting.asked.server = to;
                self.by_id.entry(waiting.asked.clone()).or_default().push(*token);
            }
        }
        self.by_id.retain(|_, tokens| !tokens.is_empty());
    }
}
