//! Message heads that another protocol carries, each whole and by itself.

use super::http1::head::{self, Head, Scan, Scratch, StartLine, Transfer};
use crate::exchange::{RequestHead, ResponseHead};
use crate::net::Direction;

/// Reads heads, one after another, in buffers that are used again. At most `max_headers` fields
/// of a head are reported.
#[derive(Debug)]
pub struct HeadReader {
    scratch: Scratch,
    max_headers: usize,
}

/// What a head's fields say of the body behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyFacts {
    /// Its length in bytes, if that is known before it is over.
    pub length: Option<u64>,
}

impl HeadReader {
    /// A reader of heads with at most so many fields.
    #[must_use]
    pub fn new(max_headers: usize) -> Self {
        Self { scratch: Scratch::default(), max_headers }
    }

    /// A request line and its fields; the empty line at the end may be missing. `None` if it is
    /// no such head.
    pub fn request<'a>(&'a mut self, bytes: &'a [u8]) -> Option<(RequestHead<'a>, BodyFacts)> {
        let head = self.read(bytes, Direction::ToServer)?;
        let StartLine::Request { method, target } = head.start else { return None };
        let Head { version, headers, .. } = head;
        Some((RequestHead { method, target, version, headers }, facts(&head)))
    }

    /// The same of a status line.
    pub fn response<'a>(&'a mut self, bytes: &'a [u8]) -> Option<(ResponseHead<'a>, BodyFacts)> {
        let head = self.read(bytes, Direction::ToClient)?;
        let StartLine::Response { status } = head.start else { return None };
        let Head { version, headers, .. } = head;
        Some((ResponseHead { status, version, headers }, facts(&head)))
    }

    fn read<'a>(&'a mut self, bytes: &'a [u8], direction: Direction) -> Option<Head<'a>> {
        self.scratch.lines.clear();
        let _end = Scan::default().find_end(bytes, &mut self.scratch.lines);
        head::parse(bytes, direction, self.max_headers, &mut self.scratch)
    }
}

fn facts(head: &Head<'_>) -> BodyFacts {
    let is_plain = head.facts.transfer == Transfer::None;
    BodyFacts { length: head.facts.length.filter(|_| is_plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_what_they_are_and_how_long_the_body_is() {
        let mut reader = HeadReader::new(8);
        let text = b"POST http://h/p HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n";
        let (head, facts) = reader.request(text).unwrap();
        assert_eq!((head.method, head.target), (&b"POST"[..], &b"http://h/p"[..]));
        assert_eq!((head.headers.get("host"), facts.length), (Some(&b"h"[..]), Some(7)));
        let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n";
        let (head, facts) = reader.response(text).unwrap();
        assert_eq!((head.status, facts.length), (200, None));
        assert!(reader.request(text).is_none());
        assert!(reader.response(b"").is_none());
    }
}
