//! The tables of a cluster, on one server and without Keeper: what is replicated is not, and the
//! rest is as it will be.

use shadowtap::sinks::store::client::client;
use shadowtap::sinks::store::schema::{Cluster, MIGRATIONS, Target};
use shadowtap::sinks::store::status;

use super::schema::{address, wait};
use crate::engine::Engine;
use crate::run::run;

const CONFIG: &str = "<clickhouse><tcp_port>PORT</tcp_port><macros><cluster>main</cluster></macros>\
    <remote_servers><main><shard><replica><host>127.0.0.1</host><port>PORT</port></replica></shard>\
    </main></remote_servers></clickhouse>";

/// The engine with the same number of arguments as without replication.
fn unreplicated(statement: &str) -> String {
    let cluster = Cluster::default();
    let arguments = format!("('{}', '{}'", cluster.keeper_path, cluster.replica);
    assert!(!statement.contains("Replicated") || statement.contains(&arguments), "{statement}");
    statement
        .replace(" ON CLUSTER '{cluster}'", "")
        .replace("ENGINE = Replicated", "ENGINE = ")
        .replace(&format!("{arguments}, "), "(")
        .replace(&arguments, "(")
}

#[test]
fn rows_go_through_the_tables_of_a_cluster_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.xml");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    std::fs::write(&config, CONFIG.replace("PORT", &port.to_string())).unwrap();
    let engine = Engine::with_settings(&[&format!("config-file={}", config.display())]);
    let database = "shadowtap".to_owned();
    let target = Target { database, cluster: Some(Cluster::default()) };
    for migration in &MIGRATIONS {
        for statement in migration.statements(&target) {
            engine.query(&unreplicated(&statement));
        }
        engine.query(&migration.record(&target));
    }
    let line = |id: &str| {
        format!(
            r#"{{"ts":"2026-11-16 08:00:00.000000","last_seen":"2026-11-16 08:00:00.000000",
            "finding_id":"{id}","server_key":"{id}","client_ip":"::ffff:10.0.0.1"}}"#
        )
    };
    for _again in 0..2 {
        for table in ["findings", "mcp_messages", "flows", "tool_definitions", "sensor_stats"] {
            engine.query(&format!(
                "INSERT INTO shadowtap.{table} SETTINGS distributed_foreground_insert = 1, \
                 async_insert = 0, insert_deduplicate = 1, insert_deduplication_token = '{table}', \
                 deduplicate_blocks_in_dependent_materialized_views = 1, \
                 input_format_skip_unknown_fields = 1 FORMAT JSONEachRow\n{}\n{}",
                line("a"),
                line("b")
            ));
        }
    }
    let sql = "SELECT server_key, findings, messages, flows, clients FROM shadowtap.servers \
               ORDER BY server_key";
    assert_eq!(engine.query(sql), "a\t1\t1\t1\t1\nb\t1\t1\t1\t1\n");
    assert_eq!(engine.query("SELECT count() FROM shadowtap.findings FINAL"), "2\n");
    let client = client(&address(&engine, "shadowtap")).unwrap();
    let status = wait(status::read(&client, "shadowtap")).unwrap();
    assert!(status.clustered && status.differences.is_empty(), "{status:?}");
    assert_eq!(status.applied.len(), MIGRATIONS.len());
    let rows = |name: &str| status.tables.iter().find(|table| table.name == name).unwrap().rows;
    assert_eq!((rows("findings"), rows("mcp_messages")), (2, 2));

    let migrate =
        |more: &[&str]| run(&[&["store", "migrate", "--url", &engine.url()], more].concat());
    let same = migrate(&["--cluster"]);
    assert_eq!(same.stdout, "Nothing to do: all migrations are applied.\n", "{}", same.stderr);
    let other = migrate(&[]);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("those of a cluster: add --cluster"), "{}", other.stderr);
}
