use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Data(String),
    Dispatch { kind: String, id: Option<String>, retry: Option<u64>, len: u64, after_gap: bool },
    Abandon { len: u64 },
}

#[derive(Default)]
struct Log(Vec<Got>);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Sink for Log {
    fn data(&mut self, piece: &[u8]) {
        assert!(!piece.is_empty());
        // Latin-1, so that cuts inside a character do not matter.
        let piece: String = piece.iter().map(|&byte| char::from(byte)).collect();
        match self.0.last_mut() {
            Some(Got::Data(data)) => data.push_str(&piece),
            _ => self.0.push(Got::Data(piece)),
        }
    }

    fn dispatch(&mut self, event: &Event<'_>) {
        self.0.push(Got::Dispatch {
            kind: text(event.event_type),
            id: event.id.map(text),
            retry: event.retry_millis,
            len: event.data_len,
            after_gap: event.after_gap,
        });
    }

    fn abandon(&mut self, event: &Event<'_>) {
        self.0.push(Got::Abandon { len: event.data_len });
    }
}

fn run<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Got> {
    let (mut parser, mut log) = (Parser::default(), Log::default());
    pieces.for_each(|piece| parser.push(piece, &mut log));
    parser.finish(&mut log);
    log.0
}

fn every_cut(stream: &[u8]) -> Vec<Got> {
    let whole = run(std::iter::once(stream));
    assert_eq!(run(stream.chunks(1)), whole, "byte by byte");
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(run([head, tail].into_iter()), whole, "cut at {cut}");
    }
    whole
}

fn data(data: &str) -> Got {
    Got::Data(data.into())
}

fn dispatch(kind: &str, id: Option<&str>, len: u64) -> Got {
    let id = id.map(Into::into);
    Got::Dispatch { kind: kind.into(), id, retry: None, len, after_gap: false }
}

#[test]
fn the_examples_of_the_standard() {
    let table: &[(&str, Vec<Got>)] = &[
        ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![data("YHOO\n+2\n10"), dispatch("", None, 10)]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
            vec![
                data("first event"),
                dispatch("", Some("1"), 11),
                data("second event"),
                dispatch("", Some(""), 12),
                data(" third event"),
                Got::Abandon { len: 12 },
            ],
        ),
        (
            "data\n\ndata\ndata\n\ndata:\n",
            vec![dispatch("", None, 0), data("\n"), dispatch("", None, 1), Got::Abandon { len: 0 }],
        ),
        (
            "data:test\n\ndata: test\n\n",
            vec![data("test"), dispatch("", None, 4), data("test"), dispatch("", None, 4)],
        ),
        (
            "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
            vec![
                data("73857293"),
                dispatch("add", None, 8),
                data("2153"),
                dispatch("remove", None, 4),
            ],
        ),
    ];
    for (stream, expected) in table {
        for ending in ["\n", "\r", "\r\n"] {
            let stream = stream.replace('\n', ending);
            assert_eq!(every_cut(stream.as_bytes()), *expected, "{stream:?}");
        }
    }
}

#[test]
fn an_mcp_priming_event_is_dispatched_empty_with_its_id() {
    let stream = b"id: 7_1\ndata: \n\nevent: message\nid: 7_2\ndata: {}\n\n";
    let expected = [dispatch("", Some("7_1"), 0), data("{}"), dispatch("message", Some("7_2"), 2)];
    assert_eq!(every_cut(stream), expected);
}

#[test]
fn the_last_event_field_wins_even_after_the_data() {
    let stream = b"event: a\ndata: x\nevent: endpoint\n\n";
    assert_eq!(every_cut(stream), [data("x"), dispatch("endpoint", None, 1)]);
    let stream = b"event: a\ndata: x\nevent\n\n";
    assert_eq!(every_cut(stream), [data("x"), dispatch("", None, 1)]);
}

#[test]
fn blocks_without_data_are_not_dispatched_and_leave_nothing_behind() {
    let stream = b"event: gone\nid: 1\nretry: 5\n\n\n\ndata: x\n\n";
    assert_eq!(every_cut(stream), [data("x"), dispatch("", None, 1)]);
}

#[test]
fn names_must_match_exactly() {
    for line in
        ["Data: x", " data: x", "dat: x", "dataa: x", "data : x", "\u{feff}\u{feff}data: x", "dat"]
    {
        assert_eq!(every_cut(format!("{line}\n\n").as_bytes()), [], "{line:?}");
    }
}

