//! Learning: for the first days servers that nobody has decided about are collected instead of
//! told one by one, to be reviewed together. Sans-IO.
//!
//! [`Learning::admits`] says which findings are told all the same; [`Learning::take`] takes all of
//! them, and [`Learning::see`] what the inventory knows of a server. [`Learned`] is what is
//! kept between runs and what the review reads.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Finding;
use super::severity::Reach;
use crate::mcp::Evidence;
use crate::rules::{Lane, Severity};
use crate::time::Timestamp;
use crate::verdict::{DraftServer, Verdict};

/// Value of `schema` in the file.
pub const LEARNED_SCHEMA: &str = "shadowtap/learned@1";
/// Longest file of learned candidates, in bytes.
pub const MAX_LEARNED_BYTES: u64 = 256 << 20;

/// Bounds. Worst-case memory: `max_candidates` × (3 × `max_values` × 0.5 KiB + `max_concerns` ×
/// 0.3 KiB), which at the defaults takes servers that each show 256 clients, tools and names.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many servers are collected, the first ones; findings about others are told.
    pub max_candidates: usize,
    /// So many clients, addresses, tools and names are kept of each, the first ones.
    pub max_values: usize,
    /// So many rules are kept of each, the first ones.
    pub max_concerns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_candidates: 10_000, max_values: 256, max_concerns: 32 }
    }
}

/// What was decided about a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It was added to the approvals.
    Approved,
    /// It may not be used: its findings are told.
    Rejected,
}

/// A rule that matched on a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concern {
    /// Its title.
    pub title: String,
    /// Highest severity.
    pub severity: Severity,
}

/// A server that nobody has decided about. Text is masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its key.
    pub key: String,
    /// Name of its software.
    #[serde(default)]
    pub name: Option<String>,
    /// Best evidence that it speaks MCP.
    pub evidence: Evidence,
    /// Addresses that answered.
    #[serde(default)]
    pub addresses: BTreeSet<IpAddr>,
    /// The addresses are an explicit proxy's.
    #[serde(default)]
    pub via_proxy: bool,
    /// Names and versions that it gave of itself.
    #[serde(default)]
    pub software: BTreeSet<String>,
    /// Clients, and the names and versions that they gave of themselves.
    #[serde(default)]
    pub clients: BTreeMap<IpAddr, BTreeSet<String>>,
    /// Tools that were called.
    #[serde(default)]
    pub tools: BTreeSet<String>,
    /// Ways of authentication; `none` among them means that some had none.
    #[serde(default)]
    pub auth: BTreeSet<String>,
    /// First seen.
    #[serde(with = "rfc3339")]
    pub first_seen: Timestamp,
    /// Last seen.
    #[serde(with = "rfc3339")]
    pub last_seen: Timestamp,
    /// Rules that matched, by id; not those about approvals.
    #[serde(default)]
    pub concerns: BTreeMap<String, Concern>,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Values that found no room.
    #[serde(default)]
    pub dropped: u64,
}

impl Candidate {
    /// A server of which nothing is known yet.
    #[must_use]
    pub const fn new(key: String, evidence: Evidence, first_seen: Timestamp) -> Self {
        Self {
            key,
            name: None,
            evidence,
            addresses: BTreeSet::new(),
            via_proxy: false,
            software: BTreeSet::new(),
            clients: BTreeMap::new(),
            tools: BTreeSet::new(),
            auth: BTreeSet::new(),
            first_seen,
            last_seen: first_seen,
            concerns: BTreeMap::new(),
            decision: None,
            dropped: 0,
        }
    }

    /// What a finding says of its server.
    fn of(finding: &Finding) -> Self {
        let key = finding.server_key.clone();
        let mut candidate = Self::new(key, finding.evidence, finding.first_seen);
        candidate.last_seen = finding.last_seen;
        candidate.addresses.insert(finding.server.ip);
        candidate.clients.insert(finding.client, BTreeSet::new());
        if !finding.is_about_approval() {
            let title = finding.rule.title.clone();
            let concern = Concern { title, severity: finding.severity };
            candidate.concerns.insert(finding.rule.id.clone(), concern);
        }
        candidate
    }

