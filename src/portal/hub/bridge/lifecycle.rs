//! `initialize` and `server/discover`, answered by the portal itself.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::mcp::methods::Revision;
use crate::portal::guard::Part;
use crate::portal::hub::catalogue::{aside, offers};
use crate::portal::hub::parts::Verdict;
use crate::portal::hub::session::{New, random_id};
use crate::portal::hub::{Context, Hub, Session};
use crate::portal::upstream::{ClientSide, Peer, told};
use crate::portal::wire::{Members, Raw, RpcError, code, member, raw, text};

/// Longest `clientInfo` that goes into a session, in bytes; longer ones are left out.
const MAX_INFO_BYTES: usize = 1_024;
/// Longest `capabilities`, in bytes.
const MAX_CAPABILITIES_BYTES: usize = 4_096;
/// Longest `instructions` of all servers together, in bytes.
const MAX_INSTRUCTIONS_BYTES: usize = 16 << 10;

/// What a client says of itself, within bounds.
pub(in crate::portal) fn client_side(
    info: Option<Raw>,
    capabilities: Option<Raw>,
) -> Result<ClientSide, RpcError> {
    let none = || raw(&Map::new());
    let capabilities = capabilities.unwrap_or_else(none);
    if capabilities.get().len() > MAX_CAPABILITIES_BYTES || Members::of(&capabilities).is_none() {
        let what = "`capabilities` is no object, or longer than 4096 bytes";
        return Err(RpcError::new(code::INVALID_PARAMS, what));
    }
    Ok(ClientSide { info: info.filter(|info| info.get().len() <= MAX_INFO_BYTES), capabilities })
}

impl Hub {
    /// Begins a session. Conversations with its servers are begun with it, so that its token can
    /// say how to go on with them; a server that is in trouble is left for later.
    ///
    /// # Errors
    /// When the parameters do not fit, or the only server of the route is in trouble.
    pub async fn initialize(
        self: &Arc<Self>,
        mut ctx: Context,
        params: Option<&RawValue>,
    ) -> Result<(Raw, String, Arc<Session>), RpcError> {
        let wanted = text(params, "protocolVersion")
            .ok_or_else(|| RpcError::new(code::INVALID_PARAMS, "`protocolVersion` is missing"))?;
        let known = Revision::ALL.into_iter().find(|revision| revision.as_str() == &*wanted);
        let revision = known
            .filter(|revision| *revision < Revision::V2026_07_28)
            .unwrap_or(Revision::V2025_11_25);
        ctx.revision = revision;
        ctx.client =
            Arc::new(client_side(member(params, "clientInfo"), member(params, "capabilities"))?);
        let failed = |_| RpcError::new(code::INTERNAL, "no session can be begun");
        let id = random_id(&self.ring).map_err(failed)?;
        let ctx = Arc::new(ctx);
        let (peers, trouble) = self.meet(&ctx, Some(&id)).await;
        if ctx.route.is_transparent
            && let Some(error) = trouble
        {
            return Err(error);
        }
        let result = about(&ctx, &peers, trouble.is_some(), revision);
        let new = New {
            id: &id,
            owner: &ctx.principal.owner,
            route: &ctx.route.name,
            revision,
            client: &ctx.client,
        };
        let begun = self.sessions.begin(&self.ring, &new, peers);
        let (token, session) = begun.map_err(failed)?;
        Ok((raw(&result), token, session))
    }

    /// `server/discover` (MCP 2026-07-28).
    pub(super) async fn discover(self: &Arc<Self>, ctx: &Arc<Context>) -> Raw {
        // What is wrong is said by lists and calls: clients take an error here for a server of
        // another revision, and do not show it.
        let (peers, trouble) = self.meet(ctx, None).await;
        let mut result = about(ctx, &peers, trouble.is_some(), Revision::V2026_07_28);
        let info = result.remove("serverInfo").unwrap_or_default();
        result.remove("protocolVersion");
        let versions: Vec<&str> = Revision::ALL.iter().rev().map(|of| of.as_str()).collect();
        let ttl = ctx.view.settings.list_ttl.as_millis();
        result.insert("resultType".to_owned(), "complete".into());
        result.insert("supportedVersions".to_owned(), json!(versions));
        result.insert("ttlMs".to_owned(), u64::try_from(ttl).unwrap_or(u64::MAX).into());
        result.insert("cacheScope".to_owned(), "private".into());
        result.insert("serverInfo".to_owned(), info.clone());
        let meta = json!({"io.modelcontextprotocol/serverInfo": info});
        result.insert("_meta".to_owned(), meta);
        raw(&result)
    }

