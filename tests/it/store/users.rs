//! The users of `deploy/clickhouse/users.sql`: the engine cannot make users, but it can be started
//! with users that have the same grants.

use std::fmt::Write as _;

use shadowtap::sinks::store::client::{Address, client};
use shadowtap::sinks::store::schema::users;

use super::schema::{address, migrate, single, wait};
use crate::engine::Engine;

/// User, its role, and settings of its profile.
const USERS: [(&str, &str, &str); 3] = [
    ("sensor", "shadowtap_sensor", ""),
    ("reader", "shadowtap_dashboard", "<readonly>2</readonly>"),
    ("migrator", "shadowtap_owner", ""),
];

/// The grants of a role, without the role.
fn grants(role: &str) -> Vec<String> {
    let end = format!(" TO {role}");
    let code = |statement: &String| -> String {
        statement.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ")
    };
    let all: Vec<_> = users(&single("d")).iter().map(code).collect();
    let grant = |text: &String| {
        let text = text.trim().strip_suffix(&end)?;
        text.starts_with("GRANT ").then(|| text.to_owned())
    };
    all.iter().filter_map(grant).collect()
}

fn with_users(directory: &std::path::Path) -> String {
    let mut people = String::from(
        "<default><password></password><networks><ip>::/0</ip></networks><profile>default</profile>\
         <quota>default</quota></default>",
    );
    let mut profiles = String::from("<default/>");
    for (user, role, settings) in USERS {
        let grants = grants(role);
        assert!(!grants.is_empty(), "{role}");
        let grants: String = grants.iter().map(|grant| format!("<query>{grant}</query>")).collect();
        write!(
            people,
            "<{user}><password>not-a-secret</password><networks><ip>::/0</ip></networks>\
             <profile>{user}</profile><quota>default</quota><grants>{grants}</grants></{user}>"
        )
        .unwrap();
        write!(profiles, "<{user}>{settings}</{user}>").unwrap();
    }
    let users = directory.join("users.xml");
    let text = format!(
        "<clickhouse><profiles>{profiles}</profiles><users>{people}</users>\
         <quotas><default/></quotas></clickhouse>"
    );
    std::fs::write(&users, text).unwrap();
    let config = directory.join("config.xml");
    let text = format!("<clickhouse><users_config>{}</users_config></clickhouse>", users.display());
    std::fs::write(&config, text).unwrap();
    format!("config-file={}", config.display())
}

#[test]
fn each_user_may_do_its_work_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let config = with_users(folder.path());
    let engine = Engine::with_settings(&[&config]);
    let of = |user: &str| {
        let password = Some("not-a-secret".to_owned());
        client(&Address { user: Some(user.to_owned()), password, ..address(&engine, "d") }).unwrap()
    };
    let (sensor, reader, migrator) = (of("sensor"), of("reader"), of("migrator"));
    let run = |client: &clickhouse::Client, sql: &str| {
        wait(client.query_raw(sql).execute()).map_err(|error| error.to_string())
    };
    wait(migrate(&migrator, "d"));
    let insert = "INSERT INTO d.findings (finding_id, server_key) VALUES ('a', 'k')";
    run(&sensor, insert).unwrap();
    assert_eq!(engine.query("SELECT findings FROM d.servers"), "1\n");
    run(&sensor, "SELECT version FROM d.schema_migrations").unwrap();
    run(&reader, "SELECT * FROM d.servers").unwrap();
    wait(shadowtap::sinks::store::status::read(&reader, "d")).unwrap();
    for (client, sql) in [
        (&sensor, "DROP TABLE d.findings"),
        (&sensor, "TRUNCATE TABLE d.findings"),
        (&sensor, "ALTER TABLE d.findings DELETE WHERE 1"),
        (&sensor, "SELECT document FROM d.findings"),
        (&sensor, "CREATE TABLE d.x (a UInt8) ENGINE = Memory"),
        (&reader, insert),
        (&reader, "DROP TABLE d.findings"),
        (&reader, "SELECT * FROM file('/etc/passwd', 'LineAsString', 'line String')"),
        (&migrator, "CREATE DATABASE other"),
        (&migrator, "CREATE USER x"),
    ] {
        let told = run(client, sql).unwrap_err();
        // Not enough privileges, or read only.
        assert!(told.contains("ACCESS_DENIED") || told.contains("READONLY"), "{sql}: {told}");
    }
    let wrong = Address {
        user: Some("reader".to_owned()),
        password: Some("wrong".to_owned()),
        ..address(&engine, "d")
    };
    let told = run(&client(&wrong).unwrap(), "SELECT 1").unwrap_err();
    assert!(told.contains("516"), "{told}");
}
