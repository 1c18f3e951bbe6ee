//! `approvals.yaml` into [`Approvals`]: strict, and with all problems told at once.

use std::collections::HashMap;

use ipnet::IpNet;
use jiff::civil::Date;

use super::approvals::{Approval, Approvals, Approved, Tools, Via};
use super::document::{self, Entry, Node, Value};
use super::pattern::{BadPattern, Glob, KeyPattern};
use super::problem::{Position, Problem, nearest};

/// Longest approvals file, in bytes. A longer one is refused as a whole.
pub const MAX_FILE_BYTES: usize = 8 << 20;
/// So many problems are told; the rest are not looked for.
pub const MAX_PROBLEMS: usize = 100;
/// Longest text value, in characters.
const MAX_TEXT_CHARS: usize = 2048;

/// Value of `schema`.
pub const SCHEMA: &str = "shadowtap/approvals@1";

pub(super) const FILE_KEYS: &[&str] = &["schema", "servers", "portals", "proxies", "groups"];
pub(super) const SERVER_KEYS: &[&str] = &[
    "name",
    "key",
    "owner",
    "approved",
    "expires",
    "via",
    "clients",
    "tools",
    "addresses",
    "pin",
    "data",
    "notes",
];
pub(super) const APPROVED_KEYS: &[&str] = &["by", "on", "ticket"];
pub(super) const TOOLS_KEYS: &[&str] = &["allow", "deny"];
pub(super) const PIN_KEYS: &[&str] = &["tools", "accept_until"];

impl Approvals {
    /// Reads the text of an approvals file. `file` is its name, for problems only.
    ///
    /// # Errors
    /// All problems of the file, in its order, at most [`MAX_PROBLEMS`].
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > MAX_FILE_BYTES {
            let message = format!("file is longer than {MAX_FILE_BYTES} bytes");
            return Err(vec![Problem::new(file, "", Position::default(), message, None)]);
        }
        let root = document::parse(text, file).map_err(|problem| vec![problem])?;
        let mut reader = Reader { file, text, problems: Vec::new(), groups: HashMap::new() };
        let approvals = reader.file(&root);
        if reader.problems.is_empty() {
            return Ok(approvals);
        }
        reader.problems.sort_by_key(|problem| problem.at);
        Err(reader.problems)
    }
}

/// A map whose keys are known to be known and unique.
struct Fields<'n> {
    at: Position,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }
}

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    problems: Vec<Problem>,
    /// Networks by the name of their group.
    groups: HashMap<String, Vec<IpNet>>,
}

