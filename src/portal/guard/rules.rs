//! Rules of the enforce lane, asked about single messages.
//!
//! A rule is asked about what the portal has: the message, the tool that is called, the definitions
//! of a list, and who uses which server. What a sensor knows from elsewhere (other servers, earlier
//! lists, addresses of servers) is not there, and rules that rest on it do not hold. Correlations
//! and thresholds are the sensor's.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use serde_json::Value;
use serde_json::value::RawValue;

use super::config::{RulesSpec, Way};
use super::kinds::{KindId, Kinds};
use super::{Call, Outcome, Part};
use crate::exchange::{Scheme, Version, Visibility};
use crate::flow::At;
use crate::inspect::secrets::Certainty;
use crate::intake::Refusal;
use crate::mcp::jsonrpc::{Item, Reader};
use crate::mcp::{Contact, Evidence, Facts};
use crate::net::{Direction, Endpoint, Scope};
use crate::observation::{
    Auth, Channel, ExchangeId, FoundPersonal, FoundSecret, Message, RequestInfo, SecretHash,
};
use crate::portal::wire::{self, Members, Raw};
use crate::rules::{
    self as engine, Compiled, Content, Glimpse, Lane, MessageFacts, On, RuleSet, Subject, Tool,
};
use crate::verdict::Verdict as Standing;

/// Names of arguments read of one definition.
const MAX_IDENTIFIERS: usize = 256;
/// With more literals than this in it, a message is read in any case.
const MAX_LITERALS: usize = 64;
/// Longer methods than this are not looked at before a message is read, which cuts them.
const MAX_METHOD_BYTES: usize = 128;

/// A definition that a rule took out of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// `tool`, `prompt`, `resource`, `resource_template` or `instructions`.
    pub kind: &'static str,
    /// Its name, or URI.
    pub name: String,
    /// Id of the rule.
    pub rule: String,
}

/// The rules that may refuse.
#[derive(Debug, Default)]
pub(super) struct Rules {
    set: RuleSet,
    /// Places in the set of those on messages, on definitions and on the use of servers.
    messages: Vec<usize>,
    tools: Vec<usize>,
    servers: Vec<usize>,
    literals: Literals,
}

/// What has to be in the parameters of a message for some rules on messages to hold.
#[derive(Debug, Default)]
struct Literals {
    finder: Option<AhoCorasick>,
    /// By literal: the place of its rule in the set.
    rules: Vec<usize>,
}

impl Literals {
    fn of(set: &RuleSet, messages: &[usize]) -> Self {
        let (mut texts, mut rules) = (Vec::new(), Vec::new());
        for index in messages {
            let literals = set.rules().get(*index).and_then(Compiled::argument_literals);
            for text in literals.into_iter().flatten() {
                texts.push(text);
                rules.push(*index);
            }
        }
        let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(texts);
        match finder {
            Ok(finder) if !rules.is_empty() => Self { finder: Some(finder), rules },
            _ => Self::default(),
        }
    }

    /// Takes those out that cannot hold for these parameters.
    fn filter(&self, worth: &mut Vec<usize>, params: Option<&RawValue>) {
        let params = params.map_or("", RawValue::get);
        let Some(finder) = &self.finder else { return };
        if !worth.iter().any(|index| self.rules.contains(index)) || hides(params.as_bytes()) {
            return;
        }
        let mut found: Vec<usize> = Vec::new();
        for literal in finder.find_overlapping_iter(params) {
            found.extend(self.rules.get(literal.pattern().as_usize()));
            if found.len() > MAX_LITERALS {
                return;
            }
        }
        worth.retain(|index| !self.rules.contains(index) || found.contains(index));
    }
}

/// Whether a JSON text has escapes that it does not need, and so can hide what it says.
fn hides(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found + 2;
        if !matches!(text.get(at - 1), Some(b'n' | b'r' | b't' | b'"' | b'\\')) {
            return true;
        }
    }
    false
}

impl Rules {
    /// Reads and compiles them.
    pub(super) fn load(spec: &RulesSpec, base: &Path) -> Result<Self, String> {
        if !spec.enforce {
            return Ok(Self::default());
        }
        let limits = engine::Limits::default();
        let mut sources = if spec.builtin { engine::builtin_without_tests() } else { Vec::new() };
        if spec.files.is_empty() {
            // Nothing else can refer to the others, and compiled they take more than all the rest.
            sources.retain(|source| is_needed(&source.text));
        }
        let paths: Vec<PathBuf> = spec.files.iter().map(|path| base.join(path)).collect();
        sources.extend(engine::load::read(&paths, &limits).map_err(|error| error.to_string())?);
        let (set, _) = engine::compile(&sources, &limits).map_err(|report| report.to_string())?;
        Ok(Self::of(set))
    }

