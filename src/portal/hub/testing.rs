//! Stand-ins of the other parts that let everything through, and servers of both eras in process.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::parts::*;
use super::{KeyRing, Limits, Route, Server, Settings, View, names};
use crate::mcp::methods::Revision;
use crate::portal::Task;
use crate::portal::audit::Trace;
use crate::portal::guard::Part;
use crate::portal::hub::Hub;
use crate::portal::principal::{Owner, Principal, Proof};
use crate::portal::upstream::{
    About, ClientSide, Conversation, Failure, Heard, Outgoing, Peer, Ticket,
};
use crate::portal::wire::{Id, Notification, Raw, Request, Response, RpcError, code, raw};

/// Whoever `x-user` says; nobody may be called `none`.
#[derive(Debug)]
struct Open;

impl Gate for Open {
    fn authenticate<'a>(
        &'a self,
        head: &'a hyper::http::request::Parts,
        _: Option<&'a [CertificateDer<'static>]>,
    ) -> Task<'a, Result<Arc<Principal>, Box<crate::portal::Answer>>> {
        let user = head.headers.get("x-user").and_then(|user| user.to_str().ok());
        let user = user.unwrap_or("ann").to_owned();
        Box::pin(async move { Ok(principal(&user)) })
    }
}

pub(in crate::portal) fn principal(user: &str) -> Arc<Principal> {
    Arc::new(Principal {
        owner: Owner { issuer: "test".into(), subject: user.into(), client: "c".into() },
        name: None,
        groups: Arc::from([]),
        scopes: Arc::from([]),
        proof: Proof::Service,
        expires: None,
        shown: None,
    })
}

/// What is called `forbidden` is hidden, from `bob` also `secret`; `blocked` is refused aloud.
impl Rulings for Open {
    fn sees(&self, _: &Principal, _: &str) -> bool {
        true
    }

    fn fetched(&self, _: &str, _: Kind, items: &[&RawValue]) -> Vec<Mark> {
        vec![Mark::default(); items.len()]
    }

    fn list(
        &self,
        principal: &Principal,
        _: &Arc<str>,
        _: Kind,
        items: &[Listed<'_>],
    ) -> Vec<bool> {
        items.iter().map(|item| !hides(principal, item.name)).collect()
    }

    fn call<'a>(&'a self, call: &'a Call) -> Ruling<'a> {
        if hides(&call.principal, &call.name) {
            let refusal = Refusal::new("policy", "refused by policy");
            return Ruling::Deny(Refusal { is_hidden: true, ..refusal });
        }
        match &*call.name {
            "blocked" => Ruling::Deny(Refusal::new("policy", "refused by policy")),
            _ => Ruling::Allow(Allowed::default()),
        }
    }
}

fn hides(principal: &Principal, name: &str) -> bool {
    name == "forbidden" || (name == "secret" && &*principal.owner.subject == "bob")
}

/// Arguments with `hunter2` are blocked.
impl Inspect for Open {
    fn request(&self, call: &Call) -> Inspected {
        let has = call.arguments.as_ref().is_some_and(|raw| raw.get().contains("hunter2"));
        let verdict = match has {
            true => Verdict::Blocked(Refusal::new("secret", "refused: secret in arguments")),
            false => Verdict::Pass,
        };
        Inspected { verdict, ..Inspected::default() }
    }

    fn heard(&self, _: &Call, _: Part<'_>) -> Inspected {
        Inspected::default()
    }
}

impl Throttle for Open {
    fn admit(&self, _: &Principal, _: &Arc<str>, _: &str) -> Result<Permit, Refusal> {
        Ok(Box::new(()))
    }
}

/// Keeps how calls ended.
#[derive(Debug, Default)]
pub(in crate::portal) struct Kept(Mutex<Vec<(String, Ending)>>);

impl Kept {
    pub(in crate::portal) fn all(&self) -> Vec<(String, Ending)> {
        self.0.lock().unwrap().clone()
    }
}

impl Record for Kept {
    fn trace(&self, _: &Call) -> Option<(Trace, Option<Raw>)> {
        None
    }

