//! Rolls hits into findings.

mod live;
mod sources;

pub use live::News;
pub use sources::PACKETS;

use std::fmt::Write as _;
use std::hash::{Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{Context, SHA256};

use super::masking::{MAX_OUTPUT_CHARS, mask, mask_value};
use super::{Finding, FlowTuple, Matched, PacketNames};
use crate::decode::TunnelPath;
use crate::exchange::{Provenance, Visibility};
use crate::flow::At;
use crate::mcp::Evidence;
use crate::net::{Endpoint, Scope};
use crate::rules::{RuleInfo, Severity};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// One hit of a rule.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// Severity of this hit.
    pub severity: Severity,
    /// Key of the server.
    pub server_key: String,
    /// Server.
    pub server: Endpoint,
    /// Client.
    pub client: IpAddr,
    /// What a source other than packets knows beside; `None` of packets.
    pub provenance: Option<Provenance>,
    /// How sure it is that the server speaks MCP.
    pub evidence: Evidence,
    /// Verdict on this client's use of the server.
    pub verdict: Verdict,
    /// Name of the approval that decided.
    pub approval: Option<String>,
    /// The ground of the verdict; masked here.
    pub reason: String,
    /// Names and versions of client and server; masked here.
    pub software: Vec<String>,
    /// The packet.
    pub at: At,
    /// The flow.
    pub flow: FlowTuple,
    /// VLANs and tunnels around the flow.
    pub scope: Scope,
    /// Tells findings of the rule apart beyond server and client; 0 when nothing does.
    pub group: u64,
    /// It is about the server: clients do not tell findings apart.
    pub per_server: bool,
    /// Hits that come so long after the first of a finding begin a new one; zero means
    /// [`Limits::window`].
    pub window: Duration,
    /// What happened, one line; masked here.
    pub text: String,
    /// Names and values of what the rule wants to show; masked here.
    pub excerpt: Vec<(String, String)>,
    /// Texts that made the rule match; masked here.
    pub matched: Vec<Matched>,
    /// What [`group`](Self::group) stands for: field and value; masked here.
    pub told_apart: Vec<(String, String)>,
    /// Further packets that it rests on.
    pub rests_on: Vec<u64>,
    /// What the source shows.
    pub visibility: Visibility,
}

/// Bounds. Worst-case memory: `max_findings` × ((`max_excerpts` + `max_matched` + `max_names`) ×
/// 2.4 KiB + 4 KiB), which at the defaults is reached only by rules that quote sixteen full
/// excerpts each time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Hits that come so long after the first of a finding, in packet time, begin a new one.
    pub window: Duration,
    /// So many findings are kept; hits that would begin another are counted and dropped.
    pub max_findings: usize,
    /// So many distinct five-tuples are kept per finding, the first ones.
    pub max_flows: usize,
    /// So many distinct packets are kept per finding, the first ones.
    pub max_packets: usize,
    /// So many excerpts are kept per finding, the first ones; each of at most 512 characters.
    pub max_excerpts: usize,
    /// So many matched texts are kept per finding, the first ones; each of at most 512 characters.
    pub max_matched: usize,
    /// So many names of software, and so many values that tell findings apart, are kept per
    /// finding, the first ones; each of at most 512 characters.
    pub max_names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(3600),
            max_findings: 100_000,
            max_flows: 8,
            max_packets: 16,
            max_excerpts: 16,
            max_matched: 8,
            max_names: 8,
        }
    }
}

/// A hit, as far as it takes to see whether it repeats an earlier one.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// Id of the rule.
    pub rule: &'a str,
    /// Severity of this hit.
    pub severity: Severity,
    /// Key of the server.
    pub server_key: &'a str,
    /// Client.
    pub client: IpAddr,
    /// How sure it is that the server speaks MCP.
    pub evidence: Evidence,
    /// Verdict on this client's use of the server.
    pub verdict: Verdict,
    /// The packet.
    pub at: At,
    /// The flow.
    pub flow: FlowTuple,
    /// See [`Draft::group`].
    pub group: u64,
    /// See [`Draft::per_server`].
    pub per_server: bool,
    /// See [`Draft::provenance`].
    pub provenance: Option<&'a Provenance>,
}

