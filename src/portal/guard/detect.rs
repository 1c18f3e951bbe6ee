//! What a text holds: one pass over it as it came, and a second look at the few strings that hide
//! what they are.
//!
//! The detectors read raw JSON, so that names of fields tell what their values are, and nothing is
//! decoded for most messages. Strings with `\u` and other escapes are decoded and looked at again;
//! so are strings with runs of base64, hexadecimal or percent escapes, of which
//! [`MAX_VIEW_BYTES`](crate::inspect::view::MAX_VIEW_BYTES) are looked into.

use super::kinds::{KindId, Kinds};
use super::leaves::{Decoded, Kind, Token, Tokens};
use crate::inspect::personal::{self, personal};
use crate::inspect::secrets::{self, secrets};
use crate::inspect::view::{View, view};

/// Most finds in one message; with more it counts as one that cannot be made clean.
pub(super) const MAX_HITS: usize = 4_096;
/// Shorter strings are not looked into for encodings.
const MIN_ENCODED_BYTES: usize = 16;
/// Base64 from this length on in a member for binary data is taken for binary data.
const MIN_BINARY_BYTES: usize = 64;

/// A find, as offsets in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: KindId,
    /// It is in binary data, which is not edited.
    pub(super) is_binary: bool,
}

/// The finds of a text, by where they begin.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pub(super) list: Vec<Hit>,
    /// There were more than [`MAX_HITS`].
    pub(super) overflowed: bool,
}

impl Hits {
    fn add(&mut self, kind: KindId, start: usize, end: usize, is_binary: bool) {
        if self.list.len() >= MAX_HITS {
            self.overflowed = true;
            return;
        }
        let hit = Hit { start, end, kind, is_binary };
        // The same find, seen twice: as it came and decoded.
        if !self.list.contains(&hit) || self.list.len() > 64 {
            self.list.push(hit);
        }
    }
}

/// Finds in JSON text. `is_answer`: it may hold binary data, in members named `blob` or `data`.
pub(super) fn json(text: &str, kinds: &Kinds, is_answer: bool) -> Hits {
    let mut hits = Hits::default();
    scan(text, kinds, &mut |kind, start, end| hits.add(kind, start, end, false));
    let mut key: Option<Token> = None;
    let mut binaries: Vec<(usize, usize)> = Vec::new();
    for token in Tokens::of(text) {
        match token.kind {
            Kind::Number => {}
            Kind::Key => {
                string(text, token, "", kinds, &mut hits);
                key = Some(token);
            }
            Kind::Text => {
                let name = key.and_then(|key| text.get(key.start..key.end)).unwrap_or_default();
                if is_answer && is_binary(name, text, token) {
                    binaries.push((token.start, token.end));
                    let raw = text.get(token.start..token.end).unwrap_or_default();
                    encoded(raw, (token.start, token.end), kinds, true, &mut hits);
                } else {
                    string(text, token, name, kinds, &mut hits);
                }
            }
        }
    }
    hits.list.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    without_chance(&mut hits.list, &binaries);
    hits
}

/// Takes out what binary data seems to hold as it stands, which is chance; both lists are sorted.
/// What it decodes to counts, and is not edited.
fn without_chance(hits: &mut Vec<Hit>, binaries: &[(usize, usize)]) {
    let mut rest = binaries.iter().peekable();
    hits.retain(|hit| {
        while rest.next_if(|(_, end)| *end <= hit.start).is_some() {}
        hit.is_binary || rest.peek().is_none_or(|(start, _)| hit.end <= *start)
    });
}

/// Finds in a text that is no JSON, such as the value of a header.
pub(super) fn plain(text: &str, kinds: &Kinds) -> Hits {
    let mut hits = Hits::default();
    scan(text, kinds, &mut |kind, start, end| hits.add(kind, start, end, false));
    kinds.own(text, &mut |kind, start, end| hits.add(kind, start, end, false));
    encoded(text, (0, text.len()), kinds, false, &mut hits);
    hits.list.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    hits
}

