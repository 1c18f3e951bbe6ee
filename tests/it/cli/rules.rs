//! Rules: checked, listed, explained, replaced.

use super::{count, findings, folder, golden, run_in};
use crate::run::root;

const NAME: &str = "sh-2025-06-py1124-py1124.pcap";

/// A rule that hits every call of a tool.
const OWN: &str = r#"schema: shadowtap/rule@1
id: SMCP-9001
rev: 1
title: A tool was called
status: experimental
lane: alert
severity: critical
confidence: 80
why: To see that own rules run.
todo: [Nothing]
refs: ["https://example.com/"]
on: message
evidence: parsed
when:
  mcp.method: tools/call
report:
  text: "{client.ip} called {mcp.name} of {server.key}"
  keep: [mcp.name]
tests:
  - name: call
    give:
      request: {body: {jsonrpc: "2.0", id: 1, method: tools/call, params: {name: add}}}
      response: {body: {jsonrpc: "2.0", id: 1, result: {content: []}}}
    want: hit
  - name: list
    give:
      request: {body: {jsonrpc: "2.0", id: 1, method: tools/list}}
      response: {body: {jsonrpc: "2.0", id: 1, result: {tools: []}}}
    want: none
"#;

#[test]
fn shipped_rules_pass_with_their_inline_tests() {
    for args in [&["rules", "check"][..], &["rules", "check", "rules"]] {
        let run = run_in(root(), args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
        assert!(run.stdout.starts_with("0 errors, 0 warnings\n"), "{}", run.stdout);
        assert!(run.stdout.contains("; rules tested: "), "{}", run.stdout);
    }
}

#[test]
fn a_good_rule_passes_and_runs() {
    let folder = folder(&[NAME]);
    std::fs::create_dir_all(folder.path().join("mine/deep")).unwrap();
    std::fs::write(folder.path().join("mine/deep/own.yaml"), OWN).unwrap();
    let check = run_in(folder.path(), &["rules", "check", "mine"]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    assert!(check.stdout.contains("files read: 1; rules tested: 1\n"), "{}", check.stdout);
    let replay = |args: &[&str]| {
        run_in(folder.path(), &[&["replay", NAME, "--json", "--no-files"][..], args].concat())
    };
    let both = replay(&["--rules", "mine"]);
    assert_eq!(count(&both, "SMCP-3001"), 1);
    assert!(count(&both, "SMCP-9001") > 0);
    let alone = replay(&["--rules", "mine", "--no-builtin-rules", "--fail-on", "critical"]);
    assert_eq!(alone.code, 1);
    assert!(!findings(&alone).is_empty());
    assert!(findings(&alone).iter().all(|(id, ..)| id == "SMCP-9001"));
    assert_eq!(alone.of_type("server").len(), 1, "recognition needs no rules");
    let list = run_in(folder.path(), &["rules", "list", "--rules", "mine", "--no-builtin-rules"]);
    assert!(list.stdout.contains("SMCP-9001") && !list.stdout.contains("SMCP-3001"));
    let explain =
        run_in(folder.path(), &["rules", "explain", "smcp-9001", "--rules", "mine/deep/own.yaml"]);
    assert_eq!(explain.code, 0, "{}", explain.stderr);
    assert!(explain.stdout.starts_with("SMCP-9001 rev 1: A tool was called\n"));
}

#[test]
fn the_window_and_group_of_a_rule_are_kept() {
    let folder = folder(&[NAME]);
    let write = |group: &str| {
        let text = OWN.replace("tests:\n", &format!("group: {group}\ntests:\n"));
        std::fs::write(folder.path().join("own.yaml"), text).unwrap();
    };
    let run = || {
        let args = ["replay", NAME, "--json", "--no-files", "--rules", "own.yaml"];
        let run = run_in(folder.path(), &args);
        assert_eq!(run.code, 1, "{}", run.stderr);
        let own: Vec<_> = run.of_type("finding");
        own.iter()
            .filter(|finding| finding["rule"]["id"] == "SMCP-9001")
            .map(|finding| finding["event"]["count"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    write("{for: 1h}");
    let by_server = run();
    assert_eq!(by_server.len(), 1);
    write("{by: [mcp.name], for: 1h}");
    let by_tool = run();
    assert!(by_tool.len() > 1, "{by_tool:?}");
    assert_eq!(by_server[0], by_tool.iter().sum::<u64>());
}

#[test]
fn bad_rules_are_refused_with_line_column_excerpt_and_nearest_name() {
    let folder = folder(&[NAME]);
    let cases = [
        ("severity", OWN.replace("severity: critical", "severity: hgih")),
        ("field", OWN.replace("mcp.method: tools", "mcp.metod: tools")),
        ("placeholder", OWN.replace("{mcp.name}", "{mcp.nam}")),
        ("key", OWN.replace("confidence: 80", "confidense: 80")),
        ("test", OWN.replace("method: tools/list}", "method: tools/call, params: {name: a}}")),
        ("yaml", OWN.replace("todo: [Nothing]", "todo: [Nothing")),
        ("evidence", OWN.replace("evidence: parsed", "evidence: hint")),
    ];
    let mut all = String::new();
    for (name, text) in &cases {
        assert_ne!(text, OWN, "{name}");
        let file = format!("{name}.yaml");
        std::fs::write(folder.path().join(&file), text).unwrap();
        let check = run_in(folder.path(), &["rules", "check", &file]);
        assert_eq!((check.code, check.stderr.as_str()), (2, ""), "{name}: {}", check.stdout);
        assert!(check.stdout.contains(&format!("--> {file}:")), "{name}: {}", check.stdout);
        all.push_str(&format!("==> {name}\n{}\n", check.stdout));
        if *name == "test" {
            continue; // Only `check` runs inline tests.
        }
        for args in [&["replay", NAME, "--no-files"][..], &["rules", "list"]] {
            let run = run_in(folder.path(), &[args, &["--rules", &file]].concat());
            assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{name}");
            assert!(run.stderr.contains(&format!("--> {file}:")), "{name}: {}", run.stderr);
        }
    }
    golden("rules/bad.txt", &all);
}

#[test]
fn paths_without_rules_are_usage_errors() {
    let folder = folder(&[NAME]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    for (path, what) in [
        ("nope", "cannot read rules from nope"),
        ("empty", "empty: no rules; files named .yaml or .yml are read"),
        (NAME, "cannot read rules from sh-2025-06-py1124-py1124.pcap"),
    ] {
        let run = run_in(folder.path(), &["rules", "check", path]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{path}");
        assert!(run.stderr.contains(what), "{path}: {}", run.stderr);
    }
}

#[test]
fn the_list_is_that_of_the_repository() {
    let run = run_in(root(), &["rules", "list"]);
    assert_eq!(run.code, 0);
    assert_eq!(run.stdout, std::fs::read_to_string(root().join("rules/rules.txt")).unwrap());
}

#[test]
fn the_schema_is_that_of_the_repository() {
    let run = run_in(root(), &["rules", "schema"]);
    assert_eq!(run.code, 0);
    assert_eq!(run.stdout, std::fs::read_to_string(root().join("rules/schema.json")).unwrap());
}

#[test]
fn listed_rules_are_explained() {
    let list = run_in(root(), &["rules", "list"]).stdout;
    let ids: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    let ids: Vec<&str> = ids.into_iter().filter(|id| id.starts_with("SMCP-")).collect();
    assert!(ids.len() > 20);
    // All of them are explained in the tests of the library.
    for id in ids.iter().step_by(10).chain(ids.last()) {
        let run = run_in(root(), &["rules", "explain", id]);
        assert_eq!(run.code, 0, "{id}");
        for part in [id, "\nWhy\n", "\nWhat to do\n", "\nTests\n", "\nReferences\n"] {
            assert!(run.stdout.contains(part), "{id}: {part}");
        }
        // A correlation reads matches, and says which.
        assert!(run.stdout.contains("\nReads\n") || run.stdout.contains("matches"), "{id}");
    }
}

#[test]
fn an_unknown_rule_says_where_to_look() {
    for id in ["SMCP-3999", "nonsense", ""] {
        let run = run_in(root(), &["rules", "explain", id]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{id}");
        assert!(run.stderr.contains("`shadowtap rules list` names them all"), "{}", run.stderr);
    }
}

#[test]
fn a_catalog_of_ones_own_replaces_the_built_in_one() {
    let folder = folder(&[NAME]);
    let built_in = std::fs::read_to_string(root().join("rules/data/remote-mcp-hosts.csv")).unwrap();
    let header = built_in.lines().next().unwrap();
    let columns = header.split(',').count();
    let row = |host: &str, vendor: &str| {
        let cells = header.split(',').map(|column| match column {
            "host" => host,
            "vendor" => vendor,
            "path" => "/mcp",
            _ => "",
        });
        cells.collect::<Vec<_>>().join(",")
    };
    let text = format!("{header}\n{}\n", row("mcp.corp.test", "Corp Inc."));
    std::fs::write(folder.path().join("mine.csv"), text).unwrap();
    let args = ["replay", NAME, "--json", "--no-files", "--catalog", "mine.csv"];
    let run = run_in(folder.path(), &args);
    assert_eq!(run.code, 1, "{columns} columns: {}", run.stderr);
    assert_eq!(run.of_type("server")[0]["server"]["catalogued"], "Corp Inc.");
    std::fs::write(folder.path().join("mine.csv"), "not a catalog").unwrap();
    let run = run_in(folder.path(), &args);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("mine.csv"), "{}", run.stderr);
}
