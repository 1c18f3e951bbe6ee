//! `[redacted:KIND]` in the place of what was found; everything else keeps its bytes.

use super::detect::Hit;
use super::kinds::{KindId, Kinds};
use super::leaves::{Kind, Tokens, widen};

/// A part of a string, or a number, that is replaced.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: usize,
    end: usize,
    kind: KindId,
}

impl Range {
    const fn of(hit: &Hit) -> Self {
        Self { start: hit.start, end: hit.end, kind: hit.kind }
    }
}

/// Edits a JSON text. Hits are sorted by where they begin. A number becomes a string. Names of
/// members that are edited get a number each, so that no two become one.
pub(super) fn json(text: &str, hits: &[Hit], kinds: &Kinds) -> String {
    let mut out = String::with_capacity(text.len() + 32 * hits.len().min(64));
    // Apart from each other, so that each is looked at once.
    let hits = merged(&hits.iter().map(Range::of).collect::<Vec<_>>());
    let mut from = 0;
    let mut first = 0;
    let mut edited_keys = 0_usize;
    for token in Tokens::of(text) {
        // Hits are sorted by their beginnings, and may reach over several tokens.
        while hits.get(first).is_some_and(|hit| hit.end <= token.start) {
            first += 1;
        }
        let mut ranges: Vec<Range> = hits
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(|hit| hit.start < token.end)
            .filter(|hit| hit.end > token.start)
            .map(|hit| Range {
                start: hit.start.max(token.start),
                end: hit.end.min(token.end),
                kind: hit.kind,
            })
            .collect();
        if ranges.is_empty() {
            continue;
        }
        if token.kind == Kind::Number {
            let [Range { kind, .. }, ..] = ranges.as_slice() else { continue };
            out.push_str(text.get(from..token.start).unwrap_or_default());
            out.push_str(&format!("\"[redacted:{}]\"", kinds.name(*kind)));
            from = token.end;
            continue;
        }
        if token.is_escaped {
            whole_escapes(text, token.start, token.end, &mut ranges);
        }
        for range in merged(&ranges) {
            out.push_str(text.get(from..range.start).unwrap_or_default());
            out.push_str("[redacted:");
            out.push_str(kinds.name(range.kind));
            if token.kind == Kind::Key {
                edited_keys += 1;
                if edited_keys > 1 {
                    out.push_str(&format!("#{edited_keys}"));
                }
            }
            out.push(']');
            from = range.end;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Edits a text that is no JSON.
pub(super) fn plain(text: &str, hits: &[Hit], kinds: &Kinds) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for range in merged(&hits.iter().map(Range::of).collect::<Vec<_>>()) {
        out.push_str(text.get(from..range.start).unwrap_or_default());
        out.push_str(&format!("[redacted:{}]", kinds.name(range.kind)));
        from = range.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

fn whole_escapes(text: &str, start: usize, end: usize, ranges: &mut [Range]) {
    let raw = text.get(start..end).unwrap_or_default();
    let mut inside: Vec<(usize, usize)> =
        ranges.iter().map(|range| (range.start - start, range.end - start)).collect();
    widen(raw, &mut inside);
    for (range, (from, to)) in ranges.iter_mut().zip(inside) {
        (range.start, range.end) = (start + from, start + to);
    }
}

/// Ranges that overlap as one, of the kind that began first.
fn merged(ranges: &[Range]) -> Vec<Range> {
    let mut kept: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match kept.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => kept.push(*range),
        }
    }
    kept
}
