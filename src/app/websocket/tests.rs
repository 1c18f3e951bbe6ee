use proptest::prelude::*;

use super::record::{Record, Said, frame};
use super::*;
use Direction::{ToClient, ToServer};

const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// What happens to a connection.
#[derive(Clone, Debug)]
enum Step {
    Bytes(Direction, Vec<u8>),
    Gap(Direction, u64),
    Fin(Direction),
}

fn run(steps: &[Step], deflate: Option<Deflate>, cut: impl Fn(&[u8]) -> Vec<&[u8]>) -> Record {
    let mut record = Record::default();
    let mut connection = Connection::new(7, deflate);
    for step in steps {
        match step {
            Step::Bytes(direction, bytes) => {
                for piece in cut(bytes) {
                    record.with(|out| connection.feed(*direction, piece, out));
                }
            }
            Step::Gap(direction, len) => {
                record.with(|out| connection.gap(*direction, *len, out));
            }
            Step::Fin(direction) => {
                record.with(|out| connection.finish(*direction, Finish::Fin, out));
            }
        }
    }
    record.with(|out| connection.conclude(out));
    record.with(|out| connection.conclude(out));
    record
}

/// Whole, byte by byte and cut once at every offset, which must all be the same.
fn every_cut(steps: &[Step], deflate: Option<Deflate>) -> Record {
    let whole = run(steps, deflate, |bytes| vec![bytes]);
    let longest = steps.iter().map(|step| match step {
        Step::Bytes(_, bytes) => bytes.len(),
        _ => 0,
    });
    let same = |record: Record, how: &str| {
        assert_eq!(record.said, whole.said, "{how}");
        assert_eq!(record.kinds, whole.kinds, "{how}");
        assert_eq!((record.lost, record.end), (whole.lost, whole.end), "{how}");
    };
    for piece in [1, 2, 3, 7] {
        let record = run(steps, deflate, |bytes| bytes.chunks(piece).collect());
        same(record, &format!("pieces of {piece}"));
    }
    for at in 1..longest.max().unwrap_or(0).min(400) {
        let record = run(steps, deflate, |bytes| {
            let (head, tail) = bytes.split_at(at.min(bytes.len()));
            vec![head, tail]
        });
        same(record, &format!("cut at {at}"));
    }
    whole
}

fn text(bytes: &[u8]) -> Said {
    Said { bytes: bytes.to_vec(), end: Some(End::Complete), ..Said::default() }
}

fn cut_off(bytes: &[u8]) -> Said {
    Said { end: Some(End::Truncated), ..text(bytes) }
}

const FRESH: Deflate = Deflate { to_server_fresh: true, to_client_fresh: true };

/// Bytes of a server, what is said in them and what is odd.
type Case = (&'static str, Vec<u8>, Vec<Said>, Vec<&'static str>);

fn messages() -> Vec<Case> {
    let join = |frames: &[Vec<u8>]| frames.concat();
    let long = vec![b'x'; 70_000];
    vec![
        ("one", frame(0x81, None, b"{}"), vec![text(b"{}")], vec![]),
        ("empty", frame(0x81, None, b""), vec![text(b"")], vec![]),
        ("binary", frame(0x82, None, b"\0{}"), vec![text(b"\0{}")], vec![]),
        ("long", frame(0x81, None, &long), vec![text(&long)], vec![]),
        (
            "fragments with a ping in between",
            join(&[
                frame(0x01, None, b"ab"),
                frame(0x89, None, b"ping"),
                frame(0x00, None, b""),
                frame(0x00, None, b"cd"),
                frame(0x80, None, b"e"),
                frame(0x81, None, b"f"),
            ]),
            vec![text(b"abcde"), text(b"f")],
            vec![],
        ),
        (
            "a last fragment without bytes",
            join(&[frame(0x01, None, b"ab"), frame(0x80, None, b"")]),
            vec![text(b"ab")],
            vec![],
        ),
        ("an end in a payload", b"\x81\x05abc".to_vec(), vec![cut_off(b"abc")], vec![]),
        ("an end before a payload", b"\x81\x05".to_vec(), vec![], vec![]),
        ("an end in a header", b"\x81\x7e\x01".to_vec(), vec![], vec![]),
        ("an end between fragments", frame(0x01, None, b"ab"), vec![cut_off(b"ab")], vec![]),
    ]
}

