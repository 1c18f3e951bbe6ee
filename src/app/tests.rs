//! Dialogues and bytes of all kinds through the whole layer.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::state::Lane;
use super::tls::decrypt::Receiver as _;
use super::*;
use crate::anomaly::Anomaly;
use crate::exchange::{
    BodyInterest, Context, End, ExchangeEvent, ExchangeSink, Headers, MessagePiece, Version,
};
use crate::flow::{At, Chunk, Finish, FlowInfo, Gap, Handler as _, Interest, Traffic};
use crate::net::{Direction, Endpoint, Scope, Side};
use crate::time::Timestamp;

const DIALOGUES: &str = include_str!("tests/dialogues.txt");

/// Keeps events as lines of text; adjacent pieces of a body are joined.
#[derive(Debug, Default)]
struct Recorder {
    events: Vec<(String, Vec<u8>, String)>,
    ambiguous: Vec<(String, Vec<u8>, String)>,
    anomalies: Vec<&'static str>,
    ended: std::collections::HashSet<u32>,
    begun: std::collections::HashSet<u32>,
    unwanted: bool,
    mcp: bool,
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\'", "'")
}

fn fields(version: Version, headers: &Headers<'_>) -> String {
    let mut line = if version == Version::Http10 { " 1.0".to_owned() } else { String::new() };
    for (index, (name, value)) in headers.iter().enumerate() {
        let space = if index == 0 { " " } else { "" };
        write!(line, "{space}{{{}: {}}}", text(name), text(value)).unwrap();
    }
    line
}

/// Line before the body bytes, body bytes, line after.
fn describe(context: &Context<'_>, event: &ExchangeEvent<'_>) -> (String, Vec<u8>, String) {
    let end = |end: &End| if *end == End::Complete { "end" } else { "end truncated" };
    let (line, body) = match event {
        ExchangeEvent::RequestHead(head) => (
            format!(
                "> {} {}{}",
                text(head.method),
                text(head.target),
                fields(head.version, &head.headers)
            ),
            &[][..],
        ),
        ExchangeEvent::ResponseHead(head) => {
            (format!("< {}{}", head.status, fields(head.version, &head.headers)), &[][..])
        }
        ExchangeEvent::RequestBody(body) => (">".to_owned(), *body),
        ExchangeEvent::ResponseBody(body) => ("<".to_owned(), *body),
        ExchangeEvent::RequestGap(len) => (format!("> gap {len}"), &[][..]),
        ExchangeEvent::ResponseGap(len) => (format!("< gap {len}"), &[][..]),
        ExchangeEvent::Message(piece) => {
            let arrow = if piece.direction == Direction::ToServer { ">" } else { "<" };
            let over = piece.end.map(|why| format!(" {}", end(&why))).unwrap_or_default();
            (format!("{arrow} message{over}"), piece.bytes)
        }
        ExchangeEvent::MessageGap(direction, len) => {
            (format!("{direction:?} message gap {len}"), &[][..])
        }
        ExchangeEvent::RequestEnd(why) => (format!("> {}", end(why)), &[][..]),
        ExchangeEvent::ResponseEnd(why) => (format!("< {}", end(why)), &[][..]),
        ExchangeEvent::Aborted => ("aborted".to_owned(), &[][..]),
    };
    let via = context.tunnel.map_or(String::new(), |tunnel| format!(" via {tunnel}"));
    (line, body.to_vec(), via)
}

fn push(list: &mut Vec<(String, Vec<u8>, String)>, entry: (String, Vec<u8>, String)) {
    match list.last_mut() {
        Some(last) if !entry.1.is_empty() && !last.1.is_empty() && last.0 == entry.0 => {
            last.1.extend_from_slice(&entry.1);
        }
        _ => list.push(entry),
    }
}

fn render(list: &[(String, Vec<u8>, String)]) -> Vec<String> {
    let body = |body: &[u8]| {
        if body.is_empty() { String::new() } else { format!(" \"{}\"", text(body)) }
    };
    list.iter().map(|(line, bytes, via)| format!("{line}{}{via}", body(bytes))).collect()
}

