use super::*;
use crate::exchange::{Context, End, ExchangeEvent, ExchangeSink, HeaderSpan, Headers};
use crate::exchange::{RequestHead, ResponseHead, Scheme, Version};
use crate::logs::{Meaning, Place, Record, Scratch, Stance, Value, feed};
use crate::mcp::Tap;
use crate::net::Scope;

fn end(text: &str) -> Endpoint {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_parts(1_795_334_400 + seconds, 0)
}

/// What packets show of `POST http://mcp.test/mcp`.
fn packets(flow: u64, client: &str, seconds: i64) -> Vec<Observation> {
    let mut tap =
        Tap::new(crate::mcp::TapLimits::default(), crate::secret::SecretHasher::default());
    let bytes = b"hostmcp.testmcp-session-idabcdef";
    let span = |a, b, c, d| HeaderSpan { name_start: a, name_end: b, value_start: c, value_end: d };
    let spans = [span(0, 4, 4, 12), span(12, 26, 26, 32)];
    let headers = Headers { bytes, spans: &spans };
    let context = Context {
        flow,
        client: end(client),
        server: end("192.0.2.80:80"),
        scope: Scope::default(),
        scheme: Scheme::Http,
        tunnel: None,
        visibility: Visibility::Body,
        at: At { packet: flow, time: time(seconds) },
        provenance: None,
    };
    let mut state = crate::mcp::FlowState::default();
    let version = Version::Http11;
    for event in [
        ExchangeEvent::RequestHead(RequestHead {
            method: b"POST",
            target: b"/mcp",
            version,
            headers,
        }),
        ExchangeEvent::RequestEnd(End::Complete),
        ExchangeEvent::ResponseHead(ResponseHead {
            status: 202,
            version,
            headers: Headers::default(),
        }),
        ExchangeEvent::ResponseEnd(End::Complete),
    ] {
        tap.event(&context, &mut state, 0, event);
    }
    std::mem::take(tap.observations())
}

/// The same as a log tells it.
fn line(
    log: u16,
    number: u64,
    seconds: i64,
    fields: &[(Meaning, &'static str)],
) -> Vec<Observation> {
    let mut tap =
        Tap::new(crate::mcp::TapLimits::default(), crate::secret::SecretHasher::default());
    let mut record = Record::default();
    let always = [
        (Meaning::Method, "POST"),
        (Meaning::Url, "http://mcp.test/mcp"),
        (Meaning::Status, "202"),
        (Meaning::User, "ada"),
    ];
    for (meaning, text) in always.iter().chain(fields) {
        record.put(*meaning, Value::text(text)).unwrap();
    }
    let place = Place {
        flow: (1 << 63) | (u64::from(log) << 20) | number,
        at: At::of_line(log, number, time(seconds)),
        stance: Stance::Reverse,
        source: "nginx".into(),
    };
    assert!(feed(&record, &place, &mut Scratch::default(), &mut tap));
    std::mem::take(tap.observations())
}

fn joins() -> Joins {
    let mut joins = Joins::default();
    joins.activate();
    joins
}

/// For each exchange, whether it was joined with another one; all of its observations alike.
fn admitted(joins: &mut Joins, seen: &[Observation]) -> bool {
    assert!(!seen.is_empty());
    let joined: Vec<_> =
        seen.iter().map(|one| matches!(joins.admit(one), Joined::With { .. })).collect();
    assert!(joined.iter().all(|one| *one == joined[0]), "{joined:?}");
    joined[0]
}

#[test]
fn a_line_joins_the_packets_of_its_connection_and_each_only_once() {
    const CLIENT: &[(Meaning, &str)] =
        &[(Meaning::Client, "10.0.0.5:40000"), (Meaning::RequestId, "r-1")];
    let mut joins = joins();
    assert!(!admitted(&mut joins, &packets(1, "10.0.0.5:40000", 0)));
    assert!(!admitted(&mut joins, &packets(2, "10.0.0.5:40001", 0)));
    assert!(admitted(&mut joins, &line(0, 1, 30, CLIENT)));
    // The same line of another log is the same exchange, a second line of the same is not.
    assert!(admitted(&mut joins, &line(1, 1, 31, CLIENT)));
    assert!(!admitted(&mut joins, &line(0, 2, 32, CLIENT)));
}

#[test]
fn without_a_port_only_what_is_near_in_time_is_the_same() {
    const CLIENT: &[(Meaning, &str)] = &[(Meaning::Client, "10.0.0.5")];
    for (seconds, want) in [(0, true), (5, true), (-5, true), (6, false)] {
        let mut joins = joins();
        admitted(&mut joins, &packets(1, "10.0.0.5:40000", 0));
        assert_eq!(admitted(&mut joins, &line(0, 1, seconds, CLIENT)), want, "{seconds}");
    }
}

#[test]
fn a_community_id_or_a_request_id_is_enough() {
    const OTHER: &[(Meaning, &str)] =
        &[(Meaning::Client, "10.9.9.9:1"), (Meaning::RequestId, "r-1")];
    let mut joins = joins();
    assert!(!admitted(&mut joins, &line(0, 1, 0, &[(Meaning::RequestId, "r-1")])));
    assert!(admitted(&mut joins, &line(1, 1, 90, OTHER)));
    let packets = packets(1, "10.0.0.5:40000", 0);
    admitted(&mut joins, &packets);
    let tuple =
        FlowTuple { client: end("10.0.0.5:40000"), server: end("192.0.2.80:80"), protocol: 6 };
    let id: &'static str = community_id(&tuple).leak();
    assert!(admitted(&mut joins, &line(0, 2, 100, &[(Meaning::CommunityId, id)])));
}

#[test]
fn other_clients_other_paths_and_other_sources_shown_less_stay_apart() {
    let mut joins = joins();
    admitted(&mut joins, &packets(1, "10.0.0.5:40000", 0));
    assert!(!admitted(&mut joins, &line(0, 1, 0, &[(Meaning::Client, "10.0.0.6:40000")])));
    const OTHER: &[(Meaning, &str)] =
        &[(Meaning::Client, "10.0.0.5:40000"), (Meaning::Path, "/sse/mcp")];
    assert!(!admitted(&mut joins, &line(0, 2, 0, OTHER)));
    // Packets show more than a line: they are never dropped for one.
    assert!(!admitted(&mut joins, &packets(2, "10.0.0.6:40000", 0)));
}

#[test]
fn a_run_with_packets_only_remembers_nothing() {
    let mut joins = Joins::default();
    assert!(!admitted(&mut joins, &packets(1, "10.0.0.5:40000", 0)));
    assert!(joins.met.entries.is_empty() && joins.told.entries.is_empty());
}
