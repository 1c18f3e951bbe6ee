//! Which server a request is for, and what it calls the thing itself.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::routing;
use crate::portal::hub::catalogue::{Mirror, Rows};
use crate::portal::hub::parts::{Kind, Mark};
use crate::portal::hub::{Context, Hub, Server, names};
use crate::portal::wire::{Raw, Request, RpcError, code, member, object, raw, text};

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) server: Arc<str>,
    pub(super) kind: Kind,
    /// The server's own name.
    pub(super) name: Box<str>,
    /// The name that the client used.
    pub(super) public: Box<str>,
    /// With the server's own name; `None` if they stay.
    pub(super) params: Option<Raw>,
    pub(super) mirrors: Vec<Mirror>,
    /// Of the list that it is on.
    pub(super) mark: Option<Mark>,
}

/// A tool or prompt, found by the name that clients know.
struct Named {
    server: Arc<str>,
    name: Box<str>,
    mirrors: Vec<Mirror>,
    mark: Option<Mark>,
}

/// The same words for what is not there and what somebody may not know of.
pub(super) fn unknown(kind: Kind, name: &str) -> RpcError {
    match kind {
        Kind::Tool => RpcError::new(code::INVALID_PARAMS, &format!("Unknown tool: {name}")),
        Kind::Prompt => RpcError::new(code::INVALID_PARAMS, &format!("Unknown prompt: {name}")),
        Kind::Resource | Kind::Template => RpcError::with_data(
            code::INVALID_PARAMS,
            "Resource not found",
            &serde_json::json!({"uri": name}),
        ),
        Kind::Method => RpcError::new(code::METHOD_NOT_FOUND, "Method not found"),
    }
}

impl Hub {
    pub(super) async fn resolve(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        request: &Request,
    ) -> Result<Target, RpcError> {
        let params = request.params.as_deref();
        if &*request.method == "completion/complete" {
            return self.resolve_completion(ctx, params).await;
        }
        let Some((kind, key)) = routing(&request.method) else {
            return Self::resolve_method(ctx, request);
        };
        let what = format!("`{key}` is missing");
        let named = text(params, key).ok_or_else(|| RpcError::new(code::INVALID_PARAMS, &what))?;
        if kind == Kind::Resource {
            let (server, mark) = self.owner_of(ctx, &named).await?;
            let public = named.clone();
            let (params, mirrors) = (None, Vec::new());
            return Ok(Target { server, kind, name: named, public, params, mirrors, mark });
        }
        let Named { server, name, mirrors, mark } = self.named(ctx, kind, &named).await?;
        let renamed = (name != named).then(|| object(params, vec![(key, Some(raw(&name)))]));
        Ok(Target { server, kind, name, public: named, params: renamed, mirrors, mark })
    }

    /// Methods that are not known here go on where there is one server only.
    fn resolve_method(ctx: &Context, request: &Request) -> Result<Target, RpcError> {
        let none = || unknown(Kind::Method, &request.method);
        let is_ours = ["initialize", "ping", "server/", "logging/", "resources/", "subscriptions/"]
            .iter()
            .any(|own| request.method.starts_with(own));
        let server = ctx.route.servers.first().filter(|_| ctx.route.is_transparent && !is_ours);
        let server = Arc::clone(&server.ok_or_else(none)?.id);
        Ok(Target {
            server,
            kind: Kind::Method,
            name: request.method.clone(),
            public: request.method.clone(),
            params: None,
            mirrors: Vec::new(),
            mark: None,
        })
    }

