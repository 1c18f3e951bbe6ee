//! What terminals obey instead of showing it (ECMA-48).

use memchr::{memchr, memchr2};

use super::{HiddenKind, MAX_DECODED_BYTES, Places, Trace};
use crate::inspect::view::cut;

/// Longest string in an escape sequence that is followed to its end, in bytes.
const MAX_SEQUENCE: usize = 8 * 1024;

/// Longest parameters of a control sequence, in bytes.
const MAX_PARAMETERS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Terminal {
    sequences: Places,
    controls: Places,
    /// The end of the sequence being passed over.
    inside: usize,
    /// Targets of links, and what is concealed.
    told: String,
    /// Where concealed text began.
    concealed: Option<usize>,
    /// Characters that stand before the backspaces, and what those wiped out.
    line: Vec<char>,
    wiped: String,
    /// What the backspaces in a row wiped out, last character first.
    wiping: Vec<char>,
    /// There are backspaces at all.
    has_backspaces: bool,
}

impl Terminal {
    pub(super) fn new(text: &str) -> Self {
        let has_backspaces = memchr(0x08, text.as_bytes()).is_some();
        Self { has_backspaces, ..Self::default() }
    }

    /// A character that is no control.
    pub(super) fn plain(&mut self, at: usize, char: char) {
        if !self.has_backspaces || at < self.inside {
            return;
        }
        if !self.wiping.is_empty() {
            self.wipe();
        }
        if matches!(char, '\n' | '\r') {
            self.line.clear();
        } else {
            self.line.push(char);
        }
        if self.line.len() >= 2 * MAX_DECODED_BYTES {
            self.line.drain(..MAX_DECODED_BYTES);
        }
    }

    pub(super) fn control(&mut self, text: &str, at: usize, char: char) {
        if at < self.inside {
            return;
        }
        let rest = text.get(at..).unwrap_or_default();
        if let Some(len) = sequence_len(rest.as_bytes()) {
            self.inside = at + cut(rest, len).len();
            self.sequences.add(&(at..self.inside), 1);
            self.obey(text, at);
            return;
        }
        let len = char.len_utf8();
        // Windows-1252 taken for Latin-1 puts U+0080 to U+009F where quotation marks should be.
        if len == 1 {
            self.controls.add(&(at..at + len), 1);
        }
        if char == '\u{8}' {
            self.wiping.extend(self.line.pop());
        }
    }

    /// Notes what a sequence hides.
    fn obey(&mut self, text: &str, at: usize) {
        let sequence = text.get(at..self.inside).unwrap_or_default();
        if let Some(link) = link(sequence) {
            self.tell(link);
        }
        match conceals(sequence) {
            Some(true) => self.concealed = self.concealed.or(Some(self.inside)),
            Some(false) => self.reveal(text, at),
            None => {}
        }
    }

    fn reveal(&mut self, text: &str, end: usize) {
        if let Some(secret) = self.concealed.take().and_then(|start| text.get(start..end)) {
            self.tell(secret);
        }
    }

    fn tell(&mut self, text: &str) {
        if text.is_empty() || self.told.len() > MAX_DECODED_BYTES {
            return;
        }
        if !self.told.is_empty() {
            self.told.push('\n');
        }
        self.told.push_str(cut(text, MAX_DECODED_BYTES));
    }

    fn wipe(&mut self) {
        if self.wiped.len() <= MAX_DECODED_BYTES {
            self.wiped.extend(self.wiping.iter().rev());
        }
        self.wiping.clear();
    }

    /// Escape sequences, then other controls.
    pub(super) fn finish(mut self, text: &str) -> (Option<Trace>, Option<Trace>) {
        self.reveal(text, text.len());
        self.wipe();
        let told = Some(self.told).filter(|told| !told.is_empty());
        let wiped = Some(self.wiped).filter(|wiped| !wiped.is_empty());
        let ansi = self.sequences.trace(HiddenKind::Ansi, told);
        (ansi, self.controls.trace(HiddenKind::Control, wiped))
    }
}

/// Length of the sequence at the beginning of `bytes` (ECMA-48 section 5). One that never ends
/// takes all there is, as terminals do, but a control sequence ends with its introducer then.
fn sequence_len(bytes: &[u8]) -> Option<usize> {
    let len = match bytes {
        [0x1B, b'[', rest @ ..] => csi_len(rest),
        [0x1B, b']' | b'P' | b'X' | b'^' | b'_', rest @ ..] => string_len(rest),
        // Escapes of two characters, and with an intermediate one.
        [0x1B, 0x30..=0x7E, ..] => 0,
        [0x1B, 0x20..=0x2F, 0x30..=0x7E, ..] => 1,
        // Eight-bit forms, in UTF-8. UTF-8 taken for Latin-1 is full of these characters, so they
        // have to go on as what they introduce does.
        [0xC2, 0x9B, rest @ ..] if matches!(rest, [b'0'..=b'9' | b';' | b'?', ..]) => csi_len(rest),
        [0xC2, 0x9D, rest @ ..] if matches!(rest, [b'0'..=b'9', b';', ..]) => string_len(rest),
        _ => return None,
    };
    Some(2 + len)
}

/// Parameters, intermediate bytes and the final one.
fn csi_len(body: &[u8]) -> usize {
    let body = body.get(..MAX_PARAMETERS).unwrap_or(body);
    let parameters = body.iter().take_while(|byte| matches!(byte, 0x20..=0x3F)).count();
    if matches!(body.get(parameters), Some(0x40..=0x7E)) { parameters + 1 } else { 0 }
}

/// Up to BEL, or ESC and a backslash.
fn string_len(body: &[u8]) -> usize {
    let body = body.get(..MAX_SEQUENCE).unwrap_or(body);
    match memchr2(0x07, 0x1B, body) {
        Some(end) if body.get(end) == Some(&0x07) => end + 1,
        Some(end) if body.get(end + 1) == Some(&b'\\') => end + 2,
        Some(end) => end,
        None => body.len(),
    }
}

/// The target of a link that begins (OSC 8).
fn link(sequence: &str) -> Option<&str> {
    let body = sequence.strip_prefix("\u{1b}]8;").or_else(|| sequence.strip_prefix("\u{9d}8;"))?;
    let start = memchr(b';', body.as_bytes())? + 1;
    let target = body.get(start..)?;
    Some(target.trim_end_matches(['\u{7}', '\u{1b}', '\\']))
}

/// Whether text is concealed from here on, or no longer (SGR 8, 28 and 0: ECMA-48 section 8.3.117).
fn conceals(sequence: &str) -> Option<bool> {
    let body = sequence.strip_prefix("\u{1b}[").or_else(|| sequence.strip_prefix('\u{9b}'))?;
    let parameters = body.strip_suffix('m')?;
    let mut parts = parameters.split(';');
    let mut conceals = None;
    while let Some(part) = parts.next() {
        match part {
            "8" => conceals = Some(true),
            "" | "0" | "28" => conceals = Some(false),
            // A colour: its own parameters follow.
            "38" | "48" if parts.next() == Some("2") => drop(parts.by_ref().nth(2)),
            "38" | "48" => drop(parts.next()),
            _ => {}
        }
    }
    conceals
}
