//! Servers at a URL that speak Streamable HTTP: with sessions (MCP 2025-03-26 to 2025-11-25,
//! "Transports") or without state (MCP 2026-07-28, "Streamable HTTP").

mod answer;
mod aside;
mod begin;
mod source;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Method};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout_at};

use super::config::Server;
use super::envelope::{self, SESSION, VERSION, enveloped, mirror};
use super::pool::{Incomplete, Pool};
use super::site::Site;
use super::{About, ClientSide, Conversation, Credentials, Failure, Heard, Outgoing, Peer, Ticket};
use crate::mcp::methods::Revision;
use crate::portal::Task;
use crate::portal::outbound::{Target, add};
use crate::portal::principal::{Principal, Scope};
use crate::portal::wire::{Id, Message, Notification, Raw, Request, Response, raw};
use answer::Answer;
use aside::Aside;
use source::Source;

pub(super) use answer::{Fault, messages};
pub(super) use begin::{initialize_params, initialized};

/// Messages that wait for a slow reader; the server waits then.
const MAX_WAITING: usize = 16;
/// Answers to notifications and replies are waited for so long at most.
const TELL: Duration = Duration::from_secs(10);

/// What a conversation goes on with.
#[derive(Debug)]
pub(super) struct State {
    pub(super) about: Arc<About>,
    pub(super) session: Option<HeaderValue>,
}

impl State {
    fn is_modern(&self) -> bool {
        self.about.revision >= envelope::NEWEST
    }
}

/// One conversation.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) site: Arc<Site>,
    pub(super) target: Target,
    pub(super) pool: Arc<Pool>,
    pub(super) credentials: Arc<dyn Credentials>,
    principal: Arc<Mutex<Arc<Principal>>>,
    pub(super) scope: Scope,
    pub(super) client: Arc<ClientSide>,
    state: Mutex<Arc<State>>,
    renewing: tokio::sync::Mutex<()>,
    /// The server is to be asked again what it speaks.
    is_over: Arc<AtomicBool>,
}

impl Core {
    pub(super) fn new(
        site: Arc<Site>,
        target: Target,
        pool: Arc<Pool>,
        credentials: Arc<dyn Credentials>,
        principal: Arc<Principal>,
        scope: Scope,
        client: Arc<ClientSide>,
    ) -> Arc<Self> {
        let about = About {
            revision: envelope::NEWEST_LEGACY,
            info: None,
            capabilities: None,
            instructions: None,
        };
        Arc::new(Self {
            site,
            target,
            pool,
            credentials,
            principal: Arc::new(Mutex::new(principal)),
            scope,
            client,
            state: Mutex::new(Arc::new(State { about: Arc::new(about), session: None })),
            renewing: tokio::sync::Mutex::default(),
            is_over: Arc::default(),
        })
    }

    /// The same conversation at another address of the server.
    pub(super) fn elsewhere(&self, target: Target) -> Arc<Self> {
        Arc::new(Self {
            site: Arc::clone(&self.site),
            target,
            pool: Arc::clone(&self.pool),
            credentials: Arc::clone(&self.credentials),
            principal: Arc::clone(&self.principal),
            scope: self.scope.clone(),
            client: Arc::clone(&self.client),
            state: Mutex::new(self.state()),
            renewing: tokio::sync::Mutex::default(),
            is_over: Arc::clone(&self.is_over),
        })
    }

