//! The GET stream of a session, for all who listen: servers give a session one at a time.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use super::{Core, MAX_WAITING};
use crate::portal::upstream::{Failure, Heard};

type Listener = mpsc::Sender<Heard>;

/// Who listens; `None` while there is no stream.
#[derive(Debug, Default)]
pub(super) struct General(Mutex<Option<Vec<Listener>>>);

impl General {
    /// Listens to the stream that there is, or to the one that is opened.
    pub(super) async fn listen(
        &self,
        core: &Arc<Core>,
        open: impl Future<Output = Result<Option<mpsc::Receiver<Heard>>, Failure>>,
    ) -> Result<Option<mpsc::Receiver<Heard>>, Failure> {
        let (to, from) = mpsc::channel(MAX_WAITING);
        let mut listeners = self.0.lock().await;
        if let Some(listeners) = &mut *listeners {
            listeners.push(to);
            return Ok(Some(from));
        }
        let Some(heard) = open.await? else { return Ok(None) };
        *listeners = Some(vec![to]);
        drop(tokio::spawn(pump(Arc::clone(core), heard)));
        Ok(Some(from))
    }

    /// Those who are still there; with the last of them the stream ends.
    async fn listeners(&self) -> Option<Vec<Listener>> {
        let mut listeners = self.0.lock().await;
        if let Some(listeners) = &mut *listeners {
            listeners.retain(|to| !to.is_closed());
        }
        if listeners.as_ref().is_some_and(Vec::is_empty) {
            *listeners = None;
        }
        listeners.clone()
    }
}

async fn pump(core: Arc<Core>, mut heard: mpsc::Receiver<Heard>) {
    while let Some(listeners) = core.general.listeners().await {
        let Some(first) = listeners.first() else { return };
        tokio::select! {
            () = first.closed() => {}
            next = heard.recv() => match next {
                Some(next) => give(&listeners, next).await,
                None => *core.general.0.lock().await = None,
            }
        }
    }
}

/// A request is for one of them. The only one may make the server wait; of several, one that is
/// slow loses notifications.
async fn give(listeners: &[Listener], heard: Heard) {
    match (listeners, &heard) {
        ([only], _) | ([only, ..], Heard::Request(_)) => drop(only.send(heard).await),
        _ => listeners.iter().for_each(|to| drop(to.try_send(heard.clone()))),
    }
}
