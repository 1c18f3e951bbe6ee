use super::super::approvals::WarningKind;
use super::*;
use crate::exchange::Scheme;

const FILE: &str = "
schema: shadowtap/approvals@1
portals: [10.0.0.7, 2001:db8:7::/64]
proxies: [10.0.0.8]
servers:
  - name: tracker
    key: https://mcp.tracker.example/v1/mcp
    owner: team-itsm
    expires: 2027-03-01
    clients: [10.20.0.0/16, 2001:db8:20::/48]
    tools: {allow: ['get_*', 'search'], deny: ['get_secret*']}
  - name: via portal
    key: https://portal-only.example/mcp
    owner: team-b
    expires: 2027-03-01
    via: portal
  - name: pinned
    key: http://pinned.corp.example:8000/mcp
    owner: team-c
    expires: 2027-03-01
    addresses: [192.0.2.10]
  - name: zone
    key: https://**.zone.example
    owner: team-d
    expires: 2027-03-01
  - name: narrow
    key: https://old.zone.example/mcp
    owner: team-d
    expires: 2026-01-31
  - name: one label
    key: https://*.b.zone.example/mcp/**
    owner: team-e
    expires: 2027-03-01
    tools: {deny: ['*']}
";

/// 2026-11-22T08:00:00Z.
const NOW: Timestamp = Timestamp::from_parts(1_795_334_400, 0);

struct Case {
    key: &'static str,
    client: &'static str,
    server: &'static str,
    tools: &'static [&'static str],
    at: Timestamp,
    evidence: Evidence,
}

const CASE: Case = Case {
    key: "https://mcp.tracker.example:443/v1/mcp",
    client: "10.20.1.1",
    server: "192.0.2.1",
    tools: &["get_issue"],
    at: NOW,
    evidence: Evidence::Parsed,
};

fn judge(case: &Case) -> (Verdict, Option<String>, String) {
    let approvals = Approvals::parse(FILE, "approvals.yaml").unwrap();
    let (scheme, rest) = case.key.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let (host, port) = authority.rsplit_once(':').unwrap();
    let path = format!("/{path}");
    let judgement = approvals.judge(Use {
        key: KeyParts {
            scheme: if scheme == "https" { Scheme::Https } else { Scheme::Http },
            host,
            port: port.parse().unwrap(),
            path: &path,
        },
        server: case.server.parse().unwrap(),
        client: case.client.parse().unwrap(),
        tools: case.tools.iter().copied(),
        at: case.at,
        evidence: case.evidence,
    });
    (judgement.verdict, judgement.approval.map(|a| a.name.clone()), judgement.reason)
}

#[test]
fn verdicts_by_table() {
    use Verdict::*;
    let late = Timestamp::from_parts(1_804_032_000, 0); // 2027-03-03
    let table = [
        (Case { ..CASE }, Approved, Some("tracker")),
        (
            Case { key: "https://MCP.tracker.example.:443/v1/mcp", ..CASE },
            Approved,
            Some("tracker"),
        ),
        (Case { client: "2001:db8:20::9", ..CASE }, Approved, Some("tracker")),
        (Case { evidence: Evidence::Header, ..CASE }, Undetermined, Some("tracker")),
        (Case { evidence: Evidence::Hint, key: "http://x.example:1/", ..CASE }, Undetermined, None),
        (Case { key: "https://mcp.tracker.example:443/v2/mcp", ..CASE }, Unapproved, None),
        (Case { key: "https://mcp.tracker.example:8443/v1/mcp", ..CASE }, Unapproved, None),
        (Case { key: "http://mcp.tracker.example:443/v1/mcp", ..CASE }, Unapproved, None),
        (Case { key: "https://mcp.tracker.example.evil.net:443/v1/mcp", ..CASE }, Unapproved, None),
        (Case { at: late, ..CASE }, Expired, Some("tracker")),
        (Case { at: late, client: "10.99.1.1", ..CASE }, Expired, Some("tracker")),
        (Case { client: "10.99.1.1", ..CASE }, ClientNotAllowed, Some("tracker")),
        (Case { client: "::ffff:10.20.1.1", ..CASE }, ClientNotAllowed, Some("tracker")),
        (Case { client: "10.0.0.7", ..CASE }, Approved, Some("tracker")),
        (Case { client: "10.0.0.7", tools: &["delete"], ..CASE }, ToolNotAllowed, Some("tracker")),
        (Case { tools: &["get_issue", "delete"], ..CASE }, ToolNotAllowed, Some("tracker")),
        (Case { tools: &["get_secrets"], ..CASE }, ToolNotAllowed, Some("tracker")),
        (Case { tools: &[], ..CASE }, Approved, Some("tracker")),
        (
            Case { key: "https://portal-only.example:443/mcp", ..CASE },
            PortalBypass,
            Some("via portal"),
        ),
        (
            Case { key: "https://portal-only.example:443/mcp", client: "2001:db8:7::1", ..CASE },
            Approved,
            Some("via portal"),
        ),
        (Case { key: "http://pinned.corp.example:8000/mcp", ..CASE }, Unapproved, None),
        (
            Case { key: "http://pinned.corp.example:8000/mcp", server: "192.0.2.10", ..CASE },
            Approved,
            Some("pinned"),
        ),
        (
            Case { key: "http://pinned.corp.example:8000/mcp", server: "10.0.0.8", ..CASE },
            Approved,
            Some("pinned"),
        ),
        (Case { key: "https://a.zone.example:443/x", ..CASE }, Approved, Some("zone")),
        (Case { key: "https://zone.example:443/x", ..CASE }, Unapproved, None),
        (Case { key: "https://old.zone.example:443/mcp", ..CASE }, Expired, Some("narrow")),
        (Case { key: "https://old.zone.example:443/other", ..CASE }, Approved, Some("zone")),
        (
            Case { key: "https://a.b.zone.example:443/mcp/x", ..CASE },
            ToolNotAllowed,
            Some("one label"),
        ),
        (Case { key: "https://a.b.zone.example:443/other", ..CASE }, Approved, Some("zone")),
        (Case { key: "https://a.a.b.zone.example:443/mcp", ..CASE }, Approved, Some("zone")),
    ];
    for (case, verdict, approval) in table {
        let (got, by, reason) = judge(&case);
        let what = format!("{} from {} ({reason})", case.key, case.client);
        assert_eq!((got, by.as_deref()), (verdict, approval), "{what}");
        assert!(!reason.is_empty());
    }
}

