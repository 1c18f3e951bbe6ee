//! Each stage by itself, as bytes and items per second: `cargo bench --bench stages`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "inputs are known"
)]

#[path = "stages/input.rs"]
mod input;
#[path = "stages/inspect.rs"]
mod inspect;
#[path = "stages/messages.rs"]
mod messages;
#[path = "stages/rules.rs"]
mod rules;

use std::ops::ControlFlow;
use std::sync::Arc;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use shadowtap::anomaly::Anomaly;
use shadowtap::app::{self, Layer};
use shadowtap::content::{decompress, sse};
use shadowtap::decode::{Decoded, Decoder, Segment};
use shadowtap::exchange::{BodyInterest, Context, ExchangeEvent, ExchangeSink};
use shadowtap::flow::{self, At, Chunk, Finish, FlowInfo, Gap, Handler, Interest, Table};
use shadowtap::mcp::inventory::{self, Inventory};
use shadowtap::mcp::jsonrpc::Reader;
use shadowtap::net::Side;

fn main() {
    divan::main();
}

/// Frames into segments; items are packets.
#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let frames = input::frames(0);
    let bytes: usize = frames.iter().map(Vec::len).sum();
    let mut decoder = Decoder::default();
    let counted = bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(frames.len()));
    counted.bench_local(|| {
        for (index, frame) in frames.iter().enumerate() {
            match decoder.push(&input::packet(index, frame)) {
                Decoded::Segment(segment) => black_box(segment.payload.len()),
                other => panic!("{other:?}"),
            };
        }
    });
}

/// Checksums of segments; items are segments.
#[divan::bench]
fn checksum(bencher: Bencher<'_, '_>) {
    let segments = input::segments(0);
    counted(bencher, &segments).bench(|| {
        for segment in &segments {
            black_box(segment.checksum());
        }
    });
}

/// Segments into bytes in order, checksums included; items are segments.
#[divan::bench(args = [0, 5])]
fn flow_with_late_percent(bencher: Bencher<'_, '_>, late: usize) {
    let segments = input::segments(late);
    counted(bencher, &segments)
        .with_inputs(|| Table::<()>::new(flow::Limits::default()))
        .bench_values(|mut table| {
            for segment in &segments {
                table.push(segment, &mut Deaf);
            }
            table
        });
}

fn counted<'a, 'b>(bencher: Bencher<'a, 'b>, segments: &[Segment<'_>]) -> Bencher<'a, 'b> {
    let bytes: usize = segments.iter().map(|segment| segment.payload.len()).sum();
    bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(segments.len()))
}

/// A handler that wants everything and does nothing with it.
struct Deaf;

impl Handler for Deaf {
    type State = ();

    fn chunk(&mut self, _: &FlowInfo, (): &mut (), chunk: Chunk<'_>) -> Interest {
        black_box(chunk.bytes);
        Interest::Candidate
    }

    fn alternate(&mut self, _: &FlowInfo, (): &mut (), _: Chunk<'_>) {}

    fn gap(&mut self, _: &FlowInfo, (): &mut (), _: Gap) -> Interest {
        Interest::Candidate
    }

    fn finish(&mut self, _: &FlowInfo, (): &mut (), _: Side, _: At, _: Finish) {}

    fn closed(&mut self, _: &FlowInfo, (): (), _: At, _: Finish) {}

    fn anomaly(&mut self, _: &FlowInfo, _: At, _: Anomaly) {}
}

/// Bytes into exchanges; items are exchanges.
#[divan::bench(args = ["head", "body", "chunked"])]
fn http1(bencher: Bencher<'_, '_>, what: &str) {
    let body_bytes = if what == "head" { 0 } else { 60_000 };
    let dialogue = input::exchanges(100, body_bytes, what == "chunked");
    let bytes: usize = dialogue.iter().map(|(_, bytes)| bytes.len()).sum();
    let flow = input::flow();
    let mut layer = Layer::new(app::Limits::default(), Arc::default(), Deaf);
    let counted = bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(100_usize));
    counted.bench_local(|| {
        let mut state = Default::default();
        input::play(&dialogue, |chunk| {
            layer.chunk(&flow, &mut state, chunk);
        });
        state
    });
}

/// TLS 1.3 with AES-128-GCM into exchanges, HTTP/1 included; items are exchanges.
#[divan::bench(args = ["small", "large"])]
fn tls(bencher: Bencher<'_, '_>, what: &str) {
    let body_bytes = if what == "small" { 100 } else { 60_000 };
    let (keyring, dialogue) = input::in_tls(&input::exchanges(100, body_bytes, false));
    let bytes: usize = dialogue.iter().map(|(_, bytes)| bytes.len()).sum();
    let flow = input::flow();
    let mut layer = Layer::new(app::Limits::default(), Arc::new(keyring), Deaf);
    let counted = bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(100_usize));
    counted.bench_local(|| {
        let mut state = Default::default();
        input::play(&dialogue, |chunk| {
            layer.chunk(&flow, &mut state, chunk);
        });
        state
    });
    assert!(layer.counters().exchanges >= 100, "nothing was decrypted");
}

