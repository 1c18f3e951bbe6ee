//! One call, from the request to its end.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc, oneshot};

use super::resolve::{Target, unknown};
use crate::mcp::methods::Revision;
use crate::portal::guard::Part;
use crate::portal::hub::catalogue::{aside, mirrored};
use crate::portal::hub::clock::Instant;
use crate::portal::hub::parts::{
    Allowed, Call, Ending, Entry, Kind, Permit, Refusal, Ruling, Verdict, failed,
};
use crate::portal::hub::session::{Asker, random_id};
use crate::portal::hub::state::{self, State};
use crate::portal::hub::stream::{driven, event};
use crate::portal::hub::{Context, Hub, Reply};
use crate::portal::upstream::{Conversation, Failure, Heard, Outgoing, Peer, told};
use crate::portal::wire::{
    Id, Members, Message, Notification, Raw, Request, Response, RpcError, code, held, member,
    object, raw, text,
};

const PROTOCOL: &str = "io.modelcontextprotocol/protocolVersion";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Rounds of input for one call.
const MAX_ROUNDS: u32 = 32;
/// Things asked in one round.
const MAX_INPUTS: usize = 16;
/// For more requests of a server that asks one, before its client is asked.
const GATHER: std::time::Duration = std::time::Duration::from_millis(10);

/// Makes the record of a call when it ends, however it ends.
struct Ledger {
    ctx: Arc<Context>,
    entry: Option<Entry>,
    began: Instant,
    sent: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Ledger {
    fn new(ctx: &Arc<Context>, call: &Arc<Call>, id: &Id, ending: Ending) -> Self {
        let entry = Entry {
            call: Arc::clone(call),
            allowed: Allowed::default(),
            found: Vec::new(),
            rules: Vec::new(),
            id: raw(id).get().into(),
            server_revision: None,
            trace: None,
            ending,
            total: std::time::Duration::ZERO,
            upstream: None,
            first_byte: None,
            response_bytes: 0,
        };
        Self {
            ctx: Arc::clone(ctx),
            entry: Some(entry),
            began: Instant::now(),
            sent: None,
            first: None,
            last: None,
        }
    }

    /// The server gave a sign.
    fn heard(&mut self) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    fn ended(&mut self, ending: Ending, bytes: usize) {
        if let Some(entry) = &mut self.entry {
            entry.ending = ending;
            entry.response_bytes = bytes;
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.total = self.began.elapsed();
            let until = |end: Option<Instant>| {
                let sent = self.sent?;
                Some(end.map_or_else(|| sent.elapsed(), |end| end.duration_since(sent)))
            };
            entry.upstream = until(self.last);
            entry.first_byte = self.first.and_then(|first| until(Some(first)));
            self.ctx.view.parts.record.record(entry);
        }
    }
}

enum Stage {
    /// To be sent.
    Begin(Box<Outgoing>),
    /// Under way.
    Hearing(mpsc::Receiver<Heard>),
    /// The client is asked for what the server wants to know.
    Asking {
        answers: Vec<(Box<str>, oneshot::Receiver<Response>)>,
        state: Option<Raw>,
    },
    Over,
}

/// What comes of a turn next.
enum Next {
    /// For the client, and more will come.
    Message(Message),
    /// The last.
    Last(Response),
    /// The client is to be asked: what, by which key, and the server's id of it.
    Input(Vec<(String, Request)>),
    /// Nothing any more: the client did not want it.
    Cancelled,
}

/// One call. Dropped, it is cancelled at the server.
pub(super) struct Turn {
    hub: Arc<Hub>,
    ctx: Arc<Context>,
    peer: Arc<dyn Peer>,
    call: Arc<Call>,
    /// The client's id for it.
    id: Id,
    /// As they go to the server, without what is added when the call is made again.
    params: Option<Raw>,
    /// The client's progress token.
    progress: Option<Raw>,
    stage: Stage,
    /// Heard already, behind what the client is asked.
    held: Option<Heard>,
    queue: VecDeque<Message>,
    /// `Mcp-Param-*` headers, as they go to the server.
    param_headers: Vec<(Box<str>, Box<str>)>,
    rounds: u32,
    /// Bytes of all that the server said.
    heard_bytes: usize,
    stop: Arc<Notify>,
    ledger: Ledger,
    _permit: Permit,
}

/// A call that waits for input.
pub(in crate::portal::hub) struct Waiter {
    turn: Turn,
    /// By key: the server's id.
    asked: Vec<(String, Id)>,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiter").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Turn {
    /// Decides whether a call may be made.
    pub(super) async fn begin(
        hub: &Arc<Hub>,
        ctx: &Arc<Context>,
        request: Request,
        target: Target,
    ) -> Result<Self, RpcError> {
        let Request { id, method, params } = request;
        let call = Arc::new(Call {
            principal: Arc::clone(&ctx.principal),
            client: Arc::clone(&ctx.client),
            from: Arc::clone(&ctx.origin),
            session: ctx.session.as_ref().map(|session| Arc::clone(&session.id)),
            revision: ctx.revision,
            server: target.server,
            kind: target.kind,
            method,
            name: target.name,
            public: target.public,
            mark: target.mark,
            arguments: member(params.as_deref(), "arguments"),
            params,
            param_headers: ctx.param_headers.clone(),
            request_bytes: ctx.request_bytes,
        });
        let mut ledger = Ledger::new(ctx, &call, &id, Ending::Cancelled);
        let decided = decide(ctx, &call, &mut ledger).await;
        let Decided { permit, changed, param_headers } = match decided {
            Ok(decided) => decided,
            Err(refusal) => {
                let error = match refusal.is_hidden {
                    true => unknown(call.kind, &call.public),
                    false => refusal.to_error(),
                };
                ledger.ended(Ending::Refused(refusal), 0);
                return Err(error);
            }
        };
        let peer = match hub.peer(ctx, &call.server).await {
            Ok(peer) => peer,
            Err(failure) => {
                let error = told(&failure, &call.server);
                ledger.ended(Ending::Failed(error.message.clone()), 0);
                return Err(error);
            }
        };
        if let Some(entry) = &mut ledger.entry {
            entry.server_revision = Some(peer.about().revision);
        }
        // What inspection changed has the client's name for the thing.
        let params = match (changed, target.params) {
            (Some(changed), renamed) if renamed.is_some() || call.kind == Kind::Tool => {
                Some(rename(&changed, &call, renamed.as_deref()))
            }
            (Some(changed), _) => Some(changed),
            (None, Some(renamed)) => Some(renamed),
            (None, None) => call.params.clone(),
        };
        let sent = param_headers.unwrap_or_else(|| ctx.param_headers.clone());
        let arguments: Option<Raw> = member(params.as_deref(), "arguments");
        let mut turn = Self {
            hub: Arc::clone(hub),
            ctx: Arc::clone(ctx),
            peer,
            call,
            id,
            params,
            progress: None,
            stage: Stage::Over,
            held: None,
            queue: VecDeque::new(),
            param_headers: mirrored(&target.mirrors, sent, arguments.as_deref()),
            rounds: 0,
            heard_bytes: 0,
            stop: Arc::new(Notify::new()),
            ledger,
            _permit: permit,
        };
        turn.prepare().await;
        Ok(turn)
    }