/// What became of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It began a finding.
    New,
    /// It was added to one.
    Repeated,
    /// There is no room for another finding.
    Dropped,
}

/// What makes hits the same: rule, server and (unless it is about the server) client.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    rule: Arc<str>,
    server_key: Arc<str>,
    client: IpAddr,
    group: u64,
}

/// The same, borrowed: must hash as [`Identity`] does.
#[derive(Hash)]
struct IdentityRef<'a> {
    rule: &'a str,
    server_key: &'a str,
    client: IpAddr,
    group: u64,
}

impl hashbrown::Equivalent<Identity> for IdentityRef<'_> {
    fn equivalent(&self, key: &Identity) -> bool {
        *self.rule == *key.rule
            && *self.server_key == *key.server_key
            && self.client == key.client
            && self.group == key.group
    }
}

/// A finding in the making.
#[derive(Debug)]
struct Open {
    finding: Finding,
    group: u64,
    window_start: Timestamp,
    window: Duration,
    packets: Vec<u64>,
    /// Of the first hit.
    scope: Scope,
    /// What was told of it, in a live run.
    told: live::Told,
}

/// Collects hits.
#[derive(Debug)]
pub struct Findings {
    limits: Limits,
    /// All findings, in the order they began.
    open: Vec<Open>,
    /// The latest finding of each identity.
    latest: hashbrown::HashMap<Identity, usize, RandomState>,
    /// Findings with news, in a live run.
    news: Option<Vec<usize>>,
    /// Made when it is first needed.
    by_flow: Option<sources::ByFlow>,
    dropped: u64,
}

impl Default for Findings {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Findings {
    /// An empty collection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let latest = hashbrown::HashMap::with_hasher(RandomState::new());
        Self { limits, open: Vec::new(), latest, news: None, by_flow: None, dropped: 0 }
    }

    /// Number of findings so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Hits dropped because there was no room for their finding.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts a hit that repeats an earlier one and is no worse: nothing but numbers changes.
    /// Answers false for any other, which then has to be [`record`](Self::record)ed.
    pub fn repeat(&mut self, hit: &Hit<'_>) -> bool {
        let limits = self.limits;
        let Some((index, open)) = self.current(hit) else { return false };
        let repeats = hit.severity <= open.finding.severity && !open.changes_verdict(hit);
        if repeats {
            open.repeat(hit, &limits);
            self.name_flow(index, hit.flow);
            self.note(index);
        }
        repeats
    }

    /// Takes a hit that came of learning more about what was counted before: it can begin a
    /// finding or make one worse, but is no further occurrence.
    pub fn revise(&mut self, hit: &Hit<'_>, draft: impl FnOnce() -> Draft) {
        let limits = self.limits;
        let Some((index, open)) = self.current(hit) else {
            self.record(draft());
            return;
        };
        let Finding { severity, evidence, verdict, count, .. } = open.finding;
        if hit.severity > severity || hit.evidence > evidence || hit.verdict > verdict {
            open.add(draft(), &limits);
            open.finding.count = count;
            self.note(index);
        }
    }

    /// The finding that a hit belongs to, and its index.
    fn current(&mut self, hit: &Hit<'_>) -> Option<(usize, &mut Open)> {
        let identity = IdentityRef {
            rule: hit.rule,
            server_key: hit.server_key,
            client: apart(hit.client, hit.per_server),
            group: hit.group,
        };
        let index = *self.latest.get(&identity)?;
        let open = self.open.get_mut(index)?;
        (hit.at.time.since(open.window_start) < open.window).then_some((index, open))
    }

