//! `shadowtap rules`.

use super::args::Rules;
use super::{Exit, Failure, load, print};
use crate::pipeline::Recogniser;
use crate::rules;

pub(super) fn run(command: Rules) -> Result<Exit, Failure> {
    match command {
        Rules::Check { paths } => check(&paths),
        Rules::List { source } => {
            let set = load::rules(&source)?;
            print(&rules::table(&set))?;
            Ok(Exit::Clean)
        }
        Rules::Explain { id, source } => {
            let set = load::rules(&source)?;
            let Some(rule) = set.get(&id.to_ascii_uppercase()) else {
                return Err(Failure::new(format!(
                    "there is no rule {id}; `shadowtap rules list` names them all"
                )));
            };
            print(&rules::explain(rule))?;
            Ok(Exit::Clean)
        }
        Rules::Schema => {
            let text = serde_json::to_string_pretty(&rules::schema()).map_err(Failure::new)?;
            print(&format!("{text}\n"))?;
            Ok(Exit::Clean)
        }
    }
}

fn check(paths: &[std::path::PathBuf]) -> Result<Exit, Failure> {
    let limits = rules::Limits::default();
    let sources = if paths.is_empty() {
        rules::builtin()
    } else {
        rules::load::read(paths, &limits).map_err(Failure::new)?
    };
    if sources.is_empty() {
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let text = format!("{}: no rules; files named .yaml or .yml are read", names.join(", "));
        return Err(Failure::new(text));
    }
    let sources = rules::beside_builtin(sources, &limits);
    let (set, report) = rules::check(&sources, &limits, &Recogniser);
    print(&report.to_string())?;
    if let Some(set) = set {
        let (files, rules) = (sources.len(), set.rules().len());
        print(&format!("files read: {files}; rules tested: {rules}\n"))?;
    }
    Ok(if report.has_errors() { Exit::Usage } else { Exit::Clean })
}
