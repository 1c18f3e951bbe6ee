//! Recorded connections, from the packets up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::super::{Connection, Feed, Limits};
use crate::anomaly::Anomaly;
use crate::app::Counters;
use crate::app::http1::feed::Line;
use crate::capture::{Input, Limits as CaptureLimits, Next, Packet, Source};
use crate::decode::{Decoded, Decoder};
use crate::exchange::{BodyInterest, Context, ExchangeEvent, ExchangeSink, Scheme};
use crate::flow::{self, At, Chunk, Finish, FlowInfo, Gap, Handler, Interest, Table};
use crate::net::{Direction, Side};

/// What an exchange came to.
#[derive(Debug, Default)]
struct Tally {
    head: String,
    host: String,
    status: u16,
    bytes: [usize; 2],
    over: bool,
}

#[derive(Debug, Default)]
struct Sink {
    exchanges: BTreeMap<(u64, u32), Tally>,
    anomalies: Vec<Anomaly>,
}

impl ExchangeSink for Sink {
    type State = ();

    fn event(
        &mut self,
        context: &Context<'_>,
        (): &mut (),
        number: u32,
        event: ExchangeEvent<'_>,
    ) -> BodyInterest {
        let tally = self.exchanges.entry((context.flow, number)).or_default();
        assert!(!tally.over);
        match event {
            ExchangeEvent::RequestHead(head) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                tally.head = format!("{} {}", text(head.method), text(head.target));
                tally.host = text(head.headers.get("host").unwrap());
            }
            ExchangeEvent::ResponseHead(head) => tally.status = head.status,
            ExchangeEvent::RequestBody(bytes) => tally.bytes[0] += bytes.len(),
            ExchangeEvent::ResponseBody(bytes) => tally.bytes[1] += bytes.len(),
            ExchangeEvent::ResponseEnd(_) | ExchangeEvent::Aborted => tally.over = true,
            _ => {}
        }
        BodyInterest::Wanted
    }

    fn ambiguous(&mut self, _: &Context<'_>, (): &mut (), _: ExchangeEvent<'_>) -> BodyInterest {
        unreachable!()
    }

    fn anomaly(&mut self, _: &Context<'_>, (): &mut (), anomaly: Anomaly) {
        self.anomalies.push(anomaly);
    }

    fn is_mcp(&self, (): &()) -> bool {
        false
    }
}

/// Reads flows that begin with the preface.
#[derive(Debug, Default)]
struct Reader {
    sink: Sink,
    limits: Limits,
    counters: Counters,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<Connection>,
    next: u32,
}

impl Reader {
    fn with(
        &mut self,
        flow: &FlowInfo,
        state: &mut State,
        at: At,
        f: impl FnOnce(&mut Connection, &mut Feed<'_, Sink>),
    ) {
        let Some(connection) = &mut state.connection else { return };
        let (client, server) = (flow.originator, flow.responder);
        let (scope, scheme) = (flow.scope, Scheme::Http);
        let line = Line { flow: flow.id, client, server, scope, scheme, at, tunnels: &[] };
        let mut feed = Feed {
            limits: &self.limits,
            sink: &mut self.sink,
            user: &mut (),
            counters: &mut self.counters,
            line,
            tunnel: 0,
            next: &mut state.next,
        };
        f(connection, &mut feed);
    }
}

const fn direction(side: Side) -> Direction {
    match side {
        Side::Originator => Direction::ToServer,
        Side::Responder => Direction::ToClient,
    }
}

impl Handler for Reader {
    type State = State;

    fn chunk(&mut self, flow: &FlowInfo, state: &mut State, chunk: Chunk<'_>) -> Interest {
        if chunk.offset == 0 && chunk.bytes.starts_with(b"PRI * HTTP/2.0") {
            state.connection = Some(Connection::new(false));
        }
        self.with(flow, state, chunk.at, |connection, feed| {
            connection.feed(direction(chunk.side), chunk.bytes, feed);
        });
        Interest::Unknown
    }

    fn alternate(&mut self, _: &FlowInfo, _: &mut State, _: Chunk<'_>) {}

    fn gap(&mut self, flow: &FlowInfo, state: &mut State, gap: Gap) -> Interest {
        self.with(flow, state, gap.at, |connection, feed| {
            connection.gap(direction(gap.side), gap.len, feed);
        });
        Interest::Unknown
    }

    fn finish(&mut self, flow: &FlowInfo, state: &mut State, side: Side, at: At, _: Finish) {
        self.with(flow, state, at, |connection, feed| connection.finish(direction(side), feed));
    }

    fn closed(&mut self, flow: &FlowInfo, mut state: State, at: At, _: Finish) {
        self.with(flow, &mut state, at, |connection, feed| connection.conclude(feed));
    }

    fn anomaly(&mut self, _: &FlowInfo, _: At, _: Anomaly) {}
}

fn read(path: PathBuf) -> (Vec<String>, Vec<Anomaly>) {
    let mut source = Source::open(&Input::file(path), &CaptureLimits::default()).unwrap();
    let mut decoder = Decoder::default();
    let mut table: Table<State> = Table::new(flow::Limits::default());
    let mut reader = Reader::default();
    let mut index = 0;
    while let Next::Packet { time, link, bytes, wire_len } = source.next() {
        let packet = Packet { index, time, link, bytes, wire_len };
        index += 1;
        if let Decoded::Segment(segment) = decoder.push(&packet) {
            table.push(&segment, &mut reader);
        }
    }
    table.finish(&mut reader);
    let Sink { exchanges, anomalies } = reader.sink;
    let line = |tally: &Tally| {
        let Tally { head, host, status, bytes: [sent, got], over } = tally;
        assert!(over);
        format!("{head} at {host}, {sent} bytes: {status}, {got} bytes")
    };
    (exchanges.values().map(line).collect(), anomalies)
}

#[test]
fn prior_knowledge_between_httpx_and_hypercorn() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("captures");
    let (exchanges, anomalies) = read(path.join("h2c-prior-hypercorn-py2.pcap"));
    let sizes = [(328, 345), (323, 1723), (370, 254), (381, 538), (325, 280)];
    let expected = sizes.map(|(sent, got)| {
        format!("POST /mcp at mcp.corp.test:8106, {sent} bytes: 200, {got} bytes")
    });
    assert_eq!(exchanges, expected);
    assert_eq!(anomalies, []);
}
