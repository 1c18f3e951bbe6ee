use tempfile::TempDir;

use super::super::samples::{Capture, MILLISECOND, SECOND, Say, call};
use super::super::tests::{policy, rule};
use super::super::{Config, Outcome, Policy, replay_with_logs};
use super::*;
use crate::capture::Input;
use crate::finding::Finding;
use crate::logs::{Format, Framing, Line, Meaning, Reader, Reason, Record, Splitter, Value};
use crate::rules::Source as RuleSource;

/// `meaning=value` for each field, blanks between them, as the names of the mapping files.
#[derive(Debug)]
struct Pairs;

impl Format for Pairs {
    fn line<'a>(&mut self, line: &'a [u8], record: &mut Record<'a>) -> Result<Line, Reason> {
        let text = std::str::from_utf8(line).map_err(|_| Reason::of("not UTF-8"))?;
        for pair in text.split(' ') {
            let (name, value) = pair.split_once('=').ok_or(Reason::of("no pair"))?;
            let meaning = serde_json::from_value::<Meaning>(name.into());
            let meaning = meaning.map_err(|_| Reason::of("no such meaning"))?;
            record.put(meaning, Value::text(value))?;
        }
        Ok(Line::Record)
    }
}

fn log(name: &str, stance: Stance, text: &str) -> LogInput {
    LogInput {
        name: name.into(),
        source: "pairs".into(),
        stance,
        reader: Reader::with(Splitter::new(Framing::Lines), Box::new(Pairs)),
        bytes: Box::new(std::io::Cursor::new(text.as_bytes().to_vec())),
    }
}

fn run(policy: &Policy, captures: &[&Capture], logs: Vec<LogInput>) -> Outcome {
    let folder = TempDir::new().unwrap();
    let mut inputs = Vec::new();
    for (number, capture) in captures.iter().enumerate() {
        let path = folder.path().join(format!("{number}.pcap"));
        std::fs::write(&path, capture.pcap()).unwrap();
        inputs.push(Input::file(path));
    }
    replay_with_logs(&Config::default(), policy, inputs, logs, &mut ()).unwrap()
}

/// A rule on exchanges.
fn on_exchange(id: &str, when: &str) -> RuleSource {
    let RuleSource { name, text, .. } = rule(id, when);
    let has_literal = when.contains("/mcp") || when.contains("ada");
    let prefilter = if has_literal { "" } else { "\nprefilter: none" };
    let text = text.replace("on: server", &format!("on: exchange{prefilter}"));
    let text = text.replace("lane: alert", "lane: hunt\nevidence: hint");
    let text = text.split("raise:").next().unwrap().to_owned()
        + "report: {text: \"{http.path}\"}\ntests:\n  - {name: a, give: {request: {}}, want: none}\n  \
           - {name: b, give: {request: {}}, want: hit}\n";
    RuleSource::new(name, text)
}

const LINE: &str = "time=1.5 client=10.0.0.3:20003 method=POST url=http://mcp.test:8000/mcp \
                    status=200 response_type=application/json mcp_session=abcdef user=ada device=laptop group=staff";

fn sources(finding: &Finding) -> Vec<&str> {
    finding.sources.iter().map(|source| &**source).collect()
}

#[test]
fn a_line_is_an_exchange_of_its_user() {
    let policy = policy(&[on_exchange("SMCP-9001", "http.path: /mcp")], "");
    let outcome = run(&policy, &[], vec![log("access.log", Stance::Forward, LINE)]);
    let [finding] = &outcome.findings[..] else { panic!("{:?}", outcome.findings) };
    assert_eq!(finding.user.as_deref(), Some("ada"));
    assert_eq!(
        (finding.device.as_deref(), &finding.groups[..]),
        (Some("laptop"), &["staff".to_owned()][..])
    );
    assert_eq!(sources(finding), ["pairs"]);
    assert_eq!(finding.server_key, "http://mcp.test:8000/mcp");
    assert_eq!(finding.client.to_string(), "10.0.0.3");
    let packet = &finding.packets[0];
    assert_eq!((&*packet.file, packet.number), ("access.log", 1));
    assert_eq!(outcome.stats.logs[0].records, 1);
    assert_eq!(outcome.stats.counters["mcp.exchanges"], 1);
}

#[test]
fn bad_lines_are_counted_and_sampled_and_nothing_else_is_lost() {
    let text = format!("{LINE}\nnonsense\n{LINE}\n\ntime=soon\n");
    let policy = policy(&[on_exchange("SMCP-9001", "http.path: /mcp")], "");
    let outcome = run(&policy, &[], vec![log("a", Stance::Forward, &text)]);
    let [summary] = &outcome.logs[..] else { panic!() };
    assert_eq!((summary.counters.lines, summary.counters.records, summary.counters.bad), (4, 2, 2));
    let bad: Vec<_> = summary.bad.iter().map(|bad| (bad.number, bad.reason.to_string())).collect();
    assert_eq!(bad, [(2, "no pair".into()), (5, "the time is in no known form".into())]);
    assert_eq!(outcome.findings[0].count, 2);
}

