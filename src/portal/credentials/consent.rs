//! How a person agrees: a page that says what is asked for, a form that only that browser can send,
//! and the way to the authorization server and back (MCP security best practices, "Confused Deputy
//! Problem"; OAuth 2.1 section 4.1).
//!
//! Nothing is kept between the steps: what the next one needs is sealed into the link, the form and
//! a cookie, so that any replica can go on.

use std::sync::Arc;

use hyper::header::{COOKIE, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};

use super::form;
use super::page::{self, Page};
use super::person::Persons;
use super::seal::{Sealer, random};
use crate::portal::Answer;
use crate::portal::identity::recent::Recent;
use crate::portal::identity::{Clock, Place, sha256};
use crate::portal::principal::{Owner, Principal, Scope};
use crate::portal::radix::{base64_url, is_same};

/// Seconds that a link, a form and a journey hold.
const HOLDS: i64 = 600;
/// Journeys that ended within that time and must not end again.
const MAX_ENDED: usize = 16_384;
/// Ties a form to a browser.
const BROWSER: &str = "__Host-shadowtap-browser";
/// What a journey needs when it comes back; set once the person has agreed.
const JOURNEY: &str = "__Host-shadowtap-journey";

/// Somebody, sealed.
#[derive(Clone, Serialize, Deserialize)]
struct Who {
    issuer: String,
    subject: String,
    client: String,
}

impl Who {
    fn of(owner: &Owner) -> Self {
        let text = |text: &Arc<str>| text.to_string();
        Self {
            issuer: text(&owner.issuer),
            subject: text(&owner.subject),
            client: text(&owner.client),
        }
    }

    fn owner(&self) -> Owner {
        Owner {
            issuer: self.issuer.as_str().into(),
            subject: self.subject.as_str().into(),
            client: self.client.as_str().into(),
        }
    }
}

/// In a link, and in the form behind it.
#[derive(Serialize, Deserialize)]
struct Ticket {
    who: Who,
    server: String,
    /// Of the browser's cookie; empty in a link.
    browser: String,
    ends: i64,
}

/// Between consent and callback.
#[derive(Serialize, Deserialize)]
struct Journey {
    who: Who,
    server: String,
    resource: String,
    issuer: String,
    asked_resource: String,
    verifier: String,
    state: String,
    client: String,
    needs_iss: bool,
    ends: i64,
}

/// The pages.
#[derive(Debug)]
pub(super) struct Consent {
    pub(super) sealer: Arc<Sealer>,
    pub(super) place: Place,
    pub(super) clock: Clock,
    pub(super) trusts_links: bool,
    ended: Recent<[u8; 32], ()>,
}

