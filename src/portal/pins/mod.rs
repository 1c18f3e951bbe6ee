//! What a server may offer: the definitions that somebody approved, by the same canonical digests
//! that the sensor keeps ([`crate::mcp::jcs`]; classes of changes by [`crate::memory`]).
//!
//! `pins.json` has them. A definition that is new, or changed in what it means, is neither listed
//! nor called until somebody approves it ([`State::is_held`]). Several definitions of one name may
//! be approved: servers show different ones to different people.
//!
//! The portal and the command line change the file under a lock, and read it again when it has
//! changed. Bounds: [`MAX_NAMES`] names of a kind and server (more are refused), [`MAX_APPROVED`]
//! and [`MAX_PENDING`] definitions of a name (the oldest go), texts of [`MAX_TEXT_BYTES`] (longer
//! ones are compared by digest only, so that any change of them is held). Worst case for a server
//! with 100 tools at all bounds: some 77 MiB; usually 1 MiB.

mod config;
mod difference;
mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

pub use config::{Checked, Config, Mode, TextChanges};
pub use difference::{Class, Difference};
pub use file::{Document, Entry, SCHEMA, Version};

use crate::mcp::jcs;
use crate::observation::DefinitionKind;
use crate::portal::policy::PinState;
use crate::portal::wire;
use crate::time::Timestamp;

/// Most names of one kind that a server may have pinned.
pub const MAX_NAMES: usize = 4_096;
/// Most approved definitions of one name.
pub const MAX_APPROVED: usize = 8;
/// Most definitions of one name that wait for approval.
pub const MAX_PENDING: usize = 4;
/// Longest canonical text that is kept.
pub const MAX_TEXT_BYTES: usize = 64 << 10;
/// Longest name.
const MAX_NAME_BYTES: usize = 1_024;

#[expect(clippy::disallowed_methods, reason = "files are looked at by the clock of the machine")]
fn now() -> Instant {
    Instant::now()
}

/// How a definition stands to what was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody pins definitions of its kind.
    Unpinned,
    /// Nobody approved it; it is used because of `mode: warn`.
    New,
    /// As approved.
    Approved,
    /// Another than was approved; it is used because it differs in wording only, or because of
    /// `mode: warn`.
    Changed(Arc<Difference>),
    /// It waits for approval: neither listed nor called. What changed, if it is not new.
    Quarantined(Option<Arc<Difference>>),
}

impl State {
    /// Whether it is neither listed nor called.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        matches!(self, Self::Quarantined(_))
    }

    /// As policies see it.
    #[must_use]
    pub const fn pin(&self) -> PinState {
        match self {
            Self::Unpinned => PinState::Unpinned,
            Self::New => PinState::New,
            Self::Approved => PinState::Approved,
            Self::Changed(_) => PinState::Changed,
            Self::Quarantined(_) => PinState::Quarantined,
        }
    }
}

/// Something that somebody should hear of; each is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A definition that is new and waits.
    New(Box<str>),
    /// A definition that is not as approved.
    Changed(Box<str>, Arc<Difference>),
    /// A name that was approved is not on the list any more.
    Gone(Box<str>),
    /// An alias or override of the configuration has no definition to stand for (any more).
    LostAlias {
        /// The alias.
        alias: Box<str>,
        /// The server's own name that it stands for.
        name: Box<str>,
    },
    /// What was found could not be kept; it is held all the same.
    NotKept(Box<str>),
}

/// What a look at a list shows.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// One for each definition, in their order.
    pub states: Vec<State>,
    /// Their canonical digests; none where nothing is pinned, or the definition is none.
    pub digests: Vec<Option<Arc<str>>>,
    /// What is to be told.
    pub events: Vec<Event>,
}

/// Kind, as a key.
const fn key(kind: DefinitionKind) -> &'static str {
    match kind {
        DefinitionKind::Tool => "tool",
        DefinitionKind::Resource => "resource",
        DefinitionKind::ResourceTemplate => "resource_template",
        DefinitionKind::Prompt => "prompt",
    }
}

