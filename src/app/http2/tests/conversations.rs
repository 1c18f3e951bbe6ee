//! Connections that are captured whole.

use super::super::frame::*;
use super::super::{Connection, Limits};
use super::recorder::Step;
use super::*;
use crate::net::Direction::{ToClient, ToServer};

fn new() -> Connection {
    Connection::new(false)
}

fn whole(client: Side, server: Side, events: &[&str], anomalies: &[&str]) {
    let (mut client, mut server) = (client, server);
    let steps = [Step::Client(client.take()), Step::Server(server.take())];
    expect(new, &steps, events, anomalies);
}

#[test]
fn a_request_with_a_body_and_its_response() {
    let client = Side::client()
        .head(
            1,
            false,
            &[
                (":method", "POST"),
                (":path", "/mcp"),
                (":scheme", "http"),
                (":authority", "a.test:8000"),
                ("content-type", "application/json"),
                ("cookie", "a=1"),
                ("cookie", "b=2"),
            ],
        )
        .data(1, false, "{\"jsonrpc\":")
        .data(1, true, "\"2.0\"}");
    let server = Side::server()
        .frame(SETTINGS, ACK, 0, &[])
        .head(1, false, &[(":status", "200"), ("mcp-session-id", "s")])
        .data(1, false, "data: 1\n\n")
        .data(1, true, "");
    whole(
        client,
        server,
        &[
            "5 > POST /mcp {host: a.test:8000} {content-type: application/json} {cookie: a=1} {cookie: b=2}",
            "5 > {\"jsonrpc\":\"2.0\"}",
            "5 > end",
            "5 < 200 {mcp-session-id: s}",
            "5 < data: 1\\n\\n",
            "5 < end",
        ],
        &[],
    );
}

#[test]
fn streams_interleave() {
    let client = Side::client()
        .post(1, "/a")
        .get(3, "/b")
        .data(1, false, "one")
        .post(5, "/c")
        .data(5, true, "three")
        .data(1, true, " more");
    let server = Side::server()
        .status(5, false, "200")
        .status(3, true, "204")
        .data(5, false, "5")
        .status(1, false, "404")
        .data(1, true, "1")
        .data(5, true, "5");
    whole(
        client,
        server,
        &[
            "5 > POST /a",
            "6 > GET /b",
            "6 > end",
            "5 > one",
            "7 > POST /c",
            "7 > three",
            "7 > end",
            "5 >  more",
            "5 > end",
            "7 < 200",
            "6 < 204",
            "6 < end",
            "7 < 5",
            "5 < 404",
            "5 < 1",
            "5 < end",
            "7 < 5",
            "7 < end",
        ],
        &[],
    );
}

#[test]
fn padding_priority_and_continuation_are_taken_off() {
    let fields = [(":method", "POST"), (":path", "/long"), (":scheme", "http"), ("a", "1")];
    for piece in [1, 3, 100] {
        let client = Side::client()
            .split_head(1, false, piece, &fields)
            .padded(1, false, "x", 7)
            .padded(1, false, "", 0)
            .padded(1, true, "y", 255)
            .split_head(3, true, piece, &fields);
        let expected =
            ["5 > POST /long {a: 1}", "5 > xy", "5 > end", "6 > POST /long {a: 1}", "6 > end"];
        let expected: Vec<&str> = expected.into_iter().chain(["5 aborted", "6 aborted"]).collect();
        whole(client, Side::bare(), &expected, &[]);
    }
}

#[test]
fn frames_without_a_part_in_exchanges_are_passed_over() {
    let client = Side::client()
        .frame(2, 0, 1, &[0, 0, 0, 0, 15])
        .frame(6, 0, 0, &[0; 8])
        .frame(8, 0, 0, &[0, 0, 1, 0])
        .frame(0xa, 0, 0, b"alternative")
        .frame(0x10, 0, 0, b"\0\0\0\x01u=1")
        .frame(0x77, 0xff, 12, b"grease")
        .get(1, "/");
    let server = Side::server()
        .frame(0xc, 0, 0, b"origin")
        .status(1, true, "200")
        .frame(GOAWAY, 0, 0, &[0; 8]);
    whole(client, server, &["5 > GET /", "5 > end", "5 < 200", "5 < end"], &[]);
}

#[test]
fn interim_responses_and_trailers_are_not_told() {
    let client = Side::client().post(1, "/").data(1, false, "x").head(1, true, &[("sum", "1")]);
    let server = Side::server()
        .status(1, false, "103")
        .status(1, false, "100")
        .status(1, false, "200")
        .data(1, false, "y")
        .head(1, true, &[("grpc-status", "0")]);
    let events = ["5 > POST /", "5 > x", "5 > end", "5 < 200", "5 < y", "5 < end"];
    whole(client, server, &events, &[]);
}

