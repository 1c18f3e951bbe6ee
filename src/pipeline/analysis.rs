//! Observations into the inventory, rule matches, verdicts and findings. One for the whole run, fed
//! in packet order.

mod told;

use std::collections::HashSet;
use std::net::IpAddr;

use super::contacts::{Contacts, with_subjects};
use super::flows::{Ended, Flows};
use super::gate::Gate;
use super::hints::{Handshake, Hints, Judged, Relayed};
use super::joins::{Joined, Joins};
use super::legs::{Admitted, Legs};
use super::lore::Lore;
use super::place::{Place, TCP, UDP};
use super::sample::Sample;
use super::tuned::Desk;
use crate::exchange::Carrier;
use crate::finding::{self, Findings};
use crate::flow::At;
use crate::intake::Verdict;
use crate::mcp::inventory::{self, EncryptedUse, Inventory, Occasion, Resolved, Server, ServerId};
use crate::memory::Memory;
use crate::observation::{Event, ExchangeId, Observation};
use crate::rules::catalog::Catalog;
use crate::rules::tuning::{Counts, TuningState};
use crate::rules::{Lane, RuleSet, Scratch, Subject};
use crate::time::Timestamp;
use crate::verdict::Approvals;
use told::wants_flows;
pub(super) use told::{Listener, Tell, Told};

/// What a run is judged by.
#[derive(Debug)]
pub struct Policy {
    /// The rules.
    pub rules: RuleSet,
    /// The approvals.
    pub approvals: Approvals,
    /// The catalog of public MCP hosts.
    pub catalog: Catalog,
    /// Rules of this lane and those beyond it make findings.
    pub lane: Lane,
}
/// What an analysis knows, whatever the policy.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) inventory: Inventory,
    pub(super) findings: Findings,
    hints: Hints,
    pub(super) flows: Flows,
    legs: Legs,
    named: HashSet<ServerId>,
    lore: Lore,
    tuning: TuningState,
    joins: Joins,
}

impl Known {
    /// Nothing yet; findings are those of a live run.
    #[must_use]
    pub(super) fn live(inventory: inventory::Limits, findings: finding::Limits) -> Self {
        Self {
            inventory: Inventory::new(inventory),
            findings: Findings::live(findings),
            hints: Hints::default(),
            flows: Flows::default(),
            legs: Legs::default(),
            named: HashSet::new(),
            lore: Lore::default(),
            tuning: TuningState::default(),
            joins: Joins::default(),
        }
    }

    /// The same, with what earlier runs taught.
    #[must_use]
    pub(super) fn with_memory(mut self, memory: Memory) -> Self {
        self.lore = Lore::new(memory);
        self
    }

    /// What is to be kept for the next run.
    pub(super) fn into_parts(self) -> (Inventory, Memory) {
        (self.inventory, self.lore.into_memory())
    }
}

/// The analysis of a run.
#[derive(Debug)]
pub struct Analysis<'p> {
    policy: &'p Policy,
    inventory: Inventory,
    findings: Findings,
    scratch: Scratch,
    contacts: Contacts,
    resolved: Vec<Resolved>,
    hints: Hints,
    flows: Flows,
    legs: Legs,
    admitted: Vec<Admitted>,
    /// Servers whose addresses were looked up in what DNS gave.
    named: HashSet<ServerId>,
    lore: Lore,
    tuning: TuningState,
    joins: Joins,
    gate: Gate,
    /// Keeps some of the subjects, when somebody wants to measure rules on them.
    pub(super) sample: Option<Sample>,
}

impl<'p> Analysis<'p> {
    /// An analysis by a policy.
    #[must_use]
    pub fn new(
        policy: &'p Policy,
        inventory: inventory::Limits,
        findings: finding::Limits,
    ) -> Self {
        Self {
            policy,
            inventory: Inventory::new(inventory),
            findings: Findings::new(findings),
            scratch: Scratch::default(),
            contacts: Contacts::default(),
            resolved: Vec::new(),
            hints: Hints::default(),
            flows: Flows::default(),
            legs: Legs::default(),
            admitted: Vec::new(),
            named: HashSet::new(),
            lore: Lore::default(),
            tuning: TuningState::default(),
            joins: Joins::default(),
            gate: Gate::default(),
            sample: None,
        }
    }

