//! Dashboards: the SQL of each panel and variable runs on the tables, with what Grafana would put
//! in place of its macros and variables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::fixture::{answer, fixture};
use crate::run::root;

fn dashboards() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(root().join("deploy/grafana/dashboards")).unwrap();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let board = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, board)
    };
    files.map(|entry| read(entry.unwrap().path())).collect()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text after an opening parenthesis, up to the one that closes it, and the rest.
fn enclosed(text: &str) -> (&str, &str) {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 {
            return (&text[..at], &text[at + 1..]);
        }
    }
    panic!("no end: {text}");
}

/// Replaces a macro with what a function makes of its argument.
fn replace(sql: &str, name: &str, with: impl Fn(&str) -> String) -> String {
    let (mut out, mut rest) = (String::new(), sql);
    while let Some((before, after)) = rest.split_once(&format!("{name}(")) {
        let (argument, end) = enclosed(after);
        out.push_str(before);
        out.push_str(&with(argument));
        rest = end;
    }
    out + rest
}

/// As the plugin fills SQL in, for the days of the fixture.
fn filled(sql: &str, variables: &[(&str, &str)]) -> String {
    let (from, to) =
        ("toDateTime('2026-11-01 00:00:00', 'UTC')", "toDateTime('2026-12-01 00:00:00', 'UTC')");
    let sql =
        replace(sql, "$__timeFilter", |column| format!("{column} >= {from} AND {column} <= {to}"));
    let sql = replace(&sql, "$__timeInterval", |column| {
        format!("toStartOfInterval(toDateTime({column}), INTERVAL 3600 second)")
    });
    // A variable that is set to all values leaves the condition out; here all are named.
    let mut sql = replace(&sql, "$__conditionalAll", |arguments| {
        let (condition, variable) = arguments.rsplit_once(", $").unwrap();
        assert!(condition.contains(&format!("${{{variable}:")), "{arguments}");
        condition.to_owned()
    });
    for (name, value) in variables {
        sql = sql.replace(&format!("${{{name}:singlequote}}"), value);
    }
    assert!(!sql.contains('$'), "left over: {sql}");
    sql
}

/// Values of the variables of a dashboard: all that their queries give, or what the test sets.
fn variables(board: &Value) -> Vec<(String, String)> {
    let quoted = |row: &Value| {
        let first = row.as_object().unwrap().values().next().unwrap().as_str().unwrap();
        format!("'{}'", first.replace('\\', "\\\\").replace('\'', "\\'"))
    };
    let mut found = Vec::new();
    for variable in list(board, "/templating/list") {
        let (name, sql) = (variable["name"].as_str().unwrap(), variable["query"].as_str().unwrap());
        let value = match (name, variable["type"].as_str().unwrap()) {
            (_, "datasource") => continue,
            ("server", _) => "'http://mcp.corp.test:3001/mcp'".to_owned(),
            ("finding", _) => "'aaaa'".to_owned(),
            _ => {
                let rows = answer("store", &filled(sql, &[])).unwrap();
                assert!(!rows.is_empty(), "{sql}");
                rows.iter().map(quoted).collect::<Vec<String>>().join(",")
            }
        };
        found.push((name.to_owned(), value));
    }
    found
}

/// Rows of all panels, by dashboard and title.
fn panels() -> BTreeMap<(String, String), Vec<Value>> {
    fixture();
    let mut all = BTreeMap::new();
    for (name, board) in dashboards() {
        let variables = variables(&board);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        for panel in list(&board, "/panels") {
            let title = panel["title"].as_str().unwrap();
            let sql = panel["targets"][0]["rawSql"].as_str().unwrap();
            let rows = answer("store", &filled(sql, &variables))
                .unwrap_or_else(|error| panic!("{name}, {title}: {error}"));
            all.insert((name.clone(), title.to_owned()), rows);
        }
    }
    all
}