#[test]
fn a_response_that_is_over_first_waits_for_its_request() {
    let (mut client, mut server) =
        (Side::client().post(1, "/").data(1, false, "x"), Side::server());
    server = server.status(1, false, "413").data(1, true, "no");
    let begun = [Step::Client(client.take()), Step::Server(server.take())];
    let told = ["5 > POST /", "5 > x", "5 < 413", "5 < no"];
    let table: &[(Step, &[&str])] = &[
        (Step::Client(client.clone().data(1, true, "y").take()), &["5 > y", "5 > end", "5 < end"]),
        (Step::Server(frame(RST_STREAM, 0, 1, &[0; 4])), &["5 > end truncated", "5 < end"]),
        (Step::Finish(ToServer), &["5 > end truncated", "5 < end"]),
        (Step::Finish(ToClient), &["5 > end truncated", "5 < end"]),
    ];
    for (step, rest) in table {
        let steps = [&begun[..], std::slice::from_ref(step)].concat();
        expect(new, &steps, &[&told[..], rest].concat(), &[]);
    }
}

#[test]
fn a_response_without_its_request_has_an_exchange_of_its_own() {
    let (client, mut server) = (Side::client(), Side::server());
    server = server.status(1, false, "200").data(1, false, "x");
    let first = Step::Server(server.take());
    let own = ["5 < 200", "5 < x"];
    let request = Step::Client(client.clone().get(1, "/late").take());
    let end = Step::Server(server.clone().data(1, true, "").take());
    expect(
        new,
        &[first.clone(), request.clone(), end],
        &[&own[..], &["6 > GET /late", "6 > end", "6 aborted", "5 < end"]].concat(),
        &[],
    );
    let body = Step::Client(client.post(1, "/late").take());
    let cut = Step::Server(frame(RST_STREAM, 0, 1, &[0; 4]));
    expect(
        new,
        &[first.clone(), body, cut],
        &[&own[..], &["6 > POST /late", "6 > end truncated", "6 aborted", "5 < end truncated"]]
            .concat(),
        &[],
    );
    expect(new, &[first], &[&own[..], &["5 < end truncated"]].concat(), &[]);
}

#[test]
fn resets_and_goaway_end_exchanges() {
    let (mut client, mut server) = (Side::client(), Side::server());
    client = client.post(1, "/1").post(3, "/3").get(5, "/5").post(7, "/7");
    server = server.status(3, false, "200").data(3, false, "x");
    let begun = [Step::Client(client.take()), Step::Server(server.take())];
    let table: &[(Vec<u8>, &[&str])] = &[
        (frame(RST_STREAM, 0, 3, &[0; 4]), &["6 > end truncated", "6 < end truncated"]),
        (frame(RST_STREAM, 0, 5, &[0; 4]), &["7 aborted"]),
        (frame(RST_STREAM, 0, 9, &[0; 4]), &[]),
        (
            frame(GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 0, b'w', b'h', b'y']),
            &["7 aborted", "8 > end truncated", "8 aborted"],
        ),
        (frame(GOAWAY, 0, 0, &[0x7f, 255, 255, 255, 0, 0, 0, 0]), &[]),
    ];
    for (bytes, ended) in table {
        for server_sends in [true, false] {
            if bytes[3] == GOAWAY && !server_sends {
                continue;
            }
            let step = if server_sends { Step::Server } else { Step::Client }(bytes.clone());
            let steps = [&begun[..], &[step]].concat();
            let mut run = Run::new(new());
            steps.iter().for_each(|step| run.step(step));
            let lines = run.lines();
            let told = [
                "5 > POST /1",
                "6 > POST /3",
                "7 > GET /5",
                "7 > end",
                "8 > POST /7",
                "6 < 200",
                "6 < x",
            ];
            assert_eq!(lines, [&told[..], ended].concat());
            let all = run.conclude();
            expect(new, &steps, &all.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
        }
    }
}

