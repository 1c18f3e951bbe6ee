mod children;
mod fake;
mod faults;
mod legacy;
mod modern;
mod old;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::portal::principal::{Owner, Proof};
use crate::portal::wire::{Id, raw};

/// Credentials of a test: good from some number of askings on.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) asked: AtomicUsize,
    pub(super) refused: std::sync::Mutex<Vec<String>>,
}

impl Credentials for Given {
    fn headers<'a>(
        &'a self,
        principal: &'a Principal,
        _: &'a Scope,
        refused: Option<&'a str>,
    ) -> Task<'a, Result<Vec<(hyper::header::HeaderName, Secret)>, Failure>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if let Some(refused) = refused {
                self.refused.lock().unwrap().push(refused.to_owned());
            }
            let freshness = if refused.is_some() { "fresh" } else { "stale" };
            let value = format!("Bearer fake-{freshness}-{}", principal.owner.subject);
            Ok(vec![(hyper::header::AUTHORIZATION, Secret::new(&value))])
        })
    }
}

pub(super) fn somebody(subject: &str) -> Arc<Principal> {
    Arc::new(Principal {
        owner: Owner { issuer: "test".into(), subject: subject.into(), client: "agent".into() },
        name: None,
        groups: Arc::new([]),
        scopes: Arc::new([]),
        proof: Proof::Service,
        expires: None,
        shown: None,
    })
}

pub(super) fn client() -> Arc<ClientSide> {
    Arc::new(ClientSide {
        info: Some(raw(&serde_json::json!({"name": "agent", "version": "1"}))),
        capabilities: raw(&serde_json::json!({"sampling": {}})),
    })
}

pub(super) fn upstreams(spec: &str) -> Upstreams {
    upstreams_told(spec, &(Arc::new(|_: &str| {}) as Told))
}

pub(super) fn upstreams_told(spec: &str, told: &Told) -> Upstreams {
    let spec: Spec = serde_saphyr::from_str(spec).unwrap();
    let server = spec.check(std::path::Path::new("")).unwrap();
    Upstreams::new(vec![server], Arc::new(Given::default()), told).unwrap()
}

pub(super) fn outgoing(id: i64, tool: &str) -> Outgoing {
    Outgoing {
        request: Request {
            id: Id::Number(id),
            method: "tools/call".into(),
            params: Some(raw(&serde_json::json!({"name": tool, "arguments": {}}))),
        },
        client: client(),
        param_headers: vec![("Region".into(), "zürich".into())],
        idle: Duration::from_secs(5),
        total: Duration::from_secs(10),
        hears_beside: false,
    }
}

/// All that is heard, as text: `n:method`, `q:method`, `r:result`, `e:code`, `f:failure`.
pub(super) async fn heard(conversation: Result<Conversation, Failure>) -> Vec<String> {
    let mut said = Vec::new();
    match conversation {
        Err(failure) => said.push(format!("f:{failure:?}")),
        Ok(Conversation::Answer(response)) => said.push(told(Heard::Response(response))),
        Ok(Conversation::Stream(mut from)) => {
            while let Some(one) = from.recv().await {
                said.push(told(one));
            }
        }
    }
    said
}

fn told(heard: Heard) -> String {
    match heard {
        Heard::Notification(said) => format!("n:{}", said.method),
        Heard::Request(asked) => format!("q:{}", asked.method),
        Heard::Response(Response { outcome: Ok(result), id }) => {
            format!("r:{}:{}", serde_json::to_string(&id).unwrap(), result.get())
        }
        Heard::Response(Response { outcome: Err(error), .. }) => format!("e:{}", error.code),
        Heard::Failed(failure) => format!("f:{failure:?}"),
    }
}

pub(super) async fn peer(upstreams: &Upstreams) -> Arc<dyn Peer> {
    upstreams.peer(&somebody("ann"), "a", &client(), Some("one"), None).await.unwrap()
}

pub(super) async fn call(peer: &Arc<dyn Peer>, id: i64, tool: &str, again: bool) -> Vec<String> {
    let done = tokio::time::timeout(Duration::from_secs(20), async {
        heard(peer.call(outgoing(id, tool), again).await).await
    });
    done.await.expect("it hangs")
}

/// The one text starts so.
pub(super) fn is(said: &[String], start: &str) -> bool {
    said.len() == 1 && said[0].starts_with(start)
}