    /// Takes a hit. A hit within the window of its finding is counted there; also one from before
    /// the window, when the clock of the capture stepped back.
    pub fn record(&mut self, draft: Draft) -> Recorded {
        let identity = IdentityRef {
            rule: &draft.rule.id,
            server_key: &draft.server_key,
            client: apart(draft.client, draft.per_server),
            group: draft.group,
        };
        let known = self.latest.get(&identity).copied();
        if let Some(index) = known
            && let Some(open) = self.open.get_mut(index)
            && draft.at.time.since(open.window_start) < open.window
        {
            let flow = draft.flow;
            open.add(draft, &self.limits);
            self.name_flow(index, flow);
            self.note(index);
            return Recorded::Repeated;
        }
        if self.open.len() >= self.limits.max_findings {
            self.dropped = self.dropped.saturating_add(1);
            return Recorded::Dropped;
        }
        let identity = Identity {
            rule: draft.rule.id.as_str().into(),
            server_key: draft.server_key.as_str().into(),
            client: apart(draft.client, draft.per_server),
            group: draft.group,
        };
        let index = self.open.len();
        self.latest.insert(identity, index);
        let flow = draft.flow;
        self.open.push(Open::begin(draft, &self.limits));
        self.name_flow(index, flow);
        self.note(index);
        Recorded::New
    }

    /// The findings, in the order of their first packets, then of rule id, server key and client.
    #[must_use]
    pub fn finish(self, names: &dyn PacketNames) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            self.open.into_iter().map(|open| open.finish(names)).collect();
        findings.sort_by(|a, b| {
            let key = |f: &Finding| (f.first_packet, f.client, f.first_seen);
            let texts = |f: &Finding| (f.rule.id.clone(), f.server_key.clone());
            key(a).0.cmp(&key(b).0).then_with(|| texts(a).cmp(&texts(b))).then(key(a).cmp(&key(b)))
        });
        findings
    }
}

impl Open {
    fn begin(draft: Draft, limits: &Limits) -> Self {
        let At { packet, time } = draft.at;
        let mut finding = Finding {
            id: id(
                &draft.rule.id,
                &draft.server_key,
                apart(draft.client, draft.per_server),
                draft.group,
                time,
            ),
            rule: draft.rule,
            severity: draft.severity,
            evidence: draft.evidence,
            verdict: draft.verdict,
            server_key: draft.server_key,
            server: draft.server,
            client: draft.client,
            per_server: draft.per_server,
            user: None,
            device: None,
            groups: Vec::new(),
            sources: Vec::new(),
            approval: draft.approval,
            reason: mask(&draft.reason),
            software: masked(&draft.software, limits),
            visibility: draft.visibility,
            text: mask(&draft.text),
            excerpt: masked_pairs(draft.excerpt, limits.max_excerpts),
            matched: masked_matches(draft.matched, limits),
            told_apart: masked_pairs(draft.told_apart, limits.max_names),
            count: 1,
            first_seen: time,
            last_seen: time,
            first_packet: packet,
            flows: if limits.max_flows > 0 { vec![draft.flow] } else { Vec::new() },
            packets: Vec::new(),
            tunnels: TunnelPath::default(),
        };
        finding.told_by(draft.provenance.as_ref());
        let mut packets = vec![packet];
        packets.extend(draft.rests_on.iter().filter(|other| **other != packet));
        packets.truncate(limits.max_packets);
        let window = if draft.window.is_zero() { limits.window } else { draft.window };
        let (told, scope) = (live::Told::default(), draft.scope);
        Self { finding, group: draft.group, window_start: time, window, packets, scope, told }
    }

    fn add(&mut self, draft: Draft, limits: &Limits) {
        let hit = Hit {
            rule: &draft.rule.id,
            severity: draft.severity,
            server_key: &draft.server_key,
            client: draft.client,
            evidence: draft.evidence,
            verdict: draft.verdict,
            at: draft.at,
            flow: draft.flow,
            group: draft.group,
            per_server: draft.per_server,
            provenance: draft.provenance.as_ref(),
        };
        let changes_verdict = self.changes_verdict(&hit);
        self.repeat(&hit, limits);
        let finding = &mut self.finding;
        if changes_verdict {
            finding.approval = draft.approval;
            finding.reason = mask(&draft.reason);
        }
        // Names come with the first answers, which may be after the first hit.
        if draft.software.len() > finding.software.len() {
            finding.software = masked(&draft.software, limits);
        }
        if draft.severity > finding.severity {
            finding.severity = draft.severity;
            finding.text = mask(&draft.text);
            if !draft.matched.is_empty() {
                finding.matched = masked_matches(draft.matched, limits);
            }
        }
    }

