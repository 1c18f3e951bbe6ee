//! Whether a request may go on: asked before its server has it.

use std::sync::Arc;

use super::analysis::Policy;
use super::contacts::{Contacts, with_request};
use super::place::draft;
use crate::finding::Draft;
use crate::flow::At;
use crate::intake::{Refusal, Verdict};
use crate::mcp::Evidence;
use crate::mcp::inventory::{Inventory, ServerId};
use crate::net::Direction;
use crate::observation::{Event, ExchangeId, Observation};
use crate::rules::{Lane, Match, Scratch};

/// The question that is open.
#[derive(Debug, Default)]
pub(super) struct Gate {
    exchange: Option<ExchangeId>,
    refusal: Option<Refused>,
    /// Its server has proved itself: what becomes of the request is a finding anyway.
    is_proved: bool,
}

/// The worst match so far.
#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    draft: Draft,
}

impl Gate {
    /// From now on it is about this exchange.
    pub(super) fn ask(&mut self, exchange: ExchangeId) {
        *self = Self { exchange: Some(exchange), ..Self::default() };
    }

    /// The answer, and the finding that it is where nothing else will make it one: a server that
    /// never gets a request never proves what it is. Nothing is asked any more.
    pub(super) fn answer(&mut self) -> (Verdict, Option<Draft>) {
        let Self { refusal, is_proved, .. } = std::mem::take(self);
        match refusal {
            Some(Refused { refusal, draft }) => (Some(refusal), (!is_proved).then_some(draft)),
            None => (None, None),
        }
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
        let known = inventory.server(server).map(|server| server.evidence);
        self.is_proved = known >= Some(Evidence::Parsed);
        with_request(policy, inventory, contacts, server, observation, |subject, place| {
            policy.rules.evaluate(subject, scratch, |found| {
                let known = self.refusal.as_ref().map(|known| known.refusal.severity);
                if decides(policy, &found, at) && known.is_none_or(|known| found.severity > known) {
                    let draft = draft(&found, place);
                    self.refusal = Some(Refused { refusal: refusal(&found, &draft), draft });
                }
            });
        });
    }
}

fn refusal(found: &Match<'_, '_>, draft: &Draft) -> Refusal {
    Refusal {
        rule: Arc::clone(&found.rule.info),
        severity: draft.severity,
        text: crate::finding::mask(&draft.text),
    }
}

/// Rules that wait for the response would take what has not come yet for what never comes.
fn decides(policy: &Policy, found: &Match<'_, '_>, at: At) -> bool {
    found.rule.info.lane == Lane::Enforce
        && !found.rule.waits_for_response()
        && !policy.rules.tuning().excepts(found, at.time)
}
