//! Files of events as tables: the views say the same as the rows that the sensor writes.

use std::fmt::Write as _;

use serde_json::Value;

use super::fixture::{answer, fixture};

/// Tables, and how the last word on each row is read from them.
const TABLES: [(&str, &str); 8] = [
    ("findings", "(SELECT * FROM findings ORDER BY version DESC LIMIT 1 BY finding_id)"),
    ("mcp_messages", "mcp_messages"),
    ("flows", "flows"),
    ("tool_definitions", "tool_definitions"),
    ("sensor_stats", "sensor_stats"),
    ("servers", "servers"),
    ("portal_calls", "portal_calls"),
    ("mcp_portal_logs", "mcp_portal_logs"),
];

/// Names of the columns that rows have.
fn columns(database: &str, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT name FROM system.columns WHERE database = '{database}' AND table = '{table}'
         AND default_kind != 'MATERIALIZED' ORDER BY position"
    );
    let rows = answer(database, &sql).unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn views_have_the_columns_of_the_tables() {
    fixture();
    for (table, _) in TABLES.into_iter().chain([("endpoints", "")]) {
        let (store, files) = (columns("store", table), columns("files", table));
        assert!(!store.is_empty(), "{table}");
        assert_eq!(store, files, "{table}");
    }
}

#[test]
fn files_give_the_rows_that_the_sensor_writes() {
    fixture();
    let mut wrong = String::new();
    for (table, source) in TABLES {
        let is_aggregating = table == "tool_definitions";
        let read = |database: &str| {
            let last = if is_aggregating && database == "store" { " FINAL" } else { "" };
            let sql = format!("SELECT * FROM {source}{last} ORDER BY ALL");
            answer(database, &sql).unwrap()
        };
        let (store, files) = (read("store"), read("files"));
        assert!(store.len() >= 3, "{table}: {} rows", store.len());
        assert_eq!(store.len(), files.len(), "{table}");
        for (store, files) in store.iter().zip(&files) {
            for (column, value) in store.as_object().unwrap() {
                if *value != files[column] && wrong.len() < 4_000 {
                    writeln!(wrong, "{table}.{column}: {value} is {} of files", files[column])
                        .unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn lines_that_are_cut_old_or_unknown_cost_only_themselves() {
    fixture();
    let one = |sql: &str| answer("files", sql).unwrap().remove(0);
    let rows = one("SELECT finding_id, document FROM findings WHERE finding_id LIKE 'bbbb%'");
    assert_eq!(rows["finding_id"], "bbbb\"\\/\u{e4}");
    let document: Value = serde_json::from_str(rows["document"].as_str().unwrap()).unwrap();
    assert_eq!(document["event"]["id"], rows["finding_id"]);
    assert!(document["cut"]["bytes"].as_u64().unwrap() > 300_000);
    let counts = one("SELECT count() AS told, uniqExact(finding_id) AS findings,
        countIf(finding_id = '') AS nameless FROM findings WHERE finding_id LIKE 'aaaa%'");
    let want = serde_json::json!({"told": 4, "findings": 2, "nameless": 0});
    assert_eq!(counts, want);
}
