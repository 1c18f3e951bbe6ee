//! `shadowtap ask`: questions to the store, or to files as if they were in one.

mod answer;
mod files;
mod settings;

use std::path::Path;

use clickhouse::Client;

use super::args::Ask;
use super::engine::Engine;
use super::store::{URL_VARIABLE, Waiting, connect};
use super::{Exit, Failure, approvals, complain, print};
use crate::sinks::printable;
use crate::sinks::store::queries::{Question, questions};

/// Where files are when nothing is said: where `replay` and `watch` put them.
const FOLDER: &str = "findings";

pub(super) fn run(args: &Ask) -> Result<Exit, Failure> {
    let Some(name) = &args.name else {
        print(&list())?;
        return Ok(Exit::Clean);
    };
    let question = Question::of_name(name).ok_or_else(|| {
        let name = printable(name);
        Failure::new(format!("there is no question `{name}`; `shadowtap ask` lists them"))
    })?;
    if args.sql {
        print(question.sql)?;
        return Ok(Exit::Clean);
    }
    let asked = asked(args)?;
    let all = || matches!(asked, Asked::Files(_)).then_some("all");
    let since = args.since.as_deref().or_else(all);
    let settings = settings::resolved(&question, &args.set, since, approvals::now())?;
    let waiting = Waiting::new()?;
    let place = Place::open(args, &asked, &waiting)?;
    let rows = waiting.on(answer::ask(&place.client, &question, &settings, args.json));
    match rows.map_err(|why| Failure::new(format!("{}: {why}", place.name)))? {
        0 if !args.json => complain(&nothing(&settings)),
        _ => {}
    }
    Ok(Exit::Clean)
}

/// The questions, a line each, and what each leaves open.
fn list() -> String {
    let questions = questions();
    let width = questions.iter().map(|question| question.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for Question { name, title, parameters, .. } in &questions {
        let settings: Vec<String> = parameters
            .iter()
            .map(|one| match one.default {
                Some(value) => format!("{}={value}", one.name),
                None => one.name.to_owned(),
            })
            .collect();
        text.push_str(&format!("{name:width$}  {title} ({})\n", settings.join(", ")));
    }
    text
}

/// Why there may be no rows.
fn nothing(settings: &[(&str, String)]) -> String {
    let set: Vec<String> = settings
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", printable(value)))
        .collect();
    format!("no rows with {}", set.join(", "))
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// Files, as ClickHouse names them.
    Files(String),
    /// The store.
    Store,
}

fn asked(args: &Ask) -> Result<Asked, Failure> {
    if let Some(path) = &args.files {
        return files::glob(path).map(Asked::Files);
    }
    let named = args.store.url.is_some()
        || std::env::var_os(URL_VARIABLE).is_some_and(|value| !value.is_empty());
    if named {
        return Ok(Asked::Store);
    }
    files::glob(Path::new(FOLDER))
        .map(Asked::Files)
        .map_err(|failure| Failure::new(format!("{failure}; --files names others, --url a store")))
}

/// Where questions go.
struct Place {
    client: Client,
    /// For errors.
    name: String,
    /// Files are read by it; it ends, and its folder goes, when this is dropped.
    _engine: Option<(Engine, files::Folder)>,
}

impl Place {
    fn open(args: &Ask, asked: &Asked, waiting: &Waiting) -> Result<Self, Failure> {
        match asked {
            Asked::Store => {
                let (address, client) = connect(&args.store)?;
                Ok(Self { client, name: address.url, _engine: None })
            }
            Asked::Files(glob) => {
                let (client, engine, folder) =
                    files::open(glob, &args.engine, &args.store.database, waiting)?;
                Ok(Self { client, name: glob.clone(), _engine: Some((engine, folder)) })
            }
        }
    }
}
