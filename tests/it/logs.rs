//! `shadowtap logs`: log files, read once.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::run::{Run, root, run_in};

/// A log of the repository.
fn log(name: &str) -> String {
    root().join("tests/data/logs").join(name).display().to_string()
}

fn logs(args: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec!["logs"];
    all.extend_from_slice(args);
    run_in(folder.path(), &all)
}

fn json(args: &[&str]) -> Run {
    logs(&[args, &["--json", "--no-files"]].concat())
}

/// What is said of servers and findings, without what differs from run to run.
fn essence(run: &Run) -> Vec<Value> {
    let mut said = run.of_type("server");
    said.extend(run.of_type("finding"));
    said
}

#[test]
fn a_log_is_recognised_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_in(folder.path(), &["logs", &log("mitmproxy-json.json")]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("mitmproxy-json.json is read as mitmproxy"), "{}", run.stderr);
    assert!(run.stdout.contains("proxied-inventory"), "{}", run.stdout);
    assert!(folder.path().join("findings/mitmproxy-json-json.ndjson").is_file());
    let run = json(&[&log("mitmproxy-json.json")]);
    assert!(!run.of_type("message").is_empty() && !run.of_type("finding").is_empty());
    let stats = run.of_type("stats").pop().unwrap();
    assert!(stats["logs"][0]["records"].as_u64().unwrap() > 3, "{stats}");
    assert_eq!(stats["logs"][0]["bad_lines"], 0);
}

#[test]
fn compression_and_standard_input_change_nothing() {
    let plain = json(&[&log("mitmproxy-json.json")]);
    let bytes = fs::read(log("mitmproxy-json.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("x");
    let mut gzip = Command::new("gzip");
    let gzip = gzip.args(["-c", &log("mitmproxy-json.json")]).output().unwrap();
    fs::write(&packed, gzip.stdout).unwrap();
    let name = |run: &Run, from: &str| -> Vec<String> {
        essence(run).iter().map(|event| event.to_string().replace(from, "NAME")).collect()
    };
    let from = packed.display().to_string();
    assert_eq!(name(&json(&[&from]), &from), name(&plain, &log("mitmproxy-json.json")));
    let mut child = Command::new(env!("CARGO_BIN_EXE_shadowtap"))
        .args(["logs", "-", "--json", "--no-files"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    let piped = Run {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    };
    assert_eq!(name(&piped, "standard input"), name(&plain, &log("mitmproxy-json.json")));
    assert_eq!(piped.code, plain.code);
}

#[test]
fn bad_lines_are_counted_and_the_first_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.log");
    let mut text = fs::read_to_string(log("mitmproxy-json.json")).unwrap();
    text.push_str("not a line\n{\"cut\":\n");
    fs::write(&path, &text).unwrap();
    let lines = text.lines().count();
    let run = json(&[path.to_str().unwrap()]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("2 of {lines} lines cannot be read")), "{}", run.stderr);
    assert!(run.stderr.contains(&format!("line {}: ", lines - 1)), "{}", run.stderr);
    assert!(!run.stderr.contains("not a line"), "{}", run.stderr);
}

#[test]
fn a_log_of_another_format_is_damage_and_the_likely_one_is_named() {
    let run = logs(&[&log("mitmproxy-json.json"), "--format", "squid", "--no-files"]);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("try --format mitmproxy-json"), "{}", run.stdout);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "Dear all,\nnothing here is a log.\n").unwrap();
    let run = run_in(folder.path(), &["logs", "letter.txt", "--no-files"]);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("its first lines look like no format"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_done_is_a_usage_error() {
    for (args, hint) in [
        (&["--format", "none", "x"][..], "there is no format none; there are "),
        (&["x.log"], "cannot read x.log"),
        (&["*.log"], "*.log"),
        (&[], "<FILE>"),
        (&["x", "--mapping", "m.yaml", "--format", "squid"], "cannot be used with"),
    ] {
        let run = logs(args);
        assert_eq!(run.code, 2, "{args:?}: {}", run.stdout);
        assert!(run.stderr.contains(hint), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn formats_and_the_schema_of_mappings_are_listed() {
    let run = logs(&["formats"]);
    assert_eq!(run.code, 0);
    for name in ["squid", "zeek", "har", "cloudflare-gateway-http", "mitmproxy"] {
        assert!(run.stdout.lines().any(|line| line.starts_with(name)), "{name}: {}", run.stdout);
    }
    let run = logs(&["schema"]);
    let schema: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(schema["properties"].is_object(), "{}", run.stdout);
}

#[test]
fn a_mapping_reads_what_has_no_format() {
    let folder = tempfile::tempdir().unwrap();
    let mapping = "schema: shadowtap/log-format@1\nname: acme\nstance: reverse\nkind: json\n\
                   fields: {when: time, peer: client, verb: method, uri: target, vhost: host, \
                   rpc: rpc_method, code: status}\n";
    fs::write(folder.path().join("acme.yaml"), mapping).unwrap();
    let line = r#"{"when":1795417741,"peer":"192.0.2.7","verb":"POST","uri":"/mcp","#;
    let rest = r#""vhost":"mcp.example","rpc":"tools/list","code":200}"#;
    fs::write(folder.path().join("acme.log"), format!("{line}{rest}\n").repeat(3)).unwrap();
    let args = ["logs", "acme.log", "--mapping", "acme.yaml", "--json", "--no-files"];
    let run = run_in(folder.path(), &args);
    assert!(run.stderr.contains("acme.log is read as acme, as its mapping says"), "{}", run.stderr);
    assert_eq!(run.of_type("stats")[0]["logs"][0]["records"], 3, "{}", run.stdout);
}
