//! Rules into Cedar.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId};

use super::config::{Condition, Plain, Scalar};
use super::tier::Tier;
use super::wild::Wild;
use super::{Kind, Phase, Ruling, arguments, literal, pattern};

/// Most policies of all rules: a rule becomes one for each group, server and kind that it names.
pub(super) const MAX_POLICIES: usize = 20_000;

/// A policy, and what is known of it without asking Cedar.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: Arc<str>,
    pub(super) policy: Policy,
    /// Cedar's text.
    pub(super) text: String,
    /// The same for whatever its scope holds for: nothing but the effect and the arguments, which
    /// are members of records there. Of rules only.
    pub(super) bare: Option<String>,
    pub(super) ruling: Ruling,
    pub(super) scope: Scope,
    /// It looks at arguments.
    pub(super) needs_arguments: bool,
    /// It is from a Cedar file, and may look at anything.
    pub(super) is_raw: bool,
    /// Index of its rule.
    pub(super) rule: Option<usize>,
    /// Arguments that it looks at.
    pub(super) paths: BTreeSet<String>,
}

/// What a policy can be about: what is outside of it, it surely does not hold for.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) group: Option<Arc<str>>,
    pub(super) server: Option<Wild>,
    pub(super) kind: Option<Kind>,
    pub(super) names: Option<Vec<Wild>>,
    pub(super) tiers: Option<BTreeSet<Tier>>,
    pub(super) phases: BTreeSet<Phase>,
}

/// What is asked about, reduced to what scopes look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked<'a> {
    pub(super) phase: Phase,
    pub(super) server: &'a str,
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) tier: Tier,
}

impl Entry {
    /// The policy without its scope; none of one that may look at anything.
    pub(super) fn bare(&self) -> Option<Policy> {
        Policy::parse(Some(self.policy.id().clone()), self.bare.as_deref()?).ok()
    }
}

impl Scope {
    pub(super) fn holds(&self, asked: &Asked<'_>, groups: &[Arc<str>]) -> bool {
        self.phases.contains(&asked.phase)
            && self.group.as_ref().is_none_or(|group| groups.contains(group))
            && self.server.as_ref().is_none_or(|server| server.matches(asked.server))
            && self.kind.is_none_or(|kind| kind == asked.kind)
            && self.tiers.as_ref().is_none_or(|tiers| tiers.contains(&asked.tier))
            && self.names.as_ref().is_none_or(|names| names.iter().any(|n| n.matches(asked.name)))
    }

    /// Whether it surely holds wherever the other does.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let wild = |mine: &Option<Wild>, other: &Option<Wild>| match (mine, other) {
            (None, _) => true,
            (Some(mine), None) => mine.is_any(),
            (Some(mine), Some(other)) => mine.covers(other),
        };
        let names = match (&self.names, &other.names) {
            (None, _) => true,
            (Some(mine), None) => mine.iter().any(Wild::is_any),
            (Some(mine), Some(other)) => {
                other.iter().all(|other| mine.iter().any(|mine| mine.covers(other)))
            }
        };
        let tiers = self.tiers.as_ref().is_none_or(|mine| {
            other.tiers.as_ref().is_some_and(|other| other.is_subset(mine))
                || mine.len() == Tier::ALL.len()
        });
        names
            && tiers
            && (self.group.is_none() || self.group == other.group)
            && wild(&self.server, &other.server)
            && (self.kind.is_none() || self.kind == other.kind)
            && other.phases.is_subset(&self.phases)
    }
}

/// The policies of a rule.
///
/// # Errors
/// When Cedar does not take them, which a test excludes.
pub(super) fn rule(index: usize, rule: &Plain) -> Result<Vec<Entry>, String> {
    let groups: Vec<Option<Arc<str>>> = match &rule.groups {
        None => vec![None],
        Some(groups) => groups.iter().map(|(group, _)| Some(Arc::from(group.as_str()))).collect(),
    };
    let kinds: Vec<(Option<Kind>, Option<&Vec<Wild>>)> = match &rule.names {
        None => vec![(None, None)],
        Some(names) => names.iter().map(|(kind, names)| (Some(*kind), Some(names))).collect(),
    };
    let mut entries = Vec::new();
    let mut number = 0;
    for group in &groups {
        for (server, _) in &rule.servers {
            for (kind, names) in &kinds {
                number += 1;
                let scope = Scope {
                    group: group.clone(),
                    server: (!server.is_any()).then(|| server.clone()),
                    kind: *kind,
                    names: names.filter(|names| !names.iter().any(Wild::is_any)).cloned(),
                    tiers: rule.tiers.clone(),
                    phases: rule.phases.clone(),
                };
                for (suffix, scope, with_arguments) in parts(rule, scope) {
                    let id = format!("{}#{number}{suffix}", rule.name);
                    entries.push(entry(&id, index, rule, scope, with_arguments)?);
                }
            }
        }
    }
    Ok(entries)
}

