//! Decoded fields, in one piece of memory that is used again for each block.

use super::super::Limits;
use crate::exchange::{HeaderSpan, Headers};

/// The pseudo-header fields of RFC 9113 section 8.3 and RFC 8441 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Pseudo {
    Method,
    Path,
    Scheme,
    Authority,
    Status,
    Protocol,
}

impl Pseudo {
    const NAMES: [(&'static [u8], Self); 6] = [
        (b":method", Self::Method),
        (b":path", Self::Path),
        (b":scheme", Self::Scheme),
        (b":authority", Self::Authority),
        (b":status", Self::Status),
        (b":protocol", Self::Protocol),
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a block was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Findings {
    /// Fields left out because the table is not known.
    pub(in crate::app) unknown: bool,
    /// Something that no encoder may send.
    pub(in crate::app) malformed: bool,
    /// A table size behind a field, where only some decoders accept it.
    pub(in crate::app) late_resize: bool,
    /// Fields left out because of a bound.
    pub(in crate::app) too_large: bool,
    /// Fields left out because the table made far more of them than was sent.
    pub(in crate::app) expanded: bool,
    /// A pseudo-header field that is unknown, twice there, or behind a regular one.
    pub(in crate::app) pseudo_misplaced: bool,
}

/// The fields of one block.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Fields {
    /// `host`, then names and values.
    bytes: Vec<u8>,
    /// The first one is for a `host` field that stands for `:authority`.
    spans: Vec<HeaderSpan>,
    /// Values of the pseudo-header fields.
    pseudo: [(u32, u32); 6],
    seen: u8,
    has_host: bool,
    pub(in crate::app) findings: Findings,
}

const HOST: &[u8] = b"host";
const HOST_BYTES: u32 = 4;

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Fields {
    /// Empties it; to be called before the first use. Keeps the memory, unless it is much.
    pub(in crate::app) fn clear(&mut self) {
        const KEPT_BYTES: usize = 16 << 10;
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(HOST);
        self.spans.clear();
        self.spans.push(HeaderSpan::default());
        (self.seen, self.has_host, self.findings) = (0, false, Findings::default());
    }

    /// Where the next field begins.
    pub(super) const fn mark(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether there is room for no more fields.
    pub(super) const fn is_full(&self, limits: &Limits) -> bool {
        self.bytes.len() >= limits.max_head_bytes || self.spans.len() > limits.max_headers
    }

    /// Name and value that begin at `mark`.
    pub(super) fn since(&self, mark: usize, value_at: usize) -> Option<(&[u8], &[u8])> {
        Some((self.bytes.get(mark..value_at)?, self.bytes.get(value_at..)?))
    }

    pub(super) fn drop_since(&mut self, mark: usize) {
        self.bytes.truncate(mark);
    }

    /// Takes what was written since `mark` as a field.
    pub(super) fn keep(&mut self, mark: usize, value_at: usize, limits: &Limits) {
        let Some((name, value)) = self.since(mark, value_at) else { return };
        if self.spans.len() > limits.max_headers || self.bytes.len() > limits.max_head_bytes {
            self.findings.too_large = true;
            return self.drop_since(mark);
        }
        let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
        let start = value_at + value.iter().position(is_text).unwrap_or(0);
        let end = value.iter().rposition(is_text).map_or(start, |last| value_at + last + 1);
        let (start, end) = (offset(start), offset(end));
        if name.first() == Some(&b':') {
            let known = Pseudo::NAMES.iter().find(|(known, _)| *known == name);
            return match known {
                Some((_, pseudo)) => self.keep_pseudo(*pseudo, start, end),
                None => {
                    self.findings.pseudo_misplaced = true;
                    self.drop_since(mark);
                }
            };
        }
        self.has_host |= name.eq_ignore_ascii_case(HOST);
        self.spans.push(HeaderSpan {
            name_start: offset(mark),
            name_end: offset(value_at),
            value_start: start,
            value_end: end,
        });
    }

    fn keep_pseudo(&mut self, pseudo: Pseudo, start: u32, end: u32) {
        self.findings.pseudo_misplaced |= self.spans.len() > 1;
        if self.seen & pseudo.bit() != 0 {
            self.findings.pseudo_misplaced = true;
            return;
        }
        self.seen |= pseudo.bit();
        if let Some(slot) = self.pseudo.get_mut(pseudo as usize) {
            *slot = (start, end);
        }
        if pseudo == Pseudo::Authority
            && let Some(host) = self.spans.first_mut()
        {
            *host = HeaderSpan {
                name_start: 0,
                name_end: HOST_BYTES,
                value_start: start,
                value_end: end,
            };
        }
    }

    /// The value of a pseudo-header field.
    pub(in crate::app) fn pseudo(&self, pseudo: Pseudo) -> Option<&[u8]> {
        if self.seen & pseudo.bit() == 0 {
            return None;
        }
        let (start, end) = self.pseudo.get(pseudo as usize)?;
        self.bytes.get(*start as usize..*end as usize)
    }

    /// Whether there is any pseudo-header field.
    pub(in crate::app) const fn has_pseudo(&self) -> bool {
        self.seen != 0
    }

    /// Whether there is nothing at all.
    pub(in crate::app) const fn is_empty(&self) -> bool {
        self.seen == 0 && self.spans.len() <= 1
    }

    /// The regular fields in wire order; `:authority` first, as `host`, when there is no `host`.
    pub(in crate::app) fn headers(&self) -> Headers<'_> {
        let stands_in = !self.has_host && self.seen & Pseudo::Authority.bit() != 0;
        let spans = self.spans.get(usize::from(!stands_in)..).unwrap_or_default();
        Headers { bytes: &self.bytes, spans }
    }

    /// Whether a name or value has a byte that RFC 9113 section 8.2.1 forbids anywhere.
    pub(in crate::app) fn has_forbidden_byte(&self) -> bool {
        memchr::memchr3(b'\r', b'\n', 0, &self.bytes).is_some()
    }

    /// Adds a field that was not sent.
    pub(in crate::app) fn push(&mut self, name: &[u8], value: &[u8]) {
        let name_start = offset(self.bytes.len());
        self.bytes.extend_from_slice(name);
        let value_start = offset(self.bytes.len());
        self.bytes.extend_from_slice(value);
        let value_end = offset(self.bytes.len());
        let span = HeaderSpan { name_start, name_end: value_start, value_start, value_end };
        self.spans.push(span);
    }
}
