//! `requestState` (MCP 2026-07-28, "Multi Round-Trip Requests"): sealed, bound to who calls and to
//! what is called, and good for ten minutes at most.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bridge::Waiter;
use super::clock::{self, Instant};
use super::seal::{Broken, KeyRing, Purpose};
use crate::mcp::jcs;
use crate::portal::principal::Owner;
use crate::portal::wire::Members;

/// What a state says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// A call that waits here.
    #[serde(rename = "w")]
    Waiting(String),
    /// The state that the server gave.
    #[serde(rename = "u")]
    Upstream(String),
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    issued: u64,
    state: State,
}

/// What a state is bound to beside its owner: route, method, and all parameters but those that
/// differ when a call is made again.
pub(super) fn digest(route: &str, method: &str, params: Option<&RawValue>) -> Vec<u8> {
    let mut members = Members::of_any(params);
    for name in ["_meta", "inputResponses", "requestState"] {
        members.take(name);
    }
    let text = members.to_raw();
    let canonical = jcs::canonical(text.get().as_bytes());
    let mut digest = Digest::new(&SHA256);
    for part in [route, "\0", method, "\0", canonical.as_deref().unwrap_or_else(|| text.get())] {
        digest.update(part.as_bytes());
    }
    digest.finish().as_ref().to_vec()
}

/// Seals a state.
///
/// # Errors
/// When the system has no randomness.
pub(super) fn seal(
    ring: &KeyRing,
    owner: &Owner,
    bound: &[u8],
    state: State,
) -> Result<String, Broken> {
    let sealed = Sealed { issued: clock::seconds(), state };
    let text = serde_json::to_vec(&sealed).map_err(|_| Broken)?;
    ring.seal(Purpose::State, owner, bound, &text)
}

/// Opens one that is not older than `life`.
///
/// # Errors
/// For any other.
pub(super) fn open(
    ring: &KeyRing,
    owner: &Owner,
    bound: &[u8],
    text: &str,
    life: Duration,
) -> Result<State, Broken> {
    let text = ring.open(Purpose::State, owner, bound, text)?;
    let sealed: Sealed = serde_json::from_slice(&text).map_err(|_| Broken)?;
    let life = life.min(Duration::from_secs(600)).as_secs();
    if clock::seconds() > sealed.issued.saturating_add(life) {
        return Err(Broken);
    }
    Ok(sealed.state)
}

/// Calls that wait for input. Worst-case memory: `max` × what a call holds.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<String, (Instant, Box<Waiter>)>>);

impl Waiting {
    fn all(&self) -> MutexGuard<'_, HashMap<String, (Instant, Box<Waiter>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one; gives it back when there are too many.
    pub(super) fn put(
        &self,
        id: String,
        waiter: Box<Waiter>,
        life: Duration,
        max: usize,
    ) -> Result<(), Box<Waiter>> {
        let mut all = self.all();
        if all.len() >= max {
            return Err(waiter);
        }
        all.insert(id, (Instant::now() + life, waiter));
        Ok(())
    }

    pub(super) fn take(&self, id: &str) -> Option<Box<Waiter>> {
        self.all().remove(id).map(|(_, waiter)| waiter)
    }

    pub(super) fn tend(&self) {
        let now = Instant::now();
        self.all().retain(|_, (until, _)| *until > now);
    }

    pub(super) fn count(&self) -> usize {
        self.all().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::wire::raw;

    #[test]
    fn p16_a_state_is_bound_to_owner_method_and_parameters() {
        let ring = KeyRing::random().unwrap();
        let owner = |subject: &str| Owner {
            issuer: "i".into(),
            subject: subject.into(),
            client: "c".into(),
        };
        let params = raw(&serde_json::json!({"name": "a", "arguments": {"x": 1, "y": 2}}));
        let again = raw(&serde_json::json!({
            "arguments": {"y": 2, "x": 1}, "name": "a", "requestState": "s",
            "_meta": {"progressToken": 1}, "inputResponses": {},
        }));
        let other = raw(&serde_json::json!({"name": "a", "arguments": {"x": 2, "y": 2}}));
        let bound = digest("", "tools/call", Some(&params));
        let state = State::Upstream("opaque".to_owned());
        let sealed = seal(&ring, &owner("ann"), &bound, state.clone()).unwrap();
        let life = Duration::from_secs(60);
        let open = |who: &str, method: &str, params: &RawValue| {
            let bound = digest("", method, Some(params));
            open(&ring, &owner(who), &bound, &sealed, life)
        };
        assert_eq!(open("ann", "tools/call", &again), Ok(state));
        assert!(open("bob", "tools/call", &again).is_err());
        assert!(open("ann", "prompts/get", &again).is_err());
        assert!(open("ann", "tools/call", &other).is_err());
    }
}
