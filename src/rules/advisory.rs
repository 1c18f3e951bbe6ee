//! Advisories: which versions of which software are known to be vulnerable.
//!
//! A YAML file lists advisories, a CSV file the releases of SDKs. Servers made with the Python SDK
//! report its version as their own unless their author gave one, so a version that equals such a
//! release says something of the SDK and nothing of the product. Names and versions are
//! self-reported: what matches is a lead, never proof.

mod version;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

use super::Severity;
use super::problem::{Located, Place, Problem, Report, Source};
use super::syntax::read;
use crate::observation::Software;

pub use version::{Range, Version};

/// The value of `schema:` in a file of advisories.
pub const ADVISORIES_SCHEMA: &str = "shadowtap/advisories@1";

/// Advisories that are read of a file; more are refused.
const MAX_ADVISORIES: usize = 10_000;
/// Advisories that are told of one server or client; more are dropped, lesser ones first.
const MAX_TOLD: usize = 16;

/// Python servers that say so in their `Server` field: what the Python SDKs run on.
const PYTHON_SERVERS: [&str; 4] = ["uvicorn", "hypercorn", "granian", "gunicorn"];

/// The advisories that ship with the program.
static BUILTIN: LazyLock<Advisories> = LazyLock::new(|| {
    let file = |name: &str, text: &str| Source::new(name, text);
    let advisories =
        file("rules/data/advisories.yaml", include_str!("../../rules/data/advisories.yaml"));
    let releases =
        file("rules/data/sdk-releases.csv", include_str!("../../rules/data/sdk-releases.csv"));
    // A test holds both files to being right.
    Advisories::parse(&advisories, &releases).unwrap_or_default()
});

/// One advisory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// `CVE-…` or `GHSA-…`.
    pub id: String,
    /// Names that the software gives of itself, lower case; `sdk:NAME` for an SDK.
    pub products: Vec<String>,
    /// Affected versions: those in any of these.
    pub affected: Vec<Range>,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in one line.
    pub title: String,
    /// Where to read more.
    pub url: String,
    /// When that was last checked.
    pub checked: String,
}

/// What is known of vulnerable software.
#[derive(Clone, Debug, Default)]
pub struct Advisories {
    advisories: Vec<Advisory>,
    by_product: HashMap<String, Vec<usize>>,
    /// By version as written: which SDKs have such a release.
    releases: HashMap<String, Vec<String>>,
}

/// What a server or client falls under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exposed {
    /// Ids, the worst first.
    pub ids: Vec<String>,
    /// The highest severity.
    pub severity: Option<Severity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Located<String>,
    /// Where they come from, for whoever reads the file.
    #[serde(rename = "source")]
    _source: String,
    advisories: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Located<String>,
    products: Located<Vec<Located<String>>>,
    affected: Located<Vec<Located<String>>>,
    severity: Severity,
    title: String,
    url: Located<String>,
    checked: Located<String>,
}

impl Advisories {
    /// Those that ship with the program.
    #[must_use]
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// Reads a file of advisories (YAML) and one of SDK releases (CSV: `sdk,version`).
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, with line and column.
    pub fn parse(advisories: &Source, releases: &Source) -> Result<Self, Report> {
        let mut report = Report::default();
        let mut found = Self { releases: releases_of(releases, &mut report), ..Self::default() };
        match read::<File>(advisories) {
            Ok(file) => found.take(advisories, file, &mut report),
            Err(problem) => report.push(*problem),
        }
        report.sort();
        if report.has_errors() { Err(report) } else { Ok(found) }
    }

    fn take(&mut self, source: &Source, file: File, report: &mut Report) {
        let File { schema, advisories, .. } = file;
        if schema.value != ADVISORIES_SCHEMA {
            let message = format!("unknown format `{}`", schema.value);
            let problem = Problem::error(source, schema.place, "unknown-schema", message);
            report.push(problem.hint(format!("this build reads `{ADVISORIES_SCHEMA}`")));
        }
        if advisories.len() > MAX_ADVISORIES {
            let message = format!("more than {MAX_ADVISORIES} advisories");
            report.push(Problem::error(source, schema.place, "too-long", message));
            return;
        }
        let mut ids = BTreeSet::new();
        for entry in advisories {
            let place = entry.id.place;
            if !ids.insert(entry.id.value.clone()) {
                let message = format!("`{}` occurs twice", entry.id.value);
                report.push(Problem::error(source, place, "duplicate-id", message));
                continue;
            }
            let advisory = entry.checked(source, report);
            let index = self.advisories.len();
            for product in &advisory.products {
                self.by_product.entry(product.clone()).or_default().push(index);
            }
            self.advisories.push(advisory);
        }
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn all(&self) -> &[Advisory] {
        &self.advisories
    }

    /// What a server falls under, by the names that it gives of itself and its `Server` fields.
    #[must_use]
    pub fn of_server(&self, software: &BTreeSet<Software>, fields: &BTreeSet<String>) -> Exposed {
        let mut found = BTreeMap::new();
        let is_python = fields
            .iter()
            .flat_map(|field| products(field))
            .any(|(name, _)| PYTHON_SERVERS.iter().any(|known| name.eq_ignore_ascii_case(known)));
        for Software { name, version } in software {
            match self.releases.get(version.trim()) {
                Some(sdks) if is_python => {
                    for sdk in sdks {
                        // No name on the wire: many servers are named after their SDK.
                        self.look_up(&format!("sdk:{sdk}"), version, &mut found);
                    }
                }
                // It may be the SDK's, so it proves nothing of the product.
                Some(_) => {}
                None => self.look_up(name, version, &mut found),
            }
        }
        for (name, version) in fields.iter().flat_map(|field| products(field)) {
            self.look_up(name, version, &mut found);
        }
        Exposed::of(found)
    }

    /// What a client falls under, by the names that it gives of itself and its `User-Agent`s.
    #[must_use]
    pub fn of_client(&self, software: &BTreeSet<Software>, agents: &BTreeSet<String>) -> Exposed {
        let mut found = BTreeMap::new();
        for Software { name, version } in software {
            self.look_up(name, version, &mut found);
        }
        for (name, version) in agents.iter().flat_map(|agent| products(agent)) {
            self.look_up(name, version, &mut found);
        }
        Exposed::of(found)
    }

    fn look_up<'a>(&'a self, name: &str, version: &str, found: &mut BTreeMap<&'a str, Severity>) {
        // An empty version is no claim at all.
        let Some(version) = Version::parse(version) else { return };
        let known = self.by_product.get(&name.trim().to_ascii_lowercase());
        let known = known.into_iter().flatten().filter_map(|index| self.advisories.get(*index));
        for advisory in known {
            if advisory.affected.iter().any(|range| range.contains(&version)) {
                found.insert(&advisory.id, advisory.severity);
            }
        }
    }
}