    fn ready(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn record(&self, entry: Entry) {
        self.0.lock().unwrap().push((entry.call.name.to_string(), entry.ending));
    }
}

/// Servers in process; every (subject, server, conversation) has a conversation of its own.
#[derive(Debug, Default)]
pub(in crate::portal) struct Fakes {
    pub(in crate::portal) eras: HashMap<String, Revision>,
    peers: Mutex<HashMap<(String, String, String), Arc<Fake>>>,
    /// Requests that came, by server.
    pub(in crate::portal) seen: Arc<Mutex<Vec<(String, String, Value)>>>,
    pub(in crate::portal) closed: Arc<AtomicUsize>,
    pub(in crate::portal) cancelled: Arc<AtomicUsize>,
}

impl Peers for Fakes {
    fn peer<'a>(
        &'a self,
        principal: &'a Arc<Principal>,
        server: &'a Arc<str>,
        _: &'a Arc<ClientSide>,
        conversation: Option<&'a str>,
        _: Option<&'a Ticket>,
    ) -> Task<'a, Result<Arc<dyn Peer>, Failure>> {
        Box::pin(async move {
            let Some(era) = self.eras.get(&**server) else {
                return Err(Failure::Unreachable("dead".into()));
            };
            let subject = principal.owner.subject.to_string();
            let of = conversation.unwrap_or_default().to_owned();
            let key = (subject.clone(), server.to_string(), of);
            let mut peers = self.peers.lock().unwrap();
            let peer = peers.entry(key).or_insert_with(|| {
                Arc::new(Fake {
                    server: server.to_string(),
                    subject,
                    era: *era,
                    seen: Arc::clone(&self.seen),
                    closed: Arc::clone(&self.closed),
                    cancelled: Arc::clone(&self.cancelled),
                    waiting: Mutex::default(),
                    aside: Mutex::default(),
                })
            });
            Ok(Arc::clone(peer) as Arc<dyn Peer>)
        })
    }

    fn resource(&self, server: &str) -> Arc<str> {
        format!("https://{server}.example/mcp").into()
    }
}

#[derive(Debug)]
pub(in crate::portal) struct Fake {
    server: String,
    subject: String,
    era: Revision,
    seen: Arc<Mutex<Vec<(String, String, Value)>>>,
    closed: Arc<AtomicUsize>,
    cancelled: Arc<AtomicUsize>,
    waiting: Mutex<HashMap<i64, oneshot::Sender<Response>>>,
    aside: Mutex<Option<mpsc::Sender<Heard>>>,
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn ok(id: &Id, value: &Value) -> Response {
    Response { id: Some(id.clone()), outcome: Ok(raw(value)) }
}

impl Fake {
    fn tools(&self) -> Value {
        let tool = |name: &str| {
            json!({"name": name, "description": "d", "inputSchema": {"type": "object"},
                "annotations": {"readOnlyHint": true}, "x-unknown": [1.50]})
        };
        let mut tools: Vec<Value> =
            ["echo", "ask", "slow", "steps", "forbidden", "secret", "files.read"].map(tool).into();
        tools.push(json!({"name": "bad", "inputSchema": {"type": "object", "properties":
            {"a": {"type": "number", "x-mcp-header": "A"}}}}));
        tools.push(json!({"name": "out-bad", "inputSchema": {"type": "object", "properties":
            {"a": {"$ref": "https://elsewhere.example/a.json"}}}}));
        tools.push(json!({"name": "mirrored", "inputSchema": {"type": "object", "properties":
            {"region": {"type": "string", "x-mcp-header": "Region"}}}}));
        json!({"tools": tools})
    }

    async fn tool(&self, id: &Id, name: &str, params: &Value) -> Conversation {
        let text = |text: String| ok(id, &json!({"content": [{"type": "text", "text": text}]}));
        match name {
            "slow" => {
                let _counted = Counted(Arc::clone(&self.cancelled));
                tokio::time::sleep(Duration::from_millis(400)).await;
                std::mem::forget(_counted);
                Conversation::Answer(text("slow".to_owned()))
            }
            "steps" => {
                let (to, heard) = mpsc::channel(8);
                let token = params["_meta"]["progressToken"].clone();
                let progress = json!({"progressToken": token, "progress": 1});
                let method = "notifications/progress".into();
                let progress = Notification { method, params: Some(raw(&progress)) };
                to.send(Heard::Notification(progress)).await.unwrap();
                to.send(Heard::Response(text("done".to_owned()))).await.unwrap();
                Conversation::Stream(heard)
            }
            "ask" => self.ask(id, params).await,
            _ => Conversation::Answer(text(format!("{}:{}", self.subject, params))),
        }
    }

    async fn ask(&self, id: &Id, params: &Value) -> Conversation {
        let question = json!({"message": "name?", "requestedSchema": {"type": "object"}});
        let said = |answer: &Value| {
            let text = format!("hello {answer}");
            ok(id, &json!({"content": [{"type": "text", "text": text}]}))
        };
        if self.era >= Revision::V2026_07_28 {
            let given = &params["inputResponses"]["who"];
            if !given.is_null() && params["requestState"] == "opaque" {
                return Conversation::Answer(said(given));
            }
            return Conversation::Answer(ok(
                id,
                &json!({"resultType": "input_required", "requestState": "opaque",
                    "inputRequests": {"who": {"method": "elicitation/create", "params": question}}}),
            ));
        }
        let (to, heard) = mpsc::channel(8);
        let (answer_to, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(77, answer_to);
        let request = Request {
            id: Id::Number(77),
            method: "elicitation/create".into(),
            params: Some(raw(&question)),
        };
        to.send(Heard::Request(request)).await.unwrap();
        let id = id.clone();
        drop(tokio::spawn(async move {
            // Nobody answers a call that another takes the place of.
            let Ok(answer) = answer.await else { return };
            let answer = answer.outcome.unwrap();
            let answer: Value = serde_json::from_str(answer.get()).unwrap();
            let text = format!("hello {answer}");
            let result = json!({"content": [{"type": "text", "text": text}]});
            to.send(Heard::Response(ok(&id, &result))).await.ok();
        }));
        Conversation::Stream(heard)
    }
}

impl Peer for Fake {
    fn about(&self) -> Arc<About> {
        Arc::new(About {
            revision: self.era,
            info: Some(raw(&json!({"name": self.server, "version": "1"}))),
            capabilities: Some(raw(&json!({"tools": {"listChanged": true}, "logging": {},
                "resources": {"subscribe": true}, "prompts": {}}))),
            instructions: Some(format!("use {}", self.server).into()),
        })
    }

