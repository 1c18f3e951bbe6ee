//! Finding out what a server speaks, and beginning to speak it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hyper::header::HeaderValue;
use hyper::{HeaderMap, Method, StatusCode};
use tokio::time::timeout;

use super::answer::{self, Answer, Fault};
use super::{Core, State, line};
use crate::portal::upstream::envelope::{
    NEWEST, NEWEST_LEGACY, SESSION, about, enveloped, mirror, own_info, revision,
};
use crate::portal::upstream::site::{Era, PROBE};
use crate::portal::upstream::{About, Failure, Ticket};
use crate::portal::wire::{Id, Message, Notification, Raw, Request, Response, member, raw, text};

/// The state that another replica left.
pub(super) fn resumed(ticket: &Ticket) -> Option<State> {
    let revision = revision(&ticket.revision)?;
    let session = ticket.session.as_deref().map(HeaderValue::from_str).transpose().ok()?;
    session.as_ref()?;
    let about = About { revision, info: None, capabilities: None, instructions: None };
    Some(State { about: Arc::new(about), session })
}

/// Begins as the server was last known to want it, and else newest first. `OtherEra`: neither way.
pub(super) async fn begin(core: &Core) -> Result<State, Fault> {
    let known = core.site.era();
    if known != Some(Era::Legacy) {
        match discover(core).await? {
            Some(state) => {
                core.site.set_era(Era::Modern);
                return Ok(state);
            }
            None => core.site.forget_era(),
        }
    }
    match initialize(core).await {
        Ok(state) => {
            core.site.set_era(Era::Legacy);
            Ok(state)
        }
        Err(Fault::OtherEra(why)) if known == Some(Era::Legacy) => {
            core.site.forget_era();
            let found = discover(core).await?;
            found.inspect(|_| core.site.set_era(Era::Modern)).ok_or(Fault::OtherEra(why))
        }
        Err(fault) => Err(fault),
    }
}

/// `None`: it does not know of `server/discover`.
async fn discover(core: &Core) -> Result<Option<State>, Fault> {
    let blank = About { revision: NEWEST, info: None, capabilities: None, instructions: None };
    let state = State { about: Arc::new(blank), session: None };
    let params = Some(enveloped(None, NEWEST, &core.client));
    let request = Request { id: Id::Number(0), method: "server/discover".into(), params };
    let mut headers = HeaderMap::new();
    mirror(&mut headers, &request, &[]);
    let mut asked = ask(core, Some(&state), &request, headers.clone()).await;
    if matches!(asked, Err(Fault::SameEra(_))) {
        // Servers behind one address may not be of one release: once more (MCP 2026-07-28,
        // "Protocol Version Header").
        asked = ask(core, Some(&state), &request, headers).await;
    }
    let result = match asked {
        Ok((_, _, Response { outcome: Ok(result), .. })) => result,
        // Whoever knows the method answers it; all else is said by those who do not.
        Ok(_) | Err(Fault::NoSession(_) | Fault::OtherEra(_) | Fault::SameEra(_)) => {
            return Ok(None);
        }
        Err(Fault::Failure(
            Failure::Status(400..=499, _) | Failure::Garbled(_) | Failure::TimedOut(_),
        )) => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let supported: Option<Vec<String>> = member(Some(&result), "supportedVersions");
    let is_known =
        supported.is_some_and(|all| all.iter().any(|version| version == NEWEST.as_str()));
    let about = Arc::new(about(NEWEST, &result));
    Ok(is_known.then_some(State { about, session: None }))
}

/// `OtherEra`: it does not take POSTs there, or not this one.
async fn initialize(core: &Core) -> Result<State, Fault> {
    let params = initialize_params(core.client.info.as_ref(), &core.client.capabilities);
    let request = Request { id: Id::Number(0), method: "initialize".into(), params: Some(params) };
    let asked = ask(core, None, &request, HeaderMap::new()).await;
    let (status, headers, response) = match asked {
        Err(Fault::Failure(Failure::Status(400 | 404 | 405 | 406 | 415, why))) => {
            return Err(Fault::OtherEra(why));
        }
        asked => asked?,
    };
    let result = initialized(response)?;
    if !status.is_success() {
        return Err(Failure::Status(status.as_u16(), "".into()).into());
    }
    let state = State { about: Arc::new(result), session: headers.get(SESSION).cloned() };
    let method = "notifications/initialized".into();
    let notification = Message::Notification(Notification { method, params: None });
    core.deliver(&state, &notification).await?;
    core.site.counters.sessions.fetch_add(1, Relaxed);
    Ok(state)
}

/// Parameters of `initialize`.
pub(in crate::portal::upstream) fn initialize_params(
    info: Option<&Raw>,
    capabilities: &Raw,
) -> Raw {
    raw(&serde_json::json!({
        "protocolVersion": NEWEST_LEGACY.as_str(),
        "capabilities": capabilities,
        "clientInfo": info.cloned().unwrap_or_else(own_info),
    }))
}

/// What the answer to `initialize` says.
pub(in crate::portal::upstream) fn initialized(response: Response) -> Result<About, Failure> {
    let result = response.outcome.map_err(|error| {
        Failure::Garbled(format!("initialize was refused: {}", error.message).into())
    })?;
    let spoken = text(Some(&result), "protocolVersion").unwrap_or_default();
    let revision = revision(&spoken).filter(|revision| *revision <= NEWEST_LEGACY);
    let revision = revision.ok_or_else(|| {
        let spoken: String = spoken.chars().take(40).collect();
        Failure::Garbled(format!("it speaks revision {spoken:?}").into())
    })?;
    Ok(about(revision, &result))
}

/// One request whose answer is all that is wanted.
async fn ask(
    core: &Core,
    state: Option<&State>,
    request: &Request,
    headers: HeaderMap,
) -> Result<(StatusCode, HeaderMap, Response), Fault> {
    let within = PROBE.min(core.server().total);
    let asked = async {
        let body = line(&Message::Request(request.clone()));
        let (parts, body) = core.send(Method::POST, state, headers, body).await?;
        let ours = |messages: Vec<Message>| {
            messages.into_iter().find_map(|message| match message {
                Message::Response(response)
                    if response.id.is_none() || response.id.as_ref() == Some(&request.id) =>
                {
                    Some(response)
                }
                _ => None,
            })
        };
        let none = || Failure::Garbled("an answer to something else".into());
        let response = match answer::read(core.server(), state, &parts, body).await? {
            Answer::Whole(messages) => ours(messages).ok_or_else(none)?,
            Answer::Stream(mut events) => loop {
                let Some(event) = events.next().await? else { return Err(none().into()) };
                // Servers of HTTP with SSE that look at no method begin their stream with this.
                if event.kind == "endpoint" {
                    return Err(Fault::OtherEra("an endpoint event".into()));
                }
                if event.data.is_empty() {
                    continue;
                }
                if let Some(response) = ours(answer::messages(&event.data)?) {
                    events.finish().await;
                    break response;
                }
            },
        };
        Ok((parts.status, parts.headers, response))
    };
    timeout(within, asked).await.unwrap_or(Err(Fault::Failure(Failure::TimedOut(within))))
}