    pub(super) fn of(set: RuleSet) -> Self {
        let of = |on: On| -> Vec<usize> {
            let may = |rule: &Compiled| {
                rule.on == on
                    && rule.info.lane == Lane::Enforce
                    && rule.is_active()
                    && !rule.building_block
            };
            let rules = set.rules().iter().enumerate().filter(|(_, rule)| may(rule));
            rules.map(|(index, _)| index).collect()
        };
        let (messages, tools, servers) = (of(On::Message), of(On::Tool), of(On::Server));
        let literals = Literals::of(&set, &messages);
        Self { set, messages, tools, servers, literals }
    }

    /// The rules that are worth reading a message for.
    fn worth(
        &self,
        method: Option<&str>,
        params: Option<&RawValue>,
        found: &[KindId],
        kinds: &Kinds,
    ) -> Vec<usize> {
        if method.is_some_and(|method| method.len() > MAX_METHOD_BYTES) {
            return self.messages.clone();
        }
        let glimpse = Glimpse {
            method,
            has_secrets: found.iter().any(|id| kinds.secret(*id).is_some()),
            has_personal: found.iter().any(|id| kinds.personal(*id).is_some()),
        };
        let may = |index: &&usize| {
            self.set.rules().get(**index).is_some_and(|rule| rule.may_hold(&glimpse))
        };
        let mut worth: Vec<usize> = self.messages.iter().filter(may).copied().collect();
        self.literals.filter(&mut worth, params);
        worth
    }

    /// The worst match of some rules. What waits for a response cannot decide about a request.
    fn worst(
        &self,
        of: &[usize],
        subject: &Subject<'_>,
        call: &Call<'_>,
        way: Way,
    ) -> Option<Refusal> {
        let mut worst: Option<Refusal> = None;
        for rule in of.iter().filter_map(|index| self.set.rules().get(*index)) {
            let Some(found) = rule.evaluate(subject) else { continue };
            let waits = way == Way::Request && rule.waits_for_response();
            if waits || self.set.tuning().excepts(&found, call.at) {
                continue;
            }
            if worst.as_ref().is_none_or(|worst| found.severity > worst.severity) {
                worst = Some(Refusal {
                    rule: Arc::clone(&rule.info),
                    severity: found.severity,
                    text: crate::finding::mask(&found.text()),
                });
            }
        }
        worst
    }

    /// Whether a request is refused. `found` is what rules are told of secrets and personal data.
    pub(super) fn request(
        &self,
        call: &Call<'_>,
        found: &[KindId],
        kinds: &Kinds,
    ) -> Option<Refusal> {
        let worth = self.worth(Some(call.method), call.params, found, kinds);
        if worth.is_empty() && self.servers.is_empty() {
            return None;
        }
        let around = Around::of(call);
        let refusal = read(&worth, Some(call.method), true, ("params", call.params), found, kinds)
            .and_then(|message| self.on_message(&worth, call, Way::Request, &around, &message));
        refusal.or_else(|| {
            let subject = Subject::server(&around.contact, &around.methods);
            self.worst(&self.servers, &subject, call, Way::Request)
        })
    }

    /// Whether any other message is.
    pub(super) fn message(
        &self,
        call: &Call<'_>,
        way: Way,
        part: Part<'_>,
        found: &[KindId],
        kinds: &Kinds,
    ) -> Option<Refusal> {
        let (method, params) = match part {
            Part::Result(_) | Part::Reply(_) | Part::Error(_) => (None, None),
            Part::Notification(method, params) | Part::Request(method, params) => {
                (Some(method), params)
            }
        };
        let worth = self.worth(method, params, found, kinds);
        if worth.is_empty() {
            return None;
        }
        let error;
        let has_id = !matches!(part, Part::Notification(..));
        let rest = match part {
            Part::Result(result) | Part::Reply(result) => ("result", Some(result)),
            Part::Error(told) => {
                error = wire::raw(told);
                ("error", Some(&*error))
            }
            Part::Notification(..) | Part::Request(..) => ("params", params),
        };
        let message = read(&worth, method, has_id, rest, found, kinds)?;
        self.on_message(&worth, call, way, &Around::of(call), &message)
    }

    fn on_message(
        &self,
        worth: &[usize],
        call: &Call<'_>,
        way: Way,
        around: &Around,
        message: &Message,
    ) -> Option<Refusal> {
        let (direction, channel) = match way {
            Way::Request => (Direction::ToServer, Channel::RequestBody),
            Way::Response => (Direction::ToClient, Channel::ResponseBody),
        };
        let facts = MessageFacts {
            direction,
            channel,
            message,
            reply: None,
            asked: None,
            undeclared: None,
            disagreements: &[],
            ambiguous: false,
        };
        let content = Content::default();
        let subject = Subject::message(&around.request, facts, Evidence::Confirmed)
            .with_contact(&around.contact, &around.methods)
            .with_content(&content);
        self.worst(worth, &subject, call, way)
    }

