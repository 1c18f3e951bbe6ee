//! Event streams (WHATWG HTML, "Server-sent events"): bodies, and what is kept of them for clients
//! that come back with `Last-Event-ID` (MCP 2025-11-25, "Resumability and Redelivery").

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tokio::sync::{Notify, mpsc};
use tokio::time::Interval;

use super::clock::Instant;
use crate::portal::Body;
use crate::portal::wire::Message;

/// Events kept for a client that comes back. When there are more, the stream waits for a client
/// that reads, and drops the oldest where none does.
const MAX_EVENTS: usize = 256;
/// Bytes of them.
const MAX_BYTES: usize = 1 << 20;
/// Between two comments that keep a connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A client whose stream broke off comes back after so long: another replica is there at once.
const RETRY_MILLIS: u32 = 500;
const COMMENT: &[u8] = b": \n\n";

/// Where an event is in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// Number of the stream.
    pub stream: u32,
    /// Number of the event in it.
    pub event: u64,
}

impl EventId {
    /// Reads what [`fmt::Display`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (stream, event) = text.split_once('-')?;
        Some(Self { stream: stream.parse().ok()?, event: event.parse().ok()? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream, self.event)
    }
}

/// A message as an event without an id.
pub(super) fn event(message: &Message) -> Bytes {
    Bytes::from(format!("event: message\ndata: {}\n\n", message.to_json()))
}

/// A stream of a session. Worst-case memory: 1 MiB and one event.
#[derive(Debug)]
pub struct Stream {
    number: u32,
    inner: Mutex<Inner>,
    /// A reader took something, or went away.
    room: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Bytes>,
    bytes: usize,
    /// Number of the first one kept.
    first: u64,
    /// Number of the next one that the reader gets.
    read: u64,
    /// Counts readers: a new one takes the place of the one before.
    reader: u64,
    is_read: bool,
    waker: Option<Waker>,
    ended: Option<Instant>,
}

impl Inner {
    fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn is_full(&self) -> bool {
        self.events.len() >= MAX_EVENTS || self.bytes >= MAX_BYTES
    }

