//! Connections met midstream, and with holes.

use proptest::prelude::*;

use super::super::frame::*;
use super::super::search::Search;
use super::super::{Connection, Limits, fuzzing, recognise};
use super::recorder::Step;
use super::*;
use crate::net::Direction::{self, ToClient, ToServer};

fn new() -> Connection {
    Connection::new(false)
}

fn midstream() -> Connection {
    Connection::new(true)
}

#[test]
fn a_gap_inside_data_is_a_gap_of_the_body() {
    let mut client = Side::client().post(1, "/");
    let head = client.take();
    let data = client.padded(1, true, "0123456789", 2).take();
    for from in 10..20 {
        for len in 1..=(20 - from) {
            let steps = [
                Step::Client([&head, &data[..from]].concat()),
                Step::Gap(ToServer, len as u64),
                Step::Client(data[from + len..].to_vec()),
            ];
            let (before, after) =
                ("0123456789".split_at(from - 10).0, "0123456789".split_at(from - 10 + len).1);
            let (before, after) = (format!("5 > {before}"), format!("5 > {after}"));
            let gap = format!("5 > gap {len}");
            let mut events = vec!["5 > POST /"];
            if from > 10 {
                events.push(&before);
            }
            events.push(&gap);
            if from + len < 20 {
                events.push(&after);
            }
            events.extend(["5 > end", "5 aborted"]);
            expect(new, &steps, &events, &[]);
        }
    }
}

#[test]
fn a_gap_inside_a_header_block_loses_the_table_only() {
    let mut client = Side::client().head(1, true, &[(":method", "GET"), (":path", "/mcp")]);
    let start = client.take();
    let second =
        client.head(3, true, &[(":method", "GET"), (":path", "/x"), ("a", "1"), ("b", "2")]);
    let mut client = second.clone();
    let block = client.take();
    let rest = client
        .head(5, true, &[(":method", "GET"), (":path", "/mcp"), ("b", "2"), ("c", "3")])
        .head(7, true, &[(":method", "GET"), (":path", "/"), ("c", "3")])
        .take();
    let cut = block.len() - 3;
    let steps = [
        Step::Client([&start, &block[..cut]].concat()),
        Step::Gap(ToServer, 3),
        Step::Client(rest),
    ];
    expect(
        new,
        &steps,
        &[
            "5 > GET /mcp",
            "5 > end",
            "6 > GET /x {a: 1}",
            "6 > end truncated",
            "7 > GET  {c: 3}",
            "7 > end",
            "8 > GET / {c: 3}",
            "8 > end",
            "5 aborted",
            "6 aborted",
            "7 aborted",
            "8 aborted",
        ],
        &["hpack-partial"],
    );
}

#[test]
fn after_a_gap_over_frames_the_next_ones_are_found() {
    let (mut client, mut server) = (Side::client().get(1, "/"), Side::server());
    server = server.head(1, false, &[(":status", "200"), ("content-type", "text/event-stream")]);
    let head = server.take();
    let lost = server.data(1, false, "event: lost").take();
    let after = Side::bare().data(1, false, "data: two\n\n").data(1, false, "data: three\n\n");
    let after = after.data(1, true, "").take();
    let tail = lost.len() - 4;
    let steps = [
        Step::Client(client.take()),
        Step::Server(head),
        Step::Gap(ToClient, tail as u64),
        Step::Server([&lost[tail..], &after].concat()),
    ];
    let gap = format!("5 < gap {}", lost.len());
    expect(
        new,
        &steps,
        &[
            "5 > GET /",
            "5 > end",
            "5 < 200 {content-type: text/event-stream}",
            &gap,
            "5 < data: two\\n\\ndata: three\\n\\n",
            "5 < end",
        ],
        &["http2-framing-lost"],
    );
}

#[test]
fn a_last_frame_is_found_when_the_bytes_end_with_it() {
    let mut server = Side::server().status(1, false, "200");
    let last = [b"rest of a frame".to_vec(), Side::bare().data(1, false, "{}").take()].concat();
    for end in [Step::Finish(ToClient), Step::Gap(ToClient, 7)] {
        let steps = [
            Step::Server(server.clone().take()),
            Step::Gap(ToClient, 9),
            Step::Server(last.clone()),
            end,
        ];
        let events = ["5 < 200", "5 < gap 24", "5 < {}", "5 < end truncated"];
        expect(new, &steps, &events, &["http2-framing-lost"]);
    }
    server.take();
}

