//! Signed tokens (RFC 7515, RFC 7519, RFC 9068) into principals.

use std::collections::HashSet;
use std::sync::Arc;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::config::{Trusted, sorted};
use super::keys::{Keys, Missing};
use crate::portal::principal::{Owner, Principal, Proof, Secret};
use crate::portal::radix::from_base64_url;
use crate::portal::wire;
use crate::time::Timestamp;

/// More groups than this are not taken from a token.
const MAX_GROUPS: usize = 512;
/// Arrays and objects inside of each other in claims.
const MAX_DEPTH: u32 = 16;

/// An issuer, with its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) trusted: Trusted,
    pub(super) keys: Arc<Keys>,
}

/// Why a token is not taken. The names are those of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrong {
    /// No compact JWS with a header and claims that every reader reads the same way.
    Malformed,
    /// Of an issuer that is not configured.
    Issuer,
    /// Signed in a way that is not configured, or not at all.
    Algorithm,
    /// Of another kind than access tokens, or with critical parameters that are not known.
    Kind,
    /// Signed with a key that the issuer does not show.
    Key,
    /// The signature is not of that key.
    Signature,
    /// For another audience.
    Audience,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
    /// A claim that it has to have is missing or of another form.
    Claim,
    /// Bound to a key or certificate that was not shown (RFC 8705, RFC 9449).
    Binding,
    /// Not among the service tokens.
    Service,
    /// The issuer's keys cannot be had: nobody knows.
    KeysDown,
}

impl Wrong {
    /// As in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "token-malformed",
            Self::Issuer => "token-issuer",
            Self::Algorithm => "token-algorithm",
            Self::Kind => "token-kind",
            Self::Key => "token-key",
            Self::Signature => "token-signature",
            Self::Audience => "token-audience",
            Self::Expired => "token-expired",
            Self::Early => "token-early",
            Self::Claim => "token-claim",
            Self::Binding => "token-binding",
            Self::Service => "token-service",
            Self::KeysDown => "keys-down",
        }
    }
}

/// A token that holds.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    pub(super) principal: Arc<Principal>,
    /// SHA-256 of the certificate that has to be shown with it.
    pub(super) certificate: Option<[u8; 32]>,
    /// Until when it is taken.
    pub(super) until: Timestamp,
    /// Which issuer of the list, and which set of its keys.
    pub(super) keys: Option<(Arc<Keys>, u64)>,
    /// What its issuer asks for and it does not have.
    pub(super) lacks_scope: Option<Arc<[Arc<str>]>>,
}

/// Checks a token of one of the issuers. `resource`: the audience where none is configured.
pub(super) async fn verify(
    token: &str,
    issuers: &[Issuer],
    resource: &Arc<str>,
    proof: Proof,
    time: (Timestamp, i64),
) -> Result<Verified, Wrong> {
    let header = header(token)?;
    let named: Named = insecure_decode_claims(token).map_err(|_| Wrong::Malformed)?;
    let issuer = issuers.iter().find(|issuer| *issuer.trusted.issuer == *named.iss);
    let Issuer { trusted, keys } = issuer.ok_or(Wrong::Issuer)?;
    if !trusted.algorithms.contains(&header.alg) {
        return Err(Wrong::Algorithm);
    }
    kind(&header, &trusted.types)?;
    let found = keys.find(header.kid.as_deref(), header.alg).await;
    let (key, generation) = found.map_err(|missing| match missing {
        Missing::Unknown => Wrong::Key,
        Missing::Down => Wrong::KeysDown,
    })?;
    let claims = claims(token, &header, &key, trusted, resource)?;
    let claims = Claims { claims: &claims, trusted };
    let until = claims.times(time)?;
    let principal = claims.principal(token, proof, until)?;
    Ok(Verified {
        lacks_scope: claims.lacks(&principal.scopes),
        principal: Arc::new(principal),
        certificate: claims.certificate()?,
        until,
        keys: Some((Arc::clone(keys), generation)),
    })
}