fn oddities() -> Vec<Case> {
    let join = |frames: &[Vec<u8>]| frames.concat();
    vec![
        (
            "a message within a message",
            join(&[frame(0x01, None, b"ab"), frame(0x81, None, b"cd")]),
            vec![cut_off(b"ab"), text(b"cd")],
            vec!["websocket-message-interrupted"],
        ),
        (
            "a continuation of nothing",
            join(&[frame(0x80, None, b"ab"), frame(0x81, None, b"cd")]),
            vec![text(b"cd")],
            vec!["websocket-unexpected-continuation"],
        ),
        (
            "masked, by a server",
            frame(0x81, KEY, b"hello"),
            vec![text(b"hello")],
            vec!["websocket-masked-server"],
        ),
        (
            "an opcode that nobody knows",
            join(&[frame(0x83, None, b"ab"), frame(0x81, None, b"cd")]),
            vec![text(b"cd")],
            vec!["websocket-bad-opcode"],
        ),
        (
            "reserved bits",
            join(&[frame(0xa1, None, b"ab"), frame(0xc1, None, b"cd"), frame(0xc9, None, b"")]),
            vec![text(b"ab"), text(b"cd")],
            vec!["websocket-reserved-bits"],
        ),
        (
            "control frames in fragments",
            join(&[frame(0x09, None, b"ab"), frame(0x81, None, b"cd")]),
            vec![text(b"cd")],
            vec!["websocket-control-malformed"],
        ),
        (
            "a length of 8 bytes for 2",
            b"\x81\x7f\0\0\0\0\0\0\0\x02ab".to_vec(),
            vec![text(b"ab")],
            vec!["websocket-length-overlong"],
        ),
        (
            "a length that cannot be",
            join(&[frame(0x01, None, b"ab"), b"\x80\x7f\xff\0\0\0\0\0\0\0cd".to_vec()]),
            vec![cut_off(b"ab")],
            vec!["websocket-length-invalid"],
        ),
        (
            "data after a close",
            join(&[frame(0x88, None, b"\x03\xe8"), frame(0x81, None, b"ab")]),
            vec![text(b"ab")],
            vec!["websocket-data-after-close"],
        ),
    ]
}

#[test]
fn frames_of_a_server_become_messages() {
    for (name, bytes, said, kinds) in messages().into_iter().chain(oddities()) {
        let record = every_cut(&[Step::Bytes(ToClient, bytes)], None);
        assert_eq!(record.said, [vec![], said], "{name}");
        assert_eq!(record.kinds, kinds, "{name}");
    }
}

#[test]
fn frames_of_a_client_are_unmasked_and_should_be_masked() {
    let long: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
    let bytes = [frame(0x01, KEY, &long), frame(0x80, Some([1; 4]), b"tail")].concat();
    let record = every_cut(&[Step::Bytes(ToServer, bytes)], None);
    assert_eq!(record.said[0], [text(&[&long, b"tail".as_slice()].concat())]);
    assert!(record.kinds.is_empty());
    let bytes = [frame(0x81, None, b"a"), frame(0x81, None, b"b")].concat();
    let record = every_cut(&[Step::Bytes(ToServer, bytes)], None);
    assert_eq!(record.said[0], [text(b"a"), text(b"b")]);
    assert_eq!(record.kinds, ["websocket-unmasked-client"]);
}

#[test]
fn compressed_messages_are_marked_by_their_first_frame() {
    let bytes = [frame(0x41, None, b"ab"), frame(0x80, None, b"cd"), frame(0x81, None, b"plain")];
    let record = every_cut(&[Step::Bytes(ToClient, bytes.concat())], Some(FRESH));
    let said = [Said { compressed: true, ..text(b"abcd") }, text(b"plain")];
    assert_eq!(record.said[1], said);
    assert!(record.kinds.is_empty());
    let bytes = [frame(0x01, None, b"ab"), frame(0xc0, None, b"cd")].concat();
    let record = every_cut(&[Step::Bytes(ToClient, bytes)], Some(FRESH));
    assert_eq!(record.said[1], [text(b"abcd")]);
    assert_eq!(record.kinds, ["websocket-reserved-bits"]);
}

#[test]
fn directions_and_control_frames_do_not_disturb_each_other() {
    let steps = [
        Step::Bytes(ToServer, frame(0x01, KEY, b"up")),
        Step::Bytes(ToClient, frame(0x81, None, b"down")),
        Step::Bytes(ToServer, [frame(0x8a, KEY, b""), frame(0x80, KEY, b"per")].concat()),
        Step::Fin(ToServer),
        Step::Fin(ToClient),
    ];
    let record = every_cut(&steps, None);
    assert_eq!(record.said, [vec![text(b"upper")], vec![text(b"down")]]);
    assert_eq!(record.end, Some(End::Complete));
}