    /// Fits the parameters to the server's revision, and makes the call ready to go.
    async fn prepare(&mut self) {
        let id = self.hub.next_id();
        if let Some((trace, changed)) = self.ctx.view.parts.record.trace(&self.call) {
            let params = self.params.as_deref();
            self.params = changed.map(|of| continued(params, &of)).or_else(|| self.params.take());
            if let Some(entry) = &mut self.ledger.entry {
                entry.trace = Some(trace);
            }
        }
        let bytes = self.params.as_ref().map_or(&b""[..], |params| params.get().as_bytes());
        let has = |name: &str| memchr::memmem::find(bytes, name.as_bytes()).is_some();
        let wants_level = self.server_is_modern() && !self.ctx.is_modern();
        let level = self.level();
        if has("progressToken") || (wants_level && level.is_some()) {
            let mut meta =
                Members::of_any(member::<Raw>(self.params.as_deref(), "_meta").as_deref());
            self.progress = meta.get("progressToken").map(ToOwned::to_owned);
            if self.progress.is_some() {
                meta.set("progressToken", raw(&id));
            }
            if let Some(level) = level.filter(|_| wants_level) {
                meta.set(LOG_LEVEL, raw(&level));
            }
            let changed = vec![("_meta", Some(meta.to_raw()))];
            self.params = Some(object(self.params.as_deref(), changed));
        } else if let Some(level) =
            level.filter(|_| !self.server_is_modern() && self.ctx.is_modern())
        {
            self.set_server_level(&level).await;
        }
        self.send_as(id, self.params.clone());
    }