impl ExchangeSink for Recorder {
    type State = ();

    fn event(
        &mut self,
        context: &Context<'_>,
        (): &mut (),
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        assert!(!self.ended.contains(&number), "event after the end of {number}: {event:?}");
        self.begun.insert(number);
        if matches!(event, ExchangeEvent::ResponseEnd(_) | ExchangeEvent::Aborted) {
            self.ended.insert(number);
        }
        if let ExchangeEvent::RequestBody(body) | ExchangeEvent::ResponseBody(body) = event {
            assert!(!body.is_empty());
            assert!(!self.unwanted, "a body that nobody wanted");
        }
        // Its end by itself, so that it does not matter with which bytes it comes.
        if let ExchangeEvent::Message(MessagePiece { bytes: [_, ..], end: Some(_), .. }) = event
            && let ExchangeEvent::Message(piece) = event
        {
            let (bytes, end) = (piece.bytes, piece.end);
            let begun = ExchangeEvent::Message(MessagePiece { bytes, end: None, ..piece });
            let ended = ExchangeEvent::Message(MessagePiece { bytes: &[], end, ..piece });
            for part in [begun, ended] {
                let (line, body, via) = describe(context, &part);
                push(&mut self.events, (format!("{number} {line}"), body, via));
            }
            return BodyInterest::Wanted;
        }
        let (line, body, via) = describe(context, &event);
        push(&mut self.events, (format!("{number} {line}"), body, via));
        if self.unwanted { BodyInterest::Unwanted } else { BodyInterest::Wanted }
    }

    fn ambiguous(
        &mut self,
        context: &Context<'_>,
        (): &mut (),
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        push(&mut self.ambiguous, describe(context, &event));
        BodyInterest::Wanted
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), anomaly: Anomaly) {
        self.anomalies.push(anomaly.kind);
    }

    fn is_mcp(&self, (): &()) -> bool {
        self.mcp
    }
}

#[derive(Clone, Debug)]
enum Step {
    Bytes(Side, Vec<u8>),
    Gap(Side, u64),
    Finish(Side, Finish),
}

#[derive(Debug)]
struct Dialogue {
    name: String,
    midstream: bool,
    steps: Vec<Step>,
    expected: Vec<String>,
}

fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    let end: &[u8] = if let Some(head) = line.strip_suffix("\\n") {
        rest = head;
        b"\n"
    } else if let Some(head) = line.strip_suffix('\\') {
        rest = head;
        b""
    } else {
        b"\r\n"
    };
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let (digits, after) = after.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(end);
    bytes
}

fn dialogues() -> Vec<Dialogue> {
    let mut all: Vec<Dialogue> = Vec::new();
    let mut events = false;
    for line in DIALOGUES.lines().skip_while(|line| !line.starts_with("===")) {
        if let Some(title) = line.strip_prefix("=== ") {
            let mut words = title.split(' ');
            all.push(Dialogue {
                name: words.next().unwrap().to_owned(),
                midstream: words.next() == Some("midstream"),
                steps: Vec::new(),
                expected: Vec::new(),
            });
            events = false;
            continue;
        }
        let dialogue = all.last_mut().unwrap();
        let side = if line.starts_with(">>>") { Side::Originator } else { Side::Responder };
        match line.get(..3) {
            _ if events && line.is_empty() => {}
            _ if events => dialogue.expected.push(line.to_owned()),
            Some("---") => events = true,
            Some(">>>" | "<<<") => dialogue.steps.push(match line.split_at(3).1.trim() {
                "" => Step::Bytes(side, Vec::new()),
                "fin" => Step::Finish(side, Finish::Fin),
                "reset" => Step::Finish(side, Finish::Reset),
                "cut" => Step::Finish(side, Finish::EndOfCapture),
                gap => Step::Gap(side, gap.strip_prefix("gap ").unwrap().parse().unwrap()),
            }),
            _ => match dialogue.steps.last_mut() {
                Some(Step::Bytes(_, bytes)) => bytes.extend_from_slice(&unescape(line)),
                step => panic!("{}: {line:?} after {step:?}", dialogue.name),
            },
        }
    }
    all
}

