//! Event streams: every event is one message, at the packet that completes it.

use super::builder::{ACK, Client, FIN, RST, Server, Talk};
use super::seen::{SERVER, watch};
use super::text::{
    answer, call, call_text, chunks, event, post, reply, result_text, say_calls, session,
    stream_head,
};

fn elicit(id: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{{"message":"Password?","requestedSchema":{{"type":"object","properties":{{}}}}}}}}"#
    )
}

fn progress(step: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1,"progress":{step}}}}}"#
    )
}

/// A call that is answered by a stream, which is still open.
fn streaming(fields: &str) -> Talk {
    let mut talk = Talk::open();
    talk.client(call(1));
    talk.server(stream_head(fields));
    talk
}

/// p02: 400 events of 2 KB, then a request of the server, then the result.
#[test]
fn long_stream() {
    let mut talk = streaming("Transfer-Encoding: chunked\r\n");
    let filler = "x".repeat(2_000);
    for step in 1..=400 {
        let text = progress(step)
            .replace("\"progressToken\"", &format!("\"message\":\"{filler}\",\"progressToken\""));
        talk.server(chunks(event(&text), 4_096));
        talk.acknowledge(Client);
    }
    talk.server(chunks(event(&elicit(7)), 4_096));
    let asked = talk.here();
    talk.server([chunks(event(&result_text(1)), 4_096), b"0\r\n\r\n".to_vec()].concat());
    talk.exchange(call(2), answer(2));
    talk.close();
    let seen = watch(&talk);
    assert_eq!(seen.count("< notifications/progress"), 400);
    assert!(seen.messages().contains(&format!("{asked} < elicitation/create")));
    assert_eq!((seen.count("> tools/call"), seen.count("< result")), (2, 2));
    assert_eq!(seen.coverage("gaps"), 0);
    assert_eq!(seen.servers(), [SERVER]);
}

