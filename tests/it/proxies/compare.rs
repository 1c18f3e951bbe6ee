//! What a log and the packets beside it have to say alike.
//!
//! A finding is compared as its rule, server, client, verdict and severity. Whatever the log, its
//! findings are among those of the packets: it never claims more. And none is missing but those of
//! rules that need what the log does not show ([`NEEDS`]). Servers are the same in any case, and so
//! are methods and tools called, as far as the log shows them.
//!
//! Without bodies of answers a log may not prove that the server speaks MCP ([`Known::proves`]): then
//! its verdict is `undetermined`, and only the rules are left that header fields suffice for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::scene::Era;

/// What a log has of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shows {
    /// Request line, status, and the header fields that deploy/proxies names.
    Heads,
    /// These, and the method of the JSON-RPC request and what it names.
    Calls,
    /// These, and the whole body of requests.
    Requests,
    /// Both bodies.
    Bodies,
}

/// Rules that match in these tests, the least that a log has to show for them, and whether their
/// server has to be proven to speak MCP.
const NEEDS: [(&str, Shows, bool); 10] = [
    // Header fields.
    ("SMCP-1001", Shows::Heads, false),
    ("SMCP-1002", Shows::Heads, false),
    ("SMCP-1003", Shows::Heads, false),
    // The verdict.
    ("SMCP-3001", Shows::Heads, true),
    // Methods of messages.
    ("SMCP-1101", Shows::Calls, true),
    ("SMCP-1102", Shows::Calls, true),
    // The protocol version inside `initialize`.
    ("SMCP-1010", Shows::Requests, true),
    // `_meta` inside requests.
    ("SMCP-1012", Shows::Requests, true),
    // The answer to `initialize`.
    ("SMCP-1011", Shows::Bodies, true),
    // Names of tools.
    ("SMCP-4007", Shows::Bodies, true),
];

/// What a log knows.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub shows: Shows,
    /// The address of the client.
    pub client: bool,
}

impl Known {
    pub const fn of(shows: Shows) -> Self {
        Self { shows, client: true }
    }

    /// Whether the log proves that the server speaks MCP. A stream of events in answer to a method
    /// of MCP does, as servers with sessions give; JSON, as those without give, has to be seen.
    fn proves(self, era: Era) -> bool {
        match self.shows {
            Shows::Heads => false,
            Shows::Calls | Shows::Requests => era == Era::Sessions,
            Shows::Bodies => true,
        }
    }

    /// Whether a finding of the packets is to be one of the log, too.
    fn finds(self, era: Era, rule: &str) -> bool {
        let needs = NEEDS.iter().find(|(known, ..)| *known == rule);
        // A rule that nobody has thought about here.
        let (_, least, proof) = needs.unwrap_or_else(|| panic!("{rule} is not in the table"));
        self.shows >= *least && (!proof || self.proves(era))
    }
}

/// Findings by their ids, in their final states.
fn findings(events: &[Value]) -> impl Iterator<Item = &Value> {
    let mut last = BTreeMap::new();
    for event in events.iter().filter(|event| event["event_type"] == "finding") {
        last.insert(event["event"]["id"].to_string(), event);
    }
    last.into_values()
}

/// What is compared of a finding.
fn short(finding: &Value, known: Known, era: Era) -> String {
    let mut paths = vec!["/rule/id", "/server/key"];
    if known.proves(era) {
        paths.extend(["/verdict", "/event/severity_name"]);
    }
    if known.client {
        paths.push("/source/ip");
    }
    let parts = paths.iter().map(|path| finding.pointer(path).unwrap().to_string());
    parts.collect::<Vec<_>>().join(" ")
}

/// The last event of each server.
fn servers(events: &[Value]) -> BTreeMap<String, &Value> {
    let servers = events.iter().filter(|event| event["event_type"] == "server");
    servers.map(|event| (event["server"]["key"].as_str().unwrap().to_owned(), event)).collect()
}

/// Addresses of the clients of a server.
fn clients(server: &Value) -> BTreeSet<&str> {
    let clients = server["clients"].as_array().unwrap();
    clients.iter().map(|client| client["ip"].as_str().unwrap()).collect()
}

/// Holds both against each other. `key` is the server that was talked to.
#[track_caller]
pub fn compare(packets: &[Value], log: &[Value], known: Known, era: Era, key: &str) {
    let (beside, told) = (servers(packets), servers(log));
    assert_eq!(beside.keys().collect::<Vec<_>>(), [key]);
    assert_eq!(told.keys().collect::<Vec<_>>(), [key]);
    let (beside, told) = (beside[key], told[key]);
    assert_eq!(beside["verdict"], "unapproved");
    let verdict = if known.proves(era) { "unapproved" } else { "undetermined" };
    assert_eq!(told["verdict"], verdict, "{told}");
    if known.client {
        assert_eq!(clients(beside), clients(told));
    }
    if known.shows >= Shows::Calls {
        let path = "/methods/client_to_server";
        assert_eq!(beside.pointer(path), told.pointer(path));
        assert_eq!(beside["tools_called"], told["tools_called"]);
    }
    if known.shows == Shows::Bodies {
        for field in ["protocol_versions", "eras", "transports", "responses", "outcomes"] {
            assert_eq!(beside[field], told[field], "{field}");
        }
        assert_eq!(beside["server"]["software"], told["server"]["software"]);
        assert_eq!(tools(beside), tools(told));
    }
    let wanted = findings(packets)
        .filter(|finding| known.finds(era, finding["rule"]["id"].as_str().unwrap()));
    let wanted: BTreeSet<_> = wanted.map(|finding| short(finding, known, era)).collect();
    assert!(!wanted.is_empty());
    // Nothing is left out of these: a log that claims more than it shows is to fail.
    let found: BTreeSet<_> = findings(log).map(|finding| short(finding, known, era)).collect();
    assert_eq!(wanted, found, "{known:?} {era:?}");
}

/// Names and digests of the tools that a server has told of.
fn tools(server: &Value) -> BTreeSet<(&str, &str)> {
    let tools = server["definitions"]["tools"].as_array().unwrap();
    tools.iter().map(|t| (t["name"].as_str().unwrap(), t["digest"].as_str().unwrap())).collect()
}
