//! Calls that wait until somebody approves them.
//!
//! An approval is for one call: of this person, of this tool, with these very arguments (by their
//! digest), once. A call whose client went away stays on the list until it expires, so that a
//! retry finds the approval that was given meanwhile.
//!
//! What waits is also in the state directory, a file for each call, and decisions come back as
//! files: `shadowtap portal holds` needs no socket that somebody could reach, the rights of the
//! directory say who may decide, and replicas that share it see each other's calls.
//!
//! Bounds: see [`Checked`]; some 20 KiB for each call that waits.

mod config;
mod desk;
mod page;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

pub use config::{Checked, Config};
pub use desk::{Desk, Waiting};
pub use page::Asked;

use crate::portal::policy::Tier;
use crate::portal::principal::{Owner, Principal};
use crate::portal::radix::base16;
use crate::time::Timestamp;

/// Decisions of others are looked for so often while something waits.
const PACE: Duration = Duration::from_millis(250);
/// Longest text of arguments that is shown, in bytes.
const MAX_SHOWN_BYTES: usize = 16 << 10;

/// A call that is to wait.
#[derive(Clone, Debug)]
pub struct Held {
    /// Who calls.
    pub owner: Owner,
    /// Their name, if it is known.
    pub name: Option<Arc<str>>,
    /// Id of the server.
    pub server: Arc<str>,
    /// The server's own name of the tool.
    pub tool: Arc<str>,
    /// Its tier.
    pub tier: Tier,
    /// Arguments as text, without what approvers must not see; what is longer than 16 KiB is cut.
    pub arguments: Box<str>,
    /// Digest of the arguments as they came (or [`digest`] of them).
    pub digest: Box<str>,
    /// Id of the policy that holds it.
    pub policy: Option<Arc<str>>,
}

/// Digest of arguments by which an approval is for them: of their canonical form (RFC 8785).
#[must_use]
pub fn digest(arguments: Option<&serde_json::value::RawValue>) -> Box<str> {
    use crate::mcp::jcs;
    let text = arguments.map_or("{}", serde_json::value::RawValue::get);
    // What has no canonical form is only the same as itself.
    let canonical = jcs::canonical(text.as_bytes());
    jcs::digest(canonical.as_deref().unwrap_or(text)).into()
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody approved it: it may go on, once.
    Released {
        /// Who.
        by: Box<str>,
    },
    /// Somebody refused it.
    Denied {
        /// Who.
        by: Box<str>,
    },
    /// Nobody decided in time.
    Expired,
    /// As many calls wait as may.
    Full,
}

/// Why a decision is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nothing waits under this id, or not any more.
    Unknown,
    /// It is another call than the one that was looked at.
    OtherArguments,
    /// Not an approver of calls of this tier.
    NotApprover,
    /// One's own call.
    OwnCall,
    /// Somebody decided before.
    Decided,
    /// The state directory cannot be written.
    NotWritten,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no such call waits (any more)",
            Self::OtherArguments => "the arguments are not those that were looked at",
            Self::NotApprover => "calls of this tier are approved by others",
            Self::OwnCall => "nobody approves a call of their own",
            Self::Decided => "somebody decided before",
            Self::NotWritten => "the state directory cannot be written",
        })
    }
}

/// What makes two calls the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    owner: Owner,
    server: Arc<str>,
    tool: Arc<str>,
    digest: Box<str>,
}

#[derive(Debug)]
struct Entry {
    waiting: Waiting,
    until: Instant,
    decided: Option<(bool, Box<str>)>,
}

/// All calls that wait here.
#[derive(Debug)]
pub struct Holds {
    settings: RwLock<Arc<Checked>>,
    desk: Option<Desk>,
    table: Mutex<HashMap<Key, Entry>>,
    changed: Notify,
    /// Key of the tokens of the page's forms.
    forms: ring::hmac::Key,
}

