//! Where the next frame begins, after bytes were missing.
//!
//! Frames have no marks. A place is taken for one if what stands there reads as a frame of this
//! direction whose text begins like JSON, or if two more frames follow it without a break. What
//! is decided on some bytes stays so with more of them, so that every cut leads to the same.

use super::frame::{CLOSE, CONTINUATION, Header, MAX_CONTROL_BYTES, RSV1, TEXT};
use super::mask::Mask;

/// Bytes that are held while a place is looked at: frames that reach beyond are not found.
const MAX_HELD_BYTES: usize = 4096;
/// Bytes of a text that are looked at.
const MAX_LOOK_BYTES: usize = 16;
/// A text of fewer bytes proves nothing.
const MIN_LOOK_BYTES: u64 = 8;
/// Frames in a row that prove a place.
const CHAIN: usize = 3;
/// Longer frames are not believed.
const MAX_FRAME_BYTES: u64 = 1 << 32;

/// What frames of a direction look like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) masked: bool,
    pub(super) deflate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    No,
    /// More bytes will tell.
    Perhaps,
    Yes,
}

/// A search in progress: twice [`MAX_HELD_BYTES`] at most.
#[derive(Debug, Default)]
pub(super) struct Search {
    held: Vec<u8>,
    /// The place that is looked at.
    at: usize,
    seen: u64,
}

impl Search {
    /// Bytes searched.
    pub(super) const fn seen(&self) -> u64 {
        self.seen
    }

    /// More bytes are missing.
    pub(super) fn gap(&mut self) {
        self.held.clear();
        self.at = 0;
    }

    /// Takes in bytes; answers with how many, and whether the frame was found that begins
    /// [`found`](Self::found).
    pub(super) fn feed(&mut self, bytes: &[u8], look: Look) -> (usize, bool) {
        let mut used = 0;
        loop {
            let room = MAX_HELD_BYTES - (self.held.len() - self.at).min(MAX_HELD_BYTES);
            let rest = bytes.get(used..).unwrap_or_default();
            let piece = rest.get(..room).unwrap_or(rest);
            self.held.extend_from_slice(piece);
            used += piece.len();
            self.seen += piece.len() as u64;
            if self.advance(look) {
                return (used, true);
            }
            if self.at >= MAX_HELD_BYTES {
                self.held.drain(..self.at);
                self.at = 0;
            }
            let full = self.held.len() - self.at >= MAX_HELD_BYTES;
            if full {
                self.at += 1;
            } else if used >= bytes.len() {
                return (used, false);
            }
        }
    }

    /// The frame found and what follows it.
    pub(super) fn found(&self) -> &[u8] {
        self.held.get(self.at..).unwrap_or_default()
    }

    /// Moves on to the next place that may be one.
    fn advance(&mut self, look: Look) -> bool {
        while let Some(rest) = self.held.get(self.at..).filter(|rest| !rest.is_empty()) {
            match look.fits(rest, CHAIN) {
                Fit::Yes => return true,
                Fit::Perhaps => return false,
                Fit::No => self.at += 1,
            }
        }
        false
    }
}

impl Look {
    /// Whether so many frames begin here, or one with a text that begins like JSON.
    fn fits(self, bytes: &[u8], chain: usize) -> Fit {
        let mut rest = bytes;
        for link in 0..chain {
            let Some((header, len)) = Header::parse(rest) else {
                return if self.may_begin(rest) { Fit::Perhaps } else { Fit::No };
            };
            if !self.is_plausible(header) {
                return Fit::No;
            }
            let payload = rest.get(len..).unwrap_or_default();
            if link == 0 {
                match Text::of(header, payload) {
                    Text::Silent => {}
                    Text::Wait => return Fit::Perhaps,
                    Text::Wrong => return Fit::No,
                    Text::Proof => return Fit::Yes,
                }
            }
            // The last one is believed by its header.
            if link + 1 == chain {
                break;
            }
            let end = usize::try_from(header.len).unwrap_or(usize::MAX);
            let beyond = (bytes.len() - payload.len()).saturating_add(end);
            if beyond >= MAX_HELD_BYTES {
                return Fit::No;
            }
            match payload.get(end..) {
                Some(next) => rest = next,
                None => return Fit::Perhaps,
            }
        }
        Fit::Yes
    }

    /// Whether the first bytes of a header may become a plausible one.
    fn may_begin(self, bytes: &[u8]) -> bool {
        let mut padded = [0; 14];
        padded.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        if bytes.len() < 2 {
            let second = if self.masked { 0x82 } else { 0x02 };
            if let Some(slot) = padded.get_mut(1) {
                *slot = second;
            }
        }
        // The length is not known yet: only what the first two bytes say counts.
        Header::parse(&padded).is_some_and(|(header, _)| {
            let len = if header.is_control() { header.len } else { 2 };
            self.is_plausible(Header { overlong: false, len, ..header })
        })
    }

