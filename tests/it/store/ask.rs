//! Questions: each gives what the fixture holds, of the tables and of files.

use serde_json::{Value, json};
use shadowtap::sinks::store::queries::questions;

use super::fixture::{SENSOR, fixture};
use crate::run::{Run, run_in};

fn ask(args: &[&str]) -> Run {
    let mut all = vec!["ask"];
    all.extend_from_slice(args);
    run_in(&fixture().folder, &all)
}

/// The answer of both databases, which is the same.
fn rows(name: &str, set: &[&str]) -> Vec<Value> {
    let url = fixture().engine.url();
    let asked = |database: &str| {
        let mut args = vec![name, "--json", "--url", &url, "--database", database];
        for setting in set {
            args.extend(["--set", setting]);
        }
        if !set.iter().any(|setting| setting.starts_with("since=")) && name != "silent-sensors" {
            args.extend(["--since", "all"]);
        }
        let run = ask(&args);
        assert_eq!(run.code, 0, "{name} of {database}: {}", run.stderr);
        run.events()
    };
    let (mut store, mut files) = (asked("store"), asked("files"));
    for row in store.iter_mut().chain(&mut files) {
        row["sensor"].take();
    }
    assert_eq!(store, files, "{name}");
    store
}

/// Some columns of rows.
fn picked(rows: &[Value], columns: &[&str]) -> Value {
    rows.iter()
        .map(|row| columns.iter().map(|column| row[column].clone()).collect::<Value>())
        .collect()
}

const TOOLBOX: &str = "http://mcp.corp.test:3001/mcp";

#[test]
fn servers_and_who_uses_them() {
    let servers = rows("servers", &[]);
    let toolbox = servers.iter().find(|row| row["server"] == TOOLBOX).unwrap();
    assert_eq!(toolbox["evidence"], "confirmed");
    assert_eq!(toolbox["sensors"], json!([SENSOR]));
    assert!(toolbox["messages"].as_u64().unwrap() > 20, "{toolbox}");
    let fresh = rows("new-servers", &["since=2026-11-16T09:00:00Z"]);
    let met = |row: &&Value| row["first_seen"].as_str().unwrap() < "2026-11-17";
    let met: Vec<Value> = fresh.iter().filter(met).cloned().collect();
    let want = json!([["http://shared.test:80/mcp"], ["https://[2001:db8::1]:443/mcp"]]);
    assert_eq!(picked(&met, &["server"]), want);
    let users = rows("server-users", &["server=shared.test"]);
    let columns = ["client", "verdict", "software", "messages", "tools", "flows", "bytes"];
    assert_eq!(
        picked(&users, &columns),
        json!([
            ["10.9.0.1", "unapproved", ["agent-y 1"], 1, ["read_file"], 1, 100],
            ["10.9.0.2", "unapproved", ["agent-z 1"], 1, [], 0, 18_446_744_073_709_551_615_u64],
        ])
    );
    let users = rows("server-users", &["server=2001:db8::1"]);
    let columns = ["client", "software", "users", "findings"];
    assert_eq!(picked(&users, &columns), json!([["2001:db8::7", ["agent-x 2.0"], ["ada"], 1]]));
}

#[test]
fn findings_by_severity_in_full_and_by_rule() {
    let worst = rows("findings-triage", &["severity=5"]);
    let columns = ["finding", "hits", "message", "first_hit", "last_hit"];
    let want = json!([[
        "aaaa00000000",
        9,
        "told last: \"quoted\" \u{1b}[2J \u{1f600} \u{e4}",
        "2026-11-16 09:00:00",
        "2026-11-16 09:09:00"
    ]]);
    assert_eq!(picked(&worst, &columns), want);
    let all = rows("findings-triage", &["severity=1", "limit=10000"]);
    let alerts = rows("findings-triage", &["severity=1", "limit=10000", "lane=alert"]);
    assert!(alerts.len() > 5 && all.len() > alerts.len(), "{} {}", alerts.len(), all.len());
    assert!(all.iter().any(|row| row["verdict"] == "expired"));
    let told = rows("finding", &["id=AAAA0000000000000000000000000001"]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["matched"], json!(["args.x@raw: a: b@c"]));
    assert_eq!(told[0]["packets"], json!(["day 1/a.pcap:18446744073709551615"]));
    let document: Value = serde_json::from_str(told[0]["document"].as_str().unwrap()).unwrap();
    assert_eq!(document["event"]["state"], "closed");
    assert_eq!(rows("finding", &["id=aaaa"]).len(), 2);
    let volume = rows("rule-volume", &["since=2026-11-16T09:00:00Z"]);
    let ours = volume.iter().find(|row| row["rule"] == "SMCP-3001").unwrap();
    assert_eq!(ours["worst_severity"], 5);
    assert!(ours["findings"].as_u64().unwrap() >= 2 && ours["hits"].as_u64().unwrap() >= 10);
}