    pub(super) fn set_principal(&self, principal: &Arc<Principal>) {
        let mut own = self.principal.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&own, principal) {
            *own = Arc::clone(principal);
        }
    }

    pub(super) fn over(&self) {
        self.is_over.store(true, Relaxed);
        self.site.forget_era();
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    fn server(&self) -> &Server {
        &self.site.server
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, state: State) -> Arc<State> {
        let state = Arc::new(state);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&state);
        state
    }

    /// Sends with credentials; asks for new ones once where they are refused.
    pub(super) async fn send(
        &self,
        method: Method,
        state: Option<&State>,
        mut more: HeaderMap,
        body: Bytes,
    ) -> Result<(Parts, Incomplete), Failure> {
        let is_post = method == Method::POST;
        let accept =
            if is_post { "application/json, text/event-stream" } else { "text/event-stream" };
        more.insert(ACCEPT, HeaderValue::from_static(accept));
        if is_post {
            more.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(state) = state {
            more.extend(state.session.clone().map(|session| (SESSION, session)));
            if state.about.revision >= Revision::V2025_06_18 {
                let revision = HeaderValue::from_static(state.about.revision.as_str());
                more.insert(VERSION, revision);
            }
        }
        let mut refused: Option<String> = None;
        loop {
            let principal =
                Arc::clone(&self.principal.lock().unwrap_or_else(PoisonError::into_inner));
            let proof = self.credentials.headers(&principal, &self.scope, refused.as_deref());
            let proof = proof.await?;
            let mut headers = more.clone();
            add(&mut headers, &proof).map_err(super::failure)?;
            let sent = self.pool.send(&self.target, method.clone(), headers, body.clone()).await;
            let (parts, answer) = sent.map_err(super::failure)?;
            let status = parts.status.as_u16();
            if !matches!(status, 401 | 403) {
                return Ok((parts, answer));
            }
            let challenge =
                parts.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
            let challenge = challenge.unwrap_or_default().to_owned();
            if refused.is_some() {
                return Err(Failure::Refused(status, challenge.into()));
            }
            refused = Some(challenge);
        }
    }

    /// A new session, unless somebody else began one in the meantime.
    async fn renew(&self, old: &Arc<State>) -> Result<Arc<State>, Failure> {
        let _only = self.renewing.lock().await;
        let now = self.state();
        if !Arc::ptr_eq(&now, old) {
            return Ok(now);
        }
        self.site.counters.reconnects.fetch_add(1, Relaxed);
        match begin::begin(self).await {
            Ok(state) => Ok(self.set(state)),
            Err(fault) => {
                if matches!(fault, Fault::OtherEra(_)) {
                    self.over();
                }
                Err(fault.into_failure())
            }
        }
    }

    /// What needs no answer but that it was taken.
    async fn deliver(&self, state: &State, message: &Message) -> Result<(), Failure> {
        let sent = self.send(Method::POST, Some(state), HeaderMap::new(), line(message));
        let sent = tokio::time::timeout(TELL, sent).await;
        let (parts, body) = sent.unwrap_or(Err(Failure::TimedOut(TELL)))?;
        if parts.status.is_success() {
            let _nothing = tokio::time::timeout(TELL, body.whole(64 << 10)).await;
            return Ok(());
        }
        if parts.status == 404 && state.session.is_some() {
            return Err(Failure::SessionLost("the session is over".into()));
        }
        Err(Failure::Status(parts.status.as_u16(), "".into()))
    }

    async fn once(
        self: &Arc<Self>,
        state: &Arc<State>,
        call: &Outgoing,
        until: Instant,
        permit: &Arc<OwnedSemaphorePermit>,
    ) -> Result<Conversation, Fault> {
        let mut headers = HeaderMap::with_capacity(12);
        let body = if state.is_modern() {
            let mut request = call.request.clone();
            let params = request.params.as_ref();
            request.params = Some(enveloped(params, state.about.revision, &call.client));
            mirror(&mut headers, &request, &call.param_headers);
            line(&Message::Request(request))
        } else {
            line(&Message::Request(call.request.clone()))
        };
        let mut flight = Flight {
            core: Arc::clone(self),
            state: Arc::clone(state),
            id: call.request.id.clone(),
            is_open: true,
            _permit: Some(Arc::clone(permit)),
        };
        let limit = until.min(Instant::now() + call.idle);
        let late = || Failure::TimedOut(if limit < until { call.idle } else { call.total });
        let answered = timeout_at(limit, async {
            let (parts, body) = self.send(Method::POST, Some(state), headers, body).await?;
            answer::read(self.server(), Some(state), &parts, body).await
        });
        let answer = match answered.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(fault)) => {
                flight.is_open = false;
                return Err(fault);
            }
            Err(_) => return Err(Fault::Failure(late())),
        };
        match answer {
            Answer::Whole(messages) => {
                flight.is_open = false;
                whole(messages, &call.request.id)
            }
            Answer::Stream(events) => {
                let source = Source::new(flight, events, call.idle, until, call.total);
                Ok(source.conversation().await?)
            }
        }
    }
}

/// A message as it goes.
fn line(message: &Message) -> Bytes {
    Bytes::from(message.to_json())
}

