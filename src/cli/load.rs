//! Files that the command line names into what the run works with.

use std::path::{Path, PathBuf};

use super::Failure;
use super::args::RuleSource;
use crate::capture::{Input, expand};
use crate::pipeline::Policy;
use crate::rules::catalog::Catalog;
use crate::rules::{self, RuleSet, Source};
use crate::secret::SecretHasher;
use crate::verdict::{Approvals, MAX_FILE_BYTES};

/// Looked for in the current folder when no approvals file is named.
const DEFAULT_APPROVALS: &str = "approvals.yaml";

/// Where a policy comes from.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources<'a> {
    pub(super) rules: Option<&'a RuleSource>,
    pub(super) approvals: Option<&'a Path>,
    /// Approvals without an owner count as well.
    pub(super) accept_drafts: bool,
}

/// Captures named on the command line.
pub(super) fn inputs(captures: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    expand(captures).map_err(Failure::new)
}

/// Rules, approvals and catalog.
pub(super) fn policy(sources: &Sources<'_>) -> Result<Policy, Failure> {
    let default = RuleSource::default();
    let source = sources.rules.unwrap_or(&default);
    let approvals = match sources.approvals {
        Some(file) => approvals(file)?,
        None if Path::new(DEFAULT_APPROVALS).is_file() => approvals(Path::new(DEFAULT_APPROVALS))?,
        None => Approvals::default(),
    };
    let approvals = approvals.accepting_drafts(sources.accept_drafts);
    let lane = source.lane.into();
    let rules = compiled(source, rules::builtin_without_tests)?;
    Ok(Policy { rules, approvals, catalog: catalog(source)?, lane })
}

/// The rules that a source names, with their tests.
pub(super) fn rules(source: &RuleSource) -> Result<RuleSet, Failure> {
    compiled(source, rules::builtin)
}

fn compiled(source: &RuleSource, builtin: fn() -> Vec<Source>) -> Result<RuleSet, Failure> {
    let limits = rules::Limits::default();
    let mut all = if source.no_builtin_rules { Vec::new() } else { builtin() };
    all.extend(rules::load::read(&source.rules, &limits).map_err(Failure::new)?);
    match rules::compile(&all, &limits) {
        Ok((set, _warnings)) => Ok(set),
        Err(report) => Err(Failure::new(format!("the rules have problems\n{report}"))),
    }
}

/// An approvals file.
pub(super) fn approvals(file: &Path) -> Result<Approvals, Failure> {
    let text = text(file, MAX_FILE_BYTES as u64)?;
    Approvals::parse(&text, &file.display().to_string()).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::new(problems.join("\n"))
    })
}

pub(super) fn catalog(source: &RuleSource) -> Result<Catalog, Failure> {
    let Some(file) = &source.catalog else { return Ok(Catalog::builtin()) };
    let text = text(file, 16 << 20)?;
    Catalog::parse(&text).map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

/// The hasher of session ids.
pub(super) fn hasher(file: Option<&Path>) -> Result<SecretHasher, Failure> {
    let Some(file) = file else { return Ok(SecretHasher::default()) };
    let key = std::fs::read(file).map_err(|error| cannot_read(file, &error))?;
    if key.len() < 16 {
        let what = "a hash key needs 16 bytes at least; 32 random ones are best";
        return Err(Failure::new(format!("{}: {what}", file.display())));
    }
    Ok(SecretHasher::new(&key))
}

/// A file's content.
pub(super) fn bytes(file: &Path, max_bytes: u64) -> Result<Vec<u8>, Failure> {
    let size = std::fs::metadata(file).map_err(|error| cannot_read(file, &error))?.len();
    if size > max_bytes {
        let what = format!("{size} bytes long; {max_bytes} is the most that is read");
        return Err(Failure::new(format!("{}: {what}", file.display())));
    }
    std::fs::read(file).map_err(|error| cannot_read(file, &error))
}

/// A file's content as text.
pub(super) fn text(file: &Path, max_bytes: u64) -> Result<String, Failure> {
    String::from_utf8(bytes(file, max_bytes)?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Failure::new(format!("{}: not UTF-8 from byte {offset} on", file.display()))
    })
}

fn cannot_read(file: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    let hint = match error.kind() {
        ErrorKind::NotFound => "; check the path",
        ErrorKind::PermissionDenied => "; make it readable for this user",
        ErrorKind::IsADirectory => "; name a file in it",
        _ => "",
    };
    Failure::new(format!("cannot read {}: {error}{hint}", file.display()))
}
