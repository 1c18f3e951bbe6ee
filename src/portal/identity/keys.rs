//! Public keys of an issuer (RFC 7517): fetched when needed, kept when the issuer is in trouble,
//! and fetched again when a token names a key that is not among them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use super::clock::Clock;
use super::provider::family;
use crate::portal::credentials::discovery;
use crate::portal::credentials::fetch::{Fetch, Trouble, get_json};
use crate::time::Timestamp;

/// Bounds of one issuer's keys.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Keys of one set; those behind are not looked at. At most about 1 KiB each.
    pub max_keys: usize,
    /// After so long they are fetched again.
    pub fresh: Duration,
    /// And after so long without success they are not used any more.
    pub stale: Duration,
    /// No two attempts are nearer than this, whatever tokens name.
    pub floor: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_keys: 64,
            fresh: Duration::from_secs(600),
            stale: Duration::from_secs(86_400),
            floor: Duration::from_secs(10),
        }
    }
}

/// Why there is no key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The issuer has no such key.
    Unknown,
    /// The issuer's keys cannot be had.
    Down,
}

/// A key, and what it is for.
struct Key {
    id: Option<Box<str>>,
    algorithm: Option<Box<str>>,
    is_p384: bool,
    key: DecodingKey,
}

struct Set {
    keys: Vec<Key>,
    fetched: Timestamp,
    /// Of all that is in it: another number, another set.
    generation: u64,
}

/// The keys of one issuer.
pub(super) struct Keys {
    issuer: Arc<str>,
    url: Option<String>,
    fetch: Arc<dyn Fetch>,
    clock: Clock,
    limits: Limits,
    set: RwLock<Option<Arc<Set>>>,
    /// Held while keys are fetched; when that was last tried.
    gate: tokio::sync::Mutex<Option<Timestamp>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Keys {
    pub(super) fn new(
        issuer: &Arc<str>,
        url: Option<String>,
        fetch: &Arc<dyn Fetch>,
        clock: &Clock,
        limits: Limits,
    ) -> Arc<Self> {
        Arc::new(Self {
            issuer: Arc::clone(issuer),
            url,
            fetch: Arc::clone(fetch),
            clock: clock.clone(),
            limits,
            set: RwLock::new(None),
            gate: tokio::sync::Mutex::new(None),
        })
    }

    fn current(&self) -> Option<Arc<Set>> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner).clone();
        set.filter(|set| self.clock.now().since(set.fetched) < self.limits.stale)
    }

    /// The set that is in use; tokens are checked anew when it is another.
    pub(super) fn generation(self: &Arc<Self>) -> Option<u64> {
        let set = self.current()?;
        self.keep_fresh(&set);
        Some(set.generation)
    }

    fn keep_fresh(self: &Arc<Self>, set: &Set) {
        let now = self.clock.now();
        if now.since(set.fetched) < self.limits.fresh {
            return;
        }
        let is_due = self.gate.try_lock().is_ok_and(|last| self.is_due(*last, now));
        if is_due {
            self.refresh_behind();
        }
    }

    fn is_due(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        last.is_none_or(|last| now.since(last) >= self.limits.floor || now < last)
    }

    /// The key of a token, with the generation of its set.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(DecodingKey, u64), Missing> {
        if let Some(set) = self.current()
            && let Some(key) = set.find(id, algorithm)
        {
            self.keep_fresh(&set);
            return Ok((key, set.generation));
        }
        // Whoever waits here finds what the one before has fetched.
        let mut last = self.gate.lock().await;
        let found = self.current().and_then(|set| Some((set.find(id, algorithm)?, set.generation)));
        if let Some(found) = found {
            return Ok(found);
        }
        let fetched = self.refresh(&mut last).await;
        let Some(set) = self.current() else { return Err(Missing::Down) };
        match set.find(id, algorithm) {
            Some(key) => Ok((key, set.generation)),
            // The key may be a new one that could not be fetched.
            None if fetched == Some(false) => Err(Missing::Down),
            None => Err(Missing::Unknown),
        }
    }

    /// Fetches the keys while the old ones are used.
    fn refresh_behind(self: &Arc<Self>) {
        let own = Arc::clone(self);
        drop(tokio::spawn(async move {
            if let Ok(mut last) = own.gate.try_lock() {
                own.refresh(&mut last).await;
            }
        }));
    }

    /// Whether it went well; `None` if it was tried just now.
    async fn refresh(&self, last: &mut Option<Timestamp>) -> Option<bool> {
        let now = self.clock.now();
        if !self.is_due(*last, now) {
            return None;
        }
        *last = Some(now);
        let Ok(set) = self.fetched().await else { return Some(false) };
        *self.set.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(set));
        Some(true)
    }

    async fn fetched(&self) -> Result<Set, Trouble> {
        let fetch = &*self.fetch;
        let url = match &self.url {
            Some(url) => url.clone(),
            None => {
                let server = discovery::of_issuer(fetch, &self.issuer).await?;
                server.jwks_uri.ok_or_else(|| Trouble::Garbled("no jwks_uri".to_owned()))?
            }
        };
        let document: Document = get_json(fetch, &url).await?;
        let set = Set::of(&document.keys, self.limits.max_keys, self.clock.now());
        if set.keys.is_empty() {
            return Err(Trouble::Garbled("no key in it".to_owned()));
        }
        Ok(set)
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// A key as it comes. Private and symmetric ones have nothing to do here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    kid: Option<Box<str>>,
    alg: Option<Box<str>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Set {
    fn of(values: &[Value], max_keys: usize, fetched: Timestamp) -> Self {
        let mut hasher = DefaultHasher::new();
        let mut keys = Vec::new();
        for value in values.iter().take(max_keys) {
            value.to_string().hash(&mut hasher);
            // A key of a kind that is not known takes nothing from the others.
            keys.extend(Jwk::deserialize(value).ok().and_then(Jwk::key));
        }
        Self { keys, fetched, generation: hasher.finish() }
    }

    /// The key of that name that fits, or, for a token that names none, the only one that fits.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let named = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut fitting = self.keys.iter().filter(named).filter(|key| key.fits(algorithm));
        let first = fitting.next()?;
        (id.is_some() || fitting.next().is_none()).then(|| first.key.clone())
    }
}

impl Jwk {
    fn key(self) -> Option<Key> {
        if self.purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let curve = self.crv.as_deref();
        let is_p384 = curve == Some("P-384");
        let key = match (&*self.kty, curve) {
            ("RSA", _) => DecodingKey::from_rsa_components(&self.n?, &self.e?),
            ("EC", Some("P-256" | "P-384")) => DecodingKey::from_ec_components(&self.x?, &self.y?),
            ("OKP", Some("Ed25519")) => DecodingKey::from_ed_components(&self.x?),
            _ => return None,
        };
        Some(Key { id: self.kid, algorithm: self.alg, is_p384, key: key.ok()? })
    }
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        let name = format!("{algorithm:?}");
        let curve_fits = self.key.family() != AlgorithmFamily::Ec
            || self.is_p384 == (algorithm == Algorithm::ES384);
        family(algorithm) == Some(self.key.family())
            && curve_fits
            && self.algorithm.as_deref().is_none_or(|own| own == name)
    }
}
