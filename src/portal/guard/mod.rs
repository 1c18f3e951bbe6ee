//! What must not pass: secrets, personal data and words of one's own, in both directions; and the
//! rules of the enforce lane.
//!
//! ```text
//! raw JSON ─► detect (as it came; hidden strings decoded) ─► exceptions ─► edit ─► changed
//!    └──────► rules (enforce lane) ────────────────────────────────────────────► refused
//! ```
//!
//! Every string of a message is looked at: arguments and results, `structuredContent`, texts of
//! resources, messages of errors, definitions of lists, names of members; numbers too, as a card
//! number needs no quotes. Values of `Mcp-Param-*` headers are looked at like arguments
//! (MCP 2026-07-28, SEP-2243). Redaction keeps the JSON valid and all other bytes as they are.
//! Binary data (`blob`, `data` in base64) is looked into but never edited: there a kind that is to
//! be redacted passes, and one that is to be blocked is blocked.
//!
//! What is not found: what a model or a program has disguised by other means than JSON escapes,
//! percent escapes, base64 and hexadecimal, and what is spread over several strings or messages.
//!
//! Work is linear in the message, memory twice its length at worst. Clients are told the kind of
//! what was refused and the id of a rule, nothing of what was found.

pub mod config;
mod detect;
mod edit;
mod kinds;
mod leaves;
mod rules;
#[cfg(test)]
#[expect(clippy::string_slice, reason = "tests cut where characters begin")]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::value::RawValue;

use super::principal::Principal;
use super::wire::{Raw, RpcError, code, raw};
use crate::exchange::Scheme;
use crate::intake::Refusal;
use crate::time::Timestamp;
use config::{Action, ExceptionSpec, Way};
use detect::{Hit, Hits};
pub(in crate::portal) use kinds::fits;
use kinds::{KindId, Kinds};
pub use rules::Dropped;

/// Where a server is, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `scheme://host:port/path`; of a child, `stdio:ID`.
    pub key: String,
    /// Host, lower case; empty for a child.
    pub host: String,
    /// Port; 0 for a child.
    pub port: u16,
    /// Path, without query.
    pub path: String,
    /// In the clear or not.
    pub scheme: Scheme,
}

impl Place {
    /// Of a server's URL; of a child, whose URL is none, by the id of the server.
    #[must_use]
    pub fn of(server: &str, url: &str) -> Self {
        let parsed: Option<hyper::Uri> = url.parse().ok();
        let child = || Self {
            key: format!("stdio:{server}"),
            host: String::new(),
            port: 0,
            path: String::new(),
            scheme: Scheme::Tcp,
        };
        let Some(uri) = parsed.filter(|uri| uri.host().is_some()) else { return child() };
        let scheme = if uri.scheme_str() == Some("http") { Scheme::Http } else { Scheme::Https };
        let usual = if scheme == Scheme::Http { 80 } else { 443 };
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(usual);
        let path = uri.path().to_owned();
        let key = format!("{}://{host}:{port}{path}", scheme.as_str());
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { key, host, port, path, scheme }
    }
}

/// A call on its way: what is known around the messages that belong to it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub who: &'a Principal,
    /// From where, as the front sees it.
    pub client: Option<SocketAddr>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// Id of the server in the configuration.
    pub server: &'a str,
    /// Where it is.
    pub place: &'a Place,
    /// Method of the request.
    pub method: &'a str,
    /// Tool, prompt or URI of the resource, by the server's own name.
    pub name: Option<&'a str>,
    /// `params`, as they will be sent.
    pub params: Option<&'a RawValue>,
    /// `Mcp-Param-*` headers, decoded.
    pub param_headers: &'a [(Box<str>, Box<str>)],
    /// Now.
    pub at: Timestamp,
}

