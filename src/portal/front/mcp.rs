//! Streamable HTTP.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use serde_json::value::RawValue;

use super::heads::{self, Era};
use super::{Arrived, Front, View, answers};
use crate::mcp::methods::Revision;
use crate::portal::Answer;
use crate::portal::hub::{Context, Reply, Session, client_side};
use crate::portal::upstream::ClientSide;
use crate::portal::wire::{self, Malformed, Message, Request, RpcError, code, raw};

pub(super) fn context(arrived: &Arrived) -> Context {
    Context {
        view: Arc::clone(&arrived.hub),
        route: Arc::clone(&arrived.route),
        principal: Arc::clone(&arrived.principal),
        client: Arc::new(ClientSide { info: None, capabilities: raw(&serde_json::Map::new()) }),
        origin: Arc::clone(&arrived.origin),
        revision: Revision::V2025_11_25,
        session: None,
        param_headers: Vec::new(),
        request_bytes: 0,
        link: None,
    }
}

/// A message that could not be read.
pub(super) fn malformed(malformed: &Malformed) -> Answer {
    let code = match malformed {
        Malformed::NotUtf8(_) | Malformed::NotJson(_) => code::PARSE,
        Malformed::NoMessage(_) => code::INVALID_REQUEST,
    };
    let error = RpcError::new(code, &malformed.to_string());
    answers::error(StatusCode::BAD_REQUEST, None, error)
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    let group = kind.split('/').next().unwrap_or_default();
    values.peek().is_none()
        || values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(
            |range| {
                let range = range.split(';').next().unwrap_or_default().trim();
                range.eq_ignore_ascii_case(kind)
                    || range == "*/*"
                    || range.strip_suffix("/*").is_some_and(|of| of.eq_ignore_ascii_case(group))
            },
        )
}

fn params_of(message: &Message) -> Option<&RawValue> {
    match message {
        Message::Request(request) => request.params.as_deref(),
        Message::Notification(notification) => notification.params.as_deref(),
        Message::Response(_) => None,
    }
}

