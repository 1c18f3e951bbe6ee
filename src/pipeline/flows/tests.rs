use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::exchange::Carrier;
use crate::finding;
use crate::flow::{At, Finish};
use crate::mcp::inventory::Limits;
use crate::mcp::samples::Stage;
use crate::observation::{Event, Observation};
use crate::pipeline::analysis::{Listener, Told};
use crate::pipeline::tests::policy;
use crate::pipeline::{Analysis, Names, events};
use crate::sinks::event;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;

fn end(text: &str) -> Endpoint {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

fn at(millis: i64) -> At {
    At { packet: 9, time: Timestamp::from_nanos(millis * 1_000_000) }
}

/// The end of a flow that opened at 0.
fn over(flow: u64, millis: i64, application: Application) -> Observation {
    let end_of_it = FlowEnd {
        application: Some(application),
        opened: at(0).time,
        last: at(millis).time,
        packets: [5, 4],
        bytes: [300, 200],
        gaps: 0,
        gap_bytes: 0,
        midstream: false,
        finish: Finish::Fin,
    };
    let event = Event::Flow {
        client: end("10.0.0.1:40000"),
        server: end("10.0.0.2:80"),
        scope: Scope::default(),
        end: Box::new(end_of_it),
    };
    Observation { flow, at: at(millis), event }
}

fn hello(flow: u64, sni: &str, carrier: Carrier) -> Observation {
    let (sni, alpn) = (Some(sni.to_owned()), vec!["h2".to_owned()]);
    let hello = TlsHello { carrier, sni, alpn, ja4: "t13d".to_owned(), ..TlsHello::default() };
    let event = Event::Tls {
        client: end("10.0.0.1:40000"),
        server: end("10.0.0.2:443"),
        scope: Scope::default(),
        tunnel: None,
        hello: Some(Arc::new(hello)),
        answer: None,
        provenance: None,
    };
    Observation { flow, at: at(0), event }
}

/// A call and its result, by the flow of that letter.
fn call(flow: char, path: &str) -> Vec<Observation> {
    let talk =
        format!("{flow}> POST {path}\n{flow}> {LIST}\n{flow}< 200\n{flow}< {TOOLS}\n{flow}.");
    Stage::default().play(&talk)
}

/// JSON-RPC of something else.
fn other_call(flow: char, path: &str) -> Vec<Observation> {
    let (asks, answers) =
        (r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#, r#"{"jsonrpc":"2.0","id":1,"result":7}"#);
    let talk =
        format!("{flow}> POST {path}\n{flow}> {asks}\n{flow}< 200\n{flow}< {answers}\n{flow}.");
    Stage::default().play(&talk)
}

/// What is told of each step, and at the end.
fn told(steps: Vec<Vec<Observation>>) -> Vec<Vec<Value>> {
    let policy = policy(&[], "");
    let mut analysis = Analysis::new(&policy, Limits::default(), finding::Limits::default());
    let (mut all, mut last) = (Vec::new(), at(0));
    for step in steps.into_iter().map(Some).chain([None]) {
        let mut told = Vec::new();
        let mut each = |what: Told<'_>| {
            if let Told::Flow(whole) = what {
                let event = events::flow(&policy, whole, &Names::default());
                told.push(serde_json::to_value(event::Event::Flow(&event)).unwrap());
            }
        };
        let mut tell = Some(Listener { messages: true, each: &mut each });
        match step {
            Some(step) => {
                for observation in step {
                    last = last.max(observation.at);
                    analysis.observe_telling(observation, &mut tell);
                }
            }
            None => analysis.finish_telling(last, &mut tell),
        }
        all.push(told);
    }
    all
}

/// How many flows are told at each step, and at the end.
fn counts(steps: Vec<Vec<Observation>>) -> Vec<usize> {
    told(steps).iter().map(Vec::len).collect()
}

const A: u64 = 'a' as u64;
const B: u64 = 'b' as u64;

/// Any observation, at a later time.
fn later(millis: i64) -> Vec<Observation> {
    vec![over(0, millis, Application::Http1)]
}

#[test]
fn a_flow_that_carried_mcp_is_told_when_it_is_over() {
    let told = told(vec![call('a', "/mcp"), vec![over(A, 70, Application::Http1)]]);
    let want = json!({
        "event_type": "flow",
        "@timestamp": "1970-01-01T00:00:00.000000Z",
        "event": {"start": "1970-01-01T00:00:00.000000Z", "end": "1970-01-01T00:00:00.070000Z"},
        "network": {
            "transport": "tcp",
            "community_id": "1:3k1SoWXs/FltHw2aBCgUTgbDQF4=",
            "application": "http1",
        },
        "source": {"ip": "10.0.0.1", "port": 40_000, "bytes": 300, "packets": 5},
        "destination": {"ip": "10.0.0.2", "port": 80, "bytes": 200, "packets": 4},
        "server": {"key": "http://10.0.0.2:80/mcp", "address": "10.0.0.2"},
        "verdict": "unapproved",
        "evidence": "confirmed",
        "midstream": false,
        "finish": "fin",
    });
    assert_eq!(told, [vec![], vec![want], vec![]]);
}

#[test]
fn a_flow_of_a_hint_is_told_once_its_handshake_is_judged() {
    for (carrier, application, transport) in
        [(Carrier::Tcp, Application::Tls, "tcp"), (Carrier::Quic, Application::Quic, "udp")]
    {
        let greets = || vec![hello(7, "mcp.asana.com", carrier)];
        // Over before the handshake is judged, after it, and never judged before the end.
        let early = told(vec![greets(), vec![over(7, 500, application)], later(2_500)]);
        let late = told(vec![greets(), later(2_500), vec![over(7, 9_000, application)]]);
        let last = told(vec![greets(), vec![over(7, 500, application)]]);
        assert_eq!(early.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 1, 0]);
        assert_eq!(late.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 1, 0]);
        assert_eq!(last.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0, 1]);
        let event = &early[2][0];
        assert_eq!(event["network"]["transport"], transport);
        assert_eq!(event["tls"], json!({"sni": "mcp.asana.com", "alpn": ["h2"], "ja4": "t13d"}));
        assert_eq!(event["server"]["key"], "https://mcp.asana.com:443");
        assert_eq!(
            (&event["verdict"], &event["evidence"]),
            (&json!("undetermined"), &json!("hint"))
        );
    }
}

