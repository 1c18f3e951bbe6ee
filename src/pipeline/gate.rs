//! Whether a request may go on: asked before its server has it.

use std::sync::Arc;

use super::analysis::Policy;
use super::contacts::{Contacts, with_request};
use crate::flow::At;
use crate::intake::{Refusal, Verdict};
use crate::mcp::inventory::{Inventory, ServerId};
use crate::net::Direction;
use crate::observation::{Event, ExchangeId, Observation};
use crate::rules::{Lane, Match, Scratch};

/// The question that is open.
#[derive(Debug, Default)]
pub(super) struct Gate {
    exchange: Option<ExchangeId>,
    refusal: Verdict,
}

impl Gate {
    /// From now on it is about this exchange.
    pub(super) fn ask(&mut self, exchange: ExchangeId) {
        *self = Self { exchange: Some(exchange), refusal: None };
    }

    /// The answer; nothing is asked any more.
    pub(super) fn answer(&mut self) -> Verdict {
        std::mem::take(self).refusal
    }

    /// Whether what was observed is what is asked about.
    pub(super) fn concerns(&self, observation: &Observation) -> bool {
        self.exchange.is_some()
            && match &observation.event {
                Event::Message { request, direction: Direction::ToServer, .. } => {
                    Some(request.id) == self.exchange
                }
                _ => false,
            }
    }

    /// Looks for the worst match of a rule of the enforce lane that can decide by the request.
    pub(super) fn judge(
        &mut self,
        policy: &Policy,
        inventory: &Inventory,
        contacts: &mut Contacts,
        scratch: &mut Scratch,
        server: ServerId,
        observation: &Observation,
    ) {
        let at = observation.at;
        with_request(policy, inventory, contacts, server, observation, |subject| {
            policy.rules.evaluate(subject, scratch, |found| {
                if decides(policy, &found, at) {
                    self.refuse(&found);
                }
            });
        });
    }

    fn refuse(&mut self, found: &Match<'_, '_>) {
        let is_worse = self.refusal.as_ref().is_none_or(|known| found.severity > known.severity);
        if is_worse {
            self.refusal = Some(Refusal {
                rule: Arc::clone(&found.rule.info),
                severity: found.severity,
                text: crate::finding::mask(&found.text()),
            });
        }
    }
}

/// Rules that wait for the response would take what has not come yet for what never comes.
fn decides(policy: &Policy, found: &Match<'_, '_>, at: At) -> bool {
    found.rule.info.lane == Lane::Enforce
        && !found.rule.waits_for_response()
        && !policy.rules.tuning().excepts(found, at.time)
}
