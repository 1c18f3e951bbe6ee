//! Peers whose messages go through a [`Mux`].

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::envelope::{NEWEST, NEWEST_LEGACY, about, enveloped};
use super::http::{initialize_params, initialized};
use super::mux::{Flight, Mux};
use super::site::{Era, Site};
use super::{About, ClientSide, Conversation, Failure, Heard, Outgoing, Peer, Ticket};
use crate::portal::Task;
use crate::portal::wire::{Id, Message, Notification, Raw, Request, Response, member};

/// Keeps a [`Mux`] going.
pub(super) trait Host: Send + Sync + fmt::Debug {
    /// The one there is, or a new one.
    fn mux(&self) -> Task<'_, Result<Arc<Mux>, Failure>>;

    /// Ends it.
    fn stop(&self) -> Task<'_, ()>;

    /// Whether peers end it with themselves.
    fn is_peers_own(&self) -> bool;
}

/// Before a server that does not answer to the newest way to begin is asked in the old way too:
/// servers that wait for `initialize` may say nothing at all to anything else.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a server says that it speaks.
enum Spoken {
    Modern(About),
    Legacy(About),
}

/// Begins to speak, newest first, unless it is known what the server speaks.
pub(super) async fn handshake(
    mux: &Arc<Mux>,
    site: &Site,
    client: &ClientSide,
    may_be_modern: bool,
) -> Result<(), Failure> {
    let mut late = None;
    if may_be_modern && site.era() != Some(Era::Legacy) {
        let mut asked = mux.ask("server/discover", enveloped(None, NEWEST, client)).await?;
        match timeout(PATIENCE, asked.response()).await {
            Ok(response) => {
                if let Some(about) = discovered(&response?) {
                    mux.set_about(about);
                    site.set_era(Era::Modern);
                    return Ok(());
                }
            }
            // It may only be slow to start: what it says later still counts.
            Err(_) => late = Some(asked),
        }
    }
    let within = site.server.idle.min(Duration::from_secs(60));
    let spoken = timeout(within, async {
        let params = initialize_params(client.info.as_ref(), &client.capabilities);
        settled(late, mux.ask("initialize", params).await?).await
    });
    let spoken = spoken.await.unwrap_or(Err(Failure::TimedOut(within)));
    match spoken.inspect_err(|_| site.forget_era())? {
        Spoken::Modern(about) => {
            mux.set_about(about);
            site.set_era(Era::Modern);
        }
        Spoken::Legacy(about) => {
            mux.set_about(about);
            let method = "notifications/initialized".into();
            mux.send(&Message::Notification(Notification { method, params: None })).await?;
            if may_be_modern {
                site.set_era(Era::Legacy);
            }
            site.counters.sessions.fetch_add(1, Relaxed);
        }
    }
    Ok(())
}

/// What an answer to `server/discover` says, if the newest revision is among it.
fn discovered(response: &Response) -> Option<About> {
    let result = response.outcome.as_ref().ok()?;
    let all: Vec<String> = member(Some(result), "supportedVersions")?;
    all.iter().any(|version| version == NEWEST.as_str()).then(|| about(NEWEST, result))
}

/// What a server speaks that is asked in the old way, and perhaps was asked in the new way before
/// and did not answer in time. It takes what comes first for the way that its client has, and may
/// refuse the other, so an `initialize` that it takes counts more than what it says of itself.
async fn settled(late: Option<Flight>, mut asked: Flight) -> Result<Spoken, Failure> {
    let was_asked = late.is_some();
    let mut discover = pin!(async {
        match late {
            Some(mut flight) => flight.response().await.map(|response| discovered(&response)),
            None => Ok(None),
        }
    });
    let mut initialize = pin!(asked.response());
    let (response, modern) = tokio::select! {
        response = &mut initialize => {
            let response = response?;
            if response.outcome.is_ok() {
                return Ok(Spoken::Legacy(initialized(response)?));
            }
            let modern = timeout(PATIENCE, discover).await;
            (Some(response), modern.unwrap_or(Ok(None))?)
        }
        modern = &mut discover, if was_asked => match modern? {
            None => (Some(initialize.await?), None),
            modern => (timeout(PATIENCE, initialize).await.ok().transpose()?, modern),
        },
    };
    match (response, modern) {
        (Some(response), modern) if response.outcome.is_ok() || modern.is_none() => {
            Ok(Spoken::Legacy(initialized(response)?))
        }
        (_, Some(about)) => Ok(Spoken::Modern(about)),
        (_, None) => Err(Failure::Garbled("no answer to initialize".into())),
    }
}

/// A conversation through a mux.
#[derive(Debug)]
pub(super) struct MuxPeer {
    pub(super) site: Arc<Site>,
    pub(super) host: Arc<dyn Host>,
    pub(super) client: Arc<ClientSide>,
    /// Among all peers of the server.
    pub(super) number: i64,
    /// As it was when the conversation began.
    pub(super) about: Arc<About>,
}