impl Front {
    pub(super) async fn post(
        &self,
        view: &View,
        head: &Parts,
        body: &[u8],
        arrived: Arrived,
    ) -> Result<Answer, Answer> {
        let headers = &head.headers;
        let kind = heads::value(headers, "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let what = "Content-Type must be application/json";
            return Err(answers::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, what));
        }
        if !accepts(headers, "application/json") || !accepts(headers, "text/event-stream") {
            let what = "Accept must list application/json and text/event-stream";
            return Err(answers::plain(StatusCode::NOT_ACCEPTABLE, what));
        }
        if heads::repeated(headers) {
            let what = "an Mcp header came more than once";
            let error = RpcError::new(code::HEADER_MISMATCH, what);
            return Err(answers::error(StatusCode::BAD_REQUEST, None, error));
        }
        if body.trim_ascii_start().first() == Some(&b'[') {
            return self.batch(view, head, body, arrived).await;
        }
        let depth = view.settings.max_depth;
        let message = Message::parse(body, depth).map_err(|error| malformed(&error))?;
        let mut ctx = context(&arrived);
        ctx.request_bytes = body.len();
        match heads::era(headers, params_of(&message)) {
            Era::Stateless => self.stateless(headers, message, ctx).await,
            Era::Session if !view.settings.has_sessions => {
                let id = match message {
                    Message::Request(request) => Some(request.id),
                    _ => None,
                };
                let said = heads::value(headers, heads::VERSION).unwrap_or("none");
                let error = heads::unsupported(said);
                Err(answers::error(StatusCode::BAD_REQUEST, id, error))
            }
            Era::Session => self.with_session(headers, message, ctx).await,
        }
    }

    /// A client of 2026-07-28. What it sends of sessions and event ids is ignored.
    async fn stateless(
        &self,
        headers: &HeaderMap,
        message: Message,
        mut ctx: Context,
    ) -> Result<Answer, Answer> {
        let request = match message {
            Message::Request(request) => request,
            Message::Notification(_) => return Ok(answers::empty(StatusCode::ACCEPTED)),
            Message::Response(_) => {
                return Err(answers::bad("responses are not sent in this revision"));
            }
        };
        let wrong = |error: RpcError| {
            answers::error(StatusCode::BAD_REQUEST, Some(request.id.clone()), error)
        };
        let envelope =
            heads::mirror(headers, &request.method, request.params.as_deref()).map_err(wrong)?;
        ctx.revision = Revision::V2026_07_28;
        ctx.param_headers = heads::params(headers).map_err(wrong)?;
        let client = client_side(envelope.info, Some(envelope.capabilities)).map_err(wrong)?;
        ctx.client = Arc::new(client);
        Ok(match self.hub.request(Arc::new(ctx), request).await {
            Reply::Events(body) => answers::events(body),
            Reply::Response(response) => {
                let error = response.outcome.as_ref().err();
                let status = error.map_or(StatusCode::OK, |error| answers::status_of(error.code));
                answers::message(status, &Message::Response(response))
            }
        })
    }

    /// A client of 2025-03-26 to 2025-11-25.
    async fn with_session(
        &self,
        headers: &HeaderMap,
        message: Message,
        mut ctx: Context,
    ) -> Result<Answer, Answer> {
        if let Message::Request(request) = &message
            && &*request.method == "initialize"
        {
            return Ok(self.initialize(request, ctx).await);
        }
        let session = self.session_of(headers, &ctx)?;
        ctx.client = Arc::clone(&session.client);
        ctx.revision = session.revision;
        ctx.session = Some(session);
        ctx.param_headers = heads::params(headers).unwrap_or_default();
        let ctx = Arc::new(ctx);
        Ok(match message {
            Message::Request(request) => match self.hub.request(ctx, request).await {
                Reply::Events(body) => answers::events(body),
                Reply::Response(response) => {
                    answers::message(StatusCode::OK, &Message::Response(response))
                }
            },
            Message::Notification(notification) => {
                self.hub.notification(&ctx, notification).await;
                answers::empty(StatusCode::ACCEPTED)
            }
            Message::Response(response) => {
                self.hub.reply(&ctx, response).await;
                answers::empty(StatusCode::ACCEPTED)
            }
        })
    }

    async fn initialize(&self, request: &Request, ctx: Context) -> Answer {
        let id = Some(request.id.clone());
        match self.hub.initialize(ctx, request.params.as_deref()).await {
            Err(error) => answers::error(StatusCode::OK, id, error),
            Ok((result, token, _)) => {
                let response = wire::Response { id, outcome: Ok(result) };
                let mut answer = answers::message(StatusCode::OK, &Message::Response(response));
                if let Ok(token) = HeaderValue::from_str(&token) {
                    let name = HeaderName::from_static(heads::SESSION);
                    answer.headers_mut().insert(name, token);
                }
                answer
            }
        }
    }

    /// The session that a request names, if it is the caller's and of this route.
    fn session_of(&self, headers: &HeaderMap, ctx: &Context) -> Result<Arc<Session>, Answer> {
        if let Some(said) = heads::value(headers, heads::VERSION)
            && !Revision::ALL.iter().any(|of| of.as_str() == said)
        {
            let error = heads::unsupported(said);
            return Err(answers::error(StatusCode::BAD_REQUEST, None, error));
        }
        let Some(token) = heads::value(headers, heads::SESSION) else {
            return Err(answers::bad("Mcp-Session-Id is missing"));
        };
        let session = self.hub.session(&ctx.principal, token);
        session.filter(|session| session.route == ctx.route.name).ok_or_else(|| {
            let error = RpcError::new(code::INVALID_REQUEST, "Session not found");
            answers::error(StatusCode::NOT_FOUND, None, error)
        })
    }

    /// A batch (2025-03-26 only): each message is decided on by itself.
    async fn batch(
        &self,
        view: &View,
        head: &Parts,
        body: &[u8],
        arrived: Arrived,
    ) -> Result<Answer, Answer> {
        let text = wire::check(body, view.settings.max_depth).map_err(|error| malformed(&error))?;
        let mut ctx = context(&arrived);
        ctx.request_bytes = body.len();
        let is_stateless = heads::era(&head.headers, None) == Era::Stateless;
        if is_stateless || !view.settings.has_sessions {
            return Err(answers::bad("batches are not taken in this revision"));
        }
        let session = self.session_of(&head.headers, &ctx)?;
        if session.revision != Revision::V2025_03_26 {
            return Err(answers::bad("batches are taken in revision 2025-03-26 only"));
        }
        let messages: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|_| answers::bad("no batch"))?;
        if messages.is_empty() || messages.len() > view.settings.max_batch {
            return Err(answers::bad("an empty batch, or one with too many messages"));
        }
        ctx.client = Arc::clone(&session.client);
        ctx.revision = session.revision;
        ctx.session = Some(session);
        let ctx = Arc::new(ctx);
        let mut responses = Vec::new();
        for message in messages {
            let message = Message::of_checked(message.get()).map_err(|error| malformed(&error))?;
            match message {
                Message::Notification(notification) => {
                    self.hub.notification(&ctx, notification).await;
                }
                Message::Response(response) => self.hub.reply(&ctx, response).await,
                Message::Request(request) => {
                    responses.push(self.whole(Arc::clone(&ctx), request).await);
                }
            }
        }
        if responses.is_empty() {
            return Ok(answers::empty(StatusCode::ACCEPTED));
        }
        let text: Vec<String> =
            responses.into_iter().map(|of| Message::Response(of).to_json()).collect();
        let text = format!("[{}]", text.join(","));
        Ok(answers::answer(StatusCode::OK, "application/json", text))
    }

    /// The response to a request of a batch. What would be a stream goes by the GET stream.
    async fn whole(&self, ctx: Arc<Context>, request: Request) -> wire::Response {
        let id = Some(request.id.clone());
        if &*request.method == "initialize" {
            let error = RpcError::new(code::INVALID_REQUEST, "initialize is not sent in a batch");
            return wire::Response { id, outcome: Err(error) };
        }
        let mut settings = ctx.view.settings.clone();
        settings.stream_after = settings.call_total;
        let view = crate::portal::hub::View { settings, parts: ctx.view.parts.clone() };
        let ctx = Context { view: Arc::new(view), ..(*ctx).clone() };
        match self.hub.request(Arc::new(ctx), request).await {
            Reply::Response(response) => response,
            Reply::Events(_) => {
                let what = "this call needs a stream: send it by itself";
                wire::Response { id, outcome: Err(RpcError::new(code::INTERNAL, what)) }
            }
        }
    }

    pub(super) fn get(
        &self,
        view: &View,
        head: &Parts,
        arrived: Arrived,
    ) -> Result<Answer, Answer> {
        let headers = &head.headers;
        if !view.settings.has_sessions || heads::era(headers, None) == Era::Stateless {
            return Err(answers::not_allowed("POST"));
        }
        if heads::repeated(headers) {
            return Err(answers::bad("an Mcp header came more than once"));
        }
        if !headers.contains_key(header::ACCEPT) || !accepts(headers, "text/event-stream") {
            let what = "Accept must list text/event-stream";
            return Err(answers::plain(StatusCode::NOT_ACCEPTABLE, what));
        }
        let mut ctx = context(&arrived);
        let session = self.session_of(headers, &ctx)?;
        ctx.client = Arc::clone(&session.client);
        ctx.revision = session.revision;
        ctx.session = Some(Arc::clone(&session));
        let last = heads::value(headers, "last-event-id");
        let body = self.hub.events(&Arc::new(ctx), &session, last);
        let body = body.ok_or_else(|| answers::bad("Last-Event-ID is none of this portal"))?;
        Ok(answers::events(body))
    }

    pub(super) async fn delete(
        &self,
        view: &View,
        head: &Parts,
        arrived: Arrived,
    ) -> Result<Answer, Answer> {
        let headers = &head.headers;
        if !view.settings.has_sessions || heads::era(headers, None) == Era::Stateless {
            return Err(answers::not_allowed("POST"));
        }
        let session = self.session_of(headers, &context(&arrived))?;
        self.hub.end(&session).await;
        Ok(answers::empty(StatusCode::OK))
    }
}
