//! Characters that carry something which is not shown: to a reader the text looks harmless, a
//! model or a terminal takes all of it.

mod joined;
mod symbols;
mod terminal;

use std::ops::Range;

use joined::ZeroWidth;
use terminal::Terminal;

/// Longest [`Hidden::decoded`], in bytes; what is longer is cut.
pub const MAX_DECODED_BYTES: usize = 4096;

/// How something is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HiddenKind {
    /// Tag characters, U+E0000 to U+E007F, but for the flags of regions that emoji have
    /// (UTS 51 section 1.4.6).
    Tags,
    /// Four variation selectors or more in a row (U+FE00 to U+FE0F, U+E0100 to U+E01EF): one is
    /// enough to choose a shape, and each can carry a byte.
    VariationSelectors,
    /// Characters of no width: three or more in a row, or many inside words, or two kinds of them
    /// as if they were bits, but for the joiners and breaks that scripts and emoji need.
    ZeroWidth,
    /// Controls of the writing direction (UAX 9) that make a text read otherwise than it is:
    /// overrides, and right-to-left ones where nothing is written from right to left.
    Bidi,
    /// Escape sequences of terminals (ECMA-48).
    Ansi,
    /// Other control characters, but for tab, line feed, form feed and carriage return.
    Control,
}

impl HiddenKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Tags,
        Self::VariationSelectors,
        Self::ZeroWidth,
        Self::Bidi,
        Self::Ansi,
        Self::Control,
    ];

    /// Its name in rules and findings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::VariationSelectors => "variation-selectors",
            Self::ZeroWidth => "zero-width",
            Self::Bidi => "bidi",
            Self::Ansi => "ansi",
            Self::Control => "control",
        }
    }
}

/// What a text hides in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden<'t> {
    /// The way.
    pub kind: HiddenKind,
    /// From the first of the characters to the end of the last, in bytes of the text.
    pub range: Range<usize>,
    /// That stretch of the text.
    pub text: &'t str,
    /// How many characters (of terminals: sequences) hide something.
    pub count: usize,
    /// What they say, where that is text: the letters of tags, the bytes of variation selectors,
    /// the bits of zero-width characters, the targets of links in a terminal and what is shown
    /// there in no colour, and what backspaces wipe out.
    pub decoded: Option<String>,
}

/// Hands what `text` hides to `each`: each kind at most once, in the order of [`HiddenKind`].
pub fn hidden(text: &str, each: &mut dyn FnMut(Hidden<'_>)) {
    if !is_worth_a_look(text.as_bytes()) {
        return;
    }
    let mut scan = Scan::default();
    let mut terminal = Terminal::new(text);
    for (at, char) in text.char_indices() {
        match char {
            ' '..='~' | '\t' | '\n' | '\r' | '\u{c}' => {
                terminal.plain(at, char);
                scan.shown(char);
            }
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                terminal.control(text, at, char);
                scan.shown(char);
            }
            _ => {
                terminal.plain(at, char);
                scan.other(text, at, char);
            }
        }
    }
    scan.shown('\0');
    let (ansi, control) = terminal.finish(text);
    let found = [
        scan.tags.hidden(HiddenKind::Tags),
        scan.selectors.hidden(HiddenKind::VariationSelectors),
        scan.zero_width.hidden(),
        scan.bidi.hidden(),
        ansi,
        control,
    ];
    for trace in found.into_iter().flatten() {
        let decoded = trace.decoded.map(|mut decoded| {
            decoded.truncate(super::view::cut(&decoded, MAX_DECODED_BYTES).len());
            decoded
        });
        let shown = text.get(trace.range.clone()).unwrap_or_default();
        let Trace { kind, range, count, .. } = trace;
        each(Hidden { kind, range, text: shown, count, decoded });
    }
}

/// Characters that take no room and mean nothing to a reader (Default_Ignorable_Code_Point of
/// UAX 44, version 16).
#[must_use]
pub const fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether any byte begins a control character or one that may be invisible: most texts have none.
fn is_worth_a_look(bytes: &[u8]) -> bool {
    const BLOCK: usize = 64;
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    blocks.iter().any(|block| any_suspect(block)) || any_suspect(rest)
}

/// Without a branch for each byte. The lead bytes are those of U+0080 to U+00BF, U+0600 to U+063F,
/// and of the blocks that hold what is looked for; punctuation of U+2000 shares one with them.
fn any_suspect(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| {
        let is_control = byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C);
        let is_lead = matches!(byte, 0x7F | 0xC2 | 0xD8 | 0xE1 | 0xE2 | 0xE3 | 0xEF | 0xF3);
        found | is_control | is_lead
    })
}

/// What was found of one kind.
#[derive(Debug)]
struct Trace {
    kind: HiddenKind,
    range: Range<usize>,
    count: usize,
    decoded: Option<String>,
}

/// Counts characters, and notes where they stand.
#[derive(Debug, Default)]
struct Places {
    range: Option<Range<usize>>,
    count: usize,
}

impl Places {
    fn add(&mut self, range: &Range<usize>, count: usize) {
        self.count += count;
        match &mut self.range {
            Some(all) => all.end = range.end,
            none => *none = Some(range.clone()),
        }
    }

    fn trace(self, kind: HiddenKind, decoded: Option<String>) -> Option<Trace> {
        Some(Trace { kind, range: self.range?, count: self.count, decoded })
    }
}

