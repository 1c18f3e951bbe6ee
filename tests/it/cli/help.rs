//! What a newcomer reads first.

use super::run_in;
use crate::run::root;

#[test]
fn without_arguments_the_help_is_shown_and_nothing_done() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&[][..], &["rules"], &["approvals"], &["findings"]] {
        let run = run_in(folder.path(), args);
        assert_eq!(run.code, 2, "{args:?}");
        assert!(run.stderr.contains("Usage: shadowtap"), "{args:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn help_names_every_exit_code_and_which_one_wins() {
    for args in [&["--help"][..], &["replay", "--help"]] {
        let run = run_in(root(), args);
        assert_eq!(run.code, 0);
        for line in ["  0  clean", "  1  findings", "  2  usage", "  3  input", "  4  coverage"] {
            assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
        }
        assert!(run.stdout.contains("2 comes before 3, 3 before 4, and 4 before 1"));
        assert!(run.stdout.lines().all(|line| line.chars().count() <= 100));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let run = run_in(root(), &["--version"]);
    assert_eq!(run.stdout, concat!("shadowtap ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_options_are_usage_errors_that_name_what_would_do() {
    let folder = super::folder(&["neg-a2a.pcap"]);
    for (args, hint) in [
        (&["--fail-on", "bogus"][..], "one of info, low, medium, high, critical, never"),
        (&["--min-coverage", "101"], "a percentage from 0 to 100"),
        (&["--min-coverage", "much"], "a percentage from 0 to 100"),
        (&["--min-coverage", "NaN"], "a percentage from 0 to 100"),
        (&["--report", "pdf=x"], "sarif=FILE or junit=FILE"),
        (&["--report", "sarif="], "sarif=FILE or junit=FILE"),
        (&["--report", "sarif=x", "--report", "junit=x"], "named twice"),
        (&["--report", "sarif=neg-a2a.pcap"], "this is a file to be read"),
        (&["--report", "sarif=nope/x"], "name a file in a folder that exists"),
        (&["--threads", "0"], "1..=64"),
        (&["--threads", "65"], "1..=64"),
        (&["--color", "blue"], "auto, always, never"),
        (&["--no-builtin-rules"], "--rules <PATH>"),
        (&["--rules", "nope"], "cannot read rules from nope"),
        (&["--approvals", "nope.yaml"], "cannot read nope.yaml"),
        (&["--approvals", "nope.yaml"], "check the path"),
        (&["--approvals", "."], "name a file in it"),
        (&["--catalog", "nope.csv"], "cannot read nope.csv"),
        (&["--hash-key", "nope.key"], "cannot read nope.key"),
        (&["--keylog", "nope.keylog"], "cannot read nope.keylog"),
        (&["--unknown"], "unexpected argument"),
    ] {
        let args: Vec<&str> =
            ["replay", "neg-a2a.pcap", "--no-files"].iter().chain(args).copied().collect();
        let run = run_in(folder.path(), &args);
        assert_eq!(run.code, 2, "{args:?}");
        assert!(run.stderr.starts_with("error: "), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(hint), "{args:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{args:?}");
    }
    let bytes = std::fs::read(folder.path().join("neg-a2a.pcap")).unwrap();
    assert_eq!(bytes, std::fs::read(crate::run::capture("neg-a2a.pcap")).unwrap());
}
