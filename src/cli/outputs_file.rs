//! `shadowtap outputs`.

use std::path::Path;

use super::args::OutputsCommand;
use super::{Exit, Failure, load, print};
use crate::rules::{Report, Source};
use crate::sinks::encode::markdown;
use crate::sinks::outputs::config::{self, MAX_FILE_BYTES, Output};
use crate::sinks::outputs::{check_secrets, explain};

pub(super) fn run(command: OutputsCommand) -> Result<Exit, Failure> {
    match command {
        OutputsCommand::Check { file, offline } => check(&file, offline),
        OutputsCommand::Explain { file } => {
            let (outputs, _) = read(&file)?;
            print(&explain(&outputs))?;
            Ok(Exit::Clean)
        }
        OutputsCommand::Schema => {
            let text = serde_json::to_string_pretty(&config::schema()).map_err(Failure::new)?;
            print(&format!("{text}\n"))?;
            Ok(Exit::Clean)
        }
        OutputsCommand::Mapping => {
            print(&markdown())?;
            Ok(Exit::Clean)
        }
    }
}

/// The outputs of a file, with warnings.
pub(super) fn read(file: &Path) -> Result<(Vec<Output>, Report), Failure> {
    let text = load::text(file, MAX_FILE_BYTES as u64)?;
    let source = Source::new(file.display().to_string(), text);
    config::parse(&source)
        .map_err(|report| Failure::new(format!("the outputs have problems\n{report}")))
}

fn check(file: &Path, offline: bool) -> Result<Exit, Failure> {
    let (outputs, report) = read(file)?;
    if !report.problems.is_empty() {
        print(&report.to_string())?;
    }
    if !offline {
        let wrong: Vec<_> =
            outputs.iter().filter_map(|output| check_secrets(output).err()).collect();
        if !wrong.is_empty() {
            return Err(Failure::new(wrong.join("\nerror: ")));
        }
    }
    let names: Vec<_> = outputs.iter().map(|output| output.name.as_str()).collect();
    print(&format!("outputs: {}\n", names.join(", ")))?;
    Ok(Exit::Clean)
}
