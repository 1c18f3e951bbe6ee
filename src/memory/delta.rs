//! What is different between two definitions of one name.

use std::collections::{BTreeMap, BTreeSet};

use super::anatomy::{Anatomy, Digests, Hints, Part, Piece, Role};
use super::change::{Change, ChangeKind};
use super::leaves::decode;

/// One difference of form that other definitions may share: where (by part and key: the names of
/// parameters and tools and the indices differ between definitions), what was there and what is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FormDelta {
    part: Part,
    pub(super) key: String,
    old: Option<String>,
    new: Option<String>,
}

/// How a definition changed.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) parts: Vec<Part>,
    pub(super) added_text: Vec<String>,
    pub(super) removed_text: Vec<String>,
    pub(super) added_required: Vec<String>,
    prose_changed: bool,
    form_changed: bool,
    /// Differences of form, when the texts are the same and the interface is.
    pub(super) form: Vec<FormDelta>,
}

/// Two definitions held against each other.
pub(super) fn compare(old: &Anatomy<'_>, new: &Anatomy<'_>, max_text_bytes: usize) -> Delta {
    let (old_prose, new_prose) = (old.prose(), new.prose());
    let (old_required, new_required) = (old.required(), new.required());
    let (old_digests, new_digests) = (old.digests(), new.digests());
    let mut delta = Delta {
        parts: changed_parts(&old_digests, &new_digests),
        prose_changed: old_prose != new_prose,
        form_changed: old_digests.form != new_digests.form,
        added_required: new_required.difference(&old_required).copied().map(decode).collect(),
        ..Delta::default()
    };
    let (old_words, new_words) = (words(old), words(new));
    delta.added_text = missing(new, &old_words, max_text_bytes);
    delta.removed_text = missing(old, &new_words, max_text_bytes);
    let has_same_interface = old_required == new_required && same_properties(old, new);
    if has_same_interface && !delta.prose_changed {
        delta.form = form_deltas(old, new).unwrap_or_default();
    }
    delta
}

/// The same for an earlier definition whose text was not kept.
pub(super) fn compare_digests(old: &Digests, new: &Anatomy<'_>, max_text_bytes: usize) -> Delta {
    let digests = new.digests();
    let parts = changed_parts(old, &digests);
    let mut pieces = Vec::new();
    pieces.extend(new.pieces.iter().filter(|piece| parts.contains(&piece.part)));
    let mut texts = Texts { max_bytes: max_text_bytes, ..Texts::default() };
    pieces
        .into_iter()
        .filter(|piece| is_text(piece))
        .for_each(|piece| texts.push(&piece.leaf.text()));
    Delta {
        added_text: texts.list,
        prose_changed: old.prose != digests.prose,
        form_changed: old.form != digests.form,
        parts,
        ..Delta::default()
    }
}

impl Delta {
    /// What it amounts to, given what the tool said and says of its effects.
    pub(super) fn kind(&self, old: Hints, new: Hints) -> ChangeKind {
        let is_worse = (old.read_only && !new.read_only) || (!old.destructive && new.destructive);
        match (self.prose_changed, self.form_changed) {
            _ if is_worse || !self.added_required.is_empty() => ChangeKind::Meaning,
            (true, true) => ChangeKind::Meaning,
            (true, false) => ChangeKind::Wording,
            (false, _) => ChangeKind::Shape,
        }
    }

    /// Whether nothing that counts is different.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Moves it into a change.
    pub(super) fn tell(self, old: Hints, new: Hints, change: &mut Change) {
        let differs = |old: bool, new: bool| (old != new).then_some((old, new));
        change.read_only = differs(old.read_only, new.read_only);
        change.destructive = differs(old.destructive, new.destructive);
        change.parts = self.parts.into_iter().map(Part::as_str).collect();
        change.added_text = self.added_text;
        change.removed_text = self.removed_text;
        change.added_required = self.added_required;
    }
}

fn changed_parts(old: &Digests, new: &Digests) -> Vec<Part> {
    let differs = old.parts.iter().zip(&new.parts).map(|(old, new)| old != new);
    Part::ALL
        .into_iter()
        .zip(differs)
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
}

/// Strings that somebody may read: all but icons.
fn is_text(piece: &Piece<'_>) -> bool {
    piece.leaf.is_string() && piece.role != Role::Icon
}

/// Every sentence and every parameter name.
fn words(anatomy: &Anatomy<'_>) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for piece in anatomy.pieces.iter().filter(|piece| is_text(piece)) {
        words.extend(sentences(&piece.leaf.text()).map(str::to_owned));
    }
    words.extend(anatomy.properties.iter().map(|property| decode(property.name)));
    words
}

/// The sentences and names of a definition that are not among `known`, in the order they are in.
fn missing(anatomy: &Anatomy<'_>, known: &BTreeSet<String>, max_bytes: usize) -> Vec<String> {
    let mut texts = Texts { max_bytes, ..Texts::default() };
    let mut push = |text: &str| {
        if !known.contains(text) {
            texts.push(text);
        }
    };
    for piece in anatomy.pieces.iter().filter(|piece| is_text(piece)) {
        sentences(&piece.leaf.text()).for_each(&mut push);
    }
    anatomy.properties.iter().for_each(|property| push(&decode(property.name)));
    texts.list
}

/// Different texts, as many as there is room for; the first one that does not fit is cut, and is
/// the last.
#[derive(Default)]
struct Texts {
    list: Vec<String>,
    seen: BTreeSet<String>,
    bytes: usize,
    max_bytes: usize,
}

