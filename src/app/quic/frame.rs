//! Frames of Initial packets (RFC 9000 sections 12.4 and 19).

use super::packet::Cursor;

/// Calls `each` with offset and data of every CRYPTO frame, up to the first frame that is broken
/// or has no place in an Initial packet.
pub(super) fn each_crypto<'a>(frames: &'a [u8], mut each: impl FnMut(u64, &'a [u8])) {
    let mut at = Cursor { bytes: frames, at: 0 };
    while let Some(data) = frame(&mut at) {
        if let Some((offset, data)) = data {
            each(offset, data);
        }
    }
}

/// One frame: `Some(None)` for those that say nothing.
#[expect(clippy::option_option, reason = "end, nothing, and something are three cases")]
fn frame<'a>(at: &mut Cursor<'a>) -> Option<Option<(u64, &'a [u8])>> {
    match at.byte()? {
        // PADDING, PING
        0x00 | 0x01 => Some(None),
        kind @ (0x02 | 0x03) => ack(at, kind == 0x03).map(|()| None),
        0x06 => {
            let offset = at.varint()?;
            let len = at.varint()?;
            Some(Some((offset, at.slice(len)?)))
        }
        // CONNECTION_CLOSE ends the connection, and all else is not allowed.
        _ => None,
    }
}

/// Largest acknowledged, delay, count of ranges, first range; gap and length of each range; three
/// counters of ECN.
fn ack(at: &mut Cursor<'_>, ecn: bool) -> Option<()> {
    at.varint()?;
    at.varint()?;
    let ranges = at.varint()?;
    at.varint()?;
    for _ in 0..ranges {
        at.varint()?;
        at.varint()?;
    }
    if ecn {
        at.varint()?;
        at.varint()?;
        at.varint()?;
    }
    Some(())
}