    /// Host of the key.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.key.split_once("://").map_or(self.key.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        }
    }

    /// What somebody who approves it should know, the worst first.
    #[must_use]
    pub fn risks(&self) -> Vec<String> {
        let reaches = |wanted: Reach| {
            let mut pairs = self.clients.keys().flat_map(|client| {
                self.addresses.iter().map(|server| Reach::between(*client, *server))
            });
            !self.via_proxy && pairs.any(|reach| reach == wanted)
        };
        let mut risks = Vec::new();
        if reaches(Reach::ToOutside) {
            risks.push("outside the network".to_owned());
        }
        if reaches(Reach::FromOutside) {
            risks.push("used from outside".to_owned());
        }
        if self.key.starts_with("http://") || self.key.starts_with("tcp://") {
            risks.push("in the clear".to_owned());
        }
        if self.auth.contains("none") {
            risks.push("without authentication".to_owned());
        }
        let mut concerns: Vec<_> = self.concerns.iter().collect();
        concerns.sort_by_key(|(id, concern)| (std::cmp::Reverse(concern.severity), *id));
        risks.extend(concerns.into_iter().map(|(id, Concern { title, severity })| {
            format!("{id} {title} ({})", severity.as_str())
        }));
        risks
    }

    /// What the drafting of approvals needs of it.
    #[must_use]
    pub fn as_server(&self) -> DraftServer {
        DraftServer {
            key: self.key.clone(),
            name: self.name.clone(),
            evidence: self.evidence,
            addresses: self.addresses.iter().copied().collect(),
            clients: self.clients.keys().copied().collect(),
            tools: self.tools.iter().cloned().collect(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
        }
    }

    /// Takes over what more is known of the same server. A decision stays.
    fn absorb(&mut self, other: Self, limits: &Limits) {
        if other.name.is_some() {
            self.name = other.name;
        }
        self.evidence = self.evidence.max(other.evidence);
        self.via_proxy |= other.via_proxy;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        let max = limits.max_values;
        let mut dropped = 0;
        for address in other.addresses {
            dropped += insert(&mut self.addresses, address, max);
        }
        let sets = [
            (&mut self.software, other.software),
            (&mut self.tools, other.tools),
            (&mut self.auth, other.auth),
        ];
        for (mine, theirs) in sets {
            dropped += theirs.into_iter().map(|text| insert(mine, text, max)).sum::<u64>();
        }
        for (ip, names) in other.clients {
            if !self.clients.contains_key(&ip) && self.clients.len() >= max {
                dropped += 1;
                continue;
            }
            let mine = self.clients.entry(ip).or_default();
            dropped += names.into_iter().map(|name| insert(mine, name, 8)).sum::<u64>();
        }
        for (rule, concern) in other.concerns {
            if let Some(mine) = self.concerns.get_mut(&rule) {
                mine.severity = mine.severity.max(concern.severity);
            } else if self.concerns.len() < limits.max_concerns {
                self.concerns.insert(rule, concern);
            } else {
                dropped += 1;
            }
        }
        self.dropped = self.dropped.saturating_add(dropped);
    }
}

/// Adds a value to a set that has room; answers how many were dropped.
fn insert<T: Ord>(set: &mut BTreeSet<T>, value: T, max: usize) -> u64 {
    if set.len() >= max && !set.contains(&value) {
        return 1;
    }
    set.insert(value);
    0
}

/// What was learnt, as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// [`LEARNED_SCHEMA`].
    pub schema: String,
    /// When learning began; absent when it has no end (a replay).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When it ends or ended.
    #[serde(default, with = "rfc3339::maybe", skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The servers, by key.
    pub candidates: Vec<Candidate>,
}

impl Learned {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let learned: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if learned.schema != LEARNED_SCHEMA {
            return Err(format!("not `{LEARNED_SCHEMA}`, which `--learn` writes"));
        }
        Ok(learned)
    }

    /// The text of a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Learning under way.
#[derive(Clone, Debug, Default)]
pub struct Learning {
    limits: Limits,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    candidates: BTreeMap<String, Candidate>,
    held: u64,
}

impl Learning {
    /// Learning without end: over a whole replay.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Learning between two times.
    #[must_use]
    pub fn between(limits: Limits, since: Timestamp, until: Timestamp) -> Self {
        Self { since: Some(since), until: Some(until), ..Self::new(limits) }
    }

