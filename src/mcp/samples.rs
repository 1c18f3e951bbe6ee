//! Dialogues as text, played to a [`Tap`] as the layers below would.
//!
//! Each line names an exchange by a letter, which has a flow of its own:
//!
//! ```text
//! a> POST /mcp | accept: text/event-stream    the request head, then
//! a> {"jsonrpc": "2.0"}                       lines of its body
//! a< 200 | content-type: application/json     the response head, then
//! a< {"jsonrpc": "2.0"}                       lines of its body
//! a<< 200                                     a response head before the request is over
//! a. or a!                                    the response is over, or the flow; the next `a>`
//!                                             begins another exchange of the flow
//! a>~ 10 or a<~ 10                            so many bytes are missing
//! a>= {"jsonrpc": "2.0"} or a<= …              a message on the stream that the exchange became;
//! a>=! or a<=!                                so, but it breaks off
//! a>=~ 10 or a<=~ 10                          so many bytes of the stream are missing
//! a= tcp                                      no HTTP: `tcp` or `tls`, before anything else
//! a@ 10.0.0.9                                 the client's address, before anything else
//! a? POST /mcp | …                            the same as `a>`, in a losing overlap copy
//! wait 30                                     seconds that pass
//! ```

use std::collections::BTreeMap;

use super::{FlowState, Tap, TapLimits};
use crate::exchange::{
    Context, End, ExchangeEvent, ExchangeSink as _, HeaderSpan, Headers, MessageCoding,
    MessagePiece, RequestHead, ResponseHead, Scheme, Version, Visibility,
};
use crate::flow::At;
use crate::net::{Direction, Endpoint};
use crate::observation::Observation;
use crate::secret::SecretHasher;
use crate::time::Timestamp;

/// A head as text: its first line, and `name: value` fields after ` | ` each.
pub(crate) struct Head {
    pub(crate) first: String,
    bytes: Vec<u8>,
    spans: Vec<HeaderSpan>,
}

impl Head {
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = text.split(" | ");
        let first = parts.next().unwrap().to_owned();
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        for part in parts {
            let (name, value) = part.split_once(':').unwrap();
            let mut append = |text: &str| {
                let start = u32::try_from(bytes.len()).unwrap();
                bytes.extend_from_slice(text.as_bytes());
                (start, u32::try_from(bytes.len()).unwrap())
            };
            let (name_start, name_end) = append(name);
            let (value_start, value_end) = append(value.trim());
            spans.push(HeaderSpan { name_start, name_end, value_start, value_end });
        }
        Self { first, bytes, spans }
    }

    pub(crate) fn headers(&self) -> Headers<'_> {
        Headers { bytes: &self.bytes, spans: &self.spans }
    }

    pub(crate) fn request(&self) -> RequestHead<'_> {
        let (method, target) = self.first.split_once(' ').unwrap();
        RequestHead {
            method: method.as_bytes(),
            target: target.as_bytes(),
            version: Version::Http11,
            headers: self.headers(),
        }
    }

    pub(crate) fn response(&self) -> ResponseHead<'_> {
        let status = self.first.trim().parse().unwrap();
        ResponseHead { status, version: Version::Http11, headers: self.headers() }
    }
}

/// How far an exchange is.
#[derive(Default)]
struct Talk {
    state: FlowState,
    number: u32,
    client: Option<Endpoint>,
    scheme: Option<Scheme>,
    requested: bool,
    request_ended: bool,
    answered: bool,
}

/// A tap and what it is told.
pub(crate) struct Stage {
    pub(crate) tap: Tap,
    talks: BTreeMap<char, Talk>,
    packet: u64,
    nanos: i64,
}

impl Default for Stage {
    fn default() -> Self {
        let tap = Tap::new(TapLimits::default(), SecretHasher::default());
        Self { tap, talks: BTreeMap::new(), packet: 0, nanos: 0 }
    }
}

/// The context of an event in a flow.
pub(crate) fn context(flow: u64, at: At) -> Context<'static> {
    Context {
        flow,
        client: Endpoint::new("10.0.0.1".parse().unwrap(), 40_000),
        server: Endpoint::new("10.0.0.2".parse().unwrap(), 80),
        scope: crate::net::Scope::default(),
        scheme: Scheme::Http,
        tunnel: None,
        visibility: Visibility::Body,
        at,
        provenance: None,
    }
}