const FLOW: FlowInfo = FlowInfo {
    shed_bytes: 0,
    traffic: Traffic::NONE,
    id: 7,
    originator: Endpoint::UNKNOWN,
    responder: Endpoint::UNKNOWN,
    scope: Scope(0),
    opened: Timestamp::EPOCH,
    midstream: false,
};
const AT: At = At { packet: 1, time: Timestamp::EPOCH };

/// A flow on its way through a layer.
struct Run {
    layer: Layer<Recorder>,
    state: State<()>,
    flow: FlowInfo,
    offsets: [u64; 2],
    finished: [bool; 2],
    interest: Interest,
}

impl Run {
    fn new(midstream: bool) -> Self {
        Self {
            layer: Layer::new(Limits::default(), std::sync::Arc::default(), Recorder::default()),
            state: State::default(),
            flow: FlowInfo { midstream, ..FLOW },
            offsets: [0; 2],
            finished: [false; 2],
            interest: Interest::Unknown,
        }
    }

    fn bytes(&mut self, side: Side, bytes: &[u8]) {
        if !bytes.is_empty() {
            let offset = self.offsets[side.index()];
            self.offsets[side.index()] += bytes.len() as u64;
            let chunk = Chunk { side, offset, bytes, at: AT };
            self.interest = self.layer.chunk(&self.flow, &mut self.state, chunk);
        }
    }

    fn alternate(&mut self, side: Side, offset: u64, bytes: &[u8]) {
        let chunk = Chunk { side, offset, bytes, at: AT };
        self.layer.alternate(&self.flow, &mut self.state, chunk);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Bytes(side, bytes) => self.bytes(*side, bytes),
            Step::Gap(side, len) => {
                let offset = self.offsets[side.index()];
                self.offsets[side.index()] += len;
                let gap = Gap { side: *side, offset, len: *len, at: AT };
                self.interest = self.layer.gap(&self.flow, &mut self.state, gap);
            }
            Step::Finish(side, why) => {
                self.finished[side.index()] = true;
                self.layer.finish(&self.flow, &mut self.state, *side, AT, *why);
            }
        }
    }

    fn end(mut self) -> Layer<Recorder> {
        for side in [Side::Originator, Side::Responder] {
            if !self.finished[side.index()] {
                self.step(&Step::Finish(side, Finish::Fin));
            }
        }
        self.layer.closed(&self.flow, self.state, AT, Finish::EndOfCapture);
        let sink = self.layer.sink();
        assert_eq!(sink.begun, sink.ended, "exchanges begun and ended");
        assert_eq!(sink.begun.len() as u64, self.layer.counters().exchanges);
        self.layer
    }
}

/// Events, what the flow was shed as, and sorted anomalies.
fn outcome(layer: &Layer<Recorder>) -> Vec<String> {
    let counters = layer.counters();
    let mut lines = render(&layer.sink().events);
    for (name, tally) in [
        ("tls", counters.tls),
        ("http2", counters.http2),
        ("websocket", counters.websocket),
        ("other", counters.other),
    ] {
        lines.extend((tally.flows > 0).then(|| format!("= {name}")));
    }
    let mut anomalies = layer.sink().anomalies.clone();
    anomalies.sort_unstable();
    lines.extend(anomalies.iter().map(|kind| format!("! {kind}")));
    lines
}

fn expected(dialogue: &Dialogue) -> Vec<String> {
    let (mut anomalies, mut lines): (Vec<_>, Vec<_>) =
        dialogue.expected.iter().cloned().partition(|line| line.starts_with('!'));
    anomalies.sort_unstable();
    lines.extend(anomalies);
    lines
}