impl Holds {
    /// With a state directory, or without: then only the page of this very program decides.
    ///
    /// # Errors
    /// When the directory cannot be made, or the system gives no random numbers.
    pub fn open(settings: Checked, state: Option<PathBuf>) -> Result<Self, String> {
        let desk = state.map(|state| Desk::open(&state)).transpose()?;
        let forms = match &desk {
            Some(desk) => desk.form_key()?,
            None => desk::random()?,
        };
        let forms = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &forms);
        let settings = RwLock::new(Arc::new(settings));
        Ok(Self { settings, desk, table: Mutex::default(), changed: Notify::new(), forms })
    }

    /// Goes by something else from now on; what waits stays on the list.
    pub fn replace(&self, settings: Checked) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    fn settings(&self) -> Arc<Checked> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody decides, at most so long and at most as long as is configured. May be
    /// dropped at any time.
    pub async fn wait(&self, held: Held, timeout: Duration) -> Outcome {
        let key = Key {
            owner: held.owner.clone(),
            server: Arc::clone(&held.server),
            tool: Arc::clone(&held.tool),
            digest: held.digest.clone(),
        };
        let end = Instant::now() + timeout.min(self.settings().timeout);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(outcome) = self.step(&key, &held) {
                return outcome;
            }
            let now = Instant::now();
            if now >= end {
                return Outcome::Expired;
            }
            let pace = if self.desk.is_some() { (now + PACE).min(end) } else { end };
            // Late or changed: both are a reason to look.
            drop(timeout_at(pace, changed).await);
        }
    }

    /// Looks at a call, and puts it on the list if it is not there.
    fn step(&self, key: &Key, held: &Held) -> Option<Outcome> {
        let now = Instant::now();
        let mut table = self.lock();
        self.clean(&mut table, now);
        if let Some(entry) = table.get_mut(key) {
            if entry.decided.is_none()
                && let Some(desk) = &self.desk
            {
                entry.decided = desk.decision(&entry.waiting);
            }
            let (released, by) = entry.decided.clone()?;
            if !released {
                // A refusal holds for retries too, until the call expires.
                return Some(Outcome::Denied { by });
            }
            if let Some(entry) = table.remove(key) {
                self.forget(&entry.waiting);
            }
            return Some(Outcome::Released { by });
        }
        let own = table.keys().filter(|other| other.owner == key.owner).count();
        let settings = self.settings();
        if table.len() >= settings.max_waiting || own >= settings.max_waiting_each {
            return Some(Outcome::Full);
        }
        let Some(id) = id() else { return Some(Outcome::Full) };
        let waiting = Waiting::new(id, held, wall(), settings.timeout);
        if let Some(desk) = &self.desk {
            // It can still be decided on the page.
            drop(desk.put(&waiting));
        }
        let until = now + settings.timeout;
        table.insert(key.clone(), Entry { waiting, until, decided: None });
        None
    }

    fn clean(&self, table: &mut HashMap<Key, Entry>, now: Instant) {
        table.retain(|_, entry| {
            let stays = entry.until > now;
            if !stays {
                self.forget(&entry.waiting);
            }
            stays
        });
    }

    fn forget(&self, waiting: &Waiting) {
        if let Some(desk) = &self.desk {
            desk.remove(&waiting.id);
        }
    }

    /// What waits and is not decided, here and in the state directory; the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Waiting> {
        let mut table = self.lock();
        self.clean(&mut table, Instant::now());
        let own = table.values().filter(|entry| entry.decided.is_none());
        let mut all: Vec<_> = own.map(|entry| entry.waiting.clone()).collect();
        drop(table);
        if let Some(desk) = &self.desk {
            for other in desk.list(wall()) {
                if !all.iter().any(|own| own.id == other.id) && !self.is_own(&other.id) {
                    all.push(other);
                }
            }
        }
        all.sort_by(|a, b| (&a.since, &a.id).cmp(&(&b.since, &b.id)));
        all
    }

    fn is_own(&self, id: &str) -> bool {
        self.lock().values().any(|entry| &*entry.waiting.id == id)
    }

    /// Whether somebody may decide on a call.
    ///
    /// # Errors
    /// Why not.
    pub fn may_decide(&self, approver: &Principal, waiting: &Waiting) -> Result<(), Refused> {
        let settings = self.settings();
        let groups = settings.approvers(waiting.tier);
        if !groups.iter().any(|group| approver.is_in(group)) {
            return Err(Refused::NotApprover);
        }
        let Owner { issuer, subject, .. } = &approver.owner;
        let is_own = **issuer == *waiting.issuer && **subject == *waiting.subject;
        // Of anybody and nobody one cannot tell that they are not the same.
        let is_nobody = approver.proof == crate::portal::principal::Proof::Nobody;
        if (is_own || is_nobody) && !settings.allow_requester {
            return Err(Refused::OwnCall);
        }
        Ok(())
    }

    /// Approves a call, or refuses it. `digest`: of the arguments that were looked at.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn decide(
        &self,
        id: &str,
        digest: &str,
        release: bool,
        approver: &Principal,
    ) -> Result<(), Refused> {
        let waiting = self.list().into_iter().find(|waiting| &*waiting.id == id);
        let waiting = waiting.ok_or(Refused::Unknown)?;
        self.may_decide(approver, &waiting)?;
        if *waiting.digest != *digest {
            return Err(Refused::OtherArguments);
        }
        let Owner { issuer, subject, .. } = &approver.owner;
        let by =
            approver.name.as_deref().map_or_else(|| format!("{issuer}#{subject}"), str::to_owned);
        self.settle(&waiting, release, &by)
    }

    fn settle(&self, waiting: &Waiting, release: bool, by: &str) -> Result<(), Refused> {
        let mut table = self.lock();
        let own = table.values_mut().find(|entry| entry.waiting.id == waiting.id);
        match own {
            Some(entry) if entry.decided.is_some() => return Err(Refused::Decided),
            Some(entry) => entry.decided = Some((release, by.into())),
            None => {
                let desk = self.desk.as_ref().ok_or(Refused::Unknown)?;
                desk.decide(waiting, release, by)?;
            }
        }
        drop(table);
        self.changed.notify_waiters();
        Ok(())
    }
}

/// 128 random bits.
fn id() -> Option<Box<str>> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(base16(&bytes).into())
}

/// The time that approvers read.
#[expect(clippy::disallowed_methods, reason = "an edge: people approve by the clock on the wall")]
fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}
