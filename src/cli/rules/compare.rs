//! `shadowtap rules diff` and `stats`.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use super::super::args::RuleSource;
use super::super::{Exit, Failure, complain, load, print};
use crate::rules::{self, Source, Tally};

pub(super) fn diff(old: &Path, new: &Path) -> Result<Exit, Failure> {
    let (old, new) = (side(old)?, side(new)?);
    let difference = rules::diff(&old, &new, &rules::Limits::default())
        .map_err(|problem| Failure::new(format!("a file cannot be compared\n{problem}")))?;
    print(&difference.to_string())?;
    Ok(Exit::Clean)
}

/// Rule files below a path, or those built in.
fn side(path: &Path) -> Result<Vec<Source>, Failure> {
    if path == Path::new("builtin") && !path.exists() {
        return Ok(rules::builtin());
    }
    super::sources(&[path.to_owned()])
}

/// Longest line of NDJSON output that is counted (4 MiB).
const MAX_LINE_BYTES: u64 = 4 << 20;

pub(super) fn stats(files: &[PathBuf], source: &RuleSource) -> Result<Exit, Failure> {
    let set = load::rules(source)?;
    let mut tally = Tally::default();
    let mut bad = 0_u64;
    for file in files {
        let cannot = |error| Failure::new(format!("cannot read {}: {error}", file.display()));
        if file == Path::new("-") {
            bad += count(std::io::stdin().lock(), &mut tally).map_err(cannot)?;
        } else {
            let opened = std::fs::File::open(file).map_err(cannot)?;
            bad += count(opened, &mut tally).map_err(cannot)?;
        }
    }
    print(&tally.table(&set))?;
    if bad > 0 {
        complain(&format!("warning: {bad} lines are no events; NDJSON output is wanted"));
        return Ok(Exit::Damaged);
    }
    Ok(Exit::Clean)
}

/// Counts the lines of an input; answers with how many were no events.
fn count(input: impl Read, tally: &mut Tally) -> std::io::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 16, input);
    let mut line = Vec::new();
    let mut bad = 0;
    loop {
        line.clear();
        if reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(bad);
        }
        let counted = std::str::from_utf8(&line).is_ok_and(|line| tally.line(line).is_ok());
        bad += u64::from(!counted);
    }
}
