//! The command line: exit codes, outputs, errors.

mod approvals;
mod help;
mod inputs;
mod noise;
mod outputs;
mod report;
mod rules;
mod rules_ask;
mod rules_convert;
mod rules_write;
mod secrets;
mod synthetic;
mod verdicts;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::run::{Run, capture, root};

/// A folder of its own with copies of captures.
fn folder(captures: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in captures {
        std::fs::copy(capture(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// The program, in a folder, without a say of the caller's environment.
fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shadowtap"));
    command.args(args).current_dir(folder).env_remove("NO_COLOR").env_remove("COLUMNS");
    command
}

/// Runs a command with bytes on standard input.
fn finish(mut command: Command, stdin: &[u8]) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    // A program that fails early does not read: that is no failure of the writer.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Run {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap_or(-1),
    }
}

/// Runs the program in a folder, with nothing on standard input.
fn run_in(folder: &Path, args: &[&str]) -> Run {
    finish(program(folder, args), b"")
}

/// The last line of a report.
fn reason(run: &Run) -> &str {
    run.stdout.rsplit("\nExit code ").next().unwrap().trim_end()
}

/// Rule id, severity and sentence of each finding.
fn findings(run: &Run) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = run.of_type("finding");
    let finding = |e: &Value| {
        (text(&e["rule"]["id"]), text(&e["event"]["severity_name"]), text(&e["message"]))
    };
    events.iter().map(finding).collect()
}

/// How often a rule is among the findings.
fn count(run: &Run, rule: &str) -> usize {
    findings(run).iter().filter(|(id, ..)| id == rule).count()
}

/// Compares with a file below `tests/golden`, or rewrites it when `BLESS` is set.
fn golden(name: &str, actual: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{name} differs; BLESS=1 rewrites it. Got:\n{actual}");
}
