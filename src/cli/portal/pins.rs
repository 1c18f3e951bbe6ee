//! `shadowtap portal pins`.

use std::fmt::Write as _;
use std::path::Path;

use super::{operator, shown};
use crate::cli::approvals::now;
use crate::cli::args::{PortalDefinition, PortalPins};
use crate::cli::{Exit, Failure, print};
use crate::observation::DefinitionKind;
use crate::portal::pins::{self, Config, Pins, Version};

pub(super) fn run(command: &PortalPins) -> Result<Exit, Failure> {
    match command {
        PortalPins::List { state, pending } => list(&open(&state.state)?, *pending),
        PortalPins::Approve(args) => {
            let pins = open(&args.state.state)?;
            let digest = pins
                .approve((&args.server, kind(args), &args.name), digest(args), &operator(), now())
                .map_err(Failure::new)?;
            print(&format!("approved {digest}\n"))?;
            Ok(Exit::Clean)
        }
        PortalPins::Reject(args) => {
            let pins = open(&args.state.state)?;
            let digest = pins
                .reject((&args.server, kind(args), &args.name), digest(args))
                .map_err(Failure::new)?;
            print(&format!("rejected {digest}\n"))?;
            Ok(Exit::Clean)
        }
        PortalPins::Diff(args) => diff(&open(&args.state.state)?, args),
    }
}

fn open(state: &Path) -> Result<Pins, Failure> {
    let checked = Config::default().check(Some(state)).map_err(Failure::new)?;
    Pins::open(checked).map_err(Failure::new)
}

fn kind(args: &PortalDefinition) -> DefinitionKind {
    pins::kind(&args.kind).unwrap_or(DefinitionKind::Tool)
}

fn digest(args: &PortalDefinition) -> Option<&str> {
    args.digest.as_deref()
}

fn list(pins: &Pins, only_pending: bool) -> Result<Exit, Failure> {
    let document = pins.document();
    let mut out = String::new();
    for (id, server) in &document.servers {
        for (kind, names) in &server.definitions {
            for (name, entry) in names {
                let mut line = |state: &str, digest: &str, more: &str| {
                    let short = digest.get(..12).unwrap_or(digest);
                    // Writing to a string cannot fail.
                    _ = writeln!(
                        out,
                        "{state:<9} {short} {} {kind} {}{more}",
                        shown(id),
                        shown(name)
                    );
                };
                for version in &entry.pending {
                    line("pending", &version.digest, &what(version));
                }
                if only_pending {
                    continue;
                }
                for version in &entry.approved {
                    let by = format!(" (by {}, {})", shown(&version.by), shown(&version.at));
                    line("approved", &version.digest, &by);
                }
                entry.rejected.iter().for_each(|digest| line("rejected", digest, ""));
            }
        }
    }
    print(&out)?;
    Ok(Exit::Clean)
}

fn what(version: &Version) -> String {
    match &version.difference {
        None => " (new)".to_owned(),
        Some(it) => format!(" ({}: {})", it.class.as_str(), it.what.join(", ")),
    }
}

/// The definition that waits beside the one that was approved before it, by line.
fn diff(pins: &Pins, args: &PortalDefinition) -> Result<Exit, Failure> {
    let document = pins.document();
    let entry = document
        .entry(&args.server, &args.kind, &args.name)
        .ok_or_else(|| Failure::new("no such definition"))?;
    let fits = |version: &&Version| digest(args).is_none_or(|it| version.digest.starts_with(it));
    let new = entry.pending.iter().rfind(fits);
    let new = new.ok_or_else(|| Failure::new("no such definition waits for approval"))?;
    let from = new.difference.as_ref().map(|it| it.from.as_str());
    let old = entry.approved.iter().find(|version| Some(version.digest.as_str()) == from);
    let lines = |version: Option<&Version>| -> Vec<String> {
        let text = version.and_then(|version| version.text.as_deref()).unwrap_or("null");
        let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.lines().map(shown).collect()
    };
    let (old, lines_new) = (lines(old), lines(Some(new)));
    let mut out = format!("{}{}\n", new.digest, what(new));
    for line in old.iter().filter(|line| !lines_new.contains(line)) {
        _ = writeln!(out, "- {line}");
    }
    for line in lines_new.iter().filter(|line| !old.contains(line)) {
        _ = writeln!(out, "+ {line}");
    }
    print(&out)?;
    Ok(Exit::Clean)
}
