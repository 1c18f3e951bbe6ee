use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{Double, Step, now, steps};
use crate::capture::Input;
use crate::finding::{Finding, News};
use crate::intake::{Counts, Mark, NotTaken, Outlet as _, Parcel, Verdict};
use crate::logs::{Meaning, Place, Record, Scratch, Stance, Value};
use crate::mcp::{Tap, TapLimits};
use crate::observation::{ExchangeId, Observation};
use crate::pipeline::samples::{Capture, MILLISECOND, SECOND, Say, call};
use crate::pipeline::shard::{Caused, Shard};
use crate::pipeline::tests::{policy, rule};
use crate::pipeline::watch::crew::Crew;
use crate::pipeline::watch::lanes::Limits;
use crate::pipeline::watch::names::InterfaceNames;
use crate::pipeline::watch::{
    Command, Feed, Health, Inlet, LiveObserver, Notice, Occasion, Settings, SourceName, Watched,
    run, watch, watch_with,
};
use crate::pipeline::workers::{Batch, process};
use crate::pipeline::{Config, Error, Policy, replay};
use crate::rules::Source;
use crate::secret::SecretHasher;
use crate::sinks::event::{FlowEvent, MessageEvent, ServerEvent, StatsEvent};
use crate::time::Timestamp;

/// Stops the run after so many packets, or does something before that.
#[derive(Default)]
struct Watcher {
    packets: u64,
    seen: u64,
    messages: Vec<MessageEvent>,
    flows: Vec<FlowEvent>,
    servers: Vec<ServerEvent>,
    findings: Vec<(News, String, u64)>,
    notices: Vec<Notice>,
    taken: Vec<Mark>,
    stats: Vec<(Occasion, StatsEvent)>,
    /// Given at the first turn after so many findings.
    next: Option<(usize, Policy)>,
    /// Turns after the last packet that are waited for.
    patience: u32,
}

impl LiveObserver for Watcher {
    fn wants_messages(&self) -> bool {
        true
    }
    fn message(&mut self, event: &MessageEvent) {
        self.messages.push(event.clone());
    }
    fn flow(&mut self, event: &FlowEvent) {
        self.flows.push(event.clone());
    }
    fn server(&mut self, event: &ServerEvent) {
        self.servers.push(event.clone());
    }
    fn finding(&mut self, finding: &Finding, news: News) {
        self.findings.push((news, finding.rule.id.clone(), finding.count));
    }
    fn stats(&mut self, stats: &StatsEvent, occasion: Occasion) {
        self.seen = stats.coverage.packets;
        self.stats.push((occasion, stats.clone()));
    }
    fn taken(&mut self, mark: Mark) {
        self.taken.push(mark);
    }
    fn notice(&mut self, notice: &Notice) {
        self.notices.push(notice.clone());
    }
    fn turn(&mut self, _: Timestamp, health: &Health) -> Command {
        assert!(health.is_good());
        if let Some((findings, _)) = &self.next
            && self.findings.len() >= *findings
            && let Some((_, policy)) = self.next.take()
        {
            return Command::Reload(Box::new(policy));
        }
        if self.next.is_none() && self.seen >= self.packets {
            if self.patience == 0 {
                return Command::Stop;
            }
            self.patience -= 1;
        }
        Command::Go
    }
}

fn rules() -> Policy {
    policy(&[rule("SMCP-9001", "server.scheme: http")], "")
}

fn feeds(doubles: impl IntoIterator<Item = Double>) -> Vec<Feed<Double>> {
    doubles.into_iter().map(|source| Feed { source, tap: None }).collect()
}

fn config(threads: usize) -> Config {
    Config { threads, ..Config::default() }
}

/// What does not depend on when a run was looked at.
fn essence(findings: &[Finding]) -> BTreeMap<String, (String, u64, String)> {
    let of = |f: &Finding| (f.id.clone(), (f.rule.id.clone(), f.count, f.text.clone()));
    findings.iter().map(of).collect()
}

fn replayed(capture: &Capture) -> BTreeMap<String, (String, u64, String)> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.pcap");
    std::fs::write(&path, capture.pcap()).unwrap();
    let outcome = replay(&config(1), &rules(), vec![Input::file(path)], &mut ()).unwrap();
    essence(&outcome.findings)
}