/// What a scope becomes: to list something is decided without arguments.
fn parts(rule: &Plain, scope: Scope) -> Vec<(&'static str, Scope, bool)> {
    let of = |phases: &[Phase]| Scope { phases: phases.iter().copied().collect(), ..scope.clone() };
    let lists = scope.phases.contains(&Phase::List);
    let calls = scope.phases.contains(&Phase::Call);
    match (rule.arguments.is_empty(), rule.effect) {
        // What must not be called is not listed.
        (true, Ruling::Deny) if calls => vec![("", of(&[Phase::List, Phase::Call]), false)],
        (true, _) => vec![("", scope, false)],
        (false, Ruling::Deny) => vec![("", of(&[Phase::Call]), true)],
        (false, _) if lists => {
            vec![("", of(&[Phase::Call]), true), ("/list", of(&[Phase::List]), false)]
        }
        (false, _) => vec![("", of(&[Phase::Call]), true)],
    }
}

fn entry(
    id: &str,
    index: usize,
    rule: &Plain,
    scope: Scope,
    with_arguments: bool,
) -> Result<Entry, String> {
    let text = text(rule, &scope, with_arguments);
    let bare = Some(bare(rule, with_arguments));
    let policy = Policy::parse(Some(PolicyId::new(id)), &text)
        .map_err(|error| format!("rule `{}`: {error}", rule.name))?;
    let paths = rule.arguments.iter().filter(|_| with_arguments).map(|(path, _)| path.clone());
    Ok(Entry {
        id: Arc::from(id),
        policy,
        text,
        bare,
        ruling: rule.effect,
        scope,
        needs_arguments: with_arguments,
        is_raw: false,
        rule: Some(index),
        paths: paths.collect(),
    })
}

fn text(rule: &Plain, scope: &Scope, with_arguments: bool) -> String {
    let mut out = format!("@rule({})\n", literal(&rule.name));
    if rule.effect == Ruling::Hold {
        out.push_str("@ruling(\"hold\")\n");
    }
    let effect = effect(rule);
    let principal = match &scope.group {
        None => "principal".to_owned(),
        Some(group) => format!("principal in Group::{}", literal(group)),
    };
    let actions: Vec<_> =
        scope.phases.iter().map(|it| format!("Action::{}", literal(it.as_str()))).collect();
    let action = match &*actions {
        [only] => format!("action == {only}"),
        all => format!("action in [{}]", all.join(", ")),
    };
    let mut resource = String::from("resource");
    if let Some(kind) = scope.kind {
        // Writing to a string cannot fail.
        _ = write!(resource, " is {}", kind.entity());
    }
    let mut conditions = Vec::new();
    if let Some(server) = &scope.server {
        match server.exact() {
            Some(server) => _ = write!(resource, " in Server::{}", literal(server)),
            None => {
                conditions.push(format!("resource.server like {}", pattern(server.pieces())));
            }
        }
    }
    conditions.extend(scope.names.as_deref().map(|names| any_of(names.iter().map(name))));
    conditions.extend(scope.tiers.as_ref().map(|tiers| {
        let tiers: Vec<_> = tiers.iter().map(|tier| literal(tier.as_str())).collect();
        format!("[{}].contains(resource.tier)", tiers.join(", "))
    }));
    if with_arguments {
        conditions.extend(arguments_of(rule, Shape::Tags));
    }
    _ = write!(out, "{effect} (\n  {principal},\n  {action},\n  {resource}\n)");
    if !conditions.is_empty() {
        _ = write!(out, "\nwhen {{\n  {}\n}}", conditions.join(" &&\n  "));
    }
    out.push(';');
    out
}

