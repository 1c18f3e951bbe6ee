//! Who is told of messages and flows, and when flows are.

use super::Analysis;
use crate::mcp::inventory::{Server, ServerId};
use crate::observation::Observation;
use crate::pipeline::flows::{Ended, Whole};
use crate::time::Timestamp;

/// Who is told of what was taken in.
pub(in crate::pipeline) struct Listener<'t> {
    /// Messages and flows are wanted, and copied for it.
    pub(in crate::pipeline) messages: bool,
    /// Gets what there is to tell.
    pub(in crate::pipeline) each: &'t mut dyn FnMut(Told<'_>),
}

/// What a listener is told.
pub(in crate::pipeline) enum Told<'a> {
    /// Something was taken in: the message, if it was one, and the server that it was about.
    TakenIn(Option<&'a Observation>, ServerId, &'a Server),
    /// A flow is over that led to a server of interest.
    Flow(Whole<'a>),
}

/// Perhaps somebody is told.
pub(in crate::pipeline) type Tell<'t> = Option<Listener<'t>>;

/// Whether somebody wants to know of flows.
pub(super) fn wants_flows(tell: &Tell<'_>) -> bool {
    tell.as_ref().is_some_and(|listener| listener.messages)
}

impl Analysis<'_> {
    /// Tells of a flow that is over, or lets it wait until it is decided.
    pub(super) fn flow_ended(&mut self, ended: Ended, now: Timestamp, tell: &mut Tell<'_>) {
        if !wants_flows(tell) {
            return;
        }
        let Some(ended) = self.tell_flow(ended, tell) else { return };
        let Some(ended) = self.hints.keep(ended) else { return };
        if ended.is_sealed() {
            self.flows.forget(ended.flow);
        } else {
            self.flows.wait(ended, now);
        }
    }

    /// Decides flows that have waited long enough; all of them at the end.
    pub(super) fn decide_flows(&mut self, now: Timestamp, all: bool, tell: &mut Tell<'_>) {
        while let Some(ended) = self.flows.next(now, all) {
            self.decide_flow(ended, tell);
        }
    }

    /// Tells of a flow now or never.
    pub(super) fn decide_flow(&mut self, ended: Ended, tell: &mut Tell<'_>) {
        if let Some(ended) = self.tell_flow(ended, tell) {
            self.flows.forget(ended.flow);
        }
    }

    fn tell_flow(&mut self, ended: Ended, tell: &mut Tell<'_>) -> Option<Ended> {
        let Some(listener) = tell else { return Some(ended) };
        self.flows.tell(&self.inventory, ended, &mut |whole| (listener.each)(Told::Flow(whole)))
    }
}