    /// Takes definitions that a rule refuses out of a result. The others stay as they came: one bad
    /// tool does not cost a server's list.
    pub(super) fn list(
        &self,
        call: &Call<'_>,
        result: &RawValue,
        outcome: &mut Outcome,
    ) -> Option<Raw> {
        let (member, kind) = match call.method {
            "tools/list" => ("tools", "tool"),
            "prompts/list" => ("prompts", "prompt"),
            "resources/list" => ("resources", "resource"),
            "resources/templates/list" => ("resourceTemplates", "resource_template"),
            "initialize" | "server/discover" => ("instructions", "instructions"),
            _ => return None,
        };
        if self.tools.is_empty() {
            return None;
        }
        let mut members = Members::of(result)?;
        let held = members.get(member)?;
        let around = OnceCell::new();
        let mut refused = |json: &RawValue| {
            let tool = tool(kind, json);
            let content = Content::default();
            let around: &Around = around.get_or_init(|| Around::of(call));
            let subject = Subject::tool(&around.request, &tool, &content, Evidence::Confirmed)
                .with_contact(&around.contact, &around.methods);
            let refusal = self.worst(&self.tools, &subject, call, Way::Response)?;
            let rule = refusal.rule.id.clone();
            outcome.rules.push(rule.as_str().into());
            outcome.dropped.push(Dropped { kind, name: tool.name, rule });
            Some(())
        };
        if kind == "instructions" {
            refused(held)?;
            drop(members.take(member));
            return Some(members.to_raw());
        }
        let all: Vec<&RawValue> = serde_json::from_str(held.get()).ok()?;
        let kept: Vec<&RawValue> =
            all.iter().copied().filter(|definition| refused(definition).is_none()).collect();
        if kept.len() == all.len() {
            return None;
        }
        let kept = wire::raw(&kept);
        members.set(member, kept);
        Some(members.to_raw())
    }
}

/// Of the files that come with the program: the rules that may refuse, and lists.
fn is_needed(text: &str) -> bool {
    let is_said =
        |line: &str| line == "lane: enforce" || line.starts_with("schema: shadowtap/list@");
    text.lines().any(is_said)
}

/// What rules read of a definition.
fn tool(kind: &'static str, json: &RawValue) -> Tool {
    let value: Value = serde_json::from_str(json.get()).unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let hint = |key: &str| value.get("annotations")?.get(key)?.as_bool();
    let name = ["name", "uri", "uriTemplate"].iter().find_map(|key| text(key)).unwrap_or_default();
    let mut identifiers = vec![name.clone()];
    let schema = value.get("inputSchema").and_then(|schema| schema.get("properties"));
    let names = schema.and_then(Value::as_object).into_iter().flatten();
    identifiers.extend(names.map(|(name, _)| name.clone()).take(MAX_IDENTIFIERS));
    let (description, read_only, destructive) =
        (text("description"), hint("readOnlyHint"), hint("destructiveHint"));
    Tool {
        kind,
        name,
        json: json.get().to_owned(),
        description,
        identifiers,
        read_only,
        destructive,
        change: "first",
        ..Tool::default()
    }
}

