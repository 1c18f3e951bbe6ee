//! Runs the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A capture of the repository.
pub fn capture(name: &str) -> PathBuf {
    root().join("captures").join(name)
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub struct Run {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Run {
    /// Standard output as NDJSON.
    pub fn events(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The events of one type.
    pub fn of_type(&self, event_type: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["event_type"] == event_type);
        events
    }
}

/// Runs the program in `folder`.
pub fn run_in(folder: &Path, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shadowtap"));
    command.args(args).current_dir(folder).env("NO_COLOR", "1");
    let Output { status, stdout, stderr } = command.output().unwrap();
    Run {
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        code: status.code().unwrap_or(-1),
    }
}

/// Runs the program in the folder of the repository.
pub fn run(args: &[&str]) -> Run {
    run_in(root(), args)
}

/// Replays a capture as NDJSON on standard output, without writing files.
pub fn replay_json(capture: &Path, more: &[&str]) -> Run {
    let path = capture.to_str().unwrap();
    let mut args = vec!["replay", path, "--json", "--no-files"];
    args.extend_from_slice(more);
    run(&args)
}
