//! JSON Web Tokens in compact form: JWS (RFC 7515 section 7.1) and JWE (RFC 7516 section 7.1).

use std::borrow::Cow;

use serde::Deserialize;

use super::checksum;
use super::kind::Kind;
use super::text::{Alphabet, Text};
use super::{Certainty, Found};

/// Longest header, in characters.
const MAX_HEADER_CHARS: usize = 1024;
/// Shortest signature: of HS256 it has 43 characters.
const MIN_SIGNATURE_CHARS: usize = 40;
/// Beginning of the payload of the example on jwt.io: subject 1234567890, name John Doe.
const EXAMPLE: &[u8] = b"eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9l";

/// What a header must have (RFC 7515 section 4.1.1); of JWE also `enc`.
#[derive(Deserialize)]
struct Header<'h> {
    #[serde(borrow)]
    alg: Cow<'h, str>,
    #[serde(borrow, default)]
    enc: Option<Cow<'h, str>>,
}

/// A token that starts with the header at `start`: its algorithm is named, and it has the segments
/// that the header asks for. Unsigned tokens (`none`) count too: servers were made to take them.
pub(super) fn check(text: Text<'_>, start: usize, _: usize) -> Option<Found> {
    if !text.starts(start, Alphabet::BASE64URL) {
        return None;
    }
    let header_end = text.run(start, Alphabet::BASE64URL, MAX_HEADER_CHARS + 1);
    if header_end - start > MAX_HEADER_CHARS || text.byte(header_end) != Some(b'.') {
        return None;
    }
    let mut decoded = [0; MAX_HEADER_CHARS];
    let json = checksum::base64(text.slice(start, header_end), &mut decoded)?;
    let header: Header<'_> = serde_json::from_slice(json).ok()?;
    let end = match header.enc {
        Some(_) => (0..4).try_fold(header_end, |at, _| next_segment(text, at))?,
        None => {
            let payload_end = next_segment(text, header_end)?;
            let payload = text.slice(header_end + 1, payload_end);
            if !payload.starts_with(b"e") || payload.starts_with(EXAMPLE) {
                return None;
            }
            let end = next_segment(text, payload_end)?;
            let is_signed = end - payload_end > MIN_SIGNATURE_CHARS;
            if !is_signed && !header.alg.eq_ignore_ascii_case("none") {
                return None;
            }
            end
        }
    };
    Some(Found { kind: Kind::Jwt, certainty: Certainty::Checked, start, end })
}

/// End of the segment behind a dot.
fn next_segment(text: Text<'_>, dot: usize) -> Option<usize> {
    (text.byte(dot) == Some(b'.')).then(|| text.run(dot + 1, Alphabet::BASE64URL, usize::MAX))
}
