//! Recognition for the tests of this module: just enough of HTTP and MCP to turn examples into
//! subjects. The program runs the same examples through the real recognition.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::exchange::{Scheme, Version, Visibility};
use crate::flow::At;
use crate::mcp::inventory::Reply;
use crate::mcp::{Contact, Evidence};
use crate::net::Direction;
use crate::observation::{
    Auth, Channel, ExchangeId, Field, Kind, Message, MessageId, RequestInfo, ResponseInfo,
    SecretHash, Software,
};
use crate::rules::catalog::Catalog;
use crate::rules::{
    Given, GivenExchange, GivenRequest, GivenResponse, On, OwnedMessage, OwnedSubject, Recognise,
};
use crate::time::Timestamp;

static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::builtin);

pub(super) struct StandIn;

impl Recognise for StandIn {
    fn subjects(&self, given: &Given) -> Result<Vec<OwnedSubject>, String> {
        if given.approvals.is_some() {
            return Err("the stand-in knows no approvals".into());
        }
        let mut subjects = Vec::new();
        let mut contacts: BTreeMap<String, (Contact, Vec<String>)> = BTreeMap::new();
        for (number, exchange) in given.exchanges.iter().enumerate() {
            let (mut contact, mut methods) = exchange.bare_contact().ok_or("bad address")?;
            if let Some(request) = &exchange.request {
                let number = u32::try_from(number).unwrap();
                let info = Arc::new(request_info(exchange, request, number));
                contact.host = info.host.clone().unwrap();
                contact.path.clone_from(&info.path);
                contact.port = info.port;
                contact.key = format!(
                    "{}://{}:{}{}",
                    info.scheme.as_str(),
                    contact.host,
                    info.port,
                    info.path
                );
                contact.via_proxy = info.via_proxy;
                let found = contacts.entry(contact.key.clone()).or_insert((contact, methods));
                subjects.extend(one(exchange, &info, &mut found.0, &mut found.1));
                exchange.contact.apply(&mut found.0, &mut found.1);
            } else {
                exchange.contact.apply(&mut contact, &mut methods);
                contacts.insert(contact.key.clone(), (contact, methods));
            }
        }
        for subject in &mut subjects {
            let info = subject.request.as_ref().unwrap();
            let key = format!(
                "{}://{}:{}{}",
                info.scheme.as_str(),
                info.host.as_ref().unwrap(),
                info.port,
                info.path
            );
            let (contact, methods) = &contacts[&key];
            subject.evidence = contact.evidence;
            subject.contact = Some(contact.clone());
            subject.methods.clone_from(methods);
        }
        for (contact, methods) in contacts.into_values() {
            let evidence = contact.evidence;
            subjects.push(OwnedSubject { methods, ..bare(On::Server, evidence, contact) });
        }
        Ok(subjects)
    }
}

fn bare(on: On, evidence: Evidence, contact: Contact) -> OwnedSubject {
    OwnedSubject {
        on,
        evidence,
        contact: Some(contact),
        methods: Vec::new(),
        request: None,
        response: None,
        sse_endpoint: None,
        message: None,
    }
}

/// The subjects of one exchange; learns about the contact on the way.
fn one(
    exchange: &GivenExchange,
    info: &Arc<RequestInfo>,
    contact: &mut Contact,
    methods: &mut Vec<String>,
) -> Vec<OwnedSubject> {
    let request = exchange.request.as_ref().unwrap();
    let response = exchange.response.as_ref();
    let answer = response.map(|response| Arc::new(response_info(response)));
    let sent = messages(&request.body_text().unwrap_or_default(), Channel::RequestBody);
    let (got, endpoint) = received(response);
    evidence(info, answer.as_deref(), &sent, &got, contact);
    methods.extend(sent.iter().filter_map(|message| message.message.method.clone()));
    if let Some(entry) = CATALOG.get(&contact.host) {
        contact.catalogued = entry.vendors.first().cloned();
    }
    let base = || OwnedSubject {
        request: Some(Arc::clone(info)),
        response: answer.clone(),
        ..bare(On::Exchange, Evidence::Hint, contact.clone())
    };
    let mut subjects = vec![OwnedSubject { sse_endpoint: endpoint.clone(), ..base() }];
    for mut message in sent {
        let id = message.message.id.clone();
        let same = got.iter().find(|reply| id.is_some() && reply.message.id == id);
        message.reply = answer.as_ref().map(|answer| Reply {
            status: Some(answer.status),
            kind: same.map(|reply| reply.message.kind),
            error_code: same.and_then(|reply| reply.message.error_code),
        });
        message.disagreements = disagreements(info, &message.message);
        message.ambiguous = exchange.ambiguous;
        subjects.push(OwnedSubject { on: On::Message, message: Some(message), ..base() });
    }
    for message in got {
        subjects.push(OwnedSubject { on: On::Message, message: Some(message), ..base() });
    }
    subjects
}

