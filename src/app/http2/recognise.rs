//! Whether bytes from the middle of a flow are HTTP/2, and who sends them.

use super::Limits;
use super::frame::{self, Frame, HEADER_BYTES};
use super::hpack::{Decoder, Fields, Pseudo};
use super::search::Search;
use crate::net::Direction;

/// Looks at the first bytes of a side that was met midstream: `None` if they show no frames;
/// `Some(None)` if they do, but not who sends them. As in any [`Search`], three frames in a row
/// are needed, or some that end where `bytes` end.
///
/// Who sends them is told by the first header block with a pseudo-header field of the static
/// table, which is nearly any: requests have `:method` and `:scheme`, responses `:status`.
pub(in crate::app) fn recognise(bytes: &[u8], limits: &Limits) -> Option<Option<Direction>> {
    let mut search = Search::new(0, true);
    let (_, found) = search.feed(bytes);
    let found = found.or_else(|| search.settle())?;
    let mut rest = found.bytes.as_slice();
    let mut decoder = Decoder::default();
    let mut fields = Fields::default();
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let frame = Frame::parse(header);
        let payload = after.get(..frame.len as usize).unwrap_or(after);
        if frame.kind == frame::HEADERS && !frame.has(frame::PADDED) {
            let prefix = if frame.has(frame::PRIORITISED) { 5 } else { 0 };
            decoder.lose();
            decoder.decode(payload.get(prefix..).unwrap_or_default(), true, limits, &mut fields);
            let says = |pseudo| fields.pseudo(pseudo).is_some();
            if says(Pseudo::Status) {
                return Some(Some(Direction::ToClient));
            }
            if says(Pseudo::Method) || says(Pseudo::Scheme) {
                return Some(Some(Direction::ToServer));
            }
        }
        rest = after.get(payload.len()..).unwrap_or_default();
    }
    Some(None)
}
