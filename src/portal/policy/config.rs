//! `policy:` of the portal's file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::tier::{Class, Tier};
use super::wild::Wild;
use super::{Kind, Phase, Ruling};
use crate::rules::{Located, Place, Problem, Report, Source};

/// Most rules of a file.
const MAX_RULES: usize = 5_000;
/// Longest name of a rule, and of a group, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// Most keys and indices of a path into the arguments: what is deeper is not looked at.
pub(super) const MAX_DEPTH: usize = 4;
/// Longest path into the arguments, in bytes.
pub(super) const MAX_PATH_BYTES: usize = 512;

/// What somebody may list and call. What no rule allows is refused; where several rules hold,
/// `deny` wins over `hold`, and `hold` over `allow`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What happens to what no rule names: `deny`, which is also the only choice.
    default: Option<Located<Default_>>,
    /// The rules; their order does not matter.
    rules: Vec<Located<Rule>>,
    /// How much harm tools can do: the first entry that fits a tool counts. Tools that no entry
    /// names are `contained_write`. What a server says of its tools only ever makes it more.
    tiers: Vec<Located<TierEntry>>,
    /// Calls of tools of these tiers wait for approval, whichever rule allows them.
    hold_tiers: BTreeSet<Tier>,
    /// Files of Cedar policies beside the rules, relative to the portal's file.
    cedar: Vec<PathBuf>,
}

/// What happens to what no rule names.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Default_ {
    /// It is refused.
    #[default]
    Deny,
}

/// Who may, must not, or may once it is approved, list and call what.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Its name: letters, digits, `-`, `_` and `.`; its policies are `name#1`, `name#2`, …
    name: Located<String>,
    /// What happens.
    effect: Ruling,
    /// Who: anybody in one of these groups. Everybody when absent.
    #[serde(default)]
    groups: Option<Vec<Located<String>>>,
    /// Ids of servers; `*` stands for any characters. All when absent.
    #[serde(default)]
    servers: Option<Vec<Located<String>>>,
    /// Names of tools as the server has them; `*` stands for any characters, `\*` for itself. A
    /// rule with neither tools, prompts nor resources is about all of them.
    #[serde(default)]
    tools: Option<Vec<Located<String>>>,
    /// Names of prompts.
    #[serde(default)]
    prompts: Option<Vec<Located<String>>>,
    /// URIs of resources.
    #[serde(default)]
    resources: Option<Vec<Located<String>>>,
    /// Only what is of one of these tiers.
    #[serde(default)]
    tiers: Option<BTreeSet<Tier>>,
    /// Only listing, or only calling. Both when absent.
    #[serde(default)]
    phase: Option<BTreeSet<Phase>>,
    /// Only with these arguments: by JSON pointer (`/owner`, `/options/force`; RFC 6901), at most
    /// 4 keys deep. All have to hold. To `deny`, an argument that is of another type than is asked
    /// for counts as one that fits.
    #[serde(default)]
    arguments: BTreeMap<String, Located<Condition>>,
}

/// What an argument has to be: all keys that are given have to hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Condition {
    /// This very value.
    pub(super) eq: Option<Scalar>,
    /// One of these values. A list of texts fits if all of them are (to `deny`: any).
    #[serde(rename = "in")]
    pub(super) one_of: Option<Vec<Scalar>>,
    /// A text that fits; `*` stands for any characters.
    pub(super) glob: Option<String>,
    /// A text that begins so.
    pub(super) prefix: Option<String>,
    /// A number that is at least this.
    pub(super) min: Option<Scalar>,
    /// A number that is at most this.
    pub(super) max: Option<Scalar>,
    /// `true`: it is not there, or null; `false`: it is there.
    pub(super) absent: Option<bool>,
}

/// A value without parts.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Scalar {
    /// A boolean.
    Flag(bool),
    /// An integer.
    Integer(i64),
    /// A number with at most four decimals.
    Decimal(f64),
    /// A text.
    Text(String),
}

/// Tools of one tier.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TierEntry {
    /// Ids of servers; `*` stands for any characters. All when absent.
    #[serde(default)]
    servers: Option<Vec<Located<String>>>,
    /// Names of tools; `*` stands for any characters.
    tools: Vec<Located<String>>,
    /// How much harm they can do.
    tier: Tier,
}