#[test]
fn the_exchange_ends_complete_after_a_close_or_both_fins() {
    let close = Step::Bytes(ToServer, frame(0x88, KEY, b""));
    let table = [
        (vec![], End::Truncated),
        (vec![close.clone()], End::Complete),
        (vec![Step::Fin(ToServer)], End::Truncated),
        (vec![Step::Fin(ToServer), Step::Fin(ToClient)], End::Complete),
    ];
    for (steps, expected) in table {
        assert_eq!(every_cut(&steps, None).end, Some(expected), "{steps:?}");
    }
}

#[test]
fn a_gap_inside_a_payload_leaves_the_frames_in_place() {
    for direction in [ToServer, ToClient] {
        let key = KEY.filter(|_| direction == ToServer);
        let index = usize::from(direction == ToClient);
        let whole = [frame(0x81, key, b"0123456789"), frame(0x81, key, b"next")].concat();
        let header = whole.len() - frame(0x81, key, b"next").len() - 10;
        for start in 0..10 {
            for len in 1..=10 - start {
                let (before, after) = (header + start, header + start + len);
                let steps = [
                    Step::Bytes(direction, whole[..before].to_vec()),
                    Step::Gap(direction, len as u64),
                    Step::Bytes(direction, whole[after..].to_vec()),
                ];
                let record = every_cut(&steps, None);
                let rest = [&b"0123456789"[..start], &b"0123456789"[start + len..]].concat();
                let gaps = vec![(start, len as u64)];
                assert_eq!(record.said[index], [Said { gaps, ..text(&rest) }, text(b"next")]);
                assert!(record.kinds.is_empty());
            }
        }
    }
}

#[test]
fn a_gap_across_frames_ends_the_message_and_the_next_frame_is_found() {
    let json = b"{\"jsonrpc\":\"2.0\",\"id\":1}";
    for direction in [ToServer, ToClient] {
        let key = KEY.filter(|_| direction == ToServer);
        let index = usize::from(direction == ToClient);
        let steps = [
            Step::Bytes(direction, frame(0x01, key, b"0123456789")[..8].to_vec()),
            Step::Gap(direction, 100),
            Step::Bytes(direction, b"the rest of a text}".to_vec()),
            Step::Bytes(direction, frame(0x81, key, json)),
            Step::Bytes(direction, frame(0x81, key, b"next")),
        ];
        let record = every_cut(&steps, None);
        let said = &record.said[index];
        assert_eq!(said[0].end, Some(End::Truncated));
        assert_eq!(said[1..], [text(json), text(b"next")]);
        assert_eq!(record.kinds, ["websocket-resync"]);
        assert!(record.lost[index] > 0);
    }
}

#[test]
fn after_a_gap_the_middle_of_a_message_is_passed_over() {
    let json = b"{\"jsonrpc\":\"2.0\",\"id\":1}";
    let steps = [
        Step::Gap(ToClient, 100),
        Step::Bytes(ToClient, frame(0x00, None, b"middle")),
        Step::Bytes(ToClient, frame(0x89, None, b"")),
        Step::Bytes(ToClient, frame(0x80, None, b"end")),
        Step::Bytes(ToClient, frame(0x81, None, json)),
        Step::Gap(ToClient, 5),
    ];
    let record = every_cut(&steps, None);
    assert_eq!(record.said[1], [text(json)]);
    assert_eq!(record.kinds, ["websocket-resync"]);
}

#[test]
fn a_place_that_was_wrong_is_left_again() {
    let json = b"{\"jsonrpc\":\"2.0\",\"id\":1}";
    let steps = [
        Step::Gap(ToClient, 100),
        // The end of a text that looks like a frame: U+00C1, a space, an object.
        Step::Bytes(ToClient, "Á {\"quoted\":\"texts may look like a frame\"}".into()),
        Step::Bytes(ToClient, frame(0x81, None, json)),
        Step::Bytes(ToClient, frame(0x81, None, b"next")),
    ];
    let record = every_cut(&steps, None);
    assert_eq!(record.said[1].last_chunk::<2>(), Some(&[text(json), text(b"next")]));
    let traps = "Á {\"quoted\":\"texts may look like frames\"}".repeat(20);
    let steps = [Step::Gap(ToClient, 100), Step::Bytes(ToClient, traps.into())];
    let record = every_cut(&steps, None);
    assert_eq!(record.kinds, ["websocket-resync", "websocket-lost"]);
}