    fn send_as(&mut self, id: Id, params: Option<Raw>) {
        let mut outgoing = self.hub.outgoing(&self.ctx, id, &self.call.method, params);
        outgoing.param_headers.clone_from(&self.param_headers);
        // A server with sessions may ask by the stream of the session, which this client has not.
        outgoing.hears_beside = self.ctx.session.is_none()
            && !self.server_is_modern()
            && super::routing(&self.call.method).is_some()
            && super::can_be_asked(&self.ctx.client);
        self.stage = Stage::Begin(Box::new(outgoing));
    }

    fn server_is_modern(&self) -> bool {
        self.peer.about().revision >= Revision::V2026_07_28
    }

    /// The level that the client wants messages of.
    fn level(&self) -> Option<Box<str>> {
        match &self.ctx.session {
            Some(session) => session.inner().level.clone(),
            None => {
                let bytes = self.params.as_ref()?.get().as_bytes();
                memchr::memmem::find(bytes, LOG_LEVEL.as_bytes())?;
                text(held(self.params.as_deref(), "_meta"), LOG_LEVEL)
            }
        }
    }

    async fn set_server_level(&self, level: &str) {
        if !crate::portal::hub::catalogue::offers(&self.peer, "logging") {
            return;
        }
        let owner = &self.ctx.principal.owner;
        let key = [&*owner.issuer, &owner.subject, &owner.client, &self.call.server].join("\0");
        {
            let mut levels =
                self.hub.levels.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if levels.len() > 10_000 {
                levels.clear();
            }
            let before = levels.insert(key.into(), level.into());
            if before.as_deref() == Some(level) {
                return;
            }
        }
        let params = Some(raw(&HashMap::from([("level", level)])));
        let id = self.hub.next_id();
        let outgoing = self.hub.outgoing(&self.ctx, id, "logging/setLevel", params);
        // A server without levels sends what it likes.
        drop(super::whole_response(&self.peer, outgoing).await);
    }

    /// Runs it: one response if it comes soon, else a stream.
    pub(super) async fn run(self) -> Reply {
        let wait = self.ctx.view.settings.stream_after;
        let ctx = Arc::clone(&self.ctx);
        let stop = Arc::clone(&self.stop);
        if let Some(session) = &ctx.session {
            session.inner().calls.insert(self.id.clone(), stop);
        }
        let mut first = Kept::new(&ctx, Box::pin(self.step()));
        // A client of HTTP+SSE gets everything by its stream.
        if ctx.link.is_none()
            && let Ok((turn, next)) = tokio::time::timeout(wait, &mut first).await
        {
            return match next {
                Next::Last(response) => Reply::Response(response),
                Next::Input(asked) => Reply::Response(turn.wait_for_input(asked)),
                next => Self::stream(&ctx, Kept::new(&ctx, Box::pin(async { (turn, next) }))),
            };
        }
        Self::stream(&ctx, first)
    }

    /// A stream of what comes. Clients with sessions may go away and come back, so a task writes
    /// theirs; with others it ends when they go.
    fn stream(ctx: &Arc<Context>, mut first: Kept) -> Reply {
        let Some(session) = &ctx.session else {
            return Reply::Events(driven(|to| async move {
                let Some(first) = first.take() else { return };
                let (mut turn, mut next) = first.await;
                loop {
                    let (message, is_last) = turn.message(next);
                    let Some((turn_left, message)) = message else { return };
                    if to.send(event(&message)).await.is_err() || is_last {
                        return;
                    }
                    let Some(left) = turn_left else { return };
                    (turn, next) = left.step().await;
                }
            }));
        };
        let stream = ctx.link.clone().unwrap_or_else(|| session.stream());
        if ctx.link.is_none() && ctx.revision >= Revision::V2025_11_25 {
            stream.prime();
        }
        let (to, is_link) = (Arc::clone(&stream), ctx.link.is_some());
        drop(tokio::spawn(async move {
            if let Some(first) = first.take() {
                let (mut turn, mut next) = first.await;
                loop {
                    let (message, is_last) = turn.message(next);
                    let Some((left, message)) = message else { break };
                    to.push(&message).await;
                    let Some(left) = left.filter(|_| !is_last) else { break };
                    (turn, next) = left.step().await;
                }
            }
            if !is_link {
                to.end();
            }
        }));
        if is_link {
            return Reply::Events(driven(|_| std::future::ready(())));
        }
        Reply::Events(stream.read(0))
    }

