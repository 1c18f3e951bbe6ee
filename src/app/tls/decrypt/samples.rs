//! For tests: hexadecimal text, and recorded connections.

use std::path::{Path, PathBuf};

use crate::anomaly::Anomaly;
use crate::capture::{self, Input, Next, Packet, Source};
use crate::decode::{self, Decoded, Decoder};
use crate::flow::{self, At, Chunk, Finish, FlowInfo, Gap, Handler, Interest, Table};
use crate::net::Side;

/// Bytes of hexadecimal digits; white space is passed over.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The bytes of one connection, as they were sent.
pub(super) type Connection = Vec<(Side, Vec<u8>)>;

/// A file of the repository.
pub(super) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The connections in a capture, in the order of their ends.
pub(super) fn connections(capture: &Path) -> Vec<Connection> {
    let mut source =
        Source::open(&Input::file(capture), &capture::Limits::default()).expect("a capture");
    let mut decoder = Decoder::new(decode::Limits::default());
    let mut table = Table::new(flow::Limits::default());
    let mut all = Collector::default();
    let mut index = 0;
    while let Next::Packet { time, link, bytes, wire_len } = source.next() {
        let packet = Packet { index, time, link, bytes, wire_len };
        index += 1;
        if let Decoded::Segment(segment) = decoder.push(&packet) {
            table.push(&segment, &mut all);
        }
    }
    table.finish(&mut all);
    all.0
}

#[derive(Default)]
struct Collector(Vec<Connection>);

impl Handler for Collector {
    type State = Connection;

    fn chunk(&mut self, _: &FlowInfo, state: &mut Connection, chunk: Chunk<'_>) -> Interest {
        state.push((chunk.side, chunk.bytes.to_vec()));
        Interest::Candidate
    }

    fn alternate(&mut self, _: &FlowInfo, _: &mut Connection, _: Chunk<'_>) {}

    fn gap(&mut self, _: &FlowInfo, _: &mut Connection, _: Gap) -> Interest {
        panic!("a gap");
    }

    fn finish(&mut self, _: &FlowInfo, _: &mut Connection, _: Side, _: At, _: Finish) {}

    fn closed(&mut self, _: &FlowInfo, state: Connection, _: At, _: Finish) {
        if !state.is_empty() {
            self.0.push(state);
        }
    }

    fn anomaly(&mut self, _: &FlowInfo, _: At, _: Anomaly) {}
}
