//! The GET stream of a session (MCP 2025-03-26 to 2025-11-25, "Listening for Messages from the
//! Server"). There is one, whoever wants to hear it: servers refuse a second.
//!
//! Servers use it too for what they ask during a call, where their program does not say which call it
//! is for. A client without sessions has nothing but its call to be asked by, so a request that comes
//! here is given to the only such call that is under way. With several it could be of any of them,
//! and is refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::source::{self, Source};
use super::{Core, Flight, MAX_WAITING};
use crate::portal::upstream::mux::give;
use crate::portal::upstream::{Failure, Heard};
use crate::portal::wire::{Id, Message, Request, Response, RpcError, code};

/// A call waits so long for the stream, and goes without it then.
const PATIENCE: Duration = Duration::from_secs(1);
/// The stream stays open so long behind the last call, for the next one.
const LINGERS: Duration = Duration::from_secs(60);
/// Where it could not be opened, calls go without it for so long.
const RETRY: Duration = Duration::from_secs(30);

/// How far the stream is.
#[derive(Clone, Debug)]
enum Progress {
    Opening,
    Open,
    /// The server has none.
    Absent,
    Failed(Failure),
    Ended,
}

/// Who hears the stream of one conversation.
#[derive(Debug, Default)]
pub(super) struct Aside {
    inner: Mutex<Inner>,
    /// Somebody came.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    calls: Vec<(Id, mpsc::Sender<Heard>)>,
    listeners: Vec<mpsc::Sender<Heard>>,
    stream: Option<(watch::Receiver<Progress>, Instant)>,
    lingers: Option<Instant>,
}

impl Inner {
    fn tidy(&mut self) {
        self.calls.retain(|(_, to)| !to.is_closed());
        self.listeners.retain(|to| !to.is_closed());
    }
}

/// The place of a call; left when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    aside: Arc<Aside>,
    id: Id,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.aside.inner().calls.retain(|(id, _)| *id != self.id);
        // Or whoever watches the calls would keep this one's channel open.
        self.aside.changed.notify_one();
    }
}

impl Aside {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that comes by the stream. `None`: the server has none.
    pub(super) async fn listen(
        self: &Arc<Self>,
        core: &Arc<Core>,
    ) -> Result<Option<mpsc::Receiver<Heard>>, Failure> {
        let (to, from) = mpsc::channel(MAX_WAITING);
        let progress = {
            let mut inner = self.inner();
            inner.tidy();
            inner.listeners.push(to);
            self.stream(core, &mut inner, Duration::ZERO)
        };
        self.changed.notify_one();
        match settled(progress).await {
            Progress::Open | Progress::Ended => Ok(Some(from)),
            Progress::Absent => Ok(None),
            Progress::Failed(failure) => Err(failure),
            Progress::Opening => Err(Failure::Broken("the stream was not opened".into())),
        }
    }

    /// A call hears the stream too, from before it is sent. `None`: there is no stream to hear.
    pub(super) async fn join(
        self: &Arc<Self>,
        core: &Arc<Core>,
        id: &Id,
        to: &mpsc::Sender<Heard>,
    ) -> Option<Place> {
        let progress = {
            let mut inner = self.inner();
            inner.tidy();
            inner.calls.push((id.clone(), to.clone()));
            inner.lingers = Some(Instant::now() + LINGERS);
            self.stream(core, &mut inner, RETRY)
        };
        self.changed.notify_one();
        let place = Place { aside: Arc::clone(self), id: id.clone() };
        match timeout(PATIENCE, settled(progress)).await {
            // It may be open without having said so.
            Ok(Progress::Open | Progress::Opening) | Err(_) => Some(place),
            Ok(Progress::Absent | Progress::Failed(_) | Progress::Ended) => None,
        }
    }

    /// The stream, opened if it is not.
    fn stream(
        self: &Arc<Self>,
        core: &Arc<Core>,
        inner: &mut Inner,
        retry: Duration,
    ) -> watch::Receiver<Progress> {
        if let Some((progress, began)) = &inner.stream {
            let is_good = match &*progress.borrow() {
                Progress::Opening | Progress::Open | Progress::Absent => true,
                Progress::Failed(_) => began.elapsed() < retry,
                Progress::Ended => false,
            };
            if is_good {
                return progress.clone();
            }
        }
        let (told, progress) = watch::channel(Progress::Opening);
        inner.stream = Some((progress.clone(), Instant::now()));
        drop(tokio::spawn(Arc::clone(self).run(Arc::clone(core), told)));
        progress
    }