    /// The message that says it, and whether it is the last.
    fn message(self, next: Next) -> (Option<(Option<Self>, Message)>, bool) {
        match next {
            Next::Message(message) => (Some((Some(self), message)), false),
            Next::Last(response) => (Some((None, Message::Response(response))), true),
            Next::Input(asked) => {
                let response = self.wait_for_input(asked);
                (Some((None, Message::Response(response))), true)
            }
            Next::Cancelled => (None, true),
        }
    }

    /// The next thing for the client.
    async fn step(mut self) -> (Self, Next) {
        let stop = Arc::clone(&self.stop);
        let next = tokio::select! {
            biased;
            next = self.next() => next,
            () = stop.notified() => {
                self.stage = Stage::Over;
                Next::Cancelled
            }
        };
        if !matches!(next, Next::Message(_))
            && let Some(session) = &self.ctx.session
        {
            session.inner().calls.remove(&self.id);
        }
        (self, next)
    }

    async fn next(&mut self) -> Next {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Next::Message(message);
            }
            let next = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Begin(outgoing) => self.send(*outgoing).await,
                Stage::Hearing(mut heard) => {
                    let next = match self.held.take() {
                        Some(held) => Some(held),
                        None => heard.recv().await,
                    };
                    let broken = || Heard::Failed(Failure::Broken("the stream ended".into()));
                    self.stage = Stage::Hearing(heard);
                    self.heard(next.unwrap_or_else(broken)).await
                }
                Stage::Asking { answers, state } => self.answers(answers, state).await,
                Stage::Over => Some(self.failed(&Failure::Broken("it is over".into()))),
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    async fn send(&mut self, outgoing: Outgoing) -> Option<Next> {
        self.ledger.sent.get_or_insert_with(Instant::now);
        let is_idempotent = self.call.kind != Kind::Tool && self.call.kind != Kind::Method;
        match self.peer.call(outgoing, is_idempotent).await {
            Ok(Conversation::Answer(response)) => {
                self.ledger.heard();
                self.answered(response)
            }
            Ok(Conversation::Stream(heard)) => {
                self.stage = Stage::Hearing(heard);
                None
            }
            Err(failure) => Some(self.failed(&failure)),
        }
    }

    async fn heard(&mut self, heard: Heard) -> Option<Next> {
        self.ledger.heard();
        if !matches!(heard, Heard::Failed(_)) {
            self.heard_bytes = self.heard_bytes.saturating_add(bytes_of(&heard));
            if self.heard_bytes > self.ctx.view.settings.max_answer_bytes {
                let what = "refused: the answer is longer than it may be";
                return Some(self.refused(Refusal::new("response-bytes", what)));
            }
        }
        match heard {
            Heard::Response(response) => {
                self.stage = Stage::Over;
                self.answered(response)
            }
            Heard::Failed(failure) => Some(self.failed(&failure)),
            Heard::Notification(notification) => self.notified(notification),
            Heard::Request(request) => self.asked(request).await,
        }
    }

    fn failed(&mut self, failure: &Failure) -> Next {
        let error = told(failure, &self.call.server);
        self.ledger.ended(Ending::Failed(error.message.clone()), 0);
        Next::Last(failed(&self.id, error))
    }

    fn refused(&mut self, refusal: Refusal) -> Next {
        self.stage = Stage::Over;
        let error = refusal.to_error();
        self.ledger.ended(Ending::Refused(refusal), 0);
        Next::Last(failed(&self.id, error))
    }

    /// What inspection makes of a part; an error where it does not go on.
    fn inspect(&mut self, part: Part<'_>) -> Result<Option<Raw>, Refusal> {
        let inspected = self.ctx.view.parts.inspect.heard(&self.call, part);
        if let Some(entry) = &mut self.ledger.entry {
            entry.found.extend(inspected.found);
            entry.rules.extend(inspected.rules);
        }
        match inspected.verdict {
            Verdict::Pass => Ok(None),
            Verdict::Changed(raw) => Ok(Some(raw)),
            Verdict::Blocked(refusal) => Err(refusal),
        }
    }

