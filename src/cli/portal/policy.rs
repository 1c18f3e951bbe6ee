//! `shadowtap portal policy`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cli::args::{PortalExplain, PortalPolicy};
use crate::cli::{Exit, Failure, load, print};
use crate::portal::policy::{
    Cases, Circumstances, Config, Hints, Item, Kind, Known, Policy, SCHEMA, Who,
};
use crate::portal::wire::Raw;
use crate::rules::Source;

/// Longest file that is read.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// What of the portal's file policies need; the rest is read by those whom it concerns.
#[derive(Deserialize)]
struct Sections {
    #[serde(default)]
    policy: Config,
    #[serde(default)]
    servers: Option<Servers>,
}

/// Servers by id, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Servers {
    Map(BTreeMap<String, IgnoredAny>),
    List(Vec<Server>),
}

#[derive(Deserialize)]
struct Server {
    #[serde(alias = "name")]
    id: String,
}

impl Servers {
    fn ids(self) -> BTreeSet<String> {
        match self {
            Self::Map(all) => all.into_keys().collect(),
            Self::List(all) => all.into_iter().map(|server| server.id).collect(),
        }
    }
}

pub(super) fn run(command: &PortalPolicy) -> Result<Exit, Failure> {
    match command {
        PortalPolicy::Check { file, cedar } => check(file, *cedar),
        PortalPolicy::Test { file, cases } => {
            let (policy, _) = read(file)?;
            let mut failed = false;
            for cases in cases {
                failed |= test(&policy, cases)?;
            }
            Ok(if failed { Exit::Findings } else { Exit::Clean })
        }
        PortalPolicy::Explain(args) => explain(args),
        PortalPolicy::Schema => {
            print(SCHEMA)?;
            Ok(Exit::Clean)
        }
    }
}

/// The policies of the portal's file, and the ids of its servers.
fn read(file: &Path) -> Result<(Policy, Option<BTreeSet<String>>), Failure> {
    let text = load::text(file, MAX_FILE_BYTES)?;
    let source = Source::new(file.display().to_string(), text);
    let sections: Sections = serde_saphyr::from_str(&source.text)
        .map_err(|error| Failure::new(format!("{}: {error}", source.name)))?;
    let problems = |report| Failure::new(format!("the policies have problems\n{report}"));
    let checked = sections.policy.check(&source).map_err(problems)?;
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let cedar: Result<Vec<_>, Failure> = checked
        .cedar
        .iter()
        .map(|path| {
            let path = folder.join(path);
            let text = load::text(&path, MAX_FILE_BYTES)?;
            Ok(Source::new(path.display().to_string(), text))
        })
        .collect();
    let policy = Policy::new(checked, &cedar?).map_err(problems)?;
    Ok((policy, sections.servers.map(Servers::ids)))
}

fn check(file: &Path, cedar: bool) -> Result<Exit, Failure> {
    let (policy, servers) = read(file)?;
    if cedar {
        print(&policy.to_cedar())?;
        return Ok(Exit::Clean);
    }
    let report = policy.lint(&Known { servers, groups: None });
    if !report.problems.is_empty() {
        print(&report.to_string())?;
    }
    print(&format!("{} policies\n", policy.len()))?;
    Ok(Exit::Clean)
}

/// Whether any case came out otherwise.
fn test(policy: &Policy, file: &Path) -> Result<bool, Failure> {
    let text = load::text(file, MAX_FILE_BYTES)?;
    let cases: Cases = serde_saphyr::from_str(&text)
        .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    let outcomes = policy.test(&cases);
    let mut failed = 0;
    for outcome in &outcomes {
        if let Some(wrong) = &outcome.wrong {
            failed += 1;
            let line = outcome.place.line;
            let name = super::shown(&outcome.name);
            print(&format!("{}:{line}: {name}: {wrong}\n", file.display()))?;
        }
    }
    print(&format!(
        "{}: {} of {} as expected\n",
        file.display(),
        outcomes.len() - failed,
        outcomes.len()
    ))?;
    Ok(failed > 0)
}

fn explain(args: &PortalExplain) -> Result<Exit, Failure> {
    let (policy, _) = read(&args.file)?;
    let arguments: Option<Raw> = match &args.arguments {
        None => None,
        Some(text) => Some(
            serde_json::from_str(text)
                .map_err(|error| Failure::new(format!("--arguments is no JSON: {error}")))?,
        ),
    };
    let who = Who {
        groups: args.groups.clone(),
        issuer: args.issuer.clone(),
        subject: args.subject.clone(),
        client: args.client.clone(),
        scopes: Vec::new(),
    };
    let (kind, name) = match (&args.tool, &args.prompt, &args.resource) {
        (Some(name), ..) => (Kind::Tool, name),
        (_, Some(name), _) => (Kind::Prompt, name),
        (_, _, Some(name)) => (Kind::Resource, name),
        _ => return Err(Failure::new("name one of --tool, --prompt and --resource")),
    };
    let hints = Hints { destructive: args.destructive.then_some(true), read_only: None };
    let item = Item { server: &args.server, kind, name, hints };
    let circumstances =
        Circumstances { now: super::super::approvals::now(), ..Circumstances::default() };
    let said = policy.explain(&who.principal(), &item, arguments.as_deref(), &circumstances);
    print(&super::shown(&said.to_string()))?;
    Ok(Exit::Clean)
}
