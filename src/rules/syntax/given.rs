//! Examples as written: synthetic exchanges.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::handshake::{Answer, Dns, Hello};
use crate::exchange::Scheme;
use crate::mcp::facts::Likeness;
use crate::mcp::inventory::ProgramStart;
use crate::mcp::{Contact, Evidence, Facts};
use crate::net::Endpoint;
use crate::rules::Severity;
use crate::rules::problem::Located;
use crate::time;
use crate::verdict::Verdict;

/// The traffic of one test.
#[derive(Clone, Debug)]
pub struct Given {
    /// The exchanges, in order.
    pub exchanges: Vec<Exchange>,
    /// Approvals in force, as the text of an approvals file.
    pub approvals: Option<String>,
}

/// What a rule does with an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// It matches.
    Hit,
    /// It does not match, and should not.
    None,
    /// It does not match, though it ought to: a documented limit.
    KnownMiss,
}

/// One HTTP exchange, and what the inventory is to say of it.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Client address, with a port if it matters; `10.77.0.10` when absent.
    #[serde(default)]
    pub client: Option<Located<String>>,
    /// Server address, with a port if it matters; `10.77.0.20:8000` when absent.
    #[serde(default)]
    pub server: Option<Located<String>>,
    /// The exchange runs inside TLS.
    #[serde(default)]
    pub tls: bool,
    /// Only one of two disagreeing overlap copies holds the request.
    #[serde(default)]
    pub ambiguous: bool,
    /// Time since the exchange before, as `30s` or `25h`; a second when absent.
    #[serde(default)]
    pub after: Option<String>,
    /// In place of a request: a call of the tool with this name.
    #[serde(default)]
    pub call: Option<String>,
    /// Arguments of the call.
    #[serde(default)]
    pub args: Option<serde_json::Value>,
    /// What the call gives: text, or the whole result; an empty one when absent.
    #[serde(default)]
    pub result: Option<serde_json::Value>,
    /// The call is answered with an error.
    #[serde(default)]
    pub refused: bool,
    /// In place of a request: a list of tools is asked for and is this one definition.
    #[serde(default)]
    pub tool: Option<serde_json::Value>,
    /// The same with several definitions.
    #[serde(default)]
    pub tools: Option<Vec<serde_json::Value>>,
    /// In place of a request: the resource with this URI is read.
    #[serde(default)]
    pub read: Option<String>,
    /// In place of a request: what the server asks the client for in the stream that answers a
    /// call, `method` and `params`.
    #[serde(default)]
    pub ask: Option<serde_json::Value>,
    /// The request; without one, only the contact is evaluated. Beside a short form, its target
    /// and header fields.
    #[serde(default)]
    pub request: Option<Request>,
    /// The response.
    #[serde(default)]
    pub response: Option<Response>,
    /// What the inventory is to say, instead of what it would find.
    #[serde(default)]
    pub contact: GivenContact,
    /// The ClientHello of an encrypted flow, instead of an exchange.
    #[serde(default)]
    pub hello: Option<Hello>,
    /// What the server answers to the ClientHello.
    #[serde(default)]
    pub answer: Option<Answer>,
    /// Authority of the `CONNECT` tunnel that the encrypted flow runs in: `host:port`.
    #[serde(default)]
    pub tunnel: Option<String>,
    /// A DNS message, instead of an exchange; `server` is the resolver.
    #[serde(default)]
    pub dns: Option<Dns>,
}

/// A request.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// HTTP method.
    #[serde(default = "post")]
    pub method: String,
    /// Request target: path and query, or an absolute URI for a request to a proxy.
    #[serde(default = "mcp_path")]
    pub target: String,
    /// Header fields. `host` and `content-length` are added, and `content-type:
    /// application/json` when there is a body.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body: text as it is, anything else as JSON.
    #[serde(default)]
    pub body: Option<serde_json::Value>,
}

/// A response.
#[derive(Clone, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Status code.
    #[serde(default = "ok")]
    pub status: u16,
    /// Header fields. `content-length` is added, and `content-type: application/json` when there
    /// is a body.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body: text as it is, anything else as JSON.
    #[serde(default)]
    pub body: Option<serde_json::Value>,
}