    fn notified(&mut self, notification: Notification) -> Option<Next> {
        let Notification { method, params } = notification;
        if method.ends_with("/list_changed") {
            self.hub.forget(&self.ctx, &self.call.server);
        }
        let is_wanted = !self.ctx.is_modern()
            || match &*method {
                "notifications/message" => self.level().is_some(),
                "notifications/progress" => true,
                // Those go by subscriptions/listen only.
                _ => false,
            };
        if !is_wanted {
            return None;
        }
        let mut params = match self.inspect(Part::Notification(&method, params.as_deref())) {
            Ok(changed) => changed.or(params),
            // One notification less is no harm.
            Err(_) => return None,
        };
        if &*method == "notifications/cancelled" {
            // Of a request that the server made, under the id that the client knows.
            let session = self.ctx.session.as_ref()?;
            let id: Id = member(params.as_deref(), "requestId")?;
            let id = session.asked_as(&self.peer, &id)?;
            params = Some(object(params.as_deref(), vec![("requestId", Some(raw(&id)))]));
        }
        if &*method == "notifications/progress"
            && let Some(token) = &self.progress
        {
            let token = vec![("progressToken", Some(token.clone()))];
            params = Some(object(params.as_deref(), token));
        }
        Some(Next::Message(Message::Notification(Notification { method, params })))
    }

    /// The server asks something of the client.
    async fn asked(&mut self, request: Request) -> Option<Next> {
        if &*request.method == "ping" || !can(&self.ctx, &request.method) {
            super::refuse(&self.peer, request).await;
            return None;
        }
        let part = Part::Request(&request.method, request.params.as_deref());
        let request = match self.inspect(part) {
            Ok(None) => request,
            Ok(params) => Request { params, ..request },
            Err(_) => {
                super::refuse(&self.peer, request).await;
                return None;
            }
        };
        let Some(session) = self.ctx.session.clone() else {
            return Some(self.gather(request).await);
        };
        let call = Some(Arc::clone(&self.call));
        let asker = Asker::Server(Arc::clone(&self.peer), request.id.clone(), call);
        match session.ask(asker) {
            Some(id) => Some(Next::Message(Message::Request(Request { id, ..request }))),
            None => {
                super::refuse(&self.peer, request).await;
                None
            }
        }
    }

    /// What else the server asks at the same time.
    async fn gather(&mut self, first: Request) -> Next {
        let mut asked = vec![("input-1".to_owned(), first)];
        while asked.len() < MAX_INPUTS {
            let Stage::Hearing(heard) = &mut self.stage else { break };
            let Ok(Some(next)) = tokio::time::timeout(GATHER, heard.recv()).await else { break };
            match next {
                Heard::Request(request) if can(&self.ctx, &request.method) => {
                    asked.push((format!("input-{}", asked.len() + 1), request));
                }
                Heard::Request(request) => super::refuse(&self.peer, request).await,
                Heard::Notification(_) => {}
                // What was asked may be about another call of this conversation, which waits.
                Heard::Response(_) => {
                    self.held = Some(next);
                    break;
                }
                Heard::Failed(failure) => return self.failed(&failure),
            }
        }
        Next::Input(asked)
    }

    /// Keeps the call for its client, who is told what is wanted.
    fn wait_for_input(self, asked: Vec<(String, Request)>) -> Response {
        let id = self.id.clone();
        let lost = || RpcError::new(code::INTERNAL, "the portal cannot keep another call waiting");
        let (hub, ctx) = (Arc::clone(&self.hub), Arc::clone(&self.ctx));
        let settings = &ctx.view.settings;
        let params = self.call.params.as_deref();
        let bound = state::digest(&ctx.route.name, &self.call.method, params);
        let mut inputs = Members::default();
        for (key, request) in &asked {
            let method = vec![("method", Some(raw(&request.method)))];
            let params = request.params.clone().map(|params| ("params", Some(params)));
            inputs.set(key, object(None, method.into_iter().chain(params).collect()));
        }
        let asked = asked.into_iter().map(|(key, request)| (key, request.id)).collect();
        let sealed = random_id(&hub.ring).and_then(|waiting| {
            let state = State::Waiting(waiting.clone());
            let sealed = state::seal(&hub.ring, &ctx.principal.owner, &bound, state)?;
            Ok((waiting, sealed))
        });
        let Ok((waiting, sealed)) = sealed else { return failed(&id, lost()) };
        let waiter = Box::new(Waiter { turn: self, asked });
        let (life, max) = (settings.input_life, settings.max_waiting);
        if hub.waiting.put(waiting, waiter, life, max).is_err() {
            return failed(&id, lost());
        }
        let result = object(
            None,
            vec![
                ("resultType", Some(raw(&"input_required"))),
                ("inputRequests", Some(inputs.to_raw())),
                ("requestState", Some(raw(&sealed))),
            ],
        );
        Response { id: Some(id), outcome: Ok(result) }
    }

