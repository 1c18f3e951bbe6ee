//! Tokens of persons (MCP authorization, the portal as a client): found, used, refreshed, revoked.
//! How persons agree is in `consent`.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::challenge::Challenge;
use super::config::{Method, Person as Config};
use super::discovery::{self, AuthServer, Found};
use super::fetch::{Fetch, Trouble, json, post_json};
use super::grant::{Granted, NoGrant, Registered};
use super::plain::{EARLY, SETTLE, failure};
use super::vault::{Entry, Slot, Vault};
use crate::portal::identity::recent::Recent;
use crate::portal::identity::{Clock, Place};
use crate::portal::principal::{Scope, Secret};
use crate::portal::upstream::Failure;

/// Seconds after which an upstream is asked anew which authorization server it has.
const FRESH: i64 = 3_600;
/// Seconds after which it is asked again where that failed.
const RETRY: i64 = 60;
/// Seconds between two times that it is asked again because it refused a token.
const ANEW: i64 = 10;
/// Seconds after which a token is read anew: it may have been revoked by another replica.
const REREAD: i64 = 60;
/// Tokens that are remembered, at about 4 KiB each; the least used are read anew.
const MAX_KEPT: usize = 8_192;
/// Path of the client's metadata document.
pub(super) const DOCUMENT: &str = "/connect/client.json";
/// Path that authorization servers send persons back to: there is one, to the letter.
pub(super) const CALLBACK: &str = "/connect/callback";

/// Tokens of persons at one server.
pub(super) struct Persons {
    pub(super) server: Arc<str>,
    pub(super) resource: Arc<str>,
    pub(super) config: Config,
    pub(super) fetch: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    pub(super) place: Place,
    pub(super) client_name: Arc<str>,
    vault: Arc<Vault>,
    found: Mutex<Option<(Arc<Found>, i64)>>,
    /// When a refusal last had the upstream asked anew.
    asked_anew: AtomicI64,
    kept: Recent<Slot, (Entry, i64)>,
    /// Scopes that the server asked for in a refusal (MCP, "Step-Up Authorization").
    wanted: Recent<Scope, Arc<str>>,
}

impl fmt::Debug for Persons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Persons").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Clone, Debug)]
pub(super) enum NoToken {
    /// The person has to agree, again or for the first time.
    Consent,
    /// Trouble that has nothing to do with the person.
    Failed(Failure),
}

/// What the portal is registered as, as it is kept.
#[derive(Serialize, Deserialize)]
struct Registration {
    client_id: String,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    token_endpoint_auth_method: Option<String>,
}

impl Persons {
    pub(super) fn new(
        (server, resource): (&Arc<str>, &Arc<str>),
        config: Config,
        vault: &Arc<Vault>,
        fetch: &Arc<dyn Fetch>,
        (clock, place, client_name): (&Clock, &Place, &Arc<str>),
    ) -> Self {
        Self {
            server: Arc::clone(server),
            resource: Arc::clone(resource),
            config,
            fetch: Arc::clone(fetch),
            clock: clock.clone(),
            place: place.clone(),
            client_name: Arc::clone(client_name),
            vault: Arc::clone(vault),
            found: Mutex::new(None),
            asked_anew: AtomicI64::new(i64::MIN),
            kept: Recent::new(MAX_KEPT),
            wanted: Recent::new(MAX_KEPT),
        }
    }

    pub(super) fn redirect(&self) -> String {
        format!("{}{CALLBACK}", self.place.origin())
    }

    fn slot(&self, scope: &Scope, issuer: &str) -> Slot {
        Slot::Token { scope: scope.clone(), issuer: issuer.into() }
    }

    /// The authorization server, and what to ask it for.
    pub(super) async fn found(&self) -> Result<Arc<Found>, Trouble> {
        let now = self.clock.seconds();
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((found, at)) = &known
            && now.saturating_sub(*at) < FRESH
        {
            return Ok(Arc::clone(found));
        }
        let pinned = self.config.issuer.as_deref();
        let asked = discovery::of_upstream(&*self.fetch, &self.resource, pinned).await;
        let (found, at) = match (asked, known) {
            (Ok(found), _) => (Arc::new(found), now),
            // Trouble changes nothing; it is asked again soon.
            (Err(_), Some((known, _))) => (known, now - FRESH + RETRY),
            (Err(trouble), None) => return Err(trouble),
        };
        let kept = Some((Arc::clone(&found), at));
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(found)
    }

    /// A token was refused: the upstream may have gone to another authorization server (MCP
    /// 2026-07-28, "Authorization Server Migration").
    fn forget_found(&self) {
        let now = self.clock.seconds();
        if now.saturating_sub(self.asked_anew.load(Relaxed)) < ANEW {
            return;
        }
        self.asked_anew.store(now, Relaxed);
        if let Some((_, at)) = &mut *self.found.lock().unwrap_or_else(PoisonError::into_inner) {
            *at = now - FRESH;
        }
    }

