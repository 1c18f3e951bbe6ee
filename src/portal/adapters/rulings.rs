//! Policy, pins and holds, as the hub asks them.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;

use super::Told;
use crate::finding;
use crate::observation::DefinitionKind;
use crate::portal::holds::{self, Held, Holds, Outcome};
use crate::portal::hub::parts::{Allowed, Call, Kind, Listed, Mark, Refusal, Ruling, Rulings};
use crate::portal::identity::Clock;
use crate::portal::pins::{Event, Pins};
use crate::portal::policy::{
    self, Basis, Circumstances, Decision, Hints, Item, PinState, Policy, Ruling as Decided,
};
use crate::portal::principal::Principal;
use crate::portal::wire::{Members, member};

/// A held call is answered after so long whatever happens, before clients give up by themselves;
/// made again, it finds the approval that was given meanwhile.
const PATIENCE: Duration = Duration::from_secs(50);

/// Things that went and were told of; then all are told again.
const MAX_GONE: usize = 10_000;

pub(super) struct Judge {
    pub(super) policy: Policy,
    pub(super) pins: Pins,
    pub(super) holds: Arc<Holds>,
    pub(super) clock: Clock,
    pub(super) told: Told,
    /// What went, told once: where people have different lists, things come and go all the time.
    pub(super) gone: Mutex<HashSet<String>>,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("policies", &self.policy.len()).finish_non_exhaustive()
    }
}

/// What is pinned of it.
const fn definition(kind: Kind) -> Option<DefinitionKind> {
    match kind {
        Kind::Tool => Some(DefinitionKind::Tool),
        Kind::Prompt => Some(DefinitionKind::Prompt),
        Kind::Resource => Some(DefinitionKind::Resource),
        Kind::Template => Some(DefinitionKind::ResourceTemplate),
        Kind::Method => None,
    }
}

/// What policies know it as.
const fn of_policy(kind: Kind) -> policy::Kind {
    match kind {
        Kind::Tool | Kind::Method => policy::Kind::Tool,
        Kind::Prompt => policy::Kind::Prompt,
        Kind::Resource | Kind::Template => policy::Kind::Resource,
    }
}

/// Methods that are no tools, prompts or resources and go on all the same: those of tasks, whose ids
/// are known to whoever made the call that they belong to (MCP 2025-11-25, "Tasks"). `tasks/list`
/// would show those of others where a server takes all for one.
fn goes_on(method: &str) -> bool {
    matches!(method, "tasks/get" | "tasks/result" | "tasks/cancel" | "tasks/update")
}

impl Judge {
    fn is_first(&self, server: &str, kind: DefinitionKind, event: &Event) -> bool {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if gone.len() >= MAX_GONE {
            gone.clear();
        }
        gone.insert(told(server, kind, event))
    }

    fn pin(&self, server: &str, kind: Kind, name: &str, mark: Option<&Mark>) -> PinState {
        let digest = mark.and_then(|mark| mark.digest.as_deref());
        let of = |kind| self.pins.pin(server, kind, name, digest);
        definition(kind).map_or(PinState::Unpinned, of)
    }

    fn circumstances(&self, pin: PinState) -> Circumstances {
        Circumstances { pin, code: false, now: self.clock.now() }
    }

    async fn wait(
        &self,
        call: &Call,
        decision: Decision,
        allowed: Allowed,
    ) -> Result<Allowed, Refusal> {
        let held = Held {
            owner: call.principal.owner.clone(),
            name: call.principal.name.clone(),
            server: Arc::clone(&call.server),
            tool: call.name.as_ref().into(),
            tier: decision.tier,
            arguments: shown(call.arguments.as_deref()),
            digest: holds::digest(call.arguments.as_deref()),
            policy: decision.policy.clone(),
        };
        let refused = |kind: &str, message: &str| {
            let refusal = Refusal::new(kind, message);
            Err(Refusal { id: decision.policy.clone(), ..refusal })
        };
        match self.holds.wait(held, PATIENCE).await {
            Outcome::Released { by } => Ok(Allowed { approver: Some((*by).into()), ..allowed }),
            Outcome::Denied { .. } => refused("approval-denied", "refused: an approver said no"),
            Outcome::Expired => {
                let text = "waits for approval: have it approved, then make the same call again";
                refused("approval-pending", text)
            }
            Outcome::Full => {
                refused("approval-full", "refused: too many calls wait for approval already")
            }
        }
    }
}

impl Rulings for Judge {
    fn sees(&self, principal: &Principal, server: &str) -> bool {
        self.policy.sees(principal, server)
    }