#[test]
fn late_frames_of_a_stream_that_was_reset_are_nothing() {
    let (mut client, mut server) = (Side::client().post(1, "/1"), Side::server());
    let steps = [
        Step::Client(client.take()),
        Step::Server(server.take()),
        Step::Client(frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
        Step::Server(server.status(1, false, "200").data(1, true, "late").take()),
        Step::Client(client.data(1, true, "late").get(3, "/3").take()),
    ];
    let events =
        ["5 > POST /1", "5 > end truncated", "5 aborted", "6 > GET /3", "6 > end", "6 aborted"];
    expect(new, &steps, &events, &[]);
}

#[test]
fn a_promise_is_a_request() {
    let (mut client, mut server) = (Side::client().get(1, "/"), Side::server());
    server = server
        .promise(1, 2, &[(":method", "GET"), (":path", "/style"), (":authority", "a")])
        .status(1, true, "200")
        .status(2, false, "200")
        .data(2, true, "css")
        .promise(1, 4, &[(":method", "GET"), (":path", "/never")]);
    let steps = [Step::Client(client.take()), Step::Server(server.take())];
    expect(
        new,
        &steps,
        &[
            "5 > GET /",
            "5 > end",
            "6 > GET /style {host: a}",
            "6 > end",
            "5 < 200",
            "5 < end",
            "6 < 200",
            "6 < css",
            "6 < end",
            "7 > GET /never",
            "7 > end",
            "7 aborted",
        ],
        &[],
    );
}

#[test]
fn an_upgraded_connection_goes_on_with_stream_1() {
    let (mut client, mut server) = (Side::client().get(3, "/next"), Side::server());
    server = server.status(1, false, "200").data(1, true, "first").status(3, true, "204");
    let steps = [Step::Server(server.take()), Step::Client(client.take())];
    let events = ["2 < 200", "2 < first", "2 < end", "5 < 204", "5 < end"];
    // Stream 3 is answered before its request is read: it has an exchange of its own.
    let all = [&events[..], &["6 > GET /next", "6 > end", "6 aborted"]].concat();
    expect(|| Connection::upgraded(2), &steps, &all, &[]);
    expect(|| Connection::upgraded(2), &[], &["2 aborted"], &[]);
}

#[test]
fn connect_is_told_and_not_read() {
    let (mut client, mut server) = (Side::client(), Side::server());
    client = client
        .head(1, false, &[(":method", "CONNECT"), (":authority", "db.test:5432")])
        .data(1, false, "secret")
        .head(
            3,
            false,
            &[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":path", "/ws"),
                (":authority", "a"),
            ],
        )
        .head(5, true, &[(":method", "CONNECT"), (":authority", "no.test:1")]);
    server = server
        .status(1, false, "200")
        .data(1, true, "answer")
        .status(3, false, "200")
        .data(3, false, "frames")
        .status(5, false, "403")
        .data(5, true, "forbidden");
    let steps = [Step::Client(client.take()), Step::Server(server.take())];
    expect(
        new,
        &steps,
        &[
            "5 > CONNECT db.test:5432 {host: db.test:5432}",
            "6 > CONNECT /ws {host: a}",
            "7 > CONNECT no.test:1 {host: no.test:1}",
            "7 > end",
            "5 < 200",
            "6 < 200",
            "7 < 403",
            "7 < forbidden",
            "7 < end",
            "5 > end truncated",
            "5 < end",
            "6 > end truncated",
            "6 < end truncated",
        ],
        &["http2-tunnel-not-read", "http2-websocket-not-read"],
    );
}

#[test]
fn bodies_that_nobody_wants_are_passed_over() {
    let (mut client, mut server) = (Side::client().post(1, "/"), Side::server());
    client = client.data(1, false, "x").data(1, true, "y");
    server = server.status(1, false, "200").padded(1, true, "z", 9);
    let mut run = Run::new(new()).unwanted();
    run.client(&client.take());
    run.server(&server.take());
    assert_eq!(run.conclude(), ["5 > POST /", "5 > end", "5 < 200", "5 < end"]);
}

#[test]
fn a_table_size_from_the_other_side_is_followed() {
    let (mut client, mut server) = (Side::client(), Side::server());
    server = server.frame(SETTINGS, 0, 0, &[0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 1, 0]);
    let long = "x".repeat(5000);
    let mut update = Vec::new();
    client.encoder.resize(1 << 16, &mut update);
    let fields = [(":method", "GET"), (":path", "/"), ("long", long.as_str())];
    let first = [update, client.encoder.block(&fields)].concat();
    let second = client.encoder.block(&fields);
    assert_eq!(second.len(), 3);
    client = client.frame(HEADERS, END_HEADERS | END_STREAM, 1, &first).frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        3,
        &second,
    );
    let mut run = Run::new(new());
    run.server(&server.take());
    run.client(&client.take());
    let lines = run.conclude();
    assert_eq!(lines[2].len(), lines[0].len());
    assert!(run.recorder.anomalies.is_empty());
}

