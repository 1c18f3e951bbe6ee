//! Handshake messages out of pieces of any cut (RFC 8446 section 4 and 5.1).

/// Longest message that is read, in bytes, without its header. A longer one is skipped: a chain
/// of certificates takes some kilobytes, and post-quantum ones some tens.
pub(in crate::app) const MAX_MESSAGE_BYTES: usize = 128 << 10;

const HEADER_BYTES: usize = 4;

/// Puts messages together. Keeps at most one message: `MAX_MESSAGE_BYTES` and 4 bytes.
#[derive(Debug, Default)]
pub(in crate::app) struct Messages {
    pending: Vec<u8>,
    /// Bytes of a message that is too long which are still to come.
    skip: usize,
    oversized: bool,
}

impl Messages {
    /// Takes in the next bytes of one direction, and calls `each` with type, body and whole (header
    /// included, as transcripts want it) of every message that is complete. A message that lies
    /// whole in `bytes` is not copied.
    pub(in crate::app) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(u8, &[u8], &[u8])) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = if self.skip > 0 {
                let step = self.skip.min(rest.len());
                self.skip -= step;
                rest.get(step..).unwrap_or_default()
            } else if self.pending.is_empty() {
                self.direct(rest, &mut each)
            } else {
                self.fill(rest, &mut each)
            };
        }
    }

    /// Whether a message was longer than the bound.
    #[cfg(test)]
    pub(in crate::app) const fn oversized(&self) -> bool {
        self.oversized
    }

    /// Whether a message is under way.
    #[cfg(test)]
    pub(in crate::app) const fn is_partial(&self) -> bool {
        !self.pending.is_empty() || self.skip > 0
    }

    /// Forgets the message under way, as after a gap.
    pub(in crate::app) fn reset(&mut self) {
        *self = Self { oversized: self.oversized, ..Self::default() };
    }

    /// The first message of `bytes`, in place; a partial one is kept.
    fn direct<'b>(&mut self, bytes: &'b [u8], each: &mut impl FnMut(u8, &[u8], &[u8])) -> &'b [u8] {
        let Some((kind, len)) = header(bytes) else {
            self.pending.extend_from_slice(bytes);
            return &[];
        };
        if len > MAX_MESSAGE_BYTES {
            self.oversized = true;
            self.skip = len;
            return bytes.get(HEADER_BYTES..).unwrap_or_default();
        }
        let Some((whole, rest)) = bytes.split_at_checked(HEADER_BYTES + len) else {
            self.pending.extend_from_slice(bytes);
            return &[];
        };
        each(kind, whole.get(HEADER_BYTES..).unwrap_or_default(), whole);
        rest
    }

    /// Completes first the header, then the message that is kept.
    fn fill<'b>(&mut self, bytes: &'b [u8], each: &mut impl FnMut(u8, &[u8], &[u8])) -> &'b [u8] {
        let missing = match header(&self.pending) {
            None => HEADER_BYTES - self.pending.len(),
            Some((_, len)) => (HEADER_BYTES + len).saturating_sub(self.pending.len()),
        };
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.pending.extend_from_slice(taken);
        let Some((kind, len)) = header(&self.pending) else { return rest };
        if len > MAX_MESSAGE_BYTES {
            self.oversized = true;
            self.skip = len;
            self.pending = Vec::new();
        } else if self.pending.len() >= HEADER_BYTES + len {
            let whole = std::mem::take(&mut self.pending);
            each(kind, whole.get(HEADER_BYTES..).unwrap_or_default(), &whole);
        }
        rest
    }
}

/// Type and length of the body.
fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let [kind, a, b, c] = *bytes.first_chunk()?;
    Some((kind, u32::from_be_bytes([0, a, b, c]) as usize))
}