#[test]
fn midstream_content_is_read_and_named_by_its_first_bytes() {
    let mut client = Side::client().head(
        1,
        true,
        &[(":method", "POST"), (":path", "/mcp"), ("content-type", "application/json")],
    );
    let mut server = Side::server()
        .head(1, true, &[(":status", "202"), ("content-type", "text/event-stream")])
        .status(1, true, "203");
    client.take();
    server.take();
    let client = client
        .data(1, false, "{\"id\":1}")
        .head(3, false, &[(":method", "POST"), (":path", "/mcp"), ("mcp-x", "1")])
        .data(3, true, "{\"id\":2}")
        .take();
    let server = server
        .data(1, false, "data: 1\n\n")
        .head(3, false, &[(":status", "200"), ("content-type", "text/event-stream"), ("a", "1")])
        .data(3, false, "")
        .data(3, false, "event: message\n")
        .head(5, false, &[(":status", "202"), ("content-type", "text/event-stream")])
        .data(5, true, "<html>")
        .head(7, true, &[("trailer", "x")])
        .take();
    let steps = [Step::Client([b"junk", &client[..]].concat()), Step::Server(server)];
    expect(
        midstream,
        &steps,
        &[
            "5 >  ",
            "5 > {\"id\":1}",
            "6 > POST  {mcp-x: 1}",
            "6 > {\"id\":2}",
            "6 > end",
            "5 < 0 {content-type: text/event-stream}",
            "5 < data: 1\\n\\n",
            "6 < 200 {a: 1} {content-type: text/event-stream}",
            "6 < event: message\\n",
            "7 < 0",
            "7 < <html>",
            "7 < end",
            "5 > end truncated",
            "5 < end truncated",
            "6 < end truncated",
        ],
        &["hpack-partial"],
    );
}

#[test]
fn a_connection_met_at_its_start_is_whole() {
    let (mut client, mut server) = (Side::client(), Side::server());
    for stream in [1, 3] {
        client = client.head(stream, true, &[(":method", "GET"), (":path", "/mcp")]);
        server = server.head(stream, true, &[(":status", "200"), ("a", "1")]);
    }
    let steps = [Step::Client(client.take()), Step::Server(server.take())];
    expect(
        midstream,
        &steps,
        &[
            "5 > GET /mcp",
            "5 > end",
            "6 > GET /mcp",
            "6 > end",
            "5 < 200 {a: 1}",
            "5 < end",
            "6 < 200 {a: 1}",
            "6 < end",
        ],
        &[],
    );
}

#[test]
fn a_direction_without_frames_is_given_up() {
    let mut run = Run::new(midstream());
    run.limits.max_search_bytes = 10_000;
    run.server(&vec![b'x'; 20_000]);
    run.server(&Side::server().status(1, false, "200").data(1, true, "x").take());
    assert!(run.conclude().is_empty());
    assert_eq!(run.recorder.anomalies, ["http2-unreadable"]);
}

#[test]
fn a_search_keeps_little_and_finds_what_is_behind_large_frames() {
    let large = frame(DATA, 0, 1, &vec![b'z'; 200_000]);
    let bytes = [b"junk".to_vec(), large.repeat(3), frame(DATA, 1, 1, b"end")].concat();
    let mut search = Search::new(0, false);
    let (used, found) = search.feed(&bytes);
    let found = found.unwrap();
    assert!(found.bytes.len() < 100_000);
    assert!(
        frame(DATA, 0, 1, &[]).starts_with(&found.bytes[..3])
            || found.bytes.starts_with(&large[..9])
    );
    assert_eq!(found.missing + found.bytes.len() as u64, used as u64);
    // Bytes in which every place may begin a frame cost no more than a bounded number of looks.
    let zeros = [0, 0, 40, 0, 0, 0, 0, 0, 1].repeat(20_000);
    let mut search = Search::new(0, false);
    let (used, found) = search.feed(&zeros);
    assert!(found.is_some() || used == zeros.len());
}