/// p03: 20 requests of the server, 10 s apart, on a stream that never ends.
#[test]
fn idle_stream() {
    let mut talk = session();
    talk.segments.truncate(talk.here() - 3);
    talk.next = [talk.next[0] - 1, talk.next[1] - 1];
    talk.client("GET /mcp HTTP/1.1\r\nHost: mcp.test:8080\r\nAccept: text/event-stream\r\nMcp-Session-Id: 1f6c-77aa\r\n\r\n");
    talk.server(stream_head("Transfer-Encoding: chunked\r\n"));
    let mut expected = Vec::new();
    for id in 1..=20 {
        talk.wait(10_000);
        talk.server(chunks(event(&elicit(id)), 4_096));
        expected.push(format!("{} < elicitation/create", talk.here()));
        talk.acknowledge(Client);
    }
    let seen = watch(&talk);
    let asked: Vec<_> =
        seen.messages().into_iter().filter(|line| line.ends_with("create")).collect();
    assert_eq!(asked, expected);
    assert_eq!(seen.server()["methods"]["server_to_client"]["elicitation/create"], 20);
    let finding = seen.events.iter().find(|event| event["rule"]["id"] == "SMCP-1106").unwrap();
    assert_eq!(finding["event"]["count"], 20);
    assert_eq!(
        finding["packets"][0]["number"],
        expected[0].split(' ').next().unwrap().parse::<u64>().unwrap()
    );
    let times: Vec<_> = seen
        .events
        .iter()
        .filter(|event| event["mcp"]["method"] == "elicitation/create")
        .map(|event| event["@timestamp"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        times[0].starts_with("2026-11-16T08:00:10") && times[19].starts_with("2026-11-16T08:03:20"),
        "{times:?}"
    );
}

/// Every way to end lines, marks, comments, fields in any order, data over several lines.
#[test]
fn spellings() {
    let (a, b) = result_text(1).split_once(',').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let text = result_text(1);
    for (name, stream) in [
        ("LF", format!("data: {text}\n\n")),
        ("CRLF", format!("data: {text}\r\n\r\n")),
        ("CR", format!("data: {text}\r\r")),
        ("mixed ends", format!(": hi\rid: 1\r\ndata: {text}\n\r\n")),
        ("mark", format!("\u{feff}data: {text}\n\n")),
        ("no blank", format!("data:{text}\n\n")),
        ("comments", format!(": ping\n\n:\n\n: a\ndata: {text}\n: b\n\n")),
        ("several lines", format!("data: {a},\ndata: {b}\n\n")),
        ("many lines", format!("data: {}\n\n", text.replace(',', ",\ndata: "))),
        (
            "all fields",
            format!("retry: 10\nid: x\nevent: message\ndata: {text}\nother: y\ndata\n\n"),
        ),
        ("event after data", format!("data: {text}\nevent: message\nid\n\n")),
        ("another type", format!("event: whatever\ndata: {text}\n\n")),
        ("empty events", format!("event: x\n\ndata\n\n\n\ndata: {text}\n\n")),
    ] {
        for mss in [1, 1460] {
            let mut talk = streaming("");
            talk.mss = mss;
            talk.server(&stream);
            talk.segment(Server, FIN | ACK, b"");
            talk.segment(Client, FIN | ACK, b"");
            watch(&talk).assert_clean(&format!("{name} in {mss}"), 1);
        }
    }
}

/// Events split over chunks and segments at every byte.
#[test]
fn split_anywhere() {
    let stream = [event(&progress(1)), event(&elicit(2)), event(&result_text(1))].concat();
    for (size, mss) in [(1, 1), (7, 5), (5, 7), (100, 33), (4_000, 3)] {
        let mut talk = Talk::new();
        talk.mss = mss;
        talk.handshake();
        talk.client(call(1));
        talk.server(stream_head("Transfer-Encoding: chunked\r\n"));
        talk.server(chunks(&stream, size));
        let last = talk.here();
        talk.server("0\r\n\r\n");
        talk.close();
        let seen = watch(&talk);
        let what = format!("chunks of {size} in {mss}");
        assert_eq!(
            seen.said(),
            ["> tools/call", "< notifications/progress", "< elicitation/create", "< result"],
            "{what}"
        );
        let at: usize = seen.messages()[3].split(' ').next().unwrap().parse().unwrap();
        assert!(at <= last && at + 30 >= last, "{what}: {at} of {last}");
    }
}

/// An event without its blank line is not one yet: a stream that breaks off says nothing more.
#[test]
fn unfinished_event() {
    for (end, flags) in [("end of capture", None), ("FIN", Some(FIN | ACK)), ("RST", Some(RST))] {
        let mut talk = streaming("");
        talk.server(event(&progress(1)));
        talk.server(format!("data: {}\n", elicit(9)));
        if let Some(flags) = flags {
            talk.segment(Server, flags, b"");
        }
        let seen = watch(&talk);
        assert_eq!(seen.count("< notifications/progress"), 1, "{end}: {:?}", seen.said());
        assert_eq!(seen.servers(), [SERVER], "{end}");
    }
}

/// Holes in a stream: the events after them are found.
#[test]
fn holes_in_streams() {
    for fields in ["", "Transfer-Encoding: chunked\r\n"] {
        for lost in [3, 4, 10] {
            let mut talk = streaming(fields);
            for step in 1..=30 {
                let stream = event(&progress(step));
                let bytes =
                    if fields.is_empty() { stream.into_bytes() } else { chunks(stream, 4_096) };
                if step == lost {
                    talk.lose(Server, bytes);
                } else {
                    talk.server(bytes);
                }
                talk.acknowledge(Client);
            }
            let seen = watch(&talk);
            let what = format!("{fields} {lost}");
            assert_eq!(seen.count("< notifications/progress"), 29, "{what}");
            assert_eq!(seen.coverage("gaps"), 1, "{what}");
            assert_eq!(seen.servers(), [SERVER], "{what}");
        }
    }
}

/// The stream was there before the capture.
#[test]
fn midstream_stream() {
    for fields in ["", "Transfer-Encoding: chunked\r\n"] {
        let mut talk = streaming(fields);
        let from = talk.here();
        for step in 1..=30 {
            let stream = event(&elicit(step));
            talk.server(if fields.is_empty() {
                stream.into_bytes()
            } else {
                chunks(stream, 4_096)
            });
            talk.acknowledge(Client);
        }
        // Begin inside an event, too.
        for skipped in [from, from + 1, from + 4] {
            let mut late = talk.clone();
            late.segments.drain(..skipped);
            let first = &mut late.segments[0];
            let cut = 11.min(first.payload.len());
            first.payload.drain(..cut);
            first.seq += u32::try_from(cut).unwrap();
            let seen = watch(&late);
            let most = late.segments.iter().filter(|segment| segment.side == Server).count();
            let found = seen.count("< elicitation/create");
            assert!(found + 2 >= most && found <= most, "{skipped} {fields}: {found} of {most}");
            assert_eq!(seen.servers().len(), 1, "{skipped} {fields}");
        }
    }
}

/// A stream that is answered by another connection, while it goes on.
#[test]
fn answers_on_another_connection() {
    let mut stream = streaming("Transfer-Encoding: chunked\r\n");
    stream.server(chunks(event(&elicit(5)), 4_096));
    let mut other = Talk::between("10.0.0.2:40001", "10.0.0.3:8080");
    other.now = stream.now;
    other.handshake();
    let text = r#"{"jsonrpc":"2.0","id":5,"result":{"action":"accept","content":{}}}"#;
    other.exchange(post(text), super::text::ACCEPTED);
    other.close();
    stream.now = other.now;
    stream.server(chunks(event(&result_text(1)), 4_096));
    let seen = super::seen::look(&super::builder::together(&[stream, other]));
    assert_eq!(seen.said(), ["> tools/call", "< elicitation/create", "> result", "< result"]);
    assert_eq!(seen.server()["outcomes"]["elicitation/create"]["result"], 1);
    assert_eq!(seen.server()["outcomes"]["tools/call"]["result"], 1);
}

/// One line of data without an end: bounded, and what comes after is read.
#[test]
fn endless_line() {
    let mut talk = streaming("Transfer-Encoding: chunked\r\n");
    for _ in 0..100 {
        talk.server(chunks("x".repeat(40_000), 40_000));
        talk.acknowledge(Client);
    }
    talk.server(chunks("\n\n", 10));
    talk.server([chunks(event(&result_text(1)), 4_096), b"0\r\n\r\n".to_vec()].concat());
    say_calls(&mut talk, 1);
    let seen = watch(&talk);
    assert_eq!(seen.count("> tools/call"), 2);
    assert_eq!(seen.count("< result"), 2);
}

/// A JSON body that is labelled as events says nothing, and the other way round neither.
#[test]
fn wrong_label() {
    let text = result_text(1);
    let mut talk = streaming(&format!("Content-Length: {}\r\n", text.len()));
    talk.server(&text);
    talk.exchange(post(call_text(2)), reply(event(&result_text(2))));
    say_calls(&mut talk, 1);
    let seen = watch(&talk);
    assert_eq!(seen.count("> tools/call"), 3);
    assert_eq!(seen.servers(), [SERVER]);
}

/// R4: only the losing copy of a piece of an event holds the method.
#[test]
fn losing_copy_of_an_event() {
    for fields in ["", "Transfer-Encoding: chunked\r\n"] {
        let mut talk = streaming(fields);
        let stream = event(&elicit(7));
        let real = if fields.is_empty() { stream.into_bytes() } else { chunks(stream, 4_096) };
        let at = real.windows(11).position(|window| window == b"elicitation").unwrap();
        let fake = String::from_utf8(real.clone()).unwrap().replace("elicitation", "elicitatiom");
        let (seq, ack) = (talk.next[1], talk.next[0]);
        let mut piece = |bytes: &[u8], from: usize, to: usize| {
            let seq = seq.wrapping_add(u32::try_from(from).unwrap());
            talk.raw(Server, seq, ack, ACK, &bytes[from..to]);
        };
        piece(fake.as_bytes(), at + 5, at + 20);
        piece(&real, at + 5, at + 20);
        piece(&real, 0, at + 5);
        piece(&real, at + 20, real.len());
        talk.next[1] = seq.wrapping_add(u32::try_from(real.len()).unwrap());
        let seen = watch(&talk);
        assert_eq!(seen.count("< elicitation/create ambiguous"), 1, "{fields}: {:?}", seen.said());
        assert!(seen.has_anomaly("flow/overlap-conflict"));
    }
}