/// Bytes that characters carry, one each.
#[derive(Debug, Default)]
struct Payload {
    places: Places,
    bytes: Vec<u8>,
}

impl Payload {
    fn hidden(self, kind: HiddenKind) -> Option<Trace> {
        let text = super::view::text_of(self.bytes);
        self.places.trace(kind, text)
    }
}

#[derive(Debug, Default)]
struct Scan {
    tags: Payload,
    selectors: Payload,
    zero_width: ZeroWidth,
    bidi: Bidi,
    /// The tags or variation selectors just read, with their first byte's place.
    run: Run,
}

#[derive(Debug, Default)]
struct Run {
    range: Range<usize>,
    bytes: Vec<u8>,
    /// Tags, not variation selectors.
    is_tags: bool,
    /// A black flag stands before it.
    after_flag: bool,
}

/// The emoji that tags make the flag of a region.
const BLACK_FLAG: char = '\u{1f3f4}';

/// What a run of variation selectors needs to be more than a choice of shape.
const MIN_SELECTORS: usize = 4;

impl Scan {
    /// A character that is shown.
    fn shown(&mut self, char: char) {
        if !self.run.bytes.is_empty() {
            self.end_run();
        }
        self.run.after_flag = char == BLACK_FLAG;
        self.zero_width.shown(char);
    }

    fn other(&mut self, text: &str, at: usize, char: char) {
        let end = at + char.len_utf8();
        if let Some(byte) = tag(char) {
            self.carry(true, at..end, byte);
        } else if let Some(byte) = selector(char) {
            self.carry(false, at..end, byte);
        } else if self.bidi.take(at, char) {
            self.end_run();
        } else if joined::is_zero_width(char) {
            self.end_run();
            self.zero_width.take(text, at, char);
        } else {
            self.bidi.has_rtl |= is_rtl(char);
            self.shown(char);
        }
    }

    fn carry(&mut self, is_tags: bool, range: Range<usize>, byte: u8) {
        if self.run.is_tags != is_tags && !self.run.bytes.is_empty() {
            self.end_run();
        }
        if self.run.bytes.is_empty() {
            self.run.range = range.clone();
            self.run.is_tags = is_tags;
        }
        self.run.range.end = range.end;
        self.run.bytes.push(byte);
    }

    fn end_run(&mut self) {
        let run = &mut self.run;
        let flag = if run.is_tags && run.after_flag { flag_len(&run.bytes) } else { 0 };
        let bytes = run.bytes.get(flag..).unwrap_or_default();
        let range = run.range.start + 4 * flag..run.range.end;
        if run.is_tags && !bytes.is_empty() {
            self.tags.places.add(&range, bytes.len());
            self.tags.bytes.extend(bytes.iter().filter(|byte| matches!(byte, b' '..=b'~')));
        } else if bytes.len() >= MIN_SELECTORS {
            self.selectors.places.add(&range, bytes.len());
            self.selectors.bytes.extend_from_slice(bytes);
        }
        run.bytes.clear();
        run.after_flag = false;
    }
}

/// The ASCII character that a tag character stands for.
fn tag(char: char) -> Option<u8> {
    matches!(char, '\u{e0000}'..='\u{e007f}').then(|| low_byte(u32::from(char)))
}

/// The byte that a variation selector can stand for: its number, less one.
fn selector(char: char) -> Option<u8> {
    match char {
        '\u{fe00}'..='\u{fe0f}' => Some(low_byte(u32::from(char) - 0xFE00)),
        '\u{e0100}'..='\u{e01ef}' => Some(low_byte(u32::from(char) - 0xE0100 + 16)),
        _ => None,
    }
}

fn low_byte(value: u32) -> u8 {
    let [.., low] = value.to_be_bytes();
    low
}

/// Length of a region's flag at the beginning of tags that follow a black flag: its code of three
/// to six letters and digits (UTS 51 ED-14a, with CLDR's region codes), and the cancel tag.
fn flag_len(tags: &[u8]) -> usize {
    let is_code = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z');
    let code = tags.iter().take_while(|byte| is_code(byte)).count();
    let is_flag = (3..=6).contains(&code) && tags.get(code) == Some(&0x7F);
    if is_flag { code + 1 } else { 0 }
}

/// Controls of UAX 9 section 2.
#[derive(Debug, Default)]
struct Bidi {
    /// All of them.
    places: Places,
    /// Those that reorder what is written from left to right.
    forcing: usize,
    /// Those that hide the direction of what they hold.
    overrides: usize,
    has_rtl: bool,
}

impl Bidi {
    fn take(&mut self, at: usize, char: char) -> bool {
        if !matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            return false;
        }
        self.places.add(&(at..at + 3), 1);
        self.forcing +=
            usize::from(matches!(char, '\u{202b}' | '\u{202d}' | '\u{202e}' | '\u{2067}'));
        self.overrides += usize::from(matches!(char, '\u{202d}' | '\u{202e}'));
        true
    }

    /// Text with letters from right to left may well need embeddings and isolates, and one
    /// override; other text has no use but for the isolates that translation libraries put around
    /// what they fill in, which reorder nothing.
    fn hidden(self) -> Option<Trace> {
        let tells = if self.has_rtl { self.overrides >= 2 } else { self.forcing > 0 };
        if tells { self.places.trace(HiddenKind::Bidi, None) } else { None }
    }
}

/// Letters written from right to left, by their blocks.
const fn is_rtl(char: char) -> bool {
    matches!(char,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests;