#[test]
fn flows_of_no_interest_are_not_told() {
    let greets = vec![hello(7, "www.example.com", Carrier::Tcp)];
    let early = vec![greets.clone(), vec![over(7, 500, Application::Tls)], later(60_000)];
    assert_eq!(counts(early), [0; 4]);
    let late = vec![greets, later(2_500), vec![over(7, 9_000, Application::Tls)], later(60_000)];
    assert_eq!(counts(late), [0; 5]);
    let other = vec![other_call('a', "/rpc"), vec![over(A, 70, Application::Http1)]];
    assert_eq!(counts(other), [0; 3]);
    // A flow of which nothing else is known.
    assert_eq!(counts(vec![later(10), later(60_000)]), [0; 3]);
}

#[test]
fn a_server_may_prove_itself_after_the_flow() {
    let ends = |flow| vec![over(flow, 70, Application::Http1)];
    let steps = vec![other_call('a', "/rpc"), ends(A), call('b', "/rpc"), ends(B)];
    let mut in_time = steps.clone();
    in_time.extend([later(29_000), later(31_000)]);
    assert_eq!(counts(in_time), [0, 0, 0, 1, 0, 1, 0]);
    assert_eq!(counts(steps), [0, 0, 0, 1, 1]);
    let too_late =
        vec![other_call('a', "/rpc"), ends(A), later(31_000), call('b', "/rpc"), later(90_000)];
    assert_eq!(counts(too_late), [0; 6]);
}

#[test]
fn a_flow_belongs_to_the_first_of_its_servers_that_speaks_mcp() {
    let mut steps: Vec<_> = (0..6).map(|n| other_call('a', &format!("/{n}"))).collect();
    steps.push(call('a', "/mcp"));
    steps.push(call('a', "/second"));
    steps.push(vec![over(A, 70, Application::Http1)]);
    let told = told(steps);
    assert_eq!(told[8][0]["server"]["key"], "http://10.0.0.2:80/mcp");
}

#[test]
fn a_decrypted_flow_keeps_its_hello() {
    let mut steps = vec![vec![hello(A, "files.corp.test", Carrier::Tcp)]];
    steps.push(call('a', "/mcp"));
    steps.push(vec![over(A, 70, Application::Http2)]);
    let told = told(steps);
    assert_eq!(told[2][0]["tls"]["sni"], "files.corp.test");
    assert_eq!(told[2][0]["network"]["application"], "http2");
}

#[test]
fn names_that_hold_secrets_are_masked() {
    let path = "/mcp/sk-FAKEFAKEFAKEFAKEFAKEFAKE00";
    let told = told(vec![call('a', path), vec![over(A, 70, Application::Http1)]]);
    assert_eq!(told[1][0]["server"]["key"], "http://10.0.0.2:80/mcp/<masked>");
}

#[test]
fn nothing_is_kept_when_nobody_listens() {
    let policy = policy(&[], "");
    let mut analysis = Analysis::new(&policy, Limits::default(), finding::Limits::default());
    for observation in call('a', "/mcp").into_iter().chain([over(A, 70, Application::Http1)]) {
        analysis.observe(observation);
    }
    let flows = &analysis.into_known().flows;
    assert!(flows.leads.is_empty() && flows.undecided.is_empty());
}

#[test]
fn open_and_undecided_flows_are_bounded() {
    let mut flows = Flows::default();
    let hello = Arc::new(TlsHello::default());
    for flow in 0..=MAX_LEADS as u64 {
        flows.greeted(flow, Some(&hello));
    }
    assert_eq!((flows.leads.len(), flows.leads.first_key_value().unwrap().0), (MAX_LEADS, &1));
    for flow in 0..=MAX_UNDECIDED as u64 {
        let Event::Flow { client, server, scope, end } = over(flow, 0, Application::Http1).event
        else {
            unreachable!()
        };
        flows.wait(Ended { flow, client, server, scope, end }, at(0).time);
    }
    assert_eq!(flows.next(at(0).time, false).map(|ended| ended.flow), Some(0));
    assert!(flows.next(at(0).time, false).is_none());
}
