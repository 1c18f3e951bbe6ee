//! Whole lists of servers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Kind, Row, Rows, listing, mirror, schema};
use crate::portal::guard::Part;
use crate::portal::hub::bridge::whole_response;
use crate::portal::hub::clock::Instant;
use crate::portal::hub::parts::{Call, Mark, Verdict};
use crate::portal::hub::{Context, Hub, Server, names};
use crate::portal::upstream::{Failure, Peer, told};
use crate::portal::wire::{Raw, RpcError, code, member, raw};

/// Pages of one list that are fetched.
const MAX_PAGES: usize = 100;
/// A list that cannot be fetched again is shown for so long.
pub(super) const STALE: Duration = Duration::from_secs(600);

/// A page, as servers give it.
#[derive(Deserialize)]
struct Page {
    #[serde(
        default,
        alias = "tools",
        alias = "prompts",
        alias = "resources",
        alias = "resourceTemplates"
    )]
    items: Vec<Raw>,
    #[serde(default, rename = "nextCursor")]
    next: Option<Raw>,
    #[serde(default, rename = "ttlMs")]
    ttl_ms: Option<u64>,
}

/// What is read of one thing.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default, borrow)]
    name: Option<&'a RawValue>,
    #[serde(default, borrow)]
    uri: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "uriTemplate")]
    template: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "inputSchema")]
    schema: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "outputSchema")]
    output: Option<&'a RawValue>,
}

impl Hub {
    /// The whole list of a server for somebody: a kept one that is still good, else a new one, else
    /// an old one.
    pub(in crate::portal::hub) async fn rows(
        &self,
        ctx: &Context,
        server: &Server,
        kind: Kind,
    ) -> Result<Arc<Rows>, RpcError> {
        let resource = ctx.view.parts.peers.resource(&server.id);
        let key = (ctx.principal.at(&server.id, &resource), kind);
        let kept = self.catalogue.get(&key);
        if let Some(rows) = kept.as_ref().filter(|rows| Instant::now() < rows.until) {
            return Ok(Arc::clone(rows));
        }
        let limit = ctx.view.settings.list_timeout;
        let fetched = tokio::time::timeout(limit, self.fetch(ctx, server, kind)).await;
        let fetched = fetched.unwrap_or_else(|_| Err(told(&Failure::TimedOut(limit), &server.id)));
        match fetched {
            Ok(rows) => {
                let rows = Arc::new(rows);
                self.catalogue.put(key, &rows);
                Ok(rows)
            }
            Err(error) => {
                let now = Instant::now();
                kept.filter(|rows| now < rows.until + STALE).ok_or(error)
            }
        }
    }

    async fn fetch(&self, ctx: &Context, server: &Server, kind: Kind) -> Result<Rows, RpcError> {
        let failed = |failure: Failure| told(&failure, &server.id);
        let peer = self.peer(ctx, &server.id).await.map_err(failed)?;
        let (_, _, capability) = listing(kind);
        let mut all = Vec::new();
        let mut ttl = ctx.view.settings.list_ttl;
        let mut left_out = 0;
        if offers(&peer, capability) {
            let mut cursor: Option<Raw> = None;
            for _ in 0..MAX_PAGES {
                let Some(page) = self.page(ctx, server, kind, &peer, cursor.take()).await? else {
                    break;
                };
                if let Some(ms) = page.ttl_ms {
                    ttl = ttl.min(Duration::from_millis(ms));
                }
                let room = ctx.view.settings.max_items.saturating_sub(all.len());
                left_out += page.items.len().saturating_sub(room);
                all.extend(page.items.into_iter().take(room));
                // The same cursor again would go round for ever.
                cursor = page.next.filter(|next| next.get() != "null");
                if cursor.is_none() || left_out > 0 {
                    break;
                }
            }
        }
        let mut rows = Rows {
            rows: Vec::with_capacity(all.len()),
            by_public: HashMap::new(),
            by_name: HashMap::new(),
            until: Instant::now() + ttl,
            left_out,
        };
        for raw in all {
            add(&mut rows, server, kind, raw);
        }
        let whole: Vec<&RawValue> = rows.rows.iter().map(|row| &*row.raw).collect();
        let marks = ctx.view.parts.rulings.fetched(&server.id, kind, &whole);
        for (row, mark) in rows.rows.iter_mut().zip(marks) {
            row.mark = mark;
        }
        Ok(rows)
    }

