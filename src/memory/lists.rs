//! How one list changes what is remembered of its server.

use std::collections::{BTreeMap, BTreeSet};

use super::anatomy::Anatomy;
use super::change::{Change, ChangeKind, Divergence, Lesson, Removed, Upgrade};
use super::delta::{self, Delta, FormDelta};
use super::known::{Known, Listing, Look, MAX_LOOKS, Reading, Server, Shown, View, short};
use super::{DIVERGENCE_WINDOW, Limits, Sighting, upgrade};
use crate::observation::{Definition, DefinitionKind, Software};

/// Pages further apart are not of one list.
const READING_WINDOW: std::time::Duration = std::time::Duration::from_secs(600);

/// The lesson of definitions that are not remembered.
pub(super) fn nothing_known(definitions: &[Definition]) -> Lesson {
    Lesson { changes: definitions.iter().map(|_| unknown()).collect(), ..Lesson::default() }
}

fn unknown() -> Change {
    Change { kind: ChangeKind::Unknown, ..Change::default() }
}

/// Learns one list.
pub(super) struct Learner<'l> {
    pub(super) limits: &'l Limits,
    pub(super) fold: fn(&str) -> String,
    pub(super) holds_secret: fn(&str) -> bool,
    pub(super) sighting: &'l Sighting<'l>,
    /// Definitions that were given up.
    pub(super) dropped: u64,
    /// The server may take another amount of memory now.
    pub(super) grew: bool,
}