/// A message as rules read it, with what was found in it; nothing if no rule is worth it. Its id
/// is of no interest to rules.
fn read(
    worth: &[usize],
    method: Option<&str>,
    has_id: bool,
    (name, value): (&str, Option<&RawValue>),
    found: &[KindId],
    kinds: &Kinds,
) -> Option<Message> {
    if worth.is_empty() {
        return None;
    }
    let mut read = None;
    let mut reader = Reader::default();
    let mut push = |text: &str| {
        reader.push(text.as_bytes(), &mut |item| {
            if let Item::Message(message) = item {
                read.get_or_insert(*message);
            }
        });
    };
    push(r#"{"jsonrpc":"2.0""#);
    if has_id {
        push(r#","id":0"#);
    }
    if let Some(method) = method {
        push(r#","method":"#);
        push(wire::raw(&method).get());
    }
    if let Some(value) = value {
        [",\"", name, "\":", value.get()].into_iter().for_each(&mut push);
    }
    push("}");
    let mut message: Message = read?;
    let mut personal: Vec<FoundPersonal> = Vec::new();
    for id in found {
        if let Some(kind) = kinds.secret(*id) {
            if message.secrets.iter().any(|known| known.kind == kind.id()) {
                continue;
            }
            message.secrets.push(FoundSecret {
                kind: kind.id(),
                certain: kind.certainty() != Certainty::Guessed,
                issuers: kind.issuers(),
                hash: SecretHash([0; 8]),
                last_four: String::new(),
            });
        } else if let Some(kind) = kinds.personal(*id) {
            match personal.iter_mut().find(|found| found.kind == kind) {
                Some(found) => found.count = found.count.saturating_add(1),
                None => personal.push(FoundPersonal { kind, count: 1, hashes: Vec::new() }),
            }
        }
    }
    message.personal = personal;
    Some(message)
}

/// What rules read around a message.
struct Around {
    request: RequestInfo,
    contact: Contact,
    methods: Vec<String>,
}

impl Around {
    fn of(call: &Call<'_>) -> Self {
        let place = call.place;
        let client = call.client.map_or(Endpoint::UNKNOWN, Endpoint::from);
        let request = RequestInfo {
            id: ExchangeId { flow: 0, number: 0 },
            client,
            server: Endpoint::UNKNOWN,
            via: None,
            scope: Scope::default(),
            scheme: place.scheme,
            visibility: Visibility::Body,
            at: At { packet: 0, time: call.at },
            provenance: None,
            seen: true,
            version: Version::Http11,
            host: Some(place.host.clone()).filter(|host| !host.is_empty()),
            port: place.port,
            path: place.path.clone(),
            method: match place.scheme {
                Scheme::Http | Scheme::Https => "POST".to_owned(),
                Scheme::Tcp | Scheme::Tls => String::new(),
            },
            via_proxy: false,
            user_agent: call.user_agent.map(str::to_owned),
            origin: None,
            content_type: Some("application/json".to_owned()),
            accepts_json: true,
            accepts_sse: true,
            protocol_version: None,
            mcp_method: None,
            mcp_name: None,
            session: None,
            auth: Auth::default(),
            headers: Vec::new(),
            query_keys: Vec::new(),
            origin_host: None,
            cross_origin: false,
            session_in_query: false,
            transport_type: None,
            has_command: false,
            token: None,
            audience: None,
            body_head: None,
        };
        Self { contact: contact(call, client), request, methods: vec![call.method.to_owned()] }
    }
}

fn contact(call: &Call<'_>, client: Endpoint) -> Contact {
    let place = call.place;
    Contact {
        key: place.key.clone(),
        host: place.host.clone(),
        port: place.port,
        path: place.path.clone(),
        scheme: place.scheme,
        server: Endpoint::UNKNOWN.ip,
        client: client.ip,
        evidence: Evidence::Confirmed,
        verdict: Standing::Approved,
        protocol_versions: Vec::new(),
        auth: Vec::new(),
        unauthenticated_result: false,
        catalogued: None,
        named_for_mcp: false,
        approved: true,
        via_proxy: false,
        proxy: None,
        approval: Some(call.server.to_owned()),
        reason: "behind the portal".to_owned(),
        software: Vec::new(),
        facts: Facts::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(rules: &Rules) -> Vec<&str> {
        let all = rules.messages.iter().chain(&rules.tools).chain(&rules.servers);
        all.map(|index| rules.set.rules()[*index].info.id.as_str()).collect()
    }

    #[test]
    fn all_built_in_rules_that_may_refuse_are_there() {
        let own = Rules::load(&RulesSpec::default(), Path::new("")).unwrap();
        let (set, _) = engine::compile(&engine::builtin(), &engine::Limits::default()).unwrap();
        let whole = Rules::of(set);
        assert_eq!(ids(&own), ids(&whole));
        assert!(own.messages.len() > 1 && !own.tools.is_empty());
    }

    #[test]
    fn a_message_is_read_only_if_a_rule_can_hold() {
        let rules = Rules::load(&RulesSpec::default(), Path::new("")).unwrap();
        let kinds = Kinds::new(&super::super::config::Classes::default(), Vec::new());
        let worth = |method: Option<&str>, params: &str| {
            let params = RawValue::from_string(params.to_owned()).unwrap();
            rules.worth(method, Some(&params), &[], &kinds).len()
        };
        let call = Some("tools/call");
        for (method, params, want) in [
            (call, r#"{"name":"a","arguments":{"text":"hello\n\"you\""}}"#, 0),
            (call, r#"{"name":"a","arguments":{"path":"../../etc/passwd"}}"#, 1),
            (call, r#"{"name":"a","arguments":{"path":"..\\..\\windows"}}"#, 1),
            (call, r#"{"name":"a","arguments":{"url":"HTTP://x"}}"#, 1),
            (call, r#"{"name":"a","arguments":{"url":"http:\/\/x"}}"#, 2),
            (call, r#"{"name":"a","arguments":{"path":"\u002e./"}}"#, 2),
            (Some("tools/list"), r#"{"path":"../../etc/passwd"}"#, 0),
            (None, r#"{"path":"../../etc/passwd"}"#, 0),
        ] {
            assert_eq!(worth(method, params), want, "{params}");
        }
    }
}