fn received(response: Option<&GivenResponse>) -> (Vec<OwnedMessage>, Option<String>) {
    let Some(body) = response.and_then(GivenResponse::body_text) else {
        return (Vec::new(), None);
    };
    let sse = |value: &String| value.starts_with("text/event-stream");
    if !response.unwrap().headers.get("content-type").is_some_and(sse) {
        return (messages(&body, Channel::ResponseBody), None);
    }
    let mut endpoint = None;
    let mut all = Vec::new();
    for event in body.split("\n\n") {
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
        if event.starts_with("event: endpoint") {
            endpoint = data.split('?').next().map(str::to_owned);
        } else {
            all.extend(messages(data, Channel::Sse));
        }
    }
    (all, endpoint)
}

fn evidence(
    info: &RequestInfo,
    answer: Option<&ResponseInfo>,
    sent: &[OwnedMessage],
    got: &[OwnedMessage],
    contact: &mut Contact,
) {
    let mut best = Evidence::Hint;
    let mcp_header = |fields: &[Field]| fields.iter().any(|field| field.name.starts_with("mcp-"));
    let discovery = info.path.starts_with("/.well-known/oauth-protected-resource");
    if mcp_header(&info.headers)
        || discovery
        || answer.is_some_and(|answer| answer.resource_metadata || mcp_header(&answer.headers))
    {
        best = Evidence::Header;
    }
    let refused = answer.is_some_and(|answer| answer.status >= 300);
    if !refused && sent.iter().chain(got).any(|message| is_mcp(&message.message)) {
        best = Evidence::Parsed;
        let called = |message: &&OwnedMessage| {
            matches!(message.message.method.as_deref(), Some("tools/list" | "tools/call"))
        };
        if got.iter().any(|message| message.message.kind == Kind::Result) {
            best = Evidence::Confirmed;
            contact.unauthenticated_result |=
                info.auth.is_none() && sent.iter().find(called).is_some();
        }
    }
    contact.evidence = contact.evidence.max(best);
    if let Some(scheme) = &info.auth.scheme {
        contact.auth.push(scheme.clone());
    }
    contact.auth.extend(info.auth.api_key_header.clone());
}

fn is_mcp(message: &Message) -> bool {
    let own = ["tools/", "prompts/", "resources/", "completion/", "sampling/", "elicitation/"];
    let whole =
        ["server/discover", "subscriptions/listen", "roots/list", "notifications/initialized"];
    message.method.as_deref().is_some_and(|method| {
        own.iter().any(|prefix| method.starts_with(prefix))
            || whole.contains(&method)
            || (method == "initialize" && message.protocol_version.is_some())
    })
}

fn header<'a>(headers: &'a BTreeMap<String, String>, name: &str) -> Option<&'a String> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn fields(headers: &BTreeMap<String, String>) -> Vec<Field> {
    let masked = ["authorization", "cookie", "mcp-session-id", "x-api-key"];
    let field = |(name, value): (&String, &String)| {
        let name = name.to_ascii_lowercase();
        let value = if masked.contains(&name.as_str()) { "<masked>".into() } else { value.clone() };
        Field { name, value }
    };
    headers.iter().map(field).collect()
}

fn request_info(exchange: &GivenExchange, request: &GivenRequest, number: u32) -> RequestInfo {
    let headers = &request.headers;
    let (client, server) = (exchange.client().unwrap(), exchange.server().unwrap());
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let get = |name| header(headers, name).cloned();
    let host = get("host").unwrap_or_else(|| server.ip.to_string());
    let auth = Auth {
        scheme: get("authorization")
            .map(|value| value.split(' ').next().unwrap_or_default().to_ascii_lowercase()),
        api_key_header: get("x-api-key").map(|_| "x-api-key".into()),
        cookie: get("cookie").is_some(),
        in_query: Vec::new(),
    };
    let accepts = |kind: &str| get("accept").is_some_and(|value| value.contains(kind));
    RequestInfo {
        id: ExchangeId { flow: 0, number },
        client,
        server,
        scheme: if exchange.tls { Scheme::Https } else { Scheme::Http },
        visibility: Visibility::Body,
        at: At { packet: 0, time: Timestamp::EPOCH },
        seen: true,
        version: Version::Http11,
        host: Some(host),
        port: server.port,
        path: path.to_owned(),
        method: request.method.clone(),
        via_proxy: false,
        user_agent: get("user-agent"),
        origin: get("origin"),
        content_type: request.body.as_ref().map(|_| "application/json".into()),
        accepts_json: accepts("application/json"),
        accepts_sse: accepts("text/event-stream"),
        protocol_version: get("mcp-protocol-version"),
        mcp_method: get("mcp-method"),
        mcp_name: get("mcp-name"),
        session: get("mcp-session-id").map(|_| SecretHash([0; 8])),
        auth,
        headers: fields(headers),
        query_keys: query
            .split('&')
            .filter_map(|pair| Some(pair.split('=').next()?.to_ascii_lowercase()))
            .filter(|key| !key.is_empty())
            .collect(),
    }
}

