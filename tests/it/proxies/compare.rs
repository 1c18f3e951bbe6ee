//! What a log and the packets beside it have to say alike.
//!
//! A finding is compared as its rule, server, client, verdict and severity. Whatever the log, its
//! findings are among those of the packets: it never claims more. And none is missing but those of
//! rules that need what the log does not show ([`Shows::hides`]). Servers are the same in any case,
//! and so are methods and tools called, as far as the log shows them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

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

/// Rules that match in these tests, and the least that a log has to show for them.
const NEEDS: [(&str, Shows); 6] = [
    // Methods of messages.
    ("SMCP-1101", Shows::Calls),
    ("SMCP-1102", Shows::Calls),
    // The protocol version inside `initialize`.
    ("SMCP-1010", Shows::Requests),
    // `_meta` inside requests.
    ("SMCP-1012", Shows::Requests),
    // The answer to `initialize`.
    ("SMCP-1011", Shows::Bodies),
    // Names of the tools of two servers.
    ("SMCP-4007", Shows::Bodies),
];

impl Shows {
    /// Whether a rule needs more than this.
    fn hides(self, rule: &str) -> bool {
        NEEDS.iter().any(|(needing, least)| *needing == rule && *least > self)
    }
}

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
}

/// Fields of a finding that every source knows.
const FINDING: [&str; 4] = ["/rule/id", "/server/key", "/verdict", "/event/severity_name"];

/// Final states of findings, without those whose rule needs more.
fn findings(events: &[Value], known: Known) -> BTreeSet<String> {
    let mut last = BTreeMap::new();
    for event in events.iter().filter(|event| event["event_type"] == "finding") {
        last.insert(event["event"]["id"].to_string(), event);
    }
    let is_shown = |event: &&&Value| !known.shows.hides(event["rule"]["id"].as_str().unwrap());
    let client = known.client.then_some("/source/ip");
    let paths: Vec<_> = FINDING.into_iter().chain(client).collect();
    let short = |event: &&Value| {
        let parts: Vec<_> =
            paths.iter().map(|path| event.pointer(path).unwrap().to_string()).collect();
        parts.join(" ")
    };
    last.values().filter(is_shown).map(short).collect()
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
pub fn compare(packets: &[Value], log: &[Value], known: Known, key: &str) {
    let (beside, told) = (servers(packets), servers(log));
    assert_eq!(beside.keys().collect::<Vec<_>>(), [key]);
    assert_eq!(told.keys().collect::<Vec<_>>(), [key]);
    let (beside, told) = (beside[key], told[key]);
    assert_eq!(beside["verdict"], told["verdict"]);
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
    let wanted = findings(packets, known);
    // Nothing is left out of these: a log that claims more than it shows is to fail.
    assert_eq!(wanted, findings(log, Known { shows: Shows::Bodies, ..known }), "{known:?}");
    assert!(wanted.iter().any(|finding| finding.contains("SMCP-3001")), "{wanted:?}");
}

/// Names and digests of the tools that a server has told of.
fn tools(server: &Value) -> BTreeSet<(&str, &str)> {
    let tools = server["definitions"]["tools"].as_array().unwrap();
    tools.iter().map(|t| (t["name"].as_str().unwrap(), t["digest"].as_str().unwrap())).collect()
}