impl MuxPeer {
    async fn begin(&self, mux: &Arc<Mux>, call: &Outgoing) -> Result<Flight, Failure> {
        let mut request = call.request.clone();
        if let Some(about) = mux.about().filter(|about| about.revision >= NEWEST) {
            let params = request.params.as_ref();
            request.params = Some(enveloped(params, about.revision, &call.client));
        }
        mux.request(request, self.number).await
    }

    async fn converse(&self, call: Outgoing, is_idempotent: bool) -> Result<Conversation, Failure> {
        let permits = Arc::clone(&self.site.permits);
        let permit = permits.try_acquire_owned().map_err(|_| Failure::Busy)?;
        let until = Instant::now() + call.total;
        let late =
            |limit: Instant| Failure::TimedOut(if limit < until { call.idle } else { call.total });
        let mut is_again = false;
        let (first, mut flight) = loop {
            let limit = until.min(Instant::now() + call.idle);
            let asked = timeout_at(limit, async {
                let mux = self.host.mux().await?;
                let mut flight = self.begin(&mux, &call).await?;
                Ok((flight.next().await, flight))
            });
            match asked.await.unwrap_or_else(|_| Err(late(limit))) {
                Ok((Heard::Response(response), _)) => return Ok(Conversation::Answer(response)),
                Ok((Heard::Failed(Failure::Broken(_)), _)) | Err(Failure::Broken(_))
                    if is_idempotent && !is_again => {}
                Ok((Heard::Failed(failure), _)) | Err(failure) => return Err(failure),
                Ok(heard) => break heard,
            }
            is_again = true;
        };
        let (to, from) = mpsc::channel(16);
        let site = Arc::clone(&self.site);
        let (idle, total) = (call.idle, call.total);
        drop(tokio::spawn(async move {
            let _permit = permit;
            let mut heard = first;
            loop {
                if let Heard::Failed(failure) = &heard {
                    site.counters.failed(failure);
                }
                let is_last = matches!(heard, Heard::Response(_) | Heard::Failed(_));
                if to.send(heard).await.is_err() || is_last {
                    return;
                }
                let limit = until.min(Instant::now() + idle);
                let late = Failure::TimedOut(if limit < until { idle } else { total });
                heard = tokio::select! {
                    () = to.closed() => return,
                    next = timeout_at(limit, flight.next()) => {
                        next.unwrap_or(Heard::Failed(late))
                    }
                };
            }
        }));
        Ok(Conversation::Stream(from))
    }

    async fn stream(&self, params: Option<Raw>) -> Result<Option<mpsc::Receiver<Heard>>, Failure> {
        let mux = self.host.mux().await?;
        let Some(about) = mux.about().filter(|about| about.revision >= NEWEST) else {
            return Ok(Some(mux.listen(self.number)));
        };
        let params = enveloped(params.as_ref(), about.revision, &self.client);
        let id = Id::Text(format!("listen-{}", self.site.number()).into());
        let request = Request { id, method: "subscriptions/listen".into(), params: Some(params) };
        let mut flight = mux.request(request, self.number).await?;
        let (to, from) = mpsc::channel(16);
        drop(tokio::spawn(async move {
            loop {
                let heard = tokio::select! {
                    () = to.closed() => return,
                    heard = flight.next() => heard,
                };
                let is_last = matches!(heard, Heard::Response(_) | Heard::Failed(_));
                if to.send(heard).await.is_err() || is_last {
                    return;
                }
            }
        }));
        Ok(Some(from))
    }
}

impl Peer for MuxPeer {
    fn about(&self) -> Arc<About> {
        Arc::clone(&self.about)
    }

    fn call(&self, call: Outgoing, is_idempotent: bool) -> Task<'_, Result<Conversation, Failure>> {
        Box::pin(async move {
            self.site.counters.calls.fetch_add(1, Relaxed);
            let done = self.converse(self.site.bounded(call), is_idempotent).await;
            self.site.count(&done);
            done
        })
    }

    fn tell(&self, notification: Notification) -> Task<'_, Result<(), Failure>> {
        Box::pin(async move {
            // Cancelling is done by dropping a call: ids here are not those on the wire.
            if matches!(
                &*notification.method,
                "notifications/cancelled" | "notifications/initialized"
            ) {
                return Ok(());
            }
            let is_of_client = self.about.revision <= NEWEST_LEGACY;
            if !is_of_client && &*notification.method == "notifications/roots/list_changed" {
                return Ok(());
            }
            let mux = self.host.mux().await?;
            mux.send(&Message::Notification(notification)).await
        })
    }

    fn reply(&self, response: Response) -> Task<'_, Result<(), Failure>> {
        Box::pin(async move {
            let mux = self.host.mux().await?;
            mux.reply(response, self.number).await
        })
    }

    fn listen(
        &self,
        params: Option<Raw>,
    ) -> Task<'_, Result<Option<mpsc::Receiver<Heard>>, Failure>> {
        Box::pin(self.stream(params))
    }

    fn ticket(&self) -> Option<Ticket> {
        // A child can be started anywhere; a session by SSE ends with its stream.
        None
    }

    fn close(&self) -> Task<'_, ()> {
        Box::pin(async move {
            if self.host.is_peers_own() {
                self.host.stop().await;
            }
        })
    }
}
