//! Matches of rules as hits of findings: where, by whom, how sure.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::exchange::{Provenance, Visibility};
use crate::finding::severity::{self, Outcome, Reach};
use crate::finding::{Draft, FlowTuple, Hit};
use crate::flow::At;
use crate::fnv::Fnv;
use crate::mcp::{Contact, Evidence};
use crate::net::{Endpoint, Scope};
use crate::observation::RequestInfo;
use crate::rules::tuning::Raised;
use crate::rules::{Match, RuleInfo, Severity, Standing};
use crate::verdict::Verdict;

/// Where a subject was seen: what findings say of it, whatever the rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    at: At,
    /// Key of the server.
    key: &'a str,
    server: Endpoint,
    client: IpAddr,
    /// The packets' own ends.
    flow: FlowTuple,
    scope: Scope,
    evidence: Evidence,
    verdict: Verdict,
    visibility: Visibility,
    /// The explicit proxy in between.
    proxy: Option<IpAddr>,
    /// What the inventory and the approvals say; `None` where only names were seen.
    contact: Option<&'a Contact>,
    /// How what was seen ended.
    outcome: Outcome,
    /// What a source other than packets knows beside.
    provenance: Option<&'a Provenance>,
}

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

impl<'a> Place<'a> {
    pub(super) fn of(request: &'a RequestInfo, at: At, contact: &'a Contact) -> Self {
        let client = request.via.unwrap_or(request.client);
        Self {
            at,
            key: &contact.key,
            server: request.server,
            client: request.client.ip,
            flow: FlowTuple { client, server: request.server, protocol: TCP },
            scope: request.scope,
            evidence: contact.evidence,
            verdict: contact.verdict,
            visibility: request.visibility,
            proxy: contact.proxy,
            contact: Some(contact),
            outcome: Outcome::Unknown,
            provenance: request.provenance.as_deref(),
        }
    }

    pub(super) const fn at(&self) -> At {
        self.at
    }

    pub(super) const fn key(&self) -> &'a str {
        self.key
    }

    pub(super) const fn client(&self) -> IpAddr {
        self.client
    }

    /// The same, in a VLAN or tunnel.
    pub(super) const fn within(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The same, through an explicit proxy.
    pub(super) const fn through(mut self, proxy: Option<IpAddr>) -> Self {
        self.proxy = proxy;
        self
    }

    /// Of a subject of which only names were seen.
    pub(super) fn of_names(
        [client, server]: [Endpoint; 2],
        protocol: u8,
        standing: &'a Standing,
        at: At,
    ) -> Self {
        Self {
            at,
            key: standing.key.as_str(),
            server,
            client: client.ip,
            flow: FlowTuple { client, server, protocol },
            scope: Scope::default(),
            evidence: Evidence::Hint,
            verdict: if standing.approved { Verdict::Approved } else { Verdict::Undetermined },
            visibility: Visibility::Tls,
            proxy: None,
            contact: None,
            outcome: Outcome::Unknown,
            provenance: None,
        }
    }

    /// The same, told by a source other than packets.
    pub(super) const fn told_by(mut self, provenance: Option<&'a Provenance>) -> Self {
        self.provenance = provenance;
        self
    }

    /// The same, of something that ended so.
    pub(super) const fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// What bears on the severity of its hits.
    fn standing(&self) -> severity::Standing {
        let server = match self.proxy {
            None if !self.server.ip.is_unspecified() => Some(self.server.ip),
            // The address is the proxy's or not known, unless the key has the server's own.
            _ => self.contact.and_then(|contact| contact.host.parse().ok()),
        };
        severity::Standing {
            verdict: self.verdict,
            direction: server.map_or(Reach::Inside, |ip| Reach::between(self.client, ip)),
            outcome: match self.provenance {
                Some(Provenance { blocked: true, .. }) => Outcome::Refused,
                _ => self.outcome,
            },
        }
    }
}

fn severity_of(found: &Match<'_, '_>, place: &Place<'_>) -> Severity {
    severity::adjust(found.severity, &found.rule.context, place.standing())
}

pub(super) fn hit<'a>(found: &'a Match<'_, '_>, place: &'a Place<'_>) -> Hit<'a> {
    Hit {
        rule: &found.rule.info.id,
        severity: severity_of(found, place),
        server_key: place.key,
        client: place.client,
        evidence: place.evidence,
        verdict: place.verdict,
        at: place.at,
        flow: place.flow,
        group: group(found),
        per_server: found.rule.group.per_server,
        provenance: place.provenance,
    }
}

pub(super) fn draft(found: &Match<'_, '_>, place: &Place<'_>) -> Draft {
    /// Name under which every finding keeps the proxy, whatever its rule keeps.
    const PROXY: &str = "server.proxy";
    let mut excerpt = found.excerpt();
    if let Some(proxy) = place.proxy
        && !excerpt.iter().any(|(name, _)| name == PROXY)
    {
        excerpt.push((PROXY.to_owned(), proxy.to_string()));
    }
    Draft {
        severity: severity_of(found, place),
        group: group(found),
        per_server: found.rule.group.per_server,
        window: found.rule.group.window,
        text: found.text(),
        excerpt,
        matched: found.matched(),
        told_apart: found.group(),
        ..of_place(&found.rule.info, place, place.key)
    }
}

/// What a correlation, or an exception beyond its ceiling, makes a finding of; the rest is as for
/// the match that made it fire.
pub(super) fn raised(fired: Raised<'_>, place: &Place<'_>) -> Draft {
    Draft {
        severity: fired.severity,
        client: fired.client,
        group: fired.group,
        window: fired.window,
        text: fired.text,
        excerpt: fired.excerpt,
        rests_on: fired.packets,
        ..of_place(fired.info, place, &fired.server_key)
    }
}

/// What the place says of a finding about a server: what is known of the contact counts when it is
/// that server's.
fn of_place(rule: &Arc<RuleInfo>, place: &Place<'_>, server_key: &str) -> Draft {
    let contact = place.contact.filter(|_| server_key == place.key);
    Draft {
        rule: Arc::clone(rule),
        severity: Severity::Info,
        server_key: server_key.to_owned(),
        server: place.server,
        client: place.client,
        provenance: place.provenance.cloned(),
        evidence: place.evidence,
        verdict: place.verdict,
        approval: contact.and_then(|contact| contact.approval.clone()),
        reason: contact.map(|contact| contact.reason.clone()).unwrap_or_default(),
        software: contact.map(|contact| contact.software.clone()).unwrap_or_default(),
        at: place.at,
        flow: place.flow,
        scope: place.scope,
        group: 0,
        per_server: false,
        window: Duration::ZERO,
        text: String::new(),
        excerpt: Vec::new(),
        matched: Vec::new(),
        told_apart: Vec::new(),
        rests_on: Vec::new(),
        visibility: place.visibility,
    }
}

/// What tells findings of a rule apart beyond server and client, as a number that is the same in
/// every run; 0 when the rule names nothing.
fn group(found: &Match<'_, '_>) -> u64 {
    if found.rule.group.by.is_empty() {
        return 0;
    }
    let mut hash = Fnv::default();
    found.hash_group(&mut hash);
    hash.finish().max(1)
}
