//! What clients with sessions send beside requests: answers to the servers' requests, and
//! notifications.

use std::sync::Arc;

use crate::portal::guard::Part;
use crate::portal::hub::parts::Verdict;
use crate::portal::hub::session::Asker;
use crate::portal::hub::{Context, Hub};
use crate::portal::wire::{Id, Notification, Response, member};

impl Hub {
    /// Takes the answer of a client to a request. An id that this session was not asked by is left
    /// alone: nobody waits for it here.
    pub async fn reply(&self, ctx: &Context, response: Response) {
        let Some(session) = &ctx.session else { return };
        let Some(asker) = response.id.as_ref().and_then(|id| session.asker(id)) else { return };
        match asker {
            Asker::Turn(to) => drop(to.send(response)),
            Asker::Server(peer, id, call) => {
                let outcome = match (response.outcome, call) {
                    (Ok(result), Some(call)) => {
                        let inspect = &ctx.view.parts.inspect;
                        match inspect.heard(&call, Part::Reply(&result)).verdict {
                            Verdict::Pass => Ok(result),
                            Verdict::Changed(result) => Ok(result),
                            Verdict::Blocked(refusal) => Err(refusal.to_error()),
                        }
                    }
                    (outcome, _) => outcome,
                };
                // Its call fails by itself if the server is gone.
                drop(peer.reply(Response { id: Some(id), outcome }).await);
            }
        }
    }

    /// Takes a notification of a client.
    pub async fn notification(self: &Arc<Self>, ctx: &Arc<Context>, notification: Notification) {
        let Some(session) = &ctx.session else { return };
        match &*notification.method {
            "notifications/cancelled" => {
                let id: Option<Id> = member(notification.params.as_deref(), "requestId");
                let call = id.and_then(|id| session.inner().calls.remove(&id));
                if let Some(call) = call {
                    call.notify_one();
                }
            }
            // The portal has said so to the servers itself.
            "notifications/initialized" => {}
            "notifications/roots/list_changed" => {
                let peers = session.inner().peers.clone();
                for (_, peer) in peers {
                    // A server that cannot be told asks for the roots by itself.
                    drop(peer.tell(notification.clone()).await);
                }
            }
            // Progress of what a server asked: to the server that asked by this token, which is
            // not changed; there is one only where there is one server.
            _ => {
                let peers = session.inner().peers.clone();
                if let [(_, peer)] = peers.as_slice() {
                    drop(peer.tell(notification).await);
                }
            }
        }
    }
}
