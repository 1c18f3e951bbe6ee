//! Arbitrary bytes as a connection of lines.

use super::{Connection, Sign, role, sign};
use crate::app::websocket::record::Record;
use crate::flow::Finish;
use crate::net::Direction;

/// The first byte says the size of pieces; then of each run one byte says its direction and kind,
/// the next its length. Whole and in pieces it must lead to the same. And all of it as the first
/// bytes of a side: what is said of them must hold for any more.
pub(in crate::app) fn fuzz(data: &[u8]) {
    let Some((&first, runs)) = data.split_first() else { return };
    let whole = run(runs, usize::MAX);
    let cut = run(runs, usize::from(first).max(1));
    assert_eq!(whole.said, cut.said);
    assert_eq!((&whole.kinds, whole.lost, whole.end), (&cut.kinds, cut.lost, cut.end));
    let max = 64;
    let signs = (0..=data.len().min(200)).filter_map(|len| data.get(..len));
    let mut decided = Sign::More;
    for bytes in signs {
        let sign = sign(bytes, max);
        assert!(decided == Sign::More || sign == decided);
        decided = sign;
        _ = role(bytes);
    }
}

fn run(runs: &[u8], piece: usize) -> Record {
    let (mut connection, mut record) = (Connection::new(7), Record::default());
    let mut rest = runs;
    while let [kind, len, tail @ ..] = rest {
        let direction = if kind & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let (bytes, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        match kind >> 1 & 7 {
            0 => _ = record.with(|out| connection.gap(direction, u64::from(*len), out)),
            1 => record.with(|out| connection.finish(direction, Finish::Fin, out)),
            2 => connection.join(direction),
            _ => {
                for piece in bytes.chunks(piece) {
                    record.with(|out| connection.feed(direction, piece, out));
                }
            }
        }
    }
    record.with(|out| connection.conclude(out));
    record
}
