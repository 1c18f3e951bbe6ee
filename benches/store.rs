//! Outputs over a network: `cargo bench --bench store`. What needs ClickHouse is left out, with a
//! word, where `deploy/engine/install.sh` has not been run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "inputs are known"
)]

#[path = "../tests/it/engine.rs"]
mod engine;
#[path = "../tests/it/run.rs"]
mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use shadowtap::sinks::outbox::spool::{self, Directory, Spool};
use shadowtap::sinks::outbox::{
    Deliver, Encode as _, Farewell, Full, Limits, Options, Outbox, Segment, Trouble,
};
use shadowtap::sinks::rows::RowEncoder;
use shadowtap::sinks::store::client::{Address, Compression};
use shadowtap::sinks::store::deliver::Warehouse;

fn main() {
    divan::main();
}

/// Lines of messages, as the pipeline writes them.
fn lines(count: u64) -> Vec<String> {
    let line = |number: u64| {
        let (second, micros, client) = (number % 60, number % 1_000_000, number % 250);
        format!(
            r#"{{"event_type":"message","@timestamp":"2026-11-16T08:00:{second:02}.{micros:06}Z","source":{{"ip":"10.0.0.{client}","port":40000}},"destination":{{"ip":"10.1.0.7","port":443}},"server":{{"key":"https://s7.example/mcp","address":"s7.example"}},"direction":"client_to_server","kind":"request","method":"tools/call","name":"search","id":{number}}}"#
        )
    };
    (0..count).map(line).collect()
}

/// Rows of them, one to a line.
fn body(count: u64) -> Vec<u8> {
    let mut encoder = RowEncoder::new("bench", "watch");
    let mut body = Vec::new();
    for line in lines(count) {
        let encoded = encoder.encode(line.as_bytes(), &mut |_, record| {
            body.extend_from_slice(record);
            body.push(b'\n');
        });
        encoded.unwrap();
    }
    body
}

/// Lines into rows.
#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let lines = lines(10_000);
    let bytes: usize = lines.iter().map(String::len).sum();
    let mut encoder = RowEncoder::new("bench", "watch");
    let counted = bencher.counter(ItemsCount::new(lines.len())).counter(BytesCount::new(bytes));
    counted.bench_local(|| {
        for line in &lines {
            encoder
                .encode(line.as_bytes(), &mut |_, record| {
                    divan::black_box(record);
                })
                .unwrap();
        }
    });
}

/// Records into sealed segments on disk, and out again.
#[divan::bench]
fn spool(bencher: Bencher<'_, '_>) {
    let body = body(50_000);
    let records: Vec<&[u8]> = body.split(|byte| *byte == b'\n').filter(|r| !r.is_empty()).collect();
    let folder = tempfile::tempdir().unwrap();
    let files = Directory::open(folder.path()).unwrap();
    let mut spool = Spool::open(files, spool::Limits::default(), 1, [1; 32]).unwrap();
    let counted =
        bencher.counter(ItemsCount::new(records.len())).counter(BytesCount::new(body.len()));
    counted.bench_local(|| {
        for record in &records {
            spool.append("mcp_messages", record).unwrap();
        }
        spool.seal_all();
        while let Some(segment) = spool.oldest() {
            spool.taken(segment.number);
        }
    });
}

/// An output that behaves in one of three ways.
struct Other(&'static str);

impl Deliver for Other {
    async fn deliver(&mut self, _: &Segment) -> Result<(), Trouble> {
        match self.0 {
            "slow" => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(())
            }
            "down" => Err(Trouble::Retry("nobody there".to_owned())),
            _ => Ok(()),
        }
    }
}

/// What an output costs whoever offers lines: the same whether it is up, slow or down.
#[divan::bench(args = ["up", "slow", "down"])]
fn offer(bencher: Bencher<'_, '_>, how: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        name: "bench".to_owned(),
        directory: folder.path().join("spool"),
        schema: 1,
        full: Full::Lose,
        limits: Limits::default(),
        told: Arc::new(|_| ()),
    };
    let outbox = Outbox::start(options, RowEncoder::new("bench", "watch"), Other(how)).unwrap();
    let lines = lines(10_000);
    let bytes: usize = lines.iter().map(String::len).sum();
    let counted = bencher.counter(ItemsCount::new(lines.len())).counter(BytesCount::new(bytes));
    counted.bench_local(|| lines.iter().for_each(|line| outbox.offer(line.as_bytes())));
    let gone = Farewell { idle: Duration::ZERO, total: Duration::ZERO };
    drop(outbox.finish(gone));
}

/// Batches of 50,000 rows into a real ClickHouse, by compression.
#[divan::bench(args = ["none", "lz4", "zstd"], sample_count = 10)]
fn deliver(bencher: Bencher<'_, '_>, compression: &str) {
    static TOKENS: AtomicU64 = AtomicU64::new(0);
    let library = std::panic::catch_unwind(engine::library);
    if library.is_err() {
        eprintln!("no ClickHouse: run deploy/engine/install.sh");
        return;
    }
    let engine = engine::Engine::start();
    let migrated = run::run(&["store", "migrate", "--apply", "--url", &engine.url()]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    let compression = match compression {
        "none" => Compression::None,
        "lz4" => Compression::Lz4,
        _ => Compression::Zstd,
    };
    let address = Address {
        url: engine.url(),
        database: "shadowtap".to_owned(),
        user: None,
        password: None,
        ca_file: None,
        compression,
    };
    let mut warehouse = Warehouse::new(&address, &BTreeMap::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = body(50_000);
    let counted = bencher.counter(ItemsCount::new(50_000_u64)).counter(BytesCount::new(body.len()));
    counted.bench_local(|| {
        let segment = Segment {
            number: 1,
            stream: "mcp_messages".to_owned(),
            token: format!("bench {}", TOKENS.fetch_add(1, Relaxed)),
            schema: 1,
            records: 50_000,
            body: body.clone(),
        };
        runtime.block_on(warehouse.deliver(&segment)).unwrap();
    });
}
