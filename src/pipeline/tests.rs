use tempfile::TempDir;

use super::samples::{Capture, SECOND, Say, call};
use super::*;
use crate::flow::At;
use crate::mcp::samples::Stage;
use crate::observation::Event;
use crate::rules::catalog::Catalog;
use crate::rules::{self, Lane, RuleSet, Source};
use crate::time::Timestamp;
use crate::verdict::{Approvals, Verdict};

/// A rule on servers that asks for one thing.
pub(super) fn rule(id: &str, when: &str) -> Source {
    let text = format!(
        "schema: shadowtap/rule@1\nid: {id}\nrev: 1\ntitle: Test\nstatus: experimental\nlane: alert\n\
         severity: low\nconfidence: 50\nwhy: test\nrefs: [https://example.com]\non: server\n\
         when: {{{when}}}\nraise:\n  - {{if: {{server.methods: tools/call}}, severity: high}}\n\
         report: {{text: \"{{server.key}}\", keep: [server.auth]}}\n\
         tests:\n  - {{name: a, give: {{contact: {{}}}}, want: none}}\n\
         \x20 - {{name: b, give: {{contact: {{}}}}, want: hit}}\n"
    );
    Source::new(format!("{id}.yaml"), text)
}

pub(super) fn policy(sources: &[Source], approvals: &str) -> Policy {
    let (rules, _) = rules::compile(sources, &rules::Limits::default())
        .unwrap_or_else(|report| panic!("{report}"));
    let approvals = match approvals {
        "" => Approvals::default(),
        text => Approvals::parse(text, "approvals").unwrap_or_else(|_| panic!("{text}")),
    };
    Policy { rules, approvals, catalog: Catalog::builtin(), lane: Lane::Hunt }
}

/// Rule, severity and count of each finding of a dialogue.
fn findings(policy: &Policy, dialogue: &str) -> Vec<(String, String, u64)> {
    let mut stage = Stage::default();
    let mut analysis =
        Analysis::new(policy, inventory::Limits::default(), finding::Limits::default());
    for observation in stage.play(dialogue) {
        analysis.observe(observation);
    }
    analysis.finish(stage.now());
    let (_, findings, _) = analysis.into_parts();
    let found = findings.finish(&Names::default()).into_iter();
    let mut found: Vec<_> = found
        .map(|found| (found.rule.id.clone(), format!("{:?}", found.severity), found.count))
        .collect();
    found.sort();
    found
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}"#;
const TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;

fn exchange(name: char, call: &str) -> String {
    format!("{name}> POST /mcp\n{name}> {call}\n{name}< 200\n{name}< {TOOLS}\n{name}.\n")
}

#[test]
fn a_fact_that_comes_last_is_seen_and_counts_once() {
    let policy = policy(
        &[
            rule("SMCP-9001", "server.scheme: http"),
            rule("SMCP-9002", "server.unauthenticated_result: true"),
        ],
        "",
    );
    let want = |first: u64, second: u64| {
        let one = |id: &str, count: u64| (id.to_owned(), "Low".to_owned(), count);
        vec![one("SMCP-9001", first), one("SMCP-9002", second)]
    };
    assert_eq!(findings(&policy, &exchange('a', LIST)), want(1, 1));
    assert_eq!(findings(&policy, &(exchange('a', LIST) + &exchange('b', LIST))), want(2, 2));
    // The result comes on the stream, long after the contact was reported.
    let stream = format!(
        "a> GET /mcp | accept: text/event-stream | mcp-session-id: s\na< 200 | content-type: text/event-stream
         b> POST /mcp | mcp-session-id: s\nb> {LIST}\nb< 202\nb.
         a< data: {TOOLS}\na< \na."
    );
    assert_eq!(findings(&policy, &stream), want(2, 1));
}

