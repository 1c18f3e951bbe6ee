//! Findings out of NDJSON files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::{Failure, complain};

/// Longer lines are no findings of ours (1 MiB).
const MAX_LINE_BYTES: u64 = 1 << 20;
/// So many findings are read; more are counted.
const MAX_FINDINGS: usize = 200_000;

/// What is read of a finding.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    event_type: String,
    pub(super) event: ToldEvent,
    pub(super) rule: ToldRule,
    pub(super) source: ToldClient,
    pub(super) server: ToldServer,
    pub(super) message: String,
    pub(super) silence: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToldEvent {
    pub(super) id: String,
    pub(super) severity_name: String,
    pub(super) count: u64,
    pub(super) end: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToldRule {
    pub(super) id: String,
    pub(super) version: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToldClient {
    pub(super) ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToldServer {
    pub(super) key: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Findings in the order in which they began; of several lines of one id the last.
    pub(super) findings: Vec<Told>,
    /// Findings beyond the bound.
    beyond: u64,
    /// Lines that are no JSON, or too long.
    unreadable: u64,
}

impl Found {
    /// Says what was not read.
    pub(super) fn complain(&self) {
        if self.unreadable > 0 {
            complain(&format!("warning: {} lines could not be read", self.unreadable));
        }
        if self.beyond > 0 {
            complain(&format!("warning: {} more findings were not read", self.beyond));
        }
    }
}

/// Reads the wanted findings of files, and of the `.ndjson` files in folders.
pub(super) fn read(paths: &[PathBuf], wanted: &dyn Fn(&Told) -> bool) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut known: HashMap<String, usize> = HashMap::new();
    for path in paths {
        for file in files(path)? {
            let reader = File::open(&file).map_err(|error| cannot_read(&file, &error))?;
            let read = read_lines(BufReader::new(reader), &mut found, &mut known, wanted);
            read.map_err(|error| cannot_read(&file, &error))?;
        }
    }
    Ok(found)
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    let hint = "name NDJSON files that `replay` or `watch` wrote, or a folder of them";
    Failure::new(format!("cannot read {}: {error}; {hint}", path.display()))
}

/// The files of a path, those of a folder in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| cannot_read(path, &error))?;
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".ndjson") || name.ends_with(".ndjson.partial")
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(ours).collect();
    files.sort();
    Ok(files)
}

fn read_lines(
    mut reader: impl BufRead,
    found: &mut Found,
    known: &mut HashMap<String, usize>,
    wanted: &dyn Fn(&Told) -> bool,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        if length as u64 == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            found.unreadable += 1;
            reader.skip_until(b'\n')?;
            continue;
        }
        // Most lines are messages.
        if memchr::memmem::find(&line, b"\"finding\"").is_none() {
            continue;
        }
        match serde_json::from_slice::<Told>(&line) {
            Ok(told) if told.event_type == "finding" && wanted(&told) => {
                if let Some(index) = known.get(&told.event.id) {
                    if let Some(before) = found.findings.get_mut(*index) {
                        *before = told;
                    }
                } else if found.findings.len() < MAX_FINDINGS {
                    known.insert(told.event.id.clone(), found.findings.len());
                    found.findings.push(told);
                } else {
                    found.beyond += 1;
                }
            }
            Ok(_) => {}
            Err(_) => found.unreadable += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &[u8]) -> Found {
        let (mut found, mut known) = (Found::default(), HashMap::new());
        read_lines(text, &mut found, &mut known, &|_| true).unwrap();
        found
    }

    #[test]
    fn the_last_line_of_an_id_counts_and_the_rest_is_passed_over() {
        let line = |id: &str, count: u64| {
            format!(
                r#"{{"event_type":"finding","event":{{"id":"{id}","count":{count}}},"rule":{{"id":"R"}},"x":[1]}}"#
            )
        };
        let text = [
            line("aa", 1),
            r#"{"event_type":"message","message":"\"finding\""}"#.to_owned(),
            line("bb", 1),
            "\"finding\" but no JSON".to_owned(),
            line("aa", 7),
        ]
        .join("\n");
        let found = found(text.as_bytes());
        let got: Vec<(&str, u64)> =
            found.findings.iter().map(|told| (told.event.id.as_str(), told.event.count)).collect();
        assert_eq!(got, [("aa", 7), ("bb", 1)]);
        assert_eq!(found.unreadable, 1);
        assert_eq!(found.findings[0].rule.id, "R");
    }

    #[test]
    fn a_line_without_end_is_passed_over() {
        let mut text = vec![b'x'; usize::try_from(MAX_LINE_BYTES).unwrap() + 10];
        text.extend_from_slice(b"\n{\"event_type\":\"finding\",\"event\":{\"id\":\"aa\"}}");
        let found = found(&text);
        assert_eq!((found.findings.len(), found.unreadable), (1, 1));
    }

    #[test]
    fn a_folder_is_its_ndjson_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.ndjson", "a.ndjson", "watch.3.ndjson.partial", "x.sarif"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<String> = files(folder.path())
            .unwrap()
            .iter()
            .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.ndjson", "b.ndjson", "watch.3.ndjson.partial"]);
    }
}
