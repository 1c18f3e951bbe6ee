//! The tables: made, made again, filled and read back by the types of the rows.

use std::future::Future;

use clickhouse::{Client, Row, RowOwned, RowRead, RowWrite};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shadowtap::sinks::rows::{
    CallRow, FindingRow, FlowRow, MessageRow, SCHEMA, StatsRow, Table, ToolRow,
};
use shadowtap::sinks::store::client::{Address, Compression, client};
use shadowtap::sinks::store::migrate::{self, applied, apply, pending};
use shadowtap::sinks::store::schema::{Cluster, MIGRATIONS, TABLES, Target, columns, users};
use shadowtap::sinks::store::status;

use crate::engine::Engine;

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(super) fn address(engine: &Engine, database: &str) -> Address {
    Address {
        url: engine.url(),
        database: database.to_owned(),
        user: None,
        password: None,
        ca_file: None,
        compression: Compression::Lz4,
    }
}

pub(super) fn single(database: &str) -> Target {
    Target { database: database.to_owned(), cluster: None }
}

/// Brings a database up to date.
pub(super) async fn migrate(client: &Client, database: &str) {
    let left = pending(&applied(client, database).await.unwrap()).unwrap();
    for migration in left {
        apply(client, &single(database), migration).await.unwrap();
    }
}

/// A row with a value of its own in each column.
fn full<T: Default + Serialize + DeserializeOwned>(of: u32) -> T {
    let mut row = serde_json::to_value(T::default()).unwrap();
    for (index, (name, value)) in row.as_object_mut().unwrap().iter_mut().enumerate() {
        let (n, text) = (index + 1, format!("{name} '{of}' \\ \"ü\""));
        *value = match value {
            Value::Bool(_) => true.into(),
            Value::Number(_) => n.into(),
            Value::Null => (-32_000 - i64::try_from(n).unwrap()).into(),
            Value::Array(_) => vec![text, String::new()].into(),
            Value::Object(_) => serde_json::json!({ text: u64::MAX, "b": 0 }),
            Value::String(old) if old == "::" => format!("2001:db8::{of}:{n}").into(),
            Value::String(old) if old.starts_with("1970-") => {
                format!("2026-11-16 08:{:02}:{:02}.12345{of}", n / 60, n % 60).into()
            }
            Value::String(_) => text.into(),
        };
    }
    serde_json::from_value(row).unwrap()
}

/// The newest first.
fn rows<T: Default + Serialize + DeserializeOwned>() -> [T; 3] {
    [full(2), full(1), T::default()]
}

/// Writes rows as lines and by their types, and reads both back, with validation on.
async fn round_trip<T>(client: &Client, table: Table, mut rows: [T; 3])
where
    T: Row + RowOwned + RowRead + RowWrite + for<'a> Row<Value<'a> = T>,
    T: Serialize + PartialEq + std::fmt::Debug,
{
    let name = table.name();
    let names: Vec<_> = columns(name).into_iter().map(|column| column.name).collect();
    assert_eq!(names, T::COLUMN_NAMES, "{name}");
    let lines: String = rows.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect();
    let sql = format!("INSERT INTO {name} ({}) FORMAT JSONEachRow", names.join(", "));
    let mut insert = client.insert_formatted_with(sql).buffered();
    insert.write_buffered(lines.as_bytes());
    insert.end().await.unwrap();
    let sql = format!("SELECT ?fields FROM {name} ORDER BY last_or_ts DESC").replace(
        "last_or_ts",
        if names[1] == "last_seen" { "last_seen" } else { names[0].as_str() },
    );
    let read = async || client.query(&sql).fetch_all::<T>().await.unwrap();
    assert_eq!(read().await, rows, "{name} as lines");
    client.query(&format!("TRUNCATE TABLE {name}")).execute().await.unwrap();
    let mut insert = client.insert::<T>(name).await.unwrap();
    rows.rotate_left(1);
    for row in &rows {
        insert.write(row).await.unwrap();
    }
    insert.end().await.unwrap();
    rows.rotate_right(1);
    assert_eq!(read().await, rows, "{name} by its types");
}

