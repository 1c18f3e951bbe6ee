//! Many conversations by one pair of streams: the standard streams of a child, or HTTP with SSE.
//!
//! Requests get ids and progress tokens of the mux's own, so that what comes back finds its call
//! and nobody else's, whatever ids callers chose.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::de::IgnoredAny;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::{About, Failure, Heard};
use crate::portal::Task;
use crate::portal::wire::{
    Id, Message, Notification, Raw, Request, Response, RpcError, code, member, object, raw,
};

/// Heard and not read yet, of one call. Beyond, notifications are dropped: one slow reader does
/// not make the others wait.
const MAX_WAITING: usize = 256;
/// Requests of the server that nobody answered yet; more are refused.
const MAX_ASKED: usize = 1024;
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Takes lines to the server.
pub(super) trait Sender: Send + Sync + fmt::Debug {
    /// One message, without its line feed.
    fn send(&self, line: String) -> Task<'_, Result<(), Failure>>;
}

#[derive(Debug)]
struct Pending {
    to: mpsc::Sender<Heard>,
    id: Id,
    token: Option<Raw>,
    peer: i64,
    /// What the server says without naming a call may be about this one.
    may_hear: bool,
    /// It said which log messages it wants (MCP 2026-07-28).
    has_level: bool,
}

#[derive(Debug, Default)]
struct Inner {
    next: i64,
    pending: BTreeMap<i64, Pending>,
    listeners: Vec<(i64, mpsc::Sender<Heard>)>,
    /// Requests of the server, and who they were given to.
    asked: HashMap<Id, i64>,
    over: Option<Failure>,
}

impl Inner {
    /// What is about no call in particular. Changes are for those who listen; all else is about a
    /// call that is under way, if its peer has one: the newest, and of several the one that said
    /// that it wants messages.
    fn unnamed(&self, said: &Notification) {
        let is_change = said.method.ends_with("/list_changed")
            || &*said.method == "notifications/resources/updated";
        let is_message = &*said.method == "notifications/message";
        let has_level = is_message && self.pending.values().any(|pending| pending.has_level);
        let calls = self.pending.values().filter(|of| of.may_hear && (of.has_level || !has_level));
        let calls: BTreeMap<i64, &Pending> = calls.map(|of| (of.peer, of)).collect();
        let listens = |peer: i64| self.listeners.iter().any(|(of, _)| *of == peer);
        for (peer, pending) in &calls {
            if !is_change || !listens(*peer) {
                give(&pending.to, Heard::Notification(said.clone()));
            }
        }
        for (peer, to) in &self.listeners {
            if is_change || !calls.contains_key(peer) {
                give(to, Heard::Notification(said.clone()));
            }
        }
    }
}

/// One pair of streams.
#[derive(Debug)]
pub(super) struct Mux {
    to: Box<dyn Sender>,
    /// Of many owners: what belongs to no call may only say that lists changed.
    is_shared: bool,
    inner: Mutex<Inner>,
    about: OnceLock<Arc<About>>,
    is_over: AtomicBool,
}

