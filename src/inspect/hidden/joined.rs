//! Characters of no width.

use super::{HiddenKind, Places, Trace, symbols};

/// What a run needs to be more than a join or a break.
const MIN_RUN: usize = 3;

/// What a text needs, all over it, to be more than a few leftovers.
const MIN_SCATTERED: usize = 8;

/// Most characters that are kept to be decoded.
const MAX_SYMBOLS: usize = 8 * super::MAX_DECODED_BYTES;

/// Characters of no width, and fillers that are drawn as nothing.
pub(super) const fn is_zero_width(char: char) -> bool {
    matches!(char,
        '\u{115f}'..='\u{1160}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}')
}

#[derive(Debug, Default)]
pub(super) struct ZeroWidth {
    /// Those that no script or emoji needs.
    places: Places,
    symbols: Vec<char>,
    /// Of those, how many split a word.
    inside_words: usize,
    /// The longest run of any.
    longest: usize,
    run: usize,
    /// The character before the run.
    before: Option<char>,
}

impl ZeroWidth {
    pub(super) fn shown(&mut self, char: char) {
        self.run = 0;
        self.before = Some(char);
    }

    pub(super) fn take(&mut self, text: &str, at: usize, char: char) {
        self.run += 1;
        self.longest = self.longest.max(self.run);
        let end = at + char.len_utf8();
        if self.run < MIN_RUN {
            let after = text.get(end..).and_then(|rest| rest.chars().next());
            let (before, after) = (self.before, after.filter(|after| !is_zero_width(*after)));
            if is_needed(char, before, after) {
                return;
            }
            let is_letter = |side: Option<char>| side.is_some_and(char::is_alphanumeric);
            self.inside_words += usize::from(is_letter(before) && is_letter(after));
        }
        self.places.add(&(at..end), 1);
        if self.symbols.len() < MAX_SYMBOLS {
            self.symbols.push(char);
        }
    }

    /// Web pages carry a break of no width after each heading, and some texts one in each long
    /// name: many of one kind tell nothing unless they split words.
    pub(super) fn hidden(self) -> Option<Trace> {
        let tells = self.longest >= MIN_RUN
            || self.inside_words >= MIN_SCATTERED
            || (self.places.count >= MIN_SCATTERED && symbols::are_mixed(&self.symbols));
        if !tells {
            return None;
        }
        let decoded = symbols::decode(&self.symbols);
        self.places.trace(HiddenKind::ZeroWidth, decoded)
    }
}

/// Whether a single character of no width does its work between these two.
fn is_needed(char: char, before: Option<char>, after: Option<char>) -> bool {
    let near = [before, after];
    let any = |test: fn(char) -> bool| near.into_iter().flatten().any(test);
    match char {
        '\u{200c}' | '\u{200d}' => any(is_joining) || any(is_emoji),
        '\u{200b}' | '\u{2060}' => any(is_unspaced),
        '\u{200e}' | '\u{200f}' | '\u{61c}' => any(super::is_rtl),
        '\u{180e}' => any(|char| matches!(char, '\u{1800}'..='\u{18af}')),
        // A byte order mark.
        '\u{feff}' => before.is_none(),
        // Fillers between letters of Korean.
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => any(is_hangul),
        _ => false,
    }
}

/// Scripts in which joiners choose the shape of a letter.
const fn is_joining(char: char) -> bool {
    matches!(char,
        '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{109f}' | '\u{1780}'..='\u{1aaf}'
        | '\u{1b00}'..='\u{1c4f}' | '\u{a8e0}'..='\u{a8ff}' | '\u{a900}'..='\u{abff}'
        | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10a00}'..='\u{11fff}')
}

/// Scripts that write no blank between words, where a break of no width tells them apart.
const fn is_unspaced(char: char) -> bool {
    matches!(char,
        '\u{e00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{1950}'..='\u{1aaf}' | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7ff}'
        | '\u{ff00}'..='\u{ff60}')
}

const fn is_hangul(char: char) -> bool {
    matches!(char, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7ff}')
}

/// Pictures that a joiner makes one of.
const fn is_emoji(char: char) -> bool {
    matches!(char, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}