fn response_info(response: &GivenResponse) -> ResponseInfo {
    let challenge = header(&response.headers, "www-authenticate");
    let kind = header(&response.headers, "content-type").map(String::as_str);
    ResponseInfo {
        status: response.status,
        version: Version::Http11,
        content_type: Some(kind.unwrap_or("application/json").to_owned()),
        session: header(&response.headers, "mcp-session-id").map(|_| SecretHash([0; 8])),
        resource_metadata: challenge.is_some_and(|value| value.contains("resource_metadata=")),
        location: None,
        headers: fields(&response.headers),
    }
}

/// Messages of a JSON text; none when it is not JSON-RPC 2.0.
pub(super) fn messages(text: &str, channel: Channel) -> Vec<OwnedMessage> {
    let direction = match channel {
        Channel::RequestBody => Direction::ToServer,
        Channel::ResponseBody | Channel::Sse => Direction::ToClient,
    };
    let (values, batched) = match serde_json::from_str(text) {
        Ok(Value::Array(values)) => (values, true),
        Ok(value) => (vec![value], false),
        Err(_) => return Vec::new(),
    };
    let owned = |message| OwnedMessage {
        direction,
        channel,
        message,
        reply: None,
        disagreements: Vec::new(),
        ambiguous: false,
    };
    let mut found: Vec<_> = values.iter().filter_map(message).map(owned).collect();
    for message in &mut found {
        message.message.batched = batched;
        // Not what a parser would do, but enough for examples that repeat `method`.
        message.message.duplicate_keys = text.matches("\"method\"").count() > 1 && !batched;
    }
    found
}

fn message(value: &Value) -> Option<Message> {
    value.get("jsonrpc").filter(|version| *version == "2.0")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let method = value.get("method").and_then(text);
    let id = value.get("id").map(|id| MessageId(id.to_string()));
    let kind = match (&method, value.get("result"), value.get("error")) {
        (Some(_), ..) if id.is_some() => Kind::Request,
        (Some(_), ..) => Kind::Notification,
        (None, Some(_), _) => Kind::Result,
        (None, None, Some(_)) => Kind::Error,
        (None, None, None) => return None,
    };
    let body = value.get("params").or_else(|| value.get("result")).unwrap_or(&Value::Null);
    let keys = |value: &Value| {
        value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    let meta = body.get("_meta").unwrap_or(&Value::Null);
    let prefixed = |key: &str| meta.get(format!("io.modelcontextprotocol/{key}"));
    let meta_keys: Vec<String> = keys(meta);
    let modern = prefixed("protocolVersion").and_then(text);
    let software =
        |value: &Value| Some(Software { name: text(value.get("name")?)?, version: String::new() });
    let asked = body.get("inputRequests").and_then(Value::as_object);
    Some(Message {
        kind,
        method,
        id,
        name: body.get("name").and_then(text),
        uri: body.get("uri").and_then(text),
        arguments: body.get("arguments").map(ToString::to_string),
        modern_envelope: modern.is_some(),
        protocol_version: body.get("protocolVersion").and_then(text).or(modern),
        client: body.get("clientInfo").and_then(software),
        server: body.get("serverInfo").and_then(software),
        definitions: Vec::new(),
        meta_keys: meta_keys
            .into_iter()
            .filter(|key| key.starts_with("io.modelcontextprotocol/"))
            .collect(),
        result_type: body.get("resultType").and_then(text),
        is_error: body.get("isError").and_then(Value::as_bool),
        error_code: value.pointer("/error/code").and_then(Value::as_i64),
        body_keys: keys(body),
        input_requests: asked
            .map(|asked| asked.values().filter_map(|ask| text(ask.get("method")?)).collect())
            .unwrap_or_default(),
        duplicate_keys: false,
        batched: false,
        partial: false,
        size: u64::try_from(value.to_string().len()).unwrap(),
    })
}

fn disagreements(info: &RequestInfo, message: &Message) -> Vec<&'static str> {
    let differ =
        |header: &Option<String>, body: &Option<String>| header.is_some() && header != body;
    let mut found = Vec::new();
    if differ(&info.mcp_method, &message.method) {
        found.push("method");
    }
    let named = message.name.clone().or_else(|| message.uri.clone());
    if differ(&info.mcp_name, &named) {
        found.push("name");
    }
    if message.modern_envelope && differ(&info.protocol_version, &message.protocol_version) {
        found.push("version");
    }
    found
}