    /// A tool or prompt by the name that the client knows.
    async fn named(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        kind: Kind,
        public: &str,
    ) -> Result<Named, RpcError> {
        let none = || unknown(kind, public);
        let sees = |server: &&Server| ctx.view.parts.rulings.sees(&ctx.principal, &server.id);
        if ctx.route.is_transparent {
            let server = ctx.route.servers.first().filter(sees).ok_or_else(none)?;
            // What is known of it is known from the list only.
            let rows = self.rows(ctx, server, kind).await.ok();
            let row = rows.as_ref().and_then(|rows| rows.rows.get(*rows.by_name.get(public)?));
            return Ok(Named {
                server: Arc::clone(&server.id),
                name: public.into(),
                mirrors: row.map(|row| row.mirrors.clone()).unwrap_or_default(),
                mark: row.map(|row| row.mark.clone()),
            });
        }
        let prefix = names::prefix_of(public).ok_or_else(none)?;
        let mut servers = ctx.route.servers.iter();
        let server = servers.find(|of| &*of.prefix == prefix).filter(sees).ok_or_else(none)?;
        let rows = self.rows(ctx, server, kind).await?;
        let at = rows.by_public.get(public).ok_or_else(none)?;
        let row = rows.rows.get(*at).ok_or_else(none)?;
        Ok(Named {
            server: Arc::clone(&server.id),
            name: row.name.clone(),
            mirrors: row.mirrors.clone(),
            mark: Some(row.mark.clone()),
        })
    }

    /// The server that has a resource: the one that lists it, else the one whose template it fits,
    /// else the only one that has any of its scheme.
    pub(super) async fn owner_of(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        uri: &str,
    ) -> Result<(Arc<str>, Option<Mark>), RpcError> {
        let none = || unknown(Kind::Resource, uri);
        if let [server] = ctx.route.servers.as_slice() {
            let sees = ctx.view.parts.rulings.sees(&ctx.principal, &server.id);
            return if sees { Ok((Arc::clone(&server.id), None)) } else { Err(none()) };
        }
        let lists = self.all_rows(ctx, Kind::Resource).await;
        let lists: Vec<_> =
            lists.into_iter().filter_map(|(of, rows)| Some((of.id, rows.ok()?))).collect();
        let row = |rows: &Rows| rows.rows.get(*rows.by_name.get(uri)?).map(|row| row.mark.clone());
        let mut listed = lists.iter().filter_map(|(server, rows)| Some((server, row(rows)?)));
        if let Some((server, mark)) = listed.next() {
            return Ok((Arc::clone(server), Some(mark)));
        }
        let templates = self.all_rows(ctx, Kind::Template).await;
        let templates: Vec<_> =
            templates.into_iter().filter_map(|(of, rows)| Some((of.id, rows.ok()?))).collect();
        let fits = |template: &str| {
            let fixed = template.split('{').next().unwrap_or_default();
            !fixed.is_empty() && uri.starts_with(fixed)
        };
        let owner = templates.iter().find(|(_, rows)| rows.rows.iter().any(|row| fits(&row.name)));
        if let Some((server, _)) = owner {
            return Ok((Arc::clone(server), None));
        }
        let scheme = uri.split(':').next().unwrap_or_default();
        let has_scheme = |name: &str| name.split(':').next() == Some(scheme);
        let mut owners: Vec<&Arc<str>> = lists
            .iter()
            .chain(&templates)
            .filter(|(_, rows)| rows.rows.iter().any(|row| has_scheme(&row.name)))
            .map(|(server, _)| server)
            .collect();
        owners.sort();
        owners.dedup();
        match owners.as_slice() {
            [server] => Ok((Arc::clone(server), None)),
            _ => Err(none()),
        }
    }

    async fn resolve_completion(
        self: &Arc<Self>,
        ctx: &Arc<Context>,
        params: Option<&RawValue>,
    ) -> Result<Target, RpcError> {
        let missing = || RpcError::new(code::INVALID_PARAMS, "`ref` is missing");
        let of: Raw = member(params, "ref").ok_or_else(missing)?;
        if let Some(uri) = text(Some(&of), "uri") {
            let (server, mark) = self.owner_of(ctx, &uri).await?;
            let kind = Kind::Resource;
            let public = uri.clone();
            let (params, mirrors) = (None, Vec::new());
            return Ok(Target { server, kind, name: uri, public, params, mirrors, mark });
        }
        let public = text(Some(&of), "name").ok_or_else(missing)?;
        let Named { server, name, mark, .. } = self.named(ctx, Kind::Prompt, &public).await?;
        let of = object(Some(&of), vec![("name", Some(raw(&name)))]);
        let params = Some(object(params, vec![("ref", Some(of))]));
        Ok(Target { server, kind: Kind::Prompt, name, public, params, mirrors: vec![], mark })
    }
}