/// Runs the steps; each run of bytes is given in the pieces that `cut` makes of it.
fn run(
    dialogue: &Dialogue,
    swapped: bool,
    cut: impl Fn(usize, &[u8]) -> Vec<Vec<u8>>,
) -> Vec<String> {
    let mut run = Run::new(dialogue.midstream);
    let side = |side: Side| if swapped { side.other() } else { side };
    for (index, step) in dialogue.steps.iter().enumerate() {
        match step {
            Step::Bytes(from, bytes) => {
                cut(index, bytes).iter().for_each(|piece| run.bytes(side(*from), piece));
            }
            Step::Gap(from, len) => run.step(&Step::Gap(side(*from), *len)),
            Step::Finish(from, why) => run.step(&Step::Finish(side(*from), *why)),
        }
    }
    for from in [Side::Originator, Side::Responder].map(side) {
        if !run.finished[from.index()] {
            run.step(&Step::Finish(from, Finish::Fin));
        }
    }
    outcome(&run.end())
}

#[test]
fn dialogues_read_as_written() {
    let mut wrong = 0;
    for dialogue in dialogues() {
        let got = run(&dialogue, false, |_, bytes| vec![bytes.to_vec()]);
        let expected = expected(&dialogue);
        if got != expected {
            wrong += 1;
            eprintln!(
                "=== {}\n{}\n--- not\n{}",
                dialogue.name,
                got.join("\n"),
                expected.join("\n")
            );
        }
    }
    assert_eq!(wrong, 0, "dialogues read otherwise than written");
}

#[test]
fn dialogues_read_alike_when_the_server_opened_the_flow() {
    for dialogue in dialogues() {
        let got = run(&dialogue, true, |_, bytes| vec![bytes.to_vec()]);
        assert_eq!(got, expected(&dialogue), "{}", dialogue.name);
    }
}

#[test]
fn dialogues_read_alike_byte_by_byte() {
    for dialogue in dialogues() {
        let got = run(&dialogue, false, |_, bytes| bytes.iter().map(|b| vec![*b]).collect());
        assert_eq!(got, expected(&dialogue), "{}", dialogue.name);
    }
}

#[test]
fn dialogues_read_alike_cut_at_every_offset() {
    for dialogue in dialogues() {
        for (target, step) in dialogue.steps.iter().enumerate() {
            let Step::Bytes(_, bytes) = step else { continue };
            for at in 1..bytes.len() {
                let got = run(&dialogue, false, |index, bytes| {
                    if index != target {
                        return vec![bytes.to_vec()];
                    }
                    let (left, right) = bytes.split_at(at);
                    vec![left.to_vec(), right.to_vec()]
                });
                assert_eq!(got, expected(&dialogue), "{} step {target} at {at}", dialogue.name);
            }
        }
    }
}

/// Requests read the same whether or not the responses were captured.
#[test]
fn one_side_alone_reads_the_same_messages() {
    let side_events = |lines: Vec<String>, mark: &str| {
        let rest = |line: &String| Some(line.split_once(' ')?.1.to_owned());
        let side: Vec<_> =
            lines.iter().filter_map(rest).filter(|line| line.starts_with(mark)).collect();
        // Where the other side's events fell between two pieces of a body does not matter.
        side.join("|").replace(&format!("\"|{mark} \""), "")
    };
    for mut dialogue in dialogues() {
        // Tunnels are granted, and withheld bodies told, by the other side.
        if dialogue.name.contains("refused") || dialogue.name.contains("tunnel") {
            continue;
        }
        let want = side_events(dialogue.expected.clone(), ">");
        dialogue.steps.retain(|step| match step {
            Step::Bytes(side, _) | Step::Gap(side, _) | Step::Finish(side, _) => {
                *side == Side::Originator
            }
        });
        let got = side_events(run(&dialogue, false, |_, bytes| vec![bytes.to_vec()]), ">");
        assert_eq!(got, want, "{}", dialogue.name);
    }
}

const C: Side = Side::Originator;
const S: Side = Side::Responder;