    /// Whether a frame of this direction may have such a header.
    pub(super) fn is_plausible(self, header: Header) -> bool {
        let Header { fin, reserved, opcode, key, len, overlong } = header;
        let compressed = reserved == RSV1 && self.deflate && !header.is_control();
        let control = fin && len <= MAX_CONTROL_BYTES && !(opcode == CLOSE && len == 1);
        header.is_known()
            && (reserved == 0 || (compressed && opcode != CONTINUATION))
            && key.is_some() == self.masked
            && !overlong
            && len < MAX_FRAME_BYTES
            && (control || !header.is_control())
    }
}

/// What the payload of a frame says for the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    /// Nothing.
    Silent,
    /// More bytes may prove it.
    Wait,
    /// It is none: there are controls in the text.
    Wrong,
    /// It begins like JSON.
    Proof,
}

impl Text {
    fn of(header: Header, payload: &[u8]) -> Self {
        if header.opcode != TEXT || header.reserved != 0 {
            return Self::Silent;
        }
        let mut plain = [0; MAX_LOOK_BYTES];
        let known = payload.get(..usize::try_from(header.len).unwrap_or(usize::MAX));
        let mut mask = Mask::new(header.key.unwrap_or_default());
        let len = mask.apply(known.unwrap_or(payload), &mut plain);
        let plain = plain.get(..len).unwrap_or_default();
        let is_text = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\r' | b'\n');
        let is_json = plain.first().is_none_or(|first| matches!(first, b'{' | b'['));
        if !plain.iter().all(is_text) {
            Self::Wrong
        } else if !is_json || header.len < MIN_LOOK_BYTES {
            Self::Silent
        } else if (len as u64) < header.len.min(MAX_LOOK_BYTES as u64) {
            Self::Wait
        } else {
            Self::Proof
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Look = Look { masked: false, deflate: false };
    const CLIENT: Look = Look { masked: true, deflate: true };

    fn find(bytes: &[u8], look: Look, piece: usize) -> Option<Vec<u8>> {
        let mut search = Search::default();
        let mut pieces = bytes.chunks(piece);
        while let Some(next) = pieces.next() {
            let (used, found) = search.feed(next, look);
            if found {
                let rest = [search.found(), &next[used..]].concat();
                return Some([rest, pieces.collect::<Vec<_>>().concat()].concat());
            }
            assert_eq!(used, next.len());
        }
        None
    }

    fn every_cut(bytes: &[u8], look: Look) -> Option<Vec<u8>> {
        let whole = find(bytes, look, bytes.len().max(1));
        for piece in [1, 2, 3, 5, 7, 16, 100, 1000, 5000] {
            assert_eq!(find(bytes, look, piece), whole, "{piece}");
        }
        whole
    }

    const JSON: &[u8] = b"\x81\x0e{\"jsonrpc\":\"2\"";

    #[test]
    fn a_json_text_is_found_at_once_and_other_frames_in_threes() {
        let noise = (0..60_u32).map(|n| format!("привет {}, рст: {{\"id\":1}} Á", n * n));
        let noise = noise.collect::<String>().into_bytes();
        let table: &[(Vec<u8>, usize)] = &[
            (JSON.to_vec(), 0),
            ([b"rest of a text\"}", JSON].concat(), 16),
            ([&noise, JSON.repeat(9).as_slice()].concat(), noise.len()),
            ([b"}", b"\x81\x02hi".as_slice(), b"\x89\x00", b"\x82\x01"].concat(), 1),
            ([b"}}", b"\x81\x7e\x10\x00[{\"jsonrpc\":\"2.0\"".as_slice()].concat(), 2),
        ];
        for (bytes, at) in table {
            assert_eq!(every_cut(bytes, SERVER).as_deref(), bytes.get(*at..), "{at}");
        }
        assert_eq!(every_cut(&noise, SERVER), None);
        assert_eq!(every_cut(&[0x81; 9000], SERVER), None);
        assert_eq!(every_cut(&[0; 9000], CLIENT), None);
    }

    #[test]
    fn a_masked_json_text_is_found_in_masked_bytes() {
        let mut state = 1_u32;
        let mut noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(20_000)
        .collect();
        assert_eq!(every_cut(&noise, CLIENT), None);
        let at = noise.len();
        noise.extend_from_slice(b"\x81\x8e\x01\x02\x03\x04");
        let text = b"{\"jsonrpc\":\"2\"";
        noise.extend(text.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key));
        assert_eq!(every_cut(&noise, CLIENT).as_deref(), noise.get(at..));
    }
}