/// The section, checked.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    pub(super) rules: Vec<Plain>,
    pub(super) classes: Vec<Class>,
    pub(super) hold_tiers: BTreeSet<Tier>,
    /// Files of Cedar policies, as written.
    pub cedar: Vec<PathBuf>,
    /// What was written, for what [`Policy::lint`](super::Policy::lint) says.
    pub(super) source: Option<Source>,
}

/// A rule, checked.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) effect: Ruling,
    pub(super) groups: Option<Vec<(String, Place)>>,
    pub(super) servers: Vec<(Wild, Place)>,
    /// Names by kind; none for all.
    pub(super) names: Option<Vec<(Kind, Vec<Wild>)>>,
    pub(super) tiers: Option<BTreeSet<Tier>>,
    pub(super) phases: BTreeSet<Phase>,
    pub(super) arguments: Vec<(String, Condition)>,
}

impl Config {
    /// Checks it. `source` is the file that it is in, for what is said of it.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(self, source: &Source) -> Result<Checked, Report> {
        let mut this = Checker { source, report: Report::default() };
        // Written for people: there is one choice.
        let _default = self.default.map(|it| it.value);
        if let Some(rule) = self.rules.get(MAX_RULES) {
            this.error(rule.place, "too-many", format!("{MAX_RULES} rules are the most"), "");
            return Err(this.report);
        }
        let mut names: BTreeMap<String, Place> = BTreeMap::new();
        let mut rules = Vec::new();
        for Located { value, place } in self.rules {
            if let Some(first) = names.insert(value.name.value.clone(), value.name.place) {
                let message = format!("there is another rule `{}`", value.name.value);
                let hint = format!("the first is in line {}", first.line);
                this.error(value.name.place, "duplicate-name", message, &hint);
            }
            rules.push(this.rule(value, place));
        }
        let classes = self.tiers.into_iter().map(|entry| this.class(entry)).collect();
        if this.report.has_errors() {
            return Err(this.report);
        }
        let (hold_tiers, cedar) = (self.hold_tiers, self.cedar);
        Ok(Checked { rules, classes, hold_tiers, cedar, source: Some(source.clone()) })
    }
}

struct Checker<'c> {
    source: &'c Source,
    report: Report,
}