fn bare(rule: &Plain, with_arguments: bool) -> String {
    let mut out = format!("{} (principal, action, resource)", effect(rule));
    if with_arguments && !rule.arguments.is_empty() {
        let conditions: Vec<_> = arguments_of(rule, Shape::Members).collect();
        // Writing to a string cannot fail.
        _ = write!(out, " when {{ {} }}", conditions.join(" && "));
    }
    out.push(';');
    out
}

fn effect(rule: &Plain) -> &'static str {
    if rule.effect == Ruling::Deny { "forbid" } else { "permit" }
}

fn arguments_of(rule: &Plain, shape: Shape) -> impl Iterator<Item = String> {
    let is_deny = rule.effect == Ruling::Deny;
    rule.arguments.iter().flat_map(move |(path, it)| condition(path, it, shape, is_deny))
}

fn name(wild: &Wild) -> String {
    match wild.exact() {
        Some(name) => format!("resource.name == {}", literal(name)),
        None => format!("resource.name like {}", pattern(wild.pieces())),
    }
}

fn any_of(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<_> = parts.collect();
    match &*parts {
        [] => "false".to_owned(),
        [only] => only.clone(),
        all => format!("({})", all.join(" || ")),
    }
}

/// How arguments stand in the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// As tags of entities, whose use a schema can check.
    Tags,
    /// As members of records, which need no entities and so take Cedar a fraction of the time.
    Members,
}

impl Shape {
    fn get(self, family: &str, path: &str) -> String {
        match self {
            Self::Tags => format!("context.{family}.getTag({path})"),
            Self::Members => format!("context.{family}[{path}]"),
        }
    }

    fn has(self, family: &str, path: &str) -> String {
        match self {
            Self::Tags => format!("context.{family}.hasTag({path})"),
            Self::Members => format!("(context.{family} has {path})"),
        }
    }
}

/// A test of one argument: what holds for each type that it may have.
#[derive(Default)]
struct Test {
    families: Vec<(&'static str, String)>,
}

/// What an argument has to be.
fn condition(path: &str, condition: &Condition, shape: Shape, is_deny: bool) -> Vec<String> {
    let path = literal(path);
    let mut tests: Vec<Test> = Vec::new();
    let mut text = |test: String| tests.push(Test { families: vec![("strings", test)] });
    let get = |family: &str| shape.get(family, &path);
    if let Some(glob) = &condition.glob {
        let wild = Wild::parse(glob).unwrap_or_else(|_| Wild::any());
        let is_path = glob.contains(['/', '\\']);
        let fits = format!("{} like {}", get("strings"), pattern(wild.pieces()));
        text(unclimbing(fits, &get("strings"), is_path && !is_deny));
    }
    if let Some(prefix) = &condition.prefix {
        let fits = format!("{} like {}", get("strings"), pattern(&[prefix.clone(), String::new()]));
        text(unclimbing(fits, &get("strings"), !is_deny));
    }
    if let Some(eq) = &condition.eq {
        tests.push(equal(std::slice::from_ref(eq), &get, is_deny, false));
    }
    if let Some(one_of) = &condition.one_of {
        tests.push(equal(one_of, &get, is_deny, true));
    }
    if condition.min.is_some() || condition.max.is_some() {
        tests.push(range(condition.min.as_ref(), condition.max.as_ref(), &get));
    }
    let mut out: Vec<_> = tests.iter().map(|test| test.cedar(&path, shape, is_deny)).collect();
    if let Some(absent) = condition.absent {
        let there = format!("({} && {} != \"null\")", shape.has("kinds", &path), get("kinds"));
        out.push(if absent { format!("!{there}") } else { there });
    }
    out
}

/// What begins with a folder must not climb out of it, for it is allowed by it.
fn unclimbing(fits: String, value: &str, is_wanted: bool) -> String {
    if !is_wanted {
        return fits;
    }
    let climbs = ["*..*", "*\\\\*", "*%2e*", "*%2E*", "*%2f*", "*%2F*", "*%5c*", "*%5C*"];
    let climbs: Vec<_> = climbs.iter().map(|it| format!("{value} like \"{it}\"")).collect();
    format!("{fits} && !({})", climbs.join(" || "))
}

fn equal(values: &[Scalar], get: &dyn Fn(&str) -> String, is_deny: bool, with_lists: bool) -> Test {
    let mut test = Test::default();
    let families = ["strings", "longs", "decimals", "booleans"];
    for (at, family) in families.into_iter().enumerate() {
        let of_family: Vec<_> =
            values.iter().map(cedar).filter(|(own, _)| *own == at).map(|(_, text)| text).collect();
        let set = format!("[{}]", of_family.join(", "));
        match &*of_family {
            [] => continue,
            [only] => test.families.push((family, format!("{} == {only}", get(family)))),
            _ => test.families.push((family, format!("{set}.contains({})", get(family)))),
        }
        if family == "strings" && with_lists {
            // To allow a list, all of it has to be allowed; to deny it, one is enough.
            let lists = get("lists");
            let holds = if is_deny {
                format!("{lists}.containsAny({set})")
            } else {
                format!("{set}.containsAll({lists})")
            };
            test.families.push(("lists", holds));
        }
    }
    test
}

/// Family and literal of a value.
fn cedar(value: &Scalar) -> (usize, String) {
    match value {
        Scalar::Text(text) => (0, literal(text)),
        Scalar::Integer(value) => (1, long(*value)),
        Scalar::Decimal(value) => match whole(*value) {
            Some(value) => (1, long(value)),
            None => (2, decimal(*value)),
        },
        Scalar::Flag(value) => (3, value.to_string()),
    }
}

fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0).then(|| format!("{value:.0}").parse().ok())?
}

