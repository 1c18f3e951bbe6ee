//! What the beginning of a file looks like, for formats that have no names in their lines.

use super::super::{Format, Likelihood, Line, Record};

/// Lines that are looked at.
const MAX_LINES: usize = 32;

/// Reads the first lines as a format would. More than half of them have to be of it, and one a
/// record, for `most`.
pub(super) fn try_lines(bytes: &[u8], mut format: impl Format, most: Likelihood) -> Likelihood {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for line in lines(bytes).take(MAX_LINES) {
        match format.line(line, &mut Record::default()) {
            Ok(Line::Record) => good += 1,
            Ok(Line::Nothing) => {}
            Err(_) => bad += 1,
        }
    }
    if good > bad { most } else { Likelihood::No }
}

/// The lines that are not empty.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// Whether one of the header lines (those that begin with `#`, at the beginning) has this text.
pub(super) fn header_has(bytes: &[u8], text: &[u8]) -> bool {
    lines(bytes)
        .take_while(|line| line.first() == Some(&b'#'))
        .any(|line| memchr::memmem::find(line, text).is_some())
}