#[test]
fn who_sends_frames_is_told_by_their_first_heads() {
    let limits = Limits::default();
    let mut client = Side::client().head(1, true, &[(":method", "GET"), (":path", "/mcp")]);
    let mut server = Side::server().head(1, false, &[(":status", "200"), ("a", "1")]);
    assert_eq!(recognise(&server.take(), &limits), Some(Some(ToClient)));
    client.take();
    let client = client.head(3, true, &[(":method", "GET"), (":path", "/mcp")]).take();
    let table: &[(Vec<u8>, Option<Option<Direction>>)] = &[
        (client.clone(), Some(Some(ToServer))),
        ([b"rest", &client[..]].concat(), Some(Some(ToServer))),
        (server.status(3, true, "404").take(), Some(Some(ToClient))),
        (frame(DATA, 0, 1, b"content"), Some(None)),
        (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), None),
        (b"data: {}\n\n".to_vec(), None),
        (Vec::new(), None),
    ];
    for (bytes, expected) in table {
        assert_eq!(recognise(bytes, &limits), *expected, "{}", bytes.escape_ascii());
    }
}

/// Pieces of a real conversation, gaps and junk.
fn mess() -> impl Strategy<Value = Vec<(bool, u8, Vec<u8>)>> {
    let (mut client, mut server) = (Side::client(), Side::server());
    for stream in [1, 3, 5] {
        client = client.post(stream, "/mcp").data(stream, true, "{}");
        server =
            server.head(stream, false, &[(":status", "200"), ("a", "1")]).data(stream, true, "{}");
    }
    let (client, server) = (client.take(), server.take());
    let piece = (
        any::<bool>(),
        0..8_u8,
        0..200_usize,
        0..60_usize,
        proptest::collection::vec(any::<u8>(), 0..30),
    )
        .prop_map(move |(to_server, kind, from, len, junk)| {
            let all = if to_server { &client } else { &server };
            let from = from.min(all.len());
            let to = (from + len).min(all.len());
            (to_server, kind, if kind == 1 { junk } else { all[from..to].to_vec() })
        });
    proptest::collection::vec(piece, 0..30)
}

proptest! {
    #[test]
    fn any_pieces_give_exchanges_with_one_end_each(pieces in mess(), midstream in any::<bool>()) {
        let mut whole = Run::new(Connection::new(midstream));
        let mut bytewise = Run::new(Connection::new(midstream));
        for (to_server, kind, bytes) in pieces {
            let direction = if to_server { ToServer } else { ToClient };
            if kind == 0 && !bytes.is_empty() {
                whole.step(&Step::Gap(direction, bytes.len() as u64));
                bytewise.step(&Step::Gap(direction, bytes.len() as u64));
                continue;
            }
            let feed = |run: &mut Run, bytes: &[u8]| {
                if to_server { run.client(bytes) } else { run.server(bytes) }
            };
            feed(&mut whole, &bytes);
            bytes.iter().for_each(|byte| feed(&mut bytewise, &[*byte]));
        }
        prop_assert_eq!(whole.conclude(), bytewise.conclude());
        prop_assert_eq!(whole.recorder.anomalies, bytewise.recorder.anomalies);
    }

    #[test]
    fn any_bytes_go_through_the_fuzzers(
        first in any::<u8>(),
        pieces in proptest::collection::vec(
            (any::<u8>(), 0..10_u8, 0..8_u8, proptest::collection::vec(any::<u8>(), 0..24)),
            0..40,
        ),
    ) {
        let mut input = vec![first];
        for (way, kind, stream, payload) in pieces {
            let framed = frame(kind, payload.first().copied().unwrap_or(4), u32::from(stream), &payload);
            let bytes = if way & 0x30 == 0 { payload } else { framed };
            input.extend([way, u8::try_from(bytes.len()).unwrap()]);
            input.extend(bytes);
        }
        fuzzing::connection(&input);
        let mut decoder = fuzzing::Hpack::default();
        for block in input.chunks(30) {
            if !matches!(decoder.decode(block), fuzzing::Block::Read(_)) {
                break;
            }
        }
    }
}
