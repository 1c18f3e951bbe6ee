use std::sync::Arc;

use super::*;
use crate::exchange::{Carrier, DnsAddress};
use crate::finding;
use crate::mcp::Evidence;
use crate::mcp::inventory;
use crate::mcp::samples::Stage;
use crate::observation::{Event, Observation};
use crate::pipeline::Analysis;
use crate::rules::catalog::Catalog;
use crate::rules::{self, Lane, builtin};
use crate::verdict::{Approvals, Verdict};

const APPROVALS: &str = "schema: shadowtap/approvals@1
servers:
  - {name: notion, key: https://mcp.notion.com/mcp, owner: o, expires: 2030-01-01}
  - {name: tracker, key: https://tracker.test/mcp, owner: o, expires: 2030-01-01}
";

fn policy(approvals: &str) -> Policy {
    let (rules, _) = rules::compile(&builtin(), &rules::Limits::default())
        .unwrap_or_else(|report| panic!("{report}"));
    let approvals =
        Approvals::parse(approvals, "approvals").unwrap_or_else(|problems| panic!("{problems:?}"));
    Policy { rules, approvals, catalog: Catalog::builtin(), lane: Lane::Hunt }
}

fn end(text: &str) -> Endpoint {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

/// `millis` after the epoch of 2026-11-16T08:00:00Z.
fn at(millis: i64) -> At {
    let time = Timestamp::from_nanos((1_794_816_000_000 + millis) * 1_000_000);
    At { packet: u64::try_from(millis).unwrap(), time }
}

/// A ClientHello to `203.0.113.7:443`.
fn hello(flow: u64, millis: i64, client: &str, hello: TlsHello) -> Observation {
    let event = Event::Tls {
        client: end(client),
        server: end("203.0.113.7:443"),
        scope: Scope::default(),
        tunnel: None,
        hello: Some(Arc::new(hello)),
        answer: None,
        provenance: None,
    };
    Observation { flow, at: at(millis), event }
}

fn named(sni: &str) -> TlsHello {
    TlsHello { sni: Some(sni.to_owned()), versions: vec![0x0304], ..TlsHello::default() }
}

fn tunnelled(mut observation: Observation, authority: &str) -> Observation {
    if let Event::Tls { server, tunnel, .. } = &mut observation.event {
        *server = end("10.0.0.8:3128");
        *tunnel = Some(authority.to_owned());
    }
    observation
}

fn answered(name: &str, address: &str, millis: i64) -> Observation {
    let addresses =
        vec![DnsAddress { name: name.into(), address: address.parse().unwrap(), ttl: 60 }];
    let questions = vec![(name.to_owned(), 1)];
    let message = DnsMessage { response: true, questions, addresses, ..DnsMessage::default() };
    let (client, server) = (end("10.0.0.1:5353"), end("10.0.0.53:53"));
    Observation {
        flow: 0,
        at: at(millis),
        event: Event::Dns { client, server, message, provenance: None },
    }
}

/// Rule, key, client and count of each finding, and the inventory.
type Found = (Vec<(String, String, String, u64)>, inventory::Inventory);

fn run(policy: &Policy, observations: Vec<Observation>) -> Found {
    let mut analysis =
        Analysis::new(policy, inventory::Limits::default(), finding::Limits::default());
    let last = observations.last().map_or_else(|| at(0), |last| last.at);
    for observation in observations {
        analysis.observe(observation);
    }
    analysis.finish(last);
    let (inventory, findings, _) = analysis.into_parts();
    let found = findings.finish(&crate::pipeline::Names::default());
    for finding in &found {
        assert!(finding.evidence > Evidence::Hint || finding.text.contains("Hint only"));
    }
    let found = found
        .into_iter()
        .map(|f| (f.rule.id.clone(), f.server_key, f.client.to_string(), f.count))
        .collect();
    (found, inventory)
}

fn one(id: &str, key: &str, client: &str, count: u64) -> (String, String, String, u64) {
    (id.to_owned(), key.to_owned(), client.to_owned(), count)
}

const ASANA: &str = "https://mcp.asana.com:443";

#[test]
fn thousands_of_flows_are_one_finding_and_one_record() {
    let policy = policy(APPROVALS);
    let flow = |n: u16| {
        let client = format!("10.0.0.1:{}", 10_000 + n);
        let ja4 = format!("t13d{n:04}");
        let hello_of = TlsHello { ja4, alpn: vec!["h2".into()], ..named("mcp.asana.com") };
        hello(u64::from(n), i64::from(n) * 10, &client, hello_of)
    };
    let (found, inventory) = run(&policy, (0..3_000).map(flow).collect());
    assert_eq!(found, [one("SMCP-2010", ASANA, "10.0.0.1", 3_000)]);
    let servers = inventory.servers();
    let [(_, server)] = servers.as_slice() else { panic!("{servers:?}") };
    assert_eq!((server.key.to_string().as_str(), server.evidence), (ASANA, Evidence::Hint));
    let seen = server.handshakes.as_deref().unwrap();
    assert_eq!((seen.flows, seen.ja4.len()), (3_000, 16));
    assert!(server.is_hint() && !server.is_mcp());
    let event = crate::pipeline::server_event(&policy, server);
    assert_eq!((event.mcp, event.verdict), (false, Verdict::Undetermined));
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(json["visibility"], "tls");
    assert_eq!(json["tls"]["sni"], serde_json::json!(["mcp.asana.com"]));
    assert_eq!(json["tls"]["versions"], serde_json::json!(["1.3"]));
    assert_eq!(json["tls"]["carriers"], serde_json::json!(["tcp"]));
}

#[test]
fn ordinary_hosts_leave_nothing_behind() {
    let policy = policy(APPROVALS);
    let hosts = ["www.example.com", "api.openai.com", "mcpherson.test", "x.mcp"];
    let flows = hosts.iter().zip(0..).map(|(host, n)| hello(n, 0, "10.0.0.1:1", named(host)));
    let (found, inventory) = run(&policy, flows.collect());
    assert_eq!(found, []);
    assert!(inventory.servers().is_empty());
}

#[test]
fn approved_hosts_are_known_and_quiet() {
    let policy = policy(APPROVALS);
    let flows = ["mcp.notion.com", "tracker.test"].iter().zip(0..);
    let flows = flows.map(|(host, n)| hello(n, 0, "10.0.0.1:1", named(host)));
    let mut flows: Vec<_> = flows.collect();
    flows.push(answered("mcp.notion.com", "203.0.113.7", 1));
    let (found, inventory) = run(&policy, flows);
    assert_eq!(found, []);
    let servers = inventory.servers();
    assert_eq!(servers.len(), 2);
    for (_, server) in servers {
        let event = crate::pipeline::server_event(&policy, server);
        assert_eq!((event.mcp, event.verdict), (false, Verdict::Approved));
        assert!(event.reason.contains("path cannot be seen") && event.approval.is_some());
    }
}

#[test]
fn handshake_and_answer_are_one_subject_in_either_order() {
    let policy = policy(APPROVALS);
    let mut answer = hello(1, 5, "10.0.0.1:1", TlsHello::default());
    if let Event::Tls { hello, answer, .. } = &mut answer.event {
        let names = vec!["mcp.corp.test".to_owned()];
        *hello = None;
        *answer = Some(Arc::new(TlsAnswer { version: 0x0303, names, ..TlsAnswer::default() }));
    }
    let first = hello(1, 0, "10.0.0.1:1", named("mcp.corp.test"));
    for steps in [vec![first.clone(), answer.clone()], vec![answer, first]] {
        let (found, inventory) = run(&policy, steps);
        assert_eq!(found, [one("SMCP-2011", "https://mcp.corp.test:443", "10.0.0.1", 1)]);
        let (_, server) = inventory.servers()[0];
        let seen = server.handshakes.as_deref().unwrap();
        assert_eq!(seen.certificate_names.len(), 1);
        assert_eq!(seen.versions.iter().collect::<Vec<_>>(), [&0x0303]);
    }
}

#[test]
fn a_flow_that_is_read_is_judged_by_what_it_says() {
    let policy = policy(APPROVALS);
    let mut stage = Stage::default();
    let talk = stage.play(
        "a> POST /mcp | host: mcp.asana.com:443\n\
         a> {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n\
         a< 200 | content-type: application/json\n\
         a< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[]}}\na.\n",
    );
    let flow = talk[0].flow;
    let mut observations = vec![hello(flow, 0, "10.0.0.1:40000", named("mcp.asana.com"))];
    // Another flow of the same client is not read.
    observations.push(hello(999, 1, "10.0.0.1:40001", named("mcp.asana.com")));
    for (mut seen, millis) in talk.into_iter().zip(2..) {
        seen.at = at(millis);
        if let Event::Message { request, .. }
        | Event::Answered { request, .. }
        | Event::Ended { request, .. } = &mut seen.event
        {
            let mut inside = (**request).clone();
            inside.scheme = Scheme::Https;
            *request = Arc::new(inside);
        }
        observations.push(seen);
    }
    let (found, inventory) = run(&policy, observations.clone());
    let count = |id: &str| found.iter().find(|f| f.0 == id).map(|f| f.3);
    assert_eq!((count("SMCP-3001"), count("SMCP-2010")), (Some(1), Some(1)), "{found:?}");
    let proven: Vec<_> = inventory.servers().into_iter().filter(|(_, s)| s.is_mcp()).collect();
    assert_eq!(proven.len(), 1);
    assert_eq!(proven[0].1.handshakes.as_deref().unwrap().flows, 1);
    observations.remove(1);
    let (found, _) = run(&policy, observations);
    assert!(found.iter().any(|f| f.0 == "SMCP-3001") && found.iter().all(|f| f.0 != "SMCP-2010"));
}

#[test]
fn the_proxys_leg_of_a_tunnel_is_nobodys_flow() {
    let policy = policy(APPROVALS);
    let relayed = || TlsHello { random: [7; 32], ..named("mcp.asana.com") };
    let front = |ms| tunnelled(hello(1, ms, "10.0.0.1:40000", relayed()), "mcp.asana.com:443");
    let back = |ms| hello(2, ms, "10.0.0.8:50000", relayed());
    for steps in [vec![front(0), back(5)], vec![back(0), front(5)], vec![front(0), back(59_000)]] {
        let (found, inventory) = run(&policy, steps);
        assert_eq!(found, [one("SMCP-2010", ASANA, "10.0.0.1", 1)]);
        let (_, server) = inventory.servers()[0];
        assert_eq!(server.clients.len(), 1);
        assert!(server.via_proxy);
        let proxies: Vec<_> = server.proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.8"]);
    }
    // Another random, or too late: a client of its own.
    let other = hello(2, 5, "10.0.0.8:50000", TlsHello { random: [8; 32], ..relayed() });
    for steps in [vec![front(0), other], vec![front(0), back(60_001)]] {
        let (found, _) = run(&policy, steps);
        let want = ["10.0.0.1", "10.0.0.8"].map(|client| one("SMCP-2010", ASANA, client, 1));
        assert_eq!(found, want);
    }
}

#[test]
fn names_by_dns_stand_in_for_missing_ones_and_never_in_keys() {
    let policy = policy(APPROVALS);
    let bare = hello(1, 10, "10.0.0.1:1", TlsHello::default());
    let steps = vec![answered("mcp.corp.test", "203.0.113.7", 0), bare];
    let (found, _) = run(&policy, steps);
    assert_eq!(found, [one("SMCP-2011", "https://mcp.corp.test:443", "10.0.0.1", 1)]);
    let mut stage = Stage::default();
    let talk = stage.play(
        "a> POST /mcp\na> {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\n\
         a< 200\na< {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[]}}\na.\n",
    );
    let shifted = talk.into_iter().zip(10..).map(|(seen, ms)| Observation { at: at(ms), ..seen });
    let mut steps = vec![answered("files.corp.test", "10.0.0.2", 0)];
    steps.extend(shifted);
    steps.push(answered("later.corp.test", "10.0.0.2", 90));
    let (_, inventory) = run(&policy, steps);
    let (_, server) = inventory.servers()[0];
    assert_eq!(server.key.to_string(), "http://10.0.0.2:80/mcp");
    let event = crate::pipeline::server_event(&policy, server);
    assert_eq!(event.server.names, ["files.corp.test", "later.corp.test"]);
}

#[test]
fn quic_counts_as_udp() {
    let policy = policy(APPROVALS);
    let quic = TlsHello { carrier: Carrier::Quic, ..named("mcp.asana.com") };
    let mut analysis =
        Analysis::new(&policy, inventory::Limits::default(), finding::Limits::default());
    analysis.observe(hello(1, 0, "10.0.0.1:1", quic));
    analysis.finish(at(0));
    let found = analysis.into_parts().1.finish(&crate::pipeline::Names::default());
    assert_eq!((found.len(), found[0].rule.id.as_str()), (1, "SMCP-2012"));
    assert_eq!(found[0].flows[0].protocol, 17);
}

#[test]
fn at_the_bound_the_oldest_handshake_is_judged_early() {
    let policy = policy(APPROVALS);
    let mut hints = Hints::default();
    let bound = u64::try_from(MAX_WAITING).unwrap();
    for flow in 0..=bound {
        let random = std::array::from_fn(|i| flow.to_le_bytes()[i % 8] | u8::from(i == 31));
        let hello = Some(Arc::new(TlsHello { random, ..named("a.test") }));
        let (client, server) = (end("10.0.0.1:1"), end("203.0.113.7:443"));
        let (tunnel, answer) = (None, None);
        hints.handshake(Handshake {
            flow,
            at: at(0),
            client,
            server,
            scope: Scope::default(),
            tunnel,
            hello,
            answer,
            provenance: None,
        });
    }
    assert!(hints.next(&policy, at(0).time, false).is_some());
    assert!(hints.next(&policy, at(0).time, false).is_none());
    assert!(hints.next(&policy, at(2_000).time, false).is_some());
    while hints.next(&policy, at(0).time, true).is_some() {}
    assert!(hints.waiting.is_empty() && hints.by_random.is_empty() && hints.turns.is_empty());
}

#[test]
fn authorities_are_split_at_the_port() {
    for (authority, want) in [
        ("a.test:443", ("a.test", Some(443))),
        ("a.test", ("a.test", None)),
        ("[2001:db8::1]:8443", ("2001:db8::1", Some(8443))),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("a.test:x", ("a.test", None)),
        ("", ("", None)),
    ] {
        assert_eq!(split_authority(authority), want, "{authority}");
    }
}
