//! What the tests of deliveries share.

use std::time::Instant;

use crate::engine::Engine;
use crate::run::run;

#[expect(clippy::disallowed_methods, reason = "tests wait by the clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Makes the tables.
pub(super) fn migrate(engine: &Engine, database: &str) {
    let url = engine.url();
    let migrated = run(&["store", "migrate", "--apply", "--url", &url, "--database", database]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
}

/// A line of the NDJSON output with a finding of its own, about one of a hundred servers.
pub(super) fn finding_line(number: u64) -> String {
    let (server, second, micros) = (number % 100, number % 60, number % 1_000_000);
    format!(
        r#"{{"event_type":"finding","@timestamp":"2026-11-16T08:00:{second:02}.{micros:06}Z","evidence":"mcp-confirmed","event":{{"kind":"alert","id":"finding-{number:08}","severity":3,"severity_name":"medium","count":1,"start":"2026-11-16T08:00:{second:02}.{micros:06}Z","end":"2026-11-16T08:01:00Z"}},"rule":{{"id":"SMCP-1001","name":"An unapproved server","version":"1","status":"stable","lane":"alert","confidence":90}},"message":"an unapproved server is in use","verdict":"unapproved","visibility":"body","source":{{"ip":"10.0.0.{}","port":40000}},"destination":{{"ip":"10.1.0.{server}","port":443}},"server":{{"key":"https://s{server}.example/mcp","address":"s{server}.example"}},"network":{{"transport":"tcp"}}}}"#,
        number % 250
    )
}