impl Texts {
    fn push(&mut self, text: &str) {
        let room = self.max_bytes.saturating_sub(self.bytes);
        let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        let fits = text.get(..end.unwrap_or(0)).unwrap_or_default();
        if !fits.is_empty() && self.seen.insert(fits.to_owned()) {
            self.bytes = self.bytes.saturating_add(text.len());
            self.list.push(fits.to_owned());
        }
    }
}

/// Splits at line ends, and after a full stop, question or exclamation mark before a blank.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let pieces = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let is_end = |at: &usize| match bytes.get(at.wrapping_sub(1)..=*at) {
            Some([b'.' | b'!' | b'?', b' ' | b'\t']) => true,
            _ => bytes.get(*at) == Some(&b'\n'),
        };
        let end = (0..bytes.len()).find(is_end).unwrap_or(bytes.len());
        let (piece, more) = rest.split_at_checked(end)?;
        rest = more.get(1..).unwrap_or_default();
        Some(piece.trim())
    });
    pieces.filter(|piece| !piece.is_empty())
}

/// Members that one version of an SDK sends and another does not send at all.
const WHOLE: [&str; 3] = ["outputSchema", "icons", "_meta"];

/// Whether both have the same parameters (and fields of the output, where both describe it).
fn same_properties(old: &Anatomy<'_>, new: &Anatomy<'_>) -> bool {
    let paths = |anatomy: &Anatomy<'_>, top: &str| -> BTreeSet<u64> {
        let inside = anatomy.properties.iter().filter(|property| property.top == top);
        inside.map(|property| property.path).collect()
    };
    let has = |anatomy: &Anatomy<'_>, top: &str| anatomy.pieces.iter().any(|it| it.leaf.top == top);
    let top = "outputSchema";
    paths(old, "inputSchema") == paths(new, "inputSchema")
        && (!has(old, top) || !has(new, top) || paths(old, top) == paths(new, top))
}

/// The differences of form; `None` when one of them says something about this very definition: an
/// argument of a prompt, a default or allowed value, an address.
fn form_deltas(old: &Anatomy<'_>, new: &Anatomy<'_>) -> Option<Vec<FormDelta>> {
    let mut pairs: BTreeMap<u64, [Option<&Piece<'_>>; 2]> = BTreeMap::new();
    for piece in &old.pieces {
        pairs.entry(piece.leaf.path).or_default()[0] = Some(piece);
    }
    for piece in &new.pieces {
        pairs.entry(piece.leaf.path).or_default()[1] = Some(piece);
    }
    let tops = |anatomy: &Anatomy<'_>| -> BTreeSet<String> {
        anatomy.pieces.iter().map(|piece| piece.leaf.top.to_owned()).collect()
    };
    let (old_tops, new_tops) = (tops(old), tops(new));
    let mut deltas = BTreeSet::new();
    for [old, new] in pairs.into_values() {
        let Some(any) = new.or(old).filter(|_| value(old) != value(new)) else { continue };
        if [old, new].into_iter().flatten().any(is_specific) {
            return None;
        }
        let (part, top) = (any.part, any.leaf.top);
        let is_whole = WHOLE.contains(&top) && old_tops.contains(top) != new_tops.contains(top);
        deltas.insert(if is_whole {
            let there = |tops: &BTreeSet<String>| tops.contains(top).then(|| "whole".to_owned());
            FormDelta { part, key: top.to_owned(), old: there(&old_tops), new: there(&new_tops) }
        } else {
            let show = |piece: Option<&Piece<'_>>| piece.map(shown);
            FormDelta { part, key: any.leaf.key.to_owned(), old: show(old), new: show(new) }
        });
    }
    Some(deltas.into_iter().collect())
}

fn value<'a>(piece: Option<&Piece<'a>>) -> Option<(&'a str, Role)> {
    piece.map(|piece| (piece.leaf.value, piece.role))
}

fn is_specific(piece: &Piece<'_>) -> bool {
    let Piece { leaf, role, .. } = piece;
    let is_value = matches!(leaf.key, "default" | "const" | "enum" | "examples" | "pattern");
    let is_dialect = matches!(leaf.key, "$schema" | "$id" | "$ref");
    leaf.top == "arguments"
        || (leaf.is_string() && is_value)
        || (*role == Role::Form && !is_dialect && leaf.value.contains("://"))
}

fn shown(piece: &Piece<'_>) -> String {
    match piece.role {
        Role::Form => piece.leaf.value.to_owned(),
        Role::Echo => "echo".to_owned(),
        Role::Icon => "icon".to_owned(),
        Role::Prose => "prose".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_at_lines_and_full_stops() {
        for (text, expected) in [
            ("", vec![]),
            ("One", vec!["One"]),
            ("One. Two! Three?\nFour", vec!["One.", "Two!", "Three?", "Four"]),
            ("v1.2 is.fine. ", vec!["v1.2 is.fine."]),
            ("\n\n a \n", vec!["a"]),
            ("é. ü", vec!["é.", "ü"]),
            (". .", vec![".", "."]),
        ] {
            assert_eq!(sentences(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn texts_are_cut_at_the_bound_between_characters() {
        let mut texts = Texts { max_bytes: 6, ..Texts::default() };
        ["abc", "abc", "dé€", "x"].into_iter().for_each(|text| texts.push(text));
        assert_eq!(texts.list, ["abc", "dé"]);
    }
}