/// What is heard from a server during a call, or goes to it beside the request.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// `result` of the server's response.
    Result(&'a RawValue),
    /// Error of the server.
    Error(&'a RpcError),
    /// A notification of the server: method and parameters.
    Notification(&'a str, Option<&'a RawValue>),
    /// A request of the server: method and parameters.
    Request(&'a str, Option<&'a RawValue>),
    /// The client's answer to a request of the server: to the server.
    Reply(&'a RawValue),
}

impl Part<'_> {
    const fn way(&self) -> Way {
        match self {
            Self::Reply(_) => Way::Request,
            _ => Way::Response,
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It goes on as it is.
    Pass,
    /// It goes on with this in place of `params`, of `result`, or of the whole `error` object.
    Changed(Raw),
    /// It does not go on.
    Blocked(Blocked),
}

/// Why a message does not go on.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// What was found (`github-token`), or `rule`.
    pub kind: Arc<str>,
    /// Which way it went.
    pub direction: Way,
    /// The rule, where one decided.
    pub refusal: Option<Refusal>,
    /// Where people can ask.
    pub contact: Option<Arc<str>>,
}

impl Blocked {
    /// The error that the client gets: the kind, and nothing of what was found.
    #[must_use]
    pub fn error(&self) -> RpcError {
        let Self { kind, direction, refusal, contact } = self;
        let rule = refusal.as_ref().map(|refusal| refusal.rule.id.as_str());
        let what = match (rule, direction) {
            (Some(rule), _) => format!("refused by rule {rule}"),
            (None, Way::Request) => format!("refused: {kind} in the request; it was not sent"),
            (None, Way::Response) => {
                format!(
                    "refused: {kind} in the answer, which is withheld; the call was carried out"
                )
            }
        };
        let ask = contact.as_ref().map(|contact| format!(". Where to ask: {contact}"));
        let message = format!("{what}{}", ask.unwrap_or_default());
        let title = refusal.as_ref().map(|refusal| refusal.rule.title.as_str());
        let data = serde_json::json!({
            "kind": kind, "rule": rule, "title": title, "contact": contact,
        });
        RpcError::with_data(code::REFUSED, &message, &data)
    }
}

/// What was found, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub kind: Arc<str>,
    /// Which way the message went.
    pub direction: Way,
    /// How often.
    pub count: u32,
    /// Where the first stands: a JSON pointer into `params`, `result` or `error`, or
    /// `header:NAME`. Masked, for names of members may be secret too.
    pub pointer: Box<str>,
    /// What was done about it.
    pub action: Action,
}

/// What the guard says of a message.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What becomes of it.
    pub verdict: Verdict,
    /// The `Mcp-Param-*` headers to be sent, where one had to be edited.
    pub param_headers: Option<Vec<(Box<str>, Box<str>)>>,
    /// What was found, whatever was done.
    pub findings: Vec<Found>,
    /// Ids of the rules that refused it, or that took definitions out of it.
    pub rules: Vec<Box<str>>,
    /// Definitions that rules took out of a list.
    pub dropped: Vec<Dropped>,
}

