//! Rule files written: begun, formatted, compared.

use super::{folder, run_in};
use crate::run::root;

#[test]
fn shipped_rules_are_formatted() {
    let run = run_in(root(), &["rules", "fmt", "--check", "rules"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    assert!(run.stdout.starts_with("0 to format, "), "{}", run.stdout);
}

#[test]
fn a_file_is_formatted_once_and_then_left_alone() {
    let folder = folder(&[]);
    let path = folder.path().join("a.yaml");
    let good = std::fs::read_to_string(root().join("rules/servers/unapproved.yaml")).unwrap();
    let good = good.replace("$private_nets", "[10.0.0.0/8]");
    let (head, rest) = good.split_once("id: ").unwrap();
    let (id, rest) = rest.split_once('\n').unwrap();
    let bad = format!("{head}{rest}\n\n# the id\nid: {id}  \n");
    std::fs::write(&path, &bad).unwrap();
    let run = run_in(folder.path(), &["rules", "fmt", "--check", "."]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("not formatted: ./a.yaml\n1 to format, 0 right"), "{}", run.stdout);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), bad);
    let run = run_in(folder.path(), &["rules", "fmt", "."]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.replace("\n# the id\n", ""), good, "only the comment is more");
    let run = run_in(folder.path(), &["rules", "fmt", "."]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (0, "0 formatted, 1 right already, 0 left alone\n")
    );
    std::fs::write(&path, bad.replace("lane: alert", "lane: alrt")).unwrap();
    let run = run_in(folder.path(), &["rules", "fmt", "."]);
    assert_eq!(run.code, 2);
    assert!(run.stdout.contains("`alrt` is not one of the values"), "{}", run.stdout);
    assert!(std::fs::read_to_string(&path).unwrap().contains("alrt"));
}

#[test]
fn a_rule_is_begun_passes_its_check_and_its_id_is_then_taken() {
    let folder = folder(&[]);
    let new = |id: &str, title: &str, on: &str| {
        let args = ["rules", "new", id, "--on", on, "--title", title, "--folder", "mine"];
        run_in(folder.path(), &args)
    };
    let run = new("smcp-9001", "Payroll tool called: outside", "message");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.starts_with("mine/payroll-tool-called-outside.yaml\nnext: "));
    assert!(run.stdout.contains("shadowtap rules schema > mine/schema.json"), "{}", run.stdout);
    let check = run_in(folder.path(), &["rules", "check", "mine"]);
    assert_eq!(check.code, 0, "{}", check.stdout);
    let fmt = run_in(folder.path(), &["rules", "fmt", "--check", "mine"]);
    assert_eq!(fmt.code, 0, "{}", fmt.stdout);
    for (id, title, on, what) in [
        ("SMCP-9001", "Other", "server", "SMCP-9001 is the id of the rule in mine/payroll"),
        ("SMCP-3001", "Other", "server", "is the id of the rule in rules/servers/unapproved.yaml"),
        ("SMCP-9002", "Payroll tool called: outside", "tls", "exists already"),
        ("9002", "Other", "server", "is not a rule id"),
        ("SMCP-9002", "Other", "packet", "one of exchange, message, server"),
    ] {
        let run = new(id, title, on);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{id} {title}");
        assert!(run.stderr.contains(what), "{what}: {}", run.stderr);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("mine")).unwrap().count(), 1);
}

#[test]
fn two_folders_are_compared() {
    let folder = folder(&[]);
    let path = folder.path().join("new");
    std::fs::create_dir(&path).unwrap();
    let text = std::fs::read_to_string(root().join("rules/protocol/tools.yaml")).unwrap();
    std::fs::write(path.join("a.yaml"), text.replace("confidence: 97", "confidence: 50")).unwrap();
    let old = root().join("rules/protocol");
    let run = run_in(folder.path(), &["rules", "diff", old.to_str().unwrap(), "new"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let changed = "~ SMCP-1102 MCP tool methods\n    confidence: 97 -> 50\n    rev is the same";
    assert!(run.stdout.contains(changed), "{}", run.stdout);
    assert!(run.stdout.contains("- SMCP-1101 MCP lifecycle methods\n"), "{}", run.stdout);
    let run = run_in(root(), &["rules", "diff", "builtin", "builtin"]);
    assert_eq!(run.stdout, "0 items added, 0 items removed, 0 items changed\n");
}