#[test]
fn only_one_space_and_no_tab_is_removed() {
    let stream = b"data:  x\ndata:\ty\ndata: \ndata: : z\n\n";
    assert_eq!(every_cut(stream), [data(" x\n\ty\n\n: z"), dispatch("", None, 10)]);
}

#[test]
fn a_mark_at_the_start_is_skipped_and_parts_of_one_spoil_the_first_line() {
    let expected = [data("x"), dispatch("", None, 1)];
    assert_eq!(every_cut(b"\xef\xbb\xbfdata: x\n\n"), expected);
    for start in [&b"\xef"[..], b"\xef\xbb", b"\xef\xbb\xbe"] {
        let stream = [start, b"data: lost\ndata: x\n\n"].concat();
        assert_eq!(every_cut(&stream), expected, "{start:02x?}");
        let stream = [start, b"\ndata: x\n\n"].concat();
        assert_eq!(every_cut(&stream), expected, "{start:02x?}");
    }
}

#[test]
fn ids_with_nul_are_ignored() {
    let stream = b"id: 1\nid: a\0b\ndata: x\n\n";
    assert_eq!(every_cut(stream), [data("x"), dispatch("", Some("1"), 1)]);
    let late = [&b"id: "[..], &[b'i'; 300], b"\0\ndata: x\n\n"].concat();
    assert_eq!(every_cut(&late), [data("x"), dispatch("", None, 1)]);
}

#[test]
fn retry_takes_digits_only() {
    let table: &[(&str, Option<u64>)] = &[
        ("retry: 3000", Some(3000)),
        ("retry:007", Some(7)),
        ("retry: 99999999999999999999999", Some(u64::MAX)),
        ("retry", None),
        ("retry: ", None),
        ("retry: -1", None),
        ("retry: 1.5", None),
        ("retry:  1", None),
        ("retry: 5\nretry: x", Some(5)),
    ];
    for (line, retry) in table {
        let got = every_cut(format!("{line}\ndata\n\n").as_bytes());
        let expected = Got::Dispatch {
            kind: String::new(),
            id: None,
            retry: *retry,
            len: 0,
            after_gap: false,
        };
        assert_eq!(got, [expected], "{line}");
    }
}

#[test]
fn long_values_keep_their_start_and_bound_the_memory() {
    let (mut parser, mut log) = (Parser::default(), Log::default());
    for name in ["event: ", "id: ", "retry: "] {
        parser.push(name.as_bytes(), &mut log);
        (0..1000).for_each(|_| parser.push(&[b'1'; 100], &mut log));
        parser.push(b"\n", &mut log);
    }
    let held = parser.value.capacity() + parser.id.capacity() + parser.event_type.capacity();
    assert!(held <= 3 * 2 * 256, "{held}");
    parser.push(b"data\n\n", &mut log);
    let long = "1".repeat(256);
    assert_eq!(log.0, [dispatch(&long, Some(&long), 0)]);
}

#[test]
fn comments_are_counted() {
    let (mut parser, mut log) = (Parser::default(), Log::default());
    parser.push(b": ping\r\n\r\n:\r\ndata: :x\r\n: ", &mut log);
    assert_eq!(parser.comments(), 3);
}

