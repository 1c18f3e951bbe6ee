//! Connections to one server for one scope.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::http::response::Parts;
use hyper::{HeaderMap, Method, Request, Response};
use tokio::time::Instant;

use crate::portal::outbound::{Connection, Dialer, Target, Trouble, collect, request, said};

/// Connections that wait for a request; one that comes back beyond that is closed.
const MAX_IDLE: usize = 32;
/// And they wait no longer than this: servers close theirs, often after a minute or so.
const IDLE: Duration = Duration::from_secs(30);
/// So long an answer's end is waited for behind its last message.
const DRAIN: Duration = Duration::from_millis(200);

type Http1 = http1::SendRequest<Full<Bytes>>;
type Http2 = http2::SendRequest<Full<Bytes>>;

/// At most `MAX_IDLE` idle connections of HTTP/1.1, or one of HTTP/2.
#[derive(Debug)]
pub(super) struct Pool {
    dialer: Dialer,
    idle: Mutex<Vec<(Http1, Instant)>>,
    http2: Mutex<Option<Http2>>,
}

/// An answer's body, with the connection that it comes by. Dropped early, HTTP/1.1 is closed and a
/// stream of HTTP/2 is reset: the server sees that nobody listens.
#[derive(Debug)]
pub(super) struct Incomplete {
    pub(super) body: Incoming,
    sender: Option<Http1>,
    pool: Arc<Pool>,
}

impl Pool {
    pub(super) fn new(dialer: Dialer) -> Arc<Self> {
        Arc::new(Self { dialer, idle: Mutex::default(), http2: Mutex::default() })
    }

    /// Sends a request and waits for the head of its answer. A connection that turns out to be
    /// closed before the request went is replaced; after that, the request is never sent again.
    pub(super) async fn send(
        self: &Arc<Self>,
        target: &Target,
        method: Method,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<(Parts, Incomplete), Trouble> {
        let build =
            |headers, is_http2| request(target, method.clone(), headers, body.clone(), is_http2);
        if let Some(mut http2) = self.shared() {
            match by2(&mut http2, build(headers, true)?).await? {
                Sent::Answer(answer) => return Ok(self.open(answer, None)),
                Sent::NotSent(back) => headers = *back,
            }
            *self.http2.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        while let Some(mut sender) = self.waiting() {
            match by1(&mut sender, build(headers, false)?).await? {
                Sent::Answer(answer) => return Ok(self.open(answer, Some(sender))),
                Sent::NotSent(back) => headers = *back,
            }
        }
        match self.dialer.dial(target).await? {
            Connection::Http1(mut sender) => {
                if let Sent::Answer(answer) = by1(&mut sender, build(headers, false)?).await? {
                    return Ok(self.open(answer, Some(sender)));
                }
            }
            Connection::Http2(mut sender) => {
                *self.http2.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.clone());
                if let Sent::Answer(answer) = by2(&mut sender, build(headers, true)?).await? {
                    return Ok(self.open(answer, None));
                }
            }
        }
        Err(Trouble::Unreachable("closed at once".into()))
    }

    fn open(
        self: &Arc<Self>,
        answer: Response<Incoming>,
        sender: Option<Http1>,
    ) -> (Parts, Incomplete) {
        let (parts, body) = answer.into_parts();
        (parts, Incomplete { body, sender, pool: Arc::clone(self) })
    }

    fn shared(&self) -> Option<Http2> {
        let kept = self.http2.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    /// The connection that came back last.
    fn waiting(&self) -> Option<Http1> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((sender, since)) = idle.pop() {
            if !sender.is_closed() && since.elapsed() < IDLE {
                return Some(sender);
            }
        }
        None
    }

    fn give_back(&self, sender: Http1) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE && !sender.is_closed() {
            idle.push((sender, Instant::now()));
        }
    }

    /// Closes connections that waited too long.
    pub(super) fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE);
    }
}

/// Sent, or to be sent elsewhere.
enum Sent {
    Answer(Response<Incoming>),
    NotSent(Box<HeaderMap>),
}

async fn by1(sender: &mut Http1, request: Request<Full<Bytes>>) -> Result<Sent, Trouble> {
    if sender.ready().await.is_err() {
        return Ok(Sent::NotSent(Box::new(request.into_parts().0.headers)));
    }
    match sender.try_send_request(request).await {
        Ok(answer) => Ok(Sent::Answer(answer)),
        Err(mut error) => match error.take_message() {
            Some(back) => Ok(Sent::NotSent(Box::new(back.into_parts().0.headers))),
            None => Err(broken(error.error())),
        },
    }
}

async fn by2(sender: &mut Http2, request: Request<Full<Bytes>>) -> Result<Sent, Trouble> {
    if sender.ready().await.is_err() {
        return Ok(Sent::NotSent(Box::new(request.into_parts().0.headers)));
    }
    match sender.try_send_request(request).await {
        Ok(answer) => Ok(Sent::Answer(answer)),
        Err(mut error) => match error.take_message() {
            Some(back) => Ok(Sent::NotSent(Box::new(back.into_parts().0.headers))),
            None => Err(broken(error.error())),
        },
    }
}

fn broken(error: &hyper::Error) -> Trouble {
    if error.is_parse() { Trouble::Garbled(said(error)) } else { Trouble::Broken(said(error)) }
}

impl Incomplete {
    /// The rest of the body; the connection goes back.
    pub(super) async fn whole(mut self, max_bytes: usize) -> Result<Bytes, Trouble> {
        let body = collect(&mut self.body, max_bytes).await?;
        self.release();
        Ok(body)
    }

    /// The next piece; `None` at the end.
    pub(super) async fn piece(&mut self) -> Option<Result<Bytes, Trouble>> {
        loop {
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await?;
            match frame {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Err(error) => return Some(Err(broken(&error))),
            }
        }
    }

    fn release(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.pool.give_back(sender);
        }
    }

    /// Behind the last message of a stream: waits a little for its end, so that the connection can
    /// be used again, without keeping anybody waiting.
    pub(super) async fn finish(mut self) {
        let now = poll_fn(|context| {
            Poll::Ready(match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(None) => Some(true),
                Poll::Ready(Some(Err(_))) => Some(false),
                Poll::Ready(Some(Ok(_))) | Poll::Pending => None,
            })
        });
        match now.await {
            Some(true) => self.release(),
            Some(false) => {}
            None => drop(tokio::spawn(async move {
                let end = async { while let Some(Ok(_)) = self.piece().await {} };
                if tokio::time::timeout(DRAIN, end).await.is_ok() {
                    self.release();
                }
            })),
        }
    }
}
