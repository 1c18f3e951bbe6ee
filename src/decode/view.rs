//! What is left of a frame: the captured bytes, and how long they were on the wire.

use etherparse::err::FromSliceError;

use super::skip::{Header, Skip};

/// The rest of a frame behind the headers read so far. Never `wire < bytes.len()`.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// Captured bytes.
    pub(super) bytes: &'a [u8],
    /// Length on the wire, in bytes; more than `bytes.len()` when the frame was cut.
    pub(super) wire: usize,
}

impl<'a> View<'a> {
    /// A frame. A wire length below the number of captured bytes (a file that lies) is raised.
    pub(super) fn new(bytes: &'a [u8], wire: usize) -> Self {
        Self { bytes, wire: wire.max(bytes.len()) }
    }

    /// The first `N` bytes, and the rest.
    pub(super) fn split<const N: usize>(self, header: Header) -> Result<(&'a [u8; N], Self), Skip> {
        match self.bytes.split_first_chunk() {
            Some((first, rest)) => Ok((first, Self::new(rest, self.wire.saturating_sub(N)))),
            None => Err(self.short(N, header)),
        }
    }

    /// The rest behind a header read from the first bytes.
    pub(super) fn behind(self, header: &[u8]) -> Self {
        let rest = self.bytes.get(header.len()..).unwrap_or_default();
        Self::new(rest, self.wire.saturating_sub(header.len()))
    }

    /// The rest behind `len` bytes.
    pub(super) fn skip(self, len: usize, header: Header) -> Result<Self, Skip> {
        match self.bytes.get(len..) {
            Some(rest) => Ok(Self::new(rest, self.wire.saturating_sub(len))),
            None => Err(self.short(len, header)),
        }
    }

    /// The first bytes up to `wire`, the length that a network header claims: link-layer padding
    /// goes; a claim beyond the frame makes the view a cut one.
    pub(super) fn limit(self, wire: usize) -> Self {
        Self { bytes: self.bytes.get(..wire).unwrap_or(self.bytes), wire }
    }

    /// Whether all bytes were captured.
    pub(super) const fn is_complete(self) -> bool {
        self.bytes.len() == self.wire
    }

    /// Why a header of `need` bytes cannot be read: it was cut by the capture, or never sent.
    pub(super) const fn short(self, need: usize, header: Header) -> Skip {
        if self.wire >= need { Skip::Truncated(header) } else { Skip::Malformed(header) }
    }

    /// Why etherparse refused to read a header from the first bytes.
    #[cold]
    pub(super) fn refused(self, error: impl Into<FromSliceError>, header: Header) -> Skip {
        match error.into() {
            FromSliceError::Len(error) => self.short(error.required_len, header),
            _ => Skip::Malformed(header),
        }
    }
}