impl Reader<'_> {
    fn problem(&mut self, at: Position, message: String, hint: Option<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem::new(self.file, self.text, at, message, hint));
        }
    }

    fn hint(&mut self, at: Position, message: impl Into<String>, hint: &str) {
        self.problem(at, message.into(), Some(hint.to_owned()));
    }

    fn bad_pattern(&mut self, at: Position, bad: BadPattern) {
        self.problem(at, bad.message, bad.hint);
    }

    fn wrong_kind(&mut self, node: &Node, what: &str, wanted: &str) {
        let hint = match node.value {
            Value::Number | Value::Bool => Some("put it in quotes if text is meant".to_owned()),
            _ => None,
        };
        let message = format!("`{what}` is {}, but must be {wanted}", node.value.kind());
        self.problem(node.at, message, hint);
    }

    /// The fields of a map; unknown and repeated keys are told.
    fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &[&str]) -> Option<Fields<'n>> {
        let Value::Map(entries) = &node.value else {
            self.wrong_kind(node, what, "a map");
            return None;
        };
        let mut seen: HashMap<&str, u64> = HashMap::new();
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let hint = nearest(&entry.key, known).map_or_else(
                    || format!("known keys: {}", known.join(", ")),
                    |name| format!("did you mean `{name}`?"),
                );
                let key: String = entry.key.chars().take(40).collect();
                self.problem(entry.at, format!("unknown key `{key}`"), Some(hint));
            }
            if let Some(line) = seen.insert(&entry.key, entry.at.line) {
                let message = format!("key `{}` stands here twice", entry.key);
                self.problem(entry.at, message, Some(format!("the first is in line {line}")));
            }
        }
        Some(Fields { at: node.at, entries })
    }

    fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, hint: &str) -> Option<&'n Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.hint(fields.at, format!("`{key}` is missing"), hint);
        }
        node
    }

    /// Text that is not empty, not too long, and has no control characters but line breaks.
    fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let Value::Text(text) = &node.value else {
            self.wrong_kind(node, what, "text");
            return None;
        };
        if text.trim().is_empty() {
            self.hint(node.at, format!("`{what}` is empty"), "fill it in or leave the key out");
            return None;
        }
        let control = text.chars().any(|c| c.is_control() && c != '\n');
        if control || text.chars().count() > MAX_TEXT_CHARS {
            let message = format!("`{what}` has control characters or is too long");
            self.problem(node.at, message, Some(format!("at most {MAX_TEXT_CHARS} characters")));
            return None;
        }
        Some(text)
    }

    fn required_text(&mut self, fields: &Fields<'_>, key: &str, hint: &str) -> Option<String> {
        let node = self.required(fields, key, hint)?;
        self.text(node, key).map(str::to_owned)
    }

    fn optional_text(&mut self, fields: &Fields<'_>, key: &str) -> Option<String> {
        self.text(fields.get(key)?, key).map(str::to_owned)
    }

    fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            _ => {
                self.wrong_kind(node, what, "a list");
                &[]
            }
        }
    }

    fn date(&mut self, node: &Node, what: &str) -> Option<Date> {
        let text = self.text(node, what)?;
        // jiff reads more than the plain form; one spelling is enough here.
        let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        match text.parse::<Date>() {
            Ok(date) if plain => Some(date),
            _ => {
                let message = format!("`{what}` is not a date");
                self.hint(node.at, message, "write YYYY-MM-DD, as 2027-03-31");
                None
            }
        }
    }

    fn networks(&mut self, fields: &Fields<'_>, key: &str) -> Vec<IpNet> {
        let Some(node) = fields.get(key) else { return Vec::new() };
        let mut networks = Vec::new();
        for item in self.list(node, key) {
            if let Some(text) = self.text(item, key) {
                networks.extend(self.network(item, text));
            }
        }
        networks
    }

    fn globs(&mut self, node: &Node, what: &str) -> Vec<Glob> {
        let mut globs = Vec::new();
        for item in self.list(node, what) {
            let Some(text) = self.text(item, what) else { continue };
            match Glob::parse(text) {
                Ok(glob) => globs.push(glob),
                Err(bad) => self.bad_pattern(item.at, bad),
            }
        }
        globs
    }

    fn file(&mut self, root: &Node) -> Approvals {
        let Some(fields) = self.fields(root, "the file", FILE_KEYS) else {
            return Approvals::default();
        };
        let hint = format!("begin the file with `schema: {SCHEMA}`");
        if let Some(node) = self.required(&fields, "schema", &hint)
            && let Some(schema) = self.text(node, "schema")
            && schema != SCHEMA
        {
            self.problem(node.at, format!("unknown schema `{schema}`"), Some(hint));
        }
        let portals = self.networks(&fields, "portals");
        let proxies = self.networks(&fields, "proxies");
        self.groups = self.groups(&fields);
        let mut servers = Servers::default();
        if let Some(node) = self.required(&fields, "servers", "write `servers: []` to approve none")
        {
            for item in self.list(node, "servers") {
                self.server(item, !portals.is_empty(), &mut servers);
            }
        }
        Approvals::new(servers.list, portals, proxies)
    }

    fn server(&mut self, node: &Node, has_portals: bool, servers: &mut Servers) {
        let Some(fields) = self.fields(node, "servers[]", SERVER_KEYS) else { return };
        let name = self.required_text(&fields, "name", "a short name, for reports");
        let pattern = self.pattern(&fields);
        let owner = self.required_text(&fields, "owner", "who answers for this server");
        let hint = "every approval ends: write a date, as 2027-03-31";
        let expires = self.required(&fields, "expires", hint);
        let expires = expires.and_then(|node| self.date(node, "expires"));
        let approved = fields.get("approved").and_then(|node| self.approved(node, expires));
        let via = self.via(&fields, has_portals);
        let clients = self.clients(&fields);
        let tools = fields.get("tools").map(|node| self.tools(node)).unwrap_or_default();
        let addresses = self.networks(&fields, "addresses");
        let pin = fields.get("pin").and_then(|node| self.pin(node));
        let data = self.optional_text(&fields, "data");
        let notes = self.optional_text(&fields, "notes");
        let (line, at) = (node.at.line, node.at);
        let name_at = fields.get("name").map_or(at, |node| node.at);
        let key_at = fields.get("key").map_or(at, |node| node.at);
        if let Some(name) = &name
            && let Some(first) = servers.names.insert(name.to_lowercase(), line)
        {
            let message = format!("name `{name}` is taken");
            self.problem(name_at, message, Some(format!("by the server in line {first}")));
        }
        if let Some(pattern) = &pattern
            && let Some(first) = servers.keys.insert(pattern.to_string(), line)
        {
            let message = format!("key `{pattern}` is approved twice");
            self.problem(key_at, message, Some(format!("first by the server in line {first}")));
        }
        let (Some(name), Some(pattern), Some(owner), Some(expires)) =
            (name, pattern, owner, expires)
        else {
            return;
        };
        servers.list.push(Approval {
            name,
            pattern,
            owner,
            approved,
            expires,
            via,
            clients,
            tools,
            addresses,
            pin,
            data,
            notes,
            line,
        });
    }

    fn pattern(&mut self, fields: &Fields<'_>) -> Option<KeyPattern> {
        let hint = "`scheme://host[:port][/path]`, as reports print it";
        let node = self.required(fields, "key", hint)?;
        let text = self.text(node, "key")?;
        match KeyPattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(bad) => {
                self.bad_pattern(node.at, bad);
                None
            }
        }
    }

    fn approved(&mut self, node: &Node, expires: Option<Date>) -> Option<Approved> {
        let fields = self.fields(node, "approved", APPROVED_KEYS)?;
        let by = self.required_text(&fields, "by", "who approved it");
        let on = self.required(&fields, "on", "the day of the approval, as 2026-09-01");
        let on = on.and_then(|node| self.date(node, "on"));
        let ticket = self.optional_text(&fields, "ticket");
        if let (Some(on), Some(expires)) = (on, expires)
            && expires < on
        {
            self.hint(node.at, "expires before it was approved", "check both dates");
        }
        Some(Approved { by: by?, on: on?, ticket })
    }

    fn via(&mut self, fields: &Fields<'_>, has_portals: bool) -> Via {
        let Some(node) = fields.get("via") else { return Via::Direct };
        match self.text(node, "via") {
            Some("portal") if !has_portals => {
                let message = "`via: portal`, but the file names no portals";
                self.hint(node.at, message, "add `portals: [address]` at the top of the file");
                Via::Portal
            }
            Some("portal") => Via::Portal,
            Some("direct") | None => Via::Direct,
            Some(other) => {
                let hint = nearest(other, &["direct", "portal"]).map_or_else(
                    || "use `direct` or `portal`".to_owned(),
                    |name| format!("did you mean `{name}`?"),
                );
                self.problem(node.at, format!("unknown way `{other}`"), Some(hint));
                Via::Direct
            }
        }
    }

    fn tools(&mut self, node: &Node) -> Tools {
        let Some(fields) = self.fields(node, "tools", TOOLS_KEYS) else {
            return Tools::default();
        };
        let allow = fields.get("allow").map(|node| {
            if matches!(&node.value, Value::List(items) if items.is_empty()) {
                let hint = "leave `allow` out to allow every tool, or write `deny: [\"*\"]`";
                self.hint(node.at, "`allow` is empty: all tools or none?", hint);
            }
            self.globs(node, "allow")
        });
        let deny = fields.get("deny").map(|node| self.globs(node, "deny")).unwrap_or_default();
        Tools { allow, deny }
    }
}

/// What has been read so far, and where names and keys were first used.
#[derive(Default)]
struct Servers {
    list: Vec<Approval>,
    names: HashMap<String, u64>,
    keys: HashMap<String, u64>,
}

mod clients;
mod pin;
#[cfg(test)]
mod tests;