#[test]
fn the_expiry_day_still_counts_to_its_last_nanosecond() {
    let end = Timestamp::from_parts(1_803_945_600, 0); // 2027-03-02T00:00:00Z
    let last = Timestamp::from_nanos(end.as_nanos() - 1);
    assert_eq!(judge(&Case { at: last, ..CASE }).0, Verdict::Approved);
    assert_eq!(judge(&Case { at: end, ..CASE }).0, Verdict::Expired);
}

#[test]
fn a_forged_host_is_told_as_such() {
    let (_, _, reason) = judge(&Case { key: "http://pinned.corp.example:8000/mcp", ..CASE });
    assert_eq!(reason, "named like pinned, but 192.0.2.1 is not one of its addresses");
}

#[test]
fn warnings_come_thirty_days_ahead() {
    let approvals = Approvals::parse(FILE, "approvals.yaml").unwrap();
    let kinds = |at| -> Vec<(String, WarningKind)> {
        approvals.warnings(at).into_iter().map(|w| (w.name, w.kind)).collect()
    };
    let day = |text: &str| {
        let date: jiff::civil::Date = text.parse().unwrap();
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
        Timestamp::from_parts(zoned.timestamp().as_second(), 0)
    };
    let narrow = "narrow".to_owned();
    assert_eq!(kinds(day("2025-12-01")), []);
    let soon = WarningKind::ExpiresSoon { days: 30 };
    assert_eq!(kinds(day("2026-01-02")), [(narrow.clone(), soon)]);
    let today = WarningKind::ExpiresSoon { days: 1 };
    assert_eq!(kinds(day("2026-01-31")), [(narrow.clone(), today)]);
    assert_eq!(kinds(day("2026-02-01")), [(narrow, WarningKind::Expired)]);
    assert_eq!(kinds(day("2027-02-20")).len(), 6);
}

#[test]
fn no_approvals_at_all_make_everything_unapproved() {
    let approvals = Approvals::default();
    let judgement = approvals.judge(Use {
        key: KeyParts { scheme: Scheme::Http, host: "a", port: 80, path: "/" },
        server: "192.0.2.1".parse().unwrap(),
        client: "192.0.2.2".parse().unwrap(),
        tools: [],
        at: NOW,
        evidence: Evidence::Confirmed,
    });
    assert_eq!(judgement.verdict, Verdict::Unapproved);
}

#[test]
fn a_draft_approves_nothing_until_somebody_owns_it() {
    let file = |narrow: &str, broad: &str| {
        format!(
            "schema: shadowtap/approvals@1\nservers:\n  - {{name: narrow, key: \
             https://a.test/mcp, owner: {narrow}, expires: 2027-03-01}}\n  - {{name: broad, key: \
             https://a.test, owner: {broad}, expires: 2027-03-01}}\n"
        )
    };
    for (narrow, broad, accept, verdict, by) in [
        ("CHANGE-ME", "CHANGE-ME", false, Verdict::Unapproved, "narrow"),
        ("change-me", "CHANGE-ME", false, Verdict::Unapproved, "narrow"),
        ("CHANGE-ME", "CHANGE-ME", true, Verdict::Approved, "narrow"),
        ("CHANGE-ME", "team", false, Verdict::Approved, "broad"),
        ("team", "CHANGE-ME", false, Verdict::Approved, "narrow"),
    ] {
        let approvals = Approvals::parse(&file(narrow, broad), "x").unwrap();
        let approvals = approvals.accepting_drafts(accept);
        let key = KeyParts { scheme: Scheme::Https, host: "a.test", port: 443, path: "/mcp" };
        let (server, client) = ("192.0.2.1".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let evidence = Evidence::Parsed;
        let judgement = approvals.judge(Use { key, server, client, tools: [], at: NOW, evidence });
        assert_eq!(judgement.verdict, verdict, "{narrow} {broad} {accept}");
        assert_eq!(judgement.approval.unwrap().name, by);
        if verdict == Verdict::Unapproved {
            assert_eq!(judgement.reason, "approval narrow is a draft without owner");
        }
        let origin = Some((Scheme::Https, 443));
        let usage =
            super::super::HostUse { host: "a.test", origin, server: Some(server), client, at: NOW };
        let allowed = approvals.allow_host(usage).is_some();
        assert_eq!(allowed, verdict == Verdict::Approved, "hints are quiet where it is approved");
        let told = approvals.warnings(NOW).into_iter().map(|warning| warning.text);
        let approves_nothing = told.filter(|text| text.contains("so it approves nothing")).count();
        let drafts = [narrow, broad].iter().filter(|owner| **owner != "team").count();
        assert_eq!(approves_nothing, if accept { 0 } else { drafts });
    }
}
