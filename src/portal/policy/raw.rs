//! Files of Cedar policies, beside the rules.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    PrincipalConstraint, ResourceConstraint, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;

use super::compile::{Entry, Scope};
use super::wild::Wild;
use super::{Kind, Phase, Ruling, literal};
use crate::rules::{Place, Problem, Report, Source};

/// The schema of the policies, as Cedar writes it.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// Most policies of all Cedar files.
const MAX_POLICIES: usize = 5_000;
/// Longest Cedar file, in bytes.
const MAX_FILE_BYTES: usize = 4 << 20;

/// The schema.
///
/// # Errors
/// When Cedar does not take it, which a test excludes.
pub(super) fn schema() -> Result<Schema, String> {
    Schema::from_cedarschema_str(SCHEMA).map(|(schema, _)| schema).map_err(|it| it.to_string())
}

/// Where a byte of a text is.
fn place(text: &str, offset: usize, len: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
    Place { line: narrow(line), column: narrow(column), len: narrow(len) }
}

/// What Cedar says, where.
fn problem(source: &Source, code: &'static str, said: &dyn Diagnostic) -> Problem {
    let label = said.labels().and_then(|mut labels| labels.next());
    let at = label.map_or_else(Place::default, |it| place(&source.text, it.offset(), it.len()));
    let problem = Problem::error(source, at, code, said.to_string());
    match said.help() {
        Some(help) => problem.hint(help.to_string()),
        None => problem,
    }
}

/// The policies of files. Their ids are those of their `@id`, or `file#n`.
pub(super) fn read(sources: &[Source], schema: &Schema, report: &mut Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut ids = BTreeSet::new();
    for source in sources {
        if source.text.len() > MAX_FILE_BYTES {
            let message = format!("longer than {MAX_FILE_BYTES} bytes");
            report.push(Problem::of_file(&source.name, "too-long", message));
            continue;
        }
        let set: PolicySet = match source.text.parse() {
            Ok(set) => set,
            Err(errors) => {
                let errors: cedar_policy::ParseErrors = errors;
                for error in errors.iter() {
                    report.push(problem(source, "cedar-syntax", error));
                }
                continue;
            }
        };
        if set.num_of_templates() > 0 {
            let message = "templates have nobody to link them";
            report.push(Problem::of_file(&source.name, "cedar-template", message));
        }
        validate(source, &set, schema, report);
        let stem = source.name.rsplit('/').next().unwrap_or(&source.name);
        let stem = stem.strip_suffix(".cedar").unwrap_or(stem);
        let mut policies: Vec<_> = set.policies().collect();
        policies.sort_by_key(|policy| number(policy));
        for (index, policy) in policies.into_iter().enumerate() {
            let named = policy.annotation("id").filter(|id| !id.is_empty()).map(str::to_owned);
            let id = named.unwrap_or_else(|| format!("{stem}#{}", index + 1));
            if !ids.insert(id.clone()) {
                let message = format!("two policies have the id `{id}`");
                report.push(Problem::of_file(&source.name, "duplicate-id", message));
            }
            entries.push(entry(&id, policy));
        }
    }
    if entries.len() > MAX_POLICIES {
        let message = format!("{MAX_POLICIES} Cedar policies are the most");
        report.push(Problem::of_file("cedar", "too-many", message));
        entries.truncate(MAX_POLICIES);
    }
    entries
}

/// Cedar calls them `policy0`, `policy1`, … in the order of the file.
fn number(policy: &Policy) -> usize {
    let digits = policy.id().to_string();
    digits.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(usize::MAX)
}

fn validate(source: &Source, set: &PolicySet, schema: &Schema, report: &mut Report) {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    for error in result.validation_errors() {
        report.push(problem(source, "cedar-invalid", error));
    }
    for warning in result.validation_warnings() {
        report.push(problem(source, "cedar-odd", warning).warning());
    }
}

fn entry(id: &str, policy: &Policy) -> Entry {
    let ruling = match (policy.effect(), policy.annotation("ruling")) {
        (Effect::Forbid, _) => Ruling::Deny,
        (Effect::Permit, Some("hold")) => Ruling::Hold,
        (Effect::Permit, _) => Ruling::Allow,
    };
    Entry {
        id: Arc::from(id),
        policy: policy.new_id(PolicyId::new(id)),
        text: policy.to_cedar().unwrap_or_default(),
        bare: None,
        ruling,
        scope: scope(policy),
        needs_arguments: needs_arguments(policy),
        is_raw: true,
        rule: None,
        paths: BTreeSet::new(),
    }
}

/// Whether any member of the context that holds arguments is named, as far as one can tell.
fn needs_arguments(policy: &Policy) -> bool {
    let Ok(json) = policy.to_json() else { return true };
    let text = json.to_string();
    super::arguments::FAMILIES.iter().any(|(member, _)| text.contains(&literal(member)))
}

/// What the head of a policy says of where it can hold: what is not understood is anywhere.
fn scope(policy: &Policy) -> Scope {
    let mut scope = Scope::default();
    let both = || [Phase::List, Phase::Call].into();
    let phase = |uid: &EntityUid| match uid.id().unescaped() {
        "list" => Some(Phase::List),
        "call" => Some(Phase::Call),
        _ => None,
    };
    scope.phases = match policy.action_constraint() {
        ActionConstraint::Any => both(),
        ActionConstraint::Eq(action) => phase(&action).into_iter().collect(),
        ActionConstraint::In(actions) => actions.iter().filter_map(phase).collect(),
    };
    let of_type = |name: &EntityTypeName, wanted: &str| name.to_string() == wanted;
    if let PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) =
        policy.principal_constraint()
        && of_type(uid.type_name(), "Group")
    {
        scope.group = Some(Arc::from(uid.id().unescaped()));
    }
    let kind =
        |name: &EntityTypeName| Kind::ALL.into_iter().find(|kind| of_type(name, kind.entity()));
    let mut server = |uid: &EntityUid| {
        if of_type(uid.type_name(), "Server") {
            let escaped = uid.id().unescaped().replace('\\', "\\\\").replace('*', "\\*");
            scope.server = Wild::parse(&escaped).ok();
        }
    };
    match policy.resource_constraint() {
        ResourceConstraint::In(uid) => server(&uid),
        ResourceConstraint::Is(name) => scope.kind = kind(&name),
        ResourceConstraint::IsIn(name, uid) => {
            server(&uid);
            scope.kind = kind(&name);
        }
        ResourceConstraint::Any | ResourceConstraint::Eq(_) => {}
    }
    scope
}