/// Messages that came at once: one response, or the batch of MCP 2025-03-26 that holds it.
fn whole(mut messages: Vec<Message>, id: &Id) -> Result<Conversation, Fault> {
    let none = || Fault::Failure(Failure::Garbled("an answer to something else".into()));
    if messages.len() == 1
        && let Some(Message::Response(mut response)) = messages.pop()
    {
        let is_ours = response.id.as_ref() == Some(id);
        let is_nobodys = response.id.is_none() && response.outcome.is_err();
        if !is_ours && !is_nobodys {
            return Err(none());
        }
        response.id = Some(id.clone());
        return Ok(Conversation::Answer(response));
    }
    let is_ours = |message: &Message| matches!(message, Message::Response(response) if response.id.as_ref() == Some(id));
    let at = messages.iter().position(is_ours).ok_or_else(none)?;
    let (to, from) = mpsc::channel(messages.len());
    let last = messages.remove(at);
    for message in messages.into_iter().chain([last]) {
        let heard = match message {
            Message::Request(request) => Heard::Request(request),
            Message::Notification(notification) => Heard::Notification(notification),
            Message::Response(response) if response.id.as_ref() == Some(id) => {
                Heard::Response(response)
            }
            Message::Response(_) => continue,
        };
        drop(to.try_send(heard));
    }
    Ok(Conversation::Stream(from))
}

/// A request under way. Dropped while it is, it is cancelled: by a notification where there are
/// sessions; where there are none, the connection that is closed says it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) core: Arc<Core>,
    pub(super) state: Arc<State>,
    pub(super) id: Id,
    pub(super) is_open: bool,
    /// Of a call. Streams that belong to none are as many as sessions are.
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.is_open || self.state.is_modern() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let params = raw(&serde_json::json!({"requestId": self.id, "reason": "cancelled"}));
        let method = "notifications/cancelled".into();
        let notification = Notification { method, params: Some(params) };
        let (core, state) = (Arc::clone(&self.core), Arc::clone(&self.state));
        drop(runtime.spawn(async move {
            drop(core.deliver(&state, &Message::Notification(notification)).await);
        }));
    }
}

/// A conversation by Streamable HTTP.
#[derive(Clone, Debug)]
pub(super) struct HttpPeer(pub(super) Arc<Core>, Arc<Aside>);

impl HttpPeer {
    /// Begins a conversation, or goes on with one. `OtherEra`: it does not speak Streamable HTTP.
    pub(super) async fn begin(core: Arc<Core>, ticket: Option<&Ticket>) -> Result<Self, Fault> {
        let state = match ticket.and_then(begin::resumed) {
            Some(state) => state,
            None => begin::begin(&core).await?,
        };
        core.set(state);
        Ok(Self(core, Arc::default()))
    }

    async fn converse(&self, call: Outgoing, is_idempotent: bool) -> Result<Conversation, Failure> {
        let permits = Arc::clone(&self.0.site.permits);
        let permit = Arc::new(permits.try_acquire_owned().map_err(|_| Failure::Busy)?);
        let until = Instant::now() + call.total;
        let mut state = self.0.state();
        let mut is_again = false;
        loop {
            let fault = match self.0.once(&state, &call, until, &permit).await {
                Ok(conversation) => return Ok(conversation),
                Err(fault) => fault,
            };
            match fault {
                // The server did not look at the request: it may go again, whatever it does.
                Fault::NoSession(_) | Fault::OtherEra(_) if !is_again => {
                    if matches!(fault, Fault::OtherEra(_)) {
                        self.0.site.forget_era();
                    }
                    let renewed = timeout_at(until, self.0.renew(&state)).await;
                    state = renewed.unwrap_or(Err(Failure::TimedOut(call.total)))?;
                }
                Fault::SameEra(_) if !is_again => {}
                Fault::Failure(Failure::Broken(_)) if is_idempotent && !is_again => {}
                fault => return Err(fault.into_failure()),
            }
            is_again = true;
        }
    }

