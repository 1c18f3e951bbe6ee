//! Tests of the starts of request bodies that are kept for rules.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::samples::{Head, context};
use super::*;
use crate::flow::At;
use crate::time::Timestamp;

const KEEPING: Limits = Limits {
    max_exchanges_per_flow: 8,
    max_barren_messages: 8,
    max_foreign_messages: 8,
    keep_body_head: true,
};

/// What is told to a tap.
enum Told<'a> {
    Request(&'a str),
    Body(&'a [u8]),
    Gap(u64),
    End,
    Response,
    Over,
}

struct Flow {
    tap: Tap,
    state: FlowState,
}

impl Flow {
    fn new(limits: Limits) -> Self {
        Self { tap: Tap::new(limits, SecretHasher::default()), state: FlowState::default() }
    }

    fn tell(&mut self, number: u32, told: &Told<'_>) -> BodyInterest {
        let context = context(1, At { packet: 0, time: Timestamp::EPOCH });
        let head;
        let event = match told {
            Told::Request(text) => {
                head = Head::new(text);
                ExchangeEvent::RequestHead(head.request())
            }
            Told::Body(bytes) => ExchangeEvent::RequestBody(bytes),
            Told::Gap(len) => ExchangeEvent::RequestGap(*len),
            Told::End => ExchangeEvent::RequestEnd(End::Complete),
            Told::Response => {
                head = Head::new("200");
                ExchangeEvent::ResponseHead(head.response())
            }
            Told::Over => ExchangeEvent::ResponseEnd(End::Complete),
        };
        self.tap.event(&context, &mut self.state, number, event)
    }

    /// The start that came with each answer, by number of the exchange.
    fn answered(&mut self) -> Vec<(u32, Option<String>)> {
        let seen = std::mem::take(self.tap.observations());
        let answered = seen.into_iter().filter_map(|seen| match seen.event {
            Event::Answered { request, .. } => {
                Some((request.id.number, request.body_head.as_deref().map(str::to_owned)))
            }
            _ => None,
        });
        answered.collect()
    }
}

/// The start of the body of one exchange whose body comes in these pieces.
fn start_of(limits: Limits, head: &str, pieces: &[&[u8]]) -> Option<String> {
    let mut flow = Flow::new(limits);
    flow.tell(0, &Told::Request(head));
    for piece in pieces {
        flow.tell(0, &Told::Body(piece));
    }
    for told in [Told::End, Told::Response, Told::Over] {
        flow.tell(0, &told);
    }
    flow.answered().pop().unwrap().1
}

fn call(len: usize) -> String {
    let text = "x".repeat(len);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{text}"}}}}"#)
}

fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_first_1024_bytes_are_kept_wherever_the_body_is_cut() {
    for (len, coded) in [(0, false), (959, false), (960, false), (2_000, false), (2_000, true)] {
        let plain = call(len);
        let (head, bytes) = match coded {
            true => ("POST /mcp | content-encoding: gzip", gzip(&plain)),
            false => ("POST /mcp", plain.clone().into_bytes()),
        };
        let want = Some(plain.chars().take(1_024).collect::<String>());
        assert_eq!(start_of(KEEPING, head, &[&bytes]), want);
        for cut in 0..=bytes.len() {
            let (before, after) = bytes.split_at(cut);
            assert_eq!(start_of(KEEPING, head, &[before, after]), want, "{len} {coded} {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(start_of(KEEPING, head, &single), want);
    }
}

#[test]
fn nothing_is_kept_unless_asked_for_nor_of_other_methods() {
    let body = call(9);
    let asked = |limits, head: &str| start_of(limits, head, &[body.as_bytes()]);
    assert_eq!(asked(Limits::default(), "POST /mcp"), None);
    assert_eq!(asked(KEEPING, "PUT /mcp"), None);
    assert_eq!(start_of(KEEPING, "POST /mcp", &[]), None);
    assert_eq!(asked(KEEPING, "POST /mcp"), Some(body.clone()));
}

#[test]
fn a_body_that_is_not_json_is_kept_up_to_the_bound_and_not_wanted_beyond() {
    let mut flow = Flow::new(KEEPING);
    flow.tell(0, &Told::Request("POST /mcp | mcp-session-id: a"));
    assert_eq!(flow.tell(0, &Told::Body(&[b'a'; 1_000])), BodyInterest::Wanted);
    assert_eq!(flow.tell(0, &Told::Body(b"\xc3\xa4 \xff")), BodyInterest::Wanted);
    assert_eq!(flow.tell(0, &Told::Body(&[b'b'; 1_000])), BodyInterest::Unwanted);
    flow.tell(0, &Told::Response);
    let want = format!("{}ä \u{fffd}{}", "a".repeat(1_000), "b".repeat(20));
    assert_eq!(flow.answered(), [(0, Some(want))]);
}

#[test]
fn two_exchanges_of_a_flow_keep_theirs_apart() {
    let (first, second) = (call(3), call(5));
    let mut flow = Flow::new(KEEPING);
    for number in 0..2 {
        flow.tell(number, &Told::Request("POST /mcp"));
    }
    for at in 0..second.len() {
        for (number, text) in [(0, &first), (1, &second)] {
            flow.tell(number, &Told::Body(text.as_bytes().get(at..=at).unwrap_or_default()));
        }
    }
    for number in [1, 0] {
        for told in [Told::End, Told::Response, Told::Over] {
            flow.tell(number, &told);
        }
    }
    let mut answered = flow.answered();
    answered.sort();
    assert_eq!(answered, [(0, Some(first)), (1, Some(second))]);
    // The buffers of an exchange that is over are used again, what was in them is not.
    flow.tell(2, &Told::Request("POST /mcp | mcp-session-id: a"));
    flow.tell(2, &Told::Response);
    assert_eq!(flow.answered(), [(2, None)]);
}

#[test]
fn what_was_seen_so_far_counts_and_is_told_anew_when_more_has_come() {
    let mut flow = Flow::new(KEEPING);
    flow.tell(0, &Told::Request("POST /mcp | mcp-session-id: a"));
    flow.tell(0, &Told::Body(b"{\"jsonrpc\":"));
    flow.tell(0, &Told::Response);
    assert_eq!(flow.answered(), [(0, Some("{\"jsonrpc\":".into()))]);
    flow.tell(0, &Told::Body(b"\"2.0\","));
    flow.tell(0, &Told::Gap(3));
    flow.tell(0, &Told::Body(b"\"method\""));
    flow.tell(0, &Told::Over);
    let seen = std::mem::take(flow.tap.observations());
    let ended = seen.iter().find_map(|seen| match &seen.event {
        Event::Ended { request, .. } => request.body_head.as_deref(),
        _ => None,
    });
    assert_eq!(ended, Some("{\"jsonrpc\":\"2.0\","), "nothing from beyond the gap");
}