    /// The conversations with all servers of a route, and the first trouble.
    async fn meet(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        id: Option<&str>,
    ) -> (Vec<(Arc<str>, Arc<dyn Peer>)>, Option<RpcError>) {
        let rulings = &ctx.view.parts.rulings;
        let seen = ctx.route.servers.iter().filter(|of| rulings.sees(&ctx.principal, &of.id));
        let tasks: Vec<_> = seen
            .map(|server| {
                let (hub, ctx, server) =
                    (Arc::clone(self), Arc::clone(ctx), Arc::clone(&server.id));
                let id = id.map(str::to_owned);
                // Where there is one server only, nothing can be shown without it.
                let limit = match ctx.route.is_transparent {
                    true => ctx.view.settings.call_idle,
                    false => ctx.view.settings.list_timeout,
                };
                let name = Arc::clone(&server);
                let meeting = async move {
                    let Some(id) = id else { return hub.peer(&ctx, &server).await };
                    let peers = &ctx.view.parts.peers;
                    peers.peer(&ctx.principal, &server, &ctx.client, Some(&id), None).await
                };
                (name, limit, tokio::spawn(tokio::time::timeout(limit, meeting)))
            })
            .collect();
        let (mut peers, mut trouble) = (Vec::new(), None);
        for (server, limit, task) in tasks {
            match task.await {
                Ok(Ok(Ok(peer))) => peers.push((server, peer)),
                Ok(Ok(Err(failure))) => {
                    trouble.get_or_insert_with(|| told(&failure, &server));
                }
                Ok(Err(_)) => {
                    let failure = crate::portal::upstream::Failure::TimedOut(limit);
                    trouble.get_or_insert_with(|| told(&failure, &server));
                }
                Err(_) => {
                    trouble.get_or_insert_with(|| RpcError::new(code::INTERNAL, "lost"));
                }
            }
        }
        (peers, trouble)
    }

    /// `logging/setLevel`: kept, and told to servers that have levels.
    pub(super) async fn set_level(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        params: Option<&RawValue>,
    ) -> Result<Raw, RpcError> {
        const LEVELS: [&str; 8] =
            ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];
        let level = text(params, "level").filter(|level| LEVELS.contains(&&**level));
        let level =
            level.ok_or_else(|| RpcError::new(code::INVALID_PARAMS, "`level` is no log level"))?;
        let Some(session) = &ctx.session else { return Ok(raw(&Map::new())) };
        let peers = {
            let mut inner = session.inner();
            inner.level = Some(level.clone());
            inner.peers.clone()
        };
        for (_, peer) in peers {
            if peer.about().revision < Revision::V2026_07_28 && offers(&peer, "logging") {
                let params = Some(raw(&json!({"level": level})));
                let outgoing = self.outgoing(ctx, self.next_id(), "logging/setLevel", params);
                // A server without levels sends what it likes.
                drop(super::whole_response(&peer, outgoing).await);
            }
        }
        Ok(raw(&Map::new()))
    }
}

/// What the portal says of itself: for a route with one server, what that says.
fn about(
    ctx: &Context,
    peers: &[(Arc<str>, Arc<dyn Peer>)],
    is_some_missing: bool,
    revision: Revision,
) -> Map<String, Value> {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_default();
    let mut capabilities = Map::new();
    let mut instructions = String::new();
    let mut info = None;
    for (server, peer) in peers {
        let about = peer.about();
        if let Some(Value::Object(own)) = about.capabilities.as_deref().map(value) {
            unite(&mut capabilities, own, ctx.route.is_transparent);
        }
        let said = about.instructions.as_deref().filter(|own| !own.is_empty());
        if let Some(own) = said.and_then(|said| inspected(ctx, server, said)).as_deref() {
            if ctx.route.is_transparent {
                own.clone_into(&mut instructions);
            } else if instructions.len() + own.len() < MAX_INSTRUCTIONS_BYTES {
                instructions.push_str(&format!("## {server}\n\n{own}\n\n"));
            }
        }
        if ctx.route.is_transparent {
            info = about.info.as_deref().map(value);
        }
    }
    let own = || {
        json!({"name": "shadowtap", "title": ctx.view.settings.title,
        "version": env!("CARGO_PKG_VERSION")})
    };
    let is_modern = revision >= Revision::V2026_07_28;
    if is_modern {
        capabilities.remove("tasks");
    }
    if is_some_missing {
        // The list of tools says what has to be done, such as to agree first.
        capabilities.entry("tools").or_insert_with(|| Value::Object(Map::new()));
    }
    let mut result = Map::new();
    result.insert("protocolVersion".to_owned(), revision.as_str().into());
    result.insert("capabilities".to_owned(), capabilities.into());
    result.insert("serverInfo".to_owned(), info.unwrap_or_else(own));
    if !instructions.is_empty() {
        result.insert("instructions".to_owned(), instructions.trim_end().into());
    }
    result
}

/// The instructions of a server, as far as inspection lets them pass.
fn inspected(ctx: &Context, server: &Arc<str>, said: &str) -> Option<String> {
    let call = aside(ctx, server, "initialize");
    let result = raw(&json!({"instructions": said}));
    match ctx.view.parts.inspect.heard(&call, Part::Result(&result)).verdict {
        Verdict::Pass => Some(said.to_owned()),
        Verdict::Changed(result) => member(Some(&result), "instructions"),
        Verdict::Blocked(_) => None,
    }
}

/// Adds what a server can do. At routes with several servers only what the portal can merge.
fn unite(all: &mut Map<String, Value>, own: Map<String, Value>, is_transparent: bool) {
    for (name, value) in own {
        let is_merged =
            matches!(&*name, "tools" | "prompts" | "resources" | "completions" | "logging");
        if !is_transparent && !is_merged {
            continue;
        }
        let known = all.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let (Value::Object(known), Value::Object(own)) = (known, value) {
            for (key, value) in own {
                match known.get(&key) {
                    Some(Value::Bool(true)) => {}
                    _ => drop(known.insert(key, value)),
                }
            }
        }
    }
}
