//! `shadowtap rules new`.

use std::path::Path;

use super::super::args::New;
use super::super::{Exit, Failure, print};
use crate::rules;

pub(super) fn run(new: &New) -> Result<Exit, Failure> {
    let id = new.id.to_ascii_uppercase();
    taken(new, &id)?;
    let schema = schema(&new.folder);
    let path = schema.unwrap_or("schema.json");
    let fresh = rules::fresh(&id, new.on, &new.title, path).map_err(Failure::new)?;
    let file = new.folder.join(&fresh.file);
    if file.exists() {
        return Err(Failure::new(format!("{} exists already; take another title", file.display())));
    }
    super::write(&file, &fresh.text)?;
    let name = file.display();
    print(&format!("{name}\nnext: fill it in, then `shadowtap rules check {name}`\n"))?;
    if schema.is_none() {
        let schema = new.folder.join("schema.json");
        let schema = schema.display();
        print(&format!("for completion in an editor: `shadowtap rules schema > {schema}`\n"))?;
    }
    Ok(Exit::Clean)
}

/// Refuses an id that a rule has: built in, named by `--rules`, or in the folder.
fn taken(new: &New, id: &str) -> Result<(), Failure> {
    let limits = rules::Limits::default();
    let mut paths = new.source.rules.clone();
    if new.folder.is_dir() {
        paths.push(new.folder.clone());
    }
    let mut sources = if new.source.no_builtin_rules { Vec::new() } else { rules::builtin() };
    sources.extend(rules::load::read(&paths, &limits).map_err(Failure::new)?);
    let of = |source: &&rules::Source| match rules::syntax::parse(source, &limits) {
        Ok(rules::syntax::File::Rule(rule)) => rule.id.value == id,
        // A file that cannot be read may be another's; its id line still counts.
        _ => source.text.lines().any(|line| line.trim_end() == format!("id: {id}")),
    };
    match sources.iter().find(of) {
        Some(source) => Err(Failure::new(format!("{id} is the id of the rule in {}", source.name))),
        None => Ok(()),
    }
}

/// Where the schema is, from a folder.
fn schema(folder: &Path) -> Option<&'static str> {
    ["schema.json", "../schema.json"].into_iter().find(|path| folder.join(path).is_file())
}