    fn call(&self, call: Outgoing, _: bool) -> Task<'_, Result<Conversation, Failure>> {
        Box::pin(async move {
            let Request { id, method, params } = call.request;
            let params: Value =
                params.map(|raw| serde_json::from_str(raw.get()).unwrap()).unwrap_or_default();
            let seen = (self.server.clone(), method.to_string(), params.clone());
            self.seen.lock().unwrap().push(seen);
            Ok(match &*method {
                "tools/list" => Conversation::Answer(ok(&id, &self.tools())),
                "resources/list" => {
                    let uri = format!("{}://one", self.server);
                    Conversation::Answer(ok(
                        &id,
                        &json!({"resources": [{"uri": uri, "name": "one"}]}),
                    ))
                }
                "prompts/list" => Conversation::Answer(ok(&id, &json!({"prompts": []}))),
                "resources/templates/list" => {
                    Conversation::Answer(ok(&id, &json!({"resourceTemplates": []})))
                }
                "resources/read" => {
                    Conversation::Answer(ok(&id, &json!({"contents": [{"uri": params["uri"]}]})))
                }
                "logging/setLevel" => Conversation::Answer(ok(&id, &json!({}))),
                "tools/call" => {
                    let name = params["name"].as_str().unwrap().to_owned();
                    self.tool(&id, &name, &params).await
                }
                _ => {
                    let error = RpcError::new(code::METHOD_NOT_FOUND, "Method not found");
                    Conversation::Answer(Response { id: Some(id), outcome: Err(error) })
                }
            })
        })
    }

    fn tell(&self, _: Notification) -> Task<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn reply(&self, response: Response) -> Task<'_, Result<(), Failure>> {
        Box::pin(async move {
            let Some(Id::Number(id)) = response.id else { panic!() };
            let waiting = self.waiting.lock().unwrap().remove(&id);
            waiting.unwrap().send(response).unwrap();
            Ok(())
        })
    }

    fn listen(&self, _: Option<Raw>) -> Task<'_, Result<Option<mpsc::Receiver<Heard>>, Failure>> {
        Box::pin(async move {
            let (to, heard) = mpsc::channel(8);
            let changed =
                Notification { method: "notifications/tools/list_changed".into(), params: None };
            to.send(Heard::Notification(changed)).await.unwrap();
            *self.aside.lock().unwrap() = Some(to);
            Ok(Some(heard))
        })
    }

    fn ticket(&self) -> Option<Ticket> {
        Some(Ticket { revision: self.era.as_str().to_owned(), session: Some("s".to_owned()) })
    }

    fn close(&self) -> Task<'_, ()> {
        Box::pin(async {
            self.closed.fetch_add(1, SeqCst);
        })
    }
}

/// A hub with servers of these names and revisions: `/mcp` has all of them, `/mcp/{id}` one.
pub(in crate::portal) fn hub(
    servers: &[(&str, Option<Revision>)],
) -> (Arc<Hub>, Arc<Fakes>, Arc<Kept>) {
    let eras = servers.iter().filter_map(|(id, era)| Some(((*id).to_owned(), (*era)?)));
    let fakes = Arc::new(Fakes { eras: eras.collect(), ..Fakes::default() });
    let kept = Arc::new(Kept::default());
    let all: Vec<Server> = servers
        .iter()
        .map(|(id, _)| Server {
            id: (*id).into(),
            prefix: names::prefix(id).into(),
            overrides: HashMap::new(),
        })
        .collect();
    let mut routes = HashMap::new();
    let mut add = |name: &str, servers: Vec<Server>, is_transparent| {
        let route = Route { name: name.into(), servers, is_transparent };
        routes.insert(Arc::from(name), Arc::new(route));
    };
    for server in &all {
        add(&server.id, vec![server.clone()], true);
    }
    add("", all, false);
    let settings = Settings { routes, ..Settings::default() };
    let parts = Parts {
        gate: Arc::new(Open),
        rulings: Arc::new(Open),
        inspect: Arc::new(Open),
        throttle: Arc::new(Open),
        record: Arc::clone(&kept) as Arc<dyn Record>,
        peers: Arc::clone(&fakes) as Arc<dyn Peers>,
        pages: Vec::new(),
        metered: Vec::new(),
    };
    let ring = KeyRing::random().unwrap();
    (Hub::new(View { settings, parts }, ring, &Limits::default()), fakes, kept)
}
