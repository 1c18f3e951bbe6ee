//! Streams of messages, resumed where they break (MCP 2025-11-25, "Resumability and Redelivery").

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Core, Flight, MAX_WAITING, State, answer};
use crate::portal::upstream::envelope::LAST_EVENT;
use crate::portal::upstream::sse::{Event, Events};
use crate::portal::upstream::{Conversation, Failure, Heard};
use crate::portal::wire::{Message, Response, raw};

/// A stream that was resumed so often without hearing anything is over.
const MAX_RESUMPTIONS: u32 = 5;
/// Between them, unless the server says otherwise; and more than that is not believed.
const RETRY: Duration = Duration::from_millis(500);
/// A server that asked something is waited for so long at least: a person may have to answer it.
const ASKED: Duration = Duration::from_secs(600);
const MAX_RETRY: Duration = Duration::from_secs(30);

/// The GET stream, from its beginning or behind an event. `None`: it has none.
pub(super) async fn get(
    core: &Core,
    state: &State,
    behind: Option<&str>,
) -> Result<Option<Events>, Failure> {
    let mut headers = HeaderMap::new();
    let behind = behind.and_then(|id| HeaderValue::from_str(id).ok());
    headers.extend(behind.map(|id| (LAST_EVENT, id)));
    let sent = core.send(Method::GET, Some(state), headers, Bytes::new());
    let within = core.server().idle;
    let sent = tokio::time::timeout(within, sent).await;
    let (parts, body) = sent.unwrap_or(Err(Failure::TimedOut(within)))?;
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
    match parts.status.as_u16() {
        200 if is_stream => Ok(Some(Events::new(body, core.server().max_message_bytes))),
        200 => Err(Failure::Garbled("a GET was answered with no stream".into())),
        404 if state.session.is_some() => Err(Failure::SessionLost("the session is over".into())),
        404 | 405 | 406 | 501 => Ok(None),
        status => Err(Failure::Status(status, "".into())),
    }
}

/// Counts an open stream.
#[derive(Debug)]
struct Open(Arc<Core>);

impl Open {
    fn new(core: &Arc<Core>) -> Self {
        core.site.counters.open_streams.fetch_add(1, Relaxed);
        Self(Arc::clone(core))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.site.counters.open_streams.fetch_sub(1, Relaxed);
    }
}

/// What is heard on a stream, however often it breaks.
#[derive(Debug)]
pub(super) struct Source {
    flight: Flight,
    events: Option<Box<Events>>,
    last_id: Option<String>,
    retry: Duration,
    /// Since something was last heard.
    resumptions: u32,
    idle: Duration,
    /// The last that was heard is a question.
    is_asking: bool,
    /// For a call: its end, and what it had in all.
    until: Option<(Instant, Duration)>,
    _open: Open,
}

impl Source {
    pub(super) fn new(
        flight: Flight,
        events: Box<Events>,
        idle: Duration,
        until: Instant,
        total: Duration,
    ) -> Self {
        let open = Open::new(&flight.core);
        Self {
            flight,
            events: Some(events),
            last_id: None,
            retry: RETRY,
            resumptions: 0,
            idle,
            is_asking: false,
            until: Some((until, total)),
            _open: open,
        }
    }

    /// What belongs to no call: it has no end and may be silent.
    pub(super) fn unasked(flight: Flight, events: Box<Events>) -> Self {
        let now = Instant::now();
        let source = Self::new(flight, events, Duration::ZERO, now, Duration::ZERO);
        Self { until: None, ..source }
    }

