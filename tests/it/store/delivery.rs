//! Batches into a real ClickHouse, and what becomes of them when it does not take them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shadowtap::sinks::outbox::spool::Directory;
use shadowtap::sinks::outbox::{
    Deliver as _, Farewell, Full, Limits, Options, Outbox, Segment, Trouble,
};
use shadowtap::sinks::rows::RowEncoder;
use shadowtap::sinks::store::client::{Address, Compression};
use shadowtap::sinks::store::deliver::Warehouse;

use super::lines::{finding_line, migrate, now};
use super::proxy::Proxy;
use crate::engine::Engine;
use crate::run::{Run, capture, run, run_in};

const LONG: Farewell = Farewell { idle: Duration::from_secs(30), total: Duration::from_secs(90) };

fn address(url: &str) -> Address {
    Address {
        url: url.to_owned(),
        database: "shadowtap".to_owned(),
        user: None,
        password: None,
        ca_file: None,
        compression: Compression::Lz4,
    }
}

fn warehouse(address: &Address, settings: &[(&str, &str)]) -> Warehouse {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let settings: BTreeMap<String, String> = settings.iter().map(owned).collect();
    Warehouse::new(address, &settings).unwrap()
}

fn segment(stream: &str, token: &str, records: &[String]) -> Segment {
    let body: String = records.iter().map(|record| format!("{record}\n")).collect();
    Segment {
        number: 1,
        stream: stream.to_owned(),
        token: token.to_owned(),
        schema: 1,
        records: records.len() as u64,
        body: body.into_bytes(),
    }
}

fn message(number: u64) -> String {
    format!(
        r#"{{"ts":"2026-11-16 08:00:00.{:06}","sensor":"s1","client_ip":"::ffff:10.0.0.{}","server_key":"https://mcp.example/","method":"tools/call","kind":"request","name":"tool {number}","unknown":1}}"#,
        number % 1_000_000,
        number % 250
    )
}

fn deliver(warehouse: &Warehouse, segment: &Segment) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Connections of a runtime that is gone are not used again.
    runtime.block_on(warehouse.clone().deliver(segment))
}

#[test]
fn a_batch_that_comes_again_is_there_once_in_tables_and_views() {
    let engine = Engine::start();
    migrate(&engine, "shadowtap");
    // Long enough that a server would make several blocks of it, left to itself.
    let messages: Vec<String> = (0..50_000).map(message).collect();
    let ways = [Compression::None, Compression::Lz4, Compression::Zstd];
    for (index, compression) in ways.into_iter().enumerate() {
        let warehouse = warehouse(&Address { compression, ..address(&engine.url()) }, &[]);
        let segment = segment("mcp_messages", &format!("token {index}"), &messages);
        for _ in 0..3 {
            assert_eq!(deliver(&warehouse, &segment), Ok(()), "{compression:?}");
        }
        let rows = (index + 1) * 50_000;
        let counts = "SELECT count(), uniqExact(client_ip) FROM shadowtap.mcp_messages";
        assert_eq!(engine.query(counts), format!("{rows}\t250\n"), "{compression:?}");
        let seen = "SELECT messages, tool_calls FROM shadowtap.servers";
        assert_eq!(engine.query(seen), format!("{rows}\t{rows}\n"), "{compression:?}");
    }
    let parts = "SELECT max(rows) FROM system.parts WHERE table = 'mcp_messages' AND level = 0";
    assert_eq!(engine.query(parts), "50000\n");
}

#[test]
fn servers_of_other_defaults_store_a_batch_once_as_well() {
    let engine = Engine::with_settings(&["compatibility=25.8", "async_insert=1"]);
    migrate(&engine, "shadowtap");
    let warehouse = warehouse(&address(&engine.url()), &[]);
    let messages: Vec<String> = (0..100).map(message).collect();
    let segment = segment("mcp_messages", "t", &messages);
    for _ in 0..3 {
        assert_eq!(deliver(&warehouse, &segment), Ok(()));
    }
    assert_eq!(engine.query("SELECT messages FROM shadowtap.servers"), "100\n");
}