#[test]
fn a_severity_that_rises_later_is_no_second_occurrence() {
    let policy = policy(&[rule("SMCP-9001", "server.scheme: http")], "");
    // The answer begins, and proves the server, before the call is read.
    let dialogue = format!(
        "{}b> POST /mcp\nb> {}\nb<< 200 | content-type: text/event-stream\nb> {}\nb!\n",
        exchange('a', LIST),
        r#"[{"jsonrpc":"2.0","method":"notifications/initialized"},"#,
        &format!("{CALL}]"),
    );
    let found = findings(&policy, &dialogue);
    assert_eq!(found, [("SMCP-9001".to_owned(), "High".to_owned(), 2)]);
}

#[test]
fn a_tool_that_is_not_allowed_is_seen_in_the_last_exchange() {
    let approvals = "schema: shadowtap/approvals@1\nservers:\n  - name: a\n    key: http://10.0.0.2:80/mcp\n    \
                     owner: o\n    expires: 2030-01-01\n    tools: {deny: [drop]}\n";
    let policy = policy(&[rule("SMCP-9001", "server.verdict: tool_not_allowed")], approvals);
    assert_eq!(findings(&policy, &exchange('a', LIST)), []);
    // Also if the server, which is known by now, refuses the call.
    let refused = format!("b> POST /mcp\nb> {CALL}\nb< 403\nb.\n");
    for last in [exchange('b', CALL), refused] {
        let found = findings(&policy, &(exchange('a', LIST) + &last));
        assert_eq!(found, [("SMCP-9001".to_owned(), "High".to_owned(), 1)], "{last}");
    }
}

/// Everything that a run gives, as text.
fn outcome(folder: &TempDir, threads: usize, rules: &[Source]) -> String {
    let config = Config { threads, ..Config::default() };
    let inputs = ["1.pcap", "2.pcap"].map(|name| Input::file(folder.path().join(name)));
    let policy = policy(rules, "");
    let mut watcher = Watcher::default();
    let outcome = replay(&config, &policy, inputs.into(), &mut watcher).unwrap();
    let messages = serde_json::to_string(&watcher.messages).unwrap();
    let flows = serde_json::to_string(&watcher.flows).unwrap();
    let servers = outcome.inventory.servers();
    let servers: Vec<_> = servers.iter().map(|(_, server)| server_event(&policy, server)).collect();
    let stats = serde_json::to_string(&outcome.stats).unwrap();
    let servers = serde_json::to_string(&servers).unwrap();
    format!("{servers}\n{:?}\n{stats}\n{messages}\n{flows}", outcome.findings)
}

#[test]
fn a_run_gives_the_same_with_any_number_of_threads() {
    let folder = TempDir::new().unwrap();
    let calls = Capture::of_calls(60);
    let half = calls.packets() / 2;
    std::fs::write(folder.path().join("1.pcap"), calls.part(0..half, 0).pcap()).unwrap();
    let rest = calls.part(half..calls.packets(), 0);
    std::fs::write(folder.path().join("2.pcap"), rest.pcap()).unwrap();
    let rules = [rule("SMCP-9001", "server.scheme: http")];
    let alone = outcome(&folder, 1, &rules);
    assert!(alone.contains("mcp.test:8000/mcp"), "{alone}");
    assert!(alone.contains("\"tools/list\":60"), "{alone}");
    assert_eq!(alone.matches("\"finish\":\"fin\"").count(), 60, "{alone}");
    for threads in [2, 3, 7, 16] {
        assert_eq!(outcome(&folder, threads, &rules), alone, "{threads}");
    }
}

/// Keeps the messages and flows that an observer gets.
#[derive(Default)]
struct Watcher {
    messages: Vec<MessageEvent>,
    flows: Vec<FlowEvent>,
    packets: u64,
}

impl Observer for Watcher {
    fn message(&mut self, event: &MessageEvent) {
        self.messages.push(event.clone());
    }
    fn flow(&mut self, event: &FlowEvent) {
        self.flows.push(event.clone());
    }
    fn progress(&mut self, progress: Progress, _: usize) {
        self.packets = progress.packets;
    }
    fn wants_messages(&self) -> bool {
        true
    }
}

