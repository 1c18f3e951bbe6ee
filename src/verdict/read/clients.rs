//! Who may use a server: addresses, networks and groups of them.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::document::{Node, Value};
use super::super::problem::nearest;
use super::{Fields, Reader};

/// Longest name of a group, in bytes.
const MAX_GROUP_BYTES: usize = 64;

impl Reader<'_> {
    /// An address or a network without bits beyond its prefix.
    pub(super) fn network(&mut self, item: &Node, text: &str) -> Option<IpNet> {
        let single = text.parse::<IpAddr>().map(IpNet::from);
        match single.or_else(|_| text.parse::<IpNet>()) {
            Ok(network) if network.addr() == network.network() => Some(network),
            Ok(network) => {
                let hint = format!("write {} or one address", network.trunc());
                let message = format!("`{text}` has bits beyond its prefix");
                self.problem(item.at, message, Some(hint));
                None
            }
            Err(_) => {
                let message = format!("`{text}` is not an address or a network");
                self.hint(item.at, message, "as 10.20.0.0/16, 192.0.2.7 or 2001:db8::/32");
                None
            }
        }
    }

    /// `groups: {name: [networks]}`. None is empty: an approval for nobody would read like one for
    /// everybody.
    pub(super) fn groups(&mut self, fields: &Fields<'_>) -> HashMap<String, Vec<IpNet>> {
        let mut groups = HashMap::new();
        let Some(node) = fields.get("groups") else { return groups };
        let Value::Map(entries) = &node.value else {
            self.wrong_kind(node, "groups", "a map");
            return groups;
        };
        for entry in entries {
            let name = &entry.key;
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if name.is_empty() || name.len() > MAX_GROUP_BYTES || !name.bytes().all(plain) {
                let hint = "letters, digits, `-`, `_` and `.`, 64 at most";
                self.hint(entry.at, "this is no name for a group", hint);
                continue;
            }
            let mut networks = Vec::new();
            for item in self.list(&entry.node, "groups") {
                if let Some(text) = self.text(item, "groups") {
                    let text = text.strip_prefix("net:").unwrap_or(text);
                    networks.extend(self.network(item, text));
                }
            }
            if matches!(&entry.node.value, Value::List(items) if items.is_empty()) {
                self.hint(entry.at, format!("group `{name}` is empty"), "name its networks");
            }
            if groups.insert(name.clone(), networks).is_some() {
                self.hint(entry.at, format!("group `{name}` stands here twice"), "join the two");
            }
        }
        groups
    }

    /// `clients`: addresses, networks (`net:` before them or not) and groups (`group:name`).
    pub(super) fn clients(&mut self, fields: &Fields<'_>) -> Vec<IpNet> {
        let Some(node) = fields.get("clients") else { return Vec::new() };
        let mut networks = Vec::new();
        for item in self.list(node, "clients") {
            let Some(text) = self.text(item, "clients") else { continue };
            let Some(name) = text.strip_prefix("group:") else {
                let text = text.strip_prefix("net:").unwrap_or(text);
                networks.extend(self.network(item, text));
                continue;
            };
            let Some(group) = self.groups.get(name) else {
                let known: Vec<&str> = self.groups.keys().map(String::as_str).collect();
                let hint = nearest(name, &known).map_or_else(
                    || format!("add `groups: {{{name}: [10.20.0.0/16]}}` at the top of the file"),
                    |name| format!("did you mean `group:{name}`?"),
                );
                self.problem(item.at, format!("the file names no group `{name}`"), Some(hint));
                continue;
            };
            networks.extend(group);
        }
        networks
    }
}
