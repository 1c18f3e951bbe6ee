//! Pages of the portal for persons who agree: no scripts, nothing from elsewhere, in no frame.

use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::portal::Answer;
use crate::portal::html::escaped;
use crate::portal::identity::{Address, body};

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width\"><title>shadowtap portal</title>\
<main><h1>shadowtap portal</h1>";

/// What is asked of a person.
pub(super) struct Page<'a> {
    pub(super) server: &'a str,
    pub(super) resource: &'a str,
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
    pub(super) client: &'a str,
    pub(super) scopes: &'a str,
    pub(super) ticket: &'a str,
    pub(super) is_connected: bool,
}

impl Page<'_> {
    pub(super) fn answer(&self, endpoint: &str, cookie: &str) -> Answer {
        let row = |name: &str, value: &str| {
            let value = if value.is_empty() { "not told" } else { value };
            format!("<dt>{name}<dd>{}", escaped(value))
        };
        let rows = [
            row("Server", self.server),
            row("Its address", self.resource),
            row("You agree at", self.issuer),
            row("For", self.subject),
            row("Client (by its own word)", self.client),
            row("Scopes", self.scopes),
        ];
        let connect = if self.is_connected { "Connect anew" } else { "Connect" };
        let disconnect = if self.is_connected {
            "<button name=action value=disconnect>Disconnect</button>"
        } else {
            ""
        };
        let text = format!(
            "{HEAD}<p>The portal asks for access to your account at this server, and uses it only \
             for calls of the person and client below. Go on only if that is you.\
             <dl>{}</dl><form method=post>\
             <input type=hidden name=ticket value=\"{}\">\
             <button name=action value=connect>{connect}</button>{disconnect}</form></main>",
            rows.concat(),
            escaped(self.ticket),
        );
        // Browsers hold redirects behind a form to it too.
        let to = Address::parse(endpoint).map(|address| address.origin()).unwrap_or_default();
        with_cookie(html(200, text, &format!("'self' {to}")), cookie)
    }
}

/// A page with one sentence.
pub(super) fn told(status: u16, text: &str) -> Answer {
    html(status, format!("{HEAD}<p>{}</main>", escaped(text)), "'none'")
}

/// To somewhere else. 303: what was posted is not posted there.
pub(super) fn away(to: &str, cookie: &str) -> Option<Answer> {
    let mut answer = with_cookie(html(303, String::new(), "'none'"), cookie);
    answer.headers_mut().insert(LOCATION, HeaderValue::from_str(to).ok()?);
    Some(answer)
}

pub(super) fn with_cookie(mut answer: Answer, cookie: &str) -> Answer {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
    answer
}

fn html(status: u16, text: String, form_action: &str) -> Answer {
    let mut answer = Answer::new(body(text));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let policy = format!(
        "default-src 'none'; form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(name, value);
        }
    };
    set(CONTENT_TYPE, "text/html; charset=utf-8");
    set(CONTENT_SECURITY_POLICY, &policy);
    set(X_FRAME_OPTIONS, "DENY");
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(CACHE_CONTROL, "no-store");
    answer
}