    /// Goes on with what was learnt before; its time, if it had one, is kept.
    #[must_use]
    pub fn resume(mut self, learned: Learned) -> Self {
        let since = learned.since.as_deref().and_then(rfc3339::parse);
        self.since = since.or(self.since);
        self.until = learned.until.or(self.until);
        for candidate in learned.candidates {
            self.see(candidate);
        }
        self
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// When it ends.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether a finding is told while learning. Told are:
    ///
    /// - what a rule of lane `enforce` finds;
    /// - everything of high severity and above that is not about a missing approval: secrets,
    ///   requests to inner addresses, tools that change their meaning, ways around detection;
    /// - everything about a server that somebody has approved or rejected: a portal bypass, a
    ///   tool or a client that is not allowed, an approval that has expired, and hints of it;
    /// - what finds no room among the candidates.
    ///
    /// The rest is about servers that nobody has decided about: it waits for the review.
    #[must_use]
    pub fn admits(&self, finding: &Finding) -> bool {
        let candidate = self.candidates.get(&finding.server_key);
        let is_decided = !matches!(finding.verdict, Verdict::Unapproved | Verdict::Undetermined)
            || candidate.is_some_and(|candidate| candidate.decision == Some(Decision::Rejected));
        let is_grave = finding.severity >= Severity::High && !finding.is_about_approval();
        let has_room = candidate.is_some() || self.candidates.len() < self.limits.max_candidates;
        finding.rule.lane == Lane::Enforce || is_grave || is_decided || !has_room
    }

    /// Takes a finding, and answers whether it is told. Of a server that nobody has decided about
    /// it is remembered either way, as something to mind. `is_new`: it was not taken before.
    pub fn take(&mut self, finding: &Finding, is_new: bool) -> bool {
        let told = self.admits(finding);
        if !told && is_new {
            self.held = self.held.saturating_add(1);
        }
        if matches!(finding.verdict, Verdict::Unapproved | Verdict::Undetermined) {
            self.see(Candidate::of(finding));
        }
        told
    }

    /// Takes what is known of a server.
    pub fn see(&mut self, candidate: Candidate) {
        let Self { candidates, limits, .. } = self;
        if let Some(known) = candidates.get_mut(&candidate.key) {
            known.absorb(candidate, limits);
        } else if candidates.len() < limits.max_candidates {
            candidates.insert(candidate.key.clone(), candidate);
        }
    }

    /// Remembers what was decided about a server.
    pub fn decide(&mut self, key: &str, decision: Decision) {
        if let Some(candidate) = self.candidates.get_mut(key) {
            candidate.decision = Some(decision);
        }
    }

    /// Findings that were not told so far.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.held
    }

    /// Servers that wait for a review: they speak MCP, and nothing was decided.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let waits = |candidate: &&Candidate| {
            candidate.evidence >= Evidence::Parsed && candidate.decision.is_none()
        };
        self.candidates.values().filter(waits).count()
    }

    /// What was learnt so far.
    #[must_use]
    pub fn learned(&self) -> Learned {
        Learned {
            schema: LEARNED_SCHEMA.to_owned(),
            since: self.since.map(|since| since.to_string()),
            until: self.until,
            candidates: self.candidates.values().cloned().collect(),
        }
    }
}

/// Times as text.
mod rfc3339 {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::time::Timestamp;

