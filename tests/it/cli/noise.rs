//! Fewer findings, and better ones: snippets, verdicts, learning and the review.

use super::synthetic::capture_of;
use super::{count, findings, finish, folder, program, run_in};
use crate::run::Run;

const NAME: &str = "office-morning.pcap";

/// Ids, rules and snippets of the findings in the NDJSON of a replay.
fn told(run: &Run) -> Vec<(String, String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let events = run.of_type("finding");
    let one = |e: &serde_json::Value| {
        (text(&e["event"]["id"]), text(&e["rule"]["id"]), text(&e["silence"]))
    };
    events.iter().map(one).collect()
}

#[test]
fn every_finding_says_how_to_silence_it() {
    let folder = folder(&[NAME]);
    let run = run_in(folder.path(), &["replay", NAME, "--no-files", "--json"]);
    let all = told(&run);
    assert!(all.len() > 20);
    for (id, rule, silence) in &all {
        assert!(silence.starts_with(['-', ' ']) && silence.contains("CHANGE-ME"), "{silence}");
        if rule == "SMCP-3001" {
            assert!(silence.contains("\n    owner: CHANGE-ME\n"), "{silence}");
        } else {
            assert!(silence.contains(&format!("rule: {rule}\n")), "{silence}");
            assert!(silence.contains(&id[..12]), "{silence}");
        }
    }
    let with_software = run.of_type("finding");
    assert!(with_software.iter().any(|event| event["software"][0] == "client lab-agent 0.3.1"));
    assert!(with_software.iter().all(|event| event["verdict"] == "undetermined"
        || event["reason"].as_str().is_some_and(|reason| !reason.is_empty())));
}

#[test]
fn the_approvals_snippet_of_a_finding_silences_it_once_it_has_an_owner() {
    let folder = folder(&[]);
    std::fs::write(folder.path().join("a.pcap"), capture_of("mcp.corp.test:8000")).unwrap();
    let replay = || run_in(folder.path(), &["replay", "a.pcap", "--no-files", "--json"]);
    let before = replay();
    let (_, _, snippet) = told(&before).into_iter().find(|of| of.1 == "SMCP-3001").unwrap();
    let file = format!("schema: shadowtap/approvals@1\nservers:\n{snippet}");
    for (owner, left) in [("CHANGE-ME", 1), ("team", 0)] {
        let text = file.replace("CHANGE-ME", owner);
        std::fs::write(folder.path().join("approvals.yaml"), text).unwrap();
        assert_eq!(count(&replay(), "SMCP-3001"), left, "{owner}");
    }
}

#[test]
fn a_draft_approves_only_when_told_so() {
    let folder = folder(&[NAME]);
    let draft = run_in(folder.path(), &["approvals", "draft", NAME]);
    std::fs::write(folder.path().join("approvals.yaml"), &draft.stdout).unwrap();
    let args = ["replay", NAME, "--no-files", "--json"];
    let run = run_in(folder.path(), &args);
    assert_eq!(count(&run, "SMCP-3001"), 6);
    let reasons = run.of_type("server");
    assert!(reasons.iter().any(|server| {
        server["reason"].as_str().is_some_and(|reason| reason.ends_with("is a draft without owner"))
    }));
    let run = run_in(folder.path(), &[&args[..], &["--accept-drafts"]].concat());
    assert_eq!(count(&run, "SMCP-3001"), 0);
}