/// The detectors over a text, again and again where one of them stops at its bound.
fn scan(text: &str, kinds: &Kinds, each: &mut dyn FnMut(KindId, usize, usize)) {
    let mut from = 0;
    while let Some(rest) = text.get(from..) {
        let (mut count, mut last) = (0, 0);
        secrets(rest, &mut |found| {
            (count, last) = (count + 1, last.max(found.end));
            each(kinds.of_secret(found.kind), from + found.start, from + found.end);
        });
        if count < secrets::MAX_SECRETS || last == 0 {
            break;
        }
        from += last;
    }
    from = 0;
    while let Some(rest) = text.get(from..) {
        let (mut count, mut last) = (0, 0);
        personal(rest, &mut |found| {
            (count, last) = (count + 1, last.max(found.end));
            each(kinds.of_personal(found.kind), from + found.start, from + found.end);
        });
        if count < personal::MAX_PERSONAL || last == 0 {
            break;
        }
        from += last;
    }
}

/// The second look at a string; `name` is that of its member, as it came.
fn string(text: &str, token: Token, name: &str, kinds: &Kinds, hits: &mut Hits) {
    let Some(raw) = text.get(token.start..token.end).filter(|raw| !raw.is_empty()) else { return };
    let range = (token.start, token.end);
    // A name that hides what it is hides what its value is.
    let hides = token.hides || (token.kind == Kind::Text && name.contains("\\u"));
    if !(hides || (kinds.has_own() && token.is_escaped)) {
        if kinds.has_own() {
            kinds.own(raw, &mut |kind, start, end| {
                hits.add(kind, token.start + start, token.start + end, false);
            });
        }
        encoded(raw, range, kinds, false, hits);
        return;
    }
    let decoded = Decoded::of(raw);
    let add = |kind, start, end, hits: &mut Hits| {
        hits.add(kind, token.start + decoded.raw(start), token.start + decoded.raw(end), false);
    };
    if hides {
        // As in an assignment: the name tells what the value is.
        let head = format!("\"{}\":\"", Decoded::of(name).text);
        let whole = format!("{head}{}\"", decoded.text);
        scan(&whole, kinds, &mut |kind, start, end| {
            let limit = decoded.text.len();
            let (start, end) =
                (start.saturating_sub(head.len()), end.saturating_sub(head.len()).min(limit));
            if start < end {
                add(kind, start, end, hits);
            }
        });
    }
    kinds.own(&decoded.text, &mut |kind, start, end| add(kind, start, end, hits));
    encoded(&decoded.text, range, kinds, false, hits);
}

/// What is encoded in a string. What is found there is the whole string's, for there is no place
/// in it that could be edited.
fn encoded(text: &str, range: (usize, usize), kinds: &Kinds, is_binary: bool, hits: &mut Hits) {
    if text.len() < MIN_ENCODED_BYTES {
        return;
    }
    for of in [View::Percent, View::Decoded] {
        let Some(shown) = view(text, of).filter(|shown| shown.as_ref() != text) else { continue };
        let mut add = |kind| hits.add(kind, range.0, range.1, is_binary);
        // What is readable without decoding was found where it stands.
        let mut seen: Vec<(KindId, String)> = Vec::new();
        if of == View::Percent {
            scan(text, kinds, &mut |kind, start, end| {
                seen.push((kind, text.get(start..end).unwrap_or_default().to_owned()));
            });
        }
        scan(&shown, kinds, &mut |kind, start, end| {
            let found = shown.get(start..end).unwrap_or_default();
            if !seen.iter().any(|(own, text)| *own == kind && text == found) {
                add(kind);
            }
        });
        kinds.own(&shown, &mut |kind, _, _| {
            if of == View::Decoded {
                add(kind);
            }
        });
    }
}

/// Whether a string is binary data: base64 in a member that MCP has for it (`blob` of resources,
/// `data` of images and sound).
fn is_binary(name: &str, text: &str, token: Token) -> bool {
    let is_named = name == "blob" || name == "data";
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    is_named
        && !token.is_escaped
        && token.end - token.start >= MIN_BINARY_BYTES
        && text.as_bytes().get(token.start..token.end).is_some_and(|raw| raw.iter().all(is_base64))
}
