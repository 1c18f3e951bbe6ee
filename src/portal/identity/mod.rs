//! Who calls: tokens, certificates and asserted headers into [`Principal`]s. The portal is an OAuth
//! 2.1 resource server: it issues nothing, and what it takes was made for it.
//!
//! A proof that is there and does not hold is never passed over for a lesser one.

mod address;
mod bearer;
mod certificate;
mod clock;
pub mod config;
mod keys;
mod provider;
pub(in crate::portal) mod recent;
mod refused;
mod service;
mod token;

use std::fmt;
use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use ring::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;

pub use address::{Address, Place};
pub use certificate::client_verifier;
pub use clock::Clock;
pub use keys::Limits as KeyLimits;
pub(in crate::portal) use refused::body;
pub use refused::{Refused, Why};
pub use service::{Minted, mint};
pub use token::Wrong;

use super::credentials::fetch::Fetch;
use super::principal::{Owner, Principal, Proof};
use super::{Answer, wire};
use config::{Checked, Trusted};
use keys::Keys;
use recent::Recent;
use token::{Issuer, Verified};

/// Bounds of identity.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Verified tokens and certificates that are remembered until they end; the least used are
    /// forgotten and checked anew. About 4 KiB each with usual tokens, at most 20 KiB.
    pub max_verified: usize,
    /// Of the keys of each issuer.
    pub keys: KeyLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_verified: 16_384, keys: KeyLimits::default() }
    }
}

/// Says who calls.
pub struct Identity {
    place: Place,
    config: Checked,
    issuers: Vec<Issuer>,
    assertions: Vec<(hyper::header::HeaderName, [Issuer; 1])>,
    /// By SHA-256 of what was shown, with what it was shown as.
    verified: Recent<[u8; 32], Verified>,
    nobody: Arc<Principal>,
    clock: Clock,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What was shown, so that nothing shown as one thing is taken for another.
#[derive(Clone, Copy)]
enum Shown {
    Bearer,
    Certificate,
    Assertion(usize),
}

fn key(shown: Shown, bytes: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    match shown {
        Shown::Bearer => context.update(b"bearer\0"),
        Shown::Certificate => context.update(b"certificate\0"),
        Shown::Assertion(at) => context.update(format!("assertion {at}\0").as_bytes()),
    }
    context.update(bytes);
    digest(context.finish())
}

fn digest(digest: ring::digest::Digest) -> [u8; 32] {
    digest.as_ref().try_into().unwrap_or_default()
}

/// SHA-256.
pub(in crate::portal) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(ring::digest::digest(&SHA256, bytes))
}

impl Identity {
    /// From its section of the file, and where the portal is. Nothing is fetched yet.
    #[must_use]
    pub fn new(
        config: Checked,
        place: Place,
        fetch: &Arc<dyn Fetch>,
        clock: &Clock,
        limits: Limits,
    ) -> Self {
        provider::install();
        let issuer = |trusted: &Trusted| {
            let url = trusted.jwks_uri.clone();
            let keys = Keys::new(&trusted.issuer, url, fetch, clock, limits.keys);
            Issuer { trusted: trusted.clone(), keys }
        };
        let issuers = config.issuers.iter().map(issuer).collect();
        let assertions = config.assertions.iter();
        let assertions = assertions.map(|(name, one)| (name.clone(), [issuer(one)])).collect();
        let owner =
            Owner { issuer: "nobody".into(), subject: "anonymous".into(), client: Arc::default() };
        let nobody = Principal {
            owner,
            name: None,
            groups: Arc::default(),
            scopes: Arc::default(),
            proof: Proof::Nobody,
            expires: None,
            shown: None,
        };
        Self {
            place,
            issuers,
            assertions,
            verified: Recent::new(limits.max_verified),
            nobody: Arc::new(nobody),
            clock: clock.clone(),
            config,
        }
    }

    fn refused(&self, why: Why) -> Refused {
        Refused::new(why, self.place.metadata_url(), &self.config.required_scopes)
    }

