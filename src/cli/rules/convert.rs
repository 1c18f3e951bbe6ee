//! `shadowtap rules import` and `export`.

use std::path::Path;

use super::super::args::{Export, Import, RuleSource};
use super::super::{Exit, Failure, complain, load, print};
use crate::rules::export::{self, Exported};
use crate::rules::import::{self, MARK};

pub(super) fn import(command: Import) -> Result<Exit, Failure> {
    let Import::CloudflareDlp { file, out, first_id } = command;
    let text = super::text(&file)?;
    let first_id = first_id.to_ascii_uppercase();
    let imported = import::cloudflare_dlp(&text, &first_id)
        .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    for note in &imported.notes {
        complain(&format!("note: {note}"));
    }
    let Some(out) = out else { return print_files(&imported.files) };
    for (name, _) in &imported.files {
        may_replace(&out.join(name))?;
    }
    for (name, text) in &imported.files {
        super::write(&out.join(name), text)?;
    }
    let (count, out) = (imported.files.len(), out.display());
    print(&format!(
        "{count} rules written to {out}\nnext: `shadowtap rules check {out}`; they are loaded with \
         `--rules {out}`\n"
    ))?;
    Ok(Exit::Clean)
}

/// Only what an import wrote is written over.
fn may_replace(file: &Path) -> Result<(), Failure> {
    if !file.exists() {
        return Ok(());
    }
    match super::text(file)?.lines().any(|line| line == MARK) {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "{} exists and was not imported, so it is not written over; take another folder",
            file.display()
        ))),
    }
}

pub(super) fn export(command: Export) -> Result<Exit, Failure> {
    match command {
        Export::Sigma { out, notes, source } => {
            let exported = export::sigma(&load::rules(&source)?);
            let Some(out) = out.filter(|_| !notes) else { return shown(&exported, notes) };
            for (name, text) in &exported.files {
                super::write(&out.join(name), text)?;
            }
            written(&format!("{} rules written to {}", exported.files.len(), out.display()))
        }
        Export::Suricata { out, first_sid, notes, source } => {
            let exported = export::suricata(&load::rules(&source)?, first_sid);
            one_file(&exported, out.as_deref(), notes)
        }
        Export::ZeekIntel { approvals, catalog, out, notes } => {
            let source = RuleSource { catalog, ..RuleSource::default() };
            let exported =
                export::zeek_intel(&load::catalog(&source)?, &load::approvals(&approvals)?);
            one_file(&exported, out.as_deref(), notes)
        }
    }
}

fn one_file(exported: &Exported, out: Option<&Path>, notes: bool) -> Result<Exit, Failure> {
    let (Some(out), Some((_, text))) = (out.filter(|_| !notes), exported.files.first()) else {
        return shown(exported, notes);
    };
    super::write(out, text)?;
    written(&format!("{} written", out.display()))
}

fn written(what: &str) -> Result<Exit, Failure> {
    print(&format!("{what}; --notes says what is lost\n"))?;
    Ok(Exit::Clean)
}

fn shown(exported: &Exported, notes: bool) -> Result<Exit, Failure> {
    if notes {
        print(&exported.notes)?;
        return Ok(Exit::Clean);
    }
    print_files(&exported.files)
}

/// Several files are told apart as YAML does it.
fn print_files(files: &[(String, String)]) -> Result<Exit, Failure> {
    for (index, (name, text)) in files.iter().enumerate() {
        if files.len() > 1 {
            let between = if index > 0 { "---\n" } else { "" };
            print(&format!("{between}# file: {name}\n"))?;
        }
        print(text)?;
    }
    Ok(Exit::Clean)
}