    /// The server's answer.
    fn answered(&mut self, response: Response) -> Option<Next> {
        let outcome = match response.outcome {
            Ok(result) => match self.inspect(Part::Result(&result)) {
                Ok(changed) => Ok(changed.unwrap_or(result)),
                Err(refusal) => return Some(self.refused(refusal)),
            },
            Err(error) => match self.inspect(Part::Error(&error)) {
                Ok(None) => Err(error),
                Ok(Some(changed)) => {
                    let garbled = |_| RpcError::new(error.code, "the server's error is withheld");
                    Err(serde_json::from_str(changed.get()).unwrap_or_else(garbled))
                }
                Err(refusal) => return Some(self.refused(refusal)),
            },
        };
        let result = match outcome {
            Ok(result) => result,
            Err(error) => {
                self.ledger.ended(Ending::Error(error.code), error.message.len());
                return Some(Next::Last(failed(&self.id, error)));
            }
        };
        let bytes = result.get().as_bytes();
        let wants_input = self.server_is_modern()
            && memchr::memmem::find(bytes, b"input_required").is_some()
            && text(Some(&result), "resultType").as_deref() == Some("input_required");
        if wants_input {
            return self.wants_input(result);
        }
        let is_error = memchr::memmem::find(bytes, b"\"isError\"").is_some()
            && member(Some(&result), "isError").unwrap_or(false);
        self.ledger.ended(Ending::Result(is_error), bytes.len());
        let result = match self.ctx.is_modern() {
            true => complete(result, &self.call.method),
            false => result,
        };
        Some(Next::Last(Response { id: Some(self.id.clone()), outcome: Ok(result) }))
    }

    /// A server without sessions wants input.
    fn wants_input(&mut self, result: Raw) -> Option<Next> {
        let state = text(Some(&result), "requestState");
        if self.ctx.is_modern() {
            let params = self.call.params.as_deref();
            let bound = state::digest(&self.ctx.route.name, &self.call.method, params);
            let owner = &self.ctx.principal.owner;
            let sealed = state.map(|state| {
                state::seal(&self.hub.ring, owner, &bound, State::Upstream(state.into()))
            });
            let result = match sealed {
                None => result,
                Some(Ok(sealed)) => {
                    object(Some(&result), vec![("requestState", Some(raw(&sealed)))])
                }
                Some(Err(_)) => {
                    return Some(self.failed(&Failure::Garbled("the state".into())));
                }
            };
            self.ledger.ended(Ending::InputRequired, result.get().len());
            return Some(Next::Last(Response { id: Some(self.id.clone()), outcome: Ok(result) }));
        }
        let inputs: Raw = member(Some(&result), "inputRequests").unwrap_or_else(|| raw(&()));
        self.rounds += 1;
        let inputs = Members::of_any(Some(&inputs));
        let Some(session) = self.ctx.session.clone().filter(|_| self.rounds <= MAX_ROUNDS) else {
            return Some(self.failed(&Failure::Garbled("it asks without an end".into())));
        };
        let mut answers = Vec::new();
        for (key, input) in inputs.iter().take(MAX_INPUTS) {
            let method = text(Some(input), "method").unwrap_or_default();
            let (to, answer) = oneshot::channel();
            let id = can(&self.ctx, &method).then(|| session.ask(Asker::Turn(to))).flatten();
            let Some(id) = id else {
                let what =
                    format!("{} needs {method}, which this client does not do", self.call.server);
                let error = RpcError::new(code::INTERNAL, &what);
                self.ledger.ended(Ending::Failed(error.message.clone()), 0);
                return Some(Next::Last(failed(&self.id, error)));
            };
            let params = member(Some(input), "params");
            self.queue.push_back(Message::Request(Request { id, method, params }));
            answers.push((key.into(), answer));
        }
        self.stage = Stage::Asking { answers, state: state.map(|state| raw(&state)) };
        None
    }

