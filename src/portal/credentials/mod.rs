//! What the portal shows to servers: nothing, what a file holds, a token of its own, the caller's
//! token exchanged, or a token that the person has agreed to. Never the caller's token itself.
//!
//! What belongs to a person is kept under all of its [`Scope`], and under the issuer that gave it.

pub mod challenge;
pub mod config;
mod consent;
pub mod discovery;
pub mod fetch;
pub mod form;
mod grant;
mod page;
mod person;
mod plain;
pub mod seal;
mod vault;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;

use super::identity::{Clock, Identity, Place, body};
use super::principal::{Principal, Scope, Secret};
use super::upstream::{Credentials, Failure};
use super::{Answer, Task, wire};
use config::{Kind, Section};
use consent::Consent;
use fetch::Fetch;
use person::{CALLBACK, DOCUMENT, NoToken, Persons};
use plain::{Fixed, Machine};
use seal::Sealer;
use vault::Vault;

/// Longest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 64 << 10;

/// A server of the configuration, and what it is shown.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its id.
    pub id: Arc<str>,
    /// Its canonical address: what [`Scope::resource`] says.
    pub resource: Arc<str>,
    /// What it is shown.
    pub kind: Kind,
    /// How its authorization server is reached: as the server may be reached itself.
    pub fetch: Arc<dyn Fetch>,
}

/// How one server's credentials are had.
#[derive(Debug)]
enum Way {
    None,
    Fixed(HeaderName, Fixed),
    Own(Machine),
    Exchanged(Machine),
    Persons(Persons),
}

/// The credentials of all servers.
pub struct Keyring {
    ways: HashMap<Arc<str>, (Arc<str>, Way)>,
    consent: Option<Consent>,
    place: Place,
    client_name: Arc<str>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("ways", &self.ways).finish_non_exhaustive()
    }
}

impl Keyring {
    /// From the sections of the file, which are checked here too. Nothing is fetched yet; the vault
    /// and its keys are opened.
    ///
    /// # Errors
    /// Everything that is wrong: where, and what to do.
    pub fn new(
        section: &Section,
        servers: Vec<Server>,
        place: &Place,
        clock: &Clock,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut vault = None;
        if let Some(own) = &section.vault {
            let opened = Sealer::read(&own.key_file)
                .map(Arc::new)
                .and_then(|sealer| Ok((Arc::new(Vault::open(&own.folder, &sealer)?), sealer)));
            match opened {
                Ok(opened) => vault = Some(opened),
                Err(why) => problems.push(format!("credentials.vault: {why}")),
            }
        }
        let client_name: Arc<str> =
            section.client_name.as_deref().unwrap_or("shadowtap portal").into();
        let mut ways = HashMap::new();
        for server in servers {
            let at = format!("servers.{}.credentials", server.id);
            if let Err(own) = server.kind.check(&at, section) {
                problems.extend(own);
                continue;
            }
            let about = (clock, place, &client_name);
            match way(&server, vault.as_ref().map(|(vault, _)| vault), about) {
                Ok(way) => drop(ways.insert(server.id, (server.resource, way))),
                Err(why) => problems.push(format!("{at}: {why}")),
            }
        }
        let trusts = section.trust_links;
        let consent = vault.map(|(_, sealer)| Consent::new(sealer, place, clock, trusts));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { ways, consent, place: place.clone(), client_name })
    }

    fn persons(&self, server: &str) -> Option<&Persons> {
        match self.ways.get(server) {
            Some((_, Way::Persons(persons))) => Some(persons),
            _ => None,
        }
    }

    async fn find(
        &self,
        principal: &Principal,
        scope: &Scope,
        refused: Option<&str>,
    ) -> Result<Vec<(HeaderName, Secret)>, Failure> {
        let unknown = || Failure::Unreachable(format!("no server {}", scope.server).into());
        let (resource, way) = self.ways.get(&scope.server).ok_or_else(unknown)?;
        // A key that is not the caller's opens nothing, whoever has mixed them up.
        if principal.owner != scope.owner || *resource != scope.resource {
            return Err(Failure::Refused(403, "the scope is of somebody else".into()));
        }
        let is_refused = refused.is_some();
        let value = match way {
            Way::None => return Ok(Vec::new()),
            Way::Fixed(name, fixed) => return Ok(vec![(name.clone(), fixed.value()?)]),
            Way::Own(machine) => machine.own(scope, is_refused).await?,
            Way::Exchanged(machine) => machine.exchanged(principal, scope, is_refused).await?,
            Way::Persons(persons) => match persons.token(scope, refused).await {
                Ok(value) => value,
                Err(NoToken::Failed(failure)) => return Err(failure),
                Err(NoToken::Consent) => {
                    let link = self.consent.as_ref().ok_or_else(unknown)?.link(scope);
                    let link = link.map_err(|why| Failure::Unreachable(why.into()))?;
                    return Err(Failure::NeedsConsent(link.into()));
                }
            },
        };
        Ok(vec![(AUTHORIZATION, value)])
    }

    /// Forgets a person's token at a server, and has it revoked.
    ///
    /// # Errors
    /// When it could not be forgotten.
    pub async fn revoke(&self, scope: &Scope) -> Result<(), String> {
        match self.persons(&scope.server) {
            Some(persons) => persons.revoke(scope).await,
            None => Ok(()),
        }
    }

    /// The pages at `/connect/`, if one of them is asked for. `principal`: who the browser is, if it
    /// could prove it.
    pub async fn page(
        &self,
        parts: &Parts,
        form: Bytes,
        principal: Option<&Principal>,
    ) -> Option<Answer> {
        let path = parts.uri.path();
        let rest = path.strip_prefix("/connect/")?;
        let consent = self.consent.as_ref()?;
        let is_get = parts.method == Method::GET;
        if path == DOCUMENT {
            return is_get.then(|| self.document());
        }
        if path == CALLBACK {
            return match is_get {
                true => Some(consent.back(|server| self.persons(server), parts, principal).await),
                false => Some(page::told(405, "Nothing is sent there.")),
            };
        }
        let persons = form::unescape(rest).and_then(|server| self.persons(&server))?;
        Some(match parts.method {
            Method::GET => consent.show(persons, parts, principal).await,
            Method::POST if form.len() <= MAX_FORM_BYTES => {
                consent.take(persons, parts, &form, principal).await
            }
            _ => page::told(405, "Nothing of this kind is taken here."),
        })
    }

    /// What the portal is as a client (OAuth Client ID Metadata Document).
    fn document(&self) -> Answer {
        let origin = self.place.origin();
        let document = wire::raw(&serde_json::json!({
            "client_id": format!("{origin}{DOCUMENT}"),
            "client_name": &*self.client_name,
            "client_uri": origin,
            "redirect_uris": [format!("{origin}{CALLBACK}")],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }));
        let mut answer = Answer::new(body(document.get().to_owned()));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        answer
    }
}