    async fn run(self: Arc<Self>, core: Arc<Core>, told: watch::Sender<Progress>) {
        let mut heard = match open(&core).await {
            Ok(Some(heard)) => heard,
            Ok(None) => return drop(told.send_replace(Progress::Absent)),
            Err(failure) => return drop(told.send_replace(Progress::Failed(failure))),
        };
        told.send_replace(Progress::Open);
        while let Some(next) = self.next(&mut heard).await {
            self.heard(&core, next);
        }
        // Listeners hear that it is over; whoever comes now has a new one.
        let mut inner = self.inner();
        inner.listeners.clear();
        told.send_replace(Progress::Ended);
    }

    /// What comes next; nothing once nobody hears it any more.
    async fn next(&self, heard: &mut mpsc::Receiver<Heard>) -> Option<Heard> {
        loop {
            let (users, lingers) = {
                let mut inner = self.inner();
                inner.tidy();
                let calls = inner.calls.iter().map(|(_, to)| to.clone());
                let users: Vec<_> = calls.chain(inner.listeners.iter().cloned()).collect();
                (users, inner.lingers)
            };
            let unused = async {
                for to in &users {
                    to.closed().await;
                }
                if let Some(until) = lingers {
                    sleep_until(until).await;
                }
            };
            tokio::select! {
                biased;
                next = heard.recv() => return next,
                () = self.changed.notified() => {}
                () = unused => {
                    let mut inner = self.inner();
                    inner.tidy();
                    let is_over = inner.lingers.is_none_or(|until| until <= Instant::now());
                    if inner.calls.is_empty() && inner.listeners.is_empty() && is_over {
                        return None;
                    }
                }
            }
        }
    }

    fn heard(&self, core: &Arc<Core>, heard: Heard) {
        match heard {
            Heard::Request(request) => self.asked(core, request),
            Heard::Notification(said) => {
                let inner = self.inner();
                for to in &inner.listeners {
                    give(to, Heard::Notification(said.clone()));
                }
                let is_of_call = matches!(
                    &*said.method,
                    "notifications/message" | "notifications/progress" | "notifications/cancelled"
                );
                if let [(_, to)] = inner.calls.as_slice()
                    && is_of_call
                {
                    give(to, Heard::Notification(said));
                }
            }
            Heard::Response(_) | Heard::Failed(_) => {}
        }
    }

    /// To the only call, or where there is none to the only listener.
    fn asked(&self, core: &Arc<Core>, request: Request) {
        let mut inner = self.inner();
        inner.tidy();
        let whom = match (inner.calls.as_slice(), inner.listeners.as_slice()) {
            ([(_, to)], _) | ([], [to]) => Some(to.clone()),
            _ => None,
        };
        drop(inner);
        if let Some(whom) = whom {
            return give(&whom, Heard::Request(request));
        }
        let what = "it is not known which call this is asked for";
        let outcome = Err(RpcError::new(code::INTERNAL, what));
        let response = Message::Response(Response { id: Some(request.id), outcome });
        let core = Arc::clone(core);
        drop(tokio::spawn(async move {
            drop(core.deliver(&core.state(), &response).await);
        }));
    }
}

async fn settled(mut progress: watch::Receiver<Progress>) -> Progress {
    let settled = progress.wait_for(|at| !matches!(at, Progress::Opening)).await;
    settled.map_or(Progress::Ended, |at| at.clone())
}

async fn open(core: &Arc<Core>) -> Result<Option<mpsc::Receiver<Heard>>, Failure> {
    let state = core.state();
    let Some(events) = source::get(core, &state, None).await? else { return Ok(None) };
    let flight = Flight {
        core: Arc::clone(core),
        state,
        id: Id::Number(core.site.number()),
        is_open: false,
        _permit: None,
    };
    Ok(Some(Source::unasked(flight, Box::new(events)).listened()))
}