impl Stage {
    pub(crate) fn now(&self) -> At {
        At { packet: self.packet, time: Timestamp::from_nanos(self.nanos) }
    }

    /// Plays a dialogue; answers with what was observed.
    pub(crate) fn play(&mut self, dialogue: &str) -> Vec<Observation> {
        let lines = dialogue.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.for_each(|line| self.line(line));
        std::mem::take(self.tap.observations())
    }

    fn line(&mut self, line: &str) {
        self.packet += 1;
        self.nanos += 1_000_000;
        if let Some(seconds) = line.strip_prefix("wait ") {
            self.nanos += seconds.parse::<i64>().unwrap() * 1_000_000_000;
            return;
        }
        let name = line.chars().next().unwrap();
        let said = line.get(1..).unwrap_or_default();
        let (verb, rest) = said.split_once(' ').unwrap_or((said, ""));
        let mut context = context(u64::from(u32::from(name)), self.now());
        let talk = self.talks.entry(name).or_default();
        context.client = talk.client.unwrap_or(context.client);
        context.scheme = talk.scheme.unwrap_or(context.scheme);
        let piece = |direction, end| {
            let (coding, bytes) = (MessageCoding::Plain, rest.as_bytes());
            ExchangeEvent::Message(MessagePiece { direction, coding, bytes, end: Some(end) })
        };
        let body = format!("{rest}\n");
        let mut events: Vec<ExchangeEvent<'_>> = Vec::new();
        let head;
        let end_request = |talk: &mut Talk| {
            let goes_on = verb == "<<" || talk.request_ended;
            let open = talk.requested && !goes_on;
            talk.request_ended |= open;
            open.then_some(ExchangeEvent::RequestEnd(End::Complete))
        };
        match verb {
            "=" => talk.scheme = Some(if rest == "tls" { Scheme::Tls } else { Scheme::Tcp }),
            ">=" => events.push(piece(Direction::ToServer, End::Complete)),
            "<=" => events.push(piece(Direction::ToClient, End::Complete)),
            ">=!" => events.push(piece(Direction::ToServer, End::Truncated)),
            "<=!" => events.push(piece(Direction::ToClient, End::Truncated)),
            ">=~" => {
                let len = rest.parse().unwrap();
                events.push(ExchangeEvent::MessageGap(Direction::ToServer, len));
            }
            "<=~" => {
                let len = rest.parse().unwrap();
                events.push(ExchangeEvent::MessageGap(Direction::ToClient, len));
            }
            "@" => talk.client = Some(Endpoint::new(rest.parse().unwrap(), 40_000)),
            ">" | "?" if !std::mem::replace(&mut talk.requested, true) => {
                head = Head::new(rest);
                events.push(ExchangeEvent::RequestHead(head.request()));
            }
            ">" | "?" => events.push(ExchangeEvent::RequestBody(body.as_bytes())),
            ">~" => events.push(ExchangeEvent::RequestGap(rest.parse().unwrap())),
            "<~" => events.push(ExchangeEvent::ResponseGap(rest.parse().unwrap())),
            "<" | "<<" if !std::mem::replace(&mut talk.answered, true) => {
                events.extend(end_request(talk).filter(|_| verb == "<"));
                head = Head::new(rest);
                events.push(ExchangeEvent::ResponseHead(head.response()));
            }
            "<" => events.push(ExchangeEvent::ResponseBody(body.as_bytes())),
            "." => {
                events.extend(end_request(talk));
                events.push(ExchangeEvent::ResponseEnd(End::Complete));
            }
            "!" => events.push(ExchangeEvent::Aborted),
            _ => panic!("{line}"),
        }
        let number = talk.number;
        if matches!(verb, "." | "!") {
            (talk.requested, talk.request_ended, talk.answered) = (false, false, false);
            talk.number += 1;
        }
        for event in events {
            if verb == "?" {
                self.tap.ambiguous(&context, &mut talk.state, event);
            } else {
                self.tap.event(&context, &mut talk.state, number, event);
            }
        }
    }
}