    fn drop_first(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= event.len();
            self.first += 1;
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Stream {
    /// With nothing in it.
    #[must_use]
    pub fn new(number: u32) -> Arc<Self> {
        Arc::new(Self { number, inner: Mutex::default(), room: Notify::new() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number in the session.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Adds an event without data: its id is known to the client before anything happens (MCP
    /// 2025-11-25).
    pub fn prime(&self) {
        self.add("");
    }

    /// Adds a message. Waits while a client reads more slowly than the server writes.
    pub async fn push(&self, message: &Message) {
        loop {
            let room = self.room.notified();
            {
                let inner = self.inner();
                let is_behind = inner.is_read && inner.is_full() && inner.read <= inner.first;
                if !is_behind {
                    break;
                }
            }
            room.await;
        }
        self.add(&message.to_json());
    }

    /// Adds a message and drops the oldest where there is no room.
    pub fn push_now(&self, message: &Message) {
        self.add(&message.to_json());
    }

    /// Adds an event of its own kind: it has no id and no message.
    pub fn push_other(&self, kind: &str, data: &str) {
        self.put(Bytes::from(format!("event: {kind}\ndata: {data}\n\n")));
    }

    fn add(&self, data: &str) {
        let id = EventId { stream: self.number, event: self.inner().next() };
        let event = match data {
            "" => format!("id: {id}\nretry: {RETRY_MILLIS}\ndata: \n\n"),
            _ => format!("event: message\nid: {id}\ndata: {data}\n\n"),
        };
        self.put(Bytes::from(event));
    }

    fn put(&self, event: Bytes) {
        let mut inner = self.inner();
        while inner.is_full() {
            inner.drop_first();
        }
        inner.bytes += event.len();
        inner.events.push_back(event);
        inner.wake();
    }

    /// Nothing more will come.
    pub fn end(&self) {
        let mut inner = self.inner();
        inner.ended.get_or_insert_with(Instant::now);
        inner.wake();
    }

    /// Since when it is at its end.
    #[must_use]
    pub fn ended(&self) -> Option<Instant> {
        self.inner().ended
    }

    /// Whether somebody reads it.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.inner().is_read
    }

    /// Waits until nobody reads it.
    pub async fn left(&self) {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            if !self.is_read() {
                return;
            }
            room.await;
        }
    }

    /// A body with all events from a number on; whoever read it before is cut off.
    #[must_use]
    pub fn read(self: &Arc<Self>, from: u64) -> Body {
        let mut inner = self.inner();
        inner.reader += 1;
        inner.is_read = true;
        inner.read = from.max(inner.first);
        inner.wake();
        let reader = Reader { stream: Arc::clone(self), reader: inner.reader, alive: keep_alive() };
        drop(inner);
        self.room.notify_waiters();
        reader.boxed_unsync()
    }
}

fn keep_alive() -> Interval {
    tokio::time::interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE)
}

/// A body that reads a stream.
struct Reader {
    stream: Arc<Stream>,
    reader: u64,
    alive: Interval,
}

impl hyper::body::Body for Reader {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        let mut inner = this.stream.inner();
        if inner.reader != this.reader {
            return Poll::Ready(None);
        }
        let at = inner.read.saturating_sub(inner.first);
        let event = usize::try_from(at).ok().and_then(|at| inner.events.get(at)).cloned();
        if let Some(event) = event {
            inner.read = inner.read.max(inner.first) + 1;
            drop(inner);
            this.stream.room.notify_waiters();
            return Poll::Ready(Some(Ok(Frame::data(event))));
        }
        if inner.ended.is_some() {
            return Poll::Ready(None);
        }
        inner.waker = Some(context.waker().clone());
        drop(inner);
        this.alive.poll_tick(context).map(|_| Some(Ok(Frame::data(Bytes::from_static(COMMENT)))))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut inner = self.stream.inner();
        if inner.reader == self.reader {
            inner.is_read = false;
        }
        drop(inner);
        self.stream.room.notify_waiters();
    }
}

/// A body that is made by a future which is polled with it, and dropped with it: without a task of
/// its own, and cancelled as soon as the client goes away (MCP 2026-07-28, "Cancellation").
struct Driven {
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    events: mpsc::Receiver<Bytes>,
    alive: Interval,
}

/// A body that `future` writes by the sender that it is given.
pub(super) fn driven<F, Made>(make: Made) -> Body
where
    Made: FnOnce(mpsc::Sender<Bytes>) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let (to, events) = mpsc::channel(8);
    let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(make(to));
    Driven { future: Some(future), events, alive: keep_alive() }.boxed_unsync()
}

impl hyper::body::Body for Driven {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(Some(event)) = this.events.poll_recv(context) {
            return Poll::Ready(Some(Ok(Frame::data(event))));
        }
        if let Some(future) = &mut this.future
            && future.as_mut().poll(context).is_ready()
        {
            this.future = None;
        }
        match this.events.poll_recv(context) {
            Poll::Ready(event) => Poll::Ready(event.map(|event| Ok(Frame::data(event)))),
            Poll::Pending => {
                let comment = || Some(Ok(Frame::data(Bytes::from_static(COMMENT))));
                this.alive.poll_tick(context).map(|_| comment())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::wire::Notification;

    fn message(method: &str) -> Message {
        Message::Notification(Notification { method: method.into(), params: None })
    }

    async fn all(body: Body) -> String {
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn p17_a_reader_that_comes_back_gets_what_it_missed() {
        let stream = Stream::new(7);
        stream.prime();
        stream.push(&message("a")).await;
        stream.push(&message("b")).await;
        stream.end();
        let text = all(stream.read(0)).await;
        assert!(text.starts_with("id: 7-0\nretry: 500\ndata: \n\n"));
        assert!(text.contains("id: 7-2"));
        let rest = all(stream.read(2)).await;
        assert!(rest.contains("\"b\"") && !rest.contains("\"a\""));
        assert_eq!(EventId::parse("7-2").unwrap().to_string(), "7-2");
        assert!(EventId::parse("x").is_none());
    }

    #[tokio::test]
    async fn without_a_reader_the_oldest_events_go() {
        let stream = Stream::new(0);
        for _ in 0..MAX_EVENTS + 10 {
            stream.push(&message("a")).await;
        }
        stream.end();
        let text = all(stream.read(0)).await;
        assert_eq!(text.matches("data:").count(), MAX_EVENTS);
        assert!(text.contains("id: 0-10\n") && !text.contains("id: 0-9\n"));
    }

    #[tokio::test]
    async fn a_new_reader_takes_the_place_of_the_one_before() {
        let stream = Stream::new(0);
        let first = stream.read(0);
        let second = stream.read(0);
        stream.push(&message("a")).await;
        stream.end();
        assert_eq!(all(first).await, "");
        assert!(all(second).await.contains("\"a\""));
    }

    #[tokio::test]
    async fn a_stream_is_left_when_its_last_reader_goes() {
        let stream = Stream::new(0);
        let body = stream.read(0);
        let own = Arc::clone(&stream);
        let left = tokio::spawn(async move { own.left().await });
        tokio::task::yield_now().await;
        let next = stream.read(0);
        drop(body);
        tokio::task::yield_now().await;
        assert!(!left.is_finished());
        drop(next);
        left.await.unwrap();
    }

    #[tokio::test]
    async fn p27_driven_bodies_give_each_event_at_once() {
        let mut body = driven(|to| async move {
            to.send(event(&message("a"))).await.ok();
            std::future::pending::<()>().await;
        });
        let frame = body.frame().await.unwrap().unwrap();
        assert!(frame.into_data().unwrap().starts_with(b"event: message\ndata: {"));
    }
}