    /// The next event with data.
    async fn event(&mut self) -> Result<Event, Failure> {
        loop {
            let next = match &mut self.events {
                Some(events) => events.next().await,
                None => {
                    self.resume().await?;
                    continue;
                }
            };
            match next {
                Ok(Some(event)) => {
                    self.resumptions = 0;
                    self.last_id = event.id.clone().or_else(|| self.last_id.take());
                    self.retry = event.retry.unwrap_or(self.retry).min(MAX_RETRY);
                    if !event.data.is_empty() {
                        return Ok(event);
                    }
                }
                Ok(None) => self.events = None,
                Err(Failure::Broken(_)) => self.events = None,
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn resume(&mut self) -> Result<(), Failure> {
        let broken = || Failure::Broken("the stream ended before its answer".into());
        let may_resume = !self.flight.state.is_modern()
            && (self.last_id.is_some() || self.until.is_none())
            && self.resumptions < MAX_RESUMPTIONS;
        if !may_resume {
            return Err(broken());
        }
        self.resumptions += 1;
        sleep(self.retry).await;
        let core = &self.flight.core;
        core.site.counters.reconnects.fetch_add(1, Relaxed);
        match get(core, &self.flight.state, self.last_id.as_deref()).await {
            Ok(Some(events)) => self.events = Some(Box::new(events)),
            Ok(None) => return Err(broken()),
            Err(Failure::Unreachable(_) | Failure::Broken(_)) => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// The next messages, in time.
    async fn next(&mut self) -> Result<Vec<Message>, Failure> {
        let event = match self.until {
            None => self.event().await?,
            Some((until, total)) => {
                let idle = if self.is_asking { self.idle.max(ASKED) } else { self.idle };
                let limit = until.min(Instant::now() + idle);
                let late = if limit < until { idle } else { total };
                timeout_at(limit, self.event()).await.unwrap_or(Err(Failure::TimedOut(late)))?
            }
        };
        answer::messages(&event.data)
    }

    /// Hears messages until there is something for others. True: it is the last.
    async fn heard(&mut self) -> (Vec<Heard>, bool) {
        loop {
            let messages = match self.next().await {
                Ok(messages) => messages,
                Err(failure) => return (vec![Heard::Failed(failure)], true),
            };
            let mut heard = Vec::new();
            for message in messages {
                match message {
                    Message::Response(response)
                        if response.id.as_ref() == Some(&self.flight.id) =>
                    {
                        self.flight.is_open = false;
                        heard.push(Heard::Response(response));
                        return (heard, true);
                    }
                    // To something that nobody asked here.
                    Message::Response(_) => {}
                    Message::Request(request) if &*request.method == "ping" => {
                        let outcome = Ok(raw(&serde_json::json!({})));
                        let pong = Response { id: Some(request.id), outcome };
                        let (core, state) =
                            (Arc::clone(&self.flight.core), Arc::clone(&self.flight.state));
                        drop(tokio::spawn(async move {
                            drop(core.deliver(&state, &Message::Response(pong)).await);
                        }));
                    }
                    Message::Request(request) => heard.push(Heard::Request(request)),
                    Message::Notification(said) => heard.push(Heard::Notification(said)),
                }
            }
            if !heard.is_empty() {
                self.is_asking = heard.iter().any(|one| matches!(one, Heard::Request(_)));
                return (heard, false);
            }
        }
    }

    /// The answer to a call: at once where it is the first that is heard.
    pub(super) async fn conversation(mut self) -> Result<Conversation, Failure> {
        let (mut heard, is_last) = self.heard().await;
        if is_last && heard.len() == 1 {
            match heard.pop() {
                Some(Heard::Response(response)) => {
                    if let Some(events) = self.events.take() {
                        events.finish().await;
                    }
                    return Ok(Conversation::Answer(response));
                }
                Some(Heard::Failed(failure)) => return Err(failure),
                other => heard.extend(other),
            }
        }
        Ok(Conversation::Stream(self.pumped(heard, is_last)))
    }

    /// Everything that is heard from now on.
    pub(super) fn listened(self) -> mpsc::Receiver<Heard> {
        self.pumped(Vec::new(), false)
    }

    fn pumped(mut self, first: Vec<Heard>, is_last: bool) -> mpsc::Receiver<Heard> {
        let (to, from) = mpsc::channel(MAX_WAITING);
        drop(tokio::spawn(async move {
            let (mut heard, mut is_last) = (first, is_last);
            loop {
                for one in heard {
                    if let Heard::Failed(failure) = &one
                        && self.until.is_some()
                    {
                        self.flight.core.site.counters.failed(failure);
                    }
                    if to.send(one).await.is_err() {
                        return;
                    }
                }
                if is_last {
                    break;
                }
                tokio::select! {
                    () = to.closed() => return,
                    next = self.heard() => (heard, is_last) = next,
                }
            }
            if let Some(events) = self.events.take() {
                events.finish().await;
            }
        }));
        from
    }
}
