//! What a file is, from its beginning.

use super::{Likelihood, Spec, format};

/// Formats that a file's beginning can be of, the likeliest first; none if it is nothing known.
/// `bytes` are from the first of the file on, [`MAX_SNIFFED_BYTES`](super::MAX_SNIFFED_BYTES) at
/// most are looked at. They should end where a line does; a last line that is cut counts as far
/// as it goes.
#[must_use]
pub fn detect(bytes: &[u8]) -> Vec<(&'static Spec, Likelihood)> {
    let bytes = bytes.get(..super::MAX_SNIFFED_BYTES).unwrap_or(bytes);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found: Vec<_> =
        format::ALL.iter().copied().map(|spec| (spec, (spec.sniff)(bytes))).collect();
    found.retain(|(_, likelihood)| *likelihood > Likelihood::No);
    // The sort is stable: of equals the first listed stays first.
    found.sort_by_key(|(_, likelihood)| std::cmp::Reverse(*likelihood));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nothing_known_is_nothing() {
        for text in [&b""[..], b"\n\n", b"hello world\n", b"{\"a\":1}\n", b"\x00\x01\xff", b"{}"] {
            assert_eq!(detect(text).len(), 0, "{}", String::from_utf8_lossy(text));
        }
    }
}