#[test]
fn an_observer_sees_messages_with_their_packets() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.pcap");
    let mut capture = Capture::default();
    let [request, response] = call(5);
    capture.converse(3, SECOND, SECOND, &[Say::Client(&request), Say::Server(&response)]);
    std::fs::write(&path, capture.pcap()).unwrap();
    let policy = Policy {
        rules: RuleSet::default(),
        approvals: Approvals::default(),
        catalog: Catalog::builtin(),
        lane: Lane::Hunt,
    };
    let mut watcher = Watcher::default();
    let inputs = vec![Input::file(path), Input::file(folder.path().join("missing.pcap"))];
    let outcome = replay(&Config::default(), &policy, inputs, &mut watcher).unwrap();
    assert_eq!(watcher.packets, capture.packets() as u64);
    let seen: Vec<_> = watcher
        .messages
        .iter()
        .map(|event| (event.packet.as_ref().map(|packet| packet.number), event.timestamp))
        .collect();
    let at = |seconds: i64| Timestamp::from_nanos(seconds * SECOND);
    assert_eq!(seen, [(Some(4), at(4)), (Some(5), at(5))]);
    assert!(matches!(outcome.troubles.as_slice(), [Trouble::Unopened(_)]));
    assert!(outcome.findings.is_empty());
    // The request is the first that is seen of the server: nothing is proved yet.
    let verdicts: Vec<_> = watcher.messages.iter().map(|event| event.verdict).collect();
    assert_eq!(verdicts, [Verdict::Undetermined, Verdict::Unapproved]);
    let [flow] = watcher.flows.as_slice() else { panic!("{:?}", watcher.flows) };
    let size = |text: &str| u64::try_from(text.len()).unwrap();
    assert_eq!((flow.source.packets, flow.source.bytes), (4, size(&request)));
    assert_eq!((flow.destination.packets, flow.destination.bytes), (3, size(&response)));
    assert_eq!((flow.event.start, flow.event.end), (at(1), at(7)));
    assert_eq!(flow.server.key, "http://mcp.test:8000/mcp");
}

#[test]
fn a_message_names_the_software_of_its_client_once_that_is_known() {
    let policy = policy(&[], "");
    let mut analysis =
        Analysis::new(&policy, inventory::Limits::default(), finding::Limits::default());
    let told = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"clientInfo":{"name":"agent","version":"0.9"}}}"#;
    let dialogue = exchange('a', LIST) + &exchange('b', told) + &exchange('c', LIST);
    let mut software = Vec::new();
    let mut each = |told: Told<'_>| {
        if let Told::TakenIn(Some(seen), _, server) = told
            && let Some(event) = events::message(&policy, seen, server, &Names::default())
        {
            software.push(event.client.map(|client| client.software));
        }
    };
    for seen in Stage::default().play(&dialogue) {
        let mut tell = Some(Listener { messages: true, each: &mut each });
        analysis.observe_telling(seen, &mut tell);
    }
    let agent = || Some("agent 0.9".to_owned());
    assert_eq!(software, [None, None, agent(), agent(), agent(), agent()]);
}

#[test]
fn contacts_are_judged_by_what_is_known_of_them() {
    let policy = policy(&[], "");
    let mut analysis =
        Analysis::new(&policy, inventory::Limits::default(), finding::Limits::default());
    let mut stage = Stage::default();
    let seen = stage.play(&exchange('a', LIST));
    let Event::Message { request, .. } = seen[0].event.clone() else { panic!("{seen:?}") };
    for observation in seen {
        analysis.observe(observation);
    }
    let (id, _) = analysis.inventory().servers()[0];
    let at = At { packet: 0, time: Timestamp::EPOCH };
    let mut contacts = contacts::Contacts::default();
    let contact = contacts.contact(&policy, analysis.inventory(), id, &request, at).unwrap();
    assert_eq!(contact.key, "http://10.0.0.2:80/mcp");
    assert!(contact.unauthenticated_result && contact.auth.is_empty());
    assert_eq!(contact.verdict, Verdict::Unapproved);
}