fn watched(doubles: Vec<Double>, watcher: &mut Watcher, threads: usize) -> Watched {
    watch(&config(threads), &Settings::default(), rules(), feeds(doubles), watcher).unwrap()
}

#[test]
fn a_live_run_finds_what_a_replay_finds() {
    let capture = now(&Capture::of_calls(60));
    let want = replayed(&capture);
    assert_eq!(want.len(), 60);
    for threads in [1, 2, 5] {
        let mut watcher = Watcher { packets: capture.packets() as u64, ..Watcher::default() };
        let double = Double::new("eth1", steps(&capture));
        let watched = watched(vec![double], &mut watcher, threads);
        assert_eq!(essence(&watched.findings), want, "{threads}");
        assert_eq!(watcher.messages.len(), 120);
        assert!(watcher.messages.is_sorted_by_key(|event| event.packet.as_ref().unwrap().number));
        assert_eq!(watcher.flows.len(), 60);
        assert!(watcher.flows.iter().all(|flow| flow.source.packets == 4 && flow.gaps.is_none()));
        assert_eq!(watcher.messages[0].packet.as_ref().unwrap().file, "eth1");
        let began = watcher.findings.iter().filter(|(news, ..)| *news == News::Began).count();
        let closed = watcher.findings.iter().filter(|(news, ..)| *news == News::Closed).count();
        assert_eq!((began, closed), (60, 60));
        let live = watched.stats.live.unwrap();
        assert_eq!(live.interfaces[0].packets.total, capture.packets() as u64);
        assert_eq!(watched.stats.coverage.flows, 60);
        assert_eq!((live.out_of_order.total, live.shed.packets.total), (0, 0));
        assert!(watched.worst.is_some() && watched.earlier_findings == 0);
    }
}

#[test]
fn two_directions_on_two_interfaces_are_one_network_unless_told_apart() {
    let mut capture = Capture::default();
    let [request, response] = call(5);
    // A packet every 20 ms, so that the two halves do not overtake each other by much.
    capture.converse(3, SECOND, 20 * MILLISECOND, &[Say::Client(&request), Say::Server(&response)]);
    let capture = now(&capture);
    let side = |server: bool| {
        let of_side = |(_, bytes): &&(i64, Vec<u8>)| (bytes[12..16] == [10, 9, 9, 9]) == server;
        let frames = capture.frames().iter().filter(of_side);
        frames.map(|(time, bytes)| Step::Packet(*time, bytes.clone())).collect::<Vec<_>>()
    };
    for separate_interfaces in [false, true] {
        let mut watcher = Watcher { packets: capture.packets() as u64, ..Watcher::default() };
        let doubles = [Double::new("tx", side(false)), Double::new("rx", side(true))];
        let settings = Settings { separate_interfaces, ..Settings::default() };
        let watched = watch(&config(2), &settings, rules(), feeds(doubles), &mut watcher).unwrap();
        assert_eq!(watched.findings.len(), 1, "{separate_interfaces}");
        let flows = if separate_interfaces { 2 } else { 1 };
        assert_eq!(watched.stats.coverage.flows, flows, "{separate_interfaces}");
    }
}

#[test]
fn another_policy_is_followed_from_one_observation_to_the_next() {
    let capture = now(&Capture::of_calls(20));
    let mut watcher = Watcher {
        packets: 2 * capture.packets() as u64,
        next: Some((20, policy(&[rule("SMCP-9002", "server.scheme: http")], ""))),
        ..Watcher::default()
    };
    let double = Double::new("eth1", steps(&capture));
    let script = Arc::clone(&double.script);
    // The second half comes once the first has been judged.
    let more = std::thread::spawn(move || {
        while !script.lock().unwrap().steps.is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(800));
        let mut later = Capture::default();
        for client in 100..120 {
            let [request, response] = call(usize::from(client));
            let says = [Say::Client(&request), Say::Server(&response)];
            later.converse(client, 0, MILLISECOND, &says);
        }
        script.lock().unwrap().steps.extend(steps(&now(&later)));
    });
    let watched = watched(vec![double], &mut watcher, 2);
    more.join().unwrap();
    let of = |id: &str| watched.findings.iter().filter(|found| found.rule.id == id).count();
    assert_eq!((of("SMCP-9001"), of("SMCP-9002")), (20, 20));
    assert_eq!(watched.policy.rules.rules()[0].info.id, "SMCP-9002");
    assert_eq!(watched.inventory.servers().len(), 1, "what was known stays known");
    assert_eq!(watched.stats.live.unwrap().reloads, 1);
}

