//! Secrets out of excerpts: what a finding quotes of the traffic must not leak what the traffic
//! leaked.
//!
//! Better too much than too little: a masked word costs an analyst a look into the capture, an
//! unmasked secret ends up in a ticket.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands where a secret stood.
pub const MASK: &str = "<masked>";
/// Longest masked text, in characters, without the ellipsis.
pub const MAX_OUTPUT_CHARS: usize = 512;
/// A text that is shorter and of plain characters has room for no secret.
const MIN_SECRET_BYTES: usize = 12;
/// So many bytes of the input are looked at; the rest is cut, and with it the last word.
const MAX_INPUT_BYTES: usize = 64 << 10;
/// Runs of key characters from this length on are judged by their randomness.
const WINDOW_BYTES: usize = 32;
/// Segments of a run, between separators, from this length on are judged by their shape.
const SEGMENT_BYTES: usize = 8;
/// A window of random base-36 text has more bits per character than this.
const RANDOM_BITS: f64 = 3.6;

/// Parts of names whose values are secret, in any case.
const NAMES: &str = "(?:password|passwd|passphrase|passcode|pwd|secret|token|bearer|credential\
    |api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|auth[_-]?key\
    |auth[_-]?code|authorization|cookie|session[_-]?id|signature|client[_-]?assertion|otp\
    |code[_-]?verifier)";

/// Shapes of keys that name their issuer.
const ISSUED: &str = "(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{16,}\
    |github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}|xox[a-z]-[A-Za-z0-9-]{8,}\
    |xapp-[A-Za-z0-9-]{8,}|sk-[A-Za-z0-9_-]{16,}|[rsp]k_(?:live|test)_[A-Za-z0-9]{8,}\
    |AIza[A-Za-z0-9_-]{20,}|ya29\\.[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{20,}\
    |pypi-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|SG\\.[A-Za-z0-9_.-]{16,}\
    |shp[a-z]{2}_[A-Za-z0-9]{16,}|dop_v1_[A-Za-z0-9]{16,}|lin_api_[A-Za-z0-9]{16,}\
    |figd_[A-Za-z0-9_-]{16,}|ntn_[A-Za-z0-9]{16,}|sq0[a-z]{3}-[A-Za-z0-9_-]{16,}";

/// `None` would be a mistake in the patterns, which a test excludes; then all text is masked.
static SECRETS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // A quoted value; one that nobody closes runs to the end. Inside JSON in JSON the quotes are
    // escaped themselves, and the value ends at the next quote of any kind.
    let quoted = r#""(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\\+["'][^"']*"#;
    let separator = r#"\\*["']?\s*(?:=>|[:=]|%3[AaDd])\s*"#;
    let pattern = format!(
        r#"(?s)-----BEGIN\x20[A-Z0-9\x20]{{0,40}}-----.*?(?:-----END\x20[A-Z0-9\x20]{{0,40}}-----|\z)
        |(?P<line>(?i:(?:proxy-)?authorization|(?:set-)?cookie){separator})(?:{quoted}|[^\r\n]+)
        |(?P<user>://)[^\s/?\#"'<>]*@
        |(?P<named>(?i:{NAMES})[A-Za-z0-9_.-]{{0,24}}{separator})
            (?:{quoted}|\[[^\]]*\]?|\{{[^}}]*\}}?|[^\s&"']+)
        |(?P<flag>(?:^|[\s"',])--?[A-Za-z0-9_-]{{0,24}}(?i:{NAMES})[A-Za-z0-9_-]{{0,24}}[\s"',]+)
            [^\s"',]+
        |(?P<scheme>(?i:\b(?:bearer|basic|negotiate))(?:\s|%20)+)[A-Za-z0-9+/=._~:%-]{{6,}}
        |(?P<query>[?&;](?i:code|key|sig|auth|state|jwt|sid)=)[^&\s"'\#]+
        |eyJ[A-Za-z0-9_-]{{6,}}(?:\.[A-Za-z0-9_-]*){{0,4}}
        |{ISSUED}
        |[0-9A-Fa-f]{{8}}-(?:[0-9A-Fa-f]{{4}}-){{3}}[0-9A-Fa-f]{{12}}
        |[0-9A-Fa-f]{{32,}}"#
    );
    regex::RegexBuilder::new(&pattern).ignore_whitespace(true).build().ok()
});

/// Names whose whole value is secret.
static SECRET_NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!("(?i){NAMES}")).ok());

/// Runs of characters that keys are made of.
static RUNS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{32,}={0,2}").ok());

/// The text with secrets replaced by [`MASK`], cut at 512 characters (an ellipsis shows the cut).
///
/// Masked are: values of `Authorization` and `Cookie` fields, bearer and basic credentials, JSON
/// web tokens, keys whose shape names their issuer, PEM blocks, UUIDs and hex from 32 digits on,
/// random-looking runs from 32 characters on, values of names such as `password` or `api_key` in
/// JSON, forms, command lines and assignments, and user information in URLs. A secret of several
/// words without quotes is masked up to the first space only. Time is linear in the input, of
/// which at most 64 KiB are looked at.
#[must_use]
pub fn mask(text: &str) -> String {
    if is_harmless(text) { text.to_owned() } else { masked(text) }
}

/// Short words, such as most names: neither an assignment nor an option, and shorter than any key.
fn is_harmless(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'/' | b' ');
    text.len() < MIN_SECRET_BYTES && text.bytes().all(is_plain)
}