    fn read(&self, slot: &Slot, is_anew: bool) -> Result<Option<Entry>, NoToken> {
        let now = self.clock.seconds();
        if !is_anew
            && let Some((entry, at)) = self.kept.get(slot)
            && now.saturating_sub(at) < REREAD
        {
            return Ok(Some(entry));
        }
        let entry: Option<Entry> = self.vault.get(slot).map_err(failed)?;
        match &entry {
            Some(entry) => self.kept.put(slot.clone(), (entry.clone(), now)),
            None => drop(self.kept.take(slot)),
        }
        Ok(entry)
    }

    /// `Authorization` for a person.
    pub(super) async fn token(
        &self,
        scope: &Scope,
        refused: Option<&str>,
    ) -> Result<Secret, NoToken> {
        let challenge = refused.map(Challenge::of).unwrap_or_default();
        if refused.is_some() && challenge.error.as_deref() != Some("insufficient_scope") {
            self.forget_found();
        }
        let found = self.found().await;
        let found = found.map_err(|trouble| failed(format!("{}: {trouble}", self.server)))?;
        let slot = self.slot(scope, &found.server.issuer);
        let now = self.clock.seconds();
        if challenge.error.as_deref() == Some("insufficient_scope") {
            let scopes = challenge.scope.unwrap_or_default();
            self.wanted.put(scope.clone(), scopes.into());
            return Err(NoToken::Consent);
        }
        let entry = self.read(&slot, false)?.ok_or(NoToken::Consent)?;
        if entry.holds(now, refused.is_some()) {
            return Ok(entry.header());
        }
        let _lock = self.vault.lock(&slot).await.map_err(failed)?;
        // Somebody may have been quicker.
        let entry = self.read(&slot, true)?.ok_or(NoToken::Consent)?;
        if entry.holds(now, refused.is_some()) {
            return Ok(entry.header());
        }
        self.refresh(&found, &slot, &entry).await
    }

