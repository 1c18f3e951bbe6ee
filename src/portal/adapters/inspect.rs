//! The guard, as the hub asks it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::portal::guard::{self, Guard, Outcome, Part, Place, Verdict as Said};
use crate::portal::hub::parts::{Call, Inspect, Inspected, Kind, Refusal, Verdict};
use crate::portal::identity::Clock;

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) guard: Guard,
    /// By id of the server.
    pub(super) places: Arc<HashMap<Arc<str>, Place>>,
    pub(super) clock: Clock,
}

impl Watch {
    fn ask(&self, call: &Call, ask: impl FnOnce(&guard::Call<'_>) -> Outcome) -> Inspected {
        let Some(place) = self.places.get(&call.server) else {
            let what = "refused: the server is not known any more";
            let verdict = Verdict::Blocked(Refusal::new("server", what));
            return Inspected { verdict, ..Inspected::default() };
        };
        let outcome = ask(&guard::Call {
            who: &call.principal,
            client: Some(call.from.address),
            user_agent: call.from.user_agent.as_deref(),
            server: &call.server,
            place,
            method: &call.method,
            name: Some(&*call.name).filter(|_| call.kind != Kind::Method),
            params: call.params.as_deref(),
            param_headers: &call.param_headers,
            at: self.clock.now(),
        });
        let verdict = match outcome.verdict {
            Said::Pass => Verdict::Pass,
            Said::Changed(raw) => Verdict::Changed(raw),
            Said::Blocked(blocked) => {
                let refusal = Refusal::new(&blocked.kind, &blocked.error().message);
                let id = blocked.refusal.as_ref().map(|of| Arc::from(of.rule.id.as_str()));
                Verdict::Blocked(Refusal { id, contact: blocked.contact, ..refusal })
            }
        };
        Inspected {
            verdict,
            param_headers: outcome.param_headers,
            found: outcome.findings,
            rules: outcome.rules,
        }
    }
}

impl Inspect for Watch {
    fn request(&self, call: &Call) -> Inspected {
        self.ask(call, |call| self.guard.request(call))
    }

    fn heard(&self, call: &Call, part: Part<'_>) -> Inspected {
        self.ask(call, |call| self.guard.heard(call, part))
    }
}