#[test]
fn use_without_approval() {
    let tools = rows("unapproved-tools", &[]);
    let echo: Vec<Value> = tools.iter().filter(|row| row["tool"] == "read_file").cloned().collect();
    let columns = ["server", "client", "software", "verdict", "calls"];
    let want = json!([["http://shared.test:80/mcp", "10.9.0.1", "agent-y 1", "unapproved", 1]]);
    assert_eq!(picked(&echo, &columns), want);
    assert!(tools.iter().all(|row| row["verdict"] != "approved"), "{tools:?}");
    let bypass = rows("portal-bypass", &[]);
    assert_eq!(
        picked(&bypass, &["client", "server"]),
        json!([["10.77.1.2", "http://mcp.corp.test:8020/mcp"]])
    );
    let open = rows("unprotected", &[]);
    let row = open.iter().find(|row| row["server"] == "http://mcp.corp.test:8020/mcp").unwrap();
    assert_eq!((&row["in_the_clear"], &row["credentials_in_the_clear"]), (&json!(1), &json!(1)));
    assert!(open.iter().all(|row| row["server"] != "https://[2001:db8::1]:443/mcp"));
}

#[test]
fn calls_through_the_portal() {
    let calls = rows("portal-calls", &[]);
    let columns = ["who", "user_name", "server", "method", "target", "calls", "refused", "found"];
    let met: Vec<Value> = calls.iter().filter(|row| row["who"] == "u-1").cloned().collect();
    assert_eq!(
        picked(&met, &columns),
        json!([
            ["u-1", "ada@corp.test", "files", "resources/read", "file:///a", 1, 0, []],
            ["u-1", "ada@corp.test", "files", "tools/call", "read_file", 1, 1, ["aws-access-key"]],
        ])
    );
    let refused = rows("portal-refusals", &[]);
    let columns = ["call", "target", "outcome", "refused_for", "policy", "rules", "findings"];
    assert_eq!(
        picked(&refused, &columns),
        json!([[
            "c1",
            "read_file",
            "refused",
            "aws-access-key",
            "files#1",
            ["SMCP-5010"],
            ["request aws-access-key 2 block /arguments/path"]
        ]])
    );
    let logs = super::fixture::answer(
        "store",
        "SELECT * FROM mcp_portal_logs WHERE UserID = 'u-1' ORDER BY Datetime",
    )
    .unwrap();
    let names: Vec<&String> = logs[0].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 19, "{names:?}");
    let columns = ["ToolCallName", "ResourceReadURI", "Success", "ServerResponseDurationMs"];
    assert_eq!(
        picked(&logs, &columns),
        json!([["read_file", "", false, 0], ["", "file:///a", true, 2]])
    );
}

#[test]
fn clients_and_sessions() {
    let agents = rows("agents", &[]);
    let of = |name: &str| agents.iter().find(|row| row["software"] == name).unwrap();
    assert_eq!(of("agent-x 2.0")["addresses"], json!(["2001:db8::7"]));
    assert_eq!(of("agent-y 1")["messages"], 1);
    assert_eq!(of("py-lab-client 1.7")["hosts"], json!(["gw.corp.test"]));
    let talkers = rows("top-talkers", &[]);
    assert_eq!(talkers[0]["client"], "10.77.1.2");
    let error = talkers.iter().find(|row| row["client"] == "10.9.0.2").unwrap();
    assert_eq!((&error["errors"], &error["hosts"]), (&json!(1), &json!(["shared.test"])));
    let shared = rows("sessions-shared", &[]);
    assert_eq!(
        picked(&shared, &["session", "addresses", "software", "messages"]),
        json!([["5e55", ["10.9.0.1", "10.9.0.2"], ["agent-y 1", "agent-z 1"], 2]])
    );
    let hidden = rows("encrypted-use", &["since=2026-11-16T09:00:00Z"]);
    let ours: Vec<Value> =
        hidden.into_iter().filter(|row| row["host"] == "mcp.vendor.test").collect();
    let columns = ["client", "ja4", "verdict", "flows", "bytes_sent", "bytes_received"];
    let want = json!([[
        "10.9.0.1",
        "t13d1516h2_8daaf6152771_02713d6af862",
        "undetermined",
        1,
        1000,
        9000
    ]]);
    assert_eq!(picked(&ours, &columns), want);
}

