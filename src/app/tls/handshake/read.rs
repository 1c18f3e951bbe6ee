//! Big-endian numbers and length-prefixed vectors (RFC 8446 section 3).

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<usize> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]) as usize)
    }

    pub(super) fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.bytes(usize::from(len))
    }

    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.bytes(usize::from(len))
    }

    pub(super) fn vector24(&mut self) -> Option<&'a [u8]> {
        let len = self.u24()?;
        self.bytes(len)
    }

    /// As much of a vector as there is.
    pub(super) fn lenient_vector16(&mut self) -> &'a [u8] {
        let Some(len) = self.u16() else { return &[] };
        let (vector, rest) = self.0.split_at(usize::from(len).min(self.0.len()));
        self.0 = rest;
        vector
    }
}

/// Whole numbers of a list, at most `max`.
pub(super) fn numbers(list: &[u8], max: usize) -> Vec<u16> {
    let (pairs, _) = list.as_chunks();
    pairs.iter().take(max).map(|pair| u16::from_be_bytes(*pair)).collect()
}