fn way(
    server: &Server,
    vault: Option<&Arc<Vault>>,
    about: (&Clock, &Place, &Arc<str>),
) -> Result<Way, String> {
    let (clock, ..) = about;
    Ok(match server.kind.clone() {
        Kind::None => Way::None,
        Kind::Header { name, file } => {
            let name = name.parse().map_err(|_| format!("{name:?} is no name of a header"))?;
            Way::Fixed(name, Fixed::new(file, ""))
        }
        Kind::Bearer { file } => Way::Fixed(AUTHORIZATION, Fixed::new(file, "Bearer ")),
        Kind::ClientCredentials(client) => Way::Own(Machine::new(client, &server.fetch, clock)),
        Kind::TokenExchange(client) => Way::Exchanged(Machine::new(client, &server.fetch, clock)),
        Kind::Person(person) => {
            if ["callback", "client.json"].contains(&&*server.id) {
                return Err("the id is that of a page; take another".to_owned());
            }
            let vault = vault.ok_or("needs credentials.vault")?;
            let at = (&server.id, &server.resource);
            Way::Persons(Persons::new(at, person, vault, &server.fetch, about))
        }
    })
}

impl Credentials for Keyring {
    fn headers<'a>(
        &'a self,
        principal: &'a Principal,
        scope: &'a Scope,
        refused: Option<&'a str>,
    ) -> Task<'a, Result<Vec<(HeaderName, Secret)>, Failure>> {
        Box::pin(self.find(principal, scope, refused))
    }
}

/// All pages of identity and credentials.
#[derive(Clone, Debug)]
pub struct Pages {
    /// For the metadata of RFC 9728.
    pub identity: Arc<Identity>,
    /// For `/connect/`.
    pub keyring: Arc<Keyring>,
}

impl Pages {
    /// The answer, if one of the pages is asked for.
    pub async fn handle(
        &self,
        parts: &Parts,
        body: Bytes,
        principal: Option<&Principal>,
    ) -> Option<Answer> {
        if let Some(answer) = self.identity.page(parts) {
            return Some(answer);
        }
        let mut answer = self.keyring.page(parts, body, principal).await?;
        if answer.status() == hyper::StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2: a 401 says how.
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Some(answer)
    }
}

#[cfg(test)]
mod tests;