    /// A call that hears the stream of its session too.
    async fn converse_beside(
        &self,
        call: Outgoing,
        is_idempotent: bool,
    ) -> Result<Conversation, Failure> {
        let (to, from) = mpsc::channel(MAX_WAITING);
        let Some(place) = self.1.join(&self.0, &call.request.id, &to).await else {
            return self.converse(call, is_idempotent).await;
        };
        let peer = self.clone();
        drop(tokio::spawn(async move {
            let _place = place;
            let done = tokio::select! {
                biased;
                // Dropped, it is cancelled.
                () = to.closed() => return,
                done = peer.converse(call, is_idempotent) => done,
            };
            let mut heard = match done {
                Ok(Conversation::Answer(response)) => {
                    return drop(to.send(Heard::Response(response)).await);
                }
                Err(failure) => {
                    peer.0.site.counters.failed(&failure);
                    return drop(to.send(Heard::Failed(failure)).await);
                }
                Ok(Conversation::Stream(heard)) => heard,
            };
            loop {
                let next = tokio::select! {
                    () = to.closed() => return,
                    next = heard.recv() => next,
                };
                let Some(next) = next else { return };
                if to.send(next).await.is_err() {
                    return;
                }
            }
        }));
        Ok(Conversation::Stream(from))
    }

    async fn stream(&self, params: Option<Raw>) -> Result<Option<mpsc::Receiver<Heard>>, Failure> {
        let state = self.0.state();
        if !state.is_modern() {
            return self.1.listen(&self.0).await;
        }
        let flight = Flight {
            core: Arc::clone(&self.0),
            state: Arc::clone(&state),
            id: Id::Text(format!("listen-{}", self.0.site.number()).into()),
            is_open: false,
            _permit: None,
        };
        let params = enveloped(params.as_ref(), state.about.revision, &self.0.client);
        let method = "subscriptions/listen".into();
        let request = Request { id: flight.id.clone(), method, params: Some(params) };
        let mut headers = HeaderMap::new();
        mirror(&mut headers, &request, &[]);
        let body = line(&Message::Request(request));
        let (parts, body) = self.0.send(Method::POST, Some(&state), headers, body).await?;
        match answer::read(self.0.server(), Some(&state), &parts, body).await {
            Ok(Answer::Stream(events)) => Ok(Some(Source::unasked(flight, events).listened())),
            // It was answered at once: there is nothing to listen to.
            Ok(Answer::Whole(_)) => Ok(None),
            Err(fault) => Err(fault.into_failure()),
        }
    }
}

impl Peer for HttpPeer {
    fn about(&self) -> Arc<About> {
        Arc::clone(&self.0.state().about)
    }

    fn call(&self, call: Outgoing, is_idempotent: bool) -> Task<'_, Result<Conversation, Failure>> {
        Box::pin(async move {
            self.0.site.counters.calls.fetch_add(1, Relaxed);
            let call = self.0.site.bounded(call);
            let done = match call.hears_beside && !self.0.state().is_modern() {
                true => self.converse_beside(call, is_idempotent).await,
                false => self.converse(call, is_idempotent).await,
            };
            self.0.site.count(&done);
            done
        })
    }

    fn tell(&self, notification: Notification) -> Task<'_, Result<(), Failure>> {
        Box::pin(async move {
            let state = self.0.state();
            let is_legacy_only = matches!(
                &*notification.method,
                "notifications/initialized"
                    | "notifications/cancelled"
                    | "notifications/roots/list_changed"
            );
            if state.is_modern() && is_legacy_only {
                return Ok(());
            }
            self.0.deliver(&state, &Message::Notification(notification)).await
        })
    }

    fn reply(&self, response: Response) -> Task<'_, Result<(), Failure>> {
        Box::pin(async move {
            let state = self.0.state();
            if state.is_modern() {
                return Err(Failure::Garbled("this revision has no requests of servers".into()));
            }
            self.0.deliver(&state, &Message::Response(response)).await
        })
    }

    fn listen(
        &self,
        params: Option<Raw>,
    ) -> Task<'_, Result<Option<mpsc::Receiver<Heard>>, Failure>> {
        Box::pin(self.stream(params))
    }

    fn ticket(&self) -> Option<Ticket> {
        let state = self.0.state();
        let session = state.session.as_ref().map(|session| session.to_str().map(str::to_owned));
        let session = session.transpose().ok()?;
        Some(Ticket { revision: state.about.revision.as_str().to_owned(), session })
    }

    fn close(&self) -> Task<'_, ()> {
        Box::pin(async move {
            let state = self.0.state();
            if state.session.is_some() {
                let sent =
                    self.0.send(Method::DELETE, Some(&state), HeaderMap::new(), Bytes::new());
                drop(tokio::time::timeout(TELL, sent).await);
            }
        })
    }
}