#[derive(Deserialize)]
struct Named {
    iss: Box<str>,
}

/// Reads the header of a token. An algorithm that is not known, `none` among them, is no algorithm.
fn header(token: &str) -> Result<Header, Wrong> {
    if token.split('.').count() != 3 {
        return Err(Wrong::Malformed);
    }
    let text = token.split('.').next().and_then(from_base64_url).ok_or(Wrong::Malformed)?;
    wire::check(&text, MAX_DEPTH).map_err(|_| Wrong::Malformed)?;
    decode_header(token).map_err(|error| match error.kind() {
        ErrorKind::Json(json) if json.is_data() => Wrong::Algorithm,
        _ => Wrong::Malformed,
    })
}

/// RFC 9068 section 4, and RFC 7515 section 4.1.11.
fn kind(header: &Header, types: &[String]) -> Result<(), Wrong> {
    let usual = ["at+jwt", "application/at+jwt", "JWT"];
    let fits = match &header.typ {
        None => types.is_empty(),
        Some(own) if types.is_empty() => usual.iter().any(|one| one.eq_ignore_ascii_case(own)),
        Some(own) => types.iter().any(|one| one.eq_ignore_ascii_case(own)),
    };
    let is_plain = header.crit.is_none() && header.enc.is_none() && header.zip.is_none();
    if fits && is_plain { Ok(()) } else { Err(Wrong::Kind) }
}

/// Checks signature, issuer and audience.
fn claims(
    token: &str,
    header: &Header,
    key: &DecodingKey,
    trusted: &Trusted,
    resource: &Arc<str>,
) -> Result<Map<String, Value>, Wrong> {
    let mut validation = Validation::new(header.alg);
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<HashSet<_>>();
    validation.required_spec_claims = named(&["exp", "iss", "aud"]);
    validation.iss = Some(named(&[&trusted.issuer]));
    validation.aud = Some(match &*trusted.audiences {
        [] => named(&[resource]),
        own => own.iter().cloned().collect(),
    });
    // By the portal's clock, see `times`.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    let decoded = decode::<Box<RawValue>>(token, key, &validation);
    let raw = decoded.map_err(|error| match error.kind() {
        ErrorKind::InvalidAudience => Wrong::Audience,
        ErrorKind::MissingRequiredClaim(name) if name == "aud" => Wrong::Audience,
        ErrorKind::MissingRequiredClaim(_) => Wrong::Claim,
        ErrorKind::InvalidIssuer => Wrong::Issuer,
        ErrorKind::InvalidSignature => Wrong::Signature,
        ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => Wrong::Malformed,
        _ => Wrong::Signature,
    })?;
    let text = raw.claims.get();
    wire::check(text.as_bytes(), MAX_DEPTH).map_err(|_| Wrong::Malformed)?;
    serde_json::from_str(text).map_err(|_| Wrong::Malformed)
}

/// Claims whose signature holds.
struct Claims<'a> {
    claims: &'a Map<String, Value>,
    trusted: &'a Trusted,
}

