//! `shadowtap rules fmt`.

use std::path::{Path, PathBuf};

use super::super::{Exit, Failure, print};
use crate::rules;

pub(super) fn run(check: bool, paths: &[PathBuf]) -> Result<Exit, Failure> {
    let sources = super::sources(paths)?;
    let limits = rules::Limits::default();
    let (mut changed, mut refused) = (0, 0);
    for source in &sources {
        match rules::format(source, &limits) {
            Ok(text) if text == source.text => {}
            Ok(text) => {
                changed += 1;
                if !check {
                    super::write(Path::new(&source.name), &text)?;
                }
                let verb = if check { "not formatted" } else { "formatted" };
                print(&format!("{verb}: {}\n", source.name))?;
            }
            Err(problem) => {
                refused += 1;
                print(&format!("{problem}\n"))?;
            }
        }
    }
    let right = sources.len() - changed - refused;
    let did = if check { "to format" } else { "formatted" };
    print(&format!("{changed} {did}, {right} right already, {refused} left alone\n"))?;
    Ok(match (refused, changed) {
        (0, 0) => Exit::Clean,
        (0, _) if !check => Exit::Clean,
        (0, _) => Exit::Findings,
        _ => Exit::Usage,
    })
}