    /// One page; nothing where the server does not know such lists.
    async fn page(
        &self,
        ctx: &Context,
        server: &Server,
        kind: Kind,
        peer: &Arc<dyn Peer>,
        cursor: Option<Raw>,
    ) -> Result<Option<Page>, RpcError> {
        let (method, ..) = listing(kind);
        let params = cursor.map(|cursor| raw(&HashMap::from([("cursor", cursor)])));
        let outgoing = self.outgoing(ctx, self.next_id(), method, params);
        let response = whole_response(peer, outgoing).await;
        let result = match response.map_err(|failure| told(&failure, &server.id))?.outcome {
            Ok(result) => result,
            Err(error) if error.code == code::METHOD_NOT_FOUND => return Ok(None),
            Err(error) => return Err(error),
        };
        let call = aside(ctx, &server.id, method);
        let inspected = ctx.view.parts.inspect.heard(&call, Part::Result(&result));
        let result = match inspected.verdict {
            Verdict::Pass => result,
            Verdict::Changed(result) => result,
            Verdict::Blocked(refusal) => return Err(refusal.to_error()),
        };
        let garbled = |_| told(&Failure::Garbled("list".into()), &server.id);
        serde_json::from_str(result.get()).map(Some).map_err(garbled)
    }
}

/// A call for what belongs to none: lists, instructions, what servers say unasked.
pub(in crate::portal::hub) fn aside(ctx: &Context, server: &Arc<str>, method: &str) -> Call {
    Call {
        principal: Arc::clone(&ctx.principal),
        client: Arc::clone(&ctx.client),
        from: Arc::clone(&ctx.origin),
        session: ctx.session.as_ref().map(|session| Arc::clone(&session.id)),
        revision: ctx.revision,
        server: Arc::clone(server),
        kind: Kind::Method,
        method: method.into(),
        name: method.into(),
        public: method.into(),
        mark: None,
        params: None,
        arguments: None,
        param_headers: Vec::new(),
        request_bytes: 0,
    }
}

/// Whether a server says that it has something; one that says nothing at all is asked.
pub(in crate::portal::hub) fn offers(peer: &Arc<dyn Peer>, capability: &str) -> bool {
    let about = peer.about();
    about.capabilities.as_deref().is_none_or(|capabilities| {
        member::<serde::de::IgnoredAny>(Some(capabilities), capability).is_some()
    })
}

/// Adds a thing, unless it has no name, or one that was there, or is no valid tool.
fn add(rows: &mut Rows, server: &Server, kind: Kind, raw: Raw) {
    let Ok(head) = serde_json::from_str::<Head<'_>>(raw.get()) else {
        rows.left_out += 1;
        return;
    };
    let named = match kind {
        Kind::Tool | Kind::Prompt | Kind::Method => head.name,
        Kind::Resource => head.uri,
        Kind::Template => head.template,
    };
    let name = named.and_then(|named| serde_json::from_str::<Box<str>>(named.get()).ok());
    let is_good = |schema: Option<&RawValue>| schema.is_none_or(|it| schema::check(it).is_ok());
    let is_sound = kind != Kind::Tool || is_good(head.schema) && is_good(head.output);
    let mirrors = head.schema.filter(|_| kind == Kind::Tool && is_sound).map(mirror::mirrors);
    let (Some(named), Some(name), Ok(mirrors)) = (named, name, mirrors.unwrap_or(Ok(Vec::new())))
    else {
        rows.left_out += 1;
        return;
    };
    if !is_sound || rows.by_name.contains_key(&name) {
        rows.left_out += 1;
        return;
    }
    let start = named.get().as_ptr().addr().saturating_sub(raw.get().as_ptr().addr());
    let name_at = start..start + named.get().len();
    let at = rows.rows.len();
    if matches!(kind, Kind::Tool | Kind::Prompt) {
        let public = public_name(server, &name, rows);
        rows.by_public.insert(public.into(), at);
    }
    rows.by_name.insert(name.clone(), at);
    rows.rows.push(Row { name, raw, name_at, mirrors, mark: Mark::default() });
}

/// The name that clients know: by the alias, unless something else has that name already.
fn public_name(server: &Server, own: &str, rows: &Rows) -> String {
    let alias = server.overrides.get(own).and_then(|set| set.alias.as_deref());
    let aliased = alias.map(|alias| names::name(&server.prefix, alias));
    let is_free = |name: &String| !rows.by_public.contains_key(&**name);
    aliased.filter(is_free).unwrap_or_else(|| names::name(&server.prefix, own))
}

/// The name that clients know of a row.
pub(in crate::portal::hub) fn public_of(server: &Server, rows: &Rows, own: &str) -> String {
    let alias = server.overrides.get(own).and_then(|set| set.alias.as_deref());
    let aliased = alias.map(|alias| names::name(&server.prefix, alias));
    let at = rows.by_name.get(own);
    let is_own = |name: &String| rows.by_public.get(&**name) == at;
    aliased.filter(is_own).unwrap_or_else(|| names::name(&server.prefix, own))
}