/// A step that is not taken: the status, and what people are told.
type No = (u16, &'static str);

impl Consent {
    pub(super) fn new(
        sealer: Arc<Sealer>,
        place: &Place,
        clock: &Clock,
        trusts_links: bool,
    ) -> Self {
        let (place, clock) = (place.clone(), clock.clone());
        Self { sealer, place, clock, trusts_links, ended: Recent::new(MAX_ENDED) }
    }

    /// Where somebody can agree.
    pub(super) fn link(&self, scope: &Scope) -> Result<String, String> {
        let ticket = Ticket {
            who: Who::of(&scope.owner),
            server: scope.server.to_string(),
            browser: String::new(),
            ends: self.clock.seconds().saturating_add(HOLDS),
        };
        let sealed = self.sealer.seal("link", &ticket)?;
        let mut url = format!("{}/connect/", self.place.origin());
        form::escape(&scope.server, &mut url);
        url.push_str("?for=");
        url.push_str(&sealed);
        Ok(url)
    }

    fn opened(&self, purpose: &str, text: &str, server: &str) -> Option<Ticket> {
        let ticket: Ticket = self.sealer.open(purpose, text)?;
        (ticket.server == server && self.clock.seconds() < ticket.ends).then_some(ticket)
    }

    /// Whether the browser's own proof, if there is one, is of the same person. The client may be
    /// another: people use browsers.
    fn check(&self, owner: &Owner, principal: Option<&Principal>) -> Result<(), No> {
        match principal {
            Some(it) if it.owner.issuer == owner.issuer && it.owner.subject == owner.subject => {
                Ok(())
            }
            Some(_) => Err((403, "This link is for somebody else.")),
            None if self.trusts_links => Ok(()),
            None => Err((401, "Sign in to the portal with this browser first.")),
        }
    }

    /// `GET /connect/{server}`.
    pub(super) async fn show(
        &self,
        persons: &Persons,
        parts: &Parts,
        principal: Option<&Principal>,
    ) -> Answer {
        match self.shown(persons, parts, principal).await {
            Ok(answer) => answer,
            Err((status, text)) => page::told(status, text),
        }
    }

    async fn shown(
        &self,
        persons: &Persons,
        parts: &Parts,
        principal: Option<&Principal>,
    ) -> Result<Answer, No> {
        let fields = form::fields(parts.uri.query().unwrap_or_default());
        let owner = match (form::field(&fields, "for"), principal) {
            (Some(link), _) => {
                let ticket = self.opened("link", link, &persons.server);
                ticket.ok_or((400, "This link is too old. Ask for another."))?.who.owner()
            }
            (None, Some(principal)) if principal.owner.issuer.as_ref() != "nobody" => {
                principal.owner.clone()
            }
            _ => return Err((401, "Follow the link that your client shows.")),
        };
        self.check(&owner, principal)?;
        let found = persons.found().await;
        let found = found.map_err(|_| (502, "The server does not say where to agree."))?;
        let endpoint = found.server.authorization_endpoint.as_deref();
        let endpoint = endpoint.ok_or((502, "The server does not say where to agree."))?;
        let browser = match cookie(&parts.headers, BROWSER) {
            Some(browser) if browser.len() == 43 => browser.to_owned(),
            _ => random().map_err(|_| (500, "Something is wrong here."))?,
        };
        let ticket = Ticket {
            who: Who::of(&owner),
            server: persons.server.to_string(),
            browser: base64_url(&sha256(browser.as_bytes())),
            ends: self.clock.seconds().saturating_add(HOLDS),
        };
        let ticket = self.sealer.seal("form", &ticket);
        let scope = self.scope(persons, &owner);
        let issuer = &found.server.issuer;
        let page = Page {
            server: &persons.server,
            resource: &persons.resource,
            issuer,
            subject: &owner.subject,
            client: &owner.client,
            scopes: &persons.scopes(&scope, &found),
            ticket: &ticket.map_err(|_| (500, "Something is wrong here."))?,
            is_connected: persons.is_connected(&scope, issuer),
        };
        let cookie = set_cookie(BROWSER, &browser, HOLDS);
        Ok(page.answer(endpoint, &cookie))
    }

    fn scope(&self, persons: &Persons, owner: &Owner) -> Scope {
        Scope {
            owner: owner.clone(),
            server: Arc::clone(&persons.server),
            resource: Arc::clone(&persons.resource),
        }
    }

    /// `POST /connect/{server}`.
    pub(super) async fn take(
        &self,
        persons: &Persons,
        parts: &Parts,
        body: &[u8],
        principal: Option<&Principal>,
    ) -> Answer {
        match self.taken(persons, parts, body, principal).await {
            Ok(answer) => answer,
            Err((status, text)) => page::told(status, text),
        }
    }

    async fn taken(
        &self,
        persons: &Persons,
        parts: &Parts,
        body: &[u8],
        principal: Option<&Principal>,
    ) -> Result<Answer, No> {
        let no_form = (403, "This form was not sent from its own page.");
        let origin = parts.headers.get(ORIGIN).map(|origin| origin.as_bytes());
        if origin.is_some_and(|origin| origin != self.place.origin().as_bytes()) {
            return Err(no_form);
        }
        let fields = form::fields(std::str::from_utf8(body).map_err(|_| no_form)?);
        let ticket = form::field(&fields, "ticket").ok_or(no_form)?;
        let ticket = self.opened("form", ticket, &persons.server);
        let ticket = ticket.ok_or((403, "This page is too old. Load it again."))?;
        let browser = cookie(&parts.headers, BROWSER).ok_or(no_form)?;
        let digest = base64_url(&sha256(browser.as_bytes()));
        if !is_same(digest.as_bytes(), ticket.browser.as_bytes()) {
            return Err(no_form);
        }
        let owner = ticket.who.owner();
        self.check(&owner, principal)?;
        match form::field(&fields, "action") {
            Some("connect") => self.leave(persons, &owner).await,
            Some("disconnect") => {
                let revoked = persons.revoke(&self.scope(persons, &owner)).await;
                revoked.map_err(|_| (502, "The account could not be disconnected."))?;
                Ok(page::told(200, "The account is disconnected."))
            }
            _ => Err(no_form),
        }
    }

    /// To the authorization server.
    async fn leave(&self, persons: &Persons, owner: &Owner) -> Result<Answer, No> {
        let wrong = (500, "Something is wrong here.");
        let found = persons.found().await;
        let found = found.map_err(|_| (502, "The server does not say where to agree."))?;
        let server = &found.server;
        // Without it, whoever sees the code has the token (OAuth 2.1 section 4.1.1; MCP: a client
        // must refuse an authorization server that does not say that it has it).
        if !server.code_challenge_methods_supported.iter().any(|method| method == "S256") {
            return Err((502, "The authorization server does not support PKCE with S256."));
        }
        let endpoint = server.authorization_endpoint.as_deref().ok_or(wrong)?;
        let client = persons.client(server).await;
        let client =
            client.map_err(|_| (502, "The authorization server does not know the portal."))?;
        let (verifier, state) = (random().map_err(|_| wrong)?, random().map_err(|_| wrong)?);
        let challenge = base64_url(&sha256(verifier.as_bytes()));
        let scopes = persons.scopes(&self.scope(persons, owner), &found);
        let redirect = persons.redirect();
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &redirect),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &found.resource),
        ];
        if !scopes.is_empty() {
            query.push(("scope", &scopes));
        }
        let join = if endpoint.contains('?') { '&' } else { '?' };
        let to = format!("{endpoint}{join}{}", form::encode(&query));
        let journey = Journey {
            who: Who::of(owner),
            server: persons.server.to_string(),
            resource: persons.resource.to_string(),
            issuer: server.issuer.clone(),
            asked_resource: found.resource.clone(),
            verifier,
            state,
            client: client.id.clone(),
            needs_iss: server.authorization_response_iss_parameter_supported,
            ends: self.clock.seconds().saturating_add(HOLDS),
        };
        let sealed = self.sealer.seal("journey", &journey).map_err(|_| wrong)?;
        page::away(&to, &set_cookie(JOURNEY, &sealed, HOLDS)).ok_or(wrong)
    }

    /// `GET /connect/callback`.
    pub(super) async fn back<'p>(
        &self,
        persons: impl Fn(&str) -> Option<&'p Persons>,
        parts: &Parts,
        principal: Option<&Principal>,
    ) -> Answer {
        let told = match self.returned(persons, parts, principal).await {
            Ok(()) => page::told(200, "The account is connected. You may close this page."),
            Err((status, text)) => page::told(status, text),
        };
        page::with_cookie(told, &set_cookie(JOURNEY, "", 0))
    }

    async fn returned<'p>(
        &self,
        persons: impl Fn(&str) -> Option<&'p Persons>,
        parts: &Parts,
        principal: Option<&Principal>,
    ) -> Result<(), No> {
        let lost = (400, "This browser has not begun to connect an account, or too long ago.");
        let journey = cookie(&parts.headers, JOURNEY).ok_or(lost)?;
        let journey: Journey = self.sealer.open("journey", journey).ok_or(lost)?;
        let persons = persons(&journey.server).ok_or(lost)?;
        if self.clock.seconds() >= journey.ends || *persons.resource != *journey.resource {
            return Err(lost);
        }
        let fields = form::fields(parts.uri.query().unwrap_or_default());
        let state = form::field(&fields, "state").ok_or(lost)?;
        if !is_same(state.as_bytes(), journey.state.as_bytes()) {
            return Err(lost);
        }
        let owner = journey.who.owner();
        if principal.is_some() {
            self.check(&owner, principal)?;
        }
        // RFC 9207 section 2.4: compared as plain text, and there where it is promised.
        match form::field(&fields, "iss") {
            Some(iss) if iss != journey.issuer => {
                return Err((400, "The answer is of another authorization server."));
            }
            None if journey.needs_iss => {
                return Err((400, "The answer does not say which authorization server it is of."));
            }
            _ => {}
        }
        if !self.ended.claim(sha256(state.as_bytes()), ()) {
            return Err((400, "This page was used already."));
        }
        if form::field(&fields, "error").is_some() {
            return Err((403, "The authorization server says no. Nothing is connected."));
        }
        let code = form::field(&fields, "code").ok_or(lost)?;
        self.trade(persons, &journey, &owner, code).await
    }

    /// The code for a token.
    async fn trade(
        &self,
        persons: &Persons,
        journey: &Journey,
        owner: &Owner,
        code: &str,
    ) -> Result<(), No> {
        let no_token = (502, "The authorization server gave no token. Nothing is connected.");
        let found = persons.found().await.map_err(|_| no_token)?;
        let client = persons.registered(&found.server).ok().flatten().ok_or(no_token)?;
        if found.server.issuer != journey.issuer || client.id != journey.client {
            return Err((400, "The server has another authorization server now. Begin again."));
        }
        let endpoint = found.server.token_endpoint.as_deref().ok_or(no_token)?;
        let redirect = persons.redirect();
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &redirect),
            ("code_verifier", &journey.verifier),
            ("resource", &journey.asked_resource),
        ];
        let granted = client.ask(&*persons.fetch, endpoint, &fields).await;
        if let Err(super::grant::NoGrant::Error(code)) = &granted
            && code == "invalid_client"
        {
            // It has forgotten us: the next one who agrees has us registered anew.
            persons.forget_registration(&journey.issuer).map_err(|_| no_token)?;
        }
        let granted = granted.map_err(|_| no_token)?;
        let kept = persons.agreed(&self.scope(persons, owner), &journey.issuer, &granted);
        kept.map_err(|_| (500, "The token could not be kept. Nothing is connected."))
    }
}

/// A cookie for this host alone (RFC 6265bis section 4.1.3.2). `Lax`: the way back from the
/// authorization server begins at another site.
fn set_cookie(name: &str, value: &str, seconds: i64) -> String {
    format!("{name}={value}; Max-Age={seconds}; Path=/; Secure; HttpOnly; SameSite=Lax")
}

/// The only cookie of a name.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(own, _)| *own == name).map(|(_, value)| value);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}
