//! Rules from and for other products.

use super::{count, findings, folder, run_in};
use crate::run::root;

#[test]
fn the_profile_of_the_tutorial_is_imported_into_a_folder() {
    let folder = folder(&[]);
    let profile = root().join("rules/cloudflare/profile.json");
    let profile = profile.to_str().unwrap();
    let args = ["rules", "import", "cloudflare-dlp", profile, "--out", "cf"];
    for _ in 0..2 {
        let run = run_in(folder.path(), &args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.starts_with("10 rules written to cf\n"), "{}", run.stdout);
        assert_eq!(run.stderr.lines().filter(|line| line.contains("`luhn`")).count(), 10);
    }
    let call = std::fs::read_to_string(folder.path().join("cf/mcp-tools-call.yaml")).unwrap();
    assert!(call.contains("id: SMCP-9101\n") && call.contains("http.method: POST"), "{call}");
    let printed = run_in(folder.path(), &["rules", "import", "cloudflare-dlp", profile]);
    assert!(printed.stdout.contains(&call), "{}", printed.stdout);
    std::fs::write(folder.path().join("cf/mcp-tools-call.yaml"), "id: 1\n").unwrap();
    let run = run_in(folder.path(), &args);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is not written over"), "{}", run.stderr);
    std::fs::write(folder.path().join("x"), "nothing").unwrap();
    let run = run_in(folder.path(), &["rules", "import", "cloudflare-dlp", "x"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("x: no patterns"), "{}", run.stderr);
}

#[test]
fn the_imported_ten_find_mcp_in_a_capture() {
    // Bodies in chunks, and one coded with gzip in both directions.
    for name in ["enc-chunked-request-curl.pcap", "enc-gzip-json-py.pcap"] {
        let folder = folder(&[name]);
        let profile = root().join("rules/cloudflare/profile.json");
        let import =
            ["rules", "import", "cloudflare-dlp", profile.to_str().unwrap(), "--out", "cf"];
        assert_eq!(run_in(folder.path(), &import).code, 0);
        let replay = |rules: &str, args: &[&str]| {
            let fixed = ["replay", name, "--json", "--no-files", "--rules", rules];
            run_in(folder.path(), &[&fixed[..], args].concat())
        };
        let alone = replay("cf", &["--no-builtin-rules"]);
        for id in ["SMCP-9100", "SMCP-9101"] {
            assert!(count(&alone, id) > 0, "{id} in {name}: {}", alone.stdout);
        }
        assert!(findings(&alone).iter().all(|(id, ..)| id.starts_with("SMCP-91")));
        let shipped = root().join("rules/cloudflare");
        let shipped = replay(shipped.to_str().unwrap(), &["--no-builtin-rules"]);
        assert_eq!(findings(&shipped), findings(&alone), "{name}");
        let both = replay("cf", &[]);
        assert_eq!(count(&both, "SMCP-9100"), count(&alone, "SMCP-9100"));
        assert!(count(&both, "SMCP-3001") > 0);
        let without = run_in(folder.path(), &["replay", name, "--json", "--no-files"]);
        assert_eq!(count(&without, "SMCP-9100"), 0, "they are asked for");
    }
}

#[test]
fn sigma_rules_are_written_one_per_rule() {
    let folder = folder(&[]);
    let run = run_in(folder.path(), &["rules", "export", "sigma", "--out", "sigma"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let text =
        std::fs::read_to_string(folder.path().join("sigma/shadowtap_smcp_3001.yml")).unwrap();
    for part in [
        "title: \"Unapproved MCP server\"\n",
        "  selection:\n    event_type: finding\n    rule.id: SMCP-3001\n",
        "  - owasp-mcp.mcp09\n",
        "level: medium\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let notes = run_in(folder.path(), &["rules", "export", "sigma", "--notes"]);
    assert!(notes.stdout.contains("SMCP-3001: level medium although"), "{}", notes.stdout);
}

#[test]
fn suricata_rules_go_to_a_file_and_notes_to_the_reader() {
    let folder = folder(&[]);
    let args = ["rules", "export", "suricata", "--first-sid", "42", "--out", "out/s.rules"];
    let run = run_in(folder.path(), &args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let text = std::fs::read_to_string(folder.path().join("out/s.rules")).unwrap();
    assert!(text.contains("sid:42;") && text.contains("content:\"|22|tools/call|22|\""), "{text}");
    let printed = run_in(folder.path(), &args[..5]);
    assert_eq!(printed.stdout, text);
    let notes = run_in(folder.path(), &["rules", "export", "suricata", "--notes"]);
    assert!(notes.stdout.contains("suricata -T"), "{}", notes.stdout);
    if let Ok(output) = std::process::Command::new("suricata")
        .args(["-T", "-l", ".", "-S", "out/s.rules"])
        .current_dir(folder.path())
        .output()
    {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn zeek_gets_the_hosts_that_are_not_approved() {
    let folder = folder(&[]);
    let approvals = "schema: shadowtap/approvals@1\nservers:\n  - {name: a, key: \
        https://mcp.asana.com, owner: o, expires: 2030-01-01}\n";
    std::fs::write(folder.path().join("approvals.yaml"), approvals).unwrap();
    let args = ["rules", "export", "zeek-intel", "--approvals", "approvals.yaml"];
    let run = run_in(folder.path(), &args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("\nmcp.atlassian.com\tIntel::DOMAIN\tshadowtap\tMCP service of"));
    assert!(!run.stdout.contains("mcp.asana.com"));
    let run = run_in(folder.path(), &[&args[..], &["--notes"]].concat());
    assert!(run.stdout.contains("approved, so left out: mcp.asana.com"), "{}", run.stdout);
    let run = run_in(folder.path(), &args[..3]);
    assert_eq!(run.code, 2);
}