#[test]
fn interest_follows_what_is_known() {
    let mut run = Run::new(false);
    run.bytes(C, b"POST /mc");
    assert_eq!(run.interest, Interest::Unknown);
    run.bytes(C, b"p HTTP/1.1\r\n");
    assert_eq!(run.interest, Interest::Candidate);
    run.layer.sink_mut().mcp = true;
    run.bytes(C, b"\r\n");
    assert_eq!(run.interest, Interest::Mcp);

    let mut tls = Run::new(false);
    tls.bytes(C, b"\x16\x03\x01");
    assert_eq!(tls.interest, Interest::Unknown);
    tls.bytes(C, b"\x02\x00\x01");
    assert_eq!(tls.interest, Interest::Unknown);
    assert_eq!(tls.end().counters().tls, Tally { flows: 1, bytes: 6 });
}

#[test]
fn a_silent_peer_is_given_up_at_the_probe_bound() {
    let mut run = Run::new(false);
    run.bytes(C, b"SSH-2.0-x\r\n");
    assert_eq!(run.interest, Interest::Unknown);
    run.bytes(C, &[0x80; 4096]);
    assert_eq!(run.interest, Interest::None);
}

#[test]
fn a_midstream_search_has_a_bound() {
    let mut run = Run::new(true);
    for _ in 0..=(1 << 20) / 1000 {
        run.bytes(C, &[b'x'; 1000]);
    }
    assert_eq!(run.interest, Interest::None);
    assert_eq!(run.end().counters().other.flows, 1);
}

#[test]
fn roles_come_from_what_is_said() {
    let (client, server) = ("192.0.2.1:50000", "192.0.2.2:80");
    let endpoint = |text: &str| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap());
    struct Roles(Vec<(Endpoint, Endpoint)>);
    impl ExchangeSink for Roles {
        type State = ();
        fn event(
            &mut self,
            c: &Context<'_>,
            (): &mut (),
            _: u32,
            _: ExchangeEvent<'_>,
        ) -> BodyInterest {
            self.0.push((c.client, c.server));
            BodyInterest::Wanted
        }
        fn ambiguous(
            &mut self,
            _: &Context<'_>,
            (): &mut (),
            _: ExchangeEvent<'_>,
        ) -> BodyInterest {
            BodyInterest::Wanted
        }
        fn anomaly(&mut self, _: &Context<'_>, (): &mut (), _: Anomaly) {}
        fn is_mcp(&self, (): &()) -> bool {
            false
        }
    }
    for (side, bytes) in [(S, "GET / HTTP/1.1\r\n\r\n"), (C, "HTTP/1.1 204 x\r\n\r\n")] {
        let flow = FlowInfo { originator: endpoint(server), responder: endpoint(client), ..FLOW };
        let mut layer = Layer::new(Limits::default(), std::sync::Arc::default(), Roles(Vec::new()));
        let mut state = State::default();
        let chunk = Chunk { side, offset: 0, bytes: bytes.as_bytes(), at: AT };
        layer.chunk(&flow, &mut state, chunk);
        assert!(!layer.sink().0.is_empty());
        assert!(layer.sink().0.iter().all(|ends| *ends == (endpoint(client), endpoint(server))));
    }
}

