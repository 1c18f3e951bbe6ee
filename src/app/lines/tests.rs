use proptest::prelude::*;

use super::*;
use crate::app::websocket::record::{Record, Said};
use Direction::{ToClient, ToServer};

#[derive(Clone, Debug)]
enum Step {
    Bytes(Direction, Vec<u8>),
    Gap(Direction, u64),
    Join(Direction),
    Fin(Direction),
}

fn bytes(direction: Direction, text: &str) -> Step {
    Step::Bytes(direction, text.as_bytes().to_vec())
}

fn run(steps: &[Step], piece: usize) -> Record {
    let mut record = Record::default();
    let mut connection = Connection::new(7);
    for step in steps {
        match step {
            Step::Bytes(direction, bytes) => {
                for piece in bytes.chunks(piece) {
                    record.with(|out| connection.feed(*direction, piece, out));
                }
            }
            Step::Gap(direction, len) => {
                record.with(|out| connection.gap(*direction, *len, out));
            }
            Step::Join(direction) => connection.join(*direction),
            Step::Fin(direction) => {
                record.with(|out| connection.finish(*direction, Finish::Fin, out));
            }
        }
    }
    record.with(|out| connection.conclude(out));
    record.with(|out| connection.conclude(out));
    let begun = record.said.iter().any(|said| !said.is_empty());
    assert_eq!(record.end.is_some(), begun);
    record
}

fn every_cut(steps: &[Step]) -> Record {
    let whole = run(steps, usize::MAX);
    for piece in 1..80 {
        let cut = run(steps, piece);
        assert_eq!(cut.said, whole.said, "{piece}");
        assert_eq!(cut.kinds, whole.kinds, "{piece}");
        assert_eq!((cut.lost, cut.end), (whole.lost, whole.end), "{piece}");
    }
    whole
}

fn line(text: &str) -> Said {
    Said { bytes: text.as_bytes().to_vec(), end: Some(End::Complete), ..Said::default() }
}

fn broken(text: &str) -> Said {
    Said { end: Some(End::Truncated), ..line(text) }
}

const A: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const B: &str = r#"[{"jsonrpc":"2.0","method":"x"}]"#;

#[test]
fn lines_that_can_be_json_become_messages() {
    let table: Vec<(String, Vec<Said>, Vec<&str>)> = vec![
        (format!("{A}\n{B}\n"), vec![line(A), line(B)], vec![]),
        (format!("\n\r\n  {A}\r\n\n{B}\n"), vec![line(&format!("{A}\r")), line(B)], vec![]),
        (format!("\u{feff}{A}\n"), vec![line(A)], vec![]),
        (
            format!("Server ready\n{A}\nwarning: {A}\n{B}\n"),
            vec![line(A), line(B)],
            vec!["line-not-json"],
        ),
        (format!("{A}\n{B}"), vec![line(A), broken(B)], vec![]),
        ("nothing here".to_owned(), vec![], vec!["line-not-json"]),
        (String::new(), vec![], vec![]),
        (format!("{A}{A}\n"), vec![line(&format!("{A}{A}"))], vec![]),
    ];
    for (text, said, kinds) in table {
        let record = every_cut(&[bytes(ToServer, &text)]);
        assert_eq!(record.said, [said, vec![]], "{text}");
        assert_eq!(record.kinds, kinds, "{text}");
    }
}

#[test]
fn both_directions_are_one_exchange() {
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{}"}}"#, "x".repeat(100_000));
    let steps = [
        bytes(ToServer, &format!("{A}\n{A}\n")),
        bytes(ToClient, &format!("{long}\n{{")),
        bytes(ToServer, &format!("{B}\n")),
        bytes(ToClient, "}\n"),
        Step::Fin(ToServer),
        Step::Fin(ToClient),
    ];
    for piece in [usize::MAX, 1000, 1] {
        let record = run(&steps, piece);
        assert_eq!(record.said[0], [line(A), line(A), line(B)]);
        assert_eq!(record.said[1], [line(&long), line("{}")]);
        assert_eq!(record.end, Some(End::Complete));
    }
}

#[test]
fn a_gap_breaks_the_current_line_only() {
    let steps = [
        bytes(ToServer, &format!("{A}\n{{\"half\":")),
        Step::Gap(ToServer, 5),
        bytes(ToServer, &format!("\"other half\"}}\n{B}\n")),
        Step::Gap(ToServer, 5),
        bytes(ToServer, &format!("{A}\n")),
    ];
    let record = every_cut(&steps);
    let half = Said { gaps: vec![(8, 5)], ..broken("{\"half\":") };
    assert_eq!(record.said[0], [line(A), half, line(B), line(A)]);
    assert_eq!(record.kinds, ["line-broken"]);
}

#[test]
fn a_side_met_in_the_middle_of_a_line_begins_with_the_next() {
    let steps =
        [Step::Join(ToClient), bytes(ToClient, &format!("of a line\"}}\n{A}\nnoise\n{B}\n"))];
    let record = every_cut(&steps);
    assert_eq!(record.said[1], [line(A), line(B)]);
    assert_eq!(record.kinds, ["line-not-json"]);
    let record = every_cut(&[Step::Join(ToClient), bytes(ToClient, &format!("{A}\n"))]);
    assert_eq!(record.said[1], [line(A)]);
}

#[test]
fn what_is_not_wanted_is_not_delivered_and_ends_all_the_same() {
    let mut record = Record { wanted: Some(0), ..Record::default() };
    let mut connection = Connection::new(7);
    let text = format!("{A}\n{A}\n");
    let interest = record.with(|out| connection.feed(ToServer, text.as_bytes(), out));
    assert_eq!(interest, BodyInterest::Unwanted);
    let interest = record.with(|out| connection.feed(ToClient, text.as_bytes(), out));
    assert_eq!(interest, BodyInterest::Unwanted);
    record.with(|out| connection.gap(ToClient, 1, out));
    record.with(|out| connection.conclude(out));
    assert_eq!(record.said, [vec![line(A)], vec![]]);
    assert_eq!(record.end, Some(End::Truncated));
}

proptest! {
    #[test]
    fn lines_come_back_however_they_are_cut(
        texts in prop::collection::vec("[ -~]{0,60}", 0..10),
        piece in 1_usize..50,
        crlf in any::<bool>(),
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let text: String = texts.iter().map(|text| format!("{{{text}}}{end}")).collect();
        let record = run(&[bytes(ToClient, &text)], piece);
        let cr = if crlf { "\r" } else { "" };
        let said: Vec<Said> = texts.iter().map(|text| line(&format!("{{{text}}}{cr}"))).collect();
        prop_assert_eq!(&record.said[1], &said);
    }

    #[test]
    fn any_bytes_and_gaps_give_the_same_however_cut(
        runs in prop::collection::vec(
            (prop::collection::vec(prop::sample::select(b"{[}]\n\r \"xy\xef\xbb".to_vec()), 0..60), 0_u64..3),
            1..6,
        ),
        piece in 1_usize..20,
    ) {
        let steps: Vec<Step> = runs
            .into_iter()
            .flat_map(|(bytes, gap)| [Step::Bytes(ToServer, bytes), Step::Gap(ToServer, gap)])
            .collect();
        let (whole, cut) = (run(&steps, usize::MAX), run(&steps, piece));
        prop_assert_eq!(whole.said, cut.said);
        prop_assert_eq!(whole.kinds, cut.kinds);
    }

    #[test]
    fn what_the_fuzzer_checks_holds(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz::fuzz(&data);
    }
}
