//! A sink that keeps events as text, and conversations in every cut.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::super::{Connection, Feed, Limits};
use crate::anomaly::Anomaly;
use crate::app::Counters;
use crate::app::http1::feed::Line;
use crate::exchange::{BodyInterest, Context, End, ExchangeEvent, ExchangeSink, Headers, Scheme};
use crate::flow::At;
use crate::net::{Direction, Endpoint, Scope};
use crate::time::Timestamp;

/// Adjacent pieces of a body are joined.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) events: Vec<(String, Vec<u8>)>,
    pub(super) anomalies: Vec<&'static str>,
    pub(super) open: BTreeSet<u32>,
    ended: BTreeSet<u32>,
    unwanted: bool,
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\\"", "\"")
}

fn fields(headers: &Headers<'_>) -> String {
    headers.iter().fold(String::new(), |mut line, (name, value)| {
        write!(line, " {{{}: {}}}", text(name), text(value)).unwrap();
        line
    })
}

fn describe(event: &ExchangeEvent<'_>) -> (String, Vec<u8>) {
    let end = |end: &End| if *end == End::Complete { "end" } else { "end truncated" };
    let line = match event {
        ExchangeEvent::RequestHead(head) => {
            format!("> {} {}{}", text(head.method), text(head.target), fields(&head.headers))
        }
        ExchangeEvent::ResponseHead(head) => format!("< {}{}", head.status, fields(&head.headers)),
        ExchangeEvent::RequestBody(body) => return ("> ".to_owned(), body.to_vec()),
        ExchangeEvent::ResponseBody(body) => return ("< ".to_owned(), body.to_vec()),
        ExchangeEvent::RequestGap(len) => format!("> gap {len}"),
        ExchangeEvent::ResponseGap(len) => format!("< gap {len}"),
        ExchangeEvent::RequestEnd(why) => format!("> {}", end(why)),
        ExchangeEvent::ResponseEnd(why) => format!("< {}", end(why)),
        ExchangeEvent::Aborted => "aborted".to_owned(),
        other => format!("{other:?}"),
    };
    (line, Vec::new())
}

impl ExchangeSink for Recorder {
    type State = ();

    fn event(
        &mut self,
        _: &Context<'_>,
        (): &mut (),
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        assert!(!self.ended.contains(&number), "event after the end of {number}: {event:?}");
        self.open.insert(number);
        if matches!(event, ExchangeEvent::ResponseEnd(_) | ExchangeEvent::Aborted) {
            self.open.remove(&number);
            self.ended.insert(number);
        }
        if let ExchangeEvent::RequestBody(body) | ExchangeEvent::ResponseBody(body) = event {
            assert!(!body.is_empty() && !self.unwanted);
        }
        let (line, body) = describe(&event);
        let line = format!("{number} {line}");
        match self.events.last_mut() {
            Some((last, bytes)) if !body.is_empty() && *last == line => bytes.extend(body),
            _ => self.events.push((line, body)),
        }
        if self.unwanted { BodyInterest::Unwanted } else { BodyInterest::Wanted }
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        unreachable!("nothing is ambiguous here")
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), anomaly: Anomaly) {
        assert_eq!(anomaly.layer, crate::anomaly::Layer::Http2);
        self.anomalies.push(anomaly.kind);
    }

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

/// A connection that is fed.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) connection: Connection,
    pub(super) recorder: Recorder,
    pub(super) limits: Limits,
    counters: Counters,
    next: u32,
}

impl Run {
    pub(super) fn new(connection: Connection) -> Self {
        let (limits, counters) = (Limits::default(), Counters::default());
        Self { connection, recorder: Recorder::default(), limits, counters, next: 5 }
    }

    pub(super) fn unwanted(mut self) -> Self {
        self.recorder.unwanted = true;
        self
    }

    fn with(&mut self, f: impl FnOnce(&mut Connection, &mut Feed<'_, Recorder>)) {
        let mut feed = Feed {
            limits: &self.limits,
            sink: &mut self.recorder,
            user: &mut (),
            counters: &mut self.counters,
            line: Line {
                flow: 1,
                client: Endpoint::UNKNOWN,
                server: Endpoint::UNKNOWN,
                scope: Scope(0),
                scheme: Scheme::Http,
                at: At { packet: 1, time: Timestamp::EPOCH },
                tunnels: &[],
            },
            tunnel: 0,
            next: &mut self.next,
        };
        f(&mut self.connection, &mut feed);
    }

    pub(super) fn client(&mut self, bytes: &[u8]) {
        self.with(|connection, feed| connection.feed(Direction::ToServer, bytes, feed));
    }

    pub(super) fn server(&mut self, bytes: &[u8]) {
        self.with(|connection, feed| connection.feed(Direction::ToClient, bytes, feed));
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Client(bytes) => self.client(bytes),
            Step::Server(bytes) => self.server(bytes),
            Step::Gap(direction, len) => {
                self.with(|connection, feed| connection.gap(*direction, *len, feed));
            }
            Step::Finish(direction) => {
                self.with(|connection, feed| connection.finish(*direction, feed));
            }
        }
    }

    /// Ends the connection; the events as lines, without what none had before.
    pub(super) fn conclude(&mut self) -> Vec<String> {
        self.with(|connection, feed| connection.conclude(feed));
        assert!(self.recorder.open.is_empty(), "without an end: {:?}", self.recorder.open);
        assert_eq!(u64::from(self.next), self.counters.exchanges + 5);
        assert_eq!(self.recorder.anomalies.len() as u64, self.counters.anomalies);
        self.lines()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.recorder.events.iter().map(|(line, body)| format!("{line}{}", text(body))).collect()
    }
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Client(Vec<u8>),
    Server(Vec<u8>),
    Gap(Direction, u64),
    Finish(Direction),
}

impl Step {
    fn cut_at(&self, at: usize) -> Vec<Self> {
        let pieces = |bytes: &[u8], make: fn(Vec<u8>) -> Self| {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            vec![make(first.to_vec()), make(second.to_vec())]
        };
        match self {
            Self::Client(bytes) => pieces(bytes, Self::Client),
            Self::Server(bytes) => pieces(bytes, Self::Server),
            other => vec![other.clone()],
        }
    }

    fn bytewise(&self) -> Vec<Self> {
        match self {
            Self::Client(bytes) => bytes.iter().map(|b| Self::Client(vec![*b])).collect(),
            Self::Server(bytes) => bytes.iter().map(|b| Self::Server(vec![*b])).collect(),
            other => vec![other.clone()],
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Client(bytes) | Self::Server(bytes) => bytes.len(),
            Self::Gap(..) | Self::Finish(_) => 0,
        }
    }
}

/// Feeds the steps whole, byte by byte, and with each step cut at each offset: the events and
/// anomalies must be these every time.
pub(super) fn expect(
    connection: impl Fn() -> Connection,
    steps: &[Step],
    events: &[&str],
    anomalies: &[&str],
) {
    let check = |steps: &[Step], how: &str| {
        let mut run = Run::new(connection());
        steps.iter().for_each(|step| run.step(step));
        assert_eq!(run.conclude(), events, "{how}");
        assert_eq!(run.recorder.anomalies, anomalies, "{how}");
    };
    check(steps, "whole");
    let bytes: Vec<Step> = steps.iter().flat_map(Step::bytewise).collect();
    check(&bytes, "byte by byte");
    for (index, step) in steps.iter().enumerate() {
        for at in 1..step.len() {
            let mut cut = steps.to_vec();
            cut.splice(index..=index, step.cut_at(at));
            check(&cut, &format!("step {index} cut at {at}"));
        }
    }
}