impl Mux {
    pub(super) fn new(to: Box<dyn Sender>, is_shared: bool) -> Arc<Self> {
        Arc::new(Self {
            to,
            is_shared,
            inner: Mutex::default(),
            about: OnceLock::new(),
            is_over: AtomicBool::new(false),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Nothing is under way and nobody listens.
    pub(super) fn is_idle(&self) -> bool {
        let mut inner = self.inner();
        inner.listeners.retain(|(_, to)| !to.is_closed());
        inner.pending.is_empty() && inner.listeners.is_empty()
    }

    pub(super) fn about(&self) -> Option<Arc<About>> {
        self.about.get().cloned()
    }

    pub(super) fn set_about(&self, about: About) {
        drop(self.about.set(Arc::new(about)));
    }

    /// Ends everything that is under way.
    pub(super) fn end(&self, failure: &Failure) {
        self.is_over.store(true, Relaxed);
        let mut inner = self.inner();
        if inner.over.is_none() {
            inner.over = Some(failure.clone());
        }
        for pending in std::mem::take(&mut inner.pending).into_values() {
            give(&pending.to, Heard::Failed(failure.clone()));
        }
        for (_, to) in std::mem::take(&mut inner.listeners) {
            give(&to, Heard::Failed(failure.clone()));
        }
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), Failure> {
        self.to.send(message.to_json()).await
    }

    /// Sends a request of a peer under a number of the mux's own.
    pub(super) async fn request(
        self: &Arc<Self>,
        mut request: Request,
        peer: i64,
    ) -> Result<Flight, Failure> {
        let (to, from) = mpsc::channel(MAX_WAITING);
        let meta: Option<Raw> = member(request.params.as_deref(), "_meta");
        let token: Option<Raw> = member(meta.as_deref(), "progressToken");
        let number = {
            let mut inner = self.inner();
            if let Some(failure) = &inner.over {
                // It was over before: nothing of this was sent.
                return Err(Failure::Unreachable(format!("{failure:?}").into()));
            }
            inner.next += 1;
            let number = inner.next;
            let pending = Pending {
                to,
                id: request.id.clone(),
                token: token.clone(),
                peer,
                may_hear: &*request.method != "subscriptions/listen",
                has_level: member::<IgnoredAny>(meta.as_deref(), LOG_LEVEL).is_some(),
            };
            inner.pending.insert(number, pending);
            number
        };
        let flight = Flight { mux: Arc::clone(self), number, is_open: true, from };
        if token.is_some() {
            let meta = object(meta.as_deref(), vec![("progressToken", Some(raw(&number)))]);
            request.params = Some(object(request.params.as_deref(), vec![("_meta", Some(meta))]));
        }
        request.id = Id::Number(number);
        self.send(&Message::Request(request)).await?;
        Ok(flight)
    }

    /// A question of the portal's own.
    pub(super) async fn ask(
        self: &Arc<Self>,
        method: &str,
        params: Raw,
    ) -> Result<Flight, Failure> {
        let request = Request { id: Id::Number(0), method: method.into(), params: Some(params) };
        self.request(request, 0).await
    }

    /// A peer answers what it was asked, and nothing else.
    pub(super) async fn reply(&self, response: Response, peer: i64) -> Result<(), Failure> {
        let is_asked = response.id.as_ref().is_some_and(|id| {
            let mut inner = self.inner();
            let is_its = inner.asked.get(id) == Some(&peer);
            is_its && inner.asked.remove(id).is_some()
        });
        if !is_asked {
            return Err(Failure::Garbled("an answer to what was not asked".into()));
        }
        self.send(&Message::Response(response)).await
    }

    pub(super) fn listen(&self, peer: i64) -> mpsc::Receiver<Heard> {
        let (to, from) = mpsc::channel(MAX_WAITING);
        let mut inner = self.inner();
        inner.listeners.retain(|(_, to)| !to.is_closed());
        if let Some(failure) = &inner.over {
            give(&to, Heard::Failed(failure.clone()));
        } else {
            inner.listeners.push((peer, to));
        }
        from
    }

    /// Takes what the server sent to where it belongs.
    pub(super) fn hear(self: &Arc<Self>, message: Message) {
        match message {
            Message::Response(mut response) => {
                let Some(Id::Number(number)) = response.id else { return };
                let Some(pending) = self.inner().pending.remove(&number) else { return };
                response.id = Some(pending.id);
                give(&pending.to, Heard::Response(response));
            }
            Message::Notification(notification) => self.notified(notification),
            Message::Request(request) => self.asked(request),
        }
    }

    fn notified(&self, mut said: Notification) {
        let mut inner = self.inner();
        let params = said.params.as_deref();
        if &*said.method == "notifications/progress" {
            let number: Option<i64> = member(params, "progressToken");
            let Some(pending) = number.and_then(|number| inner.pending.get(&number)) else {
                return;
            };
            let Some(token) = pending.token.clone() else { return };
            said.params = Some(object(params, vec![("progressToken", Some(token))]));
            return give(&pending.to, Heard::Notification(said));
        }
        let meta: Option<Raw> = member(params, "_meta");
        if let Some(id) = member::<Id>(meta.as_deref(), SUBSCRIPTION) {
            let number = match id {
                Id::Number(number) => Some(number),
                Id::Text(text) => text.parse().ok(),
            };
            let Some(pending) = number.and_then(|number| inner.pending.get(&number)) else {
                return;
            };
            let meta = object(meta.as_deref(), vec![(SUBSCRIPTION, Some(raw(&pending.id)))]);
            said.params = Some(object(params, vec![("_meta", Some(meta))]));
            return give(&pending.to, Heard::Notification(said));
        }
        if self.is_shared && !said.method.ends_with("/list_changed") {
            return;
        }
        inner.listeners.retain(|(_, to)| !to.is_closed());
        inner.unnamed(&said);
    }

    fn asked(self: &Arc<Self>, request: Request) {
        let outcome = if &*request.method == "ping" {
            Ok(raw(&serde_json::json!({})))
        } else {
            match self.asked_whom(&request) {
                Some(to) => {
                    give(&to, Heard::Request(request));
                    return;
                }
                None => Err(RpcError::new(code::METHOD_NOT_FOUND, "nobody here can answer that")),
            }
        };
        let (mux, response) = (Arc::clone(self), Response { id: Some(request.id), outcome });
        drop(tokio::spawn(async move {
            drop(mux.send(&Message::Response(response)).await);
        }));
    }

    /// The peer that it must be for: the only one with calls under way, or else the only listener.
    fn asked_whom(&self, request: &Request) -> Option<mpsc::Sender<Heard>> {
        let mut inner = self.inner();
        if self.is_shared || inner.asked.len() >= MAX_ASKED {
            return None;
        }
        inner.listeners.retain(|(_, to)| !to.is_closed());
        let calls = inner.pending.values().rev().map(|pending| (pending.peer, &pending.to));
        let listeners = inner.listeners.iter().map(|(peer, to)| (*peer, to));
        let mut all = calls.clone().chain(listeners.filter(|_| calls.clone().next().is_none()));
        let (peer, to) = all.next().map(|(peer, to)| (peer, to.clone()))?;
        if all.any(|(other, _)| other != peer) {
            return None;
        }
        inner.asked.insert(request.id.clone(), peer);
        Some(to)
    }
}

/// Notifications are dropped where nobody reads; the rest waits apart.
pub(super) fn give(to: &mpsc::Sender<Heard>, heard: Heard) {
    if let Err(TrySendError::Full(heard)) = to.try_send(heard)
        && !matches!(heard, Heard::Notification(_))
        && let Ok(runtime) = tokio::runtime::Handle::try_current()
    {
        let to = to.clone();
        drop(runtime.spawn(async move { drop(to.send(heard).await) }));
    }
}

/// A request under way; dropped before its answer, it is cancelled.
#[derive(Debug)]
pub(super) struct Flight {
    mux: Arc<Mux>,
    number: i64,
    is_open: bool,
    from: mpsc::Receiver<Heard>,
}

impl Flight {
    /// The answer, whatever is said before it.
    pub(super) async fn response(&mut self) -> Result<Response, Failure> {
        loop {
            match self.next().await {
                Heard::Response(response) => return Ok(response),
                Heard::Failed(failure) => return Err(failure),
                Heard::Notification(_) | Heard::Request(_) => {}
            }
        }
    }

    /// What is heard next; after the last, `Broken`.
    pub(super) async fn next(&mut self) -> Heard {
        let heard = self.from.recv().await;
        let heard = heard.unwrap_or_else(|| Heard::Failed(Failure::Broken("it ended".into())));
        self.is_open &= !matches!(heard, Heard::Response(_) | Heard::Failed(_));
        heard
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let was_pending = self.mux.inner().pending.remove(&self.number).is_some();
        if !was_pending || !self.is_open || self.mux.is_over() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let params = raw(&serde_json::json!({"requestId": self.number, "reason": "cancelled"}));
        let method = "notifications/cancelled".into();
        let message = Message::Notification(Notification { method, params: Some(params) });
        let mux = Arc::clone(&self.mux);
        drop(runtime.spawn(async move { drop(mux.send(&message).await) }));
    }
}
