//! Runs the program on a capture, and what it saw.

use std::collections::BTreeMap;

use serde_json::Value;

use super::builder::{File, Talk};
use crate::run::{Run, replay_json};

/// What a run saw.
#[derive(Debug)]
pub struct Seen {
    pub run: Run,
    pub events: Vec<Value>,
}

/// Replays bytes as a capture file.
pub fn replay(bytes: &[u8], more: &[&str]) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("probe.pcap");
    std::fs::write(&path, bytes).unwrap();
    let run = replay_json(&path, more);
    let events = run.events();
    Seen { run, events }
}

/// Replays a capture.
pub fn look(file: &File) -> Seen {
    replay(&file.bytes(), &[])
}

/// Replays one connection.
pub fn watch(talk: &Talk) -> Seen {
    look(&talk.file())
}

impl Seen {
    fn of_type(&self, event_type: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["event_type"] == event_type)
    }

    /// Each message as `8 > tools/call` or `9 < result`: packet, sender, method or kind, and
    /// ` partial` or ` ambiguous` where it is so.
    pub fn messages(&self) -> Vec<String> {
        self.of_type("message").map(line).collect()
    }

    /// The same without packets.
    pub fn said(&self) -> Vec<String> {
        let cut = |line: String| line.split_once(' ').unwrap().1.to_owned();
        self.messages().into_iter().map(cut).collect()
    }

    /// How often each was said.
    pub fn tally(&self) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for said in self.said() {
            *tally.entry(said).or_default() += 1;
        }
        tally
    }

    /// How often this was said.
    pub fn count(&self, said: &str) -> usize {
        self.said().iter().filter(|line| *line == said).count()
    }

    /// Keys of the servers that are said to speak MCP.
    pub fn servers(&self) -> Vec<String> {
        let mcp = self.of_type("server").filter(|server| server["mcp"] == true);
        mcp.map(|server| server["server"]["key"].as_str().unwrap().to_owned()).collect()
    }

    /// The only server that is said to speak MCP.
    pub fn server(&self) -> &Value {
        let mut mcp = self.of_type("server").filter(|server| server["mcp"] == true);
        let server = mcp.next().unwrap_or_else(|| panic!("no server: {}", self.run.stdout));
        assert!(mcp.next().is_none(), "more than one server: {:?}", self.servers());
        server
    }

    /// Rule ids and severities of the findings, sorted.
    pub fn findings(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let finding =
            |event: &Value| (text(&event["rule"]["id"]), text(&event["event"]["severity_name"]));
        let mut found: Vec<_> = self.of_type("finding").map(finding).collect();
        found.sort();
        found
    }

    /// Severity of the finding of a rule, if there is one.
    pub fn severity(&self, rule: &str) -> Option<String> {
        self.findings().into_iter().find(|(id, _)| id == rule).map(|(_, severity)| severity)
    }

    fn stats(&self) -> &Value {
        self.of_type("stats").next().unwrap_or_else(|| panic!("no stats: {}", self.run.stderr))
    }

    /// A number of `coverage`.
    pub fn coverage(&self, name: &str) -> u64 {
        let value = &self.stats()["coverage"][name];
        value.as_u64().unwrap_or_else(|| panic!("no coverage {name}"))
    }

    /// A counter; 0 when it is not there.
    pub fn counter(&self, name: &str) -> u64 {
        self.stats()["counters"][name].as_u64().unwrap_or(0)
    }

    /// Anomalies of the run and of all servers, by name.
    pub fn anomalies(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for event in &self.events {
            for (name, count) in event["anomalies"].as_object().into_iter().flatten() {
                *found.entry(name.clone()).or_default() += count.as_u64().unwrap();
            }
        }
        found
    }

    pub fn has_anomaly(&self, name: &str) -> bool {
        self.anomalies().contains_key(name)
    }

    /// So many calls and results, of one MCP server, and nothing that hints at trouble.
    pub fn assert_clean(&self, what: &str, calls: usize) {
        self.assert_calls(what, calls);
        assert_eq!(self.anomalies(), BTreeMap::new(), "{what}");
        assert_eq!(self.coverage("gap_bytes"), 0, "{what}");
        let flagged = |line: &String| line.ends_with("partial") || line.ends_with("ambiguous");
        assert!(!self.said().iter().any(flagged), "{what}: {:?}", self.said());
    }

    /// So many calls and results, of one MCP server.
    pub fn assert_calls(&self, what: &str, calls: usize) {
        let expected = [("< result", calls), ("> tools/call", calls)];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(said, count)| (said.to_owned(), count)).collect();
        assert_eq!(self.tally(), expected, "{what}: {}", self.run.stderr);
        assert_eq!(self.servers(), [SERVER], "{what}");
        assert_eq!(self.run.code, 1, "{what}");
    }

    /// Nothing speaks MCP here.
    pub fn assert_no_mcp(&self, what: &str) {
        assert_eq!(self.servers(), Vec::<String>::new(), "{what}");
        let loud = |(_, severity): &(String, String)| severity != "info";
        assert!(!self.findings().iter().any(loud), "{what}: {:?}", self.findings());
        assert_eq!(self.run.code, 0, "{what}: {}", self.run.stderr);
    }
}

/// The key of the server that [`text`](super::text) speaks to.
pub const SERVER: &str = "http://mcp.test:8080/mcp";

fn line(event: &Value) -> String {
    let mcp = &event["mcp"];
    let sender = if mcp["direction"] == "to_server" { '>' } else { '<' };
    let kind = mcp["kind"].as_str().unwrap();
    let is_call = matches!(kind, "request" | "notification");
    let what = mcp["method"].as_str().filter(|_| is_call).unwrap_or(kind);
    let mut line = format!("{} {sender} {what}", event["packet"]["number"]);
    for flag in ["partial", "ambiguous"] {
        if mcp[flag] == true {
            line.push(' ');
            line.push_str(flag);
        }
    }
    line
}