    /// Who sends a request. `certificates`: what the client showed in the handshake, its own first.
    ///
    /// # Errors
    /// When nobody can be told, or somebody who is not let in; the error makes the answer.
    pub async fn authenticate(
        &self,
        parts: &Parts,
        certificates: Option<&[CertificateDer<'_>]>,
    ) -> Result<Arc<Principal>, Refused> {
        let certificate = certificates.and_then(|all| all.first());
        self.decide(parts, certificate).await.map_err(|why| self.refused(why))
    }

    async fn decide(
        &self,
        parts: &Parts,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<Arc<Principal>, Why> {
        if parts.uri.query().is_some_and(bearer::is_in_query) {
            return Err(Why::InQuery);
        }
        for (at, (name, issuer)) in self.assertions.iter().enumerate() {
            let mut values = parts.headers.get_all(name).iter();
            let Some(value) = values.next() else { continue };
            if values.next().is_some() {
                return Err(Why::Twice);
            }
            let token = value.to_str().map_err(|_| Why::Token(Wrong::Malformed))?;
            let shown = Shown::Assertion(at);
            return self.token(shown, token, issuer, Proof::Assertion, certificate).await;
        }
        if !self.issuers.is_empty() || !self.config.service_tokens.is_empty() {
            let token = bearer::of(&parts.headers).map_err(|malformed| match malformed {
                bearer::Malformed::Twice => Why::Twice,
                bearer::Malformed::Scheme | bearer::Malformed::Token => Why::Unreadable,
            })?;
            if let Some(token) = token {
                return self.bearer(token, certificate).await;
            }
        }
        if let (Some((_, known)), Some(certificate)) = (&self.config.certificates, certificate) {
            return self.certified(certificate, known).ok_or(Why::Certificate);
        }
        if self.config.is_open { Ok(Arc::clone(&self.nobody)) } else { Err(Why::Nothing) }
    }

    async fn bearer(
        &self,
        token: &str,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<Arc<Principal>, Why> {
        if !token.starts_with(service::PREFIX) {
            return self
                .token(Shown::Bearer, token, &self.issuers, Proof::Token, certificate)
                .await;
        }
        let found =
            service::find(&self.config.service_tokens, &sha256(token.as_bytes()), self.clock.now());
        let service = found.ok_or(Why::Token(Wrong::Service))?;
        let owner = Owner {
            issuer: "service-tokens".into(),
            subject: Arc::clone(&service.name),
            client: Arc::default(),
        };
        Ok(Arc::new(Principal {
            owner,
            name: Some(Arc::clone(&service.name)),
            groups: Arc::clone(&service.groups),
            scopes: Arc::default(),
            proof: Proof::Service,
            expires: service.expires,
            shown: None,
        }))
    }

    async fn token(
        &self,
        shown: Shown,
        token: &str,
        issuers: &[Issuer],
        proof: Proof,
        certificate: Option<&CertificateDer<'_>>,
    ) -> Result<Arc<Principal>, Why> {
        let key = key(shown, token.as_bytes());
        let now = self.clock.now();
        let kept = self.verified.get(&key).filter(|kept| kept.holds(now));
        let verified = match kept {
            Some(kept) => kept,
            None => {
                let time = (now, self.config.skew_seconds);
                let checked = token::verify(token, issuers, self.place.resource(), proof, time);
                let checked = checked.await.map_err(Why::Token)?;
                self.verified.put(key, checked.clone());
                checked
            }
        };
        if let Some(bound) = &verified.certificate {
            let shown = certificate.map(|certificate| sha256(certificate));
            if !shown.is_some_and(|shown| crate::portal::radix::is_same(&shown, bound)) {
                return Err(Why::Token(Wrong::Binding));
            }
        }
        match verified.lacks_scope {
            Some(needed) => Err(Why::Scope(needed)),
            None => Ok(verified.principal),
        }
    }

    fn certified(
        &self,
        certificate: &CertificateDer<'_>,
        known: &[config::Known],
    ) -> Option<Arc<Principal>> {
        let key = key(Shown::Certificate, certificate);
        let now = self.clock.now();
        if let Some(kept) = self.verified.get(&key).filter(|kept| kept.holds(now)) {
            return Some(kept.principal);
        }
        let (principal, until) = certificate::principal(certificate, known, now)?;
        let principal = Arc::new(principal);
        let verified = Verified {
            principal: Arc::clone(&principal),
            certificate: None,
            until,
            keys: None,
            lacks_scope: None,
        };
        self.verified.put(key, verified);
        Some(principal)
    }

    /// Metadata of the portal as a protected resource (RFC 9728), if they are asked for: at the root
    /// and at the form with the endpoint's path.
    #[must_use]
    pub fn page(&self, parts: &Parts) -> Option<Answer> {
        if !self.place.is_metadata(parts.uri.path()) || self.issuers.is_empty() {
            return None;
        }
        if !matches!(parts.method, hyper::Method::GET | hyper::Method::HEAD) {
            let mut answer = Answer::new(body(""));
            *answer.status_mut() = hyper::StatusCode::METHOD_NOT_ALLOWED;
            answer.headers_mut().insert(hyper::header::ALLOW, HeaderValue::from_static("GET"));
            return Some(answer);
        }
        let issuers: Vec<_> = self.issuers.iter().map(|one| &*one.trusted.issuer).collect();
        let scopes: Vec<_> = self.config.required_scopes.iter().map(|scope| &**scope).collect();
        let metadata = wire::raw(&serde_json::json!({
            "resource": &**self.place.resource(),
            "authorization_servers": issuers,
            "scopes_supported": scopes,
            "bearer_methods_supported": ["header"],
        }));
        let mut answer = Answer::new(body(metadata.get().to_owned()));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        // Clients in browsers look for it, and there is nothing in it that is not for everybody.
        let any = HeaderValue::from_static("*");
        headers.insert(hyper::header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        Some(answer)
    }
}

impl Verified {
    /// Whether it still holds: its time, and the keys that it was checked with.
    fn holds(&self, now: crate::time::Timestamp) -> bool {
        let same_keys =
            |(keys, generation): &(Arc<Keys>, u64)| keys.generation() == Some(*generation);
        now < self.until && self.keys.as_ref().is_none_or(same_keys)
    }
}

/// For fuzzing: bytes as `Authorization`, query and token.
pub fn fuzz(data: &[u8]) {
    bearer::fuzz(data);
    if let Ok(text) = std::str::from_utf8(data) {
        token::fuzz(text);
    }
}

#[cfg(test)]
pub(in crate::portal) mod tests;
