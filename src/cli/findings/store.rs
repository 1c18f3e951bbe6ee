//! Verdicts of people on findings, in the state directory: a line of JSON each, only ever added.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::replace::state_folder;
use crate::cli::{Failure, complain, load};
use crate::finding::ruling::Ruled;

/// Name of the file.
const FILE: &str = "verdicts.ndjson";
/// Longest file that is read (64 MiB: some 200,000 verdicts).
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Adds a verdict; it is on the disk when this returns. Answers with the file.
pub(super) fn append(state: &Path, ruled: &Ruled) -> Result<PathBuf, Failure> {
    state_folder(state)?;
    let file = state.join(FILE);
    let line = serde_json::to_string(ruled).map_err(Failure::new)?;
    add_line(&file, &line)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))?;
    if let Ok(folder) = File::open(state) {
        drop(folder.sync_all());
    }
    Ok(file)
}

fn add_line(file: &Path, line: &str) -> io::Result<()> {
    let mut out = OpenOptions::new().read(true).append(true).create(true).open(file)?;
    // A line that a crash left unfinished must not take this one with it.
    let mut last = [b'\n'];
    if out.seek(SeekFrom::End(0))? > 0 {
        out.seek(SeekFrom::End(-1))?;
        out.read_exact(&mut last)?;
    }
    let begin = if last == [b'\n'] { "" } else { "\n" };
    // One write, so that two programs at once do not mix their lines.
    out.write_all(format!("{begin}{line}\n").as_bytes())?;
    out.sync_all()
}

/// All verdicts, in the order in which they were said; none when there is no file.
pub(in crate::cli) fn load(state: &Path) -> Result<Vec<Ruled>, Failure> {
    let file = state.join(FILE);
    if !file.exists() {
        return Ok(Vec::new());
    }
    let bytes = load::bytes(&file, MAX_FILE_BYTES)?;
    let (mut all, mut unreadable) = (Vec::new(), 0_u64);
    for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(ruled) => all.push(ruled),
            Err(_) => unreadable += 1,
        }
    }
    if unreadable > 0 {
        complain(&format!("warning: {}: {unreadable} lines cannot be read", file.display()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::ruling::Ruling;

    fn ruled(finding: &str) -> Ruled {
        Ruled {
            at: "2026-11-22T08:00:00Z".to_owned(),
            finding: finding.to_owned(),
            rule: "SMCP-3001".to_owned(),
            version: "1".to_owned(),
            verdict: Ruling::Fp,
            server: String::new(),
            client: String::new(),
            note: None,
        }
    }

    #[test]
    fn verdicts_are_added_and_a_torn_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("new/state");
        assert!(load(&state).unwrap().is_empty());
        append(&state, &ruled("a")).unwrap();
        let file = append(&state, &ruled("b")).unwrap();
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
        append(&state, &ruled("c")).unwrap();
        let ids: Vec<String> =
            load(&state).unwrap().into_iter().map(|ruled| ruled.finding).collect();
        assert_eq!(ids, ["a", "c"]);
    }
}