impl Exposed {
    fn of(found: BTreeMap<&str, Severity>) -> Self {
        let severity = found.values().max().copied();
        let mut found: Vec<_> = found.into_iter().collect();
        // Equals stay in the order of their ids.
        found.sort_by_key(|(_, severity)| std::cmp::Reverse(*severity));
        found.truncate(MAX_TOLD);
        Self { ids: found.into_iter().map(|(id, _)| id.to_owned()).collect(), severity }
    }
}

impl Entry {
    /// The advisory, and what is wrong with it.
    fn checked(self, source: &Source, report: &mut Report) -> Advisory {
        let mut wrong = |place: Place, message: String| {
            report.push(Problem::error(source, place, "wrong-value", message));
        };
        if !is_id(&self.id.value) {
            wrong(self.id.place, format!("`{}` is neither a CVE nor a GHSA id", self.id.value));
        }
        if self.products.value.is_empty() {
            wrong(self.products.place, "no product is named".into());
        }
        if self.affected.value.is_empty() {
            wrong(self.affected.place, "no version is affected".into());
        }
        if !self.url.value.starts_with("https://") {
            wrong(self.url.place, "the address does not begin with `https://`".into());
        }
        if self.checked.value.parse::<jiff::civil::Date>().is_err() {
            wrong(self.checked.place, format!("`{}` is no date", self.checked.value));
        }
        let mut affected = Vec::new();
        for range in &self.affected.value {
            match Range::parse(&range.value) {
                Some(range) => affected.push(range),
                None => wrong(range.place, format!("`{}` is no range of versions", range.value)),
            }
        }
        let products = self.products.value.into_iter();
        Advisory {
            id: self.id.value,
            products: products.map(|name| name.value.to_ascii_lowercase()).collect(),
            affected,
            severity: self.severity,
            title: self.title,
            url: self.url.value,
            checked: self.checked.value,
        }
    }
}

fn is_id(id: &str) -> bool {
    let plain = |rest: &str| rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    ["CVE-", "GHSA-"].iter().any(|start| id.strip_prefix(start).is_some_and(plain))
}

/// Releases by version.
fn releases_of(source: &Source, report: &mut Report) -> HashMap<String, Vec<String>> {
    const HEADER: &str = "sdk,version";
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    let mut seen = HashSet::new();
    let mut wrong = |line: usize, message: String| {
        let place = Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1, len: 1 };
        report.push(Problem::error(source, place, "wrong-row", message));
    };
    for (number, row) in (1..).zip(source.text.lines()) {
        let row = row.trim();
        if number == 1 {
            if row != HEADER {
                wrong(number, format!("the first line must be `{HEADER}`"));
            }
            continue;
        }
        if row.is_empty() {
            continue;
        }
        match row.split_once(',') {
            Some((sdk, version)) if !sdk.is_empty() && Version::parse(version).is_some() => {
                if seen.insert((sdk, version)) {
                    found.entry(version.to_owned()).or_default().push(sdk.to_owned());
                }
            }
            _ => wrong(number, "a row is the name of an SDK, a comma and a version".into()),
        }
    }
    found
}

/// `name/version` tokens of a `User-Agent` or `Server` field (RFC 9110 section 10.1.5). What
/// stands in brackets is a comment.
fn products(field: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut depth = 0_usize;
    field.split([' ', '\t']).filter_map(move |token| {
        let opened = token.matches('(').count();
        let closed = token.matches(')').count();
        let outside = depth == 0 && opened == 0;
        depth = (depth + opened).saturating_sub(closed);
        let (name, version) = token.split_once('/').unwrap_or((token, ""));
        (outside && !name.is_empty()).then_some((name, version))
    })
}

#[cfg(test)]
mod tests;