#[test]
fn what_the_server_says_decides_what_follows() {
    let mut engine = Engine::start();
    let here = address(&engine.url());
    let good = segment("mcp_messages", "t", &[message(1)]);
    let stop = |result: Result<(), Trouble>, words: &str| match result {
        Err(Trouble::Stop(text)) => assert!(text.contains(words), "{text}"),
        other => panic!("{other:?}, not a stop with {words}"),
    };
    let migrate_hint = "run `shadowtap store migrate --apply`";
    stop(deliver(&warehouse(&here, &[]), &good), migrate_hint);
    migrate(&engine, "shadowtap");
    let unknown = Address { user: Some("nobody".to_owned()), ..here.clone() };
    stop(deliver(&warehouse(&unknown, &[]), &good), "516");
    stop(deliver(&warehouse(&here, &[("no_such_setting", "1")]), &good), "115");
    for bad in ["{\"ts\":\"yesterday\"}", "{\"client_ip\":\"nowhere\"}", "no JSON"] {
        let bad = segment("mcp_messages", "b", &[message(1), bad.to_owned()]);
        let result = deliver(&warehouse(&here, &[]), &bad);
        assert!(matches!(result, Err(Trouble::Drop(_))), "{result:?}");
    }
    let other = segment("nowhere", "t", &[message(1)]);
    assert!(matches!(deliver(&warehouse(&here, &[]), &other), Err(Trouble::Drop(_))));
    for (name, value) in [("max_memory_usage", "1"), ("max_execution_time", "0.000001")] {
        let many: Vec<String> = (0..50_000).map(message).collect();
        let many = segment("mcp_messages", "m", &many);
        let result = deliver(&warehouse(&here, &[(name, value)]), &many);
        assert!(matches!(result, Err(Trouble::Retry(_))), "{name}: {result:?}");
    }
    let kept = warehouse(&here, &[]);
    engine.query("ALTER TABLE shadowtap.mcp_messages DROP COLUMN capture_file");
    stop(deliver(&kept, &good), "capture_file");
    assert_eq!(engine.query("SELECT count() FROM shadowtap.mcp_messages"), "0\n");
    engine.kill();
    let result = deliver(&warehouse(&here, &[]), &good);
    assert!(matches!(result, Err(Trouble::Retry(_))), "{result:?}");
}

struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn said(&self, words: &str) -> bool {
        self.0.lock().unwrap().iter().any(|text| text.contains(words))
    }
}

fn outbox(url: &str, spool: &Path, limits: Limits) -> (Outbox, Told) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let options = Options {
        name: "clickhouse".to_owned(),
        directory: spool.to_owned(),
        schema: 1,
        full: Full::Lose,
        limits,
        told: Arc::new(move |notice| heard.lock().unwrap().push(notice.to_string())),
    };
    let encoder = RowEncoder::new("s1", "watch");
    (Outbox::start(options, encoder, warehouse(&address(url), &[])).unwrap(), Told(told))
}

fn limits() -> Limits {
    let mut limits = Limits {
        max_pause: Duration::from_millis(200),
        stopped_pause: Duration::from_millis(500),
        ..Limits::default()
    };
    limits.spool.max_segment_records = 500;
    limits.spool.max_segment_age = Duration::from_millis(100);
    limits
}

#[test]
fn a_table_that_is_made_later_gets_everything() {
    let engine = Engine::start();
    let folder = tempfile::tempdir().unwrap();
    let (outbox, told) = outbox(&engine.url(), folder.path(), limits());
    for number in 0..2_000 {
        outbox.offer(finding_line(number).as_bytes());
    }
    while !told.said("run `shadowtap store migrate --apply`") {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(outbox.stats().is_stopped);
    migrate(&engine, "shadowtap");
    let unsent = outbox.finish(LONG);
    // The end may come before the next try of an output that was stopped.
    let (again, _) = self::outbox(&engine.url(), folder.path(), limits());
    assert!(again.finish(LONG).is_nothing(), "{unsent}");
    assert_eq!(engine.query("SELECT count() FROM shadowtap.findings"), "2000\n");
}

#[test]
fn a_slow_store_that_comes_and_goes_makes_nobody_wait_and_gets_each_finding_once() {
    let mut engine = Engine::start();
    migrate(&engine, "shadowtap");
    let proxy = Proxy::start(engine.port(), 5);
    proxy.delay(Duration::from_millis(100));
    let folder = tempfile::tempdir().unwrap();
    engine.kill();
    let mut slowest = Duration::ZERO;
    for round in 0..3_u64 {
        let (outbox, _) = outbox(&proxy.url(), folder.path(), limits());
        proxy.cut(round == 1);
        for number in round * 3_000..(round + 1) * 3_000 {
            let line = finding_line(number);
            let begun = now();
            outbox.offer(line.as_bytes());
            slowest = slowest.max(begun.elapsed());
        }
        if round == 0 {
            // Nobody there yet: everything stays.
            let short = Farewell { idle: Duration::from_secs(2), total: Duration::from_secs(5) };
            assert_eq!(outbox.finish(short).records, 3_000);
            engine.restart();
        } else if round == 1 {
            drop(outbox);
            // What was offered is still written; then the spool is free again.
            while Directory::open(folder.path()).is_err() {
                std::thread::sleep(Duration::from_millis(50));
            }
        } else {
            let unsent = outbox.finish(LONG);
            assert!(unsent.is_nothing(), "{unsent}");
        }
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    let counts = "SELECT count(), uniqExact(finding_id) FROM shadowtap.findings";
    assert_eq!(engine.query(counts), "9000\t9000\n");
    assert_eq!(engine.query("SELECT sum(findings) FROM shadowtap.servers"), "9000\n");
}

#[test]
fn a_store_that_stays_away_costs_no_more_than_the_spool_may() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = limits();
    limits.spool.max_spool_bytes = 400_000;
    let (outbox, told) = outbox("http://127.0.0.1:9", folder.path(), limits);
    for number in 0..5_000 {
        outbox.offer(finding_line(number).as_bytes());
    }
    let unsent =
        outbox.finish(Farewell { idle: Duration::from_secs(2), total: Duration::from_secs(4) });
    assert_eq!(unsent.records + unsent.lost, 5_000);
    assert!(unsent.lost > 1_000, "{unsent}");
    assert!(told.said("records were lost: the spool has no room for them"));
    let files = std::fs::read_dir(folder.path()).unwrap().flatten();
    let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= 400_000, "{bytes}");
}

