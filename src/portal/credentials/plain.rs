//! Credentials that need nobody's consent: files, the portal's own tokens, and exchanged ones.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::config::Client;
use super::discovery;
use super::fetch::Fetch;
use super::grant::{Granted, NoGrant, Registered, secret};
use crate::portal::identity::recent::Recent;
use crate::portal::identity::{Clock, sha256};
use crate::portal::principal::{Principal, Scope, Secret};
use crate::portal::upstream::Failure;

/// Seconds before its end from which a token is not used any more.
pub(super) const EARLY: i64 = 30;
/// Seconds for which a token is used whose end is not told.
const UNTOLD: i64 = 300;
/// Seconds within which a refused token is not asked for again: all calls that were under way are
/// refused, and only the first is to have a new one.
pub(super) const SETTLE: i64 = 5;
/// Exchanged tokens that are remembered, at about 2 KiB each; the least used go first.
const MAX_EXCHANGED: usize = 8_192;

/// A value in a file.
#[derive(Debug)]
pub(super) struct Fixed {
    file: PathBuf,
    prefix: &'static str,
    kept: Mutex<Option<(SystemTime, u64, Secret)>>,
}

impl Fixed {
    pub(super) fn new(file: PathBuf, prefix: &'static str) -> Self {
        Self { file, prefix, kept: Mutex::new(None) }
    }

    /// What the file holds now. A file that is away or empty for a moment, as when it is written
    /// anew, changes nothing.
    pub(super) fn value(&self) -> Result<Secret, Failure> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = std::fs::metadata(&self.file)
            .and_then(|about| Ok((about.modified()?, about.len())))
            .unwrap_or((SystemTime::UNIX_EPOCH, 0));
        if let Some((time, size, value)) = &*kept
            && (*time, *size) == stamp
        {
            return Ok(value.clone());
        }
        match (secret(&self.file), &*kept) {
            (Ok(own), _) => {
                let value = Secret::new(&format!("{}{}", self.prefix, own.expose()));
                *kept = Some((stamp.0, stamp.1, value.clone()));
                Ok(value)
            }
            (Err(_), Some((_, _, old))) => Ok(old.clone()),
            (Err(why), None) => Err(Failure::Unreachable(why.into())),
        }
    }
}

/// A token, and until when it is used, in seconds since the Unix epoch.
#[derive(Clone, Debug)]
pub(super) struct Held {
    value: Secret,
    obtained: i64,
    until: i64,
}

impl Held {
    fn of(granted: &Granted, now: i64, at_most: i64) -> Self {
        let lasts = granted.lasts.unwrap_or(UNTOLD + EARLY).saturating_sub(EARLY).max(1);
        let value = Secret::new(&format!("Bearer {}", granted.access));
        Self { value, obtained: now, until: now.saturating_add(lasts).min(at_most) }
    }

    /// Whether it may be used.
    fn holds(&self, now: i64, is_refused: bool) -> bool {
        now < self.until && !(is_refused && now >= self.obtained.saturating_add(SETTLE))
    }
}

pub(super) fn failure(why: &NoGrant) -> Failure {
    match why {
        NoGrant::Error(_) => Failure::Refused(401, why.to_string().into()),
        NoGrant::Trouble(_) => Failure::Unreachable(why.to_string().into()),
    }
}

/// The portal as a client.
#[derive(Debug)]
pub(super) struct Machine {
    config: Client,
    fetch: Arc<dyn Fetch>,
    clock: Clock,
    endpoint: tokio::sync::OnceCell<String>,
    /// The portal's own token: nobody's in particular, so it needs no key.
    own: tokio::sync::Mutex<Option<Held>>,
    /// By whose it is and where, and by what was exchanged.
    exchanged: Recent<(Scope, [u8; 32]), Held>,
}

impl Machine {
    pub(super) fn new(config: Client, fetch: &Arc<dyn Fetch>, clock: &Clock) -> Self {
        Self {
            config,
            fetch: Arc::clone(fetch),
            clock: clock.clone(),
            endpoint: tokio::sync::OnceCell::new(),
            own: tokio::sync::Mutex::new(None),
            exchanged: Recent::new(MAX_EXCHANGED),
        }
    }

    async fn endpoint(&self) -> Result<&str, Failure> {
        let unreachable = |why: String| Failure::Unreachable(why.into());
        let found = self.endpoint.get_or_try_init(async || {
            let issuer = match (&self.config.token_endpoint, &self.config.issuer) {
                (Some(endpoint), _) => return Ok(endpoint.clone()),
                (None, Some(issuer)) => issuer,
                (None, None) => return Err(unreachable("no issuer is configured".to_owned())),
            };
            let server = discovery::of_issuer(&*self.fetch, issuer).await;
            let server = server.map_err(|trouble| unreachable(format!("{issuer}: {trouble}")))?;
            server.token_endpoint.ok_or_else(|| unreachable(format!("{issuer}: no token_endpoint")))
        });
        found.await.map(String::as_str)
    }

    async fn ask(&self, scope: &Scope, grant: &[(&str, &str)]) -> Result<Granted, Failure> {
        let config = &self.config;
        let client = Registered::of(
            &config.client_id,
            config.client_secret_file.as_ref(),
            config.authentication,
        );
        let client = client.map_err(|why| Failure::Unreachable(why.into()))?;
        let scopes = config.scopes.join(" ");
        let mut fields = grant.to_vec();
        fields.push(("resource", config.resource.as_deref().unwrap_or(&scope.resource)));
        fields.extend(config.audience.as_deref().map(|audience| ("audience", audience)));
        if !scopes.is_empty() {
            fields.push(("scope", &scopes));
        }
        let granted = client.ask(&*self.fetch, self.endpoint().await?, &fields).await;
        granted.map_err(|why| failure(&why))
    }

    /// A token of the portal's own.
    pub(super) async fn own(&self, scope: &Scope, is_refused: bool) -> Result<Secret, Failure> {
        // Whoever waits here finds what the one before has got.
        let mut own = self.own.lock().await;
        let now = self.clock.seconds();
        if let Some(held) = own.as_ref().filter(|held| held.holds(now, is_refused)) {
            return Ok(held.value.clone());
        }
        let granted = self.ask(scope, &[("grant_type", "client_credentials")]).await?;
        let held = own.insert(Held::of(&granted, now, i64::MAX));
        Ok(held.value.clone())
    }

    /// The caller's token, exchanged.
    pub(super) async fn exchanged(
        &self,
        principal: &Principal,
        scope: &Scope,
        is_refused: bool,
    ) -> Result<Secret, Failure> {
        let shown = principal.shown.as_ref().ok_or_else(|| {
            Failure::Refused(401, "who calls has shown no token that could be exchanged".into())
        })?;
        let key = (scope.clone(), sha256(shown.expose().as_bytes()));
        let now = self.clock.seconds();
        if let Some(held) = self.exchanged.get(&key).filter(|held| held.holds(now, is_refused)) {
            return Ok(held.value);
        }
        let grant = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", shown.expose()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        let granted = self.ask(scope, &grant).await?;
        if granted.access == shown.expose() {
            // No server may be shown what was meant for the portal.
            let why = "the authorization server gave back the token that was exchanged";
            return Err(Failure::Refused(401, why.into()));
        }
        let at_most = principal.expires.map_or(i64::MAX, |end| end.as_nanos() / 1_000_000_000);
        let held = Held::of(&granted, now, at_most);
        self.exchanged.put(key, held.clone());
        Ok(held.value)
    }
}