#[test]
fn a_server_is_told_when_it_is_proven_and_again_with_the_statistics() {
    let capture = now(&Capture::of_calls(3));
    let mut watcher =
        Watcher { packets: capture.packets() as u64, patience: 30, ..Watcher::default() };
    let settings = Settings { stats_interval: Duration::from_secs(1), ..Settings::default() };
    let double = Double::new("eth1", steps(&capture));
    watch(&config(2), &settings, rules(), feeds([double]), &mut watcher).unwrap();
    let messages: Vec<_> = watcher
        .servers
        .iter()
        .map(|event| (event.mcp, event.responses.server_to_client.result))
        .collect();
    // Proven by the first answer; then all three of them; nothing is new after that.
    assert_eq!(messages, [(true, 1), (true, 3)]);
    let occasions: Vec<_> = watcher.stats.iter().map(|(occasion, _)| *occasion).collect();
    assert!(occasions.contains(&Occasion::Interval));
    assert_eq!(occasions.last(), Some(&Occasion::Last));
    let (_, first) =
        watcher.stats.iter().find(|(occasion, _)| *occasion == Occasion::Interval).unwrap();
    let (_, last) = watcher.stats.last().unwrap();
    let packets = |stats: &StatsEvent| stats.live.as_ref().unwrap().interfaces[0].packets;
    assert_eq!(packets(first).interval, packets(first).total);
    assert_eq!((packets(last).interval, packets(last).total), (0, capture.packets() as u64));
}

#[test]
fn an_outage_is_told_and_the_run_goes_on() {
    let capture = now(&Capture::of_calls(4));
    let mut script = steps(&capture);
    script.insert(10, Step::Lost);
    let mut watcher = Watcher { packets: capture.packets() as u64, ..Watcher::default() };
    let watched = watched(vec![Double::new("eth1", script)], &mut watcher, 2);
    assert_eq!(watched.findings.len(), 4);
    assert!(matches!(watcher.notices[..], [Notice::Lost { .. }, Notice::Reopened { .. }]));
    assert_eq!(watched.stats.live.unwrap().interfaces[0].outages, 1);
}

fn with_process(
    process: fn(&mut [Shard], &Batch) -> Vec<Caused>,
    limits: Limits,
    capture: &Capture,
    watcher: &mut Watcher,
) -> Result<Watched, Error> {
    let (config, settings) = (config(2), Settings::default());
    let feeds = feeds([Double::new("eth1", steps(capture))]);
    let crew = Crew::with(&config, &settings, feeds, Arc::default(), limits, process)?;
    run(
        &config,
        &settings,
        rules(),
        crew,
        InterfaceNames::new(["eth1"].into_iter(), Arc::default()),
        watcher,
    )
}

#[test]
fn a_worker_that_panics_ends_the_run() {
    fn panics(_: &mut [Shard], batch: &Batch) -> Vec<Caused> {
        assert!(batch.work.len() < 5, "a bug, for the test");
        Vec::new()
    }
    let capture = now(&Capture::of_calls(20));
    let mut watcher = Watcher { packets: u64::MAX, ..Watcher::default() };
    let ended = with_process(panics, Limits::default(), &capture, &mut watcher);
    assert!(matches!(ended, Err(Error::Worker(_))));
}

#[test]
fn a_slow_worker_sheds_whole_flows_and_the_run_ends_well() {
    fn slow(shards: &mut [Shard], batch: &Batch) -> Vec<Caused> {
        std::thread::sleep(Duration::from_millis(30));
        process(shards, batch)
    }
    let capture = now(&Capture::of_calls(400));
    let limits = Limits { queue_batches: 1, batch_segments: 16, ..Limits::default() };
    let mut watcher = Watcher { packets: capture.packets() as u64, ..Watcher::default() };
    let watched = with_process(slow, limits, &capture, &mut watcher).unwrap();
    let shed = watched.stats.live.unwrap().shed;
    let packets = capture.packets() as u64;
    assert!(shed.packets.total > 0 && shed.overflow_packets.total < packets);
    let segments = watched.stats.counters["flow.segments"];
    assert_eq!(segments + shed.packets.total + shed.overflow_packets.total, packets);
    assert!(watched.findings.len() < 400);
}