fn replay(folder: &Path, url: &str) -> Run {
    let capture = capture("office-morning.pcap");
    let capture = capture.to_str().unwrap();
    let args = ["replay", capture, "--no-files", "--quiet", "--fail-on", "never"];
    run_in(folder, &[&args[..], &["--json", "--sensor", "s1", "--store", url]].concat())
}

#[test]
fn a_replay_puts_into_the_store_what_it_prints() {
    let mut engine = Engine::start();
    migrate(&engine, "shadowtap");
    let folder = tempfile::tempdir().unwrap();
    engine.kill();
    let away = std::thread::scope(|scope| {
        let replay = scope.spawn(|| replay(folder.path(), &engine.url()));
        replay.join().unwrap()
    });
    assert_eq!(away.code, 2, "{}", away.stderr);
    assert!(
        away.stderr.contains("they stay in spool/clickhouse for the next run"),
        "{}",
        away.stderr
    );
    engine.restart();
    let here = replay(folder.path(), &engine.url());
    assert_eq!(here.code, 0, "{}", here.stderr);
    let printed = here.of_type("finding").len();
    assert!(printed > 0);
    // The run before had the same findings and messages: of messages both are there.
    let findings = "SELECT count() FROM shadowtap.findings FINAL";
    assert_eq!(engine.query(findings), format!("{printed}\n"));
    let messages = here.of_type("message").len();
    let stored = engine.query("SELECT count() FROM shadowtap.mcp_messages");
    assert_eq!(stored, format!("{}\n", 2 * messages));
}

#[test]
fn files_loaded_twice_change_nothing_and_odd_lines_are_told() {
    let engine = Engine::start();
    migrate(&engine, "shadowtap");
    let folder = tempfile::tempdir().unwrap();
    let path = capture("office-morning.pcap");
    let replayed = run_in(folder.path(), &["replay", path.to_str().unwrap(), "--quiet"]);
    assert!(replayed.code < 2, "{}", replayed.stderr);
    std::fs::write(folder.path().join("findings/odd.ndjson"), "\n{\"event_type\":\"x\"}\nno\n")
        .unwrap();
    let mut texts = Vec::new();
    for _ in 0..2 {
        let loaded = run_in(folder.path(), &["store", "load", "findings", "--url", &engine.url()]);
        assert_eq!(loaded.code, 0, "{}", loaded.stderr);
        assert!(
            loaded.stderr.contains("findings/odd.ndjson:2: the event_type"),
            "{}",
            loaded.stderr
        );
        assert!(loaded.stderr.contains("2 lines are none of ours"), "{}", loaded.stderr);
        let tables = ["findings", "mcp_messages", "tool_definitions", "sensor_stats"];
        let counts =
            tables.map(|table| engine.query(&format!("SELECT count() FROM shadowtap.{table}")));
        assert!(counts.iter().all(|count| count != "0\n"), "{counts:?}");
        texts.push((counts, engine.query("SELECT * FROM shadowtap.servers ORDER BY server_key")));
    }
    assert_eq!(texts[0], texts[1]);
    let nobody = run(&["store", "load", "no-such-folder", "--url", &engine.url()]);
    assert_eq!(nobody.code, 2);
}

#[test]
fn what_a_run_delivered_is_known_when_its_files_are_loaded() {
    let engine = Engine::start();
    migrate(&engine, "shadowtap");
    let folder = tempfile::tempdir().unwrap();
    let path = capture("office-morning.pcap");
    let replay = ["replay", path.to_str().unwrap(), "--quiet", "--store", &engine.url()];
    let replayed = run_in(folder.path(), &replay);
    assert!(replayed.code < 2, "{}", replayed.stderr);
    let tables = ["findings", "mcp_messages", "flows", "tool_definitions FINAL", "sensor_stats"];
    let counts =
        || tables.map(|table| engine.query(&format!("SELECT count() FROM shadowtap.{table}")));
    let servers = || engine.query("SELECT * FROM shadowtap.servers ORDER BY server_key");
    let before = (counts(), servers());
    assert!(before.0.iter().all(|count| count != "0\n"), "{before:?}");
    let load = |sensor: &[&str]| {
        let arguments = ["store", "load", "findings", "--url", &engine.url()];
        let loaded = run_in(folder.path(), &[&arguments, sensor].concat());
        assert_eq!(loaded.code, 0, "{}", loaded.stderr);
    };
    load(&[]);
    assert_eq!((counts(), servers()), before);
    // Of another sensor they are other events; a finding is the same finding.
    load(&["--sensor", "elsewhere"]);
    let [findings, messages, ..] = counts();
    assert_eq!(findings, before.0[0]);
    assert_ne!(messages, before.0[1]);
}
