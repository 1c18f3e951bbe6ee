//! Frames as an endpoint would write them.

use super::super::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PUSH_PROMISE, SETTINGS,
};
use super::super::hpack::Encoder;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// One side's frames so far.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) encoder: Encoder,
    bytes: Vec<u8>,
}

impl Side {
    pub(super) fn client() -> Self {
        let side = Self { encoder: Encoder::new(), bytes: PREFACE.to_vec() };
        side.frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100])
    }

    pub(super) fn server() -> Self {
        Self::bare().frame(SETTINGS, 0, 0, &[])
    }

    /// Without a preface.
    pub(super) const fn bare() -> Self {
        Self { encoder: Encoder::new(), bytes: Vec::new() }
    }

    pub(super) fn frame(mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        self.bytes.extend(frame(kind, flags, stream, payload));
        self
    }

    pub(super) fn head(mut self, stream: u32, end: bool, fields: &[(&str, &str)]) -> Self {
        let block = self.encoder.block(fields);
        self.frame(HEADERS, END_HEADERS | u8::from(end), stream, &block)
    }

    pub(super) fn promise(mut self, stream: u32, promised: u32, fields: &[(&str, &str)]) -> Self {
        let payload = [&promised.to_be_bytes()[..], &self.encoder.block(fields)].concat();
        self.frame(PUSH_PROMISE, END_HEADERS, stream, &payload)
    }

    pub(super) fn get(self, stream: u32, path: &str) -> Self {
        self.head(stream, true, &[(":method", "GET"), (":path", path), (":scheme", "http")])
    }

    pub(super) fn post(self, stream: u32, path: &str) -> Self {
        self.head(stream, false, &[(":method", "POST"), (":path", path), (":scheme", "http")])
    }

    pub(super) fn status(self, stream: u32, end: bool, status: &str) -> Self {
        self.head(stream, end, &[(":status", status)])
    }

    /// A head in frames of at most `piece` bytes, padded and with a priority.
    pub(super) fn split_head(
        mut self,
        stream: u32,
        end: bool,
        piece: usize,
        fields: &[(&str, &str)],
    ) -> Self {
        let block = self.encoder.block(fields);
        let mut pieces: Vec<&[u8]> = block.chunks(piece).collect();
        let last = pieces.len() - 1;
        for (index, part) in pieces.drain(..).enumerate() {
            let ends = if index == last { END_HEADERS } else { 0 };
            self = if index == 0 {
                let payload = [&[3, 0, 0, 0, 0, 15][..], part, &[0; 3]].concat();
                let flags = PADDED | 0x20 | ends | u8::from(end);
                self.frame(HEADERS, flags, stream, &payload)
            } else {
                self.frame(CONTINUATION, ends, stream, part)
            };
        }
        self
    }

    pub(super) fn data(self, stream: u32, end: bool, data: &str) -> Self {
        self.frame(DATA, if end { END_STREAM } else { 0 }, stream, data.as_bytes())
    }

    pub(super) fn padded(self, stream: u32, end: bool, data: &str, padding: u8) -> Self {
        let payload = [&[padding], data.as_bytes(), &vec![0; usize::from(padding)]].concat();
        self.frame(DATA, PADDED | u8::from(end), stream, &payload)
    }

    /// The bytes since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}