/// The kind of a key.
#[must_use]
pub fn kind(key: &str) -> Option<DefinitionKind> {
    use DefinitionKind::{Prompt, Resource, ResourceTemplate, Tool};
    [Tool, Prompt, Resource, ResourceTemplate].into_iter().find(|kind| self::key(*kind) == key)
}

/// Name of a definition.
fn name(kind: DefinitionKind, definition: &RawValue) -> Option<Box<str>> {
    let member = match kind {
        DefinitionKind::Tool | DefinitionKind::Prompt => "name",
        DefinitionKind::Resource => "uri",
        DefinitionKind::ResourceTemplate => "uriTemplate",
    };
    wire::text(Some(definition), member).filter(|name| name.len() <= MAX_NAME_BYTES)
}

/// Between two looks at the file for the sake of calls.
const REFRESH: Duration = Duration::from_millis(250);

type Place = (Box<str>, &'static str);

/// A definition as it came, how it stands, and its digest.
type Known = (Box<str>, State, Option<Arc<str>>);

#[derive(Debug, Default)]
struct Inner {
    document: Document,
    stamp: file::Stamp,
    /// When a call last had the file looked at.
    refreshed: Option<Instant>,
    /// The last list, as it came: most lists are the same as the one before.
    last: HashMap<Place, Vec<Known>>,
    /// Latest state of each name.
    current: HashMap<Place, HashMap<Box<str>, PinState>>,
    /// Lost aliases and names that went, told already.
    told: BTreeSet<(Place, Box<str>)>,
}

/// What servers may offer.
#[derive(Debug)]
pub struct Pins {
    settings: Checked,
    file: Option<PathBuf>,
    inner: Mutex<Inner>,
}

/// A definition under a look.
struct Found {
    name: Box<str>,
    digest: String,
    text: Option<String>,
}

impl Pins {
    /// Reads the file, if there is one. Without a path nothing outlives the program.
    ///
    /// # Errors
    /// When it cannot be read, or is of another version.
    pub fn open(settings: Checked) -> Result<Self, String> {
        let file = settings.file.clone();
        let inner = match &file {
            Some(file) => {
                let (document, stamp) = file::read(file)?;
                Inner { document, stamp, ..Inner::default() }
            }
            None => Inner::default(),
        };
        Ok(Self { settings, file, inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a whole list (all its pages) of a server. Reads the file if it has changed, and
    /// writes it where something is new: seldom, and short.
    pub fn look(
        &self,
        server: &str,
        kind: DefinitionKind,
        list: &[&RawValue],
        now: Timestamp,
    ) -> Looked {
        if !self.settings.is_pinned(kind) {
            return Looked {
                states: vec![State::Unpinned; list.len()],
                digests: vec![None; list.len()],
                events: Vec::new(),
            };
        }
        let mut inner = self.lock();
        let mut events = Vec::new();
        self.refresh(&mut inner, &mut events);
        let place: Place = (server.into(), key(kind));
        if let Some(last) = inner.last.get(&place)
            && last.len() == list.len()
            && last.iter().zip(list).all(|((text, ..), now)| **text == *now.get())
        {
            let (states, digests) =
                last.iter().map(|(_, state, digest)| (state.clone(), digest.clone())).unzip();
            return Looked { states, digests, events };
        }
        let found: Vec<_> = list.iter().map(|definition| found(kind, definition)).collect();
        self.keep(&mut inner, &place, &found, now, &mut events);
        let mut names = BTreeSet::new();
        let mut states = Vec::with_capacity(list.len());
        for found in &found {
            let state = match found {
                // Of two definitions of one name nobody knows which is meant.
                Some(found) if names.insert(&*found.name) => {
                    self.state_of(&inner, &place, &found.name, &found.digest)
                }
                _ => State::Quarantined(None),
            };
            states.push(state);
        }
        let current = found.iter().zip(&states).rev();
        let current =
            current.filter_map(|(found, it)| Some((found.as_ref()?.name.clone(), it.pin())));
        let current = current.collect();
        self.gone(&mut inner, &place, &names, &mut events);
        let digests: Vec<Option<Arc<str>>> = found
            .iter()
            .map(|found| found.as_ref().map(|found| Arc::from(found.digest.as_str())))
            .collect();
        let last = list.iter().zip(states.iter().zip(&digests));
        let last =
            last.map(|(raw, (state, digest))| (raw.get().into(), state.clone(), digest.clone()));
        let last = last.collect();
        inner.last.insert(place.clone(), last);
        inner.current.insert(place, current);
        Looked { states, digests, events }
    }

    /// Keeps what nobody has seen before: approved at first use, where that is wanted, or waiting.
    fn keep(
        &self,
        inner: &mut Inner,
        place: &Place,
        found: &[Option<Found>],
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        let (server, kind) = place;
        let is_known = |document: &Document, found: &Found| {
            let entry = document.entry(server, kind, &found.name);
            entry.is_some_and(|entry| entry.knows(&found.digest))
        };
        let is_first = !inner.document.was_seen(server, kind);
        let fresh: Vec<_> =
            found.iter().flatten().filter(|it| !is_known(&inner.document, it)).collect();
        if fresh.is_empty() && !is_first {
            return;
        }
        let trusts = self.settings.trusts_first(server);
        let names: BTreeSet<Box<str>> = found.iter().flatten().map(|it| it.name.clone()).collect();
        let mut told = Vec::new();
        let kept = self.update(inner, |document| {
            let is_first = !document.was_seen(server, kind);
            for found in fresh {
                if is_known(document, found) {
                    continue;
                }
                let approve = is_first && trusts;
                told.extend(add(document, place, found, &names, now, approve));
            }
            document.see(server, kind);
            Ok(())
        });
        events.extend(told);
        if let Err(why) = kept {
            events.push(Event::NotKept(why.into()));
        }
    }

    fn state_of(&self, inner: &Inner, (server, kind): &Place, name: &str, digest: &str) -> State {
        let entry = inner.document.entry(server, kind, name);
        let is_warning = self.settings.mode == Mode::Warn;
        let Some(entry) = entry else { return State::Quarantined(None) };
        if entry.approved.iter().any(|version| version.digest == digest) {
            return State::Approved;
        }
        let pending = entry.pending.iter().find(|version| version.digest == digest);
        let difference = pending.and_then(|version| version.difference.clone()).map(Arc::new);
        let is_rejected = entry.rejected.iter().any(|rejected| rejected == digest);
        match difference {
            _ if is_rejected => State::Quarantined(difference),
            Some(difference)
                if is_warning
                    || (difference.class == Class::Wording
                        && self.settings.text_changes == TextChanges::Warn) =>
            {
                State::Changed(difference)
            }
            None if is_warning => State::New,
            difference => State::Quarantined(difference),
        }
    }

    /// Names that were approved and are not listed any more.
    fn gone(
        &self,
        inner: &mut Inner,
        place: &Place,
        names: &BTreeSet<&str>,
        events: &mut Vec<Event>,
    ) {
        let (server, kind) = place;
        let approved = inner.document.names(server, kind);
        let gone: Vec<Box<str>> = approved
            .filter(|(name, entry)| !entry.approved.is_empty() && !names.contains(name))
            .map(|(name, _)| name.into())
            .collect();
        inner.told.retain(|(at, name)| at != place || gone.contains(name));
        for name in gone {
            if inner.told.insert((place.clone(), name.clone())) {
                events.push(Event::Gone(name));
            }
        }
    }

    /// State of a definition that was on a list, by its digest; without one, of a name that was on
    /// none, as [`Self::state`] has it. For calls: whether the file has changed is looked at four
    /// times a second at most.
    #[must_use]
    pub fn pin(
        &self,
        server: &str,
        kind: DefinitionKind,
        name: &str,
        digest: Option<&str>,
    ) -> PinState {
        if !self.settings.is_pinned(kind) {
            return PinState::Unpinned;
        }
        let Some(digest) = digest else { return self.state(server, kind, name) };
        let mut inner = self.lock();
        if inner.refreshed.is_none_or(|last| last.elapsed() > REFRESH) {
            inner.refreshed = Some(now());
            self.refresh(&mut inner, &mut Vec::new());
        }
        self.state_of(&inner, &(server.into(), key(kind)), name, digest).pin()
    }

    /// Latest state of a name, for a call. A name that this program has not seen on a list counts
    /// as approved if a definition of it is and none waits, and otherwise is held.
    #[must_use]
    pub fn state(&self, server: &str, kind: DefinitionKind, name: &str) -> PinState {
        if !self.settings.is_pinned(kind) {
            return PinState::Unpinned;
        }
        let mut inner = self.lock();
        self.refresh(&mut inner, &mut Vec::new());
        let place: Place = (server.into(), key(kind));
        if let Some(state) = inner.current.get(&place).and_then(|names| names.get(name)) {
            return *state;
        }
        let entry = inner.document.entry(server, place.1, name);
        match entry {
            Some(entry) if !entry.approved.is_empty() && entry.pending.is_empty() => {
                PinState::Approved
            }
            _ if self.settings.mode == Mode::Warn => PinState::New,
            _ => PinState::Quarantined,
        }
    }

    /// Aliases whose names are not on a list: each is told of once, until it is back.
    pub fn lost_aliases(
        &self,
        server: &str,
        kind: DefinitionKind,
        names: &BTreeSet<&str>,
        aliases: &BTreeMap<Box<str>, Box<str>>,
    ) -> Vec<Event> {
        let mut inner = self.lock();
        let place: Place = (server.into(), key(kind));
        let mut events = Vec::new();
        for (alias, name) in aliases {
            // Aliases and names do not share a space.
            let mark = (place.clone(), format!("alias {alias}").into_boxed_str());
            if names.contains(&**name) {
                inner.told.remove(&mark);
            } else if inner.told.insert(mark) {
                events.push(Event::LostAlias { alias: alias.clone(), name: name.clone() });
            }
        }
        events
    }

    /// Approves a definition that waits: the only one of the name, or the one whose digest begins
    /// so. `by`: who does.
    ///
    /// # Errors
    /// When there is none, or more than one, or the file cannot be written.
    pub fn approve(
        &self,
        (server, kind, name): (&str, DefinitionKind, &str),
        digest: Option<&str>,
        by: &str,
        now: Timestamp,
    ) -> Result<String, String> {
        self.decide((server, kind, name), digest, |entry, mut version| {
            (version.by, version.at) = (by.to_owned(), now.to_string());
            let digest = version.digest.clone();
            entry.rejected.retain(|own| *own != digest);
            entry.approved.push(version);
            let excess = entry.approved.len().saturating_sub(MAX_APPROVED);
            entry.approved.drain(..excess);
            digest
        })
    }

    /// Rejects it: it stays held, and is not asked about again.
    ///
    /// # Errors
    /// As for [`Pins::approve`].
    pub fn reject(
        &self,
        at: (&str, DefinitionKind, &str),
        digest: Option<&str>,
    ) -> Result<String, String> {
        self.decide(at, digest, |entry, version| {
            entry.rejected.push(version.digest.clone());
            let excess = entry.rejected.len().saturating_sub(MAX_APPROVED);
            entry.rejected.drain(..excess);
            version.digest
        })
    }

    fn decide(
        &self,
        (server, kind, name): (&str, DefinitionKind, &str),
        digest: Option<&str>,
        done: impl FnOnce(&mut Entry, Version) -> String,
    ) -> Result<String, String> {
        let mut inner = self.lock();
        self.update(&mut inner, |document| {
            let entry = document
                .entry_mut(server, key(kind), name)
                .ok_or_else(|| format!("{server} has no {} `{name}`", key(kind)))?;
            let fits = |version: &Version| digest.is_none_or(|it| version.digest.starts_with(it));
            let count = entry.pending.iter().filter(|version| fits(version)).count();
            let at = entry.pending.iter().position(fits);
            match at {
                Some(at) if count == 1 => {
                    let version = entry.pending.remove(at);
                    Ok(done(entry, version))
                }
                Some(_) => Err("several definitions wait: name the digest of one".to_owned()),
                None => Err("no such definition waits for approval".to_owned()),
            }
        })
    }

    /// All that is known, as of now.
    #[must_use]
    pub fn document(&self) -> Document {
        let mut inner = self.lock();
        self.refresh(&mut inner, &mut Vec::new());
        inner.document.clone()
    }

    /// Changes what is kept: under the lock of the file, on what it holds by then.
    fn update<T>(
        &self,
        inner: &mut Inner,
        change: impl FnOnce(&mut Document) -> Result<T, String>,
    ) -> Result<T, String> {
        let done = match &self.file {
            None => change(&mut inner.document)?,
            Some(file) => {
                let _lock = file::lock(file)?;
                let (mut document, _) = file::read(file)?;
                let done = change(&mut document)?;
                inner.stamp = file::write(file, &document)?;
                inner.document = document;
                done
            }
        };
        inner.last.clear();
        inner.current.clear();
        Ok(done)
    }

    /// Reads the file if somebody changed it. One that cannot be read changes nothing.
    fn refresh(&self, inner: &mut Inner, events: &mut Vec<Event>) {
        let Some(file) = &self.file else { return };
        if file::stamp(file) == inner.stamp {
            return;
        }
        match file::read(file) {
            Ok((document, stamp)) => {
                (inner.document, inner.stamp) = (document, stamp);
                inner.last.clear();
                inner.current.clear();
            }
            Err(why) => events.push(Event::NotKept(why.into())),
        }
    }
}

fn found(kind: DefinitionKind, definition: &RawValue) -> Option<Found> {
    let name = name(kind, definition)?;
    let text = jcs::canonical(definition.get().as_bytes())?;
    let digest = jcs::digest(&text);
    Some(Found { name, digest, text: Some(text).filter(|text| text.len() <= MAX_TEXT_BYTES) })
}

/// Adds a definition that nobody has seen; says what is to be told.
fn add(
    document: &mut Document,
    (server, kind): &Place,
    found: &Found,
    names: &BTreeSet<Box<str>>,
    now: Timestamp,
    approve: bool,
) -> Option<Event> {
    let others = document.other_names(server, kind, &found.name);
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    let names = names.iter().map(|name| &**name).filter(|name| *name != &*found.name);
    let others: Vec<&str> = others.into_iter().chain(names).collect();
    let entry = document.entry(server, kind, &found.name);
    let old = entry.and_then(|entry| entry.approved.last());
    let difference = old.map(|old| {
        let kind = self::kind(kind).unwrap_or(DefinitionKind::Tool);
        let new = found.text.as_deref();
        Difference::between(kind, &found.name, old, new, &others)
    });
    let is_same = difference.as_ref().is_some_and(|it| it.class == Class::Nothing);
    let version = Version {
        digest: found.digest.clone(),
        text: found.text.clone(),
        at: now.to_string(),
        by: if is_same { "no difference" } else { "first use" }.to_owned(),
        difference: difference.clone(),
    };
    let entry = document.add(server, kind, &found.name)?;
    if approve || is_same {
        entry.approved.push(version);
        let excess = entry.approved.len().saturating_sub(MAX_APPROVED);
        entry.approved.drain(..excess);
        return None;
    }
    entry.pending.push(Version { by: String::new(), ..version });
    let excess = entry.pending.len().saturating_sub(MAX_PENDING);
    entry.pending.drain(..excess);
    Some(match difference {
        Some(difference) => Event::Changed(found.name.clone(), Arc::new(difference)),
        None => Event::New(found.name.clone()),
    })
}
