//! Approvals: checked, drafted, applied.

use std::path::Path;

use super::synthetic::{Capture, capture_of, session};
use super::{count, folder, run_in};
use crate::run::{Run, root};

const NAME: &str = "office-morning.pcap";

fn replay(folder: &Path, args: &[&str]) -> Run {
    run_in(folder, &[&["replay", "--no-files", "--json"][..], args].concat())
}

/// The verdict on the one server of a run.
fn verdict(run: &Run) -> String {
    let servers = run.of_type("server");
    assert_eq!(servers.len(), 1, "{}", run.stderr);
    servers[0]["verdict"].as_str().unwrap().to_owned()
}

fn file(entry: &str) -> String {
    format!(
        "schema: shadowtap/approvals@1\nportals: [10.9.9.9]\nservers:\n  - name: s\n    owner: o\n{entry}\n"
    )
}

#[test]
fn each_ground_gives_its_verdict_and_finding() {
    let folder = folder(&[]);
    std::fs::write(folder.path().join("a.pcap"), capture_of("mcp.corp.test:8000")).unwrap();
    let key = "    key: http://mcp.corp.test:8000/mcp\n    expires: 2027-01-01\n";
    for (entry, want, rule) in [
        (String::new() + key, "approved", None),
        (key.to_owned() + "    clients: [10.1.1.9]", "approved", None),
        (key.to_owned() + "    clients: [10.1.0.0/16]", "approved", None),
        (key.to_owned() + "    clients: [10.1.1.8]", "client_not_allowed", Some("SMCP-3003")),
        (key.to_owned() + "    tools: {allow: [add, sub]}", "approved", None),
        (key.to_owned() + "    tools: {allow: [\"a*\"]}", "approved", None),
        (key.to_owned() + "    tools: {allow: [sub]}", "tool_not_allowed", Some("SMCP-3005")),
        (key.to_owned() + "    tools: {deny: [add]}", "tool_not_allowed", Some("SMCP-3005")),
        (key.to_owned() + "    via: portal", "portal_bypass", Some("SMCP-3004")),
        (key.to_owned() + "    addresses: [10.1.1.2]", "approved", None),
        (key.to_owned() + "    addresses: [10.1.1.3]", "unapproved", Some("SMCP-3001")),
        (key.replace("2027-01-01", "2026-11-16"), "approved", None),
        (key.replace("2027-01-01", "2026-11-15"), "expired", Some("SMCP-3002")),
        (key.replace("8000", "8001"), "unapproved", Some("SMCP-3001")),
        (key.replace("http:", "https:"), "unapproved", Some("SMCP-3001")),
        (key.replace("/mcp", "/other"), "unapproved", Some("SMCP-3001")),
        (key.replace("/mcp\n", "\n"), "approved", None),
    ] {
        std::fs::write(folder.path().join("ok.yaml"), file(&entry)).unwrap();
        let run = replay(folder.path(), &["a.pcap", "--approvals", "ok.yaml"]);
        assert_eq!(verdict(&run), want, "{entry}\n{}", run.stderr);
        for known in ["SMCP-3001", "SMCP-3002", "SMCP-3003", "SMCP-3004", "SMCP-3005"] {
            let expected = usize::from(rule == Some(known));
            assert_eq!(count(&run, known), expected, "{known}: {entry}");
        }
    }
}

#[test]
fn an_approval_ends_by_the_time_of_the_packets() {
    let folder = folder(&[]);
    let path = |name: &str| folder.path().join(name);
    let entry = "    key: http://mcp.corp.test:8000/mcp\n    expires: 2026-11-16";
    std::fs::write(path("ok.yaml"), file(entry)).unwrap();
    // 2026-11-16T23:59:58Z: the session ends before midnight. Two seconds later it does not.
    for (first, want) in [(1_794_873_598, "approved"), (1_794_873_600, "expired")] {
        let mut capture = Capture::at(first);
        let session = session("mcp.corp.test:8000", "/mcp");
        let texts: Vec<(&str, &str)> =
            session.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        capture.exchanges(([10, 1, 1, 9], 40_000), ([10, 1, 1, 2], 8000), &texts);
        std::fs::write(path("a.pcap"), capture.finish()).unwrap();
        let run = replay(folder.path(), &["a.pcap", "--approvals", "ok.yaml"]);
        assert_eq!(verdict(&run), want);
    }
}

#[test]
fn wildcards_reach_no_further_than_they_say() {
    let folder = folder(&[]);
    for (pattern, host, want) in [
        ("*.corp.test", "mcp.corp.test", "approved"),
        ("*.corp.test", "MCP.Corp.Test", "approved"),
        ("*.corp.test", "mcp.corp.test.", "approved"),
        ("**.corp.test", "a.b.corp.test", "approved"),
        ("*.corp.test", "a.b.corp.test", "unapproved"),
        ("*.corp.test", "corp.test", "unapproved"),
        ("**.corp.test", "corp.test", "unapproved"),
        ("*.corp.test", "evil-corp.test", "unapproved"),
        ("*.corp.test", "mcp.corp.test.evil.test", "unapproved"),
        ("*.corp.test", "mcp.corp.testevil", "unapproved"),
        ("*.corp.test", "mcp.corp.test%2eevil.test", "unapproved"),
        ("*.corp.test", "mcp_corp_test", "unapproved"),
        ("*.corp.test", "10.1.1.2", "unapproved"),
        ("mcp.corp.test", "xmcp.corp.test", "unapproved"),
    ] {
        std::fs::write(folder.path().join("a.pcap"), capture_of(&format!("{host}:8000"))).unwrap();
        let entry = format!("    key: \"http://{pattern}:8000/mcp\"\n    expires: 2027-01-01");
        std::fs::write(folder.path().join("ok.yaml"), file(&entry)).unwrap();
        let run = replay(folder.path(), &["a.pcap", "--approvals", "ok.yaml"]);
        assert_eq!(verdict(&run), want, "{pattern} for {host}");
    }
}

