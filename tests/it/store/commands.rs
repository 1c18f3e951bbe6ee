//! `shadowtap store` as an operator types it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::engine::{Engine, library};
use crate::run::{root, run};

/// Compares with a file below `tests/golden/store`, or rewrites it when `BLESS` is set.
fn golden(name: &str, actual: &str) {
    let path = root().join("tests/golden/store").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{name} differs; BLESS=1 rewrites it. Got:\n{actual}");
}

#[test]
fn sql_is_printed_for_one_server_and_for_a_cluster() {
    for (file, args) in [
        ("single.sql", &["store", "sql"][..]),
        ("cluster.sql", &["store", "sql", "--cluster"]),
        (
            "cluster_named.sql",
            &[
                "store",
                "sql",
                "--cluster",
                "main",
                "--replica",
                "{host}",
                "--keeper-path",
                "/ch/{layer}-{part}/{database}/{table}",
                "--database",
                "mcp",
            ],
        ),
    ] {
        let run = run(args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        golden(file, &run.stdout);
    }
}

#[test]
fn what_sql_prints_makes_a_store_that_needs_no_migration() {
    let engine = Engine::start();
    let url = engine.url();
    let sql = run(&["store", "sql"]).stdout;
    let tables = sql.split("-- Users of the store").next().unwrap();
    for statement in tables.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        engine.query(statement);
    }
    let run = run(&["store", "migrate", "--url", &url]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "Nothing to do: all migrations are applied.\n")
    );
}

#[test]
fn a_store_is_migrated_when_it_is_asked_for_and_looked_at() {
    let mut engine = Engine::start();
    let url = engine.url();
    let at = |args: &[&str]| run(&[args, &["--url", &url]].concat());
    let dry = at(&["store", "migrate", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(dry.stdout.contains("CREATE TABLE IF NOT EXISTS shadowtap.findings\n"));
    assert!(dry.stdout.ends_with("-- Nothing was changed: --apply does this.\n"));
    let status = at(&["store", "status"]);
    assert_eq!(status.code, 2);
    assert!(
        status.stdout.contains("0 applied, 4 to be applied: `shadowtap store migrate --apply`")
    );
    assert!(status.stdout.contains("findings is missing"), "{}", status.stdout);

    let done = at(&["store", "migrate", "--apply"]);
    let want = "Applied migration 1 (tables).\nApplied migration 2 (endpoints).\n\
                Applied migration 3 (sources).\nApplied migration 4 (portal).\n";
    assert_eq!((done.stdout.as_str(), done.code), (want, 0), "{}", done.stderr);
    let again = at(&["store", "migrate", "--apply"]);
    assert_eq!(again.stdout, "Nothing to do: all migrations are applied.\n");
    engine.query(
        "INSERT INTO shadowtap.mcp_messages (ts, server_key) VALUES ('2026-11-16 08:00:00', 'k')",
    );
    let status = at(&["store", "status"]);
    assert_eq!((status.code, status.stderr.as_str()), (0, ""), "{}", status.stdout);
    for part in [
        " ClickHouse 26.7.",
        "within 25.8 to 26.9",
        "Migrations  4 applied",
        "  2 endpoints, 20",
        "  2026-11-16 08:00:00.000000\n",
        "  async_insert = ",
    ] {
        assert!(status.stdout.contains(part), "{part}: {}", status.stdout);
    }
    assert!(!status.stdout.contains("Differences"));

    let cluster = at(&["store", "migrate", "--cluster"]);
    assert_eq!(cluster.code, 2);
    assert!(cluster.stderr.contains("leave --cluster out"), "{}", cluster.stderr);

    engine.query("INSERT INTO shadowtap.schema_migrations (version, name) VALUES (3, 'later')");
    for apply in ["--apply", "--dry-run"] {
        let newer = at(&["store", "migrate", apply]);
        assert_eq!((newer.code, newer.stdout.as_str()), (2, ""));
        assert!(newer.stderr.contains("migration 3 (later)"), "{}", newer.stderr);
    }
    engine.kill();
    let gone = at(&["store", "status"]);
    assert_eq!(gone.code, 2);
    assert!(gone.stderr.contains("Connection refused"), "{}", gone.stderr);
}

#[test]
fn addresses_and_options_that_cannot_be_are_refused() {
    for (args, hint) in [
        (&["store", "status", "--url", "http://u:hunter2@h:1"][..], "--password-file"),
        (&["store", "status", "--url", "h:1"], "write http://HOST:8123"),
        (&["store", "status", "--database", "a-b"], "letters, digits and underscores"),
        (&["store", "status", "--password-file", "nope"], "password in nope"),
        (&["store", "status", "--ca-file", "nope.pem"], "nope.pem"),
        (&["store", "migrate", "--apply", "--dry-run"], "cannot be used with"),
        (&["store", "sql", "--keeper-path", "/x"], "--cluster"),
        (&["store", "up", "--port", "0"], "1..="),
        (&["store", "up", "--library", "nope.so"], "nope.so: No such file"),
        (&["store", "up", "--engine", "."], "is no file"),
    ] {
        let run = run(args);
        assert_eq!(run.code, 2, "{args:?}");
        assert!(run.stderr.contains(hint), "{args:?}: {}", run.stderr);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
}

#[test]
fn without_an_engine_up_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_shadowtap"))
        .args(["store", "up"])
        .env_remove("SHADOWTAP_CHDB")
        .env_remove("XDG_DATA_HOME")
        .env("HOME", folder.path())
        .env("PATH", folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    let prefix = folder.path().join(".local/share/shadowtap/engine").display().to_string();
    let install = format!("npm install --prefix {prefix} @chdb/lib-linux-x64-gnu@26.7.3-stable.1");
    assert!(told.contains(&install), "{told}");
}

#[test]
fn up_makes_the_tables_serves_them_and_ends_with_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (port, url) = (port.to_string(), format!("http://127.0.0.1:{port}"));
    for round in ["first", "second"] {
        let mut up = Command::new(env!("CARGO_BIN_EXE_shadowtap"))
            .args(["store", "up", "--port", &port, "--data"])
            .arg(&data)
            .arg("--library")
            .arg(library())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(up.stdout.take().unwrap()).lines().map(Result::unwrap);
        let ready = lines.by_ref().find(|line| line.starts_with("ClickHouse listens at"));
        let other = run(&[
            "store",
            "up",
            "--port",
            &port,
            "--data",
            folder.path().to_str().unwrap(),
            "--library",
            library().to_str().unwrap(),
        ]);
        let status = run(&["store", "status", "--url", &url]);
        Command::new("kill").arg(up.id().to_string()).status().unwrap();
        let rest: Vec<_> = lines.collect();
        assert_eq!(up.wait().unwrap().code(), Some(0), "{round}");
        assert!(ready.is_some_and(|line| line.contains(&url)), "{round}");
        assert!(other.stderr.contains("name another --port"), "{}", other.stderr);
        assert_eq!(status.code, 0, "{round}: {} {}", status.stdout, status.stderr);
        assert!(rest.iter().any(|line| line.contains("shadowtap store load")), "{rest:?}");
        assert_eq!(rest.last().map(String::as_str), Some("Stopped; the data stays."));
        let gone = run(&["store", "status", "--url", &url]);
        assert!(gone.stderr.contains("Connection refused"), "{}", gone.stderr);
    }
}