impl Claims<'_> {
    /// Seconds since the Unix epoch, where it is there (RFC 7519, "NumericDate").
    fn date(&self, name: &str) -> Result<Option<i64>, Wrong> {
        let Some(value) = self.claims.get(name) else { return Ok(None) };
        let whole = value.as_i64();
        #[expect(clippy::cast_possible_truncation, reason = "fractions are meant to go")]
        let date = whole.or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
        date.map(Some).ok_or(Wrong::Claim)
    }

    /// Until when the token is taken.
    fn times(&self, (now, skew): (Timestamp, i64)) -> Result<Timestamp, Wrong> {
        let seconds = now.as_nanos().div_euclid(1_000_000_000);
        let until = self.date("exp")?.ok_or(Wrong::Claim)?.saturating_add(skew);
        let begins = [self.date("nbf")?, self.date("iat")?];
        if until <= seconds {
            return Err(Wrong::Expired);
        }
        if begins.into_iter().flatten().any(|begin| begin > seconds.saturating_add(skew)) {
            return Err(Wrong::Early);
        }
        Ok(Timestamp::from_parts(until, 0))
    }

    /// A claim that is text and not empty.
    fn text(&self, name: &str) -> Option<Arc<str>> {
        let text = self.claims.get(name)?.as_str()?;
        (!text.is_empty()).then(|| text.into())
    }

    fn first(&self, names: &[String]) -> Option<Arc<str>> {
        names.iter().find_map(|name| self.text(name))
    }

    fn principal(&self, token: &str, proof: Proof, until: Timestamp) -> Result<Principal, Wrong> {
        let subject = self.first(&self.trusted.subject_claims).ok_or(Wrong::Claim)?;
        let client = ["client_id", "azp", "cid"].iter().find_map(|name| self.text(name));
        let owner = Owner {
            issuer: Arc::clone(&self.trusted.issuer),
            subject,
            client: client.unwrap_or_default(),
        };
        Ok(Principal {
            owner,
            name: self.first(&self.trusted.name_claims),
            groups: self.groups(),
            scopes: self.scopes(),
            proof,
            expires: Some(until),
            shown: Some(Secret::new(token)),
        })
    }

    fn groups(&self) -> Arc<[Arc<str>]> {
        let name = &self.trusted.groups_claim;
        let value = match name.strip_prefix('/') {
            None => self.claims.get(name),
            Some(pointer) => {
                let mut steps = pointer.split('/').map(|x| x.replace("~1", "/").replace("~0", "~"));
                let first = steps.next().and_then(|step| self.claims.get(&step));
                steps.fold(first, |value, step| value?.get(step))
            }
        };
        let said = texts(value, |text| vec![text]);
        let mapped = said.into_iter().take(MAX_GROUPS).filter_map(|group| {
            if self.trusted.groups.is_empty() {
                return Some(Arc::from(group));
            }
            self.trusted.groups.get(group).cloned()
        });
        sorted(mapped.chain(self.trusted.everybody.iter().cloned()))
    }

    /// `scope` (RFC 9068 section 2.2.3), or `scp` as some issuers have it.
    fn scopes(&self) -> Arc<[Arc<str>]> {
        let value = self.claims.get("scope").or_else(|| self.claims.get("scp"));
        let scopes = texts(value, |text| text.split(' ').filter(|one| !one.is_empty()).collect());
        sorted(scopes.into_iter().map(Arc::from))
    }

    fn lacks(&self, scopes: &[Arc<str>]) -> Option<Arc<[Arc<str>]>> {
        let needed = &self.trusted.required_scopes;
        let has_all = needed.iter().all(|scope| scopes.contains(scope));
        (!has_all).then(|| Arc::clone(needed))
    }

    /// What the token is bound to (RFC 7800). A binding that cannot be checked is not ignored.
    fn certificate(&self) -> Result<Option<[u8; 32]>, Wrong> {
        let Some(binding) = self.claims.get("cnf") else { return Ok(None) };
        let digest = binding.get("x5t#S256").and_then(Value::as_str).and_then(from_base64_url);
        let digest = digest.and_then(|digest| digest.try_into().ok());
        let is_alone = binding.as_object().is_some_and(|binding| binding.len() == 1);
        digest.filter(|_| is_alone).map(Some).ok_or(Wrong::Binding)
    }
}

/// The texts of an array, or of one text.
fn texts<'a>(value: Option<&'a Value>, one: fn(&'a str) -> Vec<&'a str>) -> Vec<&'a str> {
    match value {
        Some(Value::String(text)) => one(text),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// For fuzzing: reads what is read before a signature is checked.
pub(super) fn fuzz(text: &str) {
    if header(text).is_ok() {
        let _unsigned = insecure_decode_claims::<Named>(text).is_ok();
    }
}
