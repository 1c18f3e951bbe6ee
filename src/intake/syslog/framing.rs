//! A stream into messages (RFC 6587 section 3.4).

use memchr::memchr;

use crate::logs::MAX_LINE_BYTES;

/// A message whose announced length is beyond this is taken for a stream that is not syslog.
const MAX_COUNTED_BYTES: usize = 64 << 20;

/// Where in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    /// In the digits of its length.
    Count(usize),
    /// So many bytes are left.
    Octets(usize),
    /// To the end of the line (or a NUL, as some senders end them).
    Line,
    /// Not syslog.
    Lost,
}

/// Splits a stream. Holds one message of at most 1 MiB; a longer one is skipped and told as `None`.
#[derive(Debug, Default)]
pub(super) struct Framer {
    state: State,
    partial: Vec<u8>,
    is_too_long: bool,
}

impl Framer {
    /// Takes the next bytes; false when no message can be found from here on.
    pub(super) fn push(&mut self, bytes: &[u8], each: &mut impl FnMut(Option<&[u8]>)) -> bool {
        let mut rest = bytes;
        while let Some(first) = rest.first().copied() {
            match self.state {
                State::Start => match first {
                    b'1'..=b'9' => self.state = State::Count(0),
                    b'\n' | b'\r' | b' ' | 0 => rest = rest.get(1..).unwrap_or_default(),
                    _ => self.state = State::Line,
                },
                State::Count(count) => {
                    rest = rest.get(1..).unwrap_or_default();
                    self.count(count, first);
                }
                State::Octets(left) => {
                    let (taken, after) = rest.split_at_checked(left).unwrap_or((rest, &[]));
                    rest = after;
                    self.state = State::Octets(left - taken.len());
                    self.take(taken, left == taken.len(), each);
                }
                State::Line => {
                    let end = memchr::memchr2(b'\n', 0, rest);
                    let (taken, after) =
                        rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
                    rest = after.get(1..).unwrap_or_default();
                    self.take(taken, end.is_some(), each);
                }
                State::Lost => return false,
            }
        }
        self.state != State::Lost
    }

    /// The stream is over: so is a line without an end. A counted message that is cut is dropped.
    pub(super) fn finish(&mut self, each: &mut impl FnMut(Option<&[u8]>)) {
        if self.state == State::Line {
            self.take(&[], true, each);
        }
    }

    fn count(&mut self, count: usize, byte: u8) {
        self.state = match byte {
            b'0'..=b'9' => {
                let count = count.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                if count > MAX_COUNTED_BYTES { State::Lost } else { State::Count(count) }
            }
            b' ' => State::Octets(count),
            // A line that begins with a digit cannot be told from a length that is none.
            _ => State::Lost,
        };
    }

    fn take(&mut self, bytes: &[u8], is_over: bool, each: &mut impl FnMut(Option<&[u8]>)) {
        let is_in_place = self.partial.is_empty() && !self.is_too_long;
        if is_over && is_in_place && bytes.len() <= MAX_LINE_BYTES {
            each(Some(bytes));
        } else {
            self.is_too_long |= self.partial.len() + bytes.len() > MAX_LINE_BYTES;
            if self.is_too_long {
                self.partial = Vec::new();
            } else {
                self.partial.extend_from_slice(bytes);
            }
            if !is_over {
                return;
            }
            each((!self.is_too_long).then_some(self.partial.as_slice()));
        }
        self.partial.clear();
        self.is_too_long = false;
        self.state = State::Start;
    }
}

/// Cuts at a line end, for messages of several lines.
pub(super) fn first_line(message: &[u8]) -> &[u8] {
    let end = memchr(b'\n', message).unwrap_or(message.len());
    message.get(..end).unwrap_or(message).trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
        let (mut framer, mut found, mut is_readable) = (Framer::default(), Vec::new(), true);
        let mut each = |message: Option<&[u8]>| {
            found.push(
                message
                    .map_or_else(|| "too long".into(), |m| String::from_utf8_lossy(m).into_owned()),
            );
        };
        for piece in pieces {
            is_readable &= framer.push(piece, &mut each);
        }
        framer.finish(&mut each);
        (found, is_readable)
    }

    #[test]
    fn counted_messages_and_lines_may_alternate_and_be_cut_anywhere() {
        for (text, expected, is_readable) in [
            ("5 <1>ab4 <2>c", &["<1>ab", "<2>c"][..], true),
            ("<1>a\n<2>b\r\n<3>c", &["<1>a", "<2>b\r", "<3>c"], true),
            ("<1>a\0<2>b\n", &["<1>a", "<2>b"], true),
            ("6 <1>a\nb<2>c\n5 <3>d\n", &["<1>a\nb", "<2>c", "<3>d\n"], true),
            ("\n\n{\"a\":1}\n", &["{\"a\":1}"], true),
            ("9 <1>cut", &[], true),
            ("12x", &[], false),
            ("999999999999 ", &[], false),
        ] {
            let bytes = text.as_bytes();
            assert_eq!(split(bytes.chunks(1)), (expected_of(expected), is_readable), "{text:?}");
            for cut in 0..bytes.len() {
                let (before, after) = bytes.split_at(cut);
                let got = split([before, after].into_iter());
                assert_eq!(got, (expected_of(expected), is_readable), "{text:?} at {cut}");
            }
        }
    }

    fn expected_of(messages: &[&str]) -> Vec<String> {
        messages.iter().map(|message| (*message).to_owned()).collect()
    }

    #[test]
    fn a_message_beyond_the_bound_is_skipped() {
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        for text in [format!("<{long}\n<1>a\n"), format!("{} {long}5 <1>ab", long.len())] {
            for size in [4096, text.len()] {
                let (found, _) = split(text.as_bytes().chunks(size));
                assert_eq!(found.len(), 2);
                assert_eq!(found[0], "too long");
                assert!(found[1].starts_with("<1>a"));
            }
        }
    }
}
