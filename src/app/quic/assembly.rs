//! The start of a CRYPTO stream, put together from frames in any order.

/// Bytes of the stream that are kept: a ClientHello with post-quantum key shares has under 2 KiB.
pub(super) const MAX_CRYPTO_BYTES: usize = 16 << 10;
/// Pieces with holes between them; one that would be one too many is dropped. Browsers scatter a
/// hello over some dozens.
const MAX_PIECES: usize = 256;

/// Bytes, and which of them have arrived. At most `MAX_CRYPTO_BYTES` and 2 KiB.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    bytes: Vec<u8>,
    /// Start and end of what has arrived; sorted, with a hole between any two.
    pieces: Vec<(usize, usize)>,
}

/// How far the first message has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hello<'a> {
    /// Some of it is missing.
    Partial,
    /// The body of a ClientHello.
    Complete(&'a [u8]),
    /// It is something else, or too long.
    Never,
}

impl Assembly {
    /// Takes in the data of a frame. What lies past the bound is dropped.
    pub(super) fn insert(&mut self, offset: u64, data: &[u8]) {
        let Ok(start) = usize::try_from(offset) else { return };
        let end = start.saturating_add(data.len()).min(MAX_CRYPTO_BYTES);
        if start >= end || !self.mark(start, end) {
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(place) = self.bytes.get_mut(start..end) {
            for (byte, new) in place.iter_mut().zip(data) {
                *byte = *new;
            }
        }
    }

    /// Joins a piece with those that it touches.
    fn mark(&mut self, mut start: usize, mut end: usize) -> bool {
        let from = self.pieces.partition_point(|piece| piece.1 < start);
        let to = self.pieces.partition_point(|piece| piece.0 <= end);
        if from == to && self.pieces.len() >= MAX_PIECES {
            return false;
        }
        if let Some(touched) = self.pieces.get(from..to)
            && let (Some(first), Some(last)) = (touched.first(), touched.last())
        {
            start = start.min(first.0);
            end = end.max(last.1);
        }
        drop(self.pieces.splice(from..to, [(start, end)]));
        true
    }

    /// The first message of the stream (RFC 8446 section 4).
    pub(super) fn hello(&self) -> Hello<'_> {
        let have = match self.pieces.first() {
            Some((0, end)) => self.bytes.get(..*end).unwrap_or_default(),
            _ => return Hello::Partial,
        };
        let Some([kind, a, b, c]) = have.first_chunk() else { return Hello::Partial };
        let end = 4 + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *kind != crate::app::tls::handshake::kind::CLIENT_HELLO || end > MAX_CRYPTO_BYTES {
            return Hello::Never;
        }
        have.get(4..end).map_or(Hello::Partial, Hello::Complete)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(len: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(len).unwrap().to_be_bytes();
        let mut bytes = vec![1, 0, high, low];
        bytes.extend((0..=250).cycle().take(len));
        bytes
    }

    #[test]
    fn only_a_client_hello_within_the_bound_is_waited_for() {
        for (bytes, expected) in [
            (&[1, 0, 0][..], Hello::Partial),
            (&[1, 0, 0x3f, 0xfc], Hello::Partial),
            (&[1, 0, 0x3f, 0xfd], Hello::Never),
            (&[2, 0, 0, 0], Hello::Never),
            (&[1, 0, 0, 0], Hello::Complete(&[])),
            (&[1, 0, 0, 1, 9, 9], Hello::Complete(&[9])),
        ] {
            let mut assembly = Assembly::default();
            assembly.insert(0, bytes);
            assert_eq!(assembly.hello(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn memory_stays_bounded() {
        let mut assembly = Assembly::default();
        assembly.insert(u64::MAX, b"x");
        assembly.insert(MAX_CRYPTO_BYTES as u64, b"x");
        assert_eq!(assembly.bytes.len(), 0);
        assembly.insert(MAX_CRYPTO_BYTES as u64 - 1, b"xyz");
        for index in 0..4000 {
            assembly.insert(1 + index * 2, b"x");
        }
        assert_eq!(assembly.bytes.len(), MAX_CRYPTO_BYTES);
        assert_eq!(assembly.pieces.len(), MAX_PIECES);
        // Pieces that join others still fit.
        assembly.insert(0, &[1; 700]);
        assert!(assembly.pieces.len() < MAX_PIECES);
    }

    proptest! {
        #[test]
        fn any_order_and_overlap_gives_the_message(
            cuts in prop::collection::vec((0_usize..700, 1_usize..200), 0..40),
            last in 0_usize..700,
        ) {
            let whole = message(600);
            let mut assembly = Assembly::default();
            for (start, len) in cuts {
                let start = start.min(whole.len());
                let end = (start + len).min(whole.len());
                assembly.insert(start as u64, &whole[start..end]);
                let sorted = assembly.pieces.windows(2).all(|pair| pair[0].1 < pair[1].0);
                prop_assert!(sorted, "{:?}", assembly.pieces);
            }
            let last = last.min(whole.len());
            assembly.insert(last as u64, &whole[last..]);
            assembly.insert(0, &whole[..last]);
            prop_assert_eq!(assembly.hello(), Hello::Complete(&whole[4..]));
        }
    }
}