#[test]
fn noise_after_a_gap_is_given_up_at_the_bound() {
    let steps = [Step::Gap(ToClient, 1), Step::Bytes(ToClient, vec![b'x'; 2 << 20])];
    let record = run(&steps, None, |bytes| bytes.chunks(60_000).collect());
    assert_eq!(record.kinds, ["websocket-lost"]);
    assert_eq!(record.said, [vec![], vec![]]);
}

#[test]
fn what_is_not_wanted_is_not_delivered_and_ends_all_the_same() {
    let mut record = Record { wanted: Some(1), ..Record::default() };
    let mut connection = Connection::new(7, None);
    let bytes = [frame(0x81, KEY, b"a"), frame(0x81, KEY, b"b"), frame(0x81, KEY, b"c")].concat();
    let interest = record.with(|out| connection.feed(ToServer, &bytes, out));
    assert_eq!(interest, BodyInterest::Unwanted);
    let more = frame(0x81, None, b"d");
    let interest = record.with(|out| connection.feed(ToClient, &more, out));
    assert_eq!(interest, BodyInterest::Unwanted);
    assert_eq!(record.with(|out| connection.gap(ToClient, 5, out)), BodyInterest::Unwanted);
    record.with(|out| connection.finish(ToServer, Finish::Reset, out));
    record.with(|out| connection.conclude(out));
    assert_eq!(record.texts(ToServer), ["a", "b"]);
    assert_eq!(record.end, Some(End::Truncated));
}

#[derive(Clone, Debug)]
struct Sent {
    payload: Vec<u8>,
    fragments: usize,
    ping: bool,
    compressed: bool,
    key: [u8; 4],
}

fn sent() -> impl Strategy<Value = Sent> {
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 65_530..65_540),
    ];
    (payload, 1_usize..4, any::<bool>(), any::<bool>(), any::<[u8; 4]>()).prop_map(
        |(payload, fragments, ping, compressed, key)| Sent {
            payload,
            fragments,
            ping,
            compressed,
            key,
        },
    )
}

fn encode(sent: &Sent, key: Option<[u8; 4]>) -> Vec<u8> {
    let size = sent.payload.len().div_ceil(sent.fragments).max(1);
    let mut pieces: Vec<&[u8]> = sent.payload.chunks(size).collect();
    if pieces.is_empty() {
        pieces.push(b"");
    }
    let mut out = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let opcode = if index == 0 { 2 | u8::from(sent.compressed) << 6 } else { 0 };
        let fin = u8::from(index + 1 == pieces.len()) << 7;
        out.extend(frame(fin | opcode, key, piece));
        if sent.ping {
            out.extend(frame(0x89, key, b"still there?"));
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_is_read_however_it_is_cut(
        up in prop::collection::vec(sent(), 0..6),
        down in prop::collection::vec(sent(), 0..6),
        piece in 1_usize..3000,
    ) {
        let bytes = |all: &[Sent], masked: bool| -> Vec<u8> {
            all.iter().flat_map(|sent| encode(sent, masked.then_some(sent.key))).collect()
        };
        let steps = [
            Step::Bytes(ToServer, bytes(&up, true)),
            Step::Bytes(ToClient, bytes(&down, false)),
        ];
        let record = run(&steps, Some(FRESH), |bytes| bytes.chunks(piece).collect());
        let said = |all: &[Sent]| -> Vec<Said> {
            all.iter().map(|sent| Said { compressed: sent.compressed, ..text(&sent.payload) }).collect()
        };
        prop_assert_eq!(&record.said[0], &said(&up));
        prop_assert_eq!(&record.said[1], &said(&down));
        prop_assert!(record.kinds.is_empty());
    }

    #[test]
    fn any_bytes_and_gaps_give_the_same_however_cut(
        runs in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 0_u64..40), 1..6),
        json in any::<bool>(),
        piece in 1_usize..40,
    ) {
        let mut steps = Vec::new();
        for (bytes, gap) in runs {
            steps.push(Step::Bytes(ToServer, bytes));
            steps.push(Step::Gap(ToServer, gap));
            if json {
                let text = br#"{"jsonrpc":"2.0","method":"x"}"#;
                steps.push(Step::Bytes(ToServer, frame(0x81, KEY, text)));
            }
        }
        let whole = run(&steps, Some(FRESH), |bytes| vec![bytes]);
        let cut = run(&steps, Some(FRESH), |bytes| bytes.chunks(piece).collect());
        prop_assert_eq!(whole.said, cut.said);
        prop_assert_eq!(whole.kinds, cut.kinds);
        prop_assert_eq!(whole.lost, cut.lost);
    }

    #[test]
    fn what_the_fuzzer_checks_holds(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz::fuzz(&data);
    }
}
