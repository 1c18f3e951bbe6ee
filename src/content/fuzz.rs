//! What the fuzz targets call: properties that must hold for any bytes.

use std::ops::ControlFlow;

use super::decompress::{Decoder, Limits};
use super::sse::{Event, Parser, Sink};

/// The first two bytes choose coding and piece length, the others are the body: whole and in
/// pieces it must decode the same (but for what brotli drops when it fails).
pub fn fuzz_decompress(data: &[u8]) {
    let [which, piece, body @ ..] = data else { return };
    const CODINGS: [&str; 8] =
        ["gzip", "deflate", "br", "zstd", "gzip, gzip", "deflate, zstd", "gzip, zstd", "zstd, br"];
    let coding = CODINGS.get(usize::from(*which) % CODINGS.len()).copied().unwrap_or_default();
    let (whole, whole_kinds) = decode(coding, body, body.len().max(1));
    let (cut, cut_kinds) = decode(coding, body, usize::from(*piece).max(1));
    if coding.contains("br") || whole_kinds.contains(&"decompression-bomb") {
        assert!(whole.starts_with(&cut) || cut.starts_with(&whole));
    } else {
        assert!(whole == cut, "{coding}: {} and {} bytes", whole.len(), cut.len());
        assert_eq!(whole_kinds, cut_kinds);
    }
}

fn decode(coding: &str, body: &[u8], piece_len: usize) -> (Vec<u8>, Vec<&'static str>) {
    let limits = Limits { burst_bytes: 1 << 16, ..Limits::default() };
    let mut decoder = Decoder::from_content_encoding(std::iter::once(coding.as_bytes()), limits);
    let mut plain = Vec::new();
    for piece in body.chunks(piece_len) {
        let flow = decoder.push(piece, &mut |bytes| {
            plain.extend_from_slice(bytes);
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
    }
    decoder.finish();
    let budget = u64::from(limits.burst_bytes) + u64::from(limits.max_ratio) * body.len() as u64;
    assert!(plain.len() as u64 <= budget);
    let kinds = std::iter::from_fn(|| decoder.take_anomaly()).map(|anomaly| anomaly.kind);
    (plain, kinds.collect())
}

/// The first byte chooses the piece length, the others are the stream: whole and in pieces it must
/// give the same events, and data lengths must add up.
pub fn fuzz_sse(data: &[u8]) {
    let [piece, stream @ ..] = data else { return };
    let whole = parse(stream, stream.len().max(1));
    let cut = parse(stream, usize::from(*piece).max(1));
    assert!(whole == cut);
}

fn parse(stream: &[u8], piece_len: usize) -> Log {
    let (mut parser, mut log) = (Parser::default(), Log::default());
    for piece in stream.chunks(piece_len) {
        parser.push(piece, &mut log);
    }
    parser.finish(&mut log);
    assert_eq!(log.open, 0);
    log
}

/// Type, id, retry, length, and whether it was dispatched.
type Closed = (Vec<u8>, Option<Vec<u8>>, Option<u64>, u64, bool);

#[derive(Default, PartialEq, Eq)]
struct Log {
    open: u64,
    data: Vec<u8>,
    events: Vec<Closed>,
}

impl Log {
    fn close(&mut self, event: &Event<'_>, whole: bool) {
        assert_eq!(self.open, event.data_len);
        self.open = 0;
        let (kind, id) = (event.event_type.to_vec(), event.id.map(<[u8]>::to_vec));
        self.events.push((kind, id, event.retry_millis, event.data_len, whole));
    }
}

impl Sink for Log {
    fn data(&mut self, piece: &[u8]) {
        assert!(!piece.is_empty());
        self.open += piece.len() as u64;
        self.data.extend_from_slice(piece);
    }

    fn dispatch(&mut self, event: &Event<'_>) {
        self.close(event, true);
    }

    fn abandon(&mut self, event: &Event<'_>) {
        self.close(event, false);
    }
}
