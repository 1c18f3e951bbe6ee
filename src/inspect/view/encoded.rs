//! Base64 and hexadecimal runs inside a text (RFC 4648 sections 4, 5 and 8).

use super::percent::digit;

/// Least characters of a run.
const MIN_RUN: usize = 16;

/// Least characters of a line after which a run may go on in the next one (RFC 2045 section 6.8
/// wraps at 76, PEM at 64).
const MIN_LINE: usize = 60;

/// What the runs of `text` hold, a line for each; `None` when none holds text.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text.as_bytes();
    while let Some(start) = next_run(rest) {
        rest = rest.get(start..).unwrap_or_default();
        let (run, after) = rest.split_at_checked(run_len(rest)).unwrap_or_default();
        if !decode_run(run, &mut out) {
            // A path or a prefix may stand before what is encoded.
            for piece in run.split(|byte| matches!(byte, b'/' | b'+' | b'-' | b'_' | b'\n')) {
                if piece.len() >= MIN_RUN && piece.len() < run.len() {
                    decode_run(piece, &mut out);
                }
            }
        }
        rest = after;
    }
    (!out.is_empty()).then_some(out)
}

/// Where the next run of [`MIN_RUN`] characters begins. Each window is looked at from its end:
/// words are shorter, and most characters are passed over.
fn next_run(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let window = bytes.get(at..at + MIN_RUN)?;
        match window.iter().rposition(|byte| sextet(*byte).is_none()) {
            Some(last) => at += last + 1,
            None => return Some(at),
        }
    }
}

/// Length of the run at the beginning of `bytes`, wrapped lines included.
fn run_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    loop {
        let line = bytes.get(len..).unwrap_or_default();
        let run = line.iter().position(|byte| sextet(*byte).is_none()).unwrap_or(line.len());
        len += run;
        let wrap = match line.get(run..) {
            Some([b'\n', next, ..]) if sextet(*next).is_some() => 1,
            Some([b'\r', b'\n', next, ..]) if sextet(*next).is_some() => 2,
            _ => return len,
        };
        if run < MIN_LINE || run % 4 != 0 {
            return len;
        }
        len += wrap;
    }
}

/// Adds what `run` holds to `out`, if that is text.
fn decode_run(run: &[u8], out: &mut String) -> bool {
    let text = hex(run).and_then(text_of).or_else(|| base64(run).and_then(text_of));
    let Some(text) = text else { return false };
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&text);
    true
}

fn hex(run: &[u8]) -> Option<Vec<u8>> {
    let run = run.strip_prefix(b"0x").or_else(|| run.strip_prefix(b"0X")).unwrap_or(run);
    let (pairs, odd) = run.as_chunks::<2>();
    if !odd.is_empty() || run.len() < MIN_RUN {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Either alphabet; padding is not part of the run and not asked for.
fn base64(run: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(run.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0_u32, 0_usize);
    for byte in run.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        bits = bits << 6 | u32::from(sextet(*byte)?);
        count += 1;
        if count.is_multiple_of(4) {
            let [_, one, two, three] = bits.to_be_bytes();
            out.extend_from_slice(&[one, two, three]);
        }
    }
    let [_, one, two, _] = match count % 4 {
        2 => (bits << 12).to_be_bytes(),
        3 => (bits << 6).to_be_bytes(),
        0 => return Some(out),
        _ => return None,
    };
    out.push(one);
    if count % 4 == 3 {
        out.push(two);
    }
    Some(out)
}

fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Bytes as text, when nine of ten characters can be shown.
pub(in crate::inspect) fn text_of(bytes: Vec<u8>) -> Option<String> {
    let text = if is_utf16(&bytes) { utf16(&bytes)? } else { String::from_utf8(bytes).ok()? };
    let (mut shown, mut all) = (0_usize, 0_usize);
    for char in text.chars() {
        all += 1;
        shown += usize::from(is_shown(char));
    }
    (all > 0 && shown * 10 >= all * 9).then_some(text)
}

fn is_shown(char: char) -> bool {
    let is_private = matches!(char, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    matches!(char, '\t' | '\n' | '\r') || (!char.is_control() && !is_private)
}

/// Whether it is ASCII in UTF-16LE: every other byte is zero.
fn is_utf16(bytes: &[u8]) -> bool {
    let (units, odd) = bytes.as_chunks::<2>();
    odd.is_empty() && !units.is_empty() && units.iter().all(|[low, high]| *high == 0 && *low != 0)
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let (units, _) = bytes.as_chunks::<2>();
    char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)))
        .collect::<Result<_, _>>()
        .ok()
}
