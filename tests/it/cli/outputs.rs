//! Files, standard output and exit codes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{findings, finish, folder, program, reason, run_in};
use crate::run::{Run, capture};

const NAME: &str = "office-morning.pcap";

fn replay(folder: &Path, args: &[&str]) -> Run {
    run_in(folder, &[&["replay", NAME][..], args].concat())
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    entries.map(read).collect()
}

#[test]
fn the_exit_code_follows_fail_on() {
    let folder = folder(&[NAME]);
    for (level, code) in
        [("info", 1), ("low", 1), ("medium", 1), ("high", 1), ("critical", 0), ("never", 0)]
    {
        let run = replay(folder.path(), &["--no-files", "--fail-on", level]);
        assert_eq!(run.code, code, "{level}");
        assert!(reason(&run).starts_with(&format!("{code}: ")), "{}", run.stdout);
        assert_eq!(run.stderr, "", "{level}");
    }
    assert_eq!(replay(folder.path(), &["--no-files"]).code, 1, "the default is medium");
}

#[test]
fn damage_goes_before_coverage_and_coverage_before_findings() {
    let folder = folder(&[NAME]);
    let whole = std::fs::read(capture(NAME)).unwrap();
    std::fs::write(folder.path().join("cut.pcap"), &whole[..whole.len() - 1]).unwrap();
    let code = |args: &[&str]| {
        let run = run_in(folder.path(), &[&["replay", "--no-files"][..], args].concat());
        assert!(reason(&run).starts_with(&run.code.to_string()), "{}", run.stdout);
        run.code
    };
    assert_eq!(code(&[NAME]), 1);
    assert_eq!(code(&[NAME, "--min-coverage", "50%"]), 1);
    assert_eq!(code(&[NAME, "--min-coverage", "0"]), 1);
    assert_eq!(code(&[NAME, "--min-coverage", "99"]), 4);
    assert_eq!(code(&[NAME, "--min-coverage", "99", "--fail-on", "never"]), 4);
    assert_eq!(code(&["cut.pcap", "--min-coverage", "99"]), 3);
    assert_eq!(code(&["cut.pcap", "--fail-on", "never"]), 3);
}

#[test]
fn coverage_reads_the_same_everywhere_and_never_too_high() {
    let folder = folder(&[NAME]);
    let run = replay(folder.path(), &["--no-files", "--min-coverage", "99"]);
    let share = reason(&run).split("coverage of ").nth(1).unwrap().split(" %").next().unwrap();
    assert!(run.stdout.contains(&format!("  read {share} % of the payload")), "{}", run.stdout);
}

#[test]
fn packets_that_cannot_be_decoded_are_no_full_coverage() {
    let folder = folder(&[]);
    let mut bytes = std::fs::read(capture("enc-http10-curl.pcap")).unwrap();
    bytes[20..24].copy_from_slice(&147_u32.to_le_bytes()); // LINKTYPE_USER0
    std::fs::write(folder.path().join("odd.pcap"), bytes).unwrap();
    let run = run_in(folder.path(), &["replay", "odd.pcap", "--no-files", "--min-coverage", "1"]);
    assert_eq!(run.code, 4, "{}{}", run.stdout, run.stderr);
}

