//! HTTP with SSE (MCP 2024-11-05, "Transports"): requests by POST, answers on one stream.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Failure;
use super::http::{Core, messages};
use super::mux::{Mux, Sender};
use super::muxed::{Host, handshake};
use super::sse::Events;
use crate::portal::Task;

/// Posts to the address that the stream named.
#[derive(Debug)]
struct Poster(Arc<Core>);

impl Sender for Poster {
    fn send(&self, line: String) -> Task<'_, Result<(), Failure>> {
        Box::pin(async move {
            let body = Bytes::from(line);
            let sent = self.0.send(Method::POST, None, HeaderMap::new(), body);
            let within = self.0.site.server.idle;
            let sent = timeout(within, sent).await;
            let (parts, body) = sent.unwrap_or(Err(Failure::TimedOut(within)))?;
            let status = parts.status;
            let said = timeout(within, body.whole(64 << 10)).await;
            if status.is_success() {
                return Ok(());
            }
            if status == 404 || status == 410 {
                return Err(Failure::SessionLost("the session is over".into()));
            }
            let said = said.ok().and_then(Result::ok).unwrap_or_default();
            let said: String = String::from_utf8_lossy(&said).chars().take(300).collect();
            Err(Failure::Status(status.as_u16(), said.into()))
        })
    }
}

/// A stream, opened again when it broke.
#[derive(Debug)]
pub(super) struct SseHost {
    core: Arc<Core>,
    now: Mutex<Option<(Arc<Mux>, AbortHandle)>>,
}

impl SseHost {
    pub(super) fn new(core: Arc<Core>) -> Arc<Self> {
        Arc::new(Self { core, now: Mutex::default() })
    }

    async fn open(&self) -> Result<(Arc<Mux>, AbortHandle), Failure> {
        let site = &self.core.site;
        let within = site.server.connect + site.server.idle;
        let begun = timeout(within, async {
            let (parts, body) =
                self.core.send(Method::GET, None, HeaderMap::new(), Bytes::new()).await?;
            if parts.status != 200 {
                return Err(Failure::Status(parts.status.as_u16(), "".into()));
            }
            let mut events = Events::new(body, site.server.max_message_bytes);
            let first = events.next().await?.filter(|event| event.kind == "endpoint");
            let first = first.ok_or_else(|| Failure::Garbled("no endpoint event".into()))?;
            let to = String::from_utf8_lossy(&first.data).into_owned();
            let to =
                self.core.target.join(to.trim()).map_err(|why| Failure::Garbled(why.into()))?;
            if !to.is_same_origin(&self.core.target) {
                return Err(Failure::Garbled("its endpoint is at another origin".into()));
            }
            Ok((events, self.core.elsewhere(to)))
        });
        let (events, poster) = begun.await.unwrap_or(Err(Failure::TimedOut(within)))?;
        let mux = Mux::new(Box::new(Poster(poster)), false);
        let reading = tokio::spawn(read(events, Arc::downgrade(&mux))).abort_handle();
        if let Err(failure) = handshake(&mux, site, &self.core.client, false).await {
            reading.abort();
            return Err(failure);
        }
        Ok((mux, reading))
    }
}

async fn read(mut events: Events, mux: Weak<Mux>) {
    let failure = loop {
        let event = match events.next().await {
            Ok(Some(event)) => event,
            Ok(None) => break Failure::Broken("the stream ended".into()),
            Err(failure) => break failure,
        };
        let Some(mux) = mux.upgrade() else { return };
        if event.data.is_empty() || !matches!(&*event.kind, "" | "message") {
            continue;
        }
        match messages(&event.data) {
            Ok(all) => all.into_iter().for_each(|message| mux.hear(message)),
            Err(failure) => break failure,
        }
    };
    if let Some(mux) = mux.upgrade() {
        mux.end(&failure);
    }
}

impl Host for SseHost {
    fn mux(&self) -> Task<'_, Result<Arc<Mux>, Failure>> {
        Box::pin(async move {
            let mut now = self.now.lock().await;
            if let Some((mux, _)) = now.as_ref().filter(|(mux, _)| !mux.is_over()) {
                return Ok(Arc::clone(mux));
            }
            if now.take().is_some() {
                self.core.site.counters.reconnects.fetch_add(1, Relaxed);
            }
            let (mux, reading) = self.open().await.inspect_err(|failure| {
                if matches!(failure, Failure::Status(400..=499, _) | Failure::Garbled(_)) {
                    self.core.over();
                }
            })?;
            *now = Some((Arc::clone(&mux), reading));
            Ok(mux)
        })
    }

    fn stop(&self) -> Task<'_, ()> {
        Box::pin(async move {
            if let Some((mux, reading)) = self.now.lock().await.take() {
                reading.abort();
                mux.end(&Failure::Broken("it was ended".into()));
            }
        })
    }

    fn is_peers_own(&self) -> bool {
        true
    }
}

impl Drop for SseHost {
    fn drop(&mut self) {
        if let Some((_, reading)) = self.now.get_mut().take() {
            reading.abort();
        }
    }
}