#[test]
fn packets_and_the_line_about_them_are_one_finding_that_counts_once() {
    let mut capture = Capture::default();
    let [request, response] = call(5);
    let says = [Say::Client(&request), Say::Server(&response)];
    capture.converse(3, SECOND, MILLISECOND, &says);
    let policy = policy(&[rule("SMCP-9001", "server.scheme: http")], "");
    let alone = run(&policy, &[&capture], Vec::new());
    let line = LINE.replace("client=10.0.0.3:20003", "client=10.0.0.3:20003 server=10.9.9.9:8000");
    for stance in [Stance::Reverse, Stance::Observer, Stance::Forward] {
        let both = run(&policy, &[&capture], vec![log("a", stance, &line)]);
        let [finding] = &both.findings[..] else { panic!("{:?}", both.findings) };
        assert_eq!(finding.count, alone.findings[0].count);
        assert_eq!(sources(finding), ["packets", "pairs"]);
        assert_eq!(finding.user.as_deref(), Some("ada"));
        assert_eq!(finding.packets.last().unwrap().file.as_ref(), "a");
        assert_eq!(both.inventory.servers().len(), 1);
    }
    let other = LINE.replace("20003", "20004");
    let apart = run(&policy, &[&capture], vec![log("a", Stance::Reverse, &other)]);
    assert_eq!(sources(&apart.findings[0]), ["packets"], "another connection");
}

#[test]
fn what_a_log_leaves_out_is_neither_there_nor_missing() {
    let rules = [
        on_exchange("SMCP-9001", "http.auth: {exists: false}"),
        on_exchange("SMCP-9002", "http.path: /mcp, none: [{http.request.header_names: x-key}]"),
        on_exchange("SMCP-9003", "http.accepts_sse: false"),
        on_exchange("SMCP-9004", "not: {http.response.content_type: text/html}"),
        on_exchange("SMCP-9005", "http.path: /mcp, not: {http.method: GET}"),
        on_exchange("SMCP-9006", "any: [{http.auth: bearer}, {http.user: ada}]"),
        on_exchange("SMCP-9007", "http.user: {exists: false}"),
        on_exchange("SMCP-9008", "not: {any: [{http.method: GET}, {http.auth: bearer}]}"),
    ];
    let policy = policy(&rules, "");
    let found = |outcome: &Outcome| -> Vec<String> {
        outcome.findings.iter().map(|finding| finding.rule.id.clone()).collect()
    };
    let told = run(&policy, &[], vec![log("a", Stance::Reverse, LINE)]);
    assert_eq!(found(&told), ["SMCP-9004", "SMCP-9005", "SMCP-9006"]);
    let mut capture = Capture::default();
    let [request, response] = call(5);
    let says = [Say::Client(&request), Say::Server(&response)];
    capture.converse(3, SECOND, MILLISECOND, &says);
    let seen = run(&policy, &[&capture], Vec::new());
    let want = ["9001", "9002", "9003", "9004", "9005", "9007", "9008"];
    assert_eq!(found(&seen), want.map(|id| format!("SMCP-{id}")));
}

#[test]
fn names_alone_are_hints() {
    let policy = policy(&[rule("SMCP-9001", "server.scheme: https")], "");
    let text = "time=1 client=10.0.0.3:1 method=CONNECT url=mcp.linear.app:443 status=200 user=ada";
    let outcome = run(&policy, &[], vec![log("a", Stance::Forward, text)]);
    let servers = outcome.inventory.servers();
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].1.key.host, "mcp.linear.app");
    assert!(!servers[0].1.is_mcp());
}

#[test]
fn an_exchange_that_a_log_shows_too_little_of_is_a_hint_by_its_name() {
    let policy = policy(&[], "");
    let line = |fields: &str| {
        let text = format!("time=1 client=10.0.0.3:1 method=POST status=200 {fields}\n").repeat(3);
        run(&policy, &[], vec![log("a", Stance::Forward, &text)])
    };
    let hints = |outcome: &Outcome| -> Vec<(String, u64)> {
        let servers = outcome.inventory.servers().into_iter();
        let hints = servers.filter_map(|(_, server)| {
            Some((server.key.host.clone(), server.handshakes.as_ref()?.flows))
        });
        hints.collect()
    };
    let catalogued = line("url=https://mcp.linear.app/mcp");
    assert_eq!(hints(&catalogued), [("mcp.linear.app".to_owned(), 1)]);
    assert!(hints(&line("url=https://mcp.linear.app/mcp mcp_session=abc")).is_empty());
    assert!(hints(&line("url=https://www.example.com/mcp")).is_empty());
}

#[test]
fn logs_come_in_the_order_of_their_times() {
    let line = |seconds: u32, port: u16| {
        format!("{} client_port={port}\n", LINE.replace("time=1.5", &format!("time={seconds}")))
    };
    let a = line(1, 1) + &line(5, 2);
    let b = line(2, 3) + &line(4, 4);
    let logs = vec![log("a", Stance::Reverse, &a), log("b", Stance::Reverse, &b)];
    let hasher = SecretHasher::default();
    let mut logs = Logs::new(logs, TapLimits::default(), &hasher);
    let mut times = Vec::new();
    while let Some(seen) = logs.next(None) {
        times.push(seen.at.time.as_nanos() / 1_000_000_000);
    }
    times.dedup();
    assert_eq!(times, [1, 2, 4, 5]);
}

#[test]
fn an_address_that_is_not_known_is_neither_inside_nor_outside() {
    let nets = "in_net: [10.0.0.0/8]";
    let rules = [
        on_exchange("SMCP-9001", &format!("http.path: /mcp, none: [{{client.ip: {{{nets}}}}}]")),
        on_exchange("SMCP-9002", "http.path: /mcp, client.ip: {exists: false}"),
        on_exchange("SMCP-9003", &format!("http.path: /mcp, none: [{{server.ip: {{{nets}}}}}]")),
    ];
    let policy = policy(&rules, "");
    let text = LINE.replace(" client=10.0.0.3:20003", "");
    let outcome = run(&policy, &[], vec![log("a", Stance::Forward, &text)]);
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    let servers = outcome.inventory.servers();
    assert!(servers[0].1.endpoints.is_empty() && servers[0].1.proxies.is_empty());
}