impl Outcome {
    const fn pass() -> Self {
        Self {
            verdict: Verdict::Pass,
            param_headers: None,
            findings: Vec::new(),
            rules: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Whether it goes on.
    #[must_use]
    pub const fn passes(&self) -> bool {
        !matches!(self.verdict, Verdict::Blocked(_))
    }
}

/// The section of the configuration, compiled.
#[derive(Debug)]
pub struct Checked {
    kinds: Kinds,
    exceptions: Vec<ExceptionSpec>,
    own_keys: bool,
    rules: rules::Rules,
    contact: Option<Arc<str>>,
}

/// The guard. Shared by all calls; what it goes by can be replaced while it works.
#[derive(Debug)]
pub struct Guard {
    state: RwLock<Arc<Checked>>,
}

impl Guard {
    /// Begins.
    #[must_use]
    pub fn new(checked: Checked) -> Self {
        Self { state: RwLock::new(Arc::new(checked)) }
    }

    /// Goes by something else from the next message on.
    pub fn replace(&self, checked: Checked) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(checked);
    }

    fn state(&self) -> Arc<Checked> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the request of a call before it is sent.
    #[must_use]
    pub fn request(&self, call: &Call<'_>) -> Outcome {
        let state = self.state();
        let mut outcome = Outcome::pass();
        let hits = call.params.map(|params| detect::json(params.get(), &state.kinds, false));
        let found =
            hits.as_ref().map_or_else(Vec::new, |hits| state.told(call, Way::Request, hits));
        if let Some(refusal) = state.rules.request(call, &found, &state.kinds) {
            outcome.rules.push(refusal.rule.id.as_str().into());
            state.refuse(refusal, Way::Request, &mut outcome);
        }
        if let (Some(params), Some(hits)) = (call.params, hits) {
            state.settle(call, Way::Request, params.get(), &hits, &mut outcome);
        }
        state.headers(call, &mut outcome);
        outcome
    }

    /// Looks at what is heard from a server during a call, and at what goes to it beside the request.
    #[must_use]
    pub fn heard(&self, call: &Call<'_>, part: Part<'_>) -> Outcome {
        let state = self.state();
        let (way, mut outcome) = (part.way(), Outcome::pass());
        let error;
        let text = match part {
            Part::Result(result) | Part::Reply(result) => Some(result),
            Part::Notification(_, params) | Part::Request(_, params) => params,
            Part::Error(told) => {
                error = raw(told);
                Some(&*error)
            }
        };
        let Some(mut text) = text else { return outcome };
        let kept = match part {
            Part::Result(_) => state.rules.list(call, text, &mut outcome),
            _ => None,
        };
        if let Some(kept) = &kept {
            text = kept;
        }
        let hits = detect::json(text.get(), &state.kinds, way == Way::Response);
        let found = state.told(call, way, &hits);
        if let Some(refusal) = state.rules.message(call, way, part, &found, &state.kinds) {
            outcome.rules.push(refusal.rule.id.as_str().into());
            state.refuse(refusal, way, &mut outcome);
        }
        state.settle(call, way, text.get(), &hits, &mut outcome);
        if let (Verdict::Pass, Some(kept)) = (&outcome.verdict, kept) {
            outcome.verdict = Verdict::Changed(kept);
        }
        outcome
    }
}

impl Checked {
    fn refuse(&self, refusal: Refusal, direction: Way, outcome: &mut Outcome) {
        outcome.verdict = Verdict::Blocked(Blocked {
            kind: "rule".into(),
            direction,
            refusal: Some(refusal),
            contact: self.contact.clone(),
        });
    }

    /// What rules are told of finds: not of those that go on by the word of the configuration, nor
    /// of those that do not go on.
    fn told(&self, call: &Call<'_>, way: Way, hits: &Hits) -> Vec<KindId> {
        let is_told = |kind: KindId| match self.ruling(call, way, kind) {
            (Action::Allow, is_excepted) => !is_excepted,
            (Action::Block | Action::Redact, _) => false,
        };
        hits.list.iter().map(|hit| hit.kind).filter(|kind| is_told(*kind)).collect()
    }

    fn action(&self, call: &Call<'_>, way: Way, kind: KindId) -> Action {
        self.ruling(call, way, kind).0
    }

