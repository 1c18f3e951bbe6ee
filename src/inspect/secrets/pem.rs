//! Private keys in textual encoding (RFC 7468, RFC 1421, RFC 9580 section 6.2).

use super::checksum;
use super::kind::Kind;
use super::text::{Alphabet, Text};
use super::{Certainty, Found};

/// Longest label, in bytes: `ENCRYPTED PRIVATE KEY` has 21.
const MAX_LABEL_BYTES: usize = 40;
/// Fewest characters of base64: an Ed25519 key has 64.
const MIN_BODY_CHARS: usize = 60;
/// Longest fields (`Proc-Type`, `DEK-Info`, `Version`) before the base64, in bytes.
const MAX_FIELDS_BYTES: usize = 256;
/// Shortest base64 without fields that is looked at for its first byte.
const HEAD_CHARS: usize = 64;

/// From `BEGIN` to `END`, or to where the base64 ends when the text is cut before that. Line ends
/// may be real, escaped or missing.
pub(super) fn check(text: Text<'_>, start: usize, from: usize) -> Option<Found> {
    const LABEL: Alphabet = Alphabet::UPPER_ALNUM.and(Alphabet::of(b" "));
    let label_end = text.run(from, LABEL, MAX_LABEL_BYTES);
    let label = text.slice(from, label_end);
    let is_pgp = label == b"PGP PRIVATE KEY BLOCK";
    if !(is_pgp || label.ends_with(b"PRIVATE KEY")) || !text.has(label_end, "-----") {
        return None;
    }
    let body_start = skip_fields(text, label_end + 5);
    let body = read_body(text, body_start);
    if body.chars < MIN_BODY_CHARS || body.distinct < 12 {
        return None;
    }
    let closing = [&b"-----END "[..], label, b"-----"];
    let end = closing.iter().try_fold(body.end, |at, part| {
        let end = at + part.len();
        (text.slice(at, end) == *part).then_some(end)
    });
    let end = end.unwrap_or(body.last);
    let mut bytes = [0; HEAD_CHARS];
    let head = checksum::base64(&body.head, &mut bytes).unwrap_or_default();
    let (kind, is_key) = match label {
        b"OPENSSH PRIVATE KEY" => (Kind::SshPrivateKey, head.starts_with(b"openssh-key-v1\0")),
        // A DER sequence; with fields before it, it is encrypted.
        _ => (Kind::PrivateKey, head.first() == Some(&0x30) && body_start == label_end + 5),
    };
    if !is_key && kind == Kind::SshPrivateKey {
        return None;
    }
    let is_other = is_pgp || body_start != label_end + 5;
    if !is_key && !is_other {
        return None;
    }
    let certainty = if is_key { Certainty::Checked } else { Certainty::Shaped };
    Some(Found { kind, certainty, start, end })
}

/// Where the base64 begins: behind an empty line when fields come first, which hold a colon.
fn skip_fields(text: Text<'_>, from: usize) -> usize {
    let head = text.slice(from, from + MAX_FIELDS_BYTES);
    let head = if head.is_empty() { text.slice(from, text.len()) } else { head };
    let line = head.split(|byte| *byte == b'-' || *byte == b':').next().unwrap_or_default();
    // A first word of base64 is longer than the name of a field.
    if line.len() > 24 || !(head.get(line.len()) == Some(&b':') || line.ends_with(b"Proc")) {
        return from;
    }
    let ends = [&b"\n\n"[..], b"\r\n\r\n", b"\\n\\n", b"\\r\\n\\r\\n"];
    let blank = |end: &&[u8]| memchr::memmem::find(head, end).map(|at| at + end.len());
    ends.iter().filter_map(blank).min().map_or(from, |skipped| from + skipped)
}

struct Body {
    /// Characters of base64.
    chars: usize,
    distinct: u32,
    /// The first of them.
    head: [u8; HEAD_CHARS],
    /// Behind the last of them.
    last: usize,
    /// Behind the white space that follows.
    end: usize,
}

/// The characters of base64, through white space and its escapes, up to anything else.
fn read_body(text: Text<'_>, from: usize) -> Body {
    let mut body = Body { chars: 0, distinct: 0, head: [b'='; HEAD_CHARS], last: from, end: from };
    let mut seen = 0_u128;
    let mut at = from;
    while let Some(byte) = text.byte(at) {
        at += match byte {
            b'\\' if text.byte(at + 1).is_some_and(|next| b"nrt".contains(&next)) => 2,
            b'\\' if text.byte(at + 1) == Some(b'/') => 1,
            b' ' | b'\t' | b'\r' | b'\n' => 1,
            _ if Alphabet::BASE64.has(byte) || byte == b'=' => {
                if let Some(slot) = body.head.get_mut(body.chars) {
                    *slot = byte;
                }
                seen |= 1_u128 << (byte & 0x7f);
                body.chars += 1;
                body.last = at + 1;
                1
            }
            _ => break,
        };
        body.end = at;
    }
    body.distinct = seen.count_ones();
    body
}
