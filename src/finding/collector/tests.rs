use super::super::{MASK, PACKETS, PacketRef};
use super::*;
use crate::rules::{Lane, Status};

pub(in crate::finding) struct TwoFiles;

impl PacketNames for TwoFiles {
    fn name(&self, packet: u64) -> Option<PacketRef> {
        let (file, number) =
            if packet < 100 { ("a.pcap", packet + 1) } else { ("b.pcap", packet - 99) };
        Some(PacketRef { file: file.into(), number })
    }
}

fn rule(id: &str) -> Arc<RuleInfo> {
    Arc::new(RuleInfo {
        id: id.to_owned(),
        rev: 1,
        title: "Unapproved server".to_owned(),
        status: Status::Stable,
        lane: Lane::Alert,
        severity: Severity::Medium,
        confidence: 90,
        why: "why".to_owned(),
        todo: vec!["do".to_owned()],
        refs: Vec::new(),
    })
}

pub(in crate::finding) fn draft(packet: u64, seconds: i64) -> Draft {
    let client = Endpoint::new("10.0.0.1".parse().unwrap(), 40_000);
    let server = Endpoint::new("192.0.2.1".parse().unwrap(), 8000);
    Draft {
        group: 0,
        window: Duration::ZERO,
        rule: rule("SMCP-1001"),
        severity: Severity::Medium,
        server_key: "http://192.0.2.1:8000/mcp".to_owned(),
        server,
        client: client.ip,
        provenance: None,
        evidence: Evidence::Parsed,
        verdict: Verdict::Unapproved,
        approval: None,
        reason: "no approval covers this server".to_owned(),
        software: vec!["client agent 0.9".to_owned()],
        at: At { packet, time: Timestamp::from_parts(seconds, 0) },
        flow: FlowTuple { client, server, protocol: 6 },
        scope: Scope(0),
        text: "text".to_owned(),
        excerpt: vec![("method".to_owned(), "tools/call".to_owned())],
        matched: Vec::new(),
        told_apart: Vec::new(),
        visibility: Visibility::Body,
        rests_on: Vec::new(),
        per_server: false,
    }
}

#[test]
fn ten_thousand_repeats_are_one_finding() {
    let mut findings = Findings::default();
    assert_eq!(findings.record(draft(0, 0)), Recorded::New);
    for n in 1..10_000_u64 {
        assert_eq!(findings.record(draft(n, (n % 3600) as i64)), Recorded::Repeated);
    }
    let findings = findings.finish(&TwoFiles);
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!(finding.count, 10_000);
    assert_eq!(finding.packets.len(), 16);
    assert_eq!(finding.packets[0], PacketRef { file: "a.pcap".into(), number: 1 });
    assert_eq!(finding.flows.len(), 1);
    assert_eq!(finding.last_seen, Timestamp::from_parts(3599, 0));
}

