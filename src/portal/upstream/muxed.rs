//! Peers whose messages go through a [`Mux`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::envelope::{NEWEST, NEWEST_LEGACY, about, enveloped};
use super::http::{initialize_params, initialized};
use super::mux::{Flight, Mux};
use super::site::{Era, PROBE, Site};
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

/// Begins to speak, newest first, unless it is known what the server speaks.
pub(super) async fn handshake(
    mux: &Arc<Mux>,
    site: &Site,
    client: &ClientSide,
    may_be_modern: bool,
) -> Result<(), Failure> {
    if may_be_modern && site.era() != Some(Era::Legacy) {
        let params = enveloped(None, NEWEST, client);
        // Servers that wait for `initialize` may say nothing at all to anything else.
        let within = PROBE.min(Duration::from_secs(3));
        match mux.ask("server/discover", params, within).await {
            Ok(Response { outcome: Ok(result), .. }) => {
                let all: Option<Vec<String>> = member(Some(&result), "supportedVersions");
                if all.is_some_and(|all| all.iter().any(|version| version == NEWEST.as_str())) {
                    mux.set_about(about(NEWEST, &result));
                    site.set_era(Era::Modern);
                    return Ok(());
                }
            }
            Ok(_) | Err(Failure::TimedOut(_)) => {}
            Err(failure) => return Err(failure),
        }
    }
    let params = initialize_params(client.info.as_ref(), &client.capabilities);
    let within = site.server.idle.min(Duration::from_secs(60));
    let asked = mux.ask("initialize", params, within).await;
    if asked.is_err() {
        site.forget_era();
    }
    mux.set_about(initialized(asked?)?);
    let method = "notifications/initialized".into();
    mux.send(&Message::Notification(Notification { method, params: None })).await?;
    if may_be_modern {
        site.set_era(Era::Legacy);
    }
    site.counters.sessions.fetch_add(1, Relaxed);
    Ok(())
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
            let done = self.converse(call, is_idempotent).await;
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