#[test]
fn data_is_handed_on_before_its_line_ends_and_not_copied() {
    let (mut parser, stream) = (Parser::default(), b"data: {\"a\":".as_slice());
    struct Range(Option<std::ops::Range<*const u8>>);
    impl Sink for Range {
        fn data(&mut self, piece: &[u8]) {
            self.0 = Some(piece.as_ptr_range());
        }
        fn dispatch(&mut self, _: &Event<'_>) {}
        fn abandon(&mut self, _: &Event<'_>) {}
    }
    let mut range = Range(None);
    parser.push(stream, &mut range);
    assert_eq!(range.0, Some(stream[6..].as_ptr_range()));
}

fn with_gap(head: &str, tail: &str) -> Vec<Got> {
    let (mut parser, mut log) = (Parser::default(), Log::default());
    parser.push(head.as_bytes(), &mut log);
    parser.gap(100, &mut log);
    parser.push(tail.as_bytes(), &mut log);
    parser.finish(&mut log);
    log.0
}

#[test]
fn after_a_gap_the_next_whole_event_is_read() {
    let after_gap =
        |len| Got::Dispatch { kind: String::new(), id: None, retry: None, len, after_gap: true };
    let clean = [data("x"), dispatch("", None, 1)];
    // Inside data, and the lost part ends in the same or another event.
    let damaged = [&[data("ab"), Got::Abandon { len: 2 }][..], &clean].concat();
    assert_eq!(with_gap("data: ab", "cd\n\ndata: x\n\n"), damaged);
    assert_eq!(with_gap("data: ab", "\n\ndata: x\n\n"), damaged);
    assert_eq!(with_gap("data: ab", "\ndata: x\n\n")[2..], [data("x"), after_gap(1)]);
    // Between events: what was lost may have been whole events.
    assert_eq!(with_gap("data: x\n\n", "data: y\n\n")[2..], [data("y"), after_gap(1)]);
    // A CR before the gap does not swallow the LF after it, which is the end of some line.
    assert_eq!(with_gap("data: x\r\n\r", "\n\ndata: x\n\n"), [&clean[..], &clean].concat());
    // At the start of the stream there can be no mark after a gap.
    assert_eq!(with_gap("", "rest\n\ndata: x\n\n"), clean);
}

#[test]
fn a_gap_of_no_bytes_is_none() {
    let (mut parser, mut log) = (Parser::default(), Log::default());
    parser.push(b"data: a", &mut log);
    parser.gap(0, &mut log);
    parser.push(b"b\n\n", &mut log);
    assert_eq!(log.0, [data("ab"), dispatch("", None, 2)]);
}

/// The standard's algorithm as it is written, on the whole stream at once.
fn reference(stream: &[u8]) -> Vec<Got> {
    let latin: String = stream.iter().map(|&byte| char::from(byte)).collect();
    let body = latin.strip_prefix("\u{ef}\u{bb}\u{bf}").unwrap_or(&latin);
    let lines = body.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = lines.split('\n').collect();
    let last = lines.pop().unwrap();
    let (mut got, mut kind, mut buffer) = (Vec::new(), String::new(), None::<String>);
    let (mut id, mut retry) = (None, None);
    for line in lines {
        if line.is_empty() {
            if let Some(joined) = buffer.take() {
                let len = joined.chars().count() as u64;
                if len > 0 {
                    got.push(Got::Data(joined));
                }
                let (kind, id) = (kind.clone(), id.take());
                got.push(Got::Dispatch { kind, id, retry: retry.take(), len, after_gap: false });
            }
            (kind, id, retry) = (String::new(), None, None);
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => match &mut buffer {
                Some(joined) => *joined += &format!("\n{value}"),
                None => buffer = Some(value.into()),
            },
            "event" => kind = value.into(),
            "id" if !value.contains('\0') => id = Some(value.into()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    // What is left of an unfinished event, the unfinished line included.
    if let Some((name, value)) = last.split_once(':')
        && name == "data"
    {
        let value = value.strip_prefix(' ').unwrap_or(value);
        buffer = Some(buffer.map_or_else(|| value.into(), |joined| joined + "\n" + value));
    }
    if let Some(joined) = buffer {
        let len = joined.chars().count() as u64;
        if len > 0 {
            got.push(Got::Data(joined));
        }
        got.push(Got::Abandon { len });
    }
    got
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = proptest::sample::select(vec![
        "data", "data:", "data: ", "event: ", "event", "id: ", "id", "retry: ", "12", ":", ": ",
        " ", "\n", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "x", "message", "{}", "\0", "\t", "da",
        "\u{7f}",
    ]);
    (any::<bool>(), proptest::collection::vec(part, 0..60)).prop_map(|(mark, parts)| {
        let start = if mark { "\u{feff}" } else { "" };
        format!("{start}{}", parts.concat()).into_bytes()
    })
}

proptest! {
    #[test]
    fn events_are_those_of_the_standard(stream in stream(), piece in 1usize..20) {
        let expected = reference(&stream);
        prop_assert_eq!(run(std::iter::once(&*stream)), expected.clone());
        prop_assert_eq!(run(stream.chunks(piece)), expected);
    }

    #[test]
    fn any_bytes_and_gaps_are_survived(
        pieces in proptest::collection::vec((stream(), 0u64..2), 0..6),
    ) {
        let (mut parser, mut log) = (Parser::default(), Log::default());
        for (piece, gap) in &pieces {
            parser.push(piece, &mut log);
            parser.gap(*gap, &mut log);
        }
        parser.finish(&mut log);
        // Each event's data is closed by a dispatch or abandon of the same length.
        for pair in log.0.windows(2) {
            if let [Got::Data(data), next] = pair {
                let (Got::Dispatch { len, .. } | Got::Abandon { len }) = next else {
                    panic!("{next:?} after data");
                };
                prop_assert_eq!(data.chars().count() as u64, *len);
            }
        }
        prop_assert!(!matches!(log.0.last(), Some(Got::Data(_))));
    }
}