    async fn refresh(&self, found: &Found, slot: &Slot, entry: &Entry) -> Result<Secret, NoToken> {
        let (Some(refresh), Some(endpoint)) = (&entry.refresh, &found.server.token_endpoint) else {
            return Err(NoToken::Consent);
        };
        let client = self.registered(&found.server).map_err(failed)?.ok_or(NoToken::Consent)?;
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh),
            ("resource", &found.resource),
        ];
        match client.ask(&*self.fetch, endpoint, &fields).await {
            Ok(granted) => {
                let entry = self.keep(slot, &granted, Some(entry)).map_err(failed)?;
                Ok(entry.header())
            }
            Err(NoGrant::Error(code)) if code == "invalid_grant" || code == "invalid_client" => {
                self.forget(slot).map_err(failed)?;
                if code == "invalid_client" {
                    self.forget_registration(&found.server.issuer).map_err(failed)?;
                }
                Err(NoToken::Consent)
            }
            Err(why) => Err(NoToken::Failed(failure(&why))),
        }
    }

    /// Keeps what was granted; what is not said stays as it was.
    fn keep(&self, slot: &Slot, granted: &Granted, old: Option<&Entry>) -> Result<Entry, String> {
        let now = self.clock.seconds();
        let scopes = granted.scope.clone().or_else(|| old.map(|old| old.scopes.clone()));
        let entry = Entry {
            access: granted.access.clone(),
            refresh: granted.refresh.clone().or_else(|| old?.refresh.clone()),
            expires: granted.lasts.map(|lasts| now.saturating_add(lasts)),
            obtained: now,
            scopes: scopes.unwrap_or_default(),
        };
        self.vault.put(slot, &entry)?;
        self.kept.put(slot.clone(), (entry.clone(), now));
        Ok(entry)
    }

    /// Keeps the token of a person who has just agreed.
    pub(super) fn agreed(
        &self,
        scope: &Scope,
        issuer: &str,
        granted: &Granted,
    ) -> Result<(), String> {
        self.wanted.take(scope);
        self.keep(&self.slot(scope, issuer), granted, None).map(drop)
    }

    fn forget(&self, slot: &Slot) -> Result<(), String> {
        self.kept.take(slot);
        self.vault.remove(slot)
    }

    /// Whether there is a token for somebody.
    pub(super) fn is_connected(&self, scope: &Scope, issuer: &str) -> bool {
        matches!(self.read(&self.slot(scope, issuer), true), Ok(Some(_)))
    }

    /// Scopes to ask for, separated by spaces: configured ones or those that the upstream names,
    /// what it asked for in a refusal, and what the person has agreed to already.
    pub(super) fn scopes(&self, scope: &Scope, found: &Found) -> String {
        let own = if self.config.scopes.is_empty() { &found.scopes } else { &self.config.scopes };
        let wanted = self.wanted.get(scope);
        let has = self.read(&self.slot(scope, &found.server.issuer), true).ok().flatten();
        let mut scopes: Vec<&str> = own.iter().map(|scope| &**scope).collect();
        scopes.extend(wanted.iter().flat_map(|wanted| wanted.split(' ')));
        if wanted.is_some() {
            scopes.extend(has.iter().flat_map(|entry| entry.scopes.split(' ')));
        }
        // Without it some give no refresh token, and the person would be asked every hour.
        if self.config.scopes.is_empty() && !scopes.is_empty() {
            let offline = found.server.scopes_supported.iter().find(|it| *it == "offline_access");
            scopes.extend(offline.map(String::as_str));
        }
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        scopes.retain(|scope| !scope.is_empty() && scope.bytes().all(fits));
        scopes.sort_unstable();
        scopes.dedup();
        scopes.truncate(64);
        scopes.join(" ")
    }

    /// Revokes and forgets (RFC 7009). What the authorization server says to it changes nothing.
    pub(super) async fn revoke(&self, scope: &Scope) -> Result<(), String> {
        let found = self.found().await.map_err(|trouble| trouble.to_string())?;
        let slot = self.slot(scope, &found.server.issuer);
        let entry = self.vault.get::<Entry>(&slot)?;
        self.forget(&slot)?;
        let endpoint = &found.server.revocation_endpoint;
        if let (Some(entry), Some(endpoint)) = (entry, endpoint)
            && let Some(client) = self.registered(&found.server)?
        {
            let token = entry.refresh.as_deref().unwrap_or(&entry.access);
            let hint = if entry.refresh.is_some() { "refresh_token" } else { "access_token" };
            let fields = [("token", token), ("token_type_hint", hint)];
            let _best_effort = client.post(&*self.fetch, endpoint, &fields).await;
        }
        Ok(())
    }

    fn registration(&self, issuer: &str) -> Slot {
        Slot::Registration { server: Arc::clone(&self.server), issuer: issuer.into() }
    }

    pub(super) fn forget_registration(&self, issuer: &str) -> Result<(), String> {
        self.vault.remove(&self.registration(issuer))
    }

    /// The portal as a client of this authorization server, if it is one: by hand, by its metadata
    /// document, or as it registered itself.
    pub(super) fn registered(&self, server: &AuthServer) -> Result<Option<Registered>, String> {
        let config = &self.config;
        if let Some(id) = &config.client_id {
            let file = config.client_secret_file.as_ref();
            return Registered::of(id, file, config.authentication).map(Some);
        }
        if server.client_id_metadata_document_supported && self.place.is_https() {
            let id = format!("{}{DOCUMENT}", self.place.origin());
            return Ok(Some(Registered { id, secret: None, method: Method::None }));
        }
        let kept = self.vault.get::<Registration>(&self.registration(&server.issuer))?;
        Ok(kept.map(Registration::client))
    }

    /// As [`Self::registered`]; registers the portal where it is not (RFC 7591).
    pub(super) async fn client(&self, server: &AuthServer) -> Result<Registered, String> {
        if let Some(client) = self.registered(server)? {
            return Ok(client);
        }
        let Some(endpoint) = &server.registration_endpoint else {
            return Err(format!(
                "{} takes no clients that it does not know: register the portal there and give \
                 client_id and issuer",
                server.issuer
            ));
        };
        let usual = ["client_secret_basic".to_owned()];
        let methods = server.token_endpoint_auth_methods_supported.as_deref().unwrap_or(&usual);
        let method = ["none", "client_secret_basic", "client_secret_post"]
            .into_iter()
            .find(|method| methods.iter().any(|own| own == method))
            .ok_or_else(|| format!("{} takes no client that we could be", server.issuer))?;
        let body = json!({
            "client_name": &*self.client_name,
            "redirect_uris": [self.redirect()],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method,
            "application_type": "web",
        });
        let reply = post_json(&*self.fetch, endpoint, &body).await;
        let reply = reply.map_err(|trouble| format!("{}: {trouble}", server.issuer))?;
        if !reply.status.is_success() {
            return Err(format!("{} did not register us: {}", server.issuer, reply.status));
        }
        let mut given: Registration =
            json(&reply.body).map_err(|trouble| format!("{}: {trouble}", server.issuer))?;
        given.token_endpoint_auth_method.get_or_insert_with(|| method.to_owned());
        self.vault.put(&self.registration(&server.issuer), &given)?;
        Ok(given.client())
    }
}

fn failed(why: impl Into<Box<str>>) -> NoToken {
    NoToken::Failed(Failure::Unreachable(why.into()))
}

impl Registration {
    fn client(self) -> Registered {
        let method = match (self.token_endpoint_auth_method.as_deref(), &self.client_secret) {
            (_, None) | (Some("none"), _) => Method::None,
            (Some("client_secret_post"), _) => Method::Post,
            _ => Method::Basic,
        };
        let secret = self.client_secret.as_deref().map(Secret::new);
        Registered { id: self.client_id, secret, method }
    }
}

impl Entry {
    fn header(&self) -> Secret {
        Secret::new(&format!("Bearer {}", self.access))
    }

    /// Whether it may be used. One that was refused is used again only if it has just come.
    fn holds(&self, now: i64, is_refused: bool) -> bool {
        let lasts = self.expires.is_none_or(|end| now < end.saturating_sub(EARLY));
        lasts && !(is_refused && now >= self.obtained.saturating_add(SETTLE))
    }
}
