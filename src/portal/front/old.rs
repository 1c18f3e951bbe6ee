//! HTTP+SSE (MCP 2024-11-05): a stream by GET `/sse`, messages by POST `/messages`. A link is on
//! the replica that it was begun at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hyper::StatusCode;
use hyper::http::request::Parts;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::mcp::{context, malformed};
use super::{Arrived, Front, View, answers};
use crate::portal::Answer;
use crate::portal::hub::{Reply, Session, Stream};
use crate::portal::principal::Owner;
use crate::portal::radix::base64_url;
use crate::portal::wire::{Message, Response};

/// Links at a time.
const MAX_LINKS: usize = 10_000;

#[derive(Debug)]
struct Link {
    owner: Owner,
    stream: Arc<Stream>,
    session: OnceLock<Arc<Session>>,
}

/// Streams of clients, by their ids.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<HashMap<String, Arc<Link>>>);

impl Front {
    pub(super) fn old_get(
        self: &Arc<Self>,
        head: &Parts,
        arrived: &Arrived,
    ) -> Result<Answer, Answer> {
        if head.uri.path() != "/sse" {
            return Err(answers::not_allowed("POST"));
        }
        let lost = || answers::plain(StatusCode::SERVICE_UNAVAILABLE, "no room for another stream");
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id).map_err(|_| lost())?;
        let id = base64_url(&id);
        let stream = Stream::new(0);
        stream.push_other("endpoint", &format!("/messages?sessionId={id}"));
        let link = Arc::new(Link {
            owner: arrived.principal.owner.clone(),
            stream: Arc::clone(&stream),
            session: OnceLock::new(),
        });
        let body = stream.read(0);
        let mut links = self.links.0.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= MAX_LINKS {
            links.retain(|_, link| link.stream.is_read());
        }
        if links.len() >= MAX_LINKS {
            return Err(lost());
        }
        links.insert(id.clone(), Arc::clone(&link));
        drop(links);
        let front = Arc::clone(self);
        drop(tokio::spawn(async move { front.old_left(&id, &link).await }));
        Ok(answers::events(body))
    }

    /// A session of this transport is over when its stream is.
    async fn old_left(&self, id: &str, link: &Link) {
        link.stream.left().await;
        self.links.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let Some(session) = link.session.get() {
            self.hub.end(session).await;
        }
    }

    pub(super) async fn old_post(
        &self,
        view: &View,
        head: &Parts,
        body: &[u8],
        arrived: Arrived,
    ) -> Result<Answer, Answer> {
        let query = head.uri.query().unwrap_or_default();
        let id = query.split('&').find_map(|pair| pair.strip_prefix("sessionId="));
        let link = {
            let links = self.links.0.lock().unwrap_or_else(PoisonError::into_inner);
            id.and_then(|id| links.get(id)).cloned()
        };
        let link = link.filter(|link| link.owner == arrived.principal.owner);
        let none = || answers::plain(StatusCode::NOT_FOUND, "no such stream");
        let link = link.filter(|link| link.stream.is_read()).ok_or_else(none)?;
        let depth = view.settings.max_depth;
        let message = Message::parse(body, depth).map_err(|error| malformed(&error))?;
        let mut ctx = context(&arrived);
        ctx.request_bytes = body.len();
        if let Message::Request(request) = &message
            && &*request.method == "initialize"
        {
            let own = ctx.clone();
            let begun = self.hub.initialize(ctx, request.params.as_deref()).await;
            let mut session = None;
            let outcome = begun.map(|(result, _, begun)| {
                session = Some(begun);
                result
            });
            let response = Response { id: Some(request.id.clone()), outcome };
            link.stream.push(&Message::Response(response)).await;
            if let Some(session) = session {
                session.adopt(&link.stream);
                self.hub.listen_for_session(&Arc::new(own), &session);
                // A second one changes nothing.
                link.session.set(session).ok();
            }
            return Ok(answers::empty(StatusCode::ACCEPTED));
        }
        let Some(session) = link.session.get() else {
            return Err(answers::bad("initialize comes first"));
        };
        ctx.client = Arc::clone(&session.client);
        ctx.revision = session.revision;
        ctx.session = Some(Arc::clone(session));
        ctx.link = Some(Arc::clone(&link.stream));
        let ctx = Arc::new(ctx);
        match message {
            Message::Notification(notification) => {
                self.hub.notification(&ctx, notification).await;
            }
            Message::Response(response) => self.hub.reply(&ctx, response).await,
            Message::Request(request) => {
                if let Reply::Response(response) = self.hub.request(ctx, request).await {
                    link.stream.push(&Message::Response(response)).await;
                }
            }
        }
        Ok(answers::empty(StatusCode::ACCEPTED))
    }
}