#[test]
fn unwanted_bodies_are_counted_and_not_delivered() {
    let mut run = Run::new(false);
    run.layer.sink_mut().unwanted = true;
    run.bytes(C, b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n");
    run.bytes(S, b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
    run.step(&Step::Gap(S, 5));
    let layer = run.end();
    assert_eq!(layer.counters().exchanges, 2);
    assert!(!render(&layer.sink().events).iter().any(|line| line.contains("gap")));
}

#[test]
fn heads_and_queues_have_bounds() {
    let mut run = Run::new(false);
    let long = format!("GET /a HTTP/1.1\r\nx: {}\r\n", "y".repeat(70_000));
    run.bytes(C, long.as_bytes());
    run.bytes(C, b"z: 1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    let many = "GET / HTTP/1.1\r\n\r\n".repeat(1100);
    run.bytes(C, many.as_bytes());
    let layer = run.end();
    let lines = outcome(&layer);
    assert_eq!(lines[..3], ["0 > GET /a", "0 > end truncated", "1 > GET /b"]);
    for kind in ["! head-too-long", "! too-many-outstanding"] {
        assert_eq!(lines.iter().filter(|line| *line == kind).count(), 1, "{kind}");
    }
    assert_eq!(layer.counters().exchanges, 1102);

    let mut deep = Run::new(false);
    (0..6).for_each(|_| deep.bytes(C, b"CONNECT a:1 HTTP/1.1\r\n\r\n"));
    assert_eq!(deep.interest, Interest::None);
    assert!(deep.end().sink().anomalies.contains(&"tunnel-too-deep"));
}

const POST: &str = "POST /mcp HTTP/1.1\r\ncontent-length: 4\r\n\r\n";

#[test]
fn a_losing_copy_that_is_a_message_is_ambiguous() {
    let mut run = Run::new(false);
    run.alternate(C, 0, format!("{POST}evil").as_bytes());
    run.bytes(C, format!("{POST}good").as_bytes());
    let layer = run.end();
    assert_eq!(
        render(&layer.sink().ambiguous),
        ["> POST /mcp {content-length: 4}", "> \"evil\"", "> end", "aborted"]
    );
    assert!(render(&layer.sink().events).contains(&"0 > \"good\"".to_owned()));
}

#[test]
fn a_losing_copy_inside_a_body_goes_on_with_the_winner() {
    let mut run = Run::new(false);
    run.bytes(C, POST.as_bytes());
    run.alternate(C, POST.len() as u64, b"ev");
    run.bytes(C, b"goo");
    run.bytes(C, b"d");
    assert_eq!(
        render(&run.end().sink().ambiguous),
        ["> POST  {content-type: application/json}", "> \"evod\"", "> end", "aborted"]
    );
}

#[test]
fn a_losing_copy_inside_a_head_completes_it() {
    for at in [10, 25] {
        let mut run = Run::new(false);
        let (first, second) = POST.split_at(at);
        run.bytes(C, first.as_bytes());
        run.alternate(C, at as u64, second.replace(": 4", ": 3").as_bytes());
        run.bytes(C, second.as_bytes());
        run.bytes(C, b"good");
        assert_eq!(
            render(&run.end().sink().ambiguous),
            ["> POST /mcp {content-length: 3}", "> \"goo\"", "> end", "aborted"],
            "{at}"
        );
    }
}

#[test]
fn a_losing_copy_that_comes_late_is_a_piece_of_a_body() {
    let mut run = Run::new(false);
    run.bytes(C, format!("{POST}good").as_bytes());
    run.alternate(C, POST.len() as u64, b"evil");
    assert_eq!(
        render(&run.end().sink().ambiguous),
        ["> POST  {content-type: application/json}", "> \"evil\"", "> end truncated", "aborted"]
    );
}

#[test]
fn an_endless_losing_copy_has_a_bound() {
    let mut run = Run::new(false);
    run.bytes(C, b"x");
    run.alternate(C, 0, b"POST / HTTP/1.1\r\ncontent-length: 9999999\r\n\r\n");
    for _ in 0..100 {
        run.bytes(C, &[b'z'; 1000]);
    }
    let ambiguous = &run.layer.sink().ambiguous;
    assert!(ambiguous.iter().all(|(_, body, _)| body.len() <= 64 << 10));
    assert_eq!(run.end().sink().anomalies, Vec::<&str>::new());
}

/// Pieces of messages and noise, so that odd states are reached.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /mcp HTTP/1.1\r\n",
        "HEAD / HTTP/1.0\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n",
        "HTTP/1.1 204 x\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\n\r\n",
        "content-length: 5\r\n",
        "transfer-encoding: chunked\r\n",
        "upgrade: websocket\r\n",
        "content-type: text/event-stream\r\n",
        "\r\n",
        "\n",
        "\r\n\r\n",
        " fold\r\n",
        "5\r\nabcde\r\n",
        "0\r\n\r\n",
        "0\r\n",
        "event: message\n",
        "data: {\"a\":1}\n\n",
        "ffffffffffffffff\r\n",
        "HTTP/1.",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]);
    prop_oneof![
        4 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..20),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(u8, bool, u64, Vec<u8>)>> {
    let one = (0_u8..20, any::<bool>(), 1_u64..50, prop::collection::vec(piece(), 1..6));
    prop::collection::vec(
        one.prop_map(|(kind, side, len, pieces)| (kind, side, len, pieces.concat())),
        0..20,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_flows_keep_the_invariants(midstream: bool, steps in steps()) {
        let mut run = Run::new(midstream);
        for (kind, responder, len, bytes) in steps {
            let side = if responder { S } else { C };
            if run.finished[side.index()] {
                continue;
            }
            match kind {
                0 => run.step(&Step::Gap(side, len)),
                1 => run.step(&Step::Finish(side, Finish::Reset)),
                2 => run.alternate(side, run.offsets[side.index()].saturating_sub(len / 3), &bytes),
                _ => run.bytes(side, &bytes),
            }
        }
        run.end();
    }

    #[test]
    fn cuts_never_matter(steps in steps(), cut in 1_usize..9) {
        let dialogue = Dialogue {
            name: String::new(),
            midstream: false,
            steps: steps
                .into_iter()
                .map(|(_, responder, _, bytes)| Step::Bytes(if responder { S } else { C }, bytes))
                .collect(),
            expected: Vec::new(),
        };
        let whole = run(&dialogue, false, |_, bytes| vec![bytes.to_vec()]);
        let pieces = run(&dialogue, false, |_, bytes| {
            bytes.chunks(cut).map(<[u8]>::to_vec).collect()
        });
        prop_assert_eq!(whole, pieces);
    }
}

/// A flow whose bytes are records, of which the session has read some.
fn in_tls(run: &mut Run) {
    run.state.in_tls = [true, true];
    run.state.lanes = [Lane::Probe(Vec::new()), Lane::Probe(Vec::new())];
}

#[test]
fn what_is_inside_tls_may_come_in_any_pieces() {
    let body = vec![b'x'; 9000];
    let head = format!("POST /mcp HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len());
    let request = [head.as_bytes(), &body].concat();
    for cut in [1, 7, head.len(), head.len() + 1] {
        let mut run = Run::new(false);
        in_tls(&mut run);
        for piece in [&request[..cut], &request[cut..]] {
            run.layer.turn(&run.flow, &mut run.state, AT).plain(C, piece);
        }
        let events = render(&run.layer.sink().events);
        assert!(events.contains(&"0 > end".to_owned()), "cut at {cut}: {}", events.len());
    }
}

#[test]
fn a_flow_that_is_shed_counts_once_for_each_protocol() {
    let mut run = Run::new(false);
    run.bytes(C, b"CONNECT one:443 HTTP/1.1\r\n\r\n");
    run.bytes(S, b"HTTP/1.1 200 OK\r\n\r\n");
    in_tls(&mut run);
    run.layer.turn(&run.flow, &mut run.state, AT).shed(Protocol::Tls);
    let counters = *run.end().counters();
    assert_eq!((counters.http1.flows, counters.tls.flows), (1, 1));
    assert_eq!(counters.tls_decrypted.flows, 0);

    let mut run = Run::new(false);
    run.layer.sink_mut().unwanted = true;
    run.bytes(C, b"GET /ws HTTP/1.1\r\nupgrade: websocket\r\n\r\n");
    run.bytes(S, b"HTTP/1.1 101 x\r\nupgrade: websocket\r\n\r\n\x81\x02hi");
    assert_eq!(run.end().counters().websocket.flows, 1);

    let mut run = Run::new(false);
    in_tls(&mut run);
    let request = b"GET /ws HTTP/1.1\r\nupgrade: x\r\n\r\n";
    run.layer.turn(&run.flow, &mut run.state, AT).plain(C, request);
    run.layer.turn(&run.flow, &mut run.state, AT).shed(Protocol::Other);
    assert_eq!(run.end().counters().tls_decrypted.flows, 1);
}