impl Checker<'_> {
    fn error(&mut self, place: Place, code: &'static str, message: impl Into<String>, hint: &str) {
        let problem = Problem::error(self.source, place, code, message);
        self.report.push(if hint.is_empty() { problem } else { problem.hint(hint) });
    }

    fn wild(&mut self, text: &Located<String>) -> Wild {
        Wild::parse(&text.value).unwrap_or_else(|why| {
            self.error(text.place, "bad-name", why, "write `*` for any name");
            Wild::any()
        })
    }

    fn wilds(&mut self, of: &[Located<String>]) -> Vec<Wild> {
        of.iter().map(|text| self.wild(text)).collect()
    }

    /// A list that is there has something in it: an empty one reads as "none" and as "all".
    fn no_empty<T>(&mut self, list: Option<&[T]>, place: Place, key: &str) {
        if list.is_some_and(<[T]>::is_empty) {
            let message = format!("`{key}` is empty");
            self.error(place, "empty-list", message, "name something, or leave the key out");
        }
    }

    fn rule(&mut self, rule: Rule, place: Place) -> Plain {
        let name = rule.name.value;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(plain) {
            let message = "a rule's name has letters, digits, `-`, `_` and `.`";
            self.error(rule.name.place, "bad-name", message, "");
        }
        for (list, key) in [
            (&rule.groups, "groups"),
            (&rule.servers, "servers"),
            (&rule.tools, "tools"),
            (&rule.prompts, "prompts"),
            (&rule.resources, "resources"),
        ] {
            self.no_empty(list.as_deref(), place, key);
        }
        let groups = rule
            .groups
            .map(|groups| groups.into_iter().map(|group| self.group(group)).collect::<Vec<_>>());
        let any = || vec![(Wild::any(), place)];
        let servers = rule.servers.map_or_else(any, |servers| {
            servers.iter().map(|server| (self.wild(server), server.place)).collect()
        });
        let lists = [rule.tools, rule.prompts, rule.resources];
        let names: Vec<_> = Kind::ALL
            .into_iter()
            .zip(lists)
            .filter_map(|(kind, list)| Some((kind, self.wilds(&list?))))
            .collect();
        let phases = rule.phase.unwrap_or_else(|| [Phase::List, Phase::Call].into());
        if phases.is_empty() || rule.tiers.as_ref().is_some_and(BTreeSet::is_empty) {
            self.error(place, "empty-list", "`phase` or `tiers` is empty", "leave the key out");
        }
        if !rule.arguments.is_empty() && !phases.contains(&Phase::Call) {
            let message = "a rule of the list phase looks at arguments, which a list does not have";
            self.error(place, "list-arguments", message, "add `call` to `phase`");
        }
        let mut arguments = Vec::new();
        for (path, condition) in rule.arguments {
            if let Some(path) = self.condition(&path, &condition) {
                arguments.push((path, condition.value));
            }
        }
        let (effect, tiers) = (rule.effect, rule.tiers);
        let names = (!names.is_empty()).then_some(names);
        Plain { name, place, effect, groups, servers, names, tiers, phases, arguments }
    }

    fn group(&mut self, group: Located<String>) -> (String, Place) {
        if group.value.is_empty() || group.value.len() > MAX_NAME_BYTES {
            let message = format!("a group has 1 to {MAX_NAME_BYTES} bytes");
            self.error(group.place, "bad-group", message, "");
        }
        (group.value, group.place)
    }

    fn class(&mut self, entry: Located<TierEntry>) -> Class {
        let Located { value, place } = entry;
        self.no_empty(value.servers.as_deref(), place, "servers");
        self.no_empty(Some(&value.tools), place, "tools");
        let servers = value.servers.map_or_else(|| vec![Wild::any()], |list| self.wilds(&list));
        Class { servers, tools: self.wilds(&value.tools), tier: value.tier }
    }

    /// The path as a JSON pointer, if the condition can be told.
    fn condition(&mut self, path: &str, condition: &Located<Condition>) -> Option<String> {
        let place = condition.place;
        let pointer = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let depth = pointer.matches('/').count();
        let is_escaped = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if pointer.len() < 2 || pointer.len() > MAX_PATH_BYTES || !is_escaped {
            let hint = "write `/owner` or `/options/force`; `~1` is a slash in a key";
            self.error(place, "bad-path", format!("`{path}` is no path into arguments"), hint);
            return None;
        }
        if depth > MAX_DEPTH {
            let message = format!("`{path}` is deeper than {MAX_DEPTH} keys");
            self.error(place, "bad-path", message, "look at a key above it");
            return None;
        }
        let it = &condition.value;
        let texts = [&it.glob, &it.prefix];
        let has_value = it.eq.is_some()
            || it.one_of.is_some()
            || texts.iter().any(|text| text.is_some())
            || it.min.is_some()
            || it.max.is_some();
        let wrong = if !has_value && it.absent.is_none() {
            Some("a condition without a key")
        } else if it.absent == Some(true) && has_value {
            Some("what is absent has no value")
        } else if it.one_of.as_ref().is_some_and(Vec::is_empty) {
            Some("`in` is empty")
        } else if it.glob.as_ref().is_some_and(|glob| Wild::parse(glob).is_err()) {
            Some("`glob` is no name with `*`")
        } else if [&it.min, &it.max].into_iter().flatten().any(|number| !number.is_number()) {
            Some("`min` and `max` are numbers")
        } else if !it.scalars().all(Scalar::is_sayable) {
            Some("numbers have at most four decimals, and 14 digits before them")
        } else {
            None
        };
        match wrong {
            Some(wrong) => {
                self.error(place, "bad-condition", wrong, "eq, in, glob, prefix, min, max, absent");
                None
            }
            None => Some(pointer),
        }
    }
}

impl Condition {
    fn scalars(&self) -> impl Iterator<Item = &Scalar> {
        let one_of = self.one_of.iter().flatten();
        self.eq.iter().chain(one_of).chain(&self.min).chain(&self.max)
    }
}

impl Scalar {
    const fn is_number(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Decimal(_))
    }

    fn is_sayable(&self) -> bool {
        match self {
            Self::Decimal(value) => super::arguments::decimal(*value).is_some(),
            _ => true,
        }
    }
}