#[test]
fn definitions_that_changed() {
    let drift = rows("drift-history", &["server=shared.test"]);
    let want =
        json!([["tool", "read_file", 2, ["2026-11-10 09:00:00 d1", "2026-11-16 09:00:00 d2"]]]);
    assert_eq!(picked(&drift, &["kind", "name", "forms", "history"]), want);
    assert_eq!(rows("drift-history", &["server=no such server"]), Vec::<Value>::new());
}

#[test]
fn sensors_and_what_they_could_not_see() {
    let sensors = rows("blind-spots", &["since=2026-11-16T08:59:00Z"]);
    assert_eq!(sensors.len(), 1);
    // Two runs: 300 packets and 40; before them a replay that ended later.
    let columns = [
        "kernel_dropped",
        "interface_dropped",
        "shed_packets",
        "worst_shed_sixteenths",
        "lost_events",
        "interfaces_down",
    ];
    assert_eq!(picked(&sensors, &columns), json!([[17, 3, 30, 5, 4, ["eth1"]]]));
    // Of a run that began before, only what was counted since then.
    let later = rows("blind-spots", &["since=2026-11-16T09:01:00Z"]);
    assert_eq!(picked(&later, &columns), json!([[2, 0, 0, 5, 0, ["eth1"]]]));
    let silent = rows("silent-sensors", &["before=2026-11-16T10:00:00Z"]);
    assert_eq!(
        picked(&silent, &["last_told", "version"]),
        json!([["2026-11-16 09:03:00", "0.1.1"]])
    );
    let talking = rows("silent-sensors", &["before=2026-11-16T09:00:00Z"]);
    assert_eq!(talking, Vec::<Value>::new());
}

#[test]
fn every_question_is_asked_above() {
    let text = include_str!("ask.rs");
    for question in questions() {
        assert!(text.contains(&format!("rows(\"{}\"", question.name)), "{}", question.name);
    }
}

#[test]
fn questions_are_listed_shown_and_asked_of_files_with_an_engine_of_their_own() {
    let list = ask(&[]);
    assert_eq!((list.code, list.stdout.lines().count()), (0, questions().len()), "{}", list.stderr);
    assert!(list.stdout.contains("server-users"), "{}", list.stdout);
    let sql = ask(&["agents", "--sql"]);
    assert!(sql.stdout.starts_with("-- name: agents\n"), "{}", sql.stdout);
    let library = crate::engine::library();
    let folder = fixture().folder.to_str().unwrap();
    let args = [
        "drift-history",
        "--set",
        "server=shared",
        "--files",
        folder,
        "--library",
        library.to_str().unwrap(),
    ];
    let run = ask(&args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(
        lines[0].starts_with("server") && lines[0].contains("  forms  history"),
        "{}",
        run.stdout
    );
    assert!(
        lines[1].ends_with("2  2026-11-10 09:00:00 d1, 2026-11-16 09:00:00 d2"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_cannot_be_asked_says_why() {
    let url = fixture().engine.url();
    for (args, why) in [
        (&["agent"][..], "there is no question `agent`"),
        (&["server-users", "--url", &url], "needs --set server=..."),
        (&["agents", "--since", "soon", "--url", &url], "`soon` is no time"),
        (&["agents", "--url", &url, "--database", "none"], "shadowtap store migrate --apply"),
        (&["agents", "--files", "nowhere"], "cannot read nowhere"),
        (&["agents"], "--files names others, --url a store"),
        (&["agents", "--set", "limit=x", "--url", &url, "--database", "store"], "limit"),
    ] {
        let run = ask(args);
        assert_eq!(run.code, 2, "{args:?}");
        assert!(run.stderr.contains(why), "{args:?}: {}", run.stderr);
    }
}