fn post() -> String {
    "POST".into()
}

fn mcp_path() -> String {
    "/mcp".into()
}

const fn ok() -> u16 {
    200
}

/// The bytes of a body: text as it is, anything else as JSON.
fn body_text(body: Option<&serde_json::Value>) -> Option<String> {
    match body? {
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

impl Request {
    /// The body as it goes over the wire.
    #[must_use]
    pub fn body_text(&self) -> Option<String> {
        body_text(self.body.as_ref())
    }
}

impl Response {
    /// The body as it goes over the wire.
    #[must_use]
    pub fn body_text(&self) -> Option<String> {
        body_text(self.body.as_ref())
    }
}

impl Exchange {
    /// The client's endpoint; `None` when it cannot be read.
    #[must_use]
    pub fn client(&self) -> Option<Endpoint> {
        endpoint(self.client.as_ref(), Endpoint::new(Ipv4Addr::new(10, 77, 0, 10).into(), 40_000))
    }

    /// The server's endpoint; `None` when it cannot be read.
    #[must_use]
    pub fn server(&self) -> Option<Endpoint> {
        endpoint(self.server.as_ref(), Endpoint::new(Ipv4Addr::new(10, 77, 0, 20).into(), 8_000))
    }
}

impl Exchange {
    /// With what the short forms stand for.
    #[must_use]
    pub fn expanded(&self) -> Self {
        use serde_json::{Value, json};
        let tools = self.tools.clone().or_else(|| self.tool.clone().map(|tool| vec![tool]));
        let (method, params, result) = match (&self.call, tools, &self.read, &self.ask) {
            (Some(name), ..) => {
                let arguments = self.args.clone().unwrap_or_else(|| json!({}));
                (
                    "tools/call",
                    json!({"name": name, "arguments": arguments}),
                    json!({"content": []}),
                )
            }
            (_, Some(tools), ..) => ("tools/list", json!({}), json!({"tools": tools})),
            (_, _, Some(uri), _) => {
                ("resources/read", json!({"uri": uri}), json!({"contents": []}))
            }
            (.., Some(_)) => ("tools/call", json!({"name": "run", "arguments": {}}), Value::Null),
            _ => return self.clone(),
        };
        let result = match &self.result {
            Some(Value::String(text)) => json!({"content": [{"type": "text", "text": text}]}),
            Some(given) => given.clone(),
            None => result,
        };
        let message = |rest: Value| {
            let mut message = json!({"jsonrpc": "2.0", "id": 1});
            if let (Some(message), Value::Object(rest)) = (message.as_object_mut(), rest) {
                message.extend(rest);
            }
            message
        };
        let mut headers = self.request.as_ref().map(|r| r.headers.clone()).unwrap_or_default();
        let mut body = match self.refused {
            true => message(json!({"error": {"code": -32602, "message": "refused"}})),
            false => message(json!({"result": result})),
        };
        let mut answer = BTreeMap::new();
        if let Some(Value::Object(asked)) = &self.ask {
            let mut asked = asked.clone();
            asked.insert("jsonrpc".into(), "2.0".into());
            asked.insert("id".into(), 7.into());
            answer.insert("content-type".to_owned(), "text/event-stream".to_owned());
            headers.insert("accept".into(), "application/json, text/event-stream".into());
            body = format!("event: message\ndata: {}\n\n", Value::Object(asked)).into();
        }
        let request = Request {
            method: post(),
            target: self.request.as_ref().map_or_else(mcp_path, |request| request.target.clone()),
            headers,
            body: Some(message(json!({"method": method, "params": params}))),
        };
        let response = self.response.clone();
        let response =
            response.unwrap_or(Response { status: 200, headers: answer, body: Some(body) });
        Self { request: Some(request), response: Some(response), ..self.clone() }
    }

    /// Seconds since the exchange before; `None` when `after` cannot be read.
    #[must_use]
    pub fn seconds_after(&self) -> Option<u64> {
        let Some(text) = &self.after else { return Some(1) };
        time::span(text).map(|span| span.as_secs()).filter(|seconds| *seconds < 1 << 32)
    }
}

/// `address`, `address:port` or `[address]:port`.
fn endpoint(text: Option<&Located<String>>, default: Endpoint) -> Option<Endpoint> {
    let Some(Located { value, .. }) = text else {
        return Some(default);
    };
    let socket = value.parse::<std::net::SocketAddr>().map(Endpoint::from).ok();
    socket.or_else(|| Some(Endpoint::new(value.parse::<IpAddr>().ok()?, default.port)))
}

/// Facts of a contact that stand instead of what the inventory would find.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GivenContact {
    /// Host of the server.
    pub host: Option<String>,
    /// Path of the server.
    pub path: Option<String>,
    /// Best evidence.
    pub evidence: Option<Evidence>,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// Revisions in force.
    pub protocol_versions: Option<Vec<String>>,
    /// Authentication schemes seen.
    pub auth: Option<Vec<String>>,
    /// A call without any credential was answered with a result.
    pub unauthenticated_result: Option<bool>,
    /// Vendor on the catalog of public MCP services.
    pub catalogued: Option<String>,
    /// A label of the host says MCP by convention.
    pub named_for_mcp: Option<bool>,
    /// An approval that holds for this client covers host and port.
    pub approved: Option<bool>,
    /// Through an explicit proxy.
    pub via_proxy: Option<bool>,
    /// Methods that the client has sent.
    pub methods: Option<Vec<String>>,
    /// Client addresses that got a result without any credential.
    pub unauthenticated_clients: Option<usize>,
    /// Least estimated randomness of session ids, in bits.
    pub session_bits: Option<u32>,
    /// Most client addresses that used one session.
    pub session_clients: Option<usize>,
    /// Keys of unrelated servers that got the same credential.
    pub token_shared_with: Option<Vec<String>>,
    /// What the server says it is: `name/version`.
    pub software: Option<Vec<String>>,
    /// What the client says it is: `name/version`.
    pub client_software: Option<Vec<String>>,
    /// `User-Agent` values of the client.
    pub user_agents: Option<Vec<String>>,
    /// Ports of the server's address on which the same software answers.
    pub same_software_ports: Option<usize>,
    /// Name of the approved server whose name this one goes by.
    pub impersonates: Option<String>,
    /// How like the two names are.
    pub likeness: Option<Likeness>,
    /// Name of the approval.
    pub approval: Option<String>,
    /// Owner that the approval names.
    pub owner: Option<String>,
    /// It is the first exchange of the client with the server.
    pub first_contact: Option<bool>,
    /// How the client asked the server to start a program.
    pub program_starts: Option<Vec<ProgramStart>>,
    /// Advisories that the server's software falls under.
    pub advisories: Option<Vec<String>>,
    /// The highest severity among them.
    pub advisory_severity: Option<Severity>,
    /// Advisories that the client's software falls under.
    pub client_advisories: Option<Vec<String>>,
    /// The highest severity among them.
    pub client_advisory_severity: Option<Severity>,
}

impl GivenContact {
    /// Puts what is given over what was found.
    pub fn apply(&self, contact: &mut Contact, methods: &mut Vec<String>) {
        put(self.host.as_ref(), &mut contact.host);
        put(self.path.as_ref(), &mut contact.path);
        put(self.evidence.as_ref(), &mut contact.evidence);
        put(self.verdict.as_ref(), &mut contact.verdict);
        put(self.protocol_versions.as_ref(), &mut contact.protocol_versions);
        put(self.auth.as_ref(), &mut contact.auth);
        put(self.unauthenticated_result.as_ref(), &mut contact.unauthenticated_result);
        put(self.named_for_mcp.as_ref(), &mut contact.named_for_mcp);
        put(self.approved.as_ref(), &mut contact.approved);
        put(self.via_proxy.as_ref(), &mut contact.via_proxy);
        put(self.methods.as_ref(), methods);
        self.apply_facts(&mut contact.facts);
        if self.catalogued.is_some() {
            contact.catalogued.clone_from(&self.catalogued);
        }
        if self.host.is_some() || self.path.is_some() {
            contact.key = format!(
                "{}://{}:{}{}",
                contact.scheme.as_str(),
                contact.host,
                contact.port,
                contact.path
            );
        }
    }
}

/// Puts a value over another, if it is given.
fn put<T: Clone>(given: Option<&T>, into: &mut T) {
    if let Some(given) = given {
        into.clone_from(given);
    }
}

/// The same for a value that may be absent.
fn put_some<T: Clone>(given: Option<&T>, into: &mut Option<T>) {
    if given.is_some() {
        *into = given.cloned();
    }
}

impl GivenContact {
    fn apply_facts(&self, facts: &mut Facts) {
        put(self.unauthenticated_clients.as_ref(), &mut facts.unauthenticated_clients);
        put_some(self.session_bits.as_ref(), &mut facts.session_bits);
        put(self.session_clients.as_ref(), &mut facts.session_clients);
        put(self.token_shared_with.as_ref(), &mut facts.token_shared_with);
        put(self.software.as_ref(), &mut facts.software);
        put(self.client_software.as_ref(), &mut facts.client_software);
        put(self.user_agents.as_ref(), &mut facts.user_agents);
        put(self.same_software_ports.as_ref(), &mut facts.same_software_ports);
        put_some(self.impersonates.as_ref(), &mut facts.impersonates);
        put_some(self.likeness.as_ref(), &mut facts.likeness);
        put_some(self.approval.as_ref(), &mut facts.approval);
        put_some(self.owner.as_ref(), &mut facts.owner);
        put(self.first_contact.as_ref(), &mut facts.is_first);
        put(self.program_starts.as_ref(), &mut facts.program_starts);
        put(self.advisories.as_ref(), &mut facts.advisories);
        put(self.client_advisories.as_ref(), &mut facts.client_advisories);
        let severity = |given: Option<Severity>| given.map(Severity::as_str);
        put_some(severity(self.advisory_severity).as_ref(), &mut facts.advisory_severity);
        let of_client = severity(self.client_advisory_severity);
        put_some(of_client.as_ref(), &mut facts.client_advisory_severity);
    }
}

impl Exchange {
    /// The contact of an exchange without a request: addresses and what is given, else defaults.
    /// `None` when an address cannot be read.
    #[must_use]
    pub fn bare_contact(&self) -> Option<(Contact, Vec<String>)> {
        let (client, server) = (self.client()?, self.server()?);
        let scheme = if self.tls { Scheme::Https } else { Scheme::Http };
        let mut contact = Contact {
            key: format!("{}://{server}/mcp", scheme.as_str()),
            host: server.ip.to_string(),
            port: server.port,
            path: "/mcp".into(),
            scheme,
            server: server.ip,
            client: client.ip,
            evidence: Evidence::default(),
            verdict: Verdict::Undetermined,
            protocol_versions: Vec::new(),
            auth: Vec::new(),
            unauthenticated_result: false,
            catalogued: None,
            named_for_mcp: false,
            approved: false,
            via_proxy: false,
            proxy: None,
            approval: None,
            reason: String::new(),
            software: Vec::new(),
            facts: Facts::default(),
        };
        let mut methods = Vec::new();
        self.contact.apply(&mut contact, &mut methods);
        Some((contact, methods))
    }
}

/// One exchange or a list of them, for the schema.
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes `give` to the JSON Schema only")]
pub(super) enum OneOrMany {
    One(Box<Exchange>),
    Many(Vec<Exchange>),
}

/// Reads one exchange or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Exchange>, D::Error> {
    struct OneOrManyVisitor;
    impl<'de> Visitor<'de> for OneOrManyVisitor {
        type Value = Vec<Exchange>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an exchange or a list of exchanges")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let map = serde::de::value::MapAccessDeserializer::new(map);
            Exchange::deserialize(map).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut many = Vec::new();
            while let Some(one) = seq.next_element()? {
                many.push(one);
            }
            Ok(many)
        }
    }
    deserializer.deserialize_any(OneOrManyVisitor)
}
