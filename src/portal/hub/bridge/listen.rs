//! What servers say unasked: the GET stream of sessions, `resources/subscribe`, and
//! `subscriptions/listen` (MCP 2026-07-28).

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::{Map, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::can_ask;
use super::resolve::unknown;
use crate::mcp::methods::Revision;
use crate::portal::Body;
use crate::portal::guard::Part;
use crate::portal::hub::catalogue::aside;
use crate::portal::hub::parts::{Kind, Listed, Mark, Refusal, Verdict, failed};
use crate::portal::hub::session::Asker;
use crate::portal::hub::stream::{EventId, driven, event};
use crate::portal::hub::{Context, Hub, Reply, Session};
use crate::portal::upstream::{Failure, Heard, Peer};
use crate::portal::wire::{
    Message, Notification, Raw, Request, RpcError, code, member, object, raw, text,
};

/// Before a server that ended its stream is listened to again.
const PAUSE: Duration = Duration::from_secs(5);
/// Resources that one client can subscribe to at a time.
const MAX_SUBSCRIPTIONS: usize = 1_000;
/// Servers are waited for so long before a client is told that it is listened for.
const OPENING: Duration = Duration::from_secs(5);
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a client wants to hear of.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wanted {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tools_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prompts_list_changed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    resources_list_changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_subscriptions: Vec<Box<str>>,
}

impl Wanted {
    fn wants(&self, notification: &Notification) -> bool {
        match &*notification.method {
            "notifications/tools/list_changed" => self.tools_list_changed,
            "notifications/prompts/list_changed" => self.prompts_list_changed,
            "notifications/resources/list_changed" => self.resources_list_changed,
            "notifications/resources/updated" => {
                let uri = text(notification.params.as_deref(), "uri");
                uri.is_some_and(|uri| self.resource_subscriptions.contains(&uri))
            }
            _ => false,
        }
    }
}

/// What inspection makes of something that belongs to no call.
fn inspected(
    ctx: &Context,
    server: &Arc<str>,
    method: &str,
    part: Part<'_>,
) -> Result<Option<Raw>, Refusal> {
    let call = aside(ctx, server, method);
    match ctx.view.parts.inspect.heard(&call, part).verdict {
        Verdict::Pass => Ok(None),
        Verdict::Changed(raw) => Ok(Some(raw)),
        Verdict::Blocked(refusal) => Err(refusal),
    }
}

/// Whether somebody may read a resource, and so hear of its changes.
fn may_read(ctx: &Context, server: &Arc<str>, uri: &str, mark: Option<Mark>) -> bool {
    let mark = mark.unwrap_or_default();
    let listed = Listed { name: uri, mark: &mark };
    let rulings = &ctx.view.parts.rulings;
    rulings.list(&ctx.principal, server, Kind::Resource, &[listed]) == [true]
}

impl Hub {
    /// Lists of a server are fetched again when they are asked for.
    pub(super) fn forget(&self, ctx: &Context, server: &Arc<str>) {
        let resource = ctx.view.parts.peers.resource(server);
        self.catalogue.forget(&ctx.principal.at(server, &resource));
    }

    /// The body of a GET of a session: a stream that broke off from where it did, or what belongs
    /// to no call. `None` if there is no such stream in this session.
    pub fn events(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        session: &Arc<Session>,
        last: Option<&str>,
    ) -> Option<Body> {
        if let Some(last) = last {
            let last = EventId::parse(last)?;
            return match session.find_stream(last.stream) {
                Some(stream) => Some(stream.read(last.event + 1)),
                // Another replica has it, or nobody any more: nothing can be given again.
                None => Some(session.general().read(0)),
            };
        }
        let stream = session.general();
        if session.revision >= Revision::V2025_11_25 {
            stream.prime();
        }
        self.listen_for_session(ctx, session);
        Some(stream.read(0))
    }

    /// Listens to all servers for a session, once.
    pub fn listen_for_session(self: &Arc<Self>, ctx: &Arc<Context>, session: &Arc<Session>) {
        let mut inner = session.inner();
        if inner.listeners.is_some() {
            return;
        }
        let mut tasks = JoinSet::new();
        for server in &ctx.route.servers {
            if !ctx.view.parts.rulings.sees(&ctx.principal, &server.id) {
                continue;
            }
            let (hub, weak) = (Arc::clone(self), Arc::downgrade(session));
            // The session must not be kept by what it owns.
            let ctx = Arc::new(Context { session: None, ..(**ctx).clone() });
            tasks.spawn(hub.pump(ctx, weak, Arc::clone(&server.id)));
        }
        inner.listeners = Some(tasks);
    }

    async fn pump(self: Arc<Self>, ctx: Arc<Context>, session: Weak<Session>, server: Arc<str>) {
        loop {
            let Some(live) = session.upgrade() else { return };
            let own = Context { session: Some(live), ..(*ctx).clone() };
            let peer = self.peer(&own, &server).await;
            drop(own);
            if let Ok(peer) = peer {
                let wanted = json!({"notifications": {"toolsListChanged": true,
                    "promptsListChanged": true, "resourcesListChanged": true}});
                let is_modern = peer.about().revision >= Revision::V2026_07_28;
                match peer.listen(is_modern.then(|| raw(&wanted))).await {
                    Ok(None) => return,
                    Ok(Some(mut heard)) => {
                        while let Some(next) = heard.recv().await {
                            let Some(session) = session.upgrade() else { return };
                            self.heard_aside(&ctx, &session, &server, &peer, next).await;
                        }
                    }
                    Err(_) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Something that belongs to no call, for the stream of the session that has the conversation.
    async fn heard_aside(
        &self,
        ctx: &Context,
        session: &Session,
        server: &Arc<str>,
        peer: &Arc<dyn Peer>,
        heard: Heard,
    ) {
        match heard {
            Heard::Notification(notification) => {
                if notification.method.ends_with("/list_changed") {
                    self.forget(ctx, server);
                }
                if &*notification.method == ACKNOWLEDGED {
                    return;
                }
                let Notification { method, params } = notification;
                let part = Part::Notification(&method, params.as_deref());
                // One notification less is no harm.
                let Ok(changed) = inspected(ctx, server, &method, part) else { return };
                let params = changed.or(params);
                let notification = Notification { method, params };
                session.general().push_now(&Message::Notification(notification));
            }
            Heard::Request(request) => {
                let part = Part::Request(&request.method, request.params.as_deref());
                let passed = inspected(ctx, server, &request.method, part).ok();
                let call = Arc::new(aside(ctx, server, &request.method));
                let asker = Asker::Server(Arc::clone(peer), request.id.clone(), Some(call));
                let is_able = passed.is_some() && can_ask(&ctx.client, &request.method);
                match is_able.then(|| session.ask(asker)).flatten() {
                    Some(id) => {
                        let params = passed.flatten().or(request.params);
                        let request = Request { id, params, ..request };
                        session.general().push_now(&Message::Request(request));
                    }
                    None => super::refuse(peer, request).await,
                }
            }
            Heard::Response(_) | Heard::Failed(_) => {}
        }
    }

    /// `resources/subscribe` and `resources/unsubscribe`.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        request: &Request,
    ) -> Result<Raw, RpcError> {
        let missing = || RpcError::new(code::INVALID_PARAMS, "`uri` is missing");
        let uri = text(request.params.as_deref(), "uri").ok_or_else(missing)?;
        let (server, mark) = self.owner_of(ctx, &uri).await?;
        let told = |failure| crate::portal::upstream::told(&failure, &server);
        let peer = self.peer(ctx, &server).await.map_err(told)?;
        if let Some(session) = &ctx.session {
            self.listen_for_session(ctx, session);
        }
        if peer.about().revision < Revision::V2026_07_28 {
            // The same checks as for reading it.
            return match self.routed(Arc::clone(ctx), request.clone()).await {
                Reply::Response(response) => response.outcome,
                Reply::Events(_) => Ok(raw(&Map::new())),
            };
        }
        if !may_read(ctx, &server, &uri, mark) {
            return Err(unknown(Kind::Resource, &uri));
        }
        let Some(session) = &ctx.session else { return Ok(raw(&Map::new())) };
        let is_wanted = &*request.method == "resources/subscribe";
        let mut listened = None;
        if is_wanted {
            let wanted = raw(&json!({"notifications": {"resourceSubscriptions": [uri]}}));
            listened = peer.listen(Some(wanted)).await.map_err(told)?;
            if let Some(heard) = &mut listened {
                acknowledged(heard).await;
            }
        }
        let mut inner = session.inner();
        if let Some(old) = inner.subscriptions.remove(&uri) {
            old.abort();
        }
        if let Some(mut heard) = listened {
            if inner.subscriptions.len() >= MAX_SUBSCRIPTIONS {
                return Err(RpcError::new(code::REFUSED, "too many subscriptions"));
            }
            let weak = Arc::downgrade(session);
            let listening = async move {
                while let Some(next) = heard.recv().await {
                    let Heard::Notification(notification) = next else { continue };
                    let Some(session) = weak.upgrade() else { return };
                    if &*notification.method == "notifications/resources/updated" {
                        session.general().push_now(&Message::Notification(notification));
                    }
                }
            };
            if let Some(tasks) = &mut inner.listeners {
                let handle = tasks.spawn(listening);
                inner.subscriptions.insert(uri, handle);
            }
        }
        Ok(raw(&Map::new()))
    }

    /// `subscriptions/listen`.
    pub(super) fn listen_for_client(
        self: &Arc<Self>,
        ctx: Arc<Context>,
        request: Request,
    ) -> Reply {
        let wanted: Wanted = member(request.params.as_deref(), "notifications").unwrap_or_default();
        if wanted.resource_subscriptions.len() > MAX_SUBSCRIPTIONS {
            let error = RpcError::new(code::INVALID_PARAMS, "too many subscriptions");
            return Reply::Response(failed(&request.id, error));
        }
        let hub = Arc::clone(self);
        Reply::Events(driven(|to| async move {
            let subscription = raw(&request.id);
            let tagged = |notification: Notification| {
                let meta: Option<Raw> = member(notification.params.as_deref(), "_meta");
                let tag = vec![(SUBSCRIPTION, Some(subscription.clone()))];
                let meta = vec![("_meta", Some(object(meta.as_deref(), tag)))];
                let params = Some(object(notification.params.as_deref(), meta));
                event(&Message::Notification(Notification { params, ..notification }))
            };
            let acknowledged = Notification {
                method: ACKNOWLEDGED.into(),
                params: Some(raw(&json!({"notifications": wanted}))),
            };
            let (heard_to, mut heard) = mpsc::channel(32);
            let (ready, mut all_ready) = mpsc::channel(1);
            let mut tasks = JoinSet::new();
            for server in &ctx.route.servers {
                if ctx.view.parts.rulings.sees(&ctx.principal, &server.id) {
                    let (hub, ctx) = (Arc::clone(&hub), Arc::clone(&ctx));
                    let (server, wanted) = (Arc::clone(&server.id), wanted.clone());
                    let own = (heard_to.clone(), ready.clone());
                    tasks.spawn(hub.listen_to(ctx, server, wanted, own));
                }
            }
            drop(ready);
            // What happens behind this is heard: whoever is told so relies on it.
            drop(timeout(OPENING, all_ready.recv()).await);
            if to.send(tagged(acknowledged)).await.is_err() {
                return;
            }
            // It stays open although no server has anything to say: the client ends it.
            let _open = heard_to;
            while let Some(notification) = heard.recv().await {
                if to.send(tagged(notification)).await.is_err() {
                    return;
                }
            }
        }))
    }

    async fn listen_to(
        self: Arc<Self>,
        ctx: Arc<Context>,
        server: Arc<str>,
        mut wanted: Wanted,
        (to, ready): (mpsc::Sender<Notification>, mpsc::Sender<Infallible>),
    ) {
        let mut ready = Some(ready);
        let mut own = Vec::new();
        for uri in &wanted.resource_subscriptions {
            let Ok((owner, mark)) = self.owner_of(&ctx, uri).await else { continue };
            if owner == server && may_read(&ctx, &server, uri, mark) {
                own.push(uri.clone());
            }
        }
        wanted.resource_subscriptions = own;
        loop {
            if let Ok(peer) = self.peer(&ctx, &server).await {
                match self.opened(&ctx, &peer, &wanted).await {
                    Ok(None) => return,
                    Ok(Some(mut heard)) => {
                        ready = None;
                        while let Some(next) = heard.recv().await {
                            let notification = match next {
                                Heard::Notification(notification) => notification,
                                Heard::Request(request) => {
                                    super::refuse(&peer, request).await;
                                    continue;
                                }
                                Heard::Response(_) | Heard::Failed(_) => continue,
                            };
                            if notification.method.ends_with("/list_changed") {
                                self.forget(&ctx, &server);
                            }
                            if wanted.wants(&notification) && to.send(notification).await.is_err() {
                                return;
                            }
                        }
                    }
                    Err(_) => {}
                }
            }
            drop(ready.take());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Listens to a server, with subscriptions as its revision has them. `None`: it says nothing.
    async fn opened(
        &self,
        ctx: &Arc<Context>,
        peer: &Arc<dyn Peer>,
        wanted: &Wanted,
    ) -> Result<Option<mpsc::Receiver<Heard>>, Failure> {
        let is_modern = peer.about().revision >= Revision::V2026_07_28;
        let params = is_modern.then(|| raw(&json!({"notifications": wanted})));
        let Some(mut heard) = peer.listen(params).await? else { return Ok(None) };
        if is_modern {
            acknowledged(&mut heard).await;
            return Ok(Some(heard));
        }
        for uri in &wanted.resource_subscriptions {
            let params = Some(raw(&json!({"uri": uri})));
            let call = self.outgoing(ctx, self.next_id(), "resources/subscribe", params);
            // A server without subscriptions has nothing to say.
            drop(super::whole_response(peer, call).await);
        }
        Ok(Some(heard))
    }
}

/// Waits for the first that is heard: it says that the server listens (MCP 2026-07-28,
/// "Subscriptions"). One that begins with something else loses that.
async fn acknowledged(heard: &mut mpsc::Receiver<Heard>) {
    drop(timeout(OPENING, heard.recv()).await);
}
