//! Conditions as alternatives of texts that must occur together.

use std::collections::BTreeSet;

use super::content::{At, json, member, method, part};
use crate::rules::condition::{Node, Test};
use crate::rules::field::Field;
use crate::rules::literal;

/// Most Suricata rules for one rule; where alternatives would give more, a condition is left out.
const MAX_SIGNATURES: usize = 32;

/// Who sends the messages that a rule is about, which decides where they are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The client, in request bodies; also where a rule does not say.
    Client,
    /// The server, in response bodies.
    Server,
}

impl Sender {
    /// Who sends them, if a condition as a whole says so.
    pub(super) fn of(node: &Node) -> Option<Self> {
        match node {
            Node::All(nodes) => nodes.iter().find_map(Self::of),
            Node::Test(field, Test::Is { texts, .. }) => {
                let only = |words: &[&str]| texts.iter().all(|text| words.contains(&&**text));
                match field.to_string().as_str() {
                    "mcp.kind" if only(&["result", "error"]) => Some(Self::Server),
                    "mcp.direction" if only(&["to_client"]) => Some(Self::Server),
                    "mcp.channel" if only(&["response_body", "sse"]) => Some(Self::Server),
                    "mcp.direction" if only(&["to_server"]) => Some(Self::Client),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    const fn body(self) -> &'static str {
        match self {
            Self::Client => "http.request_body",
            Self::Server => "file.data",
        }
    }
}

/// Texts that must all occur.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Signature {
    /// Buffers and contents.
    pub(super) parts: Vec<String>,
}

/// Buffers that say nothing on their own: every request has one of a few values.
const COMMON: [&str; 2] = ["http.method;", "http.stat_code;"];

/// Buffers of responses.
const RESPONSE: [&str; 4] =
    ["http.stat_code;", "file.data;", "http.response_header;", "http.location;"];

impl Signature {
    /// Whether it looks for a text that most traffic does not have.
    pub(super) fn is_specific(&self) -> bool {
        let common = |part: &String| COMMON.iter().any(|buffer| part.starts_with(buffer));
        !self.parts.iter().all(common)
    }

    /// Whether it looks at responses.
    pub(super) fn is_response(&self) -> bool {
        self.parts.iter().any(|part| of_response(part))
    }

    /// A rule looks at one side of an exchange: of both, the request's stays, if that says enough.
    pub(super) fn one_side(&mut self, lost: &mut BTreeSet<String>) {
        let request = |part: &String| !of_response(part);
        if self.parts.iter().all(request) || !self.parts.iter().any(request) {
            return;
        }
        lost.insert("conditions on the other side of the exchange".into());
        let requests: Vec<_> = self.parts.iter().filter(|part| request(part)).cloned().collect();
        if (Self { parts: requests }).is_specific() {
            self.parts.retain(request);
        } else {
            self.parts.retain(|part| !request(part));
        }
    }

    fn and(&self, other: &Self) -> Self {
        let mut parts = self.parts.clone();
        parts.extend(other.parts.iter().filter(|part| !self.parts.contains(part)).cloned());
        Self { parts }
    }
}

fn of_response(part: &str) -> bool {
    RESPONSE.iter().any(|buffer| part.starts_with(buffer))
}

/// The alternatives of a condition. What cannot be said is left out, so that they match more but
/// never less; `lost` names it.
pub(super) fn of(node: &Node, sender: Sender, lost: &mut BTreeSet<String>) -> Vec<Signature> {
    match node {
        Node::All(nodes) => {
            let mut all = vec![Signature::default()];
            for node in nodes {
                let found = of(node, sender, lost);
                if all.len() * found.len() > MAX_SIGNATURES {
                    lost.insert("a condition with too many alternatives".into());
                    continue;
                }
                all = all.iter().flat_map(|a| found.iter().map(|b| a.and(b))).collect();
            }
            all
        }
        Node::Any(nodes) => {
            let found: Vec<_> = nodes.iter().flat_map(|node| of(node, sender, lost)).collect();
            // An alternative about which nothing can be said makes the others superfluous.
            let open = found.iter().any(|signature| signature.parts.is_empty());
            if open || found.len() > MAX_SIGNATURES {
                lost.insert("a choice of which a part cannot be said".into());
                return vec![Signature::default()];
            }
            found
        }
        // The opposite of a text that matches more would match less.
        Node::Not(node) => {
            let mut fields = BTreeSet::new();
            node.fields(&mut |field| {
                fields.insert(field.to_string());
            });
            let fields = fields.into_iter().collect::<Vec<_>>().join(", ");
            lost.insert(format!("what must not hold ({fields})"));
            vec![Signature::default()]
        }
        Node::Test(field, test) => {
            let found = texts(field, test, sender);
            if found.is_empty() {
                // Who sends a message decides which body is looked at: that much is kept.
                if sender == Sender::Client || Sender::of(node).is_none() {
                    lost.insert(format!("the condition on {field}"));
                }
                return vec![Signature::default()];
            }
            found.into_iter().map(|part| Signature { parts: vec![part] }).collect()
        }
    }
}

/// One text for each alternative of a test; none where the test cannot be said.
fn texts(field: &Field, test: &Test, sender: Sender) -> Vec<String> {
    let name = field.to_string();
    let name = name.split('@').next().unwrap_or_default();
    if let Some(header) = header(name) {
        return header_texts(header, test);
    }
    if let Some(prefix) = name.strip_prefix("http.request.header.") {
        // Whatever it holds, it has to be there.
        let prefix = format!("\r\n{}", prefix.trim_end_matches('*'));
        let absent = matches!(test, Test::Exists(false));
        return if absent { Vec::new() } else { vec![names(&prefix)] };
    }
    if let Test::Equals(numbers) = test {
        let code = |number: &i64| part("http.stat_code", &number.to_string(), At::Whole, false);
        let known = name == "http.response.status";
        return if known { numbers.iter().map(code).collect() } else { Vec::new() };
    }
    let Some((at, values, nocase)) = values(test) else { return Vec::new() };
    let each = |buffer: &str| -> Vec<String> {
        let at = if buffer == "http.uri" && at == At::Whole { At::Start } else { at };
        values.iter().map(|value| part(buffer, value, at, nocase)).collect()
    };
    match name {
        "http.request.header_names" => {
            let (start, end) = edges(at);
            values.iter().map(|value| names(&format!("{start}{value}{end}"))).collect()
        }
        "http.response.header_names" | "http.response.content_type" => {
            let lead = if name.ends_with("type") { "content-type: " } else { "" };
            let colon = if lead.is_empty() && matches!(at, At::Whole | At::End) { ":" } else { "" };
            let text = |value: &String| format!("{lead}{value}{colon}");
            let whole = values.iter().map(text);
            let known = lead.is_empty() || matches!(at, At::Whole | At::Start);
            let buffer = "http.response_header";
            let parts = whole.map(|text| part(buffer, &text, At::Anywhere, true));
            if known { parts.collect() } else { Vec::new() }
        }
        "http.method" => each("http.method"),
        "http.path" => each("http.uri"),
        // These buffers are in lower case already.
        "http.host" | "server.host" | "tls.sni" | "tls.host" | "dns.question" => {
            let buffer = match name {
                "dns.question" => "dns.query",
                "tls.sni" | "tls.host" => "tls.sni",
                _ => "http.host",
            };
            let lower = |value: &String| part(buffer, &value.to_ascii_lowercase(), at, false);
            values.iter().map(lower).collect()
        }
        "mcp.method" if at == At::Whole && sender == Sender::Client => {
            values.iter().flat_map(|value| method(value)).collect()
        }
        "mcp.name" | "mcp.uri" if at == At::Whole && !nocase && sender == Sender::Client => {
            let key = name.trim_start_matches("mcp.");
            values.iter().map(|value| member(key, value)).collect()
        }
        "body.head" | "http.query_keys" => {
            let buffer = if name == "body.head" { "http.request_body" } else { "http.uri" };
            values.iter().map(|value| part(buffer, value, At::Anywhere, nocase)).collect()
        }
        _ => {
            let Some(buffer) = body(name, sender) else { return Vec::new() };
            let inside = |value: &String| part(buffer, &json(value), At::Anywhere, nocase);
            values.iter().map(inside).collect()
        }
    }
}

/// The body that holds the text of a field.
fn body(name: &str, sender: Sender) -> Option<&'static str> {
    let of = |stem: &str| name.starts_with(stem);
    match name {
        "mcp.kind" | "mcp.direction" | "mcp.channel" | "mcp.disagreement" | "mcp.digest" => None,
        "mcp.server_name" | "mcp.server_version" | "mcp.tool_names" | "mcp.prompt_names"
        | "mcp.resource_uris" | "mcp.result_type" => Some("file.data"),
        "args.text" | "args.keys" => Some("http.request_body"),
        "result.text" | "tool.name" | "tool.text" | "tool.description" => Some("file.data"),
        _ if of("mcp.") => Some(sender.body()),
        _ if of("args.value.") => Some("http.request_body"),
        _ => None,
    }
}

/// The request header field that a field of ours reads, in lower case.
fn header(name: &str) -> Option<&str> {
    match name {
        "http.user_agent" => Some("user-agent"),
        "http.content_type" => Some("content-type"),
        "http.origin" => Some("origin"),
        "http.protocol_version" => Some("mcp-protocol-version"),
        "http.mcp_method" => Some("mcp-method"),
        "http.mcp_name" => Some("mcp-name"),
        "http.session" => Some("mcp-session-id"),
        _ => name.strip_prefix("http.request.header.").filter(|rest| !rest.ends_with('*')),
    }
}

/// Names of request header fields: each stands between line ends.
fn names(text: &str) -> String {
    part("http.header_names", text, At::Anywhere, true)
}

/// What stands around a name that is tested in a place.
const fn edges(at: At) -> (&'static str, &'static str) {
    match at {
        At::Whole => ("\r\n", "\r\n"),
        At::Start => ("\r\n", ""),
        At::End => ("", "\r\n"),
        At::Anywhere => ("", ""),
    }
}

fn header_texts(name: &str, test: &Test) -> Vec<String> {
    let there = || vec![names(&format!("\r\n{name}\r\n"))];
    match test {
        Test::Exists(true) | Test::Bool(true) => there(),
        Test::Exists(false) | Test::Bool(false) => Vec::new(),
        test => match values(test) {
            Some((At::Whole | At::Start, values, _)) => values
                .iter()
                .map(|v| part("http.header", &format!("{name}: {v}"), At::Anywhere, true))
                .collect(),
            // Whatever it holds, it has to be there.
            _ => there(),
        },
    }
}

/// The texts of a test, one of which occurs where it holds.
fn values(test: &Test) -> Option<(At, Vec<String>, bool)> {
    let all = |texts: &[Box<str>]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let found = match test {
        Test::Is { texts, nocase } => (At::Whole, all(texts), *nocase),
        Test::StartsWith { texts, nocase } => (At::Start, all(texts), *nocase),
        Test::EndsWith { texts, nocase } => (At::End, all(texts), *nocase),
        Test::Contains { texts, .. } => (At::Anywhere, all(texts), true),
        Test::Matches { patterns, nocase } => {
            let mut found = Vec::new();
            for pattern in patterns {
                found.extend(literal::of_pattern(pattern.as_str(), *nocase)?);
            }
            (At::Anywhere, found, *nocase)
        }
        _ => return None,
    };
    let usable = !found.1.is_empty() && found.1.iter().all(|text| !text.is_empty());
    usable.then_some(found)
}
