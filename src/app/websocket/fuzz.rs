//! Arbitrary bytes as a WebSocket connection.

use super::record::{Record, frame};
use super::{Connection, Deflate};
use crate::flow::Finish;
use crate::net::Direction;

/// The first byte says what was agreed on and the size of pieces; then of each run one byte says
/// its direction and kind, the next its length. Whole and in pieces it must lead to the same.
pub(in crate::app) fn fuzz(data: &[u8]) {
    let Some((&first, runs)) = data.split_first() else { return };
    let whole = run(first, runs, usize::MAX);
    let cut = run(first, runs, usize::from(first >> 2).max(1));
    assert_eq!(whole.said, cut.said);
    assert_eq!((&whole.kinds, whole.lost, whole.end), (&cut.kinds, cut.lost, cut.end));
    assert!(whole.end.is_some());
}

fn run(first: u8, runs: &[u8], piece: usize) -> Record {
    let fresh = first & 2 != 0;
    let deflate = Deflate { to_server_fresh: fresh, to_client_fresh: fresh };
    let mut connection = Connection::new(7, Some(deflate).filter(|_| first & 1 != 0));
    let mut record = Record::default();
    let mut rest = runs;
    while let [kind, len, tail @ ..] = rest {
        let direction = if kind & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        let key = (kind & 1 == 0).then_some([*len, 1, 2, 3]);
        let framed;
        let bytes = match kind >> 1 & 7 {
            0 => {
                record.with(|out| connection.gap(direction, u64::from(*len), out));
                continue;
            }
            1 => {
                record.with(|out| connection.finish(direction, Finish::Fin, out));
                continue;
            }
            2..5 => {
                framed = frame(kind & 0xc0 | kind >> 5 & 1, key, bytes);
                framed.as_slice()
            }
            _ => bytes,
        };
        for piece in bytes.chunks(piece) {
            record.with(|out| connection.feed(direction, piece, out));
        }
    }
    record.with(|out| connection.conclude(out));
    record
}