async fn all_round_trip(client: &Client) {
    round_trip::<FindingRow>(client, Table::Findings, rows()).await;
    round_trip::<MessageRow>(client, Table::Messages, rows()).await;
    round_trip::<FlowRow>(client, Table::Flows, rows()).await;
    round_trip::<ToolRow>(client, Table::Tools, rows()).await;
    round_trip::<StatsRow>(client, Table::Stats, rows()).await;
    round_trip::<CallRow>(client, Table::Calls, rows()).await;
}

#[test]
fn rows_come_back_as_they_were_written_with_any_compression_and_older_defaults() {
    for setting in [&[][..], &["compatibility=25.8"]] {
        let engine = Engine::with_settings(setting);
        for (index, kind) in
            [Compression::Lz4, Compression::Zstd, Compression::None].into_iter().enumerate()
        {
            let database = format!("d{index}");
            let address = Address { compression: kind, ..address(&engine, &database) };
            let client = client(&address).unwrap();
            wait(async {
                migrate(&client, &database).await;
                all_round_trip(&client).await;
            });
        }
    }
}

fn cluster(database: &str) -> Target {
    Target { database: database.to_owned(), cluster: Some(Cluster::default()) }
}

#[test]
fn both_variants_are_understood_by_the_server_and_have_no_markers_left() {
    let engine = Engine::start();
    for target in [single("d"), cluster("d")] {
        let mut all: Vec<_> = MIGRATIONS.iter().flat_map(|m| m.statements(&target)).collect();
        all.extend(MIGRATIONS.iter().map(|migration| migration.record(&target)));
        all.extend(users(&target));
        assert!(all.len() > 20);
        for statement in all {
            engine.query(&format!("EXPLAIN AST {statement}"));
            let macros = ["{cluster}", "{shard}", "{database}", "{table}", "{replica}"];
            let rest = macros.iter().fold(statement.clone(), |text, name| text.replace(name, ""));
            assert!(!rest.contains(['{', '}']), "{statement}");
            let is_clustered = statement.contains("{cluster}");
            let is_record = statement.starts_with("INSERT");
            assert_eq!(is_clustered, target.cluster.is_some() && !is_record, "{statement}");
        }
    }
    assert!(engine.try_query("EXPLAIN AST CREATE NOTHING").is_err());
}