    pub(super) fn parse(text: &str) -> Option<Timestamp> {
        let nanos = text.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
        i64::try_from(nanos).ok().map(Timestamp::from_nanos)
    }

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        at.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).ok_or_else(|| serde::de::Error::custom("not a time of RFC 3339"))
    }

    pub(super) mod maybe {
        use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

        use crate::time::Timestamp;

        pub(in super::super) fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            at.serialize(to)
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let text = Option::<String>::deserialize(from)?;
            let time = |text: String| {
                super::parse(&text)
                    .ok_or_else(|| serde::de::Error::custom("not a time of RFC 3339"))
            };
            text.map(time).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::collector::tests::{TwoFiles, draft};
    use super::super::{Draft, Findings};
    use super::*;
    use crate::rules::RuleInfo;

    fn finding(rule: &str, lane: Lane, severity: Severity, verdict: Verdict) -> Finding {
        let info = RuleInfo { id: rule.to_owned(), lane, ..(*draft(0, 0).rule).clone() };
        let mut findings = Findings::default();
        findings.record(Draft { rule: Arc::new(info), severity, verdict, ..draft(0, 0) });
        findings.finish(&TwoFiles).remove(0)
    }

    #[test]
    fn what_is_told_while_learning() {
        use Severity::{Critical, High, Info, Low, Medium};
        use Verdict::{
            Approved, ClientNotAllowed, Expired, PortalBypass, ToolNotAllowed, Unapproved,
            Undetermined,
        };
        let learning = Learning::new(Limits::default());
        for (rule, lane, severity, verdict, told) in [
            ("SMCP-3001", Lane::Alert, Medium, Unapproved, false),
            ("SMCP-3001", Lane::Alert, High, Unapproved, false),
            ("SMCP-3001", Lane::Alert, Critical, Unapproved, false),
            ("SMCP-3002", Lane::Alert, Medium, Expired, true),
            ("SMCP-3003", Lane::Alert, Medium, ClientNotAllowed, true),
            ("SMCP-3004", Lane::Alert, High, PortalBypass, true),
            ("SMCP-3005", Lane::Alert, Medium, ToolNotAllowed, true),
            ("SMCP-6003", Lane::Alert, Low, Unapproved, false),
            ("SMCP-6003", Lane::Alert, Low, Approved, true),
            ("SMCP-6002", Lane::Alert, High, Unapproved, true),
            ("SMCP-4001", Lane::Alert, High, Unapproved, true),
            ("SMCP-5001", Lane::Hunt, Critical, Unapproved, true),
            ("SMCP-7001", Lane::Hunt, Medium, Unapproved, false),
            ("SMCP-2010", Lane::Hunt, Info, Undetermined, false),
            ("SMCP-5018", Lane::Enforce, Medium, Unapproved, true),
        ] {
            let finding = finding(rule, lane, severity, verdict);
            assert_eq!(learning.admits(&finding), told, "{rule} {lane:?} {severity:?} {verdict:?}");
        }
    }

    #[test]
    fn what_is_held_becomes_a_candidate_with_its_concerns() {
        let mut learning = Learning::new(Limits::default());
        for (rule, severity) in [
            ("SMCP-3001", Severity::Medium),
            ("SMCP-6003", Severity::Low),
            ("SMCP-6003", Severity::Medium),
            ("SMCP-6001", Severity::Low),
        ] {
            learning.take(&finding(rule, Lane::Alert, severity, Verdict::Unapproved), true);
        }
        assert_eq!((learning.held(), learning.waiting()), (4, 1));
        let learned = learning.learned();
        let candidate = &learned.candidates[0];
        assert_eq!(candidate.key, "http://192.0.2.1:8000/mcp");
        assert_eq!(candidate.clients.len(), 1);
        let risks = candidate.risks();
        assert_eq!(risks[..2], ["outside the network", "in the clear"]);
        assert_eq!(risks[2], "SMCP-6003 Unapproved server (medium)");
        assert_eq!(risks.len(), 4, "{risks:?}");
    }

    #[test]
    fn what_was_learnt_survives_a_file_and_decisions_hold() {
        let (since, until) = (Timestamp::from_parts(100, 0), Timestamp::from_parts(700, 0));
        let mut learning = Learning::between(Limits::default(), since, until);
        let held = finding("SMCP-3001", Lane::Alert, Severity::Medium, Verdict::Unapproved);
        learning.take(&held, true);
        let mut learned = Learned::parse(&learning.learned().to_text()).unwrap();
        assert_eq!(learned, learning.learned());
        learned.candidates[0].decision = Some(Decision::Rejected);
        let later = Timestamp::from_parts(10_000, 0);
        let again = Learning::between(Limits::default(), later, later).resume(learned);
        assert_eq!(again.until(), Some(until));
        assert!(!again.is_over(Timestamp::from_parts(699, 0)) && again.is_over(until));
        assert!(again.admits(&held), "somebody has decided");
        assert_eq!(again.waiting(), 0);
        let mut again = again;
        again.see(Candidate::of(&held));
        assert_eq!(again.learned().candidates[0].decision, Some(Decision::Rejected));
        for text in ["", "{}", r#"{"schema":"x@1","candidates":[]}"#, "[1]"] {
            assert!(Learned::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn at_the_bound_findings_are_told_and_values_counted() {
        let mut learning =
            Learning::new(Limits { max_candidates: 1, max_values: 2, max_concerns: 1 });
        let mut held = finding("SMCP-3001", Lane::Alert, Severity::Medium, Verdict::Unapproved);
        learning.take(&held, true);
        assert!(!learning.admits(&held));
        for n in 1..=4 {
            held.client = IpAddr::from([10, 0, 1, n]);
            learning.take(&held, true);
        }
        let mut other = held.clone();
        other.server_key = "http://192.0.2.9/".to_owned();
        assert!(learning.admits(&other), "no room to remember it");
        learning.take(&other, true);
        let learned = learning.learned();
        assert_eq!(learned.candidates.len(), 1);
        assert_eq!((learned.candidates[0].clients.len(), learned.candidates[0].dropped), (2, 3));
    }

    #[test]
    fn hosts_of_keys() {
        for (key, want) in [
            ("https://a.example:443/mcp", "a.example"),
            ("http://[2001:db8::1]:80/x", "2001:db8::1"),
            ("tcp://192.0.2.1:9000", "192.0.2.1"),
            ("dns:mcp.example", "dns"),
            ("", ""),
        ] {
            let candidate = Candidate::new(key.to_owned(), Evidence::Hint, Timestamp::EPOCH);
            assert_eq!(candidate.host(), want);
        }
    }
}