#[test]
fn patterns_that_would_approve_everything_are_refused() {
    let folder = folder(&[]);
    for pattern in [
        "http://*:8000/mcp",
        "http://*",
        "http://**",
        "http://m*.corp.test/",
        "http://mcp.*.test/",
        "http://*corp.test/",
        "*://mcp.corp.test/",
        "http://u:p@mcp.corp.test/",
        "ftp://mcp.corp.test/",
        "mcp.corp.test",
        "http://mcp.corp.test:0x50/",
        "http://mcp.corp.test:70000/",
    ] {
        let entry = format!("    key: \"{pattern}\"\n    expires: 2027-01-01");
        std::fs::write(folder.path().join("bad.yaml"), file(&entry)).unwrap();
        let run = run_in(folder.path(), &["approvals", "check", "bad.yaml"]);
        assert_eq!(run.code, 2, "{pattern}: {}", run.stdout);
        assert!(run.stderr.contains("bad.yaml:6:"), "{pattern}: {}", run.stderr);
    }
}

#[test]
fn the_file_in_the_current_folder_is_used_unless_another_is_named() {
    let folder = folder(&[]);
    std::fs::write(folder.path().join("a.pcap"), capture_of("mcp.corp.test:8000")).unwrap();
    assert_eq!(verdict(&replay(folder.path(), &["a.pcap"])), "unapproved");
    let entry = "    key: http://mcp.corp.test:8000/mcp\n    expires: 2027-01-01";
    std::fs::write(folder.path().join("approvals.yaml"), file(entry)).unwrap();
    assert_eq!(verdict(&replay(folder.path(), &["a.pcap"])), "approved");
    let none = "schema: shadowtap/approvals@1\nservers: []\n";
    std::fs::write(folder.path().join("none.yaml"), none).unwrap();
    let run = replay(folder.path(), &["a.pcap", "--approvals", "none.yaml"]);
    assert_eq!(verdict(&run), "unapproved");
    std::fs::write(folder.path().join("approvals.yaml"), "servers: 7").unwrap();
    let run = replay(folder.path(), &["a.pcap"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("approvals.yaml:1:"), "{}", run.stderr);
}

#[test]
fn a_draft_parses_and_with_owners_leaves_nothing_unapproved() {
    let folder = folder(&[NAME]);
    let draft = run_in(folder.path(), &["approvals", "draft", NAME]);
    assert_eq!((draft.code, draft.stderr.as_str()), (0, ""));
    std::fs::write(folder.path().join("draft.yaml"), &draft.stdout).unwrap();
    let check = run_in(folder.path(), &["approvals", "check", "draft.yaml"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert!(check.stdout.starts_with("draft.yaml: 6 approvals, "), "{}", check.stdout);
    assert_eq!(
        check.stdout.matches("has no owner, so it approves nothing: fill in `owner`").count(),
        6
    );
    let before = replay(folder.path(), &[NAME]);
    assert_eq!(count(&before, "SMCP-3001"), 6);
    let owned = draft.stdout.replace("CHANGE-ME", "somebody");
    std::fs::write(folder.path().join("approvals.yaml"), owned).unwrap();
    let after = replay(folder.path(), &[NAME]);
    assert_eq!(count(&after, "SMCP-3001"), 0);
    let report = run_in(folder.path(), &["replay", NAME, "--no-files"]);
    assert!(report.stdout.starts_with("6 MCP servers, all approved; "), "{}", report.stdout);
    assert!(!report.stdout.contains("no approvals given"));
    assert!(!report.stdout.contains("has no owner"));
}

#[test]
fn a_draft_of_traffic_without_mcp_approves_nothing() {
    let folder = folder(&["neg-a2a.pcap"]);
    let draft = run_in(folder.path(), &["approvals", "draft", "neg-a2a.pcap"]);
    assert_eq!(draft.code, 0);
    assert!(draft.stdout.ends_with("servers: []\n"), "{}", draft.stdout);
}

#[test]
fn problems_are_told_all_at_once_with_their_places() {
    let folder = folder(&[]);
    let text = "schema: shadowtap/approvals@1\nservers:\n  - name: a\n    key: nope\n    ownr: me\n    expires: soon\n";
    std::fs::write(folder.path().join("bad.yaml"), text).unwrap();
    let run = run_in(folder.path(), &["approvals", "check", "bad.yaml"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    super::golden("approvals/bad.txt", &run.stderr);
    std::fs::write(folder.path().join("binary.yaml"), b"\xff\xfe").unwrap();
    for (name, what) in [
        ("binary.yaml", "binary.yaml: not UTF-8 from byte 0 on"),
        ("nope.yaml", "cannot read nope.yaml"),
        (".", "name a file in it"),
    ] {
        let run = run_in(folder.path(), &["approvals", "check", name]);
        assert_eq!(run.code, 2, "{name}");
        assert!(run.stderr.contains(what), "{}", run.stderr);
    }
}

#[test]
fn the_approvals_of_the_demo_are_valid() {
    let run = run_in(root(), &["approvals", "check", "captures/office-morning.approvals.yaml"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains(": 5 approvals, "), "{}", run.stdout);
}

#[test]
fn the_schema_is_json_schema_that_knows_every_key() {
    let run = run_in(root(), &["approvals", "schema"]);
    let schema: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for key in ["schema", "servers", "portals", "proxies", "groups"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}
