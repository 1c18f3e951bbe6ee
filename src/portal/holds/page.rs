//! `/holds`: what waits, and the forms that decide.

use std::fmt::Write as _;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, StatusCode};
use ring::hmac;

use super::{Holds, Refused, Waiting};
use crate::html::entity;
use crate::portal::Answer;
use crate::portal::principal::Principal;
use crate::portal::radix::base16;

/// Where the page is.
const PATH: &str = "/holds";
/// Longest form.
const MAX_FORM_BYTES: usize = 4_096;
/// Nothing is loaded, run or framed; forms go here only.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
    padding:0 1rem}article{border:1px solid #8886;border-radius:.5rem;padding:1rem;margin:1rem 0}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8881;padding:.5rem;max-height:20rem;\
    overflow:auto}button{font:inherit;padding:.4rem 1rem;margin-right:.5rem}:root{color-scheme:\
    light dark}";

/// A request for the page, whose sender is known.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Method.
    pub method: &'a Method,
    /// Path, without query.
    pub path: &'a str,
    /// Header fields.
    pub headers: &'a HeaderMap,
    /// Body, read whole; at most 4 KiB are taken.
    pub body: &'a [u8],
    /// Who asks.
    pub principal: &'a Principal,
}

impl Holds {
    /// Answers, if the page is asked for.
    #[expect(clippy::unused_async, reason = "pages of other parts wait for something")]
    pub async fn handle(&self, asked: Asked<'_>) -> Option<Answer> {
        if asked.path != PATH {
            return None;
        }
        Some(match *asked.method {
            Method::GET | Method::HEAD => answer(StatusCode::OK, &self.page(asked.principal, "")),
            Method::POST => self.post(&asked),
            _ => answer(StatusCode::METHOD_NOT_ALLOWED, &document("<p>Not here.</p>")),
        })
    }

    fn post(&self, asked: &Asked<'_>) -> Answer {
        let site = asked.headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        let is_foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
        let form = Form::read(asked.body);
        let Some(form) = form.filter(|_| !is_foreign) else {
            return answer(StatusCode::BAD_REQUEST, &document("<p>That is no form of here.</p>"));
        };
        if !self.is_token(asked.principal, &form) {
            let text = self.page(asked.principal, "The page was too old: look again.");
            return answer(StatusCode::FORBIDDEN, &text);
        }
        match self.decide(&form.id, &form.digest, form.release, asked.principal) {
            Ok(()) => {
                let said = if form.release { "Approved." } else { "Refused." };
                answer(StatusCode::OK, &self.page(asked.principal, said))
            }
            Err(why) => {
                let status = match why {
                    Refused::Unknown => StatusCode::NOT_FOUND,
                    Refused::NotApprover | Refused::OwnCall => StatusCode::FORBIDDEN,
                    Refused::OtherArguments | Refused::Decided => StatusCode::CONFLICT,
                    Refused::NotWritten => StatusCode::INTERNAL_SERVER_ERROR,
                };
                answer(status, &self.page(asked.principal, &why.to_string()))
            }
        }
    }

    /// What a form has to show: that this person was shown this call by this page.
    fn said(principal: &Principal, id: &str, digest: &str) -> Vec<u8> {
        let owner = &principal.owner;
        let parts = [&*owner.issuer, &owner.subject, &owner.client, id, digest];
        let mut out = Vec::new();
        for part in parts {
            out.extend(part.len().to_be_bytes());
            out.extend(part.as_bytes());
        }
        out
    }

    fn is_token(&self, principal: &Principal, form: &Form) -> bool {
        let bytes: Option<Vec<u8>> = (0..form.token.len() / 2)
            .map(|at| u8::from_str_radix(form.token.get(2 * at..2 * at + 2)?, 16).ok())
            .collect();
        let said = Self::said(principal, &form.id, &form.digest);
        bytes.is_some_and(|bytes| hmac::verify(&self.forms, &said, &bytes).is_ok())
    }

    fn page(&self, principal: &Principal, notice: &str) -> String {
        let mut out = String::from("<h1>Calls that wait</h1>");
        if !notice.is_empty() {
            // Writing to a string cannot fail.
            _ = write!(out, "<p role=\"status\"><strong>{}</strong></p>", escaped(notice));
        }
        let all = self.list();
        let own =
            all.iter().filter(|it| self.may_decide(principal, it) != Err(Refused::NotApprover));
        let mut count = 0;
        for waiting in own {
            count += 1;
            self.article(principal, waiting, &mut out);
        }
        if count == 0 {
            out.push_str("<p>Nothing waits for you.</p>");
        }
        document(&out)
    }

    fn article(&self, principal: &Principal, waiting: &Waiting, out: &mut String) {
        let who = waiting.name.as_deref().unwrap_or(&waiting.subject);
        _ = write!(
            out,
            "<article><h2>{} of {}</h2><p>{} ({}), with client {}, since {}; tier {}; policy \
             {}.</p><pre>{}</pre>",
            escaped(&waiting.tool),
            escaped(&waiting.server),
            escaped(who),
            escaped(&waiting.issuer),
            escaped(&waiting.client),
            escaped(&waiting.since),
            waiting.tier.as_str(),
            escaped(waiting.policy.as_deref().unwrap_or("none")),
            escaped(&waiting.arguments),
        );
        match self.may_decide(principal, waiting) {
            Ok(()) => {
                let said = Self::said(principal, &waiting.id, &waiting.digest);
                let token = base16(hmac::sign(&self.forms, &said).as_ref());
                _ = write!(
                    out,
                    "<form method=\"post\" action=\"{PATH}\"><input type=\"hidden\" name=\"id\" \
                     value=\"{}\"><input type=\"hidden\" name=\"digest\" value=\"{}\"><input \
                     type=\"hidden\" name=\"token\" value=\"{token}\"><button name=\"do\" \
                     value=\"approve\">Approve once</button><button name=\"do\" \
                     value=\"deny\">Refuse</button></form>",
                    escaped(&waiting.id),
                    escaped(&waiting.digest),
                );
            }
            Err(why) => _ = write!(out, "<p>{}.</p>", escaped(&why.to_string())),
        }
        out.push_str("</article>");
    }
}

/// A form of the page. Its values are hex digits and words: no escapes are needed, none are read.
#[derive(Debug, Default)]
struct Form {
    id: String,
    digest: String,
    token: String,
    release: bool,
}

impl Form {
    fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_FORM_BYTES)?;
        let mut form = Self::default();
        let mut is_decided = false;
        for pair in text.split('&') {
            let (key, value) = pair.split_once('=')?;
            match (key, value) {
                ("id", value) => value.clone_into(&mut form.id),
                ("digest", value) => value.clone_into(&mut form.digest),
                ("token", value) => value.clone_into(&mut form.token),
                ("do", "approve" | "deny") => {
                    is_decided = true;
                    form.release = value == "approve";
                }
                _ => return None,
            }
        }
        is_decided.then_some(form)
    }
}

fn document(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Calls that wait</title><style>{STYLE}</style>{body}"
    )
}

/// Text for HTML, also in quotes. What does not show as itself is shown by its number: an approver
/// has to see what they approve.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match entity(c) {
            Some(entity) => out.push_str(entity),
            None if matches!(c, '\n' | ' '..='~') || c.is_alphanumeric() => out.push(c),
            None => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
        }
    }
    out
}

fn answer(status: StatusCode, text: &str) -> Answer {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    let mut answer = Answer::new(body.map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = status;
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", POLICY),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        answer.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    }
    answer
}