#[test]
fn json_is_all_that_standard_output_has() {
    let folder = folder(&[NAME]);
    let run = replay(folder.path(), &["--no-files", "--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    let events = run.events(); // Panics on a line that is no JSON.
    for kind in ["server", "finding", "message", "stats"] {
        assert!(events.iter().any(|event| event["event_type"] == kind), "{kind}");
    }
    assert!(events.iter().all(|event| event["@timestamp"].is_string()));
    assert_eq!(events.last().unwrap()["event_type"], "stats");
    let report = replay(folder.path(), &["--no-files"]);
    assert!(!report.stdout.contains('{'), "{}", report.stdout);
}

#[test]
fn files_are_those_of_json_and_replaced_by_a_second_run() {
    let folder = folder(&[NAME]);
    let out = folder.path().join("findings");
    let run = replay(folder.path(), &[]);
    assert!(run.stdout.contains("\nWritten: findings/office-morning.ndjson\n"), "{}", run.stdout);
    let first = files(&out);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["office-morning.ndjson"]);
    std::fs::write(out.join("office-morning.1.ndjson"), "left of a longer run").unwrap();
    std::fs::write(out.join("office-morning.ndjson.partial"), "left of a crash").unwrap();
    std::fs::write(out.join("mine.ndjson"), "kept").unwrap();
    replay(folder.path(), &[]);
    let mut second = files(&out);
    assert_eq!(second.remove("mine.ndjson").unwrap(), b"kept");
    assert_eq!(first, second);
    let json = replay(folder.path(), &["--json", "--out", "deep/down"]);
    assert_eq!(files(&folder.path().join("deep/down")), first);
    assert_eq!(json.stdout.as_bytes(), first["office-morning.ndjson"]);
    let two = run_in(folder.path(), &["replay", NAME, NAME, "./office-morning.pcap"]);
    assert!(two.stdout.contains("Written: findings/office-morning.ndjson"), "{}", two.stdout);
    assert_eq!(files(&out)["office-morning.ndjson"], first["office-morning.ndjson"]);
}

#[test]
fn no_files_writes_none() {
    let folder = folder(&[NAME]);
    let run = replay(folder.path(), &["--no-files"]);
    assert!(!run.stdout.contains("Written"));
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn the_number_of_threads_and_the_run_change_no_byte() {
    let folder = folder(&[NAME, "imp-loss10-everything.pcap"]);
    let run = |threads: &str, out: &str| {
        let fixed = ["replay", NAME, "imp-loss10-everything.pcap", "--threads", threads];
        let sarif = format!("sarif={out}.sarif");
        let junit = format!("junit={out}.xml");
        let more = ["--out", out, "--report", &sarif, "--report", &junit];
        let run = run_in(folder.path(), &[&fixed[..], &more].concat());
        assert_eq!(run.code, 1, "{}", run.stderr);
        let file = |name: String| std::fs::read(folder.path().join(name)).unwrap();
        let report = run.stdout.split("\nWritten: ").next().unwrap().to_owned();
        let ndjson = files(&folder.path().join(out));
        (report, ndjson, file(format!("{out}.sarif")), file(format!("{out}.xml")))
    };
    let first = run("1", "a");
    for (threads, out) in [("1", "b"), ("2", "c"), ("3", "d"), ("8", "e")] {
        assert!(run(threads, out) == first, "{threads} threads");
    }
}

#[test]
fn outputs_that_cannot_be_written_are_said_before_the_run() {
    let folder = folder(&[NAME]);
    std::fs::write(folder.path().join("file"), "in the way").unwrap();
    for args in [&["--out", "file"][..], &["--out", "file/below"]] {
        let run = replay(folder.path(), args);
        assert_eq!(run.code, 2, "{args:?}");
        assert!(run.stderr.contains("error: cannot make directory file"), "{}", run.stderr);
        assert!(run.stderr.contains("choose a directory that you may write to"));
        assert_eq!(run.stdout, "", "{args:?}");
    }
    assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"in the way");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_does_not_take_the_report_with_it() {
    let folder = folder(&[NAME]);
    let run = replay(folder.path(), &["--no-files", "--report", "sarif=/dev/full"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("error: cannot write /dev/full"), "{}", run.stderr);
    assert!(run.stdout.contains("SMCP-3001"), "{}", run.stdout);
    assert!(reason(&run).starts_with("2: cannot write /dev/full"), "{}", run.stdout);
    for args in [&["replay", NAME, "--no-files"][..], &["replay", NAME, "--no-files", "--json"]] {
        let mut command = program(folder.path(), args);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(error.contains("error: cannot write to standard output"), "{error}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = folder(&[NAME]);
    for args in [
        &["replay", NAME, "--no-files"][..],
        &["replay", NAME, "--no-files", "--json"],
        &["rules", "list"],
        &["approvals", "draft", NAME],
    ] {
        let mut command = program(folder.path(), args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error, "", "{args:?}");
        let want = i32::from(args[0] == "replay");
        assert_eq!(output.status.code(), Some(want), "{args:?}");
    }
}

#[test]
fn sarif_names_rules_and_results() {
    let folder = folder(&[NAME]);
    let run = replay(folder.path(), &["--no-files", "--json", "--report", "sarif=x.sarif"]);
    let text = std::fs::read(folder.path().join("x.sarif")).unwrap();
    let sarif: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let driver = &sarif["runs"][0]["tool"]["driver"];
    assert_eq!(driver["name"], "shadowtap");
    let rules: Vec<&Value> = driver["rules"].as_array().unwrap().iter().collect();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), findings(&run).len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let level = result["level"].as_str().unwrap();
        assert!(["note", "warning", "error"].contains(&level), "{level}");
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        assert_eq!(place, NAME);
    }
}

#[test]
fn junit_fails_the_rules_that_fail_the_run() {
    let folder = folder(&[NAME]);
    for (level, failing) in [("medium", 4), ("high", 2), ("critical", 0), ("never", 0)] {
        let args = ["--no-files", "--fail-on", level, "--report", "junit=x.xml"];
        let run = replay(folder.path(), &args);
        let xml = std::fs::read_to_string(folder.path().join("x.xml")).unwrap();
        assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "));
        assert!(xml.ends_with("</testsuites>\n"));
        for tag in ["testsuites", "testsuite", "failure", "system-out"] {
            let opened =
                xml.matches(&format!("<{tag}>")).count() + xml.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, xml.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert_eq!(xml.matches("<failure ").count(), failing, "{level}:\n{xml}");
        assert!(xml.contains(&format!("failures=\"{failing}\" errors=\"0\">")), "{level}");
        assert_eq!(run.code, i32::from(failing > 0), "{level}");
        assert!(!xml.chars().any(|c| c.is_control() && c != '\n'));
    }
}

#[test]
fn colours_only_when_wanted() {
    let folder = folder(&[NAME]);
    let coloured = |args: &[&str], no_color: Option<&str>| {
        let mut command =
            program(folder.path(), &[&["replay", NAME, "--no-files"][..], args].concat());
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let run = finish(command, b"");
        assert_eq!(run.code, 1);
        run.stdout.contains('\x1b')
    };
    assert!(!coloured(&[], None), "a pipe");
    assert!(!coloured(&["--color", "never"], None));
    assert!(coloured(&["--color", "always"], None));
    assert!(coloured(&["--color", "always"], Some("1")), "what is typed goes first");
    assert!(!coloured(&["--color", "auto"], Some("1")));
}

#[test]
fn nothing_but_warnings_on_standard_error() {
    let folder = folder(&[NAME]);
    for args in [&["--no-files"][..], &["--no-files", "--quiet"], &["--no-files", "-q", "--json"]] {
        assert_eq!(replay(folder.path(), args).stderr, "", "{args:?}");
    }
}

#[test]
fn the_report_keeps_to_the_width() {
    let folder = folder(&[NAME]);
    for (columns, width) in [("70", 70), ("100", 100), ("10", 60), ("wide", 100)] {
        let mut command = program(folder.path(), &["replay", NAME, "--no-files"]);
        command.env("COLUMNS", columns);
        let run = finish(command, b"");
        let longest = run.stdout.lines().filter(|line| line.contains(' ')).max_by_key(|line| {
            // One long word may stand alone on its line, so that it can be copied.
            if line.trim().contains(' ') { line.chars().count() } else { 0 }
        });
        let longest = longest.unwrap();
        assert!(longest.chars().count() <= width, "{columns}: {longest}");
    }
}