fn masked(text: &str) -> String {
    let mut out = Bounded::default();
    let Some(secrets) = SECRETS.as_ref() else { return MASK.to_owned() };
    let (text, cut) = bounded_input(text);
    let mut literal_from = 0;
    for found in secrets.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        mask_runs(text.get(literal_from..whole.start()).unwrap_or_default(), &mut out);
        out.push(kept_prefix(&found));
        out.push(MASK);
        if found.name("user").is_some() {
            out.push("@");
        }
        literal_from = whole.end();
        if out.full {
            break;
        }
    }
    mask_runs(text.get(literal_from..).unwrap_or_default(), &mut out);
    if cut {
        out.full = true;
    }
    out.finish()
}

/// The value of a named field, masked; replaced as a whole when the name says that it is secret.
#[must_use]
pub fn mask_value(name: &str, value: &str) -> String {
    match SECRET_NAME.as_ref() {
        Some(names) if !names.is_match(name) => mask(value),
        _ => MASK.to_owned(),
    }
}

/// What of a match stays: the name before a value.
fn kept_prefix<'t>(found: &Captures<'t>) -> &'t str {
    ["line", "user", "named", "flag", "scheme", "query"]
        .iter()
        .find_map(|group| found.name(group))
        .map_or("", |prefix| prefix.as_str())
}

/// The first 64 KiB, without a word that the cut would halve: half a secret looks harmless.
fn bounded_input(text: &str) -> (&str, bool) {
    if text.len() <= MAX_INPUT_BYTES {
        return (text, false);
    }
    let head = (0..4).find_map(|back| text.get(..MAX_INPUT_BYTES - back)).unwrap_or_default();
    let last_space = head.rfind(char::is_whitespace).unwrap_or(0);
    (head.get(..last_space).unwrap_or_default(), true)
}

/// Text without recognised secrets: runs that look random are masked all the same.
fn mask_runs(text: &str, out: &mut Bounded) {
    let Some(runs) = RUNS.as_ref() else { return out.push(MASK) };
    let mut literal_from = 0;
    for run in runs.find_iter(text) {
        if out.full {
            return;
        }
        if !is_random(run.as_str().as_bytes()) {
            continue;
        }
        out.push(text.get(literal_from..run.start()).unwrap_or_default());
        out.push(MASK);
        literal_from = run.end();
    }
    out.push(text.get(literal_from..).unwrap_or_default());
}

/// Whether some window of a run looks random: many different characters, and a segment that is
/// no word. Paths and dotted names fail the second test, zeros and repeated words the first.
fn is_random(run: &[u8]) -> bool {
    let last = run.len().saturating_sub(WINDOW_BYTES);
    (0..=last).step_by(8).chain([last]).any(|start| {
        run.get(start..start + WINDOW_BYTES).is_some_and(|window| {
            let mut segments = window.split(|byte| matches!(byte, b'/' | b'-' | b'_' | b'+'));
            segments.any(|segment| segment.len() >= SEGMENT_BYTES && !is_word(segment))
                && bits_per_byte(window) >= RANDOM_BITS
        })
    })
}

/// Whether letters and digits look like a word, a camel-case name or one with a number at its end:
/// no letter after a digit, and an upper-case letter in four at most, or nothing but those.
fn is_word(segment: &[u8]) -> bool {
    let pairs = segment.iter().zip(segment.iter().skip(1));
    let digit_inside = pairs.into_iter().any(|(a, b)| a.is_ascii_digit() && !b.is_ascii_digit());
    let upper = segment.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let lower = segment.iter().filter(|byte| byte.is_ascii_lowercase()).count();
    !digit_inside && (lower == 0 || upper * 4 <= segment.len() + 3)
}

/// Shannon entropy of the byte values.
fn bits_per_byte(bytes: &[u8]) -> f64 {
    let mut counts = [0_u8; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let total = f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let share = |count: &u8| f64::from(*count) / total;
    counts.iter().filter(|count| **count > 0).map(|c| -share(c) * share(c).log2()).sum()
}

/// Output of at most [`MAX_OUTPUT_CHARS`] characters.
#[derive(Default)]
struct Bounded {
    text: String,
    chars: usize,
    /// Something was left out.
    full: bool,
}

impl Bounded {
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if self.chars == MAX_OUTPUT_CHARS {
                self.full = true;
                return;
            }
            self.text.push(c);
            self.chars += 1;
        }
    }

    fn finish(mut self) -> String {
        if self.full {
            self.text.push('…');
        }
        self.text
    }
}

#[cfg(test)]
mod tests;