    /// What is done about a find, and whether an exception says so.
    fn ruling(&self, call: &Call<'_>, way: Way, kind: KindId) -> (Action, bool) {
        let name = self.kinds.name(kind);
        let fits_any = |patterns: &[String], value: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, value))
        };
        let exception = self.exceptions.iter().find(|exception| {
            exception.direction.is_none_or(|own| own == way)
                && fits_any(&exception.kinds, name)
                && fits_any(&exception.servers, call.server)
                && fits_any(&exception.tools, call.name.unwrap_or_default())
                && (exception.groups.is_empty()
                    || exception.groups.iter().any(|group| call.who.is_in(group)))
        });
        if let Some(exception) = exception {
            return (exception.action, true);
        }
        let secret = self.kinds.secret(kind).filter(|_| self.own_keys && way == Way::Request);
        if secret.is_some_and(|secret| secret.is_issued_by(&call.place.host)) {
            return (Action::Allow, true);
        }
        (self.kinds.action(kind, way), false)
    }

    /// Settles what becomes of a text by what was found in it.
    fn settle(&self, call: &Call<'_>, way: Way, text: &str, hits: &Hits, outcome: &mut Outcome) {
        if hits.list.is_empty() {
            return;
        }
        let mut edits: Vec<Hit> = Vec::new();
        let mut blocked: Option<KindId> = None;
        let mut actions: Vec<(KindId, Action)> = Vec::new();
        for hit in &hits.list {
            let known =
                actions.iter().find(|(kind, _)| *kind == hit.kind).map(|(_, action)| *action);
            let action = known.unwrap_or_else(|| {
                let action = self.action(call, way, hit.kind);
                actions.push((hit.kind, action));
                action
            });
            match action {
                Action::Redact if hits.overflowed => blocked = blocked.or(Some(hit.kind)),
                Action::Redact if !hit.is_binary => edits.push(*hit),
                Action::Block => blocked = blocked.or(Some(hit.kind)),
                Action::Redact | Action::Allow => {}
            }
            let pointer = || crate::finding::mask(&leaves::pointer(text, hit.start)).into();
            self.note(way, hit.kind, action, pointer, outcome);
        }
        if !outcome.passes() {
            return;
        }
        if let Some(kind) = blocked {
            outcome.verdict = Verdict::Blocked(self.blocked(kind, way));
        } else if !edits.is_empty() {
            let edited = edit::json(text, &edits, &self.kinds);
            // It is JSON as long as the text was: otherwise nothing may pass.
            outcome.verdict = match (RawValue::from_string(edited), edits.first()) {
                (Ok(edited), _) => Verdict::Changed(edited),
                (Err(_), Some(hit)) => Verdict::Blocked(self.blocked(hit.kind, way)),
                (Err(_), None) => Verdict::Pass,
            };
        }
    }

    fn blocked(&self, kind: KindId, direction: Way) -> Blocked {
        let kind = Arc::clone(self.kinds.name(kind));
        Blocked { kind, direction, refusal: None, contact: self.contact.clone() }
    }

    fn note(
        &self,
        direction: Way,
        kind: KindId,
        action: Action,
        pointer: impl FnOnce() -> Box<str>,
        outcome: &mut Outcome,
    ) {
        let kind = self.kinds.name(kind);
        match outcome.findings.iter_mut().find(|found| found.kind == *kind) {
            Some(found) => found.count = found.count.saturating_add(1),
            None => outcome.findings.push(Found {
                kind: Arc::clone(kind),
                direction,
                count: 1,
                pointer: pointer(),
                action,
            }),
        }
    }

    /// The same for the headers that mirror arguments.
    fn headers(&self, call: &Call<'_>, outcome: &mut Outcome) {
        let way = Way::Request;
        for (index, (name, value)) in call.param_headers.iter().enumerate() {
            let hits = detect::plain(value, &self.kinds);
            let mut edits: Vec<Hit> = Vec::new();
            for hit in &hits.list {
                let action = self.action(call, way, hit.kind);
                let pointer = || format!("header:{name}").into();
                self.note(way, hit.kind, action, pointer, outcome);
                let is_blocked =
                    action == Action::Block || (action == Action::Redact && hits.overflowed);
                if is_blocked && outcome.passes() {
                    outcome.verdict = Verdict::Blocked(self.blocked(hit.kind, way));
                } else if action == Action::Redact {
                    edits.push(*hit);
                }
            }
            if edits.is_empty() {
                continue;
            }
            let all = outcome.param_headers.get_or_insert_with(|| call.param_headers.to_vec());
            if let Some((_, value)) = all.get_mut(index) {
                *value = edit::plain(value, &edits, &self.kinds).into();
            }
        }
    }
}

/// Guards arbitrary bytes as the parameters of a call, for fuzzing: what goes on is JSON, has
/// nothing of what was to be redacted, and is the same when it is looked at again.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    let Ok(text) = super::wire::check(data, 64) else { return };
    let kinds = Kinds::new(&config::Classes::default(), Vec::new());
    let hits = detect::json(text, &kinds, false);
    if hits.overflowed {
        return;
    }
    let edited = edit::json(text, &hits.list, &kinds);
    assert!(serde_json::from_str::<&RawValue>(&edited).is_ok(), "{edited}");
}