fn long(value: i64) -> String {
    // In brackets: `-` before the least of all integers, and before a minus, has its pitfalls.
    if value < 0 { format!("({value})") } else { value.to_string() }
}

fn decimal(value: f64) -> String {
    format!("decimal({})", literal(&arguments::decimal(value).unwrap_or_default()))
}

fn range(min: Option<&Scalar>, max: Option<&Scalar>, get: &dyn Fn(&str) -> String) -> Test {
    let number = |value: &Scalar| match value {
        Scalar::Integer(value) => Some((*value, None)),
        Scalar::Decimal(value) => {
            let floor: i64 = format!("{:.0}", value.floor()).parse().ok()?;
            Some((floor, (value.fract() != 0.0).then_some(*value)))
        }
        _ => None,
    };
    let (longs, decimals) = (get("longs"), get("decimals"));
    let (mut of_longs, mut of_decimals) = (Vec::new(), Vec::new());
    // A bound beyond Cedar's decimals is one that every decimal keeps, or none does.
    let edge = |value: i64| {
        let bound = 900_000_000_000_000_i64;
        format!("decimal(\"{}.0\")", value.clamp(-bound, bound))
    };
    if let Some((floor, fraction)) = min.and_then(number) {
        let least = if fraction.is_some() { floor.saturating_add(1) } else { floor };
        of_longs.push(format!("{longs} >= {}", long(least)));
        let least = fraction.map_or_else(|| edge(floor), decimal);
        of_decimals.push(format!("{decimals}.greaterThanOrEqual({least})"));
    }
    if let Some((floor, fraction)) = max.and_then(number) {
        of_longs.push(format!("{longs} <= {}", long(floor)));
        let most = fraction.map_or_else(|| edge(floor), decimal);
        of_decimals.push(format!("{decimals}.lessThanOrEqual({most})"));
    }
    let families = vec![("longs", of_longs.join(" && ")), ("decimals", of_decimals.join(" && "))];
    Test { families }
}

impl Test {
    /// To allow, the value is of one of the types and fits. To deny, it is there and does not
    /// surely not fit: a server may read `"true"` as true, and a list of one as the one.
    fn cedar(&self, path: &str, shape: Shape, is_deny: bool) -> String {
        let has = |family: &str| shape.has(family, path);
        if is_deny {
            let mut out = has("kinds");
            for (family, holds) in self.families.iter().rev() {
                out = format!("(if {} then {holds} else {out})", has(family));
            }
            return out;
        }
        let each = self.families.iter();
        any_of(each.map(|(family, holds)| format!("({} && {holds})", has(family))))
    }
}