/// A row in each table that rows go into.
const FIXTURE: [(&str, &str); 5] = [
    ("findings", r#"{"ts":"2026-11-16 08:00:00.000000","finding_id":"a","server_key":"k"}"#),
    ("mcp_messages", r#"{"ts":"2026-11-16 08:00:00.000000","server_key":"k"}"#),
    ("flows", r#"{"ts":"2026-11-16 08:00:00.000000","server_key":"k"}"#),
    ("tool_definitions", r#"{"last_seen":"2026-11-16 08:00:00.000000","server_key":"k"}"#),
    ("sensor_stats", r#"{"ts":"2026-11-16 08:00:00.000000","sensor":"s"}"#),
];

fn fill(engine: &Engine, database: &str) {
    for (table, line) in FIXTURE {
        engine.query(&format!("INSERT INTO {database}.{table} FORMAT JSONEachRow\n{line}"));
    }
}

fn counts(engine: &Engine, database: &str) -> Vec<String> {
    let count = |(table, _): &(&str, &str)| {
        engine.query(&format!("SELECT count() FROM {database}.{table}")).trim().to_owned()
    };
    FIXTURE.iter().map(count).collect()
}

#[test]
fn every_migration_is_applied_from_every_earlier_version() {
    let engine = Engine::start();
    for start in 0..=MIGRATIONS.len() {
        let database = format!("from_{start}");
        let client = client(&address(&engine, &database)).unwrap();
        wait(async {
            assert_eq!(applied(&client, &database).await.unwrap(), []);
            for migration in &MIGRATIONS[..start] {
                apply(&client, &single(&database), migration).await.unwrap();
            }
            if start > 0 {
                fill(&engine, &database);
            }
            let there = applied(&client, &database).await.unwrap();
            assert_eq!(pending(&there).unwrap(), &MIGRATIONS[start..]);
            migrate(&client, &database).await;
            if start == 0 {
                fill(&engine, &database);
            }
            let there = applied(&client, &database).await.unwrap();
            assert_eq!(there.len(), MIGRATIONS.len());
            for (one, migration) in there.iter().zip(&MIGRATIONS) {
                assert_eq!((one.version, one.name.as_str()), (migration.number, migration.name));
                assert_eq!(one.checksum, migration.checksum());
                assert!(one.applied_at.0 > 0 && one.tool_version == env!("CARGO_PKG_VERSION"));
            }
            let status = status::read(&client, &database).await.unwrap();
            assert_eq!(status.differences, [""; 0]);
            assert!(!status.clustered);
            let names: Vec<_> = status.tables.iter().map(|table| table.name).collect();
            assert_eq!(names, TABLES);
            assert!(status.tables.iter().all(|t| (t.rows > 0) == t.newest.is_some()));
        });
        assert_eq!(counts(&engine, &database), ["1"; 5], "{database}");
    }
}

#[test]
fn a_migration_that_died_after_any_statement_is_applied_again() {
    let engine = Engine::start();
    for (index, migration) in MIGRATIONS.iter().enumerate() {
        let count = migration.statements(&single("d")).len();
        for died_after in 0..=count {
            let database = format!("d{index}_{died_after}");
            let client = client(&address(&engine, &database)).unwrap();
            wait(async {
                for before in &MIGRATIONS[..index] {
                    apply(&client, &single(&database), before).await.unwrap();
                }
                for statement in &migration.statements(&single(&database))[..died_after] {
                    engine.query(statement);
                }
                migrate(&client, &database).await;
                let status = status::read(&client, &database).await.unwrap();
                assert_eq!(status.differences, [""; 0], "{database}");
            });
            engine.query(&format!("DROP DATABASE {database} SYNC"));
        }
    }
}

#[test]
fn what_differs_from_the_tables_of_the_program_is_told() {
    let engine = Engine::start();
    let client = client(&address(&engine, "d")).unwrap();
    wait(async {
        let empty = status::read(&client, "d").await.unwrap();
        assert_eq!(empty.differences.len(), TABLES.len());
        assert!(empty.tables.is_empty() && empty.applied.is_empty());
        migrate(&client, "d").await;
        engine.query("ALTER TABLE d.flows DROP COLUMN gaps, ADD COLUMN mine UInt8");
        engine.query("ALTER TABLE d.flows MODIFY COLUMN gap_bytes UInt32");
        engine.query("DROP TABLE d.sensor_stats SYNC");
        engine.query("INSERT INTO d.schema_migrations (version, tool_version) VALUES (99, '9.9')");
        let status = status::read(&client, "d").await.unwrap();
        let want = [
            "flows.gaps is missing",
            "flows.gap_bytes is UInt32, not UInt64",
            "flows.mine (UInt8) is not of this program",
            "sensor_stats is missing",
        ];
        assert_eq!(status.differences, want);
        let newer = pending(&applied(&client, "d").await.unwrap()).unwrap_err();
        assert!(matches!(&newer, migrate::Mismatch::Newer(one) if one.version == 99));
        assert!(newer.to_string().contains("shadowtap 9.9"));
    });
}

#[test]
fn a_finding_told_again_and_a_batch_sent_again_count_once_in_endpoints() {
    let engine = Engine::start();
    let client = client(&address(&engine, "d")).unwrap();
    wait(migrate(&client, "d"));
    let insert = |table: &str, token: &str, lines: &str| {
        engine.query(&format!(
            "INSERT INTO d.{table} SETTINGS async_insert = 0, insert_deduplicate = 1, \
             insert_deduplication_token = '{token}', \
             deduplicate_blocks_in_dependent_materialized_views = 1 FORMAT JSONEachRow\n{lines}"
        ));
    };
    for (version, verdict) in [(1, "unknown"), (4, "unknown"), (6, "shadow")] {
        for _again in 0..2 {
            let line = format!(
                r#"{{"ts":"2026-11-16 08:00:00.000000","last_seen":"2026-11-16 08:0{version}:00.000000",
                "finding_id":"a","version":{version},"server_key":"k","server_host":"h","severity":3,
                "verdict":"{verdict}","rule_id":"SMCP-1","client_ip":"::ffff:10.0.0.1","sensor":"s"}}"#
            );
            insert("findings", &format!("f{version}"), &line);
        }
    }
    for token in ["m1", "m1", "m2"] {
        let line = r#"{"ts":"2026-11-16 07:00:00.000000","server_key":"k","method":"tools/call",
            "kind":"request","name":"t","client_ip":"::ffff:10.0.0.2","session":"x","verdict":"old"}"#;
        insert("mcp_messages", token, &format!("{line}\n{line}"));
        let line = r#"{"ts":"2026-11-16 07:00:00.000000","last_seen":"2026-11-16 07:00:00.000000",
            "server_key":"k","bytes_to_server":7,"client_ip":"::ffff:10.0.0.1"}"#;
        insert("flows", &token.replace('m', "w"), line);
    }
    // Flows of no known server make none.
    insert("flows", "none", r#"{"ts":"2026-11-16 07:00:00.000000","server_host":"h"}"#);
    let read = |sql: &str| engine.query(sql).trim().to_owned();
    assert_eq!(read("SELECT count() FROM d.findings"), "3");
    assert_eq!(
        read("SELECT count(), any(version), any(verdict) FROM d.findings FINAL"),
        "1\t6\tshadow"
    );
    let servers = "SELECT server_key, server_host, findings, clients, sessions, messages, tool_calls, \
                   flows, bytes_to_server, verdict, rules, tools, sensors, worst_severity, \
                   first_seen, last_seen FROM d.servers";
    let want = "k\th\t1\t2\t1\t4\t4\t2\t14\tshadow\t['SMCP-1']\t['t']\t['s']\t3\t\
                2026-11-16 07:00:00.000000\t2026-11-16 08:06:00.000000";
    assert_eq!(read(servers), want);
    engine.query("OPTIMIZE TABLE d.endpoints FINAL");
    assert_eq!(read("SELECT count() FROM d.endpoints"), "1");
    assert_eq!(read(servers), want);
}

#[test]
fn a_definition_told_again_keeps_its_first_time() {
    let engine = Engine::start();
    let client = client(&address(&engine, "d")).unwrap();
    wait(migrate(&client, "d"));
    for (first, last) in [("09", "09"), ("08", "10"), ("07", "07")] {
        engine.query(&format!(
            r#"INSERT INTO d.tool_definitions FORMAT JSONEachRow
            {{"first_seen":"2026-11-16 {first}:00:00.000000","last_seen":"2026-11-16 {last}:00:00.000000",
            "server_key":"k","kind":"tool","name":"n","digest":"x"}}"#
        ));
    }
    let sql = "SELECT toHour(first_seen), toHour(last_seen) FROM d.tool_definitions FINAL";
    assert_eq!(engine.query(sql), "7\t10\n");
}

#[test]
fn rows_of_old_captures_are_kept() {
    let engine = Engine::start();
    let client = client(&address(&engine, "d")).unwrap();
    wait(migrate(&client, "d"));
    for (table, line) in FIXTURE {
        let line = line.replace("2026-11-16", "1999-12-31");
        engine.query(&format!("INSERT INTO d.{table} FORMAT JSONEachRow\n{line}"));
        engine.query(&format!("OPTIMIZE TABLE d.{table} FINAL"));
    }
    assert_eq!(counts(&engine, "d"), ["1"; 5]);
}

#[test]
fn the_version_of_rows_is_one_of_the_migrations() {
    assert!(MIGRATIONS.iter().any(|migration| migration.number == SCHEMA));
    let numbers: Vec<_> = MIGRATIONS.iter().map(|migration| migration.number).collect();
    assert_eq!(numbers, (1..=u32::try_from(MIGRATIONS.len()).unwrap()).collect::<Vec<_>>());
    for table in Table::ALL {
        assert!(TABLES.contains(&table.name()));
    }
}
