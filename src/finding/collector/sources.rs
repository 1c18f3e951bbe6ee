//! Who told of a finding, and what else is known by that.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Findings, Limits, Open};
use crate::exchange::Provenance;
use crate::finding::{Finding, FlowTuple, mask};
use crate::flow::At;

/// Name of the source that packets are.
pub const PACKETS: &str = "packets";

/// Sources and groups kept of a finding, each.
const MAX_SOURCES: usize = 8;

/// Findings by the flows that they name.
pub(super) type ByFlow = HashMap<FlowTuple, Vec<usize>>;

impl Finding {
    /// Takes over what a source knows. The first one that names a user counts.
    pub(super) fn told_by(&mut self, provenance: Option<&Provenance>) {
        let name = provenance.map_or(PACKETS, |provenance| &*provenance.source);
        let has_room = self.sources.len() < MAX_SOURCES;
        if has_room && !self.sources.iter().any(|source| **source == *name) {
            let name = provenance.map_or_else(|| PACKETS.into(), |known| Arc::clone(&known.source));
            self.sources.push(name);
        }
        let Some(Provenance { user, device, groups, .. }) = provenance else { return };
        if self.user.is_none() {
            self.user = user.as_deref().map(mask);
            self.groups = groups.iter().take(MAX_SOURCES).map(|group| mask(group)).collect();
        }
        if self.device.is_none() {
            self.device = device.as_deref().map(mask);
        }
    }
}

impl Findings {
    /// Another source tells of an exchange of a flow that findings name: that source stands beside
    /// the first, and nothing is counted again.
    pub fn corroborate(&mut self, flow: FlowTuple, at: At, provenance: &Provenance) {
        let by_flow = self.by_flow.take().unwrap_or_else(|| index(&self.open));
        for at_index in by_flow.get(&flow).into_iter().flatten() {
            if let Some(open) = self.open.get_mut(*at_index) {
                open.corroborate(at, provenance, &self.limits);
            }
        }
        self.by_flow = Some(by_flow);
    }

    /// A finding names another flow.
    pub(super) fn name_flow(&mut self, finding: usize, flow: FlowTuple) {
        if let Some(by_flow) = &mut self.by_flow {
            let known = by_flow.entry(flow).or_default();
            if !known.contains(&finding) {
                known.push(finding);
            }
        }
    }

    /// A finding left its place, for another place or for good.
    pub(super) fn moved(&mut self, flows: &[FlowTuple], from: usize, to: Option<usize>) {
        let Some(by_flow) = &mut self.by_flow else { return };
        for flow in flows {
            let Some(known) = by_flow.get_mut(flow) else { continue };
            known.retain(|index| *index != from);
            known.extend(to);
            if known.is_empty() {
                by_flow.remove(flow);
            }
        }
    }
}

fn index(open: &[Open]) -> ByFlow {
    let mut by_flow = ByFlow::new();
    for (number, open) in open.iter().enumerate() {
        for flow in &open.finding.flows {
            by_flow.entry(*flow).or_default().push(number);
        }
    }
    by_flow
}

impl Open {
    fn corroborate(&mut self, at: At, provenance: &Provenance, limits: &Limits) {
        self.finding.told_by(Some(provenance));
        if self.packets.len() < limits.max_packets && !self.packets.contains(&at.packet) {
            self.packets.push(at.packet);
        }
    }
}