#[test]
fn the_window_ends_an_hour_after_the_first_hit() {
    let mut findings = Findings::default();
    for (packet, seconds, want) in [
        (0, 0, Recorded::New),
        (1, 3599, Recorded::Repeated),
        (2, 3600, Recorded::New),
        (3, 7199, Recorded::Repeated),
        (4, 100, Recorded::Repeated), // the clock stepped back
        (5, 7200, Recorded::New),
    ] {
        assert_eq!(findings.record(draft(packet, seconds)), want, "{seconds}");
    }
    let findings = findings.finish(&TwoFiles);
    let counts: Vec<u64> = findings.iter().map(|finding| finding.count).collect();
    assert_eq!(counts, [2, 3, 1]);
    let ids: std::collections::BTreeSet<&str> = findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn rule_server_and_client_make_a_finding() {
    let mut findings = Findings::default();
    findings.record(draft(0, 0));
    findings.record(Draft { rule: rule("SMCP-1002"), ..draft(0, 0) });
    findings.record(Draft { server_key: "http://other/".to_owned(), ..draft(0, 0) });
    findings.record(Draft { client: "10.0.0.2".parse().unwrap(), ..draft(0, 0) });
    findings.record(Draft { text: "other text".to_owned(), ..draft(0, 0) });
    assert_eq!(findings.len(), 4);
}

#[test]
fn ids_are_stable_over_runs_and_bound_to_their_parts() {
    let id_of = |draft: Draft| {
        let mut findings = Findings::default();
        findings.record(draft);
        findings.finish(&TwoFiles).remove(0).id
    };
    let id = id_of(draft(0, 0));
    assert_eq!(id, "6971ca2bf138cd78b4a525f0d59ecd5b");
    assert_eq!(id, id_of(draft(7, 0)));
    assert_ne!(id, id_of(draft(0, 1)));
}

#[test]
fn better_hits_raise_severity_evidence_and_text() {
    let mut findings = Findings::default();
    findings.record(Draft {
        evidence: Evidence::Header,
        verdict: Verdict::Undetermined,
        ..draft(0, 0)
    });
    findings.record(Draft {
        severity: Severity::High,
        text: "worse".to_owned(),
        verdict: Verdict::Approved,
        ..draft(1, 1)
    });
    findings.record(Draft { severity: Severity::Low, text: "less".to_owned(), ..draft(2, 2) });
    let finding = findings.finish(&TwoFiles).remove(0);
    assert_eq!(finding.severity, Severity::High);
    assert_eq!(finding.text, "worse");
    assert_eq!(finding.evidence, Evidence::Parsed);
    assert_eq!(finding.verdict, Verdict::Unapproved);
}

#[test]
fn at_the_bound_new_findings_are_dropped_and_old_ones_still_count() {
    let mut findings = Findings::new(Limits { max_findings: 1, ..Limits::default() });
    findings.record(draft(0, 0));
    let other = Draft { rule: rule("SMCP-1002"), ..draft(1, 1) };
    assert_eq!(findings.record(other), Recorded::Dropped);
    assert_eq!(findings.record(draft(2, 2)), Recorded::Repeated);
    assert_eq!(findings.dropped(), 1);
}

#[test]
fn flows_are_distinct_and_bounded() {
    let mut findings = Findings::default();
    for n in 0..20_u16 {
        let mut hit = draft(u64::from(n), 0);
        hit.flow.client.port = 40_000 + n / 2;
        findings.record(hit);
    }
    let finding = findings.finish(&TwoFiles).remove(0);
    let ports: Vec<u16> = finding.flows.iter().map(|flow| flow.client.port).collect();
    assert_eq!(ports, [40_000, 40_001, 40_002, 40_003, 40_004, 40_005, 40_006, 40_007]);
}

#[test]
fn text_and_excerpts_are_masked_and_bounded() {
    let planted = ["hun", "ter2"].concat();
    let mut hit = draft(0, 0);
    hit.text = format!("called with password={planted}");
    hit.excerpt = (0..20).map(|n| (format!("f{n}"), format!("token: {planted}"))).collect();
    hit.excerpt[1] = ("api_key".to_owned(), planted.clone());
    let mut findings = Findings::default();
    findings.record(hit);
    let finding = findings.finish(&TwoFiles).remove(0);
    assert_eq!(finding.text, "called with password=<masked>");
    assert_eq!(finding.excerpt.len(), 16);
    assert_eq!(finding.excerpt[1].1, MASK);
    assert!(!format!("{finding:?}").contains(&planted));
}

#[test]
fn order_is_by_first_packet_rule_server_client() {
    let mut findings = Findings::default();
    findings.record(draft(9, 9));
    findings.record(Draft { rule: rule("SMCP-2"), ..draft(3, 3) });
    findings.record(Draft { rule: rule("SMCP-1"), ..draft(3, 3) });
    findings.record(Draft {
        rule: rule("SMCP-1"),
        client: "10.0.0.0".parse().unwrap(),
        ..draft(3, 3)
    });
    let order: Vec<(String, String)> = findings
        .finish(&TwoFiles)
        .iter()
        .map(|f| (f.rule.id.clone(), f.client.to_string()))
        .collect();
    let want = [
        ("SMCP-1", "10.0.0.0"),
        ("SMCP-1", "10.0.0.1"),
        ("SMCP-2", "10.0.0.1"),
        ("SMCP-1001", "10.0.0.1"),
    ];
    assert_eq!(order, want.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn what_is_learnt_later_makes_a_finding_worse_and_is_not_counted() {
    let mut findings = Findings::default();
    let mut learn = |packet: u64, severity: Severity, evidence: Evidence| {
        let draft = Draft { severity, evidence, ..draft(packet, 0) };
        let hit = Hit {
            rule: "SMCP-1001",
            group: 0,
            severity,
            server_key: &draft.server_key,
            client: draft.client,
            evidence,
            verdict: draft.verdict,
            at: draft.at,
            flow: draft.flow,
            per_server: false,
            provenance: None,
        };
        findings.revise(&hit, || draft.clone());
        let open = &findings.open[0];
        (open.finding.count, open.finding.severity, open.finding.evidence, open.packets.len())
    };
    assert_eq!(learn(0, Severity::Low, Evidence::Parsed), (1, Severity::Low, Evidence::Parsed, 1));
    // Nothing new.
    assert_eq!(learn(1, Severity::Low, Evidence::Parsed), (1, Severity::Low, Evidence::Parsed, 1));
    assert_eq!(
        learn(2, Severity::High, Evidence::Parsed),
        (1, Severity::High, Evidence::Parsed, 2)
    );
    let best = (1, Severity::High, Evidence::Confirmed, 3);
    assert_eq!(learn(3, Severity::Low, Evidence::Confirmed), best);
    findings.record(draft(4, 1));
    assert_eq!(findings.finish(&TwoFiles)[0].count, 2);
}

#[test]
fn repeats_that_only_count_are_one_finding_with_their_number() {
    let mut findings = Findings::default();
    let first = draft(0, 0);
    findings.record(first.clone());
    let hit = |packet: u64| Hit {
        rule: &first.rule.id,
        severity: first.severity,
        server_key: &first.server_key,
        client: first.client,
        evidence: first.evidence,
        verdict: first.verdict,
        at: At { packet, time: Timestamp::from_parts(3_599, 0) },
        per_server: false,
        provenance: None,
        flow: first.flow,
        group: first.group,
    };
    assert!((1..10_000).all(|packet| findings.repeat(&hit(packet))));
    let findings = findings.finish(&TwoFiles);
    assert_eq!((findings.len(), findings[0].count), (1, 10_000));
    assert_eq!(findings[0].packets.len(), Limits::default().max_packets);
}

#[test]
fn a_verdict_that_changes_brings_its_approval_and_reason() {
    let mut findings = Findings::default();
    let first = Draft { verdict: Verdict::ToolNotAllowed, ..draft(0, 0) };
    findings.record(Draft { approval: Some("a".to_owned()), ..first.clone() });
    let bypass = Draft {
        verdict: Verdict::PortalBypass,
        approval: Some("b".to_owned()),
        reason: "around the portal, password=hunter2secret".to_owned(),
        ..first.clone()
    };
    let hit = |draft: &Draft| {
        let Draft { rule, severity, server_key, client, evidence, verdict, .. } = draft.clone();
        let (rule, key) = (rule.id.clone(), server_key);
        (rule, key, severity, client, evidence, verdict)
    };
    let (rule, key, severity, client, evidence, verdict) = hit(&bypass);
    let hit = Hit {
        rule: &rule,
        severity,
        server_key: &key,
        client,
        evidence,
        verdict,
        at: bypass.at,
        flow: bypass.flow,
        group: 0,
        per_server: false,
        provenance: None,
    };
    assert!(!findings.repeat(&hit), "more than a number changes");
    findings.record(bypass);
    // A better verdict on the same evidence changes nothing.
    findings.record(Draft { verdict: Verdict::Approved, ..first });
    let findings = findings.finish(&TwoFiles);
    assert_eq!(findings[0].verdict, Verdict::PortalBypass);
    assert_eq!(findings[0].approval.as_deref(), Some("b"));
    assert!(findings[0].reason.starts_with("around the portal"));
    assert!(!findings[0].reason.contains("hunter2"));
    assert_eq!(findings[0].count, 3);
}

#[test]
fn software_user_and_matched_texts_are_filled_in_masked_and_bounded() {
    let mut findings = Findings::default();
    let text =
        |text: &str| Matched { field: "args.text".to_owned(), view: "raw", text: text.to_owned() };
    findings.record(Draft { matched: vec![text("low")], ..draft(0, 0) });
    findings.record(Draft {
        provenance: Some(Provenance { user: Some("ada".into()), ..Provenance::default() }),
        software: vec!["client agent 0.9".to_owned(), "server tracker 1.2".to_owned()],
        severity: Severity::High,
        matched: vec![text("Bearer abcdefghijklmnop123"); 20],
        ..draft(1, 1)
    });
    let finding = findings.finish(&TwoFiles).remove(0);
    assert_eq!(finding.user.as_deref(), Some("ada"));
    assert_eq!(finding.sources.iter().map(|s| &**s).collect::<Vec<_>>(), [PACKETS, ""]);
    assert_eq!(finding.software, ["client agent 0.9", "server tracker 1.2"]);
    assert_eq!(finding.matched.len(), Limits::default().max_matched);
    assert_eq!(finding.matched[0].text, format!("Bearer {MASK}"));
    let secret = Matched { field: "args.value.password".to_owned(), ..text("plain") };
    let mut findings = Findings::default();
    findings.record(Draft { matched: vec![secret], ..draft(0, 0) });
    assert_eq!(findings.finish(&TwoFiles)[0].matched[0].text, MASK);
}

#[test]
fn a_finding_about_a_server_counts_all_its_clients() {
    let mut findings = Findings::default();
    for last in 1..=200 {
        let client = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, last));
        let hit = Draft { client, per_server: true, ..draft(u64::from(last), 0) };
        findings.record(hit);
    }
    assert_eq!(findings.len(), 1);
    let found = &findings.finish(&TwoFiles)[0];
    assert_eq!((found.count, found.client.to_string().as_str()), (200, "10.0.0.1"));
}

/// A line of a log that tells of the flow of the drafts.
fn told_by_squid(findings: &mut Findings, flow: FlowTuple, line: u64) {
    let provenance = Provenance {
        source: "squid".into(),
        user: Some("ada".into()),
        groups: vec!["staff".into()],
        ..Provenance::default()
    };
    let at = At::of_line(0, line, Timestamp::EPOCH);
    findings.corroborate(flow, at, &provenance);
}

#[test]
fn another_source_of_the_same_flow_stands_beside_the_first_and_counts_nothing() {
    let mut findings = Findings::default();
    let first = draft(0, 0);
    let flow = first.flow;
    let other = FlowTuple { protocol: 17, ..flow };
    findings.record(first);
    told_by_squid(&mut findings, other, 1);
    told_by_squid(&mut findings, flow, 2);
    // Flows that come later are found too.
    findings.record(Draft { rule: rule("SMCP-2"), flow: other, ..draft(1, 0) });
    told_by_squid(&mut findings, other, 3);
    let findings = findings.finish(&TwoFiles);
    for finding in &findings {
        assert_eq!((finding.count, finding.user.as_deref()), (1, Some("ada")));
        assert_eq!(finding.sources.iter().map(|s| &**s).collect::<Vec<_>>(), [PACKETS, "squid"]);
        assert_eq!(finding.groups, ["staff"]);
    }
    assert_eq!(findings.len(), 2);
}

#[test]
fn flows_lead_to_their_findings_also_after_others_have_closed() {
    let mut findings = Findings::live(Limits::default());
    let flow = |port: u16| {
        let draft = draft(0, 0);
        FlowTuple { client: Endpoint { port, ..draft.flow.client }, ..draft.flow }
    };
    told_by_squid(&mut findings, flow(1), 1);
    for port in 1..=6 {
        let at = if port % 2 == 0 { 0 } else { 3_600 };
        let server_key = format!("http://server-{port}/mcp");
        findings.record(Draft { server_key, flow: flow(port), ..draft(u64::from(port), at) });
    }
    findings.close(Timestamp::from_parts(3_700, 0), &TwoFiles, &mut |_, _| {});
    assert_eq!(findings.len(), 3);
    for port in 1..=6 {
        told_by_squid(&mut findings, flow(port), u64::from(port));
    }
    let by_flow = findings.by_flow.clone().unwrap();
    assert_eq!(by_flow.len(), 3);
    findings.close_all(&TwoFiles, &mut |finding, _| {
        assert_eq!(finding.sources.len(), 2, "{}", finding.server_key);
    });
    assert!(findings.by_flow.unwrap().is_empty());
}