    fn fetched(&self, server: &str, kind: Kind, items: &[&RawValue]) -> Vec<Mark> {
        let Some(of) = definition(kind) else { return vec![Mark::default(); items.len()] };
        let looked = self.pins.look(server, of, items, self.clock.now());
        for event in &looked.events {
            if !matches!(event, Event::Gone(_)) || self.is_first(server, of, event) {
                (self.told)(&told(server, of, event));
            }
        }
        let hints = |item: &&RawValue| match kind {
            Kind::Tool => Hints::of(item),
            _ => Hints::default(),
        };
        let marks = items.iter().zip(looked.digests);
        marks.map(|(item, digest)| Mark { digest, hints: hints(item) }).collect()
    }

    fn list(
        &self,
        principal: &Principal,
        server: &Arc<str>,
        kind: Kind,
        items: &[Listed<'_>],
    ) -> Vec<bool> {
        let is_seen = |of: &Listed<'_>| {
            let pin = self.pin(server, kind, of.name, Some(of.mark));
            let (kind, hints) = (of_policy(kind), of.mark.hints);
            let item = Item { server, kind, name: of.name, hints };
            self.policy.list(principal, &item, &self.circumstances(pin)).is_open()
        };
        items.iter().map(is_seen).collect()
    }

    fn call<'a>(&'a self, call: &'a Call) -> Ruling<'a> {
        if call.kind == Kind::Method {
            if goes_on(&call.method) {
                return Ruling::Allow(Allowed::default());
            }
            let refusal = Refusal::new("default", "refused by policy");
            return Ruling::Deny(Refusal { is_hidden: true, ..refusal });
        }
        let pin = self.pin(&call.server, call.kind, &call.name, call.mark.as_ref());
        let hints = call.mark.as_ref().map(|mark| mark.hints).unwrap_or_default();
        let item =
            Item { server: &call.server, kind: of_policy(call.kind), name: &call.name, hints };
        let arguments = call.arguments.as_deref();
        let circumstances = self.circumstances(pin);
        let decision = self.policy.call(&call.principal, &item, arguments, &circumstances);
        let allowed = Allowed {
            policy: decision.policy.clone(),
            approver: None,
            tier: Some(decision.tier.as_str().into()),
            pin: Some(pin.as_str()).filter(|_| pin != PinState::Unpinned),
            digest: call.mark.as_ref().and_then(|mark| mark.digest.clone()),
        };
        match decision.ruling {
            Decided::Allow => Ruling::Allow(allowed),
            Decided::Hold => Ruling::Hold(Box::pin(self.wait(call, decision, allowed))),
            Decided::Deny => {
                // What is not listed is not told of either.
                let is_hidden = !self.policy.list(&call.principal, &item, &circumstances).is_open();
                let what = match decision.kind {
                    Basis::Arguments => "refused: policies cannot read these arguments",
                    _ => "refused by policy",
                };
                if let Some(note) = &decision.note {
                    (self.told)(&format!("warning: policy of {}: {note}", call.server));
                }
                let refusal = Refusal::new(decision.kind.as_str(), what);
                Ruling::Deny(Refusal { id: decision.policy, is_hidden, ..refusal })
            }
        }
    }
}

/// Arguments for approvers: one line each, without secrets.
fn shown(arguments: Option<&RawValue>) -> Box<str> {
    let members = Members::of_any(arguments);
    let lines = members.iter().map(|(name, value)| {
        let text: Option<String> = member(arguments, name);
        let text = text.unwrap_or_else(|| value.get().to_owned());
        format!("{}: {}", finding::mask(name), finding::mask_value(name, &text))
    });
    lines.collect::<Vec<_>>().join("\n").into()
}

/// For the operator.
fn told(server: &str, kind: DefinitionKind, event: &Event) -> String {
    let what = format!("{kind:?}").to_lowercase();
    let text = match event {
        Event::New(name) => format!("{what} {name} is new: it waits for approval (`portal pins`)"),
        Event::Changed(name, difference) => format!(
            "{what} {name} changed ({}: {}); see `portal pins diff`",
            difference.class.as_str(),
            difference.what.join(", ")
        ),
        Event::Gone(name) => format!("{what} {name} was approved and is not offered any more"),
        Event::LostAlias { alias, name } => {
            format!("{what} {name}, called {alias}, is not offered")
        }
        Event::NotKept(why) => format!("what was found cannot be kept: {why}"),
    };
    // Names are the server's own.
    let plain: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("notice: server {server}: {plain}")
}
