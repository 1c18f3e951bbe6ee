//! Lists for clients: those of all servers of a route, as much as somebody may see, page by page.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fetch::public_of;
use super::{Kind, Row, Rows, listing};
use crate::portal::hub::parts::Listed;
use crate::portal::hub::seal::Purpose;
use crate::portal::hub::{Context, Hub, Server};
use crate::portal::wire::{Raw, RpcError, code, object, raw, text};

/// Where the next page begins.
#[derive(Serialize, Deserialize)]
struct Cursor {
    /// Place of the server among those of the route, and its id.
    server: usize,
    id: String,
    /// Place in its list.
    row: usize,
}

/// A server that is not in a list.
#[derive(Serialize)]
struct Missing<'a> {
    server: &'a str,
    why: Box<str>,
}

impl Hub {
    /// A page of a list. A server that is in trouble is left out, and that is said in `_meta`; only
    /// if all of them are is that an error.
    pub(in crate::portal::hub) async fn list(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        kind: Kind,
        params: Option<&RawValue>,
    ) -> Result<Raw, RpcError> {
        let begin = self.cursor(ctx, kind, params)?;
        let lists = self.all_rows(ctx, kind).await;
        let mut missing = Vec::new();
        let mut page = Page { text: String::with_capacity(4096), count: 0 };
        let mut next = None;
        let mut left_out = 0;
        for (place, (server, rows)) in lists.iter().enumerate() {
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    missing.push(Missing { server: &server.id, why: error.message.clone() });
                    continue;
                }
            };
            left_out += rows.left_out;
            let from = match &begin {
                Some(begin) if place < begin.server => continue,
                Some(begin) if place == begin.server && *begin.id == *server.id => begin.row,
                _ => 0,
            };
            if let Some(row) = page.fill(ctx, server, kind, rows, from) {
                next = Some(Cursor { server: place, id: server.id.to_string(), row });
                break;
            }
        }
        if !lists.is_empty() && missing.len() == lists.len() {
            let first = lists.into_iter().find_map(|(_, rows)| rows.err());
            return Err(first.unwrap_or_else(|| RpcError::new(code::INTERNAL, "no server")));
        }
        let next = next.and_then(|next| self.seal_cursor(ctx, kind, &next));
        Ok(self.result(ctx, kind, &page, next, &missing, left_out))
    }

    fn cursor(
        &self,
        ctx: &Context,
        kind: Kind,
        params: Option<&RawValue>,
    ) -> Result<Option<Cursor>, RpcError> {
        let Some(sealed) = text(params, "cursor") else { return Ok(None) };
        let more = bound(ctx, kind);
        let open = self.ring.open(Purpose::Cursor, &ctx.principal.owner, &more, &sealed);
        let cursor = open.ok().and_then(|text| serde_json::from_slice(&text).ok());
        cursor.map(Some).ok_or_else(|| RpcError::new(code::INVALID_PARAMS, "Invalid cursor"))
    }

    fn seal_cursor(&self, ctx: &Context, kind: Kind, cursor: &Cursor) -> Option<String> {
        let text = serde_json::to_vec(cursor).ok()?;
        let more = bound(ctx, kind);
        self.ring.seal(Purpose::Cursor, &ctx.principal.owner, &more, &text).ok()
    }

    /// The lists of all servers that somebody sees, at the same time.
    pub(in crate::portal::hub) async fn all_rows(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        kind: Kind,
    ) -> Vec<(Server, Result<Arc<Rows>, RpcError>)> {
        let rulings = &ctx.view.parts.rulings;
        let seen = ctx.route.servers.iter().filter(|of| rulings.sees(&ctx.principal, &of.id));
        let seen: Vec<&Server> = seen.collect();
        if let [server] = seen.as_slice() {
            return vec![((*server).clone(), self.rows(ctx, server, kind).await)];
        }
        let tasks: Vec<_> = seen
            .into_iter()
            .map(|server| {
                let (hub, ctx, own) = (Arc::clone(self), Arc::clone(ctx), server.clone());
                (server.clone(), tokio::spawn(async move { hub.rows(&ctx, &own, kind).await }))
            })
            .collect();
        let mut all = Vec::with_capacity(tasks.len());
        for (server, task) in tasks {
            let lost = |_| Err(RpcError::new(code::INTERNAL, "the list could not be made"));
            let rows = task.await.unwrap_or_else(lost);
            all.push((server, rows));
        }
        all
    }

    fn result(
        &self,
        ctx: &Context,
        kind: Kind,
        page: &Page,
        next: Option<String>,
        missing: &[Missing<'_>],
        left_out: usize,
    ) -> Raw {
        let (_, member, _) = listing(kind);
        let mut out = format!("{{\"{member}\":[{}]", page.text);
        let mut add = |name: &str, value: &Raw| {
            out.push_str(",\"");
            out.push_str(name);
            out.push_str("\":");
            out.push_str(value.get());
        };
        if let Some(next) = next {
            add("nextCursor", &raw(&next));
        }
        if ctx.is_modern() {
            add("resultType", &raw(&"complete"));
            // What somebody may see can change at any time; nobody else may see it.
            let ttl = ctx.view.settings.list_ttl.as_millis();
            add("ttlMs", &raw(&u64::try_from(ttl).unwrap_or(u64::MAX)));
            add("cacheScope", &raw(&"private"));
        }
        if !missing.is_empty() || left_out > 0 {
            let note = serde_json::json!({
                "shadowtap/unavailable": missing,
                "shadowtap/leftOut": left_out,
            });
            add("_meta", &raw(&note));
        }
        out.push('}');
        RawValue::from_string(out).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }
}

/// What a cursor is good for.
fn bound(ctx: &Context, kind: Kind) -> Vec<u8> {
    [kind.as_str().as_bytes(), b"\0", ctx.route.name.as_bytes()].concat()
}

/// Things with commas between them.
struct Page {
    text: String,
    count: usize,
}

impl Page {
    /// Adds what somebody may see of a list from a place on; where to go on, if it is full.
    fn fill(
        &mut self,
        ctx: &Context,
        server: &Server,
        kind: Kind,
        rows: &Rows,
        from: usize,
    ) -> Option<usize> {
        let listed: Vec<Listed<'_>> =
            rows.rows.iter().map(|row| Listed { name: &row.name, mark: &row.mark }).collect();
        let seen = ctx.view.parts.rulings.list(&ctx.principal, &server.id, kind, &listed);
        for (at, row) in rows.rows.iter().enumerate().skip(from) {
            if seen.get(at) != Some(&true) {
                continue;
            }
            if self.count == ctx.view.settings.page_items {
                return Some(at);
            }
            if self.count > 0 {
                self.text.push(',');
            }
            self.add(ctx, server, kind, rows, row);
            self.count += 1;
        }
        None
    }

    fn add(&mut self, ctx: &Context, server: &Server, kind: Kind, rows: &Rows, row: &Row) {
        let is_named = matches!(kind, Kind::Tool | Kind::Prompt);
        if ctx.route.is_transparent || !is_named {
            return self.text.push_str(row.raw.get());
        }
        let name = raw(&public_of(server, rows, &row.name));
        let described = server.overrides.get(&row.name).and_then(|set| set.description.as_deref());
        if let Some(description) = described {
            let changes = vec![("name", Some(name)), ("description", Some(raw(&description)))];
            return self.text.push_str(object(Some(&row.raw), changes).get());
        }
        let whole = row.raw.get();
        let before = whole.get(..row.name_at.start).unwrap_or_default();
        let behind = whole.get(row.name_at.end..).unwrap_or_default();
        self.text.extend([before, name.get(), behind]);
    }
}