#[test]
fn every_panel_shows_what_the_fixture_holds() {
    let panels = panels();
    assert_eq!(
        panels.len(),
        dashboards().values().map(|b| list(b, "/panels").len()).sum::<usize>()
    );
    for ((board, title), rows) in &panels {
        assert!(!rows.is_empty(), "{board}, {title}: no rows");
    }
    let of = |board: &str, title: &str| &panels[&(board.to_owned(), title.to_owned())];
    assert_eq!(
        of("overview", "High and critical findings")[0]["findings"].as_u64().map(|n| n >= 1),
        Some(true)
    );
    let new = of("overview", "New servers");
    assert!(new.iter().any(|row| row["server"] == "https://[2001:db8::1]:443/mcp"), "{new:?}");
    let server = &of("server", "Server")[0];
    assert_eq!(
        (&server["evidence"], &server["server"]),
        (&json!("confirmed"), &json!("http://mcp.corp.test:3001/mcp"))
    );
    assert!(of("server", "Tools called").iter().any(|row| row["tool"] == "echo"));
    let one = of("findings", "One finding");
    assert_eq!(one.len(), 2, "each finding once, by its last version");
    assert!(one.iter().any(|row| row["severity_name"] == "critical"));
    let first = &of("findings", "Findings")[0];
    assert_eq!((&first["finding"], &first["hits"]), (&json!("aaaa00000000"), &json!(9)));
    let sensor = &of("sensors", "Sensors")[0];
    assert_eq!((&sensor["kernel_dropped"], &sensor["version"]), (&json!(17), &json!("0.1.1")));
    assert_eq!(of("sensors", "Packets dropped")[0]["value"], 20);
}

#[test]
fn dashboards_follow_the_conventions() {
    let boards = dashboards();
    let names: Vec<&str> = boards.keys().map(|name| &**name).collect();
    assert_eq!(names, ["findings", "overview", "sensors", "server"]);
    let uids: Vec<&str> = boards.values().map(|board| board["uid"].as_str().unwrap()).collect();
    for (name, board) in &boards {
        assert_eq!(board["uid"], format!("shadowtap-{name}"));
        assert_eq!(board["schemaVersion"], 39, "{name}");
        let first = &list(board, "/templating/list")[0];
        assert_eq!(
            (&first["name"], &first["query"]),
            (&json!("datasource"), &json!("grafana-clickhouse-datasource"))
        );
        let data_source = json!({"type": "grafana-clickhouse-datasource", "uid": "${datasource}"});
        let mut ids = std::collections::BTreeSet::new();
        let mut taken = Vec::new();
        for panel in list(board, "/panels") {
            let title = &panel["title"];
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}, {title}: id");
            assert_eq!(panel["datasource"], data_source, "{name}, {title}");
            let [target] = list(panel, "/targets") else { panic!("{name}, {title}: one query") };
            assert_eq!(target["datasource"], data_source, "{name}, {title}");
            let is_series = panel["type"] == "timeseries";
            assert_eq!(target["format"], i32::from(!is_series), "{name}, {title}");
            let place = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            let [x, y, w, h] = place;
            assert!(x + w <= 24, "{name}, {title}: too wide");
            let overlaps = |[left, top, wide, high]: &[u64; 4]| {
                x < left + wide && *left < x + w && y < top + high && *top < y + h
            };
            assert!(!taken.iter().any(overlaps), "{name}, {title}: over another");
            taken.push(place);
        }
        // Links lead to dashboards that are there.
        let text = board.to_string();
        for link in text.split("\"/d/").skip(1) {
            let target = link.split('?').next().unwrap();
            assert!(uids.contains(&target), "{name} links to {target}");
        }
    }
}

#[test]
fn provisioning_names_what_is_there() {
    let yaml = |file: &str| -> Value {
        let text = std::fs::read_to_string(root().join("deploy").join(file)).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    let source = &yaml("grafana/provisioning/datasources/shadowtap.yaml")["datasources"][0];
    assert_eq!(source["type"], "grafana-clickhouse-datasource");
    assert_eq!(source["jsonData"]["defaultDatabase"], "shadowtap");
    let compose = yaml("compose.yaml");
    let grafana = &compose["services"]["grafana"];
    let mounts: Vec<&str> =
        list(grafana, "/volumes").iter().map(|mount| mount.as_str().unwrap()).collect();
    let provider = yaml("grafana/provisioning/dashboards/shadowtap.yaml");
    let path = provider["providers"][0]["options"]["path"].as_str().unwrap();
    assert!(mounts.contains(&format!("./grafana/dashboards:{path}:ro").as_str()), "{mounts:?}");
    let secret = source["secureJsonData"]["password"].as_str().unwrap();
    let name = secret.strip_prefix("$__file{/run/secrets/").unwrap().trim_end_matches('}');
    assert!(list(grafana, "/secrets").contains(&json!(name)), "{secret}");
    let home = &grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert_eq!(*home, format!("{path}/overview.json"));
}