/// Observations of `POST /mcp` with a body, as an intake makes them.
fn told(inlet: &Inlet, source: u16, body: &str) -> (Vec<Observation>, ExchangeId) {
    let mut tap = Tap::new(TapLimits::default(), SecretHasher::default());
    let mut record = Record::default();
    for (meaning, text) in [
        (Meaning::Method, "POST"),
        (Meaning::Url, "http://mcp.test/mcp"),
        (Meaning::Client, "10.0.0.5:1"),
        (Meaning::User, "ada"),
    ] {
        record.put(meaning, Value::text(text)).unwrap();
    }
    record.request_body = Some(body.as_bytes().into());
    let time = Timestamp::from_parts(1_795_334_400, 0);
    let at = inlet.at(source, 1, time);
    let place = Place { flow: inlet.flow(), at, stance: Stance::Forward, source: "icap".into() };
    crate::logs::feed(&record, &place, &mut Scratch::default(), &mut tap);
    let id = ExchangeId { flow: place.flow, number: 0 };
    (std::mem::take(tap.observations()), id)
}

#[test]
fn an_intake_is_told_whether_to_refuse_and_what_was_taken_in() {
    let text = rule("SMCP-9001", "").text;
    let text = text.split("on: server").next().unwrap().replace("lane: alert", "lane: enforce")
        + "on: message\nevidence: parsed\nwhen: {mcp.name: drop}\n\
           raise: [{if: {reply.kind: result}, severity: critical}]\n\
           report: {text: \"{mcp.name} is called\"}\n\
           tests:\n  - {name: a, give: {request: {body: {}}}, want: none}\n  \
           - {name: b, give: {request: {body: {}}}, want: hit}\n";
    let policy = policy(&[Source::new("r.yaml", text)], "");
    let inlet = Arc::new(Inlet::default());
    let number = inlet.add_source(SourceName { name: "icap".into(), format: "icap".into() });
    let call = |tool: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        )
    };
    let (answers, answered) = std::sync::mpsc::channel();
    for tool in ["drop", "list"] {
        let (observations, exchange) = told(&inlet, number, &call(tool));
        let counts = Counts { source: number, lines: 1, records: 1, ..Counts::default() };
        let answers = answers.clone();
        let reply = Box::new(move |verdict: Verdict| answers.send((tool, verdict)).unwrap());
        let parcel = Parcel { observations, counts, mark: None };
        inlet.ask(parcel, exchange, reply).unwrap();
    }
    let mark = Mark { source: number, sequence: 7 };
    inlet.offer(Parcel { mark: Some(mark), ..Parcel::default() }).unwrap();
    let mut watcher = Watcher { patience: 100, ..Watcher::default() };
    let none: Vec<Feed<Double>> = Vec::new();
    let inlet_of_run = Arc::clone(&inlet);
    let watched =
        watch_with(&config(1), &Settings::default(), policy, none, inlet_of_run, &mut watcher)
            .unwrap();
    let [(first, refused), (second, let_through)] =
        [answered.recv(), answered.recv()].map(Result::unwrap);
    assert_eq!((first, second), ("drop", "list"));
    let refused = refused.unwrap();
    assert_eq!((refused.rule.id.as_str(), refused.text.as_str()), ("SMCP-9001", "drop is called"));
    assert!(let_through.is_none(), "{let_through:?}");
    assert_eq!(watcher.taken, [mark]);
    let [finding] = &watched.findings[..] else { panic!("{:?}", watched.findings) };
    assert_eq!((finding.count, finding.user.as_deref()), (1, Some("ada")));
    assert_eq!(&*finding.packets[0].file, "icap");
    assert_eq!(watched.stats.logs[0].records, 2);
    assert!(matches!(inlet.offer(Parcel::default()), Err(NotTaken::Closed)));
}