    /// Whether a hit brings a verdict that the finding takes over: one on better evidence, or a
    /// worse one on the same.
    fn changes_verdict(&self, hit: &Hit<'_>) -> bool {
        let Finding { evidence, verdict, .. } = self.finding;
        hit.verdict != verdict
            && (hit.evidence > evidence || (hit.evidence == evidence && hit.verdict > verdict))
    }

    fn repeat(&mut self, hit: &Hit<'_>, limits: &Limits) {
        let finding = &mut self.finding;
        let At { packet, time } = hit.at;
        finding.count = finding.count.saturating_add(1);
        finding.first_seen = finding.first_seen.min(time);
        finding.last_seen = finding.last_seen.max(time);
        finding.first_packet = finding.first_packet.min(packet);
        if hit.evidence > finding.evidence {
            finding.evidence = hit.evidence;
            finding.verdict = hit.verdict;
        } else if hit.evidence == finding.evidence {
            finding.verdict = finding.verdict.max(hit.verdict);
        }
        if finding.flows.len() < limits.max_flows && !finding.flows.contains(&hit.flow) {
            finding.flows.push(hit.flow);
        }
        if self.packets.len() < limits.max_packets && !self.packets.contains(&packet) {
            self.packets.push(packet);
        }
        finding.told_by(hit.provenance);
    }

    fn finish(mut self, names: &dyn PacketNames) -> Finding {
        self.name_packets(names);
        self.finding
    }

    fn name_packets(&mut self, names: &dyn PacketNames) {
        self.finding.packets = self.packets.iter().filter_map(|p| names.name(*p)).collect();
        self.finding.tunnels = names.path(self.scope).cloned().unwrap_or_default();
    }
}

/// Texts, masked and bounded.
fn masked(texts: &[String], limits: &Limits) -> Vec<String> {
    texts.iter().take(limits.max_names).map(|text| mask(text)).collect()
}

/// Names and values, the values masked, both bounded.
fn masked_pairs(pairs: Vec<(String, String)>, most: usize) -> Vec<(String, String)> {
    let masked = |(name, value): (String, String)| {
        let value = mask_value(&name, &value);
        (name.chars().take(MAX_OUTPUT_CHARS).collect(), value)
    };
    pairs.into_iter().take(most).map(masked).collect()
}

/// Matched texts, masked and bounded.
fn masked_matches(matched: Vec<Matched>, limits: &Limits) -> Vec<Matched> {
    let masked = |matched: Matched| {
        let text = mask_value(&matched.field, &matched.text);
        Matched { text, ..matched }
    };
    matched.into_iter().take(limits.max_matched).map(masked).collect()
}

/// The first 16 bytes of a SHA-256 over rule, server, client and the start of the window, as hex.
/// Lengths keep the parts apart.
/// The client, where it tells findings apart.
const fn apart(client: IpAddr, per_server: bool) -> IpAddr {
    if per_server { IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED) } else { client }
}

fn id(rule: &str, server_key: &str, client: IpAddr, group: u64, window_start: Timestamp) -> String {
    let mut hash = Context::new(&SHA256);
    let client = client.to_string();
    let start = window_start.as_nanos().to_string();
    let group = if group == 0 { String::new() } else { group.to_string() };
    let grouped = (!group.is_empty()).then_some(group.as_str());
    for part in [rule, server_key, client.as_str(), start.as_str()].into_iter().chain(grouped) {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finish().as_ref().iter().take(16).fold(String::with_capacity(32), |mut out, byte| {
        _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
pub(super) mod tests;