    /// Makes the call again with what the client said.
    async fn answers(
        &mut self,
        answers: Vec<(Box<str>, oneshot::Receiver<Response>)>,
        state: Option<Raw>,
    ) -> Option<Next> {
        let mut responses = Members::default();
        for (key, answer) in answers {
            let limit = self.ctx.view.settings.input_life;
            let answer = tokio::time::timeout(limit, answer).await;
            let Ok(Ok(Response { outcome: Ok(result), .. })) = answer else {
                let error = RpcError::new(code::INTERNAL, "the client did not give the input");
                self.ledger.ended(Ending::Cancelled, 0);
                return Some(Next::Last(failed(&self.id, error)));
            };
            match self.inspect(Part::Reply(&result)) {
                Ok(changed) => responses.set(&key, changed.unwrap_or(result)),
                Err(refusal) => return Some(self.refused(refusal)),
            }
        }
        let more = vec![("inputResponses", Some(responses.to_raw())), ("requestState", state)];
        let params = object(self.params.as_deref(), more);
        let id = self.hub.next_id();
        self.send_as(id, Some(params));
        None
    }
}

impl Hub {
    /// A call that is made again with its state: the one that waits here, or `None` for one that
    /// goes to the server with the server's own state.
    pub(super) async fn go_on(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        request: &mut Request,
        sealed: &str,
    ) -> Result<Option<Turn>, RpcError> {
        let wrong = |what: &str| RpcError::new(code::INVALID_PARAMS, what);
        let params = request.params.as_deref();
        let bound = state::digest(&ctx.route.name, &request.method, params);
        let (owner, life) = (&ctx.principal.owner, ctx.view.settings.input_life);
        let state = state::open(&self.ring, owner, &bound, sealed, life)
            .map_err(|_| wrong("Invalid or expired requestState"))?;
        let waiting = match state {
            State::Upstream(state) => {
                let changes = vec![("requestState", Some(raw(&state)))];
                request.params = Some(object(params, changes));
                return Ok(None);
            }
            State::Waiting(waiting) => waiting,
        };
        let lost = "the call does not wait here any more: make it again without requestState";
        let waiter = self.waiting.take(&waiting).ok_or_else(|| wrong(lost))?;
        let Waiter { mut turn, asked } = *waiter;
        let given: Option<Raw> = member(params, "inputResponses");
        let given = Members::of_any(given.as_deref());
        let missing: Vec<_> =
            asked.iter().filter(|(key, _)| given.get(key).is_none()).cloned().collect();
        for (key, id) in asked {
            let Some(result) = given.get(&key) else { continue };
            let outcome = match turn.inspect(Part::Reply(result)) {
                Ok(changed) => Ok(changed.unwrap_or_else(|| result.to_owned())),
                Err(refusal) => Err(refusal.to_error()),
            };
            let reply = turn.peer.reply(Response { id: Some(id), outcome }).await;
            if let Err(failure) = reply {
                return Err(told(&failure, &turn.call.server));
            }
        }
        if !missing.is_empty() {
            // They cannot be asked again under their old keys: the server is told.
            for (_, id) in missing {
                let outcome = Err(wrong("the client gave no answer"));
                drop(turn.peer.reply(Response { id: Some(id), outcome }).await);
            }
        }
        turn.id = request.id.clone();
        turn.ctx = Arc::clone(ctx);
        let meta: Option<Raw> = member(params, "_meta");
        turn.progress = member(meta.as_deref(), "progressToken");
        Ok(Some(turn))
    }
}

/// Whether the client says that it can do what a server asks.
fn can(ctx: &Context, method: &str) -> bool {
    super::can_ask(&ctx.client, method)
}

/// Makes the record of a request for something that is not there, or not for whoever asks.
pub(super) fn unresolved(ctx: &Arc<Context>, request: Request, error: &RpcError) {
    let Request { id, method, params } = request;
    let (kind, key) = super::routing(&method).unwrap_or((Kind::Method, "name"));
    let public = text(params.as_deref(), key).unwrap_or_default();
    let call = Arc::new(Call {
        name: public.clone(),
        public,
        kind,
        method,
        arguments: member(params.as_deref(), "arguments"),
        params,
        request_bytes: ctx.request_bytes,
        ..aside(ctx, &Arc::default(), "")
    });
    let refusal = Refusal { is_hidden: true, ..Refusal::new("unknown", &error.message) };
    let ending = match error.code {
        code::INTERNAL => Ending::Failed(error.message.clone()),
        _ => Ending::Refused(refusal),
    };
    drop(Ledger::new(ctx, &call, &id, ending));
}

/// What was decided about a call that goes on.
struct Decided {
    permit: Permit,
    /// Parameters in place of the client's.
    changed: Option<Raw>,
    /// `Mcp-Param-*` headers in place of the client's.
    param_headers: Option<Vec<(Box<str>, Box<str>)>>,
}

/// Limits, policy, inspection, audit: in this order.
async fn decide(ctx: &Context, call: &Call, ledger: &mut Ledger) -> Result<Decided, Refusal> {
    let parts = &ctx.view.parts;
    if !parts.rulings.sees(&call.principal, &call.server) {
        let refusal = Refusal::new("policy", "refused by policy");
        return Err(Refusal { is_hidden: true, ..refusal });
    }
    let permit = parts.throttle.admit(&call.principal, &call.server, &call.name)?;
    let allowed = match parts.rulings.call(call) {
        Ruling::Allow(allowed) => allowed,
        Ruling::Deny(refusal) => return Err(refusal),
        Ruling::Hold(released) => released.await?,
    };
    let inspected = parts.inspect.request(call);
    if let Some(entry) = &mut ledger.entry {
        entry.allowed = allowed;
        entry.found = inspected.found;
        entry.rules = inspected.rules;
    }
    let changed = match inspected.verdict {
        Verdict::Pass => None,
        Verdict::Changed(raw) => Some(raw),
        Verdict::Blocked(refusal) => return Err(refusal),
    };
    parts.record.ready()?;
    Ok(Decided { permit, changed, param_headers: inspected.param_headers })
}

/// Parameters with the `_meta` of others.
fn continued(params: Option<&RawValue>, of: &RawValue) -> Raw {
    object(params, vec![("_meta", member(Some(of), "_meta"))])
}

/// Bytes of what is in a message.
fn bytes_of(heard: &Heard) -> usize {
    let params = |params: &Option<Raw>| params.as_ref().map_or(0, |params| params.get().len());
    match heard {
        Heard::Notification(Notification { params: of, .. })
        | Heard::Request(Request { params: of, .. }) => params(of),
        Heard::Response(response) => match &response.outcome {
            Ok(result) => result.get().len(),
            Err(error) => error.message.len() + params(&error.data),
        },
        Heard::Failed(_) => 0,
    }
}

/// Changed parameters with the server's own name again.
fn rename(changed: &RawValue, call: &Call, renamed: Option<&RawValue>) -> Raw {
    let key = match call.kind {
        Kind::Tool | Kind::Prompt if &*call.method != "completion/complete" => "name",
        _ => "ref",
    };
    let own = renamed.and_then(|renamed| member::<Raw>(Some(renamed), key));
    match own {
        Some(own) => object(Some(changed), vec![(key, Some(own))]),
        None => changed.to_owned(),
    }
}

/// A result for clients of 2026-07-28: what their revision requires is added where it is missing.
fn complete(result: Raw, method: &str) -> Raw {
    let bytes = result.get().as_bytes();
    let has = |name: &str| {
        memchr::memmem::find(bytes, name.as_bytes()).is_some()
            && member::<serde::de::IgnoredAny>(Some(&result), name).is_some()
    };
    let mut more = String::new();
    if !has("resultType") {
        more.push_str(r#""resultType":"complete""#);
    }
    if method == "resources/read" {
        for (name, text) in [("ttlMs", r#""ttlMs":0"#), ("cacheScope", r#""cacheScope":"private""#)]
        {
            if !has(name) {
                more.extend([if more.is_empty() { "" } else { "," }, text]);
            }
        }
    }
    let rest = result.get().trim_start().strip_prefix('{').map(str::trim_start);
    let Some(rest) = rest.filter(|_| !more.is_empty()) else { return result };
    let comma = if rest.starts_with('}') { "" } else { "," };
    RawValue::from_string(format!("{{{more}{comma}{rest}")).unwrap_or(result)
}

type Step = Pin<Box<dyn Future<Output = (Turn, Next)> + Send>>;

/// The first step of a call. A client with a session that goes away does not cancel its call (MCP
/// 2025-11-25, "Sending Messages to the Server"), so dropped, it goes on by itself.
struct Kept {
    step: Option<Step>,
    has_session: bool,
}

impl Kept {
    fn new(ctx: &Context, step: Step) -> Self {
        Self { step: Some(step), has_session: ctx.session.is_some() }
    }

    fn take(&mut self) -> Option<Step> {
        self.step.take()
    }
}

impl Future for Kept {
    type Output = (Turn, Next);

    fn poll(
        self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<(Turn, Next)> {
        let this = self.get_mut();
        let Some(step) = &mut this.step else { return std::task::Poll::Pending };
        let done = step.as_mut().poll(context);
        if done.is_ready() {
            this.step = None;
        }
        done
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(step) = self.step.take().filter(|_| self.has_session) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move {
                let (mut turn, mut next) = step.await;
                // Nobody hears it, but the server does its work, and the record is made.
                while let Next::Message(_) = next {
                    (turn, next) = turn.step().await;
                }
                drop(turn);
            }));
        }
    }
}

/// The revision that a request of 2026-07-28 says that it has.
#[must_use]
pub(in crate::portal) fn declared(params: Option<&RawValue>) -> Option<Box<str>> {
    text(held(params, "_meta"), PROTOCOL)
}