impl Learner<'_> {
    pub(super) fn learn(&mut self, server: &mut Server, definitions: &[Definition]) -> Lesson {
        let Sighting { at, kind, .. } = *self.sighting;
        server.first = server.first.min(at);
        server.last = server.last.max(at);
        let mut room = self.limits.max_server_bytes.saturating_sub(server.weight);
        let Server { listings, folded, software, .. } = server;
        let Some(listing) = listings.get_mut(kind as usize) else { return Lesson::default() };
        let view = self.side(listing);
        let mut seen = BTreeSet::new();
        let (mut changes, mut forms) = (Vec::new(), Vec::new());
        for definition in definitions {
            let is_short = definition.name.len() <= self.limits.max_name_bytes;
            let is_first = definition.kind == kind && seen.insert(definition.name.as_str());
            let (change, form) = if is_first && is_short {
                self.definition(listing, view, definition, &mut room)
            } else {
                self.dropped += 1;
                (unknown(), Vec::new())
            };
            let is_kept = listing.definitions.contains_key(&definition.name);
            if kind == DefinitionKind::Tool && change.is_news() && is_kept {
                let key = (self.fold)(&definition.name);
                folded.entry(key).or_default().insert(definition.name.clone());
            }
            self.grew |= change.is_news();
            changes.push(change);
            forms.push(form);
        }
        if kind == DefinitionKind::Tool && self.dropped > 0 {
            folded.retain(|_, names| {
                names.retain(|name| listing.definitions.contains_key(name));
                !names.is_empty()
            });
        }
        let software = self.software(software);
        let upgrade = upgrade::classify(&mut changes, &forms);
        let upgrade = upgrade.map(|upgrade| Upgrade { software, ..upgrade });
        Lesson { changes, removed: self.finish(listing, view, &seen, definitions), upgrade }
    }

    /// Keeps what the server calls itself, and answers with the change.
    fn software(&self, kept: &mut Option<(String, String)>) -> Option<(Software, Software)> {
        let now = self.sighting.software?;
        let is_short = now.name.len() + now.version.len() <= 2 * self.limits.max_name_bytes;
        let same = kept
            .as_ref()
            .is_some_and(|(name, version)| *name == now.name && *version == now.version);
        if same || !is_short {
            return None;
        }
        let earlier = kept.replace((now.name.clone(), now.version.clone()));
        earlier.map(|(name, version)| (Software { name, version }, now.clone()))
    }

    /// The view of whoever got the list. One who comes with a renewed credential gets a copy of
    /// the old view.
    fn side(&mut self, listing: &mut Listing) -> Option<usize> {
        let Sighting { at, client, credential, scope_private, .. } = *self.sighting;
        let index = listing.view(client, credential, scope_private)?;
        let view = listing.views.get_mut(index)?;
        if view.credential == credential {
            view.last = view.last.max(at);
            return Some(index);
        }
        let copy = View { credential, client, first: at, last: at, names: view.names.clone() };
        self.add_view(listing, copy)
    }

    fn add_view(&mut self, listing: &mut Listing, view: View) -> Option<usize> {
        if listing.views.len() >= self.limits.max_views {
            let oldest = listing.views.iter().enumerate().min_by_key(|(_, view)| view.last);
            let oldest = oldest.map(|(index, _)| index)?;
            listing.views.remove(oldest);
        }
        self.grew = true;
        listing.views.push(view);
        listing.views.len().checked_sub(1)
    }

    fn definition(
        &mut self,
        listing: &mut Listing,
        view: Option<usize>,
        definition: &Definition,
        room: &mut usize,
    ) -> (Change, Vec<FormDelta>) {
        let name = definition.name.as_str();
        if !listing.definitions.contains_key(name) && !self.make_room(listing, name, room) {
            self.dropped += 1;
            return (unknown(), Vec::new());
        }
        let names = view.and_then(|index| listing.views.get_mut(index)).map(|view| &mut view.names);
        let shown = names.as_ref().map(|names| names.get(name).copied());
        let digest = definition.digest.as_deref().map_or(0, short);
        if let Some(names) = names {
            let now = Shown { digest, present: true };
            match names.get_mut(name) {
                Some(shown) => *shown = now,
                None => _ = names.insert(name.to_owned(), now),
            }
        }
        if let Some(known) = listing.definitions.get_mut(name) {
            return self.known(known, shown, definition, room);
        }
        let at = self.sighting.at;
        let mut known = Known { first: at, last: at, lists: 1, ..Known::default() };
        if let Some(digest) = &definition.digest {
            known.set_current(digest, at);
            self.keep(&mut known, definition, room);
            self.look(&mut known, digest);
        }
        listing.definitions.insert(name.to_owned(), known);
        let kind = if shown == Some(None) { ChangeKind::Added } else { ChangeKind::First };
        (Change { kind, versions: 1, ..Change::default() }, Vec::new())
    }

    /// Whether another name can be remembered.
    fn make_room(&mut self, listing: &mut Listing, name: &str, room: &mut usize) -> bool {
        let cost = 640 + 2 * name.len();
        if *room < cost {
            return false;
        }
        if listing.definitions.len() >= self.limits.max_definitions {
            let at = self.sighting.at;
            let old = listing.definitions.iter().filter(|(_, known)| known.last < at);
            let mut old: Vec<_> = old.map(|(name, known)| (known.last, name.clone())).collect();
            old.sort_unstable();
            for (_, name) in old.iter().take(1 + self.limits.max_definitions / 16) {
                listing.forget(name);
                self.dropped += 1;
            }
        }
        let has_room = listing.definitions.len() < self.limits.max_definitions;
        *room -= if has_room { cost } else { 0 };
        has_room
    }

    /// A definition under a name that is known. `shown` is what this side was shown last:
    /// `None` when it never saw the whole list, `Some(None)` when the list did not hold the name.
    fn known(
        &self,
        known: &mut Known,
        shown: Option<Option<Shown>>,
        definition: &Definition,
        room: &mut usize,
    ) -> (Change, Vec<FormDelta>) {
        let at = self.sighting.at;
        known.last = known.last.max(at);
        known.lists += 1;
        let shown_digest = shown.flatten().map(|shown| shown.digest);
        let current = known.current().map(|version| (version.digest.clone(), version.since));
        let mut change = Change::default();
        if let Some((digest, since)) = &current {
            change.age = at.since(*since);
            change.same_view = shown_digest == Some(short(digest));
        }
        let Some(digest) = definition.digest.as_deref() else {
            change.kind = ChangeKind::Unknown;
            change.earlier = current.map(|(digest, _)| digest);
            change.versions = known.total;
            return (change, Vec::new());
        };
        change.divergent = self.look(known, digest);
        let is_kept = known.versions.iter_mut().find(|version| version.digest == digest);
        let is_old = is_kept.is_some_and(|version| {
            version.last = version.last.max(at);
            true
        });
        let is_current = current.as_ref().is_some_and(|(current, _)| current == digest);
        let mut form = Vec::new();
        if is_current {
            change.kind = match shown {
                Some(Some(Shown { present: false, .. })) => ChangeKind::Returned,
                _ => ChangeKind::Same,
            };
        } else if is_old && shown_digest == Some(short(digest)) {
            // What this side is always shown; another is shown something else.
            change.same_view = true;
        } else {
            form = self.compare(known, definition, is_old, &mut change);
            known.set_current(digest, at);
            self.keep(known, definition, room);
            change.earlier = current.map(|(digest, _)| digest);
        }
        if shown == Some(None) {
            change.kind = change.kind.max(ChangeKind::Added);
        }
        change.versions = known.total;
        (change, form)
    }

    /// Holds a definition against the current one.
    fn compare(
        &self,
        known: &Known,
        definition: &Definition,
        is_old: bool,
        change: &mut Change,
    ) -> Vec<FormDelta> {
        let Limits { max_leaves, max_change_text_bytes: max_text, .. } = *self.limits;
        let read = |text| Anatomy::read(definition.kind, &definition.name, text, max_leaves);
        let new = definition.canonical.as_deref().and_then(read);
        let old = known.text.as_deref().and_then(read);
        let hints = new.as_ref().map(|new| new.hints);
        let delta: Option<Delta> = match (old, &new, &known.digests) {
            (Some(old), Some(new), _) => Some(delta::compare(&old, new, max_text)),
            (None, Some(new), Some(old)) => Some(delta::compare_digests(old, new, max_text)),
            _ => None,
        };
        let Some((mut delta, new_hints)) = delta.zip(hints) else {
            change.kind = if is_old { ChangeKind::Returned } else { ChangeKind::Unknown };
            return Vec::new();
        };
        let form = std::mem::take(&mut delta.form);
        let is_nothing = delta.is_empty() && definition.kind == DefinitionKind::Resource;
        change.kind = match (is_nothing, is_old) {
            (true, _) => ChangeKind::Same,
            (_, true) => ChangeKind::Returned,
            _ => delta.kind(known.hints, new_hints),
        };
        delta.tell(known.hints, new_hints, change);
        form
    }

    /// Keeps the definition as the current one, as far as there is room.
    fn keep(&self, known: &mut Known, definition: &Definition, room: &mut usize) {
        (known.text, known.digests) = (None, None);
        let Some(text) = definition.canonical.as_deref() else { return };
        let Some(anatomy) =
            Anatomy::read(definition.kind, &definition.name, text, self.limits.max_leaves)
        else {
            return;
        };
        known.digests = Some(anatomy.digests());
        known.hints = anatomy.hints;
        let fits = text.len() <= self.limits.max_text_bytes.min(*room);
        if fits && !(self.holds_secret)(text) {
            *room -= text.len();
            known.text = Some(text.into());
        }
    }

    /// Remembers who was shown which version, and answers with one who was just shown another.
    fn look(&self, known: &mut Known, digest: &str) -> Option<Divergence> {
        let Sighting { at, client, credential, scope_private, .. } = *self.sighting;
        if scope_private {
            return None;
        }
        let digest = short(digest);
        let looks = &mut known.looks;
        looks.retain(|look| at.since(look.at) <= DIVERGENCE_WINDOW);
        let is_other =
            |l: &Look| l.client != client && l.credential == credential && l.digest != digest;
        let other = looks.iter().rposition(is_other);
        let divergence = other.and_then(|index| {
            let (before, rest) = looks.split_at_checked(index)?;
            let is_this = |look: &Look| look.credential == credential && look.digest == digest;
            let alternates = before.iter().any(is_this);
            Some(Divergence { client: rest.first()?.client, alternates })
        });
        let now = Look { client, credential, digest, at };
        looks.retain(|look| Look { at, ..look.clone() } != now);
        if looks.len() >= MAX_LOOKS {
            looks.remove(0);
        }
        looks.push(now);
        divergence
    }

    /// Ends a list that is seen whole: what it no longer holds, and the view of it.
    fn finish(
        &mut self,
        listing: &mut Listing,
        view: Option<usize>,
        seen: &BTreeSet<&str>,
        definitions: &[Definition],
    ) -> Vec<Removed> {
        let pages = if self.sighting.page == super::Page::WHOLE {
            listing.readings.retain(|reading| !self.is_same_side(reading));
            None
        } else {
            match self.read_on(listing, definitions) {
                Some(names) => Some(names),
                None => return Vec::new(),
            }
        };
        let is_there = |name: &str| {
            pages.as_ref().map_or_else(|| seen.contains(name), |it| it.contains_key(name))
        };
        let Some(view) = view.and_then(|index| listing.views.get_mut(index)) else {
            let Sighting { at, client, credential, .. } = *self.sighting;
            let names = pages.unwrap_or_else(|| shown_digests(definitions).collect());
            let known =
                names.into_iter().filter(|(name, _)| listing.definitions.contains_key(name));
            let names =
                known.map(|(name, digest)| (name, Shown { digest, present: true })).collect();
            self.add_view(listing, View { credential, client, first: at, last: at, names });
            return Vec::new();
        };
        let mut removed = Vec::new();
        for (name, shown) in &mut view.names {
            if !shown.present || is_there(name) {
                continue;
            }
            shown.present = false;
            if let Some(known) = listing.definitions.get(name) {
                let digest = known.current().map(|version| version.digest.clone());
                let (kind, name) = (self.sighting.kind, name.clone());
                removed.push(Removed { kind, name, last: known.last, digest });
            }
        }
        removed
    }

    fn is_same_side(&self, reading: &Reading) -> bool {
        reading.client == self.sighting.client && reading.credential == self.sighting.credential
    }

    /// Adds a page to the list that it is of. Answers with all names of the list if it is the
    /// last one, and none is known to be missing.
    fn read_on(
        &mut self,
        listing: &mut Listing,
        definitions: &[Definition],
    ) -> Option<BTreeMap<String, u64>> {
        let Sighting { at, client, credential, page, .. } = *self.sighting;
        let known = listing.readings.iter().position(|reading| self.is_same_side(reading));
        let mut reading = known.map(|index| listing.readings.remove(index));
        if page.first {
            reading = Some(Reading { client, credential, began: at, names: BTreeMap::new() });
        }
        let is_fresh = |it: &Reading| at.since(it.began) <= READING_WINDOW;
        let mut reading = reading.filter(|it| page.complete && is_fresh(it))?;
        self.grew = true;
        let is_known = |name: &String| listing.definitions.contains_key(name);
        reading.names.extend(shown_digests(definitions).filter(|(name, _)| is_known(name)));
        if page.last {
            return Some(reading.names);
        }
        if listing.readings.len() >= self.limits.max_readings {
            listing.readings.remove(0);
        }
        listing.readings.push(reading);
        None
    }
}

fn shown_digests(definitions: &[Definition]) -> impl Iterator<Item = (String, u64)> {
    definitions
        .iter()
        .map(|definition| (definition.name.clone(), definition.digest.as_deref().map_or(0, short)))
}