/// Frames that no endpoint may send; what comes of them.
#[test]
fn odd_frames_are_named_and_the_rest_is_read() {
    let table: &[(Side, &[&str], &str)] = &[
        (Side::client().frame(6, 0, 0, b"short"), &[], "http2-frame-malformed"),
        (Side::client().frame(DATA, PADDED, 1, &[]), &[], "http2-frame-malformed"),
        (
            Side::client().post(1, "/").frame(DATA, PADDED | 1, 1, &[4, b'x', 0]),
            &["5 > POST /", "5 > end", "5 aborted"],
            "http2-frame-malformed",
        ),
        (
            Side::client().frame(HEADERS, END_HEADERS | PADDED, 1, &[9, 0x82]),
            &[],
            "http2-frame-malformed",
        ),
        (
            Side::client().frame(CONTINUATION, END_HEADERS, 1, &[0x82]),
            &[],
            "http2-continuation-unexpected",
        ),
        (
            Side::client().frame(HEADERS, 0, 1, &[0x82, 0x84]).frame(SETTINGS, 0, 0, &[]),
            &["5 > GET /", "5 > end truncated", "5 aborted"],
            "http2-continuation-missing",
        ),
        (Side::client().data(1, true, "x"), &[], "http2-stream-unexpected"),
        (
            Side::client().get(1, "/").get(1, "/again"),
            &["5 > GET /", "5 > end", "5 aborted"],
            "http2-stream-reused",
        ),
        (
            Side::client().head(1, true, &[(":method", "GET"), ("a", "1"), (":path", "/")]),
            &["5 > GET / {a: 1}", "5 > end", "5 aborted"],
            "http2-pseudo-header-invalid",
        ),
        (
            Side::client().head(1, true, &[(":method", "GET"), (":scheme", "http")]),
            &["5 > GET ", "5 > end", "5 aborted"],
            "http2-pseudo-header-invalid",
        ),
        (
            Side::client().head(1, true, &[(":method", "GET"), (":path", "/ HTTP/1.1\r\nx: y")]),
            &["5 > GET / HTTP/1.1\\r\\nx: y", "5 > end", "5 aborted"],
            "http2-field-invalid",
        ),
        (
            Side::client().frame(HEADERS, END_HEADERS | 1, 1, &[0x82, 0x84, 0xbe]),
            &["5 > GET /", "5 > end", "5 aborted"],
            "hpack-malformed",
        ),
    ];
    for (side, events, anomaly) in table {
        // Once per connection, however often; and what follows is read.
        let mut twice = side.clone();
        let bytes = twice.take();
        expect(new, &[Step::Client(bytes.clone())], events, &[*anomaly]);
        let after = [bytes, Side::bare().get(9, "/after").take()].concat();
        let mut run = Run::new(new());
        run.client(&after);
        assert!(run.lines().iter().any(|line| line.ends_with("> GET /after")), "{anomaly}");
    }
}

#[test]
fn floods_cost_little_and_are_named_once() {
    let max = Limits::default();
    let repeats = usize::try_from(max.max_repeats).unwrap() + 50;
    let many = |frame: Vec<u8>| frame.repeat(repeats);
    let reset = |stream: u32| {
        let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x82, 0x84]);
        [head, frame(RST_STREAM, 0, stream, &[0; 4])].concat()
    };
    let table: &[(Vec<u8>, &str)] = &[
        (many(frame(SETTINGS, 0, 0, &[])), "http2-settings-flood"),
        (many(frame(DATA, 0, 1, &[])), "http2-empty-frame-flood"),
        (
            [frame(HEADERS, 0, 1, &[0x82]), many(frame(CONTINUATION, 0, 1, &[]))].concat(),
            "http2-continuation-flood",
        ),
        ((0..200).flat_map(|n| reset(2 * n + 1)).collect(), "http2-rapid-reset"),
        (
            (0..1030).flat_map(|n| frame(HEADERS, END_HEADERS, 2 * n + 1, &[0x82, 0x84])).collect(),
            "http2-too-many-streams",
        ),
    ];
    for (bytes, anomaly) in table {
        let mut run = Run::new(new());
        run.client(&Side::client().take());
        run.client(bytes);
        run.conclude();
        assert_eq!(run.recorder.anomalies, [*anomaly]);
    }
}

#[test]
fn a_header_block_beyond_the_bound_is_read_up_to_there() {
    let mut side = Side::client();
    let long = "x".repeat(40_000);
    side.encoder.huffman = false;
    let fields = [(":method", "GET"), (":path", "/"), ("a", long.as_str()), ("b", long.as_str())];
    let mut side = side.split_head(1, true, 16_000, &fields).get(3, "/next");
    let mut run = Run::new(new());
    run.client(&side.take());
    let lines = run.conclude();
    assert!(lines[0].starts_with("5 > GET / {a: xxx") && !lines[0].contains("{b:"));
    assert_eq!(lines[1], "5 > end truncated");
    assert_eq!(lines[2], "6 > GET /next");
    assert_eq!(run.recorder.anomalies, ["http2-header-block-too-long"]);
}

#[test]
fn http1_in_answer_to_the_preface_is_no_frame() {
    let mut client = Side::client().get(1, "/");
    let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec();
    let steps = [Step::Client(client.take()), Step::Server(answer)];
    expect(new, &steps, &["5 > GET /", "5 > end", "5 aborted"], &["http2-framing-lost"]);
}
