//! Messages in a TCP stream: a length of two bytes before each (RFC 1035 section 4.2.2).

use super::message::{HEADER_BYTES, Header, parse};
use crate::exchange::DnsMessage;

const LENGTH_BYTES: usize = 2;

/// One direction of a stream. Keeps at most one message: 64 KiB.
#[derive(Debug, Default)]
pub(in crate::app) struct Stream {
    pending: Vec<u8>,
    /// Messages that could be read.
    messages: u64,
    lost: bool,
}

impl Stream {
    /// Takes in the next bytes, and calls `each` with every message that is complete and can be
    /// read. A message that lies whole in `bytes` is not copied.
    pub(in crate::app) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(DnsMessage)) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.lost {
            if self.pending.is_empty() {
                let Some(framed) = framed(rest) else {
                    self.keep(rest);
                    return;
                };
                rest = rest.get(framed.len()..).unwrap_or_default();
                self.read(framed, &mut each);
            } else {
                rest = self.fill(rest, &mut each);
            }
        }
    }

    /// It is not DNS, as its start tells; nothing more is read.
    pub(in crate::app) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Completes first the length, then the message that is kept.
    fn fill<'b>(&mut self, bytes: &'b [u8], each: &mut impl FnMut(DnsMessage)) -> &'b [u8] {
        let wanted = wanted(&self.pending).unwrap_or(LENGTH_BYTES);
        let missing = wanted.saturating_sub(self.pending.len());
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.keep(taken);
        if framed(&self.pending).is_some() {
            let framed = std::mem::take(&mut self.pending);
            self.read(&framed, each);
        }
        rest
    }

    /// A stream that does not begin like DNS is not kept.
    fn keep(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let start = self.pending.get(LENGTH_BYTES..).unwrap_or_default();
        let short =
            wanted(&self.pending).is_some_and(|wanted| wanted < LENGTH_BYTES + HEADER_BYTES);
        if self.messages == 0
            && (short || start.len() >= HEADER_BYTES && Header::read(start).is_none())
        {
            self.lose();
        }
    }

    fn read(&mut self, framed: &[u8], each: &mut impl FnMut(DnsMessage)) {
        match framed.get(LENGTH_BYTES..).and_then(parse) {
            Some(message) => {
                self.messages += 1;
                each(message);
            }
            // Zone transfers and updates may come later.
            None if self.messages == 0 => self.lose(),
            None => {}
        }
    }

    fn lose(&mut self) {
        self.lost = true;
        self.pending = Vec::new();
    }
}

/// Length of the first message, its own two bytes included.
fn wanted(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().map(|len| LENGTH_BYTES + usize::from(u16::from_be_bytes(*len)))
}

/// The first message with its length, if it is whole.
fn framed(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..wanted(bytes)?)
}