    /// The same, with what earlier runs taught.
    #[must_use]
    pub fn with_memory(mut self, memory: Memory) -> Self {
        self.lore = Lore::new(memory);
        self
    }

    /// What is remembered of servers.
    #[must_use]
    pub const fn memory(&self) -> &Memory {
        self.lore.memory()
    }

    /// What exceptions and thresholds took, in words: nothing when they took nothing.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let counts = self.tuning_counts();
        let mut remarks = counts.remarks();
        let matches = |count| match count {
            1 => "1 match".to_owned(),
            more => format!("{more} matches"),
        };
        if counts.excepted() > 0 {
            remarks.push(format!("exceptions took {}", matches(counts.excepted())));
        }
        if counts.held_back() > 0 {
            remarks.push(format!("thresholds held {} back", matches(counts.held_back())));
        }
        remarks
    }

    /// What exceptions, thresholds and correlations did.
    pub(super) fn tuning_counts(&self) -> Counts<'_> {
        self.tuning.counts(self.policy.rules.tuning())
    }

    /// Takes in one observation. A request that may be a proxy's own is held back for a moment.
    pub fn observe(&mut self, observation: Observation) {
        self.observe_telling(observation, &mut None);
    }

    /// The same; `tell` is told of messages as they are taken in.
    pub(super) fn observe_telling(&mut self, observation: Observation, tell: &mut Tell<'_>) {
        let now = observation.at.time;
        if self.gate.concerns(&observation) {
            // What is asked about is judged, whoever told of it before.
            self.joins.own(&observation);
        } else if let Joined::With { flow, provenance, at } = self.joins.admit(&observation) {
            // The name that the line gave of it is no hint either.
            self.hints.is_read(observation.flow);
            self.findings.corroborate(flow, at, &provenance);
            return;
        }
        match observation.event {
            Event::Tls { .. } | Event::Dns { .. } => self.names(observation),
            Event::Anomaly { .. } => self.take_in(observation, tell),
            Event::Flow { client, server, scope, end } => {
                let flow = observation.flow;
                self.flow_ended(Ended { flow, client, server, scope, end }, now, tell);
            }
            _ => {
                let proves = observation.event.shows_enough();
                let hello = proves.then(|| self.hints.is_read(observation.flow)).flatten();
                if wants_flows(tell) {
                    self.flows.greeted(observation.flow, hello.as_ref());
                }
                self.legs.admit(observation, &mut self.admitted);
                self.take_in_admitted(tell);
            }
        }
        self.judge_hints(now, false, tell);
        self.decide_flows(now, false, tell);
    }

    /// Other sources than packets tell too: what they tell of the same exchanges is one.
    pub(super) fn expect_other_sources(&mut self) {
        self.joins.activate();
    }

    /// No more packets come: judges what waits for some of them.
    pub(super) fn packets_are_over(&mut self, tell: &mut Tell<'_>) {
        self.settle(tell);
        self.judge_hints(Timestamp::EPOCH, true, tell);
    }

    /// Lets go what was held back: nothing more will come that bears on it.
    pub(super) fn settle(&mut self, tell: &mut Tell<'_>) {
        self.legs.finish(&mut self.admitted);
        self.take_in_admitted(tell);
    }

    /// Goes on under another policy with what is known already.
    #[must_use]
    pub(super) fn resume(policy: &'p Policy, known: Known) -> Self {
        let Known { inventory, findings, mut hints, flows, legs, named, lore, mut tuning, joins } =
            known;
        tuning.keep_only(policy.rules.tuning());
        hints.forget_interests();
        Self {
            policy,
            inventory,
            findings,
            scratch: Scratch::default(),
            contacts: Contacts::default(),
            resolved: Vec::new(),
            hints,
            flows,
            legs,
            admitted: Vec::new(),
            named,
            lore,
            tuning,
            joins,
            gate: Gate::default(),
            sample: None,
        }
    }

    /// What is known, whatever the policy.
    #[must_use]
    pub(super) fn into_known(self) -> Known {
        let Self { inventory, findings, hints, flows, legs, named, lore, tuning, joins, .. } = self;
        Known { inventory, findings, hints, flows, legs, named, lore, tuning, joins }
    }

    /// What is observed from now on of an exchange is to be let through or refused.
    pub(super) fn decide_on(&mut self, exchange: ExchangeId) {
        self.gate.ask(exchange);
    }

    /// Whether to refuse it, by what was observed since.
    pub(super) fn decided(&mut self) -> Verdict {
        let (verdict, finding) = self.gate.answer();
        if let Some(draft) = finding.filter(|draft| draft.rule.lane >= self.policy.lane) {
            self.findings.record(draft);
        }
        verdict
    }

    /// Time passes without observations: judges what was kept back for a while.
    pub(super) fn advance(&mut self, now: Timestamp, tell: &mut Tell<'_>) {
        self.legs.advance(now, &mut self.admitted);
        self.take_in_admitted(tell);
        self.judge_hints(now, false, tell);
        self.inventory.advance(now, &mut self.resolved);
        self.judge_resolved();
        self.decide_flows(now, false, tell);
    }

    /// Findings so far, to be told and closed.
    pub(super) const fn findings_mut(&mut self) -> &mut Findings {
        &mut self.findings
    }

    /// The capture is over.
    pub fn finish(&mut self, at: At) {
        self.finish_telling(at, &mut None);
    }

    /// The same; `tell` is told of what was held back, and of flows that were undecided.
    pub(super) fn finish_telling(&mut self, at: At, tell: &mut Tell<'_>) {
        self.settle(tell);
        self.judge_hints(at.time, true, tell);
        self.inventory.finish(at, &mut self.resolved);
        self.judge_resolved();
        self.decide_flows(at.time, true, tell);
        self.name_all();
    }

    fn take_in_admitted(&mut self, tell: &mut Tell<'_>) {
        let mut admitted = std::mem::take(&mut self.admitted);
        for one in admitted.drain(..) {
            match one {
                Admitted::Observation(observation) => self.take_in(observation, tell),
                Admitted::Reassigned { old, new } => self.inventory.reassign(&old, &new),
            }
        }
        self.admitted = admitted;
    }

    fn take_in(&mut self, observation: Observation, tell: &mut Tell<'_>) {
        let now = observation.at.time;
        let is_message = matches!(observation.event, Event::Message { .. });
        let wanted = tell.as_ref().is_some_and(|listener| listener.messages);
        let asked = self.gate.concerns(&observation);
        let copy = (asked || (wanted && is_message)).then(|| observation.clone());
        let user = observation.event.client().filter(|_| wanted).map(|ip| (observation.flow, ip));
        let server = self.inventory.observe(observation, &mut self.resolved);
        if let Some(server) = server {
            self.name(server, now);
        }
        self.judge_resolved();
        if let (true, Some(asked), Some(id)) = (asked, &copy, server) {
            let Self { policy, inventory, contacts, scratch, gate, .. } = self;
            gate.judge(policy, inventory, contacts, scratch, id, asked);
        }
        if let (Some(listener), Some(id)) = (tell, server)
            && let Some(server) = self.inventory.server(id)
        {
            if let Some((flow, client)) = user {
                self.flows.led(flow, client, id, server.is_mcp());
            }
            (listener.each)(Told::TakenIn(copy.as_ref(), id, server));
        }
    }

    /// Takes in a handshake or a DNS message.
    fn names(&mut self, observation: Observation) {
        let Observation { flow, at, event } = observation;
        match event {
            Event::Tls { client, server, scope, tunnel, hello, answer, provenance } => {
                let step = Handshake {
                    flow,
                    at,
                    client,
                    server,
                    scope,
                    tunnel,
                    hello,
                    answer,
                    provenance,
                };
                if let Some(Relayed { key, server, at }) = self.hints.handshake(step) {
                    self.inventory.relayed(&key, server, at);
                }
            }
            Event::Dns { client, server, message, provenance } => {
                let ends = [client, server];
                let found = self.hints.look_up(self.policy, ends, message, at);
                let place = Place::of_names(ends, UDP, &found.standing, at);
                let place = place.told_by(provenance.as_deref());
                self.evaluate(&Subject::dns(&found), &place);
            }
            _ => {}
        }
    }

    /// Judges handshakes that have waited long enough; all of them at the end.
    fn judge_hints(&mut self, now: Timestamp, all: bool, tell: &mut Tell<'_>) {
        while let Some(judged) = self.hints.next(self.policy, now, all) {
            let Judged { flow, at, scope, tls, provenance, is_hint, ended } = judged;
            let is_quic = tls.hello.as_ref().is_some_and(|h| h.carrier == Carrier::Quic);
            let ends = [tls.client, tls.server];
            let protocol = if is_quic { UDP } else { TCP };
            let proxy = tls.tunnel.as_ref().map(|_| tls.server.ip);
            let place = Place::of_names(ends, protocol, &tls.standing, at);
            let place = place.through(proxy).within(scope).told_by(provenance.as_deref());
            self.evaluate(&Subject::tls(&tls), &place);
            if is_hint && let Some(host) = tls.standing.host.as_deref() {
                let id = self.inventory.encrypted(&EncryptedUse {
                    host,
                    port: tls.port,
                    client: tls.client,
                    server: tls.server,
                    via_proxy: tls.tunnel.is_some(),
                    hello: tls.hello.as_deref(),
                    answer: tls.answer.as_deref(),
                    at,
                });
                if let Some(id) = id.filter(|_| wants_flows(tell)) {
                    self.flows.led(flow, tls.client.ip, id, false);
                    self.flows.greeted(flow, tls.hello.as_ref());
                }
            }
            if let Some(ended) = ended {
                self.decide_flow(*ended, tell);
            }
        }
    }

    fn evaluate(&mut self, subject: &Subject<'_>, place: &Place<'_>) {
        let Self { policy, findings, tuning, scratch, lore, sample, .. } = self;
        if let Some(sample) = sample {
            sample.offer(subject);
        }
        Desk { policy, findings, tuning, scratch }.judge(subject, place, lore.memory(), false);
    }

    /// Gives a server without a name those that DNS gave for its address, when it is first met.
    fn name(&mut self, id: ServerId, now: Timestamp) {
        /// Servers remembered as named; more are all named again.
        const MAX_NAMED: usize = 65_536;
        if self.named.contains(&id) {
            return;
        }
        if self.named.len() >= MAX_NAMED {
            self.named.clear();
        }
        self.named.insert(id);
        if let Some(address) = self.inventory.server(id).and_then(literal) {
            let names = self.hints.names().of(address, now);
            self.inventory.name(id, names.map(ToString::to_string));
        }
    }

    /// The same for all of them, with names that were learnt later.
    fn name_all(&mut self) {
        let servers = self.inventory.servers().into_iter();
        let literals: Vec<_> =
            servers.filter_map(|(id, server)| Some((id, literal(server)?))).collect();
        for (id, address) in literals {
            let names = self.hints.names().ever(address);
            self.inventory.name(id, names.map(ToString::to_string));
        }
    }

    /// The inventory.
    #[must_use]
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Findings so far.
    #[must_use]
    pub const fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Ends the analysis.
    #[must_use]
    pub fn into_parts(self) -> (Inventory, Findings, Memory) {
        (self.inventory, self.findings, self.lore.into_memory())
    }

    fn judge_resolved(&mut self) {
        let mut resolved = std::mem::take(&mut self.resolved);
        for resolved in resolved.drain(..) {
            let Self {
                policy, inventory, contacts, lore, sample, findings, tuning, scratch, ..
            } = self;
            // More is known of something that was counted when it happened.
            let is_news = matches!(resolved, Resolved::Contact { occasion: Occasion::Changed, .. });
            let mut desk = Desk { policy, findings, tuning, scratch };
            with_subjects(
                policy,
                inventory,
                contacts,
                lore,
                &resolved,
                |subject, place, memory| {
                    if let Some(sample) = sample {
                        sample.offer(subject);
                    }
                    desk.judge(subject, place, memory, is_news);
                },
            );
        }
        self.resolved = resolved;
    }
}

/// The address that stands for the host of a server's key.
fn literal(server: &Server) -> Option<IpAddr> {
    server.key.host.parse().ok()
}