#[test]
fn verdicts_are_kept_counted_and_give_an_exception() {
    let folder = folder(&[NAME]);
    let replay = run_in(folder.path(), &["replay", NAME, "--json"]);
    let all = told(&replay);
    let list = run_in(folder.path(), &["findings", "list"]);
    assert_eq!((list.code, list.stdout.lines().count()), (0, all.len()), "{}", list.stderr);
    let line = list.stdout.lines().next().unwrap();
    assert!(line.starts_with(&all[0].0[..12]) && line.contains(&all[0].1), "{line}");

    let precision = run_in(folder.path(), &["findings", "precision"]);
    assert_eq!(precision.code, 2);
    assert!(precision.stderr.contains("no verdicts yet"), "{}", precision.stderr);

    let of = |rule: &str| all.iter().find(|told| told.1 == rule).unwrap();
    let verdict = |id: &str, what: &str| {
        run_in(folder.path(), &["findings", "verdict", id, what, "--note", "because"])
    };
    let plain = of("SMCP-6003");
    let run = verdict(&plain.0[..12], "fp");
    assert_eq!((run.code, run.stdout.as_str()), (0, plain.2.as_str()), "{}", run.stderr);
    assert!(run.stderr.contains("is fp, says state/verdicts.ndjson"), "{}", run.stderr);
    assert_eq!(verdict(&plain.0, "benign").code, 0);
    let run = verdict(&of("SMCP-3001").0, "tp");
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    let kept = std::fs::read_to_string(folder.path().join("state/verdicts.ndjson")).unwrap();
    assert_eq!(kept.lines().count(), 3);
    let precision = run_in(folder.path(), &["findings", "precision"]);
    let want = "\
RULE           TP     FP BENIGN  PRECISION
SMCP-3001       1      0      0  100 %
SMCP-6003       0      0      1  100 %
";
    assert_eq!((precision.code, precision.stdout.as_str()), (0, want));

    for (id, what, want) in [
        ("zzzz", "fp", "is no id"),
        ("abc", "fp", "is no id"),
        ("0000000000000000", "fp", "there is no finding 0000000000000000 in findings"),
        (&plain.0, "maybe", "one of tp, fp, benign"),
    ] {
        let run = verdict(id, what);
        assert_eq!(run.code, 2, "{id}");
        assert!(run.stderr.contains(want), "{}", run.stderr);
    }
    let run = run_in(folder.path(), &["findings", "list", "nope.ndjson"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("cannot read nope.ndjson"), "{}", run.stderr);
}

#[test]
fn learning_holds_servers_back_for_one_review_that_writes_approvals() {
    let folder = folder(&[NAME]);
    let path = |name: &str| folder.path().join(name);
    let before = run_in(folder.path(), &["replay", NAME, "--no-files", "--json"]);
    let args = ["replay", NAME, "--no-files", "--json", "--learn", "learned.json"];
    let learning = run_in(folder.path(), &args);
    assert!(count(&before, "SMCP-3001") == 6 && count(&learning, "SMCP-3001") == 0);
    let rules: Vec<(String, String)> =
        findings(&learning).into_iter().map(|(rule, severity, _)| (rule, severity)).collect();
    assert!(rules.iter().all(|(_, severity)| severity == "high"), "{rules:?}");
    assert!(rules.iter().any(|(rule, _)| rule == "SMCP-6002"), "secrets in the clear are told");
    let report = run_in(folder.path(), &["replay", NAME, "--no-files", "--learn", "other.json"]);
    assert!(report.stdout.contains("approvals review other.json"), "{}", report.stdout);

    // Six servers: approve one, reject one, skip one, stop.
    let answers = "a\nplatform team\n2027-03-31\nr\ns\nq\n";
    let review = program(folder.path(), &["approvals", "review", "learned.json", "--by", "ada"]);
    let review = finish(review, answers.as_bytes());
    assert_eq!(review.code, 0, "{}{}", review.stdout, review.stderr);
    assert!(review.stdout.starts_with("6 servers wait for a decision"), "{}", review.stdout);
    let last = review.stdout.lines().last().unwrap();
    assert_eq!(last, "approvals.yaml: 1 approved; 1 rejected, 4 left for the next review");
    let text = std::fs::read_to_string(path("approvals.yaml")).unwrap();
    assert!(text.contains("owner: \"platform team\"") && text.contains("by: \"ada\""), "{text}");
    assert!(text.contains("expires: 2027-03-31"), "{text}");
    let check = run_in(folder.path(), &["approvals", "check", "approvals.yaml"]);
    assert!(check.stdout.starts_with("approvals.yaml: 1 approval, "), "{}", check.stdout);

    // What was rejected is told from now on, also while learning.
    let again = run_in(folder.path(), &args);
    assert_eq!(count(&again, "SMCP-3001"), 1);

    // The rest at once; what people wrote into the file stays.
    let ours = text.replace("servers:\n", "servers: # ours\n");
    std::fs::write(path("approvals.yaml"), &ours).unwrap();
    let all = ["approvals", "review", "learned.json", "--yes-to", "all", "--owner", "ops"];
    let review = run_in(folder.path(), &all);
    assert_eq!(review.code, 0, "{}", review.stderr);
    assert!(review.stdout.contains("approvals.yaml: 4 approved; 0 rejected, 0 left"));
    let text = std::fs::read_to_string(path("approvals.yaml")).unwrap();
    assert!(text.starts_with(&ours), "{text}");
    let after = run_in(folder.path(), &["replay", NAME, "--no-files", "--json"]);
    assert_eq!(count(&after, "SMCP-3001"), 1, "the rejected one");

    let none = run_in(
        folder.path(),
        &["approvals", "review", "learned.json", "--yes-to", "all", "--owner", "o"],
    );
    assert_eq!(none.code, 2, "{}", none.stdout);
    let missing =
        run_in(folder.path(), &["approvals", "review", "learned.json", "--yes-to", "all"]);
    assert!(missing.stderr.contains("--owner"), "{}", missing.stderr);
    let bad = run_in(folder.path(), &["approvals", "review", "approvals.yaml"]);
    assert_eq!(bad.code, 2, "{}", bad.stderr);
}