impl ExchangeSink for Deaf {
    type State = ();

    fn event(
        &mut self,
        _: &Context<'_>,
        (): &mut (),
        _: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        black_box(&event);
        BodyInterest::Wanted
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        BodyInterest::Wanted
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), _: Anomaly) {}

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

/// Frames into exchanges, header compression included; items are exchanges.
#[divan::bench(args = [0, 60_000])]
fn http2(bencher: Bencher<'_, '_>, body_bytes: usize) {
    let dialogue = input::http2_exchanges(100, body_bytes);
    let bytes: usize = dialogue.iter().map(|(_, bytes)| bytes.len()).sum();
    let flow = input::flow();
    let mut layer = Layer::new(app::Limits::default(), Default::default(), Deaf);
    let counted = bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(100_usize));
    counted.bench_local(|| {
        let (mut state, before) = (Default::default(), layer.counters().exchanges);
        input::play(&dialogue, |chunk| {
            layer.chunk(&flow, &mut state, chunk);
        });
        assert_eq!(layer.counters().exchanges - before, 100);
        state
    });
}

/// An event stream into events; items are events.
#[divan::bench]
fn event_stream(bencher: Bencher<'_, '_>) {
    let stream = input::event_stream(1 << 20);
    let events = stream.windows(2).filter(|pair| *pair == b"\n\n").count();
    let counted = bencher.counter(BytesCount::new(stream.len())).counter(ItemsCount::new(events));
    counted.bench(|| {
        let mut parser = sse::Parser::default();
        stream.chunks(input::SEGMENT_BYTES).for_each(|piece| parser.push(piece, &mut Deaf));
        parser
    });
}

impl sse::Sink for Deaf {
    fn data(&mut self, piece: &[u8]) {
        black_box(piece);
    }

    fn dispatch(&mut self, event: &sse::Event<'_>) {
        black_box(event);
    }

    fn abandon(&mut self, _: &sse::Event<'_>) {}
}

/// Content codings; bytes are decoded ones, items are bodies.
#[divan::bench(args = ["gzip", "br", "zstd"])]
fn decompress(bencher: Bencher<'_, '_>, coding: &str) {
    let (body, plain_len) = input::coded(coding);
    let counted = bencher.counter(BytesCount::new(plain_len)).counter(ItemsCount::new(1_usize));
    counted.bench(|| {
        let limits = decompress::Limits::default();
        let values = std::iter::once(coding.as_bytes());
        let mut decoder = decompress::Decoder::from_content_encoding(values, limits);
        let mut seen = 0;
        for piece in body.chunks(input::SEGMENT_BYTES) {
            let flow = decoder.push(piece, &mut |plain| {
                seen += plain.len();
                ControlFlow::Continue(())
            });
            assert!(flow.is_continue());
        }
        decoder.finish();
        assert_eq!(seen, plain_len);
    });
}

/// JSON text into messages; items are texts.
#[divan::bench(args = ["rest-object", "big-string", "tools-list"])]
fn jsonrpc(bencher: Bencher<'_, '_>, what: &str) {
    let text = match what {
        "rest-object" => input::json_records(1 << 20),
        "big-string" => format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{}"}}]}}}}"#,
            input::prose(1 << 20)
        ),
        _ => input::tools_list(50),
    };
    let counted = bencher.counter(BytesCount::new(text.len())).counter(ItemsCount::new(1_usize));
    let mut reader = Reader::default();
    counted.bench_local(|| {
        let mut items = 0_usize;
        let mut count = |item| {
            black_box(&item);
            items += 1;
        };
        text.as_bytes().chunks(input::SEGMENT_BYTES).for_each(|piece| {
            reader.push(piece, &mut count);
        });
        reader.finish(&mut count);
        assert_eq!(items, usize::from(what != "rest-object"));
    });
}

/// What recognition says of an MCP session of 1000 calls into the inventory; items are
/// observations.
#[divan::bench]
fn inventory(bencher: Bencher<'_, '_>) {
    let observations = input::observations(1_000);
    let counted = bencher.counter(ItemsCount::new(observations.len()));
    counted
        .with_inputs(|| (Inventory::new(inventory::Limits::default()), observations.clone()))
        .bench_values(|(mut inventory, observations)| {
            let mut resolved = Vec::new();
            for observation in observations {
                inventory.observe(observation, &mut resolved);
                resolved.clear();
            }
            inventory
        });
}
